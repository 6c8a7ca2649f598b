#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""init_guesses.py XANI SCRATCH -- xani init writes what the files tell, marks what it guesses, and leaves out no file
that was named without a word.

Files of a run are named so that none that is written beside them later is one of them.  The edge of a pixel comes from
the files or the detector's name; the unit of a stage is said where the facility's is always the same.  Files that
another one shows by virtual datasets are no runs.  Prints TAP.
"""
import glob
import os
import re

from harness import r, xani

import h5py
import numpy as np
import yaml

import exdf
import sacla

N = 24
stage = 100 + np.arange(N) * 0.01


def init(*paths):
    done = xani("init", *paths)
    r.ok(done.returncode == 0, f"init {' '.join(paths)}: {done.returncode} {done.stderr.strip()[-200:]}")
    return done.stdout, done.stderr


def line(text, key):
    found = re.search(rf"(?m)^ *{key}:.*$", text)
    return found.group(0).strip() if found else "(none)"


# ---- European XFEL: one run of 12 files, and results beside it
def european(folder, detector):
    os.makedirs(folder)
    for m in range(2):
        for s in range(5):
            trains = range(1000 + 4 * s, 1004 + 4 * s)
            f = exdf.File(f"{folder}/CORR-R0007-FOO{m:02d}-S{s:05d}.h5", trains)
            f.instrument(f"{detector}/CORR/{m}CH0:output", "image", {t: 1 for t in trains},
                         {"data": np.ones((4, 6, 8), "f4"), "pulseId": np.zeros(4, "u8"), "trainId": np.array(trains, "u8"),
                          "cellId": np.zeros(4, "u2")})
            f.close()
    trains = range(1000, 1020)
    f = exdf.File(f"{folder}/RAW-R0007-DA01-S00000.h5", trains)
    f.control("MID_EXP_UPP/MOTOR/DELAY", {"actualPosition": {t: 100 + 0.01 * (t - 1000) for t in trains}})
    f.close()
    return init(folder)


text, _ = european("foo", "MID_DET_FOO-1")
names = yaml.safe_load(text)["input"]["files"]
before = sorted(f for name in names for f in glob.glob(name))
for name in ("cube.h5", "modes.h5", "run0001_on.h5", "CORR-R0007.h5", "RAW-cube.h5"):
    open(f"foo/{name}", "w").close()
r.ok(len(names) < len(before) == 11 and sorted(f for name in names for f in glob.glob(name)) == before,
     f"files written beside the run are none of it: {names}")
r.ok("FILL IN" in line(text, "pixel_mm"), f"an unknown detector: {line(text, 'pixel_mm')}")
text, _ = european("jf", "FXE_XAD_JF1M-1")
r.ok(line(text, "pixel_mm").startswith("pixel_mm: 0.075 "), f"a JUNGFRAU by its name: {line(text, 'pixel_mm')}")

# ---- SACLA: motor pulses
tags = np.arange(2000, 2000 + 2 * N, 2)
readings = {"bl_3/eh_4/laser/delay_line_motor_29": np.arange(N) * 10, "bl_3/lh_1/laser_pulse_selector_status": np.arange(N) % 2}
sacla.run("run_11.h5", 11, tags, readings, {1: {t: np.ones((8, 6), "f4") for t in tags}}, mode="w")
text, _ = init("run_11.h5")
scale = line(text, "scale_ps")
r.ok("0.00667" in scale and "FILL IN" in scale and "pulses" in scale, f"a stage in motor pulses: {scale}")


# ---- NeXus: nothing says what the numbers are
def nexus(path, frames="entry/data/frames", first=0, n=N):
    with h5py.File(path, "w") as f:
        f.attrs["default"] = "entry"
        f.require_group("entry").attrs["NX_class"] = "NXentry"
        group = f.require_group(os.path.dirname(frames))
        group.attrs["NX_class"], group.attrs["signal"] = "NXdata", os.path.basename(frames)
        f[frames] = np.ones((n, 7, 9), "u4")
        f["entry/pump/stage"], f["entry/pump/laser"] = stage[first:first + n], np.arange(first, first + n) % 2
        f["entry/pump/i0"] = 1 + 0.1 * np.sin(np.arange(first, first + n))


nexus("plain.h5")
text, _ = init("plain.h5")
r.ok("FILL IN" in line(text, "pixel_mm"), f"nothing tells the pixels: {line(text, 'pixel_mm')}")
r.ok("FILL IN" in line(text, "scale_ps"), f"nothing tells the stage's unit: {line(text, 'scale_ps')}")
nexus("named.h5", frames="entry/jungfrau/data")
text, _ = init("named.h5")
r.ok(line(text, "pixel_mm").startswith("pixel_mm: 0.075 "), f"a JUNGFRAU by its name: {line(text, 'pixel_mm')}")

# ---- files that were named
with h5py.File("readings.h5", "w") as f:
    f["shots/id"], f["shots/i0"] = np.arange(1, N + 1), np.ones(N)
text, said = init("plain.h5", "readings.h5")
made = yaml.safe_load(text)["input"]
r.ok(made.get("readings") == [{"file": f"{os.getcwd()}/readings.h5", "ids": None}] and "FILL IN" in line(text, "ids"),
     f"a file of readings beside frames: {made.get('readings')}")
text, said = init("run_11.h5", "readings.h5")
r.ok("readings.h5: not of a known layout; it is not in the configuration" in said, f"where there are none it is said: {said.strip()}")

# ---- a master by virtual datasets and its parts under any name
os.makedirs("virtual")
nexus("virtual/first.h5", n=10)
nexus("virtual/second.h5", first=10, n=N - 10)
with h5py.File("virtual/whole.h5", "w", libver="v110") as f:
    for name in ("entry/data/frames", "entry/pump/stage", "entry/pump/laser", "entry/pump/i0"):
        with h5py.File("virtual/first.h5") as a, h5py.File("virtual/second.h5") as b:
            layout = h5py.VirtualLayout((N,) + a[name].shape[1:], a[name].dtype)
            layout[:10], layout[10:] = h5py.VirtualSource("first.h5", name, a[name].shape), h5py.VirtualSource("second.h5", name, b[name].shape)
        f.create_virtual_dataset(name, layout)
    f.attrs["default"], f["entry/data"].attrs["NX_class"], f["entry/data"].attrs["signal"] = "entry", "NXdata", "frames"
text, _ = init("virtual")
made = yaml.safe_load(text)
r.ok(not made.get("runs") and [os.path.basename(n) for n in made["input"]["files"]] == ["whole.h5"], f"parts of a master are no runs: {made['input']['files']}")
os.rename("virtual/whole.h5", "elsewhere.h5")
text, _ = init("virtual")
r.ok(len(yaml.safe_load(text)["runs"]) == 2, "without it they are")

# ---- SACLA: Cheetah's frames of DataConvert's run
sacla.cheetah("run11.cheetah.h5", {t: np.ones((8, 6), "u2") for t in tags}, np.zeros((8, 6), bool))
text, _ = init("run_11.h5", "run11.cheetah.h5")
made = yaml.safe_load(text)
r.ok(not made.get("runs") and len(made["input"]["files"]) == 2 and made["input"]["laser"] is not None, f"one run: {made.get('runs')} {made['input']['files']}")


# ---- the bins that are proposed hold all delays that are written beside them
def lcls(name, **channels):
    n = 200
    with h5py.File(f"{name}_Run0005.h5", "w") as f:
        ns = np.arange(n) * 8333333
        f["event_time"], f["fiducials"] = ((1700000000 + ns // 10**9) << 32) | ns % 10**9, np.arange(n) * 3
        f["lightStatus/xray"], f["lightStatus/laser"] = np.ones(n, int), (np.arange(n) % 3 != 0).astype(int)
        f["ipm2/sum"], f["epix/ROI_0_area"] = 1 + 0.1 * np.sin(np.arange(n)), np.ones((n, 16, 16), "f4")
        for channel, values in channels.items():
            f[channel.replace("__", "/")] = values(n)
    return init(f"{name}_Run0005.h5")[0], channels, n


def bins(text):
    return [float(re.search(rf"(?m)^    # {key}: (\S+)", text).group(1)) for key in ("start", "stop", "step")]


def delays(text, channels, n):
    parts = yaml.safe_load(text)["input"]["delay"]["parts"]
    return sum(p["scale_ps"] * (channels[p["source"].replace("/", "__")](n) - p["origin"]) for p in parts), len(parts)


scan = lambda n: np.repeat(np.linspace(0, 4e-12, 20), n // 20)
noisy = lambda n: np.random.default_rng(3).uniform(0, 4, n)
for name, channels, parts in (("step_scan", {"scan__lxt": scan}, 1), ("phase", {"enc__lasDelay": noisy, "epics__lxt": lambda n: np.full(n, 3e-9)}, 2)):
    text, channels, n = lcls(name, **channels)
    delay, have = delays(text, channels, n)
    start, stop, step = bins(text)
    edges = start + step * np.arange(round((stop - start) / step) + 1)
    inside = ((delay >= edges[0]) & (delay < edges[-1])).all()
    r.ok(have == parts and inside and abs((stop - start) / step - round((stop - start) / step)) < 1e-6, f"{name}: {delay.min():.6g} ... {delay.max():.6g} in {start} ... {stop}")
    if name == "step_scan":
        per_bin = np.histogram(delay, edges)[0]
        r.ok(len(per_bin) == 20 and (per_bin == 10).all(), f"one position a bin: {per_bin}")
    r.ok(text.count("epics/lxt") == (name == "phase"), f"{name}: a part of the delay is told once")

# a phase shifter counts down; a stage that moves beside it is told where it must be answered
os.makedirs("shifter")
trains = range(1000, 1020)
f = exdf.File("shifter/CORR-R0008-FOO00-S00000.h5", trains)
f.instrument("MID_DET_FOO-1/CORR/0CH0:output", "image", {t: 1 for t in trains},
             {"data": np.ones((20, 6, 8), "f4"), "pulseId": np.zeros(20, "u8"), "trainId": np.array(trains, "u8"), "cellId": np.zeros(20, "u2")})
f.close()
f = exdf.File("shifter/RAW-R0008-DA01-S00000.h5", trains)
f.control("MID_LAS_COM/CTRL/PPL_PHASE_SHIFTER", {"actualPosition": {t: 10 + 0.2 * (t - 1000) for t in trains}})
f.control("MID_LAS_COM/MOTOR/DL800", {"actualPosition": {t: 50 + 0.01 * (t % 7) for t in trains}})
f.close()
text, _ = init("shifter")
start, stop, step = bins(text)
r.ok(start < stop and step > 0, f"bounds in order: {start} ... {stop}")
parts = yaml.safe_load(text)["input"]["delay"]["parts"]
r.ok(len(re.findall("FILL IN: other delay", text)) == 1, f"a second mover is asked for beside {[p['source'] for p in parts]}")

r.end()
