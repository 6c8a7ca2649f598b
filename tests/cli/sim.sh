#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What `xani sim` writes is what h5py reads and an independent model expects.
exec /usr/bin/python3 "$(dirname "$0")/../contract/sim.py" "$@"
