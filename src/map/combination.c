// SPDX-License-Identifier: BSD-3-Clause
// combination.c -- which lines of a pixel are sums or differences of two phonons instead of a pair 2 nu.
//
// New forces that mix branches give lines f = nu_a +- nu_b beside the pair lines f_a = 2 nu_a, f_b = 2 nu_b
// (science.md 13.3), so f = (f_a +- f_b)/2.  Three lines of one pixel may also satisfy this by chance, where a pair
// line happens to lie half way between two others, and a pair line must not be lost.  So a line is taken as a
// combination only when
//   1. the relation holds within the errors, and the errors are small enough for this to mean something;
//   2. its amplitude is below the geometric mean of the two (both carry p_a p_b against p_a^2 and p_b^2);
//   3. it also holds in the pixels around: chance relations hold on a line in the detector only, because the three
//      frequencies change with q at different rates.  Where the phase is opposite to that of both pair lines it is
//      enough that the pixels around do not contradict; the opposite sign alone never decides.
// When one of the two pair lines is too weak to be seen, the sum and the difference are still known by
// f_sum - f_difference = f_a or f_sum + f_difference = f_b, where the pair line is clearly stronger than both and
// these are equally strong, as sums and differences are (science.md 13.3).
// At last, a line that continues combination lines of the pixels around, and no other lines, is one of them.
#include <math.h>

#include "map/parts.h"

#define RADIUS 2 // pixels around that are asked
#define SIGMAS 3.0
#define FLOOR 0.03          // of the resolution 1/T: below this, lines pull each other
#define MEANINGFUL 0.025    // tolerance over the distance of the pair lines: chance of an accidental relation
#define CLEARLY 0.7         // amplitude of sum and difference over that of their pair line, at most
#define TWINS 1.3           // and over each other
#define CONTINUITY 0.5      // THz that a line may move between pixels RADIUS apart
#define NEXT_CONTINUITY 0.3 // between neighbours
#define MAX_LINES 8

typedef struct line {
    double f, sigma, amplitude, phase, phase_sigma;
} line;

typedef struct pixel_lines {
    int n;
    line at[MAX_LINES];
} pixel_lines;

typedef enum { DIFFERENCE, SUM, TWINS_BELOW, TWINS_ABOVE } relation_kind;

// Expected f_c: |f_a - f_b|/2, (f_a + f_b)/2; for a sum c and a difference b around the pair line a: f_b + f_a, and
// f_a - f_b.
typedef struct relation {
    relation_kind kind;
    int a, b, c;
} relation;

typedef struct field {
    const xn_modes *m;
    const int32_t *module; // (ny)
    double floor_thz;
} field;

static void read_lines(const xn_modes *m, int64_t pixel, pixel_lines *p)
{
    int64_t plane = m->ny * m->nx;
    p->n = 0;
    for (int k = 0; k < m->n_modes && k < m->count[pixel] && p->n < MAX_LINES; k++) {
        int64_t i = k * plane + pixel;
        double sigma = xn_mode_sigma_thz(m, i);
        p->at[p->n++] = (line){(double)m->frequency[i], isfinite(sigma) ? sigma : INFINITY, (double)m->amplitude[i],
                               (double)m->phase[i], (double)m->phase_errors[i]};
        if (!xn_mode_accepted(m, pixel, k)) p->at[p->n - 1] = (line){NAN, NAN, NAN, NAN, NAN}; // near to no line
    }
}

// Deviation from the relation in THz and its tolerance.
static double deviation(const relation *r, const line *a, const line *b, const line *c, double floor_thz,
                        double *tolerance)
{
    double factor = r->kind <= SUM ? 0.5 : 1.0;
    double expected = r->kind == DIFFERENCE    ? 0.5 * fabs(a->f - b->f)
                      : r->kind == SUM         ? 0.5 * (a->f + b->f)
                      : r->kind == TWINS_BELOW ? a->f + b->f
                                               : a->f - b->f;
    double sigma = sqrt(c->sigma * c->sigma + factor * factor * (a->sigma * a->sigma + b->sigma * b->sigma));
    *tolerance = fmax(SIGMAS * sigma, floor_thz);
    return c->f - expected;
}

