// SPDX-License-Identifier: BSD-3-Clause
// truth.c -- truth.h5: the answers a simulated experiment has.
//
//   /entry/configuration                       as given, YAML
//   /entry/force_constants_{before,after}/     neighbour (n, 3) in a/2, tensor (n, 3, 3) in N/m, shell (n)
//   /entry/RUN/hkl (y, x, 3)                   of detector pixels, conventional units
//   /entry/RUN/{nu, amplitude, damping} (y, x, branch)
//   /entry/RUN/combination_{frequency, amplitude} (y, x, line), with their branches as attributes
//   /entry/RUN/{photons, dilution} (y, x)
//   /entry/RUN/shots/{pulse_id, laser_on, i0, delay}
// nu: phonon frequency after the change.  amplitude: that of the pair line at 2 nu in y, dilution by the static
// background included, with its sign (negative: the mode softens; the fit reports |amplitude| and phase pi).
// damping: amplitude damping of that line.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/write/publish.h"
#include "source/sim/parts.h"

static const int pair_line[3] = {0, 3, 8}; // of branches 0, 1, 2
static const int combination_line[6] = {1, 2, 4, 5, 6, 7};

typedef struct truth {
    xn_ctx *ctx;
    xn_writer *w;
    const xn_sim_view *v;
    double *work; // (pixel, 6)
} truth;

// Dataset (y, x, last), or (y, x) when last is 0, with its unit and meaning.
static xani_status plane(truth *t, const char *name, int last, const double *data, const char *units,
                         const char *meaning)
{
    const xn_geometry *g = &t->v->model->detector.geometry;
    char path[256];
    snprintf(path, sizeof path, "/entry/%s/%s", t->v->name, name);
    XN_TRY(xn_writer_data(t->w, path, XN_F64, last > 0 ? 3 : 2, (int64_t[]){g->ny, g->nx, last}, NULL, data));
    XN_TRY(xn_writer_attr_text(t->w, path, "units", units));
    return xn_writer_attr_text(t->w, path, "meaning", meaning);
}

// The chosen lines of every pixel, side by side.
static const double *columns(truth *t, double *const source[XN_SIM_LINES], const int *line, int n)
{
    for (int64_t i = 0; i < t->v->model->npix; i++)
        for (int k = 0; k < n; k++) t->work[i * n + k] = source[line[k]][i];
    return t->work;
}

static xani_status write_lines(truth *t)
{
    const xn_sim_view *v = t->v;
    const xn_sim_model *m = v->model;
    XN_TRY(plane(t, "hkl", 3, v->hkl, "", "total Q of the pixel in conventional reciprocal units"));
    XN_TRY(plane(t, "nu", 3, v->nu, "THz", "phonon frequencies after the change, ascending"));
    XN_TRY(plane(t, "amplitude", 3, columns(t, v->amplitude, pair_line, 3), "",
                 "amplitude of the pair line at 2 nu in y at delay zero, with sign: negative where the mode softens"));
    for (int64_t i = 0; i < 3 * m->npix; i++) t->work[i] = m->s.damping_per_ps[i % 3];
    XN_TRY(plane(t, "damping", 3, t->work, "1/ps", "amplitude damping of the pair line"));
    XN_TRY(plane(t, "photons", 0, v->photons, "photons", "expected in a laser-off shot of mean intensity"));
    XN_TRY(plane(t, "dilution", 0, v->dilution, "", "share of the diffuse intensity; the rest is static"));
    if (!m->s.combinations) return XANI_OK;
    static const char *const name[6] = {"0+1", "1-0", "0+2", "2-0", "1+2", "2-1"};
    static const char *const dataset[2] = {"combination_frequency", "combination_amplitude"};
    XN_TRY(
        plane(t, dataset[0], 6, columns(t, v->f, combination_line, 6), "THz", "sums and differences of two branches"));
    XN_TRY(
        plane(t, dataset[1], 6, columns(t, v->amplitude, combination_line, 6), "", "their amplitudes in y, with sign"));
    for (int i = 0; i < 2; i++) {
        char path[256];
        snprintf(path, sizeof path, "/entry/%s/%s", v->name, dataset[i]);
        XN_TRY(xn_writer_attr_texts(t->w, path, "branches", name, 6));
    }
    return XANI_OK;
}

static xani_status column(truth *t, const xn_sim_shots *shots, const char *name, xn_type type, const void *data,
                          const char *units)
{
    char path[256];
    snprintf(path, sizeof path, "/entry/%s/shots/%s", t->v->name, name);
    XN_TRY(xn_writer_data(t->w, path, type, 1, &shots->n, NULL, data));
    return xn_writer_attr_text(t->w, path, "units", units);
}

