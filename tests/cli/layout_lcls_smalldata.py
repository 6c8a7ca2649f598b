#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""layout_lcls_smalldata.py XANI SCRATCH -- LCLS-I small data typed from formats.md 1.1, with everything that goes wrong there:
shuffled and repeated events, events of the same time, lost ones, missing numbers, damage, dark shots, no event receiver.
Counts come out exactly, the cube equals NumPy's; info and init know the files; what xani sim writes gives SwissFEL's cube.
"""
import json
import os

from harness import SCRATCH, new_folder, r, set_options, write_config, xani

import h5py
import numpy as np
import yaml

import shots
import tools

ENERGY, DET = 10.0, "jungfrau1M"


# ---- the experiment

e = shots.Experiment(modules=2, rows=16, cols=32)
NOMINAL_PS = (100.0 - e.stage_mm) / shots.MM_PER_PS
TT_PS = (e.edge_px - 1000.0) / shots.PX_PER_PS
STEP = 8333333
ns = np.arange(e.n, dtype=np.int64) * STEP + np.random.default_rng(5).integers(-2000, 2000, e.n) + 999_000_000
sec = 1_700_000_000 + ns // 10**9
event_time = (sec << 32) | ns % 10**9
fiducials = (5000 + 3 * np.arange(e.n)) % 0x1ffe0
event_time[101] = event_time[100]  # not the same event: other fiducials

LOST, DAMAGED, ALL_NAN, DARK, NO_EVR, NO_I0, NO_LXT, REPEATED = (7, 150), (20, 21), (30,), (40, 41, 44), (50, 51), (60, 61), (66,), 70
assert e.on[66] and not e.on[50] and e.on[51]
e.drop("lost", *LOST)
e.drop("good frame", *DAMAGED, *ALL_NAN)
e.drop("X-rays", *DARK)
e.drop("laser known", *NO_EVR)
e.drop("join", *NO_I0, *NO_LXT, REPEATED)
e.masked[3, 5] = e.masked[20:22, 7] = True


def write(path, rows, old=False, encoder=None):
    """rows: shots in the order of the file."""
    rows = np.asarray(rows)
    pixels = (e.photons * ENERGY).astype("f4").reshape(e.n, e.modules, e.rows, e.cols)
    pixels[[*DAMAGED, *ALL_NAN]] = np.nan
    laser = e.on.astype("i8")
    laser[list(NO_EVR)] = -1
    xray = np.ones(e.n, "i8")
    xray[list(DARK)] = 0
    i0 = e.i0.copy()
    i0[list(NO_I0)] = np.nan
    channels = np.repeat(e.i0[:, None] / 4, 4, axis=1).astype("f8")
    channels[NO_I0[0], 2] = np.nan
    counts = np.round(e.i0 * 1000).astype("i4")
    counts[list(NO_I0)] = -99999
    lxt = NOMINAL_PS * 1e-12
    lxt[list(NO_LXT)] = np.nan
    damage = np.ones(e.n, "i8")
    damage[list(DAMAGED)] = 0
    tt = np.where(e.on, TT_PS, np.nan)
    with h5py.File(path, "w") as f:
        if old:
            f["EvtID/time"] = np.stack([event_time >> 32, event_time & 0xffffffff], axis=1)[rows]
            f["EvtID/fid"] = fiducials[rows]
        else:
            f["event_time"], f["fiducials"] = event_time[rows], fiducials[rows]
        f["lightStatus/laser"], f["lightStatus/xray"] = laser[rows], xray[rows]
        f["evr/code_90"] = np.where(laser < 0, -99999, laser)[rows]
        f["evr/code_91"] = np.where(laser < 0, -99999, 1 - laser)[rows]
        f["ipm2/sum"], f["ipm2/channels"], f["ipm2/counts"] = i0[rows], channels[rows], counts[rows]
        f["ipm2/xpos"] = np.zeros(len(rows))
        f["epics/lxt"], f["epics/gon_h"] = lxt[rows], np.zeros(len(rows))
        if encoder is not None:
            f["enc/lasDelay"] = encoder[rows]
            f["epics/lxt"][...] = 0.0
        f["tt/ttCorr"], f["tt/AMPL"] = tt[rows], np.where(e.on, 0.3, np.nan)[rows]
        f["damage/" + DET], f["damage/ipm2"] = damage[rows], np.ones(len(rows), "i8")
        f.create_dataset(f"{DET}/full_area", data=pixels[rows], chunks=(8, *pixels.shape[1:]),
                         maxshape=(None, *pixels.shape[1:]))
        f[f"{DET}/ROI_0_sum"] = np.nansum(pixels, axis=(1, 2, 3))[rows]
        f["var_dummy"], f["Sums/" + DET + "_calib"] = np.arange(5.0), np.zeros((32, 32))
        f[f"UserDataCfg/{DET}/mask"] = (~e.masked).reshape(e.modules, e.rows, e.cols).astype("u1")


def config(name, files, layout="lcls_smalldata", **more):
    keys = {"frames": f"{DET}/full_area", "i0": "ipm2/sum", "laser": "lightStatus/laser",
            "calibration": {"kev_per_unit": 1.0}, "mask": {"dataset": f"UserDataCfg/{DET}/mask", "good": "nonzero"},
            "delay": {"parts": [{"source": "epics/lxt", "scale_ps": 1e12}], "sign": 1, "zero_ps": 0,
                      "time_tool": {"source": "tt/ttCorr", "sign": 1, "coefficients_ps": [0, 1]}}, **more}
    return write_config(f"{SCRATCH}/{name}.yaml", e.config(layout, files, **keys))


def reduce(name, files, *options, **more):
    return shots.reduce(config(name, files, **more), f"{SCRATCH}/{name}.cube.h5", *options)


def compare(name, files, expected, **more):
    return shots.compare(name, config(name, files, **more), expected)[1]


rng = np.random.default_rng(3)
have = [i for i in range(e.n) if i not in LOST]
rows = rng.permutation(have + [REPEATED])
expected = e.cube()
expected["seen"] += 1  # the repeated event has two rows, both refused
expected["cuts"]["join"] += 1
RUN = f"{SCRATCH}/xpptest_Run0012.h5"
write(RUN, rows)
err = compare("shuffled", [RUN], expected)
r.ok("240 events" not in err and "239 events; 3 without a frame, 0 without a time, 1 repeated" in err,
     f"what is lost is told: {err.strip()[-200:]}")
with h5py.File(f"{SCRATCH}/shuffled.cube.h5") as f:
    ids = f["entry/shots/pulse_id"][()] if "entry/shots/pulse_id" in f else None
    if ids is not None:
        r.ok(set(ids) - {int(event_time[100]) | 1 << 30} == set(event_time[have].astype("u8")), "ids are event times")

# other ways to say and to store the same
compare("codes_required", [RUN], expected, laser={"codes": [90]})
compare("codes_drop", [RUN], expected, laser={"drop": [91]})
compare("codes_both", [RUN], expected, laser={"codes": [90], "drop": [91]})
compare("slash", [RUN], expected, i0="/ipm2/sum", laser="/lightStatus/laser")
write(f"{SCRATCH}/old_Run012.h5", rows, old=True)
compare("EvtID", [f"{SCRATCH}/old_Run012.h5"], expected)
parts = [f"{SCRATCH}/part{k}_Run0012.h5" for k in range(3)]
for path, some in zip(parts, (rows[:100], rows[100:], rows[:0])):
    write(path, some)
compare("three_files", parts, expected)  # the third has no events
code, err = reduce("summed", [RUN], i0="sum(ipm2/channels)")
r.ok(code == 0 and shots.cut_flow(h5py.File(f"{SCRATCH}/summed.cube.h5"))["join"] == expected["cuts"]["join"] - 1,
     f"a NaN column makes no sum; the others count: {err.strip()[-200:] if code else ''}")
code, err = reduce("whole_numbers", [RUN], i0="0.001 * ipm2/counts")
r.ok(code == 0 and shots.cut_flow(h5py.File(f"{SCRATCH}/whole_numbers.cube.h5"))["join"] == expected["cuts"]["join"],
     f"-99999 is no reading: {err.strip()[-200:] if code else ''}")

# ROI of rank 3
with h5py.File(RUN, "a") as f:
    f[f"{DET}/ROI_0_area"] = f[f"{DET}/full_area"][:, 0]
small = dict(expected, signal=expected["signal"][:, :e.rows])
code, err = reduce("roi_mask", [RUN], frames=f"{DET}/ROI_0_area")
r.ok(code == 3 and "mask" in err and "(16, 32)" in err, f"a mask of another shape is refused: {code} {err.strip()[-200:]}")
with h5py.File(RUN, "a") as f:
    f["UserDataCfg/roi_mask"] = (~e.masked[:e.rows]).astype("u1")
# with the region's bounds, as smalldata_tools keeps them, the detector's mask is cut to it
for name, bound in (("bound", [[0, 1], [0, e.rows], [0, e.cols]]), ("ROI", [[0, 1], [0, 10**6], [0, 10**6]])):
    with h5py.File(RUN, "a") as f:
        f[f"UserDataCfg/{DET}/ROI_0__ROI_0_{name}"] = np.array(bound)
    compare(f"roi_{name}", [RUN], small, frames=f"{DET}/ROI_0_area")
    with h5py.File(RUN, "a") as f:
        del f[f"UserDataCfg/{DET}/ROI_0__ROI_0_{name}"]
part = dict(expected, signal=expected["signal"][:, e.rows + 2:e.rows + 8, 4:20])
with h5py.File(RUN, "a") as f:
    f[f"{DET}/ROI_1_area"] = f[f"{DET}/full_area"][:, 1, 2:8, 4:20]
    f[f"UserDataCfg/{DET}/ROI_1__ROI_1_bound"] = np.array([[1, 2], [2, 8], [4, 20]])
compare("roi_1", [RUN], part, frames=f"{DET}/ROI_1_area")
with h5py.File(RUN, "a") as f:
    f[f"UserDataCfg/{DET}/ROI_1__ROI_1_bound"][1] = [2, 9]
code, err = reduce("roi_odd", [RUN], frames=f"{DET}/ROI_1_area")
r.ok(code == 3 and "the mask has shape" in err, f"bounds that are not those of the frames serve nothing: {code} {err.strip()[-200:]}")
compare("roi", [RUN], small, frames=f"{DET}/ROI_0_area", mask={"dataset": "UserDataCfg/roi_mask", "good": "nonzero"})

# ---- a monitor that is one shot late: its reading stands with the next event, which may be lost; times jitter
late = shots.Experiment(shots=150, modules=1, rows=8, cols=8, seed=2)
LATE_LOST = np.array([30, 90])
late.drop("lost", *LATE_LOST)
late.drop("join", *(LATE_LOST - 1), late.n - 1)
t = 999_500_000 + np.arange(late.n, dtype=np.int64) * STEP + np.random.default_rng(6).integers(-20000, 20000, late.n)
with h5py.File(f"{SCRATCH}/late_Run0001.h5", "w") as f:
    index = np.random.default_rng(7).permutation(np.setdiff1d(np.arange(late.n), LATE_LOST))
    f["event_time"] = (((1_700_000_000 + t // 10**9) << 32) | t % 10**9)[index]
    f["ipm2/sum"] = np.roll(late.i0, 1)[index]
    f["ipm2/sum"][np.flatnonzero(index == 0)] = np.nan
    f["lightStatus/laser"], f["cam/area"] = late.on[index].astype("i8"), late.photons[index].astype("f4")
    f["epics/lxt"] = ((100.0 - late.stage_mm) / shots.MM_PER_PS * 1e-12)[index]
    f["tt/ttCorr"] = ((late.edge_px - 1000.0) / shots.PX_PER_PS)[index]
path = write_config(f"{SCRATCH}/late.yaml", late.config(
    "lcls_smalldata", [f"{SCRATCH}/late_Run0001.h5"], frames="cam/area", i0="ipm2/sum", laser="lightStatus/laser",
    calibration={"photons_per_unit": 1}, offsets=[{"source": "ipm2/sum", "shots": -1}],
    delay={"parts": [{"source": "epics/lxt", "scale_ps": 1e12}], "sign": 1, "zero_ps": 0,
           "time_tool": {"source": "tt/ttCorr", "sign": 1, "coefficients_ps": [0, 1]}}))
code, err = shots.reduce(path, f"{SCRATCH}/late.h5")
r.ok(code == 0, f"late monitor: reduced {err.strip()[-300:] if code else ''}")
if code == 0:
    shots.check("late monitor", f"{SCRATCH}/late.h5", late.cube(), 5e-6)

# ---- faults that end it, with the name of what is wrong
code, err = reduce("nearest", [RUN], i0="ipm2/som")
r.ok(code == 3 and "ipm2/sum" in err, f"the nearest dataset is named: {err.strip()}")
code, err = reduce("no_laser", [RUN], laser={"codes": [777]})
r.ok(code == 3 and "evr/code_777" in err and "input.laser" in err, f"a code that is not there is named: {err.strip()}")
code, err = reduce("empty_rule", [RUN], laser={"drop": []})
r.ok(code == 2, f"a rule without codes is refused: {code} {err.strip()}")
code, err = reduce("rank", [RUN], frames="ipm2/sum")
r.ok(code == 3 and "ipm2/sum" in err, f"readings are no frames: {err.strip()}")
code, err = reduce("second", [RUN], layout="lcls2_smalldata")
r.ok(code == 3 and "timestamp" in err, f"the other generation is refused: {err.strip()}")
with h5py.File(f"{SCRATCH}/short.h5", "w") as f, h5py.File(RUN) as g:
    for name in ("event_time", "fiducials", "lightStatus", "epics", "tt", "damage", DET, "UserDataCfg"):
        g.copy(name, f)
    f["ipm2/sum"] = g["ipm2/sum"][:-1]
code, err = reduce("short", [f"{SCRATCH}/short.h5"])
r.ok(code == 3 and "ipm2/sum has 238 rows, there are 239 events" in err, f"rows that do not fit are refused: {err.strip()}")
BROKEN = f"{SCRATCH}/broken_Run0013.h5"
with open(RUN, "rb") as f, open(BROKEN, "wb") as g:
    g.write(f.read()[:5000])
code, err = reduce("broken", [RUN, BROKEN])
r.ok(code == 3 and "broken_Run0013.h5" in err, f"a broken file is named: {err.strip()[-200:]}")
open(BROKEN, "wb").close()
code, err = reduce("empty", [RUN, BROKEN])
r.ok(code == 3 and "broken_Run0013.h5" in err, f"an empty file is named: {err.strip()[-200:]}")

# ---- info and init
code, out, err = xani("info", RUN, BROKEN, "--json")
info = json.loads(out) if code == 0 else {"runs": [{}], "detectors": [{}], "pulse_ids": [{}], "problems": []}
run = info["runs"][0]
r.ok(code == 0 and info["layout"] == "lcls_smalldata" and run.get("laser_rule") == "lightStatus/laser", f"info: layout and laser rule {err}")
n = {k: sum(1 for i in rows if test(i)) for k, test in {
    "laser_on": lambda i: e.on[i] and i not in NO_EVR + DARK, "laser_off": lambda i: not e.on[i] and i not in NO_EVR + DARK,
    "dark": lambda i: i in DARK, "laser_unknown": lambda i: i in NO_EVR}.items()}
r.ok(all(run.get(k) == v for k, v in n.items()), f"info: laser counts { {k: run.get(k) for k in n} } are {n}")
d, ids = info["detectors"][0], info["pulse_ids"][0]
r.ok(d.get("name") == f"{DET}/full_area" and d["frames"] == 239 and d["modules"] == 2, f"info: detector {d}")
r.ok(ids.get("frames_lost") == 3 and ids["repeated"] == 1 and ids["bad_frames"] == 3,
     f"info: two lost events and the time that another took, one repeated: {ids}")
r.ok(len(info["problems"]) == 1 and "broken" in info["problems"][0]["file"], "info: the empty file is a problem")
made = f"{SCRATCH}/made.yaml"
code, out, err = xani("init", RUN, "--force", "-o", made)
r.ok(code == 0, f"init: {err}")
c = yaml.safe_load(open(made))["input"] if code == 0 else {}
r.ok(c.get("layout") == "lcls_smalldata" and c["i0"] == "ipm2/sum" and c["laser"] == "lightStatus/laser", "init: layout, I0, laser")
r.ok(float(c["delay"]["parts"][0]["scale_ps"]) == 1e12 and c["delay"]["parts"][0]["source"] == "epics/lxt", f"init: lxt is in seconds {c.get('delay')}")
r.ok(c["delay"]["time_tool"]["source"] == "tt/ttCorr", "init: ttCorr is calibrated")
r.ok(c["mask"][0]["dataset"] == f"UserDataCfg/{DET}/mask" and c["mask"][0]["good"] == "nonzero", "init: the detector's own mask")
shots.compare("made by init", made, expected, 8e-6, *set_options("experiment.energy_kev=10", "input.calibration.kev_per_unit=1", "input.delay.sign=1",
                                                                 "input.delay.zero_ps=0", {"reduce.delay_bins_ps": shots.BINS}))
with h5py.File(f"{SCRATCH}/xppr_Run0001.h5", "w") as f, h5py.File(RUN) as g:
    for name in ("event_time", "fiducials", "lightStatus/laser", "ipm2/sum", "epics/lxt", f"{DET}/ROI_1_area"):
        f[name] = g[name][()]
    f[f"UserDataCfg/{DET}/ROI_1__ROI_1_bound"] = np.array([[1, 2], [2, 8], [4, 20]])
    f[f"UserDataCfg/{DET}/mask"] = g[f"UserDataCfg/{DET}/mask"][()]
code, out, err = xani("init", f"{SCRATCH}/xppr_Run0001.h5", "--force", "-o", f"{SCRATCH}/region.yaml")
text = open(f"{SCRATCH}/region.yaml").read() if code == 0 else err
r.ok("region: [1, 2, 2, 8, 4, 20]" in text and f"dataset: UserDataCfg/{DET}/mask" in text, f"init: a region's bounds and masks {err if code else ''}")
# hutch codes where lightStatus tells nothing; encoders in ps and in seconds
for unit, scale in (("ps", 1), ("s", 1e12)):
    path = f"{SCRATCH}/{unit}/xppx_Run0001.h5"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write(path, have, encoder=NOMINAL_PS / scale)
    with h5py.File(path, "a") as f:
        f["lightStatus/laser"][...] = -1
    code, out, err = xani("init", path, "--force", "-o", f"{SCRATCH}/{unit}/made.yaml")
    c = yaml.safe_load(open(f"{SCRATCH}/{unit}/made.yaml"))["input"] if code == 0 else {"delay": {"parts": []}}
    r.ok(c.get("laser") == {"drop": [91]}, f"init: the codes of the hutch: {c.get('laser')} {err}")
    parts = [(p["source"], float(p["scale_ps"])) for p in c["delay"]["parts"]]
    r.ok(parts == [("enc/lasDelay", scale), ("epics/lxt", 1e12)], f"init: encoder in {unit}, and the laser's phase: {parts}")
tools.same_shots("lcls_smalldata")
# the files say where their pixels are: as the simulated geometry does, and init takes it
raw = f"{SCRATCH}/sim/raw"
plans = []
for geometry in ("detector.geom", "xppsim_Run0001.h5"):
    code, out, err = xani("plan", f"{raw}/xani_lcls_smalldata.yaml", "--json", "--set", f"geometry.file={raw}/{geometry}")
    plans.append(json.loads(out) if code == 0 else {"zone_coverage": err})
r.ok(plans[0]["zone_coverage"] == plans[1]["zone_coverage"] and plans[0]["zone_coverage"] > 0,
     f"its own map gives the coverage of the geometry: {plans[0]['zone_coverage']} {plans[1]['zone_coverage']}")
with h5py.File(f"{raw}/xppsim_Run0001.h5", "a") as f:  # the second module alone, with the geometry of both
    f["JF07T02V01/ROI_0_area"] = f["JF07T02V01/full_area"][:, 1, 4:20, 8:30]
    f["UserDataCfg/JF07T02V01/ROI_0__ROI_0_bound"] = np.array([[1, 2], [4, 20], [8, 30]])
region = set_options("input.frames=JF07T02V01/ROI_0_area", "geometry.region=[1, 2, 4, 20, 8, 30]")
code, err = shots.reduce(f"{raw}/xani_lcls_smalldata.yaml", f"{SCRATCH}/region.h5", *region)
whole, err2 = shots.reduce(f"{raw}/xani_lcls_smalldata.yaml", f"{SCRATCH}/whole.h5")
if r.ok(code == 0 and whole == 0, f"region: reduced {err.strip()[-300:] if code else ''}"):
    with h5py.File(f"{SCRATCH}/region.h5") as a, h5py.File(f"{SCRATCH}/whole.h5") as b:
        one, two = a["entry/cube/signal"][()], b["entry/cube/signal"][:, 28:44, 8:30]
        r.ok(np.array_equal(one, two, equal_nan=True), "region: the same signal as in the whole detector, bit by bit")
code, out, err = xani("plan", f"{raw}/xani_lcls_smalldata.yaml", "--json", *region)
part = json.loads(out)["zone_coverage"] if code == 0 else err
r.ok(code == 0 and 0 < part < plans[0]["zone_coverage"], f"region: its geometry is that part of the detector's: {part}")
alone = new_folder("alone")
os.rename(f"{raw}/xppsim_Run0001.h5", f"{alone}/xppsim_Run0001.h5")
code, out, err = xani("init", f"{alone}/xppsim_Run0001.h5", "-o", f"{alone}/made.yaml")
made = yaml.safe_load(open(f"{alone}/made.yaml")) if code == 0 else {"geometry": {}}
r.ok(os.path.basename(made["geometry"].get("file") or "") == "xppsim_Run0001.h5", f"init: the run's own map {made['geometry']}")
r.end()
