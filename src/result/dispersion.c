// SPDX-License-Identifier: BSD-3-Clause
// dispersion.c -- dispersion.h5: points, folded volume with coverage, path, branches.
//
// Points are columns of equal length, possibly none.  Strings stand in columns as strings (kind, run), so
// that a table of points reads by itself.  @default leads to the path, the picture everyone looks at
// first, or to the volume where no path was asked for.
#include <string.h>

#include "result/nexus.h"

enum { POINT, THREE, TWO, H, K, L, NU, STEP, PATH_NU, BRANCH, RUN, ANGLE, EXTENTS };

#define DIMS(...)                                                                                                      \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }
#define COLUMN 1, DIMS(POINT), false
#define VECTOR 2, DIMS(POINT, THREE), false

typedef struct {
    const char *name;
    xn_field field; // path is filled in per group
} column;

static const column columns[] = {
    {"hkl", {NULL, offsetof(xn_points, hkl), XN_F64, VECTOR, "", "total Q in conventional reciprocal units"}},
    {"G", {NULL, offsetof(xn_points, g), XN_I32, VECTOR, "", "reciprocal lattice vector, conventional"}},
    {"q",
     {NULL, offsetof(xn_points, q), XN_F64, VECTOR, "1/angstrom", "Q - G, Cartesian frame of the crystal (B hkl)"}},
    {"frequency", {NULL, offsetof(xn_points, frequency), XN_F64, COLUMN, "THz", NULL}},
    {"frequency_errors",
     {NULL, offsetof(xn_points, frequency_errors), XN_F64, COLUMN, "THz", "one standard deviation"}},
    {"amplitude", {NULL, offsetof(xn_points, amplitude), XN_F64, COLUMN, "", "amplitude at delay zero"}},
    {"amplitude_errors", {NULL, offsetof(xn_points, amplitude_errors), XN_F64, COLUMN, "", "one standard deviation"}},
    {"branch", {NULL, offsetof(xn_points, branch), XN_I32, COLUMN, NULL, "branch; -1: not assigned"}},
    {"pixel", {NULL, offsetof(xn_points, pixel), XN_I32, 2, DIMS(POINT, TWO), false, "pixel", "(y, x) in modes.h5"}},
    {"run_index", {NULL, offsetof(xn_points, run), XN_I32, COLUMN, NULL, "row of /entry/runs"}},
    {"weight", {NULL, offsetof(xn_points, weight), XN_F64, COLUMN, "", "weight in averages"}},
    {"alias",
     {NULL, offsetof(xn_points, alias), XN_U8, COLUMN, NULL,
      "1: may be mirrored at the bins' Nyquist frequency, or, of uneven bins, above what the crystal can do; 2: how "
      "far the "
      "crystal reaches is not known"}},
    {"alias_candidates",
     {NULL, offsetof(xn_points, images), XN_F32, 2, DIMS(POINT, TWO), false, "THz",
      "frequency if it is mirrored: 2 f_N - f, 2 f_N + f; NaN where it is not or the crystal does not reach"}},
};

