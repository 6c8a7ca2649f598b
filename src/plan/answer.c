// SPDX-License-Identifier: BSD-3-Clause
// answer.c -- the plan as JSON: tables for people, numbers for pictures and programs, and what follows in words.
//
// rho and the precision of f grow with the root of the shots, which says how many a mode needs.  `best` is the
// tenth of the pixel groups where a mode is clearest, `median` half of them.
#include <math.h>
#include <string.h>

#include "fit/plan.h"
#include "physics/crystal.h"
#include "plan/plan.h"

#define BOX_TENTH 0.2505 // f dt at which averaging over a box costs 10 % of an amplitude
#define TIMING_ROWS 16
#define ANY_TOP_THZ 20.0 // of the table of timing, where the crystal's highest frequency is not known
#define SEEN_AT_ALL 0.01 // share of the groups

void xn_plan_set(json_t *o, const char *key, double v)
{
    json_object_set_new(o, key, isfinite(v) ? json_real(v) : json_null());
}

// To five digits: what is predicted is not known better, and tables are read.
static void set(json_t *o, const char *key, double v)
{
    double unit = v != 0.0 && isfinite(v) ? pow(10.0, floor(log10(fabs(v))) - 4.0) : 1.0;
    xn_plan_set(o, key,
                isfinite(v) && v != 0.0 ? (unit < 1.0 ? rint(v / unit) / rint(1.0 / unit) : rint(v / unit) * unit) : v);
}

static void set_count(json_t *o, const char *key, double v)
{
    json_object_set_new(o, key, isfinite(v) && v < 9e18 ? json_integer((json_int_t)v) : json_null());
}

static json_t *inputs(const xn_plan *p)
{
    json_t *rows = json_array();
    for (int i = 0; i < XN_PLAN_VALUES; i++) {
        json_t *o = json_pack("{s:s}", "quantity", xn_plan_name((xn_plan_what)i));
        set(o, "value", p->value[i].value);
        json_object_set_new(o, "from", json_string(isnan(p->value[i].value) ? "unknown" : p->value[i].from));
        json_array_append_new(rows, o);
    }
    return rows;
}

// ---- delays

// Highest phonon frequency: as given, of the crystal, else the highest of its elements; NaN: unknown.
static double highest_phonon(const xn_plan *p)
{
    double top = p->max_thz, given = xn_config_double(p->config, "map.crystal.max_thz");
    char key[XN_KEY_LENGTH];
    if (!isnan(given)) return given;
    for (int i = 0; isnan(p->max_thz) && i < xn_config_count(p->config, "map.crystal.basis"); i++) {
        const char *element = xn_config_string(p->config, xn_key(key, "map.crystal.basis[%d].element", i));
        if (element != NULL) top = fmax(top, xn_element_max_thz(element));
    }
    return top;
}

// Pairs of phonons oscillate twice as fast as phonons.
static bool aliases(double step_ps, double top_thz) { return step_ps > (1.0 + 1e-9) / (4.0 * top_thz); }

static void delays(const xn_plan *p, json_t *o)
{
    double top = highest_phonon(p), step = p->trace.n > 0 ? p->trace.step_ps : NAN;
    double span = p->trace.end_ps - p->trace.begin_ps;
    xn_plan_set(o, "delay_step_ps", step);
    xn_plan_set(o, "nyquist_thz", 1.0 / (2.0 * step));
    xn_plan_set(o, "highest_phonon_thz", top);
    xn_plan_set(o, "largest_step_without_aliasing_ps", 1.0 / (4.0 * top));
    xn_plan_set(o, "largest_step_without_loss_ps", BOX_TENTH / (2.0 * top));
    bool known = isfinite(step) && isfinite(top), aliased = known && aliases(step, top);
    json_object_set_new(o, "delay_step", json_string(!known ? "unknown" : aliased ? "aliased" : "fine"));
    if (aliased)
        xn_warn(p->ctx,
                "reduce.delay_bins_ps.step: %g ps aliases pairs of phonons above %.2f THz; at most %.4f ps is needed",
                step, 1.0 / (4.0 * step), 1.0 / (4.0 * top));
    xn_plan_set(o, "frequency_resolution_thz", p->trace.n > 0 ? 1.0 / span : NAN);
    set_count(o, "delays_used", p->trace.n > 0 ? p->trace.n : NAN);
    xn_plan_set(o, "significance_threshold", p->trace.n > 0 ? p->trace.threshold : NAN);
    xn_plan_set(o, "certainty", p->certainty);
    xn_plan_set(o, "rho_needed", p->rho_needed);
}

