// SPDX-License-Identifier: BSD-3-Clause
// io_storage.c -- `xani bench io PATH`: which way of reading suits this storage, measured on the user's own file, or on
// files made in the user's folder.
//
// Every way of reading that works here, on one thread and on all, with several depths, takes turns with `auto`, the
// library and the floors; cold (dropped from the page cache before each pass) and warm.  GB/s are of decoded bytes.
// floor:pread and floor:uring read the stored bytes of the same files and do nothing with them: the better one is what
// the storage can give.  The last line of each state says in words which settings win; of those within 5 % of the
// fastest, the one that takes the least of the processor.
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bench/figures.h"
#include "bench/io_bench.h"
#include "io/array_parts.h"

enum { WAYS = 24, REPEATS = 5, NAME = 40 };
#define MOST ((int64_t)1 << 30) // decoded bytes of a pass

typedef enum { OURS, LIBRARY, FLOOR_PREAD, FLOOR_URING } what;

typedef struct {
    char name[NAME];
    what what;
    xn_io_way way;
    double wall[REPEATS], cpu[REPEATS], gb_s, cpu_gb; // medians
} contender;

typedef struct {
    const xn_bench *bench;
    xn_io_room room;
    contender way[WAYS];
    int n;
} storage;

// ---- who takes part

static void add(storage *s, what kind, const char *reader, int threads, int depth)
{
    if (s->n == WAYS) return;
    contender *c = &s->way[s->n++];
    *c = (contender){.what = kind, .way = {reader, threads, depth}};
    if (kind == LIBRARY)
        snprintf(c->name, NAME, "H5Dread");
    else if (kind != OURS)
        snprintf(c->name, NAME, kind == FLOOR_PREAD ? "floor:pread" : "floor:uring");
    else if (reader == NULL)
        snprintf(c->name, NAME, "auto");
    else if (depth > 0)
        snprintf(c->name, NAME, "%s-%dx%d", reader, threads, depth);
    else
        snprintf(c->name, NAME, "%s-%d", reader, threads);
}

static void line_up(storage *s)
{
    static const int depths[] = {4, 16, 64};
    int all = s->room.threads;
    char why[160];
    s->n = 0;
    add(s, OURS, NULL, all, 0);
    for (int i = 0; xn_reader_at(i) != NULL; i++) {
        const xn_reader_ops *ops = xn_reader_at(i);
        bool queue = strcmp(ops->name, "uring") == 0;
        if (!ops->works(why)) {
            xn_note(s->bench->context, "%s does not work here: %s", ops->name, why);
            continue;
        }
        for (int threads = 1;; threads = all) {
            for (int d = 0; d < (queue ? 3 : 1); d++) add(s, OURS, ops->name, threads, queue ? depths[d] : 0);
            if (threads == all) break;
        }
        if (queue) add(s, FLOOR_URING, ops->name, 1, 16);
    }
    add(s, FLOOR_PREAD, NULL, all, 0);
    add(s, LIBRARY, NULL, 1, 0);
}

// ---- passes

static double process_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// Stored bytes of one file, up to `most`, past the page cache, in requests of 4 MiB; how many, or -1.
static int64_t direct_file(const xn_reader_ops *ops, const char *path, int64_t most, int depth)
{
    enum { PIECE = 4 << 20, DEEPEST = 16 };
    xn_file *file;
    if (xn_file_open(NULL, path, &file) != XANI_OK) return -1;
    int64_t bytes = xn_min64(most, xn_file_bytes(file)), at = 0;
    xn_reader *r = ops->open(depth < DEEPEST ? depth : DEEPEST, PIECE);
    xn_read reads[DEEPEST], *idle[DEEPEST], *done = NULL;
    int n = 0;
    bool good = r != NULL;
    for (; n < DEEPEST; n++) idle[n] = &reads[n];
    while (good) {
        for (; at < bytes && n > 0; at += PIECE) {
            *idle[n - 1] = (xn_read){.file = file, .offset = at, .bytes = (size_t)xn_min64(PIECE, bytes - at)};
            if (!ops->submit(r, idle[n - 1])) break;
            n--;
        }
        if ((done = ops->next(r)) == NULL) break;
        good = done->error == 0;
        ops->release(r, done);
        idle[n++] = done;
    }
    if (r) ops->close(r);
    xn_file_close(&file);
    return good ? bytes : -1;
}

static xn_io_pass floor_uring(const xn_io_case *c, const contender *w)
{
    double t = xn_seconds(), cpu = process_seconds();
    const xn_reader_ops *ops = xn_reader_named(w->way.reader);
    int64_t left = c->stored_bytes > 0 ? c->stored_bytes : INT64_MAX;
    for (int k = 0; k < c->n_parts && left > 0; k++) {
        int64_t n = direct_file(ops, c->parts[k], left, w->way.depth);
        if (n < 0) return (xn_io_pass){NAN, NAN};
        left -= n;
    }
    if (c->n_parts == 0 && direct_file(ops, c->path, left, w->way.depth) < 0) return (xn_io_pass){NAN, NAN};
    return (xn_io_pass){xn_seconds() - t, process_seconds() - cpu};
}

