// SPDX-License-Identifier: BSD-3-Clause
// test_cube_source.c -- reading the field's binned cubes.
#include "h5write.h"
#include "no_memory.h"
#include "opened_source.h"

enum { NB = 4, NY = 3, NX = 2, PLANE = NY * NX };

static char dir[512], on_path[600], off_path[600];
static const double scan[NB] = {-1.0, 0.5, 2.0, 3.5}, counts[NB] = {10, 20, 30, 40}, i0[NB] = {11, 21, 31, 41};

static double pixel(int bin, int p) { return 100.0 * bin + p + 1; }

static void write_pair(const char *name)
{
    double imgs[NB * PLANE], off[PLANE];
    for (int b = 0; b < NB; b++)
        for (int p = 0; p < PLANE; p++) imgs[b * PLANE + p] = pixel(b, p);
    for (int p = 0; p < PLANE; p++) off[p] = 1000.0 + p;
    snprintf(on_path, sizeof on_path, "%s/%s_on.h5", dir, name);
    snprintf(off_path, sizeof off_path, "%s/%s_off.h5", dir, name);
    h5_make(on_path);
    h5_put(on_path, "scan_var", H5T_NATIVE_DOUBLE, H5_SHAPE(NB), scan);
    h5_put(on_path, "imgs", H5T_NATIVE_DOUBLE, H5_SHAPE(NB, NY, NX), imgs);
    h5_put(on_path, "i0", H5T_NATIVE_DOUBLE, H5_SHAPE(NB), i0);
    h5_put(on_path, "bin_counts", H5T_NATIVE_DOUBLE, H5_SHAPE(NB), counts);
    h5_make(off_path);
    h5_put(off_path, "scan_var", H5T_NATIVE_DOUBLE, H5_SHAPE(1), scan);
    h5_put(off_path, "imgs", H5T_NATIVE_DOUBLE, H5_SHAPE(1, NY, NX), off);
    h5_put(off_path, "i0", H5T_NATIVE_DOUBLE, H5_SHAPE(1), (double[]){50});
    h5_put(off_path, "bin_counts", H5T_NATIVE_DOUBLE, H5_SHAPE(1), (double[]){49});
}

static void configure(const char *more)
{
    char yaml[2000];
    xani_config_destroy(&config);
    snprintf(yaml, sizeof yaml, "input:\n  layout: cube\n  files: [%s]\n%s", "run0001_on.h5", more);
    ck_assert_msg(xn_config_parse(ctx, yaml, "exp.yaml", dir, &config) == XANI_OK, "%s", xani_error_text(ctx));
}

static void set_up(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(dir, sizeof dir, "%s", xn_test_dir("cube-source"));
    write_pair("run0001");
    configure("  delay: {sign: 1, zero_ps: 0.25}\n");
}

static xani_status load(xn_cube *cube)
{
    xn_source *s = NULL;
    memset(cube, 0, sizeof *cube);
    xani_status st = xn_source_open(ctx, config, -1, &s);
    ck_assert((st == XANI_OK) == (s != NULL));
    if (st == XANI_OK) {
        ck_assert_ptr_null(s->ops->read_frame);
        ck_assert_int_eq(s->shots.n, 0);
        st = s->ops->read_cube(ctx, s, cube);
    }
    xn_source_close(&s);
    return st;
}

static void loads(xn_cube *cube)
{
    xani_status st = load(cube);
    ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
}

static void fails(xani_status status, const char *text)
{
    xn_cube cube;
    xani_status st = load(&cube);
    ck_assert_msg(st == status, "status %d (%s), not %d", st, xani_error_text(ctx), status);
    ck_assert_msg(strstr(xani_error_text(ctx), text) != NULL, "\"%s\" is not in \"%s\"", text, xani_error_text(ctx));
    ck_assert_ptr_null(cube.on_float);
    xn_clear_error(ctx);
}

