// SPDX-License-Identifier: BSD-3-Clause
// test_frames.c -- every layout gives the frames that were written, or an error that names file and frame.
#include "no_memory.h"
#include "test.h"

#include <blosc.h>
#include <fcntl.h>
#include <hdf5.h>
#include <lz4.h>
#include <omp.h>
#include <zstd.h>

#include "io/frames.h"
#include "io/index/chunk_index.h"
#include "io/pipeline.h"
#include "io/write/publish.h"

static xn_ctx *ctx;
static char dir[512], path[600];

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(dir, sizeof dir, "%s", xn_test_dir("frames"));
    snprintf(path, sizeof path, "%s/frames.h5", dir);
}
static void tear_down(void) { xani_destroy(&ctx); }

enum { N = 37, H = 24, W = 50 }; // not multiples of the chunks below
static uint16_t truth[N][H][W];

static void make_truth(int seed)
{
    for (int i = 0; i < N; i++)
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++) truth[i][y][x] = (uint16_t)(((i * 131 + y * 7 + seed) ^ (x * x)) % 900);
}

// Where a frame can be seen in place it is the one that is read.
static void check_view(xn_frames *f, int i, const void *frame, size_t bytes, int *bad)
{
    const void *view = xn_frames_view(f, i);
    if (view) *bad += memcmp(view, frame, bytes) != 0;
}

// All frames equal the truth, read by several threads in some order, and as a list.
static void check_frames(xn_frames *f, const xn_type type, int n)
{
    const xn_frames_info *info = xn_frames_get_info(f);
    ck_assert_int_eq(info->n, n);
    ck_assert_int_eq(info->h * info->w, H * W);
    ck_assert_int_eq(info->type, type);
    size_t elem = xn_type_size(type);
    ck_assert_int_eq(info->frame_bytes, H * W * elem);
    int bad = 0;
#pragma omp parallel for num_threads(4) schedule(dynamic) reduction(+ : bad)
    for (int k = 0; k < n; k++) {
        int i = (k * 17 + 5) % n;
        uint8_t *dst = xn_alloc(info->frame_bytes + 16, 1);
        memset(dst + info->frame_bytes, 0xA5, 16);
        if (xn_frames_read(ctx, f, i, dst) != XANI_OK) bad++;
        for (int j = 0; j < H * W; j++) {
            uint16_t t = truth[i % N][j / W][j % W];
            double v = elem == 1   ? dst[j]
                       : elem == 2 ? ((uint16_t *)dst)[j]
                       : elem == 8 ? ((double *)dst)[j]
                                   : ((float *)dst)[j];
            bad += v != (elem == 1 ? t % 256 : t);
        }
        check_view(f, i, dst, info->frame_bytes, &bad);
        for (int j = 0; j < 16; j++) bad += dst[info->frame_bytes + j] != 0xA5;
        xn_free(dst);
    }
    ck_assert_msg(bad == 0, "%d values differ: %s", bad, xani_error_text(ctx));
    int64_t list[N + 1];
    uint8_t *all = xn_alloc(N + 1, info->frame_bytes), *one = xn_alloc(info->frame_bytes, 1);
    for (int k = 0; k <= N; k++) list[k] = (k * 29 + 3) % n; // one of them twice
    ck_assert_int_eq(xn_frames_read_list(ctx, f, list, N + 1, all, 2), XANI_OK);
    for (int k = 0; k <= N; k++) {
        ck_assert_int_eq(xn_frames_read(ctx, f, list[k], one), XANI_OK);
        ck_assert_mem_eq(all + (size_t)k * info->frame_bytes, one, info->frame_bytes);
    }
    xn_free(all);
    xn_free(one);
}

typedef struct {
    const char *name;
    int chunk[3]; // 0: contiguous
    int shuffle, gzip, fletcher, big_endian, early;
    int latest;    // format
    int unlimited; // axes (1: the first)
    hsize_t user_block;
    const char *number; // of the file: "u2", "f4", "f8", "u1", "f2"
    int edges, compact, external;
    bool direct;
} layout;

