// SPDX-License-Identifier: BSD-3-Clause
// target_gzip.c -- zlib streams never leave the chunk.
#define FUZZ_FILTER 1
#include "filter_target.h"