static const xn_field fields[] = {
    {"/entry/runs/angle_deg", offsetof(xn_dispersion, run_angles), XN_F64, 2, DIMS(RUN, ANGLE), false, "degree",
     "goniometer angles, the outermost first"},
    {"/entry/volume/intensity", offsetof(xn_dispersion, intensity), XN_F32, 4, DIMS(H, K, L, NU), false, "",
     "S(q, nu), folded; NaN where not covered"},
    {"/entry/volume/coverage", offsetof(xn_dispersion, coverage), XN_I32, 3, DIMS(H, K, L), false, "", "samples"},
    {"/entry/volume/h", offsetof(xn_dispersion, axis[0]), XN_F64, 1, DIMS(H), false, "", "h, conventional units"},
    {"/entry/volume/k", offsetof(xn_dispersion, axis[1]), XN_F64, 1, DIMS(K), false, "", "k, conventional units"},
    {"/entry/volume/l", offsetof(xn_dispersion, axis[2]), XN_F64, 1, DIMS(L), false, "", "l, conventional units"},
    {"/entry/volume/frequency", offsetof(xn_dispersion, axis[3]), XN_F64, 1, DIMS(NU), false, "THz",
     "phonon frequency"},
    {"/entry/path/intensity", offsetof(xn_dispersion, path_intensity), XN_F32, 2, DIMS(STEP, PATH_NU), false, "",
     "S(q, nu) along the path"},
    {"/entry/path/distance", offsetof(xn_dispersion, path_distance), XN_F64, 1, DIMS(STEP), false, "1/angstrom",
     "distance along the path"},
    {"/entry/path/frequency", offsetof(xn_dispersion, path_frequency), XN_F64, 1, DIMS(PATH_NU), false, "THz",
     "phonon frequency"},
    {"/entry/path/hkl", offsetof(xn_dispersion, path_hkl), XN_F64, 2, DIMS(STEP, THREE), false, "",
     "conventional units"},
    {"/entry/branches/frequency", offsetof(xn_dispersion, branch_frequency), XN_F64, 2, DIMS(BRANCH, STEP), false,
     "THz", "phonon frequency; NaN where unseen"},
    {"/entry/branches/frequency_errors", offsetof(xn_dispersion, branch_errors), XN_F64, 2, DIMS(BRANCH, STEP), false,
     "THz", "one standard deviation"},
    {"/entry/branches/count", offsetof(xn_dispersion, branch_count), XN_I32, 2, DIMS(BRANCH, STEP), false, "",
     "points"},
    {"/entry/branches/distance", offsetof(xn_dispersion, path_distance), XN_F64, 1, DIMS(STEP), false, "1/angstrom",
     "distance along the path"},
    {"/entry/branches/hkl", offsetof(xn_dispersion, path_hkl), XN_F64, 2, DIMS(STEP, THREE), false, "",
     "conventional units"},
};

// Only where there were traces to average.
static const xn_field averaged_fields[] = {
    {"/entry/averaged_volume/intensity", offsetof(xn_dispersion, averaged), XN_F32, 4, DIMS(H, K, L, NU), false, "",
     "S(q, nu) of averaged traces, folded; NaN where not covered"},
    {"/entry/averaged_volume/intensity_errors", offsetof(xn_dispersion, averaged_errors), XN_F32, 4, DIMS(H, K, L, NU),
     false, "", "one standard deviation"},
    {"/entry/averaged_volume/h", offsetof(xn_dispersion, axis[0]), XN_F64, 1, DIMS(H), false, "",
     "h, conventional units"},
    {"/entry/averaged_volume/k", offsetof(xn_dispersion, axis[1]), XN_F64, 1, DIMS(K), false, "",
     "k, conventional units"},
    {"/entry/averaged_volume/l", offsetof(xn_dispersion, axis[2]), XN_F64, 1, DIMS(L), false, "",
     "l, conventional units"},
    {"/entry/averaged_volume/frequency", offsetof(xn_dispersion, axis[3]), XN_F64, 1, DIMS(NU), false, "THz",
     "phonon frequency"},
    {"/entry/averaged_path/intensity", offsetof(xn_dispersion, path_averaged), XN_F32, 2, DIMS(STEP, PATH_NU), false,
     "", "S(q, nu) of averaged traces along the path"},
    {"/entry/averaged_path/intensity_errors", offsetof(xn_dispersion, path_averaged_errors), XN_F32, 2,
     DIMS(STEP, PATH_NU), false, "", "one standard deviation"},
    {"/entry/averaged_path/distance", offsetof(xn_dispersion, path_distance), XN_F64, 1, DIMS(STEP), false,
     "1/angstrom", "distance along the path"},
    {"/entry/averaged_path/frequency", offsetof(xn_dispersion, path_frequency), XN_F64, 1, DIMS(PATH_NU), false, "THz",
     "phonon frequency"},
};

static const xn_scalar scalars[] = {
    {"/entry/tube", offsetof(xn_dispersion, tube_inv_ang), XN_F64, false, "1/angstrom"},
    {"/entry/zone_voxels", offsetof(xn_dispersion, zone_voxels), XN_I64, false, NULL},
    {"/entry/nyquist", offsetof(xn_dispersion, nyquist_thz), XN_F64, false, "THz"},
    {"/entry/crystal_max", offsetof(xn_dispersion, crystal_max_thz), XN_F64, false, "THz"},
    {"/entry/crystal_limit", offsetof(xn_dispersion, crystal_limit_thz), XN_F64, false, "THz"},
};

