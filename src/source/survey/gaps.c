// SPDX-License-Identifier: BSD-3-Clause
// gaps.c -- frames that a run lost, told from the ids of those it has: see survey.h.
//
// Ids follow each other in even steps, unless they are pulses of trains: then a train holds the pulses that most trains
// have, and trains follow each other in even steps.  Between parts of a run (scan points, runs in one file) the machine
// goes on without frames being due: what lies between two of them is no gap.
#include <stdlib.h>
#include <string.h>

#include "source/shots/join.h"
#include "source/survey/survey.h"

typedef struct {
    uint64_t id;
    int32_t part;
} placed;

static int by_id(const void *a, const void *b)
{
    const placed *x = a, *y = b;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return (x->part > y->part) - (x->part < y->part);
}

// ---- even steps

// Steps that are left out between two neighbours.
static int64_t left_out(uint64_t from, uint64_t to, uint64_t step)
{
    uint64_t slack = step / 8; // ids that are times jitter
    return to - from <= step + slack ? 0 : (int64_t)((to - from + slack) / step) - 1;
}

static void count_even(const placed *p, xn_run_facts *f)
{
    for (int64_t i = 1; i < f->n_ids; i++) {
        int64_t lost = p[i].part == p[i - 1].part ? left_out(p[i - 1].id, p[i].id, f->step) : 0;
        f->gaps += lost > 0;
        f->lost += lost;
    }
}

// ---- trains

typedef struct {
    int bits; // of an id that number the pulse
    int64_t n;
    uint64_t *number; // (n) of the trains, ascending
    int64_t *first;   // (n + 1) its first id
    uint8_t *usual;   // (1 << bits) most trains have this pulse
    int64_t pulses;   // of those
    uint64_t end;     // one behind the last of them
} trains;

static uint64_t pulse_of(const trains *t, uint64_t id) { return id & (((uint64_t)1 << t->bits) - 1); }

static void find_usual(const int64_t *trains_with, trains *t)
{
    for (int64_t k = 0; k < (int64_t)1 << t->bits; k++) {
        t->usual[k] = 2 * trains_with[k] > t->n;
        t->pulses += t->usual[k];
        if (t->usual[k]) t->end = (uint64_t)k + 1;
    }
}

static xani_status find_trains(xn_ctx *ctx, const placed *p, int64_t n, trains *t)
{
    size_t pulses = (size_t)1 << t->bits;
    t->number = xn_alloc((size_t)n + 1, sizeof *t->number);
    t->first = xn_alloc((size_t)n + 1, sizeof *t->first);
    t->usual = xn_calloc(pulses, 1);
    int64_t *with = xn_calloc(pulses, sizeof *with); // trains with that pulse
    if (t->number == NULL || t->first == NULL || t->usual == NULL || with == NULL) {
        xn_free(with);
        return xn_fail_memory(ctx, "the trains", (size_t)n * 16);
    }
    for (int64_t i = 0; i < n; i++) {
        uint64_t train = p[i].id >> t->bits;
        if (t->n == 0 || t->number[t->n - 1] != train) {
            t->number[t->n] = train;
            t->first[t->n++] = i;
        }
        with[pulse_of(t, p[i].id)] += i == 0 || p[i].id != p[i - 1].id;
    }
    t->first[t->n] = n;
    find_usual(with, t);
    xn_free(with);
    return XANI_OK;
}

// Usual pulses that a train lacks; those in a row are one gap.
static void count_train(const placed *p, const trains *t, int64_t k, xn_run_facts *f)
{
    int64_t i = t->first[k];
    bool gap = false;
    for (uint64_t pulse = 0; pulse < t->end; pulse++) {
        while (i < t->first[k + 1] && pulse_of(t, p[i].id) < pulse) i++;
        bool there = i < t->first[k + 1] && pulse_of(t, p[i].id) == pulse;
        if (!there && !t->usual[pulse]) continue;
        f->gaps += !there && !gap;
        f->lost += !there;
        gap = !there;
    }
}

static xani_status count_trains(xn_ctx *ctx, const placed *p, xn_run_facts *f)
{
    trains t = {.bits = f->train_bits};
    xani_status st = find_trains(ctx, p, f->n_ids, &t);
    uint64_t step = st == XANI_OK ? xn_id_step(t.number, t.n) : 1;
    for (int64_t k = 0; st == XANI_OK && k < t.n; k++) {
        int64_t lost = k > 0 ? left_out(t.number[k - 1], t.number[k], step) : 0;
        f->gaps += lost > 0;
        f->lost += lost * t.pulses;
        count_train(p, &t, k, f);
    }
    xn_free(t.number);
    xn_free(t.first);
    xn_free(t.usual);
    return st;
}

// ---- the whole

xani_status xn_facts_gaps(xn_ctx *ctx, const uint64_t *id, const int32_t *part, int64_t n, xn_run_facts *f)
{
    placed *p = xn_alloc((size_t)n + 1, sizeof *p);
    if (p == NULL) return xn_fail_memory(ctx, "the ids", (size_t)n * sizeof *p);
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++)
        if (id[i] != 0) p[kept++] = (placed){id[i], part != NULL ? part[i] : 0};
    qsort(p, (size_t)kept, sizeof *p, by_id);
    f->gaps = f->lost = f->duplicates = 0;
    for (int64_t i = 1; i < kept; i++) f->duplicates += p[i].id == p[i - 1].id;
    xani_status st = XANI_OK;
    if (f->train_bits > 0)
        st = count_trains(ctx, p, f);
    else
        count_even(p, f);
    xn_free(p);
    return st;
}
