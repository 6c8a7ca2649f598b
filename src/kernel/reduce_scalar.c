// SPDX-License-Identifier: BSD-3-Clause
// reduce_scalar.c -- the row kernels of reduce for any processor: what the others must agree with, bit for bit.
#define XN_REDUCE_NAME scalar
#include "kernel/reduce_body.h"
