// SPDX-License-Identifier: BSD-3-Clause
// cluster.c -- sorts the lines seen in one bin of the path into branches; pairs clusters with branches.
//
// Exact weighted k-means in one dimension by dynamic programming (Fisher 1958; Wang and Song, R Journal 3, 29
// (2011)).  The number of clusters is the largest one for which all neighbours are apart by more than KAPPA times
// the sum of their spreads: halves of a uniform distribution reach 1.73, so a branch that changes within the bin, or
// a doublet that splits a little away from a symmetry line, is not cut in two.  (An information criterion would cut
// every distribution that is not Gaussian once there are enough samples.)  Lines of one pixel are different
// branches: a cluster in which many pixels have two lines is divided into its lower and upper lines; where only few
// have, the line farther from the mean is left out.  The assignment is the Hungarian method (Kuhn 1955) with
// potentials, O(n^3).
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "map/parts.h"

#define KAPPA 2.2
#define MOST_CELLS 400
#define MANY 0.3 // of a cluster's pixels with two lines: it holds two branches
#define MOST_CLUSTERS 96

typedef struct sorted {
    double value, weight;
    int64_t index;
} sorted;

typedef struct cells {
    int n;
    int64_t end[MOST_CELLS];                                           // samples up to and with the cell, in order
    double w[MOST_CELLS + 1], wv[MOST_CELLS + 1], wvv[MOST_CELLS + 1]; // sums up to the cell, from 0
} cells;

static int by_value(const void *a, const void *b)
{
    const sorted *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

// One cell per sample, or of equal width when there are more than MOST_CELLS.
static void make_cells(const sorted *s, int64_t n, cells *c)
{
    double lo = s[0].value, width = (s[n - 1].value - lo) / MOST_CELLS;
    c->n = 0;
    c->w[0] = c->wv[0] = c->wvv[0] = 0.0;
    int last = -1;
    for (int64_t i = 0; i < n; i++) {
        int key = n <= MOST_CELLS ? (int)i : width > 0.0 ? (int)fmin((s[i].value - lo) / width, MOST_CELLS - 1) : 0;
        if (key != last) {
            c->n++;
            c->w[c->n] = c->w[c->n - 1];
            c->wv[c->n] = c->wv[c->n - 1];
            c->wvv[c->n] = c->wvv[c->n - 1];
            last = key;
        }
        double v = s[i].value - lo;
        c->w[c->n] += s[i].weight;
        c->wv[c->n] += s[i].weight * v;
        c->wvv[c->n] += s[i].weight * v * v;
        c->end[c->n - 1] = i + 1;
    }
}

// Weighted sum of squares about the mean of cells i .. j - 1.
static double scatter(const cells *c, int i, int j)
{
    double w = c->w[j] - c->w[i], v = c->wv[j] - c->wv[i];
    return fmax(0.0, c->wvv[j] - c->wvv[i] - v * v / w);
}

// split[k][j]: where the last of k + 1 clusters begins when they end before cell j.
static void partition(const cells *c, int most, double *cost, int *split)
{
    int n = c->n + 1;
    for (int j = 1; j < n; j++) {
        cost[j] = scatter(c, 0, j);
        split[j] = 0;
    }
    for (int k = 1; k < most; k++)
        for (int j = k + 1; j < n; j++) {
            double best = INFINITY;
            for (int i = j - 1; i >= k; i--) {
                double total = cost[(k - 1) * n + i] + scatter(c, i, j);
                if (total >= best) continue;
                best = total;
                split[k * n + j] = i;
            }
            cost[k * n + j] = best;
        }
}

// Are the k clusters between the borders (cells) all apart?
static bool all_apart(const cells *c, const int *border, int k, double spread)
{
    double mean = 0.0, s = 0.0;
    for (int i = 0; i < k; i++) {
        int a = border[i], b = border[i + 1];
        double w = c->w[b] - c->w[a], samples = (double)(c->end[b - 1] - (a > 0 ? c->end[a - 1] : 0));
        double m = (c->wv[b] - c->wv[a]) / w;
        // the scatter about the mean knows the errors of many lines, of one line only its weight does
        double own = sqrt(scatter(c, a, b) / w + spread * spread + 1.0 / w / samples);
        if (i > 0 && m - mean <= KAPPA * (s + own)) return false;
        mean = m;
        s = own;
    }
    return true;
}

static int choose(const cells *c, int most, double spread, const int *split, int border[MOST_CLUSTERS + 1])
{
    int n = c->n + 1;
    for (int k = most; k > 1; k--) {
        border[k] = c->n;
        for (int i = k - 1; i >= 0; i--) border[i] = split[i * n + border[i + 1]];
        if (all_apart(c, border, k, spread)) return k;
    }
    border[0] = 0;
    border[1] = c->n;
    return 1;
}

// ---- lines of one pixel; they follow each other in the list

// Pixels of cluster `label`, those with several lines in it, and the means of their lowest and of their other lines.
static void count_pairs(const xn_line_sample *s, int64_t n, int label, int64_t *pixels, int64_t *pairs, double *lower,
                        double *upper)
{
    double sum[2] = {0, 0}, w[2] = {0, 0};
    *pixels = *pairs = 0;
    for (int64_t i = 0, end; i < n; i = end) {
        int64_t lowest = -1, lines = 0;
        for (end = i; end < n && s[end].pixel == s[i].pixel; end++) {
            if (s[end].label != label) continue;
            lines++;
            if (lowest < 0 || s[end].value < s[lowest].value) lowest = end;
        }
        *pixels += lines > 0;
        *pairs += lines > 1;
        for (int64_t j = i; lines > 1 && j < end; j++) {
            if (s[j].label != label) continue;
            sum[j != lowest] += s[j].weight * s[j].value;
            w[j != lowest] += s[j].weight;
        }
    }
    *lower = w[0] > 0.0 ? sum[0] / w[0] : 0.0;
    *upper = w[1] > 0.0 ? sum[1] / w[1] : 0.0;
}

// Divides cluster `label`: of pixels with several lines the lowest goes below, of the others by the nearer mean.
static void divide(xn_line_sample *s, int64_t n, int label, double lower, double upper)
{
    for (int64_t i = 0; i < n; i++)
        if (s[i].label > label) s[i].label++;
    for (int64_t i = 0, end; i < n; i = end) {
        int64_t lowest = -1, lines = 0;
        for (end = i; end < n && s[end].pixel == s[i].pixel; end++) {
            if (s[end].label != label) continue;
            lines++;
            if (lowest < 0 || s[end].value < s[lowest].value) lowest = end;
        }
        for (int64_t j = i; j < end; j++) {
            if (s[j].label != label) continue;
            bool up = lines > 1 ? j != lowest : s[j].value - lower > upper - s[j].value;
            s[j].label += up;
        }
    }
}

// Leaves out all but the line nearest to the mean where a pixel still has several lines in a cluster.
static void drop_conflicts(xn_line_sample *s, int64_t n, int clusters)
{
    double sum[MOST_CLUSTERS] = {0}, w[MOST_CLUSTERS] = {0};
    for (int64_t i = 0; i < n; i++) {
        sum[s[i].label] += s[i].weight * s[i].value;
        w[s[i].label] += s[i].weight;
    }
    for (int c = 0; c < clusters; c++) sum[c] /= w[c];
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i + 1; j < n && s[j].pixel == s[i].pixel && s[i].label >= 0; j++) {
            if (s[j].label != s[i].label) continue;
            bool second = fabs(s[j].value - sum[s[i].label]) < fabs(s[i].value - sum[s[i].label]);
            s[second ? i : j].label = -1;
        }
}

