// SPDX-License-Identifier: BSD-3-Clause
// test_reduce.c -- shots to cube agrees with a plain double-precision reduction, and with itself in any order.
#include "no_memory.h"
#include "test.h"

#include "fake_source.h"
#include "reduce/internal.h"

enum { SHOTS = 700 };

static xn_ctx *ctx;
static heard said;

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    said.text[0] = '\0';
    xani_set_log(ctx, fake_log, &said);
}
static void tear_down(void) { xani_destroy(&ctx); }

static double softening(void *user, double t, int64_t pixel, int64_t shot)
{
    (void)user;
    (void)shot;
    double f = 0.8 + 0.1 * (double)(pixel / 200);
    return t > 0 ? 0.2 * (1 - cos(6.283185307179586 * f * t)) : 0;
}

#define COMMON "select: {i0: {min: 2, max: 6}, time_tool: {source: 'tool:amplitude', min: 0.5}}\n"
#define BINS "delay_bins_ps: {start: -1, stop: 3, step: 0.25}"

static xn_config *parse(const char *format, ...)
{
    char yaml[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(yaml, sizeof yaml, format, args);
    va_end(args);
    xn_config *c = NULL;
    xani_status st = xn_config_parse(ctx, yaml, "exp.yaml", ".", &c);
    ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
    return c;
}

// Reduces the same frames again: the shots are lent by copy.
static xani_status reduce(const fake *f, const char *yaml, int64_t batch, xn_cube *cube)
{
    xn_config *c = parse("%s", yaml);
    xn_source s = f->source;
    fake_shots_copy(f, &s.shots);
    xani_status st = xn_reduce_batched(ctx, c, &s, NULL, batch, cube);
    xn_shots_free(&s.shots);
    xani_config_destroy(&c);
    return st;
}

// ---- the referee

typedef struct referee {
    int nbins;
    int64_t ny, nx;
    double *signal, *errors, *mean;
    bool *masked;
    int shots[64];
    double delay[64];
    int64_t n_off;
} referee;

static double group_of(const fake *f, int64_t shot, int64_t y, int64_t x, int k, double threshold, bool *good)
{
    int64_t first = y < 10 / k ? y * k : 10 + (y - 10 / k) * k; // module 0 has 10 rows
    double sum = 0;
    *good = false;
    for (int i = 0; i < k * k; i++) {
        int64_t p = (first + i / k) * FAKE_NX + x * k + i % k;
        double photons = f->photons[shot * f->slab + p];
        if (f->source.mask[p] == 0) *good = true;
        sum += threshold > 0 && photons < threshold ? 0 : photons;
    }
    return sum;
}

static bool used(const fake *f, int64_t i, int *bin)
{
    const xn_shots *s = &f->source.shots;
    if (!(s->i0[i] >= 2 && s->i0[i] <= 6)) return false;
    *bin = -1;
    if (s->laser[i] == XN_LASER_OFF) return true;
    *bin = (int)floor((s->delay_ps[i] + 1) / 0.25);
    return s->extra[0][i] >= 0.5 && *bin >= 0 && *bin < 16;
}

static void referee_make(const fake *f, int k, double threshold, referee *r)
{
    const xn_shots *s = &f->source.shots;
    r->nbins = 16;
    r->ny = 10 / k + 12 / k;
    r->nx = FAKE_NX / k;
    size_t npix = (size_t)(r->ny * r->nx);
    r->signal = calloc(16 * npix, sizeof(double));
    r->errors = calloc(16 * npix, sizeof(double));
    r->mean = calloc(npix, sizeof(double));
    r->masked = calloc(npix, sizeof(bool));
    memset(r->shots, 0, sizeof r->shots);
    memset(r->delay, 0, sizeof r->delay);
    r->n_off = 0;
    for (size_t p = 0; p < npix; p++) {
        double n[17] = {0}, s1[17] = {0}, s2[17] = {0}, m1[17] = {0}, m2[17] = {0}, x[17] = {0};
        for (int64_t i = 0; i < s->n; i++) {
            int bin;
            bool good;
            if (!used(f, i, &bin)) continue;
            int b = bin < 0 ? 16 : bin;
            double v = group_of(f, i, (int64_t)p / r->nx, (int64_t)p % r->nx, k, threshold, &good), w = s->i0[i];
            r->masked[p] = !good;
            n[b]++, s1[b] += v, s2[b] += v * v, m1[b] += w, m2[b] += w * w, x[b] += v * w;
            if (p > 0) continue;
            if (bin < 0) r->n_off++;
            if (bin >= 0) r->shots[bin]++, r->delay[bin] += s->delay_ps[i];
        }
        double r_off = s1[16] / m1[16];
        r->mean[p] = s1[16] / n[16];
        for (int b = 0; b < 16; b++) {
            double ratio = s1[b] / m1[b];
            r->signal[b * (int64_t)npix + (int64_t)p] = ratio / r_off - 1;
            r->errors[b * (int64_t)npix + (int64_t)p] =
                sqrt(n[b] / (n[b] - 1) * (s2[b] - 2 * ratio * x[b] + ratio * ratio * m2[b])) / m1[b] / r_off;
        }
    }
    for (int b = 0; b < 16; b++) r->delay[b] /= r->shots[b];
}

static void referee_free(referee *r)
{
    free(r->signal);
    free(r->errors);
    free(r->mean);
    free(r->masked);
}

static const struct {
    int k;
    double threshold;
} grouped[] = {{1, 0}, {2, 0}, {4, 0}, {5, 0}, {9, 0}, {4, 0.5}};

START_TEST(test_referee)
{
    // Signal, exact variance, delays, counts, mask, mean frame equal the reduction written out in double precision,
    // for several groupings (modules of 10 and 12 rows, 30 columns) and with a threshold.
    int k = grouped[_i].k;
    fake f;
    fake_make(&f, SHOTS, softening, NULL, 11);
    referee r;
    referee_make(&f, k, grouped[_i].threshold, &r);
    char yaml[512];
    snprintf(yaml, sizeof yaml,
             COMMON "reduce: {" BINS ", spatial_bin: %d, threshold_photons: %g}\nengine: {threads: 2}\n", k,
             grouped[_i].threshold);
    xn_cube c;
    xani_status st = reduce(&f, yaml, 0, &c);
    ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
    ck_assert_int_eq(c.nbins, 16);
    ck_assert_int_eq(c.ny, r.ny);
    ck_assert_int_eq(c.nx, r.nx);
    ck_assert_int_eq(c.module_rows[0], 10 / k);
    ck_assert_int_eq(c.module_rows[1], 12 / k);
    ck_assert(c.errors_counting);
    ck_assert_int_eq(c.off.shots[0], r.n_off);
    int64_t npix = c.ny * c.nx;
    double weights = 0;
    for (int b = 0; b < 16; b++) {
        ck_assert_int_eq(c.on.shots[b], r.shots[b]);
        ck_assert_double_eq_tol(c.delay_ps[b], r.delay[b], 1e-6);
        weights += c.weight[b];
    }
    ck_assert_double_eq_tol(weights, 16, 1e-9);
    for (int64_t p = 0; p < npix; p++) {
        ck_assert_int_eq(c.mask[p] != 0, r.masked[p]);
        ck_assert(r.masked[p] ? isnan(c.mean_frame[p]) : fabs(c.mean_frame[p] / r.mean[p] - 1) < 1e-5);
        for (int b = 0; b < 16; b++) {
            int64_t at = b * npix + p;
            if (r.masked[p])
                ck_assert(isnan(c.signal[at]) && isnan(c.errors[at]));
            else {
                ck_assert_double_le(fabs((double)c.signal[at] - r.signal[at]), 1e-3 * r.errors[at]);
                ck_assert_double_le(fabs((double)c.errors[at] / r.errors[at] - 1), 1e-3);
            }
        }
    }
    ck_assert_str_eq(said.text, "");
    referee_free(&r);
    xn_cube_free(&c);
    fake_free(&f);
}
END_TEST

static uint64_t hash(uint64_t h, const void *data, size_t bytes)
{
    const uint8_t *b = data;
    for (size_t i = 0; i < bytes; i++) h = (h ^ b[i]) * 1099511628211u;
    return h;
}

static uint64_t hash_cube(const xn_cube *c, bool sums)
{
    size_t npix = (size_t)(c->ny * c->nx), all = (size_t)c->nbins * npix;
    uint64_t h = 14695981039346656037u;
    h = hash(h, c->signal, all * 4);
    h = hash(h, c->errors, all * 4);
    h = hash(h, c->mask, npix * 4);
    h = hash(h, c->mean_frame, npix * 4);
    h = hash(h, c->delay_ps, (size_t)c->nbins * 8);
    h = hash(h, c->weight, (size_t)c->nbins * 8);
    h = hash(h, c->off.s1, npix * 8);
    h = hash(h, c->off.s2, npix * 8);
    h = hash(h, c->off.x, npix * 8);
    if (sums) {
        h = hash(h, c->on.s1, all * 8);
        h = hash(h, c->on.s2, all * 8);
        h = hash(h, c->on.x, all * 8);
    }
    return h;
}

static const char *const off_modes[] = {"{mode: all}", "{mode: blocks, block_shots: 90}",
                                        "{mode: nearest, block_shots: 30}"};

START_TEST(test_one_hash)
{
    // Threads 1, 2, 3, batches of 1, 7, 64 and chosen, frames alone and together, every kernel variant: one hash;
    // several passes under a small memory budget, the sums in a file: the same.
    fake f;
    fake_make(&f, 300, softening, NULL, 12);
    uint64_t expected[2] = {0, 0};
    static const char *const kernels[] = {"scalar", "auto", "avx2", "avx512"};
    for (int variant = 0; variant < 4; variant++)
        for (int threads = 1; threads <= 3; threads++)
            for (int b = 0; b < 4; b++) {
                static const int64_t batches[] = {1, 7, 64, 0};
                char yaml[512];
                if (xn_reduce_kernels_find(kernels[variant]) == NULL) continue;
                snprintf(yaml, sizeof yaml,
                         COMMON "reduce: {" BINS ", spatial_bin: 2, off: %s}\nengine: {threads: %d, kernels: %s}\n",
                         off_modes[_i], threads, kernels[variant]);
                xn_cube c;
                f.source.together = b == 1 ? 0 : threads + b; // frames of a chunk
                ck_assert_msg(reduce(&f, yaml, batches[b], &c) == XANI_OK, "%s", xani_error_text(ctx));
                uint64_t h[2] = {hash_cube(&c, true), hash_cube(&c, false)};
                if (expected[0] == 0) memcpy(expected, h, sizeof h);
                ck_assert_uint_eq(h[0], expected[0]);
                xn_cube_free(&c);
            }
    ck_assert(f.lists > 100);
    ck_assert_ptr_null(strstr(said.text, "passes"));
    int64_t npix = 11 * 15;
    for (int bins = 1; bins <= 9; bins += 4) {
        // room for so many bins: found by asking the plan
        xn_config *config =
            parse(COMMON "reduce: {" BINS ", spatial_bin: 2, off: %s}\nengine: {threads: 2}\n", off_modes[_i]);
        xn_reduce_plan plan;
        ck_assert_int_eq(xn_reduce_plan_make(ctx, config, &f.source, &plan), XANI_OK);
        xani_config_destroy(&config);
        int64_t per_bin = (plan.accumulator_bytes - 24 * npix) / 16, frame = 1344;
        int64_t fixed = plan.memory_bytes - 16 * per_bin - 2 * plan.batch_frames * frame;
        char yaml[512];
        snprintf(yaml, sizeof yaml,
                 COMMON "reduce: {" BINS ", spatial_bin: 2, off: %s}\nengine: {threads: 2, memory_gib: %.12g}\n",
                 off_modes[_i], (double)(fixed + bins * per_bin + 2 * frame + 10) / 0x1p30);
        xn_cube c;
        said.text[0] = '\0';
        ck_assert_msg(reduce(&f, yaml, 0, &c) == XANI_OK, "%s", xani_error_text(ctx));
        ck_assert_ptr_nonnull(strstr(said.text, "passes"));
        ck_assert_ptr_nonnull(c.mapped);
        ck_assert_uint_eq(hash_cube(&c, true), expected[0]);
        xn_cube_free(&c);
    }
    fake_free(&f);
}
END_TEST

START_TEST(test_too_little_memory)
{
    // A budget below one bin is a configuration error that says what is needed.
    fake f;
    fake_make(&f, 60, NULL, NULL, 13);
    xn_cube c;
    ck_assert_int_eq(reduce(&f, COMMON "reduce: {" BINS "}\nengine: {memory_gib: 1e-6}\n", 0, &c), XANI_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "engine.memory_gib: reduce needs at least"));
    ck_assert_ptr_null(c.signal);
    fake_free(&f);
}
END_TEST

