// SPDX-License-Identifier: BSD-3-Clause
// target_index.c -- the walk of a chunk index ends, and what it finds lies in the file.
//
// Input: axes (1 byte), bytes of an element (1), flags (1: filtered, user block, checksums believed), address of the
// object header (2); for each axis extent (2), chunk (1), largest extent (1: 0 as the extent, 255 unlimited); then the
// file.
#include "fuzz.h"
#include "io/index/chunk_index.h"
#include "io/index/lookup3.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    fuzz_input in = {data, n};
    xn_chunk_map map = {.rank = 1 + fuzz_byte(&in) % 5, .chunk_bytes = 1u << fuzz_byte(&in) % 4, .n = 1};
    unsigned flags = fuzz_byte(&in);
    uint64_t address = fuzz_number(&in, 2);
    for (int i = 0; i < map.rank; i++) {
        map.dims[i] = fuzz_number(&in, 2);
        map.chunk[i] = 1 + fuzz_byte(&in);
        int more = fuzz_byte(&in);
        map.most[i] = more == 255 ? -1 : map.dims[i] + more;
        map.grid[i] = (map.dims[i] + map.chunk[i] - 1) / map.chunk[i];
        map.chunk_bytes *= (size_t)map.chunk[i]; // below 2^43
        // as xn_chunk_map_make: no more chunks than the file has bytes
        if (map.grid[i] > 0 && map.n > (int64_t)n / map.grid[i]) return 0;
        map.n *= map.grid[i];
    }
    uint8_t *bytes = fuzz_rest(&in);
    xn_chunk_file f = {.fd = -1, .base = flags & 2 ? 512 : 0, .bytes = (int64_t)in.n, .memory = bytes};
    map.table = calloc((size_t)map.n + 1, sizeof *map.table);
    xn_lookup3_believe(flags & 4);
    if (f.base <= f.bytes && xn_chunk_walk(&map, &f, address, flags & 1))
        for (int64_t i = 0; i < map.n; i++) {
            const xn_chunk *c = &map.table[i];
            if (c->bytes > 0) FUZZ_HOLDS(c->offset >= f.base && c->offset <= f.bytes);
        }
    free(map.table);
    free(bytes);
    return 0;
}
