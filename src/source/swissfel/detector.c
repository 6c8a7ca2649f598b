// SPDX-License-Identifier: BSD-3-Clause
// detector.c -- what stands beside the frames of a SwissFEL detector: pulse ids, daq_rec, good
// frames, the map of modules; and which rows of the data belong to which module.
//
// Several acquisition files of one run follow one another in the order of their names.  All arrays come
// as (n,), (n, 1) or, one column per module, (n, k) (formats.md 1.5): a frame is good when all modules
// are, its daq_rec is the one all modules agree on (0 is a module that was off).
#include "source/swissfel/swissfel.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MODULE_ROWS 512 // of a JUNGFRAU module

bool xn_sf_is_detector(xn_ctx *ctx, const xn_h5 *h5, const char *name)
{
    char group[XN_KEY_LENGTH], path[XN_KEY_LENGTH + 16];
    xn_h5_info info;
    if (!xn_sf_group(h5, name, group)) return false;
    snprintf(path, sizeof path, "%s/data", group);
    return xn_h5_info_get(ctx, h5, path, &info) == XANI_OK && !info.is_group && info.rank == 3 &&
           xn_is_number(info.type);
}

bool xn_sf_is_jungfrau(const char *name)
{
    return strlen(name) >= 10 && name[0] == 'J' && name[1] == 'F' && name[4] == 'T' && name[7] == 'V' &&
           strspn(name + 2, "0123456789") == 2 && (name[10] == '\0' || name[10] == ':');
}

// ---- arrays of one file

typedef struct {
    xn_ctx *ctx;
    const xn_h5 *h5;
    xn_sf_detector *d;
    int64_t first, n; // frames of this file in the whole
} part;

static const char *member(const part *p, const char *name, char path[XN_KEY_LENGTH + 32])
{
    snprintf(path, XN_KEY_LENGTH + 32, "%s/%s", p->d->group, name);
    return path;
}

// Whole dataset of n rows and *columns columns as u64; *columns 0 and *value NULL when it is absent.
static xani_status read_rows(const part *p, const char *name, uint64_t **value, int64_t *columns)
{
    char path[XN_KEY_LENGTH + 32], shape[128];
    *value = NULL;
    *columns = 0;
    if (!xn_h5_exists(p->h5, member(p, name, path))) return XANI_OK;
    xn_h5_info info;
    XN_TRY(xn_h5_info_get(p->ctx, p->h5, path, &info));
    bool whole = xn_is_number(info.type) && info.type != XN_F32 && info.type != XN_F64;
    if (!whole || info.rank < 1 || info.rank > 2 || info.dims[0] != p->n || info.size < p->n)
        return xn_fail(p->ctx, XANI_ERR_INPUT, "%s: %s is %s %s; whole numbers for each of the %lld frames are needed",
                       xn_h5_path(p->h5), path, xn_type_name(info.type), xn_shape_text(shape, info.rank, info.dims),
                       (long long)p->n);
    *columns = info.rank == 2 ? info.dims[1] : 1;
    if (p->n == 0) return XANI_OK;
    return xn_h5_read_u64(p->ctx, p->h5, path, value, &info.size);
}

static xani_status read_pulse_ids(const part *p)
{
    uint64_t *v = NULL;
    int64_t k = 0;
    XN_TRY(read_rows(p, "pulse_id", &v, &k));
    for (int64_t i = 0; v != NULL && i < p->n; i++) {
        uint64_t id = v[i * k];
        p->d->pulse_id[p->first + i] = id == UINT64_MAX ? 0 : id;
    }
    xn_free(v);
    return XANI_OK;
}

static xani_status read_daq_rec(const part *p)
{
    uint64_t *v = NULL;
    int64_t k = 0;
    XN_TRY(read_rows(p, "daq_rec", &v, &k));
    if (v == NULL && p->n > 0) { // this file has none: unknown, not zero
        memset(p->d->daq_mixed + p->first, 1, (size_t)p->n);
        return XANI_OK;
    }
    p->d->has_daq_rec = true;
    for (int64_t i = 0; i < p->n; i++) {
        uint64_t common = 0;
        for (int64_t j = 0; j < k; j++) {
            uint64_t one = v[i * k + j];
            if (one != 0 && common != 0 && one != common) p->d->daq_mixed[p->first + i] = 1;
            if (one != 0) common = one;
        }
        p->d->daq_rec[p->first + i] = common;
    }
    xn_free(v);
    return XANI_OK;
}

static xani_status read_good(const part *p)
{
    uint64_t *v = NULL;
    int64_t k = 0;
    XN_TRY(read_rows(p, "is_good_frame", &v, &k));
    for (int64_t i = 0; i < p->n; i++) {
        bool good = true;
        for (int64_t j = 0; v != NULL && j < k; j++) good = good && v[i * k + j] != 0;
        p->d->good[p->first + i] = good;
    }
    xn_free(v);
    return XANI_OK;
}

