// SPDX-License-Identifier: BSD-3-Clause
// settings.c -- the keys sim.* as numbers, and random streams.
//
// Ranges are checked by the table of keys; what depends on several keys is checked here.  Messages name the key.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "source/sim/parts.h"

static xani_status load_layouts(xn_ctx *ctx, const xn_config *config, xn_sim_settings *s)
{
    int n = xn_config_count(config, "sim.layouts");
    s->layouts = n == 0 ? 1 : 0;
    for (int i = 0; i < n; i++) {
        char key[XN_KEY_LENGTH], known[256] = "";
        const char *name = xn_config_string(config, xn_key(key, "sim.layouts[%d]", i));
        int k = 0;
        while (xn_sim_layouts[k] != NULL && strcmp(xn_sim_layouts[k]->name, name) != 0) {
            size_t used = strlen(known);
            snprintf(known + used, sizeof known - used, "%s%s", k > 0 ? ", " : "", xn_sim_layouts[k]->name);
            k++;
        }
        if (xn_sim_layouts[k] == NULL) return xn_config_bad(ctx, config, key, "'%s' is none of %s", name, known);
        s->layouts |= 1u << k;
    }
    return XANI_OK;
}

static xani_status load_delays(xn_ctx *ctx, const xn_config *config, xn_sim_settings *s)
{
    XN_TRY(xn_config_require(ctx, config, "sim.delay.start", "the first nominal delay, in ps"));
    XN_TRY(xn_config_require(ctx, config, "sim.delay.stop", "the last nominal delay, in ps"));
    s->start_ps = xn_config_double(config, "sim.delay.start");
    s->stop_ps = xn_config_double(config, "sim.delay.stop");
    if (!(s->stop_ps > s->start_ps))
        return xn_config_bad(ctx, config, "sim.delay.stop", "%g is not above sim.delay.start, %g", s->stop_ps,
                             s->start_ps);
    s->sweeps = xn_config_int(config, "sim.delay.sweeps");
    s->zero_ps = xn_config_double(config, "sim.delay.zero_ps");
    s->jitter_ps = xn_config_double(config, "sim.delay.jitter_ps");
    s->drift_ps = xn_config_double(config, "sim.delay.drift_ps");
    s->tool_noise_ps = xn_config_double(config, "sim.time_tool.noise_ps");
    s->tool_failures = xn_config_double(config, "sim.time_tool.failures");
    return XANI_OK;
}

static bool plain_name(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    return name[0] != '\0' && strlen(name) <= 100 && strspn(name, allowed) == strlen(name);
}

char *xn_sim_run_name(const xn_config *config, int run)
{
    char key[XN_KEY_LENGTH];
    const char *name = NULL;
    if (xn_config_count(config, "runs") > 0) name = xn_config_string(config, xn_key(key, "runs[%d].name", run));
    return name != NULL ? xn_strdup(name) : xn_format("run%04d", run + 1);
}

static xani_status check_names(xn_ctx *ctx, const xn_config *config, int n)
{
    for (int i = 0; i < n; i++) {
        char key[XN_KEY_LENGTH];
        const char *name = xn_config_string(config, xn_key(key, "runs[%d].name", i));
        if (name == NULL) continue;
        if (!plain_name(name))
            return xn_config_bad(ctx, config, key, "'%s' becomes a file name: letters, digits, _ and - only", name);
        for (int j = 0; j < i; j++) {
            char other[XN_KEY_LENGTH];
            const char *earlier = xn_config_string(config, xn_key(other, "runs[%d].name", j));
            if (earlier != NULL && strcmp(earlier, name) == 0)
                return xn_config_bad(ctx, config, key, "'%s' is also the name of run %d", name, j);
        }
    }
    return XANI_OK;
}

// The last number given holds for all branches above.
static xani_status load_damping(xn_ctx *ctx, const xn_config *config, xn_sim_settings *s)
{
    int n = xn_config_doubles(config, "sim.damping_per_ps", s->damping_per_ps, XN_SIM_BRANCHES);
    if (n < 1 || n > XN_SIM_BRANCHES)
        return xn_config_bad(ctx, config, "sim.damping_per_ps", "needs 1 to %d numbers, has %d", XN_SIM_BRANCHES, n);
    for (int b = n; b < XN_SIM_BRANCHES; b++) s->damping_per_ps[b] = s->damping_per_ps[n - 1];
    return XANI_OK;
}

xani_status xn_sim_settings_load(xn_ctx *ctx, const xn_config *config, xn_sim_settings *s)
{
    memset(s, 0, sizeof *s);
    XN_TRY(load_layouts(ctx, config, s));
    XN_TRY(xn_config_require(ctx, config, "experiment.energy_kev", "the photon energy of the simulated beam"));
    XN_TRY(load_delays(ctx, config, s));
    s->seed = (uint64_t)xn_config_int(config, "sim.seed");
    s->energy_kev = xn_config_double(config, "experiment.energy_kev");
    s->temperature_k = xn_config_double(config, "sim.temperature_k");
    XN_TRY(load_damping(ctx, config, s));
    s->combinations = xn_config_bool(config, "sim.combination_lines");
    s->relaxation_ps =
        xn_config_has(config, "sim.relaxation_ps") ? xn_config_double(config, "sim.relaxation_ps") : INFINITY;
    s->heating = xn_config_double(config, "sim.heating.fraction");
    s->heating_ps = xn_config_double(config, "sim.heating.time_ps");
    s->background_is_fraction = xn_config_has(config, "sim.background.fraction");
    if (s->background_is_fraction) s->background = xn_config_double(config, "sim.background.fraction");
    if (xn_config_has(config, "sim.background.electrons"))
        s->background = xn_config_double(config, "sim.background.electrons");
    s->photons = xn_config_double(config, "sim.photons");
    s->shots = xn_config_int(config, "sim.shots");
    s->off_every = xn_config_int(config, "sim.off_every");
    s->rate_hz = xn_config_double(config, "sim.rate_hz");
    s->i0_modes = xn_config_double(config, "sim.i0.modes");
    s->monitor_noise = xn_config_double(config, "sim.i0.monitor_noise");
    s->monitor_nonlinearity = xn_config_double(config, "sim.i0.monitor_nonlinearity");
    s->lost = xn_config_double(config, "sim.losses.frames");
    s->not_good = xn_config_double(config, "sim.losses.not_good");
    s->no_xrays = xn_config_double(config, "sim.losses.no_xrays");
    s->unread = xn_config_double(config, "sim.losses.readings");
    int runs = xn_config_count(config, "runs");
    s->has_runs = runs > 0;
    s->n_runs = runs > 0 ? runs : 1;
    return runs > 0 ? check_names(ctx, config, runs) : XANI_OK;
}

// Streams: 4 bits of purpose, 20 of run, 40 of number.
xn_rng xn_sim_rng(uint64_t seed, int what, int run, int64_t number)
{
    xn_rng r;
    xn_rng_init(&r, seed, (uint64_t)what << 60 | (uint64_t)run << 40 | (uint64_t)number);
    return r;
}

void xn_sim_normals(xn_rng *rng, double *a, double *b) // Box and Muller 1958
{
    double radius = sqrt(-2.0 * log(1.0 - xn_rng_uniform(rng))), turn = 2.0 * M_PI * xn_rng_uniform(rng);
    *a = radius * cos(turn);
    *b = radius * sin(turn);
}
