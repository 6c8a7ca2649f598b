// SPDX-License-Identifier: BSD-3-Clause
// plan.h -- what `xani plan` works out: how well each mode will be seen, from what is known of the experiment.
//
//   settings  quantities given, measured or assumed; which of the three is said with each
//   measure   brightness, noise and shots from the first frames or from a cube; amplitudes from modes
//   sight     what the pixel groups look at: brightness, lines, how fast these change from pixel to pixel
//   predict   significance, error, number found, for each grouping of the pixels
//   angles    what the sample angles cover, and which come next
//   answer    all of it as JSON
#ifndef XN_PLAN_PLAN_H
#define XN_PLAN_PLAN_H

#include <jansson.h>

#include "core/config.h"
#include "data/cube.h"
#include "map/map.h"
#include "map/parts.h"
#include "map/wedge.h"
#include "physics/beam.h"
#include "physics/forces/scatter.h"
#include "plan/significance.h"

typedef enum {
    XN_PLAN_PHOTONS,    // per pixel and shot
    XN_PLAN_BACKGROUND, // relative to the median diffuse intensity
    XN_PLAN_NOISE,      // photons, of a pixel
    XN_PLAN_I0,         // relative rms
    XN_PLAN_MONITOR,    // relative rms
    XN_PLAN_TIMING,     // ps rms
    XN_PLAN_SHOTS,      // of a run
    XN_PLAN_RATE,       // Hz
    XN_PLAN_OFF,        // share of all shots
    XN_PLAN_USED,       // share of laser-on shots
    XN_PLAN_VALUES
} xn_plan_what;

typedef struct xn_plan_value {
    double value;     // NaN: unknown
    const char *from; // "given", "assumed", "first shots", "cube.h5", "force constants"
} xn_plan_value;

typedef struct xn_plan_group {
    int run;
    int64_t at;       // group of the scene
    double photons;   // of a pixel in a shot
    double dilution;  // share of the diffuse intensity in them
    double intensity; // one-phonon intensity, electron units per atom; NaN without force constants
    double factor;    // polarisation and solid angle
} xn_plan_group;

typedef struct xn_plan_sight { // of one branch, or mode
    double f_thz, amplitude;   // signed; of the diffuse intensity alone
    double slope_thz[2];       // change of f from pixel to pixel, along rows and columns
} xn_plan_sight;

#define XN_PLAN_BRANCHES 60 // of a crystal, at most
#define XN_PLAN_GROUPINGS 6 // 1, 2, 4, ..., 32 pixels
typedef struct xn_plan_outcome {
    double rho_best, rho_median; // over the groups: the best tenth's least, the median
    double snr_best, snr_median; // amplitude over its error
    double need_best,
        need_median; // times the shots of the outcome until it is found with plan.certainty; the same groups
    double share, found, groups; // groups with the mode, of all runs
    double sigma_nu_thz;         // median of those that are likely to be found
    double common;               // median share of the noise that is the same in all groups
    double clock, spread;        // medians: what timing and bins, and what the size of the group, leave of the signal
} xn_plan_outcome;

typedef struct xn_plan {
    xn_ctx *ctx;
    const xn_config *config;
    int threads, bin; // reduce.spatial_bin
    xn_plan_value value[XN_PLAN_VALUES];
    bool fill;           // while raw files tell what results did not
    xn_plan_trace trace; // n == 0: bins unknown
    int n_bins;          // of the cube, those before time zero too
    double noise_scale;  // variance of a cube over the formula's; 1 where not measured
    double certainty, rho_needed;
    int n_runs;
    float **measured;                      // (run): photons per pixel of the scene's groups, NULL: not measured
    double jitter_rms_ps;                  // of the arrival, as the time tool saw it; NaN: no tool
    double sigma_measured, sigma_expected; // of one sample of the cube: medians
    char **cube_path, **modes_path;        // (run): results that are there, NULL: none
    json_t *results;                       // rows: what was found so far
    // the crystal
    bool has_scene, has_crystal;
    const char *missing; // first key of the scene that is not there
    xn_scene scene;
    xn_beam beam;
    xn_crystal table[2];
    xn_forces before, after;
    double to_q[9], (*msd)[9], temperature_k, max_thz;
    double *solid; // (groups) solid angle of a pixel, relative to one in the middle of a flat detector
    double photons_per_eu, background_eu;
    double amplitude_scale; // of measured modes over the expected ones; 1 where not measured
    double frequency_scale; // the same of frequencies
    const char *amplitude_from;
    int branches;
    double damping_per_ps[XN_PLAN_BRANCHES];
    const char *damping_from[XN_PLAN_BRANCHES]; // "given", "modes.h5", "assumed"
    // pixel groups looked at, a sample of all
    int64_t n_groups;
    double all_groups; // pixel groups of all runs with this grouping
    xn_plan_group *group;
    xn_plan_sight *sight;                        // (group, branch)
    xn_plan_outcome *outcome[XN_PLAN_GROUPINGS]; // (branch), then the clearest of each group
    xn_plan_outcome *now;                        // the same with reduce.spatial_bin
} xn_plan;