// kind, run and angles of each point: what a row needs to be read by itself.
static xani_status write_derived(xn_ctx *ctx, xn_writer *w, const char *group, const xn_points *p,
                                 const xn_dispersion *d)
{
    char path[XN_KEY_LENGTH];
    const char **text = xn_alloc((size_t)p->n, sizeof *text);
    double *angle = xn_alloc((size_t)p->n * (size_t)d->n_angles, sizeof *angle);
    xani_status st = XANI_OK;
    if (text == NULL || angle == NULL) {
        st = xn_fail_memory(ctx, "columns of points", (size_t)p->n * (8 + 8 * (size_t)d->n_angles));
        goto out;
    }
    for (int64_t i = 0; i < p->n; i++)
        if (p->run[i] < 0 || p->run[i] >= d->n_runs) {
            st = xn_fail(ctx, XANI_ERR_INTERNAL, "point %lld is of run %d of %d", (long long)i, p->run[i], d->n_runs);
            goto out;
        }
    for (int64_t i = 0; i < p->n; i++) text[i] = p->coherent[i] ? "coherent" : "pair";
    xn_writer_texts(w, xn_key(path, "%s/kind", group), text, p->n);
    xn_writer_attr_text(w, path, "long_name", "pair: nu = f/2; coherent: nu = f");
    for (int64_t i = 0; i < p->n; i++) text[i] = d->run_names[p->run[i]] ? d->run_names[p->run[i]] : "";
    xn_writer_texts(w, xn_key(path, "%s/run", group), text, p->n);
    for (int64_t i = 0; i < p->n; i++)
        for (int a = 0; a < d->n_angles; a++) angle[i * d->n_angles + a] = d->run_angles[p->run[i] * d->n_angles + a];
    const int64_t dims[] = {p->n, d->n_angles};
    xn_writer_data(w, xn_key(path, "%s/angle_deg", group), XN_F64, 2, dims, NULL, angle);
    xn_writer_attr_text(w, path, "units", "degree");
out:
    xn_free(text);
    xn_free(angle);
    return st;
}

static xani_status write_points(xn_ctx *ctx, xn_writer *w, const char *group, const char *frequency, const xn_points *p,
                                const xn_dispersion *d)
{
    char path[XN_KEY_LENGTH];
    const int64_t extent[EXTENTS] = {[POINT] = p->n, [THREE] = 3, [TWO] = 2};
    xn_writer_group(w, group, "NXcollection");
    for (int i = 0; i < XN_COUNT(columns); i++) {
        xn_field field = columns[i].field;
        field.path = xn_key(path, "%s/%s", group, columns[i].name);
        if (strcmp(columns[i].name, "frequency") == 0) field.long_name = frequency;
        xn_nexus_fields(w, &field, 1, p, extent);
    }
    return write_derived(ctx, w, group, p, d);
}

// Labels of the corners as attributes of the path, and as columns for readers that know only datasets: names,
// distances, hkl.
static xani_status write_labels(xn_ctx *ctx, xn_writer *w, const xn_dispersion *d)
{
    size_t n = (size_t)d->n_labels;
    if (n == 0) return XANI_OK;
    const char **names = xn_alloc(n, sizeof *names);
    double *hkl = xn_alloc(3 * n, sizeof *hkl);
    bool ok = names != NULL && hkl != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        names[i] = d->labels[i].name;
        memcpy(hkl + 3 * i, d->labels[i].hkl, 3 * sizeof *hkl);
    }
    static const char *const groups[] = {"/entry/path", "/entry/branches"};
    for (int g = 0; ok && g < XN_COUNT(groups); g++) {
        xn_writer_attr_texts(w, groups[g], "labels", names, d->n_labels);
        xn_writer_attr_f64(w, groups[g], "label_distance", d->label_distance, d->n_labels);
        xn_writer_attr_f64(w, groups[g], "label_hkl", hkl, 3 * d->n_labels);
    }
    if (ok) {
        const int64_t dims[] = {(int64_t)n, 3};
        xn_writer_group(w, "/entry/path_labels", "NXcollection");
        xn_writer_texts(w, "/entry/path_labels/name", names, (int64_t)n);
        xn_writer_data(w, "/entry/path_labels/distance", XN_F64, 1, dims, NULL, d->label_distance);
        xn_writer_attr_text(w, "/entry/path_labels/distance", "units", "1/angstrom");
        xn_writer_data(w, "/entry/path_labels/hkl", XN_F64, 2, dims, NULL, hkl);
    }
    xn_free(names);
    xn_free(hkl);
    return ok ? XANI_OK : xn_fail_memory(ctx, "labels of the path", n * 32);
}

