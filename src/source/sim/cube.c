// SPDX-License-Identifier: BSD-3-Clause
// cube.c -- the noiseless cube: exact traces at given delays, in the field's binned layout (formats.md 1.8).
//
//   PREFIX_on.h5, PREFIX_off.h5   scan_var (ps), imgs (bin, y, x), i0, bin_counts and bin_count
// One shot of mean intensity per bin, at the centre of each bin of reduce.delay_bins_ps; no noise, no jitter, no bad
// pixels.  Values are float64 and come from the exact formula (xn_sim_y), not from the one for frames.
#include <math.h>
#include <string.h>

#include "io/write/publish.h"
#include "source/sim/parts.h"

xani_status xn_sim_bin_edges(xn_ctx *ctx, const xn_config *config, double **edges, int64_t *bins)
{
    static const char key[] = "reduce.delay_bins_ps";
    XN_TRY(xn_config_require(ctx, config, key, "the cubes of the simulation have their delays from these bins"));
    int n = xn_config_count(config, "reduce.delay_bins_ps.edges");
    double start = xn_config_double(config, "reduce.delay_bins_ps.start");
    double stop = xn_config_double(config, "reduce.delay_bins_ps.stop");
    double step = xn_config_double(config, "reduce.delay_bins_ps.step");
    double count = n > 1 ? n - 1 : floor((stop - start) / step + 1e-6);
    if (!(count >= 1.0 && count <= 1e6))
        return xn_config_bad(ctx, config, key, "gives no bins: start, stop and step, or edges, are needed");
    *bins = (int64_t)count;
    *edges = xn_alloc((size_t)*bins + 1, sizeof **edges);
    if (*edges == NULL) return xn_fail_memory(ctx, "delays", (size_t)*bins * sizeof **edges);
    if (n > 1) xn_config_doubles(config, "reduce.delay_bins_ps.edges", *edges, n);
    for (int64_t i = 0; n <= 1 && i <= *bins; i++) (*edges)[i] = start + (double)i * step;
    return XANI_OK;
}

// Centres of the configured bins; owned.
static xani_status bin_centres(xn_ctx *ctx, const xn_config *config, double **centres, int64_t *n)
{
    XN_TRY(xn_sim_bin_edges(ctx, config, centres, n));
    bool listed = xn_config_count(config, "reduce.delay_bins_ps.edges") > 1;
    double start = xn_config_double(config, "reduce.delay_bins_ps.start");
    double step = xn_config_double(config, "reduce.delay_bins_ps.step"), *c = *centres;
    for (int64_t i = 0; i < *n; i++) c[i] = listed ? 0.5 * (c[i] + c[i + 1]) : start + ((double)i + 0.5) * step;
    return XANI_OK;
}

static xani_status write_cube(xn_ctx *ctx, const xn_sim_view *v, const char *path, const double *delays, int64_t n,
                              const double *images)
{
    const xn_geometry *g = &v->model->detector.geometry;
    double *ones = xn_alloc((size_t)n, sizeof *ones);
    if (ones == NULL) return xn_fail_memory(ctx, "bin counts", (size_t)n * sizeof *ones);
    for (int64_t i = 0; i < n; i++) ones[i] = 1.0;
    xn_writer *w = NULL;
    xani_status st;
    XN_GOTO(out, st, xn_sim_create(ctx, path, XN_LAYOUT_PLAIN, &w));
    XN_GOTO(out, st, xn_writer_data(w, "/scan_var", XN_F64, 1, &n, NULL, delays));
    XN_GOTO(out, st, xn_writer_data(w, "/imgs", XN_F64, 3, (int64_t[]){n, g->ny, g->nx}, NULL, images));
    XN_GOTO(out, st, xn_writer_data(w, "/i0", XN_F64, 1, &n, NULL, ones));
    XN_GOTO(out, st, xn_writer_data(w, "/bin_counts", XN_F64, 1, &n, NULL, ones));
    XN_GOTO(out, st, xn_writer_data(w, "/bin_count", XN_F64, 1, &n, NULL, ones));
    st = xn_writer_publish(&w);
out:
    xn_writer_abort(&w);
    xn_free(ones);
    return st;
}

// Bin by bin, so that progress shows and an interrupt is seen.
static xani_status fill_images(xn_ctx *ctx, const xn_sim_view *v, const double *delays, int64_t n, double *images)
{
    const xn_sim_model *m = v->model;
    for (int64_t b = 0; b < n; b++) {
        xn_progress(ctx, "sim", (int64_t)v->run * n + b, (int64_t)m->s.n_runs * n, "delays");
        XN_TRY(xn_check_interrupt(ctx));
        double *image = images + b * m->npix;
#pragma omp parallel for num_threads(m->threads) schedule(static)
        for (int64_t i = 0; i < m->npix; i++) image[i] = v->photons[i] * (1.0 + xn_sim_y(v, i, delays[b]));
    }
    xn_progress(ctx, "sim", (int64_t)(v->run + 1) * n, (int64_t)m->s.n_runs * n, "delays");
    return XANI_OK;
}

