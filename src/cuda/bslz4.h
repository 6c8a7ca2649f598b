// SPDX-License-Identifier: BSD-3-Clause
// bslz4.h -- bitshuffle + LZ4 (filter 32008) decoded on a device: one thread lists a chunk's blocks, then a warp takes
// each block of up to 8 KiB.
//
// LZ4: its sequences follow one another, so the warp goes through them together and shares the copying; a match that
// overlaps itself is a pattern of `offset` bytes and is written from that, so that no lane waits for another.
// Bits: 32 words of 32 bits, one row of bits each, are transposed across the lanes in five exchanges (H. S. Warren,
// Hacker's Delight, 7-3); lane j then holds the numbers j, 32 + j, ... and neighbours write neighbours.
//
// Nothing is read outside a chunk's stored bytes (but for the rest of their first aligned word) nor written outside its
// decoded ones.  What is accepted here, LZ4_decompress_safe and codec/bitshuffle_frame.c accept with the same result;
// what is not (damaged; other blocks than expected; a match in the last 12 bytes) is left to them.
#ifndef XN_CUDA_BSLZ4_H
#define XN_CUDA_BSLZ4_H

#include "cuda/warp.h"
#include "reader/device.h"

#define XN_UNPACK_WARPS 4    // of a block of threads
#define XN_UNPACK_TOGETHER 6 // such blocks that a multiprocessor can hold, by their registers

static const uint32_t nowhere = 0xffffffffu;
enum { UNPACK_MIN_MATCH = 4, UNPACK_LAST_LITERALS = 5, UNPACK_MATCH_LIMIT = 12 };

#define XN_DEVICE_FN static __device__ __forceinline__

