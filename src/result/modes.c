// SPDX-License-Identifier: BSD-3-Clause
// modes.c -- modes.h5: the damped cosines of each pixel group, with errors, and how they were found.
//
// One table for writing and reading.  The attributes of /entry/modes say what a user of the numbers must
// know: where the errors come from, the acceptance threshold and its false-alarm rate, band and delays.
#include <math.h>
#include <string.h>

#include "result/nexus.h"
#include "xani/traces.h"

enum { MODE, BACKGROUND, Y, X, MODULE, ENTRY, DELAY, EXTENTS };

#define DIMS(...)                                                                                                      \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }
#define MODES 3, DIMS(MODE, Y, X), false
#define PLANE 2, DIMS(Y, X), false

static const xn_field fields[] = {
    {"/entry/modes/frequency", offsetof(xn_modes, frequency), XN_F32, MODES, "THz", "frequency of the oscillation"},
    {"/entry/modes/frequency_errors", offsetof(xn_modes, frequency_errors), XN_F32, MODES, "THz",
     "one standard deviation"},
    {"/entry/modes/amplitude", offsetof(xn_modes, amplitude), XN_F32, MODES, "", "amplitude at delay zero"},
    {"/entry/modes/amplitude_errors", offsetof(xn_modes, amplitude_errors), XN_F32, MODES, "",
     "one standard deviation"},
    {"/entry/modes/phase", offsetof(xn_modes, phase), XN_F32, MODES, "rad", "phase of the cosine at delay zero"},
    {"/entry/modes/phase_errors", offsetof(xn_modes, phase_errors), XN_F32, MODES, "rad", "one standard deviation"},
    {"/entry/modes/damping", offsetof(xn_modes, damping), XN_F32, MODES, "1/ps", "decay rate of the amplitude"},
    {"/entry/modes/damping_errors", offsetof(xn_modes, damping_errors), XN_F32, MODES, "1/ps",
     "one standard deviation"},
    {"/entry/modes/significance", offsetof(xn_modes, significance), XN_F32, MODES, "",
     "rise of chi^2 without this mode, the others' f and g held, over s^2"},
    {"/entry/n_modes", offsetof(xn_modes, count), XN_U8, PLANE, "", "accepted modes"},
    {"/entry/fit_status", offsetof(xn_modes, status), XN_U8, PLANE, NULL, "outcome of the fit"},
    {"/entry/chi2_reduced", offsetof(xn_modes, chi2_reduced), XN_F32, PLANE, "", "reduced chi^2"},
    {"/entry/sigma", offsetof(xn_modes, sigma), XN_F32, 2, DIMS(Y, X), true, "",
     "one standard deviation of a sample of weight 1, by which chi^2 was counted"},
    {"/entry/fit/weight", offsetof(xn_modes, weight), XN_F64, 1, DIMS(DELAY), true, NULL,
     "weight of each delay of the cube: a sample's standard deviation is /entry/sigma over its root"},
    {"/entry/background", offsetof(xn_modes, background), XN_F32, 3, DIMS(BACKGROUND, Y, X), false, "",
     "coefficients of the background; attribute background of /entry/modes says which"},
    {"/entry/shared", offsetof(xn_modes, shared), XN_U8, 2, DIMS(Y, X), true, "",
     "1 where frequency and damping are those of the neighbourhood"},
    {"/entry/covariance", offsetof(xn_modes, covariance), XN_F32, 3, DIMS(ENTRY, Y, X), true, NULL,
     "covariance of the modes, lower triangle row by row"},
    {"/entry/module_rows", offsetof(xn_modes, module_rows), XN_I64, 1, DIMS(MODULE), true, "pixel",
     "rows of each module"},
};

static const xn_scalar scalars[] = {
    {"/entry/spatial_bin", offsetof(xn_modes, spatial_bin), XN_I32, false, "pixel"},
    {"/entry/fit/delay_first", offsetof(xn_modes, delay_lo_ps), XN_F64, true, "ps"},
    {"/entry/fit/delay_last", offsetof(xn_modes, delay_hi_ps), XN_F64, true, "ps"},
    {"/entry/fit/delay_step", offsetof(xn_modes, step_ps), XN_F64, true, "ps"},
    {"/entry/fit/n_delays", offsetof(xn_modes, n_delays), XN_I32, true, NULL},
    {"/entry/fit/band_low", offsetof(xn_modes, band_thz[0]), XN_F64, true, "THz"},
    {"/entry/fit/band_high", offsetof(xn_modes, band_thz[1]), XN_F64, true, "THz"},
    {"/entry/fit/threshold", offsetof(xn_modes, threshold), XN_F64, true, NULL},
    {"/entry/fit/false_alarm", offsetof(xn_modes, false_alarm), XN_F64, true, NULL},
};

