#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""layout_sacla.py XANI SCRATCH -- SACLA's files typed from formats.md 1.6, several runs in one, with everything that goes wrong:
tags missing in some panels, lost, repeated, bad status, no X-rays, words for numbers; contiguous, compressed and Cheetah's
frames, panels with gains of their own.  Counts come out exactly, the cube equals NumPy's; info, init; xani sim's as SwissFEL's.
"""
import json
import os
import shutil

from harness import SCRATCH, new_folder, r, set_options, write_config, xani

import h5py
import numpy as np
import yaml

import sacla
import shots
import tools

LASER, STAGE = "bl_3/lh_1/laser_pulse_selector_status", "bl_3/eh_4/laser/delay_line_motor_29"
LOWER, UPPER = "bl_3/eh_4/photodiode/photodiode_I0_lower_user_7_in_volt", "bl_3/eh_4/photodiode/photodiode_I0_upper_user_8_in_volt"
SELECTOR, SHUTTER = "bl_3/eh_1/xfel_pulse_selector_status", "bl_3/shutter_1_open_valid_status"
WORDS = "bl_3/eh_4/photodiode/pd_user_6_fitting_peak"


# ---- the experiment: two runs of one file, 30 Hz, so that tags come in steps of 2

e = shots.Experiment(modules=3, rows=16, cols=32)
SPLIT = 150
tag = 448_000_000 + 2 * np.arange(e.n)
tag[SPLIT:] += 1000
LOST, NO_PANEL, STATUS, DARK, SHUT, NO_EDGE, NO_WORD, TWICE = (7, 160), (20, 33), (40,), (50, 51), (60,), (66, 70), (81,), 100
assert e.on[66] and e.on[70]
e.masked[3, 5] = True


def want(faults=True, twice=False, words=False, edges=True, xrays=True, first=0, last=None, modules=True, status=True):
    e.cut[:] = ""
    last = e.n if last is None else last
    if faults:
        e.drop("lost", *LOST)
        if modules:
            e.drop("modules", *NO_PANEL)
        if status:
            e.drop("good frame", *STATUS)
        if xrays:
            e.drop("X-rays", *DARK, *SHUT)
        if edges:
            e.drop("join", *NO_EDGE)
        if words:
            e.drop("join", *NO_WORD)
        if twice:
            e.drop("join", TWICE)
    e.cut[:first] = e.cut[last:] = "lost"
    cube = e.cube()
    if twice:
        cube["seen"] += 1
        cube["cuts"]["join"] = cube["cuts"].get("join", 0) + 1
    return cube


def adu(i, panel, dtype="f4"):
    """Frame of a panel as its ADC has it: 10 keV photons, 3.65 eV per electron."""
    rows = slice((panel - 1) * e.rows, panel * e.rows)
    return (e.photons[i, rows] * 10000.0 / (3.65 * sacla.GAIN[panel - 1])).astype(dtype)


def info(rows, faults=True):
    selector, shutter = np.ones(len(rows), "i4"), np.ones(len(rows), "i4")
    words = np.array([repr(float(v)) for v in e.i0[rows]], "S24")
    if faults:
        selector[np.isin(rows, DARK)], shutter[np.isin(rows, SHUT)] = 0, 0
        words[np.isin(rows, NO_WORD)] = b"saturated"
    return {LASER: e.on[rows].astype("i4"), STAGE: e.stage_mm[rows], LOWER: e.i0[rows] * .25, UPPER: e.i0[rows] * .75,
            SELECTOR: selector, SHUTTER: shutter, "bl_3/lh_1/shutter_1_open_valid_status": e.on[rows].astype("i4"),
            "acc/accelerator_status": np.ones(len(rows), "i4"), WORDS: words,
            "bl_3/oh_2/photon_energy_in_eV": np.full(len(rows), 10003.0, "f4")}


def write(path, faults=True, order=None, frames=adu, dark=None, **how):
    """Both runs in one file, with their tables."""
    for number, rows in ((11, np.arange(SPLIT)), (12, np.arange(SPLIT, e.n))):
        rows = rows if order is None else order.permutation(rows)
        have = rows[~np.isin(rows, LOST)] if faults else rows
        panels = {k: {tag[i]: frames(i, k) for i in have if not (faults and i in NO_PANEL and k == 2)} for k in (1, 2, 3)}
        status = {(1, tag[i]): 0 for i in STATUS} if faults else None
        sacla.run(path, number, tag[rows], info(rows, faults), panels, status, mode="w" if number == 11 else "a", **how)
        edges = [[None if faults and i in NO_EDGE and (k or i == NO_EDGE[0]) else e.edge_px[i] + (-3, 3)[k] for i in rows]
                 for k in (0, 1)]
        sacla.table(f"{os.path.dirname(path)}/tt_{number:06d}.csv", tag[rows], *edges)
    return [path, *(f"{os.path.dirname(path)}/tt_{n:06d}.csv" for n in (11, 12))]


def config(name, files, **more):
    keys = {"i0": f"{LOWER} + {UPPER}", "laser": LASER, "mask": {"file": f"{SCRATCH}/mask.h5", "dataset": "mask"},
            "delay": e.delay(STAGE, "timetool"), **more}
    return write_config(f"{SCRATCH}/{name}.yaml", e.config("sacla", files, **keys))


def compare(name, files, expected, tolerance=5e-6, **more):
    code, err = shots.compare(name, config(name, files, **more), expected, tolerance)
    return err if code == 0 else None


def refused(name, files, words, code=3, **more):
    shots.refused(name, config(name, files, **more), *words, code=code)


with h5py.File(f"{SCRATCH}/mask.h5", "w") as f:
    f["mask"] = e.masked.astype("u1")

# ---- reading

plain = write(f"{new_folder('plain')}/runs.h5")
if compare("plain", plain, want()) is not None:
    with h5py.File(f"{SCRATCH}/plain.cube.h5") as f:
        counts = {k: int(f[f"entry/shots/{k}"][()]) for k in ("missing", "duplicate", "unmatched")}
        r.ok(counts == {"missing": 2, "duplicate": 0, "unmatched": 0}, f"plain: tags in steps of 2: {counts}")
compare("by name", plain, want(), frames="MPCCD-8-2-001", laser="laser_pulse_selector_status")
compare("shuffled", write(f"{new_folder('shuffled')}/runs.h5", order=np.random.default_rng(3)), want())
compare("gzip", write(f"{new_folder('gzip')}/runs.h5", chunks=(8, 32), compression="gzip", shuffle=True), want())
compare("odd chunks", write(f"{new_folder('odd')}/runs.h5", chunks=(5, 32), compression="gzip"), want())
compare("tiles", write(f"{new_folder('tiles')}/runs.h5", chunks=(8, 8), compression="lzf"), want())
compare("big-endian", write(f"{new_folder('big')}/runs.h5", frames=lambda i, k: adu(i, k, ">f4")), want())
compare("words", plain, want(words=True), i0=WORDS)
compare("no X-ray readings", plain, want(xrays=False), xrays="none")
compare("one X-ray reading", plain, want(), xrays=[SELECTOR, SHUTTER])
compare("run 11", plain, want(last=SPLIT), run_numbers=[11])
compare("run 12", plain, want(first=SPLIT), run_numbers=[12])
refused("run 13", plain, ["run 13"], run_numbers=[13])
both = [*plain, f"{SCRATCH}/repeated.h5"]
sacla.run(both[-1], 13, tag[[TWICE]], info(np.array([TWICE])), {k: {tag[TWICE]: adu(TWICE, k)} for k in (1, 2, 3)})
compare("a tag twice", both, want(twice=True))
for column, shift in (("derivative", -3), ("fitting", 3)):
    delay = e.delay(STAGE, f"timetool/{column}")
    delay["time_tool"]["origin"] += shift
    some = NO_EDGE if column == "fitting" else NO_EDGE[:1]
    want(edges=False)
    e.drop("join", *some)
    compare(column, plain, e.cube(), delay=delay)

# ---- panels

left = want(modules=False)
left["signal"][:, e.rows:2 * e.rows] = np.nan
compare("panel left out", plain, left, modules={"leave_out": [2]})
one = want(modules=False, status=True)
one["signal"] = one["signal"][:, :e.rows]
with h5py.File(f"{SCRATCH}/mask1.h5", "w") as f:
    f["mask"] = e.masked[:e.rows].astype("u1")
compare("one panel", plain, one, frames="detector_2d_1", mask={"file": f"{SCRATCH}/mask1.h5", "dataset": "mask"})
flat = write(f"{new_folder('bare')}/runs.h5", frames=lambda i, k: (e.photons[i, (k - 1) * e.rows:k * e.rows]).astype("u2"), bare=True)
compare("no detector_info", flat, want(), calibration={"photons_per_unit": 1.0})
refused("no gains", flat, ["photons_per_unit"], 2)

# ---- calibration: (raw - dark) gain 3.65 / E

dark = np.random.default_rng(4).uniform(5, 9, e.masked.shape).astype("f4")
with h5py.File(f"{SCRATCH}/dark.h5", "w") as f:
    f["pedestals"] = dark
raised = write(f"{new_folder('dark')}/runs.h5", frames=lambda i, k: adu(i, k) + dark[(k - 1) * e.rows:k * e.rows])
compare("dark", raised, want(), 1e-5, calibration={"pedestal": f"{SCRATCH}/dark.h5"})
code, err = shots.reduce(config("energy", plain), f"{SCRATCH}/energy.cube.h5", "--set", "experiment.energy_kev=9.0")
r.ok(code == 0 and "the files say 10" in err, f"energy: another photon energy than the files say is told: {err.strip()[-200:]}")

# ---- assembled image, Cheetah

def assembled(path):
    rows = np.arange(e.n)
    have = rows[~np.isin(rows, LOST)]
    sacla.run(path, 11, tag, info(rows), {1: {tag[i]: e.photons[i].astype("f4") for i in have}}, mode="w",
              group="detector_2d_assembled_{}")
    return [path, *plain[1:]]


expected = want(modules=False, status=False)
compare("assembled", assembled(f"{new_folder('assembled')}/run.h5"), expected, frames="detector_2d_assembled_1",
        calibration={"photons_per_unit": 1.0})
chosen = [i for i in range(e.n) if i not in LOST]
sacla.cheetah(f"{new_folder('cheetah')}/run11.h5", {tag[i]: e.photons[i] for i in chosen}, e.masked, chunks=(16, 32),
              compression="gzip", shuffle=True)
compare("Cheetah", [f"{SCRATCH}/cheetah/run11.h5", *plain], expected, mask=[], frames="cheetah")
compare("Cheetah is preferred", [f"{SCRATCH}/cheetah/run11.h5", *plain], expected)

# ---- damage

open(f"{SCRATCH}/broken.h5", "w").close()
refused("0 bytes", [f"{SCRATCH}/broken.h5", *plain], ["broken.h5"])
compare("0 bytes left out", [f"{SCRATCH}/broken.h5", *plain], want(), unreadable="skip")
with open(plain[0], "rb") as f, open(f"{SCRATCH}/half.h5", "wb") as g:
    g.write(f.read()[:300000])
refused("cut short", [f"{SCRATCH}/half.h5", *plain[1:]], ["half.h5"])
shutil.copy(plain[0], f"{SCRATCH}/odd.h5")
with h5py.File(f"{SCRATCH}/odd.h5", "a") as f:
    del f[f"run_11/detector_2d_2/tag_{tag[9]}/detector_data"]
    f[f"run_11/detector_2d_2/tag_{tag[9]}/detector_data"] = np.zeros((4, 4), "f4")
refused("another shape", [f"{SCRATCH}/odd.h5", *plain[1:]], [f"tag_{tag[9]}", "(4, 4)"])
shutil.copy(plain[0], f"{SCRATCH}/short.h5")
with h5py.File(f"{SCRATCH}/short.h5", "a") as f:
    del f[f"run_11/event_info/{STAGE}"]
    f[f"run_11/event_info/{STAGE}"] = np.zeros(5)
refused("entries for tags", [f"{SCRATCH}/short.h5", *plain[1:]], ["5 entries", "150 tags"])
refused("no table", plain[:1], ["timetool", "csv"])
with open(f"{SCRATCH}/bad.csv", "w") as f:
    f.write("a\nb\n448000000, 1, 2\nx, 1, 2\n")
refused("bad table", [plain[0], f"{SCRATCH}/bad.csv"], ["bad.csv", "line 4"])
refused("unknown reading", plain, ["delay_line_motor_29"], delay=e.delay("bl_3/eh_4/laser/delay_line_motor_28", "timetool"))
refused("ambiguous", plain, ["several", "shutter_1_open_valid_status"], laser="shutter_1_open_valid_status")
refused("unknown detector", plain, ["MPCCD-8-2-001"], frames="MPCCD-1")

# ---- what files are

code, out, err = xani("info", f"{SCRATCH}/plain", "--json")
found = json.loads(out) if code == 0 else {}
r.ok(code == 0 and found["layout"] == "sacla" and len(found["runs"]) == 1, f"info: SACLA {err}")
if found:
    run, ids, det = found["runs"][0], found["pulse_ids"][0], found["detectors"][0]
    r.ok(run["shots"] == e.n - 2 and ids["step"] == 2 and ids["repeated"] == 0, f"info: {run['shots']} tags {ids}")
    r.ok((ids["gaps"], ids["frames_lost"]) == (2, 2), f"info: frames lost, not those between runs: {ids}")
    r.ok(ids["bad_frames"] == 3 and run["dark"] == 3, f"info: bad and dark shots: {ids['bad_frames']}, {run['dark']}")
    r.ok(det["name"] == "MPCCD-8-2-001" and det["shape"] == [48, 32] and det["modules"] == 3, f"info: {det}")
    r.ok(run["laser_rule"] == LASER, f"info: laser {run['laser_rule']}")
    names = {c["name"]: c for c in found["channels"]}
    r.ok(names["timetool"]["role"] == "time tool" and names["timetool"]["readings"] == e.n - 2, "info: the tables are found")
    r.ok(names[f"{LOWER} + {UPPER}"]["role"] == "i0" and names[STAGE]["role"] == "delay", "info: I0 and delay by name")
code, out, err = xani("init", f"{SCRATCH}/plain", "-o", f"{SCRATCH}/made.yaml")
r.ok(code == 0, f"init: {err}")
if code == 0:
    made = yaml.safe_load(open(f"{SCRATCH}/made.yaml"))
    given = made["input"]
    r.ok(given["i0"] == f"{LOWER} + {UPPER}" and given["laser"] == LASER and given["frames"] == "MPCCD-8-2-001" and
         made["experiment"]["energy_kev"] == 10, f"init: {given}")
    options = {"input.delay": e.delay(STAGE, "timetool"), "reduce": {"delay_bins_ps": shots.BINS},
               "input.mask": {"file": f"{SCRATCH}/mask.h5", "dataset": "mask"}}
    shots.compare("made by init", f"{SCRATCH}/made.yaml", want(), 8e-6, *set_options(options))
hdf5 = sorted(n for n in os.listdir(f"{SCRATCH}/plain") if n.endswith(".h5"))
named = [f"{SCRATCH}/plain/{n}" for n in hdf5 + sorted(n for n in os.listdir(f"{SCRATCH}/plain") if n.endswith(".csv"))]
code, out, err = xani("init", *named, "-o", f"{SCRATCH}/named.yaml")  # tables that are named, not found beside
listed = yaml.safe_load(open(f"{SCRATCH}/named.yaml"))["input"]["files"] if code == 0 else []
r.ok(sorted(map(os.path.basename, listed)) == sorted(map(os.path.basename, given["files"])), f"init: named files are all kept {listed} {err if code else ''}")
tools.same_shots("sacla")
r.end()
