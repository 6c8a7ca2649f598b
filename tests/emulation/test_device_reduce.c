// SPDX-License-Identifier: BSD-3-Clause
// test_device_reduce.c -- a reduction on devices has the bits of one on the processor, whatever happens to the devices.
//
// Compiled twice: for the emulated runtime, where memory, failures and the number of devices are the test's own, and
// with XN_REAL_DEVICE for the devices of the machine (`make gpu-test`).
#include "h5write.h"
#include "no_memory.h"
#include "test.h"

#include "emulation/emulation.h"
#include "fake_source.h"
#include "io/write/publish.h"
#include "reduce/device.h"

enum { SHOTS = 150, BATCH = 16 };

static xn_ctx *ctx;
static heard said;
static char folder[64], path[128], place[192];
static xn_frames *file_frames;
static xn_sum_tables tables;

#ifdef XN_REAL_DEVICE
#define REAL true
static bool absent(void)
{
    char why[256] = "this xani was built without CUDA";
    if (tables.sums != NULL && tables.io->count(why, sizeof why) > 0) return false;
    xn_skip(why);
    return true;
}
#else
#define REAL false
static bool absent(void) { return false; }
#endif

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    said.text[0] = '\0';
    xani_set_log(ctx, fake_log, &said);
    // in memory where the system has such a folder: thousands of syncs
    snprintf(folder, sizeof folder, "%s/xani-device-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/frames.h5", folder);
    snprintf(place, sizeof place, "%s/cube.h5", folder);
    xn_reduce_forget(place);
    xn_emulation_reset();
    if (REAL) {
        tables = (xn_sum_tables){xn_device_io_built(), xn_device_sums_built(), 1};
    } else {
        tables = (xn_sum_tables){&xn_device_io_emulated, &xn_device_sums_emulated, 1};
        setenv("XANI_CUFILE", "/nowhere/libcufile.so", 1);
    }
}

static void tear_down(void)
{
    xn_mem_set_hook(NULL, NULL);
    xn_frames_close(&file_frames);
    xn_reduce_forget(place);
    (void)unlink(path);
    snprintf(place, sizeof place, "%s.manifest.json", path);
    (void)unlink(place);
    ck_assert_int_eq(rmdir(folder), 0); // nothing else was left there
    ck_assert_int_eq(xn_emulated.alive, 0);
    xani_destroy(&ctx);
}

// ---- the same words in a file, which devices can be given

static const xn_frames *frames_of(const xn_source *s)
{
    (void)s;
    return file_frames;
}

static xani_status read_file(xn_ctx *c, xn_source *s, int64_t frame, void *dst, void *scratch)
{
    (void)scratch;
    fake *f = s->impl;
    if (frame == f->interrupt_frame) xani_interrupt(c);
    return xn_frames_read(c, file_frames, frame, dst);
}

static xani_status read_file_list(xn_ctx *c, xn_source *s, const int64_t *frames, int64_t n, void *dst)
{
    fake *f = s->impl;
    for (int64_t i = 0; i < n; i++)
        if (frames[i] == f->interrupt_frame) xani_interrupt(c);
    return xn_frames_read_list(c, file_frames, frames, n, dst, 1);
}

static const xn_source_ops file_ops = {
    .layout = "file", .read_frame = read_file, .read_frames = read_file_list, .frames = frames_of};

typedef enum { BY_HOST, PLAIN_FILE, PACKED_FILE } how_read;

static void write_packed(const fake *f)
{
    const int64_t n = f->source.shots.n;
    const xn_rows_layout rows = {
        .type = XN_U16, .rank = 3, .dims = {n, FAKE_NY, FAKE_NX}, .chunk = {3, FAKE_NY, FAKE_NX}, .filter = "bslz4"};
    xn_writer *w = NULL;
    ck_assert_int_eq(xn_writer_create(ctx, path, XN_LAYOUT_RESULT, &w), XANI_OK);
    ck_assert_int_eq(xn_writer_rows_begin(w, "data", &rows), XANI_OK);
    ck_assert_int_eq(xn_writer_rows(w, "data", n, f->words), XANI_OK);
    ck_assert_msg(xn_writer_publish(&w) == XANI_OK, "%s", xani_error_text(ctx));
}

