// SPDX-License-Identifier: BSD-3-Clause
// test_merge.c -- cubes of parts of the shots, merged in any order, are the cube of all shots bit by bit.
#include "fake_context.h"
#include "no_memory.h"

#include "reduce/internal.h"

enum { SHOTS = 400, PARTS = 3 };

#define BINS "delay_bins_ps: {start: -1, stop: 3, step: 0.25}"
#define SINGLE "reduce: {" BINS "}\nengine: {threads: 2}\n"
#define PLAIN "reduce: {" BINS ", spatial_bin: 2}\nengine: {threads: 2}\n"
#define CUTS "select: {i0: {min: 1.2, max: 8}, time_tool: {source: 'tool:amplitude', min: 0.5}}\n"

// The shots with number i of which keep(i, part) is `part`.
static void take_shots(const fake *f, int (*part_of)(int64_t), int part, xn_shots *s)
{
    fake_shots_copy(f, s);
    int64_t n = 0;
    for (int64_t i = 0; i < s->n; i++) {
        if (part >= 0 && part_of(i) != part) continue;
        s->pulse_id[n] = s->pulse_id[i];
        s->frame[n] = s->frame[i];
        s->laser[n] = s->laser[i];
        s->i0[n] = s->i0[i];
        s->delay_ps[n] = s->delay_ps[i];
        s->bin[n] = s->bin[i];
        s->verdict[n] = s->verdict[i];
        for (int e = 0; e < s->n_extra; e++) s->extra[e][n] = s->extra[e][i];
        n++;
    }
    s->n = n;
    s->missing = part <= 0 ? 5 : 0;
}

static void reduce_part(const fake *f, const char *yaml, int (*part_of)(int64_t), int part, xn_cube *cube)
{
    xn_config *c = NULL;
    ck_assert_int_eq(xn_config_parse(ctx, yaml, "exp.yaml", ".", &c), XANI_OK);
    xn_source s = f->source;
    take_shots(f, part_of, part, &s.shots);
    xani_status st = xn_reduce(ctx, c, &s, cube);
    ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
    xn_shots_free(&s.shots);
    xani_config_destroy(&c);
}

static void same(const void *a, const void *b, size_t bytes, const char *what)
{
    ck_assert_msg((a == NULL) == (b == NULL) && (a == NULL || memcmp(a, b, bytes) == 0), "%s differs", what);
}

static void same_sums(const xn_sums *a, const xn_sums *b)
{
    size_t bins = (size_t)a->nbins * 8, all = bins * (size_t)a->npix;
    ck_assert_int_eq(a->nbins, b->nbins);
    same(a->shots, b->shots, bins, "shots");
    same(a->i0_sum, b->i0_sum, bins, "i0_sum");
    same(a->i0_sq_sum, b->i0_sq_sum, bins, "i0_sq_sum");
    same(a->delay_sum, b->delay_sum, bins, "delay_sum");
    same(a->delay_sq_sum, b->delay_sq_sum, bins, "delay_sq_sum");
    same(a->s1, b->s1, all, "s1");
    same(a->s2, b->s2, all, "s2");
    same(a->x, b->x, all, "x");
}

