// SPDX-License-Identifier: BSD-3-Clause
// test_sim.c -- the simulated experiment against what is known without it: the squeezing law, the tables of
// science.md 13.3, the statistics of shots and photons, the detector's words.
#include "no_memory.h"
#include "source/sim/parts.h"
#include "test.h"

static xani_context *ctx;
static xani_config *config;
static xn_sim_model model;

static const char crystal_keys[] = "map: {crystal: {cell: [3.61, 3.61, 3.61, 90, 90, 90], space_group: Fm-3m}}\n";

static void open_model(const char *yaml)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    ck_assert_msg(xn_config_parse(ctx, yaml, "t.yaml", ".", &config) == XANI_OK, "%s", xani_error_text(ctx));
    ck_assert_msg(xn_sim_model_make(ctx, config, &model) == XANI_OK, "%s", xani_error_text(ctx));
}

static void close_model(void)
{
    xn_sim_model_free(&model);
    xani_config_destroy(&config);
    xani_destroy(&ctx);
}

static xn_sim_view open_view(int run)
{
    xn_sim_view v;
    ck_assert_msg(xn_sim_view_make(ctx, config, &model, run, &v) == XANI_OK, "%s", xani_error_text(ctx));
    return v;
}

// A small experiment; `more` adds keys of sim.
static void open_small(const char *more)
{
    char yaml[2048];
    snprintf(yaml, sizeof yaml,
             "experiment: {energy_kev: 11}\n"
             "geometry: {distance_mm: 60, ub: [1.7405, 0, 0, 0, 1.7405, 0, 0, 0, 1.7405],"
             " goniometer: [{axis: [0, 1, 0]}, {axis: [1, 0, 0], sign: -1}]}\n"
             "runs: [{name: a, angle_deg: [12, 3]}, {name: b, angle_deg: [40, -20]}]\n%s"
             "sim: {delay: {start: -0.3, stop: 3}, shots: 20000, softening: [{shell: 110, factor: 0.85}],"
             " detector: {modules: [2, 1], shape: [16, 24], gap_px: [3, 3], pixel_mm: 1.5, centre_px: [5, -8]}%s%s}\n",
             crystal_keys, more[0] ? ", " : "", more);
    open_model(yaml);
}

// ---- one pixel that sees a given Q

// Rotation that takes the unit vector a to b (both given, not opposite): Rodrigues' formula.
static void rotation_between(const double a[3], const double b[3], double r[9])
{
    double v[3] = {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
    double c = a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    double k[9] = {0, -v[2], v[1], v[2], 0, -v[0], -v[1], v[0], 0}, k2[9];
    xn_mat3_mul(k, k, k2);
    for (int i = 0; i < 9; i++) r[i] = (i % 4 == 0) + k[i] + k2[i] / (1.0 + c);
}

// A detector of 8 x 8 tiny pixels at the scattering angle of |Q|, the crystal turned so that its centre sees Q.
static void open_pixel(const double q[3], const char *softening)
{
    const double a = 3.61, k = XN_K_PER_KEV * 9.5;
    double length = sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2]), theta = asin(length * M_PI / a / k);
    double unit[3] = {q[0] / length, q[1] / length, q[2] / length};
    double beam[3] = {0, cos(theta), -sin(theta)}, u[9]; // Q_lab for scattering in the vertical plane
    rotation_between(unit, beam, u);
    char yaml[2048];
    snprintf(yaml, sizeof yaml,
             "experiment: {energy_kev: 9.5}\n"
             "geometry: {distance_mm: 100, cell: [3.61, 3.61, 3.61, 90, 90, 90],"
             " detector: {shape: [8, 8], pixel_mm: 1e-6, centre_px: [4.5, %.12f]},"
             " orientation: [%.15f, %.15f, %.15f, %.15f, %.15f, %.15f, %.15f, %.15f, %.15f]}\n%s"
             "sim: {delay: {start: 0, stop: 1}, softening: [%s]}\n",
             4.5 - 100 * tan(2 * theta) / 1e-6, u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], crystal_keys,
             softening);
    open_model(yaml);
}

