// SPDX-License-Identifier: BSD-3-Clause
// refine.c -- see refine.h.
//
// Expected counts of a pixel are factor * (s I1(q) (1 + d Q^2) + b) + solid * u: one-phonon scattering of the force
// constants at q = to_q R(w)^-1 R_goniometer^-1 Q_lab, with a scale s, backgrounds b (scattered, Compton: polarised)
// and u (fluorescence: not polarised) and a slope d for each run and one rotation vector w. The slope takes up what a
// wrong temperature, Debye-Waller factor, absorption or several phonons do to the fall of the intensity, which would
// otherwise turn the crystal. For given w scale, backgrounds and slope follow from linear least squares; w from a grid
// over the range on some of the points, then Gauss-Newton steps with Levenberg's damping on all, derivatives by central
// differences. A shift of the detector, with the solid angles and polarisation that it changes, takes the place of w in
// the same way: q = to_q R_goniometer^-1 k (r'/|r'| - z), r' = r + shift, with the shift in units of the distance, so
// that steps and range mean the same angles. Variances carry a share of the counts beside counting noise, because the
// one-phonon model is not exact near Bragg peaks.
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
#define Q2_UNIT 100.0 // 1/Angstrom^2
#define DONE_DEG 1e-5
#define SLACK 1.5 // times the range: steps from a point of the grid at its end

enum { LINEAR = 4 }; // scale, polarised background, slope with Q^2, background that is not polarised
#define RIDGE 1e-10  // of each column: where polarisation is even over the detector the backgrounds are one

typedef struct {
    const xn_refine_input *in;
    double *model; // (4, n): at w, and its derivatives
    bool shift;    // w is one of the detector
} state;

void xn_rotation_vector(const double rotation_deg[3], double r[9])
{
    double angle =
        sqrt(rotation_deg[0] * rotation_deg[0] + rotation_deg[1] * rotation_deg[1] + rotation_deg[2] * rotation_deg[2]);
    xn_goniometer g = {1, {{{1.0, 0.0, 0.0}, 1.0, angle}}};
    for (int k = 0; k < 3 && angle > 0.0; k++) g.circle[0].axis[k] = rotation_deg[k] / angle;
    xn_goniometer_matrix(&g, r);
}

// Q of a point, at zero angles, where the detector is shifted; returns what its factor changes by, for a flat one.
static double shifted_q(const xn_refine_input *in, const xn_refine_point *p, const double shift_m[3], double q[3])
{
    double q_lab[2][3], to[2] = {0.0, 0.0}, length[2] = {0.0, 0.0}; // as it is, shifted
    for (int i = 0; i < 2; i++) {
        double r[3];
        for (int k = 0; k < 3; k++) {
            r[k] = (double)p->at_m[k] + (i == 1 ? shift_m[k] : 0.0);
            length[i] += r[k] * r[k];
            to[i] += r[k] * in->normal[k];
        }
        for (int k = 0; k < 3; k++) q_lab[i][k] = in->beam->k * (r[k] / sqrt(length[i]) - (k == 2 ? 1.0 : 0.0));
    }
    xn_mat3_vec(in->back[p->run], q_lab[1], q);
    double solid = to[1] / to[0] * pow(length[0] / length[1], 1.5);
    return solid * xn_beam_polarisation(in->beam, q_lab[1]) / xn_beam_polarisation(in->beam, q_lab[0]);
}

