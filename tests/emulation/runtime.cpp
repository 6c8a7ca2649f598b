// SPDX-License-Identifier: BSD-3-Clause
// runtime.cpp -- the emulated runtime of cuda_runtime.h.
#include "cuda_runtime.h"

#include <chrono>
#include <deque>
#include <map>
#include <mutex>

#include "emulation.h"

thread_local emulated_index threadIdx, blockIdx, blockDim;
thread_local uint8_t *emulated_block;

struct emulated_stream {
    int device;
    cudaError_t error;
    std::deque<std::function<void()>> work;
};
struct emulated_event {
    double seconds;
    emulated_stream *stream; // recorded there and not yet passed; NULL: nothing to wait for
};

struct piece {
    size_t bytes;
    bool device;
    int owner;
};

static std::mutex mutex;
static std::map<const char *, piece> memory;
static size_t used[8]; // by device
static thread_local int current;
static thread_local cudaError_t last;
static thread_local size_t block_allowed = 48 << 10; // memory of a block; more must be asked for
xn_emulation xn_emulated = {2, 13000, (size_t)1 << 32, 1 << 20, 60 << 10, 0, 0, 0, 0, {0}};

extern "C" void xn_emulation_reset(void)
{
    xn_emulated = {2, 13000, (size_t)1 << 32, 1 << 20, 60 << 10, 0, 0, 0, 0, {0}};
}

// Every call counts; the chosen one fails.
static bool injected(void)
{
    std::lock_guard<std::mutex> guard(mutex);
    return ++xn_emulated.calls == xn_emulated.fail_at;
}

static cudaError_t result(cudaError_t e)
{
    if (e != cudaSuccess) last = e;
    return e;
}

#define CALL(otherwise)                                                                                                \
    if (injected()) return result(otherwise)

const char *cudaGetErrorString(cudaError_t e)
{
    switch (e) {
    case cudaSuccess:
        return "no error";
    case cudaErrorInvalidValue:
        return "invalid argument";
    case cudaErrorMemoryAllocation:
        return "out of memory";
    case cudaErrorLaunchFailure:
        return "unspecified launch failure";
    default:
        return "emulated error";
    }
}

cudaError_t cudaGetLastError(void)
{
    const cudaError_t e = last;
    last = cudaSuccess;
    return e;
}

cudaError_t cudaGetDeviceCount(int *n)
{
    *n = xn_emulated.devices;
    if (xn_emulated.driver < CUDART_VERSION) return result(cudaErrorInsufficientDriver);
    return result(*n > 0 ? cudaSuccess : cudaErrorNoDevice);
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = xn_emulated.driver;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int device)
{
    CALL(cudaErrorInvalidDevice);
    if (device < 0 || device >= xn_emulated.devices) return result(cudaErrorInvalidDevice);
    memset(p, 0, sizeof *p);
    memcpy(p->name, "emulated", sizeof "emulated");
    p->totalGlobalMem = xn_emulated.memory;
    p->major = 9;
    p->multiProcessorCount = 2;
    p->maxThreadsPerMultiProcessor = 512;
    p->l2CacheSize = xn_emulated.cache;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int)
{
    CALL(cudaErrorInvalidValue);
    *value = attribute == cudaDevAttrMaxSharedMemoryPerBlockOptin       ? xn_emulated.block_memory
             : attribute == cudaDevAttrMaxSharedMemoryPerMultiprocessor ? 8 * xn_emulated.block_memory
                                                                        : 1000;
    return cudaSuccess;
}

cudaError_t emulated_attribute(cudaFuncAttribute, int value)
{
    CALL(cudaErrorInvalidValue);
    if (value > xn_emulated.block_memory) return result(cudaErrorInvalidValue);
    block_allowed = (size_t)value;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    CALL(cudaErrorInvalidDevice);
    if (device < 0 || device >= xn_emulated.devices) return result(cudaErrorInvalidDevice);
    current = device;
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device)
{
    *device = current;
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total)
{
    CALL(cudaErrorInvalidValue);
    std::lock_guard<std::mutex> guard(mutex);
    *total = xn_emulated.memory;
    *free_bytes = xn_emulated.memory > used[current] ? xn_emulated.memory - used[current] : 0;
    return cudaSuccess;
}

static cudaError_t take(void **p, size_t bytes, bool device)
{
    *p = NULL;
    CALL(cudaErrorMemoryAllocation);
    std::lock_guard<std::mutex> guard(mutex);
    if (device && used[current] + bytes > xn_emulated.memory) return result(cudaErrorMemoryAllocation);
    char *q = (char *)malloc(bytes);
    memset(q, 0xff, bytes); // NaN, and traces far outside
    memory[q] = {bytes, device, current};
    used[current] += device ? bytes : 0;
    xn_emulated.alive++;
    *p = q;
    return cudaSuccess;
}

