#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""outside.py XANI SCRATCH -- three crystals that xani does not know, measured in NumPy, are found again from the raw files.

Iron (bcc) on raw JUNGFRAU frames of SwissFEL, rock salt on small data of LCLS, zinc (hcp) on corrected frames of European
XFEL: springs.py and beamline.py make geometry, phonons and photons, this script writes the files as formats.md has them
and takes the way of a user: xani init, a few keys filled in, xani run.  Compared are the signal and its errors, Q of
pixels, folding, fitted numbers with their errors, branches, and refined springs.  Prints TAP.
"""
import itertools
import json
import os
import sys

from harness import SCRATCH, r, set_options, write_config, xani

import h5py
import numpy as np
import yaml

import exdf
from beamline import Detector, Laboratory, Run, Shots, turn
from springs import Crystal, busing_levy

# ---- the experiments: crystal, springs after the laser over those before, detector, circles

def panels(distance, *places):
    """Modules at (two theta, azimuth, tilt) facing the sample but for the tilt."""
    out = []
    for theta, azimuth, tilt in places:
        at = turn([0, 0, 1], azimuth) @ turn([0, 1, 0], theta)
        face = at @ turn([0.3, 1, 0.2], tilt)
        out.append((at @ [0, 0, distance + theta / 10], face @ [1.0, 0, 0], face @ [0, 1.0, 0]))
    return out


def iron():
    make = lambda f: Crystal([2.8665] * 3 + [90] * 3, "I", [("Fe", 55.845, (0, 0, 0))], [(2.6, 46.9 * f, 1.9 * f), (2.9, 14.6, 0.5)])
    det = Detector(20, 28, 1.5, panels(70, (24, 10, 3), (38, -18, -5), (50, 25, 8)))
    return Laboratory(make(1), make(0.9), det, 13.2, turn([1, 2, -0.5], 41) @ turn([0, 0, 1], 13), [([0, 1, 0], -1), ([1, 0, 0], 1)],
                      0.12, (0.35, 0.5, 0.7), (np.pi - 0.4, 2.8, -3.0))


def salt():
    basis = [("Na", 22.98977, (0, 0, 0)), ("Cl", 35.45, (0.5, 0.5, 0.5))]
    make = lambda f: Crystal([5.64] * 3 + [90] * 3, "F", basis, [(2.9, 24 * f, 3 * f), (4.1, 4, 1)])
    det = Detector(20, 28, 1.5, panels(60, (20, 170, 4), (35, 200, -6)))
    return Laboratory(make(1), make(0.92), det, 10.5, turn([0.2, 1, 0.4], -25), [([0, 1, 0], 1)], 0.15, (0.3, 0.35, 0.4, 0.5, 0.5, 0.6),
                      (np.pi,) * 3 + (2.5, -2.8, 3.0))


def zinc():
    basis = [("Zn", 65.38, (1 / 3, 2 / 3, 0.25)), ("Zn", 65.38, (2 / 3, 1 / 3, 0.75))]
    make = lambda f: Crystal([2.665, 2.665, 4.947, 90, 90, 120], "P", basis, [(2.7, 22, 1.5), (2.95, 8 * f, 1 * f)])
    det = Detector(20, 28, 1.5, panels(65, (26, -100, 5), (40, -75, 0)))
    return Laboratory(make(1), make(0.85), det, 12.0, turn([1, 0.3, 0.1], 62), [([0, 0, 1], 1), ([1, 0, 0], -1)], 0.15,
                      (0.25, 0.25, 0.3, 0.3, 0.4, 0.4), (np.pi,) * 6)


# ---- their files

def swissfel(where, lab, run, shots, mean):
    """Raw words of a JUNGFRAU with three gain stages and noise; stage, time tool and monitor by pulse id."""
    det, rng, shape = "JF07T03V01", np.random.default_rng(8), lab.detector.shape
    stages = np.array([3000.0, 14500, 14000])[:, None, None] + rng.normal(0, 50, (3,) + shape)
    gain = np.array([41.0, -1.45, -0.105])[:, None, None] * (1 + rng.normal(0, 0.02, (3,) + shape))
    y, x = np.indices(shape)
    pulse = 17_000_000_000 + shots.id
    with h5py.File(f"{where}/acq0001.{det}.h5", "w") as f:
        f["general/detector_name"] = det
        g = f.create_group(f"data/{det}")
        data = g.create_dataset("data", (shots.n,) + shape, "u2", chunks=(1,) + shape)
        for part, photons in shots.photons(run, mean):
            kev = photons * lab.energy_kev + rng.normal(0, 0.25, photons.shape)
            stage = np.where(kev < 300, 0, np.where(kev < 6000, 1, 2))
            words = np.clip(np.round(stages[stage, y, x] + gain[stage, y, x] * kev), 0, 16383).astype("u2")
            data[part] = words | np.array([0, 1, 3], "u2")[stage] << 14
        g["pulse_id"], g["is_good_frame"] = pulse[:, None].astype("u8"), np.ones((shots.n, 1), "u1")
        g["daq_rec"] = (shots.on.astype("u4") << 16 | 1 << 18)[:, None]
        g["module_map"] = np.arange(3)
    with h5py.File(f"{where}/acq0001.BSDATA.h5", "w") as f:
        for name, values in (("SAROP21-PBPS133:INTENSITY", shots.monitor), ("SLAAR21-LMOT-M523:MOTOR_1.VAL", shots.stage_mm),
                             ("SAROP21-ATT01:edge_position", shots.edge_px), ("SAROP21-ATT01:edge_amplitude", shots.edge_height)):
            f[f"data/{name}/pulse_id"], f[f"data/{name}/data"] = pulse, values
    with h5py.File(f"{where}/gains.h5", "w") as f:
        f["gains"] = gain[[0, 1, 2, 0]]
    with h5py.File(f"{where}/pedestal.res.h5", "w") as f:
        f["gains"], f["gainsRMS"], f["pixel_mask"] = stages, np.ones_like(stages), np.zeros(shape, "i8")
    return {"delay": shots.delay_keys("SLAAR21-LMOT-M523:MOTOR_1.VAL", "SAROP21-ATT01:edge_position")}, \
        {"source": "SAROP21-ATT01:edge_amplitude", "min": 0.3}


def lcls(where, lab, run, shots, mean):
    """Small data with the whole detector in keV, its own pixel coordinates, encoder in ps and time tool."""
    d = lab.detector
    ns = shots.id * 8_333_333
    with h5py.File(f"{where}/xpptut15_Run0021.h5", "w") as f:
        f["event_time"], f["fiducials"] = (1_700_000_000 + ns // 10**9 << 32) | ns % 10**9, 3 * shots.id
        f["lightStatus/laser"], f["lightStatus/xray"] = shots.on.astype("i8"), np.ones(shots.n, "i8")
        f["ipm2/sum"], f["enc/lasDelay"] = shots.monitor, shots.nominal + 0.42
        f["tt/ttCorr"] = -np.polynomial.polynomial.polyval(shots.edge_px - 900, [0, *shots.tool])
        f["tt/AMPL"] = shots.edge_height
        area = f.create_dataset("jungfrau1M/full_area", (shots.n, len(d.panels), d.rows, d.cols), "f4", chunks=(1, 2, d.rows, d.cols))
        for part, photons in shots.photons(run, mean):
            kev = photons * lab.energy_kev + shots.rng.normal(0, 0.25, photons.shape)
            area[part] = kev.reshape(-1, len(d.panels), d.rows, d.cols)
        d.write_maps(f.create_group("UserDataCfg/jungfrau1M"))
        f["UserDataCfg/jungfrau1M/mask"] = np.ones((len(d.panels), d.rows, d.cols), "u1")
    delay = {"parts": [{"source": "enc/lasDelay", "scale_ps": 1}], "sign": 1, "zero_ps": 0.42,
             "time_tool": {"source": "tt/ttCorr", "sign": -1, "coefficients_ps": [0, 1]}}
    return {"delay": delay, "calibration": {"kev_per_unit": 1}}, {"source": "tt/AMPL", "min": 0.3}


def euxfel(where, lab, run, shots, mean):
    """Corrected JUNGFRAU modules, one frame a train, laser in even trains; stage and time tool are slow readings."""
    trains = [2_000_000_000 + int(i) for i in shots.id]
    d, every = lab.detector, {t: 1 for t in trains}
    kev = np.concatenate([p for _, p in shots.photons(run, mean)]) * lab.energy_kev
    for m in range(len(d.panels)):
        f = exdf.File(f"{where}/CORR-R0052-JNGFR{m + 1:02}-S00000.h5", trains, "1.3")
        adc = kev[:, None, m * d.rows:(m + 1) * d.rows].astype("f4")
        f.instrument(f"MID_EXP_JF1M/CORR/JNGFR{m + 1:02}:daqOutput", "data", every,
                     {"adc": adc, "gain": np.zeros(adc.shape, "u1"), "mask": np.zeros(adc.shape, "u4"),
                      "memoryCell": np.full((shots.n, 1), 15, "u1")})
        f.close()
    f = exdf.File(f"{where}/RAW-R0052-DA01-S00000.h5", trains, "1.3")
    energy = np.ones((shots.n, 1000), "f4")
    energy[:, 0] = shots.monitor
    f.instrument("SA2_XTD1_XGM/XGM/DOOCS:output", "data", every, {"intensityTD": energy})
    f.control("MID_LAS_COM/MOTOR/DL800", {"actualPosition": dict(zip(trains, shots.stage_mm))})
    edge = np.where(shots.on, shots.edge_px, -1.0)
    f.control("MID_LAS_COM/TT/EDGE", {"position": dict(zip(trains, edge)), "height": dict(zip(trains, shots.edge_height))})
    f.close()
    keys = {"delay": shots.delay_keys("MID_LAS_COM/MOTOR/DL800/actualPosition", "MID_LAS_COM/TT/EDGE/position"), "laser": "even_trains"}
    return keys, {"source": "MID_LAS_COM/TT/EDGE/height", "min": 0.3}


# ---- the way of a user

def measure(name, lab, write, angles, mean, n, step, off_every=4):
    """Writes a run for each angle, lets xani init propose a configuration, fills it in, runs it."""
    runs, folder = [], f"{SCRATCH}/{name}"
    os.makedirs(folder)
    for k, a in enumerate(angles):
        where = f"{folder}/run{k + 1}"
        os.makedirs(where)
        run, shots = Run(lab, a), Shots(n, -0.4, 3.4, seed=50 + k, tool_ps=0.001, off_every=off_every)
        keys, window = write(where, lab, run, shots, mean)
        runs.append((f"run{k + 1}", run, shots))
    lab.detector.write_geom(f"{folder}/det.geom", lab.energy_kev)
    lab.crystal.write_phonopy(folder, (3, 3, 3))
    code, _, err = xani("init", *(f"{folder}/{run}" for run, _, _ in runs), "-o", f"{folder}/made.yaml")
    r.ok(code == 0, f"{name}: xani init: {code} {err.strip()[-200:] if code else ''}")
    with open(f"{folder}/made.yaml", encoding="utf-8") as f:
        c = yaml.load(f, yaml.BaseLoader)  # as text, as xani reads it: `off` is no truth value
    c["experiment"]["energy_kev"] = lab.energy_kev
    c["input"].update(keys)
    c["select"] = {"i0": {"percentile": [0.5, 99.5]}, "time_tool": window}
    c["reduce"]["delay_bins_ps"] = {"start": -0.3, "stop": 3.3, "step": step}
    c["geometry"].update(orientation=lab.orientation.tolist(), goniometer=[{"axis": axis, "sign": s} for axis, s in lab.circles])
    for run, a in zip(c["runs"], angles):
        run["angle_deg"] = list(a)
    runs = [(c["runs"][k]["name"], *run[1:]) for k, run in enumerate(runs)]
    c["fit"]["background"] = "constant"
    basis = [{"element": e, "position": list(p)} for e, _, p in lab.crystal.basis]
    c["map"].update(crystal={"cell": lab.crystal.cell, "centring": lab.crystal.centring, "basis": basis}, mode_kind="pair",
                    force_constants={"file": "FORCE_CONSTANTS"})
    c["output"]["report"] = False
    write_config(f"{folder}/experiment.yaml", c)
    code, _, err = xani("run", f"{folder}/experiment.yaml", "-o", f"{folder}/out")
    r.ok(code == 0, f"{name}: xani run: {code} {err.strip()[-300:] if code else ''}")
    warned = [line for line in err.splitlines() if "warning" in line]
    r.ok(not warned, f"{name}: nothing is warned of {warned}")
    return runs, f"{folder}/out"


# ---- comparisons

def pulls(text, z, mean, width, least=200):
    z = np.concatenate([np.ravel(part) for part in z])
    z = z[np.isfinite(z)]
    far = (abs(z) > 5.5).mean() if len(z) else 1
    core = z[abs(z) <= 5.5]
    good = len(z) >= least and far < 5e-3 and abs(core.mean()) < mean and abs(core.std() - 1) < width
    r.ok(good, f"{text}: pull {core.mean():+.3f} +- {core.std():.3f} of {len(z)}, {far:.1e} beyond 5.5")


def check_cube(name, lab, runs, out):
    """The signal is that of the shots in each bin; the error of the laser-off reference is common to a pixel's delays."""
    z = []
    for folder, run, shots in runs:
        with h5py.File(f"{out}/{folder}/cube.h5") as f:
            c, s = f["entry/cube"], f["entry/shots"]
            signal, errors = c["signal"][()], c["signal_errors"][()]
            used, bins, delay = s["verdict"][()] == 0, s["bin"][()], s["delay"][()]
        on = used & shots.on
        r.ok(abs(delay - shots.delay)[on].max() < 0.006 and on.sum() > 0.8 * shots.on.sum(),
             f"{name} {folder}: delays of {on.sum()} shots are the true ones within the tool's noise, {abs(delay - shots.delay)[on].std():.4f} ps")
        y, off = run.signal(np.where(shots.on, shots.delay, -1)), used & ~shots.on
        per_reading = shots.beam[off].sum() / shots.monitor[off].sum()
        for b in range(len(signal)):
            i = on & (bins == b)
            if i.sum() < 8:
                continue
            want = np.tensordot(shots.beam[i], 1 + y[i], 1) / shots.monitor[i].sum() / per_reading - 1
            student = np.sqrt((i.sum() - 3) / (i.sum() - 1))  # errors are those of so many shots' own scatter
            z.append((signal[b] - want) / errors[b] * student)
    pulls(f"{name}: signal", z, 0.06, 0.05)


