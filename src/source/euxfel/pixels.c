// SPDX-License-Identifier: BSD-3-Clause
// pixels.c -- the mask words of corrected European XFEL frames: which of their bits count, which pixels are always out.
//
// A bit that is set is a reason against the pixel (formats.md 5).  The words come with every frame, because some
// reasons depend on the gain stage of the shot; those that every frame has are taken as the detector's mask.
#include <string.h>

#include "source/detector/detector.h"
#include "source/euxfel/euxfel.h"

#define SAMPLES 8 // frames looked at

xani_status xn_xf_mask_bits(xn_ctx *ctx, const xn_config *config, uint32_t *bits)
{
    static const char list[] = "input.modules.mask_ignore";
    char key[XN_KEY_LENGTH];
    int n = xn_config_count(config, list);
    *bits = UINT32_MAX;
    for (int i = 0; i < n; i++) {
        const char *text = xn_config_string(config, xn_key(key, "%s[%d]", list, i));
        int bit = xn_mask_bit(XN_BITS_EUXFEL, text);
        if (bit < 0)
            return xn_config_bad(ctx, config, key,
                                 "%s is no bit of a mask: write its number, 0 to 31, or its name (%s)", text,
                                 "INTERPOLATED, NON_STANDARD_SIZE, ...");
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
        if (all[k] & bits) s->mask[k] |= xn_mask_nxmx(XN_BITS_EUXFEL, all[k] & bits);
    xn_free(words);
    return st;
}
