#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""kill.py XANI SCRATCH -- a reduction killed at random instants goes on to the file of one that was left alone.

XANI_KILLS: how many kills, default 12 (`make kill-test`: 200).  Every process is killed by SIGKILL at an instant drawn
from the time a whole run takes; the next one goes on.  When a cube is finished its hashes are compared and a new one is
begun, now in one pass and now in several.  Prints TAP.
"""
import json
import os
import random
import subprocess
import time

from harness import SCRATCH, XANI, r, xani

import experiment
from walk import hashes

KILLS = int(os.environ.get("XANI_KILLS", "12"))
CONFIG = f"{SCRATCH}/raw/xani.yaml"
OUT = f"{SCRATCH}/cube.h5"
ways = {"one pass": [], "several passes": ["--set", "engine.memory_gib=%g"],
        "blocks": ["--set", "reduce.off={mode: blocks, block_shots: 100}"]}


def command(out, way, save="0.000001"):
    return [XANI, "reduce", CONFIG, "-o", out, "-q", "--set", f"engine.save_seconds={save}",
            "--set", "reduce.spatial_bin=1", "--set", "engine.threads=1", *way]


def left():
    return sorted(n for n in os.listdir(SCRATCH) if n.startswith(".cube.h5"))


experiment.swissfel(f"{SCRATCH}/raw", shots=600)
done = xani("check", CONFIG, "--set", "reduce.spatial_bin=1", "--json")
plan = json.loads(done.stdout)["runs"][0]
ways["several passes"][1] %= 0.55 * plan["memory_bytes"] / 2**30
whole, seconds = {}, {}
for name, way in ways.items():
    path = f"{SCRATCH}/whole.h5"
    begin = time.monotonic()
    done = subprocess.run(command(path, way, "0"), capture_output=True, text=True)
    seconds[name] = time.monotonic() - begin
    r.ok(done.returncode == 0, f"{name}: left alone {done.stderr.strip()}")
    whole[name] = hashes(path)
r.ok(whole["one pass"] == whole["several passes"], "one pass and several give one file")

rng = random.Random(os.environ.get("XANI_KILL_SEED", "1"))
names = list(ways)
kills = finished = went_on = different = failed = 0
name = names[0]
while kills < KILLS or finished < len(names):
    p = subprocess.Popen(command(OUT, ways[name]), stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE, text=True)
    went_on += bool(left())
    if kills < KILLS:
        try:
            p.wait(timeout=rng.uniform(0, 0.9 * seconds[name]))
        except subprocess.TimeoutExpired:
            p.kill()
            kills += 1
    error = p.communicate()[1]
    if p.returncode not in (0, -9):
        failed += 1
        print(f"# {name}: exit {p.returncode}: {error}")
        break
    if p.returncode == 0:
        different += hashes(OUT) != whole[name]
        different += left() != []  # nothing stays beside a finished cube
        os.remove(OUT)
        os.remove(f"{OUT}.manifest.json")
        finished += 1
        name = names[finished % len(names)]
r.ok(failed == 0 and different == 0,
     f"{kills} kills, {went_on} starts on what was saved, {finished} cubes finished, {different} of them different")
r.ok(went_on > 0, "and what was saved was used")
r.end()
