// SPDX-License-Identifier: BSD-3-Clause
// report_frames.c -- pictures on the detector: mean frame, mask, and maps of the modes.
//
// Modules lie stacked along y in the files; here each has a frame of its own with its rows and columns, and
// tall stacks continue in a further column.  Row 0 is at the bottom.  Large maps are averaged over blocks
// until one cell covers at least two pixels of the page.
#include <math.h>
#include <stdlib.h>

#include "cli/report.h"

#define PAGE_W 1000
#define GAP (0.5 * DRAW_EM)
#define COLUMN_MARGIN (3.2 * DRAW_EM)
#define LEFT (4.2 * DRAW_EM)
#define BOTTOM (3.2 * DRAW_EM)
#define TOP (0.8 * DRAW_EM)

// Values (y, x) to be drawn as the modules lie in the file.
typedef struct detector_map {
    const report_run *run;
    const double *v;
    draw_scale scale;
    bool no_bar;
} detector_map;

typedef struct layout {
    int columns, per_column; // modules
    double cell;             // pixels of the page per pixel group
    double column_rows;      // rows in the tallest column
    double width, height;
} layout;

static double tallest(const report_run *run, int per_column)
{
    double most = 0;
    for (int64_t m = 0; m < run->n_modules; m += per_column) {
        double rows = 0;
        for (int64_t k = m; k < m + per_column && k < run->n_modules; k++) rows += run->module_rows[k];
        most = fmax(most, rows);
    }
    return most;
}

// bar: the scale whose colour bar stands on the right, NULL: none.
static layout find_layout(const report_run *run, const draw_scale *bar)
{
    layout best = {.columns = 0};
    double right = bar ? draw_bar_room(bar, 0.4 * PAGE_W) : DRAW_EM;
    for (int columns = 1; columns <= (int)run->n_modules; columns++) {
        layout l = {.columns = columns, .per_column = (int)((run->n_modules + columns - 1) / columns)};
        l.column_rows = tallest(run, l.per_column);
        l.cell = (PAGE_W - LEFT - right - (columns - 1) * COLUMN_MARGIN) / ((double)columns * (double)run->nx);
        l.height = l.column_rows * l.cell + (l.per_column - 1) * GAP + TOP + BOTTOM;
        if (best.columns == 0 || (best.height > 1.15 * PAGE_W && l.cell > 0)) best = l;
    }
    if (best.height > 1.6 * PAGE_W) { // one very tall module
        best.cell = (1.6 * PAGE_W - TOP - BOTTOM - (best.per_column - 1) * GAP) / best.column_rows;
        best.height = 1.6 * PAGE_W;
    }
    if (bar) right = fmax(right, draw_bar_room(bar, best.height - TOP - BOTTOM)); // a longer bar has longer numbers
    best.width = LEFT + best.columns * (double)run->nx * best.cell + (best.columns - 1) * COLUMN_MARGIN + right;
    return best;
}

static void map_size(const report_run *run, const draw_scale *bar, int *width, int *height)
{
    layout l = find_layout(run, bar);
    *width = (int)ceil(fmax(l.width, 11 * DRAW_EM));
    *height = (int)fmax(l.height, 11 * DRAW_EM);
}

// Mean of the finite values in blocks of f x f; owned.
static double *shrink(const double *v, int64_t ny, int64_t nx, int64_t f, int64_t *sy, int64_t *sx)
{
    *sy = (ny + f - 1) / f;
    *sx = (nx + f - 1) / f;
    double *out = cli_alloc((size_t)(*sy * *sx), sizeof *out);
    for (int64_t j = 0; j < *sy; j++) {
        for (int64_t i = 0; i < *sx; i++) {
            double sum = 0;
            int64_t n = 0;
            for (int64_t y = j * f; y < (j + 1) * f && y < ny; y++)
                for (int64_t x = i * f; x < (i + 1) * f && x < nx; x++)
                    if (isfinite(v[y * nx + x])) sum += v[y * nx + x], n++;
            out[j * *sx + i] = n > 0 ? sum / (double)n : NAN;
        }
    }
    return out;
}