xani_status xn_cluster(xn_ctx *ctx, xn_line_sample *s, int64_t n, int most, double spread, int *clusters)
{
    *clusters = 0;
    if (n == 0) return XANI_OK;
    xani_status st = XANI_OK;
    int border[MOST_CLUSTERS + 1], k = most < MOST_CLUSTERS ? most : MOST_CLUSTERS;
    sorted *order = xn_alloc((size_t)n, sizeof *order);
    cells *c = xn_alloc(1, sizeof *c);
    double *cost = xn_alloc((size_t)k * (MOST_CELLS + 1), sizeof *cost);
    int *split = xn_alloc((size_t)k * (MOST_CELLS + 1), sizeof *split);
    if (order == NULL || c == NULL || cost == NULL || split == NULL) {
        st = xn_fail_memory(ctx, "the lines of a bin", (size_t)n * sizeof *order);
        goto out;
    }
    for (int64_t i = 0; i < n; i++) order[i] = (sorted){s[i].value, s[i].weight, i};
    qsort(order, (size_t)n, sizeof *order, by_value);
    make_cells(order, n, c);
    if (k > c->n) k = c->n;
    partition(c, k, cost, split);
    int found = choose(c, k, spread, split, border);
    for (int i = 0; i < found; i++)
        for (int64_t j = border[i] > 0 ? c->end[border[i] - 1] : 0; j < c->end[border[i + 1] - 1]; j++)
            s[order[j].index].label = i;
    for (int i = 0; i < found && found < most && found < MOST_CLUSTERS;) {
        int64_t pixels, pairs;
        double lower, upper;
        count_pairs(s, n, i, &pixels, &pairs, &lower, &upper);
        if (pairs > 0 && (double)pairs >= MANY * (double)pixels && (pairs > 1 || pixels == 1)) {
            divide(s, n, i, lower, upper);
            found++;
        } else {
            i++;
        }
    }
    drop_conflicts(s, n, found);
    *clusters = found;
out:
    xn_free(order);
    xn_free(c);
    xn_free(cost);
    xn_free(split);
    return st;
}

xani_status xn_assign(xn_ctx *ctx, int n, const double *cost, int *column)
{
    size_t m = (size_t)n + 1;
    double *u = xn_calloc(3 * m, sizeof *u);
    int *row_of = xn_calloc(3 * m, sizeof *row_of);
    if (u == NULL || row_of == NULL) {
        xn_free(u);
        xn_free(row_of);
        return xn_fail_memory(ctx, "the branches", m * 36);
    }
    double *v = u + m, *least = u + 2 * m;
    int *way = row_of + m, *used = row_of + 2 * m;
    for (int i = 1; i <= n; i++) { // rows and columns from 1; column 0 holds the row being placed
        int j0 = 0;
        row_of[0] = i;
        for (int j = 0; j <= n; j++) least[j] = INFINITY, used[j] = 0;
        do {
            int i0 = row_of[j0], j1 = 0;
            double delta = INFINITY;
            used[j0] = 1;
            for (int j = 1; j <= n; j++) {
                if (used[j]) continue;
                double reduced = cost[(i0 - 1) * n + j - 1] - u[i0] - v[j];
                if (reduced < least[j]) least[j] = reduced, way[j] = j0;
                if (least[j] < delta) delta = least[j], j1 = j;
            }
            for (int j = 0; j <= n; j++) {
                if (used[j])
                    u[row_of[j]] += delta, v[j] -= delta;
                else
                    least[j] -= delta;
            }
            j0 = j1;
        } while (row_of[j0] != 0);
        for (; j0 != 0; j0 = way[j0]) row_of[j0] = row_of[way[j0]];
    }
    for (int j = 1; j <= n; j++) column[row_of[j] - 1] = j - 1;
    xn_free(u);
    xn_free(row_of);
    return XANI_OK;
}
