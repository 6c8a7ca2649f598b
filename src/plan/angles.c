// SPDX-License-Identifier: BSD-3-Clause
// angles.c -- what the sample angles of the runs cover, and which come next.
//
// What there is to gain are the voxels of the irreducible zone (map/wedge.h): to be looked at by some pixel group, or
// each of their branches to be found in one.  A branch of a voxel is found with 1 - product (1 - p) over the groups
// that look there, p from predict.c; groups that were left out count like those looked at.  The next angle is the one
// with the greatest gain beside those there are, and so on: for sums of this kind (submodular) the greedy choice is
// never below 1 - 1/e = 63 % of the best choice of as many angles (Nemhauser, Wolsey and Fisher, Math. Programming 14,
// 265, 1978).
#include <math.h>
#include <string.h>

#include "plan/plan.h"

#define LOOKS_MOST 3e6 // pixel groups folded
#define SEEN_MOST 4e4  // pixel groups whose lines are calculated, times (branches/3)^2
#define CANDIDATES_MOST 5000
#define HOPELESS 2.0 // rho of lines that are found in less than one of a hundred groups
#define FOUND_LEAST 1e-4
#define CERTAIN (-40.0) // log(1 - p) where p is 1

typedef struct {
    int32_t item;
    float miss; // log(1 - p)
} gain;

typedef struct {
    int run; // -1: a candidate
    double angle[8];
    int n_angles;
    int64_t n_voxels, n_found;
    gain *voxel, *found;
    bool taken;
} view;

typedef struct {
    xn_plan *p;
    xn_wedge wedge;
    view *view;
    int n_views, n_candidates;
    bool by_found;
    double *missed_voxel, *missed_found; // log of the probability that the item was not seen so far
} job;

// ---- candidates

static xani_status circle_of(const xn_plan *p, int i, int *circle, double *start, double *step, int64_t *n)
{
    char key[XN_KEY_LENGTH], other[XN_KEY_LENGTH];
    const xn_config *c = p->config;
    const char *why = "angles from start_deg to stop_deg are compared";
    *circle = (int)xn_config_int(c, xn_key(key, "plan.angles[%d].circle", i)) - 1;
    if (*circle >= p->scene.goniometer.n)
        return xn_config_bad(p->ctx, c, key, "circle %d of a goniometer with %d", *circle + 1, p->scene.goniometer.n);
    XN_TRY(xn_config_require(p->ctx, c, xn_key(other, "plan.angles[%d].start_deg", i), why));
    XN_TRY(xn_config_require(p->ctx, c, xn_key(key, "plan.angles[%d].stop_deg", i), why));
    double stop = xn_config_double(c, key);
    *start = xn_config_double(c, other);
    *step = xn_config_double(c, xn_key(other, "plan.angles[%d].step_deg", i));
    if (!(stop >= *start)) return xn_config_bad(p->ctx, c, key, "%g is below start_deg, %g", stop, *start);
    *n = (int64_t)fmin(floor((stop - *start) / *step + 1e-9) + 1.0, 1e9);
    return XANI_OK;
}

static void add_view(job *j, int run, const double *angle, int n)
{
    view *v = &j->view[j->n_views++];
    v->run = run;
    v->n_angles = n;
    memcpy(v->angle, angle, (size_t)n * sizeof *angle);
}

