// SPDX-License-Identifier: BSD-3-Clause
// test_device_array.c -- what is read into device memory equals what is read into that of the host, by every way.
//
// Compiled twice, as test_device.c is. On the emulated runtime with a stand-in for libcufile, and with failures; for
// the devices of the machine (`make gpu-test`) with its libcufile, if it has one.
#include "no_memory.h"
#include "test.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <lz4.h>

#include "codec/bitshuffle.h"
#include "emulation/emulation.h"
#include "emulation/fake_cufile.h"
#include "family/family.h"
#include "h5write.h"
#include "io/array.h"
#include "io/batches.h"
#include "io/pipeline.h"

static xn_ctx *ctx;
static char why[256], path[600];
static char warning[512];

#ifdef XN_REAL_DEVICE
static const xn_device_io *io(void) { return xn_device_io_built(); }
static bool absent(void)
{
    snprintf(why, sizeof why, "this xani was built without CUDA");
    if (io() != NULL && io()->count(why, sizeof why) > 0) return false;
    xn_skip(why);
    return true;
}
#else
static fake_cufile_state *fake;
static const xn_device_io *io(void) { return &xn_device_io_emulated; }
static bool absent(void) { return false; }
#endif

static void heard(void *user, xani_log_level level, const char *text)
{
    (void)user;
    if (level == XANI_LOG_WARNING) snprintf(warning, sizeof warning, "%s", text);
}

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    xani_set_log(ctx, heard, NULL);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    snprintf(path, sizeof path, "%s/data.h5", xn_test_dir("device-array"));
    warning[0] = 0;
    xn_emulation_reset();
#ifndef XN_REAL_DEVICE
    setenv("XANI_CUFILE", XN_FAKE_CUFILE "/libfakecufile.so", 1);
    void *library = dlopen(XN_FAKE_CUFILE "/libfakecufile.so", RTLD_NOW | RTLD_LOCAL);
    ck_assert_msg(library != NULL, "%s", dlerror());
    fake = dlsym(library, "fake_cufile");
    memset(fake, 0, sizeof *fake);
#endif
}

static void tear_down(void)
{
    xn_mem_set_hook(NULL, NULL);
    xn_read_set_hook(NULL, NULL);
#ifndef XN_REAL_DEVICE
    xn_cufile_shut();
    ck_assert_int_eq(xn_emulated.alive, 0);
    ck_assert_int_eq(fake->wrong, 0);
    ck_assert(fake->handles == 0 && fake->buffers == 0);
#endif
    xani_destroy(&ctx);
}

// ---- reading

typedef struct {
    const char *reader;
    bool on_host;
    int lanes;
    size_t ring;
} way;

static const way ways[] = {{"ring", false, 1, 0},
                           {"cufile", false, 1, 0},
                           {"ring", true, 2, 0},
                           {"ring", false, 3, 1 << 14},
                           {"cufile", false, 2, 1 << 15}};
enum { WAYS = sizeof ways / sizeof ways[0] };

static xn_array *open_array(const char *file, const char *name, const way *w, bool fill)
{
    xn_array *a = NULL;
    xn_array_options options = {.threads = 1, .fill = fill};
    if (w != NULL) {
        xani_status st = xn_device_target_find(ctx, NULL, io(), 0, w->reader, &options.device);
        ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
        options.device.on_host = w->on_host;
        options.device.lanes = w->lanes;
        options.device.ring = w->ring;
        options.threads = w->lanes;
    }
    (void)xn_array_open(ctx, &file, 1, name, &options, &a);
    return a;
}

