// SPDX-License-Identifier: BSD-3-Clause
// writer_file.c -- the file below a writer: a file driver of HDF5 that keeps the first failure to itself.
//
// With the library's own driver a failed write (full disk) is reported late, by a call that may be ignored, or
// not at all; and the dataset it belongs to can no longer be closed, so that the process crashes when it exits.
// This driver writes with pwrite like that one, but tells the library that all went well, drops every further
// write, and keeps the error number where the writer looks after each of its steps.  The library's state stays
// sound, the writer knows the truth, and the test hook reaches every single write.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/write/writer.h"
#if H5_VERSION_GE(1, 14, 0)
#include <H5FDdevelop.h>
#endif

typedef struct {
    H5FD_t base; // first, as the library demands
    int fd;
    haddr_t eoa, eof;
    dev_t device;
    ino_t inode;
    xn_latch *latch;
} file;

typedef struct {
    xn_latch *latch;
} info; // what the access properties carry

xn_latch *xn_latch_make(void)
{
    xn_latch *latch = xn_calloc(1, sizeof *latch);
    if (latch) latch->users = 1;
    return latch;
}

void xn_latch_release(xn_latch *latch)
{
    if (latch && --latch->users == 0) xn_free(latch);
}

static void keep(xn_latch *latch, int number)
{
    if (latch->number == 0) latch->number = number ? number : EIO;
}

static H5FD_t *open_file(const char *name, unsigned flags, hid_t access, haddr_t most)
{
    (void)most;
    const info *given = H5Pget_driver_info(access);
    if (given == NULL || given->latch == NULL) return NULL;
    // The library first looks whether the file is there: that is no failure.
    bool create = flags & H5F_ACC_CREAT;
    file *f = xn_calloc(1, sizeof *f);
    if (f == NULL && create) keep(given->latch, ENOMEM);
    if (f == NULL) return NULL;
    int mode = O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0) | (flags & H5F_ACC_EXCL ? O_EXCL : 0);
    f->fd = create && xn_io_check("create", name) != 0 ? -1 : open(name, mode, 0666);
    struct stat s;
    if (f->fd < 0 || fstat(f->fd, &s) != 0) {
        if (create) keep(given->latch, errno);
        if (f->fd >= 0) close(f->fd);
        xn_free(f);
        return NULL;
    }
    f->eof = (haddr_t)s.st_size;
    f->device = s.st_dev;
    f->inode = s.st_ino;
    f->latch = given->latch;
    f->latch->users++;
    return &f->base;
}

static herr_t close_file(H5FD_t *base)
{
    file *f = (file *)base;
    if (close(f->fd) != 0) keep(f->latch, errno);
    xn_latch_release(f->latch);
    xn_free(f);
    return 0;
}

static int compare(const H5FD_t *a, const H5FD_t *b)
{
    const file *f = (const file *)a, *g = (const file *)b;
    if (f->device != g->device) return f->device < g->device ? -1 : 1;
    return f->inode < g->inode ? -1 : f->inode > g->inode;
}

static herr_t query(const H5FD_t *base, unsigned long *flags)
{
    (void)base;
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
             H5FD_FEAT_AGGREGATE_SMALLDATA | H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
    return 0;
}

static haddr_t get_eoa(const H5FD_t *base, H5FD_mem_t type) { return (void)type, ((const file *)base)->eoa; }
static haddr_t get_eof(const H5FD_t *base, H5FD_mem_t type) { return (void)type, ((const file *)base)->eof; }
static herr_t set_eoa(H5FD_t *base, H5FD_mem_t type, haddr_t address)
{
    (void)type;
    ((file *)base)->eoa = address;
    return 0;
}

static herr_t read_bytes(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t n, void *bytes)
{
    (void)type, (void)transfer;
    file *f = (file *)base;
    char *p = bytes;
    while (n > 0) {
        ssize_t got = pread(f->fd, p, n, (off_t)address);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) keep(f->latch, errno);
        if (got <= 0) break;
        p += got;
        n -= (size_t)got;
        address += (haddr_t)got;
    }
    memset(p, 0, n); // beyond the end: allocated, not yet written
    return 0;
}

static herr_t write_bytes(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t n, const void *bytes)
{
    (void)type, (void)transfer;
    file *f = (file *)base;
    const char *p = bytes;
    if (f->latch->number == 0 && xn_io_check("write", "") != 0) keep(f->latch, errno);
    while (n > 0 && f->latch->number == 0) {
        ssize_t done = pwrite(f->fd, p, n, (off_t)address);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) {
            keep(f->latch, done < 0 ? errno : ENOSPC);
            break;
        }
        p += done;
        n -= (size_t)done;
        address += (haddr_t)done;
        if (address > f->eof) f->eof = address;
    }
    return 0;
}

static herr_t truncate_file(H5FD_t *base, hid_t transfer, hbool_t closing)
{
    (void)transfer, (void)closing;
    file *f = (file *)base;
    if (f->latch->number == 0 && f->eof != f->eoa && ftruncate(f->fd, (off_t)f->eoa) != 0) keep(f->latch, errno);
    f->eof = f->eoa;
    return 0;
}

static const H5FD_class_t driver_class = {
#if H5_VERSION_GE(1, 14, 0)
    .version = H5FD_CLASS_VERSION,
    .value = (H5FD_class_value_t)(H5_VFD_RESERVED + 1),
#endif
    .name = "xani",
    .maxaddr = ((haddr_t)1 << 62) - 1,
    .fc_degree = H5F_CLOSE_WEAK,
    .fapl_size = sizeof(info),
    .open = open_file,
    .close = close_file,
    .cmp = compare,
    .query = query,
    .get_eoa = get_eoa,
    .set_eoa = set_eoa,
    .get_eof = get_eof,
    .read = read_bytes,
    .write = write_bytes,
    .truncate = truncate_file,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

bool xn_latch_set_driver(hid_t access, xn_latch *latch)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static hid_t driver = H5I_INVALID_HID;
    pthread_mutex_lock(&lock);
    if (driver < 0 || H5Iget_type(driver) != H5I_VFL)
        driver = H5FDregister(&driver_class); // or closed with the library
    hid_t id = driver;
    pthread_mutex_unlock(&lock);
    info given = {latch};
    return id >= 0 && H5Pset_driver(access, id, &given) >= 0;
}