static xani_status list_views(job *j)
{
    xn_plan *p = j->p;
    int n = xn_config_count(p->config, "plan.angles"), circle[8] = {0};
    double start[8] = {0}, step[8] = {0}, angle[8] = {0};
    int64_t count[8] = {0}, all = n > 0 ? 1 : 0;
    if (n > 8) return xn_config_bad(p->ctx, p->config, "plan.angles", "%d circles, at most 8", n);
    for (int i = 0; i < n; i++) {
        XN_TRY(circle_of(p, i, &circle[i], &start[i], &step[i], &count[i]));
        if (count[i] > CANDIDATES_MOST || (all *= count[i]) > CANDIDATES_MOST)
            return xn_config_bad(p->ctx, p->config, "plan.angles", "more than %d angles to compare", CANDIDATES_MOST);
    }
    j->n_candidates = (int)all;
    j->view = xn_calloc((size_t)(p->n_runs + all), sizeof *j->view);
    if (j->view == NULL) return xn_fail_memory(p->ctx, "the angles", (size_t)(p->n_runs + all) * sizeof *j->view);
    for (int run = 0; run < p->n_runs; run++) add_view(j, run, angle, xn_plan_angles_of(p, run, angle));
    for (int64_t k = 0; k < all; k++) {
        int64_t rest = k;
        for (int i = 0; i < p->scene.goniometer.n; i++) angle[i] = p->scene.goniometer.circle[i].angle_deg;
        for (int i = n - 1; i >= 0; i--) {
            angle[circle[i]] = start[i] + (double)(rest % count[i]) * step[i];
            rest /= count[i];
        }
        add_view(j, -1, angle, p->scene.goniometer.n);
    }
    return XANI_OK;
}

// ---- what a view shows

// Items with a miss below 0 of a dense list, which is cleared.
static gain *gather(double *miss, int64_t n, double least, int64_t *count)
{
    int64_t k = 0;
    for (int64_t i = 0; i < n; i++) k += miss[i] < least;
    gain *g = xn_alloc((size_t)k + 1, sizeof *g);
    *count = 0;
    for (int64_t i = 0; i < n; i++) {
        if (g != NULL && miss[i] < least) g[(*count)++] = (gain){(int32_t)i, (float)miss[i]};
        miss[i] = 0.0;
    }
    return g;
}

static int64_t voxel_at(const job *j, const xn_view *v, int64_t i)
{
    double hkl[3];
    for (int k = 0; k < 3; k++) hkl[k] = v->hkl[3 * i + k] - v->g[3 * i + k];
    return xn_wedge_voxel(&j->wedge, hkl);
}

// Adds log(1 - p) of each branch of every stride-th group.
static bool find_lines(const job *j, const xn_view *v, int64_t stride, double *miss)
{
    const xn_plan *p = j->p;
    bool memory = false;
    double on = xn_plan_on_shots(p);
#pragma omp parallel num_threads(p->threads)
    {
        xn_plan_eye *eye = xn_plan_eye_open(p);
        double *work = xn_alloc(xn_plan_work(&p->trace), sizeof *work);
        if (eye == NULL || work == NULL) {
#pragma omp atomic write
            memory = true;
        }
#pragma omp for schedule(dynamic, 64)
        for (int64_t i = stride / 2; i < v->n; i += stride) {
            xn_plan_group g = {0};
            xn_plan_sight s[XN_PLAN_BRANCHES];
            xn_plan_odds odds[XN_PLAN_BRANCHES];
            double clock[XN_PLAN_BRANCHES], spread[XN_PLAN_BRANCHES];
            int64_t voxel = v->seen[i] ? voxel_at(j, v, i) : -1;
            if (eye == NULL || work == NULL || voxel < 0 || !xn_plan_see(p, eye, v, i, &g, s)) continue;
            xn_plan_light(p, &g);
            xn_plan_group_odds(p, &g, s, p->bin, on, HOPELESS, work, odds, clock, spread);
            for (int b = 0; b < p->branches; b++) {
                double found = xn_plan_found_in(p, &odds[b], s, b);
                if (!(found > FOUND_LEAST)) continue;
                double add = (double)stride * fmax(log1p(-found), CERTAIN);
#pragma omp atomic
                miss[voxel * p->branches + b] += add;
            }
        }
        xn_plan_eye_close(&eye);
        xn_free(work);
    }
    return !memory;
}

static xani_status look(job *j, view *one, xn_view *v, int64_t stride, int64_t stride_found)
{
    xn_plan *p = j->p;
    XN_TRY(xn_scene_view(p->ctx, p->config, &p->scene, one->angle, one->n_angles, v));
    for (int64_t i = 0; i < v->n; i += stride) {
        int64_t voxel = v->seen[i] ? voxel_at(j, v, i) : -1;
        if (voxel >= 0) j->missed_voxel[voxel] = CERTAIN;
    }
    one->voxel = gather(j->missed_voxel, j->wedge.voxels, -FOUND_LEAST, &one->n_voxels);
    bool ok = one->voxel != NULL;
    if (ok && j->by_found) {
        ok = find_lines(j, v, stride_found, j->missed_found);
        one->found = gather(j->missed_found, j->wedge.voxels * p->branches, -FOUND_LEAST, &one->n_found);
        ok = ok && one->found != NULL;
    }
    return ok ? xn_check_interrupt(p->ctx) : xn_fail_memory(p->ctx, "what the angles show", 0);
}

