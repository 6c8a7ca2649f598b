// SPDX-License-Identifier: BSD-3-Clause
// write.c -- see family.h: writes one case through the library, chunk by chunk where chunks are missing or masked.
//
// The stored bytes of a chunk that skips some of its filters come from the library as well: from a file in memory
// that holds one dataset of one chunk with the other filters.
#include "family.h"

typedef struct {
    hid_t created, file_type, memory_type, space;
    const void *fill;
} parts;

static void close_parts(const parts *p)
{
    if (p->space >= 0) H5Sclose(p->space);
    if (p->created >= 0) H5Pclose(p->created);
    H5Tclose(p->file_type);
    H5Tclose(p->memory_type);
}

static bool external(hid_t created, const char *folder, const family_case *c, size_t bytes)
{
    // Three pieces with offsets of their own, as a writer with a file per disk would have them.
    size_t done = 0;
    if (bytes == 0) return false;
    for (int i = 0; i < 3 && done < bytes; i++) {
        char name[600];
        size_t n = i == 2 ? bytes - done : (bytes / 3 ? bytes / 3 : 1);
        snprintf(name, sizeof name, "%s/%s-%d.raw", folder, c->name, i);
        if (H5Pset_external(created, name, 5 * i, n) < 0) return false;
        FILE *f = fopen(name, "wb"); // what was not written reads as zero
        if (f == NULL || ftruncate(fileno(f), (off_t)(n + 5 * (size_t)i)) != 0 || fclose(f) != 0) return false;
        done += n;
    }
    return true;
}

static bool set_layout(const parts *p, const char *folder, const family_case *c)
{
    static const H5D_layout_t layouts[] = {H5D_COMPACT, H5D_CONTIGUOUS, H5D_CONTIGUOUS, H5D_CHUNKED, H5D_VIRTUAL};
    size_t bytes = (size_t)family_elements(c, c->dims) * xn_type_size(c->type->type);
    H5Pset_layout(p->created, layouts[c->layout]);
    if (c->layout == FAMILY_EXTERNAL && !external(p->created, folder, c, bytes)) return false;
    if (c->layout == FAMILY_COMPACT && bytes > 60000) return false;
    if (c->layout == FAMILY_CHUNKED) {
        if (H5Pset_chunk(p->created, c->rank, c->chunk) < 0) return false;
        if (c->bare_edges) H5Pset_chunk_opts(p->created, H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS);
        if (!family_chain_set(c->chain, 0, c->type, p->created)) return false;
    }
    if (c->early) H5Pset_alloc_time(p->created, H5D_ALLOC_TIME_EARLY);
    return true;
}

// The stored bytes of one chunk without the filters of `skip`; *mask: those and what the library itself left out.
static void *encode(const family_case *c, const parts *p, const void *chunk, unsigned skip, uint32_t *mask, size_t *n)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), created = H5Pcreate(H5P_DATASET_CREATE);
    hid_t space = H5Screate_simple(c->rank, c->chunk, NULL);
    hsize_t zero[FAMILY_RANK] = {0}, bytes = 0;
    uint32_t left_out = 0;
    void *stored = NULL;
    H5Pset_fapl_core(access, 1 << 16, false);
    H5Pset_chunk(created, c->rank, c->chunk);
    if (c->fill) H5Pset_fill_value(created, p->memory_type, p->fill); // scaleoffset codes it
    if (family_chain_set(c->chain, skip, c->type, created)) {
        hid_t f = H5Fcreate("in-memory.h5", H5F_ACC_TRUNC, H5P_DEFAULT, access);
        hid_t d = H5Dcreate2(f, "d", p->file_type, space, H5P_DEFAULT, created, H5P_DEFAULT);
        if (d >= 0 && H5Dwrite(d, p->memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, chunk) >= 0 && H5Dflush(d) >= 0 &&
            H5Dget_chunk_storage_size(d, zero, &bytes) >= 0 && (stored = malloc(bytes)) != NULL)
            ck_assert_int_ge(H5Dread_chunk(d, H5P_DEFAULT, zero, &left_out, stored), 0);
        if (d >= 0) H5Dclose(d);
        H5Fclose(f);
    }
    *mask = skip;
    for (int i = 0, k = 0; i < c->chain->n; i++)
        if (!(skip >> i & 1)) *mask |= (left_out >> k++ & 1) << i;
    *n = (size_t)bytes;
    H5Sclose(space);
    H5Pclose(created);
    H5Pclose(access);
    return stored;
}

// Moves elements of `chunk` (its first one at `at`) out of or into the whole.
static void move_chunk(const family_case *c, const hsize_t *at, uint8_t *chunk, uint8_t *whole, bool in,
                       const void *with)
{
    size_t elem = xn_type_size(c->type->type);
    hsize_t n = family_elements(c, c->chunk);
    for (hsize_t i = 0; i < n; i++) {
        hsize_t rest = i, index = 0, pace = 1;
        bool inside = true;
        for (int k = c->rank - 1; k >= 0; k--) {
            hsize_t x = at[k] + rest % c->chunk[k];
            rest /= c->chunk[k];
            inside = inside && x < c->dims[k];
            index += x * pace;
            pace *= c->dims[k];
        }
        if (inside && in) memcpy(whole + index * elem, with, elem);
        if (!in) memset(chunk + i * elem, 0, elem);
        if (inside && !in) memcpy(chunk + i * elem, whole + index * elem, elem);
    }
}

