// SPDX-License-Identifier: BSD-3-Clause
// test_corrections.c -- memory cells and corrections of whole frames within reduce: exact sums, any order, all
// failures.
#include "fake_context.h"
#include "no_memory.h"

#include "reduce/internal.h"

enum { SHOTS = 120, SLAB = FAKE_NY * FAKE_NX };

#define BINS "reduce: {delay_bins_ps: {start: -1, stop: 3, step: 1}"
#define ALL                                                                                                            \
    "input: {double_pixels: interpolate, chip_px: [11, 5], common_mode: {rows: true, banks: true, bank_px: [11, 6], "  \
    "min_pixels: 3}}\n" BINS ", photons: {method: neighbour}}\n"

static xani_status reduce(const fake *f, const char *yaml, int64_t batch, xn_cube *cube)
{
    xn_config *c = NULL;
    ck_assert_msg(xn_config_parse(ctx, yaml, "exp.yaml", ".", &c) == XANI_OK, "%s", xani_error_text(ctx));
    xn_source s = f->source;
    fake_shots_copy(f, &s.shots);
    xani_status st = xn_reduce_batched(ctx, c, &s, NULL, batch, cube);
    xn_shots_free(&s.shots);
    xani_config_destroy(&c);
    return st;
}

// Two modules of 11 rows, so that chips and banks fill them.
static void make(fake *f, int64_t shots, uint64_t seed)
{
    fake_make(f, shots, NULL, NULL, seed);
    f->source.module_rows[0] = f->source.module_rows[1] = 11;
}

static void runs(const fake *f, const char *yaml, int64_t batch, xn_cube *cube)
{
    ck_assert_msg(reduce(f, yaml, batch, cube) == XANI_OK, "%s", xani_error_text(ctx));
}

// Photons of a word in fixed point by the planes of its frame's cell.
static int32_t photons_of(const fake *f, int64_t shot, int64_t pixel)
{
    const xn_calibration *c = &f->source.cal;
    int64_t at = (c->cell != NULL ? c->cell[shot] * SLAB : 0) + pixel;
    float p[3], g[3];
    for (int s = 0; s < 3; s++) {
        p[s] = c->pedestal[s][at];
        g[s] = c->factor[s][at] * XN_CALIB_ONE;
    }
    return xn_calib_jungfrau(f->words[shot * SLAB + pixel], p, g);
}

static bool is_off(const fake *f, int64_t shot) { return f->source.shots.laser[shot] == XN_LASER_OFF; }

START_TEST(test_cells)
{
    // Every frame takes the planes of its memory cell; a pixel without calibration in one cell is out.
    fake f;
    make(&f, SHOTS, 31);
    xn_calibration *c = &f.source.cal;
    for (int s = 0; s < 3; s++) {
        c->pedestal[s] = xn_realloc(c->pedestal[s], 3 * SLAB, sizeof(float));
        c->factor[s] = xn_realloc(c->factor[s], 3 * SLAB, sizeof(float));
        for (int64_t i = SLAB; i < 3 * SLAB; i++) {
            c->pedestal[s][i] = c->pedestal[s][i - SLAB] - 20;
            c->factor[s][i] = c->factor[s][i - SLAB] * 1.25F;
        }
    }
    c->factor[0][2 * SLAB + 77] = NAN;
    c->n_cells = 3;
    c->cell = xn_alloc(SHOTS, sizeof *c->cell);
    for (int i = 0; i < SHOTS; i++) c->cell[i] = (uint16_t)(i / 4 % 3);
    for (int by_frame = 0; by_frame < 2; by_frame++) {
        xn_cube cube;
        runs(&f, by_frame ? BINS ", photons: {method: round}}\n" : BINS "}\n", 0, &cube);
        ck_assert_uint_eq(cube.mask[77], XN_MASK_INVALID);
        int64_t used = 0;
        for (int64_t p = 0; p < SLAB; p++) {
            int64_t sum = 0;
            for (int64_t i = 0; i < SHOTS; i++) {
                int32_t q = is_off(&f, i) ? photons_of(&f, i, p) : 0;
                sum += by_frame ? (q > 0 ? (q + 0x8000) & ~0xffff : 0) : q;
            }
            if (cube.mask[p] != 0) continue;
            ck_assert_int_eq(cube.off.s1[p], sum);
            used++;
        }
        ck_assert_int_gt(used, SLAB - 40);
        xn_cube_free(&cube);
    }
    c->cell = (xn_free(c->cell), NULL);
    xn_cube cube;
    ck_assert_int_eq(reduce(&f, BINS "}\n", 0, &cube), XANI_ERR_INTERNAL); // frames of unknown cells
    xn_clear_error(ctx);
    fake_free(&f);
}
END_TEST

