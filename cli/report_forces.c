// SPDX-License-Identifier: BSD-3-Clause
// report_forces.c -- the report's part on force constants: their band in the picture of the path, and the table of what
// the refinement changed.
#include <math.h>
#include <stdlib.h>

#include "cli/report.h"

#define NO_CONSTANT 1e-6 // N/m; what symmetry allows, but is not there

void report_read_forces(report *r, report_dispersion *d)
{
    int64_t shape[2];
    d->reference = report_numbers(r, d->path, "/entry/reference/frequency", 2, shape);
    if (d->reference == NULL) return;
    d->n_reference = shape[0];
    if (shape[1] != d->path_n) d->n_reference = 0; // not of this path
    d->refined = report_numbers(r, d->path, "/entry/force_constants/frequency", 2, NULL);
}

// Given constants dashed, refined ones whole; branches that lie on the one below are drawn once.
void report_draw_forces(const draw_axes *a, const report_dispersion *d)
{
    double *own = cli_alloc((size_t)d->path_n, sizeof *own);
    for (int64_t b = 0; b < d->n_reference; b++)
        for (int k = 0; k < 2; k++) {
            const double *nu = k == 0 ? d->reference : d->refined;
            if (nu == NULL) continue;
            nu += b * d->path_n;
            for (int64_t i = 0; i < d->path_n; i++) own[i] = b > 0 && nu[i] - nu[i - d->path_n] < 1e-6 ? NAN : nu[i];
            draw_curve(a, d->path_n, d->path_distance, own, k == 0 ? DRAW_WHITE : DRAW_ORANGE, k == 0 ? 2 : 3,
                       k == 0 ? DRAW_DASHED : DRAW_SOLID);
        }
    free(own);
}

void report_section_forces(report *r, json_t *json)
{
    const report_dispersion *d = &r->dispersion;
    static const char group[] = "/entry/force_constants";
    int64_t n = 0, k = 0;
    char *path = cli_format("%s/name", group);
    char **name = d->refined != NULL ? report_strings(r, d->path, path, &n) : NULL;
    free(path);
    static const char *const columns[] = {"start", "change", "change_errors", "determined"};
    double *v[4] = {NULL};
    bool whole = name != NULL && n > 0;
    for (int c = 0; whole && c < 4; c++) {
        path = cli_format("%s/%s", group, columns[c]);
        v[c] = report_exactly(r, d->path, path, 1, n);
        free(path);
        whole = v[c] != NULL;
    }
    if (whole) {
        double chi2 = report_scalar(r, d->path, "/entry/force_constants/chi2"),
               before = report_scalar(r, d->path, "/entry/force_constants/chi2_before"),
               dof = report_scalar(r, d->path, "/entry/force_constants/dof"),
               used = report_scalar(r, d->path, "/entry/force_constants/points_used"),
               refused = report_scalar(r, d->path, "/entry/force_constants/points_refused");
        text_add(&r->page, "<h3>Force constants</h3>\n");
        report_paragraph(r,
                         "Refined to %.0f points (%.0f lie near no branch): χ² per degree of freedom %.3g, with the "
                         "constants given %.3g. A component that the points do not determine stays near its start.",
                         used, refused, chi2 / dof, before / dof);
        text_add(&r->page,
                 "<div class=\"scroll\"><table><caption>Components of the tensors of bonds, N/m: given, and what "
                 "the points add.</caption>\n<tr><th>component</th><th>given</th><th>change</th><th>%%</th>"
                 "<th>determined</th></tr>\n");
        for (k = 0; k < n; k++) {
            char *change = text_uncertain(v[1][k], v[2][k]), percent[32] = "";
            if (fabs(v[0][k]) > NO_CONSTANT) snprintf(percent, sizeof percent, "%.2f", 100 * v[1][k] / v[0][k]);
            text_add(&r->page, "<tr><td>");
            text_escape(&r->page, name[k]);
            text_add(&r->page, "</td><td>%.4g</td><td>%s</td><td>%s</td><td>%s</td></tr>\n", v[0][k], change, percent,
                     v[3][k] != 0 ? "yes" : "no");
            free(change);
        }
        text_add(&r->page, "</table></div>\n");
        json_t *list = json_array();
        for (k = 0; k < n; k++)
            json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:o, s:b}", "name", name[k], "given",
                                                  number_json(v[0][k]), "change", number_json(v[1][k]), "change_error",
                                                  number_json(v[2][k]), "determined", v[3][k] != 0));
        json_object_set_new(json, "force_constants", list);
    }
    for (int c = 0; c < 4; c++) free(v[c]);
    report_strings_free(name, n);
}
