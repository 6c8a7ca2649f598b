// SPDX-License-Identifier: BSD-3-Clause
// calibration.c -- from stored words to photons: pedestal and gain files of a JUNGFRAU, or a scale.
//
// photons = (word & 0x3fff - pedestal[g]) * factor[g], factor = 1 / (gain[g] energy), gains in ADU/keV
// (formats.md 4.1).  Files hold 3 or more planes G0, G1, G2[, HG0[, HG1, HG2]]; runs in high gain (bit 0 of
// daq_rec) take plane 3 for G0, and 4, 5 where there are any, and plane 3 of a pedestal file for all gains.
// Files that describe the whole detector serve data of which modules were switched off.  A pixel with a gain
// or pedestal that is no number, or gain 0, is masked.
#include "source/swissfel/swissfel.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define GAINS 3
#define ALL_HIGH_GAIN 3 // plane of a pedestal file for runs in high gain

// PSI mask bits of a pedestal file (formats.md 5) as NXmx bits.
#define PSI_USER (1u << 0)
#define PSI_EMPTY (1u << 20)
#define PSI_EDGES (3u << 21)

static uint32_t nxmx_of_psi(int64_t bits)
{
    uint32_t b = (uint32_t)bits, out = 0;
    if (bits == 0) return 0;
    if (b & PSI_USER) out |= XN_PIXEL_USER;
    if (b & PSI_EMPTY) out |= XN_PIXEL_GAP;
    if (b & PSI_EDGES) out |= XN_PIXEL_UNDEFINED;
    if (out == 0 || (b & ~(PSI_USER | PSI_EMPTY | PSI_EDGES)) != 0) out |= XN_PIXEL_DEAD;
    return out;
}

// ---- planes of a file, module by module

typedef struct {
    xn_ctx *ctx;
    const xn_sf_detector *d;
    const int64_t *physical;
    xn_source *s;
    const char *path;
    xn_h5 *h5;
    int64_t planes, rows; // of the dataset last looked at
} cal_file;

// Dataset of `least` or more planes of the detector (least 0: one plane, no leading axis).
static xani_status look_at(cal_file *f, const char *dataset, int least)
{
    xn_h5_info info;
    char shape[128];
    const xn_source *s = f->s;
    XN_TRY(xn_h5_info_get(f->ctx, f->h5, dataset, &info));
    int lead = least > 0;
    f->planes = lead && info.rank > 0 ? info.dims[0] : 1;
    f->rows = 1;
    for (int i = lead; i < info.rank - 1; i++) f->rows *= info.dims[i];
    int64_t whole = f->d->n_map > 0 ? s->ny / s->n_modules * f->d->n_map : s->ny;
    bool fits = !info.is_group && info.rank >= 2 + lead && info.dims[info.rank - 1] == s->nx && f->planes >= least &&
                (f->rows == s->ny || f->rows == whole) && xn_is_number(info.type);
    if (fits) return XANI_OK;
    return xn_fail(f->ctx, XANI_ERR_INPUT, "%s: %s is %s %s; detector %s needs (%s%lld, %lld)", f->path, dataset,
                   info.is_group ? "a group" : xn_type_name(info.type),
                   xn_shape_text(shape, info.is_group ? 0 : info.rank, info.dims), f->d->name,
                   lead ? "3 or more, " : "", (long long)s->ny, (long long)s->nx);
}

// First row, in the file, of the pixels of data module m; -1: no such module.
static int64_t first_row(const cal_file *f, int m)
{
    int64_t before = 0;
    for (int i = 0; i < m; i++) before += f->s->module_rows[i];
    if (f->rows == f->s->ny) return before;
    return f->physical[m] < 0 ? -1 : f->physical[m] * f->s->module_rows[m];
}

static xani_status read_plane(cal_file *f, const char *dataset, int64_t plane, float *file_plane, float *out)
{
    xn_source *s = f->s;
    XN_TRY(xn_h5_read_rows(f->ctx, f->h5, dataset, XN_F32, plane, 1, file_plane));
    int64_t row = 0;
    for (int m = 0; m < s->n_modules; row += s->module_rows[m++]) {
        int64_t from = first_row(f, m), n = s->module_rows[m] * s->nx;
        for (int64_t i = 0; i < n; i++) out[row * s->nx + i] = from < 0 ? NAN : file_plane[from * s->nx + i];
    }
    return XANI_OK;
}

