// SPDX-License-Identifier: BSD-3-Clause
// cuda_runtime.h -- the part of CUDA's runtime that src/cuda uses, on a processor, for tests.
//
// The very source of the driver and of its kernels is compiled against this header by an ordinary compiler.  Arithmetic
// is what the device does (fused multiply-add, correctly rounded division and roots), thread after thread; kernels
// share nothing between threads, or only by the lanes of a warp (cuda/warp.h), which one thread goes through.  It is
// also an unkind one: copies and kernels only wait in their stream until someone waits for it, threads of a launch run
// in scattered order, memory starts full of NaN, a copy must name memory of the right kind and size, and any call can
// be made to fail.
#ifndef XN_EMULATED_CUDA_RUNTIME_H
#define XN_EMULATED_CUDA_RUNTIME_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <functional>

#define CUDART_VERSION 13000
#define __global__
#define __device__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __grid_constant__

struct emulated_index {
    unsigned x;
};
extern thread_local emulated_index threadIdx, blockIdx, blockDim;

static inline float __frsqrt_rn(float x) { return (float)(1.0 / sqrt((double)x)); }
static inline int atomicAdd(int *p, int by)
{
    const int before = *p;
    *p += by;
    return before;
}
static inline unsigned long long atomicAdd(unsigned long long *p, unsigned long long by)
{
    const unsigned long long before = *p;
    *p += by;
    return before;
}
static inline uint32_t atomicOr(uint32_t *p, uint32_t bits)
{
    const uint32_t before = *p;
    *p |= bits;
    return before;
}
static inline long long atomicMax(long long *p, long long v)
{
    const long long before = *p;
    *p = v > before ? v : before;
    return before;
}

typedef enum {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInsufficientDriver = 35,
    cudaErrorNoDevice = 100,
    cudaErrorInvalidDevice = 101,
    cudaErrorLaunchFailure = 719
} cudaError_t;

typedef enum { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 } cudaMemcpyKind;
typedef enum {
    cudaMemoryTypeUnregistered = 0,
    cudaMemoryTypeHost = 1,
    cudaMemoryTypeDevice = 2,
    cudaMemoryTypeManaged = 3
} cudaMemoryType;
typedef enum {
    cudaDevAttrClockRate,
    cudaDevAttrMemoryClockRate,
    cudaDevAttrGlobalMemoryBusWidth,
    cudaDevAttrMaxSharedMemoryPerBlockOptin,
    cudaDevAttrMaxSharedMemoryPerMultiprocessor
} cudaDeviceAttr;
typedef enum { cudaFuncAttributeMaxDynamicSharedMemorySize } cudaFuncAttribute;
enum { cudaStreamNonBlocking = 1 };

typedef struct emulated_stream *cudaStream_t;
typedef struct emulated_event *cudaEvent_t;

struct cudaDeviceProp {
    char name[256];
    size_t totalGlobalMem;
    int major, minor, multiProcessorCount, maxThreadsPerMultiProcessor, l2CacheSize;
};

struct cudaPointerAttributes {
    cudaMemoryType type;
    int device;
};

// Memory of a block, or of one warp of it: of this size and no more, full of other things.
struct emulated_memory {
    uint8_t *begin;
    explicit emulated_memory(size_t bytes) : begin((uint8_t *)memset(malloc(bytes), 0xa5, bytes)) {}
    ~emulated_memory() { free(begin); }
    emulated_memory(const emulated_memory &) = delete;
};

const char *cudaGetErrorString(cudaError_t e);
cudaError_t cudaGetLastError(void);
cudaError_t cudaGetDeviceCount(int *n);
cudaError_t cudaDriverGetVersion(int *version);
cudaError_t cudaRuntimeGetVersion(int *version);
cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int device);
cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDevice(int *device);
cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total);
cudaError_t cudaMalloc(void **p, size_t bytes);
cudaError_t cudaFree(void *p);
cudaError_t cudaMallocHost(void **p, size_t bytes);
cudaError_t cudaFreeHost(void *p);
cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void *p, int value, size_t bytes, cudaStream_t stream);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaEventCreate(cudaEvent_t *event);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *a, const void *p);
cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t begin, cudaEvent_t end);

cudaError_t emulated_attribute(cudaFuncAttribute attribute, int value);
template <typename K> cudaError_t cudaFuncSetAttribute(K, cudaFuncAttribute attribute, int value)
{
    return emulated_attribute(attribute, value);
}

extern thread_local uint8_t *emulated_block; // memory of the block, for the running thread
#define XN_BLOCK_MEMORY(type, name) type *const name = (type *)(void *)emulated_block
#define XN_SHARE(i, n) for (int i = 0; i < (n); i++) // no other thread sees this one's memory
#define XN_MEET() ((void)0)
#define XN_SEND(to, from) (*(to) = *(from))
#define XN_THERE() ((void)0)
void emulated_launch(unsigned blocks, unsigned threads, size_t bytes, cudaStream_t stream,
                     std::function<void()> thread);

#define XN_LAUNCH_WITH(kernel, blocks, threads, bytes, stream, argument)                                               \
    do {                                                                                                               \
        const auto emulated_kernel = kernel;                                                                           \
        const auto emulated_argument = argument;                                                                       \
        const size_t emulated_bytes = bytes;                                                                           \
        emulated_launch((unsigned)(blocks), threads, emulated_bytes, stream, [=]() {                                   \
            const emulated_memory memory(emulated_bytes);                                                              \
            emulated_block = memory.begin;                                                                             \
            emulated_kernel(emulated_argument);                                                                        \
        });                                                                                                            \
    } while (0)

#endif
