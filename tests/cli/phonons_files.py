#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""phonons_files.py XANI SCRATCH -- what files of force constants say beside the constants: the Bravais lattices of Quantum ESPRESSO
have the vectors, volumes and centrings that INPUT_PW documents, and springs on them the frequencies of NumPy; phonopy's units
are taken; what is no number, no unit, or there twice is refused by name.  Prints TAP.
"""
import itertools
import json
import os

from harness import r, xani

import h5py
import numpy as np

BOHR, EV, U = 0.529177210903, 16.02176634, 1.66053906660e-27  # Angstrom; eV/A^2 in N/m; kg
RY = 13.605693122994 / BOHR**2 * EV
MASS, GRID = 63.546, 3
POINTS = np.random.default_rng(7).uniform(-1, 1, (4, 3))  # 1/Angstrom


def ask(path, *more, points=POINTS):
    q = [w for p in points for w in ("--q=" + ",".join(f"{x:.17g}" for x in p),)]
    done = xani("phonons", path, *more, *q, "--json")
    return (json.loads(done.stdout) if done.returncode == 0 else None), done.returncode, done.stderr.strip()


# ---- lattices of Quantum ESPRESSO: a, b, c in Angstrom, cosines; vectors as in INPUT_PW

a, b, c = 3.2, 3.9, 4.7
bc, ac, ab = 0.21, -0.34, 0.17  # cosines of the angles between axes
g, s = ab, np.sqrt(1 - ab * ab)
be, sb = ac, np.sqrt(1 - ac * ac)
rh = 0.3  # cosine of the rhombohedral angle
tx, ty, tz = np.sqrt((1 - rh) / 2), np.sqrt((1 - rh) / 6), np.sqrt((1 + 2 * rh) / 3)
u, v = tz - 2 * np.sqrt(2) * ty, tz + np.sqrt(2) * ty
h = np.sqrt(3) / 2
z = c * np.sqrt(1 + 2 * bc * ac * ab - bc**2 - ac**2 - ab**2) / s
LATTICES = {  # ibrav: celldm(2..6), vectors, conventional cell, points of the centring
    1: ([], [[a, 0, 0], [0, a, 0], [0, 0, a]], np.eye(3) * a, []),
    2: ([], [[-a / 2, 0, a / 2], [0, a / 2, a / 2], [-a / 2, a / 2, 0]], np.eye(3) * a, [(0, .5, .5), (.5, 0, .5), (.5, .5, 0)]),
    3: ([], [[a / 2, a / 2, a / 2], [-a / 2, a / 2, a / 2], [-a / 2, -a / 2, a / 2]], np.eye(3) * a, [(.5, .5, .5)]),
    -3: ([], [[-a / 2, a / 2, a / 2], [a / 2, -a / 2, a / 2], [a / 2, a / 2, -a / 2]], np.eye(3) * a, [(.5, .5, .5)]),
    4: ([0, c / a], [[a, 0, 0], [-a / 2, a * h, 0], [0, 0, c]], [[a, 0, 0], [-a / 2, a * h, 0], [0, 0, c]], []),
    5: ([0, 0, rh], [[a * tx, -a * ty, a * tz], [0, 2 * a * ty, a * tz], [-a * tx, -a * ty, a * tz]], None, []),
    -5: ([0, 0, rh], np.array([[u, v, v], [v, u, v], [v, v, u]]) * a / np.sqrt(3), None, []),
    6: ([0, c / a], np.diag([a, a, c]), np.diag([a, a, c]), []),
    7: ([0, c / a], [[a / 2, -a / 2, c / 2], [a / 2, a / 2, c / 2], [-a / 2, -a / 2, c / 2]], np.diag([a, a, c]), [(.5, .5, .5)]),
    8: ([b / a, c / a], np.diag([a, b, c]), np.diag([a, b, c]), []),
    9: ([b / a, c / a], [[a / 2, b / 2, 0], [-a / 2, b / 2, 0], [0, 0, c]], np.diag([a, b, c]), [(.5, .5, 0)]),
    -9: ([b / a, c / a], [[a / 2, -b / 2, 0], [a / 2, b / 2, 0], [0, 0, c]], np.diag([a, b, c]), [(.5, .5, 0)]),
    91: ([b / a, c / a], [[a, 0, 0], [0, b / 2, -c / 2], [0, b / 2, c / 2]], np.diag([a, b, c]), [(0, .5, .5)]),
    10: ([b / a, c / a], [[a / 2, 0, c / 2], [a / 2, b / 2, 0], [0, b / 2, c / 2]], np.diag([a, b, c]), [(0, .5, .5), (.5, 0, .5), (.5, .5, 0)]),
    11: ([b / a, c / a], [[a / 2, b / 2, c / 2], [-a / 2, b / 2, c / 2], [-a / 2, -b / 2, c / 2]], np.diag([a, b, c]), [(.5, .5, .5)]),
    12: ([b / a, c / a, g], [[a, 0, 0], [b * g, b * s, 0], [0, 0, c]], [[a, 0, 0], [b * g, b * s, 0], [0, 0, c]], []),
    -12: ([b / a, c / a, 0, be], [[a, 0, 0], [0, b, 0], [c * be, 0, c * sb]], [[a, 0, 0], [0, b, 0], [c * be, 0, c * sb]], []),
    13: ([b / a, c / a, g], [[a / 2, 0, -c / 2], [b * g, b * s, 0], [a / 2, 0, c / 2]], [[a, 0, 0], [b * g, b * s, 0], [0, 0, c]], [(.5, 0, .5)]),
    14: ([b / a, c / a, bc, ac, ab], [[a, 0, 0], [b * ab, b * s, 0], [c * ac, c * (bc - ac * ab) / s, z]],
         [[a, 0, 0], [b * ab, b * s, 0], [c * ac, c * (bc - ac * ab) / s, z]], []),
}


def springs(cell):
    """Force constants (n1, n2, n3, 3, 3) in N/m of one atom a cell: springs to the nearest neighbours of all cells of the grid."""
    phi, bonds = np.zeros((GRID, GRID, GRID, 3, 3)), []
    lengths = sorted(np.linalg.norm(np.array(n) @ cell) for n in itertools.product((-1, 0, 1), repeat=3) if any(n))
    for n in itertools.product((-1, 0, 1), repeat=3):
        x = np.array(n) @ cell
        if any(n) and np.linalg.norm(x) < 1.02 * lengths[3]:
            k = 8 * np.outer(x, x) / (x @ x) + np.eye(3)
            phi[tuple(np.array(n) % GRID)] -= k
            phi[0, 0, 0] += k
            bonds.append((x, k))
    return phi, bonds


def thz(bonds, q):
    d = sum((1 - np.cos(x @ q)) * k for x, k in bonds) / (MASS * U)
    return np.sqrt(np.linalg.eigvalsh(d)) / (2 * np.pi * 1e12)


def qe(name, ibrav, celldm, phi):
    dm = [a / BOHR, *celldm, *[0] * 5][:6]
    lines = [f"  1    1   {ibrav}  " + " ".join(f"{x:.15g}" for x in dm), f"  1  'Cu '  {MASS * 911.44424310865645:.10f}",
             "  1 1 0.0 0.0 0.0", " F", f" {GRID} {GRID} {GRID}"]
    for i, j in np.ndindex(3, 3):
        lines += [f"  {i + 1} {j + 1} 1 1"]
        lines += [f"  {k + 1} {m + 1} {n + 1}  {phi[k, m, n, i, j] / RY:.14E}" for n in range(GRID) for m in range(GRID) for k in range(GRID)]
    with open(name, "w") as f:
        f.write("\n".join(lines) + "\n")
    return name


for ibrav, (celldm, vectors, conventional, centring) in LATTICES.items():
    cell = np.array(vectors, float)
    phi, bonds = springs(cell)
    got, code, said = ask(qe(f"ibrav{ibrav}.fc", ibrav, celldm, phi))
    if not r.ok(code == 0, f"ibrav {ibrav} is read {said}"):
        continue
    own = np.array(got["crystal"]["cell_ang"], float).reshape(3, 3)
    worst = max(abs(np.array(p["frequency_thz"]) - thz(bonds, q)).max() for p, q in zip(got["points"], POINTS))
    r.ok(np.allclose(own, cell, atol=1e-6) and worst < 1e-4, f"ibrav {ibrav}: INPUT_PW's vectors, frequencies within {worst:.1e} THz")
    if conventional is None:  # rhombohedral: three equal axes at equal angles
        metric = own @ own.T / a**2
        r.ok(np.allclose(metric, rh + (1 - rh) * np.eye(3), atol=1e-6), f"ibrav {ibrav}: equal axes at equal angles")
        continue
    conventional = np.array(conventional, float)
    whole = np.vstack([conventional, np.array(centring).reshape(-1, 3) @ conventional]) @ np.linalg.inv(own)
    share = np.linalg.det(conventional) / np.linalg.det(own)
    r.ok(abs(whole - whole.round()).max() < 1e-6 and abs(share - 1 - len(centring)) < 1e-6, f"ibrav {ibrav}: volume and centring")


def refuse(what, path, *words):
    got, code, said = ask(path)
    r.ok(code == 3 and all(w in said for w in words), f"{what}: exit {code}, {said}")


phi, bonds = springs(np.eye(3) * a)
refuse("ibrav -13, whose axes changed", qe("m13.fc", -13, [b / a, c / a, 0, be], phi), "m13.fc:1", "ibrav -13", "6.4.1")
refuse("a ratio that is missing", qe("ratio.fc", 8, [], phi), "ratio.fc:1", "ibrav 8")
refuse("cosines that make no cell", qe("cosines.fc", 14, [1, 1, 0.99, -0.99, 0.5], phi), "cosines.fc:1", "ibrav 14")
with open(qe("twice.fc", 1, [], phi)) as f:
    text = f.read()
with open("twice.fc", "w") as f:
    f.write(text.replace("\n  2 1 1  ", "\n  1 1 1  ", 1))
refuse("a cell that is there twice", "twice.fc", "twice.fc:8", "twice")

# ---- phonopy's HDF5
os.makedirs("phonopy", exist_ok=True)
with open("phonopy/SPOSCAR", "w") as f:
    f.write("Cu\n1.0\n" + "".join(" ".join(f"{x:.12f}" for x in row) + "\n" for row in GRID * a * np.eye(3)) + f"Cu\n{GRID**3}\nDirect\n" +
            "".join(" ".join(f"{x / GRID:.15f}" for x in n) + "\n" for n in np.ndindex(GRID, GRID, GRID)))
cells = list(np.ndindex(GRID, GRID, GRID))
PHI = np.array([[phi[tuple((np.array(j) - i) % GRID)] for j in cells] for i in np.array(cells)]) / EV


def hdf5(constants, unit=None):
    with h5py.File("phonopy/force_constants.hdf5", "w") as f:
        f["force_constants"] = constants
        if unit is not None:
            f["physical_unit"] = np.array([unit.encode()])
    return "phonopy/force_constants.hdf5"


want = np.array([thz(bonds, q) for q in POINTS]) * np.sqrt(MASS)
for unit, factor in ((None, 1), ("eV/angstrom^2", 1), ("eV/Angstrom^2", 1), ("Ry/au^2", EV / RY), ("hartree/au^2", EV / RY / 2)):
    got, code, said = ask(hdf5(PHI * factor, unit))
    ok = code == 0 and all(np.allclose(np.array(p["frequency_thz"]) * np.sqrt(got["crystal"]["atoms"][0]["mass_u"]), w, atol=1e-5) for p, w in zip(got["points"], want))
    r.ok(ok, f"force_constants.hdf5 in {unit} {said}")
refuse("an unknown unit", hdf5(PHI, "kcal/mol"), "force_constants.hdf5: physical_unit kcal/mol")
spoilt = PHI.copy()
spoilt[3, 4, 1, 1] = np.nan
refuse("a constant that is no number", hdf5(spoilt), "force_constants.hdf5: force_constants[3, 4]")
refuse("a file that is not there", "none/such", "none/such", "No such file")

# ---- charges: in phonopy's YAML files, before and since version 2.18, as in BORN

EPS, Z = np.diag([3.0, 4.0, 5.0]), np.array([np.diag([1.1, 1.2, 1.3]), -np.diag([1.1, 1.2, 1.3])])
STRUCTURE = ("supercell:\n  lattice:\n" + "".join(f"  - [ {a if i == 0 else 0}, {a if i == 1 else 0}, {a if i == 2 else 0} ]\n" for i in range(3)) +
             "  points:\n  - {symbol: Cs, coordinates: [0, 0, 0], mass: 132.9}\n  - {symbol: Cl, coordinates: [0.5, 0.5, 0.5], mass: 35.45}\n")


def rows(m, pad):
    return "".join(f"{pad}- [ {x[0]}, {x[1]}, {x[2]} ]\n" for x in m)


def charges(pad, many=2):
    text = f"{pad}born_effective_charge:\n" + "".join(f"{pad}- # {i + 1}\n" + rows(Z[i], pad + "  ") for i in range(many))
    return text + f"{pad}dielectric_constant:\n" + rows(EPS, pad)


def pair(folder, files):
    os.makedirs(folder, exist_ok=True)
    blocks = [f"{i + 1} {j + 1}\n" + "".join(" ".join(f"{x:.10f}" for x in row) + "\n" for row in (6.0 if i == j else -6.0) * np.eye(3))
              for i, j in np.ndindex(2, 2)]
    for name, text in {"FORCE_CONSTANTS": "2 2\n" + "".join(blocks), **files}.items():
        with open(f"{folder}/{name}", "w") as f:
            f.write(text)
    return f"{folder}/FORCE_CONSTANTS"


born = "14.4\n" + "\n".join(" ".join(map(str, m.ravel())) for m in (EPS, *Z)) + "\n"
want = ask(pair("born", {"phonopy.yaml": STRUCTURE, "BORN": born}))[0]
plain = ask(pair("plain", {"phonopy.yaml": STRUCTURE}))[0]
apart = max(np.abs(np.subtract(p["frequency_thz"], q["frequency_thz"])).max() for p, q in zip(want["points"], plain["points"]))
r.ok(want["crystal"]["polar"] and not plain["crystal"]["polar"] and apart > 0.1, f"charges of BORN count ({apart:.2f} THz)")
for name, text in (("under nac", "nac:\n" + charges("  ")), ("at the top", charges(""))):
    got, code, said = ask(pair("yaml", {"phonopy.yaml": STRUCTURE + text}))
    same = code == 0 and max(np.abs(np.subtract(p["frequency_thz"], q["frequency_thz"])).max() for p, q in zip(want["points"], got["points"]))
    r.ok(code == 0 and got["crystal"]["polar"] and same < 1e-6, f"charges {name} of phonopy.yaml are those of BORN {said}")
refuse("charges of too few atoms", pair("few", {"phonopy.yaml": STRUCTURE + "nac:\n" + charges("  ", 1)}), "few/phonopy.yaml: born_effective_charge", "1 atoms")

r.end()
