// SPDX-License-Identifier: BSD-3-Clause
// test_detector.c -- constants of detectors: text files, ranges of the ePix10ka, bits of masks, failing memory.
#include "h5write.h"
#include "no_memory.h"

#include "source/detector/detector.h"

enum { NY = 8, NX = 6, PLANE = NY * NX };

static xn_ctx *ctx;
static xn_source source;
static char dir[512], path[700];

static void set_up(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(dir, sizeof dir, "%s", xn_test_dir("detector"));
}

static void drop_source(void)
{
    for (int g = 0; g < 3; g++) {
        xn_free(source.cal.pedestal[g]);
        xn_free(source.cal.factor[g]);
    }
    xn_free(source.cal.cell);
    xn_free(source.cal.quiet);
    xn_free(source.mask);
    xn_free(source.module_rows);
    memset(&source, 0, sizeof source);
}

static void tear_down(void)
{
    drop_source();
    xani_destroy(&ctx);
}

static void fresh_source(xn_type type)
{
    drop_source();
    source.ny = NY;
    source.nx = NX;
    source.type = type;
    source.n_modules = 2;
    source.module_rows = xn_alloc(2, sizeof *source.module_rows);
    source.module_rows[0] = source.module_rows[1] = NY / 2;
}

static void write_text(const char *name, const char *text)
{
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert(fputs(text, f) >= 0);
    ck_assert_int_eq(fclose(f), 0);
}

START_TEST(test_text)
{
    // Shape and numbers of psana's text, with and without a header; exponents, signs and NaN; line ends of both kinds.
    float *v = NULL;
    int rank = 0;
    int64_t dims[XANI_MAX_RANK];
    write_text("a.data",
               "# TITLE x\n# DTYPE float32\n# NDIM 3\n# DIM:1 1\n# DIM:2 2\n# DIM:3 3\n1 2.5 -3e2\r\n  nan 0 1e-3 \n");
    ck_assert_int_eq(xn_text_array(ctx, path, &v, &rank, dims), XANI_OK);
    ck_assert_int_eq(rank, 3);
    ck_assert(dims[0] == 1 && dims[1] == 2 && dims[2] == 3);
    ck_assert(v[0] == 1 && v[1] == 2.5F && v[2] == -300 && isnan(v[3]) && v[4] == 0 && v[5] == 1e-3F);
    xn_free(v);
    write_text("b.data", "# nothing said\n1 2\n3 4\n5 6");
    ck_assert_int_eq(xn_text_array(ctx, path, &v, &rank, dims), XANI_OK);
    ck_assert(rank == 2 && dims[0] == 3 && dims[1] == 2 && v[5] == 6);
    xn_free(v);
}
END_TEST

START_TEST(test_text_damaged)
{
    // What does not fit is an error that names the file and, where one is wrong, the line.
    static const char *const bad[][2] = {
        {"# NDIM 2\n# DIM:1 2\n# DIM:2 2\n1 2 3\n", "3 numbers"},
        {"# NDIM 0\n1\n", ":1: no number of dimensions"},
        {"# NDIM 99\n1\n", ":1: no number"},
        {"# DIM:0 3\n1\n", ":1: no dimension"},
        {"# DIM:1\n1\n", ":1: no dimension"},
        {"1 2\n3 4x\n", ":2: \"4x\""},
        {"", "0 numbers"},
        {"# NDIM 2\n# DIM:1 4000000000000\n1\n", ":2"},
        {"# NDIM 3\n# DIM:1 1073741824\n# DIM:2 1073741824\n# DIM:3 1073741824\n1\n", "1 numbers"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        float *v = NULL;
        int rank = 0;
        int64_t dims[XANI_MAX_RANK];
        write_text("bad.data", bad[i][0]);
        ck_assert_int_eq(xn_text_array(ctx, path, &v, &rank, dims), XANI_ERR_INPUT);
        ck_assert_msg(strstr(xani_error_text(ctx), bad[i][1]) != NULL, "\"%s\" is not in \"%s\"", bad[i][1],
                      xani_error_text(ctx));
        ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "bad.data"));
        xn_clear_error(ctx);
    }
    float *v = NULL;
    int rank = 0;
    int64_t dims[XANI_MAX_RANK];
    ck_assert_int_eq(xn_text_array(ctx, "/nowhere/x.data", &v, &rank, dims), XANI_ERR_INPUT);
}
END_TEST

