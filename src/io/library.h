// SPDX-License-Identifier: BSD-3-Clause
// library.h -- what the files of src/io share about the HDF5 library itself.
//
// The build is the serial, thread-safe one: each call takes the library's own lock, so no second lock is
// added here.  Its error stack is per thread: every function of ours that calls the library stands between
// xn_hdf_enter and xn_hdf_leave, which switch off the library's printing for this thread and put back what
// the host program had.  xn_hdf_reason gives the cause that lies deepest, as words of the system where there
// are any ("No space left on device"), because outer lines of the stack only repeat function names.
#ifndef XN_IO_LIBRARY_H
#define XN_IO_LIBRARY_H

#include <hdf5.h>

#include "core/core.h"
#include "core/type.h"
#include "io/h5.h"

#if H5_VERSION_GE(1, 12, 0)
typedef H5O_info1_t xn_hdf_object_info;
#else
typedef H5O_info_t xn_hdf_object_info;
#endif

typedef struct xn_hdf_guard {
    H5E_auto2_t print;
    void *data;
} xn_hdf_guard;

xn_hdf_guard xn_hdf_enter(void);
void xn_hdf_leave(xn_hdf_guard guard);

enum { XN_HDF_REASON = 256 }; // room for a reason
// Why the call that failed last in this thread did so; "" when the library says nothing.
const char *xn_hdf_reason(char text[XN_HDF_REASON]);
int xn_hdf_errno(void); // errno of the system call behind it, 0 if there is none

// Element types. Enumerations (booleans) and bit fields count as the integers that hold them.
xn_type xn_hdf_type(hid_t type);
bool xn_hdf_type_plain(hid_t type);        // all bits used, byte order little or big: a byte swap decodes it
hid_t xn_hdf_native(xn_type type);         // the library's constant; never closed
const char *xn_hdf_class_name(hid_t type); // "strings", "compound values"

struct xn_h5 {
    hid_t id;
    char *path;
    int64_t bytes;        // size when it was opened: a file that shrinks would read as zeros
    bool live;            // another program is writing it
    struct xn_tree *tree; // read with the first references
};
void xn_h5_forget_tree(xn_h5 *file);

// Opens a dataset and makes its filters available. Errors name file and dataset. Inside enter/leave.
xani_status xn_h5_dataset(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t *dataset);
// Error "file: name: <what>[: reason of the library]".
xani_status xn_h5_fail(xn_ctx *ctx, const xn_h5 *file, const char *name, const char *what);
xani_status xn_h5_shape(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t space, int *rank,
                        int64_t dims[XANI_MAX_RANK], int64_t *size);
// All stored, nothing ends early: the library gives fill values or zeros for what is not there.
xani_status xn_h5_complete(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t dataset);
xani_status xn_h5_unchanged(xn_ctx *ctx, const xn_h5 *file, const char *name);
// Reads n elements selected by `space` into dst as `type`, with range checks for integers.
xani_status xn_h5_read_as(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t dataset, hid_t space, int64_t n,
                          xn_type type, void *dst);
void xn_h5_filters(hid_t dataset, char *text, size_t room); // "shuffle+gzip"

// H5Dread, which leaves memory as it was where chunks were never written and are never to be filled: here they are.
herr_t xn_hdf_read(hid_t dataset, hid_t type, hid_t memory, hid_t space, void *dst);

// Chunks of a dataset's extent, written or not; 0: it has none.
int64_t xn_hdf_chunks(hid_t created, hid_t space);
// Numbers in so many chunks that the library takes seconds over them: they are read past it (array.h).
bool xn_hdf_many_chunks(hid_t dataset);

// How objects are copied: attributes are for xani to copy, named types stay one.
#define XN_HDF_COPY (H5O_COPY_WITHOUT_ATTR_FLAG | H5O_COPY_MERGE_COMMITTED_DTYPE_FLAG)

#endif