START_TEST(test_plain)
{
    // Sums, counts, I0 and corrected delays come out as they stand in the files.
    xn_cube c;
    loads(&c);
    ck_assert_int_eq(c.nbins, NB);
    ck_assert_int_eq(c.ny, NY);
    ck_assert_int_eq(c.nx, NX);
    ck_assert_int_eq(c.n_modules, 1);
    ck_assert_int_eq(c.module_rows[0], NY);
    for (int b = 0; b < NB; b++) {
        ck_assert_double_eq(c.delay_ps[b], scan[b] - 0.25);
        ck_assert_double_eq(c.on_i0[b], i0[b]);
        ck_assert_double_eq(c.on_count[b], counts[b]);
        for (int p = 0; p < PLANE; p++) ck_assert_double_eq(c.on_float[b * PLANE + p], pixel(b, p));
    }
    for (int p = 0; p < PLANE; p++) {
        ck_assert_double_eq(c.off_float[p], 1000.0 + p);
        ck_assert_uint_eq(c.mask[p], 0);
    }
    ck_assert_double_eq(c.off_i0, 50);
    ck_assert_double_eq(c.off_count, 49);
    xn_cube_free(&c);
}
END_TEST

START_TEST(test_spelling_and_halves)
{
    // bin_count instead of bin_counts, either half listed, both listed, and a glob: all the same cube.
    h5_drop(on_path, "bin_counts");
    h5_put(on_path, "bin_count", H5T_NATIVE_DOUBLE, H5_SHAPE(NB), counts);
    h5_drop(off_path, "bin_counts");
    h5_put(off_path, "bin_count", H5T_NATIVE_INT, H5_SHAPE(1), (int[]){49});
    static const char *const files[] = {"run0001_on.h5", "run0001_off.h5", "[run0001_off.h5, run0001_on.h5]",
                                        "'run0001_*.h5'"};
    for (int i = 0; i < 4; i++) {
        char assignment[100];
        snprintf(assignment, sizeof assignment, "input.files=%s", files[i]);
        set(assignment);
        xn_cube c;
        loads(&c);
        ck_assert_int_eq(c.nbins, NB);
        ck_assert_double_eq(c.on_count[2], counts[2]);
        ck_assert_double_eq(c.off_count, 49);
        ck_assert_double_eq(c.on_float[2 * PLANE + 1], pixel(2, 1));
        xn_cube_free(&c);
    }
}
END_TEST

START_TEST(test_sign_reverses)
{
    // With sign -1 delays ascend all the same, and planes, I0 and counts go with their delay.
    set("input.delay.sign=-1");
    xn_cube c;
    loads(&c);
    for (int b = 0; b < NB; b++) {
        int from = NB - 1 - b;
        ck_assert_double_eq(c.delay_ps[b], -scan[from] - 0.25);
        ck_assert_double_eq(c.on_i0[b], i0[from]);
        ck_assert_double_eq(c.on_count[b], counts[from]);
        ck_assert_double_eq(c.on_float[b * PLANE + 4], pixel(from, 4));
    }
    xn_cube_free(&c);
}
END_TEST

START_TEST(test_unsorted)
{
    // Bins in any order are sorted; bins of the same delay are added.
    h5_put(on_path, "scan_var", H5T_NATIVE_DOUBLE, H5_SHAPE(NB), (double[]){2.0, -1.0, 2.0, 0.0});
    xn_cube c;
    loads(&c);
    ck_assert_int_eq(c.nbins, 3);
    ck_assert_double_eq(c.delay_ps[0], -1.25);
    ck_assert_double_eq(c.delay_ps[1], -0.25);
    ck_assert_double_eq(c.delay_ps[2], 1.75);
    ck_assert_double_eq(c.on_float[2 * PLANE], pixel(0, 0) + pixel(2, 0));
    ck_assert_double_eq(c.on_i0[2], i0[0] + i0[2]);
    ck_assert_double_eq(c.on_count[2], counts[0] + counts[2]);
    ck_assert_double_eq(c.on_float[0], pixel(1, 0));
    xn_cube_free(&c);
}
END_TEST

