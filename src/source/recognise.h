// SPDX-License-Identifier: BSD-3-Clause
// recognise.h -- what files are, without a configuration: `xani info` and `xani init`.
#ifndef XN_SOURCE_RECOGNISE_H
#define XN_SOURCE_RECOGNISE_H

#include "core/core.h"

// Layout, shots, on/off, delays, detector, filters, gaps of the files (folders are searched), as JSON. Owned by the
// caller (xn_free).  XANI_ERR_INPUT when none of them is of a known layout.
xani_status xn_source_info(xn_ctx *ctx, const char *const *paths, size_t n, char **json);
// A commented configuration for the files, as YAML; what no file can know is left empty and marked "FILL IN".
xani_status xn_source_init(xn_ctx *ctx, const char *const *paths, size_t n, char **yaml);

// The detector of geometry.*, with its panels as rectangles, as JSON.
xani_status xn_source_detector(xn_ctx *ctx, const xani_config *config, char **json);

#endif
