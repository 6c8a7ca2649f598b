// SPDX-License-Identifier: BSD-3-Clause
// manifest.c -- FILE.manifest.json, and the last steps by which a file gets its name.
//
//   {"format": 1, "kind": "cube", "file": "cube.h5", "bytes": 123456, "xxh3": "0123456789abcdef",
//    "datasets": {"/entry/cube/signal": {"xxh3": "...", "shape": [50, 512, 1024], "dtype": "float32"}, ...}}
//
// xxh3 is XXH3 with 64 bits, as 16 hexadecimal digits: of the whole file (which covers attributes and
// structure), and of each dataset (which survives repacking).  The latter is chained over the lines along the
// fastest axis, h = XXH3(XXH3(line), seed h) from h = 0, all little-endian; over texts, each with its closing
// NUL, h = XXH3(text, seed h).  It finds accidents, not forgery.
//
// Order, so that a crash leaves at worst a file without manifest, never one with a wrong manifest: the old
// manifest steps aside, the file takes its name, the new manifest takes its own.  If a step fails the former
// file (kept by a hard link) and manifest come back.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "core/text.h"
#include "io/write/writer.h"

enum { FORMAT = 1, BLOCK = 1 << 20 };

char *xn_manifest_path(const char *path) { return xn_format("%s.manifest.json", path); }

bool xn_published(const char *path)
{
    char *manifest = xn_manifest_path(path);
    bool both = manifest && access(path, R_OK) == 0 && access(manifest, R_OK) == 0;
    xn_free(manifest);
    return both;
}

static xani_status hash_open_file(xn_ctx *ctx, const char *path, int fd, uint64_t *hash, int64_t *bytes)
{
    char *block = xn_alloc(BLOCK, 1);
    XXH3_state_t *state = XXH3_createState();
    xani_status st = XANI_OK;
    ssize_t n = 1;
    *bytes = 0;
    if (block == NULL || state == NULL)
        st = xn_fail_memory(ctx, "hashing a file", BLOCK);
    else
        XXH3_64bits_reset(state);
    while (st == XANI_OK && n > 0) {
        n = pread(fd, block, BLOCK, *bytes);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n < 0)
            st = xn_fail(ctx, XANI_ERR_INPUT, "%s: cannot be read: %s", path, strerror(errno));
        else if (n > 0)
            XXH3_64bits_update(state, block, (size_t)n), *bytes += n;
    }
    if (st == XANI_OK) *hash = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    xn_free(block);
    return st;
}

xani_status xn_hash_file(xn_ctx *ctx, const char *path, uint64_t *hash, int64_t *bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return xn_fail(ctx, XANI_ERR_INPUT, errno == ENOENT ? "%s: no such file" : "%s: cannot be opened: %s", path,
                       strerror(errno));
    xani_status st = hash_open_file(ctx, path, fd, hash, bytes);
    close(fd);
    return st;
}

static json_t *hex(uint64_t hash)
{
    char text[17];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
    return json_string(text);
}

json_t *xn_manifest_datasets(const xn_record *record, size_t n)
{
    json_t *all = json_object();
    for (size_t i = 0; i < n; i++) {
        json_t *shape = json_array();
        for (int k = 0; k < record[i].rank; k++) json_array_append_new(shape, json_integer(record[i].dims[k]));
        json_t *one = json_pack("{s:o, s:o, s:s}", "xxh3", hex(record[i].hash), "shape", shape, "dtype",
                                xn_type_name(record[i].type));
        json_object_set_new(all, record[i].name, one);
    }
    return all;
}

// Writes and syncs the manifest of the file `temporary`, to be called `path`, as `to`.
static xani_status write_manifest(xn_ctx *ctx, const char *temporary, const char *path, const char *kind,
                                  json_t *datasets, const char *to)
{
    uint64_t hash = 0;
    int64_t bytes = 0;
    XN_TRY(xn_hash_file(ctx, temporary, &hash, &bytes));
    const char *slash = strrchr(path, '/');
    json_t *m = json_pack("{s:i, s:o, s:I, s:o}", "format", FORMAT, "file", xn_json_text(slash ? slash + 1 : path),
                          "bytes", (json_int_t)bytes, "xxh3", hex(hash));
    if (m && kind) json_object_set_new(m, "kind", json_string(kind));
    if (m && datasets) json_object_set(m, "datasets", datasets);
    char *text = m ? json_dumps(m, JSON_INDENT(1)) : NULL;
    json_decref(m);
    if (text == NULL) return xn_fail_memory(ctx, "a manifest", 1);
    xani_status st = xn_write_new(ctx, to, path, text, strlen(text));
    free(text);
    return st;
}

xani_status xn_replace_file(xn_ctx *ctx, const char *temporary, const char *path)
{
    if (xn_io_rename(temporary, path) != 0) {
        xani_status st = xn_output_fail(ctx, path, errno);
        unlink(temporary);
        return st;
    }
    return xn_io_sync_folder(path) == 0 ? XANI_OK : xn_output_fail(ctx, path, errno);
}

typedef struct {
    const char *path, *manifest;                  // final names
    char *new_manifest, *old_file, *old_manifest; // temporary names
    bool had_file, had_manifest, placed;
} exchange;

