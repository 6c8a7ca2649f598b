# SPDX-License-Identifier: BSD-3-Clause
"""exdf.py -- European XFEL files written by h5py as formats.md 1.4 describes them, for the scripts that test the reader.

Independent of the library.  A file is made of sources; every source has its own rows per train:

    f = File(path, trains, version="1.2", bad={t}, pad=16)      INDEX/trainId and flags, zero-padded
    f.instrument("DET/0CH0:xtdf", "image", {t: n}, {"data": rows, ...})     rows in the order of the trains
    f.control("DEV/MOTOR/1", {"actualPosition": {t: value}})
    f.close()
"""
import os

import h5py
import numpy as np

TEXT = h5py.special_dtype(vlen=bytes)


class File:
    def __init__(self, path, trains, version="1.2", bad=(), pad=16):
        self.f, self.trains, self.version, self.sources = h5py.File(path, "w"), list(trains), version, []
        n = len(self.trains)
        self.padded = (n + pad - 1) // pad * pad
        ids = np.zeros(self.padded, "u8")
        ids[:n] = self.trains
        self.f.create_dataset("INDEX/trainId", data=ids, maxshape=(None,), chunks=(max(pad, 1),))
        if version not in ("0.1", "0.5"):
            good = np.array([t not in bad for t in self.trains], bool)
            flag = np.zeros(self.padded, "i4")
            flag[:n] = ~good if version == "1.1" else good
            self.f.create_dataset("INDEX/flag", data=flag, maxshape=(None,))
            self.f.create_dataset("INDEX/timestamp", data=np.arange(self.padded, dtype="u8"), maxshape=(None,))
        if version in ("1.2", "1.3"):
            self.f.create_dataset("INDEX/origin", data=-np.ones(self.padded, "i4"), maxshape=(None,))
        self.f.create_group("RUN")

    def index(self, name, counts):
        """first and count of the trains (v0.1: first, last, status); returns how many rows there are."""
        count = np.zeros(self.padded, "u8")
        count[:len(self.trains)] = [counts.get(t, 0) for t in self.trains]
        first = np.concatenate([[0], np.cumsum(count)[:-1]]).astype("u8")
        self.f[f"INDEX/{name}/first"] = first
        if self.version == "0.1":
            self.f[f"INDEX/{name}/last"] = np.maximum(first.astype("i8") + count.astype("i8") - 1, 0).astype("u8")
            self.f[f"INDEX/{name}/status"] = (count > 0).astype("u8")
        else:
            self.f[f"INDEX/{name}/count"] = count
        return int(count.sum())

    def instrument(self, source, group, counts, data, listed=True, more_rows=0, cut_off=0):
        """data: {key: array (rows, ...)}; more_rows: padding behind the rows that the index knows; cut_off: rows that the
        index knows and the datasets do not have."""
        n = self.index(f"{source}/{group}", counts)
        if listed:
            self.sources.append(f"INSTRUMENT/{source}/{group}")
        for key, rows in data.items():
            rows = np.asarray(rows)
            assert len(rows) == n, (source, key, len(rows), n)
            rows = rows[:n - cut_off]
            if more_rows:
                rows = np.concatenate([rows, np.zeros((more_rows,) + rows.shape[1:], rows.dtype)])
            packed = {"compression": "gzip", "compression_opts": 1} if key in ("mask", "gain") else {}
            chunk = (1,) + rows.shape[1:] if rows.ndim > 2 and len(rows) else None
            self.f.create_dataset(f"INSTRUMENT/{source}/{group}/{key}", data=rows, chunks=chunk,
                                  **(packed if chunk else {}))

    def control(self, source, values):
        """values: {key: {train: value}}; a train without a value has no row."""
        has = [t for t in self.trains if all(t in v for v in values.values())]
        self.index(source, {t: 1 for t in has})
        self.sources.append(f"CONTROL/{source}")
        for key, v in values.items():
            rows = np.array([v[t] for t in has])
            self.f[f"CONTROL/{source}/{key.replace('.', '/')}/value"] = rows
            self.f[f"CONTROL/{source}/{key.replace('.', '/')}/timestamp"] = np.zeros(len(has), "u8")
            self.f[f"RUN/{source}/{key.replace('.', '/')}/value"] = rows[:1]

    def close(self):
        where = "METADATA" if self.version in ("0.1", "0.5") else "METADATA/dataSources"
        ids = self.sources + ["Karabo_TimerServer"] * (self.version == "1.1") + [""] * 3
        self.f.create_dataset(f"{where}/dataSourceId", data=np.array([s.encode() for s in ids], object), dtype=TEXT)
        for name, part in (("root", 0), ("deviceId", 1)):
            rows = [(s.split("/", 1) + [""])[part].encode() for s in ids]
            self.f.create_dataset(f"{where}/{name}", data=np.array(rows, object), dtype=TEXT)
        if self.version not in ("0.1", "0.5"):
            self.f.create_dataset("METADATA/dataFormatVersion", data=np.array([self.version.encode()], object), dtype=TEXT)
            self.f["METADATA/runNumber"] = np.array([348], "u4")
        self.f.close()


