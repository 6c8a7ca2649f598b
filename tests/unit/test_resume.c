// SPDX-License-Identifier: BSD-3-Clause
// test_resume.c -- a reduction killed or interrupted at any point goes on to the same bits; snapshots are cubes.
//
// Every reduction that may die runs in a process of its own, which sends a hash of its cube through a pipe.
#include "no_memory.h"
#include "test.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_source.h"
#include "io/write/blob.h"
#include "io/write/publish.h"
#include "reduce/internal.h"

enum { SHOTS = 120, BATCH = 14 };
static int64_t batch = BATCH;

static xn_ctx *ctx;
static heard said;
static char folder[64], place[128], sums[128], bins[128];

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    said.text[0] = '\0';
    xani_set_log(ctx, fake_log, &said);
    // in memory where the system has such a folder: thousands of syncs
    snprintf(folder, sizeof folder, "%s/xani-resume-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(place, sizeof place, "%s/cube.h5", folder);
    snprintf(sums, sizeof sums, "%s/.cube.h5.sums", folder);
    snprintf(bins, sizeof bins, "%s/.cube.h5.bins", folder);
}

static void tear_down(void)
{
    xn_reduce_forget(place);
    ck_assert_int_eq(rmdir(folder), 0); // nothing else was left there
    xani_destroy(&ctx);
}

static const char *const modes[] = {"off: {mode: all}", "off: {mode: blocks, block_shots: 40}"};

static xn_config *configure(int mode, double memory_gib)
{
    char yaml[512], memory[64] = "";
    if (memory_gib > 0) snprintf(memory, sizeof memory, ", memory_gib: %.9g", memory_gib);
    snprintf(yaml, sizeof yaml,
             "reduce: {delay_bins_ps: {start: -1, stop: 3, step: 0.5}, spatial_bin: 2, %s}\nengine: {threads: 1%s}\n",
             modes[mode], memory);
    xn_config *c = NULL;
    ck_assert_msg(xn_config_parse(ctx, yaml, "exp.yaml", ".", &c) == XANI_OK, "%s", xani_error_text(ctx));
    return c;
}

// Room for three of eight bins, found by asking the plan: several passes, the bins in a file.
static double small_gib(fake *f, int mode)
{
    xn_config *c = configure(mode, 0);
    xn_reduce_plan plan;
    ck_assert_int_eq(xn_reduce_plan_make(ctx, c, &f->source, &plan), XANI_OK);
    xani_config_destroy(&c);
    int64_t per_bin = (plan.accumulator_bytes - 24 * plan.ny * plan.nx) / 8, frame = 1344;
    int64_t fixed = plan.memory_bytes - 8 * per_bin - 2 * plan.batch_frames * frame;
    return (double)(fixed + 3 * per_bin + 2 * frame + 10) / 0x1p30;
}

static xani_status reduce(const fake *f, int mode, double memory_gib, const xn_reduce_watch *watch, xn_cube *cube)
{
    xn_config *c = configure(mode, memory_gib);
    xn_source s = f->source;
    fake_shots_copy(f, &s.shots);
    xani_status st = xn_reduce_batched(ctx, c, &s, watch, batch, cube);
    xn_shots_free(&s.shots);
    xani_config_destroy(&c);
    return st;
}

static uint64_t mix(uint64_t h, const void *data, size_t bytes)
{
    const uint8_t *b = data;
    for (size_t i = 0; i < bytes; i++) h = (h ^ b[i]) * 1099511628211u;
    return h;
}

static uint64_t hash_cube(const xn_cube *c)
{
    size_t npix = (size_t)(c->ny * c->nx), all = (size_t)c->nbins * npix;
    uint64_t h = 14695981039346656037u;
    const void *arrays[] = {c->on.s1, c->on.s2, c->on.x, c->on.expect, c->on.expect_sq, c->on.cross};
    for (int i = 0; i < 6; i++)
        if (arrays[i] != NULL) h = mix(h, arrays[i], all * 8);
    h = mix(h, c->signal, all * 4);
    h = mix(h, c->errors, all * 4);
    h = mix(h, c->mask, npix * 4);
    h = mix(h, c->peak, npix * 8);
    h = mix(h, c->off.s1, npix * 8);
    h = mix(h, c->off.s2, npix * 8);
    return mix(h, c->off.x, npix * 8);
}

// ---- a process that may die

typedef struct answer {
    int status;    // of xn_reduce; -1: killed
    uint64_t hash; // of the cube
    int64_t reads; // frames
    bool damaged;  // it was said that the saved sums are
} answer;

static int die_at(void *user, const char *operation, const char *path, uint64_t number)
{
    (void)operation;
    (void)path;
    if (number == *(const uint64_t *)user) (void)kill(getpid(), SIGKILL);
    return 0;
}

