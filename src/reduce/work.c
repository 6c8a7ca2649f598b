// SPDX-License-Identifier: BSD-3-Clause
// work.c -- the list of used shots in reading order, with their I0 in fixed point (fixed_point.c) and blocks of time.
//
// Slow drift (reduce.off.mode): each laser-on shot is compared with the laser-off shots of its own block of time.
//   blocks   consecutive used shots: block_shots of them, more where fewer than half the laser-off shots that the
//            run's average would give (and two at least) are among them; a short rest joins the last block
//   nearest  consecutive groups of block_shots laser-off shots; a laser-on shot belongs to the group whose mean
//            pulse id, or time where ids tell that, is nearest
// Shots are read block by block, within a block in the order of storage.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reduce/internal.h"

#define UNEVEN 4.0 // blocks with more laser-on shots than this many times the usual are worth a warning

void xn_work_free(xn_work *work)
{
    xn_free(work->shots);
    memset(work, 0, sizeof *work);
}

static int by_block_then_frame(const void *a, const void *b)
{
    const xn_work_shot *x = a, *y = b;
    if (x->block != y->block) return (x->block > y->block) - (x->block < y->block);
    return (x->frame > y->frame) - (x->frame < y->frame);
}

// Blocks of consecutive shots; the list is still in the order of pulse ids.
static void mark_blocks(xn_work *w, int64_t block_shots)
{
    int64_t in_block = 0, off = 0, begin = 0, all_off = 0;
    int block = 0;
    for (int64_t i = 0; i < w->n; i++) all_off += w->shots[i].bin < 0;
    int64_t need = (int64_t)fmax(2, 0.5 * (double)block_shots * (double)all_off / (double)w->n);
    for (int64_t i = 0; i < w->n; i++) {
        if (in_block >= block_shots && off >= need) {
            block++;
            begin = i;
            in_block = off = 0;
        }
        w->shots[i].block = block;
        in_block++;
        off += w->shots[i].bin < 0;
    }
    if (block > 0 && (off < need || 2 * in_block < block_shots)) {
        block--;
        for (int64_t i = begin; i < w->n; i++) w->shots[i].block = block;
    }
    w->n_blocks = block + 1;
}

static uint64_t time_of(const xn_shots *s, const xn_work_shot *shot)
{
    return s->clock != NULL ? s->clock(shot->pulse_id) : shot->pulse_id;
}

static xani_status mark_nearest(xn_ctx *ctx, const xn_shots *s, xn_work *w, int64_t block_shots)
{
    int64_t n_off = 0;
    for (int64_t i = 0; i < w->n; i++) n_off += w->shots[i].bin < 0;
    int64_t blocks = n_off / block_shots + (2 * (n_off % block_shots) >= block_shots);
    if (blocks < 1) blocks = 1;
    double *centre = xn_calloc((size_t)blocks, sizeof *centre);
    int64_t *count = xn_calloc((size_t)blocks, sizeof *count);
    if (centre == NULL || count == NULL) {
        xn_free(centre);
        xn_free(count);
        return xn_fail_memory(ctx, "the blocks of laser-off shots", (size_t)blocks * 16);
    }
    uint64_t origin = time_of(s, &w->shots[0]);
    int64_t seen = 0;
    for (int64_t i = 0; i < w->n; i++) {
        if (w->shots[i].bin >= 0) continue;
        int64_t b = xn_min64(seen++ / block_shots, blocks - 1);
        w->shots[i].block = (int32_t)b;
        centre[b] += (double)(time_of(s, &w->shots[i]) - origin);
        count[b]++;
    }
    for (int64_t b = 0; b < blocks; b++) centre[b] /= (double)count[b];
    for (int64_t i = 0, b = 0; i < w->n; i++) {
        double at = (double)(time_of(s, &w->shots[i]) - origin);
        while (b + 1 < blocks && fabs(centre[b + 1] - at) < fabs(centre[b] - at)) b++;
        if (w->shots[i].bin >= 0) w->shots[i].block = (int32_t)b;
    }
    w->n_blocks = (int)blocks;
    xn_free(centre);
    xn_free(count);
    return XANI_OK;
}