static void give_file(fake *f, how_read how)
{
    const char *const files[] = {path};
    xn_frames_close(&file_frames);
    f->source.ops = how == BY_HOST ? &fake_ops : &file_ops;
    f->source.together = 0;
    if (how == BY_HOST) return;
    if (how == PACKED_FILE) {
        write_packed(f);
    } else {
        h5_make(path);
        h5_put(path, "data", H5T_NATIVE_UINT16, H5_SHAPE((hsize_t)f->source.shots.n, FAKE_NY, FAKE_NX), f->words);
    }
    ck_assert_msg(xn_frames_open(ctx, files, 1, "data", NULL, &file_frames) == XANI_OK, "%s", xani_error_text(ctx));
    f->source.together = xn_frames_get_info(file_frames)->together;
    if (f->source.together < 2) f->source.together = 0;
}

// ---- reductions

#define CPU "cpu"
#define ONE "cuda, devices: [0]"
#define BOTH (REAL ? "cuda" : "cuda, devices: [1, 0]")
#define SPARED "auto"

typedef struct {
    int k, threads;
    const char *off, *device, *more;
    double memory_gib;
    int64_t batch;
    const xn_reduce_watch *watch;
} setting;

static const char *const off_modes[] = {"{mode: all}", "{mode: blocks, block_shots: 40}",
                                        "{mode: nearest, block_shots: 10}"};

static xn_config *configure(const setting *s)
{
    char yaml[1024], memory[64] = "";
    if (s->memory_gib > 0) snprintf(memory, sizeof memory, ", memory_gib: %.9g", s->memory_gib);
    snprintf(yaml, sizeof yaml,
             "%s\nreduce: {delay_bins_ps: {start: -1, stop: 3, step: 0.5}, spatial_bin: %d, off: %s}\n"
             "engine: {threads: %d, device: %s%s}\n",
             s->more ? s->more : "", s->k, s->off ? s->off : off_modes[0], s->threads, s->device, memory);
    xn_config *c = NULL;
    ck_assert_msg(xn_config_parse(ctx, yaml, "exp.yaml", ".", &c) == XANI_OK, "%s", xani_error_text(ctx));
    return c;
}

static uint64_t mix(uint64_t h, const void *data, size_t bytes)
{
    const uint8_t *b = data;
    for (size_t i = 0; i < bytes; i++) h = (h ^ b[i]) * 1099511628211u;
    return h;
}

static uint64_t hash_cube(const xn_cube *c)
{
    const size_t npix = (size_t)(c->ny * c->nx), all = (size_t)c->nbins * npix;
    const void *arrays[] = {c->on.s1, c->on.s2, c->on.x, c->on.expect, c->on.expect_sq, c->on.cross};
    const double *photons = xn_shots_find(&c->shots, XN_COLUMN_PHOTONS);
    uint64_t h = 14695981039346656037u;
    for (int i = 0; i < 6; i++)
        if (arrays[i] != NULL) h = mix(h, arrays[i], all * 8);
    h = mix(h, c->signal, all * 4);
    h = mix(h, c->errors, all * 4);
    h = mix(h, c->mask, npix * 4);
    h = mix(h, c->pixel_mask, (size_t)(c->det_ny * c->det_nx) * 4);
    h = mix(h, c->peak, npix * 8);
    h = mix(h, c->off.s1, npix * 8);
    h = mix(h, c->off.s2, npix * 8);
    h = mix(h, c->off.x, npix * 8);
    ck_assert_ptr_nonnull(photons);
    return mix(h, photons, (size_t)c->shots.n * 8);
}

static xani_status reduce(const fake *f, const setting *s, uint64_t *hash)
{
    xn_config *c = configure(s);
    xn_source source = f->source;
    xn_cube cube;
    fake_shots_copy(f, &source.shots);
    xn_clear_error(ctx);
    xani_status st = xn_reduce_on(ctx, c, &source, s->watch, s->batch, &tables, &cube);
    if (st == XANI_OK) {
        *hash = hash_cube(&cube);
        xn_cube_free(&cube);
    }
    xn_shots_free(&source.shots);
    xani_config_destroy(&c);
    ck_assert_msg(xn_emulated.alive == 0, "%ld pieces left", xn_emulated.alive);
    return st;
}

