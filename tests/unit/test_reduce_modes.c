// SPDX-License-Identifier: BSD-3-Clause
// test_reduce_modes.c -- off references in blocks of time, cubes binned before, stored numbers, the sign check.
#include "fake_context.h"
#include "no_memory.h"

#include "reduce/internal.h"

static xani_status reduce(xn_source *source, const char *yaml, xn_cube *cube)
{
    xn_config *c = parse(yaml);
    xani_status st = xn_reduce(ctx, c, source, cube);
    xani_config_destroy(&c);
    return st;
}

#define REDUCE "reduce: {delay_bins_ps: {start: -1, stop: 3, step: 0.5}, spatial_bin: 2, off: %s}\n"

// ---- blocks of time

// Response of a pixel drifts by up to 40 % during the run, differently in each pixel, and the delay is scanned once:
// with one reference for the run, drift looks like signal.
static double drift(void *user, double t, int64_t pixel, int64_t shot)
{
    (void)t;
    return 0.4 * sin(0.05 * (double)pixel) * (double)shot / *(int64_t *)user;
}

static void scan_once(fake *f)
{
    xn_shots *s = &f->source.shots;
    for (int64_t i = 0; i < s->n; i++)
        if (s->laser[i] == XN_LASER_ON) s->delay_ps[i] = -1 + 4 * ((double)i + 0.5) / (double)s->n;
}

// The block of each shot by the rule of work.c, written out again.
static int mark(const fake *f, bool nearest, int size, int *block)
{
    const xn_shots *s = &f->source.shots;
    int blocks = 0;
    if (nearest) {
        int off = 0, n_off = 0;
        double centre[64] = {0}, count[64] = {0};
        for (int64_t i = 0; i < s->n; i++) n_off += s->laser[i] == XN_LASER_OFF;
        blocks = (int)lround((double)n_off / size);
        for (int64_t i = 0; i < s->n; i++) {
            if (s->laser[i] != XN_LASER_OFF) continue;
            block[i] = off / size < blocks ? off / size : blocks - 1;
            off++;
            centre[block[i]] += (double)s->pulse_id[i];
            count[block[i]]++;
        }
        for (int64_t i = 0; i < s->n; i++) {
            if (s->laser[i] == XN_LASER_OFF) continue;
            block[i] = 0;
            for (int b = 1; b < blocks; b++)
                if (fabs(centre[b] / count[b] - (double)s->pulse_id[i]) <
                    fabs(centre[block[i]] / count[block[i]] - (double)s->pulse_id[i]))
                    block[i] = b;
        }
        return blocks;
    }
    for (int64_t i = 0; i < s->n; i++) block[i] = (int)(i / size);
    blocks = (int)((s->n + size - 1) / size);
    if (2 * (s->n % size) < size && s->n % size > 0) {
        for (int64_t i = 0; i < s->n; i++)
            if (block[i] == blocks - 1) block[i]--;
        blocks--;
    }
    return blocks;
}

static double group_photons(const fake *f, int64_t shot, int64_t p)
{
    int64_t y = p / 15, x = p % 15; // 2 x 2; modules of 10 and 12 rows divide evenly
    const double *v = f->photons + shot * f->slab + 2 * y * FAKE_NX + 2 * x;
    return v[0] + v[1] + v[FAKE_NX] + v[FAKE_NX + 1];
}