// The selection as bytes of the host, by way of the device; the status of the read.
static xani_status read_back(xn_array *a, const xn_selection *s, xn_type type, void *dst, size_t bytes)
{
    ck_assert_msg(io()->use(0, why, sizeof why), "%s", why);
    xn_device_stream *stream = io()->open(why, sizeof why);
    xn_device_mark *done = io()->mark_create(why, sizeof why);
    uint8_t *device = io()->take(bytes + 8, why, sizeof why), *host = io()->pin(bytes + 8, why, sizeof why);
    ck_assert_msg(stream && done && device && host, "%s", why);
    memset(host, 0x5a, bytes + 8);
    ck_assert(io()->copy_in(stream, device, host, bytes + 8, why, sizeof why) &&
              io()->mark(stream, done, why, sizeof why) && io()->wait(done, why, sizeof why));
    const int devices = io()->count(why, sizeof why), other = devices > 1 ? 1 : 0;
    ck_assert(io()->use(other, why, sizeof why));
    const xani_status st = xn_array_read(ctx, a, s, type, device, 0);
    ck_assert_int_eq(io()->current(), other); // the caller's own device stays
    ck_assert(io()->use(0, why, sizeof why));
    ck_assert(io()->copy_out(stream, host, device, bytes + 8, why, sizeof why) &&
              io()->mark(stream, done, why, sizeof why) && io()->wait(done, why, sizeof why));
    memcpy(dst, host, bytes);
    for (int i = 0; i < 8; i++) ck_assert_msg(host[bytes + (size_t)i] == 0x5a, "written past the end");
    io()->give(device);
    io()->unpin(host);
    io()->mark_destroy(done);
    io()->close(stream);
    return st;
}

static size_t size_of(const xn_array *a, const xn_selection *s)
{
    size_t n = 1;
    for (int k = 0; k < xn_array_get_info(a)->rank; k++) n *= (size_t)s->count[k];
    return n;
}

// Of several damaged frames each side's threads tell the one that they come to first.
static bool same_error(const char *a, const char *b)
{
    const char *at[2] = {strstr(a, ": frame "), strstr(b, ": frame ")};
    if (at[0] == NULL || at[1] == NULL) return strcmp(a, b) == 0;
    const size_t before = (size_t)(at[0] - a);
    for (int i = 0; i < 2; i++) at[i] += strlen(": frame "), at[i] += strspn(at[i], "0123456789");
    return strncmp(a, b, before) == 0 && (size_t)(strstr(b, ": frame ") - b) == before && strcmp(at[0], at[1]) == 0;
}

// The same bytes and the same status, from both; NaN of any payload where the type is changed.
static bool alike(xn_array *host, xn_array *device, const xn_selection *s, xn_type type, char text[512])
{
    const size_t elem = xn_type_size(type), n = size_of(host, s), bytes = n * elem;
    uint8_t *a = malloc(bytes + 1), *b = malloc(bytes + 1);
    char first[512];
    memset(a, 0x5a, bytes + 1);
    const xani_status x = xn_array_read(ctx, host, s, type, a, 1);
    snprintf(first, sizeof first, "%s", x == XANI_OK ? "" : xani_error_text(ctx));
    xn_clear_error(ctx);
    const xani_status y = read_back(device, s, type, b, bytes);
    bool good = x == y && (x == XANI_OK || same_error(first, xani_error_text(ctx)));
    if (!good)
        snprintf(text, 512, "host \"%.200s\", device \"%.200s\"", first, y == XANI_OK ? "" : xani_error_text(ctx));
    xn_clear_error(ctx);
    for (size_t i = 0; good && x == XANI_OK && i < n; i++) {
        double u = 0, v = 0;
        if (memcmp(a + i * elem, b + i * elem, elem) == 0) continue;
        if (type == XN_F64) memcpy(&u, a + i * elem, 8), memcpy(&v, b + i * elem, 8);
        if (type == XN_F32) {
            float f, g;
            memcpy(&f, a + i * elem, 4), memcpy(&g, b + i * elem, 4);
            u = (double)f, v = (double)g;
        }
        good = type != xn_array_get_info(host)->type && isnan(u) && isnan(v);
        if (!good) snprintf(text, 512, "element %zu differs", i);
    }
    free(a), free(b);
    return good;
}

