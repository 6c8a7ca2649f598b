#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""layout_nxmx.py XANI SCRATCH -- NXmx masters written by h5py give the cube NumPy finds, every fault counted exactly.

Files as formats.md 2 describes them: a legacy master whose links lead to data files, one virtual dataset with an axis of
channels, a Jungfraujoch master with ids in the data files.  Faults: lost, repeated and shuffled shots, ids that are off,
readings missing, repeated or not a number, masks in every place, values that are no data, links that lead nowhere.
Also: the simulated experiment gives the same cube in this layout and in SwissFEL's.  Prints TAP.
"""
import json
import os
import subprocess

from harness import new_folder, r, write_config, xani

import h5py
import numpy as np

import shots
import tools

BASE, STEP = 1000, 2  # id of shot i: BASE + STEP i


def store(f, name, data, **more):
    """A dataset with its groups; frames as the file writers store them: one per chunk, bitshuffle and LZ4."""
    if data.ndim >= 3 and len(data):
        return f.create_dataset(name, data=data, chunks=(1,) + data.shape[1:], compression=32008,
                                compression_opts=(0, 2), **more)
    return f.create_dataset(name, data=data, **more)


def nx_class(f, path, name):
    f.require_group(path).attrs["NX_class"] = name


def detector(f, e, masks, saturation=None):
    """Beam and detector of a master; masks: {name below the detector: bits}."""
    f.attrs["default"] = "entry"
    nx_class(f, "entry", "NXentry")
    nx_class(f, "entry/data", "NXdata")
    nx_class(f, "entry/instrument", "NXinstrument")
    nx_class(f, "entry/instrument/beam", "NXbeam")
    nx_class(f, "entry/instrument/detector", "NXdetector")
    f["entry"].attrs["default"] = "data"
    f["entry/definition"] = "NXmx"
    f["entry/instrument/beam/incident_wavelength"] = 12.398419843320026 / 10.0
    f["entry/instrument/beam/incident_wavelength"].attrs["units"] = "angstrom"
    det = f["entry/instrument/detector"]
    for name, value, unit in (("distance", 0.123, "m"), ("x_pixel_size", 75e-6, "m"), ("y_pixel_size", 75e-6, "m"),
                              ("beam_center_x", 15.5, "pixel"), ("beam_center_y", 17.25, "pixel")):
        det[name] = value
        det[name].attrs["units"] = unit
    nx_class(f, "entry/instrument/detector/module", "NXdetector_module")
    det["module/data_origin"], det["module/data_size"] = np.array([0, 0]), np.array([e.modules * e.rows, e.cols])
    for name, vector in (("fast", [-1.0, 0, 0]), ("slow", [0, -1.0, 0])):
        step = det["module"].create_dataset(f"{name}_pixel_direction", data=75e-6)
        step.attrs.update(vector=np.array(vector), units="m", transformation_type="translation", depends_on=".")
    if saturation is not None:
        det["saturation_value"] = saturation
    for name, bits in masks.items():
        det[name] = bits


def bits(e, **where):
    """A pixel mask with these bits: bits(e, p_3_4=1 << 1)."""
    m = np.zeros((e.modules * e.rows, e.cols), "u4")
    for name, value in where.items():
        y, x = (int(n) for n in name[2:].split("_"))
        m[y, x] = value
    return m


def readings_file(path, e, order, ids, change=None, **more):
    """i0, laser, stage and edge of shots `order` under these ids."""
    with h5py.File(path, "w") as f:
        columns = {"i0": e.i0[order], "laser": e.on[order].astype("u1"), "stage": e.stage_mm[order],
                   "edge": np.where(e.on[order], e.edge_px[order], np.nan)}
        if change:
            change(columns)
        for name, value in {**columns, **more}.items():
            f[f"shots/{name}"] = value
        f["shots/id"] = ids.astype("u8")


def base_config(e, files, path="shots", **keys):
    config = e.config("nxmx", files, i0=f"{path}/i0", laser=f"{path}/laser",
                      delay=e.delay(f"{path}/stage", f"{path}/edge"), **keys)
    config["input"].setdefault("calibration", {"photons_per_unit": 1})
    return config


# ---- a legacy master with links, readings in a file beside it

e = shots.Experiment()
where = new_folder("legacy")
stored = [i for i in range(e.n) if i not in (5, 9)] # two frames lost
stored.insert(100, 20)                              # and one stored twice
stored[40], stored[41] = stored[41], stored[40]     # and two in the wrong order
frames = e.photons[stored].astype("u4")
none = np.iinfo("u4").max
frames[:, 10, 11] = none                # a pixel without data
frames[stored.index(130), 14, 15] = none # and one that has none in a single shot
frames[stored.index(131), 12, 13] = 700  # beyond saturation once
for i, (lo, hi) in enumerate(((0, 100), (100, 200), (200, len(stored)))):
    with h5py.File(f"{where}/series_1_data_{i + 1:06d}.h5", "w") as f:
        store(f, "entry/data/data", frames[lo:hi]).attrs["image_nr_low"] = lo + 1
with h5py.File(f"{where}/series_1_master.h5", "w") as f:
    detector(f, e, {"pixel_mask": bits(e, p_3_4=1 << 1, p_5_6=1 << 31, p_6_6=1 << 16, p_2_2=1 | 1 << 31),
                    "pixel_mask_1": bits(e, p_7_8=1 << 8), "pixel_mask_applied": np.array(0)}, saturation=500)
    for i in range(3):
        f[f"entry/data/data_{i + 1:06d}"] = h5py.ExternalLink(f"series_1_data_{i + 1:06d}.h5", "/entry/data/data")
    f["entry/pump/pulse"] = np.array([BASE + STEP * i for i in stored], "i8")
rng = np.random.default_rng(3)
order = np.array([i for i in range(e.n) if i != 30] + [50, 60])  # 30 is not read, 50 and 60 twice
rng.shuffle(order)


def spoil(columns):
    second = np.flatnonzero(order == 60)[1]
    columns["i0"][second] *= 1.5                        # which of the two is right?
    columns["i0"][np.flatnonzero(order == 70)] = np.nan
    columns["stage"][np.flatnonzero(order == 73)] = np.nan  # on: 73 % 3 == 1


readings_file(f"{where}/readings.h5", e, order, BASE + STEP * order - 6, spoil)  # ids 6 too low
with h5py.File(f"{where}/late.h5", "w") as f:  # one reading beyond the last frame, in a further file
    f["shots/i0"], f["shots/laser"], f["shots/stage"], f["shots/edge"] = [np.array([1.0])] * 4
    f["shots/id"] = np.array([BASE + STEP * (e.n + 5) - 6])
e.drop("lost", 5, 9)
e.drop("join", 20, 30, 60)
e.drop("values", 70, 73)
for y, x in ((3, 4), (7, 8), (2, 2), (10, 11), (14, 15), (12, 13)):
    e.masked[y, x] = True
expected = e.cube()
nan_cut = expected["cuts"].pop("values")
expected["seen"] += 1           # shot 20 has two frames
expected["cuts"]["join"] += 1
off = [{"source": f"shots/{n}", "shots": 6} for n in ("i0", "laser", "stage", "edge")]
config = base_config(e, [f"{where}/series_1_master.h5"], ids="entry/pump/pulse", offsets=off,
                     readings=[{"file": f"{where}/readings.h5", "ids": "shots/id"}, {"file": f"{where}/late.h5", "ids": "shots/id"}])
write_config(f"{where}/look.yaml", config)
code, err = shots.reduce(f"{where}/look.yaml", f"{where}/look.h5")
r.ok(code == 0, f"legacy: reduce: {err.strip()[-300:] if code else ''}")
with h5py.File(f"{where}/look.h5") as f:
    flow = shots.cut_flow(f)
    names = [k for k, v in flow.items() if v == nan_cut and k not in ("seen", "delay bin", "join")]
r.ok(len(names) == 1, f"legacy: one cut refuses the {nan_cut} shots that are not a number: {names}")
expected["cuts"][names[0] if names else "?"] = nan_cut
got = tools.run("legacy", where, config, expected)
r.ok(got.get("missing") == 2, f"legacy: the lost frames are missing: {got}")
r.ok(got.get("duplicate") == 1 + 2, f"legacy: a repeated frame and two repeated rows of readings, once each whatever the channels: {got}")
r.ok(got.get("unmatched") == 1, f"legacy: a reading after the last frame is unmatched: {got}")
one = {**config, "engine": {"threads": 1}}
write_config(f"{where}/one.yaml", one)
shots.reduce(f"{where}/one.yaml", f"{where}/one.h5")
with h5py.File(f"{where}/one.h5") as a, h5py.File(f"{where}/cube.h5") as b:
    same = all(np.array_equal(a[f"entry/sums/{c}/{n}"][()], b[f"entry/sums/{c}/{n}"][()]) for c in ("on", "off") for n in b["entry/sums/on"])
r.ok(same, "legacy: sums are the same bits on one thread")

# ---- what info and init make of it

code, out, err = xani("info", where, "--json")
info = json.loads(out) if code == 0 else {}
r.ok(code == 0 and info["layout"] == "nxmx" and len(info["runs"]) == 1, f"info: one NXmx run, data files are none of their own: {err.strip()} {info.get('layout')}")
det = info["detectors"][0] if info else {}
r.ok(det.get("frames") == len(stored) and det.get("shape") == [32, 32] and det.get("type") == "uint32", f"info: frames and shape: {det}")
r.ok(abs(det.get("energy_kev", 0) - 10) < 1e-9 and abs(det.get("distance_mm", 0) - 123) < 1e-9 and abs(det.get("pixel_mm", 0) - 0.075) < 1e-12, f"info: energy, distance, pixel: {det}")
made = f"{where}/made.yaml"
code, out, err = xani("init", f"{where}/series_1_master.h5", "-o", made)
text = open(made).read() if code == 0 else ""
r.ok("layout: nxmx" in text and "energy_kev: 10 " in text and f"file: {where}/series_1_master.h5" in text and "photons_per_unit: 1 " in text,
     f"init fills in what the master tells, which is its own geometry file: {err.strip()}")
fill = []
for key in ("i0", "laser", "delay", "ids", "offsets", "readings"):
    fill += ["--set", f"input.{key}={json.dumps(config['input'][key])}"]
fill += ["--set", f"reduce.delay_bins_ps={json.dumps(config['reduce']['delay_bins_ps'])}"]
code, out, err = xani("reduce", made, "-o", f"{where}/made.h5", *fill)
if r.ok(code == 0, f"and reduce accepts it once filled in: {err.strip()[-300:] if code else ''}"):
    shots.check("init", f"{where}/made.h5", expected)

# ---- refusals of the legacy form

os.rename(f"{where}/series_1_data_000002.h5", f"{where}/away")
tools.refuse("an absent target is named", where, config, "series_1_master.h5", "data_000002", "series_1_data_000002.h5", "no such file")
code, out, err = xani("info", where, "--json")
problems = json.dumps(json.loads(out)["problems"]) if code == 0 else err
r.ok("series_1_data_000002.h5" in problems, f"info names it under problems: {problems[:300]}")
open(f"{where}/series_1_data_000002.h5", "w").close()
tools.refuse("an empty target is named", where, config, "series_1_data_000002.h5", "0 bytes")
with h5py.File(f"{where}/series_1_data_000002.h5", "w") as f:
    f["entry/data/other"] = 1
tools.refuse("a target without the dataset is named", where, config, "series_1_data_000002.h5", "not in it")
os.rename(f"{where}/away", f"{where}/series_1_data_000002.h5")
subprocess.run(["cp", f"{where}/series_1_master.h5", f"{where}/gap_master.h5"], check=True)
with h5py.File(f"{where}/gap_master.h5", "a") as f:
    del f["entry/data/data_000002"]
gap = tools.changed(config, files=[f"{where}/gap_master.h5"])
tools.refuse("a link that is not there is named", where, gap, "data_000002 is not there")
for key, value, words in (("ids", "entry/pump/puls", ["entry/pump/puls", "input.ids"]), ("ids", "entry/definition", ["entry/definition"]),
                          ("i0", "shots/l0", ["shots/l0", "nearest name is shots/i0"]), ("frames", "entry/data/dat", ["entry/data/dat"]),
                          ("frames", "entry/pump/pulse", ["entry/pump/pulse", "(n, y, x)"]),
                          ("readings", [{"file": f"{where}/absent.h5"}], ["absent.h5"])):
    tools.refuse(f"input.{key}: {value}", where, tools.changed(config, **{key: value}), *words)
tools.refuse("a channel where there is none", where, tools.changed(config, channel="threshold_1"), "input.channel", code=2)
tools.refuse("event codes", where, tools.changed(config, laser={"codes": [20]}), "input.laser", code=2)
with h5py.File(f"{where}/series_1_master.h5", "a") as f:
    f["entry/instrument/detector/pixel_mask_2"] = np.zeros((4, 4), "u4")
tools.refuse("a mask of another shape is named", where, config, "pixel_mask_2", "(4, 4)")

# ---- v2024.2: one virtual dataset (shot, channel, y, x), readings in the master, image ids with a gap

e = shots.Experiment(seed=2)
where = new_folder("channels")
stored = [i for i in range(e.n) if i not in (17, 18, 150)]
e.drop("lost", 17, 18, 150)
both = np.empty((len(stored), 2) + e.photons.shape[1:], "u2")
both[:, 0] = 7777  # another threshold
both[:, 1] = e.photons[stored]
both[:, 1, 9, 9] = 65535
layout = h5py.VirtualLayout(both.shape, "u2")
for i, lo in enumerate(range(0, len(stored), 64)):
    part = both[lo:lo + 64]
    with h5py.File(f"{where}/series_2_data_{i + 1:06d}.h5", "w") as f:
        store(f, "entry/data/data", part)
    layout[lo:lo + len(part)] = h5py.VirtualSource(f"series_2_data_{i + 1:06d}.h5", "entry/data/data", part.shape)
with h5py.File(f"{where}/series_2_master.h5", "w", libver="latest") as f:
    detector(f, e, {"threshold_1_channel/pixel_mask": bits(e, p_1_1=1), "threshold_2_channel/pixel_mask": bits(e, p_4_4=1 << 4)})
    f.create_virtual_dataset("entry/data/data", layout)
    f["entry/data"].attrs["signal"] = "data"
    f["entry/data"].attrs["axes"] = ["image_id", "channel", ".", "."]
    f["entry/data/image_id"] = np.array(stored) + 1
    f["entry/data/channel"] = np.array(["threshold_1", "threshold_2"], dtype=h5py.string_dtype())
    f["entry/shots/i0"], f["entry/shots/laser"] = e.i0[stored], e.on[stored].astype("u1")
    f["entry/shots/stage"], f["entry/shots/edge"] = e.stage_mm[stored], e.edge_px[stored]
e.masked[4, 4] = e.masked[9, 9] = True
config = base_config(e, [f"{where}/series_2_master.h5"], "entry/shots", channel="threshold_2")
got = tools.run("channels", where, config, e.cube())
r.ok(got == {"missing": 0, "duplicate": 0, "unmatched": 0}, f"channels: nothing else is counted: {got}")
config["input"]["channel"] = "1"  # by number
tools.run("channel by number", where, config, e.cube())
config["input"]["channel"] = "threshold_3"
tools.refuse("a channel that is not there", where, config, "threshold_3", "threshold_", code=2)
code, out, err = xani("info", f"{where}/series_2_master.h5", "--json")
ids = json.loads(out)["pulse_ids"][0] if code == 0 else {}
r.ok(ids.get("frames_lost") == 3 and ids.get("gaps") == 2, f"channels: the gaps of image_id are told: {ids} {err.strip()}")
code, out, err = xani("init", f"{where}/series_2_master.h5")
r.ok("laser: entry/shots/laser" in out and "# ids: entry/data/image_id" in out and "threshold_" not in err,
     f"init proposes the dataset that tells laser-on, and ids: {err.strip()}")
os.remove(f"{where}/series_2_data_000003.h5")
config["input"]["channel"] = "threshold_2"
tools.refuse("a virtual source that is absent is named", where, config, "series_2_data_000003.h5")

# ---- Jungfraujoch: signed counts of a tenth of a photon, ids in the data files, two series as one run

e = shots.Experiment(seed=4)
where = new_folder("jfjoch")
bounds, files = (0, 70, 150, e.n), []
value = (10 * e.photons).astype("i2")
value[:, 8, 1] = np.iinfo("i2").max
value[:, 8, 2] = np.iinfo("i2").min
value[99, 8, 3] = np.iinfo("i2").min  # 99 is on and inside the bins
for i, (lo, hi) in enumerate(zip(bounds, bounds[1:])):
    with h5py.File(f"{where}/s{i // 2}_data_{i % 2 + 1:06d}.h5", "w") as f:
        store(f, "entry/data/data", value[lo:hi])
        f["entry/xfel/pulseID"] = np.arange(lo, hi, dtype="u8")  # from 0
for s, parts in enumerate((2, 1)):
    files.append(f"{where}/s{s}_master.h5")
    with h5py.File(files[-1], "w") as f:
        detector(f, e, {"detectorSpecific/pixel_mask": bits(e, p_0_0=1 << 1)})
        for i in range(parts):
            f[f"entry/data/data_{i + 1:06d}"] = h5py.ExternalLink(f"s{s}_data_{i + 1:06d}.h5", "/entry/data/data")
order = np.arange(e.n)[::-1]
readings_file(f"{where}/readings.h5", e, order, order)
for y, x in ((0, 0), (8, 1), (8, 2), (8, 3)):
    e.masked[y, x] = True
config = base_config(e, files, ids="entry/xfel/pulseID", readings={"file": f"{where}/readings.h5", "ids": "shots/id"},
                     calibration={"photons_per_unit": 0.1})
got = tools.run("jfjoch", where, config, e.cube(), 1e-5)  # 0.1 is no binary fraction
r.ok(got == {"missing": 0, "duplicate": 0, "unmatched": 0}, f"jfjoch: nothing is missing, though ids begin with 0: {got}")
config["input"].pop("ids")
config["input"]["readings"] = {"file": f"{where}/numbered.h5"}
with h5py.File(f"{where}/numbered.h5", "w") as f:  # by row: the number of the frame
    f["shots/i0"], f["shots/laser"], f["shots/stage"], f["shots/edge"] = e.i0, e.on.astype("u1"), e.stage_mm, e.edge_px
tools.run("ids by number", where, config, e.cube(), 1e-5)

tools.same_shots("nxmx")

r.end()
