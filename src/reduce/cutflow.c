// SPDX-License-Identifier: BSD-3-Clause
// cutflow.c -- the cut-flow in words, for the end of a reduction.
//
// Beam times argue about exactly these numbers, so they are printed each time, not only stored: how many shots of each
// class each cut left and removed, and the balance of frames and readings (every frame with an id is a row; readings
// without a frame are counted as lost frames where the detector's rhythm has one due, else as unmatched).
#include <stdio.h>
#include <string.h>

#include "reduce/internal.h"

static int width_of(const char *name) // in characters: bytes that continue a UTF-8 character do not count
{
    int n = 0;
    for (; *name; name++) n += ((unsigned char)*name & 0xc0) != 0x80;
    return n;
}

static int64_t left_of(const xn_cutflow *f, int class, int row)
{
    const int64_t *const left[] = {f->on_left, f->off_left, f->unknown_left};
    return left[class][row];
}

// "1234 (-56)", the removed ones only where there are some.
static void cell(char *text, size_t n, const xn_cutflow *f, int class, int row)
{
    int64_t left = left_of(f, class, row), cut = row > 0 ? left_of(f, class, row - 1) - left : 0;
    if (cut > 0)
        snprintf(text, n, "%lld (-%lld)", (long long)left, (long long)cut);
    else
        snprintf(text, n, "%lld", (long long)left);
}

void xn_cutflow_say(xn_ctx *ctx, const xn_cutflow *f, const xn_shots *s)
{
    if (f->n == 0) return;
    int width = 20, last = f->n - 1;
    bool unknown = f->unknown_left[0] > 0;
    for (int i = 0; i < f->n; i++) width = width_of(f->name[i]) > width ? width_of(f->name[i]) : width;
    xn_note(ctx, "shots left after%*s%20s%20s%s", width - 16, "", "laser on", "laser off",
            unknown ? "       state unknown" : "");
    for (int i = 0; i < f->n; i++) {
        char on[64], off[64], none[64] = "";
        cell(on, sizeof on, f, 0, i);
        cell(off, sizeof off, f, 1, i);
        if (unknown) cell(none, sizeof none, f, 2, i);
        xn_note(ctx, "  %s%*s%20s%20s%*s", f->name[i],
                width - 2 - width_of(f->name[i]) > 0 ? width - 2 - width_of(f->name[i]) : 0, "", on, off,
                unknown ? 20 : 0, none);
    }
    int64_t seen = f->on_left[0] + f->off_left[0] + f->unknown_left[0];
    int64_t used = f->on_left[last] + f->off_left[last];
    xn_note(ctx,
            "%lld frames seen, %lld used, %lld cut; frames lost %lld, repeated ids %lld, readings without a frame %lld",
            (long long)seen, (long long)used, (long long)(seen - used), (long long)s->missing, (long long)s->duplicate,
            (long long)s->unmatched);
}
