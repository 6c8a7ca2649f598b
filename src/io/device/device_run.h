// SPDX-License-Identifier: BSD-3-Clause
// device_run.h -- one read into device memory on its way: what the files that fill, send and wait share.
#ifndef XN_IO_DEVICE_RUN_H
#define XN_IO_DEVICE_RUN_H

#include <stdatomic.h>

#include "io/device/device_lane.h"

enum { XN_DEVICE_WHY = 256, XN_DEVICE_COPY_WORTH = 64 << 10 }; // bytes from which a copy of its own pays

typedef struct xn_device_run_state {
    xn_plan *plan;
    const xn_device_target *target;
    xn_device_batches cut;
    _Atomic int64_t next;
    atomic_bool failed;
    xani_status status;       // of the first failure
    atomic_bool opened, told; // some lane was; one could not be, for the reason in `why`
    char why[XN_DEVICE_WHY];
    xn_device_report report;
} xn_device_run_state;

static inline const xn_view *xn_view_of(const xn_plan *p, const xn_job *job) { return &p->view[job->view]; }
static inline void xn_device_note(int64_t *counter, int64_t by) { __atomic_fetch_add(counter, by, __ATOMIC_RELAXED); }

// Steps of a box of this shape in C order, in elements.
static inline void xn_box_steps(int rank, const int64_t *shape, int64_t *step)
{
    int64_t s = 1;
    for (int k = rank - 1; k >= 0; k--) {
        step[k] = s;
        s *= shape[k];
    }
}

xani_status xn_device_fails(const xn_plan *plan, const char *why);

// device_fill.c: stored bytes of a batch into the slot. *in_pinned: so many lie in pinned memory; 0: on the device,
// where cuFile has put them.
xani_status xn_device_fill_slot(xn_device_run_state *r, xn_device_lane *l, xn_device_slot *s, const xn_device_batch *b,
                                size_t *in_pinned);

// device_send.c: what then goes into the lane's stream. False: `why`.
bool xn_device_send_raw(xn_device_run_state *r, xn_device_lane *l, xn_device_slot *s, const xn_device_batch *b,
                        size_t in_pinned, char *why);
bool xn_device_send_packed(xn_device_run_state *r, xn_device_lane *l, xn_device_slot *s, const xn_device_batch *b,
                           size_t in_pinned, char *why);

// device_host.c: jobs done by the processor, into `memory` of the host, and from there to their places.
xani_status xn_device_read_on_host(xn_device_run_state *r, xn_device_lane *l, const xn_job *job, int64_t n_jobs,
                                   uint8_t *memory);
bool xn_device_send_boxes(xn_device_run_state *r, xn_device_lane *l, xn_device_slot *s, const xn_job *job,
                          int64_t n_jobs, const uint8_t *memory, char *why);

#endif
