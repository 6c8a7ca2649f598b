// SPDX-License-Identifier: BSD-3-Clause
// identity.h -- what a result depends on, as one hash; a second run keeps results whose identity is unchanged.
#ifndef XN_IDENTITY_H
#define XN_IDENTITY_H

#include "core/config.h"

typedef struct xn_identity xn_identity;

xani_status xn_identity_create(xn_ctx *ctx, const char *stage, xn_identity **identity);
void xn_identity_destroy(xn_identity **identity);
void xn_identity_add(xn_identity *identity, const char *text);
// The value of a configuration key (and all below it), as set.
xani_status xn_identity_add_key(xn_ctx *ctx, xn_identity *identity, const xn_config *config, const char *key);
// Path, size and modification time; a missing file counts as such.
void xn_identity_add_file(xn_identity *identity, const char *path);
// 32 hexadecimal digits; owned by the caller.
xani_status xn_identity_text(xn_ctx *ctx, const xn_identity *identity, char **text);

// Of the stages: what the cube of one run (index in runs[], -1 for none) depends on, the modes of a cube, and the
// dispersion of the modes named by their identities (NULL-terminated). Owned by the caller.
xani_status xn_identity_reduce(xn_ctx *ctx, const xn_config *config, int run, char *const *inputs, char **text);
xani_status xn_identity_fit(xn_ctx *ctx, const xn_config *config, const char *cube_id, char **text);
xani_status xn_identity_map(xn_ctx *ctx, const xn_config *config, const char *const *modes_ids, char *const *inputs,
                            char **text);

// inputs.c: all files that the cube of one run depends on, its own first; these modes (NULL-terminated) and all files
// beside them that their dispersion depends on. Owned, NULL-terminated (xn_h5_names_free).
xani_status xn_inputs_find(xn_ctx *ctx, const xn_config *config, int run, char ***inputs);
xani_status xn_inputs_map(xn_ctx *ctx, const xn_config *config, const char *const *modes, char ***inputs);
// Before the work begins: XANI_ERR_USAGE when the output is one of the inputs (NULL-terminated), a file behind them
// (of virtual datasets and links), the configuration (NULL: there is none) or a file that one of its keys names, or any
// other file than an earlier result of this kind (XN_RESULT_...); XANI_ERR_OUTPUT when its folder cannot be written to.
xani_status xn_inputs_spare(xn_ctx *ctx, const char *output, const char *kind, const xn_config *config,
                            const char *const *inputs);
// The same of a command whose input is one cube: both halves of a field cube.
xani_status xn_inputs_spare_cube(xn_ctx *ctx, const char *output, const char *kind, const xn_config *config,
                                 const char *cube);
// The last of these alone: XANI_ERR_USAGE when another file has the name than an earlier result of this kind.
xani_status xn_output_replaces(xn_ctx *ctx, const char *output, const char *kind);

#endif
