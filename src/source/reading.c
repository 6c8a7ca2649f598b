// SPDX-License-Identifier: BSD-3-Clause
// reading.c -- delay of a shot, masks, modules, and what error messages need: see reading.h.
//
// The delay formula stands here once for all layouts (contract 1, science.md 3).  Nothing about sign or
// zero is ever inferred from data: a wrong sign is a proven source of wrong published-looking results.
#include "source/reading.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "physics/geometry.h"

// ---- delay

static xani_status load_parts(xn_ctx *ctx, const xn_config *config, xn_delay_rule *r)
{
    char key[XN_KEY_LENGTH];
    r->n_parts = xn_config_count(config, "input.delay.parts");
    if (r->n_parts > XN_DELAY_PARTS)
        return xn_config_bad(ctx, config, "input.delay.parts", "has %d parts, at most %d work", r->n_parts,
                             XN_DELAY_PARTS);
    for (int i = 0; i < r->n_parts; i++) {
        XN_TRY(xn_config_require(ctx, config, xn_key(key, "input.delay.parts[%d].source", i),
                                 "the channel this part of the delay is read from"));
        r->source[i] = xn_config_string(config, key);
        r->scale_ps[i] = xn_config_double(config, xn_key(key, "input.delay.parts[%d].scale_ps", i));
        r->origin[i] = xn_config_double(config, xn_key(key, "input.delay.parts[%d].origin", i));
    }
    return XANI_OK;
}

static xani_status load_time_tool(xn_ctx *ctx, const xn_config *config, xn_delay_rule *r)
{
    if (xn_config_map_key(config, "input.delay.time_tool", 0) == NULL) return XANI_OK;
    XN_TRY(xn_config_require(ctx, config, "input.delay.time_tool.source", "the channel of the time tool's reading"));
    XN_TRY(xn_config_require(ctx, config, "input.delay.time_tool.coefficients_ps",
                             "the calibration c_0, c_1, ... from reading to ps"));
    r->tt_source = xn_config_string(config, "input.delay.time_tool.source");
    r->tt_sign = (double)xn_config_int(config, "input.delay.time_tool.sign");
    r->tt_origin = xn_config_double(config, "input.delay.time_tool.origin");
    r->n_c = xn_config_doubles(config, "input.delay.time_tool.coefficients_ps", r->c_ps, XN_DELAY_COEFFICIENTS);
    if (r->n_c < 1 || r->n_c > XN_DELAY_COEFFICIENTS)
        return xn_config_bad(ctx, config, "input.delay.time_tool.coefficients_ps", "needs 1 to %d numbers, has %d",
                             XN_DELAY_COEFFICIENTS, r->n_c);
    return XANI_OK;
}

xani_status xn_delay_rule_load(xn_ctx *ctx, const xn_config *config, bool binned, xn_delay_rule *r)
{
    memset(r, 0, sizeof *r);
    XN_TRY(
        xn_config_require(ctx, config, "input.delay.sign",
                          "no file says whether a larger reading means X-rays after the laser (1) or before it (-1), "
                          "and a wrong guess reverses time"));
    r->sign = (double)xn_config_int(config, "input.delay.sign");
    r->zero_ps = xn_config_double(config, "input.delay.zero_ps");
    static const char *const keys[2] = {"input.delay.parts", "input.delay.time_tool"};
    for (int i = 0; binned && i < 2; i++)
        if (xn_config_has(config, keys[i]) && (i == 0 || xn_config_map_key(config, keys[i], 0) != NULL))
            return xn_config_bad(ctx, config, keys[i],
                                 "is of no use here: layout %s takes the delay from the cube's scan_var",
                                 xn_config_string(config, "input.layout"));
    if (binned) return XANI_OK;
    XN_TRY(load_parts(ctx, config, r));
    XN_TRY(load_time_tool(ctx, config, r));
    if (r->n_parts > 0 || r->tt_source != NULL) return XANI_OK;
    return xn_config_require(ctx, config, "input.delay.parts", "the readings a shot's delay is made of");
}

double xn_delay_ps(const xn_delay_rule *r, const double *x, double x_tt)
{
    double sum = 0.0;
    for (int i = 0; i < r->n_parts; i++) sum += r->scale_ps[i] * (x[i] - r->origin[i]);
    if (r->tt_source != NULL) {
        double tool = 0.0; // Horner
        for (int k = r->n_c - 1; k >= 0; k--) tool = tool * (x_tt - r->tt_origin) + r->c_ps[k];
        if (isnan(x_tt)) tool = NAN; // also when only c_0 is given
        sum += r->tt_sign * tool;
    }
    return r->sign * sum - r->zero_ps;
}

// ---- masks

