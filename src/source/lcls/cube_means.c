// SPDX-License-Identifier: BSD-3-Clause
// cube_means.c -- sums of readings in LCLS cubes to means per shot: see cube.h.
//
// A cube holds sums over the shots of a bin, and of the frames only over those that have one.  So the monitor that
// belongs to the frames is its mean per shot times the number of frames.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "source/lcls/cube.h"
#include "source/lcls/lcls.h"
#include "source/shots/term.h"

xani_status xn_lcls_cube_numbers(xn_ctx *ctx, const xn_h5 *h5, const char *dataset, int64_t bins, double **v)
{
    int64_t n = 0;
    XN_TRY(xn_h5_read_f64(ctx, h5, dataset, v, &n));
    if (n == bins) return XANI_OK;
    xn_free(*v);
    *v = NULL;
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has %lld numbers, there are %lld bins", xn_h5_path(h5), dataset,
                   (long long)n, (long long)bins);
}

// "ipm2/sum" as it is stored: "ipm2__sum" in the first generation.
static void stored_name(const char *name, const char *prefix, bool second, char path[2 * XN_KEY_LENGTH])
{
    size_t used = (size_t)snprintf(path, 2 * XN_KEY_LENGTH, "%s", prefix);
    for (const char *s = xn_lcls_path(name); *s != '\0' && used + 3 < 2 * XN_KEY_LENGTH; s++) {
        if (*s == '/' && !second) path[used++] = '_';
        path[used++] = *s == '/' && !second ? '_' : *s;
    }
    path[used] = '\0';
}

static xani_status no_monitor(xn_ctx *ctx, const xn_h5 *h5, const char *path)
{
    char **names = NULL;
    XN_TRY(xn_h5_names(ctx, h5, "/", &names));
    size_t n = 0;
    while (names[n] != NULL) n++;
    const char *near = xn_nearest_name(path, (const char *const *)names, n);
    xani_status st = near == NULL ? xn_fail(ctx, XANI_ERR_INPUT, "%s: has no %s (input.i0)", xn_h5_path(h5), path)
                                  : xn_fail(ctx, XANI_ERR_INPUT, "%s: has no %s (input.i0); the nearest name is %s",
                                            xn_h5_path(h5), path, near);
    xn_h5_names_free(names);
    return st;
}

// The count beside a dataset of LCLS-II, "label/det/count"; *v NULL where there is none.
static xani_status own_count(xn_ctx *ctx, const xn_h5 *h5, const char *path, int64_t bins, double **v)
{
    char count[2 * XN_KEY_LENGTH + 8];
    const char *slash = strrchr(path, '/');
    snprintf(count, sizeof count, "%.*scount", slash ? (int)(slash - path) + 1 : 0, path);
    return xn_h5_exists(h5, count) ? xn_lcls_cube_numbers(ctx, h5, count, bins, v) : XANI_OK;
}

static xani_status add_term(xn_ctx *ctx, const xn_term *t, const xn_h5 *h5, const char *prefix, bool second,
                            int64_t bins, const double *count, double *mean)
{
    char path[2 * XN_KEY_LENGTH];
    double *v = NULL, *own = NULL;
    int64_t n = 0;
    xani_status st;
    stored_name(t->name, prefix, second, path);
    if (!xn_h5_exists(h5, path)) return no_monitor(ctx, h5, path);
    XN_GOTO(out, st, xn_h5_read_f64(ctx, h5, path, &v, &n));
    int64_t columns = n / bins;
    if (n != columns * bins || columns < 1 || t->column >= columns) {
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has %lld numbers for %lld bins; column %lld does not exist",
                     xn_h5_path(h5), path, (long long)n, (long long)bins, (long long)t->column);
        goto out;
    }
    if (second) XN_GOTO(out, st, own_count(ctx, h5, path, bins, &own));
    for (int64_t b = 0; b < bins; b++) {
        double sum = 0.0;
        for (int64_t k = 0; k < columns; k++)
            if (t->column == XN_COLUMN_SUM || t->column == k) sum += v[b * columns + k];
        mean[b] += t->factor * sum / (own != NULL ? own[b] : count[b]);
    }
out:
    xn_free(v);
    xn_free(own);
    return st;
}

xani_status xn_lcls_cube_means(xn_ctx *ctx, const xn_config *config, const char *text, const xn_h5 *h5,
                               const char *prefix, bool second, int64_t bins, const double *count, double *mean)
{
    xn_reading reading;
    XN_TRY(xn_reading_parse(ctx, config, "input.i0", text, &reading));
    for (int64_t b = 0; b < bins; b++) mean[b] = 0.0;
    for (int t = 0; t < reading.n; t++) XN_TRY(add_term(ctx, &reading.term[t], h5, prefix, second, bins, count, mean));
    return XANI_OK;
}
