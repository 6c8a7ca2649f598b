// SPDX-License-Identifier: BSD-3-Clause
// core.c -- see core.h.  Error text is built under a mutex because worker threads may fail at once.
#include "core/core.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "core/text.h"

#define ERROR_LENGTH 1024

struct xani_context {
    pthread_mutex_t lock;
    char error[ERROR_LENGTH];
    bool failed;
    xani_log_fn log;
    void *log_user;
    xani_progress_fn progress;
    void *progress_user;
    const char *stage;
    double stage_start, last_report;
    char *command;
    char *warning[XN_WARNINGS];
    int n_warnings;
    atomic_int interrupted;
};

// ---- status table

typedef struct {
    const char *name;
    int exit_code;
    const char *text;
} status_entry;

static const status_entry status_table[] = {
#define XN_STATUS(constant, name, code, text) [constant] = {name, code, text},
#include "core/status.def"
#undef XN_STATUS
};

_Static_assert(sizeof status_table / sizeof status_table[0] == XANI_STATUS_COUNT, "status.def and xani_status differ");

static const status_entry *status_find(xani_status s)
{
    bool known = (int)s >= 0 && s < XANI_STATUS_COUNT;
    return &status_table[known ? s : XANI_ERR_INTERNAL];
}

const char *xani_status_name(xani_status s) { return status_find(s)->name; }
const char *xani_status_text(xani_status s) { return status_find(s)->text; }
int xani_exit_code(xani_status s) { return status_find(s)->exit_code; }

#define STR2(x) #x
#define STR(x) STR2(x)
const char *xani_version(void)
{
    return STR(XANI_VERSION_MAJOR) "." STR(XANI_VERSION_MINOR) "." STR(XANI_VERSION_PATCH);
}

// ---- context

xani_status xani_create(xani_context **context)
{
    if (context == NULL) return XANI_ERR_USAGE;
    *context = NULL;
    xani_context *c = xn_calloc(1, sizeof *c);
    if (c == NULL) return XANI_ERR_MEMORY;
    pthread_mutex_init(&c->lock, NULL);
    atomic_init(&c->interrupted, 0);
    *context = c;
    return XANI_OK;
}

void xani_destroy(xani_context **context)
{
    if (context == NULL || *context == NULL) return;
    pthread_mutex_destroy(&(*context)->lock);
    xn_warnings_forget(*context);
    xn_free((*context)->command);
    xn_free(*context);
    *context = NULL;
}

void xani_set_log(xani_context *c, xani_log_fn fn, void *user)
{
    if (c == NULL) return;
    c->log = fn;
    c->log_user = user;
}

void xani_set_progress(xani_context *c, xani_progress_fn fn, void *user)
{
    if (c == NULL) return;
    c->progress = fn;
    c->progress_user = user;
}

void xani_set_command(xani_context *c, const char *command_line)
{
    if (c == NULL) return;
    xn_free(c->command);
    c->command = xn_strdup(command_line);
}

void xani_interrupt(xani_context *c)
{
    if (c != NULL) atomic_store(&c->interrupted, 1);
}

const char *xani_error_text(const xani_context *c) { return c != NULL ? c->error : ""; }
void xani_free(void *memory) { xn_free(memory); }
const char *xn_command_line(const xn_ctx *ctx) { return ctx->command ? ctx->command : ""; }

// ---- errors and log

// One line: a newline inside a file name or a library's text must not break the one-line rule.
static void flatten(char *s)
{
    for (; *s; s++)
        if (*s == '\n' || *s == '\r') *s = ' ';
}

xani_status xn_fail(xn_ctx *ctx, xani_status status, const char *fmt, ...)
{
    if (ctx == NULL) return status;
    pthread_mutex_lock(&ctx->lock);
    if (!ctx->failed) {
        va_list args;
        va_start(args, fmt);
        xn_text_fit(ctx->error, sizeof ctx->error, fmt, args);
        va_end(args);
        flatten(ctx->error);
        ctx->failed = true;
    }
    pthread_mutex_unlock(&ctx->lock);
    return status;
}

static void fit(char *to, size_t size, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    xn_text_fit(to, size, fmt, args);
    va_end(args);
}

xani_status xn_need_all(xn_ctx *ctx, const char *function, const char *name, const char *const *list, size_t n)
{
    if (n > 0 && list == NULL) return xn_fail(ctx, XANI_ERR_USAGE, "%s: %s is NULL", function, name);
    for (size_t i = 0; i < n; i++)
        if (list[i] == NULL) return xn_fail(ctx, XANI_ERR_USAGE, "%s: %s[%zu] is NULL", function, name, i);
    return XANI_OK;
}

xani_status xn_context(xn_ctx *ctx, xani_status status, const char *fmt, ...)
{
    if (status == XANI_OK || ctx == NULL) return status;
    pthread_mutex_lock(&ctx->lock);
    char inner[ERROR_LENGTH], outer[ERROR_LENGTH];
    memcpy(inner, ctx->error, sizeof inner);
    va_list args;
    va_start(args, fmt);
    xn_text_fit(outer, sizeof outer, fmt, args);
    va_end(args);
    flatten(outer);
    const size_t n = strlen(outer); // two callers may have been doing the same: said once
    if (strncmp(inner, outer, n) != 0 || strncmp(inner + n, ": ", 2) != 0)
        fit(ctx->error, sizeof ctx->error, "%s: %s", outer, inner);
    flatten(ctx->error);
    ctx->failed = true;
    pthread_mutex_unlock(&ctx->lock);
    return status;
}

