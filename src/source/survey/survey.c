// SPDX-License-Identifier: BSD-3-Clause
// survey.c -- finds files, says what each of them is, and puts them together to runs: see survey.h.
//
// What a file is follows from the names of its datasets, never from its own name alone.  SwissFEL writes a
// folder per run with one set of files per acquisition (acq0001.JF07T02V01.h5, acq0001.BSDATA.h5); elsewhere
// the name up to the first dot is the run (run_000041.BSREAD.h5).  A file that cannot be opened is a finding, not
// an end: the rest is still told.
#include "source/survey/survey.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "physics/panel.h"

#define DEPTH 5 // folders below a given one

const char *xn_found_name(const xn_found_file *f)
{
    static const char *const names[] = {"other", "unreadable", "run", "gain", "pedestal", "geometry", "result"};
    return f->kind == XN_FOUND_RUN ? f->layout->ops->layout : names[f->kind];
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcasecmp(s + n - m, end) == 0;
}

static bool is_hdf5_name(const char *s)
{
    return ends_with(s, ".h5") || ends_with(s, ".hdf5") || ends_with(s, ".nxs") || ends_with(s, ".cxi");
}

// Text files of positions: CrystFEL, psana.
static bool is_geometry_name(const char *s) { return ends_with(s, ".geom") || ends_with(s, ".data"); }

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// ---- what a file is

// Asks the layouts in turn.
static void claim(xn_ctx *ctx, const xn_h5 *h5, xn_found_file *f)
{
    char key[4096];
    for (int i = 0; xn_input_layouts[i] != NULL && f->kind == XN_FOUND_OTHER; i++) {
        if (!xn_input_layouts[i]->claims(ctx, h5, f->path, key, sizeof key)) continue;
        if (key[0] == '\0') {
            f->note = xn_strdup("a part of a run that another file has whole");
            return;
        }
        f->kind = XN_FOUND_RUN;
        f->layout = xn_input_layouts[i];
        f->key = xn_strdup(key);
    }
    if (f->kind == XN_FOUND_OTHER && xn_geometry_kind(ctx, f->path, NULL) != NULL) f->kind = XN_FOUND_GEOMETRY;
    if (f->kind == XN_FOUND_OTHER && xn_h5_exists(h5, "imgs") && xn_h5_exists(h5, "i0"))
        f->note = xn_strdup("holds a cube, but its name ends neither in _on nor in _off");
}

static void classify_hdf5(xn_ctx *ctx, xn_found_file *f)
{
    xn_h5 *h5 = NULL;
    if (xn_h5_open(ctx, f->path, &h5) != XANI_OK) {
        f->kind = XN_FOUND_BROKEN;
        const char *why = xani_error_text(ctx);
        size_t n = strlen(f->path); // the path stands beside the note
        bool named = strncmp(why, f->path, n) == 0 && strncmp(why + n, ": ", 2) == 0;
        f->note = xn_strdup(why + (named ? n + 2 : 0));
        xn_clear_error(ctx);
        return;
    }
    const char *base = base_name(f->path);
    if (xn_h5_exists(h5, "entry/cube") || xn_h5_exists(h5, "entry/modes") || xn_h5_exists(h5, "entry/points") ||
        xn_h5_exists(h5, "entry/configuration")) {
        f->kind = XN_FOUND_RESULT;
    } else if (xn_h5_exists(h5, "gains")) {
        bool pedestal = xn_h5_exists(h5, "gainsRMS") || xn_h5_exists(h5, "pixel_mask") || ends_with(base, ".res.h5") ||
                        strcasestr(base, "pedestal");
        f->kind = pedestal ? XN_FOUND_PEDESTAL : XN_FOUND_GAIN;
    } else {
        claim(ctx, h5, f);
    }
    xn_clear_error(ctx);
    xn_h5_close(&h5);
}

// The file of the list that is at a path, NULL: none.
static xn_found_file *file_at(const xn_survey *s, const char *path)
{
    xn_found_file *found = NULL;
    char *whole = realpath(path, NULL);
    for (int i = 0; whole != NULL && found == NULL && i < s->n; i++)
        if (strcmp(s->file[i].path, whole) == 0) found = &s->file[i];
    free(whole);
    return found;
}

