// SPDX-License-Identifier: BSD-3-Clause
// report_shots.c -- which shots were used: cut-flow, incoming intensity, delays.
//
// Laser codes and verdicts are those of the shot table: laser 0 off, 1 on; verdict 0 used, else the cut that
// refused the shot.
#include <math.h>
#include <stdlib.h>

#include "cli/report.h"

#define I0_BINS 60
#define PAGE_W 1000
#define PAGE_H 620

typedef struct histogram {
    int n;
    double *edges, *seen, *used;
    const char *x_label, *y_label, *seen_text, *used_text;
    double marks[2]; // vertical lines, NaN: none
    bool zero;       // mark zero
} histogram;

static void draw_histogram(const void *data)
{
    const histogram *h = data;
    draw_axes a = draw_axes_page(PAGE_W, PAGE_H);
    double top = 0;
    for (int i = 0; i < h->n; i++) top = fmax(top, fmax(h->seen ? h->seen[i] : 0, h->used[i]));
    a.x0 = h->edges[0];
    a.x1 = h->edges[h->n];
    a.y1 = top > 0 ? 1.28 * top : 1; // room for the legend
    a.x_label = h->x_label;
    a.y_label = h->y_label;
    draw_axes_fit(&a);
    if (h->seen != NULL) draw_steps(&a, h->n, h->edges, h->seen, DRAW_PALE, true);
    if (h->seen == NULL) draw_steps(&a, h->n, h->edges, h->used, DRAW_PALE, true);
    draw_steps(&a, h->n, h->edges, h->used, DRAW_BLUE, false);
    if (h->zero) draw_line(&a, 0, 0, 0, a.y1, DRAW_INK, 2, DRAW_DASHED);
    for (int i = 0; i < 2; i++)
        if (isfinite(h->marks[i])) draw_line(&a, h->marks[i], 0, h->marks[i], a.y1, DRAW_RED, 3, DRAW_DASHED);
    draw_axes_frame(&a);
    int line = 0;
    if (h->seen != NULL) draw_legend(&a, true, line++, '#', DRAW_PALE, h->seen_text);
    draw_legend(&a, true, line++, '-', DRAW_BLUE, h->used_text);
    if (h->zero && a.x0 < 0 && a.x1 > 0) draw_legend(&a, true, line, '=', DRAW_INK, "delay zero");
}

static void cut_table(report *r, const report_cuts *k, json_t *json)
{
    bool unknown = false;
    for (int64_t i = 0; k->unknown != NULL && i < k->n; i++) unknown |= k->unknown[i] > 0;
    text *t = &r->page;
    text_add(t,
             "<div class=\"scroll\"><table><caption>Shots left after each cut, in order; in brackets those the cut "
             "removed. Time-tool cuts apply to laser-on shots only.</caption>\n<tr><th>cut</th><th>laser on</th>"
             "<th>laser off</th>%s</tr>\n",
             unknown ? "<th>state unknown</th>" : "");
    json_t *list = json_array();
    const double *columns[3] = {k->on, k->off, unknown ? k->unknown : NULL};
    for (int64_t i = 0; i < k->n; i++) {
        text_add(t, "<tr><td>");
        text_escape(t, k->name[i]);
        text_add(t, "</td>");
        for (int c = 0; c < 3; c++) {
            if (columns[c] == NULL) continue;
            text_add(t, "<td>%.0f", columns[c][i]);
            if (i > 0 && columns[c][i] < columns[c][i - 1])
                text_add(t, " <span class=\"soft\">(−%.0f)</span>", columns[c][i - 1] - columns[c][i]);
            text_add(t, "</td>");
        }
        text_add(t, "</tr>\n");
        json_t *row =
            json_pack("{s:s, s:I, s:I}", "cut", k->name[i], "on", (json_int_t)k->on[i], "off", (json_int_t)k->off[i]);
        if (k->unknown != NULL) json_object_set_new(row, "unknown", json_integer((json_int_t)k->unknown[i]));
        json_array_append_new(list, row);
    }
    text_add(t, "</table></div>\n");
    json_object_set_new(json, "cut_flow", list);
}

static void histogram_json(json_t *json, const char *name, const histogram *h)
{
    json_t *o = json_pack("{s:o, s:o}", "edges", numbers_json(h->edges, h->n + 1), "used", numbers_json(h->used, h->n));
    if (h->seen != NULL) json_object_set_new(o, "seen", numbers_json(h->seen, h->n));
    json_object_set_new(json, name, o);
}

// Values of the used shots (laser: 0, 1, or -1 for any), NaN elsewhere; owned.
static double *only(const report_shots *s, const double *v, bool used, int laser)
{
    double *kept = cli_alloc((size_t)s->n, sizeof *kept);
    for (int64_t i = 0; i < s->n; i++) {
        bool in = (!used || s->verdict == NULL || s->verdict[i] == 0) &&
                  (laser < 0 || s->laser == NULL || s->laser[i] == laser);
        kept[i] = in ? v[i] : NAN;
    }
    return kept;
}