def time_response(run, step):
    """What bins and the tool's noise leave of a line."""
    return np.sinc(2 * run.nu * step) * np.exp(-2 * (2 * np.pi * run.nu * 0.001)**2)


def check_fit(name, lab, runs, out, step):
    """Lines that hold more than noise and stand alone, chosen by the truth."""
    z, n, lost = {k: [] for k in ("frequency", "amplitude", "damping", "phase")}, 0, 0
    for folder, run, _ in runs:
        with h5py.File(f"{out}/{folder}/modes.h5") as f:
            m = {k: f[f"entry/modes/{k}"][()] for k in (*z, *(f"{k}_errors" for k in z))}
        a = run.amplitude * time_response(run, step)
        noise = np.nanmedian(m["amplitude_errors"]) * np.sqrt(np.median(run.intensity) / run.intensity)
        for b in range(run.nu.shape[-1]):
            f = 2 * run.nu[..., b]
            others = np.where(np.delete(a, b, -1) < 0.03 * a[..., b:b + 1], 99, abs(np.delete(2 * run.nu, b, -1) - f[..., None])).min(-1)
            line = (a[..., b] > 7 * noise) & (others > 1.0) & (f < 0.85 * 0.5 / step) & (f > 0.8)
            far = np.nan_to_num(abs(m["frequency"] - f), nan=9e9)
            own = lambda key: np.take_along_axis(m[key], far.argmin(0)[None], 0)[0]
            n, lost, line = n + line.sum(), lost + (line & (far.min(0) > 0.6)).sum(), line & (far.min(0) <= 0.6)
            for key, true in (("frequency", f), ("amplitude", a[..., b]), ("damping", lab.damping[b]), ("phase", lab.phase[b])):
                miss = own(key) - true
                if key == "phase":
                    miss = (miss + np.pi) % (2 * np.pi) - np.pi
                z[key].append((miss / own(f"{key}_errors"))[line])
    r.ok(n > 200 and lost < 0.005 * n, f"{name}: {n} strong lines that stand alone, {lost} not found")
    for key in z:
        pulls(f"{name}: {key}", z[key], 0.25, 0.12)


