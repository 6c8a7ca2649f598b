// SPDX-License-Identifier: BSD-3-Clause
// panels.c -- the detectors of a SACLA run: panels of one MPCCD put together by their names.
//
//   /run_<R>/detector_2d_<n>/detector_info/{detector_name "MPCCD-8-2-001-3", absolute_gain, pixel_size_in_micro_meter}
//
// The name up to its last dash is the detector's, the number behind it the panel's; panels lie below each other in the
// order of their numbers.  An assembled image (detector_2d_assembled_<n>) is a detector of one panel, and so are the
// frames that Cheetah made.
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/modules.h"
#include "source/sacla/sacla.h"

#define PATH 256

static xani_status add_detector(xn_ctx *ctx, const char *name, xn_sacla_detector **d, int *n, xn_sacla_detector **one)
{
    for (int i = 0; i < *n; i++)
        if (strcmp((*d)[i].name, name) == 0) return *one = &(*d)[i], XANI_OK;
    xn_sacla_detector *p = xn_realloc(*d, (size_t)*n + 1, sizeof *p);
    if (p == NULL) return xn_fail_memory(ctx, "the detectors", (size_t)(*n + 1) * sizeof *p);
    *d = p;
    p += (*n)++;
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "%s", name);
    p->pixel_mm = NAN;
    *one = p;
    return XANI_OK;
}

static double number_of(xn_ctx *ctx, const xn_h5 *h5, const char *path)
{
    double *value = NULL, one = NAN;
    int64_t n = 0;
    if (!xn_h5_exists(h5, path)) return NAN;
    if (xn_h5_read_f64(ctx, h5, path, &value, &n) == XANI_OK && n > 0)
        one = value[0];
    else
        xn_clear_error(ctx); // it only helps where it is right
    xn_free(value);
    return one;
}

// Reads what a panel says of itself into p, and the detector's name.
static xani_status describe_panel(xn_ctx *ctx, const xn_h5 *h5, const xn_sacla_run *run, const char *group,
                                  xn_sacla_panel *p, char detector[96], double *pixel_mm)
{
    char path[PATH], *name = NULL;
    memset(p, 0, sizeof *p);
    if (strlen(group) >= sizeof p->group)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: its name is too long", xn_h5_path(h5), group);
    snprintf(p->group, sizeof p->group, "%s", group);
    snprintf(p->name, sizeof p->name, "%s", group);
    bool assembled = strncmp(group, "detector_2d_assembled", 21) == 0;
    p->number = strtoll(group + strcspn(group, "0123456789"), NULL, 10);
    const char *digits = strrchr(group, '_');
    if (digits != NULL) p->number = strtoll(digits + 1, NULL, 10);
    snprintf(path, sizeof path, "%s/%s/detector_info/absolute_gain", run->group, group);
    p->gain = number_of(ctx, h5, path);
    snprintf(path, sizeof path, "%s/%s/detector_info/pixel_size_in_micro_meter", run->group, group);
    *pixel_mm = 1e-3 * number_of(ctx, h5, path);
    snprintf(detector, 96, "%s", assembled ? group : "detector_2d");
    snprintf(path, sizeof path, "%s/%s/detector_info/detector_name", run->group, group);
    if (assembled || !xn_h5_exists(h5, path)) return XANI_OK;
    XN_TRY(xn_h5_read_string(ctx, h5, path, &name));
    snprintf(p->name, sizeof p->name, "%s", name);
    char *dash = strrchr(name, '-'), *end = name;
    long long number = dash != NULL ? strtoll(dash + 1, &end, 10) : 0;
    if (dash != NULL && dash > name && end > dash + 1 && *end == '\0') {
        p->number = number;
        *dash = '\0';
    }
    snprintf(detector, 96, "%s", name);
    xn_free(name);
    return XANI_OK;
}

static int by_number(const void *a, const void *b)
{
    const xn_sacla_panel *x = a, *y = b;
    return x->number != y->number ? (x->number > y->number) - (x->number < y->number) : strcmp(x->group, y->group);
}

static xani_status add_panels(xn_ctx *ctx, const xn_h5 *h5, const xn_sacla_run *run, xn_sacla_detector **d, int *n)
{
    char **names = NULL, detector[96];
    xn_sacla_panel p;
    xn_sacla_detector *one;
    double pixel_mm = NAN;
    XN_TRY(xn_h5_names(ctx, h5, run->group, &names));
    xani_status st = XANI_OK;
    for (int i = 0; st == XANI_OK && names[i] != NULL; i++) {
        if (strncmp(names[i], "detector_2d_", 12) != 0) continue;
        XN_GOTO(out, st, describe_panel(ctx, h5, run, names[i], &p, detector, &pixel_mm));
        XN_GOTO(out, st, add_detector(ctx, detector, d, n, &one));
        if (one->n_panels == XN_SACLA_PANELS)
            st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: detector %s has more than %d panels", xn_h5_path(h5), run->group,
                         detector, XN_SACLA_PANELS);
        else
            one->panel[one->n_panels++] = p;
        if (isnan(one->pixel_mm)) one->pixel_mm = pixel_mm;
    }
    for (int i = 0; i < *n; i++) qsort((*d)[i].panel, (size_t)(*d)[i].n_panels, sizeof(xn_sacla_panel), by_number);