static uint64_t hash_of(const fake *f, const setting *s)
{
    uint64_t h = 0;
    ck_assert_msg(reduce(f, s, &h) == XANI_OK, "%s: %s", s->device, xani_error_text(ctx));
    return h;
}

// A JUNGFRAU; now and then words that do not exist or are full, after the first shots.
static void make(fake *f, uint64_t seed)
{
    fake_make(f, SHOTS, NULL, NULL, seed);
    for (int64_t i = 40; i < SHOTS; i += 31) {
        f->words[i * f->slab + 5 * FAKE_NX + i % FAKE_NX] = XN_JUNGFRAU_FULL;
        f->words[i * f->slab + 13 * FAKE_NX + i % FAKE_NX] = 2u << 14 | 100;
    }
}

START_TEST(test_same)
{
    // Every reference, every size of groups, any batch, one and several threads, one and two devices; frames by the
    // host, and straight into the devices from a plain and a packed file: one hash, photons of the shots and masks
    // included. Both devices get work.
    static const int sizes[] = {1, 2, 4, 5};
    static const int64_t batches[] = {1, 7, 64, 0};
    fake f;
    if (absent()) return;
    make(&f, 31);
    for (int size = 0; size < 4; size++) {
        setting s = {.k = sizes[size], .threads = 2, .off = off_modes[_i], .device = CPU, .batch = 13};
        give_file(&f, BY_HOST);
        const uint64_t expected = hash_of(&f, &s);
        for (int how = BY_HOST; how <= PACKED_FILE; how++) {
            give_file(&f, (how_read)how);
            for (int i = 0; i < 4; i++) {
                xn_emulation_reset();
                s.batch = batches[i];
                s.threads = 1 + i % 3;
                s.device = i % 2 ? ONE : BOTH;
                ck_assert_msg(hash_of(&f, &s) == expected, "%s, groups of %d, way %d, batches of %d, %s", s.off, s.k,
                              how, (int)s.batch, s.device);
                ck_assert(REAL || xn_emulated.launches > 0);
                ck_assert(REAL || i % 2 || s.batch == 1 || xn_emulated.launches_on[0] > 0);
                ck_assert(REAL || i % 2 || s.batch == 1 || xn_emulated.launches_on[1] > 0);
            }
        }
    }
    fake_free(&f);
}
END_TEST

// ---- other detectors

static uint8_t *numbers;
static size_t number_bytes;

static xani_status read_numbers(xn_ctx *c, xn_source *s, int64_t frame, void *dst, void *scratch)
{
    (void)c;
    (void)scratch;
    const size_t bytes = (size_t)(s->ny * s->nx) * number_bytes;
    memcpy(dst, numbers + (size_t)frame * bytes, bytes);
    return XANI_OK;
}

static const xn_source_ops number_ops = {.layout = "numbers", .read_frame = read_numbers};

// Words or numbers of every kind in place of the JUNGFRAU's.
static void other_detector(fake *f, int which)
{
    xn_source *s = &f->source;
    const int64_t n = SHOTS * f->slab;
    xn_rng r;
    xn_rng_init(&r, 77, (uint64_t)which);
    for (int64_t i = 0; which == 3 && i < n; i++) // ePix10ka
        f->words[i] = i % 7 == 3 ? (uint16_t)(0x4000 | (14510 + i % 40)) : (uint16_t)(3000 + xn_rng_u32(&r) % 900);
    for (int64_t i = 0; which < 3 && i < n; i++) { // fixed gain
        static const unsigned code[] = {0, 1, 3};
        const unsigned value = which == 0 ? 3000 + xn_rng_u32(&r) % 900 : 13000 - xn_rng_u32(&r) % 900;
        f->words[i] = (uint16_t)(code[which] << 14 | value);
        if (i % 40009 == 40000) f->words[i] = 2u << 14;
    }
    for (int64_t i = 0; which == 4 && i < n; i++) f->words[i] = (uint16_t)(3000 + xn_rng_u32(&r) % 3000);
    s->cal.kind = which < 3 ? XN_CAL_JUNGFRAU : which == 3 ? XN_CAL_EPIX10KA : which < 6 ? XN_CAL_LINEAR : XN_CAL_SCALE;
    if (which < 3) s->cal.fixed_stage = 1 + which;
    if (which == 4) s->cal.full = 5990;
    s->cal.photons_per_unit = 0.7;
    if (which < 5) return;
    s->type = which == 5 ? XN_I32 : which == 6 ? XN_F32 : XN_U32;
    number_bytes = 4;
    numbers = malloc((size_t)n * number_bytes);
    for (int64_t i = 0; i < n; i++) {
        const uint32_t v = xn_rng_u32(&r);
        const float x = i % 50021 == 50000 ? NAN : (float)(0.3 * (double)(v % 30)) - 0.1f;
        const int32_t w = which == 5 ? 3000 + (int32_t)(v % 500) : (int32_t)(v % 30);
        if (which == 6)
            memcpy(numbers + i * 4, &x, 4);
        else
            memcpy(numbers + i * 4, &w, 4);
    }
    s->ops = &number_ops;
}

