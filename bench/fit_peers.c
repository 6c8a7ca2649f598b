// SPDX-License-Identifier: BSD-3-Clause
// fit_peers.c -- see fit_peers.h.  Nothing here is needed to build xani: cminpack is opened at run time, Python
// codes run in a child process (bench/fit_peers.py), the prototype is a program of the user's.
#include "bench/fit_peers.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/core.h"

double xn_bench_cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void not_measured(xn_peer_answer *out, const char *why)
{
    out->rate = out->success = NAN;
    snprintf(out->why, sizeof out->why, "%.*s", (int)sizeof out->why - 1, why);
}

// Reads the number at *text and moves *text behind it; false when there is none.
static bool number(const char **text, double *value)
{
    char *end;
    *value = strtod(*text, &end);
    if (end == *text) return false;
    *text = end;
    return true;
}

static bool number_after(const char *line, const char *mark, double *value)
{
    const char *at = strstr(line, mark);
    if (at == NULL) return false;
    at += strlen(mark);
    return number(&at, value);
}

// ---- lmder of cminpack

typedef int (*lmder_model)(void *user, int m, int n, const double *x, double *r, double *jac, int ld, int flag);
typedef int (*lmder_fn)(lmder_model model, void *user, int m, int n, double *x, double *r, double *jac, int ld,
                        double ftol, double xtol, double gtol, int maxfev, double *diag, int mode, double factor,
                        int nprint, int *nfev, int *njev, int *ipvt, double *qtf, double *w1, double *w2, double *w3,
                        double *w4);

#define MOST_PARAMETERS (4 * XN_TRACE_MODES + 1)

typedef struct {
    const float *y;
    int modes;
    double step_ps;
} lmder_trace;

// Residual (flag 1) or Jacobian by columns (flag 2) of A exp(-g t) cos(2 pi f t + phase) summed, plus an offset.
static int model(void *user, int m, int n, const double *x, double *r, double *jac, int ld, int flag)
{
    const lmder_trace *t = user;
    for (int i = 0; i < m; i++) {
        double ps = i * t->step_ps, y = x[n - 1];
        for (int k = 0; k < t->modes; k++) {
            const double *p = x + 4 * k;
            double e = exp(-p[2] * ps), s, c;
            sincos(2 * XN_TRACE_PI * p[1] * ps + p[3], &s, &c);
            y += p[0] * e * c;
            if (flag == 1) continue;
            double *d = jac + i + 4 * k * ld;
            d[0] = e * c;
            d[ld] = -2 * XN_TRACE_PI * ps * p[0] * e * s;
            d[2 * ld] = -ps * p[0] * e * c;
            d[3 * ld] = -p[0] * e * s;
        }
        if (flag == 1)
            r[i] = y - (double)t->y[i];
        else
            jac[i + (n - 1) * ld] = 1;
    }
    return 0;
}

static lmder_fn find_lmder(void)
{
    static const char *const names[] = {"libcminpack.so.1", "libcminpack.so"};
    for (int i = 0; i < 2; i++) {
        void *library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        void *symbol = library ? dlsym(library, "lmder") : NULL;
        lmder_fn fn;
        memcpy(&fn, &symbol, sizeof fn);
        if (fn != NULL) return fn;
    }
    return NULL;
}

void xn_peer_lmder(const xn_peer_traces *t, int64_t n, xn_peer_answer *out)
{
    lmder_fn lmder = find_lmder();
    if (lmder == NULL) {
        not_measured(out, "libcminpack.so.1 is not installed");
        return;
    }
    int m = t->samples, p = 4 * t->modes + 1;
    double *r = xn_alloc((size_t)m * (size_t)(p + 2), sizeof *r);
    if (r == NULL) {
        not_measured(out, "out of memory");
        return;
    }
    double *jac = r + m, *w4 = jac + (size_t)m * (size_t)p;
    int64_t good = 0;
    double start = xn_bench_cpu_seconds();
    for (int64_t i = 0; i < n; i++) {
        double x[MOST_PARAMETERS], diag[MOST_PARAMETERS], qtf[MOST_PARAMETERS], w[3][MOST_PARAMETERS],
            f[XN_TRACE_MODES];
        int nfev, njev, ipvt[MOST_PARAMETERS], order[XN_TRACE_MODES];
        lmder_trace trace = {t->y + i * m, t->modes, t->step_ps};
        memcpy(x, t->start + i * p, (size_t)p * sizeof *x);
        lmder(model, &trace, m, p, x, r, jac, m, 1e-8, 1e-8, 0, 400, diag, 1, 100, 0, &nfev, &njev, ipvt, qtf, w[0],
              w[1], w[2], w4);
        for (int k = 0; k < t->modes; k++) f[k] = fabs(x[4 * k + 1]);
        good += xn_truth_found(&t->truth[i], f, order);
    }
    out->rate = (double)n / (xn_bench_cpu_seconds() - start);
    out->success = (double)good / (double)n;
    out->why[0] = '\0';
    xn_free(r);
}

// ---- files for other processes

static bool write_file(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    if (f == NULL) return false;
    bool ok = fwrite(bytes, 1, n, f) == n;
    return fclose(f) == 0 && ok;
}

static bool scratch_dir(char dir[64])
{
    snprintf(dir, 64, "/tmp/xani-bench-XXXXXX");
    return mkdtemp(dir) != NULL;
}

// ---- Python

