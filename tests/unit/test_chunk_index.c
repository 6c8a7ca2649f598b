// SPDX-License-Identifier: BSD-3-Clause
// test_chunk_index.c -- our own walk finds every chunk the library wrote, whatever the index, or gives up.
#include "chunk_file.h"

#include "io/index/chunk_index_cache.h"
#include "io/index/lookup3.h"

static xn_ctx *ctx;
static char dir[512], path[600];

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(dir, sizeof dir, "%s", xn_test_dir("chunks"));
    snprintf(path, sizeof path, "%s/chunks.h5", dir);
}
static void tear_down(void)
{
    xani_destroy(&ctx);
    xn_chunk_cache_set_limit(-1);
    xn_chunk_set_iterate(NULL);
}

// Opens `path` and makes the map of its dataset as the engine does.
static xani_status make_map(hsize_t base, xn_chunk_map *m)
{
    xn_h5 *file;
    xn_hdf_guard guard = xn_hdf_enter();
    ck_assert_msg(xn_h5_open(ctx, path, &file) == XANI_OK, "%s", xani_error_text(ctx));
    hid_t d;
    ck_assert_msg(xn_h5_dataset(ctx, file, "v", &d) == XANI_OK, "%s", xani_error_text(ctx));
    int fd = open(path, O_RDONLY);
    xn_chunk_file f = {fd, (int64_t)base, file->bytes, NULL};
    xani_status st = xn_chunk_map_make(ctx, file, "v", d, &f, m);
    close(fd);
    H5Dclose(d);
    xn_h5_close(&file);
    xn_hdf_leave(guard);
    return st;
}

static void check_map(const chunk_kind *k, const xn_chunk_map *m)
{
    int64_t grid[5], n = chunk_grid(k, grid), bad = 0, first = -1;
    ck_assert_ptr_nonnull(m->table);
    ck_assert_int_eq(m->n, n);
    int fd = open(path, O_RDONLY);
    for (int64_t i = 0; i < n; i++)
        if (!chunk_right(k, m, i, fd) && bad++ == 0) first = i;
    close(fd);
    ck_assert_msg(bad == 0, "%d of %d chunks are wrong, the first is %d", (int)bad, (int)n, (int)first);
}

static void check(const chunk_kind *k)
{
    xn_chunk_map m;
    ck_assert_msg(make_map(k->user_block, &m) == XANI_OK, "%s", xani_error_text(ctx));
    check_map(k, &m);
    ck_assert(m.walked);
    xn_chunk_map_free(&m);
}