// ---- greedy

static double gain_of(const gain *g, int64_t n, const double *missed)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) sum -= exp(missed[g[i].item]) * expm1((double)g[i].miss);
    return sum;
}

static void take(const gain *g, int64_t n, double *missed)
{
    for (int64_t i = 0; i < n; i++) missed[g[i].item] = fmax(missed[g[i].item] + (double)g[i].miss, CERTAIN);
}

static double share(const double *missed, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) sum -= expm1(missed[i]);
    return n > 0 ? sum / (double)n : NAN;
}

static void take_view(job *j, view *v)
{
    v->taken = true;
    take(v->voxel, v->n_voxels, j->missed_voxel);
    if (j->by_found) take(v->found, v->n_found, j->missed_found);
}

static double gain_by(const job *j, const view *v, bool found)
{
    return found ? gain_of(v->found, v->n_found, j->missed_found) : gain_of(v->voxel, v->n_voxels, j->missed_voxel);
}

static view *best_of(job *j, bool found, double *most)
{
    view *best = NULL;
    *most = 0.0;
    for (int i = 0; i < j->n_views; i++) {
        view *v = &j->view[i];
        if (v->run >= 0 || v->taken) continue;
        double g = gain_by(j, v, found);
        if (g > *most + 1e-9) *most = g, best = v; // ties: the first
    }
    return best;
}

static json_t *row_of(const job *j, const view *v, int number)
{
    char key[XN_KEY_LENGTH];
    const xn_config *c = j->p->config;
    const char *name = v->run >= 0 ? xn_config_string(c, xn_key(key, "runs[%d].name", v->run)) : NULL;
    json_t *o = json_object(), *angles = json_array();
    json_object_set_new(o, "angles", json_integer(number));
    json_object_set_new(o, "run", json_string(v->run < 0 ? "next" : name != NULL ? name : "given"));
    for (int i = 0; i < v->n_angles; i++) json_array_append_new(angles, json_real(v->angle[i]));
    json_object_set_new(o, "angle_deg", angles);
    json_object_set_new(o, "measured", json_boolean(v->run >= 0 && j->p->modes_path[v->run] != NULL));
    xn_plan_set(o, "new_voxels", rint(gain_by(j, v, false)));
    if (j->by_found) xn_plan_set(o, "new_found", gain_by(j, v, true));
    return o;
}

