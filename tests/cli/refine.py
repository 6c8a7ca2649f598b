#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""refine.py XANI SCRATCH -- force constants beside and from a measurement: a simulated crystal's softened bond is found again
from its modes, with errors, a band and a word on what the points do not determine; of copper's table, and of germanium's
real constants where they are there.  Prints TAP.
"""
import os

from harness import SCRATCH, SHARED, r, set_options, write_config, xani, xani_must

import h5py
import numpy as np

from walk import nxdata

GE = f"{SHARED}/xdscode_examples/Ge_ge.mat"


def experiment(name, crystal, cell, basis, softening, extra=""):
    """Two sample angles, exact traces; returns configuration and modes."""
    folder = f"{SCRATCH}/{name}"
    os.makedirs(folder, exist_ok=True)
    config = {
        "experiment": {"title": name, "energy_kev": 10.0},
        "geometry": {"detector": {"shape": [32, 32], "pixel_mm": 3.0, "centre_px": [16, 16]}, "distance_mm": 60,
                     "orientation": [[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]],
                     "goniometer": [{"axis": [0, 1, 0], "sign": 1, "angle_deg": 0}]},
        "runs": [{"name": "a", "angle_deg": [0]}, {"name": "b", "angle_deg": [17]}],
        "map": {"crystal": {"cell": cell, **basis}, "grid": {"shape": [15, 15, 15]}, "path": ["G", "X", "K", "G", "L"],
                "mode_kind": "pair"},
        "reduce": {"delay_bins_ps": {"start": 0, "stop": 8, "step": 0.02}},
        "fit": {"modes_max": 3, "background": "constant"},
        "output": {"report": False},
        "sim": {"layouts": ["cube_noiseless"], "crystal": crystal, "softening": softening, "combination_lines": False,
                "delay": {"start": -0.5, "stop": 8}},
    }
    write_config(f"{folder}/in.yaml", config)
    xani_must("sim", f"{folder}/in.yaml", "-o", f"{folder}/raw")
    xani_must("run", f"{folder}/raw/xani.yaml", "-o", f"{folder}/out")
    return f"{folder}/raw/xani.yaml", [f"{folder}/out/{run}/modes.h5" for run in "ab"], f"{folder}/raw/truth.h5"


def check(name, config, modes, crystal, shells, factor, softened):
    """The change of the softened shells is that of the simulation; the others' is nothing within the errors."""
    out = f"{SCRATCH}/{name}/refined.h5"
    settings = [f"map.force_constants.{k}" for k in (f"file={crystal}", "refine=true", f"shells={shells}")]
    _, _, stderr = xani_must("map", "--config", config, *set_options(*settings), *modes, "-o", out)
    r.ok("chi^2 per degree of freedom" in stderr, f"{name}: says how well it agrees")
    with h5py.File(out) as f:
        g = f["entry/force_constants"]
        names = [n.decode() if isinstance(n, bytes) else n for n in g["name"][()]]
        start, change, errors = (g[k][()] for k in ("start", "change", "change_errors"))
        chi2, before, dof = (float(g[k][()]) for k in ("chi2", "chi2_before", "dof"))
        shell = np.array([int(n.split()[1]) for n in names])
        want = np.where(shell == softened, (factor - 1) * start, 0.0)
        scale = np.sqrt((start[shell == softened]**2).sum())
        worst = abs(change - want).max() / scale
        r.ok(worst < 2e-3, f"{name}: constants found again within {worst:.1e} of the bond's own (2e-3)")
        good = (abs(change - want) < 3 * errors + 1e-3 * scale).all() and (errors > 0).all()
        r.ok(good, f"{name}: within three errors")
        share = float(g["model_share"][()])  # 0: exact traces, and a model better than the rounding of their fits
        r.ok((0.8 if share > 0 else 0) < chi2 / dof < 1.25 and before > 10 * chi2, f"{name}: chi^2/dof {chi2 / dof:.2g}, before {before / dof:.2g}")
        corr = g["correlation"][()]
        r.ok(np.allclose(np.diag(corr), 1) and np.allclose(corr, corr.T) and abs(corr).max() < 1 + 1e-9,
             f"{name}: correlations are correlations")
        r.ok(int(g["converged"][()]) == 1 and int(g["points_used"][()]) > 500, f"{name}: converged on many points")
        nxdata(r, name, f["entry/reference"])
        reference, band, wide = f["entry/reference/frequency"][()], g["frequency"][()], g["frequency_errors"][()]
        r.ok(reference.shape == band.shape == wide.shape and (np.diff(reference, axis=0) > -1e-9).all(),
             f"{name}: bands of all branches along the path, ascending")
        r.ok((reference[-1].max() > band[-1].max()) and (wide >= 0).all() and wide.max() < 0.2,
             f"{name}: the softened crystal's highest branch lies lower")
        branches = f["entry/branches/frequency"][()]
        near = np.nanmin(abs(branches[:, None, :] - band[None, :, :]), axis=1)
        r.ok(np.nanmedian(near) < 0.1, f"{name}: branches found lie on the refined band (median {np.nanmedian(near):.3f} THz)")


