// SPDX-License-Identifier: BSD-3-Clause
// fit_input.c -- the cube that a fit begins with: xani's own or another program's cube.h5, or the field's pair of
// cubes.
//
// A fit wants delays in order; files hold them as they were scanned: back and forth, every second one first, a scan
// after the other.  So the planes are put in order here, those of equal delays as they come.  Sums, edges and counts of
// the bins, which a fit does not need, do not follow and are let go.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/h5.h"
#include "io/write/publish.h"
#include "pipeline.h"
#include "source/source.h"

typedef struct {
    double delay;
    int bin;
} place;

static int by_delay(const void *a, const void *b)
{
    const place *x = a, *y = b;
    if (x->delay != y->delay) return x->delay < y->delay ? -1 : 1;
    return (x->bin > y->bin) - (x->bin < y->bin);
}

// Planes as order says: plane i was order[i].bin. Cycle by cycle, with room for one plane.
static void permute(void *data, size_t bytes, place *order, int n, void *room)
{
    char *planes = data;
    for (int i = 0; data != NULL && i < n; i++) {
        int at = i, from = order[i].bin;
        if (from < 0 || from == i) continue;
        memcpy(room, planes + (size_t)i * bytes, bytes);
        for (; from != i; at = from, from = order[at].bin) {
            memcpy(planes + (size_t)at * bytes, planes + (size_t)from * bytes, bytes);
            order[at].bin = -1 - from; // done
        }
        memcpy(planes + (size_t)at * bytes, room, bytes);
        order[at].bin = -1 - from;
    }
    for (int i = 0; i < n; i++)
        if (order[i].bin < 0) order[i].bin = -1 - order[i].bin;
}

static void drop_bins(xn_cube *c)
{
    double **all[] = {&c->edges_ps, &c->on_float, &c->on_i0, &c->on_count};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        xn_free(*all[i]);
        *all[i] = NULL;
    }
    if (c->mapped == NULL) xn_sums_free(&c->on);
}

static xani_status sort_delays(xn_ctx *ctx, xn_cube *c)
{
    const size_t n = (size_t)c->nbins, plane = (size_t)(c->ny * c->nx) * sizeof *c->signal;
    place *order = xn_alloc(n, sizeof *order);
    void *room = xn_alloc(plane + sizeof(double), 1);
    xani_status st = XANI_OK;
    if (order == NULL || room == NULL) {
        st = xn_fail_memory(ctx, "sorting the delays", n * sizeof *order + plane);
    } else {
        for (int i = 0; i < c->nbins; i++) order[i] = (place){c->delay_ps[i], i};
        qsort(order, n, sizeof *order, by_delay);
        permute(c->delay_ps, sizeof(double), order, c->nbins, room);
        permute(c->weight, sizeof(double), order, c->nbins, room);
        permute(c->signal, plane, order, c->nbins, room);
        permute(c->errors, plane, order, c->nbins, room);
        drop_bins(c);
    }
    xn_free(order);
    xn_free(room);
    return st;
}

static xani_status put_in_order(xn_ctx *ctx, const char *path, const char *dataset, xn_cube *c)
{
    bool sorted = true;
    for (int i = 0; i < c->nbins; i++) {
        if (!isfinite(c->delay_ps[i]))
            return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: delay %d is %g; a delay must be a number", path, dataset, i,
                           c->delay_ps[i]);
        sorted = sorted && (i == 0 || c->delay_ps[i] >= c->delay_ps[i - 1]);
    }
    if (sorted) return XANI_OK;
    xn_note(ctx, "%s: the delays are not in order; they are fitted as if they were", path);
    return sort_delays(ctx, c);
}

static bool is_among(xn_ctx *ctx, const xn_config *config, const char *path, const char *file)
{
    char *other = NULL;
    bool same = xn_same_file(path, file);
    if (!same && xn_source_partner(ctx, config, file, &other) == XANI_OK && other != NULL)
        same = xn_same_file(path, other);
    xn_free(other);
    return same;
}

