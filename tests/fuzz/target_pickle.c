// SPDX-License-Identifier: BSD-3-Clause
// target_pickle.c -- any bytes as the pickled names of a pandas table are a list of texts or nothing.
#include "fuzz.h"
#include "source/pal/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const fuzz_input all = {data, n};
    uint8_t *copy = fuzz_rest(&all);
    int64_t count = -1;
    char **names = copy != NULL ? xn_pickled_names((const char *)copy, n, &count) : NULL;
    FUZZ_HOLDS(names == NULL || count >= 0);
    for (int64_t i = 0; names != NULL && i < count; i++) FUZZ_HOLDS(names[i] != NULL && strlen(names[i]) <= n + 20);
    FUZZ_HOLDS(names == NULL || names[count] == NULL);
    xn_h5_names_free(names);
    free(copy);
    return 0;
}
