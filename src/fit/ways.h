// SPDX-License-Identifier: BSD-3-Clause
// ways.h -- the ways to fit a trace, and whether a result stands.
//
// A way is (plan, depth, whether modes are given to start from, whether for the second time).  A trace that needs more
// gets a way with a larger number.  One with a mode too many goes the same way again, with one less.
#ifndef XN_FIT_WAYS_H
#define XN_FIT_WAYS_H

#include "fit/engine.h"

enum { XN_DEPTH_GOERTZEL = 0, XN_DEPTH_HORNER, XN_DEPTH_DOUBLE, XN_DEPTHS };
#define XN_WAYS (XN_PLANS * XN_DEPTHS * 2 * 2)

typedef struct {
    int plan, depth;
    bool given, again; // again: with the weights of the first fit
} xn_way;

static inline int xn_way_number(xn_way w)
{
    return w.plan + XN_PLANS * (w.depth + XN_DEPTHS * (w.given + 2 * w.again));
}

static inline xn_way xn_way_of(int number)
{
    return (xn_way){number % XN_PLANS, number / XN_PLANS % XN_DEPTHS, number / XN_PLANS / XN_DEPTHS % 2 != 0,
                    number / XN_PLANS / XN_DEPTHS / 2 != 0};
}

static inline bool xn_way_deep(xn_way w) { return w.depth == XN_DEPTH_DOUBLE; }

// What a fit has to choose from. Ways are handed on by address: four small members put together in registers for each
// trace wait for each other.
typedef struct {
    const xn_fit_plans *plans;
    const xn_fit_kernel *kernel[2]; // float, double
    double demand[XN_PLANS];        // (200 samples/length)^3: an error of w shrinks as length^-3/2, its rounding not
    int precision;                  // 32, 64, or 0: as a trace needs
    bool lp_possible, on_devices;
} xn_ways;

// The number of the way on which trace i of the tile must be fitted again; its own number when the result stands.
int xn_way_next(const xn_ways *all, const xn_way *at, const xn_fit_tile *tile, int i);

// Whether the last mode of trace i is one too many: two of its modes are one.
bool xn_way_one_too_many(const xn_ways *all, const xn_way *at, const xn_fit_tile *tile, int i);

#endif
