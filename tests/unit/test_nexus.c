// SPDX-License-Identifier: BSD-3-Clause
// test_nexus.c -- finding and reading frames of NeXus files: attributes in every form, values that are none, damage.
#include "h5write.h"
#include "no_memory.h"

#include "source/nexus/nexus.h"
#include "source/source.h"

enum { N = 6, NY = 16, NX = 17, PLANE = NY * NX };

static xn_ctx *ctx;
static xn_config *config;
static char dir[512], path[600];

static void set_up(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(dir, sizeof dir, "%s", xn_test_dir("nexus"));
    snprintf(path, sizeof path, "%s/a_master.h5", dir);
    h5_make(path);
}

static void tear_down(void)
{
    xani_config_destroy(&config);
    xani_destroy(&ctx);
}

// ---- attributes, by the library itself

static void attr(const char *object, const char *name, const char *text)
{
    hid_t f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, strlen(text) + 1);
    if (H5Aexists_by_name(f, object, name, H5P_DEFAULT) > 0) H5Adelete_by_name(f, object, name, H5P_DEFAULT);
    hid_t a = H5Acreate_by_name(f, object, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert(a >= 0 && H5Awrite(a, type, text) >= 0);
    H5Aclose(a);
    H5Sclose(space);
    H5Tclose(type);
    H5Fclose(f);
}

static void attr_number(const char *object, const char *name, int value)
{
    hid_t f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), space = H5Screate(H5S_SCALAR);
    hid_t a = H5Acreate_by_name(f, object, name, H5T_NATIVE_INT, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert(a >= 0 && H5Awrite(a, H5T_NATIVE_INT, &value) >= 0);
    H5Aclose(a);
    H5Sclose(space);
    H5Fclose(f);
}

static void frames(const char *name, int n, int ny, int nx)
{
    uint16_t *v = calloc((size_t)n * (size_t)ny * (size_t)nx + 1, sizeof *v);
    for (int i = 0; i < n * ny * nx; i++) v[i] = (uint16_t)(i % 251);
    h5_put(path, name, H5T_NATIVE_UINT16, H5_SHAPE((hsize_t)n, (hsize_t)ny, (hsize_t)nx), v);
    free(v);
}

// Name of the first dataset found; "" for none; the error's text after a failure.
static const char *found(bool nxmx, const char *given)
{
    static char name[1024];
    xn_h5 *h5 = NULL;
    char **list = NULL;
    ck_assert_int_eq(xn_h5_open(ctx, path, &h5), XANI_OK);
    xani_status st = xn_nx_find_frames(ctx, h5, nxmx, given, &list);
    snprintf(name, sizeof name, "%s", st != XANI_OK ? xani_error_text(ctx) : list ? list[0] : "");
    if (st != XANI_OK) ck_assert_ptr_null(list);
    xn_clear_error(ctx);
    xn_h5_names_free(list);
    xn_h5_close(&h5);
    return name;
}

START_TEST(test_chain)
{
    // @default may be a name or a path, skip levels, lead nowhere; @signal may be missing, old, or name what is no
    // stack.
    frames("entry/data/data", 2, 16, 16);
    ck_assert_str_eq(found(false, NULL), "entry/data/data"); // by its shape: nothing names it
    frames("aaa/frames", 2, 16, 16);
    ck_assert_str_eq(found(false, NULL), "aaa/frames"); // the first by name
    attr("/", "default", "/entry");
    attr("/entry", "default", "data");
    attr("/entry/data", "signal", "data");
    ck_assert_str_eq(found(false, NULL), "entry/data/data");
    attr("/entry", "default", "nowhere");
    ck_assert_str_eq(found(false, NULL), "entry/data/data"); // entry/data is the custom
    attr("/entry/data", "signal", "nothing");
    ck_assert_ptr_nonnull(strstr(found(false, NULL), "nothing"));
    h5_put(path, "entry/data/nothing", H5T_NATIVE_DOUBLE, H5_SHAPE(2), (double[]){1, 2});
    ck_assert_str_eq(found(false, NULL), "aaa/frames"); // a signal of one axis is none
    h5_drop(path, "entry/data/nothing");
    h5_drop(path, "aaa");
    h5_put(path, "other/x/n", H5T_NATIVE_DOUBLE, H5_SHAPE(1), (double[]){1});
    attr("/other", "NX_class", "NXentry");
    attr("/other/x", "NX_class", "NXdata");
    frames("other/x/images", 3, 4, 4); // too small to be guessed
    attr("/", "default", "other");
    ck_assert_str_eq(found(false, NULL), "entry/data/data");
    attr_number("/other/x/images", "signal", 1); // but told the old way
    ck_assert_str_eq(found(false, NULL), "other/x/images");
    ck_assert_str_eq(found(false, "other/x/images"), "other/x/images");
    ck_assert_str_eq(found(false, "/entry/data"), "entry/data/data"); // a group
    ck_assert_ptr_nonnull(strstr(found(false, "other"), "neither data nor data_000001"));
    ck_assert_ptr_nonnull(strstr(found(false, "other/x/n"), "(n, y, x)"));
    ck_assert_ptr_nonnull(strstr(found(false, "no/such"), "there is no no/such"));
}
END_TEST

