// SPDX-License-Identifier: BSD-3-Clause
// bench_io.c -- frames from HDF5: our reader beside the library, h5py, legate and the machine's floors.
//
// Ours and the peers take turns, pass by pass; the figures are medians in GB/s of decoded bytes (1e9), opening
// included on both sides.  Warm cases were dropped from the page cache and read once before; cold ones are dropped
// before each pass.  Peers `reader:NAME` are ours with that way of reading, `H5Dread-frame` calls the library once a
// frame.  Cases -1-thread are ours on one thread; cold ones are ours past the page cache (uring).  index-32768 is the
// time to find 32,768 chunks, in ms.  The line `machine` is memcpy on all threads beside one: what cannot scale here
// does not scale anywhere.  With a path, io_storage.c measures what lies there.  XANI_BENCH_CASE: only cases whose name
// holds this.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/figures.h"
#include "bench/io_bench.h"
#include "reader/reader.h"

enum { LIBRARY, FRAME, SLICE, PLUGIN, LEGATE, MEMCPY, PREAD, BY_PREAD, BY_URING, BY_MMAP, BY_AUTO, PEERS };
enum { REPEATS_MAX = 31, LEAST = 5, CASES = 20 };

static const char *const peer_names[PEERS] = {"H5Dread",      "H5Dread-frame", "h5py-slice",  "h5py-hdf5plugin",
                                              "legate",       "floor:memcpy",  "floor:pread", "reader:pread",
                                              "reader:uring", "reader:mmap",   "reader:auto"};

#define BIT(peer) (1u << (peer))
#define READERS (BIT(BY_PREAD) | BIT(BY_URING) | BIT(BY_MMAP))
#define COLD (BIT(LIBRARY) | BIT(FRAME) | BIT(PREAD) | READERS | BIT(BY_AUTO))

typedef struct {
    const char *name, *file;
    const char *reader; // of ours; NULL: chosen
    int threads;        // of ours; 0: all
    unsigned peers;
} spec;

static const spec specs[] = {
    {"contiguous", "contiguous", NULL, 0, BIT(LIBRARY) | BIT(SLICE) | BIT(LEGATE) | BIT(MEMCPY) | BIT(PREAD) | READERS},
    {"contiguous-1-thread", "contiguous", NULL, 1, BIT(LIBRARY) | BIT(PREAD)},
    {"chunked", "chunked", NULL, 0, BIT(LIBRARY) | BIT(SLICE) | BIT(LEGATE) | BIT(MEMCPY) | BIT(PREAD) | READERS},
    {"chunked-1-thread", "chunked", NULL, 1, BIT(LIBRARY) | BIT(PREAD)},
    {"vds", "vds", NULL, 0, BIT(LIBRARY) | BIT(SLICE) | BIT(LEGATE) | BIT(MEMCPY) | BIT(PREAD)},
    {"vds-1-thread", "vds", NULL, 1, BIT(LIBRARY) | BIT(PREAD)},
    {"gzip", "gzip", NULL, 0, BIT(LIBRARY) | BIT(SLICE) | BIT(LEGATE) | BIT(MEMCPY)},
    {"shuffle+gzip", "shuffle+gzip", NULL, 0, BIT(LIBRARY) | BIT(SLICE) | BIT(LEGATE) | BIT(MEMCPY)},
    {"bslz4", "bslz4", NULL, 0, BIT(LIBRARY) | BIT(SLICE) | BIT(PLUGIN) | BIT(MEMCPY) | READERS},
    {"bslz4-1-thread", "bslz4", NULL, 1, BIT(LIBRARY) | BIT(PLUGIN)},
    {"small-chunks", "small-chunks", NULL, 0, BIT(LIBRARY) | BIT(SLICE) | BIT(MEMCPY) | BIT(PREAD) | READERS},
    {"small-chunks-1-thread", "small-chunks", NULL, 1, BIT(LIBRARY)},
    {"in-place", "contiguous", NULL, 0, BIT(LIBRARY) | BIT(SLICE) | BIT(MEMCPY)},
    {"in-place-1-thread", "contiguous", NULL, 1, BIT(LIBRARY)},
    {"index-32768", "index-32768", NULL, 0, BIT(LIBRARY)},
    {"cold-contiguous", "contiguous", "uring", 0, COLD | BIT(SLICE)},
    {"cold-chunked", "chunked", "uring", 0, COLD},
    {"cold-bslz4", "bslz4", "uring", 0, COLD | BIT(PLUGIN)},
};
enum { N_SPECS = sizeof specs / sizeof specs[0] };

typedef struct {
    const xn_bench *bench;
    const spec *spec;
    const xn_io_case *c;
    xn_io_room *room;
    xn_io_way way;
    bool in_place;
    int repeats;
    double ours[2][REPEATS_MAX], theirs[PEERS][2][REPEATS_MAX]; // wall, CPU
} run;

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

// The way of reading of a peer reader:NAME; NULL: it is another peer.
static const char *by_reader(int peer)
{
    static const char *const names[] = {"pread", "uring", "mmap", "auto"};
    return peer >= BY_PREAD && peer <= BY_AUTO ? names[peer - BY_PREAD] : NULL;
}

