// SPDX-License-Identifier: BSD-3-Clause
// average.c -- S(q, nu) from traces that are averaged with their phase, before anything is fitted.
//
// Modes are accepted trace by trace, so a branch too weak for one pixel group is in no point.  Groups that look at one
// voxel (or bin of the path) with one reciprocal lattice vector G see the same lines with the same sign and phase; with
// another G, or another symmetry image, they do not (science.md 12).  So the traces of each such class are averaged
// with weights 1/sigma^2, and the power spectra of classes with the number of their traces:
//   S(nu) = 4 k |X(k nu)|^2 / sum h^2 dt,   X(f) = sum_b h_b dt_b y_b exp(-2 pi i f t_b),   k = f/nu
// with a Hann window h over the delays that were fitted, after constant and slope were taken away.  So a lasting
// cosine of amplitude A has the area A^2, as in the volume of the modes.  What noise alone gives, N = 4 k sum h^2 dt^2
// sigma^2 / sum h^2 dt, is subtracted: where nothing oscillates S is 0 within its error, sqrt(N^2 + 2 N S) of a class.
// Without errors of the traces N is the median of the class over ln 2.
//
// The traces of all classes of one run are held; where they do not fit into half of the memory allowed the run is left
// out, and that is said.
#include <complex.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "map/parts.h"

#define LEAST_BINS 8
#define BATCH (16LL << 20) // numbers of planes that are read before they are added

// A pixel group in a voxel or bin of the path.
typedef struct entry {
    int64_t slot, pixel;
    int32_t g[3], image;
    bool coherent;
} entry;

// Those of one run, sorted into classes.
typedef struct classes {
    int64_t entries, n, slots;
    entry *entry;
    int64_t *begin; // (n + 1) entries
    int64_t *slot;  // (slots + 1) first class of each slot that is seen
    double *y, *w;  // (n, bins): sum of w y, sum of w
} classes;

typedef struct job {
    xn_ctx *ctx;
    const xn_scene *scene;
    const xn_view *view;
    const xn_traces *traces;
    int run, bins;
    const double *delay;
    double lo, hi; // delays fitted
} job;

static int by_class(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->slot != y->slot) return x->slot < y->slot ? -1 : 1;
    for (int k = 0; k < 3; k++)
        if (x->g[k] != y->g[k]) return x->g[k] < y->g[k] ? -1 : 1;
    if (x->image != y->image) return x->image < y->image ? -1 : 1;
    if (x->coherent != y->coherent) return x->coherent ? 1 : -1;
    return x->pixel < y->pixel ? -1 : x->pixel > y->pixel;
}

static bool same_class(const entry *x, const entry *y)
{
    return x->slot == y->slot && memcmp(x->g, y->g, sizeof x->g) == 0 && x->image == y->image &&
           x->coherent == y->coherent;
}

static void free_classes(classes *c)
{
    xn_free(c->entry);
    xn_free(c->begin);
    xn_free(c->slot);
    xn_free(c->y);
    xn_free(c->w);
}

// Entries to classes, and room for their traces.
static xani_status sort_classes(const job *j, classes *c)
{
    if (c->entries > 0) qsort(c->entry, (size_t)c->entries, sizeof *c->entry, by_class);
    c->begin = xn_alloc((size_t)c->entries + 1, sizeof *c->begin);
    c->slot = xn_alloc((size_t)c->entries + 1, sizeof *c->slot);
    if (c->begin == NULL || c->slot == NULL)
        return xn_fail_memory(j->ctx, "classes of traces", (size_t)c->entries * 16);
    for (int64_t i = 0; i < c->entries; i++) {
        if (i > 0 && same_class(&c->entry[i], &c->entry[i - 1])) continue;
        if (i == 0 || c->entry[i].slot != c->entry[i - 1].slot) c->slot[c->slots++] = c->n;
        c->begin[c->n++] = i;
    }
    c->begin[c->n] = c->entries;
    c->slot[c->slots] = c->n;
    return XANI_OK;
}

static xani_status make_room(const job *j, classes *c)
{
    c->y = xn_calloc((size_t)c->n * (size_t)j->bins + 1, sizeof *c->y);
    c->w = xn_calloc((size_t)c->n * (size_t)j->bins + 1, sizeof *c->w);
    if (c->y != NULL && c->w != NULL) return XANI_OK;
    return xn_fail_memory(j->ctx, "averaged traces", (size_t)c->n * (size_t)j->bins * 16);
}

