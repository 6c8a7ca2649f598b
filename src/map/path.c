// SPDX-License-Identifier: BSD-3-Clause
// path.c -- the path of the dispersion: corners, bins, and the bins that a folded q contributes to.
//
// A path runs through the extended zone, a sample is folded; both are compared modulo reciprocal lattice vectors and
// the point symmetry of nu(q) (science.md 12).  Instead of moving every sample, each segment is moved once: all
// different images S (segment - G) that pass through the first zone are kept, and a sample is compared with those
// that come near it, found through a grid of boxes over the zone.  A sample counts once in a bin, at its nearest
// image, and lies in every bin to which an image of it belongs.
//
// A corner given by its label alone stands for all its images: "X K" runs from the X nearest to K, (1,1,0).
#include <math.h>
#include <string.h>

#include "map/map.h"
#include "map/parts.h"

#define BINS_PER_ZONE 64  // along the cube root of the zone's volume: 0.025 * 2 pi/a for an fcc crystal
#define TUBES_PER_ZONE 32 // default radius of the tube likewise
#define WIDEST_TUBE 0.5
#define MOST_BINS 100000
#define SAME 1e-7 // 1/Angstrom: images closer than this are one

static double dot3(const double a[3], const double b[3]) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

static double distance_hkl(const xn_lattice *l, const double a[3], const double b[3])
{
    double d[3] = {b[0] - a[0], b[1] - a[1], b[2] - a[2]}, q[3];
    xn_lattice_cartesian(l, d, q);
    return sqrt(dot3(q, q));
}

static void apply(const int op[9], const double h[3], double out[3])
{
    for (int i = 0; i < 3; i++) out[i] = op[3 * i] * h[0] + op[3 * i + 1] * h[1] + op[3 * i + 2] * h[2];
}

// ---- corners

typedef struct corner {
    char name[16];
    double hkl[3];
    bool fixed; // coordinates were given
} corner;

static xani_status read_corners(xn_ctx *ctx, const xn_config *config, const xn_lattice *l, corner *c, int n)
{
    for (int i = 0; i < n; i++) {
        char key[XN_KEY_LENGTH], hkl_key[XN_KEY_LENGTH];
        const char *label = xn_config_string(config, xn_key(key, "map.path[%d].label", i));
        xn_key(hkl_key, "map.path[%d].hkl", i);
        c[i].fixed = xn_config_has(config, hkl_key);
        if (label != NULL && strlen(label) >= sizeof c[i].name)
            return xn_config_bad(ctx, config, key, "\"%s\" is longer than %zu bytes", label, sizeof c[i].name - 1);
        memcpy(c[i].name, label != NULL ? label : "", label != NULL ? strlen(label) + 1 : 1);
        if (c[i].fixed) {
            xn_config_doubles(config, hkl_key, c[i].hkl, 3);
        } else if (label == NULL) {
            return xn_config_bad(ctx, config, xn_key(key, "map.path[%d]", i), "needs a label, hkl, or both");
        } else if (!xn_lattice_label(l, label, c[i].hkl)) {
            return xn_config_bad(ctx, config, key, "no point \"%s\" is known for this lattice: give its hkl", label);
        }
    }
    return XANI_OK;
}

// The customary path; for a lattice without one, from the zone centre to the faces of the three shortest vectors.
static int default_corners(const xn_lattice *l, corner *c, int most)
{
    const char *path = xn_lattice_default_path(l);
    int n = 0;
    if (path == NULL) {
        static const char *const name[6] = {"b1/2", "G", "b2/2", "G", "b3/2", "G"};
        for (; n < 6; n++) {
            const int *vector = l->prim_hkl + n / 2 * 3;
            memcpy(c[n].name, name[n], strlen(name[n]) + 1);
            c[n].fixed = true;
            for (int k = 0; k < 3; k++) c[n].hkl[k] = n % 2 == 0 ? 0.5 * vector[k] : 0.0;
        }
        return n;
    }
    while (*path != '\0' && n < most) {
        size_t length = strcspn(path, " ");
        memcpy(c[n].name, path, length);
        c[n].name[length] = '\0';
        c[n].fixed = false;
        n += xn_lattice_label(l, c[n].name, c[n].hkl);
        path += length + strspn(path + length, " ");
    }
    return n;
}