static const chunk_kind kinds[] = {
    {.rank = 1, .dims = {5}, .chunk = {5}, .percent = 100},                 // one chunk
    {.rank = 1, .dims = {5}, .chunk = {5}, .percent = 100, .latest = true}, // single
    {.rank = 2, .dims = {5, 4}, .chunk = {5, 4}, .percent = 100, .latest = true, .filtered = true},
    {.rank = 2, .dims = {9, 4}, .chunk = {2, 3}, .percent = 0}, // nothing written
    {.rank = 2, .dims = {9, 4}, .chunk = {2, 3}, .percent = 0, .latest = true},
    {.rank = 2, .dims = {9, 4}, .chunk = {2, 3}, .percent = 0, .latest = true, .unlimited = 1},
    {.rank = 2, .dims = {9, 4}, .chunk = {2, 3}, .percent = 0, .latest = true, .unlimited = 3},
    {.rank = 3, .dims = {7, 9, 5}, .chunk = {2, 3, 2}, .percent = 50, .latest = true, .early = true}, // implicit
    {.rank = 2, .dims = {7, 9}, .chunk = {2, 3}, .most = {20, 30}, .percent = 80, .latest = true, .early = true},
    {.rank = 2, .dims = {7, 9}, .chunk = {2, 3}, .most = {20, 30}, .percent = 80, .latest = true},
    {.rank = 2, .dims = {7, 9}, .chunk = {2, 3}, .most = {20, 30}, .percent = 80, .latest = true, .unlimited = 2},
    {.rank = 2, .dims = {7, 9}, .chunk = {2, 4}, .percent = 90, .latest = true, .filtered = true, .plain_edges = true},
    {.rank = 2, .dims = {7, 9}, .chunk = {2, 4}, .percent = 90, .filtered = true, .plain_edges = true},
    // long ones: deep trees, pages, secondary blocks
    {.rank = 1, .dims = {9001}, .chunk = {1}, .percent = 100},
    {.rank = 3, .dims = {30, 200, 2}, .chunk = {1, 1, 1}, .percent = 61, .filtered = true},
    {.rank = 1, .dims = {70001}, .chunk = {1}, .percent = 7, .latest = true},
    {.rank = 2, .dims = {99, 70}, .chunk = {1, 1}, .percent = 100, .latest = true, .filtered = true},
    {.rank = 1, .dims = {300001}, .chunk = {1}, .percent = 1, .latest = true, .unlimited = 1},
    {.rank = 2, .dims = {500, 501}, .chunk = {1, 1}, .percent = 10, .latest = true, .unlimited = 2},
    {.rank = 1, .dims = {40000}, .chunk = {1}, .percent = 100, .latest = true, .unlimited = 1, .filtered = true},
    {.rank = 2, .dims = {150, 150}, .chunk = {1, 1}, .percent = 100, .latest = true, .unlimited = 3},
    {.rank = 3,
     .dims = {150, 3, 50},
     .chunk = {1, 1, 1},
     .percent = 77,
     .latest = true,
     .unlimited = 5,
     .filtered = true},
    // narrow addresses
    {.rank = 2, .dims = {40, 40}, .chunk = {2, 3}, .percent = 80, .address_bytes = 4},
    {.rank = 2, .dims = {12, 9}, .chunk = {2, 3}, .percent = 80, .address_bytes = 2},
    {.rank = 2, .dims = {40, 40}, .chunk = {2, 3}, .percent = 80, .address_bytes = 4, .latest = true, .filtered = true},
    {.rank = 2, .dims = {40, 40}, .chunk = {2, 3}, .percent = 80, .address_bytes = 4, .latest = true, .unlimited = 3},
    {.rank = 2, .dims = {9, 9}, .chunk = {2, 3}, .percent = 80, .address_bytes = 2, .latest = true, .user_block = 1024},
};

START_TEST(every_kind)
{
    chunk_file_write(path, &kinds[_i]);
    check(&kinds[_i]);
}
END_TEST

// A kind of which every property is drawn.
static chunk_kind draw(uint32_t seed)
{
    chunk_random_state = seed * 7919 + 5;
    chunk_kind k = {.latest = chunk_random(3) > 0, .filtered = chunk_random(2), .rank = 1 + (int)chunk_random(5)};
    k.unlimited = chunk_random(2) ? chunk_random(1u << k.rank) : 0;
    k.early = !k.filtered && chunk_random(4) == 0;
    k.plain_edges = k.filtered && chunk_random(4) == 0;
    k.user_block = chunk_random(3) == 0 ? 512u << chunk_random(3) : 0;
    // The library does not know its own unlimited axes again where lengths are narrow.
    bool known = (!k.latest && !k.plain_edges) || __builtin_popcount(k.unlimited) != 1;
    k.address_bytes = known && chunk_random(4) == 0 ? 4 : 0;
    k.percent = (int)chunk_random(5) * 25;
    int64_t room = 600;
    for (int i = 0; i < k.rank; i++) {
        uint32_t grid = 1 + chunk_random((uint32_t)(room > 40 && chunk_random(3) ? 40 : room));
        k.chunk[i] = 1 + chunk_random(4);
        k.dims[i] = (grid - 1) * k.chunk[i] + 1 + chunk_random((uint32_t)k.chunk[i]);
        if (grid == 1) k.dims[i] = k.chunk[i]; // no chunk is larger than its dataset may be
        if (chunk_random(3) == 0) k.most[i] = k.dims[i] + chunk_random(40);
        room = room / grid + 1;
    }
    return k;
}

START_TEST(random_kinds)
{
    for (uint32_t seed = 0; seed < 40; seed++) {
        chunk_kind k = draw((uint32_t)_i * 40 + seed);
        chunk_file_write(path, &k);
        check(&k);
    }
}
END_TEST

