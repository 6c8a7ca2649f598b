// SPDX-License-Identifier: BSD-3-Clause
// plan.c -- `xani check` and `xani plan`: what a run would read and need, and what the experiment can show.
//
// check opens every input and geometry, so that what would stop a run stops here, and measures on a few frames what
// reading costs on this machine.  plan turns the brightness of the first shots into shots until a mode is significant
// (science.md 8 and 15): a mode of amplitude A, decay time tau, sampled every dt over T with error sigma per sample, is
// found when rho = (A/sigma) sqrt(tau (1 - exp(-2T/tau))/(4 dt)) is about 6, and sigma^2 = 1/photons per group and bin.
#include <math.h>
#include <string.h>

#include "map/map.h"
#include "physics/crystal.h"
#include "physics/geometry.h"
#include "physics/lattice.h"
#include "pipeline.h"
#include "reduce/reduce.h"
#include "source/source.h"

#define PROBE_FRAMES 8    // read to measure what a frame costs
#define PROBE_SHOTS 400   // reduced to measure the brightness
#define RHO_NEEDED 6.0    // science.md 8: accepted in 98 % at rho = 6.8, 75 % at 5.5
#define DECAY_PS 3.0      // decay time assumed for the budget, typical of transverse acoustic modes
#define SWISSFEL_HZ 100.0 // pulse ids count at this rate there

// ---- check

// Wall seconds one thread needs for a frame, from the first few; NaN when there are none.
static xani_status frame_seconds(xn_ctx *ctx, xn_source *s, double *seconds)
{
    *seconds = NAN;
    int64_t n = xn_min64(s->shots.n, PROBE_FRAMES);
    if (s->ops->read_frame == NULL || n == 0) return XANI_OK;
    size_t bytes = (size_t)(s->ny * s->nx) * xn_type_size(s->type);
    void *frame = xn_alloc(bytes, 1), *scratch = xn_alloc(s->scratch_bytes, 1);
    xani_status st = frame && scratch ? XANI_OK : xn_fail_memory(ctx, "a frame", bytes + s->scratch_bytes);
    double start = xn_seconds();
    for (int64_t i = 0; i < n && st == XANI_OK; i++) st = s->ops->read_frame(ctx, s, s->shots.frame[i], frame, scratch);
    *seconds = (xn_seconds() - start) / (double)n;
    xn_free(frame);
    xn_free(scratch);
    return st;
}

static xani_status check_run(xn_ctx *ctx, const xn_config *config, int index, json_t *list, int64_t *ny, int64_t *nx)
{
    xn_source *s = NULL;
    xn_reduce_plan p = {0};
    double seconds = NAN;
    xani_status st;
    XN_GOTO(out, st, xn_source_open(ctx, config, index, &s));
    XN_GOTO(out, st, xn_reduce_plan_make(ctx, config, s, &p));
    XN_GOTO(out, st, frame_seconds(ctx, s, &seconds));
    *ny = s->ny, *nx = s->nx;
    int64_t on = 0, off = 0;
    for (int64_t i = 0; i < s->shots.n; i++)
        on += s->shots.laser[i] == XN_LASER_ON, off += s->shots.laser[i] == XN_LASER_OFF;
    json_t *o = json_object();
    if (s->run != NULL && s->run[0]) json_object_set_new(o, "run", json_string(s->run));
    json_object_set_new(o, "shots", json_integer(s->shots.n));
    json_object_set_new(o, "laser_on", json_integer(on));
    json_object_set_new(o, "laser_off", json_integer(off));
    json_object_set_new(o, "stored_bytes", json_integer(p.stored_bytes));
    json_object_set_new(o, "memory_bytes", json_integer(xn_max64(p.memory_bytes, p.write_bytes)));
    json_object_set_new(o, "write_bytes", json_integer(p.write_bytes));
    json_object_set_new(o, "passes", json_integer(p.passes));
    json_object_set_new(o, "delay_bins_per_pass", json_integer(p.bins_per_pass));
    json_object_set_new(o, "file_bytes", json_integer(p.file_bytes));
    json_object_set_new(o, "delay_bins", json_integer(p.nbins));
    json_object_set_new(o, "spatial_bin", json_integer(p.spatial_bin));
    json_object_set_new(o, "groups_y", json_integer(p.ny));
    json_object_set_new(o, "groups_x", json_integer(p.nx));
    if (isfinite(seconds)) {
        double whole = seconds * (double)p.frames_read / xn_threads((int)xn_config_int(config, "engine.threads"));
        json_object_set_new(o, "read_and_decode_seconds", json_real(whole));
    }
    json_array_append_new(list, o);
out:
    xn_source_close(&s);
    return index >= 0 ? xn_context(ctx, st, "run %d", index + 1) : st;
}

