// SPDX-License-Identifier: BSD-3-Clause
// filter_library.c -- our decoders as filters of the library, for datasets whose plugin is not installed.
//
// A plugin that is there is left alone: the library may be shared with a host program that relies on it.
// The library's filters learn neither their own id nor the decoded size, so there is one small function per
// id, and the size comes from the data's header, bounded.  Only bitshuffle+LZ4, which we write, encodes.
#include <stdlib.h>
#include <string.h>

#include "io/pipeline.h"
#include "io/write/publish.h"

#define LARGEST_CHUNK ((size_t)1 << 32) // of HDF5 itself

// Puts `bytes` at *buffer in place of what was there; memory of the library.
static size_t replace(size_t bytes, void *memory, size_t *room, void **buffer)
{
    H5free_memory(*buffer);
    *buffer = memory;
    *room = bytes;
    return bytes;
}

static size_t encode(const xn_filter *f, size_t n, size_t *room, void **buffer)
{
    size_t elem = f->id == 32008 && f->n_values > 4 && f->values[4] == 2 ? f->values[2] : 0;
    if (elem == 0 || n % elem) return 0;
    size_t bound = xn_encode_bslz4_bound(n / elem, elem);
    void *memory = H5allocate_memory(bound, false);
    size_t bytes = memory ? xn_encode_bslz4(*buffer, n / elem, elem, memory) : 0;
    if (bytes == 0) return H5free_memory(memory), (size_t)0;
    replace(bound, memory, room, buffer);
    return bytes;
}

static size_t run(int id, unsigned flags, size_t n_values, const unsigned values[], size_t n, size_t *room,
                  void **buffer)
{
    xn_filter f = {.id = id, .n_values = (unsigned)(n_values < XN_FILTER_VALUES_MAX ? n_values : XN_FILTER_VALUES_MAX)};
    memcpy(f.values, values, f.n_values * sizeof values[0]);
    if (!(flags & H5Z_FLAG_REVERSE)) return encode(&f, n, room, buffer);
    size_t bytes = xn_decoded_size(&f, *buffer, n), written = 0;
    if (bytes == 0 || bytes >= LARGEST_CHUNK) return 0;
    void *memory = H5allocate_memory(bytes, false);
    if (memory == NULL) return 0;
    xn_codec *codec = xn_codec_open();
    const char *why =
        codec ? xn_filter_decoder(id)(codec, &f, *buffer, n, memory, bytes, &written) : xn_codec_no_memory;
    xn_codec_close(&codec);
    if (why) return H5free_memory(memory), (size_t)0;
    replace(bytes, memory, room, buffer);
    return written;
}

// As the plugin does it: the writer gives {block, compression}, in front of which go version and element size.
static herr_t set_bitshuffle(hid_t created, hid_t type, hid_t space)
{
    (void)space;
    unsigned flags, given[XN_FILTER_VALUES_MAX], values[XN_FILTER_VALUES_MAX + 3] = {0, 3, (unsigned)H5Tget_size(type)};
    size_t n = XN_FILTER_VALUES_MAX;
    if (H5Pget_filter_by_id2(created, 32008, &flags, &n, given, 0, NULL, NULL) < 0 || n > XN_FILTER_VALUES_MAX)
        return -1;
    memcpy(values + 3, given, n * sizeof given[0]);
    return H5Pmodify_filter(created, 32008, flags, n + 3, values);
}

#define OURS(id)                                                                                                       \
    static size_t run_##id(unsigned flags, size_t n_values, const unsigned values[], size_t n, size_t *room,           \
                           void **buffer)                                                                              \
    {                                                                                                                  \
        return run(id, flags, n_values, values, n, room, buffer);                                                      \
    }
OURS(32000)
OURS(32001)
OURS(32004)
OURS(32008)
OURS(32015)

static const struct {
    int id;
    H5Z_func_t run;
    H5Z_set_local_func_t set_local;
} ours[] = {{32000, run_32000, NULL},
            {32001, run_32001, NULL},
            {32004, run_32004, NULL},
            {32008, run_32008, set_bitshuffle},
            {32015, run_32015, NULL}};

// Without a lock of ours: the library's may be held by a thread that waits for it. Registering twice only replaces.
void xn_filter_make_available(int id)
{
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        if (ours[i].id != id || H5Zfilter_avail(id) > 0) continue;
        // The plugin's own comment: files are then equal byte by byte whichever of the two is at work.
        const char *comment =
            id == 32008 ? "bitshuffle; see https://github.com/kiyo-masui/bitshuffle" : xn_filter_name(id);
        H5Z_class2_t class = {H5Z_CLASS_T_VERS, id, 1, 1, comment, NULL, ours[i].set_local, ours[i].run};
        H5Zregister(&class);
    }
}

void xn_filters_make_available(hid_t dataset)
{
    hid_t created = H5Dget_create_plist(dataset);
    if (created < 0) return;
    xn_pipeline p;
    xn_pipeline_get(created, &p);
    H5Pclose(created);
    for (int i = 0; i < p.n; i++)
        if (p.filter[i].id > H5Z_FILTER_RESERVED) xn_filter_make_available(p.filter[i].id);
}
