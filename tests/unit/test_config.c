// SPDX-License-Identifier: BSD-3-Clause
// test_config.c -- the configuration: what is read, what is refused and with which line of text.
#include "no_memory.h"
#include "test.h"

#include <locale.h>

#include "core/config.h"
#include "core/rng.h"

static xn_ctx *ctx;
static xn_config *config;

static void set_up(void) { ck_assert_int_eq(xani_create(&ctx), XANI_OK); }

static void tear_down(void)
{
    xani_config_destroy(&config);
    xani_destroy(&ctx);
}

static void parse(const char *yaml)
{
    xani_config_destroy(&config);
    xn_clear_error(ctx);
    xani_status st = xn_config_parse(ctx, yaml, "exp.yaml", "/data/exp", &config);
    ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
}

static void refuse(const char *yaml, const char *message)
{
    xani_config_destroy(&config);
    xn_clear_error(ctx);
    ck_assert_msg(xn_config_parse(ctx, yaml, "exp.yaml", ".", &config) == XANI_ERR_CONFIG, "accepted: %s", yaml);
    ck_assert_ptr_null(config);
    ck_assert_str_eq(xani_error_text(ctx), message);
}

static const char whole_contract[] =
    "experiment: {title: Al, facility: SwissFEL, energy_kev: 9.5, notes: none}\n"
    "input:\n"
    "  layout: swissfel\n"
    "  files: [run1.h5, 'raw/*.h5']\n"
    "  frames: JF07T02V01\n"
    "  i0: SARES11-LSCP10-FNS:CH0:VAL_GET\n"
    "  laser: {codes: [162, 91], drop: [75]}\n"
    "  delay:\n"
    "    parts: [{source: STAGE, scale_ps: 6.67, origin: 14.5}, {source: PHASE}]\n"
    "    sign: -1\n"
    "    zero_ps: 0.25\n"
    "    time_tool: {source: TT, sign: 1, origin: 512, coefficients_ps: [0, 2.5e-3, -1e-7]}\n"
    "  mask: [{file: a.h5, dataset: /mask, good: zero}, {dataset: /m2, good: nonzero}]\n"
    "  calibration: {pedestal: ped.h5, gain: gain.h5}\n"
    "select:\n"
    "  i0: {percentile: [2, 98]}\n"
    "  time_tool: {source: TT:Q, min: 0.1}\n"
    "  cuts: [{source: X, min: -1, max: 1, name: pos}]\n"
    "  max_shots: 5000\n"
    "reduce:\n"
    "  delay_bins_ps: {start: -0.5, stop: 10, step: 0.05}\n"
    "  spatial_bin: 4\n"
    "  threshold_photons: 0.6\n"
    "  off: {mode: blocks, block_shots: 1000}\n"
    "fit: {modes_max: 2, start: both, background: polynomial1, frequency_thz: [0.3, 12], delay_ps: [0.1, 9],\n"
    "      significance: 25, max_failed: 0.5}\n"
    "geometry:\n"
    "  detector: {shape: [64, 96], pixel_mm: 0.075, centre_px: [-20.5, 32]}\n"
    "  distance_mm: 80\n"
    "  ub: [[1.5, 0, 0], [0, 1.5, 0], [0, 0, 1.5]]\n"
    "  goniometer: [{axis: [0, 1, 0], sign: 1, angle_deg: 10}, {axis: [1, 0, 0]}]\n"
    "  polarisation: {direction: [1, 0, 0], fraction: 0.98}\n"
    "runs: [{name: r1, files: a.h5, angle_deg: [1, 2]}, {name: r2, files: [b.h5, c.h5], angle_deg: [3, 4]}]\n"
    "map:\n"
    "  crystal: {cell: [4.05, 4.05, 4.05, 90, 90, 90], space_group: 225,\n"
    "            basis: [{element: Al, position: [0, 0, 0]}]}\n"
    "  grid: {shape: [16, 16, 16]}\n"
    "  path: [{label: G, hkl: [0, 0, 0]}, X, {label: K}]\n"
    "  tube_inv_ang: 0.1\n"
    "  mode_kind: pair\n"
    "  force_constants: {file: fc.txt, format: bvk, refine: true, shells: 8}\n"
    "engine: {threads: 2, device: cpu, devices: [0, 1], kernels: avx2, memory_gib: 4, tile: 4096}\n"
    "output: {directory: out, keep_cube: false, report: true}\n";