struct xn_peer_python {
    pid_t pid;
    FILE *to, *from;
    char dir[64], file[80], starts[80];
    const char *trouble; // why it does not run, or NULL
};

// The script stands beside the data of the source tree; an installed program has no Python peers.
#define SCRIPT XN_SOURCE_DATA_DIR "/../bench/fit_peers.py"

static const char *spawn(xn_peer_python *p, const xn_peer_traces *t)
{
    int in[2], out[2];
    char modes[16], samples[16], step[32];
    if (access(SCRIPT, R_OK) != 0) return "bench/fit_peers.py is not there (not a source tree)";
    size_t values = (size_t)t->n * (size_t)t->samples, starts = (size_t)t->n * (size_t)(4 * t->modes + 1);
    // truth for the child: frequencies only
    double *f = xn_alloc((size_t)t->n * (size_t)t->modes, sizeof *f);
    if (f == NULL) return "out of memory";
    for (int64_t i = 0; i < t->n * t->modes; i++) f[i] = t->truth[i / t->modes].f[i % t->modes];
    snprintf(p->file, sizeof p->file, "%s/traces", p->dir);
    snprintf(p->starts, sizeof p->starts, "%s/truth", p->dir);
    bool written = write_file(p->file, t->y, values * sizeof(float)) &&
                   write_file(p->starts, f, (size_t)t->n * (size_t)t->modes * sizeof *f);
    (void)starts;
    xn_free(f);
    if (!written) return "the traces could not be written to /tmp";
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
        execlp("python3", "python3", SCRIPT, p->file, p->starts, samples, modes, step, (char *)NULL);
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
    p->trouble = scratch_dir(p->dir) ? spawn(p, t) : "no scratch folder in /tmp";
    return p;
}

void xn_peer_python_ask(xn_peer_python *p, const char *peer, int64_t n, xn_peer_answer *out)
{
    char line[256];
    if (p == NULL || p->trouble != NULL) {
        not_measured(out, p ? p->trouble : "out of memory");
        return;
    }
    if (fprintf(p->to, "%s %lld\n", peer, (long long)n) < 0 || fflush(p->to) != 0 ||
        fgets(line, sizeof line, p->from) == NULL) {
        not_measured(out, "python3 is not installed or its script failed");
        return;
    }
    line[strcspn(line, "\n")] = '\0';
    out->why[0] = '\0';
    const char *rest = line;
    if (!number(&rest, &out->rate) || !number(&rest, &out->success)) not_measured(out, line);
}

void xn_peer_python_stop(xn_peer_python **handle)
{
    xn_peer_python *p = *handle;
    if (p == NULL) return;
    if (p->to != NULL) fclose(p->to); // end of input: the child ends
    if (p->from != NULL) fclose(p->from);
    if (p->pid > 0) waitpid(p->pid, NULL, 0);
    if (p->file[0] != '\0') unlink(p->file);
    if (p->starts[0] != '\0') unlink(p->starts);
    if (p->dir[0] != '\0') rmdir(p->dir);
    xn_free(p);
    *handle = NULL;
}

// ---- the prototype

// Its own record of truth: A, f, g, phase of all modes, offset, bounds of f and of g; float32.
static float *prototype_truth(const xn_peer_traces *t, size_t *bytes)
{
    int width = 6 * t->modes + 1, k = t->modes;
    *bytes = (size_t)t->n * (size_t)width * sizeof(float);
    float *v = xn_calloc(*bytes, 1);
    for (int64_t i = 0; v != NULL && i < t->n; i++) {
        float *row = v + i * width;
        const xn_truth *a = &t->truth[i];
        row[4 * k] = (float)a->offset;
        for (int m = 0; m < k; m++) {
            row[m] = (float)a->a[m];
            row[k + m] = (float)a->f[m];
            row[2 * k + m] = (float)a->g[m];
            row[3 * k + m] = (float)a->phase[m];
            row[4 * k + 1 + m] = (float)a->bound_f[m];
            row[5 * k + 1 + m] = (float)a->bound_g[m];
        }
    }
    return v;
}

void xn_peer_prototype(const xn_peer_traces *t, xn_peer_answer *out)
{
    const char *program = getenv("XANI_PROTOTYPE");
    char dir[64] = "", traces[80], truth[80], line[512] = "";
    if (program == NULL || program[0] == '\0') {
        not_measured(out, "XANI_PROTOTYPE does not name its program");
        return;
    }
    size_t bytes;
    float *v = prototype_truth(t, &bytes);
    bool ok = v != NULL && scratch_dir(dir);
    snprintf(traces, sizeof traces, "%s/traces", dir);
    snprintf(truth, sizeof truth, "%s/truth", dir);
    ok = ok && write_file(traces, t->y, (size_t)t->n * (size_t)t->samples * sizeof(float)) &&
         write_file(truth, v, bytes);
    xn_free(v);
    char *command = xn_format("MODE=1 '%s' '%s' '%s' %d p", program, traces, truth, t->modes);
    FILE *f = ok && command ? popen(command, "r") : NULL;
    if (f != NULL && fgets(line, sizeof line, f) == NULL) line[0] = '\0';
    if (f != NULL) pclose(f);
    xn_free(command);
    if (dir[0] != '\0') {
        unlink(traces);
        unlink(truth);
        rmdir(dir);
    }
    out->why[0] = '\0';
    if (!number_after(line, " cpu ", &out->rate) || !number_after(line, " succ ", &out->success))
        not_measured(out, "the program named by XANI_PROTOTYPE gave no figures");
}
