// SPDX-License-Identifier: BSD-3-Clause
// facts.c -- what can be told about a field cube without a configuration: see survey.h.
//
// scan_var is told as it stands; which way it runs and where its zero is, no file says.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/cube/cube.h"
#include "source/survey/survey.h"

static void delay_facts(double *scan, int64_t n, xn_cube_facts *f)
{
    f->first_ps = f->last_ps = f->step_ps = NAN;
    if (n == 0) return;
    qsort(scan, (size_t)n, sizeof *scan, xn_double_compare);
    f->first_ps = scan[0];
    f->last_ps = scan[n - 1];
    if (n < 2) return;
    double step = (scan[n - 1] - scan[0]) / (double)(n - 1);
    bool uniform = true;
    for (int64_t i = 1; i < n; i++) uniform = uniform && fabs(scan[i] - scan[i - 1] - step) < 0.01 * fabs(step);
    if (uniform) f->step_ps = step;
}

static xani_status read_half(xn_ctx *ctx, const char *path, bool off, xn_cube_facts *f)
{
    xn_h5 *h5 = NULL;
    double *count = NULL, *scan = NULL;
    int64_t n = 0, n_scan = 0;
    xn_h5_info info;
    xani_status st;
    XN_GOTO(out, st, xn_h5_open(ctx, path, &h5));
    XN_GOTO(out, st, xn_h5_info_get(ctx, h5, "imgs", &info));
    f->stored_bytes += info.size * (int64_t)xn_type_size(info.type);
    XN_GOTO(out, st, xn_cube_counts(ctx, h5, &count, &n));
    for (int64_t i = 0; i < n; i++) {
        if (count[i] > 0)
            *(off ? &f->off_shots : &f->on_shots) += count[i];
        else if (!off)
            f->empty++;
    }
    if (off || info.rank != 3) goto out;
    f->bins = info.dims[0];
    f->ny = info.dims[1];
    f->nx = info.dims[2];
    f->type = info.type;
    snprintf(f->filters, sizeof f->filters, "%s", info.filters);
    XN_GOTO(out, st, xn_h5_read_f64(ctx, h5, "scan_var", &scan, &n_scan));
    delay_facts(scan, n_scan, f);
out:
    xn_free(count);
    xn_free(scan);
    xn_h5_close(&h5);
    return st;
}

bool xn_cube_claims(xn_ctx *ctx, const xn_h5 *h5, const char *path, char *key, size_t bytes)
{
    (void)ctx;
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *half = strstr(base, "_on.");
    if (half == NULL) half = strstr(base, "_off.");
    if (half == NULL || !xn_h5_exists(h5, "imgs") || !xn_h5_exists(h5, "i0")) return false;
    snprintf(key, bytes, "%.*s", (int)(half - path), path);
    return true;
}

xani_status xn_cube_facts_read(xn_ctx *ctx, const struct xn_found_run *run, struct xn_run_facts *facts)
{
    xn_cube_facts *f = &facts->cube;
    facts->binned = true;
    f->first_ps = f->last_ps = f->step_ps = NAN;
    for (int i = 0; i < run->n; i++) {
        const char *slash = strrchr(run->file[i], '/');
        XN_TRY(read_half(ctx, run->file[i], strstr(slash ? slash : run->file[i], "_off.") != NULL, f));
    }
    return XANI_OK;
}
