// SPDX-License-Identifier: BSD-3-Clause
// fma.c -- the floating-point ceiling of one thread, measured when it is needed.
//
// Twelve independent chains of float32 fused multiply-adds keep both units of today's cores busy (latency 4,
// two per cycle) and fit the registers of either width; every loop over them is unrolled, or they live in memory.  The
// best of several short runs counts: a ceiling is what the machine can do, not what it did while something else ran.
#include <math.h>
#include <string.h>

#include "bench/fit_peers.h"
#include "core/core.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define CHAINS 12
#define ROUNDS 4000
#define RUNS 4000 // some 50 ms: the clock rises only under load

__attribute__((target("avx512f"))) static float chains_avx512(void)
{
    __m512 a[CHAINS], x = _mm512_set1_ps(0.999f), y = _mm512_set1_ps(1e-3f);
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) a[i] = _mm512_set1_ps((float)i);
    for (int r = 0; r < ROUNDS; r++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) {
            a[i] = _mm512_fmadd_ps(a[i], x, y);
            __asm__ volatile("" : "+v"(a[i])); // keeps the chains apart and in registers
        }
    }
    float sum = 0;
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) sum += _mm512_reduce_add_ps(a[i]);
    return sum;
}

__attribute__((target("avx2,fma"))) static float chains_avx2(void)
{
    __m256 a[CHAINS], x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(1e-3f);
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) a[i] = _mm256_set1_ps((float)i);
    for (int r = 0; r < ROUNDS; r++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) {
            a[i] = _mm256_fmadd_ps(a[i], x, y);
            __asm__ volatile("" : "+x"(a[i]));
        }
    }
    float sum = 0, part[8];
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) {
        _mm256_storeu_ps(part, a[i]);
        sum += part[0] + part[7];
    }
    return sum;
}

static volatile float sink;

double xn_peer_fma_peak(const char **name)
{
    bool wide = __builtin_cpu_supports("avx512f"),
         narrow = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    *name = wide ? "avx512" : narrow ? "avx2" : "";
    if (!wide && !narrow) return NAN;
    double best = INFINITY;
    for (int i = 0; i < RUNS; i++) {
        double start = xn_seconds();
        sink = wide ? chains_avx512() : chains_avx2();
        double t = xn_seconds() - start;
        if (t < best) best = t;
    }
    return 2.0 * CHAINS * ROUNDS * (wide ? 16 : 8) / best / 1e9;
}

double xn_peer_fma_sustained(int threads)
{
    const char *name;
    if (!isfinite(xn_peer_fma_peak(&name))) return NAN;
    const bool wide = strcmp(name, "avx512") == 0;
    const double seconds = 0.25, start = xn_seconds();
    double runs = 0;
#pragma omp parallel num_threads(threads) reduction(+ : runs)
    {
        float sum = 0;
        while (xn_seconds() - start < seconds) {
            sum += wide ? chains_avx512() : chains_avx2();
            runs += 1;
        }
        if (!isfinite(sum)) runs = 0; // uses what was computed
    }
    return 2.0 * CHAINS * ROUNDS * (wide ? 16 : 8) * runs / (xn_seconds() - start) / 1e9;
}

#else

double xn_peer_fma_sustained(int threads)
{
    (void)threads;
    return NAN;
}

double xn_peer_fma_peak(const char **name)
{
    *name = "";
    return NAN;
}

#endif
