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

// ---- what is not there is no error; memory that is short is

static xani_status tolerate(xn_ctx *ctx, xani_status st, bool *there)
{
    *there = st == XANI_OK;
    if (st == XANI_OK || st == XANI_ERR_MEMORY) return st;
    xn_clear_error(ctx);
    return XANI_OK;
}

xani_status xn_nx_attr_is(xn_ctx *ctx, const xn_h5 *h5, const char *object, const char *name, const char *word,
                          bool *is)
{
    char *text = NULL;
    XN_TRY(tolerate(ctx, xn_h5_read_attr(ctx, h5, object, name, &text), is));
    *is = *is && strcmp(text, word) == 0;
    xn_free(text);
    return XANI_OK;
}

static void join(const char *group, const char *name, char path[XN_KEY_LENGTH])
{
    char whole[2 * XN_KEY_LENGTH];
    while (*name == '/') name++;
    int n = snprintf(whole, sizeof whole, "%s%s%s", group, group[0] ? "/" : "", name);
    snprintf(path, XN_KEY_LENGTH, "%.*s", n < XN_KEY_LENGTH ? n : 0, whole); // none where it is too long
}

static xani_status is_group(xn_ctx *ctx, const xn_h5 *h5, const char *path, bool *is)
{
    xn_h5_info info;
    *is = path[0] != '\0' && xn_h5_exists(h5, path);
    if (!*is) return XANI_OK;
    XN_TRY(tolerate(ctx, xn_h5_info_get(ctx, h5, path, &info), is));
    *is = *is && info.is_group;
    return XANI_OK;
}

// Follows @default of a group once; "" in `to`: it has none that exists.
static xani_status hop(xn_ctx *ctx, const xn_h5 *h5, const char *from, char to[XN_KEY_LENGTH])
{
    char *name = NULL;
    bool there;
    to[0] = '\0';
    XN_TRY(tolerate(ctx, xn_h5_read_attr(ctx, h5, from[0] ? from : "/", "default", &name), &there));
    if (there && name[0] != '\0') join(name[0] == '/' ? "" : from, name, to);
    if (to[0] != '\0' && !xn_h5_exists(h5, to)) to[0] = '\0';
    xn_free(name);
    return XANI_OK;
}

// First member of this class, by name; "" when there is none.
static xani_status child_of_class(xn_ctx *ctx, const xn_h5 *h5, const char *group, const char *nx_class,
                                  char child[XN_KEY_LENGTH])
{
    char **names = NULL, path[XN_KEY_LENGTH];
    bool there, is = false;
    child[0] = '\0';
    XN_TRY(tolerate(ctx, xn_h5_names(ctx, h5, group[0] ? group : "/", &names), &there));
    xani_status st = XANI_OK;
    for (int i = 0; there && st == XANI_OK && names[i] != NULL && !is; i++) {
        join(group, names[i], path);
        if (path[0] != '\0') st = xn_nx_attr_is(ctx, h5, path, "NX_class", nx_class, &is);
        if (is) snprintf(child, XN_KEY_LENGTH, "%s", path);
    }
    xn_h5_names_free(names);
    return st;
}

xani_status xn_nx_default(xn_ctx *ctx, const xn_h5 *h5, char entry[XN_KEY_LENGTH], char group[XN_KEY_LENGTH])
{
    char next[XN_KEY_LENGTH];
    bool is;
    group[0] = '\0';
    XN_TRY(hop(ctx, h5, "", entry));
    if (entry[0] == '\0' && xn_h5_exists(h5, "entry"))
        snprintf(entry, XN_KEY_LENGTH, "entry");
    else if (entry[0] == '\0')
        XN_TRY(child_of_class(ctx, h5, "", "NXentry", entry));
    for (int i = 0; i < CHAIN; i++) {
        XN_TRY(hop(ctx, h5, group[0] ? group : entry, next));
        if (next[0] == '\0') break;
        snprintf(group, XN_KEY_LENGTH, "%s", next);
    }
    if (group[0] != '\0') return XANI_OK;
    join(entry, "data", group);
    XN_TRY(is_group(ctx, h5, group, &is));
    return is ? XANI_OK : child_of_class(ctx, h5, entry, "NXdata", group);
}

xani_status xn_nx_is_nxmx(xn_ctx *ctx, const xn_h5 *h5, bool *is)
{
    char entry[XN_KEY_LENGTH], group[XN_KEY_LENGTH], path[XN_KEY_LENGTH + 16], *text = NULL;
    XN_TRY(xn_nx_default(ctx, h5, entry, group));
    snprintf(path, sizeof path, "%s/definition", entry);
    *is = entry[0] != '\0' && xn_h5_exists(h5, path);
    if (*is) XN_TRY(tolerate(ctx, xn_h5_read_string(ctx, h5, path, &text), is));
    *is = *is && strcmp(text, "NXmx") == 0;
    xn_free(text);
    return XANI_OK;
}

// NAME of a group, or its first member of this class.
static xani_status member(xn_ctx *ctx, const xn_h5 *h5, const char *group, const char *name, const char *nx_class,
                          char path[XN_KEY_LENGTH])
{
    join(group, name, path);
    return xn_h5_exists(h5, path) ? XANI_OK : child_of_class(ctx, h5, group, nx_class, path);
}