static xani_status add_file(xn_ctx *ctx, const char *path, int64_t bytes, xn_survey *s)
{
    if (file_at(s, path) != NULL) return XANI_OK;
    char *whole = realpath(path, NULL), *owned = whole ? xn_strdup(whole) : NULL;
    free(whole);
    xn_found_file *p = owned ? xn_realloc(s->file, (size_t)s->n + 1, sizeof *p) : NULL;
    if (p == NULL) {
        xn_free(owned);
        return xn_fail_memory(ctx, "the list of files", (size_t)(s->n + 1) * sizeof *p);
    }
    s->file = p;
    xn_found_file *f = &p[s->n++];
    *f = (xn_found_file){.path = owned, .bytes = bytes};
    if (is_hdf5_name(owned))
        classify_hdf5(ctx, f);
    else if (is_geometry_name(owned) && xn_geometry_kind(ctx, owned, NULL) != NULL)
        f->kind = XN_FOUND_GEOMETRY;
    return xn_check_interrupt(ctx);
}

// ---- finding them

// Names around a run that may be calibration or geometry; the rest of a foreign folder is left alone.
static bool is_beside(const char *name)
{
    return is_geometry_name(name) || (is_hdf5_name(name) && (strcasestr(name, "gain") || strcasestr(name, "pedestal") ||
                                                             strcasestr(name, "geo") || ends_with(name, ".res.h5")));
}

static xani_status search(xn_ctx *ctx, const char *dir, int depth, bool beside, xn_survey *s)
{
    struct dirent **entry = NULL;
    int n = scandir(dir, &entry, NULL, alphasort);
    if (n < 0 && beside) return XANI_OK;
    if (n < 0) return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s", dir, strerror(errno));
    xani_status st = XANI_OK;
    for (int i = 0; i < n; i++) {
        const char *name = entry[i]->d_name;
        char *path = st == XANI_OK && name[0] != '.' ? xn_format("%s/%s", dir, name) : NULL;
        struct stat info;
        if (path != NULL && stat(path, &info) == 0) {
            bool wanted = beside ? is_beside(name) : is_hdf5_name(name) || is_geometry_name(name);
            if (S_ISDIR(info.st_mode) && depth > 0)
                st = search(ctx, path, depth - 1, beside, s);
            else if (S_ISREG(info.st_mode) && wanted)
                st = add_file(ctx, path, info.st_size, s);
        }
        xn_free(path);
        free(entry[i]);
    }
    free(entry);
    return st;
}

// The folders of the runs, the two above them, and what stands in these.
static xani_status search_beside(xn_ctx *ctx, xn_survey *s)
{
    int n = s->n;
    char last[4096] = "";
    for (int i = 0; i < n; i++) {
        const char *slash = strrchr(s->file[i].path, '/');
        int length = slash ? (int)(slash - s->file[i].path) : 0;
        if (length == 0 || (size_t)length >= sizeof last - 8 ||
            (strncmp(last, s->file[i].path, (size_t)length) == 0 && last[length] == '\0'))
            continue; // files are sorted by folder
        snprintf(last, sizeof last, "%.*s", length, s->file[i].path);
        for (int up = 0; up < 3; up++) {
            char *dir = xn_format("%s%s", last, &"/../.."[6 - 3 * up]);
            if (dir == NULL) return xn_fail_memory(ctx, "a file name", (size_t)length);
            xani_status st = search(ctx, dir, 0, true, s);
            xn_free(dir);
            if (st != XANI_OK) return st;
        }
    }
    return XANI_OK;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const xn_found_file *)a)->path, ((const xn_found_file *)b)->path);
}

// A half of a cube takes the other along where it is there.
static xani_status add_other_halves(xn_ctx *ctx, xn_survey *s)
{
    int n = s->n;
    for (int i = 0; i < n; i++) {
        if (s->file[i].kind != XN_FOUND_RUN || s->file[i].layout->ops->read_cube == NULL) continue;
        const char *path = s->file[i].path, *base = base_name(path), *on = strstr(base, "_on."),
                   *off = strstr(base, "_off.");
        if (on == NULL && off == NULL) continue;
        char *other = on ? xn_format("%.*s_off.%s", (int)(on - path), path, on + 4)
                         : xn_format("%.*s_on.%s", (int)(off - path), path, off + 5);
        struct stat info;
        if (other == NULL) return xn_fail_memory(ctx, "a file name", strlen(path));
        xani_status st = stat(other, &info) == 0 ? add_file(ctx, other, info.st_size, s) : XANI_OK;
        xn_free(other);
        if (st != XANI_OK) return st;
    }
    return XANI_OK;
}

