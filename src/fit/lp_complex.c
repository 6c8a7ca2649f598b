// SPDX-License-Identifier: BSD-3-Clause
// lp_complex.c -- linear prediction of complex traces; all of it stands in lp_body.h.
//
// A shell: it only says what a number is.
#define XN_LP_COMPLEX 1
#include "fit/lp_body.h"
