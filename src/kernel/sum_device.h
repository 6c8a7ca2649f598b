// SPDX-License-Identifier: BSD-3-Clause
// sum_device.h -- reduce's sums on a graphics processor: words of a batch of shots to photons, groups and sums.
//
// One function, that of CUDA (cuda/sum_cuda.cu) where it was built in, and in tests the same source on an emulated
// device.  Memory, streams and copies are those of reader/device.h; what is summed is what calib.h and bin.h say, so
// that the integers are those of the processor.  All pointers are the device's.
#ifndef XN_KERNEL_SUM_DEVICE_H
#define XN_KERNEL_SUM_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/type.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct xn_device_stream xn_device_stream; // reader/device.h

// Formulas of calib.h
typedef enum {
    XN_SUM_JUNGFRAU,
    XN_SUM_FIXED_GAIN,
    XN_SUM_EPIX10KA,
    XN_SUM_LINEAR,
    XN_SUM_SCALE,
    XN_SUM_KINDS
} xn_sum_kind;

// Why a pixel had no number, as bits of its byte in `flags`.
enum { XN_SUM_NONE = 1, XN_SUM_FULL = 2 };

typedef struct xn_sum_detector {
    int32_t kind, type; // xn_sum_kind; xn_type of the words
    uint32_t code;      // FIXED_GAIN: of the only stage
    int32_t k, threshold;
    double full; // LINEAR
    int64_t det_ny, det_nx, ny, nx;
    const int64_t *first_row;             // (ny)
    const float *pedestal[3], *factor[3]; // (cell, det_ny, det_nx) per stage; SCALE has no pedestal
} xn_sum_detector;

typedef struct xn_sum_shot {
    int32_t frame; // of the batch
    int32_t slot;  // of the sums; shots of a slot behind each other save time
    int32_t i0q;
    int32_t cell;
} xn_sum_shot;

typedef struct xn_sum_job {
    xn_sum_detector detector;
    const uint8_t *frames; // aligned to 16 bytes
    int64_t frame_step;    // bytes
    const xn_sum_shot *shot;
    uint32_t n;
    int64_t *s1, *s2, *x; // (slot, group), added to
    int64_t *peak;        // (group)
    uint32_t *flags;      // (detector pixel) bytes, whole words of four; ORed to
    int64_t *parts;       // work: xn_sum_parts numbers
    int64_t *photons;     // (n) set to the sum of all groups of each shot
} xn_sum_job;

enum { XN_SUM_STRIP = 32 }; // groups that are summed together
static inline uint64_t xn_sum_strips(int64_t groups) { return ((uint64_t)groups + XN_SUM_STRIP - 1) / XN_SUM_STRIP; }
static inline uint64_t xn_sum_parts(int64_t groups, uint64_t n) { return xn_sum_strips(groups) * n; }

typedef struct xn_device_sums {
    const char *name;
    // Into the stream, on the device that the calling thread uses. False: one line in `why`.
    bool (*add)(xn_device_stream *stream, const xn_sum_job *job, char *why, size_t size);
} xn_device_sums;

// The one this library was built with; NULL: none.
const xn_device_sums *xn_device_sums_built(void);

#ifdef __cplusplus
}
#endif

#endif
