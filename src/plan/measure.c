// SPDX-License-Identifier: BSD-3-Clause
// measure.c -- brightness, noise, intensity and shots from a cube: one that is there, or one made of the first shots.
//
// All from the sums of laser-off shots, where nothing oscillates.  Of a group, I - R I0 has the variance
//   var = mu + G n^2 + (1 + v) m^2 mu^2
// so the pixel's noise n follows from var - mu, weighted by the inverse of its own variance 2 mu^2/(shots - 1); it is
// taken only where it stands out by three standard errors.  The monitor's error m follows in the same way from the
// photons of whole frames, whose counting noise is nothing.  What a shot table adds without frames being read: the
// number of used shots in each bin and how far their delays spread there.
#include <math.h>
#include <string.h>

#include "plan/plan.h"
#include "reduce/reduce.h"
#include "source/source.h"

#define PROBE_SHOTS 400   // reduced to measure the brightness
#define SWISSFEL_HZ 100.0 // pulse ids count at this rate there
#define HOT 5.0           // times Poisson: not noise of a good pixel

static const char first_shots[] = "first shots";

// ---- from sums

// Photons per pixel of every group, NaN where masked; their median.
static xani_status brightness(xn_plan *p, int run, const xn_cube *c, const char *where)
{
    int64_t n = c->ny * c->nx;
    double *work = xn_alloc((size_t)n, sizeof *work), typical;
    float *each = xn_alloc((size_t)n, sizeof *each);
    if (work == NULL || each == NULL) {
        xn_free(work);
        xn_free(each);
        return xn_fail_memory(p->ctx, "the mean frame", (size_t)n * 12);
    }
    for (int64_t i = 0; i < n; i++) {
        each[i] = c->mask[i] == 0 ? c->mean_frame[i] / (float)(c->spatial_bin * c->spatial_bin) : NAN;
        work[i] = (double)each[i];
    }
    typical = xn_plan_median(work, n);
    xn_free(work);
    if (run == 0) xn_plan_measured(p, XN_PLAN_PHOTONS, typical, where);
    bool same = p->has_scene && p->scene.ny == c->ny && p->scene.nx == c->nx && c->spatial_bin == p->bin;
    bool given = strcmp(p->value[XN_PLAN_PHOTONS].from, where) != 0 && run == 0;
    if (same && !given && p->measured[run] == NULL)
        p->measured[run] = each;
    else
        xn_free(each);
    return XANI_OK;
}

static double rms_of_i0(const xn_sums *s, double *shots)
{
    double n = 0.0, m1 = 0.0, m2 = 0.0;
    for (int b = 0; b < s->nbins; b++) {
        n += (double)s->shots[b];
        m1 += (double)s->i0_sum[b];
        m2 += (double)s->i0_sq_sum[b];
    }
    *shots = n;
    return n > 1.0 && m1 > 0.0 ? sqrt(fmax(n * m2 / (m1 * m1) - 1.0, 0.0)) : NAN;
}

// m from the photons of whole laser-off frames.
static double monitor_rms(const xn_shots *s)
{
    const double *photons = xn_shots_find(s, XN_COLUMN_PHOTONS);
    double n = 0.0, w = 0.0, w2 = 0.0, i = 0.0, i2 = 0.0, cross = 0.0;
    for (int64_t k = 0; photons != NULL && k < s->n; k++) {
        if (s->verdict[k] != XN_CUT_NONE || s->laser[k] != XN_LASER_OFF || !isfinite(photons[k])) continue;
        n++;
        w += s->i0[k];
        w2 += s->i0[k] * s->i0[k];
        i += photons[k];
        i2 += photons[k] * photons[k];
        cross += photons[k] * s->i0[k];
    }
    if (n < 20.0 || !(w > 0.0) || !(i > 0.0)) return NAN;
    double r = i / w, var = (i2 - 2.0 * r * cross + r * r * w2) / (n - 1.0), mean = i / n;
    double square = (var - mean) / (mean * mean) / (n * w2 / (w * w));
    return square > 0.0 ? sqrt(square) : 0.0;
}

