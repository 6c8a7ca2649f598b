// SPDX-License-Identifier: BSD-3-Clause
// window.c -- see window.h.
//
// W(d) = |sum v_i exp(2 pi i d t_i)|/sum v_i, v_i the weights times exp(-rate t_i): what a mode at f looks like at
// f + d (Deeming 1975, Astrophys. Space Sci. 36, 137).  Where W comes back to 0.95 a mode and its image at f + d
// differ by a tenth of the signal, 1 - W^2, and no more: the band ends at half of that d (Eyer and Bartholdi 1999,
// Astron. Astrophys. Suppl. 135, 1).  Even delays come back to 1 at d = 1/step.  Delays that are all different never
// do, so that another limit is needed: the smallest step that recurs, an eighth of all (weighted) being within a fifth
// of it, or what most delays are apart where that is less.  Cost: the start has a point for each such step; more than
// 32 per sample are not worth it.
#include "fit/window.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TWO_PI 6.28318530717958647693
#define FINER 4.0        // points of W within 1/T
#define SAME_AGAIN 0.95  // W of an image
#define APART 0.5        // times the rate: beyond, W of even delays is below 0.34
#define LOBE 0.4         // W as high as this there: the highest peak of two modes may be neither
#define RECURS 0.125     // of the weight of all steps
#define RECURS_LEAST 8   // steps
#define NEARLY 1.2       // largest over smallest step that count as the same
#define STEPS_MOST 32.0  // per sample, to go below the usual step
#define SAME 1e-4        // of a large step: nearer delays are one delay measured again
#define LOOKS_MOST 100e6 // samples times points of W

typedef struct {
    double value, weight;
} part;

typedef struct {
    int n;
    double span, rate, weight;
    part *at; // (n) time, v
} window;

static int by_value(const void *a, const void *b)
{
    const double x = ((const part *)a)->value, y = ((const part *)b)->value;
    return (x > y) - (x < y);
}

static xani_status window_open(xn_ctx *ctx, const xn_fit_setup *s, double begin_ps, window *w)
{
    memset(w, 0, sizeof *w);
    if ((w->at = xn_alloc((size_t)s->n, sizeof *w->at)) == NULL)
        return xn_fail_memory(ctx, "the window of the delays", (size_t)s->n * sizeof *w->at);
    for (int i = 0; i < s->n; i++) {
        const double weight = s->weight == NULL ? 1.0 : s->weight[i];
        if (weight > 0.0 && s->delay_ps[i] >= begin_ps) w->at[w->n++] = (part){s->delay_ps[i], weight};
    }
    w->span = w->n > 1 ? w->at[w->n - 1].value - w->at[0].value : 0.0;
    w->rate = w->span > 0.0 ? fmax(2.0 / w->span, XN_WINDOW_PER_PS) : 0.0;
    for (int i = 0; i < w->n; i++) {
        w->at[i].weight *= exp(-w->rate * (w->at[i].value - w->at[0].value));
        w->weight += w->at[i].weight;
    }
    return XANI_OK;
}

// The first d from `from` to `to` where W rises to `enough` again, at the top of that lobe, or else where it is
// highest; W there, 0 if there is nothing.
static xani_status window_scan(xn_ctx *ctx, const window *w, double from, double to, double enough, double *d,
                               double *height)
{
    const double step = w->span > 0.0 ? 1.0 / (FINER * w->span) : 0.0, looks = step > 0.0 ? to / step : 0.0;
    double before = 1.0, here = 1.0;
    bool outside = from > 0.0;
    *d = *height = 0.0;
    if (!(looks >= 1.0) || looks * w->n > LOOKS_MOST) return XANI_OK;
    double *re = xn_alloc(4 * (size_t)w->n, sizeof *re);
    if (re == NULL) return xn_fail_memory(ctx, "the window of the delays", 4 * (size_t)w->n * sizeof *re);
    double *im = re + w->n, *cosine = im + w->n, *sine = cosine + w->n;
    for (int i = 0; i < w->n; i++) {
        const double angle = TWO_PI * step * (w->at[i].value - w->at[0].value);
        re[i] = w->at[i].weight;
        im[i] = 0.0;
        cosine[i] = cos(angle);
        sine[i] = sin(angle);
    }
    for (int j = 1; j < looks + 1.0; j++) {
        double sum_re = 0.0, sum_im = 0.0;
        for (int i = 0; i < w->n; i++) {
            const double x = re[i] * cosine[i] - im[i] * sine[i];
            im[i] = re[i] * sine[i] + im[i] * cosine[i];
            re[i] = x;
            sum_re += x;
            sum_im += im[i];
        }
        here = hypot(sum_re, sum_im) / w->weight;
        if (*height >= enough && here < before) break;
        outside = outside || (here >= before && before < SAME_AGAIN);
        if (outside && j * step >= from && here > *height) {
            *height = here;
            *d = j * step;
        }
        before = here;
    }
    xn_free(re);
    return XANI_OK;
}

