// SPDX-License-Identifier: BSD-3-Clause
// virtual.h -- virtual datasets: where their parts really lie.
//
// The library reads a missing source as fill values and success, so sources are looked up here, the way the
// library looks them up: "." is the file itself; else an absolute name as it stands, the folders of HDF5_VDS_PREFIX,
// the folder of the file that holds the virtual dataset, the working folder, and the folder that file really lies in.
// Names with printf blocks (%b) and unlimited selections are worked out against the extent of the virtual dataset and
// of its sources as the library does with its defaults: the last data there are set the extent, a series of blocks
// ends at the first one missing.
#ifndef XN_IO_VIRTUAL_H
#define XN_IO_VIRTUAL_H

#include "io/library.h"

// All sources exist, are complete and reach as far as they are mapped.
xani_status xn_virtual_check(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t dataset);

// A regular selection: along axis k the elements start + i stride + j, i < count, j < block. As simple as can be:
// blocks that touch are one; stride is block where there is one.
typedef struct xn_slab {
    int rank;
    int64_t start[XANI_MAX_RANK], stride[XANI_MAX_RANK], count[XANI_MAX_RANK], block[XANI_MAX_RANK];
} xn_slab;

bool xn_slab_inside(const xn_slab *s, int rank, const int64_t *dims); // it does not reach beyond an extent

// Elements `from` of the source are, in C order, elements `to` of the virtual dataset.
typedef struct xn_mapping {
    char *path;    // the file found (owned); NULL: missing, and the caller wanted fill values; what an earlier mapping
                   // gives for the same elements stays
    char *dataset; // owned
    xn_slab to, from; // of equally many elements
    bool irregular;   // not a regular selection: the library has to read it; to and from are not set
} xn_mapping;

typedef struct xn_mappings {
    xn_mapping *list;
    int64_t n;
} xn_mappings;

// All mappings with known extents, in the order in which they count (where two overlap the library's answer is that of
// the later one).  fill: missing sources are no error.  Files are looked up, not opened (but where a selection depends
// on the source): whether a source reaches as far as its mapping is for its reader to see.  Inside enter/leave.
xani_status xn_virtual_mappings(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t dataset, bool fill,
                                xn_mappings *mappings);
void xn_mappings_free(xn_mappings *mappings);

#endif
