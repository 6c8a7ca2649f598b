# SPDX-License-Identifier: BSD-3-Clause
"""pixels.py -- where xani puts the pixels of a geometry, asked through its public interface."""
import ctypes
import json
import os

import numpy as np

path = os.path.join(os.environ["XN_BUILD"], "libxani.so")
with open(path, "rb") as f:
    if b"__asan_init" in f.read() and "asan" not in os.environ.get("LD_PRELOAD", ""):
        raise ImportError("a library with the address sanitizer is not loaded into Python")
lib = ctypes.CDLL(path)
lib.xani_error_text.restype = ctypes.c_char_p
lib.xani_free.argtypes = [ctypes.c_void_p]
LOG = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p)
WARNING = 1


def load(heard=None, **settings):
    """positions (ny, nx, 3), q, mask of these settings of geometry.*; a text when it is refused.  Warnings go to `heard`."""
    context, config = ctypes.c_void_p(), ctypes.c_void_p()
    assert lib.xani_create(ctypes.byref(context)) == 0 and lib.xani_config_create(context, ctypes.byref(config)) == 0
    log = LOG(lambda _, level, text: heard.append(text.decode()) if heard is not None and level == WARNING else None)
    lib.xani_set_log(context, log, None)
    shape, arrays = (ctypes.c_int64 * 2)(), [ctypes.c_void_p() for _ in range(3)]
    status = 0
    for key, value in {"experiment.energy_kev": 9.5, **settings}.items():
        key = key if "." in key else "geometry." + key.replace("__", ".")
        status = status or lib.xani_config_assign(context, config, f"{key}={json.dumps(value)}".encode())
    status = status or lib.xani_pixels(context, config, shape, *map(ctypes.byref, arrays))
    if status:
        result = lib.xani_error_text(context).decode()
    else:
        n = shape[0] * shape[1]
        types = [(ctypes.c_float, (*shape, 3)), (ctypes.c_double, (*shape, 3)), (ctypes.c_uint8, tuple(shape))]
        result = [np.ctypeslib.as_array(ctypes.cast(a, ctypes.POINTER(t * (n * (len(s) == 3) * 3 or n))).contents).reshape(s).copy()
                  for a, (t, s) in zip(arrays, types)]
        for a in arrays:
            lib.xani_free(a)
    lib.xani_config_destroy(ctypes.byref(config))
    lib.xani_destroy(ctypes.byref(context))
    return result