static void check_blocks(const fake *f, const int *block, const xn_cube *c)
{
    const xn_shots *s = &f->source.shots;
    int64_t npix = c->ny * c->nx;
    ck_assert_int_eq(npix, 165);
    for (int64_t p = 0; p < npix; p++) {
        double off[64] = {0}, m_off[64] = {0};
        double n[8] = {0}, s1[8] = {0}, s2[8] = {0}, e1[8] = {0}, e2[8] = {0}, cross[8] = {0};
        for (int64_t i = 0; i < s->n; i++)
            if (s->laser[i] == XN_LASER_OFF) {
                off[block[i]] += group_photons(f, i, p);
                m_off[block[i]] += s->i0[i];
            }
        for (int64_t i = 0; i < s->n; i++) {
            if (s->laser[i] != XN_LASER_ON) continue;
            int b = (int)floor((s->delay_ps[i] + 1) / 0.5);
            double v = group_photons(f, i, p), e = s->i0[i] * off[block[i]] / m_off[block[i]];
            n[b]++, s1[b] += v, s2[b] += v * v, e1[b] += e, e2[b] += e * e, cross[b] += v * e;
        }
        for (int b = 0; b < 8; b++) {
            double rho = s1[b] / e1[b],
                   error = sqrt(n[b] / (n[b] - 1) * (s2[b] - 2 * rho * cross[b] + rho * rho * e2[b])) / e1[b];
            int64_t at = b * npix + p;
            if (c->mask[p] != 0) continue;
            ck_assert_double_le(fabs((double)c->signal[at] - (rho - 1)), 1e-3 * error);
            ck_assert_double_le(fabs((double)c->errors[at] / error - 1), 1e-3);
        }
    }
}

static double chi2_of(const xn_cube *c)
{
    double sum = 0;
    int64_t n = 0;
    for (int64_t i = 0; i < c->nbins * c->ny * c->nx; i++)
        if (!isnan(c->signal[i])) {
            sum += (double)(c->signal[i] * c->signal[i]) / (double)(c->errors[i] * c->errors[i]);
            n++;
        }
    return sum / (double)n;
}

START_TEST(test_blocks)
{
    // Signal and errors against each block's own reference equal the formula in double precision; a drift that looks
    // like signal with one reference is gone.
    static const struct {
        const char *off;
        bool nearest;
        int size;
    } modes[] = {{"{mode: blocks, block_shots: 130}", false, 130},
                 {"{mode: nearest, block_shots: 32}", true, 32},
                 {"{mode: all}", false, 100000}};
    int64_t shots = 1000;
    fake f;
    fake_make(&f, shots, NULL, NULL, 31);
    scan_once(&f);
    xn_free(f.words);
    xn_free(f.photons);
    fake_frames(&f, drift, &shots, 31);
    int *block = calloc((size_t)shots, sizeof *block);
    double chi2[3];
    for (int m = 0; m < 3; m++) {
        char yaml[256];
        snprintf(yaml, sizeof yaml, REDUCE, modes[m].off);
        xn_source s = f.source;
        fake_shots_copy(&f, &s.shots);
        xn_cube c;
        ck_assert_msg(reduce(&s, yaml, &c) == XANI_OK, "%s", xani_error_text(ctx));
        if (m < 2) {
            ck_assert_int_gt(mark(&f, modes[m].nearest, modes[m].size, block), 6);
            check_blocks(&f, block, &c);
        }
        chi2[m] = chi2_of(&c);
        xn_cube_free(&c);
    }
    // what is left is the references' own noise, left out of the errors: 94 laser-on shots of a bin meet about 32
    // laser-off ones, 1 + 94 / 32 = 3.9 (less for bins across blocks), and the drift within a block
    ck_assert_double_gt(chi2[2], 6 * chi2[0]);
    ck_assert_double_lt(chi2[0], 4.2);
    ck_assert_double_lt(chi2[1], 4.2);
    free(block);
    fake_free(&f);
}
END_TEST

START_TEST(test_blocks_need_a_size)
{
    // Without block_shots the mode is a configuration error that names the key.
    fake f;
    fake_make(&f, 60, NULL, NULL, 32);
    xn_cube c;
    ck_assert_int_eq(
        reduce(&f.source, "reduce: {delay_bins_ps: {start: -1, stop: 3, step: 0.5}, off: {mode: blocks}}\n", &c),
        XANI_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "reduce.off.block_shots is missing"));
    fake_free(&f);
}
END_TEST

