// SPDX-License-Identifier: BSD-3-Clause
// orientation.c -- the crystal's orientation from reflections whose indices are known: geometry.reflections.
//
// Each gives a direction twice: B hkl in the crystal, R^-1 Q_lab at zero angles, Q from the pixel it was seen in or as
// given.  The rotation U that takes the first to the second best, in the sum over cosines, is the eigenvector of the
// largest eigenvalue of Horn's matrix (J. Opt. Soc. Am. A 4, 629, 1987); two reflections suffice, more are averaged.
// Each is held against what the others say without it.
// Lengths are not used to turn but to check: they tell a wrong energy, distance or cell, and angles that are no
// degrees.
#include <lapacke.h>
#include <math.h>
#include <string.h>

#include "physics/geometry.h"
#include "physics/lattice.h"

#define MOST 1024
#define LENGTH_TOLERANCE 0.05 // of |Q|
#define ANGLE_TOLERANCE 5.0   // degrees between a reflection and where the orientation puts it
#define LEAST_ANGLE 2.0       // degrees between two of them, else they fix no orientation
#define WELL_APART 20.0       // nearer ones triple their errors in the turn about themselves

typedef struct {
    double hkl[3], crystal[3], lab[3]; // hkl; unit vectors of B hkl and of Q at zero angles
    double ratio;                      // |Q| over |B hkl|
} reflection;

typedef struct {
    xn_ctx *ctx;
    const xn_config *config;
    const xn_lattice *lattice;
    xn_geometry geometry; // where pixels are given
    double energy_kev;
    int n;
    reflection *list;
} fit;

static double length(const double v[3]) { return sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]); }

// Position at [x, y] of the frame, centres at +0.5: that of its pixel, moved along the steps to the nearest neighbours.
static bool position_at(const xn_geometry *g, const double at[2], double r[3])
{
    int64_t x = (int64_t)floor(at[0]), y = (int64_t)floor(at[1]);
    if (!(at[0] >= 0.0 && at[1] >= 0.0) || x >= g->nx || y >= g->ny) return false;
    const float *centre = g->position + 3 * (y * g->nx + x);
    for (int k = 0; k < 3; k++) r[k] = (double)centre[k];
    for (int axis = 0; axis < 2; axis++) {
        double best = INFINITY, step[3] = {0.0, 0.0, 0.0};
        int64_t here = axis == 0 ? x : y, n = axis == 0 ? g->nx : g->ny, stride = axis == 0 ? 1 : g->nx;
        for (int side = -1; side <= 1; side += 2) {
            if (here + side < 0 || here + side >= n) continue;
            const float *next = centre + 3 * side * stride;
            double d[3];
            for (int k = 0; k < 3; k++) d[k] = side * ((double)next[k] - (double)centre[k]);
            if (length(d) < best) { // across a gap the step is longer
                best = length(d);
                memcpy(step, d, sizeof step);
            }
        }
        for (int k = 0; k < 3; k++) r[k] += (at[axis] - floor(at[axis]) - 0.5) * step[k];
    }
    return isfinite(r[0]);
}

static xani_status read_q(fit *f, int i, double q[3])
{
    char key[XN_KEY_LENGTH], other[XN_KEY_LENGTH];
    double pixel[2], r[3];
    xn_key(key, "geometry.reflections[%d].pixel", i);
    xn_key(other, "geometry.reflections[%d].q", i);
    bool by_pixel = xn_config_has(f->config, key);
    if (by_pixel == xn_config_has(f->config, other))
        return xn_config_bad(f->ctx, f->config, by_pixel ? key : xn_key(key, "geometry.reflections[%d]", i),
                             "either pixel [x, y] or q is needed");
    if (!by_pixel) {
        xn_config_doubles(f->config, other, q, 3);
        return XANI_OK;
    }
    if (f->geometry.position == NULL) XN_TRY(xn_geometry_load(f->ctx, f->config, 0, 0, &f->geometry));
    if (isnan(f->energy_kev)) f->energy_kev = f->geometry.energy_kev;
    if (isnan(f->energy_kev))
        return xn_config_require(f->ctx, f->config, "experiment.energy_kev", "reflections by pixel need the energy");
    xn_config_doubles(f->config, key, pixel, 2);
    if (!position_at(&f->geometry, pixel, r) || !xn_geometry_q_at(r, f->energy_kev, q))
        return xn_config_bad(f->ctx, f->config, key, "[%g, %g] is not on the detector of %lld x %lld pixels (x, y)",
                             pixel[0], pixel[1], (long long)f->geometry.nx, (long long)f->geometry.ny);
    return XANI_OK;
}

