// SPDX-License-Identifier: BSD-3-Clause
// compare.c -- the modes found so far beside those expected.
//
// With force constants the ratios of measured to expected amplitudes and frequencies tell how much the laser changed
// the constants, and replace what was assumed; dampings are taken as measured.  Without, the modes themselves stand for
// what can be found, in three thirds by strength.  Modes with A/sigma_A above 8 are taken, above 5 or 3 only where
// those are too few: the weakest accepted ones are those that noise has lifted over the threshold.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plan/plan.h"
#include "result/result.h"
#include "xani/traces.h"

#define LEVELS 3
#define ENOUGH 20
#define NEAR_SHARE 0.15  // a line is that of a branch within this share of its frequency,
#define STRONG_SHARE 0.3 // of those that are not much weaker than the strongest of them

static const double clear_snr[LEVELS] = {8.0, 5.0, 3.0};

typedef struct {
    double *ratio, *pitch, *damping[XN_PLAN_BRANCHES]; // of amplitudes, of frequencies
    int64_t n, n_damping[XN_PLAN_BRANCHES];
} matches;

static bool usable(const xn_modes *m, int64_t at, double least)
{
    return isfinite(m->frequency[at]) && m->amplitude[at] > 0.0F &&
           (double)m->amplitude[at] > least * (double)m->amplitude_errors[at] && isfinite(m->damping[at]);
}

// The nearest of those branches that are strong enough and near enough to be this line; -1: none.
static int branch_of(const xn_plan *p, const xn_plan_sight *s, double f)
{
    double strongest = 0.0, nearest = INFINITY;
    int branch = -1;
    for (int b = 0; b < p->branches; b++)
        if (fabs(f - s[b].f_thz) < NEAR_SHARE * f) strongest = fmax(strongest, fabs(s[b].amplitude));
    for (int b = 0; b < p->branches; b++) {
        double off = fabs(f - s[b].f_thz);
        if (off < NEAR_SHARE * f && off < nearest && fabs(s[b].amplitude) > STRONG_SHARE * strongest)
            nearest = off, branch = b;
    }
    return strongest > 0.0 ? branch : -1;
}

static void match_group(const xn_plan *p, const xn_modes *m, double least, const xn_plan_group *g,
                        const xn_plan_sight *s, matches *out)
{
    int64_t plane = m->ny * m->nx;
    for (int k = 0; k < m->count[g->at]; k++) {
        int64_t at = k * plane + g->at;
        double f = (double)m->frequency[at];
        int b = usable(m, at, least) ? branch_of(p, s, f) : -1;
        if (b < 0) continue;
        double left = xn_plan_left(p, f);
        out->pitch[out->n] = f / s[b].f_thz;
        out->ratio[out->n++] = (double)m->amplitude[at] / fabs(s[b].amplitude * g->dilution * left);
        out->damping[b][out->n_damping[b]++] = (double)m->damping[at];
    }
}

static void with_crystal(const xn_plan *p, const xn_modes *m, int run, double least, matches *out)
{
    if (m->ny != p->scene.ny || m->nx != p->scene.nx || m->spatial_bin != p->bin) return;
    for (int64_t i = 0; i < p->n_groups; i++)
        if (p->group[i].run == run) match_group(p, m, least, &p->group[i], p->sight + i * p->branches, out);
}

typedef struct {
    double amplitude, f, damping;
} plain_mode;

static int by_amplitude(const void *a, const void *b)
{
    double x = ((const plain_mode *)a)->amplitude, y = ((const plain_mode *)b)->amplitude;
    return (x < y) - (x > y);
}

// Without force constants: the strongest, the middle and the weakest third of the modes found.
static xani_status without_crystal(xn_plan *p, const xn_modes *m)
{
    int64_t all = (int64_t)m->n_modes * m->ny * m->nx, n = 0;
    plain_mode *list = xn_alloc((size_t)all, sizeof *list);
    double *v = xn_alloc((size_t)all, sizeof *v);
    xani_status st = list != NULL && v != NULL ? XANI_OK : xn_fail_memory(p->ctx, "the modes", (size_t)all * 32);
    for (int64_t i = 0; st == XANI_OK && i < all; i++) {
        if (!usable(m, i, 0.0)) continue;
        double f = (double)m->frequency[i];
        double left = xn_plan_left(p, f);
        list[n++] = (plain_mode){(double)m->amplitude[i] / left, f, (double)m->damping[i]};
    }
    const bool damping_given = xn_config_has(p->config, "plan.damping_per_ps");
    if (st == XANI_OK && n >= ENOUGH && p->branches == 3) {
        qsort(list, (size_t)n, sizeof *list, by_amplitude);
        for (int b = 0; b < 3; b++) {
            int64_t from = b * n / 3, k = (b + 1) * n / 3 - from;
            const plain_mode *third = list + from;
            for (int64_t i = 0; i < k; i++) v[i] = third[i].f;
            p->sight[b].f_thz = xn_plan_median(v, k);
            for (int64_t i = 0; i < k; i++) v[i] = third[i].damping;
            if (!damping_given) p->damping_per_ps[b] = xn_plan_median(v, k);
            if (!damping_given) p->damping_from[b] = "modes.h5";
            p->sight[b].amplitude = third[k / 2].amplitude;
        }
        p->amplitude_from = "modes.h5";
    }
    xn_free(list);
    xn_free(v);
    return st;
}

