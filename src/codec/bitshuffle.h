// SPDX-License-Identifier: BSD-3-Clause
// bitshuffle.h -- bits and bytes of elements regrouped, as the filters bitshuffle (32008) and shuffle (2) do.
//
// Bit-shuffled: 8 * elem rows of n / 8 bytes; row 8 * byte + bit holds that bit of all elements, element i in
// bit i % 8 of byte i / 8.  Byte-shuffled: elem planes of n bytes.  n is a multiple of 8 for bits.  The
// formulas stand once, in bitshuffle_kernel.h; the variant for this processor is chosen at the first call.
#ifndef XN_CODEC_BITSHUFFLE_H
#define XN_CODEC_BITSHUFFLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// work: n * elem bytes, may not overlap src or dst. stream: dst is written past the caches where that is possible, for
// what is larger than they are; then xn_stream_end before others may read it.
void xn_bits_unshuffle(const uint8_t *src, uint8_t *dst, uint8_t *work, size_t n, size_t elem, bool stream);
void xn_stream_end(void);
void xn_bits_shuffle(const uint8_t *src, uint8_t *dst, uint8_t *work, size_t n, size_t elem);
void xn_bytes_unshuffle(const uint8_t *src, uint8_t *dst, size_t n, size_t elem);
void xn_bytes_shuffle(const uint8_t *src, uint8_t *dst, size_t n, size_t elem);

// One LZ4 block to exactly `bytes` at dst, behind which XN_LZ4_SLACK bytes more may be written. False: damaged.
enum { XN_LZ4_SLACK = 64 };
bool xn_lz4_decode(const uint8_t *src, size_t n, uint8_t *dst, size_t bytes);

// Elements of a block of the filter where its header does not say (bitshuffle_encode.c).
size_t xn_bitshuffle_block(size_t elem);

// Fletcher's checksum over big-endian 16-bit words as the library computes it.
uint32_t xn_fletcher32(const uint8_t *src, size_t n);

typedef struct xn_shuffle_kernel {
    const char *name;
    void (*rows_to_bytes)(const uint8_t *rows, uint8_t *bytes, size_t columns); // 8 rows -> 8 * columns bytes
    // The first elements at once, without planes between; how many (0, or a multiple of 8).
    size_t (*rows_to_elements)(const uint8_t *rows, uint8_t *elements, size_t n, size_t elem, bool stream);
    void (*bytes_to_rows)(const uint8_t *bytes, uint8_t *rows, size_t columns);
    void (*interleave)(const uint8_t *planes, uint8_t *elements, size_t n, size_t elem);
    void (*deinterleave)(const uint8_t *elements, uint8_t *planes, size_t n, size_t elem);
    bool (*lz4)(const uint8_t *src, size_t n, uint8_t *dst, size_t bytes); // see xn_lz4_decode
    uint32_t (*fletcher32)(const uint8_t *src, size_t n);
} xn_shuffle_kernel;

// Variant i (0: portable), NULL: no such one, or not for this processor. xn_shuffle_use(-1): the best one.
const xn_shuffle_kernel *xn_shuffle_variant(int i);
void xn_shuffle_use(int i);

#endif
