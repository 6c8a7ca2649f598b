// SPDX-License-Identifier: BSD-3-Clause
// layout.h -- a facility's layout of files, and what the readers of all layouts share: pixels that are out, modules,
// names for messages.
//
// Private to src/source.  A layout is a folder with its xn_input_layout and one line in the table of source.c.  What
// its files have in common with all others stands in shots/ (readings joined by id) and survey/ (`xani info`, `xani
// init`).
#ifndef XN_SOURCE_LAYOUT_H
#define XN_SOURCE_LAYOUT_H

#include "data/source.h"
#include "io/h5.h"

struct xn_found_run;
struct xn_run_facts;
struct xn_init_writer;

typedef struct xn_input_layout {
    const xn_source_ops *ops;
    const char *facility; // for experiment.facility; NULL: several
    const char *files;    // what its files are, in the plural, for messages: "SwissFEL runs"
    bool has_geometry;    // its files may serve as geometry.file
    bool has_masters;     // a file may be made of others by virtual datasets or links, and these are then no runs
    bool has_readings;    // input.readings may name further files
    // True when an HDF5 file is of this layout; key: what the files of one run have in common, a path that begins with
    // the folder (xn_run_key makes the usual one); "" for a part of a run that another file there has whole.
    bool (*claims)(xn_ctx *ctx, const xn_h5 *h5, const char *path, char *key, size_t bytes);
    // Files beside one of a run that belong to it and are no HDF5, by name; owned, NULL-terminated or NULL. NULL: none.
    xani_status (*beside)(xn_ctx *ctx, const char *path, char ***others);
    // What can be told about a run without a configuration (survey/survey.h).
    xani_status (*facts)(xn_ctx *ctx, const struct xn_found_run *run, struct xn_run_facts *facts);
    // What its delay stages count in and ps of one, where the facility says so ("mm"); NULL: it does not.
    const char *stage_unit;
    double stage_ps;
    // Lines of input.calibration for `xani init`; NULL: the general ones. Binned layouts have none.
    void (*init_calibration)(struct xn_init_writer *w);
    // More lines of input for binned layouts, right behind input.delay.zero_ps; NULL: none.
    void (*init_binned)(struct xn_init_writer *w);
} xn_input_layout;

extern const xn_input_layout
    *const xn_input_layouts[]; // in the order they are asked, the most particular first; NULL at the end

#define XN_STAGE_PS_PER_MM 6.6712819039630412 // light path there and back: 2/c

// Folder and, unless `folder_only`, the name up to its first dot.
void xn_run_key(const char *path, bool folder_only, char *key, size_t bytes);

// NXmx pixel_mask bits used by the readers (formats.md 5).
enum { XN_PIXEL_GAP = 1u << 0, XN_PIXEL_DEAD = 1u << 1, XN_PIXEL_UNDEFINED = 1u << 5, XN_PIXEL_USER = 1u << 8 };

// ---- pixels.c

// ORs input.mask into s->mask (made, all good, when NULL). first_file: where a mask without a file is looked for.
xani_status xn_mask_load(xn_ctx *ctx, const xn_config *config, const char *first_file, xn_source *s);
// The box of the detector that the frames hold, along the axes of its own arrays; ends beyond these are theirs.
typedef struct xn_region {
    int rank; // 2 or 3
    int64_t first[3], end[3];
} xn_region;
// The same where frames are a region (NULL: the whole) and masks may be of the whole detector.
xani_status xn_mask_load_region(xn_ctx *ctx, const xn_config *config, const char *first_file, const xn_region *region,
                                xn_source *s);
// One module of all rows, or those of geometry.file where reduce.spatial_bin makes it matter.
xani_status xn_modules_from_geometry(xn_ctx *ctx, const xn_config *config, xn_source *s);
xani_status xn_modules_set(xn_ctx *ctx, xn_source *s, int n, int64_t rows_each);
// ---- detector/load.c

// The detector's calibration of input.detector and input.calibration; kev_default: keV per unit as the files themselves
// say, NaN when they do not.  After type, shape and modules are known; detector/detector.h has the same with more to
// say.
xani_status xn_scale_load(xn_ctx *ctx, const xn_config *config, double kev_default, xn_source *s);

// ---- names.c

bool xn_is_number(xn_type type);
// Of `names` (n of them) the one nearest to `wanted`, NULL when none is near.
const char *xn_nearest_name(const char *wanted, const char *const *names, size_t n);

#endif
