# SPDX-License-Identifier: BSD-3-Clause
"""walk.py -- walks the interface contract's datasets, shapes, types and attributes over a finished run."""
import json
import os
import shutil
import subprocess
import sys

import h5py
import numpy as np


class Report:
    """Collects TAP lines; a failed check never stops the others."""

    def __init__(self):
        self.n = self.failed = 0

    def ok(self, good, text):
        self.n += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.n} - {text}".replace("\n", " "))
        return bool(good)

    def skip(self, text, why):
        """What cannot run on this machine; counted by tools/run-tests."""
        self.n += 1
        print(f"ok {self.n} - {text} # SKIP {why}")

    def guard(self, text, fn, *args):
        try:
            fn(*args)
        except Exception as error:  # a missing dataset is a failed check, not a crash of the walk
            self.ok(False, f"{text}: {type(error).__name__}: {error}")

    def end(self):
        """The last line of a script."""
        print(f"1..{self.n}")
        sys.exit(1 if self.failed else 0)


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def follow_default(f):
    """The chain of @default from the root to an NXdata, as h5web and silx walk it."""
    node = f
    for _ in range(5):
        if text(node.attrs.get("NX_class", b"")) == "NXdata":
            return node
        node = node[text(node.attrs["default"])]
    raise ValueError("no NXdata at the end of @default")


def nxdata(r, name, g):
    """formats.md 9: scalar signal, axes one per dimension, numeric children of matching length, errors alike."""
    signal = g.attrs["signal"]
    r.ok(np.ndim(signal) == 0 and text(signal) in g, f"{name}: @signal is a scalar name of a child")
    data = g[text(signal)]
    axes = [text(a) for a in np.atleast_1d(g.attrs["axes"])]
    r.ok(len(axes) == data.ndim, f"{name}: @axes has one entry per dimension")
    for d, a in enumerate(axes):
        if a != ".":
            fine = a in g and g[a].dtype.kind in "iuf" and g[a].shape[0] in (data.shape[d], data.shape[d] + 1)
            r.ok(fine, f"{name}: axis {a} is a numeric child of matching length")
    for child in g:
        if child.endswith("_errors") and child[:-7] in g:
            r.ok(g[child].shape == g[child[:-7]].shape, f"{name}: {child} has its signal's shape")


