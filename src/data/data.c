// SPDX-License-Identifier: BSD-3-Clause
// data.c -- allocation and release of the structs that flow between the stages.
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/cube.h"
#include "data/dark.h"
#include "data/modes.h"
#include "data/points.h"
#include "data/shots.h"
#include "data/source.h"
#include "kernel/bin.h"

xani_status xn_shots_alloc(xn_ctx *ctx, int64_t n, int n_extra, xn_shots *s)
{
    memset(s, 0, sizeof *s);
    size_t rows = (size_t)n;
    s->n = n;
    s->time_resolution_ps = NAN;
    s->pulse_id = xn_calloc(rows, sizeof *s->pulse_id);
    s->frame = xn_calloc(rows, sizeof *s->frame);
    s->laser = xn_calloc(rows, sizeof *s->laser);
    s->i0 = xn_calloc(rows, sizeof *s->i0);
    s->delay_ps = xn_calloc(rows, sizeof *s->delay_ps);
    s->bin = xn_calloc(rows, sizeof *s->bin);
    s->verdict = xn_calloc(rows, sizeof *s->verdict);
    s->extra_name = xn_calloc((size_t)n_extra, sizeof *s->extra_name);
    s->extra = xn_calloc((size_t)n_extra, sizeof *s->extra);
    bool ok = s->pulse_id && s->frame && s->laser && s->i0 && s->delay_ps && s->bin && s->verdict && s->extra_name &&
              s->extra;
    if (ok) s->n_extra = n_extra;
    for (int i = 0; ok && i < n_extra; i++) ok = (s->extra[i] = xn_calloc(rows, sizeof(double))) != NULL;
    if (ok) return XANI_OK;
    xn_shots_free(s);
    return xn_fail_memory(ctx, "the shot table", rows * 48);
}

const double *xn_shots_find(const xn_shots *s, const char *name)
{
    for (int i = 0; i < s->n_extra; i++)
        if (strcmp(s->extra_name[i], name) == 0) return s->extra[i];
    return NULL;
}

xani_status xn_shots_column(xn_ctx *ctx, const char *name, xn_shots *s, double **values)
{
    size_t n = (size_t)s->n_extra + 1;
    double *column = NULL;
    for (int i = 0; i < s->n_extra && column == NULL; i++)
        if (strcmp(s->extra_name[i], name) == 0) column = s->extra[i];
    if (column == NULL) {
        char **names = xn_realloc(s->extra_name, n, sizeof *names), *copy = xn_strdup(name);
        if (names != NULL) s->extra_name = names;
        double **extra = xn_realloc(s->extra, n, sizeof *extra);
        if (extra != NULL) s->extra = extra;
        column = xn_alloc((size_t)s->n, sizeof *column);
        if (names == NULL || copy == NULL || extra == NULL || column == NULL) {
            xn_free(copy);
            xn_free(column);
            return xn_fail_memory(ctx, name, (size_t)s->n * sizeof *column);
        }
        s->extra_name[n - 1] = copy;
        s->extra[n - 1] = column;
        s->n_extra++;
    }
    for (int64_t i = 0; i < s->n; i++) column[i] = NAN;
    *values = column;
    return XANI_OK;
}

void xn_shots_free(xn_shots *s)
{
    for (int i = 0; i < s->n_extra; i++) {
        xn_free(s->extra_name[i]);
        xn_free(s->extra[i]);
    }
    void *all[] = {s->pulse_id, s->frame, s->laser, s->i0, s->delay_ps, s->bin, s->verdict, s->extra_name, s->extra};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
    memset(s, 0, sizeof *s);
}

xani_status xn_cutflow_add(xn_ctx *ctx, xn_cutflow *f, const char *name, int64_t on, int64_t off, int64_t unknown)
{
    size_t n = (size_t)f->n + 1;
    void *p;
    if ((p = xn_realloc(f->name, n, sizeof *f->name)) == NULL) goto memory;
    f->name = p;
    if ((p = xn_realloc(f->on_left, n, sizeof *f->on_left)) == NULL) goto memory;
    f->on_left = p;
    if ((p = xn_realloc(f->off_left, n, sizeof *f->off_left)) == NULL) goto memory;
    f->off_left = p;
    if ((p = xn_realloc(f->unknown_left, n, sizeof *f->unknown_left)) == NULL) goto memory;
    f->unknown_left = p;
    if ((f->name[f->n] = xn_strdup(name)) == NULL) goto memory;
    f->on_left[f->n] = on;
    f->off_left[f->n] = off;
    f->unknown_left[f->n] = unknown;
    f->n++;
    return XANI_OK;
memory:
    return xn_fail_memory(ctx, "the cut-flow", n * 32);
}

