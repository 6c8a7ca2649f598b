// SPDX-License-Identifier: BSD-3-Clause
// points.h -- result of the map: points of the dispersion, the folded volume, the path and its branches.
#ifndef XN_DATA_POINTS_H
#define XN_DATA_POINTS_H

#include "core/core.h"

// May a point be the mirror image of an oscillation above the Nyquist frequency f_N? UNKNOWN: 2 f_N - f is not beyond
// what crystals of these atoms could have, but how far this one reaches is not known.  Without f_N: is it above that?
enum { XN_ALIAS_NO, XN_ALIAS_MAY_BE, XN_ALIAS_UNKNOWN };

// Columns of equal length n; see contract: hkl total Q in conventional reciprocal units, G integers,
// q = Q - G in 1/Angstrom in the crystal's Cartesian frame (B hkl).
typedef struct xn_points {
    int64_t n, capacity;
    double *hkl;                          // (n, 3)
    int32_t *g;                           // (n, 3)
    double *q;                            // (n, 3)
    double *frequency, *frequency_errors; // nu in THz (combination points: f)
    double *amplitude, *amplitude_errors;
    uint8_t *coherent; // 0 pair, 1 coherent
    int32_t *branch;   // -1 = not assigned
    int32_t *pixel;    // (n, 2) y, x
    int32_t *run;      // index of the run
    double *weight;
    uint8_t *alias; // XN_ALIAS_*
    float *images;  // (n, 2) nu if it is: of 2 f_N - f and 2 f_N + f; NaN where the crystal does not reach
} xn_points;

typedef struct xn_path_label {
    char name[16];
    double hkl[3];
} xn_path_label;

// Force constants changed so that their phonons agree with the points; N/m.
typedef struct xn_refinement {
    int n;            // parameters
    char (*name)[48]; // "shell 1 Ge-Ge 2.450 A, 1 of 2"
    double *distance; // Angstrom
    double *start, *change, *change_errors;
    double *covariance, *correlation; // (n, n)
    uint8_t *determined;              // 1: the data say more than half of what is known of it
    double chi2_before, chi2;
    double model_share;    // of what the model may be wrong by that chi2 counts, 0 to 2
    double common;         // rms of what lines of a run are off by together, of their frequency; 0: none seen
    int64_t used, refused; // points; refused: near no branch
    int64_t dof;
    int64_t converged;                    // 1 or 0
    double *frequency, *frequency_errors; // (branch, path_n) of the changed constants
} xn_refinement;

typedef struct xn_dispersion {
    xn_points points, combinations;
    int n_runs;
    char **run_names;
    int n_angles;
    double *run_angles; // (n_runs, n_angles)
    // folded volume, conventional units: axes h, k, l and frequency
    int64_t shape[4]; // h, k, l, frequency
    double *axis[4];
    float *intensity;                  // (h, k, l, frequency); NaN where coverage is 0
    int32_t *coverage;                 // (h, k, l) samples
    int64_t zone_voxels;               // of the volume that lie in the first zone, or partly
    float *averaged, *averaged_errors; // of traces averaged with their phase; NULL: no traces
    // path
    int n_labels;
    xn_path_label *labels;
    double *label_distance;                            // (n_labels) 1/Angstrom
    int64_t path_n, path_nf;                           // along the path; along frequency
    double *path_distance, *path_frequency, *path_hkl; // path_hkl (path_n, 3)
    float *path_intensity;                             // (distance, frequency)
    float *path_averaged, *path_averaged_errors;       // likewise; NULL: no traces
    // branches
    int n_branches;
    bool branches_known;                      // told apart by force constants; else by continuity along the path
    double *branch_frequency, *branch_errors; // (B, path_n), NaN where unseen
    int32_t *branch_count;                    // (B, path_n)
    // phonons along the path of the force constants given, and what became of them
    int n_reference;
    double *reference_frequency; // (n_reference, path_n) THz, negative where imaginary
    xn_refinement refinement;    // n 0: not refined
    char *kind_evidence;         // why lines are pairs or coherent modes
    double energy_kev;           // of the configuration or the geometry file
    double tube_inv_ang;
    double nyquist_thz;       // of the delay bins; NaN when not uniform
    double crystal_max_thz;   // highest phonon frequency known for the crystal, NaN when unknown
    double crystal_limit_thz; // what no crystal of its atoms exceeds
} xn_dispersion;

void xn_points_free(xn_points *points);
void xn_refinement_free(xn_refinement *refinement);
void xn_dispersion_free(xn_dispersion *dispersion);

#endif
