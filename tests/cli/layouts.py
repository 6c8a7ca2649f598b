#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""layouts.py XANI SCRATCH -- one simulated experiment, written in every layout, gives one cube: the same bits where words
are stored, the same to rounding where calibrated frames or sums are.  Every layout's configuration passes xani check, and
xani info recognises its files.  Prints TAP.
"""
import glob
import json

from harness import SCRATCH, r, write_config, xani

import h5py
import numpy as np

SHOTS = ["swissfel", "nxmx", "nexus", "euxfel", "lcls_smalldata", "lcls2_smalldata", "pal", "sacla"]
CUBES = ["cube", "lcls_cube", "lcls2_cube"]
WORDS = {"swissfel", "euxfel"}  # store the detector's own words

CONFIG = {
    "experiment": {"title": "one experiment", "energy_kev": 11},
    "geometry": {"distance_mm": 60, "orientation": [[0.1417157, 0.9771205, 0.1585946], [0.1574859, 0.1359166, -0.9781231],
                                                    [-0.9772998, 0.1635918, -0.1346212]]},
    "map": {"crystal": {"cell": [3.61, 3.61, 3.61, 90, 90, 90], "space_group": "Fm-3m",
                        "basis": [{"element": "Cu", "position": [0, 0, 0]}]}},
    "reduce": {"delay_bins_ps": {"start": -0.3, "stop": 1.7, "step": 0.2}},
    "sim": {"layouts": SHOTS + CUBES, "shots": 300, "photons": 40, "crystal": "cu_296k",
            "softening": [{"shell": "110", "factor": 0.9}], "delay": {"start": -0.4, "stop": 1.8, "sweeps": 2},
            "losses": {"frames": 0.02, "not_good": 0, "no_xrays": 0.02, "readings": 0.01},
            "detector": {"modules": [2, 1], "shape": [32, 64], "gap_px": [6, 6], "pixel_mm": 0.5, "centre_px": [80, 35]}},
}


def configuration(layout):
    return f"{SCRATCH}/raw/xani.yaml" if layout == SHOTS[0] else f"{SCRATCH}/raw/xani_{layout}.yaml"


def reduce(layout):
    out = f"{SCRATCH}/{layout}.h5"
    done = xani("reduce", configuration(layout), "-o", out)
    if not r.ok(done.returncode == 0, f"{layout}: reduces {done.stderr.strip()[-300:] if done.returncode else ''}"):
        return None
    with h5py.File(out) as f:
        cube = {"signal": f["entry/cube/signal"][()], "delay": f["entry/cube/delay"][()], "mask": f["entry/mask"][()] != 0}
        names = [n.decode() if isinstance(n, bytes) else n for n in f["entry/cut_flow/name"][()]]
        cube["cuts"] = {n: tuple(int(f[f"entry/cut_flow/{c}_left"][i]) for c in ("on", "off")) for i, n in enumerate(names)}
        if "entry/sums/on/s1" in f:
            cube["s1"], cube["shots"] = f["entry/sums/on/s1"][()], f["entry/sums/on/shots"][()]
    return cube


def compare(layout, cube, first):
    gaps = np.isnan(cube["signal"])
    r.ok(cube["signal"].shape == first["signal"].shape and np.array_equal(gaps, np.isnan(first["signal"])),
         f"{layout}: shape, and NaN where the first layout has it")
    r.ok(np.allclose(cube["delay"], first["delay"], atol=2e-4 if layout in CUBES else 2e-6), f"{layout}: delays of the bins")
    worst = np.nanmax(abs((1 + cube["signal"]) / (1 + first["signal"]) - 1))
    limit = 0 if layout in WORDS else 5e-6
    r.ok(worst <= limit, f"{layout}: signal differs by {worst:.1e} at most ({limit:g} allowed)")
    if layout in SHOTS:
        r.ok(np.array_equal(cube["shots"], first["shots"]), f"{layout}: the same shots in every bin")
        end = [c["cuts"]["max shots"] for c in (cube, first)]
        r.ok(end[0] == end[1], f"{layout}: {end[0]} shots used, of {end[1]}")
    if layout in WORDS:
        r.ok(np.array_equal(cube["s1"], first["s1"]), f"{layout}: the same integer sums")


def recognised(layout):
    """info and check; files as the configuration lists them."""
    with open(configuration(layout)) as f:
        text = f.read()
    r.ok(f"layout: {layout}" in text, f"{layout}: its configuration names it")
    done = xani("check", configuration(layout), "--json")
    if r.ok(done.returncode == 0, f"{layout}: passes xani check {done.stderr.strip()[-200:] if done.returncode else ''}"):
        return json.loads(done.stdout)["runs"][0].get("used")
    return None


def main():
    write_config(f"{SCRATCH}/one.yaml", CONFIG)
    done = xani("sim", f"{SCRATCH}/one.yaml", "-o", f"{SCRATCH}/raw")
    if not r.ok(done.returncode == 0, f"xani sim writes {len(SHOTS + CUBES)} layouts {done.stderr.strip()[-300:]}"):
        return
    first = None
    for layout in SHOTS + CUBES:
        used = recognised(layout)
        cube = reduce(layout)
        if layout in SHOTS and cube is not None:
            r.ok(used == sum(cube["cuts"]["max shots"]), f"{layout}: xani check foretells {used} shots used")
        if first is None:
            first = cube
        elif cube is not None:
            compare(layout, cube, first)
    info = xani("info", f"{SCRATCH}/raw", "--json")
    found = {row["layout"] for row in json.loads(info.stdout)["runs"]} if info.returncode == 0 else set()
    r.ok(found >= set(SHOTS + CUBES), f"xani info recognises all of them in one folder: missing {set(SHOTS + CUBES) - found}")
    r.ok(len(glob.glob(f"{SCRATCH}/raw/**/*", recursive=True)) > 20, "many files were written")


r.guard("layouts", main)
r.end()
