#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The installed tree serves a program outside the source tree through pkg-config, and the installed xani runs.
set -u
scratch=$2
if [ -n "${XN_SANITIZE:-}" ]; then
    echo "a program without sanitizers cannot use a sanitized library"
    exit 77
fi
status=0
report() { if [ "$1" -eq 0 ]; then echo "ok $2"; else echo "not ok $2"; status=1; fi; }

cmake --install "$XN_BUILD" --prefix "$scratch/usr" >install.log 2>&1
report $? "1 - install into a prefix"
for file in include/xani/xani.h bin/xani share/xani/crystals; do [ -e "usr/$file" ] || { echo "# missing: $file"; false; }; done
report $? "2 - header, command and data are there"

pc=$(dirname "$(find "$scratch/usr" -name xani.pc)")
export PKG_CONFIG_PATH=$pc
flags=$(pkg-config --define-variable=prefix="$scratch/usr" --cflags --libs xani)
library=$(dirname "$(find "$scratch/usr" -name libxani.so)")
cp "$XN_ROOT/examples/fit_traces.c" .
# The file was configured for another prefix than this test's; only then the folders differ.
flags="-I$scratch/usr/include -L$library $flags"
# shellcheck disable=SC2086
"${CC:-cc}" -std=c11 -Wall -Wextra -Werror fit_traces.c $flags -lm -o fit_traces
report $? "3 - the example compiles against the installed library"
LD_LIBRARY_PATH=$library ./fit_traces
report $? "4 - the example recovers its frequencies"
[ "$(usr/bin/xani --version 2>/dev/null | grep -c "$XN_VERSION")" -eq 1 ]
report $? "5 - the installed command says version $XN_VERSION"
exit $status