START_TEST(test_detectors)
{
    // JUNGFRAU of each fixed gain, ePix10ka, linear with an end of the range, integers and floats of corrected
    // detectors, a threshold: the processor's hash, through devices.
    fake f;
    if (absent()) return;
    make(&f, 32);
    other_detector(&f, _i);
    for (int k = 1; k <= 4; k += 3) {
        setting s = {.k = k, .threads = 2, .device = CPU, .batch = 40};
        const uint64_t expected = hash_of(&f, &s);
        xn_emulation_reset();
        s.device = BOTH;
        ck_assert_msg(hash_of(&f, &s) == expected, "detector %d, groups of %d", _i, k);
        ck_assert(REAL || xn_emulated.launches > 0);
    }
    free(numbers);
    numbers = NULL;
    fake_free(&f);
}
END_TEST

START_TEST(test_cells)
{
    // Memory cells with planes of their own.
    fake f;
    if (absent()) return;
    make(&f, 33);
    xn_calibration *cal = &f.source.cal;
    cal->n_cells = 3;
    cal->cell = xn_alloc(SHOTS, sizeof *cal->cell);
    for (int i = 0; i < SHOTS; i++) cal->cell[i] = (uint16_t)(i % 3);
    for (int g = 0; g < 3; g++) {
        float *p = xn_alloc(3 * (size_t)f.slab, sizeof *p), *q = xn_alloc(3 * (size_t)f.slab, sizeof *q);
        for (int64_t i = 0; i < 3 * f.slab; i++) {
            p[i] = cal->pedestal[g][i % f.slab] + (float)(i / f.slab);
            q[i] = cal->factor[g][i % f.slab] * (1 + 0.1f * (float)(i / f.slab));
        }
        xn_free(cal->pedestal[g]), xn_free(cal->factor[g]);
        cal->pedestal[g] = p, cal->factor[g] = q;
    }
    for (int k = 2; k <= 3; k++) {
        setting s = {.k = k, .threads = 2, .device = CPU, .batch = 40};
        const uint64_t expected = hash_of(&f, &s);
        s.device = BOTH;
        ck_assert(hash_of(&f, &s) == expected);
    }
    xn_free(cal->cell);
    fake_free(&f);
}
END_TEST

// ---- passes, going on, snapshots

// Room for three of eight bins, found by asking the plan.
static double small_gib(fake *f, const setting *s)
{
    xn_config *c = configure(s);
    xn_reduce_plan plan;
    ck_assert_int_eq(xn_reduce_plan_make(ctx, c, &f->source, &plan), XANI_OK);
    xani_config_destroy(&c);
    const int64_t per_bin = (plan.accumulator_bytes - 24 * plan.ny * plan.nx) / 8, frame = 1344;
    const int64_t fixed = plan.memory_bytes - 8 * per_bin - 2 * plan.batch_frames * frame;
    return (double)(fixed + 3 * per_bin + 2 * frame + 10) / 0x1p30;
}

