#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""layout_lcls_cube.py XANI SCRATCH -- LCLS cubes of both generations, typed from formats.md 1.2 and 1.3.

Sums become means by the right counts, edges are left ones of a single axis and right ones of several, empty bins are NaN,
files that are being written are refused, LCLS-II bins come out of order with a row of the root per label; cuPhoton's
spelling is the first generation's without its means.  Signal and delays equal NumPy's.
"""
import json
import os

from harness import SCRATCH, new_folder, r, write_config, xani

import h5py
import numpy as np
import yaml

import shots
import tools

DET, ZERO = "jungfrau1M", 0.25


# ---- the experiment, binned; every seventh shot has no frame, but counts in nEntries and in the monitor

e = shots.Experiment(shots=420, modules=2, rows=16, cols=32, seed=9)
EDGES = np.arange(-1.5, 3.51, 0.5)
NB = len(EDGES) - 1
place = np.digitize(e.delay_ps, EDGES) - 1
place[place == 4] = -1  # an empty bin
framed = np.arange(e.n) % 7 != 3
TOTAL = e.photons.shape[1:]


def sums(which, index, n):
    """Per bin: shots, frames, monitor, delay, frames' sum."""
    out = [np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n), np.full((n, *TOTAL), np.nan)]
    for b in range(n):
        shot = which & (index == b)
        out[0][b], out[1][b] = shot.sum(), (shot & framed).sum()
        out[2][b], out[3][b] = e.i0[shot].sum(), e.delay_ps[shot].sum()
        if (shot & framed).any():
            out[4][b] = e.photons[shot & framed].sum(axis=0)
    return out


def expected(on, off):
    """Signal by hand: means of frames over means of the monitor; off: all bins together, weighted by their frames."""
    with np.errstate(all="ignore"):
        mean_i0 = on[2] / on[0]
        r_on = on[4] / (on[1] * mean_i0)[:, None, None]
        i0_off = np.nansum(off[2] / off[0] * off[1])
    r_off = np.nansum(off[4], axis=0) / i0_off
    return r_on / r_off - 1


ON, OFF = sums(e.on, place, NB), sums(~e.on, place, NB)
WANT = expected(ON, OFF)
with np.errstate(all="ignore"):
    MEAN = np.where(ON[0] > 0, ON[3] / ON[0], (EDGES[:-1] + EDGES[1:]) / 2)


def write(path, s, det=DET, mean=True, entries=True, monitor="ipm2", more=()):
    with h5py.File(path, "w") as f:
        f["cubeSelection"] = np.zeros(1, "f4")
        f["cubeSelection"].attrs["cubeSelection"] = "Cut 0: 0.1 < ipm2/sum < 2"
        f["binVar_bins"], f["nEntries"] = EDGES[:-1].astype("f4"), s[0].astype("f4")
        if mean:
            f["binVar"] = s[3].astype("f4")
        if entries:
            f[f"{det}_nEntries"] = s[1]
        f[f"{det}_data"] = s[4].reshape(len(s[0]), e.modules, e.rows, e.cols)
        f[f"{monitor}__sum"] = s[2].astype("f4")
        f[f"{monitor}__channels"] = np.repeat(s[2][:, None] / 4, 4, axis=1).astype("f4")
        for name, value in more:
            f[name] = value


def config(name, files, layout="lcls_cube", **more):
    keys = {"frames": DET, "i0": "ipm2/sum", "delay": {"sign": 1, "zero_ps": ZERO}, **more}
    keys = {k: v for k, v in keys.items() if v is not None}
    return write_config(f"{SCRATCH}/{name}.yaml", {"experiment": {"title": name}, "input": {"layout": layout, "files": files, **keys}})