START_TEST(test_several_cubes)
{
    // Cubes of one run are added bin by bin, delays of only one of them kept; the off sums are added too.
    write_pair("run0002");
    h5_put(on_path, "scan_var", H5T_NATIVE_DOUBLE, H5_SHAPE(NB), (double[]){0.5, 2.0, 3.5, 5.0});
    set("input.files=['run000*_on.h5']");
    xn_cube c;
    loads(&c);
    ck_assert_int_eq(c.nbins, NB + 1);
    ck_assert_double_eq(c.on_float[0], pixel(0, 0));
    ck_assert_double_eq(c.on_float[1 * PLANE], pixel(1, 0) + pixel(0, 0));
    ck_assert_double_eq(c.on_float[4 * PLANE], pixel(3, 0));
    ck_assert_double_eq(c.on_i0[3], i0[3] + i0[2]);
    ck_assert_double_eq(c.off_float[5], 2010.0);
    ck_assert_double_eq(c.off_i0, 100);
    ck_assert_double_eq(c.off_count, 98);
    xn_cube_free(&c);
}
END_TEST

START_TEST(test_off_bins)
{
    // All bins of the off file make one reference, empty ones left out; a single plane without its axis is read too.
    double off[3 * PLANE];
    for (int i = 0; i < 3 * PLANE; i++) off[i] = i < PLANE ? 1.0 : i < 2 * PLANE ? NAN : 5.0;
    h5_put(off_path, "imgs", H5T_NATIVE_DOUBLE, H5_SHAPE(3, NY, NX), off);
    h5_put(off_path, "i0", H5T_NATIVE_DOUBLE, H5_SHAPE(3), (double[]){2, 0, 3});
    h5_put(off_path, "bin_counts", H5T_NATIVE_DOUBLE, H5_SHAPE(3), (double[]){20, 0, 30});
    xn_cube c;
    loads(&c);
    ck_assert_double_eq(c.off_float[3], 6.0);
    ck_assert_double_eq(c.off_i0, 5.0);
    ck_assert_double_eq(c.off_count, 50.0);
    ck_assert_uint_eq(c.mask[3], 0);
    xn_cube_free(&c);
    h5_put(off_path, "imgs", H5T_NATIVE_DOUBLE, H5_SHAPE(NY, NX), off + 2 * PLANE);
    h5_put(off_path, "i0", H5T_NATIVE_DOUBLE, H5_SHAPE(1), (double[]){2});
    h5_put(off_path, "bin_counts", H5T_NATIVE_DOUBLE, H5_SHAPE(1), (double[]){20});
    loads(&c);
    ck_assert_double_eq(c.off_float[5], 5.0);
    xn_cube_free(&c);
}
END_TEST

START_TEST(test_missing_values)
{
    // Empty bins and planes without a number count nothing; a pixel without a number in some bin is masked.
    double imgs[NB * PLANE];
    for (int b = 0; b < NB; b++)
        for (int p = 0; p < PLANE; p++)
            imgs[b * PLANE + p] = b == 1 || b == 3 || (b == 2 && p == 4) ? NAN : pixel(b, p);
    h5_put(on_path, "imgs", H5T_NATIVE_DOUBLE, H5_SHAPE(NB, NY, NX), imgs);
    h5_put(on_path, "bin_counts", H5T_NATIVE_DOUBLE, H5_SHAPE(NB), (double[]){10, 0, 30, 40});
    h5_put(off_path, "i0", H5T_NATIVE_DOUBLE, H5_SHAPE(1), (double[]){50});
    xn_cube c;
    loads(&c);
    ck_assert_int_eq(c.nbins, NB);
    ck_assert_double_eq(c.on_count[1], 0.0);
    ck_assert_double_eq(c.on_i0[1], 0.0);
    ck_assert_double_eq(c.on_count[3], 0.0);
    for (int p = 0; p < PLANE; p++) {
        ck_assert_int_eq(c.mask[p] != 0, p == 4);
        ck_assert_double_eq(c.on_float[1 * PLANE + p], 0.0);
    }
    for (int i = 0; i < NB * PLANE; i++) ck_assert(isfinite(c.on_float[i]));
    xn_cube_free(&c);
}
END_TEST

