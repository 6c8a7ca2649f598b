// SPDX-License-Identifier: BSD-3-Clause
// euxfel.c -- the reader of European XFEL runs: EXDF files of all format versions, virtual overviews, virtual CXI files
// (formats.md 1.4).
//
// Any of the files may hold modules of the detector or readings; their sequences need not agree.  The configuration is
// checked before any file is opened.
#include "source/euxfel/euxfel.h"

#include <stdio.h>
#include <string.h>

#include "source/source.h"

typedef struct {
    xn_xf_run run;
    xn_xf_detector detector;
    xn_module *module;
    xn_modules *frames;
} impl;

// ---- the detector

// input.frames, or the only detector there is; a CXI file is one.
static xani_status find_detector(xn_ctx *ctx, const xn_config *config, impl *m)
{
    const char *given = xn_config_string(config, "input.frames");
    if (m->run.cxi >= 0) return xn_xf_cxi_read(ctx, config, &m->run, &m->detector);
    if (given != NULL) return xn_xf_detector_read(ctx, config, &m->run, given, &m->detector);
    char **names = NULL;
    XN_TRY(xn_xf_detectors(ctx, &m->run, &names));
    xani_status st = XANI_OK;
    if (names[0] == NULL)
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: neither it nor any other input file holds frames of a detector",
                     m->run.file[0].path);
    else if (names[1] != NULL)
        st = xn_config_bad(ctx, config, "input.frames", "is missing: there are several detectors, %s and %s", names[0],
                           names[1]);
    else
        st = xn_xf_detector_read(ctx, config, &m->run, names[0], &m->detector);
    xn_h5_names_free(names);
    return st;
}

static xani_status open_modules(xn_ctx *ctx, const xn_config *config, impl *m, xn_source *s)
{
    const xn_xf_detector *d = &m->detector;
    xn_array_options how = {.reader = xn_config_string(config, "engine.reader"),
                            .depth = (int)xn_config_int(config, "engine.read_depth")};
    uint32_t bits = 0;
    XN_TRY(xn_xf_mask_bits(ctx, config, &bits));
    m->module = xn_calloc((size_t)d->n_modules, sizeof *m->module);
    if (m->module == NULL) return xn_fail_memory(ctx, "the modules", (size_t)d->n_modules * sizeof *m->module);
    for (int i = 0; i < d->n_modules; i++) {
        const xn_xf_module *p = &d->module[i];
        m->module[i] = (xn_module){.name = p->name,
                                   .n_files = p->absent ? 0 : p->n_files,
                                   .file = p->file,
                                   .frames = p->frames,
                                   .gain = p->gain,
                                   .mask = p->mask};
    }
    xn_modules_input in = {.n_modules = d->n_modules,
                           .module = m->module,
                           .n = d->n,
                           .place = d->place,
                           .nan_bits = bits,
                           .fill = m->run.cxi >= 0};
    XN_TRY(xn_modules_open(ctx, &in, &how, &m->frames));
    const xn_modules_info *info = xn_modules_get_info(m->frames);
    s->ny = d->n_modules * info->ny;
    s->nx = info->nx;
    s->type = info->type;
    s->stored_bytes = info->stored_bytes;
    s->together = info->together;
    XN_TRY(xn_modules_set(ctx, s, d->n_modules, info->ny));
    XN_TRY(xn_modules_mask_absent(ctx, &in, s));
    if (d->words) return XANI_OK;
    if (s->type != XN_F32 && xn_xf_has_masks(d)) s->cal.frame_mask = bits; // whole numbers have no NaN
    return xn_xf_static_mask(ctx, m->frames, d, bits, s);
}

// ---- the join

