#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The interface contract holds on experiments that xani did not simulate itself.
exec /usr/bin/python3 "$(dirname "$0")/../contract/check.py" "$@"