static cudaError_t give(void *p, bool device)
{
    if (p == NULL) return cudaSuccess;
    std::lock_guard<std::mutex> guard(mutex);
    const auto found = memory.find((char *)p);
    if (found == memory.end() || found->second.device != device) return result(cudaErrorInvalidValue);
    used[found->second.owner] -= device ? found->second.bytes : 0;
    memory.erase(found);
    xn_emulated.alive--;
    free(p);
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **p, size_t bytes) { return take(p, bytes, true); }
cudaError_t cudaFree(void *p) { return give(p, true); }
cudaError_t cudaMallocHost(void **p, size_t bytes) { return take(p, bytes, false); }
cudaError_t cudaFreeHost(void *p) { return give(p, false); }

// Whether [p, p + bytes) lies in one piece of the device's, or of pinned, memory.
static bool lies_in(const void *p, size_t bytes, bool device)
{
    std::lock_guard<std::mutex> guard(mutex);
    auto next = memory.upper_bound((const char *)p);
    if (next == memory.begin()) return false;
    --next;
    return next->second.device == device && (const char *)p + bytes <= next->first + next->second.bytes;
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind)
{
    CALL(cudaErrorInvalidValue);
    if (!lies_in(kind == cudaMemcpyHostToDevice ? to : from, bytes, true)) return result(cudaErrorInvalidValue);
    memcpy(to, from, bytes);
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream)
{
    CALL(cudaErrorInvalidValue);
    // the host's side must be pinned, or nothing overlaps
    if (!lies_in(to, bytes, kind != cudaMemcpyDeviceToHost) || !lies_in(from, bytes, kind != cudaMemcpyHostToDevice))
        return result(cudaErrorInvalidValue);
    stream->work.push_back([=]() { memcpy(to, from, bytes); });
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *p, int value, size_t bytes, cudaStream_t stream)
{
    CALL(cudaErrorInvalidValue);
    if (!lies_in(p, bytes, true)) return result(cudaErrorInvalidValue);
    stream->work.push_back([=]() { memset(p, value, bytes); });
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned)
{
    CALL(cudaErrorInvalidValue);
    *stream = new emulated_stream{current, cudaSuccess, {}};
    std::lock_guard<std::mutex> guard(mutex);
    xn_emulated.alive++;
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    delete stream;
    std::lock_guard<std::mutex> guard(mutex);
    xn_emulated.alive--;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    const bool fails = injected();
    for (auto &piece_of_work : stream->work) piece_of_work();
    stream->work.clear();
    const cudaError_t e = fails ? cudaErrorLaunchFailure : stream->error;
    stream->error = cudaSuccess;
    return result(e);
}

static double now(void)
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

cudaError_t cudaEventCreate(cudaEvent_t *event)
{
    CALL(cudaErrorInvalidValue);
    *event = new emulated_event{0.0, NULL};
    std::lock_guard<std::mutex> guard(mutex);
    xn_emulated.alive++;
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    delete event;
    std::lock_guard<std::mutex> guard(mutex);
    xn_emulated.alive--;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    CALL(cudaErrorInvalidValue);
    event->stream = stream;
    stream->work.push_back([=]() {
        event->seconds = now();
        event->stream = NULL;
    });
    return cudaSuccess;
}

// Work up to the event, and no further.
cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    const bool fails = injected();
    while (event->stream != NULL) {
        emulated_stream *stream = event->stream;
        const std::function<void()> piece_of_work = stream->work.front();
        stream->work.pop_front();
        piece_of_work();
    }
    return result(fails ? cudaErrorLaunchFailure : cudaSuccess);
}

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *a, const void *p)
{
    CALL(cudaErrorInvalidValue);
    std::lock_guard<std::mutex> guard(mutex);
    auto next = memory.upper_bound((const char *)p);
    *a = {cudaMemoryTypeUnregistered, 0};
    if (next == memory.begin()) return cudaSuccess;
    --next;
    if ((const char *)p < next->first + next->second.bytes)
        *a = {next->second.device ? cudaMemoryTypeDevice : cudaMemoryTypeHost, next->second.owner};
    return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t begin, cudaEvent_t end)
{
    CALL(cudaErrorInvalidValue);
    *milliseconds = (float)(1e3 * (end->seconds - begin->seconds));
    return cudaSuccess;
}

// Threads in a scattered order: thread (a i + b) mod n, a without a factor of n.
static void run_grid(unsigned blocks, unsigned threads, const std::function<void()> &thread)
{
    const uint64_t n = (uint64_t)blocks * threads;
    uint64_t a = n / 2 + 7;
    for (;; a++) {
        uint64_t x = a, y = n;
        while (y != 0) {
            const uint64_t rest = x % y;
            x = y;
            y = rest;
        }
        if (x == 1) break;
    }
    blockDim.x = threads;
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t at = (a * i + 5) % n;
        blockIdx.x = (unsigned)(at / threads);
        threadIdx.x = (unsigned)(at % threads);
        thread();
    }
}

void emulated_launch(unsigned blocks, unsigned threads, size_t bytes, cudaStream_t stream, std::function<void()> thread)
{
    if (injected() || blocks == 0 || stream->device != current || bytes > block_allowed) {
        last = cudaErrorLaunchFailure;
        return;
    }
    {
        std::lock_guard<std::mutex> guard(mutex);
        xn_emulated.launches++;
        xn_emulated.launches_on[stream->device]++;
    }
    stream->work.push_back([=]() { run_grid(blocks, threads, thread); });
}
