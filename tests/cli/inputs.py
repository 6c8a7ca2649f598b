#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""inputs.py XANI SCRATCH -- a result knows every file it depends on: a second run redoes what a changed file touches.

The half of a pair of cubes that was not named, files behind a link and a virtual dataset, masks, the background, the
geometry, the force constants and what lies beside them are changed one by one; each must be listed in the provenance and must redo the stages that read it, and no others.  Also: no
command writes over a file it reads; the only run of a list is found both in its folder and beside it.  Prints TAP.
"""
import json
import os
import shutil

from harness import ROOT, SCRATCH, r, xani

import h5py
import numpy as np
import yaml

from experiment import write_field_cube
from walk import text

NT, NY, NX = 60, 7, 9
A = 3.61


def write_inputs():
    t = np.arange(NT) * 0.05
    y = 1 + 0.05 * np.cos(2 * np.pi * 2.0 * t)[:, None, None] * np.ones((NY, NX))
    noise = 1 + 1e-4 * np.random.default_rng(3).standard_normal(y.shape)
    write_field_cube(f"{SCRATCH}/run0003", t, 1e4 * y * noise, np.full((NY, NX), 1e4), 100)
    for half, name in (("on", "linked.h5"), ("off", "virtual.h5")):  # the images in files of their own, as masters have it
        with h5py.File(f"{SCRATCH}/run0003_{half}.h5", "a") as f, h5py.File(f"{SCRATCH}/{name}", "w") as images:
            f.copy("imgs", images)
            shape, dtype = f["imgs"].shape, f["imgs"].dtype
            del f["imgs"]
            if half == "on":
                f["imgs"] = h5py.ExternalLink(name, "imgs")
            else:
                layout = h5py.VirtualLayout(shape, dtype)
                layout[...] = h5py.VirtualSource(name, "imgs", shape)
                f.create_virtual_dataset("imgs", layout)
    open(f"{SCRATCH}/BORN", "w").close()  # of the same folder as the constants
    with h5py.File(f"{SCRATCH}/mask.h5", "w") as f:
        f["mask"] = np.zeros((NY, NX), "u1")
    with h5py.File(f"{SCRATCH}/dark.h5", "w") as f:
        f["img"], f["count"] = np.zeros((NY, NX)), 10.0
    with open(f"{SCRATCH}/flat.geom", "w") as f:
        f.write(f"clen = 0.08\nres = 500\np/min_fs = 0\np/max_fs = {NX - 1}\np/min_ss = 0\np/max_ss = {NY - 1}\n"
                "p/fs = +1x\np/ss = +1y\np/corner_x = 9\np/corner_y = -3\n")
    shutil.copy(f"{ROOT}/data/crystals/cu_49k.txt", f"{SCRATCH}/forces.txt")
    config = {
        "experiment": {"energy_kev": 11},
        "input": {"layout": "cube", "delay": {"sign": 1}, "mask": {"file": "mask.h5", "dataset": "mask"}, "background": "dark.h5"},
        "fit": {"modes_max": 1, "background": "constant"},
        "geometry": {"file": "flat.geom", "cell": [A, A, A, 90, 90, 90], "orientation": np.eye(3).tolist(),
                     "goniometer": [{"axis": [0, 1, 0]}]},
        "runs": [{"name": "only", "files": ["run0003_on.h5"], "angle_deg": [12]}],
        "map": {"crystal": {"cell": [A, A, A, 90, 90, 90], "centring": "F", "basis": [{"element": "Cu", "position": [0, 0, 0]}]},
                "grid": {"shape": [5, 5, 5]}, "mode_kind": "pair", "force_constants": {"file": "forces.txt"}},
        "output": {"report": False},
    }
    with open(f"{SCRATCH}/xani.yaml", "w") as f:
        yaml.safe_dump(config, f)


def run():
    done = xani("run", f"{SCRATCH}/xani.yaml", "-o", f"{SCRATCH}/out", "--json")
    if done.returncode:
        print("# " + done.stderr)
        return "failed"
    j = json.loads(done.stdout)
    return j["runs"][0]["reduce"], j["runs"][0]["fit"], j["dispersion"]["map"]


def change(name):
    """Another time of change, as an editor or a copy leaves it."""
    s = os.stat(f"{SCRATCH}/{name}")
    os.utime(f"{SCRATCH}/{name}", ns=(s.st_atime_ns, s.st_mtime_ns + 5_000_000_000))


def inputs(path):
    with h5py.File(f"{SCRATCH}/out/{path}") as f:
        return [os.path.basename(text(v)) for v in f["entry/process/inputs/file"]]


write_inputs()
r.ok(run() == ("done", "done", "done"), "a first run does all stages")
r.ok(run() == ("kept", "kept", "kept"), "a second run keeps all")
for name in ("run0003_on.h5", "run0003_off.h5", "linked.h5", "virtual.h5", "mask.h5", "dark.h5"):
    r.ok(name in inputs("only/cube.h5") and name in inputs("only/modes.h5"), f"{name} is listed in cube.h5 and modes.h5")
    change(name)
    r.ok(run() == ("done", "done", "done"), f"{name}: its change redoes all stages")
for name in ("flat.geom", "forces.txt", "BORN"):
    r.ok(name in inputs("dispersion.h5"), f"{name} is listed in dispersion.h5")
    change(name)
    r.ok(run() == ("kept", "kept", "done"), f"{name}: its change redoes the map only")
r.ok("modes.h5" in inputs("dispersion.h5"), "modes.h5 is listed in dispersion.h5")
for name in ("cube.h5", "modes.h5"):
    r.ok(os.path.samefile(f"{SCRATCH}/out/{name}", f"{SCRATCH}/out/only/{name}"), f"one run: {name} is beside dispersion.h5 too")
# without a list of runs, the angles are those of the goniometer: stored with the modes, so that they are made again
with open(f"{SCRATCH}/xani.yaml") as f:
    alone = yaml.safe_load(f)
alone["input"]["files"] = alone.pop("runs")[0]["files"]
with open(f"{SCRATCH}/alone.yaml", "w") as f:
    yaml.safe_dump(alone, f)
hkl = []
for angle in (12, 15):
    done = xani("run", f"{SCRATCH}/alone.yaml", "-o", f"{SCRATCH}/alone", "--set", f"geometry.goniometer[0].angle_deg={angle}")
    with h5py.File(f"{SCRATCH}/alone/dispersion.h5") as f:
        hkl.append(f["entry/points/hkl"][()])
        r.ok(done.returncode == 0 and (f["entry/points/angle_deg"][()] == angle).all(), f"angle {angle}: the points are at it {done.stderr.strip()}")
turned = np.linalg.norm(hkl[0] - hkl[1], axis=1) / np.linalg.norm(hkl[0], axis=1)
r.ok(len(turned) > 10 and (turned > 0.01).all(), f"another angle turns every point, {np.median(turned):.3f} of |Q|")
done = xani("map", "--config", f"{SCRATCH}/alone.yaml", f"{SCRATCH}/alone/modes.h5", "-o", f"{SCRATCH}/alone/d.h5")
r.ok(done.returncode == 0 and "measured at 15 degrees" in done.stderr, f"xani map tells other angles {done.stderr.strip()}")
# what a kept result does not depend on, but says of itself or hands to later stages, is taken over
done = xani("run", f"{SCRATCH}/xani.yaml", "-o", f"{SCRATCH}/out", "--json", "--set", "experiment.title=another",
            "--set", "experiment.notes=new", "--set", "map.grid.shape=[4,4,4]", "--set", "fit.max_failed=0.9")
row = json.loads(done.stdout)["runs"][0] if done.returncode == 0 else {}
r.ok(row.get("reduce") == "kept" and row.get("fit") == "done", f"settings of the map leave the cube {row} {done.stderr.strip()}")
for name in ("only/cube.h5", "only/modes.h5", "dispersion.h5"):
    with h5py.File(f"{SCRATCH}/out/{name}") as f:
        stored = yaml.safe_load(text(f["entry/process/configuration"][()]))
        r.ok(stored["map"]["grid"]["shape"] == [4, 4, 4] and stored["fit"]["max_failed"] == 0.9 and text(f["entry/title"][()]).startswith("another: ")
             and text(f["entry/notes"][()]) == "new", f"{name}: holds the configuration of the last run")
    r.ok(xani("verify", f"{SCRATCH}/out/{name}").returncode == 0, f"{name}: as its manifest says")
title = xani("run", f"{SCRATCH}/xani.yaml", "-o", f"{SCRATCH}/out", "--set", "experiment.title=third")
with h5py.File(f"{SCRATCH}/out/only/cube.h5") as f:
    r.ok(text(f["entry/title"][()]).startswith("third: ") and "another" not in text(f["entry/title"][()]) and "notes" not in f["entry"],
         "a title is replaced, notes that are gone go")
for name, kind in (("only/cube.h5", "cube"), ("only/modes.h5", "modes"), ("dispersion.h5", "dispersion")):
    with open(f"{SCRATCH}/out/{name}.manifest.json") as f:
        r.ok(json.load(f)["kind"] == kind, f"the manifest of {name} still says its kind")
# what is left of runs and maps of before is not reported
with open(f"{SCRATCH}/xani.yaml") as f:
    config = yaml.safe_load(f)
config["runs"][0]["name"] = "first"
with open(f"{SCRATCH}/renamed.yaml", "w") as f:
    yaml.safe_dump(dict(config, map={}), f)
for command in (["run", f"{SCRATCH}/renamed.yaml", "-o", f"{SCRATCH}/out"], ["report", f"{SCRATCH}/out"]):
    done = xani(*command)
    r.ok(done.returncode == 0, f"{command[0]}: {done.stderr.strip()}")
with open(f"{SCRATCH}/out/report.json") as f:
    j = json.load(f)
    r.ok([row["name"] for row in j["runs"]] == ["first"] and j["state"] != "complete" and not j["summary"].get("points"),
         f"a run renamed, a map left out: {j['state']}, {[row['name'] for row in j['runs']]}")
r.ok(os.path.samefile(f"{SCRATCH}/out/cube.h5", f"{SCRATCH}/out/first/cube.h5"), "the link beside it follows the run's name")
r.ok(run()[0] == "kept", "the run of before is still there")
done = xani("report", f"{SCRATCH}/out")
with open(f"{SCRATCH}/out/report.json") as f:
    r.ok(done.returncode == 0 and len(json.load(f)["runs"]) == 1, "the report shows the run once")
done = xani("verify", f"{SCRATCH}/out", "--json")
r.ok(done.returncode == 0 and json.loads(done.stdout)["good"] == 5, "xani verify counts all results, those left over too")
r.ok(xani("verify", f"{SCRATCH}/out/cube.h5").returncode == 0, "and takes the link's name too")
done = xani("map", "out/only/modes.h5", "out/modes.h5", "-o", "twice.h5")
r.ok(done.returncode == 2 and "given twice" in done.stderr and not os.path.exists(f"{SCRATCH}/twice.h5"),
     f"the same modes under two names are not mapped twice: {done.stderr.strip()}")
config["runs"].append({"name": "second", "files": ["run0004_on.h5"], "angle_deg": [20]})
with open(f"{SCRATCH}/gone.yaml", "w") as f:
    yaml.safe_dump(config, f)
done = xani("run", f"{SCRATCH}/gone.yaml", "-o", f"{SCRATCH}/gone")
r.ok(done.returncode == 3 and "run second" in done.stderr and "run0004_on.h5" in done.stderr and not os.path.exists(f"{SCRATCH}/gone/first/cube.h5"),
     f"a file of the second run that is missing is told before the first is reduced: {done.stderr.strip()}")
for what, path, args in (("reduce", "run0003_off.h5", ["xani.yaml"]), ("reduce", "mask.h5", ["xani.yaml"]),
                         ("fit", "out/only/cube.h5", ["out/only/cube.h5"]), ("map", "out/only/modes.h5", ["out/only/modes.h5"]),
                         ("map", "flat.geom", ["out/only/modes.h5"]), ("fit", "run0003_on.h5", ["run0003_on.h5", "--model", "constant"])):
    before = open(f"{SCRATCH}/{path}", "rb").read()
    done = xani(what, *args, "-o", path)
    same = open(f"{SCRATCH}/{path}", "rb").read() == before
    r.ok(done.returncode == 2 and same and path in done.stderr, f"{what} does not write over its input {path}: {done.stderr.strip()}")
r.end()
