// SPDX-License-Identifier: BSD-3-Clause
// merge_shots.c -- one shot table and one cut-flow of two.
//
// Both tables are in the order of pulse ids and so is the result.  A pulse id that both have means that shots would be
// counted twice: refused.  Frame numbers of the second table are counted on from the frames of the first's source, as
// they would be if its files were read after those; parts of one source (input.part) already count in common, which
// shows in their number of frames: it is 0 but in the last part.
#include <math.h>
#include <string.h>

#include "reduce/merge.h"

static void copy_row(xn_shots *to, int64_t i, const xn_shots *from, int64_t k, int64_t frames)
{
    to->pulse_id[i] = from->pulse_id[k];
    to->frame[i] = from->frame[k] + frames;
    to->laser[i] = from->laser[k];
    to->i0[i] = from->i0[k];
    to->delay_ps[i] = from->delay_ps[k];
    to->bin[i] = from->bin[k];
    to->verdict[i] = from->verdict[k];
    for (int e = 0; e < to->n_extra; e++) to->extra[e][i] = from->extra[e][k];
}

// rms of all: weighted by the number of shots. Unknown where one is unknown.
static double joint_resolution(const xn_shots *a, const xn_shots *b)
{
    double x = a->time_resolution_ps, y = b->time_resolution_ps;
    if (x == y || !isfinite(x) || !isfinite(y)) return isfinite(y) ? x : y;
    return sqrt((x * x * (double)a->n + y * y * (double)b->n) / (double)(a->n + b->n));
}

xani_status xn_merge_tables(xn_ctx *ctx, const xn_merge *m, const xn_shots *b, const char *name, xn_shots *t)
{
    const xn_shots *a = &m->sum.shots;
    XN_TRY(xn_shots_alloc(ctx, a->n + b->n, a->n_extra, t));
    xani_status st = XANI_OK;
    for (int e = 0; e < a->n_extra && st == XANI_OK; e++)
        if ((t->extra_name[e] = xn_strdup(a->extra_name[e])) == NULL) st = xn_fail_memory(ctx, "a name", 64);
    for (int64_t i = 0, k = 0; st == XANI_OK && i + k < t->n;) {
        bool both = i < a->n && k < b->n;
        if (both && a->pulse_id[i] == b->pulse_id[k])
            st = xn_fail(
                ctx, XANI_ERR_INPUT,
                "%s and %s cannot be merged: shot %llu is in both; where ids only count the frames of a file, leave "
                "input.ids out, and merge the parts of each run first",
                m->first, name, (unsigned long long)a->pulse_id[i]);
        else if (both ? a->pulse_id[i] < b->pulse_id[k] : i < a->n) {
            copy_row(t, i + k, a, i, 0);
            i++;
        } else {
            copy_row(t, i + k, b, k, a->frames);
            k++;
        }
    }
    if (st != XANI_OK) {
        xn_shots_free(t);
        return st;
    }
    t->frames = a->frames + b->frames;
    t->missing = a->missing + b->missing;
    t->duplicate = a->duplicate + b->duplicate;
    t->unmatched = a->unmatched + b->unmatched;
    t->time_resolution_ps = joint_resolution(a, b);
    return XANI_OK;
}

void xn_merge_cutflow(xn_cutflow *sum, const xn_cutflow *add)
{
    for (int i = 0; i < sum->n; i++) {
        sum->on_left[i] += add->on_left[i];
        sum->off_left[i] += add->off_left[i];
        sum->unknown_left[i] += add->unknown_left[i];
    }
}
