// SPDX-License-Identifier: BSD-3-Clause
// core.h -- context, status and error text, log, progress, interruption, memory.
//
// What every other folder includes.  A function that can fail returns xani_status and, on failure,
// has left one line in the context through xn_fail; callers add what they were doing with xn_context
// ("while reading frame 12 of x.h5: ...").  Worker threads may call xn_fail: the first error is kept.
// Memory comes from xn_alloc/xn_calloc so that tests can make the n-th allocation fail.
#ifndef XN_CORE_H
#define XN_CORE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xani/base.h"

typedef xani_context xn_ctx;

#define XN_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

// Return early / leave through out: with the status of a failing call. With the two below the only control macros.
#define XN_TRY(expr)                                                                                                   \
    do {                                                                                                               \
        xani_status xn_try_ = (expr);                                                                                  \
        if (xn_try_ != XANI_OK) return xn_try_;                                                                        \
    } while (0)
#define XN_GOTO(label, st, expr)                                                                                       \
    do {                                                                                                               \
        (st) = (expr);                                                                                                 \
        if ((st) != XANI_OK) goto label;                                                                               \
    } while (0)

// How a public call begins, and refuses a NULL where its documentation allows none.
#define XN_BEGIN(context)                                                                                              \
    do {                                                                                                               \
        if ((context) == NULL) return XANI_ERR_USAGE;                                                                  \
        xn_clear_error(context);                                                                                       \
    } while (0)
#define XN_NEED(context, argument)                                                                                     \
    do {                                                                                                               \
        if ((argument) == NULL) return xn_fail((context), XANI_ERR_USAGE, "%s: %s is NULL", __func__, #argument);      \
    } while (0)

// Sets the error text (first one wins until xn_clear_error) and returns `status`. ctx may be NULL.
xani_status xn_fail(xn_ctx *ctx, xani_status status, const char *fmt, ...) XN_PRINTF(3, 4);
// Here and not in core.c so that a compiler or analyser that sees one file knows that it never returns XANI_OK.
static inline xani_status xn_fail_memory(xn_ctx *ctx, const char *what, size_t bytes)
{
    (void)xn_fail(ctx, XANI_ERR_MEMORY, "out of memory: %s needs %.1f MiB", what, (double)bytes / 1048576.0);
    return XANI_ERR_MEMORY;
}
// The same for a list of n strings, all of which are needed.
xani_status xn_need_all(xn_ctx *ctx, const char *function, const char *name, const char *const *list, size_t n);
// Prefixes the kept text with "<fmt>: " when status is not XANI_OK; returns status.
xani_status xn_context(xn_ctx *ctx, xani_status status, const char *fmt, ...) XN_PRINTF(3, 4);
void xn_clear_error(xn_ctx *ctx);

void xn_log(xn_ctx *ctx, xani_log_level level, const char *fmt, ...) XN_PRINTF(3, 4);
#define xn_warn(ctx, ...) xn_log((ctx), XANI_LOG_WARNING, __VA_ARGS__)
#define xn_note(ctx, ...) xn_log((ctx), XANI_LOG_INFO, __VA_ARGS__)
// Warnings since the last xn_warnings_forget, each once, the first XN_WARNINGS of them: results keep what was said
// while they were made.
#define XN_WARNINGS 32
int xn_warnings(const xn_ctx *ctx, const char *const **texts);
void xn_warnings_forget(xn_ctx *ctx);

// Progress of the current stage. stage and unit must be static strings. Calls are rate-limited
// (10 per second) except the first and the last; call from the main thread only.
void xn_progress(xn_ctx *ctx, const char *stage, int64_t done, int64_t total, const char *unit);
bool xn_interrupted(const xn_ctx *ctx);
// XANI_INTERRUPTED with text when an interrupt is pending, else XANI_OK.
xani_status xn_check_interrupt(xn_ctx *ctx);
// What a public call that looks for interrupts returns: XANI_INTERRUPTED answers all that came so far. Only there,
// where no thread of the call looks any more, and not in calls within calls.
xani_status xn_answer(xn_ctx *ctx, xani_status status);

const char *xn_command_line(const xn_ctx *ctx); // "" if not set

// A whole file of at most `most` bytes, with a NUL behind it; owned. Errors have the status `bad`.
xani_status xn_file_text(xn_ctx *ctx, const char *path, size_t most, xani_status bad, char **text, size_t *bytes);

// Insertions, deletions and replacements between two words, of which 48 characters count: for the nearest name.
int xn_edit_distance(const char *a, const char *b);

int xn_threads(int asked);   // asked > 0: asked; else the processors this process may use, by affinity and share
double xn_seconds(void);     // monotonic wall clock
double xn_cpu_seconds(void); // CPU time of the calling thread

// ---- memory. All of it 64-byte aligned; xn_free takes NULL. Sizes are checked for overflow.
void *xn_alloc(size_t n, size_t size);
void *xn_alloc_large(size_t n, size_t size); // the same for what is used whole: of huge pages where they are to be had
void *xn_calloc(size_t n, size_t size);
void *xn_realloc(void *p, size_t n, size_t size); // contents kept
char *xn_strdup(const char *s);
char *xn_format(const char *fmt, ...) XN_PRINTF(1, 2); // owned; NULL when memory is short
void xn_free(void *p);
// Whether so many threads may call BLAS and LAPACK: XANI_ERR_MEMORY where a limited address space (ulimit -v) has no
// room for OpenBLAS's buffers, for which it would ask for ever, deaf to signals. Asked before the first call.
xani_status xn_algebra_room(xn_ctx *ctx, int threads);
int64_t xn_memory_free(void); // bytes this process may still take, as the system and its control groups say
// The same, and processors by share of time (INT64_MAX: no limit), of the system whose /proc and /sys stand there, for
// tests.
int64_t xn_memory_free_below(const char *root);
int64_t xn_processors_below(const char *root);
// Test hook: called before each allocation with its running number; returning true makes it fail.
typedef bool (*xn_mem_hook)(void *user, uint64_t number);
void xn_mem_set_hook(xn_mem_hook hook, void *user);

static inline int64_t xn_min64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t xn_max64(int64_t a, int64_t b) { return a > b ? a : b; }
int xn_double_compare(const void *a, const void *b); // ascending, for qsort

#endif
