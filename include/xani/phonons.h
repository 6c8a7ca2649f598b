/* SPDX-License-Identifier: BSD-3-Clause */
/* phonons.h -- phonons of a crystal from the force constants that other programs write. Part of <xani/xani.h>, which is
   what programs include. */
#ifndef XANI_PHONONS_H
#define XANI_PHONONS_H

#include <xani/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct xani_phonons xani_phonons;

typedef struct xani_phonons_options {
    size_t size;        /* sizeof(xani_phonons_options), set by xani_phonons_options_init */
    const char *format; /* bvk, xdscode, phonopy, qe, alamode, vasp; NULL: told by the file's name; truth_before and
                           truth_after of a simulation's truth.h5 */
    const char *born; /* file of dielectric constant and Born charges; NULL: BORN beside phonopy's constants, if any */
    int mixed_space;  /* polar crystals: 0 dipoles by an Ewald sum (Gonze and Lee 1997), 1 Wang et al. 2010 */
    int sum_rule;     /* 1: impose the acoustic sum rule */
} xani_phonons_options;

XANI_API void xani_phonons_options_init(xani_phonons_options *options);
/* options NULL: the defaults. XANI_ERR_INPUT names the file and what is wrong in it. */
XANI_API xani_status xani_phonons_open(xani_context *context, const char *path, const xani_phonons_options *options,
                                       xani_phonons **phonons);
XANI_API void xani_phonons_close(xani_phonons **phonons);
XANI_API int xani_phonons_atoms(const xani_phonons *phonons); /* of the primitive cell */
XANI_API int xani_phonons_polar(const xani_phonons *phonons); /* 1: dipoles are in */
/* 1: the file (truth.h5) says how the conventional cell lies here, q = hkl_to_q hkl, row-major with 2 pi; else 0. */
XANI_API int xani_phonons_conventional(const xani_phonons *phonons, double hkl_to_q[9]);
/* cell: rows a1, a2, a3 in Angstrom, Cartesian. NULL: not wanted; so are the atoms': positions (n, 3) in Angstrom,
   masses in u; elements: n texts of 4 bytes. */
XANI_API void xani_phonons_crystal(const xani_phonons *phonons, double cell[9], double *positions, double *masses_u,
                                   char *elements);
/* Frequencies and displacements at n points q (n, 3), in 1/Angstrom with 2 pi in the Cartesian frame of the cell.
   nu_thz (n, 3 atoms): ascending, negative where imaginary. vectors (n, branch, atom, xyz, 2), or NULL: real and
   imaginary parts of the eigenvectors of D(q) = sum Phi exp(i q.(R + r_j - r_i)) / sqrt(m_i m_j), norm 1 (Born and
   Huang 1954, section 24). towards (3) or NULL: direction from which polar crystals approach q = 0. All cores are used.
 */
XANI_API xani_status xani_phonons_at(xani_context *context, const xani_phonons *phonons, int64_t n, const double *q,
                                     const double *towards, double *nu_thz, double *vectors);

#ifdef __cplusplus
}
#endif
#endif
