// SPDX-License-Identifier: BSD-3-Clause
// values.c -- see values.h.
//
// Values are read with the file's own type as the type in memory, so that nothing is converted and odd types need no
// care.  A walk goes through members of compounds, elements of arrays and sequences down to plain bytes, texts and
// references.  What is plain all over is hashed as it lies there, padding included, which copying keeps.
#include "io/values.h"

#include <string.h>
#include <xxhash.h>

enum { PART_BYTES = 16 << 20 };

static bool variable_text(hid_t type) { return H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) > 0; }

bool xn_type_references(hid_t type) { return H5Tdetect_class(type, H5T_REFERENCE) > 0; }

// H5Tdetect_class takes texts of variable length for strings: members are looked at.
bool xn_type_indirect(hid_t type)
{
    if (variable_text(type) || H5Tdetect_class(type, H5T_VLEN) > 0 || xn_type_references(type)) return true;
    bool found = false;
    if (H5Tget_class(type) == H5T_COMPOUND) {
        for (int i = 0; !found && i < H5Tget_nmembers(type); i++) {
            hid_t member = H5Tget_member_type(type, (unsigned)i);
            found = xn_type_indirect(member);
            H5Tclose(member);
        }
    } else if (H5Tget_class(type) == H5T_ARRAY) {
        hid_t base = H5Tget_super(type);
        found = xn_type_indirect(base);
        H5Tclose(base);
    }
    return found;
}

// ---- the walk

typedef struct {
    bool (*bytes)(void *user, const void *bytes, size_t n); // NULL: not wanted
    bool (*reference)(void *user, hid_t type, void *reference);
    void *user;
} visitor;

static bool walk(hid_t type, uint8_t *value, const visitor *v);

static bool walk_compound(hid_t type, uint8_t *value, const visitor *v)
{
    bool good = true;
    for (int i = 0; good && i < H5Tget_nmembers(type); i++) {
        hid_t member = H5Tget_member_type(type, (unsigned)i);
        good = member >= 0 && walk(member, value + H5Tget_member_offset(type, (unsigned)i), v);
        if (member >= 0) H5Tclose(member);
    }
    return good;
}

// Elements of an array or of a sequence.
static bool walk_elements(hid_t type, uint8_t *first, size_t n, const visitor *v)
{
    hid_t base = H5Tget_super(type);
    if (base < 0) return false;
    size_t size = H5Tget_size(base);
    bool good = true;
    for (size_t i = 0; good && i < n; i++) good = walk(base, first + i * size, v);
    H5Tclose(base);
    return good;
}

static size_t elements_of(hid_t array)
{
    hid_t base = H5Tget_super(array);
    size_t size = base < 0 ? 0 : H5Tget_size(base);
    if (base >= 0) H5Tclose(base);
    return size ? H5Tget_size(array) / size : 0;
}

static bool walk(hid_t type, uint8_t *value, const visitor *v)
{
    switch (H5Tget_class(type)) {
    case H5T_COMPOUND:
        return walk_compound(type, value, v);
    case H5T_ARRAY:
        return walk_elements(type, value, elements_of(type), v);
    case H5T_VLEN: {
        hvl_t sequence;
        memcpy(&sequence, value, sizeof sequence);
        if (v->bytes && !v->bytes(v->user, &sequence.len, sizeof sequence.len)) return false;
        return walk_elements(type, sequence.p, sequence.len, v);
    }
    case H5T_REFERENCE:
        return v->reference(v->user, type, value);
    default:
        break;
    }
    if (v->bytes == NULL) return true;
    if (!variable_text(type)) return v->bytes(v->user, value, H5Tget_size(type));
    const char *text;
    memcpy(&text, value, sizeof text);
    return v->bytes(v->user, text ? text : "", text ? strlen(text) + 1 : 1);
}

// ---- references

// The object a reference points to, opened; < 0: to nothing.
static hid_t follow(hid_t file, hid_t type, void *reference)
{
    H5R_type_t kind = H5Tequal(type, H5T_STD_REF_DSETREG) > 0 ? H5R_DATASET_REGION : H5R_OBJECT;
    static const uint8_t nothing[sizeof(hdset_reg_ref_t)];
    size_t size = H5Tget_size(type);
    if (size > sizeof nothing || memcmp(reference, nothing, size) == 0) return H5I_INVALID_HID;
    return H5Rdereference2(file, H5P_DEFAULT, kind, reference);
}

