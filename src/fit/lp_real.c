// SPDX-License-Identifier: BSD-3-Clause
// lp_real.c -- linear prediction of real traces; all of it stands in lp_body.h.
//
// A shell: it only says what a number is.
#define XN_LP_COMPLEX 0
#include "fit/lp_body.h"
