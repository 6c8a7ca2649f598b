// SPDX-License-Identifier: BSD-3-Clause
// parts.h -- what the files of the map stage share.
//
// The runs are taken one after the other: hkl of every pixel group of the run, its points, its counts in the volume
// and along the path; then the volume, the path and its branches are made from all points. So memory holds one
// run's hkl and all points. Results have the same bits for any number of threads: every sum is taken by one thread
// in the order of the points, or is a sum of integers.
#ifndef XN_MAP_PARTS_H
#define XN_MAP_PARTS_H

#include <math.h>

#include "core/config.h"
#include "data/modes.h"
#include "data/points.h"
#include "map/map.h"
#include "physics/forces/match.h"
#include "physics/geometry.h"
#include "physics/lattice.h"

// ---- scene.c: detector, crystal and circles; the momentum transfer of pixel groups

typedef struct xn_scene {
    xn_lattice lattice;
    xn_goniometer goniometer;
    xn_geometry geometry;
    double energy_kev;
    int atoms;         // of the primitive cell; 0 when the configuration has no basis
    double max_thz;    // highest phonon frequency known for the crystal; NaN when unknown
    double limit_thz;  // what no crystal of these atoms exceeds
    double zone_scale; // cube root of the zone's volume, 1/Angstrom: 1.59 * 2 pi/a for an fcc crystal
    int threads;
    // of one grouping of the pixels, made by xn_scene_group
    int spatial_bin;
    int64_t ny, nx;
    double *q_lab;  // (ny, nx, 3) 1/Angstrom; NaN where there is no pixel
    float *q_group; // (ny, nx) half the diagonal of the group in 1/Angstrom
} xn_scene;

// What the map needs of one run: where each pixel group looks.
typedef struct xn_view {
    int64_t n, capacity;
    double *hkl; // (n, 3) total, conventional
    int32_t *g;  // (n, 3) nearest reciprocal lattice vector
    double *q;   // (n, 3) B (hkl - G)
    double to_hkl[9];
    uint8_t *seen; // 1: the group was fitted, with or without a mode
} xn_view;

xani_status xn_scene_load(xn_ctx *ctx, const xn_config *config, xn_scene *s);
// Phonon frequency up to which lines may have been mirrored.
static inline double xn_scene_reach(const xn_scene *s) { return isnan(s->max_thz) ? s->limit_thz : s->max_thz; }
void xn_scene_free(xn_scene *s);
// Groups the pixels as a cube with spatial_bin and these module rows (after grouping; NULL: the geometry's own).
xani_status xn_scene_group(xn_ctx *ctx, xn_scene *s, int spatial_bin, int n_modules, const int64_t *module_rows);
// Edge of the pixel groups in 1/Angstrom where the detector is nearest; 0 when it has no pixels.
double xn_scene_footprint(const xn_scene *s);
// hkl, G and q of all groups at these angles; n_angles 0: the configuration's. seen is 1 where there is a pixel.
xani_status xn_scene_view(xn_ctx *ctx, const xn_config *config, const xn_scene *s, const double *angles_deg,
                          int n_angles, xn_view *v);
void xn_view_free(xn_view *v);
// Edges of pixel group i (y, x), hkl: of the square that is as wide (rms) as the centres of its pixels are spread.
void xn_view_edges(const xn_scene *s, const xn_view *v, int64_t i, float edge[6]);

// ---- points.c, combination.c: from modes to points

typedef enum { XN_KIND_PAIR, XN_KIND_COHERENT, XN_KIND_AUTO } xn_kind;

typedef struct xn_collection {
    xn_kind kind;
    xn_points points, combinations;
    float *width;                   // of each point: half width at half maximum of its line in nu, THz
    float *edge;                    // (n, 2, 3) edges of its pixel group, hkl
    float *window, *damping;        // and its delay window in ps, damping in 1/ps
    int64_t coherent, bragg_pixels; // lines taken as coherent, and the pixels they come from
    int64_t aliased;
} xn_collection;

// Adds the points of one run; modes that are combinations go to c->combinations with frequency f. unfolded (mode, y, x)
// or NULL: true frequencies where they are known.
xani_status xn_points_add(xn_ctx *ctx, const xn_scene *s, const xn_view *v, const xn_modes *m, int run,
                          const float *unfolded, xn_collection *c);

// ---- unfold.c: lines above the Nyquist frequency, told by other bins

// Where bins show an oscillation f: at its distance from the nearest multiple of 2 f_N.
static inline double xn_shown_at(double f, double nyquist)
{
    double rest = fmod(f, 2.0 * nyquist);
    return rest > nyquist ? 2.0 * nyquist - rest : rest;
}

