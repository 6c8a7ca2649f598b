// SPDX-License-Identifier: BSD-3-Clause
// correct.h -- what correct.c (the passes over a frame) and correct_load.c (what the configuration asks for) share.
#ifndef XN_REDUCE_CORRECT_H
#define XN_REDUCE_CORRECT_H

#include "reduce/internal.h"

// Rows of pixels that are one module to the corrections; modules that no one told apart are, where chips say so.
int64_t xn_correct_module_rows(const xn_correct *correct, int64_t rows);

#endif