START_TEST(test_passes)
{
    // Sums that do not fit into the budget are made in passes, each on the devices: the same hash.
    fake f;
    if (absent()) return;
    make(&f, 34);
    for (int mode = 0; mode < 2; mode++) {
        setting s = {.k = 2, .threads = 2, .off = off_modes[mode], .device = CPU, .batch = BATCH};
        const uint64_t expected = hash_of(&f, &s);
        s.memory_gib = small_gib(&f, &s);
        said.text[0] = '\0';
        ck_assert(hash_of(&f, &s) == expected);
        ck_assert_msg(strstr(said.text, "3 passes") != NULL, "%s", said.text);
        s.device = BOTH;
        ck_assert(hash_of(&f, &s) == expected);
        for (int how = PLAIN_FILE; how <= PACKED_FILE; how++) {
            give_file(&f, (how_read)how);
            ck_assert(hash_of(&f, &s) == expected);
        }
        give_file(&f, BY_HOST);
    }
    fake_free(&f);
}
END_TEST

START_TEST(test_goes_on)
{
    // A reduction interrupted on devices goes on there or on the processor, and the other way round, to the same hash;
    // sums are saved after every batch.
    static const char *const devices[] = {CPU, "cuda"};
    fake f;
    if (absent()) return;
    make(&f, 35);
    for (int mode = 0; mode < 2; mode++)
        for (int turn = 0; turn < 4; turn++) {
            const xn_reduce_watch watch = {.place = place, .identity = "the same", .save_s = 0};
            setting s = {.k = 2, .threads = 1, .off = off_modes[mode], .device = CPU, .batch = BATCH};
            uint64_t hash;
            const uint64_t expected = hash_of(&f, &s);
            s.watch = &watch;
            s.device = devices[turn % 2];
            f.interrupt_frame = 70;
            ck_assert_int_eq(reduce(&f, &s, &hash), XANI_INTERRUPTED);
            xani_destroy(&ctx);
            ck_assert_int_eq(xani_create(&ctx), XANI_OK);
            f.interrupt_frame = -1;
            f.reads = 0;
            s.device = devices[turn / 2];
            ck_assert_msg(hash_of(&f, &s) == expected, "mode %d, turn %d", mode, turn);
            ck_assert_msg(f.reads < SHOTS - 30, "%d frames were read again", (int)f.reads);
            xn_reduce_forget(place);
        }
    fake_free(&f);
}
END_TEST

typedef struct {
    uint64_t hash[64];
    int n;
} snapshots;

static xani_status take(xn_ctx *c, void *user, xn_cube *cube)
{
    (void)c;
    snapshots *all = user;
    all->hash[all->n++] = hash_cube(cube);
    xn_cube_free(cube);
    return XANI_OK;
}

START_TEST(test_snapshots)
{
    // Snapshots between batches are those of the processor.
    fake f;
    if (absent()) return;
    make(&f, 36);
    for (int mode = 0; mode < 2; mode++) {
        snapshots by[2] = {{.n = 0}, {.n = 0}};
        for (int i = 0; i < 2; i++) {
            const xn_reduce_watch watch = {.take = take, .user = &by[i], .save_s = 1e9};
            const setting s = {.k = 2,
                               .threads = 2,
                               .off = off_modes[mode],
                               .device = i ? BOTH : CPU,
                               .batch = BATCH,
                               .watch = &watch};
            (void)hash_of(&f, &s);
        }
        ck_assert(by[0].n > 2 && by[0].n == by[1].n);
        for (int i = 0; i < by[0].n; i++) ck_assert(by[0].hash[i] == by[1].hash[i]);
    }
    fake_free(&f);
}
END_TEST

