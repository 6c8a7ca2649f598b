// SPDX-License-Identifier: BSD-3-Clause
// chunk_index.c -- see chunk_index.h: shape of the grid, then the cache, the walk, or the library, in this order.
//
// A walk counts when its first and its last chunk and the number of chunks are what the library says, and when the file
// has not changed meanwhile.  Where it does not, the library is asked: by its iterator where it has one (HDF5 1.14),
// else chunk by chunk, which takes time as the square of their number and is not done for many.
#include "io/index/chunk_index.h"

#include <dlfcn.h>
#include <string.h>

#include "io/index/chunk_index_cache.h"

enum { ASK_MAX = 16384, COUNT_MAX = 4096, SMALL = 1 << 20, TRIES = 3 };

// ---- the library's answers

// Place of the chunk at `offset` (elements) in the table; -1: none.
static int64_t index_of(const xn_chunk_map *map, const hsize_t *offset)
{
    int64_t index = 0;
    for (int i = 0; i < map->rank; i++) {
        if (offset[i] >= (hsize_t)map->dims[i] || offset[i] % (hsize_t)map->chunk[i]) return -1;
        index = index * map->grid[i] + (int64_t)offset[i] / map->chunk[i];
    }
    return index;
}

static bool same(const xn_chunk *c, const xn_chunk_file *f, haddr_t address, hsize_t bytes, unsigned mask)
{
    int64_t at = (int64_t)address; // some versions leave the user block out
    return c->bytes == bytes && c->mask == mask && (c->offset == at || c->offset == at + f->base);
}

// An extensible array over an unlimited axis that is not the first: the library tells wrong places (seen in 1.10.8
// and 1.14.4), though it reads right.
static bool turned(const xn_chunk_map *map)
{
    int unlimited = 0;
    for (int i = 0; i < map->rank; i++) unlimited += map->most[i] < 0;
    return unlimited == 1 && map->most[0] >= 0;
}

static bool same_first(const xn_chunk_map *map, const xn_chunk_file *f, hid_t dataset, hid_t space)
{
    hsize_t offset[H5S_MAX_RANK], bytes;
    haddr_t address;
    unsigned mask;
    if (H5Dget_chunk_info(dataset, space, 0, offset, &mask, &address, &bytes) < 0) return false;
    int64_t index = address == HADDR_UNDEF ? -1 : index_of(map, offset);
    if (index >= 0 && same(&map->table[index], f, address, bytes, mask)) return true;
    bool found = false;
    for (int64_t i = 0; i < map->n && turned(map) && !found; i++) found = same(&map->table[i], f, address, bytes, mask);
    return found;
}

static bool same_at(const xn_chunk_map *map, int64_t index, const xn_chunk_file *f, hid_t dataset)
{
    hsize_t offset[H5S_MAX_RANK], bytes;
    haddr_t address;
    unsigned mask;
    int64_t rest = index;
    for (int i = map->rank - 1; i >= 0; i--) {
        offset[i] = (hsize_t)(rest % map->grid[i]) * (hsize_t)map->chunk[i];
        rest /= map->grid[i];
    }
    return H5Dget_chunk_info_by_coord(dataset, offset, &mask, &address, &bytes) >= 0 &&
           same(&map->table[index], f, address, bytes, mask);
}

// live: the library may have looked earlier than the walk, when there were fewer.
static bool same_as_library(const xn_chunk_map *map, const xn_chunk_file *f, bool live, hid_t dataset, hid_t space)
{
    hsize_t stored = 0;
    int64_t ours = 0, end = -1;
    for (int64_t i = 0; i < map->n; i++)
        if (map->table[i].bytes > 0) ours++, end = i;
    bool count = ours <= COUNT_MAX && !live;
    if (count && (H5Dget_num_chunks(dataset, space, &stored) < 0 || stored != (hsize_t)ours)) return false;
    if (ours == 0) return true;
    return same_first(map, f, dataset, space) && (!count || turned(map) || same_at(map, end, f, dataset));
}

// ---- the walk

static void clear(xn_chunk_map *map) { memset(map->table, 0, (size_t)map->n * sizeof *map->table); }

