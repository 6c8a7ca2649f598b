// SPDX-License-Identifier: BSD-3-Clause
// dark_pixels.c -- which pixels a dark run shows to be bad, in NXmx bits.
//
// Compared with the pixels of their own module, by medians and MADs, so that bad ones do not set the measure:
//   undefined (bit 5)   in the stage, and not far off, in less than half of the frames
//   dead (bit 1)        no noise at all, or a pedestal that is far from the others'
//   noisy (bit 4)       far more noise than the others
// Far: dark.outlier times the spread.  Where all are alike the spread is floored by a fiftieth of the noise and by the
// noise itself.
#include <math.h>
#include <string.h>

#include "kernel/frame.h"
#include "reduce/dark.h"

enum { DEAD = 1u << 1, NOISY = 1u << 4, UNDEFINED = 1u << 5 };

typedef struct {
    float median, spread;
} level;

static level level_of(const float *v, const uint32_t *skip, int64_t n, float *room)
{
    level l = {NAN, NAN};
    int64_t have = 0;
    for (int64_t i = 0; i < n; i++)
        if (skip[i] == 0 && isfinite(v[i])) room[have++] = v[i];
    if (have == 0) return l;
    l.median = xn_frame_median(room, have);
    for (int64_t i = 0; i < have; i++) room[i] = fabsf(room[i] - l.median);
    l.spread = 1.4826f * xn_frame_median(room, have);
    return l;
}

// Pixels [first, first + n) of a plane of one cell.
static void judge_module(const float *pedestal, const float *rms, const int32_t *count, int64_t used, int64_t n,
                         float far, float *room, uint32_t *mask)
{
    for (int64_t i = 0; i < n; i++) {
        if (2 * (int64_t)count[i] < used || count[i] < 2) mask[i] |= UNDEFINED;
        if (rms[i] == 0.0f) mask[i] |= DEAD;
    }
    level noise = level_of(rms, mask, n, room), height = level_of(pedestal, mask, n, room);
    float most = noise.median + far * fmaxf(noise.spread, 0.02f * noise.median);
    float away = far * fmaxf(height.spread, noise.median);
    for (int64_t i = 0; i < n; i++) {
        if (rms[i] > most) mask[i] |= NOISY;
        if (fabsf(pedestal[i] - height.median) > away) mask[i] |= DEAD;
    }
}

xani_status xn_dark_judge(xn_ctx *ctx, const xn_config *config, int plane, const int64_t *used, xn_dark *d)
{
    int64_t pixels = d->ny * d->nx;
    float far = (float)xn_config_double(config, "dark.outlier");
    float *room = xn_alloc((size_t)pixels, sizeof *room);
    uint32_t *mask = xn_alloc((size_t)pixels, sizeof *mask);
    if (room == NULL || mask == NULL) {
        xn_free(room);
        xn_free(mask);
        return xn_fail_memory(ctx, "the mask", (size_t)pixels * 8);
    }
    for (int64_t c = 0; c < d->cells; c++) {
        int64_t at = ((int64_t)plane * d->cells + c) * pixels, row = 0;
        memset(mask, 0, (size_t)pixels * sizeof *mask);
        for (int m = 0; m < d->n_modules && used[c] > 0; row += d->module_rows[m++]) {
            int64_t i = row * d->nx;
            judge_module(d->pedestal + at + i, d->rms + at + i, d->count + at + i, used[c], d->module_rows[m] * d->nx,
                         far, room, mask + i);
        }
        for (int64_t i = 0; i < pixels; i++) {
            d->stage_mask[plane * pixels + i] |= mask[i];
            d->mask[i] |= mask[i];
        }
    }
    xn_free(room);
    xn_free(mask);
    return XANI_OK;
}
