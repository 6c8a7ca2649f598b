// SPDX-License-Identifier: BSD-3-Clause
// worker.c -- see worker.h: starts the helper, asks it, remembers what it said.
//
// One helper for the process, one question at a time: opening is serialised by the library's lock anyway.  The helper
// is found by XANI_WORKER, beside the program that runs, or where it was installed.
#include "io/worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SEEN = 8192, BAD = 64, PATIENCE = 8 }; // PATIENCE: other programs have the processor too
#define ROOM ((rlim_t)32 << 30)

static atomic_bool used;
static struct {
    pthread_mutex_t lock;
    pid_t owner, pid; // the process that started it: one that was forked off has to start its own
    int socket;
    double seconds;      // it may take
    uint64_t seen[SEEN]; // hashes of what it survived
    struct {
        uint64_t hash;
        char why[XN_WORKER_TEXT];
    } bad[BAD]; // what it did not, the last ones
    unsigned next_bad;
} helper = {.lock = PTHREAD_MUTEX_INITIALIZER, .socket = -1, .seconds = 30};

// ---- the program

static bool runs(char path[1024], const char *folder, size_t length, const char *name)
{
    int n = snprintf(path, 1024, "%.*s%s", (int)length, folder, name);
    return n > 0 && n < 1024 && access(path, X_OK) == 0;
}

static bool find_program(char path[1024])
{
    const char *named = getenv("XANI_WORKER");
    char self[1024];
    if (named && named[0]) return runs(path, "", 0, named);
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    while (n > 0 && self[n - 1] != '/') n--;
    if (n > 0 && runs(path, self, (size_t)n, "xani-worker")) return true;
    return runs(path, XN_LIBEXEC_DIR, strlen(XN_LIBEXEC_DIR), "/xani-worker");
}

static void stop(void) // its memory may be spoiled, or it hangs
{
    if (helper.socket < 0) return;
    close(helper.socket);
    helper.socket = -1;
    if (helper.owner != getpid()) return;
    kill(helper.pid, SIGKILL);
    while (waitpid(helper.pid, NULL, 0) < 0 && errno == EINTR) {}
}

static bool start(void)
{
    char path[1024], *arguments[] = {path, NULL};
    int ends[2];
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    if (helper.socket >= 0 && helper.owner == getpid()) return true;
    stop();
    if (!find_program(path) || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return false;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0); // last words of a C library are not for
    posix_spawn_file_actions_adddup2(&actions, 1, 2);                        // the user's terminal
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID); // an interrupt from the terminal is not for it
    int error = posix_spawn(&helper.pid, path, &actions, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (error != 0) return close(ends[0]), false;
    helper.socket = ends[0];
    helper.owner = getpid();
    return true;
}

// What its memory keeps out of reach (worker_memory.c) is address space, which batch systems may limit.
static bool has_room(void)
{
    struct rlimit r;
    return getrlimit(RLIMIT_AS, &r) != 0 || r.rlim_cur == RLIM_INFINITY || r.rlim_cur >= ROOM;
}

bool xn_worker_use(bool on, char why[XN_WORKER_TEXT])
{
    char path[1024];
    bool program = !on || find_program(path), found = program && (!on || has_room());
    if (!program && why)
        snprintf(why, XN_WORKER_TEXT, "the program xani-worker cannot be found (XANI_WORKER names it)");
    else if (!found && why)
        snprintf(why, XN_WORKER_TEXT, "xani-worker needs 32 GiB of address space (ulimit -v)");
    atomic_store(&used, on && found);
    if (on) return found;
    pthread_mutex_lock(&helper.lock);
    stop();
    memset(helper.seen, 0, sizeof helper.seen);
    memset(helper.bad, 0, sizeof helper.bad);
    pthread_mutex_unlock(&helper.lock);
    return true;
}

void xn_worker_set_seconds(double seconds) { helper.seconds = seconds; }

bool xn_worker_used(void) { return atomic_load(&used); }

// ---- one question

typedef struct {
    char message[XN_WORKER_MESSAGE];
    size_t bytes;
    char answer[XN_WORKER_MESSAGE + 1]; // kind and text
    char why[XN_WORKER_TEXT];           // that it did not answer
    bool slow;                          // and not because it died
} question;

