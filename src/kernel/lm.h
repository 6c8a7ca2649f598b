// SPDX-License-Identifier: BSD-3-Clause
// lm.h -- Levenberg-Marquardt over blocks: acceptance, bounds and stop are masks, nothing branches per lane.
//
// Trial accepted when chi^2 does not rise beyond rounding; lambda then times 0.1, else times 8.  Where a step that was
// accepted overshot, because Kaufman's matrix S is less than the curvature c S there, the slopes along it before and
// after tell c = (1 + over)(1 + lambda), over = -after/before, and lambda becomes c - 1: else such a lane jumps to and
// fro across its valley until its passes are used up.  A lane stops when the *undamped* predicted decrease gradient^T
// S^-1 gradient of its accepted state is below tolerance * s^2: a damped prediction shrinks after rejections and looks
// converged; the change of chi^2 says nothing after a rejection.  The step is known then and is taken, with what
// becomes of amplitudes and chi^2 to first order.  So a lane may stop one evaluation earlier, where that step leaves as
// little: the last one left decrease/(decrease before) of what there was, and this one will too.  First order is not
// enough for long steps, on a plain where S is as good as zero, and for modes that are nearly alike, whose amplitudes
// are large and change with the distance of their poles: there the lane stays where it was evaluated. Bounds by
// projection; a parameter that stands at one and would leave it is dropped from the step.
#ifndef XN_KERNEL_LM_H
#define XN_KERNEL_LM_H

#include "kernel/series.h"
#include "kernel/start.h"
#include "kernel/varpro.h"

#define XN_LAMBDA_FIRST R(0.1) // the first acceptance makes it 0.01
#define XN_OVERSHOT R(0.3)     // slope behind a step, of the one before it and against it
#define XN_CLOSE R(100)        // times the tolerance: a step of 0.3 sigma
#define XN_SURE R(0.5)         // of the tolerance: what that step leaves is a guess
#define XN_SECOND R(0.03)      // of s^2: what first order may leave out
#define XN_LONG R(0.25)        // a step squared, in units of 1/length, that first order does not describe
#define XN_UNKNOWN R(1e30)     // chi^2 before the first pass
// Rounding of chi^2 = yy - v v, in units of yy: a step that gains less must not be refused over and over.
#define XN_SLACK (XN_EPSILON * R(64))

XN_FN bool is_g(int j) { return (j & 1) == 0; }
// Poles that are no modes: they come first.
XN_FN int poles_beside(const struct kit *kit) { return XN_EXPONENTIAL(kit) ? 1 : 0; }
XN_FN int bound_of(const struct kit *kit, int j) { return j < 2 * poles_beside(kit) ? 2 + (j & 1) : j & 1; }
XN_FN vf bound_lo(const struct kit *kit, int j) { return v_set(kit->table->lo[bound_of(kit, j)]); }
XN_FN vf bound_hi(const struct kit *kit, int j) { return v_set(kit->table->hi[bound_of(kit, j)]); }

// samples less parameters
XN_FN vf freedom_of(const struct block *b, int a, int K)
{
    return v_max(b->samples[a] - R(4 * K + b->kit->plan->n_columns - 2 * poles_beside(b->kit)), v_set(R(1)));
}

// Variance of a sample: known, or from the residual; not below the rounding of the samples themselves, which is no
// noise: it has lines of its own, and traces without noise would never end to converge.
XN_FN vf variance_of(const struct block *b, int a, int K, vf chi2)
{
    vf s2 = v_sel(v_lt(v_set(R(0)), b->sigma2[a]), b->sigma2[a], -b->sigma2[a] * (chi2 / freedom_of(b, a, K)));
    return v_max(s2, b->floor2[a]);
}

