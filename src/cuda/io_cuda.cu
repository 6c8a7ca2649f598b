// SPDX-License-Identifier: BSD-3-Clause
// io_cuda.cu -- the table of reader/device.h on CUDA: memory, streams, copies, and the launches of the kernels that
// decode and place.
#include "cuda/bslz4.h"
#include "cuda/place.h"
#include "cuda/runtime.h"
#include "cuda/stream.h"

namespace
{

const uint64_t most_blocks = 0x7fffffff; // of threads, of a launch

int memory_owner(const void *p, char *why, size_t size)
{
    struct cudaPointerAttributes a;
    memset(&a, 0, sizeof a);
    if (failed(cudaPointerGetAttributes(&a, p), "memory of the device", why, size)) return -1;
    if (a.type == cudaMemoryTypeDevice || a.type == cudaMemoryTypeManaged) return a.device;
    snprintf(why, size, "it is memory of the host, not of a device");
    return -1;
}

bool use_device(int device, char *why, size_t size) { return !failed(cudaSetDevice(device), "device", why, size); }

int current_device(void)
{
    int device = -1;
    return worked(cudaGetDevice(&device)) ? device : -1;
}

void *take_memory(size_t bytes, char *why, size_t size)
{
    void *p = NULL;
    return failed(cudaMalloc(&p, bytes > 0 ? bytes : 1), "memory of the device", why, size) ? NULL : p;
}
int64_t free_memory(void)
{
    size_t left = 0, total = 0;
    return worked(cudaMemGetInfo(&left, &total)) ? (int64_t)left : 0;
}
void give_memory(void *p) { worked(cudaFree(p)); }

void *pin_memory(size_t bytes, char *why, size_t size)
{
    void *p = NULL;
    return failed(cudaMallocHost(&p, bytes > 0 ? bytes : 1), "pinned memory", why, size) ? NULL : p;
}
void unpin_memory(void *p) { worked(cudaFreeHost(p)); }

xn_device_stream *stream_open(char *why, size_t size)
{
    cudaStream_t s = NULL;
    if (failed(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking), "stream", why, size)) return NULL;
    xn_device_stream *stream = (xn_device_stream *)malloc(sizeof *stream);
    if (stream != NULL) {
        stream->stream = s;
        return stream;
    }
    worked(cudaStreamDestroy(s));
    snprintf(why, size, "out of memory for a stream");
    return NULL;
}

void stream_close(xn_device_stream *s)
{
    if (s == NULL) return;
    worked(cudaStreamSynchronize(s->stream));
    worked(cudaStreamDestroy(s->stream));
    free(s);
}

bool copy(xn_device_stream *s, void *to, const void *from, size_t bytes, cudaMemcpyKind kind, char *why, size_t size)
{
    return bytes == 0 || !failed(cudaMemcpyAsync(to, from, bytes, kind, s->stream), "copy", why, size);
}
bool copy_in(xn_device_stream *s, void *to, const void *from, size_t bytes, char *why, size_t size)
{
    return copy(s, to, from, bytes, cudaMemcpyHostToDevice, why, size);
}
bool copy_out(xn_device_stream *s, void *to, const void *from, size_t bytes, char *why, size_t size)
{
    return copy(s, to, from, bytes, cudaMemcpyDeviceToHost, why, size);
}
bool copy_within(xn_device_stream *s, void *to, const void *from, size_t bytes, char *why, size_t size)
{
    return copy(s, to, from, bytes, cudaMemcpyDeviceToDevice, why, size);
}

bool clear(xn_device_stream *s, void *to, size_t bytes, char *why, size_t size)
{
    return bytes == 0 || !failed(cudaMemsetAsync(to, 0, bytes, s->stream), "zeros", why, size);
}

typedef void (*unpack_kernel)(const struct unpack_grid);

