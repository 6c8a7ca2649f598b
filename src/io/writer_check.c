// SPDX-License-Identifier: BSD-3-Clause
// writer_check.c -- what was written is read back and compared, hash by hash, before it is published.
//
// The hash of a dataset is chained over the XXH3s of its lines along the fastest axis (manifest.c), so that
// lines may be read in any order: datasets are read in boxes that hold whole chunks (a cube in
// chunks of all delays would be decompressed once per delay if it were read plane by plane).  Frames are read
// as stored chunks, whose bytes must be those handed over, and decoded by our own decoder.
#include <errno.h>
#include <string.h>
#include <xxhash.h>

#include "io/writer.h"

enum { BOX_BYTES = 32 << 20 };

// Bytes of a line along the fastest axis, and how many there are. One value is a line too.
static int64_t line_count(int rank, const int64_t *dims)
{
    int64_t n = 1;
    for (int i = 0; i < rank - 1; i++) n *= dims[i];
    return n;
}
static size_t line_bytes(xn_type type, int rank, const int64_t *dims)
{
    return (rank ? (size_t)dims[rank - 1] : 1) * xn_type_size(type);
}

static uint64_t chain(const uint64_t *hash, int64_t n, uint64_t before)
{
    for (int64_t i = 0; i < n; i++) before = XXH3_64bits_withSeed(&hash[i], sizeof hash[i], before);
    return before;
}

uint64_t xn_hash_values(const void *values, xn_type type, int rank, const int64_t *dims)
{
    size_t bytes = line_bytes(type, rank, dims);
    int64_t n = line_count(rank, dims);
    uint64_t all = 0;
    for (int64_t i = 0; i < n; i++) {
        uint64_t line = XXH3_64bits((const char *)values + (size_t)i * bytes, bytes);
        all = chain(&line, 1, all);
    }
    return all;
}

uint64_t xn_hash_texts(const char *const *texts, int64_t n)
{
    uint64_t all = 0;
    for (int64_t i = 0; i < n; i++) all = XXH3_64bits_withSeed(texts[i], strlen(texts[i]) + 1, all);
    return all;
}

typedef struct {
    hid_t dataset, space;
    int64_t step[2]; // along axes 0 and 1; other axes whole
    void *values;
    uint64_t *hash; // of each line
} boxes;

// Steps that hold whole chunks, grown along axis 1, then 0, to about BOX_BYTES.
static void choose_steps(const xn_record *r, const xn_h5_info *info, int64_t step[2])
{
    int64_t rest = (int64_t)xn_type_size(r->type);
    for (int i = r->rank >= 3 ? 2 : 1; i < r->rank; i++) rest *= r->dims[i];
    for (int i = 0; i < 2; i++) step[i] = info->chunked && i < r->rank ? xn_max64(1, info->chunk[i]) : 1;
    int64_t along = r->rank >= 3 ? r->dims[1] : 1;
    if (r->rank < 3) step[1] = 1;
    while (step[1] < along && 2 * step[0] * step[1] * rest <= BOX_BYTES) step[1] *= 2;
    while (step[1] >= along && step[0] < r->dims[0] && 2 * step[0] * along * rest <= BOX_BYTES) step[0] *= 2;
    step[0] = xn_min64(step[0], r->dims[0]);
    step[1] = xn_min64(step[1], along);
}

static xani_status hash_box(xn_ctx *ctx, const xn_h5 *file, const xn_record *r, boxes *b, const int64_t at[2])
{
    hsize_t start[XANI_MAX_RANK] = {0}, count[XANI_MAX_RANK] = {0};
    int64_t n = 1, along = r->rank >= 3 ? r->dims[1] : 1, inner = 1; // inner: lines of one row of axis 1
    for (int i = 0; i < r->rank; i++) {
        count[i] = (hsize_t)r->dims[i];
        if (i == 0 || (i == 1 && r->rank >= 3)) {
            start[i] = (hsize_t)at[i];
            count[i] = (hsize_t)xn_min64(b->step[i], r->dims[i] - at[i]);
        }
        n *= (int64_t)count[i];
    }
    for (int i = 2; i < r->rank - 1; i++) inner *= r->dims[i];
    if (H5Sselect_hyperslab(b->space, H5S_SELECT_SET, start, NULL, count, NULL) < 0)
        return xn_h5_fail(ctx, file, r->name, "cannot be read");
    XN_TRY(xn_h5_read_as(ctx, file, r->name, b->dataset, b->space, n, r->type, b->values));
    size_t bytes = line_bytes(r->type, r->rank, r->dims);
    const char *line = b->values;
    int64_t rows = r->rank >= 3 ? (int64_t)count[1] : 1;
    for (int64_t i = 0; i < (int64_t)count[0]; i++)
        for (int64_t k = 0; k < rows * inner; k++, line += bytes)
            b->hash[((at[0] + i) * along + at[1]) * inner + k] = XXH3_64bits(line, bytes);
    return XANI_OK;
}

