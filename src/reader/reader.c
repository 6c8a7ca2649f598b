// SPDX-License-Identifier: BSD-3-Clause
// reader.c -- the table of ways to read, what an error means, and the test hook.
//
// A new way of reading is its own file and one line in `table`.
#include "reader/reader.h"

#include <string.h>

#include "reader/internal.h"

static const xn_reader_ops *const table[] = {&xn_reader_pread, &xn_reader_uring, &xn_reader_mmap};
enum { N_READERS = sizeof table / sizeof table[0] };

const xn_reader_ops *xn_reader_at(int index) { return index >= 0 && index < N_READERS ? table[index] : NULL; }

const xn_reader_ops *xn_reader_named(const char *name)
{
    for (int i = 0; i < N_READERS; i++)
        if (strcmp(table[i]->name, name) == 0) return table[i];
    return NULL;
}

const char *xn_read_why(int error)
{
    switch (error) {
    case XN_READ_SHORT:
        return "the file ends before it (truncated)";
    case XN_READ_CHANGED:
        return "the file was replaced or changed while it was being read";
    default:
        return strerrordesc_np(error) ? strerrordesc_np(error) : "unknown error";
    }
}

// ---- test hook

static xn_read_hook hook;
static void *hook_user;

void xn_read_set_hook(xn_read_hook fn, void *user)
{
    hook = fn;
    hook_user = user;
}

int xn_read_injected(const char *call, const char *path, int64_t offset, size_t bytes)
{
    return hook == NULL ? 0 : hook(hook_user, call, path, offset, bytes);
}