static xani_status find_voxels(const job *j, xn_kind kind, const xn_dispersion *d, classes *c)
{
    const xn_view *v = j->view;
    c->entry = xn_alloc((size_t)v->n + 1, sizeof *c->entry);
    if (c->entry == NULL) return xn_fail_memory(j->ctx, "traces of the voxels", (size_t)v->n * sizeof *c->entry);
    for (int64_t i = 0; i < v->n; i++) {
        if (!v->seen[i]) continue;
        entry *e = &c->entry[c->entries++];
        *e = (entry){.slot = xn_volume_voxel(d, v->hkl + 3 * i, v->g + 3 * i),
                     .pixel = i,
                     .coherent = xn_pixel_coherent(j->scene, v, kind, i)};
        memcpy(e->g, v->g + 3 * i, sizeof e->g);
    }
    return sort_classes(j, c);
}

static xani_status find_bins(const job *j, xn_kind kind, const xn_path *p, classes *c)
{
    const xn_view *v = j->view;
    xn_hit *hits = xn_alloc((size_t)p->n_images + 1, sizeof *hits);
    int64_t room = 0;
    if (hits == NULL) return xn_fail_memory(j->ctx, "traces of the path", 1);
    for (int64_t i = 0; i < v->n; i++) {
        int n = v->seen[i] ? xn_path_hits(p, v->q + 3 * i, hits) : 0;
        if (c->entries + n > room) {
            room = xn_max64(c->entries + n, room / 2 * 3 + 1024);
            entry *more = xn_realloc(c->entry, (size_t)room, sizeof *more);
            if (more == NULL) {
                xn_free(hits);
                return xn_fail_memory(j->ctx, "traces of the path", (size_t)room * sizeof *more);
            }
            c->entry = more;
        }
        for (int k = 0; k < n; k++) {
            entry *e = &c->entry[c->entries++];
            *e = (entry){hits[k].bin, i, {0}, hits[k].image, xn_pixel_coherent(j->scene, v, kind, i)};
            memcpy(e->g, v->g + 3 * i, sizeof e->g);
        }
    }
    xn_free(hits);
    return sort_classes(j, c);
}

// ---- averaging

// n bins from `first`; signal, errors (n, pixels).
static void add_planes(const job *j, const classes *c, int first, int n, const float *signal, const float *errors)
{
#pragma omp parallel for schedule(static) num_threads(j->scene->threads)
    for (int64_t k = 0; k < c->n; k++)
        for (int b = 0; b < n; b++) {
            double y = 0.0, w = 0.0;
            for (int64_t i = c->begin[k]; i < c->begin[k + 1]; i++) {
                int64_t at = b * j->view->n + c->entry[i].pixel;
                double sigma = (double)errors[at], weight = isnan(sigma) ? 1.0 : 1.0 / (sigma * sigma);
                if (isnan(signal[at]) || !isfinite(weight)) continue;
                y += weight * (double)signal[at];
                w += weight;
            }
            c->y[k * j->bins + first + b] = y;
            c->w[k * j->bins + first + b] = w;
        }
}

// *known: the traces have errors.
static xani_status read_planes(const job *j, classes *c, int sets, bool *known)
{
    int64_t plane = j->view->n, batch = xn_max64(1, xn_min64(j->bins, BATCH / xn_max64(1, plane)));
    float *signal = xn_alloc((size_t)(batch * plane), sizeof *signal),
          *errors = xn_alloc((size_t)(batch * plane), sizeof *errors);
    xani_status st =
        signal && errors ? XANI_OK : xn_fail_memory(j->ctx, "planes of the cube", (size_t)(batch * plane) * 8);
    *known = false;
    for (int first = 0; st == XANI_OK && first < j->bins; first += (int)batch) {
        int n = (int)xn_min64(batch, j->bins - first);
        st = j->traces->planes(j->ctx, j->traces->user, first, n, signal, errors);
        for (int64_t i = 0; st == XANI_OK && !*known && i < n * plane; i++) *known = isfinite(errors[i]);
        for (int k = 0; st == XANI_OK && k < sets; k++) add_planes(j, &c[k], first, n, signal, errors);
        if (st == XANI_OK) st = xn_check_interrupt(j->ctx);
    }
    xn_free(signal);
    xn_free(errors);
    return st;
}

// ---- spectra

// What is the same for all classes of a run and an axis of frequencies.
typedef struct transform {
    int bins;
    int64_t nf;
    double *window, *dt;    // (bins); 0 where not fitted
    float complex *wave[2]; // pair, coherent: (bins, nf) exp(-2 pi i k nu t)
} transform;

static void free_transform(transform *t)
{
    xn_free(t->window);
    xn_free(t->dt);
    xn_free(t->wave[0]);
    xn_free(t->wave[1]);
}