// Opens the source only, as `xani check` does; the warnings of that. NULL where it fails.
static const char *const *opened(int *n, xn_binned_facts *facts)
{
    const char *const *texts = NULL;
    xn_source *s = NULL;
    xn_warnings_forget(ctx);
    *n = -1;
    if (xn_source_open(ctx, config, -1, &s) != XANI_OK) return NULL;
    *facts = s->binned;
    xn_source_close(&s);
    *n = xn_warnings(ctx, &texts);
    return texts;
}

START_TEST(test_facts)
{
    // Before any plane is read it is known how many bins and shots there are; bins that have shots but no I0 are told
    // with their number, and a cube of nothing else is an error then already.
    int n = 0;
    xn_binned_facts f;
    opened(&n, &f);
    ck_assert_int_eq(n, 0);
    ck_assert(f.bins == NB && f.on == 100 && f.off == 49 && f.on_used == 100 && f.off_used == 49);
    ck_assert(f.bytes == (NB + 1) * PLANE * 8 && f.block_bytes == PLANE * 8);
    h5_put(on_path, "i0", H5T_NATIVE_DOUBLE, H5_SHAPE(NB), (double[]){11, 0, NAN, -3});
    h5_put(on_path, "bin_counts", H5T_NATIVE_DOUBLE, H5_SHAPE(NB), (double[]){10, 20, 30, 0});
    const char *const *texts = opened(&n, &f);
    ck_assert_int_eq(n, 1);
    ck_assert_ptr_nonnull(strstr(texts[0], "run0001_on.h5: I0 is 0, negative or no number in 2 of 3 bins with shots: "
                                           "their 50 shots are left out"));
    ck_assert(f.bins == NB && f.on == 60 && f.on_used == 10);
    xn_cube c;
    loads(&c);
    ck_assert(c.on_count[0] == 10 && c.on_count[1] == 0 && c.on_i0[2] == 0 && c.on_float[PLANE] == 0);
    xn_cube_free(&c);
    h5_put(on_path, "i0", H5T_NATIVE_DOUBLE, H5_SHAPE(NB), (double[]){0, 0, 0, 0});
    ck_assert_ptr_null(opened(&n, &f));
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "run0001_on.h5: every bin is empty or has no I0"));
    xn_clear_error(ctx);
}
END_TEST

START_TEST(test_ignored_keys)
{
    // Every key that is given but says nothing about sums is told, whatever it is; what is as it would be anyway, and
    // what does have a say, is not.
    static const char *const useless[] = {"reduce.threshold_photons=0.5",
                                          "reduce.photons={method: round}",
                                          "reduce.find_zero=true",
                                          "input.common_mode={rows: true}",
                                          "input.calibration={photons_per_unit: 2}",
                                          "input.detector=jungfrau",
                                          "input.double_pixels=mask",
                                          "input.unreadable=skip",
                                          "input.laser={codes: [20]}",
                                          "input.laser=word",
                                          "input.frames=imgs",
                                          "input.readings=[{file: a.h5}]",
                                          "input.chip_px=[256, 256]",
                                          "select.i0={min: 5}",
                                          "select.cuts=[{source: x, min: 1}]",
                                          "select.time_tool={source: x, min: 1}",
                                          "select.max_shots=5"};
    static const char *const fine[] = {"reduce.threshold_photons=0", "reduce.photons={method: null}",
                                       "reduce.find_zero=false",     "input.unreadable=stop",
                                       "input.counts_per_photon=2",  "reduce.spatial_bin=2",
                                       "select.i0={min: null}",      "input.i0=i0",
                                       "input.mask={dataset: mask}"};
    h5_put(on_path, "mask", H5T_NATIVE_INT, H5_SHAPE(NY, NX), (int[PLANE]){0});
    xn_binned_facts f;
    for (size_t i = 0; i < sizeof useless / sizeof useless[0]; i++) {
        int n = 0, length = (int)strcspn(useless[i], "=");
        char want[100];
        configure("  delay: {sign: 1}\n");
        set(useless[i]);
        const char *const *texts = opened(&n, &f);
        snprintf(want, sizeof want, "%.*s is not used: layout cube", length, useless[i]);
        ck_assert_msg(n == 1 && strstr(texts[0], want) != NULL, "%s: %d warnings, %s", useless[i], n,
                      n > 0 ? texts[0] : xani_error_text(ctx));
    }
    configure("  delay: {sign: 1}\n");
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) {
        int n = 0;
        set(fine[i]);
        const char *const *texts = opened(&n, &f);
        ck_assert_msg(n == 0, "%s: %s", fine[i], n > 0 ? texts[0] : xani_error_text(ctx));
    }
}
END_TEST

