// SPDX-License-Identifier: BSD-3-Clause
// virtual.c -- see family.h: virtual datasets in the forms that facilities write, and in some they could.
//
// Detector modules side by side, files after each other, trains dealt out to files in turn, printf names, unlimited
// selections, virtual datasets of virtual datasets, gaps, overlaps, other types, other ranks, other steps, parts
// that are no regular selection, and sources that are missing or too short.
#include "family.h"

enum { PARTS = 3 };

typedef struct {
    hid_t file;
    const char *folder;
    const family_type *type;
    xn_rng r;
    int number;
    hsize_t n, h, w; // of a part
    hid_t created;   // of the virtual dataset
    hid_t space;     // of it
} maker;

static const char *const source_chains[] = {"no filter", "gzip", "bitshuffle+lz4", "shuffle+gzip+fletcher32"};

static hid_t source_properties(maker *m, int rank, const hsize_t *dims, const family_type *type)
{
    hid_t created = H5Pcreate(H5P_DATASET_CREATE);
    unsigned kind = xn_rng_u32(&m->r) % 6;
    hsize_t chunk[3];
    if (kind < 2) return created; // contiguous
    for (int k = 0; k < rank; k++) chunk[k] = dims[k] > 1 ? 1 + xn_rng_u32(&m->r) % dims[k] : 1;
    H5Pset_chunk(created, rank, chunk);
    for (int i = 0; i < family_chains(); i++)
        if (strcmp(family_chain_at(i)->name, source_chains[kind - 2]) == 0 && family_chain_works(family_chain_at(i)))
            family_chain_set(family_chain_at(i), 0, type, created);
    return created;
}

// A source of random values; the file is made, or added to.
static void put(maker *m, const char *file, const char *name, const family_type *type, int rank, const hsize_t *dims)
{
    char path[900];
    snprintf(path, sizeof path, "%s/%s", m->folder, file);
    bool own = strcmp(file, ".") == 0;
    hid_t f = own                    ? m->file
              : xn_test_exists(path) ? H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT)
                                     : family_file(path, xn_rng_u32(&m->r) % 2, 0);
    hsize_t most[3], n = 1;
    for (int k = 0; k < rank; k++) n *= dims[k];
    hid_t created = source_properties(m, rank, dims, type), on_disk = family_type_file(type);
    bool grows = H5Pget_layout(created) == H5D_CHUNKED;
    for (int k = 0; k < rank; k++) most[k] = k == 0 && grows ? H5S_UNLIMITED : dims[k];
    hid_t space = H5Screate_simple(rank, dims, most), memory = family_type_memory(type);
    uint8_t *values = malloc((size_t)n * 8 + 8);
    family_values(type, &m->r, (int)(xn_rng_u32(&m->r) % 2), values, (size_t)n);
    hid_t d = H5Dcreate2(f, name, on_disk, space, H5P_DEFAULT, created, H5P_DEFAULT);
    ck_assert_msg(d >= 0 && H5Dwrite(d, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0, "%s: %s", path, name);
    free(values);
    H5Dclose(d);
    H5Sclose(space);
    H5Pclose(created);
    H5Tclose(on_disk);
    H5Tclose(memory);
    if (!own) H5Fclose(f);
}

static void part_name(const maker *m, int i, char name[64]) { snprintf(name, 64, "part-%03d-%d.h5", m->number, i); }

static void extent(maker *m, hsize_t n, hsize_t h, hsize_t w)
{
    const hsize_t dims[3] = {n, h, w}, most[3] = {H5S_UNLIMITED, h, w};
    m->space = H5Screate_simple(3, dims, most);
}

// start, stride, count, block of three axes each, to where; the source is whole.
static void map(maker *m, const char *file, const char *name, int rank, const hsize_t *dims, const hsize_t to[4][3])
{
    hid_t from = H5Screate_simple(rank, dims, NULL);
    H5Sselect_hyperslab(m->space, H5S_SELECT_SET, to[0], to[1], to[2], to[3]);
    ck_assert_int_ge(H5Pset_virtual(m->created, m->space, file, name, from), 0);
    H5Sclose(from);
}

static const family_type *type_named(const char *name)
{
    for (int i = 0; i < family_types(); i++)
        if (strcmp(family_type_at(i)->name, name) == 0) return family_type_at(i);
    ck_abort_msg("no type %s", name);
    return NULL;
}