static xani_status make_transform(const job *j, const double *axis, int64_t nf, transform *t)
{
    size_t n = (size_t)j->bins;
    *t = (transform){j->bins, nf, xn_calloc(n, sizeof(double)), xn_calloc(n, sizeof(double)), {NULL, NULL}};
    for (int kind = 0; kind < 2; kind++) t->wave[kind] = xn_alloc(n * (size_t)nf, sizeof *t->wave[kind]);
    if (!t->window || !t->dt || !t->wave[0] || !t->wave[1])
        return xn_fail_memory(j->ctx, "waves", n * (size_t)nf * sizeof(float complex));
    int first = 0, last = j->bins - 1;
    while (first < last && j->delay[first] < j->lo) first++;
    while (last > first && j->delay[last] > j->hi) last--;
    double half[2] = {0.5 * (j->delay[xn_min64(first + 1, last)] - j->delay[first]),
                      0.5 * (j->delay[last] - j->delay[xn_max64(last - 1, first)])};
    double from = j->delay[first] - half[0], to = j->delay[last] + half[1];
    for (int b = first; b <= last && to > from; b++) {
        double s = sin(M_PI * (j->delay[b] - from) / (to - from));
        t->window[b] = s * s;
        t->dt[b] = 0.5 * (j->delay[b < last ? b + 1 : b] - j->delay[b > first ? b - 1 : b]) +
                   (b == first ? half[0] : 0.0) + (b == last ? half[1] : 0.0);
        for (int kind = 0; kind < 2; kind++)
            for (int64_t k = 0; k < nf; k++) {
                double phase = 2.0 * M_PI * (kind == 0 ? 2.0 : 1.0) * axis[k] * j->delay[b];
                t->wave[kind][b * nf + k] = (float)cos(phase) - I * (float)sin(phase);
            }
    }
    return XANI_OK;
}

// Takes constant and slope away; y (bins) becomes window dt y. False: too few delays.
static bool prepare(const transform *t, const double *delay, const double *sum, const double *w, double *y)
{
    double s[3] = {0, 0, 0}, r[2] = {0, 0}, origin = 0.0;
    int n = 0;
    for (int b = 0; b < t->bins; b++) {
        if (t->window[b] > 0.0 && w[b] > 0.0) s[0] += w[b], origin += w[b] * delay[b], n++;
    }
    if (n < LEAST_BINS) return false;
    origin /= s[0];
    for (int b = 0; b < t->bins; b++) {
        if (!(t->window[b] > 0.0 && w[b] > 0.0)) continue;
        double x = delay[b] - origin;
        s[1] += w[b] * x;
        s[2] += w[b] * x * x;
        r[0] += sum[b];
        r[1] += sum[b] * x;
    }
    double determinant = s[0] * s[2] - s[1] * s[1];
    double slope = determinant > 0.0 ? (s[0] * r[1] - s[1] * r[0]) / determinant : 0.0,
           mean = (r[0] - slope * s[1]) / s[0];
    for (int b = 0; b < t->bins; b++)
        y[b] = t->window[b] > 0.0 && w[b] > 0.0
                   ? t->window[b] * t->dt[b] * (sum[b] / w[b] - mean - slope * (delay[b] - origin))
                   : 0.0;
    return true;
}

// S of one class (nf) and what noise alone gives. room: bins + 3 nf numbers.
static bool spectrum(const transform *t, const double *delay, const double *sum, const double *w, bool coherent,
                     bool known, double *room, double *s, double *noise)
{
    double *y = room, *re = room + t->bins, *im = re + t->nf, norm = 0.0, flat = 0.0, k = coherent ? 1.0 : 2.0;
    if (!prepare(t, delay, sum, w, y)) return false;
    memset(re, 0, (size_t)(2 * t->nf) * sizeof *re);
    for (int b = 0; b < t->bins; b++) {
        if (!(t->window[b] > 0.0 && w[b] > 0.0)) continue;
        const float complex *wave = t->wave[coherent] + b * t->nf;
        for (int64_t f = 0; f < t->nf; f++) {
            re[f] += y[b] * (double)crealf(wave[f]);
            im[f] += y[b] * (double)cimagf(wave[f]);
        }
        double h = t->window[b] * t->window[b] * t->dt[b];
        norm += h;
        flat += h * t->dt[b] / w[b];
    }
    for (int64_t f = 0; f < t->nf; f++) s[f] = 4.0 * k * (re[f] * re[f] + im[f] * im[f]) / norm;
    *noise = 4.0 * k * flat / norm;
    if (known) return true;
    memcpy(re, s, (size_t)t->nf * sizeof *re);
    qsort(re, (size_t)t->nf, sizeof *re, xn_double_compare);
    *noise = re[t->nf / 2] / M_LN2;
    return true;
}

