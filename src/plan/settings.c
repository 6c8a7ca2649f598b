// SPDX-License-Identifier: BSD-3-Clause
// settings.c -- quantities of the plan: given, else measured, else assumed; the delays that a fit would use.
#include <math.h>

#include "fit/fit.h"
#include "fit/plan.h"
#include "plan/plan.h"
#include "reduce/internal.h"

static const struct {
    const char *key, *name;
    double assumed; // NaN: it stays unknown
} quantities[XN_PLAN_VALUES] = {
    [XN_PLAN_PHOTONS] = {"plan.photons", "photons_per_pixel_and_shot", NAN},
    [XN_PLAN_BACKGROUND] = {"plan.background", "background_fraction", 0.0},
    [XN_PLAN_NOISE] = {"plan.noise_photons", "noise_photons", 0.03},
    [XN_PLAN_I0] = {"plan.i0_rms", "i0_rms", 0.2},
    [XN_PLAN_MONITOR] = {"plan.monitor_rms", "monitor_rms", 0.01},
    [XN_PLAN_TIMING] = {"plan.timing_rms_ps", "timing_rms_ps", 0.02},
    [XN_PLAN_SHOTS] = {"plan.shots", "shots_per_run", NAN},
    [XN_PLAN_RATE] = {"plan.rate_hz", "shots_per_second", NAN},
    [XN_PLAN_OFF] = {"plan.off_fraction", "laser_off_fraction", 0.25},
    [XN_PLAN_USED] = {"plan.used_fraction", "used_fraction", 0.9},
};

const char *xn_plan_name(xn_plan_what what) { return quantities[what].name; }
double xn_plan_v(const xn_plan *p, xn_plan_what what) { return p->value[what].value; }

static const char given[] = "given", assumed[] = "assumed";

void xn_plan_measured(xn_plan *p, xn_plan_what what, double v, const char *where)
{
    if (p->value[what].from == given || !isfinite(v)) return;
    if (p->fill && isfinite(p->value[what].value)) return;
    p->value[what] = (xn_plan_value){v, where};
}

void xn_plan_assume(xn_plan *p)
{
    for (int i = 0; i < XN_PLAN_VALUES; i++)
        if (isnan(p->value[i].value)) p->value[i] = (xn_plan_value){quantities[i].assumed, assumed};
}

xani_status xn_plan_settings(xn_plan *p)
{
    const xn_config *c = p->config;
    for (int i = 0; i < XN_PLAN_VALUES; i++) {
        bool whole = i == XN_PLAN_SHOTS, has = xn_config_has(c, quantities[i].key);
        double v = !has    ? NAN
                   : whole ? (double)xn_config_int(c, quantities[i].key)
                           : xn_config_double(c, quantities[i].key);
        p->value[i] = (xn_plan_value){v, has ? given : "unknown"};
    }
    if (xn_config_has(c, "plan.thickness_um"))
        XN_TRY(xn_config_require(p->ctx, c, "plan.pulse_photons", "brightness follows from photons and thickness"));
    if (xn_config_has(c, "plan.pulse_photons"))
        XN_TRY(xn_config_require(p->ctx, c, "plan.thickness_um", "brightness follows from photons and thickness"));
    p->threads = xn_threads((int)xn_config_int(c, "engine.threads"));
    p->bin = (int)xn_config_int(c, "reduce.spatial_bin");
    p->certainty = xn_config_double(c, "plan.certainty");
    p->temperature_k = xn_config_double(c, "map.force_constants.temperature_k");
    p->noise_scale = p->amplitude_scale = p->frequency_scale = 1.0;
    p->max_thz = p->jitter_rms_ps = p->sigma_measured = p->sigma_expected = p->rho_needed = NAN;
    const bool has_damping = xn_config_has(c, "plan.damping_per_ps");
    int n = xn_config_doubles(c, "plan.damping_per_ps", p->damping_per_ps, XN_PLAN_BRANCHES);
    for (int i = n; i < XN_PLAN_BRANCHES; i++) p->damping_per_ps[i] = i > 0 ? p->damping_per_ps[i - 1] : 0.0;
    for (int i = 0; i < XN_PLAN_BRANCHES; i++) p->damping_from[i] = has_damping ? given : assumed;
    return XANI_OK;
}

double xn_plan_on_shots(const xn_plan *p)
{
    return xn_plan_v(p, XN_PLAN_SHOTS) * (1.0 - xn_plan_v(p, XN_PLAN_OFF)) * xn_plan_v(p, XN_PLAN_USED);
}

// ---- delays

static int background_degree(const xn_config *c)
{
    int degree = xn_fit_background_asked(c);
    return degree == XANI_BACKGROUND_EXPONENTIAL ? 2 : degree; // it takes about as much from a trace as a parabola
}

// As the fit chooses them (fit/fit.c): bins wholly after time zero, or those with a mean in fit.delay_ps.
static void chosen(const xn_config *c, int n, const double *edges, const double *shots, int *first, int *end)
{
    double zero = xn_config_double(c, "fit.time_zero_ps"), span[2] = {zero, INFINITY};
    bool asked = xn_config_has(c, "fit.delay_ps"), response = xn_config_double(c, "fit.response_fwhm_ps") > 0.0;
    double slack = 1e-6 * (edges[n] - edges[0]) / n;
    if (asked) xn_config_doubles(c, "fit.delay_ps", span, 2);
    if (response && !asked) span[0] = -INFINITY;
    *first = 0, *end = n;
    while (*first < *end && (asked ? 0.5 * (edges[*first] + edges[*first + 1]) : edges[*first]) < span[0] - slack)
        ++*first;
    while (*end > *first && 0.5 * (edges[*end - 1] + edges[*end]) > span[1] + slack) --*end;
    while (*first < *end && !(shots[*first] > 0.0)) ++*first;
    while (*end > *first && !(shots[*end - 1] > 0.0)) --*end;
}

