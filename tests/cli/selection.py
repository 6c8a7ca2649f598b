#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""selection.py XANI SCRATCH -- on a simulated run: cuts by percentile, MAD and monitor linearity refuse the shots NumPy
says, named sets differ by select.use only, the printed cut-flow is the stored one and balances, a bent monitor is
noticed and straightened, the wrong sign of the time tool is noticed, delay zero is said and not applied.  Prints TAP.
"""
import json
import os
import re

from harness import SCRATCH, r, set_options, write_config, xani

import h5py
import numpy as np

import shots

I0, AMPLITUDE, EDGE = "SAROP21-PBPS133:INTENSITY", "SAROP21-ATT01:edge_amplitude", "SAROP21-ATT01:edge_position"
ON, OFF = 1, 0


def sim(name, **keys):
    """xani sim of 6000 shots; the folder."""
    experiment = {
        "experiment": {"title": name, "energy_kev": 10},
        "geometry": {"distance_mm": 80, "cell": [3.61] * 3 + [90] * 3, "orientation": [1, 0, 0, 0, 1, 0, 0, 0, 1]},
        "map": {"crystal": {"cell": [3.61] * 3 + [90] * 3, "space_group": "Fm-3m",
                            "basis": [{"element": "Cu", "position": [0, 0, 0]}]}},
        "reduce": {"delay_bins_ps": {"start": -0.6, "stop": 3, "step": 0.06}, "spatial_bin": 4},
        "sim": {"shots": 6000, "photons": 10, "off_every": 3, "delay": {"start": -0.7, "stop": 3.1, "sweeps": 4},
                "softening": [{"shell": "110", "factor": 0.85}], "detector": {"modules": [1, 1], "shape": [24, 24]}, **keys}}
    write_config(f"{SCRATCH}/{name}.yaml", experiment)
    done = xani("sim", f"{SCRATCH}/{name}.yaml", "-o", f"{SCRATCH}/{name}")
    r.ok(done.returncode == 0, f"simulated {name}: {done.stderr.strip()}")
    return f"{SCRATCH}/{name}"


def reduce(folder, cube, *sets):
    more = set_options(*sets)
    return shots.reduce(f"{folder}/xani.yaml", f"{SCRATCH}/{cube}.h5", *more)


def table(f):
    names = [n.decode() for n in f["entry/shots/extra_names"][()]]
    columns = {n: f[f"entry/shots/extra_{i}"][()] for i, n in enumerate(names)}
    return {**{k: f[f"entry/shots/{k}"][()] for k in ("verdict", "laser", "i0", "delay", "bin", "pulse_id")}, **columns}


raw = sim("plain")
# a second monitor in the files: I0 seen through noise, off the line for some shots
with h5py.File(f"{raw}/run0001.BSDATA.h5", "r+") as f:
    rng = np.random.default_rng(4)
    i0, ids = f[f"data/{I0}/data"][()], f[f"data/{I0}/pulse_id"][()]
    second = 10 + 40 * i0 + rng.normal(0, 0.5, len(i0))
    spoiled = rng.random(len(i0)) < 0.08
    second[spoiled] += rng.choice([-1, 1], spoiled.sum()) * rng.uniform(20, 60, spoiled.sum())
    f["data/MON2/data"], f["data/MON2/pulse_id"] = second, ids
spoiled_ids = set(ids[spoiled])

code, err = reduce(raw, "cuts", f"select.i0={{percentile: [2, 98]}}", f"select.cuts=[{{source: MON2, mad: 2, name: second}}]",
                   f"select.linearity=[{{a: '{I0}', b: MON2, k: 6}}]")
r.ok(code == 0, f"cuts: {code} {err.strip()[-300:] if code else ''}")
with h5py.File(f"{SCRATCH}/cuts.h5") as f:
    t, flow = table(f), shots.cut_flow(f)
    names = [n.decode() for n in f["entry/cut_flow/name"][()]]
    left = {c: f[f"entry/cut_flow/{c}_left"][()] for c in ("on", "off", "unknown")}
    custom = [n.decode() if isinstance(n, bytes) else n for n in f["entry/shots/verdict"].attrs["further"]]
    first = int(f["entry/shots/verdict"].attrs["first_further"])
r.ok(custom == ["second", f"MON2 against {I0}"], f"the file names the configured cuts: {custom}")
before = (t["verdict"] == 0) | (t["verdict"] >= 7)  # 7: I0
window = np.percentile(t["i0"][before & (t["i0"] > 0)], [2, 98])
inside = (t["i0"] >= window[0]) & (t["i0"] <= window[1])
r.ok(np.array_equal(before & (t["verdict"] == 7), before & ~inside), "I0: percentiles as NumPy's")
in_i0 = before & inside
m = np.median(t["MON2"][in_i0])
sigma = 1.4826022185056018 * np.median(abs(t["MON2"][in_i0] - m))
far = abs(t["MON2"] - m) > 2 * sigma
r.ok(np.array_equal(in_i0 & (t["verdict"] == first), in_i0 & far), f"MAD: {int((in_i0 & far).sum())} shots as NumPy says")
rest = in_i0 & ~far
bad = np.isin(t["pulse_id"], list(spoiled_ids))
r.ok(np.array_equal(rest & (t["verdict"] == first + 1), rest & bad), f"linearity: the {int((rest & bad).sum())} spoiled shots and no other")
printed = re.findall(r"^xani:   (.+?) {2,}(\d+)(?: \(-(\d+)\))? +(\d+)(?: \(-(\d+)\))?", err, re.M)
r.ok([p[0] for p in printed] == names and [int(p[1]) for p in printed] == list(left["on"]) and
     [int(p[3]) for p in printed] == list(left["off"]), "the printed cut-flow is the stored one")
seen, used = len(t["verdict"]), int((t["verdict"] == 0).sum())
r.ok(f"{seen} frames seen, {used} used, {seen - used} cut" in err, "and its balance")
r.ok(all(int(left["on"][i - 1] - left["on"][i]) == int(p[2] or 0) for i, p in enumerate(printed) if i > 0), "removed shots are printed")

# the answer for programs is the stored table too
done = xani("reduce", f"{raw}/xani.yaml", "-o", f"{SCRATCH}/json.h5", "--json", "-q", "--set", "select.i0={percentile: [2, 98]}")
r.ok(done.returncode == 0, f"--json: {done.stderr.strip()[-300:]}")
said = json.loads(done.stdout) if done.returncode == 0 else {"cut_flow": []}
with h5py.File(f"{SCRATCH}/json.h5") as f:
    stored = [{"cut": n.decode(), **{c: int(f[f"entry/cut_flow/{c}_left"][i]) for c in ("on", "off", "unknown")}}
              for i, n in enumerate(f["entry/cut_flow/name"][()])]
    counts = {"delay_bins": len(f["entry/cube/delay"]), "laser_on": int(f["entry/sums/on/shots"][()].sum()),
              "laser_off": int(f["entry/sums/off/shots"][()].sum()), "pixels": f["entry/mask"].size,
              "masked": int((f["entry/mask"][()] != 0).sum()), "frames": int(f["entry/shots/frames"][()]),
              "frames_lost": int(f["entry/shots/missing"][()]), "repeated_ids": int(f["entry/shots/duplicate"][()]),
              "without_frame": int(f["entry/shots/unmatched"][()]), "written": f"{SCRATCH}/json.h5"}
r.ok(said["cut_flow"] == stored and len(stored) > 5, f"--json: the cut-flow is the stored one: {said['cut_flow'][-1:]}")
r.ok(all(said.get(k) == v for k, v in counts.items()), f"--json: counts {[(k, said.get(k), v) for k, v in counts.items() if said.get(k) != v]}")

# named sets
sets = ("select.sets={bright: [{source: '" + I0 + "', min: 3.6}], sharp: {time_tool: [{source: '" + AMPLITUDE + "', min: 0.9}]}}",)
counts = {}
for use in ("", "bright", "sharp", "bright, sharp"):
    code, err = reduce(raw, "sets", *sets, f"select.use=[{use}]")
    with h5py.File(f"{SCRATCH}/sets.h5") as f:
        t = table(f)
    counts[use] = {c: (t["verdict"] == 0) & (t["laser"] == c) for c in (ON, OFF)}
    r.ok(code == 0, f"set [{use}]: {int(counts[use][ON].sum())} on, {int(counts[use][OFF].sum())} off")
r.ok(np.array_equal(counts["bright"][OFF], counts[""][OFF] & (t["i0"] >= 3.6)), "bright: the I0 window, laser-off too")
r.ok(np.array_equal(counts["sharp"][OFF], counts[""][OFF]) and counts["sharp"][ON].sum() < counts[""][ON].sum(),
     "sharp: laser-on shots only")
r.ok(np.array_equal(counts["bright, sharp"][ON], counts["bright"][ON] & counts["sharp"][ON]), "both: their intersection")
code, err = reduce(raw, "sets", *sets, "select.use=brigth")
r.ok(code == 2 and "no set \"brigth\"" in err and "bright, sharp" in err, f"an unknown set: {code} {err.strip()[-120:]}")
code, err = reduce(raw, "sets", "select.cuts=[{source: frame/photons, mad: 5}]")
r.ok(code == 2 and "counted while frames are summed" in err, f"a cut on what is not known yet: {code} {err.strip()[-100:]}")
# the trap: a time-tool cut among the cuts of all shots
code, err = reduce(raw, "trap", "select.time_tool=[]", f"select.cuts=[{{source: '{AMPLITUDE}', min: 0.4}}]")
r.ok(code == 3 and "belongs to select.time_tool" in err, f"which cannot always be known: {code} {err.strip()[-150:]}")
code, err = reduce(raw, "trap", f"select.cuts=[{{source: '{AMPLITUDE}', min: 0.9}}, {{source: '{EDGE}', min: 900}}]")
with h5py.File(f"{SCRATCH}/trap.h5") as f:
    t = table(f)
r.ok(code == 0 and np.array_equal((t["verdict"] == 0) & (t["laser"] == OFF), counts[""][OFF]),
     "a time-tool cut among select.cuts leaves the laser-off class alone")

# the time tool's sign, delay zero
code, err = reduce(raw, "plain")
r.ok("the time tool sharpens the signal" in err and "reversed" not in err, "a right time tool is called so")
code, err = reduce(raw, "reversed", "input.delay.time_tool.sign=-1")
r.ok(code == 0 and "input.delay.time_tool.sign may be reversed" in err, "a reversed time tool is noticed")
code, err = reduce(raw, "zero", "reduce.find_zero=true", "input.delay.zero_ps=0.15")
said = re.search(r"half of the rise \([-\d.]+ %\) at ([-\d.]+) \+- ([\d.]+) ps.* set input.delay.zero_ps: ([-\d.]+)", err)
r.ok(said is not None, "find_zero says where the signal rises")
if said:
    at, error, zero = map(float, said.groups())
    r.ok(abs(zero - (0.15 + at)) < 2e-4, "and what to set")
    # phonons rise later than the light came, here by a quarter of about 1.4 ps
    r.ok(0.35 - 4 * error < zero < 0.35 + 0.35, f"zero_ps {zero:.3f} +- {error:.3f}, true 0.35 and the lattice's own rise")
with h5py.File(f"{SCRATCH}/zero.h5") as f, h5py.File(f"{SCRATCH}/plain.h5") as g:
    a, b = table(f), table(g)
    r.ok(np.nanmax(abs((a["delay"] - b["delay"])[a["laser"] == ON] - 0.2)) < 1e-9, "and nothing is applied")

# a monitor that bends
bent = sim("bent", i0={"monitor_nonlinearity": 0.05})
code, err = reduce(bent, "bent")
r.ok(code == 0 and "I0 is not in proportion to the photons" in err, "a bent monitor is noticed (science S5)")
code, err = reduce(raw, "plain")
r.ok("I0 is not in proportion" not in err, "a straight one is not")
code, err = reduce(bent, "straight", "select.i0_correction.auto=off")
r.ok(code == 0 and "I0 is not in proportion" not in err, "straightened it is silent")
truth = {}
for name in ("bent", "straight"):
    with h5py.File(f"{SCRATCH}/{name}.h5") as f:
        t = table(f)
        off = (t["verdict"] == 0) & (t["laser"] == OFF)
        bright = t["i0"] > np.median(t["i0"][off])
        ratio = [t["frame/photons"][off & b].sum() / t["i0"][off & b].sum() for b in (bright, ~bright)]
        truth[name] = ratio[0] / ratio[1] - 1
r.ok(abs(truth["bent"]) > 0.01, f"bright against dim laser-off shots: {100 * truth['bent']:.2f} % as read")
r.ok(abs(truth["straight"]) < 0.0025, f"{100 * truth['straight']:.2f} % corrected")
os.makedirs(f"{SCRATCH}/report", exist_ok=True)
os.replace(f"{SCRATCH}/straight.h5", f"{SCRATCH}/report/cube.h5")
done = xani("report", f"{SCRATCH}/report")
figures = json.load(open(f"{SCRATCH}/report/report.json"))["runs"][0] if done.returncode == 0 else {}
linearity = figures.get("i0_linearity", {})
r.ok(os.path.exists(f"{SCRATCH}/report/report/i0_linearity.png") and len(linearity.get("change_percent", [])) == 20,
     f"the report shows it {done.stderr.strip()[-200:] if done.returncode else ''}")
if linearity:
    pulls = np.abs(np.array(linearity["change_percent"]) / np.array(linearity["errors_percent"]))
    r.ok(pulls.max() < 4.5, f"level after the correction (farthest {pulls.max():.1f} sigma)")
    r.ok(abs(np.array(linearity["as_read"]["change_percent"])).max() > 1.5, "bent before")
r.end()
