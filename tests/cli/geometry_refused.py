#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""geometry_refused.py XANI SCRATCH -- what a geometry file says wrongly or twice is refused or told, with the name of the
file and of what is wrong in it; what it says in another unit or way is the same detector.  Prints TAP.
"""
from harness import SCRATCH, r

import h5py
import numpy as np

from pixels import load

K_PER_KEV = 2 * np.pi / 12.398419843320026


def refused(name, *words, **settings):
    said = load(**settings)
    r.ok(isinstance(said, str) and all(w in said for w in words), f"{name}: {said if isinstance(said, str) else 'accepted'}")


def placed(name, wanted, *words, energy_kev=9.5, warned=True, **settings):
    """Positions and Q are these; each word stands in a warning, and without words there is none."""
    heard = []
    got = load(heard, **settings)
    if isinstance(got, str) or got[0].shape != wanted.shape:
        return r.ok(False, f"{name}: {got if isinstance(got, str) else got[0].shape}")
    unit = wanted / np.linalg.norm(wanted, axis=-1, keepdims=True)
    away = np.nanmax(np.abs(got[0] - wanted)), np.nanmax(np.abs(got[1] - K_PER_KEV * energy_kev * (unit - [0, 0, 1])))
    said = " | ".join(heard)
    good = all(w in said for w in words) if words else not said
    r.ok(away[0] < 1e-6 and away[1] < 1e-5 and good, f"{name}: {away[0]:.1e} m, {away[1]:.1e} 1/A; told: {said}")


# ---- NXmx

def nxmx(name, change=None, chain=True):
    """One module of 6 x 8 pixels of 0.2 mm, 100 mm behind the sample, on an arm turned by 20 degrees about y."""
    path = f"{SCRATCH}/{name}.nxs"
    with h5py.File(path, "w") as f:
        detector = f.create_group("entry/instrument/detector")

        def axis(where, value, kind, vector, parent, units):
            detector[where] = value
            detector[where].attrs.update({"transformation_type": kind, "vector": np.array(vector, float), "units": units,
                                          "depends_on": parent})

        top = "/entry/instrument/detector/transformations/"
        axis("transformations/arm", 20.0, "rotation", (0, 1, 0), ".", "degrees")
        axis("transformations/away", 100.0, "translation", (0, 0, 1), "arm", "millimetre")
        axis("module/fast_pixel_direction", 0.2, "translation", (1, 0, 0), top + "away" if chain else ".", "mm")
        axis("module/slow_pixel_direction", 200.0, "translation", (0, 1, 0), top + "away" if chain else ".", "um")
        detector["module/data_origin"], detector["module/data_size"] = [0, 0], [6, 8]
        f["entry/instrument/beam/incident_energy"] = 9500.0
        f["entry/instrument/beam/incident_energy"].attrs["units"] = "eV"
        if change:
            change(f, detector)
    return {"file": path, "experiment.energy_kev": None}


c, s = np.cos(np.radians(20)), np.sin(np.radians(20))
x, y = np.meshgrid(np.arange(8) + 0.5, np.arange(6) + 0.5)
flat = np.stack([2e-4 * x, 2e-4 * y, np.full((6, 8), 0.1)], axis=-1)
turned = flat @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T
ARM, AWAY, FAST = "transformations/arm", "transformations/away", "module/fast_pixel_direction"


def attribute(where, name, value):
    return lambda f, d: d[where].attrs.__setitem__(name, value)


placed("NXmx", turned, **nxmx("plain"))
refused("a chain that turns back", "loop.nxs", "module", "does not end",
        **nxmx("loop", attribute(ARM, "depends_on", "/entry/instrument/detector/transformations/away")))
refused("a chain that leads nowhere", "nowhere.nxs", "/entry/nowhere", **nxmx("nowhere", attribute(ARM, "depends_on", "/entry/nowhere")))
refused("a length in parsec", "parsec.nxs", AWAY, "parsec", **nxmx("parsec", attribute(AWAY, "units", "parsec")))
refused("an angle in mm", "mm.nxs", ARM, "mm", **nxmx("mm", attribute(ARM, "units", "mm")))
refused("a pixel in degrees", FAST, "deg", **nxmx("deg", attribute(FAST, "units", "deg")))
placed("an angle without units", turned, ARM, "degrees", **nxmx("bare", lambda f, d: d[ARM].attrs.__delitem__("units")))
refused("an axis that wobbles", "wobble.nxs", ARM, "wobble", **nxmx("wobble", attribute(ARM, "transformation_type", "wobble")))
refused("modules that share pixels", "twice.nxs", "module", "module2", **nxmx("twice", lambda f, d: d.copy("module", "module2")))
refused("directions that are parallel", "parallel.nxs", "module", "right angles", **nxmx("parallel", attribute(FAST, "vector", [0.0, 1.0, 0.0])))


def change_all(*changes):
    return lambda f, d: [change(f, d) for change in changes]


placed("a translation whose vector is not of unit length: value times vector", turned, AWAY, "2.5 long", "100 mm",
       **nxmx("long", change_all(lambda f, d: d[AWAY].__setitem__((), 40.0), attribute(AWAY, "vector", [0.0, 0.0, 2.5]))))
placed("a rotation and a pixel whose vectors are not of unit length: directions", turned,
       **nxmx("about", change_all(attribute(ARM, "vector", [0.0, 2.5, 0.0]), attribute(FAST, "vector", [3.0, 0.0, 0.0]))))
refused("a translation along no vector", "along.nxs", AWAY, "vector", **nxmx("along", attribute(AWAY, "vector", [0.0, 0.0, 0.0])))


def wavelength(value, units, energy=True):
    def change(f, d):
        f["entry/instrument/beam/incident_wavelength"] = value
        f["entry/instrument/beam/incident_wavelength"].attrs["units"] = units
        if not energy:
            del f["entry/instrument/beam/incident_energy"]
    return change


placed("a wavelength in nm", turned, energy_kev=12.39842, **nxmx("nm", wavelength(0.1, "nm", False)))
placed("a wavelength that is another energy", turned, "12.4 keV", "9.5 keV", **nxmx("two", wavelength(1.0, "angstrom")))
refused("an energy that is no X-ray's", "weak.nxs", "9.5e-06 keV",
        **nxmx("weak", lambda f, d: f["entry/instrument/beam/incident_energy"].__setitem__((), 0.0095)))
placed("two detectors", turned, "/entry/instrument/other", "geometry.map.group",
       **nxmx("other", lambda f, d: f.copy(d, "entry/instrument/other")))
placed("one of two by its group", turned, map__group="entry/instrument/other",
       **nxmx("other", lambda f, d: f.copy(d, "entry/instrument/other")))


def simple(units, x_value):
    def change(f, d):
        for name, value, unit in (("distance", 100.0, "mm"), ("beam_center_x", x_value, units), ("beam_center_y", 0.0, units)):
            d[name] = value
            d[name].attrs["units"] = unit
    return change


beside = flat - [0.001, 0, 0]
placed("beam_center_x in pixels", beside, **nxmx("px", simple("pixels", 5.0), chain=False))
placed("beam_center_x as a length", beside, **nxmx("length", simple("mm", 1.0), chain=False))


# ---- CrystFEL

BASE = """photon_energy = 9500
clen = 0.1
res = 5000
adu_per_photon = 1
max_adu = 1e6
p/min_fs = 0
p/max_fs = 7
p/min_ss = 0
p/max_ss = 5
p/corner_x = 0
p/corner_y = 0
p/fs = x
p/ss = y
"""


def geom(name, *lines, more="", data=None):
    """BASE with lines whose key is there replaced (None: left out), others put before the panel; `more` behind it."""
    text = BASE
    for line in lines:
        key = line.split("=")[0].strip()
        old = [o for o in text.splitlines() if o.split("=")[0].strip() == key]
        new = line if line.split("=")[1].strip() != "None" else ""
        text = text.replace(old[0] + "\n", new + "\n" if new else "") if old else new + "\n" + text
    path = f"{SCRATCH}/{name}.geom"
    with open(path, "w") as f:
        f.write(text + more)
    settings = {"file": path, "experiment.energy_kev": None}
    if data:
        settings["input.files"] = [f"{SCRATCH}/{name}.h5"]
        with h5py.File(settings["input.files"][0], "w") as f:
            for key, value in data.items():
                f[key] = value
    return settings


def where(name):
    return f"{name}.geom:"


placed("CrystFEL", flat, **geom("base"))
for line, kev in (("wavelength = /wl A", 12.398419843 / 1.3), ("wavelength = 1.3 A", 12.398419843 / 1.3),
                  ("wavelength = 1.3e-10 m", 12.398419843 / 1.3), ("photon_energy = /kev keV", 8.0), ("photon_energy = 8 keV", 8.0)):
    placed(line, flat, energy_kev=kev, **geom("energy", "photon_energy = None", line, data={"wl": 1.3, "kev": 8.0}))
refused("a wavelength without unit", where("bare") + "1", "m or A", **geom("bare", "photon_energy = None", "wavelength = 1.3"))
refused("an energy in furlongs", where("unit") + "1: photon_energy", **geom("unit", "photon_energy = 9.5 furlong"))
refused("an energy of 9.5 eV", "weak.geom", "0.0095 keV", **geom("weak", "photon_energy = /e", data={"e": 9.5}))
refused("an energy below 0", where("below"), "not positive", **geom("below", "photon_energy = -9500"))
placed("an energy given twice", flat, "said twice", energy_kev=9.5, **geom("both", "wavelength = 1.3 A"))
refused("clen of 0.1 mm", "near.geom", "0.1 mm", **geom("near", "clen = 0.1 mm"))
refused("clen in the data of 0.1 mm", "near2.geom", "0.1 mm", **geom("near2", "clen = /z", data={"z": 0.1}))
placed("clen in the data, m", flat, **geom("far", "clen = /z m", data={"z": 0.1}))
placed("clen behind the panels", flat, **geom("last", "clen = None", more="clen = 100 mm\n"))
shifted = flat + [0.003, -0.002, 0]
placed("detector_shift", shifted, **geom("shift", "detector_shift_x = 3 mm", "detector_shift_y = -0.002"))
placed("detector_shift in the data", shifted,
       **geom("shift2", "detector_shift_x = /x mm", "detector_shift_y = /y", data={"x": 3.0, "y": -0.002}))
refused("detector_shift that is not there", "shift3.geom", "detector_shift_x", **geom("shift3", "detector_shift_x = /x"))
placed("a misspelt key", flat, where("key") + "1: frobnicate", **geom("key", "frobnicate = 3"))
placed("a misspelt key of a panel", flat, where("key2") + "14: cofset", **geom("key2", more="p/cofset = 0.1\n"))
placed("a default that comes too late", flat, where("late") + "14: coffset", "no effect", **geom("late", more="coffset = 0.1\n"))
placed("keys that are no matter of places", flat, **geom(
    "other", "saturation_map = /s", "peak_list = /p", "badrow_direction = x", "mask = /m", "mask_good = 0", "flag_equal = 3",
    "bandwidth = 0.01", "dim0 = %", "dim1 = ss", "dim2 = fs", more="p/no_index = false\nrigid_group_q = p\ngroup_all = p\n"))
refused("parallel directions", "slant.geom", "panel p", "right angles", **geom("slant", "p/ss = x"))
refused("directions of no length", "none.geom", "panel p", **geom("none", "p/ss = 0.0y"))
refused("fs before ss", "order.geom", "dim1 = fs", **geom("order", "dim0 = %", "dim1 = fs", "dim2 = ss"))
refused("a dim that is no axis", where("dim") + "1: dim1", **geom("dim", "dim1 = slow"))
SECOND = "".join(line.replace("p/", "q/", 1) + "\n" for line in BASE.splitlines() if line.startswith("p/"))
refused("panels that share pixels", "share.geom", "panels p and q", "row 4, column 0",
        **geom("share", more=SECOND.replace("min_ss = 0", "min_ss = 4").replace("max_ss = 5", "max_ss = 9")))
heard = []
edge = load(heard, **geom("edge", more=SECOND.replace("min_ss = 0", "min_ss = 5").replace("max_ss = 5", "max_ss = 10")))
r.ok(not isinstance(edge, str) and "panels p and q both have 8 pixels, from row 5, column 0" in " ".join(heard)
     and (edge[2] != 0).any(axis=1).tolist() == [False] * 5 + [True] + [False] * 5, f"panels that share an edge: it is masked {heard}")
raw = [line for m in "pq" for line in (f"{m}/dim1 = 0", f"{m}/data = /{m}/image")]  # AGIPD: data beside gain
placed("modules in datasets, at one index", np.concatenate([flat, flat]), **geom("raw", more=SECOND + "\n".join(raw)))
refused("modules along two axes", "axes.geom", "2 axes", **geom("axes", more=SECOND + "\n".join(raw).replace("q/dim1 = 0", "q/dim1 = 1")))
refused("a region of no panel", "nobody.geom", "badx", "panel r", **geom("nobody", more="badx/panel = r\nbadx/min_fs = 1\n"))
refused("a region without bounds", "endless.geom", "badx", "bounds", **geom("endless", more="badx/panel = p\n"))
refused("a region of two kinds", where("mixed") + "15", **geom("mixed", more="badx/min_x = 1\nbadx/min_fs = 1\n"))


# ---- maps of pixels

def pixel_map(name, groups):
    """Maps x, y, z at these groups: positions in metres and how psana or nobody turns them."""
    path = f"{SCRATCH}/{name}.h5"
    with h5py.File(path, "w") as f:
        for group, (position, psana) in groups.items():
            v = np.stack([-position[..., 1], -position[..., 0], -position[..., 2]], axis=-1) * 1e6 if psana else position
            for k in range(3):
                f[f"{group}/{'xyz'[k]}"] = v[..., k]
    return path


wider = flat * [1.1, 1.1, 1.2]
two = pixel_map("two", {"UserDataCfg/a": (flat, True), "UserDataCfg/b": (wider, True)})
for group in ("/UserDataCfg/b", "UserDataCfg/b", "UserDataCfg/b/"):
    placed(f"map in {group}", wider, file=two, map__group=group)
    placed(f"map in {group}, distance given", wider + [0, 0, 0.03], file=two, map__group=group, distance_mm=150)
refused("two maps", "two.h5", "geometry.map.group", "UserDataCfg/a", "UserDataCfg/b", file=two)
placed("the map of the frames' detector", wider, file=two, **{"input.frames": "b/ROI_0_area"})
elsewhere = pixel_map("elsewhere", {"foo/bar": (flat, False), "foo": (wider, False)})
for group, wanted in (("foo", wider), ("/foo", wider), ("foo/bar", flat), ("/foo/bar/", flat)):
    placed(f"map in {group}", wanted, file=elsewhere, map__group=group)
refused("a group without a map", "elsewhere.h5", "/nope", file=elsewhere, map__group="/nope")
refused("z in another unit than x and y", "mixed.h5", "another unit",
        file=pixel_map("mixed", {"": (flat * [1e3, 1e3, 1], False)}))

r.end()
