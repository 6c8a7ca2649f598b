# SPDX-License-Identifier: BSD-3-Clause
"""experiment.py -- writes small experiments in the facilities' layouts with the independent model of physics.py.

  noiseless(dir)  field cubes of two sample angles, exact traces, no noise       -> config
  swissfel(dir)   raw JUNGFRAU words, BSDATA channels, gains, pedestals          -> config
"""
import os

import h5py
import numpy as np
import yaml

import physics as ph

ENERGY_KEV = 11.0
DISTANCE_MM = 70.0
PIXEL_MM = 2.2
ORIENTATION = ph.rotation([0.3, 1.0, -0.2], 37.0)
CIRCLES = [([0, 1, 0], 1), ([1, 0, 0], -1)]
PATH = [{"label": "G", "hkl": [0, 0, 0]}, {"label": "X", "hkl": [1, 0, 0]}, {"label": "G", "hkl": [1, 1, 0]}]


def geom_text(modules, rows, cols, gap):
    """CrystFEL geometry: modules stacked in the file, side by side with gaps in the laboratory."""
    head = [f"photon_energy = {ENERGY_KEV * 1000:g}", f"clen = {DISTANCE_MM / 1000:g}", f"res = {1000 / PIXEL_MM:g}",
            "data = /data ; a comment"]
    for m in range(modules):
        x0 = -cols / 2 + 3
        y0 = -(rows * modules + gap * (modules - 1)) / 2 + m * (rows + gap)
        head += [f"m{m}/min_fs = 0", f"m{m}/max_fs = {cols - 1}", f"m{m}/min_ss = {m * rows}",
                 f"m{m}/max_ss = {(m + 1) * rows - 1}", f"m{m}/fs = +0.9999x +0.0141y", f"m{m}/ss = -0.0141x +0.9999y",
                 f"m{m}/corner_x = {x0}", f"m{m}/corner_y = {y0}"]
    return "\n".join(head) + "\n"


def pixel_q(modules, rows, cols, gap):
    """Q_lab (y, x, 3) of the pixel centres, the same geometry written out by hand."""
    k = 2 * np.pi * ENERGY_KEV / 12.398419843320026
    j, i = np.meshgrid(np.arange(cols) + 0.5, np.arange(rows) + 0.5)
    r = np.empty((modules * rows, cols, 3))
    for m in range(modules):
        x0 = -cols / 2 + 3
        y0 = -(rows * modules + gap * (modules - 1)) / 2 + m * (rows + gap)
        block = r[m * rows:(m + 1) * rows]
        block[..., 0] = (x0 + 0.9999 * j - 0.0141 * i) * PIXEL_MM
        block[..., 1] = (y0 + 0.0141 * j + 0.9999 * i) * PIXEL_MM
        block[..., 2] = DISTANCE_MM
    r /= np.linalg.norm(r, axis=-1, keepdims=True)
    r[..., 2] -= 1
    return k * r


def to_hkl(q_lab, a, angles):
    rot = np.eye(3)
    for (axis, sign), angle in zip(CIRCLES, angles):
        rot = rot @ ph.rotation(axis, sign * angle)
    ub = ORIENTATION * (2 * np.pi / a)
    return q_lab @ np.linalg.inv(rot @ ub).T


def base_config(crystal, geom):
    return {
        "experiment": {"title": "independent check", "energy_kev": ENERGY_KEV},
        "geometry": {"file": geom, "distance_mm": DISTANCE_MM, "cell": [crystal.a] * 3 + [90, 90, 90],
                     "orientation": [[float(v) for v in row] for row in ORIENTATION],
                     "goniometer": [{"axis": [float(v) for v in ax], "sign": s, "angle_deg": 0} for ax, s in CIRCLES]},
        "map": {"crystal": {"cell": [crystal.a] * 3 + [90, 90, 90], "centring": "F",
                            "basis": [{"element": crystal.element, "position": [0, 0, 0]}]},
                "grid": {"shape": [21, 21, 21]}, "path": PATH, "mode_kind": "pair"},
        "fit": {"modes_max": 3, "background": "constant"},
        "output": {"report": False},
    }


def traces(before, after, hkl, temperature, t, damping, combinations=False):
    """y (n, t) and nu1 (n, 3), pair amplitudes (n, 3): mean - sum of damped lines, continuous at t = 0."""
    nu, plus, minus, intensity = ph.lines(before, after, hkl, temperature)
    pair = np.einsum("njj->nj", plus)
    y = np.zeros((len(hkl), len(t)))
    tp = np.maximum(t, 0)
    on = t >= 0
    for j in range(3):
        osc = np.exp(-damping * tp) * np.cos(4 * np.pi * nu[:, j, None] * tp) - 1
        y += pair[:, j, None] * np.where(on, osc, 0)
    if combinations:
        for j in range(3):
            for k in range(j):
                for amp, f in ((plus, nu[:, j] + nu[:, k]), (minus, nu[:, j] - nu[:, k])):
                    osc = np.exp(-damping * tp) * np.cos(2 * np.pi * f[:, None] * tp) - 1
                    y += 2 * amp[:, j, k, None] * np.where(on, osc, 0)
    return y, nu, pair, intensity


