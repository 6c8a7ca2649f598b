// SPDX-License-Identifier: BSD-3-Clause
// points.c -- accepted modes of a run to points of the dispersion.
//
// nu = f/2 for a squeezed pair (q, -q), the standard case; nu = f for a coherent mode, which is seen at a Bragg peak
// (science.md 9).  `auto`: a pixel group that contains a Bragg peak, or lies within 2 % of the zone's size of it,
// shows coherent modes; a crystal with one atom per primitive cell has no vibration at q = 0 and shows pairs only.
// weight: see map.h.  alias: the frequency could also be that of a phonon whose oscillation lies above the Nyquist
// frequency f_N, because 2 f_N - f is within the crystal's reach: 1 where that is known, 2 where only a limit is.  Bins
// that are not even have no f_N: there a line is marked that is above the crystal's reach.
#include <math.h>
#include <string.h>

#include "map/parts.h"

#define NEAR_BRAGG 0.02 // of the cube root of the zone's volume

static bool grow(void *array, int64_t n, size_t size)
{
    void **p = array, *bigger = xn_realloc(*p, (size_t)n, size);
    if (bigger != NULL) *p = bigger;
    return bigger != NULL;
}

static xani_status reserve(xn_ctx *ctx, xn_points *p, int64_t n)
{
    if (n <= p->capacity && p->hkl != NULL) return XANI_OK;
    n = xn_max64(xn_max64(n, 1), p->capacity / 2 * 3); // runs come one after the other
    bool ok =
        grow(&p->hkl, 3 * n, sizeof *p->hkl) && grow(&p->g, 3 * n, sizeof *p->g) && grow(&p->q, 3 * n, sizeof *p->q) &&
        grow(&p->frequency, n, sizeof *p->frequency) && grow(&p->frequency_errors, n, sizeof *p->frequency_errors) &&
        grow(&p->amplitude, n, sizeof *p->amplitude) && grow(&p->amplitude_errors, n, sizeof *p->amplitude_errors) &&
        grow(&p->coherent, n, 1) && grow(&p->branch, n, sizeof *p->branch) &&
        grow(&p->pixel, 2 * n, sizeof *p->pixel) && grow(&p->run, n, sizeof *p->run) &&
        grow(&p->weight, n, sizeof *p->weight) && grow(&p->alias, n, 1) && grow(&p->images, 2 * n, sizeof *p->images);
    if (!ok) return xn_fail_memory(ctx, "the points", (size_t)n * 126);
    p->capacity = n;
    return XANI_OK;
}

// What is the same for all points of a run.
typedef struct run_facts {
    const xn_scene *scene;
    const xn_view *view;
    const xn_modes *modes;
    xn_kind kind;
    int run;
    double resolution_thz; // 1/T in f
    double nyquist_thz;    // NaN: unknown
    const float *unfolded; // (mode, y, x) or NULL
} run_facts;

bool xn_pixel_coherent(const xn_scene *s, const xn_view *v, xn_kind kind, int64_t pixel)
{
    if (kind != XN_KIND_AUTO) return kind == XN_KIND_COHERENT;
    if (s->atoms == 1) return false;
    const double *q = v->q + 3 * pixel;
    double near = fmax(1.01 * (double)s->q_group[pixel], NEAR_BRAGG * s->zone_scale);
    return q[0] * q[0] + q[1] * q[1] + q[2] * q[2] <= near * near;
}

// reach: highest frequency of an oscillation.
static uint8_t alias_of(const run_facts *r, double f, double reach)
{
    const bool image = r->nyquist_thz < reach && 2.0 * r->nyquist_thz - f <= reach;
    if (isnan(r->nyquist_thz) ? !(f > reach) : !image) return XN_ALIAS_NO;
    return isnan(r->scene->max_thz) ? XN_ALIAS_UNKNOWN : XN_ALIAS_MAY_BE;
}

static void put(const run_facts *r, int64_t pixel, int k, bool combination, xn_collection *c, int64_t at)
{
    xn_points *p = combination ? &c->combinations : &c->points;
    const xn_modes *m = r->modes;
    int64_t i = (int64_t)k * m->ny * m->nx + pixel;
    bool coherent = !combination && xn_pixel_coherent(r->scene, r->view, r->kind, pixel);
    bool told = r->unfolded != NULL && !isnan(r->unfolded[i]);
    double factor = combination || coherent ? 1.0 : 0.5, f = (double)(told ? r->unfolded : m->frequency)[i];
    double sigma = factor * xn_mode_sigma_thz(m, i), box = factor * r->resolution_thz;
    memcpy(p->hkl + 3 * at, r->view->hkl + 3 * pixel, 3 * sizeof *p->hkl);
    memcpy(p->g + 3 * at, r->view->g + 3 * pixel, 3 * sizeof *p->g);
    memcpy(p->q + 3 * at, r->view->q + 3 * pixel, 3 * sizeof *p->q);
    p->frequency[at] = factor * f;
    p->frequency_errors[at] = sigma;
    p->amplitude[at] = (double)m->amplitude[i];
    p->amplitude_errors[at] = (double)m->amplitude_errors[i];
    p->coherent[at] = coherent;
    p->branch[at] = -1;
    p->pixel[2 * at] = (int32_t)(pixel / m->nx);
    p->pixel[2 * at + 1] = (int32_t)(pixel % m->nx);
    p->run[at] = r->run;
    if (isnan(sigma)) sigma = box;
    p->weight[at] = 1.0 / (sigma * sigma + box * box / 12.0);
    double reach = (coherent ? 1.0 : 2.0) * xn_scene_reach(r->scene); // of sums of two phonons as of pairs
    p->alias[at] = told ? XN_ALIAS_NO : alias_of(r, f, reach);
    for (int e = 0; e < 2; e++) {
        double image = 2.0 * r->nyquist_thz + (e == 0 ? -f : f);
        p->images[2 * at + e] = p->alias[at] != XN_ALIAS_NO && image <= reach ? (float)(factor * image) : NAN;
    }
    if (combination) return;
    c->width[at] = (float)fmax(sigma, factor * fmax(0.0, (double)m->damping[i]) / (2.0 * M_PI));
    xn_view_edges(r->scene, r->view, pixel, c->edge + 6 * at);
    c->window[at] = (float)(1.0 / r->resolution_thz);
    c->damping[at] = fmaxf(0.0F, m->damping[i]);
}

