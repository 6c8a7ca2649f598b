// SPDX-License-Identifier: BSD-3-Clause
// device_lane.h -- a thread's way to a device: a stream and a ring of slots, kept from read to read.
//
// A slot holds one batch on its way: bytes in pinned memory and on the device, what is decoded but not yet in place,
// and the lists that the kernels go through.  While one slot's work is done by the device the next is filled.
#ifndef XN_IO_DEVICE_LANE_H
#define XN_IO_DEVICE_LANE_H

#include "io/array_plan.h"
#include "io/device/device.h"

typedef struct xn_device_slot {
    uint8_t *pinned; // NULL until it is needed
    uint8_t *stored, *work;
    xn_device_chunk *chunk, *host_chunk;
    xn_device_box *box, *host_box;
    uint32_t *where, *bad, *host_bad;
    xn_device_mark *done;
    bool busy;
    int64_t first, n; // jobs of the batch under way
    uint32_t n_chunks;
} xn_device_slot;

// What slots have room for.
typedef struct xn_device_room {
    size_t bytes, work; // stored; decoded
    uint32_t chunks, boxes, where;
} xn_device_room;

struct xn_device_lane {
    struct xn_device_lane *next;
    const xn_device_io *io;
    bool registered; // `stored` of all slots, with cuFile
    xn_device_stream *stream;
    xn_device_room room;
    xn_device_slot slot[XN_DEVICE_SLOTS];
    xn_plan host; // what the processor does for this lane
};

typedef struct xn_device_lane xn_device_lane;

// The calling thread uses the target's device until xn_device_leave, which gives it back the one it had (`before`).
bool xn_device_enter(const xn_device_target *t, int *before, char *why, size_t size);
void xn_device_leave(const xn_device_target *t, int before);

// Of a thread that has entered: an idle lane of the array with that much room, or a new one; NULL: `why`.
xn_device_lane *xn_device_lane_take(xn_array *a, const xn_device_room *room, char *why, size_t size);
void xn_device_lane_give(xn_array *a, xn_device_lane *lane);
void xn_device_lanes_free(xn_array *a);
// Pinned memory of the slot; NULL: `why`.
uint8_t *xn_device_slot_pinned(xn_device_lane *lane, xn_device_slot *slot, char *why, size_t size);

// device_batch.c: a batch is jobs of one kind, of one store where a device decodes or turns them.
typedef enum { XN_BATCH_HOST, XN_BATCH_RAW, XN_BATCH_UNPACK } xn_batch_kind;
typedef struct xn_device_batch {
    int64_t first, n;
    xn_batch_kind kind;
} xn_device_batch;

typedef struct xn_device_batches {
    xn_device_batch *list;
    int64_t n, room;
    xn_device_room most; // what the batches need
} xn_device_batches;

xani_status xn_device_cut(xn_plan *plan, xn_device_batches *cut);
uint32_t xn_device_block_bytes(const xn_store *s); // of bitshuffle; 0: not to be decoded on a device
// A box of n of a filtered block is all of it as it is decoded, in one run of the destination.
bool xn_device_in_place(const xn_plan *p, const xn_view *v, const int64_t *n);
// Where run `job` goes in the slot, `pos` being the end of what is there: behind the run of the batch's job before, or
// at a page with the file's offset within it. Moves *pos; *begins: a run of the file begins here.
size_t xn_device_lay(const xn_job *before, const xn_job *job, size_t before_at, size_t *pos, bool *begins);
// The box of a view that `job` is, its elements at `from` in steps of from_step elements; dst in elements of `elem`.
void xn_device_box_of(const xn_view *v, const int64_t *lo, const int64_t *n, const uint8_t *from,
                      const int64_t *from_step, size_t elem, xn_device_box *box);

// device_run.c
xani_status xn_device_run(xn_plan *plan);
// All `elements` of dst are the number `one`.
xani_status xn_device_fill(xn_plan *plan, uint8_t *dst, const uint8_t *one, int64_t elements);
// dst is memory of the target's device.
xani_status xn_device_check(xn_plan *plan, const void *dst);

#endif
