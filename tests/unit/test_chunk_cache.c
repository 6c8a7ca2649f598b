// SPDX-License-Identifier: BSD-3-Clause
// test_chunk_cache.c -- an index kept from before is used for the very same file and no other, and never a stale one.
#include "chunk_file.h"
#include "no_memory.h"

#include <omp.h>
#include <sys/wait.h>
#include <time.h>

#include "io/index/chunk_index_cache.h"

static xn_ctx *ctx;
static char dir[512], path[600];

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(dir, sizeof dir, "%s", xn_test_dir("chunk-cache"));
    snprintf(path, sizeof path, "%s/chunks.h5", dir);
    xn_chunk_cache_set_limit(0);
    xn_chunk_cache_set_limit(-1);
}
static void tear_down(void)
{
    xani_destroy(&ctx);
    xn_mem_set_hook(NULL, NULL);
}

static xani_status make_map(const char *name, xn_chunk_map *m)
{
    xn_h5 *file;
    hid_t d = -1;
    memset(m, 0, sizeof *m);
    xn_hdf_guard guard = xn_hdf_enter();
    xani_status st = xn_h5_open(ctx, name, &file);
    if (st == XANI_OK) st = xn_h5_dataset(ctx, file, "v", &d);
    if (st == XANI_OK) {
        int fd = open(name, O_RDONLY);
        xn_chunk_file f = {fd, 0, file->bytes, NULL};
        st = xn_chunk_map_make(ctx, file, "v", d, &f, m);
        close(fd);
    }
    if (d >= 0) H5Dclose(d);
    xn_h5_close(&file);
    xn_hdf_leave(guard);
    return st;
}

static bool all_right(const chunk_kind *k, const xn_chunk_map *m, const char *name)
{
    int fd = open(name, O_RDONLY);
    bool good = m->table != NULL;
    for (int64_t i = 0; good && i < m->n; i++) good = chunk_right(k, m, i, fd);
    close(fd);
    return good;
}

// The times of a file written a while ago. The time of the last change of the inode cannot be set: it is waited for.
static void let_settle(void) { usleep(2200000); }

static const chunk_kind kind = {.rank = 2, .dims = {40, 41}, .chunk = {2, 3}, .percent = 70, .filtered = true};

START_TEST(kept_and_shared)
{
    chunk_file_write(path, &kind);
    xn_chunk_map m, again;
    ck_assert_int_eq(make_map(path, &m), XANI_OK);
    ck_assert(m.walked && m.shared == NULL && all_right(&kind, &m, path));
    ck_assert_int_eq(xn_chunk_cache_get_stats().entries, 0); // too young: it could change within the same tick
    xn_chunk_map_free(&m);
    let_settle();
    xn_chunk_cache_stats s0 = xn_chunk_cache_get_stats();
    ck_assert_int_eq(make_map(path, &m), XANI_OK);
    ck_assert_int_eq(make_map(path, &again), XANI_OK);
    xn_chunk_cache_stats s = xn_chunk_cache_get_stats();
    ck_assert_int_eq(s.misses - s0.misses, 1);
    ck_assert_int_eq(s.hits - s0.hits, 1);
    ck_assert_int_eq(s.entries, 1);
    ck_assert_int_ge(s.bytes, m.n * (int64_t)sizeof *m.table);
    ck_assert(again.walked && again.table == m.table && all_right(&kind, &again, path));

    // Through another name of the same file it is found, too; a copy is another file.
    char link_name[700], copy[700], command[1500];
    snprintf(link_name, sizeof link_name, "%s/link.h5", dir);
    snprintf(copy, sizeof copy, "%s/copy.h5", dir);
    unlink(link_name);
    ck_assert_int_eq(symlink("chunks.h5", link_name), 0);
    xn_chunk_map other;
    ck_assert_int_eq(make_map(link_name, &other), XANI_OK);
    ck_assert_ptr_eq(other.table, m.table);
    xn_chunk_map_free(&other);
    snprintf(command, sizeof command, "cp -p %s %s", path, copy);
    ck_assert_int_eq(system(command), 0);
    ck_assert_int_eq(make_map(copy, &other), XANI_OK);
    ck_assert_ptr_ne(other.table, m.table);
    xn_chunk_map_free(&other);

    // What is thrown out stays with those who hold it.
    xn_chunk_cache_set_limit(0);
    s = xn_chunk_cache_get_stats();
    ck_assert(s.entries == 0 && s.bytes == 0);
    xn_chunk_map_free(&m);
    ck_assert(all_right(&kind, &again, path));
    xn_chunk_map_free(&again);
    ck_assert_int_eq(make_map(path, &m), XANI_OK); // without a cache
    ck_assert(m.shared == NULL && all_right(&kind, &m, path));
    xn_chunk_map_free(&m);
}
END_TEST

