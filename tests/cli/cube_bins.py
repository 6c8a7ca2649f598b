#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""cube_bins.py XANI SCRATCH -- which bins of several field cubes are the same: those of one scan are added although the
mean delays of their shots differ, those of different scans stay side by side and are told.  Prints TAP.
"""
import os

from harness import new_folder, r, write_config, xani

import h5py
import numpy as np

import shots

rng = np.random.default_rng(3)
STEP, NB, NY, NX = 0.05, 60, 4, 5


def write(where, number, delays, shots_each=8):
    n = np.full(len(delays), float(shots_each))
    i0 = n * rng.uniform(0.9, 1.1, len(n))
    imgs = rng.poisson(200 * i0[:, None, None], (len(n), NY, NX)).astype(float)
    for half in ("on", "off"):
        with h5py.File(f"{where}/run{number:04d}_{half}.h5", "w") as f:
            f["scan_var"], f["imgs"], f["i0"], f["bin_counts"] = delays, imgs, i0, n
    return {"delay": np.asarray(delays, float), "imgs": imgs, "i0": i0, "n": n}


def added(where):
    """delay, R_on of the cube of all pairs of a folder (divided by the off sums), and what was said."""
    config = {"input": {"layout": "cube", "files": [f"{where}/run*_on.h5"], "delay": {"sign": 1, "zero_ps": 0}}}
    code, err = shots.reduce(write_config(f"{where}/all.yaml", config), f"{where}/all.h5")
    if code != 0:
        return np.zeros(0), np.zeros(0), err
    with h5py.File(f"{where}/all.h5") as f:
        return f["entry/cube/delay"][()], f["entry/cube/signal"][()], err


def same(what, where, cubes, order, bins=NB):
    """Bins order[k] of cube k are one: sums over sums, delay weighted by shots."""
    delay, signal, err = added(where)
    whole = lambda key: sum(c[key][o] for c, o in zip(cubes, order))
    off = sum(c["imgs"].sum(axis=0) for c in cubes) / sum(c["i0"].sum() for c in cubes)
    mean = sum((c["delay"] * c["n"])[o] for c, o in zip(cubes, order)) / whole("n")
    want = whole("imgs") / whole("i0")[:, None, None] / off - 1
    good = len(delay) == bins and np.allclose(delay, mean, atol=1e-12) and np.allclose(signal, want, atol=1e-6)
    r.ok(good and "side by side" not in err and f"{len(cubes)} cubes are added to one of {bins} bins" in err, f"{what}: {len(delay)} bins; {err.strip()[-250:]}")


grid = STEP * np.arange(NB)
mean = lambda n=8: grid + STEP * rng.uniform(-0.5, 0.5, (NB, n)).mean(axis=1)
straight = np.arange(NB)

# ---- the same bins

where = new_folder("two")
same("mean delays of the same bins", where, [write(where, k, mean()) for k in (1, 2)], [straight] * 2)
where = new_folder("three")
mixed = [rng.permutation(NB) for _ in range(3)]  # in no order
cubes = [write(where, k, mean()[mixed[k - 1]]) for k in (1, 2, 3)]
same("three cubes in no order", where, cubes, [np.argsort(m) for m in mixed])
where = new_folder("few")
same("few shots move some means by more than half a step", where, [write(where, k, mean(4)) for k in (1, 2)], [straight] * 2)
where = new_folder("edges")
uneven = np.sort(rng.uniform(0, 3, NB))
uneven = np.cumsum(np.diff(uneven, prepend=0) + 0.02)
same("bins that are not even", where, [write(where, k, uneven + 0.002 * rng.uniform(-1, 1, NB)) for k in (1, 2)], [straight] * 2)
where = new_folder("shift")
same("a stage that is off by a tenth of a step", where, [write(where, 1, grid), write(where, 2, grid + 0.1 * STEP)], [straight] * 2)
where = new_folder("lacking")
one, two = mean(), np.delete(mean(), [17, 40])
write(where, 1, one), write(where, 2, two)
delay, _, err = added(where)
r.ok(len(delay) == NB and "2 of the 60 bins of 2 cubes" in err and "side by side" in err and "warning" not in err, f"bins that one cube lacks: {len(delay)}; {err.strip()[-250:]}")

# ---- others

for what, more in (("a third", [1 / 3]), ("a half", [1 / 2]), ("two thirds and a third", [2 / 3, 1 / 3])):
    where = new_folder(what.replace(" ", "_"))
    n = len(more) + 1
    write(where, 1, grid)
    for k, part in enumerate(more):
        write(where, k + 2, grid + part * STEP)
    delay, _, err = added(where)
    uneven = what == "a third"  # gaps of one and of two thirds of a step
    r.ok(len(delay) == n * NB and f"of the {n * NB} bins of {n} cubes" in err and "side by side" in err and ("warning" in err) <= uneven,
         f"scans shifted by {what} of a step stay side by side: {len(delay)}; {err.strip()[-250:]}")
where = new_folder("steps")
other = 1.15 * grid[:50] + 1e-4
write(where, 1, grid), write(where, 2, other)
delay, _, err = added(where)
near = np.abs(grid[:, None] - other).min(axis=1)
r.ok(len(delay) == NB + 50 - (near < 0.05 * STEP).sum() and np.diff(delay).min() > 0.05 * STEP / 1.01 and "warning" in err and "side by side, unevenly" in err and "reduce.delay_bins_ps.edges" in err,
     f"other steps: bins that nearly coincide are one, the rest is told: {len(delay)}; {err.strip()[-300:]}")
where = new_folder("behind")
write(where, 1, grid), write(where, 2, grid + NB * STEP)
delay, _, err = added(where)
r.ok(len(delay) == 2 * NB and "side by side" not in err, f"one scan behind the other: {len(delay)}; {err.strip()[-200:]}")
where = new_folder("single")
for k in range(4):
    write(where, k + 1, [0.1 * k + 0.003 * (k == 3)])
delay, _, err = added(where)
r.ok(np.allclose(delay, [0, 0.1, 0.2, 0.303]) and "side by side" not in err, f"a cube per delay: {delay}")

# ---- what xani writes of two runs

e = shots.Experiment(shots=900, seed=5)
where = new_folder("written")
for k in range(2):
    with h5py.File(f"{where}/data{k}.nxs", "w") as f:
        g, part = f.create_group("entry/data"), slice(k, None, 2)
        f.attrs["default"], f["entry"].attrs["default"], g.attrs["signal"] = "entry", "data", "data"
        g["data"], g["i0"], g["laser"] = e.photons.astype("u2")[part], e.i0[part], e.on.astype("u1")[part]
        g["stage"], g["edge"], g["ids"] = e.stage_mm[part], e.edge_px[part], np.arange(1, e.n + 1)[part]
    config = e.config("nexus", [f"{where}/data{k}.nxs"], i0="entry/data/i0", laser="entry/data/laser", ids="entry/data/ids",
                      delay=e.delay("entry/data/stage", "entry/data/edge"), calibration={"photons_per_unit": 1})
    config["reduce"]["delay_bins_ps"] = {"start": -1, "stop": 3, "step": 0.02}  # one shot or two in a bin
    config["output"] = {"field_cubes": True}
    os.makedirs(f"{where}/{k}")
    code, err = shots.reduce(write_config(f"{where}/{k}.yaml", config), f"{where}/{k}/cube.h5")
    r.ok(code == 0, f"run {k}: {err.strip()[-200:] if code else ''}")
code, _, err = xani("merge", f"{where}/0/cube.h5", f"{where}/1/cube.h5", "-o", f"{where}/merged.h5")
r.ok(code == 0, f"merge: {err.strip()[-200:]}")
for sign in (1, -1):
    config = {"input": {"layout": "cube", "files": [f"{where}/{k}/run0001_on.h5" for k in range(2)], "delay": {"sign": sign, "zero_ps": 0.25}}}
    code, err = shots.reduce(write_config(f"{where}/back.yaml", config), f"{where}/back{sign}.h5")
    with h5py.File(f"{where}/merged.h5") as a, h5py.File(f"{where}/back{sign}.h5") as b:
        d, y = b["entry/cube/delay"][()], b["entry/cube/signal"][()]
        want = a["entry/cube/delay"][()], a["entry/cube/signal"][()]
        good = d.shape == want[0].shape and y.shape == want[1].shape
        good = good and np.allclose(d, (sign * want[0] - 0.25)[::sign], atol=1e-6) and np.allclose(y, want[1][::sign], atol=2e-5, equal_nan=True)
        r.ok(good, f"field cubes of two runs, sign {sign}: as xani merge adds them: {d.shape} {want[0].shape}; {err.strip()[-200:]}")

r.end()
