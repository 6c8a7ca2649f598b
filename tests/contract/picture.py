# SPDX-License-Identifier: BSD-3-Clause
"""picture.py -- PNG files of 8 bits a channel as NumPy arrays (y, x, channel), row 0 at the top."""
import struct
import zlib

import numpy as np


def read(path):
    with open(path, "rb") as f:
        data = f.read()
    at, packed = 8, b""
    while at < len(data):
        n, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"IHDR":
            width, height, depth, colours, _, _, interlace = struct.unpack(">IIBBBBB", data[at + 8:at + 21])
        if kind == b"IDAT":
            packed += data[at + 8:at + 8 + n]
        at += 12 + n
    channels = {0: 1, 2: 3, 6: 4}[colours]
    assert depth == 8 and interlace == 0
    rows = np.frombuffer(zlib.decompress(packed), "u1").reshape(height, 1 + width * channels)
    out = np.zeros((height, width * channels), "u1")
    for y, row in enumerate(rows):
        kind, line, above = row[0], row[1:].astype(int), out[y - 1].astype(int) if y else np.zeros(width * channels, int)
        if kind == 2:
            line = line + above
        elif kind == 1:
            line = line.reshape(width, channels).cumsum(0).ravel()
        elif kind in (3, 4):
            line = line.tolist()
            up = above.tolist()
            for i, v in enumerate(line):
                a, b = line[i - channels] if i >= channels else 0, up[i]
                c = up[i - channels] if i >= channels else 0
                if kind == 3:
                    guess = (a + b) // 2
                else:
                    pa, pb, pc = abs(b - c), abs(a - c), abs(a + b - 2 * c)
                    guess = a if pa <= pb and pa <= pc else b if pb <= pc else c
                line[i] = (v + guess) & 255
            line = np.array(line)
        out[y] = line & 255
    return out.reshape(height, width, channels)


def runs(marked, apart=1):
    """[first, end) of the stretches of True; fewer than `apart` False between them join two."""
    at = np.flatnonzero(marked)
    if len(at) == 0:
        return []
    cut = np.flatnonzero(np.diff(at) > apart)
    return list(zip(at[np.r_[0, cut + 1]], at[np.r_[cut, len(at) - 1]] + 1))
