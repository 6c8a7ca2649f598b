// SPDX-License-Identifier: BSD-3-Clause
// test_virtual.c -- the mappings of a virtual dataset, followed one by one, give what the library reads from it.
#include "h5write.h"
#include "no_memory.h"

#include "io/index/virtual.h"
#include "io/library.h"

static xn_ctx *ctx;
static char dir[512], path[600];

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(dir, sizeof dir, "%s", xn_test_dir("virtual"));
    snprintf(path, sizeof path, "%s/virtual.h5", dir);
    unsetenv("HDF5_VDS_PREFIX");
}
static void tear_down(void) { xani_destroy(&ctx); }

enum { FILL = -7 };

// A source of numbers that tell which source they are of.
static void make_source(const char *file, const char *name, int rank, const hsize_t *dims, int seed, bool fresh)
{
    size_t n = 1;
    for (int k = 0; k < rank; k++) n *= dims[k];
    int *data = malloc((n + 1) * sizeof *data);
    for (size_t i = 0; i < n; i++) data[i] = seed * 100000 + (int)i;
    char full[700];
    snprintf(full, sizeof full, "%s/%s", dir, file);
    if (fresh) h5_make(full);
    h5_put(full, name, H5T_NATIVE_INT, rank, dims, data);
    free(data);
}

typedef struct {
    hid_t file, created, space;
} maker;

static maker begin(int rank, const hsize_t *dims, const hsize_t *most)
{
    maker m = {H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Pcreate(H5P_DATASET_CREATE),
               H5Screate_simple(rank, dims, most)};
    int fill = FILL;
    H5Pset_fill_value(m.created, H5T_NATIVE_INT, &fill);
    ck_assert(m.file >= 0 && m.created >= 0 && m.space >= 0);
    return m;
}

#define A(...)                                                                                                         \
    (const hsize_t[]) { __VA_ARGS__ }

static hid_t slab(int rank, const hsize_t *dims, const hsize_t *most, const hsize_t *start, const hsize_t *stride,
                  const hsize_t *count, const hsize_t *block)
{
    hid_t s = H5Screate_simple(rank, dims, most);
    ck_assert_int_ge(H5Sselect_hyperslab(s, H5S_SELECT_SET, start, stride, count, block), 0);
    return s;
}

static void map(maker *m, const char *file, const char *name, hid_t to, hid_t from)
{
    ck_assert_int_ge(H5Pset_virtual(m->created, to, file, name, from), 0);
    H5Sclose(to);
    H5Sclose(from);
}

static void end(maker *m)
{
    hid_t d = H5Dcreate2(m->file, "v", H5T_NATIVE_INT, m->space, H5P_DEFAULT, m->created, H5P_DEFAULT);
    ck_assert_int_ge(d, 0);
    H5Dclose(d);
    H5Pclose(m->created);
    H5Sclose(m->space);
    H5Fclose(m->file);
}

static void select_in(hid_t space, const xn_slab *s)
{
    hsize_t start[8], stride[8], count[8], block[8];
    if (s->rank == 0) return;
    for (int k = 0; k < s->rank; k++) {
        start[k] = (hsize_t)s->start[k], stride[k] = (hsize_t)s->stride[k];
        count[k] = (hsize_t)s->count[k], block[k] = (hsize_t)s->block[k];
    }
    ck_assert_int_ge(H5Sselect_hyperslab(space, H5S_SELECT_SET, start, stride, count, block), 0);
}

// What the mappings say, read source by source.
static void follow(const xn_mappings *m, hid_t space, int *data, size_t n)
{
    for (size_t i = 0; i < n; i++) data[i] = FILL;
    for (int64_t i = 0; i < m->n; i++) {
        const xn_mapping *x = &m->list[i];
        ck_assert_msg(!x->irregular, "mapping %d", (int)i);
        if (x->path == NULL) continue;
        hid_t f = H5Fopen(x->path, H5F_ACC_RDONLY, H5P_DEFAULT), d = H5Dopen2(f, x->dataset, H5P_DEFAULT);
        hid_t from = H5Dget_space(d), to = H5Scopy(space);
        select_in(from, &x->from);
        select_in(to, &x->to);
        ck_assert_int_ge(H5Dread(d, H5T_NATIVE_INT, to, from, H5P_DEFAULT, data), 0);
        H5Sclose(from);
        H5Sclose(to);
        H5Dclose(d);
        H5Fclose(f);
    }
}