START_TEST(test_declined)
{
    // Corrections of whole frames are the processor's, which then adds the frames too; so are fits of `auto` that are
    // too small to be worth a device. Without a device `cuda` says why.
    fake f;
    uint64_t hash;
    if (absent()) return;
    make(&f, 37);
    setting s = {.k = 2,
                 .threads = 2,
                 .device = CPU,
                 .batch = BATCH,
                 .more = "input: {common_mode: {rows: true, "
                         "min_pixels: 3, bank_px: [2, 15]}}"};
    const uint64_t expected = hash_of(&f, &s);
    xn_emulation_reset();
    s.device = BOTH;
    ck_assert(hash_of(&f, &s) == expected);
    ck_assert_int_eq(xn_emulated.launches, 0);
    ck_assert_msg(strstr(said.text, "corrections of whole frames") != NULL, "%s", said.text);
    s.more = NULL;
    s.device = SPARED;
    tables.worth = (int64_t)SHOTS * FAKE_NX * FAKE_NY + SHOTS;
    (void)hash_of(&f, &s);
    ck_assert_int_eq(xn_emulated.launches, 0);
    tables.io = NULL;
    s.device = "cuda";
    ck_assert_int_eq(reduce(&f, &s, &hash), XANI_ERR_CONFIG);
    ck_assert_msg(strstr(xani_error_text(ctx), "without CUDA") != NULL, "%s", xani_error_text(ctx));
    fake_free(&f);
}
END_TEST

// ---- failures

#ifndef XN_REAL_DEVICE
// As the whole reduction, for a device that fails at call `at`; false: it made fewer calls.
static bool fails_at(const fake *f, const setting *given, long at, uint64_t expected, int *errors, int *warnings,
                     int *torn)
{
    setting s = *given;
    uint64_t hash;
    xn_emulation_reset();
    xn_emulated.fail_at = at;
    s.device = "cuda";
    const xani_status st = reduce(f, &s, &hash);
    if (st == XANI_OK) {
        ck_assert_msg(hash == expected, "call %ld: another hash", at);
    } else {
        ck_assert_msg(strstr(xani_error_text(ctx), "engine.device: cuda: device") != NULL ||
                          strstr(xani_error_text(ctx), "out of memory") != NULL,
                      "call %ld: %s", at, xani_error_text(ctx));
        ++*errors;
    }
    xn_reduce_forget(place);
    xn_emulation_reset();
    xn_emulated.fail_at = at;
    s.device = SPARED;
    said.text[0] = '\0';
    ck_assert_msg(hash_of(f, &s) == expected, "call %ld, the processor goes on: another hash", at);
    *warnings += strstr(said.text, "reduce: ") != NULL;
    *torn += strstr(said.text, "all shots are read again") != NULL;
    xn_reduce_forget(place);
    return xn_emulated.calls >= at;
}

START_TEST(test_failures)
{
    // Whatever call of the runtime fails, with sums collected at the end, after every block of time or after every
    // batch: asked for, the reduction says which device failed; else it goes on and loses nothing.
    const xn_reduce_watch watch = {.place = place, .identity = "the same", .save_s = 0};
    fake f;
    make(&f, 38);
    for (int how = BY_HOST; how <= PACKED_FILE; how += 2) {
        setting s = {.k = 4,
                     .threads = 2,
                     .off = off_modes[_i % 2],
                     .device = CPU,
                     .batch = 40,
                     .watch = _i == 2 ? &watch : NULL};
        int errors = 0, warnings = 0, torn = 0;
        give_file(&f, (how_read)how);
        const uint64_t expected = hash_of(&f, &s);
        xn_reduce_forget(place);
        for (long at = 1; fails_at(&f, &s, at, expected, &errors, &warnings, &torn); at += at < 60 ? 1 : 7) {}
        ck_assert_msg(errors > 20 && warnings > 20 && torn > 0, "way %d: %d errors, %d warnings, %d torn", how, errors,
                      warnings, torn);
    }
    fake_free(&f);
}
END_TEST

START_TEST(test_memory)
{
    // Any allocation that fails ends the reduction with that error, or not at all; nothing is left on the devices.
    fake f;
    uint64_t hash;
    int failed = 0;
    make(&f, 39);
    for (int how = BY_HOST; how <= PACKED_FILE; how += 2) {
        const setting s = {.k = 2, .threads = 1, .device = "cuda", .batch = 50};
        give_file(&f, (how_read)how);
        for (no_memory n = NO_MEMORY; n.reached; no_memory_next(&n)) {
            xn_config *c = configure(&s);
            xn_source source = f.source;
            xn_cube cube;
            fake_shots_copy(&f, &source.shots);
            xn_clear_error(ctx);
            xn_emulation_reset();
            no_memory_begin(&n);
            const xani_status st = xn_reduce_on(ctx, c, &source, NULL, s.batch, &tables, &cube);
            no_memory_end();
            ck_assert_msg(xn_emulated.alive == 0, "allocation %d: %ld pieces left", (int)n.at, xn_emulated.alive);
            ck_assert(st == XANI_OK || n.reached);
            if (st == XANI_OK) xn_cube_free(&cube);
            failed += st != XANI_OK;
            xn_shots_free(&source.shots);
            xani_config_destroy(&c);
        }
        ck_assert_int_gt(failed, 30);
        ck_assert_int_eq(reduce(&f, &s, &hash), XANI_OK);
    }
    fake_free(&f);
}
END_TEST

