// SPDX-License-Identifier: BSD-3-Clause
// virtual.h -- virtual datasets: where their parts really lie.
//
// The library reads a missing source as fill values and success, so sources are looked up here, the way the
// library looks them up: "." is the file itself; else the folder of the file that holds the virtual dataset,
// then the name as it stands.  Names with printf blocks (%b) are left to the library, which is told to stop
// at the first source that is missing.
#ifndef XN_IO_VIRTUAL_H
#define XN_IO_VIRTUAL_H

#include "io/library.h"

typedef struct xn_virtual_source {
    char *path;    // the file found (owned)
    char *dataset; // owned
    bool printf_name;
} xn_virtual_source;

// Source `i` of the virtual dataset with creation properties `created`; missing files are errors.
xani_status xn_virtual_get(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t dataset, hid_t created, size_t i,
                           xn_virtual_source *source);
void xn_virtual_free(xn_virtual_source *source);
// All sources exist and are complete.
xani_status xn_virtual_check(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t dataset, hid_t created);

#endif
