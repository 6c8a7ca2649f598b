// SPDX-License-Identifier: BSD-3-Clause
// bench.c -- `xani bench`: runs the functions of bench/bench.h that this build has and prints their lines.
//
// With --json one object per line, as the contract has it; otherwise a table.
#include "bench/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static const struct {
    const char *name;
    xn_bench_fn run;
} bench_rows[] = {
    {"fit", xn_bench_fit}, {"io", xn_bench_io},   {"reduce", xn_bench_reduce},
    {"map", xn_bench_map}, {"lsq", xn_bench_lsq}, {"device", xn_bench_device},
};
enum { N_BENCH = sizeof bench_rows / sizeof bench_rows[0] };

static void set_number(json_t *line, const char *key, double v)
{
    json_object_set_new(line, key, isfinite(v) ? json_real(v) : json_null());
}

static void emit_json(const xn_bench_line *b)
{
    json_t *line = json_object();
    json_object_set_new(line, "bench", json_string(b->bench));
    json_object_set_new(line, "case", json_string(b->name));
    json_object_set_new(line, "peer", json_string(b->peer));
    set_number(line, "ours", b->ours);
    set_number(line, "theirs", b->theirs);
    json_object_set_new(line, "unit", json_string(b->unit ? b->unit : ""));
    set_number(line, "ratio", b->ratio);
    if (isfinite(b->ratio_cpu)) set_number(line, "ratio_cpu", b->ratio_cpu);
    if (b->why != NULL) json_object_set_new(line, "why", json_string(b->why));
    char *text = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(6));
    json_decref(line);
    if (text != NULL) printf("%s\n", text);
    free(text);
}

static void emit(void *user, const xn_bench_line *b)
{
    cli *c = user;
    cli_progress_clear(c);
    if (c->json) {
        emit_json(b);
    } else {
        char *ours = isfinite(b->ours) ? cli_quantity(b->ours, "") : cli_format("–");
        char *theirs = isfinite(b->theirs) ? cli_quantity(b->theirs, "") : cli_format("–");
        printf("%-7s %-22s %-16s %9s %9s %-12s ", b->bench, b->name, b->peer, ours, theirs, b->unit ? b->unit : "");
        if (isfinite(b->ratio))
            printf("%8.3g%s%s\n", b->ratio, b->why ? "  " : "", b->why ? b->why : "");
        else
            printf("%8s  %s\n", "–", b->why ? b->why : "not measured");
        free(ours);
        free(theirs);
    }
    fflush(stdout);
}

xani_status cli_run_bench(cli *c)
{
    const char *only = c->n_args > 0 ? c->args[0] : NULL;
    bool known = only == NULL;
    for (int i = 0; i < N_BENCH; i++) known |= only != NULL && strcmp(only, bench_rows[i].name) == 0;
    if (!known)
        return cli_fail(c, XANI_ERR_USAGE, "no benchmark '%s'; there are fit, io, reduce, map, lsq and device", only);
    if (c->n_args > 1 && strcmp(only, "io") != 0) return cli_fail(c, XANI_ERR_USAGE, "only xani bench io takes a path");
    c->quiet = !c->verbose; // what is measured would tell of itself over and over
    if (!c->json)
        printf("%-7s %-22s %-16s %9s %9s %-12s %8s\n", "bench", "case", "peer", "ours", "theirs", "unit", "ratio");
    xn_bench bench = {.context = c->context,
                      .path = c->n_args > 1 ? c->args[1] : NULL,
                      .repeats = c->repeats,
                      .emit = emit,
                      .user = c};
    for (int i = 0; i < N_BENCH; i++) {
        if (only != NULL && strcmp(only, bench_rows[i].name) != 0) continue;
        if (only == NULL && bench_rows[i].run == xn_bench_device) continue; // fit has it
        if (bench_rows[i].run == NULL) {
            cli_note(c, "bench %s is not in this build", bench_rows[i].name);
            continue;
        }
        xani_status st = bench_rows[i].run(&bench);
        if (st != XANI_OK) return st;
    }
    return XANI_OK;
}
