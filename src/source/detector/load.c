// SPDX-License-Identifier: BSD-3-Clause
// load.c -- the detector's calibration from input.detector and input.calibration: see detector.h, docs/detectors.md.
//
//   photons = (value - pedestal) * factor;  the factor follows from the gain by what its unit is:
//     adu_per_kev        1 / (gain energy)          kev_per_adu        gain / energy
//     adu_per_photon     1 / gain                   photons_per_adu    gain
//     electrons_per_adu  gain 3.65 eV / energy      (silicon)
// A pixel with a gain or pedestal that is no number, or gain 0, is masked.
#include <math.h>
#include <string.h>

#include "source/detector/load.h"

static const xn_detector_kind kinds[] = {
    // name, kind, planes of a file, bank, chip, saturated from, unit of gains
    {"jungfrau", XN_CAL_JUNGFRAU, 3, {256, 64}, {256, 256}, 0, "adu_per_kev"},
    {"epix10ka", XN_CAL_EPIX10KA, XN_EPIX_RANGES, {176, 48}, {0, 0}, 0, "adu_per_kev"},
    {"epix100", XN_CAL_LINEAR, 0, {352, 96}, {0, 0}, 0, "adu_per_kev"},
    {"mpccd", XN_CAL_LINEAR, 0, {0, 0}, {0, 0}, 0, "electrons_per_adu"},
    {"rayonix", XN_CAL_LINEAR, 0, {0, 0}, {0, 0}, 65535, "adu_per_kev"},
    {"agipd", XN_CAL_SCALE, 0, {0, 0}, {0, 0}, 0, "adu_per_kev"},
    {"lpd", XN_CAL_SCALE, 0, {0, 0}, {0, 0}, 0, "adu_per_kev"},
    {"dssc", XN_CAL_SCALE, 0, {0, 0}, {0, 0}, 0, "adu_per_kev"},
    {"generic", XN_CAL_LINEAR, 0, {0, 0}, {0, 0}, 0, "adu_per_kev"},
};

static bool has(const xn_config *config, const char *name)
{
    char key[XN_KEY_LENGTH];
    return xn_config_has(config, xn_key(key, "input.calibration.%s", name));
}

static bool has_gain(const xn_config *c) { return has(c, "gain") || has(c, "gain_stages") || has(c, "gain_modules"); }
static bool has_scale(const xn_config *c) { return has(c, "kev_per_unit") || has(c, "photons_per_unit"); }

// Gains of the files themselves, unless the configuration says how values become photons.
static bool own_gain(const xn_config *config, const xn_detector_ask *ask)
{
    return ask->gain != NULL && !has_gain(config) && !has_scale(config);
}

// The detector of the configuration, or as the files say; of words with pedestals and gains and no name a JUNGFRAU,
// else none.
static const xn_detector_kind *find_kind(const xn_config *config, const xn_detector_ask *ask)
{
    const char *name = xn_config_string(config, "input.detector");
    if (name == NULL) name = ask->kind;
    if (name == NULL && (has(config, "pedestal") || has_gain(config))) name = "jungfrau";
    for (size_t i = 0; name != NULL && i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].name, name) == 0) return &kinds[i];
    return NULL;
}

// ---- gains to factors

typedef struct {
    const char *unit;
    double energy_kev;
} gain_rule;

static double factor_of(const gain_rule *rule, double gain)
{
    if (strcmp(rule->unit, "kev_per_adu") == 0) return gain / rule->energy_kev;
    if (strcmp(rule->unit, "adu_per_photon") == 0) return 1.0 / gain;
    if (strcmp(rule->unit, "photons_per_adu") == 0) return gain;
    if (strcmp(rule->unit, "electrons_per_adu") == 0) return gain * 3.65e-3 / rule->energy_kev;
    return 1.0 / (gain * rule->energy_kev);
}

static xani_status find_rule(const xn_detector_loading *l, gain_rule *rule)
{
    const char *unit = xn_config_string(l->config, "input.calibration.gain_unit");
    rule->unit = unit != NULL ? unit : l->kind->gain_unit;
    rule->energy_kev = xn_config_double(l->config, "experiment.energy_kev");
    if (strcmp(rule->unit, "adu_per_photon") == 0 || strcmp(rule->unit, "photons_per_adu") == 0) return XANI_OK;
    return xn_config_require(l->ctx, l->config, "experiment.energy_kev",
                             strcmp(rule->unit, "adu_per_kev") == 0
                                 ? "gains are in ADU per keV; photons need the energy"
                                 : "gains are in energy; photons need the photon's");
}