START_TEST(test_all_keys_of_the_contract)
{
    // Every kind of value of the contract's list is read back as written.
    parse(whole_contract);
    double v[9];
    char key[XN_KEY_LENGTH];
    ck_assert_double_eq(xn_config_double(config, "experiment.energy_kev"), 9.5);
    ck_assert_int_eq(xn_config_count(config, "input.files"), 2);
    ck_assert_str_eq(xn_config_string(config, "input.files[1]"), "raw/*.h5");
    ck_assert_int_eq(xn_config_doubles(config, "input.laser.codes", v, 9), 2);
    ck_assert_double_eq(v[1], 91);
    ck_assert_int_eq(xn_config_int(config, "input.laser.drop[0]"), 75);
    ck_assert_int_eq(xn_config_count(config, "input.delay.parts"), 2);
    ck_assert_str_eq(xn_config_string(config, xn_key(key, "input.delay.parts[%d].source", 1)), "PHASE");
    ck_assert_double_eq(xn_config_double(config, "input.delay.parts[1].scale_ps"), 1.0);
    ck_assert_int_eq(xn_config_int(config, "input.delay.sign"), -1);
    ck_assert_int_eq(xn_config_doubles(config, "input.delay.time_tool.coefficients_ps", v, 9), 3);
    ck_assert_double_eq(v[2], -1e-7);
    ck_assert_str_eq(xn_config_string(config, "input.mask[1].good"), "nonzero");
    ck_assert_str_eq(xn_config_map_key(config, "select.i0", 0), "percentile");
    ck_assert_ptr_null(xn_config_map_key(config, "select.i0", 1));
    ck_assert_str_eq(xn_config_string(config, "reduce.off.mode"), "blocks");
    ck_assert_int_eq(xn_config_int(config, "fit.modes_max"), 2);
    ck_assert_int_eq(xn_config_doubles(config, "geometry.ub", v, 9), 9);
    ck_assert_double_eq(v[4], 1.5);
    ck_assert_double_eq(xn_config_double(config, "geometry.goniometer[0].axis[1]"), 1.0);
    ck_assert_str_eq(xn_config_string(config, "runs[0].files[0]"), "a.h5");
    ck_assert_int_eq(xn_config_count(config, "runs[1].files"), 2);
    ck_assert_double_eq(xn_config_double(config, "runs[1].angle_deg[1]"), 4.0);
    ck_assert_str_eq(xn_config_string(config, "map.crystal.space_group"), "225");
    ck_assert_str_eq(xn_config_string(config, "map.path[1].label"), "X");
    ck_assert(!xn_config_has(config, "map.path[1].hkl"));
    ck_assert_str_eq(xn_config_string(config, "map.path[2].label"), "K");
    ck_assert(xn_config_bool(config, "map.force_constants.refine"));
    ck_assert(!xn_config_bool(config, "output.keep_cube"));
    ck_assert_str_eq(xn_config_map_key(config, "", 0), "experiment");
}
END_TEST

START_TEST(test_defaults)
{
    // What is not given, empty or null has the table's default, and counts as unset.
    parse("fit: {modes_max: , start: null}\nselect: ~\noutput:\n");
    ck_assert(!xn_config_has(config, "fit.modes_max"));
    ck_assert(xn_config_has(config, "fit"));
    ck_assert(!xn_config_has(config, "select"));
    ck_assert_int_eq(xn_config_int(config, "fit.modes_max"), 3);
    ck_assert_str_eq(xn_config_string(config, "fit.start"), "both");
    ck_assert(isnan(xn_config_double(config, "fit.significance")));
    ck_assert_double_eq(xn_config_double(config, "fit.max_failed"), 1.0);
    ck_assert(xn_config_bool(config, "output.report"));
    ck_assert_ptr_null(xn_config_string(config, "input.layout"));
    ck_assert_int_eq(xn_config_count(config, "runs"), 0);
    ck_assert_int_eq(xn_config_int(config, "input.delay.time_tool.sign"), 1);
    double v[3] = {9, 9, 9};
    ck_assert_int_eq(xn_config_doubles(config, "geometry.polarisation.direction", v, 3), 3);
    ck_assert_double_eq(v[0], 1.0);
    ck_assert_double_eq(v[2], 0.0);
    ck_assert_double_eq(xn_config_double(config, "geometry.polarisation.direction[1]"), 0.0);
    ck_assert_int_eq(xn_config_doubles(config, "fit.frequency_thz", v, 3), 0);
    ck_assert_ptr_null(xn_config_map_key(config, "", 1));
    xani_config_destroy(&config);
    ck_assert_int_eq(xani_config_create(ctx, &config), XANI_OK);
    ck_assert_int_eq(xn_config_int(config, "reduce.spatial_bin"), 1);
}
END_TEST

