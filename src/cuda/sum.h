// SPDX-License-Identifier: BSD-3-Clause
// sum.h -- shots of a batch into the sums of their delay bins, on a device: a thread a group of pixels.
//
// A thread goes through the shots of its share of the batch, which come sorted by bin: the sums of a bin stay in
// registers from one shot to the next and are added to memory where the bin changes.  For groups of 1, 2 and 4 pixels
// squared the planes of the first gain stage stay in registers too, and the words of the next shot are on their way
// while those of this one are added; other sizes read planes again for each shot.  Where groups are too few to fill
// the device a batch is cut into shares, whose sums meet by atomic additions; sums are integers, so no order matters.
//
// The photons of a whole shot, for what I0 is judged by: a warp adds up its 32 groups (in two halves of 24 and more
// bits, the parts that one instruction adds), one number per warp and shot is kept, and a second kernel adds those.
#ifndef XN_CUDA_SUM_H
#define XN_CUDA_SUM_H

#include "cuda/warp.h"
#include "cuda/word.h"

#define XN_SUM_WARPS 8                                       // of a block of threads
#define XN_SUM_TOGETHER(k) ((k) == 1 ? 4 : (k) == 4 ? 2 : 3) // such blocks on a multiprocessor, by their registers
#define XN_SUM_PIECE 64                                      // strips that a thread adds up for the photons of a shot
#define XN_SUM_TOTAL_THREADS 128
#define XN_SUM_LOW 24 // bits

struct sum_grid {
    xn_sum_job job;
    uint64_t strips; // of 32 groups
    uint32_t shares; // of the batch
    bool wide;       // rows of a group may be read at once
};

// A row of a group's words, read at once where it is aligned.
template <typename T, int K> struct alignas(sizeof(T) * K) sum_words {
    T v[K];
};

// What a thread keeps of its group.
template <class F, int K> struct sum_group {
    static const int side = K > 0 ? K : 1;
    int64_t group, corner; // corner: its first pixel, of the detector
    bool there;
    int64_t s1, s2, x, peak;
    int32_t cell;                                  // whose planes these are
    float p[side * side], f[side * side];          // of the first stage
    sum_words<typename F::word, side> words[side]; // of the shot that comes next
};

#define XN_SUM_FN static __device__ __forceinline__
#define XN_SUM_ALL _Pragma("unroll") // all turns written out, so that arrays stay in registers

XN_SUM_FN int64_t plane_at(const xn_sum_detector &d, int32_t cell) { return cell * d.det_ny * d.det_nx; }

template <class F, int K> XN_SUM_FN void group_planes(const xn_sum_detector &d, int32_t cell, sum_group<F, K> *own)
{
    own->cell = cell;
    XN_SUM_ALL
    for (int y = 0; y < K; y++) {
        XN_SUM_ALL
        for (int x = 0; x < K; x++) {
            const int64_t at = plane_at(d, cell) + own->corner + y * d.det_nx + x;
            own->p[y * K + x] = F::has_pedestal ? d.pedestal[0][at] : 0.0f;
            own->f[y * K + x] = d.factor[0][at];
        }
    }
}

template <class F>
XN_SUM_FN const typename F::word *frame_words(const xn_sum_job &job, const xn_sum_shot &shot, int64_t corner)
{
    return (const typename F::word *)(job.frames + shot.frame * job.frame_step) + corner;
}

template <class F, int K> XN_SUM_FN void group_fetch(const sum_grid &g, const xn_sum_shot &shot, sum_group<F, K> *own)
{
    const typename F::word *from = frame_words<F>(g.job, shot, own->corner);
    XN_SUM_ALL
    for (int y = 0; y < K; y++) {
        if (g.wide)
            own->words[y] = *(const sum_words<typename F::word, K> *)(from + y * g.job.detector.det_nx);
        else
            XN_SUM_ALL
        for (int x = 0; x < K; x++) own->words[y].v[x] = from[y * g.job.detector.det_nx + x];
    }
}

