// SPDX-License-Identifier: BSD-3-Clause
// test_plugin.c -- filters of installed plugins give the library's answer outside its lock, or are left to it.
#include "test.h"

#include <hdf5.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#include "io/pipeline.h"
#include "io/plugin.h"

enum { N = 7, H = 50, W = 36, CN = 2, CH = 20, CW = 16 }; // chunks stick out on every side

static const struct {
    int id;
    const char *name;
    size_t n_values;
    unsigned values[6];
    bool real; // float; else uint16
} cases[] = {
    {XN_FILTER_BZIP2, "bzip2", 1, {9}, false},
    {XN_FILTER_ZFP, "zfp, lossless", 1, {5}, true},
    {XN_FILTER_ZFP, "zfp, 12 bits a value", 4, {1, 0, 0, 0x40280000}, true},
};
enum { CASES = sizeof cases / sizeof cases[0] };

static uint32_t state = 5;
static uint32_t next_random(void)
{
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

static bool skipped(int id)
{
    if (H5Zfilter_avail(id) > 0) return false;
    xn_skip(id == XN_FILTER_BZIP2 ? "the bzip2 plugin is not installed" : "the zfp plugin is not installed");
    return true;
}

// A file with one dataset "x"; shuffle in front for integers, so that a chain is tested.
static hid_t make(int k, hid_t *file, uint8_t **values, size_t *bytes)
{
    char path[600];
    snprintf(path, sizeof path, "%s/plugin%d.h5", xn_test_dir("plugin"), k);
    hsize_t dims[3] = {N, H, W}, chunk[3] = {CN, CH, CW};
    hid_t type = cases[k].real ? H5T_IEEE_F32LE : H5T_STD_U16LE, p = H5Pcreate(H5P_DATASET_CREATE);
    hid_t space = H5Screate_simple(3, dims, NULL);
    H5Pset_chunk(p, 3, chunk);
    if (!cases[k].real) H5Pset_shuffle(p);
    ck_assert_int_ge(H5Pset_filter(p, cases[k].id, H5Z_FLAG_MANDATORY, cases[k].n_values, cases[k].values), 0);
    if (!cases[k].real) H5Pset_fletcher32(p);
    *file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t d = H5Dcreate2(*file, "x", type, space, H5P_DEFAULT, p, H5P_DEFAULT);
    ck_assert_int_ge(d, 0);
    size_t size = H5Tget_size(type);
    *bytes = N * H * W * size;
    *values = malloc(*bytes);
    for (size_t i = 0; i < N * H * W; i++) {
        if (cases[k].real)
            ((float *)*values)[i] = (float)(sin(0.01 * (double)i) * 50.0 + next_random() % 10);
        else
            ((uint16_t *)*values)[i] = (uint16_t)(next_random() % 12);
    }
    ck_assert_int_ge(H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, *values), 0);
    H5Dclose(d); // the library keeps what was written, before any filter
    H5Fclose(*file);
    *file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    d = H5Dopen2(*file, "x", H5P_DEFAULT);
    ck_assert_int_ge(H5Dread(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, *values), 0); // zfp loses something
    H5Pclose(p);
    H5Sclose(space);
    return d;
}

static void get(hid_t d, xn_pipeline *p)
{
    hid_t created = H5Dget_create_plist(d);
    xn_pipeline_get(created, p);
    H5Pclose(created);
}

typedef struct {
    hsize_t at[3], stored;
    uint8_t *bytes;
} chunk_copy;

static hsize_t copy_chunks(hid_t d, chunk_copy *c)
{
    hid_t space = H5Dget_space(d);
    hsize_t n = 0;
    ck_assert_int_ge(H5Dget_num_chunks(d, space, &n), 0);
    for (hsize_t i = 0; i < n; i++) {
        unsigned mask;
        uint32_t skipped_filters;
        haddr_t address;
        ck_assert_int_ge(H5Dget_chunk_info(d, space, i, c[i].at, &mask, &address, &c[i].stored), 0);
        c[i].bytes = malloc(c[i].stored);
        ck_assert_int_ge(H5Dread_chunk(d, H5P_DEFAULT, c[i].at, &skipped_filters, c[i].bytes), 0);
    }
    H5Sclose(space);
    return n;
}

// Elements of a decoded chunk that differ from the dataset's.
static int differing(const chunk_copy *c, const uint8_t *chunk, const uint8_t *values, size_t size)
{
    int wrong = 0;
    for (hsize_t z = 0; z < CN && c->at[0] + z < N; z++)
        for (hsize_t y = 0; y < CH && c->at[1] + y < H; y++)
            for (hsize_t x = 0; x < CW && c->at[2] + x < W; x++) {
                size_t from = (z * CH + y) * CW + x, to = ((c->at[0] + z) * H + c->at[1] + y) * W + c->at[2] + x;
                wrong += memcmp(chunk + from * size, values + to * size, size) != 0;
            }
    return wrong;
}