// Planes[g] of the dataset into out[g]; each must hold at least one number.
static xani_status read_planes(cal_file *f, const char *dataset, const int plane[GAINS], float *out[GAINS])
{
    size_t n = (size_t)(f->s->ny * f->s->nx);
    float *file_plane = xn_alloc((size_t)(f->rows * f->s->nx), sizeof *file_plane);
    if (file_plane == NULL) return xn_fail_memory(f->ctx, f->path, n * sizeof *file_plane);
    xani_status st = XANI_OK;
    for (int g = 0; st == XANI_OK && g < GAINS; g++) {
        out[g] = xn_alloc(n, sizeof **out);
        if (out[g] == NULL) {
            st = xn_fail_memory(f->ctx, f->path, n * sizeof **out);
            break;
        }
        st = read_plane(f, dataset, plane[g], file_plane, out[g]);
        size_t numbers = 0;
        for (size_t i = 0; st == XANI_OK && i < n; i++) numbers += isfinite(out[g][i]) != 0;
        if (st == XANI_OK && numbers == 0)
            st =
                xn_fail(f->ctx, XANI_ERR_INPUT, "%s: %s are NaN in all pixels of plane %d", f->path, dataset, plane[g]);
    }
    xn_free(file_plane);
    return st;
}

static xani_status read_gains(cal_file *f, bool high)
{
    static const char dataset[] = "gains";
    XN_TRY(look_at(f, dataset, GAINS));
    int plane[GAINS] = {0, 1, 2};
    for (int g = 0; high && g < GAINS; g++)
        if (f->planes > GAINS + g) plane[g] = GAINS + g;
    if (high && f->planes <= GAINS)
        return xn_fail(f->ctx, XANI_ERR_INPUT, "%s: %s has no plane 3, which frames in high gain need", f->path,
                       dataset);
    float **factor = f->s->cal.factor;
    XN_TRY(read_planes(f, dataset, plane, factor));
    return XANI_OK;
}

static xani_status read_pedestals(cal_file *f, bool high)
{
    static const char dataset[] = "gains"; // the mean pedestals are stored under this name
    XN_TRY(look_at(f, dataset, GAINS));
    int plane[GAINS] = {0, 1, 2};
    for (int g = 0; high && f->planes > GAINS && g < GAINS; g++) plane[g] = ALL_HIGH_GAIN;
    return read_planes(f, dataset, plane, f->s->cal.pedestal);
}

static xani_status read_pixel_mask(cal_file *f)
{
    static const char dataset[] = "pixel_mask";
    if (!xn_h5_exists(f->h5, dataset)) return XANI_OK;
    XN_TRY(look_at(f, dataset, 0));
    int64_t *bits = NULL, n = 0, row = 0;
    XN_TRY(xn_h5_read_i64(f->ctx, f->h5, dataset, &bits, &n));
    xn_source *s = f->s;
    for (int m = 0; m < s->n_modules; row += s->module_rows[m++]) {
        int64_t from = first_row(f, m), count = from < 0 ? 0 : s->module_rows[m] * s->nx;
        for (int64_t i = 0; i < count; i++) s->mask[row * s->nx + i] |= nxmx_of_psi(bits[from * s->nx + i]);
    }
    xn_free(bits);
    return XANI_OK;
}

// ---- the whole

static xani_status high_gain(xn_ctx *ctx, const xn_sf_detector *d, bool *high)
{
    int64_t n_high = 0, n = 0;
    for (int64_t i = 0; d->has_daq_rec && i < d->n; i++) {
        if (d->daq_mixed[i] || d->daq_rec[i] == 0) continue;
        n++;
        n_high += (d->daq_rec[i] & XN_DAQ_HIGH_GAIN) != 0;
    }
    *high = n_high > 0;
    if (n_high == 0 || n_high == n) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s/daq_rec says high gain for %lld of %lld frames; one run needs one gain",
                   d->file[0], d->group, (long long)n_high, (long long)n);
}

static xani_status with_file(xn_ctx *ctx, const xn_config *config, const char *key, cal_file *f, bool high,
                             xani_status (*read)(cal_file *, bool))
{
    char *path = xn_config_path(config, key);
    if (path == NULL) return xn_fail_memory(ctx, key, 1);
    f->path = path;
    xani_status st = xn_h5_open(ctx, path, &f->h5);
    if (st == XANI_OK) st = read(f, high);
    if (st == XANI_OK && read == read_pedestals) st = read_pixel_mask(f);
    xn_h5_close(&f->h5);
    xn_free(path);
    return xn_context(ctx, st, "%s", key);
}