// Where each pixel's points begin: first[0][pixel] among the points, first[1][pixel] among the combinations.
static void count_points(const xn_view *v, const xn_modes *m, const uint8_t *combination, int64_t *first[2])
{
    int64_t plane = m->ny * m->nx, n[2] = {0, 0};
    for (int64_t i = 0; i < plane; i++) {
        first[0][i] = n[0];
        first[1][i] = n[1];
        for (int k = 0; v->seen[i] && k < m->n_modes; k++)
            if (xn_mode_accepted(m, i, k)) n[combination[k * plane + i] != 0]++;
    }
    first[0][plane] = n[0];
    first[1][plane] = n[1];
}

static void fill_points(const run_facts *r, const uint8_t *combination, int64_t *const first[2], int64_t base,
                        int64_t combination_base, xn_collection *c)
{
    const xn_modes *m = r->modes;
    int64_t plane = m->ny * m->nx, coherent = 0, bragg = 0, aliased = 0;
#pragma omp parallel for schedule(static) num_threads(r->scene->threads) reduction(+ : coherent, bragg, aliased)
    for (int64_t i = 0; i < plane; i++) {
        int64_t at = base + first[0][i], other = combination_base + first[1][i];
        if (first[0][i] == first[0][i + 1] && first[1][i] == first[1][i + 1]) continue;
        for (int k = 0; k < m->n_modes; k++) {
            if (!xn_mode_accepted(m, i, k)) continue;
            if (combination[k * plane + i] != 0) {
                put(r, i, k, true, c, other++);
                continue;
            }
            put(r, i, k, false, c, at);
            coherent += c->points.coherent[at];
            aliased += c->points.alias[at] != XN_ALIAS_NO;
            at++;
        }
        bragg += at > base + first[0][i] && c->points.coherent[at - 1] != 0;
    }
    c->coherent += coherent;
    c->bragg_pixels += bragg;
    c->aliased += aliased;
}

xani_status xn_points_add(xn_ctx *ctx, const xn_scene *s, const xn_view *v, const xn_modes *m, int run,
                          const float *unfolded, xn_collection *c)
{
    size_t plane = (size_t)(m->ny * m->nx);
    xani_status st = XANI_OK;
    double window = m->delay_hi_ps - m->delay_lo_ps;
    const run_facts r = {s, v, m, c->kind, run, window > 0.0 ? 1.0 / window : 0.1, 0.5 / m->step_ps, unfolded};
    uint8_t *combination = xn_calloc(plane * (size_t)m->n_modes + 1, 1);
    int64_t *first[2] = {xn_alloc(plane + 1, sizeof **first), xn_alloc(plane + 1, sizeof **first)};
    if (combination == NULL || first[0] == NULL || first[1] == NULL) {
        st = xn_fail_memory(ctx, "the points of a run", plane * 18);
        goto out;
    }
    if (c->kind != XN_KIND_COHERENT) XN_GOTO(out, st, xn_combinations_find(ctx, m, s->threads, combination));
    count_points(v, m, combination, first);
    int64_t base = c->points.n, other = c->combinations.n;
    XN_GOTO(out, st, reserve(ctx, &c->points, base + first[0][plane]));
    XN_GOTO(out, st, reserve(ctx, &c->combinations, other + first[1][plane]));
    if (!grow(&c->width, c->points.capacity, sizeof *c->width) ||
        !grow(&c->edge, 6 * c->points.capacity, sizeof *c->edge) ||
        !grow(&c->window, c->points.capacity, sizeof *c->window) ||
        !grow(&c->damping, c->points.capacity, sizeof *c->damping)) {
        st = xn_fail_memory(ctx, "the widths of the points", (size_t)c->points.capacity * 36);
        goto out;
    }
    c->points.n += first[0][plane];
    c->combinations.n += first[1][plane];
    fill_points(&r, combination, first, base, other, c);
out:
    xn_free(combination);
    xn_free(first[0]);
    xn_free(first[1]);
    return st;
}

void xn_collection_free(xn_collection *c)
{
    xn_points_free(&c->points);
    xn_points_free(&c->combinations);
    xn_free(c->width);
    xn_free(c->edge);
    xn_free(c->window);
    xn_free(c->damping);
    memset(c, 0, sizeof *c);
}
