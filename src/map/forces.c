// SPDX-License-Identifier: BSD-3-Clause
// forces.c -- phonons of given force constants beside the measured ones, and the constants refined to the points.
//
// The lattice of the configuration is found in the crystal of the file (physics/forces/align.c), so that any
// orientation and choice of primitive vectors may stand there.  Refined are the constants of the unexcited crystal
// towards what the points of the excited one say: the change is the answer.  Points that may be mirrored by the bins,
// and coherent ones, are left out.  Errors of the band follow from the covariance, d nu / d theta by differences of one
// standard error.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "map/parts.h"
#include "physics/forces/configured.h"
#include "physics/forces/refine.h"

#define LEAST_SIGMA_THZ 0.004 // what constants of few shells are worth, and lines of groups of pixels
#define REACH_SIGMA 5.0
#define NO_CONSTANT 1e-6   // N/m
#define IMAGINARY_THZ 0.01 // less is rounding of the constants at a zone centre
#define MANY 0.1           // of the points near no branch: chi^2 is of those that are
#define MOST_LINES 8000    // refined to: more do not make the errors smaller than the constants are true

typedef struct {
    xn_ctx *ctx;
    const xn_config *config;
    const xn_scene *scene;
    const xn_collection *c;
    xn_known *k;
    xn_dispersion *d;
} job;

// ---- loading

xani_status xn_known_load(xn_ctx *ctx, const xn_config *config, const xn_scene *s, xn_known *k)
{
    static const char key[] = "map.force_constants.file";
    memset(k, 0, sizeof *k);
    k->model_share = 1.0;
    k->doubt = XN_CHANGE; // until they are refined
    if (!xn_config_has(config, key)) {
        if (!xn_config_bool(config, "map.force_constants.refine")) return XANI_OK;
        return xn_config_require(ctx, config, key, "the constants to begin with");
    }
    bool found;
    xani_status st = xn_forces_configured(ctx, config, &s->lattice, NULL, &k->start, &found);
    if (st == XANI_OK) st = xn_context(ctx, xn_forces_align(ctx, &s->lattice, &k->start, k->b), "%s", key);
    k->match = (xn_match_options){.temperature_k = xn_config_double(config, "map.force_constants.temperature_k"),
                                  .reach = REACH_SIGMA,
                                  .least_sigma_thz = LEAST_SIGMA_THZ};
    if (st == XANI_OK && s->atoms > 0 && s->atoms != k->start.n_atoms)
        xn_warn(ctx, "map.crystal has %d atoms in its primitive cell, the force constants have %d: branches are theirs",
                s->atoms, k->start.n_atoms);
    k->given = st == XANI_OK;
    return st;
}

void xn_known_free(xn_known *k)
{
    xn_forces_free(&k->start);
    xn_forces_free(&k->now);
    memset(k, 0, sizeof *k);
}

// ---- bands along the path

// (branches, path_n); polar crystals leave the centre along the path.
static xani_status band(const job *j, const xn_forces *f, double *nu)
{
    const xn_dispersion *d = j->d;
    int branches = 3 * f->n_atoms, failed = 0;
#pragma omp parallel num_threads(j->scene->threads)
    {
        double complex *work = xn_alloc(xn_forces_work(f), sizeof *work);
        double *one = xn_alloc((size_t)branches, sizeof *one);
#pragma omp for schedule(static)
        for (int64_t i = 0; i < d->path_n; i++) {
            double q[3], next[3], towards[3];
            int64_t beside = i + 1 < d->path_n ? i + 1 : i - 1;
            if (beside < 0) beside = i;
            xn_mat3_vec(j->k->b, d->path_hkl + 3 * i, q);
            xn_mat3_vec(j->k->b, d->path_hkl + 3 * beside, next);
            for (int c = 0; c < 3; c++) towards[c] = next[c] - q[c];
            bool good = work != NULL && one != NULL && xn_forces_solve(f, q, towards, work, one, NULL);
            if (!good) {
#pragma omp atomic write
                failed = 1;
            }
            for (int b = 0; good && b < branches; b++) nu[b * d->path_n + i] = one[b];
        }
        xn_free(work);
        xn_free(one);
    }
    return failed ? xn_fail_memory(j->ctx, "phonons along the path", (size_t)branches * (size_t)branches * 64)
                  : XANI_OK;
}

// ---- refinement

bool xn_known_observe(const xn_known *k, const xn_collection *c, int64_t i, xn_observed *o)
{
    const xn_points *p = &c->points;
    if (p->alias[i] || !(p->frequency_errors[i] > 0) || !(p->frequency[i] > 0)) return false;
    xn_mat3_vec(k->b, p->hkl + 3 * i, o->q);
    o->nu_thz = p->frequency[i];
    o->sigma_thz = p->frequency_errors[i];
    o->window_ps = (double)c->window[i];
    o->damping_per_ps = (double)c->damping[i];
    o->f_per_nu = p->coherent[i] ? 1.0 : 2.0;
    o->run = p->run[i];
    for (int e = 0; e < 2; e++) {
        const float *f = c->edge + 6 * i + 3 * e;
        const double hkl[3] = {(double)f[0], (double)f[1], (double)f[2]};
        xn_mat3_vec(k->b, hkl, o->edge[e]);
    }
    return true;
}

