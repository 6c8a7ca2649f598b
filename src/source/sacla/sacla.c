// SPDX-License-Identifier: BSD-3-Clause
// sacla.c -- the reader of SACLA runs: tags of DataConvert files or of Cheetah's (formats.md 1.6).
//
// An MPCCD's panels say how many electrons make one of their units; with 3.65 eV for each, and the photon energy, that
// is their calibration unless the configuration gives another.  Cheetah's frames are tenths of photons already.
#include "source/sacla/sacla.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "source/detector/detector.h"
#include "source/source.h"

#define CHEETAH_PHOTONS 0.1 // of one unit
#define RUNS_MOST 1024

typedef struct {
    char **files;
    xn_sacla x;
    xn_sacla_detector d;
} impl;

static xani_status open_files(xn_ctx *ctx, const xn_config *config, int run, impl *m)
{
    char key[XN_KEY_LENGTH];
    double number[RUNS_MOST] = {0};
    XN_TRY(xn_source_files(ctx, config, run, &m->files));
    if (run < 0 || !xn_config_has(config, xn_key(key, "runs[%d].run_numbers", run))) xn_key(key, "input.run_numbers");
    int n = xn_config_has(config, key) ? xn_config_doubles(config, key, number, RUNS_MOST) : 0;
    if (n > RUNS_MOST) return xn_config_bad(ctx, config, key, "more than %d runs", RUNS_MOST);
    bool skip = strcmp(xn_config_string(config, "input.unreadable"), "skip") == 0;
    return xn_sacla_open(ctx, m->files, number, n, skip, &m->x);
}

// ---- calibration

// What the file says of the photon energy, in keV; NaN: nothing.
static double energy_of(xn_ctx *ctx, const xn_sacla *x)
{
    double kev = NAN;
    for (int i = 0; i < x->n_runs && isnan(kev); i++) {
        xn_h5 *h5 = NULL;
        char path[128];
        double *value = NULL;
        int64_t n = 0;
        snprintf(path, sizeof path, "%s/run_info/sacla_config/photon_energy_in_eV", x->run[i].group);
        if (xn_h5_open(ctx, x->run[i].file, &h5) == XANI_OK && xn_h5_exists(h5, path) &&
            xn_h5_read_f64(ctx, h5, path, &value, &n) == XANI_OK && n > 0 && value[0] > 0)
            kev = 1e-3 * value[0];
        xn_free(value);
        xn_h5_close(&h5);
    }
    xn_clear_error(ctx);
    return kev;
}

static xani_status cheetah_mask(xn_ctx *ctx, const xn_sacla_detector *d, xn_source *s)
{
    static const char dataset[] = "metadata/pixelmask"; // 1: bad
    xn_h5 *h5 = NULL;
    uint32_t *bad = NULL;
    int64_t n = 0, pixels = s->ny * s->nx;
    xani_status st;
    XN_GOTO(out, st, xn_h5_open(ctx, d->file, &h5));
    if (!xn_h5_exists(h5, dataset)) goto out;
    XN_GOTO(out, st, xn_h5_read_u32(ctx, h5, dataset, &bad, &n));
    if (n != pixels)
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has %lld pixels, the frames have %lld", d->file, dataset,
                     (long long)n, (long long)pixels);
    for (int64_t i = 0; st == XANI_OK && i < n; i++)
        if (bad[i] != 0) s->mask[i] |= XN_PIXEL_DEAD;
out:
    xn_free(bad);
    xn_h5_close(&h5);
    return st;
}

static void mask_left_out(const xn_sacla_detector *d, xn_source *s)
{
    int64_t each = s->ny / d->n_panels * s->nx;
    for (int k = 0; k < d->n_panels; k++)
        for (int64_t i = 0; d->panel[k].left_out && i < each; i++) s->mask[k * each + i] |= XN_PIXEL_GAP;
}

static xani_status calibrate(xn_ctx *ctx, const xn_config *config, const impl *m, xn_source *s)
{
    const xn_sacla_detector *d = &m->d;
    double gain[XN_SACLA_PANELS], told = energy_of(ctx, &m->x), kev = xn_config_double(config, "experiment.energy_kev");
    bool gains = true, cheetah = d->panel[0].group[0] == '\0';
    for (int k = 0; k < d->n_panels; k++) {
        gain[k] = d->panel[k].left_out && !(d->panel[k].gain > 0) ? 1.0 : d->panel[k].gain;
        gains = gains && gain[k] > 0;
    }
    if (xn_config_has(config, "experiment.energy_kev") && fabs(told / kev - 1.0) > 0.01)
        xn_warn(ctx, "experiment.energy_kev is %g, the files say %g", kev, told);
    xn_detector_ask ask = {.name = d->name,
                           .kev_per_unit = cheetah ? CHEETAH_PHOTONS * kev : NAN,
                           .kind = cheetah ? NULL : "mpccd",
                           .gain = gains && !cheetah ? gain : NULL};
    XN_TRY(xn_detector_load(ctx, config, &ask, s));
    mask_left_out(d, s);
    return cheetah ? cheetah_mask(ctx, d, s) : XANI_OK;
}

