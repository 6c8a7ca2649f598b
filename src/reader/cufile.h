// SPDX-License-Identifier: BSD-3-Clause
// cufile.h -- GPUDirect Storage: files read straight into device memory by NVIDIA's libcufile, where that is installed.
//
// The library is looked for at run time (environment XANI_CUFILE, else libcufile.so.0, else libcufile.so), so that one
// program runs everywhere and says why it does without.  It and its driver are opened once per process, at the first
// question, with the settings of then, and stay open.  All calls are thread-safe: one handle per file, several threads.
// The prototypes are those of cufile.h of version 1.15 and 1.20 (CUDA 13); reads work from 1.7 (CUDA 12.2) on, before
// which files had to be opened with O_DIRECT.
#ifndef XN_READER_CUFILE_H
#define XN_READER_CUFILE_H

#include <sys/types.h>

#include "core/config.h"
#include "reader/reader.h"

// ---- the library's own interface

typedef struct xn_cufile_error {
    int err;    // 0, else a number above 5000
    int cu_err; // of the CUDA driver, where err says so
} xn_cufile_error;

typedef struct xn_cufile_descr {
    int type; // 1: a descriptor
    union {
        int fd;
        void *handle;
    } handle;
    const void *fs_ops;
} xn_cufile_descr;

typedef struct xn_cufile_props {
    struct {
        unsigned major_version, minor_version; // of nvidia-fs; 0: it is not there
        size_t poll_thresh_size, max_direct_io_size;
        unsigned dstatusflags, dcontrolflags;
    } nvfs;
    unsigned fflags, max_device_cache_size, per_buffer_cache_size, max_device_pinned_mem_size;
    unsigned max_batch_io_size, max_batch_io_timeout_msecs;
} xn_cufile_props;

enum { XN_CUFILE_BASE = 5000, XN_CUFILE_PAGE = 4096, XN_CUFILE_OLDEST = 1070 };

// ---- what is made of it

// 0 or XN_CUFILE_UNSET: the library's own (or that of its cufile.json).
enum { XN_CUFILE_UNSET = -1 };
typedef struct xn_cufile_settings {
    int parallel_io, compat_allow, compat_force, p2p; // 0, 1 or unset
    int64_t max_io_threads, max_request_parallelism, max_direct_io_kb, buffer_kb;
} xn_cufile_settings;

// engine.cufile.* of a configuration; NULL: the defaults.
xn_cufile_settings xn_cufile_settings_of(const xn_config *config);

// Whether it works; the first call opens it. settings NULL: defaults. To be asked only where there is a device: on a
// machine without a CUDA driver 1.20 does not return from being opened, 1.15 writes to the terminal.
bool xn_cufile_works(const xn_cufile_settings *settings, char *why, size_t size);
int xn_cufile_version(void); // 1150: 1.15.0; 0: not open
// "nvidia-fs 2.20", or "compatibility mode: no nvidia-fs, reads through the host unless the PCI bus allows more".
const char *xn_cufile_mode(void);
void xn_cufile_shut(void); // closes all, for tests; nothing of it may be in use

// The file's handle, shared by all who ask for it; it keeps a descriptor.
typedef struct xn_cufile_handle xn_cufile_handle;
xn_cufile_handle *xn_cufile_take(xn_file *file, int *error, char *why,
                                 size_t size); // NULL: *error as in xn_read, or why
void xn_cufile_give(xn_cufile_handle *handle);
void xn_cufile_rest(void); // handles that nobody uses are given up, and with them their files
// Up to n bytes at `offset` to base + at; how many, or -1 and *error as in xn_read, or -1 and why with *error 0. All
// of it at multiples of XN_CUFILE_PAGE goes fastest.
ssize_t xn_cufile_read(xn_cufile_handle *handle, void *base, size_t n, int64_t offset, int64_t at, int *error,
                       char *why, size_t size);
// Device memory that is read into again and again. Undone before the memory is given back: else nvidia-fs may hang.
bool xn_cufile_register(void *base, size_t bytes, char *why, size_t size);
void xn_cufile_deregister(void *base);

#endif