// All of it, boxes, a list, as it is and as float32 and float64.
static bool all_alike(const char *file, const char *name, const way *w, uint64_t seed, char text[512])
{
    xn_array *host = open_array(file, name, NULL, seed % 2), *device = NULL;
    if (host == NULL) {
        xn_clear_error(ctx);
        return true; // the engine declines: no numbers
    }
    device = open_array(file, name, w, seed % 2);
    ck_assert_msg(device != NULL, "%s", xani_error_text(ctx));
    const xn_array_info *info = xn_array_get_info(host);
    const xn_type types[] = {info->type, XN_F32, XN_F64, XN_I32};
    xn_rng r;
    xn_rng_init(&r, seed, 77);
    bool good = true;
    for (int turn = 0; good && turn < 6; turn++) {
        xn_selection s;
        int64_t list[20];
        xn_selection_all(host, &s);
        for (int k = 0; k < info->rank && turn > 0; k++) {
            s.start[k] = (int64_t)(xn_rng_uniform(&r) * (double)info->dims[k]);
            s.count[k] = (int64_t)(xn_rng_uniform(&r) * (double)(info->dims[k] - s.start[k] + 1));
        }
        if (turn > 3 && info->rank > 0 && info->dims[0] > 0) {
            for (int i = 0; i < 20; i++) list[i] = (int64_t)(xn_rng_uniform(&r) * (double)info->dims[0]);
            s.list = list, s.start[0] = 0, s.count[0] = 20;
        }
        good = alike(host, device, &s, types[turn < 4 ? turn : 0], text);
    }
    xn_array_close(&host);
    xn_array_close(&device);
    return good;
}

START_TEST(test_family)
{
    // Every dataset of the generated family: what a device gets is what the host gets, errors included.
    if (absent() || (getenv("XN_FEW") != NULL && _i % 8 != 0)) return;
    const family_group g = family_group_at(_i);
    char folder[600], file[700], text[512] = "";
    static void *truth[128];
    bool made[128];
    if (g.chain && !family_chain_works(g.chain)) return; // counted by the family's own test
    snprintf(folder, sizeof folder, "%s/%03d", xn_test_dir("device-array"), _i);
    mkdir(folder, 0777);
    snprintf(file, sizeof file, "%s/family.h5", folder);
    hid_t f = family_file(file, g.latest, g.user_block);
    for (int i = 0; i < g.cases; i++) {
        family_case c;
        family_case_make(&g, i, &c);
        made[i] = family_write(f, folder, &c, &truth[i]);
        if (made[i]) free(truth[i]);
    }
    H5Fclose(f);
    for (int i = 0; i < g.cases; i++) {
        family_case c;
        family_case_make(&g, i, &c);
        if (!made[i]) continue;
        ck_assert_msg(all_alike(file, c.name, &ways[(i + _i) % WAYS], c.seed, text), "%s: %s, %s: %s", g.name, c.name,
                      ways[(i + _i) % WAYS].reader, text);
    }
    unlink(file);
}
END_TEST

// ---- larger ones, and what was used

enum { N = 40, H = 96, W = 64 };
static uint16_t frames[N][H][W];

// layout 0: a frame a chunk, bitshuffle+LZ4; 1: contiguous; 2: chunks (1, 32, 32) of bitshuffle+LZ4; 3: gzip
static void write_frames(int layout)
{
    xn_rng r;
    xn_rng_init(&r, 5, 0);
    for (int i = 0; i < N * H * W; i++) (&frames[0][0][0])[i] = (uint16_t)(xn_rng_uniform(&r) * 30);
    xn_filter_make_available(XN_FILTER_BITSHUFFLE);
    hsize_t dims[3] = {N, H, W}, frame[3] = {1, H, W}, tile[3] = {1, 32, 32};
    hid_t f = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), p = H5Pcreate(H5P_DATASET_CREATE);
    hid_t space = H5Screate_simple(3, dims, NULL);
    const unsigned values[] = {0, 2, 2, 0, 2};
    if (layout != 1) H5Pset_chunk(p, 3, layout == 2 ? tile : frame);
    if (layout == 0 || layout == 2) H5Pset_filter(p, XN_FILTER_BITSHUFFLE, 0, 5, values);
    if (layout == 3) H5Pset_deflate(p, 1);
    hid_t d = H5Dcreate2(f, "data", H5T_STD_U16LE, space, H5P_DEFAULT, p, H5P_DEFAULT);
    static uint8_t packed[2 * sizeof frames[0]];
    for (hsize_t i = 0; i < N && layout == 0; i++) {
        const hsize_t at[3] = {i, 0, 0};
        const size_t bytes = xn_encode_bslz4(frames[i], H * W, 2, packed);
        ck_assert_int_ge(H5Dwrite_chunk(d, H5P_DEFAULT, 0, at, bytes, packed), 0);
    }
    for (hsize_t i = 0; i < N * (H / 32) * (W / 32) && layout == 2; i++) {
        static uint16_t block[32][32];
        const hsize_t at[3] = {i / 6, i % 6 / 2 * 32, i % 2 * 32};
        for (int y = 0; y < 32; y++) memcpy(block[y], &frames[at[0]][at[1] + (hsize_t)y][at[2]], sizeof block[y]);
        const size_t bytes = xn_encode_bslz4(block, 1024, 2, packed);
        ck_assert_int_ge(H5Dwrite_chunk(d, H5P_DEFAULT, 0, at, bytes, packed), 0);
    }
    if (layout == 1 || layout == 3)
        ck_assert_int_ge(H5Dwrite(d, H5T_NATIVE_UINT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, frames), 0);
    H5Dclose(d), H5Pclose(p), H5Sclose(space), H5Fclose(f);
}

