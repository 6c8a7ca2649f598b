// SPDX-License-Identifier: BSD-3-Clause
// detector.c -- the frames of every module of a detector, train by train: see euxfel.h.
//
// XTDF detectors (AGIPD, LPD, DSSC) have a row per frame and a pulse id beside it; a JUNGFRAU has a row per train with
// one or 16 memory cells, which are that train's frames in the order of time (formats.md 1.4).  Rows belong to the
// trains that INDEX says; rows behind those are padding.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/euxfel/modules_of.h"

#define NAMED_MOST ((int64_t)1 << 32) // rows of one train

// ---- one file of one module

typedef struct {
    xn_ctx *ctx;
    const xn_h5 *h5;
    const xn_xf_file *file;
    xn_xf_detector *d;
    const xn_xf_module *module;
    xn_xf_ids ids;
    char group[XN_KEY_LENGTH]; // "DEVICE:CHANNEL/GROUP"
    int64_t before, rows;      // rows of the files before; of this one
    xn_xf_list *list;
} part;

// Numbers beside the frames, of the rows that the index names: (rows) or (rows, n); NULL where there are none.
static xani_status beside(const part *p, const char *name, int64_t each, int64_t named, int64_t **value)
{
    char path[2 * XN_KEY_LENGTH];
    int64_t n = 0, wanted = named * each;
    *value = NULL;
    snprintf(path, sizeof path, "INSTRUMENT/%s/%s", p->group, name);
    if (named == 0 || !xn_h5_exists(p->h5, path)) return XANI_OK;
    XN_TRY(xn_xf_whole(p->ctx, p->h5, path, named, false, value, &n));
    if (n == wanted) return XANI_OK;
    return xn_fail(p->ctx, XANI_ERR_INPUT, "%s: %s has %lld numbers for %lld frames", p->file->path, path, (long long)n,
                   (long long)wanted);
}

// Rows up to the last one that the index names.
static int64_t named_rows(const part *p, const int64_t *first, const int64_t *count)
{
    int64_t most = 0;
    for (int64_t t = 0; t < p->file->n; t++)
        if (count[t] > 0) most = xn_max64(most, first[t] + count[t]);
    return most;
}

static xani_status add_frame(const part *p, int64_t train, int64_t pulse, int64_t place, int64_t cell)
{
    if (pulse < 0 || pulse >= XN_XF_PULSES)
        return xn_fail(p->ctx, XANI_ERR_INPUT, "%s: %s: pulse %lld of train %llu; at most %d are possible",
                       p->file->path, p->group, (long long)pulse, (unsigned long long)p->file->train[train],
                       XN_XF_PULSES);
    xn_xf_entry e = {.id = xn_xf_id(p->file->train[train], (uint64_t)pulse),
                     .place = (uint64_t)place,
                     .cell = (uint64_t)cell & 0xffff,
                     .good = p->file->good[train] != 0};
    return xn_xf_list_add(p->ctx, p->list, &e);
}

static xani_status add_cells(const part *p, const int64_t *first, const int64_t *count)
{
    int64_t cells = p->d->n_cells, *cell = NULL;
    xani_status st = beside(p, "memoryCell", cells, named_rows(p, first, count), &cell);
    for (int64_t t = 0; st == XANI_OK && t < p->file->n; t++)
        for (int64_t i = 0; st == XANI_OK && i < count[t] * cells; i++) {
            int64_t at = first[t] * cells + i;
            st = add_frame(p, t, i, p->before * cells + at, cell != NULL ? cell[at] : i % cells);
        }
    xn_free(cell);
    return st;
}

static xani_status add_pulses(const part *p, const int64_t *first, const int64_t *count)
{
    int64_t *pulse = NULL, *cell = NULL, named = named_rows(p, first, count);
    xani_status st;
    if (named == 0) return XANI_OK;
    XN_GOTO(out, st, beside(p, "pulseId", 1, named, &pulse));
    XN_GOTO(out, st, beside(p, "cellId", 1, named, &cell));
    const int64_t *number = p->ids == XN_XF_BY_PULSE ? pulse : p->ids == XN_XF_BY_CELL ? cell : NULL;
    if (number == NULL && p->ids != XN_XF_BY_ORDER) {
        st = xn_fail(p->ctx, XANI_ERR_INPUT, "%s: INSTRUMENT/%s/%s: no such dataset (input.pulses.ids)", p->file->path,
                     p->group, p->ids == XN_XF_BY_PULSE ? "pulseId" : "cellId");
        goto out;
    }
    for (int64_t t = 0; st == XANI_OK && t < p->file->n; t++)
        for (int64_t i = 0; st == XANI_OK && i < count[t]; i++) {
            int64_t at = first[t] + i;
            st = add_frame(p, t, number != NULL ? number[at] : i, p->before + at, cell != NULL ? cell[at] : 0);
        }
out:
    xn_free(pulse);
    xn_free(cell);
    return st;
}

