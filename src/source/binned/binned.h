// SPDX-License-Identifier: BSD-3-Clause
// binned.h -- cubes whose shots were binned before, for all layouts that hold such: pairs of files, their planes added
// to one cube.
//
// Private to src/source.  A layout reads its own small datasets into parts; which bins of several cubes belong together
// says `place` (bins.c), the delay that comes out is the mean over their shots.
#ifndef XN_SOURCE_BINNED_H
#define XN_SOURCE_BINNED_H

#include "source/layout.h"

// ---- pairs.c: "x_on.h5" and "x_off.h5"

typedef struct xn_pair {
    char *on, *off; // owned
} xn_pair;

// The pairs that the files belong to: either half, or both, may be listed. layout, example: for messages.
xani_status xn_pairs_find(xn_ctx *ctx, char *const *files, const char *layout, const char *example, xn_pair **pairs,
                          int *n);
void xn_pairs_free(xn_pair **pairs, int n);
// The other half of a file named as half of a pair, where it is there; owned, else NULL.
xani_status xn_pairs_other(xn_ctx *ctx, const char *path, char **other);
// XANI_ERR_INPUT where the file, or the other half of its pair, is one that is still being written.
xani_status xn_pairs_finished(xn_ctx *ctx, const char *path);

// ---- binned.c

typedef struct xn_binned_part {
    char *path, *dataset; // owned; sums of frames: planes of ny x nx one after the other
    bool off;             // laser-off: all its bins make one reference
    int64_t bins;         // planes
    int64_t per_row;      // planes that a row of the dataset holds; 0: the dataset is one plane without an axis of bins
    int64_t plane_rows;   // and has so many rows
    int64_t block;        // rows read at once
    double *place_ps;     // (bins) corrected delay that tells the same bin of all cubes; NULL: off
    double *delay_ps;     // (bins) corrected mean delay of its shots; NULL: as place_ps
    int *bin;             // (bins) of the whole (xn_binned_join); NULL: off
    double *i0, *count;   // (bins) sum of the monitor over the frames of the bin, frames; 0: empty (xn_binned_finish)
} xn_binned_part;

typedef struct xn_binned {
    int n;
    xn_binned_part *part;
    int nbins;
    double *place_ps;   // of the whole, ascending
    double *shots;      // (nbins) laser-on, with an I0
    double *background; // (ny, nx) subtracted for every frame of a bin; NULL: none
} xn_binned;

// A new part at the end; NULL: no memory (told). It belongs to b at once.
xn_binned_part *xn_binned_add(xn_ctx *ctx, const char *path, const char *dataset, bool off, xn_binned *b);
// Looks at the dataset of sums: axes before the last two or more count bins. lead: so many of them; shape in s, which
// all parts must have, modules where the frames have three axes.
xani_status xn_binned_shape(xn_ctx *ctx, const xn_h5 *h5, int lead, xn_binned_part *part, xn_source *s);
// ---- a source whose impl is an xn_binned

xani_status xn_binned_start(xn_ctx *ctx, xn_source *s, xn_binned **b);
// After the last part: bins of the whole, modules, masks, s->binned. used: keys that this layout reads, NULL at the
// end. XANI_ERR_INPUT where no bin of a class has both shots and I0.
xani_status xn_binned_finish(xn_ctx *ctx, const xn_config *config, const char *const *used, xn_source *s);
void xn_binned_close(xn_source *s);
xani_status xn_binned_read(xn_ctx *ctx, xn_source *s, xn_cube *cube);
// Seconds that reading all planes takes, from the first few.
xani_status xn_binned_probe(xn_ctx *ctx, xn_source *s, double *seconds);

// ---- bins.c: bins of the whole, and in each part which of them its own are; tells what stays side by side

xani_status xn_binned_join(xn_ctx *ctx, xn_binned *b);

// ---- grouping.c: s->grouped and its modules, from the files, input.grouped and the geometry

xani_status xn_binned_grouping(xn_ctx *ctx, const xn_config *config, xn_source *s);

// ---- keys.c: warns of every given key of input, select and reduce that neither `used` nor all cubes have a use for

void xn_binned_say_ignored(xn_ctx *ctx, const xn_config *config, const char *const *used);

#endif
