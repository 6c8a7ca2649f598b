// SPDX-License-Identifier: BSD-3-Clause
// test_dataset.c -- the public reader: parts, lists, types, shares, batches, growing files, and what it refuses.
#include "no_memory.h"
#include "test.h"

#include "h5write.h"

enum { N = 53, H = 12, W = 20 };

static xani_context *ctx;
static char path[600], other[600];
static int32_t truth[N][H][W];

static int32_t value(int i, int y, int x) { return 10000 * i + 100 * y + x; }

// layout 0: chunks (4, 5, 20) with gzip; 1: contiguous; 2: chunks of a frame, big-endian.
static void write_file(const char *name, int layout, hsize_t n)
{
    hsize_t dims[3] = {n, H, W}, most[3] = {H5S_UNLIMITED, H, W};
    hsize_t chunks[3][3] = {{4, 5, 20}, {0}, {1, H, W}};
    hid_t f = H5Fcreate(name, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), p = H5Pcreate(H5P_DATASET_CREATE);
    hid_t space = H5Screate_simple(3, dims, layout == 1 ? NULL : most);
    if (layout != 1) H5Pset_chunk(p, 3, chunks[layout]);
    if (layout == 0) H5Pset_deflate(p, 2);
    hid_t d = H5Dcreate2(f, "data", layout == 2 ? H5T_STD_I32BE : H5T_STD_I32LE, space, H5P_DEFAULT, p, H5P_DEFAULT);
    ck_assert_int_ge(H5Dwrite(d, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, truth), 0);
    H5Dclose(d), H5Pclose(p), H5Sclose(space), H5Fclose(f);
}

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(path, sizeof path, "%s/data.h5", xn_test_dir("dataset"));
    snprintf(other, sizeof other, "%s/other.h5", xn_test_dir("dataset"));
    for (int i = 0; i < N; i++)
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++) truth[i][y][x] = value(i, y, x);
}

static void tear_down(void)
{
    xn_mem_set_hook(NULL, NULL);
    xani_destroy(&ctx);
}

#define OK(call) ck_assert_msg((call) == XANI_OK, "%s", xani_error_text(ctx))

static xani_dataset *open_one(const char *name, const xani_read_options *options)
{
    xani_dataset *d = NULL;
    OK(xani_dataset_open(ctx, &name, 1, "data", options, &d));
    return d;
}

START_TEST(test_boxes)
{
    // Any box of any layout, by every reader and number of threads, is what was written.
    static const char *const readers[] = {"auto", "pread", "mmap", "library"};
    static int32_t box[N * H * W];
    write_file(path, _i, N);
    for (int r = 0; r < 4; r++)
        for (int threads = 1; threads <= 3; threads += 2) {
            xani_read_options o;
            xani_read_options_init(&o);
            o.reader = readers[r];
            o.threads = threads;
            xani_dataset *d = open_one(path, &o);
            OK(xani_dataset_read(ctx, d, NULL, NULL, XANI_INT32, box));
            ck_assert_mem_eq(box, truth, sizeof truth);
            uint32_t state = 7;
            for (int k = 0; k < 60; k++) {
                int64_t start[3], count[3], dims[3] = {N, H, W};
                for (int a = 0; a < 3; a++) {
                    state = state * 1664525 + 1013904223;
                    start[a] = (state >> 8) % dims[a];
                    state = state * 1664525 + 1013904223;
                    count[a] = (state >> 8) % (dims[a] - start[a] + 1);
                }
                memset(box, 0xA5, sizeof box);
                OK(xani_dataset_read(ctx, d, start, count, XANI_STORED, box));
                const int32_t *at = box;
                for (int64_t i = 0; i < count[0]; i++)
                    for (int64_t y = 0; y < count[1]; y++)
                        for (int64_t x = 0; x < count[2]; x++)
                            ck_assert_int_eq(*at++, truth[start[0] + i][start[1] + y][start[2] + x]);
                ck_assert_int_eq((uint8_t)box[at - box], 0xA5); // nothing behind it
                if (at == box + N * H * W) break;
            }
            xani_dataset_destroy(&d);
            ck_assert_ptr_null(d);
        }
}
END_TEST