// Everything a step needs at parameter (g_1, w_1, ...) of both groups.
XN_FN void evaluate(const int K, struct block *b, const vf *const parameter[XN_GROUPS], struct eval *e)
{
    const struct kit *kit = b->kit;
    struct sums s[XN_GROUPS];
    vc z[XN_GROUPS][XN_M];
    for (int a = 0; a < XN_GROUPS; a++)
        for (int k = 0; k < K; k++) z[a][k] = v_pole(parameter[a][2 * k], parameter[a][2 * k + 1], v_set(R(1)));
    if (kit->moments == XN_MOMENTS_GOERTZEL || kit->moments == XN_MOMENTS_HORNER) moments(K, b, z, s);
    for (int a = 0; a < XN_GROUPS; a++) {
        struct factor *f = &e[a].f;
        if (kit->moments == XN_MOMENTS_EXPLICIT)
            sums_explicit(K, b, a, parameter[a], &s[a]);
        else if (kit->moments != XN_MOMENTS_GRIDDED)
            gram_closed(K, kit, z[a], &s[a]);
#ifndef XN_DEVICE
        else
            sums_gridded(K, b, a, parameter[a], &s[a]);
#endif
        if (kit->moments != XN_MOMENTS_EXPLICIT) varpro_mirror(K, &s[a]);
        varpro_project(K, kit->plan->n_columns, &s[a], f);
        varpro_amplitudes(K, &s[a], b->yy[a], f, &e[a]);
        varpro_schur(K, &s[a], f, &e[a]);
    }
}

// Which parameters stand at a bound and would leave it (gradient > 0: chi^2 falls with the parameter).
XN_FN void bounds_active(const int Q, const struct kit *kit, const vf *parameter, const vf *gradient, vm *fixed)
{
    for (int j = 0; j < Q; j++) {
        vm low = v_and(v_le(parameter[j], bound_lo(kit, j)), v_lt(gradient[j], v_set(R(0))));
        vm high = v_and(v_ge(parameter[j], bound_hi(kit, j)), v_lt(v_set(R(0)), gradient[j]));
        fixed[j] = v_or(low, high);
    }
}

// An exponential has no frequency to be fitted; a rate less certain than itself stays, because there is nothing to lead
// it.
XN_FN void exponential_fixed(const struct kit *kit, const vf *parameter, vf information, vf s2, vm *fixed)
{
    const vf r = parameter[0] * R(kit->plan->length);
    fixed[0] = v_or(fixed[0], v_lt(information * r * r, s2));
    fixed[1] = v_all();
}

// Which lanes took the trial.
XN_FN vm lm_accept(const int Q, const struct block *b, int a, struct lm *s, const struct eval *e)
{
    vf slack = b->yy[a] * XN_SLACK;
    vm better = v_and(s->active, v_le(e->chi2, s->now.chi2 + slack));
    vf before = v_set(R(0)), after = before, one = v_set(R(1)); // slopes along the step
    for (int j = 0; j < Q; j++) {
        vf step = s->trial[j] - s->parameter[j];
        before = v_fma(s->now.gradient[j], step, before);
        after = v_fma(e->gradient[j], step, after);
    }
    vf over = v_min(-after / v_sel(v_lt(v_set(R(0)), before), before, one), v_set(R(4)));
    vf next = v_sel(v_lt(v_set(XN_OVERSHOT), over), v_fma(over, s->lambda + one, s->lambda), s->lambda * R(0.1));
    s->now.chi2 = v_sel(better, e->chi2, s->now.chi2);
    for (int j = 0; j < Q; j++) {
        s->parameter[j] = v_sel(better, s->trial[j], s->parameter[j]);
        s->now.beta[j] = v_sel(better, e->beta[j], s->now.beta[j]);
        s->now.gradient[j] = v_sel(better, e->gradient[j], s->now.gradient[j]);
        for (int i = 0; i <= j; i++) s->now.schur[j][i] = v_sel(better, e->schur[j][i], s->now.schur[j][i]);
    }
    s->lambda = v_sel(better, v_max(next, v_set(R(1e-7))), v_min(s->lambda * R(8), v_set(R(1e6))));
    return better;
}

