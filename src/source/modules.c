// SPDX-License-Identifier: BSD-3-Clause
// modules.c -- frames put together from modules: see modules.h.
//
// Every module is an array of its own (io/array.h), so that chunks are found and decoded past the HDF5 library, by the
// thread that wants the frame.  Frames that come from one row, or from rows behind each other, are one read.
//
// Words: a JUNGFRAU's 14-bit value and its gain code 0, 1, 3 (formats.md 4.1) are word = code << 14 | value.
#include "source/modules.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_BITS 14
#define NO_GAIN 2 // the code that does not exist

typedef struct {
    const char *name;
    xn_array *frames, *gain, *mask;
    int64_t rows; // of all files
    bool shared;  // the arrays are those of an earlier module
} part;

struct xn_modules {
    xn_modules_info info;
    int n;
    part *part;
    const int64_t *place;
    uint32_t nan_bits;
    int64_t pixels; // of one module
    bool words;     // of gain codes and values
};

void xn_modules_close(xn_modules **modules)
{
    if (modules == NULL || *modules == NULL) return;
    xn_modules *m = *modules;
    for (int i = 0; m->part != NULL && i < m->n; i++) {
        if (m->part[i].shared) continue;
        xn_array_close(&m->part[i].frames);
        xn_array_close(&m->part[i].gain);
        xn_array_close(&m->part[i].mask);
    }
    xn_free(m->part);
    xn_free(m);
    *modules = NULL;
}

const xn_modules_info *xn_modules_get_info(const xn_modules *m) { return &m->info; }

// ---- opening

static xani_status open_array(xn_ctx *ctx, const xn_module *module, const char *dataset, const xn_array_options *how,
                              xn_array **array)
{
    return xn_array_open(ctx, (const char *const *)module->file, module->n_files, dataset, how, array);
}

// gain and mask: rows of the frames' shape.
static xani_status open_beside(xn_ctx *ctx, const xn_module *module, const char *dataset, const xn_array_options *how,
                               const xn_array *frames, xn_type most, xn_array **array)
{
    char shape[128], want[128];
    XN_TRY(open_array(ctx, module, dataset, how, array));
    const xn_array_info *a = xn_array_get_info(*array), *f = xn_array_get_info(frames);
    bool same = a->rank == f->rank && a->type != XN_F32 && a->type != XN_F64 && xn_is_number(a->type) &&
                xn_type_size(a->type) <= xn_type_size(most);
    for (int k = 0; same && k < f->rank; k++) same = a->dims[k] == f->dims[k];
    if (same) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s is %s %s beside frames %s", module->file[0], dataset,
                   xn_type_name(a->type), xn_shape_text(shape, a->rank, a->dims),
                   xn_shape_text(want, f->rank, f->dims));
}

// Shape and type of a module; the first sets them.
static xani_status describe(xn_ctx *ctx, const xn_module *module, part *p, bool first, xn_modules *m)
{
    const xn_array_info *a = xn_array_get_info(p->frames);
    char shape[128];
    bool fits = (a->rank == 3 || a->rank == 4) && xn_is_number(a->type);
    xn_modules_info info = {.type = a->type, .cells = 1};
    if (fits) {
        info.ny = a->dims[a->rank - 2];
        info.nx = a->dims[a->rank - 1];
        if (a->rank == 4) info.cells = a->dims[1];
        fits = info.ny > 0 && info.nx > 0 && info.cells > 0;
    }
    if (!fits || (module->gain != NULL && a->type != XN_U16))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s is %s %s; frames (n, y, x) or (n, cells, y, x)%s are needed",
                       module->file[0], module->frames, xn_type_name(a->type), xn_shape_text(shape, a->rank, a->dims),
                       module->gain ? " of uint16" : "");
    int64_t together = info.cells > 1 ? info.cells : a->chunked_rows > 1 ? a->chunked_rows : 0;
    if (first) {
        info.together = together;
        info.filters = a->filters;
        m->info = info;
        m->pixels = info.ny * info.nx;
    } else if (info.type != m->info.type || info.ny != m->info.ny || info.nx != m->info.nx ||
               info.cells != m->info.cells) {
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s is %s %s, the modules before it are %s with %lld x %lld pixels",
                       module->file[0], module->frames, xn_type_name(a->type), xn_shape_text(shape, a->rank, a->dims),
                       xn_type_name(m->info.type), (long long)m->info.ny, (long long)m->info.nx);
    }
    if (together != m->info.together) m->info.together = 0;
    m->info.stored_bytes += a->stored_bytes;
    p->rows = a->dims[0];
    return XANI_OK;
}

