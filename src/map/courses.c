// SPDX-License-Identifier: BSD-3-Clause
// courses.c -- clusters of lines joined to branches by continuity; lines given to the nearest branch.
//
// Going along the path, the clusters of a bin are given to the branches so that the squares of the deviations from
// the frequencies extrapolated with the slopes of the bins before, in units of the doubt about them, are least
// (Hungarian method).  So branches keep their slope where they cross; across a corner only the frequency is
// continuous.  Then every line is given to the branch whose course, interpolated from the bins around, passes
// nearest to it, which undoes clusters that joined two branches near a crossing.  A line that stands alone, with none
// of its branch near it, is noise and has no branch.  At last, branches that met at a corner of the path are renamed
// behind it so that the lines seen on both sides keep their branch.
#include <math.h>
#include <string.h>

#include "map/tracking.h"

#define START 3.0    // deviation that costs as much as beginning a branch
#define CAP 12.0     // deviation from which a branch is not continued
#define STEEPEST 2.5 // of the typical slope: acoustic branches near a zone centre
#define REACH 4.0    // bins over which a course is extrapolated or interpolated
#define TIE 0.5      // spreads by which one branch must be nearer to a line than a branch before it
#define DOUBLET 1.5  // spreads by which two branches differ that are one where no pixel shows both
#define MOST_LINES 16
#define WIDTHS 5.0 // spreads that a line may lie from the course of its branch

typedef struct course {
    bool begun;
    double x, value, slope;
    int segment;
} course;

// Square of the deviation from the expected frequency, in units of the doubt about it. (Squares, because with
// absolute values all pairings of two branches that both moved up cost the same.)
static double joining_cost(const xn_tracking *t, const course *c, const xn_group *g, double x, int segment)
{
    if (!c->begun) return START * START;
    double dx = x - c->x, step = t->path->step, free = segment == c->segment && c->slope != 0.0 ? step : 0.0;
    double slope = segment == c->segment ? c->slope : 0.0;
    double expected = c->value + slope * fmin(dx, REACH * step);
    double doubt = g->spread + t->spread + 0.5 * t->slope * fmax(0.0, dx - free);
    double deviation = fabs(g->value - expected) / doubt;
    return deviation <= CAP ? deviation * deviation : CAP * CAP + 1e-3 * fmin(deviation, 1e3);
}

static void continue_course(const xn_tracking *t, course *c, const xn_group *g, double x, int segment)
{
    double dx = x - c->x, steepest = STEEPEST * t->slope;
    if (!c->begun || c->segment != segment) {
        c->slope = 0.0;
    } else if (dx > 0.5 * t->path->step) { // nearer together, the places of the groups do not give a slope
        double slope = fmax(-steepest, fmin(steepest, (g->value - c->value) / dx));
        c->slope = c->slope == 0.0 ? slope : 0.5 * (c->slope + slope);
    }
    c->begun = true;
    c->x = x;
    c->value = g->value;
    c->segment = segment;
}

// Renames the clusters of all bins to branches, from one end of the path to the other.
xani_status xn_courses_join(xn_ctx *ctx, const xn_tracking *t)
{
    int n = t->branches;
    xani_status st = XANI_OK;
    course *c = xn_calloc((size_t)n, sizeof *c);
    double *cost = xn_alloc((size_t)n * (size_t)n, sizeof *cost);
    int *column = xn_alloc((size_t)n, sizeof *column);
    if (c == NULL || cost == NULL || column == NULL) {
        st = xn_fail_memory(ctx, "the branches", (size_t)n * (size_t)n * 8);
        goto out;
    }
    for (int k = 0; k < t->path->n_segments; k++) {
        const xn_segment *s = &t->path->segment[k];
        for (int64_t bin = s->first; bin < s->first + s->n; bin++) {
            const xn_group *g = t->group + bin * n;
            double x = t->d->path_distance[bin];
            for (int i = 0; i < n; i++)
                for (int j = 0; j < n; j++)
                    cost[i * n + j] =
                        g[i].n > 0 ? joining_cost(t, &c[j], &g[i], x + g[i].along, k) + (j > 0) * TIE * TIE : 0.0;
            XN_GOTO(out, st, xn_assign(ctx, n, cost, column));
            for (int i = 0; i < n; i++)
                if (g[i].n > 0) continue_course(t, &c[column[i]], &g[i], x + g[i].along, k);
            for (int64_t i = t->members->first[bin]; i < t->members->first[bin + 1]; i++)
                if (t->label[i] != XN_UNSEEN) t->label[i] = column[t->label[i]];
            xn_group_summarise(t, bin);
        }
    }
out:
    xn_free(c);
    xn_free(cost);
    xn_free(column);
    return st;
}