// I1 of every stride-th point at rotation or shift w (degrees).
static xani_status intensities(xn_ctx *ctx, const state *s, const double w[3], int64_t stride, double *out)
{
    const xn_refine_input *in = s->in;
    double r[9], back[9], m[9], shift_m[3];
    bool memory = false;
    xn_rotation_vector(s->shift ? (const double[3]){0.0, 0.0, 0.0} : w, r);
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) back[3 * a + b] = r[3 * b + a];
    xn_mat3_mul(in->to_q, back, m);
    for (int k = 0; k < 3; k++) shift_m[k] = w[k] * M_PI / 180.0 * in->distance_m;
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
            double q[3], i1 = 0.0, mean, zero[3], factor = 1.0;
            if (!ok) continue;
            memcpy(zero, in->point[i].q, sizeof zero);
            if (s->shift) factor = shifted_q(in, &in->point[i], shift_m, zero);
            xn_mat3_vec(m, zero, q);
            int n =
                xn_scattering_lines(room, in->forces, in->forces, q, in->temperature_k, in->msd, &i1, &mean, nu, lines);
            out[i] = n > 0 && isfinite(i1) ? factor * i1 / in->forces->n_atoms : NAN;
        }
        xn_scattering_close(&room);
        xn_free(nu);
        xn_free(lines);
    }
    return memory ? xn_fail_memory(ctx, "phonons of a pixel", 65536) : XANI_OK;
}

// ---- what is linear: of each run coefficients, normal matrix and its right-hand side

typedef struct {
    double coefficient[LINEAR], matrix[LINEAR * LINEAR], right[LINEAR];
} linear;

// Through unit diagonals, which sums of different units are far from.
static bool inverse_of(const double m[LINEAR * LINEAR], double inverse[LINEAR * LINEAR])
{
    double size[LINEAR], a[LINEAR * LINEAR];
    for (int k = 0; k < LINEAR; k++) {
        size[k] = sqrt(m[(LINEAR + 1) * k]);
        if (!(size[k] > 0.0)) return false;
    }
    for (int k = 0; k < LINEAR * LINEAR; k++) {
        const int row = k / LINEAR, column = k % LINEAR;
        a[k] = m[k] / (size[row] * size[column]) + (row == column ? RIDGE : 0.0);
        inverse[k] = row == column ? 1.0 : 0.0;
    }
    if (LAPACKE_dposv(LAPACK_ROW_MAJOR, 'U', LINEAR, LINEAR, a, LINEAR, inverse, LINEAR) != 0) return false;
    for (int k = 0; k < LINEAR * LINEAR; k++) inverse[k] /= size[k / LINEAR] * size[k % LINEAR];
    return true;
}

static void times(const double m[LINEAR * LINEAR], const double v[LINEAR], double out[LINEAR])
{
    for (int a = 0; a < LINEAR; a++) {
        out[a] = 0.0;
        for (int b = 0; b < LINEAR; b++) out[a] += m[LINEAR * a + b] * v[b];
    }
}

// Columns of a point at its model value.
static void columns_of(const xn_refine_point *p, double model, double c[LINEAR], double *q2)
{
    *q2 = (p->q[0] * p->q[0] + p->q[1] * p->q[1] + p->q[2] * p->q[2]) / Q2_UNIT;
    c[0] = p->factor * model;
    c[1] = p->factor;
    c[2] = p->factor * model * *q2;
    c[3] = p->solid;
}

static double expected(const linear *l, const double c[LINEAR])
{
    double sum = 0.0;
    for (int a = 0; a < LINEAR; a++) sum += l->coefficient[a] * c[a];
    return sum;
}

// Solves each run at the model's values; returns chi^2.
static double fit_linear(const xn_refine_input *in, const double *model, int64_t stride, linear *runs, int64_t *used)
{
    double c[LINEAR], q2, chi2 = 0.0;
    memset(runs, 0, (size_t)in->n_runs * sizeof *runs);
    *used = 0;
    for (int64_t i = 0; i < in->n; i += stride) {
        const xn_refine_point *p = &in->point[i];
        linear *l = &runs[p->run];
        if (isnan(model[i])) continue;
        columns_of(p, model[i], c, &q2);
        for (int a = 0; a < LINEAR; a++) {
            l->right[a] += c[a] * p->counts / p->variance;
            for (int b = 0; b < LINEAR; b++) l->matrix[LINEAR * a + b] += c[a] * c[b] / p->variance;
        }
        ++*used;
    }
    for (int r = 0; r < in->n_runs; r++) {
        double inverse[LINEAR * LINEAR];
        if (inverse_of(runs[r].matrix, inverse)) times(inverse, runs[r].right, runs[r].coefficient);
    }
    for (int64_t i = 0; i < in->n; i += stride) {
        const xn_refine_point *p = &in->point[i];
        if (isnan(model[i])) continue;
        columns_of(p, model[i], c, &q2);
        double away = p->counts - expected(&runs[p->run], c);
        chi2 += away * away / p->variance;
    }
    return chi2;
}