static const layout layouts[] = {
    {"contiguous", .direct = true},
    {"contiguous, big-endian", .big_endian = 1, .direct = true},
    {"contiguous, user block", .user_block = 512, .direct = true},
    {"compact", .compact = 1, .direct = true},
    {"external", .external = 1, .direct = true},
    {"frame chunks", {1, H, W}, .direct = true},
    {"frame chunks, float64 big-endian", {1, H, W}, .big_endian = 1, .number = "f8", .direct = true},
    {"frame chunks, bytes", {1, H, W}, .number = "u1", .gzip = 1, .direct = true},
    {"frame chunks, user block", {1, H, W}, .user_block = 1024, .direct = true},
    {"frame chunks, gzip", {1, H, W}, .gzip = 1, .direct = true},
    {"frame chunks, shuffle", {1, H, W}, .shuffle = 1, .direct = true},
    {"frame chunks, all three", {1, H, W}, .shuffle = 1, .gzip = 4, .fletcher = 1, .direct = true},
    {"frame chunks, fletcher32", {1, H, W}, .fletcher = 1, .direct = true},
    {"chunks over the edge", {1, 32, 64}, .gzip = 1, .unlimited = 3, .direct = true},
    {"tiles", {1, 7, 16}, .direct = true},
    {"tiles, big-endian, gzip", {1, 7, 16}, .gzip = 1, .shuffle = 1, .big_endian = 1, .direct = true},
    {"blocks", {4, 7, 16}, .gzip = 1, .direct = true},
    {"blocks of whole frames", {5, H, W}, .number = "f4", .shuffle = 1, .gzip = 1, .direct = true},
    {"all in one chunk", {N, H, W}, .gzip = 1, .direct = true},
    {"unlimited", {1, H, W}, .unlimited = 1, .direct = true},
    {"1.10: frame chunks (fixed array)", {1, H, W}, .latest = 1, .direct = true},
    {"1.10: filtered (fixed array)", {1, H, W}, .latest = 1, .gzip = 1, .fletcher = 1, .direct = true},
    {"1.10: tiles (paged fixed array)", {1, 2, 5}, .latest = 1, .direct = true},
    {"1.10: tiles, filtered (paged)", {1, 2, 5}, .latest = 1, .gzip = 1, .direct = true},
    {"1.10: unlimited (extensible array)", {1, H, W}, .latest = 1, .unlimited = 1, .direct = true},
    {"1.10: unlimited, filtered", {1, H, W}, .latest = 1, .unlimited = 1, .gzip = 1, .direct = true},
    {"1.10: unlimited, tiles", {1, 2, 5}, .latest = 1, .unlimited = 1, .direct = true},
    {"1.10: unlimited, tiles, filtered", {2, 2, 5}, .latest = 1, .unlimited = 1, .gzip = 1, .direct = true},
    {"1.10: several unlimited (B-tree 2)", {1, 7, 16}, .latest = 1, .unlimited = 2, .gzip = 1, .direct = true},
    {"1.10: early (implicit)", {1, 7, 16}, .latest = 1, .early = 1, .direct = true},
    {"1.10: single chunk", {N, H, W}, .latest = 1, .direct = true},
    {"1.10: single chunk, filtered", {N, H, W}, .latest = 1, .gzip = 1, .direct = true},
    {"1.10: edges without filter", {1, 16, 16}, .latest = 1, .gzip = 1, .edges = 1, .direct = true},
    {"1.10: user block", {1, 7, 16}, .latest = 1, .user_block = 2048, .direct = true},
    {"halves", .number = "f2"},
    {"halves, compact", .number = "f2", .compact = 1},
    {"halves, external, big-endian", .number = "f2", .external = 1, .big_endian = 1},
    {"halves, tiles, gzip", {2, 7, 16}, .number = "f2", .shuffle = 1, .gzip = 1},
    {"1.10: user block, B-tree 2", {1, 7, 16}, .latest = 1, .user_block = 2048, .unlimited = 2, .direct = true},
};

// IEEE 754 binary16, of which HDF5 before 1.14.4 has no constant.
static hid_t half(bool big_endian)
{
    static hid_t type[2] = {-1, -1};
    if (type[big_endian] >= 0) return type[big_endian];
    hid_t t = type[big_endian] = H5Tcopy(big_endian ? H5T_IEEE_F32BE : H5T_IEEE_F32LE);
    ck_assert(H5Tset_fields(t, 15, 10, 5, 0, 10) >= 0 && H5Tset_size(t, 2) >= 0 && H5Tset_ebias(t, 15) >= 0);
    return t;
}

