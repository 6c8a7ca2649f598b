// SPDX-License-Identifier: BSD-3-Clause
// fake_cufile.h -- what tests tell the stand-in for libcufile, and what it has seen. Found in it as `fake_cufile`.
#ifndef XN_FAKE_CUFILE_H
#define XN_FAKE_CUFILE_H

#include <stddef.h>

typedef struct fake_cufile_state {
    // told
    int driver_error;   // of cuFileDriverOpen
    int register_error; // of cuFileHandleRegister
    int buffer_error;   // of cuFileBufRegister
    int fails_from;     // reads from this one on fail, counted from 1; 0: none
    int fails_errno;    // with -1 and this errno; 0: with
    int fails_error;    // minus this number
    size_t most;        // bytes of a read at most; 0: all
    int nvfs_major;     // 0: no nvidia-fs
    // seen
    int opens, closes;                  // of the driver
    int handles;                        // registered now
    int buffers;                        // registered now
    int reads, unaligned, unregistered; // reads; not at multiples of 4096; into memory that is not registered
    int wrong;                          // calls that a real library would not forgive
    size_t sizes[16];                   // parameters by number
    int bools[16], bools_set;
    char json[1024]; // contents of the file named by CUFILE_ENV_PATH_JSON when the driver was opened
} fake_cufile_state;

#endif