static uint16_t got[N][H][W];

START_TEST(test_ways)
{
    // Each way uses what it says: compressed bytes cross the bus and are decoded there, or by the host; cuFile reads
    // whole pages into registered memory; what a device cannot decode goes by the host.
    if (absent()) return;
    for (int layout = 0; layout < 4; layout++) {
        write_frames(layout);
        for (int w = 0; w < WAYS; w++) {
            xn_selection s;
            xn_array *a = open_array(path, "data", &ways[w], false);
            ck_assert_msg(a != NULL, "%s", xani_error_text(ctx));
            xn_selection_all(a, &s);
            for (int turn = 0; turn < 2; turn++) { // lanes are kept
                memset(got, 0, sizeof got);
                ck_assert_msg(read_back(a, &s, XN_U16, got, sizeof got) == XANI_OK, "%s", xani_error_text(ctx));
                ck_assert_msg(memcmp(got, frames, sizeof got) == 0, "layout %d, way %d", layout, w);
            }
            const xn_device_report r = xn_array_device_report(a);
            const int64_t stored = 2 * xn_array_get_info(a)->stored_bytes;
            const bool on_device = layout != 3 && !ways[w].on_host;
            ck_assert_int_eq(r.handed_back, 0);
            ck_assert_int_eq(r.unpacked, layout == 0 && on_device ? 2 * N : layout == 2 && on_device ? 12 * N : 0);
            ck_assert_msg((r.raw > 0) == (layout == 1 && on_device), "raw %lld", (long long)r.raw);
            ck_assert_msg((r.on_host > 0) == !on_device, "on host %lld", (long long)r.on_host);
#ifndef XN_REAL_DEVICE
            const bool cufile = strcmp(ways[w].reader, "cufile") == 0;
            ck_assert_msg((r.cufile_bytes > 0) == (cufile && on_device), "by cuFile %lld", (long long)r.cufile_bytes);
            if (!on_device) // decoded bytes cross
                ck_assert_int_eq(r.bytes, 2 * (int64_t)sizeof frames);
            else if (!cufile && layout != 1) // compressed ones, and what lies between chunks
                ck_assert_msg(r.bytes >= stored && r.bytes < 2 * (int64_t)sizeof frames, "%lld of %lld",
                              (long long)r.bytes, (long long)stored);
            else
                ck_assert_int_eq(r.bytes, cufile ? 0 : stored);
#else
            (void)stored;
#endif
            xn_array_close(&a);
        }
    }
#ifndef XN_REAL_DEVICE
    ck_assert_msg(fake->reads > 0 && fake->unaligned == 0 && fake->unregistered == 0, "%d reads, %d, %d", fake->reads,
                  fake->unaligned, fake->unregistered);
#endif
}
END_TEST