template <class F, int K>
XN_SUM_FN void group_open(const sum_grid &g, int64_t group, const xn_sum_shot &first, sum_group<F, K> *own)
{
    const xn_sum_detector &d = g.job.detector;
    own->group = group;
    own->there = group < d.ny * d.nx;
    own->s1 = own->s2 = own->x = own->peak = 0;
    if (!own->there) return;
    own->corner = d.first_row[group / d.nx] * d.det_nx + group % d.nx * d.k;
    if constexpr (K > 0) {
        group_planes<F, K>(d, first.cell, own);
        group_fetch<F, K>(g, first, own);
    }
}

// One pixel, from memory; a word without a number is flagged.
template <class F>
XN_SUM_FN int32_t pixel_photons(const xn_sum_job &job, typename F::word w, int32_t cell, int64_t pixel)
{
    const xn_sum_detector &d = job.detector;
    const int64_t at = plane_at(d, cell) + pixel;
    const int32_t q = F::photons(d, w, F::has_pedestal ? d.pedestal[0][at] : 0.0f, d.factor[0][at], at);
    if (q == XN_CALIB_BAD) {
        const unsigned bits = F::is_none(d, w) ? XN_SUM_NONE : XN_SUM_FULL;
        atomicOr(&job.flags[pixel / 4], bits << 8 * (pixel % 4));
    }
    return xn_calib_threshold(q, d.threshold);
}

// Pixels of the group that `rare` names.
template <class F, int K>
XN_SUM_FN int64_t group_rare(const xn_sum_job &job, const xn_sum_shot &shot, int64_t corner, unsigned rare)
{
    int64_t v = 0;
    for (int i = 0; rare != 0; i++, rare >>= 1) {
        const int64_t pixel = corner + i / K * job.detector.det_nx + i % K;
        if ((rare & 1) != 0) v += pixel_photons<F>(job, *frame_words<F>(job, shot, pixel), shot.cell, pixel);
    }
    return v;
}

// The group's intensity in the shot whose words were fetched; those of the next are fetched.  Pixels in another stage,
// and those without a number, are done after the others.
template <class F, int K>
XN_SUM_FN int64_t group_kept(const sum_grid &g, const xn_sum_shot &shot, const xn_sum_shot &next, sum_group<F, K> *own)
{
    const xn_sum_detector &d = g.job.detector;
    sum_words<typename F::word, K> words[K];
    unsigned rare = 0;
    int64_t v = 0;
    XN_SUM_ALL
    for (int y = 0; y < K; y++) words[y] = own->words[y];
    if (shot.cell != own->cell) group_planes<F, K>(d, shot.cell, own);
    group_fetch<F, K>(g, next, own);
    XN_SUM_ALL
    for (int i = 0; i < K * K; i++) {
        const typename F::word w = words[i / K].v[i % K];
        const int32_t q = F::is_first(w) ? F::photons(d, w, own->p[i], own->f[i], 0) : XN_CALIB_BAD;
        v += q == XN_CALIB_BAD ? 0 : xn_calib_threshold(q, d.threshold);
        rare |= q == XN_CALIB_BAD ? 1u << i : 0u;
    }
    return rare == 0 ? v : v + group_rare<F, K>(g.job, shot, own->corner, rare);
}

// The same for groups of any size.
template <class F> XN_SUM_FN int64_t group_any(const xn_sum_job &job, const xn_sum_shot &shot, int64_t corner)
{
    const xn_sum_detector &d = job.detector;
    int64_t v = 0;
    for (int y = 0; y < d.k; y++) {
        const int64_t first = corner + y * d.det_nx;
        const typename F::word *from = frame_words<F>(job, shot, first);
        for (int x = 0; x < d.k; x++) v += pixel_photons<F>(job, from[x], shot.cell, first + x);
    }
    return v;
}

XN_SUM_FN void add_sum(int64_t *to, int64_t by, bool alone)
{
    if (alone)
        *to = (int64_t)((uint64_t)*to + (uint64_t)by);
    else
        atomicAdd((unsigned long long *)to, (unsigned long long)by);
}

// The sums of a bin are complete.
template <class F, int K> XN_SUM_FN void group_put(const sum_grid &g, int32_t slot, sum_group<F, K> *own)
{
    const xn_sum_detector &d = g.job.detector;
    const int64_t at = slot * (d.ny * d.nx) + own->group;
    const bool alone = g.shares == 1;
    add_sum(&g.job.s1[at], own->s1, alone);
    add_sum(&g.job.s2[at], own->s2, alone);
    add_sum(&g.job.x[at], own->x, alone);
    own->s1 = own->s2 = own->x = 0;
}