static void same_cube_but_photons(const xn_cube *a, const xn_cube *b)
{
    size_t npix = (size_t)(a->ny * a->nx), all = (size_t)a->nbins * npix;
    same(&a->i0_scale, &b->i0_scale, 8, "i0_scale");
    same_sums(&a->on, &b->on);
    same_sums(&a->off, &b->off);
    same(a->signal, b->signal, 4 * all, "signal");
    same(a->errors, b->errors, 4 * all, "errors");
    same(a->mask, b->mask, 4 * npix, "mask");
    same(a->mean_frame, b->mean_frame, 4 * npix, "mean_frame");
    same(a->peak, b->peak, 8 * npix, "peak");
    same(a->delay_ps, b->delay_ps, (size_t)a->nbins * 8, "delay");
    same(a->weight, b->weight, (size_t)a->nbins * 8, "weight");
    same(a->pixel_mask, b->pixel_mask, (size_t)(a->det_ny * a->det_nx) * 4, "pixel_mask");
    size_t n = (size_t)a->shots.n;
    ck_assert_int_eq(a->shots.n, b->shots.n);
    ck_assert_int_eq(a->shots.missing, b->shots.missing);
    same(a->shots.pulse_id, b->shots.pulse_id, 8 * n, "pulse ids");
    same(a->shots.frame, b->shots.frame, 8 * n, "frames");
    same(a->shots.i0, b->shots.i0, 8 * n, "I0");
    same(a->shots.bin, b->shots.bin, 4 * n, "bins");
    same(a->shots.verdict, b->shots.verdict, n, "verdicts");
    ck_assert_int_eq(a->cutflow.n, b->cutflow.n);
    for (int i = 0; i < a->cutflow.n; i++) {
        ck_assert_str_eq(a->cutflow.name[i], b->cutflow.name[i]);
        ck_assert_int_eq(a->cutflow.on_left[i], b->cutflow.on_left[i]);
        ck_assert_int_eq(a->cutflow.off_left[i], b->cutflow.off_left[i]);
        ck_assert_int_eq(a->cutflow.unknown_left[i], b->cutflow.unknown_left[i]);
    }
}

static void same_cube(const xn_cube *a, const xn_cube *b)
{
    same_cube_but_photons(a, b);
    for (int e = 0; e < a->shots.n_extra; e++)
        same(a->shots.extra[e], b->shots.extra[e], 8 * (size_t)a->shots.n, "readings");
}

static int in_order(int64_t i) { return (int)(i * PARTS / SHOTS); }
static int interleaved(int64_t i) { return (int)(i / 4 % PARTS); }
static int one_small(int64_t i) { return i < 8 ? 0 : i < 16 ? 1 : 2; } // some bins and classes nearly empty

static const int orders[][PARTS] = {{0, 1, 2}, {2, 0, 1}, {1, 2, 0}, {2, 1, 0}};

static void merge_parts(const fake *f, const char *yaml, int (*part_of)(int64_t), const int *order, xn_cube *cube)
{
    xn_merge *m = NULL;
    ck_assert_int_eq(xn_merge_create(ctx, &m), XANI_OK);
    for (int i = 0; i < PARTS; i++) {
        char name[32];
        xn_cube part;
        snprintf(name, sizeof name, "part%d.h5", order[i]);
        reduce_part(f, yaml, part_of, order[i], &part);
        ck_assert_msg(xn_merge_add(ctx, m, &part, name) == XANI_OK, "%s", xani_error_text(ctx));
        xn_cube_free(&part);
    }
    ck_assert_msg(xn_merge_finish(ctx, m, 2, cube) == XANI_OK, "%s", xani_error_text(ctx));
    xn_merge_destroy(&m);
}

START_TEST(test_equal)
{
    // Parts in order, interleaved, and two of them with eight shots, in four orders: the bits of one reduction. The
    // largest I0 of one part is half of another's, so its scale differs.
    static int (*const splits[])(int64_t) = {in_order, interleaved, one_small};
    fake f;
    fake_make(&f, SHOTS, NULL, NULL, 31);
    for (int64_t i = 0; i < SHOTS; i++) {
        double *i0 = &f.source.shots.i0[i];
        if (in_order(i) == 1) *i0 = fmin(*i0, 3.5); // below 4, the others reach beyond
    }
    xn_cube all, joint;
    reduce_part(&f, CUTS PLAIN, in_order, -1, &all);
    for (int order = 0; order < 4; order++) {
        merge_parts(&f, CUTS PLAIN, splits[_i], orders[order], &joint);
        same_cube(&all, &joint);
        xn_cube_free(&joint);
    }
    xn_cube_free(&all);
    fake_free(&f);
}
END_TEST

