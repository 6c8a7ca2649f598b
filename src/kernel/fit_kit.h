// SPDX-License-Identifier: BSD-3-Clause
// fit_kit.h -- what the parts of the fit kernel pass to each other: tables, blocks of traces, sums, state.
//
// Traces are worked on in blocks of XN_GROUPS lane vectors, interleaved to hide latency.  A block refers to lane
// data [sample][lane] per group, either the tile's own or a packed copy of chosen traces.  Derivative columns are
// with respect to (length g, length w): with nu = t/length all sums stay of order n.
#ifndef XN_KERNEL_FIT_KIT_H
#define XN_KERNEL_FIT_KIT_H

#include "kernel/grid.h"
#include "kernel/kernels.h"
#include "kernel/vmath.h"

#ifdef XN_DEVICE
#define XN_GROUPS 1
#define XN_PITCH(kit) ((kit)->pitch)     // samples of a trace lie this far apart: [sample][trace], as they came
#define XN_WAVE(kit) ((kit)->wave_pitch) // so do the numbers of the transform
#else
#define XN_GROUPS 2
#define XN_PITCH(kit) ((size_t)XN_W)
#define XN_WAVE(kit) ((void)(kit), (size_t)XN_W)
#endif
// Whether an exponential stands beside the modes; devices do not fit it, and their kernels need not ask.
#ifdef XN_DEVICE
#define XN_EXPONENTIAL(kit) ((void)(kit), false)
#else
#define XN_EXPONENTIAL(kit) ((kit)->plan->exponential)
#endif
// Samples, the first ones, where the response to the switching on is not over; devices fit only what comes later.
#ifdef XN_DEVICE
#define XN_NEAR(kit) ((void)(kit), 0)
#else
#define XN_NEAR(kit) ((kit)->plan->n_near)
#endif
#define XN_BLOCK (XN_GROUPS * XN_W)
#define XN_M XANI_MAX_MODES
#define XN_Q (2 * XN_M) // linear columns, and parameters
#define XN_B XN_FIT_COLUMNS
#define XN_PIVOT (XN_EPSILON * R(16)) // smallest pivot, of the diagonal
#define XN_GRAIN R(1e-7)              // of a trace's size: less is rounding of its samples
#define XN_TINY R(1e-30)              // keeps the pivots of a silent mode above zero; data are of order 1

// Counts columns up to n; on a device with all turns written out, so that arrays of columns stay in registers.
#ifdef XN_DEVICE
#define XN_COLUMNS(b, n)                                                                                               \
    XN_FLAT                                                                                                            \
    for (int b = 0; b < XN_B && b < (n); b++)
#else
#define XN_COLUMNS(b, n) for (int b = 0; b < (n); b++)
#endif

// Does `call` with B the number of columns, n = 0..4, as a constant, so that their loops are written out.
#define XN_COLUMNS_CASE(n, call)                                                                                       \
    case n: {                                                                                                          \
        enum { B = n };                                                                                                \
        call;                                                                                                          \
        break;                                                                                                         \
    }
#define XN_CONSTANT_COLUMNS(n, call)                                                                                   \
    switch (n) {                                                                                                       \
        XN_COLUMNS_CASE(0, call)                                                                                       \
        XN_COLUMNS_CASE(1, call)                                                                                       \
        XN_COLUMNS_CASE(2, call)                                                                                       \
        XN_COLUMNS_CASE(3, call)                                                                                       \
        XN_COLUMNS_CASE(4, call)                                                                                       \
    default:                                                                                                           \
        break;                                                                                                         \
    }

// A gridded plan's taps, and its Gram sums as polynomials around nodes in the (g, w) plane: see grid.h, gridded.h.
#define XN_NODE XN_GRID_NODE(XN_REAL_BITS)
struct grid_row {
    const real *node; // at w = 0
    int last;
    real per_step; // nodes by w
};
// Spreading: point j is the sum of first[j + 1] - first[j] samples, from sample[j] on, with taps from tap[first[j]] on.
struct spread {
    int points;
    int *first, *sample;
    real *tap;
};
struct grid {
    int taps, points;
    struct spread fine, start;
    real step;
    int *base;            // (n) first point of a sample
    real *tap;            // (n, taps)
    real *window;         // (start.points)
    real *level;          // (n_grid/2 + 1) its powers are over 1/level
    real shape, half;     // b of D(s), and half the width of the taps
    real lowest;          // g of the first row
    real per_cell, cells; // rows are looked up by g in even cells
    real length;
    uint8_t *row_of; // (cells)
    struct grid_row *row;
    real *node;
};

struct table {
    struct grid grid;
    real unit, line;           // 1/length; 2 pi/n_grid
    real lo[4], hi[4];         // bounds of g, w; of an exponential's rate, and zero
    real monomial[XN_B][XN_B]; // of the plan
    real *window;              // (n) of the start
    real *column;              // (B, n)
    real *scale;               // (n)
    real *time;                // (n) from where poles are 1: the plan's, with samples near delay zero less its t_zero
    real *tau, *rise;          // (n_near) time over the response's rms, exp(-tau^2/2)/2
    real *cosine, *sine; // near a grid: twiddles (n_grid); else the windowed transform (grid_lo-1 .. grid_hi+1, n)
    int *place;          // near a grid: where Z_j stands after the transform (n_grid/2)
    int *slot;           // and where sample i goes (n)
};

