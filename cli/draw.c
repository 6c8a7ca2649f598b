// SPDX-License-Identifier: BSD-3-Clause
// draw.c -- lines, discs, bars, images and text in pixels of the page.
//
// The page is one PLplot window in pixels: PLplot gives anti-aliased lines, fills and fonts (cairo, pango), the
// layout is ours.  Everything drawn through axes is clipped to their frame.
#include "cli/draw.h"

#include <math.h>
#include <plplot/plplot.h>
#include <stdlib.h>
#include <string.h>

#define N_COLOURS 256
#define FILL_EDGE 1.2     // pixels that a fill reaches beyond its corners
#define PIXELS_PER_MM 4.0 // of the cairo PNG driver

// Okabe and Ito's colours, distinguishable with any colour vision.
static const int rgb[][3] = {
    [DRAW_INK] = {34, 34, 34},   [DRAW_GREY] = {150, 150, 150},   [DRAW_PALE] = {222, 222, 222},
    [DRAW_BLUE] = {0, 114, 178}, [DRAW_ORANGE] = {230, 159, 0},   [DRAW_GREEN] = {0, 158, 115},
    [DRAW_RED] = {213, 94, 0},   [DRAW_PURPLE] = {204, 121, 167}, [DRAW_WHITE] = {255, 255, 255},
};

// Colours at equal distances, linear between them (viridis and cividis of matplotlib, RdBu of ColorBrewer).
static const unsigned viridis[] = {0x440154, 0x482878, 0x3e4a89, 0x31688e, 0x26828e,
                                   0x1f9e89, 0x35b779, 0x6dcd59, 0xb4de2c, 0xfde725};
static const unsigned cividis[] = {0x00204d, 0x00336f, 0x39486b, 0x575c6d, 0x707173,
                                   0x8a8779, 0xa69d75, 0xc4b56c, 0xe4cf5b, 0xffea46};
static const unsigned diverging[] = {0x053061, 0x2166ac, 0x4393c3, 0x92c5de, 0xd1e5f0, 0xf7f7f7,
                                     0xfddbc7, 0xf4a582, 0xd6604d, 0xb2182b, 0x67001f};

static int page_width, page_height;

static void page_window(void)
{
    plvpor(0, 1, 0, 1);
    plwind(0, page_width, 0, page_height);
}

void draw_page_begin(int width, int height)
{
    page_width = width;
    page_height = height;
    plspage(0, 0, width, height, 0, 0);
    plscolbg(255, 255, 255);
    plscmap1n(N_COLOURS);
    plinit();
    pladv(0);
    plsfont(PL_FCI_SANS, PL_FCI_UPRIGHT, PL_FCI_MEDIUM);
    page_window();
}

// Lines and fills stay inside the frame of the axes.
static void clip_window(const draw_axes *a)
{
    plvpor(a->left / page_width, a->right / page_width, a->bottom / page_height, a->top / page_height);
    plwind(a->left, a->right, a->bottom, a->top);
}

// ---- colours

static void ink(draw_colour colour, double alpha)
{
    plscol0a(15, rgb[colour][0], rgb[colour][1], rgb[colour][2], alpha);
    plcol0(15);
}

static void load_map(draw_map map)
{
    const unsigned *hex = map == DRAW_VIRIDIS ? viridis : map == DRAW_CIVIDIS ? cividis : diverging;
    int n = map == DRAW_DIVERGING ? 11 : 10;
    PLFLT at[11], r[11], g[11], b[11];
    for (int i = 0; i < n; i++) {
        at[i] = (double)i / (n - 1);
        r[i] = (hex[i] >> 16) / 255.0;
        g[i] = (hex[i] >> 8 & 255) / 255.0;
        b[i] = (hex[i] & 255) / 255.0;
    }
    plscmap1l(1, n, at, r, g, b, NULL);
}

static double colour_of(const draw_scale *s, double v)
{
    double lo = s->log ? log10(s->lo) : s->lo, hi = s->log ? log10(s->hi) : s->hi;
    double x = s->log ? (v > 0 ? log10(v) : lo) : v;
    double c = hi > lo ? (x - lo) / (hi - lo) : 0.5;
    return c < 0 ? 0 : c > 1 ? 1 : c;
}

// ---- shapes

static void fill_box(double x0, double y0, double x1, double y1)
{
    PLFLT x[4] = {x0, x1, x1, x0}, y[4] = {y0, y0, y1, y1};
    plfill(4, x, y);
}

void draw_rectangle(const draw_axes *a, double x0, double y0, double x1, double y1, draw_colour colour, double alpha)
{
    clip_window(a);
    ink(colour, alpha);
    fill_box(draw_x(a, x0), draw_y(a, y0), draw_x(a, x1), draw_y(a, y1));
    page_window();
}