def compare(name, files, want, places, tolerance=1e-6, **more):
    cube = f"{SCRATCH}/{name}.cube.h5"
    code, err = shots.reduce(config(name, files, **more), cube)
    r.ok(code == 0, f"{name}: reduced {err.strip()[-300:] if code else ''}")
    if code != 0:
        return err
    with h5py.File(cube) as f:
        got, at = f["entry/cube/signal"][()], f["entry/cube/delay"][()]
    r.ok(got.shape == want.shape and np.array_equal(np.isnan(got), np.isnan(want)), f"{name}: NaN where a bin is empty")
    worst = np.nanmax(abs((1 + got) / (1 + want) - 1)) if got.shape == want.shape else np.inf
    r.ok(worst <= tolerance, f"{name}: signal equals NumPy's ({worst:.1e})")
    r.ok(at.shape == places.shape and np.allclose(at, places, rtol=0, atol=2e-6),
         f"{name}: delays ({abs(at - places).max() if at.shape == places.shape else at})")
    return err


def refused(name, files, status, *words, **more):
    shots.refused(name, config(name, files, **more), *words, code=status)


STEM = f"{SCRATCH}/Cube_xppx_Run0007_cube"
write(STEM + "_on.h5", ON)
write(STEM + "_off.h5", OFF)
err = compare("first", [STEM + "_on.h5"], WANT, MEAN - ZERO)
r.ok("divided by ipm2/sum" in err, f"the monitor is said: {err.strip()[-200:]}")
compare("off_listed", [STEM + "_off.h5"], WANT, MEAN - ZERO)
compare("stored_names", [STEM + "_on.h5"], WANT, MEAN - ZERO, frames=DET + "_data", i0="ipm2__sum")
compare("channels", [STEM + "_on.h5"], WANT, MEAN - ZERO, frames=None, i0="sum(ipm2/channels)")
compare("column", [STEM + "_on.h5"], WANT, MEAN - ZERO, i0="4 * ipm2/channels[2]")
compare("reversed", [STEM + "_on.h5"], WANT[::-1], (-MEAN - ZERO)[::-1], delay={"sign": -1, "zero_ps": ZERO})

# cuPhoton's spelling: fixed names, edges for delays, no means, no frame counts
lone = shots.Experiment(shots=420, modules=2, rows=16, cols=32, seed=9)
framed[:] = True
LON, LOFF = sums(e.on, place, NB), sums(~e.on, place, NB)
for half, s in (("on", LON), ("off", LOFF)):
    write(f"{SCRATCH}/legate_{half}.h5", s, mean=False, entries=False, monitor="ipm3", more=[("ipm2__sum", (2 * s[2]).astype("f4"))])
framed[:] = np.arange(e.n) % 7 != 3
LWANT = expected(LON, LOFF)
CENTRE = (EDGES[:-1] + EDGES[1:]) / 2 - ZERO
err = compare("legate", [f"{SCRATCH}/legate_on.h5"], LWANT, CENTRE, i0=None, frames=None)
r.ok("divided by ipm2__sum" in err, f"of ipm3 and ipm2, ipm2 is taken and said: {err.strip()[-200:]}")

# two cubes are added bin by bin; their delays are the mean over all shots
first = np.arange(e.n) < 200
A, B = [[sums(w & h, place, NB) for h in (e.on, ~e.on)] for w in (first, ~first)]
for k, pair in enumerate((A, B)):
    for half, s in zip(("on", "off"), pair):
        write(f"{SCRATCH}/Cube_part{k}_{half}.h5", s)
with np.errstate(all="ignore"):
    i0 = [np.nansum([s[h][2] / s[h][0] * s[h][1] for s in (A, B)], axis=0) for h in (0, 1)]
    frames = [np.nansum([s[h][4] for s in (A, B)], axis=0) for h in (0, 1)]
    both = frames[0] / i0[0][:, None, None] / (frames[1].sum(axis=0) / i0[1].sum()) - 1
    d = [np.where(s[0][1] > 0, s[0][3] / s[0][0], 0) for s in (A, B)]
    n = A[0][1] + B[0][1]
    mean = np.where(n > 0, (d[0] * A[0][1] + d[1] * B[0][1]) / n, (EDGES[:-1] + EDGES[1:]) / 2)
both[n == 0] = np.nan
compare("two", [f"{SCRATCH}/Cube_part*_on.h5"], both, mean - ZERO)