static xani_status open_part(xn_ctx *ctx, const xn_module *module, const xn_array_options *how, bool first, part *p,
                             xn_modules *m)
{
    p->name = module->name;
    XN_TRY(open_array(ctx, module, module->frames, how, &p->frames));
    XN_TRY(describe(ctx, module, p, first, m));
    m->words = m->words || module->gain != NULL;
    if (module->gain != NULL) {
        XN_TRY(open_beside(ctx, module, module->gain, how, p->frames, XN_U8, &p->gain));
        m->info.stored_bytes += xn_array_get_info(p->gain)->stored_bytes;
    }
    if (module->mask != NULL) XN_TRY(open_beside(ctx, module, module->mask, how, p->frames, XN_U32, &p->mask));
    return XANI_OK;
}

// Modules that are columns of one dataset are opened once.
static bool share_part(const xn_modules_input *in, int i, xn_modules *m)
{
    for (int k = 0; k < i; k++) {
        if (in->module[k].file != in->module[i].file || in->module[i].n_files == 0) continue;
        if (strcmp(in->module[k].frames, in->module[i].frames) != 0) continue;
        m->part[i] = m->part[k];
        m->part[i].name = in->module[i].name;
        m->part[i].shared = true;
        return true;
    }
    return false;
}

// No place lies behind the end of its module.
static xani_status check_places(xn_ctx *ctx, const xn_modules_input *in, const xn_modules *m)
{
    for (int k = 0; k < m->n; k++) {
        int64_t most = m->part[k].rows * m->info.cells;
        for (int64_t i = 0; i < in->n; i++)
            if (in->place[i * m->n + k] >= most)
                return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s changed while it was opened", in->module[k].file[0],
                               in->module[k].frames);
    }
    return XANI_OK;
}

xani_status xn_modules_open(xn_ctx *ctx, const xn_modules_input *in, const xn_array_options *how, xn_modules **modules)
{
    *modules = NULL;
    xn_modules *m = xn_calloc(1, sizeof *m);
    part *p = m != NULL ? xn_calloc((size_t)in->n_modules, sizeof *p) : NULL;
    if (p == NULL) {
        xn_free(m);
        return xn_fail_memory(ctx, "the modules", (size_t)in->n_modules * sizeof *p);
    }
    *m = (xn_modules){.n = in->n_modules, .part = p, .place = in->place, .nan_bits = in->nan_bits};
    xn_array_options options = *how;
    options.fill = in->fill;
    xani_status st = XANI_OK;
    bool first = true;
    for (int i = 0; st == XANI_OK && i < in->n_modules; i++) {
        if (in->module[i].n_files == 0 || share_part(in, i, m)) continue;
        st = open_part(ctx, &in->module[i], &options, first, &p[i], m);
        first = false;
    }
    if (st == XANI_OK && first) st = xn_fail(ctx, XANI_ERR_INPUT, "no module of the detector is left");
    if (st == XANI_OK) st = check_places(ctx, in, m);
    if (st == XANI_OK)
        *modules = m;
    else
        xn_modules_close(&m);
    return st;
}

// ---- reading

