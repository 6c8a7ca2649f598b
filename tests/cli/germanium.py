#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""germanium.py XANI SCRATCH -- a rotation scan of germanium with its real force constants and the noise of 40 photons per
pixel group and shot, 300 shots per bin: acoustic branches come back within 2 sigma and 0.05 THz rms, hidden ones stay unseen.

Exact traces of xani sim in bins of 10 fs are blurred here by the time tool's 15 fs, added up to bins of 30 fs and given the
noise of counting; the phonons of the softened crystal are calculated here from the constants in truth.h5.  Prints TAP.
"""
import os
import sys

from harness import SCRATCH, SHARED, r, write_config, xani_must

import h5py
import numpy as np

GE = f"{SHARED}/xdscode_examples/Ge_ge.mat"
PHOTONS = 40 * 300  # of the median group in a bin
ANGLES = (0, 14, 28)


def simulate():
    basis = [{"element": "Ge", "position": [0.125, 0.125, 0.125]}]
    config = {
        "experiment": {"title": "germanium", "energy_kev": 10.0},
        "geometry": {"detector": {"shape": [26, 26], "pixel_mm": 1.4, "centre_px": [-7, 13]}, "distance_mm": 60,
                     "orientation": [[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]],
                     "goniometer": [{"axis": [0, 1, 0], "sign": 1, "angle_deg": 0}]},
        "runs": [{"name": f"r{i + 1}", "angle_deg": [a]} for i, a in enumerate(ANGLES)],
        "map": {"crystal": {"cell": [5.658, 5.658, 5.658, 90, 90, 90], "space_group": "227:2", "basis": basis},
                "grid": {"shape": [15, 15, 15]}, "path": ["G", "X", "K", "G", "L"], "mode_kind": "pair",
                "force_constants": {"file": GE, "refine": True, "shells": 1}},
        "reduce": {"delay_bins_ps": {"start": -0.3, "stop": 2.7, "step": 0.01}},
        "fit": {"modes_max": 3, "background": "constant"},
        "output": {"report": False},
        "sim": {"layouts": ["cube_noiseless"], "crystal": GE, "softening": [{"shell": "1", "factor": 0.95}], "temperature_k": 300,
                "delay": {"start": -0.5, "stop": 3}},
    }
    write_config(f"{SCRATCH}/in.yaml", config)
    xani_must("sim", f"{SCRATCH}/in.yaml", "-o", f"{SCRATCH}/raw")


def add_noise():
    """The measured cubes in place of the exact ones."""
    rng = np.random.default_rng(5)
    for i in range(len(ANGLES)):
        with h5py.File(f"{SCRATCH}/raw/run{i + 1:04d}_on.h5") as f:
            delay, on = f["scan_var"][()], f["imgs"][()]
        with h5py.File(f"{SCRATCH}/raw/run{i + 1:04d}_off.h5") as f:
            off = f["imgs"][()].reshape(on.shape[1:])
        kernel = np.exp(-0.5 * (np.arange(-8, 9) * 0.01 / 0.015)**2)
        padded = np.concatenate([np.repeat(on[:1], 8, 0), on, np.repeat(on[-1:], 8, 0)])
        blurred = sum(k * padded[m:m + len(on)] for m, k in enumerate(kernel / kernel.sum()))
        scale = PHOTONS / np.median(off)
        binned = scale * blurred.reshape(-1, 3, *off.shape).mean(1)
        centre, n = delay.reshape(-1, 3).mean(1), len(on) // 3
        for name, images, axis, more in (("on", rng.poisson(binned), centre, 1), ("off", rng.poisson(30 * scale * off)[None], [0.0], 30)):
            with h5py.File(f"{SCRATCH}/raw/run{i + 1:04d}_{name}.h5", "w") as f:
                f["scan_var"], f["imgs"] = np.asarray(axis), images.astype("f8")
                f["i0"] = np.full(len(axis), float(more))
                f["bin_counts"] = f["bin_count"] = np.full(len(axis), 300.0 * more)
        assert n == 100


def phonons(truth, hkl):
    g = truth["entry/force_constants_after"]
    cell, mass, pair, vector, tensor = (g[k][()] for k in ("cell", "mass", "pair", "vector", "tensor"))
    q = 2 * np.pi / (4 * abs(np.linalg.det(cell)))**(1 / 3) * hkl
    d = np.zeros((3 * len(mass),) * 2, complex)
    for (i, j), phase, t in zip(pair, np.exp(1j * vector @ q), tensor):
        d[3 * i:3 * i + 3, 3 * j:3 * j + 3] += phase * t / np.sqrt(mass[i] * mass[j])
    w2 = np.linalg.eigvalsh(0.5 * (d + d.conj().T)) / 1.66053906660e-27
    return np.sqrt(np.maximum(w2, 0)) / (2e12 * np.pi)


def compare(said):
    with h5py.File(f"{SCRATCH}/out/dispersion.h5") as f, h5py.File(f"{SCRATCH}/raw/truth.h5") as truth:
        b = f["entry/branches"]
        nu, sigma, count, at = (b[k][()] for k in ("frequency", "frequency_errors", "count", "distance"))
        corner = f["entry/path_labels/distance"][()]
        want = np.array([phonons(truth, h) for h in b["hkl"][()]]).T
        r.ok(b.attrs["method"] in ("force constants", b"force constants"), "branches are told apart by force constants")
        r.ok(nu.shape == want.shape == (6, len(at)), "six branches of two atoms")
        seen = ~np.isnan(nu)
        r.ok((seen == (count > 0)).all() and (sigma[seen] > 0).all() and np.isnan(sigma[~seen]).all(), "NaN and count 0 together")
        for k, name in ((0, "Gamma-X"), (2, "K-Gamma"), (3, "Gamma-L")):
            here = seen & (at > corner[k]) & (at < corner[k + 1])
            off, z = (nu - want)[here], ((nu - want) / sigma)[here]
            rms = np.sqrt(np.mean(off**2))
            r.ok(here.sum() >= 12 and rms < 0.05, f"{name}: {here.sum()} values, {rms:.3f} THz rms (0.05)")
            r.ok(np.mean(abs(z) < 2) >= 0.85, f"{name}: {100 * np.mean(abs(z) < 2):.0f} % within 2 sigma")
        r.ok(seen[:2].sum() > 40 and seen[3:].sum() == 0, "transverse acoustic branches are seen, no optical one is invented")
        p = f["entry/points"]
        best = np.sort(p["frequency_errors"][()][p["frequency"][()] < 2.5])[:50]
        r.ok(best.max() < 0.073, f"best transverse points: sigma {best.max():.4f} THz (0.073)")
        ratio = float(f["entry/force_constants/chi2"][()]) / float(f["entry/force_constants/dof"][()])
        change, error, start = (f[f"entry/force_constants/{k}"][()] for k in ("change", "change_errors", "start"))
        r.ok((abs(change + 0.05 * start) < 2.5 * error).all() and ratio < 1.25, f"constants within 2.5 sigma, chi^2/dof {ratio:.2f}")
    r.ok("chi^2 per degree of freedom" in said, "the refinement says how well it agrees")


def main():
    simulate()
    add_noise()
    compare(xani_must("run", f"{SCRATCH}/raw/xani.yaml", "-o", f"{SCRATCH}/out", "--set", "input.counts_per_photon=1").stderr)


if not os.path.exists(GE):
    print("1..1\nok 1 - germanium # SKIP ../shared/data is not there")
    sys.exit(0)
r.guard("germanium", main)
r.end()
