#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""geometry.py XANI SCRATCH -- every pixel of every kind of geometry file lies where the facility's formulas put it, to
1e-6 m, and sees the Q that follows, to 1e-6 1/Angstrom; both calculated here in NumPy from the files themselves, and for
European XFEL's files also by extra_geom where XN_EXTRA_GEOM names a python that has it.  Prints TAP.
"""
import json
import os
import re
import subprocess

from harness import ROOT, SCRATCH, SHARED, r, xani

import h5py
import numpy as np

from pixels import load

K_PER_KEV = 2 * np.pi / 12.398419843320026

def q_of(position, energy_kev=9.5):
    unit = position / np.linalg.norm(position, axis=-1, keepdims=True)
    return K_PER_KEV * energy_kev * (unit - [0, 0, 1])


def compare(name, wanted, energy_kev=9.5, **settings):
    got = load(**settings)
    if isinstance(got, str):
        return r.ok(False, f"{name}: {got}")
    position, q, mask = got
    if not r.ok(position.shape == wanted.shape, f"{name}: shape {position.shape}, wanted {wanted.shape}"):
        return None
    away = np.nanmax(np.abs(position - wanted))
    same = np.array_equal(np.isnan(position), np.isnan(wanted))
    r.ok(same and away < 1e-6, f"{name}: positions within {away:.1e} m")
    away = np.nanmax(np.abs(q - q_of(wanted, energy_kev)))
    r.ok(away < 1e-6, f"{name}: Q within {away:.1e} 1/A")
    return mask


# ---- formulas, from each file

def lpd(path, quadrants, sign=1):
    """16 tiles of 32 x 128 pixels of 0.5 mm, measured to the last corner (formats.md 7)."""
    out = np.zeros((16, 256, 256, 3))
    with h5py.File(path) as f:
        for m in range(16):
            group = f[f"Q{m // 4 + 1}/M{m % 4 + 1}"]
            for t in range(16):
                last = np.array(quadrants[m // 4]) + sign * (group["Position"][:2] + group[f"T{t + 1:02}/Position"][:2])
                rows = slice(256 - 32 * (t + 1), 256 - 32 * t) if t < 8 else slice(32 * (t - 8), 32 * (t - 7))
                columns = slice(0, 128) if t < 8 else slice(128, 256)
                out[m, rows, columns, 0] = (1e-3 * last[0] - 0.5e-3 * (128 - np.arange(128) - 0.5))[None, :]
                out[m, rows, columns, 1] = (1e-3 * last[1] - 0.5e-3 * (32 - np.arange(32) - 0.5))[:, None]
    return out


def dssc(path, quadrants):
    """2 tiles of 128 x 256 hexagons, 236 um wide, rows 1.5/sqrt(3) of that apart, odd ones half a pixel on."""
    out = np.zeros((16, 128, 512, 3))
    pixel, row = 236e-6, 236e-6 * 1.5 / 3 ** 0.5
    with h5py.File(path) as f:
        for m in range(16):
            way = -1 if m < 8 else 1
            group = f[f"Q{m // 4 + 1}/M{m % 4 + 1}"]
            for t in range(2):
                low = 1e-3 * (np.array(quadrants[m // 4]) + group["Position"][:2] + group[f"T{t + 1:02}/Position"][:2])
                x = np.arange(256)[None, :] + 0.5 + 0.5 * (np.arange(128) % 2)[:, None]
                y = (np.arange(128) + 2 / 3)[:, None] + 0 * x
                x0, y0 = (low[0] + 256 * pixel, low[1]) if way < 0 else (low[0], low[1] + 128 * row)
                out[m, :, 256 * t:256 * t + 256, 0] = x0 + way * pixel * x
                out[m, :, 256 * t:256 * t + 256, 1] = y0 - way * row * y
    return out


def both_sides(half, pixel, wide, at_centre):
    right = np.arange(half) * pixel + wide - pixel / 2
    if at_centre:
        right[0] = wide / 2
    return np.concatenate([-right[::-1], right])


def sensor(name):
    """x (columns), y (rows) of a sensor's pixels in um, as psana's SegGeometry classes make them."""
    if name.startswith("JUNGFRAU"):
        x = np.concatenate([np.arange(256) + x0 for x0 in (-514.5, -256.5, 1.5, 259.5)]) * 75
        y = np.concatenate([np.arange(256) + y0 for y0 in (-256.5, 1.5)]) * 75
        for i in (255, 511, 767):  # wide pixels at their centres since 2025-09-19
            x[i] += 37.5
            x[i + 1] -= 37.5
        y[255] += 37.5
        y[256] -= 37.5
        return x, y
    if name == "EPIX10KA:V1":
        return both_sides(192, 100, 225, False), -both_sides(176, 100, 225, False)
    if name == "EPIX100:V1":
        return both_sides(384, 50, 175, False), both_sides(352, 50, 175, False)
    if name == "EPIXUHR3X2:V1":
        middle = np.arange(192) * 100 - 19100 // 2
        y = np.arange(168)[::-1] * 100 + 262.5 - 50
        return np.concatenate([middle - 19100 - 425, middle, middle + 19100 + 425]), np.concatenate([y, -y[::-1]])
    raise KeyError(name)


def turned(a, b, degrees):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return a * c - b * s, b * c + a * s


def psana(path):
    objects = []
    for line in open(path):
        fields = line.split()
        if not fields or line.lstrip().startswith("#"):
            continue
        numbers = [float(v) for v in fields[4:]]
        if fields[0].startswith("IP"):
            numbers[2] = -abs(numbers[2])
        objects.append((fields[0], int(fields[1]), fields[2], int(fields[3]), numbers))
    names = {(o[2], o[3]) for o in objects}

    def pixels(o):
        children = [c for c in objects if (c[0], c[1]) == (o[2], o[3])]
        if children:
            parts = [pixels(c) for c in children]
            x, y, z = (np.concatenate([p[k] for p in parts]) for k in range(3))
        else:
            x, y = (v[None] for v in np.meshgrid(*sensor(o[2])))
            z = np.zeros_like(x)
        n = o[4]
        x, y = turned(x, y, n[3] + n[6])
        z, x = turned(z, x, n[4] + n[7])
        y, z = turned(y, z, n[5] + n[8])
        return x + n[0], y + n[1], z + n[2]

    parts = [pixels(o) for o in objects if (o[0], o[1]) not in names]
    x, y, z = (np.concatenate([p[k] for p in parts]) for k in range(3))
    return 1e-6 * np.stack([-y, -x, -z], axis=-1)


def crystfel(path):
    defaults, panels = {}, {}
    for line in open(path):
        line = line.split(";")[0]
        if "=" not in line or line.strip().startswith("rigid"):
            continue
        key, value = (s.strip() for s in line.split("=", 1))
        if "/" in key and not key.startswith("/"):
            name, key = key.split("/")
            panels.setdefault(name, dict(defaults))[key] = value
        else:
            defaults[key] = value

    def vector(s):
        v = [0, 0, 0]
        for size, axis in re.findall(r"([-+]?[\d.]*)\s*([xyz])", s):
            v["xyz".index(axis)] += float(size + "1" if size in ("", "+", "-") else size)
        return np.array(v)

    planes = 1 + max(int(p["dim1"]) for p in panels.values())
    out = np.full((planes, 512, 128, 3), np.nan)
    for p in panels.values():
        fs, ss = np.arange(int(p["min_fs"]), int(p["max_fs"]) + 1), np.arange(int(p["min_ss"]), int(p["max_ss"]) + 1)
        i, j = (fs - fs[0] + 0.5)[None, :, None], (ss - ss[0] + 0.5)[:, None, None]
        corner = np.array([float(p["corner_x"]), float(p["corner_y"]), 0])
        place = (corner + i * vector(p["fs"]) + j * vector(p["ss"])) / float(p["res"])
        place[..., 2] += float(p["clen"]) + float(p.get("coffset", 0))
        out[int(p["dim1"]), ss[0]:ss[-1] + 1, fs[0]:fs[-1] + 1] = place
    return out


def stacked(a):
    return a.reshape(-1, a.shape[-2], 3)


def at(a, distance):
    return a + [0, 0, distance]


# ---- the files given

LPD_QUADRANTS = [[11.4, 299], [-11.5, 8], [254.5, -16], [278.5, 275]]
DSSC_QUADRANTS = [[-130, 5], [-130, -125], [5, -125], [5, 5]]
if os.path.isdir(SHARED):
    path = f"{SHARED}/extra_geom/lpd_mar_18.h5"
    compare("LPD", at(stacked(lpd(path, LPD_QUADRANTS)), 0.2), file=path, distance_mm=200, quadrants_mm=LPD_QUADRANTS)
    compare("LPD, inverted", at(stacked(lpd(path, LPD_QUADRANTS, -1)), 0.2), file=path, distance_mm=200,
            quadrants_mm=LPD_QUADRANTS, inverted=True)
    path = f"{SHARED}/extra_geom/dssc_geo_june19.h5"
    compare("DSSC", at(stacked(dssc(path, DSSC_QUADRANTS)), 0.4), file=path, distance_mm=400, quadrants_mm=DSSC_QUADRANTS)
    said = load(file=path, distance_mm=400)
    r.ok(isinstance(said, str) and "geometry.quadrants_mm" in said, f"a file without quadrants asks for them: {said}")
    said = load(file=path, quadrants_mm=DSSC_QUADRANTS)
    r.ok(isinstance(said, str) and "geometry.distance_mm" in said, f"a file without distance asks for it: {said}")
    path = f"{SHARED}/extra_geom/agipd_mar18_v11.geom"
    compare("AGIPD in CrystFEL's form", stacked(crystfel(path)), file=path)
    for name in sorted(os.listdir(f"{SHARED}/psana_geometry")):
        path = f"{SHARED}/psana_geometry/{name}"
        compare(name, stacked(psana(path)), file=path)
    path = f"{SHARED}/psana_geometry/geometry-def-epix10kaquad.data"
    compare("ePix10ka, distance given", at(stacked(psana(path)), 0.25 - 0.1), file=path, distance_mm=250)
    path = f"{SHARED}/hummingbird/geometry.h5"
    with h5py.File(path) as f:
        wanted = np.stack([f[k][()].astype("f8") for k in "xyz"], axis=-1) * 0.11e-3
    compare("Hummingbird's pixel map", at(wanted, 0.5), file=path, distance_mm=500, map__pixel_mm=0.11)
    said = load(file=path, distance_mm=500)
    r.ok(isinstance(said, str) and "geometry.map.pixel_mm" in said, f"a map in pixels asks for their size: {said}")
else:
    r.skip("the facilities' own files", "shared data are not here")

# ---- extra_geom as a further referee

REFEREE = """
import numpy as np, sys
from extra_geom import LPD_1MGeometry, DSSC_1MGeometry, AGIPD_1MGeometry
data, out = sys.argv[1:]
lpd = LPD_1MGeometry.from_h5_file_and_quad_positions(data + "/lpd_mar_18.h5", %r)
dssc = DSSC_1MGeometry.from_h5_file_and_quad_positions(data + "/dssc_geo_june19.h5", %r)
agipd = AGIPD_1MGeometry.from_crystfel_geom(data + "/agipd_mar18_v11.geom")
np.savez(out, lpd=lpd.get_pixel_positions(), dssc=dssc.get_pixel_positions(), agipd=agipd.get_pixel_positions())
""" % (LPD_QUADRANTS, DSSC_QUADRANTS)
referee = os.environ.get("XN_EXTRA_GEOM")
if referee and os.path.isdir(SHARED):
    subprocess.run([referee, "-c", REFEREE, f"{SHARED}/extra_geom", f"{SCRATCH}/referee.npz"], check=True)
    with np.load(f"{SCRATCH}/referee.npz") as f:
        compare("extra_geom's LPD", at(stacked(f["lpd"]), 0.2), file=f"{SHARED}/extra_geom/lpd_mar_18.h5", distance_mm=200,
                quadrants_mm=LPD_QUADRANTS)
        compare("extra_geom's DSSC", at(stacked(f["dssc"]), 0.4), file=f"{SHARED}/extra_geom/dssc_geo_june19.h5",
                distance_mm=400, quadrants_mm=DSSC_QUADRANTS)
        got = load(file=f"{SHARED}/extra_geom/agipd_mar18_v11.geom")[0]
        away = np.abs(got - stacked(f["agipd"]))[..., :2].max()
        r.ok(away < 1e-6, f"extra_geom's AGIPD: x and y within {away:.1e} m")
else:
    r.skip("extra_geom as referee", "XN_EXTRA_GEOM names no python that has it")

# ---- a quadrant's place in the file; made files of the other kinds

with h5py.File(f"{SCRATCH}/dssc.h5", "w") as f:
    rng = np.random.default_rng(1)
    for q in range(1, 5):
        f[f"Q{q}/Position"] = DSSC_QUADRANTS[q - 1]
        for m in range(1, 5):
            f[f"Q{q}/M{m}/Position"] = rng.normal(0, 50, 2)
            for t in (1, 2):
                f[f"Q{q}/M{m}/T{t:02}/Position"] = rng.normal(0, 1, 2)
compare("quadrants from the file", at(stacked(dssc(f"{SCRATCH}/dssc.h5", DSSC_QUADRANTS)), 0.4),
        file=f"{SCRATCH}/dssc.h5", distance_mm=400)


def tilted_map(modules=3, rows=5, columns=7):
    """x, y, z in metres of tilted modules."""
    out = np.zeros((modules, rows, columns, 3))
    for m in range(modules):
        fast, slow = np.array([0.99, 0.05 * m, 0.1]), np.array([-0.05 * m, 0.98, -0.08])
        i, j = np.arange(columns)[None, :, None], np.arange(rows)[:, None, None]
        out[m] = np.array([0.01 * m, -0.02, 0.15]) + 75e-6 * (i * fast + j * slow)
    return out


places = tilted_map()
with h5py.File(f"{SCRATCH}/smalldata.h5", "w") as f:  # small data of LCLS: micrometres, psana's frame
    f["event_time"] = np.arange(3)
    for name, v in zip("xyz", (-places[..., 1], -places[..., 0], -places[..., 2])):
        f[f"UserDataCfg/jungfrau1M/{name}"] = 1e6 * v
compare("UserDataCfg of small data", stacked(places), file=f"{SCRATCH}/smalldata.h5")
compare("UserDataCfg, group given", stacked(places), file=f"{SCRATCH}/smalldata.h5", map__group="/UserDataCfg/jungfrau1M")
compare("UserDataCfg, distance given", at(stacked(places), 0.3 - places[..., 2].mean()), file=f"{SCRATCH}/smalldata.h5",
        distance_mm=300)
with h5py.File(f"{SCRATCH}/map_m.h5", "w") as f:
    for k, name in enumerate("xyz"):
        f[name] = places[..., k]
compare("a map in metres", stacked(places), file=f"{SCRATCH}/map_m.h5")
with h5py.File(f"{SCRATCH}/map_odd.h5", "w") as f:
    f["x"], f["y"], f["z"] = 1e9 * places[..., 0], 1e9 * places[..., 1], 1e9 * places[..., 2]
said = load(file=f"{SCRATCH}/map_odd.h5")
r.ok(isinstance(said, str) and "geometry.map.unit" in said, f"nanometres are no unit of a map: {said}")


def rotation(axis, degrees):
    a, c, s = np.array(axis) / np.linalg.norm(axis), np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    cross = np.array([[0, -a[2], a[1]], [a[2], 0, -a[0]], [-a[1], a[0], 0]])
    return c * np.eye(3) + s * cross + (1 - c) * np.outer(a, a)


# NXmx: arm turned by 20 degrees about y, 120 mm along the beam before; two modules, one turned by 90 degrees in its plane
with h5py.File(f"{SCRATCH}/nxmx.nxs", "w") as f:
    detector = f.create_group("entry/instrument/detector")
    axes = detector.create_group("transformations")

    def axis(group, name, value, kind, vector, parent, units, offset=(0, 0, 0)):
        group[name] = value
        group[name].attrs.update({"transformation_type": kind, "vector": np.array(vector, float), "units": units,
                                  "depends_on": parent, "offset": np.array(offset, float)})

    axis(axes, "arm", np.array([20.0]), "rotation", (0, 1, 0), ".", "deg")
    axis(axes, "away", 120.0, "translation", (0, 0, 1), "arm", "mm")
    for m, (turn, offset) in enumerate([(0, (-0.02, -0.01, 0)), (90, (0.03, 0.005, 0.001))]):
        module = detector.create_group(f"module{m}")
        axis(axes, f"turn{m}", turn, "rotation", (0, 0, 1), "/entry/instrument/detector/transformations/away", "deg",
             offset)
        axis(module, "module_offset", 0.0, "translation", (1, 0, 0), f"/entry/instrument/detector/transformations/turn{m}",
             "mm", (2, 3, 0))  # no offset_units: those of the axis
        axis(module, "fast_pixel_direction", 0.1, "translation", (-1, 0, 0), "module_offset", "mm", (500, 0, 0))
        module["fast_pixel_direction"].attrs["offset_units"] = "um"
        axis(module, "slow_pixel_direction", 1e-4, "translation", (0, -1, 0), "module_offset", "m")
        module["data_origin"], module["data_size"] = [m * 20, 0], [20, 30]
    f["entry/instrument/beam/incident_energy"] = 12000.0
    f["entry/instrument/beam/incident_energy"].attrs["units"] = "eV"
wanted = np.zeros((40, 30, 3))
for m, (turn, offset) in enumerate([(0, (-0.02, -0.01, 0)), (90, (0.03, 0.005, 0.001))]):
    i, j = np.arange(30)[None, :, None] + 0.5, np.arange(20)[:, None, None] + 0.5
    flat = i * np.array([-1e-4, 0, 0]) + j * np.array([0, -1e-4, 0]) + np.array([0.0025, 0.003, 0])
    at_zero = flat @ rotation((0, 0, 1), turn).T + np.array(offset) + np.array([0, 0, 0.12])
    wanted[20 * m:20 * m + 20] = at_zero @ rotation((0, 1, 0), 20).T
compare("NXmx chains", wanted, 12.0, **{"experiment.energy_kev": None}, file=f"{SCRATCH}/nxmx.nxs")


# ---- SwissFEL's layouts: a picture put together by turning arrays, as jungfrau_utils does

def layout_picture(name):
    """Position in the assembled picture (x, y, centres at +0.5) of each stored pixel; wide pixels at their centres."""
    for line in open(os.path.join(ROOT, "data", "detectors.txt")):
        if line.split()[:1] == [name]:
            fields = line.split()
    turns, modules = int(fields[7]), [list(map(int, f.split(","))) for f in fields[8:]]
    size = [514, 1030]
    ends = []
    for m in modules:
        k = (m + [0])[2]
        top, left = m[1] - (0, 1030, 514, 0)[k], m[0] - (0, 0, 1030, 514)[k]
        ends.append((top, left, k) + ((514, 1030) if k % 2 == 0 else (1030, 514)))
    shape = max(t + h for t, _, _, h, _ in ends), max(l + w for _, l, _, _, w in ends)
    picture = np.full((2, *shape), -1)
    for n, (top, left, k, h, w) in enumerate(ends):
        numbers = np.full((2, *size), -1)
        rows, columns = np.arange(512) + 2 * (np.arange(512) // 256), np.arange(1024) + 2 * (np.arange(1024) // 256)
        numbers[0][np.ix_(rows, columns)] = 512 * n + np.arange(512)[:, None]
        numbers[1][np.ix_(rows, columns)] = np.arange(1024)[None, :]
        picture[:, top:top + h, left:left + w] = np.rot90(numbers, k, axes=(1, 2))
    picture = np.rot90(picture, turns, axes=(1, 2))
    out = np.zeros((512 * len(modules), 1024, 2))
    y, x = np.nonzero(picture[0] >= 0)
    out[picture[0][y, x], picture[1][y, x]] = np.stack([x + 0.5, y + 0.5], axis=-1)
    for row in (255, 256):  # wide pixels reach half a pixel further into the gap
        sign = 1 if row == 255 else -1
        step = out[:, :][1::512] - out[::512]
        out[row::512] += 0.5 * sign * step
    for column in (255, 256, 511, 512, 767, 768):
        sign = 1 if column % 2 else -1
        out[:, column] += 0.5 * sign * (out[:, 1] - out[:, 0])
    return out


for name in ("JF07T32", "JF06T08", "JF17T16", "JF22T01", "JF02T09", "JF15T08"):
    picture = layout_picture(name)
    centre = [1000.25, 777.5]
    wanted = np.concatenate([(picture - centre) * 75e-6, np.full((*picture.shape[:2], 1), 0.15)], axis=-1)
    compare(f"layout {name}", wanted, detector__layout=name + "V01", detector__centre_px=centre, distance_mm=150)
picture = layout_picture("JF07T32")[512 * 5:512 * 7]
wanted = np.concatenate([(picture - centre) * 75e-6 * [-1, -1], np.full((1024, 1024, 1), 0.15)], axis=-1)
compare("two modules of JF07T32, picture turned over", wanted, detector__layout="JF07T32V02", detector__centre_px=centre,
        distance_mm=150, detector__stored=[5, 6], detector__fast=[-1, 0, 0], detector__slow=[0, -1, 0])
wanted = np.zeros((16, 10, 3))
for m, (x, y) in enumerate([(0, 0), (12, 5)]):
    columns, rows = np.arange(10) + 2.0 * (np.arange(10) // 5) + 0.5 + x, np.arange(8) + 0.5 + y
    wanted[8 * m:8 * m + 8] = np.stack([*np.meshgrid(columns - 7, rows - 3), np.full((8, 10), 500.0)], axis=-1) * 2e-4
compare("modules of the configuration", wanted, detector__shape=[8, 10], detector__pixel_mm=0.2, detector__centre_px=[7, 3],
        detector__modules=[{"at_px": [0, 0]}, {"at_px": [12, 5]}], detector__chip_px=[8, 5], detector__chip_gap_px=[0, 2],
        distance_mm=100)

# ---- the arm

arm = [{"axis": [0, 1, 0], "angle_deg": 35}, {"axis": [1, 0, 0], "sign": -1, "angle_deg": 12.5}]
turn = rotation((0, 1, 0), 35) @ rotation((1, 0, 0), -12.5)
compare("arm of two axes", wanted @ turn.T, detector__shape=[8, 10], detector__pixel_mm=0.2, detector__centre_px=[7, 3],
        detector__modules=[{"at_px": [0, 0]}, {"at_px": [12, 5]}], detector__chip_px=[8, 5], detector__chip_gap_px=[0, 2],
        distance_mm=100, arm=arm)

# ---- CrystFEL: places in the data file, datasets per panel, regions

GEOM = """clen = /LCLS/detector/EncoderValue
photon_energy = /LCLS/photon_energy_eV
res = 10000
data = /m0/%/data
a/min_fs = 0
a/max_fs = 3
a/min_ss = 0
a/max_ss = 1
a/corner_x = 5
a/corner_y = 7
a/coffset = 0.001
data = /m1/%/data
b/min_fs = 0
b/max_fs = 3
b/min_ss = 0
b/max_ss = 1
b/corner_x = -5
b/corner_y = 7
badc/panel = b
badc/min_fs = 1
badc/max_fs = 2
badc/min_ss = 1
badc/max_ss = 1
rigid_group_all = a,b
"""
with open(f"{SCRATCH}/places.geom", "w") as f:
    f.write(GEOM)
with h5py.File(f"{SCRATCH}/header.h5", "w") as f:
    f["LCLS/detector/EncoderValue"], f["LCLS/photon_energy_eV"] = 85.5, 11000.0
wanted = np.zeros((4, 4, 3))
for m, (x, z) in enumerate([(5, 0.0865), (-5, 0.0855)]):
    wanted[2 * m:2 * m + 2] = np.stack([*np.meshgrid(np.arange(4) + 0.5 + x, np.arange(2) + 7.5), np.full((2, 4), 1e4 * z)],
                                       axis=-1) * 1e-4
mask = compare("CrystFEL, clen and energy in the data", wanted, 11.0, **{"experiment.energy_kev": None,
               "input.files": [f"{SCRATCH}/header.h5"]}, file=f"{SCRATCH}/places.geom")
r.ok(mask is not None and (np.argwhere(mask) == [[3, 1], [3, 2]]).all(), "a bad region of a panel is masked, nothing else")
said = load(file=f"{SCRATCH}/places.geom")
r.ok(isinstance(said, str) and "geometry.distance_mm" in said, f"without data file the distance is asked for: {said}")

# ---- xani info

def info(*arguments):
    done = xani("info", "--json", *arguments)
    return done.returncode, json.loads(done.stdout) if done.stdout.startswith("{") else {}, done.stderr


code, answer, said = info(f"{SCRATCH}/nxmx.nxs", f"{SCRATCH}/dssc.h5", f"{SCRATCH}/places.geom")
if r.ok(code == 0 and len(answer["geometries"]) == 3, f"info knows three geometry files {said}"):
    found = {os.path.basename(g["path"]): g for g in answer["geometries"]}
    g = found["nxmx.nxs"]
    r.ok((g["kind"], g["modules"], g["shape"], g["pixels"], g["energy_kev"]) == ("NXmx", 2, [40, 30], 1200, 12), f"info: {g}")
    g = found["dssc.h5"]
    r.ok((g["kind"], g["modules"], g["shape"]) == ("European XFEL", 16, [2048, 512]) and g["missing"] == "geometry.distance_mm",
         f"info: {g}")
    g = found["places.geom"]
    r.ok((g["modules"], g["pixels"], g["masked"], g["distance_mm"]) == (2, 16, 2, None), f"info: {g}")
with open(f"{SCRATCH}/sizes.geom", "w") as f:
    f.write(GEOM.replace("data = /m1", "res = 5000\ndata = /m1").replace("photon_energy =", ";").replace("= /LCLS/detector/EncoderValue", "= 0.1"))
code, answer, said = info(f"{SCRATCH}/sizes.geom")
r.ok(code == 0 and answer["geometries"][0]["pixel_mm"] == [0.1, 0.2], f"info tells the smallest and the largest pixel: {answer}")
picture = f"{SCRATCH}/detector.png"
code, answer, said = info(f"{SCRATCH}/sizes.geom", "--draw", picture)
r.ok(code == 0, f"info --draw of pixels of two sizes: {code} {said}")
code, answer, said = info(f"{SCRATCH}/nxmx.nxs", "--draw", picture, "--force", "--set", "geometry.distance_mm=200")
size = open(picture, "rb").read(24) if os.path.exists(picture) else b""
r.ok(code == 0 and size[:8] == b"\x89PNG\r\n\x1a\n" and int.from_bytes(size[16:20], "big") >= 1000, f"info --draw: {code} {said}")
with open(f"{SCRATCH}/flat.yaml", "w") as f:
    f.write("geometry: {detector: {layout: JF17T16V01, centre_px: [1600, 1600]}, distance_mm: 150}\n")
code, answer, said = info(f"{SCRATCH}/flat.yaml", "--draw", picture, "--force")
r.ok(code == 0, f"info --draw of a configuration: {code} {said}")
code, answer, said = info(f"{SCRATCH}/header.h5", f"{SCRATCH}/nxmx.nxs", "--draw", picture)
r.ok(code == 1 and "--force" in said, f"a picture is not overwritten: {said}")
code, answer, said = info("--draw", picture)
r.ok(code == 2, f"--draw needs something to draw: {said}")

# ---- damage

for name, text in {"short.data": "IP 0 JUNGFRAU:V2 0 0 0 0 0 0 0 0 0\nIP 0 JUNGFRAU:V2 0 0 0 1 0 0 0 0 0 0\n",
                   "unknown.data": "IP 0 WONDER:V9 0 0 0 -100000 0 0 0 0 0 0\n",
                   "circle.data": "A 0 B 0 0 0 0 0 0 0 0 0 0\nB 0 A 0 0 0 0 0 0 0 0 0 0\n",
                   "at_sample.data": "IP 0 JUNGFRAU:V2 0 0 0 0 0 0 0 0 0 0\n",
                   "nothing.txt": "hello\n"}.items():
    with open(f"{SCRATCH}/{name}", "w") as f:
        f.write(text)
    said = load(file=f"{SCRATCH}/{name}")
    r.ok(isinstance(said, str) and (name in said or "distance_mm" in said), f"{name}: {said}")

r.end()