def folded(hkl, lab):
    """Distance to the nearest reciprocal lattice point by brute force, 1/Angstrom."""
    best, b = np.full(len(hkl), np.inf), busing_levy(lab.crystal.cell)
    allowed = {"P": lambda g: True, "I": lambda g: sum(g) % 2 == 0, "F": lambda g: len({v % 2 for v in g}) == 1}[lab.crystal.centring]
    low, high = np.floor(hkl.min(0)).astype(int) - 1, np.ceil(hkl.max(0)).astype(int) + 2
    for g in itertools.product(*(range(a, z) for a, z in zip(low, high))):
        if allowed(g):
            best = np.minimum(best, np.linalg.norm((hkl - g) @ b.T, axis=1))
    return best


def check_points(name, lab, runs, out):
    with h5py.File(f"{out}/dispersion.h5") as f:
        p = {k: v[()] for k, v in f["entry/points"].items()}
        branch = {k: v[()] for k, v in f["entry/branches"].items()}
        reference = f["entry/reference/frequency"][()]
    b, worst, near = busing_levy(lab.crystal.cell), 0, []
    for folder, run, _ in runs:
        mine = p["run"] == folder.encode()
        at = p["pixel"][mine, 0], p["pixel"][mine, 1]
        worst = max(worst, np.linalg.norm((p["hkl"][mine] - run.hkl[at]) @ b.T, axis=1).max())
        near.append(abs(p["frequency"][mine, None] - run.nu[at]).min(1) / p["frequency_errors"][mine])
    near = np.concatenate(near)
    r.ok(worst < 1e-6, f"{name}: Q of {len(near)} points within {worst:.1e} 1/Angstrom")
    r.ok(np.abs(p["q"] - (p["hkl"] - p["G"]) @ b.T).max() < 1e-6, f"{name}: q is Q less G in the crystal's frame")
    r.ok(np.abs(np.linalg.norm(p["q"], axis=1) - folded(p["hkl"], lab)).max() < 1e-6, f"{name}: no lattice point is nearer than G")
    r.ok((near < 3).mean() > 0.95, f"{name}: {(near < 3).mean():.3f} of the points are within three errors of a phonon")
    true, seen = lab.excited.modes(branch["hkl"])[0], np.isfinite(branch["frequency"])
    miss = np.where(seen, abs(branch["frequency"][:, :, None] - true[None]).min(2), np.nan)
    limit = 2 * branch["frequency_errors"]
    r.ok(seen.sum() > 30, f"{name}: {seen.sum()} places on branches, median {np.nanmedian(miss):.3f} THz from the crystal's, "
         f"{np.mean(miss[seen] < limit[seen]):.2f} within two errors")
    r.ok(np.nanmedian(miss) < 0.06 and np.mean(miss[seen] < np.maximum(limit, 0.15)[seen]) > 0.85, f"{name}: branches lie where the crystal's are")
    r.ok(np.abs(np.sort(reference, 0).T - lab.crystal.modes(branch["hkl"])[0]).max() < 1e-4, f"{name}: the reference is the crystal before the laser")