START_TEST(test_numbered)
{
    // data_000001, ... come in order, nothing else of the group; `data` before them; numbers may not be missing.
    frames("entry/data/data_000002", 2, 16, 16);
    frames("entry/data/data_000001", 1, 16, 16);
    frames("entry/data/data_x", 1, 16, 16);
    xn_nx_run run = {.nxmx = true};
    char *files[] = {path, NULL};
    ck_assert_int_eq(xn_nx_open(ctx, NULL, files, &run), XANI_OK);
    ck_assert_int_eq(run.n_parts, 2);
    ck_assert_str_eq(run.part[0].dataset, "entry/data/data_000001");
    ck_assert_int_eq(run.n, 3);
    ck_assert_int_eq(xn_nx_ids(ctx, NULL, &run), XANI_OK);
    ck_assert_uint_eq(run.id[2], 3);
    xn_nx_close(&run);
    frames("entry/data/data_000004", 1, 16, 16);
    ck_assert_ptr_nonnull(strstr(found(true, NULL), "data_000003 is not there"));
    frames("entry/data/data_000003", 0, 16, 16); // empty ones are none
    run = (xn_nx_run){.nxmx = true};
    ck_assert_int_eq(xn_nx_open(ctx, NULL, files, &run), XANI_OK);
    uint16_t *v = calloc(256 * 4, sizeof *v);
    ck_assert_int_eq(xn_nx_read(ctx, &run, (int64_t[]){3, 0, 2, 1}, 4, v), XANI_OK); // backwards, across datasets
    ck_assert_int_eq(v[1], 1);
    ck_assert_int_eq(v[256 * 2], 256 % 251); // second frame of data_000002
    ck_assert_int_ne(xn_nx_read(ctx, &run, (int64_t[]){4}, 1, v), XANI_OK);
    xn_clear_error(ctx);
    free(v);
    xn_nx_close(&run);
    frames("entry/data/data", 5, 16, 16);
    ck_assert_str_eq(found(true, NULL), "entry/data/data");
    frames("entry/data/data_000004", 1, 16, 18);
    h5_drop(path, "entry/data/data");
    run = (xn_nx_run){.nxmx = true};
    ck_assert_int_eq(xn_nx_open(ctx, NULL, files, &run), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "(1, 16, 18)"));
    xn_nx_close(&run);
}
END_TEST

// ---- values

