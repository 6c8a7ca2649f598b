// SPDX-License-Identifier: BSD-3-Clause
// scene.c -- detector, crystal and circles of the experiment; where each pixel group looks.
//
// Q_lab = k (r/|r| - z) at the mean position of the group's pixels; hkl = (R UB)^-1 Q_lab; G the nearest reciprocal
// lattice vector (science.md 10, 11).  Q_lab is made once for all runs with the same grouping.
#include <math.h>
#include <string.h>

#include "map/parts.h"
#include "physics/crystal.h"

#define STIFFEST_THZ 48.0 // graphite, 1582 1/cm
#define STIFFEST_MASS_U 12.011

// Highest frequency of the crystal: as given, or where it is one element, whose own crystal is known.
static double crystal_max(const xn_config *config, const xn_lattice *l)
{
    if (xn_config_has(config, "map.crystal.max_thz")) return xn_config_double(config, "map.crystal.max_thz");
    for (int i = 1; i < l->n_basis; i++)
        if (strcmp(l->element[i], l->element[0]) != 0) return NAN;
    return l->n_basis > 0 ? xn_element_max_thz(l->element[0]) : NAN;
}

// What no crystal of these atoms exceeds: the lightest of them in bonds as stiff as those of graphite.  That holds for
// metals, carbides, nitrides, oxides, salts and hydrides, and leaves out molecules with bonds that are stiffer still.
static double crystal_limit(const xn_lattice *l)
{
    double lightest = NAN;
    for (int i = 0; i < l->n_basis; i++) lightest = fmin(lightest, xn_element_mass_u(l->element[i]));
    return STIFFEST_THZ * (lightest > 0.0 ? sqrt(STIFFEST_MASS_U / lightest) : 1.0);
}

xani_status xn_scene_load(xn_ctx *ctx, const xn_config *config, xn_scene *s)
{
    memset(s, 0, sizeof *s);
    s->threads = xn_threads((int)xn_config_int(config, "engine.threads"));
    XN_TRY(xn_lattice_load(ctx, config, true, &s->lattice));
    XN_TRY(xn_goniometer_load(ctx, config, &s->goniometer));
    XN_TRY(xn_geometry_load(ctx, config, 0, 0, &s->geometry));
    s->energy_kev = xn_config_double(config, "experiment.energy_kev");
    if (isnan(s->energy_kev)) s->energy_kev = s->geometry.energy_kev;
    if (isnan(s->energy_kev)) {
        xn_scene_free(s);
        return xn_config_require(ctx, config, "experiment.energy_kev", "momentum transfer needs the photon energy");
    }
    s->atoms = xn_lattice_atoms(&s->lattice);
    if (s->atoms < 0) {
        xn_scene_free(s);
        return xn_fail_memory(ctx, "the atoms of the cell", 0);
    }
    s->max_thz = crystal_max(config, &s->lattice);
    s->limit_thz = crystal_limit(&s->lattice);
    s->zone_scale = cbrt(fabs(xn_mat3_determinant(s->lattice.prim)));
    return XANI_OK;
}

void xn_scene_free(xn_scene *s)
{
    xn_geometry_free(&s->geometry);
    xn_free(s->q_lab);
    xn_free(s->q_group);
    memset(s, 0, sizeof *s);
}

// Rows of each module on the detector, from the rows of its groups: as the geometry has them, equal ones, or full
// blocks. The modes know how many modules there were, a simple detector does not.
static xani_status match_modules(xn_ctx *ctx, xn_geometry *g, int bin, int n, const int64_t *rows)
{
    bool same = g->n_modules == n, equal = n > 0 && g->ny % n == 0;
    int64_t blocks = 0;
    for (int i = 0; i < n; i++) {
        same = same && g->module_rows[i] / bin == rows[i];
        equal = equal && g->ny / n / bin == rows[i];
        blocks += rows[i] * bin;
    }
    if (same) return XANI_OK;
    if (!equal && blocks != g->ny)
        return xn_fail(ctx, XANI_ERR_CONFIG,
                       "geometry: %lld detector rows do not make the %d modules of the modes with %d x %d grouping",
                       (long long)g->ny, n, bin, bin);
    int64_t *own = xn_alloc((size_t)n, sizeof *own);
    if (own == NULL) return xn_fail_memory(ctx, "module rows", (size_t)n * sizeof *own);
    for (int i = 0; i < n; i++) own[i] = equal ? g->ny / n : rows[i] * bin;
    xn_free(g->module_rows);
    g->module_rows = own;
    g->n_modules = n;
    return XANI_OK;
}

xani_status xn_scene_group(xn_ctx *ctx, xn_scene *s, int bin, int n_modules, const int64_t *module_rows)
{
    bool same =
        s->q_lab != NULL && s->spatial_bin == bin && (module_rows == NULL || s->geometry.n_modules == n_modules);
    for (int i = 0; same && module_rows != NULL && i < n_modules; i++)
        same = s->geometry.module_rows[i] / bin == module_rows[i];
    if (same) return XANI_OK;
    if (module_rows != NULL) XN_TRY(match_modules(ctx, &s->geometry, bin, n_modules, module_rows));
    xn_free(s->q_lab);
    xn_free(s->q_group);
    s->q_lab = NULL;
    s->q_group = NULL;
    float *position = NULL;
    XN_TRY(xn_geometry_group(ctx, &s->geometry, bin, &position, &s->ny, &s->nx));
    size_t n = (size_t)(s->ny * s->nx);
    s->q_lab = xn_alloc(3 * n, sizeof *s->q_lab);
    s->q_group = xn_alloc(n, sizeof *s->q_group);
    if (s->q_lab == NULL || s->q_group == NULL) {
        xn_free(position);
        return xn_fail_memory(ctx, "momentum transfers", n * 28);
    }
    s->spatial_bin = bin;
    xn_geometry_q(position, (int64_t)n, s->energy_kev, s->q_lab);
    double diagonal = M_SQRT1_2 * bin * s->geometry.pixel_m * XN_K_PER_KEV * s->energy_kev;
    for (size_t i = 0; i < n; i++) {
        const float *r = position + 3 * i;
        s->q_group[i] = (float)(diagonal / sqrt((double)r[0] * r[0] + (double)r[1] * r[1] + (double)r[2] * r[2]));
    }
    xn_free(position);
    return XANI_OK;
}

