// SPDX-License-Identifier: BSD-3-Clause
// shots.c -- the shots of a run: laser, incoming intensity, delay, and what the beamline reads of them.
//
// The stage moves forth and back (a triangle of nominal delays); the arrival of the X-rays jitters and drifts around
// it. The time tool measures the arrival with noise; now and then it finds a wrong edge of low amplitude, and on
// laser-off shots it finds nothing but such edges.  Readings obey the contract's delay formula exactly:
//   delay = sign [scale (stage - origin) + c1 x + c2 x^2] - zero,  x = edge - edge origin, sign = -1
// Incoming intensity: Gamma distribution with M modes (science.md 14).
#include <math.h>
#include <string.h>

#include "source/layout.h"
#include "source/shots/delay.h"
#include "source/sim/parts.h"

const char *const xn_sim_channel[XN_SIM_CHANNELS] = {"SAROP21-PBPS133:INTENSITY", "SLAAR21-LMOT-M523:MOTOR_1.VAL",
                                                     "SAROP21-ATT01:edge_position", "SAROP21-ATT01:edge_amplitude"};

#define MONITOR_SCALE 3.5       // reading of a shot of mean intensity
#define EDGE_PIXELS 2048.0      // of the time tool's camera
#define FIRST_PULSE 15000000000 // pulse ids are counted from the start of the machine

// Edge that the time tool's polynomial turns into ps: the root of c1 x + c2 x^2 = ps without cancellation.
static double edge_of(double ps)
{
    double root = sqrt(fmax(XN_SIM_EDGE_C1 * XN_SIM_EDGE_C1 + 4.0 * XN_SIM_EDGE_C2 * ps, 0.0));
    return XN_SIM_EDGE_ORIGIN + 2.0 * ps / (XN_SIM_EDGE_C1 + root);
}

double xn_sim_delay(double stage_mm, double edge, double zero_ps)
{
    const xn_delay_rule rule = {.sign = XN_SIM_STAGE_SIGN,
                                .zero_ps = zero_ps,
                                .n_parts = 1,
                                .scale_ps = {XN_SIM_STAGE_PS_PER_MM},
                                .origin = {XN_SIM_STAGE_ORIGIN_MM},
                                .tt_source = xn_sim_channel[XN_SIM_EDGE],
                                .tt_sign = 1.0,
                                .tt_origin = XN_SIM_EDGE_ORIGIN,
                                .n_c = 3,
                                .c_ps = {0.0, XN_SIM_EDGE_C1, XN_SIM_EDGE_C2}};
    return xn_delay_ps(&rule, &stage_mm, edge);
}

static xani_status shots_allocate(xn_ctx *ctx, int64_t count, xn_sim_shots *t)
{
    memset(t, 0, sizeof *t);
    size_t n = (size_t)count;
    t->n = count;
    t->pulse_id = xn_alloc(n, sizeof *t->pulse_id);
    t->on = xn_calloc(n, 1);
    t->lost = xn_calloc(n, 1);
    t->not_good = xn_calloc(n, 1);
    t->dark = xn_calloc(n, 1);
    t->i0 = xn_alloc(n, sizeof(double));
    t->delay_ps = xn_alloc(n, sizeof(double));
    t->frame_shot = xn_alloc(n, sizeof *t->frame_shot);
    bool ok = t->pulse_id && t->on && t->lost && t->not_good && t->dark && t->i0 && t->delay_ps && t->frame_shot;
    for (int c = 0; c < XN_SIM_CHANNELS; c++) {
        t->reading[c] = xn_alloc(n, sizeof(double));
        t->missing[c] = xn_calloc(n, 1);
        ok = ok && t->reading[c] && t->missing[c];
    }
    if (ok) return XANI_OK;
    xn_sim_shots_free(t);
    return xn_fail_memory(ctx, "the simulated shots", n * 70);
}

