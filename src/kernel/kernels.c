// SPDX-License-Identifier: BSD-3-Clause
// kernels.c -- which fit kernels exist and which this processor can run.
//
// The table is in order of speed.  A variant is chosen once by name ("auto": the last that runs here) and called
// through its row; nothing else in the program knows of instruction sets.  What the compiler was not able to build
// (no x86 processor) is not in the table.
#include "kernel/kernels.h"

#include <string.h>

#if defined(__x86_64__)
#define XN_HAVE_X86 1
#else
#define XN_HAVE_X86 0
#endif

extern const xn_fit_kernel xn_fit_kernel_scalar_32, xn_fit_kernel_scalar_64;
#if XN_HAVE_X86
extern const xn_fit_kernel xn_fit_kernel_avx2_32, xn_fit_kernel_avx2_64;
extern const xn_fit_kernel xn_fit_kernel_avx512_32, xn_fit_kernel_avx512_64;

static bool has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#endif
static bool always(void) { return true; }

static const struct {
    bool (*runs)(void);
    const xn_fit_kernel *kernel;
} all[] = {
    {always, &xn_fit_kernel_scalar_32},     {always, &xn_fit_kernel_scalar_64},
#if XN_HAVE_X86
    {has_avx2, &xn_fit_kernel_avx2_32},     {has_avx2, &xn_fit_kernel_avx2_64},
    {has_avx512, &xn_fit_kernel_avx512_32}, {has_avx512, &xn_fit_kernel_avx512_64},
#endif
};
static const int n_all = sizeof all / sizeof all[0];

const xn_fit_kernel *xn_fit_kernel_list(int i)
{
    for (int j = 0; j < n_all; j++)
        if (all[j].runs() && i-- == 0) return all[j].kernel;
    return NULL;
}

const xn_fit_kernel *xn_fit_kernel_find(const char *name, int bits)
{
    const xn_fit_kernel *found = NULL, *k;
    for (int i = 0; (k = xn_fit_kernel_list(i)) != NULL; i++)
        if (k->bits == bits && (strcmp(name, "auto") == 0 || strcmp(name, k->name) == 0)) found = k;
    return found;
}

void xn_fit_in_parts(const xn_fit_kernel *kernel, const xn_fit_plan *plan, const void *table, void *work, int most,
                     const xn_fit_tile *tile)
{
    for (int at = 0; at < tile->count; at += most) {
        xn_fit_tile part = *tile;
        part.count = tile->count - at < most ? tile->count - at : most;
        part.pixel += at;
        part.out = (char *)tile->out + (size_t)at * (size_t)kernel->bits / 8;
        part.n_modes += at;
        part.flags += at;
        if (tile->given != NULL) part.given += at, part.given_w += at, part.given_g += at;
        if (tile->limit != NULL) part.limit += at;
        if (tile->weight != NULL) part.weight += at;
        if (tile->own_sigma != NULL) part.own_sigma += at;
        if (tile->inflate != NULL) part.inflate += at;
        if (tile->rest != NULL) part.rest += at;
        kernel->fit(plan, table, work, &part);
    }
}
