// SPDX-License-Identifier: BSD-3-Clause
// reader_common.h -- files whose every byte is known, for the tests of reading.
//
// Byte i of file k is a function of both, so that bytes of the wrong place or the wrong file are told from right ones.
#ifndef XN_READER_COMMON_H
#define XN_READER_COMMON_H

#include "test.h"

#include "reader/reader.h"

static inline uint8_t reader_content(int file, int64_t i)
{
    return (uint8_t)(((uint64_t)i * 2654435761u >> 13) ^ ((uint64_t)file * 37));
}

static inline bool reader_right(int file, int64_t offset, const uint8_t *data, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (data[i] != reader_content(file, offset + (int64_t)i)) return false;
    return true;
}

// A new file in the scratch folder of the test; its name is valid for three further calls.
static inline const char *reader_file(const char *folder, int file, int64_t bytes)
{
    static char path[4][600];
    static int turn;
    char *name = path[turn++ & 3];
    snprintf(name, sizeof path[0], "%s/%d.bin", xn_test_dir(folder), file);
    uint8_t *data = malloc((size_t)bytes + 1);
    for (int64_t i = 0; i < bytes; i++) data[i] = reader_content(file, i);
    unlink(name);
    FILE *f = fopen(name, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(data, 1, (size_t)bytes, f), (size_t)bytes);
    fclose(f);
    free(data);
    return name;
}

// The index-th way of reading that works here; those that do not are counted as skipped. NULL past the end.
static inline const xn_reader_ops *reader_working(int *index)
{
    const xn_reader_ops *ops;
    char why[160];
    while ((ops = xn_reader_at((*index)++)) != NULL && !ops->works(why)) xn_skip(why);
    return ops;
}

#endif
