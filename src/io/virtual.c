// SPDX-License-Identifier: BSD-3-Clause
// virtual.c -- see virtual.h.  A virtual dataset may have virtual sources; one that leads back to itself is
// stopped by counting how deep the look-up is in this thread.
#include "io/virtual.h"

#include <string.h>

#include "io/virtual_list.h"

enum { DEEPEST = 8 };
static _Thread_local int depth;

void xn_virtual_free(xn_virtual_source *source)
{
    xn_free(source->path);
    xn_free(source->dataset);
    memset(source, 0, sizeof *source);
}

xani_status xn_virtual_get(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t dataset, hid_t created, size_t i,
                           xn_virtual_source *source)
{
    memset(source, 0, sizeof *source);
    char holder[4096]; // behind an external link another file holds the virtual dataset
    if (H5Fget_name(dataset, holder, sizeof holder) <= 0) return xn_h5_fail(ctx, file, name, "its file has no name");
    xn_virtual_list list = {.created = created, .next = i};
    xn_entry e;
    xani_status st = XANI_OK;
    if (!xn_virtual_list_next(&list, &e)) {
        st = xn_fail_memory(ctx, "names of a virtual dataset", 1);
    } else if (xn_virtual_numbered(e.file) || xn_virtual_numbered(e.dataset)) {
        source->printf_name = true;
        source->dataset = xn_strdup(e.dataset);
    } else {
        char *stored = xn_virtual_name(e.file, 0);
        source->dataset = xn_virtual_name(e.dataset, 0);
        source->path = stored ? xn_virtual_find(holder, stored) : NULL;
        if (source->path == NULL)
            st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: source %s of this virtual dataset is missing", file->path, name,
                         e.file);
        xn_free(stored);
    }
    if (st == XANI_OK && source->dataset == NULL) st = xn_fail_memory(ctx, "names of a virtual dataset", 1);
    xn_virtual_list_close(&list);
    if (st != XANI_OK) xn_virtual_free(source);
    return st;
}

static xani_status check_source(xn_ctx *ctx, const xn_virtual_source *source)
{
    xn_h5 *file = NULL;
    hid_t dataset = H5I_INVALID_HID;
    xani_status st = xn_h5_open(ctx, source->path, &file);
    if (st == XANI_OK) st = xn_h5_dataset(ctx, file, source->dataset, &dataset);
    if (st == XANI_OK) st = xn_h5_complete(ctx, file, source->dataset, dataset);
    if (dataset >= 0) H5Oclose(dataset);
    xn_h5_close(&file);
    return st;
}

xani_status xn_virtual_check(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t dataset, hid_t created)
{
    size_t n = 0;
    if (H5Pget_virtual_count(created, &n) < 0)
        return xn_h5_fail(ctx, file, name, "its virtual sources cannot be listed");
    if (depth >= DEEPEST)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: virtual datasets nested too deep", file->path, name);
    depth++;
    xani_status st = XANI_OK;
    xn_virtual_source last = {NULL, NULL, false};
    for (size_t i = 0; i < n && st == XANI_OK; i++) {
        xn_virtual_source source;
        st = xn_virtual_get(ctx, file, name, dataset, created, i, &source);
        if (st != XANI_OK) break;
        bool same = source.path && last.path && strcmp(source.path, last.path) == 0 &&
                    strcmp(source.dataset, last.dataset) == 0; // several pieces of one source follow each other
        if (!same && !source.printf_name) st = check_source(ctx, &source);
        xn_virtual_free(&last);
        last = source;
    }
    xn_virtual_free(&last);
    depth--;
    return xn_context(ctx, st, "%s: %s", file->path, name);
}
