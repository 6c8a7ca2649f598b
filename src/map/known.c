// SPDX-License-Identifier: BSD-3-Clause
// known.c -- branches along the path where force constants are known.
//
// Every line near the path is given to the branch that explains it by frequency and visibility |Q.e|^2
// (physics/forces/match.h), so that branches which cross, or lie nearer to each other than the delay window resolves,
// are told apart by what each Q can see, and never averaged together.  A line is measured beside the path, at the
// middle of its pixel group; its frequency on the path is nu + nu_b(path) - nu_expected(there): the constants say only
// how much the branch changes over that distance.  Groups so near to a zone centre that the frequency changes much
// within them are left out.  A branch in a bin is the mean of these with weights 1/sigma^2; its
// error is the scatter of the mean, and at least what the sigmas allow.  A branch without a line is not visible there:
// NaN with count 0, whatever the constants say.
#include <math.h>
#include <string.h>

#include "map/parts.h"

#define WIDEST 0.15 // rms of nu within a pixel group over nu: beyond, near a zone centre, the group has no frequency
#define REACH_SIGMA 3.5 // a line beyond is no line of the branch
#define CARRY 0.05      // of the way from where a line is measured to the path: what the constants are worth
#define NEAREST 1.35    // edges of a pixel group from a zone centre, likewise

// What one line is taken for.
typedef struct taken {
    int32_t branch;
    float sigma_thz;
    double off_thz, expected_thz; // measured less expected
} taken;

typedef struct job {
    const xn_scene *scene;
    const xn_known *known;
    const xn_collection *c;
    const uint8_t *wanted; // (points)
    taken *line;           // (points)
} job;

// Lines of one pixel group: points first ... end - 1.
static int64_t group_end(const xn_points *p, int64_t first)
{
    int64_t end = first + 1;
    while (end < p->n && end - first < XN_MATCH_LINES && p->run[end] == p->run[first] &&
           p->pixel[2 * end] == p->pixel[2 * first] && p->pixel[2 * end + 1] == p->pixel[2 * first + 1])
        end++;
    return end;
}

// Edge of a square as large as the pixel group, 1/Angstrom.
static double edge_of(const xn_observed *o)
{
    const double *a = o->edge[0], *b = o->edge[1];
    double x = a[1] * b[2] - a[2] * b[1], y = a[2] * b[0] - a[0] * b[2], z = a[0] * b[1] - a[1] * b[0];
    return sqrt(sqrt(x * x + y * y + z * z));
}

static void match_group(const job *j, xn_matcher *m, int64_t first, int64_t end)
{
    xn_observed line[XN_MATCH_LINES];
    xn_matched out[XN_MATCH_LINES];
    int64_t at[XN_MATCH_LINES];
    int n = 0;
    bool wanted = false;
    xn_match_options options = j->known->match;
    options.reach = REACH_SIGMA;
    for (int64_t i = first; i < end; i++) {
        j->line[i].branch = -1;
        wanted = wanted || j->wanted[i];
        if (!xn_known_observe(j->known, j->c, i, &line[n])) continue;
        at[n++] = i;
    }
    if (!wanted || n == 0 || !xn_match(m, &j->known->now, line, n, &options, j->known->doubt, out)) return;
    for (int k = 0; k < n; k++) {
        const double *q = j->c->points.q + 3 * at[k], reach = NEAREST * edge_of(&line[k]);
        bool sharp =
            out[k].spread_thz <= WIDEST * out[k].nu_thz && q[0] * q[0] + q[1] * q[1] + q[2] * q[2] > reach * reach;
        if (out[k].branch < 0 || !sharp) continue;
        j->line[at[k]] =
            (taken){out[k].branch,
                    (float)hypot(out[k].doubt_thz, hypot(line[k].sigma_thz, j->known->model_share * out[k].model_thz)),
                    line[k].nu_thz - out[k].nu_thz, out[k].nu_thz};
    }
}

