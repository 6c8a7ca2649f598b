// SPDX-License-Identifier: BSD-3-Clause
// fake_cufile.c -- a stand-in for libcufile.so: the same symbols, pread and memcpy behind them.
//
// "Device memory" is that of the emulated runtime, which lies on the host.  It keeps count of what a real library would
// not forgive: a descriptor registered twice or closed while it is, memory deregistered that was not registered, reads
// before the driver is open.  Built several times: FAKE_VERSION, FAKE_NO_PARAMETERS (older ones), FAKE_NO_READ.
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emulation/fake_cufile.h"
#include "reader/cufile.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT fake_cufile_state fake_cufile;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

enum { MOST = 1024 };
static struct {
    const char *base;
    size_t bytes;
} buffer[MOST];
static struct handle {
    int fd;
    bool used;
} handle[MOST];

static xn_cufile_error status(int error) { return (xn_cufile_error){error, 0}; }

EXPORT xn_cufile_error cuFileDriverOpen(void);
EXPORT xn_cufile_error cuFileDriverOpen(void)
{
    const char *path = getenv("CUFILE_ENV_PATH_JSON");
    FILE *f = path != NULL ? fopen(path, "r") : NULL;
    fake_cufile.json[0] = 0;
    if (f != NULL) {
        fake_cufile.json[fread(fake_cufile.json, 1, sizeof fake_cufile.json - 1, f)] = 0;
        fclose(f);
    }
    if (fake_cufile.driver_error == 0) fake_cufile.opens++;
    return status(fake_cufile.driver_error);
}

EXPORT xn_cufile_error cuFileDriverClose_v2(void);
EXPORT xn_cufile_error cuFileDriverClose_v2(void)
{
    fake_cufile.wrong += fake_cufile.handles != 0 || fake_cufile.buffers != 0;
    fake_cufile.closes++;
    return status(0);
}

EXPORT xn_cufile_error cuFileDriverGetProperties(xn_cufile_props *p);
EXPORT xn_cufile_error cuFileDriverGetProperties(xn_cufile_props *p)
{
    memset(p, 0, sizeof *p);
    p->nvfs.major_version = (unsigned)fake_cufile.nvfs_major;
    p->nvfs.minor_version = 20;
    return status(0);
}

EXPORT xn_cufile_error cuFileGetVersion(int *version);
EXPORT xn_cufile_error cuFileGetVersion(int *version)
{
    *version = FAKE_VERSION;
    return status(0);
}

#ifndef FAKE_NO_PARAMETERS
EXPORT xn_cufile_error cuFileSetParameterSizeT(int number, size_t value);
EXPORT xn_cufile_error cuFileSetParameterSizeT(int number, size_t value)
{
    if (fake_cufile.opens > fake_cufile.closes) return status(5026);
    if (number < 0 || number > 11 || value == 0) return status(5022);
    fake_cufile.sizes[number] = value;
    return status(0);
}

EXPORT xn_cufile_error cuFileSetParameterBool(int number, bool value);
EXPORT xn_cufile_error cuFileSetParameterBool(int number, bool value)
{
    if (fake_cufile.opens > fake_cufile.closes) return status(5026);
    if (number < 0 || number > 13) return status(5022);
    fake_cufile.bools[number] = value;
    fake_cufile.bools_set |= 1 << number;
    return status(0);
}
#endif

EXPORT xn_cufile_error cuFileHandleRegister(void **h, xn_cufile_descr *d);
EXPORT xn_cufile_error cuFileHandleRegister(void **h, xn_cufile_descr *d)
{
    xn_cufile_error e = status(fake_cufile.register_error);
    pthread_mutex_lock(&lock);
    if (d->type != 1 || d->fs_ops != NULL || fake_cufile.opens == 0 || lseek(d->handle.fd, 0, SEEK_END) < 0)
        e = status(5022);
    for (int i = 0; i < MOST && e.err == 0; i++)
        if (handle[i].used && handle[i].fd == d->handle.fd) e = status(5028);
    fake_cufile.wrong += e.err != 0 && e.err != fake_cufile.register_error;
    for (int i = 0; i < MOST && e.err == 0; i++) {
        if (handle[i].used) continue;
        handle[i] = (struct handle){d->handle.fd, true};
        *h = &handle[i];
        fake_cufile.handles++;
        break;
    }
    pthread_mutex_unlock(&lock);
    return e;
}

EXPORT void cuFileHandleDeregister(void *h);
EXPORT void cuFileHandleDeregister(void *h)
{
    struct handle *mine = h;
    pthread_mutex_lock(&lock);
    fake_cufile.wrong += !mine->used || lseek(mine->fd, 0, SEEK_END) < 0; // closed before it was deregistered
    mine->used = false;
    fake_cufile.handles--;
    pthread_mutex_unlock(&lock);
}

EXPORT xn_cufile_error cuFileBufRegister(const void *base, size_t bytes, int flags);
EXPORT xn_cufile_error cuFileBufRegister(const void *base, size_t bytes, int flags)
{
    int at = -1;
    if (fake_cufile.buffer_error != 0 || flags != 0)
        return status(fake_cufile.buffer_error ? fake_cufile.buffer_error : 5022);
    pthread_mutex_lock(&lock);
    for (int i = 0; i < MOST && at < 0; i++)
        if (buffer[i].base == NULL) at = i;
    buffer[at].base = base;
    buffer[at].bytes = bytes;
    fake_cufile.buffers++;
    pthread_mutex_unlock(&lock);
    return status(0);
}

EXPORT xn_cufile_error cuFileBufDeregister(const void *base);
EXPORT xn_cufile_error cuFileBufDeregister(const void *base)
{
    int at = -1;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < MOST && at < 0; i++)
        if (buffer[i].base == base) at = i;
    if (at >= 0) buffer[at].base = NULL;
    fake_cufile.buffers -= at >= 0;
    fake_cufile.wrong += at < 0;
    pthread_mutex_unlock(&lock);
    return status(at >= 0 ? 0 : 5024);
}

#ifndef FAKE_NO_READ
EXPORT ssize_t cuFileRead(void *h, void *base, size_t size, off_t offset, off_t at);
EXPORT ssize_t cuFileRead(void *h, void *base, size_t size, off_t offset, off_t at)
{
    const struct handle *mine = h;
    bool registered = false;
    pthread_mutex_lock(&lock);
    const int number = ++fake_cufile.reads;
    for (int i = 0; i < MOST; i++) registered |= buffer[i].base == base && (size_t)at + size <= buffer[i].bytes;
    fake_cufile.unregistered += !registered;
    fake_cufile.unaligned += offset % 4096 != 0 || at % 4096 != 0;
    fake_cufile.wrong += !mine->used;
    pthread_mutex_unlock(&lock);
    if (fake_cufile.fails_from > 0 && number >= fake_cufile.fails_from) {
        errno = fake_cufile.fails_errno;
        return fake_cufile.fails_errno != 0 ? -1 : -fake_cufile.fails_error;
    }
    if (fake_cufile.most > 0 && size > fake_cufile.most) size = fake_cufile.most;
    return pread(mine->fd, (char *)base + at, size, offset);
}
#endif
