// SPDX-License-Identifier: BSD-3-Clause
// config_table.c -- the table of settings made from config.def, strict numbers, the nearest key.
//
// Numbers are read strictly, because loose readers take "50 fs" for 50 and 010 for 8, which is
// dangerous in a program about units, and in the "C" locale, because the calling program may have set
// one with a decimal comma.  The nearest key is found by edit distance (Levenshtein, Soviet Physics
// Doklady 10, 707, 1966).
#include "core/config_node.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROW(k, t, n, lo, hi, up, word, ch, def, h)                                                                     \
    {.key = (k),                                                                                                       \
     .type = (t),                                                                                                      \
     .count = (n),                                                                                                     \
     .min = (lo),                                                                                                      \
     .max = (hi),                                                                                                      \
     .ascending = (up),                                                                                                \
     .short_form = (word),                                                                                             \
     .choices = (ch),                                                                                                  \
     .fallback = (def),                                                                                                \
     .help = (h)},
#define LOW(x) ((x) == INFINITY ? -INFINITY : (x)) // XN_ANY serves at both ends
#define XN_MAP(k, h) ROW(k, XN_SET_MAP, 0, 0, 0, false, false, NULL, NULL, h)
#define XN_MAP_OR_WORD(k, h) ROW(k, XN_SET_MAP, 0, 0, 0, false, true, NULL, NULL, h)
#define XN_LIST(k, h) ROW(k, XN_SET_LIST, 0, 0, 0, false, false, NULL, NULL, h)
#define XN_LIST_OR_WORDS(k, h) ROW(k, XN_SET_LIST, 0, 0, 0, false, true, NULL, NULL, h)
#define XN_LIST_BY_NAME(k, h) ROW(k, XN_SET_LIST, 1, 0, 0, false, false, NULL, NULL, h)
#define XN_TEXT(k, d, h) ROW(k, XN_SET_TEXT, 0, 0, 0, false, false, NULL, d, h)
#define XN_PATH(k, d, h) ROW(k, XN_SET_PATH, 0, 0, 0, false, false, NULL, d, h)
#define XN_TEXTS(k, h) ROW(k, XN_SET_TEXTS, 0, 0, 0, false, false, NULL, NULL, h)
#define XN_PATHS(k, h) ROW(k, XN_SET_PATHS, 0, 0, 0, false, false, NULL, NULL, h)
#define XN_CHOICE(k, ch, d, h) ROW(k, XN_SET_CHOICE, 0, 0, 0, false, false, ch, d, h)
#define XN_FLAG(k, d, h) ROW(k, XN_SET_BOOL, 0, 0, 0, false, false, NULL, d, h)
#define XN_NUMBER(k, lo, hi, d, h) ROW(k, XN_SET_NUMBER, 0, LOW(lo), hi, false, false, NULL, d, h)
#define XN_INT(k, lo, hi, d, h) ROW(k, XN_SET_INT, 0, LOW(lo), hi, false, false, NULL, d, h)
#define XN_NUMBERS(k, n, lo, hi, d, h) ROW(k, XN_SET_NUMBERS, n, LOW(lo), hi, false, false, NULL, d, h)
#define XN_INTS(k, n, lo, hi, d, h) ROW(k, XN_SET_INTS, n, LOW(lo), hi, false, false, NULL, d, h)
#define XN_SPAN(k, lo, hi, h) ROW(k, XN_SET_NUMBERS, 2, LOW(lo), hi, true, false, NULL, NULL, h)
#define XN_INCREASING(k, lo, hi, h) ROW(k, XN_SET_NUMBERS, 0, LOW(lo), hi, true, false, NULL, NULL, h)
#define XN_FORMS(k, f)

static const xn_setting settings[] = {
#include "core/config.def"
};
#define N_SETTINGS ((int)(sizeof settings / sizeof settings[0]))