def check_forces(name, lab, out, shells):
    """The springs that the laser softened are found from the points: the refined band is that of the excited crystal."""
    folder = os.path.dirname(out)
    modes = [f"{out}/{d}/modes.h5" for d in sorted(os.listdir(out)) if os.path.isdir(f"{out}/{d}")]
    more = set_options("map.force_constants.refine=true", f"map.force_constants.shells={shells}")
    code, _, err = xani("map", "--config", f"{folder}/experiment.yaml", *more, *modes, "-o", f"{folder}/refined.h5")
    if not r.ok(code == 0, f"{name}: refined: {code} {err.strip()[-200:] if code else ''}"):
        return
    with h5py.File(f"{folder}/refined.h5") as f:
        g, hkl = f["entry/force_constants"], f["entry/branches/hkl"][()]
        band, errors = g["frequency"][()], g["frequency_errors"][()]
        chi2 = float(g["chi2"][()]) / float(g["dof"][()])
    true, before = lab.excited.modes(hkl)[0].T, lab.crystal.modes(hkl)[0].T
    off, change = abs(np.sort(band, 0) - true), abs(true - before)
    r.ok(off.max() < 0.1 * change.max(), f"{name}: refined band within {off.max():.4f} THz of the excited crystal's, which moved by {change.max():.2f}")
    r.ok((off < 4 * errors + 0.003).mean() > 0.95 and errors.max() < 0.3 * change.max(), f"{name}: within its errors, largest {errors.max():.4f}")
    r.ok(0.8 < chi2 < 1.25, f"{name}: chi^2 per degree of freedom {chi2:.2f}")