static xani_status hash_boxes(xn_ctx *ctx, const xn_h5 *file, const xn_record *r, boxes *b)
{
    int64_t along = r->rank >= 3 ? r->dims[1] : 1;
    for (int64_t i = 0; i < r->dims[0]; i += b->step[0])
        for (int64_t j = 0; j < along; j += b->step[1]) XN_TRY(hash_box(ctx, file, r, b, (const int64_t[2]){i, j}));
    return XANI_OK;
}

// One line (rank 0 and 1), whole.
static xani_status hash_line(xn_ctx *ctx, const xn_h5 *file, const xn_record *r, boxes *b)
{
    int64_t n = r->rank ? r->dims[0] : 1;
    XN_TRY(xn_h5_read_as(ctx, file, r->name, b->dataset, b->space, n, r->type, b->values));
    b->hash[0] = XXH3_64bits(b->values, (size_t)n * xn_type_size(r->type));
    return XANI_OK;
}

static xani_status hash_all(xn_ctx *ctx, const xn_h5 *file, xn_record *r, const xn_h5_info *info, boxes *b)
{
    int64_t lines = line_count(r->rank, r->dims);
    if (info->size > 0) XN_TRY(xn_h5_complete(ctx, file, r->name, b->dataset));
    if (r->rank < 2)
        XN_TRY(hash_line(ctx, file, r, b));
    else if (info->size > 0)
        XN_TRY(hash_boxes(ctx, file, r, b));
    else
        for (int64_t i = 0; i < lines; i++) b->hash[i] = XXH3_64bits("", 0);
    r->hash = chain(b->hash, lines, 0);
    return XANI_OK;
}

static xani_status hash_numbers(xn_ctx *ctx, const xn_h5 *file, xn_record *r, const xn_h5_info *info)
{
    boxes b = {.dataset = H5I_INVALID_HID, .step = {1, 1}};
    size_t elem = xn_type_size(r->type), lines = (size_t)line_count(r->rank, r->dims), n = (size_t)info->size;
    if (r->rank >= 2 && n > 0) {
        choose_steps(r, info, b.step);
        n = (size_t)b.step[0];
        for (int i = 1; i < r->rank; i++) n *= (size_t)(i == 1 && r->rank >= 3 ? b.step[1] : r->dims[i]);
    }
    XN_TRY(xn_h5_dataset(ctx, file, r->name, &b.dataset));
    b.space = H5Dget_space(b.dataset);
    b.values = xn_alloc(n ? n : 1, elem);
    b.hash = xn_alloc(lines ? lines : 1, sizeof *b.hash);
    xani_status st;
    if (b.values && b.hash)
        st = hash_all(ctx, file, r, info, &b);
    else
        st = xn_fail_memory(ctx, r->name, n * elem + lines * sizeof *b.hash);
    xn_free(b.values);
    xn_free(b.hash);
    H5Sclose(b.space);
    H5Oclose(b.dataset);
    return st;
}

static xani_status hash_texts(xn_ctx *ctx, const xn_h5 *file, xn_record *r)
{
    char **texts;
    int64_t n;
    XN_TRY(xn_h5_read_strings(ctx, file, r->name, &texts, &n));
    r->hash = xn_hash_texts((const char *const *)texts, n);
    for (int64_t i = 0; i < n; i++) xn_free(texts[i]);
    xn_free(texts);
    return XANI_OK;
}

xani_status xn_hash_dataset(xn_ctx *ctx, const xn_h5 *file, xn_record *r)
{
    xn_h5_info info;
    XN_TRY(xn_h5_info_get(ctx, file, r->name, &info));
    if (info.is_group || info.type == XN_OTHER)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: is not a dataset of numbers or text", xn_h5_path(file), r->name);
    r->type = info.type;
    r->rank = info.rank;
    memcpy(r->dims, info.dims, sizeof r->dims);
    xn_hdf_guard guard = xn_hdf_enter();
    xani_status st = r->type == XN_STR ? hash_texts(ctx, file, r) : hash_numbers(ctx, file, r, &info);
    xn_hdf_leave(guard);
    return st;
}

