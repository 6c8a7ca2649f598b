// SPDX-License-Identifier: BSD-3-Clause
// disk_full.h -- every write, sync, rename or removal on the way to a result fails once, or it and all after it.
//
//   for (disk_full d = DISK_FULL(false); d.reached; d.at++) {
//       disk_full_begin(&d);
//       xani_status st = call(ctx);
//       disk_full_end();
//       if (d.reached) ck_assert_int_eq(st, XANI_ERR_OUTPUT);
//   }
#ifndef XN_DISK_FULL_H
#define XN_DISK_FULL_H

#include <errno.h>

#include "io/write/publish.h"
#include "test.h"

typedef struct disk_full {
    uint64_t at;     // the operation that fails, the first since disk_full_begin is 1
    bool ever_after; // and all that follow
    bool reached;    // it was asked for
} disk_full;

#define DISK_FULL(ever_after) ((disk_full){1, (ever_after), true})

static inline int disk_full_hook(void *user, const char *operation, const char *path, uint64_t number)
{
    disk_full *d = user;
    (void)operation, (void)path;
    bool now = number == d->at || (d->ever_after && number > d->at);
    d->reached = d->reached || now;
    return now ? ENOSPC : 0;
}

static inline void disk_full_begin(disk_full *d)
{
    d->reached = false;
    xn_io_set_hook(disk_full_hook, d);
}

static inline void disk_full_end(void) { xn_io_set_hook(NULL, NULL); }

#endif