void xn_cutflow_free(xn_cutflow *f)
{
    for (int i = 0; i < f->n; i++) xn_free(f->name[i]);
    xn_free(f->name);
    xn_free(f->on_left);
    xn_free(f->off_left);
    xn_free(f->unknown_left);
    memset(f, 0, sizeof *f);
}

double xn_photon_scale2(int spatial_bin) { return ldexp(XN_PHOTON_SCALE, -xn_bin_shift(spatial_bin)); }

void xn_sums_free(xn_sums *s)
{
    void *all[] = {s->shots, s->i0_sum, s->i0_sq_sum, s->delay_sum, s->delay_sq_sum, s->s1,
                   s->s2,    s->x,      s->expect,    s->expect_sq, s->cross};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
    memset(s, 0, sizeof *s);
}

static bool is_mapped(const xn_cube *c, const void *p)
{
    return c->mapped != NULL && (const char *)p >= (const char *)c->mapped &&
           (const char *)p < (const char *)c->mapped + c->mapped_bytes;
}

void xn_cube_free(xn_cube *c)
{
    void *large[] = {c->signal, c->errors, c->on.s1, c->on.s2, c->on.x, c->on.expect, c->on.expect_sq, c->on.cross};
    for (size_t i = 0; i < sizeof large / sizeof large[0]; i++)
        if (!is_mapped(c, large[i])) xn_free(large[i]);
    c->on.s1 = c->on.s2 = c->on.x = NULL;
    c->on.expect = c->on.expect_sq = c->on.cross = NULL;
    void *all[] = {c->module_rows, c->delay_ps, c->edges_ps, c->weight, c->mask, c->mean_frame, c->on_float,
                   c->off_float,   c->on_i0,    c->on_count, c->run,    c->peak, c->pixel_mask};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
    if (c->mapped != NULL) munmap(c->mapped, c->mapped_bytes);
    xn_sums_free(&c->on);
    xn_sums_free(&c->off);
    xn_shots_free(&c->shots);
    xn_cutflow_free(&c->cutflow);
    memset(c, 0, sizeof *c);
}

// ---- arrays in a file

// Unnamed, in the folder for temporary files.
static int open_unnamed(void)
{
    const char *folder = getenv("TMPDIR");
    char *path = xn_format("%s/xani-XXXXXX", folder != NULL && folder[0] ? folder : "/tmp");
    int fd = path != NULL ? mkostemp(path, O_CLOEXEC) : -1;
    if (fd >= 0) (void)unlink(path);
    xn_free(path);
    return fd;
}

xani_status xn_cube_map(xn_ctx *ctx, xn_cube *c, const char *path, size_t bytes, bool *fresh)
{
    struct stat s;
    int fd = path != NULL ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666) : open_unnamed(), number = 0;
    *fresh = fd < 0 || fstat(fd, &s) != 0 || (size_t)s.st_size != bytes;
    if (fd < 0)
        number = errno;
    else if (*fresh && (ftruncate(fd, 0) != 0 || ftruncate(fd, (off_t)bytes) != 0))
        number = errno;
    else // a file that is too large for its disk must fail here, not as a signal while it is written
        number = posix_fallocate(fd, 0, (off_t)bytes);
    void *p = number == 0 ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (number == 0 && p == MAP_FAILED) number = errno;
    if (fd >= 0) close(fd);
    if (number != 0)
        return xn_fail(ctx, XANI_ERR_OUTPUT, "%s: a file of %.3g GiB for the sums: %s",
                       path != NULL ? path : "the folder for temporary files (TMPDIR)", (double)bytes / 0x1p30,
                       strerror(number));
    c->mapped = p;
    c->mapped_bytes = bytes;
    return XANI_OK;
}

