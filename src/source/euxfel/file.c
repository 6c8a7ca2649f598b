// SPDX-License-Identifier: BSD-3-Clause
// file.c -- one European XFEL file: its format, trains and sources, and the rows of a source's trains.
//
// Formats (formats.md 1.4): 0.5 has no version number, no flags, and its sources directly in METADATA; from 1.0 on
// INDEX/flag is 1 where the train id came from the time server; in 1.1 it is an index instead, 0 for the time server;
// 1.2 and 1.3 are like 1.0.  INDEX is padded with train id 0.  Indexes of the first files hold first, last, status
// instead of first, count.
//
// Without flags the trains that go against the order are suspect: ids grow, and the fewest trains whose removal makes
// them grow are those that are wrong.  (A longest increasing subsequence, by patience sorting: M. L. Fredman,
// Discrete Math. 11 (1975) 29.)
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/euxfel/euxfel.h"

bool xn_xf_is_exdf(const xn_h5 *h5)
{
    return xn_h5_exists(h5, "INDEX/trainId") &&
           (xn_h5_exists(h5, "METADATA/dataSources/dataSourceId") || xn_h5_exists(h5, "METADATA/dataSourceId"));
}

bool xn_xf_is_cxi(const xn_h5 *h5)
{
    return xn_h5_exists(h5, "entry_1/instrument_1/detector_1/data") && xn_h5_exists(h5, "entry_1/trainId");
}

void xn_xf_file_free(xn_xf_file *f)
{
    xn_free(f->train);
    xn_free(f->good);
    xn_h5_names_free(f->source);
    memset(f, 0, sizeof *f);
}

// ---- trains

// Marks a longest run of growing ids among the trains as good, zeros left out.
static xani_status flag_by_order(xn_ctx *ctx, xn_xf_file *f)
{
    int64_t n = f->n, length = 0;
    int64_t *last = xn_alloc((size_t)n + 1, sizeof *last), *before = xn_alloc((size_t)n + 1, sizeof *before);
    if (last == NULL || before == NULL) {
        xn_free(last);
        xn_free(before);
        return xn_fail_memory(ctx, "the trains", (size_t)n * 16);
    }
    for (int64_t i = 0; i < n; i++) {
        f->good[i] = 0;
        if (f->train[i] == 0) continue;
        int64_t low = 0, high = length; // last[k]: end of the best run of k + 1 trains so far
        while (low < high) {
            int64_t middle = (low + high) / 2;
            if (f->train[last[middle]] < f->train[i])
                low = middle + 1;
            else
                high = middle;
        }
        before[i] = low > 0 ? last[low - 1] : -1;
        last[low] = i;
        if (low == length) length++;
    }
    for (int64_t i = length > 0 ? last[length - 1] : -1; i >= 0; i = before[i]) f->good[i] = 1;
    xn_free(last);
    xn_free(before);
    return XANI_OK;
}

static xani_status read_flags(xn_ctx *ctx, const xn_h5 *h5, xn_xf_file *f)
{
    static const char dataset[] = "INDEX/flag";
    if (!xn_h5_exists(h5, dataset)) return flag_by_order(ctx, f);
    int64_t *flag = NULL, n = 0;
    XN_TRY(xn_xf_whole(ctx, h5, dataset, -1, true, &flag, &n));
    bool inverted = strcmp(f->version, "1.1") == 0;
    for (int64_t i = 0; i < f->n; i++) f->good[i] = i < n && (flag[i] != 0) != inverted;
    xn_free(flag);
    return XANI_OK;
}

static xani_status read_trains(xn_ctx *ctx, const xn_h5 *h5, xn_xf_file *f)
{
    int64_t *train = NULL;
    XN_TRY(xn_xf_whole(ctx, h5, "INDEX/trainId", -1, true, &train, &f->n));
    if (f->n == 0) return XANI_OK;
    for (int64_t i = 0; i < f->n; i++)
        if (train[i] < 0 || train[i] >= (int64_t)1 << (63 - XN_XF_PULSE_BITS)) train[i] = 0; // no id
    f->train = (uint64_t *)train;
    f->good = xn_alloc((size_t)f->n, 1);
    if (f->good == NULL) return xn_fail_memory(ctx, "the trains", (size_t)f->n);
    return read_flags(ctx, h5, f);
}

// ---- sources

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static xani_status add_source(xn_ctx *ctx, const char *name, xn_xf_file *f)
{
    char **p = xn_realloc(f->source, (size_t)f->n_sources + 2, sizeof *p), *copy = xn_strdup(name);
    if (p != NULL) {
        f->source = p;
        p[f->n_sources] = NULL;
    }
    if (p == NULL || copy == NULL) {
        xn_free(copy);
        return xn_fail_memory(ctx, "the sources", strlen(name));
    }
    p[f->n_sources++] = copy;
    p[f->n_sources] = NULL;
    return XANI_OK;
}

// Sources by their indexes, where the list of them is damaged or was not finished.
static xani_status sources_below(xn_ctx *ctx, const xn_h5 *h5, const char *group, int depth, xn_xf_file *f)
{
    char **names = NULL, path[XN_KEY_LENGTH], own[XN_KEY_LENGTH];
    XN_TRY(xn_h5_names(ctx, h5, group, &names));
    xani_status st = XANI_OK;
    for (int i = 0; st == XANI_OK && names[i] != NULL; i++) {
        xn_h5_info info;
        int n = snprintf(path, sizeof path, "%s/%s", group, names[i]);
        if (n < 0 || (size_t)n + 32 >= sizeof path || xn_h5_info_get(ctx, h5, path, &info) != XANI_OK) {
            xn_clear_error(ctx);
            continue;
        }
        if (info.is_group && depth > 0) st = sources_below(ctx, h5, path, depth - 1, f);
        if (info.is_group || strcmp(names[i], "first") != 0) continue;
        bool control = strchr(group, ':') == NULL;
        snprintf(own, sizeof own, "%s/%s", control ? "CONTROL" : "INSTRUMENT", group + strlen("INDEX/"));
        st = add_source(ctx, own, f);
    }
    xn_h5_names_free(names);
    return st;
}