// Course of a branch at distance x of a segment, from the groups on both sides; false when none is near. The bin's
// own group counts only where there is none on one side: so a doublet whose lines were once given to the one and once
// to the other branch comes together.
static bool course_at(const xn_tracking *t, const xn_group *groups, int branch, const xn_segment *s, int64_t bin,
                      double x, double *value, double *spread)
{
    const xn_group *a = NULL, *b = NULL, *own = &groups[bin * t->branches + branch];
    int64_t reach = (int64_t)REACH, ia = bin, ib = bin;
    while (a == NULL && --ia >= xn_max64(s->first, bin - reach))
        if (groups[ia * t->branches + branch].n > 0) a = &groups[ia * t->branches + branch];
    while (b == NULL && ++ib < xn_min64(s->first + s->n, bin + reach + 1))
        if (groups[ib * t->branches + branch].n > 0) b = &groups[ib * t->branches + branch];
    if (a == NULL && own->n > 0)
        a = own, ia = bin;
    else if (b == NULL && own->n > 0)
        b = own, ib = bin;
    if (a == NULL && b == NULL) return false;
    if (a == NULL || b == NULL) a = b = a != NULL ? a : b;
    double xa = a == b ? 0.0 : t->d->path_distance[ia] + a->along,
           xb = a == b ? 0.0 : t->d->path_distance[ib] + b->along;
    double u = xb > xa ? fmax(0.0, fmin(1.0, (x - xa) / (xb - xa))) : 0.5;
    *value = a->value + u * (b->value - a->value);
    *spread = fmax(a->spread, b->spread);
    return true;
}

// Distances of a line from all courses in spreads; INFINITY where a branch has none.
static void measure(const xn_tracking *t, const xn_group *groups, const xn_segment *s, int64_t bin, int64_t line,
                    double off[XN_MOST_BRANCHES])
{
    const xn_member *m = &t->members->at[line];
    double sigma = t->points->frequency_errors[m->point], value, spread;
    if (!isfinite(sigma)) sigma = 0.0;
    for (int b = 0; b < t->branches; b++) {
        off[b] = INFINITY;
        if (course_at(t, groups, b, s, bin, t->d->path_distance[bin] + m->along, &value, &spread))
            off[b] = (t->value[line] - value) / sqrt(spread * spread + sigma * sigma);
    }
}