// ---- planes: n of them, (cell, y, x) each

xani_status xn_detector_plane(const xn_detector_loading *l, float **plane)
{
    size_t n = (size_t)(l->cells * l->s->ny * l->s->nx);
    if (*plane == NULL) *plane = xn_alloc(n, sizeof **plane);
    return *plane != NULL ? XANI_OK : xn_fail_memory(l->ctx, "the calibration planes", n * sizeof **plane);
}

// Plane `from` of the file (of one cell, for all cells where it has no others) into *out.
static xani_status read_cells(const xn_detector_loading *l, const xn_planes *p, int64_t from, float **out)
{
    int64_t n = l->s->ny * l->s->nx;
    XN_TRY(xn_detector_plane(l, out));
    for (int64_t c = 0; c < l->cells; c++) XN_TRY(xn_planes_read(p, from, p->cells > 1 ? c : 0, *out + c * n));
    return XANI_OK;
}

static xani_status check_cells(const xn_detector_loading *l, const xn_planes *p)
{
    if (p->cells == 1 || p->cells >= l->cells) return XANI_OK;
    return xn_fail(l->ctx, XANI_ERR_INPUT, "%s: %s has %lld memory cells, the frames use %lld", p->path, p->dataset,
                   (long long)p->cells, (long long)l->cells);
}

static xani_status with_file(const xn_detector_loading *l, const char *key, const char *dataset_key,
                             const char *const *names, int least, float **out, const int *plane, int n,
                             void (*choose)(const xn_detector_loading *, const xn_planes *, int *),
                             xani_status (*more)(const xn_detector_loading *, const xn_planes *, float **, int))
{
    const char *given[] = {xn_config_string(l->config, dataset_key), NULL};
    int from[XN_EPIX_RANGES];
    xn_planes p;
    xani_status st = xn_planes_open(l->ctx, xn_config_path(l->config, key), given[0] != NULL ? given : names, least,
                                    l->ask, l->s, &p);
    if (st == XANI_OK) {
        memcpy(from, plane, (size_t)n * sizeof *from);
        if (choose != NULL) choose(l, &p, from);
        st = check_cells(l, &p);
        for (int k = 0; k < n && st == XANI_OK; k++)
            st = from[k] < p.n
                     ? read_cells(l, &p, from[k], &out[k])
                     : xn_fail(l->ctx, XANI_ERR_INPUT, "%s: %s has no plane %d, which frames in high gain need", p.path,
                               p.dataset, from[k]);
        if (st == XANI_OK && more != NULL) st = more(l, &p, out, n);
        xn_planes_close(&p);
    }
    return xn_context(l->ctx, st, "%s", key);
}

// PSI: plane 3 and up are those of high gain.
static void gains_high(const xn_detector_loading *l, const xn_planes *p, int *plane)
{
    for (int g = 0; l->high_gain && g < 3; g++)
        if (p->n > 3 + g || g == 0) plane[g] = 3 + g;
}

static void pedestals_high(const xn_detector_loading *l, const xn_planes *p, int *plane)
{
    for (int g = 0; l->high_gain && p->n > 3 && g < 3; g++) plane[g] = 3;
}

// What a pedestal file says beside pedestals: psana's offsets, which are added; masks.
static xani_status beside_pedestals(const xn_detector_loading *l, const xn_planes *p, float **out, int n)
{
    static const char offset[] = "pixel_offset";
    XN_TRY(xn_planes_mask(p, "pixel_mask", XN_BITS_PSI, l->s));
    XN_TRY(xn_planes_mask(p, "/entry/calibration/mask", XN_BITS_NXMX, l->s));
    XN_TRY(xn_planes_mask(p, "pixel_status", XN_BITS_ANY, l->s));
    if (!xn_planes_exist(p, offset)) return XANI_OK;
    const char *const names[] = {offset, NULL};
    size_t pixels = (size_t)(l->s->ny * l->s->nx);
    xn_planes o;
    XN_TRY(xn_planes_open(l->ctx, xn_strdup(p->path), names, (int)p->n, l->ask, l->s, &o));
    float *plane = xn_alloc(pixels, sizeof *plane);
    xani_status st = plane == NULL ? xn_fail_memory(l->ctx, offset, pixels * 4) : XANI_OK;
    for (int k = 0; k < n && st == XANI_OK; k++) {
        st = xn_planes_read(&o, k, 0, plane);
        for (size_t i = 0; i < pixels * (size_t)l->cells && st == XANI_OK; i++) out[k][i] += plane[i % pixels];
    }
    xn_free(plane);
    xn_planes_close(&o);
    return st;
}

