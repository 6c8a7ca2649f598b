#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""reduce_range.py XANI SCRATCH -- readings far out of range never spoil others without a word.

A glitch in I0 spoils its own bin or is refused with its shot; pixels and groups too bright for the sums are told with the limit
and a bit of their own, and where nothing is left that is an error; merging says what it masks.  Prints TAP.
"""

from harness import SCRATCH, r, set_options, xani

import h5py
import numpy as np

N, BINS = 400, 10
RANGE = 0x200


def write(name, frames, i0, first=1000):
    n = len(frames)
    with h5py.File(f"{SCRATCH}/{name}.h5", "w") as f:
        f.attrs["default"] = "entry"
        entry = f.create_group("entry")
        entry.attrs["NX_class"], entry.attrs["default"] = "NXentry", "data"
        data = entry.create_group("data")
        data.attrs["NX_class"], data.attrs["signal"] = "NXdata", "data"
        data["data"] = frames
        f["i0"], f["laser"], f["stage"] = i0, (np.arange(n) % 2 == 0).astype("u1"), np.arange(n) % 40 / 40
        f["ids"] = np.arange(n) + first


def reduce(name, *sets):
    with open(f"{SCRATCH}/{name}.yaml", "w") as f:
        f.write(f"""
experiment: {{energy_kev: 9.5}}
input:
  layout: nexus
  files: [{name}.h5]
  ids: ids
  i0: i0
  laser: laser
  delay: {{parts: [{{source: stage, scale_ps: 1}}], sign: 1, zero_ps: 0}}
  calibration: {{photons_per_unit: 1}}
