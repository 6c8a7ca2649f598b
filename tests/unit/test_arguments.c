// SPDX-License-Identifier: BSD-3-Clause
// test_arguments.c -- what every public function does with NULL, and how requests to stop are answered.
#include "test.h"

#include "h5write.h"

static xani_context *ctx;
static xani_config *config;
static char path[600];

static void set_up(void)
{
    const double value[4] = {0, 1, 2, 3};
    hsize_t dims[1] = {4};
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    ck_assert_int_eq(xani_config_create(ctx, &config), XANI_OK);
    snprintf(path, sizeof path, "%s/data.h5", xn_test_dir("arguments"));
    hid_t f = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), space = H5Screate_simple(1, dims, NULL);
    hid_t d = H5Dcreate2(f, "data", H5T_NATIVE_DOUBLE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert_int_ge(H5Dwrite(d, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, value), 0);
    H5Dclose(d), H5Sclose(space);
    space = H5Screate(H5S_NULL);
    d = H5Dcreate2(f, "none", H5T_NATIVE_DOUBLE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Dclose(d), H5Sclose(space), H5Fclose(f);
}

static void tear_down(void)
{
    xani_config_destroy(&config);
    xani_destroy(&ctx);
}

static void refused(int line, xani_status status, const char *name)
{
    char words[80];
    snprintf(words, sizeof words, ": %s is NULL", name);
    ck_assert_msg(status == XANI_ERR_USAGE && strstr(xani_error_text(ctx), words) != NULL, "line %d: %d, %s", line,
                  (int)status, xani_error_text(ctx));
}
#define REFUSED(call, name) refused(__LINE__, (call), (name))

START_TEST(test_questions)
{
    // Configurations, stages and questions name what is missing.
    char *text = NULL;
    const char *const one[] = {"a", NULL};
    float *position;
    uint8_t *mask;
    int64_t shape[2];
    REFUSED(xani_config_open(ctx, NULL, &(xani_config *){NULL}), "path");
    REFUSED(xani_config_open(ctx, "x", NULL), "config");
    REFUSED(xani_config_create(ctx, NULL), "config");
    REFUSED(xani_config_stored(ctx, NULL, &(xani_config *){NULL}), "result_path");
    REFUSED(xani_config_stored(ctx, "x", NULL), "config");
    REFUSED(xani_config_assign(ctx, NULL, "a=1"), "config");
    REFUSED(xani_config_assign(ctx, config, NULL), "assignment");
    REFUSED(xani_config_text(ctx, NULL, &text), "config");
    REFUSED(xani_config_text(ctx, config, NULL), "yaml");
    REFUSED(xani_sim(ctx, NULL, "x"), "config");
    REFUSED(xani_run(ctx, NULL, "x", &text), "config");
    REFUSED(xani_reduce(ctx, config, NULL), "cube_path");
    REFUSED(xani_dark(ctx, NULL, NULL), "config");
    REFUSED(xani_fit(ctx, NULL, NULL, "x"), "cube_path");
    REFUSED(xani_fit(ctx, NULL, "x", NULL), "modes_path");
    REFUSED(xani_map(ctx, NULL, NULL, 1, "x"), "modes_paths");
    REFUSED(xani_map(ctx, NULL, one, 2, "x"), "modes_paths[1]");
    REFUSED(xani_map(ctx, NULL, one, 1, NULL), "dispersion_path");
    REFUSED(xani_map_plan(ctx, NULL, one, 1, "x", NULL), "json");
    REFUSED(xani_merge(ctx, one, 2, "x"), "cube_paths[1]");
    REFUSED(xani_info(ctx, NULL, 1, &text), "paths");
    REFUSED(xani_init(ctx, one, 1, NULL), "yaml");
    REFUSED(xani_detector(ctx, NULL, &text), "config");
    REFUSED(xani_pixels(ctx, config, NULL, &position, NULL, &mask), "shape");
    REFUSED(xani_pixels(ctx, NULL, shape, &position, NULL, &mask), "config");
    REFUSED(xani_check(ctx, config, NULL), "json");
    REFUSED(xani_index(ctx, NULL, &text), "config");
    REFUSED(xani_plan(ctx, NULL, &text), "config");
    REFUSED(xani_verify(ctx, NULL, 3, &text), "paths");
    ck_assert_int_eq(xani_verify(ctx, NULL, 0, &text), XANI_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "no files"));
    REFUSED(xani_write_file(ctx, NULL, "a", 1), "path");
    REFUSED(xani_write_file(ctx, "a", NULL, 1), "bytes");
    REFUSED(xani_machine(ctx, NULL), "json");
    REFUSED(xani_repack(ctx, NULL, 1, "x", NULL, NULL), "inputs");
    REFUSED(xani_repack(ctx, one, 1, NULL, NULL, NULL), "output");
    ck_assert_ptr_null(text);
}
END_TEST

