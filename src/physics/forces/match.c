// SPDX-License-Identifier: BSD-3-Clause
// match.c -- lines of a pixel group given to branches: see match.h.
//
// Maxima of |P|^2 are looked for around a line on a grid eight times as fine as the window resolves, and refined by
// Newton's method.  With a = w h, ' = d/dnu and F = |P|^2 / 2: F' = Re(P* P'), F'' = |P'|^2 + Re(P* P''), and since P
// depends on nu - nu_i only, d nu / d nu_i = Re(a_i'* P' + P* a_i'') / F''.
#include "physics/forces/match.h"

#include <math.h>
#include <string.h>

#define HALF_QUANTUM_K 23.99621537 // h / 2 kB, K per THz
#define LEAST_THZ 0.05             // below, 1/nu says nothing
#define UNSURE 0.35                // of the rms of nu within a group: amplitudes go with what the pump does too
#define MIXING 0.2                 // of what the branches shift a line by, likewise
#define WIDE 0.5                   // rms within a group times the window, in oscillations: nine places instead of four
#define FINE 8.0                   // steps of the search in 1/window
#define LEAST_REACH 0.3            // THz around a line that are searched at least, and at most
#define MOST_REACH 1.2
#define ROUNDS 4
#define MAIN_LOBE 0.7

// What a place of the patch shows of a branch.
struct xn_component {
    int index; // (place, branch)
    double nu, w;
    double complex turn; // exp(i k nu T)
};

// The filter of one line.
typedef struct filter {
    double k, damping, window;
} filter;

void xn_matcher_close(xn_matcher *m)
{
    void *all[] = {m->nu, m->share, m->mix, m->e, m->d, m->work, m->component};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
    memset(m, 0, sizeof *m);
}

bool xn_matcher_open(const xn_forces *f, xn_matcher *m)
{
    size_t n = 3 * (size_t)f->n_atoms, all = n * XN_MATCH_PLACES;
    *m = (xn_matcher){.branches = (int)n,
                      .nu = xn_alloc(all, sizeof *m->nu),
                      .share = xn_alloc(all, sizeof *m->share),
                      .mix = xn_alloc((XN_MATCH_LINES + 1) * all, sizeof *m->mix),
                      .e = xn_alloc(all * n, sizeof *m->e),
                      .d = xn_alloc(all * n, sizeof *m->d),
                      .work = xn_alloc(xn_forces_work(f), sizeof *m->work),
                      .component = xn_alloc(all, sizeof *m->component)};
    return m->nu && m->share && m->mix && m->e && m->d && m->work && m->component;
}

// ---- what the patch shows

// Visibilities of all branches at place s, times its weight.
static void set_shares(xn_matcher *m, const xn_forces *f, int s, double weight, double temperature_k)
{
    int n = m->branches;
    const double *q = m->at[s];
    double length = sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2]);
    for (int b = 0; b < n; b++) {
        const double complex *e = m->e + ((size_t)s * (size_t)n + (size_t)b) * (size_t)n;
        double complex sum = 0.0;
        for (int i = 0; i < f->n_atoms; i++) {
            double a = xn_form_factor(f, i, length) / sqrt(f->mass_u[i]);
            if (!isfinite(a)) a = 1.0 / sqrt(f->mass_u[i]);
            for (int c = 0; c < 3; c++) sum += a * q[c] * e[3 * i + c];
        }
        double own = m->nu[s * n + b], nu = fmax(own, LEAST_THZ); // where it is imaginary it does not oscillate
        m->share[s * n + b] =
            !(own > 0.0) ? 0.0
                         : weight * creal(sum * conj(sum)) / tanh(HALF_QUANTUM_K * nu / (temperature_k + 1e-9)) / nu;
    }
}

// The strongest branch of the patch has 1 in all.
static void normalise(xn_matcher *m)
{
    double strongest = 0.0;
    for (int b = 0; b < m->branches; b++) {
        double sum = 0.0;
        for (int s = 0; s < m->places; s++) sum += m->share[s * m->branches + b];
        strongest = fmax(strongest, sum);
    }
    for (int i = 0; i < m->places * m->branches; i++)
        m->share[i] = strongest > 0.0 ? m->share[i] / strongest : m->nu[i] > 0.0 ? 1.0 / m->places : 0.0;
}