static hid_t file_type(const layout *l)
{
    const char *number = l->number ? l->number : "u2";
    if (strcmp(number, "f2") == 0) return half(l->big_endian);
    if (strcmp(number, "u1") == 0) return H5T_STD_U8LE;
    if (strcmp(number, "f4") == 0) return l->big_endian ? H5T_IEEE_F32BE : H5T_IEEE_F32LE;
    if (strcmp(number, "f8") == 0) return l->big_endian ? H5T_IEEE_F64BE : H5T_IEEE_F64LE;
    return l->big_endian ? H5T_STD_U16BE : H5T_STD_U16LE;
}

static xn_type memory_type(const layout *l)
{
    const char *number = l->number ? l->number : "u2";
    return number[0] == 'f' ? (number[1] == '8' ? XN_F64 : XN_F32) : number[1] == '1' ? XN_U8 : XN_U16;
}

static hid_t open_new(const char *name, const layout *l)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), made = H5Pcreate(H5P_FILE_CREATE);
    if (l->latest) H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110);
    if (l->user_block) H5Pset_userblock(made, l->user_block);
    hid_t f = H5Fcreate(name, H5F_ACC_TRUNC, made, access);
    ck_assert_int_ge(f, 0);
    H5Pclose(access);
    H5Pclose(made);
    return f;
}

static hid_t properties(const layout *l)
{
    hid_t p = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t chunk[3] = {(hsize_t)l->chunk[0], (hsize_t)l->chunk[1], (hsize_t)l->chunk[2]};
    if (l->chunk[0]) H5Pset_chunk(p, 3, chunk);
    if (l->shuffle) H5Pset_shuffle(p);
    if (l->gzip) H5Pset_deflate(p, (unsigned)l->gzip);
    if (l->fletcher) H5Pset_fletcher32(p);
    if (l->early) H5Pset_alloc_time(p, H5D_ALLOC_TIME_EARLY);
    if (l->compact) H5Pset_layout(p, H5D_COMPACT);
    if (l->edges) H5Pset_chunk_opts(p, H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS);
    if (l->external) H5Pset_external(p, "external.raw", 0, H5F_UNLIMITED);
    return p;
}

static void write_layout(const char *name, const layout *l, int n)
{
    hsize_t dims[3] = {(hsize_t)n, H, W}, most[3] = {(hsize_t)n, H, W};
    for (int k = 0; k < l->unlimited; k++) most[k] = H5S_UNLIMITED;
    hid_t f = open_new(name, l), p = properties(l), space = H5Screate_simple(3, dims, most);
    hid_t d = H5Dcreate2(f, "data", file_type(l), space, H5P_DEFAULT, p, H5P_DEFAULT);
    ck_assert_int_ge(d, 0);
    bool bytes = memory_type(l) == XN_U8; // values above 255 are cut, not clipped
    static uint8_t small[N * H * W];
    for (int i = 0; i < N * H * W; i++) small[i] = (uint8_t)((const uint16_t *)truth)[i];
    ck_assert_int_ge(H5Dwrite(d, bytes ? H5T_NATIVE_UINT8 : H5T_NATIVE_UINT16, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                              bytes ? (void *)small : (void *)truth),
                     0);
    H5Dclose(d);
    H5Sclose(space);
    H5Pclose(p);
    H5Fclose(f);
}

