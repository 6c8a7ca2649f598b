// SPDX-License-Identifier: BSD-3-Clause
// rng.h -- counter-based random numbers (Philox4x32-10; Salmon et al., SC'11, 2011).
//
// A stream is (seed, stream number); the n-th draw depends on nothing else, so simulated frames are
// the same for any number of threads and any order of work.
#ifndef XN_CORE_RNG_H
#define XN_CORE_RNG_H

#include <stdint.h>

typedef struct xn_rng {
    uint32_t key[2];
    uint64_t stream, block;
    uint32_t out[4];
    int left;
} xn_rng;

void xn_rng_init(xn_rng *r, uint64_t seed, uint64_t stream);
uint32_t xn_rng_u32(xn_rng *r);
double xn_rng_uniform(xn_rng *r);               // [0, 1)
double xn_rng_normal(xn_rng *r);                // mean 0, rms 1
double xn_rng_gamma(xn_rng *r, double shape);   // scale 1 (Marsaglia and Tsang 2000)
int64_t xn_rng_poisson(xn_rng *r, double mean); // inversion below 10, PTRS above (Hoermann 1993)

#endif
