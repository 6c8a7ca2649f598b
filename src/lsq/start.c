// SPDX-License-Identifier: BSD-3-Clause
// start.c -- start values of one data set: given, the model's, or guessed.
//
// Guesses go part by part on what the parts before leave over, a background (from the ends of the data) first.  After
// each part all linear parameters so far are found by linear least squares, which is exact for them and leaves a
// cleaner remainder for the next: variable projection at the start (G. H. Golub, V. Pereyra, SIAM J. Numer. Anal. 10
// (1973)).  Values that were given are kept.  A peak may reach one end: where the ends differ, each is tried as the
// background unless the first start is near the data already, and the one with the lowest sum of squares is taken.
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lsq/lsq.h"
#include "lsq/qr.h"

typedef struct starting {
    xn_fitter *f;
    double *p;
    bool known[XN_MODEL_PARAMETERS];
    double *x, *rest, *scratch; // ascending x, remainder in that order
    const int64_t *order;       // sample of each position
} starting;

#define APART 0.1 // of the range of the data: ends that differ by more may differ by a peak

#define LEFT 0.02 // of the spread of the data: what a start near them leaves

// Where a background beside peaks is looked for.
typedef enum { BOTH_ENDS = 0, FIRST_END, LAST_END, ENDS } end_choice;

static double clamp(double v, double low, double high) { return fmin(fmax(v, low), high); }

// A guess on or beyond a bound goes a little inside, where the model has derivatives.
static double inside(double v, double low, double high)
{
    if (v > low && v < high) return v;
    if (isfinite(low) && isfinite(high)) return v <= low ? low + 0.05 * (high - low) : high - 0.05 * (high - low);
    const double bound = v <= low ? low : high, off = bound != 0.0 ? 0.05 * fabs(bound) : 0.05;
    return v <= low ? bound + off : bound - off;
}

// ---- linear parameters

// Whether parameter k is linear in the whole model: its own part is, and every tie to it leads to a linear one.
static bool is_linear(const xn_scheme *s, int k)
{
    bool linear = s->model->parameter[k].linear;
    for (int t = 0; t < s->n_ties; t++)
        if (s->factor[(size_t)t * XN_MODEL_PARAMETERS + k] != 0.0)
            linear = linear && s->model->parameter[s->tied[t]].linear;
    return linear;
}

// Least squares for those unknown linear parameters whose part is among the first `parts` that are in use.
static void solve_linear(starting *st, const bool *used)
{
    xn_fitter *f = st->f;
    const xn_scheme *s = f->scheme;
    const xani_model *m = s->model;
    int list[XN_MODEL_PARAMETERS], pivot[XN_MODEL_PARAMETERS], n = 0;
    double *d[XN_MODEL_PARAMETERS], norm[XN_MODEL_PARAMETERS], x[XN_MODEL_PARAMETERS];
    for (int v = 0; v < s->n_free; v++) {
        const int k = s->variable[v];
        for (int a = 0; a < m->n_parts; a++)
            if (used[a] && k >= m->part[a].first && k < m->part[a].first + m->part[a].count && !st->known[k] &&
                is_linear(s, k))
                list[n++] = k;
    }
    if (n == 0 || n > f->n) return;
    for (int k = 0; k < m->n_parameters; k++) d[k] = f->column + k * f->room;
    for (int j = 0; j < n; j++) st->p[list[j]] = 0.0;
    xn_fitter_tie(s, st->p);
    double *b = f->lm.c, *y = f->lm.r, *a = f->lm.j;
    bool good = xn_fitter_model(f, st->p, y, d, XN_LM_FORWARD);
    for (int64_t i = 0; i < f->n && good; i++) b[i] = f->w[i] * (f->y[i] - y[i]);
    for (int j = 0; j < n && good; j++) {
        double *column = a + j * f->n;
        memcpy(column, d[list[j]], (size_t)f->n * sizeof *column);
        for (int t = 0; t < s->n_ties; t++) {
            const double factor = s->factor[(size_t)t * XN_MODEL_PARAMETERS + list[j]];
            for (int64_t i = 0; i < f->n && factor != 0.0; i++) column[i] += factor * d[s->tied[t]][i];
        }
        for (int64_t i = 0; i < f->n; i++) column[i] *= f->w[i];
        norm[j] = xn_norm(column, f->n);
        for (int64_t i = 0; i < f->n && norm[j] > 0.0; i++) column[i] /= norm[j];
        good = isfinite(norm[j]);
    }
    double scratch[XN_MODEL_PARAMETERS];
    if (good) {
        for (int j = 0; j < n; j++) scratch[j] = norm[j] > 0.0 ? 1.0 : 0.0;
        xn_qr_factor(a, f->n, n, f->n, b, pivot, scratch);
        xn_qr_solve(a, n, f->n, xn_qr_rank(a, n, f->n, 1e-10), b, x);
    }
    for (int j = 0; j < n; j++) {
        const int k = list[good ? pivot[j] : j];
        const double v = good && norm[pivot[j]] > 0.0 ? x[j] / norm[pivot[j]] : 1.0;
        st->p[k] = clamp(isfinite(v) ? v : 1.0, m->parameter[k].low, m->parameter[k].high);
    }
    xn_fitter_tie(s, st->p);
}