def copper():
    basis = {"space_group": "Fm-3m", "basis": [{"element": "Cu", "position": [0, 0, 0]}]}
    config, modes, _ = experiment("copper", "cu_296k", [3.61, 3.61, 3.61, 90, 90, 90], basis, [{"shell": "110", "factor": 0.95}])
    check("copper", config, modes, "cu_296k", 2, 0.95, 1)
    kinds(config, modes)
    refuse(config, modes)


def kinds(config, modes):
    """Pair lines are told from coherent ones by the constants: said, kept, and warned of where the configuration is wrong."""
    for kind, warned in (("pair", False), ("coherent", True)):
        settings = set_options("map.mode_kind=" + kind, "map.force_constants.file=cu_296k")
        _, _, stderr = xani_must("map", "--config", config, *settings, *modes, "-o", f"{SCRATCH}/kind.h5")
        with h5py.File(f"{SCRATCH}/kind.h5") as f:
            kept = f["entry/points"].attrs["kind_evidence"]
            kept = kept.decode() if isinstance(kept, bytes) else kept
        odds = float(kept.rsplit(" ", 1)[1])
        r.ok(kept in stderr.replace("\nxani: map.mode_kind ", "; ") and odds > 100, f"{kind}: evidence for pairs, 2 ln of the odds {odds:+.0f}")
        r.ok(("better as pairs" in stderr) == warned, f"{kind}: {'warned' if warned else 'no warning'}")


def refuse(config, modes):
    code, _, stderr = xani("map", "--config", config, "--set", "map.force_constants.refine=true", *modes, "-o", f"{SCRATCH}/no.h5")
    r.ok(code == 2 and "map.force_constants.file" in stderr, "refine without constants: exit 2, names the key")
    code, _, stderr = xani("map", "--config", config, "--set", "map.force_constants.file=al_80k", *modes, "-o", f"{SCRATCH}/no.h5")
    r.ok(code == 3 and "not found in the crystal" in stderr, "constants of another crystal: exit 3, says that they do not fit")
    code, _, stderr = xani("map", "--config", config, "--set", "map.force_constants.file=none.fc", *modes, "-o", f"{SCRATCH}/no.h5")
    r.ok(code == 3 and "none.fc" in stderr and not os.path.exists(f"{SCRATCH}/no.h5"), "a missing file: exit 3, nothing written")


def germanium():
    if not os.path.exists(GE):
        r.skip("germanium", "../shared/data is not there")
        return
    basis = {"space_group": "227:2", "basis": [{"element": "Ge", "position": [0.125, 0.125, 0.125]}]}
    config, modes, truth = experiment("germanium", GE, [5.658, 5.658, 5.658, 90, 90, 90], basis, [{"shell": "1", "factor": 0.98}])
    check("germanium", config, modes, GE, 2, 0.98, 1)
    with h5py.File(truth) as f:
        nu = f["entry/a/nu"][()]
        r.ok(nu.shape[-1] == 6 and np.nanmax(nu) < 9.1 and f["entry/force_constants_after/tensor"].shape[1:] == (3, 3),
             "germanium: six branches in truth.h5, and its constants")


for test in (copper, germanium):
    r.guard(test.__name__, test)
r.end()