// What first order leaves out of the model when poles go on by `step` (units of 1/length) and amplitudes from e->beta
// to `beta`, squared and summed over the samples: d beta/beta and step/2 of the first-order change of each mode, which
// is nu e^(...) beta step and never more than e^(...) beta step.
XN_FN vf lm_left_out(const int Q, const struct lm *s, const struct eval *e, const vf *step, const vf *beta)
{
    vf sum = v_set(R(0));
    for (int j = 0; j < Q; j += 2) {
        vf first = v_set(R(0)); // squared, of (g, w) of this mode: J^T J = S + V^T V
        for (int i = j; i < j + 2; i++) {
            vf square = s->now.schur[i][i];
            for (int q = 0; q < Q; q++) square = v_fma(e->f.v[q][i], e->f.v[q][i], square);
            first = v_fma(square, step[i] * step[i], first);
        }
        const vf dc = beta[j] - e->beta[j], ds = beta[j + 1] - e->beta[j + 1];
        const vf size = v_fma(e->beta[j], e->beta[j], e->beta[j + 1] * e->beta[j + 1]) + v_set(XN_TINY);
        const vf change = v_fma(dc, dc, ds * ds) / size;
        sum = v_fma(first, v_fma(v_set(R(0.25)), v_fma(step[j], step[j], step[j + 1] * step[j + 1]), change), sum);
    }
    return sum;
}

// The last step, which is known when a lane is done, taken without another look at the data: parameters, and to first
// order amplitudes and chi^2, of the lanes that `may` and do not meet a bound by it. Returns those.
XN_FN vm lm_conclude(const int Q, const struct block *b, vm may, const vf *step, vf decrease, vf s2, struct lm *s,
                     struct eval *e)
{
    const real unit = b->kit->table->unit;
    vf beta[XN_Q], to[XN_Q];
    for (int j = 0; j < Q; j++) {
        to[j] = v_fma(step[j], v_set(unit), s->parameter[j]);
        may = v_and(may, v_and(v_le(bound_lo(b->kit, j), to[j]), v_le(to[j], bound_hi(b->kit, j))));
        beta[j] = e->beta[j];
    }
    for (int j = 0; j < Q; j += 2)
        may = v_and(may, v_lt(v_fma(step[j], step[j], step[j + 1] * step[j + 1]), v_set(XN_LONG)));
    varpro_follow(Q, &e->f, step, beta);
    if (Q > 2) may = v_and(may, v_lt(lm_left_out(Q, s, e, step, beta), XN_SECOND * s2));
    for (int j = 0; j < Q; j++) {
        s->parameter[j] = v_sel(may, to[j], s->parameter[j]);
        s->now.beta[j] = v_sel(may, beta[j], s->now.beta[j]);
    }
    s->now.chi2 = v_sel(may, s->now.chi2 - decrease, s->now.chi2);
    return may;
}

