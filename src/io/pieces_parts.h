// SPDX-License-Identifier: BSD-3-Clause
// pieces_parts.h -- what describing pieces (pieces.c) and reading them (pieces_read.c) share.
//
// 16 bytes are kept for a piece, 16 more for each of its chunks.
#ifndef XN_IO_PIECES_PARTS_H
#define XN_IO_PIECES_PARTS_H

#include <pthread.h>

#include "io/pieces.h"

enum { XN_PIECE_AT, XN_PIECE_IN_MEMORY, XN_PIECE_IN_CHUNKS, XN_PIECE_OTHER }; // xn_piece.kind

typedef struct {
    int64_t at; // offset in the file; of `memory`; first chunk; array
    int32_t file;
    uint8_t kind, n_chunks;
} xn_piece;

typedef struct {
    int64_t offset;
    uint32_t bytes, mask;
} xn_stored;

typedef struct xn_hand { // what a thread decodes with
    struct xn_hand *next;
    xn_codec *codec;
    uint8_t *bytes, *block;
} xn_hand;

struct xn_pieces {
    xn_pieces_info info;
    xn_array_options how;
    hid_t type; // of the first
    size_t elem;
    bool swap, any;
    xn_file **file;
    int n_files;
    xn_piece *piece;
    int64_t room;
    // chunks of whole rows
    xn_pipeline pipeline;
    char filters[128];
    int64_t chunk_rows;
    size_t row_bytes, largest; // of a stored chunk
    xn_stored *chunk;
    int64_t n_chunks, chunks_room;
    uint8_t *memory;
    size_t memory_bytes;
    xn_array **other;
    int64_t others_room;
    pthread_mutex_t lock; // of the idle hands
    xn_hand *idle;
};

void xn_hand_free(xn_hand *h);

#endif
