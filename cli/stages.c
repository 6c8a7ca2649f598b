// SPDX-License-Identifier: BSD-3-Clause
// stages.c -- the commands that write: sim, reduce, fit, map, run.
//
// Each opens the configuration, or with --dry-run prints the plan (the answer of `xani check`) together
// with what would be written, and calls one function of the library.
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"

#define MOST_VALUES 1000 // of a second axis

static xani_status need_output(cli *c)
{
    if (c->output != NULL) return XANI_OK;
    return cli_fail(c, XANI_ERR_USAGE, "-o is missing; usage: xani %s %s", c->command->name, c->command->arguments);
}

// --dry-run: the plan of the configuration, plus the output.
static xani_status print_plan(cli *c, const xani_config *config)
{
    char *text = NULL;
    xani_status st = xani_check(c->context, config, &text);
    if (st != XANI_OK) return st;
    json_t *plan = json_loads(text, 0, NULL);
    xani_free(text);
    if (plan != NULL && c->output != NULL) json_object_set_new(plan, "would_write", cli_text(c->output));
    return cli_result(c, "xani.plan", plan);
}

// --dry-run of a command whose input is a result: what the input holds, plus the output.
static xani_status print_inputs(cli *c)
{
    char *text = NULL;
    xani_status st = xani_info(c->context, (const char *const *)c->args, (size_t)c->n_args, &text);
    if (st != XANI_OK) return st;
    json_t *plan = json_loads(text, 0, NULL);
    xani_free(text);
    if (plan != NULL) json_object_set_new(plan, "would_write", cli_text(c->output));
    return cli_result(c, "xani.plan", plan);
}

static xani_status written(cli *c, const char *schema, const char *path)
{
    if (c->json) return cli_result(c, schema, json_pack("{s:o}", "written", cli_text(path)));
    struct stat s;
    if (stat(path, &s) == 0 && S_ISREG(s.st_mode)) {
        char *size = cli_bytes((double)s.st_size);
        printf("%s  %s\n", path, size);
        free(size);
    } else {
        printf("%s\n", path);
    }
    return XANI_OK;
}

xani_status cli_run_sim(cli *c)
{
    xani_status st = need_output(c);
    if (st != XANI_OK) return st;
    xani_config *config = NULL;
    st = cli_open_config(c, c->args[0], &config);
    if (st != XANI_OK) return st;
    if (c->dry_run) {
        char *yaml = NULL;
        st = xani_sim(c->context, config, NULL);
        if (st == XANI_OK) st = xani_config_text(c->context, config, &yaml);
        if (st == XANI_OK)
            st = cli_result(
                c, "xani.plan",
                json_pack("{s:o, s:o}", "would_write", cli_text(c->output), "configuration", cli_text(yaml)));
        xani_free(yaml);
    } else {
        st = xani_sim(c->context, config, c->output);
        if (st == XANI_OK) st = written(c, "xani.sim", c->output);
    }
    xani_config_destroy(&config);
    return st;
}

// The cube, or with a second axis NAME_1.h5, NAME_2.h5, ...
static xani_status written_cubes(cli *c)
{
    size_t n = strlen(c->output);
    if (n > 3 && strcmp(c->output + n - 3, ".h5") == 0) n -= 3;
    struct stat s;
    if (stat(c->output, &s) == 0) {
        if (!c->json) return written(c, "xani.reduce", c->output);
        json_t *one = cli_reduced(c, c->output);
        json_object_set_new(one, "written", cli_text(c->output));
        return cli_result(c, "xani.reduce", one);
    }
    json_t *all = json_array(), *cubes = json_array();
    for (int i = 1; i <= MOST_VALUES; i++) { // a value without a shot has no cube
        char path[4096];
        snprintf(path, sizeof path, "%.*s_%d.h5", (int)n, c->output, i);
        if (stat(path, &s) != 0) continue;
        json_array_append_new(all, cli_text(path));
        if (!c->json) printf("%s\n", path);
        if (c->json) json_array_append_new(cubes, cli_reduced(c, path)); // in the same order
    }
    if (c->json) return cli_result(c, "xani.reduce", json_pack("{s:o, s:o}", "written", all, "cubes", cubes));
    json_decref(all);
    json_decref(cubes);
    return XANI_OK;
}

xani_status cli_run_reduce(cli *c)
{
    xani_status st = need_output(c);
    if (st != XANI_OK) return st;
    xani_config *config = NULL;
    st = cli_open_config(c, c->args[0], &config);
    if (st != XANI_OK) return st;
    if (c->dry_run) {
        st = print_plan(c, config);
    } else {
        st = xani_reduce(c->context, config, c->output);
        if (st == XANI_OK) st = written_cubes(c);
    }
    xani_config_destroy(&config);
    return st;
}

xani_status cli_run_merge(cli *c)
{
    xani_status st = need_output(c);
    if (st != XANI_OK) return st;
    if (c->dry_run) return print_inputs(c);
    st = xani_merge(c->context, (const char *const *)c->args, (size_t)c->n_args, c->output);
    return st == XANI_OK ? written(c, "xani.merge", c->output) : st;
}