static xani_status read_sources(xn_ctx *ctx, const xn_h5 *h5, xn_xf_file *f)
{
    static const char newer[] = "METADATA/dataSources/dataSourceId", older[] = "METADATA/dataSourceId";
    const char *dataset = xn_h5_exists(h5, newer) ? newer : older;
    char **text = NULL;
    int64_t n = 0;
    xani_status st = xn_h5_exists(h5, dataset) ? xn_h5_read_strings(ctx, h5, dataset, &text, &n) : XANI_ERR_INPUT;
    if (st != XANI_OK && st != XANI_ERR_INPUT) return st;
    if (st != XANI_OK) {
        xn_clear_error(ctx);
        XN_TRY(sources_below(ctx, h5, "INDEX", 8, f));
        if (f->source != NULL) qsort(f->source, (size_t)f->n_sources, sizeof *f->source, by_name);
        return XANI_OK;
    }
    f->source = xn_calloc((size_t)n + 1, sizeof *f->source);
    for (int64_t i = 0; i < n; i++) {
        bool data = strncmp(text[i], "CONTROL/", 8) == 0 || strncmp(text[i], "INSTRUMENT/", 11) == 0;
        if (f->source != NULL && data && strlen(text[i]) < XN_KEY_LENGTH - 64)
            f->source[f->n_sources++] = text[i];
        else
            xn_free(text[i]);
    }
    xn_free(text);
    if (f->source == NULL) return xn_fail_memory(ctx, "the sources", (size_t)n * sizeof *text);
    qsort(f->source, (size_t)f->n_sources, sizeof *f->source, by_name);
    return XANI_OK;
}

bool xn_xf_file_has(const xn_xf_file *f, const char *source)
{
    return f->n_sources > 0 && bsearch(&source, f->source, (size_t)f->n_sources, sizeof *f->source, by_name) != NULL;
}

// ---- the whole

xani_status xn_xf_file_read(xn_ctx *ctx, const xn_h5 *h5, char *path, xn_xf_file *f)
{
    static const char version[] = "METADATA/dataFormatVersion";
    *f = (xn_xf_file){.path = path, .version = "0.5"};
    f->cxi = xn_xf_is_cxi(h5);
    if (f->cxi) return XANI_OK;
    if (!xn_h5_exists(h5, "INDEX/trainId"))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: INDEX/trainId: no such dataset; this is no European XFEL file", path);
    f->overview = xn_h5_exists(h5, ".source_files/names");
    if (xn_h5_exists(h5, version)) {
        char *text = NULL;
        XN_TRY(xn_h5_read_string(ctx, h5, version, &text));
        snprintf(f->version, sizeof f->version, "%s", text);
        xn_free(text);
    }
    XN_TRY(read_sources(ctx, h5, f));
    return read_trains(ctx, h5, f);
}

// ---- rows of a source

// INDEX/<index>/<name> of at most `most` trains, as many as there are; the rest stays.
static xani_status read_column(xn_ctx *ctx, const xn_h5 *h5, const char *index, const char *name, int64_t most,
                               int64_t *out, bool *there)
{
    char path[XN_KEY_LENGTH + 32];
    snprintf(path, sizeof path, "INDEX/%s/%s", index, name);
    *there = xn_h5_exists(h5, path);
    if (!*there) return XANI_OK;
    int64_t *value = NULL, n = 0;
    XN_TRY(xn_xf_whole(ctx, h5, path, -1, true, &value, &n));
    if (n > 0) memcpy(out, value, (size_t)xn_min64(n, most) * sizeof *out);
    xn_free(value);
    return XANI_OK;
}

xani_status xn_xf_index(xn_ctx *ctx, const xn_h5 *h5, const xn_xf_file *f, const char *index, int64_t rows,
                        int64_t **first, int64_t **count)
{
    size_t n = (size_t)f->n;
    int64_t *a = xn_calloc(4 * n + 1, sizeof *a);
    *first = *count = NULL;
    if (a == NULL) return xn_fail_memory(ctx, "an index", 4 * n * sizeof *a);
    int64_t *b = a + n, *last = b + n, *status = last + n;
    bool has_first = false, has_count = false, has_last = false, has_status = false;
    xani_status st;
    XN_GOTO(out, st, read_column(ctx, h5, index, "first", f->n, a, &has_first));
    XN_GOTO(out, st, read_column(ctx, h5, index, "count", f->n, b, &has_count));
    if (has_first && !has_count) {
        XN_GOTO(out, st, read_column(ctx, h5, index, "last", f->n, last, &has_last));
        XN_GOTO(out, st, read_column(ctx, h5, index, "status", f->n, status, &has_status));
        for (size_t i = 0; i < n; i++) b[i] = has_last && has_status && status[i] > 0 ? last[i] - a[i] + 1 : 0;
    }
    for (size_t i = 0; i < n; i++) {
        bool sane = has_first && a[i] >= 0 && a[i] < rows && b[i] > 0 && f->train[i] != 0;
        b[i] = sane ? xn_min64(b[i], rows - a[i]) : 0;
    }
    *first = a;
    *count = b;
    return XANI_OK;
out:
    xn_free(a);
    return st;
}