START_TEST(test_one_for_several)
{
    // One map or value where several are allowed is a list of one; the plain scalars off, yes, 1e5 stay text.
    parse("select: {time_tool: {source: off, min: 1}}\ninput: {files: 1e5, mask: {dataset: yes}, laser: evtset20}\n"
          "map: {path: G}\n");
    ck_assert_int_eq(xn_config_count(config, "select.time_tool"), 1);
    ck_assert_str_eq(xn_config_string(config, "select.time_tool[0].source"), "off");
    ck_assert(!xn_config_has(config, "select.time_tool[1].source"));
    ck_assert_int_eq(xn_config_count(config, "input.files"), 1);
    ck_assert_str_eq(xn_config_string(config, "input.files[0]"), "1e5");
    ck_assert_str_eq(xn_config_string(config, "input.mask[0].dataset"), "yes");
    ck_assert_str_eq(xn_config_string(config, "input.laser"), "evtset20");
    ck_assert(!xn_config_has(config, "input.laser.codes"));
    ck_assert_str_eq(xn_config_string(config, "map.path[0].label"), "G");
    parse("reduce: {off: {mode: nearest}, delay_bins_ps: {edges: [0, 0.5, 2]}}");
    ck_assert_str_eq(xn_config_string(config, "reduce.off.mode"), "nearest");
    ck_assert_int_eq(xn_config_count(config, "reduce.delay_bins_ps.edges"), 3);
}
END_TEST

START_TEST(test_unknown_keys)
{
    // An unknown key is named with its line and the nearest known key, of another map where that is nearer.
    refuse("selct: {}\n", "exp.yaml:1: selct: unknown key; the nearest known key is select");
    refuse("fit:\n  modes_max: 1\n  siginficance: 3\n",
           "exp.yaml:3: fit.siginficance: unknown key; the nearest known key is fit.significance");
    refuse("fit:\n  threads: 2\n", "exp.yaml:2: fit.threads: unknown key; the nearest known key is engine.threads");
    refuse("runs:\n- name: a\n- {name: b, angles_deg: [1]}\n",
           "exp.yaml:3: runs[1].angles_deg: unknown key; the nearest known key is runs[].angle_deg");
    refuse("fit.modes_max: 2\n", "exp.yaml:1: fit.modes_max: unknown key; the nearest known key is fit.modes_max");
    refuse("input: {mask: {fil: a}}",
           "exp.yaml:1: input.mask.fil: unknown key; the nearest known key is input.mask[].file");
}
END_TEST

// The results of runs of one name, or of a name with a slash, would overwrite others.
START_TEST(test_run_names)
{
    refuse("runs:\n- name: a\n- name: b\n- name: a\n",
           "exp.yaml:4: runs[2].name: runs 1 and 3 are both named 'a'; each has a folder of results");
    refuse("runs: [{name: ../a}]\n", "exp.yaml:1: runs[0].name: '../a' cannot be the name of a folder");
    refuse("runs: [{name: a/b}]\n", "exp.yaml:1: runs[0].name: 'a/b' cannot be the name of a folder");
    refuse("runs: {name: .}\n", "exp.yaml:1: runs[0].name: '.' cannot be the name of a folder");
    refuse("runs: [{name: dispersion.h5}]\n",
           "exp.yaml:1: runs[0].name: 'dispersion.h5' cannot be the name of a folder");
    refuse("runs:\n- name: run0002\n- files: x.h5\n",
           "exp.yaml:3: runs[1].name: runs 1 and 2 are both named 'run0002'; each has a folder of results");
    parse("runs: [{files: a}, {files: b}, {name: run0004}]\n");
}
END_TEST

START_TEST(test_strict_numbers)
{
    // A number is read whole or not at all.
    static const char *const bad[] = {"50 fs", "12x", "010", "nan", ".inf", "inf", "1e400",  "-1e400", "0x10", "1_000",
                                      "1,5",   "--1", "1e",  "e5",  ".",    "+",   "1.5abc", "''",     "0b1",  "1:30"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char yaml[128], message[256], text[64];
        snprintf(text, sizeof text, "%s", strcmp(bad[i], "''") ? bad[i] : "");
        snprintf(yaml, sizeof yaml, "input:\n  delay:\n    zero_ps: %s\n", bad[i]);
        snprintf(message, sizeof message, "exp.yaml:3: input.delay.zero_ps: '%s' is not a number", text);
        refuse(yaml, message);
    }
    refuse("fit: {modes_max: 1.9}", "exp.yaml:1: fit.modes_max: '1.9' is not a whole number");
    refuse("fit: {modes_max: 010}", "exp.yaml:1: fit.modes_max: '010' is not a whole number");
    refuse("fit: {modes_max: 1e0}", "exp.yaml:1: fit.modes_max: '1e0' is not a whole number");
    refuse("select: {max_shots: 99999999999999999999}",
           "exp.yaml:1: select.max_shots: '99999999999999999999' is not a whole number");
    refuse("fit: {frequency_thz: [0.1, 5 THz]}", "exp.yaml:1: fit.frequency_thz: '5 THz' is not a number");
    static const struct {
        const char *text;
        double value;
    } good[] = {{"0", 0},  {"-0.25", -0.25}, {"+3", 3},       {".5", 0.5},
                {"5.", 5}, {"1e-3", 1e-3},   {"2.5E+2", 250}, {"0.1", 0.1}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char yaml[64];
        snprintf(yaml, sizeof yaml, "input: {delay: {zero_ps: %s}}", good[i].text);
        parse(yaml);
        ck_assert_double_eq(xn_config_double(config, "input.delay.zero_ps"), good[i].value);
    }
}
END_TEST

