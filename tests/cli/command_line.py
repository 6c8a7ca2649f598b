#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""command_line.py XANI SCRATCH -- the command as a shell sees it: options, streams, exit codes, names of files, encodings.

One small pair of cubes serves all cases: words and options out of place name what is meant; results stand on stdout and
all else on stderr, also where one of them is missing, full, or read only in part; file names and configurations may look
like anything a system or another program makes of them; work does not start where its result cannot be written.
Prints TAP.
"""
import json
import os
import pty
import resource
import shutil
import signal
import subprocess
import time

from harness import SCRATCH, XANI, r, set_options, xani

import h5py
import numpy as np
import yaml

from experiment import write_field_cube


def refused(code, words, *args, **more):
    done = xani(*args, **more)
    last = (done.stderr.splitlines() or [""])[-1]
    r.ok(done.returncode == code and all(w in last for w in words) and not done.stdout, f"{' '.join(args)}: {done.returncode}: {last}")


def write_cubes(folder, signal_of, noise=20):
    """run0003_on.h5 and _off.h5 of 4 x 5 pixels and 60 delays."""
    os.makedirs(folder)
    t = np.arange(60) * 0.05
    y = 1e4 * (1 + signal_of(t[:, None, None])) + np.random.default_rng(1).normal(0, noise, (60, 4, 5))
    write_field_cube(f"{folder}/run0003", t, y, np.full((4, 5), 1e4), 100)


def configuration(folder, text, name="xani.yaml"):
    with open(f"{folder}/{name}", "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    return f"{folder}/{name}"


PLAIN = ("# Jülich\nexperiment: {title: 'ν(q) of É'}\ninput:\n  layout: cube\n  files: [run0003_on.h5]\n  delay: {sign: +1}\n"
         "reduce: {off: {mode: all}}\nfit: {modes_max: 1}\noutput: {report: false}\n")

good = f"{SCRATCH}/good"
write_cubes(good, lambda t: 0.05 * np.cos(12 * t))
configuration(good, PLAIN)

# ---- words and options
for args in (["--help"], ["-h"], ["help"], ["run", "--help"], ["run", "-h"], ["help", "run"], ["live", "--help"], ["--version"]):
    done = xani(*args)
    r.ok(done.returncode == 0 and done.stdout and not done.stderr, f"xani {' '.join(args)} answers on stdout")
refused(2, ["a command is needed"])
refused(2, ["'chek'", "'check'"], "chek", "x")
refused(2, ["-q stands before the command"], "-q", "check", "good/xani.yaml")
refused(2, ["--stt", "--set"], "check", "good/xani.yaml", "--stt", "a=1")
refused(2, ["--zzz", "xani check --help"], "check", "good/xani.yaml", "--zzz")
refused(2, ["-o", "empty"], "reduce", "good/xani.yaml", "-o", "")
refused(2, ["planned"], "live", "x")
done = xani("check", "good/xani.yaml", "--nonsense", "--json")
r.ok(done.returncode == 2 and json.loads(done.stdout)["exit"] == 2 and "--nonsense" in json.loads(done.stdout)["error"],
     "an error is one JSON object on stdout too")

for word, hint in (("chek", "'check'"), ("rn", "'run'"), ("bnech", "'bench'"), ("--hlep", "'--help'")):
    refused(2, [word, hint], word)
for word in ("nope", "list", "tpo"):  # neither far words nor what is only planned
    done = xani(word)
    r.ok(done.returncode == 2 and "did you mean" not in done.stderr, f"no hint for {word}: {done.stderr.strip()}")
refused(2, ["--hlep", "--help"], "check", "x", "--hlep")
refused(2, ["unknown function lst"], "fit", "x.h5", "--model", "lst", "-o", "y.h5")
r.ok(xani("help", "help").stdout == xani("--help").stdout and xani("help", "live").stdout.count("planned") == 1, "help help, help live")
refused(2, ["XANI_ISOLATION=foo", "on or off"], "info", "good", env=os.environ | {"XANI_ISOLATION": "foo"})

# ---- streams
done = xani("init", "good", "-q")
r.ok(done.returncode == 0 and yaml.safe_load(done.stdout)["input"]["layout"] == "cube" and not done.stderr, "-q: the answer alone")
plain = xani("reduce", "good/xani.yaml", "-o", "c.h5")
r.ok(plain.returncode == 0 and plain.stdout.startswith("c.h5") and "\033" not in plain.stdout + plain.stderr, "no terminal: no colours, no cursor")
with open("/dev/full", "w") as full:
    done = xani("info", "good", stdout=full)
r.ok(done.returncode == 1 and "standard output cannot be written: No space left" in done.stderr, "a full disk behind stdout is told")
for stream in (1, 2):
    done = xani("reduce", "good/xani.yaml", "-o", "d.h5", preexec_fn=lambda s=stream: os.close(s), **({"stdout": None} if stream == 1 else {}))
    with h5py.File(f"{SCRATCH}/c.h5") as a, h5py.File(f"{SCRATCH}/d.h5") as b:
        same = np.array_equal(a["entry/cube/signal"], b["entry/cube/signal"], equal_nan=True)
    verified = xani("verify", "d.h5").returncode
    r.ok(done.returncode == (1 if stream == 1 else 0) and same and verified == 0, f"stream {stream} closed: what is printed goes into no file")
line = f"'{XANI}' phonons cu_296k --at 0,0,0 --at 0.5,0.5,0 --steps 3000 2>errors | head -1; echo ${{PIPESTATUS[0]}}"
done = subprocess.run(["bash", "-c", line], cwd=SCRATCH, capture_output=True, text=True)
r.ok(done.stdout.endswith("\n0\n") and os.path.getsize(f"{SCRATCH}/errors") == 0, f"| head -1 ends nothing and is no error: {done.stdout.split()[-1]}")
for no_color, expected in (("", True), ("1", False)):
    try:
        parent, child = pty.openpty()
    except OSError as none:  # a root without /dev/pts
        r.skip("a terminal's warning", f"no terminals here: {none}")
        break
    xani("fit", "good/run0003_on.h5", "-o", "m.h5", stderr=child, env=os.environ | {"TERM": "xterm", "NO_COLOR": no_color})
    os.close(child)
    shown = os.read(parent, 100000)
    os.close(parent)
    r.ok((b"\033[33mwarning" in shown) == expected and b"warning: " in shown.replace(b"\033[0m", b""), f"a terminal's warning with NO_COLOR={no_color}")

# ---- names of files and folders, links, other working folders
for name in ("it's", "a b", "br[1]ck", "ü ✓", "-dash", "--opt"):
    shutil.copytree(good, f"{SCRATCH}/{name}")
    bad = []
    for args in (["fit", f"./{name}/run0003_on.h5", "-o", f"./{name}/m.h5"], ["run", "-o", f"./{name}/out", "--", f"{name}/xani.yaml"],
                 ["init", "-q", "-o", f"{name}/new.yaml", "--", name], ["verify", "--", name]):
        done = xani(*args)
        if done.returncode:
            bad.append((args[0], done.returncode, done.stderr.strip()[-200:]))
    r.ok(not bad, f"files in a folder called {name} {bad}")
# names of any bytes: in JSON those that are no UTF-8 are written \\xHH
odd = {"errors": "surrogateescape"}
for args, key in (([b"fit", b"c.h5"], "written"), ([b"repack", b"c.h5"], "written"), ([b"init", b"good"], "configuration")):
    name = args[0] + b"\xff.h5"
    done = xani(*args, b"-o", name, b"--json", **odd)
    answer = json.loads(done.stdout) if done.returncode == 0 else {}
    r.ok(answer.get(key) == args[0].decode() + "\\xff.h5", f"{args[0].decode()} to a name that is no UTF-8: {answer.get(key)} {done.stderr[-160:]!a}")
done = xani(b"verify", b"fit\xff.h5", b"repack\xff.h5", b"--json", **odd)
r.ok(done.returncode == 0 and json.loads(done.stdout)["good"] == 2, "and verify finds it as written")
for args in ([b"info", b"no\xff\xfe.h5"], [b"verify", b"no\xff.h5"], [b"\xff"]):
    done = xani(*args, b"--json", **odd)
    r.ok(done.returncode > 0 and "\\xff" in json.loads(done.stdout)["error"], f"errors too: {done.stdout.strip()}")
# as long as the system allows
for length, code in ((228, 0), (241, 0), (242, 1), (256, 1)):
    name = "l" * (length - 3) + ".h5"
    done = xani("fit", "c.h5", "-o", name)
    r.ok(done.returncode == code and os.path.exists(f"{SCRATCH}/{name}") == (code == 0) and (code == 0 or " too long" in done.stderr),
         f"a name of {length} bytes: {done.returncode} {done.stderr.strip()[-100:]}")
done = xani("init", "good", "-o", "l" * 250 + ".yaml")
r.ok(done.returncode == 0, f"a configuration with a name of 255 bytes {done.stderr.strip()[-100:]}")
for command in ("check", "info", "fit", "init"):
    done = xani(command, "/".join(["d" * 200] * 25) + "/x.h5", "-o", "y.h5") if command in ("fit", "init") else xani(command, "/".join(["d" * 200] * 25) + "/x.h5")
    r.ok(done.returncode in (2, 3) and "x.h5: " in done.stderr and done.stderr.endswith("too long\n"), f"{command} of a long path says why: {done.stderr.strip()[-60:]}")
os.makedirs(f"{SCRATCH}/else/where")
done = xani("run", "../../good/xani.yaml", "-o", "out", cwd=f"{SCRATCH}/else/where")
again = xani("fit", "else/where/out/cube.h5", "-o", "m.h5")
r.ok(done.returncode == 0 and again.returncode == 0, f"relative paths are those of the configuration {done.stderr[-200:]}{again.stderr[-200:]}")
os.symlink("good/xani.yaml", f"{SCRATCH}/link.yaml")
refused(3, ["run0003_on.h5", "link.yaml"], "check", "link.yaml")
os.symlink("xani.yaml", f"{good}/link.yaml")
r.ok(xani("check", "good/link.yaml").returncode == 0, "a linked configuration: paths are those beside the link")

# ---- what programs and editors make of a configuration
parsed = yaml.safe_load(PLAIN)
forms = {"CRLF": PLAIN.replace("\n", "\r\n"), "a byte-order mark": b"\xef\xbb\xbf" + PLAIN.encode(), "UTF-16": PLAIN.encode("utf-16"),
         "PyYAML, where off is false": yaml.safe_dump(parsed), "PyYAML, flow": yaml.safe_dump(parsed, default_flow_style=True),
         "JSON": json.dumps(yaml.load(PLAIN, yaml.BaseLoader)), "a directive and an end": "%YAML 1.1\n---\n" + PLAIN + "...\n"}
for what, content in forms.items():
    configuration(good, content, "form.yaml")
    done = xani("check", "good/form.yaml")
    r.ok(done.returncode == 0, f"configuration with {what} {done.stderr.strip()}")
for content, words in ((PLAIN.encode("latin-1", "replace"), ["bad.yaml:1", "UTF-8"]), (b"", ["input.layout is missing"]),
                       (os.urandom(2000), ["not valid YAML"]), (b"# x\n" * 1200000, ["too large"]),
                       ("fit:\n\tmodes_max: 1\n", ["bad.yaml:2", "spaces"]), (PLAIN + "fit: {}\n", ["given twice", "line 8"])):
    configuration(good, content, "bad.yaml")
    refused(2, words, "check", "good/bad.yaml")

# ---- where nothing can be written nothing is begun; no input is overwritten
for command in (["reduce", "good/xani.yaml"], ["fit", "c.h5"], ["merge", "c.h5"], ["fit", "c.h5", "--model", "constant"]):
    refused(1, ["no/x.h5", "folder does not exist"], *command, "-o", "no/x.h5")
    refused(1, ["good", "is a folder"], *command, "-o", "good")
refused(2, ["c.h5", "is an input"], "merge", "c.h5", "-o", "c.h5")

done = xani("reduce", "good/xani.yaml", "-o", "limited.h5", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000)))
left = [n for n in os.listdir(SCRATCH) if "limited" in n]
r.ok(done.returncode == 1 and "limited.h5: cannot be written" in done.stderr and not left, f"ulimit -f is an error: {done.returncode} {done.stderr.strip()[-120:]} {left}")

# ---- what stops a fit is found out before the reduction, and by xani check
for code, words, settings in ((2, ["fit.modes_max", "at most 3"], ["fit.background=exponential", "fit.modes_max=4"]),
                              (2, ["needs fit.start_modes"], ["fit.start=given"]),
                              (3, ["gone.h5", "no such file"], ["fit.start=given", "fit.start_modes=gone.h5"])):
    for command in (["check", "good/xani.yaml"], ["run", "good/xani.yaml", "-o", "early"]):
        refused(code, words, *command, *set_options(*settings))
r.ok(not os.path.exists(f"{SCRATCH}/early/cube.h5"), "no cube was made for them")
shutil.copytree(good, f"{SCRATCH}/dark")
with h5py.File(f"{SCRATCH}/dark/run0003_off.h5", "r+") as f:
    f["imgs"][...] = 0
done = xani("reduce", "dark/xani.yaml", "-o", "dark.h5")
r.ok(done.returncode == 0 and "all of the signal is NaN" in done.stderr, f"nothing seen in laser-off shots: {done.stderr.strip()}")

refused(3, ["m.h5", "holds no cube"], "fit", "m.h5", "-o", "x.h5")

# ---- what verify finds is the answer, also when it is no
shutil.copy(f"{SCRATCH}/c.h5", f"{SCRATCH}/bad.h5")
shutil.copy(f"{SCRATCH}/c.h5.manifest.json", f"{SCRATCH}/bad.h5.manifest.json")
with open(f"{SCRATCH}/bad.h5", "r+b") as f:
    f.truncate(os.path.getsize(f"{SCRATCH}/bad.h5") - 1)
done = xani("verify", "c.h5", "bad.h5", "--json")
answer = json.loads(done.stdout)
r.ok(done.returncode == 1 and answer["exit"] == 1 and answer["status"] == "verify" and "1 of 2" in answer["error"]
     and [(f["file"], f["good"]) for f in answer["files"]] == [("c.h5", True), ("bad.h5", False)] and "bytes" in answer["files"][1]["text"],
     f"verify --json names the file and its fault: {answer}")

# ---- too many failed pixels: the result is there, in full, and 4
# two lines a thousandth of a THz apart, without noise: rounding of the samples ends the search before its end
SHARE = 0.2 + 0.03 * np.arange(20).reshape(4, 5)
write_cubes(f"{SCRATCH}/crossing", noise=0, signal_of=lambda t: 0.05 * np.exp(-0.3 * t) * (
    np.cos(2 * np.pi * 6.4853 * t) + SHARE * np.cos(2 * np.pi * (6.4858 + SHARE / 1000) * t)))
configuration(f"{SCRATCH}/crossing", PLAIN.replace("modes_max: 1", "modes_max: 3, max_failed: 0"))
for args, key in ((["fit", "crossing/run0003_on.h5", "-o", "m4.h5", "--set", "fit.max_failed=0"], "written"),
                  (["run", "crossing/xani.yaml", "-o", "o4"], "runs")):
    done = xani(*args, "--json")
    answer = json.loads(done.stdout)
    r.ok(done.returncode == 4 and answer["exit"] == 4 and key in answer and "max_failed" in answer["error"] and "max_failed" in done.stderr,
         f"{args[0]} with failed pixels ends with {done.returncode}, {key} and the reason")
r.ok(xani("verify", "o4", "m4.h5").returncode == 0, "and the results stand")

# ---- runs whose names are no plain file names keep their pictures apart
for name in ("é", "ü", "a<b>"):
    os.makedirs(f"{SCRATCH}/pictures/{name}")
    shutil.copy(f"{SCRATCH}/c.h5", f"{SCRATCH}/pictures/{name}/cube.h5")
done = xani("report", "pictures")
with open(f"{SCRATCH}/pictures/report.json", encoding="utf-8") as f:
    named = [p["file"] for p in json.load(f)["pictures"]]
with open(f"{SCRATCH}/pictures/report.html", encoding="utf-8") as f:
    page = f.read()
r.ok(done.returncode == 0 and len(named) == len(set(named)) == 6 and all(os.path.exists(f"{SCRATCH}/pictures/{n}") for n in named)
     and "a<b>" not in page and "a&lt;b&gt;" in page, f"{len(named)} pictures of three runs, each its own")

# ---- a signal while the report is drawn
os.makedirs(f"{SCRATCH}/r")
shutil.copy(f"{SCRATCH}/c.h5", f"{SCRATCH}/r/cube.h5")
with subprocess.Popen([XANI, "report", "r"], cwd=SCRATCH, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as p:
    while p.poll() is None and not os.path.isdir(f"{SCRATCH}/r/report"):
        time.sleep(0.002)
    p.send_signal(signal.SIGHUP)
    said = p.communicate()[1]
r.ok(p.returncode == 75 and "interrupted" in said and not os.path.exists(f"{SCRATCH}/r/report.html"), f"a report stops when asked to: {p.returncode}")
r.end()
