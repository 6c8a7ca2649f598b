# SPDX-License-Identifier: BSD-3-Clause
"""physics.py -- an independent forward model for the contract tests: none of xani's code.

fcc Born-von Karman crystal (force constants in N/m, Landolt-Boernstein sign), sudden change of the force constants,
exact line spectrum of the diffuse intensity by brute force on the covariance, Ewald geometry written out by hand.
Frequencies in THz, lengths in Angstrom, q in 1/Angstrom with 2 pi.
"""
import itertools

import numpy as np

AMU, HBAR, KB = 1.66053906660e-27, 1.054571817e-34, 1.380649e-23

TABLES = {  # element, a, mass, {shell: (xx, yy, zz, yz, xz, xy)}
    "cu_49": ("Cu", 3.61, 63.546, {
        (1, 1, 0): (13.278, 13.278, -1.351, 0, 0, 14.629), (2, 0, 0): (-0.041, -0.198, -0.198, 0, 0, 0),
        (2, 1, 1): (0.742, 0.284, 0.284, 0.153, 0.306, 0.306), (2, 2, 0): (0.350, 0.350, -0.327, 0, 0, 0.677),
        (3, 1, 0): (-0.195, -0.006, 0.017, 0, 0, -0.071), (2, 2, 2): (-0.137,) * 3 + (-0.135,) * 3}),
    "al_80": ("Al", 4.04, 26.9815385, {
        (1, 1, 0): (10.4578, 10.4578, -2.6322, 0, 0, 10.3657), (2, 0, 0): (2.4314, -0.1351, -0.1351, 0, 0, 0),
        (2, 1, 1): (0.0986, -0.2366, -0.2366, -0.2862, -0.1819, -0.1819),
        (2, 2, 0): (0.1363, 0.1363, 0.1854, 0, 0, 0.3753), (3, 1, 0): (-0.3003, 0.1842, 0.2603, 0, 0, -0.3239),
        (2, 2, 2): (-0.1412,) * 3 + (0.1990,) * 3, (3, 2, 1): (0.1828, -0.2207, -0.0173, -0.0214, -0.0747, 0.0397),
        (4, 0, 0): (-0.0681, -0.0202, -0.0202, 0, 0, 0)}),
}


class Crystal:
    def __init__(self, name, scale_first_shell=1.0):
        self.element, self.a, mass, shells = TABLES[name]
        self.m = mass * AMU
        self.r, self.f = [], []
        for shell, (xx, yy, zz, yz, xz, xy) in shells.items():
            phi = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]], float)
            if shell == (1, 1, 0):
                phi = phi * scale_first_shell
            seen = set()
            for perm in itertools.permutations(range(3)):
                for signs in itertools.product((1, -1), repeat=3):
                    s = np.zeros((3, 3))
                    s[range(3), perm] = signs
                    r = tuple(int(v) for v in s @ np.array(shell))
                    if r not in seen:
                        seen.add(r)
                        self.r.append(r)
                        self.f.append(s @ phi @ s.T)
        self.r, self.f = np.array(self.r, float), np.array(self.f)

    def modes(self, hkl):
        """hkl (n, 3) conventional -> angular frequencies (n, 3) ascending, eigenvectors (n, 3, branch)."""
        c = 1 - np.cos(np.pi * hkl @ self.r.T)
        w2, e = np.linalg.eigh(np.einsum("nr,rij->nij", c, self.f) / self.m)
        return np.sqrt(np.maximum(w2, 1e10)), e


def lines(before, after, hkl, temperature):
    """Per Q: nu1 (n, 3) THz and the matrices amp_plus, amp_minus (n, 3, 3) of cos((wj+wk)t), cos((wj-wk)t) in y."""
    w0, e0 = before.modes(hkl)
    w1, e1 = after.modes(hkl)
    coth = 1 / np.tanh(HBAR * w0 / (2 * KB * temperature))
    cuu = np.einsum("nij,nj,nkj->nik", e0, HBAR / (2 * w0) * coth, e0)
    cpp = np.einsum("nij,nj,nkj->nik", e0, HBAR * w0 / 2 * coth, e0)
    u = np.einsum("nai,nab,nbj->nij", e1, cuu, e1)
    v = np.einsum("nai,nab,nbj->nij", e1, cpp, e1) / (w1[:, :, None] * w1[:, None, :])
    p = np.einsum("nai,na->ni", e1, hkl)
    pp = p[:, :, None] * p[:, None, :]
    s0 = np.einsum("nij,nij->n", pp, u)[:, None, None]
    intensity = np.einsum("na,nab,nb->n", hkl, cuu, hkl)
    return w1 / (2e12 * np.pi), pp * (u - v) / (2 * s0), pp * (u + v) / (2 * s0), intensity


def rotation(axis, degrees):
    x, y, z = np.asarray(axis, float) / np.linalg.norm(axis)
    a = np.radians(degrees)
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(a) * k + (1 - np.cos(a)) * k @ k


def fold_fcc(hkl):
    """Nearest reciprocal lattice vector of an fcc crystal (all even or all odd) by brute force."""
    base = np.floor(hkl).astype(int)
    best, g_best = np.full(len(hkl), np.inf), np.zeros((len(hkl), 3), int)
    for d in itertools.product(range(-2, 4), repeat=3):
        g = base + np.array(d)
        par = np.abs(g) % 2
        ok = (par.sum(1) == 0) | (par.sum(1) == 3)
        dist = np.where(ok, ((hkl - g) ** 2).sum(1), np.inf)
        better = dist < best - 1e-12
        best[better], g_best[better] = dist[better], g[better]
    return g_best