// Files of other kinds that a layout wants beside its own.
static xani_status add_companions(xn_ctx *ctx, xn_survey *s)
{
    int n = s->n;
    for (int i = 0; i < n; i++) {
        const xn_input_layout *layout = s->file[i].layout;
        char **others = NULL;
        if (s->file[i].kind != XN_FOUND_RUN || layout->beside == NULL || !is_hdf5_name(s->file[i].path)) continue;
        xani_status st = layout->beside(ctx, s->file[i].path, &others);
        for (int k = 0; st == XANI_OK && others != NULL && others[k] != NULL; k++) {
            struct stat info;
            if (stat(others[k], &info) == 0) st = add_file(ctx, others[k], info.st_size, s);
            xn_found_file *f = st == XANI_OK ? file_at(s, others[k]) : NULL;
            if (f == NULL || f->kind != XN_FOUND_OTHER) continue; // also one that was named
            f->kind = XN_FOUND_RUN;
            f->layout = layout;
            f->key = xn_strdup(s->file[i].key);
            if (f->key == NULL) st = xn_fail_memory(ctx, "the list of files", 64);
        }
        xn_h5_names_free(others);
        if (st != XANI_OK) return st;
    }
    return XANI_OK;
}

// Files whose rows another one shows by virtual datasets or links are no runs beside it: every shot would count twice.
static xani_status drop_sources(xn_ctx *ctx, xn_survey *s)
{
    int masters = 0;
    for (int i = 0; i < s->n; i++) masters += s->file[i].kind == XN_FOUND_RUN && s->file[i].layout->has_masters;
    for (int i = 0; masters > 1 && i < s->n; i++) {
        const xn_found_file *f = &s->file[i];
        char **behind = NULL;
        if (f->kind != XN_FOUND_RUN || !f->layout->has_masters) continue;
        XN_TRY(xn_h5_behind(ctx, f->path, false, &behind));
        for (int k = 0; behind != NULL && behind[k] != NULL; k++) {
            xn_found_file *source = file_at(s, behind[k]);
            if (source == NULL || source == f || source->kind != XN_FOUND_RUN) continue;
            source->kind = XN_FOUND_OTHER;
            source->note = xn_format("a part of %s, which has it whole", base_name(f->path));
        }
        xn_h5_names_free(behind);
    }
    return XANI_OK;
}

static void sort_files(xn_survey *s)
{
    if (s->n > 1) qsort(s->file, (size_t)s->n, sizeof *s->file, by_path);
}

// ---- runs

// "run0010" of a folder ".../run0010/data/", else the last folder; of a name ".../run0010" that name.
static char *run_name(const char *key)
{
    char part[256] = "run";
    bool folder = key[0] != '\0' && key[strlen(key) - 1] == '/', found = false;
    for (const char *s = key; *s;) {
        size_t n = strcspn(s, "/");
        bool run = folder && strncasecmp(s, "run", 3) == 0;
        if (n > 0 && n < sizeof part && (!found || run)) snprintf(part, sizeof part, "%.*s", (int)n, s);
        found = found || run;
        s += n + (s[n] == '/');
    }
    return xn_strdup(part);
}

static xani_status add_to_run(xn_ctx *ctx, xn_survey *s, const xn_found_file *f)
{
    int i = 0;
    if (f->key == NULL) return xn_fail_memory(ctx, "the list of runs", strlen(f->path));
    while (i < s->n_runs && (s->run[i].layout != f->layout || strcmp(s->run[i].key, f->key) != 0)) i++;
    if (i == s->n_runs) {
        xn_found_run *p = xn_realloc(s->run, (size_t)s->n_runs + 1, sizeof *p);
        if (p == NULL) return xn_fail_memory(ctx, "the list of runs", (size_t)(s->n_runs + 1) * sizeof *p);
        s->run = p;
        p[s->n_runs++] = (xn_found_run){.name = run_name(f->key), .key = xn_strdup(f->key), .layout = f->layout};
        if (p[i].name == NULL || p[i].key == NULL) return xn_fail_memory(ctx, "the list of runs", strlen(f->key));
    }
    xn_found_run *run = &s->run[i];
    char **file = xn_realloc(run->file, (size_t)run->n + 2, sizeof *file);
    if (file == NULL) return xn_fail_memory(ctx, "the list of files", (size_t)(run->n + 2) * sizeof *file);
    run->file = file;
    file[run->n++] = f->path;
    file[run->n] = NULL;
    return XANI_OK;
}

