#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""rules.py -- this project's own rules that no compiler knows: banned calls, licence line, comment, lengths."""
import os
import re
import subprocess
import sys

root = os.environ.get("XN_ROOT") or os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
ANYWHERE = r"\b(sprintf|vsprintf|strcpy|strcat|strncat|gets|alloca|rand|srand|strtok|atoi|atol|atof)\s*\("
IN_LIBRARY = r"\b(printf|puts|putchar|perror|exit|_exit|abort|quick_exit|setlocale|signal|sigaction|system|popen)\s*\("
TO_STREAM = r"\b(stdout|stderr|stdin)\b"
MARKS = r"\b(TODO|FIXME|XXX|HACK)\b"
PLACES = r"(?<![\w.}])/(work|home|root|Users|mnt|scratch)/"
LONGEST = {"tests": 700}  # lines of a file by top folder; else 400
CODE = (".c", ".h", ".def", ".cu")


def tracked():
    try:
        names = subprocess.run(["git", "ls-files"], cwd=root, check=True, capture_output=True, text=True).stdout
        return [n for n in names.splitlines() if os.path.isfile(os.path.join(root, n))]
    except (OSError, subprocess.CalledProcessError):
        found = []
        for folder, folders, names in os.walk(root):
            folders[:] = [d for d in folders if not d.startswith((".", "build", "scratch", "demo"))]
            found += [os.path.relpath(os.path.join(folder, n), root) for n in names]
        return found


def without_comments_and_strings(text):
    keep_lines = lambda m: re.sub(r"[^\n]", " ", m.group(0))
    pattern = r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(pattern, keep_lines, text, flags=re.S)


problems = {"banned calls": [], "licence and comment on top": [], "length": [], "marks and machine paths": [], "blanks": []}
files = [n for n in tracked() if n != "tests/lint/rules.py"]
code = [n for n in files if n.endswith(CODE)]
scripts = [n for n in files if n.endswith((".sh", ".py", ".cmake")) or n in ("Makefile", "CMakeLists.txt")
           or n.startswith("tools/") and "." not in n]
for name in code + scripts:
    with open(os.path.join(root, name), encoding="utf-8") as f:
        text = f.read()
    lines = text.split("\n")
    if not any("SPDX-License-Identifier: BSD-3-Clause" in line for line in lines[:2]):
        problems["licence and comment on top"].append(f"{name}:1: no SPDX line")
    if name in code and not re.match(r"\s*(//|/\*|\*)?\s*\S+", lines[1] if len(lines) > 1 else ""):
        problems["licence and comment on top"].append(f"{name}:2: no comment that says what the file is")
    for number, line in enumerate(lines, 1):
        if line != line.rstrip() or ("\t" in line and name != "Makefile"):
            problems["blanks"].append(f"{name}:{number}: blank at the end, or a tab")
        if re.search(MARKS, line):
            problems["marks and machine paths"].append(f"{name}:{number}: {line.strip()}")
        if re.search(PLACES, line):
            problems["marks and machine paths"].append(f"{name}:{number}: {line.strip()}")
    longest = LONGEST.get(name.split("/")[0], 400)
    if name in code and len(lines) - 1 > longest:
        problems["length"].append(f"{name}: {len(lines) - 1} lines, more than {longest}")
    if name in code and not name.endswith(".def"):
        for number, line in enumerate(without_comments_and_strings(text).split("\n"), 1):
            banned = re.search(ANYWHERE, line)
            if name.startswith("src/"):
                banned = banned or re.search(IN_LIBRARY, line) or re.search(TO_STREAM, line)
            if banned:
                problems["banned calls"].append(f"{name}:{number}: {banned.group(0).rstrip('( ')}")

print(f"1..{len(problems)}")
failed = not code
for number, (what, found) in enumerate(problems.items(), 1):
    for line in found:
        print("#", line)
    print("not ok" if found or not code else "ok", f"{number} - {what} ({len(code)} sources)")
    failed = failed or bool(found)
sys.exit(1 if failed else 0)