static json_t *timing(const xn_plan *p)
{
    json_t *rows = json_array();
    double top = isfinite(p->max_thz) ? 2.0 * p->max_thz : ANY_TOP_THZ, step = top / TIMING_ROWS;
    double nice = pow(10.0, floor(log10(step))), ratio = step / nice;
    step = nice * (ratio < 1.5 ? 1.0 : ratio < 3.5 ? 2.0 : ratio < 7.5 ? 5.0 : 10.0);
    for (int k = 1; k * step < top + step; k++) {
        double f = k * step;
        double clock = xn_plan_clock(f, xn_plan_v(p, XN_PLAN_TIMING));
        double box = p->trace.n > 0 ? fabs(xn_plan_box(f, p->trace.width_ps)) : NAN;
        double left = isnan(box) ? clock : clock * box;
        json_t *o = json_object();
        set(o, "frequency_thz", f);
        set(o, "timing_factor", clock);
        set(o, "bin_factor", box);
        set(o, "amplitude_left", left);
        set(o, "times_the_shots", 1.0 / (left * left));
        if (isfinite(p->jitter_rms_ps))
            set(o, "without_time_tool",
                xn_plan_clock(f, hypot(p->jitter_rms_ps, xn_plan_v(p, XN_PLAN_TIMING))) * (isnan(box) ? 1.0 : box));
        json_array_append_new(rows, o);
    }
    return rows;
}

// ---- modes

// need: times the used laser-on shots of the outcomes.
static double shots_for(const xn_plan *p, double need)
{
    return ceil(xn_plan_reference(p) * need / ((1.0 - xn_plan_v(p, XN_PLAN_OFF)) * xn_plan_v(p, XN_PLAN_USED)));
}

// Over the groups: share-th smallest of |amplitude| in the pixel, or of f/2. v: room for the groups.
static double over_groups(const xn_plan *p, double *v, int b, bool amplitude, double share)
{
    int64_t n = 0;
    for (int64_t i = 0; i < p->n_groups; i++) {
        const xn_plan_sight *s = &p->sight[i * p->branches + b];
        if (!(s->f_thz > 0.0)) continue;
        v[n++] = amplitude ? fabs(s->amplitude) * p->group[i].dilution * p->amplitude_scale : 0.5 * s->f_thz;
    }
    return xn_plan_quantile(v, n, share);
}

static json_t *modes(const xn_plan *p, double *work)
{
    json_t *rows = json_array();
    for (int b = 0; b < p->branches; b++) {
        json_t *o = json_pack("{s:i}", "branch", b + 1);
        set(o, "nu_thz", over_groups(p, work, b, false, 0.5));
        set(o, "nu_lowest_thz", over_groups(p, work, b, false, 0.0));
        set(o, "nu_highest_thz", over_groups(p, work, b, false, 1.0));
        set(o, "amplitude_median", over_groups(p, work, b, true, 0.5));
        set(o, "amplitude_best", over_groups(p, work, b, true, 0.9));
        set(o, "damping_per_ps", p->damping_per_ps[b]);
        json_object_set_new(o, "damping_from", json_string(p->damping_from[b]));
        set(o, "timing_left", p->now ? p->now[b].clock : NAN);
        set(o, "grouping_left", p->now ? p->now[b].spread : NAN);
        json_array_append_new(rows, o);
    }
    return rows;
}

static void set_outcome(const xn_plan *p, const xn_plan_outcome *r, bool snr, json_t *o)
{
    bool shots = isfinite(xn_plan_on_shots(p));
    double rate = xn_plan_v(p, XN_PLAN_RATE), best = shots_for(p, r->need_best), median = shots_for(p, r->need_median);
    set(o, "rho_best", shots ? r->rho_best : NAN);
    set(o, "rho_median", shots ? r->rho_median : NAN);
    if (snr) set(o, "significance_best", shots ? xn_plan_mean_significance(r->rho_best) : NAN);
    if (snr) set(o, "significance_median", shots ? xn_plan_mean_significance(r->rho_median) : NAN);
    if (snr) set(o, "amplitude_snr_best", shots ? r->snr_best : NAN);
    if (snr) set(o, "amplitude_snr_median", shots ? r->snr_median : NAN);
    set(o, "sigma_nu_thz", r->sigma_nu_thz);
    if (snr) set(o, "common_noise", r->common);
    set(o, "share", r->share);
    set(o, "found", r->groups > 0.0 ? r->found : NAN);
    set_count(o, "groups", r->groups > 0.0 ? rint(r->groups) : NAN);
    set_count(o, "shots_best", best);
    set_count(o, "shots_median", median);
    set(o, "seconds_best", best / rate);
    set(o, "seconds_median", median / rate);
}

static json_t *significance(const xn_plan *p)
{
    json_t *rows = json_array();
    for (int b = 0; p->now != NULL && b < p->branches; b++) {
        json_t *o = json_pack("{s:i}", "branch", b + 1);
        set_outcome(p, &p->now[b], true, o);
        json_array_append_new(rows, o);
    }
    return rows;
}

