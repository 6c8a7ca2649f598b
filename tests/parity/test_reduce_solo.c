// SPDX-License-Identifier: BSD-3-Clause
// test_reduce_solo.c -- sums of threads that each read and add frames of their own, whole or by strips, equal those of
// batches and of the scalar kernels, bit by bit; a frame that cannot be read is named in the same words.
#include "context.h"
#include "h5write.h"
#include "no_memory.h"

#include "core/rng.h"
#include "io/strips.h"
#include "io/write/publish.h"
#include "reduce/internal.h"

enum { FRAMES = 14, SHOTS = 42 };

// A detector and its frames.
typedef struct shape {
    int ny, nx, modules, k;
    xn_cal_kind kind;
    xn_type type;
    const char *more; // of the configuration of reduce
} shape;

static const shape shapes[] = {
    {64, 512, 2, 4, XN_CAL_JUNGFRAU, XN_U16, ""},
    {22, 30, 1, 2, XN_CAL_JUNGFRAU, XN_U16, ""},
    {22, 30, 2, 4, XN_CAL_JUNGFRAU, XN_U16, ""}, // modules that do not fill groups
    {40, 131, 1, 7, XN_CAL_JUNGFRAU, XN_U16, ", threshold_photons: 0.6"},
    {64, 103, 1, 1, XN_CAL_JUNGFRAU, XN_U16, ""},
    {33, 1030, 1, 2, XN_CAL_JUNGFRAU, XN_U16, ", off: {mode: blocks, block_shots: 12}"},
    {24, 50, 1, 2, XN_CAL_SCALE, XN_U8, ""},
    {24, 50, 1, 2, XN_CAL_SCALE, XN_U32, ""},
    {24, 50, 1, 3, XN_CAL_SCALE, XN_F32, ", off: {mode: nearest, block_shots: 4}"},
    {24, 50, 1, 24, XN_CAL_SCALE, XN_I16, ""}, // one row of groups for all threads
    {24, 50, 1, 3, XN_CAL_JUNGFRAU, XN_U16, "}\ninput: {common_mode: {rows: true}"}, // whole frames are corrected
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

// ---- the experiment

static void put_value(const shape *s, xn_rng *r, int64_t pixel, uint8_t *dst)
{
    double photons = (double)xn_rng_poisson(r, pixel % 37 == 5 ? 40 : 2);
    if (s->kind == XN_CAL_JUNGFRAU) {
        unsigned word =
            (unsigned)(photons < 25 ? 3000 + 440 * photons + 13 * xn_rng_normal(r) : 0x4000 + 14500 - 15 * photons);
        if (pixel == 77) word = 0x8000 | (word & 0x3fff); // a code that does not exist
        if (xn_rng_uniform(r) < 0.001) word = pixel % 3 ? 0xc000 : pixel % 2 ? 0x3fff : 0xc000 | 13000;
        memcpy(dst, &(uint16_t){(uint16_t)word}, 2);
    } else if (s->type == XN_I16) {
        memcpy(dst, &(int16_t){(int16_t)(photons - 1)}, 2);
    } else if (s->type == XN_U8) {
        *dst = (uint8_t)photons;
    } else if (s->type == XN_U32) {
        memcpy(dst, &(uint32_t){pixel == 99 ? 0xffffffff : (uint32_t)photons}, 4);
    } else {
        memcpy(dst, &(float){xn_rng_uniform(r) < 0.001 ? NAN : (float)photons}, 4);
    }
}

static uint8_t *make_frames(const shape *s)
{
    size_t elem = xn_type_size(s->type), n = (size_t)(s->ny * s->nx);
    uint8_t *frames = malloc(FRAMES * n * elem);
    xn_rng r;
    xn_rng_init(&r, 5, 0);
    for (size_t i = 0; i < FRAMES * n; i++) put_value(s, &r, (int64_t)(i % n), frames + i * elem);
    return frames;
}

typedef struct stack {
    const uint8_t *data;
    size_t bytes;   // of a frame
    int64_t broken; // frame that cannot be read, -1: none
    xani_status how;
    xn_frames *file; // the same frames, NULL: not
} stack;

static xani_status read_frame(xn_ctx *c, xn_source *s, int64_t frame, void *dst, void *scratch)
{
    const stack *f = s->impl;
    (void)scratch;
    if (frame == f->broken) return xn_fail(c, f->how, "frames.h5: damaged");
    memcpy(dst, f->data + (size_t)frame * f->bytes, f->bytes);
    return XANI_OK;
}

static xani_status read_list(xn_ctx *c, xn_source *s, const int64_t *frames, int64_t n, void *dst)
{
    for (int64_t i = 0; i < n; i++)
        XN_TRY(read_frame(c, s, frames[i], (uint8_t *)dst + (size_t)i * ((const stack *)s->impl)->bytes, NULL));
    return XANI_OK;
}

static const xn_frames *frames_of(const xn_source *s) { return ((const stack *)s->impl)->file; }

// BATCHES: frames are to be read together, so step.c does it. STRIPS: they lie in a file.
typedef enum { BATCHES, SOLO, STRIPS } way;
static const xn_source_ops ops[] = {{.layout = "batches", .read_frame = read_frame, .read_frames = read_list},
                                    {.layout = "solo", .read_frame = read_frame},
                                    {.layout = "strips", .read_frame = read_frame, .frames = frames_of}};

// ---- the file

static char path[600];

static void write_file(const shape *s, const uint8_t *frames)
{
    snprintf(path, sizeof path, "%s/frames.h5", xn_test_dir("solo"));
    const xn_rows_layout rows = {.type = s->type, .rank = 3, .dims = {FRAMES, s->ny, s->nx}, .filter = "bslz4"};
    xn_writer *w;
    ck_assert_int_eq(xn_writer_create(ctx, path, XN_LAYOUT_RESULT, &w), XANI_OK);
    ck_assert_int_eq(xn_writer_rows_begin(w, "data", &rows), XANI_OK);
    ck_assert_int_eq(xn_writer_rows(w, "data", FRAMES, frames), XANI_OK);
    ck_assert_msg(xn_writer_publish(&w) == XANI_OK, "%s", xani_error_text(ctx));
}

// The last third of a frame as it is stored.
static void damage(int frame)
{
    size_t bytes;
    int64_t at = h5_chunk(path, "data", frame, &bytes);
    h5_damage(path, at + (int64_t)(bytes - bytes / 3), 0xff, bytes / 3);
}

static void make_source(const shape *s, stack *frames, way how, xn_source *source)
{
    size_t n = (size_t)(s->ny * s->nx);
    xn_rng r;
    *source = (xn_source){.ops = &ops[how],
                          .together = how == BATCHES ? 2 : 0,
                          .impl = frames,
                          .ny = s->ny,
                          .nx = s->nx,
                          .type = s->type,
                          .n_modules = s->modules};
    source->stored_bytes = (int64_t)(FRAMES * n * xn_type_size(s->type));
    source->module_rows = xn_alloc(2, sizeof(int64_t));
    source->module_rows[0] = s->modules == 1 ? s->ny : s->ny / 2 - 1;
    source->module_rows[1] = s->ny - source->module_rows[0];
    source->cal = (xn_calibration){.kind = s->kind, .photons_per_unit = 0.75, .bank_rows = 8, .bank_columns = 25};
    source->mask = xn_calloc(n, sizeof *source->mask);
    source->mask[40] = 1;
    xn_rng_init(&r, 6, 0);
    for (int g = 0; g < 3 && s->kind == XN_CAL_JUNGFRAU; g++) {
        source->cal.pedestal[g] = xn_alloc(n, sizeof(float));
        source->cal.factor[g] = xn_alloc(n, sizeof(float));
        for (size_t i = 0; i < n; i++) {
            source->cal.pedestal[g][i] = (float)((g == 0 ? 3000 : 14500) + 30 * xn_rng_normal(&r));
            source->cal.factor[g][i] = (float)(1 / ((g == 0 ? 40 : g == 1 ? -1.4 : -0.1) * 11));
        }
    }
    ck_assert_int_eq(xn_shots_alloc(NULL, SHOTS, 0, &source->shots), XANI_OK);
    for (int64_t i = 0; i < SHOTS; i++) { // frames are met several times, as bins are
        source->shots.pulse_id[i] = 500 + (uint64_t)i;
        source->shots.frame[i] = i * 5 % FRAMES;
        source->shots.laser[i] = i % 4 == 3 ? XN_LASER_OFF : XN_LASER_ON;
        source->shots.i0[i] = 1 + 0.3 * xn_rng_uniform(&r);
        source->shots.delay_ps[i] = i % 4 == 3 ? NAN : 10 * xn_rng_uniform(&r);
        source->shots.bin[i] = -1;
    }
}

static void free_source(xn_source *s)
{
    for (int g = 0; g < 3; g++) {
        xn_free(s->cal.pedestal[g]);
        xn_free(s->cal.factor[g]);
    }
    xn_free(s->mask);
    xn_free(s->module_rows);
    xn_shots_free(&s->shots);
}

static no_memory *failing;             // the allocation that fails; NULL: none
static const xn_reduce_watch *watched; // NULL: nothing is saved
static xani_status broken_how = XANI_ERR_INPUT;
static xani_status reduce(const shape *s, const uint8_t *frames, way w, int threads, int64_t batch, int64_t broken,
                          xn_cube *cube)
{
    char yaml[512];
    snprintf(yaml, sizeof yaml,
             "reduce: {delay_bins_ps: {start: 0, stop: 10, step: 2}, spatial_bin: %d%s}\n"
             "engine: {threads: %d, memory_gib: 0.1, kernels: %s}\n",
             s->k, s->more, threads, w == BATCHES ? "scalar" : "auto");
    xn_config *config = NULL;
    ck_assert_msg(xn_config_parse(ctx, yaml, "exp.yaml", ".", &config) == XANI_OK, "%s", xani_error_text(ctx));
    stack f = {frames, (size_t)(s->ny * s->nx) * xn_type_size(s->type), broken, broken_how, NULL};
    const char *name = path;
    if (w == STRIPS) ck_assert_int_eq(xn_frames_open(ctx, &name, 1, "data", NULL, &f.file), XANI_OK);
    xn_source source;
    memset(cube, 0, sizeof *cube);
    make_source(s, &f, w, &source);
    if (failing) no_memory_begin(failing);
    xani_status st = xn_reduce_batched(ctx, config, &source, watched, batch, cube);
    no_memory_end();
    free_source(&source);
    xn_frames_close(&f.file);
    xani_config_destroy(&config);
    return st;
}

static void same(const void *a, const void *b, size_t bytes, const char *what, int i)
{
    ck_assert_msg((a == NULL) == (b == NULL) && (a == NULL || memcmp(a, b, bytes) == 0), "shape %d: %s differ", i,
                  what);
}

static void compare(const xn_cube *a, const xn_cube *b, int i)
{
    ck_assert_int_eq(a->nbins, b->nbins);
    size_t npix = (size_t)(a->ny * a->nx), all = (size_t)a->nbins * npix;
    same(a->on.s1, b->on.s1, all * 8, "sums", i);
    same(a->on.s2, b->on.s2, all * 8, "squares", i);
    same(a->on.x, b->on.x, all * 8, "products", i);
    same(a->on.expect, b->on.expect, all * 8, "expectations", i);
    same(a->on.cross, b->on.cross, all * 8, "cross terms", i);
    same(a->off.s1, b->off.s1, npix * 8, "laser-off sums", i);
    same(a->off.s2, b->off.s2, npix * 8, "laser-off squares", i);
    same(a->off.x, b->off.x, npix * 8, "laser-off products", i);
    same(a->signal, b->signal, all * 4, "signals", i);
    same(a->errors, b->errors, all * 4, "errors", i);
    same(a->mask, b->mask, npix * 4, "masks", i);
    same(a->peak, b->peak, npix * 8, "peaks", i);
    same(a->pixel_mask, b->pixel_mask, (size_t)(a->det_ny * a->det_nx) * 4, "pixel masks", i);
    const double *p = xn_shots_find(&a->shots, XN_COLUMN_PHOTONS), *q = xn_shots_find(&b->shots, XN_COLUMN_PHOTONS);
    same(p, q, (size_t)a->shots.n * 8, "photons of shots", i);
    bool any = false;
    for (size_t g = 0; g < all; g++) any |= a->on.s1[g] != 0;
    ck_assert_msg(any, "shape %d: all sums are 0", i);
}

START_TEST(test_same_bits)
{
    const shape *s = &shapes[_i];
    uint8_t *frames = make_frames(s);
    xn_cube batches, solo;
    write_file(s, frames);
    ck_assert_msg(reduce(s, frames, BATCHES, 1, 0, -1, &batches) == XANI_OK, "%s", xani_error_text(ctx));
    for (int i = 0; i < 16; i++) {
        int threads = 1 + i % 4;
        xani_status st = reduce(s, frames, i < 8 ? SOLO : STRIPS, threads, i % 8 < 4 ? 0 : 1 + 4 * threads, -1, &solo);
        ck_assert_msg(st == XANI_OK, "shape %d: %s", _i, xani_error_text(ctx));
        compare(&batches, &solo, _i);
        xn_cube_free(&solo);
    }
    xn_cube_free(&batches);
    free(frames);
}
END_TEST

START_TEST(test_broken)
{
    // Whatever thread finds it.
    const shape *s = &shapes[_i];
    uint8_t *frames = make_frames(s);
    xn_cube cube;
    for (int threads = 1; threads <= 3; threads++) {
        for (int64_t batch = 0; batch <= 12; batch += 12) {
            ck_assert_int_eq(reduce(s, frames, SOLO, threads, batch, 9, &cube), XANI_ERR_INPUT);
            ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "while reading frame 9, pulse id 5"));
            ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "frames.h5: damaged"));
            xn_clear_error(ctx);
            xn_cube_free(&cube);
        }
    }
    free(frames);
}
END_TEST

