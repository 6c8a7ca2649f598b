// SPDX-License-Identifier: BSD-3-Clause
// pixels.c -- masks, modules and scales of a detector, for the readers of all layouts: see layout.h.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "physics/geometry.h"
#include "source/detector/detector.h"

// ---- masks

// How the words of input.mask[i] are read.
typedef struct {
    bool good_nonzero;
    xn_mask_table table;
    uint32_t ignore;
} mask_rule;

static xani_status find_rule(xn_ctx *ctx, const xn_config *config, int i, mask_rule *rule)
{
    static const char *const tables[] = {"any", "nxmx", "psi", "euxfel"};
    char key[XN_KEY_LENGTH], one[XN_KEY_LENGTH];
    memset(rule, 0, sizeof *rule);
    rule->good_nonzero = strcmp(xn_config_string(config, xn_key(key, "input.mask[%d].good", i)), "nonzero") == 0;
    const char *bits = xn_config_string(config, xn_key(key, "input.mask[%d].bits", i));
    for (int t = 0; t < 4; t++)
        if (strcmp(bits, tables[t]) == 0) rule->table = (xn_mask_table)t;
    if (rule->good_nonzero && rule->table != XN_BITS_ANY)
        return xn_config_bad(ctx, config, key, "words of bits are good where they are 0; good: nonzero does not fit");
    xn_key(key, "input.mask[%d].ignore", i);
    for (int k = 0; k < xn_config_count(config, key); k++) {
        const char *text = xn_config_string(config, xn_key(one, "%s[%d]", key, k));
        int bit = xn_mask_bit(rule->table, text);
        if (bit < 0) return xn_config_bad(ctx, config, one, "%s is no bit of a mask (0 to 31, or a name)", text);
        rule->ignore |= 1u << bit;
    }
    return XANI_OK;
}

static bool shape_fits(const xn_h5_info *info, const xn_source *s)
{
    return !info->is_group && info->rank >= 2 && info->dims[info->rank - 1] == s->nx && info->size == s->ny * s->nx;
}

// Where the pixels of the frames stand in a mask of the whole detector: their index there; owned. NULL: it is no such
// mask.
static xani_status pixels_of_region(xn_ctx *ctx, const xn_h5_info *info, const xn_region *region, const xn_source *s,
                                    int64_t **pixel)
{
    int64_t count[3] = {1, 1, 1}, all = 1;
    if (region == NULL || info->is_group || info->rank != region->rank) return XANI_OK;
    for (int k = 0; k < region->rank; k++) {
        count[k] = xn_min64(region->end[k], info->dims[k]) - region->first[k];
        if (region->first[k] < 0 || count[k] < 1) return XANI_OK;
        all *= count[k];
    }
    if (all != s->ny * s->nx || count[region->rank - 1] != s->nx) return XANI_OK;
    int64_t *at = *pixel = xn_alloc((size_t)all, sizeof *at);
    if (at == NULL) return xn_fail_memory(ctx, "the mask", (size_t)all * sizeof *at);
    for (int64_t i = 0; i < all; i++) {
        int64_t left = i, stride = 1;
        at[i] = 0;
        for (int k = region->rank - 1; k >= 0; k--) {
            at[i] += (region->first[k] + left % count[k]) * stride;
            left /= count[k];
            stride *= info->dims[k];
        }
    }
    return XANI_OK;
}

// at: where each pixel stands in the dataset; NULL: in order.
static xani_status or_words(xn_ctx *ctx, const xn_h5 *h5, const char *dataset, const mask_rule *rule, const int64_t *at,
                            xn_source *s)
{
    int64_t *word = NULL, n = 0;
    XN_TRY(xn_h5_read_i64(ctx, h5, dataset, &word, &n));
    for (int64_t i = 0; i < s->ny * s->nx; i++)
        s->mask[i] |= xn_mask_nxmx(rule->table, (uint32_t)word[at != NULL ? at[i] : i] & ~rule->ignore);
    xn_free(word);
    return XANI_OK;
}

// Any numbers, true and false included; NaN is never good.
static xani_status or_values(xn_ctx *ctx, const xn_h5 *h5, const char *dataset, bool good_nonzero, const int64_t *at,
                             xn_source *s)
{
    float *all = NULL;
    int64_t n = 0;
    XN_TRY(xn_h5_read_f32(ctx, h5, dataset, &all, &n));
    for (int64_t i = 0; i < s->ny * s->nx; i++) {
        float value = all[at != NULL ? at[i] : i];
        if ((value != 0.0f) != good_nonzero || isnan(value)) s->mask[i] |= XN_PIXEL_USER;
    }
    xn_free(all);
    return XANI_OK;
}

