// SPDX-License-Identifier: BSD-3-Clause
// kernels.h -- the fit kernels as a table of functions, one row per instruction set and precision.
//
// A kernel fits a tile of traces: start, variable projection, order selection, errors.  It works in units of the
// delay step: t = (delay - first delay)/step, g = decay of the amplitude per step, w = angle in rad per step.
// What is the same for all traces stands in the plan, in double; each kernel makes its own tables from it once
// (`tabulate`), and needs one work space per thread.  Kernels allocate nothing.
//
// A trace's result depends neither on its neighbours in a tile nor on the tile's size: lanes never mix.
#ifndef XN_KERNEL_KERNELS_H
#define XN_KERNEL_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xani/xani.h"

#define XN_FIT_COLUMNS 4 // background: Legendre degrees 0..3
#define XN_FIT_PARAMETERS (2 * XANI_MAX_MODES)
#define XN_RESPONSE_SPAN 10.5 // of its rms after time zero: later nothing is left of the switching on, in double
#define XN_RESPONSE_RISEN 2.0 // from where on the search for a start uses the samples

// GIVEN: the given modes and no others. BOTH: each number of modes from the periodogram and from the given ones,
// keeping the better. GIVEN_FIRST: the given modes where there are any, the periodogram for further ones.
enum { XN_START_PERIODOGRAM = 0, XN_START_GIVEN, XN_START_BOTH, XN_START_GIVEN_FIRST };

typedef struct xn_fit_plan {
    int n;          // samples of a trace
    double length;  // T/step: last t + 1
    int n_columns;  // of the background
    bool closed;    // no weights of a trace's own: sums need not visit every sample; a trace must be complete
    bool gridded;   // closed, with delays or weights of any kind that all traces share: see kernel/grid.h
    bool uniform;   // t = 0, 1, 2, ...
    bool near_grid; // t is near whole numbers: the start takes it for them and transforms
    double *time;   // (n) t
    double *scale;  // (n) root of the weight; 0 for an empty bin
    double *column; // (n_columns, n) background polynomials, orthonormal under the weights scale^2
    double monomial[XN_FIT_COLUMNS][XN_FIT_COLUMNS]; // column b = sum_p monomial[b][p] (t/length)^p
    double window_rate;                              // start: exp(-rate t)
    double grid_step, start_step;                    // of grids that traces are spread on; 1 if not gridded
    int n_grid;                                      // start: powers at w = 2 pi j/(n_grid start_step), n_grid a power
    int grid_lo, grid_hi;                            //        of two, j = lo..hi
    double w_lo, w_hi, g_lo, g_hi;                   // bounds
    // An exponential beside the modes: the first pole of each trace, at w = 0, counted by no number of modes. Explicit
    // plans only, with at most XANI_MAX_MODES - 1 modes.
    bool exponential;
    double r_lo, r_hi; // bounds of its rate per step
    double t_zero;     // t of time zero: amplitude and phase refer to it
    // Modes are switched on at t_zero and seen through a Gaussian response of this rms, in steps; 0: neither. n_near:
    // of the first samples, which that still changes the shape of; explicit plans only.
    double response;
    int n_near;
    int modes_max;
    double threshold; // of delta chi^2/s^2
    double freedom;   // of the residual, without missing samples, for which it was calibrated; 0: it was asked for
    int filled;       // samples of a trace without missing ones
    double lobe;      // delays with gaps: where the highest side lobe of a mode is, rad per step; 0: none, see order.h
    double tolerance; // stop when the predicted decrease of chi^2 is below tolerance * s^2
    int passes_max;
} xn_fit_plan;

// flags of a trace
enum {
    XN_FLAG_MISSING = 1, // samples are NaN and the plan is closed: nothing was fitted
    XN_FLAG_FEW = 2,     // too few samples
    XN_FLAG_STUCK = 4,   // did not converge
    XN_FLAG_BOUND = 8,   // a parameter of a mode lies at a bound
};

