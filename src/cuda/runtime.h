// SPDX-License-Identifier: BSD-3-Clause
// runtime.h -- errors of the CUDA runtime in words, and which devices there are.
#ifndef XN_CUDA_RUNTIME_H
#define XN_CUDA_RUNTIME_H

#include <stdio.h>
#include <stdlib.h>

#include "cuda/launch.h"

namespace
{

inline bool failed(cudaError_t e, const char *what, char *why, size_t size)
{
    if (e == cudaSuccess) return false;
    snprintf(why, size, "%s: %s", what, cudaGetErrorString(e));
    (void)cudaGetLastError(); // the runtime remembers it; whoever comes next must not find it
    return true;
}

// The same where nothing depends on the call.
inline bool worked(cudaError_t e)
{
    if (e != cudaSuccess) (void)cudaGetLastError();
    return e == cudaSuccess;
}

inline int device_count(char *why, size_t size)
{
    int n = 0, driver = 0;
    const cudaError_t e = cudaGetDeviceCount(&n);
    if (e == cudaSuccess && n > 0) return n;
    if (!worked(cudaDriverGetVersion(&driver)) || driver == 0)
        snprintf(why, size, "this machine has no CUDA driver");
    else if (e == cudaErrorInsufficientDriver)
        snprintf(why, size, "the CUDA driver of this machine (%d.%d) is older than the one needed (%d.%d)",
                 driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    else if (e == cudaErrorNoDevice || (e == cudaSuccess && n == 0))
        snprintf(why, size, "this machine has no CUDA device");
    else
        snprintf(why, size, "CUDA: %s", cudaGetErrorString(e));
    (void)cudaGetLastError();
    return 0;
}

} // namespace

#endif
