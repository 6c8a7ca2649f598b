// SPDX-License-Identifier: BSD-3-Clause
// test_virtual_list.c -- the stored list of a virtual dataset says what the library says of it, entry by entry.
#include "h5write.h"

#include <fcntl.h>

#include "io/index/lookup3.h"
#include "io/index/virtual_list.h"

static char dir[512], path[600];

static void set_up(void)
{
    snprintf(dir, sizeof dir, "%s", xn_test_dir("virtual-list"));
    snprintf(path, sizeof path, "%s/list.h5", dir);
}

static uint32_t state;
static uint32_t draw(uint32_t below)
{
    state = state * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)state * below) >> 32);
}

enum { SIZE = 60 }; // of each axis of the virtual dataset

// Selects something in `space`, of which the library can tell how many elements it has; unlimited: along that axis.
static void select_some(hid_t space, int rank, int unlimited)
{
    hsize_t start[3], stride[3], count[3], block[3];
    for (int k = 0; k < rank; k++) {
        block[k] = 1 + draw(3);
        stride[k] = block[k] + draw(4);
        count[k] = 1 + draw(5);
        start[k] = draw(20);
        if (k == unlimited) (draw(2) ? count : block)[k] = H5S_UNLIMITED;
        if (block[k] == H5S_UNLIMITED) count[k] = 1;
    }
    ck_assert_int_ge(H5Sselect_hyperslab(space, H5S_SELECT_SET, start, stride, count, block), 0);
    if (unlimited < 0 && draw(5) == 0) { // not regular, most often
        hsize_t more[3], one[3];
        for (int k = 0; k < rank; k++) more[k] = draw(50), one[k] = 1 + draw(3);
        H5Sselect_hyperslab(space, H5S_SELECT_OR, more, NULL, one, NULL);
    }
}

// Makes path with a virtual dataset of n mappings, of which the sources need not exist.
static void make(int n, bool latest, hsize_t user_block, int address_bytes, int rank)
{
    const hsize_t dims[3] = {SIZE, SIZE, SIZE}, most[3] = {H5S_UNLIMITED, H5S_UNLIMITED, H5S_UNLIMITED};
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), created = H5Pcreate(H5P_FILE_CREATE), made;
    if (latest) H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110);
    if (user_block) H5Pset_userblock(created, user_block);
    if (address_bytes) H5Pset_sizes(created, (size_t)address_bytes, (size_t)address_bytes);
    hid_t f = H5Fcreate(path, H5F_ACC_TRUNC, created, access);
    made = H5Pcreate(H5P_DATASET_CREATE);
    ck_assert_int_ge(f, 0);
    for (int i = 0; i < n; i++) {
        hid_t to = H5Screate_simple(rank, dims, most);
        int unlimited = draw(4) == 0 ? (int)draw((uint32_t)rank) : -1;
        char file[64], name[64];
        bool numbered = false;
        select_some(to, rank, unlimited);
        hid_t from;
        if (unlimited >= 0 && draw(2)) { // unlimited on both sides, the same elements along the others
            from = H5Scopy(to);
        } else if (unlimited >= 0) {
            numbered = true;
            hsize_t start[3], stride[3], count[3], block[3], size = 1;
            H5Sget_regular_hyperslab(to, start, stride, count, block);
            for (int k = 0; k < rank; k++)
                size *= k == unlimited ? (count[k] == H5S_UNLIMITED ? block[k] : 0) : count[k] * block[k];
            if (size == 0) { // an unlimited block has no number
                H5Sclose(to);
                continue;
            }
            from = H5Screate_simple(1, &size, NULL);
        } else {
            hsize_t size = (hsize_t)H5Sget_select_npoints(to), offset[1] = {draw(9)};
            hsize_t larger = size + 9;
            from = H5Screate_simple(1, draw(2) ? &size : &larger, NULL);
            if (H5Sget_select_npoints(from) != (hssize_t)size)
                H5Sselect_hyperslab(from, H5S_SELECT_SET, offset, NULL, &size, NULL);
        }
        snprintf(file, sizeof file, numbered ? "s%%b/%u.h5" : draw(9) ? "folder/s%u.h5" : ".", draw(1000));
        snprintf(name, sizeof name, draw(9) ? "entry/data%u" : "d%%%%%u", draw(1000));
        ck_assert_int_ge(H5Pset_virtual(made, to, file, name, from), 0);
        H5Sclose(to);
        H5Sclose(from);
    }
    hid_t space = H5Screate_simple(rank, dims, most), d;
    d = H5Dcreate2(f, "v", H5T_NATIVE_INT, space, H5P_DEFAULT, made, H5P_DEFAULT);
    ck_assert_int_ge(d, 0);
    H5Dclose(d);
    H5Sclose(space);
    H5Pclose(access);
    H5Pclose(created);
    H5Pclose(made);
    H5Fclose(f);
}

