// SPDX-License-Identifier: BSD-3-Clause
// source.h -- opens the reader of the configured layout.
//
// A layout is its own folder (its xn_input_layout) and one line in source.c.  Everything site-specific is
// configuration.
#ifndef XN_SOURCE_SOURCE_H
#define XN_SOURCE_SOURCE_H

#include "data/source.h"

// Opens the layout that input.layout names. run: index into runs[], -1 when there is no runs list.
xani_status xn_source_open(xn_ctx *ctx, const xn_config *config, int run, xn_source **s);
void xn_source_close(xn_source **s);
int xn_source_runs(const xn_config *config);           // number of runs; 0 when there is no runs list
bool xn_source_angles_by_run(const xn_config *config); // any run has angles of its own
// Files of a run: globs expanded, sorted, absolute. Owned strings, NULL-terminated (xn_h5_names_free).
xani_status xn_source_files(xn_ctx *ctx, const xn_config *config, int run, char ***files);
// Those of one name or glob, an element of such a list: "dark.runs[0].files[1]".
xani_status xn_source_named(xn_ctx *ctx, const xn_config *config, const char *key, char ***files);
// input.layout is one of cubes whose shots were binned before; false where it is none that is known.
bool xn_source_is_binned(const xn_config *config);
// The other half x_off.h5 of a cube in two files x_on.h5, or the reverse; owned, NULL where there is none.
xani_status xn_source_partner(xn_ctx *ctx, const xn_config *config, const char *file, char **other);
// The same of a file that is named as a half, whatever its layout.
xani_status xn_source_half(xn_ctx *ctx, const char *file, char **other);

#endif