def write_field_cube(prefix, delay, on, off, shots=1):
    """on (t, y, x), off (y, x) intensities summed over so many shots a bin with I0 = 1 each."""
    for name, var, img in (("on", delay, on), ("off", np.zeros(1), off[None])):
        with h5py.File(f"{prefix}_{name}.h5", "w") as f:
            f["scan_var"] = var
            f["imgs"] = img.astype("f8")
            f["i0"] = f["bin_counts"] = np.full(len(var), float(shots))


def noiseless(folder, crystal_name="cu_49", runs=((0.0, 4.0), (12.0, -7.0))):
    os.makedirs(folder, exist_ok=True)
    modules, rows, cols, gap = 2, 24, 40, 5
    before, after = ph.Crystal(crystal_name), ph.Crystal(crystal_name, 0.92)
    with open(f"{folder}/detector.geom", "w") as f:
        f.write(geom_text(modules, rows, cols, gap))
    q = pixel_q(modules, rows, cols, gap)
    dt = 0.02
    delay = np.arange(-10, 500) * dt
    config = base_config(before, "detector.geom")
    config["input"] = {"layout": "cube", "delay": {"sign": 1, "zero_ps": 0}}
    config["runs"] = []
    truth = {}
    for n, angles in enumerate(runs, 1):
        hkl = to_hkl(q, before.a, angles).reshape(-1, 3)
        y, nu, pair, intensity = traces(before, after, hkl, 300.0, delay, 0.35)
        shape = (modules * rows, cols)
        off = (100 * intensity / intensity.max()).reshape(shape)
        on = (y.T.reshape(-1, *shape) + 1) * off
        write_field_cube(f"{folder}/run{n:04d}", delay, on, off)
        config["runs"].append({"name": f"r{n}", "files": [f"run{n:04d}_on.h5"], "angle_deg": list(angles)})
        truth[f"r{n}"] = {"hkl": hkl.reshape(*shape, 3), "nu": nu.reshape(*shape, 3), "pair": pair.reshape(*shape, 3)}
    with open(f"{folder}/xani.yaml", "w") as f:
        yaml.safe_dump(config, f, sort_keys=False)
    return truth