static xn_io_pass ours(const run *r, const char *reader)
{
    xn_io_way way = r->way;
    char why[160];
    if (reader) way.reader = reader;
    if (way.reader && strcmp(way.reader, "uring") == 0 && !xn_reader_named("uring")->works(why)) way.reader = NULL;
    if (r->c->cold) xn_io_drop(r->c);
    return r->in_place ? xn_io_ours_in_place(r->bench->context, r->c, way.threads)
                       : xn_io_ours(r->bench->context, r->c, r->room, &way);
}

static xn_io_pass peer_pass(const run *r, int peer, xn_io_python *python)
{
    if (by_reader(peer)) return ours(r, by_reader(peer));
    if (r->c->cold) xn_io_drop(r->c);
    switch (peer) {
    case LIBRARY:
        return xn_io_h5dread(r->c, r->room, XN_IO_RING, r->in_place);
    case FRAME:
        return xn_io_h5dread(r->c, r->room, 1, r->in_place);
    case MEMCPY:
        return xn_io_floor_memcpy(r->c, r->room, r->way.threads);
    case PREAD:
        return xn_io_floor_pread(r->c, r->room, r->way.threads);
    default:
        return xn_io_python_pass(python, r->c);
    }
}

// Why a way of reading does not work here; NULL: it does.
static const char *refused(int peer, char why[160])
{
    const xn_reader_ops *ops = by_reader(peer) ? xn_reader_named(by_reader(peer)) : NULL;
    return ops == NULL || ops->works(why) ? NULL : why;
}

static void report(run *r, xn_io_python *const python[PEERS])
{
    double gb = 1e-9 * (double)r->c->n * (double)r->c->frame_bytes;
    double wall = xn_bench_median(r->ours[0], r->repeats), cpu = xn_bench_median(r->ours[1], r->repeats);
    for (int k = 0; k < PEERS; k++) {
        if (!(r->spec->peers & BIT(k))) continue;
        double their_wall = xn_bench_median(r->theirs[k][0], r->repeats);
        double their_cpu = xn_bench_median(r->theirs[k][1], r->repeats);
        char text[160];
        const char *why = python[k] ? xn_io_python_why(python[k]) : refused(k, text);
        if (isnan(wall))
            why = xani_error_text(r->bench->context);
        else if (isnan(their_wall) && why == NULL)
            why = "it failed, or read other values";
        emit(r->bench, r->c->name, peer_names[k], gb / wall, gb / their_wall, "GB/s", their_wall / wall,
             their_cpu / cpu, why);
    }
}