reduce: {{delay_bins_ps: {{start: 0, stop: 1, step: 0.1}}}}
""")
    done = xani("reduce", f"{SCRATCH}/{name}.yaml", "-o", f"{SCRATCH}/{name}_c.h5", *set_options(*sets))
    return done.returncode, " ".join(done.stderr.split())


def signal(frames, i0):
    on = np.arange(N) % 2 == 0
    bins = np.where(on, np.arange(N) % 40 // 4, -1)
    rate = [frames[bins == b].sum(0) / i0[bins == b].sum() for b in range(BINS)]
    return np.array(rate) / (frames[~on].sum(0) / i0[~on].sum()) - 1


# ---- I0
random = np.random.default_rng(5)
i0 = random.gamma(20, 0.05, N)
frames = random.poisson(8 * i0[:, None, None] * np.ones((1, 16, 16))).astype("u2")
expected = signal(frames, i0)
for times in (1, 1e2, 1e4):
    glitch = i0.copy()
    glitch[38] *= times  # of the last bin
    write("glitch", frames, glitch)
    code, error = reduce("glitch")
    with h5py.File(f"{SCRATCH}/glitch_c.h5") as f:
        off = np.abs(f["entry/cube/signal"][()] - expected)[:9].max()
    r.ok(code == 0 and off < 1e-5, f"an I0 of {times:g} times the others' leaves the other bins alone ({off:.1e}) {error}")
for times in (1e6, 1e9, 1e30):
    glitch[38] = i0[38] * times
    write("glitch", frames, glitch)
    code, error = reduce("glitch")
    r.ok(code == 3 and "(i0): shot 1038 has an I0 of" in error and "select.i0" in error, f"one of {times:g} is refused: {error}")
code, error = reduce("glitch", "select.i0.max=100")
r.ok(code == 0, f"and with it cut all is well {error}")

# ---- photons
write("unit", frames.astype("u4") * 10000, i0)
code, error = reduce("unit")
r.ok(code == 3 and "8192 in a pixel" in error and "photons_per_unit" in error and "energy_kev" in error,
     f"all pixels beyond the range: {error}")
some = frames.astype("u4")
some[:, 2, 3] = 9000
some[200, 4, 5] = 9000
write("pixel", some, i0)
code, error = reduce("pixel")
with h5py.File(f"{SCRATCH}/pixel_c.h5") as f:
    mask = f["entry/mask"][()]
r.ok(code == 0 and mask[2, 3] == RANGE and mask[4, 5] == RANGE and (mask != 0).sum() == 2,
     "single pixels beyond it have a bit of their own")
r.ok("saturated" not in error and error.count("more than 8192 photons") == 2, f"and are not called saturated: {error}")

# ---- values in a unit that is no photon, so small that their scatter is rounded
for unit, told in ((1, False), (1e-2, False), (1e-3, True), (1e-4, True)):
    write("small", (frames * unit).astype("f4"), i0)
    code, error = reduce("small")
    r.ok(code == 0 and ("makes their errors too large" in error and "photons_per_unit" in error) == told,
         f"frames in units of {unit:g} photon: {'told' if told else 'well'} {error if not told else ''}")
write("counts", (random.random(frames.shape) < 3e-3 * i0[:, None, None]).astype("u2"), i0)
code, error = reduce("counts", "reduce.spatial_bin=8")
r.ok(code == 0 and "makes their errors" not in error, f"few photons, counted, are well {error}")

# ---- groups: the largest intensities that a detector has fit, those of a wrong unit are told
n, side = 4000, 16
i0 = random.uniform(0.9, 1.1, n)
level = np.rint(4000 * i0 * random.normal(1, 0.01, n)).astype("u2")
write("large", level[:, None, None] * np.ones((1, side, side), "u2"), i0)
code, error = reduce("large", f"reduce.spatial_bin={side}")
with h5py.File(f"{SCRATCH}/large_c.h5") as f:
    got, errors, mask = (f[f"entry/{k}"][()].ravel() for k in ("cube/signal", "cube/signal_errors", "mask"))
    r.ok(f["entry/sums"].attrs["s2_root_units_per_photon"] == 256 / side, "the units of S2 are told")
on, sums = np.arange(n) % 2 == 0, level.astype("f8")
bins = np.where(on, np.arange(n) % 40 // 4, -1)
rate0 = sums[~on].sum() / i0[~on].sum()
good = code == 0 and mask[0] == 0
for b in range(BINS):
    s, w = sums[bins == b], i0[bins == b]
    rate = s.sum() / w.sum()
    sigma = np.sqrt(len(s) / (len(s) - 1) * ((s - rate * w) ** 2).sum()) / w.sum() / rate0
    good &= abs(got[b] - (rate / rate0 - 1)) < 1e-5 and abs(errors[b] / sigma - 1) < 1e-3
r.ok(good, f"a million photons in a group and shot: signal and errors as they should be {error if not good else ''}")

side = 64
i0 = random.uniform(0.9, 1.1, n)
frames = np.zeros((n, side, 2 * side), "u2")
frames[:, :, :side] = np.rint(100 * i0).astype("u2")[:, None, None]
frames[:, :, side:] = np.rint(7000 * i0).astype("u2")[:, None, None]
for k, piece in enumerate((slice(0, 100), slice(100, n))):
    write(f"bright{k}", frames[piece], i0[piece], 1000 + piece.start)
    code, error = reduce(f"bright{k}", f"reduce.spatial_bin={side}", "reduce.delay_bins_ps=", "reduce.delay_bins_ps.edges=[0, 1]")
    with h5py.File(f"{SCRATCH}/bright{k}_c.h5") as f:
        mask = f["entry/mask"][()].ravel().tolist()
    if k == 0:
        r.ok(code == 0 and mask == [0, 0], f"few shots take it {error}")
    else:
        r.ok(code == 0 and mask == [0, RANGE] and "reduce.spatial_bin" in error and "saturated" not in error
             and "1 pixel groups are masked because their sums would overflow" in error, f"a group too bright: {mask} {error}")
done = xani("merge", f"{SCRATCH}/bright0_c.h5", f"{SCRATCH}/bright1_c.h5", "-o", f"{SCRATCH}/both.h5")
r.ok(done.returncode == 0 and "1 pixel groups" in done.stderr, f"merging says what it masks")
r.end()
