// SPDX-License-Identifier: BSD-3-Clause
// parts.h -- what the simulated experiment is made of; private to src/source/sim*.c.
//
//   settings  the keys sim.*, checked
//   detector  where pixels are, how they answer
//   model        crystal before and after, and from them the intensity of every pixel of a run at any delay
//   shots        the shots of a run: incoming intensity, delay, readings, losses
//   frame        photons and words of one shot
//   layouts.c names what can be written; swissfel, cube, ..., truth, config: the files
//
// Every random number comes from a stream of its own (xn_sim_rng): the shot table of a run, the pixels of one frame,
// the detector.  No draw depends on what was drawn elsewhere, so files are the same for any number of threads.
#ifndef XN_SOURCE_SIM_PARTS_H
#define XN_SOURCE_SIM_PARTS_H

#include "core/rng.h"
#include "data/source.h"
#include "io/write/writer.h"
#include "physics/beam.h"
#include "physics/crystal.h"
#include "physics/forces/scatter.h"
#include "physics/geometry.h"
#include "physics/lattice.h"
#include "physics/panel.h"
#include "source/sim/sim.h"

#define XN_SIM_BRANCHES 60 // of the crystal, at most
#define XN_SIM_BLOCK 64    // pixels evaluated together; lines that are weak in a whole block are skipped

typedef struct xn_sim_settings {
    uint64_t seed;
    uint32_t layouts; // sim.layouts: bit k for xn_sim_layouts[k]
    double energy_kev, temperature_k;
    double damping_per_ps[XN_SIM_BRANCHES]; // of each branch, the lowest first
    double relaxation_ps;                   // infinity when the offset stays
    bool combinations;
    double heating, heating_ps;
    double background; // as given; background_is_fraction says in which unit
    bool background_is_fraction;
    double photons;
    int64_t shots, off_every;
    double rate_hz;
    double i0_modes, monitor_noise, monitor_nonlinearity;
    double start_ps, stop_ps, zero_ps, jitter_ps, drift_ps;
    int64_t sweeps;
    double tool_noise_ps, tool_failures;
    double lost, not_good, no_xrays, unread;
    int n_runs;    // at least 1
    bool has_runs; // the configuration has a runs list
} xn_sim_settings;

xani_status xn_sim_settings_load(xn_ctx *ctx, const xn_config *config, xn_sim_settings *s);
char *xn_sim_run_name(const xn_config *config, int run); // owned; "run0001" where the configuration has no name

// ---- random numbers

enum { XN_SIM_DETECTOR = 1, XN_SIM_SHOTS, XN_SIM_READINGS, XN_SIM_FRAME };
xn_rng xn_sim_rng(uint64_t seed, int what, int run, int64_t number);
void xn_sim_normals(xn_rng *rng, double *a, double *b); // two independent ones at the price of one

// ---- detector

enum { XN_SIM_GOOD = 0, XN_SIM_HOT = 1, XN_SIM_DEAD = 512 }; // pixel_mask of the pedestal file: bits 0 and 9

typedef struct xn_sim_detector {
    char *name;
    xn_panels panels; // n == 0 when the geometry comes from geometry.file or geometry.detector
    xn_geometry geometry;
    float *gain[3], *pedestal[3]; // planes; ADU/keV and ADU
    int64_t *mask;                // plane
    double noise_adu[3];
} xn_sim_detector;

xani_status xn_sim_detector_make(xn_ctx *ctx, const xn_config *config, const xn_sim_settings *s, xn_sim_detector *d);
void xn_sim_detector_free(xn_sim_detector *d);
char *xn_sim_geometry_text(const xn_sim_detector *d, double energy_kev, double distance_m); // CrystFEL; owned

// ---- model

// A line of y(t): branches i <= j of the changed crystal; equal: the pair line at 2 nu.
typedef struct xn_sim_line {
    int i, j;
    bool difference;
    double damping_per_ps;
} xn_sim_line;

typedef struct xn_sim_model {
    xn_sim_settings s;
    xn_crystal table[2]; // before, after; of a Born-von Karman table, else empty
    xn_forces before, after;
    double to_q[9];   // hkl to Q in the frame of the force constants
    double (*msd)[9]; // of each atom
    int branches, n_lines;
    xn_sim_line *line; // in the order of xn_scattering_lines
    xn_sim_detector detector;
    xn_lattice lattice;
    xn_goniometer goniometer;
    xn_beam beam;
    double *solid;         // (npix) solid angles, of one across the beam at the detector's distance
    double background_eu;  // electron units per atom
    double photons_per_eu; // of a pixel in forward direction in a shot of mean intensity
    int64_t npix;
    int threads;
} xn_sim_model;

