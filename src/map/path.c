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

// ---- images

// True when p (Cartesian) is within `margin` of the first zone.
static bool near_zone(const xn_lattice *l, const double p[3], double margin)
{
    for (int i = 0; i < l->n_voronoi; i++)
        if (2.0 * dot3(p, l->voronoi[i]) > l->voronoi_sq[i] + 2.0 * margin * sqrt(l->voronoi_sq[i])) return false;
    return true;
}

static bool add_image(xn_path *p, const xn_lattice *l, int segment, const double from_hkl[3], const double to_hkl[3])
{
    double a[3], b[3], length = p->segment[segment].length, step = 0.25 * p->tube;
    xn_lattice_cartesian(l, from_hkl, a);
    xn_lattice_cartesian(l, to_hkl, b);
    bool inside = false;
    for (int64_t i = 0, n = (int64_t)(length / step) + 1; i <= n && !inside; i++) {
        double u = (double)i / (double)n, x[3];
        for (int k = 0; k < 3; k++) x[k] = a[k] + u * (b[k] - a[k]);
        inside = near_zone(l, x, p->tube + step);
    }
    if (!inside) return true;
    xn_image image = {.segment = segment};
    for (int k = 0; k < 3; k++) image.from[k] = a[k], image.along[k] = (b[k] - a[k]) / length;
    for (int i = p->n_images - 1; i >= 0 && p->image[i].segment == segment; i--) {
        double worst = 0.0;
        for (int k = 0; k < 3; k++)
            worst = fmax(worst, fmax(fabs(image.from[k] - p->image[i].from[k]),
                                     length * fabs(image.along[k] - p->image[i].along[k])));
        if (worst < SAME) return true;
    }
    if ((p->n_images & (p->n_images - 1)) == 0) { // room for a power of two
        void *bigger = xn_realloc(p->image, p->n_images > 0 ? 2 * (size_t)p->n_images : 1, sizeof *p->image);
        if (bigger == NULL) return false;
        p->image = bigger;
    }
    p->image[p->n_images++] = image;
    return true;
}

// All images of one segment: S (segment - G) for the G whose zone it can touch. No point of a zone is farther from
// its centre than half the sum of the three basis vectors.
static bool find_images(xn_path *p, const xn_lattice *l, int segment)
{
    const xn_segment *s = &p->segment[segment];
    double to_coefficients[9], a[3], b[3], reach = p->tube;
    int lo[3], hi[3];
    xn_mat3_mul(l->prim_inv, l->b_inv, to_coefficients);
    xn_mat3_vec(l->prim_inv, s->from, a);
    xn_mat3_vec(l->prim_inv, s->to, b);
    for (int i = 0; i < 3; i++) reach += 0.5 * sqrt(dot3(l->prim + 3 * i, l->prim + 3 * i));
    for (int i = 0; i < 3; i++) {
        double margin = reach * sqrt(dot3(to_coefficients + 3 * i, to_coefficients + 3 * i));
        lo[i] = (int)floor(fmin(a[i], b[i]) - margin);
        hi[i] = (int)ceil(fmax(a[i], b[i]) + margin);
    }
    for (int x = lo[0]; x <= hi[0]; x++)
        for (int y = lo[1]; y <= hi[1]; y++)
            for (int z = lo[2]; z <= hi[2]; z++) {
                double from[3], to[3], moved[3], end[3];
                for (int k = 0; k < 3; k++) {
                    double g = x * l->prim_hkl[k] + y * l->prim_hkl[3 + k] + z * l->prim_hkl[6 + k];
                    from[k] = s->from[k] - g;
                    to[k] = s->to[k] - g;
                }
                for (int o = 0; o < l->n_sym; o++) {
                    apply(l->sym[o], from, moved);
                    apply(l->sym[o], to, end);
                    if (!add_image(p, l, segment, moved, end)) return false;
                }
            }
    return true;
}

// ---- boxes: which images are near a place