static xani_status read_reflection(fit *f, const xn_goniometer *circles, int i)
{
    reflection *t = &f->list[i];
    xn_goniometer g = *circles;
    char key[XN_KEY_LENGTH];
    double q[3], r[9], back[9], angles[8], c[3];
    if (xn_config_doubles(f->config, xn_key(key, "geometry.reflections[%d].hkl", i), t->hkl, 3) != 3)
        return xn_config_require(f->ctx, f->config, key, "the indices of the reflection");
    XN_TRY(read_q(f, i, q));
    if (xn_config_has(f->config, xn_key(key, "geometry.reflections[%d].angles_deg", i))) {
        int n = xn_config_doubles(f->config, key, angles, 8);
        if (n != g.n)
            return xn_config_bad(f->ctx, f->config, key, "%d angles, geometry.goniometer has %d axes", n, g.n);
        for (int k = 0; k < n; k++) g.circle[k].angle_deg = angles[k];
    }
    xn_goniometer_matrix(&g, r);
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) back[3 * a + b] = r[3 * b + a];
    xn_mat3_vec(back, q, t->lab);
    xn_mat3_vec(f->lattice->b, t->hkl, c);
    double size = length(c), seen = length(t->lab);
    if (!(size > 0.0) || !(seen > 0.0))
        return xn_config_bad(f->ctx, f->config, xn_key(key, "geometry.reflections[%d]", i),
                             "0 0 0, or the direct beam, has no direction");
    t->ratio = seen / size;
    for (int k = 0; k < 3; k++) {
        t->crystal[k] = c[k] / size;
        t->lab[k] /= seen;
    }
    if (fabs(t->ratio - 1.0) > LENGTH_TOLERANCE)
        return xn_config_bad(f->ctx, f->config, xn_key(key, "geometry.reflections[%d]", i),
                             "|Q| is %.4f 1/Angstrom, that of %g %g %g in this cell %.4f: cell, energy, distance or "
                             "indices are wrong",
                             seen, t->hkl[0], t->hkl[1], t->hkl[2], size);
    return XANI_OK;
}

static double angle_deg(const double a[3], const double b[3])
{
    double cross[3] = {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
    return atan2(length(cross), a[0] * b[0] + a[1] * b[1] + a[2] * b[2]) * 180.0 / M_PI;
}

// The widest angle between two of them, or their opposites, without number `skip`; *one, *other: which.
static double widest(const fit *f, int skip, int *one, int *other)
{
    double most = 0.0;
    *one = *other = -1;
    for (int i = 0; i < f->n; i++)
        for (int j = 0; j < i; j++) {
            double angle = angle_deg(f->list[i].crystal, f->list[j].crystal);
            angle = fmin(angle, 180.0 - angle);
            if (i == skip || j == skip || !(angle > most)) continue;
            most = angle;
            *one = i;
            *other = j;
        }
    return most;
}

bool xn_rotation_between(int n, const double *from, const double *to, double u[9])
{
    double s[9] = {0.0}, m[16], w[4];
    for (int i = 0; i < n; i++)
        for (int a = 0; a < 3; a++)
            for (int b = 0; b < 3; b++) s[3 * a + b] += from[3 * i + a] * to[3 * i + b];
    const double horn[16] = {s[0] + s[4] + s[8], s[5] - s[7],        s[6] - s[2],         s[1] - s[3],
                             s[5] - s[7],        s[0] - s[4] - s[8], s[1] + s[3],         s[6] + s[2],
                             s[6] - s[2],        s[1] + s[3],        -s[0] + s[4] - s[8], s[5] + s[7],
                             s[1] - s[3],        s[6] + s[2],        s[5] + s[7],         -s[0] - s[4] + s[8]};
    memcpy(m, horn, sizeof m);
    if (LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'V', 'U', 4, m, 4, w) != 0) return false;
    double q0 = m[3], x = m[7], y = m[11], z = m[15]; // of the largest
    const double out[9] = {
        q0 * q0 + x * x - y * y - z * z, 2 * (x * y - q0 * z), 2 * (x * z + q0 * y), 2 * (x * y + q0 * z),
        q0 * q0 - x * x + y * y - z * z, 2 * (y * z - q0 * x), 2 * (x * z - q0 * y), 2 * (y * z + q0 * x),
        q0 * q0 - x * x - y * y + z * z};
    memcpy(u, out, sizeof out);
    return true;
}

// U of all but number `skip`; pairs: room for 6 numbers each.
static bool rotation_without(const fit *f, int skip, double *pairs, double u[9])
{
    int n = 0, all = f->n - (skip >= 0);
    for (int i = 0; i < f->n; i++) {
        if (i == skip) continue;
        memcpy(pairs + 3 * n, f->list[i].crystal, 3 * sizeof *pairs);
        memcpy(pairs + 3 * (all + n), f->list[i].lab, 3 * sizeof *pairs);
        n++;
    }
    return xn_rotation_between(n, pairs, pairs + 3 * (size_t)n, u);
}