// Pointers of a table whose memory was copied from `from` to `to`.
static inline void table_move(struct table *t, const void *from, void *to)
{
#define XN_MOVE(type, field) t->field = (type *)(void *)((char *)to + ((const char *)t->field - (const char *)from))
    XN_MOVE(real, window);
    XN_MOVE(real, column);
    XN_MOVE(real, scale);
    XN_MOVE(real, time);
    XN_MOVE(real, tau);
    XN_MOVE(real, rise);
    XN_MOVE(real, cosine);
    XN_MOVE(real, sine);
    XN_MOVE(int, place);
    XN_MOVE(int, slot);
#undef XN_MOVE
}

struct sums {
    vf g0[XN_Q][XN_Q], g1[XN_Q][XN_Q],
        g2[XN_Q][XN_Q];                // sum nu^p phi_i phi_j, lower triangle; g1 of near samples: explicit.h
    vf c0[XN_B][XN_Q], c1[XN_B][XN_Q]; // sum nu^p column_b phi_i
    vf y0[XN_Q], y1[XN_Q];             // sum nu^p phi_i y
};

struct factor {
    vf l[XN_Q][XN_Q], inverse[XN_Q]; // of the projected Gram matrix; inverse: 1/diagonal
    vf v[XN_Q][XN_Q];                // L^-1 W: varpro.h
};

struct eval {
    vf chi2, beta[XN_Q], gradient[XN_Q], schur[XN_Q][XN_Q];
    struct factor f;
};

// Planes of the work space, (slot, trace): what is known of each trace between passes.
enum {
    PLANE_YY = 0,
    PLANE_SIGMA2, // of the scaled data; negative: from the residual, times -this
    PLANE_FLOOR2, // s^2 is at least this: samples are rounded to float
    PLANE_SAMPLES,
    PLANE_UNSCALE, // y = unscale * data + mean + background
    PLANE_MEAN,
    PLANE_BACKGROUND,
    PLANE_ROOT = PLANE_BACKGROUND + XN_B, // Cholesky factor of the columns under the trace's own weights
    PLANE_CHI2 = PLANE_ROOT + XN_B * (XN_B + 1) / 2,
    PLANE_CHI2_BEFORE,               // with one mode less
    PLANE_FIRST = PLANE_CHI2_BEFORE, // of a trace that is loaded and not prepared yet: its first sample
    PLANE_LAMBDA,
    PLANE_DECREASE,
    PLANE_PASSES,
    PLANE_PARAMETER,                      // accepted g_1, w_1, g_2, ...
    PLANE_TRIAL = PLANE_PARAMETER + XN_Q, // to be tried next
    PLANE_BETA = PLANE_TRIAL + XN_Q,
    PLANE_GRADIENT = PLANE_BETA + XN_Q,
    PLANE_SCHUR = PLANE_GRADIENT + XN_Q,              // lower triangle
    PLANE_KEEP = PLANE_SCHUR + XN_Q * (XN_Q + 1) / 2, // parameters of the fit with one mode less
    PLANE_OTHER = PLANE_KEEP + XN_Q,                  // of the fit from the other start
    PLANE_OTHER_BETA = PLANE_OTHER + XN_Q,
    PLANE_OTHER_CHI2 = PLANE_OTHER_BETA + XN_Q,
    PLANE_OTHER_STUCK, // whether it did not converge
    PLANE_NEXT,        // D of the mode that was refused
    PLANE_BETTER,      // whether a fit that was kept is another minimum than the first one
    PLANE_BEST,        // parameters of the best fit from several starts, and its chi^2
    PLANE_BEST_CHI2 = PLANE_BEST + XN_Q,
    PLANE_SLOTS
};

struct kit {
    const xn_fit_plan *plan;
    const struct table *table;
    const xn_fit_tile *tile;
    int room;                 // traces of the work space
    size_t pitch, wave_pitch; // on a device, see XN_PITCH
    bool in_block;            // there: wave is memory of the block
    int base;                 // there: y begins with this trace
    real *s;                  // (group, points, W): gridded data
    real *y, *h;              // (group, n, W): data and row scale (h not for closed plans)
    real *pack;               // the same for one block: y, then h
    real *rest;               // (XN_GROUPS, n, W) residuals of a block
    real *wave;               // work of the transform
    real *plane;              // PLANE_SLOTS x room
    int *list[4];             // (room) work lists
    int moments;              // XN_MOMENTS_*
};

struct block {
    const struct kit *kit;
    const real *y[XN_GROUPS], *h[XN_GROUPS], *s[XN_GROUPS];
    int trace[XN_BLOCK];    // lane -> trace of the tile; the last one repeated where there are too few
    int count;              // real ones
    bool direct[XN_GROUPS]; // the group's traces are neighbours
    vf yy[XN_GROUPS], sigma2[XN_GROUPS], floor2[XN_GROUPS], samples[XN_GROUPS];
    vf root[XN_GROUPS][XN_B][XN_B]; // explicit plans
};

// Levenberg-Marquardt state of one group
struct lm {
    vf parameter[XN_Q], trial[XN_Q], lambda;
    vf decrease; // that was predicted one pass ago; 0: none yet
    vf passes;   // that were made; not on a device
    struct eval now;
    vm active, stuck;
};

#endif