START_TEST(grown_and_shrunk)
{
    // A dataset whose extent changes has the index of its present extent.
    for (unsigned form = 0; form < 6; form++) {
        chunk_kind k = {.rank = 2, .dims = {30, 20}, .chunk = {3, 4}, .percent = 90};
        k.latest = form > 1;
        k.filtered = form % 2;
        k.unlimited = form > 3 ? 3 : 1;
        k.most[1] = 50;
        // Cut chunks are read and written again by the library, which cannot be where they are no result of a filter.
        static const hsize_t plain[][2] = {{30, 20}, {90, 20}, {41, 20}, {41, 45}, {7, 3}, {200, 50}};
        static const hsize_t whole[][2] = {{30, 20}, {90, 20}, {42, 20}, {42, 44}, {6, 4}, {198, 48}};
        const hsize_t(*dims)[2] = k.filtered ? whole : plain;
        enum { STEPS = sizeof plain / sizeof plain[0] };
        hid_t f = chunk_file_create(path, &k), d = chunk_create(f, &k);
        for (size_t s = 0; s < STEPS; s++) {
            int64_t grid[5];
            memcpy(k.dims, dims[s], sizeof dims[s]);
            ck_assert_int_ge(H5Dset_extent(d, dims[s]), 0);
            chunk_write(d, &k, 0, chunk_grid(&k, grid));
        }
        H5Dclose(d);
        H5Fclose(f);
        for (size_t s = STEPS; s-- > 0;) {
            f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
            d = H5Dopen2(f, "v", H5P_DEFAULT);
            int64_t grid[5];
            memcpy(k.dims, dims[s], sizeof dims[s]);
            ck_assert_int_ge(H5Dset_extent(d, dims[s]), 0);
            chunk_write(d, &k, 0, chunk_grid(&k, grid));
            H5Dclose(d);
            H5Fclose(f);
            check(&k);
        }
    }
}
END_TEST

// ---- damage

static uint8_t *load(const char *name, size_t *n)
{
    FILE *f = fopen(name, "rb");
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    uint8_t *bytes = malloc(*n);
    ck_assert_uint_eq(fread(bytes, 1, *n, f), *n);
    fclose(f);
    return bytes;
}

static uint64_t header_of(void)
{
    hid_t f = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    H5O_info_t info;
    ck_assert_int_ge(H5Oget_info_by_name1(f, "v", &info, H5P_DEFAULT), 0);
    H5Fclose(f);
    return info.addr;
}

static const chunk_kind damaged[] = {
    {.rank = 2, .dims = {20, 20}, .chunk = {4, 3}, .percent = 80},
    {.rank = 2, .dims = {20, 20}, .chunk = {4, 3}, .percent = 80, .filtered = true, .user_block = 512},
    {.rank = 2, .dims = {20, 20}, .chunk = {4, 3}, .percent = 80, .latest = true, .filtered = true},
    {.rank = 2, .dims = {20, 20}, .chunk = {4, 3}, .percent = 80, .latest = true, .early = true},
    {.rank = 2, .dims = {20, 20}, .chunk = {20, 20}, .percent = 100, .latest = true, .filtered = true},
    {.rank = 1, .dims = {1500}, .chunk = {1}, .percent = 5, .latest = true},
    {.rank = 2, .dims = {20, 20}, .chunk = {4, 3}, .percent = 80, .latest = true, .unlimited = 1},
    {.rank = 2, .dims = {20, 20}, .chunk = {4, 3}, .percent = 80, .latest = true, .unlimited = 2, .filtered = true},
    {.rank = 1, .dims = {700}, .chunk = {1}, .percent = 20, .latest = true, .unlimited = 1},
    {.rank = 2, .dims = {20, 20}, .chunk = {2, 1}, .percent = 80, .latest = true, .unlimited = 3},
    {.rank = 2, .dims = {20, 20}, .chunk = {2, 1}, .percent = 80, .latest = true, .unlimited = 3, .filtered = true},
};