START_TEST(test_masked_pixels)
{
    // With groups of one pixel, one that is saturated late in the run but early in a part is the same masked pixel.
    fake f;
    fake_make(&f, SHOTS, NULL, NULL, 38);
    int64_t first = 0;
    while (in_order(first) < 1) first++;
    f.words[(first + 5) * f.slab + 64] = 0xc000;
    f.words[(SHOTS - 3) * f.slab + 70] = 0xc000;
    xn_cube all, joint;
    reduce_part(&f, SINGLE, in_order, -1, &all);
    ck_assert_uint_eq(all.pixel_mask[64], XN_MASK_FULL);
    ck_assert_uint_eq(all.pixel_mask[70], XN_MASK_FULL);
    merge_parts(&f, SINGLE, in_order, orders[1], &joint);
    same_cube_but_photons(&all, &joint);
    xn_cube_free(&joint);
    xn_cube_free(&all);
    fake_free(&f);
}
END_TEST

START_TEST(test_masked_in_one)
{
    // A pixel that is saturated in a late shot of one part, a group whose laser-off shots of one part hold no photon,
    // and one so bright in one part that only the sums of all shots could not take it: as in one reduction.
    fake f;
    fake_make(&f, SHOTS, NULL, NULL, 32);
    f.words[(SHOTS - 3) * f.slab + 64] = 0xc000;
    for (int64_t i = 0; i < SHOTS / PARTS; i++)
        if (f.source.shots.laser[i] == XN_LASER_OFF) // group (1, 1): two rows of two
            for (int k = 0; k < 4; k++) {
                int64_t p = (2 + k / 2) * FAKE_NX + 2 + k % 2;
                f.words[i * f.slab + p] = (uint16_t)(f.source.cal.pedestal[0][p] - 60);
            }
    xn_cube all, joint, part;
    reduce_part(&f, PLAIN, in_order, 0, &part);
    ck_assert_uint_eq(part.mask[15 + 1], XN_MASK_DEAD);
    xn_cube_free(&part);
    reduce_part(&f, PLAIN, in_order, -1, &all);
    ck_assert_uint_eq(all.mask[15 + 1], 0);
    ck_assert_uint_eq(all.mask[1 * 15 + 2], XN_MASK_FULL);
    ck_assert_int_eq(all.on.s1[1 * 15 + 2], 0);
    for (int order = 0; order < 4; order++) {
        merge_parts(&f, PLAIN, in_order, orders[order], &joint);
        same_cube(&all, &joint);
        xn_cube_free(&joint);
    }
    xn_cube_free(&all);
    fake_free(&f);
}
END_TEST

START_TEST(test_bound)
{
    // The largest intensity that sums of so many shots take: a group beyond it is masked, also when only the cubes
    // together have so many shots.
    fake f;
    fake_make(&f, SHOTS, NULL, NULL, 33);
    xn_cube all, joint;
    reduce_part(&f, PLAIN, in_order, -1, &all);
    xn_fixed_point whole;
    ck_assert_int_eq(xn_fixed_point_of(ctx, &all.shots, 16, 2, &whole), XANI_OK);
    ck_assert_int_gt(all.off.shots[0], 64);
    xn_merge *m = NULL;
    ck_assert_int_eq(xn_merge_create(ctx, &m), XANI_OK);
    for (int i = 0; i < PARTS; i++) {
        xn_cube part;
        reduce_part(&f, PLAIN, in_order, i, &part);
        if (i == 1) part.peak[40] = whole.bound + 1; // fits there: fewer shots, a larger bound
        ck_assert_int_eq(xn_merge_add(ctx, m, &part, "part"), XANI_OK);
        xn_cube_free(&part);
    }
    ck_assert_int_eq(xn_merge_finish(ctx, m, 1, &joint), XANI_OK);
    ck_assert_uint_eq(joint.mask[40], all.mask[40] | XN_MASK_RANGE);
    ck_assert_int_eq(joint.on.s1[40], 0);
    ck_assert(isnan(joint.signal[40]));
    same(all.on.s1, joint.on.s1, 40 * 8, "s1 of the others");
    xn_merge_destroy(&m);
    xn_cube_free(&joint);
    xn_cube_free(&all);
    fake_free(&f);
}
END_TEST