static const line *nearest(const pixel_lines *p, double f, double within)
{
    const line *best = NULL;
    for (int i = 0; i < p->n; i++)
        if (fabs(p->at[i].f - f) < within) {
            within = fabs(p->at[i].f - f);
            best = &p->at[i];
        }
    return best;
}

// Asks the pixels around: how many have the three lines, and of these how many satisfy the relation. *mean and
// *mean_tolerance: over all of them with their lines' errors.
static void ask_around(const field *f, int64_t y, int64_t x, const pixel_lines *own, const relation *r, int *holds,
                       int *fails, double *mean, double *mean_tolerance)
{
    double sum = 0.0, weights = 0.0;
    *holds = *fails = 0;
    for (int64_t j = xn_max64(0, y - RADIUS); j <= xn_min64(f->m->ny - 1, y + RADIUS); j++)
        for (int64_t i = xn_max64(0, x - RADIUS); i <= xn_min64(f->m->nx - 1, x + RADIUS); i++) {
            if (f->module[j] != f->module[y]) continue;
            pixel_lines p;
            read_lines(f->m, j * f->m->nx + i, &p);
            const line *a = nearest(&p, own->at[r->a].f, CONTINUITY), *b = nearest(&p, own->at[r->b].f, CONTINUITY),
                       *c = nearest(&p, own->at[r->c].f, CONTINUITY);
            if (a == NULL || b == NULL || c == NULL || a == b || b == c || a == c) continue;
            double tolerance, d = deviation(r, a, b, c, f->floor_thz, &tolerance);
            sum += d / (tolerance * tolerance);
            weights += 1.0 / (tolerance * tolerance);
            if (j == y && i == x) continue;
            if (fabs(d) <= tolerance)
                ++*holds;
            else
                ++*fails;
        }
    *mean = weights > 0.0 ? sum / weights : 0.0;
    *mean_tolerance = fmax(1.0 / sqrt(weights), f->floor_thz);
}

static bool opposite(const line *c, const line *a)
{
    return cos(c->phase - a->phase) < -0.7 && c->phase_sigma < 0.5 && a->phase_sigma < 0.5;
}

static bool fits_amplitudes(const relation *r, const line *a, const line *b, const line *c)
{
    if (r->kind <= SUM) return c->amplitude * c->amplitude < a->amplitude * b->amplitude;
    double strong = fmax(b->amplitude, c->amplitude), weak = fmin(b->amplitude, c->amplitude);
    return strong < CLEARLY * a->amplitude && strong < TWINS * weak;
}

static bool is_relation(const field *f, int64_t y, int64_t x, const pixel_lines *p, const relation *r)
{
    const line *a = &p->at[r->a], *b = &p->at[r->b], *c = &p->at[r->c];
    double tolerance, d = deviation(r, a, b, c, f->floor_thz, &tolerance);
    double room = r->kind <= SUM ? fabs(a->f - b->f) : a->f;
    if (!(fabs(d) <= tolerance) || tolerance > MEANINGFUL * room || !fits_amplitudes(r, a, b, c)) return false;
    int holds, fails;
    double mean, mean_tolerance;
    ask_around(f, y, x, p, r, &holds, &fails, &mean, &mean_tolerance);
    if (r->kind <= SUM && opposite(c, a) && opposite(c, b) && holds >= fails) return true;
    return holds >= 2 && holds >= 3 * fails && fabs(mean) <= mean_tolerance;
}

// Which of the lines are combinations, and which are the pair lines that explain them.
static void search_lines(const field *f, int64_t y, int64_t x, const pixel_lines *p, bool is[MAX_LINES])
{
    bool explains[MAX_LINES] = {false};
    for (int kind = DIFFERENCE; kind <= SUM; kind++)
        for (int c = 0; c < p->n; c++)
            for (int a = 0; a < p->n; a++)
                for (int b = a + 1; b < p->n; b++) { // symmetric in a and b
                    const relation r = {(relation_kind)kind, a, b, c};
                    if (a == c || b == c || !is_relation(f, y, x, p, &r)) continue;
                    is[c] = explains[a] = explains[b] = true;
                }
    // twins around a pair line: only now, because 2 nu_b is also the sum of nu_b + nu_a and nu_b - nu_a
    for (int kind = TWINS_BELOW; kind <= TWINS_ABOVE; kind++)
        for (int c = 0; c < p->n; c++)
            for (int a = 0; a < p->n; a++)
                for (int b = 0; b < p->n; b++) {
                    const relation r = {(relation_kind)kind, a, b, c};
                    if (a == b || a == c || b == c || is[a] || explains[b] || explains[c]) continue;
                    if (p->at[c].f > p->at[b].f && is_relation(f, y, x, p, &r)) is[b] = is[c] = true;
                }
}