START_TEST(test_delays_on_edges)
{
    // A step scan stands on the edges of the bins, as far as rounding lets it: every step is in its own bin, whether
    // bins are counted in steps or listed, and the last edge is outside.
    static const char *const bins[] = {"{start: -0.3, stop: 0.3, step: 0.1}",
                                       "{edges: [-0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.3]}"};
    char yaml[128];
    for (int way = 0; way < 2; way++) {
        xn_config *config = NULL;
        xn_bins b;
        snprintf(yaml, sizeof yaml, "reduce: {delay_bins_ps: %s}\n", bins[way]);
        ck_assert_int_eq(xn_config_parse(ctx, yaml, "exp.yaml", ".", &config), XANI_OK);
        ck_assert_int_eq(xn_bins_make(ctx, config, NULL, 0, &b), XANI_OK);
        for (int k = 0; k < 7; k++) {
            const int want = k < 6 ? k : -1;
            const double stage = 6.671281903963041 * (12.5 + (k - 3) * 0.1 / 6.671281903963041 - 12.5);
            ck_assert_int_eq(xn_bins_find(&b, -0.3 + 0.1 * k), want);
            ck_assert_int_eq(xn_bins_find(&b, 0.1 * (k - 3)), want);
            ck_assert_int_eq(xn_bins_find(&b, (k - 3) / 10.0), want);
            ck_assert_int_eq(xn_bins_find(&b, stage), want);
            ck_assert_int_eq(xn_bins_find(&b, 0.1 * (k - 3) - 0x1p-19), k - 1);
        }
        xn_bins_free(&b);
        xani_config_destroy(&config);
    }
}
END_TEST

START_TEST(test_sparse_off_shots)
{
    // Blocks without enough laser-off shots are made longer; with one stretch of them, found by its nearest block or a
    // block as long as the run, the answer is that of a single reference.
    fake f;
    fake_make(&f, 400, NULL, NULL, 33);
    for (int64_t i = 0; i < 400; i++) {
        bool off = i >= 300 && i < 340;
        f.source.shots.laser[i] = off ? XN_LASER_OFF : XN_LASER_ON;
        f.source.shots.delay_ps[i] = off ? NAN : -0.9 + 0.005 * (double)i;
    }
    static const char *const modes[] = {"{mode: blocks, block_shots: 330}", "{mode: nearest, block_shots: 40}",
                                        "{mode: all}"};
    float *first = NULL;
    for (int m = 2; m >= 0; m--) {
        char yaml[256];
        snprintf(yaml, sizeof yaml, REDUCE, modes[m]);
        xn_source s = f.source;
        fake_shots_copy(&f, &s.shots);
        xn_cube c;
        ck_assert_msg(reduce(&s, yaml, &c) == XANI_OK, "%s", xani_error_text(ctx));
        if (m == 2) {
            first = c.signal;
            c.signal = NULL;
        } else
            for (int64_t i = 0; i < c.nbins * c.ny * c.nx; i++)
                ck_assert(isnan(first[i]) ? isnan(c.signal[i]) : fabs((double)(c.signal[i] - first[i])) < 1e-6);
        xn_cube_free(&c);
    }
    xn_free(first);
    fake_free(&f);
}
END_TEST

