// SPDX-License-Identifier: BSD-3-Clause
// test_geometry.c -- CrystFEL files, grouping inside modules, momentum transfer of known pixels.
#include "physics/geometry.h"

#include "physics/panel.h"
#include "test.h"

static xani_status read_crystfel(xani_context *ctx, const char *path, double distance_m, xn_panels *p)
{
    const xn_geometry_options o = {.distance_m = distance_m, .pixel_mm = NAN};
    return xn_panels_crystfel(ctx, path, &o, p);
}

static xani_status read_text(const char *text, double distance_m, xn_panels *p)
{
    char path[600];
    snprintf(path, sizeof path, "%s/t.geom", xn_test_dir("geometry"));
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
    return read_crystfel(NULL, path, distance_m, p);
}

static const char two_panels[] =
    "photon_energy = 9.5 keV ; comment = 3\n"
    "clen = 0.1\nres = 10000\nfs = -y\nss = +0.5x +0.5 z\n"
    "rigid_group_q0 = a,b\n"
    "a/min_fs = 0\na/max_fs = 3\na/min_ss = 0\na/max_ss = 1\n"
    "a/corner_x = 10\na/corner_y = -20.5\na/coffset = 0.002\n"
    "res = 5000\nclen = 0.3\n"
    "b/min_fs=0\nb/max_fs=3\nb/min_ss=2\nb/max_ss=4\nb/corner_x=0\nb/corner_y=0\n"
    "b/fs = x\nb/ss = y\n"
    "bad_one/panel = b\nbad_one/min_fs = 1\nbad_one/max_fs = 1\nbad_one/min_ss = 3\n"
    "bad_one/max_ss = 3\n"
    "bad_lab/min_x = 9.9\nbad_lab/max_x = 10.6\nbad_lab/min_y = -21.5\nbad_lab/max_y = -20\n";

// top-level keys act only on panels first mentioned later; corner is the outer corner, centres at +0.5
START_TEST(crystfel_rules)
{
    xn_panels p;
    xn_geometry g;
    ck_assert_int_eq(read_text(two_panels, NAN, &p), XANI_OK);
    ck_assert_int_eq(p.n, 2);
    ck_assert_double_eq_tol(p.energy_kev, 9.5, 1e-12);
    ck_assert_int_eq(xn_geometry_from_panels(NULL, &p, &g), XANI_OK);
    ck_assert(g.ny == 5 && g.nx == 4 && g.n_modules == 2 && g.module_rows[0] == 2 && g.module_rows[1] == 3);
    // a, fs = 2, ss = 1: corner (10, -20.5) + 2.5 (0, -1) + 1.5 (0.5, 0, 0.5), in 1/10000 m
    const float *r = g.position + 3 * (1 * 4 + 2);
    ck_assert_float_eq_tol(r[0], 10.75e-4F, 1e-9F);
    ck_assert_float_eq_tol(r[1], -23.0e-4F, 1e-9F);
    ck_assert_float_eq_tol(r[2], 0.102F + 0.75e-4F, 1e-8F);
    r = g.position + 3 * (3 * 4 + 1); // b: fs = 1, ss = 3 in data, 1.5 rows below its corner
    ck_assert_float_eq_tol(r[0], 1.5F / 5000, 1e-9F);
    ck_assert_float_eq_tol(r[1], 1.5F / 5000, 1e-9F);
    ck_assert_float_eq_tol(r[2], 0.3F, 1e-8F);
    int bad = 0;
    for (int i = 0; i < 20; i++) bad += g.bad[i] != 0;
    ck_assert_int_eq(g.bad[3 * 4 + 1], XN_GEOMETRY_BAD);
    ck_assert_int_eq(g.bad[0], XN_GEOMETRY_BAD); // a (0, 0): x = 10.25, y = -21
    ck_assert_int_eq(bad, 2);
    xn_geometry_free(&g);
    xn_panels_free(&p);
    // geometry.distance_mm replaces clen, not coffset
    ck_assert_int_eq(read_text(two_panels, 0.5, &p), XANI_OK);
    ck_assert_double_eq_tol(p.panel[0].corner[2], 0.502, 1e-12);
    ck_assert_double_eq_tol(p.panel[1].corner[2], 0.5, 1e-12);
    xn_panels_free(&p);
}
END_TEST

static void heard(void *user, xani_log_level level, const char *text)
{
    if (level == XANI_LOG_WARNING) snprintf(user, 300, "%s", text);
}