static void say_next(const view *v, const json_t *row, bool found, json_t *conclusions)
{
    char text[256];
    size_t used = (size_t)snprintf(text, sizeof text, "the next angle is ");
    for (int i = 0; i < v->n_angles; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%.6g", i ? ", " : "", v->angle[i]);
    snprintf(text + used, sizeof text - used, " degrees: %.3g new %s",
             json_number_value(json_object_get(row, found ? "new_found" : "new_voxels")),
             found ? "branches of voxels" : "voxels");
    json_array_append_new(conclusions, json_pack("{s:s}", "text", text));
}

static void finish_row(const job *j, json_t *o)
{
    xn_plan_set(o, "coverage", share(j->missed_voxel, j->wedge.voxels));
    if (j->by_found) xn_plan_set(o, "found", share(j->missed_found, j->wedge.voxels * j->p->branches));
}

static void choose(job *j, json_t *conclusions, json_t *answer)
{
    const char *asked = xn_config_string(j->p->config, "plan.gain");
    int64_t next = xn_config_int(j->p->config, "plan.next_angles");
    bool found = j->by_found && strcmp(asked, "coverage") != 0;
    json_t *rows = json_array();
    int number = 0;
    for (int i = 0; i < j->p->n_runs; i++) {
        json_t *o = row_of(j, &j->view[i], ++number);
        take_view(j, &j->view[i]);
        finish_row(j, o);
        json_array_append_new(rows, o);
    }
    for (int64_t k = 0; k < next; k++) {
        double most;
        view *v = best_of(j, found, &most);
        if (v == NULL) break;
        json_t *o = row_of(j, v, ++number);
        if (k == 0) say_next(v, o, found, conclusions);
        take_view(j, v);
        finish_row(j, o);
        json_array_append_new(rows, o);
    }
    for (int i = 0; i < j->n_views; i++)
        if (!j->view[i].taken) take_view(j, &j->view[i]);
    json_object_set_new(answer, "gain", json_string(found ? "found" : "coverage"));
    json_object_set_new(answer, "angles", rows);
    if (j->n_candidates == 0) return;
    json_t *reach = json_object();
    json_object_set_new(reach, "angles", json_integer(j->n_candidates));
    finish_row(j, reach);
    json_object_set_new(answer, "all_angles_together", reach);
}

static xani_status cover(job *j, json_t *conclusions, json_t *answer)
{
    xn_plan *p = j->p;
    xn_view v = {0};
    XN_TRY(list_views(j));
    XN_TRY(xn_wedge_make(p->ctx, p->config, &p->scene.lattice, p->threads, &j->wedge));
    if (j->wedge.voxels * p->branches > INT32_MAX) j->by_found = false;
    j->missed_voxel = xn_calloc((size_t)j->wedge.voxels, sizeof(double));
    j->missed_found = xn_calloc((size_t)(j->by_found ? j->wedge.voxels * p->branches : 1), sizeof(double));
    if (j->missed_voxel == NULL || j->missed_found == NULL)
        return xn_fail_memory(p->ctx, "the voxels of the zone", (size_t)j->wedge.voxels * 16);
    double looks = (double)p->scene.ny * (double)p->scene.nx * j->n_views, size = p->branches / 3.0;
    int64_t stride = xn_max64(1, (int64_t)ceil(looks / LOOKS_MOST));
    int64_t stride_found = xn_max64(1, (int64_t)ceil(looks * size * size / SEEN_MOST));
    xani_status st = XANI_OK;
    for (int i = 0; i < j->n_views && st == XANI_OK; i++) {
        xn_progress(p->ctx, "angles", i, j->n_views, "angles");
        st = look(j, &j->view[i], &v, stride, stride_found);
    }
    xn_view_free(&v);
    if (st == XANI_OK) choose(j, conclusions, answer);
    return st;
}

xani_status xn_plan_coverage(xn_plan *p, json_t *answer)
{
    double fraction = NAN;
    int64_t voxels = 0;
    if (!p->has_scene) {
        json_object_set_new(answer, "missing_for_coverage", json_string(p->missing));
        if (xn_config_count(p->config, "plan.angles") > 0)
            return xn_config_require(p->ctx, p->config, p->missing,
                                     "plan.angles: angles are compared by what they cover");
        return XANI_OK;
    }
    XN_TRY(xn_map_coverage(p->ctx, p->config, &fraction, &voxels));
    xn_plan_set(answer, "zone_coverage", fraction);
    json_object_set_new(answer, "irreducible_voxels", json_integer(voxels));
    job j = {.p = p};
    double on = xn_plan_on_shots(p);
    j.by_found = p->has_crystal && p->trace.n > 0 && isfinite(on) && isfinite(p->photons_per_eu);
    if (strcmp(xn_config_string(p->config, "plan.gain"), "found") == 0 && !j.by_found)
        return xn_config_bad(p->ctx, p->config, "plan.gain",
                             "found needs force constants, delay bins, plan.photons and plan.shots");
    json_t *o = json_object();
    xani_status st = cover(&j, json_object_get(answer, "conclusions"), o);
    for (int i = 0; i < j.n_views; i++) {
        xn_free(j.view[i].voxel);
        xn_free(j.view[i].found);
    }
    xn_free(j.view);
    xn_free(j.missed_voxel);
    xn_free(j.missed_found);
    xn_wedge_free(&j.wedge);
    if (st == XANI_OK)
        json_object_set_new(answer, "coverage", o);
    else
        json_decref(o);
    return st;
}
