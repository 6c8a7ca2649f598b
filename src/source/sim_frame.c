// SPDX-License-Identifier: BSD-3-Clause
// sim_frame.c -- photons and detector words of one shot.
//
// Photons are Poisson; each gain stage turns their energy into ADU with the pixel's own gain and pedestal and noise of
// its own.  A pixel stays in the first stage until its word would leave the range, then switches, as a JUNGFRAU does:
// codes 0, 1, 3 in the top two bits (formats.md 4.1).  Charge beyond the last stage gives the saturated word 0xC000.
// Frames that are not good lack their first half (a module whose packets were lost); the random numbers of a pixel
// come from the stream of its frame.
#include <math.h>
#include <string.h>

#include "source/sim_parts.h"

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