START_TEST(test_ranges)
{
    // The table of configuration bits (formats.md 4.2), all 64 of them with both states of bit 14.
    for (unsigned bits = 0; bits < 64; bits++)
        for (unsigned s = 0; s < 2; s++) {
            unsigned data = s << 5, b = (bits & 28) | data;
            int expected = -1;
            if ((b & 28) == 28) expected = 0;
            if ((b & 28) == 12) expected = 1;
            if ((b & 12) == 8) expected = 2;
            if ((b & 60) == 16) expected = 3;
            if ((b & 60) == 0) expected = 4;
            if ((b & 60) == 48) expected = 5;
            if ((b & 60) == 32) expected = 6;
            ck_assert_int_eq(xn_epix10ka_range(bits, s), expected);
        }
}
END_TEST

START_TEST(test_mask_bits)
{
    // No word but 0 is good, except bits that NXmx does not count; every name of the European XFEL's table is known.
    static const xn_mask_table tables[] = {XN_BITS_ANY, XN_BITS_PSI, XN_BITS_EUXFEL};
    for (int t = 0; t < 3; t++) {
        ck_assert_uint_eq(xn_mask_nxmx(tables[t], 0), 0);
        for (int bit = 0; bit < 32; bit++) ck_assert_uint_ne(xn_mask_nxmx(tables[t], 1u << bit) & 0xffff, 0);
    }
    for (int bit = 0; bit < 32; bit++)
        ck_assert_uint_eq(xn_mask_nxmx(XN_BITS_NXMX, 1u << bit), bit < 16 ? 1u << bit : 0);
    ck_assert_uint_eq(xn_mask_nxmx(XN_BITS_EUXFEL, UINT32_MAX), XN_PIXEL_GAP); // no data of the module
    ck_assert_int_eq(xn_mask_bit(XN_BITS_EUXFEL, "CI_GAIN_OF_OF_THRESHOLD"), 4);
    ck_assert_int_eq(xn_mask_bit(XN_BITS_EUXFEL, "USER2"), 31);
    ck_assert_int_eq(xn_mask_bit(XN_BITS_EUXFEL, "16"), 16);
    ck_assert_int_eq(xn_mask_bit(XN_BITS_ANY, "INTERPOLATED"), -1);
    ck_assert_int_eq(xn_mask_bit(XN_BITS_ANY, "32"), -1);
    ck_assert_int_eq(xn_mask_bit(XN_BITS_ANY, ""), -1);
}
END_TEST

static void write_epix(const char *name)
{
    float planes[7 * PLANE];
    uint8_t bits[PLANE];
    for (int i = 0; i < 7 * PLANE; i++) planes[i] = (float)(1 + i / PLANE + 0.001 * (i % PLANE));
    for (int i = 0; i < PLANE; i++) bits[i] = (uint8_t)(i * 4 % 32);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    h5_make(path);
    h5_put(path, "pedestals", H5T_NATIVE_FLOAT, H5_SHAPE(7, 2, NY / 2, NX), planes);
    h5_put(path, "pixel_gain", H5T_NATIVE_FLOAT, H5_SHAPE(7, 2, NY / 2, NX), planes);
    h5_put(path, "configuration", H5T_NATIVE_UINT8, H5_SHAPE(NY, NX), bits);
}

#define EPIX                                                                                                           \
    "experiment: {energy_kev: 2}\n"                                                                                    \
    "input: {detector: epix10ka, calibration: {pedestal: epix.h5, gain: epix.h5, ranges_file: epix.h5}}\n"

static xani_status load(const char *yaml, xn_type type)
{
    const xn_detector_ask ask = {.kev_per_unit = NAN};
    xn_config *c = NULL;
    ck_assert_msg(xn_config_parse(ctx, yaml, "exp.yaml", dir, &c) == XANI_OK, "%s", xani_error_text(ctx));
    fresh_source(type);
    xani_status st = xn_detector_load(ctx, c, &ask, &source);
    xani_config_destroy(&c);
    return st;
}

