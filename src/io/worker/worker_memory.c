// SPDX-License-Identifier: BSD-3-Clause
// worker_memory.c -- malloc of the helper program: what would do harm quietly ends the process.
//
// A damaged file often makes libhdf5 read or write beside its memory without any harm to the helper, and with harm to
// the next process.  So here larger blocks end at a page that cannot be touched and vanish when they are freed; smaller
// ones lie between stripes that are looked at when they are freed, and are not used again for a while; memory that was
// freed, or never filled, holds addresses that no process has.  It is no part of the library.
//
// One thread. Everything is 16-byte aligned.
#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    PAGE = 4096,
    GUARD = 3 << 20, // behind each larger block: an index of 16 bits into records of 32 bytes ends there
    STEP = 16,
    STRIPE = 32,
    GUARDED = 512, // bytes from which a block gets pages of its own
    CLASSES = (GUARDED + 2 * STRIPE) / STEP + 2,
    GUARDS = 10000,    // a process may have some ten thousand pieces of address space
    RESTING = 1 << 14, // small blocks that were freed last
    POOL = 1 << 20,
    FRESH = 0xA5,
    FREED = 0xDB,
    EDGE = 0xE7
};
#define SMALL_MARK 0x5ea1ed0b10c55a11u
#define LARGE_MARK 0x5ea1ed0b10c51a46u
#define GUARDED_MARK 0x5ea1ed0b106a4d1du
#define ALIGNED_MARK 0x5ea1ed0b10ca1167u
#define LIMIT ((size_t)1 << 30) // of all blocks together

typedef struct {
    uint64_t mark;
    size_t bytes;
} head; // stands in front of each block

static struct {
    uint8_t *pool, *pool_end;
    void *idle[CLASSES]; // by size, linked through their first bytes
    uint8_t *resting[RESTING];
    size_t at, used, guards;
} heap;

static size_t rounded(size_t n, size_t step) { return (n + step - 1) / step * step; }
static size_t stride_of(size_t n) { return sizeof(head) + rounded(n, STEP) + STRIPE; }
static void end_here(void) { __builtin_trap(); }

static size_t body_of(size_t n) { return rounded(rounded(n, STEP) + sizeof(head), PAGE); }

static uint8_t *large(size_t n)
{
    size_t body = body_of(n), whole = rounded(n, STEP);
    bool guarded = heap.guards < GUARDS; // without, neighbours become one piece of address space
    uint8_t *base = mmap(NULL, body + (guarded ? GUARD : 0), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) return NULL;
    if (mprotect(base, body, PROT_READ | PROT_WRITE) != 0) return munmap(base, body + (guarded ? GUARD : 0)), NULL;
    heap.guards += guarded;
    uint8_t *p = base + body - whole;
    *((head *)(void *)p - 1) = (head){guarded ? GUARDED_MARK : LARGE_MARK, n};
    memset(p + n, EDGE, whole - n);
    return p;
}