xani_status xn_sim_model_make(xn_ctx *ctx, const xn_config *config, xn_sim_model *m);
void xn_sim_model_free(xn_sim_model *m);
xani_status xn_sim_crystals(xn_ctx *ctx, const xn_config *config, xn_sim_model *m); // crystal.c

// One run: every pixel's momentum transfer, brightness and lines.
typedef struct xn_sim_view {
    const xn_sim_model *model;
    int run;
    char *name;
    double angles_deg[8];
    int n_angles;
    double *hkl;        // (pixel, 3)
    double *nu;         // (pixel, branches) THz after the change
    double *photons;    // (pixel) in a laser-off shot of mean intensity
    double *dilution;   // (pixel) share of the diffuse intensity in it
    double **f;         // (line, pixel) THz
    double **amplitude; // (line, pixel) of y, with its sign: negative where the mode softens
    // the same in single precision for the frames, lines below 1e-5 of a pixel's strongest left out
    float *fast_photons, *fast_offset, *fast_dilution, **fast_f, **fast_a;
    uint8_t *active; // (block, line) 1: the line is needed somewhere in the block
} xn_sim_view;

xani_status xn_sim_view_make(xn_ctx *ctx, const xn_config *config, const xn_sim_model *m, int run, xn_sim_view *v);
void xn_sim_view_free(xn_sim_view *v);
double xn_sim_y(const xn_sim_view *v, int64_t pixel, double delay_ps); // exact
// Photons expected in every pixel; npix rounded up to whole blocks are written.
void xn_sim_expected(const xn_sim_view *v, bool laser_on, double delay_ps, double i0, float *photons);
size_t xn_sim_padded(int64_t npix);

// ---- shots

// Channels of the beam-synchronous data, and what of them a shot may lack.
enum { XN_SIM_I0 = 0, XN_SIM_STAGE, XN_SIM_EDGE, XN_SIM_EDGE_AMPLITUDE, XN_SIM_CHANNELS };
extern const char *const xn_sim_channel[XN_SIM_CHANNELS];

#define XN_SIM_STAGE_SIGN (-1) // a longer stage makes the X-rays come earlier
#define XN_SIM_STAGE_ORIGIN_MM 150.0
#define XN_SIM_STAGE_PS_PER_MM 6.6712819039630412 // twice 1/c
#define XN_SIM_EDGE_ORIGIN 1000.0                 // pixel of the time tool's camera
#define XN_SIM_EDGE_C1 6e-4                       // ps per pixel, and its curvature
#define XN_SIM_EDGE_C2 2e-8
#define XN_SIM_EDGE_THRESHOLD 0.4 // edges of lower amplitude are failures

typedef struct xn_sim_shots {
    int64_t n;
    uint64_t *pulse_id;
    uint8_t *on, *lost, *not_good, *dark;
    double *i0;       // relative intensity W, mean 1
    double *delay_ps; // true one
    double *reading[XN_SIM_CHANNELS];
    uint8_t *missing[XN_SIM_CHANNELS];
    int64_t n_frames, *frame_shot; // shot of each frame
} xn_sim_shots;

xani_status xn_sim_shots_make(xn_ctx *ctx, const xn_sim_settings *s, int run, xn_sim_shots *shots);
void xn_sim_shots_free(xn_sim_shots *shots);
double xn_sim_delay(double stage_mm, double edge, double zero_ps); // as the written configuration says

// ---- frames

void xn_sim_frame(const xn_sim_view *v, const xn_sim_shots *shots, int64_t shot, uint16_t *words, float *scratch);

// Words of a frame as keV, by the detector's own gains and pedestals; NaN where it is saturated. For layouts that store
// calibrated frames.
void xn_sim_kev(const xn_sim_model *m, const uint16_t *words, float *kev);

// ---- layouts: what `xani sim` writes; one line in layouts.c each

