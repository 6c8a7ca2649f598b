// SPDX-License-Identifier: BSD-3-Clause
// sum_cuda.cu -- the table of kernel/sum_device.h on CUDA: which kernel serves a detector, and its launch.
//
// Groups of 1, 2 and 4 pixels squared have kernels of their own for the words that detectors give; for all else there
// is one kernel per type of numbers.
#include "cuda/runtime.h"
#include "cuda/stream.h"
#include "cuda/sum.h"

namespace
{

const uint64_t most_blocks = 0x7fffffff; // of threads, of a launch
const uint64_t enough_threads = 1 << 18; // to fill a device: 132 multiprocessors of 2048
const uint32_t least_share = 8;          // shots

typedef void (*sum_kernel)(const struct sum_grid);

template <class F> sum_kernel by_size(int k)
{
    return k == 1 ? kernel_sum<F, 1> : k == 2 ? kernel_sum<F, 2> : k == 4 ? kernel_sum<F, 4> : kernel_sum<F, 0>;
}

template <typename T> sum_kernel of_numbers(const xn_sum_detector &d)
{
    return d.kind == XN_SUM_LINEAR ? kernel_sum<word_linear<T>, 0> : kernel_sum<word_scale<T>, 0>;
}

template <typename T> sum_kernel of_usual_numbers(const xn_sum_detector &d)
{
    return d.kind == XN_SUM_LINEAR ? by_size<word_linear<T>>(d.k) : by_size<word_scale<T>>(d.k);
}

// NULL: there is none.
sum_kernel kernel_of(const xn_sum_detector &d)
{
    const bool words = d.kind == XN_SUM_JUNGFRAU || d.kind == XN_SUM_FIXED_GAIN || d.kind == XN_SUM_EPIX10KA;
    if (d.kind < 0 || d.kind >= XN_SUM_KINDS || d.k < 1 || (words && d.type != XN_U16)) return NULL;
    if (d.kind == XN_SUM_JUNGFRAU) return by_size<word_jungfrau>(d.k);
    if (d.kind == XN_SUM_FIXED_GAIN) return by_size<word_fixed_gain>(d.k);
    if (d.kind == XN_SUM_EPIX10KA) return by_size<word_epix10ka>(d.k);
    switch (d.type) {
    case XN_U16:
        return of_usual_numbers<uint16_t>(d);
    case XN_F32:
        return of_usual_numbers<float>(d);
    case XN_U32:
        return of_usual_numbers<uint32_t>(d);
    case XN_F64:
        return of_numbers<double>(d);
    case XN_I8:
        return of_numbers<int8_t>(d);
    case XN_U8:
        return of_numbers<uint8_t>(d);
    case XN_I16:
        return of_numbers<int16_t>(d);
    case XN_I32:
        return of_numbers<int32_t>(d);
    case XN_I64:
        return of_numbers<int64_t>(d);
    case XN_U64:
        return of_numbers<uint64_t>(d);
    default:
        return NULL;
    }
}

// Rows of a group begin where as many words as it has are aligned, in every frame.
bool reads_wide(const xn_sum_job *job)
{
    const int64_t elem = (int64_t)xn_type_size((xn_type)job->detector.type), row = elem * job->detector.k;
    return row <= 16 && (job->detector.det_nx * elem) % row == 0 && job->frame_step % row == 0 &&
           (uintptr_t)job->frames % (uintptr_t)row == 0;
}

bool sums_add(xn_device_stream *s, const xn_sum_job *job, char *why, size_t size)
{
    const sum_kernel kernel = kernel_of(job->detector);
    const int64_t groups = job->detector.ny * job->detector.nx;
    if (kernel == NULL || groups < 1) {
        snprintf(why, size, "frames that the device cannot add");
        return false;
    }
    if (job->n == 0) return true;
    struct sum_grid g = {*job, xn_sum_strips(groups), 1, reads_wide(job)};
    const uint64_t threads = g.strips * XN_LANES, shares = (enough_threads + threads - 1) / threads;
    g.shares = (uint32_t)(shares < job->n / least_share ? shares : job->n / least_share);
    if (g.shares < 1) g.shares = 1;
    const uint64_t blocks = (g.strips * g.shares + XN_SUM_WARPS - 1) / XN_SUM_WARPS;
    const uint64_t pieces = (g.strips + XN_SUM_PIECE - 1) / XN_SUM_PIECE;
    const uint64_t totals = (pieces * job->n + XN_SUM_TOTAL_THREADS - 1) / XN_SUM_TOTAL_THREADS;
    if (blocks > most_blocks || totals > most_blocks) {
        snprintf(why, size, "too many shots at a time");
        return false;
    }
    if (failed(cudaMemsetAsync(job->photons, 0, job->n * sizeof *job->photons, s->stream), "photons", why, size))
        return false;
    XN_LAUNCH(kernel, (unsigned)blocks, XN_LANES * XN_SUM_WARPS, s->stream, g);
    XN_LAUNCH(kernel_total, (unsigned)totals, XN_SUM_TOTAL_THREADS, s->stream, g);
    return !failed(cudaGetLastError(), "launch of a kernel", why, size);
}

} // namespace

#ifndef XN_DEVICE_SUMS
#define XN_DEVICE_SUMS xn_device_sums_cuda
#endif
extern "C" {
extern const xn_device_sums XN_DEVICE_SUMS;
const xn_device_sums XN_DEVICE_SUMS = {"cuda", sums_add};
}
