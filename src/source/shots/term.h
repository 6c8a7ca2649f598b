// SPDX-License-Identifier: BSD-3-Clause
// term.h -- a reading as it is written in a configuration: a channel, one column of it, or a sum of several.
//
//   NAME            NAME[3]  column 3           sum(NAME)  all columns
//   A + B    A - B    0.5 * A + 2 * B[1]        operators stand between blanks, so that names may hold + - *
//
// Private to src/source.
#ifndef XN_SOURCE_SHOTS_TERM_H
#define XN_SOURCE_SHOTS_TERM_H

#include "core/config.h"

#define XN_TERMS 16

typedef struct xn_term {
    double factor;
    int64_t column; // XN_COLUMN_SUM: all
    char name[XN_KEY_LENGTH];
} xn_term;

typedef struct xn_reading {
    int n;
    xn_term term[XN_TERMS];
} xn_reading;

// key: for messages. XANI_ERR_CONFIG names what is wrong with the text.
xani_status xn_reading_parse(xn_ctx *ctx, const xn_config *config, const char *key, const char *text,
                             xn_reading *reading);

#endif
