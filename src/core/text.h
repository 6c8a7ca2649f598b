// SPDX-License-Identifier: BSD-3-Clause
// text.h -- texts of any bytes where only some can go.
#ifndef XN_CORE_TEXT_H
#define XN_CORE_TEXT_H

#include <jansson.h>

#include "core/core.h"

// As xani_utf8 makes it; NULL: no memory.
json_t *xn_json_text(const char *text);
// A line of fewer than `size` bytes; of a longer one the middle goes, because errors have the reason at their end.
void xn_text_fit(char *to, size_t size, const char *fmt, va_list args);

#endif