static xn_io_pass one_pass(storage *s, const xn_io_case *c, const contender *w)
{
    if (c->cold) xn_io_drop(c);
    switch (w->what) {
    case LIBRARY:
        return xn_io_h5dread(c, &s->room, XN_IO_RING, false);
    case FLOOR_PREAD:
        return xn_io_floor_pread(c, &s->room, w->way.threads);
    case FLOOR_URING:
        return floor_uring(c, w);
    default:
        return xn_io_ours(s->bench->context, c, &s->room, &w->way);
    }
}

// ---- the verdict

static void emit(const storage *s, const xn_io_case *c, const contender *theirs, const char *peer, const char *why)
{
    const contender *mine = &s->way[0];
    xn_bench_line line = {.bench = "io",
                          .name = c->name,
                          .peer = peer,
                          .ours = mine->gb_s,
                          .theirs = theirs->gb_s,
                          .unit = "GB/s",
                          .ratio = mine->gb_s / theirs->gb_s,
                          .ratio_cpu = theirs->cpu_gb / mine->cpu_gb,
                          .why = why};
    s->bench->emit(s->bench->user, &line);
}

static const contender *winner(const storage *s)
{
    const contender *fastest = NULL, *best = NULL;
    for (int i = 1; i < s->n; i++) // 0 is auto, which is one of them
        if (s->way[i].what == OURS && (fastest == NULL || s->way[i].gb_s > fastest->gb_s)) fastest = &s->way[i];
    for (int i = 1; i < s->n; i++) {
        const contender *w = &s->way[i];
        if (w->what != OURS || !(w->gb_s >= 0.95 * fastest->gb_s)) continue;
        if (best == NULL || w->cpu_gb < best->cpu_gb) best = w;
    }
    return best;
}

static void report(storage *s, const xn_io_case *c)
{
    double gb = 1e-9 * (double)c->n * (double)c->frame_bytes, floor = NAN;
    for (int i = 0; i < s->n; i++) {
        contender *w = &s->way[i];
        w->gb_s = gb / xn_bench_median(w->wall, REPEATS);
        w->cpu_gb = xn_bench_median(w->cpu, REPEATS) / gb;
        if ((w->what == FLOOR_PREAD || w->what == FLOOR_URING) && !(w->gb_s <= floor)) floor = w->gb_s;
    }
    for (int i = 1; i < s->n; i++)
        emit(s, c, &s->way[i], s->way[i].name, isnan(s->way[i].gb_s) ? "it failed, or read other values" : NULL);
    const contender *best = winner(s), *mine = &s->way[0];
    if (best == NULL) return;
    char words[400];
    int n = snprintf(words, sizeof words, "%s on %d thread%s", best->way.reader, best->way.threads,
                     best->way.threads > 1 ? "s" : "");
    if (best->way.depth > 0)
        n += snprintf(words + n, sizeof words - (size_t)n, ", %d reads under way", best->way.depth);
    n += snprintf(words + n, sizeof words - (size_t)n,
                  " is fastest: %.2f GB/s at %.3f CPU s/GB, %.0f %% of what the storage gives; ", best->gb_s,
                  best->cpu_gb, 100.0 * best->gb_s / floor);
    if (mine->gb_s >= 0.95 * best->gb_s)
        snprintf(words + n, sizeof words - (size_t)n, "auto is as fast (%.2f GB/s)", mine->gb_s);
    else
        snprintf(words + n, sizeof words - (size_t)n,
                 "auto gives %.2f: set engine.reader %s, engine.threads %d, engine.read_depth %d", mine->gb_s,
                 best->way.reader, best->way.threads, best->way.depth);
    emit(s, c, best, "best", words);
    xn_note(s->bench->context, "%s: %s", c->name, words);
}

static xani_status run_state(storage *s, const xn_io_case *c)
{
    xani_status st = XANI_OK;
    xn_io_warm(c);
    for (int k = -1; k < REPEATS && st == XANI_OK; k++) // -1: a pass that does not count
        for (int i = 0; i < s->n && st == XANI_OK; i++) {
            xn_io_pass p = one_pass(s, c, &s->way[i]);
            s->way[i].wall[k < 0 ? 0 : k] = p.wall_s;
            s->way[i].cpu[k < 0 ? 0 : k] = p.cpu_s;
            st = xn_check_interrupt(s->bench->context);
        }
    if (st == XANI_OK) report(s, c);
    return st;
}

static xani_status run_both(storage *s, xn_io_case *c, const char *cold, const char *warm)
{
    c->cold = true;
    c->name = cold;
    XN_TRY(run_state(s, c));
    c->cold = false;
    c->name = warm;
    return run_state(s, c);
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
        else if (info.rank >= 1 && xn_type_size(info.type) > 0 && info.size > best->size) {
            best->size = info.size;
            memcpy(best->name, path, sizeof path);
        }
    }
    xn_h5_names_free(names);
}

