// SPDX-License-Identifier: BSD-3-Clause
// init_text.c -- YAML text for `xani init`: a growing buffer, scalars, lists of files.
#include <ctype.h>
#include <glob.h>
#include <jansson.h>
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

static void note_foreign(xn_text *t, const char *value)
{
    json_t *o = json_string(value); // which takes nothing but UTF-8
    json_decref(o);
    if (o != NULL || t->foreign[0] != '\0') return;
    snprintf(t->foreign, sizeof t->foreign, "%s", value);
    for (char *c = t->foreign; *c != '\0'; c++)
        if ((unsigned char)*c >= 0x80) *c = '?';
}

void xn_text_scalar(xn_text *t, const char *value)
{
    note_foreign(t, value);
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
    if (t->foreign[0] == '\0') memcpy(t->foreign, quoted.foreign, sizeof t->foreign);
    if (!quoted.short_of_memory) xn_text_entry(t, indent, key, quoted.s, comment);
    xn_free(quoted.s);
}

const char *xn_text_number(char buf[64], double value)
{
    snprintf(buf, 64, "%.10g", value);
    char *e = strchr(buf, 'e');
    if (e != NULL && strchr(buf, '.') == NULL) { // YAML 1.1 takes 1e+12 for a word
        memmove(e + 2, e, strlen(e) + 1);
        memcpy(e, ".0", 2);
    }
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

// Names that differ in digits only: in one folder, of one length and suffix.
static bool alike(const char *a, const char *b)
{
    const size_t n = strlen(a), base = (size_t)(strrchr(a, '/') ? strrchr(a, '/') - a : 0);
    if (strlen(b) != n || strncmp(a, b, base) != 0 || strcmp(suffix_of(a), suffix_of(b)) != 0) return false;
    for (size_t k = base; k < n; k++)
        if (a[k] != b[k] && !(isdigit((unsigned char)a[k]) && isdigit((unsigned char)b[k]))) return false;
    return true;
}

// The files like files[first] as a glob with [0-9] where they differ, so narrow that it finds none of what is written
// into their folder later (cube.h5); "" where they are few, or it would not find just them.
static void make_glob(const xn_found_run *run, int first, char *pattern, size_t bytes)
{
    const char *name = run->file[first];
    char differs[4096] = "";
    size_t n = 0, used = 0;
    glob_t found;
    pattern[0] = '\0';
    if (strlen(name) >= sizeof differs || strcspn(name, "*?[]\\") < strlen(name)) return;
    for (int i = first; i < run->n; i++) {
        if (!alike(run->file[i], name)) continue;
        n++;
        for (size_t k = 0; name[k] != '\0'; k++)
            if (run->file[i][k] != name[k]) differs[k] = 1;
    }
    if (n <= FILES_LISTED) return;
    for (size_t k = 0; name[k] != '\0' && used + 8 < bytes; k++) {
        if (differs[k])
            used += (size_t)snprintf(pattern + used, bytes - used, "[0-9]");
        else
            pattern[used++] = name[k], pattern[used] = '\0';
    }
    bool exact = glob(pattern, 0, NULL, &found) == 0;
    if (exact) {
        exact = found.gl_pathc == n;
        globfree(&found);
    }
    if (!exact) pattern[0] = '\0';
}

static void one_file(xn_text *t, int indent, const char *path)
{
    xn_text_add(t, "%*s- ", indent, "");
    xn_text_scalar(t, path);
    xn_text_add(t, "\n");
}

void xn_text_files(xn_text *t, int indent, const xn_found_run *run)
{
    char pattern[4096];
    bool *globbed = xn_calloc((size_t)run->n, sizeof *globbed); // by the first file of its kind
    t->short_of_memory = t->short_of_memory || globbed == NULL;
    xn_text_add(t, "%*sfiles:\n", indent, "");
    for (int i = 0; globbed != NULL && i < run->n; i++) {
        int first = 0;
        while (!alike(run->file[first], run->file[i])) first++;
        if (globbed[first]) continue;
        pattern[0] = '\0';
        if (first == i) make_glob(run, i, pattern, sizeof pattern);
        globbed[i] = pattern[0] != '\0';
        one_file(t, indent + 2, globbed[i] ? pattern : run->file[i]);
    }
    xn_free(globbed);
}