static xani_status match_all(xn_ctx *ctx, const job *j)
{
    const xn_points *p = &j->c->points;
    enum { SHARES = 64 };
    bool good = true;
#pragma omp parallel num_threads(j->scene->threads) reduction(&& : good)
    {
        xn_matcher m;
        good = xn_matcher_open(&j->known->now, &m);
#pragma omp for schedule(dynamic, 1)
        for (int k = 0; k < SHARES; k++) {
            int64_t i = k * p->n / SHARES, end = (k + 1) * p->n / SHARES;
            while (i > 0 && i < end && group_end(p, i - 1) > i) i++; // begun in the share before
            for (int64_t next; good && i < end; i = next) {
                next = group_end(p, i);
                match_group(j, &m, i, next);
            }
        }
        xn_matcher_close(&m);
    }
    return good ? XANI_OK : xn_fail_memory(ctx, "the lines of branches", (size_t)p->n);
}

// Mean, error and count of all branches in one bin.
static void fill_bin(const job *j, const xn_path *p, const xn_members *m, int64_t bin, xn_dispersion *d)
{
    for (int b = 0; b < d->n_branches; b++) {
        int64_t at = b * p->n + bin;
        double w = 0.0, mean = 0.0, scatter = 0.0, way = 0.0;
        int32_t n = 0;
        for (int64_t i = m->first[bin]; i < m->first[bin + 1]; i++) {
            const taken *l = &j->line[m->at[i].point];
            if (l->branch != b) continue;
            double weight = 1.0 / ((double)l->sigma_thz * (double)l->sigma_thz), before = mean;
            w += weight;
            mean += weight / w * (l->off_thz - mean);
            scatter += weight * (l->off_thz - before) * (l->off_thz - mean);
            way += weight / w * (fabs(j->known->band[at] - l->expected_thz) - way);
            n++;
        }
        double own = n > 1 ? fmax(sqrt(scatter / w / (n - 1)), 1.0 / sqrt(w)) : 1.0 / sqrt(w);
        d->branch_count[at] = n;
        d->branch_frequency[at] = n > 0 ? j->known->band[at] + mean : NAN;
        d->branch_errors[at] = n > 0 ? hypot(own, (CARRY + j->known->doubt) * way) : NAN;
    }
}

xani_status xn_branches_known(xn_ctx *ctx, const xn_scene *s, const xn_known *k, const xn_path *p, const xn_members *m,
                              xn_collection *c, xn_dispersion *d)
{
    xani_status st = XANI_OK;
    size_t n = (size_t)c->points.n, values = (size_t)(3 * k->now.n_atoms) * (size_t)p->n;
    uint8_t *wanted = xn_calloc(n + 1, sizeof *wanted);
    taken *line = xn_alloc(n + 1, sizeof *line);
    d->branch_frequency = xn_alloc(values + 1, sizeof *d->branch_frequency);
    d->branch_errors = xn_alloc(values + 1, sizeof *d->branch_errors);
    d->branch_count = xn_calloc(values + 1, sizeof *d->branch_count);
    d->n_branches = 3 * k->now.n_atoms;
    d->branches_known = true;
    if (!wanted || !line || !d->branch_frequency || !d->branch_errors || !d->branch_count)
        XN_GOTO(out, st, xn_fail_memory(ctx, "the branches", n * sizeof *line + values * 20));
    const job j = {s, k, c, wanted, line};
    for (int64_t i = 0; i < m->first[p->n]; i++) wanted[m->at[i].point] = 1;
    XN_GOTO(out, st, match_all(ctx, &j));
#pragma omp parallel for num_threads(s->threads) schedule(dynamic, 1)
    for (int64_t bin = 0; bin < p->n; bin++) fill_bin(&j, p, m, bin, d);
    int64_t near = 0, given = 0;
    for (size_t i = 0; i < n; i++) {
        if (!wanted[i]) continue;
        c->points.branch[i] = line[i].branch;
        near++;
        given += line[i].branch >= 0;
    }
    if (near > 0 && given == 0)
        xn_warn(ctx,
                "none of the %lld points near the path is explained by a branch of the force constants: all branches "
                "are empty",
                (long long)near);
out:
    xn_free(wanted);
    xn_free(line);
    return st;
}