static xani_status jungfrau(xn_ctx *ctx, const xn_config *config, const xn_sf_detector *d, const int64_t *physical,
                            xn_source *s)
{
    XN_TRY(xn_config_require(ctx, config, "input.calibration.pedestal", "it belongs to input.calibration.gain"));
    XN_TRY(xn_config_require(ctx, config, "input.calibration.gain", "it belongs to input.calibration.pedestal"));
    XN_TRY(
        xn_config_require(ctx, config, "experiment.energy_kev", "gains are in ADU per keV; photons need the energy"));
    if (d->type != XN_U16)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s/data has type %s; pedestal and gain files need uint16 words",
                       d->file[0], d->group, xn_type_name(d->type));
    double energy = xn_config_double(config, "experiment.energy_kev");
    bool high = false;
    XN_TRY(high_gain(ctx, d, &high));
    s->cal.kind = XN_CAL_JUNGFRAU;
    s->cal.photons_per_unit = 1.0;
    cal_file f = {ctx, d, physical, s, NULL, NULL, 0, 0};
    XN_TRY(with_file(ctx, config, "input.calibration.gain", &f, high, read_gains));
    XN_TRY(with_file(ctx, config, "input.calibration.pedestal", &f, high, read_pedestals));
    int64_t n = s->ny * s->nx, bad = 0;
    for (int64_t i = 0; i < n; i++) {
        bool good = true;
        for (int g = 0; g < GAINS; g++) {
            double factor = 1.0 / ((double)s->cal.factor[g][i] * energy);
            s->cal.factor[g][i] = (float)factor;
            good = good && isfinite(s->cal.factor[g][i]) && isfinite(s->cal.pedestal[g][i]);
        }
        if (good) continue;
        bad++;
        s->mask[i] |= XN_PIXEL_DEAD;
        for (int g = 0; g < GAINS; g++) s->cal.factor[g][i] = s->cal.pedestal[g][i] = 0.0f; // counts nothing
    }
    if (bad == n)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: gains are NaN or zero in some plane of every pixel",
                       xn_config_string(config, "input.calibration.gain"));
    if (bad > 0)
        xn_note(ctx, "%lld of %lld pixels have no gain or pedestal and are masked", (long long)bad, (long long)n);
    return XANI_OK;
}

// Mask of a converted file: True is good.
static xani_status processed_mask(xn_ctx *ctx, const xn_sf_detector *d, xn_source *s)
{
    char dataset[XN_KEY_LENGTH + 32];
    snprintf(dataset, sizeof dataset, "%s/meta/pixel_mask", d->group);
    xn_h5 *h5 = NULL;
    float *good = NULL;
    int64_t n = 0;
    xani_status st;
    XN_GOTO(out, st, xn_h5_open(ctx, d->file[0], &h5));
    if (!xn_h5_exists(h5, dataset)) goto out;
    XN_GOTO(out, st, xn_h5_read_f32(ctx, h5, dataset, &good, &n));
    int64_t pixels = s->ny * s->nx;
    if (n != pixels)
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has %lld pixels, the frames have %lld", d->file[0], dataset,
                     (long long)n, (long long)pixels);
    for (int64_t i = 0; st == XANI_OK && i < n; i++)
        if (good[i] == 0.0f) s->mask[i] |= XN_PIXEL_DEAD;
out:
    xn_free(good);
    xn_h5_close(&h5);
    return st;
}

xani_status xn_sf_calibration(xn_ctx *ctx, const xn_config *config, const xn_sf_detector *d, const int64_t *physical,
                              xn_source *s)
{
    s->mask = xn_calloc((size_t)(s->ny * s->nx), sizeof *s->mask);
    if (s->mask == NULL) return xn_fail_memory(ctx, "the mask", (size_t)(s->ny * s->nx) * sizeof *s->mask);
    int64_t row = 0;
    for (int m = 0; m < s->n_modules; row += s->module_rows[m++])
        for (int64_t i = 0; physical[m] < 0 && i < s->module_rows[m] * s->nx; i++)
            s->mask[row * s->nx + i] |= XN_PIXEL_GAP;
    bool words = xn_config_has(config, "input.calibration.pedestal") || xn_config_has(config, "input.calibration.gain");
    if (words && d->processed)
        return xn_config_bad(ctx, config, "input.calibration",
                             "%s is converted to keV already; leave pedestal and gain out", d->file[0]);
    if (words) return jungfrau(ctx, config, d, physical, s);
    bool scaled = xn_config_has(config, "input.calibration.kev_per_unit") ||
                  xn_config_has(config, "input.calibration.photons_per_unit");
    if (scaled || d->processed) {
        XN_TRY(xn_scale_load(ctx, config, d->processed ? d->conversion : NAN, s));
        return d->processed ? processed_mask(ctx, d, s) : XANI_OK;
    }
    return xn_config_require(ctx, config, "input.calibration.pedestal",
                             "raw frames need pedestal and gain files, kev_per_unit or photons_per_unit");
}
