// SPDX-License-Identifier: BSD-3-Clause
// detector.c -- where the frames of a SACLA detector lie: one dataset for each tag and panel.
//
//   /run_<R>/detector_2d_<n>/tag_<T>/{detector_data (y, x), detector_status 1}     /tag-<T>/data (Cheetah)
//
// Panels hold tags of their own: a frame is a tag that any panel has, and which of them lack it is kept.  A tag that
// two runs or files have is two frames, and the join refuses both.  A status other than 1 marks a bad frame, unless all
// have another, which then means something else.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/sacla/sacla.h"

typedef struct {
    uint64_t tag;
    int32_t run, panel;
    int64_t piece;
    uint8_t bad;
} entry;

typedef struct {
    xn_ctx *ctx;
    const xn_sacla *x;
    xn_sacla_detector *d;
    xn_pieces *status;
    entry *list;
    int64_t n;
    int64_t told, usual; // statuses; those that are 1
} collecting;

static int by_tag(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->tag != y->tag) return x->tag < y->tag ? -1 : 1;
    if (x->run != y->run) return (x->run > y->run) - (x->run < y->run);
    return (x->panel > y->panel) - (x->panel < y->panel);
}

// Keeps the names "tag_<T>" (or with a dash), sorted as they were; tags of them.
static xani_status take_tags(xn_ctx *ctx, char **names, char separator, uint64_t **tag, int64_t *n)
{
    size_t all = 0, kept = 0;
    while (names[all] != NULL) all++;
    *tag = xn_alloc(all + 1, sizeof **tag);
    if (*tag == NULL) return xn_fail_memory(ctx, "the tags of a panel", all * sizeof **tag);
    for (size_t i = 0; i < all; i++) {
        char *end = names[i];
        unsigned long long t =
            strncmp(names[i], "tag", 3) == 0 && names[i][3] == separator ? strtoull(names[i] + 4, &end, 10) : 0;
        if (t > 0 && end > names[i] + 4 && *end == '\0') {
            (*tag)[kept] = t;
            names[kept++] = names[i];
        } else {
            xn_free(names[i]);
        }
    }
    names[kept] = NULL;
    *n = (int64_t)kept;
    return XANI_OK;
}

static xani_status read_statuses(collecting *c, const xn_h5 *h5, const char *group, char *const *names, int64_t n,
                                 entry *first)
{
    int64_t *index = xn_alloc((size_t)n + 1, sizeof *index);
    if (index == NULL) return xn_fail_memory(c->ctx, "the statuses of a panel", (size_t)n * sizeof *index);
    xani_status st =
        xn_pieces_add(c->ctx, c->status, h5, group, (const char *const *)names, n, "detector_status", index);
    const xn_pieces_info *info = xn_pieces_get_info(c->status);
    for (int64_t i = 0; i < n && st == XANI_OK; i++) {
        int64_t value = 0;
        bool small = info->bytes <= sizeof value && info->type != XN_F32 && info->type != XN_F64;
        if (index[i] < 0 || !small) continue;
        XN_GOTO(out, st, xn_pieces_read(c->ctx, c->status, index[i], &value)); // little-endian: the rest stays 0
        first[i].bad = value != 1;
        c->told++;
        c->usual += value == 1;
    }
out:
    xn_free(index);
    return st;
}

// The tags of one panel of one run.
static xani_status add_tags(collecting *c, const xn_h5 *h5, int run, int panel, const char *group, char **names)
{
    bool cheetah = c->x->run[run].group[0] == '\0';
    uint64_t *tag = NULL;
    int64_t n = 0, *index = NULL;
    xani_status st;
    XN_TRY(take_tags(c->ctx, names, cheetah ? '-' : '_', &tag, &n));
    entry *list = xn_realloc(c->list, (size_t)(c->n + n) + 1, sizeof *list);
    index = xn_alloc((size_t)n + 1, sizeof *index);
    if (list != NULL) c->list = list;
    if (list == NULL || index == NULL)
        XN_GOTO(out, st, xn_fail_memory(c->ctx, "the list of frames", (size_t)(c->n + n) * sizeof *list));
    XN_GOTO(out, st,
            xn_pieces_add(c->ctx, c->d->pieces, h5, group, (const char *const *)names, n,
                          cheetah ? "data" : "detector_data", index));
    for (int64_t i = 0; i < n; i++)
        list[c->n + i] = (entry){.tag = tag[i], .run = run, .panel = panel, .piece = index[i]};
    if (!cheetah) st = read_statuses(c, h5, group, names, n, list + c->n);
    c->n += n;
    if (c->d->file == NULL && n > 0) c->d->file = c->x->run[run].file;
out:
    xn_free(index);
    xn_free(tag);
    return st;
}

static xani_status add_panel(collecting *c, const xn_h5 *h5, int run, int panel)
{
    const xn_sacla_run *r = &c->x->run[run];
    char group[128], **names = NULL;
    snprintf(group, sizeof group, "%s/%s", r->group, c->d->panel[panel].group);
    if (!xn_h5_exists(h5, group)) return XANI_OK; // then all its frames are missing
    XN_TRY(xn_h5_names(c->ctx, h5, group, &names));
    xani_status st = add_tags(c, h5, run, panel, group, names);
    xn_h5_names_free(names);
    return st;
}

