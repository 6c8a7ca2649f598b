#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""dark_layouts.py XANI SCRATCH -- xani dark: the same dark words through every layout that has raw frames give the same
pedestals, noise, counts and masks, those of NumPy; European XFEL memory cells have pedestals of their own.  Prints TAP.
"""
import json

from harness import SCRATCH, r, xani

import h5py
import numpy as np

import exdf
import pal
import sacla

N, NY, NX, CODES = 160, 16, 24, (0, 1, 3)
DEAD, NOISY = (3, 7), (12, 20)
rng = np.random.default_rng(11)
pedestal = np.stack([rng.normal(level, 20, (NY, NX)) for level in (3000, 14000, 13500)])


def dark_frames(k):
    adu = np.round(pedestal[k] + 4 * rng.normal(0, 1, (N, NY, NX)))
    adu[:, DEAD[0], DEAD[1]] = 5000
    adu[:, NOISY[0], NOISY[1]] = np.round(pedestal[k][NOISY] + 80 * rng.normal(0, 1, N))
    return adu.astype("u2")


adu = [dark_frames(k) for k in range(3)]
words = [a | np.uint16(c << 14) for a, c in zip(adu, CODES)]
odd = np.zeros((NY, NX), bool)
odd[DEAD] = odd[NOISY] = True


def dark(name, layout, runs, **keys):
    """Planes of calibration.h5, or None."""
    path, out = f"{SCRATCH}/{name}.yaml", f"{SCRATCH}/{name}.calibration.h5"
    with open(path, "w") as f:
        json.dump({"experiment": {"energy_kev": 10.0}, "input": {"layout": layout, **keys},
                   "dark": {"runs": [{"stage": s, "files": files} for s, files in runs]}}, f)
    done = xani("dark", path, "-o", out, "-q")
    if not r.ok(done.returncode == 0, f"{name}: made {done.stderr.strip()[-300:] if done.returncode else ''}"):
        return None
    with h5py.File(out) as f:
        c = f["entry/calibration"]
        return {n: c[n][()] for n in ("pedestal", "rms", "count", "mask", "frames_used")}


def compare(name, got, stages):
    """Pedestal and noise are NumPy's of the values within six noises of the middle: here all of a good pixel."""
    if got is None:
        return
    good = np.broadcast_to(~odd, (len(stages), NY, NX))
    want = np.stack([adu[k].mean(axis=0) for k in stages]), np.stack([adu[k].std(axis=0, ddof=1) for k in stages])
    mean, rms, count = (got[n].reshape(len(stages), NY, NX) for n in ("pedestal", "rms", "count"))
    r.ok(list(got["frames_used"]) == [N] * len(stages), f"{name}: all {N} frames of each stage are used {got['frames_used']}")
    full = good & (count == N)
    r.ok(full.sum() > 0.99 * good.sum(), f"{name}: {full.sum()} of {good.sum()} good pixels have no outlier")
    r.ok(np.allclose(mean[full], want[0][full], atol=2e-3), f"{name}: pedestals off by {abs(mean - want[0])[full].max():.2g}")
    ratio = rms[full] / want[1][full]
    r.ok(abs(ratio - 1).max() < 0.005, f"{name}: noise off by {abs(ratio - 1).max():.2g}")
    r.ok(np.array_equal(got["mask"].reshape(NY, NX) != 0, odd), f"{name}: the dead and the noisy pixel are masked")


def same(name, got, other):
    r.ok(got is not None and other is not None and all(np.array_equal(got[n].ravel(), other[n].ravel(), equal_nan=True) for n in got),
         f"{name}: bit for bit the same")


# ---- a JUNGFRAU's words