static xani_status or_mask(xn_ctx *ctx, const char *path, const char *dataset, const mask_rule *rule,
                           const xn_region *region, xn_source *s)
{
    xn_h5 *h5 = NULL;
    xn_h5_info info;
    char shape[128];
    int64_t *at = NULL;
    bool words = rule->table != XN_BITS_ANY || rule->ignore != 0;
    xani_status st = xn_h5_open(ctx, path, &h5);
    if (st == XANI_OK) st = xn_h5_info_get(ctx, h5, dataset, &info);
    bool fits = st == XANI_OK && shape_fits(&info, s);
    if (st == XANI_OK && !fits) st = pixels_of_region(ctx, &info, region, s, &at);
    if (st == XANI_OK && !fits && at == NULL)
        st =
            xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: the mask has shape %s, the frames have (%lld, %lld)", path, dataset,
                    xn_shape_text(shape, info.is_group ? 0 : info.rank, info.dims), (long long)s->ny, (long long)s->nx);
    if (st == XANI_OK)
        st = words ? or_words(ctx, h5, dataset, rule, at, s) : or_values(ctx, h5, dataset, rule->good_nonzero, at, s);
    xn_free(at);
    xn_h5_close(&h5);
    return st;
}

// The same of frames whose pixels are groups of n x n: one is out when all its pixels are.
static bool mask_groups(const xn_geometry *g, int n, xn_source *s)
{
    int64_t rows = 0, top = 0, y = 0;
    for (int m = 0; m < g->n_modules; m++) rows += g->module_rows[m] / n;
    if (rows != s->ny || g->nx / n != s->nx) return false;
    for (int m = 0; m < g->n_modules; top += g->module_rows[m++])
        for (int64_t r = 0; r < g->module_rows[m] / n; r++, y++)
            for (int64_t x = 0; x < s->nx; x++) {
                bool good = false, bad = false;
                for (int64_t i = 0; i < (int64_t)n * n; i++) {
                    const uint8_t one = g->bad[(top + r * n + i / n) * g->nx + x * n + i % n];
                    good = good || one == 0;
                    bad = bad || one == XN_GEOMETRY_BAD;
                }
                if (!good) s->mask[y * s->nx + x] |= bad ? XN_PIXEL_USER : XN_PIXEL_GAP;
            }
    return true;
}

// Gaps between panels and regions that geometry.file says not to use. A file that does not fit stops the map, not the
// reduction: it is only told here.
static xani_status mask_geometry(xn_ctx *ctx, const xn_config *config, xn_source *s)
{
    if (!xn_config_has(config, "geometry.file")) return XANI_OK;
    char why[256];
    xn_geometry g;
    xani_status st = xn_geometry_frame(ctx, config, &g);
    if (st == XANI_ERR_MEMORY || st == XANI_INTERRUPTED) return st;
    if (st != XANI_OK) {
        xn_warn(ctx, "geometry.file masks no pixels: %s", xani_error_text(ctx));
        xn_clear_error(ctx);
        return XANI_OK;
    }
    bool fits = s->grouped < 2 && g.ny == s->ny && g.nx == s->nx;
    if (!fits && !(s->grouped > 1 && mask_groups(&g, s->grouped, s)))
        xn_warn(ctx, "geometry.file masks no pixels: it describes %lld x %lld (y, x), the frames have %lld x %lld%s",
                (long long)g.ny, (long long)g.nx, (long long)s->ny, (long long)s->nx,
                xn_geometry_misfit(&g, s->ny, s->nx, why, sizeof why));
    for (int64_t i = 0; fits && i < s->ny * s->nx; i++)
        s->mask[i] |= g.bad[i] == XN_GEOMETRY_BAD ? XN_PIXEL_USER : g.bad[i] == XN_GEOMETRY_GAP ? XN_PIXEL_GAP : 0;
    xn_geometry_free(&g);
    return XANI_OK;
}

xani_status xn_mask_load(xn_ctx *ctx, const xn_config *config, const char *first_file, xn_source *s)
{
    return xn_mask_load_region(ctx, config, first_file, NULL, s);
}

static int64_t count_good(const xn_source *s)
{
    int64_t good = 0;
    for (int64_t i = 0; i < s->ny * s->nx; i++) good += s->mask[i] == 0;
    return good;
}

