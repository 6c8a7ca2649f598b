// SPDX-License-Identifier: BSD-3-Clause
// launch.h -- the one construct of CUDA that is not a function: the launch of a kernel.
//
// An emulated runtime (tests/emulation/cuda_runtime.h) defines XN_LAUNCH itself; all else it offers under the names of
// CUDA, so that the very source that runs on a device can run on a processor.
#ifndef XN_CUDA_LAUNCH_H
#define XN_CUDA_LAUNCH_H

#include <cuda_runtime.h>

#ifndef XN_LAUNCH
#define XN_LAUNCH(kernel, blocks, threads, stream, argument) kernel<<<blocks, threads, 0, stream>>>(argument)
#endif

#endif
