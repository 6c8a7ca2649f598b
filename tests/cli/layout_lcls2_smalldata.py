#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""layout_lcls2_smalldata.py XANI SCRATCH -- LCLS-II small data typed from formats.md 1.3: a master of virtual datasets over
parts in any order of time, of which one lacks the detector and one its monitor (holes of NaN and -99999); event codes
as columns; a detector that integrates, with times of its own.  Counts come out exactly, the cube equals NumPy's.
"""
import json
import os
import shutil

from harness import SCRATCH, r, write_config, xani

import h5py
import numpy as np
import yaml

import shots
import tools

DET, MONITOR = "jungfrau", "XppSb2BmMon/totalIntensityJoules"


# ---- the experiment: shot i goes to part i % 3, each part in the order of time

e = shots.Experiment(shots=300, modules=2, rows=16, cols=32, seed=4)
NOMINAL_S = (100.0 - e.stage_mm) / shots.MM_PER_PS * 1e-12
TT_PS = (e.edge_px - 1000.0) / shots.PX_PER_PS
ns = 998_000_000 + np.arange(e.n, dtype=np.int64) * 8333333
timestamp = ((1_060_000_000 + ns // 10**9) << 32) | ns % 10**9
part = np.repeat([0, 1, 2, 0, 1, 0], e.n // 6)
part[5::7] = 0
NO_DETECTOR, NO_MONITOR = part == 2, part == 1  # whole parts; the monitor lacks only in a smaller part below
NO_MONITOR &= np.arange(e.n) > 200
part[NO_MONITOR] = 3
LOST, DARK, UNKNOWN, NAN_FRAME, SOME_NAN = (11,), (21, 23), (31, 32), (42,), (60, 61)
e.drop("lost", *LOST)
e.drop("X-rays", *DARK)
e.drop("laser known", *UNKNOWN)
e.drop("join", *np.flatnonzero(NO_MONITOR))
e.drop("good frame", *np.flatnonzero(NO_DETECTOR), *NAN_FRAME)
e.drop("lost", *LOST)
e.masked[0, 0] = e.masked[31, 31] = True  # NaN in every frame: no reason to refuse any
used = e.cut == ""
assert (used & e.on).sum() > 100 and (used & ~e.on).sum() > 40


def write_part(path, rows, k, dtype, **filters):
    pixels = (e.photons * 10).astype(dtype).reshape(e.n, e.modules, e.rows, e.cols)
    missing = np.nan if dtype == "f4" else -99999
    flat = pixels.reshape(e.n, -1)
    flat[:, [0, -1]] = missing
    pixels[list(NAN_FRAME)] = missing
    codes = np.zeros((e.n, 288), "u1")
    codes[:, 203], codes[:, 273] = e.on, ~e.on
    codes[list(UNKNOWN)] = -99999 & 0xff
    laser, xray = e.on.astype("i8"), np.ones(e.n, "i8")
    laser[list(UNKNOWN)] = -99999
    xray[list(DARK)] = 0
    with h5py.File(path, "w", libver="latest") as f:
        def put(name, data, **more):
            f.create_dataset(name, data=data[rows], chunks=(10, *data.shape[1:]), maxshape=(None, *data.shape[1:]), **more)
        put("timestamp", timestamp)
        put("timing/eventcodes", codes)
        put("timing/destination", np.full(e.n, 3, "i8"))
        put("lightStatus/laser", laser)
        put("lightStatus/xray", xray)
        put("scan/lxt", NOMINAL_S)
        put("scan/step_value", np.arange(e.n))
        put("alvium_tt/fltpos_ps", TT_PS)
        put("var_hits_len", np.zeros(e.n, "i8"))
        if k != 2:
            put(f"{DET}/ROI_0_area", pixels, **filters)
        if k != 3:
            put(MONITOR, e.i0 * 1e-3)
            put("XppSb2BmMon/counts", np.round(e.i0 * 1e4).astype("i4"))


def master(path, parts):
    """As psana joins them: every dataset as long as all parts together, holes where one has it not."""
    shapes = {}
    for p in parts:
        with h5py.File(p) as f:
            f.visititems(lambda n, o: shapes.update({n: (o.dtype, o.shape[1:])}) if isinstance(o, h5py.Dataset) else None)
    with h5py.File(path, "w", libver="latest") as out:
        for name, (dtype, shape) in shapes.items():
            counts = [len(h5py.File(p)["timestamp"]) for p in parts]
            layout = h5py.VirtualLayout(shape=(sum(counts), *shape), dtype=dtype)
            first = 0
            for p, n in zip(parts, counts):
                with h5py.File(p) as f:
                    if name in f:
                        layout[first:first + n] = h5py.VirtualSource(os.path.basename(p), name, shape=(n, *shape))
                first += n
            kind = np.dtype(dtype).kind
            out.create_virtual_dataset(name, layout, fillvalue=np.nan if kind == "f" else -99999 if kind == "i" else 97)


def make(folder, dtype, **filters):
    os.makedirs(folder, exist_ok=True)
    order = np.array([i for i in range(e.n) if i not in LOST])
    parts = []
    for k in (2, 0, 3, 1):
        parts.append(f"{folder}/xppl1000_Run0003_part{k}.h5")
        write_part(parts[-1], order[part[order] == k], k, dtype, **filters)
    master(f"{folder}/xppl1000_Run0003.h5", parts)
    with h5py.File(f"{folder}/xppl1000_Run0003.h5", "a") as f:
        f[f"UserDataCfg/{DET}/mask"] = np.ones((e.modules, e.rows, e.cols), "i4")
    return f"{folder}/xppl1000_Run0003.h5"


def config(name, files, **more):
    keys = {"frames": f"{DET}/ROI_0_area", "i0": MONITOR, "laser": "lightStatus/laser",
            "calibration": {"kev_per_unit": 1.0}, "mask": {"dataset": "good", "file": f"{SCRATCH}/good.h5", "good": "nonzero"},
            "delay": {"parts": [{"source": "scan/lxt", "scale_ps": 1e12}], "sign": 1, "zero_ps": 0,
                      "time_tool": {"source": "alvium_tt/fltpos_ps", "sign": 1, "coefficients_ps": [0, 1]}}, **more}
    return write_config(f"{SCRATCH}/{name}.yaml", e.config("lcls2_smalldata", files, **keys))


def compare(name, files, want, tolerance=2e-6, **more):
    return shots.compare(name, config(name, files, **more), want, tolerance)[1]


with h5py.File(f"{SCRATCH}/good.h5", "w") as f:
    f["good"] = ~e.masked
want = e.cube()
RUN = make(f"{SCRATCH}/f4", "f4")
err = compare("virtual", [RUN], want)
gone = int(NO_DETECTOR.sum()) + len(NAN_FRAME)
r.ok(f"{e.n - len(LOST)} events; {gone} without a frame, 0 without a time, 0 repeated" in err, f"holes are told: {err.strip()[-200:]}")
compare("required", [RUN], want, laser={"codes": [203]})
compare("drop", [RUN], want, laser={"drop": [273]})
compare("whole_numbers", [make(f"{SCRATCH}/i4", "i4")], want)
compare("gzip", [make(f"{SCRATCH}/gzip", "f4", compression="gzip")], want)

# ---- a detector that integrates: rows and times of its own, in another order
slow = np.flatnonzero((e.cut == "") & (np.arange(e.n) % 2 == 0))
s = shots.Experiment(shots=300, modules=2, rows=16, cols=32, seed=4)
s.drop("lost", *np.setdiff1d(np.arange(e.n), slow))
s.masked = e.masked
with h5py.File(RUN, "a") as f:
    rows = slow[::-1]
    f["intg/timestamp"] = timestamp[rows]
    f["intg/archon/area"] = e.photons[rows].astype("f4")
    f["intg/norm/sum"] = e.i0[rows]
FEW = 5e-6  # few shots a bin: the monitor counts in steps of 2e-6 of itself
compare("intg", [RUN], s.cube(), FEW, frames="intg/archon/area", i0="intg/norm/sum", calibration={"photons_per_unit": 1.0})
compare("intg_fast_monitor", [RUN], s.cube(), FEW, frames="intg/archon/area", calibration={"photons_per_unit": 1.0})
tenth = np.arange(5, e.n, 10)  # none of them lost: at a tenth of the rate nothing is missing but what is taken out
for out in ((), (7, 8)):
    rows = np.delete(tenth, out)
    with h5py.File(RUN, "a") as f:
        for name, data in (("timestamp", timestamp[rows]), ("archon/area", e.photons[rows].astype("f4"))):
            if f"slow{len(out)}/{name}" not in f:
                f[f"slow{len(out)}/{name}"] = data
    code, err = shots.reduce(config("slow", [RUN], frames=f"slow{len(out)}/archon/area", calibration={"photons_per_unit": 1.0}), f"{SCRATCH}/slow.h5")
    r.ok(f"frames lost {len(out)}, " in err, f"{len(out)} frames of a slow detector are lost: {err.strip()[-300:]}")
with h5py.File(RUN, "a") as f:  # a detector's own clock, one value per event, is no group of rows
    f["jungfrau/timestamp"] = np.arange(e.n - len(LOST))
compare("own_clock", [RUN], want)

# ---- the parts without a master: that without the detector serves readings only
p = shots.Experiment(shots=300, modules=2, rows=16, cols=32, seed=4)
p.cut, p.masked = e.cut.copy(), e.masked
p.drop("lost", *np.flatnonzero(NO_DETECTOR))
only = [f"{SCRATCH}/only/part{k}.h5" for k in range(4)]
os.makedirs(f"{SCRATCH}/only")
for k in range(4):
    shutil.copy(f"{SCRATCH}/f4/xppl1000_Run0003_part{k}.h5", only[k])
err = compare("parts", only, p.cube())
seen = np.flatnonzero(p.cut != "lost")
between = [i for i in np.flatnonzero(NO_DETECTOR) if i not in LOST and seen[0] < i < seen[-1]]
r.ok(f"frames lost {len(between)}, repeated ids 0, readings without a frame {NO_DETECTOR.sum() - len(between)}" in err,
     f"parts: events without a frame are counted: {err.strip()[-200:]}")

# ---- faults
moved = f"{SCRATCH}/moved"
shutil.copytree(f"{SCRATCH}/f4", moved)
os.remove(f"{moved}/xppl1000_Run0003_part1.h5")
code, err = shots.reduce(config("moved", [f"{moved}/xppl1000_Run0003.h5"]), f"{SCRATCH}/moved.cube.h5")
r.ok(code == 3 and "part1" in err, f"a part that is not there ends it and is named: {code} {err.strip()[-200:]}")
with open(f"{moved}/xppl1000_Run0003_part1.h5", "wb") as f:
    f.write(b"\x89HDF\r\n\x1a\n" + bytes(50))
code, err = shots.reduce(config("damaged", [f"{moved}/xppl1000_Run0003.h5"]), f"{SCRATCH}/damaged.cube.h5")
r.ok(code == 3 and "part1" in err, f"a damaged part too: {code} {err.strip()[-200:]}")
code, err = shots.reduce(config("first", [RUN], laser={"codes": [288]}), f"{SCRATCH}/first.cube.h5")
r.ok(code == 3 and "288" in err and "eventcodes" in err, f"a code beyond the columns is refused: {err.strip()[-200:]}")

# ---- info and init
code, out, err = xani("info", f"{SCRATCH}/i4", "--json")
info = json.loads(out) if code == 0 else {"runs": [{}], "detectors": [{}], "pulse_ids": [{}]}
run, d = info["runs"][0], info["detectors"][0]
r.ok(code == 0 and info["layout"] == "lcls2_smalldata" and len(info["runs"]) == 1, f"info: one run, its parts are none {len(info['runs'])} {err}")
r.ok(run.get("laser_rule") == "lightStatus/laser" and run["laser_unknown"] == 2 and run["dark"] == 2, f"info: {run}")
r.ok(d.get("name") == f"{DET}/ROI_0_area" and d["frames"] == e.n - 1 and d["modules"] == 2, f"info: {d}")
r.ok(info["pulse_ids"][0].get("frames_lost") == 1 and info["pulse_ids"][0]["gaps"] == 1 and info["pulse_ids"][0]["bad_frames"] == gone,
     f"info: {info['pulse_ids'][0]}")
made = f"{SCRATCH}/made.yaml"
code, out, err = xani("init", f"{SCRATCH}/i4", "--force", "-o", made)
c = yaml.safe_load(open(made))["input"] if code == 0 else {}
r.ok(code == 0 and c["layout"] == "lcls2_smalldata" and c["i0"] == MONITOR, f"init: {c.get('i0')} {err}")
part = c["delay"]["parts"]
r.ok(len(part) == 1 and part[0]["source"] == "scan/lxt" and float(part[0]["scale_ps"]) == 1e12, f"init: {part}")
r.ok(c["delay"]["time_tool"]["source"] == "alvium_tt/fltpos_ps", "init: the time tool in ps")
with h5py.File(f"{SCRATCH}/rix_Run0001.h5", "w") as f, h5py.File(RUN) as g:
    for name in ("timestamp", "timing/eventcodes", f"{DET}/ROI_0_area", MONITOR, "scan/lxt"):
        f[name] = g[name][()]
code, out, err = xani("init", f"{SCRATCH}/rix_Run0001.h5", "--force", "-o", f"{SCRATCH}/rix.yaml")
c = yaml.safe_load(open(f"{SCRATCH}/rix.yaml"))["input"] if code == 0 else {}
r.ok(c.get("laser") == {"drop": [273]}, f"init: the codes of the hutch {c.get('laser')} {err}")
os.makedirs(f"{SCRATCH}/bare")
with h5py.File(f"{SCRATCH}/bare/abc_Run0001.h5", "w") as f, h5py.File(RUN) as g:
    for name in ("timestamp", "timing/eventcodes", f"{DET}/ROI_0_area", MONITOR):
        f[name] = g[name][()]
code, out, err = xani("info", f"{SCRATCH}/bare", "--json")
run = json.loads(out)["runs"][0] if code == 0 else {}
r.ok(run.get("laser_rule") is None and run["laser_on"] == run["laser_off"] == 0 and run["laser_unknown"] == run["shots"],
     f"info: without a rule the laser is unknown {run} {err}")
tools.same_shots("lcls2_smalldata")
r.end()
