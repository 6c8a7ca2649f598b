# SPDX-License-Identifier: BSD-3-Clause
"""springs.py -- lattice dynamics of any crystal of springs in NumPy, and what X-rays see of it: none of xani's code.

Atoms are joined by springs, one constant along and one across each bond (axially symmetric Born-von Karman model).  The
phase of D(q) has the full distance of two atoms, so that D may be taken at Q itself and the one-phonon amplitude of a
branch is sum_k f_k (Q . e_k) / sqrt(m_k) without a further phase.  Lengths in Angstrom, q in 1/Angstrom with 2 pi, THz.
"""
import itertools

import numpy as np

AMU, KB, HBAR = 1.66053906660e-27, 1.380649e-23, 1.054571817e-34
FORM = {  # International Tables C 6.1.1.4: a1, b1, ... a4, b4, c
    "Fe": (11.7695, 4.7611, 7.3573, 0.3072, 3.5222, 15.3535, 2.3045, 76.8805, 1.0369),
    "Na": (4.7626, 3.2850, 3.1736, 8.8422, 1.2674, 0.3136, 1.1128, 129.424, 0.6760),
    "Cl": (11.4604, 0.0104, 7.1964, 1.1662, 6.2556, 18.5194, 1.6455, 47.7784, -9.5574),
    "Zn": (14.0743, 3.2655, 7.0318, 0.2333, 5.1652, 10.3163, 2.4100, 58.7097, 1.3041)}
CENTRED = {"P": np.eye(3), "I": np.array([[-.5, .5, .5], [.5, -.5, .5], [.5, .5, -.5]]),
           "F": np.array([[0, .5, .5], [.5, 0, .5], [.5, .5, 0]])}
CENTRES = {"P": [(0, 0, 0)], "I": [(0, 0, 0), (.5, .5, .5)], "F": [(0, 0, 0), (0, .5, .5), (.5, 0, .5), (.5, .5, 0)]}


def lattice(cell):
    """Rows a, b, c: a along x, b in the xy plane."""
    a, b, c = cell[:3]
    ca, cb, cg = np.cos(np.radians(cell[3:]))
    sg = np.sqrt(1 - cg * cg)
    cy = (ca - cb * cg) / sg
    return np.array([[a, 0, 0], [b * cg, b * sg, 0], [c * cb, c * cy, c * np.sqrt(1 - cb * cb - cy * cy)]])


def busing_levy(cell):
    """B with 2 pi: columns a*, b*, c*, x along a*, y in the a*b* plane."""
    star = 2 * np.pi * np.linalg.inv(lattice(cell)).T  # rows a*, b*, c*
    x = star[0] / np.linalg.norm(star[0])
    z = np.cross(star[0], star[1])
    z /= np.linalg.norm(z)
    return np.stack([x, np.cross(z, x), z]) @ star.T


