#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""memory.py XANI SCRATCH -- a reduction's peak memory does not grow from 1,000 to 10,000 frames and is within its budget.

bench/reduce_memory.py with fewer frames and bins; it says how the peak is measured.  Under the address sanitizer, which
keeps what was freed, there is nothing to measure.  Prints TAP.
"""
import os
import runpy
import sys

from harness import ROOT, SCRATCH, XANI, skip

script = os.path.join(ROOT, "bench", "reduce_memory.py")
with open(XANI, "rb") as f:
    if b"__asan_" in f.read():
        skip("memory is the sanitizer's")
os.environ["XANI_FRAMES"], os.environ["XANI_BINS"] = "10000", "3000"
# how many chunks of all delays (6 MB) are encoded at once is chance; all frames held would be 74 MB more
os.environ["XANI_THREADS"], os.environ["XANI_SLACK_CHUNKS"] = "1", "5"
sys.argv = [script, XANI, SCRATCH, "frames"]
runpy.run_path(script, run_name="__main__")