static bool walk(xn_chunk_map *map, const xn_chunk_file *f, uint64_t header, hid_t dataset, hid_t space, hid_t created)
{
    return xn_chunk_walk(map, f, header, H5Pget_nfilters(created) > 0) &&
           same_as_library(map, f, xn_chunk_file_live(f), dataset, space);
}

// ---- asking for the chunks

static xn_chunk_iterate iterate_of_test;
void xn_chunk_set_iterate(xn_chunk_iterate iterate) { iterate_of_test = iterate; }

static xn_chunk_iterate iterate_of_library(void)
{
    unsigned major, minor, release;
    xn_chunk_iterate iterate = iterate_of_test;
    if (iterate || H5get_libversion(&major, &minor, &release) < 0) return iterate;
    if (major < 1 || (major == 1 && minor < 14)) return NULL; // the first ones told sizes in another form
    *(void **)&iterate = dlsym(RTLD_DEFAULT, "H5Dchunk_iter");
    return iterate;
}

typedef struct {
    xn_chunk_map *map;
    const xn_chunk_file *f;
    bool good;
    size_t whole; // what a chunk has without filters, 0: with filters anything
} answers;

static int on_chunk(const hsize_t *offset, unsigned mask, haddr_t address, hsize_t bytes, void *user)
{
    answers *a = user;
    int64_t index = index_of(a->map, offset);
    a->good = a->good && index >= 0 && a->map->table[index].bytes == 0 && bytes > 0 && bytes <= UINT32_MAX &&
              address <= (haddr_t)a->f->bytes && (a->whole == 0 || bytes == a->whole);
    if (a->good) a->map->table[index] = (xn_chunk){(int64_t)address, (uint32_t)bytes, mask};
    return a->good ? H5_ITER_CONT : H5_ITER_STOP;
}

static bool ask_each(answers *a, hid_t dataset, hid_t space, hsize_t stored)
{
    hsize_t offset[H5S_MAX_RANK], bytes;
    haddr_t address;
    unsigned mask;
    for (hsize_t i = 0; i < stored && a->good; i++) {
        if (H5Dget_chunk_info(dataset, space, i, offset, &mask, &address, &bytes) < 0) return false;
        on_chunk(offset, mask, address, bytes, a);
    }
    return a->good;
}

// *damaged: the library says what cannot be: two chunks at one place, one outside, one of another size.  H5Dread would
// return whatever lies in memory for them.
// live: the library opened the file while it was written, and may know an older index than the file has by now.
static bool ask_library(xn_chunk_map *map, const xn_chunk_file *f, bool live, hid_t dataset, hid_t space, bool filtered,
                        bool *damaged)
{
    hsize_t stored = 0;
    // In files with a user block the library's addresses cannot be trusted: H5Dread does it all.
    if (f->base != 0 || turned(map) || H5Dget_num_chunks(dataset, space, &stored) < 0) return false;
    xn_chunk_iterate iterate = iterate_of_library();
    answers a = {map, f, true, filtered ? 0 : map->chunk_bytes};
    if (iterate) {
        clear(map);
        if (iterate(dataset, H5P_DEFAULT, on_chunk, &a) >= 0 && a.good &&
            same_as_library(map, f, false, dataset, space))
            return true;
        a.good = true;
    }
    clear(map);
    if (stored > ASK_MAX || ask_each(&a, dataset, space, stored)) return stored <= ASK_MAX;
    *damaged = !a.good && !live && !xn_chunk_file_live(f);
    return false;
}

// Chunks over the edge are stored without filters where the file says so, whatever their mask is.
static void unfilter_edges(xn_chunk_map *map, hid_t created)
{
    unsigned options = 0;
    if (H5Pget_chunk_opts(created, &options) < 0 || !(options & H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS)) return;
    for (int64_t index = 0; index < map->n; index++) {
        int64_t rest = index;
        bool partial = false;
        for (int i = map->rank - 1; i >= 0; i--) {
            partial = partial || (rest % map->grid[i] + 1) * map->chunk[i] > map->dims[i];
            rest /= map->grid[i];
        }
        if (partial) map->table[index].mask = UINT32_MAX;
    }
}

// ---- all of it

