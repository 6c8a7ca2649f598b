// SPDX-License-Identifier: BSD-3-Clause
// frame.c -- photons and detector words of one shot.
//
// Photons are Poisson; each gain stage turns their energy into ADU with the pixel's own gain and pedestal and noise of
// its own.  A pixel stays in the first stage until its word would leave the range, then switches, as a JUNGFRAU does:
// codes 0, 1, 3 in the top two bits (formats.md 4.1).  Charge beyond the last stage gives the saturated word 0xC000.
// Frames that are not good lack their first half (a module whose packets were lost); the random numbers of a pixel
// come from the stream of its frame.
#include <math.h>
#include <omp.h>
#include <string.h>

#include "source/sim/parts.h"

#define SWITCH_ADU 15500.0 // first stage ends here
#define FLOOR_ADU 1000.0   // second stage, whose gain is negative, ends here

static uint16_t word(double adu, unsigned code)
{
    double a = adu < 0.0 ? 0.0 : adu > 16383.0 ? 16383.0 : adu;
    return (uint16_t)((unsigned)(a + 0.5) | code << 14);
}

static uint16_t pixel_word(const xn_sim_detector *d, int64_t i, double kev, double noise)
{
    double adu = (double)d->pedestal[0][i] + (double)d->gain[0][i] * kev + d->noise_adu[0] * noise;
    if (adu <= SWITCH_ADU) return word(adu, 0);
    adu = (double)d->pedestal[1][i] + (double)d->gain[1][i] * kev + d->noise_adu[1] * noise;
    if (adu >= FLOOR_ADU) return word(adu, 1);
    adu = (double)d->pedestal[2][i] + (double)d->gain[2][i] * kev + d->noise_adu[2] * noise;
    return word(adu, 3);
}

void xn_sim_frame(const xn_sim_view *v, const xn_sim_shots *shots, int64_t shot, uint16_t *words, float *scratch)
{
    const xn_sim_model *m = v->model;
    const xn_sim_detector *d = &m->detector;
    xn_rng rng = xn_sim_rng(m->s.seed, XN_SIM_FRAME, v->run, shot);
    xn_sim_expected(v, shots->on[shot], shots->delay_ps[shot], shots->i0[shot], scratch);
    double noise = 0.0, spare = 0.0;
    for (int64_t i = 0; i < m->npix; i++) {
        if (i % 2 == 0)
            xn_sim_normals(&rng, &noise, &spare);
        else
            noise = spare;
        double kev = (double)xn_rng_poisson(&rng, (double)scratch[i]) * m->s.energy_kev;
        if (d->mask[i] == XN_SIM_HOT) kev += 2000.0 * xn_rng_uniform(&rng);
        words[i] = d->mask[i] == XN_SIM_DEAD ? word((double)d->pedestal[0][i], 0) : pixel_word(d, i, kev, noise);
    }
    if (shots->not_good[shot]) memset(words, 0, (size_t)(m->npix / 2) * sizeof *words);
}

void xn_sim_kev(const xn_sim_model *m, const uint16_t *words, float *kev)
{
    const xn_sim_detector *d = &m->detector;
    for (int64_t i = 0; i < m->npix; i++) {
        unsigned code = words[i] >> 14, stage = code == 3 ? 2 : code;
        bool full = words[i] == 0xC000;
        kev[i] = full ? NAN : ((float)(words[i] & 0x3fff) - d->pedestal[stage][i]) / d->gain[stage][i];
    }
}

// ---- frames of a run into a dataset

#define BATCH 64

typedef struct {
    const xn_sim_view *v;
    const xn_sim_shots *shots;
    float *scratch;  // of each thread
    uint16_t *words; // of a batch
    float *kev;      // the same, or NULL
} batch;

static void make_batch(const batch *b, int64_t first, int64_t count)
{
    const xn_sim_model *m = b->v->model;
    size_t padded = xn_sim_padded(m->npix), pixels = (size_t)m->npix;
#pragma omp parallel for num_threads(m->threads) schedule(dynamic)
    for (int64_t i = 0; i < count; i++) {
        uint16_t *words = b->words + (size_t)i * pixels;
        xn_sim_frame(b->v, b->shots, b->shots->frame_shot[first + i], words,
                     b->scratch + (size_t)omp_get_thread_num() * padded);
        if (b->kev != NULL) xn_sim_kev(m, words, b->kev + (size_t)i * pixels);
    }
}

xani_status xn_sim_write_frames(xn_ctx *ctx, xn_writer *w, const char *dataset, const xn_sim_view *v,
                                const xn_sim_shots *shots, bool kev, int rank, const int64_t *dims)
{
    const xn_sim_model *m = v->model;
    int64_t n = shots->n_frames, done = (int64_t)v->run * m->s.shots, total = (int64_t)m->s.n_runs * m->s.shots;
    size_t pixels = (size_t)m->npix;
    batch b = {v, shots, xn_alloc((size_t)m->threads * xn_sim_padded(m->npix), sizeof(float)),
               xn_alloc(BATCH * pixels, sizeof(uint16_t)), kev ? xn_alloc(BATCH * pixels, sizeof(float)) : NULL};
    xani_status st = XANI_OK;
    if (b.scratch == NULL || b.words == NULL || (kev && b.kev == NULL))
        XN_GOTO(out, st, xn_fail_memory(ctx, "a batch of frames", BATCH * pixels * 6));
    xn_rows_layout layout = {.type = kev ? XN_F32 : XN_U16, .rank = rank, .threads = m->threads};
    memcpy(layout.dims, dims, (size_t)rank * sizeof *dims);
    XN_GOTO(out, st, xn_writer_rows_begin(w, dataset, &layout));
    for (int64_t first = 0; first < n; first += BATCH) {
        int64_t count = xn_min64(BATCH, n - first);
        xn_progress(ctx, "sim", done + first, total, "shots");
        XN_GOTO(out, st, xn_check_interrupt(ctx));
        make_batch(&b, first, count);
        const void *rows = kev ? (const void *)b.kev : (const void *)b.words;
        XN_GOTO(out, st, xn_writer_rows(w, dataset, count, rows));
    }
    xn_progress(ctx, "sim", done + m->s.shots, total, "shots");
out:
    xn_free(b.scratch);
    xn_free(b.words);
    xn_free(b.kev);
    return st;
}