# two axes: right edges of the first, centres of the second, which is added up
second = np.arange(e.n) % 3
halves = {}
for half, laser in (("on", e.on), ("off", ~e.on)):
    grid = [sums(laser & (second == k), place, NB) for k in range(3)]
    halves[half] = s = [np.stack([g[i] for g in grid], axis=1) for i in range(5)]
    with h5py.File(f"{SCRATCH}/Cube_nd_{half}.h5", "w") as f:
        f["bins_delay"], f["bins_angle"] = EDGES[1:].astype("f4"), np.arange(3.0)
        f["nEntries"], f[f"{DET}_nEntries"], f["ipm2__sum"], f[f"{DET}_data"] = s[0].astype("f4"), s[1], s[2].astype("f4"), s[4]
        f["std_ipm2__sum"] = s[2]
with np.errstate(all="ignore"):
    i0 = {h: np.nansum(s[2] / s[0] * s[1], axis=1) for h, s in halves.items()}
    nd = np.nansum(halves["on"][4], axis=1) / i0["on"][:, None, None]
    nd = nd / (np.nansum(halves["off"][4], axis=(0, 1)) / i0["off"].sum()) - 1
nd[halves["on"][1].sum(axis=1) == 0] = np.nan
err = compare("two_axes", [f"{SCRATCH}/Cube_nd_on.h5"], nd, (EDGES[:-1] + EDGES[1:]) / 2 - ZERO)
r.ok("bins_delay" in err and "added up" in err, f"which axis stays is said: {err.strip()[-200:]}")

# ---- faults
unfinished = f"{SCRATCH}/u/Cube_a_on.h5"
os.makedirs(f"{SCRATCH}/u", exist_ok=True)
write(unfinished + ".inprogress", ON)
refused("unfinished", [unfinished + ".inprogress"], 3, "not finished", ".inprogress")
write(unfinished, ON)
write(f"{SCRATCH}/u/Cube_a_off.h5.inprogress", OFF)
refused("unfinished_half", [unfinished], 3, "Cube_a_off.h5.inprogress", "not finished")
os.remove(f"{SCRATCH}/u/Cube_a_off.h5.inprogress")
refused("no_half", [unfinished], 3, "Cube_a_off.h5", "missing")
write(f"{SCRATCH}/plain.h5", ON)
refused("no_suffix", [f"{SCRATCH}/plain.h5"], 3, "_on.h5")
refused("no_monitor", [STEM + "_on.h5"], 3, "ipm9__sum", "ipm2__sum", i0="ipm9/sum")
refused("no_detector", [STEM + "_on.h5"], 3, "epix_data", frames="epix")
refused("parts", [STEM + "_on.h5"], 2, "input.delay.parts", delay={"sign": 1, "zero_ps": 0, "parts": [{"source": "x"}]})
for half, s in (("on", ON), ("off", OFF)):
    write(f"{SCRATCH}/many_{half}.h5", s, monitor="diode", more=[("epix_data", np.zeros((NB, 2, 2))), ("ipm7__sum", s[2])])
refused("several_detectors", [f"{SCRATCH}/many_on.h5"], 2, "input.frames", "epix", DET, frames=None)
refused("several_monitors", [f"{SCRATCH}/many_on.h5"], 2, "input.i0", i0=None)
for half, s in (("on", ON), ("off", OFF)):
    write(f"{SCRATCH}/short_{half}.h5", s)
    with h5py.File(f"{SCRATCH}/short_{half}.h5", "a") as f:
        del f["ipm2__sum"]
        f["ipm2__sum"] = s[2][:-1]
refused("short", [f"{SCRATCH}/short_on.h5"], 3, "ipm2__sum")
for half, s in (("on", [s * 0 for s in ON]), ("off", OFF)):
    write(f"{SCRATCH}/empty_{half}.h5", s)
refused("empty", [f"{SCRATCH}/empty_on.h5"], 3, "empty_on.h5: every bin is empty")
open(f"{SCRATCH}/broken_on.h5", "wb").close()
write(f"{SCRATCH}/broken_off.h5", OFF)
refused("broken", [STEM + "_on.h5", f"{SCRATCH}/broken_on.h5"], 3, "broken_on.h5")