// The mappings give what the library gives, and `model` where there is one (the library fails where a cut falls into a
// block); returns how many there are.
static int64_t check_with(bool fill, const int *model, size_t n_model)
{
    xn_h5 *file;
    xn_mappings m;
    ck_assert_msg(xn_h5_open(ctx, path, &file) == XANI_OK, "%s", xani_error_text(ctx));
    hid_t d = H5Dopen2(file->id, "v", H5P_DEFAULT), space = H5Dget_space(d);
    xani_status st = xn_virtual_mappings(ctx, file, "v", d, fill, &m);
    ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
    size_t n = (size_t)H5Sget_simple_extent_npoints(space);
    int *theirs = malloc((n + 1) * sizeof(int)), *ours = malloc((n + 1) * sizeof(int));
    if (model) ck_assert_uint_ge(n_model, n);
    xn_hdf_guard guard = xn_hdf_enter();
    bool read = H5Dread(d, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, theirs) >= 0;
    xn_hdf_leave(guard);
    ck_assert(read || model != NULL);
    if (!read && model) memcpy(theirs, model, n * sizeof(int));
    follow(&m, space, ours, n);
    int bad = 0;
    for (size_t i = 0; i < n; i++) bad += ours[i] != theirs[i];
    ck_assert_msg(bad == 0, "%d of %d elements differ", bad, (int)n);
    if (model) ck_assert_mem_eq(ours, model, n * sizeof(int));
    int64_t count = m.n;
    xn_mappings_free(&m);
    free(ours);
    free(theirs);
    H5Sclose(space);
    H5Dclose(d);
    xn_h5_close(&file);
    return count;
}

static int64_t check(bool fill) { return check_with(fill, NULL, 0); }

// The mappings are refused with a text that has `part` in it.
static void refuse(bool fill, const char *part)
{
    xn_h5 *file;
    xn_mappings m;
    ck_assert_int_eq(xn_h5_open(ctx, path, &file), XANI_OK);
    hid_t d = H5Dopen2(file->id, "v", H5P_DEFAULT);
    ck_assert_int_eq(xn_virtual_mappings(ctx, file, "v", d, fill, &m), XANI_ERR_INPUT);
    ck_assert_msg(strstr(xani_error_text(ctx), part) != NULL, "%s", xani_error_text(ctx));
    ck_assert(m.list == NULL && m.n == 0);
    xn_clear_error(ctx);
    H5Dclose(d);
    xn_h5_close(&file);
}

START_TEST(limited)
{
    for (int i = 0; i < 4; i++) {
        char name[32];
        snprintf(name, sizeof name, "s%d.h5", i);
        make_source(name, "a/d", 2, A(5, 6), i, true);
    }
    maker m = begin(2, A(24, 6), NULL);
    for (hsize_t i = 0; i < 4; i++) {
        char name[32];
        snprintf(name, sizeof name, "s%d.h5", (int)i);
        hid_t from = H5Screate_simple(2, A(5, 6), NULL);
        if (i == 1) H5Sselect_hyperslab(from, H5S_SELECT_SET, A(0, 0), A(1, 1), A(5, 6), NULL);
        map(&m, name, "a/d", slab(2, A(24, 6), NULL, A(i, 0), A(4, 1), A(5, 6), A(1, 1)), from);
    }
    end(&m);
    ck_assert_int_eq(check(false), 4);
    ck_assert_int_eq(check(true), 4);
    char gone[700];
    snprintf(gone, sizeof gone, "%s/s2.h5", dir);
    unlink(gone);
    refuse(false, "source s2.h5 of this virtual dataset is missing");
    ck_assert_int_eq(check(true), 4); // one of them without a file
}
END_TEST