START_TEST(changed_file)
{
    // A file written anew, with the same name, size and time of change of contents, has its own index.
    chunk_kind k = kind, turned = kind;
    k.filtered = turned.filtered = false;
    k.percent = 100, turned.percent = 101; // all of them, written backwards: equal sizes, other places
    chunk_file_write(path, &k);
    const off_t longer = 1 << 17; // what follows the end is nothing to the format
    ck_assert_int_eq(truncate(path, longer), 0);
    let_settle();
    xn_chunk_map m, n;
    struct stat s, t;
    ck_assert_int_eq(make_map(path, &m), XANI_OK);
    ck_assert_ptr_nonnull(m.shared);
    stat(path, &s);
    chunk_file_write(path, &turned); // truncates: the inode stays
    ck_assert_int_eq(truncate(path, longer), 0);
    struct timespec times[2] = {s.st_atim, s.st_mtim};
    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
    stat(path, &t);
    ck_assert(s.st_size == t.st_size && s.st_ino == t.st_ino && s.st_mtim.tv_nsec == t.st_mtim.tv_nsec);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(make_map(path, &n), XANI_OK);
        ck_assert(n.table != m.table && all_right(&turned, &n, path));
        xn_chunk_map_free(&n);
        if (i == 0) let_settle();
    }
    xn_chunk_map_free(&m);
}
END_TEST

START_TEST(least_recently_used_goes)
{
    // The limit holds whatever is opened; threads that open, hold and let go all see right indexes.
    enum { FILES = 6 };
    char name[FILES][700];
    chunk_kind k[FILES];
    for (int i = 0; i < FILES; i++) {
        snprintf(name[i], sizeof name[i], "%s/f%d.h5", dir, i);
        k[i] = kind;
        k[i].dims[0] = 40 + 20 * (hsize_t)i;
        k[i].latest = i % 2;
        chunk_file_write(name[i], &k[i]);
    }
    let_settle();
    int64_t limit = 40000;
    xn_chunk_cache_set_limit(limit);
    int bad = 0;
#pragma omp parallel for num_threads(4) schedule(dynamic) reduction(+ : bad)
    for (int round = 0; round < 200; round++) {
        int i = (round * 7 + round / 3) % FILES;
        xn_chunk_map m;
        bad += make_map(name[i], &m) != XANI_OK || !m.walked || !all_right(&k[i], &m, name[i]);
        xn_chunk_map_free(&m);
        bad += xn_chunk_cache_get_stats().bytes > limit;
    }
    ck_assert_int_eq(bad, 0);
    xn_chunk_cache_stats s = xn_chunk_cache_get_stats();
    ck_assert_int_gt(s.entries, 0);
    ck_assert_int_gt(s.hits, 0);
    // Of two that fit, the one used last stays when a third comes.
    xn_chunk_map m[3], more;
    xn_chunk_cache_set_limit(0);
    ck_assert_int_eq(make_map(name[0], &m[0]), XANI_OK);
    int64_t each = m[0].n * (int64_t)sizeof *m[0].table + 400;
    xn_chunk_map_free(&m[0]);
    for (int i = 0; i < FILES; i++) k[i].dims[0] = 40;
    for (int i = 0; i < 3; i++) chunk_file_write(name[i], &k[i]);
    let_settle();
    xn_chunk_cache_set_limit(2 * each);
    for (int i = 0; i < 2; i++) ck_assert_int_eq(make_map(name[i], &m[i]), XANI_OK);
    ck_assert_int_eq(make_map(name[0], &more), XANI_OK);
    xn_chunk_map_free(&more);
    ck_assert_int_eq(make_map(name[2], &m[2]), XANI_OK);
    ck_assert_int_eq(xn_chunk_cache_get_stats().entries, 2);
    ck_assert_int_eq(make_map(name[0], &more), XANI_OK);
    ck_assert_ptr_eq(more.table, m[0].table);
    xn_chunk_map_free(&more);
    ck_assert_int_eq(make_map(name[1], &more), XANI_OK);
    ck_assert_ptr_ne(more.table, m[1].table);
    xn_chunk_map_free(&more);
    for (int i = 0; i < 3; i++) xn_chunk_map_free(&m[i]);
}
END_TEST

START_TEST(memory_may_fail)
{
    // Each allocation fails once: out of memory is said, or the answer is right without it.
    chunk_kind k = kind;
    k.latest = _i > 0;
    k.unlimited = _i > 1 ? 3 : 0;
    chunk_file_write(path, &k);
    let_settle();
    uint64_t refused = 0;
    xn_chunk_map m;
    no_memory n = NO_MEMORY;
    for (; n.reached; no_memory_next(&n)) {
        xn_chunk_cache_set_limit(0);
        xn_chunk_cache_set_limit(-1);
        no_memory_begin(&n);
        xani_status st = make_map(path, &m);
        no_memory_end();
        ck_assert(st == XANI_OK || (n.reached && st == XANI_ERR_MEMORY));
        if (st == XANI_OK) ck_assert(all_right(&k, &m, path));
        refused += st != XANI_OK;
        xn_chunk_map_free(&m);
        xn_clear_error(ctx);
    }
    ck_assert_uint_gt(refused, 0);
    ck_assert_uint_gt(n.at, 5);
}
END_TEST

