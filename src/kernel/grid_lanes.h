// SPDX-License-Identifier: BSD-3-Clause
// grid_lanes.h -- fills the tables of a gridded plan in the precision of the lanes.
//
// Taps stand twice, by sample for the residual and by grid point for spreading, both times the row scale.  A node holds
//   g, Re c_0, Re c_1, ...  and  w, Im c_0, Im c_1, ...,    c_k = sum_n h_n^2 nu_n^k exp((-g + i w) t_n)/k!,
// which is the Taylor series of F in length (s - s_node).  They are summed in double with a rotation from node to node;
// the table takes a few milliseconds for 200 delays and grows as their number times the length of the trace.
#ifndef XN_KERNEL_GRID_LANES_H
#define XN_KERNEL_GRID_LANES_H

#include <complex.h>

#include "kernel/finish.h"
#include "kernel/grid.h"

#define XN_TERMS XN_GRID_TERMS(XN_REAL_BITS)
#define XN_WIDE 8
typedef double wide __attribute__((vector_size(XN_WIDE * sizeof(double))));

#define XN_CELLS_PER_ROW 16 // of the lowest row

struct grid_layout {
    xn_grid_row row[XN_GRID_ROWS];
    int rows, nodes, cells, taps, points, start_taps, start_points;
};

static void grid_layout_make(const xn_fit_plan *p, struct grid_layout *l)
{
    memset(l, 0, sizeof *l);
    if (!p->gridded) return;
    l->taps = xn_grid_taps(p, XN_REAL_BITS);
    l->points = xn_grid_points(p, p->grid_step, l->taps);
    l->start_taps = p->uniform ? 1 : XN_GRID_TAPS_START;
    l->start_points = xn_grid_points(p, p->start_step, l->start_taps);
    l->rows = xn_grid_rows(p, XN_REAL_BITS, l->row, &l->nodes);
    double least = l->row[0].half;
    for (int i = 1; i < l->rows; i++) least = l->row[i].half < least ? l->row[i].half : least;
    l->cells = (int)ceil((2.0 * p->g_hi - p->g_lo) / (2.0 * least) * XN_CELLS_PER_ROW) + 1;
}

static void *take(char **next, size_t bytes)
{
    void *p = *next;
    *next += (bytes + 63) & ~(size_t)63;
    return p;
}

static void spread_place(struct spread *s, size_t points, size_t taps, char **next)
{
    s->points = (int)points;
    s->first = take(next, (points + 1) * sizeof(int));
    s->sample = take(next, points * sizeof(int));
    s->tap = take(next, taps * sizeof(real));
}

// Places the arrays behind `memory`; returns their end. With NULL: the bytes they take.
static size_t grid_place(const xn_fit_plan *p, const struct grid_layout *l, struct grid *g, char *memory)
{
    char *next = memory;
    if (!p->gridded) return 0;
    const size_t n = (size_t)p->n, taps = (size_t)l->taps;
    g->base = take(&next, n * sizeof(int));
    g->tap = take(&next, n * taps * sizeof(real));
    spread_place(&g->fine, (size_t)l->points, n * taps, &next);
    spread_place(&g->start, (size_t)l->start_points, n * (size_t)l->start_taps, &next);
    g->window = take(&next, (size_t)l->start_points * sizeof(real));
    g->level = take(&next, ((size_t)p->n_grid / 2 + 1) * sizeof(real));
    g->row_of = take(&next, (size_t)l->cells);
    g->row = take(&next, (size_t)l->rows * sizeof *g->row);
    g->node = take(&next, (size_t)l->nodes * XN_NODE * sizeof(real));
    return (size_t)(next - memory);
}

// The taps by grid point, from those by sample.
static void taps_by_point(const xn_fit_plan *p, int taps, const int *base, const double *tap, struct spread *s)
{
    int at = 0;
    for (int j = 0; j < s->points; j++) {
        s->first[j] = at;
        s->sample[j] = 0;
        for (int i = 0; i < p->n; i++) {
            const int k = j - base[i];
            if (k < 0 || k >= taps) continue;
            if (at == s->first[j]) s->sample[j] = i;
            s->tap[at++] = R(p->scale[i] * tap[(size_t)i * (size_t)taps + (size_t)k]);
        }
    }
    s->first[s->points] = at;
}

static void fill_taps(const xn_fit_plan *p, const struct grid_layout *l, struct grid *g, double *work)
{
    xn_grid_tabulate(p, p->start_step, l->start_taps, g->base, work);
    taps_by_point(p, l->start_taps, g->base, work, &g->start);
    xn_grid_tabulate(p, p->grid_step, l->taps, g->base, work);
    taps_by_point(p, l->taps, g->base, work, &g->fine);
    for (int i = 0; i < p->n; i++)
        for (int k = 0; k < g->taps; k++) {
            const size_t at = (size_t)i * (size_t)g->taps + (size_t)k;
            g->tap[at] = R(p->scale[i] * work[at]);
        }
    for (int j = 0; j < l->start_points; j++) g->window[j] = R(exp(-p->window_rate * p->start_step * j));
}

