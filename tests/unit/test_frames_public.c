// SPDX-License-Identifier: BSD-3-Clause
// test_frames_public.c -- files that others wrote give the values that are known of them.
#include "context.h"

#include <hdf5.h>

#include "io/frames.h"
#include "io/pipeline.h"

START_TEST(test_public_files)
{
    // Files others wrote, with known values: odd shapes of chunks, LZ4 blocks of 3 bytes, element sizes of 1 to 10
    // bytes.
    static const char *const names[] = {"bshuf", "lz4", "lzf", "blosc"};
    char name[1024];
    const char *paths[1] = {name};
    snprintf(name, sizeof name, "%s/hdf5_filters", XN_SHARED_DATA);
    if (!xn_test_exists(name)) {
        xn_skip("public HDF5 files are not here");
        return;
    }
    for (int k = 0; k < 4; k++) {
        xn_frames *f;
        snprintf(name, sizeof name, "%s/hdf5_filters/h5ex_d_%s.h5", XN_SHARED_DATA, names[k]);
        ck_assert_int_eq(xn_frames_open(ctx, paths, 1, "DS1", NULL, &f), XANI_OK);
        ck_assert(xn_frames_get_info(f)->direct);
        for (int i = 0; i < 32; i++) {
            int32_t v[64];
            ck_assert_msg(xn_frames_read(ctx, f, i, v) == XANI_OK, "%s", xani_error_text(ctx));
            for (int j = 0; j < 64; j++) ck_assert_int_eq(v[j], i * j - j);
        }
        xn_frames_close(&f);
    }
    xn_frames *f;
    snprintf(name, sizeof name, "%s/hdf5_filters/h5ex_d_zstd.h5", XN_SHARED_DATA);
    ck_assert_int_eq(xn_frames_open(ctx, paths, 1, "DS1", NULL, &f), XANI_OK);
    ck_assert(xn_frames_get_info(f)->direct && xn_frames_get_info(f)->n == 2 && xn_frames_get_info(f)->w == 1024);
    uint8_t *frame = xn_alloc(512, 1024);
    ck_assert_msg(xn_frames_read(ctx, f, 1, frame) == XANI_OK, "%s", xani_error_text(ctx));
    xn_free(frame);
    xn_frames_close(&f);
}
END_TEST

static void compare_group(hid_t h, const char *group)
{
    H5G_info_t info;
    hid_t g = H5Gopen2(h, "original", H5P_DEFAULT);
    H5Gget_info(g, &info);
    for (hsize_t i = 0; i < info.nlinks; i++) {
        char name[64], full[128];
        H5Lget_name_by_idx(g, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT);
        snprintf(full, sizeof full, "%s/%s", group, name);
        hid_t plain = H5Dopen2(g, name, H5P_DEFAULT), packed = H5Dopen2(h, full, H5P_DEFAULT),
              type = H5Dget_type(plain);
        hid_t space = H5Dget_space(plain), created = H5Dget_create_plist(packed);
        size_t n = (size_t)H5Sget_simple_extent_npoints(space) * H5Tget_size(type);
        uint8_t *truth_bytes = malloc(n), *stored = malloc(2 * n + 8192), *back = malloc(n);
        ck_assert_int_ge(H5Dread(plain, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, truth_bytes), 0);
        hsize_t bytes, zero[H5S_MAX_RANK] = {0};
        uint32_t mask;
        H5Dget_chunk_storage_size(packed, zero, &bytes);
        ck_assert_uint_lt(bytes, 2 * n + 8192);
        ck_assert_int_ge(H5Dread_chunk(packed, H5P_DEFAULT, zero, &mask, stored), 0);
        xn_pipeline p;
        xn_pipeline_get(created, &p);
        xn_codec *codec = xn_codec_open();
        const char *why = xn_pipeline_decode(codec, &p, mask, stored, bytes, back, n);
        xn_codec_close(&codec);
        ck_assert_msg(why == NULL, "%s: %s", full, why);
        ck_assert_mem_eq(back, truth_bytes, n);
        free(truth_bytes), free(stored), free(back);
        H5Pclose(created), H5Sclose(space), H5Tclose(type), H5Dclose(plain), H5Dclose(packed);
    }
    ck_assert_int_eq(info.nlinks, 21);
    H5Gclose(g);
}

START_TEST(test_bitshuffle_regression)
{
    // The bitshuffle project's own regression files: 21 datasets, with LZ4 and with zstd, equal their originals.
    static const char *const names[] = {"regression_0.1.3.h5", "regression_0.4.0.h5"};
    for (int k = 0; k < 2; k++) {
        char name[1024];
        snprintf(name, sizeof name, "%s/hdf5_filters/%s", XN_SHARED_DATA, names[k]);
        if (!xn_test_exists(name)) {
            xn_skip("bitshuffle's regression files are not here");
            return;
        }
        xn_filter_make_available(32008);
        hid_t h = H5Fopen(name, H5F_ACC_RDONLY, H5P_DEFAULT);
        compare_group(h, "compressed");
        if (k == 1) compare_group(h, "compressed_zstd");
        H5Fclose(h);
    }
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_public_files);
    tcase_add_test(t, test_bitshuffle_regression);
}
XN_TEST_MAIN("frames of public files", add)