static xani_status or_mask(xn_ctx *ctx, const char *path, const char *dataset, bool good_nonzero, xn_source *s)
{
    xn_h5 *h5 = NULL;
    float *value = NULL;
    int64_t n = 0;
    xn_h5_info info;
    char shape[128];
    xani_status st;
    XN_GOTO(out, st, xn_h5_open(ctx, path, &h5));
    XN_GOTO(out, st, xn_h5_info_get(ctx, h5, dataset, &info));
    if (info.is_group || info.rank < 2 || info.dims[info.rank - 1] != s->nx || info.size != s->ny * s->nx) {
        st =
            xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: the mask has shape %s, the frames have (%lld, %lld)", path, dataset,
                    xn_shape_text(shape, info.is_group ? 0 : info.rank, info.dims), (long long)s->ny, (long long)s->nx);
        goto out;
    }
    XN_GOTO(out, st, xn_h5_read_f32(ctx, h5, dataset, &value, &n));
    for (int64_t i = 0; i < n; i++)
        if ((value[i] != 0.0f) != good_nonzero || isnan(value[i])) s->mask[i] |= XN_PIXEL_USER;
out:
    xn_free(value);
    xn_h5_close(&h5);
    return st;
}

xani_status xn_mask_load(xn_ctx *ctx, const xn_config *config, const char *first_file, xn_source *s)
{
    char key[XN_KEY_LENGTH];
    if (s->mask == NULL) s->mask = xn_calloc((size_t)(s->ny * s->nx), sizeof *s->mask);
    if (s->mask == NULL) return xn_fail_memory(ctx, "the mask", (size_t)(s->ny * s->nx) * sizeof *s->mask);
    int n = xn_config_count(config, "input.mask");
    for (int i = 0; i < n; i++) {
        bool own = xn_config_has(config, xn_key(key, "input.mask[%d].file", i));
        char *path = own ? xn_config_path(config, key) : xn_strdup(first_file);
        if (path == NULL) return xn_fail_memory(ctx, "a file name", strlen(first_file));
        bool nonzero = strcmp(xn_config_string(config, xn_key(key, "input.mask[%d].good", i)), "nonzero") == 0;
        xani_status st =
            xn_config_require(ctx, config, xn_key(key, "input.mask[%d].dataset", i), "which dataset of the file");
        if (st == XANI_OK) st = or_mask(ctx, path, xn_config_string(config, key), nonzero, s);
        xn_free(path);
        if (st != XANI_OK) return st;
    }
    for (int64_t i = 0; i < s->ny * s->nx; i++)
        if (s->mask[i] == 0) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_INPUT, "every pixel is masked; is input.mask[].good right?");
}

// ---- modules

xani_status xn_modules_set(xn_ctx *ctx, xn_source *s, int n, int64_t rows_each)
{
    xn_free(s->module_rows);
    s->n_modules = n;
    s->module_rows = xn_calloc((size_t)n, sizeof *s->module_rows);
    if (s->module_rows == NULL) return xn_fail_memory(ctx, "the modules", (size_t)n * sizeof *s->module_rows);
    for (int i = 0; i < n; i++) s->module_rows[i] = rows_each;
    return XANI_OK;
}

xani_status xn_modules_from_geometry(xn_ctx *ctx, const xn_config *config, xn_source *s)
{
    if (xn_config_int(config, "reduce.spatial_bin") <= 1 || !xn_config_has(config, "geometry.file"))
        return xn_modules_set(ctx, s, 1, s->ny);
    xn_geometry g;
    XN_TRY(xn_geometry_load(ctx, config, s->ny, s->nx, &g));
    xani_status st = xn_modules_set(ctx, s, g.n_modules, 0);
    if (st == XANI_OK) memcpy(s->module_rows, g.module_rows, (size_t)g.n_modules * sizeof *g.module_rows);
    xn_geometry_free(&g);
    return st;
}

// ---- messages

bool xn_is_number(xn_type type) { return type != XN_STR && type != XN_OTHER; }

// Levenshtein distance by one rolling row; names longer than the row are cut, which only worsens a hint.
static int distance(const char *a, const char *b)
{
    int row[129];
    int nb = (int)strnlen(b, 128), na = (int)strnlen(a, 128);
    for (int j = 0; j <= nb; j++) row[j] = j;
    for (int i = 1; i <= na; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= nb; j++) {
            int change = diagonal + (a[i - 1] != b[j - 1]);
            int step = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);
            diagonal = row[j];
            row[j] = change < step ? change : step;
        }
    }
    return row[nb];
}

const char *xn_nearest_name(const char *wanted, const char *const *names, size_t n)
{
    const char *best = NULL;
    int least = 2 + (int)strlen(wanted) / 2;
    for (size_t i = 0; i < n; i++) {
        int d = distance(wanted, names[i]);
        if (d >= least) continue;
        least = d;
        best = names[i];
    }
    return best;
}