static const char *path_of(hid_t file, const xn_tree *tree, hid_t type, void *reference)
{
    hid_t object = follow(file, type, reference);
    if (object < 0) return NULL;
    const xn_node *node = xn_tree_at(tree, xn_object_address(object));
    H5Oclose(object);
    return node ? node->path : NULL;
}

static bool known_reference(hid_t type)
{
    return H5Tequal(type, H5T_STD_REF_OBJ) > 0 || H5Tequal(type, H5T_STD_REF_DSETREG) > 0;
}

static bool relocate(void *user, hid_t type, void *reference)
{
    xn_relocation *r = user;
    if (!known_reference(type)) return false;
    size_t size = H5Tget_size(type);
    bool region = H5Tequal(type, H5T_STD_REF_DSETREG) > 0;
    hid_t object = follow(r->from, type, reference);
    const xn_node *node = object < 0 ? NULL : xn_tree_at(r->tree, xn_object_address(object));
    hid_t space = node && region ? H5Rget_region(r->from, H5R_DATASET_REGION, reference) : H5I_INVALID_HID;
    if (object >= 0) H5Oclose(object);
    if (object >= 0 && node == NULL) r->lost++;
    memset(reference, 0, size);
    if (node == NULL) return true;
    bool good = H5Rcreate(reference, r->to, node->path, region ? H5R_DATASET_REGION : H5R_OBJECT, space) >= 0;
    if (space >= 0) H5Sclose(space);
    return good;
}

bool xn_values_relocate(hid_t type, void *values, int64_t n, xn_relocation *r)
{
    visitor v = {NULL, relocate, r};
    size_t size = H5Tget_size(type);
    bool good = true;
    for (int64_t i = 0; good && i < n; i++) good = walk(type, (uint8_t *)values + (size_t)i * size, &v);
    return good;
}

// ---- hashes

struct xn_values_hash {
    XXH3_state_t *state;
    hid_t file;
    const xn_tree *tree;
};
typedef struct xn_values_hash hasher;

static bool hash_bytes(void *user, const void *bytes, size_t n)
{
    return XXH3_64bits_update(((hasher *)user)->state, bytes, n) == XXH_OK;
}

static bool hash_reference(void *user, hid_t type, void *reference)
{
    hasher *h = user;
    if (!known_reference(type)) return false;
    const char *path = path_of(h->file, h->tree, type, reference);
    if (!hash_bytes(h, path ? path : "", path ? strlen(path) + 1 : 1)) return false;
    if (path == NULL || H5Tequal(type, H5T_STD_REF_OBJ) > 0) return true;
    hid_t space = H5Rget_region(h->file, H5R_DATASET_REGION, reference);
    if (space < 0) return false;
    hssize_t points = H5Sget_select_npoints(space);
    hsize_t box[2][H5S_MAX_RANK] = {{0}};
    if (points > 0) H5Sget_select_bounds(space, box[0], box[1]);
    H5Sclose(space);
    return hash_bytes(h, &points, sizeof points) && hash_bytes(h, box, sizeof box);
}

static bool hash_values(hasher *h, hid_t type, void *values, int64_t n)
{
    size_t size = H5Tget_size(type);
    if (!xn_type_indirect(type)) return hash_bytes(h, values, (size_t)n * size);
    visitor v = {hash_bytes, hash_reference, h};
    bool good = true;
    for (int64_t i = 0; good && i < n; i++) good = walk(type, (uint8_t *)values + (size_t)i * size, &v);
    return good;
}

static xani_status hash_part(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t dataset, hid_t type, hid_t space,
                             int64_t n, void *values, hasher *h)
{
    hsize_t count = (hsize_t)n;
    hid_t memory = H5Screate_simple(1, &count, NULL);
    bool read = memory >= 0 && H5Dread(dataset, type, memory, space, H5P_DEFAULT, values) >= 0;
    bool good = read && hash_values(h, type, values, n);
    xani_status st =
        good ? XANI_OK : xn_h5_fail(ctx, file, name, read ? "holds what cannot be compared" : "cannot be read");
    if (read && xn_type_indirect(type)) H5Dvlen_reclaim(type, memory, H5P_DEFAULT, values);
    if (memory >= 0) H5Sclose(memory);
    return st;
}