// (nmod,) or the old (n, nmod), whose rows must agree.
static xani_status read_module_map(const part *p, bool first_file)
{
    char path[XN_KEY_LENGTH + 32];
    xn_sf_detector *d = p->d;
    if (!xn_h5_exists(p->h5, member(p, "module_map", path))) return XANI_OK;
    xn_h5_info info;
    XN_TRY(xn_h5_info_get(p->ctx, p->h5, path, &info));
    int64_t *v = NULL, n = 0;
    if (info.size == 0) return XANI_OK;
    XN_TRY(xn_h5_read_i64(p->ctx, p->h5, path, &v, &n));
    int64_t k = info.rank >= 1 ? info.dims[info.rank - 1] : 1;
    bool fits = k <= (int64_t)(sizeof d->map / sizeof d->map[0]);
    if (fits && first_file && d->n_map == 0) {
        d->n_map = (int)k;
        memcpy(d->map, v, (size_t)k * sizeof *v);
    }
    bool same = fits && k == d->n_map;
    for (int64_t i = 0; same && i < n; i++) same = v[i] == d->map[i % k];
    xn_free(v);
    if (!fits) return xn_fail(p->ctx, XANI_ERR_INPUT, "%s: %s has %lld modules", xn_h5_path(p->h5), path, (long long)k);
    if (!same) return xn_fail(p->ctx, XANI_ERR_INPUT, "%s: %s changes within the run", xn_h5_path(p->h5), path);
    return XANI_OK;
}

// A member of the detector's group as a number; `missing` where there is none, NaN where it is NaN.
static xani_status read_meta(const part *p, const char *name, double missing, double *value)
{
    char path[XN_KEY_LENGTH + 32];
    double *v = NULL;
    int64_t n = 0;
    *value = missing;
    if (!xn_h5_exists(p->h5, member(p, name, path))) return XANI_OK;
    XN_TRY(xn_h5_read_f64(p->ctx, p->h5, path, &v, &n));
    if (n > 0) *value = v[0];
    xn_free(v);
    return XANI_OK;
}

// jungfrau_utils writes meta/conversion_factor whatever it did to the frames; meta/conversion says whether they are
// keV.
static xani_status read_conversion(const part *p)
{
    char path[XN_KEY_LENGTH + 32];
    double factor, converted, geometry;
    xn_sf_detector *d = p->d;
    bool processed = xn_h5_exists(p->h5, member(p, "meta/conversion_factor", path));
    if (!processed && !d->processed) return XANI_OK;
    XN_TRY(read_meta(p, "meta/conversion_factor", NAN, &factor));
    XN_TRY(read_meta(p, "meta/conversion", 1.0, &converted));
    XN_TRY(read_meta(p, "meta/geometry", 0.0, &geometry));
    bool kev = processed && converted != 0.0;
    double unit = isfinite(factor) ? factor : 1.0; // NaN: the data are in keV
    if (d->n_files > 1 && (kev != d->processed || (kev && unit != d->conversion)))
        return xn_fail(p->ctx, XANI_ERR_INPUT, "%s: %s is not converted as in the files before it", xn_h5_path(p->h5),
                       d->name);
    d->processed = kev;
    d->conversion = unit;
    d->assembled = geometry != 0.0 || xn_h5_exists(p->h5, member(p, "meta/roi", path));
    return XANI_OK;
}

// ---- all files

static xani_status grow(xn_ctx *ctx, xn_sf_detector *d, int64_t n)
{
    size_t all = (size_t)(d->n + n);
    void *p;
    if ((p = xn_realloc(d->pulse_id, all, sizeof *d->pulse_id)) == NULL) goto memory;
    d->pulse_id = p;
    if ((p = xn_realloc(d->daq_rec, all, sizeof *d->daq_rec)) == NULL) goto memory;
    d->daq_rec = p;
    if ((p = xn_realloc(d->daq_mixed, all, 1)) == NULL) goto memory;
    d->daq_mixed = p;
    if ((p = xn_realloc(d->good, all, 1)) == NULL) goto memory;
    d->good = p;
    if ((p = xn_realloc(d->file, (size_t)d->n_files + 1, sizeof *d->file)) == NULL) goto memory;
    d->file = p;
    if ((p = xn_realloc(d->file_first, (size_t)d->n_files + 2, sizeof *d->file_first)) == NULL) goto memory;
    d->file_first = p;
    memset(d->daq_mixed + d->n, 0, (size_t)n);
    return XANI_OK;
memory:
    return xn_fail_memory(ctx, "the list of frames", all * 18);
}

