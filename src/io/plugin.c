// SPDX-License-Identifier: BSD-3-Clause
// plugin.c -- see plugin.h.
//
// The library itself is asked whether it has the filter, which loads the plugin; then the folders it searches are gone
// through for the file that is loaded already (RTLD_NOLOAD), so that no foreign code runs that it did not run.  A
// filter that a program registered without a plugin file is not found here and stays with H5Dread.  Memory comes from
// the library, because a plugin frees its input and gives its output with malloc's or the library's functions; sizes it
// returns are checked before they are used.  Loaded plugins stay loaded until the process ends.
//
// A chunk that ends early makes the bzip2 plugin wait for more input for ever, in the library too.  So it is given as
// many zeros behind the chunk as a block can swallow before it must be wrong: at most 20 bits for each of 100,000
// symbols per level (bzip2's decompress.c; the format's limits).  A whole stream never looks at them.
#include "io/plugin.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdatomic.h>
#include <string.h>

// Read in their sources: bzip2 (HDFGroup/hdf5_plugins BZIP2/src/H5Zbzip2.c) keeps its state on the stack and in its
// bz_stream; zfp (LLNL/H5Z-ZFP src/H5Zzfp.c) makes its streams and fields in each call.
static struct {
    const int id;
    _Atomic(H5Z_func_t) run;                                 // NULL: not looked for, or not there
} safe[] = {{.id = XN_FILTER_BZIP2}, {.id = XN_FILTER_ZFP}}; // clang takes no initialiser of an atomic pointer

enum { SAFE = sizeof safe / sizeof safe[0] };

static int find(int id)
{
    for (int i = 0; i < SAFE; i++)
        if (safe[i].id == id) return i;
    return -1;
}

// ---- finding it

// The filter's function in a plugin file that is loaded, NULL: not this one.
static H5Z_func_t function_in(const char *path, int id)
{
    void *handle = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
    if (handle == NULL) return NULL;
    // ISO C knows no conversion from an object pointer to a function pointer; POSIX has dlsym give both.
    H5PL_type_t (*type)(void) = NULL;
    const void *(*info)(void) = NULL;
    *(void **)&type = dlsym(handle, "H5PLget_plugin_type");
    *(void **)&info = dlsym(handle, "H5PLget_plugin_info");
    const H5Z_class2_t *class = type && info && type() == H5PL_TYPE_FILTER ? info() : NULL;
    H5Z_func_t run = class && class->version == H5Z_CLASS_T_VERS && class->id == id ? class->filter : NULL;
    if (run == NULL) dlclose(handle);
    return run;
}

static H5Z_func_t function_below(const char *folder, int id)
{
    DIR *d = opendir(folder);
    H5Z_func_t run = NULL;
    for (struct dirent *e = d ? readdir(d) : NULL; e && run == NULL; e = readdir(d)) {
        if (strncmp(e->d_name, "lib", 3) != 0 || strstr(e->d_name, ".so") == NULL) continue; // as the library does
        char *path = xn_format("%s/%s", folder, e->d_name);
        run = path ? function_in(path, id) : NULL;
        xn_free(path);
    }
    if (d) closedir(d);
    return run;
}

static H5Z_func_t look_for(int id)
{
    unsigned folders = 0;
    H5Z_func_t run = NULL;
    if (H5Zfilter_avail(id) <= 0 || H5PLsize(&folders) < 0) return NULL;
    for (unsigned i = 0; i < folders && run == NULL; i++) {
        char folder[4096];
        ssize_t n = H5PLget(i, folder, sizeof folder);
        if (n > 0 && (size_t)n < sizeof folder) run = function_below(folder, id);
    }
    return run;
}

// ---- calling it

// Zeros to put behind the input; *told: how many of them the plugin is told of. False: not data of this filter.
static bool padding(int id, const uint8_t *src, size_t n, size_t *zeros, size_t *told)
{
    *zeros = 64; // zfp reads its bit streams by words
    *told = 0;
    if (id != XN_FILTER_BZIP2) return true;
    if (n < 4 || memcmp(src, "BZh", 3) != 0 || src[3] < '1' || src[3] > '9') return false;
    *told = *zeros = 65536 + (size_t)(src[3] - '0') * 250000;
    return true;
}

static const char *decode(xn_codec *codec, const xn_filter *filter, const uint8_t *src, size_t n, uint8_t *dst,
                          size_t room, size_t *written)
{
    (void)codec;
    H5Z_func_t run = atomic_load(&safe[find(filter->id)].run);
    size_t zeros, told;
    if (!padding(filter->id, src, n, &zeros, &told)) return "not data of this filter";
    void *buffer = H5allocate_memory(n + zeros, true);
    if (buffer == NULL) return xn_codec_no_memory;
    memcpy(buffer, src, n);
    size_t size = n + told;
    xn_hdf_guard guard = xn_hdf_enter(); // what it pushes on the error stack of this thread is not printed
    size_t got = run(H5Z_FLAG_REVERSE, filter->n_values, filter->values, n + told, &size, &buffer);
    xn_hdf_leave(guard);
    const char *why = got == 0 || buffer == NULL ? "the filter's plugin refuses the data"
                      : got > size               ? "the filter's plugin returns a size beyond its memory"
                      : got > room               ? "the filter's plugin returns more than a chunk"
                                                 : NULL;
    if (why == NULL) memcpy(dst, buffer, got);
    H5free_memory(buffer);
    *written = why ? 0 : got;
    return why;
}

