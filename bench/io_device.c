// SPDX-License-Identifier: BSD-3-Clause
// io_device.c -- arrays into device memory: pinned ring, cuFile, decoding on the device, beside what could be reached.
//
// A pass reads all frames PASSES times (cold cases once, dropped from the page cache before) into memory of the device,
// on an array that is open already; figures are medians in GB/s of decoded bytes.  Before they count the bytes are
// compared with those of the host's reader.  Settings of cuFile are those of
// XANI_BENCH_CUFILE, one process each, since its driver is opened once.  Floors of the same run: the bus (a copy of
// pinned memory, for the bytes that have to cross it) and the device's memory (a copy within it).  The decoding kernels
// are also timed alone.
#include "bench/io_device.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/figures.h"
#include "bench/io_bench.h"
#include "io/array.h"

enum { PASSES = 8, REPEATS_MAX = 31, COPY = 256 << 20, COPIES = 8 };

typedef struct {
    const char *name, *reader;
    bool on_host;
} way;

static const way ways[] = {{"ring", "ring", false}, {"ring-hostdecode", "ring", true}, {"cufile", "cufile", false}};
static const char *const cases[] = {"contiguous",   "chunked",         "vds",       "bslz4",
                                    "small-chunks", "cold-contiguous", "cold-bslz4"};
enum { WAYS = sizeof ways / sizeof ways[0], CASES = sizeof cases / sizeof cases[0] };

typedef struct {
    const xn_bench *bench;
    const xn_device_io *io;
    xn_device_stream *stream;
    xn_device_mark *begin, *end;
    int repeats;
    double bus, memory; // bytes/s
    uint8_t *dst;       // on the device, room for a case
    uint8_t *host, *back;
    size_t bytes;       // of a case
    const char *cufile; // settings, "parallel_io: on", or NULL: the defaults
    xn_config *config;  // with them
    char why[256];
} run;

static void emit(const run *r, const char *name, const char *peer, double ours, double theirs, const char *why)
{
    xn_bench_emit_rates(r->bench, "io", name, peer, ours, theirs, why);
}

static xani_status device_fails(const run *r)
{
    return xn_fail(r->bench->context, XANI_ERR_INTERNAL, "device 0: %s", r->why);
}

// Bytes per second of copies between the marks; how 0: to the device, 1: within it.
static bool copy_rate(run *r, void *to, const void *from, int how, double *rate)
{
    double seconds[COPIES] = {0};
    for (int i = 0; i < COPIES; i++) {
        bool ok = r->io->mark(r->stream, r->begin, r->why, sizeof r->why);
        ok = ok && (how == 0 ? r->io->copy_in(r->stream, to, from, COPY, r->why, sizeof r->why)
                             : r->io->copy_within(r->stream, to, from, COPY, r->why, sizeof r->why));
        ok = ok && r->io->mark(r->stream, r->end, r->why, sizeof r->why) &&
             r->io->wait(r->end, r->why, sizeof r->why) &&
             r->io->between(r->begin, r->end, &seconds[i], r->why, sizeof r->why);
        if (!ok) return false;
    }
    *rate = (double)COPY / xn_bench_median(seconds, COPIES);
    return true;
}

static bool measure_floors(run *r)
{
    const xn_device_io *io = r->io;
    uint8_t *host = io->pin(COPY, r->why, sizeof r->why), *a = io->take(COPY, r->why, sizeof r->why),
            *b = io->take(COPY, r->why, sizeof r->why);
    bool ok = host != NULL && a != NULL && b != NULL;
    if (ok) memset(host, 1, COPY);
    ok = ok && copy_rate(r, a, host, 0, &r->bus) && copy_rate(r, b, a, 1, &r->memory);
    if (host != NULL) io->unpin(host);
    if (a != NULL) io->give(a);
    if (b != NULL) io->give(b);
    return ok;
}

// ---- one way of one case

