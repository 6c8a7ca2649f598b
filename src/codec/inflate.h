// SPDX-License-Identifier: BSD-3-Clause
// inflate.h -- zlib streams decoded whole, several literals at a time.
//
// In gzipped detector counts most symbols are literals of a few bits; one look into a table gives up to three of them.
// What this decoder does not take it leaves to libdeflate, which has the last word on damaged data.
#ifndef XN_CODEC_INFLATE_H
#define XN_CODEC_INFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

size_t xn_inflate_work(void); // bytes of work memory
// The zlib stream at src to dst, at most `room` bytes, on a processor with AVX2 and BMI2. True: decoded, and its
// checksum is right. False: damaged, longer than room, or of a rare kind.
bool xn_inflate_avx2(const uint8_t *src, size_t n, uint8_t *dst, size_t room, size_t *written, void *work);

#endif