START_TEST(test_smallest_groups)
{
    // The message names the smallest groups that fit: with them there is a plan, with the next smaller ones there is
    // none.
    fake f;
    fake_make(&f, 60, NULL, NULL, 13);
    static const char *const yaml =
        COMMON "reduce: {" BINS ", spatial_bin: %d}\nengine: {threads: 1, memory_gib: %.12g}\n";
    xn_reduce_plan plan;
    xn_config *config = parse(yaml, 3, 1.0);
    ck_assert_int_eq(xn_reduce_plan_make(ctx, config, &f.source, &plan), XANI_OK);
    xani_config_destroy(&config);
    int64_t per_bin = (plan.accumulator_bytes - 24 * plan.ny * plan.nx) / 16;
    int64_t least = plan.memory_bytes - 15 * per_bin - 2 * (plan.batch_frames - 1) * 1344;
    double gib = (double)(least + 1) / 0x1p30;
    for (int k = 1; k <= 3; k++) {
        config = parse(yaml, k, gib);
        xn_clear_error(ctx);
        xani_status st = xn_reduce_plan_make(ctx, config, &f.source, &plan);
        xani_config_destroy(&config);
        ck_assert_int_eq(st, k < 3 ? XANI_ERR_CONFIG : XANI_OK);
        if (k < 3)
            ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "reduce.spatial_bin: 3 (the smallest that fits)"));
    }
    config = parse(yaml, 1, 1e-6); // nothing does
    xn_clear_error(ctx);
    ck_assert_int_eq(xn_reduce_plan_make(ctx, config, &f.source, &plan), XANI_ERR_CONFIG);
    ck_assert_ptr_null(strstr(xani_error_text(ctx), "smallest"));
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "geometry.region"));
    xani_config_destroy(&config);
    fake_free(&f);
}
END_TEST

