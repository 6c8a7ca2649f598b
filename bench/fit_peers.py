#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""fit_peers.py TRACES TRUTH SAMPLES MODES STEP -- the Python codes that the fit benchmark compares with.

Each line on stdin, "peer count", fits the next `count` traces and is answered by one line: traces per CPU-second and
the fraction of traces whose every frequency lies within 2 % of the truth; or, in words, why there is no answer.
"""
import sys
import time
import warnings

warnings.filterwarnings("ignore")
try:
    import numpy as np
except ImportError:
    for _ in sys.stdin:
        print("NumPy is not installed", flush=True)
    sys.exit(0)

N, K, DT = int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
Y = np.fromfile(sys.argv[1], "f4").reshape(-1, N).astype("f8")
TRUTH = np.fromfile(sys.argv[2], "f8").reshape(-1, K)
T = np.arange(N) * DT
W = 2 * np.pi


def model(t, *p):
    y = p[-1] + 0 * t
    for k in range(K):
        a, f, g, phase = p[4 * k:4 * k + 4]
        y = y + a * np.exp(-g * t) * np.cos(W * f * t + phase)
    return y


def jacobian(t, *p):
    j = np.ones((len(t), 4 * K + 1))
    for k in range(K):
        a, f, g, phase = p[4 * k:4 * k + 4]
        e, angle = np.exp(-g * t), W * f * t + phase
        c, s = e * np.cos(angle), e * np.sin(angle)
        j[:, 4 * k:4 * k + 4] = np.stack([c, -W * t * a * s, -t * a * c, -a * s], 1)
    return j


def amplitudes(y, f, g):
    """Start values A, f, g, phase of the K modes with most energy, and the offset, by linear least squares."""
    out = np.tile([1.0, 1.0, 0.3, 0.0], (K, 1))
    out[:, 1] = np.linspace(1, 5, K)
    if len(f) == 0:
        return np.append(out.ravel(), y.mean())
    e, angle = np.exp(-np.outer(T, g)), W * np.outer(T, f)
    c = np.linalg.lstsq(np.concatenate([e * np.cos(angle), -e * np.sin(angle), np.ones((N, 1))], 1), y, rcond=None)[0]
    a, phase = np.hypot(c[:len(f)], c[len(f):-1]), np.arctan2(c[len(f):-1], c[:len(f)])
    for i, k in enumerate(np.argsort(-a ** 2 / g)[:K]):
        out[i] = a[k], f[k], g[k], phase[k]
    return np.append(out.ravel(), c[-1])


def hsvd(y, columns=100):
    y0 = y - y.mean()
    hankel = np.lib.stride_tricks.sliding_window_view(y0, columns)
    v = np.linalg.svd(hankel, full_matrices=False)[2][:2 * K + 3].T
    z = np.log(np.linalg.eigvals(np.linalg.lstsq(v[:-1], v[1:], rcond=None)[0]) + 0j) / DT
    f, g = z.imag / W, -z.real
    keep = (f > 0.2) & (f < 0.475 / DT)
    return amplitudes(y, f[keep], np.clip(g[keep], 0.03, 5))


def curve_fit_from_hsvd():
    from scipy.optimize import curve_fit
    return lambda y: curve_fit(model, T, y, p0=hsvd(y), jac=jacobian, maxfev=400)[0][1:4 * K:4]


def lmfit_from_hsvd():
    import lmfit
    names = [f"{n}{k}" for k in range(K) for n in ("a", "f", "g", "p")] + ["c"]
    scope = {"np": np, "W": W, "model": model}
    exec(f"def line(t, {', '.join(names)}): return model(t, {', '.join(names)})", scope)  # lmfit reads the names
    m = lmfit.Model(scope["line"])

    def fit(y):
        p = m.make_params(**dict(zip(names, map(float, hsvd(y)))))
        for n in names:
            if n[0] in "fg":
                p[n].set(min=0, max=10)
        r = m.fit(y, p, t=T)
        return [r.params[f"f{k}"].value for k in range(K)]
    return fit


def jaxfit_from_hsvd():
    from jaxfit import CurveFit
    import jax.numpy as jnp
    fitter = CurveFit()

    def line(t, *p):
        y = p[-1]
        for k in range(K):
            a, f, g, phase = p[4 * k:4 * k + 4]
            y = y + a * jnp.exp(-g * t) * jnp.cos(W * f * t + phase)
        return y
    return lambda y: np.asarray(fitter.curve_fit(line, T, y, p0=hsvd(y))[0])[1:4 * K:4]


def nmrglue_hsvd():
    from nmrglue.process import proc_lp

    def fit(y):
        roots = np.asarray(proc_lp.find_lproots_hsvd((y - y.mean()).astype(complex), 100, 2 * K + 1, "f"))
        z = np.log(roots + 0j) / DT
        f, g = z.imag / W, -z.real
        keep = (f > 0.2) & (f < 0.475 / DT) & (g > -1)
        return amplitudes(y, f[keep], np.clip(g[keep], 0.03, 5))[1:4 * K:4]
    return fit


def cuphoton_lp():
    import cuphoton  # noqa: F401
    raise ImportError("cuphoton is there, but its linear prediction has no fit to compare with")


def cpufit():
    import pycpufit  # noqa: F401
    raise ImportError("pycpufit is there, but it has no damped cosine among its models")


PEERS = {"hsvd+curve_fit": curve_fit_from_hsvd, "lmfit": lmfit_from_hsvd, "jaxfit": jaxfit_from_hsvd, "nmrglue": nmrglue_hsvd,
         "cuphoton": cuphoton_lp, "cpufit": cpufit, "numpy-hsvd": lambda: lambda y: hsvd(y)[1:4 * K:4]}


def found(f, truth):
    f = np.abs(np.asarray(f, float))
    return (np.abs(np.sort(f) - np.sort(truth)) < 0.02 * np.sort(truth)).all()


fits, position = {}, {}
for line in sys.stdin:
    name, count = line.split()[0], int(line.split()[1])
    try:
        if name not in fits:
            fits[name] = PEERS[name]()
            fits[name](Y[0])  # imports and compilation are not what is compared
        fit, first = fits[name], position.get(name, 0)
        good, start = 0, time.process_time()
        for i in range(first, first + count):
            try:
                good += found(fit(Y[i % len(Y)]), TRUTH[i % len(Y)])
            except RuntimeError:  # no convergence: not a success
                pass
        position[name] = first + count
        print(count / (time.process_time() - start), good / count, flush=True)
    except Exception as error:
        print(f"{name}: {type(error).__name__}: {error}".replace("\n", " ")[:150], flush=True)
