// SPDX-License-Identifier: BSD-3-Clause
// files.c -- which runs the files of SACLA hold: DataConvert's, several in one, Cheetah's, time-tool tables.
//
//   /file_info/run_number_list, /run_<R>/...   DataConvert
//   /tag-<T>/data, /metadata                   Cheetah: frames alone, readings are in DataConvert's file of that run
//   *.csv                                      one time-tool table for each run
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "source/sacla/sacla.h"

bool xn_sacla_is_table(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot != NULL && (strcasecmp(dot, ".csv") == 0 || strcasecmp(dot, ".txt") == 0);
}

bool xn_sacla_is_cheetah(const xn_h5 *h5)
{
    return xn_h5_exists(h5, "metadata/pixelmask") || xn_h5_exists(h5, "metadata/pipeline_version");
}

// ---- run numbers

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// Groups "run_<R>".
static xani_status runs_there(xn_ctx *ctx, const xn_h5 *h5, int64_t **number, int64_t *n)
{
    char **names = NULL;
    XN_TRY(xn_h5_names(ctx, h5, "/", &names));
    size_t room = 0;
    while (names[room] != NULL) room++;
    *number = xn_alloc(room + 1, sizeof **number);
    xani_status st = *number != NULL ? XANI_OK : xn_fail_memory(ctx, "the runs of a file", room * 8);
    for (size_t i = 0; st == XANI_OK && i < room; i++) {
        char *end = names[i];
        long long r = strncmp(names[i], "run_", 4) == 0 ? strtoll(names[i] + 4, &end, 10) : -1;
        if (r >= 0 && end > names[i] + 4 && *end == '\0') (*number)[(*n)++] = r;
    }
    xn_h5_names_free(names);
    return st;
}

// Of the runs that are there, those that the file's list names.
static xani_status keep_listed(xn_ctx *ctx, const xn_h5 *h5, int64_t *number, int64_t *n)
{
    static const char list[] = "file_info/run_number_list";
    int64_t *listed = NULL, count = 0, kept = 0;
    if (*n == 0 || !xn_h5_exists(h5, list)) return XANI_OK;
    XN_TRY(xn_h5_read_i64(ctx, h5, list, &listed, &count));
    for (int64_t i = 0; i < *n; i++) {
        int64_t k = 0;
        while (k < count && listed[k] != number[i]) k++;
        if (k < count) number[kept++] = number[i];
    }
    xn_free(listed);
    if (kept == 0)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s names none of the %lld runs that the file holds", xn_h5_path(h5),
                       list, (long long)*n);
    *n = kept;
    return XANI_OK;
}

xani_status xn_sacla_numbers(xn_ctx *ctx, const xn_h5 *h5, int64_t **number, int64_t *n)
{
    *number = NULL;
    *n = 0;
    xani_status st = runs_there(ctx, h5, number, n);
    if (st == XANI_OK) st = keep_listed(ctx, h5, *number, n);
    if (st == XANI_OK && *n > 1) qsort(*number, (size_t)*n, sizeof **number, by_size);
    if (st == XANI_OK) return XANI_OK;
    xn_free(*number);
    *number = NULL;
    *n = 0;
    return st;
}

// ---- all files

static xani_status add_run(xn_ctx *ctx, xn_sacla *x, const char *file, bool cheetah, int64_t number)
{
    xn_sacla_run *p = xn_realloc(x->run, (size_t)x->n_runs + 1, sizeof *p);
    if (p == NULL) return xn_fail_memory(ctx, "the runs", (size_t)(x->n_runs + 1) * sizeof *p);
    x->run = p;
    p += x->n_runs++;
    *p = (xn_sacla_run){.file = file, .number = number};
    if (!cheetah) snprintf(p->group, sizeof p->group, "run_%lld", (long long)number);
    return XANI_OK;
}

static bool wanted(int64_t run, const double *number, int n)
{
    for (int i = 0; i < n; i++)
        if ((int64_t)number[i] == run) return true;
    return n == 0;
}

static xani_status add_file(xn_ctx *ctx, const char *file, const double *number, int n, bool skip, xn_sacla *x)
{
    xn_h5 *h5 = NULL;
    int64_t *runs = NULL, n_runs = 0;
    xani_status st;
    st = xn_h5_open(ctx, file, &h5);
    if (st == XANI_ERR_INPUT && skip) {
        xn_warn(ctx, "left out: %s", xani_error_text(ctx));
        xn_clear_error(ctx);
        return XANI_OK;
    }
    if (st != XANI_OK) return st;
    XN_GOTO(out, st, xn_sacla_numbers(ctx, h5, &runs, &n_runs));
    if (n_runs == 0 && xn_sacla_is_cheetah(h5))
        st = add_run(ctx, x, file, true, 0);
    else if (n_runs == 0)
        st =
            xn_fail(ctx, XANI_ERR_INPUT, "%s: holds neither runs of DataConvert (run_<R>) nor frames of Cheetah", file);
    for (int64_t i = 0; st == XANI_OK && i < n_runs; i++)
        if (wanted(runs[i], number, n)) st = add_run(ctx, x, file, false, runs[i]);
out:
    xn_free(runs);
    xn_h5_close(&h5);
    return st;
}

xani_status xn_sacla_open(xn_ctx *ctx, char *const *files, const double *number, int n, bool skip, xn_sacla *x)
{
    memset(x, 0, sizeof *x);
    x->file = files;
    size_t count = 0;
    while (files[count] != NULL) count++;
    x->table = xn_alloc(count + 1, sizeof *x->table);
    if (x->table == NULL) return xn_fail_memory(ctx, "the input files", count * sizeof *x->table);
    for (size_t i = 0; i < count; i++) {
        if (xn_sacla_is_table(files[i]))
            x->table[x->n_tables++] = files[i];
        else
            XN_TRY(add_file(ctx, files[i], number, n, skip, x));
    }
    for (int i = 0; i < n; i++) {
        bool there = false;
        for (int k = 0; k < x->n_runs; k++) there = there || x->run[k].number == (int64_t)number[i];
        if (!there)
            return xn_fail(ctx, XANI_ERR_INPUT, "run_numbers: none of the files has run %lld", (long long)number[i]);
    }
    return x->n_runs > 0 ? XANI_OK : xn_fail(ctx, XANI_ERR_INPUT, "%s: no file of a run is given", files[0]);
}

void xn_sacla_close(xn_sacla *x)
{
    xn_free(x->run);
    xn_free((void *)x->table);
    memset(x, 0, sizeof *x);
}