// a mask that the file names is not followed, which is said
START_TEST(crystfel_mask_file)
{
    xn_panels p;
    xani_context *ctx;
    char path[600], warned[300] = "";
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    xani_set_log(ctx, heard, warned);
    snprintf(path, sizeof path, "%s/t.geom", xn_test_dir("geometry"));
    for (int i = 0; i < 2; i++) {
        FILE *f = fopen(path, "w");
        fprintf(f,
                "clen = 0.1\nres = 1e4\n%s = x.h5\na/min_fs=0\na/max_fs=1\na/min_ss=0\na/max_ss=1\n"
                "a/corner_x=0\na/corner_y=0\n",
                i == 0 ? "mask" : "mask_file");
        fclose(f);
        ck_assert_int_eq(read_crystfel(ctx, path, NAN, &p), XANI_OK);
        xn_panels_free(&p);
        ck_assert(i == 0 ? warned[0] == '\0' : strstr(warned, "t.geom:3: mask_file = x.h5") != NULL);
    }
    xani_destroy(&ctx);
}
END_TEST

// what cannot be read is refused with the file and line or panel in the text
START_TEST(crystfel_errors)
{
    xn_panels p;
    xani_context *ctx;
    char path[600];
    snprintf(path, sizeof path, "%s/t.geom", xn_test_dir("geometry"));
    static const struct {
        const char *text, *wanted;
    } cases[] = {
        {"clen = /LCLS/detector_1/EncoderValue\nres = 1\na/min_fs=0\na/max_fs=1\na/min_ss=0\na/max_ss=1\n"
         "a/corner_x=0\na/corner_y=0\n",
         "geometry.distance_mm"},
        {"clen = 0.1\nres = 1\na/min_fs = 0\n", "panel a has no max_fs"},
        {"a/min_fs = zero\n", "t.geom:1: min_fs"},
        {"clen = 1\na/fs = 1.0w\n", "t.geom:2: fs"},
        {"clen = 1\n", "no panel"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_int_eq(xani_create(&ctx), XANI_OK);
        FILE *f = fopen(path, "w");
        fputs(cases[i].text, f);
        fclose(f);
        ck_assert_int_eq(read_crystfel(ctx, path, NAN, &p), XANI_ERR_CONFIG);
        ck_assert_msg(strstr(xani_error_text(ctx), cases[i].wanted) != NULL, "%s", xani_error_text(ctx));
        xani_destroy(&ctx);
    }
    ck_assert_int_eq(read_crystfel(NULL, "nowhere.geom", NAN, &p), XANI_ERR_INPUT);
}
END_TEST

// a refined AGIPD file: 16 modules of 512 x 128, panel p0a0 and p15a7 where the file's numbers say
START_TEST(agipd_file)
{
    const char *path = XN_SHARED_DATA "/extra_geom/agipd_mar18_v11.geom";
    if (!xn_test_exists(path)) {
        xn_skip("shared data are not here");
        return;
    }
    xn_panels p;
    xn_geometry g;
    ck_assert_int_eq(read_crystfel(NULL, path, NAN, &p), XANI_OK);
    ck_assert_int_eq(p.n, 128);
    ck_assert_int_eq(xn_geometry_from_panels(NULL, &p, &g), XANI_OK);
    ck_assert(g.ny == 8192 && g.nx == 128 && g.n_modules == 16 && g.module_rows[3] == 512);
    ck_assert_double_eq_tol(g.energy_kev, 9.3, 1e-12);
    ck_assert_double_eq_tol(g.pixel_m, 2e-4, 1e-12);
    // p0a0 pixel (10, 20)
    double x = (-526.111 + 10.5 * -0.001328 + 20.5 * 0.999995) / 5000;
    double y = (629.565 + 10.5 * -0.999995 + 20.5 * -0.001328) / 5000;
    const float *r = g.position + 3 * (20 * 128 + 10);
    ck_assert_double_eq_tol(r[0], x, 1e-8);
    ck_assert_double_eq_tol(r[1], y, 1e-8);
    ck_assert_double_eq_tol(r[2], 0.1249 + 0.001112, 1e-8);
    // p15a7 begins at row 15 * 512 + 448
    r = g.position + 3 * ((15 * 512 + 448) * 128);
    ck_assert_double_eq_tol(r[0], (80.2223 + 0.5 * 0.001282 - 0.5 * 1.000001) / 5000, 1e-8);
    ck_assert_double_eq_tol(r[1], (7.35507 + 0.5 * 1.000001 + 0.5 * 0.001282) / 5000, 1e-8);
    int64_t missing = 0;
    for (int64_t i = 0; i < g.ny * g.nx; i++) missing += isnan(g.position[3 * i]);
    ck_assert_int_eq(missing, 0);
    xn_geometry_free(&g);
    xn_panels_free(&p);
}
END_TEST

// a block never mixes pixels of two modules: rows left over in each are dropped
START_TEST(grouping)
{
    xn_panels p;
    xn_geometry g;
    float *r;
    int64_t gy, gx;
    ck_assert_int_eq(read_text(two_panels, NAN, &p), XANI_OK);
    ck_assert_int_eq(xn_geometry_from_panels(NULL, &p, &g), XANI_OK);
    ck_assert_int_eq(xn_geometry_group(NULL, &g, 2, &r, &gy, &gx), XANI_OK);
    ck_assert(gy == 2 && gx == 2); // 2 and 3 rows -> 1 and 1
    // second module, second block: pixels 2..3 in x, 0..1 in y of panel b
    ck_assert_float_eq_tol(r[3 * 3], 3.0F / 5000, 1e-9F);
    ck_assert_float_eq_tol(r[3 * 3 + 1], 1.0F / 5000, 1e-9F);
    xn_free(r);
    xn_geometry_free(&g);
    xn_panels_free(&p);
}
END_TEST

// Q of pixels with known angles: 0 on the beam, k(1, 0, -1) at 90 degrees, -2k z straight back
START_TEST(momentum_transfer)
{
    const float r[] = {0, 0, 1, 1, 0, 0, 0, 0, -1, 0, 0.1F, 0.1F};
    double q[12], k = XN_K_PER_KEV * 9.5;
    ck_assert_double_eq_tol(k, 4.8143, 5e-5); // science: 4.8143 1/Angstrom at 9.5 keV
    xn_geometry_q(r, 4, 9.5, q);
    const double wanted[] = {0, 0, 0, k, 0, -k, 0, 0, -2 * k, 0, k * sqrt(.5), k * (sqrt(.5) - 1)};
    for (int i = 0; i < 12; i++) ck_assert_double_eq_tol(q[i], wanted[i], 1e-9);
}
END_TEST

// Modules and masked pixels are known without a distance and without positions
START_TEST(frame_alone)
{
    char path[600], yaml[800];
    xani_context *ctx;
    xn_config *config = NULL;
    xn_geometry g;
    snprintf(path, sizeof path, "%s/frame.geom", xn_test_dir("geometry"));
    FILE *f = fopen(path, "w");
    fputs("clen = /detector/z\nres = 10000\na/min_fs = 0\na/max_fs = 3\na/min_ss = 0\na/max_ss = 1\na/corner_x = 0\n"
          "a/corner_y = 0\nb/min_fs = 0\nb/max_fs = 2\nb/min_ss = 2\nb/max_ss = 3\nb/corner_x = 0\nb/corner_y = 9\n"
          "bad_x/panel = a\nbad_x/min_fs = 1\nbad_x/max_fs = 2\nbad_x/min_ss = 0\nbad_x/max_ss = 0\n"
          "bad_y/min_y = 10.2\nbad_y/max_y = 11\n",
          f);
    fclose(f);
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(yaml, sizeof yaml, "geometry: {file: '%s'}\n", path);
    ck_assert_int_eq(xn_config_parse(ctx, yaml, "t", ".", &config), XANI_OK);
    ck_assert_int_eq(xn_geometry_load(ctx, config, 0, 0, &g), XANI_ERR_CONFIG); // no distance
    xn_clear_error(ctx);
    ck_assert_int_eq(xn_geometry_frame(ctx, config, &g), XANI_OK);
    ck_assert(g.position == NULL && g.n_modules == 2 && g.module_rows[0] == 2 && g.ny == 4 && g.nx == 4);
    static const uint8_t wanted[16] = {0, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 2, 2, 1};
    ck_assert_mem_eq(g.bad, wanted, 16);
    xn_geometry_free(&g);
    xani_config_destroy(&config);
    xani_destroy(&ctx);
}
END_TEST

// a damaged file is no reason to take all memory
START_TEST(impossible_size)
{
    xn_panels p;
    xn_geometry g;
    xani_context *ctx;
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    ck_assert_int_eq(read_text("clen = 1\nres = 1\na/min_fs = 0\na/max_fs = 900000\na/min_ss = 0\na/max_ss = 9000000\n"
                               "a/corner_x = 0\na/corner_y = 0\n",
                               NAN, &p),
                     XANI_OK);
    ck_assert_int_eq(xn_geometry_from_panels(ctx, &p, &g), XANI_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "are no detector"));
    xn_panels_free(&p);
    xani_destroy(&ctx);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_test(t, impossible_size);
    tcase_add_test(t, frame_alone);
    tcase_add_test(t, crystfel_rules);
    tcase_add_test(t, crystfel_errors);
    tcase_add_test(t, crystfel_mask_file);
    tcase_add_test(t, agipd_file);
    tcase_add_test(t, grouping);
    tcase_add_test(t, momentum_transfer);
}

XN_TEST_MAIN("geometry", add)
