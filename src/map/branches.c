// SPDX-License-Identifier: BSD-3-Clause
// branches.c -- branches along the path.
//
// A crystal with s atoms per primitive cell has 3 s branches.  The lines of each bin are sorted into clusters
// (cluster.c), which are joined by continuity (courses.c).  A doublet seen as one line per pixel is one cluster; the
// second branch is NaN there.  The frequency of a branch in a bin is the weighted mean (map.h) of its points as they
// are, nothing else; its error is the scatter of that mean, and at least what the weights allow.
//
// For sorting alone, frequencies are moved onto the line: nu (|q on the line| / |q of the sample|)^p.  Acoustic
// branches are proportional to |q| near a zone centre (p = 1) and would overlap within the tube; p is the
// logarithmic derivative of sin(pi x/2), x = |q| over the zone's radius, which falls to 0 at the zone's boundary.
// Where the cell has more atoms, optical branches do not follow this, and p = 0.
#include <math.h>
#include <string.h>

#include "map/tracking.h"

#define SPEED 1.2       // typical slope of a branch: this times the highest frequency over zone_scale
#define ZONE_RADIUS 0.6 // of zone_scale: a sphere as large as the zone has 0.62
#define ROUNDS 2        // times that lines are given to the nearest course

static double length3(const double v[3]) { return sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]); }

static double power_at(const xn_tracking *t, double length)
{
    double x = 0.5 * M_PI * fmin(1.0, length / (ZONE_RADIUS * t->scene->zone_scale));
    return t->scene->atoms > 1 ? 0.0 : x > 1e-6 ? x / tan(x) : 1.0;
}

// Distance from the nearest zone centre of a point of the path, 1/Angstrom.
static double length_at(const xn_tracking *t, const xn_segment *s, int64_t bin, double along)
{
    double hkl[3], q[3];
    int g[3];
    for (int k = 0; k < 3; k++) hkl[k] = t->d->path_hkl[3 * bin + k] + along / s->length * (s->to[k] - s->from[k]);
    xn_lattice_fold(&t->scene->lattice, hkl, g, q);
    return length3(q);
}

void xn_group_summarise(const xn_tracking *t, int64_t bin)
{
    xn_group *g = t->group + bin * t->branches;
    int64_t first = t->members->first[bin], end = t->members->first[bin + 1];
    memset(g, 0, (size_t)t->branches * sizeof *g);
    for (int64_t i = first; i < end; i++) {
        if (t->label[i] == XN_UNSEEN) continue;
        xn_group *own = &g[t->label[i]];
        int64_t p = t->members->at[i].point;
        double w = t->points->weight[p];
        own->n++;
        own->w += w;
        own->nu += w * t->points->frequency[p];
        own->value += w * t->value[i];
        own->along += w * t->members->at[i].along;
    }
    for (int b = 0; b < t->branches; b++)
        if (g[b].n > 0) g[b].nu /= g[b].w, g[b].value /= g[b].w, g[b].along /= g[b].w;
    for (int64_t i = first; i < end; i++) {
        if (t->label[i] == XN_UNSEEN) continue;
        double off = t->value[i] - g[t->label[i]].value;
        g[t->label[i]].spread += t->points->weight[t->members->at[i].point] * off * off;
    }
    for (int b = 0; b < t->branches; b++)
        if (g[b].n > 0) g[b].spread = sqrt(g[b].spread / g[b].w + t->spread * t->spread);
}

// Values of the lines of a bin, and their clusters: for these, frequencies are moved to the bin's centre.
static xani_status cluster_bin(xn_ctx *ctx, const xn_tracking *t, const xn_segment *segment, int64_t bin)
{
    int64_t first = t->members->first[bin], n = t->members->first[bin + 1] - first;
    if (n == 0) return XANI_OK;
    xn_line_sample *s = xn_alloc((size_t)n, sizeof *s);
    if (s == NULL) return xn_fail_memory(ctx, "the lines of a bin", (size_t)n * sizeof *s);
    double centre = length_at(t, segment, bin, 0.0), power = power_at(t, centre);
    for (int64_t i = 0; i < n; i++) {
        const xn_member *m = &t->members->at[first + i];
        const int32_t *pixel = t->points->pixel + 2 * m->point;
        int64_t key = ((int64_t)t->points->run[m->point] << 48) + ((int64_t)pixel[0] << 24) + pixel[1];
        double q = length3(t->points->q + 3 * m->point), nu = t->points->frequency[m->point];
        double at_line = power > 0.0 && q > 0.0 ? pow(length_at(t, segment, bin, m->along) / q, power) : 1.0;
        double at_centre = power > 0.0 && q > 0.0 ? pow(centre / q, power) : 1.0;
        t->value[first + i] = nu * at_line;
        s[i] = (xn_line_sample){nu * at_centre, t->points->weight[m->point], key, XN_UNSEEN};
    }
    int found;
    xani_status st = xn_cluster(ctx, s, n, t->branches, t->spread, &found);
    for (int64_t i = 0; i < n && st == XANI_OK; i++) t->label[first + i] = s[i].label;
    xn_free(s);
    if (st == XANI_OK) xn_group_summarise(t, bin);
    return st;
}