static xani_status shape(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t space, hid_t created, size_t elem,
                         xn_chunk_map *map)
{
    hsize_t dims[H5S_MAX_RANK], most[H5S_MAX_RANK], chunk[H5S_MAX_RANK];
    int64_t size;
    XN_TRY(xn_h5_shape(ctx, file, name, space, &map->rank, map->dims, &size));
    if (H5Sget_simple_extent_dims(space, dims, most) < 0 || H5Pget_chunk(created, H5S_MAX_RANK, chunk) != map->rank)
        return xn_h5_fail(ctx, file, name, "its chunks cannot be described");
    map->n = 1;
    map->chunk_bytes = elem;
    for (int i = 0; i < map->rank; i++) {
        map->chunk[i] = (int64_t)chunk[i];
        map->most[i] = most[i] == H5S_UNLIMITED ? -1 : (int64_t)most[i];
        map->grid[i] = (map->dims[i] + map->chunk[i] - 1) / map->chunk[i];
        map->n *= map->grid[i];
        map->chunk_bytes *= chunk[i]; // the library keeps chunks below 4 GiB
    }
    return XANI_OK;
}

static xani_status fill(xn_ctx *ctx, bool live, hid_t dataset, hid_t space, hid_t created, const xn_chunk_file *f,
                        xn_chunk_map *map)
{
    xn_hdf_object_info info;
    xn_chunk_key before, after;
    bool known = H5Oget_info2(dataset, &info, H5O_INFO_BASIC) >= 0; // more would go through the index
    bool keep = known && xn_chunk_key_of(f, map, info.addr, &before);
    if (keep && xn_chunk_cache_find(&before, map)) return XANI_OK;
    // Far more chunks than the file can have entries of: nearly none are there, and a table would be a waste.
    if (map->n > xn_max64(f->bytes, SMALL)) return XANI_OK;
    map->table = xn_calloc((size_t)xn_max64(map->n, 1), sizeof *map->table);
    if (map->table == NULL) return xn_fail_memory(ctx, "a chunk index", (size_t)map->n * sizeof *map->table);
    xn_chunk_file now = *f; // a file that grows is seen as long as it is
    for (int i = 0; known && i < TRIES && !map->walked; i++) {
        if (i > 0) clear(map);
        keep = xn_chunk_key_of(f, map, info.addr, &before);
        now.bytes = xn_max64(f->bytes, before.bytes);
        bool good = walk(map, &now, info.addr, dataset, space, created);
        xn_chunk_key_of(f, map, info.addr, &after);
        bool still = memcmp(&before, &after, sizeof before) == 0;
        map->walked = good && (still || xn_chunk_file_live(&now));
        if (still) break; // it will not be better the next time
        map->damaged = false;
    }
    bool damaged = map->damaged && !live && !xn_chunk_file_live(f);
    if (!map->walked &&
        (damaged || !ask_library(map, &now, live, dataset, space, H5Pget_nfilters(created) > 0, &damaged))) {
        xn_chunk_map_free(map); // no table: the caller lets H5Dread do it
        return damaged ? xn_fail(ctx, XANI_ERR_INPUT, "its chunk index is damaged") : XANI_OK;
    }
    unfilter_edges(map, created);
    if (keep && map->walked) xn_chunk_cache_add(&before, map);
    return XANI_OK;
}

xani_status xn_chunk_map_make(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t dataset, const xn_chunk_file *f,
                              xn_chunk_map *map)
{
    memset(map, 0, sizeof *map);
    hid_t space = H5Dget_space(dataset), created = H5Dget_create_plist(dataset), type = H5Dget_type(dataset);
    xani_status st = shape(ctx, file, name, space, created, type < 0 ? 0 : H5Tget_size(type), map);
    if (st == XANI_OK)
        st = xn_context(ctx, fill(ctx, file->live, dataset, space, created, f, map), "%s: %s", file->path, name);
    if (type >= 0) H5Tclose(type);
    if (created >= 0) H5Pclose(created);
    if (space >= 0) H5Sclose(space);
    return st;
}

void xn_chunk_map_free(xn_chunk_map *map)
{
    if (map->shared)
        xn_chunk_table_release(map->shared);
    else
        xn_free(map->table);
    map->table = NULL;
    map->shared = NULL;
}
