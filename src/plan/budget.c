// SPDX-License-Identifier: BSD-3-Clause
// budget.c -- `xani plan`: what an experiment can show, in the order in which it is worked out.
//
// It serves before a beam time, from a configuration alone; during one, with raw files there; and afterwards, with
// cubes and modes.  What is measured replaces what would be assumed, and what is given (plan.*) beats both.
#include <math.h>
#include <string.h>

#include "io/h5.h"
#include "pipeline.h"
#include "plan/plan.h"
#include "source/source.h"

// Whether raw files are there; a configuration may name files that will be.
static xani_status files_there(xn_plan *p, bool *there)
{
    int run = xn_source_runs(p->config) > 0 ? 0 : -1;
    bool named = xn_config_has(p->config, "input.layout") &&
                 (xn_config_has(p->config, "input.files") || (run == 0 && xn_config_has(p->config, "runs[0].files")));
    *there = false;
    if (!named) return XANI_OK;
    char **files = NULL;
    xani_status st = xn_source_files(p->ctx, p->config, run, &files);
    xn_h5_names_free(files);
    if (st == XANI_OK || st == XANI_ERR_MEMORY) {
        *there = st == XANI_OK;
        return st;
    }
    xn_note(p->ctx, "plan: nothing measured yet (%s)", xani_error_text(p->ctx));
    xn_clear_error(p->ctx);
    return XANI_OK;
}

static xani_status measure(xn_plan *p)
{
    bool measured = false, there = false;
    XN_TRY(xn_plan_cubes(p, &measured));
    if (measured) return XANI_OK;
    XN_TRY(files_there(p, &there));
    return there ? xn_plan_probe(p) : XANI_OK;
}

static xani_status make(xn_plan *p, json_t *answer)
{
    XN_TRY(xn_plan_settings(p));
    XN_TRY(xn_plan_scene(p));
    XN_TRY(xn_plan_bins_configured(p));
    XN_TRY(xn_plan_results(p));
    XN_TRY(measure(p));
    xn_plan_assume(p);
    XN_TRY(xn_plan_errors(p));
    XN_TRY(xn_plan_look(p));
    XN_TRY(xn_plan_compare(p));
    XN_TRY(xn_plan_predict(p));
    XN_TRY(xn_plan_answer(p, answer));
    return xn_plan_coverage(p, answer);
}

static void clear(xn_plan *p)
{
    for (int run = 0; run < p->n_runs; run++) {
        if (p->measured != NULL) xn_free(p->measured[run]);
        if (p->cube_path != NULL) xn_free(p->cube_path[run]);
        if (p->modes_path != NULL) xn_free(p->modes_path[run]);
    }
    void *all[] = {p->measured, p->cube_path, p->modes_path, p->group, p->sight, p->msd, p->now, p->solid};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
    for (int k = 0; k < XN_PLAN_GROUPINGS; k++) xn_free(p->outcome[k]);
    for (int k = 0; k < 2; k++) xn_crystal_free(&p->table[k]);
    xn_forces_free(&p->before);
    xn_forces_free(&p->after);
    xn_scene_free(&p->scene);
    xn_plan_trace_free(&p->trace);
    json_decref(p->results);
}

xani_status xn_plan_budget(xn_ctx *ctx, const xn_config *config, json_t **answer)
{
    xn_plan p = {.ctx = ctx, .config = config, .results = json_array()};
    json_t *o = json_object();
    *answer = NULL;
    xani_status st = make(&p, o);
    clear(&p);
    if (st == XANI_OK)
        *answer = o;
    else
        json_decref(o);
    return st;
}