START_TEST(damaged_bytes)
{
    // With any byte changed the walk gives up, or is right; formats without checksums may point elsewhere in the file.
    const chunk_kind *k = &damaged[_i];
    chunk_file_write(path, k);
    size_t n;
    uint8_t *bytes = load(path, &n);
    uint64_t header = header_of();
    xn_chunk_map good = chunk_map_of(k), m = chunk_map_of(k);
    size_t room = (size_t)m.n * sizeof *m.table;
    xn_chunk_file f = {-1, (int64_t)k->user_block, (int64_t)n, bytes};
    ck_assert(xn_chunk_walk(&good, &f, header, k->filtered));
    int64_t refused = 0, wrong = 0, outside = 0;
    static const uint8_t changes[] = {0x01, 0x80, 0xff, 0x10};
    for (size_t at = 0; at < n; at++) {
        for (size_t c = 0; c < sizeof changes; c++) {
            bytes[at] ^= changes[c];
            memset(m.table, 0, room);
            bool walked = xn_chunk_walk(&m, &f, header, k->filtered);
            bytes[at] ^= changes[c];
            refused += !walked;
            wrong += walked && memcmp(m.table, good.table, room) != 0;
            for (int64_t i = 0; walked && i < m.n; i++)
                outside += m.table[i].offset < 0 || m.table[i].offset > (int64_t)n;
        }
    }
    ck_assert_int_gt(refused, 200);
    ck_assert_int_eq(outside, 0);
    ck_assert(!k->latest || wrong == 0);
    wrong = 0;
    // Cut off anywhere, it is refused or lacks nothing of the index.
    for (size_t length = 0; length < n; length++) {
        xn_chunk_file shorter = {-1, (int64_t)k->user_block, (int64_t)length, NULL};
        uint8_t *copy = malloc(length + 1); // so that a sanitizer sees a read behind it
        memcpy(copy, bytes, length);
        shorter.memory = copy;
        memset(m.table, 0, room);
        bool walked = xn_chunk_walk(&m, &shorter, header, k->filtered);
        wrong += walked && memcmp(m.table, good.table, room) != 0;
        free(copy);
    }
    ck_assert_int_eq(wrong, 0);
    xn_chunk_map_free(&good);
    xn_chunk_map_free(&m);
    free(bytes);
}
END_TEST

START_TEST(random_damage)
{
    // Many bytes changed, checksums right or believed, from any address: an answer in time, within its memory.
    const chunk_kind *k = &damaged[_i];
    chunk_file_write(path, k);
    size_t n;
    uint8_t *bytes = load(path, &n), *changed = malloc(n);
    uint64_t header = header_of();
    int64_t outside = 0;
    chunk_random_state = 77 + (uint32_t)_i;
    for (int round = 0; round < 3000; round++) {
        memcpy(changed, bytes, n);
        int hits = 1 + (int)chunk_random(8);
        for (int h = 0; h < hits; h++) changed[chunk_random((uint32_t)n)] = (uint8_t)chunk_random(256);
        if (round % 3 == 0) { // a run of equal bytes, as lost blocks leave it
            size_t at = chunk_random((uint32_t)n), length = chunk_random(64);
            memset(changed + at, round % 2 ? 0xff : 0, length < n - at ? length : n - at);
        }
        xn_chunk_map m = chunk_map_of(k);
        xn_chunk_file f = {-1, (int64_t)k->user_block, (int64_t)n, changed};
        uint64_t at = round % 4 ? header : chunk_random((uint32_t)n);
        xn_lookup3_believe(round % 2);
        xn_chunk_walk(&m, &f, at, round % 5 ? k->filtered : !k->filtered);
        xn_lookup3_believe(false);
        for (int64_t i = 0; i < m.n; i++) outside += m.table[i].offset < 0 || m.table[i].offset > (int64_t)n;
        xn_chunk_map_free(&m);
    }
    ck_assert_int_eq(outside, 0);
    free(bytes);
    free(changed);
}
END_TEST

// ---- the rest

