#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""averaged.py XANI SCRATCH -- S(q, nu) of traces averaged with their phase is what NumPy makes of the cubes, and shows branches
of a copper crystal whose lines are too weak to be accepted in most pixels; noise alone gives 0 within its errors.

Noise of counting is added to the exact traces of xani sim; folding, classes of G, window and transform are written out here
again.  Prints TAP.
"""
import itertools
import json
import os

from harness import SCRATCH, r, write_config, xani_must

import h5py
import numpy as np

from walk import nxdata

A, PHOTONS, ANGLES = 3.61, 2e3, (0, 17)


def simulate():
    config = {
        "experiment": {"title": "averaged", "energy_kev": 10.0},
        "geometry": {"detector": {"shape": [44, 44], "pixel_mm": 1.2, "centre_px": [-8, 22]}, "distance_mm": 60,
                     "orientation": [[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]],
                     "goniometer": [{"axis": [0, 1, 0], "sign": 1, "angle_deg": 0}]},
        "runs": [{"name": f"r{i + 1}", "angle_deg": [a]} for i, a in enumerate(ANGLES)],
        "map": {"crystal": {"cell": [A, A, A, 90, 90, 90], "space_group": "Fm-3m", "basis": [{"element": "Cu", "position": [0, 0, 0]}]},
                "grid": {"shape": [9, 9, 9]}, "path": ["G", "X", "K", "G"], "mode_kind": "pair", "tube_inv_ang": 0.1},
        "reduce": {"delay_bins_ps": {"start": -0.3, "stop": 4.2, "step": 0.03}},
        "fit": {"modes_max": 2, "background": "constant"}, "output": {"report": False},
        "sim": {"layouts": ["cube_noiseless"], "crystal": "cu_296k", "softening": [{"shell": "110", "factor": 0.95}],
                "delay": {"start": -0.5, "stop": 4.5}},
    }
    write_config(f"{SCRATCH}/in.yaml", config)
    xani_must("sim", f"{SCRATCH}/in.yaml", "-o", f"{SCRATCH}/raw")
    rng = np.random.default_rng(3)
    for i in range(len(ANGLES)):
        with h5py.File(f"{SCRATCH}/raw/run{i + 1:04d}_on.h5", "r+") as on, h5py.File(f"{SCRATCH}/raw/run{i + 1:04d}_off.h5", "r+") as off:
            scale = PHOTONS / np.median(off["imgs"][()])
            on["imgs"][...] = rng.poisson(scale * on["imgs"][()])
            off["imgs"][...] = scale * off["imgs"][()]


def fold(hkl):
    """The nearest points of the face-centred reciprocal lattice, and their distance from the next ones."""
    base = np.rint(hkl)[..., None, :] + np.array(list(itertools.product((-1, 0, 1), repeat=3)))
    good = (np.abs(base % 2).sum(-1) % 3) == 0  # all even or all odd
    d = np.where(good, np.linalg.norm(hkl[..., None, :] - base, axis=-1), np.inf)
    order = np.sort(d, -1)
    return np.take_along_axis(base, d.argmin(-1)[..., None, None], -2)[..., 0, :].astype(int), order[..., 1] - order[..., 0]


def spectrum(y, w, delay, f):
    """S of one trace with weights w = 1/sigma^2, less the noise's."""
    t0, t1 = delay[0] - (delay[1] - delay[0]) / 2, delay[-1] + (delay[-1] - delay[-2]) / 2
    h = np.sin(np.pi * (delay - t0) / (t1 - t0))**2
    dt = np.gradient(delay)
    line = np.polynomial.polynomial.polyfit(delay, y, 1, w=np.sqrt(w))
    x = (h * dt * (y - np.polynomial.polynomial.polyval(delay, line))) @ np.exp(-2j * np.pi * np.outer(delay, f))
    norm = (h**2 * dt).sum()
    return 4 * 2 * (abs(x)**2 - (h**2 * dt**2 / w).sum()) / norm


def average(axes, nu):
    """The folded volume of averaged traces, and which voxels hold a trace whose G is not beyond doubt."""
    shape = [len(a) for a in axes]
    total, count, doubt = np.zeros(shape + [len(nu)]), np.zeros(shape), np.zeros(shape, bool)
    for i in range(len(ANGLES)):
        with h5py.File(f"{SCRATCH}/out/r{i + 1}/cube.h5") as f, h5py.File(f"{SCRATCH}/out/r{i + 1}/modes.h5") as m:
            delay, signal, errors = (f[f"entry/cube/{k}"][()] for k in ("delay", "signal", "signal_errors"))
            use = (delay >= m["entry/fit/delay_first"][()] - 1e-9) & (delay <= m["entry/fit/delay_last"][()] + 1e-9)
            fitted = m["entry/fit_status"][()] != 2
        with h5py.File(f"{SCRATCH}/raw/truth.h5") as f:
            hkl = f[f"entry/r{i + 1}/hkl"][()]
        g, sure = fold(hkl)
        voxel = np.stack([np.clip(np.rint((hkl - g)[..., k] / (a[1] - a[0]) + (len(a) - 1) / 2), 0, len(a) - 1) for k, a in enumerate(axes)], -1)
        edge = np.stack([abs(np.mod((hkl - g)[..., k] / (a[1] - a[0]) + len(a) / 2, 1) - 0.5) > 0.499 for k, a in enumerate(axes)], -1).any(-1)
        keys = np.concatenate([voxel, g], -1).astype(int)
        for at in np.argwhere((sure < 1e-6) | edge):
            doubt[tuple(keys[tuple(at)][:3])] = True
        classes = {}
        for at in np.argwhere(fitted):
            classes.setdefault(tuple(keys[tuple(at)]), []).append(at)
        for key, pixels in classes.items():
            y, x = np.array(pixels).T
            w = 1 / errors[use][:, y, x].astype(float)**2
            s = spectrum((w * signal[use][:, y, x]).sum(1) / w.sum(1), w.sum(1), delay[use], 2 * nu)
            total[key[:3]] += len(pixels) * s
            count[key[:3]] += len(pixels)
    with np.errstate(invalid="ignore"):
        return total / count[..., None], count, doubt