static void search_pixel(const field *f, int64_t y, int64_t x, uint8_t *combination)
{
    int64_t plane = f->m->ny * f->m->nx, pixel = y * f->m->nx + x;
    bool is[MAX_LINES] = {false};
    pixel_lines p;
    read_lines(f->m, pixel, &p);
    if (p.n >= 3) search_lines(f, y, x, &p, is);
    for (int k = 0; k < p.n; k++) combination[k * plane + pixel] = is[k];
}

// A line that is not the strongest of its pixel and continues combination lines of at least two of the eight pixels
// around, more than it continues other lines.
static bool continues(const field *f, int64_t y, int64_t x, int k, const uint8_t *combination)
{
    int64_t plane = f->m->ny * f->m->nx, pixel = y * f->m->nx + x;
    pixel_lines own;
    read_lines(f->m, pixel, &own);
    bool strongest = true;
    for (int i = 0; i < own.n; i++) strongest = strongest && !(own.at[i].amplitude > own.at[k].amplitude);
    if (strongest) return false;
    int yes = 0, no = 0;
    for (int64_t j = xn_max64(0, y - 1); j <= xn_min64(f->m->ny - 1, y + 1); j++)
        for (int64_t i = xn_max64(0, x - 1); i <= xn_min64(f->m->nx - 1, x + 1); i++) {
            if ((j == y && i == x) || f->module[j] != f->module[y]) continue;
            pixel_lines p;
            read_lines(f->m, j * f->m->nx + i, &p);
            const line *l = nearest(&p, own.at[k].f, NEXT_CONTINUITY);
            if (l == NULL) continue;
            if (combination[(l - p.at) * plane + j * f->m->nx + i] != 0)
                yes++;
            else
                no++;
        }
    return yes >= 2 && yes > no;
}

xani_status xn_combinations_find(xn_ctx *ctx, const xn_modes *m, int threads, uint8_t *combination)
{
    int64_t plane = m->ny * m->nx;
    int32_t *module = xn_calloc((size_t)m->ny + 1, sizeof *module);
    if (module == NULL) return xn_fail_memory(ctx, "module numbers", (size_t)m->ny * 4);
    int64_t row = 0;
    for (int i = 0; i < m->n_modules; i++)
        for (int64_t r = 0; r < m->module_rows[i] && row < m->ny; r++) module[row++] = i;
    size_t size = (size_t)plane * (size_t)m->n_modes;
    uint8_t *found = xn_calloc(size + 1, 1); // by their own relations
    if (found == NULL) {
        xn_free(module);
        return xn_fail_memory(ctx, "combination lines", size);
    }
    double window = m->delay_hi_ps - m->delay_lo_ps;
    const field f = {m, module, window > 0.0 ? FLOOR / window : 0.005};
#pragma omp parallel for schedule(dynamic, 8) num_threads(threads)
    for (int64_t y = 0; y < m->ny; y++)
        for (int64_t x = 0; x < m->nx; x++) search_pixel(&f, y, x, found);
#pragma omp parallel for schedule(dynamic, 8) num_threads(threads)
    for (int64_t y = 0; y < m->ny; y++)
        for (int64_t x = 0; x < m->nx; x++)
            for (int k = 0; k < m->n_modes; k++) {
                int64_t pixel = y * m->nx + x, i = k * plane + pixel;
                combination[i] = xn_mode_accepted(m, pixel, k) && (found[i] != 0 || continues(&f, y, x, k, found));
            }
    xn_free(found);
    xn_free(module);
    return XANI_OK;
}
