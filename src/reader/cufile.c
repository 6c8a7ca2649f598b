// SPDX-License-Identifier: BSD-3-Clause
// cufile.c -- see cufile.h: the library is found, set up and opened; handles are shared; errors become words.
//
// Settings go through the parameter calls where the library has them (1.15 does), else through a temporary JSON
// file named by CUFILE_ENV_PATH_JSON while the driver opens, unless the user's environment names one already.
#include "reader/cufile.h"

#include <dlfcn.h>
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Numbers of the parameters, from cufile.h.
enum { MAX_IO_THREADS = 2, MAX_REQUEST_PARALLELISM = 4, MAX_DIRECT_IO_KB = 5, BUFFER_KB = 7 };
enum { COMPAT_ALLOW = 1, COMPAT_FORCE = 2, PARALLEL_IO = 4, P2P = 7 };

enum { HANDLES_IDLE = 64 };

struct xn_cufile_handle {
    xn_file *file;
    void *handle;
    int users;
    xn_cufile_handle *next;
};

static struct {
    bool tried, open;
    void *library;
    char why[200], mode[96];
    int version;
    xn_cufile_error (*driver_open)(void);
    xn_cufile_error (*driver_close)(void);
    xn_cufile_error (*driver_properties)(xn_cufile_props *);
    xn_cufile_error (*get_version)(int *);
    xn_cufile_error (*set_size)(int, size_t);
    xn_cufile_error (*set_bool)(int, bool);
    xn_cufile_error (*handle_register)(void **, xn_cufile_descr *);
    void (*handle_deregister)(void *);
    xn_cufile_error (*buffer_register)(const void *, size_t, int);
    xn_cufile_error (*buffer_deregister)(const void *);
    ssize_t (*read)(void *, void *, size_t, off_t, off_t);
    xn_cufile_handle *handles;
    int idle;
} cufile;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // of opening, and of the list of handles

static const struct {
    const char *name;
    void *at; // a pointer to a function's pointer
    bool needed;
} symbols[] = {
    {"cuFileDriverOpen", &cufile.driver_open, true},
    {"cuFileHandleRegister", &cufile.handle_register, true},
    {"cuFileHandleDeregister", &cufile.handle_deregister, true},
    {"cuFileBufRegister", &cufile.buffer_register, true},
    {"cuFileBufDeregister", &cufile.buffer_deregister, true},
    {"cuFileRead", &cufile.read, true},
    {"cuFileDriverClose", &cufile.driver_close, false},
    {"cuFileDriverClose_v2", &cufile.driver_close, false}, // what the header calls cuFileDriverClose now
    {"cuFileDriverGetProperties", &cufile.driver_properties, false},
    {"cuFileGetVersion", &cufile.get_version, false},
    {"cuFileSetParameterSizeT", &cufile.set_size, false},
    {"cuFileSetParameterBool", &cufile.set_bool, false},
};