START_TEST(checksums)
{
    // Values of B. Jenkins' own test program (lookup3.c, driver5), and every length.
    ck_assert_uint_eq(xn_lookup3((const uint8_t *)"", 0), 0xdeadbeef);
    ck_assert_uint_eq(xn_lookup3((const uint8_t *)"Four score and seven years ago", 30), 0x17770551);
    uint8_t bytes[64];
    for (size_t n = 4; n < sizeof bytes; n++) {
        for (size_t i = 0; i < n; i++) bytes[i] = (uint8_t)(i * 37 + n);
        uint32_t sum = xn_lookup3(bytes, n - 4);
        for (int i = 0; i < 4; i++) bytes[n - 4 + (size_t)i] = (uint8_t)(sum >> (8 * i));
        ck_assert(xn_lookup3_holds(bytes, n));
        for (size_t i = 0; i < n; i++) {
            bytes[i] ^= 4;
            ck_assert(!xn_lookup3_holds(bytes, n));
            bytes[i] ^= 4;
        }
    }
    ck_assert(!xn_lookup3_holds(bytes, 3));
}
END_TEST

static int asked;
static bool scaled;
static herr_t iterate(hid_t d, hid_t transfer, int (*on_chunk)(const hsize_t *, unsigned, haddr_t, hsize_t, void *),
                      void *user)
{
    (void)transfer;
    hid_t space = H5Dget_space(d);
    hsize_t n = 0, offset[5], bytes;
    unsigned mask;
    haddr_t address;
    H5Dget_num_chunks(d, space, &n);
    asked++;
    int go = 0;
    for (hsize_t i = 0; i < n && go == 0; i++) {
        H5Dget_chunk_info(d, space, i, offset, &mask, &address, &bytes);
        if (scaled) offset[0] /= 2; // as the first versions of the iterator did
        go = on_chunk(offset, mask, address, bytes, user);
    }
    H5Sclose(space);
    return 0;
}

// Without a file to walk through the library's answers are taken, by its iterator if it has one that tells the truth.
START_TEST(library_answers)
{
    chunk_kind k = {.rank = 2, .dims = {40, 41}, .chunk = {2, 3}, .percent = 70, .filtered = true};
    chunk_file_write(path, &k);
    for (int form = 0; form < 3; form++) {
        xn_h5 *file;
        hid_t d;
        xn_chunk_map m;
        xn_hdf_guard guard = xn_hdf_enter();
        ck_assert_int_eq(xn_h5_open(ctx, path, &file), XANI_OK);
        ck_assert_int_eq(xn_h5_dataset(ctx, file, "v", &d), XANI_OK);
        xn_chunk_file f = {-1, 0, file->bytes, NULL};
        asked = 0;
        scaled = form == 2;
        xn_chunk_set_iterate(form ? iterate : NULL);
        ck_assert_int_eq(xn_chunk_map_make(ctx, file, "v", d, &f, &m), XANI_OK);
        ck_assert(!m.walked);
        ck_assert_int_eq(asked, form > 0);
        check_map(&k, &m);
        xn_chunk_map_free(&m);
        H5Dclose(d);
        xn_h5_close(&file);
        xn_hdf_leave(guard);
    }
}
END_TEST

START_TEST(vast_but_empty)
{
    // A claim of chunks without end takes no memory: the library is to read what is there.
    chunk_kind k = {.rank = 1, .dims = {1ull << 40}, .chunk = {1}, .percent = 0, .unlimited = 1};
    hid_t f = chunk_file_create(path, &k), d = chunk_create(f, &k);
    H5Dclose(d);
    H5Fclose(f);
    xn_chunk_map m;
    ck_assert_int_eq(make_map(0, &m), XANI_OK);
    ck_assert_ptr_null(m.table);
    ck_assert_int_eq(m.n, (int64_t)1 << 40);
    xn_chunk_map_free(&m);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, every_kind, 0, (int)(sizeof kinds / sizeof kinds[0]));
    tcase_add_loop_test(t, random_kinds, 0, 10);
    tcase_add_test(t, grown_and_shrunk);
    tcase_add_loop_test(t, damaged_bytes, 0, (int)(sizeof damaged / sizeof damaged[0]));
    tcase_add_loop_test(t, random_damage, 0, (int)(sizeof damaged / sizeof damaged[0]));
    tcase_add_test(t, checksums);
    tcase_add_test(t, library_answers);
    tcase_add_test(t, vast_but_empty);
}
XN_TEST_MAIN("chunk index", add)
