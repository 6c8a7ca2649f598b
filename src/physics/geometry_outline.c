// SPDX-License-Identifier: BSD-3-Clause
// geometry_outline.c -- a pixel map as rectangles: what a detector looks like.
//
// In each module rows and columns are cut wherever neighbours are further apart than usual or the step turns, in more
// than half of the places looked at; what lies between cuts is a rectangle of equal steps, whose corners follow from
// its corner pixels.  So all kinds of geometry are drawn by one code, as they are used, not as their files put it.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "physics/geometry.h"

#define CUT 0.3 // of the usual step: a wide pixel moves by half a pixel or more

typedef struct {
    const float *position;
    int64_t nx, top, rows; // of a module
} part;

static void step(const part *p, int64_t row, int64_t column, bool down, double out[3])
{
    const float *a = p->position + 3 * ((p->top + row) * p->nx + column), *b = a + 3 * (down ? p->nx : 1);
    for (int k = 0; k < 3; k++) out[k] = (double)b[k] - (double)a[k];
}

// Median length of the steps between lines.
static double usual(const part *p, bool down)
{
    double length[129];
    int n = 0;
    int64_t lines = (down ? p->rows : p->nx) - 1, across = down ? p->nx : p->rows;
    for (int i = 0; i < 129 && lines > 0; i++) {
        double s[3];
        int64_t line = lines * i / 129, at = (across * (2 * (i % 7) + 1)) / 14;
        step(p, down ? line : at, down ? at : line, down, s);
        double l = sqrt(s[0] * s[0] + s[1] * s[1] + s[2] * s[2]);
        if (isfinite(l)) length[n++] = l;
    }
    if (n == 0) return NAN;
    qsort(length, (size_t)n, sizeof *length, xn_double_compare);
    return length[n / 2];
}

// Hexagonal pixels step sideways and back: two rows together are looked at, which go straight.
static bool is_cut(const part *p, int64_t line, bool down, double length)
{
    int far = 0, n = 0;
    int64_t across = down ? p->nx : p->rows, lines = (down ? p->rows : p->nx) - 1;
    for (int i = 0; i < 15; i++) {
        double s[3], before[3];
        int64_t at = across * (2 * i + 1) / 30;
        step(p, down ? line : at, down ? at : line, down, s);
        double l = sqrt(s[0] * s[0] + s[1] * s[1] + s[2] * s[2]), dot = 1.0;
        if (line >= 2 && line < lines) {
            step(p, down ? line - 2 : at, down ? at : line - 2, down, before);
            double b = sqrt(before[0] * before[0] + before[1] * before[1] + before[2] * before[2]);
            dot = (s[0] * before[0] + s[1] * before[1] + s[2] * before[2]) / (l * b);
        }
        n++;
        far += !(fabs(l / length - 1.0) < CUT) || !(dot > 0.9);
    }
    return 2 * far > n;
}

static double gap(const part *p, int64_t line, bool down)
{
    double s[3];
    step(p, down ? line : p->rows / 2, down ? p->nx / 2 : line, down, s);
    return sqrt(s[0] * s[0] + s[1] * s[1] + s[2] * s[2]);
}

// First lines of the parts, then the number of lines; returns the number of parts. A single line is one of wide pixels:
// it stays with its nearer neighbours.
static int cut(const part *p, bool down, int64_t *first)
{
    int64_t lines = down ? p->rows : p->nx;
    double length = usual(p, down);
    int n = 0, kept = 1;
    first[n++] = 0;
    for (int64_t line = 0; line + 1 < lines; line++)
        if (is_cut(p, line, down, length)) first[n++] = line + 1;
    first[n] = lines;
    for (int i = 1; i < n; i++) {
        int64_t before = first[i] - first[i - 1], after = first[i + 1] - first[i];
        bool nearer_before = before == 1 && (i == 1 || !(gap(p, first[i] - 1, down) > gap(p, first[i] - 2, down)));
        bool nearer_after = after == 1 && (i == n - 1 || !(gap(p, first[i] - 1, down) > gap(p, first[i], down)));
        if (!nearer_before && !nearer_after) first[kept++] = first[i];
    }
    first[kept] = lines;
    return kept;
}