static double amplitude_at(const xn_sim_view *v, int64_t pixel, double f)
{
    double sum = 0;
    for (int l = 0; l < v->model->n_lines; l++)
        if (fabs(v->f[l][pixel] - f) < 2e-3) sum += v->amplitude[l][pixel];
    return sum;
}

typedef struct {
    double q[3], nu[3];
    int n;
    double f[9], a[9];
} listed;

static void check_listed(const listed *row, const char *softening)
{
    open_pixel(row->q, softening);
    xn_sim_view v = open_view(0);
    int64_t pixel = 4 * 8 + 4;
    for (int i = 0; i < 3; i++) ck_assert_double_eq_tol(v.hkl[3 * pixel + i], row->q[i], 2e-6);
    for (int j = 0; j < 3; j++) ck_assert_double_eq_tol(v.nu[3 * pixel + j], row->nu[j], 1e-4);
    for (int k = 0; k < row->n; k++)
        ck_assert_msg(fabs(amplitude_at(&v, pixel, row->f[k]) - row->a[k]) < 6e-6,
                      "Q (%g %g %g) at %g THz: %.6f, not %.5f", row->q[0], row->q[1], row->q[2], row->f[k],
                      amplitude_at(&v, pixel, row->f[k]), row->a[k]);
    xn_sim_view_free(&v);
    close_model();
}

// Detector, orientation and crystal together give the frequencies and amplitudes that are listed for given Q.
START_TEST(listed_values)
{
    static const listed uniform[] = {
        {{2.5, .5, 0}, {3.2496, 4.9718, 6.2079}, 2, {6.499, 12.416}, {-.01372, -.00974}},
        {{2.3, 1.8, .2}, {2.1634, 2.3807, 5.0922}, 3, {4.327, 4.761, 10.184}, {-.01786, -.00493, -.00024}},
        {{2.4, .3, .1}, {2.4880, 3.5488, 5.6368}, 3, {4.976, 7.098, 11.274}, {-.01461, -.00144, -.00686}},
        {{3.4, 1.3, .6}, {2.9289, 3.2107, 6.6495}, 2, {5.858, 13.299}, {-.01955, -.00313}}};
    for (int i = 0; i < 4; i++) check_listed(&uniform[i], "{shell: 110, factor: 0.95}");
    static const listed mixing = {{2.4, .3, .1},
                                  {2.3785, 3.4776, 5.6984},
                                  9,
                                  {4.757, 6.955, 11.397, 5.856, 8.077, 9.176, 1.099, 2.221, 3.320},
                                  {-.04508, -.00281, -.00357, .00136, .00485, .00075, .00130, .00069, .00453}};
    check_listed(&mixing, "{shell: 110, element: zz, factor: 2}");
}
END_TEST

// Without damping and background a trace is the time evolution of the covariance under the new forces.
START_TEST(trace_is_time_evolution)
{
    open_small("damping_per_ps: [0, 0, 0]");
    xn_sim_view v = open_view(1);
    const double hbar = 1.054571817e-34, kb = 1.380649e-23;
    for (int64_t i = 0; i < model.npix; i += 37) {
        double w0[3], e0[9], w1[3], e1[9], at[41] = {0};
        const double *q = v.hkl + 3 * i;
        xn_crystal_modes(&model.table[0], q, w0, e0);
        xn_crystal_modes(&model.table[1], q, w1, e1);
        for (int k = 0; k <= 40; k++)
            for (int j = 0; j < 3; j++) { // each thermal mode moves under the new forces
                double w = sqrt(w0[j]), coth = 1 / tanh(hbar * w / (2 * kb * 296)), fromu = 0, fromp = 0;
                for (int b = 0; b < 3; b++) {
                    double qe = 0, ee = 0, wb = sqrt(w1[b]), t = 0.05e-12 * k;
                    for (int x = 0; x < 3; x++) qe += q[x] * e1[3 * b + x], ee += e1[3 * b + x] * e0[3 * j + x];
                    fromu += qe * cos(wb * t) * ee;
                    fromp += qe * sin(wb * t) / wb * ee;
                }
                at[k] += hbar / (2 * w) * coth * fromu * fromu + hbar * w / 2 * coth * fromp * fromp;
            }
        for (int k = 0; k <= 40; k++) ck_assert_double_eq_tol(xn_sim_y(&v, i, 0.05 * k), at[k] / at[0] - 1, 1e-8);
        ck_assert_double_eq(xn_sim_y(&v, i, -0.01), 0);
    }
    xn_sim_view_free(&v);
    close_model();
}
END_TEST