// Reads one frame of this type whose first pixels are the least number, -1, 0, 1, 100, 101, the largest.
static void limits(hid_t type, const void *values, double ppu, double saturation, xn_type read, const double want[7])
{
    static const xn_type known[] = {XN_F32, XN_F64};
    h5_make(path);
    unsigned char *v = calloc(PLANE, 8);
    memcpy(v, values, 7 * H5Tget_size(type));
    h5_put(path, "entry/data/data", type, H5_SHAPE(1, NY, NX), v);
    if (saturation > 0)
        h5_put(path, "entry/instrument/detector/saturation_value", H5T_NATIVE_DOUBLE, 0, NULL, &saturation);
    free(v);
    xn_nx_run run = {.nxmx = true};
    char *files[] = {path, NULL};
    ck_assert_int_eq(xn_nx_open(ctx, NULL, files, &run), XANI_OK);
    ck_assert_int_eq(xn_nx_limits(ctx, &run), XANI_OK);
    ck_assert_int_eq(xn_nx_read_type(&run, ppu), read);
    void *out = calloc(PLANE, 8);
    ck_assert_int_eq(xn_nx_read(ctx, &run, (int64_t[]){0}, 1, out), XANI_OK);
    for (int i = 0; i < 7; i++) {
        double got = read == known[0]   ? (double)((float *)out)[i]
                     : read == known[1] ? ((double *)out)[i]
                     : read == XN_I16   ? ((int16_t *)out)[i]
                     : read == XN_U16   ? ((uint16_t *)out)[i]
                     : read == XN_I32   ? ((int32_t *)out)[i]
                     : read == XN_U32   ? ((uint32_t *)out)[i]
                     : read == XN_I64   ? (double)((int64_t *)out)[i]
                                        : (double)((uint64_t *)out)[i];
        ck_assert_msg(got == want[i] || (isnan(got) && isnan(want[i])), "type %d, value %d: %g, not %g", read, i, got,
                      want[i]);
    }
    free(out);
    xn_nx_close(&run);
}

START_TEST(test_limits)
{
    // The largest number of a type and what is beyond saturation are no data, of signed types the least one too; where
    // such a number could be photons, it becomes NaN of a type that holds all others.
    const int8_t i8[7] = {INT8_MIN, -1, 0, 1, 100, 101, INT8_MAX};
    const uint8_t u8[7] = {0, 2, 0, 1, 100, 101, UINT8_MAX};
    const int16_t i16[7] = {INT16_MIN, -1, 0, 1, 100, 101, INT16_MAX};
    const uint16_t u16[7] = {0, 2, 0, 1, 100, 101, UINT16_MAX};
    const int32_t i32[7] = {INT32_MIN, -1, 0, 1, 100, 101, INT32_MAX};
    const uint32_t u32[7] = {0, 2, 0, 1, 100, 101, UINT32_MAX};
    const int64_t i64[7] = {INT64_MIN, -1, 0, 1, 100, 101, INT64_MAX};
    const uint64_t u64[7] = {0, 2, 0, 1, 100, 101, UINT64_MAX};
    const double wide[7] = {NAN, -1, 0, 1, 100, 101, NAN}, wide_u[7] = {0, 2, 0, 1, 100, 101, NAN},
                 full[7] = {NAN, -1, 0, 1, 100, NAN, NAN};
    limits(H5T_NATIVE_INT8, i8, 1, 0, XN_F32, wide); // 127 photons are possible
    limits(H5T_NATIVE_UINT8, u8, 1, 0, XN_F32, wide_u);
    limits(H5T_NATIVE_INT16, i16, 0.1, 0, XN_F32, wide);
    limits(H5T_NATIVE_INT16, i16, 0.1, 100, XN_F32, full);
    limits(H5T_NATIVE_UINT16, u16, 0.1, 0, XN_F32, wide_u);
    limits(H5T_NATIVE_INT32, i32, 1e-6, 0, XN_F64, wide);
    limits(H5T_NATIVE_UINT32, u32, 1e-6, 0, XN_F64, wide_u);
    limits(H5T_NATIVE_INT64, i64, 1e-15, 0, XN_F64, wide);
    limits(H5T_NATIVE_UINT64, u64, 1e-16, 0, XN_F64, wide_u);
    const double marked[7] = {INT16_MAX, -1, 0, 1, 100, INT16_MAX, INT16_MAX};
    limits(H5T_NATIVE_INT16, i16, 1, 100, XN_I16, marked);
    const double marked_u[7] = {0, 2, 0, 1, 100, UINT16_MAX, UINT16_MAX};
    limits(H5T_NATIVE_UINT16, u16, 1, 100, XN_U16, marked_u);
    const double marked_32[7] = {0, 2, 0, 1, 100, UINT32_MAX, UINT32_MAX};
    limits(H5T_NATIVE_UINT32, u32, 1, 100, XN_U32, marked_32);
    const double marked_i32[7] = {INT32_MAX, -1, 0, 1, 100, 101, INT32_MAX};
    limits(H5T_NATIVE_INT32, i32, 1, 0, XN_I32, marked_i32);
    const double marked_64[7] = {(double)INT64_MAX, -1, 0, 1, 100, (double)INT64_MAX, (double)INT64_MAX};
    limits(H5T_NATIVE_INT64, i64, 1, 100, XN_I64, marked_64);
    const float f32[7] = {-1e30f, -1, 0, 1, 100, 101, 1e30f};
    const double as_is[7] = {-1e30f, -1, 0, 1, 100, 101, 1e30f};
    limits(H5T_NATIVE_FLOAT, f32, 1, 100, XN_F32, as_is); // floats have NaN of their own
}
END_TEST

