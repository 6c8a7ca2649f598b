// SPDX-License-Identifier: BSD-3-Clause
// mask.c -- pixels that NXmx calls invalid, and stored values that are no data (formats.md 2, 5).
//
// A pixel is out when the low 16 bits of its mask are not 0: gap, dead, under- or over-responding, noisy, undefined,
// cluster, ..., user; bit 31 marks a virtual pixel, which counts.  pixel_mask, pixel_mask_1, ... are OR-ed, as is the
// mask of the channel that is read; old masters keep theirs in detectorSpecific.  Plain NeXus files are read alike
// where they have such a detector.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "source/nexus/nexus.h"

#define VALID_BITS 0xFFFFu

static xani_status or_mask(xn_ctx *ctx, const xn_h5 *h5, const char *dataset, const xn_nx_run *run, xn_source *s)
{
    xn_h5_info info;
    char shape[128];
    int64_t *bits = NULL, n = 0;
    XN_TRY(xn_h5_info_get(ctx, h5, dataset, &info));
    bool whole = !info.is_group && xn_is_number(info.type) && info.type != XN_F32 && info.type != XN_F64;
    if (!whole || info.size != run->ny * run->nx || info.rank < 2 || info.dims[info.rank - 1] != run->nx)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s is %s %s; the frames have (%lld, %lld) pixels", xn_h5_path(h5),
                       dataset, info.is_group ? "a group" : xn_type_name(info.type),
                       xn_shape_text(shape, info.is_group ? 0 : info.rank, info.dims), (long long)run->ny,
                       (long long)run->nx);
    XN_TRY(xn_h5_read_i64(ctx, h5, dataset, &bits, &n));
    for (int64_t i = 0; i < n; i++) s->mask[i] |= (uint32_t)bits[i] & VALID_BITS;
    xn_free(bits);
    return XANI_OK;
}

static bool is_mask(const char *name)
{
    return strcmp(name, "pixel_mask") == 0 || (strncmp(name, "pixel_mask_", 11) == 0 && name[11] != '\0' &&
                                               strspn(name + 11, "0123456789") == strlen(name + 11));
}

// All masks of a group; *n counts them.
static xani_status masks_of(xn_ctx *ctx, const xn_h5 *h5, const char *group, const xn_nx_run *run, xn_source *s, int *n)
{
    char **names = NULL, path[2 * XN_KEY_LENGTH];
    if (!xn_h5_exists(h5, group)) return XANI_OK;
    XN_TRY(xn_h5_names(ctx, h5, group, &names));
    xani_status st = XANI_OK;
    for (int i = 0; st == XANI_OK && names[i] != NULL; i++) {
        if (!is_mask(names[i])) continue;
        snprintf(path, sizeof path, "%s/%s", group, names[i]);
        st = or_mask(ctx, h5, path, run, s);
        ++*n;
    }
    xn_h5_names_free(names);
    return st;
}

xani_status xn_nx_mask(xn_ctx *ctx, const xn_nx_run *run, xn_source *s)
{
    xn_h5 *h5 = NULL;
    char detector[XN_KEY_LENGTH], below[3 * XN_KEY_LENGTH];
    int n = 0;
    xani_status st = XANI_OK;
    if (s->mask == NULL) s->mask = xn_calloc((size_t)(run->ny * run->nx), sizeof *s->mask);
    if (s->mask == NULL) return xn_fail_memory(ctx, "the mask", (size_t)(run->ny * run->nx) * sizeof *s->mask);
    XN_TRY(xn_h5_open(ctx, run->file[0], &h5));
    XN_GOTO(out, st, xn_nx_detector(ctx, h5, detector));
    if (detector[0] == '\0') goto out;
    XN_GOTO(out, st, masks_of(ctx, h5, detector, run, s, &n));
    if (run->channel_name[0] != '\0') {
        snprintf(below, sizeof below, "%s/%s_channel", detector, run->channel_name);
        XN_GOTO(out, st, masks_of(ctx, h5, below, run, s, &n));
    }
    snprintf(below, sizeof below, "%s/detectorSpecific", detector);
    if (n == 0) XN_GOTO(out, st, masks_of(ctx, h5, below, run, s, &n));
out:
    xn_h5_close(&h5);
    return st;
}

xani_status xn_nx_limits(xn_ctx *ctx, xn_nx_run *run)
{
    xn_h5 *h5 = NULL;
    char detector[XN_KEY_LENGTH], path[XN_KEY_LENGTH + 32];
    double *value = NULL, most = xn_nx_largest(run->type);
    int64_t n = 0;
    run->limited = run->nxmx && isfinite(most);
    if (!run->limited) return XANI_OK;
    bool is_signed = run->type == XN_I8 || run->type == XN_I16 || run->type == XN_I32 || run->type == XN_I64;
    run->highest = nextafter(most, 0.0); // 64-bit numbers have no neighbour nearer than this
    run->lowest = is_signed ? nextafter(-most, 0.0) : 0.0;
    if (xn_type_size(run->type) < 8) {
        run->highest = most - 1.0;
        run->lowest = is_signed ? -most : 0.0; // the least number is one below
    }
    xani_status st;
    XN_TRY(xn_h5_open(ctx, run->file[0], &h5));
    XN_GOTO(out, st, xn_nx_detector(ctx, h5, detector));
    snprintf(path, sizeof path, "%s/saturation_value", detector);
    if (detector[0] == '\0' || !xn_h5_exists(h5, path)) goto out;
    XN_GOTO(out, st, xn_h5_read_f64(ctx, h5, path, &value, &n));
    if (n > 0 && value[0] > 0.0) run->highest = fmin(run->highest, value[0]);
out:
    xn_free(value);
    xn_h5_close(&h5);
    return st;
}
