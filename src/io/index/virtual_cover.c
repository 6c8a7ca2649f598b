// SPDX-License-Identifier: BSD-3-Clause
// virtual_cover.c -- which elements of a virtual dataset have a source: where they have none, reading gives fill
// values, which could as well be data.
//
// A mapping's elements are start + i stride + j along each axis (virtual.h); here two axes count, frames and modules.
#include <string.h>

#include "io/h5.h"
#include "io/index/virtual.h"

// Elements of the mapping along axis k, one at a time; false behind the last.
static bool element(const xn_slab *s, int k, int64_t number, int64_t *at)
{
    if (number >= s->count[k] * s->block[k]) return false;
    *at = s->start[k] + number / s->block[k] * s->stride[k] + number % s->block[k];
    return true;
}

static void cover(const xn_slab *s, const xn_h5_info *info, uint8_t *covered)
{
    int64_t i, k;
    for (int64_t a = 0; element(s, 0, a, &i); a++)
        for (int64_t b = 0; element(s, 1, b, &k); b++)
            if (i < info->dims[0] && k < info->dims[1]) covered[i * info->dims[1] + k] = 1;
}

static xani_status cover_all(xn_ctx *ctx, const xn_h5 *file, const char *name, const xn_h5_info *info, uint8_t *covered)
{
    hid_t dataset = H5I_INVALID_HID;
    xn_mappings m = {0};
    XN_TRY(xn_h5_dataset(ctx, file, name, &dataset));
    xani_status st = xn_virtual_mappings(ctx, file, name, dataset, true, &m);
    for (int64_t i = 0; st == XANI_OK && i < m.n; i++) {
        if (m.list[i].irregular)
            st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: a mapping is no regular selection", file->path, name);
        else if (m.list[i].path != NULL)
            cover(&m.list[i].to, info, covered);
    }
    xn_mappings_free(&m);
    H5Oclose(dataset);
    return st;
}

xani_status xn_h5_covered(xn_ctx *ctx, const xn_h5 *file, const char *dataset, uint8_t *covered)
{
    xn_h5_info info;
    XN_TRY(xn_h5_info_get(ctx, file, dataset, &info));
    if (info.is_group || info.rank < 2)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: a dataset of two axes or more is needed", file->path, dataset);
    if (!info.is_virtual) {
        memset(covered, 1, (size_t)(info.dims[0] * info.dims[1]));
        return XANI_OK;
    }
    xn_hdf_guard guard = xn_hdf_enter();
    xani_status st = cover_all(ctx, file, dataset, &info, covered);
    xn_hdf_leave(guard);
    return st;
}
