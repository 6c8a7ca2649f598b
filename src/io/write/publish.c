// SPDX-License-Identifier: BSD-3-Clause
// publish.c -- files of the system: hooks, temporary names, text files, folders.  See publish.h.
//
// Everything that can fail on the way to a published file goes through one function here, so that a test can
// make the n-th such operation fail and see that the former result is untouched and nothing is left behind.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "io/write/writer.h"

static pthread_mutex_t hook_lock = PTHREAD_MUTEX_INITIALIZER;
static xn_io_hook hook;
static void *hook_user;
static uint64_t hook_number;

void xn_io_set_hook(xn_io_hook fn, void *user)
{
    pthread_mutex_lock(&hook_lock);
    hook = fn;
    hook_user = user;
    hook_number = 0;
    pthread_mutex_unlock(&hook_lock);
}

int xn_io_check(const char *operation, const char *path)
{
    pthread_mutex_lock(&hook_lock);
    int number = hook ? hook(hook_user, operation, path, ++hook_number) : 0;
    pthread_mutex_unlock(&hook_lock);
    if (number == 0) return 0;
    errno = number;
    return -1;
}

int xn_io_write(int fd, const void *bytes, size_t n, const char *path)
{
    const char *p = bytes;
    if (xn_io_check("write", path) != 0) return -1;
    while (n > 0) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return -1;
        p += done;
        n -= (size_t)done;
    }
    return 0;
}

// Some file systems cannot sync and say EINVAL; that is not a failure of this file.
int xn_io_sync(int fd, const char *path)
{
    if (xn_io_check("sync", path) != 0) return -1;
    return fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP ? 0 : -1;
}

char *xn_io_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) return xn_strdup(".");
    return slash == path ? xn_strdup("/") : xn_format("%.*s", (int)(slash - path), path);
}

int xn_io_sync_folder(const char *path)
{
    char *folder = xn_io_folder(path);
    if (folder == NULL) return errno = ENOMEM, -1;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), number = 0;
    // A folder that may be written but not read cannot be synced; the rename itself has succeeded.
    if (fd < 0)
        number = errno == EACCES ? 0 : errno;
    else if (xn_io_sync(fd, folder) != 0)
        number = errno;
    if (fd >= 0) close(fd);
    xn_free(folder);
    errno = number;
    return number ? -1 : 0;
}

int xn_io_rename(const char *from, const char *to) { return xn_io_check("rename", to) != 0 ? -1 : rename(from, to); }

int xn_io_remove(const char *path) { return xn_io_check("remove", path) != 0 ? -1 : unlink(path); }

static void host_name(char host[65])
{
    if (gethostname(host, 64) != 0) snprintf(host, 65, "host");
    host[64] = '\0';
}

// ".<name>.tmp-<host>-" beside path, owned.  A name that would then be longer than the system allows stands by its
// hash.
static char *temporary_prefix(const char *path)
{
    enum { LONGEST = 128 };
    char host[65];
    host_name(host);
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const size_t n = strlen(name);
    if (n <= LONGEST) return xn_format("%.*s.%s.tmp-%s-", (int)(name - path), path, name, host);
    return xn_format("%.*s.%016llx.tmp-%s-", (int)(name - path), path, (unsigned long long)XXH3_64bits(name, n), host);
}

char *xn_io_temporary(const char *path)
{
    static atomic_uint counter;
    char *prefix = temporary_prefix(path);
    char *name = prefix ? xn_format("%s%ld-%u", prefix, (long)getpid(), atomic_fetch_add(&counter, 1)) : NULL;
    xn_free(prefix);
    return name;
}

static int remove_entry(const char *path, const struct stat *s, int kind, struct FTW *where)
{
    (void)s, (void)kind, (void)where;
    return remove(path);
}

void xn_io_remove_tree(const char *path) { (void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS); }

static void sweep(const char *path)
{
    char *prefix = temporary_prefix(path), *folder = xn_io_folder(path);
    DIR *d = prefix && folder ? opendir(folder) : NULL;
    const char *slash = prefix ? strrchr(prefix, '/') : NULL, *start = slash ? slash + 1 : prefix;
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strncmp(e->d_name, start, strlen(start)) != 0) continue;
        long pid = strtol(e->d_name + strlen(start), NULL, 10);
        if (pid <= 0 || kill((pid_t)pid, 0) == 0 || errno != ESRCH || unlinkat(dirfd(d), e->d_name, 0) == 0) continue;
        char *tree = errno == EISDIR ? xn_format("%s/%s", folder, e->d_name) : NULL;
        if (tree) xn_io_remove_tree(tree);
        xn_free(tree);
    }
    if (d) closedir(d);
    xn_free(prefix);
    xn_free(folder);
}

void xn_io_sweep(const char *path)
{
    char *manifest = xn_manifest_path(path);
    sweep(path);
    if (manifest) sweep(manifest);
    xn_free(manifest);
}

xani_status xn_output_fail(xn_ctx *ctx, const char *path, int number)
{
    char text[XN_HDF_REASON];
    const char *why = number ? strerror_r(number, text, sizeof text) : xn_hdf_reason(text);
    return xn_fail(ctx, XANI_ERR_OUTPUT, "%s: cannot be written%s%s", path, why[0] ? ": " : "", why);
}

static int write_new(const char *path, const void *bytes, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) return -1;
    int bad = xn_io_write(fd, bytes, n, path) != 0 || xn_io_sync(fd, path) != 0, number = errno;
    if (close(fd) != 0 && !bad) bad = 1, number = errno;
    if (bad) unlink(path);
    errno = number;
    return bad ? -1 : 0;
}

xani_status xn_write_new(xn_ctx *ctx, const char *temporary, const char *path, const void *bytes, size_t n)
{
    return write_new(temporary, bytes, n) == 0 ? XANI_OK : xn_output_fail(ctx, path, errno);
}

xani_status xn_publish_text(xn_ctx *ctx, const char *path, const void *bytes, size_t n, const char *kind)
{
    xn_io_sweep(path);
    char *temporary = xn_io_temporary(path);
    if (temporary == NULL) return xn_fail_memory(ctx, path, 1);
    xani_status st = xn_write_new(ctx, temporary, path, bytes, n);
    if (st == XANI_OK)
        st = kind ? xn_manifest_publish(ctx, temporary, path, kind, NULL) : xn_replace_file(ctx, temporary, path);
    xn_free(temporary);
    return st;
}

bool xn_same_file(const char *a, const char *b)
{
    struct stat s, t;
    return stat(a, &s) == 0 && stat(b, &t) == 0 && s.st_dev == t.st_dev && s.st_ino == t.st_ino;
}

xani_status xn_make_dirs(xn_ctx *ctx, const char *dir)
{
    char *path = xn_strdup(dir);
    if (path == NULL) return xn_fail_memory(ctx, dir, 1);
    xani_status st = XANI_OK;
    for (char *p = path + (path[0] != '\0'); st == XANI_OK; p++) {
        if (*p != '/' && *p != '\0') continue;
        char end = *p;
        *p = '\0';
        struct stat s;
        int number = mkdir(path, 0777) == 0 ? 0 : errno; // before stat changes it
        if (number != 0 && !(stat(path, &s) == 0 && S_ISDIR(s.st_mode))) {
            if (number == EEXIST) number = ENOTDIR;
            st = xn_fail(ctx, XANI_ERR_OUTPUT, "%s: folder cannot be made: %s", dir, strerror(number));
        }
        *p = end;
        if (end == '\0') break;
    }
    xn_free(path);
    return st;
}