xani_status xn_plan_check_map(xn_ctx *ctx, const xn_config *config, int64_t ny, int64_t nx)
{
    const char *why = NULL;
    if (!xn_map_possible(config, &why)) return XANI_OK;
    xn_geometry g = {0};
    xn_lattice lattice;
    xn_goniometer circles;
    XN_TRY(xn_geometry_load(ctx, config, ny, nx, &g));
    xn_geometry_free(&g);
    XN_TRY(xn_lattice_load(ctx, config, true, &lattice));
    XN_TRY(xn_map_check_path(ctx, config, &lattice));
    return xn_goniometer_load(ctx, config, &circles);
}

static void say_map(const xn_config *config, json_t *answer)
{
    const char *why = NULL;
    bool possible = xn_map_possible(config, &why);
    json_object_set_new(answer, "dispersion", json_string(possible ? "possible" : "not possible"));
    if (!possible) json_object_set_new(answer, "missing_for_dispersion", json_string(why));
}

xani_status xn_plan_check(xn_ctx *ctx, const xn_config *config, json_t **answer)
{
    *answer = NULL;
    json_t *o = json_object(), *list = json_array();
    int64_t ny = 0, nx = 0;
    int n = xn_source_runs(config);
    xani_status st = XANI_OK;
    json_object_set_new(o, "configuration", json_string(xn_config_name(config)));
    json_object_set_new(o, "threads", json_integer(xn_threads((int)xn_config_int(config, "engine.threads"))));
    json_object_set_new(o, "runs", list);
    for (int i = 0; i < (n > 0 ? n : 1) && st == XANI_OK; i++)
        st = check_run(ctx, config, n > 0 ? i : -1, list, &ny, &nx);
    if (st == XANI_OK) st = xn_plan_check_map(ctx, config, ny, nx);
    say_map(config, o);
    if (st != XANI_OK) {
        json_decref(o);
        return st;
    }
    *answer = o;
    return XANI_OK;
}

// ---- plan

static void set_number(json_t *o, const char *key, double v)
{
    json_object_set_new(o, key, isfinite(v) ? json_real(v) : json_null());
}

typedef struct budget {
    double photons; // per pixel and laser-on shot, median over good pixels
    double step_ps, span_ps, on_fraction, rate_hz, nu_max_thz;
    double bins;
} budget;

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double median_of_good(float *v, const uint32_t *mask, int64_t n)
{
    int64_t k = 0;
    for (int64_t i = 0; i < n; i++)
        if (mask[i] == 0 && isfinite(v[i])) v[k++] = v[i];
    if (k == 0) return NAN;
    qsort(v, (size_t)k, sizeof *v, compare_floats);
    return v[k / 2];
}

static void count_shots(const xn_source *s, budget *b)
{
    int64_t on = 0;
    double gap = INFINITY;
    for (int64_t i = 0; i < s->shots.n; i++) {
        on += s->shots.laser[i] == XN_LASER_ON;
        if (i > 0) gap = fmin(gap, (double)(s->shots.pulse_id[i] - s->shots.pulse_id[i - 1]));
    }
    if (s->shots.n > 0) b->on_fraction = (double)on / (double)s->shots.n;
    if (strcmp(s->ops->layout, "swissfel") == 0 && gap > 0 && isfinite(gap)) b->rate_hz = SWISSFEL_HZ / gap;
}

// Photons per pixel and shot of the first shots: all delays in one bin, no grouping.
static xani_status measure_brightness(xn_ctx *ctx, const xn_config *config, budget *b)
{
    xn_config *c = NULL;
    xn_source *s = NULL;
    xn_cube cube = {0};
    char few[64] = "select.max_shots=";
    snprintf(few + strlen(few), sizeof few - strlen(few), "%d", PROBE_SHOTS);
    const char *const settings[] = {"reduce.delay_bins_ps={edges: [-1e9, 1e9]}", "reduce.spatial_bin=1", few};
    xani_status st;
    XN_GOTO(out, st, xn_config_copy(ctx, config, &c));
    for (int i = 0; i < 3; i++) XN_GOTO(out, st, xani_config_assign(ctx, c, settings[i]));
    XN_GOTO(out, st, xn_source_open(ctx, c, xn_source_runs(c) > 0 ? 0 : -1, &s));
    if (s->ops->read_frame == NULL) goto out; // binned already: shots are not known
    count_shots(s, b);
    XN_GOTO(out, st, xn_reduce(ctx, c, s, &cube));
    b->photons = median_of_good(cube.mean_frame, cube.mask, cube.ny * cube.nx);
out:
    xn_cube_free(&cube);
    xn_source_close(&s);
    xani_config_destroy(&c);
    return st;
}