// Files after each other. gap: one frame between them that nothing has; overlap: each covers the end of the one before.
static void in_order(maker *m, int gap, int overlap)
{
    hsize_t pace = m->n + (hsize_t)gap - (hsize_t)overlap;
    extent(m, PARTS * pace + (hsize_t)overlap, m->h, m->w);
    for (hsize_t i = 0; i < PARTS; i++) {
        char file[64];
        part_name(m, (int)i, file);
        put(m, file, "data", m->type, 3, (hsize_t[]){m->n, m->h, m->w});
        map(m, file, "data", 3, (hsize_t[]){m->n, m->h, m->w},
            (hsize_t[4][3]){{i * pace, 0, 0}, {1, 1, 1}, {m->n, m->h, m->w}, {1, 1, 1}});
    }
}

static void concatenated(maker *m) { in_order(m, 0, 0); }
static void with_gaps(maker *m) { in_order(m, 1, 0); }
static void overlapping(maker *m) { in_order(m, 0, m->n > 1 ? 1 : 0); }

static void missing_source(maker *m)
{
    char path[800], file[64];
    in_order(m, 0, 0);
    part_name(m, 1, file);
    snprintf(path, sizeof path, "%s/%s", m->folder, file);
    unlink(path);
}

static void interleaved(maker *m)
{
    extent(m, PARTS * m->n, m->h, m->w);
    for (hsize_t i = 0; i < PARTS; i++) {
        char file[64];
        part_name(m, (int)i, file);
        put(m, file, "g", m->type, 3, (hsize_t[]){m->n, m->h, m->w});
        map(m, file, "g", 3, (hsize_t[]){m->n, m->h, m->w},
            (hsize_t[4][3]){{i, 0, 0}, {PARTS, 1, 1}, {m->n, m->h, m->w}, {1, 1, 1}});
    }
}

static void modules(maker *m) // side by side, two rows of three, gaps between the rows
{
    extent(m, m->n, 2 * m->h + 1, PARTS * m->w);
    for (hsize_t i = 0; i < 2 * PARTS; i++) {
        char file[64];
        part_name(m, (int)i, file);
        put(m, file, "data", m->type, 3, (hsize_t[]){m->n, m->h, m->w});
        map(m, file, "data", 3, (hsize_t[]){m->n, m->h, m->w},
            (hsize_t[4][3]){{0, i / PARTS * (m->h + 1), i % PARTS * m->w}, {1, 1, 1}, {m->n, m->h, m->w}, {1, 1, 1}});
    }
}

static void numbered_files(maker *m)
{
    char file[64];
    extent(m, 0, m->h, m->w);
    for (int i = 0; i < PARTS; i++) {
        part_name(m, i, file);
        put(m, file, "data", m->type, 3, (hsize_t[]){m->n, m->h, m->w});
    }
    snprintf(file, sizeof file, "part-%03d-%%b.h5", m->number);
    map(m, file, "data", 3, (hsize_t[]){m->n, m->h, m->w},
        (hsize_t[4][3]){{0, 0, 0}, {m->n, 1, 1}, {H5S_UNLIMITED, m->h, m->w}, {m->n, 1, 1}});
}

static void numbered_datasets(maker *m)
{
    char name[64];
    extent(m, 0, m->h, m->w);
    for (int i = 0; i < PARTS; i++) {
        snprintf(name, sizeof name, "s%03d_%d", m->number, i);
        put(m, ".", name, m->type, 3, (hsize_t[]){m->n, m->h, m->w});
    }
    snprintf(name, sizeof name, "s%03d_%%b", m->number);
    map(m, ".", name, 3, (hsize_t[]){m->n, m->h, m->w},
        (hsize_t[4][3]){{0, 0, 0}, {m->n, 1, 1}, {H5S_UNLIMITED, m->h, m->w}, {m->n, 1, 1}});
}

static void without_end(maker *m) // two sources of different lengths, in turn
{
    extent(m, 0, m->h, m->w);
    for (hsize_t i = 0; i < 2; i++) {
        char file[64];
        hsize_t zero[3] = {0}, one[3] = {1, 1, 1}, n[3] = {H5S_UNLIMITED, m->h, m->w};
        hsize_t dims[3] = {m->n + 2 * i, m->h, m->w}, most[3] = {H5S_UNLIMITED, m->h, m->w};
        part_name(m, (int)i, file);
        put(m, file, "data", m->type, 3, dims);
        hid_t from = H5Screate_simple(3, dims, most);
        H5Sselect_hyperslab(from, H5S_SELECT_SET, zero, one, n, one);
        H5Sselect_hyperslab(m->space, H5S_SELECT_SET, (hsize_t[]){i, 0, 0}, (hsize_t[]){2, 1, 1}, n, one);
        ck_assert_int_ge(H5Pset_virtual(m->created, m->space, file, "data", from), 0);
        H5Sclose(from);
    }
}

