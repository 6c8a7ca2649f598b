#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""phonons.py XANI SCRATCH -- xani phonons: one crystal of springs, written as each program writes force constants, has
the frequencies that NumPy finds for the springs; the real Ge and Si constants give those of their own formula; a polar
crystal splits at the centre as Lyddane, Sachs and Teller say; damaged files are refused by name.  Prints TAP.
"""
import json
import os
import re

from harness import SCRATCH, SHARED, new_folder, r, xani, xani_must

import h5py
import numpy as np

EXAMPLES = f"{SHARED}/xdscode_examples"

# Rock salt of springs: N/m along and across each bond; masses in u, lattice constant in Angstrom.
A, MASS, ELEMENT = 5.6, np.array([22.990, 35.45]), ["Na", "Cl"]
FCC = A / 2 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]], float)
BASIS = np.array([[0, 0, 0], [A / 2, 0, 0]])
BONDS = {(0, 1): (A / 2, 15.0, 2.0), (0, 0): (A / np.sqrt(2), 3.0, 0.3), (1, 1): (A / np.sqrt(2), 4.0, -0.2)}
EV, BOHR, U = 16.02176634, 0.529177210903, 1.66053906660e-27  # eV/A^2 in N/m
RY = 13.605693122994 / BOHR**2 * EV


def bond(i, j, v):
    """-Phi of a bond v from atom i to j; None where there is no spring."""
    length, along, across = BONDS[tuple(sorted((i, j)))]
    d = np.linalg.norm(v)
    if abs(d - length) > 1e-6:
        return None
    n = np.outer(v, v) / d**2
    return along * n + across * (np.eye(3) - n)


def matrix(q):
    """D(q) / (N/m/u) straight from the springs, in the convention exp(i q.(R + r_j - r_i))."""
    d = np.zeros((6, 6), complex)
    for i in range(2):
        for j in range(2):
            for n in np.ndindex(7, 7, 7):
                v = (np.array(n) - 3) @ FCC + BASIS[j] - BASIS[i]
                k = bond(i, j, v) if np.linalg.norm(v) > 1e-6 else None
                if k is None:
                    continue
                d[3 * i:3 * i + 3, 3 * j:3 * j + 3] -= k * np.exp(1j * q @ v) / np.sqrt(MASS[i] * MASS[j])
                d[3 * i:3 * i + 3, 3 * i:3 * i + 3] += k / MASS[i]
    return d


def thz(d):
    w2 = np.linalg.eigvalsh(d) / U
    return np.sign(w2) * np.sqrt(abs(w2)) / (2 * np.pi) * 1e-12


# ---- the supercell: 2 x 2 x 2 conventional cells

CELL = 2 * A * np.eye(3)
PLACES, KIND = [], []
for kind in range(2):
    for n in np.ndindex(4, 4, 4):
        if sum(n) % 2 == 0:
            PLACES.append((np.array(n) * A / 2 + BASIS[kind]) / (2 * A) % 1)
            KIND.append(kind)
PLACES, KIND = np.array(PLACES), np.array(KIND)
N = len(PLACES)


def constants():
    """Phi (N, N, 3, 3) in N/m: bonds to the images of the supercell added up."""
    phi = np.zeros((N, N, 3, 3))
    for i in range(N):
        for j in range(N):
            v = PLACES[j] - PLACES[i]
            for n in np.ndindex(3, 3, 3):
                image = (v + np.array(n) - 1) @ CELL
                k = bond(KIND[i], KIND[j], image) if np.linalg.norm(image) > 1e-6 else None
                if k is not None:
                    phi[i, j] -= k
                    phi[i, i] += k
    return phi


PHI = constants()


def write(path, text):
    with open(path, "w") as f:
        f.write(text)
    return path


def poscar():
    lines = ["springs", "1.0"] + [" ".join(f"{x:.16f}" for x in row) for row in CELL]
    lines += ["Na Cl", f"{(KIND == 0).sum()} {(KIND == 1).sum()}", "Direct"]
    return "\n".join(lines + [" ".join(f"{x:.16f}" for x in p) for p in PLACES]) + "\n"


def structure_yaml(length=1.0, units=("angstrom", "eV/angstrom^2")):
    def rows(m):
        return "".join(f"  - [ {a:.15f}, {b:.15f}, {c:.15f} ]\n" for a, b, c in m)
    points = "".join(f"  - symbol: {ELEMENT[k]} # {i + 1}\n    coordinates: [ {p[0]:.15f}, {p[1]:.15f}, {p[2]:.15f} ]\n"
                     f"    mass: {MASS[k]}\n" for i, (p, k) in enumerate(zip(PLACES, KIND)))
    return (f'phonopy:\n  version: 2.30.0\n\nphysical_unit:\n  length: "{units[0]}"\n  force_constants: "{units[1]}"\n\n'
            "primitive_matrix:\n- [ 0, 0.5, 0.5 ]\n- [ 0.5, 0, 0.5 ]\n- [ 0.5, 0.5, 0 ]\n\n"
            f"primitive_cell:\n  lattice:\n{rows(FCC / length)}\n"
            f"supercell:\n  lattice:\n{rows(CELL / length)}  points:\n{points}")


def fc_text(rows):
    lines = [f"{len(rows)} {N}"]
    for i in rows:
        for j in range(N):
            lines.append(f"{i + 1} {j + 1}")
            lines += [" ".join(f"{x:.15f}" for x in row) for row in PHI[i, j] / EV]
    return "\n".join(lines) + "\n"


def fc_full():
    d = new_folder("full")
    write(f"{d}/SPOSCAR", poscar())
    return write(f"{d}/FORCE_CONSTANTS", fc_text(range(N)))


def fc_compact_hdf5():
    d, rows = new_folder("compact"), [0, int(np.flatnonzero(KIND == 1)[0])]
    write(f"{d}/phonopy.yaml", structure_yaml())
    with h5py.File(f"{d}/force_constants.hdf5", "w") as f:
        f["force_constants"] = PHI[rows] / EV
        f["p2s_map"] = rows
    return f"{d}/force_constants.hdf5"


def vasp(name="vasp", scale=1.0, primitive=True, rows=3 * N):
    """vaspout.h5; a negative scale is the volume of the cell."""
    d, factor = new_folder(name), scale if scale > 0 else (-scale / abs(np.linalg.det(CELL)))**(1 / 3)
    with h5py.File(f"{d}/vaspout.h5", "w") as f:
        g = f.create_group("input/poscar")
        g["lattice_vectors"], g["scale"] = CELL / factor if scale > 0 else 2 * CELL, scale
        g["position_ions"] = PLACES if scale > 0 else PLACES @ CELL
        g["direct_coordinates"] = np.int32(scale > 0)
        g["ion_types"], g["number_ion_types"] = np.array(ELEMENT, "S20"), np.array([(KIND == 0).sum(), (KIND == 1).sum()], "i4")
        f["input/incar/POMASS"] = " ".join(str(m) for m in MASS)
        if primitive:
            f["results/phonons/primitive/lattice_vectors"], f["results/phonons/primitive/scale"] = FCC, 1.0
        f["results/linear_response/force_constants"] = -PHI.transpose(0, 2, 1, 3).reshape(3 * N, 3 * N)[:rows] / EV
    return f"{d}/vaspout.h5"


def sets():
    """Displacements of one atom of each kind; in atomic units of length, as QE's and ABACUS's files have them."""
    d = new_folder("sets")
    write(f"{d}/phonopy_disp.yaml", structure_yaml(BOHR, ("au", "eV/angstrom.au")))
    lines = [f"{N}", "2"]
    for i in (0, int(np.flatnonzero(KIND == 1)[0])):
        u = np.array([0.01, 0.004, 0.0])  # Angstrom
        force = -PHI[i].transpose(0, 2, 1) @ u / EV  # eV/Angstrom
        lines += ["", f"{i + 1}", " ".join(f"{x:.16f}" for x in u / BOHR)]
        lines += [" ".join(f"{x:.15f}" for x in f) for f in force]
    return write(f"{d}/FORCE_SETS", "\n".join(lines) + "\n")


def params():
    d = new_folder("params")
    elements = "".join("  -\n" + "".join("    - [ " + ", ".join(f"{x:.15f}" for x in row) + " ]\n" for row in PHI[i, j] / EV)
                       for i in (0, int(np.flatnonzero(KIND == 1)[0])) for j in range(N))
    return write(f"{d}/phonopy_params.yaml", structure_yaml() +
                 f"\nforce_constants:\n  format: \"compact\"\n  shape: [ 2, {N} ]\n  elements:\n{elements}")


def qe(grid=4):
    """q2r.x: the primitive cell repeated grid times; atom na at R from the cell of nb."""
    d = new_folder("qe")
    super_cell = grid * FCC
    lines = ["  2    2   0  " + " ".join(f"{x:.9f}" for x in [A / BOHR, 0, 0, 0, 0, 0])]
    lines += [" ".join(f"{x:.12f}" for x in row / A) for row in FCC]
    lines += [f"  {k + 1}  '{ELEMENT[k]} '  {MASS[k] * 911.44424310865645:.10f}" for k in range(2)]
    lines += [f"  {k + 1} {k + 1} " + " ".join(f"{x:.12f}" for x in BASIS[k] / A) for k in range(2)]
    lines += [" F", f" {grid} {grid} {grid}"]
    phi = np.zeros((grid, grid, grid, 2, 2, 3, 3))
    for n in np.ndindex(grid, grid, grid):
        for na in range(2):
            for nb in range(2):
                v = BASIS[nb] - BASIS[na] - np.array(n) @ FCC
                for m in np.ndindex(3, 3, 3):
                    image = v + (np.array(m) - 1) @ super_cell
                    k = bond(na, nb, image) if np.linalg.norm(image) > 1e-6 else None
                    if k is not None:
                        phi[n][na, nb] -= k
                        phi[0, 0, 0][na, na] += k
    for a in range(3):
        for b in range(3):
            for na in range(2):
                for nb in range(2):
                    lines.append(f"  {a + 1} {b + 1} {na + 1} {nb + 1}")
                    lines += [f"  {n1 + 1} {n2 + 1} {n3 + 1}  {phi[n1, n2, n3, na, nb, a, b] / RY:.14E}"
                              for n3 in range(grid) for n2 in range(grid) for n1 in range(grid)]
    return write(f"{d}/springs.fc", "\n".join(lines) + "\n")


def alamode():
    d, first = new_folder("alamode"), [0, int(np.flatnonzero(KIND == 1)[0])]
    x = ['<?xml version="1.0"?>', "<Data>", "<Structure>", f"<NumberOfAtoms>{N}</NumberOfAtoms>", "<LatticeVector>"]
    x += [f"<a{i + 1}>" + " ".join(f"{v:.15e}" for v in CELL[i] / BOHR) + f"</a{i + 1}>" for i in range(3)]
    x += ["</LatticeVector>", "<Position>"]
    x += [f'<pos index="{i + 1}" element="{ELEMENT[k]}">' + " ".join(f"{v:.15e}" for v in p) + "</pos>"
          for i, (p, k) in enumerate(zip(PLACES, KIND))]
    x += ["</Position>", "</Structure>", "<Symmetry>", "<Translations>"]
    x += [f'<map tran="1" atom="{k + 1}">{first[k] + 1}</map>' for k in range(2)]
    x += ["</Translations>", "</Symmetry>", "<ForceConstants>", '<HarmonicUnique><FC2 pairs="0 0">1</FC2></HarmonicUnique>',
          "<HARMONIC>"]
    shifts = [(0, 0, 0)] + [s for s in np.ndindex(3, 3, 3) if s != (1, 1, 1)]
    for k in range(2):
        own = np.zeros((3, 3))
        for j in range(N):
            for cell, s in enumerate(shifts):
                shift = np.array(s) - 1 if cell else np.zeros(3)
                image = (PLACES[j] - PLACES[first[k]] + shift) @ CELL
                spring = bond(k, KIND[j], image) if np.linalg.norm(image) > 1e-6 else None
                if spring is None:
                    continue
                own += spring
                x += [f'<FC2 pair1="{k + 1} {a + 1}" pair2="{j + 1} {b + 1} {cell + 1}">{-spring[a, b] / RY:.15e}</FC2>'
                      for a in range(3) for b in range(3) if spring[a, b]]
        x += [f'<FC2 pair1="{k + 1} {a + 1}" pair2="{first[k] + 1} {a + 1} 1">{own[a, a] / RY:.15e}</FC2>' for a in range(3)]
    return write(f"{d}/springs.xml", "\n".join(x + ["</HARMONIC>", "</ForceConstants>", "</Data>"]) + "\n")


# ---- asking

def ask(path, points, *more, code=0):
    args = [word for q in points for word in ("--q", ",".join(f"{x:.17g}" for x in q))]
    done = xani_must("phonons", path, "--json", *more, *args, code=code)
    return json.loads(done.stdout) if code == 0 else done.stderr + done.stdout


def frequencies(path, points, *more):
    return np.array([p["frequency_thz"] for p in ask(path, points, *more)["points"]])


QS = np.random.default_rng(3).uniform(-2, 2, (12, 3))
WANT = np.array([thz(matrix(q)) for q in QS])

for name, make in (("FORCE_CONSTANTS with SPOSCAR", fc_full), ("compact force_constants.hdf5", fc_compact_hdf5),
                   ("FORCE_SETS in atomic units", sets), ("phonopy_params.yaml", params), ("q2r.x", qe),
                   ("ALAMODE", alamode), ("vaspout.h5", vasp), ("vaspout.h5, cell by volume, primitive cell found",
                    lambda: vasp("volume", -abs(np.linalg.det(CELL)), False))):
    def compare():
        worst = abs(frequencies(make(), QS) - WANT).max()
        r.ok(worst < 2e-6, f"{name}: frequencies of the springs to {worst:.1e} THz (2e-6 allowed)")
    r.guard(name, compare)


def vectors():
    points = ask(f"{SCRATCH}/full/FORCE_CONSTANTS", QS, "--vectors")["points"]
    worst = norm = 0
    for q, p in zip(QS, points):
        e = np.array(p["eigenvectors"])
        e = e[..., 0] + 1j * e[..., 1]
        d = matrix(q)
        w2 = (2 * np.pi * 1e12 * np.array(p["frequency_thz"]))**2 * U
        worst = max(worst, abs(e @ d.T - w2[:, None] * e).max() / abs(d).max())
        norm = max(norm, abs(e.conj() @ e.T - np.eye(6)).max())
    r.ok(worst < 1e-6 and norm < 1e-9, f"eigenvectors solve D e = w^2 e to {worst:.1e} and are orthonormal to {norm:.1e}")


r.guard("eigenvectors", vectors)


def table():
    """What people read holds every frequency, also of cells of many atoms."""
    done = xani("phonons", f"{SCRATCH}/full/FORCE_CONSTANTS", "--q", "0.1,0.2,0.3", "--q", "1.1,0.2,0.3")
    rows = done.stdout.split("frequency thz")[-1].strip().split("\n")
    shown = [float(x) for row in rows for x in re.split(r", | +", row.strip())]
    shown = [x for x in shown if x not in (0.1, 0.2, 0.3, 1.1)]
    want = frequencies(f"{SCRATCH}/full/FORCE_CONSTANTS", [(0.1, 0.2, 0.3), (1.1, 0.2, 0.3)]).ravel()
    r.ok("…" not in done.stdout and len(shown) == 12 and np.allclose(shown, want, rtol=1e-5), f"the table has all {len(shown)} frequencies of two points: {rows}")


r.guard("table", table)


# ---- polar

def polar():
    """Z = +-1 and eps = 2: both ways leave the points of the supercell alone, and split the centre as they must."""
    d = new_folder("polar")
    write(f"{d}/SPOSCAR", poscar())
    fc = write(f"{d}/FORCE_CONSTANTS", fc_text(range(N)))
    write(f"{d}/BORN", "default\n" + "2 0 0 0 2 0 0 0 2\n1 0 0 0 1 0 0 0 1\n-1 0 0 0 -1 0 0 0 -1\n")
    b = 2 * np.pi * np.linalg.inv(CELL)  # columns
    inside = np.array([b @ n for n in ([1, 0, 0], [0, 1, 1], [1, 1, 0], [1, 1, 1])])
    want = np.array([thz(matrix(q)) for q in inside])
    volume, reduced = A**3 / 4, MASS[0] * MASS[1] / MASS.sum()
    to = thz(matrix(np.zeros(3)))[-1]
    lo = np.sqrt(to**2 + 4 * np.pi * 14.3996454784255 * EV / (2 * volume * reduced) / U / (2 * np.pi * 1e12)**2)
    for way in ([], ["--mixed-space"]):
        name = "mixed space" if way else "dipoles"
        worst = abs(frequencies(fc, inside, *way) - want).max()
        r.ok(worst < 1e-5, f"{name}: points of the supercell keep their frequencies ({worst:.1e} THz)")
        centre = frequencies(fc, [[0, 0, 0], [0, 0, 1e-3]], *way)[0]
        good = abs(centre[-1] - lo) < 1e-6 and abs(centre[3:5] - to).max() < 1e-6 and abs(centre[:3]).max() < 1e-3
        r.ok(good, f"{name}: at the centre LO {centre[-1]:.6f} of {lo:.6f} THz, TO {centre[3]:.6f} of {to:.6f}")
        near = frequencies(fc, [[0, 0, 1e-3]], *way)[0]
        r.ok(abs(near[-1] - lo) < 1e-3, f"{name}: continuous towards the centre")
        shift = 2 * np.pi / A * np.array([1, 1, -1])  # a reciprocal lattice vector
        q = np.array([0.21, 0.13, 0.32])
        same = abs(frequencies(fc, [q], *way) - frequencies(fc, [q + shift], *way)).max()
        r.ok(same < 1e-6, f"{name}: the same a reciprocal lattice vector on ({same:.1e} THz)")


r.guard("polar", polar)


# ---- real constants

def real(name):
    path = os.path.join(EXAMPLES, name)
    if not os.path.exists(path):
        r.skip(name, "../shared/data is not there")
        return
    with h5py.File(path) as f:
        phi, mass, cell = f["ifc/ifc"][()], f["geometry/masses"][()], f["geometry/realvecs"][()]
        tau = [np.array([f[v][()] for v in f[c][()]]) for c in f["ifc/tau_diffs"][()]]
    n = len(mass)
    qs = np.random.default_rng(5).uniform(-1.5, 1.5, (8, 3))
    points = ask(path, qs, "--vectors")["points"]
    worst = residual = 0
    for q, p in zip(qs, points):
        d = np.zeros((3 * n, 3 * n), complex)
        for c in range(len(phi)):
            for j in range(n):
                for i in range(n):
                    phase = np.exp(-1j * tau[(c * n + j) * n + i] @ q).mean()
                    d[3 * i:3 * i + 3, 3 * j:3 * j + 3] += phi[c, j, i].T * phase / np.sqrt(mass[i] * mass[j]) * RY
        worst = max(worst, abs(np.array(p["frequency_thz"]) - thz((d + d.conj().T) / 2)).max())
        e = np.array(p["eigenvectors"])
        e = e[..., 0] + 1j * e[..., 1]
        w2 = (2 * np.pi * 1e12 * np.array(p["frequency_thz"]))**2 * U
        residual = max(residual, abs(e @ ((d + d.conj().T) / 2).T - w2[:, None] * e).max() / abs(d).max())
    r.ok(worst < 1e-6, f"{name}: frequencies as its own formula gives them ({worst:.1e} THz, 1e-6 allowed)")
    r.ok(residual < 1e-6, f"{name}: eigenvectors too ({residual:.1e})")
    acoustic = np.array(ask(path, [[0, 0, 0]])["points"][0]["frequency_thz"])[:3]
    r.ok(abs(acoustic).max() < 1e-3 and len(cell) == 3, f"{name}: acoustic modes vanish at the centre")


for mat in ("Ge_ge.mat", "Si_si.mat"):
    r.guard(mat, real, mat)


# ---- what is wrong is said

def refuse(name, path, *words, more=()):
    text = ask(path, [[0, 0, 0]], *more, code=3)
    r.ok(all(w in text for w in words), f"{name}: refused, exit 3, names {', '.join(words)}")


def wrong():
    d = new_folder("wrong")
    fc = fc_text(range(N))
    write(f"{d}/FORCE_CONSTANTS", fc)
    refuse("no structure", f"{d}/FORCE_CONSTANTS", "FORCE_CONSTANTS", "SPOSCAR")
    write(f"{d}/SPOSCAR", poscar())
    write(f"{d}/cut_FORCE_CONSTANTS", fc[:len(fc) // 2])
    refuse("a file cut short", f"{d}/cut_FORCE_CONSTANTS", "cut_FORCE_CONSTANTS:")
    write(f"{d}/odd_FORCE_CONSTANTS", fc.replace("0.", "0.x", 1))
    refuse("a word instead of a number", f"{d}/odd_FORCE_CONSTANTS", "odd_FORCE_CONSTANTS:", "x")
    write(f"{d}/x.xml", "<Data><Structure></Data>")
    refuse("XML that is none", f"{d}/x.xml", "x.xml:")
    with h5py.File(f"{d}/x.mat", "w") as f:
        f["a"] = 1
    refuse("HDF5 of something else", f"{d}/x.mat", "x.mat", "ifc")
    refuse("VASP's constants cut short", vasp("short", rows=3 * N - 1), "vaspout.h5", "results/linear_response/force_constants")
    refuse("a missing file", f"{d}/none.fc", "none.fc")
    write(f"{d}/BORN", "14.4\n2 0 0 0 2 0 0 0 2\n1 0 0\n")
    refuse("charges cut short", f"{d}/FORCE_CONSTANTS", "BORN:")
    text = open(f"{SCRATCH}/full/SPOSCAR").read().replace("Na Cl", "Na Xx")
    write(f"{new_folder('element')}/SPOSCAR", text)
    write(f"{SCRATCH}/element/FORCE_CONSTANTS", fc)
    refuse("an unknown element", f"{SCRATCH}/element/FORCE_CONSTANTS", "SPOSCAR:")
    done = xani("phonons", f"{d}/FORCE_CONSTANTS", "--at", "1,2")
    r.ok(done.returncode == 2 and "--at 1,2" in done.stderr, "a point of two numbers is a usage error")
    if os.path.exists(os.path.join(EXAMPLES, "STO_sto_cubic.mat")):
        refuse("MATLAB 5, which is not HDF5", os.path.join(EXAMPLES, "STO_sto_cubic.mat"), "STO_sto_cubic.mat")


r.guard("wrong input", wrong)
r.end()