// The entry of `runs` that names a field cube, or the other half of its pair; -1: none.
static int run_of(xn_ctx *ctx, const xn_config *config, const char *path)
{
    int run = -1;
    for (int i = 0; i < xn_source_runs(config) && run < 0; i++) {
        char **files = NULL;
        if (xn_source_files(ctx, config, i, &files) != XANI_OK) continue; // of another run, perhaps not here
        for (char **f = files; *f != NULL && run < 0; f++)
            if (is_among(ctx, config, path, *f)) run = i;
        xn_h5_names_free(files);
    }
    xn_clear_error(ctx);
    return run;
}

// A field cube (run%04d_on.h5) as the configuration's only input; its scan variable is the delay. The input of another
// layout, of the shots perhaps, is not that of the cube; keys that were set over the file are meant for it.  Name and
// angles are those of its entry of `runs`; where there are such and none names it, it has none.
static xani_status reduce_field_cube(xn_ctx *ctx, xn_config *config, const char *path, xn_cube *cube)
{
    char *absolute = path[0] == '/' ? xn_strdup(path) : NULL, here[4096];
    if (absolute == NULL && getcwd(here, sizeof here) != NULL) absolute = xn_format("%s/%s", here, path);
    char *quoted = absolute ? xn_config_quoted(absolute) : NULL;
    const int run = run_of(ctx, config, path);
    char key[XN_KEY_LENGTH];
    const char *at = run < 0 ? "input.files" : xn_key(key, "runs[%d].files", run);
    char *files = quoted ? xn_format("%s=[%s]", at, quoted) : NULL;
    xani_status st = files ? XANI_OK : xn_fail_memory(ctx, "a path", strlen(path));
    const bool other =
        xn_config_has(config, "input.layout") && strcmp(xn_config_string(config, "input.layout"), "cube") != 0;
    if (st == XANI_OK && other) st = xn_config_replace(ctx, config, "input", "input={layout: cube}");
    if (st == XANI_OK) st = xani_config_assign(ctx, config, "input.layout=cube");
    if (st == XANI_OK) st = xani_config_assign(ctx, config, files);
    if (st == XANI_OK && !xn_config_has(config, "input.delay.sign")) {
        xn_warn(ctx, "%s: the scan variable is taken as the delay in ps with sign 1 (set input.delay.sign and zero_ps)",
                path);
        st = xani_config_assign(ctx, config, "input.delay.sign=1");
    }
    if (st == XANI_OK) st = xn_stage_cube(ctx, config, run, false, NULL, cube);
    if (st == XANI_OK && run < 0 && xn_source_angles_by_run(config)) cube->n_angles = 0;
    xn_free(absolute);
    xn_free(quoted);
    xn_free(files);
    return st;
}

xani_status xn_stage_open_cube(xn_ctx *ctx, xn_config *config, const char *path, xn_cube *cube)
{
    xn_h5 *file = NULL;
    XN_TRY(xn_h5_open(ctx, path, &file));
    const bool ours = xn_h5_exists(file, "entry/cube/signal"), field = xn_h5_exists(file, "imgs");
    xn_h5_close(&file);
    if (!ours && !field)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: holds no cube, neither /entry/cube/signal nor imgs", path);
    xani_status st = ours ? xn_result_read_cube(ctx, path, cube) : reduce_field_cube(ctx, config, path, cube);
    if (st == XANI_OK && (cube->nbins < 1 || cube->ny < 1 || cube->nx < 1))
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s is empty: %d delays of %lld x %lld pixels", path,
                     ours ? "/entry/cube/signal" : "/imgs", cube->nbins, (long long)cube->ny, (long long)cube->nx);
    if (st == XANI_OK) st = put_in_order(ctx, path, ours ? "/entry/cube/delay" : "/scan_var", cube);
    if (st != XANI_OK) xn_cube_free(cube);
    return st;
}
