#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""io_peers.py PEER PATH DATASET STEP -- frames read in Python, as peers of `xani bench io`.

PEER is h5py-slice, h5py-hdf5plugin, sum (h5py slices added up) or legate.  Each line of standard input asks for one
pass over the file; the answer is "wall_s cpu_s sum_of_first_pixels", or one line that says why there is none.
"""
import sys
import time

peer, path, dataset, step = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])


def with_h5py():
    with h5py.File(path, "r") as f:
        d, total = f[dataset], 0.0
        for i in range(0, d.shape[0], step):
            frames = d[i : i + step]  # what people write
            if peer == "sum":
                frames.sum()
            total += float(frames.reshape(frames.shape[0], -1)[:, 0].astype("f8").sum())
        return total


def with_legate():
    store = from_file(path, dataset_name=dataset)
    frames = np.asarray(store.get_physical_array())
    return float(frames.reshape(frames.shape[0], -1)[:, 0].astype("f8").sum())


run, why = None, ""
try:
    import numpy as np

    if peer == "legate":
        from legate.io.hdf5 import from_file

        run = with_legate
    else:
        import h5py

        if peer == "h5py-hdf5plugin":
            import hdf5plugin  # noqa: F401 (registers its filters)
        run = with_h5py
except ImportError as error:
    why = f"{error.name or 'a module'} is not installed for python3"

for _ in sys.stdin:
    if run is None:
        print(why, flush=True)
        continue
    try:
        wall, cpu = time.perf_counter(), time.process_time()
        first = run()
        print(time.perf_counter() - wall, time.process_time() - cpu, first, flush=True)
    except Exception as error:  # whatever it is, it is the answer
        print(f"{peer}: {type(error).__name__}: {' '.join(str(error).split())}"[:150], flush=True)