// ---- the whole source

static void write_run(void)
{
    double i0[N], stage[N], ids[N];
    uint8_t laser[N];
    uint32_t mask[PLANE] = {0};
    uint64_t id[N];
    for (int i = 0; i < N; i++) {
        i0[i] = 1 + i;
        stage[i] = 0.1 * i;
        laser[i] = i % 2 == 0;
        id[i] = 100 + (uint64_t)i;
        ids[i] = 100.5;
    }
    mask[3] = 1;
    h5_make(path);
    frames("entry/data/data", N, NY, NX);
    h5_put(path, "entry/definition", H5T_C_S1, 0, NULL, "NXmx");
    h5_put(path, "entry/i0", H5T_NATIVE_DOUBLE, H5_SHAPE(N), i0);
    h5_put(path, "entry/stage", H5T_NATIVE_DOUBLE, H5_SHAPE(N), stage);
    h5_put(path, "entry/laser", H5T_NATIVE_UINT8, H5_SHAPE(N), laser);
    h5_put(path, "entry/id", H5T_NATIVE_UINT64, H5_SHAPE(N), id);
    h5_put(path, "entry/half", H5T_NATIVE_DOUBLE, H5_SHAPE(N), ids);
    h5_put(path, "entry/instrument/detector/pixel_mask", H5T_NATIVE_UINT32, H5_SHAPE(NY, NX), mask);
    const char *yaml = "input:\n  layout: nxmx\n  files: [a_master.h5]\n  i0: entry/i0\n  laser: entry/laser\n"
                       "  ids: entry/id\n  calibration: {photons_per_unit: 1}\n"
                       "  delay: {sign: 1, parts: [{source: entry/stage}]}\n";
    xani_config_destroy(&config);
    ck_assert_msg(xn_config_parse(ctx, yaml, "exp.yaml", dir, &config) == XANI_OK, "%s", xani_error_text(ctx));
}

static xani_status load(xn_source **s)
{
    xani_status st = xn_source_open(ctx, config, -1, s);
    if (st != XANI_OK) return st;
    uint16_t one[PLANE];
    return (*s)->ops->read_frame(ctx, *s, 1, one, NULL);
}

static void fails(const char *assignment, const char *text)
{
    xn_source *s = NULL;
    ck_assert_msg(xani_config_assign(ctx, config, assignment) == XANI_OK, "%s", xani_error_text(ctx));
    xani_status st = load(&s);
    ck_assert_msg(st != XANI_OK, "%s works", assignment);
    ck_assert_msg(strstr(xani_error_text(ctx), text) != NULL, "\"%s\" is not in \"%s\"", text, xani_error_text(ctx));
    xn_clear_error(ctx);
    xn_source_close(&s);
    write_run();
}