START_TEST(test_epix)
{
    // Each pixel has the two planes of its configuration; impossible ones are masked; low ranges take no part in
    // common mode.
    write_epix("epix.h5");
    ck_assert_msg(load(EPIX, XN_U16) == XANI_OK, "%s", xani_error_text(ctx));
    ck_assert_int_eq(source.cal.kind, XN_CAL_EPIX10KA);
    ck_assert(source.cal.bank_rows == 176 && source.cal.bank_columns == 48);
    for (int i = 0; i < PLANE; i++) {
        unsigned bits = (unsigned)(i * 4 % 32);
        unsigned quiet = 0;
        if (xn_epix10ka_range(bits, 0) < 0) {
            ck_assert_uint_ne(source.mask[i] & XN_PIXEL_DEAD, 0);
            continue;
        }
        ck_assert_uint_eq(source.mask[i], 0);
        for (unsigned s = 0; s < 2; s++) {
            int range = xn_epix10ka_range(bits, s);
            float v = (float)(1 + range + 0.001 * i);
            ck_assert_float_eq(source.cal.pedestal[s][i], v);
            ck_assert_float_eq_tol(source.cal.factor[s][i], 1 / (v * 2), 1e-7F);
            quiet |= range == 2 || range > 4 ? 0 : 1u << s;
        }
        ck_assert_uint_eq(source.cal.quiet[i], quiet);
    }
    ck_assert_int_eq(load(EPIX, XN_F32), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "uint16"));
}
END_TEST

START_TEST(test_cells)
{
    // Constants with an axis of memory cells, as many as the frames use; fewer are an error, none serve all cells.
    float planes[3 * 4 * PLANE];
    for (int i = 0; i < 3 * 4 * PLANE; i++) planes[i] = (float)(1 + i);
    snprintf(path, sizeof path, "%s/cells.h5", dir);
    h5_make(path);
    h5_put(path, "gains", H5T_NATIVE_FLOAT, H5_SHAPE(3, 4, NY, NX), planes);
    for (int cells = 1; cells < 6; cells++) {
        const xn_detector_ask ask = {.kev_per_unit = NAN};
        xn_config *c = NULL;
        ck_assert_int_eq(xn_config_parse(ctx,
                                         "experiment: {energy_kev: 1}\ninput: {calibration: {pedestal: cells.h5, "
                                         "gain_stages: [1, 2, 4]}}\n",
                                         "exp.yaml", dir, &c),
                         XANI_OK);
        fresh_source(XN_U16);
        source.cal.n_cells = cells;
        source.cal.cell = xn_calloc(10, sizeof *source.cal.cell);
        xani_status st = xn_detector_load(ctx, c, &ask, &source);
        ck_assert_int_eq(st, cells <= 4 ? XANI_OK : XANI_ERR_INPUT);
        for (int s = 0; s < 3 && st == XANI_OK; s++)
            for (int i = 0; i < cells * PLANE; i++) {
                ck_assert_float_eq(source.cal.pedestal[s][i], planes[s * 4 * PLANE + i]);
                ck_assert_float_eq(source.cal.factor[s][i], 1.0F / (float)(1 << s));
            }
        xani_config_destroy(&c);
    }
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "4 memory cells, the frames use 5"));
}
END_TEST

START_TEST(test_memory)
{
    // Whichever allocation fails, loading says so and leaves nothing behind.
    write_epix("epix.h5");
    write_text("p.data", "# NDIM 2\n# DIM:1 8\n# DIM:2 6\n1 1 1 1 1 1 2 2 2 2 2 2 3 3 3 3 3 3 4 4 4 4 4 4\n"
                         "5 5 5 5 5 5 6 6 6 6 6 6 7 7 7 7 7 7 8 8 8 8 8 8\n");
    static const char *const how[] = {
        EPIX, "experiment: {energy_kev: 2}\n"
              "input: {detector: mpccd, calibration: {pedestal: p.data, gain_modules: [17, 18]}}\n"};
    for (int k = 0; k < 2; k++) {
        xani_status st = XANI_OK;
        no_memory n = NO_MEMORY;
        for (; n.reached; no_memory_next(&n)) {
            const xn_detector_ask ask = {.kev_per_unit = NAN};
            xn_config *c = NULL;
            ck_assert_int_eq(xn_config_parse(ctx, how[k], "exp.yaml", dir, &c), XANI_OK);
            fresh_source(XN_U16);
            no_memory_begin(&n);
            st = xn_detector_load(ctx, c, &ask, &source);
            no_memory_end();
            ck_assert_msg(st == XANI_OK || st == XANI_ERR_MEMORY, "%d: %s", st, xani_error_text(ctx));
            xn_clear_error(ctx);
            xani_config_destroy(&c);
        }
        ck_assert_int_eq(st, XANI_OK);
        ck_assert_uint_gt(n.at, 5);
    }
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_text);
    tcase_add_test(t, test_text_damaged);
    tcase_add_test(t, test_ranges);
    tcase_add_test(t, test_mask_bits);
    tcase_add_test(t, test_epix);
    tcase_add_test(t, test_cells);
    tcase_add_test(t, test_memory);
}
XN_TEST_MAIN("detector", add)
