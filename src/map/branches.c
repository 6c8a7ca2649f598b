// SPDX-License-Identifier: BSD-3-Clause
// branches.c -- branches along the path: clusters of each bin joined by continuity in frequency and slope.
//
// A crystal with s atoms per primitive cell has 3 s branches; each cluster of a bin is given to one of them so that
// the frequencies extrapolated from the bins before, with their slopes, are met best (Hungarian method).  So
// branches keep their slope where they cross; across a corner of the path only the frequency is continuous.  Then
// every line is given once more to the branch whose smooth course passes nearest to it, which undoes clusters that
// joined two branches at a crossing.  A doublet is one cluster: the second branch is NaN there.
// The frequency of a branch in a bin is the weighted mean (map.h) of its points, nothing else; its error is the
// scatter of that mean, and at least what the weights allow.
//
// For sorting alone, frequencies near a zone centre are compared after scaling with |q of the bin| / |q of the
// sample|: acoustic branches are proportional to |q| there and would overlap within the tube.
#include <math.h>
#include <string.h>

#include "map/parts.h"

#define SPEED 1.2   // highest frequency over zone_scale times this: typical slope of a branch, THz Angstrom
#define START 3.0   // deviation that costs as much as beginning a branch, in spreads
#define CAP 6.0     // deviation from which a branch is not continued
#define ROUNDS 2    // times that lines are given to the nearest course
#define REACH 4.0   // bins over which a course is interpolated
#define WIDTHS 5.0  // spreads that a line may lie from the course of its branch
#define UNSEEN (-1) // label of a line without branch

typedef struct group {
    int64_t n;
    double w, nu, along, spread; // weight, mean frequency, mean position in the bin, rms
} group;

typedef struct tracking {
    const xn_scene *scene;
    const xn_path *path;
    const xn_members *members;
    const xn_points *points;
    const xn_dispersion *d;
    int branches;
    double slope, spread; // typical slope; least rms of a branch within a bin
    int *label;           // of each member: cluster, later branch
    group *group;         // (bin, branch)
} tracking;

static double length3(const double v[3]) { return sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]); }

// Frequency used for sorting.
static double sorting_value(const tracking *t, double bin_length, int64_t point)
{
    double nu = t->points->frequency[point], q = length3(t->points->q + 3 * point);
    if (t->scene->atoms > 1 || q <= 0.0) return nu;
    double power = fmin(1.0, fmax(0.0, (0.25 - bin_length / t->scene->zone_scale) / 0.12));
    return nu * pow(bin_length / q, power);
}

static double folded_length(const tracking *t, int64_t bin)
{
    int g[3];
    double q[3];
    xn_lattice_fold(&t->scene->lattice, t->d->path_hkl + 3 * bin, g, q);
    return length3(q);
}

// Means and rms of the labelled lines of a bin.
static void summarise(const tracking *t, int64_t bin)
{
    group *g = t->group + bin * t->branches;
    memset(g, 0, (size_t)t->branches * sizeof *g);
    for (int64_t i = t->members->first[bin]; i < t->members->first[bin + 1]; i++) {
        if (t->label[i] == UNSEEN) continue;
        group *own = &g[t->label[i]];
        int64_t p = t->members->at[i].point;
        own->n++;
        own->w += t->points->weight[p];
        own->nu += t->points->weight[p] * t->points->frequency[p];
        own->along += t->points->weight[p] * t->members->at[i].along;
    }
    for (int b = 0; b < t->branches; b++)
        if (g[b].n > 0) g[b].nu /= g[b].w, g[b].along /= g[b].w;
    for (int64_t i = t->members->first[bin]; i < t->members->first[bin + 1]; i++) {
        if (t->label[i] == UNSEEN) continue;
        int64_t p = t->members->at[i].point;
        double off = t->points->frequency[p] - g[t->label[i]].nu;
        g[t->label[i]].spread += t->points->weight[p] * off * off;
    }
    for (int b = 0; b < t->branches; b++)
        if (g[b].n > 0) g[b].spread = sqrt(g[b].spread / g[b].w + t->spread * t->spread);
}

