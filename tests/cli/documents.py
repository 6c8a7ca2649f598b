#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""documents.py XANI SCRATCH -- what README, docs and manual pages print works: commands, configurations, targets, names of files.

Every command line takes the options it is shown with; those whose inputs are at hand (a pair of cubes under the names
the documents use) are run as printed.  Every piece of configuration is accepted by the parser.  Prints TAP.
"""
import glob
import os
import re
import shlex
import shutil
import textwrap

from harness import ROOT, SCRATCH, r, xani

import h5py
import numpy as np

from experiment import write_field_cube

documents = [f"{ROOT}/README.md", f"{ROOT}/CONTRIBUTING.md", f"{ROOT}/ARCHITECTURE.md", *sorted(glob.glob(f"{ROOT}/docs/*.md")),
             *sorted(glob.glob(f"{ROOT}/docs/man/*.scd"))]
text = {os.path.relpath(path, ROOT): open(path, encoding="utf-8").read() for path in documents}

# ---- inputs under the names of the documents
os.makedirs(f"{SCRATCH}/raw")
t = np.arange(60) * 0.05
y = 1e4 * (1 + 0.05 * np.cos(12 * t)[:, None, None]) + np.random.default_rng(1).normal(0, 20, (60, 6, 8))
for number in ("0042", "0043"):
    write_field_cube(f"{SCRATCH}/run{number}", t, y, np.full((6, 8), 1e4), 100)
for half in ("on", "off"):
    shutil.copy(f"{SCRATCH}/run0042_{half}.h5", f"{SCRATCH}/raw")
with h5py.File(f"{SCRATCH}/run0042.h5", "w") as f:
    f["entry/data/data"] = np.arange(1000 * 48, dtype="u2").reshape(1000, 6, 8)
with h5py.File(f"{SCRATCH}/scan.h5", "w") as f:
    x = np.linspace(0, 10, 80)
    f["energy"] = x
    f["counts"] = np.exp(-(x - 4.2)**2) + np.exp(-(x - 7)**2) + np.random.default_rng(2).normal(0, 0.01, (3, 80))
    f["counts_errors"] = np.full((3, 80), 0.01)
with open(f"{SCRATCH}/detector.geom", "w") as f:
    f.write("clen = 0.08\nres = 500\np/min_fs = 0\np/max_fs = 7\np/min_ss = 0\np/max_ss = 5\np/fs = +1x\np/ss = +1y\n"
            "p/corner_x = 9\np/corner_y = -3\n")
EXPERIMENT = """experiment: {energy_kev: 11}
input: {layout: cube, files: [run0042_on.h5], delay: {sign: 1}}
geometry: {file: detector.geom, orientation: [[1, 0, 0], [0, 1, 0], [0, 0, 1]], goniometer: [{axis: [0, 1, 0], angle_deg: 12}]}
map:
  crystal: {cell: [3.61, 3.61, 3.61, 90, 90, 90], space_group: 225, basis: [{element: Cu, position: [0, 0, 0]}]}
  grid: {shape: [5, 5, 5]}
