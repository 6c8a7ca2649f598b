// SPDX-License-Identifier: BSD-3-Clause
// names.c -- names as messages need them: see layout.h.
#include <stdio.h>
#include <string.h>

#include "source/layout.h"

void xn_run_key(const char *path, bool folder_only, char *key, size_t bytes)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    int n = (int)(base - path) + (folder_only ? 0 : (int)strcspn(base, "."));
    snprintf(key, bytes, "%.*s", n, path);
}

bool xn_is_number(xn_type type) { return type != XN_STR && type != XN_OTHER; }

// Levenshtein distance by one rolling row; names longer than the row are cut, which only worsens a hint.
static int distance(const char *a, const char *b)
{
    int row[129];
    int nb = (int)strnlen(b, 128), na = (int)strnlen(a, 128);
    for (int j = 0; j <= nb; j++) row[j] = j;
    for (int i = 1; i <= na; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= nb; j++) {
            int change = diagonal + (a[i - 1] != b[j - 1]);
            int step = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);
            diagonal = row[j];
            row[j] = change < step ? change : step;
        }
    }
    return row[nb];
}

const char *xn_nearest_name(const char *wanted, const char *const *names, size_t n)
{
    const char *best = NULL;
    int least = 2 + (int)strlen(wanted) / 2;
    for (size_t i = 0; i < n; i++) {
        int d = distance(wanted, names[i]);
        if (d >= least) continue;
        least = d;
        best = names[i];
    }
    return best;
}