START_TEST(test_lists)
{
    // Rows in any order, twice too, and a region of each; lists out of range are refused by number.
    static const int64_t list[] = {5, 3, 3, 52, 0, 1, 2, 4, 44, 43};
    static int32_t rows[10 * H * W];
    int64_t start[2] = {2, 7}, count[2] = {9, 11};
    write_file(path, _i, N);
    xani_dataset *d = open_one(path, NULL);
    OK(xani_dataset_read_list(ctx, d, list, 10, NULL, NULL, XANI_INT32, rows));
    for (int k = 0; k < 10; k++) ck_assert_mem_eq(rows + k * H * W, truth[list[k]], sizeof truth[0]);
    OK(xani_dataset_read_list(ctx, d, list, 10, start, count, XANI_INT32, rows));
    for (int k = 0; k < 10; k++)
        for (int y = 0; y < 9; y++)
            for (int x = 0; x < 11; x++) ck_assert_int_eq(rows[(k * 9 + y) * 11 + x], truth[list[k]][2 + y][7 + x]);
    ck_assert_int_eq(xani_dataset_read_list(ctx, d, (int64_t[]){1, 53}, 2, NULL, NULL, XANI_INT32, rows),
                     XANI_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "frame 53 wanted, there are 53"));
    count[1] = 14;
    ck_assert_int_eq(xani_dataset_read_list(ctx, d, list, 2, start, count, XANI_INT32, rows), XANI_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "axis 2"));
    xani_dataset_destroy(&d);
}
END_TEST

START_TEST(test_types)
{
    // Wider types hold every value, narrower ones where it fits; the first frame with a misfit is named with its value.
    static double wide[N * H * W];
    static uint16_t narrow[N * H * W];
    write_file(path, _i, N);
    xani_dataset *d = open_one(path, NULL);
    OK(xani_dataset_read(ctx, d, NULL, NULL, XANI_FLOAT64, wide));
    for (int i = 0; i < N * H * W; i++) ck_assert(wide[i] == ((int32_t *)truth)[i]);
    int64_t start[3] = {0, 0, 0}, count[3] = {6, H, W};
    OK(xani_dataset_read(ctx, d, start, count, XANI_UINT16, narrow));
    for (int i = 0; i < 6 * H * W; i++) ck_assert_int_eq(narrow[i], ((int32_t *)truth)[i]);
    start[0] = 7, count[0] = 1;
    ck_assert_int_eq(xani_dataset_read(ctx, d, start, count, XANI_UINT16, narrow), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "does not fit uint16"));
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "value 7"));
    ck_assert_int_eq(xani_dataset_read(ctx, d, NULL, NULL, XANI_STRING, narrow), XANI_ERR_USAGE);
    ck_assert_int_eq(xani_dataset_read(ctx, d, NULL, NULL, (xani_type)77, narrow), XANI_ERR_USAGE);
    ck_assert_uint_eq(xani_type_size(XANI_UINT16), 2);
    ck_assert_str_eq(xani_type_name(XANI_FLOAT32), "float32");
    xani_dataset_destroy(&d);
}
END_TEST

START_TEST(test_misfit_is_placed)
{
    // The one value that does not fit is named with its frame, however its chunk, block or batch begins.
    static uint16_t narrow[N * H * W];
    const int64_t list[] = {52, 41, 3};
    memset(truth, 0, sizeof truth);
    truth[41][7][5] = 70000;
    write_file(path, _i, N);
    xani_dataset *d = open_one(path, NULL);
    ck_assert_int_eq(xani_dataset_read(ctx, d, NULL, NULL, XANI_UINT16, narrow), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "data: frame 41: value 70000 does not fit uint16"));
    ck_assert_int_eq(xani_dataset_read_list(ctx, d, list, 3, NULL, NULL, XANI_UINT16, narrow), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "data: frame 41: value 70000 does not fit uint16"));
    xani_batch_options o = {.size = sizeof o, .rows = 3, .first = 39, .n = 14, .type = XANI_UINT16};
    xani_batches *batches = NULL;
    xani_batch batch;
    OK(xani_batches_create(ctx, d, &o, &batches));
    ck_assert_int_eq(xani_batches_next(ctx, batches, &batch), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "data: frame 41: value 70000 does not fit uint16"));
    xani_batches_destroy(&batches);
    xani_dataset_destroy(&d);
}
END_TEST

START_TEST(test_shares)
{
    // Shares for any number of workers follow each other, cover all rows, and end where chunks or files do.
    write_file(path, 0, N); // chunks of 4 rows: edges at 0, 4, ..., 52, 53, then 57, ...
    write_file(other, 0, 10);
    const char *files[] = {path, other};
    xani_dataset *d = NULL;
    OK(xani_dataset_open(ctx, files, 2, "data", NULL, &d));
    for (int64_t parts = 1; parts < 80; parts++) {
        int64_t next = 0, first, rows;
        for (int64_t k = 0; k < parts; k++) {
            OK(xani_dataset_share(ctx, d, k, parts, &first, &rows));
            ck_assert_int_eq(first, next);
            ck_assert_int_ge(rows, 0);
            next = first + rows;
            ck_assert(next == N + 10 || (next < N ? next % 4 == 0 : (next - N) % 4 == 0));
        }
        ck_assert_int_eq(next, N + 10);
    }
    int64_t a, b;
    ck_assert_int_eq(xani_dataset_share(ctx, d, 3, 3, &a, &b), XANI_ERR_USAGE);
    xani_dataset_destroy(&d);
}
END_TEST