// side x side places of the patch: nodes of Gauss and Legendre.
static bool look(xn_matcher *m, const xn_forces *f, const xn_observed *line, int side, double temperature_k)
{
    static const double outer[4] = {0, 0, 0.28867513459481287, 0.3872983346207417}; // in edges
    static const double weight[4][3] = {{0}, {1}, {0.5, 0.5}, {5.0 / 18, 8.0 / 18, 5.0 / 18}};
    size_t n = (size_t)m->branches;
    double step[2][3];
    for (int c = 0; c < 6; c++) step[c / 3][c % 3] = outer[side] * line->edge[c / 3][c % 3];
    m->places = side * side;
    xn_forces_matrices(f, line->q, step, side, m->d);
    for (int s = 0; s < m->places; s++) {
        int u = s / side, v = s % side; // 0 ... side - 1 stand for -1 ... 1
        double way[2] = {side > 1 ? 2.0 * u / (side - 1) - 1.0 : 0.0, side > 1 ? 2.0 * v / (side - 1) - 1.0 : 0.0};
        size_t row = (size_t)s * n;
        for (int c = 0; c < 3; c++) m->at[s][c] = line->q[c] + way[0] * step[0][c] + way[1] * step[1][c];
        if (!xn_forces_diagonalise(f, m->at[s], NULL, m->d + row * n, m->work, m->nu + row, m->e + row * n))
            return false;
        set_shares(m, f, s, weight[side][u] * weight[side][v], temperature_k);
    }
    normalise(m);
    return true;
}

// Largest rms of a branch within the patch, of those that are seen.
static double widest(const xn_matcher *m)
{
    double most = 0.0;
    for (int b = 0; b < m->branches; b++) {
        double w = 0.0, mean = 0.0, square = 0.0;
        for (int s = 0; s < m->places; s++) {
            double share = m->share[s * m->branches + b], nu = m->nu[s * m->branches + b];
            w += share;
            mean += share * nu;
            square += share * nu * nu;
        }
        if (w > 0.1) most = fmax(most, sqrt(fmax(0.0, square / w - mean * mean / (w * w))));
    }
    return most;
}

static bool look_well(xn_matcher *m, const xn_forces *f, const xn_observed *line, double temperature_k)
{
    double size = 0.0;
    for (int c = 0; c < 3; c++) size += fabs(line->edge[0][c]) + fabs(line->edge[1][c]);
    if (!look(m, f, line, size > 0.0 && line->window_ps > 0.0 ? 2 : 1, temperature_k)) return false;
    return m->places == 1 || widest(m) * line->f_per_nu * line->window_ps < WIDE || look(m, f, line, 3, temperature_k);
}

// ---- where a line should be

// h and its derivatives by z.
static void transform(const filter *t, double complex z, double complex end, double complex h[3])
{
    double T = t->window;
    double complex u = z * T;
    if (creal(u) * creal(u) + cimag(u) * cimag(u) < 4e-4) {
        h[0] = T * (1.0 - u / 2.0 + u * u / 6.0);
        h[1] = -T * T * (1.0 / 2.0 - u / 3.0 + u * u / 8.0);
        h[2] = T * T * T * (1.0 / 3.0 - u / 4.0 + u * u / 10.0);
        return;
    }
    double complex inverse = conj(z) / (creal(z) * creal(z) + cimag(z) * cimag(z));
    h[0] = (1.0 - end) * inverse;
    h[1] = (T * end - h[0]) * inverse;
    h[2] = (-T * T * end - 2.0 * h[1]) * inverse;
}

// P, P' and P'' at nu.
static void filtered(const filter *t, const xn_component *c, int n, double nu, double complex p[3])
{
    double complex end = exp(-t->damping * t->window) * cexp(-I * t->k * nu * t->window), h[3], ik = I * t->k;
    p[0] = p[1] = p[2] = 0.0;
    for (int i = 0; i < n; i++) {
        transform(t, t->damping + ik * (nu - c[i].nu), end * c[i].turn, h);
        p[0] += c[i].w * h[0];
        p[1] += c[i].w * h[1] * ik;
        p[2] -= c[i].w * h[2] * t->k * t->k;
    }
}