// ---- shots

static xani_status join(xn_ctx *ctx, const xn_config *config, impl *m, xn_shots *shots)
{
    const xn_sacla_detector *d = &m->d;
    xn_laser_rule rule = {0};
    uint8_t *refused = xn_alloc((size_t)d->n, 1);
    xani_status st;
    if (refused == NULL) return xn_fail_memory(ctx, "the list of frames", (size_t)d->n);
    for (int64_t i = 0; i < d->n; i++) {
        refused[i] = d->bad[i] ? XN_CUT_BAD_FRAME : XN_CUT_NONE;
        for (int k = 0; k < d->n_panels; k++)
            if (d->piece[i * d->n_panels + k] < 0 && !d->panel[k].left_out) refused[i] = XN_CUT_MODULE;
    }
    XN_GOTO(out, st, xn_sacla_dark(ctx, config, &m->x, d, refused));
    XN_GOTO(out, st, xn_laser_rule_load(ctx, config, "#", &rule));
    xn_join_input in = {.detector = d->name,
                        .file = d->file,
                        .ids = "tags",
                        .n = d->n,
                        .id = d->tag,
                        .refused = refused,
                        .rule = &rule,
                        .read = xn_sacla_read_channel,
                        .user = &m->x};
    st = xn_join(ctx, config, &in, shots);
out:
    xn_laser_rule_free(&rule);
    xn_free(refused);
    return st;
}

static xani_status sacla_open(xn_ctx *ctx, const xn_config *config, int run, xn_source *s)
{
    XN_TRY(xn_join_check(ctx, config, XN_SACLA_LASER_WORDS));
    impl *m = s->impl = xn_calloc(1, sizeof *m);
    if (m == NULL) return xn_fail_memory(ctx, "the source", sizeof *m);
    XN_TRY(open_files(ctx, config, run, m));
    xn_array_options how = {.reader = xn_config_string(config, "engine.reader")};
    XN_TRY(xn_sacla_detector_find(ctx, &m->x, config, xn_config_string(config, "input.frames"), &m->d));
    XN_TRY(xn_sacla_detector_read(ctx, &m->x, &how, &m->d));
    const xn_pieces_info *info = xn_pieces_get_info(m->d.pieces);
    s->ny = m->d.n_panels * info->dims[0];
    s->nx = info->dims[1];
    s->type = info->type;
    s->stored_bytes = info->stored_bytes;
    if (m->d.n_panels > 1)
        XN_TRY(xn_modules_set(ctx, s, m->d.n_panels, info->dims[0]));
    else
        XN_TRY(xn_modules_from_geometry(ctx, config, s));
    XN_TRY(calibrate(ctx, config, m, s));
    XN_TRY(xn_mask_load(ctx, config, m->d.file, s));
    XN_TRY(join(ctx, config, m, &s->shots));
    if (s->shots.missing + s->shots.duplicate > 0)
        xn_note(ctx, "%s: %lld frames; %lld lost by the detector, %lld repeated tags", m->d.name, (long long)s->shots.n,
                (long long)s->shots.missing, (long long)s->shots.duplicate);
    return XANI_OK;
}

static void sacla_close(xn_source *s)
{
    impl *m = s->impl;
    if (m == NULL) return;
    xn_sacla_detector_free(&m->d);
    xn_sacla_close(&m->x);
    xn_h5_names_free(m->files);
    xn_free(m);
    s->impl = NULL;
}

static xani_status sacla_read(xn_ctx *ctx, xn_source *s, int64_t frame, void *dst, void *scratch)
{
    const xn_sacla_detector *d = &((impl *)s->impl)->d;
    size_t bytes = xn_pieces_get_info(d->pieces)->bytes;
    (void)scratch;
    for (int k = 0; k < d->n_panels; k++) {
        int64_t piece = d->piece[frame * d->n_panels + k];
        uint8_t *to = (uint8_t *)dst + (size_t)k * bytes;
        if (piece < 0)
            memset(to, 0, bytes); // its pixels are masked, or the shot is refused
        else
            XN_TRY(xn_context(ctx, xn_pieces_read(ctx, d->pieces, piece, to), "tag %llu, panel %s",
                              (unsigned long long)d->tag[frame], d->panel[k].name));
    }
    return XANI_OK;
}

static const xn_source_ops ops = {
    .layout = "sacla", .open = sacla_open, .close = sacla_close, .read_frame = sacla_read};

const xn_input_layout xn_layout_sacla = {.ops = &ops,
                                         .facility = "SACLA",
                                         .stage_unit = "motor pulses of 1 um", // usually: it belongs to the beamtime
                                         .stage_ps = 1e-3 * XN_STAGE_PS_PER_MM,
                                         .files = "SACLA runs",
                                         .claims = xn_sacla_claims,
                                         .beside = xn_sacla_beside,
                                         .facts = xn_sacla_facts,
                                         .init_calibration = xn_sacla_init_calibration};
