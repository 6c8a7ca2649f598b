// SPDX-License-Identifier: BSD-3-Clause
// match.c -- lines of a pixel group given to branches: see match.h.
//
// Pairs of line and branch are taken in the order of their cost, each line and each branch once.  The gradient of a
// branch follows from first-order perturbation, e^+ (dD/dq) e / (8 pi^2 nu), dD/dq by differences.  A pixel group lies
// in the Ewald sphere, so of a gradient in any direction two thirds of the square are along it.
#include "physics/forces/match.h"

#include <math.h>
#include <string.h>

#define U_KG 1.66053906660e-27
#define HALF_QUANTUM_K 23.99621537 // h / 2 kB, K per THz
#define FAINT 1e-3                 // least visibility: what is nearly invisible may still be seen by its neighbours
#define LEAST_THZ 0.05             // below, 1/nu says nothing
#define MIXING 0.3                 // of the pull of other branches: their amplitudes go with what the pump does too
#define SIGNIFICANT 5.0            // amplitude over its error of a line that is found
#define SPREAD 0.5                 // of the rms within a group: measured on simulated germanium, docs/map.md
#define STEP 1e-3                  // 1/Angstrom

void xn_matcher_close(xn_matcher *m)
{
    void *all[] = {m->nu, m->share, m->mix, m->e, m->work, m->d, m->shifted};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
    memset(m, 0, sizeof *m);
}

bool xn_matcher_open(const xn_forces *f, xn_matcher *m)
{
    size_t n = 3 * (size_t)f->n_atoms;
    *m = (xn_matcher){.branches = (int)n,
                      .nu = xn_alloc(n, sizeof *m->nu),
                      .share = xn_alloc(n, sizeof *m->share),
                      .mix = xn_alloc(XN_MATCH_LINES * n, sizeof *m->mix),
                      .e = xn_alloc(n * n, sizeof *m->e),
                      .work = xn_alloc(xn_forces_work(f), sizeof *m->work),
                      .d = xn_alloc(n * n, sizeof *m->d),
                      .shifted = xn_alloc(n * n, sizeof *m->shifted)};
    return m->nu && m->share && m->mix && m->e && m->work && m->d && m->shifted;
}

// Visibilities of all branches, relative to the strongest.
static void set_shares(xn_matcher *m, const xn_forces *f, const double q[3], double temperature_k)
{
    int n = m->branches;
    double length = sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2]), strongest = 0.0;
    for (int b = 0; b < n; b++) {
        double complex sum = 0.0;
        for (int i = 0; i < f->n_atoms; i++) {
            double a = xn_form_factor(f, i, length) / sqrt(f->mass_u[i]);
            if (!isfinite(a)) a = 1.0 / sqrt(f->mass_u[i]);
            for (int c = 0; c < 3; c++) sum += a * q[c] * m->e[b * n + 3 * i + c];
        }
        double nu = fmax(m->nu[b], LEAST_THZ); // where it is imaginary it does not oscillate
        m->share[b] =
            !(m->nu[b] > 0.0) ? 0.0 : creal(sum * conj(sum)) / tanh(HALF_QUANTUM_K * nu / (temperature_k + 1e-9)) / nu;
        strongest = fmax(strongest, m->share[b]);
    }
    for (int b = 0; b < n; b++) m->share[b] = strongest > 0.0 ? m->share[b] / strongest : 1.0;
}

// How far a weak line at a distance of dw (rad/ps) shifts a fitted one, in units of dw and of their ratio: the slope of
// the regression of sin(dw t) on t with weights exp(-a t) from 0 to T; 1 for lines much nearer than the window
// resolves. *left: the part of the weak line that no shift takes up, dw^2 times half the variance of t.
static double pull(double dw, double a, double window, double *left)
{
    double complex z = -a + I * dw, end = cexp(z * window);
    double decay = exp(-a * window), w0, w1, w2;
    if (a * window < 0.05) { // moments of the weights; series where they cancel
        w0 = window * (1.0 - 0.5 * a * window);
        w1 = window * window * (0.5 - a * window / 3.0);
        w2 = window * window * window * (1.0 / 3.0 - 0.25 * a * window);
    } else {
        w0 = (1.0 - decay) / a;
        w1 = (w0 - window * decay) / a;
        w2 = (2.0 * w1 - window * window * decay) / a;
    }
    double y = cimag((end - 1.0) / z), ty = cimag(window * end / z - (end - 1.0) / (z * z));
    double variance = w2 / w0 - w1 * w1 / (w0 * w0);
    *left = fmin(1.0, 0.5 * dw * dw * variance);
    return fabs(dw) * window < 1e-3 ? 1.0 : (ty / w0 - w1 * y / (w0 * w0)) / variance / dw;
}

