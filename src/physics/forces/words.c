// SPDX-License-Identifier: BSD-3-Clause
// words.c -- numbers and words of a text file, with the line for messages: see supercell.h.
//
// Fortran's exponents (1.0D-03) are read too.
#include <ctype.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "physics/forces/supercell.h"

#define BYTES_MOST ((size_t)1 << 30)

xani_status xn_words_open(xn_ctx *ctx, const char *path, xn_words *w)
{
    size_t bytes = 0;
    *w = (xn_words){.ctx = ctx, .path = path, .line = 1};
    XN_TRY(xn_file_text(ctx, path, BYTES_MOST, XANI_ERR_INPUT, &w->text, &bytes));
    w->at = w->text;
    return XANI_OK;
}

void xn_words_close(xn_words *w)
{
    xn_free(w->text);
    w->text = w->at = NULL;
}

xani_status xn_words_bad(xn_words *w, const char *what)
{
    return xn_fail(w->ctx, XANI_ERR_INPUT, "%s:%d: %s", w->path, w->line, what);
}

static void skip_blanks(xn_words *w)
{
    for (; isspace((unsigned char)*w->at); w->at++) w->line += *w->at == '\n';
}

xani_status xn_words_number(xn_words *w, double *value)
{
    char word[64];
    size_t n = 0;
    skip_blanks(w);
    while (n + 1 < sizeof word && w->at[n] != '\0' && !isspace((unsigned char)w->at[n])) {
        char c = w->at[n];
        word[n++] = c == 'D' || c == 'd' ? 'e' : c;
    }
    word[n] = '\0';
    if (n == 0) return xn_words_bad(w, "the file ends, a number is missing");
    char *end = NULL;
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (plain == (locale_t)0) return xn_fail_memory(w->ctx, w->path, n);
    *value = strtod_l(word, &end, plain);
    freelocale(plain);
    if (*end != '\0' || !isfinite(*value))
        return xn_fail(w->ctx, XANI_ERR_INPUT, "%s:%d: '%s' is no number", w->path, w->line, word);
    w->at += n;
    return XANI_OK;
}

xani_status xn_words_numbers(xn_words *w, double *values, int64_t n)
{
    for (int64_t i = 0; i < n; i++) XN_TRY(xn_words_number(w, &values[i]));
    return XANI_OK;
}

xani_status xn_words_whole(xn_words *w, int least, int most, int *value)
{
    double x = 0;
    XN_TRY(xn_words_number(w, &x));
    if (x != rint(x) || x < least || x > most)
        return xn_fail(w->ctx, XANI_ERR_INPUT, "%s:%d: %g is no whole number from %d to %d", w->path, w->line, x, least,
                       most);
    *value = (int)x;
    return XANI_OK;
}

char *xn_words_line(xn_words *w)
{
    if (*w->at == '\0') return NULL;
    char *line = w->at;
    size_t n = strcspn(line, "\n");
    w->at += n;
    if (*w->at == '\n') {
        *w->at++ = '\0';
        w->line++;
    }
    if (n > 0 && line[n - 1] == '\r') line[n - 1] = '\0';
    return line;
}
