// SPDX-License-Identifier: BSD-3-Clause
// calibration.c -- from stored words to photons: pedestal and gain files of a JUNGFRAU, or a scale.
//
// What the run itself says is found here: high gain (bit 0 of daq_rec), which modules the data hold, frames that are
// converted to keV already, with their mask.  Files and formulas are those of all detectors (detector/load.c).
#include "source/swissfel/swissfel.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "source/detector/detector.h"

static xani_status high_gain(xn_ctx *ctx, const xn_sf_detector *d, bool *high)
{
    int64_t n_high = 0, n = 0;
    for (int64_t i = 0; d->has_daq_rec && i < d->n; i++) {
        if (d->daq_mixed[i] || d->daq_rec[i] == 0) continue;
        n++;
        n_high += (d->daq_rec[i] & XN_DAQ_HIGH_GAIN) != 0;
    }
    *high = n_high > 0;
    if (n_high == 0 || n_high == n) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s/daq_rec says high gain for %lld of %lld frames; one run needs one gain",
                   d->file[0], d->group, (long long)n_high, (long long)n);
}

// Mask of a converted file: True is good.
static xani_status processed_mask(xn_ctx *ctx, const xn_sf_detector *d, xn_source *s)
{
    char dataset[XN_KEY_LENGTH + 32];
    snprintf(dataset, sizeof dataset, "%s/meta/pixel_mask", d->group);
    xn_h5 *h5 = NULL;
    float *good = NULL;
    int64_t n = 0;
    xani_status st;
    XN_GOTO(out, st, xn_h5_open(ctx, d->file[0], &h5));
    if (!xn_h5_exists(h5, dataset)) goto out;
    XN_GOTO(out, st, xn_h5_read_f32(ctx, h5, dataset, &good, &n));
    int64_t pixels = s->ny * s->nx;
    if (n != pixels)
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has %lld pixels, the frames have %lld", d->file[0], dataset,
                     (long long)n, (long long)pixels);
    for (int64_t i = 0; st == XANI_OK && i < n; i++)
        if (good[i] == 0.0f) s->mask[i] |= XN_PIXEL_DEAD;
out:
    xn_free(good);
    xn_h5_close(&h5);
    return st;
}

xani_status xn_sf_calibration(xn_ctx *ctx, const xn_config *config, const xn_sf_detector *d, const int64_t *physical,
                              xn_source *s)
{
    s->mask = xn_calloc((size_t)(s->ny * s->nx), sizeof *s->mask);
    if (s->mask == NULL) return xn_fail_memory(ctx, "the mask", (size_t)(s->ny * s->nx) * sizeof *s->mask);
    int64_t row = 0;
    for (int m = 0; m < s->n_modules; row += s->module_rows[m++])
        for (int64_t i = 0; physical[m] < 0 && i < s->module_rows[m] * s->nx; i++)
            s->mask[row * s->nx + i] |= XN_PIXEL_GAP;
    bool words = xn_config_has(config, "input.calibration.pedestal") || xn_config_has(config, "input.calibration.gain");
    if (words && d->processed)
        return xn_config_bad(ctx, config, "input.calibration",
                             "%s is converted to keV already; leave pedestal and gain out", d->file[0]);
    bool scaled = xn_config_has(config, "input.calibration.kev_per_unit") ||
                  xn_config_has(config, "input.calibration.photons_per_unit");
    bool raw = xn_config_bool(config, "input.frames_only");
    if (!words && !scaled && !raw && !d->processed)
        return xn_config_require(ctx, config, "input.calibration.pedestal",
                                 "raw frames need pedestal and gain files, kev_per_unit or photons_per_unit");
    char frames[XN_KEY_LENGTH + 4200];
    snprintf(frames, sizeof frames, "%s: %s/data", d->file[0], d->group);
    xn_detector_ask ask = {.name = d->name,
                           .frames = frames,
                           .physical = physical,
                           .whole_modules = d->n_map,
                           .kev_per_unit = d->processed ? d->conversion : (double)NAN};
    if (words && !raw) XN_TRY(high_gain(ctx, d, &ask.high_gain));
    XN_TRY(xn_detector_load(ctx, config, &ask, s));
    return d->processed ? processed_mask(ctx, d, s) : XANI_OK;
}
