// SPDX-License-Identifier: BSD-3-Clause
// smalldata.c -- the readers of LCLS small data, first and second generation (formats.md 1.1, 1.3).
//
// Raw data of LCLS (XTC, XTC2) are read by psana only; what it writes per shot, regions of interest or whole calibrated
// areas, are the frames here.  Several files of a run follow one another; those without the frames serve readings.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "source/lcls/lcls.h"
#include "source/source.h"

#define LASER_WORDS "how laser-on shots are told: lightStatus/laser or another dataset, or {codes, drop}"

typedef struct {
    char **files;
    xn_frames *frames;
} impl;

static xani_status open_frames(xn_ctx *ctx, const xn_config *config, const xn_lcls_frames *f, impl *m, xn_source *s)
{
    xn_array_options how = {.reader = xn_config_string(config, "engine.reader"),
                            .depth = (int)xn_config_int(config, "engine.read_depth")};
    XN_TRY(xn_frames_open(ctx, (const char *const *)f->file, f->n_files, f->name, &how, &m->frames));
    const xn_frames_info *info = xn_frames_get_info(m->frames);
    if (info->n != f->n || info->h != f->ny || info->w != f->nx)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s changed while it was opened", f->file[0], f->name);
    s->type = info->type;
    s->stored_bytes = info->stored_bytes;
    s->together = info->together;
    return XANI_OK;
}

static xani_status join(xn_ctx *ctx, const xn_config *config, xn_lcls *l, const xn_lcls_frames *f, xn_shots *shots)
{
    uint8_t *laser = xn_alloc((size_t)f->n + 1, 1);
    if (laser == NULL) return xn_fail_memory(ctx, "the laser states", (size_t)f->n);
    const xn_laser_rule rule = {.by_frame = true};
    xani_status st = xn_lcls_laser(ctx, config, NULL, l, f->id, f->n, laser);
    if (st == XANI_OK) st = xn_lcls_dark(ctx, l, f->id, f->n, f->refused);
    xn_join_input in = {.detector = f->name,
                        .file = f->file[0],
                        .ids = l->second ? "timestamps" : "event times",
                        .clock = xn_lcls_ns,
                        .n = f->n,
                        .id = f->id,
                        .refused = f->refused,
                        .laser = laser,
                        .rule = &rule,
                        .read = xn_lcls_read_channel,
                        .read_traces = xn_lcls_read_traces,
                        .user = l};
    if (st == XANI_OK) st = xn_join(ctx, config, &in, shots);
    xn_free(laser);
    return st;
}

static void tell(xn_ctx *ctx, const xn_lcls *l, const xn_lcls_frames *f, const xn_shots *shots)
{
    int64_t without = 0;
    for (int64_t i = 0; i < f->n; i++) without += f->id[i] == 0;
    if (f->absent + without + shots->duplicate > 0)
        xn_note(ctx, "%s: %lld events; %lld without a frame, %lld without a time, %lld repeated", f->name,
                (long long)f->n, (long long)f->absent, (long long)without, (long long)shots->duplicate);
    if (f->n_files < l->n_files)
        xn_note(ctx, "%d of %d files hold no %s: they serve readings only", l->n_files - f->n_files, l->n_files,
                f->name);
}

static xani_status open_source(xn_ctx *ctx, const xn_config *config, xn_lcls *l, impl *m, xn_source *s)
{
    xn_lcls_frames f;
    xn_region region;
    xani_status st;
    XN_TRY(xn_lcls_frames_read(ctx, l, xn_config_string(config, "input.frames"), true, &f));
    s->ny = f.ny;
    s->nx = f.nx;
    XN_GOTO(out, st, open_frames(ctx, config, &f, m, s));
    XN_GOTO(out, st,
            f.modules > 0 ? xn_modules_set(ctx, s, (int)f.modules, f.ny / f.modules)
                          : xn_modules_from_geometry(ctx, config, s));
    XN_GOTO(out, st, xn_scale_load(ctx, config, (double)NAN, s));
    XN_GOTO(out, st, xn_lcls_region(ctx, l->h5[0], f.name, &region));
    XN_GOTO(out, st, xn_mask_load_region(ctx, config, f.file[0], region.rank > 0 ? &region : NULL, s));
    XN_GOTO(out, st, join(ctx, config, l, &f, &s->shots));
    tell(ctx, l, &f, &s->shots);
out:
    xn_lcls_frames_free(&f);
    return st;
}

static xani_status open_generation(xn_ctx *ctx, const xn_config *config, int run, bool second, xn_source *s)
{
    XN_TRY(xn_join_check(ctx, config, LASER_WORDS));
    XN_TRY(xn_config_require(ctx, config, "input.frames", "the dataset of the frames (jungfrau1M/ROI_0_area)"));
    impl *m = s->impl = xn_calloc(1, sizeof *m);
    if (m == NULL) return xn_fail_memory(ctx, "the source", sizeof *m);
    XN_TRY(xn_source_files(ctx, config, run, &m->files));
    xn_lcls l;
    xani_status st = xn_lcls_open(ctx, second, m->files, &l);
    if (st == XANI_OK) st = open_source(ctx, config, &l, m, s);
    xn_lcls_close(&l);
    return st;
}

static xani_status first_open(xn_ctx *ctx, const xn_config *config, int run, xn_source *s)
{
    return open_generation(ctx, config, run, false, s);
}

static xani_status second_open(xn_ctx *ctx, const xn_config *config, int run, xn_source *s)
{
    return open_generation(ctx, config, run, true, s);
}

static void close_source(xn_source *s)
{
    impl *m = s->impl;
    if (m == NULL) return;
    xn_frames_close(&m->frames);
    xn_h5_names_free(m->files);
    xn_free(m);
    s->impl = NULL;
}

static xani_status read_frame(xn_ctx *ctx, xn_source *s, int64_t frame, void *dst, void *scratch)
{
    (void)scratch;
    return xn_frames_read(ctx, ((impl *)s->impl)->frames, frame, dst);
}

static xani_status read_list(xn_ctx *ctx, xn_source *s, const int64_t *frames, int64_t n, void *dst)
{
    return xn_frames_read_list(ctx, ((impl *)s->impl)->frames, frames, n, dst, 1);
}

static const xn_frames *own_frames(const xn_source *s) { return ((const impl *)s->impl)->frames; }

static const xn_source_ops first_ops = {.layout = "lcls_smalldata",
                                        .open = first_open,
                                        .close = close_source,
                                        .read_frame = read_frame,
                                        .read_frames = read_list,
                                        .frames = own_frames};
static const xn_source_ops second_ops = {.layout = "lcls2_smalldata",
                                         .open = second_open,
                                         .close = close_source,
                                         .read_frame = read_frame,
                                         .read_frames = read_list,
                                         .frames = own_frames};

const xn_input_layout xn_layout_lcls_smalldata = {.ops = &first_ops,
                                                  .facility = "LCLS",
                                                  .files = "small data of LCLS",
                                                  .has_geometry = true, // UserDataCfg
                                                  .claims = xn_lcls_claims,
                                                  .facts = xn_lcls_facts,
                                                  .init_calibration = xn_lcls_init_calibration};
const xn_input_layout xn_layout_lcls2_smalldata = {.ops = &second_ops,
                                                   .facility = "LCLS-II",
                                                   .files = "small data of LCLS-II",
                                                   .has_masters = true,
                                                   .has_geometry = true,
                                                   .claims = xn_lcls2_claims,
                                                   .facts = xn_lcls_facts,
                                                   .init_calibration = xn_lcls_init_calibration};
