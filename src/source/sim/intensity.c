// SPDX-License-Identifier: BSD-3-Clause
// intensity.c -- the trace of a pixel at a delay, exact for one pixel and fast for a whole frame.
//
// The formula stands in model.c.  A frame has one delay, so that envelopes are a few numbers per frame and only
// the cosines remain: cos(2 pi x) = 1 - 2 sin^2(pi r), r = x - round(x) in [-1/2, 1/2], sin by its series to r^13
// (error below 1e-7 of the amplitude), in loops without branches that the compiler turns into vectors.  Blocks of 64
// pixels skip the lines that are weak in all of them.
#include <math.h>

#include "source/sim/parts.h"

static double relaxed(const xn_sim_settings *s, double t) { return exp(-t / s->relaxation_ps); } // 1 when infinite
static double heated(const xn_sim_settings *s, double t) { return s->heating * -expm1(-t / s->heating_ps); }

double xn_sim_y(const xn_sim_view *v, int64_t pixel, double delay_ps)
{
    const xn_sim_model *m = v->model;
    const xn_sim_settings *s = &m->s;
    if (!(delay_ps >= 0.0)) return 0.0;
    double offset = relaxed(s, delay_ps), y = v->dilution[pixel] * heated(s, delay_ps);
    for (int l = 0; l < m->n_lines; l++)
        if (v->amplitude[l][pixel] != 0.0)
            y += v->amplitude[l][pixel] *
                 (exp(-m->line[l].damping_per_ps * delay_ps) * cos(2.0 * M_PI * v->f[l][pixel] * delay_ps) - offset);
    return y;
}

size_t xn_sim_padded(int64_t npix) { return ((size_t)npix + XN_SIM_BLOCK - 1) / XN_SIM_BLOCK * XN_SIM_BLOCK; }

static inline float cos_turns(float x) // cos(2 pi x), x >= 0
{
    float r = x - (float)(int)(x + 0.5f), z = r * r;
    float s = r * (3.14159265f +
                   z * (-5.16771278f +
                        z * (2.55016404f +
                             z * (-0.599264529f + z * (0.0821458866f + z * (-0.00737043095f + z * 0.000466302806f))))));
    return 1.0f - 2.0f * s * s;
}

// y[k] += envelope a[k] cos(2 pi f[k] t) of one block.
static void add_line(float *restrict y, const float *restrict f, const float *restrict a, float t, float envelope)
{
    for (int k = 0; k < XN_SIM_BLOCK; k++) y[k] += envelope * a[k] * cos_turns(f[k] * t);
}

void xn_sim_expected(const xn_sim_view *v, bool laser_on, double delay_ps, double i0, float *photons)
{
    const xn_sim_model *m = v->model;
    const xn_sim_settings *s = &m->s;
    size_t n = xn_sim_padded(m->npix);
    float w = (float)i0;
    if (!laser_on || !(delay_ps >= 0.0)) {
        for (size_t i = 0; i < n; i++) photons[i] = w * v->fast_photons[i];
        return;
    }
    float t = (float)delay_ps, offset = (float)relaxed(s, delay_ps), heat = (float)heated(s, delay_ps);
    float envelope[XN_SIM_BRANCHES * XN_SIM_BRANCHES];
    for (int l = 0; l < m->n_lines; l++) envelope[l] = (float)exp(-m->line[l].damping_per_ps * delay_ps);
    for (size_t b = 0; b < n; b += XN_SIM_BLOCK) {
        float y[XN_SIM_BLOCK];
        for (int k = 0; k < XN_SIM_BLOCK; k++)
            y[k] = heat * v->fast_dilution[b + (size_t)k] - offset * v->fast_offset[b + (size_t)k];
        for (int l = 0; l < m->n_lines; l++)
            if (v->active[b / XN_SIM_BLOCK * (size_t)m->n_lines + (size_t)l])
                add_line(y, v->fast_f[l] + b, v->fast_a[l] + b, t, envelope[l]);
        for (int k = 0; k < XN_SIM_BLOCK; k++) {
            float mean = w * v->fast_photons[b + (size_t)k] * (1.0f + y[k]);
            photons[b + (size_t)k] = mean > 0.0f ? mean : 0.0f;
        }
    }
}