xani_status xn_detector_pedestals(const xn_detector_loading *l, int least, const int *plane, int n, float **out)
{
    static const char *const names[] = {"gains", "/entry/calibration/pedestal", "pedestals", "ped", NULL};
    return with_file(l, "input.calibration.pedestal", "input.calibration.pedestal_dataset", names, least, out, plane, n,
                     pedestals_high, beside_pedestals);
}

// The same number everywhere, or one for each module.
static xani_status fill_gain(const xn_detector_loading *l, double one, const double *of_module, float **out)
{
    xn_source *s = l->s;
    int64_t pixels = s->ny * s->nx, row = 0;
    XN_TRY(xn_detector_plane(l, out));
    for (int m = 0; m < s->n_modules; row += s->module_rows[m++])
        for (int64_t i = row * s->nx; i < (row + s->module_rows[m]) * s->nx; i++)
            for (int64_t c = 0; c < l->cells; c++)
                (*out)[c * pixels + i] = (float)(of_module != NULL ? of_module[m] : one);
    return XANI_OK;
}

static xani_status numbers_of(const xn_detector_loading *l, const char *key, int n, double *value)
{
    int given = xn_config_doubles(l->config, key, value, n);
    if (given == n) return XANI_OK;
    return xn_config_bad(l->ctx, l->config, key, "%d numbers are given, %d are needed", given, n);
}

static xani_status read_gains(const xn_detector_loading *l, int least, const int *plane, int n, float **out)
{
    static const char *const names[] = {"gains", "/entry/calibration/gain", "pixel_gain", "gain", NULL};
    if (has(l->config, "gain"))
        return with_file(l, "input.calibration.gain", "input.calibration.gain_dataset", names, least, out, plane, n,
                         gains_high, NULL);
    if (has(l->config, "gain_stages")) {
        double value[XN_EPIX_RANGES];
        XN_TRY(numbers_of(l, "input.calibration.gain_stages", least > 1 ? least : 1, value));
        for (int k = 0; k < n; k++) XN_TRY(fill_gain(l, value[plane[k]], NULL, &out[k]));
        return XANI_OK;
    }
    if (own_gain(l->config, l->ask)) {
        for (int k = 0; k < n; k++) XN_TRY(fill_gain(l, 0, l->ask->gain, &out[k]));
        return XANI_OK;
    }
    double *value = xn_alloc((size_t)l->s->n_modules, sizeof *value);
    if (value == NULL) return xn_fail_memory(l->ctx, "the gains", 1);
    xani_status st = numbers_of(l, "input.calibration.gain_modules", l->s->n_modules, value);
    for (int k = 0; k < n && st == XANI_OK; k++) st = fill_gain(l, 0, value, &out[k]);
    xn_free(value);
    return st;
}

xani_status xn_detector_factors(const xn_detector_loading *l, int least, const int *plane, int n, float **out)
{
    gain_rule rule;
    XN_TRY(find_rule(l, &rule));
    XN_TRY(read_gains(l, least, plane, n, out));
    for (int k = 0; k < n; k++)
        for (int64_t i = 0; i < l->cells * l->s->ny * l->s->nx; i++)
            out[k][i] = (float)factor_of(&rule, (double)out[k][i]);
    return XANI_OK;
}

// ---- the whole

static xani_status start_mask(xn_ctx *ctx, xn_source *s)
{
    size_t n = (size_t)(s->ny * s->nx);
    if (s->mask == NULL) s->mask = xn_calloc(n, sizeof *s->mask);
    return s->mask != NULL ? XANI_OK : xn_fail_memory(ctx, "the mask", n * sizeof *s->mask);
}

static void take_shape(const xn_config *config, const xn_detector_kind *kind, xn_source *s)
{
    xn_calibration *c = &s->cal;
    bool given = has(config, "saturated");
    if (kind != NULL) {
        c->bank_rows = kind->bank[0];
        c->bank_columns = kind->bank[1];
        c->chip_rows = kind->chip[0];
        c->chip_columns = kind->chip[1];
        if (c->full == 0) c->full = kind->full;
    }
    if (given) c->full = xn_config_double(config, "input.calibration.saturated");
}