def open_file(r, path, entry_groups):
    f = h5py.File(path, "r")
    base = os.path.basename(path)
    r.ok(text(f.attrs["NX_class"]) == "NXroot" and text(f["entry"].attrs["NX_class"]) == "NXentry", f"{base}: NeXus root and entry")
    default = follow_default(f)
    r.ok(default.name == f"/entry/{entry_groups[0]}", f"{base}: @default leads to {entry_groups[0]}")
    for g in entry_groups:
        nxdata(r, f"{base}:{g}", f[f"entry/{g}"])
    manifest = [p for p in os.listdir(os.path.dirname(path) or ".") if p.endswith("manifest.json")]
    r.ok(len(manifest) > 0, f"{base}: a manifest is beside it")
    everything = []
    f.visititems(lambda n, o: everything.append(o[()] if isinstance(o, h5py.Dataset) else None))
    r.ok(len(everything) > 0, f"{base}: h5py reads every dataset")
    if shutil.which("h5dump"):
        done = subprocess.run(["h5dump", path], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        r.ok(done.returncode == 0 and not done.stderr, f"{base}: h5dump reads all of it {done.stderr[-100:]!r}")
    return f


def cube(r, path, spatial_bin=None):
    f = open_file(r, path, ["cube"])
    c = f["entry/cube"]
    nb, ny, nx = c["signal"].shape
    r.ok(c["signal"].dtype == "f4" and c["signal_errors"].dtype == "f4", "cube: signal and errors are float32")
    r.ok(c["delay"].dtype == "f8" and c["delay"].shape == (nb,), "cube: delay is float64, one per bin")
    r.ok(text(c["delay"].attrs["units"]) == "ps", "cube: delay in ps")
    r.ok(np.isfinite(c["delay"][()]).all() and (np.diff(c["delay"][()]) > 0).all(), "cube: delays finite and ascending")
    m = f["entry/mask"]
    r.ok(m.dtype == "u4" and m.shape == (ny, nx), "cube: mask uint32 (y, x)")
    r.ok(np.isnan(c["signal"][()][:, m[()] != 0]).all(), "cube: masked pixels are NaN, never 0")
    r.ok("entry/cut_flow" in f, "cube: cut_flow")
    sb = f["entry/spatial_bin"][()]
    r.ok(np.ndim(sb) == 0 and (spatial_bin is None or sb == spatial_bin), "cube: spatial_bin scalar")
    return f


def modes(r, path):
    f = open_file(r, path, ["modes"])
    g = f["entry/modes"]
    nm, ny, nx = g["frequency"].shape
    for name in ("frequency", "amplitude", "phase", "damping"):
        for n in (name, name + "_errors"):
            r.ok(g[n].dtype == "f4" and g[n].shape == (nm, ny, nx), f"modes: {n} float32 (mode, y, x)")
    r.ok(g["significance"].shape == (nm, ny, nx), "modes: significance (mode, y, x)")
    units = {n: text(g[n].attrs["units"]) for n in ("frequency", "damping", "phase")}
    r.ok(units["frequency"] == "THz" and units["damping"] in ("1/ps", "ps^-1") and units["phase"] == "rad", f"modes: units {units}")
    n_modes, status = f["entry/n_modes"][()], f["entry/fit_status"][()]
    r.ok(n_modes.dtype == np.uint8 and status.dtype == np.uint8 and n_modes.shape == (ny, nx), "modes: n_modes, fit_status uint8 (y, x)")
    r.ok(f["entry/chi2_reduced"].shape == (ny, nx) and f["entry/background"].shape[1:] == (ny, nx), "modes: chi2_reduced, background")
    r.ok(text(g.attrs["errors_from"]) in ("counting", "residual"), "modes: errors_from")
    r.ok(len(f["entry/fit_status"].attrs) > 0, "modes: fit_status names in an attribute")
    freq = g["frequency"][()]
    accepted = np.arange(nm)[:, None, None] < n_modes
    r.ok((np.isfinite(freq) == accepted).all(), "modes: frequency is NaN exactly where no mode was accepted")
    a, p = g["amplitude"][()][accepted], g["phase"][()][accepted]
    r.ok((a >= 0).all() and (p > -np.pi - 1e-6).all() and (p <= np.pi + 1e-6).all(), "modes: A >= 0, phase in (-pi, pi]")
    r.ok(((status == 0) <= (n_modes > 0)).all() and (n_modes[(status == 1) | (status == 2)] == 0).all(), "modes: status agrees with n_modes")
    s = np.where(accepted, g["significance"][()], -np.inf)
    r.ok((np.diff(s, axis=0) <= 1e-3 * np.abs(s[1:]) + 1e-6).sum() >= 0 and
         (np.where(accepted[1:], s[1:] - s[:-1], -1) <= 1e-3 * np.abs(np.where(accepted[1:], s[1:], 1))).all(),
         "modes: index 0 is the most significant mode")
    r.ok("entry/spatial_bin" in f, "modes: spatial_bin")
    return f


COLUMNS = {"hkl": 3, "G": 3, "q": 3, "frequency": 0, "frequency_errors": 0, "amplitude": 0, "amplitude_errors": 0,
           "kind": 0, "branch": 0, "pixel": 2, "run": 0, "weight": 0}


def dispersion(r, path, n_axes):
    f = open_file(r, path, ["volume", "path"]) if "volume" in h5py.File(path, "r")["entry"].attrs.get("default", "volume") \
        else open_file(r, path, ["path", "volume"])
    for group in ("points", "combination_points"):
        p = f[f"entry/{group}"]
        n = p["frequency"].shape[0]
        for name, width in COLUMNS.items():
            r.ok(p[name].shape == ((n, width) if width else (n,)), f"{group}: {name}")
        r.ok(p["angle_deg"].shape == (n, n_axes), f"{group}: angle_deg (N, n_axes)")
        r.ok(np.isfinite(p["frequency"][()]).all(), f"{group}: frequency never NaN")
        r.ok(p["G"].dtype.kind == "i" and p["branch"].dtype.kind == "i" and p["pixel"].dtype.kind in "iu", f"{group}: integer columns")
        kinds = {text(k) for k in p["kind"][()]}
        r.ok(kinds <= {"pair", "coherent"}, f"{group}: kinds {kinds}")
    v = f["entry/volume"]
    r.ok(v["intensity"].ndim == 4 and v["coverage"].shape == v["intensity"].shape[:3], "volume: intensity (h,k,l,frequency), coverage")
    r.ok(all(a in v for a in ("h", "k", "l", "frequency")), "volume: axes h k l frequency")
    empty = v["coverage"][()] == 0
    r.ok(np.isnan(v["intensity"][()][empty]).all() and (~empty).any(), "volume: uncovered voxels are NaN, some are covered")
    p = f["entry/path"]
    r.ok(p["intensity"].shape == (len(p["distance"]), len(p["frequency"])), "path: intensity (distance, frequency)")
    b = f["entry/branches"]
    np_ = len(b["distance"])
    r.ok(b["hkl"].shape == (np_, 3) and b["frequency"].shape[1] == np_ and b["frequency_errors"].shape == b["frequency"].shape
         and b["count"].shape == b["frequency"].shape, "branches: hkl, distance, frequency, errors, count")
    seen = b["count"][()] > 0
    r.ok((np.isfinite(b["frequency"][()]) == seen).all(), "branches: NaN exactly where unseen")
    return f


def hashes(path):
    """Dataset hashes of a result's manifest, without those of the provenance."""
    with open(f"{path}.manifest.json") as f:
        return {k: v for k, v in json.load(f)["datasets"].items() if "process" not in k}


def manifests(r, folder):
    found = [os.path.join(d, n) for d, _, names in os.walk(folder) for n in names if n.endswith("manifest.json")]
    for path in found:
        with open(path) as f:
            r.ok(isinstance(json.load(f), dict), f"{os.path.basename(path)} is JSON")
    leftovers = [n for _, _, names in os.walk(folder) for n in names if ".tmp" in n]
    r.ok(not leftovers, f"no temporary files left {leftovers}")
