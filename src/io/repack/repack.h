// SPDX-License-Identifier: BSD-3-Clause
// repack.h -- HDF5 files of any kind rewritten for fast reading; see repack.c.
#ifndef XN_IO_REPACK_H
#define XN_IO_REPACK_H

#include <jansson.h>

#include "core/core.h"
#include "xani/repack.h"

// answer: what was done, or with options->dry_run what would be (owned).
xani_status xn_repack(xn_ctx *ctx, const char *const *inputs, size_t n_inputs, const char *output,
                      const xani_repack_options *options, json_t **answer);

#endif
