// SPDX-License-Identifier: BSD-3-Clause
// find.c -- where the frames of a NeXus file stand (formats.md 2).
//
// NXmx: the NXdata that the @default chain leads to, or entry/data, or (old masters) entry itself: one dataset `data`,
// often virtual, or data_000001, data_000002, ..., mostly external links.  Plain NeXus: the same chain, @signal there;
// else the first dataset of three axes or more whose images have 16 x 16 pixels at least.  A link whose target is
// missing is an error even where the data could be read past it: frames would be lost without a word.
#include "source/nexus/nexus.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define CHAIN 8 // attributes @default followed at most, levels searched

// ---- attributes; what is not there is no error

bool xn_nx_attr_is(xn_ctx *ctx, const xn_h5 *h5, const char *object, const char *name, const char *word)
{
    (void)ctx;
    char *text = NULL;
    bool is = xn_h5_read_attr(NULL, h5, object, name, &text) == XANI_OK && strcmp(text, word) == 0;
    xn_free(text);
    return is;
}

static void join(const char *group, const char *name, char path[XN_KEY_LENGTH])
{
    char whole[2 * XN_KEY_LENGTH];
    while (*name == '/') name++;
    int n = snprintf(whole, sizeof whole, "%s%s%s", group, group[0] ? "/" : "", name);
    snprintf(path, XN_KEY_LENGTH, "%.*s", n < XN_KEY_LENGTH ? n : 0, whole); // none where it is too long
}

// Follows @default of a group once.
static bool hop(const xn_h5 *h5, const char *from, char to[XN_KEY_LENGTH])
{
    char *name = NULL;
    bool there = xn_h5_read_attr(NULL, h5, from[0] ? from : "/", "default", &name) == XANI_OK && name[0] != '\0';
    if (there) join(name[0] == '/' ? "" : from, name, to);
    there = there && to[0] != '\0' && xn_h5_exists(h5, to);
    xn_free(name);
    return there;
}

// First member of this class, by name; "" when there is none.
static void child_of_class(const xn_h5 *h5, const char *group, const char *nx_class, char child[XN_KEY_LENGTH])
{
    char **names = NULL, path[XN_KEY_LENGTH];
    child[0] = '\0';
    if (xn_h5_names(NULL, h5, group[0] ? group : "/", &names) != XANI_OK) return;
    for (int i = 0; names[i] != NULL && child[0] == '\0'; i++) {
        join(group, names[i], path);
        if (path[0] != '\0' && xn_nx_attr_is(NULL, h5, path, "NX_class", nx_class))
            snprintf(child, XN_KEY_LENGTH, "%s", path);
    }
    xn_h5_names_free(names);
}

void xn_nx_default(xn_ctx *ctx, const xn_h5 *h5, char entry[XN_KEY_LENGTH], char group[XN_KEY_LENGTH])
{
    (void)ctx;
    char next[XN_KEY_LENGTH];
    group[0] = '\0';
    if (!hop(h5, "", entry)) {
        if (xn_h5_exists(h5, "entry"))
            snprintf(entry, XN_KEY_LENGTH, "entry");
        else
            child_of_class(h5, "", "NXentry", entry);
    }
    for (int i = 0; i < CHAIN && hop(h5, group[0] ? group : entry, next); i++)
        snprintf(group, XN_KEY_LENGTH, "%s", next);
    if (group[0] != '\0') return;
    join(entry, "data", group);
    xn_h5_info info;
    bool is_group = xn_h5_exists(h5, group) && xn_h5_info_get(NULL, h5, group, &info) == XANI_OK && info.is_group;
    if (!is_group) child_of_class(h5, entry, "NXdata", group);
}

bool xn_nx_is_nxmx(xn_ctx *ctx, const xn_h5 *h5)
{
    char entry[XN_KEY_LENGTH], group[XN_KEY_LENGTH], path[XN_KEY_LENGTH + 16], *text = NULL;
    xn_nx_default(ctx, h5, entry, group);
    snprintf(path, sizeof path, "%s/definition", entry);
    bool is = entry[0] != '\0' && xn_h5_exists(h5, path) && xn_h5_read_string(NULL, h5, path, &text) == XANI_OK &&
              strcmp(text, "NXmx") == 0;
    xn_free(text);
    return is;
}