// Moves `from` to its image nearest to `to`; stays when no image is nearer.
static void nearest_image(const xn_lattice *l, const double to[3], double from[3])
{
    double best = distance_hkl(l, from, to) - SAME, start[3];
    memcpy(start, from, sizeof start);
    for (int s = 0; s < l->n_sym; s++) {
        double h[3], rest[3], q[3], moved[3];
        int g[3];
        apply(l->sym[s], start, h);
        for (int k = 0; k < 3; k++) rest[k] = h[k] - to[k];
        xn_lattice_fold(l, rest, g, q); // h - g is as near to `to` as translations can bring it
        for (int k = 0; k < 3; k++) moved[k] = h[k] - g[k];
        if (sqrt(dot3(q, q)) >= best) continue;
        best = sqrt(dot3(q, q)) - SAME;
        memcpy(from, moved, sizeof moved);
    }
}

// Corners of the customary path that a special form of the cell brings together are one; returns how many are left.
static int join_equal(const xn_lattice *l, corner *c, int n)
{
    int left = n > 0 ? 1 : 0;
    for (int i = 1; i < n; i++) {
        double from[3];
        memcpy(from, c[left - 1].hkl, sizeof from);
        if (!c[left - 1].fixed) nearest_image(l, c[i].hkl, from);
        if (distance_hkl(l, from, c[i].hkl) >= SAME) c[left++] = c[i];
    }
    return left;
}

static xani_status lay_segments(xn_ctx *ctx, const xn_config *config, const xn_lattice *l, const corner *c, int n,
                                xn_path *p)
{
    double at = 0.0;
    p->n_segments = n - 1;
    for (int i = 0; i + 1 < n; i++) {
        xn_segment *s = &p->segment[i];
        memcpy(s->from, c[i].hkl, sizeof s->from);
        memcpy(s->to, c[i + 1].hkl, sizeof s->to);
        if (!c[i].fixed)
            nearest_image(l, s->to, s->from);
        else if (!c[i + 1].fixed)
            nearest_image(l, s->from, s->to);
        s->length = distance_hkl(l, s->from, s->to);
        s->start = at;
        s->first = p->n;
        double bins = fmax(1.0, rint(s->length / p->step));
        if (!(bins + (double)p->n <= MOST_BINS))
            return xn_config_bad(ctx, config, "map.path", "is longer than %d bins of %g 1/Angstrom", MOST_BINS,
                                 p->step);
        if (s->length < SAME)
            return xn_config_bad(ctx, config, "map.path", "corners %d and %d are the same point", i + 1, i + 2);
        s->n = (int64_t)bins;
        p->n += s->n;
        at += s->length;
    }
    return XANI_OK;
}

xani_status xn_map_check_path(xn_ctx *ctx, const xn_config *config, const xn_lattice *l)
{
    int n = xn_config_count(config, "map.path");
    if (n == 0) return XANI_OK;
    if (n == 1) return xn_config_bad(ctx, config, "map.path", "has one corner, at least two are needed");
    xn_path p = {.step = INFINITY}; // of bins: one a segment
    corner *c = xn_calloc((size_t)n, sizeof *c);
    p.segment = xn_calloc((size_t)n, sizeof *p.segment);
    xani_status st = c != NULL && p.segment != NULL ? read_corners(ctx, config, l, c, n)
                                                    : xn_fail_memory(ctx, "the path", (size_t)n * sizeof *c);
    if (st == XANI_OK) st = lay_segments(ctx, config, l, c, n, &p);
    xn_free(p.segment);
    xn_free(c);
    return st;
}

