#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""kill_calls.py XANI SCRATCH -- a reduction killed before any system call that changes a file goes on to the same bits.

Traces the process (ptrace) and kills it when it enters its n-th call that writes, creates, truncates, syncs, renames or
removes; all other calls leave the same files, so that this is every system call.  XANI_KILLS: how many of them, evenly
spread, default 16; `make kill-test` takes all.  A snapshot that is published while shots are added is looked at before
each of these calls, with the process stopped: it is always a whole cube.  Prints TAP.
"""
import ctypes
import os
import signal
import subprocess
import sys

from harness import SCRATCH, XANI, r, skip

import h5py

import experiment
from walk import hashes

if os.uname().machine != "x86_64":
    skip("registers of another processor")

MOST = int(os.environ.get("XANI_KILLS", "16"))
CONFIG, OUT = f"{SCRATCH}/raw/xani.yaml", f"{SCRATCH}/cube.h5"

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
TRACEME, GETREGS, SYSCALL, SETOPTIONS = 0, 12, 24, 0x4200
SYSGOOD, EXITKILL = 1, 1 << 20
SYSTEM_CALL = signal.SIGTRAP | 0x80
ORIG_RAX, RDX, RSI = 15, 12, 13  # of user_regs_struct
WRITES = {1: "write", 18: "pwrite64", 20: "writev", 26: "msync", 74: "fsync", 75: "fdatasync", 76: "truncate",
          77: "ftruncate", 82: "rename", 83: "mkdir", 86: "link", 87: "unlink", 258: "mkdirat", 263: "unlinkat", 264: "renameat",
          265: "linkat", 277: "sync_file_range", 285: "fallocate", 296: "pwritev", 316: "renameat2", 326: "copy_file_range",
          426: "io_uring_enter"}


def call_of(pid):
    """Name of the call that is entered, where it changes files."""
    regs = (ctypes.c_ulonglong * 27)()
    libc.ptrace(GETREGS, pid, None, ctypes.cast(regs, ctypes.c_void_p))
    number = regs[ORIG_RAX]
    if number == 257 and regs[RDX] & os.O_CREAT or number == 2 and regs[RSI] & os.O_CREAT:
        return "open O_CREAT"
    return WRITES.get(number)


def traced(arguments, kill_at, look=lambda: None):
    """Runs, looks before each changing call, kills at the kill_at-th. (exit code or None, calls seen, the last one's name)."""
    pid = os.fork()
    if pid == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        libc.ptrace(TRACEME, 0, None, None)
        os.execv(arguments[0], arguments)
    os.waitpid(pid, 0)
    libc.ptrace(SETOPTIONS, pid, None, SYSGOOD | EXITKILL)
    seen, last, entering, deliver = 0, "", True, 0
    while True:
        libc.ptrace(SYSCALL, pid, None, deliver)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            return os.waitstatus_to_exitcode(status), seen, last
        deliver = 0
        if os.WSTOPSIG(status) != SYSTEM_CALL:
            deliver = os.WSTOPSIG(status)
            continue
        name = call_of(pid) if entering else None
        entering = not entering
        if name is None:
            continue
        seen, last = seen + 1, name
        look()
        if seen == kill_at:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None, seen, last


def command(save, config=CONFIG):
    return [XANI, "reduce", config, "-o", OUT, "-q", "--set", f"engine.save_seconds={save}", "--set", "engine.threads=1",
            "--set", "reduce.spatial_bin=1", "--set", "engine.reader=pread"]


def clean():
    there = sorted(n for n in os.listdir(SCRATCH) if n.startswith((".cube", "cube")))
    for n in there:
        os.remove(f"{SCRATCH}/{n}")
    return there


probe = os.fork()
if probe == 0:
    os._exit(0 if libc.ptrace(TRACEME, 0, None, None) == 0 else 1)
if os.waitstatus_to_exitcode(os.waitpid(probe, 0)[1]) != 0:
    print("1..0 # SKIP processes may not be traced here")
    sys.exit(77)

experiment.swissfel(f"{SCRATCH}/raw", shots=240)
code, calls, _ = traced(command("0.000001"), -1)
r.ok(code == 0 and calls > 20, f"left alone: {calls} calls that change files")
whole = hashes(OUT)
clean()
places = range(1, calls + 1) if MOST >= calls else sorted({1 + round(i * (calls - 1) / (MOST - 1)) for i in range(MOST)})
killed, went_on, named, wrong, names = 0, 0, 0, [], {}
for at in places:
    code, seen, name = traced(command("0.000001"), at)
    if code is not None:  # fewer calls than before: nothing was killed
        clean()
        continue
    killed += 1
    names[name] = names.get(name, 0) + 1
    if os.path.exists(OUT):  # the cube has its name first, then its manifest: it is whole, or it is not there
        with h5py.File(OUT) as f:
            named += f["entry/cube/signal"].size > 0
    went_on += any(n.startswith(".cube") for n in os.listdir(SCRATCH))
    done = subprocess.run(command("0.000001"), capture_output=True, text=True)
    rest = [n for n in os.listdir(SCRATCH) if n.startswith(".cube")]
    if done.returncode != 0 or hashes(OUT) != whole or rest:
        wrong.append(f"{at} ({name}): exit {done.returncode} {done.stderr.strip()[-200:]} left {rest}")
    clean()
for w in wrong[:20]:
    print(f"# {w}")
r.ok(not wrong, f"{killed} of {calls} calls killed ({', '.join(f'{v} {k}' for k, v in sorted(names.items()))}): {len(wrong)} ended otherwise")
r.ok(named <= 4, f"{named} kills came when the cube had its name")
r.ok(killed >= min(len(places), calls) * 0.9, f"{killed} kills took place")
r.ok(went_on > 0, f"{went_on} of them left sums that the next process went on from")

# ---- snapshots, of shots that are more than one batch
experiment.swissfel(f"{SCRATCH}/long", shots=12000)
partial, seen = f"{SCRATCH}/cube.partial.h5", set()


def size(path):
    with h5py.File(path) as f:
        return int(f["entry/sums/on/shots"][()].sum()), len(f["entry/shots/pulse_id"]), f["entry/cube/signal"].shape


def look():
    if os.path.exists(partial):
        seen.add(size(partial))


plain = command("0", f"{SCRATCH}/long/xani.yaml")
r.ok(subprocess.run(plain, capture_output=True).returncode == 0, "a longer run")
whole, end = hashes(OUT), size(OUT)
clean()
code, _, _ = traced(plain + ["--set", "output.snapshot_seconds=1e-9"], -1, look)
r.ok(code == 0 and len(seen) >= 2 and all(0 < s[0] <= end[0] and 0 < s[1] <= end[1] and s[2] == end[2] for s in seen),
     f"snapshots are whole cubes: {sorted(s[0] for s in seen)} of {end[0]} shots with the laser on")
r.ok(not os.path.exists(partial) and not os.path.exists(f"{partial}.manifest.json") and hashes(OUT) == whole,
     "they go when the cube is there, which is as without them")
r.end()