static xani_status write_shots(truth *t)
{
    xn_sim_shots shots;
    XN_TRY(xn_sim_shots_make(t->ctx, &t->v->model->s, t->v->run, &shots));
    xani_status st = column(t, &shots, "pulse_id", XN_U64, shots.pulse_id, "");
    if (st == XANI_OK) st = column(t, &shots, "laser_on", XN_U8, shots.on, "");
    if (st == XANI_OK) st = column(t, &shots, "i0", XN_F64, shots.i0, "");
    if (st == XANI_OK) st = column(t, &shots, "delay", XN_F64, shots.delay_ps, "ps");
    xn_sim_shots_free(&shots);
    return st;
}

static xani_status write_run(truth *t)
{
    char group[128];
    snprintf(group, sizeof group, "/entry/%s", t->v->name);
    XN_TRY(xn_writer_group(t->w, group, "NXcollection"));
    if (t->v->n_angles > 0) XN_TRY(xn_writer_attr_f64(t->w, group, "angle_deg", t->v->angles_deg, t->v->n_angles));
    t->work = xn_alloc(6 * (size_t)t->v->model->npix, sizeof *t->work);
    if (t->work == NULL) return xn_fail_memory(t->ctx, "truth", 48 * (size_t)t->v->model->npix);
    xani_status st = write_lines(t);
    xn_free(t->work);
    t->work = NULL;
    if (st == XANI_OK && xn_sim_writes_shots(&t->v->model->s)) st = write_shots(t);
    return st;
}

static xani_status write_crystal(xn_writer *w, const char *group, const xn_crystal *c)
{
    char path[128];
    XN_TRY(xn_writer_group(w, group, "NXcollection"));
    XN_TRY(xn_writer_attr_text(w, group, "crystal", c->name));
    XN_TRY(xn_writer_attr_text(w, group, "element", c->element));
    XN_TRY(xn_writer_attr_f64(w, group, "a_ang", &c->a_ang, 0));
    XN_TRY(xn_writer_attr_f64(w, group, "mass_kg", &c->mass_kg, 0));
    snprintf(path, sizeof path, "%s/neighbour", group);
    XN_TRY(xn_writer_data(w, path, XN_F64, 2, (int64_t[]){c->n_neighbours, 3}, NULL, c->r));
    XN_TRY(xn_writer_attr_text(w, path, "units", "a/2"));
    snprintf(path, sizeof path, "%s/tensor", group);
    XN_TRY(xn_writer_data(w, path, XN_F64, 3, (int64_t[]){c->n_neighbours, 3, 3}, NULL, c->f));
    XN_TRY(xn_writer_attr_text(w, path, "units", "N/m"));
    const char *names[1024];
    for (int i = 0; i < c->n_neighbours; i++) names[i] = c->shell_name[c->shell[i]];
    snprintf(path, sizeof path, "%s/shell", group);
    return xn_writer_texts(w, path, names, c->n_neighbours);
}

static xani_status write_head(xn_ctx *ctx, xn_writer *w, const xn_config *config, const xn_sim_model *m)
{
    char *yaml = NULL;
    XN_TRY(xn_writer_group(w, "/entry", "NXentry"));
    XN_TRY(xani_config_text(ctx, config, &yaml));
    xani_status st = xn_writer_text(w, "/entry/configuration", yaml);
    xn_free(yaml);
    if (st == XANI_OK) st = xn_writer_attr_text(w, "/", "NX_class", "NXroot");
    if (st == XANI_OK) st = xn_writer_attr_text(w, "/entry", "program", "xani sim");
    if (st == XANI_OK) st = xn_writer_attr_text(w, "/entry", "version", xani_version());
    if (st == XANI_OK) st = write_crystal(w, "/entry/force_constants_before", &m->before);
    if (st == XANI_OK) st = write_crystal(w, "/entry/force_constants_after", &m->after);
    return st;
}

xani_status xn_sim_write_truth(xn_ctx *ctx, const xn_config *config, const xn_sim_model *m, const char *dir)
{
    char *path = xn_format("%s/%s", dir, XN_SIM_TRUTH_FILE);
    if (path == NULL) return xn_fail_memory(ctx, "a path", strlen(dir));
    xn_writer *w = NULL;
    xani_status st;
    XN_GOTO(out, st, xn_writer_create(ctx, path, XN_LAYOUT_RESULT, &w));
    XN_GOTO(out, st, write_head(ctx, w, config, m));
    for (int run = 0; run < m->s.n_runs; run++) {
        xn_sim_view v;
        XN_GOTO(out, st, xn_sim_view_make(ctx, config, m, run, &v));
        truth t = {ctx, w, &v, NULL};
        st = write_run(&t);
        xn_sim_view_free(&v);
        if (st != XANI_OK) goto out;
        XN_GOTO(out, st, xn_check_interrupt(ctx));
    }
    st = xn_writer_publish(&w);
out:
    xn_writer_abort(&w);
    xn_free(path);
    return st;
}
