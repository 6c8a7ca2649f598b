#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""outputs.py XANI SCRATCH -- no command writes over a file that it or its configuration reads, whatever -o says.

Named by -o are the files themselves and links to them: raw cubes and the half that was not named, the configuration,
files of its keys, sources of virtual datasets, targets of external links, cubes behind modes; and files that are no
earlier results of the same kind.  Each is refused with 2, before anything is read or written.  The pairs that
output.field_cubes writes have names of their own: they do not replace the raw pair.  Prints TAP.
"""
import hashlib
import os
import shutil

from harness import ROOT, SCRATCH, r, xani

import h5py
import numpy as np
import yaml

from experiment import write_field_cube

os.makedirs(f"{SCRATCH}/raw")
t = np.arange(40) * 0.05
y = 1e4 * (1 + 0.05 * np.cos(12 * t))[:, None, None] * np.ones((4, 5))
write_field_cube("raw/run0001", t, y + np.random.default_rng(1).normal(0, 20, y.shape), np.full((4, 5), 1e4), 100)
with h5py.File("mask.h5", "w") as f:
    f["mask"] = np.zeros((4, 5), "u1")
with open("flat.geom", "w") as f:
    f.write("clen = 0.08\nres = 500\np/min_fs = 0\np/max_fs = 4\np/min_ss = 0\np/max_ss = 3\np/fs = +1x\np/ss = +1y\n"
            "p/corner_x = 9\np/corner_y = -3\n")
shutil.copy(f"{ROOT}/data/crystals/cu_49k.txt", "forces.txt")
CU = {"cell": [3.61, 3.61, 3.61, 90, 90, 90], "centring": "F", "basis": [{"element": "Cu", "position": [0, 0, 0]}]}
CONFIG = {"experiment": {"energy_kev": 11}, "input": {"layout": "cube", "files": ["raw/*_on.h5"], "delay": {"sign": 1}, "mask": [{"file": "mask.h5", "dataset": "mask"}]},
          "fit": {"modes_max": 1, "background": "constant"}, "dark": {"runs": [{"stage": "g0", "files": ["dark*.h5"]}]},
          "geometry": {"file": "flat.geom", "cell": list(CU["cell"]), "orientation": np.eye(3).tolist()},
          "map": {"crystal": CU, "grid": {"shape": [5, 5, 5]}, "mode_kind": "pair", "force_constants": {"file": "forces.txt"}}, "output": {"report": False}}
with open("x.yaml", "w") as f:
    yaml.safe_dump(CONFIG, f)
with h5py.File("dark1.h5", "w") as f:
    f["a"] = 1
with h5py.File("source.h5", "w") as f:
    f["d"] = y
with h5py.File("target.h5", "w") as f:
    f["d"] = y
layout = h5py.VirtualLayout(shape=y.shape, dtype="f8")
layout[:] = h5py.VirtualSource("source.h5", "d", shape=y.shape)
with h5py.File("inner.h5", "w") as f:
    f.create_virtual_dataset("v", layout)
with h5py.File("master.h5", "w") as f:
    f["link"] = h5py.ExternalLink("inner.h5", "v")
    f["other"] = h5py.ExternalLink("target.h5", "d")
    f["d"] = y
os.symlink("raw/run0001_off.h5", "link_off.h5")


def state():
    found = {}
    for folder, _, names in os.walk("."):
        for name in (n for n in names if n != ".xani.lock"):
            with open(os.path.join(folder, name), "rb") as f:
                found[os.path.join(folder, name)] = hashlib.md5(f.read()).hexdigest()
    return found


def quiet(*args):
    return xani(*args, "-q")


def refused(output, *args, words=("is an input",), option="-o"):
    before = state()
    done = quiet(*args, option, output)
    r.ok(done.returncode == 2 and all(w in done.stderr for w in words) and state() == before,
         f"{' '.join(args)} {option} {output}: {done.returncode} {done.stderr.strip()[-160:]}")


def done(*args):
    d = quiet(*args)
    r.ok(d.returncode == 0, f"{' '.join(args)}: {d.stderr.strip()[-200:]}")


done("reduce", "x.yaml", "-o", "cube.h5")
done("fit", "cube.h5", "--config", "x.yaml", "-o", "modes.h5")
done("map", "modes.h5", "-o", "dispersion.h5")
done("reduce", "x.yaml", "-o", "cube.h5")  # results of before are replaced
done("fit", "cube.h5", "--model", "constant", "-o", "fit.h5")
done("repack", "cube.h5", "-o", "repacked.h5")
# ---- any other file is not: texts, results of another kind, raw files
with open("note.yaml", "w") as f:
    f.write("input:\n  mine: 1\n")
shutil.copy("mask.h5", "raw.h5")
again = {"cube.h5": ("reduce", "x.yaml"), "modes.h5": ("fit", "cube.h5"), "dispersion.h5": ("map", "modes.h5"),
         "fit.h5": ("fit", "cube.h5", "--model", "constant"), "repacked.h5": ("repack", "cube.h5"),
         "merged.h5": ("merge", "cube.h5")}  # refused: of shots binned before
for own, args in again.items():
    for path in ("note.yaml", "raw.h5", "/dev/null", *(o for o in again if o not in (own, "merged.h5", "cube.h5", "modes.h5"))):
        refused(path, *args, words=(path, "is there"))
    if own == "merged.h5":
        continue
    done(*args, "-o", own)
    done(*args, "-o", own)
    open("empty.h5", "w").close()
    done(*args, "-o", "empty.h5")  # mktemp makes one to have its name
    os.remove("empty.h5")
    os.remove("empty.h5.manifest.json")
    if own != "repacked.h5":
        os.remove(f"{own}.manifest.json")
        done(*args, "-o", own)  # says what it is without a manifest too
done("fit", "cube.h5", "--config", "x.yaml", "-o", "modes.h5")
with open("cube.partial.h5", "w") as f:
    f.write("my own")
done("reduce", "x.yaml", "-o", "cube.h5", "--set", "output.snapshot_seconds=1")
with open("cube.partial.h5") as f:
    r.ok(f.read() == "my own", "a file with the name of a snapshot stays")
done("fit", "cube.h5", "--config", "x.yaml", "-o", "modes.h5")
for path in ("x.yaml", "mask.h5", "flat.geom", "forces.txt", "dark1.h5", "raw/run0001_on.h5", "raw/run0001_off.h5", "link_off.h5"):
    refused(path, "reduce", "x.yaml")
for path in ("x.yaml", "flat.geom", "cube.h5", "mask.h5"):
    refused(path, "fit", "cube.h5", "--config", "x.yaml")
refused("x.yaml", "fit", "cube.h5", "--config", "x.yaml", "--model", "constant")
refused("raw/run0001_off.h5", "fit", "raw/run0001_on.h5")
refused("raw/run0001_off.h5", "fit", "raw/run0001_on.h5", "--model", "constant")
refused("source.h5", "fit", "master.h5", "--data", "/d", "--model", "constant")
refused("target.h5", "fit", "master.h5", "--data", "/d", "--model", "constant")
for path in ("x.yaml", "flat.geom", "forces.txt", "modes.h5", "raw/run0001_on.h5"):
    refused(path, "map", "--config", "x.yaml", "modes.h5")
refused("cube.h5", "map", "modes.h5", words=("modes.h5 was made of it",))
for path in ("x.yaml", "dark1.h5", "mask.h5"):
    refused(path, "dark", "x.yaml")
refused("cube.h5", "merge", "cube.h5")
for path in ("source.h5", "inner.h5", "target.h5", "master.h5"):
    refused(path, "repack", "master.h5")
refused("raw/run0001_on.h5", "init", "raw", "--force", words=("is not a configuration",))
refused("flat.geom", "init", "raw/run0001_on.h5", "--force", words=("is not a configuration",))
for path in ("cube.h5", "modes.h5", "/dev/null"):  # results hold a configuration
    refused(path, "init", "raw", "--force", words=("is not a configuration",))
done("init", "raw", "-o", "proposed.yaml")
done("init", "raw", "-o", "proposed.yaml", "--force")
os.makedirs("sim")
shutil.copy(f"{ROOT}/data/sim/demo.yaml", "sim/xani.yaml")
refused("sim", "sim", "sim/xani.yaml", words=("sim/xani.yaml", "is the configuration"))
os.makedirs("result")
shutil.copy("mask.h5", "result/dispersion.h5")
refused("result", "run", "x.yaml", "--set", "input.mask[0].file=result/dispersion.h5")

# ---- output.field_cubes
refused("raw/cube.h5", "reduce", "x.yaml", "--set", "output.field_cubes=true", words=("output.field_cubes", "raw/run0001_on.h5", "is an input"))
refused("raw", "run", "x.yaml", "--set", "output.field_cubes=true", words=("output.field_cubes", "raw/run0001_on.h5", "is an input"))
r.ok(not any(n.startswith(("cube", "modes")) for n in os.listdir("raw")), "nothing was made before that was found out")
r.end()