START_TEST(test_layouts)
{
    // Each layout of the library gives the values written, by the direct way where we know it.
    const layout *l = &layouts[_i];
    make_truth(_i);
    int n = l->compact ? 20 : N; // compact holds 64 KiB
    char old[600];
    ck_assert_ptr_nonnull(getcwd(old, sizeof old));
    ck_assert_int_eq(chdir(dir), 0); // external files are named relative to the folder
    write_layout("frames.h5", l, n);
    const char *name = "frames.h5";
    xn_frames *f;
    ck_assert_msg(xn_frames_open(ctx, &name, 1, "/data", NULL, &f) == XANI_OK, "%s: %s", l->name, xani_error_text(ctx));
    ck_assert_msg(xn_frames_get_info(f)->direct == l->direct, "%s: direct %d", l->name, xn_frames_get_info(f)->direct);
    check_frames(f, memory_type(l), n);
    int64_t all[2] = {0, n - 1};
    xn_frames_prefetch(f, all, 2);
    bool plain = l->direct && !l->compact && !l->external && !l->big_endian && !l->gzip && !l->shuffle && !l->fletcher;
    bool whole = l->chunk[0] == 0 || (l->chunk[1] == H && l->chunk[2] == W);
    ck_assert_msg((xn_frames_view(f, n - 1) != NULL) == (plain && whole), "%s", l->name);
    ck_assert_ptr_null(xn_frames_view(f, n));
    xn_frames_close(&f);
    ck_assert_ptr_null(f);
    ck_assert_int_eq(chdir(old), 0);
}
END_TEST

// ---- filters that the library lacks: chunks encoded here, written as they are

static size_t encode(int id, const void *src, size_t n, uint8_t *dst)
{
    enum { BLOCK = 1000 };
    size_t room = 4 * n + 4096, at = 12;
    switch (id) {
    case 32004: // LZ4 framing
        xn_put_be64(dst, n);
        xn_put_be32(dst + 8, BLOCK);
        for (size_t i = 0; i < n; i += BLOCK) {
            size_t bytes = n - i < BLOCK ? n - i : BLOCK;
            int length =
                LZ4_compress_default((const char *)src + i, (char *)dst + at + 4, (int)bytes, (int)(room - at));
            if (length >= (int)bytes) memcpy(dst + at + 4, (const char *)src + i, (size_t)(length = (int)bytes));
            xn_put_be32(dst + at, (uint32_t)length);
            at += 4 + (size_t)length;
        }
        return at;
    case 32008:
        return xn_encode_bslz4(src, n / 2, 2, dst);
    case 32015:
        return ZSTD_compress(dst, room, src, n, 1);
    default:
        return (size_t)blosc_compress_ctx(5, 1, 2, n, src, dst, room, "lz4", 0, 1);
    }
}

static void write_encoded(int id, const unsigned *values, size_t n_values, int skip)
{
    static uint8_t stored[8 * H * W + 8192];
    layout l = {.chunk = {1, H, W}};
    hid_t f = open_new(path, &l), p = properties(&l), space = H5Screate_simple(3, (hsize_t[]){N, H, W}, NULL);
    xn_filter_make_available(id);
    int own = id == 32008 ? 3 : 0; // bitshuffle puts three values of its own before those given
    ck_assert_int_ge(H5Pset_filter(p, id, H5Z_FLAG_OPTIONAL, n_values - (size_t)own, values + own), 0);
    hid_t d = H5Dcreate2(f, "data", H5T_STD_U16LE, space, H5P_DEFAULT, p, H5P_DEFAULT);
    ck_assert_int_ge(d, 0);
    for (int i = 0; i < N; i++) {
        bool plain = i % 5 == skip; // the filter may be skipped, chunk by chunk
        size_t n = plain ? 0 : encode(id, truth[i], sizeof truth[i], stored);
        ck_assert_int_ge(H5Dwrite_chunk(d, H5P_DEFAULT, plain, (hsize_t[]){(hsize_t)i, 0, 0},
                                        plain ? sizeof truth[i] : n, plain ? (void *)truth[i] : stored),
                         0);
    }
    H5Dclose(d);
    H5Sclose(space);
    H5Pclose(p);
    H5Fclose(f);
}

static const struct {
    int id;
    unsigned values[7];
    size_t n;
    const char *name;
} encoded[] = {{32004, {1000}, 1, "lz4"},
               {32008, {0, 3, 2, 0, 2}, 5, "bitshuffle+lz4"},
               {32015, {1}, 1, "zstd"},
               {32001, {2, 2, 2, H *W * 2, 5, 2, 1}, 7, "blosc"}};