static bool same_pick(const xn_pick *a, const xn_pick *b)
{
    if (a->kind != b->kind || a->unlimited != b->unlimited) return false;
    if (a->kind != XN_PICK_SLAB) return true;
    xn_slab x = a->slab, y = b->slab;
    xn_slab_simplify(&x);
    xn_slab_simplify(&y);
    bool same = x.rank == y.rank;
    for (int k = 0; same && k < x.rank; k++)
        same = x.start[k] == y.start[k] && x.count[k] == y.count[k] && x.block[k] == y.block[k] &&
               x.stride[k] == y.stride[k];
    return same;
}

typedef struct {
    hid_t file, dataset, created;
    H5O_info_t info;
    xn_chunk_file f;
} opened;

static opened open_it(hsize_t base)
{
    opened o = {.file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT)};
    o.dataset = H5Dopen2(o.file, "v", H5P_DEFAULT);
    o.created = H5Dget_create_plist(o.dataset);
    ck_assert_int_ge(H5Oget_info2(o.dataset, &o.info, H5O_INFO_BASIC), 0);
    struct stat s;
    o.f = (xn_chunk_file){.fd = open(path, O_RDONLY), .base = (int64_t)base};
    fstat(o.f.fd, &s);
    o.f.bytes = s.st_size;
    return o;
}

static void close_it(opened *o)
{
    close(o->f.fd);
    H5Pclose(o->created);
    H5Dclose(o->dataset);
    H5Fclose(o->file);
}

static const struct {
    int n;
    bool latest;
    hsize_t user_block;
    int address_bytes, rank;
} lists[] = {{1, false, 0, 0, 2},      {1, true, 0, 0, 2},    {40, false, 0, 0, 1},  {40, true, 512, 0, 2},
             {40, true, 0, 4, 3},      {255, false, 0, 0, 2}, {256, false, 0, 0, 2}, {700, true, 0, 0, 2},
             {700, false, 1024, 0, 3}, {3000, true, 0, 0, 2}};

START_TEST(like_the_library)
{
    state = 17 + (uint32_t)_i;
    make(lists[_i].n, lists[_i].latest, lists[_i].user_block, lists[_i].address_bytes, lists[_i].rank);
    opened o = open_it(lists[_i].user_block);
    xn_virtual_list own, theirs = {.created = o.created};
    ck_assert_int_ge(H5Pget_virtual_count(o.created, &theirs.n), 0);
    if (theirs.n == 0) return close_it(&o);
    ck_assert(xn_virtual_list_read(&own, &o.f, o.info.addr));
    ck_assert_uint_eq(own.n, theirs.n);
    int bad = 0, irregular = 0;
    for (size_t i = 0; i < own.n; i++) {
        xn_entry a, b;
        ck_assert(xn_virtual_list_next(&own, &a) && xn_virtual_list_next(&theirs, &b));
        bad += strcmp(a.file, b.file) != 0 || strcmp(a.dataset, b.dataset) != 0;
        bad += !same_pick(&a.to, &b.to) || !same_pick(&a.from, &b.from);
        irregular += a.to.kind == XN_PICK_OTHER;
    }
    ck_assert_int_eq(bad, 0);
    if (own.n > 30) ck_assert(irregular > 0 && irregular < (int)own.n / 2);
    xn_virtual_list_close(&own);
    xn_virtual_list_close(&theirs);
    // The engine's way in: long lists from their bytes, and only then.
    ck_assert(xn_virtual_list_open(&own, path, o.dataset, o.created));
    ck_assert_int_eq(own.bytes != NULL, own.n >= 256);
    xn_virtual_list_close(&own);
    // Another file under that name is not believed.
    ck_assert(xn_virtual_list_open(&own, "/dev/null", o.dataset, o.created));
    ck_assert_ptr_null(own.bytes);
    xn_virtual_list_close(&own);
    close_it(&o);
}
END_TEST

