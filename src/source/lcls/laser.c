// SPDX-License-Identifier: BSD-3-Clause
// laser.c -- laser and X-rays of each shot: see lcls.h (formats.md 1.1).
//
//   lightStatus/laser   1 on, 0 off, -1 not known (no event receiver); any other dataset in the same way
//   {codes, drop}       evr/code_N, or column N of timing/eventcodes in LCLS-II: the laser is off where a `drop` code
//   is
//                       there; where `codes` are given, it is on only where one of them is
// The facility's own lists write +91 for drop: [91] and -203 for codes: [203].  lightStatus/xray 0 is a dark shot
// whatever tells the laser.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "source/lcls/lcls.h"

// ---- rules

static xani_status code_list(xn_ctx *ctx, const xn_config *config, const char *key, int *code, int *n)
{
    double value[XN_LCLS_CODES] = {0};
    *n = xn_config_doubles(config, key, value, XN_LCLS_CODES);
    if (*n > XN_LCLS_CODES) return xn_config_bad(ctx, config, key, "has %d codes, at most %d work", *n, XN_LCLS_CODES);
    if (*n < 0) *n = 0;
    for (int i = 0; i < *n; i++) code[i] = (int)fmin(value[i], 1e9);
    return XANI_OK;
}

static xani_status codes_of(xn_ctx *ctx, const xn_config *config, xn_lcls_codes *c)
{
    *c = (xn_lcls_codes){0};
    XN_TRY(code_list(ctx, config, "input.laser.codes", c->required, &c->n_required));
    XN_TRY(code_list(ctx, config, "input.laser.drop", c->drop, &c->n_drop));
    if (c->n_required + c->n_drop > 0) return XANI_OK;
    return xn_config_bad(ctx, config, "input.laser",
                         "needs codes (any marks a laser-on shot), drop (any marks a laser-off shot), or both");
}

// ---- states

typedef struct {
    const xn_config *config;
    xn_lcls *l;
    const uint64_t *id;
    int64_t n;
    double *value; // (n) work
} reader;

// Value of 0/1 readings: 1, 0, or unknown.
static int state_of(double value, bool flag)
{
    if (isnan(value) || value < 0.0 || (flag && value > 1.0)) return XN_LASER_UNKNOWN;
    return value != 0.0 ? XN_LASER_ON : XN_LASER_OFF;
}

static xani_status by_reading(xn_ctx *ctx, const reader *r, const char *text, uint8_t *state)
{
    XN_TRY(xn_lcls_readings(ctx, r->config, "input.laser", text, r->l, r->id, r->n, r->value));
    for (int64_t i = 0; i < r->n; i++) state[i] = (uint8_t)state_of(r->value[i], false);
    return XANI_OK;
}

// One code: what it is per shot, merged into `state`.
static xani_status add_code(xn_ctx *ctx, const reader *r, int code, bool drop, uint8_t *state)
{
    char text[64];
    snprintf(text, sizeof text, r->l->second ? "timing/eventcodes[%d]" : "evr/code_%d", code);
    XN_TRY(xn_lcls_readings(ctx, r->config, "input.laser", text, r->l, r->id, r->n, r->value));
    for (int64_t i = 0; i < r->n; i++) {
        int there = state_of(r->value[i], true);
        if (there == XN_LASER_UNKNOWN)
            state[i] = XN_LASER_UNKNOWN;
        else if (there == XN_LASER_ON && state[i] != XN_LASER_UNKNOWN)
            state[i] = drop ? XN_LASER_OFF : XN_LASER_ON;
    }
    return XANI_OK;
}

static xani_status by_codes(xn_ctx *ctx, const reader *r, const xn_lcls_codes *c, uint8_t *state)
{
    memset(state, c->n_required > 0 ? XN_LASER_OFF : XN_LASER_ON, (size_t)r->n);
    for (int i = 0; i < c->n_required; i++) XN_TRY(add_code(ctx, r, c->required[i], false, state));
    for (int i = 0; i < c->n_drop; i++) XN_TRY(add_code(ctx, r, c->drop[i], true, state));
    return XANI_OK;
}

static xani_status states(xn_ctx *ctx, const reader *r, const xn_lcls_codes *codes, uint8_t *state)
{
    if (r->config == NULL && codes == NULL) return by_reading(ctx, r, XN_LCLS_LASER, state);
    if (r->config == NULL) return by_codes(ctx, r, codes, state);
    const char *word = xn_config_string(r->config, "input.laser");
    if (word != NULL) return by_reading(ctx, r, strcmp(word, "lightStatus") == 0 ? XN_LCLS_LASER : word, state);
    xn_lcls_codes given;
    XN_TRY(codes_of(ctx, r->config, &given));
    return by_codes(ctx, r, &given, state);
}

xani_status xn_lcls_laser(xn_ctx *ctx, const xn_config *config, const xn_lcls_codes *codes, xn_lcls *l,
                          const uint64_t *id, int64_t n, uint8_t *state)
{
    if (config != NULL && xn_config_bool(config, "input.frames_only")) return XANI_OK;
    reader r = {config, l, id, n, xn_alloc((size_t)n + 1, sizeof *r.value)};
    if (r.value == NULL) return xn_fail_memory(ctx, "the laser states", (size_t)n * sizeof *r.value);
    xani_status st = states(ctx, &r, codes, state);
    xn_free(r.value);
    return xn_context(ctx, st, "input.laser");
}

xani_status xn_lcls_dark(xn_ctx *ctx, xn_lcls *l, const uint64_t *id, int64_t n, uint8_t *refused)
{
    bool any = false;
    for (int i = 0; i < l->n_files; i++) any = any || xn_h5_exists(l->h5[i], XN_LCLS_XRAY);
    if (!any) return XANI_OK;
    double *value = xn_alloc((size_t)n + 1, sizeof *value);
    if (value == NULL) return xn_fail_memory(ctx, XN_LCLS_XRAY, (size_t)n * sizeof *value);
    xani_status st = xn_lcls_readings(ctx, NULL, "", XN_LCLS_XRAY, l, id, n, value);
    for (int64_t i = 0; st == XANI_OK && i < n; i++)
        if (value[i] == 0.0 && refused[i] == XN_CUT_NONE) refused[i] = XN_CUT_DARK;
    xn_free(value);
    return st;
}
