// SPDX-License-Identifier: BSD-3-Clause
// pal.c -- the reader of PAL-XFEL runs: pandas HDFStore files, one per scan point (formats.md 1.7).
//
// Images, metadata and waveforms are joined by timestamp, over all files of the run in the order of their names; which
// of them holds what does not matter.  Frames come calibrated by the facility, in units that the files do not tell.
#include "source/pal/pal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "source/source.h"

#define RAYONIX_FULL 65535 // saturated or bad

typedef struct {
    char **files;
    xn_pal_files run;
    char name[XN_KEY_LENGTH]; // of the detector
    xn_frames *frames;
} impl;

// input.frames, or the only detector there is.
static xani_status find_detector(xn_ctx *ctx, const xn_config *config, impl *m)
{
    const char *given = xn_config_string(config, "input.frames");
    if (given != NULL) {
        snprintf(m->name, sizeof m->name, "%s", given);
        return XANI_OK;
    }
    for (int i = 0; i < m->run.n; i++) {
        xn_h5 *h5 = NULL;
        char **names = NULL;
        XN_TRY(xn_h5_open(ctx, m->files[i], &h5));
        xani_status st = xn_pal_detectors(ctx, h5, &names);
        for (int j = 0; st == XANI_OK && names[j] != NULL; j++) {
            if (strcmp(names[j], m->name) == 0) continue;
            if (m->name[0] != '\0')
                st = xn_context(ctx, xn_config_require(ctx, config, "input.frames", "there are several detectors"),
                                "%s, %s", m->name, names[j]);
            else
                snprintf(m->name, sizeof m->name, "%s", names[j]);
        }
        xn_h5_names_free(names);
        xn_h5_close(&h5);
        if (st != XANI_OK) return st;
    }
    if (m->name[0] != '\0') return XANI_OK;
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: neither it nor any other input file holds frames of a detector",
                   m->files[0]);
}

static xani_status open_frames(xn_ctx *ctx, const xn_config *config, const xn_pal_detector *d, impl *m, xn_source *s)
{
    xn_array_options how = {.reader = xn_config_string(config, "engine.reader"),
                            .depth = (int)xn_config_int(config, "engine.read_depth")};
    XN_TRY(xn_frames_open(ctx, (const char *const *)d->file, d->n_files, d->dataset, &how, &m->frames));
    const xn_frames_info *info = xn_frames_get_info(m->frames);
    if (info->n != d->n || info->h != d->ny || info->w != d->nx)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s changed while it was opened", d->file[0], d->dataset);
    s->type = info->type;
    s->stored_bytes = info->stored_bytes;
    s->together = info->together;
    return XANI_OK;
}

static uint64_t own_time(uint64_t id) { return id; }

static xani_status join(xn_ctx *ctx, const xn_config *config, impl *m, const xn_pal_detector *d, xn_shots *shots)
{
    xn_laser_rule rule = {0};
    xani_status st = xn_pal_laser(ctx, config, &m->run, &rule);
    xn_join_input in = {.detector = d->name,
                        .file = d->file[0],
                        .ids = "timestamps",
                        .clock = own_time,
                        .n = d->n,
                        .id = d->id,
                        .rule = &rule,
                        .read = xn_pal_read_channel,
                        .user = &m->run};
    if (st == XANI_OK) st = xn_join(ctx, config, &in, shots);
    xn_laser_rule_free(&rule);
    return st;
}

static xani_status pal_open(xn_ctx *ctx, const xn_config *config, int run, xn_source *s)
{
    XN_TRY(xn_join_check(ctx, config, XN_PAL_LASER_WORDS));
    impl *m = s->impl = xn_calloc(1, sizeof *m);
    if (m == NULL) return xn_fail_memory(ctx, "the source", sizeof *m);
    XN_TRY(xn_source_files(ctx, config, run, &m->files));
    bool skip = strcmp(xn_config_string(config, "input.unreadable"), "skip") == 0;
    XN_TRY(xn_pal_files_open(ctx, m->files, skip, &m->run));
    XN_TRY(find_detector(ctx, config, m));
    xn_pal_detector d;
    xani_status st;
    XN_TRY(xn_pal_detector_read(ctx, &m->run, m->name, &d));
    s->ny = d.ny;
    s->nx = d.nx;
    XN_GOTO(out, st, open_frames(ctx, config, &d, m, s));
    XN_GOTO(out, st, xn_modules_from_geometry(ctx, config, s));
    XN_GOTO(out, st, xn_scale_load(ctx, config, NAN, s));
    if (strcmp(m->name, XN_PAL_RAYONIX) == 0) s->cal.full = RAYONIX_FULL;
    XN_GOTO(out, st, xn_mask_load(ctx, config, d.file[0], s));
    XN_GOTO(out, st, join(ctx, config, m, &d, &s->shots));
    if (s->shots.missing + s->shots.duplicate > 0)
        xn_note(ctx, "%s: %lld frames; %lld lost by the detector, %lld repeated timestamps", m->name,
                (long long)s->shots.n, (long long)s->shots.missing, (long long)s->shots.duplicate);
out:
    xn_pal_detector_free(&d);
    return st;
}

static void pal_close(xn_source *s)
{
    impl *m = s->impl;
    if (m == NULL) return;
    xn_frames_close(&m->frames);
    xn_pal_files_close(&m->run);
    xn_h5_names_free(m->files);
    xn_free(m);
    s->impl = NULL;
}

static xani_status pal_read(xn_ctx *ctx, xn_source *s, int64_t frame, void *dst, void *scratch)
{
    (void)scratch;
    return xn_frames_read(ctx, ((impl *)s->impl)->frames, frame, dst);
}

static xani_status pal_read_list(xn_ctx *ctx, xn_source *s, const int64_t *frames, int64_t n, void *dst)
{
    return xn_frames_read_list(ctx, ((impl *)s->impl)->frames, frames, n, dst, 1);
}

static const xn_frames *pal_frames(const xn_source *s) { return ((const impl *)s->impl)->frames; }

static const xn_source_ops ops = {.layout = "pal",
                                  .open = pal_open,
                                  .close = pal_close,
                                  .read_frame = pal_read,
                                  .read_frames = pal_read_list,
                                  .frames = pal_frames};

const xn_input_layout xn_layout_pal = {
    .ops = &ops, .facility = "PAL-XFEL", .files = "PAL-XFEL runs", .claims = xn_pal_claims, .facts = xn_pal_facts};
