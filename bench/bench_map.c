// SPDX-License-Identifier: BSD-3-Clause
// bench_map.c -- `xani bench map`: pixels to momentum transfer, modes to points of the dispersion.
//
// One detector of 1000 x 1000 pixels.  pixel-to-q: Q_lab of every pixel from its position; pixel-to-q-35M: of 35
// million. points-1e6: from Q_lab and one mode per pixel to a million points (hkl, nearest reciprocal lattice vector,
// folded q, kind, nu, errors, weight), as the stage does for a run.  map-1e6: the whole stage, from modes in memory to
// points, volume, path and branches.  floor:read adds up the case's inputs, in the same unit; numpy does the same
// computation (bench/map_peers.py) in a child process whose start is not timed, and whose sum of q^2 must agree.
// One thread unless threads are asked for; the child is held to as many.
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/figures.h"
#include "map/map.h"
#include "map/parts.h"
#include "physics/crystal.h"

#define SIDE 1000
#define N ((int64_t)SIDE * SIDE)
#define MANY 35 // times N
#define SCRIPT XN_SOURCE_DATA_DIR "/../bench/map_peers.py"

static const char setup[] =
    "experiment: {energy_kev: 9.5}\n"
    "geometry:\n"
    "  detector: {shape: [1000, 1000], pixel_mm: 0.075, centre_px: [-100, 500]}\n"
    "  distance_mm: 60\n"
    "  cell: [3.61, 3.61, 3.61, 90, 90, 90]\n"
    "  orientation: [[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]]\n"
    "map: {crystal: {centring: F, basis: [{element: Cu, position: [0, 0, 0]}]}, mode_kind: pair}\n"
    "engine: {threads: %d}\n";

typedef struct runner {
    const xn_bench *bench;
    int threads;
    xn_config *config;
    xn_scene scene;
    xn_modes modes;
    xn_crystal crystal;
    char file[256]; // positions and frequencies for the child
    double checksum;
    char why[160];
} runner;

// ---- data

static xani_status make_data(runner *r)
{
    xn_ctx *ctx = r->bench->context;
    char yaml[1024];
    snprintf(yaml, sizeof yaml, setup, r->threads);
    XN_TRY(xn_config_parse(ctx, yaml, "bench", ".", &r->config));
    XN_TRY(xn_scene_load(ctx, r->config, &r->scene));
    XN_TRY(xn_scene_group(ctx, &r->scene, 1, 0, NULL));
    XN_TRY(xn_modes_alloc(ctx, 1, 1, SIDE, SIDE, &r->modes));
    XN_TRY(xn_crystal_load(ctx, "cu_296k", &r->crystal));
    r->modes.delay_hi_ps = 10.0;
    r->modes.step_ps = 0.02;
    for (int64_t i = 0; i < N; i++) { // a branch of copper, in turn
        double hkl[3], nu[3];
        xn_mat3_vec(r->scene.lattice.ub_inv, r->scene.q_lab + 3 * i, hkl);
        xn_crystal_frequencies(&r->crystal, hkl, nu);
        r->modes.count[i] = 1;
        r->modes.status[i] = XN_FIT_MODES;
        r->modes.frequency[i] = (float)(2.0 * nu[i % 3]) + (float)(i % 97) * 1e-3F;
        r->modes.frequency_errors[i] = 0.02F;
        r->modes.amplitude[i] = 0.01F;
        r->modes.amplitude_errors[i] = 0.001F;
        r->modes.damping[i] = 0.3F;
    }
    return XANI_OK;
}

static bool write_child_file(runner *r)
{
    const char *folder = getenv("TMPDIR");
    snprintf(r->file, sizeof r->file, "%s/xani-bench-map-XXXXXX", folder != NULL ? folder : "/tmp");
    int fd = mkstemp(r->file);
    FILE *f = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (f == NULL) return false;
    double head[19];
    memcpy(head, r->scene.lattice.ub_inv, 9 * sizeof *head);
    memcpy(head + 9, r->scene.lattice.b, 9 * sizeof *head);
    head[18] = XN_K_PER_KEV * r->scene.energy_kev;
    bool ok = fwrite(head, sizeof *head, 19, f) == 19 &&
              fwrite(r->scene.geometry.position, 12, (size_t)N, f) == (size_t)N &&
              fwrite(r->modes.frequency, 4, (size_t)N, f) == (size_t)N;
    return fclose(f) == 0 && ok;
}

// ---- one run of each: seconds, NaN when it fails

static double sum_squares(const double *q)
{
    double sum = 0.0;
    for (int64_t i = 0; i < 3 * N; i++) sum += q[i] * q[i];
    return sum;
}

