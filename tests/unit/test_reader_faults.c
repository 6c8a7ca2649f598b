// SPDX-License-Identifier: BSD-3-Clause
// test_reader_faults.c -- whatever fails while reading: the right bytes or an error that says it, never wrong bytes.
#include "no_memory.h"
#include "reader_common.h"

#include <errno.h>
#include <fcntl.h>

enum { BYTES = 700001, READS = 40, LARGEST = 60000 };

static xn_ctx *ctx;
static xn_file *file;
static const char *path;

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    path = reader_file("reader-faults", 0, BYTES);
    ck_assert_int_eq(xn_file_open(ctx, path, &file), XANI_OK);
}

static void tear_down(void)
{
    xn_read_set_hook(NULL, NULL);
    xn_mem_set_hook(NULL, NULL);
    xn_file_close(&file);
    xani_destroy(&ctx);
}

// What READS reads of all kinds came to.
typedef struct {
    int right, errors, wrong;
    int error; // the last one
} outcome;

static outcome read_all(const xn_reader_ops *ops)
{
    static uint8_t place[READS][LARGEST + 64] __attribute__((aligned(4096)));
    outcome o = {0};
    xn_read reads[READS] = {0};
    xn_reader *r = ops->open(4, LARGEST / 2);
    if (r == NULL) return (outcome){.errors = READS, .error = ENOMEM};
    for (int sent = 0, got = 0; got < READS; got++) {
        for (; sent < READS; sent++) {
            xn_read *read = &reads[sent];
            *read = (xn_read){.file = file, .bytes = (size_t)(sent * 7919) % LARGEST + 1};
            read->offset = (int64_t)sent * 104729 % (BYTES - LARGEST);
            if (sent % 4 == 0) read->offset = BYTES - (int64_t)read->bytes;
            if (sent % 4 == 1)
                read->offset = read->offset / 4096 * 4096, read->bytes = read->bytes / 4096 * 4096 + 4096;
            if (sent % 3) memset(read->dst = place[sent], 0x5a, read->bytes);
            if (!ops->submit(r, read)) break;
        }
        xn_read *read = ops->next(r);
        ck_assert_ptr_nonnull(read);
        if (read->error != 0) {
            ck_assert_ptr_null(read->data);
            o.errors++, o.error = read->error;
        } else if (reader_right(0, read->offset, read->data, read->bytes))
            o.right++;
        else
            o.wrong++;
        ops->release(r, read);
    }
    ck_assert_ptr_null(ops->next(r));
    ops->close(r);
    return o;
}

typedef struct {
    const char *call; // NULL: any
    int error;
    int first, every, calls; // fails at call number `first`, and at each `every`-th after it (0: never again)
    void (*act)(void);       // instead of failing
} plan;

static int inject(void *user, const char *call, const char *name, int64_t offset, size_t bytes)
{
    (void)name, (void)offset, (void)bytes;
    plan *p = user;
    if (p->call && strcmp(p->call, call) != 0) return 0;
    int n = p->calls++ - p->first;
    if (n < 0 || (n > 0 && (p->every == 0 || n % p->every))) return 0;
    if (p->act == NULL) return p->error;
    p->act();
    return 0;
}

static outcome read_with(const xn_reader_ops *ops, plan *p)
{
    xn_read_set_hook(inject, p);
    outcome o = read_all(ops);
    xn_read_set_hook(NULL, NULL);
    ck_assert_msg(o.wrong == 0, "%s: error %d at call %d: %d wrong", ops->name, p->error, p->first, o.wrong);
    ck_assert_int_eq(o.right + o.errors, READS);
    return o;
}

START_TEST(test_passing_faults)
{
    // Interrupted, refused for a moment, cut short: all reads are right in the end.
    static const int errors[] = {EINTR, EAGAIN, XN_READ_SHORT};
    int i = 0;
    for (const xn_reader_ops *ops; (ops = reader_working(&i)) != NULL;)
        for (int e = 0; e < 3; e++)
            for (int every = 2; every < 5; every++) {
                plan p = {.error = errors[e], .every = every};
                outcome o = read_with(ops, &p);
                ck_assert_msg(o.right == READS, "%s, error %d: %s", ops->name, errors[e], xn_read_why(o.error));
                ck_assert_int_gt(p.calls, READS / 2); // the hook was there
            }
}
END_TEST