// ---- the remainder

// rest = data minus the parts in use, ordered by x. Parts not in use have a value only once their parameters are set.
static void take_remainder(starting *st, const bool *used)
{
    xn_fitter *f = st->f;
    const xani_model *m = f->scheme->model;
    double *v = f->value;
    for (int64_t i = 0; i < f->n; i++) st->rest[i] = f->y[st->order[i]];
    for (int a = 0; a < m->n_parts; a++) {
        const xn_part *part = &m->part[a];
        const double *p = st->p + part->first;
        if (!used[a]) continue;
        if (part->kind != NULL)
            part->kind->value(part->order, f->x, f->n, p, v, NULL);
        else if (part->own.value(part->own.user, f->x, f->n, p, v) != 0)
            continue;
        for (int64_t i = 0; i < f->n; i++)
            if (isfinite(v[st->order[i]])) st->rest[i] -= v[st->order[i]];
    }
}

static double mean(const double *v, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) sum += v[i];
    return sum / (double)n;
}

// A background beside other parts, from where those do not reach: decays and onsets leave the end (or the beginning)
// free, waves the mean, peaks and steps both ends, or one as `ends` says. Returns whether the ends are apart.
static bool take_background(starting *st, const xn_kind *other, end_choice ends)
{
    const int64_t n = st->f->n, tenth = n >= 10 ? n / 10 : 1;
    const double first = mean(st->rest, tenth), last = mean(st->rest + n - tenth, tenth);
    const double x0 = mean(st->x, tenth), x1 = mean(st->x + n - tenth, tenth);
    double level = first, slope = x1 > x0 ? (last - first) / (x1 - x0) : 0.0;
    if (other->guess == xn_guess_decay) level = last, slope = 0.0;
    if (other->guess == xn_guess_onset) level = first, slope = 0.0;
    if (other->guess == xn_guess_waves || other->guess == xn_guess_sine) level = mean(st->rest, n), slope = 0.0;
    if (other->guess == xn_guess_step) return false;
    if (ends != BOTH_ENDS) level = ends == FIRST_END ? first : last, slope = 0.0;
    double low = st->rest[0], high = low;
    for (int64_t i = 0; i < n; i++) {
        low = fmin(low, st->rest[i]);
        high = fmax(high, st->rest[i]);
        st->rest[i] -= level + slope * (st->x[i] - x0);
    }
    return fabs(last - first) > APART * (high - low);
}

// ---- all parts

static bool is_open(const starting *st, const xn_part *part) // a parameter has no value yet
{
    for (int k = part->first; k < part->first + part->count; k++)
        if (!st->known[k] && st->f->scheme->model->parameter[k].role != XN_TIED) return true;
    return false;
}

static void guess_part(starting *st, const xn_part *part)
{
    xn_fitter *f = st->f;
    const xani_model *m = f->scheme->model;
    double p[XN_MODEL_PARAMETERS + 4];
    for (int k = 0; k < part->count; k++) p[k] = st->known[part->first + k] ? st->p[part->first + k] : 1.0;
    if (part->kind != NULL)
        part->kind->guess(part->order, st->x, st->rest, f->n, p, st->scratch);
    else if (part->own.guess(part->own.user, st->x, st->rest, f->n, p) != 0)
        return;
    for (int k = 0; k < part->count; k++) {
        const xn_parameter *q = &m->parameter[part->first + k];
        if (st->known[part->first + k] || q->role == XN_TIED) continue;
        st->p[part->first + k] = isfinite(p[k]) ? p[k] : 1.0;
        if (q->role == XN_VARY) st->p[part->first + k] = inside(st->p[part->first + k], q->low, q->high);
    }
    xn_fitter_tie(f->scheme, st->p);
}

