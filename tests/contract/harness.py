# SPDX-License-Identifier: BSD-3-Clause
"""harness.py -- what every script of tests/cli has from its call: the command, an empty folder, the report.

    from harness import SCRATCH, r, xani     before h5py and the like: a module that is missing skips the script
    code, out, err = xani("check", path)     or by name: xani("check", path).returncode
    r.ok(code == 0, f"check: {err}")
    r.end()

tools/run-script sets PYTHONPATH, makes the folder and stands in it.
"""
import collections
import json
import os
import shutil
import subprocess
import sys


def skip(why):
    print(f"1..0 # SKIP {why}")
    sys.exit(77)


def _uncaught(kind, error, trace):
    # a name that a module lacks has a path, and is a fault; os._exit, because a hook has no say in the exit status
    if issubclass(kind, ImportError) and error.path is None and r.n == 0:
        print(f"1..0 # SKIP {error}", flush=True)
        os._exit(77)
    sys.__excepthook__(kind, error, trace)


try:
    from walk import Report
except ImportError as missing:
    skip(missing)

XANI, SCRATCH = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
ROOT = os.environ["XN_ROOT"]
SHARED = os.path.abspath(os.path.join(ROOT, "..", "shared", "data"))  # what is too large for the repository
Done = collections.namedtuple("Done", "returncode stdout stderr")
r = Report()
sys.excepthook = _uncaught
os.makedirs(SCRATCH, exist_ok=True)
os.chdir(SCRATCH)


def xani(*args, timeout=600, **how):
    """Runs the command; how: as for subprocess.run."""
    done = subprocess.run([XANI, *args], timeout=timeout, text=True,
                          **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how})
    return Done(done.returncode, done.stdout, done.stderr)


def xani_must(*args, code=0, **how):
    """The same, for what others rest on: another exit code ends the test."""
    done = xani(*args, **how)
    if done.returncode != code:
        raise AssertionError(f"xani {' '.join(args)}: exit {done.returncode}: {done.stderr[-400:]}")
    return done


def set_options(*texts):
    """--set options: of "key=value", and of all keys of a dict, with their values as JSON."""
    given = [setting for text in texts
             for setting in ([f"{k}={json.dumps(v)}" for k, v in text.items()] if isinstance(text, dict) else [text])]
    return [word for setting in given for word in ("--set", setting)]


def new_folder(name):
    """A new, empty folder below SCRATCH."""
    path = f"{SCRATCH}/{name}"
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def write_config(path, config):
    with open(path, "w") as f:
        json.dump(config, f)  # YAML reads JSON
    return path


def error_lines(stderr):
    """What the command says besides warnings and notes of progress."""
    return [line for line in stderr.splitlines() if line.startswith("xani: ") and not line.startswith("xani: warning: ")]
