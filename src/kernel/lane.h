// SPDX-License-Identifier: BSD-3-Clause
// lane.h -- the only place that knows what a lane is.
//
// A kernel is written once over `vf`, W numbers side by side, one pixel each.  A shell of a few lines
// (fit_avx512.c, ...) sets XN_REAL_BITS (32 or 64) and XN_VECTOR_BYTES (0: plain C, 32: AVX2, 64: AVX-512)
// and includes the kernel; nothing else differs between the variants.  Arithmetic is the compilers' vector
// extension.  Intrinsics stand only where the extension has no operator: comparison into a mask, selection,
// minimum, square root, each of which would else cost two or three instructions, and for multiply-add.  Files of the
// fit kernel are compiled without contraction: what is fused is written out, so that a trace has the same bits in
// whichever lane and group it stands (in plain C nothing is fused).
//
// On a graphics processor a thread is a lane of width one: XN_DEVICE (set by src/cuda/fit_device.h) makes every
// function the device's.  There a multiply-add is fused, as in the vectors.
//
// real: element; vf: lane vector; vi: unsigned integers of the same width; vm: one truth value per lane.
#ifndef XN_KERNEL_LANE_H
#define XN_KERNEL_LANE_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if !defined(XN_REAL_BITS) || !defined(XN_VECTOR_BYTES)
#error "set XN_REAL_BITS and XN_VECTOR_BYTES before including lane.h"
#endif

#ifdef XN_DEVICE
#define XN_FN static __device__ __forceinline__
#define XN_PART XN_FN
#define XN_RARE XN_FN // a call would need the kit in memory
#define XN_TABLE static __device__ const
#define XN_UNROLL(n) _Pragma("unroll")
#define XN_TURNS(n) XN_PRAGMA(unroll n) // so many turns written out, whose loads wait for memory together
#define XN_FLAT _Pragma("unroll")       // all turns written out, so that arrays stay in registers
#else
#define XN_FN static inline __attribute__((always_inline))
#define XN_PART static // too large to be copied wherever it is called
#define XN_RARE static __attribute__((noinline))
#define XN_TABLE static const
#define XN_FLAT
#define XN_UNROLL(n) XN_PRAGMA(GCC unroll n)
#define XN_TURNS(n)
#endif
#define XN_PRAGMA(text) _Pragma(#text)
#define R(x) ((real)(x)) // a constant of the lane's precision

#if XN_REAL_BITS == 32
typedef float real;
typedef uint32_t integer;
typedef int32_t truth;
#define XN_EPSILON R(1.1920928955078125e-07)
#else
typedef double real;
typedef uint64_t integer;
typedef int64_t truth;
#define XN_EPSILON R(2.220446049250313e-16)
#endif

#if XN_VECTOR_BYTES == 0 // one pixel: plain C
#define XN_W 1
typedef real vf;
typedef integer vi;
typedef int vm;
XN_FN vf v_set(real x) { return x; }
XN_FN vm v_lt(vf a, vf b) { return a < b; }
XN_FN vm v_le(vf a, vf b) { return a <= b; }
XN_FN vm v_and(vm a, vm b) { return a & b; }
XN_FN vm v_or(vm a, vm b) { return a | b; }
XN_FN vm v_not(vm a) { return !a; }
XN_FN vm v_all(void) { return 1; }
XN_FN unsigned v_bits_of(vm m) { return (unsigned)m; }
XN_FN vf v_sel(vm m, vf a, vf b) { return m ? a : b; }
XN_FN vf v_min(vf a, vf b) { return a < b ? a : b; }
XN_FN vf v_max(vf a, vf b) { return a > b ? a : b; }
#if XN_REAL_BITS == 32
XN_FN vf v_sqrt(vf a) { return sqrtf(a); }
#else
XN_FN vf v_sqrt(vf a) { return sqrt(a); }
#endif
#ifndef XN_DEVICE
XN_FN vf v_fma(vf a, vf b, vf c) { return a * b + c; }
XN_FN vf v_fnma(vf a, vf b, vf c) { return c - a * b; }
#elif XN_REAL_BITS == 32
XN_FN vf v_fma(vf a, vf b, vf c) { return fmaf(a, b, c); }
XN_FN vf v_fnma(vf a, vf b, vf c) { return fmaf(-a, b, c); }
#else
XN_FN vf v_fma(vf a, vf b, vf c) { return fma(a, b, c); }
XN_FN vf v_fnma(vf a, vf b, vf c) { return fma(-a, b, c); }
#endif
XN_FN vi v_as_int(vf x)
{
    vi i;
    memcpy(&i, &x, sizeof i);
    return i;
}
XN_FN vf v_as_real(vi i)
{
    vf x;
    memcpy(&x, &i, sizeof x);
    return x;
}