static double distance_to_image(const xn_path *p, const xn_image *m, const double q[3], double *u)
{
    double r[3] = {q[0] - m->from[0], q[1] - m->from[1], q[2] - m->from[2]}, length = p->segment[m->segment].length;
    *u = dot3(r, m->along);
    double t = fmin(fmax(*u, 0.0), length), d2 = 0.0;
    for (int k = 0; k < 3; k++) d2 += (r[k] - t * m->along[k]) * (r[k] - t * m->along[k]);
    return sqrt(d2);
}

static int64_t list_images(xn_path *p, int32_t *list)
{
    int64_t n = 0, box = 0;
    double half = 0.5 * sqrt(dot3(p->box, p->box)), u;
    for (int x = 0; x < p->boxes[0]; x++)
        for (int y = 0; y < p->boxes[1]; y++)
            for (int z = 0; z < p->boxes[2]; z++, box++) {
                const double centre[3] = {p->origin[0] + (x + 0.5) * p->box[0], p->origin[1] + (y + 0.5) * p->box[1],
                                          p->origin[2] + (z + 0.5) * p->box[2]};
                p->first[box] = (int32_t)n;
                for (int i = 0; i < p->n_images; i++) {
                    if (distance_to_image(p, &p->image[i], centre, &u) > p->tube + half) continue;
                    if (list != NULL) list[n] = i;
                    n++;
                }
            }
    p->first[box] = (int32_t)n;
    return n;
}

// Cartesian box around the zone: no point of it is farther out than half the sum of the basis vectors.
static xani_status make_boxes(xn_ctx *ctx, const xn_lattice *l, xn_path *p)
{
    double half[3], vertex[3], reach[3] = {0, 0, 0};
    xn_lattice_zone_box(l, half);
    for (int i = 0; i < 8; i++) {
        const double h[3] = {i & 1 ? half[0] : -half[0], i & 2 ? half[1] : -half[1], i & 4 ? half[2] : -half[2]};
        xn_lattice_cartesian(l, h, vertex);
        for (int k = 0; k < 3; k++) reach[k] = fmax(reach[k], fabs(vertex[k]) * (1.0 + 1e-6));
    }
    int64_t boxes = 1;
    for (int k = 0; k < 3; k++) {
        p->boxes[k] = (int)fmin(32.0, fmax(1.0, ceil(2.0 * reach[k] / fmax(p->tube, 1e-6))));
        p->origin[k] = -reach[k];
        p->box[k] = 2.0 * reach[k] / p->boxes[k];
        boxes *= p->boxes[k];
    }
    p->first = xn_alloc((size_t)boxes + 1, sizeof *p->first);
    if (p->first == NULL) return xn_fail_memory(ctx, "the boxes of the path", (size_t)boxes * 4);
    int64_t n = list_images(p, NULL);
    p->list = xn_alloc((size_t)n + 1, sizeof *p->list);
    if (p->list == NULL) return xn_fail_memory(ctx, "the boxes of the path", (size_t)n * 4);
    list_images(p, p->list);
    return XANI_OK;
}

xani_status xn_path_plan(xn_ctx *ctx, const xn_config *config, const xn_scene *s, double footprint, xn_path *p,
                         xn_dispersion *d)
{
    const xn_lattice *l = &s->lattice;
    memset(p, 0, sizeof *p);
    p->step = fmax(s->zone_scale / BINS_PER_ZONE, 0.5 * footprint);
    p->tube = xn_config_double(config, "map.tube_inv_ang");
    if (isnan(p->tube)) p->tube = fmax(s->zone_scale / TUBES_PER_ZONE, 0.7 * footprint);
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
        n = default_corners(l, c, n);
    XN_GOTO(out, st, lay_segments(ctx, config, l, c, n, p));
    for (int i = 0; i < p->n_segments; i++)
        if (!find_images(p, l, i)) {
            st = xn_fail_memory(ctx, "the path's images", sizeof(xn_image));
            goto out;
        }
    XN_GOTO(out, st, make_boxes(ctx, l, p));
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
