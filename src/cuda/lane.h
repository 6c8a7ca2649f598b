// SPDX-License-Identifier: BSD-3-Clause
// lane.h -- a lane of a device: its stream, its memory, the tables of its plans.
//
// All memory is taken when the lane is opened, for the largest tile and the most demanding plan; a fit takes none.
// Tables are those of the scalar kernel, made on the host and moved to the device as a whole.  Samples and results
// pass through pinned memory, without which copies would not overlap with anything.
#ifndef XN_CUDA_LANE_H
#define XN_CUDA_LANE_H

#include "cuda/fit_device.h"
#include "cuda/runtime.h"
#include "kernel/device.h"

namespace
{

const int most_plans = 8;
const int n_slots = 3; // of pinned memory, through which samples go to the device
#ifndef XN_SLOT_BYTES
#define XN_SLOT_BYTES ((size_t)4 << 20)
#endif
const size_t slot_bytes = XN_SLOT_BYTES; // of one, if it holds more than a row
const int n_lists = 4;
const int n_counters = 128; // lists of one tile

typedef void (*stage_kernel)(const struct stage);

size_t more(size_t a, size_t b) { return a > b ? a : b; }

struct sizes {
    size_t y, h, rest, wave, plane, out; // numbers of each
};

size_t room_of(int traces) { return ((size_t)traces + 31) / 32 * 32; }

// Memory of a block that transforms may have: a multiprocessor should hold at least three such blocks, which have a
// kilobyte more each; else memory of the device serves better.
size_t block_memory_of(int device)
{
    int most = 0, all = 0;
    if (!worked(cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device)) ||
        !worked(cudaDeviceGetAttribute(&all, cudaDevAttrMaxSharedMemoryPerMultiprocessor, device)))
        return 0;
    const size_t third = (size_t)all / 3 > 1024 ? (size_t)all / 3 - 1024 : 0;
    return third < (size_t)most ? third : (size_t)most;
}

// Memory of a block whose transforms stand there; 0: they do not.
size_t start_bytes(const xn_fit_plan *p, size_t block_memory)
{
    const size_t numbers =
        (size_t)p->n_grid * (XN_START_THREADS + 2) + (size_t)(p->n_grid / 2) + (size_t)p->n; // near_open
    const size_t bytes = numbers * sizeof(real);
    return p->near_grid && bytes <= block_memory ? bytes : 0;
}

int rows_of_slot(size_t room) { return (int)more(slot_bytes / (room * sizeof(real)), 1); }

struct sizes sizes_of(const xn_fit_plan *p, size_t room, size_t block_memory)
{
    struct sizes s = {0, 0, 0, 0, 0, 0};
    const size_t n = (size_t)p->n;
    s.y = n * room;
    s.h = p->closed ? 0 : n * room;
    s.rest = p->modes_max > 1 ? n * room : 0;
    s.wave = start_bytes(p, block_memory) > 0 ? 0 : ((size_t)p->n_grid / 2 + 1 + (size_t)p->n_grid) * room;
    s.plane = PLANE_SLOTS * room;
    s.out = XN_OUT_SLOTS * room;
    return s;
}

size_t bytes_of(const xn_fit_plan *p, size_t room, size_t block_memory)
{
    const struct sizes s = sizes_of(p, room, block_memory);
    return (s.y + s.h + s.rest + s.wave + s.plane + s.out) * sizeof(real) + room * (4 * n_lists + 8);
}

} // namespace

struct xn_device_lane {
    int device, traces, n_plans;
    size_t block_memory; // that a transform may have
    cudaStream_t stream;
    cudaEvent_t begin, end;
    double seconds;
    bool has[most_plans];
    xn_fit_plan plan[most_plans];
    struct table table[most_plans]; // with pointers of the device
    void *table_memory[most_plans];
    // of the device
    real *y, *h, *rest, *wave, *plane, *out;
    float *sigma;
    int *list[n_lists], *counter;
    uint8_t *marks; // n_modes, then flags
    // of the host, pinned
    real *host_y[n_slots], *host_out; // some rows of samples each
    cudaEvent_t sent[n_slots];        // they were copied
    float *host_sigma;
    uint8_t *host_marks;
    // of the tile in work
    int counters_used, *run;
};

