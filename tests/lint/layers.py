#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""layers.py -- no folder includes what lies above it, and external libraries stay in their rooms.

core < codec, reader, kernel, lsq < io, cuda, physics, data (later: engine) < the stages (never each other) < plan, pipeline.c < xani.c;
cli/ and examples/ see only the public header.
"""
import os
import re
import sys

root = os.environ.get("XN_ROOT") or os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
LOW = {"core"}
MIDDLE = {"codec", "reader", "io", "kernel", "lsq"}
UPPER = {"physics", "data", "engine"}
STAGES = {"source", "reduce", "fit", "map", "result"}
ALLOWED = {"core": LOW, "codec": LOW | {"codec"}, "reader": LOW | {"reader"},
           "io": LOW | {"codec", "reader", "io"}, "kernel": LOW | {"kernel"}, "lsq": LOW | {"lsq"}, "cuda": LOW | {"kernel", "reader", "cuda"}}
ALLOWED |= {folder: LOW | MIDDLE | UPPER for folder in UPPER}
ALLOWED |= {stage: LOW | MIDDLE | UPPER | {stage} for stage in STAGES}
ALLOWED["plan"] = LOW | MIDDLE | UPPER | STAGES | {"plan", "pipeline.h"}
EVERYTHING = LOW | MIDDLE | UPPER | STAGES | {"plan", "pipeline.h", "identity.h"}
# external header -> the files that may include it
ROOMS = {
    r"hdf5.*\.h|H5.*\.h": r"src/io/|bench/|tests/",
    r"yaml\.h": r"src/core/config",
    r"plplot.*": r"cli/",
    r"mpi\.h": r"src/engine/comm_mpi\.c",
    r"liburing.*": r"src/reader/uring\.c",
    r"cuda.*": r"src/cuda/",
}


def files():
    for top in ("src", "cli", "examples", "bench"):
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in sorted(names):
                if name.endswith((".c", ".h", ".def", ".cu")):
                    yield os.path.relpath(os.path.join(folder, name), root)


def own_rule(path, header):
    """None if `path` may include the project's header, else why not."""
    first, top = header.split("/")[0], path.split("/")
    if first == "xani":
        return None
    if top[0] == "bench":
        return None
    if top[0] in ("cli", "examples"):
        allowed = {"cli"} if top[0] == "cli" else set()
        return None if first in allowed or header == "bench/bench.h" else "only <xani/xani.h> may be used here"
    if len(top) == 2:
        return None if first in EVERYTHING else "unknown folder"
    allowed = ALLOWED.get(top[1])
    if allowed is None:
        return f"folder src/{top[1]} has no place in the layers"
    return None if first in allowed else f"src/{top[1]} may not include {first}/"


bad, count = [], 0
for path in files():
    count += 1
    with open(os.path.join(root, path), encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            m = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
            if not m:
                continue
            kind, header = m.groups()
            why = own_rule(path, header) if kind == '"' else None
            for pattern, room in ROOMS.items():
                if kind == "<" and re.fullmatch(pattern, header) and not re.match(room, path):
                    why = f"<{header}> stays in {room}"
            if why:
                bad.append(f"{path}:{number}: {header}: {why}")
for line in bad:
    print("#", line)
print("not ok" if bad or count == 0 else "ok", f"1 - layers: {count} files")
sys.exit(1 if bad or count == 0 else 0)
