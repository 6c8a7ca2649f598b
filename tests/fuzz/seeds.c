// SPDX-License-Identifier: BSD-3-Clause
// seeds.c -- writes the inputs that fuzzing starts from: chunks as the library's filters write them, and small files.
//
//   seeds FOLDER     makes FOLDER/TARGET/seed-N; run by hand when a target's input changes
#include "codec/filter.h"
#include "family/family.h"
#include "io/index/lookup3.h"
#include "io/index/virtual_list.h"

static const char *root;
static int number;

static FILE *open_seed(const char *target)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", root, target);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%s/seed-%02d", root, target, number++);
    return fopen(path, "wb");
}

static void put(FILE *f, unsigned v, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--) fputc((int)(v >> (8 * i) & 255), f);
}

// One stored chunk of a chain of one filter (or more: for the pipeline).
static void chunk_seed(const char *target, const char *chain_name, const char *type_name, hsize_t n, int style)
{
    static const int ids[] = {XN_FILTER_GZIP, XN_FILTER_SHUFFLE,    XN_FILTER_FLETCHER32, XN_FILTER_LZF,
                              XN_FILTER_LZ4,  XN_FILTER_BITSHUFFLE, XN_FILTER_ZSTD,       XN_FILTER_BLOSC};
    const family_chain *c = NULL;
    const family_type *t = NULL;
    xn_rng r;
    uint8_t values[65536], stored[65536];
    hsize_t zero = 0, bytes = 0;
    uint32_t mask = 0;
    for (int i = 0; i < family_chains(); i++)
        if (strcmp(family_chain_at(i)->name, chain_name) == 0) c = family_chain_at(i);
    for (int i = 0; i < family_types(); i++)
        if (strcmp(family_type_at(i)->name, type_name) == 0) t = family_type_at(i);
    if (c == NULL || t == NULL || !family_chain_works(c)) return;
    xn_rng_init(&r, 7, n);
    family_values(t, &r, style, values, (size_t)n);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), created = H5Pcreate(H5P_DATASET_CREATE), type = family_type_file(t);
    hid_t space = H5Screate_simple(1, &n, NULL);
    H5Pset_fapl_core(access, 1 << 16, false);
    H5Pset_chunk(created, 1, &n);
    family_chain_set(c, 0, t, created);
    hid_t f = H5Fcreate("m.h5", H5F_ACC_TRUNC, H5P_DEFAULT, access);
    hid_t d = H5Dcreate2(f, "d", type, space, H5P_DEFAULT, created, H5P_DEFAULT);
    hid_t used = H5Dget_create_plist(d);
    H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    H5Dflush(d);
    H5Dget_chunk_storage_size(d, &zero, &bytes);
    if (bytes > sizeof stored || H5Dread_chunk(d, H5P_DEFAULT, &zero, &mask, stored) < 0) return;
    bool whole = strcmp(target, "pipeline") == 0;
    bool plain = mask && !whole; // the filter left it as it is
    FILE *out = plain ? fopen("/dev/null", "wb") : open_seed(target);
    put(out, (unsigned)n * (unsigned)xn_type_size(t->type), 2);
    if (whole) put(out, mask, 1), put(out, (unsigned)c->n, 1);
    for (int i = 0; i < (whole ? c->n : 1); i++) {
        unsigned flags, v[16] = {0}, config;
        size_t n_values = 16;
        int id = H5Pget_filter2(used, (unsigned)i, &flags, &n_values, v, 0, NULL, &config);
        if (whole) {
            unsigned k = 0;
            while (k < 7 && ids[k] != id) k++;
            put(out, k, 1), put(out, id == XN_FILTER_SHUFFLE ? v[0] : v[2], 1), put(out, v[3], 1), put(out, v[4], 1);
        } else {
            put(out, (unsigned)n_values, 1);
            for (size_t j = 0; j < n_values; j++) put(out, v[j], 2);
        }
    }
    fwrite(stored, 1, bytes, out);
    fclose(out);
    H5Pclose(used), H5Dclose(d), H5Fclose(f), H5Sclose(space), H5Tclose(type), H5Pclose(created), H5Pclose(access);
}

typedef struct {
    bool latest, filtered, early;
    int rank;
    hsize_t dims[3], chunk[3];
    int more[3];     // 255: unlimited
    hsize_t written; // rows
} index_case;