START_TEST(test_mask)
{
    // input.mask is taken from the input file or its own, several are combined, both polarities.
    h5_put(on_path, "mask", H5T_NATIVE_INT, H5_SHAPE(NY, NX), (int[]){0, 7, 0, 0, 0, 0});
    char other[600];
    snprintf(other, sizeof other, "%s/other.h5", dir);
    h5_make(other);
    h5_put(other, "m/good", H5T_NATIVE_FLOAT, H5_SHAPE(1, NY, NX), (float[]){1, 1, 1, 0, 1, NAN});
    set("input.mask=[{dataset: mask}, {file: other.h5, dataset: m/good, good: nonzero}]");
    xn_cube c;
    loads(&c);
    const bool bad[PLANE] = {0, 1, 0, 1, 0, 1};
    for (int p = 0; p < PLANE; p++) ck_assert_int_eq((c.mask[p] & 0xffff) != 0, bad[p]);
    xn_cube_free(&c);
    const char *const *texts;
    int n = xn_warnings(ctx, &texts);
    ck_assert_int_eq(n, 0); // a half is not most of it
    set("input.mask=[{dataset: mask, good: nonzero}]");
    loads(&c);
    xn_cube_free(&c);
    n = xn_warnings(ctx, &texts);
    ck_assert_int_eq(n, 1);
    ck_assert_ptr_nonnull(strstr(texts[0], "input.mask[0] leaves out 5 of 6 pixels: is input.mask[0].good: nonzero"));
    set("input.mask=[{dataset: imgs}]");
    fails(XANI_ERR_INPUT, "imgs: the mask has shape (4, 3, 2)");
    set("input.mask=[{dataset: mask}, {dataset: mask, good: nonzero}]");
    fails(XANI_ERR_INPUT, "every pixel is masked");
    set("input.mask=[{good: zero}]");
    fails(XANI_ERR_CONFIG, "input.mask[0].dataset is missing");
}
END_TEST

START_TEST(test_chunked)
{
    // Chunks that hold several bins, compressed and at the end incomplete, give the same cube.
    double imgs[NB * PLANE];
    for (int i = 0; i < NB * PLANE; i++) imgs[i] = pixel(i / PLANE, i % PLANE);
    h5_drop(on_path, "imgs");
    hid_t f = H5Fopen(on_path, H5F_ACC_RDWR, H5P_DEFAULT), create = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(create, 3, (hsize_t[]){3, 2, 2});
    H5Pset_deflate(create, 1);
    hid_t space = H5Screate_simple(3, (hsize_t[]){NB, NY, NX}, NULL);
    hid_t d = H5Dcreate2(f, "imgs", H5T_IEEE_F64BE, space, H5P_DEFAULT, create, H5P_DEFAULT);
    ck_assert(H5Dwrite(d, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, imgs) >= 0);
    H5Dclose(d);
    H5Sclose(space);
    H5Pclose(create);
    H5Fclose(f);
    xn_cube c;
    loads(&c);
    for (int i = 0; i < NB * PLANE; i++) ck_assert_double_eq(c.on_float[i], imgs[i]);
    xn_cube_free(&c);
}
END_TEST

