// SPDX-License-Identifier: BSD-3-Clause
// report_modes.c -- what the fits found: counts by outcome, frequencies, goodness of fit, maps.
//
// The expected distribution of reduced chi^2 is that of chi^2/dof with each group's own degrees of freedom
// (delays used less background and four parameters a mode); it applies where errors come from counting.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/report.h"

#define PAGE_W 1000
#define PAGE_H 620
#define BINS 80
#define SHOWN_MODES 4

typedef struct frequencies {
    int n_modes;
    double edges[BINS + 1], counts[SHOWN_MODES][BINS];
    double band[2];
} frequencies;

static const draw_colour mode_colour[SHOWN_MODES] = {DRAW_BLUE, DRAW_ORANGE, DRAW_GREEN, DRAW_PURPLE};

static void draw_frequencies(const void *data)
{
    const frequencies *f = data;
    draw_axes a = draw_axes_page(PAGE_W, PAGE_H);
    double top = 0;
    for (int m = 0; m < f->n_modes; m++)
        for (int i = 0; i < BINS; i++) top = fmax(top, f->counts[m][i]);
    a.x0 = f->edges[0];
    a.x1 = f->edges[BINS];
    a.y1 = draw_below_legend(&a, f->n_modes, fmax(top, 1));
    a.x_label = "Oscillation frequency f (THz)";
    a.y_label = "Pixel groups";
    draw_axes_fit(&a);
    for (int m = 0; m < f->n_modes; m++) draw_steps(&a, BINS, f->edges, f->counts[m], mode_colour[m], false);
    draw_axes_frame(&a);
    static const char *const name[SHOWN_MODES] = {"most significant mode", "second mode", "third mode", "fourth mode"};
    for (int m = 0; m < f->n_modes; m++) draw_legend(&a, true, m, '-', mode_colour[m], name[m]);
}

static void frequency_picture(report *r, const report_run *run, json_t *json)
{
    int64_t n = run->ny * run->nx;
    frequencies f = {.n_modes = (int)(run->n_modes < SHOWN_MODES ? run->n_modes : SHOWN_MODES)};
    double lo = numbers_quantile(run->frequency, run->n_modes * n, 0),
           hi = numbers_quantile(run->frequency, run->n_modes * n, 1);
    if (!(hi > lo)) return;
    double room = 0.03 * (hi - lo);
    lo = fmax(0, lo - room);
    hi += room;
    json_t *list = json_array();
    for (int m = 0; m < f.n_modes; m++) {
        numbers_histogram(run->frequency + m * n, n, lo, hi, BINS, f.edges, f.counts[m]);
        json_array_append_new(list, numbers_json(f.counts[m], BINS));
    }
    json_object_set_new(json, "frequency_histogram",
                        json_pack("{s:o, s:o}", "edges", numbers_json(f.edges, BINS + 1), "modes", list));
    char *name = report_picture_name(r, run, "frequencies");
    report_picture(r, name, PAGE_W, PAGE_H, draw_frequencies, &f, false,
                   "Frequencies of all accepted modes. Pairs of phonons oscillate at f = 2ν.");
    free(name);
}

// ---- goodness of fit

typedef struct goodness {
    double edges[BINS + 1], counts[BINS], expected[BINS], middle[BINS];
    bool has_expected;
} goodness;

static void draw_goodness(const void *data)
{
    const goodness *g = data;
    draw_axes a = draw_axes_page(PAGE_W, PAGE_H);
    double top = 0;
    for (int i = 0; i < BINS; i++) top = fmax(top, fmax(g->counts[i], g->expected[i]));
    a.x0 = g->edges[0];
    a.x1 = g->edges[BINS];
    a.y1 = draw_below_legend(&a, 2, fmax(top, 1));
    a.x_label = "Reduced χ² of the fit";
    a.y_label = "Pixel groups";
    draw_axes_fit(&a);
    draw_steps(&a, BINS, g->edges, g->counts, DRAW_PALE, true);
    if (g->has_expected) draw_curve(&a, BINS, g->middle, g->expected, DRAW_BLUE, 4, DRAW_SOLID);
    draw_line(&a, 1, 0, 1, a.y1, DRAW_INK, 2, DRAW_DASHED);
    draw_axes_frame(&a);
    draw_legend(&a, true, 0, '#', DRAW_PALE, "measured");
    if (g->has_expected) draw_legend(&a, true, 1, '-', DRAW_BLUE, "expected for pure counting noise");
}

// Density of chi^2/dof at x.
static double chi2_density(double x, double dof)
{
    if (!(x > 0) || !(dof > 0)) return 0;
    double h = dof / 2;
    return h * exp((h - 1) * log(h * x) - h * x - lgamma(h));
}