START_TEST(test_large_detector)
{
    // 35 million pixels, 200 bins, 4 GiB: a plan without grouping and at 8 x 8; with a reference per block the message
    // names groups, and they fit.
    fake f;
    fake_make(&f, 200, NULL, NULL, 13);
    static const struct {
        int k, block, passes; // 0: refused
    } wanted[] = {{1, 0, 200}, {8, 0, 2}, {1, 1, 0}, {2, 1, 50}};
    int64_t rows[67];
    xn_source s = f.source;
    for (int m = 0; m < 67; m++) rows[m] = 512;
    s.n_modules = 67, s.module_rows = rows, s.ny = 67 * 512, s.nx = 1024, s.cal.movable = true;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        int k = wanted[i].k;
        xn_config *config = parse(COMMON "reduce: {delay_bins_ps: {start: -1, stop: 3, step: 0.02}, spatial_bin: %d, "
                                         "off: %s}\nengine: {threads: 2, memory_gib: 4}\n",
                                  k, off_modes[wanted[i].block]);
        xn_reduce_plan plan;
        xn_clear_error(ctx);
        xani_status st = xn_reduce_plan_make(ctx, config, &s, &plan);
        xani_config_destroy(&config);
        ck_assert_int_eq(st, wanted[i].passes > 0 ? XANI_OK : XANI_ERR_CONFIG);
        if (st != XANI_OK) {
            ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "reduce.spatial_bin: 2 (the smallest that fits)"));
            continue;
        }
        int64_t npix = s.ny / k * (s.nx / k);
        ck_assert_int_eq(plan.nbins, 200);
        ck_assert_int_eq(plan.passes, wanted[i].passes);
        ck_assert_int_eq(plan.spatial_bin, k);
        ck_assert_int_ge((int64_t)plan.passes * plan.bins_per_pass, 200);
        ck_assert_int_le(xn_max64(plan.memory_bytes, plan.write_bytes), (int64_t)4 << 30);
        if (k == 1) ck_assert_int_eq(plan.file_bytes, 200 * 32 * npix);
    }
    fake_free(&f);
}
END_TEST

