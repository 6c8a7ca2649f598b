// SPDX-License-Identifier: BSD-3-Clause
// frame_droplets.c -- photons from droplets: connected pixels whose charge is counted together.
//
// With charge clouds as wide as a pixel no rule of pairs counts well; a droplet's sum does.  After smalldata_tools'
// droplet and droplet2photon: two thresholds, 4-connected pixels, the sum rounded to photons; then either all photons
// in the pixel nearest the centre of mass, or one by one where most charge is left (greedy).  A droplet is found by
// flooding from its first pixel; each pixel is visited once.
#include <string.h>

#include "kernel/frame.h"

typedef struct {
    const int32_t *q;
    int64_t ny, nx;
    int32_t low;
    uint8_t *seen;
    int32_t *queue;
    int64_t n; // pixels of the droplet, in the queue
} flood;

static void take(flood *f, int64_t i)
{
    if (f->seen[i] || f->q[i] < f->low || f->q[i] == XN_CALIB_BAD) return;
    f->seen[i] = 1;
    f->queue[f->n++] = (int32_t)i;
}

static void fill(flood *f, int64_t first)
{
    f->n = 0;
    take(f, first);
    for (int64_t k = 0; k < f->n; k++) {
        int64_t i = f->queue[k], y = i / f->nx, x = i % f->nx;
        if (y > 0) take(f, i - f->nx);
        if (x > 0) take(f, i - 1);
        if (x + 1 < f->nx) take(f, i + 1);
        if (y + 1 < f->ny) take(f, i + f->nx);
    }
}

// The pixel nearest the centre of mass; the brightest one where that pixel has no number.
static int64_t centre(const flood *f, int64_t sum, int64_t brightest)
{
    int64_t sy = 0, sx = 0;
    for (int64_t k = 0; k < f->n; k++) {
        int64_t i = f->queue[k];
        sy += f->q[i] * (i / f->nx);
        sx += f->q[i] * (i % f->nx);
    }
    int64_t at = (2 * sy + sum) / (2 * sum) * f->nx + (2 * sx + sum) / (2 * sum);
    return f->q[at] == XN_CALIB_BAD ? brightest : at;
}

static int64_t rests_from(const flood *f, int32_t least)
{
    int64_t n = 0;
    for (int64_t k = 0; k < f->n; k++) n += (f->q[f->queue[k]] & 0xffff) >= least;
    return n;
}

// Always to the pixel with most charge left, which comes to: whole photons stay, the others go to the largest rests,
// of equal ones to the first found.  The least rest that gets one is found by bisection.
static void spend(const flood *f, int64_t photons, int32_t *out)
{
    int32_t lo = 0, hi = 0x10000; // rests_from(lo) >= photons > rests_from(hi)
    for (int64_t k = 0; k < f->n; k++) {
        out[f->queue[k]] = f->q[f->queue[k]] & ~0xffff;
        photons -= f->q[f->queue[k]] >> 16;
    }
    if (photons <= 0) return;
    while (hi - lo > 1) {
        int32_t middle = (lo + hi) / 2;
        if (rests_from(f, middle) >= photons)
            lo = middle;
        else
            hi = middle;
    }
    int64_t equal = photons - rests_from(f, hi);
    for (int64_t k = 0; k < f->n; k++) {
        int32_t rest = f->q[f->queue[k]] & 0xffff;
        if (rest >= hi || (rest == lo && equal-- > 0)) out[f->queue[k]] += 0x10000;
    }
}

// More than a pixel can hold has no number.
static int32_t held(int64_t q) { return q < XN_CALIB_BAD ? (int32_t)q : XN_CALIB_BAD; }

static void put_at(int32_t *out, int64_t i, int64_t photons)
{
    out[i] = out[i] == XN_CALIB_BAD ? out[i] : held(out[i] + (photons << 16));
}

void xn_frame_droplets(int32_t *q, int64_t ny, int64_t nx, const xn_droplets *how, int32_t *out, uint8_t *seen,
                       int32_t *queue)
{
    flood f = {q, ny, nx, how->low > 1 ? how->low : 1, seen, queue, 0};
    memset(seen, 0, (size_t)(ny * nx));
    for (int64_t i = 0; i < ny * nx; i++) out[i] = q[i] == XN_CALIB_BAD ? q[i] : 0;
    for (int64_t i = 0; i < ny * nx; i++) {
        if (seen[i]) continue;
        fill(&f, i);
        int64_t sum = 0, brightest = i;
        for (int64_t k = 0; k < f.n; k++) {
            sum += q[queue[k]];
            if (q[queue[k]] > q[brightest]) brightest = queue[k];
        }
        int64_t photons = (sum + 0x8000) >> 16;
        if (f.n == 0 || q[brightest] < how->seed || photons == 0) continue;
        if (how->greedy)
            spend(&f, photons, out);
        else
            put_at(out, centre(&f, sum, brightest), photons);
    }
    for (int64_t i = 0; i < ny * nx; i++) q[i] = held(out[i]);
}
