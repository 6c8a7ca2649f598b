// SPDX-License-Identifier: BSD-3-Clause
// modules_of.c -- which sources are the modules of a detector.
//
// No list of detectors: new ones keep coming (formats.md 10.2, no. 10).  A source with frames is a module of what
// stands before /DET/ or /CORR/ in its name; the first number behind that is the module's.  Any other is a detector of
// one module.  input.frames names the detector, or the sources with * in place of the number:
//
//   SPB_DET_AGIPD1M-1        SPB_DET_AGIPD1M-1/DET/*CH0:xtdf        FXE_XAD_JF1M/DET/JNGFR*:daqOutput
//
// Where raw and corrected frames of a detector are both there, the corrected ones are taken.
#include "source/euxfel/modules_of.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODULES_MOST 64

typedef struct {
    char name[XN_KEY_LENGTH];   // DEVICE:CHANNEL
    char family[XN_KEY_LENGTH]; // with # in place of the number
    const char *dataset;        // behind the name
    int64_t number;             // -1: none
} candidate;

typedef struct {
    candidate *list;
    int n;
} candidates;

// ---- names

void xn_xf_group_of(const char *name, const char *frames, char group[XN_KEY_LENGTH])
{
    const char *key = strstr(frames, name) + strlen(name) + 1;
    snprintf(group, XN_KEY_LENGTH, "%s/%.*s", name, (int)strcspn(key, "/"), key);
}

bool xn_xf_file_holds(const xn_xf_file *file, const char *name, const char *group)
{
    char source[XN_KEY_LENGTH + 16];
    snprintf(source, sizeof source, "INSTRUMENT/%s", group);
    if (xn_xf_file_has(file, source)) return true;
    snprintf(source, sizeof source, "INSTRUMENT/%s", name);
    return xn_xf_file_has(file, source);
}

// What stands before the modules' part of a name; its length, 0: no modules.
static size_t detector_part(const char *name)
{
    const char *det = strstr(name, "/DET/"), *corr = strstr(name, "/CORR/");
    const char *end = det != NULL ? det : corr;
    return end != NULL ? (size_t)(end - name) : 0;
}

static void number_name(candidate *c)
{
    size_t before = detector_part(c->name), at = before;
    c->number = -1;
    snprintf(c->family, sizeof c->family, "%s", c->name);
    if (before == 0) return;
    while (c->name[at] != '\0' && c->name[at] != ':' && !isdigit((unsigned char)c->name[at])) at++;
    if (!isdigit((unsigned char)c->name[at])) return;
    char *end;
    c->number = strtoll(c->name + at, &end, 10);
    snprintf(c->family, sizeof c->family, "%.*s#%s", (int)at, c->name, end);
}

// input.frames with *: the number that stands there.
static bool by_star(const char *pattern, candidate *c)
{
    const char *star = strchr(pattern, '*');
    size_t before = (size_t)(star - pattern), after = strlen(star + 1);
    if (strncmp(c->name, pattern, before) != 0 || !isdigit((unsigned char)c->name[before])) return false;
    char *end;
    int64_t number = strtoll(c->name + before, &end, 10);
    bool fits = strncmp(end, star + 1, after) == 0 && (end[after] == '\0' || end[after] == ':');
    if (!fits) return false;
    c->number = number;
    snprintf(c->family, sizeof c->family, "%.*s#%s", (int)before, c->name, end);
    return true;
}

static bool is_of(const char *detector, candidate *c)
{
    if (strchr(detector, '*') != NULL) return by_star(detector, c);
    size_t n = strlen(detector), part = detector_part(c->name);
    if (part == n && strncmp(c->name, detector, n) == 0) return true;
    return strncmp(c->name, detector, n) == 0 && (c->name[n] == '\0' || c->name[n] == ':' || c->name[n] == '/') &&
           part == 0;
}

// ---- sources with frames

