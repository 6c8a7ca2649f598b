// SPDX-License-Identifier: BSD-3-Clause
// test_mutated.c -- no damaged file kills the process that reads it, or reads as zeros that were never written.
//
// Files of both formats with every layout are cut and changed at random.  Of each, one process that uses HDF5 alone
// says what H5Dread makes of it (or dies, which is the library's right), and one that reads with our engine, isolation
// on, has to say an error, or the same as the library, or what was written.  XANI_MUTATIONS: how many (300; `make
// mutate` 20000); XANI_MUTATIONS_FROM: the number of the first.  Without them 800 to
// 1099: of these, 902 kills a process that was not warned by an allocator like the helper's.
#include <fcntl.h>
#include <hdf5.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "core/rng.h"
#include "io/array.h"
#include "io/h5.h"
#include "io/worker/worker.h"
#include "test.h"

enum {
    N = 12 * 6 * 10,
    DATASETS = 10,
    ROWS = 12,
    H = 6,
    W = 10,
    BASES = 3,
    ROOM = 1 << 16,
    MEBIBYTE = 1 << 20,
    SECONDS = 30
};
#ifdef XN_SANITIZED
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif
enum { FINE, REFUSED, CRASHED, LATE };

static const char *const names[DATASETS] = {"contiguous", "chunked", "gzip",   "shuffle", "sum",
                                            "compact",    "growing", "broken", "narrow",  "tiles"};

typedef struct {
    int outcome;
    int64_t bytes;
    uint64_t hash;
    int zeros;
    uint16_t values[N]; // where there are as many as were written
} answer;

typedef struct {
    answer library[DATASETS], ours[DATASETS];
    double seconds;
    char why[400];
    int compared;
} board;

static board *shared;
static char folder[512];
static uint8_t base[BASES][ROOM];
static size_t base_bytes[BASES];