START_TEST(test_planes_taken)
{
    // A source that can spare its planes gives them away: the same cube, less memory.
    fake f;
    fake_make(&f, 100, softening, NULL, 12);
    uint64_t h[2];
    int64_t bytes[2];
    for (int movable = 0; movable < 2; movable++) {
        f.source.cal.fixed_stage = _i;
        f.source.cal.movable = movable;
        xn_config *config = parse(COMMON "reduce: {" BINS "}\nengine: {threads: 2}\n");
        xn_reduce_plan plan;
        ck_assert_int_eq(xn_reduce_plan_make(ctx, config, &f.source, &plan), XANI_OK);
        bytes[movable] = plan.memory_bytes;
        xn_cube c;
        ck_assert_msg(xn_reduce_batched(ctx, config, &f.source, NULL, 8, &c) == XANI_OK, "%s", xani_error_text(ctx));
        ck_assert_int_eq(f.source.cal.factor[_i > 0 ? _i - 1 : 0] == NULL, movable);
        h[movable] = hash_cube(&c, true);
        if (movable == 0) { // put back
            f.source.shots = c.shots;
            memset(&c.shots, 0, sizeof c.shots);
            for (int64_t i = 0; i < 100; i++) f.source.shots.verdict[i] = 0, f.source.shots.bin[i] = -1;
        }
        xn_cube_free(&c);
        xani_config_destroy(&config);
    }
    for (int s = 0; s < 3; s++) ck_assert(f.source.cal.factor[s] == NULL && f.source.cal.pedestal[s] == NULL);
    ck_assert_uint_eq(h[0], h[1]);
    ck_assert_int_eq(bytes[0] - bytes[1], (_i > 0 ? 8 : 24) * FAKE_NY * FAKE_NX);
    fake_free(&f);
}
END_TEST

