#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""fit_peers.py TRACES TRUTH STARTS SAMPLES MODES STEP -- the Python codes that the fit benchmark compares with.

Each line on stdin, "peer count", fits the next `count` traces and is answered by one line: traces per CPU-second and
the fraction of traces whose every frequency lies within 2 % of the truth; or, in words, why there is no answer.

Peers named after a fit alone (curve_fit, curve_fit-jacobian, nlsq, jax-vmap) are given the HSVD starts of the
benchmark, whose time is not counted, like lmder.  The others find their own start: hsvd+curve_fit, lmfit and jaxfit by
an HSVD in NumPy, nmrglue and cuphoton are linear predictions by themselves.

jax-vmap-device is jax-vmap on a CUDA device, with traces and starts in its memory: traces per second.

cuphoton is used when it can be imported, or from a checkout of NVIDIA/cuPhoton named by XANI_CUPHOTON.
"""
import logging
import os
import sys
import time
import types
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
if hasattr(os, "sched_setaffinity"):  # one core: threads of a library would be paid for, not gained from
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
try:
    import numpy as np
except ImportError:
    for _ in sys.stdin:
        print("NumPy is not installed", flush=True)
    sys.exit(0)

N, K, DT = int(sys.argv[4]), int(sys.argv[5]), float(sys.argv[6])
Y = np.fromfile(sys.argv[1], "f4").reshape(-1, N).astype("f8")
TRUTH = np.fromfile(sys.argv[2], "f8").reshape(-1, K)
START = np.fromfile(sys.argv[3], "f8").reshape(-1, 4 * K + 1)  # A, f, g, phase of each mode, offset
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


def frequencies(p):
    return np.asarray(p)[1:4 * K:4]


def strongest(f, g, amplitude):
    """The frequencies of the K modes with most energy; 0 where there are not so many."""
    order = np.argsort(-np.asarray(amplitude) ** 2 / np.maximum(g, 1e-3))[:K]
    return np.append(np.asarray(f)[order], np.zeros(K - len(order)))


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


def start_from_roots(y, roots):
    z = np.log(np.asarray(roots) + 0j) / DT
    f, g = z.imag / W, -z.real
    keep = (f > 0.2) & (f < 0.475 / DT) & (g > -1)
    return amplitudes(y, f[keep], np.clip(g[keep], 0.03, 5))


def hsvd(y, columns=100):
    y0 = y - y.mean()
    hankel = np.lib.stride_tricks.sliding_window_view(y0, columns)
    v = np.linalg.svd(hankel, full_matrices=False)[2][:2 * K + 3].T
    return start_from_roots(y, np.linalg.eigvals(np.linalg.lstsq(v[:-1], v[1:], rcond=None)[0]))


# Each peer: a function that prepares and returns fit(y, start) -> frequencies


def curve_fit(start, **options):
    from scipy.optimize import curve_fit as fit
    return lambda y, given: frequencies(fit(model, T, y, p0=start(y, given), maxfev=2000, **options)[0])


def lmfit_from_hsvd():
    import lmfit
    names = [f"{n}{k}" for k in range(K) for n in ("a", "f", "g", "p")] + ["c"]
    scope = {"np": np, "W": W, "model": model}
    exec(f"def line(t, {', '.join(names)}): return model(t, {', '.join(names)})", scope)  # lmfit reads the names
    m = lmfit.Model(scope["line"])

    def fit(y, _):
        p = m.make_params(**dict(zip(names, map(float, hsvd(y)))))
        for n in names:
            if n[0] in "fg":
                p[n].set(min=0, max=10)
        r = m.fit(y, p, t=T)
        return [r.params[f"f{k}"].value for k in range(K)]
    return fit


def jax_line():
    import jax.numpy as jnp
    names = [f"p{i}" for i in range(4 * K + 1)]

    def line(t, *p):
        y = p[-1]
        for k in range(K):
            a, f, g, phase = p[4 * k:4 * k + 4]
            y = y + a * jnp.exp(-g * t) * jnp.cos(W * f * t + phase)
        return y
    scope = {"line": line}
    exec(f"def named(t, {', '.join(names)}): return line(t, {', '.join(names)})", scope)  # NLSQ counts the names
    return scope["named"]


def jaxfit_from_hsvd():
    import jax
    if "jax.config" not in sys.modules:  # JAXFit 0.0.5 was written for a JAX that had this module
        sys.modules["jax.config"] = types.ModuleType("jax.config")
        sys.modules["jax.config"].config = jax.config
    from jaxfit import CurveFit
    fitter, line = CurveFit(), jax_line()
    return lambda y, _: frequencies(fitter.curve_fit(line, T, y, p0=hsvd(y))[0])


def nlsq_given():
    import nlsq
    fitter, line = nlsq.CurveFit(), jax_line()
    return lambda y, given: frequencies(fitter.curve_fit(line, T, y, p0=given).x)


def jax_vmap():
    """What a JAX user would write for many traces: Levenberg-Marquardt in float32, vmapped and compiled; whole batches."""
    import jax
    import jax.numpy as jnp
    p = 4 * K + 1
    t = jnp.asarray(T, jnp.float32)

    def residual_and_jacobian(x, y):
        r, columns = y - x[-1], []
        for k in range(K):
            a, f, g, phase = x[4 * k:4 * k + 4]
            e, angle = jnp.exp(-g * t), W * f * t + phase
            c, s = e * jnp.cos(angle), e * jnp.sin(angle)
            r = r - a * c
            columns += [c, -W * t * a * s, -t * a * c, -a * s]
        return r, jnp.stack(columns + [jnp.ones_like(t)])

    def solve(m, v):  # Cholesky, unrolled: batches of tiny LAPACK calls are slower
        low = [[None] * p for _ in range(p)]
        for j in range(p):
            d = m[j, j] - sum(low[j][k] ** 2 for k in range(j))
            low[j][j] = jnp.sqrt(jnp.maximum(d, 1e-6 * m[j, j] + 1e-20))
            for i in range(j + 1, p):
                low[i][j] = (m[i, j] - sum(low[i][k] * low[j][k] for k in range(j))) / low[j][j]
        u, x = [None] * p, [None] * p
        for i in range(p):
            u[i] = (v[i] - sum(low[i][k] * u[k] for k in range(i))) / low[i][i]
        for i in reversed(range(p)):
            x[i] = (u[i] - sum(low[k][i] * x[k] for k in range(i + 1, p))) / low[i][i]
        return jnp.stack(x), sum(a * a for a in u)

    def one(y, x):
        def go_on(s):
            return (s[5] < 25) & ~s[6]

        def step(s):
            x, normal, gradient, chi2, lam, n, _ = s
            d, _ = solve(normal + lam * jnp.diag(jnp.diag(normal)), gradient)
            r, j = residual_and_jacobian(x + d, y)
            new = r @ r
            better = new <= chi2 * (1 + 1e-6)
            x, chi2 = jnp.where(better, x + d, x), jnp.where(better, new, chi2)
            normal, gradient = jnp.where(better, j @ j.T, normal), jnp.where(better, j @ r, gradient)
            done = solve(normal, gradient)[1] < 1e-3 * chi2 / (N - p)
            return x, normal, gradient, chi2, jnp.where(better, lam * 0.1, jnp.minimum(lam * 8, 1e6)), n + 1, done
        r, j = residual_and_jacobian(x, y)
        return jax.lax.while_loop(go_on, step, (x, j @ j.T, j @ r, r @ r, 1e-2, 0, False))[0]
    many = jax.jit(jax.vmap(one))
    return lambda y, given: np.asarray(many(jnp.asarray(y, jnp.float32), jnp.asarray(given, jnp.float32)))[:, 1:4 * K:4]


def nmrglue_hsvd():
    from nmrglue.process import proc_lp
    return lambda y, _: frequencies(start_from_roots(y, proc_lp.find_lproots_hsvd((y - y.mean()).astype(complex), 100,
                                                                                  2 * K + 1, "f")))


def cuphoton_lp():
    """As cuPhoton ships it: smoothed by Savitzky-Golay (5, 3), 30 components; the strongest of the modes it reports."""
    place = os.environ.get("XANI_CUPHOTON")
    if place:
        sys.path.insert(0, os.path.join(place, "src") if os.path.isdir(os.path.join(place, "src")) else place)
    from cuphoton.xray.linear_prediction import linear_prediction_numpy
    from scipy.signal import savgol_filter

    def fit(y, _):
        r = linear_prediction_numpy(T, savgol_filter(y, 5, 3), 30)
        return strongest(r.angular_frequency / W, r.decay, r.amplitude)
    return fit


PEERS = {
    "hsvd+curve_fit": lambda: curve_fit(lambda y, _: hsvd(y), jac=jacobian),
    "curve_fit": lambda: curve_fit(lambda _, given: given),
    "curve_fit-jacobian": lambda: curve_fit(lambda _, given: given, jac=jacobian),
    "lmfit": lmfit_from_hsvd,
    "jaxfit": jaxfit_from_hsvd,
    "nlsq": nlsq_given,
    "jax-vmap": jax_vmap,
    "nmrglue": nmrglue_hsvd,
    "cuphoton": cuphoton_lp,
    "numpy-hsvd": lambda: lambda y, _: frequencies(hsvd(y)),
}
BATCHED = {"jax-vmap": 4096}  # traces in one call, instead of those asked for


def on_device(count):
    """Traces per second of jax-vmap on a device that holds `count` traces, and its success."""
    os.environ["JAX_PLATFORMS"] = "cuda"
    import jax
    fit, chosen = jax_vmap(), np.arange(count) % len(Y)
    y, given = jax.device_put(Y[chosen].astype("f4")), jax.device_put(START[chosen].astype("f4"))
    seconds, result = [], fit(y, given)  # compiles
    for _ in range(5):
        start = time.perf_counter()
        result = fit(y, given)
        seconds.append(time.perf_counter() - start)
    return count / np.median(seconds), np.mean([found(*pair) for pair in zip(result[:len(Y)], TRUTH)])


def found(f, truth):
    f = np.abs(np.asarray(f, float))
    return (np.abs(np.sort(f) - np.sort(truth)) < 0.02 * np.sort(truth)).all()


def one_by_one(fit, chosen):
    good = 0
    for i in chosen:
        try:
            good += found(fit(Y[i], START[i]), TRUTH[i])
        except (RuntimeError, np.linalg.LinAlgError):  # no convergence: not a success
            pass
    return good


fits, position = {}, {}
for line in sys.stdin:
    name, count = line.split()[0], int(line.split()[1])
    try:
        if name == "jax-vmap-device":
            print(*on_device(count), flush=True)
            continue
        count = min(BATCHED.get(name, count), len(Y))
        chosen = np.arange(position.get(name, 0), position.get(name, 0) + count) % len(Y)
        if name not in fits:
            fits[name] = PEERS[name]()  # imports and compilation are not what is compared
            fits[name](Y[chosen], START[chosen]) if name in BATCHED else one_by_one(fits[name], chosen[:1])
        start = time.process_time()
        if name in BATCHED:
            good = sum(map(found, fits[name](Y[chosen], START[chosen]), TRUTH[chosen]))
        else:
            good = one_by_one(fits[name], chosen)
        position[name] = int(chosen[-1]) + 1
        print(count / (time.process_time() - start), good / count, flush=True)
    except Exception as error:
        print(f"{name}: {type(error).__name__}: {error}".replace("\n", " ")[:150], flush=True)