// ---- files that grow while they are read

// Appends rows of chunks for a while; tells when readers may come.
static void write_live(const chunk_kind *start, int steps, int ready)
{
    chunk_kind k = *start;
    hid_t f = chunk_file_create(path, &k), d = chunk_create(f, &k);
    bool good = H5Fstart_swmr_write(f) >= 0 && write(ready, "x", 1) == 1;
    uint8_t *data = malloc(chunk_full_bytes(&k) + 8);
    for (int s = 0; good && s < steps; s++) {
        int64_t grid[5], before = chunk_grid(&k, grid), n;
        k.dims[0] += k.chunk[0] * (1 + (hsize_t)s % 5);
        good = H5Dset_extent(d, k.dims) >= 0;
        n = chunk_grid(&k, grid);
        for (int64_t i = before; good && i < n; i++) {
            hsize_t offset[2] = {(hsize_t)(i / grid[1]) * k.chunk[0], (hsize_t)(i % grid[1]) * k.chunk[1]};
            size_t bytes;
            uint32_t mask;
            chunk_stored(&k, i, &bytes, &mask);
            memset(data, chunk_byte(&k, i), bytes);
            good = H5Dwrite_chunk(d, H5P_DEFAULT, mask, offset, bytes, data) >= 0;
        }
        good = good && H5Dflush(d) >= 0;
        usleep(300);
    }
    free(data);
    H5Dclose(d);
    H5Fclose(f);
    _exit(good ? 0 : 1);
}

START_TEST(live_file)
{
    // Whatever a walk finds while a writer is at work is there: no address is stale, no chunk half written.
    chunk_kind k = {.rank = 2, .dims = {2, 15}, .chunk = {2, 4}, .latest = true, .percent = 100};
    k.filtered = _i % 2;
    k.unlimited = _i < 2 ? 1 : 3;
    int ready[2];
    ck_assert_int_eq(pipe(ready), 0);
    pid_t writer = fork();
    if (writer == 0) write_live(&k, 600, ready[1]);
    char token;
    close(ready[1]);
    ck_assert_int_eq(read(ready[0], &token, 1), 1);
    int64_t rounds = 0, walked = 0, chunks = 0, grown = 0, last_rows = 0;
    int status = 0;
    bool running = true;
    while (running) { // once more after it is done
        running = waitpid(writer, &status, WNOHANG) == 0;
        hid_t f = H5Fopen(path, running ? H5F_ACC_RDONLY | H5F_ACC_SWMR_READ : H5F_ACC_RDONLY, H5P_DEFAULT);
        if (f < 0) continue; // it is being closed
        hid_t d = H5Dopen2(f, "v", H5P_DEFAULT);
        ck_assert_int_ge(d, 0);
        int fd = open(path, O_RDONLY);
        for (int inner = 0; inner < 5; inner++, rounds++) {
            struct stat s;
            H5Drefresh(d);
            fstat(fd, &s);
            xn_h5 file = {.id = f, .path = path, .bytes = s.st_size};
            xn_chunk_file cf = {fd, 0, s.st_size, NULL};
            xn_chunk_map m;
            ck_assert_int_eq(xn_chunk_map_make(ctx, &file, "v", d, &cf, &m), XANI_OK);
            ck_assert_ptr_nonnull(m.table);
            chunk_kind now = k;
            now.dims[0] = (hsize_t)m.dims[0];
            int bad = 0;
            for (int64_t i = 0; i < m.n; i++) {
                bool there = m.table[i].bytes > 0;
                bad += there && !chunk_right(&now, &m, i, fd);
                bad += !there && !running && inner > 0 && i >= m.grid[1]; // the first row was never written
                chunks += there;
            }
            ck_assert_int_eq(bad, 0);
            walked += m.walked;
            grown += m.dims[0] > last_rows;
            last_rows = m.dims[0];
            if (running) ck_assert_ptr_null(m.shared);
            xn_chunk_map_free(&m);
        }
        close(fd);
        H5Dclose(d);
        H5Fclose(f);
    }
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ck_assert_int_gt(grown, 3);
    ck_assert_int_gt(chunks, 100);
    ck_assert_int_ge(walked, rounds - rounds / 10);
    close(ready[0]);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, kept_and_shared);
    tcase_add_test(t, changed_file);
    tcase_add_test(t, least_recently_used_goes);
    tcase_add_loop_test(t, memory_may_fail, 0, 3);
    tcase_add_loop_test(t, live_file, 0, 4);
}
XN_TEST_MAIN("chunk cache", add)
