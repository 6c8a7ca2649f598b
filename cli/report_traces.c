// SPDX-License-Identifier: BSD-3-Clause
// report_traces.c -- traces with their fits: the most significant pixel group, the median and the weakest.
//
// The curve is the trace model of the interface contract: a Legendre background on the span of the delays
// used, plus sum A exp(-g t) cos(2 pi f t + phi), with t = 0 at the fit's time zero; where the fit had a response, a
// level before that, and all of it convolved.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/report.h"

#define PAGE_W 1000
#define PAGE_H 800
#define CURVE 1200

typedef struct trace {
    const report_run *run;
    int64_t pixel;
    const double *y, *e; // percent; e may be NULL
    double *x, *fit;     // CURVE points
    double *residual;    // in standard errors, or in percent without errors
    bool sigmas;
    double reach;   // of the residuals shown
    double squares; // sum of them
} trace;

// The model without a response, t from delay zero
static double plain(const report_run *run, int64_t pixel, double t)
{
    int64_t n = run->ny * run->nx, terms = run->n_background - run->level_before;
    double since = t - run->time_zero_ps;
    if (run->response_ps > 0 && since < 0) return run->level_before ? run->background[terms * n + pixel] : 0;
    double x = (2 * t - run->lo_ps - run->hi_ps) / (run->hi_ps - run->lo_ps), y = 0, p0 = 1, p1 = x;
    if (run->exponential) {
        const double *b = run->background + pixel;
        if (isfinite(b[0] + b[n] + b[2 * n])) y = b[0] + b[n] * exp(-b[2 * n] * since);
    }
    for (int64_t c = 0; !run->exponential && c < terms; c++) {
        double coefficient = run->background[c * n + pixel], p = c == 0 ? 1 : p1;
        if (isfinite(coefficient)) y += coefficient * p;
        if (c == 0) continue;
        double next = ((2.0 * (double)c + 1) * x * p1 - (double)c * p0) / ((double)c + 1);
        p0 = p1;
        p1 = next;
    }
    for (int64_t m = 0; m < run->n_modes; m++) {
        int64_t i = m * n + pixel;
        if (!isfinite(run->frequency[i])) continue;
        y += run->amplitude[i] * exp(-run->damping[i] * since) *
             cos(2 * M_PI * run->frequency[i] * since + run->phase[i]);
    }
    return y;
}

// The model at t: with a response its mean over the gaussian around t, by steps of a fiftieth of its rms.
static double model(const report_run *run, int64_t pixel, double t)
{
    double sum = 0, weight = 0;
    if (!(run->response_ps > 0)) return plain(run, pixel, t);
    for (int i = -250; i <= 250; i++) {
        double u = 0.02 * i, w = exp(-0.5 * u * u);
        weight += w;
        sum += w * plain(run, pixel, t + u * run->response_ps);
    }
    return sum / weight;
}

static void draw_trace(const void *data)
{
    const trace *t = data;
    const report_run *run = t->run;
    double split = 0.34 * PAGE_H;
    draw_axes a = draw_axes_page(PAGE_W, PAGE_H), b = a;
    double lo, hi, flo, fhi;
    draw_range(t->y, run->nb, false, &lo, &hi);
    draw_range(t->fit, CURVE, false, &flo, &fhi);
    const double first = fmin(run->delay_ps[0], 0), last = run->delay_ps[run->nb - 1];
    a.x0 = b.x0 = first - 0.015 * (last - first); // all of the outermost points
    a.x1 = b.x1 = last + 0.015 * (last - first);
    a.y0 = fmin(lo, flo);
    a.y1 = fmax(hi, fhi) + 0.24 * (fmax(hi, fhi) - fmin(lo, flo));
    a.bottom = split;
    a.no_x_numbers = true;
    a.y_label = "ΔI/I (%)";
    b.top = split - 0.9 * DRAW_EM;
    b.x_label = "Corrected delay (ps)";
    b.y_label = t->sigmas ? "Residual (σ)" : "Residual (%)";
    b.y0 = -t->reach;
    b.y1 = t->reach;
    draw_axes_fit(&a);
    draw_axes_fit(&b);
    a.left = b.left = fmax(a.left, b.left);
    draw_line(&a, 0, a.y0, 0, a.y1, DRAW_INK, 2, DRAW_DASHED);
    draw_line(&b, 0, b.y0, 0, b.y1, DRAW_INK, 2, DRAW_DASHED);
    draw_points(&a, run->nb, run->delay_ps, t->y, t->e, DRAW_GREY, 4.5, 1);
    draw_curve(&a, CURVE, t->x, t->fit, DRAW_BLUE, 3.5, DRAW_SOLID);
    if (t->sigmas) draw_rectangle(&b, b.x0, -1, b.x1, 1, DRAW_PALE, 0.7);
    draw_line(&b, b.x0, 0, b.x1, 0, DRAW_BLUE, 3, DRAW_SOLID);
    draw_points(&b, run->nb, run->delay_ps, t->residual, NULL, DRAW_INK, 4.5, 1);
    draw_axes_frame(&a);
    draw_axes_frame(&b);
    draw_legend(&a, true, 0, 'o', DRAW_GREY, t->e != NULL ? "ΔI/I ± one standard error" : "ΔI/I");
    draw_legend(&a, true, 1, '-', DRAW_BLUE, "fit");
}