static void nested(maker *m)
{
    // The parts are virtual themselves, in files of their own: each of two datasets of one further file.
    extent(m, PARTS * 2 * m->n, m->h, m->w);
    for (hsize_t i = 0; i < PARTS; i++) {
        char file[64], inner[64], path[800];
        part_name(m, (int)i, file);
        snprintf(inner, sizeof inner, "inner-%03d.h5", m->number);
        snprintf(path, sizeof path, "%s/%s", m->folder, file);
        hid_t created = H5Pcreate(H5P_DATASET_CREATE), type = family_type_file(m->type);
        maker part = *m;
        part.created = created;
        extent(&part, 2 * m->n, m->h, m->w);
        for (hsize_t k = 0; k < 2; k++) {
            char name[64];
            snprintf(name, sizeof name, "d%d", (int)(2 * i + k));
            put(&part, inner, name, m->type, 3, (hsize_t[]){m->n, m->h, m->w});
            map(&part, inner, name, 3, (hsize_t[]){m->n, m->h, m->w},
                (hsize_t[4][3]){{k, 0, 0}, {2, 1, 1}, {m->n, m->h, m->w}, {1, 1, 1}});
        }
        m->r = part.r;
        hid_t f = family_file(path, true, 0), d;
        H5Sselect_all(part.space);
        d = H5Dcreate2(f, "v", type, part.space, H5P_DEFAULT, created, H5P_DEFAULT);
        ck_assert_int_ge(d, 0);
        H5Dclose(d);
        H5Fclose(f);
        H5Sclose(part.space);
        H5Pclose(created);
        H5Tclose(type);
        map(m, file, "v", 3, (hsize_t[]){2 * m->n, m->h, m->w},
            (hsize_t[4][3]){{i * 2 * m->n, 0, 0}, {1, 1, 1}, {2 * m->n, m->h, m->w}, {1, 1, 1}});
    }
}

static void frame_each(maker *m) // one frame of two axes per dataset
{
    extent(m, 2 * PARTS, m->h, m->w);
    for (hsize_t i = 0; i < 2 * PARTS; i++) {
        char name[64];
        snprintf(name, sizeof name, "f%d", (int)i);
        char file[64];
        part_name(m, (int)i % 2, file);
        put(m, file, name, m->type, 2, (hsize_t[]){m->h, m->w});
        map(m, file, name, 2, (hsize_t[]){m->h, m->w},
            (hsize_t[4][3]){{i, 0, 0}, {1, 1, 1}, {1, m->h, m->w}, {1, 1, 1}});
    }
}

static void other_types(maker *m) // the library converts
{
    static const char *const names[PARTS] = {"u2", "i4 big-endian", "u1"};
    m->type = type_named(m->number % 2 ? "f8" : "i8 big-endian");
    extent(m, PARTS * m->n, m->h, m->w);
    for (hsize_t i = 0; i < PARTS; i++) {
        char file[64];
        part_name(m, (int)i, file);
        put(m, file, "data", type_named(names[i]), 3, (hsize_t[]){m->n, m->h, m->w});
        map(m, file, "data", 3, (hsize_t[]){m->n, m->h, m->w},
            (hsize_t[4][3]){{i * m->n, 0, 0}, {1, 1, 1}, {m->n, m->h, m->w}, {1, 1, 1}});
    }
}

static void other_steps(maker *m) // pairs of frames, every second column; every second frame and row of the source
{
    char file[64];
    hsize_t dims[3] = {4 * m->n, 2 * m->h, m->w}, one[3] = {1, 1, 1};
    extent(m, 3 * m->n, m->h, 2 * m->w);
    part_name(m, 0, file);
    put(m, file, "data", m->type, 3, dims);
    hid_t from = H5Screate_simple(3, dims, NULL);
    H5Sselect_hyperslab(from, H5S_SELECT_SET, (hsize_t[]){1, 0, 0}, (hsize_t[]){2, 2, 1},
                        (hsize_t[]){2 * m->n, m->h, m->w}, one);
    H5Sselect_hyperslab(m->space, H5S_SELECT_SET, (hsize_t[]){0, 0, 1}, (hsize_t[]){3, 1, 2},
                        (hsize_t[]){m->n, m->h, m->w}, (hsize_t[]){2, 1, 1});
    ck_assert_int_ge(H5Pset_virtual(m->created, m->space, file, "data", from), 0);
    H5Sclose(from);
}

