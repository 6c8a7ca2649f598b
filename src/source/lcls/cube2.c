// SPDX-License-Identifier: BSD-3-Clause
// cube2.c -- the reader of LCLS-II cubes, cube_<exp>_r%04d.h5 (formats.md 1.3).
//
//   step_value, <motor>                      (rows, [1]) in the root, one row for each bin that was finished
//   <label>/<det>/<func>                     (steps, ...) sums, a row as a bin is finished; <label>/<det>/count frames
// Bins come out of order.  The root gets a row for each bin of each label, so that a step stands there once per label;
// the rows of a label follow the order in which steps first appear.  Labels tell laser-on from laser-off (laser_on,
// laser_off); a file without labels needs a partner x_off.h5.  A motor named lxt is in seconds; input.delay.parts says
// otherwise.  Each sum is divided by the count beside it.
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "source/lcls/cube.h"
#include "source/lcls/lcls.h"
#include "source/shots/term.h"
#include "source/source.h"

#define STEP "step_value"

double xn_lcls2_motor_scale(const char *motor) { return strncmp(motor, "lxt", 3) == 0 ? 1e12 : 1.0; }

// ---- steps

// Row of the root where each step first appears; *n of them. Owned.
static xani_status first_rows(xn_ctx *ctx, const xn_h5 *h5, int64_t **row, int64_t *n)
{
    double *step = NULL;
    int64_t rows = 0;
    XN_TRY(xn_h5_read_f64(ctx, h5, STEP, &step, &rows));
    *n = 0;
    *row = xn_alloc((size_t)rows + 1, sizeof **row);
    if (*row == NULL) {
        xn_free(step);
        return xn_fail_memory(ctx, STEP, (size_t)rows * sizeof **row);
    }
    for (int64_t i = 0; i < rows; i++) {
        bool known = false;
        for (int64_t k = 0; !known && k < *n; k++) known = step[(*row)[k]] == step[i];
        if (!known) (*row)[(*n)++] = i;
    }
    xn_free(step);
    return XANI_OK;
}

xani_status xn_lcls2_cube_steps(xn_ctx *ctx, const xn_h5 *h5, const char *dataset, const xn_lcls2_cube *c,
                                double **value)
{
    int64_t *row = NULL, n = 0, rows = 0;
    double *all = NULL;
    xani_status st;
    *value = NULL;
    XN_GOTO(out, st, xn_h5_read_f64(ctx, h5, dataset, &all, &rows));
    XN_GOTO(out, st, first_rows(ctx, h5, &row, &n));
    *value = xn_alloc((size_t)c->steps + 1, sizeof **value);
    if (*value == NULL) {
        st = xn_fail_memory(ctx, dataset, (size_t)c->steps * sizeof **value);
    } else if (rows == c->steps) { // a row each already
        memcpy(*value, all, (size_t)rows * sizeof *all);
    } else if (n != c->steps || row[n - 1] >= rows) {
        st = xn_fail(ctx, XANI_ERR_INPUT,
                     "%s: " STEP " has %lld different steps, the sums have %lld rows: which "
                     "belongs to which cannot be told",
                     xn_h5_path(h5), (long long)n, (long long)c->steps);
    } else {
        for (int64_t k = 0; k < n; k++) (*value)[k] = all[row[k]];
    }
out:
    if (st != XANI_OK) {
        xn_free(*value);
        *value = NULL;
    }
    xn_free(row);
    xn_free(all);
    return st;
}

// ---- labels

// 1: a name for laser-on, -1: for laser-off, 0: neither.
static int tells_laser(const char *label)
{
    for (const char *s = label; *s != '\0';) {
        size_t n = strcspn(s, "_-. ");
        if (n == 2 && strncasecmp(s, "on", 2) == 0) return 1;
        if (n == 3 && strncasecmp(s, "off", 3) == 0) return -1;
        s += n + (s[n] != '\0');
    }
    return 0;
}

static void take_label(const char *name, const char *laser, xn_lcls2_cube *c)
{
    size_t used = strlen(c->labels);
    snprintf(c->labels + used, sizeof c->labels - used, "%s%s", c->n_labels++ > 0 ? ", " : "", name);
    int tells = laser == NULL ? tells_laser(name) : strcmp(name, laser) == 0 ? 1 : tells_laser(name) > 0 ? 0 : -1;
    if (tells > 0) snprintf(c->on, sizeof c->on, "%s", c->on[0] == '\0' ? name : "?"); // "?": several
    if (tells < 0) snprintf(c->off, sizeof c->off, "%s", c->off[0] == '\0' ? name : "?");
}