def whole(name, lab, write, angles, mean, n, step, shells, off_every=4):
    runs, out = measure(name, lab, write, angles, mean, n, step, off_every)
    r.guard(f"{name} cube", check_cube, name, lab, runs, out)
    r.guard(f"{name} fit", check_fit, name, lab, runs, out, step)
    r.guard(f"{name} points", check_points, name, lab, runs, out)
    r.guard(f"{name} forces", check_forces, name, lab, out, shells)
    r.guard(f"{name} refused", refused_early, name)
    r.guard(f"{name} index", check_index, name, lab)


def check_index(name, lab):
    """xani index calls the true orientation right, finds one that is off, and says when it finds nothing."""
    config, settings = f"{SCRATCH}/{name}/experiment.yaml", ["--json", "--set", "geometry.index.points=600", "--set", "geometry.index.shots=300"]
    for axis, off, words in (([1, 0, 0], 0, "right within its error"), ([1, 0.2, 0.1], 0.7, "off; take"), ([0, 0.2, 1], 30, "do not take")):
        start = (turn(axis, off) @ lab.orientation).tolist()
        code, out, err = xani("index", config, *settings, "--set", f"geometry.orientation={json.dumps(start)}")
        answer = json.loads(out) if code == 0 else {"verdict": err[-200:]}
        r.ok(code == 0 and words in answer["verdict"], f"{name}: {off} degrees off: {answer['verdict']}")
        if code == 0 and off < 5:
            left = np.degrees(np.linalg.norm(np.array(answer["orientation"]) - lab.orientation)) / np.sqrt(2)
            r.ok(left < max(0.02, 4 * answer["error_deg"]), f"{name}: {left:.4f} degrees are left, error {answer['error_deg']:.4f}")