START_TEST(another_list)
{
    // A list that differs from the library's, as an older state of the file would, is not taken.
    state = 3;
    make(300, true, 0, 0, 2);
    char other[700], command[1400];
    snprintf(other, sizeof other, "%s/other.h5", dir);
    snprintf(command, sizeof command, "cp %s %s", path, other);
    ck_assert_int_eq(system(command), 0);
    state = 4;
    make(300, true, 0, 0, 2);
    opened o = open_it(0);
    xn_virtual_list own;
    ck_assert(xn_virtual_list_open(&own, path, o.dataset, o.created) && own.bytes != NULL);
    xn_virtual_list_close(&own);
    ck_assert(xn_virtual_list_open(&own, other, o.dataset, o.created) && own.bytes == NULL);
    xn_virtual_list_close(&own);
    close_it(&o);
}
END_TEST

START_TEST(damaged)
{
    // Any byte changed, any length: refused or the same; what has a checksum that holds may say something else, within
    // its bytes.
    state = 99 + (uint32_t)_i;
    make(12, _i % 2, 0, 0, 2);
    opened o = open_it(0);
    xn_virtual_list own;
    ck_assert(xn_virtual_list_read(&own, &o.f, o.info.addr));
    size_t n = own.size;
    uint8_t *good = malloc(n), *file = malloc((size_t)o.f.bytes);
    memcpy(good, own.bytes, n);
    xn_virtual_list_close(&own);
    ck_assert_int_eq(pread(o.f.fd, file, (size_t)o.f.bytes, 0), o.f.bytes);
    xn_chunk_file f = {.fd = -1, .bytes = o.f.bytes, .memory = file};
    int64_t refused = 0, wrong = 0;
    for (int64_t at = 0; at < f.bytes; at++) {
        file[at] ^= (uint8_t)(1 + at % 255);
        if (!xn_virtual_list_read(&own, &f, o.info.addr)) {
            refused++;
        } else {
            wrong += own.size != n || memcmp(own.bytes, good, n) != 0;
            xn_virtual_list_close(&own);
        }
        file[at] ^= (uint8_t)(1 + at % 255);
    }
    ck_assert_int_gt(refused, (int64_t)n);
    ck_assert_int_eq(wrong, 0);
    int64_t parsed = 0;
    for (int round = 0; round < 20000; round++) {
        size_t length = round < (int)n ? (size_t)round : n;
        uint8_t *bytes = xn_alloc(length + (length == 0), 1);
        memcpy(bytes, good, length);
        for (int hits = 0; round >= (int)n && hits < 3; hits++) bytes[draw((uint32_t)length)] = (uint8_t)draw(256);
        if (!xn_virtual_list_parse(&own, bytes, length, round % 9 ? 8 : 4)) continue;
        parsed++;
        xn_entry e;
        for (size_t i = 0; i < own.n; i++) ck_assert(xn_virtual_list_next(&own, &e));
        ck_assert(!xn_virtual_list_next(&own, &e));
        xn_virtual_list_close(&own);
    }
    ck_assert_int_gt(parsed, 10);
    free(good);
    free(file);
    close_it(&o);
}
END_TEST