START_TEST(test_unequal_rates)
{
    // Laser at a quarter or three quarters of the rate of the X-rays: with blocks and nearest a drift that looks like
    // signal goes, and nothing is said but the number of blocks. Laser-off shots in the first quarter only: it is said
    // that drift stays, for both; what one reference would give is what comes out.
    int64_t shots = 1000;
    for (int pattern = 0; pattern < 3; pattern++) {
        fake f;
        fake_make(&f, shots, NULL, NULL, 34);
        for (int64_t i = 0; i < shots; i++) {
            bool on = pattern == 0 ? i % 4 == 0 : pattern == 1 ? i % 4 != 0 : i >= 250 || i % 2;
            f.source.shots.laser[i] = on ? XN_LASER_ON : XN_LASER_OFF;
            f.source.shots.delay_ps[i] = on ? -1 + 4 * ((double)i + 0.5) / (double)shots : NAN;
        }
        xn_free(f.words);
        xn_free(f.photons);
        fake_frames(&f, drift, &shots, 34);
        static const char *const modes[] = {"{mode: all}", "{mode: blocks, block_shots: 80}",
                                            "{mode: nearest, block_shots: 25}"};
        double chi2[3];
        for (int m = 0; m < 3; m++) {
            char yaml[256];
            snprintf(yaml, sizeof yaml, REDUCE, modes[m]);
            xn_source s = f.source;
            fake_shots_copy(&f, &s.shots);
            xn_cube c;
            said.text[0] = '\0';
            ck_assert_msg(reduce(&s, yaml, &c) == XANI_OK, "%s", xani_error_text(ctx));
            ck_assert_int_eq(strstr(said.text, "unevenly spread") != NULL, m > 0 && pattern == 2);
            ck_assert_int_eq(strstr(said.text, "blocks of time") != NULL, m > 0);
            chi2[m] = chi2_of(&c);
            xn_cube_free(&c);
        }
        for (int m = 1; m < 3; m++)
            ck_assert_msg((chi2[m] < 0.4 * chi2[0]) == (pattern < 2), "pattern %d mode %d: %g of %g", pattern, m,
                          chi2[m], chi2[0]);
        fake_free(&f);
    }
}
END_TEST

static const struct {
    uint8_t laser;
    const char *text;
} one_class[] = {{XN_LASER_OFF, "no laser-on shots among 200 shots: check input.laser"},
                 {XN_LASER_ON, "no laser-off shots among 200 shots: check input.laser"}};

START_TEST(test_one_class_only)
{
    // A run without laser-on or without laser-off shots is refused in every mode, with what to look at.
    static const char *const modes[] = {"{mode: all}", "{mode: blocks, block_shots: 50}",
                                        "{mode: nearest, block_shots: 20}"};
    for (int m = 0; m < 3; m++) {
        fake f;
        fake_make(&f, 200, NULL, NULL, 35);
        for (int64_t i = 0; i < 200; i++) {
            f.source.shots.laser[i] = one_class[_i].laser;
            f.source.shots.delay_ps[i] = one_class[_i].laser == XN_LASER_ON ? 1 : NAN;
        }
        char yaml[256];
        snprintf(yaml, sizeof yaml, REDUCE, modes[m]);
        xn_cube c;
        ck_assert_int_eq(reduce(&f.source, yaml, &c), XANI_ERR_INPUT);
        ck_assert_msg(strstr(xani_error_text(ctx), one_class[_i].text) != NULL, "%s", xani_error_text(ctx));
        xn_clear_error(ctx);
        fake_free(&f);
    }
}
END_TEST

// ---- stored numbers

static xani_status read_floats(xn_ctx *c, xn_source *s, int64_t frame, void *dst, void *scratch)
{
    fake *f = s->impl;
    (void)c;
    (void)scratch;
    float *to = dst;
    for (int64_t i = 0; i < f->slab; i++) {
        to[i] = (float)(f->photons[frame * f->slab + i] * 11.0); // keV
        if (s->mask[i] != 0 || i == 77) to[i] = NAN;             // as corrected files have it
    }
    return XANI_OK;
}

