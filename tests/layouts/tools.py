# SPDX-License-Identifier: BSD-3-Clause
"""tools.py -- what the scripts tests/cli/layout_*.py do alike: reduce and compare, see a refusal, all shots of xani sim.

    tools.run("name", folder, config, expected)     tools.refuse("name", folder, config, "word")
"""
import json
import os

from harness import new_folder, r, write_config, xani

import h5py
import numpy as np

import shots

SIMULATION = {
    "experiment": {"energy_kev": 11.0},
    "geometry": {"distance_mm": 60.0, "cell": [3.61] * 3 + [90] * 3, "orientation": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]},
    "map": {"crystal": {"cell": [3.61] * 3 + [90] * 3, "centring": "F"}},
    "reduce": {"delay_bins_ps": {"start": -0.2, "stop": 2, "step": 0.1}},
    "sim": {"seed": 4, "crystal": "cu_49k", "temperature_k": 300.0, "photons": 25, "shots": 600,
            "losses": {"frames": 0.01, "not_good": 0.01, "no_xrays": 0.01, "readings": 0.005},
            "delay": {"start": -0.2, "stop": 2},
            "detector": {"modules": [2, 1], "shape": [24, 32], "pixel_mm": 0.8, "name": "JF07T02V01"}},
    # by SwissFEL's name: each layout's configuration must have it by its own
    "select": {"time_tool": {"source": "SAROP21-ATT01:edge_amplitude", "min": 0.4}},
}


def changed(config, **keys):
    """The configuration with other keys of input; None takes one away."""
    inside = {**config["input"], **keys}
    return {**config, "input": {k: v for k, v in inside.items() if v is not None}}


def counts(cube):
    with h5py.File(cube) as f:
        return {k: int(f[f"entry/shots/{k}"][()]) for k in ("missing", "duplicate", "unmatched")}


def info(*paths):
    code, out, err = xani("info", *paths, "--json")
    r.ok(code == 0, f"info: {code} {err.strip()[-300:] if code else ''}")
    return json.loads(out) if code == 0 else {}


def run(name, where, config, expected=None, tolerance=8e-6):
    """Reduces and compares; returns what the cube says of missing, duplicate and unmatched ids."""
    cube = f"{where}/cube.h5"
    write_config(f"{where}/xani.yaml", config)
    code, err = shots.reduce(f"{where}/xani.yaml", cube)
    if not r.ok(code == 0, f"{name}: reduce: {code} {err.strip()[-300:] if code else ''}"):
        return {}
    if expected is not None:
        shots.check(name, cube, expected, tolerance)
    return counts(cube)


def refuse(name, where, config, *words, code=3):
    write_config(f"{where}/bad.yaml", config)
    got, err = shots.reduce(f"{where}/bad.yaml", f"{where}/bad.h5")
    r.ok(got == code and all(w in err for w in words), f"{name}: exit {got}: {err.strip()[-300:]}")
    r.ok(not os.path.exists(f"{where}/bad.h5"), f"{name}: nothing is written")


def same_shots(layout):
    """xani sim in SwissFEL's layout and in this one: both reduce to the same cube."""
    where = new_folder("sim")
    simulation = {**SIMULATION, "sim": {**SIMULATION["sim"], "layouts": ["swissfel", layout]}}
    write_config(f"{where}/sim.yaml", simulation)
    code, _, err = xani("sim", f"{where}/sim.yaml", "-o", f"{where}/raw")
    if not r.ok(code == 0, f"sim writes swissfel and {layout}: {code} {err.strip()[-300:] if code else ''}"):
        return
    for name, file in (("swissfel", "xani.yaml"), (layout, f"xani_{layout}.yaml")):
        code, err = shots.reduce(f"{where}/raw/{file}", f"{where}/{name}.h5")
        r.ok(code == 0, f"sim: reduce of {name}: {code} {err.strip()[-300:] if code else ''}")
    if not os.path.exists(f"{where}/{layout}.h5"):
        return
    with h5py.File(f"{where}/swissfel.h5") as a, h5py.File(f"{where}/{layout}.h5") as b:
        for c, n in [(c, n) for c in ("on", "off") for n in ("shots", "i0_sum", "i0_sq_sum", "delay_sum")]:
            r.ok(np.array_equal(a[f"entry/sums/{c}/{n}"][()], b[f"entry/sums/{c}/{n}"][()]), f"sim: {n} of laser-{c} bins are the same bits")
        one, other = (f["entry/cube/signal"][()] for f in (a, b))
        gaps = np.array_equal(np.isnan(one), np.isnan(other))
        worst = np.nanmax(abs((1 + one) / (1 + other) - 1)) if gaps else np.inf
        r.ok(gaps and worst < 2e-5, f"sim: {layout} gives SwissFEL's signal within rounding ({worst:.1e})")
        used = [int((f["entry/shots/verdict"][()] == 0).sum()) for f in (a, b)]
        r.ok(used[0] == used[1] and used[0] > 100, f"sim: {used} shots are used in both")