static double run_points(runner *r)
{
    xn_view v = {0};
    xn_collection c = {.kind = XN_KIND_PAIR};
    double begin = xn_seconds(), seconds = NAN;
    xani_status st = xn_scene_view(r->bench->context, r->config, &r->scene, NULL, 0, &v);
    if (st == XANI_OK) st = xn_points_add(r->bench->context, &r->scene, &v, &r->modes, 0, NULL, &c);
    if (st == XANI_OK && c.points.n == N) {
        seconds = xn_seconds() - begin;
        r->checksum = sum_squares(c.points.q);
    }
    xn_collection_free(&c);
    xn_view_free(&v);
    return seconds;
}

static double run_pixels(runner *r)
{
    double *q = xn_alloc(3 * (size_t)N, sizeof *q);
    if (q == NULL) return NAN;
    omp_set_num_threads(r->threads);
    double begin = xn_seconds();
    xn_geometry_q(r->scene.geometry.position, N, r->scene.energy_kev, q);
    double seconds = xn_seconds() - begin;
    r->checksum = sum_squares(q);
    xn_free(q);
    return seconds;
}

// Positions of 35 detectors, one after the other, to Q of all of them.
static double run_many(runner *r)
{
    const float *from = r->scene.geometry.position;
    float *position = xn_alloc(3 * (size_t)(MANY * N), sizeof *position);
    double *q = xn_alloc(3 * (size_t)(MANY * N), sizeof *q), seconds = NAN;
    for (int64_t k = 0; position != NULL && q != NULL && k < MANY; k++) {
        memcpy(position + 3 * k * N, from, 3 * (size_t)N * sizeof *from);
        memset(q + 3 * k * N, 0, 3 * (size_t)N * sizeof *q); // pages are there, as after the first use
    }
    if (position != NULL && q != NULL) {
        omp_set_num_threads(r->threads);
        double begin = xn_seconds();
        xn_geometry_q(position, MANY * N, r->scene.energy_kev, q);
        seconds = xn_seconds() - begin;
        const double *last = q + 3 * (MANY - 1) * N;
        for (int64_t i = 0; i < 3 * N; i++)
            if (!(q[i] == last[i])) seconds = NAN;
    }
    xn_free(position);
    xn_free(q);
    return seconds;
}

static double run_map(runner *r)
{
    const xn_modes *list = &r->modes;
    xn_dispersion d;
    double begin = xn_seconds(), seconds = NAN;
    xani_status st = xn_map(r->bench->context, r->config, &list, 1, NULL, &d);
    if (st == XANI_OK && d.points.n == N && d.n_branches == 3) seconds = xn_seconds() - begin;
    if (st == XANI_OK) xn_dispersion_free(&d);
    return seconds;
}

static double add_floats(const float *v, int64_t n, int threads)
{
    double sum = 0.0;
#pragma omp parallel for schedule(static) num_threads(threads) reduction(+ : sum)
    for (int64_t b = 0; b < n; b += 4096) {
        float part[16] = {0};
        int64_t end = b + 4096 < n ? b + 4096 : n;
        for (int64_t i = b; i + 16 <= end; i += 16)
            for (int k = 0; k < 16; k++) part[k] += v[i + k];
        for (int k = 0; k < 16; k++) sum += (double)part[k];
    }
    return sum;
}

static double add_doubles(const double *v, int64_t n, int threads)
{
    double sum = 0.0;
#pragma omp parallel for schedule(static) num_threads(threads) reduction(+ : sum)
    for (int64_t b = 0; b < n; b += 4096) {
        double part[8] = {0};
        int64_t end = b + 4096 < n ? b + 4096 : n;
        for (int64_t i = b; i + 8 <= end; i += 8)
            for (int k = 0; k < 8; k++) part[k] += v[i + k];
        for (int k = 0; k < 8; k++) sum += part[k];
    }
    return sum;
}

// Reads what the case reads: positions, or Q_lab and the planes of the modes.
static double run_read(runner *r, bool points)
{
    double keep = 0.0, begin = xn_seconds();
    if (points) {
        const float *planes[] = {r->modes.frequency, r->modes.frequency_errors, r->modes.amplitude,
                                 r->modes.amplitude_errors, r->modes.damping};
        for (int i = 0; i < 5; i++) keep += add_floats(planes[i], N, r->threads);
        keep += add_doubles(r->scene.q_lab, 3 * N, r->threads);
    } else {
        keep += add_floats(r->scene.geometry.position, 3 * N, r->threads);
    }
    double seconds = xn_seconds() - begin;
    return isnan(keep) ? NAN : seconds; // the sum is used, so it is computed
}