START_TEST(test_filters)
{
    // LZ4, bitshuffle+LZ4, zstd and blosc, with and without chunks that skip the filter.
    make_truth(3);
    write_encoded(encoded[_i].id, encoded[_i].values, encoded[_i].n, 2);
    xn_frames *f;
    const char *name = path;
    ck_assert_int_eq(xn_frames_open(ctx, &name, 1, "data", NULL, &f), XANI_OK);
    ck_assert(xn_frames_get_info(f)->direct);
    ck_assert_str_eq(xn_frames_get_info(f)->filters, encoded[_i].name);
    check_frames(f, XN_U16, N);
    xn_frames_close(&f);
    xn_h5 *h; // and the reading layer, through the library with our decoders
    ck_assert_int_eq(xn_h5_open(ctx, path, &h), XANI_OK);
    static uint16_t all[N][H][W];
    ck_assert_msg(xn_h5_read_rows(ctx, h, "data", XN_U16, 0, N, all) == XANI_OK, "%s", xani_error_text(ctx));
    ck_assert_mem_eq(all, truth, sizeof truth);
    xn_h5_close(&h);
}
END_TEST

START_TEST(test_our_own_files)
{
    // Frames from our writer (1.10 format, aligned) come back by the direct way.
    make_truth(9);
    xn_writer *w;
    ck_assert_int_eq(xn_writer_create(ctx, path, XN_LAYOUT_RESULT, &w), XANI_OK);
    const xn_rows_layout rows = {.type = XN_U16, .rank = 3, .dims = {N, H, W}};
    xn_writer_rows_begin(w, "/data/JF/data", &rows);
    for (int i = 0; i < N; i++) xn_writer_rows(w, "/data/JF/data", 1, truth[i]);
    ck_assert_int_eq(xn_writer_publish(&w), XANI_OK);
    xn_frames *f;
    const char *name = path;
    ck_assert_int_eq(xn_frames_open(ctx, &name, 1, "/data/JF/data", NULL, &f), XANI_OK);
    ck_assert(xn_frames_get_info(f)->direct);
    check_frames(f, XN_U16, N);
    xn_frames_close(&f);
}
END_TEST

START_TEST(test_several_files)
{
    // Files follow one another; a file with other frames is refused, naming both shapes.
    make_truth(4);
    char other[600];
    snprintf(other, sizeof other, "%s/second.h5", dir);
    layout chunked = {.chunk = {1, H, W}, .gzip = 1}, plain = {.name = ""};
    write_layout(path, &chunked, N);
    write_layout(other, &plain, N);
    const char *names[3] = {path, other, path};
    xn_frames *f;
    ck_assert_int_eq(xn_frames_open(ctx, names, 3, "data", NULL, &f), XANI_OK);
    check_frames(f, XN_U16, 3 * N);
    xn_frames_close(&f);
    layout wide = {.number = "f4"};
    write_layout(other, &wide, N);
    ck_assert_int_eq(xn_frames_open(ctx, names, 2, "data", NULL, &f), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx),
                                 "second.h5: data: is float32 of shape (37, 24, 50); in the files before "
                                 "uint16 of shape (37, 24, 50)"));
    ck_assert_ptr_null(f);
}
END_TEST

// ---- virtual datasets

// kind 0: one file after the other; 1: interleaved; 2: upper and lower half of each frame; 3: nested.
static void write_virtual(const char *name, char sources[2][600], int kind)
{
    hsize_t dims[3] = {kind == 2 ? N : 2 * N, kind == 2 ? 2 * H : H, W}, part[3] = {N, H, W};
    hid_t all = H5Screate_simple(3, dims, NULL), p = H5Pcreate(H5P_DATASET_CREATE),
          src = H5Screate_simple(3, part, NULL);
    for (hsize_t k = 0; k < 2; k++) {
        hsize_t start[3] = {kind == 0 ? k * N : kind == 1 ? k : 0, kind == 2 ? k * H : 0, 0};
        hsize_t stride[3] = {kind == 1 ? 2 : 1, 1, 1}, count[3] = {N, H, W};
        H5Sselect_hyperslab(all, H5S_SELECT_SET, start, stride, count, NULL);
        ck_assert_int_ge(H5Pset_virtual(p, all, strrchr(sources[k], '/') + 1, "data", src), 0);
    }
    layout l = {.latest = 1};
    hid_t f = open_new(name, &l);
    H5Sselect_all(all);
    H5Dclose(H5Dcreate2(f, "data", H5T_STD_U16LE, all, H5P_DEFAULT, p, H5P_DEFAULT));
    H5Fclose(f);
    H5Sclose(all);
    H5Sclose(src);
    H5Pclose(p);
}

