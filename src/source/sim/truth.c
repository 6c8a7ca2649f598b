// SPDX-License-Identifier: BSD-3-Clause
// truth.c -- truth.h5: the answers a simulated experiment has.
//
//   /entry/configuration                       as given, YAML
//   /entry/force_constants_{before,after}/     neighbour (n, 3) in a/2, tensor (n, 3, 3) in N/m, shell (n); or, of
//   other
//                                              crystals, cell, position, element, mass, pair, vector, tensor, hkl_to_q
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

typedef struct truth {
    xn_ctx *ctx;
    xn_writer *w;
    const xn_sim_view *v;
    double *work; // (pixel, lines)
    int *chosen;  // (lines)
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
static const double *columns(truth *t, double *const *source, const int *line, int n)
{
    for (int64_t i = 0; i < t->v->model->npix; i++)
        for (int k = 0; k < n; k++) t->work[i * n + k] = source[line[k]][i];
    return t->work;
}

// Numbers of the pair lines, or of the combination lines; how many.
static int choose(truth *t, bool pairs)
{
    const xn_sim_model *m = t->v->model;
    int n = 0;
    for (int l = 0; l < m->n_lines; l++)
        if ((m->line[l].i == m->line[l].j) == pairs) t->chosen[n++] = l;
    return n;
}

static xani_status write_combinations(truth *t)
{
    static const char *const dataset[2] = {"combination_frequency", "combination_amplitude"};
    const xn_sim_view *v = t->v;
    const xn_sim_model *m = v->model;
    int n = choose(t, false);
    char(*text)[16] = xn_alloc((size_t)n, sizeof *text);
    const char **name = xn_alloc((size_t)n, sizeof *name);
    xani_status st = text != NULL && name != NULL ? XANI_OK : xn_fail_memory(t->ctx, "names of lines", (size_t)n * 24);
    for (int k = 0; st == XANI_OK && k < n; k++) {
        const xn_sim_line *l = &m->line[t->chosen[k]];
        snprintf(text[k], sizeof text[k], "%d%c%d", l->difference ? l->j : l->i, l->difference ? '-' : '+',
                 l->difference ? l->i : l->j);
        name[k] = text[k];
    }
    if (st == XANI_OK)
        st = plane(t, dataset[0], n, columns(t, v->f, t->chosen, n), "THz", "sums and differences of two branches");
    if (st == XANI_OK)
        st = plane(t, dataset[1], n, columns(t, v->amplitude, t->chosen, n), "", "their amplitudes in y, with sign");
    for (int i = 0; st == XANI_OK && i < 2; i++) {
        char path[256];
        snprintf(path, sizeof path, "/entry/%s/%s", v->name, dataset[i]);
        st = xn_writer_attr_texts(t->w, path, "branches", name, n);
    }
    xn_free(text);
    xn_free(name);
    return st;
}

static xani_status write_lines(truth *t)
{
    const xn_sim_view *v = t->v;
    const xn_sim_model *m = v->model;
    int n = choose(t, true);
    XN_TRY(plane(t, "hkl", 3, v->hkl, "", "total Q of the pixel in conventional reciprocal units"));
    XN_TRY(plane(t, "nu", n, v->nu, "THz", "phonon frequencies after the change, ascending"));
    XN_TRY(plane(t, "amplitude", n, columns(t, v->amplitude, t->chosen, n), "",
                 "amplitude of the pair line at 2 nu in y at delay zero, with sign: negative where the mode softens"));
    for (int64_t i = 0; i < n * m->npix; i++) t->work[i] = m->s.damping_per_ps[i % n];
    XN_TRY(plane(t, "damping", n, t->work, "1/ps", "amplitude damping of the pair line"));
    XN_TRY(plane(t, "photons", 0, v->photons, "photons", "expected in a laser-off shot of mean intensity"));
    XN_TRY(plane(t, "dilution", 0, v->dilution, "", "share of the diffuse intensity; the rest is static"));
    return m->s.combinations ? write_combinations(t) : XANI_OK;
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
    size_t lines = (size_t)t->v->model->n_lines, pixels = (size_t)t->v->model->npix;
    t->work = xn_alloc(lines * pixels, sizeof *t->work);
    t->chosen = xn_alloc(lines, sizeof *t->chosen);
    xani_status st =
        t->work != NULL && t->chosen != NULL ? write_lines(t) : xn_fail_memory(t->ctx, "truth", lines * pixels * 8);
    xn_free(t->work);
    xn_free(t->chosen);
    t->work = NULL;
    t->chosen = NULL;
    if (st == XANI_OK && xn_sim_writes_shots(&t->v->model->s)) st = write_shots(t);
    return st;
}

static xani_status write_table(xn_writer *w, const char *group, const xn_crystal *c)
{
    char path[128];
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

// Pairs (n, 2) of atoms, vectors between them in Angstrom, tensors in N/m; the primitive cell and its atoms.
static xani_status write_forces(xn_ctx *ctx, xn_writer *w, const char *group, const xn_forces *f, const double to_q[9])
{
    char path[128];
    size_t n = (size_t)f->n;
    double *r = xn_alloc(3 * n, sizeof *r), *phi = xn_alloc(9 * n, sizeof *phi);
    int64_t *pair = xn_alloc(2 * n, sizeof *pair);
    const char *element[XN_SIM_BRANCHES];
    xani_status st = XANI_OK;
    if (!r || !phi || !pair) XN_GOTO(out, st, xn_fail_memory(ctx, "force constants", n * 112));
    for (size_t k = 0; k < n; k++) {
        memcpy(r + 3 * k, f->force[k].r, sizeof f->force[k].r);
        memcpy(phi + 9 * k, f->force[k].phi, sizeof f->force[k].phi);
        pair[2 * k] = f->force[k].i;
        pair[2 * k + 1] = f->force[k].j;
    }
    for (int i = 0; i < f->n_atoms; i++) element[i] = f->element[i];
    const struct {
        const char *name;
        const void *data;
        int64_t dims[3];
        const char *units;
    } rows[] = {{"cell", f->cell, {3, 3}, "Angstrom"},
                {"hkl_to_q", to_q, {3, 3}, "1/Angstrom"},
                {"position", f->position, {f->n_atoms, 3}, "Angstrom"},
                {"mass", f->mass_u, {f->n_atoms}, "u"},
                {"vector", r, {f->n, 3}, "Angstrom"},
                {"tensor", phi, {f->n, 3, 3}, "N/m"}};
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        int rank = rows[k].dims[1] == 0 ? 1 : rows[k].dims[2] == 0 ? 2 : 3;
        snprintf(path, sizeof path, "%s/%s", group, rows[k].name);
        XN_GOTO(out, st, xn_writer_data(w, path, XN_F64, rank, rows[k].dims, NULL, rows[k].data));
        XN_GOTO(out, st, xn_writer_attr_text(w, path, "units", rows[k].units));
    }
    snprintf(path, sizeof path, "%s/pair", group);
    XN_GOTO(out, st, xn_writer_data(w, path, XN_I64, 2, (int64_t[]){f->n, 2}, NULL, pair));
    snprintf(path, sizeof path, "%s/element", group);
    st = xn_writer_texts(w, path, element, f->n_atoms);
out:
    xn_free(r);
    xn_free(phi);
    xn_free(pair);
    return st;
}

static xani_status write_crystal(xn_ctx *ctx, xn_writer *w, const char *group, const xn_crystal *table,
                                 const xn_forces *f, const double to_q[9])
{
    XN_TRY(xn_writer_group(w, group, "NXcollection"));
    return table->n_shells > 0 ? write_table(w, group, table) : write_forces(ctx, w, group, f, to_q);
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
    if (st == XANI_OK) st = write_crystal(ctx, w, "/entry/force_constants_before", &m->table[0], &m->before, m->to_q);
    if (st == XANI_OK) st = write_crystal(ctx, w, "/entry/force_constants_after", &m->table[1], &m->after, m->to_q);
    return st;
}

xani_status xn_sim_write_truth(xn_ctx *ctx, const xn_config *config, const xn_sim_model *m, const char *dir)
{
    char *path = xn_format("%s/%s", dir, XN_SIM_TRUTH_FILE);
    if (path == NULL) return xn_fail_memory(ctx, "a path", strlen(dir));
    xn_writer *w = NULL;
    xani_status st;
    XN_GOTO(out, st, xn_sim_create(ctx, path, XN_LAYOUT_RESULT, &w));
    XN_GOTO(out, st, write_head(ctx, w, config, m));
    for (int run = 0; run < m->s.n_runs; run++) {
        xn_sim_view v;
        XN_GOTO(out, st, xn_sim_view_make(ctx, config, m, run, &v));
        truth t = {.ctx = ctx, .w = w, .v = &v};
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