// Guesses all that is open; returns the sum of squares, and whether another choice of ends may give a lower one.
static double guess_all(starting *st, end_choice ends, bool *other_ends)
{
    const xn_fitter *f = st->f;
    const xani_model *m = f->scheme->model;
    bool used[XN_MODEL_PARTS] = {false};
    const xn_kind *other = NULL;
    for (int a = m->n_parts - 1; a >= 0; a--) {
        const xn_kind *kind = m->part[a].kind;
        used[a] = !is_open(st, &m->part[a]);
        if (kind != NULL && !kind->background) other = kind;
    }
    take_remainder(st, used);
    bool background = false;
    for (int a = 0; a < m->n_parts; a++)
        background |= m->part[a].kind != NULL && m->part[a].kind->background && !used[a];
    *other_ends = false;
    if (background && other != NULL) *other_ends = take_background(st, other, ends) && other->guess == xn_guess_peak;
    for (int pass = 0; pass < 2; pass++) // first what has a shape, then backgrounds
        for (int a = 0; a < m->n_parts; a++) {
            const xn_part *part = &m->part[a];
            if (used[a] || (part->kind != NULL && part->kind->background) != (pass == 1)) continue;
            guess_part(st, part);
            used[a] = true;
            for (int b = 0; b < m->n_parts; b++) used[b] |= m->part[b].kind != NULL && m->part[b].kind->background;
            solve_linear(st, used);
            take_remainder(st, used);
        }
    double sum = 0.0;
    for (int64_t i = 0; i < f->n; i++) {
        const double r = f->w[st->order[i]] * st->rest[i];
        sum += r * r;
    }
    return sum;
}

// Sum of squares around the mean.
static double spread_of(const xn_fitter *f)
{
    double w = 0.0, sum = 0.0, squares = 0.0;
    for (int64_t i = 0; i < f->n; i++) w += f->w[i] * f->w[i], sum += f->w[i] * f->w[i] * f->y[i];
    for (int64_t i = 0; i < f->n; i++) squares += pow(f->w[i] * (f->y[i] - sum / w), 2.0);
    return squares;
}

static void guess_best(starting *st)
{
    const size_t bytes = (size_t)st->f->scheme->model->n_parameters * sizeof *st->p;
    double best[XN_MODEL_PARAMETERS];
    bool more;
    double lowest = guess_all(st, BOTH_ENDS, &more);
    if (!more || lowest < LEFT * spread_of(st->f)) return;
    memcpy(best, st->p, bytes);
    for (end_choice ends = FIRST_END; ends < ENDS; ends++) {
        const double sum = guess_all(st, ends, &more);
        if (!(sum < lowest)) continue;
        lowest = sum;
        memcpy(best, st->p, bytes);
    }
    memcpy(st->p, best, bytes);
}

typedef struct keyed {
    double x;
    int64_t sample;
} keyed;

static int by_x(const void *a, const void *b)
{
    const keyed *p = a, *q = b;
    if (p->x != q->x) return p->x < q->x ? -1 : 1;
    return p->sample < q->sample ? -1 : 1;
}

// Cuts the scratch of the fitter: 2 n keys, n x, n order, n remainder, 8 n for guesses behind the keys' place.
static void sort_samples(starting *st)
{
    xn_fitter *f = st->f;
    double *base = f->other;
    const int64_t room = f->room;
    keyed *keys = (void *)base;
    int64_t *order = (void *)(base + 9 * room);
    for (int64_t i = 0; i < f->n; i++) keys[i] = (keyed){f->x[i], i};
    bool ascending = true;
    for (int64_t i = 1; i < f->n && ascending; i++) ascending = keys[i - 1].x <= keys[i].x;
    if (!ascending) qsort(keys, (size_t)f->n, sizeof *keys, by_x);
    st->x = base + 10 * room;
    st->rest = base + 11 * room;
    st->scratch = base; // the keys are done with
    for (int64_t i = 0; i < f->n; i++) {
        order[i] = keys[i].sample;
        st->x[i] = keys[i].x;
    }
    st->order = order;
}

void xn_fitter_start(xn_fitter *f, const double *given, double *p)
{
    const xani_model *m = f->scheme->model;
    starting st = {.f = f, .p = p};
    bool complete = true;
    for (int k = 0; k < m->n_parameters; k++) {
        const xn_parameter *q = &m->parameter[k];
        p[k] = given != NULL && isfinite(given[k]) ? given[k] : q->start;
        st.known[k] = q->role == XN_TIED || isfinite(p[k]);
        if (q->role == XN_VARY && st.known[k]) p[k] = clamp(p[k], q->low, q->high);
        if (!st.known[k]) p[k] = 1.0;
        complete = complete && st.known[k];
    }
    xn_fitter_tie(f->scheme, p);
    bool guessed = m->x_columns == 1 && !m->products;
    for (int a = 0; a < m->n_parts; a++)
        guessed = guessed && (m->part[a].kind != NULL || m->part[a].own.guess != NULL || !is_open(&st, &m->part[a]));
    if (complete || f->n < 2) return;
    if (!guessed) { // nothing is known of these: no fit
        for (int k = 0; k < m->n_parameters; k++)
            if (!st.known[k]) p[k] = NAN;
        return;
    }
    sort_samples(&st);
    guess_best(&st);
}