static bool write_masked(hid_t d, const family_case *c, const parts *p, const hsize_t *at, uint8_t *chunk, xn_rng *r)
{
    uint32_t mask = 0;
    size_t n = 0;
    unsigned skip = xn_rng_u32(r) & ((1u << c->chain->n) - 1);
    void *stored = encode(c, p, chunk, skip, &mask, &n);
    if (stored == NULL) stored = encode(c, p, chunk, skip = 0, &mask, &n);
    bool good = stored && H5Dwrite_chunk(d, H5P_DEFAULT, mask, at, n, stored) >= 0;
    free(stored);
    return good;
}

static bool write_part(hid_t d, const family_case *c, const parts *p, const hsize_t *at, const uint8_t *whole)
{
    hsize_t count[FAMILY_RANK];
    for (int k = 0; k < c->rank; k++) count[k] = c->dims[k] - at[k] < c->chunk[k] ? c->dims[k] - at[k] : c->chunk[k];
    bool good = H5Sselect_hyperslab(p->space, H5S_SELECT_SET, at, NULL, count, NULL) >= 0 &&
                H5Dwrite(d, p->memory_type, p->space, p->space, H5P_DEFAULT, whole) >= 0;
    H5Sselect_all(p->space);
    return good;
}

// Chunk by chunk in a random direction; what is left out becomes the fill value in `values` too.
static bool write_chunks(hid_t d, const family_case *c, const parts *p, uint8_t *values, xn_rng *r)
{
    uint8_t *chunk = malloc((size_t)family_elements(c, c->chunk) * xn_type_size(c->type->type));
    hsize_t n = 1, grid[FAMILY_RANK];
    for (int k = 0; k < c->rank; k++) n *= grid[k] = (c->dims[k] + c->chunk[k] - 1) / c->chunk[k];
    bool good = true, backwards = xn_rng_u32(r) % 2;
    for (hsize_t i = 0; i < n && good; i++) {
        hsize_t rest = backwards ? n - 1 - i : i, at[FAMILY_RANK];
        for (int k = c->rank - 1; k >= 0; k--) {
            at[k] = rest % grid[k] * c->chunk[k];
            rest /= grid[k];
        }
        if (c->missing == 2 || (c->missing == 1 && xn_rng_u32(r) % 2)) {
            move_chunk(c, at, chunk, values, true, p->fill);
        } else if (c->masks) {
            move_chunk(c, at, chunk, values, false, NULL);
            good = write_masked(d, c, p, at, chunk, r);
        } else {
            good = write_part(d, c, p, at, values);
        }
    }
    free(chunk);
    return good;
}

static bool write_values(hid_t d, const family_case *c, const parts *p, uint8_t *values, xn_rng *r)
{
    size_t n = (size_t)family_elements(c, c->dims), elem = xn_type_size(c->type->type);
    if (c->layout == FAMILY_CHUNKED && (c->missing || c->masks)) return write_chunks(d, c, p, values, r);
    for (size_t i = 0; c->missing && i < n; i++) memcpy(values + i * elem, p->fill, elem);
    return c->missing || n == 0 || H5Dwrite(d, p->memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0;
}

bool family_write(hid_t file, const char *folder, const family_case *c, void **truth)
{
    xn_rng r;
    xn_rng_init(&r, c->seed, 2);
    uint8_t fill[8] = {0};
    size_t n = (size_t)family_elements(c, c->dims);
    parts p = {H5Pcreate(H5P_DATASET_CREATE), family_type_file(c->type), family_type_memory(c->type), -1, fill};
    p.space = c->rank ? H5Screate_simple(c->rank, c->dims, c->most) : H5Screate(H5S_SCALAR);
    if (c->fill) {
        family_values(c->type, &r, 1, fill, 1);
        H5Pset_fill_value(p.created, p.memory_type, fill);
    }
    uint8_t *values = malloc((n + 1) * 8);
    family_values(c->type, &r, c->style, values, n);
    hid_t d = -1;
    if (p.space >= 0 && set_layout(&p, folder, c))
        d = H5Dcreate2(file, c->name, p.file_type, p.space, H5P_DEFAULT, p.created, H5P_DEFAULT);
    bool good = d >= 0 && write_values(d, c, &p, values, &r);
    bool grown = memcmp(c->grown, c->dims, sizeof c->dims) != 0;
    if (good && grown) good = H5Dset_extent(d, c->grown) >= 0;
    if (d >= 0) H5Dclose(d);
    if (d >= 0 && !good) H5Ldelete(file, c->name, H5P_DEFAULT);
    bool told = !grown && c->layout != FAMILY_EXTERNAL && !(c->chain && c->chain->lossy);
    if (c->layout == FAMILY_EXTERNAL && !c->missing) told = true;
    *truth = good && told ? values : NULL;
    if (*truth == NULL) free(values);
    close_parts(&p);
    return good;
}

hid_t family_file(const char *path, bool latest, hsize_t user_block)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), made = H5Pcreate(H5P_FILE_CREATE);
    if (latest) H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110);
    if (user_block) H5Pset_userblock(made, user_block);
    hid_t f = H5Fcreate(path, H5F_ACC_TRUNC, made, access);
    H5Pclose(access);
    H5Pclose(made);
    return f;
}