START_TEST(test_plan)
{
    // The plan reads no frame, leaves the source as it was, and its numbers are those of the run.
    fake f;
    fake_make(&f, 200, NULL, NULL, 14);
    xn_config *config = parse(COMMON "reduce: {" BINS ", spatial_bin: 4}\nengine: {threads: 2}\n");
    xn_reduce_plan plan;
    ck_assert_int_eq(xn_reduce_plan_make(ctx, config, &f.source, &plan), XANI_OK);
    ck_assert_int_eq(atomic_load(&f.reads), 0);
    for (int64_t i = 0; i < 200; i++) ck_assert(f.source.shots.verdict[i] == 0 && f.source.shots.bin[i] == -1);
    ck_assert_int_eq(plan.nbins, 16);
    ck_assert_int_eq(plan.ny, 5);
    ck_assert_int_eq(plan.nx, 7);
    ck_assert_int_eq(plan.passes, 1);
    ck_assert_int_eq(plan.stored_bytes, 200 * FAKE_NX * FAKE_NY * 2);
    ck_assert_int_eq(plan.accumulator_bytes, 16 * 35 * 32 + 35 * 24);
    xn_cube c;
    ck_assert_int_eq(xn_reduce(ctx, config, &f.source, &c), XANI_OK);
    ck_assert_int_eq(atomic_load(&f.reads), plan.frames_read);
    ck_assert_int_eq(plan.shots, plan.frames_read - XN_PRESCAN);
    ck_assert_int_eq(f.source.shots.n, 0); // moved into the cube
    ck_assert_int_eq(c.shots.n, 200);
    xn_cube_free(&c);
    xani_config_destroy(&config);
    fake_free(&f);
}
END_TEST

static int64_t first_used(const fake *f, int skip)
{
    int bin;
    int64_t i = 0;
    for (;; i++)
        if (used(f, i, &bin) && skip-- == 0) return i;
}

