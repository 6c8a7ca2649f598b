// SPDX-License-Identifier: BSD-3-Clause
// fit_peers.c -- see fit_peers.h: the peers written in C or C++.
//
// Nothing here is needed to build xani: cminpack and Cpufit are opened at run time, the prototype is a program of the
// user's.  Start values are given to all but the prototype, and what they cost is not counted.
#include "bench/fit_peers.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core/core.h"

double xn_bench_cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void xn_peer_not_measured(xn_peer_answer *out, const char *why)
{
    out->rate = out->success = NAN;
    snprintf(out->why, sizeof out->why, "%.*s", (int)sizeof out->why - 1, why);
}

bool xn_bench_number(const char **text, double *value)
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
    return xn_bench_number(&at, value);
}

char *xn_bench_scratch(void)
{
    const char *folder = getenv("TMPDIR");
    char *dir = xn_format("%s/xani-bench-XXXXXX", folder != NULL && folder[0] != '\0' ? folder : "/tmp");
    if (dir != NULL && mkdtemp(dir) != NULL) return dir;
    xn_free(dir);
    return NULL;
}

bool xn_bench_write(const char *path, const void *bytes, size_t n)
{
    FILE *f = path ? fopen(path, "wb") : NULL;
    if (f == NULL) return false;
    bool ok = fwrite(bytes, 1, n, f) == n;
    return fclose(f) == 0 && ok;
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
    const double *delay_ps, *weight;
} lmder_trace;