// The lines to refine to; of very many, those of every so many-th pixel group.
static int64_t observe(const job *j, xn_observed *o)
{
    const xn_points *p = &j->c->points;
    int64_t n = 0, group = 0, stride = p->n / MOST_LINES + 1;
    xn_observed one, last = {.q = {NAN, NAN, NAN}};
    for (int64_t i = 0; i < p->n; i++) {
        if (p->coherent[i] || !xn_known_observe(j->k, j->c, i, &one)) continue;
        group += !xn_same_group(&one, &last);
        last = one;
        if (group % stride == 0) o[n++] = one;
    }
    return n;
}

static xani_status allocate(xn_ctx *ctx, const xn_shells *s, int64_t band_size, xn_refinement *r)
{
    size_t n = (size_t)s->n;
    r->name = xn_calloc(n, sizeof *r->name);
    r->distance = xn_calloc(n, sizeof *r->distance);
    r->start = xn_calloc(n, sizeof *r->start);
    r->change = xn_calloc(n, sizeof *r->change);
    r->change_errors = xn_calloc(n, sizeof *r->change_errors);
    r->covariance = xn_calloc(n * n, sizeof *r->covariance);
    r->correlation = xn_calloc(n * n, sizeof *r->correlation);
    r->determined = xn_calloc(n, sizeof *r->determined);
    r->frequency = xn_calloc((size_t)band_size, sizeof *r->frequency);
    r->frequency_errors = xn_calloc((size_t)band_size, sizeof *r->frequency_errors);
    if (!r->name || !r->distance || !r->start || !r->change || !r->change_errors || !r->covariance || !r->correlation ||
        !r->determined || !r->frequency || !r->frequency_errors)
        return xn_fail_memory(ctx, "the refinement", n * n * 16 + (size_t)band_size * 16);
    r->n = s->n;
    return XANI_OK;
}

static void copy_numbers(const xn_shells *s, const xn_refined *from, xn_refinement *r)
{
    int n = s->n;
    for (int k = 0; k < n; k++) {
        memcpy(r->name[k], s->parameter[k].name, sizeof r->name[k]);
        r->distance[k] = s->parameter[k].distance;
        r->start[k] = s->parameter[k].start;
        r->change[k] = from->theta[k];
        r->change_errors[k] = sqrt(from->covariance[k * n + k]);
        r->determined[k] = from->determined[k];
        for (int m = 0; m < n; m++) {
            r->covariance[k * n + m] = from->covariance[k * n + m];
            r->correlation[k * n + m] =
                from->covariance[k * n + m] / sqrt(from->covariance[k * n + k] * from->covariance[m * n + m]);
        }
    }
    r->chi2_before = from->chi2_before;
    r->chi2 = from->chi2;
    r->model_share = from->model_share;
    r->common = from->common;
    r->used = from->used;
    r->refused = from->refused;
    r->dof = from->dof;
    r->converged = from->converged;
}

// The band of the changed constants, and its errors: J C J^T with differences of one standard error in each parameter.
static xani_status refined_band(const job *j, const xn_shells *s, xn_refinement *r)
{
    int64_t size = 3 * (int64_t)j->k->start.n_atoms * j->d->path_n;
    size_t n = (size_t)s->n;
    double *shifted = xn_alloc(n * (size_t)size, sizeof *shifted), *theta = xn_alloc(n, sizeof *theta);
    xani_status st = shifted && theta ? XANI_OK : xn_fail_memory(j->ctx, "the refined band", n * (size_t)size * 8);
    for (size_t k = 0; st == XANI_OK && k <= n; k++) {
        xn_forces changed;
        memcpy(theta, r->change, n * sizeof *theta);
        if (k < n) theta[k] += r->change_errors[k];
        st = xn_shells_apply(j->ctx, s, &j->k->start, theta, &changed);
        if (st != XANI_OK) break;
        st = band(j, &changed, k < n ? shifted + k * (size_t)size : r->frequency);
        xn_forces_free(&changed);
    }
    for (int64_t i = 0; st == XANI_OK && i < size; i++) {
        double variance = 0.0;
        for (size_t k = 0; k < n; k++)
            for (size_t m = 0; m < n; m++)
                variance += (shifted[k * (size_t)size + (size_t)i] - r->frequency[i]) * r->correlation[k * n + m] *
                            (shifted[m * (size_t)size + (size_t)i] - r->frequency[i]);
        r->frequency_errors[i] = sqrt(fmax(variance, 0.0));
    }
    xn_free(shifted);
    xn_free(theta);
    return st;
}