double xn_scene_footprint(const xn_scene *s)
{
    double largest = 0.0;
    for (int64_t i = 0; i < s->ny * s->nx; i++)
        if (s->q_group[i] > largest) largest = (double)s->q_group[i];
    return M_SQRT2 * largest;
}

static xani_status view_alloc(xn_ctx *ctx, int64_t n, xn_view *v)
{
    v->n = n;
    if (n <= v->capacity) return XANI_OK;
    xn_view_free(v);
    v->hkl = xn_alloc(3 * (size_t)n, sizeof *v->hkl);
    v->g = xn_alloc(3 * (size_t)n, sizeof *v->g);
    v->q = xn_alloc(3 * (size_t)n, sizeof *v->q);
    v->seen = xn_alloc((size_t)n, 1);
    if (v->hkl == NULL || v->g == NULL || v->q == NULL || v->seen == NULL)
        return xn_fail_memory(ctx, "hkl of the pixels", (size_t)n * 61);
    v->n = v->capacity = n;
    return XANI_OK;
}

xani_status xn_scene_view(xn_ctx *ctx, const xn_config *config, const xn_scene *s, const double *angles_deg,
                          int n_angles, xn_view *v)
{
    xn_goniometer circles = s->goniometer;
    if (n_angles > 0 && n_angles != circles.n)
        return xn_config_bad(ctx, config, "geometry.goniometer", "has %d axes, the run has %d angles", circles.n,
                             n_angles);
    for (int i = 0; i < n_angles; i++) circles.circle[i].angle_deg = angles_deg[i];
    double r[9];
    xn_goniometer_matrix(&circles, r);
    const double back[9] = {r[0], r[3], r[6], r[1], r[4], r[7], r[2], r[5], r[8]};
    int64_t n = s->ny * s->nx;
    XN_TRY(view_alloc(ctx, n, v));
    xn_mat3_mul(s->lattice.ub_inv, back, v->to_hkl);
#pragma omp parallel for schedule(static) num_threads(s->threads)
    for (int64_t i = 0; i < n; i++) {
        int g[3] = {0, 0, 0};
        v->seen[i] = !isnan(s->q_lab[3 * i]);
        xn_mat3_vec(v->to_hkl, s->q_lab + 3 * i, v->hkl + 3 * i);
        if (v->seen[i]) xn_lattice_fold(&s->lattice, v->hkl + 3 * i, g, v->q + 3 * i);
        for (int k = 0; k < 3; k++) v->g[3 * i + k] = g[k];
        if (!v->seen[i]) v->q[3 * i] = v->q[3 * i + 1] = v->q[3 * i + 2] = NAN;
    }
    return XANI_OK;
}

// From the groups beside it, half the way to each; where one is of another module, or none, twice the other half.
static bool edge_along(const xn_scene *s, int64_t i, int64_t stride, bool before, bool behind, double out[3])
{
    const double *at = s->q_lab + 3 * i, *a = at - 3 * stride, *b = at + 3 * stride;
    double most = 1.25 * M_SQRT2 * (double)s->q_group[i], length = 0.0;
    before = before && !isnan(a[0]);
    behind = behind && !isnan(b[0]);
    for (int pass = 0; pass < 3; pass++) { // both sides, one, the other: whichever is no farther than the next group
        bool two = pass == 0, first = pass == 1;
        if ((two || first) && !before) continue;
        if ((two || !first) && !behind) continue;
        length = 0.0;
        for (int k = 0; k < 3; k++) {
            out[k] = two ? 0.5 * (b[k] - a[k]) : first ? at[k] - a[k] : b[k] - at[k];
            length += out[k] * out[k];
        }
        if (length > 0.0 && length < most * most) return true;
    }
    return false;
}

void xn_view_edges(const xn_scene *s, const xn_view *v, int64_t i, float edge[6])
{
    int64_t y = i / s->nx, x = i % s->nx;
    double size = sqrt(1.0 - 1.0 / ((double)s->spatial_bin * (double)s->spatial_bin));
    for (int e = 0; e < 2; e++) {
        double lab[3], hkl[3] = {0, 0, 0};
        bool known = e == 0 ? edge_along(s, i, 1, x > 0, x + 1 < s->nx, lab)
                            : edge_along(s, i, s->nx, y > 0, y + 1 < s->ny, lab);
        if (known) xn_mat3_vec(v->to_hkl, lab, hkl);
        for (int k = 0; k < 3; k++) edge[3 * e + k] = (float)(size * hkl[k]);
    }
}

void xn_view_free(xn_view *v)
{
    xn_free(v->hkl);
    xn_free(v->g);
    xn_free(v->q);
    xn_free(v->seen);
    memset(v, 0, sizeof *v);
}