static double away_from(const double u[9], const reflection *t)
{
    double there[3];
    xn_mat3_vec(u, t->crystal, there);
    return angle_deg(there, t->lab);
}

// How far a reflection lies from where the others put it, in degrees: by their orientation where they are far enough
// apart to fix one well, else by the angles to them. One that is wrong does not hide in a fit that it bends.
static double away_from_others(const fit *f, int i, bool apart, double *pairs)
{
    double u[9], sum = 0.0;
    if (apart && rotation_without(f, i, pairs, u)) return away_from(u, &f->list[i]);
    for (int j = 0; j < f->n; j++)
        if (j != i)
            sum += fabs(angle_deg(f->list[i].lab, f->list[j].lab) - angle_deg(f->list[i].crystal, f->list[j].crystal));
    return sum / (f->n - 1);
}

static xani_status refuse_outlier(const fit *f, int worst, double away)
{
    static const char why[] = "indices, signs of axes or angles (degrees) are wrong";
    const reflection *t = f->list;
    char key[XN_KEY_LENGTH];
    if (f->n == 2)
        return xn_config_bad(f->ctx, f->config, "geometry.reflections",
                             "%g %g %g and %g %g %g are %.1f degrees apart, in this cell %.1f: %s", t[0].hkl[0],
                             t[0].hkl[1], t[0].hkl[2], t[1].hkl[0], t[1].hkl[1], t[1].hkl[2],
                             angle_deg(t[0].lab, t[1].lab), angle_deg(t[0].crystal, t[1].crystal), why);
    t += worst;
    return xn_config_bad(f->ctx, f->config, xn_key(key, "geometry.reflections[%d]", worst),
                         "%g %g %g lies %.1f degrees from where the others put it: %s", t->hkl[0], t->hkl[1], t->hkl[2],
                         away, why);
}

// The one furthest from where the others put it is the wrong one: what is wrong moves others by a part of itself.
static xani_status check_each(const fit *f, double *pairs)
{
    int one, other, unused[2], worst = 0;
    double most = 0.0;
    bool apart = widest(f, -1, &one, &other) > WELL_APART;
    for (int i = 0; i < f->n; i++) {
        bool still = apart && (i != one && i != other);
        if (apart && !still) still = widest(f, i, &unused[0], &unused[1]) > WELL_APART;
        double away = away_from_others(f, i, still, pairs);
        if (!(away > most)) continue;
        most = away;
        worst = i;
    }
    return most > ANGLE_TOLERANCE ? refuse_outlier(f, worst, most) : XANI_OK;
}

static xani_status solve(fit *f, double u[9])
{
    double *pairs = xn_alloc((size_t)f->n, 6 * sizeof *pairs), sum = 0.0, scale = 0.0;
    if (pairs == NULL) return xn_fail_memory(f->ctx, "reflections", (size_t)f->n * 48);
    xani_status st = rotation_without(f, -1, pairs, u)
                         ? check_each(f, pairs)
                         : xn_config_bad(f->ctx, f->config, "geometry.reflections", "fix no orientation");
    xn_free(pairs);
    XN_TRY(st);
    for (int i = 0; i < f->n; i++) {
        double away = away_from(u, &f->list[i]);
        sum += away * away;
        scale += f->list[i].ratio;
    }
    xn_note(f->ctx, "orientation from %d reflections: %.3f degrees rms, |Q| %.4f times that of the cell", f->n,
            sqrt(sum / f->n), scale / f->n);
    return XANI_OK;
}

xani_status xn_orientation_from_reflections(xn_ctx *ctx, const xn_config *config, const xn_lattice *lattice,
                                            double u[9])
{
    static const char key[] = "geometry.reflections";
    fit f = {.ctx = ctx, .config = config, .lattice = lattice, .n = xn_config_count(config, key)};
    xn_goniometer circles;
    if (f.n < 2 || f.n > MOST) return xn_config_bad(ctx, config, key, "%d reflections, 2 to %d are needed", f.n, MOST);
    XN_TRY(xn_algebra_room(ctx, 1));
    XN_TRY(xn_goniometer_load(ctx, config, &circles));
    f.energy_kev = xn_config_double(config, "experiment.energy_kev");
    f.list = xn_calloc((size_t)f.n, sizeof *f.list);
    xani_status st = f.list ? XANI_OK : xn_fail_memory(ctx, "reflections", (size_t)f.n * sizeof *f.list);
    for (int i = 0; i < f.n && st == XANI_OK; i++) st = read_reflection(&f, &circles, i);
    int one, other;
    if (st == XANI_OK && !(widest(&f, -1, &one, &other) > LEAST_ANGLE))
        st = xn_config_bad(ctx, config, key, "all lie along one direction, which fixes no orientation");
    if (st == XANI_OK) st = solve(&f, u);
    xn_geometry_free(&f.geometry);
    xn_free(f.list);
    return st;
}