// Extents of any number of axes, also of more than xani reads.
static xani_status shape_of(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t space, int *rank,
                            int64_t dims[H5S_MAX_RANK], int64_t *size)
{
    hsize_t extent[H5S_MAX_RANK];
    *rank = H5Sget_simple_extent_dims(space, extent, NULL);
    if (*rank <= XANI_MAX_RANK) return xn_h5_shape(ctx, file, name, space, rank, dims, size);
    *size = 1;
    for (int k = 0; k < *rank; k++) {
        dims[k] = (int64_t)extent[k];
        if (dims[k] < 0 || __builtin_mul_overflow(*size, dims[k], size) || *size > INT64_MAX / 64)
            return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: claims an impossible size", file->path, name);
    }
    return XANI_OK;
}

static xani_status hash_parts(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t dataset, hid_t type, hid_t space,
                              int64_t first, int64_t last, hasher *h)
{
    int rank;
    int64_t dims[H5S_MAX_RANK] = {0}, size, per_row = 1;
    XN_TRY(shape_of(ctx, file, name, space, &rank, dims, &size));
    if (size == 0) return XANI_OK;
    if (rank > XANI_MAX_RANK) first = 0, last = dims[0]; // rows of these are not known to the caller
    for (int k = 1; k < rank; k++) per_row *= dims[k];
    int64_t element = (int64_t)H5Tget_size(type);
    int64_t part = xn_min64(last - first, xn_max64(1, PART_BYTES / (per_row * element)));
    void *values = xn_alloc((size_t)(part * per_row), (size_t)element);
    if (values == NULL) return xn_fail_memory(ctx, name, (size_t)(part * per_row * element));
    hsize_t start[H5S_MAX_RANK] = {0}, count[H5S_MAX_RANK];
    for (int k = 0; k < rank; k++) count[k] = (hsize_t)dims[k];
    xani_status st = XANI_OK;
    for (int64_t i = first; st == XANI_OK && i < last; i += part) {
        int64_t n = xn_min64(part, last - i);
        start[0] = (hsize_t)i;
        count[0] = (hsize_t)n;
        if (rank) H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL);
        st = hash_part(ctx, file, name, dataset, type, space, n * per_row, values, h);
    }
    xn_free(values);
    return st;
}

xn_values_hash *xn_values_hash_open(void)
{
    xn_values_hash *h = xn_calloc(1, sizeof *h);
    if (h) h->state = XXH3_createState();
    if (h && h->state == NULL) xn_free(h), h = NULL;
    if (h) XXH3_64bits_reset(h->state);
    return h;
}

xani_status xn_values_hash_rows(xn_ctx *ctx, const xn_h5 *file, const char *name, const xn_tree *tree, int64_t first,
                                int64_t last, xn_values_hash *h)
{
    hid_t dataset;
    XN_TRY(xn_h5_dataset(ctx, file, name, &dataset));
    hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
    h->file = file->id;
    h->tree = tree;
    xani_status st = type < 0 || space < 0 ? xn_h5_fail(ctx, file, name, "cannot be described")
                                           : hash_parts(ctx, file, name, dataset, type, space, first, last, h);
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    H5Oclose(dataset);
    return st;
}

uint64_t xn_values_hash_close(xn_values_hash **hash)
{
    uint64_t digest = XXH3_64bits_digest((*hash)->state);
    XXH3_freeState((*hash)->state);
    xn_free(*hash);
    *hash = NULL;
    return digest;
}

xani_status xn_values_hash_attribute(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t attribute,
                                     const xn_tree *tree, uint64_t *hash)
{
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    hssize_t n = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
    hasher h = {XXH3_createState(), file->id, tree};
    void *values = type < 0 || n < 0 ? NULL : xn_calloc((size_t)n + 1, H5Tget_size(type));
    xani_status st = h.state && values ? XANI_OK : xn_fail_memory(ctx, name, 1);
    if (st == XANI_OK) {
        XXH3_64bits_reset(h.state);
        hsize_t shape[H5S_MAX_RANK] = {0};
        int rank = H5Sget_simple_extent_dims(space, shape, NULL);
        bool good = hash_bytes(&h, &rank, sizeof rank) && hash_bytes(&h, shape, sizeof shape);
        bool read = n > 0 && H5Aread(attribute, type, values) >= 0;
        if (n > 0) good = good && read && hash_values(&h, type, values, n);
        if (read && xn_type_indirect(type)) H5Dvlen_reclaim(type, space, H5P_DEFAULT, values);
        *hash = XXH3_64bits_digest(h.state);
        if (!good) st = xn_h5_fail(ctx, file, name, "holds an attribute that cannot be compared");
    }
    XXH3_freeState(h.state);
    xn_free(values);
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    return st;
}
