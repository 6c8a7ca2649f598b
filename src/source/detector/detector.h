// SPDX-License-Identifier: BSD-3-Clause
// detector.h -- from the files and keys of input.calibration to the planes that turn words into photons.
//
// Private to src/source; layouts call xn_detector_load (or xn_scale_load of layout.h, which is the same without a word
// about the detector).  Formats of constants: formats.md 4.
#ifndef XN_SOURCE_DETECTOR_H
#define XN_SOURCE_DETECTOR_H

#include "source/layout.h"

// What a layout knows of its detector. Zeroed but for kev_per_unit (NaN): nothing.
typedef struct xn_detector_ask {
    const char *name;   // for messages; NULL: "the detector"
    const char *frames; // file and dataset of the frames, for messages; NULL: "the frames"
    const int64_t
        *physical;     // (n_modules) place of each module of the data in the whole detector, -1: off; NULL: as they lie
    int whole_modules; // of the whole detector; 0: as many as the data have
    bool high_gain;    // the frames were taken so
    double kev_per_unit; // as the files say; NaN: they do not
    const char *kind;    // which of input.detector it is where the configuration does not say; NULL: not known
    const double *gain;  // (n_modules) gains as the files say, in the unit of that kind; NULL: they do not
} xn_detector_ask;

// Needs the frames' shape, type, modules and, where there are any, cal.cell; fills s->cal and s->mask (made when NULL).
xani_status xn_detector_load(xn_ctx *ctx, const xn_config *config, const xn_detector_ask *ask, xn_source *s);

// ---- mask_bits.c: words of masks as NXmx bits

typedef enum { XN_BITS_ANY, XN_BITS_NXMX, XN_BITS_PSI, XN_BITS_EUXFEL } xn_mask_table;
uint32_t xn_mask_nxmx(xn_mask_table table, uint32_t bits);
// Bit of a number or, with EUXFEL, of a name; -1: none.
int xn_mask_bit(xn_mask_table table, const char *text);

// ---- planes.c: constants of a file as planes of the data's pixels

typedef struct xn_planes {
    xn_ctx *ctx;
    const xn_detector_ask *ask;
    const xn_source *s;
    char *path, *dataset;   // owned
    xn_h5 *h5;              // NULL: text
    float *text;            // all values
    int64_t n, cells, rows; // planes (of each cell), memory cells, rows of pixels in the file
} xn_planes;

// The first of `names` (NULL at the end) that the file has; text files have no names. least: planes needed, 0: a single
// one without a leading axis will do.
xani_status xn_planes_open(xn_ctx *ctx, char *path, const char *const *names, int least, const xn_detector_ask *ask,
                           const xn_source *s, xn_planes *p);
// path: taken over. True when one of the names is there.
bool xn_planes_exist(const xn_planes *p, const char *dataset);
// Plane of a cell into out (ny, nx); NaN where the file says nothing of a module.
xani_status xn_planes_read(const xn_planes *p, int64_t plane, int64_t cell, float *out);
// ORs a mask of the same file into s->mask, in whatever number of planes; nothing where there is none.
xani_status xn_planes_mask(const xn_planes *p, const char *dataset, xn_mask_table table, xn_source *s);
void xn_planes_close(xn_planes *p);

// ---- text.c: psana's text files of constants

// Values and shape; XANI_ERR_INPUT names the line.
xani_status xn_text_array(xn_ctx *ctx, const char *path, float **value, int *rank, int64_t dims[XANI_MAX_RANK]);

// ---- epix10ka.c

enum { XN_EPIX_RANGES = 7 };
// Range (0 ... 6) of the pixel's configuration bits and the word's bit 14, -1: no such state.
int xn_epix10ka_range(unsigned bits, unsigned switched);
// (ny, nx) configuration bits of input.calibration.ranges; owned by the caller.
xani_status xn_epix10ka_bits(xn_ctx *ctx, const xn_config *config, const xn_detector_ask *ask, const xn_source *s,
                             uint8_t **bits);

#endif
