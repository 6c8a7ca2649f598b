// SPDX-License-Identifier: BSD-3-Clause
// target_lzf.c -- LZF data never leave the chunk.
#define FUZZ_FILTER 32000
#include "filter_target.h"