START_TEST(test_batches)
{
    // Batches read ahead lie in memory of the device, each with its rows.
    if (absent()) return;
    write_frames(0);
    xn_selection s;
    xn_array *a = open_array(path, "data", &ways[3], false);
    xn_batches *b = NULL;
    xn_batch batch;
    xn_selection_all(a, &s);
    ck_assert_msg(xn_batches_open(ctx, a, &s, XN_U16, 7, 2, 0, &b) == XANI_OK, "%s", xani_error_text(ctx));
    ck_assert(io()->use(0, why, sizeof why));
    xn_device_stream *stream = io()->open(why, sizeof why);
    xn_device_mark *done = io()->mark_create(why, sizeof why);
    uint16_t *host = io()->pin(sizeof frames, why, sizeof why);
    int64_t rows = 0;
    for (;;) {
        ck_assert_msg(xn_batches_next(ctx, b, &batch) == XANI_OK, "%s", xani_error_text(ctx));
        if (batch.rows == 0) break;
        ck_assert(io()->owner(batch.data, why, sizeof why) == 0 && batch.first == rows);
        ck_assert(io()->copy_out(stream, host + rows * H * W, batch.data, (size_t)batch.rows * sizeof frames[0], why,
                                 sizeof why) &&
                  io()->mark(stream, done, why, sizeof why) && io()->wait(done, why, sizeof why));
        rows += batch.rows;
    }
    ck_assert_int_eq(rows, N);
    ck_assert(memcmp(host, frames, sizeof frames) == 0);
    io()->unpin(host);
    io()->mark_destroy(done);
    io()->close(stream);
    xn_batches_close(&b);
    xn_array_close(&a);
}
END_TEST

#ifndef XN_REAL_DEVICE

START_TEST(test_chosen)
{
    // Which way is taken, and what is said where it is not the one asked for.
    xn_device_target t;
    ck_assert_int_eq(xn_device_target_find(ctx, NULL, io(), 1, "cufile", &t), XANI_OK);
    ck_assert(t.cufile && t.number == 1 && t.note[0] == 0 && warning[0] == 0);
    ck_assert_int_eq(xn_device_target_find(ctx, NULL, io(), 0, "auto", &t), XANI_OK);
    ck_assert_msg(!t.cufile && strstr(t.note, "no nvidia-fs") != NULL && warning[0] == 0, "%s", t.note);
    xn_cufile_shut();
    fake->nvfs_major = 2;
    ck_assert_int_eq(xn_device_target_find(ctx, NULL, io(), 0, NULL, &t), XANI_OK);
    ck_assert(t.cufile);
    xn_cufile_shut();
    setenv("XANI_CUFILE", "no-libcufile.so", 1);
    ck_assert_int_eq(xn_device_target_find(ctx, NULL, io(), 0, "cufile", &t), XANI_OK);
    ck_assert(!t.cufile);
    ck_assert_msg(strcmp(warning, "cuFile: no-libcufile.so is not there (XANI_CUFILE); pinned ring used") == 0, "%s",
                  warning);
    ck_assert_int_eq(xn_device_target_find(ctx, NULL, io(), 2, NULL, &t), XANI_ERR_USAGE);
    ck_assert_msg(strstr(xani_error_text(ctx), "device 2: this machine has 2") != NULL, "%s", xani_error_text(ctx));
    xn_clear_error(ctx);
    ck_assert_int_eq(xn_device_target_find(ctx, NULL, io(), 0, "mmap", &t), XANI_ERR_USAGE);
    xn_clear_error(ctx);
    ck_assert_int_eq(xn_device_target_find(ctx, NULL, NULL, 0, NULL, &t), XANI_ERR_USAGE);
    ck_assert_msg(strstr(xani_error_text(ctx), "without CUDA") != NULL, "%s", xani_error_text(ctx));
    xn_clear_error(ctx);
    xn_emulated.driver = 0;
    ck_assert_int_eq(xn_device_target_find(ctx, NULL, io(), 0, NULL, &t), XANI_ERR_USAGE);
    ck_assert_msg(strstr(xani_error_text(ctx), "no CUDA driver") != NULL, "%s", xani_error_text(ctx));
}
END_TEST

static xani_status read_all(const way *w, xn_device_report *report)
{
    xn_selection s;
    xn_array *a = open_array(path, "data", w, false);
    if (a == NULL) return XANI_ERR_MEMORY; // told by the caller's test
    xn_selection_all(a, &s);
    memset(got, 0, sizeof got);
    const xani_status st = read_back(a, &s, XN_U16, got, sizeof got);
    if (report != NULL) *report = xn_array_device_report(a);
    xn_array_close(&a);
    return st;
}