// What a line taken for branch b should read, and the size of what the others do to it. Branches that lines of the same
// group, `taken`, belong to have been fitted beside it.
static double pulled(const xn_matcher *m, int b, const xn_observed *line, const xn_matched *taken, int n_taken,
                     double *mix, double *size)
{
    const double own = m->share[b] + FAINT;
    double norm = own, nu = m->nu[b], rest = 1.0;
    *size = 0.0;
    memset(mix, 0, (size_t)m->branches * sizeof *mix);
    for (int k = 0; k < m->branches && line->window_ps > 0.0; k++) {
        double dw = 2.0 * M_PI * line->f_per_nu * (m->nu[k] - m->nu[b]);
        bool fitted = k == b;
        for (int j = 0; j < n_taken; j++) fitted = fitted || taken[j].branch == k;
        if (fitted) continue;
        double left, h = pull(dw, 2.0 * line->damping_per_ps, line->window_ps, &left);
        double most = SIGNIFICANT * line->noise / fmax(left, 1e-9) * own; // else it had been found
        mix[k] = fmin(m->share[k], most) * h;
        norm += fmax(mix[k], 0.0);
    }
    for (int k = 0; k < m->branches; k++) {
        mix[k] /= norm;
        rest -= mix[k];
        double shift = mix[k] * (m->nu[k] - m->nu[b]);
        nu += shift;
        *size = hypot(*size, shift);
    }
    mix[b] = rest;
    return nu;
}

static double error_of(const xn_observed *line, const double *spread, double size, const xn_match_options *o)
{
    double extent = spread != NULL ? SPREAD * *spread : 0.0, mixing = MIXING * size;
    return sqrt(line->sigma_thz * line->sigma_thz + o->least_sigma_thz * o->least_sigma_thz + extent * extent +
                mixing * mixing);
}

static double cost_of(xn_matcher *m, const xn_observed *line, const double *spread, int b, const xn_match_options *o,
                      double width)
{
    double size, nu = pulled(m, b, line, NULL, 0, m->mix, &size);
    double z = (line->nu_thz - nu) / (width * error_of(line, spread, size, o));
    return z * z - 2.0 * log(m->share[b] + FAINT);
}

bool xn_match(xn_matcher *m, const xn_forces *f, const xn_observed *line, int n, const double *spread,
              const xn_match_options *o, double width, xn_matched *out)
{
    for (int j = 0; j < n; j++) out[j] = (xn_matched){.branch = -1, .mix = m->mix + (size_t)j * (size_t)m->branches};
    if (!xn_forces_solve(f, line->q, NULL, m->work, m->nu, m->e)) return false;
    set_shares(m, f, line->q, o->temperature_k);
    for (int given = 0; given < n; given++) {
        double least = o->reach * o->reach;
        int best_line = -1, best_branch = -1;
        for (int b = 0; b < m->branches; b++) {
            bool free = m->nu[b] > 0.0;
            for (int j = 0; j < n; j++) free = free && out[j].branch != b;
            for (int j = 0; free && j < n; j++) {
                if (out[j].branch >= 0) continue;
                double cost = cost_of(m, &line[j], spread != NULL ? &spread[j] : NULL, b, o, width);
                if (cost < least) least = cost, best_line = j, best_branch = b;
            }
        }
        if (best_line < 0) break;
        out[best_line].branch = best_branch;
    }
    for (int j = 0; j < n; j++) {
        double size;
        if (out[j].branch < 0) continue;
        out[j].nu_thz = pulled(m, out[j].branch, &line[j], out, n, out[j].mix, &size);
        out[j].sigma_thz = error_of(&line[j], spread != NULL ? &spread[j] : NULL, size, o);
    }
    return true;
}

double xn_match_spread(xn_matcher *m, const xn_forces *f, const xn_observed *line, int branch)
{
    int n = m->branches;
    const double complex *e = m->e + (size_t)branch * (size_t)n;
    double w = 2.0 * M_PI * 1e12 * fmax(fabs(m->nu[branch]), LEAST_THZ), square = 0.0;
    if (!(line->extent > 0.0)) return 0.0;
    xn_forces_matrix(f, line->q, m->d);
    for (int axis = 0; axis < 3; axis++) {
        double q[3] = {line->q[0], line->q[1], line->q[2]};
        double complex sum = 0.0;
        q[axis] += STEP;
        xn_forces_matrix(f, q, m->shifted);
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++) sum += conj(e[i]) * (m->shifted[i * n + j] - m->d[i * n + j]) * e[j];
        double slope = creal(sum) / STEP / U_KG / (2.0 * w) / (2.0 * M_PI) * 1e-12;
        square += slope * slope;
    }
    return sqrt(square * 2.0 / 3.0 / 12.0) * line->extent;
}