static xani_status cluster_bin(xn_ctx *ctx, const tracking *t, int64_t bin)
{
    int64_t first = t->members->first[bin], n = t->members->first[bin + 1] - first;
    if (n == 0) return XANI_OK;
    xn_line_sample *s = xn_alloc((size_t)n, sizeof *s);
    if (s == NULL) return xn_fail_memory(ctx, "the lines of a bin", (size_t)n * sizeof *s);
    double length = folded_length(t, bin);
    for (int64_t i = 0; i < n; i++) {
        int64_t p = t->members->at[first + i].point;
        const int32_t *pixel = t->points->pixel + 2 * p;
        int64_t key = ((int64_t)t->points->run[p] << 48) + ((int64_t)pixel[0] << 24) + pixel[1];
        s[i] = (xn_line_sample){sorting_value(t, length, p), t->points->weight[p], key, UNSEEN};
    }
    int found;
    xani_status st = xn_cluster(ctx, s, n, t->branches, t->spread, &found);
    for (int64_t i = 0; i < n && st == XANI_OK; i++) t->label[first + i] = s[i].label;
    xn_free(s);
    return st;
}

// ---- joining clusters

typedef struct course {
    bool begun;
    double x, nu, slope;
    int segment;
} course;

// Square of the deviation from the expected frequency, in units of the doubt about it. (Squares, because with
// absolute values all pairings of two branches that both moved up cost the same.)
static double joining_cost(const tracking *t, const course *c, const group *g, double x, int segment)
{
    if (!c->begun) return START * START;
    double dx = x - c->x, step = t->path->step, free = segment == c->segment && c->slope != 0.0 ? step : 0.0;
    double slope = segment == c->segment ? c->slope : 0.0;
    double expected = c->nu + slope * fmin(dx, REACH * step);
    double doubt = g->spread + t->spread + 0.5 * t->slope * fmax(0.0, dx - free);
    double deviation = fabs(g->nu - expected) / doubt;
    return deviation <= CAP ? deviation * deviation : CAP * CAP + 1e-3 * fmin(deviation, 1e3);
}

static void continue_course(course *c, const group *g, double x, int segment)
{
    double dx = x - c->x;
    if (c->begun && c->segment == segment && dx > 0.0) {
        double slope = (g->nu - c->nu) / dx;
        c->slope = c->slope == 0.0 ? slope : 0.5 * (c->slope + slope);
    } else {
        c->slope = 0.0;
    }
    c->begun = true;
    c->x = x;
    c->nu = g->nu;
    c->segment = segment;
}

// Renames the clusters of all bins to branches, from one end of the path to the other.
static xani_status join(xn_ctx *ctx, const tracking *t)
{
    int n = t->branches;
    xani_status st = XANI_OK;
    course *c = xn_calloc((size_t)n, sizeof *c);
    double *cost = xn_alloc((size_t)n * (size_t)n, sizeof *cost);
    int *column = xn_alloc((size_t)n, sizeof *column);
    if (c == NULL || cost == NULL || column == NULL)
        XN_GOTO(out, st, xn_fail_memory(ctx, "the branches", (size_t)n * (size_t)n * 8));
    for (int k = 0; k < t->path->n_segments; k++) {
        const xn_segment *s = &t->path->segment[k];
        for (int64_t bin = s->first; bin < s->first + s->n; bin++) {
            const group *g = t->group + bin * n;
            double x = t->d->path_distance[bin];
            for (int i = 0; i < n; i++)
                for (int j = 0; j < n; j++)
                    cost[i * n + j] = g[i].n > 0 ? joining_cost(t, &c[j], &g[i], x + g[i].along, k) : 0.0;
            XN_GOTO(out, st, xn_assign(ctx, n, cost, column));
            for (int i = 0; i < n; i++)
                if (g[i].n > 0) continue_course(&c[column[i]], &g[i], x + g[i].along, k);
            for (int64_t i = t->members->first[bin]; i < t->members->first[bin + 1]; i++)
                if (t->label[i] != UNSEEN) t->label[i] = column[t->label[i]];
            summarise(t, bin);
        }
    }
out:
    xn_free(c);
    xn_free(cost);
    xn_free(column);
    return st;
}

// ---- giving lines to the nearest course