// Damping, relaxation, heating and dilution enter as science.md 13.3 writes them; combination lines can be left out.
START_TEST(phenomenological_terms)
{
    open_small("combination_lines: false, damping_per_ps: [0.2, 0.5, 0.9], relaxation_ps: 4,"
               " heating: {fraction: 0.03, time_ps: 2}, background: {fraction: 0.5}");
    xn_sim_view v = open_view(0);
    const int pair[3] = {0, 3, 8};
    const double g[3] = {0.2, 0.5, 0.9};
    for (int64_t i = 5; i < model.npix; i += 91)
        for (double t = 0; t < 5; t += 0.37) {
            double i1, mean, nu[3], y = 0;
            xn_line lines[9];
            xn_crystal_lines(&model.table[0], &model.table[1], v.hkl + 3 * i, 296, model.msd[0][0], &i1, &mean, nu,
                             lines);
            double d = i1 / (i1 + model.background_eu);
            for (int j = 0; j < 3; j++) {
                double a_s = -d * lines[pair[j]].amplitude;
                y += a_s * (exp(-t / 4) - exp(-g[j] * t) * cos(4 * M_PI * nu[j] * t));
            }
            y += 0.03 * d * (1 - exp(-t / 2));
            ck_assert_double_eq_tol(xn_sim_y(&v, i, t), y, 1e-12);
        }
    // a background of half the median diffuse intensity: half of the pixels are diluted by more than 1/1.5
    int64_t below = 0;
    for (int64_t i = 0; i < model.npix; i++) below += v.dilution[i] < 1 / 1.5;
    ck_assert_double_eq_tol((double)below, (double)model.npix / 2, 1);
    xn_sim_view_free(&v);
    close_model();
}
END_TEST

// The fast intensities of whole frames are the exact ones to single precision, on and off, before and after zero.
START_TEST(frames_follow_the_exact_trace)
{
    open_small("heating: {fraction: 0.02}, background: {electrons: 3}");
    float *fast = malloc(xn_sim_padded(model.npix) * sizeof *fast);
    for (int run = 0; run < 2; run++) {
        xn_sim_view v = open_view(run);
        for (double t = -0.2; t < 12; t += 0.613) {
            xn_sim_expected(&v, true, t, 1.3, fast);
            for (int64_t i = 0; i < model.npix; i++) {
                double exact = 1.3 * v.photons[i] * (1 + xn_sim_y(&v, i, t));
                ck_assert_msg(fabs((double)fast[i] / exact - 1) < 3e-5, "pixel %d at %g ps: %.7g, exact %.7g", (int)i,
                              t, (double)fast[i], exact);
            }
        }
        xn_sim_expected(&v, false, 0.5, 2.0, fast);
        for (int64_t i = 0; i < model.npix; i++) ck_assert_double_eq_tol((double)fast[i] / v.photons[i], 2.0, 1e-6);
        xn_sim_view_free(&v);
    }
    free(fast);
    close_model();
}
END_TEST