START_TEST(test_lasting_faults)
{
    // What fails for good, at any call, is the error of that read; the others are right.
    static const int errors[] = {EIO, ENOSPC, ESTALE, ENOMEM, EPERM, EMFILE};
    int i = 0;
    for (const xn_reader_ops *ops; (ops = reader_working(&i)) != NULL;)
        for (int e = 0; e < 6; e++) {
            plan once = {.error = errors[e], .first = 0}, all = {.error = errors[e], .every = 1};
            for (int calls = 1; once.first < calls; once.first++, calls = once.calls, once.calls = 0) {
                outcome o = read_with(ops, &once);
                if (once.calls <= once.first) break;
                ck_assert_int_le(o.errors, 4); // those under way, where the ring is lost; else one
                if (o.errors) ck_assert_int_eq(o.error, errors[e]);
            }
            outcome o = read_with(ops, &all);
            bool in_place = strcmp(ops->name, "mmap") == 0; // after the first call the file is mapped
            ck_assert_msg(o.right == 0 || in_place, "%s, error %d", ops->name, errors[e]);
            ck_assert_int_eq(o.error, errors[e]);
        }
}
END_TEST

START_TEST(test_eagain_for_ever)
{
    // A system that is never ready ends in an error, not in waiting for ever.
    plan p = {.error = EAGAIN, .every = 1};
    uint8_t byte;
    xn_read_set_hook(inject, &p);
    ck_assert_int_eq(xn_file_read(file, 0, &byte, 1), EAGAIN);
    ck_assert_int_gt(p.calls, 100);
}
END_TEST

static void cut(void) { ck_assert_int_eq(truncate(path, BYTES / 3), 0); }

static void replace(void)
{
    char other[600];
    snprintf(other, sizeof other, "%s", reader_file("reader-faults", 1, BYTES));
    ck_assert_int_eq(rename(other, path), 0);
}

// As set_up made it, opened anew.
static void fresh(void)
{
    xn_file_close(&file);
    path = reader_file("reader-faults", 0, BYTES);
    ck_assert_int_eq(xn_file_open(ctx, path, &file), XANI_OK);
}

START_TEST(test_shrinking)
{
    // A file that is cut while it is read: what lies behind the cut is an error that says so.
    int i = 0;
    for (const xn_reader_ops *ops; (ops = reader_working(&i)) != NULL;)
        for (int at = 0; at < 30; at += 3) {
            fresh();
            plan p = {.first = at, .act = cut};
            outcome o = read_with(ops, &p);
            ck_assert_int_gt(o.errors, 0);
            ck_assert_int_eq(o.error, XN_READ_CHANGED);
            ck_assert_int_eq(xn_file_check(file), XN_READ_CHANGED);
        }
}
END_TEST

START_TEST(test_replaced)
{
    // A file that is replaced while it is read: bytes of the one that was opened, or an error.
    int i = 0;
    for (const xn_reader_ops *ops; (ops = reader_working(&i)) != NULL;)
        for (int at = 0; at < 30; at += 3) {
            fresh();
            plan p = {.first = at, .act = replace};
            outcome o = read_with(ops, &p);
            if (o.errors) ck_assert_int_eq(o.error, XN_READ_CHANGED);
            ck_assert_int_eq(xn_file_check(file), XN_READ_CHANGED);
        }
}
END_TEST

START_TEST(test_no_descriptors)
{
    // Without a descriptor left for the file, or for direct reads of it, all reads say so.
    int i = 0;
    for (const xn_reader_ops *ops; (ops = reader_working(&i)) != NULL;)
        for (int k = 0; k < 2; k++) {
            fresh();
            plan gone = {.call = "open", .error = EMFILE, .every = 1}, p = {.error = EMFILE, .every = 1};
            xn_file *none;
            xn_read_set_hook(inject, &gone); // takes the descriptors of all files
            ck_assert_int_eq(xn_file_open(ctx, "any", &none), XANI_ERR_INPUT);
            xn_clear_error(ctx);
            p.call = k ? "open_direct" : "open";
            outcome o = read_with(ops, &p);
            bool needed = k == (strcmp(ops->name, "uring") == 0);
            ck_assert_int_eq(o.errors, needed ? READS : 0);
            if (needed) ck_assert_int_eq(o.error, EMFILE);
        }
}
END_TEST

