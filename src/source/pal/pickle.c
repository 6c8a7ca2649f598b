// SPDX-License-Identifier: BSD-3-Clause
// pickle.c -- names of columns that PyTables keeps as a pickled Python list beside a table.
//
// A pickle is a program for a machine with a stack; only the instructions that a list of texts and whole numbers
// consists of are understood (Python's Lib/pickletools.py describes all), and none that makes or calls anything.
// Protocol 0, which PyTables writes, is text:
//
//   (lp0\nVdelay_value\np1\naVRATE_HX_30HZ\np2\na.      list, text, append, text, append, stop
//
// PyTables stores attributes with embedded NULs cut; protocol 0 has none.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/pal/frame.h"

typedef struct {
    const char *at, *end;
    char **list;
    int64_t n;
} reader;

// Takes the rest of the line; false: it does not end.
static bool line(reader *r, const char **text, size_t *n)
{
    const char *end = memchr(r->at, '\n', (size_t)(r->end - r->at));
    if (end == NULL) return false;
    *text = r->at;
    *n = (size_t)(end - r->at);
    r->at = end + 1;
    return true;
}

// Takes an unsigned number of `bytes` bytes, the lowest first.
static bool number(reader *r, int bytes, size_t *n)
{
    *n = 0;
    if (r->end - r->at < bytes) return false;
    for (int i = 0; i < bytes; i++) *n |= (size_t)(uint8_t)r->at[i] << (8 * i);
    r->at += bytes;
    return true;
}

static bool skip(reader *r, size_t n)
{
    if ((size_t)(r->end - r->at) < n) return false;
    r->at += n;
    return true;
}

static bool add(reader *r, const char *text, size_t n)
{
    char **p = xn_realloc(r->list, (size_t)r->n + 2, sizeof *p);
    if (p == NULL) return false;
    r->list = p;
    p[r->n] = xn_format("%.*s", (int)n, text);
    p[r->n + 1] = NULL;
    return p[r->n++] != NULL;
}

// Text that follows its length of `bytes` bytes.
static bool add_counted(reader *r, int bytes)
{
    size_t n;
    if (!number(r, bytes, &n) || n > (size_t)(r->end - r->at)) return false;
    const char *text = r->at;
    return skip(r, n) && add(r, text, n);
}

static bool add_number(reader *r, int bytes)
{
    char text[32];
    size_t n;
    if (!number(r, bytes, &n)) return false;
    long long value = bytes == 4 ? (long long)(int32_t)(uint32_t)n : (long long)n;
    return add(r, text, (size_t)snprintf(text, sizeof text, "%lld", value));
}

static bool add_line(reader *r, char kind)
{
    const char *text;
    size_t n;
    if (!line(r, &text, &n)) return false;
    if (kind == 'S' && n >= 2 && (text[0] == '\'' || text[0] == '"') && text[n - 1] == text[0]) { // quoted
        text++;
        n -= 2;
    }
    if (kind == 'L' && n > 0 && text[n - 1] == 'L') n--;
    return memchr(text, '\\', n) == NULL && add(r, text, n); // escapes stand for what no channel's name holds
}

// One instruction; *stop at the last.
static bool step(reader *r, bool *stop)
{
    const char *text;
    size_t n;
    char op = *r->at++;
    switch (op) {
    case '.': // stop
        return *stop = true;
    case 'V': // text, and numbers, as lines
    case 'S':
    case 'I':
    case 'L':
        return add_line(r, op);
    case 'X':
        return add_counted(r, 4);
    case 'U':
    case (char)0x8c:
        return add_counted(r, 1);
    case 'K':
        return add_number(r, 1);
    case 'M':
        return add_number(r, 2);
    case 'J':
        return add_number(r, 4);
    case '(': // a mark, lists, appending to them; what is memorised
    case 'l':
    case ']':
    case 'a':
    case 'e':
    case (char)0x94:
        return true;
    case 'p':
        return line(r, &text, &n);
    case 'q':
    case (char)0x80: // protocol
        return skip(r, 1);
    case 'r':
        return skip(r, 4);
    case (char)0x95: // frame
        return skip(r, 8);
    default:
        return false;
    }
}

char **xn_pickled_names(const char *bytes, size_t n, int64_t *count)
{
    reader r = {bytes, bytes + n, NULL, 0};
    bool stop = false, good = true;
    *count = 0;
    while (good && !stop) good = r.at < r.end && step(&r, &stop);
    if (good && r.list == NULL) r.list = xn_calloc(1, sizeof *r.list);
    if (good) return *count = r.n, r.list;
    xn_h5_names_free(r.list);
    return NULL;
}
