// SPDX-License-Identifier: BSD-3-Clause
// reduce_avx512.c -- the row kernels of reduce for this instruction set; its flags come from the file's name.
#define XN_REDUCE_NAME avx512
#include "kernel/reduce_body.h"