START_TEST(test_unusable_words)
{
    // A pixel saturated from the start is left out of its group; one that saturates or turns invalid later masks its
    // group; a masked pixel may read anything; all of it is said, and no zero is ever counted for photons.
    fake f;
    fake_make(&f, SHOTS, softening, NULL, 15);
    int64_t early = first_used(&f, 2), late = first_used(&f, XN_PRESCAN + 40);
    f.words[early * f.slab + 0] = 0xc000;              // pixel (0, 0)
    f.words[late * f.slab + 4] = 0x8123;               // pixel (0, 4): invalid code
    f.words[late * f.slab + 6 * FAKE_NX + 9] = 0xc000; // pixel (6, 9): full
    f.words[late * f.slab + 3 * FAKE_NX + 5] = 0x8001; // masked anyhow
    xn_cube a, b;
    const char *yaml = COMMON "reduce: {" BINS ", spatial_bin: 4}\nengine: {threads: 2}\n";
    ck_assert_int_eq(reduce(&f, yaml, 0, &a), XANI_OK);
    ck_assert_ptr_nonnull(strstr(said.text, "1 pixels without a valid reading in the first shots"));
    ck_assert_ptr_nonnull(strstr(said.text, "2 pixel groups are masked"));
    ck_assert_uint_eq(a.mask[1], XN_MASK_INVALID);
    ck_assert_uint_eq(a.mask[7 + 2], XN_MASK_FULL);
    ck_assert_uint_eq(a.mask[0], 0);
    // group 0 equals the one in which the pixel was masked from outside; other groups are untouched
    f.source.mask[0] = 1;
    f.words[late * f.slab + 4] = f.words[late * f.slab + 6 * FAKE_NX + 9] = 3100;
    ck_assert_int_eq(reduce(&f, yaml, 0, &b), XANI_OK);
    for (int64_t i = 0; i < a.nbins * 35; i++)
        if (i % 35 == 1 || i % 35 == 9)
            ck_assert(isnan(a.signal[i]) && isnan(a.errors[i]) && !isnan(b.signal[i]));
        else
            ck_assert(memcmp(&a.signal[i], &b.signal[i], 4) == 0 && memcmp(&a.errors[i], &b.errors[i], 4) == 0);
    xn_cube_free(&a);
    xn_cube_free(&b);
    fake_free(&f);
}
END_TEST

START_TEST(test_gains_that_are_no_numbers)
{
    // NaN in stage 0 masks the pixel; NaN in a stage that no shot uses does not; gains all NaN leave nothing but NaN.
    fake f;
    fake_make(&f, 200, NULL, NULL, 16);
    f.source.cal.factor[0][0] = NAN;
    f.source.cal.pedestal[0][1] = INFINITY;
    f.source.cal.factor[2][2] = NAN;
    f.source.cal.factor[0][3] = 1e9f; // beyond the range of the sums
    xn_cube c;
    ck_assert_int_eq(reduce(&f, COMMON "reduce: {" BINS "}\n", 0, &c), XANI_OK);
    static const uint32_t expected[5] = {XN_MASK_INVALID, XN_MASK_INVALID, 0, XN_MASK_INVALID, 0};
    for (int p = 0; p < 5; p++) {
        ck_assert_uint_eq(c.mask[p], expected[p]);
        ck_assert_int_eq(isnan(c.signal[p]), expected[p] != 0);
    }
    xn_cube_free(&c);
    fake_free(&f);
}
END_TEST