static json_t *row_of(const xn_plan *p, int run, const xn_modes *m)
{
    int64_t plane = m->ny * m->nx, with = 0, fitted = 0, n = 0;
    double *v = xn_alloc(3 * (size_t)plane + 1, sizeof *v), *a = v + plane, *e = a + plane;
    for (int64_t i = 0; v != NULL && i < plane; i++) {
        fitted += m->status[i] != XN_FIT_MASKED;
        if (m->count[i] == 0) continue;
        with++;
        v[n] = (double)m->frequency[i];
        a[n] = (double)m->amplitude[i];
        e[n++] = (double)m->frequency_errors[i];
    }
    json_t *o = json_pack("{s:s, s:I, s:I}", "run", xn_plan_run_name(p, run), "groups", (json_int_t)fitted,
                          "with_modes", (json_int_t)with);
    if (v != NULL) {
        xn_plan_set(o, "frequency_thz", xn_plan_median(v, n));
        xn_plan_set(o, "amplitude", xn_plan_median(a, n));
        xn_plan_set(o, "sigma_nu_thz", 0.5 * xn_plan_median(e, n));
    }
    xn_free(v);
    return o;
}

void xn_plan_shift(xn_plan *p, double frequency_scale)
{
    p->frequency_scale = frequency_scale;
    for (int64_t i = 0; i < p->n_groups * p->branches; i++) {
        xn_plan_sight *s = &p->sight[i];
        s->f_thz *= frequency_scale;
        for (int k = 0; k < 2; k++) s->slope_thz[k] *= frequency_scale;
    }
}

xani_status xn_plan_results_bin(const xn_plan *p, int *bin)
{
    xn_modes m;
    *bin = 0;
    for (int run = 0; run < p->n_runs; run++) {
        if (p->modes_path[run] == NULL) continue;
        XN_TRY(xn_result_read_modes(p->ctx, p->modes_path[run], &m));
        *bin = m.spatial_bin;
        xn_modes_free(&m);
        return XANI_OK;
    }
    return XANI_OK;
}

static bool conclude(xn_plan *p, const matches *found)
{
    if (found->n < ENOUGH) return false;
    p->amplitude_scale = xn_plan_median(found->ratio, found->n);
    p->amplitude_from = "modes.h5";
    xn_plan_shift(p, xn_plan_median(found->pitch, found->n));
    bool given = xn_config_has(p->config, "plan.damping_per_ps");
    for (int b = 0; b < p->branches && !given; b++)
        if (found->n_damping[b] >= ENOUGH) {
            p->damping_per_ps[b] = xn_plan_median(found->damping[b], found->n_damping[b]);
            p->damping_from[b] = "modes.h5";
        }
    return true;
}

// Modes of one run: a row of the answer, matches at three levels of clearness.
static xani_status compare_run(xn_plan *p, int run, matches found[LEVELS])
{
    bool softening = xn_config_count(p->config, "plan.softening") > 0,
         given = xn_config_count(p->config, "plan.modes") > 0;
    xani_status st = XANI_OK;
    xn_modes m;
    XN_TRY(xn_result_read_modes(p->ctx, p->modes_path[run], &m));
    json_array_append_new(p->results, row_of(p, run, &m));
    for (int k = 0; k < LEVELS && p->has_crystal && !softening; k++) with_crystal(p, &m, run, clear_snr[k], &found[k]);
    if (!p->has_crystal && !given) st = without_crystal(p, &m);
    xn_modes_free(&m);
    return st;
}

xani_status xn_plan_compare(xn_plan *p)
{
    matches found[LEVELS] = {0};
    size_t room = (size_t)p->n_groups * XANI_MAX_MODES, each = room * (size_t)(p->branches + 2);
    double *all = xn_alloc(LEVELS * each + 1, sizeof *all);
    if (all == NULL) return xn_fail_memory(p->ctx, "the modes", LEVELS * each * 8);
    for (int k = 0; k < LEVELS; k++) {
        found[k].ratio = all + (size_t)k * each;
        found[k].pitch = found[k].ratio + room;
        for (int b = 0; b < p->branches; b++) found[k].damping[b] = found[k].ratio + room * (size_t)(b + 2);
    }
    xani_status st = XANI_OK;
    for (int run = 0; run < p->n_runs && st == XANI_OK; run++)
        if (p->modes_path[run] != NULL) st = compare_run(p, run, found);
    for (int k = 0; k < LEVELS && st == XANI_OK; k++)
        if (conclude(p, &found[k])) break;
    xn_free(all);
    return st;
}
