// SPDX-License-Identifier: BSD-3-Clause
// repack.c -- the public interface of the repacker (xani/repack.h says what each function does).
#include "io/repack/repack.h"

#include <stdlib.h>
#include <string.h>

void xani_repack_options_init(xani_repack_options *options)
{
    if (options == NULL) return;
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
    options->filter = "bslz4";
    options->last = -1;
}

xani_status xani_repack(xani_context *context, const char *const *inputs, size_t n_inputs, const char *output,
                        const xani_repack_options *options, char **summary)
{
    if (summary) *summary = NULL;
    XN_BEGIN(context);
    XN_NEED(context, output);
    XN_TRY(xn_need_all(context, __func__, "inputs", inputs, n_inputs));
    xani_repack_options all;
    json_t *answer = NULL;
    xani_repack_options_init(&all);
    if (options && (options->size == 0 || options->size > sizeof all))
        return xn_fail(context, XANI_ERR_USAGE, "options of %zu bytes: use xani_repack_options_init", options->size);
    if (options) memcpy(&all, options, options->size);
    if (all.filter == NULL) all.filter = "bslz4";
    xani_status st = xn_repack(context, inputs, n_inputs, output, &all, &answer);
    char *text = st == XANI_OK && summary ? json_dumps(answer, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    if (text) *summary = xn_strdup(text);
    if (st == XANI_OK && summary && *summary == NULL) st = xn_fail_memory(context, "the answer", 4096);
    free(text);
    json_decref(answer);
    return xn_answer(context, st);
}