// ---- force constants

#define REFINED(name, member, type, units, text)                                                                       \
    {                                                                                                                  \
        "/entry/force_constants/" name, offsetof(xn_refinement, member), type, 1, DIMS(0), false, units, text          \
    }
static const xn_field refined_fields[] = {
    REFINED("distance", distance, XN_F64, "angstrom", "of the bond"),
    REFINED("start", start, XN_F64, "N/m", "component of the constants given"),
    REFINED("change", change, XN_F64, "N/m", "added to them: excited less unexcited"),
    REFINED("change_errors", change_errors, XN_F64, "N/m", "one standard deviation"),
    REFINED("determined", determined, XN_U8, NULL, "1: determined by the points; 0: by the prior"),
    {"/entry/force_constants/covariance", offsetof(xn_refinement, covariance), XN_F64, 2, DIMS(0, 0), false, "N^2/m^2",
     "of the changes"},
    {"/entry/force_constants/correlation", offsetof(xn_refinement, correlation), XN_F64, 2, DIMS(0, 0), false, "",
     "of the changes"},
    {"/entry/force_constants/frequency", offsetof(xn_refinement, frequency), XN_F64, 2, DIMS(1, 2), false, "THz",
     "phonons of the changed constants along the path"},
    {"/entry/force_constants/frequency_errors", offsetof(xn_refinement, frequency_errors), XN_F64, 2, DIMS(1, 2), false,
     "THz", "one standard deviation, from the covariance"},
};

static const xn_scalar refined_scalars[] = {
    {"/entry/force_constants/chi2_before", offsetof(xn_refinement, chi2_before), XN_F64, false, NULL},
    {"/entry/force_constants/chi2", offsetof(xn_refinement, chi2), XN_F64, false, NULL},
    {"/entry/force_constants/model_share", offsetof(xn_refinement, model_share), XN_F64, false, NULL},
    {"/entry/force_constants/common", offsetof(xn_refinement, common), XN_F64, false, NULL},
    {"/entry/force_constants/dof", offsetof(xn_refinement, dof), XN_I64, false, NULL},
    {"/entry/force_constants/points_used", offsetof(xn_refinement, used), XN_I64, false, NULL},
    {"/entry/force_constants/points_refused", offsetof(xn_refinement, refused), XN_I64, false, NULL},
    {"/entry/force_constants/converged", offsetof(xn_refinement, converged), XN_I64, false, NULL},
};

static xani_status write_forces(xn_ctx *ctx, xn_writer *w, const xn_dispersion *d)
{
    static const char *const axes[] = {"branch", "distance"};
    const int64_t dims[2] = {d->n_reference, d->path_n};
    const xn_refinement *r = &d->refinement;
    if (d->n_reference == 0) return XANI_OK;
    xn_nexus_data(w, "/entry/reference", "frequency", axes, 2, "phonons of the force constants given");
    xn_writer_data(w, "/entry/reference/frequency", XN_F64, 2, dims, NULL, d->reference_frequency);
    xn_writer_attr_text(w, "/entry/reference/frequency", "units", "THz");
    xn_writer_attr_text(w, "/entry/reference/frequency", "interpretation", "spectrum");
    xn_writer_data(w, "/entry/reference/distance", XN_F64, 1, &d->path_n, NULL, d->path_distance);
    xn_writer_attr_text(w, "/entry/reference/distance", "units", "1/angstrom");
    int32_t *index = xn_alloc((size_t)d->n_reference, sizeof *index);
    if (index == NULL) return xn_fail_memory(ctx, "an axis", (size_t)d->n_reference * sizeof *index);
    for (int i = 0; i < d->n_reference; i++) index[i] = i;
    xn_writer_data(w, "/entry/reference/branch", XN_I32, 1, dims, NULL, index);
    xn_free(index);
    if (r->n == 0) return XANI_OK;
    const int64_t extent[3] = {r->n, d->n_reference, d->path_n};
    const char **name = xn_alloc((size_t)r->n, sizeof *name);
    if (name == NULL) return xn_fail_memory(ctx, "names", (size_t)r->n * sizeof *name);
    for (int k = 0; k < r->n; k++) name[k] = r->name[k];
    xn_writer_group(w, "/entry/force_constants", "NXcollection");
    xani_status st = xn_writer_texts(w, "/entry/force_constants/name", name, r->n);
    xn_free(name);
    xn_nexus_fields(w, refined_fields, XN_COUNT(refined_fields), r, extent);
    xn_nexus_scalars(w, refined_scalars, XN_COUNT(refined_scalars), r);
    return st;
}