// n of a pixel, from the scatter of each group; NaN where it does not stand out.
static double noise_of(const xn_plan *p, const xn_cube *c)
{
    const xn_sums *s = &c->off;
    double n = (double)s->shots[0], m1 = (double)s->i0_sum[0], m2 = (double)s->i0_sq_sum[0], above = 0.0, weight = 0.0,
           scatter = 0.0, pixels = (double)c->spatial_bin * c->spatial_bin;
    double i0 = xn_plan_v(p, XN_PLAN_I0), monitor = xn_plan_v(p, XN_PLAN_MONITOR);
    double common = isfinite(monitor) ? (1.0 + i0 * i0) * monitor * monitor : 0.0;
    const double unit = XN_PHOTON_SCALE / xn_photon_scale2(c->spatial_bin); // of w, in those of v
    if (n < 20.0 || s->s2 == NULL) return NAN;
    for (int64_t g = 0; g < s->npix; g++) {
        double s1 = (double)s->s1[g], mu = s1 / XN_PHOTON_SCALE / n, r = s1 / m1;
        if (c->mask[g] != 0 || !(mu > 0.0)) continue;
        double sum = (double)s->s2[g] * unit * unit - 2.0 * r * (double)s->x[g] * unit + r * r * m2;
        double var = sum / (n - 1.0) / (XN_PHOTON_SCALE * XN_PHOTON_SCALE), w = 1.0 / (mu * mu);
        if (var > HOT * mu + common * mu * mu) continue;
        above += w * (var - mu - common * mu * mu);
        weight += w * pixels;
        scatter += 2.0 * w / (n - 1.0);
    }
    return above > 3.0 * sqrt(scatter) ? sqrt(above / weight) : NAN;
}

// What was binned before is used: which shots were not, nobody knows.
static void binned_shots(xn_plan *p, double on, double on_used, double off, const char *where)
{
    if (!(on > 0.0) || !(off > 0.0)) return;
    xn_plan_measured(p, XN_PLAN_SHOTS, rint(on + off), where);
    xn_plan_measured(p, XN_PLAN_OFF, off / (on + off), where);
    xn_plan_measured(p, XN_PLAN_USED, on_used / on, where);
}

xani_status xn_plan_from_cube(xn_plan *p, int run, const xn_cube *c, const char *where)
{
    double on = 0.0, off = 0.0;
    if (c->mean_frame != NULL) XN_TRY(brightness(p, run, c, where));
    if (c->off.s1 == NULL && c->on_count != NULL && run == 0) {
        for (int b = 0; b < c->nbins; b++) on += c->on_count[b];
        binned_shots(p, on, on, c->off_count, where);
    }
    if (c->off.s1 == NULL || run > 0) return XANI_OK;
    double v_off = rms_of_i0(&c->off, &off), v_on = rms_of_i0(&c->on, &on);
    xn_plan_measured(p, XN_PLAN_I0, sqrt((on * v_on * v_on + off * v_off * v_off) / (on + off)), where);
    xn_plan_measured(p, XN_PLAN_MONITOR, monitor_rms(&c->shots), where);
    xn_plan_measured(p, XN_PLAN_NOISE, noise_of(p, c), where);
    xn_plan_measured(p, XN_PLAN_TIMING, c->time_resolution_ps, where);
    return XANI_OK;
}

// ---- from a shot table

// rms of what the time tool corrects, of used laser-on shots.
static double jitter_of(const xn_shots *s)
{
    const double *tool = xn_shots_find(s, XN_COLUMN_TOOL);
    double n = 0.0, sum = 0.0, square = 0.0;
    for (int64_t i = 0; tool != NULL && i < s->n; i++) {
        if (s->verdict[i] != XN_CUT_NONE || s->laser[i] != XN_LASER_ON || !isfinite(tool[i])) continue;
        n++;
        sum += tool[i];
        square += tool[i] * tool[i];
    }
    return n > 1.0 ? sqrt(fmax((square - sum * sum / n) / (n - 1.0), 0.0)) : NAN;
}

