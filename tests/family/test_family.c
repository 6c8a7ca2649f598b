// SPDX-License-Identifier: BSD-3-Clause
// test_family.c -- every dataset of a generated family of more than two thousand reads as the library reads it.
//
// One test per group, which makes its file, compares and removes it.  XANI_FAMILY_SEED=n makes another family.
#include <dirent.h>

#include "family.h"

enum { LEAST = 2000 };

static xn_ctx *ctx;
static char folder[600], counts[600];

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    snprintf(counts, sizeof counts, "%s/counts", xn_test_dir("family"));
}
static void tear_down(void) { xani_destroy(&ctx); }

static void empty(const char *path)
{
    char name[900];
    DIR *d = opendir(path);
    if (d == NULL) return;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        if (e->d_name[0] != '.') unlink(name);
    }
    closedir(d);
    rmdir(path);
}

static void describe(const family_case *c, char text[512])
{
    int n = snprintf(text, 512, "%s (%s; dims", c->name, c->type->name);
    for (int k = 0; k < c->rank; k++) n += snprintf(text + n, 512 - (size_t)n, " %d", (int)c->dims[k]);
    if (memcmp(c->dims, c->grown, sizeof c->dims) != 0) {
        n += snprintf(text + n, 512 - (size_t)n, " then");
        for (int k = 0; k < c->rank; k++) n += snprintf(text + n, 512 - (size_t)n, " %d", (int)c->grown[k]);
    }
    n += snprintf(text + n, 512 - (size_t)n, "; most");
    for (int k = 0; k < c->rank; k++) n += snprintf(text + n, 512 - (size_t)n, " %d", (int)c->most[k]);
    n += snprintf(text + n, 512 - (size_t)n, "; chunk");
    for (int k = 0; k < c->rank; k++) n += snprintf(text + n, 512 - (size_t)n, " %d", (int)c->chunk[k]);
    snprintf(text + n, 512 - (size_t)n, "; missing %d, fill %d, early %d, masks %d, bare edges %d)", c->missing,
             c->fill, c->early, c->masks, c->bare_edges);
}

static int fail_one(const family_group *g, const family_case *c, const char *why)
{
    char text[512];
    describe(c, text);
    fprintf(stderr, "group %d (%s): %s: %s\n", g->number, g->name, text, why);
    return 1;
}

// Writes and compares the group's own cases. Returns how many datasets there were.
static int own_cases(const family_group *g, hid_t file, const char *path, int *failures)
{
    void *truth[128];
    bool made[128];
    int n = 0;
    ck_assert_int_le(g->cases, 128);
    for (int i = 0; i < g->cases; i++) {
        family_case c;
        family_case_make(g, i, &c);
        n += made[i] = family_write(file, folder, &c, &truth[i]);
    }
    H5Fclose(file);
    for (int i = 0; i < g->cases; i++) {
        family_case c;
        char why[512];
        family_case_make(g, i, &c);
        family_reading reading = {path, c.name, truth[i], true, false, false, c.seed};
        if (!made[i]) continue;
        if (!family_compare(ctx, &reading, why)) *failures += fail_one(g, &c, why);
        free(truth[i]);
    }
    return n;
}

static int virtual_cases(const family_group *g, hid_t file, const char *path, int *failures)
{
    uint64_t seed = family_seed() << 32 | (uint64_t)g->number;
    int n = family_write_virtual(file, folder, g, seed);
    H5Fclose(file);
    for (int i = 0; i < n; i++) {
        char why[512], name[16];
        snprintf(name, sizeof name, "v%03d", i);
        family_reading reading = {path, name, NULL, true, true, i % 15 == 3, seed + (uint64_t)i};
        if (family_compare(ctx, &reading, why)) continue;
        fprintf(stderr, "group %d (%s): %s: %s\n", g->number, g->name, name, why);
        ++*failures;
    }
    return n;
}

START_TEST(test_group)
{
    family_group g = family_group_at(_i);
    char path[700];
    int failures = 0;
    if (g.chain && !family_chain_works(g.chain)) {
        snprintf(path, sizeof path, "no plugin for %s: %d datasets", g.chain->name, g.cases);
        xn_skip(path);
        return;
    }
    snprintf(folder, sizeof folder, "scratch-family/%03d", _i);
    empty(folder); // of a run that failed
    mkdir(folder, 0777);
    snprintf(path, sizeof path, "%s/family.h5", folder);
    hid_t file = family_file(path, g.latest, g.user_block);
    ck_assert_int_ge(file, 0);
    int n = g.cases ? own_cases(&g, file, path, &failures) : virtual_cases(&g, file, path, &failures);
    FILE *f = fopen(counts, "a");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "%d %s\n", n, g.name);
    fclose(f);
    ck_assert_msg(failures == 0, "%s: %d of %d datasets differ", g.name, failures, n);
    empty(folder);
}
END_TEST

START_TEST(test_nothing_before) { unlink(counts); }
END_TEST

START_TEST(test_count)
{
    int n, sum = 0, groups = 0;
    FILE *f = fopen(counts, "r");
    ck_assert_ptr_nonnull(f);
    for (char rest[256]; fscanf(f, "%d%255[^\n]", &n, rest) == 2; groups++) sum += n;
    fclose(f);
    fprintf(stderr, "%d datasets in %d groups\n", sum, groups);
    if (groups < family_groups()) {
        xn_skip("the whole family: some of its groups did not run");
        return;
    }
    ck_assert_int_ge(sum, LEAST);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_nothing_before);
    tcase_add_loop_test(t, test_group, 0, family_groups());
    tcase_add_test(t, test_count);
}
XN_TEST_MAIN("family of datasets", add)