xani_status xn_nx_detector(xn_ctx *ctx, const xn_h5 *h5, char detector[XN_KEY_LENGTH])
{
    char entry[XN_KEY_LENGTH], group[XN_KEY_LENGTH], instrument[XN_KEY_LENGTH];
    detector[0] = '\0';
    XN_TRY(xn_nx_default(ctx, h5, entry, group));
    XN_TRY(member(ctx, h5, entry, "instrument", "NXinstrument", instrument));
    return instrument[0] != '\0' ? member(ctx, h5, instrument, "detector", "NXdetector", detector) : XANI_OK;
}

// ---- every dataset

static xani_status walk(xn_ctx *ctx, const xn_h5 *h5, const char *group, int depth, xn_nx_each each, void *user)
{
    char **names = NULL, path[XN_KEY_LENGTH];
    xn_h5_info info;
    bool there;
    XN_TRY(tolerate(ctx, xn_h5_names(ctx, h5, group[0] ? group : "/", &names), &there));
    xani_status st = XANI_OK;
    for (int i = 0; there && st == XANI_OK && names[i] != NULL; i++) {
        bool known = false;
        join(group, names[i], path);
        if (path[0] == '\0' || !xn_h5_exists(h5, path)) continue;
        st = tolerate(ctx, xn_h5_info_get(ctx, h5, path, &info), &known);
        if (!known) continue;
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

static xani_status are_frames(xn_ctx *ctx, const xn_h5 *h5, const char *dataset, int64_t least, bool *are)
{
    xn_h5_info info;
    XN_TRY(tolerate(ctx, xn_h5_info_get(ctx, h5, dataset, &info), are));
    *are = *are && !info.is_group && info.rank >= 3 && xn_is_number(info.type) && info.dims[info.rank - 1] >= least &&
           info.dims[info.rank - 2] >= least;
    return XANI_OK;
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

static xani_status add_frames(xn_ctx *ctx, const xn_h5 *h5, const char *name, int64_t least, char ***list)
{
    bool are = false;
    XN_TRY(are_frames(ctx, h5, name, least, &are));
    return are ? add(ctx, name, list) : XANI_OK;
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
    bool there;
    int64_t last = -1;
    XN_TRY(tolerate(ctx, xn_h5_names(ctx, h5, group[0] ? group : "/", &names), &there));
    xani_status st = XANI_OK;
    for (int i = 0; there && st == XANI_OK && names[i] != NULL; i++) {
        bool is_data = strcmp(names[i], "data") == 0;
        int64_t number = number_of(names[i]);
        if (!is_data && number < 0) continue;
        join(group, names[i], path);
        if (number >= 0 && last >= 0 && number != last + 1)
            st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: data_%06lld is not there, data_%06lld is", xn_h5_path(h5), group,
                         (long long)last + 1, (long long)number);
        else if (!xn_h5_exists(h5, path))
            st = dangling(ctx, h5, path);
        else if (!whole)
            st = add_frames(ctx, h5, path, 1, datasets);
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
    XN_TRY(add_frames(ctx, h5, given, 1, datasets));
    if (*datasets != NULL) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: input.frames: %s is %s %s; frames (n, y, x) of numbers are needed",
                   xn_h5_path(h5), given, xn_type_name(info.type), xn_shape_text(shape, info.rank, info.dims));
}

static xani_status first_frames(xn_ctx *ctx, void *user, const xn_h5 *h5, const char *dataset, const xn_h5_info *info)
{
    (void)info;
    char ***datasets = user;
    return *datasets == NULL ? add_frames(ctx, h5, dataset, XN_NX_LEAST, datasets) : XANI_OK;
}

// The member of an NXdata whose own @signal is 1, as files before 2014 have it.
static xani_status old_signal(xn_ctx *ctx, const xn_h5 *h5, const char *group, char ***datasets)
{
    char **names = NULL, path[XN_KEY_LENGTH];
    bool there;
    XN_TRY(tolerate(ctx, xn_h5_names(ctx, h5, group, &names), &there));
    xani_status st = XANI_OK;
    for (int i = 0; there && names[i] != NULL && *datasets == NULL && st == XANI_OK; i++) {
        double one = 0;
        bool is = false, number = false;
        join(group, names[i], path);
        if (path[0] == '\0' || !xn_h5_exists(h5, path)) continue;
        XN_GOTO(out, st, xn_nx_attr_is(ctx, h5, path, "signal", "1", &is));
        if (!is) XN_GOTO(out, st, tolerate(ctx, xn_h5_read_attr_f64(ctx, h5, path, "signal", &one), &number));
        if (is || (number && one == 1.0)) st = add_frames(ctx, h5, path, 1, datasets);
    }
out:
    xn_h5_names_free(names);
    return st;
}

// @signal of an NXdata.
static xani_status signal_of(xn_ctx *ctx, const xn_h5 *h5, const char *group, char ***datasets)
{
    char *name = NULL, path[XN_KEY_LENGTH] = "";
    bool there;
    XN_TRY(tolerate(ctx, xn_h5_read_attr(ctx, h5, group, "signal", &name), &there));
    if (!there) return old_signal(ctx, h5, group, datasets);
    join(group, name, path);
    xn_free(name);
    if (path[0] == '\0') return XANI_OK;
    return xn_h5_exists(h5, path) ? add_frames(ctx, h5, path, 1, datasets) : dangling(ctx, h5, path);
}

xani_status xn_nx_find_frames(xn_ctx *ctx, const xn_h5 *h5, bool nxmx, const char *given, char ***datasets)
{
    char entry[XN_KEY_LENGTH], group[XN_KEY_LENGTH];
    *datasets = NULL;
    xani_status st = xn_nx_default(ctx, h5, entry, group);
    if (st != XANI_OK) return st;
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