START_TEST(test_locale)
{
    // A decimal comma in the calling program's locale changes no number.
    char command[700], path[1024];
    const char *dir = xn_test_dir("locale");
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 2>/dev/null", dir);
    int made = system(command); // its status is not needed: setlocale tells
    (void)made;
    ck_assert_ptr_nonnull(realpath(dir, path));
    setenv("LOCPATH", path, 1);
    if (setlocale(LC_NUMERIC, "de_DE.UTF-8") == NULL) {
        xn_skip("config: no locale with a decimal comma can be made here");
        return;
    }
    ck_assert_double_eq(strtod("2,5", NULL), 2.5);
    parse("fit: {significance: 2.5}");
    ck_assert_double_eq(xn_config_double(config, "fit.significance"), 2.5);
    ck_assert_double_eq(xn_config_double(config, "input.delay.zero_ps"), 0.0);
}
END_TEST

START_TEST(test_ranges_and_choices)
{
    // Values outside their range, choices outside their list, lists of the wrong length are refused.
    refuse("fit: {modes_max: 5}", "exp.yaml:1: fit.modes_max: 5 is outside 0 ... 4");
    refuse("fit: {modes_max: -1}", "exp.yaml:1: fit.modes_max: -1 is outside 0 ... 4");
    refuse("geometry: {distance_mm: 0}", "exp.yaml:1: geometry.distance_mm: 0 is not above 0 and up to 1e+06");
    refuse("select: {i0: {mad: -3}}", "exp.yaml:1: select.i0.mad: -3 is not above 0");
    refuse("select: {max_shots: 0}", "exp.yaml:1: select.max_shots: 0 is below the least allowed, 1");
    refuse("input: {layout: swisfel}",
           "exp.yaml:1: input.layout: 'swisfel' is none of "
           "cube|swissfel|lcls_smalldata|lcls_cube|lcls2_smalldata|lcls2_cube|euxfel|sacla|pal|nxmx|nexus");
    refuse("fit: {start: 'both|neighbours'}",
           "exp.yaml:1: fit.start: 'both|neighbours' is none of periodogram|linear_prediction|both|neighbours|given");
    refuse("fit: {start: ''}",
           "exp.yaml:1: fit.start: '' is none of periodogram|linear_prediction|both|neighbours|given");
    refuse("input: {delay: {sign: 2}}", "exp.yaml:1: input.delay.sign: '2' is none of 1|-1");
    refuse("output: {report: yes}", "exp.yaml:1: output.report: 'yes' is neither true nor false");
    refuse("geometry: {cell: [4, 4, 4]}", "exp.yaml:1: geometry.cell: 6 numbers are expected, not 3");
    refuse("geometry: {ub: [[1, 0, 0], [0, 1], [0, 0, 1, 1]]}",
           "exp.yaml:1: geometry.ub: a row of 3 numbers is expected");
    refuse("fit: {frequency_thz: [3, 1]}", "exp.yaml:1: fit.frequency_thz: 1 does not exceed 3: numbers must increase");
    refuse("reduce: {delay_bins_ps: {edges: [0, 1, 1]}}",
           "exp.yaml:1: reduce.delay_bins_ps.edges: 1 does not exceed 1: numbers must increase");
    refuse("select: {i0: {min: 2, max: 1}}", "exp.yaml:1: select.i0: min 2 is above max 1");
    parse("geometry: {ub: [1, 0, 0, 0, 1, 0, 0, 0, 1]}");
}
END_TEST

