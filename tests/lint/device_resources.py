#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""device_resources.py -- kernels keep their state in registers: no spills, no stack, on any device; those of fits up to
two modes, those that decode, place and sum all.

Reads what ptxas said when the library was built, and compiles the kernels (of fits up to two modes) alone for the
architectures that were not. Where nvcc is missing there is nothing to test.
"""
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile

ARCHITECTURES = (80, 86, 89, 90, 100)
MODES = 2
LIMIT = {"fit1": 128, "fit2": 200}  # registers: with more, fewer than 16 and 10 warps fit on a multiprocessor
# with more, decoding has fewer than 24 warps on a multiprocessor; shared memory allows 28 at most
IO_LIMIT = {"blocks": 48, "unpack": 80, "place": 48}
# threads of a block and blocks at once of XN_SUM_TOGETHER in cuda/sum.h, by the size of the groups; 0: any
SUM_LIMIT = {0: 80, 1: 64, 2: 80, 4: 128}
root, nvcc = os.environ["XN_ROOT"], os.environ.get("XN_NVCC", "")


def kernels(text):
    """(architecture, kernel, modes or bytes of an element) -> stack, spilled bytes, registers"""
    found = {}
    for block in re.split(r"ptxas info\s*: Compiling entry function ", text)[1:]:
        name, arch = re.match(r"'(\S+)' for 'sm_(\d+)", block).groups()
        kind, modes = re.search(r"kernel_([a-z_]+?)(?:I(?:.*?)Li(\d)E|\d)", name).groups()
        # what follows may also speak of a function that the kernel calls; the kernel's own comes first
        stack, stores, loads = re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+)", block).groups()
        registers = re.search(r"Used (\d+) registers", block).group(1)
        key = (int(arch), kind, int(modes or 0))
        now = (int(stack), int(stores) + int(loads), int(registers))
        found[key] = max(found.get(key, now), now)
    return found


def compiled(arch, source="fit_cuda"):
    with tempfile.TemporaryDirectory() as folder:
        command = [nvcc, "-std=c++17", "-O3", "-fmad=false", f"-arch=sm_{arch}", f"-DXN_DEVICE_MODES={MODES}",
                   "-Xptxas", "-v", "-cubin", f"-I{root}/src", f"-I{root}/include", f"{root}/src/cuda/{source}.cu",
                   "-o", os.path.join(folder, "kernels.cubin")]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if "Unsupported gpu architecture" in run.stderr or "is not defined for option 'gpu-architecture'" in run.stderr:
            return None  # an older nvcc
        return kernels(run.stderr) if run.returncode == 0 else run.stderr


def faults(arch, found):
    """What is wrong with the kernels of an architecture."""
    mine = {(kind, modes): v for (a, kind, modes), v in found.items() if a == arch and modes <= MODES}
    wanted = {(k, m) for k, most in (("fit", 2), ("rest", 2), ("finish", 2)) for m in range(1, most + 1)}
    wanted |= {(k, 0) for k in ("prepare", "open", "close", "choose", "begin", "start", "start_near", "finish")}
    bad = [f"no kernel {kind} of {modes} modes" for kind, modes in sorted(wanted - set(mine))]
    for (kind, modes), (stack, spilled, registers) in sorted(mine.items()):
        if spilled or stack:
            bad.append(f"{kind}<{modes}>: {stack} bytes of stack, {spilled} spilled, {registers} registers")
        if registers > LIMIT.get(f"{kind}{modes}", 255):
            bad.append(f"{kind}<{modes}>: {registers} registers")
    return bad, mine


def io_faults(arch, found):
    """The same of the kernels that decode and place."""
    mine = {(kind, e): v for (a, kind, e), v in found.items() if a == arch}
    wanted = {("blocks", 0)} | {(k, e) for k in ("unpack", "place") for e in (1, 2, 4, 8)}
    bad = [f"no kernel {kind} of elements of {e}" for kind, e in sorted(wanted - set(mine))]
    for (kind, e), (stack, spilled, registers) in sorted(mine.items()):
        if spilled or stack or registers > IO_LIMIT[kind]:
            bad.append(f"{kind}<{e}>: {stack} bytes of stack, {spilled} spilled, {registers} registers")
    return bad, mine


def sum_faults(arch, found):
    """The same of the kernels that sum, over all kinds of words."""
    mine = {(kind, k): v for (a, kind, k), v in found.items() if a == arch}
    bad = [f"no kernel of groups of {k}" for k in SUM_LIMIT if ("sum", k) not in mine]
    bad += [] if ("total", 0) in mine else ["no kernel of the photons"]
    for (kind, k), (stack, spilled, registers) in sorted(mine.items()):
        if spilled or stack or registers > (SUM_LIMIT[k] if kind == "sum" else 64):
            bad.append(f"{kind}<{k}>: {stack} bytes of stack, {spilled} spilled, {registers} registers")
    return bad, mine


def ptxas_said(source):
    with open(os.path.join(os.environ["XN_BUILD"], "cuda", source + ".resources"), encoding="utf-8") as said:
        return kernels(said.read())


if not nvcc:
    print("no nvcc in this build")
    sys.exit(77)
# the check itself must be able to fail
sample = ("ptxas info : Compiling entry function '_ZN1x10kernel_fitILi1ELi0EEEv5stage' for 'sm_90'\n"
          "ptxas info : Function properties\n  8 bytes stack frame, 4 bytes spill stores, 4 bytes spill loads\n"
          "ptxas info : Used 72 registers, used 0 barriers\n")
assert kernels(sample) == {(90, "fit", 1): (8, 8, 72)} and len(faults(90, kernels(sample))[0]) > 1
sample = sample.replace("kernel_fitILi1ELi0EEEv5stage", "kernel_unpackILi2EEEv11unpack_grid")
assert kernels(sample) == {(90, "unpack", 2): (8, 8, 72)} and "8 spilled" in io_faults(90, kernels(sample))[0][-1]
failed, number = False, 0
sample = sample.replace("kernel_unpackILi2EEEv11unpack_grid", "kernel_sumI11word_linearIsELi4EEv8sum_grid")
assert kernels(sample) == {(90, "sum", 4): (8, 8, 72)} and "8 spilled" in sum_faults(90, kernels(sample))[0][-1]
print(f"1..{3 * len(ARCHITECTURES)}")
for source, judge, what, shown in (
        ("fit_cuda", faults, f"no spills up to {MODES} modes", ("fit", "finish", "start")),
        ("io_cuda", io_faults, "decoding and placing without spills", ("blocks", "unpack", "place")),
        ("sum_cuda", sum_faults, "summing without spills", ("sum", "total"))):
    built = ptxas_said(source)
    missing = [a for a in ARCHITECTURES if not any(k[0] == a for k in built)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        others = dict(zip(missing, pool.map(compiled, missing, [source] * len(missing))))
    for arch in ARCHITECTURES:
        number += 1
        found = others.get(arch, built)
        if found is None:
            print(f"ok {number} - sm_{arch} # SKIP not known to this nvcc")
            continue
        bad, mine = ([found], {}) if isinstance(found, str) else judge(arch, found)
        for line in bad:
            print("#", line)
        used = ", ".join(f"{k}<{m}> {v[2]}" for (k, m), v in sorted(mine.items()) if k in shown)
        print("not ok" if bad else "ok", f"{number} - sm_{arch}: {what}; registers {used}")
        failed = failed or bool(bad)
sys.exit(1 if failed else 0)
