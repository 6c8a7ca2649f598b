// SPDX-License-Identifier: BSD-3-Clause
// repack_virtual.c -- datasets of the output that refer to the inputs instead of holding values.
//
// One mapping per input, of whole rows.  Sources are named relative to the folder of the output, so that the whole tree
// can be moved; the library looks there before it looks in the working folder.  A percent sign in a name is doubled:
// the library takes it for the number of a block.  What a mapping gives is checked with the first and the last row of
// each input; values in between are the source's own by construction.
#include <stdlib.h>
#include <string.h>

#include "io/index/virtual.h"
#include "io/repack/repack_parts.h"

// Canonical path of the folder that holds `path`; malloc'd.
static char *folder_of(const char *path)
{
    char *folder = xn_io_folder(path), *real = folder ? realpath(folder, NULL) : NULL;
    xn_free(folder);
    return real;
}

// Both absolute, without "." and "..": how to get from the folder to the file.
static char *way(const char *folder, const char *file)
{
    size_t same = 0; // length of the common part, up to a slash
    for (size_t i = 0; folder[i] && folder[i] == file[i]; i++)
        if (folder[i] == '/') same = i + 1;
    size_t n = strlen(folder);
    if (strncmp(folder, file, n) == 0 && file[n] == '/') same = n + 1;
    char *text = xn_strdup("");
    for (const char *p = folder + xn_min64((int64_t)same, (int64_t)n); text && *p;) { // one step up per part left
        const char *end = strchr(p, '/');
        char *longer = xn_format("../%s", text);
        xn_free(text);
        text = longer;
        p = end ? end + 1 : p + strlen(p);
    }
    char *all = text ? xn_format("%s%s", text, file + same) : NULL;
    xn_free(text);
    return all;
}

char *xn_repack_relative(const char *output, const char *input)
{
    char *folder = folder_of(output), *file = realpath(input, NULL);
    char *name = folder && file ? way(strcmp(folder, "/") == 0 ? "" : folder, file) : NULL;
    if (name && folder && strcmp(folder, "/") == 0) { // everything is below it
        xn_free(name);
        name = xn_strdup(file + 1);
    }
    free(folder);
    free(file);
    return name;
}

static char *escaped(const char *name)
{
    size_t n = 1;
    for (const char *p = name; *p; p++) n += *p == '%' ? 2 : 1;
    char *text = xn_alloc(n, 1), *out = text;
    for (const char *p = name; text && *p; p++) {
        if (*p == '%') *out++ = '%';
        *out++ = *p;
    }
    if (text) *out = '\0';
    return text;
}

static hid_t rows_of(int rank, const int64_t *dims, int64_t all, int64_t first, int64_t n)
{
    hsize_t extent[XANI_MAX_RANK], start[XANI_MAX_RANK] = {0}, count[XANI_MAX_RANK];
    for (int k = 0; k < rank; k++) extent[k] = count[k] = (hsize_t)dims[k];
    extent[0] = (hsize_t)all;
    start[0] = (hsize_t)first;
    count[0] = (hsize_t)n;
    hid_t space = H5Screate_simple(rank, extent, NULL);
    if (space >= 0) H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL);
    return space;
}

typedef struct {
    int64_t first, n, at; // rows of the input; row of the output
} share;

// What input i gives; begin: rows of those before it.
static share share_of(const xn_repack_job *job, int i, int64_t begin)
{
    int64_t first = xn_max64(job->first - begin, 0), last = xn_min64(job->last - begin, job->rows[i]);
    return (share){first, xn_max64(last - first, 0), begin + first - job->first};
}