// settings.c
xani_status xn_plan_settings(xn_plan *p);                                          // what is given
void xn_plan_measured(xn_plan *p, xn_plan_what what, double v, const char *where); // unless it was given
void xn_plan_assume(xn_plan *p);                                                   // what is still unknown
const char *xn_plan_name(xn_plan_what what);
double xn_plan_v(const xn_plan *p, xn_plan_what what);
// Bins from the configuration; nothing where it has none.
xani_status xn_plan_bins_configured(xn_plan *p);
// Bins that a fit would use of those with these edges and numbers of shots; width_ps: of the delays in a bin.
xani_status xn_plan_bins(xn_plan *p, int n, const double *edges_ps, const double *shots, double width_ps);
// The same of two or more delays, edges half-way between them, shots in proportion to weight (NULL: alike).
xani_status xn_plan_bins_between(xn_plan *p, int n, const double *delay_ps, const double *weight);
double xn_plan_on_shots(const xn_plan *p); // used laser-on shots of a run; NaN: unknown

// measure.c: from the first shots of a run that has files; from a cube.
xani_status xn_plan_probe(xn_plan *p);
// Shots in each bin, their share, the jitter, from a table with verdicts and bins.
xani_status xn_plan_shots(xn_plan *p, const xn_shots *s, int n, const double *edges_ps, const char *where);
xani_status xn_plan_from_cube(xn_plan *p, int run, const xn_cube *cube, const char *where);
// results.c: cubes and modes that are there already.
xani_status xn_plan_results(xn_plan *p);                 // finds them
xani_status xn_plan_cubes(xn_plan *p, bool *measured);   // brightness and shots from the first cube, photons from all
xani_status xn_plan_errors(xn_plan *p);                  // the cube's errors beside the formula's
const char *xn_plan_run_name(const xn_plan *p, int run); // its name, "" for a single one

// compare.c: amplitudes and frequencies of the modes beside those expected
xani_status xn_plan_compare(xn_plan *p);
void xn_plan_shift(xn_plan *p, double frequency_scale);      // of all lines
xani_status xn_plan_results_bin(const xn_plan *p, int *bin); // pixels along a group of the first modes; 0: none

// sight.c
xani_status xn_plan_scene(xn_plan *p);
xani_status xn_plan_look(xn_plan *p);        // fills group and sight
double xn_plan_background(const xn_plan *p); // background.c: electron units per atom; NaN: not measured
int xn_plan_angles_of(const xn_plan *p, int run, double angles_deg[8]); // 0: the goniometer's
// Photons of a group and the share of the diffuse intensity in them, as the force constants have it.
void xn_plan_light(const xn_plan *p, xn_plan_group *g);
// Lines of one group of a view, and of its neighbours; false where the crystal scatters nothing.
typedef struct xn_plan_eye xn_plan_eye; // room of one thread
xn_plan_eye *xn_plan_eye_open(const xn_plan *p);
void xn_plan_eye_close(xn_plan_eye **eye);
bool xn_plan_see(const xn_plan *p, xn_plan_eye *eye, const xn_view *v, int64_t at, xn_plan_group *g, xn_plan_sight *s);

// predict.c
// rho and errors of the branches of one group of n x n pixels, for `on` used laser-on shots; lines whose rho is roughly
// below `least` are left at 0. odds, clock, spread: (branches)
void xn_plan_group_odds(const xn_plan *p, const xn_plan_group *g, const xn_plan_sight *s, int n, double on,
                        double least, double *work, xn_plan_odds *odds, double *clock, double *spread);
// Variance of one shot relative to its mean, the signal's own spread left out; offset: of the signal's mean.
double xn_plan_shot_variance(const xn_plan *p, double photons, int pixels, double offset);
// What timing and bins leave of an oscillation at f.
double xn_plan_left(const xn_plan *p, double f_thz);
double xn_plan_found_in(const xn_plan *p, const xn_plan_odds *o, const xn_plan_sight *s, int branch);
double xn_plan_reference(const xn_plan *p); // used laser-on shots that the outcomes are for
xani_status xn_plan_predict(xn_plan *p);

// angles.c
xani_status xn_plan_coverage(xn_plan *p, json_t *answer);

// quantile.c
// Of n numbers those that are finite: the value that a share of them lies below; NaN: there are none. Reorders.
double xn_plan_quantile(double *v, int64_t n, double share);
double xn_plan_median(double *v, int64_t n);

// answer.c
xani_status xn_plan_answer(const xn_plan *p, json_t *answer);
void xn_plan_set(json_t *o, const char *key, double v); // null unless it is finite

#endif
