// SPDX-License-Identifier: BSD-3-Clause
// unfold.c -- frequencies above the Nyquist frequency of the bins, told by a second bin width.
//
// Shots keep their delays, so a run can be reduced and fitted again in bins of another width dt'.  An oscillation F
// shows at its distance from the nearest multiple of 1/dt, which the second bins put elsewhere.  Of each line f the
// candidates are f, 2 f_N - f, 2 f_N + f, 4 f_N - f, as far as the crystal reaches (science.md 9).  A candidate holds
// where every other bin width shows a line of the same pixel group where it should, within three errors and a
// fiftieth of the resolution; a line whose only such candidate is one is that one.  Else it stays as it is.
//
// The modes in other bins are of the same photons: they are asked, and make no points and no coverage.
#include <math.h>
#include <string.h>

#include "map/parts.h"

#define SIGMAS 3.0
#define FLOOR 0.02 // of the resolution 1/T
#define CANDIDATES 4

int xn_other_bins_of(const xn_modes *const *modes, int i)
{
    const xn_modes *m = modes[i];
    for (int j = 0; j < i; j++) {
        const xn_modes *o = modes[j];
        bool same = strcmp(o->run != NULL ? o->run : "", m->run != NULL ? m->run : "") == 0 && o->ny == m->ny &&
                    o->nx == m->nx && o->spatial_bin == m->spatial_bin && o->n_angles == m->n_angles;
        for (int k = 0; same && k < m->n_angles; k++) same = o->angles_deg[k] == m->angles_deg[k];
        if (same && fabs(o->step_ps / m->step_ps - 1.0) > 1e-3) return xn_other_bins_of(modes, j) < 0 ? j : -1;
    }
    return -1;
}

// Is there a line of the pixel group where f would show? Groups without lines say nothing: -1.
static int holds(const xn_modes *m, int64_t pixel, double f, double sigma)
{
    double at = xn_shown_at(f, 0.5 / m->step_ps), window = m->delay_hi_ps - m->delay_lo_ps;
    int lines = 0;
    for (int k = 0; k < m->n_modes; k++) {
        if (!xn_mode_accepted(m, pixel, k)) continue;
        int64_t i = (int64_t)k * m->ny * m->nx + pixel;
        double own = xn_mode_sigma_thz(m, i), room = window > 0.0 ? FLOOR / window : 0.0;
        if (isnan(own)) own = 0.0;
        lines++;
        if (fabs((double)m->frequency[i] - at) < SIGMAS * hypot(own, sigma) + room) return 1;
    }
    return lines > 0 ? 0 : -1;
}

// The true frequency of a line seen up to f_N, NaN where the n other bins do not tell.
static double unfold_line(double nyquist, const xn_modes *const *other, int n, int64_t pixel, double f, double sigma,
                          double reach)
{
    double found = NAN;
    const double candidate[CANDIDATES] = {f, 2.0 * nyquist - f, 2.0 * nyquist + f, 4.0 * nyquist - f};
    if (isnan(sigma)) sigma = 0.0;
    for (int c = 0; c < CANDIDATES; c++) {
        int asked = 0, yes = 0;
        if (c > 0 && candidate[c] > reach) continue;
        for (int j = 0; j < n; j++) {
            int answer = holds(other[j], pixel, candidate[c], sigma);
            asked += answer >= 0;
            yes += answer > 0;
        }
        if (asked == 0 || yes < asked) continue;
        if (!isnan(found)) return NAN; // two candidates
        found = candidate[c];
    }
    return found;
}

xani_status xn_unfold(xn_ctx *ctx, const xn_scene *s, const xn_modes *const *modes, int n, int run, xn_kind kind,
                      float **unfolded)
{
    const xn_modes *m = modes[run];
    const xn_modes **other = xn_alloc((size_t)n, sizeof(const xn_modes *));
    int others = 0;
    *unfolded = NULL;
    if (other == NULL) return xn_fail_memory(ctx, "other bins", (size_t)n * sizeof(const xn_modes *));
    for (int j = run + 1; j < n; j++)
        if (xn_other_bins_of(modes, j) == run) other[others++] = modes[j];
    if (others == 0) {
        xn_free(other);
        return XANI_OK;
    }
    size_t plane = (size_t)(m->ny * m->nx);
    double reach = (kind == XN_KIND_COHERENT ? 1.02 : 2.04) * xn_scene_reach(s);
    *unfolded = xn_alloc(plane * (size_t)m->n_modes + 1, sizeof **unfolded);
    if (*unfolded == NULL) {
        xn_free(other);
        return xn_fail_memory(ctx, "unfolded frequencies", plane * (size_t)m->n_modes * 4);
    }
    int64_t own = 0, moved = 0, open = 0;
#pragma omp parallel for schedule(static) num_threads(s->threads) reduction(+ : own, moved, open)
    for (int64_t i = 0; i < (int64_t)plane * m->n_modes; i++) {
        int64_t pixel = i % (int64_t)plane;
        double f = (double)m->frequency[i];
        (*unfolded)[i] = NAN;
        if (!xn_mode_accepted(m, pixel, (int)(i / (int64_t)plane))) continue;
        double told = unfold_line(0.5 / m->step_ps, other, others, pixel, f, xn_mode_sigma_thz(m, i), reach);
        (*unfolded)[i] = (float)told;
        own += told == f;
        moved += !isnan(told) && told != f;
        open += isnan(told);
    }
    xn_free(other);
    xn_note(ctx,
            "aliasing: %d other bin width%s tell %lld lines of run %s to be their own, %lld to lie above the Nyquist "
            "frequency; %lld stay open",
            others, others == 1 ? "" : "s", (long long)own, m->run != NULL ? m->run : "", (long long)moved,
            (long long)open);
    return XANI_OK;
}