// Gives the lines of one pixel in a bin, the members from `first`, to different branches: repeatedly the nearest
// pair, where about equally near branches (a doublet) are taken from the first; then two lines change places where
// that makes the squares less, so that the lower of two lines gets the lower of two courses.
static void give_pixel(const xn_tracking *t, const xn_group *groups, const xn_segment *s, int64_t bin, int64_t first,
                       int lines)
{
    double off[MOST_LINES][XN_MOST_BRANCHES];
    bool taken[XN_MOST_BRANCHES] = {false};
    int *label = t->label + first;
    for (int j = 0; j < lines; j++) {
        label[j] = XN_UNSEEN;
        if (j < MOST_LINES) measure(t, groups, s, bin, first + j, off[j]);
    }
    if (lines > MOST_LINES) lines = MOST_LINES;
    for (int line = 0; line >= 0;) {
        double best = WIDTHS;
        int branch = line = -1;
        for (int j = 0; j < lines; j++)
            for (int b = 0; label[j] == XN_UNSEEN && b < t->branches; b++) {
                double nearer = line == j && b != branch ? best - TIE : best;
                if (!taken[b] && fabs(off[j][b]) < nearer) best = fabs(off[j][b]), line = j, branch = b;
            }
        if (line < 0) break;
        label[line] = branch;
        taken[branch] = true;
    }
    for (int i = 0; i < lines; i++)
        for (int j = 0; j < i; j++) {
            int a = label[i], b = label[j];
            if (a == XN_UNSEEN || b == XN_UNSEEN) continue;
            if (off[i][b] * off[i][b] + off[j][a] * off[j][a] < off[i][a] * off[i][a] + off[j][b] * off[j][b])
                label[i] = b, label[j] = a;
        }
}

// Does a pixel have lines of both branches in this bin?
static bool seen_together(const xn_tracking *t, int64_t bin, int a, int b)
{
    int64_t end = t->members->first[bin + 1];
    for (int64_t i = t->members->first[bin]; i < end; i++)
        for (int64_t j = i + 1; j < end && xn_same_pixel(t->points, t->members->at[i].point, t->members->at[j].point);
             j++)
            if ((t->label[i] == a && t->label[j] == b) || (t->label[i] == b && t->label[j] == a)) return true;
    return false;
}

// A doublet is two branches only where some pixel shows both; elsewhere its lines all go to the first of the two, also
// when that one has no line in this bin but its course passes here.
static void join_doublets(const xn_tracking *t, const xn_group *before, const xn_segment *s, int64_t bin)
{
    const xn_group *g = t->group + bin * t->branches;
    for (int b = 1; b < t->branches; b++)
        for (int a = 0; a < b && g[b].n > 0; a++) {
            double value = g[a].value, spread = g[a].spread;
            if (g[a].n == 0 && !course_at(t, before, a, s, bin, t->d->path_distance[bin] + g[b].along, &value, &spread))
                continue;
            if (fabs(value - g[b].value) > DOUBLET * fmax(spread, g[b].spread) || seen_together(t, bin, a, b)) continue;
            for (int64_t i = t->members->first[bin]; i < t->members->first[bin + 1]; i++)
                if (t->label[i] == b) t->label[i] = a;
            xn_group_summarise(t, bin);
        }
}

xani_status xn_courses_give(xn_ctx *ctx, const xn_tracking *t)
{
    size_t n = (size_t)t->path->n * (size_t)t->branches;
    xn_group *before = xn_alloc(n + 1, sizeof *before);
    if (before == NULL) return xn_fail_memory(ctx, "the branches", n * sizeof *before);
    memcpy(before, t->group, n * sizeof *before);
    for (int k = 0; k < t->path->n_segments; k++) {
        const xn_segment *s = &t->path->segment[k];
#pragma omp parallel for schedule(dynamic, 1) num_threads(t->scene->threads)
        for (int64_t bin = s->first; bin < s->first + s->n; bin++) {
            int64_t first = t->members->first[bin], last = t->members->first[bin + 1];
            for (int64_t i = first, end; i < last; i = end) {
                for (end = i + 1; end < last; end++)
                    if (!xn_same_pixel(t->points, t->members->at[i].point, t->members->at[end].point)) break;
                give_pixel(t, before, s, bin, i, (int)(end - i));
            }
            xn_group_summarise(t, bin);
            join_doublets(t, before, s, bin);
        }
    }
    xn_free(before);
    return XANI_OK;
}