def swissfel(folder, seed=5, shots=3600, softening=0.75, compress=False):
    """One run. Channels have gaps, duplicates and their own order; the answer is kept in the returned dict."""
    rng = np.random.default_rng(seed)
    os.makedirs(folder, exist_ok=True)
    modules, rows, cols, gap, k = 2, 16, 24, 4, 4
    before, after = ph.Crystal("cu_49"), ph.Crystal("cu_49", softening)
    with open(f"{folder}/detector.geom", "w") as f:
        f.write(geom_text(modules, rows, cols, gap))
    hkl = to_hkl(pixel_q(modules, rows, cols, gap), before.a, (5.0, 0.0)).reshape(-1, 3)
    npix = len(hkl)
    pulse = 10_000_000 + np.arange(shots) * 2
    laser = np.arange(shots) % 4 != 3
    i0 = rng.gamma(20, 1 / 20, shots)
    step = 0.04
    nominal_ps = rng.integers(-5, 100, shots) * step
    jitter = rng.normal(0, 0.03, shots)
    true = nominal_ps + jitter
    edge = 400 + (-jitter + rng.normal(0, 0.004, shots)) / 0.002  # tt.sign = -1
    amplitude = np.where(laser, rng.normal(1.0, 0.1, shots), 0.0)
    bad_tt = laser & (rng.random(shots) < 0.03)
    amplitude[bad_tt] = 0.02
    edge[bad_tt] = rng.uniform(0, 1000, bad_tt.sum())
    edge[~laser] = np.nan
    stage_mm = 150.0 - nominal_ps / 6.671281903963  # sign: 2 mm of path = 6.67 ps
    _, _, _, intensity = traces(before, after, hkl, 300.0, np.zeros(1), 0.3)
    photons = np.clip(12 * intensity / np.median(intensity), 2, 60)
    y = np.zeros((npix, shots))
    y[:, laser] = traces(before, after, hkl, 300.0, true[laser], 0.3)[0]
    counts = rng.poisson(photons[:, None] * (1 + y) * i0).T.reshape(shots, modules * rows, cols)
    shape = (modules * rows, cols)
    gains = np.stack([rng.normal(40, 0.8, shape), rng.normal(-1.4, 0.02, shape), rng.normal(-0.1, 0.002, shape)])
    pedestal = np.stack([rng.normal(3000, 50, shape), rng.normal(14500, 50, shape), rng.normal(14000, 50, shape)])
    kev = counts * ENERGY_KEV + rng.normal(0, 0.3, counts.shape)
    stage = np.where(kev * gains[0] + pedestal[0] > 15500, 1, 0)
    words = np.empty(counts.shape, "u2")
    for g, code in ((0, 0), (1, 1)):
        adu = np.clip(np.rint(kev * gains[g] + pedestal[g]), 0, 16383).astype("u2")
        sel = stage == g
        words[sel] = adu[sel] | (code << 14)
    pixel_mask = np.zeros(shape, "i8")
    pixel_mask[3, 5] = 1
    pixel_mask[20:24, 8:12] = 4  # one whole 4x4 group
    daq = np.where(laser, 1 << 16, 0).astype("u4") | (1 << 18)
    good = np.ones(shots, "u1")
    good[17] = 0
    det = "JF07T02V01"
    with h5py.File(f"{folder}/acq0001.{det}.h5", "w") as f:
        f["general/detector_name"] = det
        g = f.create_group(f"data/{det}")
        keep = np.arange(shots) != 40  # one frame lost by the detector
        kwargs = {"compression": 32008, "compression_opts": (0, 2)} if compress else {}
        g.create_dataset("data", data=words[keep], chunks=(1, *shape), **kwargs)
        g["pulse_id"] = pulse[keep].astype("u8")[:, None]
        g["frame_index"] = np.arange(keep.sum(), dtype="u8")[:, None]
        g["daq_rec"] = np.repeat(daq[keep][:, None], modules, 1)
        g["is_good_frame"] = good[keep][:, None]
        g["module_map"] = np.arange(modules, dtype="i8")
    with h5py.File(f"{folder}/acq0001.BSDATA.h5", "w") as f:
        def channel(name, values, order):
            f[f"data/{name}/data"] = values[order]
            f[f"data/{name}/pulse_id"] = pulse[order].astype("i8")
        everything = np.arange(shots)
        channel("SAROP21-PBPS133:INTENSITY", i0 * 3.5, rng.permutation(everything))
        channel("SLAAR21-LMOT-M523:MOTOR_1.VAL", stage_mm, np.r_[everything, 7, 8])  # identical duplicates
        channel("SAROP21-ATT01:edge_position", edge, everything[everything != 99])
        channel("SAROP21-ATT01:edge_amplitude", amplitude, everything)
        f["data/general/created"] = "stray"
    with h5py.File(f"{folder}/gains.h5", "w") as f:
        f["gains"] = np.concatenate([gains, gains[:1]])
    with h5py.File(f"{folder}/pedestal_20260101.{det}.res.h5", "w") as f:
        f["gains"] = pedestal
        f["gainsRMS"] = np.ones_like(pedestal)
        f["pixel_mask"] = pixel_mask
    config = base_config(before, "detector.geom")
    config["geometry"]["goniometer"][0]["angle_deg"] = 5.0
    config["input"] = {
        "layout": "swissfel", "files": ["acq0001.*.h5"], "frames": det, "i0": "SAROP21-PBPS133:INTENSITY",
        "laser": "daq_rec",
        "delay": {"parts": [{"source": "SLAAR21-LMOT-M523:MOTOR_1.VAL", "scale_ps": 6.671281903963, "origin": 150.0}],
                  "sign": -1, "zero_ps": 0.0,
                  "time_tool": {"source": "SAROP21-ATT01:edge_position", "sign": 1, "origin": 400,
                                "coefficients_ps": [0.0, 0.002]}},
        "calibration": {"pedestal": f"pedestal_20260101.{det}.res.h5", "gain": "gains.h5"}}
    config["select"] = {"i0": {"min": 0.7, "max": 10.5},
                        "time_tool": {"source": "SAROP21-ATT01:edge_amplitude", "min": 0.5}}
    config["reduce"] = {"delay_bins_ps": {"start": -0.2, "stop": 3.96, "step": step}, "spatial_bin": k}
    with open(f"{folder}/xani.yaml", "w") as f:
        yaml.safe_dump(config, f, sort_keys=False)
    tt_ps = 0.002 * (edge - 400)
    measured = -(6.671281903963 * (stage_mm - 150.0) + tt_ps)
    return {"config": config, "pulse": pulse, "laser": laser, "i0": i0 * 3.5, "delay": measured, "words": words,
            "gains": gains, "pedestal": pedestal, "mask": pixel_mask, "amplitude": amplitude, "good": good,
            "hkl": hkl.reshape(*shape, 3), "shape": shape, "lost": {17, 40}, "no_edge": {99}, "step": step, "k": k,
            "modules": modules, "rows": rows}
