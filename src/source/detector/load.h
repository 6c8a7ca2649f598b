// SPDX-License-Identifier: BSD-3-Clause
// load.h -- what load.c (files and gains of all detectors) and words.c (those with gain stages) share.
#ifndef XN_SOURCE_DETECTOR_LOAD_H
#define XN_SOURCE_DETECTOR_LOAD_H

#include "source/detector/detector.h"

typedef struct xn_detector_kind {
    const char *name;
    xn_cal_kind kind;
    int planes; // of a file, 0: one will do
    int bank[2], chip[2];
    double full;
    const char *gain_unit;
} xn_detector_kind;

typedef struct xn_detector_loading {
    xn_ctx *ctx;
    const xn_config *config;
    const xn_detector_ask *ask;
    const xn_detector_kind *kind;
    xn_source *s;
    int64_t cells;
    bool high_gain;
} xn_detector_loading;

xani_status xn_detector_plane(const xn_detector_loading *l, float **plane); // (cell, y, x), made when NULL
// plane[k] of the file into out[k], k < n; least: planes that the file has at least, 0: a single one.
xani_status xn_detector_pedestals(const xn_detector_loading *l, int least, const int *plane, int n, float **out);
xani_status xn_detector_factors(const xn_detector_loading *l, int least, const int *plane, int n, float **out);

// ---- words.c
xani_status xn_detector_jungfrau(const xn_detector_loading *l);
xani_status xn_detector_epix10ka(const xn_detector_loading *l);
xani_status xn_detector_drop_pixels(const xn_detector_loading *l); // masks pixels without calibration, counts them

#endif