// Frames that the index names and the dataset does not hold (a file that was not finished).
static xani_status count_cut_off(const part *p, const int64_t *count)
{
    int64_t *first = NULL, *all = NULL, named = 0, held = 0;
    XN_TRY(xn_xf_index(p->ctx, p->h5, p->file, p->group, INT64_MAX / 4, &first, &all));
    for (int64_t t = 0; t < p->file->n; t++) {
        named += xn_min64(all[t], NAMED_MOST); // of a damaged index
        held += count[t];
    }
    p->d->cut_off += (named - held) * (p->d->cells ? p->d->n_cells : 1);
    xn_free(first);
    return XANI_OK;
}

static xani_status add_file(const part *p)
{
    int64_t *first = NULL, *count = NULL;
    XN_TRY(xn_xf_index(p->ctx, p->h5, p->file, p->group, p->rows, &first, &count));
    xani_status st = count_cut_off(p, count);
    if (st == XANI_OK) st = p->d->cells ? add_cells(p, first, count) : add_pulses(p, first, count);
    xn_free(first);
    return st;
}

// ---- one module

static xani_status check_shape(const part *p, const xn_h5_info *info, bool first)
{
    xn_xf_detector *d = p->d;
    char shape[128];
    const char *path = p->file->path, *frames = p->module->frames;
    bool fits = !info->is_group && (info->rank == 3 || info->rank == 4) && xn_is_number(info->type);
    if (!fits)
        return xn_fail(p->ctx, XANI_ERR_INPUT, "%s: %s is %s %s; frames of numbers are needed", path, frames,
                       xn_type_name(info->type), xn_shape_text(shape, info->is_group ? 0 : info->rank, info->dims));
    int64_t cells = info->rank == 4 ? info->dims[1] : 1;
    int64_t ny = info->dims[info->rank - 2], nx = info->dims[info->rank - 1];
    if (!d->cells && cells == 2)
        return xn_fail(p->ctx, XANI_ERR_INPUT,
                       "%s: %s are raw AGIPD frames, analogue and digital; give the corrected files (CORR-...)", path,
                       frames);
    if (!d->cells && cells != 1)
        return xn_fail(p->ctx, XANI_ERR_INPUT, "%s: %s has shape %s", path, frames,
                       xn_shape_text(shape, info->rank, info->dims));
    if (first) {
        d->n_cells = cells;
        d->ny = ny;
        d->nx = nx;
        d->type = info->type;
        snprintf(d->filters, sizeof d->filters, "%s", info->filters);
    }
    if (cells == d->n_cells && ny == d->ny && nx == d->nx && info->type == d->type) return XANI_OK;
    return xn_fail(p->ctx, XANI_ERR_INPUT, "%s: %s is %s %s, modules before it are %s with %lld x %lld pixels", path,
                   frames, xn_type_name(info->type), xn_shape_text(shape, info->rank, info->dims),
                   xn_type_name(d->type), (long long)d->ny, (long long)d->nx);
}

// Path of a dataset beside the frames (owned), NULL where there is none.
static xani_status sibling(xn_ctx *ctx, const xn_h5 *h5, const char *frames, const char *name, char **path)
{
    const char *slash = strrchr(frames, '/');
    *path = xn_format("%.*s/%s", (int)(slash - frames), frames, name);
    if (*path == NULL) return xn_fail_memory(ctx, frames, strlen(frames));
    if (xn_h5_exists(h5, *path)) return XANI_OK;
    xn_free(*path);
    *path = NULL;
    return XANI_OK;
}

static xani_status read_file(xn_ctx *ctx, const xn_xf_file *file, xn_xf_detector *d, xn_xf_module *m, part *p,
                             bool *first)
{
    xn_h5 *h5 = NULL;
    xn_h5_info info;
    xani_status st;
    XN_GOTO(out, st, xn_h5_open(ctx, file->path, &h5));
    if (!xn_h5_exists(h5, m->frames)) goto out; // named in its list, but it recorded nothing
    XN_GOTO(out, st, xn_h5_info_get(ctx, h5, m->frames, &info));
    p->h5 = h5;
    p->file = file;
    XN_GOTO(out, st, check_shape(p, &info, *first));
    *first = false;
    p->rows = info.dims[0];
    XN_GOTO(out, st, add_file(p));
    if (p->rows == 0) goto out;
    if (m->n_files == 0) {
        XN_GOTO(out, st, sibling(ctx, h5, m->frames, "mask", &m->mask));
        if (d->cells && d->type == XN_U16) XN_GOTO(out, st, sibling(ctx, h5, m->frames, "gain", &m->gain));
    }
    m->file[m->n_files++] = file->path;
    p->before += p->rows;
out:
    xn_h5_close(&h5);
    return st;
}