// n places behind each other in a module's list, or all of one row: places[0] ... into dst.
static xani_status read_piece(xn_ctx *ctx, const xn_modules *m, xn_array *a, const int64_t *places, int64_t n,
                              xn_type type, void *dst)
{
    xn_selection sel;
    int64_t cells = m->info.cells, row = places[0] / cells;
    xn_selection_all(a, &sel);
    sel.start[0] = cells > 1 ? row : places[0];
    sel.count[0] = cells > 1 ? 1 : n;
    if (cells > 1) {
        sel.start[1] = places[0] % cells;
        sel.count[1] = n;
    }
    return xn_array_read(ctx, a, &sel, type, dst, 1);
}

// How many of the n places from places[0] on one read serves.
static int64_t piece(const xn_modules *m, const int64_t *places, int64_t n)
{
    int64_t cells = m->info.cells, k = 1;
    while (k < n && places[k] == places[k - 1] + 1 && (cells == 1 || places[k] / cells == places[0] / cells)) k++;
    return k;
}

static xani_status read_places(xn_ctx *ctx, const xn_modules *m, xn_array *a, const int64_t *places, int64_t n,
                               xn_type type, void *dst)
{
    size_t bytes = (size_t)m->pixels * xn_type_size(type);
    for (int64_t i = 0; i < n;) {
        int64_t k = piece(m, places + i, n - i);
        XN_TRY(read_piece(ctx, m, a, places + i, k, type, (uint8_t *)dst + (size_t)i * bytes));
        i += k;
    }
    return XANI_OK;
}

static xani_status add_gain(xn_ctx *ctx, const xn_modules *m, const part *p, const int64_t *places, int64_t n,
                            uint16_t *words, void *beside)
{
    uint8_t *code = beside;
    XN_TRY(read_places(ctx, m, p->gain, places, n, XN_U8, code));
    for (int64_t i = 0; i < n * m->pixels; i++) {
        unsigned value = words[i] & ((1u << WORD_BITS) - 1), gain = code[i] <= 3 ? code[i] : NO_GAIN;
        words[i] = (uint16_t)(gain << WORD_BITS | value);
    }
    return XANI_OK;
}

static xani_status put_nan(xn_ctx *ctx, const xn_modules *m, const part *p, const int64_t *places, int64_t n,
                           float *value, void *beside)
{
    uint32_t *mask = beside;
    XN_TRY(read_places(ctx, m, p->mask, places, n, XN_U32, mask));
    for (int64_t i = 0; i < n * m->pixels; i++)
        if (mask[i] & m->nan_bits) value[i] = NAN;
    return XANI_OK;
}

static void put_missing(const xn_modules *m, void *dst)
{
    for (int64_t i = 0; i < m->pixels; i++) {
        if (m->info.type == XN_F32)
            ((float *)dst)[i] = NAN;
        else if (m->info.type == XN_F64)
            ((double *)dst)[i] = NAN;
        else if (m->words)
            ((uint16_t *)dst)[i] = NO_GAIN << WORD_BITS;
    }
    bool zero = m->info.type != XN_F32 && m->info.type != XN_F64 && !m->words;
    if (zero) memset(dst, 0, (size_t)m->pixels * xn_type_size(m->info.type));
}

// Room for one module's frames of a read, and for what stands beside them.
typedef struct {
    int64_t *place; // (n)
    void *frames, *beside;
} room;

static void free_room(room *r)
{
    xn_free(r->place);
    xn_free(r->frames);
    xn_free(r->beside);
}

static bool wants_nan(const xn_modules *m, const part *p)
{
    return m->nan_bits != 0 && p->mask != NULL && m->info.type == XN_F32;
}

static xani_status make_room(xn_ctx *ctx, const xn_modules *m, int64_t n, room *r)
{
    size_t pixels = (size_t)(n * m->pixels), beside = 0;
    for (int k = 0; k < m->n; k++)
        if (wants_nan(m, &m->part[k]) || m->part[k].gain != NULL) beside = pixels * sizeof(uint32_t);
    r->place = xn_alloc((size_t)n, sizeof *r->place);
    r->frames = n > 1 ? xn_alloc(pixels, xn_type_size(m->info.type)) : NULL;
    r->beside = beside > 0 ? xn_alloc(beside, 1) : NULL;
    if (r->place != NULL && (n == 1 || r->frames != NULL) && (beside == 0 || r->beside != NULL)) return XANI_OK;
    return xn_fail_memory(ctx, "frames of a module", pixels * 8);
}

