#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""resume.py XANI SCRATCH -- Ctrl-C ends with 75, a second run resumes; only what a change touches is done again.

Also: a damaged result is noticed and made again, xani verify tells it, two runs into one folder do not mix, and the
sums have the same bits for any number of threads and any memory budget.  Prints TAP.
"""
import json
import os
import shutil
import signal
import subprocess
import time

from harness import SCRATCH, XANI, r, set_options, xani

import h5py

import experiment
from walk import hashes

CONFIG = f"{SCRATCH}/raw/xani.yaml"


def run(out, *more):
    done = xani("run", CONFIG, "-o", out, "--json", *more)
    return done.returncode, json.loads(done.stdout) if done.stdout.strip() else {}, done.stderr


def stages(summary):
    return summary["runs"][0]["reduce"], summary["runs"][0]["fit"], summary["dispersion"]["map"]


def interrupt_after(out, path, *more):
    """Starts a run and sends SIGINT as soon as `path` exists; returns the exit code."""
    p = subprocess.Popen([XANI, "run", CONFIG, "-o", out, "-q", *more], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while p.poll() is None and not os.path.exists(path):
        time.sleep(0.001)
    p.send_signal(signal.SIGINT)
    return p.wait(timeout=120)


experiment.swissfel(f"{SCRATCH}/raw", shots=1200)
slow = ["--set", "reduce.spatial_bin=1", "--set", "engine.threads=1"]

out = f"{SCRATCH}/interrupted"
code = interrupt_after(out, f"{out}/cube.h5.manifest.json", *slow)
r.ok(code == 75, f"SIGINT during the fit ends with 75 (got {code})")
r.ok(os.path.exists(f"{out}/cube.h5") and not os.path.exists(f"{out}/modes.h5"), "the finished cube is there, no modes")
r.ok(not [n for n in os.listdir(out) if "tmp" in n], "no temporary file is left")
code, summary, stderr = run(out, *slow)
r.ok(code == 0 and stages(summary) == ("kept", "done", "done"), f"the second run resumes: {code} {summary.get('runs')} {stderr if code else ''}")
code, summary, _ = run(out, *slow)
r.ok(code == 0 and stages(summary) == ("kept", "kept", "kept"), "a third run keeps everything")

out = f"{SCRATCH}/early"
code = interrupt_after(out, f"{out}/.xani.lock", *slow)
r.ok(code == 75 and not [n for n in os.listdir(out) if n.endswith(".h5")], f"SIGINT during reduce: {code}, nothing half-written")

out = f"{SCRATCH}/changes"
code, summary, stderr = run(out)
r.ok(code == 0 and stages(summary) == ("done", "done", "done"), f"first run {stderr if code else ''}")
r.ok(stages(run(out, "--set", "map.tube_inv_ang=0.1")[1]) == ("kept", "kept", "done"), "a map key redoes the map only")
r.ok(stages(run(out, "--set", "fit.modes_max=1")[1]) == ("kept", "done", "done"), "a fit key redoes fit and map")
r.ok(stages(run(out, "--set", "select.i0.min=1.0")[1]) == ("done", "done", "done"), "a select key redoes all")
os.utime(f"{SCRATCH}/raw/acq0001.BSDATA.h5")
r.ok(stages(run(out, "--set", "select.i0.min=1.0")[1]) == ("done", "done", "done"), "a changed input redoes all")

r.ok(xani("verify", out).returncode == 0, "xani verify: all as written")
with open(f"{out}/modes.h5", "r+b") as f:
    f.seek(os.path.getsize(f"{out}/modes.h5") // 2)
    byte = f.read(1)
    f.seek(-1, 1)
    f.write(bytes([byte[0] ^ 0xFF]))
done = xani("verify", out)
r.ok(done.returncode == 1 and "modes.h5" in done.stdout + done.stderr, "xani verify tells a flipped byte, exit 1")
code, summary, stderr = run(out, "--set", "select.i0.min=1.0")
r.ok(code == 0 and stages(summary)[1] == "done", "a damaged result is made again")

base = None
for name, more in {"threads=1": ["engine.threads=1"], "threads=2": ["engine.threads=2"], "small memory": ["engine.memory_gib=0.006"],
                   "no cube kept": ["output.keep_cube=false"]}.items():
    out = f"{SCRATCH}/same"
    shutil.rmtree(out, ignore_errors=True)
    code, _, stderr = run(out, *set_options(*more))
    r.ok(code == 0, f"{name}: run ends with 0 {stderr if code else ''}")
    cube = hashes(f"{out}/cube.h5") if name != "no cube kept" else None
    modes = hashes(f"{out}/modes.h5")
    base = base or (cube, modes)
    r.ok((cube or base[0]) == base[0] and modes == base[1], f"{name}: same hashes of cube and modes")
r.ok(not os.path.exists(f"{out}/cube.h5"), "output.keep_cube: false leaves no cube")

out = f"{SCRATCH}/twice"
p = subprocess.Popen([XANI, "run", CONFIG, "-o", out, "-q", *slow], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
while p.poll() is None and not os.path.exists(f"{out}/.xani.lock"):
    time.sleep(0.001)
time.sleep(0.02)
code, _, stderr = run(out, *slow)
r.ok(code == 1 and "another xani run" in stderr, f"a second run into the same folder is refused: {code} {stderr.strip()[-120:]}")
p.wait(timeout=300)
with h5py.File(f"{out}/modes.h5") as f:
    r.ok("entry/modes" in f, "and the first finishes")
r.end()
