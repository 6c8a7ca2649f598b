#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""map_peers.py FILE CASE -- one run of a case of `xani bench map` in NumPy: prints "seconds checksum".

FILE holds 9 float64 (hkl from Q_lab), 9 float64 (Q from hkl), k, then float32 positions (n, 3) and frequencies (n).
"""
import itertools
import sys
import time

try:
    import numpy as np
except ImportError:
    print("numpy is not installed for this python3")
    sys.exit(0)

with open(sys.argv[1], "rb") as f:
    head = np.fromfile(f, "f8", 19)
    rest = np.fromfile(f, "f4")
to_hkl, b, k = head[:9].reshape(3, 3), head[9:18].reshape(3, 3), head[18]
n = len(rest) // 4
position, frequency = rest[:3 * n].reshape(n, 3), rest[3 * n:]
PRIMITIVE = np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]], float).T  # fcc, columns in hkl


def pixel_to_q():
    q = position.astype("f8")
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    q[:, 2] -= 1
    return k * q


def points(q_lab):
    hkl = q_lab @ to_hkl.T
    start = np.rint(hkl @ np.linalg.inv(PRIMITIVE).T)
    g, q, best = None, None, None
    for d in itertools.product((-1, 0, 1), repeat=3):
        other = (start + d) @ PRIMITIVE.T
        r = (hkl - other) @ b.T
        size = (r * r).sum(1)
        if best is None:
            g, q, best = other, r, size
        else:
            nearer = size < best
            g[nearer], q[nearer], best[nearer] = other[nearer], r[nearer], size[nearer]
    return hkl, g.astype("i4"), q, 0.5 * frequency.astype("f8")


q_lab = pixel_to_q()  # also warms up
begin = time.perf_counter()
if sys.argv[2] == "pixel-to-q":
    result = pixel_to_q()
    checksum = (result ** 2).sum()
else:
    hkl, g, q, nu = points(q_lab)
    checksum = None
seconds = time.perf_counter() - begin
if checksum is None:
    checksum = (q ** 2).sum()
print(seconds, checksum)
