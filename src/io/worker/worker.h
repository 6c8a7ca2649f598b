// SPDX-License-Identifier: BSD-3-Clause
// worker.h -- files looked at in a process of its own before they are looked at here.
//
// libhdf5 crashes on some damaged files, loops on others, and takes as much memory as a file asks for.  With isolation
// on, each object is first opened and described in a helper process, in the way src/io does it: what kills the helper
// is refused here with a text that says so, and the caller lives.  Whatever the helper survives is opened here as
// always, so answers and errors are the same with and without.
//
// The helper is a program (xani-worker), not a fork: a fork of a process with threads may call next to nothing before
// it executes something, least of all HDF5, whose lock another thread may have held.  It is started at the first look
// and serves until this process ends.  It has limits on memory, time and descriptors, no new privileges, no way to
// write, to the network or to other programs (worker_confine.c).  Since a damaged file may have spoiled its memory
// without killing it, what kills it is tried again in a fresh one before it is believed.
//
// What was looked at once is not looked at again while path, size, time and inode are the same.
#ifndef XN_IO_WORKER_H
#define XN_IO_WORKER_H

#include "core/core.h"

enum { XN_WORKER_TEXT = 200 };

// Off at first, in the whole process. False with `why`: it was asked for but the helper program cannot be found.
bool xn_worker_use(bool on, char why[XN_WORKER_TEXT]);
bool xn_worker_used(void);
void xn_worker_set_seconds(double seconds); // how long an answer may take; 30 at first

// XANI_OK: nothing speaks against opening this object ("": the file itself) here. Thread-safe.
xani_status xn_worker_look(xn_ctx *ctx, const char *path, const char *object);
// The same for the dataset `member` of every group in a group, at once; their values are not read.
xani_status xn_worker_look_all(xn_ctx *ctx, const char *path, const char *group, const char *member);
// The same for copying a dataset or a named type into another file.
xani_status xn_worker_look_copy(xn_ctx *ctx, const char *path, const char *object);

// ---- the helper's side

// worker_confine.c: gives up what a reader of files does not need. What this kernel cannot do is left out.
void xn_worker_confine(void);
void xn_worker_grant(int seconds); // so much processor time from now on
// worker_serve.c: answers requests on this socket until its other end is closed.
int xn_worker_serve(int socket);
// What to do, path, 0, object, 0, member.
enum { XN_WORKER_MESSAGE = 16384, XN_WORKER_OPEN = 'o', XN_WORKER_MEMBERS = 'm', XN_WORKER_COPY = 'c' };
// The answer: one of these and a text; before it may come BUSY and how many seconds of processor time it may take.
enum { XN_WORKER_FINE = 'f', XN_WORKER_REFUSED = 'r', XN_WORKER_BUSY = 'b' };

#endif