#else // vectors
#include <immintrin.h>
#define XN_W (XN_VECTOR_BYTES * 8 / XN_REAL_BITS)
typedef real vf __attribute__((vector_size(XN_VECTOR_BYTES)));
typedef integer vi __attribute__((vector_size(XN_VECTOR_BYTES)));
XN_FN vf v_set(real x) { return x - (vf){0}; }
XN_FN vi v_as_int(vf x) { return (vi)x; }
XN_FN vf v_as_real(vi i) { return (vf)i; }

#if XN_VECTOR_BYTES == 64
#if XN_REAL_BITS == 32
typedef __mmask16 vm;
typedef __m512 native;
#define XN_NATIVE(op) _mm512_##op##_ps
#define XN_COMPARE _mm512_cmp_ps_mask
#else
typedef __mmask8 vm;
typedef __m512d native;
#define XN_NATIVE(op) _mm512_##op##_pd
#define XN_COMPARE _mm512_cmp_pd_mask
#endif
XN_FN vm v_lt(vf a, vf b) { return XN_COMPARE((native)a, (native)b, _CMP_LT_OQ); }
XN_FN vm v_le(vf a, vf b) { return XN_COMPARE((native)a, (native)b, _CMP_LE_OQ); }
XN_FN vm v_and(vm a, vm b) { return a & b; }
XN_FN vm v_or(vm a, vm b) { return a | b; }
XN_FN vm v_not(vm a) { return (vm)~a; }
XN_FN vm v_all(void) { return (vm)~0u; }
XN_FN unsigned v_bits_of(vm m) { return m; }
XN_FN vf v_sel(vm m, vf a, vf b) { return (vf)XN_NATIVE(mask_blend)(m, (native)b, (native)a); }
#else
typedef truth vm __attribute__((vector_size(XN_VECTOR_BYTES)));
#if XN_REAL_BITS == 32
typedef __m256 native;
#define XN_NATIVE(op) _mm256_##op##_ps
#else
typedef __m256d native;
#define XN_NATIVE(op) _mm256_##op##_pd
#endif
XN_FN vm v_lt(vf a, vf b) { return (vm)(a < b); }
XN_FN vm v_le(vf a, vf b) { return (vm)(a <= b); }
XN_FN vm v_and(vm a, vm b) { return a & b; }
XN_FN vm v_or(vm a, vm b) { return a | b; }
XN_FN vm v_not(vm a) { return ~a; }
XN_FN vm v_all(void) { return ~(vm){0}; }
XN_FN unsigned v_bits_of(vm m) { return (unsigned)XN_NATIVE(movemask)((native)m); }
XN_FN vf v_sel(vm m, vf a, vf b) { return (vf)XN_NATIVE(blendv)((native)b, (native)a, (native)m); }
#endif
XN_FN vf v_min(vf a, vf b) { return (vf)XN_NATIVE(min)((native)a, (native)b); }
XN_FN vf v_max(vf a, vf b) { return (vf)XN_NATIVE(max)((native)a, (native)b); }
XN_FN vf v_sqrt(vf a) { return (vf)XN_NATIVE(sqrt)((native)a); }
XN_FN vf v_fma(vf a, vf b, vf c) { return (vf)XN_NATIVE(fmadd)((native)a, (native)b, (native)c); }
XN_FN vf v_fnma(vf a, vf b, vf c) { return (vf)XN_NATIVE(fnmadd)((native)a, (native)b, (native)c); }
#endif