// A warp takes a strip of groups through a share of the shots.
template <class F, int K>
static __global__ void __launch_bounds__(XN_LANES *XN_SUM_WARPS, XN_SUM_TOGETHER(K))
    kernel_sum(const __grid_constant__ struct sum_grid g)
{
    if (!warp_leads()) return;
    const xn_sum_job &job = g.job;
    const uint64_t w = (uint64_t)blockIdx.x * XN_SUM_WARPS + threadIdx.x / XN_LANES;
    const uint64_t strip = w % g.strips, share = w / g.strips;
    if (share >= g.shares) return;
    const int shift = xn_bin_shift(job.detector.k);
    const uint32_t begin = (uint32_t)(job.n * share / g.shares), end = (uint32_t)(job.n * (share + 1) / g.shares);
    typedef sum_group<F, K> group_state;
    XN_OWN(group_state, own);
    XN_OWN(int64_t, kept); // lane j: photons of the strip in shot j of 32
    XN_OWN(uint32_t, low);
    XN_OWN(int32_t, high);
    XN_EACH_LANE(lane) group_open<F, K>(g, (int64_t)strip * XN_LANES + lane, job.shot[begin], &OWN(own));
    for (uint32_t i = begin; i < end; i++) {
        const xn_sum_shot shot = job.shot[i], next = job.shot[i + 1 < end ? i + 1 : i];
        const bool last = i + 1 == end;
        uint32_t all_low;
        int32_t all_high;
        XN_EACH_LANE(lane)
        {
            (void)lane;
            int64_t v = 0;
            if (OWN(own).there) {
                if constexpr (K > 0)
                    v = group_kept<F, K>(g, shot, next, &OWN(own));
                else
                    v = group_any<F>(job, shot, OWN(own).corner);
                OWN(own).peak = xn_bin_peak(v, OWN(own).peak);
                xn_bin_add(v, shot.i0q, shift, &OWN(own).s1, &OWN(own).s2, &OWN(own).x);
                if (last || next.slot != shot.slot) group_put<F, K>(g, shot.slot, &OWN(own));
            }
            OWN(low) = (uint32_t)v & ((1u << XN_SUM_LOW) - 1);
            OWN(high) = (int32_t)(v >> XN_SUM_LOW);
        }
        XN_SUM_LANES(all_low, low);
        XN_SUM_LANES(all_high, high);
        const uint32_t turn = (i - begin) % XN_LANES;
        XN_EACH_LANE(lane)
        {
            if ((uint32_t)lane == turn) OWN(kept) = (int64_t)all_high * (1 << XN_SUM_LOW) + all_low;
            if ((last || turn == XN_LANES - 1) && (uint32_t)lane <= turn)
                job.parts[strip * job.n + (i - turn) + lane] = OWN(kept);
        }
    }
    XN_EACH_LANE(lane)
    {
        (void)lane;
        if (OWN(own).there && g.shares == 1 && OWN(own).peak > job.peak[OWN(own).group])
            job.peak[OWN(own).group] = OWN(own).peak;
        if (OWN(own).there && g.shares > 1) atomicMax((long long *)&job.peak[OWN(own).group], (long long)OWN(own).peak);
    }
}

// Photons of each shot, zeros before, from those of its strips; threads of a warp take neighbouring shots.
static __global__ void __launch_bounds__(XN_SUM_TOTAL_THREADS) kernel_total(const __grid_constant__ struct sum_grid g)
{
    const uint64_t i = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x;
    const uint64_t shot = i % g.job.n, first = i / g.job.n * XN_SUM_PIECE;
    if (first >= g.strips) return;
    const uint64_t end = first + XN_SUM_PIECE < g.strips ? first + XN_SUM_PIECE : g.strips;
    int64_t sum = 0;
    for (uint64_t strip = first; strip < end; strip++) sum += g.job.parts[strip * g.job.n + shot];
    atomicAdd((unsigned long long *)&g.job.photons[shot], (unsigned long long)sum);
}

#endif
