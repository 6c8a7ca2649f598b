# SPDX-License-Identifier: BSD-3-Clause
"""beamline.py -- a pump-probe experiment at a free-electron laser in NumPy, from detector geometry to photons of each shot.

Shares nothing with `xani sim`: own geometry (panels anywhere in space), own goniometer, own crystal (springs.py), and a
signal that is no exact squeezing but a sum of damped cosines of freely chosen amplitude, damping and phase:

    I(Q, t) = I(Q) [1 + sum_b A_b(Q) exp(-g_b t) cos(2 pi 2 nu_b(Q) t + phi_b)]      t >= 0; I(Q) before

so that every fitted number has a true one.  Lengths mm, energies keV, delays ps, Q in 1/Angstrom with 2 pi.
"""
import numpy as np

from springs import busing_levy

HC = 12.398419843320026  # keV Angstrom


def turn(axis, degrees):
    x, y, z = np.asarray(axis, float) / np.linalg.norm(axis)
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    a = np.radians(degrees)
    return np.eye(3) + np.sin(a) * k + (1 - np.cos(a)) * k @ k


class Detector:
    """panels: [(centre mm, direction of columns, direction of rows)], one below the other in the frame."""

    def __init__(self, rows, cols, pixel_mm, panels):
        self.rows, self.cols, self.pixel_mm, self.panels = rows, cols, pixel_mm, panels
        j, i = np.meshgrid(np.arange(cols) + 0.5, np.arange(rows) + 0.5)
        self.corners = [c - pixel_mm * (cols / 2 * f + rows / 2 * s) for c, f, s in panels]
        self.r = np.concatenate([c + pixel_mm * (j[..., None] * f + i[..., None] * s)
                                 for c, (_, f, s) in zip(self.corners, panels)])
        self.shape = self.r.shape[:2]

    def write_maps(self, group):
        """Pixel coordinates of LCLS small data: micrometres, x down, y to the right when looking along the beam, z
        against the beam, modules in front."""
        um = 1000 * self.r.reshape(len(self.panels), self.rows, self.cols, 3)
        group["x"], group["y"], group["z"] = -um[..., 1], -um[..., 0], -um[..., 2]

    def solid_angle(self):
        """Of each pixel, relative: projected area over distance squared."""
        normal = np.concatenate([np.broadcast_to(np.cross(f, s), (self.rows, self.cols, 3)) for _, f, s in self.panels])
        d = np.linalg.norm(self.r, axis=-1)
        return abs((self.r * normal).sum(-1)) / d**3

    def q_lab(self, energy_kev):
        k = 2 * np.pi * energy_kev / HC
        return k * (self.r / np.linalg.norm(self.r, axis=-1, keepdims=True) - [0, 0, 1])

    def write_geom(self, path, energy_kev):
        """CrystFEL: corners in pixels, directions with a z part, clen of the first panel's corner."""
        clen = self.corners[0][2]
        word = lambda v: " ".join("%+.15f%s" % (x, n) for x, n in zip(v, "xyz"))
        with open(path, "w") as out:
            out.write(f"; made by hand\nphoton_energy = {1000 * energy_kev:.6f}\nclen = {clen / 1000:.12f}\n"
                      f"res = {1000 / self.pixel_mm:.9f}\n")
            for n, (corner, (_, f, s)) in enumerate(zip(self.corners, self.panels)):
                out.write(f"\nm{n}/min_fs = 0\nm{n}/max_fs = {self.cols - 1}\nm{n}/min_ss = {n * self.rows}\n"
                          f"m{n}/max_ss = {(n + 1) * self.rows - 1}\nm{n}/fs = {word(f)}\nm{n}/ss = {word(s)}\n"
                          f"m{n}/corner_x = {corner[0] / self.pixel_mm:.12f}\nm{n}/corner_y = {corner[1] / self.pixel_mm:.12f}\n"
                          f"m{n}/coffset = {(corner[2] - clen) / 1000:.15f}\n")