// 1/sqrt(x), x > 0. In float the approximate instruction and one Newton step; it sits in every pivot.
XN_FN vf v_rsqrt(vf x)
{
#if XN_VECTOR_BYTES == 64 && XN_REAL_BITS == 32
    vf r = (vf)_mm512_rsqrt14_ps((native)x);
    return r * v_fnma(R(0.5) * x * r, r, v_set(R(1.5)));
#elif XN_VECTOR_BYTES == 32 && XN_REAL_BITS == 32
    vf r = (vf)_mm256_rsqrt_ps((native)x);
    return r * v_fnma(R(0.5) * x * r, r, v_set(R(1.5)));
#elif defined(XN_DEVICE) && XN_REAL_BITS == 32
    return __frsqrt_rn(x);
#else
    return R(1) / v_sqrt(x);
#endif
}

// Lower and upper halves of two vectors, element by element in turn.
#if XN_W > 1
#if XN_W == 16
#define XN_ZIP_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define XN_ZIP_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif XN_W == 8
#define XN_ZIP_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define XN_ZIP_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define XN_ZIP_LOW 0, 4, 1, 5
#define XN_ZIP_HIGH 2, 6, 3, 7
#endif
XN_FN vf v_zip_low(vf a, vf b) { return __builtin_shufflevector(a, b, XN_ZIP_LOW); }
XN_FN vf v_zip_high(vf a, vf b) { return __builtin_shufflevector(a, b, XN_ZIP_HIGH); }
#endif

// Lane i of the result is lane from[i] of x, of the low bits of from[i] alone; XN_PERMUTES where there is such a thing.
#if XN_VECTOR_BYTES == 64 && XN_REAL_BITS == 32
#define XN_PERMUTES
XN_FN vf v_permute(vi from, vf x) { return (vf)_mm512_permutexvar_ps((__m512i)from, (native)x); }
#elif XN_VECTOR_BYTES == 64
#define XN_PERMUTES
XN_FN vf v_permute(vi from, vf x) { return (vf)_mm512_permutexvar_pd((__m512i)from, (native)x); }
#elif XN_VECTOR_BYTES == 32 && XN_REAL_BITS == 32
#define XN_PERMUTES
XN_FN vf v_permute(vi from, vf x) { return (vf)_mm256_permutevar8x32_ps((native)x, (__m256i)from); }
#endif

XN_FN vm v_gt(vf a, vf b) { return v_lt(b, a); }
XN_FN vm v_ge(vf a, vf b) { return v_le(b, a); }
XN_FN vf v_abs(vf a) { return v_max(a, -a); }
XN_FN int v_any(vm m) { return v_bits_of(m) != 0; }
XN_FN int v_count(vm m) { return XN_W == 1 ? (int)v_bits_of(m) : __builtin_popcount(v_bits_of(m)); }

// Lane data live in plain arrays of `real`; W neighbours make one vector.
#if XN_W == 1 // by memcpy a device would go byte by byte: it cannot tell that the address is a multiple of four
XN_FN vf v_load(const real *p) { return *p; }
XN_FN void v_store(real *p, vf x) { *p = x; }
#else
XN_FN vf v_load(const real *p)
{
    vf x;
    memcpy(&x, p, sizeof x);
    return x;
}
XN_FN void v_store(real *p, vf x) { memcpy(p, &x, sizeof x); }
#endif

// W floats, widened where lanes are double
XN_FN vf v_load_float(const float *p)
{
#if XN_W == 1
    return R(*p);
#elif XN_REAL_BITS == 32
    return v_load(p);
#else
    typedef float half __attribute__((vector_size(XN_VECTOR_BYTES / 2)));
    half x;
    memcpy(&x, p, sizeof x);
    return __builtin_convertvector(x, vf);
#endif
}

typedef struct {
    vf re, im;
} vc; // a complex number per lane

XN_FN vc c_mul(vc a, vc b) { return (vc){v_fnma(a.im, b.im, a.re * b.re), v_fma(a.re, b.im, a.im * b.re)}; }
XN_FN vc c_fma(vc a, vc b, vc c) // a b + c
{
    return (vc){v_fnma(a.im, b.im, v_fma(a.re, b.re, c.re)), v_fma(a.im, b.re, v_fma(a.re, b.im, c.im))};
}
XN_FN vc c_add(vc a, vc b) { return (vc){a.re + b.re, a.im + b.im}; }
XN_FN vc c_conj(vc a) { return (vc){a.re, -a.im}; }
XN_FN vc c_axpy(vf s, vc a, vc c) { return (vc){v_fma(s, a.re, c.re), v_fma(s, a.im, c.im)}; } // s a + c

#endif
