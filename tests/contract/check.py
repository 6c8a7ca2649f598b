#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""check.py XANI SCRATCH -- the interface contract on experiments that xani did not simulate itself.

Two independent experiments (experiment.py: own crystal dynamics, own geometry, own files) go through `xani run`;
every dataset of the contract is walked (walk.py) and the answers are compared with the independent truth.
Prints TAP.  Exit 77 when h5py is missing.
"""
import os

from harness import SCRATCH, r, xani

import h5py
import numpy as np
import yaml

import experiment
import physics
import walk


def ends(*args):
    """The exit code; a comment tells what went wrong."""
    code, _, err = xani(*args)
    if code:
        print(f"# xani {' '.join(args)} -> {code}: {err.strip()}")
    return code


def check_noiseless(folder):
    truth = experiment.noiseless(folder)
    out = f"{folder}/out"
    if not r.ok(ends("run", f"{folder}/xani.yaml", "-o", out) == 0, "noiseless: xani run ends with 0"):
        return
    worst = []
    for run, t in truth.items():
        with walk.cube(r, f"{out}/{run}/cube.h5", 1) as f:
            signal = f["entry/cube/signal"][()]
            r.ok(abs(f["entry/cube/delay"][0] + 0.2) < 1e-9 and len(signal) == 510, f"{run}: the cube keeps the delays")
        with walk.modes(r, f"{out}/{run}/modes.h5") as f:
            freq, amp = f["entry/modes/frequency"][()], f["entry/modes/amplitude"][()]
            phase, damp = f["entry/modes/phase"][()], f["entry/modes/damping"][()]
        # pixels with at most three lines (always here) whose lines are apart by more than the resolution
        nu, pair = t["nu"], np.abs(t["pair"])
        strongest = pair.max(-1)
        gaps = np.diff(np.sort(2 * nu, -1), axis=-1).min(-1)
        clean = (strongest > 1e-3) & (gaps > 0.4)
        for j in range(3):
            strong = clean & (pair[..., j] > 0.05 * strongest)
            d = np.abs(freq - 2 * nu[..., j])
            k = np.nanargmin(np.where(np.isnan(d), 1e9, d), 0)
            pick = lambda a: np.take_along_axis(a, k[None], 0)[0][strong]
            worst.append(pick(d))
            r.ok(np.nanmax(np.abs(pick(amp) / pair[..., j][strong] - 1)) < 2e-3, f"{run}: amplitude of branch {j} at delay zero")
            r.ok(np.nanmax(np.abs(np.angle(np.exp(1j * (pick(phase) - np.pi))))) < 0.01, f"{run}: softening has phase pi, branch {j}")
            r.ok(np.nanmax(np.abs(pick(damp) - 0.35)) < 5e-3, f"{run}: damping of branch {j}")
    w = np.concatenate(worst)
    r.ok(len(w) > 500 and np.isfinite(w).all() and w.max() < 1e-4, f"noiseless: |f - 2 nu1| max {np.nanmax(w):.2e} THz over {len(w)} strong modes")
    with walk.dispersion(r, f"{out}/dispersion.h5", 2) as f:
        p = {n: f[f"entry/points/{n}"][()] for n in ("hkl", "G", "q", "frequency", "pixel", "run", "angle_deg", "kind", "branch")}
        runs = np.array([walk.text(n) for n in p["run"]])
        b = f["entry/branches"]
        branches = {n: b[n][()] for n in ("hkl", "distance", "frequency", "count")}
    for run, t in truth.items():
        mine = runs == run
        hkl = t["hkl"][p["pixel"][mine, 0], p["pixel"][mine, 1]]
        r.ok(mine.sum() > 1000 and np.abs(p["hkl"][mine] - hkl).max() < 1e-5, f"{run}: hkl of each point against the independent geometry")
        nu = t["nu"][p["pixel"][mine, 0], p["pixel"][mine, 1]]
        d = np.abs(nu - p["frequency"][mine][:, None]).min(1)
        r.ok(np.percentile(d, 99) < 1e-3, f"{run}: nu of the points, 99 % within {np.percentile(d, 99):.1e} THz")
    g = physics.fold_fcc(p["hkl"])
    q_mine, q_true = np.linalg.norm(p["hkl"] - p["G"], axis=1), np.linalg.norm(p["hkl"] - g, axis=1)
    r.ok(np.abs(q_mine - q_true).max() < 1e-6, "points: G is the nearest allowed reciprocal lattice vector")
    r.ok(np.abs(p["q"] - (p["hkl"] - p["G"]) * 2 * np.pi / 3.61).max() < 1e-5, "points: q = B (hkl - G), folded, not symmetry-reduced")
    after = physics.Crystal("cu_49", 0.92)
    w1, _ = after.modes(branches["hkl"] + 1e-9)
    nu1 = w1 / 2e12 / np.pi
    off = [np.abs(nu1[i] - v).min() for row, count in zip(branches["frequency"], branches["count"])
           for i, (v, n) in enumerate(zip(row, count)) if n >= 5]
    r.ok(len(off) > 10 and np.median(off) < 0.1, f"branches: median distance {np.median(off) if off else np.nan:.3f} THz from nu1 on the line itself")
    walk.manifests(r, out)
    r.ok(ends("verify", out) == 0, "xani verify accepts the results")


def reduce_by_hand(t):
    """The reduction of the raw files written out in NumPy: signal, errors, shots per bin."""
    c = t["config"]
    np.seterr(invalid="ignore", divide="ignore")
    code, adu = t["words"] >> 14, (t["words"] & 0x3FFF).astype(float)
    photons = np.zeros(t["words"].shape)
    for g in (0, 1):
        photons = np.where(code == g, (adu - t["pedestal"][g]) / t["gains"][g] / experiment.ENERGY_KEV, photons)
    photons[:, t["mask"] != 0] = 0
    k, (ny, nx) = t["k"], t["shape"]
    grouped = photons.reshape(len(photons), ny // k, k, nx // k, k).sum((2, 4))
    mask = ((t["mask"] == 0).reshape(ny // k, k, nx // k, k).sum((1, 3)) == 0)
    n = np.arange(len(photons))
    used = ~np.isin(n, list(t["lost"])) & (t["i0"] >= c["select"]["i0"]["min"]) & (t["i0"] <= c["select"]["i0"]["max"])
    on = used & t["laser"] & (t["amplitude"] >= 0.5) & ~np.isin(n, list(t["no_edge"]))
    off = used & ~t["laser"]
    b = c["reduce"]["delay_bins_ps"]
    nb = int(round((b["stop"] - b["start"]) / b["step"]))
    index = np.floor(np.nan_to_num((t["delay"] - b["start"]) / b["step"], nan=-1)).astype("i8")
    on &= (index >= 0) & (index < nb)
    r_off = grouped[off].sum(0) / t["i0"][off].sum()
    signal, errors, shots, delay = [], [], [], []
    for i in range(nb):
        s = on & (index == i)
        m, w, x = s.sum(), t["i0"][s], grouped[s]
        ratio = x.sum(0) / w.sum()
        var = m / (m - 1) * ((x ** 2).sum(0) - 2 * ratio * (x * w[:, None, None]).sum(0) + ratio ** 2 * (w ** 2).sum()) / w.sum() ** 2
        signal.append(ratio / r_off - 1)
        errors.append(np.sqrt(var) / r_off)
        shots.append(m)
        delay.append(t["delay"][s].mean())
    out = [np.array(v) for v in (signal, errors)]
    for v in out:  # a group without good pixels has no signal
        v[:, mask] = np.nan
    return {"signal": out[0], "errors": out[1], "shots": np.array(shots), "delay": np.array(delay), "mask": mask,
            "grouped": grouped, "on": on, "off": off, "index": index, "nb": nb}


def check_swissfel(folder):
    t = experiment.swissfel(folder)
    out = f"{folder}/out"
    if not r.ok(ends("run", f"{folder}/xani.yaml", "-o", out) == 0, "swissfel: xani run ends with 0"):
        return
    mine = reduce_by_hand(t)
    with walk.cube(r, f"{out}/cube.h5", t["k"]) as f:
        signal, errors = f["entry/cube/signal"][()], f["entry/cube/signal_errors"][()]
        delay, mask = f["entry/cube/delay"][()], f["entry/mask"][()]
    if r.ok(signal.shape == mine["signal"].shape, f"swissfel: cube shape {signal.shape}"):
        good = ~mine["mask"]
        d = np.abs(signal - mine["signal"])[:, good] / mine["errors"][:, good]
        r.ok(np.nanmax(d) < 1e-3, f"swissfel: signal equals the reduction by hand, worst {np.nanmax(d):.1e} of an error")
        e = np.abs(errors / mine["errors"] - 1)[:, good]
        r.ok(np.nanmax(e) < 1e-3, f"swissfel: exact variance of the ratio of sums, worst {np.nanmax(e):.1e}")
        r.ok(np.abs(delay - mine["delay"]).max() < 1e-5, "swissfel: mean corrected delay of each bin")
        r.ok(((mask != 0) == mine["mask"]).all(), "swissfel: only the group without good pixels is masked")
    with walk.modes(r, f"{out}/modes.h5") as f:
        freq, err = f["entry/modes/frequency"][0], f["entry/modes/frequency_errors"][0]
        r.ok(walk.text(f["entry/modes"].attrs["errors_from"]) == "counting", "swissfel: errors from counting")
        r.ok((f["entry/fit_status"][()][mine["mask"]] == 2).all(), "swissfel: masked group has fit_status 2")
        r.ok(np.isfinite(freq).mean() > 0.3 and np.nanmedian(err) < 0.1, f"swissfel: {np.isfinite(freq).mean():.0%} of the groups show a mode")
    walk.dispersion(r, f"{out}/dispersion.h5", 2).close()
    # the same sums through the field's cubes give the same signal
    same = f"{folder}/same"
    os.makedirs(same, exist_ok=True)
    on = np.stack([mine["grouped"][mine["on"] & (mine["index"] == i)].sum(0) for i in range(mine["nb"])])
    i0 = np.array([t["i0"][mine["on"] & (mine["index"] == i)].sum() for i in range(mine["nb"])])
    for name, var, img, w, n in (("on", mine["delay"], on, i0, mine["shots"]),
                                 ("off", np.zeros(1), mine["grouped"][mine["off"]].sum(0)[None], t["i0"][mine["off"]].sum()[None], [mine["off"].sum()])):
        with h5py.File(f"{same}/run0007_{name}.h5", "w") as f:
            f["scan_var"], f["imgs"], f["i0"], f["bin_count"] = np.asarray(var, "f8"), img, np.asarray(w, "f8"), np.asarray(n, "f8")
    config = {"experiment": {"energy_kev": experiment.ENERGY_KEV},
              "input": {"layout": "cube", "files": ["run0007_on.h5"], "counts_per_photon": 1.0, "delay": {"sign": 1, "zero_ps": 0}}}
    with open(f"{same}/xani.yaml", "w") as f:
        yaml.safe_dump(config, f)
    if r.ok(ends("reduce", f"{same}/xani.yaml", "-o", f"{same}/cube.h5") == 0, "cubes: xani reduce ends with 0"):
        with h5py.File(f"{same}/cube.h5") as f:
            other, poisson = f["entry/cube/signal"][()], f["entry/cube/signal_errors"][()]
        d = np.abs(other - signal)[:, ~mine["mask"]] / mine["errors"][:, ~mine["mask"]]
        r.ok(np.nanmax(d) < 1e-3, f"cubes: same signal as through the raw files, worst {np.nanmax(d):.1e} of an error")
        expected = np.sqrt(on) / i0[:, None, None] / (mine["grouped"][mine["off"]].sum(0) / t["i0"][mine["off"]].sum())
        r.ok(np.nanmax(np.abs(poisson / expected - 1)[:, ~mine["mask"]]) < 1e-3, "cubes: Poisson errors with counts_per_photon")
    code = ends("fit", f"{same}/run0007_on.h5", "-o", f"{same}/modes.h5")
    r.ok(code == 0 and os.path.exists(f"{same}/modes.h5"), "xani fit takes run0007_on.h5 itself")
    code = ends("map", f"{out}/modes.h5", "-o", f"{same}/dispersion.h5")
    if r.ok(code == 0, "xani map without --config uses the configuration stored in the modes"):
        with h5py.File(f"{same}/dispersion.h5") as a, h5py.File(f"{out}/dispersion.h5") as b:
            r.ok(np.array_equal(a["entry/points/hkl"], b["entry/points/hkl"]), "the same points either way")


r.guard("noiseless", check_noiseless, f"{SCRATCH}/noiseless")
r.guard("swissfel", check_swissfel, f"{SCRATCH}/swissfel")
r.end()
