// SPDX-License-Identifier: BSD-3-Clause
// report_i0.c -- do the photons go with I0?  Photons per I0 of the laser-off shots used, against I0.
//
// Twenty groups of equal numbers of shots by I0; in each the ratio of sums, relative to that of all, with the standard
// error from the scatter of the shots.  A good monitor gives a level line; where select.i0_correction was at work, the
// monitor as it was read is shown beside it.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/report.h"

#define GROUPS 20
#define FEWEST_IN_GROUP 5
#define PAGE_W 1000
#define PAGE_H 620

typedef struct series {
    int n;
    double x[GROUPS], y[GROUPS], error[GROUPS]; // relative intensity, per cent
} series;

typedef struct picture {
    series now, before; // before: n 0 without a correction
} picture;

typedef struct shot {
    double i0, photons;
} shot;

static int by_i0(const void *a, const void *b)
{
    double x = ((const shot *)a)->i0, y = ((const shot *)b)->i0;
    return (x > y) - (x < y);
}

static void fill(const report_shots *s, const double *i0, series *out)
{
    shot *off = cli_alloc((size_t)s->n, sizeof *off);
    int64_t n = 0;
    double photons = 0, sum = 0;
    for (int64_t i = 0; i < s->n; i++) {
        if (s->verdict[i] != 0 || s->laser[i] != 0 || !isfinite(s->photons[i]) || !(i0[i] > 0)) continue;
        off[n++] = (shot){i0[i], s->photons[i]};
        photons += s->photons[i];
        sum += i0[i];
    }
    out->n = 0;
    qsort(off, (size_t)n, sizeof *off, by_i0);
    for (int g = 0; g < GROUPS && n >= GROUPS * FEWEST_IN_GROUP; g++) {
        int64_t from = g * n / GROUPS, to = (g + 1) * n / GROUPS;
        double p = 0, m = 0, squares = 0, count = (double)(to - from);
        for (int64_t i = from; i < to; i++) {
            p += off[i].photons;
            m += off[i].i0;
        }
        for (int64_t i = from; i < to; i++) squares += pow(off[i].photons - p / m * off[i].i0, 2);
        out->x[g] = m / count / (sum / (double)n);
        out->y[g] = 100 * (p / m / (photons / sum) - 1);
        out->error[g] = 100 * sqrt(squares * count / (count - 1)) / m / (photons / sum);
        out->n++;
    }
    free(off);
}

static void reach(const series *s, double *lo, double *hi)
{
    for (int g = 0; g < s->n; g++) {
        *lo = fmin(*lo, s->y[g] - s->error[g]);
        *hi = fmax(*hi, s->y[g] + s->error[g]);
    }
}

static void draw_linearity(const void *data)
{
    const picture *p = data;
    const bool corrected = p->before.n > 0;
    draw_axes a = draw_axes_page(PAGE_W, PAGE_H);
    double lo = 0, hi = 0;
    reach(&p->now, &lo, &hi);
    reach(&p->before, &lo, &hi);
    a.x0 = fmin(p->now.x[0], corrected ? p->before.x[0] : INFINITY) - 0.05;
    a.x1 = fmax(p->now.x[GROUPS - 1], corrected ? p->before.x[GROUPS - 1] : 0) + 0.05;
    a.y0 = lo - 0.08 * (hi - lo);
    a.y1 = hi + 0.32 * (hi - lo); // room for the legend
    a.x_label = "Incoming intensity I₀ over its mean, laser off";
    a.y_label = "Photons per I₀, change (%)";
    draw_axes_fit(&a);
    draw_line(&a, a.x0, 0, a.x1, 0, DRAW_INK, 2, DRAW_DASHED);
    if (corrected) draw_points(&a, GROUPS, p->before.x, p->before.y, p->before.error, DRAW_ORANGE, 6, 1);
    draw_points(&a, GROUPS, p->now.x, p->now.y, p->now.error, DRAW_BLUE, 6, 1);
    draw_axes_frame(&a);
    draw_legend(&a, true, 0, 'o', DRAW_BLUE, corrected ? "I₀ corrected" : "I₀ as read");
    if (corrected) draw_legend(&a, true, 1, 'o', DRAW_ORANGE, "as read");
}

static json_t *series_json(const series *s)
{
    return json_pack("{s:o, s:o, s:o}", "relative_i0", numbers_json(s->x, s->n), "change_percent",
                     numbers_json(s->y, s->n), "errors_percent", numbers_json(s->error, s->n));
}

void report_i0_linearity(report *r, const report_run *run, json_t *json)
{
    const report_shots *s = &run->shots;
    if (s->photons == NULL || s->verdict == NULL || s->laser == NULL) return;
    picture p = {0};
    fill(s, s->i0, &p.now);
    if (p.now.n == 0) return;
    if (s->i0_read != NULL) fill(s, s->i0_read, &p.before);
    json_t *o = series_json(&p.now);
    if (p.before.n > 0) json_object_set_new(o, "as_read", series_json(&p.before));
    json_object_set_new(json, "i0_linearity", o);
    double lo = 0, hi = 0, last = 0;
    reach(&p.now, &lo, &hi);
    for (int g = 0; g < GROUPS; g++) last = fmax(last, fabs(p.now.y[g]) / p.now.error[g]);
    char *name = report_picture_name(r, run, "i0_linearity");
    char *caption = cli_format("Photons of the whole detector per I₀ in laser-off shots, twenty groups by I₀ (± one "
                               "standard error; the farthest lies %.1f of them from the mean). A slope means that bins "
                               "of other mean intensity get a false signal%s.",
                               last, p.before.n > 0 ? "; I₀ was corrected" : "");
    report_picture(r, name, PAGE_W, PAGE_H, draw_linearity, &p, false, caption);
    free(caption);
    free(name);
}
