// SPDX-License-Identifier: BSD-3-Clause
// config.c -- the configuration written beside the simulated data, ready for `xani run`.
//
// It is the given one with input, runs[].files and the geometry file set to what was written, and with the paths that
// remain made absolute.  What the analysis may choose (select, reduce, fit, map) stays as given, readings by the names
// that the layout has for them; a time-tool window and delay bins are added where there are none.  The first layout
// asked for gets the name xani.yaml, others xani_LAYOUT.yaml.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/write/publish.h"
#include "source/sim/parts.h"

#define FINE_BIN_PS 0.03 // resolves 16 THz, as xani init proposes

xani_status xn_sim_assign(xn_ctx *ctx, xn_config *config, char *text)
{
    if (text == NULL) return xn_fail_memory(ctx, "the written configuration", 256);
    xani_status st = xani_config_assign(ctx, config, text);
    xn_free(text);
    return st;
}

// Key of a path that keeps pointing to where it did: as an absolute path.
static xani_status fix_path(xn_ctx *ctx, const xn_config *given, const char *key, xn_config *config)
{
    if (!xn_config_has(given, key)) return XANI_OK;
    char *path = xn_config_path(given, key), *real = path != NULL ? realpath(path, NULL) : NULL;
    xani_status st = XANI_OK;
    if (real != NULL) { // a file that does not exist stays as it is written
        char *text = xn_config_quoted(real);
        st = xn_sim_assign(ctx, config, text != NULL ? xn_format("%s=%s", key, text) : NULL);
        xn_free(text);
    }
    free(real); // from realpath
    xn_free(path);
    return st;
}

static xani_status fix_geometry(xn_ctx *ctx, const xn_config *given, const xn_sim_model *m, xn_config *config)
{
    if (m->detector.panels.n == 0) return fix_path(ctx, given, "geometry.file", config);
    if (xn_config_has(config, "geometry.detector")) XN_TRY(xani_config_assign(ctx, config, "geometry.detector=null"));
    return xani_config_assign(ctx, config, "geometry.file=" XN_SIM_GEOMETRY_FILE);
}

// ---- parts of input that layouts share

char *xn_sim_delay_text(const xn_sim_model *m, const char *stage, const char *edge)
{
    return xn_format("delay: {parts: [{source: '%s', scale_ps: %.17g, origin: %g}], sign: %d, zero_ps: %.17g, "
                     "time_tool: {source: '%s', sign: 1, origin: %g, coefficients_ps: [0, %.10f, %.10f]}}",
                     stage, XN_SIM_STAGE_PS_PER_MM, XN_SIM_STAGE_ORIGIN_MM, XN_SIM_STAGE_SIGN, m->s.zero_ps, edge,
                     XN_SIM_EDGE_ORIGIN, XN_SIM_EDGE_C1, XN_SIM_EDGE_C2);
}

// What the given selection asks of the simulated SwissFEL channel `from` has the name `to` in this layout.
static xani_status rename_reading(xn_ctx *ctx, const char *from, const char *to, xn_config *config)
{
    static const char *const keys[] = {"select.time_tool[%d].source", "select.cuts[%d].source",
                                       "select.linearity[%d].a", "select.linearity[%d].b"};
    char list[XN_KEY_LENGTH], key[XN_KEY_LENGTH];
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
        xn_key(list, "%.*s", (int)strcspn(keys[k], "["), keys[k]);
        for (int i = 0; i < xn_config_count(config, list); i++) {
            xn_key(key, "%s[%d]%s", list, i, strchr(keys[k], ']') + 1);
            const char *source = xn_config_string(config, key);
            if (source != NULL && strcmp(source, from) == 0 && strcmp(from, to) != 0)
                XN_TRY(xn_sim_assign(ctx, config, xn_format("%s='%s'", key, to)));
        }
    }
    return XANI_OK;
}

// The readings that the layout's configuration names itself.
static xani_status rename_readings(xn_ctx *ctx, xn_config *config)
{
    static const char *const named[XN_SIM_CHANNELS] = {"input.i0", "input.delay.parts[0].source",
                                                       "input.delay.time_tool.source", NULL};
    for (int i = 0; i < XN_SIM_CHANNELS; i++) {
        char *to =
            named[i] != NULL && xn_config_has(config, named[i]) ? xn_strdup(xn_config_string(config, named[i])) : NULL;
        xani_status st = to != NULL ? rename_reading(ctx, xn_sim_channel[i], to, config) : XANI_OK;
        xn_free(to);
        if (st != XANI_OK) return st;
    }
    return XANI_OK;
}

xani_status xn_sim_set_window(xn_ctx *ctx, const char *amplitude, xn_config *config)
{
    if (xn_config_has(config, "select.time_tool"))
        return rename_reading(ctx, xn_sim_channel[XN_SIM_EDGE_AMPLITUDE], amplitude, config);
    return xn_sim_assign(ctx, config,
                         xn_format("select.time_tool={source: '%s', min: %g}", amplitude, XN_SIM_EDGE_THRESHOLD));
}

