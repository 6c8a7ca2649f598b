// SPDX-License-Identifier: BSD-3-Clause
// reduce_kernels.c -- chooses a variant of the row kernels by name and by what the processor can do.
#include "kernel/reduce_kernels.h"

#include <string.h>

static bool processor_has(const xn_reduce_kernels *k)
{
#if defined(__x86_64__)
    if (k == &xn_reduce_avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (k == &xn_reduce_avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#endif
    return k == &xn_reduce_scalar;
}

const xn_reduce_kernels *xn_reduce_kernels_find(const char *name)
{
    static const xn_reduce_kernels *const best_first[] = {&xn_reduce_avx512, &xn_reduce_avx2, &xn_reduce_scalar};
    for (size_t i = 0; i < sizeof best_first / sizeof best_first[0]; i++) {
        const xn_reduce_kernels *k = best_first[i];
        if ((strcmp(name, "auto") == 0 || strcmp(name, k->name) == 0) && processor_has(k)) return k;
    }
    return NULL;
}

bool xn_reduce_type_known(xn_type type) { return type != XN_STR && type != XN_OTHER; }
