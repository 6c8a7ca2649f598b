// SPDX-License-Identifier: BSD-3-Clause
// test_team.c -- every piece is made once and handed over once, in order, one at a time, for any number of threads,
// also when pieces take unequally long; a team works again and again.
#include "no_memory.h"
#include "test.h"

#include <stdatomic.h>

#include "io/team.h"

enum { PIECES = 3000, SLOTS = 64 };

typedef struct {
    int64_t made[SLOTS]; // piece in the slot + 1
    atomic_int times[PIECES], inside, workers[SLOTS];
    int64_t next;
    int bad, uneven;
} state;

static void spin(int64_t piece, int uneven)
{
    if (uneven && piece % 17 == 0) usleep(300);
    if (uneven && piece % 101 == 0) usleep(3000);
}

static void make(void *user, int worker, int slot, int64_t piece)
{
    state *s = user;
    if (atomic_fetch_add(&s->workers[worker], 1) != 0) s->bad++; // one piece at a time
    spin(piece, s->uneven);
    if (s->made[slot] != 0) s->bad++; // not given yet
    s->made[slot] = piece + 1;
    atomic_fetch_add(&s->times[piece], 1);
    atomic_fetch_sub(&s->workers[worker], 1);
}

static void give(void *user, int slot, int64_t piece)
{
    state *s = user;
    if (atomic_fetch_add(&s->inside, 1) != 0 || piece != s->next || s->made[slot] != piece + 1) s->bad++;
    if (s->uneven && piece % 31 == 0) usleep(500);
    s->made[slot] = 0;
    s->next++;
    atomic_fetch_sub(&s->inside, 1);
}

START_TEST(test_in_order)
{
    static const int threads[] = {1, 2, 3, 16};
    for (int k = 0; k < 4; k++) {
        state *s = calloc(1, sizeof *s);
        xn_team *t = xn_team_open(threads[k], make, give, s);
        ck_assert_ptr_nonnull(t);
        ck_assert_int_le(xn_team_slots(t), SLOTS);
        for (int round = 0; round < 4; round++) {
            int64_t pieces = round == 1 ? 1 : round == 2 ? 0 : PIECES;
            s->uneven = round == 3;
            s->next = 0;
            memset(s->times, 0, sizeof s->times);
            xn_team_run(t, pieces);
            ck_assert_int_eq(s->next, pieces);
            for (int64_t i = 0; i < pieces; i++) ck_assert_int_eq(atomic_load(&s->times[i]), 1);
        }
        ck_assert_int_eq(s->bad, 0);
        xn_team_close(&t);
        ck_assert_ptr_null(t);
        free(s);
    }
}
END_TEST

START_TEST(test_out_of_memory)
{
    state *s = calloc(1, sizeof *s);
    for (no_memory n = NO_MEMORY; n.at < 3; n.at++) {
        no_memory_begin(&n);
        xn_team *t = xn_team_open(3, make, give, s);
        no_memory_end();
        ck_assert_ptr_null(t);
    }
    free(s);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_test(t, test_in_order);
    tcase_add_test(t, test_out_of_memory);
}
XN_TEST_MAIN("team", add)