def overview(files, path):
    """A virtual overview of files: every source with all rows of all files, under the trains that any of them has."""
    opened = [h5py.File(f) for f in files]
    trains = sorted({int(t) for f in opened for t in f["INDEX/trainId"][()] if t})
    sources = {}  # "KIND/source" -> files that list it
    for f in opened:
        listed = f["METADATA/dataSources/dataSourceId" if "dataSources" in f["METADATA"] else "METADATA/dataSourceId"][()]
        for s in listed:
            if b"/" in s:
                sources.setdefault(s.decode(), []).append(f)
    with h5py.File(path, "w", libver="v110") as out:
        out.attrs["virtual_overview_version"] = 1
        out.create_dataset(".source_files/names", data=np.array([os.path.basename(f).encode() for f in files], object), dtype=TEXT)
        out[".source_files/sizes"] = np.array([os.path.getsize(f) for f in files], "u8")
        out["INDEX/trainId"] = np.array(trains, "u8")
        out["INDEX/flag"] = np.ones(len(trains), "i4")
        out.create_dataset("METADATA/dataFormatVersion", data=np.array([b"1.2"], object), dtype=TEXT)
        out.create_dataset("METADATA/dataSources/dataSourceId", data=np.array([s.encode() for s in sources], object), dtype=TEXT)
        for name, those in sources.items():
            kind, source = name.split("/", 1)
            at = {t: [0, 0] for t in trains}  # first, count
            before = 0
            for f in those:
                first, count = f[f"INDEX/{source}/first"][()], f[f"INDEX/{source}/count"][()]
                for t, a, n in zip(f["INDEX/trainId"][()], first, count):
                    if t and n:
                        at[int(t)] = [before + int(a), int(n)]
                before += int((first + count).max())
            out[f"INDEX/{source}/first"] = np.array([at[t][0] for t in trains], "u8")
            out[f"INDEX/{source}/count"] = np.array([at[t][1] for t in trains], "u8")
            keys = []
            those[0][name].visititems(lambda k, o: keys.append(k) if isinstance(o, h5py.Dataset) else None)
            for key in keys:
                rows = [int((f[f"INDEX/{source}/first"][()] + f[f"INDEX/{source}/count"][()]).max()) for f in those]
                sample = those[0][f"{name}/{key}"]
                layout, k = h5py.VirtualLayout((sum(rows),) + sample.shape[1:], sample.dtype), 0
                for f, n in zip(those, rows):
                    if n:
                        layout[k:k + n] = h5py.VirtualSource(f[f"{name}/{key}"])[:n]
                        k += n
                out.create_virtual_dataset(f"{name}/{key}", layout)
    for f in opened:
        f.close()


def cxi(path, frames, modules, shape, name, missing=np.nan):
    """A virtual CXI file. frames: [(train, pulse, {module: (file, group, row)})]; shape: of a module."""
    with h5py.File(path, "w", libver="v110") as out:
        out["cxi_version"] = [150]
        out["entry_1/trainId"] = np.array([t for t, _, _ in frames], "u8")
        out["entry_1/pulseId"] = np.array([p for _, p, _ in frames], "u8")
        det = out.create_group("entry_1/instrument_1/detector_1")
        det.attrs["name"] = name
        det["module_identifier"] = np.arange(modules)
        for key, dtype, fill in (("data", "f4", missing), ("mask", "u4", 0xffffffff)):
            layout = h5py.VirtualLayout((len(frames), modules) + shape, dtype)
            for i, (_, _, rows) in enumerate(frames):
                for m, (file, group, row) in rows.items():
                    with h5py.File(file) as f:
                        layout[i, m] = h5py.VirtualSource(f[f"{group}/{key}"])[row]
            det.create_virtual_dataset(key, layout, fillvalue=fill)
        out["entry_1/data_1"] = h5py.SoftLink("/entry_1/instrument_1/detector_1")


# bunch pattern words (XFEL Timing System Specification 2.2)
SASE1, SASE2, KICK = 4 << 18, 2 << 18, 1 << 27
LASER = {"LP_SASE2": 1 << 9, "LP_SPB": 1 << 10, "LP_FXE": 1 << 11, "LP_SQS": 1 << 12, "LP_SCS": 1 << 13}


def pattern(fel, pump, sase=1, laser="LP_SPB", n=2700):
    """Table of one train: FEL pulses at their positions, the pump's counted from 0; other undulators' pulses beside."""
    word = np.zeros(n, "u4")
    word[1500:1520:2] = SASE2 if sase != 2 else SASE1
    word[1600:1620:2] = SASE1 | KICK if sase != 3 else SASE1
    word[list(fel)] |= SASE2 if sase == 2 else SASE1 | (KICK if sase == 3 else 0)
    word[list(pump)] |= LASER[laser]
    return word