// What is unlimited on both sides, strided and in blocks, along different axes, for every length of the source.
START_TEST(unlimited)
{
    static const hsize_t steps[][4] = {{1, 1, 1, 1}, {3, 2, 3, 2}, {5, 2, 3, 3},
                                       {3, 1, 5, 2}, {7, 4, 4, 3}, {2, 2, 3, 1}};
    for (hsize_t length = 0; length < 23; length++) {
        make_source("s.h5", "d", 2, A(length, 3), 1, true);
        make_source("s.h5", "e", 2, A(3, length), 2, false);
        const hsize_t *s = steps[_i % 6];
        bool turned = _i >= 6; // the source grows along its second axis
        const hsize_t most[2] = {H5S_UNLIMITED, 3};
        maker m = begin(2, A(1, 3), most);
        hid_t to = slab(2, A(1, 3), most, A(2, 0), A(s[0], 1), A(H5S_UNLIMITED, 3), A(s[1], 1));
        hid_t from = turned
                         ? slab(2, A(3, 1), A(3, H5S_UNLIMITED), A(0, 1), A(1, s[2]), A(3, H5S_UNLIMITED), A(1, s[3]))
                         : slab(2, A(1, 3), most, A(1, 0), A(s[2], 1), A(H5S_UNLIMITED, 3), A(s[3], 1));
        map(&m, "s.h5", turned ? "e" : "d", to, from);
        end(&m);
        // Slice j of the one side is slice j of the other; only the slowest axis keeps the order of the elements.
        int model[3 * 200];
        for (int i = 0; i < 3 * 200; i++) model[i] = FILL;
        for (hsize_t j = 0;; j++) {
            hsize_t source = !turned + j / s[3] * s[2] + j % s[3], at = 2 + j / s[1] * s[0] + j % s[1];
            if (source >= length) break;
            for (hsize_t c = 0; c < 3; c++) model[3 * at + c] = 100000 + (int)(3 * source + c);
        }
        if (!turned) check_with(false, model, 3 * 200);
        if (turned && length < 2) check(false);
    }
}
END_TEST

START_TEST(series)
{
    const hsize_t most[2] = {H5S_UNLIMITED, 3};
    maker m = begin(2, A(1, 3), most);
    map(&m, "p%b%%_%b.h5", "d%b", slab(2, A(1, 3), most, A(1, 0), A(4, 1), A(H5S_UNLIMITED, 1), A(2, 3)),
        H5Screate_simple(2, A(2, 3), NULL));
    end(&m);
    for (int i = 0; i < 14; i++) {
        char gone[700];
        snprintf(gone, sizeof gone, "%s/p%d%%_%d.h5", dir, i, i);
        unlink(gone);
    }
    refuse(false, "source p0%_0.h5 of this virtual dataset is missing");
    ck_assert_int_eq(check(true), 0);
    for (int i = 0; i < 12; i++) {
        char name[32], dataset[32];
        snprintf(name, sizeof name, "p%d%%_%d.h5", i, i);
        snprintf(dataset, sizeof dataset, "d%d", i);
        make_source(name, dataset, 2, A(2, 3), i, true);
        ck_assert_int_eq(check(false), i + 1);
    }
    make_source("p13%_13.h5", "d13", 2, A(2, 3), 13, true); // 12 is not there
    refuse(false, "p12%_12.h5");
    ck_assert_int_eq(check(true), 12);
    make_source("p12%_12.h5", "other", 2, A(2, 3), 12, true);
    refuse(false, "d12 of this virtual dataset is missing, but");
    make_source("p0%_0.h5", "other", 2, A(2, 3), 0, true);
    refuse(false, "has no d0");
    ck_assert_int_eq(check(true), 0);
}
END_TEST