static void i0_picture(report *r, const report_run *run, json_t *json)
{
    const report_shots *s = &run->shots;
    double *used = only(s, s->i0, true, -1), edges[I0_BINS + 1], seen_counts[I0_BINS], used_counts[I0_BINS];
    double hi = 1.05 * numbers_quantile(s->i0, s->n, 0.999), lo = fmin(0, numbers_quantile(s->i0, s->n, 0.001));
    double least = numbers_quantile(used, s->n, 0), most = numbers_quantile(used, s->n, 1);
    if (isfinite(hi) && hi > lo) {
        numbers_histogram(s->i0, s->n, lo, hi, I0_BINS, edges, seen_counts);
        numbers_histogram(used, s->n, lo, hi, I0_BINS, edges, used_counts);
        histogram h = {.n = I0_BINS,
                       .edges = edges,
                       .seen = seen_counts,
                       .used = used_counts,
                       .x_label = "Incoming intensity I₀ (units of the monitor)",
                       .y_label = "Shots",
                       .seen_text = "all shots",
                       .used_text = "used",
                       .marks = {NAN, NAN}};
        histogram_json(json, "i0_histogram", &h);
        char *name = report_picture_name(r, run, "i0");
        char *caption = cli_format("Incoming intensity of all shots and of those used (%.4g to %.4g, median %.4g).",
                                   least, most, numbers_median(used, s->n));
        report_picture(r, name, PAGE_W, PAGE_H, draw_histogram, &h, false, caption);
        free(caption);
        free(name);
    }
    free(used);
}

// Shots in the run's own delay bins where it has edges.
static void delay_picture(report *r, const report_run *run, json_t *json)
{
    const report_shots *s = &run->shots;
    int n = run->edges_ps != NULL ? (int)run->nb : 80;
    double *edges = cli_alloc((size_t)n + 1, sizeof *edges), *counts = cli_alloc((size_t)n, sizeof *counts);
    double *used = only(s, s->delay_ps, true, 1);
    double lo = numbers_quantile(used, s->n, 0), hi = numbers_quantile(used, s->n, 1);
    if (isfinite(lo) && hi > lo) {
        numbers_histogram(used, s->n, lo, hi, n, edges, counts);
        if (run->edges_ps != NULL) {
            for (int i = 0; i <= n; i++) edges[i] = run->edges_ps[i];
            for (int i = 0; i < n; i++) counts[i] = 0;
            for (int64_t k = 0; k < s->n; k++) {
                int a = 0, b = n; // edges[a] <= delay < edges[b]
                if (!(used[k] >= edges[0] && used[k] <= edges[n])) continue;
                while (b - a > 1) used[k] >= edges[(a + b) / 2] ? (a = (a + b) / 2) : (b = (a + b) / 2);
                counts[a]++;
            }
        }
        histogram h = {.n = n,
                       .edges = edges,
                       .used = counts,
                       .x_label = "Corrected delay (ps), X-rays after the laser: +",
                       .y_label = "Laser-on shots per bin",
                       .used_text = "used",
                       .marks = {NAN, NAN},
                       .zero = true};
        histogram_json(json, "delay_histogram", &h);
        char *name = report_picture_name(r, run, "delay");
        char *caption = run->edges_ps != NULL
                            ? cli_format("Corrected delay of the laser-on shots used, in the %d bins of the cube "
                                         "(median %.0f shots per bin).",
                                         n, numbers_median(counts, n))
                            : cli_format("Corrected delay of the laser-on shots used.");
        report_picture(r, name, PAGE_W, PAGE_H, draw_histogram, &h, false, caption);
        free(caption);
        free(name);
    }
    free(edges);
    free(counts);
    free(used);
}

void report_section_shots(report *r, const report_run *run, json_t *json)
{
    const report_cuts *k = &run->cuts;
    if (run->cube == NULL) {
        report_paragraph(r, "There is no cube beside the modes, hence no cut-flow, no shots and no traces to show.");
        return;
    }
    if (k->n > 0 && k->name != NULL && k->on != NULL && k->off != NULL)
        cut_table(r, k, json);
    else
        report_paragraph(r, "The cube holds no cut-flow.");
    if (run->shots.n == 0) {
        report_paragraph(r, "The input was already binned by delay: it holds no single shots, hence no histograms of "
                            "intensity and delay.");
        return;
    }
    report_figures_begin(r);
    i0_picture(r, run, json);
    report_i0_linearity(r, run, json);
    if (run->shots.delay_ps != NULL) delay_picture(r, run, json);
    report_figures_end(r);
}