START_TEST(test_stored_numbers)
{
    // Corrected frames in keV give the same cube as the words they came from; NaN pixels are left out and said.
    static const xn_source_ops ops = {.layout = "floats", .read_frame = read_floats};
    fake f;
    fake_make(&f, 300, NULL, NULL, 34);
    char yaml[256];
    snprintf(yaml, sizeof yaml, REDUCE, "{mode: all}");
    xn_cube a, b;
    xn_source s = f.source;
    fake_shots_copy(&f, &s.shots);
    f.source.mask[77] = 1;
    ck_assert_int_eq(reduce(&s, yaml, &a), XANI_OK);
    f.source.mask[77] = 0;
    s = f.source;
    s.ops = &ops;
    s.type = XN_F32;
    s.cal.kind = XN_CAL_SCALE;
    s.cal.photons_per_unit = 1 / 11.0;
    fake_shots_copy(&f, &s.shots);
    ck_assert_str_eq(said.text, "");
    ck_assert_msg(reduce(&s, yaml, &b) == XANI_OK, "%s", xani_error_text(ctx));
    ck_assert_ptr_nonnull(strstr(said.text, "1 pixels without a valid reading"));
    for (int64_t i = 0; i < a.nbins * a.ny * a.nx; i++) {
        ck_assert_int_eq(isnan(a.signal[i]), isnan(b.signal[i]));
        if (!isnan(a.signal[i]))
            ck_assert_double_le(fabs((double)(a.signal[i] - b.signal[i])), 1e-3 * (double)a.errors[i]);
    }
    xn_cube_free(&a);
    xn_cube_free(&b);
    fake_free(&f);
}
END_TEST

// ---- binned cubes

enum { NB = 12, NY = 6, NX = 8 };

typedef struct binned {
    double on[NB][NY * NX], off[NY * NX], i0[NB], count[NB], delay[NB], off_i0;
} binned;

static xani_status read_binned(xn_ctx *c, xn_source *s, xn_cube *cube)
{
    (void)c;
    const binned *d = s->impl;
    memset(cube, 0, sizeof *cube);
    cube->nbins = NB;
    cube->ny = NY;
    cube->nx = NX;
    cube->spatial_bin = 1;
    cube->time_resolution_ps = NAN;
    cube->on_float = xn_alloc(sizeof d->on, 1);
    cube->off_float = xn_alloc(sizeof d->off, 1);
    cube->on_i0 = xn_alloc(NB, 8);
    cube->on_count = xn_alloc(NB, 8);
    cube->delay_ps = xn_alloc(NB, 8);
    cube->mask = xn_alloc(NY * NX, 4);
    memcpy(cube->on_float, d->on, sizeof d->on);
    memcpy(cube->off_float, d->off, sizeof d->off);
    memcpy(cube->on_i0, d->i0, sizeof d->i0);
    memcpy(cube->on_count, d->count, sizeof d->count);
    memcpy(cube->delay_ps, d->delay, sizeof d->delay);
    memcpy(cube->mask, s->mask, NY * NX * 4);
    cube->off_i0 = d->off_i0;
    cube->off_count = 50;
    return XANI_OK;
}

static const xn_source_ops binned_ops = {.layout = "binned", .read_cube = read_binned};

static void make_binned(binned *d, uint32_t *mask, xn_source *s)
{
    memset(d, 0, sizeof *d);
    memset(mask, 0, NY * NX * 4);
    for (int b = 0; b < NB; b++) {
        d->delay[b] = -0.5 + 0.5 * b;
        d->i0[b] = 10 + b;
        d->count[b] = 20 + b;
        for (int p = 0; p < NY * NX; p++) d->on[b][p] = (100 + p) * d->i0[b] * (1 + 0.01 * b);
    }
    for (int p = 0; p < NY * NX; p++) d->off[p] = (100 + p) * 40;
    d->off_i0 = 40;
    *s = (xn_source){.ops = &binned_ops, .impl = d, .ny = NY, .nx = NX, .n_modules = 1, .type = XN_F64, .mask = mask};
    s->module_rows = xn_alloc(1, 8);
    s->module_rows[0] = NY;
    s->run = xn_strdup("r7");
    s->n_angles = 1;
    s->angles_deg[0] = 12;
}

static void drop_binned(xn_source *s)
{
    xn_free(s->module_rows);
    xn_free(s->run);
}