START_TEST(test_no_direct_reads)
{
    // A file that refuses direct reads, when it is opened or when it is read, is read through the page cache; a ring
    // that cannot be made is done without.
    const xn_reader_ops *ops = xn_reader_named("uring");
    char why[160];
    if (!ops->works(why)) {
        xn_skip(why);
        return;
    }
    static const char *const calls[] = {"open_direct", "uring", "uring_setup"};
    static const int errors[] = {EINVAL, ENOTSUP};
    for (int c = 0; c < 3; c++)
        for (int e = 0; e < 2; e++) {
            fresh();
            plan p = {.call = calls[c], .error = errors[e], .every = c == 1 ? 0 : 1};
            outcome o = read_with(ops, &p);
            ck_assert_msg(o.right == READS, "%s: %s", calls[c], xn_read_why(o.error));
            ck_assert_int_gt(p.calls, 0);
        }
}
END_TEST

START_TEST(test_ring_lost)
{
    // A ring that stops answering: reads that it had fail with the reason, those before and after it are right.
    const xn_reader_ops *ops = xn_reader_named("uring");
    char why[160];
    if (!ops->works(why)) {
        xn_skip(why);
        return;
    }
    for (int at = 0; at < 12; at += 3) {
        plan p = {.call = "uring_wait", .error = EBADF, .first = at};
        outcome o = read_with(ops, &p);
        ck_assert_int_gt(o.right, READS - 5);
        ck_assert_int_gt(o.errors, 0);
        ck_assert_int_eq(o.error, EBADF);
    }
}
END_TEST

START_TEST(test_works)
{
    // Where io_uring is not to be had, its reader says why.
    const xn_reader_ops *ops = xn_reader_named("uring");
    char why[160] = "";
    bool here = ops->works(why);
    ck_assert_int_eq(here, why[0] == '\0');
    static const int errors[] = {ENOSYS, EPERM, ENOMEM, EMFILE};
    static const char *const words[] = {"kernel", "forbidden", "memory", "open files"};
    for (int e = 0; here && e < 4; e++) {
        plan p = {.call = "uring_setup", .error = errors[e], .every = 1};
        xn_read_set_hook(inject, &p);
        ck_assert(!ops->works(why));
        ck_assert_ptr_nonnull(strstr(why, words[e]));
        xn_read_set_hook(NULL, NULL);
    }
}
END_TEST

START_TEST(test_no_memory)
{
    // Each allocation that fails ends in an error, and nothing is lost.
    int i = 0;
    for (const xn_reader_ops *ops; (ops = reader_working(&i)) != NULL;) {
        int failed = 0;
        for (no_memory n = NO_MEMORY; n.reached; no_memory_next(&n)) {
            no_memory_begin(&n);
            outcome o = read_all(ops);
            no_memory_end();
            ck_assert_int_eq(o.wrong, 0);
            if (o.errors) ck_assert_int_eq(o.error, ENOMEM);
            failed += o.errors > 0;
        }
        ck_assert_int_ge(failed, 3);
    }
    for (no_memory n = NO_MEMORY; n.at < 2; n.at++) {
        xn_file *f;
        no_memory_begin(&n);
        ck_assert_int_eq(xn_file_open(ctx, path, &f), XANI_ERR_MEMORY);
        no_memory_end();
        ck_assert_ptr_null(f);
        xn_clear_error(ctx);
    }
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_passing_faults);
    tcase_add_test(t, test_lasting_faults);
    tcase_add_test(t, test_eagain_for_ever);
    tcase_add_test(t, test_shrinking);
    tcase_add_test(t, test_replaced);
    tcase_add_test(t, test_no_descriptors);
    tcase_add_test(t, test_no_direct_reads);
    tcase_add_test(t, test_ring_lost);
    tcase_add_test(t, test_works);
    tcase_add_test(t, test_no_memory);
}
XN_TEST_MAIN("reader faults", add)
