// SPDX-License-Identifier: BSD-3-Clause
// fake_context.h -- a new context for every test on fake_source.h, which keeps what the library says beyond the usual.
#ifndef XN_TEST_FAKE_CONTEXT_H
#define XN_TEST_FAKE_CONTEXT_H

#include "core/config.h"
#include "fake_source.h"

static xn_ctx *ctx;
static heard said;

static inline void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    said.text[0] = '\0';
    xani_set_log(ctx, fake_log, &said);
}
static inline void tear_down(void) { xani_destroy(&ctx); }

static inline xn_config *parse(const char *yaml)
{
    xn_config *c = NULL;
    xani_status st = xn_config_parse(ctx, yaml, "exp.yaml", ".", &c);
    ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
    return c;
}

#endif