START_TEST(test_configuration_errors)
{
    // What the configuration lacks or says too much is exit code 2 and says why.
    configure("");
    fails(XANI_ERR_CONFIG, "input.delay.sign is missing: no file says");
    configure("  delay: {sign: 1, parts: [{source: X}]}\n");
    fails(XANI_ERR_CONFIG, "input.delay.parts: is of no use here");
    configure("  delay: {sign: 1, time_tool: {source: X, coefficients_ps: [0, 1]}}\n");
    fails(XANI_ERR_CONFIG, "input.delay.time_tool: is of no use here");
    configure("  delay: {sign: 1}\n");
    set("input.layout=null");
    fails(XANI_ERR_CONFIG, "input.layout is missing");
    set("input.layout=cube");
    set("input.files=null");
    fails(XANI_ERR_CONFIG, "input.files is missing");
    set("input.files=[]");
    fails(XANI_ERR_CONFIG, "input.files");
    set("input.files='..'");
    fails(XANI_ERR_CONFIG, "is a folder; give files or a glob");
}
END_TEST

START_TEST(test_input_errors)
{
    // Unusable files are exit code 3 and name file and dataset.
    set("input.files=run0009_on.h5");
    fails(XANI_ERR_INPUT, "run0009_on.h5: No such file");
    set("input.files='run9*.h5'");
    fails(XANI_ERR_INPUT, "no file matches run9*.h5 (input.files[0] of exp.yaml)");
    set("input.files=run0001_on.h5");
    h5_put(on_path, "scan_var", H5T_NATIVE_DOUBLE, H5_SHAPE(NB), (double[]){0, 1, NAN, 3});
    fails(XANI_ERR_INPUT, "run0001_on.h5: scan_var of bin 2 is not a number");
    h5_put(on_path, "scan_var", H5T_NATIVE_DOUBLE, H5_SHAPE(NB + 1), (double[]){0, 1, 2, 3, 4});
    fails(XANI_ERR_INPUT, "run0001_on.h5: scan_var has 5 entries, imgs 4 bins");
    h5_put(on_path, "imgs", H5T_NATIVE_DOUBLE, H5_SHAPE(NB, NY), (double[NB * NY]){0});
    fails(XANI_ERR_INPUT, "run0001_on.h5: imgs is float64 (4, 3); sums of frames (bin, y, x) are needed");
    h5_put(on_path, "imgs", H5T_C_S1, 0, NULL, "no image");
    fails(XANI_ERR_INPUT, "run0001_on.h5: imgs is ");
    h5_drop(on_path, "imgs");
    fails(XANI_ERR_INPUT, "imgs");
    write_pair("run0001");
    h5_drop(on_path, "bin_counts");
    fails(XANI_ERR_INPUT, "run0001_on.h5: has neither bin_counts nor bin_count");
    write_pair("run0001");
    h5_put(off_path, "imgs", H5T_NATIVE_DOUBLE, H5_SHAPE(1, NX, NY), (double[PLANE]){0});
    fails(XANI_ERR_INPUT, "run0001_off.h5: imgs has shape (1, 2, 3)");
    write_pair("run0001");
    h5_put(off_path, "bin_counts", H5T_NATIVE_DOUBLE, H5_SHAPE(1), (double[]){0});
    fails(XANI_ERR_INPUT, "run0001_off.h5: no laser-off shots");
    write_pair("run0001");
    h5_put(on_path, "bin_counts", H5T_NATIVE_DOUBLE, H5_SHAPE(NB), (double[]){0, 0, 0, 0});
    fails(XANI_ERR_INPUT, "run0001_on.h5: every bin is empty");
    write_pair("run0001");
    h5_put(on_path, "bin_count", H5T_NATIVE_DOUBLE, H5_SHAPE(NB), counts); // both, the same: no matter
    xn_cube whole;
    loads(&whole);
    xn_cube_free(&whole);
    h5_put(on_path, "bin_count", H5T_NATIVE_DOUBLE, H5_SHAPE(NB), (double[]){10, 20, 31, 40});
    fails(XANI_ERR_INPUT, "run0001_on.h5: bin_counts and bin_count contradict each other: 30 and 31 shots in bin 2");
    h5_put(on_path, "bin_count", H5T_NATIVE_DOUBLE, H5_SHAPE(2), counts);
    fails(XANI_ERR_INPUT, "run0001_on.h5: bin_counts has 4 entries, bin_count 2");
    unlink(off_path);
    fails(XANI_ERR_INPUT, "run0001_on.h5: its laser-off half");
    snprintf(on_path, sizeof on_path, "%s/cube.h5", dir);
    h5_make(on_path);
    set("input.files=cube.h5");
    fails(XANI_ERR_INPUT, "cube.h5: layout cube needs pairs named like run0001_on.h5");
    write_pair("run0001");
    ck_assert_int_eq(truncate(on_path, 900), 0);
    set("input.files=run0001_on.h5");
    fails(XANI_ERR_INPUT, "run0001_on.h5");
}
END_TEST

