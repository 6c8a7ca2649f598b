#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The manual pages name every configuration key and every command, and render without complaint.
set -u
[ -f "$XN_BUILD/xani.5" ] || { echo "scdoc was not found"; exit 77; }
status=0
report() { if [ "$1" -eq 0 ]; then echo "ok $2"; else echo "not ok $2"; status=1; fi; }

plain() { LC_ALL=C.UTF-8 MANWIDTH=1000 man -l "$1" | sed 's/.\x08//g'; }
plain "$XN_BUILD/xani.5" >5.txt 2>warnings.txt
plain "$XN_BUILD/xani.1" >1.txt 2>>warnings.txt
sed 's/^/# /' warnings.txt
[ ! -s warnings.txt ]
report $? "1 - pages render"

grep -ohE '^XN_[A-Z_]+\("[^"]+", ' "$XN_ROOT"/src/core/config*.def | grep -v XN_FORMS | sed 's/^[^"]*"//; s/".*//' >keys.txt
missing=0
while read -r key; do
    grep -qF -- "$key" 5.txt || { echo "# $key"; missing=1; }
done <keys.txt
[ -s keys.txt ] && [ $missing -eq 0 ]
report $? "2 - xani(5) names all $(wc -l <keys.txt) keys"

missing=0
grep -oE '^CLI_COMMAND\("[a-z]+"' "$XN_ROOT/cli/commands.def" | sed 's/^[^"]*"//; s/"//' >commands.txt
while read -r command; do
    grep -qF -- "xani $command" 1.txt || { echo "# $command"; missing=1; }
done <commands.txt
[ -s commands.txt ] && [ $missing -eq 0 ]
report $? "3 - xani(1) names all $(wc -l <commands.txt) commands"
exit $status
