// SPDX-License-Identifier: BSD-3-Clause
// bench_io.c -- frames from HDF5: our reader beside the library, h5py and the machine's floors.
//
// Ours and the peers take turns, pass by pass; the figures are medians in GB/s of decoded bytes (1e9), opening
// included on both sides.  Warm cases were dropped from the page cache and read once before; cold ones are dropped
// before each pass.  index-32768 is the time to find 32,768 chunks, in ms.  With a path, that file's largest stack of
// frames is the only case.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/io_bench.h"

enum { PEERS = 6, REPEATS_MAX = 31, LEAST = 5 };

typedef struct {
    const xn_bench *bench;
    const xn_io_case *c;
    xn_io_room *room;
    int repeats;
    double ours[2][REPEATS_MAX], theirs[PEERS][2][REPEATS_MAX]; // wall, CPU
} run;

static const char *const peer_names[PEERS] = {"H5Dread", "h5py-slice",   "h5py-hdf5plugin",
                                              "legate",  "floor:memcpy", "floor:pread"};
enum { LIBRARY, SLICE, PLUGIN, LEGATE, MEMCPY, PREAD };

static const struct {
    const char *name;
    unsigned peers; // bits
} cases[] = {
    {"contiguous", 1 << LIBRARY | 1 << SLICE | 1 << LEGATE | 1 << MEMCPY | 1 << PREAD},
    {"chunked", 1 << LIBRARY | 1 << SLICE | 1 << LEGATE | 1 << MEMCPY | 1 << PREAD},
    {"vds", 1 << LIBRARY | 1 << SLICE | 1 << LEGATE | 1 << MEMCPY},
    {"gzip", 1 << LIBRARY | 1 << SLICE | 1 << MEMCPY},
    {"shuffle+gzip", 1 << LIBRARY | 1 << SLICE | 1 << MEMCPY},
    {"bslz4", 1 << LIBRARY | 1 << SLICE | 1 << PLUGIN | 1 << MEMCPY},
    {"small-chunks", 1 << LIBRARY | 1 << SLICE | 1 << MEMCPY | 1 << PREAD},
    {"in-place", 1 << LIBRARY | 1 << SLICE | 1 << MEMCPY},
    {"index-32768", 1 << LIBRARY},
    {"cold-contiguous", 1 << LIBRARY | 1 << SLICE | 1 << PREAD},
    {"cold-bslz4", 1 << LIBRARY | 1 << PLUGIN | 1 << PREAD},
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n) // NaN if any is
{
    for (int i = 0; i < n; i++)
        if (isnan(v[i])) return NAN;
    qsort(v, (size_t)n, sizeof *v, by_value);
    return n % 2 ? v[n / 2] : 0.5 * (v[n / 2 - 1] + v[n / 2]);
}

static void emit(const xn_bench *bench, const char *name, const char *peer, double ours, double theirs,
                 const char *unit, double ratio, double ratio_cpu, const char *why)
{
    xn_bench_line line = {.bench = "io",
                          .name = name,
                          .peer = peer,
                          .ours = ours,
                          .theirs = theirs,
                          .unit = unit,
                          .ratio = ratio,
                          .ratio_cpu = ratio_cpu,
                          .why = why};
    bench->emit(bench->user, &line);
}

static bool in_place(const xn_io_case *c) { return strcmp(c->name, "in-place") == 0; }

static xn_io_pass ours(const run *r)
{
    if (r->c->cold) xn_io_drop(r->c);
    return in_place(r->c) ? xn_io_ours_in_place(r->bench->context, r->c, r->room)
                          : xn_io_ours(r->bench->context, r->c, r->room);
}

static xn_io_pass peer_pass(const run *r, int peer, xn_io_python *python)
{
    if (r->c->cold) xn_io_drop(r->c);
    switch (peer) {
    case LIBRARY:
        return xn_io_h5dread(r->c, r->room, in_place(r->c));
    case MEMCPY:
        return xn_io_floor_memcpy(r->c, r->room);
    case PREAD:
        return xn_io_floor_pread(r->c, r->room);
    default:
        return xn_io_python_pass(python, r->c);
    }
}

static void report(run *r, unsigned peers, xn_io_python *const python[PEERS])
{
    double gb = 1e-9 * (double)r->c->n * (double)r->c->frame_bytes;
    double wall = median(r->ours[0], r->repeats), cpu = median(r->ours[1], r->repeats);
    for (int k = 0; k < PEERS; k++) {
        if (!(peers & 1u << k)) continue;
        double their_wall = median(r->theirs[k][0], r->repeats), their_cpu = median(r->theirs[k][1], r->repeats);
        const char *why = python[k] ? xn_io_python_why(python[k]) : NULL;
        if (isnan(wall))
            why = xani_error_text(r->bench->context);
        else if (isnan(their_wall) && why == NULL)
            why = "it failed, or read other values";
        emit(r->bench, r->c->name, peer_names[k], gb / wall, gb / their_wall, "GB/s", their_wall / wall,
             their_cpu / cpu, why);
    }
}

