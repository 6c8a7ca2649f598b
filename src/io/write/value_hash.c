// SPDX-License-Identifier: BSD-3-Clause
// value_hash.c -- see value_hash.h.  Y. Collet, XXH3 (xxhash.com); 64 bits, which finds accidents, not forgery.
#include "io/write/value_hash.h"

#include <string.h>
#include <xxhash.h>

struct xn_value_hash {
    size_t row_bytes, line_bytes;
    int64_t lines;       // of a row; 0: all rows together are one line
    XXH3_state_t *line;  // that one
    uint64_t all, *hash; // hash: room for the lines of some rows
    size_t room;
};

static uint64_t chain(uint64_t hash, uint64_t before) { return XXH3_64bits_withSeed(&hash, sizeof hash, before); }

xn_value_hash *xn_value_hash_open(size_t elem, int rank, const int64_t *dims)
{
    xn_value_hash *h = xn_calloc(1, sizeof *h);
    if (h == NULL) return NULL;
    h->line_bytes = (rank > 1 ? (size_t)dims[rank - 1] : 1) * elem;
    if (rank > 1) h->lines = 1;
    for (int i = 1; i < rank - 1; i++) h->lines *= dims[i];
    h->row_bytes = (rank > 1 ? (size_t)h->lines : 1) * h->line_bytes;
    if (rank > 1) return h;
    h->line = XXH3_createState();
    if (h->line == NULL) return xn_free(h), NULL;
    XXH3_64bits_reset(h->line);
    return h;
}

int64_t xn_value_hash_lines_of(const xn_value_hash *h, int64_t n) { return n * h->lines; }

void xn_value_hash_lines(const xn_value_hash *h, const void *rows, int64_t n, uint64_t *lines)
{
    for (int64_t i = 0; i < n * h->lines; i++)
        lines[i] = XXH3_64bits((const char *)rows + (size_t)i * h->line_bytes, h->line_bytes);
}

void xn_value_hash_chain(xn_value_hash *h, const uint64_t *lines, int64_t n)
{
    for (int64_t i = 0; i < n; i++) h->all = chain(lines[i], h->all);
}

bool xn_value_hash_rows(xn_value_hash *h, const void *rows, int64_t n, int threads)
{
    if (h->line) return XXH3_64bits_update(h->line, rows, (size_t)n * h->row_bytes) == XXH_OK;
    int64_t lines = n * h->lines;
    if ((size_t)lines > h->room) {
        xn_free(h->hash);
        h->hash = xn_alloc((size_t)lines, sizeof *h->hash);
        h->room = h->hash ? (size_t)lines : 0;
        if (h->hash == NULL) return false;
    }
#pragma omp parallel for num_threads(threads)                                                                          \
    schedule(static) if (threads > 1 && (size_t)lines * h->line_bytes > 1 << 20)
    for (int64_t i = 0; i < lines; i++)
        h->hash[i] = XXH3_64bits((const char *)rows + (size_t)i * h->line_bytes, h->line_bytes);
    xn_value_hash_chain(h, h->hash, lines);
    return true;
}

uint64_t xn_value_hash_get(const xn_value_hash *h) { return h->line ? chain(XXH3_64bits_digest(h->line), 0) : h->all; }

void xn_value_hash_close(xn_value_hash **hash)
{
    xn_value_hash *h = *hash;
    if (h == NULL) return;
    XXH3_freeState(h->line);
    xn_free(h->hash);
    xn_free(h);
    *hash = NULL;
}

uint64_t xn_hash_values(const void *values, xn_type type, int rank, const int64_t *dims)
{
    int64_t n = 1;
    size_t bytes = (rank ? (size_t)dims[rank - 1] : 1) * xn_type_size(type);
    for (int i = 0; i < rank - 1; i++) n *= dims[i];
    uint64_t all = 0;
    for (int64_t i = 0; i < n; i++) all = chain(XXH3_64bits((const char *)values + (size_t)i * bytes, bytes), all);
    return all;
}

uint64_t xn_hash_texts(const char *const *texts, int64_t n)
{
    uint64_t all = 0;
    for (int64_t i = 0; i < n; i++) all = XXH3_64bits_withSeed(texts[i], strlen(texts[i]) + 1, all);
    return all;
}
