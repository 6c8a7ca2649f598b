// SPDX-License-Identifier: BSD-3-Clause
// blob.c -- see blob.h.
//
//   8 bytes   "xanisum1"
//   8 bytes   n, then n sizes of 8 bytes
//   pieces, one behind the other
//   8 bytes   XXH3 of all that comes before
#include "io/write/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "io/write/writer.h"

#define MAGIC "xanisum1"
#define MOST_PIECES 64
#define STEP ((size_t)8 << 20)

typedef struct head {
    char magic[8];
    uint64_t n, bytes[MOST_PIECES];
} head;

static size_t head_bytes(int n) { return 16 + 8 * (size_t)n; }

static void fill_head(head *h, const xn_piece *pieces, int n)
{
    memset(h, 0, sizeof *h);
    memcpy(h->magic, MAGIC, 8);
    h->n = (uint64_t)n;
    for (int i = 0; i < n; i++) h->bytes[i] = pieces[i].bytes;
}

// ---- writing

static int put(int fd, XXH3_state_t *hash, const void *data, size_t bytes, const char *path)
{
    XXH3_64bits_update(hash, data, bytes);
    for (size_t at = 0; at < bytes; at += STEP)
        if (xn_io_write(fd, (const char *)data + at, bytes - at < STEP ? bytes - at : STEP, path) != 0) return -1;
    return 0;
}

static int put_all(int fd, const xn_piece *pieces, int n, const char *path)
{
    head h;
    XXH3_state_t *hash = XXH3_createState();
    if (hash == NULL) return errno = ENOMEM, -1;
    XXH3_64bits_reset(hash);
    fill_head(&h, pieces, n);
    int bad = put(fd, hash, &h, head_bytes(n), path);
    for (int i = 0; i < n && bad == 0; i++)
        if (pieces[i].bytes > 0) bad = put(fd, hash, pieces[i].data, pieces[i].bytes, path);
    uint64_t sum = XXH3_64bits_digest(hash);
    XXH3_freeState(hash);
    if (bad == 0) bad = xn_io_write(fd, &sum, sizeof sum, path);
    return bad == 0 ? xn_io_sync(fd, path) : -1;
}

xani_status xn_blob_write(xn_ctx *ctx, const char *path, const xn_piece *pieces, int n)
{
    xn_io_sweep(path);
    char *temporary = xn_io_temporary(path);
    if (temporary == NULL) return xn_fail_memory(ctx, path, 1);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666), number = 0;
    if (fd < 0 || put_all(fd, pieces, n, path) != 0) number = errno;
    if (fd >= 0 && close(fd) != 0 && number == 0) number = errno;
    if (number == 0 && xn_io_rename(temporary, path) != 0) number = errno;
    if (number != 0 && fd >= 0) (void)unlink(temporary);
    if (number == 0 && xn_io_sync_folder(path) != 0) number = errno;
    xn_free(temporary);
    return number == 0 ? XANI_OK : xn_output_fail(ctx, path, number);
}

// ---- reading

static bool get(int fd, void *data, size_t bytes)
{
    char *p = data;
    while (bytes > 0) {
        ssize_t got = read(fd, p, bytes < STEP ? bytes : STEP);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        p += got;
        bytes -= (size_t)got;
    }
    return true;
}

bool xn_blob_peek(const char *path, void *data, size_t bytes)
{
    head h;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool good = get(fd, &h, 16) && memcmp(h.magic, MAGIC, 8) == 0 && h.n >= 1 && h.n <= MOST_PIECES &&
                get(fd, h.bytes, 8 * (size_t)h.n) && h.bytes[0] == bytes && get(fd, data, bytes);
    close(fd);
    return good;
}

bool xn_blob_read(const char *path, const xn_piece *pieces, int n)
{
    head h, expected;
    uint64_t sum, end;
    XXH3_state_t *hash = XXH3_createState();
    int fd = hash != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    fill_head(&expected, pieces, n);
    bool good = fd >= 0 && get(fd, &h, head_bytes(n)) && memcmp(&h, &expected, head_bytes(n)) == 0;
    if (good) {
        XXH3_64bits_reset(hash);
        XXH3_64bits_update(hash, &h, head_bytes(n));
    }
    for (int i = 0; i < n && good; i++) {
        good = get(fd, pieces[i].data, pieces[i].bytes);
        if (good && pieces[i].bytes > 0) XXH3_64bits_update(hash, pieces[i].data, pieces[i].bytes);
    }
    good = good && get(fd, &sum, sizeof sum) && sum == XXH3_64bits_digest(hash) && read(fd, &end, 1) == 0;
    if (fd >= 0) close(fd);
    XXH3_freeState(hash);
    return good;
}

void xn_blob_remove(const char *path)
{
    xn_io_sweep(path);
    (void)unlink(path);
}
