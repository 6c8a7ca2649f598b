// SPDX-License-Identifier: BSD-3-Clause
// words.c -- calibration of detectors whose words tell a gain stage: JUNGFRAU and ePix10ka (formats.md 4.1, 4.2).
//
// JUNGFRAU files hold 3 or more planes G0, G1, G2[, HG0[, HG1, HG2]]; runs in high gain take plane 3 for G0, and 4, 5
// where there are any, and plane 3 of a pedestal file for all gains.  ePix10ka files hold seven ranges, of which each
// pixel takes the two that its configuration allows (epix10ka.c); both high and medium ranges are quiet enough for
// common mode.
#include <math.h>
#include <string.h>

#include "source/detector/load.h"

static xani_status need_words(const xn_detector_loading *l)
{
    if (l->s->type == XN_U16) return XANI_OK;
    return xn_fail(l->ctx, XANI_ERR_INPUT, "%s has type %s; pedestal and gain files need uint16 words",
                   l->ask->frames != NULL ? l->ask->frames : "the frames", xn_type_name(l->s->type));
}

static xani_status need_files(const xn_detector_loading *l)
{
    const xn_config *c = l->config;
    bool gain = xn_config_has(c, "input.calibration.gain_stages") || xn_config_has(c, "input.calibration.gain_modules");
    XN_TRY(xn_config_require(l->ctx, c, "input.calibration.pedestal", "it belongs to input.calibration.gain"));
    if (!gain)
        XN_TRY(xn_config_require(l->ctx, c, "input.calibration.gain", "it belongs to input.calibration.pedestal"));
    return XANI_OK;
}

xani_status xn_detector_jungfrau(const xn_detector_loading *given)
{
    static const int stages[] = {0, 1, 2};
    static const char *const names[] = {"dynamic", "g0", "g1", "g2"};
    xn_detector_loading l = *given;
    const char *gain = xn_config_string(l.config, "input.calibration.gain_mode");
    XN_TRY(need_files(&l));
    if (gain != NULL) l.high_gain = strcmp(gain, "high") == 0;
    for (int i = 0; gain != NULL && i < 4; i++)
        if (strcmp(gain, names[i]) == 0) l.s->cal.fixed_stage = i;
    XN_TRY(need_words(&l));
    XN_TRY(xn_detector_factors(&l, 3, stages, 3, l.s->cal.factor));
    return xn_detector_pedestals(&l, 3, stages, 3, l.s->cal.pedestal);
}

// Of the seven ranges' planes the two of each pixel; -1: the pixel has no such state.
static void choose_ranges(const xn_detector_loading *l, const uint8_t *bits, float *const all[XN_EPIX_RANGES],
                          float *const two[2])
{
    int64_t pixels = l->s->ny * l->s->nx;
    for (int64_t at = 0; at < l->cells * pixels; at++)
        for (unsigned s = 0; s < 2; s++) {
            int range = xn_epix10ka_range(bits[at % pixels], s);
            two[s][at] = range < 0 ? NAN : all[range][at];
        }
}

static xani_status both(const xn_detector_loading *l, const uint8_t *bits, float *two[2],
                        xani_status (*read)(const xn_detector_loading *, int, const int *, int, float **))
{
    static const int ranges[] = {0, 1, 2, 3, 4, 5, 6};
    float *all[XN_EPIX_RANGES] = {0};
    xani_status st = read(l, XN_EPIX_RANGES, ranges, XN_EPIX_RANGES, all);
    for (int s = 0; s < 2 && st == XANI_OK; s++) st = xn_detector_plane(l, &two[s]);
    if (st == XANI_OK) choose_ranges(l, bits, all, two);
    for (int k = 0; k < XN_EPIX_RANGES; k++) xn_free(all[k]);
    return st;
}

// Ranges 0, 1, 3 and 4: high and medium gain.
static xani_status mark_quiet(const xn_detector_loading *l, const uint8_t *bits)
{
    size_t n = (size_t)(l->s->ny * l->s->nx);
    uint8_t *quiet = l->s->cal.quiet = xn_calloc(n, 1);
    if (quiet == NULL) return xn_fail_memory(l->ctx, "the quiet stages", n);
    for (size_t i = 0; i < n; i++)
        for (unsigned s = 0; s < 2; s++) {
            int range = xn_epix10ka_range(bits[i], s);
            if (range == 0 || range == 1 || range == 3 || range == 4) quiet[i] |= (uint8_t)(1u << s);
        }
    return XANI_OK;
}

xani_status xn_detector_epix10ka(const xn_detector_loading *l)
{
    uint8_t *bits = NULL;
    XN_TRY(need_files(l));
    XN_TRY(need_words(l));
    xani_status st = xn_epix10ka_bits(l->ctx, l->config, l->ask, l->s, &bits);
    if (st == XANI_OK) st = both(l, bits, l->s->cal.factor, xn_detector_factors);
    if (st == XANI_OK) st = both(l, bits, l->s->cal.pedestal, xn_detector_pedestals);
    if (st == XANI_OK) st = mark_quiet(l, bits);
    xn_free(bits);
    return st;
}

xani_status xn_detector_drop_pixels(const xn_detector_loading *l)
{
    xn_calibration *c = &l->s->cal;
    int64_t n = l->s->ny * l->s->nx, bad = 0;
    for (int64_t i = 0; i < n; i++) {
        bool good = true;
        for (int g = 0; g < 3 && c->factor[g] != NULL; g++)
            for (int64_t at = i; at < n * l->cells; at += n)
                good = good && isfinite(c->factor[g][at]) && c->factor[g][at] != 0.0f && isfinite(c->pedestal[g][at]);
        if (good) continue;
        bad++;
        l->s->mask[i] |= XN_PIXEL_DEAD;
        for (int g = 0; g < 3 && c->factor[g] != NULL; g++) // counts nothing
            for (int64_t at = i; at < n * l->cells; at += n) c->factor[g][at] = c->pedestal[g][at] = 0.0f;
    }
    if (bad == n)
        return xn_fail(l->ctx, XANI_ERR_INPUT, "%s: gains are NaN or zero in some plane of every pixel",
                       xn_config_has(l->config, "input.calibration.gain")
                           ? xn_config_string(l->config, "input.calibration.gain")
                           : "input.calibration");
    if (bad > 0)
        xn_note(l->ctx, "%lld of %lld pixels have no gain or pedestal and are masked", (long long)bad, (long long)n);
    return XANI_OK;
}
