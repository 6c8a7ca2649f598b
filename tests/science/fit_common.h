// SPDX-License-Identifier: BSD-3-Clause
// fit_common.h -- what the statistical tests of the fit share: means and spreads, sampling errors, and the record.
//
// What a test measures it prints as a comment, and appends as a line of JSON to the file named by XANI_ACCURACY, from
// which `tools/make-accuracy` makes docs/fit-accuracy.md.  XANI_ACCURACY_TIMES multiplies the numbers of traces.
#ifndef XN_TEST_FIT_COMMON_H
#define XN_TEST_FIT_COMMON_H

#include <stdarg.h>

#include "test.h"

#include "../../bench/traces.h"

// ---- mean and spread of what lies within 6

typedef struct {
    double sum, squares;
    int n, far;   // far: beyond 6, or NaN
    int in1, in2; // of all: within 1 and within 2
} gather;

static inline void gather_add(gather *g, double v)
{
    g->in1 += fabs(v) < 1;
    g->in2 += fabs(v) < 2;
    if (!(fabs(v) < 6)) {
        g->far++;
        return;
    }
    g->sum += v;
    g->squares += v * v;
    g->n++;
}

static inline double gather_mean(const gather *g) { return g->sum / g->n; }
static inline double gather_spread(const gather *g)
{
    return sqrt(g->squares / g->n - gather_mean(g) * gather_mean(g));
}
static inline double gather_rms(const gather *g) { return sqrt(g->squares / g->n); }
static inline double gather_within(const gather *g, int sigmas)
{
    return (double)(sigmas == 1 ? g->in1 : g->in2) / (g->n + g->far);
}

static inline double turn(double phase) { return atan2(sin(phase), cos(phase)); }

// A measured rate p of n trials may lie this far below its table.
static inline double below(double p, int n) { return p - 3 * sqrt(p * (1 - p) / n); }

// ---- the record

static inline int accuracy_times(void)
{
    const char *text = getenv("XANI_ACCURACY_TIMES");
    const long times = text != NULL ? strtol(text, NULL, 10) : 1;
    return times >= 1 && times <= 1000 ? (int)times : 1;
}

// A line of a table: members of a JSON object, without the braces.
static inline void record(const char *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline void record(const char *table, const char *format, ...)
{
    const char *path = getenv("XANI_ACCURACY");
    char members[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(members, sizeof members, format, list);
    va_end(list);
    printf("# %s: %s\n", table, members);
    fflush(stdout);
    FILE *f = path != NULL && path[0] != '\0' ? fopen(path, "a") : NULL;
    if (f == NULL) return;
    fprintf(f, "{\"table\": \"%s\", %s}\n", table, members);
    fclose(f);
}

#endif
