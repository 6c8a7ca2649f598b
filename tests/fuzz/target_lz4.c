// SPDX-License-Identifier: BSD-3-Clause
// target_lz4.c -- LZ4 frames of the filter lz4 never leave the chunk.
#define FUZZ_FILTER 32004
#include "filter_target.h"
