// SPDX-License-Identifier: BSD-3-Clause
// fit_python.c -- see fit_peers.h: the peers written in Python, in a child process that answers questions.
//
// The child (bench/fit_peers.py) reads traces, truth and start values from files in a scratch folder, is asked on its
// standard input and answers on its standard output.  Whatever goes wrong there is an answer, not the benchmark's end.
#include "bench/fit_peers.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/core.h"

enum { TRACES = 0, TRUTH, STARTS, FILES };

struct xn_peer_python {
    pid_t pid;
    FILE *to, *from;
    char *dir, *file[FILES];
    const char *trouble; // why it does not run, or NULL
};

// The script stands beside the data of the source tree; an installed program has no Python peers.
#define SCRIPT XN_SOURCE_DATA_DIR "/../bench/fit_peers.py"

static const char *write_files(xn_peer_python *p, const xn_peer_traces *t)
{
    static const char *const names[FILES] = {"traces", "truth", "starts"};
    const size_t n = (size_t)t->n, modes = (size_t)t->modes;
    if ((p->dir = xn_bench_scratch()) == NULL) return "no scratch folder could be made";
    for (int i = 0; i < FILES; i++)
        if ((p->file[i] = xn_format("%s/%s", p->dir, names[i])) == NULL) return "out of memory";
    double *f = xn_alloc(n * modes, sizeof *f); // of the truth: frequencies only
    if (f == NULL) return "out of memory";
    for (size_t i = 0; i < n * modes; i++) f[i] = t->truth[i / modes].f[i % modes];
    bool written = xn_bench_write(p->file[TRACES], t->y, n * (size_t)t->samples * sizeof(float)) &&
                   xn_bench_write(p->file[TRUTH], f, n * modes * sizeof *f) &&
                   xn_bench_write(p->file[STARTS], t->start, n * (4 * modes + 1) * sizeof *t->start);
    xn_free(f);
    return written ? NULL : "the traces could not be written to the scratch folder";
}

static const char *spawn(xn_peer_python *p, const xn_peer_traces *t)
{
    int in[2], out[2];
    char modes[16], samples[16], step[32];
    if (access(SCRIPT, R_OK) != 0) return "bench/fit_peers.py is not there (not a source tree)";
    const char *trouble = write_files(p, t);
    if (trouble != NULL) return trouble;
    if (pipe(in) != 0 || pipe(out) != 0) return "no pipe";
    snprintf(modes, sizeof modes, "%d", t->modes);
    snprintf(samples, sizeof samples, "%d", t->samples);
    snprintf(step, sizeof step, "%.17g", t->step_ps);
    p->pid = fork();
    if (p->pid < 0) return "no child process";
    if (p->pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        for (int i = 0; i < 2; i++) {
            close(in[i]);
            close(out[i]);
        }
        setenv("OMP_NUM_THREADS", "1", 1);
        setenv("OPENBLAS_NUM_THREADS", "1", 1);
        setenv("MKL_NUM_THREADS", "1", 1);
        execlp("python3", "python3", SCRIPT, p->file[TRACES], p->file[TRUTH], p->file[STARTS], samples, modes, step,
               (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    p->to = fdopen(in[1], "w");
    p->from = fdopen(out[0], "r");
    return p->to && p->from ? NULL : "no pipe";
}

xn_peer_python *xn_peer_python_start(const xn_peer_traces *t)
{
    xn_peer_python *p = xn_calloc(1, sizeof *p);
    if (p == NULL) return NULL;
    signal(SIGPIPE, SIG_IGN); // a child that dies is an answer, not the end of the benchmark
    p->trouble = spawn(p, t);
    return p;
}

void xn_peer_python_ask(xn_peer_python *p, const char *peer, int64_t n, xn_peer_answer *out)
{
    char line[256];
    if (p == NULL || p->trouble != NULL) {
        xn_peer_not_measured(out, p ? p->trouble : "out of memory");
        return;
    }
    if (fprintf(p->to, "%s %lld\n", peer, (long long)n) < 0 || fflush(p->to) != 0 ||
        fgets(line, sizeof line, p->from) == NULL) {
        xn_peer_not_measured(out, "python3 is not installed or its script failed");
        return;
    }
    line[strcspn(line, "\n")] = '\0';
    out->why[0] = '\0';
    const char *rest = line;
    if (!xn_bench_number(&rest, &out->rate) || !xn_bench_number(&rest, &out->success)) xn_peer_not_measured(out, line);
}

void xn_peer_python_stop(xn_peer_python **handle)
{
    xn_peer_python *p = *handle;
    if (p == NULL) return;
    if (p->to != NULL) fclose(p->to); // end of input: the child ends
    if (p->from != NULL) fclose(p->from);
    if (p->pid > 0) waitpid(p->pid, NULL, 0);
    for (int i = 0; i < FILES; i++) {
        if (p->file[i] != NULL) unlink(p->file[i]);
        xn_free(p->file[i]);
    }
    if (p->dir != NULL) rmdir(p->dir);
    xn_free(p->dir);
    xn_free(p);
    *handle = NULL;
}