// The errors that users meet, from cufile.h.
static const char *text_of(int error)
{
    static const struct {
        int number;
        const char *text;
    } known[] = {{1, "nvidia-fs is not loaded and compatibility mode is not allowed"},
                 {4, "nvidia-fs is of another version"},
                 {7, "the platform is not supported"},
                 {8, "the file system is not supported"},
                 {9, "the device is not supported"},
                 {11, "the CUDA driver reports an error"},
                 {12, "not a pointer of a device"},
                 {14, "the memory is smaller than what is read"},
                 {18, "not a regular file"},
                 {20, "the file is not open with O_DIRECT"},
                 {22, "invalid arguments"},
                 {25, "access is not allowed"},
                 {27, "it cannot register the file, whose disk udev may not know; its cufile.log says why"},
                 {28, "the file is registered already"},
                 {33, "it finds no driver of its own or of CUDA"},
                 {34, "switched off for this file by its configuration"},
                 {36, "not enough memory could be pinned"},
                 {44, "input or output error"}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (error == XN_CUFILE_BASE + known[i].number) return known[i].text;
    return "internal error";
}

static bool failed(xn_cufile_error e, const char *what, char *why, size_t size)
{
    if (e.err == 0) return false;
    if (e.cu_err != 0)
        snprintf(why, size, "cuFile: %s: %s (%d, CUDA %d)", what, text_of(e.err), e.err, e.cu_err);
    else
        snprintf(why, size, "cuFile: %s: %s (%d)", what, text_of(e.err), e.err);
    return true;
}

// ---- settings

static bool set_parameters(const xn_cufile_settings *s, char *why, size_t size)
{
    const struct {
        int number, value;
        const char *name;
    } flags[] = {{PARALLEL_IO, s->parallel_io, "parallel_io"},
                 {COMPAT_ALLOW, s->compat_allow, "compat"},
                 {COMPAT_FORCE, s->compat_force, "compat"},
                 {P2P, s->p2p, "p2p"}};
    const struct {
        int number;
        int64_t value;
        const char *name;
    } sizes[] = {{MAX_IO_THREADS, s->max_io_threads, "max_io_threads"},
                 {MAX_REQUEST_PARALLELISM, s->max_request_parallelism, "max_request_parallelism"},
                 {MAX_DIRECT_IO_KB, s->max_direct_io_kb, "max_direct_io_kb"},
                 {BUFFER_KB, s->buffer_kb, "buffer_kb"}};
    char what[64];
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        snprintf(what, sizeof what, "engine.cufile.%s", flags[i].name);
        if (flags[i].value < 0) continue;
        if (failed(cufile.set_bool(flags[i].number, flags[i].value == 1), what, why, size)) return false;
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        snprintf(what, sizeof what, "engine.cufile.%s", sizes[i].name);
        if (sizes[i].value <= 0) continue;
        if (failed(cufile.set_size(sizes[i].number, (size_t)sizes[i].value), what, why, size)) return false;
    }
    return true;
}

static void put(json_t *group, const char *key, int64_t value, bool flag, bool given)
{
    if (given) json_object_set_new(group, key, flag ? json_boolean(value != 0) : json_integer(value));
}

// The same as a file; its name, owned by the caller, or NULL where nothing can be written.
static char *write_settings(const xn_cufile_settings *s)
{
    const char *folder = getenv("TMPDIR");
    char *path = xn_format("%s/xani-cufile-XXXXXX", folder != NULL && folder[0] ? folder : P_tmpdir);
    int fd = path != NULL ? mkstemp(path) : -1;
    json_t *execution = json_object(), *properties = json_object();
    put(execution, "parallel_io", s->parallel_io, true, s->parallel_io >= 0);
    put(execution, "max_io_threads", s->max_io_threads, false, s->max_io_threads > 0);
    put(execution, "max_request_parallelism", s->max_request_parallelism, false, s->max_request_parallelism > 0);
    put(properties, "max_direct_io_size_kb", s->max_direct_io_kb, false, s->max_direct_io_kb > 0);
    put(properties, "per_buffer_cache_size_kb", s->buffer_kb, false, s->buffer_kb > 0);
    put(properties, "allow_compat_mode", s->compat_allow, true, s->compat_allow >= 0);
    put(properties, "force_compat_mode", s->compat_force, true, s->compat_force >= 0);
    put(properties, "use_pci_p2pdma", s->p2p, true, s->p2p >= 0);
    json_t *all = json_pack("{s:o, s:o}", "execution", execution, "properties", properties);
    bool good = fd >= 0 && all != NULL && json_dumpfd(all, fd, 0) == 0 && write(fd, "\n", 1) == 1;
    json_decref(all);
    if (fd >= 0 && close(fd) != 0) good = false;
    if (good) return path;
    if (fd >= 0) unlink(path);
    xn_free(path);
    return NULL;
}

