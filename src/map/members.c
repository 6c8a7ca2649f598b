// SPDX-License-Identifier: BSD-3-Clause
// members.c -- which samples lie near the path, bin by bin; the spectrum along the path.
//
// A sample within the tube of an image of a segment, between its ends, belongs to the bin into which it projects.
// Lists are made in two passes (count, fill) over the points in parallel, then sorted by bin with a stable counting
// sort, so that they do not depend on the number of threads.
#include <math.h>
#include <omp.h>
#include <string.h>

#include "map/parts.h"

#define FREQUENCIES 256
#define SLAB 16384 // samples between two looks for an interrupt
#define END 1e-9   // 1/Angstrom: a sample on the end of a segment belongs to it

// Adds a hit, or replaces a farther one in the same bin.
static int add_hit(xn_hit *hits, int n, const xn_hit *hit)
{
    for (int i = 0; i < n; i++) {
        if (hits[i].bin != hit->bin) continue;
        if (hit->distance < hits[i].distance) hits[i] = *hit;
        return n;
    }
    hits[n] = *hit;
    return n + 1;
}

int xn_path_hits(const xn_path *p, const double q[3], xn_hit *hits)
{
    int64_t box = 0;
    for (int k = 0; k < 3; k++) {
        int64_t j = (int64_t)floor((q[k] - p->origin[k]) / p->box[k]);
        box = box * p->boxes[k] + xn_max64(0, xn_min64(p->boxes[k] - 1, j));
    }
    int n = 0;
    for (int32_t i = p->first[box]; i < p->first[box + 1]; i++) {
        const xn_image *m = &p->image[p->list[i]];
        const xn_segment *s = &p->segment[m->segment];
        double r[3] = {q[0] - m->from[0], q[1] - m->from[1], q[2] - m->from[2]};
        double u = r[0] * m->along[0] + r[1] * m->along[1] + r[2] * m->along[2], d2 = 0.0;
        if (u < -END || u > s->length + END) continue;
        for (int k = 0; k < 3; k++) d2 += (r[k] - u * m->along[k]) * (r[k] - u * m->along[k]);
        if (d2 > p->tube * p->tube) continue;
        double width = s->length / (double)s->n;
        int64_t b = xn_max64(0, xn_min64(s->n - 1, (int64_t)floor(u / width)));
        const xn_hit hit = {s->first + b, u - ((double)b + 0.5) * width, sqrt(d2), p->list[i]};
        n = add_hit(hits, n, &hit);
    }
    return n;
}

static xn_hit *hit_space(xn_ctx *ctx, const xn_scene *s, const xn_path *p, xani_status *st)
{
    xn_hit *hits = xn_alloc((size_t)s->threads * (size_t)(p->n_images + 1), sizeof *hits);
    *st = hits != NULL ? XANI_OK : xn_fail_memory(ctx, "the path's samples", (size_t)p->n_images * sizeof *hits);
    return hits;
}

xani_status xn_path_count(xn_ctx *ctx, const xn_scene *s, const xn_view *v, xn_path *p)
{
    xani_status st;
    xn_hit *space = hit_space(ctx, s, p, &st);
    if (space == NULL) return st;
    for (int64_t slab = 0; slab < v->n && st == XANI_OK; slab += SLAB) {
        st = xn_check_interrupt(ctx);
#pragma omp parallel for schedule(static) num_threads(s->threads)
        for (int64_t i = slab; i < xn_min64(v->n, slab + SLAB); i++) {
            if (!v->seen[i]) continue;
            xn_hit *hits = space + (int64_t)omp_get_thread_num() * (p->n_images + 1);
            int n = xn_path_hits(p, v->q + 3 * i, hits);
            for (int k = 0; k < n; k++) {
#pragma omp atomic update
                p->samples[hits[k].bin]++;
            }
        }
    }
    xn_free(space);
    return st;
}

// From lists by point (begin, of, at) to lists by bin.
static void sort_by_bin(int64_t bins, int64_t total, const int64_t *bin, const xn_member *at, xn_members *m)
{
    memset(m->first, 0, ((size_t)bins + 2) * sizeof *m->first);
    for (int64_t i = 0; i < total; i++) m->first[bin[i] + 2]++;
    for (int64_t b = 1; b < bins + 2; b++) m->first[b] += m->first[b - 1];
    for (int64_t i = 0; i < total; i++) m->at[m->first[bin[i] + 1]++] = at[i];
}