// A mask of the detector leaves most of it; one that leaves the smaller part has likely been read the wrong way round.
static void judge_mask(xn_ctx *ctx, const xn_config *config, int i, int64_t before, int64_t after)
{
    char key[XN_KEY_LENGTH];
    if (2 * after >= before || after == 0) return;
    xn_key(key, "input.mask[%d].good", i);
    xn_warn(ctx, "input.mask[%d] leaves out %lld of %lld pixels: is %s: %s the right way round?", i,
            (long long)(before - after), (long long)before, key, xn_config_string(config, key));
}

// The mask of input.mask[i].
static xani_status load_one(xn_ctx *ctx, const xn_config *config, int i, const char *first_file,
                            const xn_region *region, xn_source *s)
{
    char key[XN_KEY_LENGTH];
    mask_rule rule;
    bool own = xn_config_has(config, xn_key(key, "input.mask[%d].file", i));
    char *path = own ? xn_config_path(config, key) : xn_strdup(first_file);
    if (path == NULL) return xn_fail_memory(ctx, "a file name", strlen(first_file));
    int64_t before = count_good(s);
    xani_status st = find_rule(ctx, config, i, &rule);
    if (st == XANI_OK)
        st = xn_config_require(ctx, config, xn_key(key, "input.mask[%d].dataset", i), "which dataset of the file");
    if (st == XANI_OK) st = or_mask(ctx, path, xn_config_string(config, key), &rule, region, s);
    if (st == XANI_OK) judge_mask(ctx, config, i, before, count_good(s));
    xn_free(path);
    return st;
}

xani_status xn_mask_load_region(xn_ctx *ctx, const xn_config *config, const char *first_file, const xn_region *region,
                                xn_source *s)
{
    const int64_t pixels = s->ny * s->nx;
    if (s->mask == NULL) s->mask = xn_calloc((size_t)pixels, sizeof *s->mask);
    if (s->mask == NULL) return xn_fail_memory(ctx, "the mask", (size_t)pixels * sizeof *s->mask);
    int n = xn_config_count(config, "input.mask");
    for (int i = 0; i < n; i++) XN_TRY(load_one(ctx, config, i, first_file, region, s));
    XN_TRY(mask_geometry(ctx, config, s));
    const int64_t good = count_good(s);
    if (good == 0) return xn_fail(ctx, XANI_ERR_INPUT, "every pixel is masked; is input.mask[].good right?");
    if (n > 0) xn_note(ctx, "%lld of %lld pixels are masked", (long long)(pixels - good), (long long)pixels);
    return XANI_OK;
}

// ---- modules

xani_status xn_modules_set(xn_ctx *ctx, xn_source *s, int n, int64_t rows_each)
{
    xn_free(s->module_rows);
    s->n_modules = n;
    s->module_rows = xn_calloc((size_t)n, sizeof *s->module_rows);
    if (s->module_rows == NULL) return xn_fail_memory(ctx, "the modules", (size_t)n * sizeof *s->module_rows);
    for (int i = 0; i < n; i++) s->module_rows[i] = rows_each;
    return XANI_OK;
}

xani_status xn_modules_from_geometry(xn_ctx *ctx, const xn_config *config, xn_source *s)
{
    bool known = xn_config_has(config, "geometry.file") || xn_config_has(config, "geometry.detector.layout") ||
                 xn_config_has(config, "geometry.detector.modules");
    const bool groups = xn_config_int(config, "reduce.spatial_bin") > 1;
    if (!known) return xn_modules_set(ctx, s, 1, s->ny);
    char why[256];
    xn_geometry g;
    xani_status st = xn_geometry_frame(ctx, config, &g);
    if (st != XANI_OK && (groups || st == XANI_ERR_MEMORY || st == XANI_INTERRUPTED)) return st;
    const bool fits = st == XANI_OK && g.ny == s->ny && g.nx == s->nx;
    if (!fits && !groups) { // single pixels go without: what is wrong is told where it is needed
        xn_clear_error(ctx);
        if (st == XANI_OK) xn_geometry_free(&g);
        return xn_modules_set(ctx, s, 1, s->ny);
    }
    if (!fits)
        st =
            xn_config_bad(ctx, config, "geometry", "describes %lld x %lld pixels (y, x), the frames have %lld x %lld%s",
                          (long long)g.ny, (long long)g.nx, (long long)s->ny, (long long)s->nx,
                          xn_geometry_misfit(&g, s->ny, s->nx, why, sizeof why));
    if (st == XANI_OK) st = xn_modules_set(ctx, s, g.n_modules, 0);
    if (st == XANI_OK) memcpy(s->module_rows, g.module_rows, (size_t)g.n_modules * sizeof *g.module_rows);
    xn_geometry_free(&g);
    return st;
}