static xani_status describe(xn_ctx *ctx, const corner *c, int n, const xn_path *p, xn_dispersion *d)
{
    d->path_n = p->n;
    d->tube_inv_ang = p->tube;
    d->labels = xn_calloc((size_t)n, sizeof *d->labels);
    d->label_distance = xn_calloc((size_t)n, sizeof *d->label_distance);
    d->path_distance = xn_alloc((size_t)p->n + 1, sizeof *d->path_distance);
    d->path_hkl = xn_alloc(3 * (size_t)p->n + 1, sizeof *d->path_hkl);
    if (d->labels == NULL || d->label_distance == NULL || d->path_distance == NULL || d->path_hkl == NULL)
        return xn_fail_memory(ctx, "the path", (size_t)p->n * 32);
    d->n_labels = n;
    for (int i = 0; i < n; i++) {
        const xn_segment *s = &p->segment[i < p->n_segments ? i : p->n_segments - 1];
        memcpy(d->labels[i].name, c[i].name, sizeof c[i].name);
        memcpy(d->labels[i].hkl, c[i].hkl, sizeof c[i].hkl);
        d->label_distance[i] = i < p->n_segments ? s->start : s->start + s->length;
    }
    for (int i = 0; i < p->n_segments; i++) {
        const xn_segment *s = &p->segment[i];
        for (int64_t b = 0; b < s->n; b++) {
            double u = ((double)b + 0.5) / (double)s->n;
            d->path_distance[s->first + b] = s->start + u * s->length;
            for (int k = 0; k < 3; k++) d->path_hkl[3 * (s->first + b) + k] = s->from[k] + u * (s->to[k] - s->from[k]);
        }
    }
    return XANI_OK;
}

// ---- all of it

// In a wider tube every point is on every bin of the path.
static xani_status choose_tube(xn_ctx *ctx, const xn_config *config, double zone, double footprint, double *tube)
{
    const double most = WIDEST_TUBE * zone;
    *tube = xn_config_double(config, "map.tube_inv_ang");
    if (*tube > most)
        return xn_config_bad(ctx, config, "map.tube_inv_ang",
                             "%g is wider than half the first zone: at most %.3g 1/Angstrom", *tube, most);
    if (isnan(*tube)) *tube = fmin(most, fmax(zone / TUBES_PER_ZONE, 0.7 * footprint));
    if (footprint > zone)
        xn_warn(ctx,
                "pixel groups are %.3g 1/Angstrom wide, the first zone is %.3g: path and branches say nothing; is "
                "experiment.energy_kev, geometry or map.crystal.cell in another unit?",
                footprint, zone);
    return XANI_OK;
}

xani_status xn_path_plan(xn_ctx *ctx, const xn_config *config, const xn_scene *s, double footprint, xn_path *p,
                         xn_dispersion *d)
{
    const xn_lattice *l = &s->lattice;
    memset(p, 0, sizeof *p);
    p->step = fmax(s->zone_scale / BINS_PER_ZONE, 0.5 * footprint);
    XN_TRY(choose_tube(ctx, config, s->zone_scale, footprint, &p->tube));
    XN_TRY(xn_map_check_path(ctx, config, l));
    int given = xn_config_count(config, "map.path"), n = given > 0 ? given : 16;
    xani_status st = XANI_OK;
    corner *c = xn_calloc((size_t)n, sizeof *c);
    p->segment = xn_calloc((size_t)n, sizeof *p->segment);
    if (c == NULL || p->segment == NULL) {
        st = xn_fail_memory(ctx, "the path", (size_t)n * sizeof *c);
        goto out;
    }
    if (given > 0)
        XN_GOTO(out, st, read_corners(ctx, config, l, c, n));
    else
        n = join_equal(l, c, default_corners(l, c, n));
    XN_GOTO(out, st, lay_segments(ctx, config, l, c, n, p));
    XN_GOTO(out, st, xn_path_images(ctx, config, l, p));
    p->samples = xn_calloc((size_t)p->n + 1, sizeof *p->samples);
    if (p->samples == NULL) {
        st = xn_fail_memory(ctx, "the path's samples", (size_t)p->n * 8);
        goto out;
    }
    st = describe(ctx, c, n, p, d);
out:
    xn_free(c);
    return st;
}

void xn_path_free(xn_path *p)
{
    xn_free(p->segment);
    xn_free(p->image);
    xn_free(p->first);
    xn_free(p->list);
    xn_free(p->samples);
    memset(p, 0, sizeof *p);
}