START_TEST(test_arrays)
{
    // So do the reader and what works on traces in memory.
    xani_array a;
    xani_dataset *d = NULL;
    xani_dataset_info info;
    xani_batches *batches = NULL;
    xani_batch batch;
    xani_phonons *phonons = NULL;
    const char *files[] = {path};
    int64_t first;
    char *text;
    double x = 0;
    float y = 0;
    xani_lp_options lp;
    xani_lp_options_init(&lp);
    REFUSED(xani_array_read(ctx, NULL, "data", &a), "file");
    REFUSED(xani_array_read(ctx, path, "data", NULL), "array");
    REFUSED(xani_attribute_read(ctx, path, "/", NULL, &text), "name");
    REFUSED(xani_dataset_open(ctx, NULL, 1, "data", NULL, &d), "files");
    REFUSED(xani_dataset_open(ctx, files, 1, NULL, NULL, &d), "dataset");
    REFUSED(xani_dataset_open(ctx, files, 1, "data", NULL, NULL), "d");
    ck_assert_int_eq(xani_dataset_open(ctx, files, 1, "data", NULL, &d), XANI_OK);
    REFUSED(xani_dataset_describe(ctx, d, NULL), "info");
    REFUSED(xani_dataset_describe(ctx, NULL, &info), "d");
    REFUSED(xani_dataset_read(ctx, NULL, NULL, NULL, XANI_FLOAT64, &x), "d");
    REFUSED(xani_dataset_read(ctx, d, NULL, NULL, XANI_FLOAT64, NULL), "dst");
    ck_assert_int_eq(xani_dataset_read(ctx, d, &(int64_t){4}, &(int64_t){0}, XANI_FLOAT64, NULL), XANI_OK);
    REFUSED(xani_dataset_read_list(ctx, d, NULL, 1, NULL, NULL, XANI_FLOAT64, &x), "list");
    REFUSED(xani_dataset_share(ctx, d, 0, 1, &first, NULL), "rows");
    REFUSED(xani_dataset_refresh(ctx, NULL), "d");
    REFUSED(xani_batches_create(ctx, NULL, NULL, &batches), "d");
    REFUSED(xani_batches_next(ctx, NULL, &batch), "batches");
    ck_assert_ptr_null(xani_dataset_view(NULL, 0));
    xani_batch_options o;
    xani_batch_options_init(&o);
    o.n = -2;
    ck_assert_int_eq(xani_batches_create(ctx, d, &o, &batches), XANI_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "n is -2"));
    xani_dataset_destroy(&d);
    REFUSED(xani_fit_threshold(ctx, NULL, &x, 9, NULL, NULL), "significance");
    REFUSED(xani_fit_traces(ctx, NULL, NULL, &x, 9, 1, NULL, NULL), "traces");
    REFUSED(xani_fit_traces(ctx, NULL, &y, &x, 9, 1, NULL, NULL), "results");
    REFUSED(xani_linear_prediction(ctx, &lp, &x, NULL, 9, 1, 1, NULL, NULL), "delay_ps");
    REFUSED(xani_phonons_open(ctx, NULL, NULL, &phonons), "path");
    REFUSED(xani_phonons_at(ctx, NULL, 1, &x, NULL, &x, NULL), "phonons");
    ck_assert_int_eq(xani_array_read(ctx, path, "none", &a), XANI_OK); // a null dataspace: one axis of 0
    ck_assert(a.rank == 1 && a.shape[0] == 0 && a.size == 0);
    xani_array_free(&a);
}
END_TEST

