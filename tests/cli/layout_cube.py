#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""layout_cube.py XANI SCRATCH -- the field's on/off cubes, in both spellings, are read as NumPy adds them, and written.

Files as formats.md 1.8 describes them: sums of frames, two names for the counts, a region, a second monitor, a background;
empty bins, missing planes, several runs added, bins in no order.  What xani writes (output.field_cubes) is read by the
rules of both tools that know such files, and again by xani.  Prints TAP.
"""
import json
import os

from harness import SCRATCH, new_folder, r, write_config, xani

import h5py
import numpy as np

import shots
import tools

rng = np.random.default_rng(8)
NB, NY, NX = 9, 18, 20


def cube(seed, scale=1.0):
    """Sums per bin: {scan_var, imgs, i0, n} of on and off."""
    g = np.random.default_rng(seed)
    n = g.integers(5, 30, NB).astype(float)
    i0 = n * g.uniform(0.8, 1.2, NB)
    imgs = g.poisson(50 * scale * i0[:, None, None], (NB, NY, NX)).astype(float)
    return {"scan_var": np.linspace(-1, 3, NB), "imgs": imgs, "i0": i0, "n": n}


def write(path, c, counts="bin_counts", **more):
    with h5py.File(path, "w") as f:
        for name in ("scan_var", "imgs", "i0"):
            f[name] = c[name]
        f[counts] = c["n"]
        for name, value in more.items():
            f[name] = value


def expected(ons, offs, sign=1, zero=0.0, monitor="i0", background=0.0):
    """The cube of several pairs: bins of one delay are added, all off bins make one reference; empty ones count nothing."""
    live = lambda c: (c["n"] > 0) & np.isfinite(c[monitor]) & ~np.isnan(c["imgs"]).all(axis=(1, 2))
    delays = np.unique(np.round(np.concatenate([sign * c["scan_var"] - zero for c in ons]), 9))
    sums, i0, n = np.zeros((len(delays), NY, NX)), np.zeros(len(delays)), np.zeros(len(delays))
    out = np.zeros((NY, NX), bool)
    for c in ons:
        for b in np.flatnonzero(live(c)):
            k = np.argmin(abs(delays - (sign * c["scan_var"][b] - zero)))
            sums[k] += np.nan_to_num(c["imgs"][b]) - background * c["n"][b]
            i0[k], n[k] = i0[k] + c[monitor][b], n[k] + c["n"][b]
            out |= np.isnan(c["imgs"][b])
    off = sum((np.nan_to_num(c["imgs"][b]) - background * c["n"][b] for c in offs for b in np.flatnonzero(live(c))))
    off_i0 = sum(c[monitor][b] for c in offs for b in np.flatnonzero(live(c)))
    for c in offs:
        for b in np.flatnonzero(live(c)):
            out |= np.isnan(c["imgs"][b])
    with np.errstate(all="ignore"):
        y = sums / i0[:, None, None] / (off / off_i0) - 1
    y[n == 0] = np.nan
    y[:, out] = np.nan
    return delays, y


def check(name, where, config, want):
    code, err = shots.reduce(write_config(f"{where}/{name}.yaml", config), f"{where}/{name}_cube.h5")
    if not r.ok(code == 0, f"{name}: reduce: {code} {err.strip()[-300:] if code else ''}"):
        return err
    with h5py.File(f"{where}/{name}_cube.h5") as f:
        got, delay = f["entry/cube/signal"][()], f["entry/cube/delay"][()]
        r.ok(delay.shape == want[0].shape and np.allclose(delay, want[0], atol=1e-9), f"{name}: delays")
        gaps = got.shape == want[1].shape and np.array_equal(np.isnan(got), np.isnan(want[1]))
        r.ok(gaps, f"{name}: NaN in empty bins and masked pixels, nowhere else")
        worst = np.nanmax(abs((1 + got) / (1 + want[1]) - 1)) if gaps else np.inf
        r.ok(worst < 1e-6, f"{name}: signal equals NumPy's ({worst:.1e})")
    return err


def config_of(*files, **keys):
    return tools.changed({"input": {"layout": "cube", "files": list(files), "delay": {"sign": 1, "zero_ps": 0}}}, **keys)


# ---- both spellings, with what belongs to the second

where = new_folder("spellings")
on, off = cube(1, 1.1), cube(2)
on["n"][3] = on["i0"][3] = 0
on["imgs"][3] = 0             # an empty bin
on["imgs"][5] = np.nan        # a bin without any number
on["imgs"][6, 2, 3] = np.nan  # a pixel that has none in one bin
off["imgs"][1, 4, 4] = np.nan
want = expected([on], [off])
for k, counts in ((1, "bin_counts"), (2, "bin_count")):
    more = {} if k == 1 else {"ROI": np.array([[100, 118], [40, 60]]), "i0_ipm3": on["i0"] * 2}
    write(f"{where}/run{k:04d}_on.h5", on, counts, **more)
    write(f"{where}/run{k:04d}_off.h5", off, counts, **({} if k == 1 else {"ROI": np.ones((2, 2)), "i0_ipm3": off["i0"] * 3}))
    check(counts, where, config_of(f"{where}/run{k:04d}_on.h5"), want)
check("off half named", where, config_of(f"{where}/run0001_off.h5"), want)
for c, factor in ((on, 2), (off, 3)):
    c["i0_ipm3"] = c["i0"] * factor
err = check("second monitor", where, config_of(f"{where}/run0002_on.h5", i0="i0_ipm3"), expected([on], [off], monitor="i0_ipm3"))
r.ok("not used" not in err, f"input.i0 is used: {err.strip()}")
tools.refuse("a monitor that is not there", where, config_of(f"{where}/run0001_on.h5", i0="i0_ipm3"), "run0001_on.h5", "i0_ipm3")
check("reversed", where, config_of(f"{where}/run0001_on.h5", delay={"sign": -1, "zero_ps": 0.25}), expected([on], [off], -1, 0.25))
info = tools.info(where)
run = info["runs"][0]
r.ok(info["layout"] == "cube" and len(info["runs"]) == 2 and run["laser_on"] == on["n"].sum() and run["laser_off"] == off["n"].sum(), f"info: two cubes, shots on and off: {info['runs']}")
r.ok(info["delays"][0]["empty"] == 1 and info["delays"][0]["values"] == NB, f"info: bins, the empty one: {info['delays']}")
config = write_config(f"{where}/checked.yaml", config_of(f"{where}/run0001_on.h5"))
code, out, err = xani("check", config, "--json")
plan = json.loads(out)["runs"][0] if code == 0 else {}
r.ok(plan.get("delay_bins") == NB and plan.get("delay_bins_per_pass") == NB and plan.get("laser_on") == on["n"].sum() and plan.get("laser_off") == off["n"].sum() and plan.get("shots") == on["n"].sum() + off["n"].sum() and plan.get("read_and_decode_seconds", 0) > 0, f"check: bins, shots, cost: {plan} {err.strip()}")
code, out, err = xani("check", config, "--json", "--set", "reduce.delay_bins_ps={edges: [-2, 0, 4]}")
r.ok(code == 0 and json.loads(out)["runs"][0]["delay_bins"] == 2, f"check: bins of the edges {err.strip()}")
axis = ("--set", "reduce.second_axis={source: x, values: [1, 2]}")
for words in (("check", config, *axis), ("reduce", config, "-o", f"{where}/axis.h5", *axis)):
    code, out, err = xani(*words)
    r.ok(code == 2 and "reduce.second_axis: these files were binned before" in err, f"{words[0]}: no second axis of cubes: {code} {err.strip()}")
write(f"{where}/run0003_on.h5", {**on, "i0": 0 * on["i0"]})
write(f"{where}/run0003_off.h5", off)
code, out, err = xani("check", write_config(f"{where}/dark.yaml", config_of(f"{where}/run0003_on.h5")))
r.ok(code == 3 and "run0003_on.h5" in err and "no I0" in err, f"check: a cube whose I0 is 0 is refused: {code} {err.strip()}")
for half in ("on", "off"):
    os.remove(f"{where}/run0003_{half}.h5")
code, out, err = xani("init", f"{where}/run0002_on.h5")
r.ok(code == 0 and "layout: cube" in out and "run0002_on.h5" in out, f"init: {err.strip()}")

# ---- a background

background = rng.uniform(2, 4, (NY, NX))
with h5py.File(f"{where}/run0001_mpccd.h5", "w") as f:
    f["img"], f["count"] = background * 40, 40.0
check("background", where, config_of(f"{where}/run0001_on.h5", background=f"{where}/run0001_mpccd.h5"), expected([on], [off], background=background))
with h5py.File(f"{where}/run0001_mpccd.h5", "a") as f:
    f["count"][()] = 0.0
tools.refuse("a background of no frames", where, config_of(f"{where}/run0001_on.h5", background=f"{where}/run0001_mpccd.h5"), "run0001_mpccd.h5", "count")
with h5py.File(f"{where}/run0001_mpccd.h5", "w") as f:
    f["img"], f["count"] = background[:5], 40.0
tools.refuse("a background of another shape", where, config_of(f"{where}/run0001_on.h5", background=f"{where}/run0001_mpccd.h5"), "img", "(5, 20)")

# ---- several pairs of one run, bins in no order, some of only one

where = new_folder("several")
ons, offs = [cube(3), cube(4)], [cube(5), cube(6)]
ons[1]["scan_var"] = ons[1]["scan_var"] + 0.5  # one step further: the last bin is new
for k in range(2):
    order = rng.permutation(NB)
    ons[k] = {key: v[order] for key, v in ons[k].items()}
    write(f"{where}/run{k + 7:04d}_on.h5", ons[k], "bin_counts" if k else "bin_count")
    write(f"{where}/run{k + 7:04d}_off.h5", offs[k])
check("several", where, config_of(f"{where}/run000*_on.h5"), expected(ons, offs))
open(f"{where}/run0009_on.h5", "w").close()
tools.refuse("a half that is missing is named", where, config_of(f"{where}/run000*_on.h5"), "run0009_off.h5")
write(f"{where}/run0009_off.h5", offs[0])
tools.refuse("an empty file is named", where, config_of(f"{where}/run000*_on.h5"), "run0009_on.h5", "0 bytes")
r.ok(any("run0009_on.h5" in p["file"] for p in tools.info(where)["problems"]), "info tells of it and goes on")
short = {**ons[0], "i0": ons[0]["i0"][:-1]}
write(f"{where}/run0009_on.h5", short)
tools.refuse("another number of bins is named", where, config_of(f"{where}/run000*_on.h5"), "run0009_on.h5", "i0 has 8 entries, imgs 9 bins")
with h5py.File(f"{where}/run0009_on.h5", "w") as f:
    f["imgs"], f["i0"], f["bin_count"] = ons[0]["imgs"], ons[0]["i0"], ons[0]["n"]
tools.refuse("no scan_var", where, config_of(f"{where}/run000*_on.h5"), "run0009_on.h5", "scan_var")

# ---- written: by reduce, by run, with masked pixels, several runs; read back by the rules of others

e = shots.Experiment(seed=11)
where = new_folder("written")
with h5py.File(f"{where}/data.nxs", "w") as f:
    g = f.create_group("entry/data")
    f.attrs["default"], f["entry"].attrs["default"], g.attrs["signal"] = "entry", "data", "data"
    g["data"], g["i0"], g["laser"], g["stage"], g["edge"] = e.photons.astype("u2"), e.i0, e.on.astype("u1"), e.stage_mm, e.edge_px
    good = np.ones((32, 32), "u1")
    good[6, 9] = 0
    f["good"] = good
config = e.config("nexus", [f"{where}/data.nxs"], i0="entry/data/i0", laser="entry/data/laser", mask={"dataset": "good", "good": "nonzero"},
                  delay=e.delay("entry/data/stage", "entry/data/edge"), calibration={"photons_per_unit": 1})
config["output"] = {"field_cubes": True}
e.masked[6, 9] = True
want = e.cube()
tools.run("written", where, config, want)
with h5py.File(f"{where}/run0001_on.h5") as a, h5py.File(f"{where}/run0001_off.h5") as b:
    r.ok({"imgs", "scan_var", "i0", "bin_count", "ROI"} <= set(a) and {"bin_counts", "i0_ipm3"} <= set(a), f"both tools find their names: {sorted(a)}")
    r.ok(all(a[n].dtype == "f8" for n in ("imgs", "scan_var", "i0", "bin_counts", "bin_count")), "all of it float64")
    r.ok(a["imgs"].chunks is None and a["imgs"].shape == (len(want["shots"]), 32, 32), "imgs is contiguous, (bin, y, x)")
    r.ok(np.array_equal(a["bin_counts"][()], want["shots"]) and np.array_equal(a["bin_count"][()], want["shots"]), "counts of every bin, under both names")
    r.ok(abs(b["bin_counts"][()].sum() - want["off"]) < 1e-9, "off counts add up")
    r.ok(np.isnan(a["imgs"][:, 6, 9]).all() and np.isnan(b["imgs"][:, 6, 9]).all() and np.isnan(a["imgs"][()]).sum() == len(want["shots"]), "masked pixels are NaN, no other")
    with np.errstate(all="ignore"):
        y = a["imgs"][()] / a["i0"][()][:, None, None] / (b["imgs"][()] / b["i0"][()][:, None, None]) - 1  # bin by bin, as others do
    fine = ~np.isnan(want["signal"])
    r.ok(np.array_equal(np.isnan(y), ~fine) and np.nanmax(abs((1 + y) / (1 + want["signal"]) - 1)) < 8e-6, "on over off, bin by bin, is the signal")
write_config(f"{where}/again.yaml", config_of(f"{where}/run0001_on.h5"))
code, err = shots.reduce(f"{where}/again.yaml", f"{where}/again.h5")
with h5py.File(f"{where}/cube.h5") as a, h5py.File(f"{where}/again.h5") as b:
    one, two = a["entry/cube/signal"][()], b["entry/cube/signal"][()]
    r.ok(np.array_equal(np.isnan(one), np.isnan(two)) and np.nanmax(abs(one - two)) < 1e-6, f"xani reads its own cubes back to the same signal: {err.strip()}")
    r.ok(np.allclose(a["entry/cube/delay"][()], b["entry/cube/delay"][()]), "and the same delays")
code, out, err = xani("verify", f"{where}/run0001_on.h5", f"{where}/run0001_off.h5")
r.ok(code == 0, f"they have manifests: {err.strip()}")
for mode in ("blocks", "nearest"):  # a reference per block of time: both ways of dividing give the signal
    os.makedirs(f"{where}/{mode}", exist_ok=True)
    drifting = {**config, "reduce": {**config["reduce"], "off": {"mode": mode, "block_shots": 20}}}
    write_config(f"{where}/{mode}.yaml", drifting)
    code, err = shots.reduce(f"{where}/{mode}.yaml", f"{where}/{mode}/cube.h5")
    with h5py.File(f"{where}/{mode}/cube.h5") as c, h5py.File(f"{where}/{mode}/run0001_on.h5") as a, h5py.File(f"{where}/{mode}/run0001_off.h5") as b:
        y, rate = c["entry/cube/signal"][()], a["imgs"][()] / a["i0"][()][:, None, None]
        one = rate / (b["imgs"][()] / b["i0"][()][:, None, None]) - 1
        two = rate / (b["imgs"][()].sum(0) / b["i0"][()].sum()) - 1
        blocks = np.nanmax(abs(y - want["signal"]))
    off = [np.nanmax(abs((1 + k) / (1 + y) - 1)) for k in (one, two)]
    r.ok(code == 0 and blocks > 1e-3 and max(off) < 8e-6, f"{mode}: on over off is the signal ({off}, {blocks:.1e} from that of one reference) {err.strip()[-200:]}")
config["runs"] = [{"name": "run0042", "files": [f"{where}/data.nxs"]}, {"name": "second", "files": [f"{where}/data.nxs"]}]
config["reduce"]["spatial_bin"] = 4
config["fit"] = {"modes_max": 0}
write_config(f"{where}/runs.yaml", config)
code, out, err = xani("run", f"{where}/runs.yaml", "-o", f"{where}/out")
there = [f"{where}/out/{p}" for p in ("run0042/run0042_on.h5", "run0042/run0042_off.h5", "second/run0002_on.h5", "second/run0002_off.h5")]
r.ok(code == 0 and all(os.path.exists(p) for p in there), f"run writes those of every run: {code} {err.strip()[-300:] if code else ''}")
os.remove(there[0])
code, out, err = xani("run", f"{where}/runs.yaml", "-o", f"{where}/out", "--json")
r.ok(code == 0 and os.path.exists(there[0]), f"and one that was removed again: {err.strip()[-200:] if code else ''}")
kept = [run.get("reduce") for run in json.loads(out)["runs"]] if code == 0 else []
r.ok(kept == ["kept", "kept"], f"without reducing again: {kept}")

# ---- xani run reduces again when a key of input changed, whichever it is

where = f"{SCRATCH}/spellings"
config = {**config_of(f"{where}/run0001_on.h5"), "fit": {"modes_max": 0}}
with h5py.File(f"{where}/dark.h5", "w") as f:
    f["img"], f["count"] = background * 40, 40.0
for what, keys, done in (("the first time", {}, "done"), ("nothing changed", {}, "kept"), ("a background", {"background": f"{where}/dark.h5"}, "done"),
                         ("the same again", {"background": f"{where}/dark.h5"}, "kept"), ("none again", {}, "done")):
    write_config(f"{where}/resume.yaml", tools.changed(config, **keys))
    code, out, err = xani("run", f"{where}/resume.yaml", "-o", f"{where}/resumed", "--json")
    got = json.loads(out)["runs"][0]["reduce"] if code == 0 else err.strip()[-300:]
    r.ok(got == done, f"run, {what}: reduce is {got}")

# ---- a run is the same wherever it stands among the others

pair = [{"name": "a", "files": [f"{where}/run0001_on.h5"]}, {"name": "b", "files": [f"{where}/run0001_off.h5"]}]
for what, names in (("two runs", "ab"), ("in another order", "ba"), ("one taken out", "b")):
    write_config(f"{where}/order.yaml", {**config, "runs": [next(p for p in pair if p["name"] == n) for n in names]})
    code, out, err = xani("run", f"{where}/order.yaml", "-o", f"{where}/ordered", "--json")
    got = {run["run"]: (run["reduce"], run["fit"]) for run in json.loads(out)["runs"]} if code == 0 else err.strip()[-300:]
    r.ok(got == {n: ("done", "done") if what == "two runs" else ("kept", "kept") for n in names}, f"{what}: {got}")

# ---- a pair fitted alone is of its run: name, angles; panels of a geometry are modules, whatever the groups

where = f"{SCRATCH}/spellings"
goniometer = [{"axis": [0, 1, 0], "angle_deg": 7.0}]
runs = [{"name": "first", "files": [f"{where}/none_*.h5"], "angle_deg": [1.0]}, {"name": "second", "files": [f"{where}/run0001_off.h5"], "angle_deg": [-2.5]}]
panels = {"detector": {"shape": [NY // 2, NX], "pixel_mm": 0.1, "centre_px": [1, 1], "modules": [{"at_px": [0, 0]}, {"at_px": [90, 40]}]}, "distance_mm": 100}
base = {"experiment": {"energy_kev": 9.0}, "input": {"layout": "cube", "delay": {"sign": 1, "zero_ps": 0}}, "fit": {"modes_max": 0, "background": "constant"}}


def fitted(name, config):
    code, out, err = xani("fit", f"{where}/run0001_on.h5", "--config", write_config(f"{where}/{name}.yaml", config), "-o", f"{where}/{name}.h5")
    if not r.ok(code == 0, f"fit of a pair, {name}: {err.strip()[-200:] if code else ''}"):
        return None
    with h5py.File(f"{where}/{name}.h5") as f:
        angles = f["entry/angle_deg"][()].tolist() if "entry/angle_deg" in f else None
        return f["entry/run"].asstr()[()], angles, f["entry/module_rows"][()].tolist()


turned = {**base, "geometry": {**panels, "goniometer": goniometer}}
got = fitted("its_run", {**turned, "runs": runs})
r.ok(got == ("second", [-2.5], [NY // 2] * 2), f"name and angle of the entry that names its other half, its panels: {got}")
got = fitted("no_run", {**turned, "runs": runs[:1]})
r.ok(got is not None and got[1] == [], f"none where no entry names it: {got}")
got = fitted("no_runs", turned)
r.ok(got is not None and got[1] == [7.0], f"the goniometer's without runs: {got}")

# ---- keys set over a stored configuration leave its other keys

write_config(f"{where}/stored.yaml", {**base, "input": {**base["input"], "files": [f"{where}/run0001_on.h5"]}, "fit": {"modes_max": 1, "background": "constant", "frequency_thz": [1, 2]}})
code, err = shots.reduce(f"{where}/stored.yaml", f"{where}/stored.h5")
code, out, err = xani("fit", f"{where}/stored.h5", "--set", "fit.modes_max=2", "-o", f"{where}/set.h5")
with h5py.File(f"{where}/set.h5") as f:
    kept = f["entry/process/configuration"].asstr()[()]
r.ok(code == 0 and "1, 2" in kept and "run0001_on.h5" in kept and "modes_max: 2" in kept, f"fit --set: {kept}")

r.end()