START_TEST(test_any_order)
{
    // All corrections at once: one cube for any number of threads, batch size and instruction set.
    fake f;
    make(&f, SHOTS, 32);
    xn_cube first;
    runs(&f, ALL "engine: {threads: 1, kernels: scalar}\n", 1, &first);
    int64_t moved = 0;
    xn_cube plain;
    runs(&f, BINS "}\n", 0, &plain);
    for (int64_t p = 0; p < SLAB; p++) {
        if (first.mask[p] == 0) ck_assert_int_eq(first.off.s1[p] & 0xffff, 0); // whole photons
        moved += first.off.s1[p] != plain.off.s1[p];
    }
    ck_assert_int_gt(moved, SLAB / 2);
    xn_cube_free(&plain);
    static const char *const engines[] = {"engine: {threads: 3}\n", "engine: {threads: 2, kernels: avx2}\n",
                                          "engine: {kernels: avx512}\n", "engine: {threads: 4, kernels: scalar}\n"};
    for (int e = 0; e < 4; e++)
        for (int64_t batch = 0; batch < 50; batch += 17) {
            char yaml[1024];
            snprintf(yaml, sizeof yaml, ALL "%s", engines[e]);
            xn_cube cube;
            if (strstr(yaml, "avx") != NULL && xn_reduce_kernels_find(e == 1 ? "avx2" : "avx512") == NULL) continue;
            runs(&f, yaml, batch, &cube);
            ck_assert_mem_eq(cube.off.s1, first.off.s1, SLAB * sizeof(int64_t));
            ck_assert_mem_eq(cube.on.s1, first.on.s1, (size_t)cube.nbins * SLAB * sizeof(int64_t));
            ck_assert_mem_eq(cube.mask, first.mask, SLAB * sizeof(uint32_t));
            xn_cube_free(&cube);
        }
    xn_cube_free(&first);
    fake_free(&f);
}
END_TEST

static int64_t masked_shot;

static xani_status fake_read_mask(xn_ctx *c, xn_source *s, int64_t frame, uint32_t *dst, void *scratch)
{
    (void)c;
    (void)scratch;
    memset(dst, 0, (size_t)(s->ny * s->nx) * sizeof *dst);
    dst[60] = 1u << 7; // a bit that does not count
    if (frame == masked_shot) dst[50] = 1u << 12 | 1u << 7;
    return XANI_OK;
}

START_TEST(test_frame_mask)
{
    // A value whose mask word in one frame has a bit that counts masks its pixel, whichever frame it is.
    fake f;
    make(&f, SHOTS, 33);
    xn_source_ops ops = *f.source.ops;
    ops.read_mask = fake_read_mask;
    f.source.ops = &ops;
    for (masked_shot = 0; masked_shot < SHOTS; masked_shot += 83) {
        xn_cube with, without;
        f.source.cal.frame_mask = 1u << 12;
        runs(&f, BINS "}\n", 0, &with);
        f.source.cal.frame_mask = 0;
        runs(&f, BINS "}\n", 0, &without);
        ck_assert_uint_eq(with.mask[50], XN_MASK_INVALID);
        ck_assert_uint_eq(without.mask[50], 0);
        for (int64_t p = 0; p < SLAB; p++)
            if (p != 50) {
                ck_assert_uint_eq(with.mask[p], without.mask[p]);
                ck_assert_int_eq(with.off.s1[p], without.off.s1[p]);
            }
        xn_cube_free(&with);
        xn_cube_free(&without);
    }
    fake_free(&f);
}
END_TEST