static uint64_t hash(const uint8_t *p, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

static void judge(answer *a, const uint16_t *values, int64_t n)
{
    a->outcome = FINE;
    a->bytes = 2 * n;
    a->hash = hash((const uint8_t *)values, (size_t)n * 2);
    a->zeros = 0;
    if (n == N) memcpy(a->values, values, sizeof a->values);
    for (int64_t i = 0; i < n; i++) a->zeros += values[i] == 0; // none was written
}

// ---- files

static void put(hid_t f, int which, const uint16_t *values)
{
    static const hsize_t shape[3] = {ROWS, H, W}, most[3] = {H5S_UNLIMITED, H, W},
                         wide[3] = {H5S_UNLIMITED, H, H5S_UNLIMITED};
    static const hsize_t chunk[3] = {1, H, W}, tile[3] = {2, 4, 4};
    const char *name = names[which];
    hid_t created = H5Pcreate(H5P_DATASET_CREATE), type = H5Tcopy(H5T_STD_U16LE);
    bool chunked = which != 0 && which != 5, tiles = strcmp(name, "tiles") == 0;
    if (strcmp(name, "compact") == 0) H5Pset_layout(created, H5D_COMPACT);
    if (chunked) H5Pset_chunk(created, 3, tiles ? tile : chunk);
    if (strcmp(name, "shuffle") == 0) H5Pset_shuffle(created);
    if (strcmp(name, "gzip") == 0 || strcmp(name, "shuffle") == 0) H5Pset_deflate(created, 4);
    if (strcmp(name, "sum") == 0) H5Pset_fletcher32(created);
    if (strcmp(name, "broken") == 0) H5Pset_scaleoffset(created, H5Z_SO_INT, 0);
    if (strcmp(name, "narrow") == 0) {
        H5Tset_precision(type, 12);
        H5Pset_nbit(created);
    }
    const hsize_t *limit = strcmp(name, "growing") == 0 ? most : tiles ? wide : shape;
    hid_t space = H5Screate_simple(3, shape, limit);
    hid_t d = H5Dcreate2(f, name, type, space, H5P_DEFAULT, created, H5P_DEFAULT);
    ck_assert_int_ge(H5Dwrite(d, H5T_NATIVE_UINT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), 0);
    H5Dclose(d), H5Sclose(space), H5Tclose(type), H5Pclose(created);
}

static void texts(hid_t f)
{
    const char *text = "written by a test", *list[3] = {"one", "two", "three"};
    hsize_t n = 3;
    hid_t type = H5Tcopy(H5T_C_S1), scalar = H5Screate(H5S_SCALAR), space = H5Screate_simple(1, &n, NULL);
    H5Tset_size(type, H5T_VARIABLE);
    hid_t a = H5Acreate2(f, "title", type, scalar, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(a, type, &text);
    hid_t d = H5Dcreate2(f, "names", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, list);
    H5Dclose(d), H5Aclose(a), H5Sclose(space), H5Sclose(scalar), H5Tclose(type);
}

static void make_base(int which)
{
    uint16_t values[ROWS * H * W];
    char path[600];
    for (int i = 0; i < ROWS * H * W; i++) values[i] = (uint16_t)(1 + i * 37 % 1500);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_meta_block_size(access, 512);
    if (which == 1) H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110);
    snprintf(path, sizeof path, "%s/base-%d.h5", folder, which);
    hid_t f = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    for (int i = 0; i < DATASETS; i++)
        if (which != 2 || i < 2) put(f, i, values); // the last one is nearly only metadata
    texts(f);
    H5Fclose(f);
    H5Pclose(access);
    FILE *in = fopen(path, "rb");
    base_bytes[which] = fread(base[which], 1, ROOM, in);
    fclose(in);
    ck_assert_uint_lt(base_bytes[which], ROOM);
}

static size_t mutate(xn_rng *r, int which, uint8_t *bytes)
{
    size_t n = base_bytes[which];
    memcpy(bytes, base[which], n);
    unsigned kind = xn_rng_u32(r) % 16, times = 1 + xn_rng_u32(r) % (kind < 8 ? 3 : 16);
    if (kind == 0) return xn_rng_u32(r) % n; // cut
    for (unsigned i = 0; i < times; i++) {
        // Metadata stand mostly at the beginning; changed values prove little.
        size_t at = xn_rng_u32(r) % (xn_rng_u32(r) % 2 ? n : n < 3000 ? n : 3000);
        static const uint8_t special[] = {0, 1, 0x7f, 0x80, 0xff};
        if (kind < 8)
            bytes[at] ^= (uint8_t)(1u << xn_rng_u32(r) % 8);
        else if (kind < 12)
            bytes[at] = (uint8_t)xn_rng_u32(r);
        else if (kind < 14)
            bytes[at] = special[xn_rng_u32(r) % 5];
        else
            memmove(bytes + at, bytes + xn_rng_u32(r) % (n - 8), at + 8 <= n ? 8 : n - at);
    }
    return n;
}

static void write_file(const char *path, const uint8_t *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

// ---- what the library says, in a process of its own for each file

static void library_reads(const char *path)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    hid_t f = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    for (int i = 0; i < DATASETS; i++) shared->library[i].outcome = REFUSED;
    for (int i = 0; i < DATASETS && f >= 0; i++) {
        shared->library[i].outcome = CRASHED;
        hid_t d = H5Dopen2(f, names[i], H5P_DEFAULT), space = d < 0 ? d : H5Dget_space(d);
        hssize_t n = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
        uint16_t *values = n < 0 || n > MEBIBYTE ? NULL : malloc((size_t)n * 2 + 2);
        if (values && H5Dread(d, H5T_NATIVE_UINT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0)
            judge(&shared->library[i], values, n);
        else
            shared->library[i].outcome = REFUSED;
        free(values);
    }
    _exit(0);
}

static void ask_library(const char *path)
{
    struct rlimit memory = {(rlim_t)2 << 30, (rlim_t)2 << 30}, time = {SECONDS, SECONDS};
    pid_t pid = fork();
    if (pid == 0) {
        if (!SANITIZED) setrlimit(RLIMIT_AS, &memory); // sanitizers want address space, not memory
        setrlimit(RLIMIT_CPU, &time);
        int null = open("/dev/null", O_WRONLY);
        dup2(null, 2); // last words of the C library
        signal(SIGSEGV, SIG_DFL);
        library_reads(path);
    }
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

// ---- what we say

static void read_ours(xn_ctx *ctx, const char *path, int i)
{
    const char *paths[1] = {path};
    xn_array_options options = {.threads = 1};
    xn_array *a = NULL;
    answer *mine = &shared->ours[i];
    mine->outcome = REFUSED;
    xn_clear_error(ctx);
    if (xn_array_open(ctx, paths, 1, names[i], &options, &a) != XANI_OK) return;
    const xn_array_info *info = xn_array_get_info(a);
    int64_t n = 1;
    bool small = info->type == XN_U16;
    for (int k = 0; k < info->rank && small; k++) {
        small = info->dims[k] >= 0 && (n == 0 || info->dims[k] <= MEBIBYTE / n);
        n *= small ? info->dims[k] : 1;
    }
    uint16_t *values = small ? malloc((size_t)n * 2 + 2) : NULL;
    xn_selection all;
    xn_selection_all(a, &all);
    if (values && xn_array_read(ctx, a, &all, XN_U16, values, 1) == XANI_OK) judge(mine, values, n);
    free(values);
    xn_array_close(&a);
}

static void read_rest(xn_ctx *ctx, const char *path) // metadata as survey, info and manifest read them
{
    xn_h5 *f = NULL;
    char **list = NULL, *text = NULL;
    int64_t n;
    if (xn_h5_open(ctx, path, &f) != XANI_OK) return;
    if (xn_h5_names(ctx, f, "", &list) == XANI_OK)
        for (char **s = list; *s; s++) {
            xn_h5_info info;
            xn_h5_info_get(ctx, f, *s, &info);
        }
    xn_h5_names_free(list);
    list = NULL;
    if (xn_h5_read_strings(ctx, f, "names", &list, &n) == XANI_OK) xn_h5_names_free(list);
    xn_h5_read_attr(ctx, f, "", "title", &text);
    xn_free(text);
    xn_h5_close(&f);
}

// Reads files by name from the pipe until it is closed.
static void serve(int in, int out)
{
    char path[600];
    xn_ctx *ctx;
    struct rlimit memory = {(rlim_t)3 << 30, (rlim_t)3 << 30};
    if (xani_create(&ctx) != XANI_OK || !xn_worker_use(true, NULL)) _exit(9);
    if (!SANITIZED) setrlimit(RLIMIT_AS, &memory); // enough for the helper too, with files as small as these
    for (ssize_t n; (n = read(in, path, sizeof path - 1)) > 0;) {
        path[n] = '\0';
        double start = xn_seconds();
        for (int i = 0; i < DATASETS; i++) read_ours(ctx, path, i);
        read_rest(ctx, path);
        shared->seconds = xn_seconds() - start;
        if (write(out, "y", 1) != 1) break;
    }
    _exit(0);
}

typedef struct {
    pid_t pid;
    int to, from;
} caller;

static void start(caller *c)
{
    int in[2], out[2];
    ck_assert_int_eq(pipe(in) | pipe(out), 0);
    c->pid = fork();
    if (c->pid == 0) {
        close(in[1]), close(out[0]);
        serve(in[0], out[1]);
    }
    close(in[0]), close(out[1]);
    c->to = in[1];
    c->from = out[0];
}

static bool ask_caller(caller *c, const char *path)
{
    char y;
    return write(c->to, path, strlen(path)) == (ssize_t)strlen(path) && read(c->from, &y, 1) == 1;
}

static int stop(caller *c)
{
    int status = 0;
    close(c->to), close(c->from);
    waitpid(c->pid, &status, 0);
    return status;
}

static void set_up(void)
{
    snprintf(folder, sizeof folder, "%s", xn_test_dir("mutated"));
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (getenv("XANI_WORKER") == NULL) setenv("XANI_WORKER", "../xani-worker", 1);
    for (int i = 0; i < BASES; i++) make_base(i);
}
static void tear_down(void) { munmap(shared, sizeof *shared); }

typedef struct {
    int died, late, zeros, other;
    int64_t right, refused, same, lenient, library_crashed;
} counts;

// Each value is the library's or the one that was written, or the library made up a zero: where it does not find a
// chunk that its index has, ours reads what lies at that place.
static bool explained(const answer *ours, const answer *library, const answer *written)
{
    if (ours->bytes != 2 * N || library->bytes != ours->bytes) return false;
    for (int i = 0; i < N; i++)
        if (ours->values[i] != library->values[i] && ours->values[i] != written->values[i] && library->values[i] != 0)
            return false;
    return true;
}

static void count(counts *n, const answer *ours, const answer *library, const answer *written, const char *path, int i)
{
    n->library_crashed += library->outcome == CRASHED;
    if (ours->outcome != FINE) {
        n->refused++;
        return;
    }
    if (ours->bytes == written->bytes && ours->hash == written->hash) {
        n->right++;
        return;
    }
    if (library->outcome == FINE && library->bytes == ours->bytes && library->hash == ours->hash) {
        n->same++;
        return;
    }
    n->lenient++;
    if (library->outcome == FINE && explained(ours, library, written)) return;
    if (library->outcome == FINE) {
        fprintf(stderr, "%s: %s: read, but not as the library reads it\n", path, names[i]);
        n->other++;
    } else if (ours->zeros > 16) { // more than were put there
        fprintf(stderr, "%s: %s: %d zeros that nobody wrote\n", path, names[i], ours->zeros);
        n->zeros++;
    }
}

START_TEST(test_mutations)
{
    const char *asked = getenv("XANI_MUTATIONS"), *from = getenv("XANI_MUTATIONS_FROM");
    int64_t runs = asked ? strtoll(asked, NULL, 10) : 300, first = from ? strtoll(from, NULL, 10) : asked ? 0 : 800;
    uint8_t *bytes = malloc(ROOM);
    counts n = {0};
    answer written[DATASETS];
    char path[600], kept[640];
    caller c;
    start(&c);
    snprintf(path, sizeof path, "%s/base-0.h5", folder);
    ask_library(path);
    ck_assert(ask_caller(&c, path));
    memcpy(written, shared->ours, sizeof written);
    for (int i = 0; i < DATASETS; i++)
        ck_assert_msg(written[i].outcome == FINE && written[i].hash == shared->library[i].hash, "%s", names[i]);
    for (int64_t run = first; run < first + runs; run++) {
        xn_rng r;
        int which = (int)(run % BASES);
        xn_rng_init(&r, (uint64_t)run, 20);
        size_t length = mutate(&r, which, bytes);
        // A name of its own: one file changed within a tick of the clock looks like the same file still.
        snprintf(path, sizeof path, "%s/mutated-%lld.h5", folder, (long long)run);
        write_file(path, bytes, length);
        memset(shared, 0, sizeof *shared);
        ask_library(path);
        bool died = !ask_caller(&c, path);
        unlink(path);
        if (died || shared->seconds > SECONDS) {
            int status = died ? stop(&c) : 0;
            snprintf(kept, sizeof kept, "%s/%s-%lld.h5", folder, died ? "died" : "late", (long long)run);
            write_file(kept, bytes, length);
            fprintf(stderr, "%s: status %d, %.1f s\n", kept, status, shared->seconds);
            n.died += died;
            n.late += !died;
            if (died) start(&c);
            continue;
        }
        int before = n.zeros + n.other;
        for (int i = 0; i < DATASETS; i++)
            if (which != 2 || i < 2) count(&n, &shared->ours[i], &shared->library[i], &written[i], path, i);
        if (n.zeros + n.other == before) continue;
        snprintf(kept, sizeof kept, "%s/differs-%lld.h5", folder, (long long)run);
        write_file(kept, bytes, length);
    }
    struct rusage used;
    int status = stop(&c);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    getrusage(RUSAGE_CHILDREN, &used); // the largest of all of them, the library's own included
    fprintf(stderr,
            "%lld mutated files: %lld reads right, %lld refused, %lld damaged as the library reads them, %lld where it "
            "does not; the library crashed in %lld; %d died, %d late, %d zeros, %d other; largest process %ld MiB\n",
            (long long)runs, (long long)n.right, (long long)n.refused, (long long)n.same, (long long)n.lenient,
            (long long)n.library_crashed, n.died, n.late, n.zeros, n.other, used.ru_maxrss / 1024);
    ck_assert_int_eq(n.died + n.late + n.zeros + n.other, 0);
    free(bytes);
}
END_TEST

// Cut anywhere in its metadata, a file is refused or gives what was written.
START_TEST(test_truncations)
{
    char path[600];
    caller c;
    answer written[DATASETS];
    int64_t cuts = 0, refused = 0;
    start(&c);
    snprintf(path, sizeof path, "%s/base-%d.h5", folder, _i);
    ck_assert(ask_caller(&c, path));
    memcpy(written, shared->ours, sizeof written);
    for (size_t length = 0; length < base_bytes[_i]; length += length < 2500 ? 1 : 97) {
        snprintf(path, sizeof path, "%s/cut-%d-%zu.h5", folder, _i, length);
        write_file(path, base[_i], length);
        memset(shared, 0, sizeof *shared);
        ck_assert_msg(ask_caller(&c, path), "%zu bytes of a file killed the process", length);
        unlink(path);
        for (int i = 0; i < DATASETS; i++, cuts++) {
            const answer *mine = &shared->ours[i];
            bool right = mine->outcome == FINE && mine->hash == written[i].hash && mine->bytes == written[i].bytes;
            ck_assert_msg(mine->outcome == REFUSED || right, "%zu bytes: %s reads wrong", length, names[i]);
            refused += !right;
        }
    }
    fprintf(stderr, "%lld reads of cut files, %lld refused\n", (long long)cuts, (long long)refused);
    ck_assert_int_gt(refused, 0);
    stop(&c);
}
END_TEST

static void add(TCase *t)
{
    tcase_set_timeout(t, 3600);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_mutations);
    tcase_add_loop_test(t, test_truncations, 0, BASES);
}
XN_TEST_MAIN("mutated files", add)