output: {report: false}
"""
with open(f"{SCRATCH}/experiment.yaml", "w") as f:
    f.write(EXPERIMENT)
for name in ("r1", "r2", "fast"):
    os.makedirs(f"{SCRATCH}/{name}")
for args in (["reduce", "experiment.yaml", "-o", "cube.h5"], ["fit", "cube.h5", "-o", "modes.h5"]):
    done = xani(*args)
    r.ok(done.returncode == 0, f"the inputs: xani {' '.join(args)} {done.stderr[-200:]}")
for name in ("r1", "r2"):
    shutil.copy(f"{SCRATCH}/modes.h5", f"{SCRATCH}/{name}")
with h5py.File(f"{SCRATCH}/r2/modes.h5", "r+") as f:  # a copy would be refused
    f["entry/modes/frequency"][...] *= 1.01

# ---- commands
LATER = {"demo", "bench", "index", "dark", "plan", "phonons", "merge", "sim"}  # long, or with inputs of their own: only read here
lines = {}
for name, content in {**text, **{f"xani {c} --help": xani("help", c).stdout for c in re.findall(r"^  (\w+) ", xani("--help").stdout, re.M)}}.items():
    content = re.sub(r"\\\n\s*", " ", content)
    for line in re.findall(r"^ {2,}(xani .*)$", content, re.M) + re.findall(r"`(xani [^`]*[^`-])`(?! *_)", content):
        command = re.split(r"\s#|   {2,}", line)[0].strip()
        if not re.search(r"[…\[\]]\S*($|\s)|[A-Z]{3}|--model$", re.sub(r"'[^']*'", "", command)):  # not a synopsis
            lines.setdefault(command, name)
r.ok(len(lines) > 30, f"{len(lines)} command lines are printed")
for command, name in lines.items():
    try:
        args = shlex.split(command)[1:]
    except ValueError as error:
        r.ok(False, f"{name}: {command}: {error}")
        continue
    if args[0].startswith("-") or args[0] == "COMMAND":
        continue
    done = xani(*args, "--help")
    if not r.ok(done.returncode == 0, f"{name}: {command}: {done.stderr.strip() or 'its options are known'}"):
        continue
    inputs = [a for a in args[1:] if re.search(r"\.(h5|yaml|geom)$|^(raw|result)/?", a) and "=" not in a and args[args.index(a) - 1] not in ("-o", "--draw")]
    if args[0] not in LATER and "input.part" not in command and all(glob.glob(f"{SCRATCH}/{a}") for a in inputs) and len(args) > 1:
        done = xani(*args, *(["--force"] if args[0] == "init" else []))
        with open(f"{SCRATCH}/experiment.yaml", "w") as f:  # xani init wrote it
            f.write(EXPERIMENT)
        r.ok(done.returncode == 0, f"{name}: {command}: ends with {done.returncode} {done.stderr.strip()[-200:] if done.returncode else ''}")

# ---- configurations
PARENT = {"mask": "input", "detector": "geometry", "reflections": "geometry", "calibration": "input"}
n = 0
for name, content in text.items():
    blocks = re.findall(r"(?:^ {4}[^\n]*\n)+", content, re.M) if name.endswith(".md") else re.findall(r"^```\n(.*?)^```", content, re.M | re.S)
    for block in blocks:
        block = textwrap.dedent(block).strip("\n") + "\n"
        key = re.match(r"(\w+):( *\n| [\[{])", block)
        if key is None:
            continue
        if key[1] in PARENT:
            block = PARENT[key[1]] + ":\n" + textwrap.indent(block, "  ")
        with open(f"{SCRATCH}/piece.yaml", "w", encoding="utf-8") as f:
            f.write(block)
        done = xani("check", "piece.yaml")
        wrong = re.search(r"piece\.yaml:\d+: ", done.stderr)
        r.ok(wrong is None, f"{name}: a piece of configuration that begins with {key[1]}: {done.stderr.strip() if wrong else 'understood'}")
        n += 1
r.ok(n >= 8, f"{n} pieces of configuration are printed")

# ---- options
for command in re.findall(r"^  (\w+) ", xani("--help").stdout, re.M):
    shown = set(re.findall(r"--[a-z][\w-]*", xani("help", command).stdout.split("Options:")[-1]))
    lost = sorted(o for o in shown if f"*{o}*" not in text["docs/man/xani.1.scd"])
    r.ok(not lost, f"xani(1) has the options of {command} {lost}")

# ---- targets and files
with open(f"{ROOT}/Makefile", encoding="utf-8") as f:
    targets = set(re.findall(r"^([a-z][\w-]*)(?:\s[^:=]*)?:", f.read(), re.M))
for name, content in text.items():
    missing = sorted({m for m in re.findall(r"`make ([a-z][\w-]*)", content)} - targets)
    r.ok(not missing, f"{name}: make targets {missing or 'exist'}")
    paths = set(re.findall(r"(?<![\w/.])((?:docs|tests|src|include|examples|tools|cli|cmake|bench|data)/[\w./{},*-]*\w)", content))
    lost = sorted(p for p in paths if "{" not in p and not glob.glob(f"{ROOT}/{p}*") and not p.startswith("data/NAME"))
    r.ok(not lost, f"{name}: files it names {lost or 'exist'}")
unlisted = [d for d in text if d.startswith("docs/") and d.endswith(".md") and d not in text["README.md"]]
r.ok(not unlisted, f"README lists every page {unlisted}")
r.end()
