// SPDX-License-Identifier: BSD-3-Clause
// grid.h -- what a plan needs so that uneven delays cost no more than even ones: taps and the layout of a table.
//
// Taps.  In the band |w| <= w_hi, 0 <= g <= g_hi, z^t with z = exp(s), s = -g + i w, is a short combination of its
// values on a grid of step d, a third finer than the band needs, up to a factor that is the same for all t:
//   D(s) z^t = sum_i tap_i(t) z^(d (base + i)),     D(s) = exp(q - b) b/q,  q^2 = b^2 + (s taps d/2)^2,
// the transform of a Kaiser-Bessel window (sinh q/q, sinh q being exp(q)/2 here).  The taps are the least-squares
// solution on the band's edge (the error is analytic in s, hence largest there), the same for every trace.  Data are
// spread onto the grid by them once (Greengard and Lee 2004, SIAM Rev. 46, 443; Fessler and Sutton 2003, IEEE Trans.
// Signal Process. 51, 560), and sum_n y_n z^(t_n) becomes a sum over even steps over D.  Largest error in the band 2e-6
// with 12 taps (at its corner; 5e-7 for modes that last), 1e-13 with 28.
//
// Table.  The Gram sums F(s) = sum_n h_n^2 exp(s t_n) and their derivatives depend on the delays alone.  F is entire,
// so it is tabulated by Taylor polynomials around nodes in the (g, w) plane, rows of equal g, finer where g is small.
#ifndef XN_KERNEL_GRID_H
#define XN_KERNEL_GRID_H

#include "kernel/kernels.h"

#define XN_GRID_FINER (4.0 / 3.0) // than the band needs
#define XN_GRID_TAPS_FLOAT 12
#define XN_GRID_TAPS_START 8 // of the coarser grid of the start, where 3e-3 will do
#define XN_GRID_FINER_START 1.15
#define XN_GRID_TAPS_DOUBLE 28
#define XN_GRID_ROWS 255
#define XN_GRID_NODES (1 << 15)

// Where the first grid point must lie before the first sample, in grid steps.
#define XN_GRID_MARGIN 14 // half of the most taps

static inline int xn_grid_taps(const xn_fit_plan *p, int bits)
{
    return p->uniform ? 1 : bits == 32 ? XN_GRID_TAPS_FLOAT : XN_GRID_TAPS_DOUBLE;
}

// Points of the grid in use, whole blocks of 8.
int xn_grid_points(const xn_fit_plan *p, double step, int taps);
// b of D(s) above (Beatty, Nishimura and Pauly 2005, IEEE Trans. Med. Imaging 24, 799); 0 with one tap, D = 1.
double xn_grid_window(const xn_fit_plan *p, double step, int taps);
// First grid point of each sample (n) and its taps (n, taps).
void xn_grid_tabulate(const xn_fit_plan *p, double step, int taps, int *base, double *tap);

typedef struct xn_grid_row {
    double g, half; // centre and half height
    double step;    // between nodes in w
    int first, count;
} xn_grid_row;

// Numbers of a node: its place, and the coefficients of a polynomial, complex.
#define XN_GRID_NODE(bits) ((bits) == 32 ? 32 : 64)
#define XN_GRID_TERMS(bits) (XN_GRID_NODE(bits) / 2 - 1)

// Rows and nodes of the table in a precision; returns the number of rows, 0 if there would be too many.
int xn_grid_rows(const xn_fit_plan *p, int bits, xn_grid_row *rows, int *nodes);
// Whether a plan with exact delays is cheaper on a grid: not where few samples are strewn over a long time.
bool xn_grid_worth(const xn_fit_plan *p);

#endif
