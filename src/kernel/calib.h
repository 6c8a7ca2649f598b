// SPDX-License-Identifier: BSD-3-Clause
// calib.h -- from a stored word to photons in fixed point, for one pixel.
//
// The one place of the formula; row kernels (reduce_body.h) and the parity test call it.  A pixel's photons become
// an integer, 2^16 units to the photon, so that every sum after it is exact and does not depend on order, threads
// or batches.  float32 carries 24 bits, finer than the detector; (word - pedestal) * factor has no sum of products
// that a compiler could contract, hence all instruction sets give the same bits.
//
// JUNGFRAU (16 bits): the top two bits are the gain stage, 00 G0, 01 G1, 11 G2; 10 does not exist.  Saturated is
// 0xC000 in dynamic gain and 0x3FFF in fixed high gain (both are the end of the converter's range).
// `factor` holds 2^16 / (gain * energy); a factor of stage 0 equal to 0 marks a masked pixel, which gives 0 whatever
// its word.  What has no number (invalid, saturated, not finite, beyond the range) gives XN_CALIB_BAD, never a 0.
#ifndef XN_KERNEL_CALIB_H
#define XN_KERNEL_CALIB_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "kernel/side.h"

#define XN_CALIB_ONE 65536.0f       // units per photon
#define XN_CALIB_BAD 536870911      // 2^29 - 1: four of them still add up in 32 bits
#define XN_CALIB_LIMIT 536870912.0f // 2^29, about 8192 photons in one pixel and shot
#define XN_CALIB_ROWS 4             // rows that may be added in 32 bits

#define XN_JUNGFRAU_FULL_G0 0x3fffu
#define XN_JUNGFRAU_FULL 0xc000u

XN_FORMULA int32_t xn_calib_fixed(float x) { return fabsf(x) < XN_CALIB_LIMIT ? (int32_t)rintf(x) : XN_CALIB_BAD; }

XN_FORMULA int32_t xn_calib_fixed_f64(double x)
{
    return fabs(x) < (double)XN_CALIB_LIMIT - 1.0 ? (int32_t)rint(x) : XN_CALIB_BAD;
}

// Value below the threshold counts as no photon; a threshold of 0 leaves everything, noise below zero included.
XN_FORMULA int32_t xn_calib_threshold(int32_t q, int32_t threshold) { return threshold > 0 && q < threshold ? 0 : q; }

XN_FORMULA int32_t xn_calib_jungfrau(uint16_t word, const float p[3], const float f[3])
{
    unsigned code = word >> 14;
    float value = (float)(word & 0x3fff);
    float pedestal = code == 0 ? p[0] : code == 1 ? p[1] : p[2];
    float factor = code == 0 ? f[0] : code == 1 ? f[1] : f[2];
    bool bad = code == 2 || word == XN_JUNGFRAU_FULL || word == XN_JUNGFRAU_FULL_G0;
    int32_t q = bad ? XN_CALIB_BAD : xn_calib_fixed((value - pedestal) * factor);
    return f[0] == 0.0f ? 0 : q;
}

XN_FORMULA int32_t xn_calib_fixed_gain(uint16_t word, unsigned code, float p, float f)
{
    unsigned value = word & 0x3fff;
    bool bad = (unsigned)(word >> 14) != code || value == (code == 0 ? XN_JUNGFRAU_FULL_G0 : 0u);
    int32_t q = bad ? XN_CALIB_BAD : xn_calib_fixed(((float)value - p) * f);
    return f == 0.0f ? 0 : q;
}

XN_FORMULA int32_t xn_calib_epix10ka(uint16_t word, const float p[2], const float f[2])
{
    unsigned value = word & 0x3fff;
    bool low = (word & 0x4000) != 0;
    float pedestal = low ? p[1] : p[0], factor = low ? f[1] : f[0];
    int32_t q = value == 0x3fff ? XN_CALIB_BAD : xn_calib_fixed(((float)value - pedestal) * factor);
    return f[0] == 0.0f ? 0 : q;
}

XN_FORMULA int32_t xn_calib_linear(float value, float p, float f, float full)
{
    int32_t q = value >= full ? XN_CALIB_BAD : xn_calib_fixed((value - p) * f);
    return f == 0.0f ? 0 : q;
}

XN_FORMULA int32_t xn_calib_linear_f64(double value, double p, double f, double full)
{
    int32_t q = value >= full ? XN_CALIB_BAD : xn_calib_fixed_f64((value - p) * f);
    return f == 0.0 ? 0 : q;
}

// The same without pedestal and end of the range.
XN_FORMULA int32_t xn_calib_scale(float value, float f) { return f == 0.0f ? 0 : xn_calib_fixed(value * f); }
XN_FORMULA int32_t xn_calib_scale_f64(double value, double f) { return f == 0.0 ? 0 : xn_calib_fixed_f64(value * f); }

// A word that has no number either is none, or is the end of a range: whether it is none. Of other kinds NaN is.
XN_FORMULA bool xn_calib_jungfrau_is_none(uint16_t word) { return word >> 14 == 2; }
XN_FORMULA bool xn_calib_fixed_gain_is_none(uint16_t word, unsigned code) { return (unsigned)(word >> 14) != code; }

#endif