START_TEST(test_destination)
{
    // Memory of the host, of another device, or unaligned, is refused.
    xn_selection s;
    write_frames(1);
    xn_array *a = open_array(path, "data", &ways[0], false);
    xn_selection_all(a, &s);
    ck_assert_int_eq(xn_array_read(ctx, a, &s, XN_U16, got, 0), XANI_ERR_USAGE);
    ck_assert_msg(strstr(xani_error_text(ctx), "not memory of device 0") != NULL, "%s", xani_error_text(ctx));
    xn_clear_error(ctx);
    ck_assert(io()->use(1, why, sizeof why));
    uint8_t *other = io()->take(sizeof got + 1, why, sizeof why);
    ck_assert_int_eq(xn_array_read(ctx, a, &s, XN_U16, other, 0), XANI_ERR_USAGE);
    ck_assert_msg(strstr(xani_error_text(ctx), "another device") != NULL, "%s", xani_error_text(ctx));
    xn_clear_error(ctx);
    io()->give(other);
    ck_assert(io()->use(0, why, sizeof why));
    other = io()->take(sizeof got + 1, why, sizeof why);
    ck_assert_int_eq(xn_array_read(ctx, a, &s, XN_U16, other + 1, 0), XANI_ERR_USAGE);
    ck_assert_msg(strstr(xani_error_text(ctx), "aligned") != NULL, "%s", xani_error_text(ctx));
    xn_clear_error(ctx);
    io()->give(other);
    xn_array_close(&a);
}
END_TEST

// Chunk `i` of "data" as the file holds it, changed at `at` by `mask`.
static void damage_chunk(hsize_t i, long at, uint8_t mask)
{
    haddr_t address = HADDR_UNDEF;
    hsize_t bytes = 0, offset[3] = {i, 0, 0};
    unsigned filters;
    hid_t f = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), d = H5Dopen2(f, "data", H5P_DEFAULT);
    ck_assert_int_ge(H5Dget_chunk_info_by_coord(d, offset, &filters, &address, &bytes), 0);
    H5Dclose(d), H5Fclose(f);
    FILE *file = fopen(path, "r+");
    fseek(file, (long)address + at, SEEK_SET);
    const int byte = fgetc(file);
    fseek(file, (long)address + at, SEEK_SET);
    fputc(byte ^ mask, file);
    fclose(file);
}

START_TEST(test_damaged)
{
    // A damaged chunk is handed back and ends in the processor's error, which names its frame; the file's own fault of
    // a chunk that only the processor can read ends in the right numbers.
    for (int w = 0; w < 2; w++) {
        xn_device_report report;
        write_frames(0);
        damage_chunk(17, 12, 0xff);
        ck_assert_int_eq(read_all(&ways[w], &report), XANI_ERR_INPUT);
        ck_assert_msg(strstr(xani_error_text(ctx), "frame 17: bitshuffle data end early") != NULL, "%s",
                      xani_error_text(ctx));
        ck_assert_int_eq(report.handed_back, 1);
        xn_clear_error(ctx);
    }
    // blocks of another size than the filter says: legal, but not what the kernel was told
    static uint8_t packed[2 * sizeof frames[0]], rows[2048], work[2048];
    write_frames(0);
    hid_t f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), d = H5Dopen2(f, "data", H5P_DEFAULT);
    const hsize_t at[3] = {9, 0, 0};
    uint8_t *out = packed + 12;
    xn_put_be64(packed, sizeof frames[0]);
    xn_put_be32(packed + 8, 2048);
    for (size_t b = 0; b < sizeof frames[0] / 2048; b++) {
        xn_bits_shuffle((const uint8_t *)frames[9] + b * 2048, rows, work, 1024, 2);
        const int n = LZ4_compress_default((const char *)rows, (char *)out + 4, 2048, LZ4_compressBound(2048));
        xn_put_be32(out, (uint32_t)n);
        out += 4 + n;
    }
    ck_assert_int_ge(H5Dwrite_chunk(d, H5P_DEFAULT, 0, at, (size_t)(out - packed), packed), 0);
    H5Dclose(d), H5Fclose(f);
    for (int w = 0; w < 2; w++) {
        xn_device_report report;
        ck_assert_msg(read_all(&ways[w], &report) == XANI_OK, "%s", xani_error_text(ctx));
        ck_assert_int_eq(report.handed_back, 1);
        ck_assert(memcmp(got, frames, sizeof got) == 0);
    }
}
END_TEST

