// SPDX-License-Identifier: BSD-3-Clause
// pread.c -- reading by pread(2) in the thread that asks: what is in the page cache costs one copy and nothing else.
//
// There is no queue in the system behind it, so a read waits in line until `next` does it.
#include <errno.h>

#include "reader/line.h"

static bool works(char why[160])
{
    why[0] = '\0';
    return true;
}

static xn_reader *open_reader(int depth, size_t largest) { return xn_line_open(&xn_reader_pread, depth, largest); }

static xn_read *next(xn_reader *reader)
{
    xn_read *read = xn_line_take(reader);
    if (read == NULL) return NULL;
    uint8_t *to = xn_line_room(reader, read);
    read->error = to ? xn_file_read(read->file, read->offset, to, read->bytes) : ENOMEM;
    read->data = read->error ? NULL : to;
    if (read->dst != NULL) xn_line_release(reader, read);
    return read;
}

const xn_reader_ops xn_reader_pread = {"pread",        works, open_reader,    xn_line_close,
                                       xn_line_submit, next,  xn_line_release};
