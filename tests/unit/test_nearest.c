// SPDX-License-Identifier: BSD-3-Clause
// test_nearest.c -- the laser-off shots nearest in time, where ids are times written in parts.
#include "fake_context.h"
#include "reduce/internal.h"

static uint64_t milliseconds(uint64_t id) { return (id >> 32) * 1000 + (id & 0xffffffffu); }

// Blocks of the shots as the configuration says, nearest laser-off shots by ids or their clock
static void nearest_blocks(const xn_config *c, const xn_shots *s, int32_t *block)
{
    xn_work w;
    ck_assert_int_eq(xn_work_make(ctx, c, s, 1, &w), XANI_OK);
    for (int64_t i = 0; i < w.n; i++) block[w.shots[i].row] = w.shots[i].block;
    xn_work_free(&w);
}

START_TEST(test_nearest_in_time)
{
    // Ids made of seconds and what lies within one are compared by the time that they are, not as numbers.
    fake f;
    fake_make(&f, 600, NULL, NULL, 34);
    xn_config *c = parse("reduce: {off: {mode: nearest, block_shots: 3}}");
    xn_shots own, *s = &own;
    fake_shots_copy(&f, s);
    int32_t block[3][600] = {{0}};
    int differ = 0;
    for (int64_t i = 0; i < s->n; i++) {
        s->pulse_id[i] = 40000 + 17 * (uint64_t)i + (uint64_t)i % 5;
        s->bin[i] = s->laser[i] == XN_LASER_OFF ? -1 : 0;
        s->verdict[i] = XN_CUT_NONE;
    }
    nearest_blocks(c, s, block[0]);
    for (int64_t i = 0; i < s->n; i++) s->pulse_id[i] = s->pulse_id[i] / 1000 << 32 | s->pulse_id[i] % 1000;
    nearest_blocks(c, s, block[1]);
    s->clock = milliseconds;
    nearest_blocks(c, s, block[2]);
    for (int64_t i = 0; i < s->n; i++) {
        ck_assert_int_eq(block[2][i], block[0][i]);
        differ += block[1][i] != block[0][i];
    }
    ck_assert_int_gt(differ, 5);
    ck_assert_str_eq(said.text, "");
    xani_config_destroy(&c);
    xn_shots_free(s);
    fake_free(&f);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_nearest_in_time);
}
XN_TEST_MAIN("nearest", add)