static void index_seed(const index_case *x)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), created = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t most[3], start[3] = {0}, count[3];
    uint8_t values[4096], image[65536];
    H5O_info_t info;
    memset(values, 7, sizeof values);
    for (int k = 0; k < x->rank; k++) {
        most[k] = x->more[k] == 255 ? H5S_UNLIMITED : x->dims[k] + (hsize_t)x->more[k];
        count[k] = k ? x->dims[k] : x->written;
    }
    H5Pset_fapl_core(access, 1024, false);
    H5Pset_meta_block_size(access, 256);
    if (x->latest) H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110);
    H5Pset_chunk(created, x->rank, x->chunk);
    if (x->filtered) H5Pset_deflate(created, 1);
    H5Pset_obj_track_times(created, false); // the same bytes tomorrow
    if (x->early) H5Pset_alloc_time(created, H5D_ALLOC_TIME_EARLY);
    hid_t f = H5Fcreate("m.h5", H5F_ACC_TRUNC, H5P_DEFAULT, access), space = H5Screate_simple(x->rank, x->dims, most);
    hid_t d = H5Dcreate2(f, "d", H5T_STD_U8LE, space, H5P_DEFAULT, created, H5P_DEFAULT);
    H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL);
    H5Dwrite(d, H5T_STD_U8LE, space, space, H5P_DEFAULT, values);
    H5Oget_info1(d, &info);
    H5Dclose(d);
    H5Fflush(f, H5F_SCOPE_GLOBAL);
    ssize_t n = H5Fget_file_image(f, image, sizeof image);
    if (n > 0) {
        FILE *out = open_seed("index");
        put(out, (unsigned)x->rank - 1, 1), put(out, 0, 1);
        put(out, (unsigned)x->filtered | (unsigned)x->latest << 2, 1), put(out, (unsigned)info.addr, 2);
        for (int k = 0; k < x->rank; k++)
            put(out, (unsigned)x->dims[k], 2), put(out, (unsigned)x->chunk[k] - 1, 1),
                put(out, (unsigned)x->more[k], 1);
        fwrite(image, 1, (size_t)n, out);
        fclose(out);
    }
    H5Sclose(space), H5Fclose(f), H5Pclose(created), H5Pclose(access);
}

