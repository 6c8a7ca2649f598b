// SPDX-License-Identifier: BSD-3-Clause
// file.c -- a whole text file in memory: see core.h.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/core.h"

xani_status xn_file_text(xn_ctx *ctx, const char *path, size_t most, xani_status bad, char **text, size_t *bytes)
{
    *text = NULL;
    *bytes = 0;
    FILE *f = fopen(path, "rbe");
    if (f == NULL) return xn_fail(ctx, bad, "%s: cannot be opened: %s", path, strerror(errno));
    xani_status st = XANI_OK;
    size_t room = 0, n = 0, got = 1;
    while (st == XANI_OK && got > 0) {
        if (n + 1 >= room) { // one more for the end
            room = room ? 2 * room : 16384;
            char *p = xn_realloc(*text, room, 1);
            if (p == NULL) st = xn_fail_memory(ctx, path, room);
            if (p == NULL) break;
            *text = p;
        }
        got = fread(*text + n, 1, room - n - 1, f);
        n += got;
        if (n > most) st = xn_fail(ctx, bad, "%s: too large, more than %zu MiB", path, most >> 20);
    }
    if (st == XANI_OK && ferror(f)) st = xn_fail(ctx, bad, "%s: cannot be read: %s", path, strerror(errno));
    fclose(f);
    if (st != XANI_OK) {
        xn_free(*text);
        *text = NULL;
        return st;
    }
    (*text)[n] = '\0';
    *bytes = n;
    return XANI_OK;
}