// ---- the rotation

static xani_status coarse(xn_ctx *ctx, state *s, linear *runs, double w[3])
{
    const xn_refine_input *in = s->in;
    int64_t stride = xn_max64(1, in->n / COARSE), used;
    double best = INFINITY, from[3] = {w[0], w[1], w[2]};
    for (int k = 0; k < GRID * GRID * GRID; k++) {
        const int at[3] = {k % GRID, k / GRID % GRID, k / (GRID * GRID)};
        double t[3];
        for (int a = 0; a < 3; a++) t[a] = from[a] + in->range_deg * (2.0 * at[a] / (GRID - 1) - 1.0);
        XN_TRY(intensities(ctx, s, t, stride, s->model));
        double chi2 = fit_linear(in, s->model, stride, runs, &used) / (double)xn_max64(1, used);
        if (chi2 < best) {
            best = chi2;
            memcpy(w, t, sizeof t);
        }
        XN_TRY(xn_check_interrupt(ctx));
    }
    return XANI_OK;
}

// Normal equations of w, with what is linear projected out: residuals and derivatives are made orthogonal to the
// columns of their run.
static void normal_equations(const state *s, const linear *runs, double a[9], double b[3])
{
    const xn_refine_input *in = s->in;
    enum { COLUMNS = 4 };
    memset(a, 0, 9 * sizeof *a);
    memset(b, 0, 3 * sizeof *b);
    for (int r = 0; r < in->n_runs; r++) {
        const linear *l = &runs[r];
        double cross[COLUMNS][LINEAR] = {{0.0}}, full[COLUMNS][COLUMNS] = {{0.0}}, inverse[LINEAR * LINEAR];
        for (int64_t i = 0; i < in->n; i++) {
            const xn_refine_point *p = &in->point[i];
            if (p->run != r || isnan(s->model[i])) continue;
            double c[LINEAR], v[COLUMNS], q2;
            bool good = true;
            columns_of(p, s->model[i], c, &q2);
            for (int k = 0; k < 3; k++) {
                v[k] = (l->coefficient[0] + l->coefficient[2] * q2) * p->factor * s->model[(k + 1) * in->n + i];
                good = good && isfinite(v[k]);
            }
            if (!good) continue;
            v[3] = p->counts - expected(l, c);
            for (int k = 0; k < COLUMNS; k++) {
                for (int m = 0; m < LINEAR; m++) cross[k][m] += v[k] * c[m] / p->variance;
                for (int m = 0; m < COLUMNS; m++) full[k][m] += v[k] * v[m] / p->variance;
            }
        }
        if (!inverse_of(l->matrix, inverse)) continue;
        for (int k = 0; k < COLUMNS; k++) {
            double along[LINEAR];
            times(inverse, cross[k], along);
            for (int m = 0; m < 3; m++) {
                double out = 0.0;
                for (int c = 0; c < LINEAR; c++) out += along[c] * cross[m][c];
                if (k < 3)
                    a[3 * k + m] += full[k][m] - out;
                else
                    b[m] += full[k][m] - out;
            }
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
        st = intensities(ctx, s, up, 1, d);
        if (st == XANI_OK) st = intensities(ctx, s, down, 1, scratch);
        for (int64_t i = 0; i < in->n && st == XANI_OK; i++) d[i] = (d[i] - scratch[i]) / (2.0 * step);
    }
    xn_free(scratch);
    return st;
}

static xani_status descend(xn_ctx *ctx, state *s, linear *runs, double w[3], xn_refine_result *out)
{
    const xn_refine_input *in = s->in;
    int64_t used;
    double damping = 1e-3, a[9], b[3];
    XN_TRY(intensities(ctx, s, w, 1, s->model));
    double chi2 = fit_linear(in, s->model, 1, runs, &used);
    for (out->steps = 0; out->steps < STEPS_MOST && !out->converged; out->steps++) {
        XN_TRY(derivatives(ctx, s, w));
        normal_equations(s, runs, a, b);
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
            XN_TRY(intensities(ctx, s, next, 1, s->model));
            double now = fit_linear(in, s->model, 1, runs, &used);
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
            XN_TRY(intensities(ctx, s, w, 1, s->model));
            chi2 = fit_linear(in, s->model, 1, runs, &used);
            out->converged = true;
        }
        XN_TRY(xn_check_interrupt(ctx));
    }
    XN_TRY(derivatives(ctx, s, w));
    normal_equations(s, runs, a, b);
    out->chi2_after = chi2 / (double)xn_max64(1, used - 3 - LINEAR * in->n_runs);
    double inverse[9];
    bool known = xn_mat3_inverse(a, inverse);
    for (int k = 0; k < 3; k++) out->error_deg[k] = known ? sqrt(fmax(0.0, inverse[4 * k] * out->chi2_after)) : NAN;
    return XANI_OK;
}

