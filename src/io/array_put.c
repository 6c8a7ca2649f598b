// SPDX-License-Identifier: BSD-3-Clause
// array_put.c -- elements to their places: boxes copied in the longest runs that both sides have.
#include <string.h>

#include "io/array_plan.h"

uint8_t *xn_view_at(const xn_view *v, const int64_t *lo)
{
    uint8_t *dst = v->dst;
    for (int k = 0; k < v->store->rank; k++) dst += (lo[k] - v->lo[k]) * v->stride[k];
    return dst;
}

bool xn_view_is_run(const xn_plan *p, const xn_view *v, const int64_t *n)
{
    int64_t step = (int64_t)p->elem;
    for (int k = v->store->rank - 1; k >= 0; k--) {
        if (n[k] != 1 && v->stride[k] != step) return false;
        step *= n[k];
    }
    return true;
}

// One run of n elements. -1, or the index of the first that does not fit.
static int64_t put_run(xn_converter convert, size_t elem, size_t elem_out, bool swap, const uint8_t *src, uint8_t *dst,
                       int64_t n)
{
    if (convert == NULL) {
        memcpy(dst, src, (size_t)n * elem);
        if (swap) xn_swap_bytes(dst, (size_t)n, elem);
        return -1;
    }
    if (!swap) return convert(src, dst, n);
    _Alignas(8) uint8_t turned[4096];
    int64_t most = (int64_t)(sizeof turned / elem);
    for (int64_t i = 0; i < n; i += most) {
        int64_t m = xn_min64(most, n - i);
        memcpy(turned, src + (size_t)i * elem, (size_t)m * elem);
        xn_swap_bytes(turned, (size_t)m, elem);
        int64_t bad = convert(turned, dst + (size_t)i * elem_out, m);
        if (bad >= 0) return i + bad;
    }
    return -1;
}

// m runs as they are. Runs of a small chunk are short: a call for each would take longer than the copy.
static void copy_runs(const uint8_t *src, int64_t src_step, uint8_t *dst, int64_t dst_step, size_t bytes, int64_t m)
{
    typedef struct {
        uint8_t byte[64];
    } line;
    if (bytes % sizeof(line) == 0 && bytes <= 16 * sizeof(line))
        for (; m > 0; m--, src += src_step, dst += dst_step)
            for (size_t i = 0; i < bytes; i += sizeof(line)) memcpy(dst + i, src + i, sizeof(line));
    else
        for (; m > 0; m--, src += src_step, dst += dst_step) memcpy(dst, src, bytes);
}

// The value at element `at` of the store.
static xani_status misfit(const xn_plan *p, const xn_view *v, const int64_t *at, const uint8_t *value, bool swap)
{
    _Alignas(8) uint8_t one[8];
    char number[48];
    memcpy(one, value, v->store->elem);
    if (swap) xn_swap_bytes(one, 1, v->store->elem);
    xn_value_text(v->store->type, one, number);
    char *what = xn_format("value %s does not fit %s", number, xn_type_name(p->type));
    xani_status st = xn_store_fail_at(p->ctx, v->store, at, what ? what : "a value does not fit");
    xn_free(what);
    return st;
}

xani_status xn_view_put(const xn_plan *p, const xn_view *v, const int64_t *lo, const int64_t *n, const uint8_t *src,
                        const int64_t *src_stride, bool swap)
{
    const xn_store *s = v->store;
    xn_converter convert = s->type == p->type ? NULL : xn_converter_for(s->type, p->type);
    uint8_t *dst = xn_view_at(v, lo);
    int64_t run = 1, i[XANI_MAX_RANK] = {0}, from = 0, to = 0;
    int outer = s->rank; // axes before this one are gone through
    while (outer > 0) {
        int k = outer - 1;
        bool joins = n[k] == 1 || (src_stride[k] == run * (int64_t)s->elem && v->stride[k] == run * (int64_t)p->elem);
        if (!joins) break;
        run *= n[k];
        outer = k;
    }
    swap = swap && s->elem > 1;
    bool plain = convert == NULL && !swap && outer > 0;
    if (plain) outer--; // the innermost of these axes in one go
    for (;;) {
        if (plain)
            copy_runs(src + from, src_stride[outer], dst + to, v->stride[outer], (size_t)run * s->elem, n[outer]);
        int64_t bad = plain ? -1 : put_run(convert, s->elem, p->elem, swap, src + from, dst + to, run);
        if (bad >= 0) {
            int64_t at[XANI_MAX_RANK] = {0}, rest = bad; // of the run, along the axes from `outer` on
            for (int k = s->rank - 1; k >= 0; k--) {
                at[k] = lo[k] + (k < outer ? i[k] : rest % n[k]);
                if (k >= outer) rest /= n[k];
            }
            return misfit(p, v, at, src + from + bad * (int64_t)s->elem, swap);
        }
        int k = outer - 1;
        for (; k >= 0; k--) {
            from += src_stride[k];
            to += v->stride[k];
            if (++i[k] < n[k]) break;
            from -= n[k] * src_stride[k];
            to -= n[k] * v->stride[k];
            i[k] = 0;
        }
        if (k < 0) return XANI_OK;
    }
}

xani_status xn_view_fill(const xn_plan *p, const xn_view *v, const int64_t *lo, const int64_t *n)
{
    static const int64_t still[XANI_MAX_RANK]; // the same element over and over
    xn_view each = *v;
    int64_t one[XANI_MAX_RANK] = {0}, i[XANI_MAX_RANK] = {0};
    for (int k = 0; k < XANI_MAX_RANK; k++) one[k] = 1;
    each.dst = xn_view_at(v, lo);
    memcpy(each.lo, lo, sizeof each.lo);
    for (;;) {
        int64_t at[XANI_MAX_RANK] = {0};
        for (int k = 0; k < v->store->rank; k++) at[k] = lo[k] + i[k];
        XN_TRY(xn_view_put(p, &each, at, one, v->store->fill, still, false));
        int k = v->store->rank - 1;
        while (k >= 0 && ++i[k] == n[k]) i[k--] = 0;
        if (k < 0) return XANI_OK;
    }
}