static bool is_motor(xn_ctx *ctx, const xn_h5 *h5, const char *name)
{
    xn_h5_info info, step;
    return strncmp(name, "step_", 5) != 0 && xn_h5_info_get(ctx, h5, name, &info) == XANI_OK && !info.is_group &&
           xn_is_number(info.type) && xn_h5_exists(h5, STEP) && xn_h5_info_get(ctx, h5, STEP, &step) == XANI_OK &&
           info.size == step.size;
}

xani_status xn_lcls2_cube_look(xn_ctx *ctx, const xn_h5 *h5, const char *frames, const char *laser, xn_lcls2_cube *c)
{
    char **names = NULL, path[2 * XN_KEY_LENGTH];
    xn_h5_info info;
    memset(c, 0, sizeof *c);
    XN_TRY(xn_h5_names(ctx, h5, "/", &names));
    for (int i = 0; names[i] != NULL; i++) {
        snprintf(path, sizeof path, "%s/%s", names[i], frames);
        if (xn_h5_exists(h5, path) && strlen(names[i]) < sizeof c->on) take_label(names[i], laser, c);
        if (!is_motor(ctx, h5, names[i])) continue;
        snprintf(c->motor, sizeof c->motor, "%s", c->n_motors++ == 0 ? names[i] : "");
    }
    xn_h5_names_free(names);
    if (c->n_labels == 0 && !xn_h5_exists(h5, frames))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: no label and not the root has %s (input.frames)", xn_h5_path(h5),
                       frames);
    bool pair = c->n_labels == 0 || (c->on[0] != '\0' && c->off[0] != '\0' && c->on[0] != '?' && c->off[0] != '?');
    if (!pair)
        return xn_fail(ctx, XANI_ERR_INPUT,
                       "%s: which of its labels (%s) are laser-on and laser-off cannot be told; name the former as "
                       "input.laser",
                       xn_h5_path(h5), c->labels);
    snprintf(path, sizeof path, "%s%s%s", c->on, c->on[0] != '\0' ? "/" : "", frames);
    XN_TRY(xn_h5_info_get(ctx, h5, path, &info));
    c->steps = info.rank > 0 ? info.dims[0] : 0;
    return XANI_OK;
}

// "laser_on/jungfrau/calib" names the sums of both labels.
static const char *below_label(const char *frames)
{
    char first[64];
    size_t n = strcspn(frames, "/");
    if (frames[n] == '\0' || n >= sizeof first) return frames;
    snprintf(first, sizeof first, "%.*s", (int)n, frames);
    return tells_laser(first) != 0 ? frames + n + 1 : frames;
}

typedef struct {
    char *path;
    int64_t pixels;
} biggest;

static xani_status compare(xn_ctx *ctx, const char *path, const xn_h5_info *info, void *user)
{
    biggest *b = user;
    int64_t pixels = info->rank >= 3 && info->dims[0] > 0 ? info->size / info->dims[0] : 0;
    (void)ctx;
    if (pixels <= b->pixels) return XANI_OK;
    b->pixels = pixels;
    snprintf(b->path, XN_KEY_LENGTH, "%s", path);
    return XANI_OK;
}

void xn_lcls2_cube_frames(xn_ctx *ctx, const xn_h5 *h5, char frames[XN_KEY_LENGTH])
{
    biggest b = {.path = frames};
    frames[0] = '\0';
    (void)xn_lcls_each(ctx, h5, compare, &b); // what cannot be read is not proposed
    xn_clear_error(ctx);
    const char *below = below_label(frames);
    memmove(frames, below, strlen(below) + 1);
}

// ---- parts

typedef struct {
    xn_ctx *ctx;
    const xn_config *config;
    const xn_delay_rule *rule;
    const char *frames, *laser, *monitor;
    xn_source *s;
} reader;