static void delays_of(const xn_config *config, budget *b)
{
    double start = xn_config_double(config, "reduce.delay_bins_ps.start");
    double stop = xn_config_double(config, "reduce.delay_bins_ps.stop");
    double step = xn_config_double(config, "reduce.delay_bins_ps.step");
    if (!isfinite(step) || !isfinite(start) || !isfinite(stop)) return;
    b->step_ps = step;
    b->span_ps = stop - fmax(start, 0.0);
    b->bins = floor((stop - start) / step + 0.5);
}

// Laser-on photons one group needs in one bin: (rho/A)^2 4 dt/(tau (1 - exp(-2T/tau))).
static double photons_needed(const budget *b, double amplitude)
{
    double ratio = RHO_NEEDED / amplitude;
    return ratio * ratio * 4.0 * b->step_ps / (DECAY_PS * (1.0 - exp(-2.0 * b->span_ps / DECAY_PS)));
}

static json_t *budget_table(const budget *b)
{
    static const double amplitudes[] = {0.05, 0.01, 0.002};
    static const int groups[] = {1, 2, 4, 8, 16};
    json_t *table = json_array();
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
        for (size_t k = 0; k < sizeof amplitudes / sizeof amplitudes[0]; k++) {
            double need = photons_needed(b, amplitudes[k]), pixels = (double)groups[i] * groups[i];
            double shots = need / (b->photons * pixels) * b->bins / b->on_fraction;
            json_t *row = json_pack("{s:i, s:f}", "spatial_bin", groups[i], "amplitude", amplitudes[k]);
            set_number(row, "photons_per_group_and_bin", ceil(need));
            set_number(row, "shots", ceil(shots));
            set_number(row, "seconds", shots / b->rate_hz);
            json_array_append_new(table, row);
        }
    return table;
}

static void add_delays(xn_ctx *ctx, const xn_config *config, budget *b, json_t *o)
{
    char key[XN_KEY_LENGTH];
    b->nu_max_thz = NAN;
    for (int i = 0; i < xn_config_count(config, "map.crystal.basis"); i++) {
        const char *element = xn_config_string(config, xn_key(key, "map.crystal.basis[%d].element", i));
        if (element != NULL) b->nu_max_thz = fmax(b->nu_max_thz, xn_element_max_thz(element));
    }
    double most = 1.0 / (4.0 * b->nu_max_thz);
    set_number(o, "delay_step_ps", b->step_ps);
    set_number(o, "nyquist_thz", 1.0 / (2.0 * b->step_ps));
    set_number(o, "highest_phonon_thz", b->nu_max_thz);
    set_number(o, "largest_step_without_aliasing_ps", most);
    bool known = isfinite(b->step_ps) && isfinite(most);
    const char *verdict = !known ? "unknown" : b->step_ps > most * (1.0 + 1e-9) ? "aliased" : "fine";
    json_object_set_new(o, "delay_step", json_string(verdict));
    if (known && b->step_ps > most * (1.0 + 1e-9))
        xn_warn(ctx,
                "reduce.delay_bins_ps.step: %g ps aliases pairs of phonons above %.2f THz; at most %.4f ps is needed",
                b->step_ps, 1.0 / (4.0 * b->step_ps), most);
    set_number(o, "frequency_resolution_thz", 1.0 / b->span_ps);
}

static xani_status add_coverage(xn_ctx *ctx, const xn_config *config, json_t *o)
{
    const char *why = NULL;
    if (!xn_map_possible(config, &why)) {
        json_object_set_new(o, "missing_for_coverage", json_string(why));
        return XANI_OK;
    }
    double fraction = NAN;
    int64_t voxels = 0;
    XN_TRY(xn_map_coverage(ctx, config, &fraction, &voxels));
    set_number(o, "zone_coverage", fraction);
    json_object_set_new(o, "irreducible_voxels", json_integer(voxels));
    return XANI_OK;
}

xani_status xn_plan_budget(xn_ctx *ctx, const xn_config *config, json_t **answer)
{
    budget b = {NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    json_t *o = json_object();
    *answer = NULL;
    delays_of(config, &b);
    add_delays(ctx, config, &b, o);
    xani_status st = add_coverage(ctx, config, o);
    bool files = xn_config_has(config, "input.files") || xn_source_runs(config) > 0;
    if (st == XANI_OK && files) st = measure_brightness(ctx, config, &b);
    if (st != XANI_OK) {
        json_decref(o);
        return st;
    }
    set_number(o, "photons_per_pixel_and_shot", b.photons);
    set_number(o, "laser_on_fraction", b.on_fraction);
    set_number(o, "shots_per_second", b.rate_hz);
    set_number(o, "assumed_decay_ps", DECAY_PS);
    json_object_set_new(o, "budget", isfinite(b.step_ps) ? budget_table(&b) : json_array());
    *answer = o;
    return XANI_OK;
}
