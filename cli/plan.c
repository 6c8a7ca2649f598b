// SPDX-License-Identifier: BSD-3-Clause
// plan.c -- `xani plan CONFIG [RESULT...]`: what an experiment can show, before, during and after it.
//
// The results named after the configuration become plan.results, as JSON, which is YAML.  The answer is the library's;
// --draw makes a picture of it too (draw_plan.c).
#include <stdlib.h>

#include "cli/cli.h"

static xani_status open_config(cli *c, xani_config **config)
{
    xani_status st = cli_open_config(c, c->args[0], config);
    if (st != XANI_OK || c->n_args < 2) return st;
    json_t *list = json_array();
    for (int i = 1; st == XANI_OK && i < c->n_args; i++) {
        char *path = realpath(c->args[i], NULL);
        if (json_array_append_new(list, json_string(path != NULL ? path : c->args[i])) != 0)
            st = cli_not_utf8(c, c->args[i]);
        free(path);
    }
    if (st != XANI_OK) {
        json_decref(list);
        return st;
    }
    char *paths = json_dumps(list, 0), *assignment = cli_format("plan.results=%s", paths != NULL ? paths : "[]");
    st = xani_config_assign(c->context, *config, assignment);
    free(assignment);
    free(paths);
    json_decref(list);
    return st;
}

xani_status cli_run_plan(cli *c)
{
    xani_config *config = NULL;
    char *text = NULL;
    xani_status st = open_config(c, &config);
    if (st == XANI_OK) st = xani_plan(c->context, config, &text);
    xani_config_destroy(&config);
    if (st == XANI_OK && c->draw != NULL) st = cli_draw_plan(c, text);
    if (st == XANI_OK) return cli_result_text(c, "xani.plan", text);
    xani_free(text);
    return st;
}
