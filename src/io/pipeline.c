// SPDX-License-Identifier: BSD-3-Clause
// pipeline.c -- see pipeline.h.
#include "io/pipeline.h"

#include <stdio.h>
#include <string.h>

#include "io/plugin.h"

enum { MANY = 1024 };

_Static_assert((int)XN_FILTER_GZIP == H5Z_FILTER_DEFLATE && (int)XN_FILTER_SHUFFLE == H5Z_FILTER_SHUFFLE &&
                   (int)XN_FILTER_FLETCHER32 == H5Z_FILTER_FLETCHER32 && (int)XN_FILTER_SZIP == H5Z_FILTER_SZIP &&
                   (int)XN_FILTER_NBIT == H5Z_FILTER_NBIT && (int)XN_FILTER_SCALEOFFSET == H5Z_FILTER_SCALEOFFSET,
               "filters have other numbers in this library");

void xn_pipeline_get(hid_t created, xn_pipeline *pipeline)
{
    memset(pipeline, 0, sizeof *pipeline);
    int n = H5Pget_nfilters(created);
    pipeline->known = n >= 0 && n <= XN_FILTERS_MAX;
    for (int i = 0; i < n && i < XN_FILTERS_MAX; i++) {
        xn_filter *f = &pipeline->filter[i];
        unsigned flags, config;
        size_t n_values = XN_FILTER_VALUES_MAX;
        f->id = H5Pget_filter2(created, (unsigned)i, &flags, &n_values, f->values, 0, NULL, &config);
        f->n_values = (unsigned)(n_values < XN_FILTER_VALUES_MAX ? n_values : XN_FILTER_VALUES_MAX);
        f->decode = xn_filter_decoder(f->id);
        if (f->decode == NULL && n_values <= XN_FILTER_VALUES_MAX) f->decode = xn_plugin_decoder(f->id);
        if (f->decode == NULL && f->id != XN_FILTER_FLETCHER32) pipeline->known = false;
        pipeline->n = i + 1;
    }
}

int64_t xn_hdf_chunks(hid_t created, hid_t space)
{
    hsize_t dims[H5S_MAX_RANK], chunk[H5S_MAX_RANK], n = 1;
    int rank = H5Sget_simple_extent_dims(space, dims, NULL);
    if (rank < 1 || H5Pget_layout(created) != H5D_CHUNKED || H5Pget_chunk(created, H5S_MAX_RANK, chunk) != rank)
        return 0;
    for (int k = 0; k < rank; k++) {
        hsize_t along = dims[k] / chunk[k] + (dims[k] % chunk[k] != 0);
        if (__builtin_mul_overflow(n, along, &n) || n > INT64_MAX) return INT64_MAX;
    }
    return (int64_t)n;
}

bool xn_hdf_many_chunks(hid_t dataset)
{
    hid_t created = H5Dget_create_plist(dataset), space = H5Dget_space(dataset), type = H5Dget_type(dataset);
    xn_pipeline pipeline = {.known = false};
    bool many = created >= 0 && space >= 0 && type >= 0 && xn_hdf_chunks(created, space) > MANY;
    if (many) xn_pipeline_get(created, &pipeline);
    many = many && pipeline.known && xn_hdf_type_plain(type) && xn_type_size(xn_hdf_type(type)) > 0;
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    if (created >= 0) H5Pclose(created);
    return many;
}

void xn_h5_filters(hid_t dataset, char *text, size_t room)
{
    text[0] = '\0';
    hid_t created = H5Dget_create_plist(dataset);
    if (created < 0) return;
    xn_pipeline p;
    xn_pipeline_get(created, &p);
    H5Pclose(created);
    size_t used = 0;
    for (int i = 0; i < p.n && used < room; i++) {
        const xn_filter *f = &p.filter[i];
        const char *name = xn_filter_name(f->id), *plus = used ? "+" : "";
        int n = name ? snprintf(text + used, room - used, "%s%s", plus, name)
                     : snprintf(text + used, room - used, "%sfilter %d", plus, f->id);
        used += n > 0 ? (size_t)n : 0;
        if (f->id == XN_FILTER_BITSHUFFLE && f->n_values > 4 && f->values[4] != 0 && used < room) {
            n = snprintf(text + used, room - used, "%s", f->values[4] == 2 ? "+lz4" : "+zstd");
            used += n > 0 ? (size_t)n : 0;
        }
    }
}
