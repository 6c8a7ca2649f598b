#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""sim_folder.py XANI SCRATCH -- xani sim replaces what an earlier simulation wrote and nothing else, all of it or none.

A user's files with the names of its own end the command, before the work where they are configurations; a simulation
that fails leaves the folder as it was.  What it writes runs, also where the configuration says no bins.  Prints TAP.
"""
import hashlib
import os
import resource
import shutil
import signal

from harness import ROOT, r, write_config, xani

IDENTITY = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
CELL = [3.61, 3.61, 3.61, 90, 90, 90]
CONFIG = {"experiment": {"energy_kev": 11},
          "sim": {"shots": 300, "layouts": ["swissfel", "euxfel"], "softening": [{"shell": 110, "factor": 0.9}],
                  "delay": {"start": -0.4, "stop": 3.8},
                  "detector": {"name": "JF07T01V01", "modules": [1, 1], "shape": [16, 24], "centre_px": [100, -30]}},
          "geometry": {"distance_mm": 60, "orientation": IDENTITY},
          "map": {"crystal": {"cell": CELL, "space_group": "Fm-3m", "basis": [{"element": "Cu", "position": [0, 0, 0]}]}}}
write_config("s.yaml", CONFIG)


def state(folder):
    found = {}
    for place, folders, names in os.walk(folder):
        for name in folders:
            found[os.path.join(place, name)] = "folder"
        for name in names:
            with open(os.path.join(place, name), "rb") as f:
                found[os.path.join(place, name)] = hashlib.md5(f.read()).hexdigest()
    return found


def small_files():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20480, 20480))


def sim(folder, *more, **how):
    return xani("sim", "s.yaml", "-o", folder, "-q", *more, **how)


def unchanged(what, folder, code, words, *more, **how):
    before = state(folder)
    done = sim(folder, *more, **how)
    r.ok(done.returncode == code and all(w in done.stderr for w in words) and state(folder) == before,
         f"{what}: {done.returncode} {done.stderr.strip()[-160:]}")


# ---- files of the user
for name in ("xani.yaml", "xani_euxfel.yaml", "truth.h5", "detector.geom", "run0001"):
    os.makedirs(f"user-{name}")
    with open(f"user-{name}/{name}", "w") as f:
        f.write("my: own\n")
    unchanged(f"{name} of the user", f"user-{name}", 2, [f"user-{name}/{name}", "is there"])
os.makedirs("mine")
for name in ("notes.txt", "xani_cube.yaml"):
    with open(f"mine/{name}", "w") as f:
        f.write("precious\n")
unchanged("no room, beside files of the user", "mine", 1, ["File too large"], preexec_fn=small_files)
for what, more, how in (("no room", (), {"preexec_fn": small_files}), ("no such crystal", ("--set", "sim.crystal=nope"), {})):
    done = sim("new", *more, **how)
    r.ok(done.returncode in (1, 3) and not os.path.exists("new"), f"{what}: no folder is left {done.stderr.strip()[-160:]}")
done = sim("mine")
with open("mine/notes.txt") as a, open("mine/xani_cube.yaml") as b:
    r.ok(done.returncode == 0 and a.read() + b.read() == "precious\n" * 2, f"what has other names stays {done.stderr.strip()}")

# ---- an earlier simulation
unchanged("no room, over an earlier simulation", "mine", 1, ["File too large"], "--set", "sim.seed=9", preexec_fn=small_files)
before = state("mine")
done = sim("mine", "--set", "sim.seed=9")
after = state("mine")
data = [n for n in before if n.endswith(".h5")]
r.ok(done.returncode == 0 and set(after) == set(before) and len(data) > 5 and all(after[n] != before[n] for n in data),
     f"another simulation replaces all of it {done.stderr.strip()}")
r.ok(xani("verify", "mine").returncode == 0, "and it verifies")
os.makedirs("mine/.sim.tmp-" + os.uname().nodename + "-4194300-0/below")
r.ok(sim("mine").returncode == 0 and not [n for n in os.listdir("mine") if n.startswith(".")], "what a killed one left is removed")
for config in ("xani.yaml", "xani_euxfel.yaml"):
    done = xani("run", f"mine/{config}", "-o", f"out-{config}", "-q")
    r.ok(done.returncode == 0 and os.path.exists(f"out-{config}/dispersion.h5"), f"{config} without bins given runs {done.stderr.strip()[-160:]}")

# ---- a crystal of one's own, beside the configuration
os.makedirs("beside")
shutil.copy(os.path.join(ROOT, "data", "crystals", "cu_296k.txt"), "beside/my_cu.txt")
write_config("beside/s.yaml", {**CONFIG, "sim": {**CONFIG["sim"], "crystal": "my_cu.txt", "layouts": ["swissfel"]}})
done = xani("sim", "beside/s.yaml", "-o", "beside/raw", "-q")
r.ok(done.returncode == 0 and os.path.exists("beside/raw/truth.h5"), f"a bare name is of the configuration's folder {done.stderr.strip()}")
done = xani("sim", "beside/s.yaml", "-o", "beside/none", "--dry-run")
r.ok(done.returncode == 0 and not os.path.exists("beside/none"), f"a dry run writes nothing {done.stderr.strip()}")
done = xani("sim", "beside/s.yaml", "-o", "beside/none", "--dry-run", "--set", "sim.crystal=none.txt")
r.ok(done.returncode == 3 and "none.txt" in done.stderr and "sim.crystal" in done.stderr, f"but looks at the crystal {done.stderr.strip()}")
r.end()