static const char *frames_of(xn_ctx *ctx, const xn_h5 *h5, const char *name, const char *given)
{
    static const char *const usual[] = {"image/data", "data/adc", "data/image/pixels"};
    char path[2 * XN_KEY_LENGTH];
    for (int i = 0; i < (given != NULL ? 1 : 3); i++) {
        const char *dataset = given != NULL ? given : usual[i];
        xn_h5_info info;
        snprintf(path, sizeof path, "INSTRUMENT/%s/%s", name, dataset);
        if (xn_h5_exists(h5, path) && xn_h5_info_get(ctx, h5, path, &info) == XANI_OK && !info.is_group &&
            info.rank >= 3 && xn_is_number(info.type))
            return dataset;
    }
    return NULL;
}

static xani_status add_candidate(xn_ctx *ctx, const candidate *c, candidates *all)
{
    candidate *p = xn_realloc(all->list, (size_t)all->n + 1, sizeof *p);
    if (p == NULL) return xn_fail_memory(ctx, "the detectors", (size_t)(all->n + 1) * sizeof *p);
    all->list = p;
    p[all->n++] = *c;
    return XANI_OK;
}

static bool known(const candidates *all, const char *name)
{
    for (int i = 0; i < all->n; i++)
        if (strcmp(all->list[i].name, name) == 0) return true;
    return false;
}

// DEVICE:CHANNEL of an instrument source that may have frames, "" else.
static void pipeline_name(const char *source, char name[XN_KEY_LENGTH])
{
    name[0] = '\0';
    const char *own = strncmp(source, "INSTRUMENT/", 11) == 0 ? source + 11 : NULL;
    const char *colon = own != NULL ? strchr(own, ':') : NULL, *group = colon != NULL ? strchr(colon, '/') : NULL;
    if (colon == NULL) return;
    bool may = group == NULL || strcmp(group, "/image") == 0 || strcmp(group, "/data") == 0;
    if (may) snprintf(name, XN_KEY_LENGTH, "%.*s", (int)(group ? group - own : (long)strlen(own)), own);
}

static xani_status search_file(xn_ctx *ctx, const xn_xf_file *file, const char *given, candidates *all)
{
    xn_h5 *h5 = NULL;
    char last[XN_KEY_LENGTH] = "";
    xani_status st = XANI_OK;
    for (int k = 0; st == XANI_OK && k < file->n_sources; k++) {
        candidate c = {.number = -1};
        pipeline_name(file->source[k], c.name);
        if (c.name[0] == '\0' || strcmp(c.name, last) == 0 || known(all, c.name)) continue;
        memcpy(last, c.name, sizeof last);
        if (h5 == NULL) st = xn_h5_open(ctx, file->path, &h5);
        c.dataset = st == XANI_OK ? frames_of(ctx, h5, c.name, given) : NULL;
        if (c.dataset == NULL) continue;
        number_name(&c);
        st = add_candidate(ctx, &c, all);
    }
    xn_h5_close(&h5);
    return st;
}

static xani_status search(xn_ctx *ctx, const xn_config *config, const xn_xf_run *run, candidates *all)
{
    const char *given = config != NULL ? xn_config_string(config, "input.modules.dataset") : NULL;
    for (int i = 0; i < run->n; i++) XN_TRY(search_file(ctx, &run->file[i], given, all));
    return XANI_OK;
}

// ---- names of all detectors

static void detector_name(const candidate *c, char name[XN_KEY_LENGTH])
{
    size_t n = c->number >= 0 ? detector_part(c->name) : strlen(c->name);
    snprintf(name, XN_KEY_LENGTH, "%.*s", (int)n, c->name);
}

