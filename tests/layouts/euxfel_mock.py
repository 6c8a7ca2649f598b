# SPDX-License-Identifier: BSD-3-Clause
"""euxfel_mock.py OUT -- European XFEL runs written by EXtra-data's own mock devices, and what EXtra-data reads in them.

Run by a Python that has extra_data (make setup-test).  The mocks write files as the facility's data acquisition does; here
they are filled with numbers, trains and modules are taken away, and EXtra-data writes its virtual overview and its virtual
CXI file of them.  OUT/NAME.npz holds the frames it finds, NaN where a module is missing: the referee of xani's reader.
"""
import os
import sys

import h5py
import numpy as np
from extra_data import RunDirectory
from extra_data.components import AGIPD1M, JUNGFRAU
from extra_data.tests.mockdata.base import DeviceBase
from extra_data.tests.mockdata.detectors import AGIPDModule
from extra_data.tests.mockdata.jungfrau import JUNGFRAUModule
from extra_data.tests.mockdata.mkfile import write_file
from extra_data.tests.mockdata.motor import Motor
from extra_data.tests.mockdata.xgm import XGM
from extra_data.voview import VirtualOverviewFileWriter

OUT = sys.argv[1]
TRAINS, FIRST = 24, 10000
rng = np.random.default_rng(11)


class SmallAGIPD(AGIPDModule):
    image_dims = (2, 16, 8)


class SmallJUNGFRAU(JUNGFRAUModule):
    instrument_keys = [("frameNumber", "u8", (16,)), ("gain", "u1", (16, 16, 8)), ("memoryCell", "u1", (16,)),
                       ("timestamp", "f8", (16,)), ("adc", "f4", (16, 16, 8)), ("mask", "u4", (16, 16, 8))]


class Small1M(AGIPD1M):
    module_shape = (16, 8)


class SmallJF(JUNGFRAU):
    module_shape = (16, 8)


def fill(path, edits):
    with h5py.File(path, "r+") as f:
        for name, values in edits(f).items():
            f[name][:len(values)] = values


def readings(folder, run, version):
    """Gas monitor and stage of all trains, in two sequences."""
    i0, stage = rng.uniform(0.5, 1.5, (TRAINS, 1000)).astype("f4"), np.linspace(99.6, 100.2, TRAINS)
    for seq, part in enumerate((slice(0, 9), slice(9, TRAINS))):
        path, n = f"{folder}/RAW-R{run:04}-DA01-S{seq:05}.h5", len(range(TRAINS)[part])
        write_file(path, [XGM("SA1_XTD2_XGM/XGM/DOOCS"), Motor("SPB_LAS_COM/MOTOR/DL800")], n, FIRST + part.start, 8, version)
        fill(path, lambda f: {"INSTRUMENT/SA1_XTD2_XGM/XGM/DOOCS:output/data/intensityTD": i0[part],
                              "CONTROL/SPB_LAS_COM/MOTOR/DL800/actualPosition/value": stage[part]})
    return i0, stage


def save(name, det, key, label, i0, stage):
    """Frames in the order of the ids; a module without a frame is NaN."""
    frames = det[key].xarray(fill_value=np.nan)
    train, pulse = (np.asarray(frames.coords[c]) for c in ("trainId", label))
    frames = np.asarray(frames.transpose("train_pulse", "module", "slow_scan", "fast_scan") if "train_pulse" in frames.dims else frames)
    np.savez(f"{OUT}/{name}.npz", train=train, pulse=pulse, frames=frames, i0=i0, stage=stage, first=FIRST)


def overview(folder, out):
    with VirtualOverviewFileWriter(out, RunDirectory(folder, inc_suspect_trains=True)) as w:
        w.write()


