// SPDX-License-Identifier: BSD-3-Clause
// frame_photons.c -- pixels to whole photons: rounding, and the neighbour rule.
//
// A photon near the border of two pixels shares its charge among them, mostly among two.  psana's photons()
// (slac-lcls ImgAlgos, AlgImgProc::_mergeConnectedPixelCouples) splits each pixel into whole photons and a rest, looks
// for rests that are the largest of their cross and joins each with the largest free rest beside it; a pair that
// reaches 0.9 photon is one photon of its brighter pixel.  Here pairs are formed row by row.  Below 0 there is no
// photon.
#include <string.h>

#include "kernel/frame.h"

#define WHOLE(q) ((q) & ~0xffff)

static inline int32_t rest_of(int32_t q) { return q > 0 && q != XN_CALIB_BAD ? q & 0xffff : 0; }

static inline int32_t whole_of(int32_t q) { return q == XN_CALIB_BAD ? q : q > 0 ? WHOLE(q) : 0; }

// More than a pixel can hold has no number.
static inline int32_t held(int32_t q) { return q < XN_CALIB_BAD ? q : XN_CALIB_BAD; }

void xn_frame_round(int32_t *q, int64_t n)
{
    for (int64_t i = 0; i < n; i++) q[i] = q[i] == XN_CALIB_BAD ? q[i] : held(q[i] > 0 ? WHOLE(q[i] + 0x8000) : 0);
}

// Offsets of the neighbours that there are: up, left, right, down, in the order of the pixels.
static int cross(int64_t y, int64_t x, int64_t ny, int64_t nx, int64_t offset[4])
{
    int n = 0;
    if (y > 0) offset[n++] = -nx;
    if (x > 0) offset[n++] = -1;
    if (x + 1 < nx) offset[n++] = 1;
    if (y + 1 < ny) offset[n++] = nx;
    return n;
}

// The rest at q is the largest of its cross; of equal ones the first.
static bool is_peak(const int32_t *q, const int64_t *offset, int n)
{
    int32_t own = rest_of(*q);
    for (int k = 0; k < n; k++) {
        int32_t other = rest_of(q[offset[k]]);
        if (offset[k] < 0 ? other >= own : other > own) return false;
    }
    return true;
}

void xn_frame_neighbours(int32_t *q, int64_t ny, int64_t nx, int32_t seed, int32_t total, int32_t *out, uint8_t *busy)
{
    memset(busy, 0, (size_t)(ny * nx));
    for (int64_t i = 0; i < ny * nx; i++) out[i] = whole_of(q[i]);
    for (int64_t y = 0; y < ny; y++)
        for (int64_t x = 0; x < nx; x++) {
            int64_t i = y * nx + x, offset[4], partner = -1;
            int32_t own = rest_of(q[i]), best = 0;
            if (own < seed || own == 0) continue;
            int n = cross(y, x, ny, nx, offset);
            if (!is_peak(q + i, offset, n)) continue;
            for (int k = 0; k < n; k++) {
                int32_t other = rest_of(q[i + offset[k]]);
                if (busy[i + offset[k]] || other <= best) continue;
                best = other;
                partner = i + offset[k];
            }
            if (own + best < total) continue;
            busy[i] = 1;
            if (partner >= 0) busy[partner] = 1;
            out[i] = held(out[i] + 0x10000);
        }
    memcpy(q, out, (size_t)(ny * nx) * sizeof *q);
}
