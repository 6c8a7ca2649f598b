// SPDX-License-Identifier: BSD-3-Clause
// drift.c -- does the laser-off reference drift while the delay is scanned?
//
// With reduce.off.mode "all" there is one reference for the whole run.  A monitor or detector that drifts meanwhile
// averages out in every delay bin where delays change fast, and becomes part of the signal where they are scanned
// slowly (science.md 4).  Photons/I0 of laser-off shots, over their median, are averaged over up to 50 blocks of time,
// and over 10, whose noise is less:
//     chi^2 about their mean, by the scatter within blocks, is B - 1 +- sqrt(2 (B - 1)) without drift
//     D_b = mean over the laser-on shots of bin b of their block's value: what the bin shows of the drift
// It warns where chi^2 is five of those standard deviations above, and the rms of D over the bins is a phonon's, 0.1 %,
// after what noise of the blocks and chance make of it is subtracted: of n shots in any order, a drift of variance V
// leaves V/n.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reduce/internal.h"
#include "reduce/windows.h"

#define MOST_BLOCKS 50
#define FEW_BLOCKS 10
#define FEWEST_BLOCKS 5
#define FEWEST_SHOTS 20 // in a block
#define OUTLIER_SIGMA 5.0
#define LEAST_SIGMA 5.0
#define LEAST_RMS 1e-3
#define LEAST_RATIO 3.0 // over what noise and chance make

typedef struct drift {
    int64_t off; // laser-off shots
    int blocks;
    double value[MOST_BLOCKS], variance; // of a block's value by noise
    double count[MOST_BLOCKS];           // laser-on shots
    double chi2;
    double rms, by_chance; // mean squares over the bins, of all and of what noise and chance make
} drift;

static bool counts(const xn_shots *s, const double *photons, int64_t i, uint8_t laser)
{
    return s->verdict[i] == XN_CUT_NONE && s->laser[i] == laser && isfinite(photons[i]) && s->i0[i] > 0;
}

// Values of the blocks, and the last row of each. y: room for the laser-off shots.
static bool find_values(const xn_shots *s, const double *photons, double *y, double *work, int64_t *last, int most,
                        drift *d)
{
    double median, sum[MOST_BLOCKS] = {0}, n[MOST_BLOCKS] = {0}, within = 0, mean = 0;
    int64_t at = 0;
    for (int64_t i = 0; i < s->n; i++)
        if (counts(s, photons, i, XN_LASER_OFF)) work[d->off] = y[d->off] = photons[i] / s->i0[i], d->off++;
    d->blocks = (int)xn_min64(most, d->off / FEWEST_SHOTS);
    if (d->blocks < FEWEST_BLOCKS) return false;
    double reach = OUTLIER_SIGMA * xn_median_spread(work, d->off, &median);
    if (!(reach > 0) || !(median > 0)) return false;
    for (int64_t i = 0; i < s->n; i++) {
        if (!counts(s, photons, i, XN_LASER_OFF)) continue;
        int64_t block = at * d->blocks / d->off;
        y[at] = fmax(median - reach, fmin(median + reach, y[at])) / median;
        sum[block] += y[at++];
        n[block]++;
        last[block] = i;
    }
    for (int k = 0; k < d->blocks; k++) mean += (d->value[k] = sum[k] / n[k]) / d->blocks;
    for (at = 0; at < d->off; at++) within += pow(y[at] - d->value[at * d->blocks / d->off], 2);
    d->variance = within / (double)(d->off - d->blocks) * d->blocks / (double)d->off;
    for (int k = 0; k < d->blocks; k++) {
        d->value[k] -= mean;
        d->chi2 += d->value[k] * d->value[k] / d->variance;
    }
    return d->variance > 0;
}

// count: (bins, blocks) laser-on shots.
static void find_rms(const xn_cube *c, const double *photons, const int64_t *last, double *count, drift *d)
{
    const xn_shots *s = &c->shots;
    double all = 0, mean = 0, spread = 0, bins = 0;
    int block = 0;
    for (int64_t i = 0; i < s->n; i++) {
        while (block + 1 < d->blocks && i > last[block]) block++;
        if (!counts(s, photons, i, XN_LASER_ON) || s->bin[i] < 0) continue;
        count[s->bin[i] * d->blocks + block]++;
        mean += d->value[block];
        spread += d->value[block] * d->value[block];
        all++;
    }
    mean /= all;
    spread = fmax(0.0, spread / all - mean * mean - d->variance);
    for (int b = 0; b < c->nbins; b++) {
        double n = 0, sum = 0, squares = 0;
        for (int k = 0; k < d->blocks; k++) {
            double in = count[b * d->blocks + k];
            n += in;
            sum += in * d->value[k];
            squares += in * in;
        }
        if (!(n > 0)) continue;
        bins++;
        d->rms += n * pow(sum / n - mean, 2) / all;
        d->by_chance += squares / n * d->variance / all;
    }
    d->by_chance += spread * bins / all;
}

static bool drifts(const drift *d)
{
    double free = d->blocks - 1.0;
    return d->chi2 > free + LEAST_SIGMA * sqrt(2.0 * free) && d->rms - d->by_chance > LEAST_RMS * LEAST_RMS &&
           d->rms > LEAST_RATIO * d->by_chance;
}

static void say(xn_ctx *ctx, const drift *d)
{
    xn_warn(
        ctx,
        "photons per I0 of the laser-off shots drift by %.2f %% rms during the run, and with the delay: %.2f %% rms "
        "of the signal between delay bins are that drift; reduce.off.mode: blocks removes it",
        100 * sqrt(d->variance * (d->chi2 / (d->blocks - 1.0) - 1.0)), 100 * sqrt(d->rms - d->by_chance));
}

void xn_drift_check(xn_ctx *ctx, const xn_cube *c)
{
    static const int most[] = {MOST_BLOCKS, FEW_BLOCKS};
    const double *photons = xn_shots_find(&c->shots, XN_COLUMN_PHOTONS);
    if (photons == NULL || c->on.expect != NULL) return; // blocks of time have references of their own
    size_t n = (size_t)c->shots.n, cells = (size_t)c->nbins * MOST_BLOCKS;
    double *y = xn_alloc(n, sizeof *y), *work = xn_alloc(n, sizeof *work), *count = xn_alloc(cells, sizeof *count);
    bool ready = y != NULL && work != NULL && count != NULL; // a check only
    for (int k = 0; ready && k < 2; k++) {
        drift d = {0};
        int64_t last[MOST_BLOCKS] = {0};
        if (!find_values(&c->shots, photons, y, work, last, most[k], &d)) break;
        memset(count, 0, cells * sizeof *count);
        find_rms(c, photons, last, count, &d);
        if (!drifts(&d)) continue;
        say(ctx, &d);
        break;
    }
    xn_free(y);
    xn_free(work);
    xn_free(count);
}
