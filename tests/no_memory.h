// SPDX-License-Identifier: BSD-3-Clause
// no_memory.h -- every allocation of a call fails once: the hook, and the step from one allocation to the next.
//
//   no_memory n = NO_MEMORY;
//   for (; n.reached; no_memory_next(&n)) {
//       no_memory_begin(&n);
//       xani_status st = call(ctx);
//       no_memory_end();
//       ck_assert_msg(st == (n.reached ? XANI_ERR_MEMORY : XANI_OK), "allocation %d: %s", (int)n.at, ...);
//   }
//   ck_assert_uint_ge(n.at, 60); // the call made at most so many allocations: nobody asked for number n.at
//
// A call that makes thousands of allocations makes most of them in loops, where one is like the next: behind the first
// hundred the steps grow, so that a thousand allocations are two hundred calls.  A loop that must see each one
// counts n.at up itself.
#ifndef XN_NO_MEMORY_H
#define XN_NO_MEMORY_H

#include "test.h"

typedef struct no_memory {
    uint64_t at;  // the allocation that fails, the first since no_memory_begin is 0
    bool reached; // it was asked for
} no_memory;

#define NO_MEMORY ((no_memory){0, true})

// One thread at most gets the number, so `reached` needs no lock.
static inline bool no_memory_hook(void *user, uint64_t number)
{
    no_memory *n = user;
    if (number != n->at) return false;
    n->reached = true;
    return true;
}

static inline void no_memory_begin(no_memory *n)
{
    ck_assert_msg(n->at < 1000000, "a call that never stops asking for memory");
    n->reached = false;
    xn_mem_set_hook(no_memory_hook, n);
}

static inline void no_memory_end(void) { xn_mem_set_hook(NULL, NULL); }

static inline void no_memory_next(no_memory *n)
{
    if (n->reached) n->at += n->at < 100 ? 1 : 1 + n->at / 40;
}

#endif
