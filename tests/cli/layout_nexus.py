#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""layout_nexus.py XANI SCRATCH -- plain NeXus files written by h5py give the cube NumPy finds, every fault counted exactly.

Frames are found by @default and @signal, by input.frames, or as the first stack of images; readings are datasets of one
number per frame, sums and columns of several, or one number per file.  Faults: lost, repeated and shuffled shots, readings
that are missing or differ, files of another shape, empty files among good ones, links to nothing.  Also: the simulated
experiment gives the same cube in this layout and in SwissFEL's.  Prints TAP.
"""
from harness import new_folder, r, write_config, xani

import h5py
import numpy as np

import shots
import tools

NOTHING = {"missing": 0, "duplicate": 0, "unmatched": 0}


def base_config(e, files, path, **keys):
    config = e.config("nexus", files, i0=f"{path}/i0", laser=f"{path}/laser", delay=e.delay(f"{path}/stage", f"{path}/edge"), **keys)
    config["input"].setdefault("calibration", {"photons_per_unit": 1})
    return config


def readings(group, e, index):
    group["i0"], group["laser"] = e.i0[index], e.on[index].astype("u1")
    group["stage"] = e.stage_mm[index]
    group["edge"] = np.where(e.on[index], e.edge_px[index], np.nan)


def chain(f, group, signal=None):
    """@default from the root to a group of class NXdata."""
    node, path = f, ""
    for part in group.split("/"):
        node.attrs["default"] = part
        path += f"/{part}"
        node = f.require_group(path)
        node.attrs["NX_class"] = "NXdata" if path == f"/{group}" else "NXentry"
    if signal:
        node.attrs["signal"] = signal
    return node


# ---- the chain of @default; a stack of modules; ids with faults; another dataset that must not be taken

e = shots.Experiment()
where = new_folder("chain")
stored = [i for i in range(e.n) if i not in (3, 50, 51)]  # three frames lost
stored.insert(7, 100)                                     # one twice
rng = np.random.default_rng(5)
rng.shuffle(stored)                                       # in no order
photons = e.photons[stored].astype("f4")
photons[stored.index(120), 2, 2] = np.nan  # no number in a used shot: the pixel is out
with h5py.File(f"{where}/run7.nxs", "w") as f:
    f["aaa/decoy"] = np.zeros((len(stored), 20, 20), "u2")  # before the signal by name
    g = chain(f, "measurement/detector_data", "frames")
    g.create_dataset("frames", data=photons.reshape(len(stored), e.modules, e.rows, e.cols), chunks=(1, e.modules, e.rows, e.cols), compression="gzip")
    g.attrs["axes"] = ["pulse", ".", ".", "."]
    g["pulse"] = 7000 + 5 * np.array(stored)
    readings(g.create_group("shot"), e, stored)
    i0 = np.empty((len(stored), 4))
    i0[:, :3] = e.i0[stored][:, None] / 4 + rng.normal(0, 0.01, (len(stored), 3))
    i0[:, 3] = e.i0[stored] - i0[:, :3].sum(axis=1)
    del g["shot/i0"]
    g["shot/i0"] = i0  # four diodes
    f["masks/good"] = ~np.eye(e.modules * e.rows, e.cols, dtype=bool)
    f["measurement/instrument/detector/pixel_mask"] = np.zeros((e.modules, e.rows, e.cols), "u4")
    f["measurement/instrument/detector/pixel_mask"][1, 0, 5] = 1 << 5
    f["measurement/instrument/detector/distance"] = 98.0
    f["measurement/instrument/detector/distance"].attrs["units"] = "mm"
    f["measurement/instrument/beam/incident_energy"] = 10.0
    f["measurement/instrument/beam/incident_energy"].attrs["units"] = "keV"
e.drop("lost", 3, 50, 51)
e.drop("join", 100)
e.masked |= np.eye(e.modules * e.rows, e.cols, dtype=bool)
e.masked[16, 5] = e.masked[2, 2] = True
expected = e.cube()
expected["seen"] += 1
expected["cuts"]["join"] += 1
P = "measurement/detector_data"
config = base_config(e, [f"{where}/*.nxs"], f"{P}/shot", ids=f"{P}/pulse", mask={"dataset": "masks/good", "good": "nonzero"})
config["input"]["i0"] = f"sum({P}/shot/i0)"
got = tools.run("chain", where, config, expected)
r.ok(got == {"missing": 0, "duplicate": 1, "unmatched": 0}, f"chain: one repeated frame: {got}")
config["input"]["i0"] = " + ".join(f"{P}/shot/i0[{k}]" for k in range(4))
tools.run("columns", where, config, expected)

# blocks of 3 x 3 end with their module: 16 rows make 5, of two modules 10, not 32 // 3 rows across the gap
write_config(f"{where}/blocks.yaml", {**config, "reduce": {**config["reduce"], "spatial_bin": 3}})
code, err = shots.reduce(f"{where}/blocks.yaml", f"{where}/blocks.h5")
if r.ok(code == 0, f"blocks: reduce: {err.strip()[-300:] if code else ''}"):
    with h5py.File(f"{where}/blocks.h5") as f, h5py.File(f"{where}/cube.h5") as whole:
        rows, mask, s1 = f["entry/module_rows"][()], f["entry/mask"][()], f["entry/sums/off/s1"][()].reshape(10, -1)
        fine = whole["entry/sums/off/s1"][()].reshape(e.modules * e.rows, e.cols)
    r.ok(rows.tolist() == [5, 5] and mask.shape == (10, 10), f"blocks: rows of each module {rows}, shape {mask.shape}")
    r.ok(mask[5, 4] == 0 and s1[5, 4] == fine[16:19, 12:15].sum(), "blocks: the sixth row is the first three of the second module")
info = tools.info(where)
r.ok(info["layout"] == "nexus" and info["runs"][0]["shots"] == len(stored), f"info: layout and shots: {info['runs']}")
det = info["detectors"][0]
r.ok(det["name"] == f"{P}/frames" and det["energy_kev"] == 10.0 and det["distance_mm"] == 98.0, f"info: the signal, energy, distance: {det}")
names = [c["name"] for c in info["channels"]]
r.ok(all(f"{P}/shot/{n}" in names for n in ("i0", "laser", "stage", "edge")), f"info: readings are listed: {names}")
code, out, err = xani("init", where)
r.ok("energy_kev: 10 " in out and "distance_mm: 98 " in out, "init takes energy and distance from the file, in keV and mm here")
r.ok("layout: nexus" in out and f"laser: {P}/shot/laser" in out and f"source: {P}/shot/stage" in out, f"init proposes laser and stage: {err.strip()}")

# a second file of readings decides, shuffled, with ids off by one pulse, gaps and two answers
order = np.array([i for i in range(e.n) if i != 66] + [90])
rng.shuffle(order)
with h5py.File(f"{where}/beside.h5", "w") as f:
    readings(f.create_group(f"{P}/shot"), e, order)
    f[f"{P}/shot/stage"][np.flatnonzero(order == 90)[0]] += 0.1  # 90 is on
    f["ids"] = 7000 + 5 * (order + 1)
e.drop("join", 66, 90)
expected = e.cube()
expected["seen"] += 1
expected["cuts"]["join"] += 1
config["input"].update(i0=f"{P}/shot/i0", readings=[{"file": f"{where}/beside.h5", "ids": "ids"}],
                       offsets=[{"source": f"{P}/shot/{n}", "shots": -5} for n in ("i0", "laser", "stage", "edge")])
got = tools.run("beside", where, config, expected)
r.ok(got == {"missing": 3, "duplicate": 1 + 1, "unmatched": 0}, f"beside: three lost frames, a repeated frame, a repeated row of four: {got}")
write_config(f"{where}/said.yaml", config)
code, err = shots.reduce(f"{where}/said.yaml", f"{where}/said.h5")
r.ok("frames; 3 lost by the detector, 2 repeated ids" in err and "frames lost 3, repeated ids 2, readings without a frame 0" in err,
     f"beside: both lines of counts agree: {err.strip()[-300:]}")
config["input"]["readings"] = [{"file": f"{where}/beside.h5", "ids": "id"}]
tools.refuse("ids of readings that are not there", where, config, "beside.h5", "id")

# ---- no attributes at all: the first stack of images of 16 x 16; one file per position of the stage

e = shots.Experiment(seed=2)
where = new_folder("scan")
files = 6
step = np.arange(e.n) * files // e.n
nominal = np.linspace(-1.0, 2.9, files)[step]
jitter = (e.edge_px - 1000.0) / shots.PX_PER_PS
e.stage_mm, e.delay_ps = 100.0 - nominal * shots.MM_PER_PS, nominal + jitter
rng = np.random.default_rng(9)
e.photons = rng.poisson(np.broadcast_to(8 * e.i0[:, None, None] * (1 + 0.2 * (e.on & (e.delay_ps > 0)))[:, None, None], e.photons.shape))
for k in range(files):
    here = np.flatnonzero(step == k)
    with h5py.File(f"{where}/point{k}.h5", "w") as f:
        f["a/small"] = np.zeros((len(here), 8, 8), "u2")          # too small
        f["a/text"] = "no number"
        f.create_dataset("b/frames", data=e.photons[here].astype("u2"), chunks=(8, 32, 32), compression="gzip", shuffle=True)
        f["c/later"] = np.zeros((3, 64, 64), "u2")                # not the first
        f["readings/i0"], f["readings/laser"] = e.i0[here], e.on[here].astype("u1")
        f["readings/edge"] = e.edge_px[here]
        f["readings/stage"] = e.stage_mm[here[0]]                 # one number
config = base_config(e, [f"{where}/point*.h5"], "readings")
got = tools.run("scan", where, config, e.cube())
r.ok(got == NOTHING, f"scan: nothing else is counted: {got}")
info = tools.info(where)
r.ok(len(info["runs"]) == files and all(run["layout"] == "nexus" for run in info["runs"]), "info: six files of frames are found")
tools.run("by name", where, tools.changed(config, frames="b/frames"), e.cube())
tools.refuse("a dataset that is no stack", where, tools.changed(config, frames="readings/i0"), "readings/i0", "(n, y, x)")
tools.refuse("a reading of another length", where, tools.changed(config, i0="c/later"), "c/later", "each of the 40 frames")
tools.refuse("a name that is nearly right", where, tools.changed(config, laser="readings/lasr"), "readings/lasr", "readings/laser")
tools.refuse("a column too many", where, tools.changed(config, i0="readings/i0[1]"), "readings/i0", "column 1")
tools.refuse("ids that are not whole", where, tools.changed(config, ids="readings/i0"), "readings/i0", "whole numbers")

# an empty file, one of another shape, one without a reading among the good ones
open(f"{where}/point6.h5", "w").close()
tools.refuse("an empty file is named", where, config, "point6.h5", "0 bytes")
info = tools.info(where)
r.ok(any("point6.h5" in p["file"] and "0 bytes" in p["text"] for p in info["problems"]) and len(info["runs"]) == files, f"info tells of it and goes on: {info['problems']}")
with h5py.File(f"{where}/point6.h5", "w") as f:
    f["b/frames"] = np.zeros((4, 32, 30), "u2")
tools.refuse("a file of another shape is named", where, config, "point6.h5", "(4, 32, 30)")
with h5py.File(f"{where}/point6.h5", "w") as f:
    f["b/frames"] = np.zeros((4, 32, 32), "u2")
    f["readings/i0"] = np.ones(4)
    f["readings/stage"] = 100.0
    f["readings/edge"] = np.ones(4)
tools.refuse("a file without a reading is named", where, config, "point6.h5", "readings/laser")
with h5py.File(f"{where}/point6.h5", "w") as f:
    f["b/frames"] = np.zeros((4, 8, 8), "u2")
tools.refuse("a file without frames is named", where, config, "point6.h5", "no frames")
with h5py.File(f"{where}/point6.h5", "w") as f:
    chain(f, "entry/data", "frames")["frames"] = h5py.ExternalLink("gone.h5", "/x")
tools.refuse("a signal that leads nowhere is named", where, config, "point6.h5", "gone.h5")
with open(f"{where}/point5.h5", "rb") as f:
    half = f.read()[:-1000]
with open(f"{where}/point6.h5", "wb") as f:
    f.write(half)
tools.refuse("a truncated file is named", where, config, "point6.h5", "truncated")

# ---- chunks of several frames: files of whole chunks are read chunk by chunk, others frame by frame, to the same sums

e = shots.Experiment(shots=160, seed=3)
where = new_folder("chunks")
for name, cut in (("whole", 64), ("odd", 61)):
    for k, (lo, hi) in enumerate(((0, cut), (cut, e.n))):
        with h5py.File(f"{where}/{name}{k}.h5", "w") as f:
            g = chain(f, "entry/data", "data")
            g.create_dataset("data", data=e.photons[lo:hi].astype("u1"), chunks=(16, 32, 32), compression="gzip")
            readings(g, e, np.arange(lo, hi))
    tools.run(name, where, base_config(e, [f"{where}/{name}*.h5"], "entry/data"), e.cube())

tools.same_shots("nexus")
r.end()