static answer run_apart(fake *f, int mode, double memory_gib, const char *identity, uint64_t die, int64_t interrupt)
{
    int ends[2];
    answer a = {-1, 0, 0, false};
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        xn_reduce_watch watch = {.place = place, .identity = identity};
        xn_cube c;
        f->interrupt_frame = interrupt;
        atomic_store(&f->reads, 0);
        said.text[0] = '\0';
        if (die > 0) xn_io_set_hook(die_at, &die);
        a.status = (int)reduce(f, mode, memory_gib, &watch, &c);
        if (a.status == XANI_OK) a.hash = hash_cube(&c);
        a.reads = atomic_load(&f->reads);
        a.damaged = strstr(said.text, "damaged") != NULL;
        _exit(write(ends[1], &a, sizeof a) == (ssize_t)sizeof a ? 0 : 1);
    }
    close(ends[1]);
    answer got;
    if (read(ends[0], &got, sizeof got) == (ssize_t)sizeof got) a = got;
    close(ends[0]);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    return a;
}

START_TEST(test_killed_at_every_write)
{
    // Killed before the n-th write, sync or rename, for every n there is, then left to finish: the bits of a run that
    // was left alone. With one off reference and one per block, in one pass and in several.
    fake f;
    fake_make(&f, SHOTS, NULL, NULL, 41);
    int mode = _i % 2;
    double memory_gib = _i < 2 ? 0 : small_gib(&f, mode);
    answer whole = run_apart(&f, mode, memory_gib, "one", 0, -1);
    ck_assert_int_eq(whole.status, XANI_OK);
    xn_reduce_forget(place);
    int64_t least = whole.reads;
    uint64_t n = 0;
    for (bool killed = true; killed;) {
        answer first = run_apart(&f, mode, memory_gib, "one", ++n, -1);
        killed = first.status == -1;
        if (!killed) ck_assert_uint_eq(first.hash, whole.hash);
        answer second = run_apart(&f, mode, memory_gib, "one", 0, -1);
        ck_assert_int_eq(second.status, XANI_OK);
        ck_assert_uint_eq(second.hash, whole.hash);
        ck_assert(!second.damaged);
        least = xn_min64(least, second.reads);
        xn_reduce_forget(place);
    }
    ck_assert_uint_gt(n, 100);
    ck_assert_int_lt(least, whole.reads / 3); // most frames were not read again
    fake_free(&f);
}
END_TEST

START_TEST(test_killed_again_and_again)
{
    // Each process dies at the same write of its own; together they finish, with the bits of one.
    fake f;
    fake_make(&f, SHOTS, NULL, NULL, 42);
    answer whole = run_apart(&f, 0, 0, "one", 0, -1), last = {-1, 0, 0, false};
    xn_reduce_forget(place);
    int deaths = 0;
    for (; last.status == -1; deaths++) {
        ck_assert_int_lt(deaths, 100);
        last = run_apart(&f, 0, 0, "one", 45, -1);
    }
    ck_assert_int_gt(deaths, 3);
    ck_assert_uint_eq(last.hash, whole.hash);
    fake_free(&f);
}
END_TEST

START_TEST(test_interrupted)
{
    // An interruption saves what there is, however long ago the last time was; the next call reads the rest only.
    fake f;
    fake_make(&f, SHOTS, NULL, NULL, 43);
    const int mode = _i % 2;
    if (_i >= 2) f.source.together = 4; // frames are read a batch before they are added
    answer whole = run_apart(&f, mode, 0, "one", 0, -1);
    xn_reduce_forget(place);
    for (int64_t at = 80; at < 80 + BATCH; at++) { // wherever in a batch
        answer first = run_apart(&f, mode, 0, "one", 0, at);
        ck_assert_int_eq(first.status, XANI_INTERRUPTED);
        answer second = run_apart(&f, mode, 0, "one", 0, -1);
        ck_assert_uint_eq(second.hash, whole.hash);
        ck_assert_int_le(first.reads + second.reads, whole.reads + XN_PRESCAN + 2 * BATCH);
        xn_reduce_forget(place);
    }
    answer first, second;
    if (_i < 2) { // all shots of a block in one batch: of that, too, what threads have added is saved
        batch = SHOTS;
        first = run_apart(&f, mode, 0, "one", 0, 80);
        ck_assert_int_eq(first.status, XANI_INTERRUPTED);
        second = run_apart(&f, mode, 0, "one", 0, -1);
        ck_assert_uint_eq(second.hash, whole.hash);
        ck_assert_int_lt(second.reads, whole.reads - 30);
        xn_reduce_forget(place);
        batch = BATCH;
    }
    // another identity, and other shots, begin anew
    (void)run_apart(&f, mode, 0, "one", 0, 80);
    second = run_apart(&f, mode, 0, "two", 0, -1);
    ck_assert_int_eq(second.reads, whole.reads);
    xn_reduce_forget(place);
    (void)run_apart(&f, mode, 0, "one", 0, 80);
    f.source.shots.i0[5] *= 1.1;
    second = run_apart(&f, mode, 0, "one", 0, -1);
    ck_assert_int_eq(second.reads, whole.reads);
    ck_assert_uint_ne(second.hash, whole.hash);
    fake_free(&f);
}
END_TEST