static void tell(xn_ctx *ctx, const xn_refinement *r)
{
    int determined = 0;
    for (int k = 0; k < r->n; k++) determined += r->determined[k];
    xn_note(
        ctx,
        "force constants: %lld points used, %lld near no branch; chi^2 per degree of freedom %.3g, before %.3g, with "
        "%.2g of the model's errors",
        (long long)r->used, (long long)r->refused, r->chi2 / (double)r->dof, r->chi2_before / (double)r->dof,
        r->model_share);
    if (r->common > 0.0)
        xn_note(ctx,
                "  lines of a run are off by %.2g %% of their frequency together (delays of the bins), which is in "
                "the errors",
                100 * r->common);
    for (int k = 0; k < r->n; k++) {
        char percent[40] = ""; // of what symmetry lets be, but is not there, a share says nothing
        if (fabs(r->start[k]) > NO_CONSTANT)
            snprintf(percent, sizeof percent, " (%.1f %%)", 100 * r->change[k] / r->start[k]);
        xn_note(ctx, "  %s: %.4g N/m, change %.3g +- %.2g%s%s", r->name[k], r->start[k], r->change[k],
                r->change_errors[k], percent, r->determined[k] ? "" : ", not determined");
    }
    if (determined < r->n)
        xn_warn(ctx, "%d of %d force constants are not determined by the points: they stay near their start",
                r->n - determined, r->n);
    if (!r->converged) xn_warn(ctx, "the refinement of the force constants did not converge");
    if (r->refused > MANY * (double)(r->used + r->refused))
        xn_warn(ctx, "%lld of %lld points fit no branch of the refined force constants, which may be wrong",
                (long long)r->refused, (long long)(r->used + r->refused));
}

static xani_status refine(const job *j)
{
    xn_refinement *r = &j->d->refinement;
    xn_known *k = j->k;
    xn_shells s = {0};
    xn_refined refined = {0};
    xn_forces changed = {0};
    xn_observed *points = xn_alloc((size_t)j->c->points.n + 1, sizeof *points);
    const xn_refine_options options = {.match = k->match,
                                       .prior = xn_config_double(j->config, "map.force_constants.prior"),
                                       .threads = j->scene->threads};
    xani_status st;
    if (points == NULL) return xn_fail_memory(j->ctx, "points", (size_t)j->c->points.n * sizeof *points);
    int64_t n = observe(j, points);
    if (n == 0) {
        xn_warn(j->ctx, "no points to refine force constants with");
        xn_free(points);
        return XANI_OK;
    }
    XN_GOTO(out, st,
            xn_shells_find(j->ctx, &k->start, (int)xn_config_int(j->config, "map.force_constants.shells"), &s));
    XN_GOTO(out, st, xn_forces_refine(j->ctx, &k->start, &s, points, n, &options, NULL, &refined));
    XN_GOTO(out, st, allocate(j->ctx, &s, 3 * (int64_t)k->start.n_atoms * j->d->path_n, r));
    copy_numbers(&s, &refined, r);
    XN_GOTO(out, st, refined_band(j, &s, r));
    XN_GOTO(out, st, xn_shells_apply(j->ctx, &s, &k->start, r->change, &changed));
    xn_forces_free(&k->now);
    k->now = changed;
    k->model_share = r->model_share;
    k->doubt = 0.0;
    k->band = r->frequency;
    tell(j->ctx, r);
out:
    xn_refined_free(&refined);
    xn_shells_free(&s);
    xn_free(points);
    return xn_context(j->ctx, st, "map.force_constants");
}

xani_status xn_known_map(xn_ctx *ctx, const xn_config *config, const xn_scene *s, const xn_collection *c, xn_known *k,
                         xn_dispersion *d)
{
    const job j = {.ctx = ctx, .config = config, .scene = s, .c = c, .k = k, .d = d};
    if (!k->given) return XANI_OK;
    d->reference_frequency = xn_calloc(3 * (size_t)k->start.n_atoms * (size_t)d->path_n + 1, sizeof(double));
    if (d->reference_frequency == NULL) return xn_fail_memory(ctx, "phonons along the path", 1);
    d->n_reference = 3 * k->start.n_atoms;
    k->band = d->reference_frequency;
    XN_TRY(band(&j, &k->start, d->reference_frequency));
    int64_t imaginary = 0, values = d->n_reference * d->path_n;
    for (int64_t i = 0; i < values; i++) imaginary += d->reference_frequency[i] < -IMAGINARY_THZ;
    if (imaginary > 0)
        xn_warn(ctx,
                "map.force_constants: %lld of %lld frequencies along the path are imaginary, written as negative ones",
                (long long)imaginary, (long long)values);
    XN_TRY(xn_forces_copy(ctx, &k->start, &k->now));
    return xn_config_bool(config, "map.force_constants.refine") ? refine(&j) : XANI_OK;
}
