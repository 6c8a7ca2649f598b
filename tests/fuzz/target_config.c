// SPDX-License-Identifier: BSD-3-Clause
// target_config.c -- any text is a configuration or an error with a text, and what was read can be written and read.
#include "core/config.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static xn_ctx *ctx;
    if (ctx == NULL && xani_create(&ctx) != XANI_OK) return 0;
    char *text = malloc(n + 1);
    memcpy(text, data, n);
    text[n] = '\0';
    xn_config *c = NULL, *again = NULL;
    char *written = NULL;
    xn_clear_error(ctx);
    if (xn_config_parse(ctx, text, "fuzz.yaml", ".", &c) != XANI_OK) {
        FUZZ_HOLDS(xani_error_text(ctx)[0] != '\0');
    } else if (xn_config_text(ctx, c, &written) == XANI_OK) {
        FUZZ_HOLDS(xn_config_parse(ctx, written, "again.yaml", ".", &again) == XANI_OK);
    }
    xani_config_destroy(&c);
    xani_config_destroy(&again);
    xn_free(written);
    free(text);
    return 0;
}