char *xn_sim_mask_text(const xn_sim_model *m)
{
    char *pedestal = xn_sim_pedestal_name(m);
    char *text = pedestal == NULL ? NULL : xn_format("mask: {file: %s, dataset: pixel_mask, good: zero}", pedestal);
    xn_free(pedestal);
    return text;
}

// ---- files

static xani_status set_name(xn_ctx *ctx, int run, const char *name, xn_config *config)
{
    char *quoted = xn_config_quoted(name);
    xani_status st = xn_sim_assign(ctx, config, quoted != NULL ? xn_format("runs[%d].name=%s", run, quoted) : NULL);
    xn_free(quoted);
    return st;
}

static xani_status set_files(xn_ctx *ctx, const xn_sim_model *m, const xn_sim_layout *layout, xn_config *config)
{
    for (int run = 0; run < m->s.n_runs; run++) {
        char *name = xn_sim_run_name(config, run);
        char *files = name != NULL ? layout->files(m, name, run) : NULL, *text = NULL;
        if (files != NULL && m->s.has_runs) text = xn_format("runs[%d].files=%s", run, files);
        if (files != NULL && !m->s.has_runs) text = xn_format("input.files=%s", files);
        xani_status st = xn_sim_assign(ctx, config, text);
        if (st == XANI_OK && m->s.has_runs) st = set_name(ctx, run, name, config);
        xn_free(name);
        xn_free(files);
        if (st != XANI_OK) return st;
    }
    return XANI_OK;
}

// Frames cannot be reduced without bins: where none are given, about as fine as the pulses allow, over all delays.
static xani_status set_bins(xn_ctx *ctx, const xn_sim_model *m, xn_config *config)
{
    const double span_ps = m->s.stop_ps - m->s.start_ps, n = fmax(1.0, rint(span_ps / FINE_BIN_PS));
    if (xn_config_has(config, "reduce.delay_bins_ps")) return XANI_OK;
    return xn_sim_assign(ctx, config,
                         xn_format("reduce.delay_bins_ps={start: %.9g, stop: %.9g, step: %.9g}", m->s.start_ps,
                                   m->s.stop_ps, span_ps / n));
}

static xani_status derive(xn_ctx *ctx, const xn_config *given, const xn_sim_model *m, const xn_sim_layout *layout,
                          xn_config *config)
{
    XN_TRY(fix_path(ctx, given, "map.force_constants.file", config));
    XN_TRY(fix_geometry(ctx, given, m, config));
    XN_TRY(layout->configure(ctx, m, config));
    if (layout->shots) XN_TRY(set_bins(ctx, m, config));
    XN_TRY(rename_readings(ctx, config));
    return set_files(ctx, m, layout, config);
}

// ---- writing

xani_status xn_sim_config_copy(xn_ctx *ctx, const xn_config *given, xn_config **copy)
{
    char *yaml = NULL;
    *copy = NULL;
    XN_TRY(xani_config_text(ctx, given, &yaml));
    xani_status st = xn_config_parse(ctx, yaml, xn_config_name(given), xn_config_dir(given), copy);
    xn_free(yaml);
    return st;
}

static xani_status publish_config(xn_ctx *ctx, const xn_config *config, const char *layout, const char *path)
{
    char *yaml = NULL;
    XN_TRY(xani_config_text(ctx, config, &yaml));
    char *text = xn_format(XN_SIM_CONFIG_HEAD " (layout %s): xani run takes it as it is.\n"
                                              "# The truth is in %s.\n%s",
                           layout, XN_SIM_TRUTH_FILE, yaml);
    xn_free(yaml);
    if (text == NULL) return xn_fail_memory(ctx, "the written configuration", 4096);
    xani_status st = xn_publish_text(ctx, path, text, strlen(text), NULL);
    xn_free(text);
    return st;
}

// The first layout asked for gets the name xani.yaml.
char *xn_sim_config_path(const xn_config *config, const xn_sim_layout *layout, const char *dir)
{
    const char *first = xn_config_count(config, "sim.layouts") > 0 ? xn_config_string(config, "sim.layouts[0]")
                                                                   : xn_sim_layouts[0]->name;
    if (strcmp(layout->name, first) == 0) return xn_format("%s/xani.yaml", dir);
    return xn_format("%s/xani_%s.yaml", dir, layout->file_name ? layout->file_name : layout->name);
}

xani_status xn_sim_write_config(xn_ctx *ctx, const xn_config *given, const xn_sim_model *m, const xn_sim_layout *layout,
                                const char *dir)
{
    xn_config *config = NULL;
    char *path = xn_sim_config_path(given, layout, dir);
    if (path == NULL) return xn_fail_memory(ctx, "a path", strlen(dir));
    xani_status st = xn_sim_config_copy(ctx, given, &config);
    if (st == XANI_OK) st = derive(ctx, given, m, layout, config);
    if (st == XANI_OK) st = publish_config(ctx, config, layout->name, path);
    xani_config_destroy(&config);
    xn_free(path);
    return st;
}
