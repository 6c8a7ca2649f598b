#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""sim.py XANI SCRATCH -- what `xani sim` writes, read by h5py and judged by the independent model of physics.py.

Geometry, crystal dynamics, squeezing law, JUNGFRAU words and delays are worked out here by hand; the raw files alone
must then give back the traces that truth.h5 promises.  Prints TAP.  Exit 77 when h5py is missing.
"""

from harness import SCRATCH, r, xani

import h5py
import numpy as np
import yaml

import physics
import walk

ENERGY, DISTANCE, PIXEL, ROWS, COLS, GAP = 11.0, 60.0, 0.8, 24, 32, 4
CENTRE, TILT, ANGLES = (10.0, -12.0), 0.4, (17.0, -6.0)
ORIENTATION = physics.rotation([0.2, -0.4, 1.0], 63.0)
DAMPING = (0.2, 0.4, 0.7)
FACTOR, TEMPERATURE, SHOTS = 0.75, 300.0, 1600
CONFIG = {
    "experiment": {"energy_kev": ENERGY},
    "geometry": {"distance_mm": DISTANCE, "cell": [3.61] * 3 + [90] * 3,
                 "orientation": [[float(v) for v in row] for row in ORIENTATION],
                 "goniometer": [{"axis": [0, 1, 0]}, {"axis": [1, 0, 0], "sign": -1}]},
    "runs": [{"name": "tilted", "angle_deg": list(ANGLES)}],
    "map": {"crystal": {"cell": [3.61] * 3 + [90] * 3, "centring": "F"}},
    "reduce": {"delay_bins_ps": {"start": -0.2, "stop": 2, "step": 0.04}},
    "sim": {"seed": 4, "layouts": ["swissfel", "cube_noiseless"], "crystal": "cu_49k", "temperature_k": TEMPERATURE,
            "softening": [{"shell": "110", "factor": FACTOR}], "damping_per_ps": list(DAMPING),
            "background": {"fraction": 0.2}, "photons": 25, "shots": SHOTS, "delay": {"start": -0.2, "stop": 2},
            "detector": {"modules": [2, 1], "shape": [ROWS, COLS], "gap_px": [GAP, GAP], "pixel_mm": PIXEL,
                         "centre_px": list(CENTRE), "tilt_deg": TILT, "name": "JF07T02V01"}},
}


def pixel_hkl():
    k = 2 * np.pi * ENERGY / 12.398419843320026
    j, i = np.meshgrid(np.arange(COLS) + 0.5, np.arange(ROWS) + 0.5)
    r = np.empty((2 * ROWS, COLS, 3))
    for m, turn in ((0, np.radians(TILT)), (1, -np.radians(TILT))):
        block = r[m * ROWS:(m + 1) * ROWS]
        block[..., 0] = (-CENTRE[0] + np.cos(turn) * j - np.sin(turn) * i) * PIXEL
        block[..., 1] = (m * (ROWS + GAP) - CENTRE[1] + np.sin(turn) * j + np.cos(turn) * i) * PIXEL
    r[..., 2] = DISTANCE
    q = r / np.linalg.norm(r, axis=-1, keepdims=True)
    polarisation = 1 - q[..., 0] ** 2
    cosine = q[..., 2].copy()
    q[..., 2] -= 1
    rotation = physics.rotation([0, 1, 0], ANGLES[0]) @ physics.rotation([1, 0, 0], -ANGLES[1])
    ub = ORIENTATION * (2 * np.pi / 3.61)
    return k * q @ np.linalg.inv(rotation @ ub).T, polarisation * cosine ** 3


def expected_trace(t, nu, plus, minus, dilution):
    """y (pixel, t) with damped pair and combination lines, continuous at t = 0."""
    y = np.zeros((len(nu), len(t)))
    on, tp = t >= 0, np.maximum(t, 0)
    for j in range(3):
        for k in range(3):
            g = (DAMPING[j] + DAMPING[k]) / 2
            for amplitude, f in ((plus, nu[:, j] + nu[:, k]), (minus, nu[:, j] - nu[:, k])):
                if amplitude is minus and j == k:
                    continue
                y += amplitude[:, j, k, None] * np.where(on, np.exp(-g * tp) * np.cos(2 * np.pi * f[:, None] * tp) - 1, 0)
    return y * dilution[:, None]


def check_truth(folder):
    hkl, factor = pixel_hkl()
    flat = hkl.reshape(-1, 3)
    before, after = physics.Crystal("cu_49"), physics.Crystal("cu_49", FACTOR)
    nu, plus, minus, _ = physics.lines(before, after, flat, TEMPERATURE)
    with h5py.File(f"{folder}/truth.h5") as f:
        g = f["entry/tilted"]
        truth = {n: g[n][()] for n in ("hkl", "nu", "amplitude", "damping", "photons", "dilution")}
        r.ok(yaml.safe_load(walk.text(f["entry/configuration"][()]))["sim"]["seed"] == 4, "truth: the configuration as given")
        r.ok(g["nu"].attrs["units"] in ("THz", b"THz") and g["damping"].attrs["units"] in ("1/ps", b"1/ps"), "truth: units")
        for when in ("before", "after"):
            r.ok(f[f"entry/force_constants_{when}/tensor"].shape[1:] == (3, 3), f"truth: force constants {when}")
    shape = (2 * ROWS, COLS)
    r.ok(truth["hkl"].shape == (*shape, 3) and np.abs(truth["hkl"] - hkl).max() < 2e-6,
         f"truth: hkl against geometry by hand, {np.abs(truth['hkl'] - hkl).max():.1e}")
    r.ok(np.abs(truth["nu"].reshape(-1, 3) - nu).max() < 1e-5, "truth: nu against independent crystal dynamics")
    pair = np.einsum("njj->nj", plus) * truth["dilution"].reshape(-1, 1)
    apart = np.diff(np.sort(nu, -1), axis=-1).min(-1) > 0.05
    r.ok(apart.mean() > 0.9 and np.abs(truth["amplitude"].reshape(-1, 3) - pair)[apart].max() < 1e-5,
         "truth: amplitudes of the pair lines, negative for softening")
    r.ok(np.allclose(truth["damping"], DAMPING), "truth: damping")
    ratio = truth["photons"] * truth["dilution"] / factor
    q2 = (hkl ** 2).sum(-1)
    r.ok(np.isfinite(ratio).all() and (q2 > 0).all() and abs(np.median(truth["photons"]) - 25) < 0.2, "truth: brightness")
    return truth, (nu, plus, minus)


def check_noiseless(folder, truth, lines):
    y = None
    with h5py.File(f"{folder}/run0001_on.h5") as on, h5py.File(f"{folder}/run0001_off.h5") as off:
        t = on["scan_var"][()]
        y = (on["imgs"][()] / on["i0"][()][:, None, None]) / (off["imgs"][0] / off["i0"][0]) - 1
        r.ok(np.allclose(t, -0.2 + 0.04 * (np.arange(55) + 0.5)), "noiseless: delays are the centres of the bins")
    wanted = expected_trace(t, *lines, truth["dilution"].reshape(-1)).T.reshape(y.shape)
    r.ok(np.abs(y - wanted).max() < 5e-6, f"noiseless: traces against the independent law, {np.abs(y - wanted).max():.1e}")
    return t, wanted


def joined(f, name, pulse):
    """Values of a channel at the pulses; NaN where it has none."""
    ids, values = f[f"data/{name}/pulse_id"][()], f[f"data/{name}/data"][()]
    at = np.searchsorted(ids, pulse)
    hit = (at < len(ids)) & (ids[np.minimum(at, len(ids) - 1)] == pulse)
    return np.where(hit, values[np.minimum(at, len(ids) - 1)], np.nan)


def check_raw(folder, truth, lines):
    det = "JF07T02V01"
    with open(f"{folder}/xani.yaml", encoding="utf-8") as f:
        rule = yaml.safe_load(f)["input"]
    with h5py.File(f"{folder}/tilted.{det}.h5") as f:
        d = f[f"data/{det}"]
        data = d["data"]
        plist = data.id.get_create_plist()
        r.ok(data.dtype == "u2" and data.chunks == (1, 2 * ROWS, COLS) and plist.get_filter(0)[0] == 32008,
             "raw: uint16, one frame per chunk, bitshuffle")
        pulse, good = d["pulse_id"][:, 0].astype("i8"), d["is_good_frame"][:, 0]
        daq = d["daq_rec"][()]
        r.ok(daq.shape == (len(pulse), 2) and d["module_map"].shape == (2,), "raw: daq_rec and module_map per module")
        words = data[()]
        r.ok(walk.text(f["general/detector_name"][()]) == det, "raw: detector name")
    with h5py.File(f"{folder}/tilted.BSDATA.h5") as f:
        i0 = joined(f, rule["i0"], pulse)
        part, tool = rule["delay"]["parts"][0], rule["delay"]["time_tool"]
        stage, edge = joined(f, part["source"], pulse), joined(f, tool["source"], pulse)
        amplitude = joined(f, "SAROP21-ATT01:edge_amplitude", pulse)
        events = f["data/SAR-CVME-TIFALL5:EvtSet/data"][()]
        ids = f["data/SAR-CVME-TIFALL5:EvtSet/pulse_id"][()]
    with h5py.File(f"{folder}/{rule['calibration']['gain']}") as f:
        gains = f["gains"][()]
    with h5py.File(f"{folder}/{rule['calibration']['pedestal']}") as f:
        pedestal, mask = f["gains"][()], f["pixel_mask"][()]
    r.ok(gains.shape[0] == 4 and pedestal.shape[0] == 3 and 0 < (mask != 0).sum() < 40, "raw: gains, pedestals, a few bad pixels")
    code = words >> 14
    r.ok(not (code == 2).any() and (code == 1).any(), "raw: gain codes 0, 1, 3; bright pixels switch")
    stage_of = np.where(code == 3, 2, code)
    y, x = np.indices(mask.shape)
    photons = ((words & 0x3FFF) - pedestal[stage_of, y, x]) / gains[stage_of, y, x] / ENERGY
    on, dark = (daq[:, 0] >> 16 & 1) == 1, (daq[:, 0] >> 17 & 1) == 1
    r.ok(abs(on.mean() - 0.75) < 0.01 and 0 < dark.sum() < 30 and len(pulse) < SHOTS, "raw: laser pattern, dark shots, lost frames")
    event = events[np.searchsorted(ids, pulse)]
    r.ok((event[:, 20] == on).all() and ((event[:, 25] == 0) == on).all(), "raw: event codes agree with daq_rec")
    tt = tool["sign"] * np.polynomial.polynomial.polyval(edge - tool["origin"], tool["coefficients_ps"])
    delay = rule["delay"]["sign"] * (part["scale_ps"] * (stage - part["origin"]) + tt) - rule["delay"]["zero_ps"]
    with h5py.File(f"{folder}/truth.h5") as f:
        s = f["entry/tilted/shots"]
        true_delay = s["delay"][()][np.searchsorted(s["pulse_id"][()], pulse)]
    use = (good == 1) & ~dark & np.isfinite(i0)
    found = use & on & (amplitude > 0.4) & np.isfinite(delay)
    miss = (delay - true_delay)[found]
    r.ok(np.abs(miss.mean()) < 0.002 and abs(miss.std() - 0.015) < 0.002, f"raw: delays to the time tool's noise, {miss.std():.4f} ps")
    fine = mask == 0
    off_sum = photons[use & ~on].sum(0) / i0[use & ~on].sum()
    brightness = off_sum / np.median(off_sum[fine]) * 25
    deviation = (brightness / truth["photons"] - 1)[fine]
    r.ok(abs(np.median(deviation)) < 0.01 and deviation.std() < 0.02, "raw: laser-off frames have the expected brightness")
    # the whole chain: summed frames against the truth, delay by delay
    edges = -0.2 + 0.04 * np.arange(56)
    chi2, samples, swing = 0.0, 0, 0.0
    groups = fine & (truth["photons"] < 200)
    for b in range(8, 52):
        pick = found & (delay >= edges[b]) & (delay < edges[b + 1])
        if pick.sum() < 4:
            continue
        weight = i0[pick] / i0[pick].sum()
        wanted = sum(w * expected_trace(np.array([t]), *lines, truth["dilution"].reshape(-1))[:, 0]
                     for w, t in zip(weight, true_delay[pick])).reshape(fine.shape)
        ratio = photons[pick].sum(0) / i0[pick].sum() / off_sum
        counts = truth["photons"] / 3.5 * i0[pick].sum() * (1 + wanted)  # 3.5: the monitor's scale
        counts_off = truth["photons"] / 3.5 * i0[use & ~on].sum()
        error = (1 + wanted) * np.sqrt(1 / counts + 1 / counts_off)
        chi2 += (((ratio - 1 - wanted) / error)[groups] ** 2).sum()
        samples += groups.sum()
        swing = max(swing, np.abs(wanted[groups]).max())
    r.ok(samples > 40000 and swing > 0.1 and abs(chi2 / samples - 1) < 0.05,
         f"raw: summed frames follow the truth, chi2 {chi2 / max(samples, 1):.3f} over {samples} samples")


with open(f"{SCRATCH}/sim.yaml", "w", encoding="utf-8") as f:
    yaml.safe_dump(CONFIG, f, sort_keys=False)
code, _, err = xani("sim", f"{SCRATCH}/sim.yaml", "-o", f"{SCRATCH}/raw")
if r.ok(code == 0, f"xani sim ends with 0 {err.strip()[-300:]}"):
    truth, lines = check_truth(f"{SCRATCH}/raw")
    r.guard("noiseless", check_noiseless, f"{SCRATCH}/raw", truth, lines)
    if h5py.h5z.filter_avail(32008):
        r.guard("raw", check_raw, f"{SCRATCH}/raw", truth, lines)
    else:
        r.skip("raw", "HDF5 has no bitshuffle plugin here (Debian: bitshuffle)")
r.end()
