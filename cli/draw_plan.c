// SPDX-License-Identifier: BSD-3-Clause
// draw_plan.c -- the answer of `xani plan` as a picture of four panels.
//
// How long until a branch is seen and in how many pixel groups, against the grouping; what timing and bins leave of an
// oscillation, with the band of each branch's pairs below; what of the zone the angles cover, those of the runs and the
// next best ones.  Colours are branches.  Everything comes from the JSON that the library answers with.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/draw.h"

enum { WIDTH = 1900, HEIGHT = 1500, BRANCHES = 6, POINTS = 512 };
#define HEAD (5.2 * DRAW_EM)

typedef struct {
    double x[POINTS], y[POINTS];
    int n;
} series;

typedef struct {
    const json_t *plan;
    const char *title;
    int branch[BRANCHES], n_branches, all; // those drawn, the clearest; how many there are
} picture;

static const draw_colour colours[BRANCHES] = {DRAW_BLUE, DRAW_ORANGE, DRAW_GREEN, DRAW_PURPLE, DRAW_RED, DRAW_GREY};

static double number_of(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static void add(series *s, double x, double y)
{
    if (s->n == POINTS) return;
    s->x[s->n] = x;
    s->y[s->n++] = y;
}

// column 0 or 1, row 0 (below) or 1.
static draw_axes panel(int column, int row)
{
    double w = 0.5 * WIDTH, h = 0.5 * (HEIGHT - HEAD);
    return (draw_axes){.left = column * w + 5.2 * DRAW_EM,
                       .right = (column + 1) * w - 1.2 * DRAW_EM,
                       .bottom = row * h + 3.4 * DRAW_EM,
                       .top = (row + 1) * h - 2.4 * DRAW_EM};
}

static void heading(const draw_axes *a, const char *text)
{
    draw_text(a->left, a->top + 0.9 * DRAW_EM, 0, 1, DRAW_INK, text);
}

static void nothing(const draw_axes *a, const char *why)
{
    draw_text(0.5 * (a->left + a->right), 0.5 * (a->bottom + a->top), 0.5, 0.9, DRAW_GREY, why);
}

// An axis of groupings: 1, 2, 4, ... at equal distances.
static void grouping_axis(draw_axes *a)
{
    a->x0 = -0.25, a->x1 = 5.25;
    a->no_x_ticks = true;
}

static void grouping_numbers(const draw_axes *a)
{
    char text[16];
    for (int k = 0; k < 6; k++) {
        double x = draw_x(a, k);
        draw_stroke(x, a->bottom, x, a->bottom - 0.4 * DRAW_EM, 2);
        snprintf(text, sizeof text, "%d", 1 << k);
        draw_text(x, a->bottom - 1.05 * DRAW_EM, 0.5, 0.9, DRAW_INK, text);
    }
    draw_text(0.5 * (a->left + a->right), a->bottom - 2.45 * DRAW_EM, 0.5, 1, DRAW_INK,
              "pixels along the edge of a group");
}

static void branch_name(const picture *p, int i, char *text, size_t size)
{
    double nu = number_of(json_array_get(json_object_get(p->plan, "modes"), (size_t)p->branch[i]), "nu_thz");
    snprintf(text, size, "branch %d, %.2g THz", p->branch[i] + 1, nu);
}

static void of_budget(const picture *p, int branch, const char *key, series *out)
{
    const json_t *rows = json_object_get(p->plan, "budget"), *row;
    out->n = 0;
    for (size_t n = 0; (row = json_array_get(rows, n)) != NULL; n++)
        if ((int)number_of(row, "branch") == branch + 1)
            add(out, log2(number_of(row, "spatial_bin")), number_of(row, key));
}

static void reach(const series *s, double *lo, double *hi)
{
    for (int i = 0; i < s->n; i++) {
        if (!(s->y[i] > 0.0) || !isfinite(s->y[i])) continue;
        *lo = fmin(*lo, s->y[i]);
        *hi = fmax(*hi, s->y[i]);
    }
}

static const struct {
    const char *name;
    double seconds;
} units[] = {{"seconds", 1}, {"minutes", 60}, {"hours", 3600}, {"days", 86400}};

// How far the curves stay from height y (of the page) over a word about x.
static double clear_of(const draw_axes *a, const series *s, int n, double x, double y)
{
    double least = INFINITY;
    for (int i = 0; i < n; i++)
        for (int j = 0; j + 1 < s[i].n; j++)
            for (int k = 0; k <= 8; k++) {
                double part = k / 8.0, at = (1 - part) * s[i].x[j] + part * s[i].x[j + 1];
                double high = (1 - part) * draw_y(a, s[i].y[j]) + part * draw_y(a, s[i].y[j + 1]);
                if (fabs(at - x) < 0.75) least = fmin(least, fabs(high - y));
            }
    return least;
}

static void draw_times(const picture *p)
{
    draw_axes a = panel(0, 1);
    double lo = INFINITY, hi = 0, rate = number_of(p->plan, "shots_per_second"), unit = 1,
           planned = number_of(p->plan, "shots_planned");
    series s[2 * BRANCHES] = {{.n = 0}};
    char label[80], head[120], text[80];
    for (int i = 0; i < p->n_branches; i++) {
        of_budget(p, p->branch[i], "shots_best", &s[2 * i]);
        of_budget(p, p->branch[i], "shots_median", &s[2 * i + 1]);
        reach(&s[2 * i], &lo, &hi);
        reach(&s[2 * i + 1], &lo, &hi);
    }
    snprintf(label, sizeof label, "shots of a run");
    if (rate > 0 && hi > 0) {
        double typical = fmin(sqrt(lo * hi), 100 * lo) / rate;
        int k = typical > 2 * 86400 ? 3 : typical > 3600 ? 2 : typical > 60 ? 1 : 0;
        unit = rate * units[k].seconds;
        snprintf(label, sizeof label, "%s at %.4g Hz", units[k].name, rate);
    }
    grouping_axis(&a);
    a.log_y = true;
    if (planned > 0) lo = fmin(lo, planned), hi = fmax(hi, planned);
    a.y0 = lo / unit / 2;
    a.y1 = a.y0 * pow(10, draw_below_legend(&a, p->n_branches, log10(fmin(hi, 1e6 * lo) / lo * 4)));
    a.y_label = label;
    snprintf(head, sizeof head, "until seen (%.0f %%) in a tenth (line), in half (dashed) of the groups",
             100 * number_of(p->plan, "certainty"));
    heading(&a, head);
    if (!(hi > 0)) {
        nothing(&a, "brightness or delays are not known");
        a.y0 = 1, a.y1 = 100;
    }
    for (int i = 0; hi > 0 && i < p->n_branches; i++) {
        for (int k = 0; k < 2; k++) {
            series *one = &s[2 * i + k];
            for (int j = 0; j < one->n; j++) one->y[j] /= unit;
            draw_curve(&a, one->n, one->x, one->y, colours[i], 4, k ? DRAW_DASHED : DRAW_SOLID);
            draw_points(&a, one->n, one->x, one->y, NULL, colours[i], 6, 1);
        }
        branch_name(p, i, text, sizeof text);
        draw_legend(&a, true, i, '-', colours[i], text);
    }
    if (hi > 0 && planned > 0) {
        double y = draw_y(&a, planned / unit);
        draw_line(&a, a.x0, planned / unit, a.x1, planned / unit, DRAW_GREY, 3, DRAW_DASHED);
        double best = 0.6, most = 0, word = y + 0.7 * DRAW_EM;
        for (int k = 0; k < 20; k++) {
            double x = 0.6 + 0.2 * k, room = clear_of(&a, s, 2 * p->n_branches, x, word);
            if (room > most + 1) most = room, best = x;
        }
        snprintf(text, sizeof text, planned < 1e7 ? "a run, %.0f shots" : "a run, %.4g shots", planned);
        draw_text(draw_x(&a, best), word, 0.5, 0.8, DRAW_GREY, text);
    }
    draw_axes_frame(&a);
    grouping_numbers(&a);
}

static void draw_shares(const picture *p)
{
    draw_axes a = panel(1, 1);
    series s;
    bool any = false;
    grouping_axis(&a);
    a.y0 = 0;
    a.y1 = 1.12; // room for a word
    a.y_label = "share of the pixel groups";
    heading(&a, "where a branch is found with the shots of a run");
    int now = (int)number_of(p->plan, "spatial_bin");
    if (now > 0 && now <= 32) draw_line(&a, log2(now), 0, log2(now), a.y1, DRAW_PALE, 12, DRAW_SOLID);
    for (int i = 0; i < p->n_branches; i++) {
        of_budget(p, p->branch[i], "share", &s);
        for (int j = 0; j < s.n; j++) any = any || isfinite(s.y[j]);
        draw_curve(&a, s.n, s.x, s.y, colours[i], 4, DRAW_SOLID);
        draw_points(&a, s.n, s.x, s.y, NULL, colours[i], 6, 1);
    }
    if (!any) nothing(&a, "the shots or the brightness are not known");
    if (any && now > 0 && now <= 32)
        draw_text(draw_x(&a, log2(now)), a.top - 0.8 * DRAW_EM, 0.5, 0.75, DRAW_GREY, "now");
    draw_axes_frame(&a);
    grouping_numbers(&a);
}

static void of_timing(const picture *p, const char *key, series *out)
{
    const json_t *row, *rows = json_object_get(p->plan, "timing");
    size_t n;
    out->n = 0;
    add(out, 0, 1);
    json_array_foreach((json_t *)rows, n, row) { add(out, number_of(row, "frequency_thz"), number_of(row, key)); }
}

static void draw_timing(const picture *p)
{
    static const struct {
        const char *key, *name;
        draw_colour colour;
        draw_dash dash;
    } curves[] = {{"amplitude_left", "timing and bins", DRAW_INK, DRAW_SOLID},
                  {"timing_factor", "timing alone", DRAW_RED, DRAW_DASHED},
                  {"bin_factor", "bins alone", DRAW_BLUE, DRAW_DASHED},
                  {"without_time_tool", "without the time tool", DRAW_GREY, DRAW_DASHED}};
    draw_axes a = panel(0, 0), strip = a;
    series s;
    of_timing(p, "amplitude_left", &s);
    a.x0 = strip.x0 = 0;
    a.x1 = strip.x1 = s.x[s.n - 1];
    a.y0 = 0;
    a.y1 = 1.3; // room for the legend
    a.y_label = "part of the amplitude left";
    a.no_x_numbers = true;
    strip.top = a.bottom + (0.5 + 1.1 * p->n_branches) * DRAW_EM;
    a.bottom = strip.top;
    strip.y0 = p->n_branches + 0.2;
    strip.y1 = -0.2;
    strip.x_label = "frequency of the oscillation (THz), twice the phonon's";
    strip.no_y_ticks = true;
    heading(&a, "what timing leaves; bars: where the branches' pairs oscillate");
    double nyquist = number_of(p->plan, "nyquist_thz");
    if (nyquist < a.x1) draw_rectangle(&a, nyquist, 0, a.x1, a.y1, DRAW_PALE, 0.6);
    if (nyquist < a.x1) draw_text(draw_x(&a, nyquist) + 0.5 * DRAW_EM, draw_y(&a, 0.06), 0, 0.8, DRAW_GREY, "aliased");
    for (int i = 0, line = 0; i < (int)(sizeof curves / sizeof curves[0]); i++) {
        of_timing(p, curves[i].key, &s);
        if (s.n < 2 || !isfinite(s.y[1])) continue;
        draw_curve(&a, s.n, s.x, s.y, curves[i].colour, i == 0 ? 5 : 3, curves[i].dash);
        draw_legend(&a, line % 2 != 0, line / 2, curves[i].dash == DRAW_DASHED ? '=' : '-', curves[i].colour,
                    curves[i].name);
        line++;
    }
    for (int i = 0; i < p->n_branches; i++) {
        const json_t *m = json_array_get(json_object_get(p->plan, "modes"), (size_t)p->branch[i]);
        double f0 = 2 * number_of(m, "nu_lowest_thz"), f1 = 2 * number_of(m, "nu_highest_thz"),
               nu = 2 * number_of(m, "nu_thz");
        if (f1 - f0 < 0.004 * a.x1) f0 -= 0.002 * a.x1, f1 += 0.002 * a.x1;
        draw_rectangle(&strip, f0, i + 0.25, f1, i + 0.75, colours[i], 1);
        draw_line(&strip, nu, i + 0.15, nu, i + 0.85, DRAW_INK, 4, DRAW_SOLID);
    }
    draw_axes_frame(&a);
    draw_axes_frame(&strip);
}

static void draw_coverage(const picture *p)
{
    draw_axes a = panel(1, 0);
    const json_t *c = json_object_get(p->plan, "coverage"), *rows = json_object_get(c, "angles"), *row,
                 *all = json_object_get(c, "all_angles_together");
    size_t n;
    series looked = {.n = 0}, found = {.n = 0};
    char text[64], head[96];
    double n_rows = (double)json_array_size(rows), most = 0;
    a.x0 = 0;
    a.x1 = fmax(n_rows, 1) + 0.6;
    a.y0 = 0;
    a.y1 = 1.05;
    json_array_foreach((json_t *)rows, n, row) most = fmax(most, number_of(row, "coverage"));
    if (most > 0) a.y1 = fmin(1.45, 1.45 * fmax(most, number_of(all, "coverage")));
    a.x_label = "number of sample angles";
    a.x_whole = true;
    a.y_label = "share of the irreducible zone";
    snprintf(head, sizeof head, "what the angles cover%s", n_rows > 0 ? "; next best ones in degrees" : "");
    heading(&a, head);
    if (n_rows == 0) {
        nothing(&a, "geometry and crystal are not known");
        draw_axes_frame(&a);
        return;
    }
    double reach_looked = number_of(all, "coverage"), reach_found = number_of(all, "found");
    if (isfinite(reach_looked)) draw_line(&a, 0, reach_looked, a.x1, reach_looked, DRAW_INK, 2, DRAW_DASHED);
    if (isfinite(reach_found)) draw_line(&a, 0, reach_found, a.x1, reach_found, DRAW_BLUE, 2, DRAW_DASHED);
    json_array_foreach((json_t *)rows, n, row)
    {
        add(&looked, number_of(row, "angles"), number_of(row, "coverage"));
        add(&found, number_of(row, "angles"), number_of(row, "found"));
    }
    draw_curve(&a, looked.n, looked.x, looked.y, DRAW_INK, 3, DRAW_SOLID);
    draw_curve(&a, found.n, found.x, found.y, DRAW_BLUE, 3, DRAW_SOLID);
    size_t every = 1 + (size_t)(n_rows / 16);
    json_array_foreach((json_t *)rows, n, row)
    {
        bool run = strcmp(json_string_value(json_object_get(row, "run")), "next") != 0;
        draw_points(&a, 1, &looked.x[n], &looked.y[n], NULL, DRAW_INK, run ? 9 : 5, 1);
        draw_points(&a, 1, &found.x[n], &found.y[n], NULL, DRAW_BLUE, run ? 9 : 5, 1);
        const json_t *angles = json_object_get(row, "angle_deg");
        if (run || n % every != 0) continue;
        size_t used = 0;
        for (size_t i = 0; i < json_array_size(angles) && used < sizeof text; i++) {
            double angle = json_number_value(json_array_get(angles, i));
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s%.4g", i ? ", " : "", angle < 0 ? "−" : "",
                                     fabs(angle));
        }
        draw_text(draw_x(&a, looked.x[n]), draw_y(&a, looked.y[n]) + 0.9 * DRAW_EM, 0.5, 0.7, DRAW_INK, text);
    }
    draw_legend(&a, false, 0, '-', DRAW_INK, "voxels looked at");
    if (isfinite(found.y[0])) draw_legend(&a, false, 1, '-', DRAW_BLUE, "branches found in them");
    if (all != NULL) draw_legend(&a, false, 2, '=', DRAW_GREY, "all angles of the range together");
    draw_axes_frame(&a);
}