bool unpack(xn_device_stream *s, const xn_device_unpack *job, char *why, size_t size)
{
    const uint32_t e = job->elem, threads = XN_LANES * XN_UNPACK_WARPS;
    const unpack_kernel kernel = e == 1   ? kernel_unpack<1>
                                 : e == 2 ? kernel_unpack<2>
                                 : e == 4 ? kernel_unpack<4>
                                 : e == 8 ? kernel_unpack<8>
                                          : NULL;
    if (kernel == NULL || job->block_bytes == 0 || job->block_bytes > XN_DEVICE_BLOCK || job->block_bytes % (8 * e) ||
        job->chunk_bytes == 0 || job->chunk_bytes % e || job->chunk_bytes > UINT32_MAX) {
        snprintf(why, size, "chunks that the device cannot decode");
        return false;
    }
    if (job->n_chunks == 0) return true;
    const struct unpack_grid g = {*job, (uint32_t)xn_device_unpack_blocks(job->chunk_bytes, job->block_bytes)};
    const uint64_t blocks = ((uint64_t)job->n_chunks * g.blocks + XN_UNPACK_WARPS - 1) / XN_UNPACK_WARPS;
    if (blocks > most_blocks) {
        snprintf(why, size, "too many chunks at a time");
        return false;
    }
    XN_LAUNCH(kernel_blocks, (job->n_chunks + threads - 1) / threads, threads, s->stream, g);
    XN_LAUNCH(kernel, (unsigned)blocks, threads, s->stream, g);
    return !failed(cudaGetLastError(), "launch of a kernel", why, size);
}

bool place(xn_device_stream *s, const xn_device_place *job, char *why, size_t size)
{
    const size_t elem = xn_type_size((xn_type)job->type);
    const uint64_t each = XN_PLACE_THREADS * XN_PLACE_EACH;
    struct place_grid g = {*job, (uint32_t)((job->largest + each - 1) / each)};
    const bool known = job->to_type == job->type || job->to_type == XN_F32 || job->to_type == XN_F64;
    if (elem == 0 || !known || (uint64_t)g.blocks * job->n_boxes > most_blocks) {
        snprintf(why, size, "numbers that the device cannot place");
        return false;
    }
    if (g.blocks == 0 || job->n_boxes == 0) return true;
    const auto kernel = elem == 1   ? kernel_place<1>
                        : elem == 2 ? kernel_place<2>
                        : elem == 4 ? kernel_place<4>
                                    : kernel_place<8>;
    XN_LAUNCH(kernel, g.blocks * job->n_boxes, XN_PLACE_THREADS, s->stream, g);
    return !failed(cudaGetLastError(), "launch of a kernel", why, size);
}

xn_device_mark *mark_create(char *why, size_t size)
{
    cudaEvent_t e = NULL;
    if (failed(cudaEventCreate(&e), "event", why, size)) return NULL;
    xn_device_mark *mark = (xn_device_mark *)malloc(sizeof *mark);
    if (mark != NULL) {
        mark->event = e;
        return mark;
    }
    worked(cudaEventDestroy(e));
    snprintf(why, size, "out of memory for a mark");
    return NULL;
}

void mark_destroy(xn_device_mark *m)
{
    if (m != NULL) worked(cudaEventDestroy(m->event));
    free(m);
}

bool mark_set(xn_device_stream *s, xn_device_mark *m, char *why, size_t size)
{
    return !failed(cudaEventRecord(m->event, s->stream), "event", why, size);
}

bool mark_wait(xn_device_mark *m, char *why, size_t size)
{
    return !failed(cudaEventSynchronize(m->event), "work on the device", why, size);
}

bool mark_between(xn_device_mark *begin, xn_device_mark *end, double *seconds, char *why, size_t size)
{
    float milliseconds = 0.0f;
    if (failed(cudaEventElapsedTime(&milliseconds, begin->event, end->event), "event", why, size)) return false;
    *seconds = 1e-3 * (double)milliseconds;
    return true;
}

} // namespace

#ifndef XN_DEVICE_IO
#define XN_DEVICE_IO xn_device_io_cuda
#endif
extern "C" {
extern const xn_device_io XN_DEVICE_IO;
const xn_device_io XN_DEVICE_IO = {"cuda",      device_count, memory_owner, use_device,  current_device, take_memory,
                                   give_memory, pin_memory,   unpin_memory, stream_open, stream_close,   copy_in,
                                   copy_out,    copy_within,  unpack,       place,       mark_create,    mark_destroy,
                                   mark_set,    mark_wait,    mark_between, free_memory, clear};
}
