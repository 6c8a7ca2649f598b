// SPDX-License-Identifier: BSD-3-Clause
// reduce_python.c -- numpy and numba as peers of reduce, in one child process (bench/reduce_peers.py).
//
// The child maps the decoded words and planes from plain files, answers the number of a peer with the seconds of one
// run and the photons it summed; a peer whose photons differ from ours is not reported as one.  The peers stop at the
// sums.
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/reduce_data.h"

#define SCRIPT XN_SOURCE_DATA_DIR "/../bench/reduce_peers.py"

struct xn_bench_python {
    pid_t pid;
    FILE *to, *from;
    double photons;                       // what a run must sum to
    char why[XN_BENCH_PYTHON_PEERS][160]; // "" when fine
};

static bool write_all(const char *folder, const char *name, const void *const *parts, const size_t *bytes, int n)
{
    char *path = xn_format("%s/%s", folder, name);
    FILE *f = path ? fopen(path, "wbe") : NULL;
    xn_free(path);
    bool ok = f != NULL;
    for (int i = 0; ok && i < n; i++) ok = fwrite(parts[i], 1, bytes[i], f) == bytes[i];
    return f != NULL && fclose(f) == 0 && ok;
}

static double photons_of(const xn_bench_data *d)
{
    double sum = 0;
    for (int64_t i = 0; i < XN_BENCH_PYTHON_SHOTS; i++)
        for (int64_t p = 0; p < XN_BENCH_PIXELS; p++) {
            uint16_t w = d->words[(i % XN_BENCH_FRAMES) * XN_BENCH_PIXELS + p];
            int s = w >> 14 == 3 ? 2 : w >> 14;
            if (d->mask[p] != 0) continue;
            sum += d->kind == XN_BENCH_PHOTONS
                       ? w
                       : ((double)(w & 0x3fff) - (double)d->pedestal[s][p]) * (double)d->factor[s][p];
        }
    return sum;
}

static void child(int in, int out, const xn_bench_data *d, int threads, int group)
{
    char n[16], k[16];
    snprintf(n, sizeof n, "%d", threads);
    snprintf(k, sizeof k, "%d", group);
    const char *kind = d->kind == XN_BENCH_JUNGFRAU ? "jungfrau" : "photons";
    (void)dup2(in, STDIN_FILENO);
    (void)dup2(out, STDOUT_FILENO);
    (void)execlp("python3", "python3", SCRIPT, d->folder, kind, n, k, (char *)NULL);
    _exit(127);
}

xn_bench_python *xn_bench_python_start(const xn_bench_data *d, int threads, int group)
{
    xn_bench_python *p = xn_calloc(1, sizeof *p);
    int in[2], out[2];
    if (p == NULL) return NULL;
    const void *const words[] = {d->words};
    const size_t words_bytes[] = {(size_t)XN_BENCH_FRAMES * XN_BENCH_PIXELS * 2};
    const void *const planes[] = {d->pedestal[0], d->pedestal[1], d->pedestal[2], d->factor[0],
                                  d->factor[1],   d->factor[2],   d->mask};
    size_t planes_bytes[7];
    for (int i = 0; i < 7; i++) planes_bytes[i] = (size_t)XN_BENCH_PIXELS * 4;
    bool ok =
        write_all(d->folder, "words", words, words_bytes, 1) && write_all(d->folder, "planes", planes, planes_bytes, 7);
    const char *why = !ok                         ? "no room for its files"
                      : access(SCRIPT, R_OK) != 0 ? "bench/reduce_peers.py is not there"
                                                  : NULL;
    for (int i = 0; i < XN_BENCH_PYTHON_PEERS; i++) snprintf(p->why[i], sizeof p->why[i], "%s", why ? why : "");
    if (why != NULL || pipe(in) != 0) return p;
    if (pipe(out) != 0) {
        close(in[0]);
        close(in[1]);
        return p;
    }
    p->photons = photons_of(d);
    (void)fflush(NULL);
    p->pid = fork();
    if (p->pid == 0) {
        close(in[1]);
        close(out[0]);
        child(in[0], out[1], d, threads, group);
    }
    close(in[0]);
    close(out[1]);
    p->to = fdopen(in[1], "w");
    p->from = fdopen(out[0], "r");
    return p;
}

double xn_bench_python_run(xn_bench_python *p, int peer)
{
    char line[256] = "", *end = line;
    if (p->why[peer][0] != '\0') return NAN;
    snprintf(p->why[peer], sizeof p->why[peer], "python3 is not installed or its script failed");
    if (p->to == NULL || p->from == NULL) return NAN;
    (void)signal(SIGPIPE, SIG_IGN);
    if (fprintf(p->to, "%d\n", peer) < 0 || fflush(p->to) != 0 || fgets(line, sizeof line, p->from) == NULL) return NAN;
    line[strcspn(line, "\n")] = '\0';
    double seconds = strtod(line, &end), photons = strtod(end, &end);
    if (end == line || *end != '\0') { // words instead of numbers: why not
        snprintf(p->why[peer], sizeof p->why[peer], "%.150s", line);
        return NAN;
    }
    if (!(fabs(photons / p->photons - 1) < 1e-5)) {
        snprintf(p->why[peer], sizeof p->why[peer], "its sums differ: %.9g photons instead of %.9g", photons,
                 p->photons);
        return NAN;
    }
    p->why[peer][0] = '\0';
    return seconds;
}

const char *xn_bench_python_why(const xn_bench_python *p, int peer) { return p->why[peer][0] ? p->why[peer] : NULL; }

void xn_bench_python_stop(xn_bench_python **python)
{
    xn_bench_python *p = *python;
    *python = NULL;
    if (p == NULL) return;
    if (p->to != NULL) (void)fclose(p->to); // its standard input ends, and so does it
    if (p->pid > 0) (void)waitpid(p->pid, NULL, 0);
    if (p->from != NULL) (void)fclose(p->from);
    xn_free(p);
}