START_TEST(test_binned)
{
    // Binned cubes: delays stay, groups sum good pixels, empty bins are NaN, Poisson errors with counts_per_photon and
    // NaN errors without; run name and angles are kept.
    binned d;
    uint32_t mask[NY * NX];
    xn_source s;
    for (int counting = 0; counting < 2; counting++) {
        make_binned(&d, mask, &s);
        mask[0] = 2;
        for (int y = 2; y < 4; y++) mask[y * NX + 4] = mask[y * NX + 5] = 4; // a whole group
        for (int b = 0; b < NB; b++) d.on[b][1] = NAN;                       // never a number
        d.on[2][NX + 1] = INFINITY;                                          // once
        d.count[5] = d.i0[5] = 0;
        for (int p = 0; p < NY * NX; p++) d.on[5][p] = NAN;
        d.off[5 * NX + 7] = d.off[4 * NX + 7] = d.off[5 * NX + 6] = d.off[4 * NX + 6] = 0; // no reference
        for (int p = 0; p < 2; p++) d.on[3][4 * NX + p] = d.on[3][5 * NX + p] = 0;
        xn_cube c;
        const char *yaml =
            counting ? "input: {counts_per_photon: 4}\nreduce: {spatial_bin: 2}\n" : "reduce: {spatial_bin: 2}\n";
        ck_assert_msg(reduce(&s, yaml, &c) == XANI_OK, "%s", xani_error_text(ctx));
        ck_assert(c.nbins == NB && c.ny == 3 && c.nx == 4 && c.spatial_bin == 2 && c.module_rows[0] == 3);
        ck_assert_str_eq(c.run, "r7");
        ck_assert(c.n_angles == 1 && c.angles_deg[0] == 12 && c.shots.n == 0 && c.on.s1 == NULL);
        ck_assert_int_eq(c.errors_counting, counting);
        ck_assert_uint_eq(c.mask[6], 4);
        ck_assert_uint_eq(c.mask[11], XN_MASK_DEAD);
        ck_assert_uint_eq(c.mask[0], 0);
        ck_assert_double_eq_tol(c.on_float[0], 108 * d.i0[0], 1e-9); // of its four pixels (1, 0) is left
        ck_assert_double_eq_tol(c.mean_frame[0], 108 * 40 / 50.0 / (counting ? 4 : 1), 1e-4);
        for (int b = 0; b < NB; b++) {
            ck_assert_double_eq(c.delay_ps[b], d.delay[b]);
            ck_assert_int_eq(c.weight[b] > 0, b != 5);
            for (int p = 0; p < 12; p++) {
                float y = c.signal[b * 12 + p], e = c.errors[b * 12 + p];
                bool missing = b == 5 || p == 6 || p == 11;
                ck_assert_int_eq(isnan(y), missing);
                ck_assert_int_eq(isnan(e), missing || !counting);
                if (missing) continue;
                bool dark = b == 3 && p == 8;
                ck_assert_double_eq_tol(y, dark ? -1 : 0.01 * b, 1e-6);
                double expected = c.off_float[p] / 40 * d.i0[b], on = dark ? expected : c.on_float[b * 12 + p];
                if (counting) ck_assert_double_eq_tol(e, sqrt(on / 4) / (expected / 4), 1e-6 * e);
            }
        }
        xn_cube_free(&c);
        drop_binned(&s);
    }
}
END_TEST

START_TEST(test_rebin)
{
    // Edges rebin a cube: sums add up, the delay is the mean weighted by shots; other forms leave the delays alone.
    binned d;
    uint32_t mask[NY * NX];
    xn_source s;
    make_binned(&d, mask, &s);
    xn_cube c;
    ck_assert_int_eq(reduce(&s, "reduce: {delay_bins_ps: {edges: [0, 1, 3, 20, 30]}}\n", &c), XANI_OK);
    ck_assert_int_eq(c.nbins, 4);
    ck_assert_double_eq_tol(c.delay_ps[0], (0 * 21 + 0.5 * 22) / 43, 1e-12);
    ck_assert_double_eq_tol(c.on_i0[0], 11 + 12, 1e-12);
    ck_assert_double_eq_tol(c.signal[0], (11 * 1.01 + 12 * 1.02) / 23 - 1, 1e-6);
    ck_assert_double_eq(c.delay_ps[3], 25);
    ck_assert(isnan(c.signal[3 * NY * NX]) && c.weight[3] == 0);
    ck_assert_ptr_nonnull(c.edges_ps);
    xn_cube_free(&c);
    ck_assert_int_eq(reduce(&s, "reduce: {delay_bins_ps: {start: 0, stop: 5, step: 1}, off: {mode: blocks}}\n", &c),
                     XANI_OK);
    ck_assert_int_eq(c.nbins, NB);
    ck_assert_ptr_nonnull(strstr(said.text, "cubes keep their delays"));
    ck_assert_ptr_nonnull(strstr(said.text, "one laser-off sum"));
    xn_cube_free(&c);
    ck_assert_int_eq(reduce(&s, "reduce: {delay_bins_ps: {edges: [50, 60]}}\n", &c), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "every delay bin is empty"));
    xn_clear_error(ctx);
    d.off_i0 = 0;
    ck_assert_int_eq(reduce(&s, "{}\n", &c), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "no laser-off shots"));
    drop_binned(&s);
}
END_TEST

