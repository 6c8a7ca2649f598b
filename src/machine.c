// SPDX-License-Identifier: BSD-3-Clause
// machine.c -- what the built library and this machine offer.
#include <stdlib.h>
#include <unistd.h>

#include "kernel/kernels.h"
#include "pipeline.h"

xani_status xn_machine(xn_ctx *ctx, json_t **answer)
{
    json_t *kernels = json_array();
    const xn_fit_kernel *k;
    for (int i = 0; (k = xn_fit_kernel_list(i)) != NULL; i++)
        json_array_append_new(kernels,
                              json_pack("{s:s, s:i, s:i}", "name", k->name, "bits", k->bits, "lanes", k->width));
    double memory = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    *answer = json_pack("{s:s, s:s, s:i, s:I, s:o}", "version", xani_version(), "compiler", __VERSION__, "threads",
                        xn_threads(0), "memory_bytes", (json_int_t)memory, "fit_kernels", kernels);
    return *answer ? XANI_OK : xn_fail_memory(ctx, "the answer", 4096);
}
