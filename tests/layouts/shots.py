# SPDX-License-Identifier: BSD-3-Clause
"""shots.py -- a small experiment as plain arrays, and what its cube must be, for the scripts that write it in a layout.

Independent of the library: everything a layout's script stores comes from here, and so does what `xani reduce` has to
find in it (NumPy, float64).  Photons are whole numbers, so that every detector can hold them exactly or within rounding.

    e = Experiment(modules=2, rows=16, cols=32)       e.keep[i] = False   a shot that must not be used, and why:
    e.drop("join", 5, 9)                              the name of the cut that has to refuse it
    expected = e.cube()                               compare(name, config_file, expected, tolerance)
"""
from harness import SCRATCH, r, xani

import h5py
import numpy as np

BINS = {"start": -1.0, "stop": 3.0, "step": 0.5}
MM_PER_PS = 0.149896229  # stage, light there and back
PX_PER_PS = 500.0        # time tool


class Experiment:
    """shots: on every third off; stage and time tool add up to the delay; ids are the layout's business."""

    def __init__(self, shots=240, modules=2, rows=16, cols=32, seed=1):
        rng = np.random.default_rng(seed)
        self.n, self.modules, self.rows, self.cols = shots, modules, rows, cols
        self.on = np.arange(shots) % 3 != 2
        self.i0 = rng.uniform(0.5, 1.5, shots)
        nominal = np.linspace(-1.2, 3.2, shots)
        jitter = rng.normal(0, 0.05, shots)
        self.stage_mm = 100.0 - nominal * MM_PER_PS  # longer: X-rays earlier
        self.edge_px = 1000.0 + jitter * PX_PER_PS
        self.delay_ps = nominal + jitter
        mean = 8 * self.i0[:, None, None] * (1 + 0.2 * (self.on & (self.delay_ps > 0)))[:, None, None]
        self.photons = rng.poisson(np.broadcast_to(mean, (shots, modules * rows, cols)))
        self.cut = np.array([""] * shots, object)  # name of the cut that refuses the shot; "lost": it has no frame
        self.masked = np.zeros((modules * rows, cols), bool)

    def drop(self, cut, *shots):
        self.cut[list(shots)] = cut

    def config(self, layout, files, **input_keys):
        """Configuration with the delay as this experiment defines it; sources must be replaced by the layout's."""
        return {"experiment": {"title": layout, "energy_kev": 10.0},
                "input": {"layout": layout, "files": files, **input_keys},
                "reduce": {"delay_bins_ps": dict(BINS)}}

    @staticmethod
    def delay(stage, edge):
        return {"parts": [{"source": stage, "scale_ps": -1 / MM_PER_PS, "origin": 100.0}], "sign": 1, "zero_ps": 0,
                "time_tool": {"source": edge, "sign": 1, "origin": 1000.0, "coefficients_ps": [0, 1 / PX_PER_PS]}}

    def cube(self):
        """What must come out: used shots per bin and off, signal, counts of every cut."""
        edges = np.arange(BINS["start"], BINS["stop"] + 1e-9, BINS["step"])
        place = np.floor((self.delay_ps - edges[0]) / BINS["step"]).astype(int)
        used = self.cut == ""
        inside = (place >= 0) & (place < len(edges) - 1)
        on = used & self.on & inside
        off = used & ~self.on
        n = len(edges) - 1
        shots = np.array([(on & (place == b)).sum() for b in range(n)])
        i0 = np.array([self.i0[on & (place == b)].sum() for b in range(n)])
        sums = np.array([self.photons[on & (place == b)].sum(axis=0) for b in range(n)], float)
        r_off = self.photons[off].sum(axis=0) / self.i0[off].sum()
        with np.errstate(all="ignore"):
            signal = sums / i0[:, None, None] / r_off - 1
        signal[:, self.masked] = np.nan
        signal[shots == 0] = np.nan
        frames = self.cut != "lost"
        cuts = {name: int((self.cut == name).sum()) for name in set(self.cut) - {"", "lost"}}
        cuts["delay bin"] = int((used & self.on & ~inside).sum())
        return {"shots": shots, "off": int(off.sum()), "signal": signal, "seen": int(frames.sum()), "cuts": cuts,
                "lost": int((self.cut == "lost").sum())}


def reduce(config, cube, *more):
    """xani reduce; returns exit code and error text. config: file."""
    code, _, err = xani("reduce", config, "-o", cube, *more)
    return code, err


def compare(name, config, expected, tolerance=8e-6, *more):
    """Reduces and checks the cube, SCRATCH/name.cube.h5; returns exit code and error text."""
    cube = f"{SCRATCH}/{name}.cube.h5"
    code, err = reduce(config, cube, *more)
    if r.ok(code == 0, f"{name}: reduced: {code} {err.strip()[-300:] if code else ''}"):
        check(name, cube, expected, tolerance)
    return code, err


def refused(name, config, *words, code=3):
    """Reduces in vain; the error has all words."""
    got, err = reduce(config, f"{SCRATCH}/{name}.cube.h5")
    r.ok(got == code and all(w in err for w in words), f"{name}: refused, exit {got}: {err.strip()[-300:]}")


def cut_flow(f):
    """{cut: shots refused} of a cube file, all classes together, with "seen"."""
    names = [n.decode() if isinstance(n, bytes) else n for n in f["entry/cut_flow/name"][()]]
    cut = sum(f[f"entry/cut_flow/{c}_cut"][()] for c in ("on", "off", "unknown"))
    left = sum(f[f"entry/cut_flow/{c}_left"][()] for c in ("on", "off", "unknown"))
    flow = {name: int(c) for name, c in zip(names, cut)}
    flow["seen"] = int(left[0])
    return flow


def check(name, cube, expected, tolerance=8e-6):
    """tolerance: of the signal's 1 + y, relative (I0 has 17 bits: 2**-18 in each of two classes)."""
    with h5py.File(cube) as f:
        r.ok(np.array_equal(f["entry/sums/on/shots"][()], expected["shots"]), f"{name}: shots of every bin")
        r.ok(f["entry/sums/off/shots"][0] == expected["off"], f"{name}: laser-off shots")
        got, want = f["entry/cube/signal"][()], expected["signal"]
        r.ok(got.shape == want.shape, f"{name}: shape of the cube")
        same_gaps = np.array_equal(np.isnan(got), np.isnan(want))
        r.ok(same_gaps, f"{name}: NaN where a bin is empty or a pixel masked, nowhere else")
        worst = np.nanmax(abs((1 + got) / (1 + want) - 1)) if same_gaps else np.inf
        r.ok(worst <= tolerance, f"{name}: signal equals NumPy's ({worst:.1e}, {tolerance:g} allowed)")
        flow = cut_flow(f)
        r.ok(flow["seen"] == expected["seen"], f"{name}: {flow['seen']} of {expected['seen']} shots seen")
        for cut in set(flow) - {"seen"}:
            n = expected["cuts"].get(cut, 0)
            r.ok(flow[cut] == n, f"{name}: cut {cut!r} refuses {flow[cut]} of {n} shots")
