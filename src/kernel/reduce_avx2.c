// SPDX-License-Identifier: BSD-3-Clause
// reduce_avx2.c -- the row kernels of reduce for this instruction set; its flags come from the file's name.
#define XN_REDUCE_NAME avx2
#include "kernel/reduce_body.h"
