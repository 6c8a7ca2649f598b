// SPDX-License-Identifier: BSD-3-Clause
// refine.c -- see refine.h.
//
// Expected counts of a pixel are factor * (s I1(q) + b): one-phonon scattering of the force constants at
// q = to_q R(w)^-1 R_goniometer^-1 Q_lab, with a scale s and a background b for each run and one rotation vector w. For
// given w the scales and backgrounds follow from linear least squares, two for each run; w from a grid over the range
// on some of the points, then Gauss-Newton steps with Levenberg's damping on all, derivatives by central differences.
// Variances carry a share of the counts beside counting noise, because the one-phonon model is not exact near Bragg
// peaks.
#include "physics/refine.h"

#include <lapacke.h>
#include <math.h>
#include <string.h>

#include "physics/forces/scatter.h"
#include "physics/lattice.h"

#define GRID 5        // points along each component of the rotation
#define COARSE 3000   // points that the grid looks at
#define STEP_RAD 2e-4 // of the differences
#define STEPS_MOST 30
#define DONE_DEG 1e-5
#define SLACK 1.5 // times the range: steps from a point of the grid at its end

typedef struct {
    const xn_refine_input *in;
    double *model; // (4, n): at w, and its derivatives
} state;

void xn_rotation_vector(const double rotation_deg[3], double r[9])
{
    double angle =
        sqrt(rotation_deg[0] * rotation_deg[0] + rotation_deg[1] * rotation_deg[1] + rotation_deg[2] * rotation_deg[2]);
    xn_goniometer g = {1, {{{1.0, 0.0, 0.0}, 1.0, angle}}};
    for (int k = 0; k < 3 && angle > 0.0; k++) g.circle[0].axis[k] = rotation_deg[k] / angle;
    xn_goniometer_matrix(&g, r);
}

// I1 of every stride-th point at rotation w (degrees).
static xani_status intensities(xn_ctx *ctx, const xn_refine_input *in, const double w[3], int64_t stride, double *out)
{
    double r[9], back[9], m[9];
    bool memory = false;
    xn_rotation_vector(w, r);
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) back[3 * a + b] = r[3 * b + a];
    xn_mat3_mul(in->to_q, back, m);
#pragma omp parallel num_threads(in->threads)
    {
        xn_scattering *room = xn_scattering_open(in->forces->n_atoms);
        int branches = 3 * in->forces->n_atoms;
        double *nu = xn_alloc((size_t)branches, sizeof *nu);
        xn_squeezed *lines = xn_alloc((size_t)xn_squeezed_count(branches), sizeof *lines);
        bool ok = room != NULL && nu != NULL && lines != NULL;
        if (!ok) {
#pragma omp atomic write
            memory = true;
        }
#pragma omp for schedule(dynamic, 64)
        for (int64_t i = 0; i < in->n; i += stride) {
            double q[3], i1 = 0.0, mean;
            if (!ok) continue;
            xn_mat3_vec(m, in->point[i].q, q);
            int n =
                xn_scattering_lines(room, in->forces, in->forces, q, in->temperature_k, in->msd, &i1, &mean, nu, lines);
            out[i] = n > 0 && isfinite(i1) ? i1 / in->forces->n_atoms : NAN;
        }
        xn_scattering_close(&room);
        xn_free(nu);
        xn_free(lines);
    }
    return memory ? xn_fail_memory(ctx, "phonons of a pixel", 65536) : XANI_OK;
}

// Scale and background of each run at the model's values: linear least squares. Returns chi^2; fills sb (n_runs, 2).
static double fit_linear(const xn_refine_input *in, const double *model, int64_t stride, double *sb, int64_t *used)
{
    double *sum = sb + 2 * in->n_runs, chi2 = 0.0; // (n_runs, 5): mm, m1, 11, mi, 1i
    memset(sum, 0, (size_t)in->n_runs * 5 * sizeof *sum);
    *used = 0;
    for (int64_t i = 0; i < in->n; i += stride) {
        const xn_refine_point *p = &in->point[i];
        if (isnan(model[i])) continue;
        double *s = sum + 5 * p->run, w = 1.0 / p->variance, m = p->factor * model[i], one = p->factor;
        s[0] += w * m * m;
        s[1] += w * m * one;
        s[2] += w * one * one;
        s[3] += w * m * p->counts;
        s[4] += w * one * p->counts;
        ++*used;
    }
    for (int r = 0; r < in->n_runs; r++) {
        const double *s = sum + 5 * r;
        double d = s[0] * s[2] - s[1] * s[1];
        sb[2 * r] = d > 1e-12 * s[0] * s[2] ? (s[3] * s[2] - s[4] * s[1]) / d : 0.0;
        sb[2 * r + 1] = d > 1e-12 * s[0] * s[2] ? (s[0] * s[4] - s[1] * s[3]) / d : 0.0;
    }
    for (int64_t i = 0; i < in->n; i += stride) {
        const xn_refine_point *p = &in->point[i];
        if (isnan(model[i])) continue;
        double away = p->counts - p->factor * (sb[2 * p->run] * model[i] + sb[2 * p->run + 1]);
        chi2 += away * away / p->variance;
    }
    return chi2;
}

