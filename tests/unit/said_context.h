// SPDX-License-Identifier: BSD-3-Clause
// said_context.h -- a new context for every test, which keeps all that the library says.
#ifndef XN_TEST_SAID_CONTEXT_H
#define XN_TEST_SAID_CONTEXT_H

#include "test.h"

static xn_ctx *ctx;
static char said[16384]; // a line each: the level and the text

static inline void on_log(void *user, xani_log_level level, const char *text)
{
    (void)user;
    size_t n = strlen(said);
    snprintf(said + n, sizeof said - n, "%d %s\n", level, text);
}

static inline void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    said[0] = '\0';
    xani_set_log(ctx, on_log, NULL);
}
static inline void tear_down(void) { xani_destroy(&ctx); }

#endif
