// SPDX-License-Identifier: BSD-3-Clause
// budget.c -- `xani plan`: what an experiment can show, in the order in which it is worked out.
//
// It serves before a beam time, from a configuration alone; during one, with raw files there; and afterwards, with
// cubes and modes.  What is measured replaces what would be assumed, and what is given (plan.*) beats both.
#include <math.h>
#include <stdio.h>
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
    if (!p->fill) xn_note(p->ctx, "plan: nothing measured yet (%s)", xani_error_text(p->ctx));
    xn_clear_error(p->ctx);
    return XANI_OK;
}

// Cubes of fewer facts, as of other programs, leave some to the raw files: what shots can tell.
static bool unknown(const xn_plan *p)
{
    static const xn_plan_what told[] = {XN_PLAN_PHOTONS, XN_PLAN_I0, XN_PLAN_MONITOR, XN_PLAN_SHOTS, XN_PLAN_USED};
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++)
        if (isnan(p->value[told[i]].value)) return true;
    return false;
}

static xani_status measure(xn_plan *p)
{
    bool measured = false, there = false;
    XN_TRY(xn_plan_cubes(p, &measured));
    if (measured && !unknown(p)) return XANI_OK;
    p->fill = measured;
    XN_TRY(files_there(p, &there));
    if (there) XN_TRY(xn_plan_probe(p));
    p->fill = false;
    return XANI_OK;
}

static xani_status learn(xn_plan *p)
{
    XN_TRY(xn_plan_settings(p));
    XN_TRY(xn_plan_scene(p));
    XN_TRY(xn_plan_bins_configured(p));
    XN_TRY(xn_plan_results(p));
    XN_TRY(measure(p));
    xn_plan_assume(p);
    return xn_plan_errors(p);
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

// Results of other pixel groups say how strong and how fast modes are when they are compared in their own groups.
static xani_status compare_in_theirs(xn_plan *p, int bin, xn_plan *theirs)
{
    char text[64];
    xn_config *c = NULL;
    snprintf(text, sizeof text, "reduce.spatial_bin=%d", bin);
    xani_status st = xn_config_copy(p->ctx, p->config, &c);
    *theirs = (xn_plan){.ctx = p->ctx, .config = c, .results = json_array()};
    if (st == XANI_OK) st = xani_config_assign(p->ctx, c, text);
    if (st == XANI_OK) st = learn(theirs);
    if (st == XANI_OK) st = xn_plan_look(theirs);
    if (st == XANI_OK) st = xn_plan_compare(theirs);
    const xn_plan_value *b = &theirs->value[XN_PLAN_BACKGROUND];
    if (st == XANI_OK && strcmp(b->from, "brightness") == 0) xn_plan_measured(p, XN_PLAN_BACKGROUND, b->value, b->from);
    clear(theirs); // what is left are numbers
    xani_config_destroy(&c);
    return st;
}

static void take_over(xn_plan *p, const xn_plan *theirs)
{
    p->amplitude_from = theirs->amplitude_from;
    p->amplitude_scale = theirs->amplitude_scale;
    for (int b = 0; b < p->branches; b++) {
        p->damping_per_ps[b] = theirs->damping_per_ps[b];
        p->damping_from[b] = theirs->damping_from[b];
    }
    xn_plan_shift(p, theirs->frequency_scale);
}

static xani_status make(xn_plan *p, json_t *answer)
{
    xn_plan theirs;
    int bin = 0;
    XN_TRY(learn(p));
    if (p->has_crystal) XN_TRY(xn_plan_results_bin(p, &bin));
    const bool other = bin > 0 && bin != p->bin;
    if (other) XN_TRY(compare_in_theirs(p, bin, &theirs));
    XN_TRY(xn_plan_look(p));
    XN_TRY(xn_plan_compare(p));
    if (other) take_over(p, &theirs);
    XN_TRY(xn_plan_predict(p));
    XN_TRY(xn_plan_answer(p, answer));
    return xn_plan_coverage(p, answer);
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
