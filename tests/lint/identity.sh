#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# identity.sh -- every key of input is part of a cube's identity (src/identity.c), so that a cube is made anew when one
# changes; input.files is: the files themselves are. The same for every path below input: its file counts. Prints TAP.
set -u
n=0
failed=0
check() { # KEY in FORM
    n=$((n + 1))
    if grep -qF "\"$2\"" "$XN_ROOT/src/identity.c"; then
        echo "ok $n - $1"
    else
        echo "not ok $n - $1 is not part of the identity"
        failed=1
    fi
}
for key in $(grep -oE '^XN_[A-Z_]+\("input\.[a-z_0-9]+' "$XN_ROOT/src/core/config.def" | sed 's/.*"//' | sort -u); do
    [ "$key" = input.files ] || check "$key" "$key"
done
for key in $(grep -oE '^XN_PATHS?\("input\.[^"]+' "$XN_ROOT/src/core/config.def" | sed 's/.*"//; s/\[\]/[%d]/'); do
    [ "$key" = input.files ] || check "the file of $key" "$key"
done
echo "1..$n"
exit $failed