// Nominal delay: a triangle wave of `sweeps` periods over the run, the first half-period rising.
static double nominal_ps(const xn_sim_settings *s, int64_t shot)
{
    double phase = ((double)shot + 0.5) * (double)s->sweeps / (double)s->shots;
    phase -= floor(phase);
    double rise = phase < 0.5 ? 2.0 * phase : 2.0 - 2.0 * phase;
    return s->start_ps + (s->stop_ps - s->start_ps) * rise;
}

static void time_tool(const xn_sim_settings *s, xn_rng *rng, bool on, double arrival_ps, double *edge,
                      double *amplitude)
{
    double noise, a, b;
    bool failed = xn_rng_uniform(rng) < s->tool_failures;
    double anywhere = EDGE_PIXELS * xn_rng_uniform(rng);
    xn_sim_normals(rng, &a, &b);
    noise = s->tool_noise_ps * a;
    *edge = edge_of(XN_SIM_STAGE_SIGN * (arrival_ps + noise));
    *amplitude = 1.0 + 0.12 * b;
    if (on && !failed && *edge >= 0.0 && *edge < EDGE_PIXELS) return;
    *edge = anywhere;
    *amplitude = fabs(0.06 * b);
}

static void monitor(const xn_sim_settings *s, xn_rng *rng, double w, double *reading)
{
    double a, b;
    xn_sim_normals(rng, &a, &b);
    *reading =
        MONITOR_SCALE * (w * (1.0 + s->monitor_nonlinearity * (w - 1.0)) * (1.0 + s->monitor_noise * a) + 1e-4 * b);
}

xani_status xn_sim_shots_make(xn_ctx *ctx, const xn_sim_settings *s, int run, xn_sim_shots *t)
{
    XN_TRY(shots_allocate(ctx, s->shots, t));
    double drift = 0.0, drift_step = s->drift_ps * sqrt(1.0 / (3600.0 * s->rate_hz));
    for (int64_t i = 0; i < t->n; i++) {
        xn_rng rng = xn_sim_rng(s->seed, XN_SIM_SHOTS, run, i);
        double a, b;
        xn_sim_normals(&rng, &a, &b);
        drift += drift_step * a;
        double arrival = s->jitter_ps * b + drift, nominal = nominal_ps(s, i);
        t->pulse_id[i] = (uint64_t)(FIRST_PULSE + (int64_t)run * 10000000 + i);
        t->on[i] = s->off_every == 0 || (i + 1) % s->off_every != 0;
        t->dark[i] = xn_rng_uniform(&rng) < s->no_xrays;
        t->lost[i] = xn_rng_uniform(&rng) < s->lost;
        t->not_good[i] = xn_rng_uniform(&rng) < s->not_good;
        double w = xn_rng_gamma(&rng, s->i0_modes) / s->i0_modes;
        t->i0[i] = t->dark[i] ? 0.0 : w;
        t->delay_ps[i] = t->on[i] ? nominal + arrival : NAN;
        xn_rng readings = xn_sim_rng(s->seed, XN_SIM_READINGS, run, i);
        monitor(s, &readings, t->i0[i], &t->reading[XN_SIM_I0][i]);
        t->reading[XN_SIM_STAGE][i] =
            XN_SIM_STAGE_ORIGIN_MM + XN_SIM_STAGE_SIGN * (nominal + s->zero_ps) / XN_SIM_STAGE_PS_PER_MM;
        time_tool(s, &readings, t->on[i] && !t->dark[i], arrival, &t->reading[XN_SIM_EDGE][i],
                  &t->reading[XN_SIM_EDGE_AMPLITUDE][i]);
        for (int c = 0; c < XN_SIM_CHANNELS; c++) t->missing[c][i] = xn_rng_uniform(&readings) < s->unread;
        if (!t->lost[i]) t->frame_shot[t->n_frames++] = i;
    }
    return XANI_OK;
}

void xn_sim_shots_free(xn_sim_shots *t)
{
    void *all[] = {t->pulse_id, t->on, t->lost, t->not_good, t->dark, t->i0, t->delay_ps, t->frame_shot};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
    for (int c = 0; c < XN_SIM_CHANNELS; c++) {
        xn_free(t->reading[c]);
        xn_free(t->missing[c]);
    }
    memset(t, 0, sizeof *t);
}
