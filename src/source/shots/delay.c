// SPDX-License-Identifier: BSD-3-Clause
// delay.c -- the delay of a shot, for all layouts: see delay.h.
//
// The formula stands here once (contract 1, science.md 3).  Nothing about sign or zero is ever inferred from data: a
// wrong sign is a proven source of wrong published-looking results.
#include "source/shots/delay.h"

#include <math.h>
#include <string.h>

#include "data/selection.h"

static xani_status load_parts(xn_ctx *ctx, const xn_config *config, xn_delay_rule *r)
{
    char key[XN_KEY_LENGTH];
    r->n_parts = xn_config_count(config, "input.delay.parts");
    if (r->n_parts > XN_DELAY_PARTS)
        return xn_config_bad(ctx, config, "input.delay.parts", "has %d parts, at most %d work", r->n_parts,
                             XN_DELAY_PARTS);
    for (int i = 0; i < r->n_parts; i++) {
        XN_TRY(xn_config_require(ctx, config, xn_key(key, "input.delay.parts[%d].source", i),
                                 "the channel this part of the delay is read from"));
        r->source[i] = xn_config_string(config, key);
        r->scale_ps[i] = xn_config_double(config, xn_key(key, "input.delay.parts[%d].scale_ps", i));
        r->origin[i] = xn_config_double(config, xn_key(key, "input.delay.parts[%d].origin", i));
    }
    return XANI_OK;
}

static xani_status load_time_tool(xn_ctx *ctx, const xn_config *config, xn_delay_rule *r)
{
    if (xn_config_map_key(config, "input.delay.time_tool", 0) == NULL) return XANI_OK;
    bool raw = xn_config_has(config, "input.delay.time_tool.trace");
    if (!raw)
        XN_TRY(
            xn_config_require(ctx, config, "input.delay.time_tool.source", "the channel of the time tool's reading"));
    XN_TRY(xn_config_require(ctx, config, "input.delay.time_tool.coefficients_ps",
                             "the calibration c_0, c_1, ... from reading to ps"));
    r->tt_source = xn_config_string(config, "input.delay.time_tool.source");
    if (r->tt_source == NULL) r->tt_source = XN_TT_EDGE;
    r->tt_sign = (double)xn_config_int(config, "input.delay.time_tool.sign");
    r->tt_origin = xn_config_double(config, "input.delay.time_tool.origin");
    r->n_c = xn_config_doubles(config, "input.delay.time_tool.coefficients_ps", r->c_ps, XN_DELAY_COEFFICIENTS);
    if (r->n_c < 1 || r->n_c > XN_DELAY_COEFFICIENTS)
        return xn_config_bad(ctx, config, "input.delay.time_tool.coefficients_ps", "needs 1 to %d numbers, has %d",
                             XN_DELAY_COEFFICIENTS, r->n_c);
    return XANI_OK;
}

xani_status xn_delay_rule_load(xn_ctx *ctx, const xn_config *config, bool binned, xn_delay_rule *r)
{
    memset(r, 0, sizeof *r);
    XN_TRY(
        xn_config_require(ctx, config, "input.delay.sign",
                          "no file says whether a larger reading means X-rays after the laser (1) or before it (-1), "
                          "and a wrong guess reverses time"));
    r->sign = (double)xn_config_int(config, "input.delay.sign");
    r->zero_ps = xn_config_double(config, "input.delay.zero_ps");
    static const char *const keys[2] = {"input.delay.parts", "input.delay.time_tool"};
    for (int i = 0; binned && i < 2; i++)
        if (xn_config_has(config, keys[i]) && (i == 0 || xn_config_map_key(config, keys[i], 0) != NULL))
            return xn_config_bad(ctx, config, keys[i],
                                 "is of no use here: layout %s takes the delay from the cube's own bins",
                                 xn_config_string(config, "input.layout"));
    if (binned) return XANI_OK;
    XN_TRY(load_parts(ctx, config, r));
    XN_TRY(load_time_tool(ctx, config, r));
    if (r->n_parts > 0 || r->tt_source != NULL) return XANI_OK;
    return xn_config_require(ctx, config, "input.delay.parts", "the readings a shot's delay is made of");
}

double xn_delay_tool_ps(const xn_delay_rule *r, double x_tt)
{
    double tool = 0.0; // Horner
    for (int k = r->n_c - 1; k >= 0; k--) tool = tool * (x_tt - r->tt_origin) + r->c_ps[k];
    if (isnan(x_tt)) tool = NAN; // also when only c_0 is given
    return r->sign * r->tt_sign * tool;
}

double xn_delay_ps(const xn_delay_rule *r, const double *x, double x_tt)
{
    double sum = 0.0;
    for (int i = 0; i < r->n_parts; i++) sum += r->scale_ps[i] * (x[i] - r->origin[i]);
    double tool = r->tt_source != NULL ? xn_delay_tool_ps(r, x_tt) : 0.0;
    return r->sign * sum + tool - r->zero_ps;
}