static void expect(const report_run *run, goodness *g)
{
    int64_t n = run->ny * run->nx, with[XANI_MAX_MODES + 1] = {0};
    double used = run->n_delays;
    for (int64_t i = 0; i < n; i++)
        if (isfinite(run->chi2[i]) && run->count[i] >= 0 && run->count[i] <= XANI_MAX_MODES) with[(int)run->count[i]]++;
    for (int i = 0; i < BINS; i++) {
        g->middle[i] = (g->edges[i] + g->edges[i + 1]) / 2;
        for (int m = 0; m <= XANI_MAX_MODES; m++)
            g->expected[i] += (double)with[m] * (g->edges[1] - g->edges[0]) *
                              chi2_density(g->middle[i], used - (double)run->n_background - 4 * m);
    }
    g->has_expected = used > run->n_background;
}

static void goodness_picture(report *r, const report_run *run, json_t *json)
{
    int64_t n = run->ny * run->nx;
    goodness g = {0};
    double hi = numbers_quantile(run->chi2, n, 0.995);
    if (!isfinite(hi)) return;
    double top = fmax(1.1 * hi, 1.3), low = fmin(0.85 * numbers_quantile(run->chi2, n, 0.005), 0.8);
    bool counting = run->errors_from != NULL && strcmp(run->errors_from, "counting") == 0;
    numbers_histogram(run->chi2, n, low, top, BINS, g.edges, g.counts);
    if (counting && run->count != NULL) expect(run, &g);
    json_object_set_new(json, "chi2_reduced_median", number_json(numbers_median(run->chi2, n)));
    json_object_set_new(
        json, "chi2_histogram",
        json_pack("{s:o, s:o}", "edges", numbers_json(g.edges, BINS + 1), "groups", numbers_json(g.counts, BINS)));
    char *name = report_picture_name(r, run, "chi2");
    char *caption =
        cli_format("Reduced χ² of all fitted groups, median %.3f.%s", numbers_median(run->chi2, n),
                   counting ? "" : " Errors come from the residual, so that its size says nothing about them.");
    report_picture(r, name, PAGE_W, PAGE_H, draw_goodness, &g, false, caption);
    free(caption);
    free(name);
}

// ---- counts

static void outcome_table(report *r, const report_run *run, json_t *json)
{
    static const char *const outcome[] = {"at least one mode", "no significant mode", "masked",
                                          "too few delays",    "not converged",       "at a bound"};
    static const char *const key[] = {"modes", "none", "masked", "few_delays", "not_converged", "at_bound"};
    int64_t n = run->ny * run->nx, counts[6] = {0};
    for (int64_t i = 0; i < n; i++)
        if (run->status[i] >= 0 && run->status[i] < 6) counts[(int)run->status[i]]++;
    json_t *o = json_object();
    text_add(&r->page, "<div class=\"scroll\"><table><caption>Outcome of the fits by pixel group.</caption>\n"
                       "<tr><th>outcome</th><th>groups</th><th>of those fitted</th></tr>\n");
    for (int k = 0; k < 6; k++) {
        json_object_set_new(o, key[k], json_integer(counts[k]));
        if (counts[k] == 0) continue;
        text_add(&r->page, "<tr><td>%s</td><td>%lld</td><td>", outcome[k], (long long)counts[k]);
        if (k != 2) text_add(&r->page, "%.2f %%", 100.0 * (double)counts[k] / (double)(n - counts[2]));
        text_add(&r->page, "</td></tr>\n");
    }
    text_add(&r->page, "</table></div>\n");
    json_object_set_new(json, "fit_status", o);
}

void report_section_modes(report *r, const report_run *run, json_t *json)
{
    if (run->modes == NULL) {
        report_paragraph(r, "There are no modes yet: modes.h5 is not there.");
        return;
    }
    int64_t n = run->n_modes * run->ny * run->nx;
    if (run->status != NULL) outcome_table(r, run, json);
    double error = run->frequency_errors ? numbers_median(run->frequency_errors, n) : NAN;
    json_object_set_new(json, "modes", json_integer(numbers_finite(run->frequency, n)));
    json_object_set_new(json, "median_frequency_error_thz", number_json(error));
    if (isfinite(run->threshold))
        report_paragraph(
            r,
            "A mode is accepted when Δχ²/s² exceeds %.4g (false alarms on pure noise: %.2g of the groups); delays "
            "used: %.3g to %.4g ps; band: %.3g to %.4g THz; errors from the %s.",
            run->threshold, run->false_alarm, run->lo_ps, run->hi_ps, run->band_thz[0], run->band_thz[1],
            run->errors_from && strcmp(run->errors_from, "counting") == 0 ? "counting statistics" : "residual");
    if (numbers_finite(run->frequency, n) == 0) {
        report_paragraph(r, run->n_modes > 0 ? "No pixel group shows a significant mode."
                                             : "No mode was looked for: fit.modes_max is 0.");
        if (run->chi2 != NULL) {
            report_figures_begin(r);
            goodness_picture(r, run, json);
            report_figures_end(r);
        }
        return;
    }
    report_section_maps(r, run);
    report_figures_begin(r);
    frequency_picture(r, run, json);
    if (run->chi2 != NULL) goodness_picture(r, run, json);
    report_figures_end(r);
}
