#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""init.py XANI SCRATCH -- xani init on raw files and on cubes: its configuration, with what no file can know filled in,
passes xani check and runs.  Also: what init asks for is said, info and plan answer, nothing is overwritten.  Prints TAP.
"""
import glob
import json
import os
import re
import shutil

from harness import ROOT, SCRATCH, r, xani

import h5py
import yaml

import experiment


def fill(truth, keys):
    """--set options that copy these keys of the true configuration."""
    more = []
    for key in keys:
        value = truth
        for k in key.split("."):
            value = value[k]
        more += ["--set", f"{key}={json.dumps(value)}"]
    return more


UNKNOWABLE = ["experiment.energy_kev", "geometry.cell", "geometry.orientation", "geometry.goniometer", "map.crystal",
              "input.delay.sign", "input.delay.zero_ps"]

raw = f"{SCRATCH}/raw"
experiment.swissfel(raw, shots=800)
with open(f"{raw}/xani.yaml") as f:
    truth = yaml.safe_load(f)
os.remove(f"{raw}/xani.yaml")
config = f"{raw}/made.yaml"
code, out, err = xani("init", raw, "-o", config)
r.ok(code == 0 and os.path.exists(config), f"init on SwissFEL files: {code} {err if code else ''}")
made = yaml.safe_load(open(config))
r.ok(made["input"]["layout"] == "swissfel" and made["input"]["frames"] == "JF07T02V01", "layout and detector are recognised")
r.ok(made["input"]["i0"] == truth["input"]["i0"], f"the I0 channel is found: {made['input']['i0']}")
text = open(config).read()
table = "".join(open(f).read() for f in glob.glob(f"{ROOT}/src/core/config*.def"))
keys = [k.split(".") for k in re.findall(r'XN_[A-Z_]+\("([a-z0-9_.\[\]]+)"', table)]
layouts = "cube|euxfel|lcls[a-z0-9_]*|nexus|nxmx|pal|sacla"
others = set(re.findall(rf'XN_[A-Z_]+\("([a-z0-9_.]+)"[^;]*?"(?:{layouts})(?:, [a-z_0-9]+)*: ', table))
part = {name: body for name, body in re.findall(r"^(\w+):\n((?:  .*\n|\n)*)", text, re.M)}
missing = [".".join(k) for k in keys if len(k) == 2 and "[" not in k[1] and k[0] in part and ".".join(k) not in others
           and not re.search(rf"^  (# )?{k[1]}:", part[k[0]], re.M)]
r.ok(len(part) >= 10 and not missing, f"every key of {len(part)} sections is there, at least as a comment: {missing}")
at = text.index("  # max_failed: 1.0")
open(f"{raw}/comment.yaml", "w").write(text[:at] + "  max_failed: 1.0" + text[at + len("  # max_failed: 1.0"):])
r.ok(yaml.safe_load(open(f"{raw}/comment.yaml"))["fit"]["max_failed"] == 1.0, "a comment becomes a setting without its #")
commented = re.sub(r"^  # (start|linear_prediction|reflections|arm|threads|cufile|photons|common_mode): ", r"  \1: ", text, flags=re.M)
open(f"{raw}/comment.yaml", "w").write(commented)
code, _, err = xani("check", f"{raw}/comment.yaml")
r.ok(code == 2 and "sign" in err and len(yaml.safe_load(commented)["engine"]) == 3, f"maps in comments are YAML too: {err.strip()}")
os.remove(f"{raw}/comment.yaml")
r.ok(xani("init", raw, "-o", config)[0] == 1, "an existing configuration is not overwritten")
code, _, err = xani("check", config)
r.ok(code == 2 and "sign" in err, f"check asks for the delay's sign: {code} {err.strip()}")
# scale and origin of a stage are known to who built it, not to its files
more = fill(truth, UNKNOWABLE + ["input.delay.parts", "input.delay.time_tool", "reduce.delay_bins_ps"])
code, out, err = xani("check", config, *more)
r.ok(code == 0, f"check accepts it once filled in: {err.strip() if code else ''}")
code, out, err = xani("run", config, "-o", f"{SCRATCH}/out", *more)
r.ok(code == 0 and os.path.exists(f"{SCRATCH}/out/dispersion.h5"), f"and run finishes: {code} {err.strip()[-200:] if code else ''}")
code, out, err = xani("info", raw, "--json")
info = json.loads(out) if code == 0 else {}
r.ok(code == 0 and info["layout"] == "swissfel", f"info knows the layout {err if code else ''}")
code, out, err = xani("plan", config, "--json", *more)
plan = json.loads(out) if code == 0 else {}
r.ok(code == 0 and plan["photons_per_pixel_and_shot"] > 1 and 0 < plan["zone_coverage"] <= 1, f"plan gives brightness and coverage {err.strip()[-200:] if code else ''}")

cubes = f"{SCRATCH}/cubes"
experiment.noiseless(cubes)
with open(f"{cubes}/xani.yaml") as f:
    truth = yaml.safe_load(f)
os.remove(f"{cubes}/xani.yaml")
config = f"{cubes}/made.yaml"
code, out, err = xani("init", cubes, "-o", config)
r.ok(code == 0, f"init on cubes: {code} {err if code else ''}")
made = yaml.safe_load(open(config))
r.ok(made["input"]["layout"] == "cube" and len(made.get("runs") or []) == 2, "two runs of cubes are recognised")
angles = [w for n, run in enumerate(truth["runs"]) for w in ("--set", f"runs[{n}].angle_deg={run['angle_deg']}")]
more = fill(truth, UNKNOWABLE) + angles
code, out, err = xani("check", config, *more)
r.ok(code == 0, f"check accepts it once filled in: {err.strip() if code else ''}")
code, out, err = xani("run", config, "-o", f"{SCRATCH}/out2", *more)
r.ok(code == 0 and os.path.exists(f"{SCRATCH}/out2/dispersion.h5"), f"and run finishes: {code} {err.strip()[-200:] if code else ''}")
if os.path.exists(f"{SCRATCH}/out2/dispersion.h5"):
    with h5py.File(f"{SCRATCH}/out2/dispersion.h5") as f:
        r.ok(len(f["entry/points/frequency"]) > 500, "with points on the dispersion")
shutil.copytree(os.fsencode(raw), os.fsencode(f"{SCRATCH}/r") + b"\xff")
code, out, err = xani("init", os.fsencode(f"{SCRATCH}/r") + b"\xff", "-o", f"{SCRATCH}/foreign.yaml")
r.ok(code == 2 and "r?: " in err and "UTF-8" in err and not os.path.exists(f"{SCRATCH}/foreign.yaml"),
     f"a name that is no UTF-8 is refused: {code} {err.strip()[-200:]}")
shutil.copytree(raw, f"{SCRATCH}/rä")
code, out, err = xani("init", f"{SCRATCH}/rä", "-o", f"{SCRATCH}/umlaut.yaml")
r.ok(code == 0 and yaml.safe_load(open(f"{SCRATCH}/umlaut.yaml", encoding="utf-8")) is not None, f"one that is: {code} {err.strip()[-200:] if code else ''}")
r.end()
