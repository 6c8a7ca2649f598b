// SPDX-License-Identifier: BSD-3-Clause
// term.c -- the text of a reading taken apart: see term.h.
//
// Channel names of the facilities hold colons, slashes, dots, minus and plus signs (SAR-CVME-TIFALL5:EvtSet), so that
// an operator counts only between blanks.
#include "source/shots/term.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/shots/channel.h"

// The first " + " or " - " of the text, or its end.
static const char *term_end(const char *s)
{
    for (; *s != '\0'; s++)
        if (s[0] == ' ' && (s[1] == '+' || s[1] == '-') && s[2] == ' ') return s;
    return s;
}

// "0.5 * NAME": takes the factor off; without one nothing.
static void take_factor(const char **s, const char *end, xn_term *t)
{
    char *after;
    double factor = strtod(*s, &after);
    if (after == *s || after + 3 > end || strncmp(after, " * ", 3) != 0) return;
    t->factor *= factor;
    *s = after + 3;
}

// "NAME[3]" or "sum(NAME)": the column; n: length of what is left of the name.
static bool take_column(const char **s, size_t *n, xn_term *t)
{
    if (*n > 5 && strncmp(*s, "sum(", 4) == 0 && (*s)[*n - 1] == ')') {
        t->column = XN_COLUMN_SUM;
        *s += 4;
        *n -= 5;
        return true;
    }
    if (*n < 4 || (*s)[*n - 1] != ']') return true;
    size_t open = *n - 1;
    while (open > 0 && (*s)[open] != '[') open--;
    char *after;
    errno = 0;
    long long column = strtoll(*s + open + 1, &after, 10);
    if (open == 0 || after != *s + *n - 1 || errno != 0 || column < 0) return false;
    t->column = column;
    *n = open;
    return true;
}

xani_status xn_reading_parse(xn_ctx *ctx, const xn_config *config, const char *key, const char *text, xn_reading *r)
{
    r->n = 0;
    double sign = 1.0;
    for (const char *s = text; s != NULL;) {
        if (r->n == XN_TERMS) return xn_config_bad(ctx, config, key, "'%s' has more than %d terms", text, XN_TERMS);
        xn_term *t = &r->term[r->n++];
        *t = (xn_term){.factor = sign};
        const char *end = term_end(s);
        while (*s == ' ') s++;
        take_factor(&s, end, t);
        size_t n = s < end ? (size_t)(end - s) : 0;
        while (n > 0 && s[n - 1] == ' ') n--;
        if (!take_column(&s, &n, t) || n == 0 || n >= sizeof t->name || !isfinite(t->factor))
            return xn_config_bad(ctx, config, key, "'%s' is no reading: write NAME, NAME[3], sum(NAME), A + B or 2 * A",
                                 text);
        snprintf(t->name, sizeof t->name, "%.*s", (int)n, s);
        sign = end[0] != '\0' && end[1] == '-' ? -1.0 : 1.0;
        s = end[0] != '\0' ? end + 3 : NULL;
    }
    return XANI_OK;
}
