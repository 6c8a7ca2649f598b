// SPDX-License-Identifier: BSD-3-Clause
// word.h -- the formulas of calib.h as types that the kernels of sum.h are made of, one for each kind of word.
//
// Each has the type of its words; photons(), in fixed point, of one word; is_first(), whether that takes the planes of
// the first gain stage alone; is_none(), why a word has no number.  p and f are those planes at the pixel, those of
// other stages are read where a word needs them, which is rare.
#ifndef XN_CUDA_WORD_H
#define XN_CUDA_WORD_H

#define XN_DEVICE 1
#include "kernel/bin.h"
#include "kernel/calib.h"
#include "kernel/sum_device.h"

#define XN_WORD_FN static __device__ __forceinline__

struct word_jungfrau {
    typedef uint16_t word;
    static const bool has_pedestal = true;
    XN_WORD_FN int32_t photons(const xn_sum_detector &d, word w, float p, float f, int64_t at)
    {
        const unsigned code = w >> 14;
        float pedestal = p, factor = f;
        if (code != 0) {
            const int s = code == 1 ? 1 : 2;
            pedestal = d.pedestal[s][at];
            factor = d.factor[s][at];
        }
        const float ps[3] = {p, pedestal, pedestal}, fs[3] = {f, factor, factor};
        return xn_calib_jungfrau(w, ps, fs);
    }
    XN_WORD_FN bool is_first(word w) { return w >> 14 == 0; }
    XN_WORD_FN bool is_none(const xn_sum_detector &, word w) { return xn_calib_jungfrau_is_none(w); }
};

struct word_fixed_gain {
    typedef uint16_t word;
    static const bool has_pedestal = true;
    XN_WORD_FN int32_t photons(const xn_sum_detector &d, word w, float p, float f, int64_t)
    {
        return xn_calib_fixed_gain(w, d.code, p, f);
    }
    XN_WORD_FN bool is_first(word) { return true; }
    XN_WORD_FN bool is_none(const xn_sum_detector &d, word w) { return xn_calib_fixed_gain_is_none(w, d.code); }
};

struct word_epix10ka {
    typedef uint16_t word;
    static const bool has_pedestal = true;
    XN_WORD_FN int32_t photons(const xn_sum_detector &d, word w, float p, float f, int64_t at)
    {
        const bool low = (w & 0x4000) != 0;
        const float ps[2] = {p, low ? d.pedestal[1][at] : p}, fs[2] = {f, low ? d.factor[1][at] : f};
        return xn_calib_epix10ka(w, ps, fs);
    }
    XN_WORD_FN bool is_first(word w) { return (w & 0x4000) == 0; }
    XN_WORD_FN bool is_none(const xn_sum_detector &, word) { return false; }
};

// float32 holds 8- and 16-bit values exactly; wider ones go through float64.
template <typename T> struct real_of {
    static const bool narrow = sizeof(T) <= 2;
};
template <> struct real_of<float> {
    static const bool narrow = true;
};

template <typename T> XN_WORD_FN bool is_nan(T v) { return v != v; }

template <typename T> struct word_linear {
    typedef T word;
    static const bool has_pedestal = true;
    XN_WORD_FN int32_t photons(const xn_sum_detector &d, word w, float p, float f, int64_t)
    {
        if (real_of<T>::narrow) return xn_calib_linear((float)w, p, f, (float)d.full);
        return xn_calib_linear_f64((double)w, (double)p, (double)f, d.full);
    }
    XN_WORD_FN bool is_first(word) { return true; }
    XN_WORD_FN bool is_none(const xn_sum_detector &, word w) { return is_nan(w); }
};

template <typename T> struct word_scale {
    typedef T word;
    static const bool has_pedestal = false;
    XN_WORD_FN int32_t photons(const xn_sum_detector &, word w, float, float f, int64_t)
    {
        return real_of<T>::narrow ? xn_calib_scale((float)w, f) : xn_calib_scale_f64((double)w, (double)f);
    }
    XN_WORD_FN bool is_first(word) { return true; }
    XN_WORD_FN bool is_none(const xn_sum_detector &, word w) { return is_nan(w); }
};

#endif
