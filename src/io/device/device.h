// SPDX-License-Identifier: BSD-3-Clause
// device.h -- arrays read into memory of a graphics processor: what the engine of array.h does with a pointer of one.
//
// Stored bytes go to the device as they are, through a ring of pinned memory that threads fill and copy engines empty,
// or by cuFile without the host; they are decoded (bitshuffle+LZ4), turned, converted to floating point and put in
// place there.  What a device cannot do (other filters, other conversions, the library's datasets, blocks never
// written) the engine does on the processor, into the ring; so the answer is always that of the processor.
#ifndef XN_IO_DEVICE_H
#define XN_IO_DEVICE_H

#include "reader/cufile.h"
#include "reader/device.h"

enum { XN_DEVICE_SLOTS = 3, XN_DEVICE_LANES = 16 };

// Where an array is read to.
typedef struct xn_device_target {
    const xn_device_io *io; // NULL: memory of the host
    int number;
    bool cufile;    // else the pinned ring
    bool on_host;   // everything is decoded on the processor
    size_t ring;    // bytes of a slot; 0: 16 MiB, less for small reads
    int lanes;      // threads, each with a stream and XN_DEVICE_SLOTS slots; 0: as many as threads read
    char note[200]; // why not the other way
} xn_device_target;

// Device `number` of `io` (NULL: there are none). reader: "ring"; "cufile", with a warning and the ring where it does
// not work; NULL or "auto": cuFile where nvidia-fs is loaded, else the ring. config: engine.cufile.*, may be NULL.
xani_status xn_device_target_find(xn_ctx *ctx, const xn_config *config, const xn_device_io *io, int number,
                                  const char *reader, xn_device_target *target);

// Blocks so far: decoded on the device, placed or copied as stored, done by the processor; of these handed back by the
// device because they are damaged or strange. Bytes over the bus, or by cuFile.
typedef struct xn_device_report {
    int64_t unpacked, raw, on_host, handed_back;
    int64_t bytes, cufile_bytes;
} xn_device_report;

#endif