START_TEST(test_blocks)
{
    // An off reference per block of time: each shot keeps the block it had. Equal to one reduction where its blocks end
    // where the parts do, within the rounding of float64; the integer sums are equal to the bit.
    fake f;
    fake_make(&f, SHOTS, NULL, NULL, 34);
    const char *yaml = "reduce: {" BINS ", spatial_bin: 2, off: {mode: blocks, block_shots: 50}}\n";
    static const int order[PARTS] = {0, 1, 2};
    xn_cube all, joint;
    reduce_part(&f, yaml, one_small, -1, &all);
    merge_parts(&f, yaml, in_order, order, &joint);
    size_t npix = (size_t)(all.ny * all.nx);
    same_sums(&all.on, &joint.on);
    same_sums(&all.off, &joint.off);
    double worst = 0, error = 0;
    for (size_t i = 0; i < 16 * npix; i++) {
        ck_assert_int_eq(isnan(all.signal[i]), isnan(joint.signal[i]));
        if (isnan(all.signal[i])) continue;
        worst = fmax(worst, fabs((double)all.signal[i] - (double)joint.signal[i]));
        error = fmax(error, (double)all.errors[i]);
    }
    ck_assert_double_gt(worst, 0); // the blocks of 133 shots are others
    ck_assert_double_lt(worst, error);
    xn_cube_free(&joint);
    xn_cube_free(&all);
    fake_free(&f);
}
END_TEST

static const struct {
    const char *yaml, *says;
} unlike[] = {
    {"reduce: {delay_bins_ps: {start: -1, stop: 3, step: 0.5}, spatial_bin: 2}\n", "16 and 8 delay bins"},
    {"reduce: {delay_bins_ps: {start: -1.01, stop: 2.99, step: 0.25}, spatial_bin: 2}\n", "edge 0 is -1 and -1.01 ps"},
    {"reduce: {" BINS "}\n", "groups of 2 x 2 and 1 x 1 pixels"},
    {"reduce: {" BINS ", spatial_bin: 2, off: {mode: blocks, block_shots: 40}}\n", "reduce.off.mode"},
    {"reduce: {" BINS ", spatial_bin: 2}\nselect: {cuts: {source: valve, min: 0}}\n", "different cuts were made"},
};

START_TEST(test_unlike)
{
    // Cubes that are not sums of the same quantity are refused by both names and what differs.
    fake f;
    fake_make(&f, SHOTS, NULL, NULL, 35);
    xn_cube a, b;
    xn_merge *m = NULL;
    reduce_part(&f, PLAIN, in_order, 0, &a);
    reduce_part(&f, unlike[_i].yaml, in_order, 1, &b);
    ck_assert_int_eq(xn_merge_create(ctx, &m), XANI_OK);
    ck_assert_int_eq(xn_merge_add(ctx, m, &a, "a.h5"), XANI_OK);
    ck_assert_int_eq(xn_merge_add(ctx, m, &b, "b.h5"), XANI_ERR_INPUT);
    const char *text = xani_error_text(ctx);
    ck_assert_msg(strstr(text, "a.h5 and b.h5 cannot be merged") && strstr(text, unlike[_i].says), "%s", text);
    xn_cube_free(&a);
    xn_cube_free(&b);
    xn_merge_destroy(&m);
    fake_free(&f);
}
END_TEST

static xani_status merge_two(xn_cube *a, xn_cube *b)
{
    xn_merge *m = NULL;
    ck_assert_int_eq(xn_merge_create(ctx, &m), XANI_OK);
    xani_status st = xn_merge_add(ctx, m, a, "a.h5");
    if (st == XANI_OK) st = xn_merge_add(ctx, m, b, "b.h5");
    xn_merge_destroy(&m);
    xn_cube_free(a);
    xn_cube_free(b);
    return st;
}