START_TEST(test_nothing)
{
    // What has no status does nothing with NULL; without a context there is no text.
    xani_free(NULL);
    xani_array_free(NULL);
    xani_destroy(NULL);
    xani_config_destroy(NULL);
    xani_dataset_destroy(NULL);
    xani_batches_destroy(NULL);
    xani_phonons_close(NULL);
    xani_set_log(NULL, NULL, NULL);
    xani_set_progress(NULL, NULL, NULL);
    xani_set_command(NULL, NULL);
    xani_interrupt(NULL);
    xani_read_options_init(NULL);
    xani_dataset_info_init(NULL);
    xani_batch_options_init(NULL);
    xani_fit_options_init(NULL);
    xani_lp_options_init(NULL);
    xani_repack_options_init(NULL);
    xani_phonons_options_init(NULL);
    xani_model_data_init(NULL);
    xani_model_options_init(NULL);
    xani_model_results_init(NULL);
    xani_model_file_init(NULL);
    ck_assert_ptr_null(xani_utf8(NULL));
    xani_phonons_crystal(NULL, NULL, NULL, NULL, NULL);
    ck_assert(xani_phonons_atoms(NULL) == 0 && xani_phonons_polar(NULL) == 0);
    ck_assert_int_eq(xani_phonons_conventional(NULL, NULL), 0);
    ck_assert_int_eq(xani_array_exists(ctx, NULL, "/"), 0);
    ck_assert_str_eq(xani_error_text(NULL), "");
    ck_assert_int_eq(xani_create(NULL), XANI_ERR_USAGE);
    ck_assert_int_eq(xani_machine(NULL, &(char *){NULL}), XANI_ERR_USAGE);
    ck_assert_int_eq(xani_config_create(NULL, &(xani_config *){NULL}), XANI_ERR_USAGE);
}
END_TEST

static void stop(void *user, const char *stage, int64_t done, int64_t total, const char *unit, double seconds)
{
    (void)stage, (void)done, (void)total, (void)unit, (void)seconds;
    xani_interrupt(user);
}

START_TEST(test_interrupts)
{
    // A call answers all requests made until it returns XANI_INTERRUPTED, and the next one runs; a request that no call
    // has answered waits for one that looks.
    double value[4], sample[64], t[64], levels = 0;
    xani_array a;
    xani_lp_component c[4];
    xani_lp_result r;
    xani_lp_options o;
    xani_dataset *d = NULL;
    const char *files[] = {path};
    xani_lp_options_init(&o);
    for (int i = 0; i < 64; i++) t[i] = i, sample[i] = cos(i);
    ck_assert_int_eq(xani_dataset_open(ctx, files, 1, "data", NULL, &d), XANI_OK);
    xani_interrupt(ctx);
    xani_interrupt(ctx);
    ck_assert_int_eq(xani_dataset_read(ctx, d, NULL, NULL, XANI_FLOAT64, value), XANI_INTERRUPTED);
    ck_assert_int_eq(xani_dataset_read(ctx, d, NULL, NULL, XANI_FLOAT64, value), XANI_OK);
    xani_set_progress(ctx, stop, ctx); // while it runs, again and again
    ck_assert_int_eq(xani_linear_prediction(ctx, &o, sample, t, 64, 1, 4, c, &r), XANI_INTERRUPTED);
    xani_set_progress(ctx, NULL, NULL);
    ck_assert_int_eq(xani_linear_prediction(ctx, &o, sample, t, 64, 1, 4, c, &r), XANI_OK);
    xani_interrupt(ctx);
    ck_assert_int_eq(xani_array_read(ctx, path, "data", &a), XANI_OK); // small: it does not look
    xani_array_free(&a);
    xani_model *model = NULL;
    xani_model_data data;
    xani_model_results results;
    xani_model_data_init(&data);
    xani_model_results_init(&results);
    data.n_sets = 1, data.n_points = 64, data.y = sample;
    results.values = &levels;
    ck_assert_int_eq(xani_model_create(ctx, "constant", NULL, 0, &model), XANI_OK);
    ck_assert_int_eq(xani_model_fit(ctx, model, &data, NULL, &results), XANI_INTERRUPTED);
    ck_assert_int_eq(xani_model_fit(ctx, model, &data, NULL, &results), XANI_OK);
    xani_model_destroy(&model);
    xani_dataset_destroy(&d);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_questions);
    tcase_add_test(t, test_arrays);
    tcase_add_test(t, test_nothing);
    tcase_add_test(t, test_interrupts);
}
XN_TEST_MAIN("arguments and requests to stop", add)