static xani_status join(xn_ctx *ctx, const xn_config *config, const impl *m, xn_shots *shots)
{
    const xn_xf_detector *d = &m->detector;
    xn_xf_pattern pattern = {0};
    xn_laser_rule rule = {0};
    bool there = false;
    xn_xf_readings readings = {.config = config, .run = &m->run, .detector = d, .pattern = &pattern};
    uint8_t *laser = xn_calloc((size_t)d->n, 1);
    xani_status st = laser != NULL ? XANI_OK : xn_fail_memory(ctx, "the list of frames", (size_t)d->n);
    if (st != XANI_OK) return st;
    XN_GOTO(out, st, xn_xf_numbers_load(ctx, config, d->cells, &readings.numbers));
    if (!xn_config_bool(config, "input.frames_only"))
        XN_GOTO(out, st, xn_xf_pattern_read(ctx, config, &m->run, d->name, &pattern, &there));
    XN_GOTO(out, st, xn_xf_laser(ctx, config, &readings, &rule, laser, d->refused));
    xn_join_input in = {.detector = d->name,
                        .file = d->module[0].file != NULL ? d->module[0].file[0] : m->run.file[0].path,
                        .ids = "train and pulse ids",
                        .n = d->n,
                        .id = d->id,
                        .refused = d->refused,
                        .laser = laser,
                        .rule = &rule,
                        .read = xn_xf_read_channel,
                        .read_traces = xn_xf_read_traces,
                        .user = &readings};
    st = xn_join(ctx, config, &in, shots);
out:
    xn_laser_rule_free(&rule);
    xn_xf_pattern_free(&pattern);
    xn_free(laser);
    return st;
}

static void tell(xn_ctx *ctx, const xn_xf_detector *d, const xn_shots *shots)
{
    if (d->incomplete > 0)
        xn_warn(ctx, "%s: %lld of %lld frames lack a module and are not used; input.modules.leave_out does without it",
                d->name, (long long)d->incomplete, (long long)d->n);
    if (d->cut_off > 0)
        xn_warn(ctx, "%s: files name %lld frames of modules in their indexes that they do not hold", d->name,
                (long long)d->cut_off);
    if (shots->missing + shots->duplicate > 0)
        xn_note(ctx, "%s: %lld frames; %lld lost by the detector, %lld repeated ids", d->name, (long long)shots->n,
                (long long)shots->missing, (long long)shots->duplicate);
}

// ---- the source

static xani_status euxfel_open(xn_ctx *ctx, const xn_config *config, int run, xn_source *s)
{
    XN_TRY(xn_join_check(ctx, config, XN_XF_LASER_WORDS));
    impl *m = s->impl = xn_calloc(1, sizeof *m);
    if (m == NULL) return xn_fail_memory(ctx, "the source", sizeof *m);
    char **paths = NULL;
    XN_TRY(xn_source_files(ctx, config, run, &paths));
    bool skip = strcmp(xn_config_string(config, "input.unreadable"), "skip") == 0;
    XN_TRY(xn_xf_run_open(ctx, paths, skip, &m->run));
    XN_TRY(find_detector(ctx, config, m));
    XN_TRY(open_modules(ctx, config, m, s));
    XN_TRY(xn_xf_calibrate(ctx, config, &m->detector, s));
    XN_TRY(xn_mask_load(ctx, config, m->run.file[0].path, s));
    XN_TRY(join(ctx, config, m, &s->shots));
    tell(ctx, &m->detector, &s->shots);
    return XANI_OK;
}

static void euxfel_close(xn_source *s)
{
    impl *m = s->impl;
    if (m == NULL) return;
    xn_modules_close(&m->frames);
    xn_free(m->module);
    xn_xf_detector_free(&m->detector);
    xn_xf_run_close(&m->run);
    xn_free(m);
    s->impl = NULL;
}

static xani_status euxfel_read(xn_ctx *ctx, xn_source *s, int64_t frame, void *dst, void *scratch)
{
    (void)scratch;
    return xn_modules_read(ctx, ((impl *)s->impl)->frames, &frame, 1, dst);
}

static xani_status euxfel_read_list(xn_ctx *ctx, xn_source *s, const int64_t *frames, int64_t n, void *dst)
{
    return xn_modules_read(ctx, ((impl *)s->impl)->frames, frames, n, dst);
}

static xani_status euxfel_read_mask(xn_ctx *ctx, xn_source *s, int64_t frame, uint32_t *dst, void *scratch)
{
    (void)scratch;
    return xn_modules_read_mask(ctx, ((impl *)s->impl)->frames, frame, dst);
}

static const xn_source_ops ops = {
    .layout = "euxfel",
    .open = euxfel_open,
    .close = euxfel_close,
    .read_frame = euxfel_read,
    .read_frames = euxfel_read_list,
    .read_mask = euxfel_read_mask,
};

const xn_input_layout xn_layout_euxfel = {
    .ops = &ops,
    .facility = "European XFEL",
    .stage_unit = "mm",
    .stage_ps = XN_STAGE_PS_PER_MM,
    .files = "European XFEL runs",
    .claims = xn_xf_claims,
    .facts = xn_xf_facts,
    .init_calibration = xn_xf_init_calibration,
};
