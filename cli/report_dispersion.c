// SPDX-License-Identifier: BSD-3-Clause
// report_dispersion.c -- points, coverage of the zone and S(q, nu) along the path with its branches.
//
// The truth of a simulation is drawn as lines: nu1 of the photoexcited crystal, and thin nu0 before the laser.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/report.h"

// ---- points

void report_read_points(report *r, const char *file, report_points *p)
{
    int64_t shape[2], n;
    p->hkl = report_required(r, file, "/entry/points/hkl", 2, shape);
    p->frequency = p->hkl != NULL ? report_exactly(r, file, "/entry/points/frequency", 1, shape[0]) : NULL;
    if (p->frequency == NULL) return;
    p->n = shape[0];
    p->frequency_errors = report_exactly(r, file, "/entry/points/frequency_errors", 1, p->n);
    p->amplitude = report_exactly(r, file, "/entry/points/amplitude", 1, p->n);
    p->amplitude_errors = report_exactly(r, file, "/entry/points/amplitude_errors", 1, p->n);
    p->branch = report_exactly(r, file, "/entry/points/branch", 1, p->n);
    p->pixel = report_exactly(r, file, "/entry/points/pixel", 2, 2 * p->n);
    p->run = report_strings(r, file, "/entry/points/run", &n);
    p->kind = report_strings(r, file, "/entry/points/kind", &n);
    double *alias = report_exactly(r, file, "/entry/points/alias", 1, p->n);
    for (int64_t i = 0; i < p->n; i++) {
        p->pairs += p->kind != NULL && strcmp(p->kind[i], "pair") == 0;
        p->mirrored += alias != NULL && alias[i] == 1;
        p->unjudged += alias != NULL && alias[i] == 2;
    }
    free(alias);
}

void report_forget_points(report_points *p)
{
    void *const owned[] = {p->hkl,    p->frequency, p->frequency_errors, p->amplitude, p->amplitude_errors,
                           p->branch, p->pixel};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) free(owned[i]);
    report_strings_free(p->run, p->n);
    report_strings_free(p->kind, p->n);
}

// ---- coverage

typedef struct coverage_view {
    int64_t ny, nx;
    double *v;
    double x0, x1, y0, y1, most;
    const char *x_label, *y_label;
    int width, height;
} coverage_view;

static void draw_coverage(const void *data)
{
    const coverage_view *c = data;
    draw_axes a = draw_axes_page(c->width, c->height);
    draw_scale s = {.map = DRAW_VIRIDIS, .lo = 1, .hi = fmax(c->most, 10), .log = true, .label = "Samples"};
    a.x0 = c->x0;
    a.x1 = c->x1;
    a.y0 = c->y0;
    a.y1 = c->y1;
    a.x_label = c->x_label;
    a.y_label = c->y_label;
    draw_axes_fit(&a);
    a.right -= draw_bar_room(&s, a.top - a.bottom);
    draw_axes_equal(&a);
    draw_image(&a, c->ny, c->nx, c->v, &s);
    draw_axes_frame(&a);
    draw_colour_bar(&a, &s);
}

// First and last edge of an axis given by its centres.
static void axis_edges(const double *centre, int64_t n, double *lo, double *hi)
{
    double half = n > 1 ? (centre[1] - centre[0]) / 2 : 0.5;
    *lo = centre[0] - half;
    *hi = centre[n - 1] + half;
}