static void write_title(const picture *p)
{
    static const struct {
        const char *what, *before, *behind;
    } words[] = {{"photons_per_pixel_and_shot", "", " photons per pixel and shot"},
                 {"shots_per_run", ",  ", " shots"},
                 {"timing_rms_ps", ",  timing ", " ps rms"},
                 {"laser_off_fraction", ",  laser-off ", ""}};
    char line[400] = "";
    const json_t *row;
    size_t n, used = 0;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        json_array_foreach((json_t *)json_object_get(p->plan, "inputs"), n, row)
        {
            double v = number_of(row, "value");
            if (strcmp(json_string_value(json_object_get(row, "quantity")), words[i].what) != 0 || !isfinite(v))
                continue;
            used +=
                (size_t)snprintf(line + used, sizeof line - used, v < 1e4 ? "%s%.4g%s (%s)" : "%s%.0f%s (%s)",
                                 words[i].before, v, words[i].behind, json_string_value(json_object_get(row, "from")));
        }
    const double y = HEIGHT - 1.5 * DRAW_EM;
    draw_text(0.5 * WIDTH, y, 0.5, 1.25, DRAW_INK, p->title);
    draw_text(0.5 * WIDTH, y - 1.7 * DRAW_EM, 0.5, 0.85, DRAW_INK, line);
    used = (size_t)snprintf(
        line, sizeof line, "amplitudes: %s; delay step %.4g ps, resolution %.3g THz; rho needed %.3g",
        json_string_value(json_object_get(p->plan, "amplitudes_from")), number_of(p->plan, "delay_step_ps"),
        number_of(p->plan, "frequency_resolution_thz"), number_of(p->plan, "rho_needed"));
    if (p->all > p->n_branches)
        snprintf(line + used, sizeof line - used, "; the %d clearest of %d branches", p->n_branches, p->all);
    draw_text(0.5 * WIDTH, y - 3.1 * DRAW_EM, 0.5, 0.85, DRAW_GREY, line);
}