START_TEST(names)
{
    static const struct {
        const char *stored;
        int64_t block;
        const char *name;
        bool numbered;
    } cases[] = {
        {"a.h5", 7, "a.h5", false},       {"a%b.h5", 0, "a0.h5", true}, {"a%b.h5", 1234567, "a1234567.h5", true},
        {"%b", 12, "12", true},           {"%%b", 3, "%b", false},      {"%%%b%%", 3, "%3%", true},
        {"%b%b/%b", 45, "4545/45", true}, {"100%%", 1, "100%", false},  {"", 1, "", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *name = xn_virtual_name(cases[i].stored, cases[i].block);
        ck_assert_str_eq(name, cases[i].name);
        ck_assert_int_eq(xn_virtual_numbered(cases[i].stored), cases[i].numbered);
        xn_free(name);
    }
}
END_TEST

static void put_file(const char *name)
{
    FILE *f = fopen(name, "wb");
    ck_assert_ptr_nonnull(f);
    fclose(f);
}

// NULL: nothing is found.
static void finds(const char *holder, const char *name, const char *expected)
{
    char *found = xn_virtual_find(holder, name);
    if (expected == NULL)
        ck_assert_msg(found == NULL, "%s", found ? found : "");
    else
        ck_assert_msg(found && strcmp(found, expected) == 0, "%s instead of %s", found ? found : "nothing", expected);
    xn_free(found);
}

START_TEST(places)
{
    // Where the library looks, in its order: nearer places hide later ones.
    ck_assert_int_eq(chdir(dir), 0);
    ck_assert_int_eq(system("rm -rf p && mkdir -p p/a p/b p/c p/real"), 0);
    ck_assert_int_eq(chdir("p"), 0);
    char here[4096], full[4200], holder[4200];
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    put_file("a/v.h5");
    finds("a/v.h5", ".", "a/v.h5");
    finds("a/v.h5", "s.h5", NULL);
    put_file("real/s.h5");
    put_file("real/w.h5");
    ck_assert_int_eq(symlink("../real/w.h5", "a/w.h5"), 0);
    snprintf(full, sizeof full, "%s/real/s.h5", here);
    finds("a/w.h5", "s.h5", full); // where the holder really lies
    finds("a/w.h5", full, full);
    put_file("s.h5");
    finds("a/w.h5", "s.h5", "s.h5"); // the working folder
    put_file("a/s.h5");
    finds("a/w.h5", "s.h5", "a/s.h5"); // the folder of the holder
    finds("a/w.h5", "/nowhere/at/all/s.h5", "a/s.h5");
    snprintf(holder, sizeof holder, "%s/a/w.h5", here);
    snprintf(full, sizeof full, "%s/a/s.h5", here);
    finds(holder, "s.h5", full);
    setenv("HDF5_VDS_PREFIX", "${ORIGIN}/../b", 1);
    finds("a/w.h5", "s.h5", "a/s.h5");
    put_file("b/s.h5");
    finds("a/w.h5", "s.h5", "a/../b/s.h5");
    finds("v.h5", "s.h5", "s.h5"); // ./../b is not there
    setenv("HDF5_VDS_PREFIX", "${ORIGIN}/b", 1);
    finds("v.h5", "s.h5", "./b/s.h5");
    setenv("HDF5_VDS_PREFIX", "c::b/", 1); // several
    finds("a/w.h5", "s.h5", "b/s.h5");
    put_file("c/s.h5");
    finds("a/w.h5", "s.h5", "c/s.h5");
    snprintf(full, sizeof full, "%s/real/s.h5", here);
    finds("a/w.h5", full, full); // an absolute name comes first
    setenv("HDF5_VDS_PREFIX", "", 1);
    finds("a/w.h5", "s.h5", "a/s.h5");
    setenv("HDF5_VDS_PREFIX", ".", 1);
    finds("a/w.h5", "s.h5", "./s.h5");
    unsetenv("HDF5_VDS_PREFIX");
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, NULL);
    tcase_add_loop_test(t, like_the_library, 0, (int)(sizeof lists / sizeof lists[0]));
    tcase_add_test(t, another_list);
    tcase_add_loop_test(t, damaged, 0, 2);
    tcase_add_test(t, names);
    tcase_add_test(t, places);
}
XN_TEST_MAIN("virtual list", add)
