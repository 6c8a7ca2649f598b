// SPDX-License-Identifier: BSD-3-Clause
// draw_detector.c -- `xani info --draw`: a detector as its pixels are placed, seen facing the beam.
//
// The view is CrystFEL's: +x to the right and +y up, as one sees the detector from the sample's far side, looking into
// the beam. Each module has its number and a colour, in three strengths; the disc marks the corner of its first stored
// pixel, the line the direction of its rows.  Panels of which every pixel is masked are grey.  A cross marks the beam.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/draw.h"

enum { WIDTH = 1500, HEIGHT = 1500 };

typedef struct {
    const json_t *detector;
    const char *title;
} picture;

static double number_of(const json_t *o, const char *key, int i)
{
    const json_t *v = json_object_get(o, key);
    if (i >= 0) v = json_array_get(v, (size_t)i);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static void corners_of(const json_t *panel, double x[4], double y[4])
{
    for (int i = 0; i < 4; i++) {
        const json_t *p = json_array_get(json_object_get(panel, "corners_mm"), (size_t)i);
        x[i] = json_number_value(json_array_get(p, 0));
        y[i] = json_number_value(json_array_get(p, 1));
    }
}

static draw_axes axes_of(const picture *p)
{
    draw_axes a = draw_axes_page(WIDTH, HEIGHT);
    a.top -= (json_is_string(json_object_get(p->detector, "missing")) ? 6.2 : 4.7) * DRAW_EM;
    double lo[2] = {0.0, 0.0}, hi[2] = {0.0, 0.0}, x[4], y[4];
    const json_t *panel;
    size_t n;
    json_array_foreach((json_t *)json_object_get(p->detector, "panels"), n, panel)
    {
        corners_of(panel, x, y);
        for (int i = 0; i < 4; i++) {
            lo[0] = fmin(lo[0], x[i]);
            hi[0] = fmax(hi[0], x[i]);
            lo[1] = fmin(lo[1], y[i]);
            hi[1] = fmax(hi[1], y[i]);
        }
    }
    double room = 0.03 * fmax(fmax(hi[0] - lo[0], hi[1] - lo[1]), 1e-3);
    a.x0 = lo[0] - room;
    a.x1 = hi[0] + room;
    a.y0 = lo[1] - room;
    a.y1 = hi[1] + room;
    a.x_label = "x (mm), to the left when looking along the beam";
    a.y_label = "y (mm), up";
    draw_axes_fit(&a);
    draw_axes_equal(&a);
    return a;
}

// First pixel, direction of the rows and number of a module, on its first panel and its middle.
static void mark_module(const draw_axes *a, const json_t *first, double x_sum, double y_sum, int n, double size)
{
    double x[4], y[4];
    char text[16];
    corners_of(first, x, y);
    double px = draw_x(a, x[0]), py = draw_y(a, y[0]), ex = draw_x(a, x[1]) - px, ey = draw_y(a, y[1]) - py;
    double length = hypot(ex, ey), reach = fmin(0.7 * length, 1.6 * DRAW_EM);
    if (length > 0.0) draw_stroke(px, py, px + reach * ex / length, py + reach * ey / length, 3);
    const double at_x[1] = {x[0]}, at_y[1] = {y[0]};
    draw_points(a, 1, at_x, at_y, NULL, DRAW_INK, 5, 1);
    snprintf(text, sizeof text, "%lld", (long long)json_integer_value(json_object_get(first, "module")));
    draw_text(draw_x(a, x_sum / n), draw_y(a, y_sum / n), 0.5, size, DRAW_INK, text);
}

static void mark_modules(const draw_axes *a, const json_t *panels)
{
    const json_t *panel, *first = NULL;
    double x_sum = 0.0, y_sum = 0.0, x[4], y[4];
    int n = 0;
    size_t i;
    long long last = -1;
    const double size = 0.9;
    json_array_foreach((json_t *)panels, i, panel)
    {
        long long module = json_integer_value(json_object_get(panel, "module"));
        if (module != last && first != NULL) mark_module(a, first, x_sum, y_sum, n, size);
        if (module != last) {
            first = panel;
            last = module;
            x_sum = y_sum = 0.0;
            n = 0;
        }
        corners_of(panel, x, y);
        x_sum += 0.5 * (x[0] + x[2]);
        y_sum += 0.5 * (y[0] + y[2]);
        n++;
    }
    if (first != NULL) mark_module(a, first, x_sum, y_sum, n, size);
}

static void write_title(const picture *p)
{
    const json_t *d = p->detector, *missing = json_object_get(d, "missing");
    char line[256], distance[64] = "no distance", energy[64] = "", pixel[64];
    double z = number_of(d, "distance_mm", -1), kev = number_of(d, "energy_kev", -1);
    if (isfinite(z)) snprintf(distance, sizeof distance, "%.6g mm behind the sample", z);
    if (isfinite(kev)) snprintf(energy, sizeof energy, ", %.6g keV", kev);
    double y = HEIGHT - 1.3 * DRAW_EM;
    draw_text(0.5 * WIDTH, y, 0.5, 1.2, DRAW_INK, p->title);
    int modules = (int)json_integer_value(json_object_get(d, "modules"));
    double edge = number_of(d, "pixel_mm", -1), least = number_of(d, "pixel_mm", 0);
    if (isfinite(edge))
        snprintf(pixel, sizeof pixel, "%.4g", edge);
    else
        snprintf(pixel, sizeof pixel, "%.4g to %.4g", least, number_of(d, "pixel_mm", 1));
    snprintf(line, sizeof line, "%s: %d module%s, %.0f pixels of %s mm, %.0f masked, %s%s",
             json_string_value(json_object_get(d, "kind")), modules, modules == 1 ? "" : "s",
             number_of(d, "pixels", -1), pixel, number_of(d, "masked", -1), distance, energy);
    draw_text(0.5 * WIDTH, y - 1.6 * DRAW_EM, 0.5, 0.85, DRAW_INK, line);
    const char *note = "seen facing the beam; discs: first pixels, lines: rows; cross: beam";
    if (json_is_string(missing)) {
        snprintf(line, sizeof line, "not in the file: %s", json_string_value(missing));
        draw_text(0.5 * WIDTH, y - 4.4 * DRAW_EM, 0.5, 0.85, DRAW_RED, line);
    }
    draw_text(0.5 * WIDTH, y - 3.0 * DRAW_EM, 0.5, 0.85, DRAW_GREY, note);
}

static void draw(const void *data)
{
    static const draw_colour colours[] = {DRAW_BLUE, DRAW_ORANGE, DRAW_GREEN, DRAW_PURPLE, DRAW_RED};
    static const double strengths[] = {0.35, 0.6, 0.2};
    const picture *p = data;
    draw_axes a = axes_of(p);
    const json_t *panels = json_object_get(p->detector, "panels"), *panel;
    size_t i;
    json_array_foreach((json_t *)panels, i, panel)
    {
        double x[4], y[4];
        corners_of(panel, x, y);
        bool masked = json_is_true(json_object_get(panel, "masked"));
        int module = (int)json_integer_value(json_object_get(panel, "module"));
        draw_polygon(&a, 4, x, y, masked ? DRAW_GREY : colours[module % 5], DRAW_INK,
                     masked ? 0.6 : strengths[module / 5 % 3]);
    }
    double bx = draw_x(&a, 0.0), by = draw_y(&a, 0.0), arm = 0.9 * DRAW_EM;
    draw_stroke(bx - arm, by, bx + arm, by, 3);
    draw_stroke(bx, by - arm, bx, by + arm, 3);
    mark_modules(&a, panels);
    draw_axes_frame(&a);
    write_title(p);
}

// ---- from files and configurations

static xani_status draw_config(cli *c, const xani_config *config, const char *title, const char *path)
{
    char *text = NULL;
    xani_status st = xani_detector(c->context, config, &text);
    if (st != XANI_OK) return st;
    json_t *detector = json_loads(text, 0, NULL);
    const picture p = {detector, title};
    draw_png png = {0};
    if (detector == NULL || !draw_picture(WIDTH, HEIGHT, draw, &p, &png))
        st = cli_fail(c, XANI_ERR_OUTPUT, "%s: the picture failed: %s", path, png.why);
    else
        st = cli_write_picture(c, path, png.bytes, png.n);
    free(png.bytes);
    json_decref(detector);
    xani_free(text);
    return st;
}

static xani_status draw_file(cli *c, const char *file, const char *path)
{
    xani_config *config = NULL;
    json_t *quoted = json_string(file); // JSON's quotes are YAML's
    if (quoted == NULL) return cli_not_utf8(c, file);
    char *q = quoted ? json_dumps(quoted, JSON_ENCODE_ANY) : NULL,
         *assignment = cli_format("geometry.file=%s", q ? q : "");
    xani_status st = xani_config_create(c->context, &config);
    if (st == XANI_OK) st = xani_config_assign(c->context, config, assignment);
    for (int i = 0; i < c->n_set && st == XANI_OK; i++) st = xani_config_assign(c->context, config, c->set[i]);
    const char *slash = strrchr(file, '/');
    if (st == XANI_OK) st = draw_config(c, config, slash ? slash + 1 : file, path);
    xani_config_destroy(&config);
    free(assignment);
    free(q);
    json_decref(quoted);
    return st;
}

// "detector.png", and with several "detector-2.png", ...; owned.
static char *name_of(const char *path, size_t n)
{
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    if (n == 0) return cli_format("%s", path);
    if (dot == NULL || (slash != NULL && dot < slash)) return cli_format("%s-%zu", path, n + 1);
    return cli_format("%.*s-%zu%s", (int)(dot - path), path, n + 1, dot);
}

xani_status cli_draw_detectors(cli *c, const char *info)
{
    xani_status st = XANI_OK;
    for (int i = 0; info == NULL && i < c->n_args && st == XANI_OK; i++) {
        xani_config *config = NULL;
        char *path = name_of(c->draw, (size_t)i);
        st = cli_open_config(c, c->args[i], &config);
        if (st == XANI_OK) st = draw_config(c, config, c->args[i], path);
        xani_config_destroy(&config);
        free(path);
    }
    if (info == NULL) return st;
    json_t *answer = json_loads(info, 0, NULL), *list = json_object_get(answer, "geometries"), *geometry;
    size_t n;
    if (json_array_size(list) == 0)
        st = cli_fail(c, XANI_ERR_USAGE, "info: --draw: there is no geometry file among them");
    json_array_foreach(list, n, geometry)
    {
        char *path = name_of(c->draw, n);
        if (st == XANI_OK) st = draw_file(c, json_string_value(json_object_get(geometry, "path")), path);
        free(path);
    }
    json_decref(answer);
    return st;
}