// Sums along the axis `along`; the two others become y (first) and x (second).
static void coverage_picture(report *r, int along)
{
    static const char *const label[3] = {"h (r.l.u.)", "k (r.l.u.)", "l (r.l.u.)"}, *const letter[3] = {"h", "k", "l"};
    const report_dispersion *d = &r->dispersion;
    int x = along == 0 ? 1 : 0, y = along == 2 ? 1 : 2;
    coverage_view c = {.nx = d->shape[x], .ny = d->shape[y], .x_label = label[x], .y_label = label[y], .width = 760};
    axis_edges(d->axis[x], c.nx, &c.x0, &c.x1);
    axis_edges(d->axis[y], c.ny, &c.y0, &c.y1);
    c.v = cli_alloc((size_t)(c.nx * c.ny), sizeof *c.v);
    int64_t at[3];
    const double *v = d->coverage;
    for (at[0] = 0; at[0] < d->shape[0]; at[0]++)
        for (at[1] = 0; at[1] < d->shape[1]; at[1]++)
            for (at[2] = 0; at[2] < d->shape[2]; at[2]++) c.v[at[y] * c.nx + at[x]] += *v++;
    for (int64_t i = 0; i < c.nx * c.ny; i++) {
        c.most = fmax(c.most, c.v[i]);
        if (c.v[i] <= 0) c.v[i] = NAN;
    }
    c.height = (int)(fmin(fmax(fabs((c.y1 - c.y0) / (c.x1 - c.x0)), 0.4), 2) * (760 - 11 * DRAW_EM) + 4.1 * DRAW_EM);
    char *name = cli_format("coverage-%s%s", letter[x], letter[y]);
    char *caption = cli_format("Samples of the zone summed along %s; grey: not seen.", letter[along]);
    report_picture(r, name, c.width, c.height, draw_coverage, &c, false, caption);
    free(caption);
    free(name);
    free(c.v);
}

static void coverage_section(report *r, json_t *json)
{
    const report_dispersion *d = &r->dispersion;
    if (d->coverage == NULL || d->axis[0] == NULL || d->axis[1] == NULL || d->axis[2] == NULL) return;
    int64_t n = d->shape[0] * d->shape[1] * d->shape[2], seen = 0;
    for (int64_t i = 0; i < n; i++) seen += d->coverage[i] > 0;
    json_object_set_new(json, "volume_voxels", json_integer(n));
    json_object_set_new(json, "volume_covered", json_integer(seen));
    text_add(&r->page, "<h3>Coverage of the zone</h3>\n");
    json_object_set_new(json, "volume_in_zone", count_json(d->zone_voxels));
    if (d->zone_voxels > 0.0)
        report_paragraph(r,
                         "%lld of the %.0f voxels that lie in the first zone, or partly (%.1f %%), were seen by at "
                         "least one pixel group; the box around the zone has %lld.",
                         (long long)seen, d->zone_voxels, 100.0 * (double)seen / d->zone_voxels, (long long)n);
    else
        report_paragraph(r,
                         "%lld voxels were seen by at least one pixel group, of %lld of the box around the first zone.",
                         (long long)seen, (long long)n);
    report_figures_begin_three(r);
    for (int along = 2; along >= 0; along--) coverage_picture(r, along);
    report_figures_end(r);
}

// ---- the path

#define PAGE_W 1480
#define PAGE_H 1000

// About as wide as it will be drawn.
static double label_width(const char *label)
{
    int letters = 0;
    for (; *label != '\0'; label++) letters += ((unsigned char)*label & 0xc0) != 0x80;
    return 0.72 * DRAW_EM * letters;
}

// A corner so near to the one before that its name would be written over that one's has neither name nor line.
static void draw_labels(const draw_axes *a, const report_dispersion *d)
{
    double free_from = -1e9;
    for (int i = 0; i < d->n_labels; i++) {
        double x = draw_x(a, d->label_distance[i]), half = 0.5 * label_width(d->label[i]);
        if (x - half < free_from) continue;
        draw_line(a, d->label_distance[i], a->y0, d->label_distance[i], a->y1, DRAW_WHITE, 2, DRAW_SOLID);
        draw_text(x, a->bottom - 1.05 * DRAW_EM, 0.5, 1.05, DRAW_INK, d->label[i]);
        free_from = x + half + 0.15 * DRAW_EM;
    }
    draw_text((a->left + a->right) / 2, a->bottom - 2.45 * DRAW_EM, 0.5, 1, DRAW_INK, "Wave vector q along the path");
}

