// SPDX-License-Identifier: BSD-3-Clause
// fake_source.h -- a pump-probe experiment in memory: JUNGFRAU words, planes, mask and shots behind xn_source_ops.
//
// Two modules whose rows do not fill whole groups, all gain stages, masked pixels, Poisson photons, jittered delays,
// shots that every cut refuses.  The delay-dependent change is chosen by the test.
#ifndef XN_TEST_FAKE_SOURCE_H
#define XN_TEST_FAKE_SOURCE_H

#include <stdatomic.h>

#include "core/rng.h"
#include "data/source.h"
#include "test.h"

typedef struct fake {
    xn_source source;
    uint16_t *words;                  // (shots, ny, nx)
    double *photons;                  // as the words say, double precision; masked pixels 0
    int64_t fail_frame;               // reading it is an error; -1: none
    int64_t interrupt_frame;          // reading it asks for an interruption
    atomic_int_fast64_t reads, lists; // frames; reads of several at once
    int64_t slab;                     // pixels
} fake;

typedef double (*fake_change)(void *user, double delay_ps, int64_t pixel, int64_t shot);

static xani_status fake_read(xn_ctx *ctx, xn_source *s, int64_t frame, void *dst, void *scratch)
{
    fake *f = s->impl;
    (void)scratch;
    atomic_fetch_add(&f->reads, 1);
    if (frame == f->interrupt_frame) xani_interrupt(ctx);
    if (f->interrupt_frame >= 0) XN_TRY(xn_check_interrupt(ctx)); // as reading files does, within a batch
    if (frame == f->fail_frame)
        return xn_fail(ctx, XANI_ERR_INPUT, "fake.h5: frame %lld is truncated", (long long)frame);
    memcpy(dst, f->words + frame * f->slab, (size_t)f->slab * sizeof *f->words);
    return XANI_OK;
}

static xani_status fake_read_list(xn_ctx *ctx, xn_source *s, const int64_t *frames, int64_t n, void *dst)
{
    fake *f = s->impl;
    atomic_fetch_add(&f->lists, 1);
    for (int64_t i = 0; i < n; i++) XN_TRY(fake_read(ctx, s, frames[i], (uint16_t *)dst + i * f->slab, NULL));
    return XANI_OK;
}

static const xn_source_ops fake_ops = {.layout = "fake", .read_frame = fake_read, .read_frames = fake_read_list};

enum { FAKE_NY = 22, FAKE_NX = 30 };

static const double fake_gain[3] = {40, -1.4, -0.1}, fake_pedestal[3] = {3000, 14500, 14000};

static void fake_planes(fake *f, xn_rng *r)
{
    xn_source *s = &f->source;
    size_t n = (size_t)f->slab;
    for (int g = 0; g < 3; g++) {
        s->cal.pedestal[g] = xn_alloc(n, sizeof(float));
        s->cal.factor[g] = xn_alloc(n, sizeof(float));
        for (size_t i = 0; i < n; i++) {
            s->cal.pedestal[g][i] = (float)(fake_pedestal[g] + 30 * xn_rng_normal(r));
            s->cal.factor[g][i] = (float)(1 / (fake_gain[g] * (1 + 0.02 * xn_rng_normal(r)) * 11));
        }
    }
    s->mask = xn_calloc(n, sizeof *s->mask);
    s->mask[3 * FAKE_NX + 5] = 1;
    for (int y = 14; y < 18; y++) // one whole group of 4 x 4 (module 1 begins in row 10)
        for (int x = 8; x < 12; x++) s->mask[y * FAKE_NX + x] = 256;
}

static void fake_shots(fake *f, int64_t shots, xn_rng *r)
{
    xn_shots *s = &f->source.shots;
    ck_assert_int_eq(xn_shots_alloc(NULL, shots, 2, s), XANI_OK);
    s->extra_name[0] = xn_strdup("tool:amplitude");
    s->extra_name[1] = xn_strdup("valve");
    for (int64_t i = 0; i < shots; i++) {
        s->pulse_id[i] = 1000000 + 2 * (uint64_t)i;
        s->frame[i] = i;
        s->laser[i] = i % 4 == 3 ? XN_LASER_OFF : XN_LASER_ON;
        s->i0[i] = 3.5 * xn_rng_gamma(r, 20) / 20;
        s->delay_ps[i] = s->laser[i] == XN_LASER_ON ? -1 + 4 * xn_rng_uniform(r) : NAN;
        s->extra[0][i] = s->laser[i] == XN_LASER_ON ? (xn_rng_uniform(r) < 0.05 ? 0.1 : 1.0) : NAN; // no laser, no edge
        s->extra[1][i] = 1.0;
        s->bin[i] = -1;
    }
}