static xani_status open_case(const run *r, const xn_io_case *c, const way *w, xn_array **a, char *note)
{
    const char *path = c->path;
    xn_array_options options = {.threads = r->bench->threads};
    if (w != NULL) {
        XN_TRY(xn_device_target_find(r->bench->context, r->config, r->io, 0, w->reader, &options.device));
        options.device.on_host = w->on_host;
        memcpy(note, options.device.note, sizeof options.device.note);
    }
    return xn_array_open(r->bench->context, &path, 1, c->dataset, &options, a);
}

static xani_status passes(run *r, const xn_io_case *c, xn_array *a, void *dst, double *rate)
{
    double seconds[REPEATS_MAX] = {0};
    const int times = c->cold ? 1 : PASSES;
    xn_selection s;
    xn_selection_all(a, &s);
    for (int i = -1; i < r->repeats; i++) { // -1: a pass that does not count
        if (c->cold) xn_io_drop(c);
        const double start = xn_seconds();
        for (int k = 0; k < times; k++) XN_TRY(xn_array_read(r->bench->context, a, &s, c->type, dst, 0));
        if (i >= 0) seconds[i] = xn_seconds() - start;
        XN_TRY(xn_check_interrupt(r->bench->context));
    }
    *rate = (double)r->bytes * times / xn_bench_median(seconds, r->repeats);
    return XANI_OK;
}

static bool copy_back(run *r)
{
    return r->io->copy_out(r->stream, r->back, r->dst, r->bytes, r->why, sizeof r->why) &&
           r->io->mark(r->stream, r->end, r->why, sizeof r->why) && r->io->wait(r->end, r->why, sizeof r->why);
}

// to_host: the rate of the same read into memory of the host; r->host holds it.
static xani_status run_way(run *r, const xn_io_case *c, const way *w, double to_host)
{
    char name[128], note[200] = "", why[512];
    double rate = NAN;
    xn_array *a = NULL;
    if (r->cufile != NULL && strcmp(w->reader, "cufile") != 0) return XANI_OK;
    snprintf(name, sizeof name, r->cufile ? "%s-%s {%.80s}" : "%s-%s", c->name, w->name, r->cufile);
    memset(r->back, 0, r->bytes);
    XN_TRY(open_case(r, c, w, &a, note));
    if (strcmp(w->reader, "cufile") == 0 && note[0]) { // the ring was measured already
        emit(r, name, "floor:bus", NAN, NAN, note);
        xn_array_close(&a);
        return XANI_OK;
    }
    xani_status st = passes(r, c, a, r->dst, &rate);
    const xn_device_report report = xn_array_device_report(a);
    xn_array_close(&a);
    if (st != XANI_OK) return st;
    if (!copy_back(r)) return device_fails(r);
    if (memcmp(r->back, r->host, r->bytes) != 0) {
        emit(r, name, "floor:bus", NAN, NAN, "other bytes were read");
        return XANI_OK;
    }
    if (strcmp(w->reader, "cufile") == 0 && report.cufile_bytes == 0) {
        emit(r, name, "floor:bus", NAN, NAN, "cuFile read none of it: see the warning");
        return XANI_OK;
    }
    const double times = (c->cold ? 1.0 : PASSES) * (r->repeats + 1), all = (double)r->bytes * times;
    const double crossed = (double)(report.bytes + report.cufile_bytes) / all; // of the decoded bytes
    if (report.cufile_bytes > 0)
        snprintf(why, sizeof why, "cuFile %d, %s; %.3f of the bytes cross the bus", xn_cufile_version(),
                 xn_cufile_mode(), crossed);
    else
        snprintf(why, sizeof why, "%.3f of the bytes cross the bus, %s", crossed,
                 report.unpacked > 0  ? "decoded on the device"
                 : report.on_host > 0 ? "decoded by the host"
                                      : "raw");
    emit(r, name, "floor:bus", rate, r->bus / crossed, why);
    emit(r, name, "floor:memory", rate, r->memory, "a copy within the device");
    emit(r, name, "host", rate, to_host, "theirs: the same read into memory of the host");
    return XANI_OK;
}

