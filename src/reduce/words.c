// SPDX-License-Identifier: BSD-3-Clause
// words.c -- a row of stored words to photons by the kernel of the detector's kind, and why a pixel has no number.
#include <math.h>

#include "reduce/internal.h"

static const unsigned stage_code[] = {0, 1, 3}; // of a JUNGFRAU's stages, the top two bits

unsigned xn_words_code(const xn_groups *g) { return stage_code[g->fixed_stage - 1]; }

void xn_words_row(const xn_groups *g, int64_t frame, int64_t pixel, const void *words, xn_word_row *r)
{
    int64_t cell = g->cell != NULL ? g->cell[frame] : 0, at = cell * g->det_ny * g->det_nx + pixel;
    r->words = words;
    for (int s = 0; s < g->n_stages; s++) {
        r->p[s] = g->pedestal[s] != NULL ? g->pedestal[s] + at : NULL;
        r->f[s] = g->factor[s] + at;
    }
}

bool xn_words_add(const xn_groups *g, const xn_reduce_kernels *k, const xn_word_row *r, int64_t n, int32_t threshold,
                  int32_t *col)
{
    switch (g->kind) {
    case XN_CAL_JUNGFRAU:
        if (g->fixed_stage > 0) return k->fixed_gain(r->words, xn_words_code(g), r->p[0], r->f[0], n, threshold, col);
        return k->jungfrau(r->words, r->p, r->f, n, threshold, col);
    case XN_CAL_EPIX10KA:
        return k->epix10ka(r->words, r->p, r->f, n, threshold, col);
    case XN_CAL_LINEAR:
        return k->linear(r->words, g->type, r->p[0], r->f[0], g->full, n, threshold, col);
    default:
        return k->scale(r->words, g->type, r->f[0], n, threshold, col);
    }
}

void xn_words_flag_pixel(xn_groups *g, int64_t pixel, uint8_t flag)
{
#pragma omp atomic update
    g->pixel_flags[pixel] |= flag;
}

// A word without a number either is none (a code that does not exist, NaN) or is the end of a range.
static bool is_invalid(const xn_groups *g, const void *value)
{
    if (g->kind == XN_CAL_JUNGFRAU) {
        uint16_t word = *(const uint16_t *)value;
        return g->fixed_stage > 0 ? xn_calib_fixed_gain_is_none(word, xn_words_code(g))
                                  : xn_calib_jungfrau_is_none(word);
    }
    if (g->kind == XN_CAL_EPIX10KA) return false;
    return (g->type == XN_F32 && isnan(*(const float *)value)) || (g->type == XN_F64 && isnan(*(const double *)value));
}

void xn_words_flag(xn_groups *g, int64_t pixel, const xn_word_row *r, int64_t n)
{
    size_t size = xn_type_size(g->type);
    for (int64_t x = 0; x < n; x++) {
        xn_word_row one = {.words = (const uint8_t *)r->words + (size_t)x * size};
        int32_t q = 0;
        for (int s = 0; s < g->n_stages; s++) {
            one.p[s] = r->p[s] != NULL ? r->p[s] + x : NULL;
            one.f[s] = r->f[s] + x;
        }
        if (!xn_words_add(g, &xn_reduce_scalar, &one, 1, 0, &q)) continue;
        xn_words_flag_pixel(g, pixel + x, is_invalid(g, one.words) ? XN_FLAG_INVALID : XN_FLAG_FULL);
    }
}

double xn_number_at(xn_type type, const void *values, int64_t i)
{
    switch (type) {
    case XN_F32:
        return (double)((const float *)values)[i];
    case XN_F64:
        return ((const double *)values)[i];
    case XN_I8:
        return ((const int8_t *)values)[i];
    case XN_U8:
        return ((const uint8_t *)values)[i];
    case XN_I16:
        return ((const int16_t *)values)[i];
    case XN_U16:
        return ((const uint16_t *)values)[i];
    case XN_I32:
        return ((const int32_t *)values)[i];
    case XN_U32:
        return ((const uint32_t *)values)[i];
    case XN_I64:
        return (double)((const int64_t *)values)[i];
    default:
        return (double)((const uint64_t *)values)[i];
    }
}