static double same_delay(const part *step, int n) { return SAME * step[19 * (int64_t)n / 20].value; }

// The median step. Where most delays are there twice (or nearly), that to the next other one.
static double usual_step(const xn_fit_setup *s, part *step)
{
    const int n = s->n - 1;
    int others = 0;
    for (int i = 0; i < n; i++) step[i] = (part){s->delay_ps[i + 1] - s->delay_ps[i], 1.0};
    qsort(step, (size_t)n, sizeof *step, by_value);
    const double same = same_delay(step, n);
    if (step[n / 2].value > same) return step[n / 2].value;
    while (others < n && !(step[others].value > same)) others++;
    return others < n ? step[(others + n) / 2].value : 0.0;
}

// The smallest step that recurs; INFINITY: none.
static double recurring_step(const window *w, part *step)
{
    int n = w->n - 1, begin = 0;
    for (int i = 0; i < n; i++)
        step[i] = (part){w->at[i + 1].value - w->at[i].value, 0.5 * (w->at[i].weight + w->at[i + 1].weight)};
    if (n < RECURS_LEAST) return INFINITY;
    qsort(step, (size_t)n, sizeof *step, by_value);
    const double same = same_delay(step, n);
    while (begin < n && !(step[begin].value > same)) begin++;
    double all = 0.0, inside = 0.0, sum = 0.0, most = 0.0, found = INFINITY, first = INFINITY;
    for (int i = begin; i < n; i++) all += step[i].weight;
    for (int i = begin, end = begin; i < n && step[i].value <= NEARLY * first; i++) {
        for (; end < n && step[end].value <= NEARLY * step[i].value; end++) {
            inside += step[end].weight;
            sum += step[end].weight * step[end].value;
        }
        if (end - i >= RECURS_LEAST && inside >= RECURS * all && inside > most) {
            if (!(first < INFINITY)) first = step[i].value;
            most = inside;
            found = sum / inside;
        }
        inside -= step[i].weight;
        sum -= step[i].weight * step[i].value;
    }
    return found;
}

xani_status xn_fit_window_step(xn_ctx *ctx, const xn_fit_setup *s, double begin_ps, double *step_ps)
{
    window w;
    double image = 0.0, height = 0.0;
    part *steps = xn_alloc((size_t)s->n, sizeof *steps);
    if (steps == NULL) return xn_fail_memory(ctx, "the steps of the delays", (size_t)s->n * sizeof *steps);
    xani_status st = window_open(ctx, s, begin_ps, &w);
    *step_ps = usual_step(s, steps);
    if (st == XANI_OK && w.span > 0.0 && *step_ps > 0.0) {
        const double recurs = recurring_step(&w, steps);
        if (recurs < *step_ps && w.span <= STEPS_MOST * w.n * recurs) *step_ps = recurs;
        st = window_scan(ctx, &w, 0.0, 1.0 / *step_ps, SAME_AGAIN, &image, &height);
        if (height >= SAME_AGAIN && image < 1.0 / *step_ps - 1.0 / w.span) *step_ps = 1.0 / image;
    }
    xn_free(w.at);
    xn_free(steps);
    return st;
}

xani_status xn_fit_window_lobe(xn_ctx *ctx, const xn_fit_setup *s, double begin_ps, double band_thz, double *at_thz)
{
    window w;
    double height = 0.0;
    *at_thz = 0.0;
    xani_status st = window_open(ctx, s, begin_ps, &w);
    if (st == XANI_OK) st = window_scan(ctx, &w, APART * w.rate, band_thz, INFINITY, at_thz, &height);
    if (height < LOBE) *at_thz = 0.0;
    xn_free(w.at);
    return st;
}