xn_decoder xn_plugin_decoder(int id)
{
    int i = find(id);
    if (i < 0) return NULL;
    // No lock of ours around calls of the library, which has one and may call us with it held; looking twice does no
    // harm.
    H5Z_func_t run = atomic_load(&safe[i].run);
    if (run == NULL && (run = look_for(id)) != NULL) atomic_store(&safe[i].run, run);
    return run ? decode : NULL;
}

// ---- trusting it

typedef struct {
    hsize_t offset[H5S_MAX_RANK], count[H5S_MAX_RANK]; // of the chunk, as far as it lies in the dataset
    size_t bytes, stored;                              // decoded, whole; stored
} first_chunk;

static bool find_first(hid_t dataset, hid_t space, hid_t created, size_t elem, first_chunk *c)
{
    hsize_t chunk[H5S_MAX_RANK], dims[H5S_MAX_RANK], stored = 0;
    haddr_t address;
    unsigned mask;
    int rank = H5Sget_simple_extent_dims(space, dims, NULL);
    if (rank < 1 || H5Pget_chunk(created, rank, chunk) != rank ||
        H5Dget_chunk_info(dataset, space, 0, c->offset, &mask, &address, &stored) < 0)
        return false;
    c->bytes = elem;
    for (int k = 0; k < rank; k++) {
        if (c->offset[k] >= dims[k]) return false;
        c->count[k] = dims[k] - c->offset[k] < chunk[k] ? dims[k] - c->offset[k] : chunk[k];
        if (__builtin_mul_overflow(c->bytes, chunk[k], &c->bytes)) return false;
    }
    c->stored = (size_t)stored;
    return c->bytes <= UINT32_MAX && stored <= UINT32_MAX;
}

// theirs holds the part of the chunk that lies in the dataset, ours all of it.
static bool equal_parts(int rank, const hsize_t *count, const hsize_t *chunk, size_t elem, const uint8_t *theirs,
                        const uint8_t *ours)
{
    if (rank == 0) return memcmp(theirs, ours, elem) == 0;
    size_t step_theirs = elem, step_ours = elem;
    for (int k = 1; k < rank; k++) {
        step_theirs *= (size_t)count[k];
        step_ours *= (size_t)chunk[k];
    }
    for (hsize_t i = 0; i < count[0]; i++)
        if (!equal_parts(rank - 1, count + 1, chunk + 1, elem, theirs + i * step_theirs, ours + i * step_ours))
            return false;
    return true;
}

static bool same_answer(hid_t dataset, hid_t space, hid_t created, hid_t type, const xn_pipeline *pipeline)
{
    first_chunk c = {.bytes = 0};
    hsize_t chunk[H5S_MAX_RANK];
    size_t elem = H5Tget_size(type);
    if (!find_first(dataset, space, created, elem, &c)) return false;
    int rank = H5Pget_chunk(created, H5S_MAX_RANK, chunk);
    uint32_t mask = 0;
    xn_codec *codec = xn_codec_open();
    uint8_t *stored = xn_alloc(c.stored, 1), *ours = xn_alloc(c.bytes, 1), *theirs = xn_alloc(c.bytes, 1);
    hid_t memory = H5Screate_simple(rank, c.count, NULL);
    bool same = codec && stored && ours && theirs && memory >= 0 &&
                H5Dread_chunk(dataset, H5P_DEFAULT, c.offset, &mask, stored) >= 0;
    // Damaged, says the plugin: then the reader will say so, too; H5Dread might never come back from it.
    if (same && xn_pipeline_decode(codec, pipeline, mask, stored, c.stored, ours, c.bytes) == NULL)
        same = H5Sselect_hyperslab(space, H5S_SELECT_SET, c.offset, NULL, c.count, NULL) >= 0 &&
               H5Dread(dataset, type, memory, space, H5P_DEFAULT, theirs) >= 0 &&
               equal_parts(rank, c.count, chunk, elem, theirs, ours);
    if (memory >= 0) H5Sclose(memory);
    xn_free(stored);
    xn_free(ours);
    xn_free(theirs);
    xn_codec_close(&codec);
    return same;
}

bool xn_plugin_agrees(hid_t dataset, const xn_pipeline *pipeline)
{
    bool foreign = false;
    for (int i = 0; i < pipeline->n; i++) foreign = foreign || pipeline->filter[i].decode == decode;
    if (!foreign) return true;
    hid_t space = H5Dget_space(dataset), created = H5Dget_create_plist(dataset), type = H5Dget_type(dataset);
    hsize_t n = 0;
    bool good = space >= 0 && created >= 0 && type >= 0 && H5Dget_num_chunks(dataset, space, &n) >= 0;
    if (good && n > 0) good = same_answer(dataset, space, created, type, pipeline);
    if (type >= 0) H5Tclose(type);
    if (created >= 0) H5Pclose(created);
    if (space >= 0) H5Sclose(space);
    return good;
}
