// SPDX-License-Identifier: BSD-3-Clause
// frame.h -- what looks at a pixel's neighbours: corrections of one module of a calibrated frame, asked for or not
// done.
//
// Pixels are in the fixed point of calib.h, 2^16 units to the photon, XN_CALIB_BAD where there is no number (it stays
// so, and lends nothing to others).  All is integer arithmetic but the medians and the shares of double pixels, which
// are single operations; there is one compiled variant, hence one result on every machine.
#ifndef XN_KERNEL_FRAME_H
#define XN_KERNEL_FRAME_H

#include "kernel/calib.h"

// ---- frame_photons.c: whole photons

// Each pixel to the nearest whole photon, never below 0.
void xn_frame_round(int32_t *q, int64_t n);
// The neighbour rule of psana: whole photons stay; the rest of a pixel, at least `seed` and not below its four
// neighbours', together with the largest rest beside it that no other pixel has used makes one photon more when both
// reach `total`. out: ny x nx, busy: ny x nx, rooms.
void xn_frame_neighbours(int32_t *q, int64_t ny, int64_t nx, int32_t seed, int32_t total, int32_t *out, uint8_t *busy);

// ---- frame_droplets.c: photons of charge that spread over several pixels

typedef struct xn_droplets {
    int32_t seed, low; // of the brightest pixel; of every pixel that belongs to a droplet
    bool greedy;       // photons where the charge is; else all in the centre of mass
} xn_droplets;
// Pixels from `low` on that touch (4 neighbours) are a droplet; it holds as many photons as its sum, rounded, where its
// brightest pixel reaches `seed`, else none. out, seen, queue: ny x nx, rooms.
void xn_frame_droplets(int32_t *q, int64_t ny, int64_t nx, const xn_droplets *how, int32_t *out, uint8_t *seen,
                       int32_t *queue);

// ---- frame_double.c: wide pixels at the chips' edges

// What a wide pixel would have counted with the area of the others. mask: not 0 where a pixel is out. Chips of
// chip_ny x chip_nx pixels tile the module.
void xn_frame_double_pixels(int32_t *q, const uint32_t *mask, int64_t ny, int64_t nx, int64_t chip_ny, int64_t chip_nx);
// True where the pixel is wide in x (bit 0), in y (bit 1).
unsigned xn_frame_wide(int64_t y, int64_t x, int64_t ny, int64_t nx, int64_t chip_ny, int64_t chip_nx);

// ---- frame_common.c: what all pixels of a bank have in common

typedef struct xn_common_mode {
    bool banks, rows, columns; // corrected in this order
    int bank_rows, bank_columns, min_pixels;
    float max_correction;
} xn_common_mode;
// adu: bank_rows x nx pixels, value minus pedestal, NaN where a pixel takes no part; corrected in place. shift: what
// was subtracted from each pixel, 0 where nothing. room: bank_rows x bank_columns.
void xn_frame_common_mode(float *adu, int64_t nx, const xn_common_mode *how, float *shift, float *room);
float xn_frame_median(float *v, int64_t n); // mean of the middle two for even n; v is reordered; n > 0

#endif
