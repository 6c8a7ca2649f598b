// SPDX-License-Identifier: BSD-3-Clause
// correct.c -- corrections that need a whole frame: common mode, masks per frame, double pixels, whole photons.
//
// None is made unless the configuration asks for it; then a frame becomes photons in fixed point right after it was
// read, by the thread that read it, and the rows add those (rows.c).  In this order (science.md 2, formats.md 4, 6):
//   common mode     in the detector's units, before the gain; it shifts the pedestals of this frame
//   calibration     the kernels of all frames
//   frame mask      bits that the facility stored beside the frame make a value bad
//   double pixels   calibrated values brought to the area of the others
//   photons         whole ones, module by module: rounded, by neighbours, by droplets
// What has no number stays so through all of them and is flagged by its reason.
#include "reduce/correct.h"

#include <math.h>
#include <string.h>

// ---- the room of a thread

typedef struct {
    void *raw;      // the frame as it was read
    uint32_t *mask; // of the frame
    int32_t *out;   // a module
    uint8_t *seen;
    int32_t *queue;
    float *adu, *shift, *median; // a stripe of banks
    float *pedestal[2];          // a row
} room;

static int64_t largest_module(const xn_groups *g)
{
    int64_t rows = 0;
    for (int m = 0; m < g->n_modules; m++) rows = xn_max64(rows, g->det_module_rows[m]);
    return rows * g->det_nx;
}

static void *piece(uint8_t *block, int64_t *at, int64_t n, size_t size)
{
    void *p = block != NULL ? block + *at : NULL;
    *at += (n * (int64_t)size + 63) / 64 * 64;
    return p;
}

// Pieces of the block one behind the other; returns its size. NULL: only that is wanted.
static int64_t lay_out(const xn_groups *g, uint8_t *block, room *r)
{
    const xn_correct *c = &g->correct;
    int64_t at = 0, pixels = g->det_ny * g->det_nx, module = c->photons > XN_PHOTONS_ROUND ? largest_module(g) : 0;
    int64_t row = c->common ? g->det_nx : 0, bank_rows = c->common ? c->mode.bank_rows : 0;
    r->raw = piece(block, &at, pixels, xn_type_size(g->type));
    r->mask = piece(block, &at, c->frame_mask != 0 ? pixels : 0, sizeof *r->mask);
    r->out = piece(block, &at, module, sizeof *r->out);
    r->seen = piece(block, &at, module, sizeof *r->seen);
    r->queue = piece(block, &at, c->photons == XN_PHOTONS_DROPLET ? module : 0, sizeof *r->queue);
    r->adu = piece(block, &at, bank_rows * row, sizeof *r->adu);
    r->shift = piece(block, &at, bank_rows * row, sizeof *r->shift);
    r->median = piece(block, &at, bank_rows * c->mode.bank_columns, sizeof *r->median);
    for (int s = 0; s < 2; s++) r->pedestal[s] = piece(block, &at, row, sizeof(float));
    return at;
}

int64_t xn_correct_room_bytes(const xn_groups *g)
{
    room r;
    return g->correct.by_frame ? lay_out(g, NULL, &r) : 64;
}

int64_t xn_correct_frame_bytes(const xn_groups *g)
{
    int64_t size = (int64_t)xn_type_size(g->type);
    if (g->correct.by_frame) size = xn_max64(size, (int64_t)sizeof(int32_t));
    return xn_max64((g->det_ny * g->det_nx * size + 63) / 64 * 64, 64);
}

// ---- common mode: a pedestal of this frame

// Stages (bits) in which the pixel takes part.
static unsigned quiet_stages(const xn_groups *g, int64_t pixel)
{
    return g->kind == XN_CAL_EPIX10KA && g->quiet != NULL ? g->quiet[pixel] : 1u;
}

// Value minus pedestal of pixel x of the row; NaN where it takes no part.
static float quiet_value(const xn_groups *g, const xn_word_row *r, int64_t pixel, int64_t x)
{
    if (g->mask[pixel] != 0) return NAN;
    if (g->kind == XN_CAL_LINEAR) {
        double v = xn_number_at(g->type, r->words, x);
        return v < g->full ? (float)v - r->p[0][x] : NAN;
    }
    unsigned word = ((const uint16_t *)r->words)[x], value = word & 0x3fff;
    if (g->kind == XN_CAL_JUNGFRAU)
        return word >> 14 != 0 || g->fixed_stage > 1 || value == 0x3fff ? NAN : (float)value - r->p[0][x];
    unsigned stage = word >> 14 & 1;
    return (quiet_stages(g, pixel) >> stage & 1) == 0 || value == 0x3fff ? NAN : (float)value - r->p[stage][x];
}