static xani_status add_motor(const reader *r, const xn_h5 *h5, const xn_lcls2_cube *c, const char *motor, double scale,
                             double origin, double *place)
{
    double *v = NULL;
    const char *path = xn_lcls_path(motor);
    if (!xn_h5_exists(h5, path))
        return xn_fail(r->ctx, XANI_ERR_INPUT, "%s: has no %s (input.delay.parts)", xn_h5_path(h5), path);
    XN_TRY(xn_lcls2_cube_steps(r->ctx, h5, path, c, &v));
    for (int64_t b = 0; b < c->steps; b++) place[b] += scale * (v[b] - origin);
    xn_free(v);
    return XANI_OK;
}

static xani_status read_places(const reader *r, const xn_h5 *h5, const xn_lcls2_cube *c, xn_binned_part *p)
{
    p->place_ps = xn_calloc((size_t)c->steps + 1, sizeof *p->place_ps);
    if (p->place_ps == NULL) return xn_fail_memory(r->ctx, "the delays", (size_t)c->steps * sizeof *p->place_ps);
    for (int k = 0; k < r->rule->n_parts; k++)
        XN_TRY(add_motor(r, h5, c, r->rule->source[k], r->rule->scale_ps[k], r->rule->origin[k], p->place_ps));
    if (r->rule->n_parts == 0) {
        if (c->n_motors == 0)
            return xn_fail(r->ctx, XANI_ERR_INPUT, "%s: holds no scanned motor, one value for each of " STEP, p->path);
        if (c->motor[0] == '\0')
            return xn_config_require(r->ctx, r->config, "input.delay.parts",
                                     "which of the scanned motors is the delay");
        double scale = xn_lcls2_motor_scale(c->motor);
        XN_TRY(add_motor(r, h5, c, c->motor, scale, 0.0, p->place_ps));
        xn_note(r->ctx, "%s: the delay is %s, taken in %s", p->path, c->motor, scale > 1.0 ? "s" : "ps");
    }
    for (int64_t b = 0; b < c->steps; b++) {
        p->place_ps[b] = r->rule->sign * p->place_ps[b] - r->rule->zero_ps;
        if (!isfinite(p->place_ps[b]))
            return xn_fail(r->ctx, XANI_ERR_INPUT, "%s: the delay of row %lld is not a number", p->path, (long long)b);
    }
    return XANI_OK;
}

// The label's sums as a part. label: "" or "laser_on/".
static xani_status read_label(const reader *r, const xn_h5 *h5, const char *label, bool off, const xn_lcls2_cube *c)
{
    char dataset[2 * XN_KEY_LENGTH], count[2 * XN_KEY_LENGTH + 8];
    snprintf(dataset, sizeof dataset, "%s%s", label, r->frames);
    const char *slash = strrchr(dataset, '/');
    snprintf(count, sizeof count, "%.*scount", slash ? (int)(slash - dataset) + 1 : 0, dataset);
    xn_binned_part *p = xn_binned_add(r->ctx, xn_h5_path(h5), dataset, off, r->s->impl);
    if (p == NULL) return XANI_ERR_MEMORY;
    XN_TRY(xn_binned_shape(r->ctx, h5, 1, p, r->s));
    XN_TRY(xn_lcls_cube_numbers(r->ctx, h5, count, p->bins, &p->count));
    p->i0 = xn_alloc((size_t)p->bins, sizeof *p->i0);
    if (p->i0 == NULL) return xn_fail_memory(r->ctx, "the monitor", (size_t)p->bins * sizeof *p->i0);
    XN_TRY(xn_lcls_cube_means(r->ctx, r->config, r->monitor, h5, label, true, p->bins, p->count, p->i0));
    for (int64_t b = 0; b < p->bins; b++) p->i0[b] *= p->count[b];
    return off ? XANI_OK : read_places(r, h5, c, p);
}

static xani_status open_and_read(const reader *r, const char *path, bool labels, bool off)
{
    xn_h5 *h5 = NULL;
    xn_lcls2_cube c;
    char label[72];
    xani_status st;
    XN_GOTO(out, st, xn_h5_open(r->ctx, path, &h5));
    XN_GOTO(out, st, xn_lcls2_cube_look(r->ctx, h5, r->frames, r->laser, &c));
    if (labels != (c.n_labels > 0)) {
        st = xn_fail(r->ctx, XANI_ERR_INPUT, "%s: the sums stand %s a label, unlike those of the files before it", path,
                     labels ? "without" : "below");
        goto out;
    }
    snprintf(label, sizeof label, "%s%s", c.on, labels ? "/" : "");
    if (!off || labels) XN_GOTO(out, st, read_label(r, h5, label, false, &c));
    snprintf(label, sizeof label, "%s%s", c.off, labels ? "/" : "");
    if (off || labels) XN_GOTO(out, st, read_label(r, h5, label, true, &c));
out:
    xn_h5_close(&h5);
    return st;
}