START_TEST(test_source)
{
    // Shots, mask and delays of a small file; each thing that does not fit is named.
    xn_source *s = NULL;
    write_run();
    ck_assert_msg(load(&s) == XANI_OK, "%s", xani_error_text(ctx));
    ck_assert_int_eq(s->shots.n, N);
    ck_assert_uint_eq(s->shots.pulse_id[5], 105);
    ck_assert_double_eq_tol(s->shots.delay_ps[4], 0.4, 1e-12);
    ck_assert_int_eq(s->shots.laser[1], XN_LASER_OFF);
    ck_assert_uint_eq(s->mask[3], 1);
    ck_assert_uint_eq(s->mask[4], 0);
    ck_assert_int_eq(s->type, XN_U16);
    xn_source_close(&s);
    fails("input.i0=entry/l0", "entry/l0");
    fails("input.i0='entry/data/data'", "one number per shot");
    fails("input.ids=entry/half", "whole numbers");
    fails("input.ids=entry/definition", "entry/definition");
    fails("input.channel=threshold_1", "no axis of channels");
    fails("input.frames=entry/i0", "(n, y, x)");
    fails("input.laser={codes: [1]}", "event codes");
    fails("input.calibration=null", "photons_per_unit");
    fails("input.readings=[{ids: x}]", "readings[0].file");
    fails("input.readings=[{file: none.h5}]", "none.h5");
}
END_TEST

// Modules of the source with frames of this shape; axes: the word for the second one, or NULL.
static int modules_with(const hsize_t dims[4], const char *second)
{
    xn_source *s = NULL;
    write_run();
    h5_drop(path, "entry/data/data");
    uint16_t *v = calloc(dims[0] * dims[1] * dims[2] * dims[3], sizeof *v);
    h5_put(path, "entry/data/data", H5T_NATIVE_UINT16, 4, dims, v);
    h5_drop(path, "entry/instrument");
    free(v);
    if (second != NULL) {
        const char *words[] = {"image_id", second, ".", "."};
        hid_t f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), type = H5Tcopy(H5T_C_S1);
        H5Tset_size(type, H5T_VARIABLE);
        hid_t space = H5Screate_simple(1, (hsize_t[]){4}, NULL);
        hid_t a = H5Acreate_by_name(f, "entry/data", "axes", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        ck_assert(a >= 0 && H5Awrite(a, type, words) >= 0);
        H5Aclose(a);
        H5Sclose(space);
        H5Tclose(type);
        H5Fclose(f);
    }
    ck_assert_msg(xn_source_open(ctx, config, -1, &s) == XANI_OK, "%s", xani_error_text(ctx));
    int64_t rows = 0;
    int n = s->n_modules;
    for (int i = 0; i < n; i++) rows += s->module_rows[i];
    ck_assert_int_eq(rows, s->ny);
    xn_source_close(&s);
    return n;
}

START_TEST(test_modules)
{
    // A second axis makes as many modules, so that no block of pixels crosses them; channels are none.
    ck_assert_int_eq(modules_with((hsize_t[]){N, 2, NY, NX}, NULL), 2);
    ck_assert_int_eq(modules_with((hsize_t[]){N, 3, NY, NX}, "module"), 3);
    ck_assert_int_eq(modules_with((hsize_t[]){N, 2, NY, NX}, "channel"), 1);
    ck_assert_int_eq(modules_with((hsize_t[]){N, 1, NY, NX}, NULL), 1);
}
END_TEST

START_TEST(test_no_memory)
{
    // Whichever allocation fails: an error of its own kind, nothing leaked, nothing half made.
    write_run();
    xani_status st = XANI_OK;
    no_memory n = NO_MEMORY;
    for (; n.reached; no_memory_next(&n)) {
        xn_source *s = NULL;
        no_memory_begin(&n);
        st = load(&s);
        no_memory_end();
        if (st != XANI_OK) ck_assert_msg(st == XANI_ERR_MEMORY, "allocation %d: %s", (int)n.at, xani_error_text(ctx));
        xn_clear_error(ctx);
        xn_source_close(&s);
    }
    ck_assert_int_eq(st, XANI_OK);
    ck_assert_uint_ge(n.at, 60);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_chain);
    tcase_add_test(t, test_numbered);
    tcase_add_test(t, test_limits);
    tcase_add_test(t, test_source);
    tcase_add_test(t, test_modules);
    tcase_add_test(t, test_no_memory);
}

XN_TEST_MAIN("nexus", add)
