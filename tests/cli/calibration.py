#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""calibration.py XANI SCRATCH -- every detector's words become the photons that formats.md says, by NumPy in float64.

Files of constants and frames are written here from the text of formats.md 4 to 6, in every gain state, with invalid
codes, saturated words, NaN and masks of every table; what `xani reduce` adds up per pixel must equal the formula within
the fixed point, and exactly the pixels that had no number must be masked.  Then common mode, double pixels, photons and
`xani dark`.  Prints TAP.
"""
import os

from harness import SCRATCH, r, write_config, xani, xani_must

import h5py
import numpy as np

ENERGY, SHOTS = 9.5, 24
rng = np.random.default_rng(7)


def put(path, **datasets):
    with h5py.File(path, "w") as f:
        for name, value in datasets.items():
            f[name.replace("__", "/")] = value


def frames_file(path, words, modules, readings=True):
    """SwissFEL's layout: even shots laser-on, all at one delay."""
    n = len(words)
    ids = (1000 + np.arange(n)).astype("u8")
    with h5py.File(path, "w") as f:
        g = f.create_group("data/DET")
        g["data"] = words
        g["pulse_id"] = ids
        g["module_map"] = np.arange(modules)
        if not readings:
            return
        for name, value in (("I0", np.ones(n)), ("STAGE", np.zeros(n)), ("LASER", (np.arange(n) % 2 == 0).astype("f8"))):
            f[f"data/{name}/data"] = value
            f[f"data/{name}/pulse_id"] = ids


def reduce(name, words, modules, inputs, more=None, fails=None):
    """Laser-off sums in photons, mask; inputs: keys of input."""
    where = f"{SCRATCH}/{name}"
    os.makedirs(where, exist_ok=True)
    frames_file(f"{where}/run.h5", words, modules)
    config = {"experiment": {"energy_kev": ENERGY},
              "input": {"layout": "swissfel", "files": ["run.h5"], "frames": "DET", "i0": "I0", "laser": "LASER",
                        "delay": {"parts": [{"source": "STAGE"}], "sign": 1}, **inputs},
              "reduce": {"delay_bins_ps": {"start": -1, "stop": 1, "step": 2}, **(more or {})}}
    write_config(f"{where}/xani.yaml", config)
    done = xani("reduce", f"{where}/xani.yaml", "-o", f"{where}/cube.h5")
    if fails is not None:
        r.ok(done.returncode in (2, 3) and fails in done.stderr, f"{name}: is refused: {done.stderr.strip()[-160:]}")
        return None, None
    if not r.ok(done.returncode == 0, f"{name}: reduce runs {done.stderr.strip()[-300:] if done.returncode else ''}"):
        return None, None
    with h5py.File(f"{where}/cube.h5") as f:
        return f["entry/sums/off/s1"][()].reshape(words.shape[1:]) / 65536, f["entry/mask"][()]


def compare(name, got, mask, photons, out):
    """photons: (shots, y, x), NaN where a word has no number; out: pixels masked for good."""
    if got is None:
        return
    photons = np.where(abs(photons) < 8192, photons, np.nan)  # more than the fixed point holds has no number
    masked = out | np.isnan(photons).any(axis=0)
    masked |= ~masked & ~(photons[1::2].sum(axis=0) > 0)  # nothing to compare with
    r.ok(np.array_equal((mask & 0xffff) != 0, masked), f"{name}: {masked.sum()} of {masked.size} pixels are masked, and only those "
         f"{np.argwhere(((mask & 0xffff) != 0) != masked)[:5].tolist()}")
    off = photons[1::2]
    with np.errstate(invalid="ignore"):
        want = off.sum(axis=0)
        allowed = len(off) * 2.0**-17 * 1.01 + 3e-7 * np.abs(off).sum(axis=0)
    worst = np.nanmax(np.where(masked, 0, abs(got - want) / allowed))
    r.ok(worst <= 1, f"{name}: photons are the formula's ({worst:.2f} of what rounding allows)")
    r.ok(not masked.all() and np.abs(want[~masked]).max() > 1, f"{name}: and there are some")


