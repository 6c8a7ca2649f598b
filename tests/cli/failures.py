#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""failures.py XANI SCRATCH -- bad input and bad places to write: one clear line, the documented exit code, nothing left.

Each case changes one thing in a good SwissFEL experiment (written by tests/contract/experiment.py), runs `xani run`, and
looks at the exit code, at the one line on stderr, and at what lies in the output folder.  Prints TAP.
"""
import copy
import os
import shutil
import subprocess

from harness import SCRATCH, error_lines, r, xani

import h5py
import numpy as np
import yaml

import experiment

DET, BSDATA = "acq0001.JF07T02V01.h5", "acq0001.BSDATA.h5"
I0 = "SAROP21-PBPS133:INTENSITY"


def run(folder, *more, out=None):
    out = out or f"{folder}/out"
    done = xani("run", f"{folder}/xani.yaml", "-o", out, *more)
    return done.returncode, done.stderr, out


def left_behind(out):
    return [os.path.join(d, n) for d, _, names in os.walk(out) for n in names if n != ".xani.lock"] if os.path.isdir(out) else []


def case(name, code, words, change=None, damage=None, more=(), out=None):
    """change(config) edits the configuration, damage(folder) the files; words must all stand in the error line."""
    folder = f"{SCRATCH}/{name.replace(' ', '-')}"
    shutil.copytree(f"{SCRATCH}/good", folder)
    config = copy.deepcopy(good)
    if change:
        change(config)
    with open(f"{folder}/xani.yaml", "w") as f:
        yaml.safe_dump(config, f, sort_keys=False)
    if damage:
        damage(folder)
    got, stderr, out = run(folder, *more, out=out)
    lines = error_lines(stderr)
    text = lines[-1] if lines else ""
    fine = got == code and all(w.lower() in text.lower() for w in words)
    r.ok(fine, f"{name}: exit {got} (documented {code}): {text}")
    if not fine:
        print("#", stderr.replace("\n", "\n# "))
    left = left_behind(out)
    r.ok(not left, f"{name}: nothing half-written {left}")
    shutil.rmtree(folder)


def edit(path, fn):
    def apply(folder):
        with h5py.File(f"{folder}/{path}", "r+") as f:
            fn(f)
    return apply


def truncate(path, part):
    def apply(folder):
        os.truncate(f"{folder}/{path}", int(os.path.getsize(f"{folder}/{path}") * part))
    return apply


def replace(name, values):
    def fn(f):
        del f[name]
        f[name] = values
    return fn


def setting(path, value):
    def fn(config):
        *up, last = path.split(".")
        for k in up:
            config = config[k]
        if value is None:
            del config[last]
        else:
            config[last] = value
    return fn


def all_on(f):
    d = f["data/JF07T02V01/daq_rec"]
    d[...] = d[()] | (1 << 16)


def later_pulses(f):
    for channel in f["data"]:
        if channel != "general":
            p = f[f"data/{channel}/pulse_id"]
            p[...] = p[()] + 10 ** 9


def nan_gains(f):
    f["gains"][...] = np.nan


experiment.swissfel(f"{SCRATCH}/good", shots=400)
with open(f"{SCRATCH}/good/xani.yaml") as f:
    good = yaml.safe_load(f)
shape = (32, 24)

case("missing file", 3, ["nothere.h5"], setting("input.files", ["nothere.h5"]))
case("glob without match", 3, ["nothere"], setting("input.files", ["nothere*.h5"]))
case("truncated detector file", 3, [DET], damage=truncate(DET, 0.5))
case("truncated near its end", 3, [DET], damage=truncate(DET, 0.97))
case("not an HDF5 file", 3, [BSDATA], damage=lambda d: open(f"{d}/{BSDATA}", "wb").write(b"no HDF5" * 1000))
case("frames of a wrong type", 3, ["data/JF07T02V01/data"], damage=edit(DET, replace("data/JF07T02V01/data", np.zeros((399, *shape), "f8"))))
case("frames of a wrong rank", 3, ["data/JF07T02V01/data"], damage=edit(DET, replace("data/JF07T02V01/data", np.zeros((399, 24), "u2"))))
case("pedestal of a wrong shape", 3, ["pedestal", "gains"],
     damage=edit("pedestal_20260101.JF07T02V01.res.h5", replace("gains", np.ones((3, 16, 24)))))
case("text where numbers belong", 3, [BSDATA, I0], damage=edit(BSDATA, replace(f"data/{I0}/data", np.array([b"a"] * 400))))
case("missing channel", 3, ["SAROP21-PBPS133:INTENSITI", I0], setting("input.i0", "SAROP21-PBPS133:INTENSITI"))
case("missing detector", 3, ["JF99T99V99"], setting("input.frames", "JF99T99V99"))
case("pulse ids do not overlap", 3, ["pulse"], damage=edit(BSDATA, later_pulses))
case("no laser-off shots", 3, ["laser-off"], damage=edit(DET, all_on))
case("every bin empty", 3, ["bin"], setting("reduce.delay_bins_ps", {"start": 500, "stop": 501, "step": 0.1}))
case("no shot in the I0 window", 3, ["i0"], setting("select.i0", {"min": 1e9}))
case("unknown label of the path", 2, ["map.path[1].label", "Q"], setting("map.path", ["G", "Q"]))
case("NaN gains", 3, ["gains"], damage=edit("gains.h5", nan_gains))
case("missing pedestal file", 3, ["nothere.h5"], setting("input.calibration.pedestal", "nothere.h5"))
case("unknown key", 2, ["modes_maks", "modes_max"], setting("fit.modes_maks", 2))
case("missing delay sign", 2, ["input.delay.sign"], setting("input.delay.sign", None))
case("missing delay bins", 2, ["reduce.delay_bins_ps"], setting("reduce.delay_bins_ps", None))
case("wrong type", 2, ["spatial_bin", "1.9"], setting("reduce.spatial_bin", 1.9))
case("layout of another facility", 3, ["European XFEL", "acq0001"], setting("input.layout", "euxfel"))
case("geometry of another detector", 2, ["geometry"],
     lambda c: c.update(geometry={**{k: v for k, v in c["geometry"].items() if k != "file"},
                                  "detector": {"shape": [10, 10], "pixel_mm": 1, "centre_px": [5, 5]}}))
case("missing geometry file", 3, ["nothere.geom"], setting("geometry.file", "nothere.geom"))
case("output below a file", 1, ["acq0001"], out=f"{SCRATCH}/good/{BSDATA}/out")
case("output on a read-only file system", 1, ["/proc/xani"], out="/proc/xani")

# a disk that is full: a small tmpfs, where this user may mount one
full = f"{SCRATCH}/full"
os.makedirs(full)
if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", full], capture_output=True).returncode == 0:
    try:
        case("disk full", 1, ["cube.h5", "space"], more=["--set", "reduce.spatial_bin=1"], out=f"{full}/out")
        if subprocess.run(["mount", "-o", "remount,ro", full], capture_output=True).returncode == 0:
            case("disk read-only", 1, ["folder cannot be made", "Read-only file system"], out=f"{full}/new/out")
    finally:
        subprocess.run(["umount", full], check=False)
else:
    r.skip("disk full", "no right to mount a tmpfs")

code, stderr, out = run(f"{SCRATCH}/good")
r.ok(code == 0 and os.path.exists(f"{out}/dispersion.h5"), f"the same experiment unharmed: exit {code} {error_lines(stderr)}")
r.end()
