#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""time_tool.py XANI SCRATCH -- raw time-tool traces, written by h5py, give the delays that the edges in them were made
with; references of all kinds; missing, shuffled and offset traces are counted; a run with traces gives the cube of a run
with the edges as a channel within the tool's error.  Prints TAP.
"""
import os

from harness import SCRATCH, r, write_config

import h5py
import numpy as np
import yaml

import exdf
import shots

from math import erfc

DET, TRACE = "JF01T02V01", "SAROP21-ATT01:trace"
WIDTH, EDGE_PX, STEP, NOISE = 2048, 6.0, -0.15, 8.0
PX_PS = 1 / shots.PX_PER_PS
phi = np.vectorize(lambda u: 0.5 * erfc(-u / np.sqrt(2)))
X = np.arange(WIDTH)
LIGHT = 3000 * np.exp(-0.5 * ((X - 950) / 500) ** 2)


def traces(e, rng, edges):
    """One trace per shot: laser-on shots have a step at edges[i]; the others see the light alone."""
    bright = rng.normal(1, 0.1, e.n)
    t = np.empty((e.n, WIDTH))
    for i in range(e.n):
        step = 1 + STEP * phi((X - edges[i]) / EDGE_PX) if np.isfinite(edges[i]) else 1.0
        t[i] = bright[i] * LIGHT * step + rng.normal(0, NOISE, WIDTH)
    return t.astype("f4")


def write(name, e, ids, trace, trace_ids, present=None):
    """SwissFEL files: converted frames (photons as keV) and channels."""
    det, bs = f"{SCRATCH}/{name}.{DET}.h5", f"{SCRATCH}/{name}.BSDATA.h5"
    with h5py.File(det, "w") as f:
        g = f.create_group(f"data/{DET}")
        g["data"] = (10 * e.photons).astype("f4")
        g["pulse_id"] = ids[:, None]
        g["daq_rec"] = np.where(e.on, 1 << 16, 0).astype("u4")[:, None]
        g["is_good_frame"] = np.ones((e.n, 1), "u1")
        g["meta/conversion_factor"] = 1.0
    with h5py.File(bs, "w") as f:
        for channel, v in (("I0", e.i0), ("STAGE", e.stage_mm), ("EDGE", e.edge_px)):
            f[f"data/{channel}/data"] = v
            f[f"data/{channel}/pulse_id"] = ids
        f[f"data/{TRACE}/data"] = trace
        f[f"data/{TRACE}/pulse_id"] = trace_ids
        if present is not None:
            f[f"data/{TRACE}/is_data_present"] = present
        f["light/mean"] = LIGHT
    return [det, bs]


def config(name, e, files, tool=None, **more):
    delay = e.delay("STAGE", "EDGE")
    if tool is not None:
        delay["time_tool"].pop("source")
        delay["time_tool"].update({"trace": TRACE, "edge": "fall", "edge_px": EDGE_PX, **tool})
    c = e.config("swissfel", files, frames=DET, i0="I0", laser="daq_rec", delay=delay,
                 calibration={"kev_per_unit": 1.0})
    c["select"] = more.pop("select", {})
    c["input"].update(more)
    return write_config(f"{SCRATCH}/{name}.yaml", c)


def extra(f, name):
    names = [n.decode() for n in f["entry/shots/extra_names"][()]]
    return f[f"entry/shots/extra_{names.index(name)}"][()]


e = shots.Experiment(shots=300, modules=1, rows=4, cols=6)
ids = 7000 + 2 * np.arange(e.n)
rng = np.random.default_rng(3)
truth = np.where(e.on, e.edge_px, np.nan)
t = traces(e, rng, truth)
order = rng.permutation(e.n)  # traces have an order of their own
files = write("run", e, ids, t[order], ids[order])

code, err = shots.reduce(config("edges", e, files), f"{SCRATCH}/edges.h5")
r.ok(code == 0, f"edges as a channel: {code} {err if code else ''}")
# the spread of the fitted position: sqrt(2 sqrt(pi) w) noise / (step light), of the pixels the edges lie on
expected_px = np.sqrt(2 * np.sqrt(np.pi) * EDGE_PX) * NOISE / abs(STEP) / LIGHT[900:1100].mean()
for reference in ("off", "light/mean"):
    tool = {"reference": reference, "min_amplitude": 0.05, **({} if reference == "off" else {"reference_file": files[1]})}
    code, err = shots.reduce(config("traces", e, files, tool), f"{SCRATCH}/traces.h5")
    r.ok(code == 0, f"reference {reference}: {code} {err if code else ''}")
    with h5py.File(f"{SCRATCH}/traces.h5") as f, h5py.File(f"{SCRATCH}/edges.h5") as g:
        edge, amplitude, error = (extra(f, n) for n in ("tt/edge", "tt/amplitude", "tt/error"))
        on = f["entry/shots/laser"][()] == 1
        off_by = edge[on] - truth[e.on]
        scatter = off_by.std()
        r.ok(abs(scatter / expected_px - 1) < 0.25, f"{reference}: edges scatter by {scatter:.3f} px, {expected_px:.3f} expected")
        r.ok(abs(off_by.mean()) < 4 * scatter / np.sqrt(on.sum()) + 0.02, f"{reference}: edges unbiased ({off_by.mean():.3f} px)")
        pull = (off_by / error[on]).std()
        r.ok(abs(pull - 1) < 0.15, f"{reference}: errors are standard deviations (pull {pull:.2f})")
        r.ok(abs(amplitude[on].mean() / -STEP - 1) < 0.02 and amplitude[~on].max() < 0.05,
             f"{reference}: amplitudes {amplitude[on].mean():.4f} with an edge, at most {amplitude[~on].max():.4f} without")
        d, d0 = f["entry/shots/delay"][()], g["entry/shots/delay"][()]
        r.ok(np.allclose(d[on], e.delay_ps[e.on], atol=8 * expected_px * PX_PS), f"{reference}: delays are the true ones")
        same = np.array_equal(f["entry/shots/bin"][()] >= 0, g["entry/shots/bin"][()] >= 0)
        r.ok(same or (abs(d - d0)[on].max() < 8 * expected_px * PX_PS), f"{reference}: the same shots are used")
        r.ok((f["entry/shots/verdict"][()][~on] == 0).all(), f"{reference}: every laser-off shot is used")

# ids of the traces are two shots late; input.offsets puts them right
late = write("late", e, ids, t[order], ids[order] + 4)
code, err = shots.reduce(config("late", e, late, {}, offsets=[{"source": TRACE, "shots": -4}]), f"{SCRATCH}/late.h5")
with h5py.File(f"{SCRATCH}/late.h5") as f, h5py.File(f"{SCRATCH}/traces.h5") as g:
    d, d0 = f["entry/shots/delay"][()], g["entry/shots/delay"][()]
    r.ok(code == 0 and np.nanmax(abs(d - d0)) < 1e-3, "offset ids are put right by input.offsets")

# faults: traces missing, empty, NaN, repeated with another value, without an edge
f_t, f_ids = t.copy(), ids.copy()
on = np.flatnonzero(e.on)
missing, empty, nan, twice, weak = on[25], on[30], on[33], on[47], on[60:70]
inside = (e.delay_ps > -0.99) & (e.delay_ps < 2.99)
r.ok(inside[[missing, empty, nan, twice, *weak]].all(), "the faulty shots lie in the bins")
f_t[nan] = np.nan
f_t[weak] = traces(e, rng, np.full(e.n, np.nan))[weak]
present = np.ones(e.n + 1, "u1")
present[empty] = 0
f_ids[missing] = 1
f_t, f_ids = np.vstack([f_t, t[on[100]][None]]), np.append(f_ids, ids[twice])
bad = write("bad", e, ids, f_t, f_ids, present)
code, err = shots.reduce(config("bad", e, bad, {"min_amplitude": 0.08}), f"{SCRATCH}/bad.h5")
r.ok(code == 0, f"faulty traces: {code} {err if code else ''}")
with h5py.File(f"{SCRATCH}/bad.h5") as f:
    flow, verdict = shots.cut_flow(f), f["entry/shots/verdict"][()]
    r.ok(flow["join"] == 3 and (verdict[[missing, empty, twice]] == 1).all(), f"join refuses missing, empty and contradicting traces ({flow['join']})")
    r.ok(flow["values present"] == 1 and verdict[nan] == 6, "a trace of NaN gives no delay")
    r.ok(flow["time tool"] == 10 and (verdict[weak] == 8).all(), f"min_amplitude refuses {flow['time tool']} of 10 shots without an edge")

# without laser-off light: the reference says so
code, err = shots.reduce(config("dark", e, files, {"reference": "dark"}), f"{SCRATCH}/no.h5")
r.ok(code == 3 and "no shot without X-rays" in err, f"no reference: {code} {err.strip()[-200:]}")
code, err = shots.reduce(config("roi", e, files, {"roi": [10, 50]}), f"{SCRATCH}/no.h5")
r.ok(code == 2 and "roi" in err, f"a roi that is too small: {code} {err.strip()[-200:]}")
code, err = shots.reduce(config("name", e, files, {"trace": TRACE + "s"}), f"{SCRATCH}/no.h5")
r.ok(code == 3 and f"the nearest name is {TRACE}" in err, f"a wrong name: {code} {err.strip()[-200:]}")
code, err = shots.reduce(config("scalar", e, files, {"trace": "I0"}), f"{SCRATCH}/no.h5")
r.ok(code == 3 and "a row of numbers" in err, f"a scalar channel: {code} {err.strip()[-200:]}")

# ---- other layouts give the same edges

def same_edges(name, layout, files, keys, tool_trace):
    tool = {"reference": "off", "min_amplitude": 0.05}
    c = config(name, e, files, tool)
    c = yaml.safe_load(open(c))
    c["input"] = {"layout": layout, "files": files, "calibration": {"photons_per_unit": 1.0}, "delay": c["input"]["delay"], **keys}
    c["input"]["delay"]["time_tool"]["trace"] = tool_trace
    c["input"]["delay"]["parts"][0]["source"] = keys["i0"].replace("i0", "stage")
    code, err = shots.reduce(write_config(f"{SCRATCH}/{name}.yaml", c), f"{SCRATCH}/{name}.h5")
    if code != 0:
        r.ok(False, f"{name}: {code} {err}")
        return
    with h5py.File(f"{SCRATCH}/{name}.h5") as f, h5py.File(f"{SCRATCH}/traces.h5") as g:
        r.ok(np.array_equal(extra(f, "tt/edge"), extra(g, "tt/edge"), equal_nan=True), f"{name}: the edges are the same")
        r.ok(np.allclose(f["entry/shots/delay"][()], g["entry/shots/delay"][()], atol=1e-9, equal_nan=True), f"{name}: and the delays")


code, err = shots.reduce(config("traces", e, files, {"reference": "off", "min_amplitude": 0.05}), f"{SCRATCH}/traces.h5")
photons = e.photons.astype("f4").reshape(e.n, *e.photons.shape[-2:])
with h5py.File(f"{SCRATCH}/plain.nxs", "w") as f:
    f["data/frames"], f["data/id"] = photons, ids
    f["data/i0"], f["data/stage"], f["data/laser"], f["data/trace"] = e.i0, e.stage_mm, e.on.astype("u1"), t
with h5py.File(f"{SCRATCH}/tool.h5", "w") as f:
    f["tool/trace"], f["tool/id"] = t[order], ids[order]
nexus = {"frames": "data/frames", "ids": "data/id", "i0": "data/i0", "laser": "data/laser"}
same_edges("plain", "nexus", [f"{SCRATCH}/plain.nxs"], nexus, "data/trace")
same_edges("further", "nexus", [f"{SCRATCH}/plain.nxs"],
           {**nexus, "readings": [{"file": f"{SCRATCH}/tool.h5", "ids": "tool/id"}]}, "tool/trace")
time = (1_700_000_000 + ids.astype("i8") // 1000 << 32) | ids % 1000 * 8_333_333 // 8
with h5py.File(f"{SCRATCH}/small.h5", "w") as f:
    f["event_time"], f["fiducials"] = time[order], (ids[order] * 3) % 0x1FFE0
    f["lightStatus/laser"], f["lightStatus/xray"] = e.on[order].astype("i8"), np.ones(e.n, "i8")
    f["epics/i0"], f["epics/stage"], f["tt/trace"], f["det/area"] = e.i0[order], e.stage_mm[order], t[order], photons[order]
code, err = shots.reduce(config("traces", e, write("sorted", e, ids, t, ids), {"reference": "off", "min_amplitude": 0.05}), f"{SCRATCH}/traces.h5")
same_edges("small_data", "lcls_smalldata", [f"{SCRATCH}/small.h5"], {"frames": "det/area", "i0": "epics/i0", "laser": "lightStatus/laser"}, "tt/trace")

# ---- European XFEL: a row per train, of one pulse or shared by three; rows per pulse, in their order or by pulseId

def european(name, pulses, rows):
    """A run of `pulses` per train, the laser in the first two of three; rows of the tool: per `train`, in `order`, by `id`."""
    where, trains = f"{SCRATCH}/{name}", [900_000 + i for i in range(e.n // pulses)]
    os.makedirs(where, exist_ok=True)
    one, shape = {k: 1 for k in trains}, (len(trains), pulses, *photons.shape[-2:])
    f = exdf.File(f"{where}/CORR-R0001-JNGFR01-S00000.h5", trains, "1.3")
    f.instrument("FXE_XAD_JF500K/CORR/JNGFR01:daqOutput", "data", one,
                 {"adc": photons.reshape(shape), "gain": np.zeros(shape, "u1"), "mask": np.zeros(shape, "u4"),
                  "memoryCell": np.tile(np.arange(pulses, dtype="u1"), (len(trains), 1))})
    f.close()
    f = exdf.File(f"{where}/RAW-R0001-DA01-S00000.h5", trains, "1.3")
    by_train = lambda v: np.concatenate([v.reshape(len(trains), pulses), np.ones((len(trains), 9))], 1)
    f.instrument("SA1_XTD2_XGM/XGM/DOOCS:output", "data", one, {"i0": by_train(e.i0), "stage": by_train(e.stage_mm)})
    f.control("FXE_LAS/SHUTTER/1", {"isOpen": dict(zip(trains, e.on[::pulses].astype("u1")))})
    tool = {"trace": t[::pulses] if rows == "train" else t}
    if rows == "id":  # of each train in reversed order
        turned = np.arange(e.n).reshape(-1, pulses)[:, ::-1].ravel()
        tool = {"trace": t[turned], "pulseId": turned.astype("u8") % pulses}
    f.instrument("FXE_TT/CAM:daqOutput", "data", {k: 1 if rows == "train" else pulses for k in trains}, tool)
    f.close()
    tool = {"min_amplitude": 0.05, **({"reference": "light/mean", "reference_file": files[1]} if rows == "train" else {"reference": "off"})}
    c = yaml.safe_load(open(config(name, e, files, tool)))
    c["input"] = {"layout": "euxfel", "files": [f"{where}/*.h5"], "frames": "FXE_XAD_JF500K",
                  "i0": "SA1_XTD2_XGM/XGM/DOOCS:output/data/i0", "calibration": {"photons_per_unit": 1.0},
                  "laser": {"pulses": ["0:2"]} if pulses == 3 else "FXE_LAS/SHUTTER/1/isOpen", "delay": c["input"]["delay"]}
    c["input"]["delay"]["time_tool"]["trace"] = "FXE_TT/CAM:daqOutput/data/trace"
    c["input"]["delay"]["parts"][0]["source"] = "SA1_XTD2_XGM/XGM/DOOCS:output/data/stage"
    code, err = shots.reduce(write_config(f"{SCRATCH}/{name}.yaml", c), f"{SCRATCH}/{name}_cube.h5")
    r.ok(code == 0, f"{name}: {code} {err if code else ''}")
    if code != 0:
        return
    with h5py.File(f"{SCRATCH}/{name}_cube.h5") as f, h5py.File(f"{SCRATCH}/{'light' if rows == 'train' else 'traces'}.h5") as g:
        edges, want = extra(f, "tt/edge"), extra(g, "tt/edge")
        of = np.arange(e.n) // pulses * pulses if rows == "train" else np.arange(e.n)
        r.ok(np.array_equal(edges, want[of], equal_nan=True), f"{name}: the edges are the same")


tool = {"reference": "light/mean", "reference_file": files[1], "min_amplitude": 0.05}
code, err = shots.reduce(config("light", e, write("plain", e, ids, t, ids), tool), f"{SCRATCH}/light.h5")
for name, pulses, rows in (("xf", 1, "train"), ("xf_order", 3, "order"), ("xf_id", 3, "id"), ("xf_shared", 3, "train")):
    european(name, pulses, rows)
r.end()