void xn_cube_let_go(const xn_cube *c, const void *part, size_t bytes)
{
    if (!is_mapped(c, part)) return;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), at = (size_t)((const char *)part - (const char *)c->mapped);
    size_t first = at / page * page, end = at + bytes;
    (void)madvise((char *)c->mapped + first, end - first, MADV_DONTNEED); // a shared mapping keeps what was written
}

static float *nan_plane(size_t n)
{
    float *p = xn_alloc(n, sizeof *p);
    for (size_t i = 0; p != NULL && i < n; i++) p[i] = NAN;
    return p;
}

xani_status xn_modes_alloc(xn_ctx *ctx, int n_modes, int n_background, int64_t ny, int64_t nx, xn_modes *m)
{
    memset(m, 0, sizeof *m);
    size_t plane = (size_t)ny * (size_t)nx, cube = plane * (size_t)n_modes;
    m->n_modes = n_modes;
    m->n_background = n_background;
    m->ny = ny;
    m->nx = nx;
    m->spatial_bin = 1;
    m->step_ps = m->threshold = m->false_alarm = NAN;
    float **planes[] = {&m->frequency,    &m->frequency_errors, &m->amplitude,      &m->amplitude_errors, &m->phase,
                        &m->phase_errors, &m->damping,          &m->damping_errors, &m->significance};
    bool ok = true;
    for (size_t i = 0; i < sizeof planes / sizeof planes[0]; i++) ok = (*planes[i] = nan_plane(cube)) != NULL && ok;
    m->chi2_reduced = nan_plane(plane);
    m->background = nan_plane(plane * (size_t)n_background);
    m->count = xn_calloc(plane, 1);
    m->status = xn_alloc(plane, 1);
    if (!ok || !m->chi2_reduced || !m->background || !m->count || !m->status) {
        xn_modes_free(m);
        return xn_fail_memory(ctx, "the modes", cube * 36);
    }
    memset(m->status, XN_FIT_MASKED, plane);
    return XANI_OK;
}

void xn_modes_free(xn_modes *m)
{
    void *all[] = {m->module_rows,
                   m->frequency,
                   m->frequency_errors,
                   m->amplitude,
                   m->amplitude_errors,
                   m->phase,
                   m->phase_errors,
                   m->damping,
                   m->damping_errors,
                   m->significance,
                   m->count,
                   m->status,
                   m->chi2_reduced,
                   m->background,
                   m->kernels,
                   m->run,
                   m->shared,
                   m->covariance,
                   m->start,
                   m->rounds,
                   m->weights,
                   m->sigma,
                   m->weight};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
    memset(m, 0, sizeof *m);
}

void xn_points_free(xn_points *p)
{
    void *all[] = {
        p->hkl,      p->g,      p->q,     p->frequency, p->frequency_errors, p->amplitude, p->amplitude_errors,
        p->coherent, p->branch, p->pixel, p->run,       p->weight,           p->alias,     p->images};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
    memset(p, 0, sizeof *p);
}

void xn_refinement_free(xn_refinement *r)
{
    void *all[] = {r->name,       r->distance,    r->start,      r->change,    r->change_errors,
                   r->covariance, r->correlation, r->determined, r->frequency, r->frequency_errors};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
    memset(r, 0, sizeof *r);
}

void xn_dispersion_free(xn_dispersion *d)
{
    xn_refinement_free(&d->refinement);
    xn_points_free(&d->points);
    xn_points_free(&d->combinations);
    for (int i = 0; d->run_names != NULL && i < d->n_runs; i++) xn_free(d->run_names[i]);
    void *all[] = {d->run_names,
                   d->run_angles,
                   d->axis[0],
                   d->axis[1],
                   d->axis[2],
                   d->axis[3],
                   d->intensity,
                   d->coverage,
                   d->labels,
                   d->label_distance,
                   d->path_distance,
                   d->path_frequency,
                   d->path_hkl,
                   d->path_intensity,
                   d->averaged,
                   d->averaged_errors,
                   d->path_averaged,
                   d->path_averaged_errors,
                   d->branch_frequency,
                   d->kind_evidence,
                   d->branch_errors,
                   d->branch_count,
                   d->reference_frequency};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
    memset(d, 0, sizeof *d);
}

void xn_dark_free(xn_dark *d)
{
    void *all[] = {d->pedestal, d->rms, d->count, d->stage_mask, d->mask, d->used, d->rejected, d->module_rows};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
    memset(d, 0, sizeof *d);
}