static xani_status run_case(const xn_bench *bench, const xn_io_case *c, unsigned peers, xn_io_room *room)
{
    run *r = xn_calloc(1, sizeof *r);
    if (r == NULL) return xn_fail_memory(bench->context, "a benchmark", sizeof *r);
    *r = (run){.bench = bench, .c = c, .room = room};
    r->repeats = (int)xn_min64(REPEATS_MAX, xn_max64(LEAST, bench->repeats));
    xn_io_python *python[PEERS] = {NULL};
    for (int k = SLICE; k <= LEGATE; k++)
        if (peers & 1u << k) python[k] = xn_io_python_start(in_place(c) ? "sum" : peer_names[k], c);
    xn_io_warm(c);
    xani_status st = XANI_OK;
    for (int i = -1; i < r->repeats && st == XANI_OK; i++) { // -1: a pass that does not count
        xn_io_pass p = ours(r);
        int at = i < 0 ? 0 : i;
        r->ours[0][at] = p.wall_s;
        r->ours[1][at] = p.cpu_s;
        for (int k = 0; k < PEERS; k++) {
            if (!(peers & 1u << k)) continue;
            p = peer_pass(r, k, python[k]);
            r->theirs[k][0][at] = p.wall_s;
            r->theirs[k][1][at] = p.cpu_s;
        }
        st = xn_check_interrupt(bench->context);
    }
    if (st == XANI_OK) report(r, peers, python);
    for (int k = 0; k < PEERS; k++) xn_io_python_stop(&python[k]);
    xn_free(r);
    return st;
}

// The library searches from the start for each chunk, which takes seconds: it runs once.
static xani_status run_index(const xn_bench *bench, const xn_io_case *c)
{
    double wall[LEAST], cpu[LEAST];
    xn_io_warm(c);
    for (int i = 0; i < LEAST; i++) {
        double t = xn_seconds(), t_cpu = xn_cpu_seconds();
        xn_frames *f;
        const char *path = c->path;
        XN_TRY(xn_frames_open(bench->context, &path, 1, c->dataset, &f));
        xn_frames_close(&f);
        wall[i] = xn_seconds() - t;
        cpu[i] = xn_cpu_seconds() - t_cpu;
    }
    xn_io_pass p = xn_io_library_index(c);
    double mine = median(wall, LEAST);
    emit(bench, c->name, "H5Dread", 1e3 * mine, 1e3 * p.wall_s, "ms", p.wall_s / mine, p.cpu_s / median(cpu, LEAST),
         isnan(p.wall_s) ? "the library's index failed" : "H5Dget_chunk_info for every chunk, once");
    return XANI_OK;
}

// Files rewritten, beside h5repack.
static xani_status run_repack(const xn_bench *bench, const char *folder, const char *source, const char *name)
{
    double mine[2][LEAST], theirs[2][LEAST], gb;
    char out[600], manifest[640], note[160];
    const char *why = NULL;
    xn_io_case c;
    if (!xn_io_make(folder, source, &c, note)) {
        emit(bench, name, "h5repack", NAN, NAN, "GB/s", NAN, NAN, note);
        return XANI_OK;
    }
    snprintf(out, sizeof out, "%.500s/repacked.h5", folder);
    snprintf(manifest, sizeof manifest, "%s.manifest.json", out);
    xn_io_warm(&c);
    for (int i = 0; i < LEAST; i++) {
        xn_io_pass p = xn_io_repack_ours(bench->context, &c, out, bench->threads);
        mine[0][i] = p.wall_s;
        mine[1][i] = p.cpu_s;
        unlink(out);
        unlink(manifest);
        p = xn_io_repack_library(&c, out, &why);
        theirs[0][i] = p.wall_s;
        theirs[1][i] = p.cpu_s;
        unlink(out);
        XN_TRY(xn_check_interrupt(bench->context));
    }
    gb = 1e-9 * (double)c.n * (double)c.frame_bytes;
    double wall = median(mine[0], LEAST), cpu = median(mine[1], LEAST), their_wall = median(theirs[0], LEAST);
    emit(bench, name, "h5repack", gb / wall, gb / their_wall, "GB/s", their_wall / wall, median(theirs[1], LEAST) / cpu,
         isnan(wall) ? xani_error_text(bench->context) : why);
    return XANI_OK;
}

static bool make_room(xn_io_room *room, int threads, size_t frame_bytes, size_t source_bytes)
{
    room->threads = threads > 0 ? threads : xn_threads(0);
    room->ring_bytes = (size_t)xn_max64((int64_t)(XN_IO_RING * frame_bytes), 1 << 20) + (1 << 20);
    room->source_bytes = source_bytes;
    room->ring = xn_alloc(room->ring_bytes, 1);
    room->source = xn_alloc(source_bytes, 1);
    if (room->ring == NULL || room->source == NULL) return false;
    memset(room->ring, 1, room->ring_bytes);
    memset(room->source, 2, source_bytes);
    return true;
}