// nu1 after the change, and thin nu0 before it.
static void draw_truth(const draw_axes *a, const report *r)
{
    const report_dispersion *d = &r->dispersion;
    double *own = cli_alloc((size_t)d->branch_n, sizeof *own); // a branch where it is not the one below it: dashes
    for (int64_t b = 0; b < r->truth.band_branches; b++) {     // drawn twice would fill each other's gaps
        const double *nu0 = r->truth.band_before;
        for (int64_t i = 0, k = b * d->branch_n; nu0 != NULL && i < d->branch_n; i++, k++)
            own[i] = b > 0 && nu0[k] - nu0[k - d->branch_n] < 1e-6 ? NAN : nu0[k];
        if (nu0 != NULL) draw_curve(a, d->branch_n, d->branch_distance, own, DRAW_WHITE, 2, DRAW_DASHED);
        if (r->truth.band_after != NULL)
            draw_curve(a, d->branch_n, d->branch_distance, r->truth.band_after + b * d->branch_n, DRAW_RED, 3.5,
                       DRAW_SOLID);
    }
    free(own);
}

static bool has_truth(const report *r)
{
    return r->dispersion.branch_distance != NULL && (r->truth.band_after != NULL || r->truth.band_before != NULL);
}

// Where folded frequencies meet those that fold them, nu of pairs or of coherent modes; NaN: nowhere.
static double mirror_of(const report_dispersion *d, bool pairs)
{
    int64_t n = pairs ? d->points.pairs : d->points.n - d->points.pairs;
    return n > 0 ? d->nyquist_thz / (pairs ? 2 : 1) : NAN;
}

static void draw_mirrors(const draw_axes *a, const report_dispersion *d)
{
    for (int pairs = 0; pairs < 2; pairs++) {
        double nu = mirror_of(d, pairs != 0);
        if (!(nu < a->y1)) continue;
        draw_line(a, a->x0, nu, a->x1, nu, DRAW_RED, 2, DRAW_DASHED);
        draw_text(a->right - 0.4 * DRAW_EM, draw_y(a, nu) + 0.7 * DRAW_EM, 1, 0.75, DRAW_RED,
                  pairs ? "Nyquist frequency of pairs" : "Nyquist frequency");
    }
}

static double path_top(const report_dispersion *d)
{
    double top = numbers_quantile(d->points.frequency, d->points.n, 0.998), branch = -1;
    if (d->branch_frequency != NULL) branch = numbers_quantile(d->branch_frequency, d->n_branches * d->branch_n, 1);
    top = fmax(isfinite(top) ? top : 0, isfinite(branch) ? branch : 0);
    double last = d->path_frequency[d->path_nf - 1], mirror = mirror_of(d, true);
    top = top > 0 && 1.12 * top < last ? 1.12 * top : last;
    return mirror < 1.1 * top ? fmax(top, 1.06 * mirror) : top; // which is shown where it is near
}

static void draw_path(const void *data)
{
    const report *r = data;
    const report_dispersion *d = &r->dispersion;
    draw_axes a = draw_axes_page(PAGE_W, PAGE_H);
    axis_edges(d->path_distance, d->path_n, &a.x0, &a.x1);
    axis_edges(d->path_frequency, d->path_nf, &a.y0, &a.y1);
    a.y_label = "Phonon frequency ν (THz)";
    a.x_label = "Wave vector along the path (1/Å)";
    a.no_x_ticks = d->n_labels > 0;
    double step = (a.y1 - a.y0) / (double)d->path_nf, top = path_top(d);
    int64_t rows = (int64_t)ceil((top - a.y0) / step);
    a.y1 = a.y0 + step * (double)rows;
    double *v = cli_alloc((size_t)(d->path_n * rows), sizeof *v); // transposed
    for (int64_t i = 0; i < d->path_n; i++)
        for (int64_t k = 0; k < rows; k++)
            v[k * d->path_n + i] = k < d->path_nf ? d->path_intensity[i * d->path_nf + k] : NAN;
    double most = numbers_quantile(v, d->path_n * rows, 0.998);
    for (int64_t i = 0; most > 0 && i < d->path_n * rows; i++) v[i] /= most;
    draw_scale s = {.map = DRAW_VIRIDIS, .lo = 2e-3, .hi = 1, .log = true, .label = "S(q, ν) (relative)"};
    a.right -= draw_bar_room(&s, a.top - a.bottom);
    draw_image(&a, rows, d->path_n, v, &s);
    if (d->n_labels > 0) draw_labels(&a, d);
    if (has_truth(r)) draw_truth(&a, r);
    if (!has_truth(r)) report_draw_forces(&a, d);
    for (int64_t b = 0; b < d->n_branches && d->branch_distance != NULL; b++) {
        const double *f = d->branch_frequency + b * d->branch_n,
                     *e = d->branch_errors ? d->branch_errors + b * d->branch_n : NULL;
        draw_points(&a, d->branch_n, d->branch_distance, f, e, DRAW_INK, 6.5, 1);
        draw_points(&a, d->branch_n, d->branch_distance, f, NULL, DRAW_WHITE, 4.2, 1);
    }
    draw_mirrors(&a, d);
    draw_axes_frame(&a);
    draw_colour_bar(&a, &s);
    free(v);
}