START_TEST(test_view)
{
    // A row is handed out in place where it lies in one piece as it is in memory, and nowhere else.
    write_file(path, _i, N);
    xani_dataset *d = open_one(path, NULL);
    const int32_t *row = xani_dataset_view(d, 17);
    ck_assert((row != NULL) == (_i == 1));
    if (row) ck_assert_mem_eq(row, truth[17], sizeof truth[0]);
    ck_assert_ptr_null(xani_dataset_view(d, N));
    ck_assert_ptr_null(xani_dataset_view(d, -1));
    xani_dataset_destroy(&d);
}
END_TEST

static void expect_batches(xani_dataset *d, const xani_batch_options *o, const int64_t *list, int64_t first, int64_t n)
{
    xani_batches *batches = NULL;
    xani_batch batch;
    OK(xani_batches_create(ctx, d, o, &batches));
    for (int64_t seen = 0;; seen += batch.rows) {
        OK(xani_batches_next(ctx, batches, &batch));
        ck_assert_int_eq(batch.first, seen);
        ck_assert_int_eq(batch.rows, o->rows ? xn_min64(o->rows, n - seen) : n - seen);
        if (batch.rows == 0) break;
        for (int64_t k = 0; k < batch.rows; k++)
            ck_assert_mem_eq((const int32_t *)batch.data + k * H * W, truth[list ? list[seen + k] : first + seen + k],
                             sizeof truth[0]);
    }
    OK(xani_batches_next(ctx, batches, &batch)); // stays at the end
    ck_assert_int_eq(batch.rows, 0);
    xani_batches_destroy(&batches);
    ck_assert_ptr_null(batches);
}

START_TEST(test_batches)
{
    // Batches of any size hold all rows once and in order, of a range or of a list; left early, nothing hangs.
    int64_t list[40];
    for (int k = 0; k < 40; k++) list[k] = (k * 17) % N;
    write_file(path, _i, N);
    xani_dataset *d = open_one(path, NULL);
    xani_batch_options o;
    xani_batch_options_init(&o);
    for (o.rows = 0; o.rows <= N + 1; o.rows += 9)
        for (o.ahead = 0; o.ahead < 4; o.ahead++) {
            o.list = NULL, o.first = 0, o.n = -1;
            expect_batches(d, &o, NULL, 0, N);
            o.first = 11, o.n = 30;
            expect_batches(d, &o, NULL, 11, 30);
            o.list = list, o.n = 40;
            expect_batches(d, &o, list, 0, 40);
        }
    xani_batches *batches = NULL;
    xani_batch batch;
    o = (xani_batch_options){.size = sizeof o, .rows = 2, .n = -1, .type = XANI_STORED};
    OK(xani_batches_create(ctx, d, &o, &batches));
    OK(xani_batches_next(ctx, batches, &batch));
    xani_batches_destroy(&batches);
    o.first = 50, o.n = 4;
    ck_assert_int_eq(xani_batches_create(ctx, d, &o, &batches), XANI_ERR_USAGE);
    ck_assert_ptr_null(batches);
    o = (xani_batch_options){.size = sizeof o, .rows = 6, .n = -1, .type = XANI_UINT16}; // 6 frames fit, the others not
    OK(xani_batches_create(ctx, d, &o, &batches));
    OK(xani_batches_next(ctx, batches, &batch));
    ck_assert_int_eq(xani_batches_next(ctx, batches, &batch), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "does not fit uint16"));
    xani_batches_destroy(&batches);
    xani_dataset_destroy(&d);
}
END_TEST

START_TEST(test_refresh)
{
    // A file that grew shows its new rows after a refresh; one that became something else is refused.
    static int32_t rows[N * H * W];
    xani_dataset_info info;
    xani_dataset_info_init(&info);
    write_file(path, _i, 20);
    xani_dataset *d = open_one(path, NULL);
    OK(xani_dataset_describe(ctx, d, &info));
    ck_assert_int_eq(info.shape[0], 20);
    write_file(path, _i, N);
    OK(xani_dataset_refresh(ctx, d));
    OK(xani_dataset_describe(ctx, d, &info));
    ck_assert_int_eq(info.shape[0], N);
    OK(xani_dataset_read(ctx, d, NULL, NULL, XANI_INT32, rows));
    ck_assert_mem_eq(rows, truth, sizeof truth);
    write_file(path, _i, 20);
    ck_assert_int_eq(xani_dataset_refresh(ctx, d), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "became int32 of shape (20, 12, 20)"));
    xani_dataset_destroy(&d);
}
END_TEST