// ---- results

// Branches numbered from the lowest: in the bins that two share, the one that is lower more often comes first.
static void number_branches(const xn_tracking *t, int *rank)
{
    int n = t->branches;
    for (int b = 0; b < n; b++) {
        rank[b] = 0;
        for (int other = 0; other < n; other++) {
            double balance = 0.0, mean[2] = {0, 0}, bins[2] = {0, 0};
            for (int64_t i = 0; i < t->path->n; i++) {
                const xn_group *x = &t->group[i * n + b], *y = &t->group[i * n + other];
                if (x->n > 0 && y->n > 0) balance += x->value > y->value ? 1.0 : x->value < y->value ? -1.0 : 0.0;
                if (x->n > 0) mean[0] += x->value, bins[0]++;
                if (y->n > 0) mean[1] += y->value, bins[1]++;
            }
            if (balance == 0.0 && bins[0] > 0.0 && bins[1] > 0.0) balance = mean[0] / bins[0] - mean[1] / bins[1];
            if (bins[0] == 0.0 || bins[1] == 0.0) balance = (bins[0] == 0.0) - (bins[1] == 0.0); // never seen: last
            rank[b] += balance > 0.0 || (balance == 0.0 && other < b);
        }
    }
    // three branches may each beat the next: equal ranks are separated by their number
    bool taken[XN_MOST_BRANCHES] = {false};
    for (int b = 0; b < n; b++) {
        while (taken[rank[b]]) rank[b] = (rank[b] + 1) % n;
        taken[rank[b]] = true;
    }
}

static xani_status write_branches(xn_ctx *ctx, const xn_tracking *t, const int *rank, xn_points *points,
                                  xn_dispersion *d)
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
        const xn_group *g = t->group + bin * t->branches;
        for (int b = 0; b < t->branches; b++) {
            int64_t at = (int64_t)rank[b] * t->path->n + bin;
            d->branch_count[at] = (int32_t)xn_min64(g[b].n, INT32_MAX);
            d->branch_frequency[at] = g[b].n > 0 ? g[b].nu : NAN;
            d->branch_errors[at] = g[b].n > 0 ? 0.0 : NAN;
        }
        for (int64_t i = t->members->first[bin]; i < t->members->first[bin + 1]; i++) {
            if (t->label[i] == XN_UNSEEN) continue;
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

static xani_status cluster_all(xn_ctx *ctx, const xn_tracking *t)
{
    int st = XANI_OK;
    for (int k = 0; k < t->path->n_segments; k++) {
        const xn_segment *s = &t->path->segment[k];
#pragma omp parallel for schedule(dynamic, 1) num_threads(t->scene->threads) reduction(max : st)
        for (int64_t bin = s->first; bin < s->first + s->n; bin++) {
            int own = (int)cluster_bin(ctx, t, s, bin);
            st = own > st ? own : st;
        }
    }
    return (xani_status)st;
}

xani_status xn_branches_find(xn_ctx *ctx, const xn_scene *s, const xn_path *p, const xn_members *m, xn_points *points,
                             xn_dispersion *d)
{
    int rank[XN_MOST_BRANCHES];
    double top = 0.0;
    for (int64_t i = 0; i < points->n; i++) top = fmax(top, points->frequency[i]);
    xn_tracking t = {.scene = s, .path = p, .members = m, .points = points, .d = d};
    t.branches = s->atoms <= 0 ? 3 : 3 * s->atoms < XN_MOST_BRANCHES ? 3 * s->atoms : XN_MOST_BRANCHES;
    t.slope = SPEED * (isnan(s->max_thz) ? top : fmin(top, s->max_thz)) / s->zone_scale;
    t.spread = fmax(1e-6, t.slope * p->step / sqrt(12.0));
    size_t total = (size_t)m->first[p->n], groups = (size_t)(p->n * t.branches);
    t.label = xn_alloc(total + 1, sizeof *t.label);
    t.value = xn_alloc(total + 1, sizeof *t.value);
    t.group = xn_calloc(groups + 1, sizeof *t.group);
    xani_status st = XANI_OK;
    if (t.label == NULL || t.value == NULL || t.group == NULL) {
        st = xn_fail_memory(ctx, "the branches", total * 12 + groups * sizeof *t.group);
        goto out;
    }
    XN_GOTO(out, st, cluster_all(ctx, &t));
    XN_GOTO(out, st, xn_courses_join(ctx, &t));
    for (int i = 0; i < ROUNDS; i++) XN_GOTO(out, st, xn_courses_give(ctx, &t));
    xn_courses_prune(&t);
    XN_GOTO(out, st, xn_courses_align(ctx, &t));
    number_branches(&t, rank);
    st = write_branches(ctx, &t, rank, points, d);
out:
    xn_free(t.label);
    xn_free(t.value);
    xn_free(t.group);
    return st;
}
