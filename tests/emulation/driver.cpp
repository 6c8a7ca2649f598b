// SPDX-License-Identifier: BSD-3-Clause
// driver.cpp -- the device driver's own source, compiled for the emulated runtime under another name.
#define XN_DRIVER xn_device_emulated
#define XN_SLOT_BYTES 6000 // a few rows, or one
#include "cuda/fit_cuda.cu"

#include <sys/mman.h>

#include "emulation.h"

namespace
{

// The walk of the driver for one trace, number `at` of a tile of `room`, in memory that is only reserved.
bool walk_one(const xn_fit_plan *plan, const float *y, int room, int at, float *out)
{
    const xn_fit_kernel *scalar = xn_fit_kernel_find("scalar", 32);
    void *table = malloc(scalar->table_bytes(plan));
    scalar->tabulate(plan, table);
    const struct sizes n = sizes_of(plan, (size_t)room, 0);
    const size_t counts[] = {n.y, n.h, n.rest, n.wave, n.plane, n.out};
    real *part[6];
    for (int i = 0; i < 6; i++) {
        part[i] = (real *)mmap(NULL, (counts[i] + 1) * sizeof(real), PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (part[i] == MAP_FAILED) return false;
    }
    uint8_t *marks = (uint8_t *)mmap(NULL, 2 * (size_t)room, PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (int i = 0; i < plan->n; i++) part[0][(size_t)i * (size_t)room + (size_t)at] = y[i];
    int count = 1, none = 0;
    struct stage s;
    memset(&s, 0, sizeof s);
    s.plan = *plan;
    s.table = *(struct table *)table;
    s.tile.count = room;
    s.tile.out = part[5];
    s.tile.out_stride = room;
    s.tile.n_modes = marks;
    s.tile.flags = marks + room;
    s.y = part[0], s.h = part[1], s.rest = part[2], s.wave = part[3], s.plane = part[4];
    s.room = room;
    s.count = &count, s.list = &at;
    s.modes = 1, s.passes = plan->passes_max, s.tolerance = (real)plan->tolerance, s.last = true;
    blockDim.x = XN_THREADS;
    blockIdx.x = threadIdx.x = 0;
    int next[8];
    s.next_count = &none, s.next = next;
    kernel_prepare(s);
    kernel_open(s);
    kernel_start(s);
    fit_kernel(1, plan->closed ? XN_MOMENTS_GOERTZEL : XN_MOMENTS_EXPLICIT)(s);
    kernel_close(s);
    finish_kernel(1)(s);
    for (int i = 0; i < XN_OUT_SLOTS; i++) out[i] = part[5][(size_t)i * (size_t)room + (size_t)at];
    const bool found = marks[at] == 1;
    for (int i = 0; i < 6; i++) munmap(part[i], (counts[i] + 1) * sizeof(real));
    munmap(marks, 2 * (size_t)room);
    free(table);
    return found;
}

} // namespace

extern "C" bool xn_emulated_one(const xn_fit_plan *plan, const float *y, int room, int at, float *out)
{
    return walk_one(plan, y, room, at, out);
}
