// SPDX-License-Identifier: BSD-3-Clause
// warp.h -- the thin layer under kernels whose work is shared by the 32 lanes of a warp.
//
// What is the same for all lanes (positions, lengths, decisions) is written as ordinary code; every lane goes through
// it.  What differs stands in XN_EACH_LANE, whose end is a meeting point: what a lane writes there the others may read
// afterwards, not before.  A variable of which each lane has its own is declared by XN_OWN and named by OWN.  Lanes
// look at each other's only through XN_FROM_LANE.
//
// Without a device compiler a warp is one thread that goes through the lanes in a scattered order, so that the
// very source of a kernel runs on a processor, and what relies on an order of lanes gives wrong results there.
#ifndef XN_CUDA_WARP_H
#define XN_CUDA_WARP_H

#include "cuda/launch.h"

#define XN_LANES 32

#ifdef __CUDACC__
#define XN_WARP static __device__ __forceinline__
#define XN_ALL_LANES 0xffffffffu
// False for threads that have nothing to do because another goes through their lane.
static __device__ __forceinline__ bool warp_leads(void) { return true; }
#define XN_EACH_LANE(lane)                                                                                             \
    for (int lane = (int)(threadIdx.x % XN_LANES), once_##lane = 1; once_##lane; once_##lane = 0, __syncwarp())
#define XN_OWN(type, name) type name
#define OWN(name) name
#define XN_FROM_LANE(to, from, lane, other)                                                                            \
    do {                                                                                                               \
        const int lane = (int)(threadIdx.x % XN_LANES);                                                                \
        to = __shfl_sync(XN_ALL_LANES, from, other);                                                                   \
    } while (0)
// The sum over all lanes of 32-bit numbers, for each of them.
#define XN_SUM_LANES(to, from) to = warp_sum(from)
template <typename T> static __device__ __forceinline__ T warp_sum(T own)
{
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
    return __reduce_add_sync(XN_ALL_LANES, own);
#else
    for (int step = XN_LANES / 2; step > 0; step /= 2) own += __shfl_xor_sync(XN_ALL_LANES, own, step);
    return own;
#endif
}
// Memory of the block, `bytes` for each of its warps; of the calling warp's share the beginning.
#define XN_SHARED(name, bytes, warps)                                                                                  \
    __shared__ __align__(16) uint8_t name##_of_all[warps][bytes];                                                      \
    uint8_t *const name = name##_of_all[threadIdx.x / XN_LANES]
#else
#define XN_WARP static inline
static inline bool warp_leads(void) { return threadIdx.x % XN_LANES == 0; }
#define XN_EACH_LANE(lane)                                                                                             \
    for (int at_##lane = 0, lane = 5; at_##lane < XN_LANES; at_##lane++, lane = (13 * at_##lane + 5) % XN_LANES)
#define XN_OWN(type, name) type name[XN_LANES]
#define OWN(name) name[lane]
#define XN_FROM_LANE(to, from, lane, other)                                                                            \
    do {                                                                                                               \
        for (int lane = 0; lane < XN_LANES; lane++) to[lane] = from[other];                                            \
    } while (0)
#define XN_SUM_LANES(to, from)                                                                                         \
    do {                                                                                                               \
        to = 0;                                                                                                        \
        for (int lane = 0; lane < XN_LANES; lane++) to += from[lane];                                                  \
    } while (0)
#define XN_SHARED(name, bytes, warps)                                                                                  \
    const emulated_memory name##_of_warp(bytes);                                                                       \
    uint8_t *const name = name##_of_warp.begin
#endif

#endif
