#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""foreign_modes.py XANI SCRATCH -- modes.h5 that another program wrote, as the contract has it, is mapped as it says or refused:
angles by the name of the run, units, modules, values that are none, files that differ.  Prints TAP.
"""
import json
import os
import shutil
import subprocess
import time

from harness import ROOT, SCRATCH, XANI, r, write_config, xani

import h5py
import numpy as np

NY, NX = 6, 8
U = [[0.1417157, 0.9771205, 0.1585946], [0.1574859, 0.1359166, -0.9781231], [-0.9772998, 0.1635918, -0.1346212]]
UNITS = {"frequency": "THz", "damping": "1/ps", "phase": "rad", "amplitude": "", "significance": ""}
LIKE = {"frequency": 4.0, "damping": 0.3, "phase": 3.0, "amplitude": 0.01, "significance": 100.0}


def config(name="c.yaml", runs=None, angle=12, **parts):
    """The experiment; runs: {name: angle} instead of one angle; parts: "map__tube_inv_ang" and the like."""
    c = {"experiment": {"energy_kev": 10},
         "geometry": {"detector": {"shape": [NY, NX], "pixel_mm": 5, "centre_px": [1, 2]}, "distance_mm": 80, "orientation": U,
                      "goniometer": [{"axis": [0, 1, 0], "sign": -1, "angle_deg": angle}]},
         "map": {"crystal": {"cell": [3.61, 3.61, 3.61, 90, 90, 90], "space_group": "Fm-3m",
                             "basis": [{"element": "Cu", "position": [0, 0, 0]}]},
                 "grid": {"shape": [5, 5, 5]}, "mode_kind": "pair"}}
    if runs:
        c["runs"] = [{"name": k, "files": ["none.h5"], "angle_deg": [v]} for k, v in runs.items()]
    for key, value in parts.items():
        at = c
        *path, last = key.split("__")
        for word in path:
            at = at.setdefault(word, {})
        at[last] = value
    return write_config(name, c)


def modes(name, units=None, stored=None, status=None, run=None, angle=None, rows=None, **values):
    """One mode a pixel, as in LIKE; values: arrays or numbers over them, NAME or NAME_errors."""
    with h5py.File(name, "w") as f:
        e = f.create_group("entry")
        m = e.create_group("modes")
        m.attrs["errors_from"] = "counting"
        for key, like in LIKE.items():
            for k in (key, f"{key}_errors")[:1 if key == "significance" else 2]:
                m[k] = np.broadcast_to(np.asarray(values.get(k, like if k == key else 0.02), "f4"), (1, NY, NX))
                m[k].attrs["units"] = UNITS[key]
        e["n_modes"] = np.ones((NY, NX), "u1")
        e["fit_status"] = np.zeros((NY, NX), "u1") if status is None else np.asarray(status, "u1")
        e["chi2_reduced"], e["background"], e["spatial_bin"] = np.ones((NY, NX), "f4"), np.zeros((1, NY, NX), "f4"), np.int32(1)
        for path, unit in (units or {}).items():
            m[path].attrs["units"] = unit
        for key, value in (("run", run), ("angle_deg", angle), ("module_rows", rows)):
            if value is not None:
                e[key] = value
        if stored is not None:
            with open(stored) as text:
                e["process/configuration"], e["process/base_dir"] = text.read(), SCRATCH
    return name


def points(path="o.h5"):
    with h5py.File(path) as f:
        return {k: v[()] for k, v in f["entry/points"].items()}


def mapped(*files, conf="c.yaml", more=()):
    """Points of the map, and what was said; None where it failed."""
    code, _, said = xani("map", *(["--config", conf] if conf else []), *files, "-o", "o.h5", *more)
    return (points() if code == 0 else None), "; ".join(said.split("\n"))


def refused(what, wanted, words, *files, conf="c.yaml", more=()):
    code, _, said = xani("map", *(["--config", conf] if conf else []), *files, "-o", "o.h5", *more)
    r.ok(code == wanted and all(w in said for w in words), f"{what}: exit {code}, {said.strip()}")


config()
plain, said = mapped(modes("plain.h5"))
r.ok(len(plain["weight"]) == NY * NX and np.allclose(plain["frequency"], 2.0) and "warning" not in said, f"modes as the contract has them {said}")

# ---- modules
for rows in ([-3, 9], [7, -1], [2**62, NY - 2**62], [3, 4]):
    refused(f"modules of {rows} rows", 3, ["rows.h5: /entry/module_rows"], modes("rows.h5", rows=np.array(rows, "i8")))
got, said = mapped(modes("rows.h5", rows=np.array([2, 4], "i8")))
r.ok(got is not None and np.array_equal(got["hkl"], plain["hkl"]), f"modules of 2 and 4 rows {said}")

# ---- lines above what the crystal can do, without even delays
fast = np.full((NY, NX), 4.0)
fast[2, 3:6] = [16.5, 20, 29]  # nu 8.25, 10, 14.5: copper reaches 7.2
modes("fast.h5", frequency=fast)
for more in ([], ["--set", "map.force_constants.file=cu_49k"]):
    got, said = mapped("fast.h5", more=more)
    r.ok(got is not None and np.array_equal(got["alias"] == 1, got["frequency"] > 8) and got["alias"].sum() == 3 and np.all(np.isnan(got["alias_candidates"]))
         and "3 of 48 modes lie above what the crystal can do" in said and "marked" in said, f"no Nyquist frequency: marked {more}; {said}")
got, said = mapped("fast.h5", more=["--set", "map.crystal.max_thz=12"])
r.ok(got is not None and got["alias"].sum() == 1 and "1 of 48 modes lie above what the crystal can do (nu = 12 THz)" in said, f"by map.crystal.max_thz: {said}")
with h5py.File("fast.h5", "a") as f:
    f["entry/fit/delay_step"] = 0.01
got, said = mapped("fast.h5")
r.ok(got is not None and not got["alias"].any() and "3 of 48 modes lie above" in said and "warning" not in said, f"even delays: told {said}")

# ---- units
got, said = mapped(modes("ghz.h5", {"frequency": "GHz", "frequency_errors": "GHz", "damping": "1/fs", "damping_errors": "fs^-1", "phase": "degree"},
                         frequency=4000.0, frequency_errors=20.0, damping=0.0003, damping_errors=2e-5, phase=170.0))
r.ok(got is not None and all(np.allclose(got[k], plain[k], rtol=1e-6) for k in ("frequency", "frequency_errors", "weight")), f"GHz and 1/fs {said}")
got, said = mapped(modes("mev.h5", {"frequency": "meV", "frequency_errors": "1/cm"}, frequency=4.0 / 0.24179892, frequency_errors=0.02 / 0.0299792458))
r.ok(got is not None and np.allclose(got["frequency"], 2.0) and np.allclose(got["frequency_errors"], 0.01), f"meV and 1/cm {said}")
got, said = mapped(modes("percent.h5", {"amplitude": "%", "amplitude_errors": "percent"}, amplitude=1.0, amplitude_errors=2.0))
r.ok(got is not None and np.allclose(got["amplitude"], 0.01) and np.allclose(got["amplitude_errors"], 0.02), f"amplitudes in % {said}")
for path, unit in (("amplitude", "counts"), ("frequency", "eVolts"), ("damping", "THz"), ("phase", "gon"), ("damping_errors", "1/parsec")):
    refused(f"{path} in {unit}", 3, [f"/entry/modes/{path} is in '{unit}'"], modes("unit.h5", {path: unit}))

# ---- angles
for angle, what in (([np.nan], "no number"), ([721.0], "beyond two turns"), ([np.inf], "infinite")):
    refused(f"an angle that is {what}", 3, ["angle.h5: /entry/angle_deg[0]"], modes("angle.h5", angle=angle))
refused("two angles for one circle", 2, ["geometry.goniometer", "2 angles"], modes("angle.h5", angle=[1.0, 2.0]))
refused("an angle beyond two turns in the configuration", 2, ["geometry.goniometer[0].angle_deg"], "plain.h5", conf=config("far.yaml", angle=800))
two = config("two.yaml", runs={"r0": -20, "r1": 33})
at = {a: mapped("plain.h5", conf=config("at.yaml", angle=a))[0] for a in (-20, 33)}
got, said = mapped(modes("r1.h5", run="r1"), modes("r0.h5", run="r0"), conf=two)
half = NY * NX
r.ok(got is not None and np.array_equal(got["hkl"][:half], at[33]["hkl"]) and np.array_equal(got["hkl"][half:], at[-20]["hkl"]) and
     sorted(set(got["angle_deg"].ravel())) == [-20, 33], f"angles by the name of the run {said}")
got, said = mapped(modes("own.h5", run="r1", angle=[-20.0]), conf=two)
r.ok(got is not None and np.array_equal(got["hkl"], at[-20]["hkl"]) and "measured at -20 degrees of circle 1" in said, f"a file's own angle goes before: {said}")
got, said = mapped("plain.h5", conf=config("only.yaml", runs={"r1": 33}))
r.ok(got is not None and np.array_equal(got["hkl"], at[33]["hkl"]), f"the only run's angle where the file has no name {said}")
for name, conf in ((None, two), ("r2", two), ("r2", "only.yaml")):
    refused(f"run {name} and {conf}", 2, ["run.h5: has no /entry/angle_deg", f'"{name or ""}"', conf], modes("run.h5", run=name), conf=conf)

# ---- configurations stored in the files, and one that is given
first = modes("first.h5", stored="c.yaml", run="a", angle=[1.0])
got, said = mapped(first, modes("second.h5", stored=config("same.yaml", angle=40), run="b", angle=[2.0]), conf=None)
r.ok(got is not None, f"stored configurations that differ in their angles {said}")
for key, value in (("geometry__distance_mm", 90), ("geometry__orientation", np.eye(3).tolist()), ("experiment__energy_kev", 11),
                   ("geometry__goniometer", [{"axis": [1, 0, 0]}])):
    refused(f"stored configurations that differ in {key}", 2, ["second.h5: ", key.replace("__", "."), "--config"], first,
            modes("second.h5", stored=config("other.yaml", **{key: value}), run="b", angle=[2.0]), conf=None)
got, said = mapped(first, conf=config("twelve.yaml", experiment__energy_kev=12))
r.ok(got is not None and "first.h5: was measured at 10 keV; twelve.yaml says 12" in said, f"another energy is told: {said}")

# ---- the same modes twice, and what is only asked for
shutil.copy(first, "copy.h5")
refused("a copy of a file", 2, ["copy.h5: ", "first.h5", "twice"], first, "copy.h5", conf=None)
got, said = mapped(first, modes("again.h5", stored="c.yaml", run="a", angle=[1.0], frequency=4.1), conf=None)
r.ok(got is not None and 'both of run "a"' in said, f"other modes of one run are told {said}")


def answered(*args):
    done = xani("map", *args, "--json", "-q")
    return json.loads(done.stdout) if done.returncode == 0 else None


refused("--dry-run, a label that is none", 2, ["map.path[1].label"], "plain.h5", more=("--dry-run", "--set", "map.path=[G, ZZ]"))
refused("--dry-run, energies that differ", 2, ["second.h5: ", "experiment.energy_kev"], first, conf=None, more=(
    modes("second.h5", stored=config("other.yaml", experiment__energy_kev=11), run="b", angle=[2.0]), "--dry-run"))
plan = answered("--config", "c.yaml", "plain.h5", "-o", "dry.h5", "--dry-run")
r.ok(plan is not None and plan["schema"] == "xani.plan" and [q["label"] for q in plan["path"]] == ["G", "X", "K", "G", "L"] and
     plan["runs"][0]["modes"] == plan["runs"][0]["groups"] == NY * NX and plan["would_write"] == "dry.h5" and not os.path.exists("dry.h5"),
     f"--dry-run tells the plan: {plan}")
told = answered("--config", "c.yaml", "plain.h5", "-o", "told.h5")
with h5py.File("told.h5") as f:
    box = f["entry/volume/coverage"][()]
    zone = int(f["entry/zone_voxels"][()])
r.ok(told is not None and told["points"] == told["points_pair"] == NY * NX and told["written"] == "told.h5" and told["voxels_seen"] == (box > 0).sum() and
     told["voxels_in_zone"] == zone and told["voxels_seen"] <= plan["voxels_in_zone"] == zone < box.size, f"--json tells the counts: {told}")
c = np.linspace(-1, 1, 151)  # of the zone of a face-centred crystal: |h|, |k|, |l| up to 1, their sum up to 3/2
h, k, l = np.meshgrid(c, c, c, indexing="ij")
inside = (abs(h) + abs(k) + abs(l) < 1.5) & (np.maximum(abs(h), np.maximum(abs(k), abs(l))) < 1)
want = len({tuple(v) for v in np.floor((np.stack([h, k, l], -1)[inside] + 1) * 2.5).astype(int).clip(0, 4)})
r.ok(zone == want, f"{zone} voxels of 125 lie in the zone, {want} by counting")

# ---- values that are none
def spoilt(what, lost, **values):
    """Pixel (3, 3) has another value: so many points fewer, one warning, nothing else changes."""
    got, said = mapped(modes("spoilt.h5", **values))
    n = NY * NX - lost
    r.ok(got is not None and len(got["weight"]) == n and np.isfinite(got["weight"]).all() and
         (f"warning: {lost} of {NY * NX} modes are left out" in said) == (lost > 0), f"{what}: {said}")
    with h5py.File("o.h5") as f:
        volume, coverage, axis = (f[f"entry/volume/{k}"][()] for k in ("intensity", "coverage", "frequency"))
    r.ok(np.isfinite(volume[coverage > 0]).all() and axis[-1] < 20, f"{what}: the volume is finite up to {axis[-1]:.3g} THz")
    return got


def but(like, value):
    a = np.full((NY, NX), like)
    a[3, 3] = value
    return a


for status in (1, 2, 3, 9):
    spoilt(f"fit_status {status}", 1, status=but(0, status))
for status in (4, 5):
    spoilt(f"fit_status {status}", 0, status=but(0, status))
for key, value in (("amplitude", np.nan), ("amplitude", np.inf), ("damping", np.inf), ("damping", np.nan), ("frequency", np.nan), ("frequency", 1e10)):
    spoilt(f"{key} {value}", 1, **{key: but(LIKE[key], value)})
for value in (0, -0.02, np.nan, np.inf):
    got = spoilt(f"frequency_errors {value}", 0, frequency_errors=but(0.02, value))
    own = 3 * NX + 3
    r.ok(np.isnan(got["frequency_errors"][own]) and got["weight"][own] < np.delete(got["weight"], own).min(), "it is unknown and weighs least")

# ---- the crystal, the energy, and the cube beside the modes
refused("two atoms at one position", 2, ["map.crystal.basis[1].position", "map.crystal.basis[0]"], "plain.h5",
        conf=config("twice.yaml", map__crystal__basis=[{"element": "Cu", "position": [0, 0, 0]}, {"element": "Au", "position": [1, 0, 0]}]))
with open("flat.geom", "w") as f:
    f.write("photon_energy = 11000\nclen = 0.08\nres = 200\np0/min_fs = 0\np0/max_fs = 7\np0/min_ss = 0\np0/max_ss = 5\n"
            "p0/fs = +1.0x\np0/ss = +1.0y\np0/corner_x = -1\np0/corner_y = -2\n")
config("geom.yaml")
with open("geom.yaml") as f:
    c = json.load(f)
del c["experiment"], c["geometry"]["detector"], c["geometry"]["distance_mm"]
c["geometry"]["file"] = "flat.geom"
write_config("geom.yaml", c)
got, said = mapped("plain.h5", conf="geom.yaml")
with h5py.File("o.h5") as f:
    energy = f["entry/instrument/beam/incident_energy"][()] if "entry/instrument/beam" in f else None
r.ok(got is not None and energy == 11, f"the energy of a geometry file is kept: {energy} {said}")
os.makedirs("beside", exist_ok=True)
modes("beside/modes.h5")


def cube(delay, ny=NY):
    with h5py.File("beside/cube.h5", "w") as f:
        signal = 0.01 * np.cos(2 * np.pi * 4 * np.asarray(delay))[:, None, None] * np.ones((len(delay), ny, NX))
        f["entry/cube/signal"], f["entry/cube/signal_errors"] = signal.astype("f4"), np.full(signal.shape, 0.001, "f4")
        f["entry/cube/delay"], f["entry/mask"], f["entry/spatial_bin"] = delay, np.zeros((ny, NX), "u4"), np.int32(1)


for what, delay, ny, word in (("backwards", np.arange(40)[::-1] * 0.05, NY, "delays that are not in order"),
                              ("of other groups", np.arange(40) * 0.05, NY + 1, "other pixel groups"), ("fine", np.arange(40) * 0.05, NY, None)):
    cube(delay, ny)
    got, said = mapped("beside/modes.h5")
    with h5py.File("o.h5") as f:
        averaged = "averaged_path" in f["entry"]
    r.ok(averaged == (word is None) and (word or "") in said and ("in no average" in said) == (word is not None), f"a cube without manifest that is {what}: {said}")
with open("beside/cube.h5", "w") as f:
    f.write("no")
got, said = mapped("beside/modes.h5")
r.ok(got is not None and "no cube that can be read" in said, f"a file that is no cube: {said}")

# ---- branches of force constants: pairs and coherent modes alike
FORCES = os.path.join(ROOT, "data", "crystals", "cu_296k.txt")


def branches(kind, f):
    got, said = mapped(modes("kind.h5", frequency=f), conf=config("kind.yaml", map__mode_kind=kind, map__tube_inv_ang=0.4,
                                                                  map__force_constants={"file": FORCES}))
    with h5py.File("o.h5") as h:
        return got["branch"], int(h["entry/branches/count"][()].sum()), said


pairs, n_pairs, _ = branches("pair", 8.0)
coherent, n_coherent, said = branches("coherent", 4.0)
r.ok(n_pairs > 5 and n_coherent > 5 and np.mean(pairs == coherent) > 0.9, f"coherent modes have branches: {n_coherent}, pairs {n_pairs} {said}")
_, n, said = branches("coherent", 40.0)
r.ok(n == 0 and "is explained by a branch of the force constants" in said, f"no line of a branch is told: {said}")

# ---- the path of a cell whose form brings corners together, or whose axes come in another order
W = 4 * 2**0.5
for cell, centring, labels in (([3, 5, 5, 90, 90, 90], "I", "G X M G Z P N Z1 M"), ([3, 5, 5, 90, 90, 90], "A", "G X M G Z"),
                               ([W, W, 4, 90, 90, 90], "F", None), ([4, 4, 6, 90, 90, 60], "P", "G M K G A"),
                               ([6, 4, 4, 120, 90, 90], "P", "G M K G A")):
    conf = config("cell.yaml", map__crystal={"cell": cell, "centring": centring, "basis": [{"element": "Cu", "position": [0, 0, 0]}]})
    got, said = mapped("plain.h5", conf=conf)
    with h5py.File("o.h5") as f:
        path = " ".join(v.decode() for v in f["entry/path_labels/name"][()])
    r.ok(got is not None and (labels is None or path == labels), f"the path of {cell} {centring}: {path} {said}")

# ---- the path: what its width and length may be, and that it ends when told to
refused("a tube wider than half the zone", 2, ["map.tube_inv_ang", "half the first zone"], "plain.h5", more=("--set", "map.tube_inv_ang=10"))
got, said = mapped("plain.h5", more=("--set", "map.tube_inv_ang=1e-9"))
r.ok(got is not None, f"a very thin tube {said}")
coarse = config("coarse.yaml", map__crystal__cell=[300, 300, 300, 90, 90, 90], map__crystal__space_group="Pm-3m")
got, said = mapped("plain.h5", conf=coarse)
r.ok(got is not None and "pixel groups are" in said and "wide, the first zone is" in said, f"pixel groups wider than the zone: {said}")
far = ("--set", "map.path=[{hkl: [0, 0, 0]}, {hkl: [900, 800, 700]}]")
refused("a path across very many zones", 2, ["map.path"], "plain.h5", more=far)
slow = ["map", "--config", "c.yaml", "plain.h5", "-o", "slow.h5", "--set", "map.path=[{hkl: [0, 0, 0]}, {hkl: [80, 81, 79]}]"]
with subprocess.Popen([XANI, *slow], stderr=subprocess.PIPE, text=True) as process:
    time.sleep(0.3)  # of about one second
    process.terminate()
    began = time.monotonic()
    said = process.communicate(timeout=60)[1]
    r.ok(process.returncode == 75 and time.monotonic() - began < 2, f"SIGTERM ends a long search for images: {process.returncode} {said.strip()}")

r.end()