// Residual (flag 1) or Jacobian by columns (flag 2) of A exp(-g t) cos(2 pi f t + phase) summed, plus an offset.
static int model(void *user, int m, int n, const double *x, double *r, double *jac, int ld, int flag)
{
    const lmder_trace *t = user;
    for (int i = 0; i < m; i++) {
        double ps = t->delay_ps[i], y = x[n - 1], root = t->weight != NULL ? sqrt(t->weight[i]) : 1;
        for (int k = 0; k < t->modes; k++) {
            const double *p = x + 4 * k;
            double e = exp(-p[2] * ps), s, c;
            sincos(2 * XN_TRACE_PI * p[1] * ps + p[3], &s, &c);
            y += p[0] * e * c;
            if (flag == 1) continue;
            double *d = jac + i + 4 * k * ld;
            d[0] = root * e * c;
            d[ld] = -2 * XN_TRACE_PI * ps * p[0] * root * e * s;
            d[2 * ld] = -ps * p[0] * root * e * c;
            d[3 * ld] = -p[0] * root * e * s;
        }
        if (flag == 1)
            r[i] = root * (y - (double)t->y[i]);
        else
            jac[i + (n - 1) * ld] = root;
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
        xn_peer_not_measured(out, "libcminpack.so.1 is not installed");
        return;
    }
    int m = t->samples, p = 4 * t->modes + 1;
    double *r = xn_alloc((size_t)m * (size_t)(p + 2), sizeof *r);
    if (r == NULL) {
        xn_peer_not_measured(out, "out of memory");
        return;
    }
    double *jac = r + m, *w4 = jac + (size_t)m * (size_t)p;
    int64_t good = 0;
    double start = xn_bench_cpu_seconds();
    for (int64_t i = 0; i < n; i++) {
        double x[MOST_PARAMETERS], diag[MOST_PARAMETERS], qtf[MOST_PARAMETERS], w[3][MOST_PARAMETERS],
            f[XN_TRACE_MODES] = {0};
        int nfev, njev, ipvt[MOST_PARAMETERS], order[XN_TRACE_MODES];
        lmder_trace trace = {t->y + i * m, t->modes, t->delay_ps, t->weight};
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

// ---- Cpufit

typedef int (*cpufit_fn)(size_t fits, size_t points, float *data, float *weights, int model, float *start,
                         float tolerance, int iterations, int *to_fit, int estimator, size_t user_bytes, char *user,
                         float *out, int *states, float *chi2, int *n_iterations);

static cpufit_fn find_cpufit(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL), *symbol = library ? dlsym(library, "cpufit") : NULL;
    cpufit_fn fn;
    memcpy(&fn, &symbol, sizeof fn);
    return fn;
}

typedef struct {
    float *start, *out, *chi2;
    int *states, *iterations;
} cpufit_work;

static bool cpufit_alloc(cpufit_work *w, const xn_peer_traces *t, size_t n)
{
    const size_t p = 4 * (size_t)t->modes + 1;
    *w = (cpufit_work){xn_alloc(n * p, sizeof(float)), xn_alloc(n * p, sizeof(float)), xn_alloc(n, sizeof(float)),
                       xn_alloc(n, sizeof(int)), xn_alloc(n, sizeof(int))};
    bool ok = w->start && w->out && w->chi2 && w->states && w->iterations;
    for (size_t i = 0; ok && i < n * p; i++) w->start[i] = (float)t->start[i];
    return ok;
}

// Models 7 and 14 of a library made by tools/build-cpufit: one and two damped cosines.
void xn_peer_cpufit(const xn_peer_traces *t, int64_t n, xn_peer_answer *out)
{
    const char *path = getenv("XANI_CPUFIT");
    cpufit_fn fit = path != NULL && path[0] != '\0' ? find_cpufit(path) : NULL;
    if (fit == NULL || t->modes > 2) {
        xn_peer_not_measured(out, t->modes > 2 ? "tools/build-cpufit gives it one and two modes only"
                                               : "XANI_CPUFIT does not name a library made by tools/build-cpufit");
        return;
    }
    int to_fit[MOST_PARAMETERS], order[XN_TRACE_MODES];
    const int p = 4 * t->modes + 1;
    float step = (float)t->step_ps;
    char user[sizeof step];
    cpufit_work w;
    for (int i = 0; i < p; i++) to_fit[i] = 1;
    memcpy(user, &step, sizeof step);
    bool ok = cpufit_alloc(&w, t, (size_t)n);
    double start = xn_bench_cpu_seconds();
    ok = ok && fit((size_t)n, (size_t)t->samples, t->y, NULL, t->modes == 1 ? 7 : 14, w.start, 1e-6f, 200, to_fit, 0,
                   sizeof user, user, w.out, w.states, w.chi2, w.iterations) == 0;
    out->rate = (double)n / (xn_bench_cpu_seconds() - start);
    int64_t good = 0;
    for (int64_t i = 0; ok && i < n; i++) {
        double f[XN_TRACE_MODES] = {0};
        for (int k = 0; k < t->modes; k++) f[k] = fabs((double)w.out[i * p + 4 * k + 1]);
        good += xn_truth_found(&t->truth[i], f, order);
    }
    out->success = (double)good / (double)n;
    out->why[0] = '\0';
    if (!ok) xn_peer_not_measured(out, "Cpufit failed");
    void *all[] = {w.start, w.out, w.chi2, w.states, w.iterations};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
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
    char line[512] = "";
    if (program == NULL || program[0] == '\0') {
        xn_peer_not_measured(out, "XANI_PROTOTYPE does not name its program");
        return;
    }
    size_t bytes;
    float *v = prototype_truth(t, &bytes);
    char *dir = xn_bench_scratch(), *traces = xn_format("%s/traces", dir ? dir : ""),
         *truth = xn_format("%s/truth", dir ? dir : "");
    bool ok = v != NULL && dir != NULL && traces != NULL && truth != NULL &&
              xn_bench_write(traces, t->y, (size_t)t->n * (size_t)t->samples * sizeof(float)) &&
              xn_bench_write(truth, v, bytes);
    char *command = ok ? xn_format("MODE=1 '%s' '%s' '%s' %d p", program, traces, truth, t->modes) : NULL;
    FILE *f = command ? popen(command, "r") : NULL;
    if (f != NULL && fgets(line, sizeof line, f) == NULL) line[0] = '\0';
    if (f != NULL) pclose(f);
    if (traces != NULL) unlink(traces);
    if (truth != NULL) unlink(truth);
    if (dir != NULL) rmdir(dir);
    char *all[] = {command, traces, truth, dir};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
    xn_free(v);
    out->why[0] = '\0';
    if (!number_after(line, " cpu ", &out->rate) || !number_after(line, " succ ", &out->success))
        xn_peer_not_measured(out, "the program named by XANI_PROTOTYPE gave no figures");
}
