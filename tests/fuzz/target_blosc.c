// SPDX-License-Identifier: BSD-3-Clause
// target_blosc.c -- blosc buffers, whatever their header says, never leave the chunk.
#define FUZZ_FILTER 32001
#include "filter_target.h"