static xani_status coarse(xn_ctx *ctx, state *s, double *sb, double w[3])
{
    const xn_refine_input *in = s->in;
    int64_t stride = xn_max64(1, in->n / COARSE), used;
    double best = INFINITY, from[3] = {w[0], w[1], w[2]};
    for (int k = 0; k < GRID * GRID * GRID; k++) {
        const int at[3] = {k % GRID, k / GRID % GRID, k / (GRID * GRID)};
        double t[3];
        for (int a = 0; a < 3; a++) t[a] = from[a] + in->range_deg * (2.0 * at[a] / (GRID - 1) - 1.0);
        XN_TRY(intensities(ctx, in, t, stride, s->model));
        double chi2 = fit_linear(in, s->model, stride, sb, &used) / (double)xn_max64(1, used);
        if (chi2 < best) {
            best = chi2;
            memcpy(w, t, sizeof t);
        }
        XN_TRY(xn_check_interrupt(ctx));
    }
    return XANI_OK;
}

// Normal equations of w, with scales and backgrounds projected out: residuals and derivatives are made orthogonal to
// the two columns of their run.
static void normal_equations(const state *s, const double *sb, double a[9], double b[3])
{
    const xn_refine_input *in = s->in;
    const double *sum = sb + 2 * in->n_runs;
    enum { COLUMNS = 4 };
    memset(a, 0, 9 * sizeof *a);
    memset(b, 0, 3 * sizeof *b);
    for (int r = 0; r < in->n_runs; r++) {
        double cross[COLUMNS][2] = {{0.0}}, full[COLUMNS][COLUMNS] = {{0.0}};
        for (int64_t i = 0; i < in->n; i++) {
            const xn_refine_point *p = &in->point[i];
            if (p->run != r || isnan(s->model[i])) continue;
            double w = 1.0 / p->variance, m = p->factor * s->model[i], v[COLUMNS];
            bool good = true;
            for (int k = 0; k < 3; k++) {
                v[k] = sb[2 * r] * p->factor * s->model[(k + 1) * in->n + i];
                good = good && isfinite(v[k]);
            }
            if (!good) continue;
            v[3] = p->counts - sb[2 * r] * m - sb[2 * r + 1] * p->factor;
            for (int k = 0; k < COLUMNS; k++) {
                cross[k][0] += w * v[k] * m;
                cross[k][1] += w * v[k] * p->factor;
                for (int l = 0; l < COLUMNS; l++) full[k][l] += w * v[k] * v[l];
            }
        }
        const double *t = sum + 5 * r;
        double d = t[0] * t[2] - t[1] * t[1];
        if (!(d > 0.0)) continue;
        for (int k = 0; k < 3; k++)
            for (int l = 0; l < COLUMNS; l++) {
                double out =
                    (t[2] * cross[k][0] * cross[l][0] - t[1] * (cross[k][0] * cross[l][1] + cross[k][1] * cross[l][0]) +
                     t[0] * cross[k][1] * cross[l][1]) /
                    d;
                if (l < 3)
                    a[3 * k + l] += full[k][l] - out;
                else
                    b[k] += full[k][3] - out;
            }
    }
}

static xani_status derivatives(xn_ctx *ctx, state *s, const double w[3])
{
    const xn_refine_input *in = s->in;
    const double step = STEP_RAD * 180.0 / M_PI;
    double *scratch = xn_alloc((size_t)in->n, sizeof *scratch);
    if (scratch == NULL) return xn_fail_memory(ctx, "derivatives", (size_t)in->n * sizeof *scratch);
    xani_status st = XANI_OK;
    for (int k = 0; k < 3 && st == XANI_OK; k++) {
        double up[3] = {w[0], w[1], w[2]}, down[3] = {w[0], w[1], w[2]}, *d = s->model + (k + 1) * in->n;
        up[k] += step;
        down[k] -= step;
        st = intensities(ctx, in, up, 1, d);
        if (st == XANI_OK) st = intensities(ctx, in, down, 1, scratch);
        for (int64_t i = 0; i < in->n && st == XANI_OK; i++) d[i] = (d[i] - scratch[i]) / (2.0 * step);
    }
    xn_free(scratch);
    return st;
}