typedef struct xn_sim_layout {
    const char *name;      // in sim.layouts
    const char *file_name; // of its configuration where it is not the first layout asked for
    bool shots;            // holds shots: calibration and their truth are written too
    bool words;            // stores raw words: pedestals and gains belong to it
    // The files of one run, below dir; NULL: the pipeline bins the shots (xn_sim_write_binned).
    xani_status (*write)(xn_ctx *ctx, const xn_config *config, const xn_sim_view *v, const char *dir);
    // Of layouts without `write`: its files of one run from the field's cube PREFIX_on.h5 and PREFIX_off.h5 that the
    // pipeline made; NULL: these are its files.
    xani_status (*from_cube)(xn_ctx *ctx, const xn_config *config, const xn_sim_model *m, const char *prefix,
                             const char *dir, int run);
    // input.* (and what it entails) of the configuration; input.files comes from `files`.
    xani_status (*configure)(xn_ctx *ctx, const xn_sim_model *m, xn_config *config);
    char *(*files)(const xn_sim_model *m, const char *run_name, int run); // YAML list, relative to dir; owned
} xn_sim_layout;

extern const xn_sim_layout *const xn_sim_layouts[]; // NULL at the end
bool xn_sim_writes(const xn_sim_settings *s, const char *name);
bool xn_sim_writes_shots(const xn_sim_settings *s);

// ---- files; each returns with nothing or with everything published

// A writer of a file of the kind XN_SIM_KIND.
xani_status xn_sim_create(xn_ctx *ctx, const char *path, xn_layout layout, xn_writer **w);
// Writes the frames of a run, made a batch at a time by all threads, as uint16 words or (kev) float32 keV, one frame
// per chunk. dims: of the dataset, the first the number of frames.
xani_status xn_sim_write_frames(xn_ctx *ctx, xn_writer *w, const char *dataset, const xn_sim_view *v,
                                const xn_sim_shots *shots, bool kev, int rank, const int64_t *dims);
xani_status xn_sim_write_calibration(xn_ctx *ctx, const xn_sim_model *m, const char *dir); // of all runs
xani_status xn_sim_write_noiseless(xn_ctx *ctx, const xn_config *config, const xn_sim_view *v, const char *dir);
xani_status xn_sim_write_truth(xn_ctx *ctx, const xn_config *config, const xn_sim_model *m, const char *dir);
xani_status xn_sim_write_config(xn_ctx *ctx, const xn_config *given, const xn_sim_model *m, const xn_sim_layout *layout,
                                const char *dir);
char *xn_sim_config_path(const xn_config *config, const xn_sim_layout *layout, const char *dir); // owned
char *xn_sim_pedestal_name(const xn_sim_model *m);                                               // owned
char *xn_sim_cube_prefix(const xn_sim_settings *s, bool noiseless, int run); // below the folder; owned
// Edges of reduce.delay_bins_ps, one more than bins; owned.
xani_status xn_sim_bin_edges(xn_ctx *ctx, const xn_config *config, double **edges, int64_t *bins);
// input of a layout of cubes: `more` (freed; NULL: no memory), delay as it stands, the detector's mask, errors by
// counts.
xani_status xn_sim_configure_cube(xn_ctx *ctx, const xn_sim_model *m, char *more, xn_config *config);
xani_status xn_sim_config_copy(xn_ctx *ctx, const xn_config *given, xn_config **copy);
// Assigns text, which may be NULL (no memory) and is freed.
xani_status xn_sim_assign(xn_ctx *ctx, xn_config *config, char *text);
// "delay: {...}" of input, for readings stored under these names (the units as in xn_sim_channel's); owned.
char *xn_sim_delay_text(const xn_sim_model *m, const char *stage, const char *edge);
// The window on the edge's amplitude, unless one is given.
xani_status xn_sim_set_window(xn_ctx *ctx, const char *amplitude, xn_config *config);
// The pedestal file's pixel_mask as input.mask, for layouts that store calibrated frames: "mask: {...}"; owned.
char *xn_sim_mask_text(const xn_sim_model *m);
xani_status xn_sim_open(xn_ctx *ctx, const xn_config *config, int run, xn_source **source); // run -1: no runs list
#define XN_SIM_GAIN_FILE "gains.h5"
#define XN_SIM_GEOMETRY_FILE "detector.geom"
#define XN_SIM_TRUTH_FILE "truth.h5"
// How its texts begin, by which it knows them again.
#define XN_SIM_CONFIG_HEAD "# Written by xani sim beside its data"
#define XN_SIM_GEOMETRY_HEAD "; Geometry of the simulated detector, as xani sim wrote it.\n"

#endif