// ---- which ones

typedef struct ranked {
    double significance;
    int64_t pixel;
} ranked;

static int falling(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->significance != y->significance) return x->significance < y->significance ? 1 : -1;
    return (x->pixel > y->pixel) - (x->pixel < y->pixel);
}

static int choose(const report_run *run, int64_t pixel[3])
{
    int64_t n = run->n_modes > 0 ? run->ny * run->nx : 0, k = 0; // fit.modes_max 0: none was asked for
    ranked *list = cli_alloc((size_t)n + 1, sizeof *list);
    for (int64_t i = 0; i < n; i++)
        if (isfinite(run->frequency[i]) && isfinite(run->significance[i]))
            list[k++] = (ranked){run->significance[i], i};
    qsort(list, (size_t)k, sizeof *list, falling);
    const int64_t rank[3] = {0, k / 2, k - 1};
    int chosen = k < 3 ? (int)k : 3;
    for (int i = 0; i < chosen; i++) pixel[i] = list[k < 3 ? i : rank[i]].pixel;
    free(list);
    return chosen;
}

// ---- one trace

static void table_rows(report *r, const report_run *run, int64_t pixel, const char *what, json_t *modes)
{
    int64_t n = run->ny * run->nx;
    for (int64_t m = 0; m < run->n_modes; m++) {
        int64_t i = m * n + pixel;
        if (!isfinite(run->frequency[i])) continue;
        char *f = text_uncertain(run->frequency[i], run->frequency_errors ? run->frequency_errors[i] : NAN);
        char *a = text_uncertain(100 * run->amplitude[i], run->amplitude_errors ? 100 * run->amplitude_errors[i] : NAN);
        char *g = text_uncertain(run->damping[i], run->damping_errors ? run->damping_errors[i] : NAN);
        char *p = text_uncertain(run->phase[i], run->phase_errors ? run->phase_errors[i] : NAN);
        text_add(&r->page,
                 "<tr><td>%s (%lld, %lld)</td><td>%lld</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td><td>%.4g</td>"
                 "<td>%.3f</td></tr>\n",
                 what, (long long)(pixel / run->nx), (long long)(pixel % run->nx), (long long)m + 1, f, a, g, p,
                 run->significance[i], run->chi2 ? run->chi2[pixel] : NAN);
        json_array_append_new(modes, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "frequency_thz",
                                               number_json(run->frequency[i]), "frequency_error",
                                               number_json(run->frequency_errors ? run->frequency_errors[i] : NAN),
                                               "amplitude", number_json(run->amplitude[i]), "amplitude_error",
                                               number_json(run->amplitude_errors ? run->amplitude_errors[i] : NAN),
                                               "damping_per_ps", number_json(run->damping[i]), "damping_error",
                                               number_json(run->damping_errors ? run->damping_errors[i] : NAN),
                                               "phase_rad", number_json(run->phase[i]), "phase_error",
                                               number_json(run->phase_errors ? run->phase_errors[i] : NAN),
                                               "significance", number_json(run->significance[i])));
        free(f);
        free(a);
        free(g);
        free(p);
    }
}

// Shows all but the outermost residuals; returns how many lie outside.
static int64_t find_reach(trace *t)
{
    int64_t n = t->run->nb, outside = 0;
    double *size = cli_alloc((size_t)n, sizeof *size);
    for (int64_t i = 0; i < n; i++) size[i] = fabs(t->residual[i]);
    t->reach = 1.3 * numbers_quantile(size, n, 0.98);
    if (!(t->reach > 0)) t->reach = 1e-6;
    if (t->sigmas && t->reach < 4) t->reach = 4;
    for (int64_t i = 0; i < n; i++) outside += size[i] > t->reach;
    free(size);
    return outside;
}

// The traces (pixel, delay) of some pixels in percent; NULL when the cube has not what it should. Owned.
static double *read_traces(report *r, const report_run *run, const char *dataset, const int64_t *pixel, int n_pixels)
{
    xani_array a;
    int64_t n = run->ny * run->nx;
    if (!xani_array_exists(r->c->context, run->cube, dataset)) return NULL;
    if (xani_array_read(r->c->context, run->cube, dataset, &a) != XANI_OK) {
        report_note(r, "%s", xani_error_text(r->c->context));
        return NULL;
    }
    double *v = NULL;
    if (a.type == XANI_FLOAT64 && a.size == run->nb * n) {
        v = cli_alloc((size_t)(n_pixels * run->nb), sizeof *v);
        for (int64_t i = 0; i < n_pixels * run->nb; i++) v[i] = 100 * a.f64[i % run->nb * n + pixel[i / run->nb]];
    } else {
        report_note(r, "%s: %s has not the size of its cube", run->cube, dataset);
    }
    xani_array_free(&a);
    return v;
}

