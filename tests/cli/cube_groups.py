#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""cube_groups.py XANI SCRATCH -- field cubes of groups of pixels lie where the groups of the direct run lie, with the geometry
of the detector: blocks of a module, incomplete ones dropped; or with one of the groups themselves.  Prints TAP.
"""
import os

from harness import new_folder, r, write_config, xani

import h5py
import numpy as np

import shots
import tools

K, ROWS, NX = 3, 16, 32  # 5 x 10 groups of each module; a row and two columns are left over
where = new_folder("groups")
with open(f"{where}/two.geom", "w") as f:
    f.write("clen = 0.08\nphoton_energy = 10000\nres = 1000\ndata = /data\n")
    for m in range(2):
        f.write("".join(f"m{m}/{k} = {v}\n" for k, v in {"min_fs": 0, "max_fs": NX - 1, "min_ss": ROWS * m, "max_ss": ROWS * m + ROWS - 1,
                                                       "corner_x": 5 - 2 * m, "corner_y": 3 + 20 * m, "fs": "+0.96x +0.28y", "ss": "-0.28x +0.96y"}.items()))
    f.write("bad/panel = m1\nbad/min_fs = 0\nbad/max_fs = 4\nbad/min_ss = 16\nbad/max_ss = 20\n")  # one whole group and parts of others
EXPERIMENT = {"map": {"crystal": {"cell": [3.61, 3.61, 3.61, 90, 90, 90], "space_group": "Fm-3m", "basis": [{"element": "Cu", "position": [0, 0, 0]}]},
                      "grid": {"shape": [5, 5, 5]}, "mode_kind": "pair"},
              "geometry": {"file": f"{where}/two.geom", "orientation": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}, "experiment": {"energy_kev": 10}}


def write(name, config):
    return write_config(f"{where}/{name}.yaml", {**config, "fit": {"modes_max": 1}, **{k: {**v, **config.get(k, {})} for k, v in EXPERIMENT.items()}})


def points(name, config, cube=None):
    """pixel -> hkl of a mode in every group that was fitted; spatial_bin and mask of the cube, and what was said."""
    cube, modes, out = cube or f"{where}/{name}.h5", f"{where}/{name}_modes.h5", f"{where}/{name}_map.h5"
    said = ""
    if not os.path.exists(cube):
        code, said = shots.reduce(config, cube)
        if code:
            return None, None, said
    code, _, err = xani("fit", cube, "--config", config, "-o", modes)
    if code:
        return None, None, said + err
    with h5py.File(modes, "a") as f:
        fitted = f["entry/fit_status"][()] != 2
        for key, value in {"frequency": 4, "frequency_errors": 0.02, "amplitude": 0.01, "damping": 0.1}.items():
            f[f"entry/modes/{key}"][0] = value
        f["entry/n_modes"][()], f["entry/fit_status"][()] = fitted, np.where(fitted, 0, 2)
        shape, k = fitted.shape, int(f["entry/spatial_bin"][()])
    code, _, err = xani("map", "--config", config, modes, "-o", out)
    if code:
        return None, None, said + err
    with h5py.File(out) as f:
        p = f["entry/points"]
        return dict(zip(map(tuple, p["pixel"][()].tolist()), p["hkl"][()])), (shape, k), said + err


def same(what, got, want, kind, tolerance=0.0):
    found, facts, said = got
    good = found is not None and facts == kind and found.keys() == want.keys() and max(np.abs(found[k] - want[k]).max() for k in want) <= tolerance
    r.ok(good, f"{what}: {facts}; {said.strip()[-300:]}")


# ---- the direct run

e = shots.Experiment(seed=2)
with h5py.File(f"{where}/data.nxs", "w") as f:
    g = f.create_group("entry/data")
    f.attrs["default"], f["entry"].attrs["default"], g.attrs["signal"] = "entry", "data", "data"
    g["data"], g["i0"], g["laser"], g["stage"], g["edge"] = e.photons.astype("u2"), e.i0, e.on.astype("u1"), e.stage_mm, e.edge_px
direct = e.config("nexus", [f"{where}/data.nxs"], i0="entry/data/i0", laser="entry/data/laser", delay=e.delay("entry/data/stage", "entry/data/edge"),
                  calibration={"photons_per_unit": 1})
direct["reduce"]["spatial_bin"], direct["output"] = K, {"field_cubes": True}
os.makedirs(f"{where}/pair")
config = write("direct", direct)
want, facts, said = points("pair/direct", config)
r.ok(facts == ((10, 10), K) and len(want) == 99, f"direct: {facts} {said.strip()[-300:]}")
with h5py.File(f"{where}/pair/run0001_on.h5") as f:
    r.ok(f["spatial_bin"][()] == K and f["module_rows"][()].tolist() == [5, 5], f"the pair says what its pixels are: {sorted(f)}")

# ---- read back

back = {"input": {"layout": "cube", "files": [f"{where}/pair/run0001_on.h5"], "delay": {"sign": 1, "zero_ps": 0}}}
same("with the geometry of the detector", points("back", write("back", back)), want, ((10, 10), K))
same("the pair fitted with the configuration of the shots", points("fitted", config, f"{where}/pair/run0001_on.h5"), want, ((10, 10), K))
with open(write("twice", {**back, "reduce": {"spatial_bin": 2 * K}})) as f:
    found, facts, said = points("twice", f.name)
r.ok(facts == ((4, 5), 2 * K), f"groups of groups: {facts} {said.strip()[-200:]}")
tools.refuse("groups that cannot be made of them", where, {**back, "reduce": {"spatial_bin": 4}}, "reduce.spatial_bin", "groups of 3 x 3", code=2)
with open(f"{where}/groups.geom", "w") as f:
    f.write(f"clen = 0.08\nphoton_energy = 10000\nres = {1000 / K}\ndata = /data\n")
    for m in range(2):
        f.write("".join(f"m{m}/{k} = {v}\n" for k, v in {"min_fs": 0, "max_fs": 9, "min_ss": 5 * m, "max_ss": 5 * m + 4, "corner_x": (5 - 2 * m) / K,
                                                       "corner_y": (3 + 20 * m) / K, "fs": "+0.96x +0.28y", "ss": "-0.28x +0.96y"}.items()))
got = points("own", write("own", {**back, "geometry": {"file": f"{where}/groups.geom"}}))
found = got[0] or {}
r.ok(got[1] == ((10, 10), 1) and "groups of 3 x 3 pixels" in got[2] and all(np.abs(found[k] - want[k]).max() < 1e-5 for k in want), f"with a geometry of the groups: {got[1:]}")

# ---- of others, which do not say so

for half in ("on", "off"):
    with h5py.File(f"{where}/pair/run0001_{half}.h5") as a, h5py.File(f"{where}/run0007_{half}.h5", "w") as b:
        for name in ("scan_var", "i0", "bin_counts"):
            b[name] = a[name][()]
        b["imgs"] = a["imgs"][()]
other = {"input": {**back["input"], "files": [f"{where}/run0007_on.h5"]}}
same("input.grouped", points("key", write("key", {"input": {**other["input"], "grouped": K}})), want, ((10, 10), K))
code, _, err = xani("check", write("none", other))
r.ok(code == 2 and "describes 32 x 32 pixels" in err and "the frames have 10 x 10" in err and "input.grouped: 3" in err, f"without it the message names the key: {code} {err.strip()[-250:]}")
tools.refuse("a number that the files contradict", where, {"input": {**back["input"], "grouped": 2}}, "input.grouped", "groups of 3 x 3", code=2)
tools.refuse("frames of shots", where, {**direct, "input": {**direct["input"], "grouped": 2}}, "input.grouped", "only cubes", code=2)

r.end()