static void irregular(maker *m) // two boxes that are no regular selection together
{
    char file[64];
    hsize_t dims[3] = {m->n + 2, m->h + 2, m->w + 2}, one[3] = {1, 1, 1};
    extent(m, dims[0], dims[1], dims[2]);
    part_name(m, 0, file);
    put(m, file, "data", m->type, 3, dims);
    hid_t from = H5Screate_simple(3, dims, NULL);
    H5Sselect_hyperslab(from, H5S_SELECT_SET, (hsize_t[]){0, 0, 0}, NULL, (hsize_t[]){m->n, m->h, m->w}, NULL);
    H5Sselect_hyperslab(from, H5S_SELECT_OR, (hsize_t[]){m->n, m->h, m->w}, NULL, one, NULL);
    H5Sselect_hyperslab(m->space, H5S_SELECT_SET, (hsize_t[]){1, 1, 1}, NULL, (hsize_t[]){m->n, m->h, m->w}, NULL);
    H5Sselect_hyperslab(m->space, H5S_SELECT_OR, (hsize_t[]){0, 0, 0}, NULL, one, NULL);
    ck_assert_int_ge(H5Pset_virtual(m->created, m->space, file, "data", from), 0);
    H5Sclose(from);
}

static void too_short(maker *m) // the sources have a frame less than the mappings say
{
    extent(m, PARTS * m->n, m->h, m->w);
    for (hsize_t i = 0; i < PARTS; i++) {
        char file[64];
        part_name(m, (int)i, file);
        put(m, file, "data", m->type, 3, (hsize_t[]){m->n > 1 ? m->n - i % 2 : 1, m->h, m->w});
        map(m, file, "data", 3, (hsize_t[]){m->n, m->h, m->w},
            (hsize_t[4][3]){{i * m->n, 0, 0}, {1, 1, 1}, {m->n, m->h, m->w}, {1, 1, 1}});
    }
}

int family_write_virtual(hid_t file, const char *folder, const family_group *g, uint64_t seed)
{
    static void (*const forms[])(maker *) = {
        concatenated, with_gaps, overlapping, missing_source, interleaved, modules,   numbered_files, numbered_datasets,
        without_end,  nested,    frame_each,  other_types,    other_steps, irregular, too_short};
    enum { FORMS = sizeof forms / sizeof forms[0] };
    for (int i = 0; i < 2 * FORMS; i++) {
        maker m = {.file = file, .folder = folder, .number = i};
        char name[64];
        uint8_t fill[8];
        xn_rng_init(&m.r, seed, (uint64_t)(1000 + i));
        do m.type = family_type_at((int)(xn_rng_u32(&m.r) % (unsigned)family_types()));
        while (m.type->kind == FAMILY_ENUM || m.type->kind == FAMILY_NARROW);
        m.n = 1 + xn_rng_u32(&m.r) % 7;
        m.h = 1 + xn_rng_u32(&m.r) % 11;
        m.w = 1 + xn_rng_u32(&m.r) % 19;
        m.created = H5Pcreate(H5P_DATASET_CREATE);
        forms[i % FORMS](&m);
        hid_t type = family_type_file(m.type), memory = family_type_memory(m.type);
        family_values(m.type, &m.r, 1, fill, 1);
        if (i % 4 < 2) H5Pset_fill_value(m.created, memory, fill);
        H5Sselect_all(m.space);
        snprintf(name, sizeof name, "v%03d", i);
        hid_t d = H5Dcreate2(file, name, type, m.space, H5P_DEFAULT, m.created, H5P_DEFAULT);
        ck_assert_msg(d >= 0, "group %d: virtual dataset %d cannot be made", g->number, i);
        H5Dclose(d);
        H5Tclose(type);
        H5Tclose(memory);
        H5Pclose(m.created);
        H5Sclose(m.space);
    }
    return 2 * FORMS;
}
