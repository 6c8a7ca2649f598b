// SPDX-License-Identifier: BSD-3-Clause
// cube.h -- the delay cube: relative change y = R_on/R_off - 1 per delay bin and pixel group, with errors
// and the integer sums it came from.
//
// Fixed point, so that sums have the same bits for any number of threads and any batch size:
//   intensity of one pixel group in one shot, in photons, is v = round(I * 2^16); S1 = sum v;
//   S2 = sum w^2 and X = sum w * i0q, with w = v >> (8 + floor(log2 spatial_bin)) (kernel/bin.h), and
//   i0q = round(I0' * i0_scale), I0' the I0 rounded to 17 significant bits, i0_scale the finest power of two with
//   i0q < 2^31 and M2 < 2^62 in every class; M1 = sum i0q, M2 = sum i0q^2; delays in 2^-20 ps.  (>> is a rounding
//   shift.)
// I0' depends on the shot alone, so sums of other shots at another scale are brought to this one without rounding
// (reduce/merge.c) as long as no I0 is smaller than the largest by more than 2^14, or than the rms of a class of n
// shots by more than 2^15/sqrt(n).
//
// Sums of masked groups are 0: whatever was added there before one of its shots turned
// out bad is no number. A cube read from binned files (layout cube) has no S2 and X and carries sums_float instead.
#ifndef XN_DATA_CUBE_H
#define XN_DATA_CUBE_H

#include "data/shots.h"

#define XN_PHOTON_SCALE 65536.0  // S1 units per photon
#define XN_DELAY_SCALE 1048576.0 // delay sums, per ps

double xn_photon_scale2(int spatial_bin); // units per photon of w, the factor in S2 and X

typedef struct xn_sums {
    int nbins; // 1 for the off class
    int64_t npix;
    int64_t *shots;                    // (bin)
    int64_t *i0_sum, *i0_sq_sum;       // (bin): M1, M2
    int64_t *delay_sum, *delay_sq_sum; // (bin); squares in 2^-20 ps^2
    int64_t *s1, *s2, *x;              // (bin, y, x); s2 and x NULL for binned input
    // (bin, y, x) with an off reference per block of time, else NULL: sums of e, e^2, I e, e = I0 R_off(block)
    double *expect, *expect_sq, *cross;
} xn_sums;

typedef struct xn_cube {
    int nbins;
    int64_t ny, nx; // after spatial grouping
    int spatial_bin;
    int n_modules;
    int64_t *module_rows;   // (n_modules) rows of each module after grouping; sums to ny
    double *delay_ps;       // (bin) mean corrected delay, the bin's centre where it is empty
    double *edges_ps;       // (bin+1), or NULL
    double *weight;         // (bin) relative weight of the bin, sum of I0 over its mean; 0 = empty. NULL: not told
    float *signal, *errors; // (bin, y, x); NaN where missing. errors NULL-free, NaN when unknown
    uint32_t *mask;         // (y, x) NXmx bits, 0 = good
    float *mean_frame;      // (y, x) R_off times mean I0: photons per shot, for the report
    int64_t *peak;          // (y, x) largest |v| of a used shot; NULL for binned input
    int64_t det_ny, det_nx; // detector
    uint32_t *pixel_mask;   // (det_ny, det_nx) NXmx bits: pixels that are not 0 are in no sum; NULL for binned input
    double i0_scale;
    double scale2_read;           // what a file says xn_photon_scale2 is; 0: not read from one
    xn_sums on, off;              // empty (NULL arrays) for binned input
    double *on_float, *off_float; // binned input: sums as read, grouped: on (bin, y, x), off (y, x)
    double *on_i0, off_i0;        // binned input: I0 sums
    double *on_count, off_count;  // shots per bin, shots off (binned input; else from sums)
    bool errors_counting;         // errors come from counting, else from the residual
    double time_resolution_ps;    // NaN when unknown
    char *run;                    // name of the run, "" for a single one
    double angles_deg[8];         // goniometer angles of this run
    int n_angles;
    xn_shots shots; // n == 0 for binned input
    // Arrays (bin, y, x) that do not fit into memory lie in a file which is mapped here; NULL: all in memory.
    void *mapped;
    size_t mapped_bytes;
    xn_cutflow cutflow;
} xn_cube;

void xn_sums_free(xn_sums *sums);
void xn_cube_free(xn_cube *cube); // frees what is set, leaves the struct zeroed
// Room of so many bytes in a file: `path`, with what it holds unless it is new or of another size, or an unnamed one.
xani_status xn_cube_map(xn_ctx *ctx, xn_cube *cube, const char *path, size_t bytes, bool *fresh);
// Lets go of the memory behind part of a mapped array; its contents stay. Nothing for arrays in memory.
void xn_cube_let_go(const xn_cube *cube, const void *part, size_t bytes);

#endif