// The run of which modes[i] are the same photons in other bins; -1: none.
int xn_other_bins_of(const xn_modes *const *modes, int i);
// Frequencies of the oscillations of a run, (mode, y, x), owned; NaN where other bins do not tell; NULL: there are
// none.
xani_status xn_unfold(xn_ctx *ctx, const xn_scene *s, const xn_modes *const *modes, int n, int run, xn_kind kind,
                      float **unfolded);

void xn_collection_free(xn_collection *c);
// Does this pixel group show coherent modes?
bool xn_pixel_coherent(const xn_scene *s, const xn_view *v, xn_kind kind, int64_t pixel);
// combination[mode, y, x] = 1 for accepted lines f = nu_a +- nu_b.
xani_status xn_combinations_find(xn_ctx *ctx, const xn_modes *m, int threads, uint8_t *combination);
// A mode of a fit that can have found one, with numbers that an oscillation of atoms may have: what another program
// wrote may hold others.
#define XN_MOST_THZ 300.0F     // 2 nu of the stiffest bond, that of H2, is 264
#define XN_MOST_AMPLITUDE 1e6F // relative
static inline bool xn_mode_accepted(const xn_modes *m, int64_t pixel, int k)
{
    const int64_t i = (int64_t)k * m->ny * m->nx + pixel;
    const uint8_t status = m->status[pixel];
    if (k >= m->count[pixel] || (status != XN_FIT_MODES && status != XN_FIT_NOT_CONVERGED && status != XN_FIT_AT_BOUND))
        return false;
    return m->frequency[i] > 0.0F && m->frequency[i] <= XN_MOST_THZ && fabsf(m->amplitude[i]) <= XN_MOST_AMPLITUDE &&
           isfinite(m->damping[i]);
}
// One standard deviation of its frequency; NaN where it is not known: none, 0, or no number.
static inline double xn_mode_sigma_thz(const xn_modes *m, int64_t i)
{
    const double sigma = (double)m->frequency_errors[i];
    return sigma > 0.0 && isfinite(sigma) ? sigma : NAN;
}

// ---- volume.c

// Axes h, k, l and the coverage, zero; the frequency axis is set by the caller (xn_frequency_axis).
xani_status xn_volume_plan(xn_ctx *ctx, const xn_config *config, const xn_scene *s, xn_dispersion *d);
// Voxel of a total hkl with its G.
int64_t xn_volume_voxel(const xn_dispersion *d, const double *hkl, const int32_t *g);
void xn_volume_count(const xn_scene *s, const xn_view *v, xn_dispersion *d);
void xn_volume_reach(const xn_scene *s, xn_dispersion *d); // after all runs: d->zone_voxels
xani_status xn_volume_fill(xn_ctx *ctx, const xn_scene *s, const xn_collection *c, xn_dispersion *d);
xani_status xn_frequency_axis(xn_ctx *ctx, double top_thz, int64_t n, double **axis);
// Adds A^2 of a unit-area Lorentzian at nu of half width `width` to n bins of a frequency axis.
void xn_lorentzian_add(const double *axis, int64_t n, double nu, double width, double area, double *sum);

// ---- path.c, images.c: the path in the crystal and the samples near it

typedef struct xn_segment {
    double from[3], to[3]; // hkl
    double length, start;  // 1/Angstrom: own length, distance along the path where it begins
    int64_t first, n;      // bins
} xn_segment;

// A segment moved by a symmetry operation and a reciprocal lattice vector so that it passes through the first zone.
typedef struct xn_image {
    int segment;
    double from[3], along[3]; // Cartesian; along is a unit vector
} xn_image;

typedef struct xn_path {
    int n_segments;
    xn_segment *segment;
    int n_images;
    xn_image *image;
    double tube;
    int64_t n; // bins
    double step;
    // images that come within the tube of a box of the zone's bounding box: list[first[box] .. first[box + 1] - 1]
    int boxes[3];
    double origin[3], box[3];
    int32_t *first, *list;
    int64_t *samples; // (n) pixel groups looked at in each bin
} xn_path;

typedef struct xn_hit {
    int64_t bin;
    double along;    // from the bin's centre, 1/Angstrom
    double distance; // from the line
    int32_t image;
} xn_hit;

// footprint: edge of a pixel group in 1/Angstrom.
xani_status xn_path_plan(xn_ctx *ctx, const xn_config *config, const xn_scene *s, double footprint, xn_path *p,
                         xn_dispersion *d);