static bool map_input(xn_repack_job *job, const xn_repack_item *it, int i, share s, hid_t created)
{
    char *relative = xn_repack_relative(job->output, job->inputs[i]);
    char *name = relative ? escaped(relative) : NULL, *dataset = escaped(it->node->path);
    hid_t to = rows_of(it->rank, it->out, it->out[0], s.at, s.n);
    hid_t from = rows_of(it->rank, it->out, job->rows[i], s.first, s.n);
    bool good = name && dataset && to >= 0 && from >= 0 && H5Pset_virtual(created, to, name, dataset, from) >= 0;
    if (to >= 0) H5Sclose(to);
    if (from >= 0) H5Sclose(from);
    xn_free(relative);
    xn_free(name);
    xn_free(dataset);
    return good;
}

bool xn_repack_mappings(xn_repack_job *job, const xn_repack_item *it, hid_t created)
{
    int64_t begin = 0;
    bool good = true;
    for (int i = 0; good && i < job->n_inputs; begin += job->rows[i++]) {
        share s = share_of(job, i, begin);
        if (s.n > 0) good = map_input(job, it, i, s, created);
    }
    return good;
}

xani_status xn_repack_virtual(xn_repack_job *job, const xn_repack_item *it)
{
    hid_t from;
    XN_TRY(xn_h5_dataset(job->ctx, job->file, it->node->path, &from));
    hid_t dataset = xn_repack_make(job, it, from);
    H5Dclose(from);
    if (dataset >= 0 && H5Dclose(dataset) >= 0) return xn_writer_status(job->writer);
    return job->writer->status != XANI_OK ? job->writer->status : XANI_ERR_OUTPUT;
}

// ---- checked

// One row of the output and of its source: equal?
static xani_status same_row(xn_repack_job *job, const xn_repack_item *it, xn_array *output, xn_array *input, int64_t to,
                            int64_t from, uint8_t *row, int i)
{
    size_t bytes = (size_t)(it->bytes / it->out[0]);
    xn_selection all;
    xn_selection_all(output, &all);
    all.count[0] = 1;
    all.start[0] = to;
    XN_TRY(xn_array_read(job->ctx, output, &all, it->type, row, job->threads));
    all.start[0] = from;
    XN_TRY(xn_array_read(job->ctx, input, &all, it->type, row + bytes, job->threads));
    if (memcmp(row, row + bytes, bytes) == 0) return XANI_OK;
    return xn_fail(job->ctx, XANI_ERR_OUTPUT, "%s: cannot be written: %s is not what %s has in row %lld", job->output,
                   it->node->path, job->inputs[i], (long long)from);
}

static xani_status check_input(xn_repack_job *job, const xn_repack_item *it, xn_array *output, int i, share s,
                               uint8_t *row)
{
    xn_array *input = NULL;
    const xn_array_options how = {.threads = job->threads, .fill = true};
    XN_TRY(xn_array_open(job->ctx, &job->inputs[i], 1, it->node->path, &how, &input));
    xani_status st = same_row(job, it, output, input, s.at, s.first, row, i);
    if (st == XANI_OK) st = same_row(job, it, output, input, s.at + s.n - 1, s.first + s.n - 1, row, i);
    xn_array_close(&input);
    return st;
}

xani_status xn_repack_check_virtual(xn_repack_job *job, const xn_h5 *file, const xn_repack_item *it)
{
    xn_array *output = NULL;
    const xn_array_options how = {.threads = job->threads, .fill = false};
    XN_TRY(xn_array_open(job->ctx, (const char *const[]){file->path}, 1, it->node->path, &how, &output));
    uint8_t *row = it->out[0] ? xn_alloc(2, (size_t)(it->bytes / it->out[0]) + 1) : NULL;
    xani_status st = row ? XANI_OK : xn_fail_memory(job->ctx, it->node->path, (size_t)it->bytes);
    int64_t begin = 0;
    for (int i = 0; st == XANI_OK && i < job->n_inputs; begin += job->rows[i++]) {
        share s = share_of(job, i, begin);
        if (s.n > 0) st = check_input(job, it, output, i, s, row);
    }
    xn_free(row);
    xn_array_close(&output);
    return st;
}