// Accepts or rejects the trial, decides who is done, makes the next trial.
XN_FN void advance(const int K, const struct block *b, int a, struct lm *s, struct eval *e, real tolerance)
{
    const int Q = 2 * K;
    const struct kit *kit = b->kit;
    vm fixed[XN_Q];
    vf schur[XN_Q][XN_Q], gradient[XN_Q], step[XN_Q];
    const vm better = lm_accept(Q, b, a, s, e);
    bounds_active(Q, kit, s->parameter, s->now.gradient, fixed);
    for (int j = 0; j < Q; j++) {
        gradient[j] = s->now.gradient[j];
        for (int i = 0; i <= j; i++) schur[j][i] = s->now.schur[j][i];
    }
    const vf s2 = variance_of(b, a, K, s->now.chi2);
    if (XN_EXPONENTIAL(kit)) exponential_fixed(kit, s->parameter, schur[0][0], s2, fixed);
    schur_without(Q, fixed, schur, gradient);
    const vf decrease = schur_step(Q, schur, v_set(R(0)), gradient, step), least = tolerance * s2;
    vm done = v_lt(decrease, least), close = v_lt(decrease * decrease, XN_SURE * least * s->decrease);
    close = v_and(v_or(done, v_and(close, v_lt(decrease, XN_CLOSE * least))), v_and(better, s->active));
    if (v_any(close)) done = v_or(done, lm_conclude(Q, b, close, step, decrease, s2, s, e));
    s->decrease = decrease;
    vm stuck = v_and(v_and(s->active, v_not(done)), v_lt(v_set(R(1e5)), s->lambda));
    s->stuck = v_or(s->stuck, stuck);
    s->active = v_and(s->active, v_not(v_or(done, stuck)));
    schur_step(Q, schur, s->lambda, gradient, step);
    const real unit = kit->table->unit, furthest = R(60) * unit;
    for (int j = 0; j < Q; j++) {
        vf p = s->parameter[j], d = step[j] * unit;
        vf down = is_g(j) ? v_min(p * R(-0.7), v_set(R(-0.3) * unit)) : v_set(-furthest),
           up = is_g(j) ? p * R(1.5) + unit * R(0.4) : v_set(furthest);
        d = v_min(v_max(d, down), up);
        s->trial[j] = v_min(v_max(p + d, bound_lo(kit, j)), bound_hi(kit, j));
    }
}

#ifdef XN_DEVICE // K is a constant of each kernel
XN_FN void evaluate_modes(const int K, struct block *b, const vf *const *parameter, struct eval *e)
{
    evaluate(K, b, parameter, e);
}
XN_FN void advance_modes(const int K, const struct block *b, int a, struct lm *s, struct eval *e, real tolerance)
{
    advance(K, b, a, s, e, tolerance);
}
#else
// One copy of the two per number of modes: constants inside, a table outside.
#define XN_LM_FOR(K)                                                                                                   \
    static __attribute__((noinline)) void evaluate_##K(struct block *b, const vf *const *parameter, struct eval *e)    \
    {                                                                                                                  \
        evaluate(K, b, parameter, e);                                                                                  \
    }                                                                                                                  \
    static __attribute__((noinline)) void advance_##K(const struct block *b, int a, struct lm *s, struct eval *e,      \
                                                      real tolerance)                                                  \
    {                                                                                                                  \
        advance(K, b, a, s, e, tolerance);                                                                             \
    }
XN_LM_FOR(1)
XN_LM_FOR(2)
XN_LM_FOR(3)
XN_LM_FOR(4)
static void (*const evaluate_of[XN_M])(struct block *, const vf *const *, struct eval *) = {evaluate_1, evaluate_2,
                                                                                            evaluate_3, evaluate_4};
static void (*const advance_of[XN_M])(const struct block *, int, struct lm *, struct eval *,
                                      real) = {advance_1, advance_2, advance_3, advance_4};
static void evaluate_modes(int K, struct block *b, const vf *const *parameter, struct eval *e)
{
    evaluate_of[K - 1](b, parameter, e);
}
static void advance_modes(int K, const struct block *b, int a, struct lm *s, struct eval *e, real tolerance)
{
    advance_of[K - 1](b, a, s, e, tolerance);
}
#endif

XN_FN bool lm_active(const struct lm s[XN_GROUPS])
{
    bool any = false;
    for (int a = 0; a < XN_GROUPS; a++) any |= v_any(s[a].active);
    return any;
}

XN_PART void lm_pass(const int K, struct block *b, struct lm s[XN_GROUPS], real tolerance)
{
    struct eval e[XN_GROUPS];
    const vf *trial[XN_GROUPS];
    int64_t *evaluations = b->kit->tile->evaluations;
    for (int a = 0; a < XN_GROUPS; a++) {
        trial[a] = s[a].trial;
        if (evaluations != NULL) evaluations[K - 1] += v_count(s[a].active);
    }
    evaluate_modes(K, b, trial, e);
    for (int a = 0; a < XN_GROUPS; a++) advance_modes(K, b, a, &s[a], &e[a], tolerance);
}

#endif
