// SPDX-License-Identifier: BSD-3-Clause
// test_plan_memory.c -- xani plan without memory, at any allocation: an error that says so, nothing lost, or the
// answer.
#include "no_memory.h"
#include "test.h"

#include "core/config.h"

static const char experiment[] =
    "experiment: {energy_kev: 11}\n"
    "geometry: {detector: {shape: [6, 8], pixel_mm: 2, centre_px: [-10, -4]}, distance_mm: 60,\n"
    "           orientation: [[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]], goniometer: [{axis: [0, 1, 0]}]}\n"
    "map: {crystal: {cell: [4.04, 4.04, 4.04, 90, 90, 90], space_group: Fm-3m,\n"
    "                basis: [{element: Al, position: [0, 0, 0]}]}, grid: {step_inv_ang: 0.4}}\n"
    "reduce: {delay_bins_ps: {start: 0, stop: 2, step: 0.05}, spatial_bin: 1}\n"
    "engine: {threads: 1}\n"
    "plan: {photons: 50, shots: 10000, rate_hz: 100, angles: {start_deg: 0, stop_deg: 2, step_deg: 2}}\n";

START_TEST(test_no_memory)
{
    xn_ctx *ctx;
    xn_config *config = NULL;
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    ck_assert_int_eq(xn_config_parse(ctx, experiment, "exp.yaml", ".", &config), XANI_OK);
    int refused = 0, spared = 0;
    for (no_memory n = NO_MEMORY; n.reached; n.at += 1 + n.at / 12) { // a plan is dear
        char *answer = NULL;
        xn_clear_error(ctx);
        no_memory_begin(&n);
        xani_status st = xani_plan(ctx, config, &answer);
        no_memory_end();
        // the element's highest frequency is found out without a word, and told by the force constants afterwards
        spared += n.reached && st == XANI_OK;
        ck_assert_msg(st == XANI_OK || (n.reached && st == XANI_ERR_MEMORY), "allocation %d: status %d, %s", (int)n.at,
                      (int)st, xani_error_text(ctx));
        ck_assert((st == XANI_OK) == (answer != NULL));
        refused += st == XANI_ERR_MEMORY;
        xani_free(answer);
    }
    ck_assert_int_gt(refused, 30);
    ck_assert_int_le(spared, 3); // neighbours, tensors and shells of one table
    xani_config_destroy(&config);
    xani_destroy(&ctx);
}
END_TEST

static void add(TCase *t) { tcase_add_test(t, test_no_memory); }
XN_TEST_MAIN("plan without memory", add)
