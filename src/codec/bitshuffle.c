// SPDX-License-Identifier: BSD-3-Clause
// bitshuffle.c -- see bitshuffle.h: the portable shell, the choice of a variant, planes put together.
//
// Bits go through planes: each byte plane's 8 rows become bytes in `work`, then planes are interleaved.  The
// second step costs little, since blocks (8 KiB) stay in the first cache, and it is the shuffle filter's.
#define LANES 1
#define VARIANT xn_shuffle_portable
#define VARIANT_NAME "portable"
#include <lz4.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static bool decode_lz4(const uint8_t *src, size_t n, uint8_t *dst, size_t bytes)
{
    return LZ4_decompress_safe((const char *)src, (char *)dst, (int)n, (int)bytes) == (int)bytes;
}

#include "codec/bitshuffle_kernel.h"

#if defined(__x86_64__)
extern const xn_shuffle_kernel xn_shuffle_avx2, xn_shuffle_avx512;
#endif

const xn_shuffle_kernel *xn_shuffle_variant(int i)
{
    if (i == 0) return &xn_shuffle_portable;
#if defined(__x86_64__)
    if (i == 1 && __builtin_cpu_supports("avx2")) return &xn_shuffle_avx2;
    if (i == 2 && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi") &&
        __builtin_cpu_supports("gfni"))
        return &xn_shuffle_avx512;
#endif
    return NULL;
}

static _Atomic(const xn_shuffle_kernel *) chosen;

void xn_shuffle_use(int i)
{
    const xn_shuffle_kernel *k = i >= 0 ? xn_shuffle_variant(i) : NULL;
    for (int j = 0; i < 0 && xn_shuffle_variant(j); j++) k = xn_shuffle_variant(j);
    if (k) atomic_store(&chosen, k);
}

static const xn_shuffle_kernel *kernel(void)
{
    const xn_shuffle_kernel *k = atomic_load_explicit(&chosen, memory_order_acquire);
    if (k) return k;
    xn_shuffle_use(-1);
    return atomic_load(&chosen);
}

// Columns of 8 elements from element `done` on, where a vector has no room.
static void unshuffle_rest(const uint8_t *src, uint8_t *dst, size_t n, size_t elem, size_t done)
{
    for (size_t j = done / 8; j < n / 8; j++)
        for (size_t b = 0; b < elem; b++) {
            const uint64_t x = column_of(src + b * n, n / 8, j);
            for (size_t i = 0; i < 8; i++) dst[(8 * j + i) * elem + b] = (uint8_t)(x >> (8 * i));
        }
}

void xn_bits_unshuffle(const uint8_t *src, uint8_t *dst, uint8_t *work, size_t n, size_t elem, bool stream)
{
    const xn_shuffle_kernel *k = kernel();
    const size_t done = k->rows_to_elements(src, dst, n, elem, stream);
    if (done > 0) return unshuffle_rest(src, dst, n, elem, done);
    uint8_t *planes = elem == 1 ? dst : work;
    for (size_t b = 0; b < elem; b++) k->rows_to_bytes(src + b * n, planes + b * n, n / 8);
    if (elem > 1) k->interleave(work, dst, n, elem);
}

void xn_stream_end(void)
{
#if defined(__x86_64__)
    _mm_sfence();
#endif
}

void xn_bits_shuffle(const uint8_t *src, uint8_t *dst, uint8_t *work, size_t n, size_t elem)
{
    const xn_shuffle_kernel *k = kernel();
    if (elem > 1) k->deinterleave(src, work, n, elem);
    const uint8_t *planes = elem == 1 ? src : work;
    for (size_t b = 0; b < elem; b++) k->bytes_to_rows(planes + b * n, dst + b * n, n / 8);
}

bool xn_lz4_decode(const uint8_t *src, size_t n, uint8_t *dst, size_t bytes)
{
    return n <= INT32_MAX && bytes <= INT32_MAX && kernel()->lz4(src, n, dst, bytes);
}

uint32_t xn_fletcher32(const uint8_t *src, size_t n) { return kernel()->fletcher32(src, n); }

void xn_bytes_unshuffle(const uint8_t *src, uint8_t *dst, size_t n, size_t elem)
{
    kernel()->interleave(src, dst, n, elem);
}
void xn_bytes_shuffle(const uint8_t *src, uint8_t *dst, size_t n, size_t elem)
{
    kernel()->deinterleave(src, dst, n, elem);
}