class Run:
    """One sample angle: where the pixels are in the crystal, what they see, and shots."""

    def __init__(self, lab, angles):
        rotation = np.eye(3)
        for (axis, sign), angle in zip(lab.circles, angles):
            rotation = rotation @ turn(axis, sign * angle)
        self.lab = lab
        self.hkl = lab.detector.q_lab(lab.energy_kev) @ np.linalg.inv(rotation @ lab.ub).T
        flat = self.hkl.reshape(-1, 3)
        nu, strength = lab.excited.visible(flat)
        total = strength.sum(1, keepdims=True)
        before = lab.crystal.visible(flat)[1].sum(1)
        self.nu = nu.reshape(*lab.detector.shape, -1)
        self.amplitude = (lab.fraction * strength / total).reshape(self.nu.shape)
        along_x = lab.detector.r[..., 0] / np.linalg.norm(lab.detector.r, axis=-1)  # the X-rays' field lies along x
        self.intensity = before.reshape(lab.detector.shape) * (1 - along_x**2) * lab.detector.solid_angle()

    def signal(self, t):
        """y at delays t: (shots, y, x)."""
        y = np.zeros((len(t),) + self.intensity.shape, np.float32)
        w, a = (4 * np.pi * self.nu).astype(np.float32), self.amplitude.astype(np.float32)
        for b, (g, phase) in enumerate(zip(self.lab.damping, self.lab.phase)):
            for k in np.flatnonzero(np.asarray(t) >= 0):
                y[k] += a[..., b] * np.float32(np.exp(-g * t[k])) * np.cos(w[..., b] * np.float32(t[k]) + np.float32(phase))
        return y


class Laboratory:
    """Beam, detector, crystal before and after the laser, orientation, circles [(axis, sign)]."""

    def __init__(self, crystal, excited, detector, energy_kev, orientation, circles, fraction, damping, phase):
        self.crystal, self.excited, self.detector, self.energy_kev = crystal, excited, detector, energy_kev
        self.orientation, self.circles, self.fraction = orientation, circles, fraction
        self.damping, self.phase = damping, phase
        self.ub = orientation @ busing_levy(crystal.cell)


class Shots:
    """Readings of n shots as a beamline has them, the laser off in every fourth; delays swept `sweeps` times."""

    def __init__(self, n, start, stop, seed=1, sweeps=7, jitter_ps=0.05, tool_ps=0.004, modes=20, monitor_noise=0.002,
                 off_every=4):
        rng = self.rng = np.random.default_rng(seed)
        self.n, self.id = n, np.arange(n)
        self.on = np.ones(n, bool) if off_every == 0 else np.arange(n) % off_every != off_every - 1
        self.beam = rng.gamma(modes, 1 / modes, n)
        self.monitor = 3.1 * self.beam * (1 + rng.normal(0, monitor_noise, n))
        u = np.arange(n) * sweeps / n % 1
        nominal = start + (stop - start) * np.where(np.arange(n) * sweeps // n % 2, 1 - u, u)
        self.nominal = nominal
        jitter = rng.normal(0, jitter_ps, n)
        self.delay = nominal + jitter  # of X-rays after the laser, the truth
        self.stage_mm = 55.0 - (nominal + 0.42) * 0.149896229  # a longer path of the laser: X-rays come earlier
        seen = jitter + rng.normal(0, tool_ps, n)
        # seen = c1 x + c2 x^2 about pixel 900, solved for x
        self.tool = (0.0011, 2.0e-7)
        self.edge_px = 900 + (-self.tool[0] + np.sqrt(self.tool[0]**2 + 4 * self.tool[1] * seen)) / (2 * self.tool[1])
        self.edge_height = rng.normal(0.6, 0.05, n)
        failed = rng.random(n) < 0.02
        self.edge_px[failed] = rng.uniform(300, 1500, failed.sum())
        self.edge_height[failed] = abs(rng.normal(0.1, 0.03, failed.sum()))
        self.edge_px[~self.on] = np.nan
        self.edge_height[~self.on] = 0.02

    def delay_keys(self, stage, edge):
        """The key input.delay as the logbook would have it: minus for the stage, the tool's polynomial, zero."""
        return {"parts": [{"source": stage, "scale_ps": 1 / 0.149896229, "origin": 55.0}], "sign": -1, "zero_ps": 0.42,
                "time_tool": {"source": edge, "sign": -1, "origin": 900.0, "coefficients_ps": [0, *self.tool]}}

    def photons(self, run, mean, chunk=500):
        """Yields (slice, photons (shots, y, x)): Poisson numbers of a pixel that sees `mean` photons in the median."""
        per = run.intensity * mean / np.median(run.intensity)
        for first in range(0, self.n, chunk):
            s = slice(first, min(first + chunk, self.n))
            t = np.where(self.on[s], self.delay[s], -1)
            yield s, self.rng.poisson(self.beam[s, None, None] * per * (1 + run.signal(t)))