static void draw_map_picture(const void *data)
{
    const detector_map *map = data;
    const report_run *run = map->run;
    layout l = find_layout(run, map->no_bar ? NULL : &map->scale);
    int64_t f = l.cell < 2 ? (int64_t)ceil(2 / l.cell) : 1, row = 0;
    double bottom = BOTTOM, top = BOTTOM, step = draw_step(l.column_rows, l.column_rows * l.cell); // for all modules
    draw_axes whole = {.left = LEFT, .bottom = BOTTOM};
    for (int64_t m = 0; m < run->n_modules; m++) {
        int64_t rows = (int64_t)run->module_rows[m], sy, sx;
        bool lowest = m % l.per_column == 0;
        int64_t column = m / l.per_column;
        if (lowest) bottom = BOTTOM;
        draw_axes a = {.left = LEFT + (double)column * ((double)run->nx * l.cell + COLUMN_MARGIN),
                       .bottom = bottom,
                       .x1 = (double)run->nx,
                       .y0 = (double)row,
                       .y1 = (double)(row + rows)};
        a.right = a.left + (double)run->nx * l.cell;
        a.top = bottom + (double)rows * l.cell;
        double *cells = shrink(map->v + row * run->nx, rows, run->nx, f, &sy, &sx);
        draw_axes image = a; // blocks at the edge may be incomplete
        image.right = a.left + (double)(sx * f) * l.cell;
        image.top = a.bottom + (double)(sy * f) * l.cell;
        image.x1 = (double)(sx * f);
        image.y1 = (double)(row + sy * f);
        draw_image(&image, sy, sx, cells, &map->scale);
        free(cells);
        a.no_x_ticks = !lowest;
        a.y_step = run->n_modules > 1 ? step : 0;
        draw_axes_frame(&a);
        bottom = a.top + GAP;
        top = fmax(top, a.top);
        whole.right = fmax(whole.right, a.right);
        row += rows;
    }
    whole.top = fmax(top, BOTTOM + 6 * DRAW_EM);
    draw_text_vertical(0.8 * DRAW_EM, (BOTTOM + top) / 2, 1, DRAW_INK, "Row y");
    draw_text((LEFT + whole.right) / 2, BOTTOM - 2.45 * DRAW_EM, 0.5, 1, DRAW_INK, "Column x");
    if (!map->no_bar) draw_colour_bar(&whole, &map->scale);
}

static void map_picture(report *r, const report_run *run, const double *v, draw_scale scale, const char *name,
                        const char *caption)
{
    detector_map map = {run, v, scale, scale.label == NULL};
    int width, height;
    map_size(run, map.no_bar ? NULL : &scale, &width, &height);
    char *file = report_picture_name(r, run, name);
    report_picture(r, file, width, height, draw_map_picture, &map, false, caption);
    free(file);
}

// Limits of a logarithmic scale that leave out the outermost parts in a thousand.
static bool log_limits(const double *v, int64_t n, double *lo, double *hi)
{
    double *positive = cli_alloc((size_t)n, sizeof *positive);
    for (int64_t i = 0; i < n; i++) positive[i] = v[i] > 0 ? v[i] : NAN;
    *lo = numbers_quantile(positive, n, 0.002);
    *hi = numbers_quantile(positive, n, 0.999);
    free(positive);
    if (!(*lo > 0)) return false;
    if (*hi < 1.2 * *lo) *lo /= 1.1, *hi *= 1.1;
    return true;
}

static bool linear_limits(const double *v, int64_t n, double *lo, double *hi)
{
    *lo = numbers_quantile(v, n, 0.005);
    *hi = numbers_quantile(v, n, 0.995);
    if (!isfinite(*lo)) return false;
    if (!(*hi > *lo)) *lo -= 0.5, *hi += 0.5;
    return true;
}