GS = [0, 1, 2]
for k in GS:
    with h5py.File(f"{SCRATCH}/sf{k}.h5", "w") as f:
        g = f.create_group("data/JF01T01V01")
        g["data"], g["pulse_id"] = words[k], np.arange(1000, 1000 + N)[:, None].astype("u8")
        g["daq_rec"], g["is_good_frame"] = np.zeros((N, 1), "u4"), np.ones((N, 1), "u1")
    with h5py.File(f"{SCRATCH}/nx{k}.nxs", "w") as f:
        f["entry/frames"] = words[k]
    with h5py.File(f"{SCRATCH}/sd{k}.h5", "w") as f:
        ns = np.arange(N) * 8_333_333
        f["event_time"], f["fiducials"] = 1_700_000_000 + ns // 10**9 << 32 | ns % 10**9, np.arange(N) * 3
        f["lightStatus/xray"], f["lightStatus/laser"] = np.zeros(N, "i8"), np.zeros(N, "i8")
        f["jungfrau/raw"] = words[k]
stages = [(f"g{k}", [f"sf{k}.h5"]) for k in GS]
first = dark("swissfel", "swissfel", stages, frames="JF01T01V01", laser="daq_rec")
compare("swissfel", first, GS)
same("nexus", dark("nexus", "nexus", [(f"g{k}", [f"nx{k}.nxs"]) for k in GS], frames="entry/frames", detector="jungfrau"), first)
same("lcls_smalldata", dark("lcls", "lcls_smalldata", [(f"g{k}", [f"sd{k}.h5"]) for k in GS], frames="jungfrau/raw", detector="jungfrau"), first)

# ---- European XFEL: value and gain in datasets of their own, two modules, four memory cells

JF, CELLS = "FXE_XAD_JF1M", 4
cell_pedestal = pedestal[:, None] + 10 * np.arange(CELLS)[:, None, None]
trains = list(range(5000, 5000 + N // 2))
files, cell_adu = {}, {}
for k in GS:
    noise = np.round(4 * rng.normal(0, 1, (len(trains), CELLS, NY, NX)))
    cell_adu[k] = np.round(cell_pedestal[k]) + noise
    for m in (1, 2):
        half = slice(NY // 2 * (m - 1), NY // 2 * m)
        f = exdf.File(f"{SCRATCH}/RAW-R01{k}0-JNGFR{m:02}-S00000.h5", trains, "1.2")
        f.instrument(f"{JF}/DET/JNGFR{m:02}:daqOutput", "data", {t: 1 for t in trains},
                     {"adc": cell_adu[k][:, :, half].astype("u2"), "gain": np.full((len(trains), CELLS, NY // 2, NX), CODES[k], "u1"),
                      "memoryCell": np.tile(np.arange(CELLS, dtype="u1"), (len(trains), 1))})
        f.close()
    files[k] = [f"RAW-R01{k}0-*.h5"]
got = dark("euxfel", "euxfel", [(f"g{k}", files[k]) for k in GS], frames=JF)
if got is not None:
    mean = got["pedestal"].reshape(3, -1, NY, NX)
    r.ok(mean.shape[1] in (CELLS, 16), f"euxfel: a plane for each memory cell {got['pedestal'].shape}")
    want = np.stack([cell_adu[k].mean(axis=0) for k in GS])
    full = got["count"].reshape(mean.shape)[:, :CELLS] == len(trains)
    r.ok(full.mean() > 0.99, f"euxfel: {full.mean():.4f} of the pixels have no outlier")
    r.ok(np.allclose(mean[:, :CELLS][full], want[full], atol=2e-3), f"euxfel: pedestals off by {abs(mean[:, :CELLS] - want)[full].max():.2g}")

# ---- detectors without stages

tags = 800_000_000 + 2 * np.arange(N)
sacla.run(f"{SCRATCH}/77.h5", 77, tags, {}, {1: dict(zip(tags, adu[0].astype("f4")))}, mode="w")
compare("sacla", dark("sacla", "sacla", [("all", ["77.h5"])]), [0])
pal.point(f"{SCRATCH}/pal/001_001_000.h5", image=(1_600_000_000_000 + np.arange(N) * 16, adu[0].astype("f4")))
compare("pal", dark("pal", "pal", [("all", ["pal/001_001_000.h5"])]), [0])
compare("generic", dark("generic", "nexus", [("all", ["nx0.nxs"])], frames="entry/frames"), [0])
r.end()
