// SPDX-License-Identifier: BSD-3-Clause
// context.h -- a context that is new for every test: tcase_add_checked_fixture(t, set_up, tear_down).
#ifndef XN_TEST_CONTEXT_H
#define XN_TEST_CONTEXT_H

#include "test.h"

static xn_ctx *ctx;

static inline void set_up(void) { ck_assert_int_eq(xani_create(&ctx), XANI_OK); }
static inline void tear_down(void) { xani_destroy(&ctx); }

#endif