START_TEST(test_virtual)
{
    // One file after the other and interleaved are resolved, halves of frames too; a missing source
    // is an error that names it.
    char sources[2][600];
    layout l = {.chunk = {1, H, W}, .gzip = 1}, plain = {.name = ""};
    make_truth(5);
    for (int k = 0; k < 2; k++) {
        snprintf(sources[k], sizeof sources[k], "%s/source%d.h5", dir, k);
        write_layout(sources[k], k ? &plain : &l, N);
    }
    static uint16_t frame[2 * H * W];
    const char *name = path;
    for (int kind = 0; kind < 3; kind++) {
        xn_frames *f;
        write_virtual(path, sources, kind);
        ck_assert_msg(xn_frames_open(ctx, &name, 1, "data", NULL, &f) == XANI_OK, "%s", xani_error_text(ctx));
        const xn_frames_info *info = xn_frames_get_info(f);
        ck_assert(info->direct);
        for (int i = 0; i < info->n; i++) {
            int t = kind == 0 ? i % N : kind == 1 ? i / 2 : i;
            ck_assert_msg(xn_frames_read(ctx, f, i, frame) == XANI_OK, "%s", xani_error_text(ctx));
            ck_assert_mem_eq(frame, truth[t], sizeof truth[t]);
            if (kind == 2) ck_assert_mem_eq(frame + H * W, truth[t], sizeof truth[t]);
        }
        xn_frames_close(&f);
    }
    unlink(sources[1]);
    for (int kind = 0; kind < 3; kind++) {
        xn_frames *f;
        write_virtual(path, sources, kind);
        xn_clear_error(ctx);
        ck_assert_int_eq(xn_frames_open(ctx, &name, 1, "data", NULL, &f), XANI_ERR_INPUT);
        ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "source1.h5 of this virtual dataset is missing"));
    }
}
END_TEST

