// SPDX-License-Identifier: BSD-3-Clause
// init_raw.c -- what `xani init` writes about runs of shots, of any layout: input, select, delay bins.
//
// Delay bins of equal counts are proposed because start and stop follow from sign and zero of the delay, which
// no file knows.  A time tool is proposed as a comment: without its calibration it would be worse than none.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "source/survey/init_parts.h"

#define FINE_BIN_PS 0.03 // resolves 16 THz
#define SHOTS_PER_BIN 4  // at least, for an error of the mean
#define BINS_LEAST 20
#define BINS_MOST 1000

// ---- input

static void other_channels(xn_init_writer *w, int indent, xn_role role, int chosen, const char *what)
{
    xn_text *t = &w->text;
    const xn_run_facts *f = &w->facts;
    for (int i = 0; i < f->n_channels; i++) {
        const xn_channel_facts *c = &f->channel[i];
        char low[64], high[64];
        if (c->role != role || i == chosen || (role == XN_ROLE_DELAY && i == f->stage_too) || !c->scalar ||
            c->matched == 0)
            continue;
        const bool moves = role == XN_ROLE_DELAY && c->distinct > 1;
        xn_text_add(t, "%*s# %s%s: %s, %s ... %s%s\n", indent, "", moves ? "FILL IN: " : "", what, c->name,
                    xn_text_about(low, c->min), xn_text_about(high, c->max),
                    moves ? "; it moves too: one more part, if it delays the laser" : "");
    }
}

static void put_i0(xn_init_writer *w)
{
    xn_text *t = &w->text;
    const xn_run_facts *f = &w->facts;
    char comment[256], a[64], b[64], m[64];
    if (f->i0 >= 0) {
        const xn_channel_facts *c = &f->channel[f->i0];
        snprintf(comment, sizeof comment, "median %s; 99 %% of the shots are between %s and %s",
                 xn_text_about(m, c->median), xn_text_about(a, c->low), xn_text_about(b, c->high));
    }
    xn_text_quoted(t, 2, "i0", f->i0 >= 0 ? f->channel[f->i0].name : NULL,
                   f->i0 >= 0 ? comment : "channel of the incoming intensity");
    other_channels(w, 2, XN_ROLE_I0, f->i0, "other intensity");
}

static void put_laser(xn_init_writer *w)
{
    const xn_run_facts *f = &w->facts;
    char comment[XN_KEY_LENGTH + 128];
    bool found = f->rule[0] != '\0';
    if (found)
        snprintf(comment, sizeof comment, "%lld shots on, %lld off, %lld dark; other rules: %s", (long long)f->on,
                 (long long)f->off, (long long)f->dark, f->other_rules);
    else
        snprintf(comment, sizeof comment, "none of these tells on from off here: %s", f->other_rules);
    xn_text_entry(&w->text, 2, "laser", found ? f->rule : NULL, comment);
    xn_text_add(&w->text, "%s", f->more);
}

// ps per unit of a stage: as its facility counts, else of one in mm; NAN: by its name it is no stage.
static double stage_scale(const xn_init_writer *w, const xn_channel_facts *c)
{
    if (!strcasestr(c->name, "MOT") && !strcasestr(c->name, "STAGE")) return NAN;
    return w->first->layout->stage_unit != NULL ? w->first->layout->stage_ps : XN_STAGE_PS_PER_MM;
}

static double scale_of(const xn_init_writer *w, const xn_channel_facts *c)
{
    return isfinite(c->scale_ps) ? c->scale_ps : stage_scale(w, c);
}

// Where the files do not tell it and the facility counts in mm always, "check" is enough.
static void put_scale(xn_init_writer *w, const xn_channel_facts *c)
{
    char value[64], comment[256];
    const char *unit = w->first->layout->stage_unit;
    const double scale = c != NULL ? stage_scale(w, c) : NAN;
    if (c != NULL && isfinite(c->scale_ps)) {
        xn_text_entry(&w->text, 8, "scale_ps", xn_text_number(value, c->scale_ps), "ps per unit; check");
    } else if (isfinite(scale)) {
        const bool always = unit != NULL && strcmp(unit, "mm") == 0;
        snprintf(comment, sizeof comment, "%sps per unit: a stage in %s, light path there and back%s",
                 always ? "" : "FILL IN: ", unit != NULL ? unit : "mm", always ? "; check" : "");
        xn_text_entry(&w->text, 8, "scale_ps", xn_text_number(value, scale), comment);
    } else {
        xn_text_entry(&w->text, 8, "scale_ps", "1", "FILL IN: ps per unit of the reading");
    }
}

