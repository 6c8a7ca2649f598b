#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""layout_swissfel.py XANI SCRATCH -- SwissFEL runs written by h5py give the cube NumPy finds, every fault counted exactly.

Files as formats.md 1.5 describes them, with and without /data: raw JUNGFRAU frames at a fraction of the machine's rate,
channels with ids missing, repeated, shuffled and off by pulses, cameras, process variables, scan.json, the laser rules,
converted files (keV, whole numbers with a factor, regions, downsampled, assembled), empty files among good ones.
Prints TAP.
"""
import json
import os

from harness import new_folder, r, xani

import h5py
import numpy as np

import shots
import tools

DET, I0, STAGE, EDGE = "JF07T03V01", "SAROP21-PBPS133:INTENSITY", "SLAAR21-LMOT-M523:MOTOR_1.VAL", "SAROP21-ATT01:edge_position"
EVENTS = "SAR-CVME-TIFALL5:EvtSet"
BASE, RATE = 15_000_000_000, 4  # the detector sees every fourth pulse
PEDESTAL, GAIN = 3000.0, 20.0   # ADU, ADU/keV: 200 ADU per photon of 10 keV
NOTHING = {"missing": 0, "duplicate": 0, "unmatched": 0}


def pulse(i):
    return BASE + RATE * np.asarray(i)


def stamp(ids):
    """ns: 10 digits of seconds, 3 of milliseconds, 6 of the pulse id."""
    ms = 1_700_000_000_000 + 10 * (np.asarray(ids) - BASE)
    return ms * 1_000_000 + np.asarray(ids) % 1_000_000


def channel(f, name, ids, values, root="data/", **more):
    g = f.create_group(f"{root}{name}")
    g["pulse_id"], g["data"] = np.asarray(ids, "i8"), values
    for key, value in more.items():
        g[key] = value


def words(photons):
    return (PEDESTAL + GAIN * 10 * photons).astype("u2")


def calibration(where, shape, mask=None):
    with h5py.File(f"{where}/gains.h5", "w") as f:
        f["gains"] = np.full((4,) + shape, GAIN)
    with h5py.File(f"{where}/pedestal.res.h5", "w") as f:
        f["gains"], f["gainsRMS"] = np.full((3,) + shape, PEDESTAL), np.ones((3,) + shape)
        f["pixel_mask"] = np.zeros(shape, "i8") if mask is None else mask
    return {"pedestal": f"{where}/pedestal.res.h5", "gain": f"{where}/gains.h5"}


def daq(e, i, dark=()):
    """Bit 16 laser, 17 dark, 18 FEL."""
    i = np.asarray(i)
    return (e.on[i].astype("u4") << 16) | np.where(np.isin(i, dark), 1 << 17, 1 << 18).astype("u4")


def base_config(e, files, cal, **keys):
    config = e.config("swissfel", files, i0=I0, laser="daq_rec", delay=e.delay(STAGE, EDGE), calibration=cal, frames=DET)
    return tools.changed(config, **keys)


# ---- raw files under /data, two acquisitions, everything that can go wrong with ids

e = shots.Experiment(modules=3)
where = new_folder("run0010")
os.makedirs(f"{where}/data")
LOST, DARK, BAD, TWICE = (4, 77), (60, 61), (80, 83), 100
stored = [i for i in range(e.n) if i not in LOST]
stored.insert(40, TWICE)
stored[10], stored[11] = stored[11], stored[10]
rng = np.random.default_rng(6)
photons = e.photons.copy()
photons[:, 16:32] = 5  # the module in the middle is off; whatever it holds
for k, (lo, hi) in enumerate(((0, 120), (120, len(stored)))):
    part = np.array(stored[lo:hi])
    with h5py.File(f"{where}/data/acq{k + 1:04d}.{DET}.h5", "w") as f:
        f["general/detector_name"] = DET
        f["pulse_id"], f["file_create_date"] = np.arange(3), "today"  # strays
        g = f.create_group(f"data/{DET}")
        g.create_dataset("data", data=words(photons[part]), chunks=(1,) + photons.shape[1:])
        g["pulse_id"] = pulse(part).astype("u8")[:, None]
        g["frame_index"] = np.arange(len(part), dtype="u8")[:, None]
        g["daq_rec"] = daq(e, part, DARK)[:, None]
        g["is_good_frame"] = (~np.isin(part, BAD)).astype("u1")[:, None]
        g["module_map"] = np.array([0, -1, 2])
    with h5py.File(f"{where}/data/acq{k + 1:04d}.CAMERAS.h5", "w") as f:
        f["pulse_id"] = np.arange(5)
        channel(f, "SARES20-CAMS142-M5:FPICTURE", pulse(part), np.zeros((len(part), 100, 120), "u2"))
        profile = np.zeros((len(part), 3))
        profile[:, 1] = e.edge_px[part]
        channel(f, "SARES20-CAMS142-M5.roi_signal_x_profile", pulse(part), profile)
every = np.arange(RATE * e.n)  # pulses; the channels are at 100 Hz
order = rng.permutation(every)
i0 = np.repeat(e.i0, RATE) + np.where(every % RATE == 0, 0, 0.01)
at = lambda i: np.flatnonzero(order == RATE * i)[0]
keep = np.ones(len(order), bool)
keep[at(30)] = False  # not read at all
present = np.ones(len(order), "u1")
present[at(33)] = 0   # stored, but not there
both = np.concatenate([np.arange(len(order)), [at(50), at(55)]])  # 50 and 55 twice
both = both[np.concatenate([keep, [True, True]])]
value = i0[order][both]
value[-1] *= 2        # 55: which of the two?
ids = BASE + order[both]
with h5py.File(f"{where}/data/acq0001.BSDATA.h5", "w") as f:
    f["pulse_id"], f["file_create_date"] = np.arange(3), "today"
    channel(f, I0, ids, value, is_data_present=present[both], timestamp=stamp(ids))
    channel(f, STAGE, pulse(np.arange(e.n)), e.stage_mm)
    channel(f, EDGE, pulse(np.arange(e.n)) + 1, np.where(e.on, e.edge_px, np.nan))  # one pulse late
    channel(f, "A-CHANNEL:OF-TEXT", pulse(np.arange(3)), np.array(["a", "b", "c"], dtype="S1"))
    channel(f, "AN-EMPTY:CHANNEL", np.zeros(0), np.zeros(0))
    f.create_group("general/created")
mask = np.zeros((48, 32), "i8")
mask[3, 3], mask[40, 8] = 1, 1 << 9
cal = calibration(where, (48, 32), mask)
e.drop("lost", *LOST)
e.drop("join", TWICE, 30, 33, 55)
e.drop("X-rays", *DARK)
e.drop("good frame", *BAD)
e.masked[16:32] = e.masked[3, 3] = e.masked[40, 8] = True
expected = e.cube()
expected["seen"] += 1
expected["cuts"]["join"] += 1
config = base_config(e, [f"{where}/data/*.h5"], cal, offsets=[{"source": EDGE, "shots": -1}])
got = tools.run("raw", where, config, expected)
between = int((order % RATE != 0).sum())
r.ok(got.get("missing") == 2, f"raw: both lost frames are missing: {got}")
r.ok(got.get("duplicate") == 1 + 2, f"raw: a repeated frame, two repeated readings: {got}")
r.ok(got.get("unmatched") == between, f"raw: the {between} readings between the detector's pulses are unmatched: {got}")
tools.run("profile of a camera", where, tools.changed(config, delay=e.delay(STAGE, "SARES20-CAMS142-M5.roi_signal_x_profile[1]"), offsets=None), expected)
tools.refuse("ids that never meet", where, tools.changed(config, offsets=None), "do not overlap", EDGE)
info = tools.info(f"{where}/data")
det = next(d for d in info["detectors"] if "shape" in d)
r.ok(det["name"] == DET and det["shape"] == [48, 32] and det["modules"] == 3 and det["modules_on"] == 2, f"info: the JUNGFRAU, though the camera is larger: {det}")
ids = info["pulse_ids"][0]
r.ok((ids["step"], ids["frames_lost"], ids["repeated"], ids["bad_frames"]) == (RATE, 2, 1, 2), f"info: rhythm, lost, repeated, bad: {ids}")
r.ok(info["runs"][0]["dark"] == 2, f"info: shots without X-rays: {info['runs']}")
code, out, err = xani("init", f"{where}/data")
r.ok(f"frames: {DET} " in out and "laser: daq_rec" in out and "pedestal.res.h5" in out, f"init: detector, laser rule, pedestal: {err.strip()}")
tools.run("frames found", where, tools.changed(config, frames=None), expected)
tools.refuse("a channel that is nearly right", where, tools.changed(config, i0=I0 + "X"), I0)
tools.refuse("an offset of a channel not used", where, tools.changed(config, offsets=[{"source": "X", "shots": 1}]), "channel X", code=2)
open(f"{where}/data/acq0003.CAMERAS.h5", "w").close()
tools.refuse("an empty file is named", where, config, "acq0003.CAMERAS.h5", "0 bytes")
info = tools.info(f"{where}/data")
r.ok([os.path.basename(p["file"]) for p in info["problems"]] == ["acq0003.CAMERAS.h5"] and info["runs"][0]["shots"] == len(stored), f"info: an empty file is a problem, the run is told: {info['problems']}")
os.remove(f"{where}/data/acq0003.CAMERAS.h5")

# ---- an old run without /data: columns per module, event codes, process variables

e = shots.Experiment(seed=2)
where = new_folder("old")
nominal = np.floor(np.linspace(-1.0, 2.9, e.n) * 4) / 4  # the stage goes in steps
e.delay_ps += nominal - (100.0 - e.stage_mm) / shots.MM_PER_PS
e.stage_mm = 100.0 - nominal * shots.MM_PER_PS
i = np.arange(e.n)
LEFT_OUT = (20, 21)
with h5py.File(f"{where}/run_000041.{DET}.h5", "w") as f:
    g = f.create_group(DET)
    g["data"], g["pulse_id"] = words(e.photons), pulse(i)
    two = np.stack([daq(e, i)] * 2, axis=1)
    two[70, 1] = 0  # off in this shot: the other module's word counts
    g["daq_rec"] = two
    g["is_good_frame"] = np.stack([np.ones(e.n, "u1"), (i != 90).astype("u1")], axis=1)
    g["module_map"] = np.tile([0, 1], (e.n, 1))
events = np.zeros((e.n, 256), "u1")
events[:, 20] = e.on
events[:, 25] = ~e.on
events[list(LEFT_OUT), 40] = 1
with h5py.File(f"{where}/run_000041.BSREAD.h5", "w") as f:
    channel(f, I0, pulse(i), e.i0, root="", timestamp=stamp(pulse(i)))
    channel(f, EDGE, pulse(i)[::-1], e.edge_px[::-1], root="")
    channel(f, EVENTS, pulse(i), events, root="")
change = np.flatnonzero(np.diff(e.stage_mm, prepend=0))
with h5py.File(f"{where}/run_000041.PVCHANNELS.h5", "w") as f:
    channel(f, STAGE, pulse(change), e.stage_mm[change], root="")
cal = calibration(where, (32, 32))
e.drop("good frame", 90)
config = base_config(e, [f"{where}/run_*.h5"], cal)
plain = e.cube()
for rule in ("daq_rec", "evtset20", "evtset25", {"codes": [20]}, f"{EVENTS}[20]"):
    got = tools.run(f"laser {rule}", where, tools.changed(config, laser=rule), plain)
    r.ok(got == NOTHING, f"laser {rule}: nothing else is counted: {got}")
e.drop("X-rays", *LEFT_OUT)
tools.run("laser with codes that drop", where, tools.changed(config, laser={"codes": [20], "drop": [40]}), e.cube())
tools.refuse("an event code beyond the table", where, tools.changed(config, laser={"codes": [300]}), "300")
# the same variable by its times: last change before the pulse
with h5py.File(f"{where}/run_000041.PVCHANNELS.h5", "w") as f:
    f[f"{STAGE}/data"], f[f"{STAGE}/timestamp"] = e.stage_mm[change], stamp(pulse(change)) - 3_000_000
    f[f"{STAGE}/changed_in_interval"] = change > 0
e.cut[list(LEFT_OUT)] = ""
tools.run("process variable by time", where, config, plain)
info = tools.info(where)
stage = next(c for c in info["channels"] if c["name"] == STAGE)
r.ok(len(info["runs"]) == 1 and stage["with_frame"] == e.n, f"info: the variable holds for every frame: {stage}")
with h5py.File(f"{where}/run_000041.PVCHANNELS.h5", "a") as f:
    del f[STAGE]
    late = change[2:]
    f[f"{STAGE}/data"], f[f"{STAGE}/timestamp"] = e.stage_mm[late], stamp(pulse(late))
e.drop("join", *[k for k in range(late[0]) if e.on[k] and k != 90])
e.drop("good frame", 90)
tools.run("before its first value", where, config, e.cube())

# ---- scan.json: by pulse ids, by files, read back

e = shots.Experiment(seed=3)
where = new_folder("run0011")
os.makedirs(f"{where}/data")
os.makedirs(f"{where}/meta")
steps = 6
step = np.arange(e.n) * steps // e.n
nominal = np.linspace(-0.9, 2.8, steps)
e.delay_ps += nominal[step] - (100.0 - e.stage_mm) / shots.MM_PER_PS
i = np.arange(e.n)
for k in range(steps):
    here = i[step == k]
    with h5py.File(f"{where}/data/acq{k + 1:04d}.{DET}.h5", "w") as f:
        g = f.create_group(f"data/{DET}")
        g["data"], g["pulse_id"], g["daq_rec"] = words(e.photons[here]), pulse(here), daq(e, here)
    with h5py.File(f"{where}/data/acq{k + 1:04d}.BSDATA.h5", "w") as f:
        channel(f, I0, pulse(here), e.i0[here])
        channel(f, EDGE, pulse(here), e.edge_px[here])
scan = {"scan_parameters": {"name": ["delay"], "Id": ["SLAAR-LGEN:DLY"], "offset": [0], "conversion_factor": [1]},
        "scan_values": [[float(v) * 1e-12] for v in nominal], "scan_readbacks": [[float(v) * 1e-12 + 1e-13] for v in nominal],
        "scan_readbacks_raw": [[0.0]] * steps, "scan_step_info": [{}] * steps,
        "scan_files": [[f"/sf/bernina/raw/run0011/data/acq{k + 1:04d}.{x}.h5" for x in ("BSDATA", DET)] for k in range(steps)],
        "pulseIds": [[int(pulse(i[step == k][0])), int(pulse(i[step == k][-1]))] for k in range(steps)]}


def write_scan(**keys):
    with open(f"{where}/meta/scan.json", "w") as f:
        json.dump({k: v for k, v in {**scan, **keys}.items() if v is not None}, f)


def scan_delay(source, origin=0.0, scale=1e12):
    return {**e.delay(STAGE, EDGE), "parts": [{"source": source, "scale_ps": scale, "origin": origin}]}


cal = calibration(where, (32, 32))
config = base_config(e, [f"{where}/data/*.h5"], cal, delay=scan_delay("scan/delay"))
write_scan()
tools.run("scan", where, config, e.cube())
tools.run("scan by Id", where, tools.changed(config, delay=scan_delay("scan/SLAAR-LGEN:DLY")), e.cube())
tools.run("scan read back", where, tools.changed(config, delay=scan_delay("scan_readback/delay", 1e-13)), e.cube())
gap = (nominal[1] - nominal[0])
tools.run("scan step", where, tools.changed(config, delay=scan_delay("scan/step", -nominal[0] / gap, gap)), e.cube())
write_scan(pulseIds=None)
tools.run("scan by files", where, config, e.cube())
info = tools.info(f"{where}/data")
found = [d for d in info["delays"] if d["source"] == "scan/delay"]
r.ok(found and found[0]["values"] == steps, f"info: the scan is a delay of {steps} values: {info['delays']}")
os.rename(f"{where}/meta/scan.json", f"{where}/elsewhere.json")
tools.refuse("no scan file", where, config, "scan/delay")
tools.run("a scan file elsewhere", where, tools.changed(config, scan=f"{where}/elsewhere.json"), e.cube())
tools.refuse("a scan file that is not there", where, tools.changed(config, scan=f"{where}/no.json"), "no.json")
write_scan()
tools.refuse("a parameter that is not scanned", where, tools.changed(config, delay=scan_delay("scan/dely")), "dely", "nearest name is delay")
write_scan(pulseIds=scan["pulseIds"][:-1] + [[1, 2]])  # the last step's range is lost
e.drop("join", *i[(step == steps - 1) & e.on])
tools.run("frames of no step", where, config, e.cube())
write_scan(pulseIds=[["a", 1]])
tools.refuse("ranges that are none", where, config, "pulseIds")
with open(f"{where}/meta/scan.json", "w") as f:
    f.write("{")
tools.refuse("a broken scan file that is asked for", where, tools.changed(config, scan=f"{where}/meta/scan.json"), "scan.json", "line")
tools.run("a broken scan file beside", where, tools.changed(config, delay={"parts": [{"source": EDGE, "scale_ps": 1 / shots.PX_PER_PS, "origin": 1000}], "sign": 1}))

# ---- converted files

e = shots.Experiment(seed=4)
i = np.arange(e.n)
for name in ("kev", "factor", "roi", "downsample", "geometry", "unconverted"):
    where = new_folder(name)
    photons, det, meta = e.photons, DET, {}
    good = np.ones(photons.shape[1:], bool)
    good[4, 7] = False
    if name == "roi":
        det, meta["roi"] = f"{DET}:ROI_spot", np.array([(4, 24), (0, 30)])
        photons, good = photons[:, 4:24, 0:30], good[4:24, 0:30]
    if name == "downsample":
        photons = photons.reshape(e.n, 16, 2, 16, 2).sum(axis=(2, 4))
        good = good.reshape(16, 2, 16, 2).all(axis=(1, 3))
        meta["downsample"] = np.array([2, 2])
    if name == "geometry":  # assembled: 37 rows are no whole modules
        photons = np.concatenate([photons, np.zeros((e.n, 5, 32), photons.dtype)], axis=1)
        good = np.concatenate([good, np.zeros((5, 32), bool)])
    kev = photons * 10.0
    data, factor, cal = kev.astype("f4"), np.nan, None
    data[:, ~good] = np.nan
    if name == "factor":
        data, factor = np.round(kev / 0.5).astype("i4"), 0.5
    if name == "unconverted":
        data, cal = words(photons), calibration(where, (32, 32), np.where(good, 0, 1))
    with h5py.File(f"{where}/run1.{DET}.h5", "w") as f:
        g = f.create_group(f"data/{det}")
        g.create_dataset("data", data=data, chunks=(1,) + data.shape[1:], compression=32008, compression_opts=(0, 2))
        g["pulse_id"], g["daq_rec"] = pulse(i)[:, None], daq(e, i)[:, None]
        g["module_map"] = np.array([0, 1])
        for key, v in {"module_map": np.array([0, 1]), "conversion": name != "unconverted", "conversion_factor": factor, "mask": True,
                       "gap_pixels": name == "geometry", "geometry": name == "geometry", "downsample": np.array([1, 1]),
                       "pixel_mask": good, "good_pixels_fraction": 1.0, **meta}.items():
            g[f"meta/{key}"] = v
    with h5py.File(f"{where}/run1.BSDATA.h5", "w") as f:
        channel(f, I0, pulse(i), e.i0)
        channel(f, STAGE, pulse(i), e.stage_mm)
        channel(f, EDGE, pulse(i), e.edge_px)
    small = shots.Experiment(seed=4)
    small.photons, small.masked = photons, ~good
    config = base_config(e, [f"{where}/run1.*.h5"], cal, frames=det)
    got = tools.run(name, where, config, small.cube())
    r.ok(got == NOTHING, f"{name}: nothing else is counted: {got}")
    det_facts = next(d for d in tools.info(where)["detectors"] if "shape" in d)
    r.ok(det_facts["converted"] == (name != "unconverted") and det_facts["name"] == det, f"{name}: info: {det_facts}")
    if name == "kev":
        tools.refuse("pedestals for what is converted", where, tools.changed(config, calibration=calibration(where, (32, 32))), "converted", code=2)
        with h5py.File(f"{where}/run2.{DET}.h5", "w") as f:
            g = f.create_group(f"data/{det}")
            g["data"], g["pulse_id"], g["daq_rec"] = data[:3], pulse(i[:3]) + 10000, daq(e, i[:3])
        tools.refuse("a raw file among converted ones", where, tools.changed(config, files=[f"{where}/run*.h5"]), f"run2.{DET}.h5", "not converted")

r.end()
