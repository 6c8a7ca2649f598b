# SPDX-License-Identifier: BSD-3-Clause
"""pal.py -- files as PAL-XFEL writes them (formats.md 1.7), made by pandas and PyTables themselves.

Metadata and waveforms are DataFrames of an HDFStore, fixed or table; images are arrays made by PyTables with Blosc, as
pandas' panels were.  Nothing here comes from the library.
"""
import os
import warnings

import numpy as np
import pandas as pd
import tables

warnings.simplefilter("ignore", tables.NaturalNameWarning)
warnings.simplefilter("ignore", pd.errors.PerformanceWarning)
BLOSC = tables.Filters(complevel=5, complib="blosc", shuffle=True)


def point(path, metadata=None, qbpm=None, image=None, hutch="eh1", detector="jungfrau2", form="fixed", data_columns=None,
          older=False):
    """One scan point. metadata: DataFrame by timestamp; qbpm: {channel: DataFrame}; image: (timestamps, frames)."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with pd.HDFStore(path, "w", complib="blosc", complevel=5) as store:
        if metadata is not None:
            store.put("df" if older else "metadata", metadata, format=form, data_columns=data_columns)
        for channel, frame in (qbpm or {}).items():
            store.put(f"qbpm/{hutch}/qbpm1/waveforms.{channel}", frame)
    if image is None:
        return
    ids, frames = image
    with tables.open_file(path, "a") as f:
        group = f"/detector/{hutch}/{detector}/image"
        if len(ids) == 0:  # what pandas puts in the place of arrays without elements
            for name, value in (("block0_items", "int64"), ("block0_values", str(frames.dtype))):
                node = f.create_array(group, name, np.empty((1,) * (1 if name.endswith("items") else 3)), createparents=True)
                node.attrs.value_type, node.attrs.shape = value, (0,)
            return
        f.create_array(group, "axis1" if older else "block0_items", np.asarray(ids, "i8"), createparents=True)
        f.create_carray(group, "block0_values", obj=frames, filters=BLOSC)