static void flip(const char *path, long at)
{
    FILE *f = fopen(path, "r+b");
    ck_assert_ptr_nonnull(f);
    fseek(f, at, at < 0 ? SEEK_END : SEEK_SET);
    int byte = fgetc(f);
    fseek(f, -1, SEEK_CUR);
    fputc(byte ^ 4, f);
    fclose(f);
}

START_TEST(test_damaged)
{
    // Saved sums that were changed or cut off are noticed: all shots are read again, to the same bits. So are bins of
    // finished passes.
    fake f;
    fake_make(&f, SHOTS, NULL, NULL, 44);
    double memory_gib = _i < 3 ? 0 : small_gib(&f, 0);
    answer whole = run_apart(&f, 0, memory_gib, "one", 0, -1);
    xn_reduce_forget(place);
    int64_t interrupt = 0; // late: with several passes the last frames belong to the last bins
    for (int64_t i = 0; i < SHOTS; i++)
        if (f.source.shots.delay_ps[i] > 2.6) interrupt = i;
    ck_assert_int_eq(run_apart(&f, 0, memory_gib, "one", 0, interrupt).status, XANI_INTERRUPTED);
    if (_i == 0) flip(sums, -1000);
    if (_i == 1) flip(sums, -1);
    if (_i == 2) ck_assert_int_eq(truncate(sums, 5000), 0);
    if (_i == 3) flip(bins, 800);
    answer second = run_apart(&f, 0, memory_gib, "one", 0, -1);
    ck_assert_int_eq(second.status, XANI_OK);
    ck_assert(second.damaged);
    ck_assert_uint_eq(second.hash, whole.hash);
    ck_assert_int_eq(second.reads, whole.reads);
    fake_free(&f);
}
END_TEST

static int full_disk(void *user, const char *operation, const char *path, uint64_t number)
{
    (void)user;
    (void)path;
    (void)number;
    return strcmp(operation, "write") == 0 ? 28 /* ENOSPC */ : 0;
}

START_TEST(test_disk_full)
{
    // A disk that takes no more ends the reduction with the file's name; nothing is left there.
    fake f;
    xn_cube c;
    xn_reduce_watch watch = {.place = place, .identity = "one"};
    fake_make(&f, SHOTS, NULL, NULL, 45);
    xn_io_set_hook(full_disk, NULL);
    ck_assert_int_eq(reduce(&f, 0, 0, &watch, &c), XANI_ERR_OUTPUT);
    xn_io_set_hook(NULL, NULL);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), ".cube.h5.sums: cannot be written: No space left"));
    ck_assert_ptr_null(c.signal);
    fake_free(&f);
}
END_TEST

// ---- snapshots

typedef struct taken {
    const fake *f;
    int mode, n, calls, every;
    int64_t shots;
    xn_cube last;
} taken;

static bool wanted(void *user)
{
    taken *t = user;
    return ++t->calls % t->every == 0;
}

static void keep_rows(xn_shots *s, const xn_shots *of)
{
    int64_t n = 0;
    for (int64_t i = 0, k = 0; i < s->n; i++) {
        if (k < of->n && s->pulse_id[i] == of->pulse_id[k]) {
            k++;
            s->pulse_id[n] = s->pulse_id[i];
            s->frame[n] = s->frame[i];
            s->laser[n] = s->laser[i];
            s->i0[n] = s->i0[i];
            s->delay_ps[n] = s->delay_ps[i];
            s->verdict[n] = XN_CUT_NONE;
            for (int e = 0; e < s->n_extra; e++) s->extra[e][n] = s->extra[e][i];
            n++;
        }
    }
    s->n = n;
}

static xani_status take(xn_ctx *context, void *user, xn_cube *snapshot)
{
    taken *t = user;
    ck_assert_ptr_eq(context, ctx);
    ck_assert_int_gt(snapshot->shots.n, t->shots);
    t->shots = snapshot->shots.n;
    t->n++;
    int64_t n = 0;
    for (int b = 0; b < snapshot->nbins; b++) n += snapshot->on.shots[b];
    n += snapshot->off.shots[0];
    const xn_cutflow *c = &snapshot->cutflow;
    ck_assert_int_eq(c->on_left[c->n - 1] + c->off_left[c->n - 1], n);
    ck_assert_int_eq(c->on_left[0] + c->off_left[0] + c->unknown_left[0], snapshot->shots.n);
    xn_cube_free(&t->last);
    t->last = *snapshot;
    return XANI_OK;
}