static const char *shown_label(const char *label)
{
    static const char *const gamma[] = {"G", "GM", "Gamma", "GAMMA", "gamma"};
    for (size_t i = 0; i < sizeof gamma / sizeof gamma[0]; i++)
        if (strcmp(label, gamma[i]) == 0) return "Γ";
    return label;
}

// Branches at the labelled points: the sample of the path at the label's place.
static void label_table(report *r, json_t *json)
{
    const report_dispersion *d = &r->dispersion;
    if (d->branch_frequency == NULL || d->branch_distance == NULL || d->n_labels == 0 || d->n_branches == 0) return;
    text_add(&r->page,
             "<div class=\"scroll\"><table><caption>Branches ν (THz) at the sample of the path nearest to each "
             "labelled point.</caption>\n<tr><th>branch</th>");
    int64_t at[64];
    int n = d->n_labels < 64 ? d->n_labels : 64;
    for (int i = 0; i < n; i++) {
        at[i] = 0;
        for (int64_t k = 1; k < d->branch_n; k++)
            if (fabs(d->branch_distance[k] - d->label_distance[i]) <
                fabs(d->branch_distance[at[i]] - d->label_distance[i]))
                at[i] = k;
        text_add(&r->page, "<th>");
        text_escape(&r->page, shown_label(d->label[i]));
        text_add(&r->page, "</th>");
    }
    text_add(&r->page, "</tr>\n");
    for (int64_t b = 0; b < d->n_branches; b++) {
        text_add(&r->page, "<tr><td>%lld</td>", (long long)b + 1);
        for (int i = 0; i < n; i++) {
            int64_t k = b * d->branch_n + at[i];
            char *v = text_uncertain(d->branch_frequency[k], d->branch_errors ? d->branch_errors[k] : NAN);
            text_add(&r->page, "<td>%s</td>", v);
            free(v);
        }
        text_add(&r->page, "</tr>\n");
    }
    text_add(&r->page, "</table></div>\n");
    json_t *labels = json_array();
    for (int i = 0; i < d->n_labels; i++)
        json_array_append_new(labels, json_pack("{s:s, s:o}", "label", d->label[i], "distance_inv_ang",
                                                number_json(d->label_distance[i])));
    json_object_set_new(json, "labels", labels);
}

static void branches_json(const report_dispersion *d, json_t *json)
{
    json_t *list = json_array();
    for (int64_t b = 0; b < d->n_branches; b++) {
        json_t *o =
            json_pack("{s:o}", "frequency_thz", numbers_json(d->branch_frequency + b * d->branch_n, d->branch_n));
        if (d->branch_errors)
            json_object_set_new(o, "error_thz", numbers_json(d->branch_errors + b * d->branch_n, d->branch_n));
        if (d->branch_count)
            json_object_set_new(o, "count", numbers_json(d->branch_count + b * d->branch_n, d->branch_n));
        json_array_append_new(list, o);
    }
    if (d->branch_distance)
        json_object_set_new(json, "distance_inv_ang", numbers_json(d->branch_distance, d->branch_n));
    json_object_set_new(json, "branches", list);
}