// ---- frames

typedef struct {
    uint8_t *stored, *decoded;
    xn_codec *codec;
    size_t room, bytes;
    xn_pipeline pipeline;
} frame_room;

static const char *check_frame(hid_t dataset, int64_t frame, frame_room *m, uint64_t expected)
{
    hsize_t offset[3] = {(hsize_t)frame, 0, 0}, length = 0;
    uint32_t mask = 0;
    if (H5Dget_chunk_storage_size(dataset, offset, &length) < 0) return "is missing";
    if (length > m->room) {
        xn_free(m->stored);
        m->room = (size_t)length + (size_t)length / 4;
        m->stored = xn_alloc(m->room, 1);
        if (m->stored == NULL) return m->room = 0, "needs more memory than there is";
    }
    if (H5Dread_chunk(dataset, H5P_DEFAULT, offset, &mask, m->stored) < 0) return "cannot be read back";
    if (XXH3_64bits(m->stored, (size_t)length) != expected) return "differs when read back";
    return xn_pipeline_decode(m->codec, &m->pipeline, mask, m->stored, (size_t)length, m->decoded, m->bytes);
}

static xani_status compare_frames(xn_ctx *ctx, const xn_h5 *file, const char *path, xn_record *r)
{
    hid_t dataset;
    XN_TRY(xn_h5_dataset(ctx, file, r->name, &dataset));
    frame_room m = {.bytes = (size_t)(r->dims[1] * r->dims[2]) * xn_type_size(r->type)};
    hid_t created = H5Dget_create_plist(dataset);
    xn_pipeline_get(created, &m.pipeline);
    H5Pclose(created);
    m.decoded = xn_alloc(m.bytes, 1);
    m.codec = xn_codec_open();
    int64_t h = r->dims[1];
    uint64_t *hash = xn_alloc((size_t)(r->dims[0] * h), sizeof *hash);
    xani_status st = m.decoded && m.codec && hash ? XANI_OK : xn_fail_memory(ctx, r->name, m.bytes);
    for (int64_t i = 0; m.decoded && m.codec && hash && i < r->dims[0] && st == XANI_OK; i++) {
        const char *why = check_frame(dataset, i, &m, r->frame_hash[i]);
        if (why)
            st = xn_fail(ctx, XANI_ERR_OUTPUT, "%s: cannot be written: frame %lld of %s %s", path, (long long)i,
                         r->name, why);
        for (int64_t k = 0; st == XANI_OK && k < h; k++)
            hash[i * h + k] = XXH3_64bits(m.decoded + (size_t)k * (m.bytes / (size_t)h), m.bytes / (size_t)h);
    }
    if (hash && st == XANI_OK) r->hash = chain(hash, r->dims[0] * h, 0);
    xn_free(hash);
    xn_free(m.stored);
    xn_free(m.decoded);
    xn_codec_close(&m.codec);
    H5Oclose(dataset);
    return st;
}

static xani_status compare_one(xn_writer *w, const xn_h5 *file, xn_record *r)
{
    if (r->frames) return compare_frames(w->ctx, file, w->path, r);
    xn_record found = {.name = r->name};
    xani_status st = xn_hash_dataset(w->ctx, file, &found);
    if (st == XANI_ERR_MEMORY) return st;
    if (st == XANI_OK && found.hash == r->hash && found.type == r->type) return XANI_OK;
    xn_clear_error(w->ctx);
    return xn_fail(w->ctx, XANI_ERR_OUTPUT, "%s: cannot be written: %s %s", w->path, r->name,
                   st == XANI_OK ? "differs when read back" : "cannot be read back");
}

xani_status xn_writer_compare(xn_writer *w)
{
    xn_h5 *file = NULL;
    if (xn_io_check("read back", w->temporary) != 0) return xn_output_fail(w->ctx, w->path, errno);
    xani_status st = xn_h5_open(w->ctx, w->temporary, &file);
    if (st != XANI_OK && st != XANI_ERR_MEMORY) {
        xn_clear_error(w->ctx);
        return xn_fail(w->ctx, XANI_ERR_OUTPUT, "%s: cannot be written: the file cannot be read back", w->path);
    }
    for (size_t i = 0; i < w->n_records && st == XANI_OK; i++) st = compare_one(w, file, &w->record[i]);
    xn_h5_close(&file);
    return st;
}