def refused_early(name):
    """What only the map needs is looked at before the frames are: constants that are not there, or of another crystal."""
    config = f"{SCRATCH}/{name}/experiment.yaml"
    for file, word in (("none.fc", "none.fc"), ("al_80k", "not found in the crystal")):
        for command in (["check", config], ["run", config, "-o", f"{SCRATCH}/{name}/early"]):
            code, _, err = xani(*command, "--set", f"map.force_constants.file={file}")
            r.ok(code == 3 and word in err and "map.force_constants.file" in err, f"{name}: xani {command[0]} with {file}: {code} {err.strip()[-200:]}")
    cubes = [n for _, _, names in os.walk(f"{SCRATCH}/{name}/early") for n in names if n.endswith(".h5")]
    r.ok(not cubes, f"{name}: nothing was reduced {cubes}")


EXPERIMENTS = {
    "iron": lambda: whole("iron", iron(), swissfel, [(0, 0), (12, -7)], 60, 2800, 0.025, 2),
    "salt": lambda: whole("salt", salt(), lcls, [(5,), (21,)], 60, 2800, 0.025, 2),
    "zinc": lambda: whole("zinc", zinc(), euxfel, [(0, 3), (8, -12)], 60, 2600, 0.03, 2, off_every=2),
}
for test in sys.argv[3:] or EXPERIMENTS:
    r.guard(test, EXPERIMENTS[test])
r.end()
