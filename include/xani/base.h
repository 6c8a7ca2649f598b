/* SPDX-License-Identifier: BSD-3-Clause */
/* base.h -- version, status, context and configuration: what every part of the interface needs. Part of <xani/xani.h>.
 */
#ifndef XANI_BASE_H
#define XANI_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define XANI_API __attribute__((visibility("default")))
#else
#define XANI_API
#endif

#define XANI_VERSION_MAJOR 0
#define XANI_VERSION_MINOR 1
#define XANI_VERSION_PATCH 0

/* Status of a call. xani_exit_code() gives the exit code a command should end with. */
typedef enum xani_status {
    XANI_OK = 0,
    XANI_ERR_MEMORY,    /* an allocation failed (exit 1) */
    XANI_ERR_INTERNAL,  /* a defect of xani itself (exit 1) */
    XANI_ERR_OUTPUT,    /* an output could not be written, verified or published (exit 1) */
    XANI_ERR_VERIFY,    /* a published result differs from its manifest (exit 1) */
    XANI_ERR_USAGE,     /* wrong arguments (exit 2) */
    XANI_ERR_CONFIG,    /* configuration missing, malformed or contradictory (exit 2) */
    XANI_ERR_INPUT,     /* input missing, damaged or unusable (exit 3) */
    XANI_FAILED_PIXELS, /* done, but more pixels failed than fit.max_failed allows (exit 4) */
    XANI_INTERRUPTED,   /* stopped on request; a second run resumes (exit 75) */
    XANI_STATUS_COUNT
} xani_status;

#define XANI_MAX_RANK 8 /* axes of a dataset */

typedef struct xani_context xani_context;
typedef struct xani_config xani_config;

/* Arguments. Context, objects, names and places for results are needed unless a comment says that they may be NULL:
   otherwise XANI_ERR_USAGE names the one that is NULL (without a context there is no text). Arrays of no elements, and
   the argument of every _destroy, _close, _free and _init function, may be NULL. */

/* ---- library ------------------------------------------------------------------------------- */

XANI_API const char *xani_version(void);                   /* "0.1.0", static */
XANI_API const char *xani_status_name(xani_status status); /* "input", static; the cause word of --json */
XANI_API const char *xani_status_text(xani_status status); /* one line, static */
XANI_API int xani_exit_code(xani_status status);

/* ---- context ------------------------------------------------------------------------------- */

typedef enum xani_log_level {
    XANI_LOG_ERROR = 0, /* a task could not be completed */
    XANI_LOG_WARNING,   /* execution continues, the result may be degraded */
    XANI_LOG_INFO,      /* normal but significant */
    XANI_LOG_DEBUG      /* for developers */
} xani_log_level;

typedef void (*xani_log_fn)(void *user, xani_log_level level, const char *text);

/* Called from time to time by the calling thread while work of `total` units is under way.
   stage and unit are static strings ("reduce", "shots"); seconds is the time since the stage began. */
typedef void (*xani_progress_fn)(void *user, const char *stage, int64_t done, int64_t total, const char *unit,
                                 double seconds);

XANI_API xani_status xani_create(xani_context **context);
XANI_API void xani_destroy(xani_context **context);
XANI_API void xani_set_log(xani_context *context, xani_log_fn fn, void *user);
XANI_API void xani_set_progress(xani_context *context, xani_progress_fn fn, void *user);
/* Records the command line for the provenance of what is written (copied). */
XANI_API void xani_set_command(xani_context *context, const char *command_line);
/* Async-signal-safe, from any thread: asks the running call to stop at the next safe point with XANI_INTERRUPTED, or,
   where none is running or it ends otherwise, the next one that looks. The call that returns XANI_INTERRUPTED has
   answered all requests made until then: the one after it runs, and resumes where stages can. Long calls look: those of
   the pipeline, fits, reading of datasets, repacking. */
XANI_API void xani_interrupt(xani_context *context);
/* libhdf5 crashes on some damaged files. With isolation on, for the whole process, each object of a file is first
   opened in a confined helper process (some tenths of a millisecond); what crashes, hangs or starves it is an error
   here. Off at first in a program, on in the command. XANI_ERR_INPUT: the helper program, xani-worker, is not
   installed. */
XANI_API xani_status xani_set_isolation(xani_context *context, int on);
/* Text of the last error, "" if none; borrowed until the next call on this context. */
XANI_API const char *xani_error_text(const xani_context *context);
XANI_API void xani_free(void *memory);
/* The text with every byte that is no UTF-8, as names of files may have, written \xHH, for JSON; xani_free, NULL: no
 * memory, or text is NULL. */
XANI_API char *xani_utf8(const char *text);

/* ---- configuration (YAML; keys in xani(5)) -------------------------------------------------- */

XANI_API xani_status xani_config_open(xani_context *context, const char *path, xani_config **config);
/* An empty configuration: every key at its default. */
XANI_API xani_status xani_config_create(xani_context *context, xani_config **config);
/* The configuration that made a result (cube.h5, modes.h5, ...), as it is stored there; relative names in it are those
   of its own folder. Empty where none is stored, as in cubes of other programs. */
XANI_API xani_status xani_config_stored(xani_context *context, const char *result_path, xani_config **config);
/* assignment: "a.b=value", value in YAML flow syntax. Unknown keys and wrong types are errors. */
XANI_API xani_status xani_config_assign(xani_context *context, xani_config *config, const char *assignment);
/* The configuration as YAML text, as given plus assignments. */
XANI_API xani_status xani_config_text(xani_context *context, const xani_config *config, char **yaml);
XANI_API void xani_config_destroy(xani_config **config);

#ifdef __cplusplus
}
#endif
#endif