static bool driver_open(const xn_cufile_settings *s, char *why, size_t size)
{
    char *path = NULL;
    if (cufile.set_size != NULL && cufile.set_bool != NULL) {
        if (!set_parameters(s, why, size)) return false;
    } else if (getenv("CUFILE_ENV_PATH_JSON") == NULL) {
        path = write_settings(s);
        if (path != NULL) setenv("CUFILE_ENV_PATH_JSON", path, 1);
    }
    const xn_cufile_error e = cufile.driver_open();
    if (path != NULL) {
        unsetenv("CUFILE_ENV_PATH_JSON");
        unlink(path);
        xn_free(path);
    }
    return !failed(e, "its driver cannot be opened", why, size);
}

// ---- opening

static bool load(char *why, size_t size)
{
    const char *named = getenv("XANI_CUFILE");
    const char *const names[] = {named != NULL ? named : "libcufile.so.0", named != NULL ? NULL : "libcufile.so"};
    if (named == NULL && access("/proc/modules", R_OK) != 0) { // its driver would wait for that file's end for ever
        snprintf(why, size, "cuFile: /proc/modules is not there");
        return false;
    }
    for (int i = 0; i < 2 && names[i] != NULL && cufile.library == NULL; i++)
        cufile.library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (cufile.library == NULL) {
        snprintf(why, size, "cuFile: %s is not there%s", names[0], named != NULL ? " (XANI_CUFILE)" : "");
        return false;
    }
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        void *symbol = dlsym(cufile.library, symbols[i].name);
        if (symbol != NULL) memcpy(symbols[i].at, &symbol, sizeof symbol);
        if (symbol != NULL || !symbols[i].needed) continue;
        snprintf(why, size, "cuFile: the library found has no %s", symbols[i].name);
        return false;
    }
    if (cufile.get_version == NULL || cufile.get_version(&cufile.version).err != 0 ||
        cufile.version < XN_CUFILE_OLDEST) {
        snprintf(why, size, "cuFile: version %d.%d is older than 1.7, which reads files as they are open here",
                 cufile.version / 1000, cufile.version % 1000 / 10);
        return false;
    }
    return true;
}

static void describe(void)
{
    union {
        xn_cufile_props props;
        char room[1024]; // later versions may say more
    } u;
    memset(&u, 0, sizeof u);
    const bool said = cufile.driver_properties != NULL && cufile.driver_properties(&u.props).err == 0;
    if (said && u.props.nvfs.major_version > 0)
        snprintf(cufile.mode, sizeof cufile.mode, "nvidia-fs %u.%u", u.props.nvfs.major_version,
                 u.props.nvfs.minor_version);
    else
        snprintf(cufile.mode, sizeof cufile.mode, "no nvidia-fs: PCI peer to peer, else compatibility mode");
}

static void forget(void)
{
    if (cufile.library != NULL) dlclose(cufile.library);
    memset(&cufile, 0, sizeof cufile);
}

bool xn_cufile_works(const xn_cufile_settings *settings, char *why, size_t size)
{
    const xn_cufile_settings usual = xn_cufile_settings_of(NULL);
    pthread_mutex_lock(&lock);
    if (!cufile.tried) {
        char text[200] = "";
        const bool open = load(text, sizeof text) && driver_open(settings ? settings : &usual, text, sizeof text);
        if (!open) forget();
        memcpy(cufile.why, text, sizeof text);
        cufile.tried = true;
        cufile.open = open;
        if (open) describe();
    }
    const bool open = cufile.open;
    if (!open) snprintf(why, size, "%s", cufile.why);
    pthread_mutex_unlock(&lock);
    return open;
}

int xn_cufile_version(void) { return cufile.open ? cufile.version : 0; }
const char *xn_cufile_mode(void) { return cufile.mode; }

// ---- handles

static void drop(xn_cufile_handle *h)
{
    cufile.handle_deregister(h->handle);
    xn_file_unpin(h->file);
    xn_file_close(&h->file);
    xn_free(h);
}

