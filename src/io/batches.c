// SPDX-License-Identifier: BSD-3-Clause
// batches.c -- see batches.h.
#include "io/batches.h"

#include <pthread.h>
#include <string.h>

enum { BATCH_BYTES = 64 << 20, AHEAD = 2, AHEAD_MAX = 64 };

struct xn_batches {
    xn_array *array;
    xn_selection selection;
    int64_t *list; // of the selection
    xn_type type;
    int threads;
    int64_t rows, total, row_bytes;
    int n; // buffers
    uint8_t **buffer;
    pthread_t thread;
    bool running;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int64_t filled, given; // batches; the caller holds number given - 1
    bool stop;
    xn_ctx *ctx; // of the thread
    xani_status status;
};

static int64_t batches_of(const xn_batches *b) { return (b->total + b->rows - 1) / b->rows; }

static xani_status fill(xn_batches *b, int64_t number)
{
    xn_selection part = b->selection;
    part.start[0] += number * b->rows;
    part.count[0] = xn_min64(b->rows, b->total - number * b->rows);
    return xn_array_read(b->ctx, b->array, &part, b->type, b->buffer[number % b->n], b->threads);
}

static void *run(void *user)
{
    xn_batches *b = user;
    pthread_mutex_lock(&b->lock);
    while (!b->stop && b->status == XANI_OK && b->filled < batches_of(b)) {
        if (b->filled >= b->given + b->n - 1) { // the buffer is the caller's still
            pthread_cond_wait(&b->changed, &b->lock);
            continue;
        }
        int64_t number = b->filled;
        pthread_mutex_unlock(&b->lock);
        xani_status st = fill(b, number);
        pthread_mutex_lock(&b->lock);
        if (st == XANI_OK) b->filled++;
        b->status = st;
        pthread_cond_broadcast(&b->changed);
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

void xn_batches_close(xn_batches **batches)
{
    if (batches == NULL || *batches == NULL) return;
    xn_batches *b = *batches;
    if (b->running) {
        pthread_mutex_lock(&b->lock);
        b->stop = true;
        pthread_cond_broadcast(&b->changed);
        pthread_mutex_unlock(&b->lock);
        pthread_join(b->thread, NULL);
    }
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->changed);
    for (int i = 0; b->buffer && i < b->n; i++) xn_array_memory_free(b->array, b->buffer[i]);
    xn_free(b->buffer);
    xn_free(b->list);
    xani_destroy(&b->ctx);
    xn_free(b);
    *batches = NULL;
}

static xani_status make_room(xn_ctx *ctx, xn_batches *b)
{
    size_t bytes = (size_t)b->rows * (size_t)b->row_bytes;
    b->n = (int)xn_min64(b->n, xn_max64(2, batches_of(b) + 1)); // no more than there is to read
    b->buffer = xn_calloc((size_t)b->n, sizeof *b->buffer);
    if (b->buffer == NULL) return xn_fail_memory(ctx, "batches", bytes);
    for (int i = 0; i < b->n; i++) {
        b->buffer[i] = xn_array_memory(ctx, b->array, bytes);
        if (b->buffer[i] == NULL) return xn_context(ctx, XANI_ERR_MEMORY, "batches");
    }
    if (b->selection.list == NULL || b->total == 0) return XANI_OK;
    b->list = xn_alloc((size_t)b->total, sizeof *b->list);
    if (b->list == NULL) return xn_fail_memory(ctx, "batches", (size_t)b->total * sizeof *b->list);
    memcpy(b->list, b->selection.list + b->selection.start[0], (size_t)b->total * sizeof *b->list);
    b->selection.list = b->list;
    b->selection.start[0] = 0;
    return XANI_OK;
}

xani_status xn_batches_open(xn_ctx *ctx, xn_array *array, const xn_selection *selection, xn_type type, int64_t rows,
                            int ahead, int threads, xn_batches **batches)
{
    *batches = NULL;
    const xn_array_info *info = xn_array_get_info(array);
    if (info->rank < 1) return xn_fail(ctx, XANI_ERR_USAGE, "batches: the dataset has no axis to go along");
    if (rows < 0 || ahead < 0 || ahead > AHEAD_MAX)
        return xn_fail(ctx, XANI_ERR_USAGE, "batches: %s is out of range", rows < 0 ? "rows" : "ahead");
    xn_batches *b = xn_calloc(1, sizeof *b);
    if (b == NULL) return xn_fail_memory(ctx, "batches", sizeof *b);
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->changed, NULL);
    b->array = array;
    b->selection = *selection;
    b->type = type;
    b->threads = threads;
    b->total = xn_max64(0, selection->count[0]);
    b->row_bytes = (int64_t)xn_type_size(type);
    for (int k = 1; k < info->rank; k++) b->row_bytes *= xn_max64(0, selection->count[k]);
    int64_t tile = xn_max64(1, info->tile[0]), fit = xn_max64(1, BATCH_BYTES / xn_max64(1, b->row_bytes));
    b->rows = rows ? rows : xn_max64(1, fit / tile) * tile;
    b->rows = xn_max64(1, xn_min64(b->rows, b->total));
    b->n = (ahead ? ahead : AHEAD) + 1;
    xani_status st = xani_create(&b->ctx);
    if (st == XANI_OK)
        st = make_room(ctx, b);
    else
        st = xn_fail_memory(ctx, "batches", sizeof *b);
    if (st == XANI_OK && pthread_create(&b->thread, NULL, run, b) != 0)
        st = xn_fail(ctx, XANI_ERR_MEMORY, "batches: a thread to read ahead cannot be started");
    b->running = st == XANI_OK;
    if (st == XANI_OK)
        *batches = b;
    else
        xn_batches_close(&b);
    return st;
}

xani_status xn_batches_next(xn_ctx *ctx, xn_batches *b, xn_batch *batch)
{
    *batch = (xn_batch){NULL, b->total, 0};
    XN_TRY(xn_check_interrupt(ctx));
    pthread_mutex_lock(&b->lock);
    while (b->filled <= b->given && b->status == XANI_OK && b->given < batches_of(b))
        pthread_cond_wait(&b->changed, &b->lock);
    xani_status st = XANI_OK;
    if (b->filled > b->given) {
        int64_t first = b->given * b->rows;
        *batch = (xn_batch){b->buffer[b->given % b->n], first, xn_min64(b->rows, b->total - first)};
        b->given++;
        pthread_cond_broadcast(&b->changed);
    } else {
        st = b->status;
    }
    pthread_mutex_unlock(&b->lock);
    return st == XANI_OK ? st : xn_fail(ctx, st, "%s", xani_error_text(b->ctx));
}