def rare(chance, shape):
    """Pixels (not words) in which something may happen, so that most stay good."""
    return rng.random(shape) < chance


# ---- JUNGFRAU
M, NY, NX = 2, 16, 24
SHAPE = (M * NY, NX)
SINGLE = lambda a: np.asarray(a).astype("f4").astype("f8")  # constants are kept in float32
gain = np.stack([40 + rng.normal(0, 1, SHAPE), -1.4 + rng.normal(0, 0.02, SHAPE), -0.1 + rng.normal(0, 0.002, SHAPE),
                 55 + rng.normal(0, 1, SHAPE)])
pedestal = np.stack([3000 + rng.normal(0, 50, SHAPE), 14500 + rng.normal(0, 50, SHAPE), 14000 + rng.normal(0, 50, SHAPE),
                     2800 + rng.normal(0, 50, SHAPE)])
gain, pedestal = SINGLE(gain), SINGLE(pedestal)


def jungfrau_words(stages):
    """Words of all stages; in a few pixels invalid codes and saturated ones."""
    code = rng.choice(stages, (SHOTS, *SHAPE))
    value = np.where(code == 0, rng.integers(2500, 9000, code.shape), rng.integers(9000, 14400, code.shape))
    words = (code << 14 | value).astype("u2")
    for k, odd in enumerate((2 << 14 | 77, 0xC000, 0x3FFF)):
        words[rng.integers(SHOTS), rare(0.01, SHAPE)] = odd
        words[SHOTS - 1 - k, 3, 5 + k] = odd  # beyond the shots that are looked at first
    return words


def jungfrau(words, g, p, factor=1 / ENERGY):
    """The formula: g >> 14 chooses the plane, 10 and the ends of the range have no number."""
    code = words >> 14
    plane = np.array([0, 1, 0, 2])[code]
    yy, xx = np.indices(SHAPE)
    photons = ((words & 0x3FFF) - p[plane, yy, xx]) * factor / g[plane, yy, xx]
    photons[(code == 2) | (words == 0xC000) | (words == 0x3FFF)] = np.nan
    return photons


psi_mask = np.zeros(SHAPE, "i8")
psi_mask[0, 0], psi_mask[0, 1], psi_mask[0, 2], psi_mask[0, 3] = 1, 1 << 9, 1 << 20, 1 << 21
broken = gain.copy()
broken[0, 1, 0], broken[1, 1, 1], broken[2, 1, 2] = np.nan, 0, np.inf
put(f"{SCRATCH}/gains.h5", gains=broken)
put(f"{SCRATCH}/pedestal.h5", gains=pedestal[:3], pixel_mask=psi_mask)
FILES = {"pedestal": f"{SCRATCH}/pedestal.h5", "gain": f"{SCRATCH}/gains.h5"}
out = psi_mask != 0
out[1, :3] = True
words = jungfrau_words([0, 0, 0, 1, 3])
got, mask = reduce("jungfrau", words, M, {"calibration": FILES})
compare("jungfrau", got, mask, jungfrau(words, gain, pedestal), out)
if mask is not None:
    r.ok(list(mask[0, :4]) == [1 << 8, 1 << 1, 1 << 0, 1 << 5], "jungfrau: PSI's bits become user, dead, gap, undefined")

same = mask
for layout in ("nexus", "nxmx"):  # raw words in a NeXus file: 65535 is no number by its code, not for being the largest
    put(f"{SCRATCH}/{layout}.h5", entry__data__data=words, I0=np.ones(SHOTS), STAGE=np.zeros(SHOTS), LASER=np.arange(SHOTS) % 2 == 0)
    got, mask = reduce(layout, words, M, {"layout": layout, "files": [f"{SCRATCH}/{layout}.h5"], "frames": "entry/data/data", "calibration": FILES,
                                          "detector": "jungfrau"})
    compare(layout, got, mask, jungfrau(words, gain, pedestal), out)
    r.ok(same is not None and np.array_equal(mask, same), f"{layout}: the mask is the same")