// Of each group the branch that is clearest: what index 0 of `mode` will hold.
static json_t *clearest(const xn_plan *p)
{
    json_t *o = json_object();
    if (p->now != NULL && p->has_crystal) set_outcome(p, &p->now[p->branches], true, o);
    return o;
}

static json_t *budget(const xn_plan *p, double *work)
{
    json_t *rows = json_array();
    double photons = xn_plan_v(p, XN_PLAN_PHOTONS);
    for (int k = 0; k < XN_PLAN_GROUPINGS && p->outcome[k] != NULL; k++)
        for (int b = 0; b < p->branches; b++) {
            const xn_plan_outcome *r = &p->outcome[k][b];
            int n = 1 << k;
            json_t *o = json_pack("{s:i, s:i}", "spatial_bin", n, "branch", b + 1);
            set(o, "amplitude", over_groups(p, work, b, true, 0.5));
            set(o, "photons_per_group_and_bin",
                ceil(xn_plan_reference(p) * r->need_median / p->n_bins * photons * n * n));
            set(o, "grouping_left", r->spread);
            set_outcome(p, r, false, o);
            json_array_append_new(rows, o);
        }
    return rows;
}

// ---- grouping

// How well a grouping does: mean share of groups in which a branch is found, or, where the shots are not known, minus
// the mean logarithm of the shots needed.
static double merit(const xn_plan *p, const xn_plan_outcome *r)
{
    double sum = 0.0;
    int n = 0;
    bool shots = isfinite(xn_plan_on_shots(p));
    for (int b = 0; b < p->branches; b++) {
        if (!(r[b].rho_best > 0.0)) continue;
        sum += shots ? r[b].share : 2.0 * log(r[b].rho_best);
        n++;
    }
    return n > 0 ? sum / n : NAN;
}

static json_t *grouping(const xn_plan *p, int *advised)
{
    json_t *rows = json_array();
    double best = -INFINITY, edge = p->has_scene ? xn_scene_footprint(&p->scene) / p->bin : NAN;
    *advised = 0;
    for (int k = 0; k < XN_PLAN_GROUPINGS && p->outcome[k] != NULL; k++) best = fmax(best, merit(p, p->outcome[k]));
    for (int k = 0; k < XN_PLAN_GROUPINGS && p->outcome[k] != NULL; k++) {
        const xn_plan_outcome *r = p->outcome[k];
        double m = merit(p, r), found = 0.0;
        json_t *o = json_pack("{s:i}", "spatial_bin", 1 << k);
        for (int b = 0; b < p->branches; b++) found += r[b].found;
        bool known = r[0].groups > 0.0; // without a detector only shares are
        set_count(o, "groups", known ? rint(r[0].groups) : NAN);
        set(o, "edge_inv_ang", edge * (1 << k));
        set(o, "found", known ? found : NAN);
        set(o, "found_per_group", found / r[0].groups);
        json_array_append_new(rows, o);
        bool shots = isfinite(xn_plan_on_shots(p));
        if (*advised == 0 && m >= (shots ? 0.95 * best : best - 0.1) && isfinite(m)) *advised = 1 << k;
    }
    return rows;
}

// ---- in words

static void say(json_t *list, char *text)
{
    if (text != NULL) json_array_append_new(list, json_pack("{s:s}", "text", text));
    xn_free(text);
}

// What keeps a mode from being seen; NULL: its strength.
static char *why_not(const xn_plan *p, int b)
{
    const double *band = p->trace.band_thz, nyquist = 0.5 / p->trace.step_ps, damping = p->damping_per_ps[b];
    const double most = XN_FIT_DAMPING_MOST * p->trace.n / (p->trace.end_ps - p->trace.begin_ps);
    double f = NAN; // the first group's that has one
    for (int64_t i = 0; i < p->n_groups && !(f > 0.0); i++) f = p->sight[i * p->branches + b].f_thz;
    if (f > nyquist)
        return xn_format("%.3g THz lies above the highest frequency of these delays, %.3g THz", f, nyquist);
    if (f < band[0] || f > band[1])
        return xn_format("%.3g THz lies outside of the band that is searched, %.3g to %.3g THz", f, band[0], band[1]);
    if (damping >= most) return xn_format("it decays too fast for these delays, by more than %.3g per ps", most);
    if (p->now[b].clock * p->now[b].clock < 0.1) return xn_format("timing and bins leave too little of it");
    return NULL;
}

