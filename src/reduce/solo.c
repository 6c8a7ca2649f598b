// SPDX-License-Identifier: BSD-3-Clause
// solo.c -- threads that each read and add frames of their own.
//
// A thread reads a few frames, then goes through the rows of groups and adds that row of one frame after the other:
// calibration and sums of the row are near for all but the first of them.  Where frames can be read by strips
// (solo_strips.c) it does so strip by strip, which stay in the second cache; whole frames stay in its share of the
// last one.
//
// Threads share nothing but the sums: whoever adds a row holds its lock, each begins at another row and leaves out for
// later what it finds locked.  There is no barrier within a batch.  Sums are integers: the order does not change them.
//
// The sums of all bins are larger than the caches.  So a batch, of which only the frames at hand are in memory, has a
// few shots of each bin; they are taken in the order of bins, and a thread has those of one or two.
//
// Frames are so read in jumps.  Where several lie in one chunk (source->together) each of them would cost the whole
// chunk: those are read in their order and added by step.c, as are frames that devices add.
#include <omp.h>
#include <sched.h>
#include <string.h>

#include "reduce/solo_parts.h"

enum { SLOTS_LEAST = 4, SLOTS_MOST = XN_SOLO_MOST, TURNS = 8, SHOTS_PER_BIN = 4, SHOTS_MOST = 4096 };
#define SLOTS_BYTES ((int64_t)4 << 20) // of a thread
#define BATCH_BYTES ((int64_t)4 << 30) // between two looks at clock and interruptions, if the threads' share is less

// Frames of a thread: as many as stay in the cache, within the memory that the plan has for batches; 0: none.
static int64_t choose_slots(const xn_accumulator *a, int64_t shots)
{
    int64_t threads = a->threads, room = 2 * a->plan->batch_frames / threads;
    int64_t want = xn_max64(SLOTS_LEAST, xn_min64(SLOTS_MOST, SLOTS_BYTES / a->plan->frame_bytes));
    if (a->source->ops->read_frames != NULL && a->source->together > 1) return 0;
    return xn_min64(xn_min64(want, room), (shots + threads - 1) / threads);
}

// at_once: frames that a thread takes.
static int64_t choose_shots(const xn_accumulator *a, int64_t at_once, int bins)
{
    if (a->plan->batch_given) return a->plan->batch_frames;
    int64_t share = at_once * a->threads * TURNS, few = SHOTS_PER_BIN * (int64_t)bins;
    return xn_max64(share, xn_min64(few, xn_min64(BATCH_BYTES / a->plan->frame_bytes, SHOTS_MOST)));
}

xani_status xn_solo_open(xn_accumulator *a, const xn_pass *pass, int64_t shots)
{
    int64_t slots = choose_slots(a, shots), rows = a->groups->ny;
    size_t threads = (size_t)a->threads, bytes = threads * (size_t)slots * (size_t)a->plan->frame_bytes;
    a->solo = NULL;
    if (slots == 0) return XANI_OK;
    xn_solo *s = xn_calloc(1, sizeof *s);
    if (s == NULL) return xn_fail_memory(a->ctx, "frames of the threads", sizeof *s);
    a->solo = s;
    s->slots = slots;
    s->frames = xn_alloc_large(bytes, 1);
    s->done = xn_alloc(threads, (size_t)rows);
    s->lock = s->done != NULL ? xn_alloc((size_t)rows, sizeof *s->lock) : NULL;
    xn_solo_strips_open(a, shots);
    s->at_once = s->strips.n > 0 ? s->strips.n : slots;
    s->shots = choose_shots(a, s->at_once, pass->n);
    for (int64_t y = 0; s->lock != NULL && y < rows; y++) omp_init_lock(&s->lock[y]);
    if (s->frames != NULL && s->lock != NULL) return XANI_OK;
    xn_solo_close(a);
    return xn_fail_memory(a->ctx, "frames of the threads", bytes);
}

void xn_solo_close(xn_accumulator *a)
{
    xn_solo *s = a->solo;
    if (s == NULL) return;
    for (int64_t y = 0; s->lock != NULL && y < a->groups->ny; y++) omp_destroy_lock(&s->lock[y]);
    xn_solo_strips_close(a);
    xn_free(s->lock);
    xn_free(s->done);
    xn_free(s->frames);
    xn_free(s);
    a->solo = NULL;
}