START_TEST(test_alternatives)
{
    // Forms that exclude each other may not be mixed.
    refuse("select:\n  i0:\n    min: 1\n    mad: 3\n", "exp.yaml:4: select.i0: min and mad are alternatives: give one");
    refuse("reduce: {delay_bins_ps: {start: 0, edges: [0, 1]}}",
           "exp.yaml:1: reduce.delay_bins_ps: start and edges are alternatives: give one");
    refuse("geometry: {file: a.geom, detector: {pixel_mm: 1}}",
           "exp.yaml:1: geometry: file and detector are alternatives: give one");
    refuse("geometry: {file: a.geom, detector: {stored: [0, 2], pixel_mm: 1}}",
           "exp.yaml:1: geometry: file and detector are alternatives: give one");
    parse("geometry: {file: a.geom, detector: {stored: [0, 2]}}"); // which modules of the file
    refuse("geometry: {ub: [1, 0, 0, 0, 1, 0, 0, 0, 1], cell: [1, 1, 1, 90, 90, 90]}",
           "exp.yaml:1: geometry: ub and cell are alternatives: give one");
    parse("select: {i0: {min: 1, mad: null}}");
}
END_TEST

START_TEST(test_wrong_kinds)
{
    // A list where one word belongs, a word where keys belong, and the like.
    refuse("- a\n", "exp.yaml:1: a configuration is keys and values, as in 'fit: {modes_max: 2}'");
    refuse("just text", "exp.yaml:1: a configuration is keys and values, as in 'fit: {modes_max: 2}'");
    refuse("fit: 3", "exp.yaml:1: fit: keys are expected, as in {key: value}");
    refuse("runs: [a, b]", "exp.yaml:1: runs[0]: keys are expected, as in {key: value}");
    refuse("select: {cuts: X}", "exp.yaml:1: select.cuts: keys are expected, as in {key: value}");
    refuse("fit: {modes_max: [1]}", "exp.yaml:1: fit.modes_max: a whole number is expected, not a list or keys");
    refuse("fit: {delay_ps: [1, ~]}", "exp.yaml:1: fit.delay_ps: a number is expected, not nothing");
    refuse("fit: {start: [both]}", "exp.yaml:1: fit.start: one word is expected, not a list or keys");
    refuse("experiment: {title: [a]}", "exp.yaml:1: experiment.title: one text is expected");
    refuse("experiment: {title: ''}", "exp.yaml:1: experiment.title: the text is empty");
    refuse("input: {files: {a: b}}", "exp.yaml:1: input.files: a text or a list of texts is expected");
    refuse("input: {files: [a, [b]]}", "exp.yaml:1: input.files: an element is not a text");
}
END_TEST

START_TEST(test_yaml_refused)
{
    // What makes a configuration hard to read, or is not YAML, is refused with its line.
    refuse("fit:\n  start: both\n  start: both\n", "exp.yaml:3: key 'start' is given twice (first in line 2)");
    refuse("fit: &f {start: both}\n", "exp.yaml:1: anchors (&name) are not supported; write the value again");
    refuse("fit: {start: &s both}\n", "exp.yaml:1: anchors (&name) are not supported; write the value again");
    refuse("&k fit: {start: both}\n", "exp.yaml:1: anchors are not supported");
    refuse("fit: {modes_max: !!int 3}", "exp.yaml:1: tags (!name) are not supported");
    refuse("fit: {start: both}\nmap: *f\n", "exp.yaml:2: aliases (*name) are not supported; write the value again");
    refuse("fit: {}\n---\nfit: {}\n", "exp.yaml:2: only one YAML document is allowed");
    refuse("? [a]\n: b\n", "exp.yaml:1: a key must be one word");
    refuse("experiment: {title: \"a\\0b\"}", "exp.yaml:1: a value holds a zero byte");
    refuse("a: [1\nb: 2\n", "exp.yaml:2: not valid YAML: did not find expected ',' or ']'");
    refuse(
        "fit:\n\tstart: both\n",
        "exp.yaml:2: not valid YAML: found character that cannot start any token; indent with spaces, not with a tab");
    char deep[256];
    snprintf(deep, sizeof deep, "geometry: {ub: %.40s%.40s}", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
             "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
    refuse(deep, "exp.yaml:1: nested too deeply");
    xani_config_destroy(&config);
    xn_clear_error(ctx);
    ck_assert_int_eq(xn_config_parse(ctx, "a: \"\xff\"", "exp.yaml", ".", &config), XANI_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "exp.yaml:1: not valid YAML"));
    xn_clear_error(ctx);
    ck_assert_int_eq(xn_config_parse(ctx, "fit:\n  start: both\n# J\xfclich\n", "exp.yaml", ".", &config),
                     XANI_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "exp.yaml:3: not valid YAML"));
}
END_TEST

