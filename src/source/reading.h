// SPDX-License-Identifier: BSD-3-Clause
// reading.h -- what the readers of all layouts share: the delay of a shot, masks, modules.
//
// Private to src/source.
#ifndef XN_SOURCE_READING_H
#define XN_SOURCE_READING_H

#include "data/source.h"
#include "io/h5.h"

extern const xn_source_ops xn_source_cube, xn_source_swissfel;

// NXmx pixel_mask bits used by the readers (formats.md 5).
enum { XN_PIXEL_GAP = 1u << 0, XN_PIXEL_DEAD = 1u << 1, XN_PIXEL_UNDEFINED = 1u << 5, XN_PIXEL_USER = 1u << 8 };

#define XN_DELAY_PARTS 16
#define XN_DELAY_COEFFICIENTS 16

// delay_ps = sign (sum_i scale_i (x_i - origin_i) + tt_sign sum_k c_k (x_tt - tt_origin)^k) - zero_ps
typedef struct xn_delay_rule {
    double sign, zero_ps;
    int n_parts;
    const char *source[XN_DELAY_PARTS]; // borrowed from the configuration
    double scale_ps[XN_DELAY_PARTS], origin[XN_DELAY_PARTS];
    const char *tt_source; // NULL: no time tool
    double tt_sign, tt_origin;
    int n_c;
    double c_ps[XN_DELAY_COEFFICIENTS];
} xn_delay_rule;

// Sign and zero; binned: parts and time tool must be absent (the bins hold the delay), else there must be some.
xani_status xn_delay_rule_load(xn_ctx *ctx, const xn_config *config, bool binned, xn_delay_rule *rule);
// x: one reading per part; x_tt is not looked at without a time tool.
double xn_delay_ps(const xn_delay_rule *rule, const double *x, double x_tt);

// ORs input.mask into s->mask (made, all good, when NULL). first_file: where a mask without a file is looked for.
xani_status xn_mask_load(xn_ctx *ctx, const xn_config *config, const char *first_file, xn_source *s);
// One module of all rows, or those of geometry.file where reduce.spatial_bin makes it matter.
xani_status xn_modules_from_geometry(xn_ctx *ctx, const xn_config *config, xn_source *s);
xani_status xn_modules_set(xn_ctx *ctx, xn_source *s, int n, int64_t rows_each);

// Text "(3, 512, 1024)" of a shape, for messages.

bool xn_is_number(xn_type type);
// Of `names` (n of them) the one nearest to `wanted`, NULL when none is near.
const char *xn_nearest_name(const char *wanted, const char *const *names, size_t n);

#endif