void xn_path_free(xn_path *p);
// images.c: the images of all segments, and the boxes to find them by.
xani_status xn_path_images(xn_ctx *ctx, const xn_config *config, const xn_lattice *l, xn_path *p);
// Bins that a folded q contributes to, each once, at its image nearest to the line. hits: n_images entries.
int xn_path_hits(const xn_path *p, const double q[3], xn_hit *hits);
xani_status xn_path_count(xn_ctx *ctx, const xn_scene *s, const xn_view *v, xn_path *p);

// ---- members.c, cluster.c, branches.c: points on the path, sorted into branches

typedef struct xn_member {
    int64_t point;
    double along, distance; // as in xn_hit
} xn_member;

typedef struct xn_members {
    int64_t *first; // (bins + 1)
    xn_member *at;
} xn_members;

xani_status xn_members_find(xn_ctx *ctx, const xn_scene *s, const xn_path *p, const xn_points *points, xn_members *m);
void xn_members_free(xn_members *m);
xani_status xn_path_fill(xn_ctx *ctx, const xn_scene *s, const xn_path *p, const xn_members *m, const xn_collection *c,
                         xn_dispersion *d);

// One line in a bin of the path, as the clustering sees it.
typedef struct xn_line_sample {
    double value;  // frequency used to sort, THz
    double weight; // 1/THz^2
    int64_t pixel; // lines of one pixel have the same number: they are different branches
    int label;     // out: cluster, ascending in value from 0; -1: none
} xn_line_sample;

// Sorts samples into at most `most` clusters; returns their number. `spread`: least rms of a branch in a bin, THz.
xani_status xn_cluster(xn_ctx *ctx, xn_line_sample *s, int64_t n, int most, double spread, int *clusters);
// Pairs rows with columns at least total cost: cost (n, n); column[row].
xani_status xn_assign(xn_ctx *ctx, int n, const double *cost, int *column);
xani_status xn_branches_find(xn_ctx *ctx, const xn_scene *s, const xn_path *p, const xn_members *m, xn_points *points,
                             xn_dispersion *d);

// ---- average.c: spectra of averaged traces, in voxels or bins of the path

typedef struct xn_average {
    int64_t slots, nf;
    float *sum, *variance; // (slots, nf)
    double *count;         // (slots) traces
} xn_average;

xani_status xn_average_open(xn_ctx *ctx, int64_t slots, int64_t nf, xn_average *a);
// Sums to means and their errors, owned by the caller; NULL: nothing is wanted any more.
void xn_average_close(xn_average *a, float **intensity, float **errors);
// Adds the traces of one run; nothing where there are none.
xani_status xn_average_run(xn_ctx *ctx, const xn_scene *s, const xn_view *v, const xn_modes *m, int run, xn_kind kind,
                           const xn_traces *traces, const xn_path *p, const xn_dispersion *d, double budget_gib,
                           xn_average *volume, xn_average *path);

// ---- forces.c, known.c: phonons of given force constants, refined to the points, and the branches they explain

#define XN_CHANGE 0.03 // what the laser may change of a phonon's frequency, relative: doubt about given constants

typedef struct xn_known {
    bool given;
    xn_forces start, now; // as given; changed to agree with the points where that is asked for, else a copy
    double b[9];          // hkl to Q in the frame of the constants, 1/Angstrom
    xn_match_options match;
    double model_share; // of what the model may be wrong by (match.h) that the points need
    double doubt;       // about the phonons of `now`, of their frequency
    const double *band; // (branches, path_n) of `now`, owned by the dispersion
} xn_known;

// given: false where the configuration names none.
xani_status xn_known_load(xn_ctx *ctx, const xn_config *config, const xn_scene *s, xn_known *k);
void xn_known_free(xn_known *k);
// Refines where asked for; phonons along the path go to d.
xani_status xn_known_map(xn_ctx *ctx, const xn_config *config, const xn_scene *s, const xn_collection *c, xn_known *k,
                         xn_dispersion *d);
// Point i as a line to explain; false: mirrored, or without an error.
bool xn_known_observe(const xn_known *k, const xn_collection *c, int64_t i, xn_observed *o);
// mirrored.c: takes the mark `alias` off points that the constants, as given, explain without mirrors.
xani_status xn_mirrored_tell(xn_ctx *ctx, const xn_scene *s, const xn_known *k, const xn_modes *const *modes,
                             xn_collection *c);
// kinds.c: why lines are pairs or coherent, said and kept in d.
xani_status xn_kinds_report(xn_ctx *ctx, const xn_scene *s, const xn_known *k, const xn_collection *c,
                            xn_dispersion *d);
xani_status xn_branches_known(xn_ctx *ctx, const xn_scene *s, const xn_known *k, const xn_path *p, const xn_members *m,
                              xn_collection *c, xn_dispersion *d);

#endif