// The steps that give names. 0, or -1 with errno.
static int give_names(exchange *e, const char *temporary)
{
    e->had_file = link(e->path, e->old_file) == 0; // no links here, no file there: nothing to put back
    e->had_manifest = access(e->manifest, F_OK) == 0;
    if (e->had_manifest && xn_io_rename(e->manifest, e->old_manifest) != 0) return e->had_manifest = false, -1;
    if (xn_io_rename(temporary, e->path) != 0) return -1;
    e->placed = true;
    if (xn_io_sync_folder(e->path) != 0) return -1;
    if (xn_io_rename(e->new_manifest, e->manifest) != 0) return -1;
    return xn_io_sync_folder(e->path);
}

static void put_back(const exchange *e)
{
    if (e->placed) {
        unlink(e->manifest); // between the two files no manifest may stand
        if (!e->had_file || rename(e->old_file, e->path) != 0) unlink(e->path);
    }
    if (e->had_manifest && rename(e->old_manifest, e->manifest) != 0) unlink(e->old_manifest);
}

xani_status xn_manifest_publish(xn_ctx *ctx, const char *temporary, const char *path, const char *kind,
                                json_t *datasets)
{
    char *manifest = xn_manifest_path(path);
    exchange e = {.path = path, .manifest = manifest, .old_file = xn_io_temporary(path)};
    e.new_manifest = manifest ? xn_io_temporary(manifest) : NULL;
    e.old_manifest = manifest ? xn_io_temporary(manifest) : NULL;
    xani_status st = XANI_OK;
    if (!e.new_manifest || !e.old_file || !e.old_manifest) st = xn_fail_memory(ctx, path, 1);
    if (st == XANI_OK) st = write_manifest(ctx, temporary, path, kind, datasets, e.new_manifest);
    if (st == XANI_OK && give_names(&e, temporary) != 0) {
        st = xn_output_fail(ctx, path, errno);
        put_back(&e);
    }
    unlink(temporary);
    if (e.new_manifest) unlink(e.new_manifest);
    if (e.had_file) unlink(e.old_file);
    if (e.had_manifest) unlink(e.old_manifest);
    xn_free(manifest);
    xn_free(e.new_manifest);
    xn_free(e.old_file);
    xn_free(e.old_manifest);
    return st;
}

// ---- verification

// Which dataset differs? XANI_OK when none does.
static xani_status name_difference(xn_ctx *ctx, const char *path, json_t *datasets)
{
    xn_h5 *file = NULL;
    if (!json_is_object(datasets)) return XANI_OK;
    if (xn_h5_open(ctx, path, &file) != XANI_OK) return xn_clear_error(ctx), XANI_OK; // a text, or no longer HDF5
    const char *name;
    json_t *one;
    xani_status st = XANI_OK;
    json_object_foreach(datasets, name, one)
    {
        const char *expected = json_string_value(json_object_get(one, "xxh3"));
        xn_record found = {.name = (char *)name};
        if (expected == NULL || st != XANI_OK) continue;
        bool readable = xn_hash_dataset(ctx, file, &found) == XANI_OK;
        xn_clear_error(ctx);
        if (!readable)
            st = xn_fail(ctx, XANI_ERR_VERIFY, "%s: %s: is damaged (cannot be read back)", path, name);
        else if (found.hash != strtoull(expected, NULL, 16))
            st = xn_fail(ctx, XANI_ERR_VERIFY, "%s: %s: differs from the manifest", path, name);
    }
    xn_h5_close(&file);
    return st;
}

static xani_status compare(xn_ctx *ctx, const char *path, json_t *manifest)
{
    uint64_t hash = 0;
    int64_t bytes = 0;
    json_int_t expected = json_integer_value(json_object_get(manifest, "bytes"));
    const char *digest = json_string_value(json_object_get(manifest, "xxh3"));
    if (digest == NULL) return xn_fail(ctx, XANI_ERR_VERIFY, "%s.manifest.json: is not a manifest", path);
    XN_TRY(xn_hash_file(ctx, path, &hash, &bytes));
    if (bytes == expected && hash == strtoull(digest, NULL, 16)) return XANI_OK;
    XN_TRY(name_difference(ctx, path, json_object_get(manifest, "datasets")));
    if (bytes != expected)
        return xn_fail(ctx, XANI_ERR_VERIFY, "%s: has %lld bytes, the manifest says %lld", path, (long long)bytes,
                       (long long)expected);
    return xn_fail(ctx, XANI_ERR_VERIFY, "%s: differs from its manifest (structure or attributes)", path);
}

xani_status xn_publish_verify(xn_ctx *ctx, const char *path)
{
    if (access(path, F_OK) != 0) return xn_fail(ctx, XANI_ERR_INPUT, "%s: no such file", path);
    char *name = xn_manifest_path(path);
    if (name == NULL) return xn_fail_memory(ctx, path, 1);
    json_error_t error;
    json_t *manifest = json_load_file(name, JSON_REJECT_DUPLICATES, &error);
    xani_status st;
    if (access(name, F_OK) != 0)
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: has no manifest (%s)", path, name);
    else if (manifest == NULL)
        st = xn_fail(ctx, XANI_ERR_VERIFY, "%s: cannot be read: %s", name, error.text);
    else
        st = compare(ctx, path, manifest);
    json_decref(manifest);
    xn_free(name);
    return st;
}