// Module k of n frames, to its place in each frame of dst.
static xani_status read_module(xn_ctx *ctx, const xn_modules *m, int k, const int64_t *frames, int64_t n, room *r,
                               uint8_t *dst)
{
    const part *p = &m->part[k];
    size_t bytes = (size_t)m->pixels * xn_type_size(m->info.type), stride = bytes * (size_t)m->n;
    int64_t there = 0;
    uint8_t *first = dst + (size_t)k * bytes;
    for (int64_t i = 0; i < n; i++) {
        int64_t place = p->frames != NULL ? m->place[frames[i] * m->n + k] : -1;
        if (place >= 0) r->place[there++] = place;
    }
    void *to = n == 1 ? first : r->frames;
    if (there > 0) XN_TRY(read_places(ctx, m, p->frames, r->place, there, m->info.type, to));
    if (there > 0 && p->gain != NULL) XN_TRY(add_gain(ctx, m, p, r->place, there, to, r->beside));
    if (there > 0 && wants_nan(m, p)) XN_TRY(put_nan(ctx, m, p, r->place, there, to, r->beside));
    int64_t next = 0;
    for (int64_t i = 0; i < n; i++) {
        bool has = p->frames != NULL && m->place[frames[i] * m->n + k] >= 0;
        if (!has)
            put_missing(m, first + (size_t)i * stride);
        else if (n > 1)
            memcpy(first + (size_t)i * stride, (uint8_t *)r->frames + (size_t)next++ * bytes, bytes);
    }
    return XANI_OK;
}

xani_status xn_modules_read(xn_ctx *ctx, xn_modules *m, const int64_t *frames, int64_t n, void *dst)
{
    room r = {0};
    xani_status st = make_room(ctx, m, n, &r);
    for (int k = 0; st == XANI_OK && k < m->n; k++) st = read_module(ctx, m, k, frames, n, &r, dst);
    free_room(&r);
    return st;
}

xani_status xn_modules_read_mask(xn_ctx *ctx, xn_modules *m, int64_t frame, uint32_t *dst)
{
    for (int k = 0; k < m->n; k++) {
        uint32_t *to = dst + k * m->pixels;
        const int64_t *place = &m->place[frame * m->n + k];
        if (*place < 0 || m->part[k].mask == NULL)
            memset(to, *place < 0 ? 0xff : 0, (size_t)m->pixels * sizeof *to);
        else
            XN_TRY(read_places(ctx, m, m->part[k].mask, place, 1, XN_U32, to));
    }
    return XANI_OK;
}

// ---- modules that are not there

bool xn_modules_left_out(const xn_config *config, const char *name, int64_t number)
{
    char key[XN_KEY_LENGTH], text[32];
    snprintf(text, sizeof text, "%lld", (long long)number);
    int n = xn_config_count(config, "input.modules.leave_out");
    for (int i = 0; i < n; i++) {
        const char *given = xn_config_string(config, xn_key(key, "input.modules.leave_out[%d]", i));
        if (given != NULL && (strcmp(given, name) == 0 || strcmp(given, text) == 0)) return true;
    }
    return false;
}

xani_status xn_modules_mask_absent(xn_ctx *ctx, const xn_modules_input *in, xn_source *s)
{
    size_t n = (size_t)(s->ny * s->nx), each = n / (size_t)in->n_modules;
    if (s->mask == NULL) s->mask = xn_calloc(n, sizeof *s->mask);
    if (s->mask == NULL) return xn_fail_memory(ctx, "the mask", n * sizeof *s->mask);
    for (int k = 0; k < in->n_modules; k++)
        for (size_t i = 0; in->module[k].n_files == 0 && i < each; i++) s->mask[(size_t)k * each + i] |= XN_PIXEL_GAP;
    return XANI_OK;
}
