// SPDX-License-Identifier: BSD-3-Clause
// modules.h -- frames of a detector whose modules (panels) are stored apart, each as a list of its own.
//
// Private to src/source.  A module's frames lie in one dataset per file, files one behind the other.  Lists need not
// agree: which of a module's frames belongs to which frame of the detector is the layout's knowledge, a table of
// places. The detector's frame is the modules below each other, in the order given (contract.md 1).
//
// A row of a dataset may hold several frames, memory cells of one train: (rows, cells, y, x).  A place is then
// row * cells + cell, rows counted through all files.  Modules that are such columns of one dataset, (rows, modules, y,
// x), name the same files (the same list) and dataset.
#ifndef XN_SOURCE_MODULES_H
#define XN_SOURCE_MODULES_H

#include "io/array.h"
#include "source/layout.h"

typedef struct xn_module {
    const char *name; // for messages
    int n_files;      // 0: it is left out; its part of every frame is missing
    char **file;
    const char *frames; // dataset: (rows, y, x) or (rows, cells, y, x)
    const char *gain;   // gain codes of the same shape for 14-bit values, which become one word; NULL: none
    const char *mask;   // mask words of the same shape, for xn_modules_read_mask; NULL: none
} xn_module;

typedef struct xn_modules_input {
    int n_modules;
    const xn_module *module;
    int64_t n;            // frames of the detector
    const int64_t *place; // (n, n_modules): the module's frame, -1: it has none; must stay
    // Bits of float32 modules' mask words that make a value NaN on reading; 0: none.
    uint32_t nan_bits;
    bool fill; // parts of virtual datasets without a source are fill values, not errors
} xn_modules_input;

typedef struct xn_modules_info {
    xn_type type;          // uint16 with gain codes
    int64_t ny, nx, cells; // of one module; frames of a row
    int64_t stored_bytes;  // of all frames; masks are not counted
    int64_t together;      // as in data/source.h
    const char *filters;   // of the first module
} xn_modules_info;

typedef struct xn_modules xn_modules;

// All modules must have the same shape and type. Strings, files and places are borrowed until it is closed.
xani_status xn_modules_open(xn_ctx *ctx, const xn_modules_input *input, const xn_array_options *how, xn_modules **m);
void xn_modules_close(xn_modules **m);
const xn_modules_info *xn_modules_get_info(const xn_modules *m);
// Frames of the detector behind each other, thread-safe. A missing module is NaN, for words an invalid gain code, else
// 0.
xani_status xn_modules_read(xn_ctx *ctx, xn_modules *m, const int64_t *frames, int64_t n, void *dst);
// Mask words of one frame: all bits where a module is missing, none where it has no mask dataset.
xani_status xn_modules_read_mask(xn_ctx *ctx, xn_modules *m, int64_t frame, uint32_t *dst);

// True where input.modules.leave_out names the module, by its number or its name.
bool xn_modules_left_out(const xn_config *config, const char *name, int64_t number);
// Masks as gaps the rows of modules that are left out (n_files 0); s->mask is made where it is NULL.
xani_status xn_modules_mask_absent(xn_ctx *ctx, const xn_modules_input *input, xn_source *s);

#endif