put(f"{SCRATCH}/pedestal4.h5", gains=pedestal)
words = jungfrau_words([0] * 20 + [1])
got, mask = reduce("high_gain", words, M, {"calibration": {"pedestal": f"{SCRATCH}/pedestal4.h5", "gain": f"{SCRATCH}/gains.h5",
                                                           "gain_mode": "high"}})
out = np.zeros(SHAPE, bool)
out[1, 1:3] = True  # the plane of the high gain is whole
compare("high_gain", got, mask, jungfrau(words, gain[[3, 1, 2]], pedestal[[3, 3, 3]]), out)

for stage, code in (("g1", 1), ("g2", 3), ("g0", 0)):
    words = (code << 14 | rng.integers(9000, 14000, (SHOTS, *SHAPE))).astype("u2")
    words[rng.integers(SHOTS), rare(0.01, SHAPE)] = (3 - code if code != 1 else 3) << 14 | 12000  # another stage
    words[rng.integers(SHOTS), rare(0.01, SHAPE)] = 0xC000
    words[rng.integers(SHOTS), rare(0.01, SHAPE)] = code << 14 | (0x3FFF if code == 0 else 0)  # the end of the range
    photons = jungfrau(words, gain, pedestal)
    photons[(words >> 14 != code) | ((words & 0x3FFF) == (0x3FFF if code == 0 else 0))] = np.nan
    got, mask = reduce(f"fixed_{stage}", words, M, {"calibration": {"pedestal": f"{SCRATCH}/pedestal4.h5", "gain_stages":
                                                                    [40, -1.4, -0.1], "gain_mode": stage}})
    flat = np.array([40, -1.4, -0.1])[:, None, None] * np.ones(SHAPE)
    photons = np.where(np.isnan(photons), np.nan, jungfrau(words, flat, pedestal))
    compare(f"fixed_{stage}", got, mask, photons, np.zeros(SHAPE, bool))

# psana: (3, segments, rows, columns), gains, offsets that are added, status; and the pedestals as text
segments = (3, M, NY, NX)
offset = rng.normal(0, 20, (3, *SHAPE))
status = np.zeros(segments, "u8")
status[1, 0, 2, 3] = 64
put(f"{SCRATCH}/psana.h5", pedestals=pedestal[:3].reshape(segments).astype("f4"), pixel_offset=offset.reshape(segments).astype("f4"),
    pixel_status=status, pixel_gain=gain[:3].reshape(segments).astype("f4"))
words = jungfrau_words([0, 0, 1, 3])
got, mask = reduce("psana", words, M, {"detector": "jungfrau", "calibration": {"pedestal": f"{SCRATCH}/psana.h5", "gain": f"{SCRATCH}/psana.h5"}})
out = np.zeros(SHAPE, bool)
out[2, 3] = True
compare("psana", got, mask, jungfrau(words, gain[:3], SINGLE(pedestal[:3] + SINGLE(offset))), out)


def text_constants(path, array):
    with open(path, "w") as f:
        f.write(f"# TITLE constants\n# DTYPE float32\n# NDIM {array.ndim}\n")
        f.writelines(f"# DIM:{i + 1} {n}\n" for i, n in enumerate(array.shape))
        for row in array.reshape(-1, array.shape[-1]):
            f.write(" ".join(f"{v:.4f}" for v in row) + "\n")


text_constants(f"{SCRATCH}/pedestals.data", pedestal[:3].reshape(segments))
got, mask = reduce("psana_text", words, M, {"calibration": {"pedestal": f"{SCRATCH}/pedestals.data", "gain": f"{SCRATCH}/gains.h5"}})
out = np.zeros(SHAPE, bool)
out[1, :3] = True
compare("psana_text", got, mask, jungfrau(words, gain, SINGLE(np.round(pedestal, 4))), out)
text_constants(f"{SCRATCH}/short.data", pedestal[:2])
reduce("text_short", words, M, {"calibration": {"pedestal": f"{SCRATCH}/short.data", "gain": f"{SCRATCH}/gains.h5"}}, fails="short.data")
with open(f"{SCRATCH}/broken.data", "w") as f:
    f.write("# NDIM 2\n1 2 3\n4 5 x6\n")
