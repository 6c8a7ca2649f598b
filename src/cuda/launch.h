// SPDX-License-Identifier: BSD-3-Clause
// launch.h -- the constructs of CUDA that are not functions: the launch of a kernel, and memory of a block.
//
// An emulated runtime (tests/emulation/cuda_runtime.h) defines them itself; all else it offers under the names of CUDA,
// so that the very source that runs on a device can run on a processor.
#ifndef XN_CUDA_LAUNCH_H
#define XN_CUDA_LAUNCH_H

#include <cuda_runtime.h>
#ifdef __CUDACC__
#include <cuda_pipeline_primitives.h>
#endif

#ifndef XN_LAUNCH_WITH
// bytes: of each block's memory, which the kernel names by XN_BLOCK_MEMORY. Emulated, every thread has one of its own:
// a thread may not look for what others of its block put there.
#define XN_LAUNCH_WITH(kernel, blocks, threads, bytes, stream, argument)                                               \
    kernel<<<blocks, threads, bytes, stream>>>(argument)
#define XN_BLOCK_MEMORY(type, name) extern __shared__ type name[]
// Shares of a block's threads in work on i = 0..n-1, and where they meet when it is done.
#define XN_SHARE(i, n) for (int i = (int)threadIdx.x; i < (n); i += (int)blockDim.x)
#define XN_MEET() __syncthreads()
// A number of four bytes to memory of the block without waiting for it; all are there after XN_THERE.
#define XN_SEND(to, from) __pipeline_memcpy_async(to, from, 4)
#define XN_THERE()                                                                                                     \
    do {                                                                                                               \
        __pipeline_commit();                                                                                           \
        __pipeline_wait_prior(0);                                                                                      \
    } while (0)
#endif
#define XN_LAUNCH(kernel, blocks, threads, stream, argument)                                                           \
    XN_LAUNCH_WITH(kernel, blocks, threads, 0, stream, argument)

#endif