// One part of the delay. Readings in units that the layout knows have their zero where they say.
static void put_part(xn_init_writer *w, const xn_channel_facts *c)
{
    xn_text *t = &w->text;
    char value[64], comment[256], a[64], b[64];
    const bool known = c != NULL && isfinite(c->scale_ps);
    xn_text_add(t, "      - ");
    if (c == NULL) {
        xn_text_entry(t, 0, "source", NULL, "channel of the delay stage, encoder or phase shifter");
    } else {
        snprintf(comment, sizeof comment, "%lld positions from %s to %s", (long long)c->distinct,
                 xn_text_about(a, c->min), xn_text_about(b, c->max));
        xn_text_quoted(t, 0, "source", c->name, comment);
    }
    put_scale(w, c);
    if (known)
        xn_text_entry(t, 8, "origin", "0", "the reading that counts as zero");
    else
        xn_text_entry(t, 8, "origin", c ? xn_text_number(value, c->median) : "0",
                      c ? "FILL IN: the reading at time zero; now the middle of the scan"
                        : "FILL IN: the reading at time zero");
}

static void put_stage(xn_init_writer *w)
{
    const xn_run_facts *f = &w->facts;
    xn_text_add(&w->text, "    parts:\n");
    put_part(w, f->stage >= 0 ? &f->channel[f->stage] : NULL);
    if (f->stage_too >= 0) put_part(w, &f->channel[f->stage_too]);
    other_channels(w, 4, XN_ROLE_DELAY, f->stage, "other delay");
}

static void put_time_tool(xn_init_writer *w)
{
    const xn_run_facts *f = &w->facts;
    xn_text *t = &w->text;
    char m[64];
    if (f->edge < 0) return;
    const xn_channel_facts *c = &f->channel[f->edge];
    if (isfinite(c->scale_ps)) {
        xn_text_add(t, "    time_tool:\n");
        xn_text_quoted(t, 6, "source", c->name, "calibrated by the facility");
        xn_text_add(t, "      sign: 1  # check\n      coefficients_ps: [0, %s]\n", xn_text_number(m, c->scale_ps));
        other_channels(w, 4, XN_ROLE_EDGE, f->edge, "other time tool");
        return;
    }
    xn_text_add(t, "    # time_tool:  # FILL IN its calibration and take the # away; without it the jitter stays\n");
    xn_text_add(t, "    #   source: ");
    xn_text_scalar(t, c->name);
    xn_text_add(t, "\n    #   sign: 1\n    #   origin: %s  # the median\n", xn_text_about(m, c->median));
    xn_text_add(t, "    #   coefficients_ps: [0, 0.001]  # c_0, c_1, ... of sum c_k (x - origin)^k\n");
    other_channels(w, 4, XN_ROLE_EDGE, f->edge, "other time tool");
}

void xn_init_scale(xn_init_writer *w)
{
    xn_text_add(&w->text, "  calibration:\n");
    xn_text_entry(&w->text, 4, "kev_per_unit", NULL, "keV per unit of the stored values, or photons_per_unit");
}

void xn_init_raw_input(xn_init_writer *w)
{
    xn_text *t = &w->text;
    const xn_run_facts *f = &w->facts;
    const xn_detector_facts *d = w->detector;
    char comment[256] = "";
    if (w->n_runs == 1) xn_text_files(t, 2, w->first);
    if (d != NULL)
        snprintf(comment, sizeof comment, "%lld frames of %lld x %lld pixels, %s", (long long)d->n, (long long)d->ny,
                 (long long)d->nx, xn_type_name(d->type));
    xn_text_quoted(t, 2, "frames", d ? d->name : NULL, d ? comment : "name of the detector");
    for (int i = 0; i < f->n_detectors; i++)
        if (i != f->chosen) xn_text_add(t, "  # other detector: %s\n", f->detector[i].name);
    put_i0(w);
    put_laser(w);
    xn_init_delay_sign(t);
    put_stage(w);
    put_time_tool(w);
    if (w->first->layout->init_calibration != NULL)
        w->first->layout->init_calibration(w);
    else
        xn_init_scale(w);
}