reduce("text_broken", words, M, {"calibration": {"pedestal": f"{SCRATCH}/broken.data", "gain": f"{SCRATCH}/gains.h5"}}, fails="broken.data:3")

# ---- ePix10ka: seven ranges, chosen by each pixel's configuration and bit 14
ranges_gain = np.stack([g * (1 + rng.normal(0, 0.02, SHAPE)) for g in (16.4, 5.5, 0.164, 16.4, 5.5, 0.164, 0.164)])
ranges_pedestal = np.stack([p + rng.normal(0, 30, SHAPE) for p in (2900, 3000, 3100, 2800, 2700, 3300, 3400)])
bits = rng.choice([28, 12, 8, 24, 16, 0], SHAPE).astype("u1") | rng.integers(0, 4, SHAPE).astype("u1")  # T and M bits say nothing
bits[4, :3] = 4  # no such configuration
put(f"{SCRATCH}/epix.h5", pedestals=ranges_pedestal, pixel_gain=ranges_gain, configuration=bits)
words = (rng.integers(0, 2, (SHOTS, *SHAPE)) << 14 | rng.integers(2800, 4000, (SHOTS, *SHAPE))).astype("u2")
words |= (rng.integers(0, 2, words.shape) << 15).astype("u2")
words[3, rare(0.02, SHAPE)] |= 0x3FFF
table = {28: (0, 0), 12: (1, 1), 8: (2, 2), 24: (2, 2), 16: (3, 5), 0: (4, 6)}
plane = np.array([[table.get(int(b) & 28, (0, 0)) for b in row] for row in bits])
chosen = np.where(words >> 14 & 1, plane[..., 1], plane[..., 0])
yy, xx = np.indices(SHAPE)
ranges_gain, ranges_pedestal = SINGLE(ranges_gain), SINGLE(ranges_pedestal)
photons = ((words & 0x3FFF) - ranges_pedestal[chosen, yy, xx]) / ranges_gain[chosen, yy, xx] / ENERGY
photons[(words & 0x3FFF) == 0x3FFF] = np.nan
out = (bits & 28) == 4
EPIX = {"pedestal": f"{SCRATCH}/epix.h5", "gain": f"{SCRATCH}/epix.h5", "ranges_file": f"{SCRATCH}/epix.h5"}
got, mask = reduce("epix10ka", words, M, {"detector": "epix10ka", "calibration": EPIX})
compare("epix10ka", got, mask, photons, out)
one = {k: v for k, v in EPIX.items() if k != "ranges_file"}
for mode, (low, high) in {"fh": (0, 0), "aml": (4, 6)}.items():
    chosen = np.where(words >> 14 & 1, high, low)
    photons = ((words & 0x3FFF) - ranges_pedestal[chosen, yy, xx]) / ranges_gain[chosen, yy, xx] / ENERGY
    photons[(words & 0x3FFF) == 0x3FFF] = np.nan
    got, mask = reduce(f"epix10ka_{mode}", words, M, {"detector": "epix10ka", "calibration": {**one, "ranges": mode}})
    compare(f"epix10ka_{mode}", got, mask, photons, np.zeros(SHAPE, bool))
reduce("epix10ka_no_ranges", words, M, {"detector": "epix10ka", "calibration": one}, fails="ranges")

# ---- detectors with one plane
dark = SINGLE(100 + rng.normal(0, 5, SHAPE))
keep = np.zeros(SHAPE, bool)
put(f"{SCRATCH}/plane.h5", pedestals=dark, gain=0.05 + rng.normal(0, 1e-3, SHAPE))
with h5py.File(f"{SCRATCH}/plane.h5") as f:
    flat = f["gain"][()]