// chi^2 of a background alone, one for each run.
static double flat_chi2(const xn_refine_input *in, linear *runs)
{
    double chi2 = 0.0;
    memset(runs, 0, (size_t)in->n_runs * sizeof *runs);
    for (int64_t i = 0; i < in->n; i++) {
        const xn_refine_point *p = &in->point[i];
        runs[p->run].right[1] += p->factor * p->counts / p->variance;
        runs[p->run].matrix[LINEAR + 1] += p->factor * p->factor / p->variance;
    }
    for (int64_t i = 0; i < in->n; i++) {
        const xn_refine_point *p = &in->point[i];
        double away = p->counts - p->factor * runs[p->run].right[1] / runs[p->run].matrix[LINEAR + 1];
        chi2 += away * away / p->variance;
    }
    return chi2 / (double)xn_max64(1, in->n);
}

static xani_status refine(xn_ctx *ctx, const xn_refine_input *in, bool shift, xn_refine_result *out)
{
    memset(out, 0, sizeof *out);
    XN_TRY(xn_algebra_room(ctx, 1));
    double w[3] = {0.0, 0.0, 0.0};
    linear *runs = xn_calloc((size_t)in->n_runs, sizeof *runs);
    state s = {.in = in, .model = xn_alloc((size_t)in->n, 4 * sizeof(double)), .shift = shift};
    int64_t used = 0;
    xani_status st = runs != NULL && s.model != NULL ? XANI_OK : xn_fail_memory(ctx, "the model", (size_t)in->n * 32);
    if (st == XANI_OK) st = intensities(ctx, &s, w, 1, s.model);
    if (st == XANI_OK) {
        double chi2 = fit_linear(in, s.model, 1, runs, &used);
        out->chi2_before = chi2 / (double)xn_max64(1, used - 3 - LINEAR * in->n_runs);
        if (used < 100 + LINEAR * in->n_runs)
            st = xn_fail(ctx, XANI_ERR_INPUT, "%lld usable pixels do not determine an orientation", (long long)used);
    }
    if (st == XANI_OK && in->range_deg > 0.0) st = coarse(ctx, &s, runs, w);
    if (st == XANI_OK) st = descend(ctx, &s, runs, w, out);
    memcpy(out->rotation_deg, w, sizeof w);
    out->angle_deg = sqrt(w[0] * w[0] + w[1] * w[1] + w[2] * w[2]);
    for (int k = 0; k < 3; k++)
        out->outside = out->outside || (in->range_deg > 0.0 && fabs(w[k]) > SLACK * in->range_deg);
    if (st == XANI_OK) out->explained = 1.0 - out->chi2_after / flat_chi2(in, runs);
    xn_free(runs);
    xn_free(s.model);
    return st;
}

xani_status xn_refine_orientation(xn_ctx *ctx, const xn_refine_input *in, xn_refine_result *out)
{
    return refine(ctx, in, false, out);
}

xani_status xn_refine_shift(xn_ctx *ctx, const xn_refine_input *in, xn_refine_result *out)
{
    return refine(ctx, in, true, out);
}