START_TEST(test_refusals)
{
    // Text, one axis, a group, a missing dataset, no file; a frame that is not there.
    layout l = {.chunk = {1, H, W}};
    write_layout(path, &l, N);
    hid_t h = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    H5Gclose(H5Gcreate2(h, "group", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    hid_t line = H5Screate_simple(1, (hsize_t[]){3}, NULL), type = H5Tcopy(H5T_C_S1);
    H5Dclose(H5Dcreate2(h, "line", H5T_STD_U16LE, line, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Dclose(H5Dcreate2(h, "text", type, line, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Sclose(line);
    H5Fclose(h);
    static const char *const cases[][2] = {{"line", "/line: has 1 axes"},
                                           {"text", "/text: holds strings, not numbers"},
                                           {"group", "/group: is a group"},
                                           {"none", "/none: no such dataset"}};
    const char *name = path;
    xn_frames *f;
    for (int k = 0; k < 4; k++) {
        char dataset[16];
        snprintf(dataset, sizeof dataset, "/%s", cases[k][0]);
        xn_clear_error(ctx);
        ck_assert_int_eq(xn_frames_open(ctx, &name, 1, dataset, NULL, &f), XANI_ERR_INPUT);
        ck_assert_msg(strstr(xani_error_text(ctx), cases[k][1]) != NULL, "%s", xani_error_text(ctx));
    }
    xn_clear_error(ctx);
    ck_assert_int_eq(xn_frames_open(ctx, NULL, 0, "data", NULL, &f), XANI_ERR_INPUT);
    ck_assert_int_eq(xn_frames_open(ctx, &name, 1, "data", NULL, &f), XANI_OK);
    ck_assert_int_eq(xn_frames_read(ctx, f, N, truth), XANI_ERR_USAGE);
    ck_assert_int_eq(xn_frames_read(ctx, f, -1, truth), XANI_ERR_USAGE);
    xn_frames_close(&f);
}
END_TEST

START_TEST(test_missing_and_short)
{
    // A frame that was never written, and frames cut off after opening, are errors naming file and frame; others read.
    layout l = {.chunk = {1, H, W}};
    make_truth(1);
    hid_t h = open_new(path, &l), p = properties(&l), space = H5Screate_simple(3, (hsize_t[]){N, H, W}, NULL);
    hid_t d = H5Dcreate2(h, "data", H5T_STD_U16LE, space, H5P_DEFAULT, p, H5P_DEFAULT);
    for (hsize_t i = 0; i < N; i++)
        if (i != 7) H5Dwrite_chunk(d, H5P_DEFAULT, 0, (hsize_t[]){i, 0, 0}, sizeof truth[i], truth[i]);
    H5Dclose(d);
    H5Sclose(space);
    H5Pclose(p);
    H5Fclose(h);
    xn_frames *f;
    const char *name = path;
    static uint16_t frame[H * W];
    ck_assert_int_eq(xn_frames_open(ctx, &name, 1, "data", NULL, &f), XANI_OK);
    ck_assert_int_eq(xn_frames_read(ctx, f, 6, frame), XANI_OK);
    ck_assert_int_eq(xn_frames_read(ctx, f, 7, frame), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "frames.h5: data: frame 7: was never written"));
    struct stat s;
    stat(path, &s);
    ck_assert_int_eq(truncate(path, s.st_size - 10), 0);
    xn_clear_error(ctx);
    int short_ones = 0;
    for (int i = 8; i < N; i++) short_ones += xn_frames_read(ctx, f, i, frame) != XANI_OK;
    ck_assert_int_eq(short_ones, 1);
    ck_assert_msg(strstr(xani_error_text(ctx), "frame 36: the file was replaced or changed") != NULL, "%s",
                  xani_error_text(ctx));
    xn_frames_close(&f);
}
END_TEST

// ---- damage

static uint32_t random_state;
static uint32_t next_random(void)
{
    random_state = random_state * 1664525u + 1013904223u;
    return random_state >> 8;
}

START_TEST(test_damaged_chunks)
{
    // Decoders given damaged data return an error or values, never touch memory beyond what they were given.
    static const unsigned lzf[3] = {4, 262, H * W * 2};
    make_truth(2);
    size_t n_out = sizeof truth[0];
    uint8_t *good = malloc(8 * n_out + 8192);
    xn_codec *codec = xn_codec_open();
    int refused = 0;
    random_state = 12345 + (uint32_t)_i;
    for (int round = 0; round < 4000; round++) {
        int k = round % 7, id = k < 4 ? encoded[k].id : k == 4 ? 32000 : k == 5 ? 32008 : 1;
        xn_pipeline p = {.n = 1, .known = true};
        p.filter[0].id = id;
        if (k < 4) p.filter[0].n_values = (unsigned)encoded[k].n, memcpy(p.filter[0].values, encoded[k].values, 28);
        if (k == 4) p.filter[0].n_values = 3, memcpy(p.filter[0].values, lzf, sizeof lzf);
        if (k == 5)
            p.filter[0].n_values = 5, memcpy(p.filter[0].values, (unsigned[]){0, 3, 1 + next_random() % 9, 0, 3}, 20);
        size_t n = k < 4 ? encode(id, truth[round % N], n_out, good) : n_out;
        if (k >= 4) memcpy(good, truth[round % N], n_out);
        for (uint32_t hits = 1 + next_random() % 4; hits > 0; hits--) {
            size_t at = next_random() % (next_random() % 2 ? 20 : n);
            good[at] = (uint8_t)(next_random() % 3 ? next_random() : 0xff);
        }
        if (next_random() % 3 == 0) n = next_random() % (n + 1);
        uint8_t *src = malloc(n ? n : 1), *dst = malloc(n_out);
        memcpy(src, good, n); // exact sizes: the sanitizer sees the first byte beyond
        refused += xn_pipeline_decode(codec, &p, 0, src, n, dst, n_out) != NULL;
        free(src);
        free(dst);
    }
    xn_codec_close(&codec);
    ck_assert_int_gt(refused, 1500);
    free(good);
}
END_TEST

START_TEST(test_damaged_files)
{
    // Files with changed bytes give frames or an error, and no more; the walk of the index is never led astray.
    static const layout kinds[] = {{.chunk = {1, 7, 16}},
                                   {.chunk = {1, H, W}, .latest = 1, .gzip = 1},
                                   {.chunk = {1, 7, 16}, .latest = 1, .unlimited = 1},
                                   {.chunk = {2, H, W}, .fletcher = 1, .shuffle = 1}};
    make_truth(8);
    write_layout(path, &kinds[_i], N);
    char bad[600];
    snprintf(bad, sizeof bad, "%s/bad%d.h5", dir, _i);
    FILE *in = fopen(path, "rb");
    static uint8_t bytes[1 << 20], changed[1 << 20];
    size_t n = fread(bytes, 1, sizeof bytes, in);
    fclose(in);
    random_state = 99 + (uint32_t)_i;
    int errors = 0;
    for (int round = 0; round < 300; round++) {
        memcpy(changed, bytes, n);
        for (int hits = 0; hits < 6; hits++) // metadata lie at the front and between the data
            changed[next_random() % (hits % 2 ? n : n < 6000 ? n : 6000)] = (uint8_t)next_random();
        FILE *out = fopen(bad, "wb");
        ck_assert_int_eq(fwrite(changed, 1, n, out), n);
        fclose(out);
        // Only the walk and our decoders are under test: the library itself may crash on damaged files.
        xn_chunk_map map = {.rank = 3, .n = 1, .chunk_bytes = 2};
        int fd = open(bad, O_RDONLY);
        xn_chunk_file f = {fd, 0, (int64_t)n, NULL};
        for (int k = 0; k < 3; k++) {
            map.dims[k] = map.most[k] = k == 0 ? N : k == 1 ? H : W;
            map.chunk[k] = kinds[_i].chunk[k];
            map.grid[k] = (map.dims[k] + map.chunk[k] - 1) / map.chunk[k];
            map.n *= map.grid[k];
            map.chunk_bytes *= (size_t)map.chunk[k];
        }
        if (kinds[_i].unlimited) map.most[0] = -1;
        map.table = xn_calloc((size_t)map.n, sizeof *map.table);
        for (uint64_t at = 0; at < 2000; at += 4) // wherever a header may stand
            errors += !xn_chunk_walk(&map, &f, at, kinds[_i].gzip || kinds[_i].fletcher);
        xn_chunk_map_free(&map);
        close(fd);
    }
    ck_assert_int_gt(errors, 1000);
}
END_TEST

START_TEST(test_memory_may_fail)
{
    // Each allocation of opening and reading fails once: out of memory is said, or the library's way gives the answer.
    layout l = {.chunk = {4, 7, 16}, .gzip = 1, .shuffle = 1};
    make_truth(6);
    write_layout(path, &l, N);
    const char *name = path;
    static uint16_t frame[H * W];
    for (no_memory n = NO_MEMORY; n.reached; no_memory_next(&n)) {
        xn_frames *f = NULL;
        xn_clear_error(ctx);
        no_memory_begin(&n);
        xani_status st = xn_frames_open(ctx, &name, 1, "data", NULL, &f);
        if (st == XANI_OK) st = xn_frames_read(ctx, f, 3, frame);
        no_memory_end();
        xn_frames_close(&f);
        if (st == XANI_OK)
            ck_assert_mem_eq(frame, truth[3], sizeof frame);
        else
            ck_assert_msg(n.reached && st == XANI_ERR_MEMORY, "%llu: %s", (unsigned long long)n.at,
                          xani_error_text(ctx));
    }
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, test_layouts, 0, (int)(sizeof layouts / sizeof layouts[0]));
    tcase_add_loop_test(t, test_filters, 0, 4);
    tcase_add_test(t, test_our_own_files);
    tcase_add_test(t, test_several_files);
    tcase_add_test(t, test_virtual);
    tcase_add_test(t, test_refusals);
    tcase_add_test(t, test_missing_and_short);
    tcase_add_loop_test(t, test_damaged_chunks, 0, 4);
    tcase_add_loop_test(t, test_damaged_files, 0, 4);
    tcase_add_test(t, test_memory_may_fail);
}
XN_TEST_MAIN("frames", add)