adu = rng.integers(90, 400, (SHOTS, *SHAPE)).astype("u2")
PLANE = {"pedestal": f"{SCRATCH}/plane.h5", "gain": f"{SCRATCH}/plane.h5"}
got, mask = reduce("epix100", adu, M, {"detector": "epix100", "calibration": {**PLANE, "gain_unit": "kev_per_adu"}})
compare("epix100", got, mask, (adu - dark) * flat / ENERGY, keep)

panels = [18.2, 17.4]  # electrons per ADU of each panel
got, mask = reduce("mpccd", adu.astype("i2"), M, {"detector": "mpccd", "calibration": {"pedestal": f"{SCRATCH}/plane.h5", "gain_modules": panels}})
per_pixel = np.repeat(panels, NY)[:, None] * np.ones(NX)
compare("mpccd", got, mask, (adu - dark) * per_pixel * 3.65 / (ENERGY * 1e3), keep)

bright = adu.copy()
bright[5, rare(0.02, SHAPE)] = 65535
photons = (bright - 10.0) * 0.3
photons[bright == 65535] = np.nan
got, mask = reduce("rayonix", bright, M, {"detector": "rayonix", "calibration": {"offset": 10, "photons_per_unit": 0.3}})
compare("rayonix", got, mask, photons, keep)

wide = adu.astype("i4") * 100
wide[3, 7, 7] = 39999
photons = (wide - dark) * flat
photons[wide >= 39950] = np.nan
got, mask = reduce("generic", wide, M, {"detector": "generic", "calibration": {**PLANE, "gain_unit": "photons_per_adu", "saturated": 39950}})
compare("generic", got, mask, photons, keep)

# ---- corrected frames: NaN, and masks of the facility by name of their bits
kev = rng.gamma(2.0, 6.0, (SHOTS, *SHAPE)).astype("f4")
kev[7, rare(0.02, SHAPE)] = np.nan
flags = np.zeros(SHAPE, "u4")
flags[5, :4] = 1 << 0, 1 << 16, 1 << 16 | 1 << 17, 0xFFFFFFFF
put(f"{SCRATCH}/flags.h5", mask=flags)
rule = {"file": f"{SCRATCH}/flags.h5", "dataset": "mask", "bits": "euxfel", "ignore": ["INTERPOLATED"]}
for name in ("agipd", "lpd", "dssc"):
    got, mask = reduce(name, kev, M, {"detector": name, "calibration": {"kev_per_unit": 1}, "mask": [rule]})
    compare(name, got, mask, kev.astype("f8") / ENERGY, (flags & ~np.uint32(1 << 16)) != 0)
if mask is not None:
    r.ok(mask[5, 0] == 1 << 1 and mask[5, 1] & 0xffff == 0 and mask[5, 2] == 1 << 4, "corrected: bits keep their meaning")
reduce("agipd_planes", kev, M, {"detector": "agipd", "calibration": PLANE}, fails="corrected frames")
reduce("no_bit", kev, M, {"calibration": {"kev_per_unit": 1}, "mask": [{**rule, "ignore": ["INTERPOLATE"]}]}, fails="INTERPOLATE")
nxmx = np.zeros(SHAPE, "u4")
nxmx[6, :3] = 1 << 4, 1 << 31, 1 << 8 | 1 << 31
put(f"{SCRATCH}/nxmx.h5", mask=nxmx, good=(nxmx == 0).astype("u1"))
got, mask = reduce("nxmx", adu, M, {"calibration": {"photons_per_unit": 1}, "mask": [{"file": f"{SCRATCH}/nxmx.h5", "dataset": "mask", "bits": "nxmx"}]})
compare("nxmx", got, mask, adu.astype("f8"), (nxmx & 0xffff) != 0)
got, mask = reduce("polarity", adu, M, {"calibration": {"photons_per_unit": 1}, "mask": [{"file": f"{SCRATCH}/nxmx.h5", "dataset": "good", "good": "nonzero"}]})
compare("polarity", got, mask, adu.astype("f8"), nxmx != 0)