void xn_clear_error(xn_ctx *ctx)
{
    if (ctx == NULL) return;
    pthread_mutex_lock(&ctx->lock);
    ctx->failed = false;
    ctx->error[0] = '\0';
    pthread_mutex_unlock(&ctx->lock);
}

// One that finds no memory has at least been said.
static void keep_warning(xn_ctx *ctx, const char *text)
{
    for (int i = 0; i < ctx->n_warnings; i++)
        if (strcmp(ctx->warning[i], text) == 0) return;
    if (ctx->n_warnings == XN_WARNINGS) return;
    char *copy = xn_strdup(text);
    if (copy != NULL) ctx->warning[ctx->n_warnings++] = copy;
}

int xn_warnings(const xn_ctx *ctx, const char *const **texts)
{
    *texts = ctx != NULL ? (const char *const *)ctx->warning : NULL;
    return ctx != NULL ? ctx->n_warnings : 0;
}

void xn_warnings_forget(xn_ctx *ctx)
{
    while (ctx != NULL && ctx->n_warnings > 0) xn_free(ctx->warning[--ctx->n_warnings]);
}

void xn_log(xn_ctx *ctx, xani_log_level level, const char *fmt, ...)
{
    if (ctx == NULL || (ctx->log == NULL && level != XANI_LOG_WARNING)) return;
    char text[ERROR_LENGTH];
    va_list args;
    va_start(args, fmt);
    xn_text_fit(text, sizeof text, fmt, args);
    va_end(args);
    flatten(text);
    pthread_mutex_lock(&ctx->lock);
    if (level == XANI_LOG_WARNING) keep_warning(ctx, text);
    if (ctx->log != NULL) ctx->log(ctx->log_user, level, text);
    pthread_mutex_unlock(&ctx->lock);
}

void xn_progress(xn_ctx *ctx, const char *stage, int64_t done, int64_t total, const char *unit)
{
    if (ctx == NULL || ctx->progress == NULL) return;
    double now = xn_seconds();
    if (stage != ctx->stage || done == 0) {
        ctx->stage = stage;
        ctx->stage_start = now;
        ctx->last_report = -1e9;
    }
    if (done < total && now - ctx->last_report < 0.1) return;
    ctx->last_report = now;
    ctx->progress(ctx->progress_user, stage, done, total, unit, now - ctx->stage_start);
}

bool xn_interrupted(const xn_ctx *ctx)
{
    return ctx != NULL && atomic_load(&((xn_ctx *)(uintptr_t)ctx)->interrupted) != 0;
}

xani_status xn_check_interrupt(xn_ctx *ctx)
{
    if (!xn_interrupted(ctx)) return XANI_OK;
    return xn_fail(ctx, XANI_INTERRUPTED, "interrupted; run the same command again");
}

xani_status xn_answer(xn_ctx *ctx, xani_status status)
{
    if (ctx != NULL && status == XANI_INTERRUPTED) atomic_store(&ctx->interrupted, 0);
    return status;
}

// ---- machine

static double clock_seconds(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double xn_seconds(void) { return clock_seconds(CLOCK_MONOTONIC); }
double xn_cpu_seconds(void) { return clock_seconds(CLOCK_THREAD_CPUTIME_ID); }

// ---- memory

static xn_mem_hook mem_hook;
static void *mem_hook_user;
static atomic_uint_fast64_t mem_count;

void xn_mem_set_hook(xn_mem_hook hook, void *user)
{
    mem_hook = hook;
    mem_hook_user = user;
    atomic_store(&mem_count, 0);
}

static bool mem_refused(void) { return mem_hook != NULL && mem_hook(mem_hook_user, atomic_fetch_add(&mem_count, 1)); }

void *xn_alloc(size_t n, size_t size)
{
    size_t bytes;
    if (mem_refused() || __builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX / 2) return NULL;
    bytes = (bytes + 63) & ~(size_t)63;
    return aligned_alloc(64, bytes ? bytes : 64);
}

// Only whole huge pages are asked for, so that no more memory is used than was wanted. That there are none is no error.
void *xn_alloc_large(size_t n, size_t size)
{
    enum { HUGE = 2 << 20 };
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes) || bytes < 4 * (size_t)HUGE || bytes > SIZE_MAX / 2)
        return xn_alloc(n, size);
    if (mem_refused()) return NULL;
    size_t whole = bytes / HUGE * HUGE;
    void *p = aligned_alloc(HUGE, bytes == whole ? bytes : whole + HUGE);
#ifdef MADV_HUGEPAGE
    if (p != NULL) (void)madvise(p, whole, MADV_HUGEPAGE);
#endif
    return p;
}

void *xn_calloc(size_t n, size_t size)
{
    void *p = xn_alloc(n, size);
    if (p != NULL) memset(p, 0, n * size);
    return p;
}

void *xn_realloc(void *p, size_t n, size_t size)
{
    size_t bytes;
    if (mem_refused() || __builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX / 2) return NULL;
    return realloc(p, bytes ? bytes : 64); // alignment of the result is malloc's, enough for tables
}

char *xn_strdup(const char *s)
{
    if (s == NULL) return NULL;
    size_t n = strlen(s) + 1;
    char *copy = xn_alloc(n, 1);
    if (copy != NULL) memcpy(copy, s, n);
    return copy;
}

char *xn_format(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0) return NULL;
    char *s = xn_alloc((size_t)n + 1, 1);
    if (s == NULL) return NULL;
    va_start(args, fmt);
    vsnprintf(s, (size_t)n + 1, fmt, args);
    va_end(args);
    return s;
}

void xn_free(void *p) { free(p); }

int xn_double_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
