// SPDX-License-Identifier: BSD-3-Clause
// source.c -- the table of layouts, the runs of a configuration and the files each of them names.
//
// A new facility is one folder with its xn_input_layout and one line in `xn_input_layouts`.  Names in a configuration
// are files or globs relative to the configuration's folder; a name that exists is taken literally, so
// that brackets in file names need no quoting.  The folder itself is never part of the pattern.
#include "source/source.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/h5.h"
#include "source/binned/binned.h"

extern const xn_input_layout xn_layout_swissfel, xn_layout_cube, xn_layout_nxmx, xn_layout_nexus;
extern const xn_input_layout xn_layout_euxfel, xn_layout_pal, xn_layout_sacla;
extern const xn_input_layout xn_layout_lcls_smalldata, xn_layout_lcls2_smalldata, xn_layout_lcls_cube;
extern const xn_input_layout xn_layout_lcls2_cube;
const xn_input_layout *const xn_input_layouts[] = {
    &xn_layout_swissfel,
    &xn_layout_cube,
    &xn_layout_euxfel,
    &xn_layout_lcls_smalldata,
    &xn_layout_lcls2_smalldata,
    &xn_layout_lcls_cube,
    &xn_layout_lcls2_cube,
    &xn_layout_pal,
    &xn_layout_sacla,
    &xn_layout_nxmx,
    &xn_layout_nexus,
    NULL, // one a line
};

// ---- files

typedef struct {
    char **name;
    size_t n;
} list;

static xani_status list_add(xn_ctx *ctx, list *l, char *owned)
{
    char **p = owned ? xn_realloc(l->name, l->n + 2, sizeof *p) : NULL;
    if (p == NULL) {
        xn_free(owned);
        return xn_fail_memory(ctx, "the list of input files", (l->n + 2) * sizeof *p);
    }
    l->name = p;
    p[l->n++] = owned;
    p[l->n] = NULL;
    return XANI_OK;
}

// Folder and name as one absolute path; with `quoted` the folder's glob characters are escaped.
static char *join_path(const char *dir, const char *name, bool quoted)
{
    char *cwd = NULL, *whole = NULL;
    if (name[0] == '/') return xn_strdup(name);
    if (dir[0] != '/') cwd = getcwd(NULL, 0);
    if (dir[0] != '/' && cwd == NULL) return NULL;
    bool here = strcmp(dir, ".") == 0;
    char *base = cwd == NULL ? xn_strdup(dir) : here ? xn_strdup(cwd) : xn_format("%s/%s", cwd, dir);
    free(cwd);
    if (base == NULL) return NULL;
    char *escaped = xn_alloc(2 * strlen(base) + 1, 1);
    if (escaped != NULL) {
        char *e = escaped;
        for (const char *b = base; *b; b++) {
            if (quoted && strchr("*?[]\\", *b)) *e++ = '\\';
            *e++ = *b;
        }
        *e = '\0';
        whole = xn_format("%s%s%s", escaped, e > escaped && e[-1] == '/' ? "" : "/", name);
    }
    xn_free(escaped);
    xn_free(base);
    return whole;
}