xani_status xn_plan_shots(xn_plan *p, const xn_shots *s, int n, const double *edges, const char *where)
{
    double *count = xn_calloc(3 * (size_t)n, sizeof *count), *sum, *square;
    if (count == NULL) return xn_fail_memory(p->ctx, "the shots of the bins", (size_t)n * 24);
    sum = count + n;
    square = count + 2 * n;
    double on = 0.0, off = 0.0, used = 0.0, spread = 0.0, freedom = 0.0, gap = INFINITY;
    for (int64_t i = 0; i < s->n; i++) {
        on += s->laser[i] == XN_LASER_ON;
        off += s->laser[i] == XN_LASER_OFF;
        if (i > 0 && s->pulse_id[i] != s->pulse_id[i - 1]) // a repeated id is no gap
            gap = fmin(gap, (double)(s->pulse_id[i] - s->pulse_id[i - 1]));
        int b = s->bin[i];
        if (s->verdict[i] != XN_CUT_NONE || b < 0 || b >= n) continue;
        double d = s->delay_ps[i] - edges[b];
        count[b]++;
        sum[b] += d;
        square[b] += d * d;
        used++;
    }
    for (int b = 0; b < n; b++)
        if (count[b] > 1.0) {
            spread += square[b] - sum[b] * sum[b] / count[b];
            freedom += count[b] - 1.0;
        }
    xn_plan_measured(p, XN_PLAN_SHOTS, (double)s->n, where);
    if (on + off > 0.0) xn_plan_measured(p, XN_PLAN_OFF, off / (on + off), where);
    if (on > 0.0) xn_plan_measured(p, XN_PLAN_USED, used / on, where);
    if (xn_config_string(p->config, "input.layout") != NULL &&
        strcmp(xn_config_string(p->config, "input.layout"), "swissfel") == 0 && isfinite(gap))
        xn_plan_measured(p, XN_PLAN_RATE, SWISSFEL_HZ / gap, where);
    if (isnan(p->jitter_rms_ps)) p->jitter_rms_ps = jitter_of(s);
    double width = freedom > 0.0 ? sqrt(12.0 * spread / freedom) : (edges[n] - edges[0]) / n;
    const bool bins = used > 0.0 && !(p->fill && p->trace.n > 0);
    xani_status st = bins ? xn_plan_bins(p, n, edges, count, width) : XANI_OK;
    xn_free(count);
    return st;
}

static xani_status select_all(xn_plan *p, xn_source *s)
{
    xn_cutflow flow = {0};
    double *edges = NULL;
    int n = 0;
    XN_TRY(xn_select(p->ctx, p->config, &s->shots, &flow, &edges, &n));
    xani_status st = xn_plan_shots(p, &s->shots, n, edges, "shot table");
    xn_cutflow_free(&flow);
    xn_free(edges);
    return st;
}

// The first shots in one bin.
static xani_status reduce_few(xn_plan *p, int run)
{
    xn_config *c = NULL;
    xn_source *s = NULL;
    xn_cube cube = {0};
    char few[64];
    snprintf(few, sizeof few, "select.max_shots=%d", PROBE_SHOTS);
    const char *const settings[] = {"reduce.delay_bins_ps={edges: [-1e9, 1e9]}", "reduce.off={mode: all}", few};
    xani_status st;
    XN_GOTO(out, st, xn_config_copy(p->ctx, p->config, &c));
    for (int i = 0; i < 3; i++) XN_GOTO(out, st, xani_config_assign(p->ctx, c, settings[i]));
    XN_GOTO(out, st, xn_source_open(p->ctx, c, run, &s));
    XN_GOTO(out, st, xn_reduce(p->ctx, c, s, &cube));
    st = xn_plan_from_cube(p, 0, &cube, first_shots);
out:
    xn_cube_free(&cube);
    xn_source_close(&s);
    xani_config_destroy(&c);
    return st;
}

// Shots and delays of a cube that was binned before; its delays are its own unless edges rebin it.
static xani_status binned_facts(xn_plan *p, const xn_binned_facts *f)
{
    binned_shots(p, f->on, f->on_used, f->off, "counts of the cube");
    if (p->fill && p->trace.n > 0) return XANI_OK;
    if (f->bins < 2 || f->delay_ps == NULL || xn_config_has(p->config, "reduce.delay_bins_ps.edges")) return XANI_OK;
    return xn_plan_bins_between(p, (int)f->bins, f->delay_ps, f->shots);
}

xani_status xn_plan_probe(xn_plan *p)
{
    xn_source *s = NULL;
    int run = xn_source_runs(p->config) > 0 ? 0 : -1;
    XN_TRY(xn_source_open(p->ctx, p->config, run, &s));
    bool binned = s->ops->read_frame == NULL; // single shots are not known
    xani_status st = XANI_OK;
    if (binned) st = binned_facts(p, &s->binned);
    if (!binned && xn_config_has(p->config, "reduce.delay_bins_ps")) st = select_all(p, s);
    xn_source_close(&s);
    return st == XANI_OK && !binned ? reduce_few(p, run) : st;
}
