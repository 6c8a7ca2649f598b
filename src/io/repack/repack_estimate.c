// SPDX-License-Identifier: BSD-3-Clause
// repack_estimate.c -- how large the output would be, from a few chunks of each dataset.
//
// Up to SAMPLES chunks, evenly spread, are read and encoded as they would be; the mean of their sizes stands for all.
// Without filters the size is known.  What the file needs beside the chunks (indexes, headers, padding to 4096 bytes)
// is counted by chunk.
#include <string.h>

#include "codec/encode.h"
#include "io/repack/repack_parts.h"

enum { SAMPLES = 8, ALIGN = 4096, PER_CHUNK = 24 };

typedef struct {
    xn_pipeline pipeline;
    xn_codec *codec;
    uint8_t *values, *stored;
    size_t bytes;
} room;

static int64_t chunks_along(const xn_repack_item *it, int k) { return (it->out[k] + it->chunk[k] - 1) / it->chunk[k]; }

static xani_status sample(xn_repack_job *job, const xn_repack_item *it, xn_array *array, int64_t index, room *m,
                          size_t *stored)
{
    xn_selection part;
    xn_selection_all(array, &part);
    bool whole = true;
    for (int k = it->rank - 1; k >= 0; k--) {
        int64_t at = index % chunks_along(it, k) * it->chunk[k];
        index /= chunks_along(it, k);
        part.start[k] = at + (k == 0 ? it->first : 0);
        part.count[k] = xn_min64(it->chunk[k], it->out[k] - at);
        whole = whole && part.count[k] == it->chunk[k];
    }
    if (!whole) memset(m->values, 0, m->bytes); // an edge: about as large
    XN_TRY(xn_array_read(job->ctx, array, &part, it->type, m->values, job->threads));
    const char *why = xn_pipeline_encode(m->codec, &m->pipeline, m->values, m->bytes, m->stored, stored);
    if (why == xn_codec_no_memory) return xn_fail_memory(job->ctx, it->node->path, m->bytes);
    return why ? xn_fail(job->ctx, XANI_ERR_INTERNAL, "%s: %s", it->node->path, why) : XANI_OK;
}

static xani_status sample_all(xn_repack_job *job, xn_repack_item *it, xn_array *array, room *m)
{
    int64_t n = 1, taken = 0, sum = 0;
    for (int k = 0; k < it->rank; k++) n *= chunks_along(it, k);
    int64_t samples = xn_min64(n, SAMPLES);
    for (int64_t i = 0; i < samples; i++) {
        int64_t index = n * (2 * i + 1) / (2 * samples);
        size_t stored = 0;
        if (it->missing && it->missing[index]) continue;
        XN_TRY(xn_check_interrupt(job->ctx));
        XN_TRY(sample(job, it, array, index, m, &stored));
        sum += (int64_t)(stored + ALIGN - 1) / ALIGN * ALIGN;
        taken++;
    }
    it->expected = (n - it->n_missing) * ((taken ? sum / taken : (int64_t)m->bytes) + PER_CHUNK);
    return XANI_OK;
}

static xani_status estimate(xn_repack_job *job, xn_repack_item *it)
{
    size_t elem = xn_type_size(it->type);
    room m = {.bytes = elem, .codec = xn_codec_open()};
    xn_pipeline_named(job->options->filter, job->options->level, elem, &m.pipeline);
    for (int k = 0; k < it->rank; k++) m.bytes *= (size_t)it->chunk[k];
    m.values = xn_alloc(m.bytes, 1);
    m.stored = xn_alloc(xn_pipeline_bound(&m.pipeline, m.bytes), 1);
    xn_array *array = NULL;
    const xn_array_options how = {.threads = job->threads, .fill = it->missing != NULL};
    xani_status st = m.codec && m.values && m.stored ? XANI_OK : xn_fail_memory(job->ctx, it->node->path, 2 * m.bytes);
    if (st == XANI_OK)
        st = xn_array_open(job->ctx, job->inputs, it->along ? job->n_inputs : 1, it->node->path, &how, &array);
    if (st == XANI_OK) st = sample_all(job, it, array, &m);
    xn_array_close(&array);
    xn_free(m.values);
    xn_free(m.stored);
    xn_codec_close(&m.codec);
    return st;
}

xani_status xn_repack_estimate(xn_repack_job *job)
{
    for (int64_t i = 0; i < job->n_items; i++)
        if (job->item[i].how == XN_REPACK_CHUNKS) XN_TRY(estimate(job, &job->item[i]));
    return XANI_OK;
}