START_TEST(test_binned_memory)
{
    // Every allocation of the binned path fails once: a clean error, or none where the result does not depend on it.
    binned d;
    uint32_t mask[NY * NX];
    xn_source s;
    make_binned(&d, mask, &s);
    xn_config *config = parse("reduce: {spatial_bin: 2, delay_bins_ps: {edges: [0, 1, 2, 3]}}\n");
    no_memory n = {6, true}; // the fake's own six come first
    for (; n.reached; no_memory_next(&n)) {
        xn_cube c;
        no_memory_begin(&n);
        xani_status st = xn_reduce(ctx, config, &s, &c);
        no_memory_end();
        if (st != XANI_OK) ck_assert(n.reached && st == XANI_ERR_MEMORY);
        xn_clear_error(ctx);
        xn_cube_free(&c);
    }
    ck_assert_uint_gt(n.at, 12);
    xani_config_destroy(&config);
    drop_binned(&s);
}
END_TEST

START_TEST(test_binned_plan)
{
    // The plan of a binned source tells its own bins, or those of the edges, its shots, and what all steps hold at
    // once.
    binned d;
    uint32_t mask[NY * NX];
    xn_source s;
    make_binned(&d, mask, &s);
    s.stored_bytes = 17; // says nothing of the bins: it may be compressed, and holds the off planes too
    s.binned = (xn_binned_facts){.bins = NB, .on_used = 30, .off_used = 12, .block_bytes = 999};
    xn_config *config = parse("reduce: {spatial_bin: 2}\n");
    xn_reduce_plan plan;
    ck_assert_int_eq(xn_reduce_plan_make(ctx, config, &s, &plan), XANI_OK);
    ck_assert(plan.nbins == NB && plan.ny == 3 && plan.nx == 4 && plan.passes == 1 && plan.shots == 42);
    ck_assert(plan.bins_per_pass == NB && plan.stored_bytes == 17);
    int64_t both = (NB + 1) * (NY * NX + 3 * 4) * 8; // planes of pixels and of groups at the same time
    ck_assert_int_ge(plan.memory_bytes, both);
    ck_assert_int_le(plan.memory_bytes, both + 9 * NY * NX + 3 * 4);
    xani_config_destroy(&config);
    config = parse("reduce: {delay_bins_ps: {edges: [-1, 0, 1, 2]}}\n");
    ck_assert_int_eq(xn_reduce_plan_make(ctx, config, &s, &plan), XANI_OK);
    ck_assert_int_eq(plan.nbins, 3);
    xani_config_destroy(&config);
    drop_binned(&s);
}
END_TEST

// ---- the sign of the delay

typedef struct pump {
    double amplitude, sign, zero_ps, flicker;
} pump;

// flicker: all pixels brighten together from shot to shot, more than I0 knows.
static double shaken(void *user, double t, int64_t pixel, int64_t shot)
{
    const pump *p = user;
    xn_rng r;
    xn_rng_init(&r, 99, (uint64_t)shot);
    double common = p->flicker * xn_rng_normal(&r);
    t = p->sign * (t - p->zero_ps);
    if (!(t > 0)) return common;
    return common + p->amplitude * (1 - cos(6.283185307179586 * (0.7 + 0.3 * (double)(pixel % 4)) * t)) * exp(-t / 3);
}