static xani_status read_module(xn_ctx *ctx, const xn_xf_run *run, xn_xf_ids ids, xn_xf_detector *d, int number,
                               bool *first, xn_xf_list *list)
{
    xn_xf_module *m = &d->module[number];
    part p = {.ctx = ctx, .d = d, .module = m, .ids = ids, .list = list};
    xn_xf_group_of(m->name, m->frames, p.group);
    m->file = xn_calloc((size_t)run->n + 1, sizeof *m->file);
    if (m->file == NULL) return xn_fail_memory(ctx, "the files of a module", (size_t)run->n * sizeof *m->file);
    for (int i = 0; i < run->n; i++)
        if (xn_xf_file_holds(&run->file[i], m->name, p.group)) XN_TRY(read_file(ctx, &run->file[i], d, m, &p, first));
    if (m->n_files == 0)
        return xn_fail(ctx, XANI_ERR_INPUT,
                       "module %lld (%s) has no frames in this run; input.modules.leave_out does without it",
                       (long long)m->number, m->name);
    return XANI_OK;
}

// ---- the whole

static xani_status read_frames(xn_ctx *ctx, const xn_xf_run *run, xn_xf_ids ids, xn_xf_detector *d)
{
    xn_xf_list *list = xn_calloc((size_t)d->n_modules, sizeof *list);
    if (list == NULL) return xn_fail_memory(ctx, "the modules", (size_t)d->n_modules * sizeof *list);
    xani_status st = XANI_OK;
    bool first = true;
    for (int m = 0; st == XANI_OK && m < d->n_modules; m++)
        if (!d->module[m].absent) st = read_module(ctx, run, ids, d, m, &first, &list[m]);
    if (st == XANI_OK && first)
        st = xn_fail(ctx, XANI_ERR_INPUT, "input.modules.leave_out: no module of %s is left", d->name);
    if (st == XANI_OK) st = xn_xf_match(ctx, list, d);
    for (int m = 0; m < d->n_modules; m++) xn_free(list[m].entry);
    xn_free(list);
    if (st == XANI_OK && d->n == 0) st = xn_fail(ctx, XANI_ERR_INPUT, "%s: no module holds frames", d->name);
    return st;
}

xani_status xn_xf_detector_read(xn_ctx *ctx, const xn_config *config, const xn_xf_run *run, const char *name,
                                xn_xf_detector *d)
{
    static const char *const words[] = {"pulse_id", "cell_id", "order"};
    const char *word = config != NULL ? xn_config_string(config, "input.pulses.ids") : words[0];
    xn_xf_ids ids = XN_XF_BY_PULSE;
    for (int i = 0; i < 3; i++)
        if (word != NULL && strcmp(word, words[i]) == 0) ids = (xn_xf_ids)i;
    memset(d, 0, sizeof *d);
    xani_status st = xn_xf_modules_of(ctx, config, run, name, d);
    if (st == XANI_OK) st = read_frames(ctx, run, ids, d);
    if (st != XANI_OK) {
        xn_xf_detector_free(d);
        return st;
    }
    const xn_xf_module *with = NULL, *without = NULL;
    for (int m = 0; m < d->n_modules; m++)
        if (!d->module[m].absent) *(d->module[m].gain != NULL ? &with : &without) = &d->module[m];
    d->words = with != NULL;
    if (with == NULL || without == NULL) return XANI_OK;
    st = xn_fail(ctx, XANI_ERR_INPUT, "%s has gain codes beside its frames, %s has none", with->name, without->name);
    xn_xf_detector_free(d);
    return st;
}

void xn_xf_detector_free(xn_xf_detector *d)
{
    for (int m = 0; d->module != NULL && m < d->n_modules; m++) {
        xn_xf_module *p = &d->module[m];
        void *all[] = {p->name, p->frames, p->gain, p->mask, p->file != d->files ? p->file : NULL};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) xn_free(all[i]);
    }
    xn_free(d->module);
    xn_free(d->files);
    xn_free(d->id);
    xn_free(d->place);
    xn_free(d->refused);
    xn_free(d->cell);
    memset(d, 0, sizeof *d);
}
