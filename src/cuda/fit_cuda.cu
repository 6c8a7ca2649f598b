// SPDX-License-Identifier: BSD-3-Clause
// fit_cuda.cu -- the device driver of device.h on CUDA: memory, copies, and the order of the kernels.
//
// A lane works on one tile at a time: samples are gathered into slots of pinned memory by rows and copied while later
// rows are still gathered; all kernels follow in the lane's stream, then the copies back.  Nothing waits in between:
// lengths of work lists stay on the device.  Several lanes, each with a thread of the host, keep both directions of the
// bus and the processors busy.  The runtime is linked statically and looks for the driver itself, so a machine without
// one runs the same program and is told so by `count`.
#include "cuda/walk.h"

namespace
{

// ---- devices

// Lanes of single precision of a multiprocessor
int lanes_of(int capability) { return capability == 80 || capability < 70 ? 64 : 128; }

bool describe(int device, xn_device_info *info, char *why, size_t size)
{
    struct cudaDeviceProp p;
    int clock_khz = 0, memory_khz = 0, bits = 0;
    memset(info, 0, sizeof *info);
    if (failed(cudaGetDeviceProperties(&p, device), "device", why, size)) return false;
    worked(cudaDriverGetVersion(&info->driver));
    worked(cudaRuntimeGetVersion(&info->runtime));
    worked(cudaDeviceGetAttribute(&clock_khz, cudaDevAttrClockRate, device));
    worked(cudaDeviceGetAttribute(&memory_khz, cudaDevAttrMemoryClockRate, device));
    worked(cudaDeviceGetAttribute(&bits, cudaDevAttrGlobalMemoryBusWidth, device));
    snprintf(info->name, sizeof info->name, "%s", p.name);
    info->capability = 10 * p.major + p.minor;
    info->multiprocessors = p.multiProcessorCount;
    info->memory_bytes = (int64_t)p.totalGlobalMem;
    info->cache_bytes = p.l2CacheSize;
    info->memory_bytes_per_s = 2.0 * 1e3 * memory_khz * bits / 8; // two transfers a clock
    info->flop_per_s = 2.0 * 1e3 * clock_khz * lanes_of(info->capability) * p.multiProcessorCount;
    return true;
}

int lane_tile(int device, const xn_fit_plan *plan, int lanes, char *why, size_t size)
{
    struct cudaDeviceProp p;
    size_t free_bytes = 0, total = 0;
    if (failed(cudaSetDevice(device), "device", why, size)) return 0;
    if (failed(cudaGetDeviceProperties(&p, device), "device", why, size)) return 0;
    if (failed(cudaMemGetInfo(&free_bytes, &total), "memory of the device", why, size)) return 0;
    // Together the lanes keep twice as many traces as the device has threads.
    size_t tile = more(2 * (size_t)p.multiProcessorCount * (size_t)p.maxThreadsPerMultiProcessor / (size_t)lanes, 4096);
    const size_t share = free_bytes / 2 / (size_t)lanes, block_memory = block_memory_of(device);
    while (tile > 1 && bytes_of(plan, tile, block_memory) > share) tile /= 2;
    tile = tile > XN_THREADS ? tile / XN_THREADS * XN_THREADS : tile;
    return (int)(tile > (1u << 20) ? (1u << 20) : tile);
}

// ---- copies

// Where runs of neighbours among the tile's traces begin, and the end of the last; their number.
int find_runs(const xn_fit_tile *tile, int *run)
{
    int n = 0;
    for (int i = 0; i < tile->count; i++)
        if (i == 0 || tile->pixel[i] != tile->pixel[i - 1] + 1) run[n++] = i;
    run[n] = tile->count;
    return n;
}

// Row n of the plan of all traces of the tile
void gather_row(const xn_fit_tile *tile, int n, const int *run, int n_runs, real *out)
{
    const float *row = tile->y + (int64_t)tile->row[n] * tile->row_stride;
    if (n_runs < tile->count / 8)
        for (int r = 0; r < n_runs; r++)
            memcpy(out + run[r], row + tile->pixel[run[r]], (size_t)(run[r + 1] - run[r]) * sizeof *out);
    else
        for (int i = 0; i < tile->count; i++) out[i] = row[tile->pixel[i]];
}

bool copy_in(xn_device_lane *l, int plan, const xn_fit_tile *tile, size_t room, char *why, size_t size)
{
    const int n = l->plan[plan].n;
    const int n_runs = find_runs(tile, l->run);
    for (int i = 0; i < tile->count; i++) {
        const double sigma = xn_fit_sigma(tile, i), inflate = tile->inflate != NULL ? tile->inflate[i] : 1.0;
        l->host_sigma[i] = (float)(sigma > 0.0 ? sigma : -inflate);
    }
    if (failed(cudaMemcpyAsync(l->sigma, l->host_sigma, (size_t)tile->count * sizeof(float), cudaMemcpyHostToDevice,
                               l->stream),
               "copy to the device", why, size))
        return false;
    const int rows = rows_of_slot(room_of(l->traces));
    for (int begin = 0, turn = 0; begin < n; begin += rows, turn++) {
        const int end = begin + rows < n ? begin + rows : n, slot = turn % n_slots;
        if (turn >= n_slots && failed(cudaEventSynchronize(l->sent[slot]), "copy to the device", why, size))
            return false;
        for (int i = begin; i < end; i++)
            gather_row(tile, i, l->run, n_runs, l->host_y[slot] + (size_t)(i - begin) * room);
        if (failed(cudaMemcpyAsync(l->y + (size_t)begin * room, l->host_y[slot],
                                   (size_t)(end - begin) * room * sizeof(real), cudaMemcpyHostToDevice, l->stream),
                   "copy to the device", why, size) ||
            failed(cudaEventRecord(l->sent[slot], l->stream), "event", why, size))
            return false;
    }
    return true;
}

bool copy_out(xn_device_lane *l, int plan, size_t room, char *why, size_t size)
{
    const size_t modes = (size_t)l->plan[plan].modes_max;
    bool ok = !failed(cudaMemcpyAsync(l->host_marks, l->marks, 2 * room, cudaMemcpyDeviceToHost, l->stream),
                      "copy from the device", why, size);
    for (size_t slot = 0; ok && slot < XN_OUT_SLOTS;) { // slots of modes that cannot be are left out
        const bool of_modes = slot < XN_OUT_BACKGROUND;
        const size_t count = of_modes ? modes : XN_OUT_SLOTS - slot;
        if (count > 0)
            ok = !failed(cudaMemcpyAsync(l->host_out + slot * room, l->out + slot * room, count * room * sizeof(real),
                                         cudaMemcpyDeviceToHost, l->stream),
                         "copy from the device", why, size);
        slot += of_modes ? XANI_MAX_MODES : count;
    }
    return ok;
}

bool lane_fit(xn_device_lane *l, int plan, xn_fit_tile *tile, char *why, size_t size)
{
    if (tile->count < 1 || tile->count > l->traces || !l->has[plan]) {
        snprintf(why, size, "a tile of %d traces does not fit the lane of %d", tile->count, l->traces);
        return false;
    }
    if (failed(cudaSetDevice(l->device), "device", why, size)) return false;
    const size_t room = room_of(tile->count);
    if (!copy_in(l, plan, tile, room, why, size)) return false;
    struct walk w;
    memset(&w, 0, sizeof w);
    w.lane = l;
    w.moments = !l->plan[plan].closed ? XN_MOMENTS_EXPLICIT : tile->horner ? XN_MOMENTS_HORNER : XN_MOMENTS_GOERTZEL;
    struct stage *s = &w.stage;
    s->plan = l->plan[plan];
    s->table = l->table[plan];
    s->tile.count = tile->count;
    s->tile.out = l->out;
    s->tile.out_stride = (int64_t)room;
    s->tile.n_modes = l->marks;
    s->tile.flags = l->marks + room;
    s->y = l->y, s->h = l->h, s->rest = l->rest, s->wave = l->wave, s->plane = l->plane;
    s->sigma = l->sigma;
    s->room = (int)room;
    l->counters_used = 0;
    if (failed(cudaMemsetAsync(l->counter, 0, n_counters * sizeof(int), l->stream), "work lists", why, size) ||
        failed(cudaEventRecord(l->begin, l->stream), "event", why, size))
        return false;
    walk_stages(&w);
    if (failed(cudaGetLastError(), "launch of a kernel", why, size) ||
        failed(cudaEventRecord(l->end, l->stream), "event", why, size) || !copy_out(l, plan, room, why, size) ||
        failed(cudaStreamSynchronize(l->stream), "fit on the device", why, size))
        return false;
    float milliseconds = 0.0f;
    if (worked(cudaEventElapsedTime(&milliseconds, l->begin, l->end))) l->seconds += 1e-3 * (double)milliseconds;
    tile->out = l->host_out;
    tile->out_stride = (int64_t)room;
    tile->n_modes = l->host_marks;
    tile->flags = l->host_marks + room;
    return true;
}

// Bytes per second of `repeats` copies between host and device, from the first to the end of the last.
bool copy_rate(xn_device_lane *l, void *to, const void *from, size_t bytes, cudaMemcpyKind kind, double *rate,
               char *why, size_t size)
{
    const int repeats = 10;
    float milliseconds = 0.0f;
    bool ok = !failed(cudaEventRecord(l->begin, l->stream), "event", why, size);
    for (int i = 0; ok && i < repeats; i++)
        ok = !failed(cudaMemcpyAsync(to, from, bytes, kind, l->stream), "copy", why, size);
    ok = ok && !failed(cudaEventRecord(l->end, l->stream), "event", why, size) &&
         !failed(cudaStreamSynchronize(l->stream), "copy", why, size) &&
         !failed(cudaEventElapsedTime(&milliseconds, l->begin, l->end), "event", why, size);
    if (ok) *rate = 1e3 * repeats * (double)bytes / (double)milliseconds;
    return ok;
}

bool lane_copy_rates(xn_device_lane *l, double *to, double *from, char *why, size_t size)
{
    size_t samples = (size_t)rows_of_slot(room_of(l->traces)); // that a slot holds, or fewer
    for (int i = 0; i < l->n_plans; i++)
        if (l->has[i] && (size_t)l->plan[i].n < samples) samples = (size_t)l->plan[i].n;
    const size_t in = samples * room_of(l->traces) * sizeof(real);
    const size_t out = XN_OUT_SLOTS * room_of(l->traces) * sizeof(real);
    return !failed(cudaSetDevice(l->device), "device", why, size) &&
           copy_rate(l, l->y, l->host_y[0], in, cudaMemcpyHostToDevice, to, why, size) &&
           copy_rate(l, l->host_out, l->out, out, cudaMemcpyDeviceToHost, from, why, size);
}

double lane_seconds(const xn_device_lane *lane) { return lane->seconds; }

} // namespace

#ifndef XN_DRIVER
#define XN_DRIVER xn_device_cuda
#endif
extern "C" {
extern const xn_device_driver XN_DRIVER;
const xn_device_driver XN_DRIVER = {"cuda",   device_count, describe,        lane_tile, lane_open,
                                    lane_fit, lane_seconds, lane_copy_rates, lane_close};
}