# ---- corrections of whole frames
def common_mode(v, use, bank, columns, most=40, least=5):
    """psana: banks, rows of banks, columns of the stripe; medians of what takes part."""
    v = v.copy()

    def step(part):
        m = np.nan_to_num(np.median(v[part][use[part]])) if use[part].sum() > least else 0.0
        if abs(m) < most:
            v[part] -= np.where(use[part], m, 0)
    for y in range(0, v.shape[0], bank):
        stripe = slice(y, y + bank)
        for x in range(0, v.shape[1], columns):
            step((stripe, slice(x, x + columns)))
        for row in range(y, y + bank):
            for x in range(0, v.shape[1], columns):
                step((slice(row, row + 1), slice(x, x + columns)))
        for x in range(v.shape[1]):
            step((stripe, slice(x, x + 1)))
    return v


put(f"{SCRATCH}/whole.h5", gains=gain)
words = (3000 + rng.normal(0, 6, (SHOTS, *SHAPE)) + 15 * rng.normal(0, 1, (SHOTS, M * NY, 1)) +
         np.repeat(rng.normal(0, 12, (SHOTS, 1, NX // 6)), 6, axis=2)).astype("u2")
words[rng.random(words.shape) < 0.05] = 1 << 14 | 14000
words[rng.random(words.shape) < 0.05] = 5000
photons = np.empty(words.shape)
use_mask = psi_mask == 0
for i, w in enumerate(words):
    quiet = (w >> 14 == 0) & use_mask
    level = common_mode(np.where(quiet, w - pedestal[0], 0.0), quiet, NY, 6)
    raw = jungfrau(w[None], gain, pedestal)[0]
    photons[i] = np.where(quiet, level / gain[0] / ENERGY, raw)
asked = {"banks": True, "rows": True, "columns": True, "max_correction": 40, "min_pixels": 5, "bank_px": [NY, 6]}
COMMON = {"calibration": {"pedestal": f"{SCRATCH}/pedestal.h5", "gain": f"{SCRATCH}/whole.h5"}}
got, mask = reduce("common_mode", words, M, {**COMMON, "common_mode": asked})
if got is not None:
    worst = abs(got - photons[1::2].sum(axis=0))[use_mask].max()
    plain, _ = reduce("no_common_mode", words, M, COMMON)
    moved = abs(plain - got)[use_mask].max()
    r.ok(worst < 1e-3 and moved > 0.1, f"common_mode: as psana's rule ({worst:.1e} photons; it moves up to {moved:.2f})")
reduce("common_mode_bank", words, M, {**COMMON, "common_mode": {**asked, "bank_px": [NY, 7]}}, fails="bank_px")

# double pixels: chips of 8 x 6
flat_light = np.full((SHOTS, *SHAPE), 12, "u2")
ys, xs = np.indices(SHAPE)
wide_y = (ys % NY % 8 == 7) & (ys % NY != NY - 1) | (ys % NY % 8 == 0) & (ys % NY != 0)
wide_x = (xs % 6 == 5) & (xs != NX - 1) | (xs % 6 == 0) & (xs != 0)
flat_light = flat_light * (1 + wide_y).astype("u2") * (1 + wide_x).astype("u2")
DOUBLE = {"calibration": {"photons_per_unit": 1}, "chip_px": [8, 6]}
got, mask = reduce("double_keep", flat_light, M, DOUBLE)
compare("double_keep", got, mask, flat_light.astype("f8"), keep)
got, mask = reduce("double_mask", flat_light, M, {**DOUBLE, "double_pixels": "mask"})
compare("double_mask", got, mask, flat_light.astype("f8"), wide_y | wide_x)
got, mask = reduce("double_interpolate", flat_light, M, {**DOUBLE, "double_pixels": "interpolate"})
compare("double_interpolate", got, mask, np.full(flat_light.shape, 12.0), keep)


# photons
def neighbour(v, seed=0.5, total=0.9):
    whole, rest = np.where(v > 0, np.floor(v), 0), np.where(v > 0, v % 1, 0)
    busy, found = np.zeros(v.shape, bool), whole.copy()
    for y, x in np.ndindex(v.shape):
        if rest[y, x] < seed:
            continue
        cross = [(y + a, x + b) for a, b in ((-1, 0), (0, -1), (0, 1), (1, 0)) if 0 <= y + a < v.shape[0] and 0 <= x + b < v.shape[1]]
        if any(rest[c] > rest[y, x] or (rest[c] == rest[y, x] and c < (y, x)) for c in cross):
            continue
        free = [c for c in cross if not busy[c] and rest[c] > 0]
        best = max(free, key=lambda c: rest[c]) if free else None
        if rest[y, x] + (rest[best] if best else 0) >= total:
            found[y, x] += 1
            busy[y, x] = True
            if best:
                busy[best] = True
    return found


def droplets(v, seed=0.5, low=0.2):
    found, seen = np.zeros(v.shape), np.zeros(v.shape, bool)
    for start in np.ndindex(v.shape):
        if seen[start] or v[start] < low:
            continue
        drop, todo = [], [start]
        seen[start] = True
        while todo:
            y, x = todo.pop()
            drop.append((y, x))
            for c in ((y - 1, x), (y, x - 1), (y, x + 1), (y + 1, x)):
                if 0 <= c[0] < v.shape[0] and 0 <= c[1] < v.shape[1] and not seen[c] and v[c] >= low:
                    seen[c] = True
                    todo.append(c)
        left = {c: v[c] for c in drop}
        if max(left.values()) < seed:
            continue
        for _ in range(int(np.floor(sum(left.values()) + 0.5))):
            best = max(left, key=left.get)
            left[best] -= 1
            found[best] += 1
    return found


charge = rng.poisson(0.15, (SHOTS, *SHAPE)).astype("f8")
shared = rng.uniform(0, 0.45, charge.shape) * charge
charge -= shared
charge[:, :, 1:] += shared[:, :, :-1]
charge = (np.round((charge + rng.normal(0, 0.05, charge.shape)) * 65536) / 65536).astype("f4")
PHOTONS = {"calibration": {"photons_per_unit": 1}}
per_module = lambda rule: np.array([np.concatenate([rule(v[k * NY:(k + 1) * NY].astype("f8")) for k in range(M)]) for v in charge])
for method, want in (("round", np.maximum(np.floor(charge.astype("f8") + 0.5), 0)), ("neighbour", per_module(neighbour)),
                     ("droplet", per_module(droplets))):
    got, mask = reduce(f"photons_{method}", charge, M, PHOTONS, {"photons": {"method": method}})
    compare(f"photons_{method}", got, mask, want, keep)
got, mask = reduce("threshold", charge, M, PHOTONS, {"threshold_photons": 0.5})
compare("threshold", got, mask, np.where(charge < 0.5, 0, charge).astype("f8"), keep)

# ---- dark runs
where = f"{SCRATCH}/dark"
os.makedirs(where, exist_ok=True)
noise = np.array([6.0, 3.0, 2.5])
codes = (0, 1, 3)
N = 300
runs = []
for k in range(3):
    words = np.round(pedestal[k] + noise[k] * rng.normal(0, 1, (N, *SHAPE)))
    words[rng.random(words.shape) < 0.01] += 900  # cosmic rays and afterglow
    words[:, 3, 3] = 5000           # no noise
    words[:, 4, 4] = np.round(pedestal[k, 4, 4] + 15 * noise[k] * rng.normal(0, 1, N))  # noisy
    words = (codes[k] << 14 | np.clip(words, 1, 0x3FFE).astype("i8")).astype("u2")
    words[:, 5, 5] = codes[(k + 1) % 3] << 14 | 5000  # never in the stage
    words[10:13] = codes[(k + 1) % 3] << 14 | 7000    # frames of another stage
    words[20, :NY // 2] = 2 << 14                      # a quarter of the pixels: the frame still counts
    frames_file(f"{where}/g{k}.h5", words, M, readings=False)
    runs.append({"stage": f"g{k}", "files": [f"g{k}.h5"]})
base = {"experiment": {"energy_kev": ENERGY}, "input": {"layout": "swissfel", "frames": "DET", "laser": "daq_rec"}}
write_config(f"{where}/xani.yaml", {**base, "dark": {"runs": runs}})
done = xani("dark", f"{where}/xani.yaml", "-o", f"{where}/calibration.h5")
if r.ok(done.returncode == 0, f"dark: runs {done.stderr.strip()[-300:] if done.returncode else ''}"):
    r.ok(os.path.exists(f"{where}/calibration.h5.manifest.json"), "dark: the file has a manifest")
    with h5py.File(f"{where}/calibration.h5") as f:
        c = f["entry/calibration"]
        means, rms, count, bad = (c[n][()] for n in ("pedestal", "rms", "count", "mask"))
        r.ok(list(c["frames_used"][()]) == [N - 3] * 3 and list(c["frames_rejected"][()]) == [3] * 3, "dark: frames of another stage are rejected, the others used")
        stage_mask = c["stage_mask"][()]
    odd = np.zeros(SHAPE, bool)
    odd[3, 3] = odd[4, 4] = odd[5, 5] = True
    r.ok(np.array_equal(bad != 0, odd), f"dark: exactly the bad pixels are masked: {np.argwhere(bad != 0).tolist()}")
    r.ok(list(bad[[3, 4, 5], [3, 4, 5]]) == [1 << 1, 1 << 4, 1 << 5], "dark: dead, noisy, undefined")
    for k in range(3):
        off = abs(means[k] - pedestal[k])[~odd] / noise[k]
        r.ok(off.max() < 5.5 / np.sqrt(N - 3), f"dark: pedestals of g{k} within {off.max() * np.sqrt(N - 3):.1f} standard errors in spite of outliers")
        spread = np.sqrt(rms[k][~odd]**2 - 1 / 12)
        r.ok(abs(spread.mean() / noise[k] - 1) < 0.02, f"dark: noise of g{k} is {spread.mean():.3f}, put in {noise[k]}")
    words = jungfrau_words([0, 0, 1, 3])
    got, mask = reduce("from_dark", words, M, {"calibration": {"pedestal": f"{where}/calibration.h5", "gain": f"{SCRATCH}/whole.h5"}})
    compare("from_dark", got, mask, jungfrau(words, gain, means.astype("f8")), odd)
    first = open(f"{where}/calibration.h5", "rb").read()
    hashes = []
    for threads in (1, 3):
        xani_must("dark", f"{where}/xani.yaml", "-o", f"{where}/t{threads}.h5", "--set", f"engine.threads={threads}")
        with h5py.File(f"{where}/t{threads}.h5") as f:
            hashes.append(b"".join(f[f"entry/calibration/{n}"][()].tobytes() for n in ("pedestal", "rms", "count", "mask")))
    r.ok(hashes[0] == hashes[1], "dark: the same bits for any number of threads")
for name, wrong, why in (("twice", [runs[0], runs[0]], "twice"), ("mixed", [runs[0], {"stage": "fh", "files": ["g1.h5"]}], "different detectors"),
                         ("other", [{"stage": "g2", "files": ["g0.h5"]}], "in stage g2"), ("gone", [{"stage": "g0", "files": ["g9.h5"]}], "g9.h5")):
    write_config(f"{where}/{name}.yaml", {**base, "dark": {"runs": wrong}})
    done = xani("dark", f"{where}/{name}.yaml", "-o", f"{where}/{name}.h5")
    r.ok(done.returncode in (2, 3) and why in done.stderr and not os.path.exists(f"{where}/{name}.h5"), f"dark: {name} is refused and leaves nothing: {done.stderr.strip()[-140:]}")
r.end()
