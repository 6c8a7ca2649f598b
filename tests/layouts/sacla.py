# SPDX-License-Identifier: BSD-3-Clause
"""sacla.py -- files as SACLA's DataConvert and Cheetah write them, typed from formats.md 1.6 with h5py; time-tool tables."""
import h5py
import numpy as np

GAIN = (17.5, 17.25, 16.75, 18.0)  # electrons per ADU of each panel


def run(path, number, tags, info, panels, status=None, name="MPCCD-8-2-001", energy_ev=10000.0, mode="a", listed=True,
        chunks=None, group="detector_2d_{}", bare=False, **filters):
    """Adds a run to a file. info: {path below event_info: array}; panels: {number: {tag: frame}}."""
    with h5py.File(path, mode) as f:
        numbers = list(f["file_info/run_number_list"][()]) if "file_info" in f else []
        if "file_info" in f:
            del f["file_info"]
        f["file_info/format_type"], f["file_info/version"] = "run_data_format", 1
        f["file_info/run_number_list"] = np.array(numbers + [number] * listed, "i4")
        r = f.create_group(f"run_{number}")
        r["run_info/start_tag_number"], r["run_info/end_tag_number"] = tags[0], tags[-1]
        r["run_info/sacla_config/photon_energy_in_eV"] = energy_ev
        r.create_group("exp_info")
        r["event_info/tag_number_list"] = np.asarray(tags, "i4")
        for k, v in info.items():
            r[f"event_info/{k}"] = v
        for k, frames in panels.items():
            g = r.create_group(group.format(k))
            if not bare:
                g["detector_info/absolute_gain"] = np.float32(GAIN[k - 1])
                g["detector_info/detector_name"] = f"{name}-{k}"
                g["detector_info/pixel_size_in_micro_meter"] = np.array([50, 50], "f4")
                g["detector_info/detector_coordinate_in_micro_meter"] = np.zeros(3, "f4")
            for tag, frame in frames.items():
                t = g.create_group(f"tag_{tag}")
                t.create_dataset("detector_data", data=frame, chunks=chunks, **filters)
                t["detector_status"] = np.int32(1 if status is None else status.get((k, tag), 1))
                t["temperature"] = np.float32(-10.5)


def cheetah(path, frames, mask, number=1, **filters):
    """frames: {tag: image in photons}; stored in tenths of them."""
    with h5py.File(path, "w") as f:
        f["metadata/pixelmask"], f["metadata/detector"] = mask.astype("u2"), "MPCCD"
        f["metadata/pixelsizex_in_um"], f["metadata/distance_in_mm"] = 50.0, 50.0
        f["metadata/pipeline_version"], f["metadata/run_comment"] = "cheetah", f"run {number}"
        for tag, frame in frames.items():
            f.create_dataset(f"tag-{tag}/data", data=np.round(frame * 10).astype("u2"), **filters)


def table(path, tags, derivative, fitting):
    """Two lines of header; None: a word."""
    with open(path, "w") as f:
        f.write("# timing edge\ntag,derivative_px,fitting_px\n")
        for t, d, e in zip(tags, derivative, fitting):
            f.write(f"{t}, {'saturated' if d is None else repr(float(d))}, {'not-converged' if e is None else repr(float(e))}\n")