XN_DEVICE_FN uint32_t be32_at(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

// ---- copies by a warp

// n bytes; `from` and `to` do not overlap. Words are written where they are aligned, and put together from the two
// aligned ones that hold their bytes; no byte after the last is touched, since another lane may be writing there.
XN_WARP void warp_copy(uint8_t *to, const uint8_t *from, uint32_t n)
{
    uint32_t head = (uint32_t)(4 - (uintptr_t)to % 4) % 4;
    if (n < 2 * XN_LANES) head = n;
    const uint32_t before = (uint32_t)((uintptr_t)(from + head) % 4);
    const uint32_t words = head == n ? 0 : (n - head - (before > 0 ? 4 - before : 0)) / 4, tail = head + 4 * words;
    const uint32_t *const low = (const uint32_t *)(from + head - before);
    XN_EACH_LANE(lane)
    {
        for (uint32_t i = (uint32_t)lane; i < head; i += XN_LANES) to[i] = from[i];
        for (uint32_t i = (uint32_t)lane; i < words; i += XN_LANES)
            ((uint32_t *)(to + head))[i] =
                before == 0 ? low[i] : low[i] >> 8 * before | low[i + 1] << (32 - 8 * before);
        for (uint32_t i = tail + (uint32_t)lane; i < n; i += XN_LANES) to[i] = from[i];
    }
}

// n bytes that repeat the `period` bytes before `to`, period < 32.
XN_WARP void warp_repeat(uint8_t *to, uint32_t period, uint32_t n)
{
    const uint8_t *const from = to - period;
    const uint32_t step = XN_LANES % period;
    uint32_t head = (uint32_t)(4 - (uintptr_t)to % 4) % 4;
    if (4 % period != 0 || n < 2 * XN_LANES) head = n; // a word does not hold whole patterns
    const uint32_t words = (n - head) / 4, tail = head + 4 * words;
    uint32_t word = 0;
    for (uint32_t k = 0; words > 0 && k < 4; k++) word |= (uint32_t)from[(head + k) % period] << 8 * k;
    XN_EACH_LANE(lane)
    {
        uint32_t at = (uint32_t)lane % period;
        for (uint32_t i = (uint32_t)lane; i < head; i += XN_LANES) {
            to[i] = from[at];
            at += step;
            at -= at >= period ? period : 0;
        }
        for (uint32_t i = (uint32_t)lane; i < words; i += XN_LANES) ((uint32_t *)(to + head))[i] = word;
        for (uint32_t i = tail + (uint32_t)lane; i < n; i += XN_LANES) to[i] = from[i % period];
    }
}

// The `offset` bytes before `to` and on, which may be those that this writes.
XN_WARP void warp_match(uint8_t *to, uint32_t offset, uint32_t n)
{
    if (offset < XN_LANES && offset < n) {
        warp_repeat(to, offset, n);
        return;
    }
    for (uint32_t done = 0; done < n; done += offset) // `offset` bytes that are there give the next ones
        warp_copy(to + done, to + done - offset, n - done < offset ? n - done : offset);
}

// ---- LZ4

// A length that goes on in further bytes; false: they end, or it is more than `most`.
XN_DEVICE_FN bool lz4_length(const uint8_t *src, uint32_t end, uint32_t *ip, uint32_t most, uint32_t *length)
{
    uint32_t byte;
    if (*length != 15) return true;
    do {
        if (*ip >= end || *length > most) return false;
        byte = src[(*ip)++];
        *length += byte;
    } while (byte == 255);
    return true;
}

// A block of n bytes to exactly `room` bytes.
XN_WARP bool lz4_block(const uint8_t *src, uint32_t n, uint8_t *dst, uint32_t room)
{
    uint32_t ip = 0, op = 0;
    while (ip < n) {
        const uint32_t token = src[ip++];
        uint32_t length = token >> 4;
        if (!lz4_length(src, n, &ip, room, &length) || length > n - ip || length > room - op) return false;
        warp_copy(dst + op, src + ip, length);
        ip += length;
        op += length;
        if (ip == n) return op == room;
        if (room - op < UNPACK_MATCH_LIMIT || n - ip < 2 + 1 + UNPACK_LAST_LITERALS) return false;
        const uint32_t offset = src[ip] | (uint32_t)src[ip + 1] << 8;
        ip += 2;
        length = token & 15;
        if (!lz4_length(src, n - UNPACK_LAST_LITERALS + 1, &ip, room, &length)) return false;
        length += UNPACK_MIN_MATCH;
        if (offset == 0 || offset > op || length > room - op - UNPACK_LAST_LITERALS) return false;
        warp_match(dst + op, offset, length);
        op += length;
    }
    return false;
}

// ---- bits

// Bits [first, first + 32) of a row of `stride` bytes, zeros past its end.
XN_DEVICE_FN uint32_t row_bits(const uint8_t *row, uint32_t stride, uint32_t first)
{
    const uint32_t at = first / 8;
    uint32_t bits = 0;
    if (at + 4 <= stride && (uintptr_t)(row + at) % 4 == 0) return *(const uint32_t *)(row + at);
    for (uint32_t k = 0; k < 4 && at + k < stride; k++) bits |= (uint32_t)row[at + k] << 8 * k;
    return bits;
}

// Words as rows of a matrix of 32 x 32 bits become its columns.
#define XN_TRANSPOSE(word, other)                                                                                      \
    for (int s = 16; s > 0; s /= 2) {                                                                                  \
        const uint32_t m = s == 16  ? 0x0000ffffu                                                                      \
                           : s == 8 ? 0x00ff00ffu                                                                      \
                           : s == 4 ? 0x0f0f0f0fu                                                                      \
                           : s == 2 ? 0x33333333u                                                                      \
                                    : 0x55555555u;                                                                     \
        XN_FROM_LANE(other, word, lane, lane ^ s);                                                                     \
        XN_EACH_LANE(lane)                                                                                             \
        OWN(word) =                                                                                                    \
            (lane & s) != 0 ? (OWN(word) & ~m) | (OWN(other) >> s & m) : (OWN(word) & m) | (OWN(other) << s & ~m);     \
    }

// The numbers of a block whose bits lie in `rows`: n of E bytes, n a multiple of 8.
template <int E> XN_WARP void bits_block(const uint8_t *rows, uint8_t *out, uint32_t n)
{
    const int R = 8 * E < XN_LANES ? 8 * E : XN_LANES; // rows that 32 lanes hold, each `parts` times
    const int parts = XN_LANES / R;
    const uint32_t stride = n / 8;
    XN_OWN(uint32_t, word);
    XN_OWN(uint32_t, high);
    XN_OWN(uint32_t, other);
    for (uint32_t first = 0; first < n; first += XN_LANES * parts) {
        XN_EACH_LANE(lane)
        {
            const uint32_t row = (uint32_t)(lane % R), from = first + XN_LANES * (uint32_t)(lane / R);
            OWN(word) = row_bits(rows + row * stride, stride, from);
            OWN(high) = E == 8 ? row_bits(rows + (row + XN_LANES) * stride, stride, from) : 0;
        }
        XN_TRANSPOSE(word, other)
        if (E == 8) XN_TRANSPOSE(high, other)
        XN_EACH_LANE(lane)
        for (int p = 0; p < parts; p++) {
            const uint32_t i = first + (uint32_t)(XN_LANES * p + lane);
            if (i >= n) continue;
            const uint32_t v = OWN(word) >> (8 * E % 32) * p;
            if (E == 1) out[i] = (uint8_t)v;
            if (E == 2) ((uint16_t *)out)[i] = (uint16_t)v;
            if (E == 4) ((uint32_t *)out)[i] = v;
            if (E == 8) ((uint64_t *)out)[i] = (uint64_t)OWN(high) << 32 | v;
        }
    }
}

// ---- kernels

struct unpack_grid {
    xn_device_unpack job;
    uint32_t blocks; // of a chunk, a last one of fewer than eight numbers counted
};

// Where the data of each block of a chunk begin, and those of the last numbers after them; a thread a chunk.
static __global__ void __launch_bounds__(XN_LANES *XN_UNPACK_WARPS)
    kernel_blocks(const __grid_constant__ struct unpack_grid g)
{
    const xn_device_unpack &job = g.job;
    const uint32_t c = blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= job.n_chunks) return;
    const uint8_t *src = job.chunk[c].stored;
    const uint64_t n = job.chunk[c].bytes;
    uint32_t *where = job.where + c * ((uint64_t)g.blocks + 1);
    job.bad[c] = 1;
    where[g.blocks] = nowhere; // for the next kernel, in which `bad` changes under way
    if (n < 12 || n > UINT32_MAX || be32_at(src) != 0 || be32_at(src + 4) != job.chunk_bytes) return;
    if (be32_at(src + 8) / job.elem * job.elem != job.block_bytes) return;
    const uint64_t whole = job.chunk_bytes / (8 * job.elem) * (8 * job.elem), tail = job.chunk_bytes - whole;
    uint64_t at = 12;
    for (uint64_t b = 0; b * job.block_bytes < whole; b++) {
        if (n - at < 4) return;
        const uint32_t length = be32_at(src + at);
        at += 4;
        if (n - at < length) return;
        where[b] = (uint32_t)at;
        at += length;
    }
    if (n - at < tail || at == nowhere) return;
    where[g.blocks] = (uint32_t)at;
    job.bad[c] = 0;
}