START_TEST(test_refused)
{
    // The same shots twice, an I0 too small for a common scale, a pixel left out of its group in one cube only, sums
    // that are not there.
    fake f;
    fake_make(&f, SHOTS, NULL, NULL, 36);
    xn_cube a, b;
    reduce_part(&f, PLAIN, in_order, 0, &a);
    reduce_part(&f, PLAIN, in_order, 0, &b);
    ck_assert_int_eq(merge_two(&a, &b), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "shot 1000000 is in both"));
    xn_clear_error(ctx);
    int64_t first = 0;
    while (in_order(first) < 1 || f.source.shots.laser[first] != XN_LASER_ON) first++;
    f.source.shots.i0[0] = 1.2345678e-3;
    f.source.shots.i0[first] = 3e4;
    reduce_part(&f, PLAIN, in_order, 0, &a);
    reduce_part(&f, PLAIN, in_order, 1, &b);
    ck_assert_int_eq(merge_two(&a, &b), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "too small beside the largest of all cubes"));
    xn_clear_error(ctx);
    f.source.shots.i0[0] = f.source.shots.i0[first] = 3;
    f.words[first * f.slab + 31] = 0xc000; // among the first shots of part 1: left out there
    reduce_part(&f, PLAIN, in_order, 0, &a);
    reduce_part(&f, PLAIN, in_order, 1, &b);
    ck_assert_int_eq(merge_two(&a, &b), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "1 pixels are in the groups of one only, the first is (1, 1)"));
    xn_clear_error(ctx);
    reduce_part(&f, PLAIN, in_order, 0, &a);
    reduce_part(&f, PLAIN, in_order, 2, &b);
    b.scale2_read = 256; // of groups of one pixel: the units of S2 and X are others
    ck_assert_int_eq(merge_two(&a, &b), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "s2_root_units_per_photon is 256"));
    xn_clear_error(ctx);
    reduce_part(&f, PLAIN, in_order, 0, &a);
    reduce_part(&f, PLAIN, in_order, 2, &b);
    xn_free(b.on.x);
    b.on.x = NULL;
    ck_assert_int_eq(merge_two(&a, &b), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "b.h5: /entry/sums/on/x is missing"));
    fake_free(&f);
}
END_TEST

START_TEST(test_memory)
{
    // Every allocation of adding and finishing fails once: an error, and nothing is lost or freed twice.
    fake f;
    fake_make(&f, 120, NULL, NULL, 37);
    no_memory n = NO_MEMORY;
    for (; n.reached; no_memory_next(&n)) {
        xn_cube part[2], joint = {0};
        for (int i = 0; i < 2; i++) reduce_part(&f, PLAIN, interleaved, i, &part[i]);
        xn_merge *m = NULL;
        no_memory_begin(&n);
        xani_status st = xn_merge_create(ctx, &m);
        for (int i = 0; i < 2 && st == XANI_OK; i++) st = xn_merge_add(ctx, m, &part[i], "part");
        if (st == XANI_OK) st = xn_merge_finish(ctx, m, 1, &joint);
        no_memory_end();
        // the check of the sign only warns
        if (st != XANI_OK) ck_assert(n.reached && st == XANI_ERR_MEMORY);
        xn_clear_error(ctx);
        if (m != NULL) xn_merge_destroy(&m);
        xn_cube_free(&joint);
        for (int i = 0; i < 2; i++) xn_cube_free(&part[i]);
    }
    ck_assert_uint_ge(n.at, 12);
    fake_free(&f);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, test_equal, 0, 3);
    tcase_add_test(t, test_masked_pixels);
    tcase_add_test(t, test_masked_in_one);
    tcase_add_test(t, test_bound);
    tcase_add_test(t, test_blocks);
    tcase_add_loop_test(t, test_unlike, 0, (int)(sizeof unlike / sizeof unlike[0]));
    tcase_add_test(t, test_refused);
    tcase_add_test(t, test_memory);
}
XN_TEST_MAIN("merge", add)
