#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""memory.py XANI SCRATCH -- a reduction's peak memory does not grow from 1,000 to 10,000 frames and is within its budget.

bench/reduce_memory.py with fewer frames and bins; it says how the peak is measured.  Under the address sanitizer, which
keeps what was freed, there is nothing to measure.  Prints TAP.
"""
import os
import runpy
import sys

script = os.path.join(os.environ["XN_ROOT"], "bench", "reduce_memory.py")
try:
    import h5py  # noqa: F401
except ImportError as missing:
    print(f"1..0 # SKIP {missing}")
    sys.exit(77)
with open(sys.argv[1], "rb") as f:
    if b"__asan_" in f.read():
        print("1..0 # SKIP memory is the sanitizer's")
        sys.exit(77)
os.environ["XANI_FRAMES"], os.environ["XANI_BINS"] = "10000", "3000"
# how many chunks of all delays (6 MB) are encoded at once is chance; all frames held would be 74 MB more
os.environ["XANI_THREADS"], os.environ["XANI_SLACK_CHUNKS"] = "1", "5"
sys.argv = [script, *sys.argv[1:3], "frames"]
runpy.run_path(script, run_name="__main__")
