// SPDX-License-Identifier: BSD-3-Clause
// merge.c -- `xani merge`: cube files to the one that a single reduction of all their shots gives.
//
// The sums are added by reduce/merge.c, two cubes in memory at a time.  Here are the files: they are taken in the order
// of their first shots, whatever the order of the names, so that the result is the same file; and what their stored
// configurations must agree on, because the sums alone do not show it, is compared.  The result keeps the
// configuration of the first, the inputs of all, and the names of the cubes.
#include <stdlib.h>
#include <string.h>

#include "identity.h"
#include "io/h5.h"
#include "pipeline.h"
#include "reduce/reduce.h"

typedef struct part {
    const char *path;
    uint64_t first_shot;
} part;

static int by_first_shot(const void *a, const void *b)
{
    const part *x = a, *y = b;
    if (x->first_shot != y->first_shot) return x->first_shot < y->first_shot ? -1 : 1;
    return strcmp(x->path, y->path);
}

// ---- configurations

// Sums are of the same quantity when frames became photons, and shots were chosen, in the same way: all keys that say
// how must agree, but for those here.  LOOSE may differ between runs of one experiment and is told; what else is listed
// names places, or is compared by what it led to (the edges of the bins).
#define LOOSE                                                                                                          \
    "input.laser", "input.delay", "input.mask", "input.ids", "input.calibration.pedestal", "input.calibration.gain"
static xani_status compare(xn_ctx *ctx, const xn_config *a, const xn_config *b, const char *first, const char *path)
{
    static const char *const parts[] = {"experiment.energy_kev", "input", "select", "reduce"}, *const loose[] = {LOOSE};
    static const char *const skip[] = {LOOSE,
                                       "input.files",
                                       "input.part",
                                       "input.run_numbers",
                                       "input.unreadable",
                                       "input.scan",
                                       "input.readings[].file",
                                       "input.calibration.pedestal_dataset",
                                       "input.calibration.gain_dataset",
                                       "input.calibration.ranges_file",
                                       "reduce.delay_bins_ps",
                                       "reduce.spatial_bin",
                                       "reduce.find_zero",
                                       NULL},
                             *const none[] = {NULL};
    xn_config_difference d = {.key = ""};
    for (int k = 0; k < (int)(sizeof parts / sizeof parts[0]); k++)
        if (xn_config_differ(a, b, parts[k], skip, &d))
            return xn_fail(ctx, XANI_ERR_INPUT,
                           "%s and %s cannot be merged: their configurations differ in %s: %s and %s", first, path,
                           d.key, d.value[0], d.value[1]);
    for (int k = 0; k < (int)(sizeof loose / sizeof loose[0]); k++)
        if (xn_config_differ(a, b, loose[k], none, &d))
            xn_warn(ctx, "%s and %s: their configurations differ in %s: %s and %s", first, path, d.key, d.value[0],
                    d.value[1]);
    return XANI_OK;
}

static void warn_windows(xn_ctx *ctx, const xn_config *c)
{
    static const char *const keys[] = {"select.i0.percentile", "select.i0.mad", "select.max_shots",
                                       "select.i0_correction.auto"};
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
        if (xn_config_has(c, keys[k]))
            xn_warn(ctx, "%s was applied to each cube by itself; one reduction of all shots may choose others",
                    keys[k]);
}

// ---- inputs of all

// *shared: some were known already.
static xani_status add_inputs(xn_ctx *ctx, const char *path, char ***inputs, size_t *n, bool *shared)
{
    char **more = NULL;
    *shared = false;
    XN_TRY(xn_result_read_inputs(ctx, path, &more));
    size_t count = 0;
    while (more != NULL && more[count] != NULL) count++;
    char **all = xn_realloc(*inputs, *n + count + 1, sizeof *all);
    if (all == NULL) {
        xn_h5_names_free(more);
        return xn_fail_memory(ctx, "the list of inputs", (*n + count) * sizeof *all);
    }
    for (size_t i = 0; i < count; i++) {
        bool known = false;
        for (size_t k = 0; k < *n && !known; k++) known = strcmp(all[k], more[i]) == 0;
        *shared = *shared || known;
        if (known)
            xn_free(more[i]);
        else
            all[(*n)++] = more[i];
    }
    all[*n] = NULL;
    *inputs = all;
    xn_free(more);
    return XANI_OK;
}

// ---- the whole

typedef struct joint {
    xn_merge *merge;
    xn_config *config; // of the first cube, NULL when none is stored
    xn_identity *identity;
    char **inputs;
    size_t n_inputs;
} joint;