xani_status xn_xf_detectors(xn_ctx *ctx, const xn_xf_run *run, char ***names)
{
    candidates all = {0};
    int n = 0;
    char name[XN_KEY_LENGTH];
    *names = NULL;
    xani_status st = search(ctx, NULL, run, &all);
    char **list = xn_calloc((size_t)all.n + 1, sizeof *list);
    if (st == XANI_OK && list == NULL) st = xn_fail_memory(ctx, "the detectors", (size_t)all.n * sizeof *list);
    for (int i = 0; st == XANI_OK && i < all.n; i++) {
        bool new = true;
        detector_name(&all.list[i], name);
        for (int k = 0; k < n; k++) new = new &&strcmp(list[k], name) != 0;
        if (!new) continue;
        list[n] = xn_strdup(name);
        if (list[n++] == NULL) st = xn_fail_memory(ctx, "a name", strlen(name));
    }
    xn_free(all.list);
    if (st == XANI_OK)
        *names = list;
    else
        xn_h5_names_free(list);
    return st;
}

// ---- modules of one detector

static int by_number(const void *a, const void *b)
{
    int64_t x = ((const candidate *)a)->number, y = ((const candidate *)b)->number;
    return (x > y) - (x < y);
}

// Keeps one family: the corrected one, or the only one.
static xani_status keep_family(xn_ctx *ctx, const char *name, candidates *all)
{
    const char *chosen = all->list[0].family, *other = NULL;
    for (int i = 1; i < all->n; i++)
        if (strcmp(all->list[i].family, chosen) != 0 && strstr(all->list[i].family, "/CORR/") != NULL &&
            strstr(chosen, "/CORR/") == NULL)
            chosen = all->list[i].family;
    for (int i = 0; i < all->n; i++) {
        bool corrected = strstr(chosen, "/CORR/") != NULL && strstr(all->list[i].family, "/CORR/") == NULL;
        if (strcmp(all->list[i].family, chosen) != 0 && !corrected) other = all->list[i].family;
    }
    if (other != NULL)
        return xn_fail(ctx, XANI_ERR_CONFIG,
                       "input.frames: %s has frames as %s and as %s; write one of them with * in place of #", name,
                       chosen, other);
    char family[XN_KEY_LENGTH];
    int kept = 0;
    snprintf(family, sizeof family, "%s", chosen);
    for (int i = 0; i < all->n; i++)
        if (strcmp(all->list[i].family, family) == 0) all->list[kept++] = all->list[i];
    all->n = kept;
    qsort(all->list, (size_t)kept, sizeof *all->list, by_number);
    return XANI_OK;
}

// How many modules the detector's name says it has, and the number of the first; 0: nothing.
static int modules_by_name(const char *name, int64_t *first)
{
    static const struct {
        const char *in_name;
        int n, first;
    } sizes[] = {{"AGIPD1M", 16, 0}, {"AGIPD500K", 8, 0}, {"LPD1M", 16, 0}, {"LPDMINI", 0, 0},
                 {"DSSC1M", 16, 0},  {"JF4M", 8, 1},      {"JF1M", 2, 1}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (strstr(name, sizes[i].in_name) == NULL) continue;
        *first = sizes[i].first;
        return sizes[i].n;
    }
    return 0;
}

// Numbers of all modules, found or not.
static xani_status all_numbers(xn_ctx *ctx, const xn_config *config, const candidates *found, int64_t *number, int *n)
{
    static const char key[] = "input.modules.numbers";
    double given[MODULES_MOST];
    int64_t first = 0, last = found->list[found->n - 1].number;
    *n = config != NULL ? xn_config_doubles(config, key, given, MODULES_MOST) : 0;
    if (*n > MODULES_MOST) return xn_config_bad(ctx, config, key, "has %d modules, at most %d work", *n, MODULES_MOST);
    for (int i = 0; i < *n; i++) number[i] = (int64_t)given[i];
    if (*n > 0) return XANI_OK;
    int most = modules_by_name(found->list[0].name, &first);
    if (most <= found->n || last >= first + most) {
        first = found->list[0].number;
        most = (int)xn_min64(last - first + 1, MODULES_MOST + 1);
    }
    if (most > MODULES_MOST)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: module numbers from %lld to %lld; give input.modules.numbers",
                       found->list[0].family, (long long)first, (long long)last);
    for (*n = 0; *n < most; ++*n) number[*n] = first + *n;
    return XANI_OK;
}

