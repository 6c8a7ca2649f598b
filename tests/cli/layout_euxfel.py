#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""layout_euxfel.py XANI SCRATCH -- European XFEL runs written by h5py give the cube NumPy finds, every fault counted exactly.

Files as formats.md 1.4 describes them.  An AGIPD of 16 modules in all format versions, sequences that end at different
trains, laser by the bunch pattern; a raw JUNGFRAU with 16 memory cells, laser by pulse list; a corrected JUNGFRAU with
one, laser by trains; the simulated experiment.  Faults: modules without a train or with fewer frames, ids twice, shuffled trains, trains that are
flagged (inverted in 1.1), padding, unfinished files, readings missing, trains without FEL.  Prints TAP.
"""
import json
import os
import sys

from harness import SCRATCH, new_folder, r, write_config, xani

import h5py
import numpy as np

import exdf
import shots
import tools

FIRST = 2_000_000_000  # train id
XGM, BAM = "SA1_XTD2_XGM/XGM/DOOCS:output", "XFEL_SDIAG_BAM/DOOCS/1932M_TL:output"
STAGE, SERVER = "SPB_LAS_COM/MOTOR/DL800", "SPB_RR_UTC/TSYS/TIMESERVER:outputBunchPattern"
I0, EDGE = f"{XGM}/data.intensityTD", f"{BAM}/data/lowChargeArrivalTime"


def by_train(e, per_train):
    """Shots become pulses of trains: the stage stands still in a train, values are stored in single precision."""
    stage = e.stage_mm.reshape(-1, per_train).mean(axis=1)
    e.stage_mm = np.repeat(stage, per_train)
    e.edge_px, e.i0 = e.edge_px.astype("f4").astype(float), e.i0.astype("f4").astype(float)
    e.delay_ps = (100.0 - e.stage_mm) / shots.MM_PER_PS + (e.edge_px - 1000.0) / shots.PX_PER_PS
    e.per_train, e.trains = per_train, [FIRST + i for i in range(e.n // per_train)]


def reduced(name, e, config, expected, more=(), missing=0, duplicate=0, unmatched=0, tolerance=6e-6):  # I0 is rounded to 17 bits
    """Reduces, compares with what NumPy finds; returns what xani said."""
    where = f"{SCRATCH}/{name}"
    code, err = shots.compare(name, write_config(f"{where}/{name}.json", config), expected, tolerance, *more)
    if code != 0:
        return err
    with h5py.File(f"{SCRATCH}/{name}.cube.h5") as f:
        for key, want in (("missing", missing), ("duplicate", duplicate), ("unmatched", unmatched)):
            got = int(f[f"entry/shots/{key}"][()])
            r.ok(got == want, f"{name}: {got} of {want} {key}")
    return err


# ---- AGIPD

VERSIONS = ["0.1", "0.5", "1.0", "1.1", "1.2", "1.3"]
PULSES = np.arange(8) * 4  # pulse ids
AT = 100                   # bunch position of pulse id 0
DETECTOR = "SPB_DET_AGIPD1M-1"


def agipd_readings(where, e, name="RAW-R0348-DA01", no_xgm=(), no_stage=(), no_bam=(), no_pattern=(), no_fel=()):
    """XGM, BAM, stage and bunch pattern of all trains, in two sequences that no module's files agree with."""
    for seq, trains in enumerate((e.trains[:11], e.trains[11:])):
        f = exdf.File(f"{where}/{name}-S{seq:05}.h5", trains, "1.3")
        rows = {t: e.trains.index(t) for t in trains}
        has = [t for t in trains if t not in no_xgm]
        energy = np.ones((len(has), 1000), "f4")
        for i, t in enumerate(has):
            if t not in no_fel:
                energy[i, :8] = e.i0[rows[t] * 8:][:8]
        f.instrument(XGM, "data", {t: 1 for t in has}, {"intensityTD": energy, "trainId": np.array(has, "u8")})
        has = [t for t in trains if t not in no_bam]
        arrival = np.full((len(has), 7222), -1e9, "f4")
        for i, t in enumerate(has):
            arrival[i, 2 * (AT + PULSES)] = e.edge_px[rows[t] * 8:][:8]
        f.instrument(BAM, "data", {t: 1 for t in has}, {"lowChargeArrivalTime": arrival})
        has = [t for t in trains if t not in no_pattern]
        table = [exdf.pattern([] if t in no_fel else AT + PULSES, PULSES[e.on[rows[t] * 8:][:8]]) for t in has]
        f.instrument(SERVER, "data", {t: 1 for t in has}, {"bunchPatternTable": np.array(table)})
        f.control(STAGE, {"actualPosition": {t: e.stage_mm[rows[t] * 8] for t in trains if t not in no_stage}})
        f.close()