namespace
{

bool on_device(void *memory, size_t count, size_t size, char *why, size_t why_size)
{
    return !failed(cudaMalloc((void **)memory, more(count, 1) * size), "memory of the device", why, why_size);
}

bool pinned(void *memory, size_t count, size_t size, char *why, size_t why_size)
{
    return !failed(cudaMallocHost((void **)memory, more(count, 1) * size), "pinned memory", why, why_size);
}

// The table of a plan, made by the scalar kernel and moved as a whole.
bool table_open(xn_device_lane *lane, int i, const xn_fit_plan *plan, char *why, size_t size)
{
    const xn_fit_kernel *scalar = xn_fit_kernel_find("scalar", XN_REAL_BITS);
    const size_t bytes = scalar->table_bytes(plan);
    void *host = malloc(bytes);
    if (host == NULL) {
        snprintf(why, size, "out of memory for the tables of the fit");
        return false;
    }
    scalar->tabulate(plan, host);
    bool ok = on_device(&lane->table_memory[i], bytes, 1, why, size);
    ok = ok && !failed(cudaMemcpy(lane->table_memory[i], host, bytes, cudaMemcpyHostToDevice), "tables", why, size);
    lane->table[i] = *(struct table *)host;
    table_move(&lane->table[i], host, lane->table_memory[i]);
    lane->plan[i] = *plan;
    lane->has[i] = true;
    free(host);
    return ok;
}

void lane_close(xn_device_lane *lane)
{
    if (lane == NULL) return;
    worked(cudaSetDevice(lane->device));
    void *device[] = {lane->y,   lane->h,     lane->rest,    lane->wave, lane->plane,
                      lane->out, lane->sigma, lane->counter, lane->marks};
    void *host[] = {lane->host_out, lane->host_sigma, lane->host_marks};
    for (void *p : device) worked(cudaFree(p));
    for (void *p : lane->list) worked(cudaFree(p));
    for (void *p : lane->table_memory) worked(cudaFree(p));
    for (void *p : host) worked(cudaFreeHost(p));
    for (void *p : lane->host_y) worked(cudaFreeHost(p));
    for (cudaEvent_t e : lane->sent)
        if (e != NULL) worked(cudaEventDestroy(e));
    if (lane->begin != NULL) worked(cudaEventDestroy(lane->begin));
    if (lane->end != NULL) worked(cudaEventDestroy(lane->end));
    if (lane->stream != NULL) worked(cudaStreamDestroy(lane->stream));
    free(lane->run);
    free(lane);
}

bool lane_allocate(xn_device_lane *l, const struct sizes *most, size_t room, char *why, size_t size)
{
    bool ok = on_device(&l->y, most->y, sizeof(real), why, size) && on_device(&l->h, most->h, sizeof(real), why, size);
    ok = ok && on_device(&l->rest, most->rest, sizeof(real), why, size);
    ok = ok && on_device(&l->wave, most->wave, sizeof(real), why, size);
    ok = ok && on_device(&l->plane, most->plane, sizeof(real), why, size);
    ok = ok && on_device(&l->out, most->out, sizeof(real), why, size);
    ok = ok && on_device(&l->sigma, room, sizeof(float), why, size);
    ok = ok && on_device(&l->counter, n_counters, sizeof(int), why, size);
    ok = ok && on_device(&l->marks, 2 * room, 1, why, size);
    for (int i = 0; i < n_lists; i++) ok = ok && on_device(&l->list[i], room, sizeof(int), why, size);
    for (int i = 0; i < n_slots; i++)
        ok = ok && pinned(&l->host_y[i], (size_t)rows_of_slot(room) * room, sizeof(real), why, size) &&
             !failed(cudaEventCreate(&l->sent[i]), "event", why, size);
    ok = ok && pinned(&l->host_out, most->out, sizeof(real), why, size);
    ok = ok && pinned(&l->host_sigma, room, sizeof(float), why, size);
    return ok && pinned(&l->host_marks, 2 * room, 1, why, size);
}

xn_device_lane *lane_open(int device, const xn_fit_plan *const *plans, int n_plans, int traces, char *why, size_t size)
{
    if (failed(cudaSetDevice(device), "device", why, size)) return NULL;
    xn_device_lane *lane = (xn_device_lane *)calloc(1, sizeof *lane);
    if (lane == NULL || n_plans > most_plans) {
        snprintf(why, size, lane == NULL ? "out of memory for a lane of the device" : "too many plans");
        free(lane);
        return NULL;
    }
    const size_t room = room_of(traces);
    struct sizes most = {0, 0, 0, 0, 0, 0};
    lane->device = device;
    lane->traces = traces;
    lane->n_plans = n_plans;
    lane->block_memory = block_memory_of(device);
    lane->run = (int *)malloc(((size_t)traces + 1) * sizeof *lane->run);
    if (lane->run == NULL) snprintf(why, size, "out of memory for a lane of the device");
    bool ok = lane->run != NULL &&
              !failed(cudaStreamCreateWithFlags(&lane->stream, cudaStreamNonBlocking), "stream", why, size);
    ok = ok && !failed(cudaEventCreate(&lane->begin), "event", why, size);
    ok = ok && !failed(cudaEventCreate(&lane->end), "event", why, size);
    for (int i = 0; ok && i < n_plans; i++) {
        if (plans[i] == NULL) continue;
        const struct sizes s = sizes_of(plans[i], room, lane->block_memory);
        most.y = more(most.y, s.y), most.h = more(most.h, s.h), most.rest = more(most.rest, s.rest);
        most.wave = more(most.wave, s.wave), most.plane = more(most.plane, s.plane), most.out = more(most.out, s.out);
        ok = table_open(lane, i, plans[i], why, size);
    }
    ok = ok && lane_allocate(lane, &most, room, why, size);
    // As much as any plan may take, not these: lanes of other fits use the same kernels.
    for (const stage_kernel kernel : {kernel_start_near, kernel_begin})
        ok =
            ok &&
            (lane->block_memory == 0 ||
             !failed(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)lane->block_memory),
                     "memory of a block", why, size));
    if (ok) return lane;
    lane_close(lane);
    return NULL;
}

} // namespace

#endif