START_TEST(test_strips_are_read)
{
    // They are what is added: words that only the file has are in the sums, but for pixels that the first look at some
    // frames, which are read whole, finds to have no number.
    const shape *s = &shapes[_i];
    uint8_t *frames = make_frames(s), *others = calloc(FRAMES, (size_t)(s->ny * s->nx) * xn_type_size(s->type));
    xn_cube batches, solo;
    write_file(s, frames);
    ck_assert_int_eq(reduce(s, frames, BATCHES, 1, 0, -1, &batches), XANI_OK);
    ck_assert_int_eq(reduce(s, others, STRIPS, 2, 0, -1, &solo), XANI_OK);
    int64_t n = batches.nbins * batches.ny * batches.nx, differ = 0;
    for (int64_t i = 0; i < n; i++) differ += batches.on.s1[i] != solo.on.s1[i];
    ck_assert_msg(4 * differ < n, "shape %d: %d of %d sums differ", _i, (int)differ, (int)n);
    xn_cube_free(&batches);
    xn_cube_free(&solo);
    free(frames), free(others);
}
END_TEST

START_TEST(test_broken_strips)
{
    // What the strips cannot read is read whole; if that fails, too, it is said as ever.
    const shape *s = &shapes[_i];
    uint8_t *frames = make_frames(s);
    xn_cube batches, solo;
    write_file(s, frames);
    damage(9);
    ck_assert_int_eq(reduce(s, frames, BATCHES, 1, 0, -1, &batches), XANI_OK);
    for (int threads = 1; threads <= 3; threads++) {
        ck_assert_msg(reduce(s, frames, STRIPS, threads, 0, -1, &solo) == XANI_OK, "%s", xani_error_text(ctx));
        compare(&batches, &solo, _i);
        xn_cube_free(&solo);
        ck_assert_int_eq(reduce(s, frames, STRIPS, threads, 0, 9, &solo), XANI_ERR_INPUT);
        ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "while reading frame 9, pulse id 5"));
        ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "frames.h5: damaged"));
        xn_clear_error(ctx);
        xn_cube_free(&solo);
    }
    xn_cube_free(&batches);
    free(frames);
}
END_TEST

