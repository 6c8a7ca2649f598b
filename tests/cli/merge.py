#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""merge.py XANI SCRATCH -- parts of a run and runs of files, merged in any order, give the file of one reduction.

Also: merging merged cubes, several passes, a merged cube is fitted like any other, what cannot be merged is refused
with exit code 3 and what differs.  Prints TAP.
"""
import itertools
import json
import os

from harness import SCRATCH, r, xani

import h5py

import experiment
from walk import hashes

CONFIG = f"{SCRATCH}/raw/xani.yaml"


def reduce(name, *more):
    path = f"{SCRATCH}/{name}.h5"
    code, _, error = xani("reduce", CONFIG, "-o", path, "-q", *more)
    if code != 0:
        print(f"# {error}")
    r.ok(code == 0, f"reduce {name}")
    return path


def merge(name, *cubes):
    path = f"{SCRATCH}/{name}.h5"
    code, _, error = xani("merge", *cubes, "-o", path, "-q")
    return path, code, error


def differing(a, b):
    a, b = hashes(a), hashes(b)
    return sorted(k for k in a.keys() | b.keys() if a.get(k) != b.get(k))


experiment.swissfel(f"{SCRATCH}/raw", shots=900)
whole = reduce("whole")
parts = [reduce(f"part{k}", "--set", f"input.part=[{k}, 3]") for k in (1, 2, 3)]
for order in itertools.permutations(range(3)):
    joint, code, error = merge("joint", *(parts[i] for i in order))
    r.ok(code == 0 and differing(whole, joint) == [], f"parts in the order {order}: the bits of one reduction {error}")
with h5py.File(joint) as f:
    r.ok([os.path.basename(p.decode()) for p in f["entry/process/merged"][()]] == ["part1.h5", "part2.h5", "part3.h5"],
         "the cubes are named in the order of their shots")
    with h5py.File(whole) as g:
        r.ok(list(f["entry/process/inputs/file"][()]) == list(g["entry/process/inputs/file"][()]),
             "the inputs are those of all parts, each once")
first = hashes(joint)
merge("joint", parts[1], parts[0], parts[2])
with open(f"{SCRATCH}/joint.h5.manifest.json") as f:
    again = json.load(f)["datasets"]
r.ok(all(again[k] == v for k, v in first.items()), "the order of the names does not show in the file")
two, code, _ = merge("two", parts[2], parts[1])
three, code, _ = merge("three", two, parts[0])
r.ok(code == 0 and differing(whole, three) == [], "merging what was merged: the same")
single, code, _ = merge("single", whole)
r.ok(code == 0 and differing(whole, single) == [], "one cube alone stays as it is")
code, _, error = xani("fit", joint, "-o", f"{SCRATCH}/modes.h5", "-q")
r.ok(code == 0, f"a merged cube is fitted without a configuration {error}")
code, out, _ = xani("verify", joint)
r.ok(code == 0, "a merged cube agrees with its manifest")

# what does not fit together
other = reduce("other", "--set", "reduce.spatial_bin=8", "--set", "input.part=[2, 3]")
_, code, error = merge("bad", parts[0], other)
r.ok(code == 3 and "pixels (reduce.spatial_bin)" in error, f"other groups are refused ({error.strip()})")
other = reduce("threshold", "--set", "reduce.threshold_photons=0.5", "--set", "input.part=[2, 3]")
_, code, error = merge("bad", parts[0], other)
r.ok(code == 3 and "reduce.threshold_photons" in error, f"another threshold is refused ({error.strip()})")
for key, values in (("reduce.photons.method", "none and round"),
                    ("select.i0.min", "0.7 and 0.001"), ("select.max_shots", "not set and 250"),
                    ("reduce.off.mode", "all and nearest")):
    word = values.split()[-1]
    more = ["--set", "reduce.off.block_shots=20"] if key == "reduce.off.mode" else []
    other = reduce("other", "--set", f"{key}={word}", *more, "--set", "input.part=[2, 3]")
    _, code, error = merge("bad", parts[0], other)
    r.ok(code == 3 and f"differ in {key}: {values}" in error or key == "reduce.off.mode" and code == 3,
         f"{key} of {values} are refused ({error.strip()})")
other = reduce("written", "--set", "reduce.photons.method=none", "--set", "reduce.threshold_photons=0.0",
               "--set", "input.part=[2, 3]")
joint, code, error = merge("joint", parts[0], other, parts[2])
r.ok(code == 0 and [k for k in differing(whole, joint) if "process" not in k] == [],
     f"a default that is written out is no difference {error}")
done = xani("merge", parts[0], reduce("zero", "--set", "input.delay.zero_ps=0.01", "--set", "input.part=[2, 3]"),
            "-o", f"{SCRATCH}/joint.h5")
r.ok(done.returncode == 0 and "differ in input.delay.zero_ps: " in done.stderr and " and 0.01" in done.stderr,
     f"another delay zero is told ({done.stderr.strip()})")
listed = "[" + ", ".join(f"{0.1 * k:.1f}" for k in range(-3, 11)) + "]"
for name, bins, part in (("steps", "{start: -0.3, stop: 1, step: 0.1}", 1), ("listed", f"{{edges: {listed}}}", 2)):
    reduce(name, "--set", "reduce.delay_bins_ps=", "--set", f"reduce.delay_bins_ps={bins}", "--set", f"input.part=[{part}, 3]")
_, code, error = merge("joint", f"{SCRATCH}/steps.h5", f"{SCRATCH}/listed.h5")
r.ok(code == 0, f"edges of a start and a step, and the same in a list: {error.strip()}")
_, code, error = merge("bad", parts[0], parts[0])
r.ok(code == 3 and "is in both" in error, "the same cube twice is refused")
_, code, error = merge("bad", parts[0], f"{SCRATCH}/modes.h5")
r.ok(code == 3 and error.strip() != "", "a file that is no cube is refused")
with open(parts[0], "rb") as f, open(f"{SCRATCH}/short.h5", "wb") as g:
    g.write(f.read(1500))
for bad in ("short.h5", "gone.h5"):  # the first and the last of the names: their order is not known then
    for order in ([f"{SCRATCH}/{bad}", parts[1]], [parts[0], parts[1], f"{SCRATCH}/{bad}"]):
        _, code, error = merge("bad", *order)
        r.ok(code == 3 and bad in error, f"a file that is not whole or not there is an error: {code} {error.strip()}")
r.ok(not os.path.exists(f"{SCRATCH}/bad.h5"), "nothing is written then")
code, _, error = xani("reduce", CONFIG, "-o", f"{SCRATCH}/bad.h5", "--set", "input.part=[4, 3]")
r.ok(code == 2 and "input.part" in error, "a part that does not exist is an error of the configuration")

# runs of other files whose ids only number their frames
import numpy as np  # noqa: E402


def series(name, n, seed):
    random = np.random.default_rng(seed)
    i0 = random.gamma(20, 0.05, n)
    with h5py.File(f"{SCRATCH}/{name}.h5", "w") as f:
        f.attrs["default"] = "entry"
        entry = f.create_group("entry")
        entry.attrs["NX_class"], entry.attrs["default"] = "NXentry", "data"
        data = entry.create_group("data")
        data.attrs["NX_class"], data.attrs["signal"] = "NXdata", "data"
        data["data"] = random.poisson(5 * i0[:, None, None] * np.ones((1, 8, 9))).astype("u2")
        f["i0"], f["laser"], f["stage"] = i0, (np.arange(n) % 3 != 0).astype("u1"), random.uniform(0, 1, n)


def of_series(name, *files):
    with open(f"{SCRATCH}/{name}.yaml", "w") as f:
        f.write(f"""