START_TEST(test_written_again)
{
    // Programs that take off for a truth value write it as false: key, choice and word are understood; a false flag
    // stays.
    parse("reduce: {false: {mode: blocks}}\nengine: {cufile: {p2p: false, parallel_io: true}}\n"
          "input: {delay: {sign: +1, time_tool: {reference: false}}}\noutput: {report: false}\n");
    ck_assert_str_eq(xn_config_string(config, "reduce.off.mode"), "blocks");
    ck_assert_str_eq(xn_config_string(config, "engine.cufile.p2p"), "off");
    ck_assert_str_eq(xn_config_string(config, "engine.cufile.parallel_io"), "on");
    ck_assert_str_eq(xn_config_string(config, "input.delay.time_tool.reference"), "off");
    ck_assert_int_eq(xn_config_int(config, "input.delay.sign"), 1);
    ck_assert(!xn_config_bool(config, "output.report"));
    refuse("reduce: {off: {mode: all}, false: {mode: all}}",
           "exp.yaml:1: reduce.false: unknown key; the nearest known key is input.readings[].file");
    refuse("input: {delay: {sign: +2}}", "exp.yaml:1: input.delay.sign: '+2' is none of 1|-1");
}
END_TEST

START_TEST(test_assign)
{
    // Assignments create what is missing, replace what is there, and are checked like the file.
    parse("fit: {modes_max: 1}\nselect: {time_tool: {source: A, min: 1}}\n");
    ck_assert_int_eq(xani_config_assign(ctx, config, "fit.modes_max=2"), XANI_OK);
    ck_assert_int_eq(xani_config_assign(ctx, config, "engine.threads=1"), XANI_OK);
    ck_assert_int_eq(xani_config_assign(ctx, config, "reduce.delay_bins_ps={start: 0, stop: 1, step: 0.1}"), XANI_OK);
    ck_assert_int_eq(xani_config_assign(ctx, config, "input.delay.parts[0].source=S"), XANI_OK);
    ck_assert_int_eq(xani_config_assign(ctx, config, "input.delay.parts[1]={source: T}"), XANI_OK);
    ck_assert_int_eq(xani_config_assign(ctx, config, "select.time_tool[0].max=3"), XANI_OK);
    ck_assert_int_eq(xani_config_assign(ctx, config, "experiment.title=a=b"), XANI_OK);
    ck_assert_int_eq(xn_config_int(config, "fit.modes_max"), 2);
    ck_assert_int_eq(xn_config_int(config, "engine.threads"), 1);
    ck_assert_double_eq(xn_config_double(config, "reduce.delay_bins_ps.step"), 0.1);
    ck_assert_str_eq(xn_config_string(config, "input.delay.parts[1].source"), "T");
    ck_assert_double_eq(xn_config_double(config, "select.time_tool[0].max"), 3);
    ck_assert_str_eq(xn_config_string(config, "experiment.title"), "a=b");
    ck_assert_int_eq(xani_config_assign(ctx, config, "fit.modes_max="), XANI_OK);
    ck_assert(!xn_config_has(config, "fit.modes_max"));
}
END_TEST

START_TEST(test_assign_refused)
{
    // A refused assignment names itself and changes nothing.
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"fit.modes_max", "assignment 'fit.modes_max': 'key=value' is expected"},
        {"=3", "assignment '=3': 'key=value' is expected"},
        {"fit.modes_max=9", "exp.yaml: fit.modes_max, as assigned: 9 is outside 0 ... 4"},
        {"fit.modesmax=1", "exp.yaml: fit.modesmax, as assigned: unknown key; the nearest known key is fit.modes_max"},
        {"fit..start=both", "assignment 'fit..start=both': the key is malformed; a.b[0].c is its form"},
        {"runs[x].name=a", "assignment 'runs[x].name=a': the key is malformed; a.b[0].c is its form"},
        {"runs[1].name=a", "assignment 'runs[1].name=a': the list is not that long"},
        {"fit.start.x=a", "assignment 'fit.start.x=a': a key is not a map"},
        {"fit[1]=a", "assignment 'fit[1]=a': a key is not a list"},
        {"fit={start: [", "fit={start: [: not valid YAML: did not find expected node content"},
        {"fit=&a {}", "fit=&a {}: anchors (&name) are not supported; write the value again"},
    };
    parse("fit: {modes_max: 1, start: both}\n");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_int_eq(xani_config_assign(ctx, config, bad[i].text), XANI_ERR_CONFIG);
        ck_assert_str_eq(xani_error_text(ctx), bad[i].message);
        ck_assert_int_eq(xn_config_int(config, "fit.modes_max"), 1);
    }
    char *text;
    ck_assert_int_eq(xani_config_text(ctx, config, &text), XANI_OK);
    ck_assert_str_eq(text, "fit: {modes_max: 1, start: both}\n");
    xani_free(text);
}
END_TEST