START_TEST(same_file)
{
    // "." is the file itself; all of it, on both sides.
    maker m = begin(2, A(5, 6), NULL);
    int data[30];
    for (int i = 0; i < 30; i++) data[i] = 700 + i;
    hid_t space = H5Screate_simple(2, A(5, 6), NULL);
    hid_t d = H5Dcreate2(m.file, "real", H5T_NATIVE_INT, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Dwrite(d, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
    H5Dclose(d);
    map(&m, ".", "real", H5Screate_simple(2, A(5, 6), NULL), space);
    end(&m);
    ck_assert_int_eq(check(false), 1);
    // It is found from another folder, too.
    char here[4096], there[700];
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    ck_assert_int_eq(chdir(dir), 0);
    snprintf(there, sizeof there, "%s", path);
    snprintf(path, sizeof path, "%s", strrchr(there, '/') + 1);
    ck_assert_int_eq(check(false), 1);
    ck_assert_int_eq(chdir(here), 0);
}
END_TEST

START_TEST(other_shapes)
{
    // The elements correspond in C order whatever the shapes are; later mappings win; what is empty maps nothing.
    make_source("s.h5", "line", 1, A(60), 1, true);
    make_source("s.h5", "cube", 3, A(3, 4, 5), 2, false);
    maker m = begin(2, A(12, 10), NULL);
    map(&m, "s.h5", "line", slab(2, A(12, 10), NULL, A(0, 0), A(1, 1), A(6, 10), A(1, 1)),
        H5Screate_simple(1, A(60), NULL));
    map(&m, "s.h5", "cube", slab(2, A(12, 10), NULL, A(3, 0), A(2, 2), A(4, 5), A(1, 1)),
        slab(3, A(3, 4, 5), NULL, A(0, 1, 0), A(2, 2, 1), A(2, 2, 5), A(1, 1, 1)));
    hid_t none = H5Screate_simple(2, A(12, 10), NULL), nothing = H5Screate_simple(1, A(60), NULL);
    H5Sselect_none(none);
    H5Sselect_none(nothing);
    map(&m, "s.h5", "line", none, nothing);
    end(&m);
    ck_assert_int_eq(check(false), 2);
    ck_assert_int_eq(check(true), 2);
}
END_TEST

START_TEST(irregular)
{
    make_source("s.h5", "d", 1, A(60), 1, true);
    maker m = begin(2, A(12, 10), NULL);
    hid_t to = slab(2, A(12, 10), NULL, A(0, 0), A(1, 1), A(3, 3), A(1, 1));
    H5Sselect_hyperslab(to, H5S_SELECT_OR, A(7, 5), NULL, A(1, 1), NULL);
    map(&m, "s.h5", "d", to, slab(1, A(60), NULL, A(4), A(1), A(10), A(1)));
    map(&m, "s.h5", "d", slab(2, A(12, 10), NULL, A(10, 0), A(1, 1), A(1, 4), A(1, 1)),
        slab(1, A(60), NULL, A(4), A(2), A(4), A(1)));
    end(&m);
    xn_h5 *file;
    xn_mappings got;
    ck_assert_int_eq(xn_h5_open(ctx, path, &file), XANI_OK);
    hid_t d = H5Dopen2(file->id, "v", H5P_DEFAULT);
    ck_assert_int_eq(xn_virtual_mappings(ctx, file, "v", d, false, &got), XANI_OK);
    ck_assert_int_eq(got.n, 2);
    ck_assert(got.list[0].irregular && got.list[0].path && strcmp(got.list[0].dataset, "d") == 0);
    ck_assert(!got.list[1].irregular && got.list[1].from.stride[0] == 2 && got.list[1].to.block[1] == 4);
    xn_mappings_free(&got);
    H5Dclose(d);
    xn_h5_close(&file);
}
END_TEST

START_TEST(sources_that_do_not_fit)
{
    // A source of another size than was mapped is named; one without the dataset counts as missing.
    make_source("s.h5", "d", 2, A(5, 6), 1, true);
    maker m = begin(2, A(10, 6), NULL);
    map(&m, "s.h5", "d", slab(2, A(10, 6), NULL, A(0, 0), A(1, 1), A(5, 6), A(1, 1)),
        H5Screate_simple(2, A(5, 6), NULL));
    map(&m, "s.h5", "e%%", slab(2, A(10, 6), NULL, A(5, 0), A(1, 1), A(2, 6), A(1, 1)),
        H5Screate_simple(2, A(2, 6), NULL));
    end(&m);
    ck_assert_int_eq(check(true), 2);
    refuse(false, "s.h5 of this virtual dataset has no e%");
    make_source("s.h5", "d", 2, A(5, 7), 1, true);
    make_source("s.h5", "e%", 2, A(2, 6), 1, false);
    refuse(false, "s.h5: d: has not the shape that is mapped");
    make_source("s.h5", "d", 2, A(5, 6), 1, false);
    ck_assert_int_eq(check(false), 2);
    char gone[700];
    snprintf(gone, sizeof gone, "%s/s.h5", dir);
    h5_make(gone);
    FILE *f = fopen(gone, "r+b");
    fputs("no longer", f);
    fclose(f);
    refuse(false, "is not an HDF5 file");
    refuse(true, "is not an HDF5 file");
}
END_TEST

// Reading it whole, as metadata are, says the same as the mappings.
static void read_whole(const char *refused)
{
    xn_h5 *file;
    int64_t *data = NULL, n = 0;
    ck_assert_int_eq(xn_h5_open(ctx, path, &file), XANI_OK);
    xani_status st = xn_h5_read_i64(ctx, file, "v", &data, &n);
    ck_assert_msg((st == XANI_OK) == (refused == NULL), "%s", xani_error_text(ctx));
    if (refused) ck_assert_msg(strstr(xani_error_text(ctx), refused) != NULL, "%s", xani_error_text(ctx));
    xn_clear_error(ctx);
    xn_free(data);
    xn_h5_close(&file);
}

// Two series along one axis, of which one ends early: what it would have given is missing, not the end.
START_TEST(two_series)
{
    const hsize_t most[2] = {H5S_UNLIMITED, 6};
    maker m = begin(2, A(1, 6), most);
    for (hsize_t side = 0; side < 2; side++)
        map(&m, side ? "right%b.h5" : "left%b.h5", "d",
            slab(2, A(1, 6), most, A(side, 3 * side), A(3, 1), A(H5S_UNLIMITED, 1), A(2, 3)),
            H5Screate_simple(2, A(2, 3), NULL));
    end(&m);
    char name[700];
    for (int i = 0; i < 8; i++)
        for (int side = 0; side < 2; side++) {
            snprintf(name, sizeof name, "%s/%s%d.h5", dir, side ? "right" : "left", i);
            unlink(name);
        }
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "left%d.h5", i);
        make_source(name, "d", 2, A(2, 3), i, true);
    }
    refuse(false, "source right0.h5");
    ck_assert_int_eq(check(true), 4);
    make_source("right0.h5", "d", 2, A(2, 3), 5, true);
    refuse(false, "source right1.h5");
    read_whole("source right1.h5");
    ck_assert_int_eq(check(true), 5);
    for (int i = 1; i < 4; i++) {
        snprintf(name, sizeof name, "right%d.h5", i);
        make_source(name, "d", 2, A(2, 3), 5 + i, true);
    }
    ck_assert_int_eq(check(false), 8);
    read_whole(NULL);
}
END_TEST