void report_section_frames(report *r, const report_run *run, json_t *json)
{
    if (run->cube == NULL) return;
    int64_t n = run->ny * run->nx, good = 0;
    for (int64_t i = 0; i < n; i++) good += run->mask[i] == 0;
    json_object_set_new(json, "pixels",
                        json_pack("{s:I, s:I, s:I, s:I, s:I}", "rows", (json_int_t)run->ny, "columns",
                                  (json_int_t)run->nx, "good", (json_int_t)good, "modules", (json_int_t)run->n_modules,
                                  "spatial_bin", (json_int_t)run->spatial_bin));
    report_figures_begin(r);
    double *frame = cli_alloc((size_t)n, sizeof *frame);
    draw_scale s = {.map = DRAW_VIRIDIS, .log = true, .label = "Photons per shot"};
    for (int64_t i = 0; run->mean_frame != NULL && i < n; i++) frame[i] = run->mask[i] == 0 ? run->mean_frame[i] : NAN;
    if (run->mean_frame == NULL) {
        report_paragraph(r, "The cube holds no mean frame.");
    } else if (log_limits(frame, n, &s.lo, &s.hi)) {
        json_object_set_new(json, "mean_frame_median_photons", number_json(numbers_median(frame, n)));
        char *caption =
            cli_format("Mean laser-off frame at the mean intensity; %lld × %lld detector pixels make one group; "
                       "grey: masked.",
                       (long long)run->spatial_bin, (long long)run->spatial_bin);
        map_picture(r, run, frame, s, "mean-frame", caption);
        free(caption);
    }
    for (int64_t i = 0; i < n; i++) frame[i] = run->mask[i] == 0 ? 0.35 : NAN;
    draw_scale m = {.map = DRAW_VIRIDIS, .lo = 0, .hi = 1}; // one colour, no bar
    char *caption = cli_format("Mask: %lld of %lld pixel groups are good (%.1f %%); grey: masked.", (long long)good,
                               (long long)n, n > 0 ? 100.0 * (double)good / (double)n : 0.0);
    map_picture(r, run, frame, m, "mask", caption);
    free(caption);
    free(frame);
    report_figures_end(r);
}

static void mode_maps(report *r, const report_run *run, int64_t mode)
{
    static const char *const rank[] = {"strongest", "second", "third", "fourth"};
    int64_t n = run->ny * run->nx;
    const double *f = run->frequency + mode * n;
    draw_scale s = {.map = DRAW_VIRIDIS, .label = "Oscillation frequency f (THz)"};
    if (!linear_limits(f, n, &s.lo, &s.hi)) return;
    int64_t found = numbers_finite(f, n);
    char *caption = cli_format("Frequency f of the %s mode in %lld groups; grey: none accepted.",
                               rank[mode < 3 ? mode : 3], (long long)found);
    char *name = cli_format("frequency-%lld", (long long)mode + 1);
    map_picture(r, run, f, s, name, caption);
    free(caption);
    free(name);
    if (run->amplitude == NULL) return;
    double *percent = cli_alloc((size_t)n, sizeof *percent);
    for (int64_t i = 0; i < n; i++) percent[i] = 100 * run->amplitude[mode * n + i];
    draw_scale a = {.map = DRAW_VIRIDIS, .label = "Amplitude of ΔI/I (%)"};
    if (linear_limits(percent, n, &a.lo, &a.hi)) {
        a.lo = 0;
        caption = cli_format("Amplitude A of the %s mode at delay zero.", rank[mode < 3 ? mode : 3]);
        name = cli_format("amplitude-%lld", (long long)mode + 1);
        map_picture(r, run, percent, a, name, caption);
        free(caption);
        free(name);
    }
    free(percent);
}

void report_section_maps(report *r, const report_run *run)
{
    int64_t n = run->ny * run->nx;
    report_figures_begin(r);
    for (int64_t mode = 0; mode < run->n_modes && mode < 2; mode++) mode_maps(r, run, mode);
    draw_scale s = {.map = DRAW_VIRIDIS, .log = true, .label = "Significance Δχ²/s²"};
    if (run->significance != NULL && log_limits(run->significance, n, &s.lo, &s.hi)) {
        char *caption = isfinite(run->threshold)
                            ? cli_format("Significance of the strongest mode; accepted above %.3g.", run->threshold)
                            : cli_format("Significance of the strongest mode.");
        map_picture(r, run, run->significance, s, "significance", caption);
        free(caption);
    }
    report_figures_end(r);
}
