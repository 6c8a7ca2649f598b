// SPDX-License-Identifier: BSD-3-Clause
// images.c -- the segments of a path moved into the first zone, and which of them are near a place.
//
// All different S (segment - G) that come within the tube of the zone are kept.  A segment is clipped by the zone's
// faces, moved outwards by the tube: what is left of it says whether it passes.  At the zone's edges that lets in a few
// images which are farther out; no sample finds them.
#include <math.h>

#include "map/parts.h"

#define SAME 1e-7      // 1/Angstrom: images closer than this are one
#define MOST_TRIED 3e7 // images of one path that are looked at: some seconds
#define MOST_BOXES 32  // along each axis

static double dot3(const double a[3], const double b[3]) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

static void apply(const int op[9], const double h[3], double out[3])
{
    for (int i = 0; i < 3; i++) out[i] = op[3 * i] * h[0] + op[3 * i + 1] * h[1] + op[3 * i + 2] * h[2];
}

// ---- images

// True when the line from a to b (Cartesian) passes within `margin` of the first zone.
static bool near_zone(const xn_lattice *l, const double a[3], const double b[3], double margin)
{
    double lo = 0.0, hi = 1.0;
    for (int i = 0; i < l->n_voronoi && lo <= hi; i++) {
        const double most = 0.5 * l->voronoi_sq[i] + margin * sqrt(l->voronoi_sq[i]);
        const double from = dot3(a, l->voronoi[i]), slope = dot3(b, l->voronoi[i]) - from;
        if (slope > 0.0)
            hi = fmin(hi, (most - from) / slope);
        else if (slope < 0.0)
            lo = fmax(lo, (most - from) / slope);
        else if (from > most)
            return false;
    }
    return lo <= hi;
}

static bool add_image(xn_path *p, const xn_lattice *l, int segment, const double from_hkl[3], const double to_hkl[3])
{
    double a[3], b[3], length = p->segment[segment].length;
    xn_lattice_cartesian(l, from_hkl, a);
    xn_lattice_cartesian(l, to_hkl, b);
    if (!near_zone(l, a, b, p->tube + SAME)) return true;
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

// All images of one segment: S (segment - G) for the G whose zone, with the tube around it, it can touch.
static xani_status find_images(xn_ctx *ctx, const xn_config *config, const xn_lattice *l, int segment, double *tried,
                               xn_path *p)
{
    const xn_segment *s = &p->segment[segment];
    double to_coefficients[9], a[3], b[3], half[3], lo[3], hi[3];
    xn_mat3_mul(l->prim_inv, l->b_inv, to_coefficients);
    xn_mat3_vec(l->prim_inv, s->from, a);
    xn_mat3_vec(l->prim_inv, s->to, b);
    xn_lattice_zone_box(l, half);
    double candidates = l->n_sym;
    for (int i = 0; i < 3; i++) {
        double margin = p->tube * sqrt(dot3(to_coefficients + 3 * i, to_coefficients + 3 * i));
        for (int k = 0; k < 3; k++) margin += fabs(l->prim_inv[3 * i + k]) * half[k];
        lo[i] = floor(fmin(a[i], b[i]) - margin);
        hi[i] = ceil(fmax(a[i], b[i]) + margin);
        candidates *= hi[i] - lo[i] + 1.0;
    }
    *tried += candidates;
    if (!(*tried <= MOST_TRIED) || fmax(fabs(lo[0]), fmax(fabs(lo[1]), fabs(lo[2]))) > 1e9)
        return xn_config_bad(ctx, config, "map.path", "crosses too many zones from corner %d to corner %d: up to %.3g",
                             segment + 1, segment + 2, candidates / l->n_sym);
    for (int64_t x = (int64_t)lo[0]; x <= (int64_t)hi[0]; x++)
        for (int64_t y = (int64_t)lo[1]; y <= (int64_t)hi[1]; y++) {
            XN_TRY(xn_check_interrupt(ctx));
            for (int64_t z = (int64_t)lo[2]; z <= (int64_t)hi[2]; z++) {
                double from[3], to[3], moved[3], end[3];
                for (int k = 0; k < 3; k++) {
                    double g = (double)(x * l->prim_hkl[k] + y * l->prim_hkl[3 + k] + z * l->prim_hkl[6 + k]);
                    from[k] = s->from[k] - g;
                    to[k] = s->to[k] - g;
                }
                for (int o = 0; o < l->n_sym; o++) {
                    apply(l->sym[o], from, moved);
                    apply(l->sym[o], to, end);
                    if (!add_image(p, l, segment, moved, end))
                        return xn_fail_memory(ctx, "the path's images", 2 * (size_t)p->n_images * sizeof *p->image);
                }
            }
        }
    return XANI_OK;
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

// Lists them, or counts where list is NULL.
static xani_status list_images(xn_ctx *ctx, xn_path *p, int32_t *list, int64_t *n)
{
    int64_t box = 0;
    *n = 0;
    double half = 0.5 * sqrt(dot3(p->box, p->box)), u;
    for (int x = 0; x < p->boxes[0]; x++)
        for (int y = 0; y < p->boxes[1]; y++) {
            XN_TRY(xn_check_interrupt(ctx));
            for (int z = 0; z < p->boxes[2]; z++, box++) {
                const double centre[3] = {p->origin[0] + (x + 0.5) * p->box[0], p->origin[1] + (y + 0.5) * p->box[1],
                                          p->origin[2] + (z + 0.5) * p->box[2]};
                p->first[box] = (int32_t)*n;
                for (int i = 0; i < p->n_images; i++) {
                    if (distance_to_image(p, &p->image[i], centre, &u) > p->tube + half) continue;
                    if (list != NULL) list[*n] = i;
                    ++*n;
                }
                if (*n > INT32_MAX) return xn_fail_memory(ctx, "the boxes of the path", (size_t)*n * 4);
            }
        }
    p->first[box] = (int32_t)*n;
    return XANI_OK;
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
        p->boxes[k] = (int)fmin(MOST_BOXES, fmax(1.0, ceil(2.0 * reach[k] / fmax(p->tube, 1e-6))));
        p->origin[k] = -reach[k];
        p->box[k] = 2.0 * reach[k] / p->boxes[k];
        boxes *= p->boxes[k];
    }
    p->first = xn_alloc((size_t)boxes + 1, sizeof *p->first);
    if (p->first == NULL) return xn_fail_memory(ctx, "the boxes of the path", (size_t)boxes * 4);
    int64_t n;
    XN_TRY(list_images(ctx, p, NULL, &n));
    p->list = xn_alloc((size_t)n + 1, sizeof *p->list);
    if (p->list == NULL) return xn_fail_memory(ctx, "the boxes of the path", (size_t)n * 4);
    return list_images(ctx, p, p->list, &n);
}

xani_status xn_path_images(xn_ctx *ctx, const xn_config *config, const xn_lattice *l, xn_path *p)
{
    double tried = 0.0;
    for (int i = 0; i < p->n_segments; i++) XN_TRY(find_images(ctx, config, l, i, &tried, p));
    return make_boxes(ctx, l, p);
}