// Ids of NeXus files without a dataset of ids number the frames of each series from 1: shots of different files are
// different shots, and are counted on as in one reduction of all files.  Parts of a run, which share its files, are in
// common numbers already.
static xani_status tell_apart(xn_ctx *ctx, const joint *j, const char *first, const char *path, bool shared,
                              xn_cube *cube)
{
    const char *layout = j->config != NULL ? xn_config_string(j->config, "input.layout") : NULL;
    const bool nexus = layout != NULL && (strcmp(layout, "nexus") == 0 || strcmp(layout, "nxmx") == 0);
    const xn_shots *before = xn_merge_shots(j->merge), *s = &cube->shots;
    if (!nexus || before->n == 0 || s->n == 0) return XANI_OK;
    if (xn_config_has(j->config, "input.ids") || shared) return XANI_OK;
    if (s->n == before->n && memcmp(s->i0, before->i0, (size_t)s->n * sizeof *s->i0) == 0)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s and %s cannot be merged: the I0 of all shots is the same in both",
                       first, path);
    const uint64_t last = before->pulse_id[before->n - 1];
    for (int64_t i = 0; i < s->n; i++) s->pulse_id[i] += last;
    return XANI_OK;
}

static xani_status add_file(xn_ctx *ctx, joint *j, const char *first, const char *path)
{
    xn_config *config = NULL;
    xn_cube cube = {0};
    char *identity = NULL;
    bool shared;
    xani_status st;
    XN_GOTO(out, st, xn_result_stored(ctx, path, &config));
    if (j->config != NULL && config != NULL) XN_GOTO(out, st, compare(ctx, j->config, config, first, path));
    XN_GOTO(out, st, xn_result_read_identity(ctx, path, &identity));
    xn_identity_add(j->identity, identity ? identity : path);
    XN_GOTO(out, st, add_inputs(ctx, path, &j->inputs, &j->n_inputs, &shared));
    XN_GOTO(out, st, xn_result_read_cube(ctx, path, &cube));
    XN_GOTO(out, st, tell_apart(ctx, j, first, path, shared, &cube));
    st = xn_merge_add(ctx, j->merge, &cube, path);
    if (j->config == NULL) {
        j->config = config;
        config = NULL;
    }
out:
    xn_free(identity);
    xn_cube_free(&cube);
    xani_config_destroy(&config);
    return st;
}

static xani_status merge_parts(xn_ctx *ctx, joint *j, const part *parts, size_t n, const char *output)
{
    char *identity = NULL;
    xn_cube cube = {0};
    xani_status st;
    const char **names = xn_calloc(n + 1, sizeof(char *));
    if (names == NULL) return xn_fail_memory(ctx, "merging", n * sizeof(char *));
    for (size_t i = 0; i < n; i++) names[i] = parts[i].path;
    XN_GOTO(out, st, xn_inputs_spare(ctx, output, XN_RESULT_CUBE, NULL, names));
    XN_GOTO(out, st, xn_merge_create(ctx, &j->merge));
    XN_GOTO(out, st, xn_identity_create(ctx, "merge", &j->identity));
    for (size_t i = 0; i < n; i++) {
        XN_GOTO(out, st, add_file(ctx, j, parts[0].path, parts[i].path));
        xn_progress(ctx, "merge", (int64_t)i + 1, (int64_t)n, "cubes");
    }
    if (j->inputs != NULL)
        XN_GOTO(out, st, xn_inputs_spare(ctx, output, XN_RESULT_CUBE, NULL, (const char *const *)j->inputs));
    int threads = j->config ? xn_threads((int)xn_config_int(j->config, "engine.threads")) : xn_threads(0);
    if (j->config != NULL) warn_windows(ctx, j->config);
    XN_GOTO(out, st, xn_merge_finish(ctx, j->merge, threads, &cube));
    XN_GOTO(out, st, xn_identity_text(ctx, j->identity, &identity));
    const xn_provenance p = {
        .config = j->config, .inputs = (const char *const *)j->inputs, .identity = identity, .merged = names};
    st = xn_result_write_cube(ctx, output, &cube, &p);
out:
    xn_free(names);
    xn_free(identity);
    xn_cube_free(&cube);
    return st;
}

xani_status xn_pipeline_merge(xn_ctx *ctx, const char *const *paths, size_t n, const char *output)
{
    joint j = {0};
    xani_status st = XANI_OK;
    if (n == 0) return xn_fail(ctx, XANI_ERR_USAGE, "no cubes to merge");
    part *parts = xn_calloc(n, sizeof *parts);
    if (parts == NULL) return xn_fail_memory(ctx, "merging", n * sizeof *parts);
    for (size_t i = 0; i < n && st == XANI_OK; i++) {
        parts[i].path = paths[i];
        st = xn_result_read_first_shot(ctx, paths[i], &parts[i].first_shot);
    }
    if (st == XANI_OK) qsort(parts, n, sizeof *parts, by_first_shot); // else some have no path yet
    if (st == XANI_OK) st = merge_parts(ctx, &j, parts, n, output);
    xn_merge_destroy(&j.merge);
    xn_identity_destroy(&j.identity);
    xani_config_destroy(&j.config);
    if (j.inputs != NULL) xn_h5_names_free(j.inputs);
    xn_free(parts);
    return st;
}
