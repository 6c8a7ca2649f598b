// SPDX-License-Identifier: BSD-3-Clause
// lattice_label.h -- named points of one lattice's zone, between the files that know them: lattice_label.c those of
// lattices with right angles and of hexagonal axes, lattice_label_oblique.c those of monoclinic and triclinic ones.
#ifndef XN_PHYSICS_LATTICE_LABEL_H
#define XN_PHYSICS_LATTICE_LABEL_H

#include "physics/lattice.h"

#define XN_LABELS_MOST 20

// hkl: as in the article: conventional where the lattice is primitive, else of the primitive reciprocal vectors.
typedef struct xn_label {
    const char *name;
    double hkl[3];
} xn_label;

typedef struct xn_label_set {
    const char *path;
    int n;
    xn_label point[XN_LABELS_MOST];
    double to_conventional[9]; // of the article's own axes; row-major
    int axis[3];               // axis of the given cell that is the article's first, second, third
} xn_label_set;

void xn_label_put(xn_label_set *s, const char *name, double h, double k, double l);
void xn_label_monoclinic(const xn_lattice *l, int unique, xn_label_set *s); // unique: axis across the other two
void xn_label_triclinic(const xn_lattice *l, xn_label_set *s);

#endif