class Crystal:
    """basis: [(element, mass in u, position in the conventional cell)] of the primitive cell.
    springs: [(longest, along, across)] in N/m: a bond takes the first whose length it does not exceed."""

    def __init__(self, cell, centring, basis, springs):
        self.cell, self.centring, self.basis = cell, centring, basis
        self.lattice = lattice(cell)
        self.primitive = CENTRED[centring] @ self.lattice
        self.position = np.array([b[2] for b in basis]) @ self.lattice
        self.mass = np.array([b[1] for b in basis]) * AMU
        self.to_cartesian = 2 * np.pi * np.linalg.inv(self.lattice)  # columns a*, b*, c* in this frame
        self.bonds = []  # (i, j, distance vector, tensor)
        for i, j in itertools.product(range(len(basis)), repeat=2):
            for n in itertools.product(range(-4, 5), repeat=3):
                d = np.array(n) @ self.primitive + self.position[j] - self.position[i]
                length = np.linalg.norm(d)
                rule = next((s for s in springs if length <= s[0]), None)
                if length > 1e-6 and rule is not None:
                    u = np.outer(d, d) / length**2
                    self.bonds.append((i, j, d, rule[1] * u + rule[2] * (np.eye(3) - u)))

    def modes(self, hkl):
        """hkl (n, 3) conventional -> nu (n, branch) ascending, eigenvectors (n, 3 atoms, branch)."""
        q = np.asarray(hkl) @ self.to_cartesian.T
        n = len(self.basis)
        d = np.zeros((len(q), n, 3, n, 3), complex)
        for i, j, r, phi in self.bonds:
            d[:, i, :, i, :] += phi / self.mass[i]
            d[:, i, :, j, :] -= np.exp(1j * q @ r)[:, None, None] * phi / np.sqrt(self.mass[i] * self.mass[j])
        w2, e = np.linalg.eigh(d.reshape(len(q), 3 * n, 3 * n))
        return np.sqrt(np.maximum(w2, 0)) / (2e12 * np.pi), e

    def displacements(self, temperature, grid=16):
        """<u u> of each atom, (atom, 3, 3) in Angstrom^2: Debye-Waller factors differ by direction where the crystal's
        stiffness does.  Means over a grid that leaves out Gamma."""
        hkl = np.array(list(itertools.product((np.arange(grid) + 0.5) / grid, repeat=3))) @ np.linalg.inv(CENTRED[self.centring]).T
        nu, e = self.modes(hkl)
        e = e.reshape(len(hkl), len(self.basis), 3, -1)
        w = 2e12 * np.pi * nu
        mean = HBAR / (2 * w) / np.tanh(HBAR * w / (2 * KB * temperature)) / len(hkl)
        u = np.einsum("nb,nkcb,nkdb->kcd", mean, e, e.conj()).real
        return 1e20 * u / self.mass[:, None, None]

    def visible(self, hkl, temperature=300.0):
        """nu and the one-phonon intensity of each branch, relative to each other."""
        nu, e = self.modes(hkl)
        q = np.asarray(hkl) @ self.to_cartesian.T
        s2 = (q**2).sum(1)[:, None]
        f = np.zeros((len(q), len(self.basis)))
        for k, (element, _, _) in enumerate(self.basis):
            t = FORM[element]
            f[:, k:k + 1] = t[8] + sum(t[2 * i] * np.exp(-t[2 * i + 1] * s2 / (16 * np.pi**2)) for i in range(4))
        f *= np.exp(-0.5 * np.einsum("nc,kcd,nd->nk", q, self.displacements(temperature), q)) / np.sqrt(self.mass)
        amplitude = np.einsum("nk,nc,nkcb->nb", f, q, e.reshape(len(q), len(self.basis), 3, -1))
        w = 2e12 * np.pi * np.maximum(nu, 0.05)
        return nu, abs(amplitude)**2 * HBAR / (2 * w) / np.tanh(HBAR * w / (2 * KB * temperature))

    def write_phonopy(self, folder, repeat):
        """POSCAR of the conventional cell's supercell and FORCE_CONSTANTS (eV/Angstrom^2), all pairs."""
        copies = [np.array(n) for n in itertools.product(*(range(m) for m in repeat))]
        centres = [np.array(v) for v in CENTRES[self.centring]]
        atoms = [(k, (np.array(b[2]) + c + n) / repeat) for k, b in enumerate(self.basis) for n in copies for c in centres]
        place = {(k, *np.round(f % 1 * 10000).astype(int) % 10000): a for a, (k, f) in enumerate(atoms)}
        big = self.lattice * np.array(repeat)[:, None]
        phi = np.zeros((len(atoms), len(atoms), 3, 3))
        for a, (k, f) in enumerate(atoms):
            for i, j, r, tensor in self.bonds:
                if i == k:
                    g = f + r @ np.linalg.inv(big)
                    phi[a, place[(j, *np.round(g % 1 * 10000).astype(int) % 10000)]] -= tensor
                    phi[a, a] += tensor
        phi *= 1 / 16.02176634  # N/m to eV/Angstrom^2
        names, numbers = [b[0] for b in self.basis], [len(copies) * len(centres)] * len(self.basis)
        with open(f"{folder}/SPOSCAR", "w") as out:
            out.write("springs\n1.0\n" + "".join("%.12f %.12f %.12f\n" % tuple(v) for v in big))
            out.write(" ".join(names) + "\n" + " ".join(map(str, numbers)) + "\nDirect\n")
            out.write("".join("%.12f %.12f %.12f\n" % tuple(f) for _, f in atoms))
        with open(f"{folder}/FORCE_CONSTANTS", "w") as out:
            out.write(f"{len(atoms)} {len(atoms)}\n")
            for a, b in itertools.product(range(len(atoms)), repeat=2):
                out.write(f"{a + 1} {b + 1}\n" + "".join("%.15f %.15f %.15f\n" % tuple(v) for v in phi[a, b]))