static xani_status mark_time(xn_ctx *ctx, const xn_config *config, const xn_shots *s, xn_work *w)
{
    const char *mode = xn_config_string(config, "reduce.off.mode");
    w->n_blocks = 1;
    w->blockwise = strcmp(mode, "all") != 0;
    if (!w->blockwise) return XANI_OK;
    XN_TRY(xn_config_require(ctx, config, "reduce.off.block_shots", "off.mode blocks and nearest need it"));
    int64_t block_shots = xn_config_int(config, "reduce.off.block_shots");
    if (strcmp(mode, "nearest") == 0) return mark_nearest(ctx, s, w, block_shots);
    mark_blocks(w, block_shots);
    return XANI_OK;
}

xani_status xn_work_say(xn_ctx *ctx, const xn_config *config, const xn_work *w)
{
    if (!w->blockwise) return XANI_OK;
    int64_t off = 0, most = 0, *on = xn_calloc((size_t)w->n_blocks, sizeof *on);
    if (on == NULL) return xn_fail_memory(ctx, "the blocks of time", (size_t)w->n_blocks * sizeof *on);
    for (int64_t i = 0; i < w->n; i++) {
        off += w->shots[i].bin < 0;
        on[w->shots[i].block] += w->shots[i].bin >= 0;
    }
    for (int b = 0; b < w->n_blocks; b++) most = xn_max64(most, on[b]);
    xn_free(on);
    double size = (double)xn_config_int(config, "reduce.off.block_shots");
    bool nearest = strcmp(xn_config_string(config, "reduce.off.mode"), "nearest") == 0;
    double usual = size * (double)(w->n - off) / (double)(nearest ? off : w->n);
    if ((double)most > UNEVEN * fmax(usual, 1.0))
        xn_warn(
            ctx,
            "reduce.off: the laser-off shots are unevenly spread: %lld laser-on shots share those of one block, where "
            "%.0f would be usual; drift is not removed there",
            (long long)most, usual);
    xn_note(ctx, "reduce.off.mode %s: %d blocks of time", xn_config_string(config, "reduce.off.mode"), w->n_blocks);
    return XANI_OK;
}

xani_status xn_work_make(xn_ctx *ctx, const xn_config *config, const xn_shots *s, int nbins, xn_work *w)
{
    memset(w, 0, sizeof *w);
    int64_t used = 0;
    const char *i0 = xn_config_string(config, "input.i0");
    XN_TRY(xn_context(ctx,
                      xn_fixed_point_of(ctx, s, nbins, (int)xn_config_int(config, "reduce.spatial_bin"), &w->fixed),
                      "input.i0 (%s)", i0 != NULL ? i0 : "default"));
    for (int64_t i = 0; i < s->n; i++) used += s->verdict[i] == XN_CUT_NONE;
    w->shots = xn_alloc((size_t)used, sizeof *w->shots);
    if (w->shots == NULL) return xn_fail_memory(ctx, "the list of shots", (size_t)used * sizeof *w->shots);
    for (int64_t i = 0; i < s->n; i++)
        if (s->verdict[i] == XN_CUT_NONE)
            w->shots[w->n++] = (xn_work_shot){.frame = s->frame[i],
                                              .row = i,
                                              .pulse_id = s->pulse_id[i],
                                              .bin = s->bin[i],
                                              .i0q = xn_i0_fixed(s->i0[i], w->fixed.i0_scale)};
    xani_status st = mark_time(ctx, config, s, w);
    if (st != XANI_OK) {
        xn_work_free(w);
        return st;
    }
    qsort(w->shots, (size_t)w->n, sizeof *w->shots, by_block_then_frame);
    return XANI_OK;
}
