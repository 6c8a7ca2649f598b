// SPDX-License-Identifier: BSD-3-Clause
// pixels.c -- the mask words of corrected European XFEL frames: which of their bits count, which pixels are always out.
//
// A bit that is set is a reason against the pixel (formats.md 5).  The words come with every frame, because some
// reasons depend on the gain stage of the shot; those that every frame has are taken as the detector's mask.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "source/euxfel/euxfel.h"

#define SAMPLES 8 // frames looked at

static const struct {
    int bit;
    const char *name;
} reasons[] = {{0, "OFFSET_OUT_OF_THRESHOLD"},
               {1, "NOISE_OUT_OF_THRESHOLD"},
               {2, "OFFSET_NOISE_EVAL_ERROR"},
               {3, "NO_DARK_DATA"},
               {4, "CI_GAIN_OF_OF_THRESHOLD"},
               {5, "CI_LINEAR_DEVIATION"},
               {6, "CI_EVAL_ERROR"},
               {7, "FF_GAIN_EVAL_ERROR"},
               {8, "FF_GAIN_DEVIATION"},
               {9, "FF_NO_ENTRIES"},
               {10, "CI2_EVAL_ERROR"},
               {11, "VALUE_IS_NAN"},
               {12, "VALUE_OUT_OF_RANGE"},
               {13, "GAIN_THRESHOLDING_ERROR"},
               {14, "DATA_STD_IS_ZERO"},
               {15, "ASIC_STD_BELOW_NOISE"},
               {16, "INTERPOLATED"},
               {17, "NOISY_ADC"},
               {18, "OVERSCAN"},
               {19, "NON_SENSITIVE"},
               {20, "NON_LIN_RESPONSE_REGION"},
               {21, "WRONG_GAIN_VALUE"},
               {22, "NON_STANDARD_SIZE"},
               {23, "EXPERT_CHOICE"},
               {30, "USER1"},
               {31, "USER2"}};

static int bit_of(const char *text)
{
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (strcmp(reasons[i].name, text) == 0) return reasons[i].bit;
    char *end;
    errno = 0;
    long bit = strtol(text, &end, 10);
    return end != text && *end == '\0' && errno == 0 && bit >= 0 && bit < 32 ? (int)bit : -1;
}

xani_status xn_xf_mask_bits(xn_ctx *ctx, const xn_config *config, uint32_t *bits)
{
    static const char list[] = "input.modules.mask_ignore";
    char key[XN_KEY_LENGTH];
    const char *names[sizeof reasons / sizeof *reasons];
    int n = xn_config_count(config, list);
    *bits = UINT32_MAX;
    for (int i = 0; i < n; i++) {
        const char *text = xn_config_string(config, xn_key(key, "%s[%d]", list, i));
        int bit = bit_of(text);
        if (bit < 0) {
            for (size_t k = 0; k < sizeof names / sizeof *names; k++) names[k] = reasons[k].name;
            const char *nearest = xn_nearest_name(text, names, sizeof names / sizeof *names);
            return xn_config_bad(ctx, config, key, "%s is no bit of a mask%s%s", text,
                                 nearest ? "; the nearest name is " : " (0 to 31, INTERPOLATED, ...)",
                                 nearest ? nearest : "");
        }
        *bits &= ~(1u << bit);
    }
    return XANI_OK;
}

bool xn_xf_has_masks(const xn_xf_detector *d)
{
    for (int k = 0; k < d->n_modules; k++)
        if (d->module[k].mask != NULL) return true;
    return false;
}

xani_status xn_xf_static_mask(xn_ctx *ctx, xn_modules *m, const xn_xf_detector *d, uint32_t bits, xn_source *s)
{
    size_t n = (size_t)(s->ny * s->nx);
    int64_t complete = 0;
    for (int64_t i = 0; i < d->n; i++) complete += d->refused[i] == XN_CUT_NONE;
    if (!xn_xf_has_masks(d) || complete == 0) return XANI_OK;
    uint32_t *words = xn_alloc(2 * n, sizeof *words), *all = words != NULL ? words + n : NULL;
    if (words == NULL) return xn_fail_memory(ctx, "the mask", 2 * n * sizeof *words);
    memset(all, 0xff, n * sizeof *all);
    int64_t seen = 0, taken = 0, step = xn_max64(1, complete / SAMPLES);
    xani_status st = XANI_OK;
    for (int64_t i = 0; st == XANI_OK && i < d->n && taken < SAMPLES; i++) {
        if (d->refused[i] != XN_CUT_NONE || seen++ % step != 0) continue;
        st = xn_modules_read_mask(ctx, m, i, words);
        taken++;
        for (size_t k = 0; st == XANI_OK && k < n; k++) all[k] &= words[k];
    }
    for (size_t k = 0; st == XANI_OK && k < n; k++)
        if (all[k] & bits) s->mask[k] |= XN_PIXEL_DEAD;
    xn_free(words);
    return st;
}