static void say_modes(const xn_plan *p, json_t *list)
{
    for (int b = 0; p->now != NULL && b < p->branches; b++) {
        const xn_plan_outcome *r = &p->now[b];
        if (isnan(r->share)) continue;
        if (!(r->share > SEEN_AT_ALL)) {
            char *why = why_not(p, b);
            say(list, xn_format("branch %d is not seen with %.0f shots%s%s", b + 1, xn_plan_v(p, XN_PLAN_SHOTS),
                                why != NULL ? ": " : "", why != NULL ? why : ""));
            xn_free(why);
        } else
            say(list, xn_format("branch %d is seen in %.0f %% of the pixel groups, sigma of nu %.3g THz", b + 1,
                                100.0 * r->share, r->sigma_nu_thz));
    }
}

static void say_unknown(const xn_plan *p, json_t *list)
{
    if (isnan(xn_plan_v(p, XN_PLAN_PHOTONS)))
        say(list, xn_format("the brightness is not known: give plan.photons, or raw files"));
    if (p->trace.n == 0) say(list, xn_format("no delays that a fit could use: give reduce.delay_bins_ps"));
    if (!p->has_crystal && p->trace.n > 0)
        say(list,
            xn_format("no force constants are known (map.force_constants.file): every pixel is taken to be alike"));
    if (isnan(xn_plan_v(p, XN_PLAN_SHOTS)))
        say(list, xn_format("the number of shots is not known: how many are needed is said, not what is found"));
    if (p->amplitude_from != NULL && strcmp(p->amplitude_from, "assumed") == 0)
        say(list, xn_format("amplitudes are assumed: give %s", p->has_crystal ? "plan.softening" : "plan.modes"));
}

static void say_delays(const xn_plan *p, json_t *list)
{
    double step = p->trace.step_ps, top = highest_phonon(p);
    if (p->trace.n > 0 && aliases(step, top))
        say(list, xn_format("delays %.4g ps apart alias pairs of phonons above %.3g THz: take steps of at most %.4g ps",
                            step, 1.0 / (4.0 * step), 1.0 / (4.0 * top)));
}

static void say_noise(const xn_plan *p, json_t *list)
{
    double common = p->now != NULL && p->has_crystal ? p->now[p->branches].common : NAN;
    if (common > 0.5)
        say(list, xn_format("%.0f %% of the noise is the same in all pixels (timing, monitor): more light or larger "
                            "groups do not lessen it, more shots do",
                            100.0 * common));
}

static json_t *words(const xn_plan *p, int advised)
{
    json_t *list = json_array();
    say_unknown(p, list);
    say_modes(p, list);
    say_delays(p, list);
    say_noise(p, list);
    if (advised > 0 && p->trace.n > 0 && !isnan(xn_plan_v(p, XN_PLAN_PHOTONS)))
        say(list, xn_format(advised == p->bin ? "the grouping, %d x %d pixels, is as good as any"
                                              : "group %d x %d pixels (reduce.spatial_bin)",
                            advised, advised));
    return list;
}

xani_status xn_plan_answer(const xn_plan *p, json_t *o)
{
    int advised;
    double *work = xn_alloc((size_t)p->n_groups + 1, sizeof *work);
    if (work == NULL) return xn_fail_memory(p->ctx, "the pixel groups", (size_t)p->n_groups * sizeof *work);
    json_t *groupings = grouping(p, &advised);
    json_object_set_new(o, "conclusions", words(p, advised));
    json_object_set_new(o, "inputs", inputs(p));
    xn_plan_set(o, "photons_per_pixel_and_shot", xn_plan_v(p, XN_PLAN_PHOTONS));
    set(o, "laser_on_fraction", 1.0 - xn_plan_v(p, XN_PLAN_OFF));
    set(o, "shots_per_second", xn_plan_v(p, XN_PLAN_RATE));
    set_count(o, "shots_planned", xn_plan_v(p, XN_PLAN_SHOTS));
    set(o, "jitter_rms_ps", p->jitter_rms_ps);
    set(o, "sigma_measured", p->sigma_measured);
    set(o, "sigma_expected", p->sigma_expected);
    delays(p, o);
    json_object_set_new(o, "force_constants", json_boolean(p->has_crystal));
    json_object_set_new(o, "amplitudes_from", json_string(p->amplitude_from != NULL ? p->amplitude_from : "unknown"));
    set(o, "amplitude_scale", p->amplitude_scale);
    set(o, "frequency_scale", p->frequency_scale);
    json_object_set_new(o, "spatial_bin", json_integer(p->bin));
    json_object_set_new(o, "spatial_bin_advised", advised > 0 ? json_integer(advised) : json_null());
    json_object_set_new(o, "modes", modes(p, work));
    json_object_set_new(o, "significance", significance(p));
    json_object_set_new(o, "clearest", clearest(p));
    json_object_set_new(o, "grouping", groupings);
    json_object_set_new(o, "budget", budget(p, work));
    json_object_set_new(o, "timing", timing(p));
    if (json_array_size(p->results) > 0) json_object_set(o, "results", p->results);
    xn_free(work);
    return XANI_OK;
}