static uint8_t *small(size_t n)
{
    size_t stride = stride_of(n), class = stride / STEP;
    uint8_t *block = heap.idle[class];
    if (block) {
        void *next;
        memcpy(&next, block, sizeof next);
        heap.idle[class] = next;
    } else {
        if ((size_t)(heap.pool_end - heap.pool) < stride) {
            void *pool = mmap(NULL, POOL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (pool == MAP_FAILED) return NULL;
            heap.pool = pool;
            heap.pool_end = heap.pool + POOL;
        }
        block = heap.pool;
        heap.pool += stride;
    }
    uint8_t *p = block + sizeof(head);
    *(head *)(void *)block = (head){SMALL_MARK, n};
    memset(p + n, EDGE, stride - sizeof(head) - n);
    return p;
}

#pragma GCC visibility push(default) // for the libraries, whose calls these are to take

void *malloc(size_t n)
{
    uint8_t *p = n > LIMIT || heap.used > LIMIT - n ? NULL : n >= GUARDED ? large(n) : small(n);
    if (p == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    heap.used += n;
    memset(p, FRESH, n < (size_t)1 << 22 ? n : (size_t)1 << 22); // the rest of a huge one stays untouched
    return p;
}

static void rest(uint8_t *p, size_t n)
{
    size_t stride = stride_of(n);
    for (uint8_t *q = p + n; q < p - sizeof(head) + stride; q++)
        if (*q != EDGE) end_here(); // written beyond its end
    memset(p - sizeof(head), FREED, stride);
    uint8_t *oldest = heap.resting[heap.at];
    heap.resting[heap.at] = p;
    heap.at = (heap.at + 1) % RESTING;
    if (oldest == NULL) return;
    // Its size is gone with the rest of it, so it stands where it lay: in the stripes' place.
    size_t class;
    memcpy(&class, oldest, sizeof class);
    for (size_t i = sizeof class; i < class * STEP - sizeof(head); i++)
        if (oldest[i] != FREED) end_here(); // written after it was freed
    void *next = heap.idle[class];
    oldest -= sizeof(head);
    memcpy(oldest, &next, sizeof next);
    heap.idle[class] = oldest;
}

static void vanish(uint8_t *p, size_t n, bool guarded)
{
    size_t whole = rounded(n, STEP);
    for (uint8_t *q = p + n; q < p + whole; q++)
        if (*q != EDGE) end_here();
    munmap(p + whole - body_of(n), body_of(n) + (guarded ? GUARD : 0));
    heap.guards -= guarded;
}

void free(void *memory)
{
    if (memory == NULL) return;
    head h = *((head *)memory - 1);
    size_t class = stride_of(h.bytes) / STEP;
    switch (h.mark) {
    case LARGE_MARK:
    case GUARDED_MARK:
        vanish(memory, h.bytes, h.mark == GUARDED_MARK);
        break;
    case SMALL_MARK:
        rest(memory, h.bytes);
        memcpy(memory, &class, sizeof class);
        break;
    case ALIGNED_MARK:
        free((uint8_t *)memory - h.bytes);
        return;
    default:
        end_here(); // freed before, or never given out
    }
    heap.used -= h.bytes;
}

void *calloc(size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) bytes = SIZE_MAX;
    uint8_t *p = malloc(bytes);
    if (p) memset(p, 0, bytes < (size_t)1 << 22 ? bytes : (size_t)1 << 22);
    return p;
}

void *realloc(void *memory, size_t n)
{
    void *p = malloc(n);
    if (p == NULL || memory == NULL) return p;
    head h = *((head *)memory - 1);
    size_t bytes = h.bytes;
    if (h.mark == ALIGNED_MARK) bytes = (((head *)(void *)((uint8_t *)memory - h.bytes)) - 1)->bytes - h.bytes;
    bool ours = h.mark == SMALL_MARK || h.mark == LARGE_MARK || h.mark == GUARDED_MARK || h.mark == ALIGNED_MARK;
    if (!ours) end_here();
    memcpy(p, memory, bytes < n ? bytes : n);
    free(memory);
    return p;
}

// Larger alignments: within a larger block, with a head that says how far.
static void *aligned(size_t alignment, size_t n)
{
    if (alignment <= STEP) return malloc(n);
    uint8_t *whole = n > LIMIT ? NULL : malloc(n + alignment);
    if (whole == NULL) return NULL;
    uint8_t *p = whole + alignment - (uintptr_t)whole % alignment; // 16 bytes beyond its start at least
    *((head *)(void *)p - 1) = (head){ALIGNED_MARK, (size_t)(p - whole)};
    return p;
}

int posix_memalign(void **memory, size_t alignment, size_t n)
{
    *memory = aligned(alignment, n);
    return *memory ? 0 : ENOMEM;
}
void *aligned_alloc(size_t alignment, size_t n) { return aligned(alignment, n); }
void *memalign(size_t alignment, size_t n) { return aligned(alignment, n); }
size_t malloc_usable_size(void *memory) { return memory ? ((head *)memory - 1)->bytes : 0; }

#pragma GCC visibility pop