def agipd_module(where, e, m, frames, version, split, order=None, bad=(), cut_off=0, mask=None):
    """frames: {train: [(pulse id, row of photons or None)]}; split: trains of the first sequence."""
    trains = order or sorted(frames)
    data = e.photons[:, m * e.rows:(m + 1) * e.rows].astype("f4")
    for seq, part in enumerate((trains[:split], trains[split:])):
        f = exdf.File(f"{where}/CORR-R0348-AGIPD{m:02}-S{seq:05}.h5", part, version, bad)
        rows = [(p, s) for t in part for p, s in frames[t]]
        image = np.array([data[s] for _, s in rows]).reshape(-1, e.rows, e.cols)
        pulse = np.array([p for p, _ in rows], "u8")
        bits = np.zeros(image.shape, "u4")
        for s, y, x, bit in mask or ():
            here = [i for i, (_, shot) in enumerate(rows) if s is None or s == shot]
            bits[here, y, x] |= 1 << bit
            if bit != 16:
                image[here, y, x] = 1e6
        column = (lambda a: a[:, None]) if m % 2 else (lambda a: a)
        f.instrument(f"{DETECTOR}/DET/{m}CH0:xtdf", "image", {t: len(frames[t]) for t in part},
                     {"data": image, "mask": bits, "gain": np.zeros(image.shape, "u1"), "pulseId": column(pulse),
                      "cellId": column((pulse // 4).astype("u2"))},
                     more_rows=5 if m == 9 else 0, cut_off=cut_off if seq == 1 else 0)
        f.close()


def agipd():
    where = new_folder("agipd")
    e = shots.Experiment(240, 16, 8, 16)
    by_train(e, 8)
    train = lambda i: e.trains[i]
    shot = lambda i: range(8 * i, 8 * i + 8)
    on = lambda i: [s for s in shot(i) if e.on[s]]
    faults = {"modules": [*shot(3), 8 * 5 + 6, 8 * 5 + 7, *range(8 * 29 + 5, 240), *shot(25)], "good frame": [*shot(11)],
              "join": [8 * 7 + 2, *shot(13), *on(15), *shot(19), *on(21)], "lost": [*shot(9)], "X-rays": [*shot(17)]}
    for cut, those in faults.items():
        e.drop(cut, *those)
    agipd_readings(where, e, no_xgm={train(13)}, no_stage={train(15)}, no_fel={train(17)}, no_pattern={train(19)},
                   no_bam={train(21)})
    for m in range(16):
        frames = {t: [(p, 8 * i + k) for k, p in enumerate(PULSES)] for i, t in enumerate(e.trains) if i != 9}
        if m == 3:
            del frames[train(3)]
        if m == 5:
            frames[train(5)] = frames[train(5)][:6]
        if m == 4:
            frames[train(7)].append(frames[train(7)][2])  # the same id again
        if m == 8:
            frames[train(25)] = [(p + 1, s) for p, s in frames[train(25)]]  # other pulses than all others
        order = sorted(frames)
        if m in (2, 4):
            order = order[12:] + order[:12][::-1]
        agipd_module(where, e, m, frames, VERSIONS[m % 6], 5 + m, order, bad={train(11)} if m % 6 == 3 else (),
                     cut_off=3 if m == 6 else 0,
                     mask={0: [(None, 0, x, 0) for x in range(3)], 1: [(None, 2, 5, 16)], 8: [(100, 1, 1, 7)]}.get(m))
    e.masked[0, :3] = e.masked[8 * 8 + 1, 1] = True
    config = e.config("euxfel", [f"{where}/*.h5"], frames=DETECTOR, i0=I0, laser="pattern",
                      delay=e.delay(f"{STAGE}/actualPosition", EDGE), pulses={"offset": AT},
                      modules={"mask_ignore": "INTERPOLATED"}, calibration={"photons_per_unit": 1})
    expected = e.cube()
    expected["seen"] += 1 + 8  # the id that came twice; pulses that only module 8 has
    expected["cuts"]["join"] += 1
    expected["cuts"]["modules"] += 8
    err = reduced("agipd", e, config, expected, missing=8, duplicate=1)
    r.ok("lack a module" in err, f"agipd: lost modules are told: {err.strip()[-200:]}")
    r.ok("3 frames of modules" in err, "agipd: the unfinished file is told")
    # the pump one pulse later: in positions, in FEL pulses, at a position of its own
    on_before = e.on.copy()
    e.on = np.where(np.arange(240) % 8 == 0, False, np.roll(on_before, 1))
    for i in (15, 21):
        e.cut[[*shot(i)]] = ""
        e.drop("join", *on(i))
    expected = e.cube()
    expected["seen"] += 1 + 8
    expected["cuts"]["join"] += 1
    expected["cuts"]["modules"] += 8
    for rule in ({"offset_positions": 4}, {"offset_pulses": 1, "bits": "LP_SPB"}, {"first_position": AT + 4, "bits": "0x400"}):
        config["input"]["laser"] = rule
        reduced("agipd", e, config, expected, missing=8, duplicate=1)
    e.on = on_before
    code, out, err = xani("info", where, "--json")
    info = json.loads(out) if code == 0 else {"runs": [{}], "detectors": [{}]}
    run, det = info["runs"][0], info["detectors"][0]
    r.ok(len(info["runs"]) == 1 and run.get("layout") == "euxfel", f"agipd: info finds one run {err.strip()}")
    r.ok(det.get("modules") == 16 and det.get("shape") == [128, 16], f"agipd: info knows the detector {det}")
    r.ok(run.get("laser_rule") == "pattern" and run.get("shots") == 241, f"agipd: info tells the laser {run}")
    ids = info["pulse_ids"][0]
    r.ok((ids["gaps"], ids["frames_lost"]) == (1, 8), f"agipd: info: a train is lost, the time between trains is no gap {ids}")
    off = int((~e.on & (e.cut != "lost")).sum())
    r.ok(abs(run.get("laser_off", 0) - off) < 20 and run.get("dark") == 16, f"agipd: about {off} shots are off: {run}")
    # the facility's folders: corrected frames and readings are one run
    tree = new_folder("p001234")
    for kind, part in (("proc", "CORR"), ("raw", "RAW")):
        os.makedirs(f"{tree}/{kind}/r0348")
        for name in os.listdir(where):
            if name.startswith(part):
                os.link(f"{where}/{name}", f"{tree}/{kind}/r0348/{name}")
    code, out, err = xani("info", tree, "--json")
    both = json.loads(out) if code == 0 else {"runs": []}
    r.ok([(one["run"], one["shots"], one["laser_rule"]) for one in both["runs"]] == [("run0348", 241, "pattern")],
         f"agipd: info puts proc and raw together: {both['runs']} {err.strip()[-200:]}")
    code, out, err = xani("init", where, "-o", f"{where}/made.yaml")
    made = open(f"{where}/made.yaml").read() if code == 0 else ""
    r.ok(code == 0 and "layout: euxfel" in made and DETECTOR in made, f"agipd: init {code} {err.strip()}")
    r.ok("intensityTD" in made and "actualPosition" in made and "offset: 100" in made, "agipd: init finds intensity, stage, pulses")
    more = ["--set", "input.delay.sign=1", "--set", "input.delay.zero_ps=0", "--set", "experiment.energy_kev=10"]
    code, out, err = xani("check", f"{where}/made.yaml", *more)
    r.ok(code == 0, f"agipd: check accepts what init made: {code} {err.strip()[-300:]}")




# ---- whole numbers

def counts():
    """Raw DSSC counts, four axes, told apart by their cells; photonised frames whose masks are of single shots."""
    where = new_folder("counts")
    e = shots.Experiment(96, 2, 8, 16, seed=8)
    e.on = np.arange(96) % 8 % 2 == 0
    by_train(e, 8)
    agipd_readings(where, e)
    for m in range(2):
        half = e.photons[:, 8 * m:8 * m + 8].astype("u2")
        cell = np.tile(np.arange(8, dtype="u2"), 12)
        mask = np.zeros(half.shape, "u4")
        mask[9, 3, 4] = 1 << 7     # of one shot
        mask[:, 5, 6] = 1 << 16    # ignored
        f = exdf.File(f"{where}/RAW-R0163-DSSC{m:02}-S00000.h5", e.trains, "1.0")
        f.instrument(f"SCS_DET_DSSC1M-1/DET/{m}CH0:xtdf", "image", {t: 8 for t in e.trains},
                     {"data": half[:, None], "cellId": cell[:, None], "pulseId": 3 * cell[:, None].astype("u8")})
        f.close()
        f = exdf.File(f"{where}/CORR-R0163-AGIPD{m:02}-S00000.h5", e.trains, "1.3")
        f.instrument(f"MID_DET_AGIPD1M-1/CORR/{m}CH0:output", "image", {t: 8 for t in e.trains},
                     {"data": half, "mask": mask, "pulseId": cell.astype("u8"), "cellId": cell})
        f.close()
    delay = e.delay(f"{STAGE}/actualPosition", EDGE)
    pulses = {"pattern": "none", "ids": "cell_id", "offset": AT, "step": 4}
    config = e.config("euxfel", [f"{where}/*.h5"], frames="SCS_DET_DSSC1M-1", i0=I0, laser={"pulses": ["0:8:2"]}, delay=delay,
                      pulses=pulses, calibration={"photons_per_unit": 1}, modules={"numbers": [0, 1]})
    reduced("counts", e, config, e.cube())
    e.masked[[3, 11], 4] = True
    modules = {"numbers": [0, 1], "mask_ignore": [16]}
    same = tools.changed(config, frames="MID_DET_AGIPD1M-1", pulses={**pulses, "ids": "pulse_id"}, modules=modules)
    reduced("counts", e, same, e.cube())
    reduced("counts", e, tools.changed(same, pulses={**pulses, "ids": "order"}), e.cube())


# ---- JUNGFRAU

CELLS = np.roll(np.arange(16), 1)  # memory cells in the order of time: 15, 0, 1, ...
JF = "FXE_XAD_JF1M"


def jungfrau_readings(where, e, per_train, pulses_known=True):
    """XGM of these pulses (padding 0 behind them), stage and an electronic trigger whose part of the delay has a minus."""
    f = exdf.File(f"{where}/RAW-R0052-DA01-S00000.h5", e.trains, "1.2")
    energy = np.zeros((len(e.trains), 1000), "f4")
    energy[:, :per_train] = e.i0.reshape(-1, per_train)
    f.instrument(XGM, "data", {t: 1 for t in e.trains}, {"intensityTD": energy})
    edge = np.zeros((len(e.trains), 32), "f4")
    edge[:, :per_train] = e.edge_px.reshape(-1, per_train)
    f.instrument("FXE_LAS_TOOL/DET/EDGE:output", "data", {t: 1 for t in e.trains}, {"edge": edge})
    f.control(STAGE, {"actualPosition": {t: e.stage_mm[i * per_train] for i, t in enumerate(e.trains)}})
    f.control("FXE_LAS_COM/CTRL/PPL_PHASE_SHIFTER", {"currentOpticalDelay": {t: 2.5 for t in e.trains}})
    f.control("FXE_LAS_COM/SHUTTER/1", {"isOpen": {t: np.int32(t & 1) for t in e.trains}})
    f.close()


def jungfrau_delay(e):
    delay = e.delay(f"{STAGE}/actualPosition", "FXE_LAS_TOOL/DET/EDGE:output/data.edge")
    delay["parts"].append({"source": "FXE_LAS_COM/CTRL/PPL_PHASE_SHIFTER/currentOpticalDelay", "scale_ps": -1, "origin": 2.5})
    return delay


def jungfrau_raw():
    """Raw words of 16 memory cells with pedestals of their own; laser by a list of pulses."""
    where = new_folder("jungfrau_raw")
    e = shots.Experiment(240, 2, 8, 16, seed=3)
    e.on = np.arange(240) % 16 % 4 != 3
    by_train(e, 16)
    rng = np.random.default_rng(5)
    pedestal = rng.integers(2800, 3200, (3, 16, 16, 16)).astype(float)
    pedestal[1:] += 12000
    stage = np.where(e.photons > 12, 1, 0)  # bright pixels have switched
    cell = np.tile(CELLS, 15)
    y, x = np.mgrid[:16, :16]
    of_cell = pedestal[stage, cell[:, None, None], y, x]
    adc = of_cell + e.photons * np.where(stage == 0, 400, -10)
    code = np.where(stage == 0, 0, 1)
    code[:, 3, 4] = 2  # a pixel with a gain code that does not exist
    e.masked[3, 4] = True
    lost = 4  # module 2 has no such train
    e.drop("modules", *range(16 * lost, 16 * lost + 16))
    for m in (1, 2):
        trains = [t for t in e.trains if m == 1 or t != e.trains[lost]]
        half = slice(8 * (m - 1), 8 * m)
        for seq, part in enumerate((trains[:6 + m], trains[6 + m:])):
            f = exdf.File(f"{where}/RAW-R0052-JNGFR{m:02}-S{seq:05}.h5", part, "1.0")
            at = [e.trains.index(t) for t in part]
            take = lambda a, dtype: a.reshape(15, 16, 16, 16)[at][:, :, half].astype(dtype)
            f.instrument(f"{JF}/DET/JNGFR{m:02}:daqOutput", "data", {t: 1 for t in part},
                         {"adc": take(adc, "u2"), "gain": take(code, "u1"),
                          "memoryCell": np.tile(CELLS.astype("u1"), (len(part), 1)),
                          "frameNumber": np.zeros((len(part), 16), "u8"), "timestamp": np.zeros((len(part), 16))})
            f.close()
    with h5py.File(f"{where}/pedestal.h5", "w") as f:
        f["gains"] = pedestal
    with h5py.File(f"{where}/gains.h5", "w") as f:
        f["gains"] = np.array([40.0, -1.0, -0.1])[:, None, None] * np.ones((3, 16, 16))
    jungfrau_readings(where, e, 16)
    config = e.config("euxfel", [f"{where}/RAW-*.h5"], frames=JF, i0=I0, delay=jungfrau_delay(e),
                      laser={"pulses": ["0:16:4", "1:16:4", "2", "6", "10", "14"]},
                      calibration={"pedestal": f"{where}/pedestal.h5", "gain": f"{where}/gains.h5"})
    reduced("jungfrau_raw", e, config, e.cube())
    del config["input"]["laser"]["pulses"]
    config["input"]["laser"] = {"codes": [0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14], "drop": [15]}
    kept = e.cut.copy()
    e.cut[(np.arange(240) % 16 == 15) & (e.cut == "")] = "X-rays"
    reduced("jungfrau_raw", e, config, e.cube())
    e.cut = kept
    config["input"]["laser"] = {"pulses": ["0:16:4", "1:16:4", "2:16:4"]}
    # the same without module 2: its train is used, its pixels are masked
    e.cut[e.cut == "modules"] = ""
    e.masked[8:] = True
    config["input"]["modules"] = {"leave_out": [2]}
    reduced("jungfrau_raw", e, config, e.cube())
    config["input"]["modules"] = {"leave_out": [f"{JF}/DET/JNGFR02:daqOutput"]}
    reduced("jungfrau_raw", e, config, e.cube())


def jungfrau_corrected():
    """One memory cell, corrected frames beside raw ones; laser in odd trains, or by a slow reading; every 50th train dark."""
    where = new_folder("jungfrau_corrected")
    e = shots.Experiment(240, 2, 8, 16, seed=4)
    e.on = (FIRST + np.arange(240)) % 2 == 1
    by_train(e, 1)
    dark = [i for i in range(240) if (FIRST + i) % 50 == 7]
    e.drop("X-rays", *dark)
    e.drop("lost", 100, 101, 102)
    for m in (1, 2):
        frames = [i for i in range(240) if i not in (100, 101, 102)]
        part = [e.trains[i] for i in frames]
        data = e.photons[frames, None, 8 * (m - 1):8 * m] * 10.0  # keV
        mask = np.zeros(data.shape, "u4")
        mask[:, 0, 2, 3] = 1 << 2
        for category, source, f4 in (("CORR", f"{JF}/CORR/JNGFR{m:02}:daqOutput", True), ("RAW", f"{JF}/DET/JNGFR{m:02}:daqOutput", False)):
            f = exdf.File(f"{where}/{category}-R0052-JNGFR{m:02}-S00000.h5", part, "1.3")
            rows = {"adc": data.astype("f4" if f4 else "u2"), "gain": np.zeros(data.shape, "u1"),
                    "memoryCell": np.full((len(part), 1), 15, "u1")}
            f.instrument(source, "data", {t: 1 for t in part}, rows | ({"mask": mask} if f4 else {}))
            f.close()
    e.masked[[2, 10], 3] = True
    jungfrau_readings(where, e, 1)
    config = e.config("euxfel", [f"{where}/*.h5"], frames=JF, i0=I0, laser="odd_trains", delay=jungfrau_delay(e),
                      pulses={"no_fel": [50, 7]}, calibration={"kev_per_unit": 1})
    reduced("jungfrau_corrected", e, config, e.cube(), missing=3)
    config["input"]["laser"] = "FXE_LAS_COM/SHUTTER/1/isOpen"
    reduced("jungfrau_corrected", e, config, e.cube(), missing=3)
    # the same reading in other words: a sum or a column of the train's numbers, the value when the run began
    delay = jungfrau_delay(e)
    delay["parts"][1]["source"] = "RUN/FXE_LAS_COM/CTRL/PPL_PHASE_SHIFTER/currentOpticalDelay"
    same = tools.changed(config, i0=f"sum(INSTRUMENT/{XGM}/data/intensityTD)", delay=delay)
    reduced("jungfrau_corrected", e, same, e.cube())  # of trains: lost frames are not told
    same = tools.changed(config, i0=I0, pulses={"no_fel": [50, 7], "arrays": [{"source": I0, "entry": "train"}]})
    reduced("jungfrau_corrected", e, same, e.cube())
    config["input"]["frames"] = f"{JF}/CORR/JNGFR*:daqOutput"
    config["input"]["laser"] = {"trains": "odd", "pulses": 0}
    reduced("jungfrau_corrected", e, config, e.cube(), missing=3)


# ---- what is refused, and why

def refused():
    """Faults that end a reduction name the file, dataset or key; files that cannot be read can be left out."""
    where = new_folder("refused")
    e = shots.Experiment(96, 2, 8, 16, seed=6)
    by_train(e, 8)
    agipd_readings(where, e)
    frames = {t: [(p, 8 * i + k) for k, p in enumerate(PULSES)] for i, t in enumerate(e.trains)}
    for m in range(2):
        agipd_module(where, e, m, frames, "1.2", 4)
    config = e.config("euxfel", [f"{where}/RAW-*.h5", f"{where}/CORR-*.h5"], frames=DETECTOR, i0=I0, laser="pattern",
                      pulses={"offset": AT}, delay=e.delay(f"{STAGE}/actualPosition", EDGE),
                      calibration={"photons_per_unit": 1}, modules={"numbers": [0, 1]})
    reduced("refused", e, config, e.cube())
    change = tools.changed
    tools.refuse("modules that are not there", where, change(config, modules=None), "module 2", "leave_out: [2]")
    tools.refuse("all modules left out", where, change(config, modules={"numbers": [0, 1], "leave_out": [0, 1]}), "leave_out")
    tools.refuse("another detector", where, change(config, frames="SPB_DET_AGIPD1M-2"), "SPB_DET_AGIPD1M-1")
    tools.refuse("a source that is nearly right", where, change(config, i0=f"{XGM}/data.intensity"), "intensityTD")
    tools.refuse("a source that is not there", where, change(config, i0="SA9_XTD2_XGM/XGM/DOOCS:output/data.intensityTD"), "SA1_XTD2_XGM")
    tools.refuse("a column too many", where, change(config, i0=f"{I0}[1000]"), "column 1000")
    tools.refuse("a laser that no one has", where, change(config, laser={"bits": "LP_ABC"}), "LP_ABC", code=2)
    tools.refuse("pulses beyond the table", where, change(config, laser={"pulses": "0:5000"}), "0:5000", code=2)
    tools.refuse("pulses that run backwards", where, change(config, laser={"pulses": "8:4"}), "8:4", code=2)
    tools.refuse("no calibration", where, change(config, calibration=None), "photons_per_unit", code=2)
    tools.refuse("pedestals of corrected frames", where, change(config, calibration={"pedestal": "a.h5", "gain": "b.h5"}), "corrected already", code=2)
    tools.refuse("a mask bit without a name", where, change(config, modules={"numbers": [0, 1], "mask_ignore": ["INTERPOLATD"]}), "INTERPOLATD", code=2)
    tools.refuse("pulses that are none of the FEL's", where, change(config, pulses=None), "pulses.offset", "bunch position 100", code=2)
    tools.refuse("step 0", where, change(config, pulses={"step": 0}), "pulses.step", code=2)
    tools.refuse("a remainder too large", where, change(config, pulses={"offset": AT, "no_fel": [50, 50]}), "no_fel", code=2)
    tools.refuse("a pattern that is no table", where, change(config, pulses={"offset": AT, "pattern": f"{STAGE}/velocity"}), "velocity", "no such dataset")
    # the array of one number per pulse can be said to be otherwise
    tools.run("entries by position", where, change(config, pulses={"offset": AT, "arrays": [{"source": EDGE, "entry": "position", "step": 2}]}), e.cube(), 6e-6)
    even = [s for s in range(96) if s // 8 % 2 == 0]  # trains of even id; the table is there, and not asked
    on, e.on = e.on, np.isin(np.arange(96), even)
    tools.run("without the table", where, change(config, laser="even_trains", pulses={"pattern": "none", "offset": AT}), e.cube(), 6e-6)
    e.on = on
    # files that cannot be read: empty, cut off, no HDF5, without trains
    for name, content in (("RAW-R0348-DA02-S00000.h5", b""), ("RAW-R0348-DA03-S00000.h5", b"nothing of this kind")):
        with open(f"{where}/{name}", "wb") as f:
            f.write(content)
    with open(f"{where}/RAW-R0348-DA01-S00000.h5", "rb") as f:
        half = f.read()[:4000]
    with open(f"{where}/RAW-R0348-DA04-S00000.h5", "wb") as f:
        f.write(half)
    exdf.File(f"{where}/RAW-R0348-DA05-S00000.h5", [], "1.2").close()
    tools.refuse("an empty file", where, config, "DA02")
    code, out, err = xani("info", where, "--json")
    info = json.loads(out) if code == 0 else {"problems": [], "runs": []}
    r.ok(len(info["problems"]) == 3 and len(info["runs"]) == 1, f"info tells the three: {info['problems']}")
    err = reduced("refused", e, change(config, unreadable="skip"), e.cube())
    r.ok(err.count("left out: ") == 3, f"skip: three files are told: {err[:400]}")
    # raw AGIPD: analogue and digital
    f = exdf.File(f"{where}/RAW-R0348-AGIPD00-S00000.h5", e.trains[:2], "1.0")
    f.instrument("SPB_DET_AGIPD1M-9/DET/0CH0:xtdf", "image", {t: 1 for t in e.trains[:2]}, {"data": np.zeros((2, 2, 8, 16), "u2"), "pulseId": np.zeros((2, 1), "u8")})
    f.close()
    skip = change(config, unreadable="skip", modules={"numbers": [0]}, frames="SPB_DET_AGIPD1M-9")
    tools.refuse("raw AGIPD frames", where, skip, "analogue and digital", "CORR")
    tools.refuse("several detectors", where, change(skip, frames=None), "several detectors", code=2)


# ---- virtual files

def virtual():
    """An overview and a CXI file of a run give the run's cube; module 1 lacks a train, and holes are no data."""
    where = new_folder("virtual")
    e = shots.Experiment(96, 2, 8, 16, seed=7)
    by_train(e, 8)
    agipd_readings(where, e)
    e.drop("modules", *range(8 * 5, 8 * 6))
    rows = {}
    for m in range(2):
        frames = {t: [(p, 8 * i + k) for k, p in enumerate(PULSES)] for i, t in enumerate(e.trains) if (m, i) != (1, 5)}
        agipd_module(where, e, m, frames, "1.2", 4 + m, mask={0: [(None, 0, 0, 0)]}.get(m))
        for seq, part in enumerate((sorted(frames)[:4 + m], sorted(frames)[4 + m:])):
            file, group = f"{where}/CORR-R0348-AGIPD{m:02}-S{seq:05}.h5", f"INSTRUMENT/{DETECTOR}/DET/{m}CH0:xtdf/image"
            for i, (t, p) in enumerate((t, p) for t in part for p, _ in frames[t]):
                rows.setdefault((t, int(p)), {})[m] = (file, group, i)
    e.masked[0, 0] = True
    files = sorted(f"{where}/{name}" for name in os.listdir(where) if name.endswith(".h5"))
    exdf.overview(files, f"{where}/overview.h5")
    exdf.cxi(f"{where}/run.cxi", [(t, p, rows[t, p]) for t, p in sorted(rows)], 2, (8, 16), DETECTOR)
    config = e.config("euxfel", files, frames=DETECTOR, i0=I0, laser="pattern", pulses={"offset": AT},
                      delay=e.delay(f"{STAGE}/actualPosition", EDGE), calibration={"photons_per_unit": 1},
                      modules={"numbers": [0, 1]})
    reduced("virtual", e, config, e.cube())
    reduced("virtual", e, tools.changed(config, files=[f"{where}/overview.h5"]), e.cube())
    reduced("virtual", e, tools.changed(config, files=[f"{where}/run.cxi", f"{where}/RAW-*.h5"], frames=None), e.cube())
    # the sources of one sequence are gone: the overview says so
    os.rename(files[-1], files[-1] + ".gone")
    tools.refuse("an overview without its files", where, tools.changed(config, files=[f"{where}/overview.h5"]), os.path.basename(files[-1]))


def simulated():
    """The simulated experiment gives the same cube in this layout and in SwissFEL's."""
    tools.same_shots("euxfel")


for part in sys.argv[3:] or ["agipd", "counts", "jungfrau_raw", "jungfrau_corrected", "refused", "virtual", "simulated"]:
    globals()[part]()
r.end()