// ---- select and reduce

void xn_init_raw_select(xn_init_writer *w)
{
    const xn_run_facts *f = &w->facts;
    xn_text *t = &w->text;
    char m[64];
    xn_text_add(t, "\nselect:\n");
    xn_text_add(t, "  # i0: {percentile: [0.5, 99.5]}  # or {min, max}, or {mad: 5}\n");
    if (f->quality >= 0) {
        xn_text_add(t, "  # time_tool: {source: ");
        xn_text_scalar(t, f->channel[f->quality].name);
        xn_text_add(t, ", min: %s}  # FILL IN: laser-on shots only; now half the median\n",
                    xn_text_about(m, f->channel[f->quality].median / 2));
    }
    xn_text_add(t, "  # cuts: [{source: CHANNEL, min: 0, max: 1, name: NAME}]\n");
}

static int64_t bins_for(const xn_run_facts *f, double span_ps)
{
    int64_t positions = f->stage >= 0 ? f->channel[f->stage].distinct : 0;
    int64_t most = xn_max64(BINS_LEAST, xn_min64(f->on / SHOTS_PER_BIN, BINS_MOST)), bins = most;
    if (span_ps > 0 && span_ps < 1e4) bins = xn_max64(BINS_LEAST, (int64_t)(span_ps / FINE_BIN_PS));
    if (positions > 4 && positions * SHOTS_PER_BIN <= f->on) bins = positions;
    // delays that repeat are not split: asking for twice as many gives one bin per position, even where shots are few
    if (positions > 4 && 2 * positions * SHOTS_PER_BIN <= f->on) bins = 2 * positions;
    return xn_max64(1, xn_min64(xn_min64(bins, most), f->on > 0 ? f->on : BINS_LEAST));
}

// Adds what a part of the delay can contribute, as it is written into parts: NAN where its scale is not known.
static void add_range(const xn_init_writer *w, int part, double *lo, double *hi)
{
    if (part < 0) return;
    const xn_channel_facts *c = &w->facts.channel[part];
    const double scale = scale_of(w, c), origin = isfinite(c->scale_ps) ? 0.0 : c->median;
    const double a = scale * (c->min - origin), b = scale * (c->max - origin);
    *lo += isnan(a) ? a : fmin(a, b);
    *hi += isnan(a) ? a : fmax(a, b);
}

void xn_init_raw_bins(xn_init_writer *w)
{
    const xn_run_facts *f = &w->facts;
    xn_text *t = &w->text;
    const xn_channel_facts *s = f->stage >= 0 ? &f->channel[f->stage] : NULL;
    char value[64], a[64], b[64], c[64], d[64], e[64];
    double lo = s ? 0.0 : NAN, hi = lo;
    add_range(w, f->stage, &lo, &hi);
    add_range(w, f->stage_too, &lo, &hi);
    xn_text_add(t, "  delay_bins_ps:\n");
    snprintf(value, sizeof value, "%lld", (long long)bins_for(f, hi - lo));
    xn_text_entry(t, 4, "equal_count", value, "fits any sign and zero; once they are known, rather uniform bins:");
    if (s == NULL || !isfinite(hi)) {
        xn_text_add(t, "    # start: -0.5\n    # stop: 4\n    # step: %s\n", xn_text_about(e, FINE_BIN_PS));
        return;
    }
    const double own = fabs(scale_of(w, s)) * s->step;
    const bool usable = own > FINE_BIN_PS / 10 && own < 10 * FINE_BIN_PS && s->distinct * SHOTS_PER_BIN <= f->on;
    const double step = usable ? rint(own * 1e5) * 1e-5 : FINE_BIN_PS; // as it is written
    lo = floor((usable ? lo - step / 2 : lo) * 1e4) * 1e-4;            // positions in the middle of their bins
    hi = lo + step * (floor((hi - lo) / step + 1e-6) + 1.0);
    xn_text_add(t, "    # start: %s  # with sign 1, zero_ps 0; with sign -1: from %s to %s\n", xn_text_number(a, lo),
                xn_text_number(b, -hi), xn_text_number(c, -lo));
    xn_text_add(t, "    # stop: %s\n    # step: %s%s\n", xn_text_number(d, hi), xn_text_number(e, step),
                usable ? "  # that of the stage, positions in the middle" : "");
}
