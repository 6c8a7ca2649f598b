#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""index.py XANI SCRATCH -- an orientation 0.3 degrees off is noticed by xani index and refined back to 0.02 degrees on simulated
mean frames of two sample angles; the true one is left alone; what cannot be refined is refused.  Prints TAP.
"""
import glob
import json

from harness import SCRATCH, r, xani

import h5py
import numpy as np

U = np.array([[0.1417157, 0.9771205, 0.1585946], [0.1574859, 0.1359166, -0.9781231], [-0.9772998, 0.1635918, -0.1346212]])
CONFIG = """experiment: {energy_kev: 11}
sim:
  seed: 3
  layouts: [cube]
  crystal: cu_296k
  background: {fraction: 0.1}
  photons: 100
  shots: 400
  off_every: 2
  delay: {start: -0.4, stop: 0.4, sweeps: 2}
  detector: {modules: [2, 2], shape: [32, 64], gap_px: [66, 133], pixel_mm: 0.3, centre_px: [100, -35]}
geometry:
  distance_mm: 60
  orientation: %s
  goniometer: [{axis: [0, 1, 0]}]
runs:
  - {name: a, angle_deg: [-6]}
  - {name: b, angle_deg: [5]}
map: {crystal: {cell: [3.61, 3.61, 3.61, 90, 90, 90], space_group: Fm-3m, basis: [{element: Cu, position: [0, 0, 0]}]}}
reduce: {delay_bins_ps: {start: -0.4, stop: 0.4, step: 0.1}}
""" % json.dumps(U.tolist())


def turned(axis, degrees):
    a, t = np.array(axis) / np.linalg.norm(axis), np.radians(degrees)
    k = np.array([[0, -a[2], a[1]], [a[2], 0, -a[0]], [-a[1], a[0], 0]])
    return (np.eye(3) + np.sin(t) * k + (1 - np.cos(t)) * k @ k) @ U


def angle(a, b):
    """Degrees between two orientations."""
    return np.degrees(2 * np.arcsin(min(1, np.linalg.norm(a - b) / np.sqrt(8))))


with open(f"{SCRATCH}/sim.yaml", "w") as f:
    f.write(CONFIG)
code, out, err = xani("sim", f"{SCRATCH}/sim.yaml", "-o", f"{SCRATCH}/raw")
r.ok(code == 0, f"simulated: {code} {err[-200:] if code else ''}")
config = f"{SCRATCH}/raw/xani.yaml"


def index(orientation, *more):
    code, out, err = xani("index", config, "--json", "--set", f"geometry.orientation={json.dumps(np.array(orientation).tolist())}", *more)
    return code, json.loads(out) if out.startswith("{") else {}, err


code, answer, err = index(U)
if r.ok(code == 0, f"index: {code} {err}"):
    r.ok(answer["off_by_deg"] < 0.02 and "right" in answer["verdict"], f"the true orientation: {answer['verdict']}, {answer['off_by_deg']:.4f} degrees")
wrong = turned([1, 2, -1], 0.3)
code, answer, err = index(wrong)
if r.ok(code == 0, f"index, 0.3 degrees off: {code} {err}"):
    away = angle(np.array(answer["orientation"]), U)
    r.ok(abs(angle(wrong, U) - 0.3) < 1e-6 and away < 0.02, f"refined to {away:.4f} degrees from the truth")
    r.ok("off" in answer["verdict"] and abs(answer["off_by_deg"] - 0.3) < 0.02, f"noticed: {answer['verdict']}, {answer['off_by_deg']:.4f}")
    r.ok(away < 5 * answer["error_deg"] < 0.1, f"its error is {answer['error_deg']:.4f} degrees")
    r.ok(answer["chi2_after"] < answer["chi2_before"], f"chi^2 {answer['chi2_before']:.4f} to {answer['chi2_after']:.4f}")
with open(f"{SCRATCH}/raw/detector.geom") as f, open(f"{SCRATCH}/raw/beside.geom", "w") as to:
    to.writelines(f"{key}= {float(v) + 1.5}\n" if key.rstrip().endswith("corner_x") else line
                  for line in f for key, _, v in [line.partition("=")])
for what, key, words, moved in (("1 mm nearer", "geometry.distance_mm=59", "another distance", ("along_normal_mm", 1.0)),
                                ("1.5 pixels beside", "geometry.file=beside.geom", "another beam centre", ("across_mm", 0.45))):
    code, answer, err = index(U, "--set", key, "--set", "geometry.index.points=4000")
    if r.ok(code == 0, f"a detector {what}: {code} {err}"):
        shift = answer["detector_shift"]
        r.ok(words in answer["verdict"] and "do not take" in answer["verdict"] and abs(shift[moved[0]] - moved[1]) < 0.1
             and shift["chi2_after"] < 0.5 * answer["chi2_after"],
             f"a detector {what}: {answer['verdict']}; {shift}, chi^2 {answer['chi2_before']:.3f}, rotated {answer['chi2_after']:.3f}")
few = ["--set", "geometry.index.points=4000", "--set", "geometry.index.shots=200"]
code, warm, err = index(U, *few, "--set", "map.force_constants.temperature_k=326")  # the crystal has 296
r.ok(code == 0 and warm["off_by_deg"] < 0.05, f"a temperature wrong by 30 K turns the crystal by {warm.get('off_by_deg', 9):.4f} degrees")
code, cold, err = index(U, *few, "--set", "map.force_constants.temperature_k=326", "--set", "geometry.index.temperature_k=296")
r.ok(code == 0 and cold["chi2_after"] < warm["chi2_after"], "geometry.index.temperature_k goes before map.force_constants.temperature_k")
code, answer, err = index(U, "--set", "map.crystal.basis=[{element: Au, position: [0, 0, 0]}]")
r.ok(code == 2 and "map.force_constants" in err, f"a crystal without force constants is refused: {code} {err.strip()}")
code, answer, err = index([[1, 0, 0], [0, 1, 0], [0, 0, 0]])
r.ok(code == 2 and "geometry.orientation" in err, f"no rotation: {code} {err.strip()}")

# ---- fluorescence, which no polarisation weakens anywhere, turns no crystal
with open(f"{SCRATCH}/raw/detector.geom") as f:
    corner = {k.strip(): float(v) for line in f for k, _, v in [line.partition("=")] if "corner" in k}
ss, fs = np.indices((32, 64)) + 0.5
at = np.concatenate([np.stack([corner[f"m{m}/corner_x"] + fs, corner[f"m{m}/corner_y"] + ss, np.full(fs.shape, 200.0)], -1) for m in range(4)])
solid = 200.0 / np.linalg.norm(at, axis=-1) ** 3  # pixels; 60 mm are 200
for path in glob.glob(f"{SCRATCH}/raw/run*_o*.h5"):
    with h5py.File(path, "a") as f:
        light = 30 * solid / solid.mean() * f["i0"][()].reshape(-1, 1, 1)
        f["imgs"][...] = f["imgs"][()] + np.random.default_rng(5).poisson(np.broadcast_to(light, f["imgs"].shape))
code, answer, err = index(U)
r.ok(code == 0 and answer["off_by_deg"] < 0.02 and "right" in answer["verdict"], f"fluorescence: {answer.get('verdict')}, {answer.get('off_by_deg', 9):.4f} degrees")
r.end()