static uint16_t fake_word(const fake *f, int64_t pixel, double photons, xn_rng *r)
{
    double value = photons + 0.03 * xn_rng_normal(r);
    for (int g = 0; g < 3; g++) {
        double adu = value / (double)f->source.cal.factor[g][pixel] + (double)f->source.cal.pedestal[g][pixel];
        bool fits = g == 0 ? adu < 15500 : adu > 600;
        if (fits || g == 2)
            return (uint16_t)((unsigned)fmin(fmax(rint(adu), 1), 16382) | (g == 0 ? 0u : g == 1 ? 1u << 14 : 3u << 14));
    }
    return 0;
}

// Photons of a stored word, in double precision: the reference. Not a number when it has none.
static double fake_photons(const fake *f, int64_t pixel, uint16_t word)
{
    static const int stage[4] = {0, 1, -1, 2};
    int g = stage[word >> 14];
    if (f->source.mask[pixel] != 0) return 0;
    if (g < 0 || word == 0xc000 || word == 0x3fff) return NAN;
    return ((double)(word & 0x3fff) - (double)f->source.cal.pedestal[g][pixel]) *
           (double)f->source.cal.factor[g][pixel];
}

static void fake_frames(fake *f, fake_change change, void *user, uint64_t seed)
{
    const xn_shots *s = &f->source.shots;
    f->words = xn_alloc((size_t)(s->n * f->slab), sizeof *f->words);
    f->photons = xn_alloc((size_t)(s->n * f->slab), sizeof *f->photons);
    for (int64_t i = 0; i < s->n; i++) {
        xn_rng r;
        xn_rng_init(&r, seed, 1000 + (uint64_t)i);
        for (int64_t p = 0; p < f->slab; p++) {
            double mean = (p % 101 == 7 ? 60 : 2.5 + (double)(p % 5)) * s->i0[i]; // some pixels leave stage 0
            double y = change == NULL ? 0 : change(user, s->delay_ps[i], p, i);
            f->words[i * f->slab + p] = fake_word(f, p, (double)xn_rng_poisson(&r, mean * (1 + y)), &r);
            f->photons[i * f->slab + p] = fake_photons(f, p, f->words[i * f->slab + p]);
        }
    }
}

static void fake_make(fake *f, int64_t shots, fake_change change, void *user, uint64_t seed)
{
    memset(f, 0, sizeof *f);
    xn_rng r;
    xn_rng_init(&r, seed, 0);
    f->slab = FAKE_NY * FAKE_NX;
    f->fail_frame = f->interrupt_frame = -1;
    xn_source *s = &f->source;
    s->ops = &fake_ops;
    s->impl = f;
    s->ny = FAKE_NY;
    s->nx = FAKE_NX;
    s->n_modules = 2;
    s->module_rows = xn_alloc(2, sizeof *s->module_rows);
    s->module_rows[0] = 10;
    s->module_rows[1] = 12;
    s->type = XN_U16;
    s->scratch_bytes = 100;
    s->stored_bytes = shots * f->slab * 2;
    fake_planes(f, &r);
    fake_shots(f, shots, &r);
    fake_frames(f, change, user, seed);
}

// A second source over the same frames: reduce takes the shots away.
static void fake_shots_copy(const fake *f, xn_shots *to)
{
    const xn_shots *s = &f->source.shots;
    ck_assert_int_eq(xn_shots_alloc(NULL, s->n, s->n_extra, to), XANI_OK);
    size_t n = (size_t)s->n;
    memcpy(to->pulse_id, s->pulse_id, n * 8);
    memcpy(to->frame, s->frame, n * 8);
    memcpy(to->laser, s->laser, n);
    memcpy(to->i0, s->i0, n * 8);
    memcpy(to->delay_ps, s->delay_ps, n * 8);
    memcpy(to->bin, s->bin, n * 4);
    memcpy(to->verdict, s->verdict, n);
    for (int e = 0; e < s->n_extra; e++) {
        to->extra_name[e] = xn_strdup(s->extra_name[e]);
        memcpy(to->extra[e], s->extra[e], n * 8);
    }
}

static void fake_free(fake *f)
{
    for (int g = 0; g < 3; g++) {
        xn_free(f->source.cal.pedestal[g]);
        xn_free(f->source.cal.factor[g]);
    }
    xn_free(f->source.mask);
    xn_free(f->source.module_rows);
    xn_shots_free(&f->source.shots);
    xn_free(f->words);
    xn_free(f->photons);
}

// What the library said while a test ran.
typedef struct heard {
    char text[4096];
} heard;

static void fake_log(void *user, xani_log_level level, const char *text)
{
    heard *h = user;
    if (strncmp(text, "shots left", 10) == 0 || text[0] == ' ' || strstr(text, " frames seen") != NULL ||
        strncmp(text, "I0 against", 10) == 0)
        return; // what is always said
    size_t n = strlen(h->text);
    snprintf(h->text + n, sizeof h->text - n, "%d %s\n", level, text);
}

#endif