// Files with labels hold both halves.
static xani_status has_labels(const reader *r, const char *path, bool *labels)
{
    xn_h5 *h5 = NULL;
    xn_lcls2_cube c = {.motor = ""};
    xani_status st = xn_pairs_finished(r->ctx, path);
    if (st == XANI_OK) st = xn_h5_open(r->ctx, path, &h5);
    if (st == XANI_OK) st = xn_lcls2_cube_look(r->ctx, h5, r->frames, r->laser, &c);
    *labels = st == XANI_OK && c.n_labels > 0;
    xn_h5_close(&h5);
    return st;
}

static xani_status read_files(const reader *r, char *const *files)
{
    bool labels = false;
    xn_pair *pair = NULL;
    int n = 0;
    XN_TRY(has_labels(r, files[0], &labels));
    xani_status st = XANI_OK;
    for (int i = 0; labels && st == XANI_OK && files[i] != NULL; i++) st = open_and_read(r, files[i], true, false);
    if (labels) return st;
    XN_TRY(xn_pairs_find(r->ctx, files, "lcls2_cube without labels", "cube_exp_r0001", &pair, &n));
    for (int i = 0; st == XANI_OK && i < n; i++) {
        st = open_and_read(r, pair[i].on, false, false);
        if (st == XANI_OK) st = open_and_read(r, pair[i].off, false, true);
    }
    xn_pairs_free(&pair, n);
    return st;
}

// ---- the source

static xani_status load_rule(xn_ctx *ctx, const xn_config *config, xn_delay_rule *rule)
{
    bool parts = xn_config_count(config, "input.delay.parts") > 0;
    XN_TRY(xn_delay_rule_load(ctx, config, !parts, rule));
    if (rule->tt_source == NULL) return XANI_OK;
    return xn_config_bad(ctx, config, "input.delay.time_tool", "is of no use here: the shots were binned before");
}

static xani_status cube_open(xn_ctx *ctx, const xn_config *config, int run, xn_source *s)
{
    static const char *const used[] = {"input.i0", "input.frames", "input.laser", NULL};
    xn_delay_rule rule;
    xn_binned *b = NULL;
    char **files = NULL;
    XN_TRY(load_rule(ctx, config, &rule));
    XN_TRY(xn_config_require(ctx, config, "input.frames", "the sums of the detector below a label (jungfrau/calib)"));
    XN_TRY(xn_config_require(ctx, config, "input.i0", "the monitor to divide by, below a label (ipm2/sum)"));
    XN_TRY(xn_binned_start(ctx, s, &b));
    reader r = {.ctx = ctx,
                .config = config,
                .rule = &rule,
                .frames = below_label(xn_lcls_path(xn_config_string(config, "input.frames"))),
                .laser = xn_config_string(config, "input.laser"),
                .monitor = xn_config_string(config, "input.i0"),
                .s = s};
    XN_TRY(xn_source_files(ctx, config, run, &files));
    xani_status st = read_files(&r, files);
    if (st == XANI_OK) xn_note(ctx, "%s: frames are divided by %s", files[0], r.monitor);
    xn_h5_names_free(files);
    return st == XANI_OK ? xn_binned_finish(ctx, config, used, s) : st;
}

static const xn_source_ops ops = {.layout = "lcls2_cube",
                                  .open = cube_open,
                                  .close = xn_binned_close,
                                  .read_cube = xn_binned_read,
                                  .probe_cube = xn_binned_probe};

const xn_input_layout xn_layout_lcls2_cube = {.ops = &ops,
                                              .facility = "LCLS-II",
                                              .files = "cubes of LCLS-II",
                                              .claims = xn_lcls2_cube_claims,
                                              .facts = xn_lcls2_cube_facts,
                                              .init_binned = xn_lcls2_cube_init};
