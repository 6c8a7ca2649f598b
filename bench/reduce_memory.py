#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""reduce_memory.py XANI SCRATCH [frames | huge] -- the peak memory of `xani reduce`, as the kernel counts it.

frames  1,000 and 100,000 small raw JUNGFRAU frames: memory must not grow with the number of frames (by 2 % at most),
        nor exceed engine.memory_gib.  XANI_FRAMES, XANI_BINS: others than 100,000 and 12,000.
huge    raw frames of 67 JUNGFRAU modules, 35.1 million pixels and 70 MB each, in 4 GiB: the plan for 200 delay bins,
        a run at 8 x 8 grouping, one at full resolution in several passes, and one module (a tile) at full resolution.
        Takes 8 GB of disk and about three minutes.

Files are written by h5py as formats.md 1.5 describes them.  The peak is ru_maxrss of a process of its own, started from
a small one: a child begins with what its parent has resident.  It counts mapped files too.  Prints TAP.
"""
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "contract"))
import h5py
import numpy as np
from walk import Report

XANI, SCRATCH = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
WHAT = sys.argv[3:] or ["frames", "huge"]
GIB, MODULE = 2**30, (512, 1024)
OWN = 48 << 20  # of the process, plan.c
DET, I0, DELAY = "JF01T67V01", "MONITOR", "DELAY"
WATCH = """import os, resource, sys
code = os.waitstatus_to_exitcode(os.waitpid(os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ), 0)[1])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)"""
r = Report()


def experiment(name, frames, shape, n_bins):
    """Every third shot laser-off, the same 666 delays in bins of 0.1 ps for any number of frames: a bin without shots is
    memory that is never touched.  Frames vary little, so that they cost nothing."""
    where = f"{SCRATCH}/{name}"
    os.makedirs(where, exist_ok=True)
    ids = 15_000_000_000 + np.arange(frames)
    few = np.random.default_rng(1).poisson(3, (4, shape[0], shape[1])).astype("u2") * 200 + 3000
    with h5py.File(f"{where}/run.{DET}.h5", "w") as f:
        g = f.create_group(f"data/{DET}")
        d = g.create_dataset("data", (frames,) + shape, "u2", chunks=(1,) + shape)
        for i in range(frames):
            d.id.write_direct_chunk((i, 0, 0), few[i % 4].tobytes())
        g["pulse_id"], g["frame_index"] = ids.astype("u8"), np.arange(frames, dtype="u8")
        g["daq_rec"] = np.where(np.arange(frames) % 3 == 2, 1 << 18, (1 << 18) | (1 << 16)).astype("u4")
        g["is_good_frame"] = np.ones(frames, "u1")
    with h5py.File(f"{where}/run.BSDATA.h5", "w") as f:
        for channel, values in ((I0, np.full(frames, 1.0)), (DELAY, np.arange(frames) % 999 * 7 % n_bins * 0.1 + 0.05)):
            f[f"data/{channel}/pulse_id"], f[f"data/{channel}/data"] = ids, values
    with h5py.File(f"{where}/gains.h5", "w") as f:
        d = f.create_dataset("gains", (3,) + shape, "f4", fillvalue=20.0)
        d[:, :1, :1] = 20.0
    with h5py.File(f"{where}/pedestal.h5", "w") as f:
        d = f.create_dataset("gains", (3,) + shape, "f4", fillvalue=3000.0)
        d[:, :1, :1] = 3000.0
        f.create_dataset("pixel_mask", shape, "u4")[:1, :1] = 0
    config = {"experiment": {"title": name, "energy_kev": 10.0},
              "input": {"layout": "swissfel", "files": [f"{where}/run.*.h5"], "frames": DET, "i0": I0, "laser": "daq_rec",
                        "calibration": {"pedestal": f"{where}/pedestal.h5", "gain": f"{where}/gains.h5"},
                        "delay": {"parts": [{"source": DELAY}], "sign": 1}},
              "reduce": {"delay_bins_ps": {"start": 0, "stop": round(0.1 * n_bins, 9), "step": 0.1}},
              "engine": {"threads": int(os.environ.get("XANI_THREADS", "2")), "save_seconds": 0}}
    with open(f"{where}/xani.yaml", "w") as f:
        json.dump(config, f)
    return f"{where}/xani.yaml"


def settings(keys):
    return [word for key, value in keys.items() for word in ("--set", f"{key}={value}")]


def plan(config, **keys):
    done = subprocess.run([XANI, "check", config, "--json", *settings(keys)], capture_output=True, text=True)
    return json.loads(done.stdout)["runs"][0] if done.returncode == 0 else done.stderr.strip()


def reduce(config, **keys):
    """Peak bytes and seconds of a reduction; what it says goes to stderr."""
    out = f"{SCRATCH}/cube.h5"
    begin = time.monotonic()
    done = subprocess.run([sys.executable, "-I", "-S", "-c", WATCH, XANI, "reduce", config, "-o", out, "-q",
                           *settings(keys)], stdout=subprocess.PIPE, text=True)
    seconds = time.monotonic() - begin
    r.ok(done.returncode == 0, f"{config} is reduced with {keys}")
    for name in (out, f"{out}.manifest.json"):
        if os.path.exists(name):
            os.remove(name)
    return int(done.stdout.split()[-1]) * 1024, seconds


if "frames" in WHAT:
    few, many, bins = 1000, int(os.environ.get("XANI_FRAMES", "100000")), int(os.environ.get("XANI_BINS", "12000"))
    made = {n: experiment(f"frames{n}", n, (64, 64), bins) for n in (few, many)}
    # the least that holds the sums of all bins in memory: what is left for batches is little, as with large frames
    told = plan(made[many])
    budget = 1.01 * (told["write_bytes"] + OWN) / GIB
    peak = {}
    for n, config in made.items():
        told = plan(config, **{"engine.memory_gib": budget})
        # the least of a few: how many buffers two threads hold at once is chance
        runs = [reduce(config, **{"engine.memory_gib": budget}) for _ in range(int(os.environ.get("XANI_TIMES", "1")))]
        peak[n], seconds = min(runs)
        print(f"# {n} frames of 64 x 64, {bins} bins: peak {peak[n] / 2**20:.1f} MiB of {1024 * budget:.1f}, "
              f"planned {told['memory_bytes'] / 2**20:.1f} MiB, {told['passes']} pass(es), {seconds:.1f} s")
        os.remove(config.replace("xani.yaml", f"run.{DET}.h5"))
    growth = peak[many] / peak[few] - 1
    print(f"# growth {100 * growth:.2f} %, {(peak[many] - peak[few]) / (many - few):.0f} bytes a frame")
    slack = int(os.environ.get("XANI_SLACK_CHUNKS", "0")) * bins * 256 * 8 / peak[few]  # buffers of the writer
    r.ok(abs(growth) <= 0.02 + slack, "memory does not grow with the number of frames")
    r.ok(max(peak.values()) <= budget * GIB, f"and stays below {budget:.3f} GiB")

if "huge" in WHAT:
    BUDGET, MODULES = 4, 67
    shape = (MODULES * MODULE[0], MODULE[1])
    config = experiment("huge", 24, shape, 200)
    few = {"engine.memory_gib": BUDGET, "reduce.delay_bins_ps": "{edges: [0, 6, 12, 20]}"}
    for name, keys in (("8 x 8", {"engine.memory_gib": BUDGET, "reduce.spatial_bin": 8}),
                       ("1 x 1", {"engine.memory_gib": BUDGET, "reduce.spatial_bin": 1})):
        told = plan(config, **keys)
        r.ok(isinstance(told, dict) and told["memory_bytes"] <= BUDGET * GIB, f"{name}, 200 bins: a plan {told}")
    for name, keys in (("8 x 8, 200 bins", {"engine.memory_gib": BUDGET, "reduce.spatial_bin": 8}),
                       ("1 x 1, 3 bins", few)):
        told = plan(config, **keys)
        peak, seconds = reduce(config, **keys)
        print(f"# {name}: peak {peak / GIB:.2f} GiB, planned {told['memory_bytes'] / GIB:.2f} GiB, "
              f"{told['passes']} pass(es), {told['file_bytes'] / GIB:.2f} GiB in a file, {seconds:.0f} s")
        r.ok(peak <= BUDGET * GIB, f"{name}: below {BUDGET} GiB")
    os.remove(config.replace("xani.yaml", f"run.{DET}.h5"))
    config = experiment("tile", 24, MODULE, 200)
    keys = {"engine.memory_gib": BUDGET, "reduce.spatial_bin": 1}
    told = plan(config, **keys)
    peak, seconds = reduce(config, **keys)
    print(f"# one module, 1 x 1, 200 bins: peak {peak / GIB:.2f} GiB, planned {told['memory_bytes'] / GIB:.2f} GiB, "
          f"{told['passes']} pass(es), {seconds:.0f} s")
    r.ok(peak <= BUDGET * GIB, f"one tile at full resolution: below {BUDGET} GiB")

print(f"1..{r.n}")
sys.exit(r.failed > 0)
