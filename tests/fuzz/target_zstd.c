// SPDX-License-Identifier: BSD-3-Clause
// target_zstd.c -- zstd frames never leave the chunk.
#define FUZZ_FILTER 32015
#include "filter_target.h"