int64_t xn_solo_shots(const xn_accumulator *a) { return a->solo->shots; }

void xn_solo_rows(const xn_accumulator *a, const xn_pass *pass, const xn_batch *own, int64_t begin, int64_t end)
{
    int thread = omp_get_thread_num();
    int64_t rows = end - begin, start = thread * rows / a->threads;
    uint8_t *done = a->solo->done + thread * a->groups->ny;
    memset(done, 0, (size_t)rows);
    for (int round = 0; round < 2; round++)
        for (int64_t i = 0; i < rows; i++) {
            int64_t y = (start + i) % rows;
            omp_lock_t *lock = &a->solo->lock[begin + y];
            if (done[y]) continue;
            bool mine = omp_test_lock(lock) != 0;
            if (!mine && round == 0) continue;
            for (; !mine; mine = omp_test_lock(lock) != 0) (void)sched_yield(); // its owner may be waiting
            xn_rows_add(a, pass, own, begin + y, thread);
            omp_unset_lock(lock);
            done[y] = 1;
        }
}

void xn_solo_take(const xn_batch *b, int64_t first, int64_t n, uint8_t *frames, int64_t step, xn_solo_own *own)
{
    own->batch = (xn_batch){.frames = frames,
                            .step = step,
                            .shots = own->shots,
                            .order = own->order,
                            .frame = own->frame,
                            .n = n,
                            .half = -1};
    for (int64_t i = 0; i < n; i++) {
        own->order[i] = (int32_t)i;
        own->shots[i] = b->shots[b->order[first + i]];
        own->frame[i] = b->frame[b->order[first + i]];
    }
}

void xn_solo_mark(const xn_solo_own *own, const xn_pass *pass)
{
    for (int64_t i = 0; i < own->batch.n; i++) own->shots[i]->added = pass->number;
}

// n frames of the batch from number `first` of its order on. *at: the one that cannot be read.
static xani_status add_frames(const xn_accumulator *a, const xn_pass *pass, const xn_batch *b, int64_t first, int64_t n,
                              int64_t *at)
{
    int64_t step = a->plan->frame_bytes;
    uint8_t *frames = a->solo->frames + omp_get_thread_num() * a->solo->slots * step;
    xn_solo_own own;
    xn_solo_take(b, first, n, frames, step, &own);
    for (int64_t i = 0; i < n; i++) {
        *at = b->order[first + i];
        XN_TRY(xn_step_frame(a, own.frame[i], frames + i * step));
    }
    xn_solo_rows(a, pass, &own.batch, 0, a->groups->ny);
    xn_solo_mark(&own, pass);
    return XANI_OK;
}

// The same of as many as a thread takes at once.
static xani_status add_some(const xn_accumulator *a, const xn_pass *pass, const xn_batch *b, int64_t first, int64_t n,
                            int64_t *at)
{
    *at = b->order[first];
    if (xn_interrupted(a->ctx)) return xn_check_interrupt(a->ctx);
    if (xn_solo_strips_begin(a, b, first, n)) return xn_solo_strips_add(a, pass, b, first, n, at);
    for (int64_t i = 0; i < n; i += a->solo->slots)
        XN_TRY(add_frames(a, pass, b, first + i, xn_min64(a->solo->slots, n - i), at));
    return XANI_OK;
}

xani_status xn_solo_add(xn_accumulator *a, const xn_pass *pass, const xn_batch *b)
{
    xn_step s = {.failed = XANI_OK};
#pragma omp parallel for schedule(dynamic) num_threads(a->threads)
    for (int64_t first = 0; first < b->n; first += a->solo->at_once) {
        if (xn_step_failed(&s)) continue;
        int64_t at = 0;
        xani_status st = add_some(a, pass, b, first, xn_min64(a->solo->at_once, b->n - first), &at);
        xn_step_note(&s, st, b, at);
    }
    if (a->solo->strips.half_added) a->half_added = true;
    return xn_step_status(a, &s);
}
