// SPDX-License-Identifier: BSD-3-Clause
// report_summary.c -- what stands at the head of the report: figures of all runs, warnings, and the table of runs.
//
// Shots are those of the cut-flow; of cubes that were binned before, the counts they came with.  What one run does not
// tell is not known of all.
#include <math.h>
#include <stdlib.h>

#include "cli/report.h"

static void fact(report *r, const char *what, const char *fmt, ...) CLI_PRINTF(3, 4);
static void fact(report *r, const char *what, const char *fmt, ...)
{
    char *value = NULL;
    va_list args;
    va_start(args, fmt);
    int n = vasprintf(&value, fmt, args);
    va_end(args);
    if (n < 0) return;
    text_add(&r->page, "<div><b>");
    text_escape(&r->page, value);
    text_add(&r->page, "</b><span>");
    text_escape(&r->page, what);
    text_add(&r->page, "</span></div>\n");
    free(value);
}

typedef struct totals {
    double used_on, used_off, seen;                   // NaN where a run does not tell
    int64_t fitted, with_modes, modes, failed, asked; // asked: fitted groups in which modes were looked for
} totals;

static void count_run(const report_run *run, totals *t)
{
    const report_cuts *k = &run->cuts;
    const bool flow = k->n > 0 && k->on != NULL && k->off != NULL;
    t->used_on += flow ? k->on[k->n - 1] : run->shots_on;
    t->used_off += flow ? k->off[k->n - 1] : run->shots_off;
    t->seen += flow ? k->on[0] + k->off[0] + (k->unknown ? k->unknown[0] : 0) : run->shots_on + run->shots_off;
    for (int64_t i = 0; run->modes != NULL && run->status != NULL && i < run->ny * run->nx; i++) {
        t->fitted += run->status[i] != 2;
        t->asked += run->status[i] != 2 && run->n_modes > 0;
        t->failed += run->status[i] == 4;
        t->with_modes += run->count != NULL && run->count[i] > 0;
    }
    if (run->modes != NULL) t->modes += numbers_finite(run->frequency, run->n_modes * run->ny * run->nx);
}

static double all_errors(const report *r)
{
    if (r->dispersion.points.frequency_errors != NULL)
        return numbers_median(r->dispersion.points.frequency_errors, r->dispersion.points.n);
    return NAN;
}

static void warnings(report *r, const totals *t)
{
    const report_points *p = &r->dispersion.points;
    if (p->mirrored > 0 && isfinite(r->dispersion.nyquist_thz))
        report_note(r, "the delay bins are too coarse for this crystal: %lld points may be aliased",
                    (long long)p->mirrored);
    else if (p->mirrored + p->unjudged > 0 && !isfinite(r->dispersion.nyquist_thz))
        report_note(r, "%lld points lie above what this crystal can do",
                    (long long)p->mirrored + (long long)p->unjudged);
    if (t->fitted > 0 && t->asked == 0)
        report_note(r, "no oscillation was looked for: fit.modes_max is 0");
    else if (t->asked > 0 && t->with_modes == 0)
        report_note(r, "no pixel group shows a significant oscillation");
    if (t->fitted > 0 && (double)t->failed > 0.05 * (double)t->fitted)
        report_note(r, "%.1f %% of the fits did not converge", 100.0 * (double)t->failed / (double)t->fitted);
    for (int i = 0; i < r->n_runs; i++) {
        const report_run *run = &r->runs[i];
        report_warnings(r, run->cube, run->name);
        report_warnings(r, run->modes, run->name);
        if (run->cube != NULL && run->modes == NULL) report_note(r, "%s has not been fitted yet", run->cube);
    }
    report_warnings(r, r->dispersion.path, "");
}

void report_summary(report *r)
{
    totals t = {0};
    if (r->n_runs == 0) t.seen = t.used_on = t.used_off = NAN;
    for (int i = 0; i < r->n_runs; i++) count_run(&r->runs[i], &t);
    double error = all_errors(r), fraction = t.asked > 0 ? (double)t.with_modes / (double)t.fitted : NAN;
    int64_t branches = 0; // that were seen
    for (int64_t b = 0, n = r->dispersion.branch_n; b < r->dispersion.n_branches; b++)
        branches += numbers_finite(r->dispersion.branch_frequency + b * n, n) > 0;
    warnings(r, &t);
    text_add(&r->page, "<div class=\"facts\">\n");
    if (r->dispersion.path != NULL) fact(r, "points of the dispersion", "%lld", (long long)r->dispersion.points.n);
    if (branches > 0) fact(r, "branches along the path", "%lld", (long long)branches);
    if (isfinite(error)) fact(r, "median error of ν", "%.1f GHz", 1000 * error);
    if (t.asked > 0) fact(r, "of the pixel groups show a mode", "%.1f %%", 100 * fraction);
    if (t.modes > 0) fact(r, "modes accepted", "%lld", (long long)t.modes);
    if (t.seen > 0) fact(r, "shots used, on + off", "%.0f + %.0f", t.used_on, t.used_off);
    if (r->score.n > 0) fact(r, "median |ν − ν₁| from the truth", "%.1f GHz", 1000 * r->score.median);
    if (r->score.n_pulls > 1)
        fact(r, "pulls: mean, width", "%s%.2f, %.2f", r->score.pull_mean < 0 ? "−" : "", fabs(r->score.pull_mean),
             r->score.pull_width);
    text_add(&r->page, "</div>\n");
    json_object_set_new(
        r->json, "summary",
        json_pack("{s:I, s:I, s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:I}", "points", (json_int_t)r->dispersion.points.n,
                  "branches", (json_int_t)branches, "median_frequency_error_thz", number_json(error),
                  "fraction_with_modes", number_json(fraction), "pixel_groups_fitted", (json_int_t)t.fitted, "modes",
                  (json_int_t)t.modes, "shots_seen", count_json(t.seen), "shots_used_on", count_json(t.used_on),
                  "shots_used_off", count_json(t.used_off), "not_converged", (json_int_t)t.failed));
}

void report_run_table(report *r)
{
    text_add(&r->page,
             "<div class=\"scroll\"><table><tr><th>run</th><th>angles (°)</th><th>laser on</th><th>laser off</th>"
             "<th>groups fitted</th><th>with modes</th><th>modes</th><th>median χ²/ν</th></tr>\n");
    for (int i = 0; i < r->n_runs; i++) {
        const report_run *run = &r->runs[i];
        totals t = {0};
        count_run(run, &t);
        text_add(&r->page, "<tr><td>");
        text_escape(&r->page, run->name);
        text_add(&r->page, "</td><td>");
        for (int64_t k = 0; run->angles_deg != NULL && k < run->n_angles; k++)
            text_add(&r->page, "%s%g", k ? ", " : "", run->angles_deg[k]);
        text_add(&r->page, "</td>");
        if (t.seen > 0)
            text_add(&r->page, "<td>%.0f</td><td>%.0f</td>", t.used_on, t.used_off);
        else
            text_add(&r->page, "<td>–</td><td>–</td>");
        text_add(&r->page, "<td>%lld</td><td>%lld</td><td>%lld</td>", (long long)t.fitted, (long long)t.with_modes,
                 (long long)t.modes);
        if (run->chi2 != NULL)
            text_add(&r->page, "<td>%.3f</td></tr>\n", numbers_median(run->chi2, run->ny * run->nx));
        else
            text_add(&r->page, "<td>–</td></tr>\n");
    }
    text_add(&r->page, "</table></div>\n");
}
