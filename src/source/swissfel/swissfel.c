// SPDX-License-Identifier: BSD-3-Clause
// swissfel.c -- the reader of SwissFEL runs: raw or converted JUNGFRAU frames with their channels.
//
// Any of the files may hold frames of the detector or channels (formats.md 1.5); files of several
// acquisitions follow one another in the order of their names.  The configuration is checked before any
// file is opened.
#include "source/swissfel/swissfel.h"

#include <stdio.h>
#include <string.h>

#include "source/source.h"

typedef struct {
    char **files;
    char name[XN_KEY_LENGTH]; // of the detector
    xn_frames *frames;
} impl;

// input.frames, or the only JUNGFRAU there is, or the only stack of images.
static xani_status find_detector(xn_ctx *ctx, const xn_config *config, impl *m)
{
    const char *given = xn_config_string(config, "input.frames");
    if (given != NULL) {
        snprintf(m->name, sizeof m->name, "%s", given);
        return XANI_OK;
    }
    bool several = false;
    for (int i = 0; m->files[i] != NULL; i++) {
        xn_h5 *h5 = NULL;
        char **names = NULL;
        XN_TRY(xn_h5_open(ctx, m->files[i], &h5));
        xani_status st = xn_sf_names(ctx, h5, &names);
        for (int j = 0; st == XANI_OK && names[j] != NULL; j++) {
            if (strcmp(names[j], m->name) == 0 || !xn_sf_is_detector(ctx, h5, names[j])) continue;
            bool jungfrau = xn_sf_is_jungfrau(names[j]), before = xn_sf_is_jungfrau(m->name);
            if (m->name[0] != '\0' && before && !jungfrau) continue; // a camera beside it
            several = m->name[0] != '\0' && jungfrau == before;
            snprintf(m->name, sizeof m->name, "%s", names[j]);
        }
        xn_h5_names_free(names);
        xn_h5_close(&h5);
        if (st != XANI_OK) return st;
    }
    if (several)
        return xn_context(ctx, xn_config_require(ctx, config, "input.frames", "there are several detectors"),
                          "%s is one", m->name);
    if (m->name[0] != '\0') return XANI_OK;
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: neither it nor any other input file holds frames of a detector",
                   m->files[0]);
}

// input.scan, or the scan.json that belongs to the files; scan->path NULL: none.
static xani_status open_scan(xn_ctx *ctx, const xn_config *config, const impl *m, xn_sf_scan *scan)
{
    memset(scan, 0, sizeof *scan);
    bool given = xn_config_has(config, "input.scan");
    char *path = given ? xn_config_path(config, "input.scan") : NULL;
    if (!given) XN_TRY(xn_sf_scan_beside(ctx, m->files[0], &path));
    if (given && path == NULL) return xn_fail_memory(ctx, "input.scan", 1);
    if (path == NULL) return XANI_OK;
    xani_status st = xn_sf_scan_open(ctx, path, scan);
    if (st != XANI_OK) xn_sf_scan_close(scan);
    if (st == XANI_ERR_INPUT && !given) { // not asked for
        xn_warn(ctx, "%s: is no scan of a run; scan/... readings are not there", path);
        xn_clear_error(ctx);
        st = XANI_OK;
    }
    xn_free(path);
    return xn_context(ctx, st, "input.scan");
}

static xani_status open_frames(xn_ctx *ctx, const xn_config *config, const xn_sf_detector *d, impl *m, xn_source *s)
{
    xn_array_options how = {.reader = xn_config_string(config, "engine.reader"),
                            .depth = (int)xn_config_int(config, "engine.read_depth")};
    char dataset[XN_KEY_LENGTH + 8];
    snprintf(dataset, sizeof dataset, "%s/data", d->group);
    XN_TRY(xn_frames_open(ctx, (const char *const *)d->file, d->n_files, dataset, &how, &m->frames));
    const xn_frames_info *info = xn_frames_get_info(m->frames);
    if (info->n != d->n || info->h != d->ny || info->w != d->nx)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s changed while it was opened", d->file[0], dataset);
    s->type = info->type;
    s->stored_bytes = info->stored_bytes;
    s->together = info->together;
    return XANI_OK;
}

// Verdict and laser state of each frame by itself.
static void frame_states(const xn_sf_detector *d, uint8_t *refused, uint8_t *laser)
{
    for (int64_t i = 0; i < d->n; i++) {
        uint64_t bits = d->daq_rec[i];
        bool known = d->has_daq_rec && !d->daq_mixed[i];
        laser[i] = !known ? XN_LASER_UNKNOWN : bits & XN_DAQ_LASER ? XN_LASER_ON : XN_LASER_OFF;
        refused[i] = !d->good[i] ? XN_CUT_BAD_FRAME : XN_CUT_NONE;
    }
}

