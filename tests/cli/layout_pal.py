#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""layout_pal.py XANI SCRATCH -- PAL-XFEL files that pandas and PyTables wrote, fixed and table, one per scan point, with
everything that goes wrong there: timestamps missing, repeated, shuffled, shifted, NaN, empty and broken points, columns of
Python objects.  Counts come out exactly, the cube equals NumPy's; info and init know the files; xani sim's give SwissFEL's cube.
"""
import json
import os

from harness import SCRATCH, r, set_options, write_config, xani

import h5py
import numpy as np
import pandas as pd
import yaml

import pal
import shots
import tools

POINT = 20  # shots of a scan point
FLAG = "timestamp_info.RATE_HX_30HZ"
WAVES = " + ".join(f"sum(qbpm/eh1/qbpm1/waveforms.ch{k})" for k in (1, 2, 3, 4))


# ---- the experiment

e = shots.Experiment(modules=1, rows=32, cols=24)
rng = np.random.default_rng(7)
stamp = 1_700_000_000_000_000_000 + np.arange(e.n) * 16_666_667 + rng.integers(-300_000, 300_000, e.n)
LOST, NO_ROW, NO_WAVE, NAN_I0, NAN_FLAG, TWICE, CONFLICT, SAME = (5, 131), (22,), (47, 48), (65,), (84,), 91, 109, 110
e.masked[4, 9] = True


def want(faults=True, waveforms=False):
    """What must come out, by the I0 of the metadata or of the waveforms."""
    e.cut[:] = ""
    if faults:
        e.drop("lost", *LOST)
        e.drop("join", *NO_ROW, TWICE, CONFLICT)
        e.drop("laser known", *NAN_FLAG)
        e.drop(*(("join", *NO_WAVE) if waveforms else ("values present", *NAN_I0)))
    cube = e.cube()
    if faults:  # the frame that came twice is seen twice and refused with its twin
        cube["seen"] += 1
        cube["cuts"]["join"] += 1
    return cube


pixels = (e.photons * 10.0).astype("f4")  # keV


def metadata(rows, good=False):
    """Rows of the metadata, as they are stored."""
    flag, i0 = e.on[rows].astype(float), e.i0[rows].copy()
    if not good:
        flag[np.isin(rows, NAN_FLAG)] = np.nan
        i0[np.isin(rows, NAN_I0)] = np.nan
    frame = pd.DataFrame({"delay_value": e.stage_mm[rows], "qbpm:eh1:qbpm1:sum": i0, "timing_edge": e.edge_px[rows],
                          FLAG: flag, "timestamp_info.RATE_HX_60HZ": np.ones(len(rows), bool),
                          "timestamp_info.RATE_HX_10HZ": rows % 4 == 0, "event_info.pulse": rows.astype("i4"),
                          "gonio:eh1:FourC:th": np.float32(20.5),
                          "detector_eh1_jungfrau2_parameters.ROI": [[(1, 2, 3, 4)]] * len(rows)}, index=stamp[rows])
    return frame


def waves(rows):
    rows = rows[~np.isin(rows, NO_WAVE)]
    part = np.repeat(e.i0[rows, None] / 32, 8, axis=1)
    return {f"ch{k}": pd.DataFrame(part * (1 + .5 * (-1) ** k), index=stamp[rows]) for k in (1, 2, 3, 4)}


def write(folder, form="fixed", split=False, older=False, objects=True, good=False, narrow=False, shift=0, wave_shift=0):
    """The run as one file per point; `good`: without faults; `narrow`: the flag is the only column of truth values.
    shift: of the metadata's timestamps, in ns."""
    files = []
    for p in range(e.n // POINT):
        rows = np.arange(p * POINT, (p + 1) * POINT)
        table_rows, image_rows = rows, rows
        if not good:
            table_rows = rows[~np.isin(rows, NO_ROW)]
            image_rows = rows[~np.isin(rows, LOST)]
            if p == TWICE // POINT:
                image_rows = np.append(image_rows, TWICE)
            if p % 3 == 1:
                table_rows, image_rows = rng.permutation(table_rows), rng.permutation(image_rows)
        table = metadata(table_rows, good)
        if not good and p == CONFLICT // POINT:
            twin = table.loc[[stamp[CONFLICT], stamp[SAME]]].copy()
            twin.iloc[0, 0] += 1.0
            table = pd.concat([table, twin])
        columns = None
        if not objects:
            table = table.drop(columns="detector_eh1_jungfrau2_parameters.ROI")
            columns = [FLAG, "delay_value"] if p % 2 else None
        if narrow:
            table = table[["delay_value", "qbpm:eh1:qbpm1:sum", "timing_edge", FLAG]].astype({FLAG: bool})
        if older:
            table = table.rename(columns={FLAG: "event_info.FIFTEEN_HERTZ", "delay_value": "delay_input"})
        if form == "times":
            table.index = pd.to_datetime(table.index)
        table.index = table.index + (pd.Timedelta(shift, "ns") if form == "times" else shift)
        wave = waves(table_rows if good else rows)
        for w in wave.values():
            w.index = w.index + wave_shift
        name = f"run=001/scan=001/p{p + 1:04d}.h5"
        how = {"form": "table" if form == "table" else "fixed", "data_columns": columns, "older": older}
        image = (stamp[image_rows], pixels[image_rows])
        if split:
            files += [f"{folder}/type=raw/{name}", f"{folder}/type=measurement/{name}"]
            pal.point(files[-2], None, None, image, **how)
            pal.point(files[-1], table, None if older else wave, None, **how)
        else:
            files.append(f"{folder}/{name}")
            pal.point(files[-1], table, wave, image, **how)
    return files


def config(name, files, **more):
    keys = {"frames": "eh1/jungfrau2", "i0": "qbpm:eh1:qbpm1:sum", "laser": FLAG, "calibration": {"kev_per_unit": 1.0},
            "mask": {"file": f"{SCRATCH}/mask.h5", "dataset": "mask", "good": "zero"},
            "delay": e.delay("delay_value", "timing_edge"), **more}
    return write_config(f"{SCRATCH}/{name}.yaml", e.config("pal", files, **keys))


def compare(name, files, want, **more):
    return shots.compare(name, config(name, files, **more), want)[0] == 0


def refused(name, files, words, **more):
    shots.refused(name, config(name, files, **more), *words)


with h5py.File(f"{SCRATCH}/mask.h5", "w") as f:
    f["mask"] = e.masked.astype("u1")

# ---- reading, with faults

fixed = write(f"{SCRATCH}/fixed")
if compare("fixed", fixed, want()):
    with h5py.File(f"{SCRATCH}/fixed.cube.h5") as f:
        counts = {k: int(f[f"entry/shots/{k}"][()]) for k in ("missing", "duplicate", "unmatched")}
        # lost: ids of I0 without a frame; repeated: one frame, and two rows of the metadata, whatever the channels
        r.ok(counts == {"missing": 2, "duplicate": 1 + 2, "unmatched": 0}, f"fixed: {counts}")
if compare("waveforms", fixed, want(waveforms=True), i0=WAVES):
    with h5py.File(f"{SCRATCH}/waveforms.cube.h5") as f:
        r.ok(int(f["entry/shots/missing"][()]) == 2, "waveforms: two frames lost")
compare("glob", [f"{SCRATCH}/fixed/run=*/scan=001/p*.h5"], want(), frames=None)
table = write(f"{SCRATCH}/table", form="table", objects=False)
compare("table", table, want())
dark_rows = want()
e.drop("X-rays", *[i for i in range(e.n) if i % 4 and e.cut[i] in ("", "values present", "laser known")])
no_rate = dict(e.cube(), seen=dark_rows["seen"])
no_rate["cuts"]["join"] += 1
compare("xrays", table, no_rate, xrays=["timestamp_info.RATE_HX_10HZ"])
compare("codes", table, want(), laser={"codes": [30]})
compare("times", write(f"{SCRATCH}/times", form="times"), want())
split = write(f"{SCRATCH}/split", split=True, objects=False)
compare("split", split, want(waveforms=True), i0=WAVES)
older = write(f"{SCRATCH}/older", split=True, older=True, objects=False)
compare("older", older, want(), laser="event_info.FIFTEEN_HERTZ", delay=e.delay("delay_input", "timing_edge"))
shifted = write(f"{SCRATCH}/shifted", shift=2 * 16_666_667, good=True)
sources = ["delay_value", "qbpm:eh1:qbpm1:sum", "timing_edge", FLAG]
offsets = [{"source": s, "shots": -2 * 16_666_667} for s in sources]
compare("shifted", shifted, want(False), offsets=offsets)
compare("a block of one column", write(f"{SCRATCH}/narrow", form="table", objects=False, good=True, narrow=True), want(False))
unmarked = write(f"{SCRATCH}/unmarked", objects=False, good=True)
for path in unmarked:
    with h5py.File(path, "r+") as f:
        f.visititems(lambda name, node: node.attrs.pop("pandas_type", None) and None)
compare("groups without pandas' mark", unmarked, want(False))
r.ok(shots.reduce(config("unmarked waves", unmarked, i0=WAVES), f"{SCRATCH}/waves.cube.h5")[0] == 0, "and their waveforms")
compare("paths", fixed, want(), frames="detector/eh1/jungfrau2/image/block0_values", i0="metadata/qbpm:eh1:qbpm1:sum")

# ---- empty and broken points

empty = f"{SCRATCH}/fixed/run=001/scan=001/p0099.h5"
none = np.arange(0)
pal.point(empty, metadata(none), waves(none), (none, pixels[:0]))
compare("empty point", [*fixed, empty], want())
broken = f"{SCRATCH}/fixed/run=001/scan=001/p0100.h5"
open(broken, "w").close()
refused("a point of 0 bytes", [*fixed, broken], ["p0100.h5"])
compare("0 bytes left out", [*fixed, broken], want(), unreadable="skip")
half = f"{SCRATCH}/half.h5"
with open(fixed[0], "rb") as f, open(half, "wb") as g:
    g.write(f.read()[:40000])
refused("a point cut short", [*fixed[1:], half], ["half.h5"])

# ---- refusals that name what is wrong

refused("objects", fixed, ["detector_eh1_jungfrau2_parameters.ROI", "pickled"], i0="detector_eh1_jungfrau2_parameters.ROI")
refused("unknown channel", fixed, ["qbpm:eh1:qbpm1:sum"], i0="qbpm:eh1:qbpm1:sun")
refused("unknown detector", fixed, ["eh1/jungfrau9"], frames="eh1/jungfrau9")
refused("no such rate", fixed, ["RATE_HX_15HZ"], laser={"codes": [15]})
levels = f"{SCRATCH}/levels.h5"
with pd.HDFStore(levels, "w") as store:
    two = metadata(np.arange(3)).select_dtypes("number")
    two.index = pd.MultiIndex.from_product([[1], two.index])
    store.put("metadata", two)
refused("several levels", [levels], ["several levels"])
short = f"{SCRATCH}/short.h5"
pal.point(short, metadata(np.arange(9)), None, (stamp[:8], pixels[:9]))
refused("too few timestamps", [short], ["9 frames", "timestamps"])

# ---- what files are

code, out, err = xani("info", f"{SCRATCH}/fixed", "--json")
info = json.loads(out) if code == 0 else {}
r.ok(code == 0 and info["layout"] == "pal" and len(info["runs"]) == 1, f"info: one PAL-XFEL run {err}")
if info:
    run, ids, det = info["runs"][0], info["pulse_ids"][0], info["detectors"][0]
    r.ok(run["shots"] == e.n - 2 + 1 and ids["frames_lost"] == 2 and ids["repeated"] == 1, f"info: {run['shots']} frames, {ids}")
    r.ok(run["laser_rule"] == FLAG and run["laser_off"] == int((~e.on).sum()) - sum(not e.on[i] for i in (*LOST, *NO_ROW, *NAN_FLAG)) + (not e.on[TWICE]), f"info: {run}")
    r.ok(det["name"] == "eh1/jungfrau2" and det["shape"] == [32, 24] and "blosc" in det["filters"], f"info: {det}")
    r.ok([p["file"].endswith("p0100.h5") for p in info["problems"]] == [True], f"info: the broken point is a problem {info['problems']}")
    names = {c["name"]: c for c in info["channels"]}
    r.ok(names["qbpm:eh1:qbpm1:sum"]["role"] == "i0" and names["delay_value"]["role"] == "delay", "info: roles by name")
    r.ok(WAVES in names and names[WAVES]["role"] == "i0", "info: the waveforms' sum is offered")
made = f"{SCRATCH}/made.yaml"
code, out, err = xani("init", f"{SCRATCH}/split", "-o", made)
r.ok(code == 0, f"init: {err}")
if code == 0:
    given = yaml.safe_load(open(made))["input"]
    r.ok(given["layout"] == "pal" and given["frames"] == "eh1/jungfrau2" and given["laser"] == FLAG and
         given["i0"] == WAVES, f"init: {({k: given[k] for k in ('frames', 'laser', 'i0')})}")
    r.ok(sorted(given["files"]) == [f"{SCRATCH}/split/type={t}/run=001/scan=001/p00*.h5" for t in ("measurement", "raw")] or
         len(given["files"]) <= 4, f"init: many files become globs {given['files'][:4]}")
    options = {"experiment.energy_kev": 10.0, "input.delay": e.delay("delay_value", "timing_edge"),
               "reduce": {"delay_bins_ps": shots.BINS}, "input.calibration": {"kev_per_unit": 1.0},
               "input.mask": {"file": f"{SCRATCH}/mask.h5", "dataset": "mask"}}
    shots.compare("made by init", made, want(waveforms=True), 8e-6, *set_options(options))

# ---- Rayonix: rows belong together

ray = f"{SCRATCH}/R12.h5"
rayonix = shots.Experiment(shots=60, modules=1, rows=16, cols=16, seed=3)
words = np.round(rayonix.photons * 20.0).astype("u2")
words[:, 2, 3] = 65535  # bad in every shot
rayonix.masked[2, 3] = True
with h5py.File(ray, "w") as f:
    f["R12/header/detector_0_distance"] = 150.0
    scan = f.create_group("R12/scan_dat")
    scan["N"], scan["raymx_data"], scan["photon_wavelength"] = np.arange(60), words, np.full(60, 1.24)
    scan["laser"], scan["i0"], scan["stage"], scan["edge"] = rayonix.on.astype("i4"), rayonix.i0, rayonix.stage_mm, rayonix.edge_px
one = rayonix.config("pal", [ray], i0="i0", laser="laser", delay=rayonix.delay("stage", "edge"), calibration={"photons_per_unit": 0.05})
shots.compare("Rayonix", write_config(f"{SCRATCH}/ray.yaml", one), rayonix.cube(), 1e-5)
code, out, err = xani("info", ray, "--json")
found = json.loads(out)["detectors"][0] if code == 0 else {}
r.ok(found.get("name") == "raymx" and abs(found["energy_kev"] - 9.99872568) < 1e-6 and found["distance_mm"] == 150, f"Rayonix: info {found} {err}")

# ---- what xani sim writes

tools.same_shots("pal")
written = f"{SCRATCH}/sim/raw/type=measurement/run=001/scan=001/p0001.h5"
if r.ok(os.path.exists(written), "sim: a file for each point"):
    frame = pd.read_hdf(written, "metadata")
    r.ok(frame.shape == (100, 5) and FLAG in frame and frame.index.dtype == "i8", f"sim: pandas reads its metadata {frame.shape}")
r.end()
