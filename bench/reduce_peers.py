#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""reduce_peers.py FOLDER KIND THREADS GROUP -- the sums of reduce in NumPy and in Numba, as a benchmark's peers.

Words and calibration lie in FOLDER as plain arrays and are in memory before the clock starts.  Each line of standard
input asks for one run: 0 NumPy, 1 Numba, on words in memory; 2, 3 the same in a loop that reads the frames by h5py,
one at a time or, for Numba, 64.  The answer is "seconds photons", or why there is none.
"""
import sys
import time

folder, kind, threads, k = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
NY, NX, SHOTS, BINS = 512, 1024, 512, 100
try:
    import numpy as np
except ImportError:
    np = None
try:
    import numba
except ImportError:
    numba = None
try:
    import h5py
except ImportError:
    h5py = None
try:
    import hdf5plugin  # its vectorised decoder; else that of the system, if there is one
except ImportError:
    hdf5plugin = None


def load():
    words = np.fromfile(f"{folder}/words", "u2").reshape(-1, NY, NX)
    planes = np.fromfile(f"{folder}/planes", "f4", 6 * NY * NX).reshape(2, 3, NY, NX)
    mask = np.fromfile(f"{folder}/planes", "u4", NY * NX, offset=6 * NY * NX * 4).reshape(NY, NX)
    rng = np.random.default_rng(1)
    bins = np.where(np.arange(SHOTS) % 4 == 3, BINS, rng.integers(0, BINS, SHOTS))  # BINS: laser off
    return words, planes[0], planes[1] * (mask == 0), mask == 0, bins, rng.gamma(20, 1 / 20, SHOTS)


def run_numpy(words, pedestal, factor, good, bins, i0):
    sums = np.zeros((3, BINS + 1, NY // k, NX // k))
    for i in range(SHOTS):
        w = words[i % len(words)]
        if kind == "jungfrau":
            stage = w >> 14
            adu = (w & 0x3FFF).astype("f4")
            photons = (adu - pedestal[0]) * factor[0]
            for s, code in ((1, 1), (2, 3)):
                there = stage == code
                photons[there] = (adu[there] - pedestal[s][there]) * factor[s][there]
        else:
            photons = w * good.astype("f4")
        g = photons.reshape(NY // k, k, NX // k, k).sum((1, 3), dtype="f8")
        sums[0, bins[i]] += g
        sums[1, bins[i]] += g * g
        sums[2, bins[i]] += g * i0[i]
    return sums[0].sum()


def make_numba():
    numba.set_num_threads(threads)
    jungfrau = kind == "jungfrau"

    @numba.njit(parallel=True, fastmath=True)
    def add(sums, words, pedestal, factor, good, bins, i0):
        for y in numba.prange(NY // k):
            for i in range(len(bins)):
                w = words[i % len(words)]
                for x in range(NX // k):
                    g = 0.0
                    for dy in range(k):
                        for dx in range(k):
                            r, c = y * k + dy, x * k + dx
                            v = w[r, c]
                            if jungfrau:
                                code = np.int64(v) >> 14
                                s = 2 if code == 3 else code
                                g += (np.float32(np.int64(v) & 0x3FFF) - pedestal[s, r, c]) * factor[s, r, c]
                            elif good[r, c]:
                                g += v
                    sums[0, bins[i], y, x] += g
                    sums[1, bins[i], y, x] += g * g
                    sums[2, bins[i], y, x] += g * i0[i]

    def run(words, pedestal, factor, good, bins, i0):
        sums, step = np.zeros((3, BINS + 1, NY // k, NX // k)), SHOTS if isinstance(words, np.ndarray) else 64
        for i in range(0, SHOTS, step):
            at = i % len(words)
            add(sums, words if step == SHOTS else words[at:at + step], pedestal, factor, good, bins[i:i + step], i0[i:i + step])
        return sums[0].sum()

    return run


def from_file(run):
    """The same run on frames as the file gives them."""
    def read(_, *rest):
        with h5py.File(f"{folder}/frames.h5") as f:
            return run(f["data"], *rest)
    return read


data = load() if np is not None else None
runs = [run_numpy if np is not None else None, None, None, None]
why = ["numpy is not installed for this python3", "numba is not installed for this python3"]
why += ["h5py and " + text for text in why]
if np is not None and numba is not None:
    runs[1] = make_numba()
    runs[1](*data)  # compiled before the clock starts
if h5py is not None:
    runs[2:] = [from_file(run) if run is not None else None for run in runs[:2]]
for line in sys.stdin:
    peer = int(line)
    if runs[peer] is None:
        print(why[peer], flush=True)
        continue
    begin = time.perf_counter()
    try:
        photons = runs[peer](*data)
        print(time.perf_counter() - begin, float(photons), flush=True)
    except OSError as error:  # no decoder
        print(str(error).replace("\n", " ")[:150], flush=True)
