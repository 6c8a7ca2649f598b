// SPDX-License-Identifier: BSD-3-Clause
// correct_load.c -- which corrections of whole frames a configuration asks for: see correct.c.
//
// Banks and chips are those of the detector (the source says them, or a JUNGFRAU's are taken), else keys.  What does
// not fit the frames is an error here, before any is read.
#include <math.h>
#include <string.h>

#include "reduce/correct.h"

#define JUNGFRAU_CHIP 256
#define JUNGFRAU_BANK 64 // columns
#define CHIPS_Y 2        // of a JUNGFRAU module

int64_t xn_correct_module_rows(const xn_correct *c, int64_t rows)
{
    int64_t module = CHIPS_Y * c->chip_rows;
    return c->double_pixels != XN_DOUBLE_KEEP && module > 0 && rows > module && rows % module == 0 ? module : rows;
}

static int32_t fixed(double photons) { return (int32_t)fmin(rint(photons * (double)XN_CALIB_ONE), XN_CALIB_BAD - 1); }

static void pair_of(const xn_config *config, const char *key, int64_t own_y, int64_t own_x, int64_t *y, int64_t *x)
{
    double given[2];
    bool has = xn_config_has(config, key) && xn_config_doubles(config, key, given, 2) == 2;
    *y = has ? (int64_t)given[0] : own_y;
    *x = has ? (int64_t)given[1] : own_x;
}

// Every module holds whole tiles of y x x pixels.
static bool tiles_fit(const xn_source *s, int64_t y, int64_t x)
{
    bool fit = y > 0 && x > 0 && s->ny % y == 0 && s->nx % x == 0;
    for (int m = 0; fit && s->module_rows != NULL && m < s->n_modules; m++) fit = s->module_rows[m] % y == 0;
    return fit;
}

static xani_status load_double(xn_ctx *ctx, const xn_config *config, const xn_source *s, xn_correct *c)
{
    const char *what = xn_config_string(config, "input.double_pixels");
    c->double_pixels = strcmp(what, "mask") == 0          ? XN_DOUBLE_MASK
                       : strcmp(what, "interpolate") == 0 ? XN_DOUBLE_INTERPOLATE
                                                          : XN_DOUBLE_KEEP;
    if (c->double_pixels == XN_DOUBLE_KEEP) return XANI_OK;
    bool jungfrau = s->cal.kind == XN_CAL_JUNGFRAU && s->cal.chip_rows == 0;
    pair_of(config, "input.chip_px", jungfrau ? JUNGFRAU_CHIP : s->cal.chip_rows,
            jungfrau ? JUNGFRAU_CHIP : s->cal.chip_columns, &c->chip_rows, &c->chip_columns);
    if (tiles_fit(s, c->chip_rows, c->chip_columns) && c->chip_rows > 2 && c->chip_columns > 2) return XANI_OK;
    return xn_config_bad(ctx, config, "input.double_pixels",
                         "chips of %lld x %lld pixels do not fill the modules; give input.chip_px",
                         (long long)c->chip_rows, (long long)c->chip_columns);
}

static xani_status load_common(xn_ctx *ctx, const xn_config *config, const xn_source *s, xn_correct *c)
{
    c->mode.banks = xn_config_bool(config, "input.common_mode.banks");
    c->mode.rows = xn_config_bool(config, "input.common_mode.rows");
    c->mode.columns = xn_config_bool(config, "input.common_mode.columns");
    c->common = c->mode.banks || c->mode.rows || c->mode.columns;
    if (!c->common) return XANI_OK;
    int64_t rows, columns;
    bool jungfrau = s->cal.kind == XN_CAL_JUNGFRAU && s->cal.bank_rows == 0;
    pair_of(config, "input.common_mode.bank_px", jungfrau ? JUNGFRAU_CHIP : s->cal.bank_rows,
            jungfrau ? JUNGFRAU_BANK : s->cal.bank_columns, &rows, &columns);
    if (!tiles_fit(s, rows, columns))
        return xn_config_bad(ctx, config, "input.common_mode",
                             "banks of %lld x %lld pixels do not fill the modules; give bank_px", (long long)rows,
                             (long long)columns);
    c->mode.bank_rows = (int)rows;
    c->mode.bank_columns = (int)columns;
    c->mode.min_pixels = (int)xn_config_int(config, "input.common_mode.min_pixels");
    c->mode.max_correction = (float)xn_config_double(config, "input.common_mode.max_correction");
    return XANI_OK;
}

static xani_status load_photons(xn_ctx *ctx, const xn_config *config, xn_correct *c)
{
    static const char *const names[] = {"none", "round", "neighbour", "droplet"};
    const char *method = xn_config_string(config, "reduce.photons.method");
    for (int i = 0; i < 4; i++)
        if (strcmp(method, names[i]) == 0) c->photons = (xn_photons_rule)i;
    bool droplet = c->photons == XN_PHOTONS_DROPLET;
    double seed = xn_config_double(config, "reduce.photons.seed"), low = xn_config_double(config, "reduce.photons.low");
    if (droplet && seed < low)
        return xn_config_bad(ctx, config, "reduce.photons.seed", "is below reduce.photons.low, %g", low);
    c->seed = fixed(seed);
    c->total = fixed(xn_config_double(config, "reduce.photons.total"));
    c->droplets =
        (xn_droplets){fixed(seed), fixed(low), strcmp(xn_config_string(config, "reduce.photons.share"), "greedy") == 0};
    return XANI_OK;
}

xani_status xn_correct_load(xn_ctx *ctx, const xn_config *config, const xn_source *s, xn_correct *c)
{
    memset(c, 0, sizeof *c);
    if (s->ops != NULL && s->ops->read_cube != NULL) return XANI_OK; // there are no frames
    XN_TRY(load_double(ctx, config, s, c));
    XN_TRY(load_common(ctx, config, s, c));
    XN_TRY(load_photons(ctx, config, c));
    c->frame_mask = s->ops != NULL && s->ops->read_mask != NULL ? s->cal.frame_mask : 0;
    c->by_frame = c->common || c->double_pixels == XN_DOUBLE_INTERPOLATE || c->photons != XN_PHOTONS_AS_THEY_ARE ||
                  c->frame_mask != 0;
    return XANI_OK;
}