static void dashes(draw_dash dash)
{
    static PLINT on[] = {2600}, off[] = {1800}; // micrometres
    if (dash == DRAW_DASHED)
        plstyl(1, on, off);
    else
        plstyl(0, NULL, NULL);
}

void draw_curve(const draw_axes *a, int64_t n, const double *x, const double *y, draw_colour colour, double width,
                draw_dash dash)
{
    PLFLT *px = calloc((size_t)(n > 0 ? n : 1), sizeof *px), *py = calloc((size_t)(n > 0 ? n : 1), sizeof *py);
    clip_window(a);
    ink(colour, 1);
    plwidth(width);
    dashes(dash);
    for (int64_t i = 0, k = 0; px != NULL && py != NULL && i <= n; i++) {
        bool good = i < n && isfinite(x[i]) && isfinite(y[i]);
        if (good) {
            px[k] = draw_x(a, x[i]);
            py[k++] = draw_y(a, y[i]);
        } else { // a gap in the data is a gap in the line
            if (k > 1) plline((PLINT)k, px, py);
            k = 0;
        }
    }
    dashes(DRAW_SOLID);
    page_window();
    free(px);
    free(py);
}

void draw_line(const draw_axes *a, double x0, double y0, double x1, double y1, draw_colour colour, double width,
               draw_dash dash)
{
    double x[2] = {x0, x1}, y[2] = {y0, y1};
    draw_curve(a, 2, x, y, colour, width, dash);
}

static void disc(double x, double y, double radius)
{
    enum { CORNERS = 16 };
    PLFLT px[CORNERS], py[CORNERS];
    for (int i = 0; i < CORNERS; i++) {
        px[i] = x + radius * cos(2 * M_PI * i / CORNERS);
        py[i] = y + radius * sin(2 * M_PI * i / CORNERS);
    }
    plfill(CORNERS, px, py);
}

void draw_points(const draw_axes *a, int64_t n, const double *x, const double *y, const double *ey, draw_colour colour,
                 double radius, double alpha)
{
    clip_window(a);
    ink(colour, alpha);
    plwidth(2);
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(x[i]) || !isfinite(y[i])) continue;
        double px = draw_x(a, x[i]), py = draw_y(a, y[i]);
        if (!isfinite(px) || !isfinite(py) || px < a->left || px > a->right) continue;
        if (ey != NULL && isfinite(ey[i])) pljoin(px, draw_y(a, y[i] - ey[i]), px, draw_y(a, y[i] + ey[i]));
        if (py >= a->bottom && py <= a->top) disc(px, py, radius);
    }
    page_window();
}

void draw_steps(const draw_axes *a, int64_t n, const double *edges, const double *heights, draw_colour colour,
                bool fill)
{
    clip_window(a);
    ink(colour, 1);
    plwidth(3);
    double floor_px = a->bottom, before = floor_px;
    for (int64_t i = 0; i < n; i++) {
        double x0 = draw_x(a, edges[i]), x1 = draw_x(a, edges[i + 1]);
        double y = heights[i] > 0 || !a->log_y ? draw_y(a, heights[i]) : floor_px;
        if (fill) {
            if (y > floor_px) fill_box(x0, floor_px, x1, y);
            continue;
        }
        pljoin(x0, before, x0, y);
        pljoin(x0, y, x1, y);
        before = y;
    }
    if (!fill && n > 0) pljoin(draw_x(a, edges[n]), before, draw_x(a, edges[n]), floor_px);
    page_window();
}

// ---- images

static double cell_x(const draw_axes *a, int64_t nx, int64_t i)
{
    return draw_x(a, a->x0 + (a->x1 - a->x0) * (double)i / (double)nx);
}
static double cell_y(const draw_axes *a, int64_t ny, int64_t j)
{
    return draw_y(a, a->y0 + (a->y1 - a->y0) * (double)j / (double)ny);
}

// Missing cells as whole rows and whole columns, which have straight edges; single cells would not.
static void fill_missing(const draw_axes *a, int64_t ny, int64_t nx, const double *v)
{
    double ex = a->x1 > a->x0 ? FILL_EDGE : -FILL_EDGE, ey = a->y1 > a->y0 ? FILL_EDGE : -FILL_EDGE;
    ink(DRAW_PALE, 1);
    for (int64_t j = 0; j < ny; j++) {
        for (int64_t i = 0, from = 0; i <= nx; i++) {
            if (i < nx && !isfinite(v[j * nx + i])) continue;
            if (i > from)
                fill_box(cell_x(a, nx, from) + ex, cell_y(a, ny, j) + ey, cell_x(a, nx, i) - ex,
                         cell_y(a, ny, j + 1) - ey);
            from = i + 1;
        }
    }
    for (int64_t i = 0; i < nx; i++) {
        for (int64_t j = 0, from = 0; j <= ny; j++) {
            if (j < ny && !isfinite(v[j * nx + i])) continue;
            if (j > from)
                fill_box(cell_x(a, nx, i) + ex, cell_y(a, ny, from) + ey, cell_x(a, nx, i + 1) - ex,
                         cell_y(a, ny, j) - ey);
            from = j + 1;
        }
    }
}