xani_status xn_members_find(xn_ctx *ctx, const xn_scene *s, const xn_path *p, const xn_points *points, xn_members *m)
{
    int64_t n = points->n, *bin = NULL, total = 0;
    xn_member *at = NULL;
    xani_status st;
    memset(m, 0, sizeof *m);
    int64_t *begin = xn_calloc((size_t)n + 1, sizeof *begin);
    xn_hit *space = hit_space(ctx, s, p, &st);
    if (begin == NULL || space == NULL) {
        st = xn_fail_memory(ctx, "the points of the path", (size_t)n * sizeof *begin);
        goto out;
    }
    for (int64_t slab = 0; slab < n; slab += SLAB) {
        XN_GOTO(out, st, xn_check_interrupt(ctx));
#pragma omp parallel for schedule(static) num_threads(s->threads)
        for (int64_t i = slab; i < xn_min64(n, slab + SLAB); i++)
            begin[i] = xn_path_hits(p, points->q + 3 * i, space + (int64_t)omp_get_thread_num() * (p->n_images + 1));
    }
    for (int64_t i = 0; i <= n; i++) {
        int64_t own = i < n ? begin[i] : 0;
        begin[i] = total;
        total += own;
    }
    bin = xn_alloc((size_t)total + 1, sizeof *bin);
    at = xn_alloc((size_t)total + 1, sizeof *at);
    m->at = xn_alloc((size_t)total + 1, sizeof *m->at);
    m->first = xn_alloc((size_t)p->n + 2, sizeof *m->first);
    if (bin == NULL || at == NULL || m->at == NULL || m->first == NULL) {
        st = xn_fail_memory(ctx, "the points of the path", (size_t)total * 2 * sizeof *at);
        goto out;
    }
    for (int64_t slab = 0; slab < n; slab += SLAB) {
        XN_GOTO(out, st, xn_check_interrupt(ctx));
#pragma omp parallel for schedule(static) num_threads(s->threads)
        for (int64_t i = slab; i < xn_min64(n, slab + SLAB); i++) {
            xn_hit *hits = space + (int64_t)omp_get_thread_num() * (p->n_images + 1);
            int found = xn_path_hits(p, points->q + 3 * i, hits);
            for (int k = 0; k < found; k++) {
                bin[begin[i] + k] = hits[k].bin;
                at[begin[i] + k] = (xn_member){i, hits[k].along, hits[k].distance};
            }
        }
    }
    sort_by_bin(p->n, total, bin, at, m);
out:
    xn_free(begin);
    xn_free(space);
    xn_free(bin);
    xn_free(at);
    if (st != XANI_OK) xn_members_free(m);
    return st;
}

void xn_members_free(xn_members *m)
{
    xn_free(m->first);
    xn_free(m->at);
    memset(m, 0, sizeof *m);
}

xani_status xn_path_fill(xn_ctx *ctx, const xn_scene *s, const xn_path *p, const xn_members *m, const xn_collection *c,
                         xn_dispersion *d)
{
    int64_t nf = FREQUENCIES;
    d->path_nf = nf;
    double top = d->axis[3][d->shape[3] - 1] * (double)d->shape[3] / ((double)d->shape[3] - 0.5);
    XN_TRY(xn_frequency_axis(ctx, top, nf, &d->path_frequency));
    d->path_intensity = xn_alloc((size_t)(p->n * nf) + 1, sizeof *d->path_intensity);
    double *sums = xn_alloc((size_t)(s->threads * nf), sizeof *sums);
    if (d->path_intensity == NULL || sums == NULL) {
        xn_free(sums);
        return xn_fail_memory(ctx, "the intensity along the path", (size_t)(p->n * nf) * 4);
    }
#pragma omp parallel for schedule(dynamic, 4) num_threads(s->threads)
    for (int64_t b = 0; b < p->n; b++) {
        double *sum = sums + nf * omp_get_thread_num();
        memset(sum, 0, (size_t)nf * sizeof *sum);
        for (int64_t k = m->first[b]; k < m->first[b + 1]; k++) {
            int64_t i = m->at[k].point;
            double a = c->points.amplitude[i];
            xn_lorentzian_add(d->path_frequency, nf, c->points.frequency[i], (double)c->width[i], a * a, sum);
        }
        for (int64_t f = 0; f < nf; f++)
            d->path_intensity[b * nf + f] = p->samples[b] > 0 ? (float)(sum[f] / (double)p->samples[b]) : NAN;
    }
    xn_free(sums);
    return XANI_OK;
}
