// SPDX-License-Identifier: BSD-3-Clause
// target_virtual.c -- whatever the list of a virtual dataset says, mappings lie inside it and have as many elements on
// both sides.
//
// virtual_map.c is compiled here with the library's list, the search for files and the look at sources replaced: the
// input gives extents, names and selections, and a number that decides which sources exist and how large they are.
#include "fuzz.h"
#include "io/index/virtual_list.h"

static struct {
    fuzz_input in;
    uint32_t seed;
    int rank, entries;
    int64_t dims[XANI_MAX_RANK];
    char names[2][8];
} world;

static uint32_t hash(const char *name)
{
    uint32_t h = world.seed * 2654435761u + 1;
    for (; *name; name++) h = (h ^ (uint8_t)*name) * 16777619u;
    return h ^ h >> 15;
}

// An extent, a step: mostly small, now and then anything up to the largest.
static int64_t number(void)
{
    uint8_t b = fuzz_byte(&world.in);
    if (b < 0xf0) return b % 40;
    if (b < 0xf8) return INT64_MAX - b % 4;
    return (int64_t)fuzz_number(&world.in, 4) << (b % 8) * 4;
}

static void take_pick(xn_pick *p)
{
    uint8_t b = fuzz_byte(&world.in);
    *p = (xn_pick){.kind = (xn_pick_kind)(b % 8 > 3 ? XN_PICK_SLAB : b % 4), .unlimited = -1};
    if (p->kind != XN_PICK_SLAB) return;
    p->slab.rank = 1 + b / 8 % 4;
    for (int k = 0; k < p->slab.rank; k++) {
        p->slab.start[k] = number();
        p->slab.stride[k] = 1 + xn_min64(number(), INT64_MAX - 1);
        p->slab.count[k] = number();
        p->slab.block[k] = xn_min64(number(), p->slab.stride[k]); // as the library's own selections
    }
    if (b >= 0xc0) {
        p->unlimited = b % p->slab.rank;
        (b & 1 ? p->slab.count : p->slab.block)[p->unlimited] = XN_UNLIMITED;
    }
}

static bool fake_list_open(xn_virtual_list *list, const char *holder, hid_t dataset, hid_t created)
{
    (void)holder, (void)dataset;
    *list = (xn_virtual_list){.created = created, .n = (size_t)world.entries};
    return true;
}

static bool fake_list_next(xn_virtual_list *list, xn_entry *e)
{
    (void)list;
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 7; k++) world.names[i][k] = "ab%b%./\0"[fuzz_byte(&world.in) % 9];
        world.names[i][7] = '\0';
    }
    e->file = world.names[0];
    e->dataset = world.names[1];
    take_pick(&e->to);
    take_pick(&e->from);
    return world.in.n > 0;
}

static void fake_list_close(xn_virtual_list *list) { (void)list; }
static char *fake_find(const char *holder, const char *name)
{
    (void)holder;
    return hash(name) % 8 ? xn_strdup(name) : NULL;
}
static xani_status fake_open(xn_ctx *ctx, const char *path, xn_h5 **file)
{
    *file = xn_calloc(1, sizeof **file);
    return hash(path) % 16 == 3 ? (xn_free(*file), *file = NULL, xn_fail(ctx, XANI_ERR_INPUT, "damaged")) : XANI_OK;
}
static void fake_close(xn_h5 **file)
{
    xn_free(*file);
    *file = NULL;
}
static bool fake_exists(const xn_h5 *file, const char *name) { return (void)file, hash(name) % 8 != 1; }
static xani_status fake_dataset(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t *dataset)
{
    (void)ctx, (void)file;
    *dataset = hash(name) >> 1;
    return XANI_OK;
}
static xani_status fake_shape(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t space, int *rank,
                              int64_t dims[XANI_MAX_RANK], int64_t *size)
{
    (void)ctx, (void)file, (void)name;
    *size = 0;
    *rank = world.rank;
    for (int k = 0; k < *rank; k++) dims[k] = world.dims[k];
    if (space == 0) return XANI_OK; // the virtual dataset itself
    *rank = 1 + (int)(space % 7) % 4;
    for (int k = 0; k < *rank; k++) dims[k] = space >> (4 * k) & 31;
    return XANI_OK;
}

#define xn_virtual_list_open fake_list_open
#define xn_virtual_list_next fake_list_next
#define xn_virtual_list_close fake_list_close
#define xn_virtual_find fake_find
#define xn_h5_open_live fake_open
#define xn_h5_close fake_close
#define xn_h5_exists fake_exists
#define xn_h5_dataset fake_dataset
#define xn_h5_shape fake_shape
#define xn_h5_fail(...) XANI_ERR_INPUT
#define H5Dget_space(id) (id)
#define H5Dget_create_plist(id) (id)
#define H5Fget_name(id, text, room) ((void)(id), strcpy_name(text))
#define H5Dclose(id) (void)(id)
#define H5Sclose(id) (void)(id)
#define H5Pclose(id) (void)(id)
#define xn_virtual_mappings mappings_of_input
#define xn_mappings_free mappings_free

static int strcpy_name(char *text)
{
    memcpy(text, "v.h5", 5);
    return 4;
}

xani_status mappings_of_input(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t dataset, bool fill,
                              xn_mappings *mappings);
void mappings_free(xn_mappings *mappings);
#include "io/index/virtual_map.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static xn_ctx *ctx;
    if (ctx == NULL && xani_create(&ctx) != XANI_OK) return 0;
    xn_clear_error(ctx);
    world.in = (fuzz_input){data, n};
    world.seed = fuzz_number(&world.in, 2);
    uint8_t b = fuzz_byte(&world.in);
    world.rank = 1 + b % 4;
    world.entries = b / 4 % 5;
    for (int k = 0; k < world.rank; k++) world.dims[k] = xn_min64(number(), (int64_t)1 << 40);
    xn_h5 self = {.path = (char *)"v.h5"};
    xn_mappings m;
    xani_status st = mappings_of_input(ctx, &self, "v", 0, b & 0x80, &m);
    FUZZ_HOLDS(st == XANI_OK || m.n == 0);
    FUZZ_HOLDS(m.n <= (int64_t)world.entries * PIECES_MAX);
    for (int64_t i = 0; i < m.n; i++) {
        const xn_mapping *x = &m.list[i];
        if (x->irregular) continue;
        FUZZ_HOLDS(xn_slab_inside(&x->to, world.rank, world.dims));
        if (x->path) FUZZ_HOLDS(elements(&x->to, 0, x->to.rank) == elements(&x->from, 0, x->from.rank));
    }
    mappings_free(&m);
    return 0;
}
