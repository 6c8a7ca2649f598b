// SPDX-License-Identifier: BSD-3-Clause
// opened_source.h -- what tests of facilities' files do alike: change a key of the configuration, open its source.
#ifndef XN_TEST_OPENED_SOURCE_H
#define XN_TEST_OPENED_SOURCE_H

#include "core/config.h"
#include "source/source.h"
#include "test.h"

static xn_ctx *ctx;
static xn_config *config;
static xn_source *source;

static inline void set(const char *assignment)
{
    ck_assert_msg(xani_config_assign(ctx, config, assignment) == XANI_OK, "%s", xani_error_text(ctx));
}

static inline const xn_shots *opens(void)
{
    xn_source_close(&source);
    xani_status st = xn_source_open(ctx, config, -1, &source);
    ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
    return &source->shots;
}

static inline void tear_down(void)
{
    xn_source_close(&source);
    xani_config_destroy(&config);
    xani_destroy(&ctx);
}

#endif