START_TEST(test_range_of_the_sums)
{
    // A group so bright that S2 could overflow is masked as saturated, not wrapped around.
    fake f;
    fake_make(&f, 200, NULL, NULL, 17);
    f.source.cal.factor[0][5] = 0.9f * 8192 / 16383; // thousands of photons per word
    f.source.cal.pedestal[0][5] = 0;
    f.source.cal.kind = XN_CAL_JUNGFRAU;
    xn_config *config = parse(COMMON "reduce: {" BINS "}\n");
    xn_groups g;
    ck_assert_int_eq(xn_groups_make(ctx, config, &f.source, &g), XANI_OK);
    ck_assert_uint_eq(g.mask[5], 0);
    xn_groups_free(&g);
    xani_config_destroy(&config);
    xn_cube c;
    ck_assert_int_eq(reduce(&f, COMMON "reduce: {" BINS "}\n", 0, &c), XANI_OK);
    int64_t most = 0;
    for (int b = 0; b < c.nbins; b++) most = xn_max64(most, c.on.shots[b]);
    most = xn_max64(most, c.off.shots[0]);
    double bound = sqrt(0x1p62 / (double)most) * 256;
    ck_assert_double_gt(bound, 0x1p29); // a single pixel cannot exceed it with so few shots ...
    ck_assert_uint_eq(c.mask[5], 0);
    ck_assert(!isnan(c.signal[5]));
    xn_cube_free(&c);
    // ... but with a hundred million shots it could: the bound shrinks as it must
    xn_work w;
    xn_shots s;
    ck_assert_int_eq(xn_shots_alloc(ctx, 4000, 0, &s), XANI_OK);
    for (int i = 0; i < 4000; i++) {
        s.bin[i] = i % 2 ? 0 : -1;
        s.i0[i] = 1 + i * 1e-3;
    }
    config = parse("engine: {threads: 1}\n");
    ck_assert_int_eq(xn_work_make(ctx, config, &s, 1, &w), XANI_OK);
    double squares[2] = {0, 0}, sums[2] = {0, 0}, v = (double)w.fixed.bound / 256;
    for (int64_t i = 0; i < w.n; i++) {
        squares[w.shots[i].bin < 0] += (double)w.shots[i].i0q * w.shots[i].i0q;
        sums[w.shots[i].bin < 0] += w.shots[i].i0q;
    }
    const double most_i0 = fmax(squares[0], squares[1]);
    ck_assert(most_i0 <= 0x1p62 && most_i0 > 0x1p60); // as fine as fits
    ck_assert_double_lt(v * v * 2000, 0x1p63);
    ck_assert_double_ge((v + 1) * (v + 1) * 2000, 0x1p63);
    ck_assert_double_lt(v * fmax(sums[0], sums[1]), 0x1p63);
    xn_work_free(&w);
    xn_shots_free(&s);
    xani_config_destroy(&config);
    fake_free(&f);
}
END_TEST

START_TEST(test_few_shots)
{
    // An empty bin is NaN with its centre as delay and weight 0; one shot gives a signal, its weight, and no error.
    fake f;
    fake_make(&f, SHOTS, NULL, NULL, 18);
    int64_t kept = -1;
    for (int64_t i = 0; i < SHOTS; i++) {
        int bin;
        if (!used(&f, i, &bin) || bin < 3 || bin > 4) continue;
        bool keep = bin == 4 && kept < 0;
        if (keep) kept = i;
        if (!keep) f.source.shots.delay_ps[i] = -0.9;
    }
    xn_cube c;
    ck_assert_int_eq(reduce(&f, COMMON "reduce: {" BINS "}\n", 0, &c), XANI_OK);
    ck_assert_ptr_nonnull(strstr(said.text, "1 of 16 delay bins are empty"));
    int64_t npix = c.ny * c.nx;
    ck_assert_double_eq_tol(c.delay_ps[3], -1 + 3.5 * 0.25, 1e-12);
    ck_assert_double_eq(c.weight[3], 0);
    ck_assert_double_eq_tol(c.delay_ps[4], f.source.shots.delay_ps[kept], 1e-6);
    ck_assert_double_gt(c.weight[4], 0);
    for (int64_t p = 0; p < npix; p++) {
        ck_assert(isnan(c.signal[3 * npix + p]) && isnan(c.errors[3 * npix + p]));
        ck_assert(isnan(c.errors[4 * npix + p]));
        ck_assert_int_eq(isnan(c.signal[4 * npix + p]), c.mask[p] != 0);
    }
    xn_cube_free(&c);
    fake_free(&f);
}
END_TEST