static void aliasing_text(report *r)
{
    const report_points *p = &r->dispersion.points;
    double nyquist = r->dispersion.nyquist_thz;
    if (isfinite(nyquist))
        report_paragraph(r,
                         "The delay bins show oscillations up to the Nyquist frequency f_N = %.4g THz: pairs up to ν = "
                         "%.4g THz, coherent modes up to ν = %.4g THz. A faster one appears folded back, at 2 f_N − f.",
                         nyquist, nyquist / 2, nyquist);
    if (!isfinite(nyquist) && p->mirrored + p->unjudged > 0)
        report_paragraph(r,
                         "%lld points lie above what this crystal can do. The delay bins are not even: no "
                         "Nyquist frequency tells which others may be folded back.",
                         (long long)p->mirrored + (long long)p->unjudged);
    else if (p->mirrored > 0)
        report_paragraph(
            r,
            "Aliasing: the delay bins are too coarse for this crystal. %lld points may be folded back from beyond "
            "the Nyquist frequency.",
            (long long)p->mirrored);
    if (p->unjudged > 0 && isfinite(nyquist))
        report_paragraph(r,
                         "Aliasing: %lld points may be folded back from beyond the Nyquist frequency. That cannot be "
                         "judged, because how far this crystal reaches is not known: map.crystal.max_thz says it.",
                         (long long)p->unjudged);
}

static void points_text(report *r, json_t *json)
{
    const report_points *p = &r->dispersion.points;
    double error = p->frequency_errors ? numbers_median(p->frequency_errors, p->n) : NAN;
    report_paragraph(
        r,
        "%lld points (ν, q): %lld from pairs, where ν = f/2, %lld coherent, where ν = f; %lld lines were taken as sums "
        "or differences of two branches and stand apart.",
        (long long)p->n, (long long)p->pairs, (long long)(p->n - p->pairs), (long long)r->dispersion.n_combinations);
    if (isfinite(error)) report_paragraph(r, "Median standard error of ν: %.3g THz.", error);
    aliasing_text(r);
    json_object_set_new(json, "points", json_integer(p->n));
    json_object_set_new(json, "points_pair", json_integer(p->pairs));
    json_object_set_new(json, "points_aliased", json_integer(p->mirrored));
    json_object_set_new(json, "points_alias_unknown", json_integer(p->unjudged));
    json_object_set_new(json, "nyquist_thz", number_json(r->dispersion.nyquist_thz));
    json_object_set_new(json, "combination_points", json_integer(r->dispersion.n_combinations));
    json_object_set_new(json, "median_frequency_error_thz", number_json(error));
}

void report_section_dispersion(report *r)
{
    report_dispersion *d = &r->dispersion;
    report_heading(r, "dispersion", "Dispersion");
    if (d->path == NULL) {
        report_paragraph(
            r,
            "There is no dispersion: dispersion.h5 is %s. It needs the photon energy, the detector's geometry, the "
            "crystal's orientation and its cell in the configuration (experiment.energy_kev, geometry.*, "
            "map.crystal.*).",
            r->not_mapped ? "not of this run" : "not there");
        return;
    }
    json_t *json = json_object();
    points_text(r, json);
    if (d->path_intensity != NULL && d->path_distance != NULL && d->path_frequency != NULL && d->path_n > 1 &&
        d->path_nf > 1) {
        for (int i = 0; i < d->n_labels; i++) { // as it is drawn
            const char *shown = shown_label(d->label[i]);
            if (shown == d->label[i]) continue;
            free(d->label[i]);
            d->label[i] = cli_format("%s", shown);
        }
        report_figures_begin(r);
        char *caption = cli_format(
            "S(q, ν) along the path with the branches found (white, with standard errors)%s.",
            has_truth(r) ? "; red: the true ν₁ of the photoexcited crystal on the path, dashed: ν₀ before the laser"
            : d->refined != NULL ? "; orange: the refined force constants, dashed: those given"
            : d->n_reference > 0 ? "; dashed: the force constants given"
                                 : "");
        report_picture(r, "dispersion", PAGE_W, PAGE_H, draw_path, r, true, caption);
        free(caption);
        report_figures_end(r);
        label_table(r, json);
    } else {
        report_paragraph(r, "There is no path through the zone (map.path).");
    }
    if (d->branch_frequency != NULL) branches_json(d, json);
    report_section_forces(r, json);
    coverage_section(r, json);
    json_object_set_new(r->json, "dispersion", json);
}
