// SPDX-License-Identifier: BSD-3-Clause
// report_truth.c -- the result beside the known answer of a simulation (see truth.c).
#include <math.h>

#include "cli/report.h"

#define PAGE_W 1000
#define PAGE_H 660
#define PULL_BINS 48
#define FEW_PULLS 300
#define SHOWN 3000 // differences drawn; more hide each other
#define PULL_RANGE 6.0

static void draw_pulls(const void *data)
{
    const truth_score *s = data;
    draw_axes a = draw_axes_page(PAGE_W, PAGE_H);
    double edges[PULL_BINS + 1], counts[PULL_BINS], x[241], y[241], top = 0;
    int bins = s->n_pulls < FEW_PULLS ? PULL_BINS / 2 : PULL_BINS;
    numbers_histogram(s->pulls, s->n_pulls, -PULL_RANGE, PULL_RANGE, bins, edges, counts);
    for (int i = 0; i < bins; i++) top = fmax(top, counts[i]);
    for (int i = 0; i < 241; i++) {
        x[i] = -PULL_RANGE + i * PULL_RANGE / 120;
        y[i] = (double)s->n_pulls * (edges[1] - edges[0]) * exp(-x[i] * x[i] / 2) / sqrt(2 * M_PI);
        top = fmax(top, y[i]);
    }
    a.x0 = -PULL_RANGE;
    a.x1 = PULL_RANGE;
    a.y1 = 1.28 * top;
    a.x_label = "Pull (ν − ν₁)/σ";
    a.y_label = "Points";
    draw_axes_fit(&a);
    draw_steps(&a, bins, edges, counts, DRAW_PALE, true);
    draw_curve(&a, 241, x, y, DRAW_BLUE, 4, DRAW_SOLID);
    draw_axes_frame(&a);
    draw_legend(&a, true, 0, '#', DRAW_PALE, "isolated strong lines");
    draw_legend(&a, true, 1, '-', DRAW_BLUE, "unit Gaussian");
}

static void draw_differences(const void *data)
{
    const truth_score *s = data;
    draw_axes a = draw_axes_page(PAGE_W, PAGE_H);
    draw_range(s->nu1, s->n, false, &a.x0, &a.x1);
    double reach = numbers_quantile(s->difference, s->n, 0.98), low = numbers_quantile(s->difference, s->n, 0.02);
    reach = 1.3 * fmax(fmax(fabs(reach), fabs(low)), 1e-6);
    a.y0 = -1000 * reach;
    a.y1 = 1000 * reach;
    a.x_label = "True frequency ν₁ (THz)";
    a.y_label = "ν − ν₁ (GHz)";
    draw_axes_fit(&a);
    int64_t stride = 1 + (s->n - 1) / SHOWN;
    for (int64_t i = 0; i < s->n; i += stride) {
        double ghz = 1000 * s->difference[i];
        draw_points(&a, 1, &s->nu1[i], &ghz, NULL, DRAW_BLUE, 3.5, s->n > 1000 ? 0.4 : 0.7);
    }
    draw_line(&a, a.x0, 0, a.x1, 0, DRAW_INK, 2, DRAW_SOLID);
    draw_axes_frame(&a);
}

static json_t *score_json(const report *r)
{
    const truth_score *s = &r->score;
    return json_pack("{s:o, s:I, s:I, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o}", "file", cli_text(r->truth.path),
                     "points_compared", (json_int_t)s->n, "points_without_line",
                     (json_int_t)(r->dispersion.points.n - s->n), "median_difference_thz", number_json(s->median),
                     "p90_difference_thz", number_json(s->p90), "branches_median_difference_thz",
                     number_json(s->branches), "pulls", (json_int_t)s->n_pulls, "pull_mean", number_json(s->pull_mean),
                     "pull_width", number_json(s->pull_width), "within_3_sigma", number_json(s->within3),
                     "beyond_5_sigma", number_json(s->outliers));
}

void report_section_truth(report *r)
{
    const truth_score *s = &r->score;
    if (r->truth.path == NULL) return;
    report_heading(r, "truth", "Comparison with the truth");
    if (s->n == 0) {
        report_paragraph(r, "The truth of the simulation is known, but no point can be compared with it.");
        return;
    }
    json_object_set_new(r->json, "truth", score_json(r));
    text_add(&r->page, "<div class=\"scroll\"><table>\n");
    text_add(&r->page, "<tr><td>points compared</td><td>%lld</td></tr>\n", (long long)s->n);
    text_add(&r->page, "<tr><td>points with no true line of a tenth of their amplitude</td><td>%lld</td></tr>\n",
             (long long)(r->dispersion.points.n - s->n));
    text_add(&r->page, "<tr><td>median |ν − ν₁|</td><td>%.2f GHz</td></tr>\n", 1000 * s->median);
    text_add(&r->page, "<tr><td>90 %% of |ν − ν₁| below</td><td>%.2f GHz</td></tr>\n", 1000 * s->p90);
    if (isfinite(s->branches))
        text_add(&r->page, "<tr><td>median |ν − ν₁| of the branches on the path</td><td>%.1f GHz</td></tr>\n",
                 1000 * s->branches);
    if (s->n_pulls > 0) {
        text_add(&r->page, "<tr><td>isolated strong lines of one frequency</td><td>%lld</td></tr>\n",
                 (long long)s->n_pulls);
        text_add(&r->page, "<tr><td>mean of their pulls</td><td>%.3f</td></tr>\n", s->pull_mean);
        text_add(&r->page, "<tr><td>width of their pulls</td><td>%.3f</td></tr>\n", s->pull_width);
        text_add(&r->page, "<tr><td>of them within 3 σ</td><td>%.2f %%</td></tr>\n", 100 * s->within3);
        text_add(&r->page, "<tr><td>outliers beyond 5 σ, left out of mean and width</td><td>%.2f %%</td></tr>\n",
                 100 * s->outliers);
    }
    text_add(&r->page, "</table></div>\n");
    report_paragraph(
        r,
        "ν₁ is the true frequency of the photoexcited crystal, averaged over the pixels of each group with the "
        "amplitude of its line; a point is compared with the nearest branch of at least a tenth of its amplitude. "
        "Pulls (ν − ν₁)/σ are "
        "those of lines with A > 5 σ_A, no other line of a twentieth of their amplitude or more within 2/T in ν (T: "
        "the span of the delays), and a "
        "ν₁ that varies by less than σ over the pixels of the group. Errors of the bins' mean delays are common to all "
        "pixels: they shift the mean of the pulls.%s",
        s->n_pulls > 0 ? "" : " There are none here.");
    report_figures_begin(r);
    if (s->n_pulls > 0)
        report_picture(r, "pulls", PAGE_W, PAGE_H, draw_pulls, s, false, "Pulls of isolated strong lines.");
    report_picture(r, "differences", PAGE_W, PAGE_H, draw_differences, s, false,
                   "Differences of the points from the truth (at most 3000 drawn); the outermost may lie outside.");
    report_figures_end(r);
}