static xani_status find_runs(xn_ctx *ctx, xn_survey *s)
{
    for (int i = 0; i < s->n; i++)
        if (s->file[i].kind == XN_FOUND_RUN) XN_TRY(add_to_run(ctx, s, &s->file[i]));
    for (int i = 1; i < s->n_runs; i++) // names must differ: they name folders
        for (int j = 0; j < i; j++) {
            if (strcmp(s->run[i].name, s->run[j].name) != 0) continue;
            char *name = xn_format("%s_%d", s->run[i].name, i + 1);
            if (name == NULL) return xn_fail_memory(ctx, "the name of a run", 64);
            xn_free(s->run[i].name);
            s->run[i].name = name;
        }
    return XANI_OK;
}

// ---- the whole

// "A, B and C" of all layouts.
static void name_known(char *text, size_t bytes)
{
    text[0] = '\0';
    for (int i = 0; xn_input_layouts[i] != NULL; i++) {
        size_t used = strlen(text);
        snprintf(text + used, bytes - used, "%s%s",
                 i == 0                    ? ""
                 : xn_input_layouts[i + 1] ? ", "
                                           : " and ",
                 xn_input_layouts[i]->files);
    }
}

static xani_status survey(xn_ctx *ctx, const char *const *paths, size_t n, bool beside, xn_survey *s)
{
    for (size_t i = 0; i < n; i++) {
        struct stat info;
        if (stat(paths[i], &info) != 0) return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s", paths[i], strerror(errno));
        XN_TRY(S_ISDIR(info.st_mode) ? search(ctx, paths[i], DEPTH, false, s)
                                     : add_file(ctx, paths[i], info.st_size, s));
        xn_found_file *f = S_ISDIR(info.st_mode) ? NULL : file_at(s, paths[i]);
        if (f != NULL) f->named = true;
    }
    XN_TRY(add_other_halves(ctx, s));
    XN_TRY(add_companions(ctx, s));
    XN_TRY(drop_sources(ctx, s));
    sort_files(s);
    if (beside) {
        XN_TRY(search_beside(ctx, s));
        sort_files(s);
    }
    XN_TRY(find_runs(ctx, s));
    bool any = s->n_runs > 0;
    const xn_found_file *odd = NULL;
    for (int i = 0; i < s->n; i++) {
        any = any || (!beside && (s->file[i].kind == XN_FOUND_RESULT || s->file[i].kind == XN_FOUND_GEOMETRY));
        if (s->file[i].kind <= XN_FOUND_BROKEN && odd == NULL) odd = &s->file[i];
    }
    if (any) return XANI_OK;
    if (odd == NULL)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: no HDF5 files of a run are there", n > 0 ? paths[0] : ".");
    if (odd->note != NULL) return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s", odd->path, odd->note);
    char known[512];
    name_known(known, sizeof known);
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: not of a known layout; known are %s", odd->path, known);
}

xani_status xn_survey_make(xn_ctx *ctx, const char *const *paths, size_t n, bool beside, xn_survey *s)
{
    memset(s, 0, sizeof *s);
    xani_status st = survey(ctx, paths, n, beside, s);
    if (st != XANI_OK) xn_survey_free(s);
    return st;
}

void xn_survey_free(xn_survey *s)
{
    for (int i = 0; i < s->n; i++) {
        xn_free(s->file[i].path);
        xn_free(s->file[i].note);
        xn_free(s->file[i].key);
    }
    for (int i = 0; i < s->n_runs; i++) {
        xn_free(s->run[i].name);
        xn_free(s->run[i].key);
        xn_free(s->run[i].file);
    }
    xn_free(s->file);
    xn_free(s->run);
    memset(s, 0, sizeof *s);
}