static void say_why(question *q, bool late)
{
    int status = 0;
    q->slow = late;
    if (late) kill(helper.pid, SIGKILL);
    pid_t gone;
    do gone = waitpid(helper.pid, &status, 0);
    while (gone < 0 && errno == EINTR);
    if (late)
        snprintf(q->why, sizeof q->why, "the HDF5 library took longer than %g s over it", helper.seconds);
    else if (gone == helper.pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        snprintf(q->why, sizeof q->why, "the HDF5 library did not come to an end with it");
    else if (gone == helper.pid && WIFSIGNALED(status))
        snprintf(q->why, sizeof q->why, "the HDF5 library crashed on it (signal %d)", WTERMSIG(status));
    else
        snprintf(q->why, sizeof q->why, "the HDF5 library ended the process");
    close(helper.socket);
    helper.socket = -1;
}

// A message from the helper into q->answer: > 0; 0: none so far; < 0: it is gone.
static ssize_t hear(question *q, double seconds)
{
    struct pollfd wait = {helper.socket, POLLIN, 0};
    int ready = poll(&wait, 1, (int)(1000 * seconds) + 1);
    if (ready < 0 && errno != EINTR) return -1;
    if (ready <= 0) return 0;
    ssize_t n = recv(helper.socket, q->answer, XN_WORKER_MESSAGE, 0);
    if (n <= 0) return -1;
    q->answer[n] = '\0';
    return n;
}

// False: the helper died over it or did not answer, q->why.
static bool ask(question *q)
{
    q->why[0] = '\0';
    ssize_t n = send(helper.socket, q->message, q->bytes, MSG_NOSIGNAL) < 0 ? -1 : 0;
    double until = xn_seconds() + helper.seconds, left = helper.seconds;
    while (n == 0 && left > 0) {
        n = hear(q, left);
        if (n > 0 && q->answer[0] == XN_WORKER_BUSY) { // there is much of it, and its processor time is limited
            until = xn_seconds() + helper.seconds + PATIENCE * xn_max64(0, strtol(q->answer + 1, NULL, 10));
            n = 0;
        }
        left = until - xn_seconds();
    }
    if (n > 0) return true;
    say_why(q, n == 0);
    return false;
}

// ---- what was seen

static uint64_t mix(uint64_t h, const void *bytes, size_t n) // FNV-1a
{
    for (const uint8_t *p = bytes; n > 0; n--, p++)
        h = (h ^ *p) * 0x100000001b3u; // NOLINT(clang-analyzer-core.UndefinedBinaryOperatorResult): all was composed
    return h;
}

static uint64_t hash(const question *q, const struct stat *s)
{
    const int64_t parts[] = {(int64_t)s->st_dev, (int64_t)s->st_ino, s->st_size, (int64_t)s->st_mtim.tv_sec,
                             (int64_t)s->st_mtim.tv_nsec};
    uint64_t h = mix(mix(0xcbf29ce484222325u, q->message, q->bytes), parts, sizeof parts);
    return h ? h : 1;
}

// NULL: nothing speaks against it.
static const char *look(question *q)
{
    for (int tries = 0; tries < 2; tries++) {
        if (!start()) return "the program xani-worker, which looks at files first, does not run";
        if (ask(q)) return q->answer[0] == XN_WORKER_FINE ? NULL : q->answer + 1;
        if (q->slow) break; // else a file before this one may be to blame: again in a fresh process
    }
    return q->why;
}

// The answer, remembered or new. In the lock.
static const char *answer(question *q, uint64_t h)
{
    if (helper.seen[h % SEEN] == h) return NULL;
    for (int i = 0; i < BAD; i++)
        if (helper.bad[i].hash == h) return helper.bad[i].why;
    const char *why = look(q);
    if (why == NULL) {
        helper.seen[h % SEEN] = h;
    } else if (helper.socket >= 0 || q->why[0]) { // it was looked at
        unsigned i = helper.next_bad++ % BAD;
        helper.bad[i].hash = h;
        snprintf(helper.bad[i].why, XN_WORKER_TEXT, "%s", why);
    }
    return why;
}

// See worker.h; the path absolute: the helper stays in the folder where it was started. 0: too long to be one.
static size_t compose(char message[XN_WORKER_MESSAGE], char what, const char *path, const char *object,
                      const char *member)
{
    char folder[4096] = "";
    if (path[0] != '/' && getcwd(folder, sizeof folder - 1) == NULL) return 0;
    if (folder[0]) folder[strlen(folder)] = '/'; // zeros follow
    int n = snprintf(message, XN_WORKER_MESSAGE, "%c%s%s%c%s%c%s", what, folder, path, '\0', object, '\0', member);
    return n > 0 && n < XN_WORKER_MESSAGE ? (size_t)n : 0;
}

static xani_status look_at(xn_ctx *ctx, char what, const char *path, const char *object, const char *member)
{
    struct stat s;
    if (!atomic_load(&used) || stat(path, &s) != 0) return XANI_OK;
    question *q = xn_calloc(1, sizeof *q);
    if (q == NULL) return xn_fail_memory(ctx, path, sizeof *q);
    xani_status st = XANI_OK;
    q->bytes = compose(q->message, what, path, object, member);
    if (q->bytes > 0) {
        uint64_t h = hash(q, &s);
        pthread_mutex_lock(&helper.lock);
        const char *why = answer(q, h);
        if (why)
            st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s%sfile refused: %s", path, object, object[0] ? ": " : "", why);
        pthread_mutex_unlock(&helper.lock);
    }
    xn_free(q);
    return st;
}

xani_status xn_worker_look(xn_ctx *ctx, const char *path, const char *object)
{
    return look_at(ctx, XN_WORKER_OPEN, path, object, "");
}

xani_status xn_worker_look_all(xn_ctx *ctx, const char *path, const char *group, const char *member)
{
    return look_at(ctx, XN_WORKER_MEMBERS, path, group, member);
}

xani_status xn_worker_look_copy(xn_ctx *ctx, const char *path, const char *object)
{
    return look_at(ctx, XN_WORKER_COPY, path, object, "");
}