// Result planes, (slot, trace) of the kernel's precision. Modes in the order found.
enum {
    XN_OUT_W = 0,                         // rad per step
    XN_OUT_G = XN_OUT_W + XANI_MAX_MODES, // per step
    XN_OUT_AMPLITUDE = XN_OUT_G + XANI_MAX_MODES,
    XN_OUT_PHASE = XN_OUT_AMPLITUDE + XANI_MAX_MODES,
    XN_OUT_W_ERROR = XN_OUT_PHASE + XANI_MAX_MODES, // errors: NaN at a bound
    XN_OUT_G_ERROR = XN_OUT_W_ERROR + XANI_MAX_MODES,
    XN_OUT_AMPLITUDE_ERROR = XN_OUT_G_ERROR + XANI_MAX_MODES,
    XN_OUT_PHASE_ERROR = XN_OUT_AMPLITUDE_ERROR + XANI_MAX_MODES,
    XN_OUT_SIGNIFICANCE = XN_OUT_PHASE_ERROR + XANI_MAX_MODES,
    XN_OUT_BACKGROUND = XN_OUT_SIGNIFICANCE + XANI_MAX_MODES, // coefficients of the orthonormal columns
    XN_OUT_EXPONENTIAL = XN_OUT_BACKGROUND + XN_FIT_COLUMNS,  // at delay zero
    XN_OUT_RATE,                                              // per step
    XN_OUT_RATE_ERROR,                                        // NaN: at a bound, or less certain than itself
    XN_OUT_MEAN,                                              // to be added to the background
    XN_OUT_UNSCALE,                                           // residual = unscale * that of the scaled data
    XN_OUT_VARIANCE, // of a scaled sample of weight 1, from the residual: chi^2 over samples less parameters
    XN_OUT_SNR2,     // largest A^2 at the first sample over the variance of a sample, where there is a mode,
    XN_OUT_SNR2_W,   // and the w of that mode
    XN_OUT_NEXT,     // delta chi^2/s^2 of the mode that was refused; NaN when none was tried
    XN_OUT_SLOTS
};

typedef struct xn_fit_tile {
    int count;      // traces, at most the work's
    const float *y; // sample n of trace i: y[row[n] * row_stride + pixel[i]]
    const int *row; // (n)
    int64_t row_stride;
    const int64_t *pixel; // (count)
    const float *sigma; // by pixel (sigma[pixel[i]]) standard error of a sample of weight 1, or NULL: from the residual
    bool horner;        // closed plans: Horner's moments instead of Goertzel's, for a high signal to noise
    int start;          // XN_START_*
    const int *given;   // (count) modes given, strongest first
    const double *given_w, *given_g; // (mode, trace), traces apart by given_stride
    int64_t given_stride;
    const uint8_t *limit; // (count) at most so many modes; NULL: the plan's
    double favour;        // BOTH: the periodogram must be better than the given modes by so much of D
    // Explicit plans: weight[row[n] * weight_stride + i] is a further factor on the weight of sample n of trace i, of
    // order 1; 0, negative, NaN: missing. NULL: none.
    const float *weight;
    int64_t weight_stride;
    const float *own_sigma; // (count) instead of sigma, by trace of the tile; NULL: none
    const float *inflate;   // (count) factor on s^2 where it comes from the residual; NULL: 1
    // results
    float *rest; // rest[row[n] * rest_stride + i] = root of the weight times (sample - fit); NULL: not wanted
    int64_t rest_stride;
    void *out; // XN_OUT_SLOTS planes of the kernel's precision, out_stride apart
    int64_t out_stride;
    uint8_t *n_modes, *flags; // (count)
    int64_t
        *evaluations; // (XANI_MAX_MODES) += traces x evaluations of the functional with 1.. modes; NULL: not counted
} xn_fit_tile;

// Planes of `evaluate`, of the scaled data (one over unscale); derivatives with respect to (length g_1, length w_1,
// ...).
enum {
    XN_POOL_CHI2 = 0,
    XN_POOL_VARIANCE, // s^2 of a sample, known or from chi^2
    XN_POOL_UNSCALE,
    XN_POOL_BETA,
    XN_POOL_GRADIENT = XN_POOL_BETA + 2 * XANI_MAX_MODES,
    XN_POOL_SCHUR = XN_POOL_GRADIENT + XN_FIT_PARAMETERS, // lower triangle
    XN_POOL_SLOTS = XN_POOL_SCHUR + XN_FIT_PARAMETERS * (XN_FIT_PARAMETERS + 1) / 2
};