static xani_status write_all(xn_ctx *ctx, xn_writer *w, const xn_dispersion *d)
{
    static const char *const volume_axes[] = {"h", "k", "l", "frequency"}, *const path_axes[] = {"distance",
                                                                                                 "frequency"};
    static const char *const branch_axes[] = {"branch", "distance"}, *const no_names[] = {NULL};
    const int64_t extent[EXTENTS] = {
        [THREE] = 3,        [H] = d->shape[0],      [K] = d->shape[1],        [L] = d->shape[2], [NU] = d->shape[3],
        [STEP] = d->path_n, [PATH_NU] = d->path_nf, [BRANCH] = d->n_branches, [RUN] = d->n_runs, [ANGLE] = d->n_angles};
    xn_writer_group(w, "/entry/runs", "NXcollection");
    xn_writer_texts(w, "/entry/runs/name", d->run_names ? (const char *const *)d->run_names : no_names, d->n_runs);
    xn_nexus_data(w, "/entry/volume", "intensity", volume_axes, 4, "S(q, nu), folded into the first Brillouin zone");
    xn_nexus_data(w, "/entry/path", "intensity", path_axes, 2, "S(q, nu) along the path");
    xn_nexus_data(w, "/entry/branches", "frequency", branch_axes, 2, "branches along the path");
    xn_nexus_fields(w, fields, XN_COUNT(fields), d, extent);
    if (d->averaged != NULL) {
        xn_nexus_data(w, "/entry/averaged_volume", "intensity", volume_axes, 4,
                      "S(q, nu) of traces averaged with their phase");
        xn_nexus_data(w, "/entry/averaged_path", "intensity", path_axes, 2,
                      "S(q, nu) of traces averaged with their phase");
        xn_nexus_fields(w, averaged_fields, XN_COUNT(averaged_fields), d, extent);
    }
    xn_nexus_scalars(w, scalars, XN_COUNT(scalars), d);
    xn_writer_attr_text(w, "/entry/branches/frequency", "interpretation", "spectrum");
    xn_writer_attr_text(w, "/entry/branches", "method", d->branches_known ? "force constants" : "continuity");
    int32_t *index = xn_alloc((size_t)d->n_branches, sizeof *index);
    if (index == NULL) return xn_fail_memory(ctx, "an axis", (size_t)d->n_branches * sizeof *index);
    for (int i = 0; i < d->n_branches; i++) index[i] = i;
    xn_writer_data(w, "/entry/branches/branch", XN_I32, 1, &extent[BRANCH], NULL, index);
    xn_free(index);
    XN_TRY(write_labels(ctx, w, d));
    XN_TRY(write_forces(ctx, w, d));
    XN_TRY(write_points(ctx, w, "/entry/points", "phonon frequency nu", &d->points, d));
    if (d->kind_evidence != NULL) xn_writer_attr_text(w, "/entry/points", "kind_evidence", d->kind_evidence);
    return write_points(ctx, w, "/entry/combination_points",
                        "frequency f of the oscillation, nu_i + nu_j or |nu_i - nu_j|", &d->combinations, d);
}

xani_status xn_result_write_dispersion(xn_ctx *ctx, const char *path, const xn_dispersion *d, const xn_provenance *p)
{
    xn_writer *w;
    XN_TRY(xn_nexus_create(ctx, path, d->path_n > 0 ? "path" : "volume", "phonon dispersion", p, &w));
    xani_status st = write_all(ctx, w, d);
    if (st == XANI_OK) return xn_writer_publish(&w);
    xn_writer_abort(&w);
    return xn_context(ctx, st, "while writing %s", path);
}
