#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""io_peers.py PEER PATH DATASET STEP -- frames read in Python, as peers of `xani bench io`.

PEER is h5py-slice, h5py-hdf5plugin, sum (h5py slices added up) or legate.  Each line of standard input asks for one
pass over the file; the answer is "wall_s cpu_s sum_of_first_pixels", or one line that says why there is none.
"""
import ctypes
import os
import sys
import time

SYSTEM = "/usr/bin/python3"
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


def readable():
    """Whether this h5py has the filters; that of a virtual environment lacks those of the system's packages."""
    try:
        with h5py.File(path, "r") as f:
            f[dataset][:1]
        return True
    except OSError:
        return False


def load_legate():
    """Legate reads with a task per processor; without a driver of NVIDIA's its own libraries need a stand-in."""
    no_cuda = os.path.join(sys.prefix, "lib", "no-cuda", "libcuda.so.1")  # made by tools/build-no-cuda
    if os.path.exists(no_cuda):
        ctypes.CDLL(no_cuda, ctypes.RTLD_GLOBAL)
    processors = len(os.sched_getaffinity(0))
    os.environ.setdefault("LEGATE_CONFIG", f"--cpus {processors} --gpus 0 --omps 0 --sysmem 2000")
    answers, to_stderr = os.dup(1), 2
    os.dup2(to_stderr, 1)  # its own output is no answer
    sys.stdout = os.fdopen(answers, "w")
    from legate.io.hdf5 import from_file

    return from_file


def with_legate():
    store = from_file(path, dataset_name=dataset)
    frames = np.asarray(store.get_physical_array())  # waits for the reading
    return float(frames.reshape(frames.shape[0], -1)[:, 0].astype("f8").sum())


run, why = None, ""
try:
    import numpy as np

    if peer == "legate":
        from_file = load_legate()
        run = with_legate
    else:
        import h5py

        if peer == "h5py-hdf5plugin":
            import hdf5plugin  # noqa: F401 (registers its filters)
        elif not readable() and sys.executable != SYSTEM and os.access(SYSTEM, os.X_OK):
            os.execv(SYSTEM, [SYSTEM, *sys.argv])
        run = with_h5py
except ModuleNotFoundError as error:
    why = f"{error.name or 'a module'} is not installed for python3"
except (ImportError, OSError, RuntimeError) as error:
    why = f"{peer}: {' '.join(str(error).split())}"[:150]

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