// Not in files of earlier versions
static const xn_scalar later[] = {
    {"/entry/fit/response_fwhm", offsetof(xn_modes, response_fwhm_ps), XN_F64, true, "ps"},
    {"/entry/fit/time_zero", offsetof(xn_modes, time_zero_ps), XN_F64, true, "ps"},
};

// In the order of XN_FIT_*.
static const char *const status_names[] = {"at least one mode", "no significant mode", "masked",
                                           "too few delays",    "not converged",       "at a bound"};

static void write_attributes(xn_writer *w, const xn_modes *m)
{
    static const char *const further[] = {"amplitude", "phase", "damping", "significance"};
    const double delay[] = {m->delay_lo_ps, m->delay_hi_ps};
    xn_writer_attr_texts(w, "/entry/modes", "auxiliary_signals", further, XN_COUNT(further));
    xn_writer_attr_text(w, "/entry/modes", "errors_from", m->errors_counting ? "counting" : "residual");
    xn_writer_attr_f64(w, "/entry/modes", "threshold", &m->threshold, 0);
    xn_writer_attr_f64(w, "/entry/modes", "false_alarm", &m->false_alarm, 0);
    xn_writer_attr_f64(w, "/entry/modes", "frequency_thz", m->band_thz, 2);
    xn_writer_attr_f64(w, "/entry/modes", "delay_ps", delay, 2);
    xn_writer_attr_f64(w, "/entry/modes", "delay_step_ps", &m->step_ps, 0);
    xn_writer_attr_text(w, "/entry/modes", "kernels", m->kernels ? m->kernels : "");
    xn_writer_attr_text(w, "/entry/modes", "start", m->start ? m->start : "");
    xn_writer_attr_text(w, "/entry/modes", "weights_from", m->weights ? m->weights : "");
    xn_writer_attr_text(w, "/entry/modes", "rounds", m->rounds ? m->rounds : "none");
    static const char *const backgrounds[2][2] = {
        {"Legendre coefficients on the span of the delays used",
         "Legendre coefficients on the span of the delays used; the last: the level before time zero"},
        {"offset, c, r of offset + c exp(-r t), r in 1/ps",
         "offset, c, r of offset + c exp(-r t), r in 1/ps; the level before time zero"}};
    xn_writer_attr_text(
        w, "/entry/modes", "model",
        m->response_fwhm_ps > 0.0
            ? "background + sum A exp(-g t) cos(2 pi f t + phase) from t = 0 on, convolved with a gaussian "
              "of full width response_fwhm; t: corrected delay less time_zero"
            : "background + sum A exp(-g t) cos(2 pi f t + phase), t: corrected delay less time_zero");
    xn_writer_attr_text(w, "/entry/modes", "background", backgrounds[m->background_exponential][m->level_before]);
    xn_writer_attr_text(w, "/entry/modes/frequency", "interpretation", "image");
    xn_writer_attr_texts(w, "/entry/fit_status", "names", status_names, XN_COUNT(status_names));
    if (m->covariance == NULL) return;
    static const char *const parameters[] = {"frequency", "damping", "amplitude", "phase"};
    static const char *const units[] = {"THz", "1/ps", "", "rad"};
    xn_writer_attr_texts(w, "/entry/covariance", "parameters", parameters, XN_COUNT(parameters));
    xn_writer_attr_texts(w, "/entry/covariance", "parameter_units", units, XN_COUNT(units));
    xn_writer_attr_text(
        w, "/entry/covariance", "layout",
        "entry i (i + 1)/2 + j, j <= i, of parameters i and j; parameter 4 m + p is `parameters`[p] of mode m; "
        "NaN where there is no mode or the parameter is at a bound");
}