// 1/|D|^2 where the start takes powers
static void fill_levels(const xn_fit_plan *p, const struct grid_layout *l, struct grid *g)
{
    const double b = xn_grid_window(p, p->start_step, l->start_taps), half = 0.5 * l->start_taps * p->start_step;
    const double line = 6.28318530717958647693 / (p->n_grid * p->start_step);
    for (int j = 0; j <= p->n_grid / 2; j++) {
        const double complex h = half * (-p->window_rate + I * line * j), q = csqrt(b * b + h * h);
        const double d = b > 0.0 && j <= p->grid_hi + 1 ? cabs(b / q * cexp(h * h / (q + b))) : 1.0;
        g->level[j] = R(1.0 / (d * d));
    }
}

// ---- nodes

// Arrays of whole wides: z^t of the node, the rotation to the next, powers nu^k/k!
struct node_work {
    int wides;
    wide *re, *im, *turn_re, *turn_im, *power;
};

static double wide_sum(wide x)
{
    double sum = 0.0;
    for (int i = 0; i < XN_WIDE; i++) sum += x[i];
    return sum;
}

static void node_sums(const struct node_work *k, double g, double w, real *node)
{
    node[0] = R(g);
    node[XN_NODE / 2] = R(w);
    const wide *power = k->power;
    for (int t = 0; t < XN_TERMS; t++, power += k->wides) {
        wide re = {0}, im = {0};
        for (int i = 0; i < k->wides; i++) {
            re += power[i] * k->re[i];
            im += power[i] * k->im[i];
        }
        node[1 + t] = R(wide_sum(re));
        node[XN_NODE / 2 + 1 + t] = R(wide_sum(im));
    }
}

static void node_turn(struct node_work *k)
{
    for (int i = 0; i < k->wides; i++) {
        const wide re = k->re[i] * k->turn_re[i] - k->im[i] * k->turn_im[i];
        k->im[i] = k->re[i] * k->turn_im[i] + k->im[i] * k->turn_re[i];
        k->re[i] = re;
    }
}

static void fill_nodes(const xn_fit_plan *p, const struct grid_layout *l, struct grid *grid, double *memory)
{
    const int wides = (p->n + XN_WIDE - 1) / XN_WIDE, n = wides * XN_WIDE;
    wide *work = (wide *)(void *)memory;
    struct node_work k = {wides, work, work + wides, work + 2 * wides, work + 3 * wides, work + 4 * wides};
    double *power = memory + 4 * n, *re = memory, *im = memory + n, *turn_re = memory + 2 * n,
           *turn_im = memory + 3 * n;
    memset(memory, 0, (size_t)n * (4 + XN_TERMS) * sizeof *memory);
    for (int i = 0; i < p->n; i++) {
        power[i] = p->scale[i] * p->scale[i];
        for (int t = 1; t < XN_TERMS; t++) power[t * n + i] = power[(t - 1) * n + i] * p->time[i] / p->length / t;
    }
    for (int r = 0; r < l->rows; r++) {
        const xn_grid_row *row = &l->row[r];
        real *node = grid->node + (size_t)row->first * XN_NODE;
        grid->row[r] = (struct grid_row){.node = node, .last = row->count - 1, .per_step = R(1.0 / row->step)};
        for (int i = 0; i < p->n; i++) {
            re[i] = exp(-row->g * p->time[i]);
            im[i] = 0.0;
            turn_re[i] = cos(row->step * p->time[i]);
            turn_im[i] = sin(row->step * p->time[i]);
        }
        for (int j = 0; j < row->count; j++, node += XN_NODE) {
            node_sums(&k, row->g, row->step * j, node);
            node_turn(&k);
        }
    }
}

static void fill_cells(const xn_fit_plan *p, const struct grid_layout *l, struct grid *grid)
{
    const double lo = p->g_lo, width = (2.0 * p->g_hi - lo) / l->cells;
    grid->lowest = R(lo);
    grid->per_cell = R(1.0 / width);
    grid->cells = R(l->cells);
    for (int i = 0, r = 0; i < l->cells; i++) {
        const double middle = lo + (i + 0.5) * width;
        while (r + 1 < l->rows && middle > l->row[r].g + l->row[r].half) r++;
        grid->row_of[i] = (uint8_t)r;
    }
}

static size_t grid_work_doubles(const xn_fit_plan *p, const struct grid_layout *l)
{
    const size_t wides = ((size_t)p->n + XN_WIDE - 1) / XN_WIDE * XN_WIDE * (4 + XN_TERMS);
    const size_t taps = (size_t)p->n * (size_t)l->taps;
    return p->gridded ? (wides > taps ? wides : taps) : 0;
}

static size_t grid_bytes(const xn_fit_plan *p)
{
    struct grid_layout l;
    struct grid g;
    grid_layout_make(p, &l);
    return grid_place(p, &l, &g, NULL) + grid_work_doubles(p, &l) * sizeof(double) + 128;
}

static void grid_tabulate(const xn_fit_plan *p, struct grid *grid, char *memory)
{
    struct grid_layout l;
    grid_layout_make(p, &l);
    if (!p->gridded) return;
    char *next = (char *)(((uintptr_t)memory + 63) & ~(uintptr_t)63);
    next += grid_place(p, &l, grid, next);
    grid->taps = l.taps;
    grid->points = l.points;
    grid->step = R(p->grid_step);
    grid->length = R(p->length);
    grid->shape = R(xn_grid_window(p, p->grid_step, l.taps));
    grid->half = R(0.5 * l.taps * p->grid_step);
    fill_taps(p, &l, grid, (double *)(void *)next);
    fill_levels(p, &l, grid);
    fill_nodes(p, &l, grid, (double *)(void *)next);
    fill_cells(p, &l, grid);
}

#endif