static const candidate *with_number(const candidates *found, int64_t number)
{
    for (int i = 0; i < found->n; i++)
        if (found->list[i].number == number) return &found->list[i];
    return NULL;
}

// Digits of the family's numbers, where they have leading zeros.
static int digits_of(const candidate *c)
{
    const char *mark = strchr(c->family, '#');
    bool zeros = mark != NULL && c->name[mark - c->family] == '0' && strlen(c->name) > strlen(c->family);
    return zeros ? (int)(strlen(c->name) - strlen(c->family)) + 1 : 1;
}

static xani_status put_module(xn_ctx *ctx, const xn_config *config, const candidates *found, int64_t number,
                              xn_xf_module *m)
{
    const candidate *c = with_number(found, number);
    const char *family = found->list[0].family, *mark = strchr(family, '#');
    m->number = number;
    m->name = c != NULL      ? xn_strdup(c->name)
              : mark != NULL ? xn_format("%.*s%0*lld%s", (int)(mark - family), family, digits_of(&found->list[0]),
                                         (long long)number, mark + 1)
                             : xn_strdup(family);
    if (m->name == NULL) return xn_fail_memory(ctx, "a module's name", strlen(family));
    m->frames = xn_format("INSTRUMENT/%s/%s", m->name, found->list[0].dataset);
    if (m->frames == NULL) return xn_fail_memory(ctx, "a module's name", strlen(family));
    m->absent = config != NULL && xn_modules_left_out(config, m->name, number);
    if (c != NULL || m->absent) return XANI_OK;
    if (config == NULL) { // nobody to ask: only told about
        m->absent = true;
        return XANI_OK;
    }
    return xn_fail(ctx, XANI_ERR_INPUT,
                   "module %lld (%s) is in none of the files; input.modules.leave_out: [%lld] does without it",
                   (long long)number, m->name, (long long)number);
}

static xani_status nothing_found(xn_ctx *ctx, const xn_xf_run *run, const char *name)
{
    char **names = NULL;
    XN_TRY(xn_xf_detectors(ctx, run, &names));
    size_t n = 0;
    while (names[n] != NULL) n++;
    const char *nearest = xn_nearest_name(name, (const char *const *)names, n);
    if (nearest == NULL && n > 0) nearest = names[0];
    xani_status st = xn_fail(ctx, XANI_ERR_INPUT, "input.frames: none of the files has frames of %s%s%s", name,
                             nearest ? "; there is " : "", nearest ? nearest : "");
    xn_h5_names_free(names);
    return st;
}

xani_status xn_xf_modules_of(xn_ctx *ctx, const xn_config *config, const xn_xf_run *run, const char *name,
                             xn_xf_detector *d)
{
    candidates all = {0};
    int64_t number[MODULES_MOST + 1];
    int kept = 0;
    xani_status st;
    snprintf(d->name, sizeof d->name, "%s", name);
    XN_GOTO(out, st, search(ctx, config, run, &all));
    for (int i = 0; i < all.n; i++)
        if (is_of(name, &all.list[i])) all.list[kept++] = all.list[i];
    all.n = kept;
    if (kept == 0) {
        st = nothing_found(ctx, run, name);
        goto out;
    }
    XN_GOTO(out, st, keep_family(ctx, name, &all));
    XN_GOTO(out, st, all_numbers(ctx, config, &all, number, &d->n_modules));
    d->cells = strcmp(all.list[0].dataset, "data/adc") == 0;
    d->module = xn_calloc((size_t)d->n_modules, sizeof *d->module);
    if (d->module == NULL) {
        st = xn_fail_memory(ctx, "the modules", (size_t)d->n_modules * sizeof *d->module);
        goto out;
    }
    for (int m = 0; st == XANI_OK && m < d->n_modules; m++)
        st = put_module(ctx, config, &all, number[m], &d->module[m]);
out:
    xn_free(all.list);
    return st;
}
