#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# identity.sh -- every path below input names a file that a cube depends on: src/identity.c adds that file, so that the
# cube is made anew when it changes (the keys themselves it takes all; input.files are hashed one by one). Prints TAP.
set -u
n=0
failed=0
for key in $(grep -oE '^XN_PATHS?\("input\.[^"]+' "$XN_ROOT/src/core/config.def" | sed 's/.*"//; s/\[\]/[%d]/'); do
    [ "$key" = input.files ] && continue
    n=$((n + 1))
    if grep -qF "\"$key\"" "$XN_ROOT/src/identity.c"; then
        echo "ok $n - the file of $key"
    else
        echo "not ok $n - the file of $key is not part of the identity"
        failed=1
    fi
done
echo "1..$n"
exit $failed