START_TEST(test_text)
{
    // The text is the file's own; after an assignment it parses back to the same settings, and is stable.
    char *first, *second, *third;
    parse(whole_contract);
    ck_assert_int_eq(xani_config_text(ctx, config, &first), XANI_OK);
    ck_assert_str_eq(first, whole_contract);
    ck_assert_int_eq(xani_config_assign(ctx, config, "experiment.notes='null: \"#\", [x]'"), XANI_OK);
    ck_assert_int_eq(xani_config_assign(ctx, config, "experiment.facility='null'"), XANI_OK);
    ck_assert_int_eq(xani_config_assign(ctx, config, "fit.significance="), XANI_OK);
    ck_assert_int_eq(xani_config_text(ctx, config, &second), XANI_OK);
    parse(second);
    ck_assert_str_eq(xn_config_string(config, "experiment.notes"), "null: \"#\", [x]");
    ck_assert_str_eq(xn_config_string(config, "experiment.facility"), "null");
    ck_assert(!xn_config_has(config, "fit.significance"));
    ck_assert_double_eq(xn_config_double(config, "geometry.ub[1][1]"), 1.5);
    ck_assert_str_eq(xn_config_string(config, "map.path[1].label"), "X");
    ck_assert_double_eq(xn_config_double(config, "runs[1].angle_deg[0]"), 3.0);
    ck_assert_str_eq(xn_config_string(config, "input.files[1]"), "raw/*.h5");
    ck_assert_int_eq(xani_config_assign(ctx, config, "fit.significance="), XANI_OK);
    ck_assert_int_eq(xani_config_text(ctx, config, &third), XANI_OK);
    ck_assert_str_eq(second, third);
    xani_free(first);
    xani_free(second);
    xani_free(third);
}
END_TEST

START_TEST(test_open_and_paths)
{
    // Relative paths are relative to the configuration's folder; a missing file is a configuration error.
    char path[600], want[700];
    const char *dir = xn_test_dir("config");
    snprintf(path, sizeof path, "%s/x.yaml", dir);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs("geometry: {file: det.geom}\ninput: {files: [/abs/a.h5, b.h5]}\nfit: {modes_max: 7}\n", f);
    fclose(f);
    char message[800];
    snprintf(message, sizeof message, "%s:3: fit.modes_max: 7 is outside 0 ... 4", path);
    ck_assert_int_eq(xani_config_open(ctx, path, &config), XANI_ERR_CONFIG);
    ck_assert_str_eq(xani_error_text(ctx), message);
    f = fopen(path, "w");
    fputs("geometry: {file: det.geom}\ninput: {files: [/abs/a.h5, b.h5]}\n", f);
    fclose(f);
    ck_assert_int_eq(xani_config_open(ctx, path, &config), XANI_OK);
    char *file = xn_config_path(config, "geometry.file");
    snprintf(want, sizeof want, "%s/det.geom", dir);
    ck_assert_str_eq(file, want);
    xn_free(file);
    file = xn_config_path(config, "input.files[0]");
    ck_assert_str_eq(file, "/abs/a.h5");
    xn_free(file);
    ck_assert_ptr_null(xn_config_path(config, "output.directory"));
    ck_assert_str_eq(xn_config_dir(config), dir);
    ck_assert_str_eq(xn_config_name(config), path);
    xani_config_destroy(&config);
    ck_assert_int_eq(xani_config_open(ctx, "no/such.yaml", &config), XANI_ERR_CONFIG);
    ck_assert_str_eq(xani_error_text(ctx), "no/such.yaml: cannot be opened: No such file or directory");
    ck_assert_int_eq(xani_config_open(ctx, dir, &config), XANI_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "cannot be read: Is a directory"));
}
END_TEST

START_TEST(test_require_and_bad)
{
    // Stages name the key they miss, or the line of a key they cannot use.
    parse("input:\n  layout: cube\n");
    ck_assert_int_eq(xn_config_require(ctx, config, "input.layout", "which?"), XANI_OK);
    ck_assert_int_eq(xn_config_require(ctx, config, "input.delay.sign", "say 1 or -1"), XANI_ERR_CONFIG);
    ck_assert_str_eq(xani_error_text(ctx), "exp.yaml: input.delay.sign is missing: say 1 or -1");
    xn_clear_error(ctx);
    ck_assert_int_eq(xn_config_bad(ctx, config, "input.layout", "no %s", "luck"), XANI_ERR_CONFIG);
    ck_assert_str_eq(xani_error_text(ctx), "exp.yaml:2: input.layout: no luck");
}
END_TEST