// Blocks of all chunks, one after the other; a warp a block.
template <int E>
static __global__ void __launch_bounds__(XN_LANES *XN_UNPACK_WARPS, XN_UNPACK_TOGETHER)
    kernel_unpack(const __grid_constant__ struct unpack_grid g)
{
    const xn_device_unpack &job = g.job;
    XN_SHARED(rows, XN_DEVICE_BLOCK, XN_UNPACK_WARPS);
    if (!warp_leads()) return;
    const uint64_t w = (uint64_t)blockIdx.x * XN_UNPACK_WARPS + threadIdx.x / XN_LANES;
    const uint64_t c = w / g.blocks, b = w % g.blocks;
    if (c >= job.n_chunks) return;
    const uint32_t *where = job.where + c * ((uint64_t)g.blocks + 1);
    if (where[g.blocks] == nowhere) return;
    const uint8_t *src = job.chunk[c].stored;
    const uint64_t first = b * job.block_bytes, left = job.chunk_bytes - first;
    const uint32_t bytes = left < job.block_bytes ? (uint32_t)left : job.block_bytes;
    const uint32_t whole = bytes / (8 * E) * (8 * E);
    uint8_t *out = job.chunk[c].out + first;
    if (whole > 0) {
        if (!lz4_block(src + where[b], be32_at(src + where[b] - 4), rows, whole)) {
            XN_EACH_LANE(lane) if (lane == 0) job.bad[c] = 1;
            return;
        }
        bits_block<E>(rows, out, whole / E);
    }
    XN_EACH_LANE(lane)
    for (uint32_t i = whole + (uint32_t)lane; i < bytes; i += XN_LANES) out[i] = src[where[g.blocks] + i - whole];
}

#endif