START_TEST(test_interrupted_strips)
{
    // Where an interruption ends the second try for a frame of which rows are added, those sums are not saved: whoever
    // goes on has right ones.
    const shape *s = &shapes[_i];
    uint8_t *frames = make_frames(s);
    xn_cube batches, solo;
    char place[600];
    snprintf(place, sizeof place, "%s/cube.h5", xn_test_dir("solo"));
    xn_reduce_watch watch = {.place = place, .identity = "one"};
    write_file(s, frames);
    ck_assert_int_eq(reduce(s, frames, BATCHES, 1, 0, -1, &batches), XANI_OK);
    damage(9);
    for (int threads = 1; threads <= 3; threads++) {
        watched = &watch;
        broken_how = XANI_INTERRUPTED;
        ck_assert_int_eq(reduce(s, frames, STRIPS, threads, 0, 9, &solo), XANI_INTERRUPTED);
        xn_clear_error(ctx);
        xn_cube_free(&solo);
        ck_assert_msg(reduce(s, frames, STRIPS, threads, 0, -1, &solo) == XANI_OK, "%s", xani_error_text(ctx));
        watched = NULL;
        broken_how = XANI_ERR_INPUT;
        compare(&batches, &solo, _i);
        xn_cube_free(&solo);
        xn_reduce_forget(place);
    }
    xn_cube_free(&batches);
    free(frames);
}
END_TEST

static void check_memory(way w)
{
    const shape *s = &shapes[1];
    uint8_t *frames = make_frames(s);
    xn_cube cube;
    no_memory n = NO_MEMORY;
    write_file(s, frames);
    for (; n.reached; no_memory_next(&n)) {
        failing = &n;
        xani_status st = reduce(s, frames, w, 1, 0, -1, &cube);
        failing = NULL;
        if (st != XANI_OK) ck_assert_msg(n.reached && st == XANI_ERR_MEMORY, "%s", xani_error_text(ctx));
        xn_clear_error(ctx);
        xn_cube_free(&cube);
    }
    ck_assert_uint_gt(n.at, 20);
    free(frames);
}

START_TEST(test_memory)
{
    check_memory(SOLO);
    check_memory(STRIPS);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, test_same_bits, 0, SHAPES);
    tcase_add_loop_test(t, test_broken, 0, 2);
    tcase_add_loop_test(t, test_strips_are_read, 0, 4);
    tcase_add_loop_test(t, test_broken_strips, 0, 4);
    tcase_add_loop_test(t, test_interrupted_strips, 0, 4);
    tcase_add_test(t, test_memory);
}
XN_TEST_MAIN("reduce by threads of their own", add)
