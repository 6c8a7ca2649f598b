#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""second_axis.py XANI SCRATCH -- reduce.second_axis: one cube per value of a reading, each as if its shots were alone.

By edges, values and equal counts; the cubes are those of the same window among select.cuts; nothing is counted twice or
lost; a cube is fitted as it is; xani run makes a folder of each, or one dispersion of all where the reading is an angle.  Prints TAP.
"""
import json
import os

from harness import SCRATCH, r, set_options, xani

import h5py
import numpy as np
import yaml

import experiment
from walk import hashes

CONFIG = f"{SCRATCH}/raw/xani.yaml"


def reduce(name, *more):
    path = f"{SCRATCH}/{name}.h5"
    return path, *xani("reduce", CONFIG, "-o", path, "-q", *set_options(*more))


def used(path):
    """Ids of used shots."""
    with h5py.File(path) as f:
        return f["entry/shots/pulse_id"][()][f["entry/shots/verdict"][()] == 0]


experiment.swissfel(f"{SCRATCH}/raw", shots=900)
with open(CONFIG) as f:
    source = yaml.safe_load(f)["input"]["i0"]
whole, code, _, error = reduce("whole")
r.ok(code == 0, f"without a second axis {error}")
with h5py.File(whole) as f:
    verdict, i0 = f["entry/shots/verdict"][()], f["entry/shots/i0"][()]
edges = [float(f"{q:.4g}") for q in np.nanquantile(i0, [0.02, 0.35, 0.65, 0.98])]
values = [0.5 * (a + b) for a, b in zip(edges, edges[1:])]

path, code, out, error = reduce("edges", f"reduce.second_axis={{source: '{source}', edges: {edges}}}")
cubes = [f"{SCRATCH}/edges_{k}.h5" for k in (1, 2, 3)]
r.ok(code == 0 and out.split() == cubes and not os.path.exists(path), f"edges: three cubes, said {out.split()} {error}")
ids = np.concatenate([used(c) for c in cubes])
inside = (verdict == 0) & (i0 >= edges[0]) & (i0 < edges[-1])
r.ok(len(ids) == len(set(ids)) == inside.sum(), f"every used shot is in one of them: {len(ids)} of {inside.sum()}")
for k, cube in enumerate(cubes):
    low, high = edges[k], np.nextafter(edges[k + 1], 0)
    alone, code, _, error = reduce(f"alone{k}", f"select.cuts=[{{source: '{source}', name: second axis, min: {low!r}, max: {float(high)!r}}}]")
    r.ok(code == 0 and hashes(alone) == hashes(cube), f"value {k + 1}: the cube of that window alone {error}")
with h5py.File(cubes[0]) as f:
    r.ok(f["entry/cube/signal"].ndim == 3, "and a plain one: delay, y, x")
code, _, error = xani("fit", cubes[1], "-o", f"{SCRATCH}/modes.h5", "-q")
r.ok(code == 0, f"it is fitted as it is {error}")

_, code, out, error = reduce("values", f"reduce.second_axis={{source: '{source}', values: {values}}}")
r.ok(code == 0 and len(out.split()) == 3, f"values: three cubes {error}")
near = (verdict == 0) & (i0 >= 0.5 * (values[0] + values[1])) & (i0 < 0.5 * (values[1] + values[2]))
r.ok(len(used(f"{SCRATCH}/values_2.h5")) == near.sum(), "a shot belongs to the nearest value")

_, code, out, error = reduce("pairs", f"reduce.second_axis={{source: '{source}', edges: {edges}}}", "output.field_cubes=true")
counts = {}
for k, cube in enumerate(cubes):
    with h5py.File(cube) as f, h5py.File(f"{SCRATCH}/run0001_{k + 1}_on.h5") as g, h5py.File(f"{SCRATCH}/run0001_{k + 1}_off.h5") as h:
        counts[k] = (g["bin_counts"][()] == f["entry/sums/on/shots"][()]).all() and round(h["bin_counts"][()].sum()) == f["entry/sums/off/shots"][0]
r.ok(code == 0 and all(counts.values()) and not os.path.exists(f"{SCRATCH}/run0001_on.h5"), f"each value has its own pair of cubes {counts} {error}")

_, code, out, error = reduce("counts", f"reduce.second_axis={{source: '{source}', equal_count: 4}}")
r.ok(code == 0 and len(out.split()) == 4, f"equal counts: four cubes {error}")
in_window = []
for k in range(4):
    with h5py.File(f"{SCRATCH}/counts_{k + 1}.h5") as f:
        names = [n.decode() for n in f["entry/cut_flow/name"][()]]
        at = names.index("second axis")
        in_window.append(int(f["entry/cut_flow/on_left"][at] + f["entry/cut_flow/off_left"][at]))
r.ok(max(in_window) - min(in_window) <= 12, f"of equal numbers of shots: {in_window}")

_, code, _, error = reduce("bad", "reduce.second_axis={source: nothing, edges: [0, 1, 2]}")
r.ok(code in (2, 3) and "nothing" in error, f"a reading that is not there: {error.strip()[-120:]}")
# ---- xani run: a series has a folder per value

def run(name, *more):
    folder = f"{SCRATCH}/{name}"
    code, out, error = xani("run", CONFIG, "-o", folder, "--json", "-q", *set_options(*more))
    return folder, code, json.loads(out) if code == 0 else {}, error


BEYOND = float(values[-1] + 10 * (values[1] - values[0]))
series = f"reduce.second_axis={{source: '{source}', values: {[*values, BEYOND]}}}"
folder, code, out, error = run("series", series)
numbers = [v["number"] for v in out.get("values", [])]
r.ok(code == 0 and numbers == [1, 2, 3], f"xani run: a folder per value with shots, said {numbers} {error[-300:]}")
r.ok("this value is left out" in xani("run", CONFIG, "-o", f"{SCRATCH}/said", "--set", series)[2], "and says which has none")
for k in (1, 2, 3):
    r.ok(os.path.exists(f"{folder}/value_{k}/report.html") and os.path.exists(f"{folder}/value_{k}/dispersion.h5"),
         f"value {k} has its dispersion and report")
    low = 0.5 * (values[k - 2] + values[k - 1]) if k > 1 else 1.5 * values[0] - 0.5 * values[1]
    high = 0.5 * (values[k - 1] + [*values, BEYOND][k])
    inside = (verdict == 0) & (i0 >= low) & (i0 < high)
    r.ok(len(used(f"{folder}/value_{k}/cube.h5")) == inside.sum() > 0, f"value {k}: its {inside.sum()} shots")
again = run("series", series)[2]
r.ok(all(v["runs"][0]["reduce"] == v["runs"][0]["fit"] == "kept" for v in again["values"]), "run again: all is kept")

code, out, error = xani("reduce", CONFIG, "-o", f"{SCRATCH}/told.h5", "--json", "-q", "--set", series)
told = json.loads(out) if code == 0 else {"written": [], "cubes": []}
r.ok([os.path.basename(p) for p in told["written"]] == ["told_1.h5", "told_2.h5", "told_3.h5"] and
     [c["cut_flow"][-1]["on"] + c["cut_flow"][-1]["off"] for c in told["cubes"]] == [c["laser_on"] + c["laser_off"] for c in told["cubes"]] ==
     [len(used(p)) for p in told["written"]], f"xani reduce --json: counts of each cube, in order {error[-300:]}")
one = ("--set", f"reduce.second_axis={{source: '{source}', equal_count: 1}}")
code, out, error = xani("reduce", CONFIG, "-o", f"{SCRATCH}/one.h5", "-q", *one)
r.ok(code == 0 and os.path.exists(f"{SCRATCH}/one_1.h5"), f"one window of everything is one {error[-300:]}")

# ---- a reading that turns the sample: its values are angles of one dispersion

# the number of a run named so stands in its pairs
name, raw = "run0007", os.path.dirname(CONFIG)
with open(CONFIG) as f:
    config = yaml.safe_load(f)
config["runs"] = [{"name": name, "files": config["input"].pop("files")}]
with open(f"{raw}/{name}.yaml", "w") as f:
    yaml.safe_dump(config, f)
axis = f"reduce.second_axis={{source: '{source}', edges: {edges}, circle: 0}}"
code, _, error = xani("run", f"{raw}/{name}.yaml", "-o", f"{SCRATCH}/{name}", "-q", "--set", axis, "--set", "output.field_cubes=true")
pairs = [os.path.exists(f"{SCRATCH}/{name}/{name}_{k}/{name}_{k}_{half}.h5") for k in (1, 2, 3) for half in ("on", "off")]
r.ok(code == 0 and all(pairs), f"angles of a run: pairs with its number {pairs} {error[-300:]}")

folder, code, out, error = run("angles", f"reduce.second_axis={{source: '{source}', edges: {edges}, circle: 0}}")
names = [v["run"] for v in out.get("runs", [])]
r.ok(code == 0 and names == ["value_1", "value_2", "value_3"] and "both of run" not in error, f"a circle: {names} {error[-300:]}")
for k, name in enumerate(names):
    cube = f"{folder}/{name}/cube.h5"
    with h5py.File(cube) as f:
        angle = f["entry/angle_deg"][()]
    inside = np.isfinite(i0) & (i0 >= edges[k]) & (i0 < edges[k + 1])
    r.ok(abs(angle[0] - i0[inside].mean()) < 1e-9, f"{name} stands at the mean reading {angle} {i0[inside].mean()}")
with h5py.File(f"{folder}/dispersion.h5") as f:
    r.ok(f["entry/points/hkl"].shape[0] > 0, "one dispersion of all angles")
code, _, error = xani("run", CONFIG, "-o", f"{SCRATCH}/circle", "--set", f"reduce.second_axis={{source: '{source}', edges: {edges}, circle: 3}}")
r.ok(code == 2 and "reduce.second_axis.circle" in error, f"a circle that is not there: {error.strip()[-120:]}")
r.end()
