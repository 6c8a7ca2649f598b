// SPDX-License-Identifier: BSD-3-Clause
// test_config_differ.c -- where two configurations differ: by meaning, with the first key and both values.
#include "context.h"

#include "core/config.h"

static const char *const skip[] = {"input.files", "input.readings[].file", "reduce.delay_bins_ps", NULL};

static const struct {
    const char *part, *a, *b, *says; // NULL: no difference
} cases[] = {
    {"reduce", "", "reduce: {photons: {method: round}}\n", "reduce.photons.method: none and round"},
    {"reduce", "reduce: {photons: {method: none}, threshold_photons: 0.0, spatial_bin: 1}\n", "", NULL},
    {"reduce", "reduce: {threshold_photons: 1}\n", "reduce: {threshold_photons: 1.00}\n", NULL},
    {"reduce", "reduce: {threshold_photons: 1}\n", "reduce: {threshold_photons: 1.5}\n",
     "reduce.threshold_photons: 1 and 1.5"},
    {"reduce", "reduce: {delay_bins_ps: {edges: [0, 1]}}\n", "reduce: {delay_bins_ps: {equal_count: 3}}\n", NULL},
    {"input", "input: {files: [a], i0: x}\n", "input: {i0: x, files: [b, c]}\n", NULL},
    {"input", "input: {files: a, i0: x}\n", "input: {files: b}\n", "input.i0: x and not set"},
    {"input", "input: {readings: {file: a, ids: n}}\n", "input: {readings: [{file: b, ids: n}]}\n", NULL},
    {"input", "input: {readings: {file: a, ids: n}}\n", "input: {readings: [{file: b, ids: m}]}\n",
     "input.readings[0].ids: n and m"},
    {"input", "input: {offsets: [{source: a, shots: 1}]}\n", "input: {offsets: [{source: a, shots: 1}, {source: b}]}\n",
     "input.offsets[1].source: not set and b"},
    {"input", "input: {chip_px: [3, 4]}\n", "input: {chip_px: [3, 5]}\n", "input.chip_px[1]: 4 and 5"},
    {"input", "input: {common_mode: {rows: true}}\n", "input: {common_mode: {columns: false}}\n",
     "input.common_mode.rows: true and false"},
    {"select", "select: {cuts: {source: a, min: 0}}\n", "select: {cuts: {source: a, min: 1}}\n",
     "select.cuts.min: 0 and 1"},
    {"experiment.energy_kev", "experiment: {energy_kev: 9}\n", "experiment: {energy_kev: 9.5, title: t}\n",
     "experiment.energy_kev: 9 and 9.5"},
    {"experiment.energy_kev", "experiment: {title: s}\n", "", NULL},
};

START_TEST(test_differ)
{
    xn_config *config[2];
    xn_config_difference d;
    const char *yaml[2] = {cases[_i].a, cases[_i].b};
    for (int k = 0; k < 2; k++)
        ck_assert_msg(xn_config_parse(ctx, yaml[k], "c.yaml", ".", &config[k]) == XANI_OK, "%s", xani_error_text(ctx));
    ck_assert_int_eq(xn_config_differ(config[0], config[1], cases[_i].part, skip, &d), cases[_i].says != NULL);
    if (cases[_i].says != NULL) {
        char text[512];
        snprintf(text, sizeof text, "%s: %s and %s", d.key, d.value[0], d.value[1]);
        ck_assert_str_eq(text, cases[_i].says);
    }
    ck_assert_int_eq(xn_config_differ(config[1], config[0], cases[_i].part, skip, &d), cases[_i].says != NULL);
    for (int k = 0; k < 2; k++) {
        ck_assert(!xn_config_differ(config[k], config[k], cases[_i].part, skip, &d));
        xani_config_destroy(&config[k]);
    }
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, test_differ, 0, (int)(sizeof cases / sizeof cases[0]));
}
XN_TEST_MAIN("config differ", add)