// Adds the spectra of all classes to their slots.
static xani_status add_spectra(const job *j, const classes *c, const transform *t, bool known, xn_average *a)
{
    size_t each = (size_t)(t->bins + 4 * t->nf);
    double *rooms = xn_alloc((size_t)j->scene->threads * each, sizeof *rooms);
    if (rooms == NULL) return xn_fail_memory(j->ctx, "spectra", each * sizeof *rooms);
#pragma omp parallel for schedule(dynamic, 16) num_threads(j->scene->threads)
    for (int64_t i = 0; i < c->slots; i++) {
        double *room = rooms + each * (size_t)omp_get_thread_num(), *s = room + t->bins + 3 * t->nf, noise;
        int64_t slot = c->entry[c->begin[c->slot[i]]].slot;
        for (int64_t k = c->slot[i]; k < c->slot[i + 1]; k++) {
            const double *sum = c->y + k * j->bins, *w = c->w + k * j->bins,
                         n = (double)(c->begin[k + 1] - c->begin[k]);
            if (!spectrum(t, j->delay, sum, w, c->entry[c->begin[k]].coherent, known, room, s, &noise)) continue;
            a->count[slot] += n;
            for (int64_t f = 0; f < t->nf; f++) {
                double above = s[f] - noise;
                a->sum[slot * t->nf + f] += (float)(n * above);
                a->variance[slot * t->nf + f] += (float)(n * n * noise * (noise + 2.0 * fmax(0.0, above)));
            }
        }
    }
    xn_free(rooms);
    return XANI_OK;
}

// ---- all of it

xani_status xn_average_open(xn_ctx *ctx, int64_t slots, int64_t nf, xn_average *a)
{
    *a = (xn_average){slots, nf, xn_calloc((size_t)(slots * nf) + 1, sizeof *a->sum),
                      xn_calloc((size_t)(slots * nf) + 1, sizeof *a->variance),
                      xn_calloc((size_t)slots + 1, sizeof *a->count)};
    if (a->sum && a->variance && a->count) return XANI_OK;
    return xn_fail_memory(ctx, "averaged spectra", (size_t)(slots * nf) * 8);
}

void xn_average_close(xn_average *a, float **intensity, float **errors)
{
    for (int64_t i = 0; intensity != NULL && i < a->slots * a->nf; i++) {
        double n = a->count[i / a->nf];
        a->sum[i] = n > 0.0 ? (float)((double)a->sum[i] / n) : NAN;
        a->variance[i] = n > 0.0 ? (float)(sqrt((double)a->variance[i]) / n) : NAN;
    }
    if (intensity != NULL) *intensity = a->sum, *errors = a->variance;
    if (intensity == NULL) xn_free(a->sum), xn_free(a->variance);
    xn_free(a->count);
    memset(a, 0, sizeof *a);
}

xani_status xn_average_run(xn_ctx *ctx, const xn_scene *s, const xn_view *v, const xn_modes *m, int run, xn_kind kind,
                           const xn_traces *traces, const xn_path *p, const xn_dispersion *d, double budget_gib,
                           xn_average *volume, xn_average *path)
{
    job j = {ctx, s, v, traces, run, 0, NULL, m->delay_lo_ps, m->delay_hi_ps};
    classes c[2] = {{0}, {0}};
    transform t[2] = {{0}, {0}};
    bool known;
    XN_TRY(traces->open(ctx, traces->user, run, &j.bins, &j.delay));
    if (j.bins < LEAST_BINS) return XANI_OK;
    xani_status st = find_voxels(&j, kind, d, &c[0]);
    if (st == XANI_OK) st = find_bins(&j, kind, p, &c[1]);
    double gib = (double)(c[0].n + c[1].n) * j.bins * 2 * sizeof(double) / 0x1p30;
    if (st == XANI_OK && gib > 0.5 * budget_gib) {
        xn_note(ctx, "averages of traces would take %.3g GiB, of %.3g GiB allowed: left out", gib, budget_gib);
        goto out;
    }
    for (int k = 0; k < 2 && st == XANI_OK; k++) st = make_room(&j, &c[k]);
    if (st == XANI_OK) st = make_transform(&j, d->axis[3], volume->nf, &t[0]);
    if (st == XANI_OK) st = make_transform(&j, d->path_frequency, path->nf, &t[1]);
    if (st == XANI_OK) st = read_planes(&j, c, 2, &known);
    if (st == XANI_OK) st = add_spectra(&j, &c[0], &t[0], known, volume);
    if (st == XANI_OK) st = add_spectra(&j, &c[1], &t[1], known, path);
out:
    for (int k = 0; k < 2; k++) free_classes(&c[k]), free_transform(&t[k]);
    return st;
}