// Shifts of rows [row, row + bank_rows).
static void find_shifts(const xn_groups *g, int64_t frame, int64_t row, const room *r)
{
    const xn_common_mode *how = &g->correct.mode;
    size_t size = xn_type_size(g->type);
    for (int64_t y = 0; y < how->bank_rows; y++) {
        xn_word_row w;
        int64_t first = (row + y) * g->det_nx;
        xn_words_row(g, frame, (row + y) * g->det_nx, (const uint8_t *)r->raw + (size_t)first * size, &w);
        for (int64_t x = 0; x < g->det_nx; x++) r->adu[y * g->det_nx + x] = quiet_value(g, &w, first + x, x);
    }
    xn_frame_common_mode(r->adu, g->det_nx, how, r->shift, r->median);
}

static void shift_pedestals(const xn_groups *g, int64_t row, const float *shift, const room *r, xn_word_row *w)
{
    for (int s = 0; s < g->n_stages && s < 2; s++) {
        for (int64_t x = 0; x < g->det_nx; x++) {
            bool quiet = (quiet_stages(g, row * g->det_nx + x) >> s & 1) != 0;
            r->pedestal[s][x] = w->p[s][x] + (quiet ? shift[x] : 0.0f);
        }
        w->p[s] = r->pedestal[s];
    }
}

// ---- the passes

static void to_photons(xn_groups *g, const xn_reduce_kernels *kernels, int64_t frame, const room *r, int32_t *q)
{
    size_t size = xn_type_size(g->type);
    int bank_rows = g->correct.common ? g->correct.mode.bank_rows : 1;
    memset(q, 0, (size_t)(g->det_ny * g->det_nx) * sizeof *q);
    for (int64_t row = 0; row < g->det_ny; row++) {
        xn_word_row w;
        xn_words_row(g, frame, row * g->det_nx, (const uint8_t *)r->raw + (size_t)(row * g->det_nx) * size, &w);
        if (g->correct.common) {
            if (row % bank_rows == 0) find_shifts(g, frame, row, r);
            shift_pedestals(g, row, r->shift + row % bank_rows * g->det_nx, r, &w);
        }
        if (xn_words_add(g, kernels, &w, g->det_nx, 0, q + row * g->det_nx))
            xn_words_flag(g, row * g->det_nx, &w, g->det_nx);
    }
}

static void apply_frame_mask(xn_groups *g, const uint32_t *mask, int32_t *q)
{
    for (int64_t i = 0; i < g->det_ny * g->det_nx; i++) {
        if ((mask[i] & g->correct.frame_mask) == 0 || g->mask[i] != 0) continue;
        q[i] = XN_CALIB_BAD;
        xn_words_flag_pixel(g, i, XN_FLAG_INVALID);
    }
}

static void one_module(const xn_groups *g, const room *r, int64_t row, int64_t rows, int32_t *q)
{
    const xn_correct *c = &g->correct;
    int64_t nx = g->det_nx;
    if (c->double_pixels == XN_DOUBLE_INTERPOLATE)
        xn_frame_double_pixels(q, g->mask + row * nx, rows, nx, c->chip_rows, c->chip_columns);
    if (c->photons == XN_PHOTONS_ROUND) xn_frame_round(q, rows * nx);
    if (c->photons == XN_PHOTONS_NEIGHBOUR) xn_frame_neighbours(q, rows, nx, c->seed, c->total, r->out, r->seen);
    if (c->photons == XN_PHOTONS_DROPLET) xn_frame_droplets(q, rows, nx, &c->droplets, r->out, r->seen, r->queue);
}

// Calls of each module: [first row, rows).
static void each_module(const xn_groups *g, const room *r, int32_t *q)
{
    for (int64_t m = 0, row = 0; m < g->n_modules; m++)
        for (int64_t end = row + g->det_module_rows[m], rows; row < end; row += rows) {
            rows = xn_correct_module_rows(&g->correct, end - row);
            one_module(g, r, row, rows, q + row * g->det_nx);
        }
}

xani_status xn_correct_frame(xn_ctx *ctx, xn_source *source, xn_groups *g, const xn_reduce_kernels *kernels,
                             int64_t frame, void *data, void *block, void *scratch)
{
    room r;
    (void)lay_out(g, block, &r);
    memcpy(r.raw, data, (size_t)(g->det_ny * g->det_nx) * xn_type_size(g->type));
    to_photons(g, kernels, frame, &r, data);
    if (g->correct.frame_mask != 0) {
        XN_TRY(source->ops->read_mask(ctx, source, frame, r.mask, scratch));
        apply_frame_mask(g, r.mask, data);
    }
    each_module(g, &r, data);
    return XANI_OK;
}

void xn_correct_mark(xn_groups *g)
{
    const xn_correct *c = &g->correct;
    if (c->double_pixels != XN_DOUBLE_MASK) return;
    for (int64_t m = 0, row = 0; m < g->n_modules; m++)
        for (int64_t end = row + g->det_module_rows[m], rows; row < end; row += rows) {
            rows = xn_correct_module_rows(c, end - row);
            for (int64_t i = 0; i < rows * g->det_nx; i++)
                if (xn_frame_wide(i / g->det_nx, i % g->det_nx, rows, g->det_nx, c->chip_rows, c->chip_columns) != 0)
                    g->mask[row * g->det_nx + i] |= XN_MASK_INVALID;
        }
}