void xn_nx_detector(xn_ctx *ctx, const xn_h5 *h5, char detector[XN_KEY_LENGTH])
{
    char entry[XN_KEY_LENGTH], group[XN_KEY_LENGTH], instrument[XN_KEY_LENGTH];
    xn_nx_default(ctx, h5, entry, group);
    join(entry, "instrument", instrument);
    if (!xn_h5_exists(h5, instrument)) child_of_class(h5, entry, "NXinstrument", instrument);
    detector[0] = '\0';
    if (instrument[0] == '\0') return;
    join(instrument, "detector", detector);
    if (!xn_h5_exists(h5, detector)) child_of_class(h5, instrument, "NXdetector", detector);
}

// ---- every dataset

static xani_status walk(xn_ctx *ctx, const xn_h5 *h5, const char *group, int depth, xn_nx_each each, void *user)
{
    char **names = NULL, path[XN_KEY_LENGTH];
    xn_h5_info info;
    if (xn_h5_names(NULL, h5, group[0] ? group : "/", &names) != XANI_OK) return XANI_OK;
    xani_status st = XANI_OK;
    for (int i = 0; st == XANI_OK && names[i] != NULL; i++) {
        join(group, names[i], path);
        if (path[0] == '\0' || !xn_h5_exists(h5, path) || xn_h5_info_get(NULL, h5, path, &info) != XANI_OK) continue;
        if (info.is_group)
            st = depth > 0 ? walk(ctx, h5, path, depth - 1, each, user) : XANI_OK;
        else if (xn_is_number(info.type))
            st = each(ctx, user, h5, path, &info);
    }
    xn_h5_names_free(names);
    return st;
}

xani_status xn_nx_walk(xn_ctx *ctx, const xn_h5 *h5, xn_nx_each each, void *user)
{
    return walk(ctx, h5, "", CHAIN, each, user);
}

// ---- frames

static bool are_frames(const xn_h5 *h5, const char *dataset, int64_t least)
{
    xn_h5_info info;
    return xn_h5_info_get(NULL, h5, dataset, &info) == XANI_OK && !info.is_group && info.rank >= 3 &&
           xn_is_number(info.type) && info.dims[info.rank - 1] >= least && info.dims[info.rank - 2] >= least;
}

static xani_status add(xn_ctx *ctx, const char *name, char ***list)
{
    size_t n = 0;
    while (*list != NULL && (*list)[n] != NULL) n++;
    char *copy = xn_strdup(name), **p = copy ? xn_realloc(*list, n + 2, sizeof *p) : NULL;
    if (p == NULL) {
        xn_free(copy);
        return xn_fail_memory(ctx, "the list of datasets", (n + 2) * sizeof *p);
    }
    *list = p;
    p[n] = copy;
    p[n + 1] = NULL;
    return XANI_OK;
}

// 1 of data_000001 and the like; -1: no such name.
static int64_t number_of(const char *name)
{
    if (strncmp(name, "data_", 5) != 0 || name[5] == '\0' || strlen(name) > 16) return -1;
    int64_t number = 0;
    for (name += 5; *name != '\0'; name++) {
        if (!isdigit((unsigned char)*name)) return -1;
        number = 10 * number + (*name - '0');
    }
    return number;
}

// Why an object that has a link cannot be opened.
static xani_status dangling(xn_ctx *ctx, const xn_h5 *h5, const char *name)
{
    char *target = NULL;
    xn_h5 *other = NULL;
    XN_TRY(xn_h5_external(ctx, h5, name, &target));
    if (target == NULL)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s cannot be opened: damaged, or a link to nothing", xn_h5_path(h5),
                       name);
    xani_status st = xn_h5_open(ctx, target, &other);
    xn_h5_close(&other);
    if (st == XANI_OK) st = xn_fail(ctx, XANI_ERR_INPUT, "%s: what the link leads to is not in it", target);
    xn_free(target);
    return xn_context(ctx, st, "%s: %s is in another file", xn_h5_path(h5), name);
}

// `data` of a group, or its data_000001, ...; each link is followed.
static xani_status frames_of_group(xn_ctx *ctx, const xn_h5 *h5, const char *group, char ***datasets)
{
    char **names = NULL, path[XN_KEY_LENGTH];
    bool whole = false;
    int64_t last = -1;
    if (xn_h5_names(NULL, h5, group[0] ? group : "/", &names) != XANI_OK) return XANI_OK;
    xani_status st = XANI_OK;
    for (int i = 0; st == XANI_OK && names[i] != NULL; i++) {
        bool is_data = strcmp(names[i], "data") == 0;
        int64_t number = number_of(names[i]);
        if (!is_data && number < 0) continue;
        join(group, names[i], path);
        if (number >= 0 && last >= 0 && number != last + 1)
            st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: data_%06lld is not there, data_%06lld is", xn_h5_path(h5), group,
                         (long long)last + 1, (long long)number);
        else if (!xn_h5_exists(h5, path))
            st = dangling(ctx, h5, path);
        else if (are_frames(h5, path, 1) && !whole)
            st = add(ctx, path, datasets);
        whole = whole || (is_data && *datasets != NULL); // "data" is sorted before its parts
        last = number >= 0 ? number : last;
    }
    xn_h5_names_free(names);
    return st;
}