xani_status xn_result_write_modes(xn_ctx *ctx, const char *path, const xn_modes *m, const xn_provenance *p)
{
    static const char *const axes[] = {"mode", "y", "x"};
    const int64_t extent[EXTENTS] = {
        [MODE] = m->n_modes,     [BACKGROUND] = m->n_background, [Y] = m->ny,        [X] = m->nx,
        [MODULE] = m->n_modules, [ENTRY] = m->n_covariance,      [DELAY] = m->n_bins};
    int32_t index[XANI_MAX_MODES];
    for (int i = 0; i < XANI_MAX_MODES; i++) index[i] = i;
    if (m->n_modes > XANI_MAX_MODES) return xn_fail(ctx, XANI_ERR_INTERNAL, "%s: %d modes", path, m->n_modes);
    xn_writer *w;
    XN_TRY(xn_nexus_create(ctx, path, XN_RESULT_MODES, "modes of the pump-probe oscillation", p, &w));
    xn_nexus_data(w, "/entry/modes", "frequency", axes, 3, "frequency of the modes");
    xn_writer_data(w, "/entry/modes/mode", XN_I32, 1, &extent[MODE], NULL, index);
    xn_writer_attr_text(w, "/entry/modes/mode", "long_name", "mode, 0 the most significant");
    xn_writer_group(w, "/entry/fit", "NXcollection");
    xn_nexus_fields(w, fields, XN_COUNT(fields), m, extent);
    xn_nexus_scalars(w, scalars, XN_COUNT(scalars), m);
    xn_nexus_scalars(w, later, XN_COUNT(later), m);
    xn_nexus_text(w, "/entry/fit/kernels", m->kernels);
    xn_nexus_run(w, m->run, m->angles_deg, m->n_angles);
    write_attributes(w, m);
    xani_status st = xn_nexus_pixel_axes(ctx, w, "/entry/modes", m->ny, m->nx);
    if (st == XANI_OK) return xn_writer_publish(&w);
    xn_writer_abort(&w);
    return xn_context(ctx, st, "while writing %s", path);
}

static xani_status read_all(xn_ctx *ctx, const xn_h5 *file, xn_modes *m)
{
    int64_t extent[EXTENTS];
    for (int i = 0; i < EXTENTS; i++) extent[i] = XN_EXTENT_UNKNOWN;
    m->delay_lo_ps = m->delay_hi_ps = m->step_ps = m->threshold = m->false_alarm = NAN; // others may not know them
    m->band_thz[0] = m->band_thz[1] = NAN;
    XN_TRY(xn_nexus_read_fields(ctx, file, fields, XN_COUNT(fields), m, extent));
    XN_TRY(xn_nexus_read_scalars(ctx, file, scalars, XN_COUNT(scalars), m));
    XN_TRY(xn_nexus_read_scalars(ctx, file, later, XN_COUNT(later), m));
    m->n_modes = (int)extent[MODE];
    m->n_background = (int)extent[BACKGROUND];
    m->ny = extent[Y];
    m->nx = extent[X];
    m->n_modules = m->module_rows ? (int)extent[MODULE] : 0;
    m->n_bins = m->weight ? (int)extent[DELAY] : 0;
    m->n_covariance = m->covariance ? (int)extent[ENTRY] : 0;
    if (xn_h5_exists(file, "/entry/fit/kernels"))
        XN_TRY(xn_h5_read_string(ctx, file, "/entry/fit/kernels", &m->kernels));
    XN_TRY(xn_nexus_read_run(ctx, file, &m->run, m->angles_deg, XN_COUNT(m->angles_deg), &m->n_angles));
    XN_TRY(xn_nexus_read_choice(ctx, file, "/entry/modes", "errors_from", "counting", "residual", &m->errors_counting));
    XN_TRY(xn_nexus_check_modules(ctx, file, m->module_rows, m->n_modules, m->ny));
    for (int64_t i = 0; i < m->ny * m->nx; i++)
        if (m->count[i] > m->n_modes)
            return xn_fail(ctx, XANI_ERR_INPUT, "%s: /entry/n_modes says %d where there are %d", xn_h5_path(file),
                           m->count[i], m->n_modes);
    if (m->spatial_bin < 1)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: /entry/spatial_bin is %d", xn_h5_path(file), m->spatial_bin);
    return XANI_OK;
}

xani_status xn_result_read_modes(xn_ctx *ctx, const char *path, xn_modes *modes)
{
    memset(modes, 0, sizeof *modes);
    xn_h5 *file;
    XN_TRY(xn_h5_open(ctx, path, &file));
    xani_status st = read_all(ctx, file, modes);
    xn_h5_close(&file);
    if (st != XANI_OK) xn_modes_free(modes);
    return st;
}
