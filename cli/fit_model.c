// SPDX-License-Identifier: BSD-3-Clause
// fit_model.c -- xani fit --model: another model than damped oscillations, on a cube or any dataset.
//
// Everything that can be wrong in the expression or a --param is found before the input is opened, so that a message
// about a parameter does not come after an hour.
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

// --model list: a table of the functions an expression may use.
static xani_status list_functions(cli *c)
{
    json_t *rows = json_array();
    const xani_model_info *info;
    for (int i = 0; (info = xani_model_table(i)) != NULL; i++)
        json_array_append_new(rows, json_pack("{s:s, s:s, s:s}", "function", info->name, "parameters", info->parameters,
                                              "text", info->formula));
    return cli_result(c, "xani.models", json_pack("{s:o}", "functions", rows));
}

static xani_status make_model(cli *c, xani_model **model)
{
    xani_status st = xani_model_create(c->context, c->model.expression, NULL, 0, model);
    for (int i = 0; i < c->model.n_param && st == XANI_OK; i++)
        st = xani_model_set(c->context, *model, c->model.param[i]);
    return st;
}

// --dry-run: the parameters in order, and what would be written.
static xani_status print_model(cli *c, const xani_model *model)
{
    json_t *names = json_array();
    for (int k = 0; k < xani_model_count(model); k++)
        json_array_append_new(names, json_string(xani_model_parameter(model, k)));
    return cli_result(c, "xani.plan",
                      json_pack("{s:o, s:o, s:o, s:o}", "model", cli_text(c->model.expression), "parameters", names,
                                "input", cli_text(c->args[0]), "would_write", cli_text(c->output)));
}

static xani_status fit(cli *c, const xani_config *config, const xani_model *model)
{
    xani_model_file file;
    xani_model_options options;
    xani_model_file_init(&file);
    xani_model_options_init(&options);
    file.input = c->args[0];
    file.data = c->model.data;
    file.x = c->model.x;
    file.sigma = c->model.sigma;
    file.axis = c->model.axis;
    file.range[0] = c->model.range[0];
    file.range[1] = c->model.range[1];
    file.covariance = c->model.covariance;
    options.absolute_sigma = !c->model.relative_sigma;
    char *text = NULL;
    xani_status st = xani_model_fit_file(c->context, config, model, &options, &file, c->output, &text);
    if (!cli_is_done(c, st)) {
        xani_free(text);
        return st;
    }
    xani_status printed = cli_result_text(c, "xani.fit", text);
    return st != XANI_OK ? st : printed;
}

xani_status cli_fit_model(cli *c)
{
    if (strcmp(c->model.expression, "list") == 0) return list_functions(c);
    if (c->n_args != 1)
        return cli_fail(c, XANI_ERR_USAGE, "usage: xani %s %s", c->command->name, c->command->arguments);
    if (c->output == NULL)
        return cli_fail(c, XANI_ERR_USAGE, "-o is missing; usage: xani %s %s", c->command->name, c->command->arguments);
    xani_model *model = NULL;
    xani_config *config = NULL;
    xani_status st = make_model(c, &model);
    if (st == XANI_OK) st = cli_open_config_of(c, c->args[0], &config);
    if (st == XANI_OK) st = c->dry_run ? print_model(c, model) : fit(c, config, model);
    xani_config_destroy(&config);
    xani_model_destroy(&model);
    return st;
}