static xani_status read_file(xn_ctx *ctx, const xn_h5 *h5, char *file, xn_sf_detector *d)
{
    char group[XN_KEY_LENGTH], data[XN_KEY_LENGTH + 32], shape[128];
    if (!xn_sf_group(h5, d->name, group)) return XANI_OK;
    if (d->n_files > 0 && strcmp(group, d->group) != 0)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: the detector is at %s, in %s at %s", file, group, d->file[0],
                       d->group);
    memcpy(d->group, group, sizeof d->group);
    part p = {ctx, h5, d, d->n, 0};
    xn_h5_info info;
    XN_TRY(xn_h5_info_get(ctx, h5, member(&p, "data", data), &info));
    if (info.rank != 3 || !xn_is_number(info.type))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s is %s %s; frames (n, y, x) of numbers are needed", file, data,
                       xn_type_name(info.type), xn_shape_text(shape, info.rank, info.dims));
    if (d->n_files > 0 && (info.dims[1] != d->ny || info.dims[2] != d->nx || info.type != d->type))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s is %s %s, the frames before it are %s (%lld, %lld)", file, data,
                       xn_type_name(info.type), xn_shape_text(shape, info.rank, info.dims), xn_type_name(d->type),
                       (long long)d->ny, (long long)d->nx);
    d->ny = info.dims[1];
    d->nx = info.dims[2];
    d->type = info.type;
    p.n = info.dims[0];
    XN_TRY(grow(ctx, d, p.n));
    d->file_first[d->n_files] = d->n;
    d->file[d->n_files++] = file;
    d->n += p.n;
    d->file_first[d->n_files] = d->n;
    XN_TRY(read_pulse_ids(&p));
    XN_TRY(read_daq_rec(&p));
    XN_TRY(read_good(&p));
    XN_TRY(read_module_map(&p, d->n_files == 1));
    return read_conversion(&p);
}

xani_status xn_sf_detector_read(xn_ctx *ctx, char *const *files, const char *name, xn_sf_detector *d)
{
    memset(d, 0, sizeof *d);
    d->name = name;
    xani_status st = XANI_OK;
    for (int i = 0; st == XANI_OK && files[i] != NULL; i++) {
        xn_h5 *h5 = NULL;
        st = xn_h5_open(ctx, files[i], &h5);
        if (st == XANI_OK) st = read_file(ctx, h5, files[i], d);
        xn_h5_close(&h5);
    }
    if (st == XANI_OK && d->n_files == 0) st = xn_context(ctx, xn_sf_missing(ctx, files, name), "input.frames");
    if (st == XANI_OK && d->n == 0)
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s/data holds no frames", d->file[0], d->group);
    if (st != XANI_OK) xn_sf_detector_free(d);
    return st;
}

void xn_sf_detector_free(xn_sf_detector *d)
{
    xn_free(d->file);
    xn_free(d->file_first);
    xn_free(d->pulse_id);
    xn_free(d->daq_rec);
    xn_free(d->daq_mixed);
    xn_free(d->good);
    memset(d, 0, sizeof *d);
}

// ---- modules

// The data hold either every module, switched-off ones included, or only those that were on; then the
// map's places stay below their number.
xani_status xn_sf_modules(xn_ctx *ctx, const xn_config *config, const xn_sf_detector *d, xn_source *s,
                          int64_t **physical)
{
    const int n_map = d->assembled ? 0 : d->n_map;
    int on = 0, n = n_map;
    int64_t highest = -1;
    for (int i = 0; i < n_map; i++) {
        on += d->map[i] >= 0;
        highest = xn_max64(highest, d->map[i]);
    }
    if (on > 0 && highest < on) n = on;
    if (n > 0 && (on == 0 || highest >= n || d->ny % n != 0))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s/module_map (%d modules, %d on) does not fit frames of %lld rows",
                       d->file[0], d->group, d->n_map, on, (long long)d->ny);
    if (n == 0 && !d->assembled && d->ny % MODULE_ROWS == 0 && d->nx == 2 * MODULE_ROWS) n = (int)(d->ny / MODULE_ROWS);
    if (n > 0)
        XN_TRY(xn_modules_set(ctx, s, n, d->ny / n));
    else
        XN_TRY(xn_modules_from_geometry(ctx, config, s));
    n = s->n_modules;
    *physical = xn_alloc((size_t)n, sizeof **physical);
    if (*physical == NULL) return xn_fail_memory(ctx, "the modules", (size_t)n * sizeof **physical);
    for (int m = 0; m < n; m++) (*physical)[m] = n_map > 0 ? -1 : m;
    for (int i = 0; i < n_map; i++)
        if (d->map[i] >= 0) (*physical)[d->map[i]] = i;
    return XANI_OK;
}
