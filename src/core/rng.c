// SPDX-License-Identifier: BSD-3-Clause
// rng.c -- see rng.h.
#include "core/rng.h"

#include <math.h>

static void philox(const uint32_t key_in[2], uint64_t stream, uint64_t block, uint32_t out[4])
{
    uint32_t k0 = key_in[0], k1 = key_in[1];
    uint32_t c0 = (uint32_t)block, c1 = (uint32_t)(block >> 32);
    uint32_t c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

void xn_rng_init(xn_rng *r, uint64_t seed, uint64_t stream)
{
    r->key[0] = (uint32_t)seed;
    r->key[1] = (uint32_t)(seed >> 32);
    r->stream = stream;
    r->block = 0;
    r->left = 0;
}

uint32_t xn_rng_u32(xn_rng *r)
{
    if (r->left == 0) {
        philox(r->key, r->stream, r->block++, r->out);
        r->left = 4;
    }
    return r->out[--r->left];
}

double xn_rng_uniform(xn_rng *r)
{
    uint64_t hi = xn_rng_u32(r) >> 5, lo = xn_rng_u32(r) >> 6;
    return ((double)hi * 67108864.0 + (double)lo) * (1.0 / 9007199254740992.0);
}

double xn_rng_normal(xn_rng *r) // Box and Muller 1958, cosine branch only: no hidden state
{
    double u = 1.0 - xn_rng_uniform(r), v = xn_rng_uniform(r);
    return sqrt(-2.0 * log(u)) * cos(2.0 * M_PI * v);
}

double xn_rng_gamma(xn_rng *r, double shape)
{
    if (shape < 1.0) return xn_rng_gamma(r, shape + 1.0) * pow(1.0 - xn_rng_uniform(r), 1.0 / shape);
    double d = shape - 1.0 / 3.0, c = 1.0 / sqrt(9.0 * d);
    for (;;) {
        double x = xn_rng_normal(r), v = 1.0 + c * x;
        if (v <= 0.0) continue;
        v = v * v * v;
        double u = 1.0 - xn_rng_uniform(r);
        if (log(u) < 0.5 * x * x + d - d * v + d * log(v)) return d * v;
    }
}

int64_t xn_rng_poisson(xn_rng *r, double mean)
{
    if (!(mean > 0.0)) return 0;
    if (mean < 10.0) {
        double p = exp(-mean), u = xn_rng_uniform(r), sum = p;
        int64_t k = 0;
        while (u > sum && k < 1000) {
            k++;
            p *= mean / (double)k;
            sum += p;
        }
        return k;
    }
    double slam = sqrt(mean), loglam = log(mean), b = 0.931 + 2.53 * slam;
    double a = -0.059 + 0.02483 * b, invalpha = 1.1239 + 1.1328 / (b - 3.4);
    double vr = 0.9277 - 3.6224 / (b - 2.0);
    for (;;) {
        double u = xn_rng_uniform(r) - 0.5, v = 1.0 - xn_rng_uniform(r), us = 0.5 - fabs(u);
        double k = floor((2.0 * a / us + b) * u + mean + 0.43);
        if (us >= 0.07 && v <= vr) return (int64_t)k;
        if (k < 0.0 || (us < 0.013 && v > us)) continue;
        if (log(v) + log(invalpha) - log(a / (us * us) + b) <= -mean + k * loglam - lgamma(k + 1.0)) return (int64_t)k;
    }
}