// Is a group that has one line only met by a group of its branch near it? Doubt grows with the distance.
static bool is_met(const xn_tracking *t, const xn_segment *s, int64_t bin, int branch)
{
    const xn_group *g = &t->group[bin * t->branches + branch];
    int64_t reach = (int64_t)REACH;
    for (int64_t i = xn_max64(s->first, bin - reach); i < xn_min64(s->first + s->n, bin + reach + 1); i++) {
        const xn_group *other = &t->group[i * t->branches + branch];
        if (i == bin || other->n == 0) continue;
        double dx = fabs(t->d->path_distance[bin] + g->along - t->d->path_distance[i] - other->along);
        if (fabs(g->value - other->value) < WIDTHS * (t->spread + other->spread + t->slope * dx)) return true;
    }
    return false;
}

void xn_courses_prune(const xn_tracking *t)
{
    for (int k = 0; k < t->path->n_segments; k++) {
        const xn_segment *s = &t->path->segment[k];
        for (int64_t bin = s->first; bin < s->first + s->n; bin++)
            for (int b = 0; b < t->branches; b++) {
                if (t->group[bin * t->branches + b].n != 1 || is_met(t, s, bin, b)) continue;
                for (int64_t i = t->members->first[bin]; i < t->members->first[bin + 1]; i++)
                    if (t->label[i] == b) t->label[i] = XN_UNSEEN;
                xn_group_summarise(t, bin);
            }
    }
}

// Counts in `same` (branch before, branch after) the lines that the bins on both sides of the corner before segment k
// share. seen: the branch of each point before the corner, scratch filled with XN_UNSEEN.
static void compare_sides(const xn_tracking *t, int k, int *seen, double *same)
{
    const xn_segment *a = &t->path->segment[k - 1], *b = &t->path->segment[k];
    int64_t reach = (int64_t)REACH, from = t->members->first[xn_max64(a->first, a->first + a->n - reach)];
    int64_t corner = t->members->first[b->first], to = t->members->first[xn_min64(b->first + b->n, b->first + reach)];
    for (int64_t i = from; i < corner; i++) seen[t->members->at[i].point] = t->label[i];
    for (int64_t i = corner; i < to; i++) {
        int before = seen[t->members->at[i].point];
        if (before != XN_UNSEEN && t->label[i] != XN_UNSEEN) same[before * t->branches + t->label[i]] += 1.0;
    }
    for (int64_t i = from; i < corner; i++) seen[t->members->at[i].point] = XN_UNSEEN;
}

xani_status xn_courses_align(xn_ctx *ctx, const xn_tracking *t)
{
    int n = t->branches;
    xani_status st = XANI_OK;
    int *seen = xn_alloc((size_t)t->points->n + 1, sizeof *seen), *before = xn_alloc(2 * (size_t)n, sizeof *before);
    double *cost = xn_alloc((size_t)n * (size_t)n, sizeof *cost);
    if (seen == NULL || before == NULL || cost == NULL) {
        st = xn_fail_memory(ctx, "the branches", (size_t)t->points->n * sizeof *seen);
        goto out;
    }
    for (int64_t i = 0; i < t->points->n; i++) seen[i] = XN_UNSEEN;
    for (int k = 1; k < t->path->n_segments; k++) {
        int *after = before + n;
        for (int i = 0; i < n * n; i++) cost[i] = 0.0;
        compare_sides(t, k, seen, cost);
        for (int i = 0; i < n * n; i++) cost[i] = -cost[i] - 0.5 * (i % (n + 1) == 0); // as it is, unless more agree
        XN_GOTO(out, st, xn_assign(ctx, n, cost, after));
        for (int b = 0; b < n; b++) before[after[b]] = b;
        for (int64_t bin = t->path->segment[k].first; bin < t->path->n; bin++) {
            for (int64_t i = t->members->first[bin]; i < t->members->first[bin + 1]; i++)
                if (t->label[i] != XN_UNSEEN) t->label[i] = before[t->label[i]];
            xn_group_summarise(t, bin);
        }
    }
out:
    xn_free(seen);
    xn_free(before);
    xn_free(cost);
    return st;
}
