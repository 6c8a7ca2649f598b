// SPDX-License-Identifier: BSD-3-Clause
// target_bitshuffle.c -- blocks of bit-shuffled elements, plain, with LZ4 or with zstd, never leave the chunk.
#define FUZZ_FILTER 32008
#include "filter_target.h"