static xani_status add_pattern(xn_ctx *ctx, const xn_config *config, const char *key, list *l)
{
    const char *name = xn_config_string(config, key);
    if (name == NULL || name[0] == '\0') return xn_config_bad(ctx, config, key, "is empty");
    char *path = join_path(xn_config_dir(config), name, false);
    if (path == NULL) return xn_fail_memory(ctx, "a file name", 4096);
    struct stat info;
    if (stat(path, &info) == 0) {
        if (!S_ISDIR(info.st_mode)) return list_add(ctx, l, path);
        xani_status st = xn_config_bad(ctx, config, key, "%s is a folder; give files or a glob (%s/*.h5)", path, name);
        xn_free(path);
        return st;
    }
    xani_status st = XANI_OK;
    if (strpbrk(name, "*?[") == NULL) {
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s (%s of %s)", path, strerror(errno), key, xn_config_name(config));
        xn_free(path);
        return st;
    }
    xn_free(path);
    char *pattern = join_path(xn_config_dir(config), name, true);
    if (pattern == NULL) return xn_fail_memory(ctx, "a file name", 4096);
    glob_t found;
    int rc = glob(pattern, 0, NULL, &found);
    if (rc == GLOB_NOMATCH)
        st = xn_fail(ctx, XANI_ERR_INPUT, "no file matches %s (%s of %s)", name, key, xn_config_name(config));
    else if (rc != 0)
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: cannot be searched (%s of %s)", name, key, xn_config_name(config));
    for (size_t i = 0; rc == 0 && st == XANI_OK && i < found.gl_pathc; i++)
        st = list_add(ctx, l, xn_strdup(found.gl_pathv[i]));
    if (rc == 0) globfree(&found);
    xn_free(pattern);
    return st;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

xani_status xn_source_named(xn_ctx *ctx, const xn_config *config, const char *key, char ***files)
{
    list l = {0};
    xani_status st = add_pattern(ctx, config, key, &l);
    if (st != XANI_OK) xn_h5_names_free(l.name);
    *files = st == XANI_OK ? l.name : NULL;
    return st;
}

xani_status xn_source_files(xn_ctx *ctx, const xn_config *config, int run, char ***files)
{
    *files = NULL;
    char key[XN_KEY_LENGTH], one[XN_KEY_LENGTH];
    xn_key(key, run < 0 ? "input.files" : "runs[%d].files", run);
    XN_TRY(xn_config_require(ctx, config, key, "the files to read, names or globs"));
    list l = {0};
    xani_status st = XANI_OK;
    int n = xn_config_count(config, key);
    if (n == 0) st = xn_config_bad(ctx, config, key, "is an empty list");
    for (int i = 0; st == XANI_OK && i < n; i++) st = add_pattern(ctx, config, xn_key(one, "%s[%d]", key, i), &l);
    if (st != XANI_OK || l.name == NULL) {
        xn_h5_names_free(l.name);
        return st;
    }
    qsort(l.name, l.n, sizeof *l.name, by_name);
    size_t kept = 0;
    for (size_t i = 0; i < l.n; i++) { // two globs may find the same file
        if (kept > 0 && strcmp(l.name[kept - 1], l.name[i]) == 0)
            xn_free(l.name[i]);
        else
            l.name[kept++] = l.name[i];
    }
    l.name[kept] = NULL;
    *files = l.name;
    return XANI_OK;
}

bool xn_source_is_binned(const xn_config *config)
{
    const char *name = xn_config_string(config, "input.layout");
    for (const xn_input_layout *const *l = xn_input_layouts; name != NULL && *l != NULL; l++)
        if (strcmp((*l)->ops->layout, name) == 0) return (*l)->ops->read_cube != NULL;
    return false;
}

xani_status xn_source_partner(xn_ctx *ctx, const xn_config *config, const char *file, char **other)
{
    *other = NULL;
    return xn_source_is_binned(config) ? xn_pairs_other(ctx, file, other) : XANI_OK;
}

xani_status xn_source_half(xn_ctx *ctx, const char *file, char **other) { return xn_pairs_other(ctx, file, other); }

// ---- runs

int xn_source_runs(const xn_config *config) { return xn_config_count(config, "runs"); }

bool xn_source_angles_by_run(const xn_config *config)
{
    char key[XN_KEY_LENGTH];
    for (int i = 0; i < xn_source_runs(config); i++)
        if (xn_config_has(config, xn_key(key, "runs[%d].angle_deg", i))) return true;
    return false;
}

static xani_status set_angles(xn_ctx *ctx, const xn_config *config, int run, xn_source *s)
{
    const int most = (int)(sizeof s->angles_deg / sizeof s->angles_deg[0]);
    char key[XN_KEY_LENGTH];
    int axes = xn_config_count(config, "geometry.goniometer");
    if (axes > most)
        return xn_config_bad(ctx, config, "geometry.goniometer", "has %d axes, at most %d work", axes, most);
    s->n_angles = axes;
    for (int i = 0; i < axes; i++)
        s->angles_deg[i] = xn_config_double(config, xn_key(key, "geometry.goniometer[%d].angle_deg", i));
    if (run < 0 || !xn_config_has(config, xn_key(key, "runs[%d].angle_deg", run))) return XANI_OK;
    double angle[sizeof s->angles_deg / sizeof s->angles_deg[0]];
    int n = xn_config_doubles(config, key, angle, most);
    if (n != axes)
        return xn_config_bad(ctx, config, key, "%d angles are given, geometry.goniometer has %d axes", n, axes);
    memcpy(s->angles_deg, angle, (size_t)n * sizeof *angle);
    return XANI_OK;
}

static xani_status set_run(xn_ctx *ctx, const xn_config *config, int run, xn_source *s)
{
    char key[XN_KEY_LENGTH];
    const char *name = "";
    if (run >= 0) {
        XN_TRY(xn_config_require(ctx, config, xn_key(key, "runs[%d].name", run), "it names the folder of the results"));
        name = xn_config_string(config, key);
    }
    s->run = xn_strdup(name);
    if (s->run == NULL) return xn_fail_memory(ctx, "the name of a run", strlen(name));
    return set_angles(ctx, config, run, s);
}

// ---- input.part

static void move_row(xn_shots *s, int64_t to, int64_t from)
{
    s->pulse_id[to] = s->pulse_id[from];
    s->frame[to] = s->frame[from];
    s->laser[to] = s->laser[from];
    s->i0[to] = s->i0[from];
    s->delay_ps[to] = s->delay_ps[from];
    s->bin[to] = s->bin[from];
    s->verdict[to] = s->verdict[from];
    for (int e = 0; e < s->n_extra; e++) s->extra[e][to] = s->extra[e][from];
}

// Shots of one id stay together.
static int64_t part_begin(const xn_shots *s, int64_t k, int64_t n)
{
    int64_t at = (int64_t)((double)s->n * (double)k / (double)n);
    while (at > 0 && at < s->n && s->pulse_id[at] == s->pulse_id[at - 1]) at++;
    return at;
}

// Counts over all shots are those of the first part, the number of frames that of the last: so they add up.
static xani_status keep_part(xn_ctx *ctx, const xn_config *config, xn_source *s)
{
    double part[2];
    if (xn_config_doubles(config, "input.part", part, 2) != 2) return XANI_OK;
    if (part[0] > part[1])
        return xn_config_bad(ctx, config, "input.part", "part %g of %g does not exist", part[0], part[1]);
    if (s->ops->read_cube != NULL)
        return xn_config_bad(ctx, config, "input.part", "these files were binned before, there are no shots to choose");
    xn_shots *t = &s->shots;
    int64_t begin = part_begin(t, (int64_t)part[0] - 1, (int64_t)part[1]),
            end = part_begin(t, (int64_t)part[0], (int64_t)part[1]);
    for (int64_t i = begin; i < end; i++) move_row(t, i - begin, i);
    t->n = end - begin;
    if (part[0] > 1) t->missing = t->duplicate = t->unmatched = 0;
    if (part[0] < part[1]) t->frames = 0;
    return XANI_OK;
}

// ---- open and close

static xani_status find_layout(xn_ctx *ctx, const xn_config *config, const xn_source_ops **ops)
{
    XN_TRY(xn_config_require(ctx, config, "input.layout", "which files these are; `xani init` recognises them"));
    const char *name = xn_config_string(config, "input.layout");
    char have[256] = "";
    for (int i = 0; xn_input_layouts[i] != NULL; i++) {
        const xn_source_ops *one = xn_input_layouts[i]->ops;
        if (strcmp(one->layout, name) == 0) {
            *ops = one;
            return XANI_OK;
        }
        size_t used = strlen(have);
        snprintf(have + used, sizeof have - used, "%s%s", i ? ", " : "", one->layout);
    }
    return xn_config_bad(ctx, config, "input.layout", "%s is not read by this version; it reads %s", name, have);
}

xani_status xn_source_open(xn_ctx *ctx, const xn_config *config, int run, xn_source **out)
{
    *out = NULL;
    const xn_source_ops *ops = NULL;
    xani_status st = find_layout(ctx, config, &ops);
    if (ops == NULL) return st;
    xn_source *s = xn_calloc(1, sizeof *s);
    if (s == NULL) return xn_fail_memory(ctx, "the source", sizeof *s);
    s->ops = ops;
    st = set_run(ctx, config, run, s);
    if (st == XANI_OK) st = ops->open(ctx, config, run, s);
    if (st == XANI_OK) st = keep_part(ctx, config, s);
    if (st == XANI_OK && s->ops->read_cube == NULL && xn_config_has(config, "input.grouped"))
        st = xn_config_bad(ctx, config, "input.grouped", "these are frames of shots; only cubes are grouped already");
    if (st != XANI_OK && s->run != NULL && s->run[0] != '\0') xn_context(ctx, st, "run %s", s->run);
    if (st != XANI_OK)
        xn_source_close(&s);
    else
        s->cal.movable = true; // a source is read by one stage, once
    *out = s;
    return st;
}

void xn_source_close(xn_source **s_)
{
    xn_source *s = *s_;
    if (s == NULL) return;
    if (s->ops->close != NULL) s->ops->close(s);
    for (int i = 0; i < 3; i++) {
        xn_free(s->cal.pedestal[i]);
        xn_free(s->cal.factor[i]);
    }
    xn_free(s->cal.cell);
    xn_free(s->cal.quiet);
    xn_shots_free(&s->shots);
    xn_free(s->module_rows);
    xn_free(s->mask);
    xn_free(s->run);
    xn_free(s);
    *s_ = NULL;
}
