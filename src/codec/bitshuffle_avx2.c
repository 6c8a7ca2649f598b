// SPDX-License-Identifier: BSD-3-Clause
// bitshuffle_avx2.c -- the shuffles with two lanes, and LZ4; built with AVX2 by its name, called only where there is
// AVX2.
#define LANES 2
#define VARIANT xn_shuffle_avx2
#define VARIANT_NAME "avx2"
#include "codec/lz4_block.h"

#include "codec/bitshuffle_kernel.h"