static double curvature(const double complex p[3]) { return creal(p[1] * conj(p[1])) + creal(conj(p[0]) * p[2]); }

// The maximum near nu, which may move by `most`.
static double refined(const filter *t, const xn_component *c, int n, double nu, double most)
{
    double at = nu;
    for (int k = 0; k < ROUNDS; k++) {
        double complex p[3];
        filtered(t, c, n, at, p);
        double bend = curvature(p), step = bend < 0.0 ? -creal(conj(p[0]) * p[1]) / bend : 0.0;
        if (fabs(at + step - nu) > most) return at;
        at += step;
        if (fabs(step) < 1e-6) break;
    }
    return at;
}

// Is something seen there, or is it the filter's side lobe? Those of one component are at 1.43, 2.46, ... / window.
static bool is_line(const filter *t, const xn_component *c, int n, double nu)
{
    double near = MAIN_LOBE * 2.0 * M_PI / (t->k * t->window);
    for (int i = 0; i < n; i++)
        if (fabs(c[i].nu - nu) < near) return true;
    return false;
}

// Shares of all components in a line at nu.
static void set_mix(const filter *t, const xn_component *c, int n, double nu, double *mix)
{
    double complex p[3], end = exp(-t->damping * t->window) * cexp(-I * t->k * nu * t->window), h[3], ik = I * t->k;
    filtered(t, c, n, nu, p);
    double bend = curvature(p);
    for (int i = 0; i < n; i++) {
        transform(t, t->damping + ik * (nu - c[i].nu), end * c[i].turn, h);
        double complex a1 = c[i].w * h[1] * ik, a2 = -c[i].w * h[2] * t->k * t->k;
        mix[c[i].index] = bend < 0.0 ? creal(conj(a1) * p[1] + conj(p[0]) * a2) / bend : 0.0;
    }
}

// Of what the patch shows, the part that none of the other lines is nearer to.
static int choose_components(const xn_matcher *m, const filter *t, const xn_observed *line, int n, int j)
{
    int found = 0;
    for (int i = 0; i < m->places * m->branches; i++) {
        double nu = m->nu[i], off = fabs(nu - line[j].nu_thz);
        bool own = m->share[i] > 0.0;
        for (int k = 0; k < n; k++) own = own && (k == j || fabs(nu - line[k].nu_thz) >= off);
        if (own) m->component[found++] = (xn_component){i, nu, m->share[i], cexp(I * t->k * nu * t->window)};
    }
    return found;
}

// ---- judgement

typedef struct judge {
    const xn_matcher *m;
    const xn_observed *line;
    const xn_match_options *o;
    double slack, least;       // cost of the best so far
    double odds, mean, square; // of all candidates, exp(-cost/2), with the moments of their frequencies about the line
    double *best, *mix;        // shares of the best; room for those of a candidate
} judge;

// Sums over the places of one branch: shares, what they shift the line by, and the rms of nu about the line.
static double branch_sums(const xn_matcher *m, const double *mix, int b, double nu, double *shift, double *rms)
{
    double sum = 0.0, all = 0.0, square = 0.0;
    *shift = 0.0;
    for (int i = b; i < m->places * m->branches; i += m->branches) {
        double off = m->nu[i] - nu;
        if (mix[i] == 0.0) continue;
        sum += mix[i];
        all += fabs(mix[i]);
        *shift += mix[i] * off;
        square += fabs(mix[i]) * off * off;
    }
    *rms = all > 0.0 ? sqrt(square / all) : 0.0;
    return sum;
}

