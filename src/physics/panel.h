// SPDX-License-Identifier: BSD-3-Clause
// panel.h -- flat panels as geometry files describe them; what the readers hand to geometry.c.
//
// The centre of pixel (i, j), counted from the panel's first pixel along fast and slow scan, lies at
// corner + (i + 0.5) fs + (j + 0.5) ss, in metres in the laboratory frame; pixels at an edge may be wider and odd rows
// shifted.  One reader is one function and one line in the table of geometry_file.c.
#ifndef XN_PHYSICS_PANEL_H
#define XN_PHYSICS_PANEL_H

#include "io/h5.h"
#include "physics/geometry.h"

typedef struct xn_panel {
    char name[64];
    int64_t min_fs, max_fs, min_ss, max_ss; // inclusive, in the stored array
    int64_t plane;                          // index along a stacking axis of the stored array; -1: there is none
    double corner[3], fs[3], ss[3];         // metres; outer corner of the first pixel, steps per pixel
    double res;                             // pixels per metre
    bool unused;                            // the file says not to use it
    double wide[4];   // how far outwards the centres of the first and last column, first and last row lie, in pixels
    double odd_shift; // of odd rows along fs, in pixels: hexagonal pixels
} xn_panel;

// Pixels not to be used: a box in the laboratory (pixels, any panel) or in one panel's fs and ss (inclusive).
typedef struct xn_bad_region {
    char name[64], panel[64];
    bool lab;
    double lo[2], hi[2]; // x, y or fs, ss
} xn_bad_region;

typedef struct xn_panels {
    int n, n_bad;
    xn_panel *panel;    // owned
    xn_bad_region *bad; // owned
    double energy_kev;  // NaN when the file does not say
    double distance_m;  // along the beam; NaN: unknown, z is 0 then
    bool frame_only;    // modules and bad pixels are wanted, no positions
    bool assumed;       // positions of quadrants were not known: nominal ones
} xn_panels;

// What the readers need besides the file.
typedef struct xn_geometry_options {
    double distance_m;                // NaN: the file's own, which then must be there
    bool frame_only;                  // modules and bad pixels are wanted, no positions
    bool anywhere;                    // what is missing to place the detector is no error: for pictures and shapes
    bool inverted;                    // European XFEL: positions were measured to the right and down
    const double *quadrants_mm;       // x, y of four quadrants (European XFEL), or NULL
    int wide;                         // wide pixels: 0 as the facility's own code, 1 their centres, -1 as if not wide
    const char *group, *unit, *frame; // of pixel maps and detectors in HDF5; NULL: found
    const char *detector;             // name of that of the frames, up to a '/', where a file has several; NULL
    double pixel_mm;                  // of maps in pixels; NaN
    const char *data_file;            // where .geom files that name a place in the data look, or NULL
} xn_geometry_options;

void xn_panels_free(xn_panels *panels);
xn_panel *xn_panels_add(xn_ctx *ctx, xn_panels *panels); // zeroed, plane -1; NULL: out of memory, told

// Each reads one kind of file.
xani_status xn_panels_crystfel(xn_ctx *ctx, const char *path, const xn_geometry_options *o, xn_panels *panels);
xani_status xn_panels_xfel(xn_ctx *ctx, const char *path, const xn_geometry_options *o, xn_panels *panels);
xani_status xn_panels_psana(xn_ctx *ctx, const char *path, const xn_geometry_options *o, xn_panels *panels);
xani_status xn_panels_nexus(xn_ctx *ctx, const char *path, const xn_geometry_options *o, xn_panels *panels);
bool xn_nexus_has_detector(xn_ctx *ctx, const xn_h5 *file);
bool xn_geometry_has_map(xn_ctx *ctx, const xn_h5 *file, const char *group); // NULL: anywhere
xani_status xn_geometry_map(xn_ctx *ctx, const char *path, const xn_geometry_options *o, xn_geometry *g);
// geometry.detector: one plane, or modules of a table.
xani_status xn_panels_flat(xn_ctx *ctx, const xn_config *config, const xn_geometry_options *o, xn_panels *panels);
// Rows, columns of a module and number of modules of a layout in data/detectors.txt; false: it has none of this name.
bool xn_layout_rows(const char *name, int64_t *rows, int64_t *columns, int *modules);
// The next word, or finite number, of a line; *s moves behind it. `after`: a character that must follow and is passed
// over, 0: none (geom_segment.c).
bool xn_next_word(const char **s, char *word, size_t room);
bool xn_next_number(const char **s, char after, double *value);
// PARENT IND OBJECT IND and 9 numbers, nothing else, as psana's files have them (geom_psana.c).
bool xn_psana_fields(const char *line, char parent[40], char name[40], int index[2], double number[9]);
// Kind of a geometry file ("CrystFEL", ...), by its contents; NULL: none. group: where a map is to be, or NULL.
const char *xn_geometry_kind(xn_ctx *ctx, const char *path, const char *group);
xani_status xn_geometry_file(xn_ctx *ctx, const char *path, const xn_geometry_options *o, xn_geometry *g);

// A sensor of psana: ASICs of equal pixels with gaps.  Coordinates in pixels of `pixel_um`, x along columns.
typedef struct xn_segment_kind {
    int rows, columns; // of an ASIC
    int n_rows, n_columns;
    double pixel_um, gap_um; // between centres of the pixels that face each other, less one pixel
    double wide_um;          // how far outwards from its nominal place the centre of a wide pixel lies
    bool wide_by_default;    // psana's own code places wide pixels at their centres
    bool up;                 // row 0 has the lowest y
    bool corner;             // the origin is pixel (0, 0), x along rows, y along columns
    double pixel_rows_um;    // where pixels are not square, else 0
} xn_segment_kind;
bool xn_segment_find(const char *name, xn_segment_kind *kind);

// The pixel map of panels. allocate: positions NaN, all pixels gaps, module_rows 0, for the ny, nx, n_modules in g.
xani_status xn_geometry_from_panels(xn_ctx *ctx, const xn_panels *panels, xn_geometry *g);
xani_status xn_geometry_allocate(xn_ctx *ctx, xn_geometry *g);

// geometry_region.c: keeps of the g of a file the modules that geometry.detector.stored names, in this order.
xani_status xn_geometry_keep_stored(xn_ctx *ctx, const xn_config *config, xn_geometry *g);
// Keeps of g what geometry.region names; nothing changes without it.
xani_status xn_geometry_crop(xn_ctx *ctx, const xn_config *config, xn_geometry *g);

#endif