experiment: {{energy_kev: 9.5}}
input:
  layout: nexus
  files: [{", ".join(files)}]
  i0: i0
  laser: laser
  delay: {{parts: [{{source: stage, scale_ps: 1}}], sign: 1, zero_ps: 0}}
  calibration: {{photons_per_unit: 1}}
reduce: {{delay_bins_ps: {{start: 0, stop: 1, step: 0.25}}}}
""")
    code, _, error = xani("reduce", f"{SCRATCH}/{name}.yaml", "-o", f"{SCRATCH}/{name}.h5", "-q")
    r.ok(code == 0, f"reduce {name} {error}")
    return f"{SCRATCH}/{name}.h5"


for number, count in ((1, 300), (2, 200), (3, 250)):
    series(f"series{number}", count, number)
runs = [of_series(f"of{k}", f"series{k}.h5") for k in (1, 2, 3)]
whole = of_series("of_all", "series1.h5", "series2.h5", "series3.h5")
for order in itertools.permutations(range(3)):
    joint, code, error = merge("joint", *(runs[i] for i in order))
    r.ok(code == 0 and [k for k in differing(whole, joint) if "process" not in k] == [],
         f"runs of numbered frames in the order {order}: one reduction of all files {error}")
_, code, error = merge("bad", joint, runs[1])
r.ok(code == 3 and "is in both" in error, f"a run that is in already is refused {error}")
with open(f"{SCRATCH}/series2.h5", "rb") as f, open(f"{SCRATCH}/copy2.h5", "wb") as g:
    g.write(f.read())
_, code, error = merge("bad", runs[1], of_series("of_copy", "copy2.h5"))
r.ok(code == 3 and "I0 of all shots is the same" in error, f"and so is a copy of one {error}")
r.end()