// A candidate at nu with the shares j->mix and the strength `seen` is taken where it costs less than the best so far.
static void consider(judge *j, double nu, double seen, xn_matched *out)
{
    const xn_matcher *m = j->m;
    double most = 0.0, spread = 0.0, unsure = 0.0, shift, rms;
    int branch = -1;
    for (int b = 0; b < m->branches; b++) {
        double sum = branch_sums(m, j->mix, b, nu, &shift, &rms);
        unsure += MIXING * MIXING * shift * shift;
        if (sum > most) most = sum, branch = b, spread = rms;
    }
    if (branch < 0) return;
    double own = UNSURE * spread * fmin(1.0, spread * j->line->f_per_nu * j->line->window_ps);
    double model = sqrt(j->o->least_sigma_thz * j->o->least_sigma_thz + own * own + unsure);
    double sigma = hypot(j->line->sigma_thz, model);
    double z = (j->line->nu_thz - nu) / hypot(sigma, j->slack * nu), cost = xn_match_cost(z, seen);
    double odds = exp(-0.5 * cost), off = nu - j->line->nu_thz;
    j->odds += odds;
    j->mean += odds * off;
    j->square += odds * off * off;
    if (!(cost < j->least)) return;
    j->least = cost;
    memcpy(j->best, j->mix, (size_t)m->places * (size_t)m->branches * sizeof *j->mix);
    *out = (xn_matched){branch, nu, model, spread, 0.0, j->best};
}

// Every branch a line of its own: the mean over the patch.
static void match_plainly(judge *j, const xn_component *c, int n, xn_matched *out)
{
    const xn_matcher *m = j->m;
    for (int b = 0; b < m->branches; b++) {
        double w = 0.0, nu = 0.0;
        memset(j->mix, 0, (size_t)m->places * (size_t)m->branches * sizeof *j->mix);
        for (int i = 0; i < n; i++)
            if (c[i].index % m->branches == b) w += c[i].w, nu += c[i].w * c[i].nu;
        for (int i = 0; i < n; i++)
            if (c[i].index % m->branches == b) j->mix[c[i].index] = c[i].w / w;
        if (w > 0.0) consider(j, nu / w, w, out);
    }
}

static void match_filtered(judge *j, const filter *t, const xn_component *c, int n, xn_matched *out)
{
    double reach =
        fmin(MOST_REACH, fmax(LEAST_REACH, j->o->reach * hypot(j->line->sigma_thz, j->slack * j->line->nu_thz)));
    double step = 2.0 * M_PI / (t->k * t->window * FINE), from = j->line->nu_thz - reach,
           seen[3] = {0, INFINITY, INFINITY};
    double strong = t->damping * t->window > 1e-6 ? -expm1(-t->damping * t->window) / t->damping : t->window;
    for (int64_t i = 0; (double)(i - 2) * step <= 2.0 * reach; i++) {
        double complex p[3];
        double at = from + (double)(i - 1) * step; // of the middle one
        filtered(t, c, n, at + step, p);
        seen[0] = seen[1];
        seen[1] = seen[2];
        seen[2] = cabs(p[0]);
        if (!(seen[0] < seen[1] && seen[1] >= seen[2])) continue;
        double nu = refined(t, c, n, at, step);
        if (!is_line(t, c, n, nu)) continue;
        memset(j->mix, 0, (size_t)j->m->places * (size_t)j->m->branches * sizeof *j->mix);
        set_mix(t, c, n, nu, j->mix);
        consider(j, nu, seen[1] / strong, out);
    }
}

bool xn_match(xn_matcher *m, const xn_forces *f, const xn_observed *line, int n, const xn_match_options *o,
              double slack, xn_matched *out)
{
    for (int j = 0; j < n; j++) out[j] = (xn_matched){.branch = -1};
    if (!look_well(m, f, line, o->temperature_k)) return false;
    size_t size = (size_t)m->places * (size_t)m->branches;
    for (int k = 0; k < n; k++) {
        judge j = {.m = m,
                   .line = &line[k],
                   .o = o,
                   .slack = slack,
                   .least = o->reach * o->reach,
                   .best = m->mix + (size_t)k * size,
                   .mix = m->mix + (size_t)n * size};
        const filter t = {2.0 * M_PI * line[k].f_per_nu, line[k].damping_per_ps, line[k].window_ps};
        int found = choose_components(m, &t, line, n, k);
        if (t.window > 0.0)
            match_filtered(&j, &t, m->component, found, &out[k]);
        else
            match_plainly(&j, m->component, found, &out[k]);
        if (out[k].branch >= 0 && j.odds > 0.0) {
            double off = out[k].nu_thz - line[k].nu_thz;
            out[k].doubt_thz = sqrt(fmax(0.0, j.square - 2 * off * j.mean + off * off * j.odds) / j.odds);
        }
    }
    return true;
}
