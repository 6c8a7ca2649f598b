#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The public header stands alone as C11 and C++17, and the shared library exports exactly what it declares.
set -u
headers=$XN_ROOT/include/xani
library=$XN_BUILD/libxani.so
status=0 n=0
check() { # description, command...
    local what=$1
    shift
    n=$((n + 1))
    if "$@" >out.txt 2>&1; then echo "ok $n - $what"; else
        sed 's/^/# /' out.txt
        echo "not ok $n - $what"
        status=1
    fi
}

printf '#include <xani/xani.h>\nint main(void) { return xani_version() == NULL; }\n' >use.c
cp use.c use.cpp
check "header compiles as C11" "${CC:-cc}" -std=c11 -pedantic -Wall -Wextra -Werror -I "$XN_ROOT/include" -c use.c -o c.o
check "header compiles as C++17" "${CXX:-g++}" -std=c++17 -pedantic -Wall -Wextra -Werror -I "$XN_ROOT/include" -c use.cpp -o cpp.o

nm -D --defined-only "$library" | awk '{print $3}' | grep -v '^_\(init\|fini\|edata\|end\|_bss_start\)$' | sort >exported.txt
sed -n '/^XANI_API/,/;/p' "$headers"/*.h | grep -oE '\bxani_[a-z0-9_]+\(' | tr -d '(' | sort -u >declared.txt
same() { [ -s declared.txt ] && diff declared.txt exported.txt; }
prefixed() { ! grep -v '^xani_' exported.txt; }
soname() { readelf -d "$library" | grep -q 'SONAME.*libxani\.so\.0\]'; }
if [ -z "${XN_SANITIZE:-}" ]; then
    check "every exported symbol begins with xani_" prefixed
    check "exported symbols are those of the header" same
    check "the shared library is libxani.so.0" soname
fi

version() { # the header, CITATION.cff and CHANGELOG.md name one version
    grep -q "^version: $XN_VERSION\$" "$XN_ROOT/CITATION.cff" && grep -q "^## $XN_VERSION" "$XN_ROOT/CHANGELOG.md"
}
check "header, CITATION.cff and CHANGELOG.md name version $XN_VERSION" version
exit $status