static double run_numpy(runner *r, const char *name)
{
    char *command = xn_format("OMP_NUM_THREADS=%d OPENBLAS_NUM_THREADS=%d python3 '%s' '%s' %s 2>/dev/null", r->threads,
                              r->threads, SCRIPT, r->file, name);
    char line[160] = "", *end = line;
    FILE *f = command != NULL ? popen(command, "r") : NULL;
    if (f != NULL && fgets(line, sizeof line, f) == NULL) line[0] = '\0';
    if (f != NULL) (void)pclose(f);
    xn_free(command);
    line[strcspn(line, "\n")] = '\0';
    double seconds = strtod(line, &end), checksum = strtod(end, &end);
    if (line[0] == '\0')
        snprintf(r->why, sizeof r->why, "python3 is not installed or its script failed");
    else if (*end != '\0')
        snprintf(r->why, sizeof r->why, "%s", line); // words instead of numbers
    else if (!(fabs(checksum / r->checksum - 1.0) < 1e-5))
        snprintf(r->why, sizeof r->why, "its q differ from ours");
    else
        return seconds;
    return NAN;
}

// ---- in turn

static xani_status run_case(runner *r, const char *name, bool points)
{
    const xn_bench *b = r->bench;
    int n = b->repeats > 5 ? b->repeats : 5;
    double *times = xn_alloc(3 * (size_t)n, sizeof *times);
    if (times == NULL) return xn_fail_memory(b->context, "the benchmark", 24 * (size_t)n);
    xani_status st = XANI_OK;
    r->why[0] = '\0';
    (void)(points ? run_points(r) : run_pixels(r)); // warms caches and threads
    for (int i = 0; st == XANI_OK && i < n; i++) {
        times[i] = points ? run_points(r) : run_pixels(r);
        times[n + i] = run_read(r, points);
        times[2 * n + i] = r->why[0] == '\0' ? run_numpy(r, name) : NAN;
        if (isnan(times[i])) st = xn_fail(b->context, XANI_ERR_INTERNAL, "bench map %s failed", name);
        if (st == XANI_OK) st = xn_check_interrupt(b->context);
    }
    for (int peer = 1; st == XANI_OK && peer < 3; peer++) {
        bool missing = peer == 2 && r->why[0] != '\0';
        xn_bench_line line = {
            .bench = "map", .name = name, .peer = peer == 1 ? "floor:read" : "numpy", .ratio_cpu = NAN};
        line.unit = points ? "points/s" : "pixels/s";
        line.ours = (double)N / xn_bench_median(times, n);
        line.theirs = missing ? NAN : (double)N / xn_bench_median(times + peer * n, n);
        line.ratio = line.ours / line.theirs;
        line.why = missing ? r->why : NULL;
        b->emit(b->user, &line);
    }
    xn_free(times);
    return st;
}

// Cases without NumPy: against reading their input.
static xani_status run_alone(runner *r, const char *name, bool points, int64_t n, double (*run)(runner *))
{
    double times[2][5];
    for (int i = 0; i < 5; i++) {
        times[0][i] = run(r);
        times[1][i] = run_read(r, points) * (double)n / (double)N;
        if (isnan(times[0][i])) return xn_fail(r->bench->context, XANI_ERR_INTERNAL, "bench map %s failed", name);
        XN_TRY(xn_check_interrupt(r->bench->context));
    }
    xn_bench_line line = {.bench = "map", .name = name, .peer = "floor:read", .ratio_cpu = NAN};
    line.unit = points ? "points/s" : "pixels/s";
    line.ours = (double)n / xn_bench_median(times[0], 5);
    line.theirs = (double)n / xn_bench_median(times[1], 5);
    line.ratio = line.ours / line.theirs;
    r->bench->emit(r->bench->user, &line);
    return XANI_OK;
}

xani_status xn_bench_map(const xn_bench *b)
{
    runner r = {.bench = b, .threads = b->threads > 0 ? b->threads : 1};
    xani_status st = make_data(&r);
    if (st == XANI_OK && !write_child_file(&r))
        st = xn_fail(b->context, XANI_ERR_OUTPUT, "%s: the benchmark's data cannot be written", r.file);
    if (st == XANI_OK) st = run_case(&r, "points-1e6", true);
    if (st == XANI_OK) st = run_alone(&r, "map-1e6", true, N, run_map);
    if (st == XANI_OK) st = run_case(&r, "pixel-to-q", false);
    if (st == XANI_OK) st = run_alone(&r, "pixel-to-q-35M", false, MANY * N, run_many);
    if (r.file[0] != '\0') (void)unlink(r.file);
    xn_modes_free(&r.modes);
    xn_crystal_free(&r.crystal);
    xn_scene_free(&r.scene);
    xani_config_destroy(&r.config);
    return st;
}
