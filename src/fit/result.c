// SPDX-License-Identifier: BSD-3-Clause
// result.c -- from the kernel's planes to one trace's result: units, order, and modes that make no sense.
//
// A mode that stands at a bound or is hardly determined stays in the fit, where it takes up what is not an
// oscillation (a drift, a spike at delay zero), but is not reported as a phonon:
//   frequency at the end of the band, damping at its upper bound (a spike of three samples);
//   sigma_f > 0.3 THz or > f/4.
// A mode at the lower bound of damping is one that does not decay in the window: reported, without error of damping.
// Either bound sets the status "at a bound".
#include <math.h>

#include "data/modes.h"
#include "fit/engine.h"

#define INLINE static inline __attribute__((always_inline)) // once for each precision, told by `bits`

INLINE double out(const int bits, const xn_fit_tile *t, int slot, int i)
{
    const size_t at = (size_t)slot * (size_t)t->out_stride + (size_t)i;
    return bits == 32 ? (double)((const float *)t->out)[at] : ((const double *)t->out)[at];
}

INLINE void none(double *p)
{
    for (int k = 0; k < XANI_MAX_MODES; k++) p[k] = NAN;
}

INLINE void result_clear(xani_fit_result *r)
{
    r->n_modes = r->status = 0; // no memset: for each of millions of results it costs more than what follows
    r->chi2_reduced = NAN;
    double *all[] = {r->frequency_thz, r->frequency_error, r->amplitude,     r->amplitude_error, r->phase,
                     r->phase_error,   r->damping_per_ps,  r->damping_error, r->significance,    r->background};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) none(all[i]);
}

INLINE bool makes_sense(const int bits, const xn_fit_plans *all, int kind, const xn_fit_tile *t, int i, int m)
{
    const double f = out(bits, t, XN_OUT_W + m, i) * all->thz, df = out(bits, t, XN_OUT_W_ERROR + m, i) * all->thz;
    return xn_fit_determined(f, df) && out(bits, t, XN_OUT_G + m, i) < 0.999999 * all->plan[kind].g_hi &&
           isfinite(out(bits, t, XN_OUT_AMPLITUDE + m, i));
}

// Mode m of the tile becomes mode n of the result.
INLINE void put_mode(const int bits, const xn_fit_plans *all, const xn_fit_tile *t, int i, int m, int n,
                     xani_fit_result *r)
{
    const double per_ps = all->per_ps, thz = all->thz;
    r->frequency_thz[n] = out(bits, t, XN_OUT_W + m, i) * thz;
    r->frequency_error[n] = out(bits, t, XN_OUT_W_ERROR + m, i) * thz;
    r->damping_per_ps[n] = out(bits, t, XN_OUT_G + m, i) * per_ps;
    r->damping_error[n] = out(bits, t, XN_OUT_G_ERROR + m, i) * per_ps;
    r->amplitude[n] = out(bits, t, XN_OUT_AMPLITUDE + m, i);
    r->amplitude_error[n] = out(bits, t, XN_OUT_AMPLITUDE_ERROR + m, i);
    r->phase[n] = out(bits, t, XN_OUT_PHASE + m, i);
    r->phase_error[n] = out(bits, t, XN_OUT_PHASE_ERROR + m, i);
    r->significance[n] = out(bits, t, XN_OUT_SIGNIFICANCE + m, i);
}

// Modes of the tile, the most significant first.
INLINE void order_modes(const int bits, const xn_fit_tile *t, int i, int *order)
{
    for (int m = 0; m < t->n_modes[i]; m++) {
        int at = m;
        for (; at > 0; at--) {
            double before = out(bits, t, XN_OUT_SIGNIFICANCE + order[at - 1], i);
            if (before >= out(bits, t, XN_OUT_SIGNIFICANCE + m, i)) break;
            order[at] = order[at - 1];
        }
        order[at] = m;
    }
}

INLINE int sensible_modes(const int bits, const xn_fit_plans *all, int kind, const xn_fit_tile *t, int i, int *modes)
{
    int order[XANI_MAX_MODES] = {0}, n = 0;
    if (t->flags[i] & (XN_FLAG_FEW | XN_FLAG_MISSING)) return 0;
    order_modes(bits, t, i, order);
    for (int m = 0; m < t->n_modes[i]; m++)
        if (makes_sense(bits, all, kind, t, i, order[m])) modes[n++] = order[m];
    return n;
}

INLINE double residual_variance(const int bits, const xn_fit_tile *t, int i)
{
    const double unscale = out(bits, t, XN_OUT_UNSCALE, i);
    const double inflate = t->inflate != NULL ? t->inflate[i] : 1.0;
    return out(bits, t, XN_OUT_VARIANCE, i) * unscale * unscale * inflate;
}

INLINE void result_make(const int bits, const xn_fit_plans *all, int kind, const xn_fit_tile *t, int i,
                        xani_fit_result *r)
{
    const xn_fit_plan *p = &all->plan[kind];
    int modes[XANI_MAX_MODES];
    result_clear(r);
    if (t->flags[i] & (XN_FLAG_FEW | XN_FLAG_MISSING)) {
        r->status = XN_FIT_FEW_DELAYS;
        return;
    }
    r->n_modes = sensible_modes(bits, all, kind, t, i, modes);
    for (int n = 0; n < r->n_modes; n++) put_mode(bits, all, t, i, modes[n], n, r);
    const double sigma = xn_fit_sigma(t, i), variance = residual_variance(bits, t, i);
    r->chi2_reduced = sigma > 0.0 ? variance / (sigma * sigma) : variance;
    const int level = all->level_before ? p->n_columns - 1 : -1;
    for (int q = 0; q < p->n_columns; q++) {
        r->background[q] = q == 0 || q == level ? out(bits, t, XN_OUT_MEAN, i) : 0.0;
        for (int b = 0; b < p->n_columns; b++)
            r->background[q] += out(bits, t, XN_OUT_BACKGROUND + b, i) * all->legendre[kind][b][q];
    }
    if (p->exponential) {
        if (level >= 0) r->background[3] = r->background[level];
        r->background[1] = out(bits, t, XN_OUT_EXPONENTIAL, i);
        r->background[2] = out(bits, t, XN_OUT_RATE, i) / all->step_ps;
    }
    if (t->flags[i] & XN_FLAG_STUCK)
        r->status = XN_FIT_NOT_CONVERGED;
    else if (t->flags[i] & XN_FLAG_BOUND)
        r->status = XN_FIT_AT_BOUND;
    else
        r->status = r->n_modes > 0 ? XN_FIT_MODES : XN_FIT_NONE;
}

void xn_fit_result_make(const xn_fit_plans *all, int kind, const xn_fit_kernel *k, const xn_fit_tile *t, int i,
                        xani_fit_result *r)
{
    if (k->bits == 32)
        result_make(32, all, kind, t, i, r);
    else
        result_make(64, all, kind, t, i, r);
}

int xn_fit_result_modes(const xn_fit_plans *all, int kind, const xn_fit_kernel *k, const xn_fit_tile *t, int i,
                        int *modes)
{
    return k->bits == 32 ? sensible_modes(32, all, kind, t, i, modes) : sensible_modes(64, all, kind, t, i, modes);
}

double xn_fit_result_variance(const xn_fit_kernel *k, const xn_fit_tile *t, int i)
{
    const double sigma = xn_fit_sigma(t, i);
    if (sigma > 0.0) return sigma * sigma;
    return k->bits == 32 ? residual_variance(32, t, i) : residual_variance(64, t, i);
}