static xani_status run_case(run *r, const xn_io_case *c)
{
    xn_array *a = NULL;
    double to_host = NAN;
    xani_status st = open_case(r, c, NULL, &a, NULL);
    xn_io_warm(c);
    if (st == XANI_OK) st = passes(r, c, a, r->host, &to_host);
    xn_array_close(&a);
    for (int i = 0; i < WAYS && st == XANI_OK; i++) {
        const bool raw = strstr(c->name, "bslz4") == NULL;
        if (!(raw && ways[i].on_host)) st = run_way(r, c, &ways[i], to_host);
    }
    return st;
}

// ---- the kernels alone

// The chunks of a file of the benchmark, encoded anew from r->host: *stored bytes of them, one after the other.
static size_t encode(const run *r, const xn_io_case *c, uint8_t *stored, xn_device_chunk *chunk, const uint8_t *device)
{
    size_t at = 0;
    const size_t elem = xn_type_size(c->type);
    for (int64_t i = 0; i < c->n; i++) {
        const uint8_t *frame = r->host + (size_t)i * c->frame_bytes;
        const size_t bytes = xn_encode_bslz4(frame, c->frame_bytes / elem, elem, stored + at);
        chunk[i] = (xn_device_chunk){device + at, bytes, r->dst + (size_t)i * c->frame_bytes};
        at += bytes;
    }
    return at;
}

static bool time_kernels(run *r, const xn_device_unpack *job, double *rate)
{
    double seconds[REPEATS_MAX] = {0};
    for (int i = -1; i < r->repeats; i++) {
        double s;
        const bool ok = r->io->mark(r->stream, r->begin, r->why, sizeof r->why) &&
                        r->io->unpack(r->stream, job, r->why, sizeof r->why) &&
                        r->io->mark(r->stream, r->end, r->why, sizeof r->why) &&
                        r->io->wait(r->end, r->why, sizeof r->why) &&
                        r->io->between(r->begin, r->end, &s, r->why, sizeof r->why);
        if (!ok) return false;
        if (i >= 0) seconds[i] = s;
    }
    *rate = (double)r->bytes / xn_bench_median(seconds, r->repeats);
    return true;
}

static xani_status run_kernels(run *r, const xn_io_case *c)
{
    const xn_device_io *io = r->io;
    const size_t elem = xn_type_size(c->type), n = (size_t)c->n;
    const size_t room = n * xn_encode_bslz4_bound(c->frame_bytes / elem, elem);
    const size_t words = xn_device_unpack_words((uint32_t)n, c->frame_bytes, XN_DEVICE_BLOCK);
    uint8_t *pinned = io->pin(room, r->why, sizeof r->why), *stored = io->take(room, r->why, sizeof r->why);
    xn_device_chunk *host_chunk = io->pin(n * sizeof *host_chunk, r->why, sizeof r->why),
                    *chunk = io->take(n * sizeof *chunk, r->why, sizeof r->why);
    uint32_t *where = io->take(words * sizeof *where, r->why, sizeof r->why),
             *bad = io->take(n * sizeof *bad, r->why, sizeof r->why);
    bool ok = pinned && stored && host_chunk && chunk && where && bad;
    double rate = NAN;
    char why[128];
    size_t bytes = 0;
    if (ok) {
        bytes = encode(r, c, pinned, host_chunk, stored);
        memset(r->back, 0, r->bytes);
        const xn_device_unpack job = {.chunk = chunk,
                                      .where = where,
                                      .bad = bad,
                                      .chunk_bytes = c->frame_bytes,
                                      .n_chunks = (uint32_t)n,
                                      .elem = (uint32_t)elem,
                                      .block_bytes = XN_DEVICE_BLOCK};
        ok = io->copy_in(r->stream, stored, pinned, bytes, r->why, sizeof r->why) &&
             io->copy_in(r->stream, chunk, host_chunk, n * sizeof *chunk, r->why, sizeof r->why) &&
             time_kernels(r, &job, &rate) && copy_back(r);
    }
    const bool same = ok && memcmp(r->back, r->host, r->bytes) == 0;
    void *device[] = {stored, chunk, where, bad}, *host[] = {pinned, host_chunk};
    for (int i = 0; i < 4; i++)
        if (device[i] != NULL) io->give(device[i]);
    for (int i = 0; i < 2; i++)
        if (host[i] != NULL) io->unpin(host[i]);
    if (!ok) return device_fails(r);
    snprintf(why, sizeof why, same ? "kernels alone; compressed to 1/%.2f" : "other bytes were decoded",
             (double)r->bytes / (double)bytes);
    emit(r, "bslz4-kernels", "floor:memory", same ? rate : NAN, same ? r->memory : NAN, why);
    return XANI_OK;
}