static xani_status all_cases(const xn_bench *bench)
{
    const char *temporary = getenv("TMPDIR");
    char folder[500], why[160];
    snprintf(folder, sizeof folder, "%.400s/xani-bench-XXXXXX", temporary ? temporary : "/tmp");
    if (mkdtemp(folder) == NULL) return xn_fail(bench->context, XANI_ERR_OUTPUT, "%s: cannot be made", folder);
    xn_io_room room = {0};
    xani_status st = XANI_OK;
    size_t frame_bytes = 2 * (size_t)XN_IO_H * XN_IO_W;
    if (!make_room(&room, bench->threads, frame_bytes, XN_IO_FRAMES * frame_bytes))
        st = xn_fail_memory(bench->context, "a benchmark", room.source_bytes);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0] && st == XANI_OK; i++) {
        xn_io_case c;
        if (!xn_io_make(folder, cases[i].name, &c, why)) {
            emit(bench, cases[i].name, peer_names[LIBRARY], NAN, NAN, "GB/s", NAN, NAN, why);
            continue;
        }
        st = strcmp(c.name, "index-32768") == 0 ? run_index(bench, &c) : run_case(bench, &c, cases[i].peers, &room);
    }
    if (st == XANI_OK) st = run_repack(bench, folder, "contiguous", "repack");
    if (st == XANI_OK) st = run_repack(bench, folder, "gzip", "repack-gzip");
    xn_free(room.ring);
    xn_free(room.source);
    xn_io_remove_all(folder);
    return st;
}

// ---- a file of the user's

typedef struct {
    char name[128];
    int64_t size;
} largest;

static void search(xani_context *ctx, const xn_h5 *file, const char *group, int depth, largest *best)
{
    char **names;
    if (depth > 8 || xn_h5_names(ctx, file, group, &names) != XANI_OK) return;
    for (char **s = names; *s; s++) {
        char path[128];
        xn_h5_info info;
        int n = snprintf(path, sizeof path, "%s%s%s", group, group[1] ? "/" : "", *s);
        if (n >= (int)sizeof path || xn_h5_info_get(ctx, file, path, &info) != XANI_OK) continue;
        if (info.is_group)
            search(ctx, file, path, depth + 1, best);
        else if (info.rank >= 3 && xn_type_size(info.type) > 0 && info.size > best->size) {
            best->size = info.size;
            memcpy(best->name, path, sizeof path);
        }
    }
    xn_h5_names_free(names);
}

static xani_status own_file(const xn_bench *bench)
{
    xani_context *ctx = bench->context;
    xn_h5 *file;
    largest best = {"", 0};
    XN_TRY(xn_h5_open(ctx, bench->path, &file));
    search(ctx, file, "/", 0, &best);
    xn_clear_error(ctx); // of what could not be opened on the way
    xn_h5_close(&file);
    if (best.size == 0) return xn_fail(ctx, XANI_ERR_INPUT, "%s: holds no stack of frames", bench->path);
    xn_frames *f;
    XN_TRY(xn_frames_open(ctx, &bench->path, 1, best.name, &f));
    const xn_frames_info *info = xn_frames_get_info(f);
    xn_io_case c = {.name = "file",
                    .n = info->n,
                    .h = info->h,
                    .w = info->w,
                    .frame_bytes = info->frame_bytes,
                    .type = info->type,
                    .first = NAN};
    xn_note(ctx, "%s: %s: %lld frames of %lld x %lld %s, filters: %s, %s", bench->path, best.name, (long long)info->n,
            (long long)info->h, (long long)info->w, xn_type_name(info->type), info->filters[0] ? info->filters : "none",
            info->direct ? "read directly" : "read through the library");
    xn_frames_close(&f);
    snprintf(c.path, sizeof c.path, "%s", bench->path);
    snprintf(c.dataset, sizeof c.dataset, "%s", best.name);
    xn_io_room room = {0};
    xani_status st = XANI_OK;
    if (!make_room(&room, bench->threads, c.frame_bytes, (size_t)xn_min64(c.n, XN_IO_FRAMES) * c.frame_bytes))
        st = xn_fail_memory(ctx, "a benchmark", room.source_bytes);
    if (st == XANI_OK)
        st = run_case(bench, &c, 1 << LIBRARY | 1 << SLICE | 1 << PLUGIN | 1 << MEMCPY | 1 << PREAD, &room);
    xn_free(room.ring);
    xn_free(room.source);
    return st;
}

xani_status xn_bench_io(const xn_bench *bench) { return bench->path ? own_file(bench) : all_cases(bench); }