xani_status cli_run_dark(cli *c)
{
    xani_status st = need_output(c);
    if (st != XANI_OK) return st;
    xani_config *config = NULL;
    st = cli_open_config(c, c->args[0], &config);
    if (st != XANI_OK) return st;
    st = xani_dark(c->context, config, c->dry_run ? NULL : c->output);
    if (st == XANI_OK)
        st = c->dry_run ? cli_result(c, "xani.plan", json_pack("{s:o}", "would_write", cli_text(c->output)))
                        : written(c, "xani.dark", c->output);
    xani_config_destroy(&config);
    return st;
}

static xani_status written_modes(cli *c)
{
    if (!c->json) return written(c, "xani.fit", c->output);
    json_t *fitted = cli_fitted(c, c->output);
    json_object_set_new(fitted, "written", cli_text(c->output));
    return cli_result(c, "xani.fit", fitted);
}

xani_status cli_run_fit(cli *c)
{
    if (c->model.expression != NULL) return cli_fit_model(c);
    if (c->model.first != NULL)
        return cli_fail(c, XANI_ERR_USAGE, "--%s belongs to --model EXPRESSION, which is missing", c->model.first);
    if (c->n_args != 1)
        return cli_fail(c, XANI_ERR_USAGE, "usage: xani %s %s", c->command->name, c->command->arguments);
    xani_status st = need_output(c);
    if (st != XANI_OK) return st;
    xani_config *config = NULL;
    st = cli_open_config_of(c, c->args[0], &config);
    if (st != XANI_OK) return st;
    if (c->dry_run) {
        st = print_inputs(c);
    } else {
        st = xani_fit(c->context, config, c->args[0], c->output);
        xani_status printed = cli_is_done(c, st) ? written_modes(c) : XANI_OK;
        if (st == XANI_OK) st = printed;
    }
    xani_config_destroy(&config);
    return st;
}

// --dry-run of the map: what it would refuse, and the plan.
static xani_status print_map_plan(cli *c, const xani_config *config)
{
    char *text = NULL;
    xani_status st =
        xani_map_plan(c->context, config, (const char *const *)c->args, (size_t)c->n_args, c->output, &text);
    if (st != XANI_OK) return st;
    json_t *plan = json_loads(text, 0, NULL);
    xani_free(text);
    if (plan != NULL) json_object_set_new(plan, "would_write", cli_text(c->output));
    return cli_result(c, "xani.plan", plan);
}

static xani_status written_map(cli *c)
{
    if (!c->json) return written(c, "xani.map", c->output);
    json_t *one = cli_mapped(c, c->output);
    json_object_set_new(one, "written", cli_text(c->output));
    return cli_result(c, "xani.map", one);
}

xani_status cli_run_map(cli *c)
{
    xani_status st = need_output(c);
    if (st != XANI_OK) return st;
    if (c->config == NULL && c->n_set > 0)
        return cli_fail(c, XANI_ERR_USAGE, "--set needs --config here: without it the stored configuration is used");
    xani_config *config = NULL;
    if (c->config != NULL) st = cli_open_config(c, c->config, &config);
    if (st != XANI_OK) return st;
    if (c->dry_run) {
        st = print_map_plan(c, config);
    } else {
        st = xani_map(c->context, config, (const char *const *)c->args, (size_t)c->n_args, c->output);
        if (st == XANI_OK) st = written_map(c);
    }
    xani_config_destroy(&config);
    return st;
}

// The folder the library wrote to: -o, else what its summary says, as far as JSON can say that.
static xani_status report_folder(cli *c, const char *asked, const char *truth, const json_t *summary)
{
    const json_t *values = json_object_get(summary, "values"), *one;
    const char *dir = asked != NULL ? asked : json_string_value(json_object_get(summary, "directory"));
    size_t i;
    struct stat s;
    xani_status st = XANI_OK;
    if (dir == NULL) return XANI_OK;
    if (stat(dir, &s) != 0) return cli_not_utf8(c, dir);
    if (values == NULL) return cli_report(c, dir, truth);
    json_array_foreach(values, i, one)
    {
        char *folder = cli_format("%s/value_%d", dir, (int)json_integer_value(json_object_get(one, "number")));
        if (st == XANI_OK) st = report_folder(c, folder, truth, one);
        free(folder);
    }
    return st;
}

xani_status cli_run_pipeline(cli *c, const xani_config *config, const char *dir, const char *truth, json_t **summary)
{
    char *text = NULL;
    *summary = NULL;
    xani_status st = xani_run(c->context, config, dir, &text);
    if (text != NULL) *summary = json_loads(text, 0, NULL);
    xani_free(text);
    if (*summary == NULL) *summary = json_object();
    if (!cli_is_done(c, st)) return st;
    if (json_is_false(json_object_get(*summary, "report"))) return st;
    xani_status reported = report_folder(c, dir, truth, *summary);
    return reported != XANI_OK ? reported : st;
}

xani_status cli_run_run(cli *c)
{
    xani_config *config = NULL;
    xani_status st = cli_open_config(c, c->args[0], &config);
    if (st != XANI_OK) return st;
    if (c->dry_run) {
        st = print_plan(c, config);
        xani_config_destroy(&config);
        return st;
    }
    json_t *summary = NULL;
    st = cli_run_pipeline(c, config, c->output, c->truth, &summary);
    xani_config_destroy(&config);
    if (st != XANI_OK && st != c->outcome) {
        json_decref(summary);
        return st;
    }
    xani_status printed = cli_result(c, "xani.run", summary);
    return st != XANI_OK ? st : printed;
}