static int fault;
static int inject(void *user, const char *call, const char *name, int64_t offset, size_t bytes)
{
    (void)user;
    const bool late = offset + (int64_t)bytes > 20000;
    return strstr(name, "data.h5") != NULL && strcmp(call, "pread") == 0 && late ? fault : 0;
}

START_TEST(test_faults)
{
    // Errors of the storage end in an error that names frame and cause; short and interrupted reads are continued;
    // where cuFile does not serve a file, the ring does, and it is said once.
    for (int layout = 0; layout < 3; layout++) {
        write_frames(layout);
        xn_read_set_hook(inject, NULL);
        fault = EIO;
        for (int w = 0; w < WAYS; w++) {
            if (strcmp(ways[w].reader, "cufile") == 0) continue; // has errors of its own, below
            ck_assert_int_eq(read_all(&ways[w], NULL), XANI_ERR_INPUT);
            ck_assert_msg(strstr(xani_error_text(ctx), "data.h5: data: frame") != NULL &&
                              strstr(xani_error_text(ctx), strerror(EIO)) != NULL,
                          "%s", xani_error_text(ctx));
            xn_clear_error(ctx);
        }
        fault = XN_READ_SHORT;
        ck_assert_msg(read_all(&ways[0], NULL) == XANI_OK, "%s", xani_error_text(ctx));
        ck_assert(memcmp(got, frames, sizeof got) == 0);
        xn_read_set_hook(NULL, NULL);

        fake->most = 5000; // cuFile gives less than asked for
        ck_assert_msg(read_all(&ways[4], NULL) == XANI_OK, "%s", xani_error_text(ctx));
        ck_assert(memcmp(got, frames, sizeof got) == 0);
        fake->most = 0;
        fake->fails_from = fake->reads + 1, fake->fails_errno = EIO;
        ck_assert_msg(read_all(&ways[4], NULL) == XANI_ERR_INPUT, "layout %d, %d reads, from %d", layout, fake->reads,
                      fake->fails_from);
        ck_assert_msg(strstr(xani_error_text(ctx), strerror(EIO)) != NULL, "%s", xani_error_text(ctx));
        xn_clear_error(ctx);
        fake->fails_from = fake->reads + 1, fake->fails_errno = 0, fake->fails_error = 5008;
        warning[0] = 0;
        ck_assert_msg(read_all(&ways[4], NULL) == XANI_OK, "%s", xani_error_text(ctx));
        ck_assert(memcmp(got, frames, sizeof got) == 0);
        ck_assert_msg(strstr(warning, "file system is not supported (5008); pinned ring used") != NULL, "%s", warning);
        fake->fails_from = 0;
        fake->register_error = 5034;
        ck_assert_msg(read_all(&ways[1], NULL) == XANI_OK, "%s", xani_error_text(ctx));
        ck_assert(memcmp(got, frames, sizeof got) == 0);
        fake->register_error = 0;
        fake->buffer_error = 5036; // memory cannot be registered: slower, not wrong
        ck_assert_msg(read_all(&ways[1], NULL) == XANI_OK, "%s", xani_error_text(ctx));
        ck_assert(memcmp(got, frames, sizeof got) == 0);
        fake->buffer_error = 0;
    }
}
END_TEST

START_TEST(test_shrunk)
{
    // A file cut after it was opened: an error by every way.
    for (int w = 0; w < WAYS; w++) {
        xn_selection s;
        write_frames(1);
        xn_array *a = open_array(path, "data", &ways[w], false);
        xn_selection_all(a, &s);
        ck_assert_int_eq(truncate(path, (off_t)(sizeof frames / 2)), 0);
        ck_assert_int_eq(read_back(a, &s, XN_U16, got, sizeof got), XANI_ERR_INPUT);
        ck_assert_msg(strstr(xani_error_text(ctx), "data.h5") != NULL, "%s", xani_error_text(ctx));
        xn_clear_error(ctx);
        xn_array_close(&a);
    }
}
END_TEST