// Steps within the rectangle, from its first pixel along row and column; false when its pixels have no place.
static bool corners(const part *p, const xn_geometry *g, xn_outline *o)
{
    int64_t at[3] = {o->row * g->nx + o->column, o->row * g->nx + o->column + o->columns - 1,
                     (o->row + o->rows - 1) * g->nx + o->column};
    double r[3][2], along[2], down[2];
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 2; k++) {
            r[i][k] = (double)p->position[3 * at[i] + k];
            if (!isfinite(r[i][k])) return false;
        }
    for (int k = 0; k < 2; k++) {
        along[k] = o->columns > 1 ? (r[1][k] - r[0][k]) / (double)(o->columns - 1) : 0.0;
        down[k] = o->rows > 1 ? (r[2][k] - r[0][k]) / (double)(o->rows - 1) : 0.0;
    }
    // a line of one pixel is as wide as the other step is long
    if (o->columns == 1) along[0] = down[1], along[1] = -down[0];
    if (o->rows == 1) down[0] = -along[1], down[1] = along[0];
    for (int k = 0; k < 2; k++) {
        double first = r[0][k] - 0.5 * (along[k] + down[k]);
        o->corner[0][k] = first;
        o->corner[1][k] = first + (double)o->columns * along[k];
        o->corner[2][k] = first + (double)o->columns * along[k] + (double)o->rows * down[k];
        o->corner[3][k] = first + (double)o->rows * down[k];
    }
    return true;
}

static bool all_masked(const xn_geometry *g, const xn_outline *o)
{
    for (int64_t y = o->row; y < o->row + o->rows; y++)
        for (int64_t x = o->column; x < o->column + o->columns; x++)
            if (g->bad[y * g->nx + x] == 0) return false;
    return true;
}

static xani_status add(xn_ctx *ctx, const xn_geometry *g, const part *p, const xn_outline *next, xn_outline **list,
                       int *n)
{
    xn_outline o = *next;
    if (!corners(p, g, &o)) return XANI_OK;
    if ((*n & (*n - 1)) == 0) {
        size_t room = *n > 0 ? 2 * (size_t)*n : 1;
        void *more = xn_realloc(*list, room, sizeof **list);
        if (more == NULL) return xn_fail_memory(ctx, "the detector's outlines", room * sizeof **list);
        *list = more;
    }
    o.masked = all_masked(g, &o);
    (*list)[(*n)++] = o;
    return XANI_OK;
}

xani_status xn_geometry_outlines(xn_ctx *ctx, const xn_geometry *g, xn_outline **outline, int *n)
{
    *outline = NULL;
    *n = 0;
    int64_t *row = xn_alloc((size_t)g->ny + 1, sizeof *row), *column = xn_alloc((size_t)g->nx + 1, sizeof *column);
    xani_status st = row != NULL && column != NULL ? XANI_OK : xn_fail_memory(ctx, "the detector's outlines", 1);
    part p = {.position = g->position, .nx = g->nx};
    for (int m = 0; st == XANI_OK && m < g->n_modules; p.top += p.rows, m++) {
        p.rows = g->module_rows[m];
        int n_rows = cut(&p, true, row), n_columns = cut(&p, false, column);
        for (int j = 0; j < n_rows; j++)
            for (int i = 0; i < n_columns && st == XANI_OK; i++) {
                const xn_outline next = {.module = m,
                                         .row = p.top + row[j],
                                         .column = column[i],
                                         .rows = row[j + 1] - row[j],
                                         .columns = column[i + 1] - column[i]};
                st = add(ctx, g, &p, &next, outline, n);
            }
    }
    xn_free(row);
    xn_free(column);
    if (st != XANI_OK) {
        xn_free(*outline);
        *outline = NULL;
    }
    return st;
}