// Course of a branch at distance x of a segment, from the groups on both sides; false when none is near.
static bool course_at(const tracking *t, const group *groups, int branch, const xn_segment *s, int64_t bin, double x,
                      double *nu, double *spread)
{
    double reach = REACH * s->length / (double)s->n, x0 = -INFINITY, x1 = INFINITY;
    const group *a = NULL, *b = NULL;
    for (int64_t i = xn_max64(s->first, bin - (int64_t)REACH); i < xn_min64(s->first + s->n, bin + (int64_t)REACH + 1);
         i++) {
        const group *g = &groups[i * t->branches + branch];
        double at = t->d->path_distance[i] + g->along;
        if (g->n == 0 || fabs(at - x) > reach) continue;
        if (at <= x)
            x0 = at, a = g;
        else if (b == NULL)
            x1 = at, b = g;
    }
    if (a == NULL && b == NULL) return false;
    if (a != NULL && b != NULL)
        *nu = a->nu + (b->nu - a->nu) * (x - x0) / (x1 - x0);
    else
        *nu = a != NULL ? a->nu : b->nu;
    *spread = a != NULL && b != NULL ? fmax(a->spread, b->spread) : a != NULL ? a->spread : b->spread;
    return true;
}

// Gives the lines of one pixel in a bin, from i to end, to different branches: repeatedly the nearest pair.
static void give_pixel(const tracking *t, const group *groups, const xn_segment *s, int64_t bin, int64_t i, int64_t end)
{
    bool taken[256] = {false};
    for (int64_t j = i; j < end; j++) t->label[j] = UNSEEN;
    for (;;) {
        double best = WIDTHS;
        int64_t line = -1;
        int branch = 0;
        for (int64_t j = i; j < end; j++) {
            if (t->label[j] != UNSEEN) continue;
            const xn_member *m = &t->members->at[j];
            for (int b = 0; b < t->branches; b++) {
                double nu, spread;
                if (taken[b] || !course_at(t, groups, b, s, bin, t->d->path_distance[bin] + m->along, &nu, &spread))
                    continue;
                double sigma = t->points->frequency_errors[m->point];
                if (!isfinite(sigma)) sigma = 0.0;
                double off = fabs(t->points->frequency[m->point] - nu) / sqrt(spread * spread + sigma * sigma);
                if (off < best) best = off, line = j, branch = b;
            }
        }
        if (line < 0) return;
        t->label[line] = branch;
        taken[branch] = true;
    }
}

static xani_status give_again(xn_ctx *ctx, const tracking *t)
{
    size_t n = (size_t)t->path->n * (size_t)t->branches;
    group *before = xn_alloc(n + 1, sizeof *before);
    if (before == NULL) return xn_fail_memory(ctx, "the branches", n * sizeof *before);
    memcpy(before, t->group, n * sizeof *before);
    for (int k = 0; k < t->path->n_segments; k++) {
        const xn_segment *s = &t->path->segment[k];
#pragma omp parallel for schedule(dynamic, 1) num_threads(t->scene->threads)
        for (int64_t bin = s->first; bin < s->first + s->n; bin++) {
            const xn_points *p = t->points;
            for (int64_t i = t->members->first[bin], end; i < t->members->first[bin + 1]; i = end) {
                int64_t a = t->members->at[i].point;
                for (end = i + 1; end < t->members->first[bin + 1]; end++) {
                    int64_t b = t->members->at[end].point;
                    if (p->run[a] != p->run[b] || memcmp(p->pixel + 2 * a, p->pixel + 2 * b, 2 * sizeof *p->pixel) != 0)
                        break;
                }
                give_pixel(t, before, s, bin, i, end);
            }
            summarise(t, bin);
        }
    }
    xn_free(before);
    return XANI_OK;
}

// ---- results

// Branches numbered from the lowest: in the bins that two share, the one that is lower more often comes first.
static void number_branches(const tracking *t, int *rank)
{
    int n = t->branches;
    for (int b = 0; b < n; b++) {
        rank[b] = 0;
        for (int other = 0; other < n; other++) {
            double balance = 0.0, mean[2] = {0, 0}, bins[2] = {0, 0};
            for (int64_t i = 0; i < t->path->n; i++) {
                const group *x = &t->group[i * n + b], *y = &t->group[i * n + other];
                if (x->n > 0 && y->n > 0) balance += x->nu > y->nu ? 1.0 : x->nu < y->nu ? -1.0 : 0.0;
                if (x->n > 0) mean[0] += x->nu, bins[0]++;
                if (y->n > 0) mean[1] += y->nu, bins[1]++;
            }
            if (balance == 0.0 && bins[0] > 0.0 && bins[1] > 0.0) balance = mean[0] / bins[0] - mean[1] / bins[1];
            if (bins[0] == 0.0 || bins[1] == 0.0) balance = (bins[0] == 0.0) - (bins[1] == 0.0); // never seen: last
            rank[b] += balance > 0.0 || (balance == 0.0 && other < b);
        }
    }
    // three branches may each beat the next: equal ranks are separated by their number
    bool taken[256] = {false};
    for (int b = 0; b < n; b++) {
        while (taken[rank[b]]) rank[b] = (rank[b] + 1) % n;
        taken[rank[b]] = true;
    }
}