# ---- the second generation: steps out of order, a row of the root per bin of each label
STEPS = np.random.default_rng(2).permutation(NB)
DELAYS = (EDGES[:-1] + EDGES[1:]) / 2
full = [place == b for b in range(NB)]
S_ON, S_OFF = [s[STEPS] for s in ON], [s[STEPS] for s in OFF]


def label(f, name, s):
    g = f.create_group(name) if name else f
    g[f"{DET}/calib"] = np.nan_to_num(s[4])
    g[f"{DET}/count"] = s[1][:, None]
    g["ipm2/sum"], g["ipm2/count"] = s[2][:, None], s[0][:, None]


def second_cube(path, labels, rows, unit=1e-12, more=()):
    with h5py.File(path, "w") as f:
        f.create_dataset("step_value", data=(rows + 1).astype("i8")[:, None], maxshape=(None, 1))
        f["lxt"] = (DELAYS[rows] * unit)[:, None]
        for name, value in more:
            f[name] = value
        for name, s in labels:
            label(f, name, s)


WANT2, AT = WANT.copy(), DELAYS - ZERO
keys = {"layout": "lcls2_cube", "frames": f"{DET}/calib", "i0": "ipm2/sum"}
RUN = f"{SCRATCH}/cube_xppl1000_r0004.h5"
second_cube(RUN, [("laser_off", S_OFF), ("laser_on", S_ON)], np.repeat(STEPS, 2))
err = compare("second", [RUN], WANT2, AT, **keys)
r.ok("lxt, taken in s" in err and "divided by ipm2/sum" in err, f"motor, unit and monitor are said: {err.strip()[-300:]}")
compare("label_in_path", [RUN], WANT2, AT, **{**keys, "frames": f"laser_on/{DET}/calib"})
compare("parts2", [RUN], WANT2, AT, delay={"sign": 1, "zero_ps": ZERO, "parts": [{"source": "lxt", "scale_ps": 1e12}]}, **keys)
compare("zero2", [RUN], WANT2[::-1], (1 - DELAYS)[::-1],
        delay={"sign": -1, "zero_ps": -1, "parts": [{"source": "lxt", "scale_ps": 1e12, "origin": 0}]}, **keys)
second_cube(f"{SCRATCH}/once.h5", [("off", S_OFF), ("on", S_ON)], STEPS)
compare("a_row_per_step", [f"{SCRATCH}/once.h5"], WANT2, AT, **keys)
second_cube(f"{SCRATCH}/named.h5", [("goose", S_OFF), ("pumped", S_ON)], np.repeat(STEPS, 2))
compare("named", [f"{SCRATCH}/named.h5"], WANT2, AT, laser="pumped", **keys)
refused("which_label", [f"{SCRATCH}/named.h5"], 3, "goose", "pumped", "input.laser", **keys)
for half, s in (("on", S_ON), ("off", S_OFF)):
    second_cube(f"{SCRATCH}/bare_{half}.h5", [("", s)], STEPS)
compare("no_labels", [f"{SCRATCH}/bare_on.h5"], WANT2, AT, **keys)
second_cube(f"{SCRATCH}/two_motors.h5", [("off", S_OFF), ("on", S_ON)], STEPS, more=[("theta", np.zeros(NB))])
refused("motor", [f"{SCRATCH}/two_motors.h5"], 2, "input.delay.parts", **keys)
compare("motor_named", [f"{SCRATCH}/two_motors.h5"], WANT2, AT,
        delay={"sign": 1, "zero_ps": ZERO, "parts": [{"source": "lxt", "scale_ps": 1e12}]}, **keys)
for lost in ("lxt", "step_value"):
    second_cube(f"{SCRATCH}/no_{lost}.h5", [("off", S_OFF), ("on", S_ON)], STEPS)
    with h5py.File(f"{SCRATCH}/no_{lost}.h5", "r+") as f:
        del f[lost]
    refused(f"no_{lost}", [f"{SCRATCH}/no_{lost}.h5"], 3, "no scanned motor", "step_value", **keys)