static void index_seeds(void)
{
    static const index_case cases[] = {
        {false, false, false, 2, {6, 5}, {2, 2}, {0, 0}, 6},
        {false, true, false, 3, {4, 3, 3}, {1, 2, 2}, {255, 0, 0}, 3},
        {false, false, false, 1, {200}, {2}, {255}, 200},
        {true, false, false, 2, {4, 4}, {4, 4}, {0, 0}, 4},
        {true, true, false, 2, {4, 4}, {4, 4}, {0, 0}, 4},
        {true, false, true, 2, {6, 5}, {2, 2}, {0, 0}, 6},
        {true, false, false, 2, {6, 5}, {2, 2}, {0, 0}, 6},
        {true, true, false, 2, {6, 5}, {2, 2}, {3, 0}, 4},
        {true, false, false, 1, {1500}, {1}, {0}, 40},
        {true, false, false, 2, {6, 5}, {1, 5}, {255, 0}, 6},
        {true, true, false, 2, {5, 6}, {2, 1}, {0, 255}, 5},
        {true, false, false, 1, {150}, {1}, {255}, 150},
        {true, false, false, 2, {6, 5}, {2, 2}, {255, 255}, 6},
        {true, true, false, 3, {4, 3, 3}, {1, 1, 2}, {255, 255, 0}, 4},
        {true, false, false, 2, {8, 8}, {1, 1}, {255, 255}, 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) index_seed(&cases[i]);
}

// Lists of virtual datasets: all, a slab, one in steps, one unlimited, printf names, blocks that are no grid.
static void list_seed(bool latest)
{
    static uint8_t image[65536];
    const hsize_t dims[2] = {40, 6}, most[2] = {H5S_UNLIMITED, 6}, start[2] = {4, 0}, stride[2] = {5, 1};
    const hsize_t count[2] = {3, 6}, far[2] = {30, 1}, one[2] = {2, 3}, endless[2] = {H5S_UNLIMITED, 6};
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), created = H5Pcreate(H5P_DATASET_CREATE);
    hid_t to = H5Screate_simple(2, dims, most), from = H5Screate_simple(2, count, NULL);
    H5Pset_fapl_core(access, 1024, false);
    if (latest) H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110);
    H5Pset_obj_track_times(created, false);
    H5Sselect_hyperslab(to, H5S_SELECT_SET, start, stride, count, NULL);
    H5Pset_virtual(created, to, "a.h5", "d", from);
    H5Sselect_hyperslab(to, H5S_SELECT_OR, far, NULL, one, NULL);
    hid_t more = H5Screate_simple(1, (const hsize_t[]){24}, NULL);
    H5Pset_virtual(created, to, ".", "e%%", more);
    H5Sselect_hyperslab(to, H5S_SELECT_SET, start, stride, endless, NULL);
    H5Pset_virtual(created, to, "s%b.h5", "d", H5Screate_simple(1, (const hsize_t[]){6}, NULL));
    hid_t grows = H5Screate_simple(2, dims, most);
    H5Sselect_hyperslab(grows, H5S_SELECT_SET, start, NULL, endless, NULL);
    H5Pset_virtual(created, to, "g.h5", "d", grows);
    hid_t f = H5Fcreate("m.h5", H5F_ACC_TRUNC, H5P_DEFAULT, access);
    hid_t d = H5Dcreate2(f, "d", H5T_STD_U8LE, to, H5P_DEFAULT, created, H5P_DEFAULT);
    H5O_info_t info;
    H5Oget_info1(d, &info);
    H5Dclose(d);
    H5Fflush(f, H5F_SCOPE_GLOBAL);
    ssize_t n = H5Fget_file_image(f, image, sizeof image);
    xn_lookup3_believe(true); // the image says that it is not open for writing, and its checksum does not know
    xn_virtual_list list;
    xn_chunk_file file = {.fd = -1, .bytes = n, .memory = image};
    if (n > 0 && xn_virtual_list_read(&list, &file, info.addr)) {
        FILE *out = open_seed("list");
        put(out, 2, 1);
        fwrite(list.bytes, 1, list.size, out);
        fclose(out);
        xn_virtual_list_close(&list);
    }
    H5Fclose(f);
}

int main(int argc, char **argv)
{
    static const char *const chains[][2] = {{"gzip", "gzip"},
                                            {"gzip", "gzip 0"},
                                            {"lzf", "lzf"},
                                            {"lz4", "lz4"},
                                            {"lz4", "lz4 in small blocks"},
                                            {"blosc", "blosc: blosclz"},
                                            {"blosc", "blosc: shuffle, lz4"},
                                            {"blosc", "blosc: bitshuffle, lz4"},
                                            {"blosc", "blosc: shuffle, zlib"},
                                            {"bitshuffle", "bitshuffle"},
                                            {"bitshuffle", "bitshuffle+lz4"},
                                            {"bitshuffle", "bitshuffle+lz4 in small blocks"},
                                            {"pipeline", "shuffle+gzip+fletcher32"},
                                            {"pipeline", "fletcher32 inside gzip"},
                                            {"pipeline", "gzip twice"},
                                            {"pipeline", "bitshuffle+lz4+fletcher32"},
                                            {"pipeline", "lzf+fletcher32"},
                                            {"pipeline", "shuffle+lz4+fletcher32"},
                                            {"zstd", "zstd"},
                                            {"pipeline", "shuffle+zstd+fletcher32"},
                                            {"bitshuffle", "bitshuffle+zstd"}};
    if (argc != 2) return fprintf(stderr, "usage: %s FOLDER\n", argv[0]), 2;
    root = argv[1];
    mkdir(root, 0777);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    for (size_t i = 0; i < sizeof chains / sizeof chains[0]; i++) {
        if (strcmp(chains[i][1], "bitshuffle+zstd") == 0) H5Zunregister(XN_FILTER_BITSHUFFLE); // the test's own instead
        chunk_seed(chains[i][0], chains[i][1], "u2", 150, 0);
        chunk_seed(chains[i][0], chains[i][1], "f4", 37, 1);
        if (i % 3 == 0 || strcmp(chains[i][0], "blosc") == 0) chunk_seed(chains[i][0], chains[i][1], "u1", 1200, 2);
    }
    index_seeds();
    list_seed(false);
    list_seed(true);
    return 0;
}