static xani_status write_pair(xn_ctx *ctx, const xn_config *config, const xn_sim_view *v, const char *prefix)
{
    double *delays = NULL, *images = NULL;
    int64_t n = 0;
    xani_status st;
    char *on = xn_format("%s_on.h5", prefix), *off = xn_format("%s_off.h5", prefix);
    if (on == NULL || off == NULL) XN_GOTO(out, st, xn_fail_memory(ctx, "a path", strlen(prefix)));
    XN_GOTO(out, st, bin_centres(ctx, config, &delays, &n));
    images = xn_alloc((size_t)n * (size_t)v->model->npix, sizeof *images);
    if (images == NULL)
        XN_GOTO(out, st,
                xn_fail_memory(ctx, "the noiseless cube", (size_t)n * (size_t)v->model->npix * sizeof *images));
    XN_GOTO(out, st, fill_images(ctx, v, delays, n, images));
    XN_GOTO(out, st, write_cube(ctx, v, on, delays, n, images));
    st = write_cube(ctx, v, off, (double[]){0.0}, 1, v->photons);
out:
    xn_free(on);
    xn_free(off);
    xn_free(delays);
    xn_free(images);
    return st;
}

xani_status xn_sim_write_noiseless(xn_ctx *ctx, const xn_config *config, const xn_sim_view *v, const char *dir)
{
    char *name = xn_sim_cube_prefix(&v->model->s, true, v->run);
    char *prefix = name != NULL ? xn_format("%s/%s", dir, name) : NULL;
    char *folder = xn_format("%s/noiseless", dir);
    xani_status st = XANI_OK;
    if (prefix == NULL || folder == NULL) st = xn_fail_memory(ctx, "a path", strlen(dir));
    if (st == XANI_OK && xn_sim_writes(&v->model->s, "cube")) st = xn_make_dirs(ctx, folder);
    if (st == XANI_OK) st = write_pair(ctx, config, v, prefix);
    xn_free(name);
    xn_free(prefix);
    xn_free(folder);
    return st;
}

// ---- configurations

char *xn_sim_cube_prefix(const xn_sim_settings *s, bool noiseless, int run)
{
    return xn_format("%srun%04d", noiseless && xn_sim_writes(s, "cube") ? "noiseless/" : "", run + 1);
}

// Cubes hold shots that were selected and binned before.
static xani_status take_away_shots(xn_ctx *ctx, xn_config *config)
{
    if (xn_config_has(config, "select")) XN_TRY(xani_config_assign(ctx, config, "select=null"));
    if (xn_config_has(config, "reduce.delay_bins_ps"))
        XN_TRY(xani_config_assign(ctx, config, "reduce.delay_bins_ps=null"));
    return XANI_OK;
}

xani_status xn_sim_configure_cube(xn_ctx *ctx, const xn_sim_model *m, char *more, xn_config *config)
{
    char *mask = more != NULL ? xn_sim_mask_text(m) : NULL, *text = NULL;
    if (mask != NULL)
        text = xn_format("input={%s, delay: {sign: 1, zero_ps: 0}, %s, counts_per_photon: 1}", more, mask);
    xn_free(mask);
    xn_free(more);
    XN_TRY(xn_sim_assign(ctx, config, text));
    return take_away_shots(ctx, config);
}

static xani_status set_binned(xn_ctx *ctx, const xn_sim_model *m, xn_config *config)
{
    return xn_sim_configure_cube(ctx, m, xn_strdup("layout: cube"), config);
}

static xani_status set_noiseless(xn_ctx *ctx, const xn_sim_model *m, xn_config *config)
{
    (void)m;
    XN_TRY(xani_config_assign(ctx, config, "input={layout: cube, delay: {sign: 1, zero_ps: 0}}"));
    return take_away_shots(ctx, config);
}

static char *files_of(const xn_sim_model *m, bool noiseless, int run)
{
    char *prefix = xn_sim_cube_prefix(&m->s, noiseless, run);
    char *text = prefix != NULL ? xn_format("[%s_on.h5]", prefix) : NULL;
    xn_free(prefix);
    return text;
}

static char *binned_files(const xn_sim_model *m, const char *run_name, int run)
{
    (void)run_name;
    return files_of(m, false, run);
}

static char *noiseless_files(const xn_sim_model *m, const char *run_name, int run)
{
    (void)run_name;
    return files_of(m, true, run);
}

const xn_sim_layout xn_sim_cube = {
    .name = "cube", .shots = true, .words = true, .configure = set_binned, .files = binned_files};
const xn_sim_layout xn_sim_cube_noiseless = {.name = "cube_noiseless",
                                             .file_name = "noiseless",
                                             .write = xn_sim_write_noiseless,
                                             .configure = set_noiseless,
                                             .files = noiseless_files};