START_TEST(test_table)
{
    // Every row of the table has help, a usable default, and its map above it.
    const xn_setting *s;
    int rows = 0;
    parse("");
    for (; (s = xn_config_setting(rows)) != NULL; rows++) {
        ck_assert_msg(s->help[0] != '\0', "%s has no help", s->key);
        const char *dot = strrchr(s->key, '.');
        if (dot != NULL) {
            size_t n = (size_t)(dot - s->key);
            if (strncmp(s->key + n - 2, "[]", 2) == 0) n -= 2;
            bool found = false;
            for (int i = 0; i < rows && !found; i++) {
                const xn_setting *above = xn_config_setting(i);
                bool holds = above->type == XN_SET_MAP || above->type == XN_SET_LIST;
                found = holds && strlen(above->key) == n && strncmp(above->key, s->key, n) == 0;
            }
            ck_assert_msg(found, "%s has no map above it", s->key);
        }
        for (int i = 0; i < rows; i++) ck_assert_str_ne(xn_config_setting(i)->key, s->key);
        if (s->fallback == NULL || strstr(s->key, "[]") != NULL) continue;
        char assignment[512];
        bool list = s->type == XN_SET_NUMBERS || s->type == XN_SET_INTS;
        snprintf(assignment, sizeof assignment, list ? "%s=[%s]" : "%s=%s", s->key, s->fallback);
        ck_assert_msg(xani_config_assign(ctx, config, assignment) == XANI_OK, "%s", xani_error_text(ctx));
    }
    ck_assert_int_gt(rows, 100);
}
END_TEST

START_TEST(test_allocation_failures)
{
    // Each allocation of opening, assigning and writing text may fail: one status, nothing left behind.
    no_memory n = NO_MEMORY;
    for (; n.reached; no_memory_next(&n)) {
        char *text = NULL;
        xn_clear_error(ctx);
        no_memory_begin(&n);
        xani_status st = xn_config_parse(ctx, whole_contract, "exp.yaml", ".", &config);
        if (st == XANI_OK) st = xani_config_assign(ctx, config, "engine.threads=3");
        if (st == XANI_OK) st = xani_config_text(ctx, config, &text);
        no_memory_end();
        ck_assert_int_eq(st, n.reached ? XANI_ERR_MEMORY : XANI_OK);
        if (n.reached) ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "out of memory"));
        xani_free(text);
        xani_config_destroy(&config);
    }
    ck_assert_uint_gt(n.at, 100);
}
END_TEST

START_TEST(test_mutated_text)
{
    // No damage to a configuration does more than refuse it, in one line that names the file.
    static const char alphabet[] = " \n\t:-[]{},&*!|>'\"%@`#.0aZ~\xc3\\?";
    enum { ROUNDS = 4000 };
    char text[sizeof whole_contract];
    xn_rng r;
    xn_rng_init(&r, 3, 3);
    int refused = 0;
    for (int round = 0; round < ROUNDS; round++) {
        memcpy(text, whole_contract, sizeof text);
        size_t length = sizeof text - 1;
        for (uint32_t k = 0; k <= xn_rng_u32(&r) % 4; k++)
            text[xn_rng_u32(&r) % length] = alphabet[xn_rng_u32(&r) % (sizeof alphabet - 1)];
        if (round % 8 == 0) text[xn_rng_u32(&r) % length] = '\0'; // cut short
        xn_clear_error(ctx);
        if (xn_config_parse(ctx, text, "exp.yaml", ".", &config) == XANI_OK) {
            xani_config_destroy(&config);
            continue;
        }
        refused++;
        ck_assert_ptr_null(config);
        ck_assert_int_eq(strncmp(xani_error_text(ctx), "exp.yaml:", 9), 0);
        ck_assert_ptr_null(strchr(xani_error_text(ctx), '\n'));
    }
    ck_assert_int_gt(refused, ROUNDS / 4);
    ck_assert_int_lt(refused, ROUNDS);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_all_keys_of_the_contract);
    tcase_add_test(t, test_defaults);
    tcase_add_test(t, test_one_for_several);
    tcase_add_test(t, test_unknown_keys);
    tcase_add_test(t, test_run_names);
    tcase_add_test(t, test_strict_numbers);
    tcase_add_test(t, test_locale);
    tcase_add_test(t, test_ranges_and_choices);
    tcase_add_test(t, test_alternatives);
    tcase_add_test(t, test_wrong_kinds);
    tcase_add_test(t, test_yaml_refused);
    tcase_add_test(t, test_written_again);
    tcase_add_test(t, test_assign);
    tcase_add_test(t, test_assign_refused);
    tcase_add_test(t, test_text);
    tcase_add_test(t, test_open_and_paths);
    tcase_add_test(t, test_require_and_bad);
    tcase_add_test(t, test_table);
    tcase_add_test(t, test_allocation_failures);
    tcase_add_test(t, test_mutated_text);
}
XN_TEST_MAIN("config", add)