START_TEST(test_describe_and_refuse)
{
    // What a dataset is, is told; wrong options name themselves.
    static const char *const layouts[] = {"chunked", "contiguous", "chunked"}, *const filters[] = {"gzip", "", ""};
    static const int64_t tiles[] = {4, N, 1};
    xani_dataset_info info;
    xani_read_options o;
    const char *files[1] = {path};
    xani_dataset *d = NULL;
    write_file(path, _i, N);
    d = open_one(path, NULL);
    xani_dataset_info_init(&info);
    OK(xani_dataset_describe(ctx, d, &info));
    ck_assert(info.type == XANI_INT32 && info.rank == 3 && info.shape[2] == W && info.direct == 1 && info.sources == 1);
    ck_assert_str_eq(info.layout, layouts[_i]);
    ck_assert_str_eq(info.filters, filters[_i]);
    ck_assert_int_eq(info.tile[0], tiles[_i]);
    ck_assert_int_eq(info.stored_bytes == (int64_t)sizeof truth, _i != 0);
    info.size = 0;
    ck_assert_int_eq(xani_dataset_describe(ctx, d, &info), XANI_ERR_USAGE);
    xani_dataset_destroy(&d);
    const struct {
        size_t size;
        const char *reader;
        int threads, depth, missing, device;
        const char *words;
    } bad[] = {{0, "auto", 0, 0, 0, -1, "xani_read_options.size"}, {sizeof o, "telepathy", 0, 0, 0, -1, "telepathy"},
               {sizeof o, "auto", -1, 0, 0, -1, "threads"},        {sizeof o, "auto", 0, -2, 0, -1, "depth"},
               {sizeof o, "auto", 0, 0, 7, -1, "missing"},         {sizeof o, "auto", 0, 0, 0, 100000, "device 100000"},
               {sizeof o, "auto", 0, 0, 0, -2, "device: -2"}};
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
        o = (xani_read_options){.size = bad[k].size,
                                .reader = bad[k].reader,
                                .threads = bad[k].threads,
                                .depth = bad[k].depth,
                                .missing = bad[k].missing,
                                .device = bad[k].device};
        ck_assert_int_eq(xani_dataset_open(ctx, files, 1, "data", &o, &d), XANI_ERR_USAGE);
        ck_assert_ptr_null(d);
        ck_assert_msg(strstr(xani_error_text(ctx), bad[k].words) != NULL, "%s", xani_error_text(ctx));
    }
    ck_assert_int_eq(xani_dataset_open(ctx, files, 0, "data", NULL, &d), XANI_ERR_USAGE);
    ck_assert_int_eq(xani_dataset_open(ctx, files, 1, "nothing", NULL, &d), XANI_ERR_INPUT);
}
END_TEST

START_TEST(test_memory_may_fail)
{
    // Each allocation of opening, reading and batching fails once: said as such, or the answer is right.
    static int32_t rows[N * H * W];
    const char *files[1] = {path};
    write_file(path, _i, N);
    no_memory n = NO_MEMORY;
    for (; n.reached; no_memory_next(&n)) {
        xani_dataset *d = NULL;
        xani_batches *batches = NULL;
        xani_batch batch = {0};
        no_memory_begin(&n);
        xani_status st = xani_dataset_open(ctx, files, 1, "data", NULL, &d);
        if (st == XANI_OK) st = xani_dataset_read(ctx, d, NULL, NULL, XANI_INT32, rows);
        if (st == XANI_OK) ck_assert_mem_eq(rows, truth, sizeof truth);
        if (st == XANI_OK) st = xani_batches_create(ctx, d, NULL, &batches);
        if (st == XANI_OK) st = xani_batches_next(ctx, batches, &batch);
        if (st == XANI_OK) ck_assert_mem_eq(batch.data, truth, sizeof truth);
        no_memory_end();
        ck_assert_msg(st == XANI_OK || (n.reached && st == XANI_ERR_MEMORY), "%llu: %s", (unsigned long long)n.at,
                      xani_error_text(ctx));
        xani_batches_destroy(&batches);
        xani_dataset_destroy(&d);
    }
    ck_assert_uint_gt(n.at, 20);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, test_boxes, 0, 3);
    tcase_add_loop_test(t, test_lists, 0, 3);
    tcase_add_loop_test(t, test_types, 0, 3);
    tcase_add_loop_test(t, test_misfit_is_placed, 0, 3);
    tcase_add_test(t, test_shares);
    tcase_add_loop_test(t, test_view, 0, 2);
    tcase_add_loop_test(t, test_batches, 0, 3);
    tcase_add_loop_test(t, test_refresh, 0, 3);
    tcase_add_loop_test(t, test_describe_and_refuse, 0, 3);
    tcase_add_loop_test(t, test_memory_may_fail, 0, 3);
}
XN_TEST_MAIN("public reader of datasets", add)