// Photons per unit where a scale is given or the files have one.
static xani_status scale(xn_ctx *ctx, const xn_config *config, double kev_default, xn_source *s)
{
    if (has(config, "photons_per_unit")) {
        s->cal.photons_per_unit = xn_config_double(config, "input.calibration.photons_per_unit");
        return XANI_OK;
    }
    bool given = has(config, "kev_per_unit");
    if (!given && isnan(kev_default))
        return xn_config_require(ctx, config, "input.calibration.photons_per_unit",
                                 "the files do not say what their numbers mean; or give kev_per_unit, or pedestal and "
                                 "gain files");
    double kev = given ? xn_config_double(config, "input.calibration.kev_per_unit") : kev_default;
    XN_TRY(xn_config_require(ctx, config, "experiment.energy_kev", "frames in keV become photons by the energy"));
    s->cal.photons_per_unit = kev / xn_config_double(config, "experiment.energy_kev");
    return XANI_OK;
}

static xani_status linear(const xn_detector_loading *l)
{
    static const int first[] = {0};
    xn_source *s = l->s;
    int64_t n = l->cells * s->ny * s->nx;
    XN_TRY(xn_detector_plane(l, &s->cal.pedestal[0]));
    XN_TRY(xn_detector_plane(l, &s->cal.factor[0]));
    double offset = xn_config_double(l->config, "input.calibration.offset");
    for (int64_t i = 0; i < n; i++) s->cal.pedestal[0][i] = (float)offset;
    if (has(l->config, "pedestal")) XN_TRY(xn_detector_pedestals(l, 0, first, 1, s->cal.pedestal));
    if (has_gain(l->config) || own_gain(l->config, l->ask)) return xn_detector_factors(l, 0, first, 1, s->cal.factor);
    XN_TRY(scale(l->ctx, l->config, l->ask->kev_per_unit, s));
    for (int64_t i = 0; i < n; i++) s->cal.factor[0][i] = (float)s->cal.photons_per_unit;
    s->cal.photons_per_unit = 1.0;
    return XANI_OK;
}

static xani_status load_planes(const xn_detector_loading *l)
{
    xn_source *s = l->s;
    s->cal.kind = l->kind->kind;
    s->cal.photons_per_unit = 1.0;
    s->cal.n_cells = (int)l->cells;
    switch (s->cal.kind) {
    case XN_CAL_JUNGFRAU:
        XN_TRY(xn_detector_jungfrau(l));
        break;
    case XN_CAL_EPIX10KA:
        XN_TRY(xn_detector_epix10ka(l));
        break;
    default:
        XN_TRY(linear(l));
        break;
    }
    return xn_detector_drop_pixels(l);
}

xani_status xn_detector_load(xn_ctx *ctx, const xn_config *config, const xn_detector_ask *ask, xn_source *s)
{
    const xn_detector_kind *kind = find_kind(config, ask);
    bool raw = xn_config_bool(config, "input.frames_only"), pedestal = has(config, "pedestal") || has(config, "offset");
    XN_TRY(start_mask(ctx, s));
    take_shape(config, kind, s);
    s->cal.kind = XN_CAL_SCALE;
    s->cal.photons_per_unit = 1.0;
    if (raw) return XANI_OK;
    bool words = kind != NULL && (kind->kind == XN_CAL_JUNGFRAU || kind->kind == XN_CAL_EPIX10KA);
    if (!(pedestal || has_gain(config) || own_gain(config, ask))) {
        if (words && !has_scale(config) && xn_config_has(config, "input.detector") && isnan(ask->kev_per_unit))
            return xn_config_require(ctx, config, "input.calibration.pedestal",
                                     "raw frames need pedestal and gain files, kev_per_unit or photons_per_unit");
        return scale(ctx, config, ask->kev_per_unit, s);
    }
    if (kind == NULL || kind->kind == XN_CAL_SCALE)
        return xn_config_bad(ctx, config, "input.calibration",
                             kind == NULL ? "offset belongs to a detector: give input.detector"
                                          : "corrected frames of this detector take no pedestals or gains");
    int64_t cells = s->cal.n_cells > 1 && s->cal.cell != NULL ? s->cal.n_cells : 1;
    return load_planes(&(xn_detector_loading){ctx, config, ask, kind, s, cells, ask->high_gain});
}

xani_status xn_scale_load(xn_ctx *ctx, const xn_config *config, double kev_default, xn_source *s)
{
    return xn_detector_load(ctx, config, &(xn_detector_ask){.kev_per_unit = kev_default}, s);
}
