// SPDX-License-Identifier: BSD-3-Clause
// cube_facts.c -- what can be told about LCLS cubes without a configuration: see survey/survey.h.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "source/lcls/cube.h"
#include "source/lcls/lcls.h"
#include "source/survey/init_parts.h"

#define ENTRIES "nEntries"

// ---- what a file is

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// Length of the path up to "_on." or "_off."; 0: neither.
static int half_of(const char *path)
{
    const char *base = base_name(path), *half = strstr(base, "_on.");
    if (half == NULL) half = strstr(base, "_off.");
    return half != NULL ? (int)(half - path) : 0;
}

bool xn_lcls_cube_claims(xn_ctx *ctx, const xn_h5 *h5, const char *path, char *key, size_t bytes)
{
    xn_lcls_cube c;
    int n = half_of(path);
    if (n == 0 || !xn_h5_exists(h5, ENTRIES)) return false;
    if (xn_lcls_cube_look(ctx, h5, NULL, &c) == XANI_ERR_INPUT) {
        xn_clear_error(ctx);
        return false;
    }
    xn_clear_error(ctx);
    snprintf(key, bytes, "%.*s", n, path);
    return true;
}

bool xn_lcls2_cube_claims(xn_ctx *ctx, const xn_h5 *h5, const char *path, char *key, size_t bytes)
{
    char frames[XN_KEY_LENGTH];
    if (!xn_h5_exists(h5, "step_value") || xn_h5_exists(h5, "timestamp")) return false;
    xn_lcls2_cube_frames(ctx, h5, frames);
    if (frames[0] == '\0') return false;
    int n = half_of(path);
    if (n > 0)
        snprintf(key, bytes, "%.*s", n, path);
    else
        xn_run_key(path, false, key, bytes);
    return true;
}

// ---- facts

// Places, ascending or not, as first, last and step.
static void describe_scan(const double *place, int64_t n, xn_cube_facts *f)
{
    f->first_ps = INFINITY;
    f->last_ps = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        f->first_ps = fmin(f->first_ps, place[i]);
        f->last_ps = fmax(f->last_ps, place[i]);
    }
    double step = n > 1 ? (f->last_ps - f->first_ps) / (double)(n - 1) : NAN;
    for (int64_t i = 0; i < n; i++) { // out of order: every place is a whole number of steps from the first
        double k = (place[i] - f->first_ps) / step;
        if (!(fabs(k - round(k)) < 0.01)) step = NAN;
    }
    f->step_ps = step;
}

static xani_status describe_frames(xn_ctx *ctx, const xn_h5 *h5, const char *dataset, int lead, xn_cube_facts *f)
{
    xn_h5_info info;
    XN_TRY(xn_h5_info_get(ctx, h5, dataset, &info));
    if (info.is_group || info.rank < lead + 2 || info.size == 0) return XANI_OK;
    f->nx = info.dims[info.rank - 1];
    f->ny = info.dims[info.rank - 2] * (info.rank > lead + 2 ? info.dims[lead] : 1);
    f->type = info.type;
    snprintf(f->filters, sizeof f->filters, "%s", info.filters);
    f->stored_bytes += info.size * (int64_t)xn_type_size(info.type);
    return XANI_OK;
}

static xani_status count_shots(xn_ctx *ctx, const xn_h5 *h5, const char *dataset, int64_t bins, bool off,
                               xn_cube_facts *f)
{
    double *count = NULL;
    XN_TRY(xn_lcls_cube_numbers(ctx, h5, dataset, bins, &count));
    for (int64_t b = 0; b < bins; b++) {
        if (count[b] > 0)
            *(off ? &f->off_shots : &f->on_shots) += count[b];
        else if (!off)
            f->empty++;
    }
    xn_free(count);
    return XANI_OK;
}

static xani_status first_half(xn_ctx *ctx, const char *path, bool off, xn_cube_facts *f)
{
    xn_h5 *h5 = NULL;
    xn_lcls_cube c;
    char dataset[XN_KEY_LENGTH + 16];
    double *centre = NULL;
    xani_status st;
    XN_GOTO(out, st, xn_h5_open(ctx, path, &h5));
    XN_GOTO(out, st, xn_lcls_cube_look(ctx, h5, NULL, &c));
    snprintf(dataset, sizeof dataset, "%s_" ENTRIES, c.detector);
    XN_GOTO(out, st, count_shots(ctx, h5, xn_h5_exists(h5, dataset) ? dataset : ENTRIES, c.bins, off, f));
    snprintf(dataset, sizeof dataset, "%s_data", c.detector);
    XN_GOTO(out, st, describe_frames(ctx, h5, dataset, c.lead, f));
    if (off) goto out;
    XN_GOTO(out, st, xn_lcls_cube_centres(ctx, h5, &c, &centre));
    f->bins = c.dims[c.axis];
    snprintf(f->scan, sizeof f->scan, "%s", c.edges);
    describe_scan(centre, f->bins, f);
out:
    xn_free(centre);
    xn_h5_close(&h5);
    return st;
}

static void start(xn_run_facts *facts)
{
    facts->binned = true;
    facts->cube.first_ps = facts->cube.last_ps = facts->cube.step_ps = NAN;
}