static void write_long(int n)
{
    make_source("s.h5", "d", 2, A((hsize_t)n, 4), 1, true);
    make_source("t.h5", "d", 2, A((hsize_t)n, 4), 2, true);
    maker m = begin(2, A((hsize_t)n, 4), NULL);
    for (hsize_t i = 0; i < (hsize_t)n; i++) {
        hsize_t j = (i * 7919) % (hsize_t)n;
        map(&m, i % 3 ? "s.h5" : "t.h5", "d", slab(2, A((hsize_t)n, 4), NULL, A(i, 0), A(1, 2), A(1, 2), A(1, 1)),
            slab(2, A((hsize_t)n, 4), NULL, A(j, 1), A(1, 1), A(1, 2), A(1, 1)));
    }
    end(&m);
}

START_TEST(long_list)
{
    write_long(900);
    ck_assert_int_eq(check(false), 900);
}
END_TEST

START_TEST(memory_may_fail)
{
    // Each allocation fails once: out of memory is said and nothing is left, or the list is whole.
    int n = _i ? 300 : 5;
    write_long(n);
    xn_h5 *file;
    xn_mappings got;
    ck_assert_int_eq(xn_h5_open(ctx, path, &file), XANI_OK);
    hid_t d = H5Dopen2(file->id, "v", H5P_DEFAULT);
    uint64_t refused = 0;
    for (no_memory m = NO_MEMORY; m.reached; no_memory_next(&m)) {
        no_memory_begin(&m);
        xani_status st = xn_virtual_mappings(ctx, file, "v", d, false, &got);
        no_memory_end();
        ck_assert_msg(st == XANI_OK || (m.reached && st == XANI_ERR_MEMORY), "%s", xani_error_text(ctx));
        ck_assert_int_eq(got.n, st == XANI_OK ? n : 0);
        refused += st != XANI_OK;
        xn_mappings_free(&got);
        xn_clear_error(ctx);
    }
    ck_assert_uint_gt(refused, 3);
    H5Dclose(d);
    xn_h5_close(&file);
}
END_TEST

static void add_all(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, limited);
    tcase_add_loop_test(t, unlimited, 0, 12);
    tcase_add_test(t, series);
    tcase_add_test(t, same_file);
    tcase_add_test(t, other_shapes);
    tcase_add_test(t, irregular);
    tcase_add_test(t, sources_that_do_not_fit);
    tcase_add_test(t, two_series);
    tcase_add_test(t, long_list);
    tcase_add_loop_test(t, memory_may_fail, 0, 2);
}
XN_TEST_MAIN("virtual", add_all)
