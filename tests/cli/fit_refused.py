#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""fit_refused.py XANI SCRATCH -- cubes that cannot be fitted are refused with file, dataset or key; what a fit tells.

Cubes are written with h5py: without pixels or delays, with weights below 0 or all 0, with a negative time resolution, and
with delays that the window asked for does not hold.  None may end in a signal or in a result of pixels with too few
delays.  Prints TAP.
"""
import json
import os

from harness import SCRATCH, r, xani

import h5py
import numpy as np

CUBE, MODES = f"{SCRATCH}/cube.h5", f"{SCRATCH}/modes.h5"
rng = np.random.default_rng(5)


def write(shape=(80, 3, 4), weight=None, resolution=None):
    t = 0.05 * np.arange(shape[0]) + 0.025
    y = 0.01 * rng.standard_normal(shape)
    if y.size:
        y[:, 0, 1:] += 0.1 * np.cos(2 * np.pi * 2.5 * t)[:, None]
    with h5py.File(CUBE, "w") as f:
        f["entry/cube/signal"], f["entry/cube/delay"] = y.astype("f4"), t
        f["entry/mask"] = np.zeros(shape[1:], "u4")
        if y.size:
            f["entry/mask"][2, 3] = 1
        f["entry/spatial_bin"] = 1
        if weight is not None:
            f["entry/bins/weight"] = np.asarray(weight, "f8")
        if resolution is not None:
            f["entry/time_resolution"] = float(resolution)


def fit(*args):
    if os.path.exists(MODES):
        os.remove(MODES)
    return xani("fit", CUBE, "-o", MODES, *args)


def refused(what, code, words, *args):
    got, _, err = fit(*args)
    lines = [line for line in err.splitlines() if line.startswith("xani: ")]
    good = got == code and len(lines) == 1 and all(w in lines[0] for w in words) and not os.path.exists(MODES)
    r.ok(good, f"refused, {what}: {got} {err.strip()}")


for shape in (80, 3, 0), (80, 0, 4), (0, 0, 0), (0, 3, 4):
    write(shape)
    for args in [], ["--model", "constant"], ["--set", "fit.modes_max=0"], ["--set", "fit.start=neighbours"]:
        refused(f"a cube of {shape} {args}", 3, [CUBE, "/entry/cube/signal"], *args)

    refused(f"a dataset of {shape}", 3, [CUBE, "/entry/cube/signal"], "--model", "constant", "--data",
            "/entry/cube/signal", "--axis", "0")

write(weight=np.r_[1, -1, np.ones(78)])
refused("a negative weight", 3, [CUBE, "/entry/bins/weight"])
refused("a negative weight, of a model", 3, [CUBE, "/entry/bins/weight"], "--model", "constant")
write(weight=np.zeros(80))
refused("weights of 0", 3, ["/entry/bins/weight"])
refused("weights of 0, of a model", 3, ["/entry/bins/weight"], "--model", "constant")
write(resolution=-0.1)
refused("a negative time resolution", 3, [CUBE, "/entry/time_resolution"])
write()
refused("a window behind the delays", 2, ["fit.delay_ps", "0.025 to 3.975 ps"], "--set", "fit.delay_ps=[7, 9]")

code, out, err = fit("--json")
said = json.loads(out)
with h5py.File(MODES) as f:
    status = np.bincount(f["entry/fit_status"][()].ravel(), minlength=6)
names = ["modes", "none", "masked", "few_delays", "not_converged", "at_bound"]
r.ok(code == 0 and said["pixels"] == 12 and [said["fit_status"][k] for k in names] == list(status),
     f"--json counts pixels by fit_status: {out} {status}")

code, _, err = fit("--model", "damped_cosines1 + constant", "--param", "frequency1=2.5")
with h5py.File(MODES) as f:
    units = {k: v.attrs.get("units") for k, v in f["entry/fit"].items() if isinstance(v, h5py.Dataset)}
    chi2 = f["entry/chi2_reduced"].attrs.get("units")
want = {"frequency1": "THz", "damping1_errors": "1/ps", "phase1": "rad"}
r.ok(code == 0 and chi2 == "" and all(units.get(k) == u for k, u in want.items()), f"units of a model: {units} {err}")

r.end()
