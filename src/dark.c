// SPDX-License-Identifier: BSD-3-Clause
// dark.c -- xani dark: from the dark runs of a configuration to calibration.h5.
//
// Each run is opened by the reader of input.layout with a copy of the configuration whose files are those of the run
// and which asks for frames without readings; its frames then go to reduce/dark.c.
#include <stdlib.h>
#include <string.h>

#include "identity.h"
#include "io/h5.h"
#include "pipeline.h"
#include "reduce/dark.h"
#include "source/source.h"

// The stage of run i; all of one family, none twice.
static xani_status find_stages(xn_ctx *ctx, const xn_config *config, int n, const xn_dark_stage **stage, bool *high)
{
    char key[XN_KEY_LENGTH];
    *high = false;
    for (int i = 0; i < n; i++) {
        stage[i] = xn_dark_find(xn_config_string(config, xn_key(key, "dark.runs[%d].stage", i)));
        if (stage[i]->family != stage[0]->family)
            return xn_config_bad(ctx, config, key, "%s and %s are stages of different detectors", stage[0]->name,
                                 stage[i]->name);
        for (int k = 0; k < i; k++)
            if (stage[k] == stage[i])
                return xn_config_bad(ctx, config, key, "%s is given twice; several files may make one run",
                                     stage[i]->name);
        *high = *high || strcmp(stage[i]->name, "hg0") == 0;
    }
    return XANI_OK;
}

// A copy that reads the frames of run i.
static xani_status config_of_run(xn_ctx *ctx, const xn_config *config, int i, xn_config **copy)
{
    char key[XN_KEY_LENGTH], one[XN_KEY_LENGTH];
    XN_TRY(xn_config_require(ctx, config, xn_key(key, "dark.runs[%d].files", i), "the files of the dark run"));
    json_t *list = json_array();
    for (int k = 0; k < xn_config_count(config, key); k++)
        json_array_append_new(list, json_string(xn_config_string(config, xn_key(one, "%s[%d]", key, k))));
    char *text = json_dumps(list, JSON_COMPACT), *files = text != NULL ? xn_format("input.files=%s", text) : NULL;
    xani_status st = files != NULL ? xn_config_copy(ctx, config, copy) : xn_fail_memory(ctx, "file names", 4096);
    if (st == XANI_OK) st = xani_config_assign(ctx, *copy, files);
    if (st == XANI_OK) st = xani_config_assign(ctx, *copy, "input.frames_only=true");
    json_decref(list);
    free(text);
    xn_free(files);
    return st;
}

// All input files, for the provenance.
static xani_status add_files(xn_ctx *ctx, const xn_config *config, char ***all)
{
    char **files = NULL;
    size_t n = 0, more = 0;
    XN_TRY(xn_source_files(ctx, config, -1, &files));
    while (*all != NULL && (*all)[n] != NULL) n++;
    while (files[more] != NULL) more++;
    char **grown = xn_realloc(*all, n + more + 1, sizeof *grown);
    if (grown == NULL) {
        xn_h5_names_free(files);
        return xn_fail_memory(ctx, "file names", (n + more) * sizeof *grown);
    }
    memcpy(grown + n, files, (more + 1) * sizeof *grown);
    xn_free(files);
    *all = grown;
    return XANI_OK;
}

// dark NULL: the run is only opened.
static xani_status one_run(xn_ctx *ctx, const xn_config *config, int i, const xn_dark_stage *stage, bool high,
                           xn_dark *dark, char ***inputs)
{
    xn_config *copy = NULL;
    xn_source *source = NULL;
    xani_status st = config_of_run(ctx, config, i, &copy);
    if (st == XANI_OK) st = add_files(ctx, copy, inputs);
    if (st == XANI_OK) st = xn_source_open(ctx, copy, -1, &source);
    if (st == XANI_OK && source->ops->read_frame == NULL)
        st = xn_config_bad(ctx, config, "input.layout", "%s has no frames", source->ops->layout);
    if (st == XANI_OK && dark == NULL)
        xn_note(ctx, "%s: %lld frames of %lld x %lld", stage->name, (long long)source->shots.n, (long long)source->ny,
                (long long)source->nx);
    if (st == XANI_OK && dark != NULL && dark->n_stages == 0) st = xn_dark_make(ctx, stage->family, high, source, dark);
    if (st == XANI_OK && dark != NULL) st = xn_dark_add(ctx, copy, source, stage, dark);
    if (st == XANI_OK && dark != NULL)
        xn_note(ctx, "%s: %lld frames used, %lld in another stage", stage->name, (long long)dark->used[stage->plane],
                (long long)dark->rejected[stage->plane]);
    xn_source_close(&source);
    xani_config_destroy(&copy);
    return xn_context(ctx, st, "dark.runs[%d]", i);
}

static void say_bad(xn_ctx *ctx, const xn_dark *d)
{
    int64_t bad = 0;
    for (int64_t i = 0; i < d->ny * d->nx; i++) bad += d->mask[i] != 0;
    xn_note(ctx, "%lld of %lld pixels are bad", (long long)bad, (long long)(d->ny * d->nx));
}

xani_status xn_pipeline_dark(xn_ctx *ctx, const xn_config *config, const char *path)
{
    xn_dark dark = {0};
    char **inputs = NULL;
    bool high = false;
    static const char *const none[] = {NULL};
    XN_TRY(xn_config_require(ctx, config, "dark.runs", "the dark runs: [{stage: g0, files: [...]}, ...]"));
    if (path != NULL) XN_TRY(xn_inputs_spare(ctx, path, XN_RESULT_CALIBRATION, config, none));
    int n = xn_config_count(config, "dark.runs");
    const xn_dark_stage **stage = xn_calloc((size_t)n, sizeof(xn_dark_stage *));
    xani_status st = stage != NULL ? find_stages(ctx, config, n, stage, &high) : xn_fail_memory(ctx, "the stages", 8);
    for (int i = 0; i < n && st == XANI_OK; i++)
        st = one_run(ctx, config, i, stage[i], high, path != NULL ? &dark : NULL, &inputs);
    if (st == XANI_OK && path != NULL)
        st = xn_inputs_spare(ctx, path, XN_RESULT_CALIBRATION, config, (const char *const *)inputs);
    const xn_provenance p = {.config = config, .inputs = (const char *const *)inputs};
    if (st == XANI_OK && path != NULL) say_bad(ctx, &dark);
    if (st == XANI_OK && path != NULL) st = xn_result_write_calibration(ctx, path, &dark, &p);
    xn_free(stage);
    xn_h5_names_free(inputs);
    xn_dark_free(&dark);
    return st;
}
