#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""layout_euxfel.py XANI SCRATCH -- European XFEL runs written by h5py give the cube NumPy finds, every fault counted exactly.

Files as formats.md 1.4 describes them.  An AGIPD of 16 modules in all format versions, sequences that end at different
trains, laser by the bunch pattern; a raw JUNGFRAU with 16 memory cells, laser by pulse list; a corrected JUNGFRAU with
one, laser by trains.  Faults: modules without a train or with fewer frames, ids twice, shuffled trains, trains that are
flagged (inverted in 1.1), padding, unfinished files, readings missing, trains without FEL.  Prints TAP.
"""
import json
import os
import subprocess
import sys

root = os.environ["XN_ROOT"]
sys.path[:0] = [os.path.join(root, "tests", "contract"), os.path.join(root, "tests", "layouts")]
try:
    import h5py
    import numpy as np

    import exdf
    import shots
    from walk import Report
except ImportError as missing:
    print(f"1..0 # SKIP {missing}")
    sys.exit(77)

XANI, SCRATCH = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
r = Report()
FIRST = 2_000_000_000  # train id
XGM, BAM = "SA1_XTD2_XGM/XGM/DOOCS:output", "XFEL_SDIAG_BAM/DOOCS/1932M_TL:output"
STAGE, SERVER = "SPB_LAS_COM/MOTOR/DL800", "SPB_RR_UTC/TSYS/TIMESERVER:outputBunchPattern"
I0, EDGE = f"{XGM}/data.intensityTD", f"{BAM}/data/lowChargeArrivalTime"


def xani(*args):
    done = subprocess.run([XANI, *args], capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout, done.stderr


def folder(name):
    path = f"{SCRATCH}/{name}"
    subprocess.run(["rm", "-rf", path], check=True)
    os.makedirs(path)
    return path


def by_train(e, per_train):
    """Shots become pulses of trains: the stage stands still in a train, values are stored in single precision."""
    stage = e.stage_mm.reshape(-1, per_train).mean(axis=1)
    e.stage_mm = np.repeat(stage, per_train)
    e.edge_px, e.i0 = e.edge_px.astype("f4").astype(float), e.i0.astype("f4").astype(float)
    e.delay_ps = (100.0 - e.stage_mm) / shots.MM_PER_PS + (e.edge_px - 1000.0) / shots.PX_PER_PS
    e.per_train, e.trains = per_train, [FIRST + i for i in range(e.n // per_train)]


def reduced(name, e, config, expected, more=(), missing=0, duplicate=0, unmatched=0, tolerance=2e-6):
    """Reduces, compares with what NumPy finds; returns what xani said."""
    where = f"{SCRATCH}/{name}"
    path, cube = shots.write_config(f"{where}/{name}.json", config), f"{where}/{name}.cube.h5"
    code, err = shots.reduce(XANI, path, cube, *more)
    r.ok(code == 0, f"{name}: reduce: {code} {err.strip()[-300:] if code else ''}")
    if code != 0:
        return err
    shots.check(r, name, cube, expected, tolerance)
    with h5py.File(cube) as f:
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
    where = folder("agipd")
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
    code, out, err = xani("info", where, "--json")
    info = json.loads(out) if code == 0 else {"runs": [{}], "detectors": [{}]}
    run, det = info["runs"][0], info["detectors"][0]
    r.ok(len(info["runs"]) == 1 and run.get("layout") == "euxfel", f"agipd: info finds one run {err.strip()}")
    r.ok(det.get("modules") == 16 and det.get("shape") == [128, 16], f"agipd: info knows the detector {det}")
    r.ok(run.get("laser_rule") == "pattern" or run.get("shots") == 241, f"agipd: info counts the shots {run}")
    code, out, err = xani("init", where, "-o", f"{where}/made.yaml")
    made = open(f"{where}/made.yaml").read() if code == 0 else ""
    r.ok(code == 0 and "layout: euxfel" in made and DETECTOR in made, f"agipd: init {code} {err.strip()}")
    r.ok("intensityTD" in made and "actualPosition" in made, "agipd: init finds intensity and stage")


agipd()
print(f"1..{r.n}")
sys.exit(1 if r.failed else 0)
