// SPDX-License-Identifier: BSD-3-Clause
// solo.h -- threads that each read and add frames of their own.
#ifndef XN_REDUCE_SOLO_H
#define XN_REDUCE_SOLO_H

#include "reduce/accumulate.h"

// Sets a->solo for `shots` shots of the pass; it stays NULL where batches are read and added as step.c does it.
xani_status xn_solo_open(xn_accumulator *a, const xn_pass *pass, int64_t shots);
void xn_solo_close(xn_accumulator *a);
int64_t xn_solo_shots(const xn_accumulator *a); // of a batch
// Reads the frames of a batch and adds them to the sums of the pass.
xani_status xn_solo_add(xn_accumulator *a, const xn_pass *pass, const xn_batch *batch);

#endif
