// SPDX-License-Identifier: BSD-3-Clause
// draw.h -- pictures of the report: a small layer over PLplot that works in pixels of the page.
//
// PLplot calls exit() and setlocale(), so each picture is drawn in a child process (draw_picture) and comes
// back as PNG bytes; a child that fails costs one picture, never the report.  The functions below it may
// only be called inside the draw_fn.  Coordinates: pixels of the page with y up, or data through draw_axes.
// Colour maps are perceptually uniform (viridis, cividis) or diverging about a centre; NaN is grey.
#ifndef XN_CLI_DRAW_H
#define XN_CLI_DRAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct draw_png {
    unsigned char *bytes; // owned, free(); NULL when the picture failed
    size_t n;
    char why[160]; // why it failed
} draw_png;

typedef void (*draw_fn)(const void *data);
// One page of width x height pixels. Returns true when png holds a picture.
bool draw_picture(int width, int height, draw_fn fn, const void *data, draw_png *png);
void draw_page_begin(int width, int height); // in the child, for draw_picture

#define DRAW_EM 26.0 // height of the text in pixels: pages are drawn at twice their size on the screen

typedef enum {
    DRAW_INK,
    DRAW_GREY,
    DRAW_PALE,
    DRAW_BLUE,
    DRAW_ORANGE,
    DRAW_GREEN,
    DRAW_RED,
    DRAW_PURPLE,
    DRAW_WHITE
} draw_colour;
typedef enum { DRAW_VIRIDIS, DRAW_CIVIDIS, DRAW_DIVERGING } draw_map;
typedef enum { DRAW_SOLID, DRAW_DASHED } draw_dash;

typedef struct draw_axes {
    double left, bottom, right, top; // pixels of the frame
    double x0, x1, y0, y1;           // data at the frame; y0 > y1 turns the axis
    bool log_x, log_y;
    const char *x_label, *y_label; // NULL: none
    bool no_x_numbers, no_x_ticks, no_y_ticks;
    bool x_whole;  // ticks at whole numbers only
    double y_step; // of the numbers, the top left out: axes stacked without room between them; 0: chosen
} draw_axes;

// A frame that fills the page but for the usual margins.
draw_axes draw_axes_page(int width, int height);
// Step of the numbers that an axis of this span and length in pixels has.
double draw_step(double span, double pixels);
// Moves the left edge so that the numbers and the label of the y axis fit.
void draw_axes_fit(draw_axes *a);
// Shrinks the frame so that data units have equal length along x and y.
void draw_axes_equal(draw_axes *a);
double draw_x(const draw_axes *a, double x); // pixels
double draw_y(const draw_axes *a, double y);
void draw_axes_frame(const draw_axes *a); // frame, ticks, numbers, labels; after the contents
void draw_axes_bar(const draw_axes *a);   // the same with numbers and label on the right: a colour bar
// Range with some room on both sides; false when no value is finite. log: of the positive values.
bool draw_range(const double *v, int64_t n, bool log, double *lo, double *hi);

void draw_curve(const draw_axes *a, int64_t n, const double *x, const double *y, draw_colour colour, double width,
                draw_dash dash);
void draw_line(const draw_axes *a, double x0, double y0, double x1, double y1, draw_colour colour, double width,
               draw_dash dash);
// Discs with error bars; ex and ey may be NULL. radius in pixels. alpha 0..1.
void draw_points(const draw_axes *a, int64_t n, const double *x, const double *y, const double *ey, draw_colour colour,
                 double radius, double alpha);
// Bars between n+1 edges; outline only when !fill.
void draw_steps(const draw_axes *a, int64_t n, const double *edges, const double *heights, draw_colour colour,
                bool fill);
void draw_rectangle(const draw_axes *a, double x0, double y0, double x1, double y1, draw_colour colour, double alpha);

// Filled and outlined, at most 7 corners.
void draw_polygon(const draw_axes *a, int n, const double *x, const double *y, draw_colour fill, draw_colour edge,
                  double alpha);

// Cells of equal size: v (ny, nx), row 0 at y0, column 0 at x0 of the axes. NaN: grey.
typedef struct draw_scale {
    draw_map map;
    double lo, hi; // of the colours
    bool log;
    const char *label;
} draw_scale;
void draw_image(const draw_axes *a, int64_t ny, int64_t nx, const double *v, const draw_scale *s);
void draw_colour_bar(const draw_axes *a, const draw_scale *s);
// Pixels a colour bar of this height takes, to the right of the frame, with numbers and label.
double draw_bar_room(const draw_scale *s, double height);

void draw_stroke(double x0, double y0, double x1, double y1, double width); // in pixels

// Text at a place in pixels; just 0 left, 0.5 centre, 1 right; size in em. '#' is printed as it is.
void draw_text(double x, double y, double just, double size, draw_colour colour, const char *text);
void draw_text_vertical(double x, double y, double size, draw_colour colour, const char *text);
// Top of an axis from 0 that keeps data up to `most` below a legend of so many lines.
double draw_below_legend(const draw_axes *a, int lines, double most);
// One line of a legend inside the frame, line 0 at the top; mark: 'o' disc, '-' line, '=' dashed line, '#' box.
void draw_legend(const draw_axes *a, bool right, int line, char mark, draw_colour colour, const char *text);

#endif