START_TEST(test_reading_fails)
{
    // A frame that cannot be read ends the stage with its status and a line naming frame, pulse and file; an
    // interruption ends it with its own; in both cases nothing is left behind.
    fake f;
    fake_make(&f, 300, NULL, NULL, 19);
    const char *yaml = COMMON "reduce: {" BINS "}\nengine: {threads: 2}\n";
    xn_cube c;
    int64_t frame = first_used(&f, 100);
    f.fail_frame = frame;
    ck_assert_int_eq(reduce(&f, yaml, 16, &c), XANI_ERR_INPUT);
    char expected[128];
    snprintf(expected, sizeof expected, "while reading frame %lld, pulse id %lld: fake.h5: frame %lld is truncated",
             (long long)frame, 1000000 + 2 * (long long)frame, (long long)frame);
    ck_assert_str_eq(xani_error_text(ctx), expected);
    ck_assert(c.signal == NULL && c.shots.n == 0 && c.on.s1 == NULL);
    xn_clear_error(ctx);
    f.fail_frame = -1;
    f.interrupt_frame = frame;
    int64_t before = atomic_load(&f.reads);
    ck_assert_int_eq(reduce(&f, yaml, 16, &c), XANI_INTERRUPTED);
    ck_assert_int_le(atomic_load(&f.reads) - before, 100 + XN_PRESCAN + 16);
    ck_assert_ptr_null(c.signal);
    fake_free(&f);
}
END_TEST

START_TEST(test_memory)
{
    // Every allocation of the stage fails once: a clean error (or, where the result does not depend on it, none).
    fake f;
    fake_make(&f, 80, NULL, NULL, 20);
    xn_config *config =
        parse(COMMON "reduce: {" BINS ", spatial_bin: 4, off: %s}\nengine: {threads: 1}\n", off_modes[_i]);
    no_memory n = NO_MEMORY;
    for (; n.reached; no_memory_next(&n)) {
        xn_source s = f.source;
        fake_shots_copy(&f, &s.shots);
        xn_cube c;
        no_memory_begin(&n);
        xani_status st = xn_reduce(ctx, config, &s, &c);
        no_memory_end();
        if (st != XANI_OK) ck_assert(n.reached && st == XANI_ERR_MEMORY && c.signal == NULL);
        xn_clear_error(ctx);
        xn_cube_free(&c);
        xn_shots_free(&s.shots);
    }
    ck_assert_uint_gt(n.at, 20);
    xani_config_destroy(&config);
    fake_free(&f);
}
END_TEST

START_TEST(test_unknown_words)
{
    // Frames of a type that cannot be photons, and a missing kernel variant, are refused by name.
    fake f;
    fake_make(&f, 60, NULL, NULL, 21);
    xn_cube c;
    f.source.type = XN_F32;
    ck_assert_int_eq(reduce(&f, COMMON "reduce: {" BINS "}\n", 0, &c), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "frames of type float32"));
    xn_clear_error(ctx);
    f.source.cal.kind = XN_CAL_SCALE;
    f.source.type = XN_U16;
    f.source.cal.photons_per_unit = NAN;
    ck_assert_int_eq(reduce(&f, COMMON "reduce: {" BINS "}\n", 0, &c), XANI_ERR_CONFIG);
    xn_clear_error(ctx);
    f.source.cal.photons_per_unit = 0.01;
    ck_assert_int_eq(reduce(&f, COMMON "reduce: {" BINS ", spatial_bin: 11}\n", 0, &c), XANI_OK);
    ck_assert_int_eq(c.ny, 1); // module 0 has 10 rows only
    xn_cube_free(&c);
    ck_assert_int_eq(reduce(&f, COMMON "reduce: {" BINS ", spatial_bin: 31}\n", 0, &c), XANI_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "reduce.spatial_bin"));
    fake_free(&f);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, test_referee, 0, (int)(sizeof grouped / sizeof grouped[0]));
    tcase_add_loop_test(t, test_one_hash, 0, 3);
    tcase_add_test(t, test_too_little_memory);
    tcase_add_test(t, test_smallest_groups);
    tcase_add_test(t, test_large_detector);
    tcase_add_loop_test(t, test_planes_taken, 0, 3);
    tcase_add_test(t, test_plan);
    tcase_add_test(t, test_unusable_words);
    tcase_add_test(t, test_gains_that_are_no_numbers);
    tcase_add_test(t, test_range_of_the_sums);
    tcase_add_test(t, test_few_shots);
    tcase_add_test(t, test_reading_fails);
    tcase_add_loop_test(t, test_memory, 0, 3);
    tcase_add_test(t, test_unknown_words);
}
XN_TEST_MAIN("reduce", add)