#undef XN_MAP
#undef XN_MAP_OR_WORD
#undef XN_LIST
#undef XN_LIST_OR_WORDS
#undef XN_LIST_BY_NAME
#undef XN_TEXT
#undef XN_PATH
#undef XN_TEXTS
#undef XN_PATHS
#undef XN_CHOICE
#undef XN_FLAG
#undef XN_NUMBER
#undef XN_INT
#undef XN_NUMBERS
#undef XN_INTS
#undef XN_SPAN
#undef XN_INCREASING
#undef XN_FORMS
#define XN_MAP(k, h)
#define XN_MAP_OR_WORD(k, h)
#define XN_LIST(k, h)
#define XN_LIST_OR_WORDS(k, h)
#define XN_LIST_BY_NAME(k, h)
#define XN_TEXT(k, d, h)
#define XN_PATH(k, d, h)
#define XN_TEXTS(k, h)
#define XN_PATHS(k, h)
#define XN_CHOICE(k, ch, d, h)
#define XN_FLAG(k, d, h)
#define XN_NUMBER(k, lo, hi, d, h)
#define XN_INT(k, lo, hi, d, h)
#define XN_NUMBERS(k, n, lo, hi, d, h)
#define XN_INTS(k, n, lo, hi, d, h)
#define XN_SPAN(k, lo, hi, h)
#define XN_INCREASING(k, lo, hi, h)
#define XN_FORMS(k, f) {k, f},

static const struct {
    const char *key, *forms;
} alternatives[] = {
#include "core/config.def"
};
#define N_ALTERNATIVES ((int)(sizeof alternatives / sizeof alternatives[0]))

const xn_setting *xn_config_setting(int index) { return index >= 0 && index < N_SETTINGS ? &settings[index] : NULL; }

const char *xn_config_forms(const char *key, int index)
{
    for (int i = 0; i < N_ALTERNATIVES; i++)
        if (strcmp(alternatives[i].key, key) == 0 && index-- == 0) return alternatives[i].forms;
    return NULL;
}

const xn_setting *xn_setting_find(const char *pattern, size_t length)
{
    for (int i = 0; i < N_SETTINGS; i++)
        if (strlen(settings[i].key) == length && strncmp(settings[i].key, pattern, length) == 0) return &settings[i];
    return NULL;
}

// ---- strict numbers

static const char *skip_digits(const char *s)
{
    while (*s >= '0' && *s <= '9') s++;
    return s;
}

bool xn_parse_double(locale_t locale, const char *text, double *value)
{
    const char *s = text + (*text == '+' || *text == '-');
    const char *whole = s;
    s = skip_digits(s);
    int64_t digits = s - whole;
    if (digits > 1 && whole[0] == '0') return false;
    if (*s == '.') {
        const char *fraction = ++s;
        s = skip_digits(s);
        digits += s - fraction;
    }
    if (digits == 0) return false;
    if (*s == 'e' || *s == 'E') {
        s += 1 + (s[1] == '+' || s[1] == '-');
        const char *exponent = s;
        s = skip_digits(s);
        if (s == exponent) return false;
    }
    if (*s != '\0') return false;
    *value = strtod_l(text, NULL, locale);
    return isfinite(*value);
}

bool xn_parse_int(const char *text, int64_t *value)
{
    const char *s = text + (*text == '+' || *text == '-');
    size_t digits = (size_t)(skip_digits(s) - s);
    if (digits == 0 || digits > 18 || s[digits] != '\0' || (digits > 1 && s[0] == '0')) return false;
    int64_t sum = 0;
    for (; *s; s++) sum = 10 * sum + (*s - '0');
    *value = *text == '-' ? -sum : sum;
    return true;
}

// ---- the nearest key

int xn_edit_distance(const char *a, const char *b)
{
    enum { LONGEST = 48 };
    int na = (int)strnlen(a, LONGEST), nb = (int)strnlen(b, LONGEST), row[LONGEST + 1];
    for (int j = 0; j <= nb; j++) row[j] = j;
    for (int i = 1; i <= na; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= nb; j++) {
            int best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[nb];
}

// Only last words are compared; keys of other maps count two edits further away.
const char *xn_setting_nearest(const char *parent, const char *word)
{
    const char *best = settings[0].key;
    int best_distance = 1 << 20;
    size_t parent_length = strlen(parent);
    for (int i = 0; i < N_SETTINGS; i++) {
        const char *key = settings[i].key, *dot = strrchr(key, '.'), *last = dot ? dot + 1 : key;
        size_t length = dot ? (size_t)(dot - key) : 0;
        bool sibling = length == parent_length && strncmp(key, parent, length) == 0;
        int distance = xn_edit_distance(word, last) + (sibling ? 0 : 2);
        if (distance < best_distance) best_distance = distance, best = key;
    }
    return best;
}
