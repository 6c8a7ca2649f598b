#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""fit_model.py XANI SCRATCH -- xani fit --model on datasets and cubes: values, errors, files, one-line errors.

Peaks on a background with known parameters are written with h5py and fitted by the command; what comes out is compared
with what was put in and, for a straight line, with NumPy's least squares.  Prints TAP.
"""
import json
import os

from harness import SCRATCH, r, xani

import h5py
import numpy as np

import experiment
from walk import follow_default, nxdata, text

rng = np.random.default_rng(5)
X = np.linspace(0, 10, 80)


def refused(words, *args, code=2):
    """The command ends with `code` and one line that holds all words; nothing is written."""
    out = f"{SCRATCH}/refused.h5"
    got, _, stderr = xani("fit", *args, "-o", out)
    lines = [line for line in stderr.splitlines() if line.startswith("xani: ")]
    good = got == code and len(lines) == 1 and all(w in lines[0] for w in words) and not os.path.exists(out)
    r.ok(good, f"refused: {' '.join(args[1:])}: {got} {stderr.strip()}")


def gaussian(x, a, c, s):
    return a / (s * np.sqrt(2 * np.pi)) * np.exp(-((x - c) / s) ** 2 / 2)


def write(path):
    """(4, 80, 5) traces along the middle axis, the same along the last one, and a flat line."""
    centre = rng.uniform(3, 7, (4, 5))
    y = gaussian(X[None, :, None], 5.0, centre[:, None, :], 0.8) + 0.3 * X[None, :, None] + 1
    y += 0.1 * rng.standard_normal(y.shape)
    y[1, 20:23, 2] = np.nan
    y[2, :, 3] = np.nan
    with h5py.File(path, "w") as f:
        f["middle"], f["last"], f["x"] = y, np.moveaxis(y, 1, 2).astype("f4"), X
        f["sigma"], f["sigma_each"] = np.full(80, 0.1), np.full(y.shape, 0.2)
        f["counts"], f["one"], f["name"] = np.rint(100 * y[0]).astype("i4"), y[0, :, 0], "text"
    return y, centre


def check_dataset(data):
    y, centre = write(data)
    out = f"{SCRATCH}/peaks.h5"
    model = ("--model", "gaussian + linear", "--x", "/x")
    code, stdout, stderr = xani("fit", data, "--data", "/middle", "--axis", "1", *model, "-o", out, "--sigma", "/sigma",
                                "--covariance", "--json")
    if not r.ok(code == 0, f"dataset: ends with {code} {stderr}"):
        return
    answer = json.loads(stdout)
    r.ok(answer["traces"] == 20 and answer["converged"] == 19 and answer["masked"] == 1, f"dataset: counts {answer}")
    with h5py.File(out) as f:
        nxdata(r, "fit", follow_default(f))
        g = f["entry/fit"]
        r.ok(text(g.attrs["model"]) == "gaussian + linear" and text(g.attrs["errors_from"]) == "sigma", "dataset: attributes")
        status, points = f["entry/fit_status"][()], f["entry/points"][()]
        r.ok(status.shape == (4, 5) and status[2, 3] == 2 and (np.delete(status.ravel(), 13) == 0).all(), "dataset: status")
        r.ok(points[1, 2] == 77 and points[0, 0] == 80 and points[2, 3] == 0, "dataset: samples used")
        c, e = g["centre"][()], g["centre_errors"][()]
        good = status == 0
        pull = ((c - centre) / e)[good]
        r.ok(np.isnan(c[2, 3]) and np.abs(pull).max() < 4.5 and 0.5 < pull.std() < 1.6, f"dataset: centres, pulls {pull.std():.2f}")
        chi2 = f["entry/chi2_reduced"][()][good]
        r.ok(0.6 < chi2.min() and chi2.max() < 1.5, "dataset: reduced chi^2 near one with the right sigma")
        cov = f["entry/covariance"]
        r.ok(cov.shape == (5, 5, 4, 5) and np.allclose(cov[1, 1][good], (e ** 2)[good]), "dataset: covariance")
        r.ok(np.allclose(cov[3, 4][good], cov[4, 3][good]) and (cov[3, 4][good] < 0).all(), "dataset: slope against intercept")
        r.ok("entry/process/command_line" in f and os.path.exists(out + ".manifest.json"), "dataset: provenance and manifest")
    r.ok(xani("verify", out)[0] == 0, "dataset: xani verify agrees")
    other = f"{SCRATCH}/last.h5"
    code, _, stderr = xani("fit", data, "--data", "last", "--axis", "-1", *model, "-o", other, "--sigma", "/sigma")
    if r.ok(code == 0, f"last axis: ends with {code} {stderr}"):
        with h5py.File(out) as a, h5py.File(other) as b:
            p, q = a["entry/fit/centre"][()], b["entry/fit/centre"][()]
            r.ok(np.allclose(p, q, atol=1e-5, equal_nan=True), "last axis: the same centres from float32")
    with h5py.File(out) as a:
        errors = a["entry/fit/centre_errors"][()]
    for options, factor in ((("--sigma", "/sigma_each"), 2.0), (("--sigma", "/sigma_each", "--relative-sigma"), None), ((), None)):
        code = xani("fit", data, "--data", "middle", "--axis", "1", *model, *options, "-o", other)[0]
        with h5py.File(other) as b:
            e = b["entry/fit/centre_errors"][()]
            scale = np.sqrt(b["entry/chi2_reduced"][()]) * (0.2 if options else 1.0) / 0.1
            r.ok(code == 0 and np.allclose(e, errors * (factor or scale), rtol=1e-5, equal_nan=True), f"sigma: {options}")


def check_settings(data):
    out = f"{SCRATCH}/settings.h5"
    code, _, stderr = xani("fit", data, "--data", "middle", "--axis", "1", "--x", "x", "--model", "p:gaussian + linear", "-o", out,
                           "--param", "p.centre=5,min=2,max=5.5", "--param", "p.sigma=0.8,fix", "--param", "intercept=2*slope+0.4")
    if not r.ok(code == 0, f"settings: ends with {code} {stderr}"):
        return
    with h5py.File(out) as f:
        g, status = f["entry/fit"], f["entry/fit_status"][()]
        good = status != 2
        at = g["p.centre"][()] == 5.5
        r.ok((status[at] == 5).all() and at.any() and (g["p.centre"][()][good] <= 5.5).all(), "settings: bounds, flagged")
        r.ok((g["p.sigma"][()][good] == 0.8).all() and (g["p.sigma_errors"][()][good] == 0).all(), "settings: fixed")
        r.ok(np.allclose(g["intercept"][()][good], 2 * g["slope"][()][good] + 0.4), "settings: tied")
        r.ok(np.allclose(g["intercept_errors"][()][good], 2 * g["slope_errors"][()][good]), "settings: errors of tied")
        roles = [text(g[n].attrs["role"]) for n in ("p.centre", "p.sigma", "intercept")]
        settings = [text(g[n].attrs["setting"]) for n in ("p.centre", "intercept")]
        r.ok(roles == ["free", "fixed", "tied"] and settings == ["p.centre=5,min=2,max=5.5", "intercept=0.40000000000000002+2*slope"],
             f"settings: stored {roles} {settings}")


def check_line(data):
    """A straight line through one trace, over the index and over a part of x, against NumPy."""
    out = f"{SCRATCH}/line.h5"
    with h5py.File(data) as f:
        y = f["one"][()]
    for options, x, use in (((), np.arange(80.0), slice(None)), (("--x", "x", "--range", "7.5,"), X, X >= 7.5)):
        code, _, stderr = xani("fit", data, "--data", "one", "--model", "linear", *options, "-o", out)
        fit, cov = np.polyfit(x[use], y[use], 1, cov=True)
        if r.ok(code == 0, f"line: {options} ends with {code} {stderr}"):
            with h5py.File(out) as f:
                got = [f["entry/fit/slope"][()], f["entry/fit/intercept"][()], f["entry/fit/slope_errors"][()]]
                r.ok(np.allclose(got, [*fit, np.sqrt(cov[0, 0])], rtol=1e-9), f"line: {options} equals NumPy's")
    code, _, _ = xani("fit", data, "--data", "counts", "--x", "x", "--model", "gaussian+linear", "-o", out)
    with h5py.File(out) as f:
        r.ok(code == 0 and f["entry/fit/centre"].shape == (5,) and (f["entry/fit_status"][()] == 0).all(), "whole numbers are fitted")


def check_cube():
    """A field cube: decaying relative change, over the corrected delay, errors from counting."""
    delay = np.arange(-20, 60) * 0.05
    tau = rng.uniform(0.5, 1.5, (6, 8))
    y = np.where(delay[:, None, None] > 0, 0.1 * np.exp(-np.maximum(delay, 0)[:, None, None] / tau), 0)
    experiment.write_field_cube(f"{SCRATCH}/run0001", delay, rng.poisson(2e6 * (1 + y)).astype(float), np.full((6, 8), 2e6))
    out = f"{SCRATCH}/decay.h5"
    code, stdout, stderr = xani("fit", f"{SCRATCH}/run0001_on.h5", "--model", "exponential + constant", "--range", "0.02,", "-o", out,
                                "--param", "decay=1,min=0.1,max=10", "--set", "input={layout: cube, counts_per_photon: 1.0}")
    if not r.ok(code == 0 and "converged" in stdout, f"cube: ends with {code} {stderr}"):
        return
    with h5py.File(out) as f:
        g = f["entry/fit"]
        r.ok(text(g.attrs["errors_from"]) == "counting" and [text(a) for a in g.attrs["axes"]] == ["y", "x"], "cube: axes, errors")
        pull = (g["decay"][()] - tau) / g["decay_errors"][()]
        r.ok(np.abs(pull).max() < 5 and 0.6 < pull.std() < 1.5, f"cube: decays, pulls {pull.std():.2f}")
        r.ok(abs(f["entry/chi2_reduced"][()].mean() - 1) < 0.15, "cube: reduced chi^2 is one")


def check_few_shots():
    """A cube whose errors are estimates from two shots a bin, one bin of a single shot without any: they scatter so much
    that weighting by them would follow the bins whose error is small by chance."""
    bins, ny, nx, level, sigma = 60, 12, 20, 0.05, 0.02
    weight = rng.uniform(0.5, 1.5, bins)
    truth = np.broadcast_to(sigma / np.sqrt(weight)[:, None, None], (bins, ny, nx))
    errors = truth * np.sqrt(rng.chisquare(1, truth.shape))
    errors[7] = np.nan
    with h5py.File(f"{SCRATCH}/few.h5", "w") as f:
        f["entry/cube/signal"] = (level + truth * rng.normal(size=truth.shape)).astype("f4")
        f["entry/cube/signal_errors"] = errors.astype("f4")
        f["entry/cube"].attrs["errors_from"] = "counting"
        f["entry/cube/delay"] = 0.1 * np.arange(bins)
        f["entry/cube/delay"].attrs["units"] = "ps"
        f["entry/bins/weight"] = weight
        f["entry/spatial_bin"] = np.int32(1)
        f["entry/mask"] = np.zeros((ny, nx), "u4")
    out = f"{SCRATCH}/level.h5"
    code, _, stderr = xani("fit", f"{SCRATCH}/few.h5", "--model", "constant", "-o", out)
    if not r.ok(code == 0, f"few shots: ends with {code} {stderr}"):
        return
    with h5py.File(out) as f:
        g = f["entry/fit"]
        pull = (g["c"][()] - level) / g["c_errors"][()]
        best = sigma / np.sqrt(weight.sum())
        r.ok(text(g.attrs["errors_from"]) == "counting" and 0.85 < pull.std() < 1.15, f"few shots: pulls {pull.std():.2f}")
        r.ok(abs((g["c"][()] - level).std() / best - 1) < 0.15, "few shots: as precise as the weights allow")
        r.ok((f["entry/points"][()] == bins).all(), "few shots: a bin without an error of its own counts")


def check_refusals(data):
    base = (data, "--data", "middle", "--axis", "1")
    refused(["unknown function gausian", "did you mean gaussian"], *base, "--model", "gausian")
    refused(["no parameter center", "did you mean centre"], *base, "--model", "gaussian", "--param", "center=3")
    refused(["sigma", "outside its bounds"], *base, "--model", "gaussian", "--param", "sigma=-1")
    refused(["amplitude", "needs a start value"], *base, "--model", "gaussian * s:sine")
    refused(["--param belongs to --model"], *base[:1], "--param", "centre=3")
    refused(["--range 3"], *base, "--model", "gaussian", "--range", "3")
    refused(["--axis x"], *base[:3], "--model", "gaussian", "--axis", "x")
    refused(["middle has 3 axes", "3"], *base[:3], "--model", "gaussian", "--axis", "3")
    refused(["named together with a dataset"], data, "--model", "gaussian", "--x", "x")
    refused(["nothing.h5"], f"{SCRATCH}/nothing.h5", "--data", "y", "--model", "gaussian", code=3)
    refused(["/none"], data, "--data", "/none", "--model", "gaussian", code=3)
    refused(["name", "not an array of numbers"], data, "--data", "name", "--model", "gaussian", code=3)
    refused(["x has 80 values", "5 samples"], data, "--data", "middle", "--axis", "2", "--x", "x", "--model", "gaussian", code=3)
    refused(["one has neither the shape of middle"], *base, "--sigma", "one", "--model", "gaussian", "--axis", "0", code=3)
    code, _, stderr = xani("fit", *base, "--model", "gaussian")
    r.ok(code == 2 and "-o is missing" in stderr, "refused: no output")
    out = f"{SCRATCH}/dry.h5"
    code, stdout, _ = xani("fit", *base, "--model", "gaussian+constant", "-o", out, "--dry-run", "--json")
    r.ok(code == 0 and json.loads(stdout)["parameters"] == ["amplitude", "centre", "sigma", "c"] and not os.path.exists(out),
         "dry run: names the parameters, writes nothing")
    code, stdout, _ = xani("fit", "--model", "list", "--json")
    names = [row["function"] for row in json.loads(stdout)["functions"]]
    r.ok(code == 0 and {"gaussian", "exponential_step", "damped_cosines#"} <= set(names), "list: names the functions")
    # more failed fits than fit.max_failed allows: the result is there, the exit code says 4
    code, _, stderr = xani("fit", *base, "--model", "a:constant + b:constant", "-o", out, "--set", "fit.max_failed=0.5")
    r.ok(code == 4 and "max_failed" in stderr and os.path.exists(out), f"singular: ends with {code}")


data = f"{SCRATCH}/data.h5"
check_dataset(data)
check_settings(data)
check_line(data)
check_cube()
check_few_shots()
check_refusals(data)
r.end()