static xani_status set_band(xn_ctx *ctx, const xn_config *c, xn_plan_trace *t)
{
    double span = t->end_ps - t->begin_ps, lowest = 1.0 / span, highest = 0.95 * 0.5 * t->n / span;
    double asked[2] = {lowest, highest}, false_alarm;
    if (xn_config_has(c, "fit.frequency_thz")) xn_config_doubles(c, "fit.frequency_thz", asked, 2);
    if (asked[0] >= highest || asked[1] <= lowest)
        return xn_config_bad(ctx, c, "fit.frequency_thz",
                             "[%g, %g] THz lies outside of what the delays can show, %.4g to %.4g THz", asked[0],
                             asked[1], lowest, highest);
    t->band_thz[0] = fmin(fmax(asked[0], lowest), highest);
    t->band_thz[1] = fmin(fmax(asked[1], t->band_thz[0]), highest);
    t->threshold = xn_fit_threshold(xn_fit_significance_asked(c), fmax((t->band_thz[1] - t->band_thz[0]) * span, 1.0),
                                    t->n - t->degree - 1.0, xn_fit_tests_asked(c), &false_alarm);
    return XANI_OK;
}

xani_status xn_plan_bins(xn_plan *p, int n, const double *edges, const double *shots, double width_ps)
{
    xn_plan_trace *t = &p->trace;
    double zero = xn_config_double(p->config, "fit.time_zero_ps"), all = 0.0;
    int first, end;
    xn_plan_trace_free(t);
    p->n_bins = n;
    for (int i = 0; i < n; i++) all += shots[i];
    chosen(p->config, n, edges, shots, &first, &end);
    t->degree = background_degree(p->config);
    if (end - first < t->degree + 9 || !(all > 0.0)) return XANI_OK; // the fit would not begin
    t->t_ps = xn_alloc((size_t)(end - first), sizeof(double));
    t->share = xn_alloc((size_t)(end - first), sizeof(double));
    if (t->t_ps == NULL || t->share == NULL) return xn_fail_memory(p->ctx, "the delays", (size_t)(end - first) * 16);
    double step = (edges[end] - edges[first]) / (end - first);
    t->step_ps = step;
    for (int i = first; i < end; i++) {
        t->t_ps[t->n] = 0.5 * (edges[i] + edges[i + 1]) - zero;
        t->share[t->n++] = shots[i] / all;
        if (fabs(edges[i + 1] - edges[i] - step) > 1e-3 * step) t->step_ps = NAN;
    }
    t->begin_ps = edges[first];
    t->end_ps = edges[end];
    t->width_ps = width_ps;
    XN_TRY(set_band(p->ctx, p->config, t));
    p->rho_needed = xn_plan_rho_for(p->certainty, t->threshold);
    return XANI_OK;
}

xani_status xn_plan_bins_between(xn_plan *p, int n_bins, const double *delay_ps, const double *weight)
{
    size_t n = (size_t)n_bins;
    double *edges = xn_alloc(2 * n + 2, sizeof *edges), *shots;
    if (edges == NULL) return xn_fail_memory(p->ctx, "the delays", n * 16);
    shots = edges + n + 1;
    for (size_t b = 0; b < n; b++) {
        double before = b > 0 ? delay_ps[b - 1] : 2.0 * delay_ps[0] - delay_ps[1];
        edges[b] = 0.5 * (before + delay_ps[b]);
        shots[b] = weight != NULL ? weight[b] : 1.0;
    }
    edges[n] = delay_ps[n - 1] + (delay_ps[n - 1] - edges[n - 1]);
    xani_status st = xn_plan_bins(p, n_bins, edges, shots, (edges[n] - edges[0]) / (double)n);
    xn_free(edges);
    return st;
}

xani_status xn_plan_bins_configured(xn_plan *p)
{
    xn_bins bins;
    bool uniform = xn_config_has(p->config, "reduce.delay_bins_ps.step");
    if (!uniform && !xn_config_has(p->config, "reduce.delay_bins_ps.edges")) return XANI_OK;
    XN_TRY(xn_bins_make(p->ctx, p->config, NULL, 0, &bins));
    double *shots = xn_alloc((size_t)bins.n, sizeof *shots),
           width = (bins.edges_ps[bins.n] - bins.edges_ps[0]) / bins.n;
    xani_status st = shots != NULL ? XANI_OK : xn_fail_memory(p->ctx, "the delays", (size_t)bins.n * 8);
    for (int i = 0; shots != NULL && i < bins.n; i++) shots[i] = bins.edges_ps[i + 1] - bins.edges_ps[i];
    if (st == XANI_OK) st = xn_plan_bins(p, bins.n, bins.edges_ps, shots, width);
    xn_free(shots);
    xn_bins_free(&bins);
    return st;
}