START_TEST(test_bad_words)
{
    // Invalid and saturated words keep their reason through all corrections, early and late in the run.
    fake f;
    make(&f, SHOTS, 34);
    f.words[2 * SLAB + 40] = 2u << 14 | 5;
    f.words[(SHOTS - 2) * SLAB + 41] = 2u << 14 | 5;
    f.words[3 * SLAB + 42] = XN_JUNGFRAU_FULL;
    f.words[(SHOTS - 1) * SLAB + 43] = XN_JUNGFRAU_FULL_G0;
    static const char *const how[] = {BINS "}\n", ALL, BINS ", photons: {method: droplet}}\n"};
    for (int i = 0; i < 3; i++) {
        xn_cube cube;
        runs(&f, how[i], 0, &cube);
        ck_assert_uint_eq(cube.mask[40], XN_MASK_INVALID);
        ck_assert_uint_eq(cube.mask[41], XN_MASK_INVALID);
        ck_assert_uint_eq(cube.mask[42], XN_MASK_FULL);
        ck_assert_uint_eq(cube.mask[43], XN_MASK_FULL);
        xn_cube_free(&cube);
    }
    fake_free(&f);
}
END_TEST

START_TEST(test_double_mask)
{
    // double_pixels: mask leaves out the pixels beside the chips' gaps, nothing else.
    fake f;
    make(&f, SHOTS, 35);
    xn_cube cube, plain = {0};
    f.source.module_rows[0] = 8;
    f.source.module_rows[1] = 14;
    ck_assert_int_eq(reduce(&f, "input: {double_pixels: mask, chip_px: [4, 10]}\n" BINS "}\n", 0, &plain),
                     XANI_ERR_CONFIG);
    xn_clear_error(ctx);
    f.source.module_rows[0] = f.source.module_rows[1] = 11;
    runs(&f, BINS "}\n", 0, &plain);
    runs(&f, "input: {double_pixels: mask, chip_px: [11, 10]}\n" BINS "}\n", 0, &cube);
    for (int64_t p = 0; p < SLAB; p++) {
        int64_t x = p % FAKE_NX;
        bool wide = x == 9 || x == 10 || x == 19 || x == 20;
        ck_assert_uint_eq(cube.mask[p], plain.mask[p] | (wide ? XN_MASK_INVALID : 0));
    }
    xn_cube_free(&plain);
    xn_cube_free(&cube);
    ck_assert_int_eq(reduce(&f, "input: {double_pixels: mask}\n" BINS "}\n", 0, &plain), XANI_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "chip_px"));
    xn_clear_error(ctx);
    fake_free(&f);
}
END_TEST

START_TEST(test_memory)
{
    // Whichever allocation fails, reduce says so and leaves nothing behind.
    fake f;
    make(&f, 30, 36);
    xani_status st = XANI_OK;
    no_memory n = NO_MEMORY;
    for (; n.reached; no_memory_next(&n)) {
        xn_cube cube = {0};
        xn_config *c = NULL;
        ck_assert_int_eq(xn_config_parse(ctx, ALL, "exp.yaml", ".", &c), XANI_OK);
        xn_source s = f.source;
        fake_shots_copy(&f, &s.shots);
        no_memory_begin(&n);
        st = xn_reduce_batched(ctx, c, &s, NULL, 0, &cube);
        no_memory_end();
        ck_assert(st == XANI_OK || st == XANI_ERR_MEMORY);
        xn_clear_error(ctx);
        xn_cube_free(&cube);
        xn_shots_free(&s.shots);
        xani_config_destroy(&c);
    }
    ck_assert_int_eq(st, XANI_OK);
    ck_assert_uint_gt(n.at, 20);
    fake_free(&f);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_cells);
    tcase_add_test(t, test_any_order);
    tcase_add_test(t, test_frame_mask);
    tcase_add_test(t, test_bad_words);
    tcase_add_test(t, test_double_mask);
    tcase_add_test(t, test_memory);
}
XN_TEST_MAIN("corrections", add)
