// SPDX-License-Identifier: BSD-3-Clause
// test_gaps.c -- lost frames are counted from ids within parts and trains, never across what separates them.
#include "no_memory.h"
#include "test.h"

#include "source/survey/survey.h"

enum { MOST = 400, BITS = 12 };

static xn_ctx *ctx;
static xn_run_facts facts;
static uint64_t id[MOST];
static int32_t part[MOST];
static int64_t n;

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    facts = (xn_run_facts){.chosen = -1};
    n = 0;
}
static void tear_down(void)
{
    xn_facts_free(&facts);
    xani_destroy(&ctx);
}

static void expect(bool parts, int64_t gaps, int64_t lost)
{
    ck_assert_int_eq(xn_facts_ids(ctx, &facts, id, NULL, parts ? part : NULL, n), XANI_OK);
    ck_assert_int_eq(facts.gaps, gaps);
    ck_assert_int_eq(facts.lost, lost);
}

static void even(int32_t of, uint64_t from, int count, uint64_t step)
{
    for (int i = 0; i < count; i++, n++) {
        id[n] = from + step * (uint64_t)i;
        part[n] = of;
    }
}

START_TEST(test_parts)
{
    // Two runs 4000 ids apart, in no order: their distance is no gap, unless they are one run.
    even(1, 5000, 50, 2);
    even(0, 1000, 50, 2);
    expect(true, 0, 0);
    expect(false, 1, (5000 - 1098) / 2 - 1);
    id[20] = 0; // a frame without an id: one is missing
    id[70] = id[71];
    expect(true, 2, 2);
    ck_assert_int_eq(facts.duplicates, 1);
    ck_assert_int_eq(facts.without_id, 1);
}
END_TEST

// `trains` of pulses 0, 4, 8, 20, 24: uneven on purpose.
static void in_trains(uint64_t first, int trains, uint64_t step)
{
    static const uint64_t pulse[] = {0, 4, 8, 20, 24};
    facts.train_bits = BITS;
    for (int t = 0; t < trains; t++)
        for (int k = 0; k < 5; k++) id[n++] = (first + step * (uint64_t)t) << BITS | pulse[k];
}

START_TEST(test_trains)
{
    // Neither the time between trains nor a pattern of pulses with holes is a loss; a pulse or a train that is not
    // there is one.
    in_trains(10000, 40, 1);
    expect(false, 0, 0);
    id[5 * 7 + 2] = id[5 * 7 + 3] = 0; // two in a row
    id[5 * 9] = 0;
    expect(false, 2, 3);
    for (int k = 0; k < 5; k++) id[5 * 20 + k] = id[5 * 21 + k] = 0; // and two whole trains
    expect(false, 3, 3 + 10);
    id[5 * 30 + 4] += 5; // a pulse that no other train has, instead of a usual one
    expect(false, 4, 3 + 10 + 1);
}
END_TEST

START_TEST(test_one_per_train)
{
    // Frames of every second train, all with the same pulse.
    facts.train_bits = BITS;
    for (int t = 0; t < 30; t++) id[n++] = (uint64_t)(500 + 2 * t) << BITS | 6;
    expect(false, 0, 0);
    id[11] = 0;
    expect(false, 1, 1);
}
END_TEST

START_TEST(test_memory)
{
    // Whichever allocation fails is told, except those of the steps, which are then taken for 1; nothing leaks.
    in_trains(10, 4, 1);
    int told = 0;
    for (no_memory m = NO_MEMORY; m.reached; no_memory_next(&m)) {
        no_memory_begin(&m);
        xani_status st = xn_facts_ids(ctx, &facts, id, NULL, NULL, n);
        no_memory_end();
        ck_assert(st == XANI_OK || (m.reached && st == XANI_ERR_MEMORY));
        told += st == XANI_ERR_MEMORY;
        xn_clear_error(ctx);
    }
    ck_assert_int_ge(told, 6);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_parts);
    tcase_add_test(t, test_trains);
    tcase_add_test(t, test_one_per_train);
    tcase_add_test(t, test_memory);
}
XN_TEST_MAIN("gaps", add)
