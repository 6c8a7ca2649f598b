// SPDX-License-Identifier: BSD-3-Clause
// team.h -- pieces of work done by several threads whose results are handed over in order.
//
// A thread that has done its piece hands over all that is next in order, or, if that is another thread's, goes on with
// a further piece; it waits, asleep, only where results are too far ahead.  (The ordered loops of OpenMP wait by
// spinning, which takes the processor from the threads that read.)  Threads stay from call to call.
#ifndef XN_IO_TEAM_H
#define XN_IO_TEAM_H

#include "core/core.h"

typedef struct xn_team xn_team;

// worker: 0 ... threads - 1; slot: 0 ... slots - 1, of the piece until it is handed over.
typedef void (*xn_team_make)(void *user, int worker, int slot, int64_t piece);
typedef void (*xn_team_give)(void *user, int slot, int64_t piece); // in order, one at a time

// threads 1: none but the caller's. NULL: out of memory, or no thread could be started.
xn_team *xn_team_open(int threads, xn_team_make make, xn_team_give give, void *user);
int xn_team_threads(const xn_team *team);
int xn_team_slots(const xn_team *team);
void xn_team_run(xn_team *team, int64_t pieces); // returns when all are handed over
void xn_team_close(xn_team **team);

#endif