static xani_status run_case(const xn_bench *bench, const spec *s, const xn_io_case *c, xn_io_room *room)
{
    run *r = xn_calloc(1, sizeof *r);
    if (r == NULL) return xn_fail_memory(bench->context, "a benchmark", sizeof *r);
    *r = (run){.bench = bench, .spec = s, .c = c, .room = room};
    r->way = (xn_io_way){s->reader, s->threads > 0 ? s->threads : room->threads, 0};
    r->in_place = strncmp(s->name, "in-place", 8) == 0;
    r->repeats = (int)xn_min64(REPEATS_MAX, xn_max64(LEAST, bench->repeats));
    xn_io_python *python[PEERS] = {NULL};
    char why[160];
    for (int k = SLICE; k <= LEGATE; k++)
        if (s->peers & BIT(k)) python[k] = xn_io_python_start(r->in_place ? "sum" : peer_names[k], c);
    xn_io_warm(c);
    xani_status st = XANI_OK;
    for (int i = -1; i < r->repeats && st == XANI_OK; i++) { // -1: a pass that does not count
        xn_io_pass p = ours(r, NULL);
        int at = i < 0 ? 0 : i;
        r->ours[0][at] = p.wall_s;
        r->ours[1][at] = p.cpu_s;
        for (int k = 0; k < PEERS; k++) {
            if (!(s->peers & BIT(k))) continue;
            p = refused(k, why) ? (xn_io_pass){NAN, NAN} : peer_pass(r, k, python[k]);
            r->theirs[k][0][at] = p.wall_s;
            r->theirs[k][1][at] = p.cpu_s;
        }
        st = xn_check_interrupt(bench->context);
    }
    if (st == XANI_OK) report(r, python);
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
        XN_TRY(xn_frames_open(bench->context, &path, 1, c->dataset, NULL, &f));
        xn_frames_close(&f);
        wall[i] = xn_seconds() - t;
        cpu[i] = xn_cpu_seconds() - t_cpu;
    }
    xn_io_pass p = xn_io_library_index(c);
    double mine = xn_bench_median(wall, LEAST);
    emit(bench, c->name, "H5Dread", 1e3 * mine, 1e3 * p.wall_s, "ms", p.wall_s / mine,
         p.cpu_s / xn_bench_median(cpu, LEAST),
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
    if (!xn_io_make(folder, name, source, &c, note)) {
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
    double wall = xn_bench_median(mine[0], LEAST), cpu = xn_bench_median(mine[1], LEAST),
           their_wall = xn_bench_median(theirs[0], LEAST);
    emit(bench, name, "h5repack", gb / wall, gb / their_wall, "GB/s", their_wall / wall,
         xn_bench_median(theirs[1], LEAST) / cpu, isnan(wall) ? xani_error_text(bench->context) : why);
    return XANI_OK;
}

xani_status xn_io_compare(const xn_bench *bench, const xn_io_case *c, xn_io_room *room)
{
    static const spec all = {"file", "", NULL, 0, BIT(LIBRARY) | BIT(SLICE) | BIT(PLUGIN) | BIT(MEMCPY) | BIT(PREAD)};
    return run_case(bench, &all, c, room);
}

bool xn_io_room_make(xn_io_room *room, int threads, size_t frame_bytes, size_t source_bytes)
{
    enum { HUGE_PAGE = 2 << 20 };
    room->threads = threads > 0 ? threads : xn_threads(0);
    room->ring_bytes = (size_t)xn_max64((int64_t)(XN_IO_RING * frame_bytes), 1 << 20) + (1 << 20);
    room->source_bytes = source_bytes;
    room->raw = xn_alloc(room->ring_bytes + HUGE_PAGE, 1);
    room->source = xn_alloc(source_bytes, 1);
    if (room->raw == NULL || room->source == NULL) return false;
    room->ring = room->raw + (HUGE_PAGE - (uintptr_t)room->raw % HUGE_PAGE) % HUGE_PAGE;
    (void)madvise(room->ring, room->ring_bytes, MADV_HUGEPAGE);
    memset(room->ring, 1, room->ring_bytes);
    memset(room->source, 2, source_bytes);
    return true;
}

void xn_io_room_free(xn_io_room *room)
{
    xn_free(room->raw);
    xn_free(room->source);
}

typedef struct {
    int n;
    double one[CASES * 2], all[CASES * 2];
} scaling;

// Before each case, so that the median tells the state of the machine in this run.
static void sample_scaling(scaling *s, const xn_io_case *c, xn_io_room *room)
{
    s->one[s->n] = xn_io_floor_memcpy(c, room, 1).wall_s;
    s->all[s->n++] = xn_io_floor_memcpy(c, room, room->threads).wall_s;
}

static void report_scaling(const xn_bench *bench, scaling *s, double gb)
{
    if (s->n == 0) return;
    double one = xn_bench_median(s->one, s->n), all = xn_bench_median(s->all, s->n), ratio = one / all;
    emit(bench, "machine", "memcpy-1-thread", gb / all, gb / one, "GB/s", ratio, NAN,
         ratio >= 1.7 ? "memcpy on all threads scales: wall ratios count"
                      : "memcpy on all threads does not scale (1.7): CPU ratios count");
}

static xani_status all_cases(const xn_bench *bench)
{
    const char *temporary = getenv("TMPDIR"), *only = getenv("XANI_BENCH_CASE");
    char folder[500], why[160];
    snprintf(folder, sizeof folder, "%.400s/xani-bench-XXXXXX", temporary ? temporary : "/tmp");
    if (mkdtemp(folder) == NULL) return xn_fail(bench->context, XANI_ERR_OUTPUT, "%s: cannot be made", folder);
    xn_io_room room = {0};
    scaling s = {0};
    xani_status st = XANI_OK;
    size_t frame_bytes = 2 * (size_t)XN_IO_H * XN_IO_W;
    if (!xn_io_room_make(&room, bench->threads, frame_bytes, XN_IO_FRAMES * frame_bytes))
        st = xn_fail_memory(bench->context, "a benchmark", room.source_bytes);
    for (int i = 0; i < N_SPECS && st == XANI_OK; i++) {
        xn_io_case c;
        if (only != NULL && strstr(specs[i].name, only) == NULL) continue;
        if (!xn_io_make(folder, specs[i].name, specs[i].file, &c, why)) {
            emit(bench, specs[i].name, peer_names[LIBRARY], NAN, NAN, "GB/s", NAN, NAN, why);
        } else if (strcmp(c.name, "index-32768") == 0) {
            st = run_index(bench, &c);
        } else {
            sample_scaling(&s, &c, &room);
            st = run_case(bench, &specs[i], &c, &room);
        }
        xn_io_case_free(&c);
    }
    bool repack = only == NULL || strstr("repack", only) != NULL;
    if (st == XANI_OK && repack) st = run_repack(bench, folder, "contiguous", "repack");
    if (st == XANI_OK && repack) st = run_repack(bench, folder, "gzip", "repack-gzip");
    if (st == XANI_OK) report_scaling(bench, &s, 1e-9 * (double)XN_IO_FRAMES * (double)frame_bytes);
    xn_io_room_free(&room);
    xn_io_remove_all(folder);
    return st;
}

xani_status xn_bench_io(const xn_bench *bench) { return bench->path ? xn_io_storage(bench) : all_cases(bench); }