def agipd():
    """16 modules in files of version 1.2 with the names of both generations; trains of few and of many frames."""
    folder, counts = f"{OUT}/spb", rng.integers(0, 7, TRAINS).astype("u8")
    os.makedirs(folder)
    i0, stage = readings(folder, 142, "1.2")
    for m in range(16):
        for seq, part in enumerate((slice(0, 5 + m), slice(5 + m, TRAINS))):
            if m == 7 and seq == 1:
                part = slice(15, TRAINS)  # it lacks trains 12, 13, 14
            path, n = f"{folder}/CORR-R0142-AGIPD{m:02}-S{seq:05}.h5", int(counts[part].sum())
            write_file(path, [SmallAGIPD(f"SPB_DET_AGIPD1M-1/CORR/{m}CH0", channel_name="output", raw=False,
                                         frames_per_train=counts[part], legacy_name=f"SPB_DET_AGIPD1M-1/DET/{m}CH0")],
                       len(counts[part]), FIRST + part.start, 8, "1.2")
            group = f"INSTRUMENT/SPB_DET_AGIPD1M-1/CORR/{m}CH0:output/image"
            fill(path, lambda f: {f"{group}/data": rng.poisson(8, (n, 16, 8)).astype("f4"),
                                  f"{group}/mask": np.zeros((n, 16, 8), "u4"), f"{group}/gain": np.zeros((n, 16, 8), "u1")})
    det = Small1M(RunDirectory(folder), min_modules=1)
    pulses = np.concatenate([np.arange(c) for c in counts])
    trains = np.repeat(FIRST + np.arange(TRAINS), counts.astype(int))
    frames = np.full((len(trains), 16, 16, 8), np.nan, "f4")
    for m in range(16):
        a = RunDirectory(folder)[f"SPB_DET_AGIPD1M-1/CORR/{m}CH0:output", "image.data"].xarray()
        k = 0
        for i, t in enumerate(trains):
            if k < len(a) and int(a.trainId[k]) == t:
                frames[i, m] = a[k]
                k += 1
        assert k == len(a)
    np.savez(f"{OUT}/spb.npz", train=trains, pulse=pulses, frames=frames, i0=i0, stage=stage, first=FIRST)
    det.write_virtual_cxi(f"{OUT}/spb.cxi")
    overview(folder, f"{OUT}/overview.h5")


def jungfrau():
    """Two modules of 16 memory cells, version 1.0."""
    folder = f"{OUT}/fxe"
    os.makedirs(folder)
    i0, stage = readings(folder, 12, "1.0")
    frames = np.full((TRAINS, 16, 2, 16, 8), np.nan, "f4")
    for m in (1, 2):
        first = 0 if m == 1 else 3  # module 2 began later
        path = f"{folder}/CORR-R0012-JNGFR{m:02}-S00000.h5"
        write_file(path, [SmallJUNGFRAU(f"FXE_XAD_JF1M/DET/JNGFR{m:02}")], TRAINS - first, FIRST + first, 1, "1.0")
        group = f"INSTRUMENT/FXE_XAD_JF1M/DET/JNGFR{m:02}:daqOutput/data"
        n = TRAINS - first
        fill(path, lambda f: {f"{group}/adc": rng.poisson(8, (n, 16, 16, 8)).astype("f4"),
                              f"{group}/mask": np.zeros((n, 16, 16, 8), "u4"), f"{group}/gain": np.zeros((n, 16, 16, 8), "u1"),
                              f"{group}/memoryCell": np.tile(np.roll(np.arange(16, dtype="u1"), 1), (n, 1))})
        a = RunDirectory(folder)[f"FXE_XAD_JF1M/DET/JNGFR{m:02}:daqOutput", "data.adc"].xarray()
        frames[np.asarray(a.trainId) - FIRST, :, m - 1] = np.asarray(a)
    np.savez(f"{OUT}/fxe.npz", train=np.repeat(FIRST + np.arange(TRAINS), 16), pulse=np.tile(np.arange(16), TRAINS),
             frames=frames.reshape(-1, 2, 16, 8), i0=i0, stage=stage, first=FIRST)
    SmallJF(RunDirectory(folder), "FXE_XAD_JF1M", min_modules=1).write_virtual_cxi(f"{OUT}/fxe.cxi")


os.makedirs(OUT, exist_ok=True)
agipd()
jungfrau()
