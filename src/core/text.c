// SPDX-License-Identifier: BSD-3-Clause
// text.c -- texts of any bytes, as names of files may be, where only some texts can go: JSON, a line of limited length.
#include "core/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Bytes of the UTF-8 character that begins there, 0: none does.
static size_t character(const char *s)
{
    for (size_t n = 1; n <= 4 && s[n - 1] != '\0'; n++) {
        json_t *one = json_stringn(s, n); // knows what is valid
        json_decref(one);
        if (one != NULL) return n;
    }
    return 0;
}

char *xani_utf8(const char *text)
{
    char *out = text != NULL ? xn_alloc(strlen(text) + 1, 4) : NULL, *end = out;
    while (out != NULL && *text != '\0') {
        const size_t n = character(text);
        if (n > 0) {
            memcpy(end, text, n);
            end += n;
        } else {
            end += snprintf(end, 5, "\\x%02x", (unsigned)(unsigned char)*text);
        }
        text += n > 0 ? n : 1;
    }
    if (out != NULL) *end = '\0';
    return out;
}

json_t *xn_json_text(const char *text)
{
    char *valid = xani_utf8(text);
    json_t *string = valid != NULL ? json_string(valid) : NULL;
    xn_free(valid);
    return string;
}

static bool continues(char c) { return ((unsigned char)c & 0xc0) == 0x80; }

void xn_text_fit(char *to, size_t size, const char *fmt, va_list args)
{
    static const char gap[] = " … ";
    char *all = NULL;
    va_list again;
    va_copy(again, args);
    const int n = vsnprintf(to, size, fmt, args);
    if (n >= 0 && (size_t)n >= size && vasprintf(&all, fmt, again) >= 0) {
        size_t head = (size - sizeof gap) / 2, tail = (size_t)n - (size - sizeof gap - head);
        while (head > 0 && continues(all[head])) head--;
        while (continues(all[tail])) tail++;
        memcpy(to + head, gap, sizeof gap - 1);
        memcpy(to + head + sizeof gap - 1, all + tail, (size_t)n - tail + 1);
        free(all);
    }
    va_end(again);
}