static xani_status descend(xn_ctx *ctx, state *s, double *sb, double w[3], xn_refine_result *out)
{
    const xn_refine_input *in = s->in;
    int64_t used;
    double damping = 1e-3, a[9], b[3];
    XN_TRY(intensities(ctx, in, w, 1, s->model));
    double chi2 = fit_linear(in, s->model, 1, sb, &used);
    for (out->steps = 0; out->steps < STEPS_MOST && !out->converged; out->steps++) {
        XN_TRY(derivatives(ctx, s, w));
        normal_equations(s, sb, a, b);
        bool better = false;
        for (int attempt = 0; attempt < 8 && !better; attempt++) {
            double m[9], step[3], next[3];
            memcpy(m, a, sizeof m);
            memcpy(step, b, sizeof step);
            for (int k = 0; k < 3; k++) m[4 * k] *= 1.0 + damping;
            if (LAPACKE_dposv(LAPACK_ROW_MAJOR, 'U', 3, 1, m, 3, step, 1) != 0)
                return xn_fail(ctx, XANI_ERR_INPUT, "the mean frames do not determine the orientation");
            for (int k = 0; k < 3; k++) next[k] = w[k] + step[k];
            double size = sqrt(step[0] * step[0] + step[1] * step[1] + step[2] * step[2]);
            XN_TRY(intensities(ctx, in, next, 1, s->model));
            double now = fit_linear(in, s->model, 1, sb, &used);
            better = now <= chi2;
            damping = better ? 0.1 * damping : 10.0 * damping;
            out->converged = size < DONE_DEG || (better && chi2 - now < 1e-9 * chi2);
            if (better) {
                chi2 = now;
                memcpy(w, next, sizeof next);
            }
            if (out->converged) break;
        }
        if (!better) { // nothing is to be had any more
            XN_TRY(intensities(ctx, in, w, 1, s->model));
            chi2 = fit_linear(in, s->model, 1, sb, &used);
            out->converged = true;
        }
        XN_TRY(xn_check_interrupt(ctx));
    }
    XN_TRY(derivatives(ctx, s, w));
    normal_equations(s, sb, a, b);
    out->chi2_after = chi2 / (double)xn_max64(1, used - 3 - 2 * in->n_runs);
    double inverse[9];
    bool known = xn_mat3_inverse(a, inverse);
    for (int k = 0; k < 3; k++) out->error_deg[k] = known ? sqrt(fmax(0.0, inverse[4 * k] * out->chi2_after)) : NAN;
    return XANI_OK;
}

// chi^2 of a background alone, one for each run.
static double flat_chi2(const xn_refine_input *in, double *sum)
{
    double chi2 = 0.0;
    memset(sum, 0, 2 * (size_t)in->n_runs * sizeof *sum);
    for (int64_t i = 0; i < in->n; i++) {
        const xn_refine_point *p = &in->point[i];
        sum[2 * p->run] += p->factor * p->counts / p->variance;
        sum[2 * p->run + 1] += p->factor * p->factor / p->variance;
    }
    for (int64_t i = 0; i < in->n; i++) {
        const xn_refine_point *p = &in->point[i];
        double away = p->counts - p->factor * sum[2 * p->run] / sum[2 * p->run + 1];
        chi2 += away * away / p->variance;
    }
    return chi2 / (double)xn_max64(1, in->n);
}

xani_status xn_refine_orientation(xn_ctx *ctx, const xn_refine_input *in, xn_refine_result *out)
{
    memset(out, 0, sizeof *out);
    double w[3] = {0.0, 0.0, 0.0}, *sb = xn_calloc((size_t)in->n_runs, 7 * sizeof *sb);
    state s = {.in = in, .model = xn_alloc((size_t)in->n, 4 * sizeof(double))};
    int64_t used = 0;
    xani_status st = sb != NULL && s.model != NULL ? XANI_OK : xn_fail_memory(ctx, "the model", (size_t)in->n * 32);
    if (st == XANI_OK) st = intensities(ctx, in, w, 1, s.model);
    if (st == XANI_OK) {
        double chi2 = fit_linear(in, s.model, 1, sb, &used);
        out->chi2_before = chi2 / (double)xn_max64(1, used - 3 - 2 * in->n_runs);
        if (used < 100 + 2 * in->n_runs)
            st = xn_fail(ctx, XANI_ERR_INPUT, "%lld usable pixels do not determine an orientation", (long long)used);
    }
    if (st == XANI_OK && in->range_deg > 0.0) st = coarse(ctx, &s, sb, w);
    if (st == XANI_OK) st = descend(ctx, &s, sb, w, out);
    memcpy(out->rotation_deg, w, sizeof w);
    out->angle_deg = sqrt(w[0] * w[0] + w[1] * w[1] + w[2] * w[2]);
    for (int k = 0; k < 3; k++)
        out->outside = out->outside || (in->range_deg > 0.0 && fabs(w[k]) > SLACK * in->range_deg);
    if (st == XANI_OK) out->explained = 1.0 - out->chi2_after / flat_chi2(in, sb);
    xn_free(sb);
    xn_free(s.model);
    return st;
}