// The case of the array's first rows, a GiB of them at most, and the files behind it.
static xani_status describe(xani_context *ctx, const xn_array *a, const char *path, const char *dataset, xn_io_case *c)
{
    const xn_array_info *info = xn_array_get_info(a);
    *c = (xn_io_case){.name = "file", .type = info->type, .first = NAN, .h = 1, .w = 1};
    snprintf(c->path, sizeof c->path, "%s", path);
    snprintf(c->dataset, sizeof c->dataset, "%s", dataset);
    c->frame_bytes = xn_type_size(info->type);
    for (int k = 1; k < info->rank; k++) c->frame_bytes *= (size_t)info->dims[k];
    c->n = xn_min64(info->dims[0], xn_max64(1, MOST / (int64_t)c->frame_bytes));
    c->stored_bytes = (int64_t)((double)info->stored_bytes * (double)c->n / (double)info->dims[0]);
    c->parts = xn_alloc((size_t)a->stores.n + 1, sizeof *c->parts);
    if (c->parts == NULL) return xn_fail_memory(ctx, "a benchmark", (size_t)a->stores.n * sizeof *c->parts);
    for (int64_t i = 0; i < a->stores.n; i++) {
        bool known = false;
        for (int k = 0; k < c->n_parts && !known; k++) known = strcmp(c->parts[k], a->stores.list[i]->path) == 0;
        if (!known) snprintf(c->parts[c->n_parts++], sizeof *c->parts, "%s", a->stores.list[i]->path);
    }
    xn_note(ctx, "%s: %s: the first %lld of %lld rows of %.3f MB, %s, filters: %s, %s", path, dataset, (long long)c->n,
            (long long)info->dims[0], 1e-6 * (double)c->frame_bytes, info->layout,
            info->filters[0] ? info->filters : "none", info->direct ? "read directly" : "read through the library");
    return XANI_OK;
}

static xani_status own_file(storage *s)
{
    const xn_bench *bench = s->bench;
    xani_context *ctx = bench->context;
    xn_h5 *file;
    largest best = {"", 0};
    XN_TRY(xn_h5_open(ctx, bench->path, &file));
    search(ctx, file, "/", 0, &best);
    xn_clear_error(ctx); // of what could not be opened on the way
    xn_h5_close(&file);
    if (best.size == 0) return xn_fail(ctx, XANI_ERR_INPUT, "%s: holds no dataset of numbers", bench->path);
    xn_array *a;
    xn_io_case c;
    XN_TRY(xn_array_open(ctx, &bench->path, 1, best.name, NULL, &a));
    xani_status st = describe(ctx, a, bench->path, best.name, &c);
    xn_array_close(&a);
    int64_t source = xn_max64(1, xn_min64(c.n, XN_IO_FRAMES)) * (int64_t)c.frame_bytes;
    if (st == XANI_OK && !xn_io_room_make(&s->room, bench->threads, c.frame_bytes, (size_t)source))
        st = xn_fail_memory(ctx, "a benchmark", (size_t)source);
    if (st == XANI_OK) {
        line_up(s);
        st = run_both(s, &c, "file-cold", "file-warm");
    }
    c.name = "file";
    if (st == XANI_OK) st = xn_io_compare(bench, &c, &s->room);
    xn_io_case_free(&c);
    return st;
}

// ---- a folder of the user's

static xani_status own_folder(storage *s)
{
    static const char *const files[][3] = {{"contiguous", "contiguous-cold", "contiguous-warm"},
                                           {"bslz4", "bslz4-cold", "bslz4-warm"}};
    xani_context *ctx = s->bench->context;
    char folder[500], why[160];
    int n = snprintf(folder, sizeof folder, "%s/xani-bench-XXXXXX", s->bench->path);
    if (n >= (int)sizeof folder || mkdtemp(folder) == NULL)
        return xn_fail(ctx, XANI_ERR_OUTPUT, "%s: no folder can be made in it: %s", s->bench->path, strerror(errno));
    size_t frame_bytes = 2 * (size_t)XN_IO_H * XN_IO_W;
    xani_status st = XANI_OK;
    if (!xn_io_room_make(&s->room, s->bench->threads, frame_bytes, frame_bytes))
        st = xn_fail_memory(ctx, "a benchmark", XN_IO_RING * frame_bytes);
    for (size_t i = 0; i < sizeof files / sizeof files[0] && st == XANI_OK; i++) {
        xn_io_case c;
        line_up(s);
        st = xn_io_make(folder, files[i][0], files[i][0], &c, why) ? run_both(s, &c, files[i][1], files[i][2])
                                                                   : xn_fail(ctx, XANI_ERR_OUTPUT, "%s", why);
        xn_io_case_free(&c);
    }
    xn_io_remove_all(folder);
    return st;
}

xani_status xn_io_storage(const xn_bench *bench)
{
    struct stat state;
    if (stat(bench->path, &state) != 0)
        return xn_fail(bench->context, XANI_ERR_INPUT, "%s: %s", bench->path, strerror(errno));
    storage *s = xn_calloc(1, sizeof *s);
    if (s == NULL) return xn_fail_memory(bench->context, "a benchmark", sizeof *s);
    s->bench = bench;
    xani_status st = S_ISDIR(state.st_mode) ? own_folder(s) : own_file(s);
    xn_io_room_free(&s->room);
    xn_free(s);
    return st;
}