// Handles nobody uses, but for the `keep` last used.
static void drop_idle(int keep)
{
    for (xn_cufile_handle **at = &cufile.handles; *at != NULL && cufile.idle > keep;) {
        xn_cufile_handle *h = *at;
        if (h->users > 0) {
            at = &h->next;
            continue;
        }
        *at = h->next;
        cufile.idle--;
        drop(h);
    }
}

static xn_cufile_handle *make_handle(xn_file *file, int *error, char *why, size_t size)
{
    xn_cufile_handle *h = xn_calloc(1, sizeof *h);
    const int fd = h != NULL ? xn_file_pin(file, error) : -1;
    if (fd < 0) {
        if (h == NULL) *error = ENOMEM;
        xn_free(h);
        return NULL;
    }
    xn_cufile_descr d;
    memset(&d, 0, sizeof d);
    d.type = 1;
    d.handle.fd = fd;
    if (failed(cufile.handle_register(&h->handle, &d), xn_file_path(file), why, size)) {
        xn_file_unpin(file);
        xn_free(h);
        return NULL;
    }
    h->file = xn_file_share(file);
    return h;
}

xn_cufile_handle *xn_cufile_take(xn_file *file, int *error, char *why, size_t size)
{
    *error = 0;
    pthread_mutex_lock(&lock);
    xn_cufile_handle **at = &cufile.handles;
    while (*at != NULL && (*at)->file != file) at = &(*at)->next;
    xn_cufile_handle *h = *at;
    if (h != NULL) {
        *at = h->next;
        if (h->users == 0) cufile.idle--;
    } else {
        h = make_handle(file, error, why, size);
    }
    if (h != NULL) { // the end of the list: what stands at its beginning was not used for longest
        h->users++;
        h->next = NULL;
        for (at = &cufile.handles; *at != NULL;) at = &(*at)->next;
        *at = h;
    }
    pthread_mutex_unlock(&lock);
    return h;
}

void xn_cufile_give(xn_cufile_handle *h)
{
    if (h == NULL) return;
    pthread_mutex_lock(&lock);
    if (--h->users == 0) cufile.idle++;
    drop_idle(HANDLES_IDLE);
    pthread_mutex_unlock(&lock);
}

void xn_cufile_rest(void)
{
    pthread_mutex_lock(&lock);
    drop_idle(0);
    pthread_mutex_unlock(&lock);
}

void xn_cufile_shut(void)
{
    pthread_mutex_lock(&lock);
    drop_idle(0);
    if (cufile.open && cufile.driver_close != NULL) cufile.driver_close();
    forget();
    pthread_mutex_unlock(&lock);
}

// ---- reading

ssize_t xn_cufile_read(xn_cufile_handle *h, void *base, size_t n, int64_t offset, int64_t at, int *error, char *why,
                       size_t size)
{
    size_t done = 0;
    *error = 0;
    while (done < n) {
        errno = 0;
        const ssize_t got =
            cufile.read(h->handle, base, n - done, (off_t)offset + (off_t)done, (off_t)at + (off_t)done);
        if (got > 0 && (size_t)got <= n - done) {
            done += (size_t)got;
        } else if (got == 0) {
            break; // the end of the file
        } else if (got == -1) {
            if (errno == EINTR || errno == EAGAIN) continue;
            *error = errno != 0 ? errno : EIO;
            return -1;
        } else {
            (void)failed((xn_cufile_error){got < 0 ? (int)-got : 0, 0}, xn_file_path(h->file), why, size);
            if (got > 0) snprintf(why, size, "cuFile: %s: more was read than asked for", xn_file_path(h->file));
            return -1;
        }
    }
    return (ssize_t)done;
}

bool xn_cufile_register(void *base, size_t bytes, char *why, size_t size)
{
    return !failed(cufile.buffer_register(base, bytes, 0), "memory of the device", why, size);
}

void xn_cufile_deregister(void *base) { (void)cufile.buffer_deregister(base); }