out:
    xn_h5_names_free(names);
    return st;
}

xani_status xn_sacla_detectors(xn_ctx *ctx, const xn_h5 *h5, const xn_sacla_run *run, xn_sacla_detector **d, int *n)
{
    *d = NULL;
    *n = 0;
    xn_sacla_detector *one;
    xani_status st = XANI_OK;
    if (run->group[0] != '\0')
        st = add_panels(ctx, h5, run, d, n);
    else if ((st = add_detector(ctx, XN_SACLA_CHEETAH, d, n, &one)) == XANI_OK) {
        one->n_panels = 1;
        snprintf(one->panel[0].name, sizeof one->panel[0].name, XN_SACLA_CHEETAH);
        one->panel[0].gain = NAN;
        one->pixel_mm = 1e-3 * number_of(ctx, h5, "metadata/pixelsizex_in_um");
    }
    if (st == XANI_OK) return XANI_OK;
    xn_free(*d);
    *d = NULL;
    *n = 0;
    return st;
}

// ---- the one that is asked for

// The detector itself, or its panel of that name as a detector.
static bool matches(const xn_sacla_detector *d, const char *name, xn_sacla_detector *out)
{
    *out = *d;
    if (strcmp(d->name, name) == 0) return true;
    for (int k = 0; k < d->n_panels; k++) {
        if (strcmp(d->panel[k].group, name) != 0 && strcmp(d->panel[k].name, name) != 0) continue;
        out->n_panels = 1;
        out->panel[0] = d->panel[k];
        snprintf(out->name, sizeof out->name, "%s", name);
        return true;
    }
    return false;
}

// Of several detectors in one run, raw panels and their assembled image, the panels; else there is no telling.
static int only_one(const xn_sacla_detector *d, int n)
{
    int found = -1, count = 0;
    for (int i = 0; i < n; i++) {
        if (strncmp(d[i].name, "detector_2d_assembled", 21) == 0 && n > 1) continue;
        found = i;
        count++;
    }
    return count == 1 ? found : -1;
}

static void name_all(const xn_sacla_detector *d, int n, char *text, size_t bytes)
{
    for (int i = 0; i < n; i++) {
        size_t used = strlen(text);
        snprintf(text + used, bytes - used, "%s%s", used ? ", " : "", d[i].name);
    }
}

xani_status xn_sacla_detector_find(xn_ctx *ctx, const xn_sacla *x, const xn_config *config, const char *name,
                                   xn_sacla_detector *out)
{
    char have[512] = "";
    bool found = false;
    xani_status st = XANI_OK;
    // frames that were processed are preferred to those they were made of
    for (int pass = 0; pass < 2 && !found && st == XANI_OK; pass++)
        for (int i = 0; i < x->n_runs && !found && st == XANI_OK; i++) {
            if ((x->run[i].group[0] == '\0') != (pass == 0)) continue;
            xn_h5 *h5 = NULL;
            xn_sacla_detector *d = NULL;
            int n = 0;
            st = xn_h5_open(ctx, x->run[i].file, &h5);
            if (st == XANI_OK) st = xn_sacla_detectors(ctx, h5, &x->run[i], &d, &n);
            int only = name == NULL && n > 0 ? only_one(d, n) : -1;
            if (only >= 0) found = matches(&d[only], d[only].name, out);
            for (int k = 0; name != NULL && k < n && !found; k++) found = matches(&d[k], name, out);
            if (!found && have[0] == '\0') name_all(d, n, have, sizeof have);
            xn_free(d);
            xn_h5_close(&h5);
        }
    if (st != XANI_OK) return st;
    if (!found && name == NULL && have[0] != '\0')
        return xn_fail(ctx, XANI_ERR_CONFIG, "input.frames is missing: there are several detectors: %s", have);
    if (!found)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: input.frames: %s%s; there is %s", x->run[0].file,
                       name ? "no detector " : "no detector", name ? name : "", have[0] ? have : "none");
    for (int k = 0; config != NULL && k < out->n_panels; k++)
        out->panel[k].left_out = xn_modules_left_out(config, out->panel[k].name, out->panel[k].number) ||
                                 xn_modules_left_out(config, out->panel[k].group, out->panel[k].number);
    return XANI_OK;
}
