// SPDX-License-Identifier: BSD-3-Clause
// supercell.h -- a supercell with its atoms, and force constants between them, as programs write them.
//
// Private to src/physics/forces.
#ifndef XN_PHYSICS_FORCES_SUPERCELL_H
#define XN_PHYSICS_FORCES_SUPERCELL_H

#include "core/yaml.h"
#include "physics/forces/forces.h"

typedef struct xn_supercell {
    double lattice[9]; // rows, Angstrom
    int n;
    double (*place)[3]; // fractions of the lattice
    char (*element)[4];
    double *mass_u;
    double primitive[9]; // rows, Angstrom; all 0: to be found from the positions
    double unit_ang;     // Angstrom per unit of length of the file's program (1, or Bohr's radius)
    double unit_force;   // N/m per unit of its force constants
} xn_supercell;

xani_status xn_supercell_alloc(xn_ctx *ctx, int n, xn_supercell *s);
void xn_supercell_free(xn_supercell *s);
void xn_supercell_cartesian(const xn_supercell *s, int atom, double r[3]);

// Finds the primitive cell where it is not given (libsymspg, orientation kept).
xani_status xn_supercell_primitive(xn_ctx *ctx, xn_supercell *s);
// class_of (n): number of the primitive cell's atom that each atom is a translation of; first (n): the first atom of
// each class; returns their number, -1 when the translations do not fit the primitive cell.
int xn_supercell_classes(const xn_supercell *s, int *class_of, int *first);

// Vectors of the supercell in those of the primitive cell: rows of whole numbers.
void xn_supercell_matrix(const xn_supercell *s, const double cell[9], int matrix[9]);
// phi (rows, n, 9), N/m: constants between atom row_atom[k] and all others; one row per class is enough.
xani_status xn_forces_from_supercell(xn_ctx *ctx, xn_supercell *s, const double *phi, const int *row_atom, int rows,
                                     xn_forces *f);

// ---- structure.c: the files structures stand in

xani_status xn_structure_poscar(xn_ctx *ctx, const char *path, xn_supercell *s);
// phonopy.yaml, phonopy_disp.yaml, phonopy_params.yaml: supercell, primitive cell, units. root: for what else it holds.
xani_status xn_structure_phonopy(xn_ctx *ctx, const char *path, xn_supercell *s, xn_node **root);

// N/m per unit of force constants by the name that phonopy gives it; NaN: not known.
double xn_structure_force_unit(const char *name);

// ---- qe_lattice.c

// Rows, in alat, of the lattice with this number; false: there is none such.
bool xn_qe_lattice(int ibrav, const double celldm[6], double a[9]);

// ---- sets.c: forces of displaced supercells (FORCE_SETS) to constants

typedef struct xn_displacement {
    int atom;
    double u[3];        // Angstrom
    double (*force)[3]; // (n) in units of force constant times Angstrom: N/m Angstrom; owned by the list
} xn_displacement;

// phi (n, n, 9), N/m: least squares over displacements and all symmetry operations of the supercell. Only the rows of
// the first atom of each class (xn_supercell_classes) are set.
xani_status xn_supercell_solve(xn_ctx *ctx, const xn_supercell *s, const xn_displacement *d, int n_d, double *phi);

// ---- words.c: numbers and words of a text file

typedef struct xn_words {
    xn_ctx *ctx;
    const char *path;
    char *text, *at;
    int line;
} xn_words;

xani_status xn_words_open(xn_ctx *ctx, const char *path, xn_words *w);
void xn_words_close(xn_words *w);
xani_status xn_words_number(xn_words *w, double *value); // the next one, over line ends
xani_status xn_words_numbers(xn_words *w, double *values, int64_t n);
xani_status xn_words_whole(xn_words *w, int least, int most, int *value);
char *xn_words_line(xn_words *w);                        // rest of this line, ended; NULL at the end
xani_status xn_words_bad(xn_words *w, const char *what); // XANI_ERR_INPUT with file and line
// Charges of phonopy's YAML files, of all atoms in order, under `nac` or (before version 2.18) at the top; nothing
// where there are none. path: for messages (born.c).
xani_status xn_forces_born_yaml(xn_ctx *ctx, const char *path, const xn_node *root, xn_forces *f);

#endif