START_TEST(test_snapshot)
{
    // Handed out between batches while shots are added: each one is what a reduction of the shots in it gives, and the
    // reduction itself is not changed by it.
    fake f;
    fake_make(&f, SHOTS, NULL, NULL, 46);
    taken t = {.f = &f, .every = 2};
    xn_reduce_watch watch = {.wanted = wanted, .take = take, .user = &t};
    xn_cube plain, watched, part;
    ck_assert_int_eq(reduce(&f, 0, 0, NULL, &plain), XANI_OK);
    ck_assert_msg(reduce(&f, 0, 0, &watch, &watched) == XANI_OK, "%s", xani_error_text(ctx));
    ck_assert_uint_eq(hash_cube(&plain), hash_cube(&watched));
    ck_assert_int_gt(t.n, 2);
    xn_config *c = configure(0, 0);
    xn_source s = f.source;
    fake_shots_copy(&f, &s.shots);
    keep_rows(&s.shots, &t.last.shots);
    ck_assert_int_lt(s.shots.n, SHOTS);
    ck_assert_int_eq(xn_reduce(ctx, c, &s, &part), XANI_OK);
    // merging one cube brings it to the scale of its own shots
    xn_merge *m = NULL;
    xn_cube scaled;
    ck_assert_int_eq(xn_merge_create(ctx, &m), XANI_OK);
    ck_assert_int_eq(xn_merge_add(ctx, m, &t.last, "snapshot"), XANI_OK);
    ck_assert_msg(xn_merge_finish(ctx, m, 1, &scaled) == XANI_OK, "%s", xani_error_text(ctx));
    ck_assert_uint_eq(hash_cube(&scaled), hash_cube(&part));
    xn_merge_destroy(&m);
    xani_config_destroy(&c);
    xn_cube_free(&part);
    xn_cube_free(&scaled);
    xn_cube_free(&plain);
    xn_cube_free(&watched);
    xn_cube_free(&t.last);
    fake_free(&f);
}
END_TEST

START_TEST(test_snapshot_of_blocks)
{
    // With a reference per block of time snapshots are of whole blocks.
    fake f;
    fake_make(&f, SHOTS, NULL, NULL, 47);
    taken t = {.f = &f, .every = 1};
    xn_reduce_watch watch = {.wanted = wanted, .take = take, .user = &t};
    xn_cube watched;
    ck_assert_int_eq(reduce(&f, 1, 0, &watch, &watched), XANI_OK);
    ck_assert_int_eq(t.n, 3); // blocks of 40 shots
    ck_assert_uint_eq(hash_cube(&t.last), hash_cube(&watched));
    xn_cube_free(&watched);
    xn_cube_free(&t.last);
    fake_free(&f);
}
END_TEST

START_TEST(test_memory)
{
    // Every allocation with saving and snapshots fails once: an error of memory, nothing is left.
    fake f;
    fake_make(&f, 60, NULL, NULL, 48);
    no_memory n = NO_MEMORY;
    for (; n.reached; no_memory_next(&n)) {
        taken t = {.f = &f, .every = 3};
        xn_reduce_watch watch = {.place = place, .identity = "one", .wanted = wanted, .take = take, .user = &t};
        xn_config *c = configure(0, 0);
        xn_source s = f.source;
        fake_shots_copy(&f, &s.shots);
        xn_cube cube;
        no_memory_begin(&n);
        xani_status st = xn_reduce_batched(ctx, c, &s, &watch, 20, &cube);
        no_memory_end();
        if (st != XANI_OK) ck_assert(n.reached && st == XANI_ERR_MEMORY);
        xn_clear_error(ctx);
        xn_cube_free(&cube);
        xn_cube_free(&t.last);
        xn_shots_free(&s.shots);
        xani_config_destroy(&c);
        xn_reduce_forget(place);
    }
    ck_assert_uint_gt(n.at, 100);
    fake_free(&f);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, test_killed_at_every_write, 0, 4);
    tcase_add_test(t, test_killed_again_and_again);
    tcase_add_loop_test(t, test_interrupted, 0, 4);
    tcase_add_loop_test(t, test_damaged, 0, 4);
    tcase_add_test(t, test_disk_full);
    tcase_add_test(t, test_snapshot);
    tcase_add_test(t, test_snapshot_of_blocks);
    tcase_add_test(t, test_memory);
}
XN_TEST_MAIN("resume", add)
