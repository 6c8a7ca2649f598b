// SPDX-License-Identifier: BSD-3-Clause
// calibration.c -- what frames of European XFEL detectors mean: corrected ones a scale, words of a raw JUNGFRAU
// pedestals and gains, per memory cell where the calibration files have them so (formats.md 4.1).
//
// Planes per memory cell are as many times larger, so they are asked for only where a file has such.
#include <math.h>
#include <string.h>

#include "source/detector/detector.h"
#include "source/euxfel/euxfel.h"

// True when the file of this key has planes of its own for every memory cell.
static bool has_cells(xn_ctx *ctx, const xn_config *config, const char *key, const xn_source *s)
{
    static const char *const names[] = {"gains", "/entry/calibration/pedestal", "pedestals", "pedestal", "gain"};
    char *path = xn_config_has(config, key) ? xn_config_path(config, key) : NULL;
    xn_h5 *h5 = NULL;
    bool found = false;
    if (path != NULL && xn_h5_open(ctx, path, &h5) == XANI_OK)
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            xn_h5_info info;
            if (!xn_h5_exists(h5, names[i]) || xn_h5_info_get(ctx, h5, names[i], &info) != XANI_OK) continue;
            found = !info.is_group && info.rank > 3 && info.dims[0] > 0 && info.size > info.dims[0] * s->ny * s->nx;
            break;
        }
    xn_clear_error(ctx); // what is wrong with the file is told where it is read
    xn_h5_close(&h5);
    xn_free(path);
    return found;
}

static xani_status take_cells(xn_ctx *ctx, const xn_xf_detector *d, xn_source *s)
{
    int most = 0;
    s->cal.cell = xn_alloc((size_t)d->n, sizeof *s->cal.cell);
    if (s->cal.cell == NULL) return xn_fail_memory(ctx, "the memory cells", (size_t)d->n * sizeof *s->cal.cell);
    for (int64_t i = 0; i < d->n; i++) {
        s->cal.cell[i] = d->cell[i];
        if (d->cell[i] > most) most = d->cell[i];
    }
    s->cal.n_cells = most + 1;
    return XANI_OK;
}

xani_status xn_xf_calibrate(xn_ctx *ctx, const xn_config *config, const xn_xf_detector *d, xn_source *s)
{
    const char *pedestal = "input.calibration.pedestal", *gain = "input.calibration.gain";
    const xn_detector_ask ask = {.name = d->name, .kev_per_unit = NAN};
    bool files = xn_config_has(config, pedestal) || xn_config_has(config, gain);
    bool scaled = xn_config_has(config, "input.calibration.kev_per_unit") ||
                  xn_config_has(config, "input.calibration.photons_per_unit");
    if (files && !d->words && s->type == XN_F32)
        return xn_config_bad(ctx, config, "input.calibration",
                             "the frames of %s are corrected already; leave pedestal and gain out", d->name);
    if (d->words && scaled && !files)
        return xn_config_bad(ctx, config, "input.calibration",
                             "the frames of %s are words of three gain stages, which no single scale fits", d->name);
    bool dark = xn_config_bool(config, "input.frames_only"); // pedestals of each cell are to be found
    if (d->words && !dark) XN_TRY(xn_config_require(ctx, config, pedestal, "raw frames need pedestal and gain files"));
    if (d->words && (dark || has_cells(ctx, config, pedestal, s) || has_cells(ctx, config, gain, s)))
        XN_TRY(take_cells(ctx, d, s));
    return xn_detector_load(ctx, config, &ask, s);
}