void draw_image(const draw_axes *a, int64_t ny, int64_t nx, const double *v, const draw_scale *s)
{
    load_map(s->map);
    clip_window(a);
    ink(DRAW_PALE, 1);
    fill_box(a->left, a->bottom, a->right, a->top);
    for (int64_t j = 0; j < ny; j++) {
        for (int64_t i = 0; i < nx; i++) {
            if (!isfinite(v[j * nx + i])) continue;
            plcol1(colour_of(s, v[j * nx + i]));
            fill_box(cell_x(a, nx, i), cell_y(a, ny, j), cell_x(a, nx, i + 1), cell_y(a, ny, j + 1));
        }
    }
    fill_missing(a, ny, nx, v);
    page_window();
}

void draw_colour_bar(const draw_axes *a, const draw_scale *s)
{
    draw_axes bar = {.left = a->right + 0.9 * DRAW_EM,
                     .right = a->right + 1.9 * DRAW_EM,
                     .bottom = a->bottom,
                     .top = a->top,
                     .x0 = 0,
                     .x1 = 1,
                     .y0 = s->lo,
                     .y1 = s->hi,
                     .log_y = s->log,
                     .no_x_ticks = true,
                     .no_x_numbers = true,
                     .y_label = s->label};
    load_map(s->map);
    for (int i = 0; i < N_COLOURS; i++) {
        plcol1((i + 0.5) / N_COLOURS);
        fill_box(bar.left, bar.bottom + (bar.top - bar.bottom) * i / N_COLOURS, bar.right,
                 bar.bottom + (bar.top - bar.bottom) * (i + 1) / N_COLOURS);
    }
    draw_axes_bar(&bar);
}

// ---- text

static void text_size(double size) { plschr(0, 1), plschr(size * DRAW_EM / PIXELS_PER_MM, 1); }

// PLplot's escape character in front of itself.
static const char *plain(const char *text)
{
    static char out[512];
    size_t k = 0;
    for (; *text != '\0' && k + 2 < sizeof out; text++) {
        if (*text == '#') out[k++] = '#';
        out[k++] = *text;
    }
    out[k] = '\0';
    return out;
}

void draw_text(double x, double y, double just, double size, draw_colour colour, const char *text)
{
    ink(colour, 1);
    text_size(size);
    plptex(x, y, 1, 0, just, plain(text));
}

void draw_text_vertical(double x, double y, double size, draw_colour colour, const char *text)
{
    ink(colour, 1);
    text_size(size);
    plptex(x, y, 0, 1, 0.5, plain(text));
}

double draw_below_legend(const draw_axes *a, int lines, double most)
{
    const double height = a->top - a->bottom, taken = (0.6 + 1.35 * lines) * DRAW_EM;
    return most * height / (height - fmin(taken, 0.8 * height));
}

void draw_legend(const draw_axes *a, bool right, int line, char mark, draw_colour colour, const char *text)
{
    double y = a->top - (1.1 + 1.35 * line) * DRAW_EM, x = right ? a->right - 0.8 * DRAW_EM : a->left + 0.8 * DRAW_EM;
    double m0 = right ? x - 1.6 * DRAW_EM : x, m1 = right ? x : x + 1.6 * DRAW_EM;
    draw_text(right ? m0 - 0.5 * DRAW_EM : m1 + 0.5 * DRAW_EM, y, right ? 1 : 0, 0.85, DRAW_INK, text);
    ink(colour, 1);
    plwidth(4);
    if (mark == 'o') {
        disc((m0 + m1) / 2, y, 0.25 * DRAW_EM);
    } else if (mark == '#') {
        fill_box(m0 + 0.3 * DRAW_EM, y - 0.3 * DRAW_EM, m1 - 0.3 * DRAW_EM, y + 0.3 * DRAW_EM);
    } else {
        dashes(mark == '=' ? DRAW_DASHED : DRAW_SOLID);
        pljoin(m0, y, m1, y);
        dashes(DRAW_SOLID);
    }
}

void draw_stroke(double x0, double y0, double x1, double y1, double width)
{
    ink(DRAW_INK, 1);
    plwidth(width);
    pljoin(x0, y0, x1, y1);
}

void draw_polygon(const draw_axes *a, int n, const double *x, const double *y, draw_colour fill, draw_colour edge,
                  double alpha)
{
    PLFLT px[8], py[8];
    n = n < 8 ? n : 7;
    for (int i = 0; i <= n; i++) {
        px[i] = draw_x(a, x[i % n]);
        py[i] = draw_y(a, y[i % n]);
    }
    clip_window(a);
    ink(fill, alpha);
    plfill(n, px, py);
    ink(edge, 1);
    plwidth(1);
    plline(n + 1, px, py);
    page_window();
}
