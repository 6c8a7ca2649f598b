// SPDX-License-Identifier: BSD-3-Clause
// kinds.c -- why lines are taken for pairs, nu = f/2, or for coherent modes, nu = f.
//
// The rule of `auto` is one of place: a coherent mode is seen at a Bragg peak, and only where the cell has optical
// modes (points.c).  Force constants can tell more: each line has a phonon at f/2 or at f, or not.  With errors s of f,
// the line's own and XN_CHANGE of the phonon's, -2 ln L is z^2 + 2 ln s for the nearest visible branch, and that of a
// line anywhere in the band, 2 ln (2 nu_max), where none is near.  The sums over lines are compared; where they speak
// against what was assumed that is a warning.  What is said stands in the result.
#include <math.h>
#include <string.h>

#include "map/parts.h"

#define MOST_LINES 2000
#define CLEAR 20.0 // of 2 ln of the odds
#define NEAR 3.0

// Of lines at Bragg peaks, and of the others.
typedef struct tally {
    int64_t lines, pair, coherent; // explained by a phonon at f/2, at f
    double odds;                   // 2 ln of them, for pairs
} tally;

// -2 ln L of a line f whose phonon is at f / f_per_nu; *near: one is.
static double cost(xn_matcher *m, const xn_known *k, xn_observed line, double f, double sigma, double f_per_nu,
                   double most, bool *near)
{
    xn_matched out;
    line.nu_thz = f / f_per_nu;
    line.sigma_thz = sigma / f_per_nu;
    line.f_per_nu = f_per_nu;
    *near = false;
    if (!xn_match(m, &k->start, &line, 1, &k->match, XN_CHANGE, &out) || out.branch < 0) return 2.0 * log(2.0 * most);
    double s = f_per_nu * hypot(line.sigma_thz, XN_CHANGE * out.nu_thz), z = (f - f_per_nu * out.nu_thz) / s;
    *near = fabs(z) < NEAR;
    return fmin(z * z + 2.0 * log(s), 2.0 * log(2.0 * most));
}

static xani_status weigh(xn_ctx *ctx, const xn_scene *s, const xn_known *k, const xn_collection *c, tally t[2])
{
    xn_matcher m;
    const xn_points *p = &c->points;
    int64_t stride = p->n / MOST_LINES + 1;
    if (!xn_matcher_open(&k->start, &m)) {
        xn_matcher_close(&m);
        return xn_fail_memory(ctx, "the lines of branches", 1);
    }
    for (int64_t i = 0; i < p->n; i += stride) {
        double per = p->coherent[i] ? 1.0 : 2.0, f = per * p->frequency[i], sigma = per * p->frequency_errors[i];
        xn_observed line = {.window_ps = 0.0}; // branches at the middle of the group, each a line of its own
        bool pair, coherent;
        if (p->alias[i] || !(sigma > 0.0)) continue;
        xn_mat3_vec(k->b, p->hkl + 3 * i, line.q);
        tally *of = &t[p->coherent[i] != 0];
        double most = fmax(s->max_thz, 1e-3);
        of->odds -= cost(&m, k, line, f, sigma, 2.0, most, &pair);
        of->odds += cost(&m, k, line, f, sigma, 1.0, most, &coherent);
        of->lines++;
        of->pair += pair;
        of->coherent += coherent;
    }
    xn_matcher_close(&m);
    return XANI_OK;
}

// Said, and added to what the result keeps.
static xani_status say(xn_ctx *ctx, xn_dispersion *d, char *text)
{
    if (text == NULL) return xn_fail_memory(ctx, "a text", 256);
    xn_note(ctx, "map.mode_kind %s", text);
    char *whole = d->kind_evidence != NULL ? xn_format("%s; %s", d->kind_evidence, text) : xn_strdup(text);
    xn_free(text);
    xn_free(d->kind_evidence);
    d->kind_evidence = whole;
    return whole != NULL ? XANI_OK : xn_fail_memory(ctx, "a text", 256);
}

static xani_status say_tally(xn_ctx *ctx, xn_dispersion *d, const tally *t, bool coherent)
{
    if (t->lines == 0) return XANI_OK;
    double against = coherent ? t->odds : -t->odds;
    XN_TRY(
        say(ctx, d,
            xn_format("force constants: of %lld lines taken as %s, %lld have a phonon at f/2, %lld at f; 2 ln of the "
                      "odds for pairs %+.0f",
                      (long long)t->lines, coherent ? "coherent" : "pairs", (long long)t->pair, (long long)t->coherent,
                      t->odds)));
    if (against > CLEAR)
        xn_warn(ctx, "lines are taken as %s, but the force constants explain them better as %s: see map.mode_kind",
                coherent ? "coherent modes, nu = f" : "pairs, nu = f/2", coherent ? "pairs" : "coherent modes");
    return XANI_OK;
}

xani_status xn_kinds_report(xn_ctx *ctx, const xn_scene *s, const xn_known *k, const xn_collection *c, xn_dispersion *d)
{
    tally t[2] = {{0}, {0}};
    if (c->kind != XN_KIND_AUTO)
        XN_TRY(say(ctx, d, xn_format("%s: as the configuration says", c->kind == XN_KIND_PAIR ? "pair" : "coherent")));
    else if (s->atoms == 1)
        XN_TRY(say(ctx, d,
                   xn_strdup("auto: all modes are pairs, nu = f/2 (one atom per primitive cell: nothing vibrates "
                             "coherently at q = 0)")));
    else
        XN_TRY(say(ctx, d,
                   xn_format("auto: %lld modes of %lld pixels at Bragg peaks (within the pixel, or 2 %% of the zone) "
                             "are coherent, nu = f; all others are pairs, nu = f/2",
                             (long long)c->coherent, (long long)c->bragg_pixels)));
    if (!k->given) return XANI_OK;
    XN_TRY(weigh(ctx, s, k, c, t));
    XN_TRY(say_tally(ctx, d, &t[0], false));
    return say_tally(ctx, d, &t[1], true);
}
