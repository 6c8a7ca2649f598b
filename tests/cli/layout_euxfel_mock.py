#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""layout_euxfel_mock.py XANI SCRATCH -- runs that EXtra-data's mock devices wrote give the frames that EXtra-data reads.

tests/layouts/euxfel_mock.py writes them, in .venv-test (make setup-test; without it this is skipped).  The run itself, its
virtual overview and its virtual CXI file give the same cube, which NumPy makes of EXtra-data's frames.  Prints TAP.
"""
import os
import subprocess

from harness import ROOT, new_folder, r, skip, write_config

import numpy as np

import shots
import tools

PYTHON = os.environ.get("XANI_TEST_PYTHON", os.path.join(ROOT, ".venv-test", "bin", "python"))
if not os.path.exists(PYTHON) or subprocess.run([PYTHON, "-c", "import extra_data.tests.mockdata"], capture_output=True).returncode:
    skip("no .venv-test with extra_data: make setup-test")

where = new_folder("mock")
made = subprocess.run([PYTHON, f"{ROOT}/tests/layouts/euxfel_mock.py", f"{where}/runs"], capture_output=True, text=True)
if not r.ok(made.returncode == 0, f"EXtra-data's mocks are written {made.stderr[-300:] if made.returncode else ''}"):
    r.end()


def experiment(name):
    """What EXtra-data read, as an experiment: laser on in pulses of even number, the stage alone tells the delay."""
    a = np.load(f"{where}/runs/{name}.npz")
    e = shots.Experiment(12, 1, 2, 2)
    train, pulse, frames = a["train"], a["pulse"], a["frames"]
    e.n, e.modules, e.rows, e.cols = len(train), *frames.shape[1:]
    row = train - a["first"]
    order = np.array([(train[:i] == t).sum() for i, t in enumerate(train)])
    e.on, e.i0, e.stage_mm = pulse % 2 == 0, a["i0"][row, order].astype(float), a["stage"][row]
    e.delay_ps = (100.0 - e.stage_mm) / shots.MM_PER_PS
    complete = ~np.isnan(frames).any(axis=(1, 2, 3))
    e.cut = np.where(complete, "", "modules").astype(object)
    e.photons = np.nan_to_num(frames).reshape(e.n, e.modules * e.rows, e.cols)
    e.masked = np.zeros(e.photons.shape[1:], bool)
    return e


def config(e, files, **more):
    """more: keys of input."""
    xgm = "SA1_XTD2_XGM/XGM/DOOCS:output/data.intensityTD"
    delay = e.delay("SPB_LAS_COM/MOTOR/DL800/actualPosition", "")
    del delay["time_tool"]
    return e.config("euxfel", files, i0=xgm, laser={"pulses": "0:4096:2"}, delay=delay,
                    calibration={"photons_per_unit": 1}, **more)


def all_ways(name, detector, ways):
    e = experiment(name)
    want = e.cube()
    r.ok(0 < want["cuts"]["modules"] < want["seen"] and want["shots"].sum() > 10, f"{name}: {want['seen']} frames, {want['cuts']['modules']} lack a module")
    for way, files, frames in ways:
        got = tools.run(f"{name}, {way}", where, config(e, files, **({"frames": frames} if frames else {})), want, 6e-6)
        r.ok(got["duplicate"] == 0, f"{name}, {way}: nothing comes twice: {got}")
    return e


runs = f"{where}/runs"
e = all_ways("spb", "SPB_DET_AGIPD1M-1", [
    ("the run", [f"{runs}/spb/*.h5"], None),
    ("by the older names", [f"{runs}/spb/*.h5"], "SPB_DET_AGIPD1M-1/DET/*CH0:xtdf"),
    ("the overview", [f"{runs}/overview.h5"], "SPB_DET_AGIPD1M-1"),
    ("overview and run", [f"{runs}/overview.h5", f"{runs}/spb/*.h5"], "SPB_DET_AGIPD1M-1"),
    ("the CXI file", [f"{runs}/spb.cxi", f"{runs}/spb/RAW-*.h5"], None)])
all_ways("fxe", "FXE_XAD_JF1M", [
    ("the run", [f"{runs}/fxe/*.h5"], "FXE_XAD_JF1M"),
    ("the CXI file", [f"{runs}/fxe.cxi", f"{runs}/fxe/RAW-*.h5"], None)])

# without module 7 its trains are used; the CXI file counts modules from 0 as well
e.cut[:] = ""
e.masked[7 * e.rows:8 * e.rows] = True
for way, files in (("the run", [f"{runs}/spb/*.h5"]), ("the CXI file", [f"{runs}/spb.cxi", f"{runs}/spb/RAW-*.h5"])):
    tools.run(f"spb without module 7, {way}", where, config(e, files, modules={"leave_out": 7}), e.cube(), 6e-6)

for what, modules in (("spb", 16), ("fxe", 2)):
    info = tools.info(f"{runs}/{what}")
    det = info["detectors"][0]
    r.ok(len(info["runs"]) == 1 and det["modules"] == modules and not info["problems"], f"info {what}: {det} {info['problems']}")
info = tools.info(f"{runs}/overview.h5")
r.ok([run["layout"] for run in info["runs"]] == ["euxfel"] and info["detectors"][0]["modules"] == 16, "info knows the overview")
info = tools.info(f"{runs}/spb.cxi")
r.ok([run["layout"] for run in info["runs"]] == ["euxfel"] and info["detectors"][0]["frames"] == len(e.on), "info knows the CXI file")

# an overview whose files have changed is told and not used
with open(f"{runs}/spb/RAW-R0142-DA01-S00001.h5", "ab") as f:
    f.write(b"more")
write_config(f"{where}/old.yaml", config(experiment("spb"), [f"{runs}/overview.h5", f"{runs}/spb/*.h5"], frames="SPB_DET_AGIPD1M-1"))
code, err = shots.reduce(f"{where}/old.yaml", f"{where}/old.h5")
r.ok(code == 0 and "have changed" in err, f"an outdated overview is told: {code} {err[:200]}")
r.end()