static xani_status write_branches(xn_ctx *ctx, const tracking *t, const int *rank, xn_points *points, xn_dispersion *d)
{
    size_t n = (size_t)t->path->n * (size_t)t->branches;
    d->n_branches = t->branches;
    d->branch_frequency = xn_alloc(n + 1, sizeof *d->branch_frequency);
    d->branch_errors = xn_alloc(n + 1, sizeof *d->branch_errors);
    d->branch_count = xn_calloc(n + 1, sizeof *d->branch_count);
    double *nearest = xn_alloc((size_t)points->n + 1, sizeof *nearest);
    if (d->branch_frequency == NULL || d->branch_errors == NULL || d->branch_count == NULL || nearest == NULL) {
        xn_free(nearest);
        return xn_fail_memory(ctx, "the branches", n * 20);
    }
    for (int64_t i = 0; i < points->n; i++) nearest[i] = INFINITY;
    for (int64_t bin = 0; bin < t->path->n; bin++) {
        const group *g = t->group + bin * t->branches;
        for (int b = 0; b < t->branches; b++) {
            int64_t at = (int64_t)rank[b] * t->path->n + bin;
            d->branch_count[at] = (int32_t)xn_min64(g[b].n, INT32_MAX);
            d->branch_frequency[at] = g[b].n > 0 ? g[b].nu : NAN;
            d->branch_errors[at] = g[b].n > 0 ? 0.0 : NAN;
        }
        for (int64_t i = t->members->first[bin]; i < t->members->first[bin + 1]; i++) {
            if (t->label[i] == UNSEEN) continue;
            const xn_member *m = &t->members->at[i];
            int branch = rank[t->label[i]];
            double off = points->weight[m->point] * (points->frequency[m->point] - g[t->label[i]].nu);
            d->branch_errors[branch * t->path->n + bin] += off * off;
            if (m->distance >= nearest[m->point]) continue;
            nearest[m->point] = m->distance;
            points->branch[m->point] = branch;
        }
        for (int b = 0; b < t->branches; b++) {
            double *e = &d->branch_errors[(int64_t)rank[b] * t->path->n + bin], m = (double)g[b].n;
            if (g[b].n > 0) *e = fmax(m > 1.0 ? sqrt(*e * m / (m - 1.0)) / g[b].w : 0.0, 1.0 / sqrt(g[b].w));
        }
    }
    xn_free(nearest);
    return XANI_OK;
}

xani_status xn_branches_find(xn_ctx *ctx, const xn_scene *s, const xn_path *p, const xn_members *m, xn_points *points,
                             xn_dispersion *d)
{
    int rank[256];
    double top = 0.0;
    for (int64_t i = 0; i < points->n; i++) top = fmax(top, points->frequency[i]);
    tracking t = {.scene = s, .path = p, .members = m, .points = points, .d = d};
    t.branches = s->atoms > 0 ? 3 * s->atoms : 3;
    if (t.branches > 96) t.branches = 96;
    t.slope = SPEED * (isnan(s->max_thz) ? top : fmin(top, s->max_thz)) / s->zone_scale;
    t.spread = fmax(1e-6, 0.29 * t.slope * p->step);
    int64_t total = m->first[p->n];
    t.label = xn_alloc((size_t)total + 1, sizeof *t.label);
    t.group = xn_calloc((size_t)(p->n * t.branches) + 1, sizeof *t.group);
    xani_status st = XANI_OK;
    if (t.label == NULL || t.group == NULL) XN_GOTO(out, st, xn_fail_memory(ctx, "the branches", (size_t)total * 4));
#pragma omp parallel for schedule(dynamic, 1) num_threads(s->threads) reduction(max : st)
    for (int64_t bin = 0; bin < p->n; bin++) {
        xani_status own = cluster_bin(ctx, &t, bin);
        if (own == XANI_OK) summarise(&t, bin);
        st = own > st ? own : st;
    }
    if (st != XANI_OK) goto out;
    XN_GOTO(out, st, join(ctx, &t));
    for (int i = 0; i < ROUNDS; i++) XN_GOTO(out, st, give_again(ctx, &t));
    number_branches(&t, rank);
    st = write_branches(ctx, &t, rank, points, d);
out:
    xn_free(t.label);
    xn_free(t.group);
    return st;
}