// The panels read back from the geometry file are the ones simulated, to the last bit.
START_TEST(geometry_file)
{
    open_small("");
    char path[600];
    snprintf(path, sizeof path, "%s/t.geom", xn_test_dir("sim"));
    char *text = xn_sim_geometry_text(&model.detector, 11, 0.06);
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
    xn_free(text);
    xn_panels p;
    xn_geometry g;
    const xn_geometry_options o = {.distance_m = 0.06, .pixel_mm = NAN};
    ck_assert_int_eq(xn_panels_crystfel(ctx, path, &o, &p), XANI_OK);
    ck_assert_int_eq(xn_geometry_from_panels(ctx, &p, &g), XANI_OK);
    const xn_geometry *mine = &model.detector.geometry;
    ck_assert(g.ny == 32 && g.nx == 24 && g.n_modules == 2 && mine->n_modules == 2);
    ck_assert_mem_eq(g.position, mine->position, 3 * 32 * 24 * sizeof(float));
    ck_assert_double_eq_tol(p.energy_kev, 11, 1e-12);
    // module 1 lies 16 + 3 pixels above module 0
    ck_assert_float_eq_tol(g.position[3 * 16 * 24 + 1] - g.position[1], 19 * 1.5e-3F, 1e-8F);
    xn_geometry_free(&g);
    xn_panels_free(&p);
    close_model();
}
END_TEST

// ---- statistics

static void moments(const double *x, int64_t n, double *mean, double *rms)
{
    double s = 0, s2 = 0;
    for (int64_t i = 0; i < n; i++) s += x[i];
    s /= (double)n;
    for (int64_t i = 0; i < n; i++) s2 += (x[i] - s) * (x[i] - s);
    *mean = s;
    *rms = sqrt(s2 / (double)n);
}

// I0, monitor, jitter, time tool, losses and laser pattern have the parameters asked for, within 4 sigma.
START_TEST(shot_statistics)
{
    open_small("i0: {modes: 5, monitor_noise: 0.02}, off_every: 5, time_tool: {noise_ps: 0.02, failures: 0.04}");
    xn_sim_shots t;
    ck_assert_int_eq(xn_sim_shots_make(ctx, &model.s, 0, &t), XANI_OK);
    double *x = malloc((size_t)t.n * sizeof *x), mean, rms;
    int64_t n = 0, on = 0, failed = 0, lost = 0, unread = 0, dark = 0;
    for (int64_t i = 0; i < t.n; i++) {
        on += t.on[i], lost += t.lost[i], unread += t.missing[XN_SIM_EDGE][i], dark += t.dark[i];
        ck_assert_int_eq(t.on[i], (i + 1) % 5 != 0);
        if (!t.dark[i]) x[n++] = t.i0[i];
    }
    moments(x, n, &mean, &rms);
    ck_assert_double_eq_tol(mean, 1, 4 * sqrt(0.2 / 20000));
    ck_assert_double_eq_tol(rms, sqrt(0.2), 0.02);
    n = 0;
    for (int64_t i = 0; i < t.n; i++)
        if (!t.dark[i]) x[n++] = t.reading[XN_SIM_I0][i] / (3.5 * t.i0[i]) - 1;
    moments(x, n, &mean, &rms);
    ck_assert_double_eq_tol(mean, 0, 4 * 0.02 / sqrt(20000));
    ck_assert_double_eq_tol(rms, 0.02, 1e-3);
    // time tool: reading against truth where it found the edge
    n = 0;
    for (int64_t i = 0; i < t.n; i++) {
        if (!t.on[i] || t.dark[i]) {
            ck_assert_double_lt(t.reading[XN_SIM_EDGE_AMPLITUDE][i], XN_SIM_EDGE_THRESHOLD);
            continue;
        }
        if (t.reading[XN_SIM_EDGE_AMPLITUDE][i] < XN_SIM_EDGE_THRESHOLD)
            failed++;
        else
            x[n++] =
                xn_sim_delay(t.reading[XN_SIM_STAGE][i], t.reading[XN_SIM_EDGE][i], model.s.zero_ps) - t.delay_ps[i];
    }
    moments(x, n, &mean, &rms);
    ck_assert_double_eq_tol(mean, 0, 4 * 0.02 / sqrt((double)n));
    ck_assert_double_eq_tol(rms, 0.02, 4 * 0.02 / sqrt(2.0 * (double)n));
    ck_assert_double_eq_tol((double)failed / (double)on, 0.04, 4 * sqrt(0.04 / 16000));
    // jitter: truth against the stage
    n = 0;
    for (int64_t i = 0; i < t.n; i++)
        if (t.on[i])
            x[n++] = t.delay_ps[i] - xn_sim_delay(t.reading[XN_SIM_STAGE][i], XN_SIM_EDGE_ORIGIN, model.s.zero_ps);
    for (int64_t i = n - 1; i > 0; i--) x[i] -= x[i - 1]; // differences: drift drops out
    moments(x + 1, n - 1, &mean, &rms);
    ck_assert_double_eq_tol(rms, sqrt(2.0) * 0.06, 0.002);
    ck_assert_double_eq_tol((double)lost, 40, 26);
    ck_assert_double_eq_tol((double)dark, 40, 26);
    ck_assert_double_eq_tol((double)unread, 20, 18);
    ck_assert_int_eq(t.n_frames, t.n - lost);
    free(x);
    xn_sim_shots_free(&t);
    close_model();
}
END_TEST

