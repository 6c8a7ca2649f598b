// SPDX-License-Identifier: BSD-3-Clause
// stream.h -- what a stream and a mark of reader/device.h are in CUDA, for the files whose kernels go into one.
#ifndef XN_CUDA_STREAM_H
#define XN_CUDA_STREAM_H

#include "cuda/launch.h"

struct xn_device_stream {
    cudaStream_t stream;
};
struct xn_device_mark {
    cudaEvent_t event;
};

#endif