// ---- all

static xani_status all_cases(run *r)
{
    const char *temporary = getenv("TMPDIR"), *only = getenv("XANI_BENCH_CASE");
    char folder[500], why[160];
    xani_status st = XANI_OK;
    snprintf(folder, sizeof folder, "%.400s/xani-bench-XXXXXX", temporary ? temporary : P_tmpdir);
    if (mkdtemp(folder) == NULL) return xn_fail(r->bench->context, XANI_ERR_OUTPUT, "%s: cannot be made", folder);
    for (int i = 0; i < CASES && st == XANI_OK; i++) {
        xn_io_case c;
        if (only != NULL && strstr(cases[i], only) == NULL) continue;
        if (!xn_io_make(folder, cases[i], strncmp(cases[i], "cold-", 5) == 0 ? cases[i] + 5 : cases[i], &c, why)) {
            emit(r, cases[i], "device", NAN, NAN, why);
            continue;
        }
        st = run_case(r, &c);
        if (st == XANI_OK && r->cufile == NULL && strcmp(cases[i], "bslz4") == 0) st = run_kernels(r, &c);
    }
    xn_io_remove_all(folder);
    return st;
}

static bool open_run(run *r)
{
    const xn_device_io *io = r->io;
    r->bytes = (size_t)XN_IO_FRAMES * XN_IO_H * XN_IO_W * 2;
    if (!io->use(0, r->why, sizeof r->why)) return false;
    if ((r->stream = io->open(r->why, sizeof r->why)) == NULL) return false;
    if ((r->begin = io->mark_create(r->why, sizeof r->why)) == NULL) return false;
    if ((r->end = io->mark_create(r->why, sizeof r->why)) == NULL) return false;
    if ((r->dst = io->take(r->bytes, r->why, sizeof r->why)) == NULL) return false;
    if ((r->host = io->pin(r->bytes, r->why, sizeof r->why)) == NULL) return false;
    return (r->back = io->pin(r->bytes, r->why, sizeof r->why)) != NULL && measure_floors(r);
}

static void close_run(run *r)
{
    if (r->host != NULL) r->io->unpin(r->host);
    if (r->back != NULL) r->io->unpin(r->back);
    if (r->dst != NULL) r->io->give(r->dst);
    r->io->mark_destroy(r->begin);
    r->io->mark_destroy(r->end);
    r->io->close(r->stream);
}

// XANI_BENCH_CUFILE: settings below engine.cufile to be timed; then nothing else is.
static xani_status settings(run *r)
{
    char text[256];
    r->cufile = getenv("XANI_BENCH_CUFILE");
    if (r->cufile == NULL) return XANI_OK;
    snprintf(text, sizeof text, "engine: {cufile: {%.200s}}", r->cufile);
    return xn_config_parse(r->bench->context, text, "XANI_BENCH_CUFILE", ".", &r->config);
}

xani_status xn_io_bench_device(const xn_bench *bench, const xn_device_io *io, bool aloud)
{
    run r = {.bench = bench, .io = io, .repeats = (int)xn_min64(REPEATS_MAX, xn_max64(5, bench->repeats))};
    snprintf(r.why, sizeof r.why, "this xani was built without CUDA");
    if (io == NULL || io->count(r.why, sizeof r.why) == 0) {
        if (aloud) emit(&r, "contiguous-ring", "device", NAN, NAN, r.why);
        return XANI_OK;
    }
    xani_status st = settings(&r);
    if (st == XANI_OK) {
        st = open_run(&r) ? all_cases(&r) : device_fails(&r);
        close_run(&r);
    }
    xani_config_destroy(&r.config);
    return st;
}