START_TEST(test_same)
{
    // Every chunk, decoded in several threads at once while the library decodes too, equals H5Dread.
    if (skipped(cases[_i].id)) return;
    uint8_t *values;
    size_t bytes, size = cases[_i].real ? 4 : 2, whole = CN * CH * CW * size;
    hid_t file, d = make(_i, &file, &values, &bytes);
    xn_pipeline p;
    get(d, &p);
    ck_assert_msg(p.known, "%s is not called outside the lock", cases[_i].name);
    ck_assert(xn_plugin_agrees(d, &p));
    chunk_copy c[64];
    hsize_t n = copy_chunks(d, c);
    ck_assert_uint_eq(n, 4 * 3 * 3);
    int wrong = 0;
#pragma omp parallel for num_threads(4) reduction(+ : wrong)
    for (int job = 0; job < 400; job++) {
        if (job % 40 == 0) {
            uint8_t *again = malloc(bytes);
            wrong +=
                H5Dread(d, cases[_i].real ? H5T_IEEE_F32LE : H5T_STD_U16LE, H5S_ALL, H5S_ALL, H5P_DEFAULT, again) < 0;
            wrong += memcmp(again, values, bytes) != 0;
            free(again);
        }
        xn_codec *codec = xn_codec_open();
        uint8_t *out = malloc(whole);
        const chunk_copy *one = &c[job % (int)n];
        wrong += xn_pipeline_decode(codec, &p, 0, one->bytes, one->stored, out, whole) != NULL;
        wrong += differing(one, out, values, size);
        free(out);
        xn_codec_close(&codec);
    }
    ck_assert_int_eq(wrong, 0);
    for (hsize_t i = 0; i < n; i++) free(c[i].bytes);
    free(values);
    H5Dclose(d), H5Fclose(file);
}
END_TEST

START_TEST(test_damaged)
{
    // Changed and shortened bytes give an error, or a chunk of the right size; the bytes are found out by the checksum.
    if (skipped(XN_FILTER_BZIP2)) return;
#ifdef __SANITIZE_ADDRESS__
    __lsan_disable(); // the plugin loses its state when it fails
#endif
    uint8_t *values;
    size_t bytes, whole = CN * CH * CW * 2;
    hid_t file, d = make(0, &file, &values, &bytes);
    xn_pipeline p;
    get(d, &p);
    chunk_copy c[64];
    hsize_t n = copy_chunks(d, c);
    xn_codec *codec = xn_codec_open();
    uint8_t *out = malloc(whole);
    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr)); // the plugin writes a line each time
    for (int with_sum = 0; with_sum < 2; with_sum++)
        for (int round = 0; round < 600; round++) {
            chunk_copy *one = &c[round % (int)n];
            uint8_t *src = malloc(one->stored);
            memcpy(src, one->bytes, one->stored);
            size_t length = one->stored;
            src[next_random() % length] ^= (uint8_t)(1u << next_random() % 8);
            if (round % 3 == 0) length = next_random() % length;
            xn_pipeline q = p;
            if (!with_sum) q.n--, length -= length >= 4 && length == one->stored ? 4 : 0;
            const char *why = xn_pipeline_decode(codec, &q, 0, src, length, out, whole);
            if (with_sum) ck_assert_ptr_nonnull(why);
            if (why == NULL) ck_assert_int_eq(differing(one, out, values, 2), 0); // a bit that means nothing
            free(src);
        }
    for (hsize_t i = 0; i < n; i++) free(c[i].bytes);
    free(out), free(values);
    xn_codec_close(&codec);
    H5Dclose(d), H5Fclose(file);
#ifdef __SANITIZE_ADDRESS__
    __lsan_enable();
#endif
}
END_TEST

// A filter of the program with bzip2's number that decodes to as many zeros as a chunk has bytes.
static size_t zeros(unsigned flags, size_t n_values, const unsigned *values, size_t n, size_t *size, void **buffer)
{
    (void)n_values, (void)values;
    if (!(flags & H5Z_FLAG_REVERSE)) return n;
    H5free_memory(*buffer);
    *size = CN * CH * CW * 2;
    *buffer = H5allocate_memory(*size, true);
    return *size;
}
static const H5Z_class2_t program_filter = {H5Z_CLASS_T_VERS, XN_FILTER_BZIP2, 1, 1, "zeros", NULL, NULL, zeros};

START_TEST(test_registered_by_program)
{
    // A filter that the program registered itself is no plugin's: it is left to the library.
    ck_assert_int_ge(H5Zregister(&program_filter), 0);
    ck_assert_ptr_null(xn_plugin_decoder(XN_FILTER_BZIP2));
}
END_TEST

START_TEST(test_other_answer)
{
    // Where H5Dread gives other bytes than the plugin, the plugin is not believed.
    if (skipped(XN_FILTER_BZIP2)) return;
    uint8_t *values;
    size_t bytes;
    hid_t file, d = make(0, &file, &values, &bytes);
    xn_pipeline p;
    get(d, &p);
    ck_assert(p.known && xn_plugin_agrees(d, &p));
    H5Dclose(d);
    ck_assert_int_ge(H5Zregister(&program_filter), 0);
    d = H5Dopen2(file, "x", H5P_DEFAULT);
    xn_hdf_guard guard = xn_hdf_enter();
    ck_assert(!xn_plugin_agrees(d, &p));
    xn_hdf_leave(guard);
    free(values);
    H5Dclose(d), H5Fclose(file);
}
END_TEST

START_TEST(test_not_safe)
{
    // Filters of which nobody knows whether they can be called twice at a time are the library's.
    static const int ids[] = {XN_FILTER_SZIP, XN_FILTER_NBIT, XN_FILTER_SCALEOFFSET, XN_FILTER_BLOSC2, 32019, 65000};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) ck_assert_ptr_null(xn_plugin_decoder(ids[i]));
}
END_TEST

static void add(TCase *t)
{
    tcase_add_loop_test(t, test_same, 0, CASES);
    tcase_add_test(t, test_damaged);
    tcase_add_test(t, test_registered_by_program);
    tcase_add_test(t, test_other_answer);
    tcase_add_test(t, test_not_safe);
}
XN_TEST_MAIN("plugin", add)