// One evaluation of the projected functional for one trace, in its own units, for tests.
typedef struct xn_fit_probe {
    double chi2, beta[2 * XANI_MAX_MODES], gradient[XN_FIT_PARAMETERS]; // -2 gradient = d chi2/d(g_1, w_1, g_2, ...)
    double schur[XN_FIT_PARAMETERS][XN_FIT_PARAMETERS];
} xn_fit_probe;

enum { XN_MOMENTS_GOERTZEL = 0, XN_MOMENTS_HORNER, XN_MOMENTS_EXPLICIT, XN_MOMENTS_GRIDDED };
enum { XN_MATH_EXP = 0, XN_MATH_SINCOS, XN_MATH_ATAN2 };

typedef struct xn_fit_kernel {
    const char *name; // "avx512"
    int bits, width;  // precision, lanes
    size_t (*table_bytes)(const xn_fit_plan *plan);
    void (*tabulate)(const xn_fit_plan *plan, void *table);
    size_t (*work_bytes)(const xn_fit_plan *plan, int traces);
    void (*fit)(const xn_fit_plan *plan, const void *table, void *work, xn_fit_tile *tile);
    // Parts of a fit for traces that share parameters, in plans that are not gridded: load a tile into the work space
    // (n_modes: whether each trace can be used), then, as often as wanted with the same work and tile, powers of what
    // n_modes given modes leave over the variance (stride: traces in whole blocks of 32), and the functional at the
    // given modes (tile->out: XN_POOL_SLOTS planes).
    void (*load)(const xn_fit_plan *plan, const void *table, void *work, xn_fit_tile *tile);
    void (*powers)(const xn_fit_plan *plan, const void *table, void *work, xn_fit_tile *tile, int n_modes,
                   float *powers, int64_t stride);
    void (*evaluate)(const xn_fit_plan *plan, const void *table, void *work, xn_fit_tile *tile, int n_modes);
    // for tests
    void (*probe)(const xn_fit_plan *plan, const void *table, void *work, xn_fit_tile *tile, int moments, int n_modes,
                  const double *g, const double *w, xn_fit_probe *probe);
    void (*math)(int which, int n, const double *x, const double *y, double *a, double *b);
    // for benchmarks: loads a tile of one block, then sums the data moments of 1 or 2 modes `passes` times
    void (*moments)(const xn_fit_plan *plan, const void *table, void *work, xn_fit_tile *tile, int moments, int n_modes,
                    int passes);
} xn_fit_kernel;

#ifdef __cplusplus
extern "C" {
#endif
// "auto", "scalar", "avx2", "avx512"; bits 32 or 64. NULL: no such name, or this processor does not have it.
const xn_fit_kernel *xn_fit_kernel_find(const char *name, int bits);
// The i-th variant built and usable here, scalar first; NULL past the end.
const xn_fit_kernel *xn_fit_kernel_list(int i);
// kernel->fit of a tile of any size, with work for tiles of `most` traces.
void xn_fit_in_parts(const xn_fit_kernel *kernel, const xn_fit_plan *plan, const void *table, void *work, int most,
                     const xn_fit_tile *tile);
#ifdef __cplusplus
}
#endif

// Standard error of a sample of weight 1 of a tile's trace; 0: not known.
static inline double xn_fit_sigma(const xn_fit_tile *t, int i)
{
    const double s = t->own_sigma != NULL ? t->own_sigma[i] : t->sigma != NULL ? t->sigma[t->pixel[i]] : 0.0;
    return s > 0.0 && s < 1e30 ? s : 0.0;
}

static inline double xn_fit_out(const xn_fit_kernel *k, const xn_fit_tile *t, int slot, int64_t i)
{
    size_t at = (size_t)slot * (size_t)t->out_stride + (size_t)i;
    return k->bits == 32 ? (double)((const float *)t->out)[at] : ((const double *)t->out)[at];
}

#endif