// The panel is what it was in the first run, where this one has it at all.
static xani_status compare(collecting *c, const xn_h5 *h5, int run)
{
    const xn_sacla_run *r = &c->x->run[run];
    const xn_sacla_detector *d = c->d;
    xn_sacla_detector *there = NULL;
    int n = 0;
    XN_TRY(xn_sacla_detectors(c->ctx, h5, r, &there, &n));
    xani_status st = XANI_OK;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < there[i].n_panels; k++)
            for (int m = 0; m < d->n_panels; m++) {
                const xn_sacla_panel *p = &there[i].panel[k], *q = &d->panel[m];
                if (strcmp(p->group, q->group) != 0 || st != XANI_OK) continue;
                if (strcmp(p->name, q->name) != 0 || (p->gain < q->gain || p->gain > q->gain))
                    st = xn_fail(c->ctx, XANI_ERR_INPUT,
                                 "%s: %s/%s is panel %s with gain %g, in the runs before it %s with gain %g; give "
                                 "run_numbers",
                                 r->file, r->group, p->group, p->name, p->gain, q->name, q->gain);
            }
    xn_free(there);
    return st;
}

static xani_status add_run(collecting *c, int run)
{
    bool cheetah = c->x->run[run].group[0] == '\0';
    if (cheetah != (c->d->panel[0].group[0] == '\0')) return XANI_OK; // readings only
    xn_h5 *h5 = NULL;
    xani_status st = xn_h5_open(c->ctx, c->x->run[run].file, &h5);
    if (st == XANI_OK && !cheetah) st = compare(c, h5, run);
    for (int k = 0; st == XANI_OK && k < c->d->n_panels; k++)
        if (!c->d->panel[k].left_out) st = add_panel(c, h5, run, k);
    xn_h5_close(&h5);
    return st;
}

// Entries of one tag and run become a frame.
static xani_status make_frames(collecting *c)
{
    xn_sacla_detector *d = c->d;
    qsort(c->list, (size_t)c->n, sizeof *c->list, by_tag);
    for (int64_t i = 0; i < c->n; i++)
        d->n += i == 0 || c->list[i].tag != c->list[i - 1].tag || c->list[i].run != c->list[i - 1].run;
    size_t cells = (size_t)d->n * (size_t)d->n_panels;
    d->tag = xn_alloc((size_t)d->n, sizeof *d->tag);
    d->run = xn_alloc((size_t)d->n, sizeof *d->run);
    d->bad = xn_calloc((size_t)d->n, 1);
    d->piece = xn_alloc(cells, sizeof *d->piece);
    if (d->tag == NULL || d->run == NULL || d->bad == NULL || d->piece == NULL)
        return xn_fail_memory(c->ctx, "the list of frames", cells * sizeof *d->piece);
    for (size_t i = 0; i < cells; i++) d->piece[i] = -1;
    bool statuses = c->usual > 0;
    if (c->told > 0 && !statuses)
        xn_warn(c->ctx, "%s: detector_status is 1 in no frame of %s; it is not used", d->file, d->name);
    int64_t frame = -1;
    for (int64_t i = 0; i < c->n; i++) {
        const entry *e = &c->list[i];
        if (i == 0 || e->tag != c->list[i - 1].tag || e->run != c->list[i - 1].run) d->tag[++frame] = e->tag;
        d->run[frame] = e->run;
        d->piece[frame * d->n_panels + e->panel] = e->piece;
        d->bad[frame] |= statuses && e->bad;
    }
    return XANI_OK;
}

xani_status xn_sacla_detector_read(xn_ctx *ctx, const xn_sacla *x, const xn_array_options *how, xn_sacla_detector *d)
{
    collecting c = {.ctx = ctx, .x = x, .d = d};
    xani_status st = xn_pieces_open(ctx, how, &d->pieces);
    if (st == XANI_OK) st = xn_pieces_open(ctx, how, &c.status);
    for (int i = 0; st == XANI_OK && i < x->n_runs; i++) st = add_run(&c, i);
    const xn_pieces_info *info = d->pieces != NULL ? xn_pieces_get_info(d->pieces) : NULL;
    if (st == XANI_OK && (info == NULL || info->n == 0))
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s holds no frames", x->run[0].file, d->name);
    if (st == XANI_OK && info != NULL && info->rank != 2) {
        char shape[128];
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: frames of %s have shape %s; (y, x) is needed", d->file, d->name,
                     xn_shape_text(shape, info->rank, info->dims));
    }
    if (st == XANI_OK) st = make_frames(&c);
    xn_pieces_close(&c.status);
    xn_free(c.list);
    if (st != XANI_OK) xn_sacla_detector_free(d);
    return st;
}

void xn_sacla_detector_free(xn_sacla_detector *d)
{
    xn_pieces_close(&d->pieces);
    xn_free(d->tag);
    xn_free(d->run);
    xn_free(d->piece);
    xn_free(d->bad);
    d->tag = NULL;
    d->run = NULL;
    d->piece = NULL;
    d->bad = NULL;
    d->n = 0;
}
