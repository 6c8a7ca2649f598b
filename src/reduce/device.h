// SPDX-License-Identifier: BSD-3-Clause
// device.h (reduce) -- the sums of a pass on graphics processors, which share the shots of each batch.
//
// Every device has the planes of the calibration and sums of its own, of all bins of the pass; sums are integers, so
// those of all devices and of the processor add up to one result.  Until they are collected they lie on the device
// alone: the shots that are in them are its debt, and shots of a device that fails are added again by the processor.
//
// Frames: where the source's are a dataset as they are (ops->frames) they are read straight into the device's memory
// and decoded there; else the processor reads them into pinned memory, from which they are copied.  Corrections of
// whole frames are made by the processor, thread by thread on frames in its cache; they take longer than adding, so
// what they leave is added there too.
#ifndef XN_REDUCE_DEVICE_H
#define XN_REDUCE_DEVICE_H

#include "io/frames.h"
#include "kernel/devices.h"
#include "kernel/sum_device.h"
#include "reduce/accumulate.h"

enum { XN_SUM_WHY = 256 };
#define XN_SUM_WORTH ((int64_t)1 << 32)  // of this library
#define XN_SUM_PINNED ((int64_t)1 << 30) // bytes of both batches of frames in pinned memory, at most

// What this library was built with, or what a test gives instead.
typedef struct xn_sum_tables {
    const xn_device_io *io;
    const xn_device_sums *sums;
    int64_t worth; // numbers in all frames from which `auto` looks for a device
} xn_sum_tables;

struct xn_sum_choice {
    xn_sum_tables tables;
    xn_devices devices;
    const xn_config *config; // of cuFile
    const char *reader;      // "ring", "cufile", NULL: the better one
};

typedef struct xn_sum_device {
    int number;
    bool lost;
    xn_frames *frames; // the source's, read into its memory; NULL: none are
    xn_device_stream *stream;
    xn_device_mark *done, *copied[2];
    uint8_t *memory; // all that follows, up to `photons`
    int64_t *first_row;
    float *pedestal[3], *factor[3];
    int64_t *s1, *s2, *x, *peak; // (slot, group), (group); slot 0 is the laser-off class
    uint32_t *flags;
    uint8_t *batch[2]; // frames; [1] only where they are read straight into it
    xn_sum_shot *shot;
    int64_t *parts, *photons;
    uint8_t *pinned; // all that follows, up to `staging`
    xn_sum_shot *host_shot;
    int64_t *host_photons;
    uint8_t *staging[2];
    int64_t *to[2], count[2]; // what a staging half is added to, and how much of it; 0: nothing
    int32_t *order;           // frames of the batch under way, as host_shot has them
    int64_t n;                // of them; 0: nothing is under way
    uint8_t *touched;         // (slots) not yet collected
    xn_work_shot **debt;
    int64_t n_debt;
} xn_sum_device;

struct xn_sum_devices {
    const xn_sum_choice *choice;
    xn_sum_device *device;
    int count, alive;
    bool direct;
    int64_t batch_frames, room;   // shots of a batch, of all devices; of one device
    int64_t frame_step;           // bytes between frames on a device
    int64_t staging;              // bytes of a half
    int64_t slots, groups, words; // sums of a device; words of its flags
    xn_work_shot **lost;          // to be added again
    int64_t n_lost;
};

// From the configuration; choice->devices.count 0: the processor alone.
xani_status xn_sum_choose(xn_ctx *ctx, const xn_config *config, const xn_sum_tables *tables, const xn_source *source,
                          const xn_groups *groups, const xn_work *work, xn_sum_choice *choice);
// a->devices for the pass, of at most `shots` shots; NULL: none could be had, and none was asked for.
xani_status xn_sum_open(xn_accumulator *a, const xn_pass *pass, int64_t shots);
// Devices are done with what they were given, and take no more: frames may be freed then.
void xn_sum_stop(xn_accumulator *a);
void xn_sum_close(xn_accumulator *a);
// Memory of the host for batches of frames, and back.
uint8_t *xn_sum_frames_alloc(xn_accumulator *a, size_t bytes);
void xn_sum_frames_free(xn_accumulator *a, uint8_t *frames);

// Which frames of the batch go to which device, and how they are read there; nothing where they are not.
void xn_sum_split(const xn_accumulator *a, xn_batch *b);
// Read `read` of such a batch, in the calling thread.
xani_status xn_sum_read(const xn_accumulator *a, const xn_batch *b, int64_t read);
// The device that frame `frame` of the batch goes to has failed.
xani_status xn_sum_read_failed(xn_accumulator *a, const xn_batch *b, int64_t frame, const char *why);

// Sends the batch to the devices, and waits for them. What they cannot do is in devices->lost afterwards; where a
// device was asked for by name, an error.
xani_status xn_sum_add(xn_accumulator *a, const xn_pass *pass, const xn_batch *b);
xani_status xn_sum_wait(xn_accumulator *a, const xn_pass *pass, const xn_batch *b);
// All sums so far to those of the pass. *torn: a device failed with part of its sums added: the pass is to be made
// anew.
xani_status xn_sum_collect(xn_accumulator *a, const xn_pass *pass, bool *torn);

// recover.c: what was lost is added by the processor.
xani_status xn_sum_recover(xn_accumulator *a, const xn_pass *pass);
// The sums of the pass are zeros again; how many shots were in them.
int64_t xn_sum_start_anew(xn_accumulator *a, const xn_pass *pass);

xani_status xn_sum_lose(xn_accumulator *a, xn_sum_device *d, const char *why);
void xn_sum_device_close(const xn_sum_devices *s, xn_sum_device *d);

// The calling thread uses that device until xn_sum_leave; false: `why`.
bool xn_sum_enter(const xn_sum_devices *s, const xn_sum_device *d, int *before, char *why);
void xn_sum_leave(const xn_sum_devices *s, const xn_sum_device *d, int before);

#endif