xani_status xn_lcls_cube_facts(xn_ctx *ctx, const struct xn_found_run *run, xn_run_facts *facts)
{
    start(facts);
    for (int i = 0; i < run->n; i++)
        XN_TRY(first_half(ctx, run->file[i], strstr(base_name(run->file[i]), "_off.") != NULL, &facts->cube));
    return XANI_OK;
}

static xani_status one_label(xn_ctx *ctx, const xn_h5 *h5, const char *label, const char *frames, bool off,
                             int64_t steps, xn_cube_facts *f)
{
    char dataset[2 * XN_KEY_LENGTH], count[2 * XN_KEY_LENGTH + 8];
    snprintf(dataset, sizeof dataset, "%s%s%s", label, label[0] != '\0' ? "/" : "", frames);
    const char *slash = strrchr(dataset, '/');
    snprintf(count, sizeof count, "%.*scount", slash ? (int)(slash - dataset) + 1 : 0, dataset);
    XN_TRY(count_shots(ctx, h5, count, steps, off, f));
    return describe_frames(ctx, h5, dataset, 1, f);
}

static xani_status second_file(xn_ctx *ctx, const char *path, xn_cube_facts *f)
{
    xn_h5 *h5 = NULL;
    xn_lcls2_cube c;
    char frames[XN_KEY_LENGTH];
    double *value = NULL;
    bool off = strstr(base_name(path), "_off.") != NULL;
    xani_status st;
    XN_GOTO(out, st, xn_h5_open(ctx, path, &h5));
    xn_lcls2_cube_frames(ctx, h5, frames);
    XN_GOTO(out, st, xn_lcls2_cube_look(ctx, h5, frames, NULL, &c));
    if (c.n_labels > 0) off = false;
    XN_GOTO(out, st, one_label(ctx, h5, c.on, frames, off, c.steps, f));
    if (c.n_labels > 0) XN_GOTO(out, st, one_label(ctx, h5, c.off, frames, true, c.steps, f));
    if (off || c.motor[0] == '\0') goto out;
    XN_GOTO(out, st, xn_lcls2_cube_steps(ctx, h5, c.motor, &c, &value));
    double scale = xn_lcls2_motor_scale(c.motor);
    for (int64_t b = 0; b < c.steps; b++) value[b] *= scale;
    f->bins = c.steps;
    snprintf(f->scan, sizeof f->scan, "%s", c.motor);
    describe_scan(value, c.steps, f);
out:
    xn_free(value);
    xn_h5_close(&h5);
    return st;
}

xani_status xn_lcls2_cube_facts(xn_ctx *ctx, const struct xn_found_run *run, xn_run_facts *facts)
{
    start(facts);
    for (int i = 0; i < run->n; i++) XN_TRY(second_file(ctx, run->file[i], &facts->cube));
    return XANI_OK;
}

// ---- init

// A file that could be read before and cannot now is left out, but for want of memory.
static void note(xn_init_writer *w, xani_status st)
{
    if (st == XANI_ERR_MEMORY) w->text.short_of_memory = true;
    xn_clear_error(w->ctx);
}

void xn_lcls_cube_init(xn_init_writer *w)
{
    xn_h5 *h5 = NULL;
    xn_lcls_cube c;
    char monitor[XN_KEY_LENGTH] = "";
    xani_status st = xn_h5_open(w->ctx, w->first->file[0], &h5);
    if (st == XANI_OK) st = xn_lcls_cube_look(w->ctx, h5, NULL, &c);
    bool found = st == XANI_OK;
    note(w, st);
    if (found) xn_lcls_cube_monitor(w->ctx, h5, monitor);
    xn_text_quoted(&w->text, 2, "frames", found ? c.detector : NULL, found ? NULL : "the detector of <detector>_data");
    xn_text_quoted(&w->text, 2, "i0", monitor[0] != '\0' ? monitor : NULL, "the monitor that frames are divided by");
    xn_clear_error(w->ctx);
    xn_h5_close(&h5);
}

void xn_lcls2_cube_init(xn_init_writer *w)
{
    xn_h5 *h5 = NULL;
    xn_text *t = &w->text;
    xn_lcls2_cube c = {.motor = ""};
    char frames[XN_KEY_LENGTH] = "", value[64];
    xani_status st = xn_h5_open(w->ctx, w->first->file[0], &h5);
    if (st == XANI_OK) xn_lcls2_cube_frames(w->ctx, h5, frames);
    if (frames[0] != '\0') st = xn_lcls2_cube_look(w->ctx, h5, frames, NULL, &c);
    note(w, st);
    if (c.motor[0] != '\0') {
        xn_text_add(t, "    parts:\n      - ");
        xn_text_quoted(t, 0, "source", c.motor, "the motor that was scanned");
        xn_text_entry(t, 8, "scale_ps", xn_text_number(value, xn_lcls2_motor_scale(c.motor)), "ps per unit; check");
        xn_text_entry(t, 8, "origin", "0", "the reading that counts as zero");
    }
    xn_text_quoted(t, 2, "frames", frames[0] != '\0' ? frames : NULL, "sums of the detector, below each label");
    xn_text_entry(t, 2, "i0", NULL, "the monitor that frames are divided by, below a label (ipm2/sum)");
    if (c.n_labels > 0 && c.on[0] != '\0') xn_text_quoted(t, 2, "laser", c.on, "label of the laser-on sums");
    xn_clear_error(w->ctx);
    xn_h5_close(&h5);
}