// The errors that the fit counted chi^2 by, in percent: the pixel's, which the delays' weights widen. Those that the
// cube has for single bins are estimates from the bin's own shots; of two or three shots some come out far too small.
// NULL: not told. Owned.
static double *errors_of(const report_run *run, int64_t pixel)
{
    if (run->sigma == NULL || run->weight == NULL || !(run->sigma[pixel] > 0)) return NULL;
    double *e = cli_alloc((size_t)run->nb, sizeof *e);
    for (int64_t i = 0; i < run->nb; i++)
        e[i] = run->weight[i] > 0 ? 100 * run->sigma[pixel] / sqrt(run->weight[i]) : NAN;
    return e;
}

// y: one trace. Returns the sum of squared residuals, NaN without errors.
static double one_picture(report *r, const report_run *run, int64_t pixel, const char *what, const double *y)
{
    double *e = errors_of(run, pixel);
    trace t = {.run = run, .pixel = pixel, .y = y, .e = e, .sigmas = e != NULL};
    t.residual = cli_alloc((size_t)run->nb, sizeof *t.residual);
    t.x = cli_alloc(CURVE, sizeof *t.x);
    t.fit = cli_alloc(CURVE, sizeof *t.fit);
    for (int64_t i = 0; i < run->nb; i++) {
        bool used = run->delay_ps[i] >= run->lo_ps - 1e-9 && run->delay_ps[i] <= run->hi_ps + 1e-9;
        double d = t.y[i] - 100 * model(run, pixel, run->delay_ps[i]);
        t.residual[i] = !used ? NAN : t.sigmas ? d / t.e[i] : d;
        if (isfinite(t.residual[i])) t.squares += t.residual[i] * t.residual[i];
    }
    for (int i = 0; i < CURVE; i++) {
        t.x[i] = run->lo_ps + (run->hi_ps - run->lo_ps) * i / (CURVE - 1);
        t.fit[i] = 100 * model(run, pixel, t.x[i]);
    }
    int64_t outside = find_reach(&t);
    char *file = cli_format("trace-%s", what), *name = report_picture_name(r, run, file);
    char *beyond = outside > 0 ? cli_format(" %lld residuals lie outside.", (long long)outside) : cli_format("%s", "");
    char *caption =
        cli_format("Pixel group (y %lld, x %lld), %s of all modes: data, fit from %.3g to %.4g ps, residuals. Dashed: "
                   "delay zero.%s",
                   (long long)(pixel / run->nx), (long long)(pixel % run->nx), what, run->lo_ps, run->hi_ps, beyond);
    free(beyond);
    report_picture(r, name, PAGE_W, PAGE_H, draw_trace, &t, false, caption);
    free(caption);
    free(name);
    free(file);
    free(t.residual);
    free(t.x);
    free(t.fit);
    free(e);
    return t.sigmas ? t.squares : NAN;
}

void report_section_traces(report *r, const report_run *run, json_t *json)
{
    static const char *const what[3] = {"strongest", "median", "weakest"};
    if (run->cube == NULL || run->modes == NULL) {
        report_paragraph(r, "Traces need both cube.h5 and modes.h5; %s is not there.",
                         run->cube == NULL ? "cube.h5" : "modes.h5");
        return;
    }
    bool complete = run->significance != NULL && run->amplitude != NULL && run->damping != NULL && run->phase != NULL;
    if (!complete || !isfinite(run->lo_ps) || !(run->hi_ps > run->lo_ps)) {
        report_paragraph(r, "The modes lack what is needed to draw their traces.");
        return;
    }
    int64_t pixel[3] = {0};
    int n = choose(run, pixel);
    if (n == 0) {
        report_paragraph(r, "No pixel group has a significant mode: there is no trace to show.");
        return;
    }
    double *signal = read_traces(r, run, "/entry/cube/signal", pixel, n);
    if (signal == NULL) {
        report_paragraph(r, "The cube holds no signal: its traces cannot be drawn.");
    } else {
        json_t *list = json_array();
        double squares[3];
        report_figures_begin(r);
        for (int i = 0; i < n && i < 3; i++) squares[i] = one_picture(r, run, pixel[i], what[i], signal + i * run->nb);
        report_figures_end(r);
        text_add(
            &r->page,
            "<div class=\"scroll\"><table><caption>Parameters of these fits; in brackets the standard error of "
            "the last digits.</caption>\n<tr><th>pixel group (y, x)</th><th>mode</th><th>f (THz)</th><th>A (%%)</th>"
            "<th>g (1/ps)</th><th>φ (rad)</th><th>Δχ²/s²</th><th>χ²/ν</th></tr>\n");
        for (int i = 0; i < n && i < 3; i++) {
            json_t *modes = json_array();
            table_rows(r, run, pixel[i], what[i], modes);
            json_array_append_new(list, json_pack("{s:s, s:[I,I], s:o, s:o}", "which", what[i], "pixel",
                                                  (json_int_t)(pixel[i] / run->nx), (json_int_t)(pixel[i] % run->nx),
                                                  "residual_squares", number_json(squares[i]), "modes", modes));
        }
        text_add(&r->page, "</table></div>\n");
        json_object_set_new(json, "traces", list);
    }
    free(signal);
}