second_cube(f"{SCRATCH}/ragged.h5", [("off", S_OFF), ("on", [s[:-1] for s in S_ON])], np.repeat(STEPS, 2))
refused("a_step_lacks", [f"{SCRATCH}/ragged.h5"], 3, "step_value", **keys)
refused("no_such_sums", [RUN], 3, "jungfrau4M/calib", **{**keys, "frames": "jungfrau4M/calib"})
refused("no_such_monitor", [RUN], 3, "laser_on/ipm8/sum", **{**keys, "i0": "ipm8/sum"})

# ---- info and init
for name, path, layout, scan in (("first", [STEM + "_on.h5"], "lcls_cube", "binVar_bins"), ("second", [RUN], "lcls2_cube", "lxt")):
    code, out, err = xani("info", *path, "--json")
    info = json.loads(out) if code == 0 else {"runs": [{}], "delays": [{}]}
    run, delays = info["runs"][0], info["delays"][0]
    r.ok(code == 0 and info.get("layout") == layout and len(info["runs"]) == 1, f"info {name}: {info.get('layout')} {err}")
    r.ok(run.get("laser_on") == ON[1].sum() and run["laser_off"] == OFF[1].sum(), f"info {name}: {run}")
    r.ok(delays.get("source") == scan and delays["values"] == NB and delays["empty"] == 1 and abs(delays["step"] - 0.5) < 1e-6,
         f"info {name}: {delays}")
    made = f"{SCRATCH}/made_{name}.yaml"
    code, out, err = xani("init", *path, "--force", "-o", made)
    c = yaml.safe_load(open(made))["input"] if code == 0 else {}
    r.ok(code == 0 and c["layout"] == layout, f"init {name}: {err if code else ''}")
    more = ["--set", "input.delay.sign=1", "--set", f"input.delay.zero_ps={ZERO}", "--set", "experiment.energy_kev=10"]
    code, err = shots.reduce(made, f"{SCRATCH}/made_{name}.h5", *more, "--set", "input.i0=ipm2/sum")
    r.ok(code == 0, f"init {name}: its configuration reduces {err.strip()[-200:] if code else ''}")
    if code == 0:
        with h5py.File(f"{SCRATCH}/made_{name}.h5") as f:
            r.ok(np.allclose(f["entry/cube/signal"][()], WANT, rtol=0, atol=3e-6, equal_nan=True), f"init {name}: to the same cube")
# ---- the simulated experiment: the same shots, binned by xani, give the same cube in every layout
where = new_folder("sim")
got = {}
for folder, layouts in (("beside", ["cube", "lcls_cube", "lcls2_cube"]), ("alone", ["lcls2_cube"])):
    simulation = {**tools.SIMULATION, "sim": {**tools.SIMULATION["sim"], "layouts": layouts}}
    write_config(f"{where}/sim.yaml", simulation)
    code, _, err = xani("sim", f"{where}/sim.yaml", "-o", f"{where}/{folder}")
    r.ok(code == 0, f"sim writes {layouts} {err.strip()[-300:] if code else ''}")
left = [n for n in os.listdir(f"{where}/alone") if "run0001_" in n or n.startswith(".")]
r.ok(not left, f"sim: the cube that the others were made of is gone {left}")
for name, file in (("cube", "beside/xani.yaml"), ("lcls_cube", "beside/xani_lcls_cube.yaml"), ("lcls2_cube", "beside/xani_lcls2_cube.yaml"),
                   ("alone", "alone/xani.yaml")):
    code, err = shots.reduce(f"{where}/{file}", f"{where}/{name}.h5")
    if r.ok(code == 0, f"sim: reduce of {name} {err.strip()[-300:] if code else ''}"):
        with h5py.File(f"{where}/{name}.h5") as f:
            got[name] = f["entry/cube/signal"][()], f["entry/cube/delay"][()]
for name in ("lcls_cube", "lcls2_cube", "alone"):
    if name in got and "cube" in got:
        signal, delay = got[name]
        worst = np.nanmax(abs((1 + signal) / (1 + got["cube"][0]) - 1))
        r.ok(np.array_equal(np.isnan(signal), np.isnan(got["cube"][0])) and worst < 2e-6, f"sim: {name} gives the field cube's signal within rounding ({worst:.1e})")
        r.ok(np.allclose(delay, got["cube"][1], rtol=0, atol=1e-6), f"sim: {name} gives its delays")
r.end()
