// SPDX-License-Identifier: BSD-3-Clause
// lookup3.h -- the checksum of the metadata of HDF5: Bob Jenkins' lookup3, hashlittle with start value 0.
//
// Every structure of the formats since 1.8 ends with four bytes, little-endian, that are the checksum of all before
// (HDF5 file format specification, version 3.0; B. Jenkins, lookup3.c, May 2006, public domain).
#ifndef XN_IO_LOOKUP3_H
#define XN_IO_LOOKUP3_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint32_t xn_lookup3(const uint8_t *bytes, size_t n);
// The last four of n bytes are the checksum of those before.
bool xn_lookup3_holds(const uint8_t *bytes, size_t n);
// For tests: every checksum holds, because chance does not find what lies behind one.
void xn_lookup3_believe(bool all);

#endif