// Every sweep covers the nominal range evenly: no delay is visited much more than another.
START_TEST(delays_are_even)
{
    open_small("");
    xn_sim_shots t;
    ck_assert_int_eq(xn_sim_shots_make(ctx, &model.s, 1, &t), XANI_OK);
    int count[33] = {0};
    for (int64_t i = 0; i < t.n; i++) {
        double nominal = xn_sim_delay(t.reading[XN_SIM_STAGE][i], XN_SIM_EDGE_ORIGIN, model.s.zero_ps);
        ck_assert(nominal > -0.3 - 1e-9 && nominal < 3 + 1e-9);
        count[(int)floor((nominal + 0.3) / 0.1 * 0.99999999)]++;
    }
    for (int k = 0; k < 33; k++) ck_assert(abs(count[k] - 20000 / 33) < 40);
    xn_sim_shots_free(&t);
    close_model();
}
END_TEST

static double decode(int64_t i, uint16_t word, int *stage)
{
    int code = word >> 14, g = code == 3 ? 2 : code;
    *stage = g;
    ck_assert_int_ne(code, 2);
    return ((word & 0x3fff) - (double)model.detector.pedestal[g][i]) /
           ((double)model.detector.gain[g][i] * model.s.energy_kev);
}

// Words decode to photons: Poisson mean and variance plus the detector's noise, in every gain stage; photons are whole
// in the first stage.
START_TEST(words_are_photons)
{
    open_small("photons: 25, i0: {modes: 1e6}, off_every: 1, losses: {frames: 0, not_good: 0, no_xrays: 0}");
    xn_sim_view v = open_view(0);
    // a few pixels so bright that they leave the first and the second stage
    v.fast_photons[7] = 400.0F, v.fast_photons[8] = 3000.0F;
    xn_sim_shots t;
    ck_assert_int_eq(xn_sim_shots_make(ctx, &model.s, 0, &t), XANI_OK);
    const int frames = 600;
    size_t n = (size_t)model.npix;
    uint16_t *words = malloc(n * sizeof *words);
    float *scratch = malloc(xn_sim_padded(model.npix) * sizeof *scratch);
    double *sum = calloc(2 * n, sizeof *sum), off_whole = 0, firsts = 0, chi2 = 0, z = 0, used = 0;
    int stages[3] = {0};
    for (int k = 0; k < frames; k++) {
        xn_sim_frame(&v, &t, k, words, scratch);
        for (size_t i = 0; i < n; i++) {
            if (model.detector.mask[i]) continue;
            int g;
            double photons = decode((int64_t)i, words[i], &g), w = t.i0[k];
            stages[g]++;
            if (g == 0) firsts++, off_whole += fabs(photons - nearbyint(photons));
            sum[2 * i] += photons / w, sum[2 * i + 1] += photons * photons / (w * w);
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (model.detector.mask[i]) continue;
        double mean = sum[2 * i] / frames, var = sum[2 * i + 1] / frames - mean * mean,
               expected = (double)v.fast_photons[i];
        double noise = expected > 2000 ? 2.0 / (0.1 * 11) : expected > 300 ? 2.0 / (1.4 * 11) : 0.3 / 11;
        double total = expected + noise * noise;
        z += (mean - expected) / sqrt(total / frames);
        chi2 += var / total;
        used++;
        ck_assert_msg(fabs(mean - expected) < 5.5 * sqrt(total / frames) + 2e-3, "pixel %d: %g, expected %g", (int)i,
                      mean, expected);
    }
    ck_assert(stages[0] > 0 && stages[1] > 0 && stages[2] >= frames - 1);
    ck_assert_double_lt(fabs(z) / sqrt(used), 4);
    ck_assert_double_eq_tol(chi2 / used, 1, 0.02);
    ck_assert_double_eq_tol(off_whole / firsts, sqrt(2 / M_PI) * 0.3 / 11, 3e-3);
    free(words), free(scratch), free(sum);
    xn_sim_shots_free(&t);
    xn_sim_view_free(&v);
    close_model();
}
END_TEST

// Bad pixels, frames that are not good and shots without X-rays look like it; other pixels are not touched by them.
START_TEST(damage_is_marked)
{
    open_small("losses: {frames: 0.01, not_good: 0.01, no_xrays: 0.01}, photons: 20");
    xn_sim_view v = open_view(0);
    xn_sim_shots t;
    ck_assert_int_eq(xn_sim_shots_make(ctx, &model.s, 0, &t), XANI_OK);
    size_t n = (size_t)model.npix;
    uint16_t *words = malloc(n * sizeof *words);
    float *scratch = malloc(xn_sim_padded(model.npix) * sizeof *scratch);
    int checked[2] = {0};
    for (int64_t k = 0; k < 2000; k++) {
        if (!t.not_good[k] && !t.dark[k]) continue;
        xn_sim_frame(&v, &t, k, words, scratch);
        for (size_t i = t.not_good[k] ? n / 2 : 0; i < n; i++) {
            int g;
            if (t.dark[k] && !model.detector.mask[i]) ck_assert_double_lt(fabs(decode((int64_t)i, words[i], &g)), 0.2);
        }
        for (size_t i = 0; t.not_good[k] && i < n / 2; i++) ck_assert_int_eq(words[i], 0);
        checked[t.dark[k]]++;
    }
    ck_assert(checked[0] > 3 && checked[1] > 3);
    free(words), free(scratch);
    xn_sim_shots_free(&t);
    xn_sim_view_free(&v);
    close_model();
}
END_TEST

// Brightness: the median pixel of the first run has sim.photons; polarisation and solid angle follow the geometry.
START_TEST(brightness)
{
    open_small("photons: 17");
    xn_sim_view v = open_view(0);
    int64_t below = 0;
    for (int64_t i = 0; i < model.npix; i++) below += v.photons[i] < 17;
    ck_assert_double_eq_tol((double)below, (double)model.npix / 2, 1);
    for (int64_t i = 0; i < model.npix; i += 13) {
        double i1, mean, nu[3];
        xn_line lines[9];
        xn_crystal_lines(&model.table[0], &model.table[1], v.hkl + 3 * i, 296, model.msd[0][0], &i1, &mean, nu, lines);
        const float *r = model.detector.geometry.position + 3 * i;
        double x = (double)r[0], y = (double)r[1], d = sqrt(x * x + y * y + 0.06 * 0.06), c = 0.06 / d;
        double factor = (1 - x * x / (d * d)) * c * c * c; // horizontal polarisation
        ck_assert_double_eq_tol(v.photons[i] / (i1 * factor * model.photons_per_eu), 1, 1e-5); // float positions
    }
    xn_sim_view_free(&v);
    close_model();
}
END_TEST

// Streams: the same seed gives the same frames whatever was drawn before; other seeds, runs and shots differ.
// A detector on an arm faces the sample wherever it stands: solid angles go with the angle to its own normal.
START_TEST(brightness_on_an_arm)
{
    char yaml[2048];
    snprintf(
        yaml, sizeof yaml,
        "experiment: {energy_kev: 9.5}\n"
        "geometry: {distance_mm: 60, cell: [3.61, 3.61, 3.61, 90, 90, 90], arm: [{axis: [0, 1, 0], angle_deg: 40}],"
        " detector: {shape: [16, 20], pixel_mm: 2, centre_px: [10, 8]}, orientation: [0.8, 0, 0.6, 0, 1, 0, -0.6, 0, "
        "0.8]}"
        "\n%ssim: {delay: {start: 0, stop: 1}}\n",
        crystal_keys);
    open_model(yaml);
    xn_sim_view v = open_view(0);
    const double normal[3] = {sin(40 * M_PI / 180), 0, cos(40 * M_PI / 180)};
    for (int64_t i = 0; i < model.npix; i += 7) {
        double i1, mean, nu[3], c = 0, d = 0;
        xn_line lines[9];
        xn_crystal_lines(&model.table[0], &model.table[1], v.hkl + 3 * i, 296, model.msd[0][0], &i1, &mean, nu, lines);
        const float *r = model.detector.geometry.position + 3 * i;
        for (int k = 0; k < 3; k++) c += normal[k] * (double)r[k], d += (double)r[k] * (double)r[k];
        c /= sqrt(d);
        double factor = (1 - (double)r[0] * (double)r[0] / d) * c * c * c;
        ck_assert_double_eq_tol(v.photons[i] / (i1 * factor * model.photons_per_eu), 1, 1e-5);
    }
    xn_sim_view_free(&v);
    close_model();
}
END_TEST

START_TEST(seeds)
{
    uint16_t *words[4];
    for (int k = 0; k < 4; k++) {
        char more[64];
        snprintf(more, sizeof more, "seed: %d", k == 2 ? 9 : 8);
        open_small(more);
        xn_sim_view v = open_view(k == 3);
        xn_sim_shots t;
        ck_assert_int_eq(xn_sim_shots_make(ctx, &model.s, k == 3, &t), XANI_OK);
        float *scratch = malloc(xn_sim_padded(model.npix) * sizeof *scratch);
        words[k] = malloc((size_t)model.npix * 2);
        if (k == 1) xn_sim_frame(&v, &t, 5, words[k], scratch);
        xn_sim_frame(&v, &t, 42, words[k], scratch);
        free(scratch);
        xn_sim_shots_free(&t);
        xn_sim_view_free(&v);
        if (k < 3) close_model();
    }
    size_t bytes = (size_t)model.npix * 2;
    ck_assert_mem_eq(words[0], words[1], bytes);
    ck_assert(memcmp(words[0], words[2], bytes) != 0);
    ck_assert(memcmp(words[0], words[3], bytes) != 0);
    for (int k = 0; k < 4; k++) free(words[k]);
    close_model();
}
END_TEST

// What cannot be simulated is refused with the key in the text.
START_TEST(errors_name_the_key)
{
    static const struct {
        const char *from, *to, *wanted;
    } cases[] = {{"shell: 110", "shell: 999", "sim.softening[0].shell: crystal cu_296k has no shell 999"},
                 {"factor: 0.85", "element: xx", "sim.softening[0].factor is missing"},
                 {"factor: 0.85", "factor: -1", "sim.softening: makes the crystal unstable"},
                 {"shots: 100", "shots: 0", "sim.shots: 0 is outside 1"},
                 {"stop: 3", "stop: -3", "sim.delay.stop: -3 is not above sim.delay.start"},
                 {"start: -0.3, ", "", "sim.delay.start is missing"},
                 {"shots: 100", "layouts: [cube, lcls]", "sim.layouts[1]: 'lcls' is none of swissfel"},
                 {"shots: 100", "crystal: unobtainium", "sim.crystal"},
                 {"shots: 100", "shotz: 100", "nearest known key is sim.shots"},
                 {"energy_kev: 11", "title: x", "experiment.energy_kev is missing"},
                 {"distance_mm: 60, ", "", "geometry.distance_mm is missing"},
                 {"angle_deg: [12]", "angle_deg: [12, 4]", "runs[0].angle_deg: has 2 angles"},
                 {"name: b", "name: a", "runs[1].name"},
                 {"name: b", "name: b/c", "runs[1].name"},
                 {"3.61, 3.61, 3.61", "4, 4, 4", "map.crystal.cell: the cell is not that of cu_296k"},
                 {"Fm-3m", "Im-3m", "map.crystal: cu_296k is face-centred"}};
    static const char base[] =
        "experiment: {energy_kev: 11}\n"
        "geometry: {distance_mm: 60, orientation: [1, 0, 0, 0, 1, 0, 0, 0, 1], goniometer: [{axis: [0, 1, 0]}]}\n"
        "runs: [{name: a, angle_deg: [12]}, {name: b, angle_deg: [40]}]\n"
        "map: {crystal: {cell: [3.61, 3.61, 3.61, 90, 90, 90], space_group: Fm-3m}}\n"
        "sim: {delay: {start: -0.3, stop: 3}, shots: 100, softening: [{shell: 110, factor: 0.85}],\n"
        "  detector: {modules: [1, 1], shape: [8, 8]}}\n";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char yaml[2048];
        const char *at = strstr(base, cases[i].from);
        ck_assert_ptr_nonnull(at);
        snprintf(yaml, sizeof yaml, "%.*s%s%s", (int)(at - base), base, cases[i].to, at + strlen(cases[i].from));
        xani_status st;
        xani_create(&ctx);
        st = xn_config_parse(ctx, yaml, "t.yaml", ".", &config);
        if (st == XANI_OK) st = xn_sim_model_make(ctx, config, &model);
        ck_assert_msg(st == XANI_ERR_CONFIG || (i == 7 && st == XANI_ERR_INPUT), "case %d: status %d", (int)i, st);
        ck_assert_msg(strstr(xani_error_text(ctx), cases[i].wanted) != NULL, "'%s' lacks '%s'", xani_error_text(ctx),
                      cases[i].wanted);
        xani_config_destroy(&config);
        xani_destroy(&ctx);
    }
}
END_TEST