def phonons(truth, hkl):
    """Born and von Karman: D = sum F (1 - cos pi q.R) / m, R in a/2."""
    g = truth["entry/force_constants_after"]
    turn = 1 - np.cos(np.pi * g["neighbour"][()] @ hkl)
    d = (turn[:, None, None] * g["tensor"][()]).sum(0) / (63.546 * 1.66053906660e-27)
    return np.sqrt(np.maximum(np.linalg.eigvalsh(d), 0)) / (2e12 * np.pi)


def compare():
    with h5py.File(f"{SCRATCH}/out/dispersion.h5") as f, h5py.File(f"{SCRATCH}/raw/truth.h5") as truth:
        v, p = f["entry/averaged_volume"], f["entry/averaged_path"]
        for group in (v, p):
            nxdata(r, "averaged", group)
        s, e, nu = v["intensity"][()], v["intensity_errors"][()], v["frequency"][()]
        want, count, doubt = average([v[k][()] for k in "hkl"], nu)
        r.ok((np.isnan(s[..., 0]) == (count == 0)).all() and (np.isnan(e) == np.isnan(s)).all(), "NaN exactly where no trace is")
        sure = (count > 0) & ~doubt
        off = abs(s - want)[sure].max() / np.nanmax(want)
        r.ok(sure.sum() > 30 and off < 1e-3, f"{sure.sum()} voxels are NumPy's within {off:.1e} of the largest")
        path, error, axis = p["intensity"][()], p["intensity_errors"][()], p["frequency"][()]
        with_modes = np.mean([h5py.File(f"{SCRATCH}/out/r{i + 1}/modes.h5")["entry/n_modes"][()] > 0 for i in range(len(ANGLES))])
        found = near = 0
        for i in np.flatnonzero(~np.isnan(path[:, 0])):
            k = path[i].argmax()
            if path[i, k] < 4 * error[i, k]:
                continue
            found += 1
            near += abs(phonons(truth, f["entry/path/hkl"][i]) - axis[k]).min() < 0.25
        r.ok(with_modes < 0.4, f"{100 * with_modes:.0f} % of the pixels have a line of their own")
        r.ok(found > 7 and near > 0.9 * found, f"{found} bins of the path have a peak beyond 4 errors, {near} of them on a branch")
        hidden = axis > 7.6  # above all branches
        z = (path / error)[:, hidden]
        r.ok(hidden.sum() > 5 and abs(np.nanmean(z)) < 0.4 and np.nanstd(z) < 1.6,
             f"above all branches: {np.nanmean(z):+.2f} errors in the mean, {np.nanstd(z):.2f} rms")


def main():
    simulate()
    settings = ["--set", "input.counts_per_photon=1"]
    with open(f"{SCRATCH}/raw/xani.yaml") as f:
        text = f.read()
    second = text.index("- name: r2") if "- name: r2" in text else text.index('- name: "r2"')
    with open(f"{SCRATCH}/raw/one.yaml", "w") as f:
        f.write(text[:second] + text[text.index("\nmap:") + 1:])
    xani_must("run", f"{SCRATCH}/raw/one.yaml", "-o", f"{SCRATCH}/out", *settings)
    done = json.loads(xani_must("run", f"{SCRATCH}/raw/xani.yaml", "-o", f"{SCRATCH}/out", "--json", *settings).stdout)["runs"]
    r.ok([(x["reduce"], x["fit"]) for x in done] == [("kept", "kept"), ("done", "done")], "a run that is added does not redo the other")
    compare()
    modes = [f"{SCRATCH}/out/r{i + 1}/modes.h5" for i in range(len(ANGLES))]
    xani_must("map", "--config", f"{SCRATCH}/raw/xani.yaml", *modes, "--set", "map.average_traces=false", "-o", f"{SCRATCH}/none.h5")
    with h5py.File(f"{SCRATCH}/none.h5") as f:
        r.ok("averaged_volume" not in f["entry"] and "averaged_path" not in f["entry"], "map.average_traces: false: none")
    os.rename(f"{SCRATCH}/out/r1/cube.h5", f"{SCRATCH}/kept.h5")
    said = xani_must("map", *modes, "-o", f"{SCRATCH}/one.h5").stderr
    with h5py.File(f"{SCRATCH}/one.h5") as f, h5py.File(f"{SCRATCH}/out/dispersion.h5") as g:
        one, both = (np.isfinite(x["entry/averaged_volume/intensity"][..., 0]).sum() for x in (f, g))
    r.ok("r1/modes.h5" in said and 0 < one < both, f"a missing cube is said, the other run makes {one} of {both} voxels")


r.guard("averaged", main)
r.end()
