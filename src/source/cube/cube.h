// SPDX-License-Identifier: BSD-3-Clause
// cube.h -- the parts of the reader of field cubes. Private to src/source/cube.
#ifndef XN_SOURCE_CUBE_H
#define XN_SOURCE_CUBE_H

#include "source/layout.h"

// ---- cube.c

// Shots of each bin, by either name; owned. By both where they agree.
xani_status xn_cube_counts(xn_ctx *ctx, const xn_h5 *h5, double **count, int64_t *n);

// ---- facts.c

bool xn_cube_claims(xn_ctx *ctx, const xn_h5 *h5, const char *path, char *key, size_t bytes);
xani_status xn_cube_facts_read(xn_ctx *ctx, const struct xn_found_run *run, struct xn_run_facts *facts);

#endif