START_TEST(test_runs)
{
    // Each run opens its own files, with its name and angles; wrong numbers of angles are refused.
    write_pair("run0002");
    xani_config_destroy(&config);
    const char *yaml =
        "input: {layout: cube, delay: {sign: 1}}\n"
        "geometry: {goniometer: [{axis: [0, 1, 0], angle_deg: 7}, {axis: [1, 0, 0], angle_deg: 8}]}\n"
        "runs:\n- {name: a, files: run0001_on.h5, angle_deg: [1.5, -2]}\n- {name: b, files: run0002_on.h5}\n"
        "- {name: c, files: run0002_on.h5, angle_deg: [1]}\n- {name: d, files: run0007_on.h5}\n";
    ck_assert_int_eq(xn_config_parse(ctx, yaml, "exp.yaml", dir, &config), XANI_OK);
    ck_assert_int_eq(xn_source_runs(config), 4);
    xn_source *s = NULL;
    ck_assert_int_eq(xn_source_open(ctx, config, 0, &s), XANI_OK);
    ck_assert_str_eq(s->run, "a");
    ck_assert_int_eq(s->n_angles, 2);
    ck_assert_double_eq(s->angles_deg[0], 1.5);
    ck_assert_double_eq(s->angles_deg[1], -2.0);
    xn_source_close(&s);
    ck_assert_int_eq(xn_source_open(ctx, config, 1, &s), XANI_OK);
    ck_assert_double_eq(s->angles_deg[1], 8.0);
    xn_source_close(&s);
    ck_assert_int_eq(xn_source_open(ctx, config, 2, &s), XANI_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "runs[2].angle_deg"));
    xn_clear_error(ctx);
    ck_assert_int_eq(xn_source_open(ctx, config, 3, &s), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "run d: "));
    char **files = NULL;
    xn_clear_error(ctx);
    ck_assert_int_eq(xn_source_files(ctx, config, 0, &files), XANI_OK);
    ck_assert_int_eq(files[0][0], '/');
    ck_assert_ptr_null(files[1]);
    for (int i = 0; files[i] != NULL; i++) xn_free(files[i]);
    xn_free(files);
}
END_TEST

START_TEST(test_no_memory)
{
    // Whichever allocation fails: an error of its own kind, nothing leaked, nothing half made.
    set("input.mask={dataset: imgs}");
    set("input.mask=null");
    xani_status st = XANI_OK;
    no_memory n = NO_MEMORY;
    for (; n.reached; no_memory_next(&n)) {
        xn_cube c;
        no_memory_begin(&n);
        st = load(&c);
        no_memory_end();
        if (st != XANI_OK) ck_assert_msg(st == XANI_ERR_MEMORY, "allocation %d: %s", (int)n.at, xani_error_text(ctx));
        xn_clear_error(ctx);
        xn_cube_free(&c);
    }
    ck_assert_int_eq(st, XANI_OK);
    ck_assert_uint_ge(n.at, 20);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_plain);
    tcase_add_test(t, test_spelling_and_halves);
    tcase_add_test(t, test_sign_reverses);
    tcase_add_test(t, test_unsorted);
    tcase_add_test(t, test_several_cubes);
    tcase_add_test(t, test_off_bins);
    tcase_add_test(t, test_missing_values);
    tcase_add_test(t, test_facts);
    tcase_add_test(t, test_ignored_keys);
    tcase_add_test(t, test_mask);
    tcase_add_test(t, test_chunked);
    tcase_add_test(t, test_configuration_errors);
    tcase_add_test(t, test_input_errors);
    tcase_add_test(t, test_runs);
    tcase_add_test(t, test_no_memory);
}

XN_TEST_MAIN("cube source", add)