START_TEST(test_small_devices)
{
    // A device with little memory gets smaller batches; one that cannot hold the sums is left out, or named.
    fake f;
    uint64_t hash;
    make(&f, 40);
    setting s = {.k = 1, .threads = 2, .device = CPU, .batch = 64};
    const uint64_t expected = hash_of(&f, &s);
    s.device = BOTH;
    long launches[2];
    for (int small = 0; small < 2; small++) {
        xn_emulation_reset();
        if (small) xn_emulated.memory = 200 << 10;
        ck_assert(hash_of(&f, &s) == expected);
        launches[small] = xn_emulated.launches;
    }
    ck_assert_msg(launches[1] > 2 * launches[0], "%ld, %ld launches", launches[0], launches[1]);
    xn_emulation_reset();
    xn_emulated.memory = 100 << 10;
    ck_assert_int_eq(reduce(&f, &s, &hash), XANI_ERR_CONFIG);
    ck_assert_msg(strstr(xani_error_text(ctx), "engine.memory_gib") != NULL, "%s", xani_error_text(ctx));
    s.device = SPARED;
    ck_assert(hash_of(&f, &s) == expected);
    ck_assert_int_eq(xn_emulated.launches, 0);
    fake_free(&f);
}
END_TEST

START_TEST(test_bad_frames)
{
    // A frame that cannot be read is told in the words of the processor, whoever was to read it.
    fake f;
    uint64_t hash;
    char expected[1024];
    make(&f, 41);
    setting s = {.k = 2, .threads = 2, .device = CPU, .batch = BATCH};
    f.fail_frame = 77;
    ck_assert_int_eq(reduce(&f, &s, &hash), XANI_ERR_INPUT);
    snprintf(expected, sizeof expected, "%s", xani_error_text(ctx));
    s.device = BOTH;
    ck_assert_int_eq(reduce(&f, &s, &hash), XANI_ERR_INPUT);
    ck_assert_str_eq(xani_error_text(ctx), expected);
    f.fail_frame = -1;
    give_file(&f, PACKED_FILE);
    struct stat info;
    FILE *file = fopen(path, "r+b");
    ck_assert(file != NULL && stat(path, &info) == 0);
    ck_assert_int_eq(fseek(file, (long)(info.st_size / 2), SEEK_SET), 0);
    for (int i = 0; i < 8200; i++) fputc(0xff, file); // more than a chunk
    fclose(file);
    s.device = CPU;
    ck_assert_int_eq(reduce(&f, &s, &hash), XANI_ERR_INPUT);
    snprintf(expected, sizeof expected, "%s", xani_error_text(ctx));
    s.threads = 1;
    for (int i = 0; i < 2; i++) {
        s.device = i ? BOTH : SPARED;
        ck_assert_int_eq(reduce(&f, &s, &hash), XANI_ERR_INPUT);
        ck_assert_str_eq(xani_error_text(ctx), expected);
    }
    fake_free(&f);
}
END_TEST
#endif

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, test_same, 0, 3);
    tcase_add_loop_test(t, test_detectors, 0, 8);
    tcase_add_test(t, test_cells);
    tcase_add_test(t, test_passes);
    tcase_add_test(t, test_goes_on);
    tcase_add_test(t, test_snapshots);
    tcase_add_test(t, test_declined);
#ifndef XN_REAL_DEVICE
    tcase_add_loop_test(t, test_failures, 0, 3);
    tcase_add_test(t, test_memory);
    tcase_add_test(t, test_small_devices);
    tcase_add_test(t, test_bad_frames);
#endif
}
XN_TEST_MAIN("device reduce", add)