START_TEST(test_runtime_failures)
{
    // Whichever call of the runtime fails: an error that names file and device, and nothing is left behind.
    write_frames(_i);
    int failures = 0;
    for (int w = 0; w < 2; w++)
        for (long at = 1;; at++) {
            xn_selection s;
            uint8_t *dst;
            xn_emulation_reset();
            xn_array *a = open_array(path, "data", &ways[w], false);
            ck_assert(io()->use(0, why, sizeof why));
            dst = io()->take(sizeof got, why, sizeof why);
            xn_selection_all(a, &s);
            xn_emulated.calls = 0, xn_emulated.fail_at = at;
            const xani_status st = xn_array_read(ctx, a, &s, XN_U16, dst, 0);
            const bool done = xn_emulated.calls < at;
            xn_emulated.fail_at = 0;
            if (st == XANI_OK) ck_assert_msg(memcmp(dst, frames, sizeof frames) == 0, "call %ld: wrong data", at);
            if (st != XANI_OK) {
                failures++;
                ck_assert_msg(strstr(xani_error_text(ctx), "device 0") != NULL, "%s", xani_error_text(ctx));
            }
            xn_clear_error(ctx);
            io()->give(dst);
            xn_array_close(&a);
            ck_assert_msg(xn_emulated.alive == 0, "call %ld: %ld left", at, xn_emulated.alive);
            ck_assert(!done || st == XANI_OK);
            if (done) break;
        }
    ck_assert_int_gt(failures, 20);
}
END_TEST

START_TEST(test_short_of_memory)
{
    // Where there is memory for one thread's slots only, that one does it all; for none, that is the error.
    write_frames(0);
    const way two = {"ring", false, 2, 1 << 16};
    xn_selection s;
    xn_array *a = open_array(path, "data", &two, false);
    ck_assert(io()->use(0, why, sizeof why));
    uint8_t *dst = io()->take(sizeof got, why, sizeof why);
    xn_selection_all(a, &s);
    xn_emulated.memory = sizeof got + (600 << 10);
    ck_assert_msg(xn_array_read(ctx, a, &s, XN_U16, dst, 0) == XANI_OK, "%s", xani_error_text(ctx));
    ck_assert(memcmp(dst, frames, sizeof frames) == 0);
    xn_array_close(&a);
    a = open_array(path, "data", &two, false);
    xn_emulated.memory = sizeof got + (20 << 10);
    ck_assert_int_eq(xn_array_read(ctx, a, &s, XN_U16, dst, 0), XANI_ERR_INPUT);
    ck_assert_msg(strstr(xani_error_text(ctx), "device 0: memory of the device: out of memory") != NULL, "%s",
                  xani_error_text(ctx));
    xn_clear_error(ctx);
    xn_array_close(&a);
    io()->give(dst);
}
END_TEST

START_TEST(test_memory)
{
    // Whichever allocation of the host fails: an error of memory, or what the way does without.
    write_frames(0);
    int failures = 0;
    for (int w = 0; w < 3; w++)
        for (no_memory n = NO_MEMORY; n.reached; no_memory_next(&n)) {
            xn_selection s;
            xn_array *a = open_array(path, "data", &ways[w], false);
            ck_assert(io()->use(0, why, sizeof why));
            uint8_t *dst = io()->take(sizeof got, why, sizeof why);
            xn_selection_all(a, &s);
            no_memory_begin(&n);
            const xani_status st = xn_array_read(ctx, a, &s, XN_U16, dst, 0);
            no_memory_end();
            if (st == XANI_OK) ck_assert_msg(memcmp(dst, frames, sizeof frames) == 0, "%d: wrong data", (int)n.at);
            failures += st != XANI_OK;
            xn_clear_error(ctx);
            io()->give(dst);
            xn_array_close(&a);
            ck_assert(n.reached || st == XANI_OK);
        }
    ck_assert_int_gt(failures, 5);
}
END_TEST
#endif

static void add(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, test_family, 0, family_groups());
    tcase_add_test(tc, test_ways);
    tcase_add_test(tc, test_batches);
#ifndef XN_REAL_DEVICE
    tcase_add_test(tc, test_chosen);
    tcase_add_test(tc, test_destination);
    tcase_add_test(tc, test_damaged);
    tcase_add_test(tc, test_faults);
    tcase_add_test(tc, test_shrunk);
    tcase_add_loop_test(tc, test_runtime_failures, 0, 3);
    tcase_add_test(tc, test_memory);
    tcase_add_test(tc, test_short_of_memory);
#endif
}
XN_TEST_MAIN("arrays into device memory", add)