START_TEST(test_sign)
{
    // Signal before zero and none after: a warning, with errors and without; the right sign, no signal, or signal on
    // both sides: none.
    static const struct {
        pump pump;
        bool warns;
    } cases[] = {{{0.15, -1, 0, 0}, true}, {{0.15, 1, 0, 0}, false}, {{0, 1, 0, 0}, false},
                 {{0.4, -1, 0, 0}, true},  {{0.4, 1, 0, 0}, false},  {{0.4, 1, -1.5, 0}, false},
                 {{0, 1, 0, 0.2}, false},  {{0, -1, 0, 0.2}, false}, {{0.4, -1, 0, 0.05}, true}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        pump p = cases[k].pump;
        fake f;
        fake_make(&f, 40, NULL, NULL, 40 + k);
        xn_shots_free(&f.source.shots);
        xn_free(f.words);
        xn_free(f.photons);
        xn_rng r;
        xn_rng_init(&r, k, 1);
        fake_shots(&f, 2500, &r);
        for (int64_t i = 0; i < 2500; i++)
            f.source.shots.delay_ps[i] = 3 * f.source.shots.delay_ps[i] / 2 - 1.5; // -3 .. 3
        fake_frames(&f, shaken, &p, 50 + k);
        xn_cube c;
        said.text[0] = '\0';
        ck_assert_int_eq(
            reduce(&f.source, "reduce: {delay_bins_ps: {start: -3, stop: 3, step: 0.15}, spatial_bin: 3}\n", &c),
            XANI_OK);
        ck_assert_msg((strstr(said.text, "signal at negative delays") != NULL) == cases[k].warns, "case %zu: %s", k,
                      said.text);
        c.errors_counting = false; // the other statistic, on the same cube
        for (int64_t i = 0; i < c.nbins * c.ny * c.nx; i++) c.errors[i] = NAN;
        ck_assert_int_eq(xn_sign_check(ctx, &c), cases[k].warns);
        xn_cube_free(&c);
        fake_free(&f);
    }
}
END_TEST

START_TEST(test_sign_noiseless)
{
    // A noiseless cube, exactly flat on one side: the side that moves decides.
    for (int sign = -1; sign <= 1; sign += 2) {
        binned d;
        uint32_t mask[NY * NX];
        xn_source s;
        make_binned(&d, mask, &s);
        for (int b = 0; b < NB; b++) {
            d.delay[b] = 0.5 * (b - 5.5);
            double t = sign * d.delay[b];
            for (int p = 0; p < NY * NX; p++)
                d.on[b][p] = (100 + p) * d.i0[b] * (t > 0 ? 1 + 0.01 * sin(3 * t + p) : 1);
        }
        xn_cube c;
        said.text[0] = '\0';
        ck_assert_int_eq(reduce(&s, "{}\n", &c), XANI_OK);
        ck_assert_int_eq(strstr(said.text, "signal at negative delays") != NULL, sign < 0);
        xn_cube_free(&c);
        drop_binned(&s);
    }
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_blocks);
    tcase_add_test(t, test_blocks_need_a_size);
    tcase_add_test(t, test_delays_on_edges);
    tcase_add_test(t, test_sparse_off_shots);
    tcase_add_test(t, test_unequal_rates);
    tcase_add_loop_test(t, test_one_class_only, 0, 2);
    tcase_add_test(t, test_stored_numbers);
    tcase_add_test(t, test_binned);
    tcase_add_test(t, test_rebin);
    tcase_add_test(t, test_binned_memory);
    tcase_add_test(t, test_binned_plan);
    tcase_add_test(t, test_sign);
    tcase_add_test(t, test_sign_noiseless);
}
XN_TEST_MAIN("reduce modes", add)