// Any allocation may fail: a clean error, nothing leaks or crashes (sanitizers look on).
START_TEST(memory)
{
    static const char yaml[] =
        "experiment: {energy_kev: 11}\n"
        "geometry: {distance_mm: 60, orientation: [1, 0, 0, 0, 1, 0, 0, 0, 1]}\n"
        "map: {crystal: {cell: [3.61, 3.61, 3.61, 90, 90, 90], space_group: Fm-3m}}\n"
        "sim: {delay: {start: 0, stop: 3}, shots: 10, detector: {modules: [1, 1], shape: [8, 8]}}\n";
    no_memory n = NO_MEMORY;
    for (; n.reached; n.at += n.at > 60 ? 4 : 1) { // a model is dear
        xani_create(&ctx);
        ck_assert_int_eq(xn_config_parse(ctx, yaml, "t.yaml", ".", &config), XANI_OK);
        no_memory_begin(&n);
        xn_sim_view v;
        xn_sim_shots t;
        xani_status st = xn_sim_model_make(ctx, config, &model);
        if (st == XANI_OK) {
            st = xn_sim_view_make(ctx, config, &model, 0, &v);
            if (st == XANI_OK) {
                st = xn_sim_shots_make(ctx, &model.s, 0, &t);
                if (st == XANI_OK) xn_sim_shots_free(&t);
                xn_sim_view_free(&v);
            }
            xn_sim_model_free(&model);
        }
        no_memory_end();
        xani_status want = n.reached ? XANI_ERR_MEMORY : XANI_OK;
        ck_assert_msg(st == want, "allocation %d: %d %s", (int)n.at, st, xani_error_text(ctx));
        xani_config_destroy(&config);
        xani_destroy(&ctx);
    }
    ck_assert_uint_gt(n.at, 30);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_test(t, listed_values);
    tcase_add_test(t, trace_is_time_evolution);
    tcase_add_test(t, phenomenological_terms);
    tcase_add_test(t, frames_follow_the_exact_trace);
    tcase_add_test(t, geometry_file);
    tcase_add_test(t, shot_statistics);
    tcase_add_test(t, delays_are_even);
    tcase_add_test(t, words_are_photons);
    tcase_add_test(t, damage_is_marked);
    tcase_add_test(t, brightness);
    tcase_add_test(t, brightness_on_an_arm);
    tcase_add_test(t, seeds);
    tcase_add_test(t, errors_name_the_key);
    tcase_add_test(t, memory);
}
XN_TEST_MAIN("sim", add)