static void draw(const void *data)
{
    const picture *p = data;
    write_title(p);
    draw_times(p);
    draw_shares(p);
    draw_timing(p);
    draw_coverage(p);
}

// The branches that are clearest, in their own order.
static void choose_branches(picture *p)
{
    const json_t *rows = json_object_get(p->plan, "significance");
    int n = p->all = (int)json_array_size(rows);
    for (int b = 0; b < n; b++) {
        double mine = number_of(json_array_get(rows, (size_t)b), "shots_best");
        int better = 0;
        for (int k = 0; k < n; k++) {
            double other = number_of(json_array_get(rows, (size_t)k), "shots_best");
            better += k != b && isfinite(other) && (!isfinite(mine) || other < mine || (other == mine && k < b));
        }
        if (better < BRANCHES && p->n_branches < BRANCHES) p->branch[p->n_branches++] = b;
    }
}

xani_status cli_draw_plan(cli *c, const char *text)
{
    json_t *plan = json_loads(text, 0, NULL);
    const char *slash = strrchr(c->args[0], '/');
    picture p = {.plan = plan, .title = slash != NULL ? slash + 1 : c->args[0]};
    draw_png png = {0};
    xani_status st;
    choose_branches(&p);
    if (plan == NULL || !draw_picture(WIDTH, HEIGHT, draw, &p, &png))
        st = cli_fail(c, XANI_ERR_OUTPUT, "%s: the picture failed: %s", c->draw, png.why);
    else
        st = cli_write_picture(c, c->draw, png.bytes, png.n);
    free(png.bytes);
    json_decref(plan);
    return st;
}