static xani_status join(xn_ctx *ctx, const xn_config *config, char *const *files, const xn_sf_detector *d,
                        const xn_sf_scan *scan, xn_shots *shots)
{
    xn_laser_rule rule = {0};
    xn_sf_input channels = {files, d, scan->path != NULL ? scan : NULL};
    uint8_t *state = xn_alloc((size_t)d->n, 2);
    xani_status st;
    if (state == NULL) return xn_fail_memory(ctx, "the list of frames", (size_t)d->n * 2);
    frame_states(d, state, state + d->n);
    XN_GOTO(out, st, xn_sf_laser(ctx, config, files, &rule));
    if (rule.by_frame && !d->has_daq_rec) {
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: there is no %s/daq_rec, which input.laser: daq_rec needs", d->file[0],
                     d->group);
        goto out;
    }
    for (int64_t i = 0; rule.by_frame && i < d->n; i++)
        if (state[i] == XN_CUT_NONE && !d->daq_mixed[i] && d->daq_rec[i] & XN_DAQ_DARK) state[i] = XN_CUT_DARK;
    xn_join_input in = {.detector = d->name,
                        .file = d->file[0],
                        .ids = "pulse ids",
                        .n = d->n,
                        .id = d->pulse_id,
                        .refused = state,
                        .laser = state + d->n,
                        .rule = &rule,
                        .read = xn_sf_read_channel,
                        .read_traces = xn_sf_read_traces,
                        .user = &channels};
    st = xn_join(ctx, config, &in, shots);
out:
    xn_laser_rule_free(&rule);
    xn_free(state);
    return st;
}

static xani_status swissfel_open(xn_ctx *ctx, const xn_config *config, int run, xn_source *s)
{
    XN_TRY(xn_join_check(ctx, config, XN_SF_LASER_WORDS));
    impl *m = s->impl = xn_calloc(1, sizeof *m);
    if (m == NULL) return xn_fail_memory(ctx, "the source", sizeof *m);
    XN_TRY(xn_source_files(ctx, config, run, &m->files));
    XN_TRY(find_detector(ctx, config, m));
    xn_sf_detector d;
    xn_sf_scan scan = {0};
    int64_t *physical = NULL;
    xani_status st;
    XN_TRY(xn_sf_detector_read(ctx, m->files, m->name, &d));
    s->ny = d.ny;
    s->nx = d.nx;
    XN_GOTO(out, st, open_frames(ctx, config, &d, m, s));
    XN_GOTO(out, st, xn_sf_modules(ctx, config, &d, s, &physical));
    XN_GOTO(out, st, xn_sf_calibration(ctx, config, &d, physical, s));
    XN_GOTO(out, st, xn_mask_load(ctx, config, m->files[0], s));
    XN_GOTO(out, st, open_scan(ctx, config, m, &scan));
    XN_GOTO(out, st, join(ctx, config, m->files, &d, &scan, &s->shots));
    if (s->shots.missing + s->shots.duplicate > 0)
        xn_note(ctx, "%s: %lld frames; %lld lost by the detector, %lld repeated pulse ids", m->name,
                (long long)s->shots.n, (long long)s->shots.missing, (long long)s->shots.duplicate);
out:
    xn_free(physical);
    xn_sf_scan_close(&scan);
    xn_sf_detector_free(&d);
    return st;
}

static void swissfel_close(xn_source *s)
{
    impl *m = s->impl;
    if (m == NULL) return;
    xn_frames_close(&m->frames);
    xn_h5_names_free(m->files);
    xn_free(m);
    s->impl = NULL;
}

static xani_status swissfel_read(xn_ctx *ctx, xn_source *s, int64_t frame, void *dst, void *scratch)
{
    (void)scratch;
    return xn_frames_read(ctx, ((impl *)s->impl)->frames, frame, dst);
}

static xani_status swissfel_read_list(xn_ctx *ctx, xn_source *s, const int64_t *frames, int64_t n, void *dst)
{
    return xn_frames_read_list(ctx, ((impl *)s->impl)->frames, frames, n, dst, 1);
}

static const xn_frames *swissfel_frames(const xn_source *s) { return ((const impl *)s->impl)->frames; }

static const xn_source_ops ops = {
    .layout = "swissfel",
    .open = swissfel_open,
    .close = swissfel_close,
    .read_frame = swissfel_read,
    .read_frames = swissfel_read_list,
    .frames = swissfel_frames,
};

const xn_input_layout xn_layout_swissfel = {
    .ops = &ops,
    .facility = "SwissFEL",
    .stage_unit = "mm",
    .stage_ps = XN_STAGE_PS_PER_MM,
    .files = "SwissFEL runs",
    .claims = xn_sf_claims,
    .facts = xn_sf_facts,
    .init_calibration = xn_sf_init_calibration,
};