static xani_status missing(xn_ctx *ctx, const xn_h5 *h5, const char *given)
{
    char *target = NULL;
    XN_TRY(xn_h5_external(ctx, h5, given, &target));
    xani_status st = target != NULL ? dangling(ctx, h5, given)
                                    : xn_fail(ctx, XANI_ERR_INPUT, "%s: there is no %s", xn_h5_path(h5), given);
    xn_free(target);
    return xn_context(ctx, st, "input.frames");
}

static xani_status find_given(xn_ctx *ctx, const xn_h5 *h5, const char *given, char ***datasets)
{
    xn_h5_info info;
    char shape[128];
    if (!xn_h5_exists(h5, given)) return missing(ctx, h5, given);
    XN_TRY(xn_h5_info_get(ctx, h5, given, &info));
    if (info.is_group) {
        XN_TRY(frames_of_group(ctx, h5, given, datasets));
        if (*datasets != NULL) return XANI_OK;
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: input.frames: group %s has neither data nor data_000001, ...",
                       xn_h5_path(h5), given);
    }
    if (are_frames(h5, given, 1)) return add(ctx, given, datasets);
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: input.frames: %s is %s %s; frames (n, y, x) of numbers are needed",
                   xn_h5_path(h5), given, xn_type_name(info.type), xn_shape_text(shape, info.rank, info.dims));
}

static xani_status first_frames(xn_ctx *ctx, void *user, const xn_h5 *h5, const char *dataset, const xn_h5_info *info)
{
    (void)info;
    char ***datasets = user;
    return *datasets == NULL && are_frames(h5, dataset, XN_NX_LEAST) ? add(ctx, dataset, datasets) : XANI_OK;
}

// @signal of an NXdata; in files before 2014 the member whose own @signal is 1.
static xani_status signal_of(xn_ctx *ctx, const xn_h5 *h5, const char *group, char ***datasets)
{
    char *name = NULL, path[XN_KEY_LENGTH], **names = NULL;
    double one = 0;
    xani_status st = XANI_OK;
    if (xn_h5_read_attr(NULL, h5, group, "signal", &name) == XANI_OK) {
        join(group, name, path);
        if (path[0] != '\0' && xn_h5_exists(h5, path) && are_frames(h5, path, 1)) st = add(ctx, path, datasets);
        if (path[0] != '\0' && !xn_h5_exists(h5, path)) st = dangling(ctx, h5, path);
    } else if (xn_h5_names(NULL, h5, group, &names) == XANI_OK) {
        for (int i = 0; names[i] != NULL && *datasets == NULL && st == XANI_OK; i++) {
            join(group, names[i], path);
            bool is = xn_nx_attr_is(ctx, h5, path, "signal", "1") ||
                      (xn_h5_read_attr_f64(NULL, h5, path, "signal", &one) == XANI_OK && one == 1.0);
            if (is && are_frames(h5, path, 1)) st = add(ctx, path, datasets);
        }
    }
    xn_h5_names_free(names);
    xn_free(name);
    return st;
}

xani_status xn_nx_find_frames(xn_ctx *ctx, const xn_h5 *h5, bool nxmx, const char *given, char ***datasets)
{
    char entry[XN_KEY_LENGTH], group[XN_KEY_LENGTH];
    *datasets = NULL;
    xani_status st = XANI_OK;
    xn_nx_default(ctx, h5, entry, group);
    if (given != NULL)
        st = find_given(ctx, h5, given[0] == '/' ? given + 1 : given, datasets);
    else if (nxmx) {
        if (group[0] != '\0') st = frames_of_group(ctx, h5, group, datasets);
        if (st == XANI_OK && *datasets == NULL) st = frames_of_group(ctx, h5, entry, datasets);
    } else {
        if (group[0] != '\0') st = signal_of(ctx, h5, group, datasets);
        if (st == XANI_OK && *datasets == NULL) st = xn_nx_walk(ctx, h5, first_frames, datasets);
    }
    if (st == XANI_OK) return XANI_OK;
    xn_h5_names_free(*datasets);
    *datasets = NULL;
    return st;
}
