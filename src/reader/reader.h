// SPDX-License-Identifier: BSD-3-Clause
// reader.h -- bytes of files, as fast as the storage gives them: one table, one way of reading per file.
//
// A reader belongs to one thread.  Reads are handed over with `submit`, up to `depth` at a time, and come back in any
// order from `next`; a way of reading that has no queue does the work in `next`.  Whoever wants the bytes at a certain
// place says so (dst); without one they lie in memory of the reader until `release`.  Nothing here knows HDF5.
//
// A read ends with all its bytes or with an error: interrupted and short reads are continued, the end of the file is
// XN_READ_SHORT, a file that was replaced or shrank since xn_file_open is XN_READ_CHANGED.  Contents that another
// program overwrites in place show in the time of the file only: who wants to be sure asks xn_file_check afterwards.
#ifndef XN_READER_READER_H
#define XN_READER_READER_H

#include "core/core.h"

// ---- files (file.c)

// A file by name, size, time and inode as they were when it was opened.  Its descriptors are held by a cache that stays
// below the process's limit: the least recently used is closed and opened again when it is needed.  Thread-safe.
typedef struct xn_file xn_file;

xani_status xn_file_open(xn_ctx *ctx, const char *path, xn_file **file); // XANI_ERR_INPUT names the file
xn_file *xn_file_share(xn_file *file);                                   // one more owner
void xn_file_close(xn_file **file);                                      // the last one frees it; NULL is fine
const char *xn_file_path(const xn_file *file);
int64_t xn_file_bytes(const xn_file *file); // when it was opened
// From now on the file may grow (and so get a later time) without counting as changed: for files still being written.
void xn_file_follow(xn_file *file);
// 0: still the file that was opened, so what was read until now belongs together; else XN_READ_CHANGED or an errno.
int xn_file_check(xn_file *file);
// A descriptor that stays open until xn_file_unpin; -1 with errno, or with XN_READ_CHANGED in *error.
int xn_file_pin(xn_file *file, int *error);
void xn_file_unpin(xn_file *file);
// The whole file mapped read-only, NULL where that cannot be done; stays until the file is closed.  For local files
// that stay as they are: one that is truncated meanwhile kills the process (SIGBUS).
const uint8_t *xn_file_map(xn_file *file);
// All n bytes at `offset` in this thread, past any reader: 0 or an error as in xn_read.
int xn_file_read(xn_file *file, int64_t offset, void *dst, size_t n);

// ---- reads

enum { XN_READ_SHORT = -1, XN_READ_CHANGED = -2 };

typedef struct xn_read {
    xn_file *file;
    int64_t offset;
    size_t bytes;
    uint8_t *dst; // room for `bytes`, or NULL: memory of the reader
    void *user;
    // the answer
    const uint8_t *data; // the bytes; dst where that was given
    int error;           // 0, an errno, or XN_READ_*
    void *slot;          // the reader's own
} xn_read;

const char *xn_read_why(int error); // "the file ends before it (truncated)", strerror(...)

typedef struct xn_reader xn_reader;

typedef struct xn_reader_ops {
    const char *name;
    bool (*works)(char why[160]);                     // here and now; false says why not
    xn_reader *(*open)(int depth, size_t largest);    // depth 0: the default; NULL: out of memory
    void (*close)(xn_reader *reader);                 // waits for what is under way
    bool (*submit)(xn_reader *reader, xn_read *read); // false: `depth` reads are under way or not released
    xn_read *(*next)(xn_reader *reader);              // waits; NULL: nothing is under way
    void (*release)(xn_reader *reader,
                    xn_read *read); // its data are not needed any more; no need to where dst is given
} xn_reader_ops;

struct xn_reader {
    const xn_reader_ops *ops;
    int depth;
};

// The table (reader.c): "pread", "uring", "mmap". NULL past its end, or for an unknown name.
const xn_reader_ops *xn_reader_at(int index);
const xn_reader_ops *xn_reader_named(const char *name);
// The one for a read like this one where the user leaves it open ("auto"): pread, but io_uring past the page cache for
// cold local files that memory could not keep; choose.c has the reasons.
const xn_reader_ops *xn_reader_choose(xn_file *file, int64_t offset, int64_t bytes);
// What the choice rests on: on a disk of this machine; the part of these bytes that lies in the page cache, 0 to 1; the
// sizes of all files that are open.
bool xn_file_is_local(xn_file *file);
double xn_file_cached(xn_file *file, int64_t offset, int64_t bytes);
int64_t xn_file_all_bytes(void);

// Test hook: called before each system call of a reader with its name ("pread", "open", "open_direct",
// "uring", "uring_setup", "mmap", "madvise", "cachestat"); a number other
// than 0 is the errno it fails with, XN_READ_SHORT lets it return half of what was asked for.
typedef int (*xn_read_hook)(void *user, const char *call, const char *path, int64_t offset, size_t bytes);
void xn_read_set_hook(xn_read_hook hook, void *user);

#endif
