#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""dry_run.py XANI SCRATCH -- every command that writes has --dry-run, which names what would be written and writes nothing.

On field cubes of a few pixels and dark frames of one stage.  Prints TAP.
"""
import json
import os

from harness import ROOT, SCRATCH, r, xani

import h5py
import numpy as np
import yaml

from experiment import write_field_cube


def everything():
    return sorted((os.path.join(d, n), os.stat(os.path.join(d, n)).st_mtime_ns) for d, _, names in os.walk(SCRATCH) for n in names)


t = np.arange(50) * 0.05
write_field_cube(f"{SCRATCH}/run0003", t, 1e4 + 500 * np.cos(12 * t)[:, None, None] * np.ones((4, 5)), np.full((4, 5), 1e4), 100)
with h5py.File(f"{SCRATCH}/dark.JF01T01V01.h5", "w") as f:
    g = f.create_group("data/JF01T01V01")
    g["data"] = np.random.default_rng(1).normal(2000, 5, (40, 16, 16)).astype("u2")
    g["pulse_id"] = np.arange(1, 41, dtype="u8")
    g["is_good_frame"], g["daq_rec"] = np.ones(40, "u1"), np.zeros(40, "u4")
config = {"input": {"layout": "cube", "files": ["run0003_on.h5"], "delay": {"sign": 1}}, "fit": {"modes_max": 1},
          "experiment": {"energy_kev": 10},
          "geometry": {"detector": {"shape": [4, 5], "pixel_mm": 5, "centre_px": [1, 2]}, "distance_mm": 80, "orientation": np.eye(3).tolist()},
          "map": {"crystal": {"cell": [4, 4, 4, 90, 90, 90], "centring": "P"}}}
dark = {"input": {"layout": "swissfel", "frames": "JF01T01V01"}, "dark": {"runs": [{"stage": "g0", "files": ["dark.*.h5"]}]}}
for name, content in (("xani.yaml", config), ("dark.yaml", dark)):
    with open(f"{SCRATCH}/{name}", "w") as f:
        yaml.safe_dump(content, f)
r.ok(xani("run", "xani.yaml", "-o", "result").returncode == 0, "a result to go on from")
before = everything()
for name, args in {"demo": ["new"], "dark": ["dark.yaml", "-o", "new"], "fit": ["result/cube.h5", "-o", "new"],
                   "init": ["run0003_on.h5", "-o", "new"], "merge": ["result/cube.h5", "-o", "new"],
                   "map": ["result/modes.h5", "-o", "new"], "reduce": ["xani.yaml", "-o", "new"], "repack": ["run0003_on.h5", "-o", "new"],
                   "report": ["result"], "run": ["xani.yaml", "-o", "new"], "sim": [f"{ROOT}/data/sim/demo.yaml", "-o", "new"]}.items():
    done = xani(name, *args, "--dry-run", "--json")
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        answer = {}
    named = answer.get("would_write", answer.get("output", ""))
    r.ok(done.returncode == 0 and ("new" in named or name == "report" and "report.html" in named),
         f"xani {name} --dry-run names {named} {done.stderr.strip()[:200]}")
    r.ok(everything() == before, f"xani {name} --dry-run writes nothing")
done = xani("dark", "dark.yaml", "-o", "new", "--dry-run", "--set", "dark.runs[0].files=nothere.h5")
r.ok(done.returncode == 3 and "nothere.h5" in done.stderr, "xani dark --dry-run opens the dark runs")
r.end()
