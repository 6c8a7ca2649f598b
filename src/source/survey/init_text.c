// SPDX-License-Identifier: BSD-3-Clause
// init_text.c -- YAML text for `xani init`: a growing buffer, scalars, lists of files.
#include <ctype.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "source/survey/init_parts.h"

#define COMMENT_COLUMN 44
#define FILES_LISTED 6 // more of one kind become a glob

void xn_text_add(xn_text *t, const char *fmt, ...)
{
    for (int attempt = 0; attempt < 2 && !t->short_of_memory; attempt++) {
        va_list args;
        va_start(args, fmt);
        int n = vsnprintf(t->s != NULL ? t->s + t->n : NULL, t->room - t->n, fmt, args);
        va_end(args);
        if (n < 0) return;
        if ((size_t)n < t->room - t->n) {
            t->n += (size_t)n;
            return;
        }
        size_t room = 2 * t->room + (size_t)n + 1024;
        char *s = xn_realloc(t->s, room, 1);
        t->short_of_memory = s == NULL;
        if (s == NULL) return;
        t->s = s;
        t->room = room;
    }
}

static bool is_plain(const char *v)
{
    if (!isalpha((unsigned char)v[0]) && v[0] != '_' && v[0] != '/') return false;
    static const char *const words[] = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasecmp(v, words[i]) == 0) return false;
    for (; *v; v++)
        if (!isalnum((unsigned char)*v) && !strchr("_./-", *v)) return false;
    return true;
}

void xn_text_scalar(xn_text *t, const char *value)
{
    if (is_plain(value)) {
        xn_text_add(t, "%s", value);
        return;
    }
    xn_text_add(t, "\"");
    for (const char *v = value; *v; v++) {
        if ((unsigned char)*v < 0x20 || *v == 0x7f)
            xn_text_add(t, "\\x%02x", (unsigned)(unsigned char)*v);
        else
            xn_text_add(t, *v == '"' || *v == '\\' ? "\\%c" : "%c", *v);
    }
    xn_text_add(t, "\"");
}

void xn_text_entry(xn_text *t, int indent, const char *key, const char *value, const char *comment)
{
    xn_text_add(t, "%*s%s:", indent, "", key);
    if (value != NULL) xn_text_add(t, " %s", value);
    if (comment != NULL || value == NULL) {
        int used = 0; // columns of this line
        while ((size_t)used < t->n && t->s[t->n - (size_t)used - 1] != '\n') used++;
        xn_text_add(t, "%*s# %s%s", used < COMMENT_COLUMN ? COMMENT_COLUMN - used : 2, "",
                    value ? "" : "FILL IN: ", comment ? comment : "");
    }
    xn_text_add(t, "\n");
}

void xn_text_quoted(xn_text *t, int indent, const char *key, const char *value, const char *comment)
{
    xn_text quoted = {0};
    if (value != NULL) xn_text_scalar(&quoted, value);
    t->short_of_memory = t->short_of_memory || quoted.short_of_memory;
    if (!quoted.short_of_memory) xn_text_entry(t, indent, key, quoted.s, comment);
    xn_free(quoted.s);
}

const char *xn_text_number(char buf[64], double value)
{
    snprintf(buf, 64, "%.10g", value);
    return buf;
}

const char *xn_text_about(char buf[64], double value)
{
    snprintf(buf, 64, "%.4g", value);
    return buf;
}

// ---- files

static const char *suffix_of(const char *path)
{
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    return base + strcspn(base, ".");
}

// In one folder, with names that end alike.
static bool alike(const char *a, const char *b)
{
    size_t n = strrchr(a, '/') ? (size_t)(strrchr(a, '/') - a) : 0,
           m = strrchr(b, '/') ? (size_t)(strrchr(b, '/') - b) : 0;
    return n == m && strncmp(a, b, n) == 0 && strcmp(suffix_of(a), suffix_of(b)) == 0;
}

// Folder, common beginning and suffix of the files like files[first], as a glob; "" when they do not share it.
static int make_glob(const xn_found_run *run, int first, char *pattern, size_t bytes)
{
    const char *suffix = suffix_of(run->file[first]);
    size_t common = (size_t)(suffix - run->file[first]);
    int n = 0;
    for (int i = 0; i < run->n; i++) {
        const char *other = run->file[i];
        if (!alike(other, run->file[first])) continue;
        n++;
        size_t k = 0;
        while (k < common && other[k] == run->file[first][k]) k++;
        common = k;
    }
    snprintf(pattern, bytes, "%.*s*%s", (int)common, run->file[first], suffix);
    glob_t found;
    bool exact = strcspn(run->file[first], "*?[]\\") == strlen(run->file[first]) && glob(pattern, 0, NULL, &found) == 0;
    if (exact) {
        exact = found.gl_pathc == (size_t)n;
        globfree(&found);
    }
    if (!exact) pattern[0] = '\0';
    return n;
}

static void one_file(xn_text *t, int indent, const char *path)
{
    xn_text_add(t, "%*s- ", indent, "");
    xn_text_scalar(t, path);
    xn_text_add(t, "\n");
}

void xn_text_files(xn_text *t, int indent, const xn_found_run *run)
{
    xn_text_add(t, "%*sfiles:\n", indent, "");
    for (int i = 0; i < run->n; i++) {
        char pattern[4096];
        bool done = false; // by the glob of an earlier file of this kind
        for (int j = 0; j < i && !done; j++) done = alike(run->file[j], run->file[i]);
        int n = make_glob(run, i, pattern, sizeof pattern);
        bool globbed = n > FILES_LISTED && pattern[0] != '\0';
        if (globbed && done) continue;
        one_file(t, indent + 2, globbed ? pattern : run->file[i]);
    }
}
