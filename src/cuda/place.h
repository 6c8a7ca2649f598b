// SPDX-License-Identifier: BSD-3-Clause
// place.h -- numbers of decoded or raw blocks put where they belong, on a device: a thread a number.
//
// Byte order and type are changed on the way, by what the compiler does with a cast: whole numbers to floating-point
// ones and float64 to float32 are rounded to nearest, as on the processor (io/convert.c); only the payload of NaN may
// differ.  A box is at most 2^32 - 1 numbers, so that its coordinates come from 32-bit divisions.
#ifndef XN_CUDA_PLACE_H
#define XN_CUDA_PLACE_H

#include "cuda/launch.h"
#include "reader/device.h"

#define XN_PLACE_THREADS 256
#define XN_PLACE_EACH 8 // numbers of a thread in the largest box

struct place_grid {
    xn_device_place job;
    uint32_t blocks; // of threads, for each box
};

// E bytes at any address as a number, first byte lowest (or highest: swap).
template <int E> static __device__ __forceinline__ uint64_t place_load(const uint8_t *p, bool swap)
{
    uint64_t v = 0;
    if ((uintptr_t)p % E != 0) {
        for (int k = 0; k < E; k++) v |= (uint64_t)p[k] << 8 * k;
    } else {
        v = E == 1 ? *p : E == 2 ? *(const uint16_t *)p : E == 4 ? *(const uint32_t *)p : *(const uint64_t *)p;
    }
    if (!swap) return v;
    uint64_t turned = 0;
    for (int k = 0; k < E; k++) turned |= (v >> 8 * k & 255) << 8 * (E - 1 - k);
    return turned;
}

template <typename TO> static __device__ __forceinline__ TO place_value(uint64_t bits, int type)
{
    float f;
    double d;
    const uint32_t low = (uint32_t)bits;
    switch (type) {
    case XN_F32:
        memcpy(&f, &low, sizeof f);
        return (TO)f;
    case XN_F64:
        memcpy(&d, &bits, sizeof d);
        return (TO)d;
    case XN_I8:
        return (TO)(int8_t)bits;
    case XN_U8:
        return (TO)(uint8_t)bits;
    case XN_I16:
        return (TO)(int16_t)bits;
    case XN_U16:
        return (TO)(uint16_t)bits;
    case XN_I32:
        return (TO)(int32_t)bits;
    case XN_U32:
        return (TO)low;
    case XN_I64:
        return (TO)(int64_t)bits;
    default:
        return (TO)bits;
    }
}

template <int E>
static __global__ void __launch_bounds__(XN_PLACE_THREADS) kernel_place(const __grid_constant__ struct place_grid g)
{
    const xn_device_box *box = g.job.box + blockIdx.x / g.blocks;
    const uint64_t step = (uint64_t)g.blocks * XN_PLACE_THREADS;
    for (uint64_t i = (uint64_t)(blockIdx.x % g.blocks) * XN_PLACE_THREADS + threadIdx.x; i < box->count; i += step) {
        uint32_t rest = (uint32_t)i;
        int64_t from = 0, to = 0;
        for (int k = box->rank - 1; k >= 0; k--) {
            const uint32_t outer = k > 0 ? rest / box->n[k] : 0, at = rest - outer * box->n[k];
            from += at * box->from_step[k];
            to += at * box->to_step[k];
            rest = outer;
        }
        const uint64_t bits = place_load<E>(box->from + from * E, g.job.swap);
        if (g.job.to_type != g.job.type && g.job.to_type == XN_F32)
            ((float *)box->to)[to] = place_value<float>(bits, g.job.type);
        else if (g.job.to_type != g.job.type)
            ((double *)box->to)[to] = place_value<double>(bits, g.job.type);
        else if (E == 1)
            box->to[to] = (uint8_t)bits;
        else if (E == 2)
            ((uint16_t *)box->to)[to] = (uint16_t)bits;
        else if (E == 4)
            ((uint32_t *)box->to)[to] = (uint32_t)bits;
        else
            ((uint64_t *)box->to)[to] = bits;
    }
}

#endif
