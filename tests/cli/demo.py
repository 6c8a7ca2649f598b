#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""demo.py XANI SCRATCH -- the demo recovers what it simulated, resumes, and touches no folder but its own.

The shipped experiment with fewer shots, two sample angles and few, large pixels, so that it also runs under sanitizers;
each pixel has one frequency per branch, so that every strong line has a true one to be compared with.  Prints TAP.
"""
import json
import os
import signal
import subprocess
import time

from harness import SCRATCH, XANI, r, set_options, xani

SETTINGS = ("sim.shots=500", "runs=[{name: a, angle_deg: [0]}, {name: b, angle_deg: [8]}]", "sim.detector.shape=[16, 32]",
            "sim.detector.pixel_mm=1.2", "sim.detector.gap_px=[2, 2]", "sim.detector.centre_px=[33, -10]", "sim.photons=320",
            "reduce.spatial_bin=1")
SMALL = set_options(*SETTINGS)


def demo(*args):
    return xani("demo", *args, timeout=800)


def error_line(stderr):
    lines = [l for l in stderr.splitlines() if l.startswith("xani: ") and "warning" not in l]
    return lines[-1] if lines else ""


def stamps(folder):
    return {os.path.join(d, n): os.stat(os.path.join(d, n)).st_mtime_ns for d, _, names in os.walk(folder) for n in names}


def check_demo():
    code, stdout, stderr = demo(*SMALL, "--json")
    if not r.ok(code == 0, f"demo without a name ends with {code}: {error_line(stderr)}"):
        return
    answer = json.loads(stdout)
    r.ok(answer["schema"] == "xani.demo" and answer["directory"] == "xani-demo", "it goes to xani-demo")
    r.ok(os.path.exists(f"{SCRATCH}/{answer['report']}") and os.path.exists(f"{SCRATCH}/xani-demo/raw/truth.h5"), "report and raw files are there")
    found, truth = answer["recovered"], answer["truth"]
    r.ok(found["points"] > 300 and found["branches"] == 3, f"{found['points']} points, {found['branches']} branches")
    r.ok(0.7 * 1000 < found["shots_used_on"] + found["shots_used_off"] < 1000, "most of the 1000 shots are used, not all")
    r.ok(truth["points_compared"] + truth["points_without_line"] == found["points"] and truth["points_without_line"] < 0.02 * found["points"] and truth["median_difference_thz"] < 0.02,
         f"median |nu - nu1| {1000 * truth['median_difference_thz']:.1f} GHz")
    # the time tool's noise shifts the mean delay of a bin for all pixels alike: the mean of the pulls is not theirs alone
    r.ok(truth["pulls"] > 100 and abs(truth["pull_mean"]) < 0.4 and 0.85 < truth["pull_width"] < 1.2,
         f"pulls {truth['pull_mean']:.3f} ± {truth['pull_width']:.3f} of {truth['pulls']}")
    r.ok(truth["within_3_sigma"] > 0.97 and truth["beyond_5_sigma"] < 0.02, f"{truth['within_3_sigma']:.4f} within 3 sigma")
    r.ok(0 < answer["peak_memory_bytes"] < 4 << 30 and answer["seconds"] > 0, "time and memory are told")
    before = stamps(f"{SCRATCH}/xani-demo")
    code, _, stderr = demo(*SMALL)
    r.ok(code == 2 and "--force" in error_line(stderr), f"a second demo in its place: exit {code}, {error_line(stderr)}")
    r.ok(stamps(f"{SCRATCH}/xani-demo") == before, "and nothing is touched")
    code, stdout, stderr = demo("xani-demo", *SMALL, "--set", "sim.seed=7", "--force", "-q")
    after = stamps(f"{SCRATCH}/xani-demo")
    r.ok(code == 0 and after[f"{SCRATCH}/xani-demo/raw/truth.h5"] != before[f"{SCRATCH}/xani-demo/raw/truth.h5"], "--force replaces it")
    r.ok(all(word in stdout for word in ("recovered", "truth", "pulls", "branches", "took", "xani-demo/result/report.html")) and
         stdout.count("\n") < 10, "it says in a few lines what was recovered")


def check_foreign():
    os.makedirs(f"{SCRATCH}/mine/raw")
    for name in ("mine/notes.txt", "mine/raw/data.h5"):
        open(f"{SCRATCH}/{name}", "w").close()
    before = stamps(f"{SCRATCH}/mine")
    for more in ([], ["--force"]):
        code, _, stderr = demo("mine", *more)
        r.ok(code == 2 and "mine" in error_line(stderr) and stamps(f"{SCRATCH}/mine") == before,
             f"a folder of one's own is left alone {more}: {error_line(stderr)}")
    code, _, stderr = demo("mine/notes.txt")
    r.ok(code == 2 and "not a folder" in error_line(stderr), f"a file: {error_line(stderr)}")
    code, _, stderr = demo("mine/no/such/place")
    r.ok(code == 1 and "no/such" in error_line(stderr), f"a place that cannot be made: exit {code}, {error_line(stderr)}")
    code, _, stderr = demo("bad", "--set", "sim.shotss=5")
    r.ok(code == 2 and "sim.shots" in error_line(stderr) and not os.path.exists(f"{SCRATCH}/bad"), f"a wrong key: {error_line(stderr)}")


def check_interrupt():
    """Stopped once the raw files are there; the same command goes on and simulates nothing again."""
    p = subprocess.Popen([XANI, "demo", "stopped", *SMALL], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=SCRATCH)
    config = f"{SCRATCH}/stopped/raw/xani.yaml"
    for _ in range(60000):
        if os.path.exists(config) or p.poll() is not None:
            break
        time.sleep(0.005)
    p.send_signal(signal.SIGINT)
    stderr = p.communicate(timeout=600)[1]
    r.ok(p.returncode == 75, f"interrupted: exit {p.returncode}: {error_line(stderr)}")
    raw = stamps(f"{SCRATCH}/stopped/raw")
    code, _, stderr = demo("stopped", *SMALL)
    r.ok(code == 0 and stamps(f"{SCRATCH}/stopped/raw") == raw, f"the same command goes on: {code} {error_line(stderr)}")


r.guard("demo", check_demo)
r.guard("foreign", check_foreign)
r.guard("interrupt", check_interrupt)
r.end()
