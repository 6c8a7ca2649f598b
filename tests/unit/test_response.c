// SPDX-License-Identifier: BSD-3-Clause
// test_response.c -- a pole through a Gaussian response: equal to the convolution that defines it, wherever it is
// taken.
//
// The referee is the integral of exp(z x) times a Gaussian over x > 0, by Gauss and Legendre's rule in long double; it
// knows nothing of error functions. Float lanes are those of the plain C kernel; vectors: parity/test_fit_response.c.
#include "test.h"

#define XN_REAL_BITS 32
#define XN_VECTOR_BYTES 0
#include "core/faddeeva.h"
#include "core/rng.h"
#include "kernel/response.h"
#include "kernel/response_lanes.h"
#include "lsq/kinds.h"

#define PI 3.14159265358979323846264338327950288L
enum { RULE = 24 };
static long double node[RULE], gauss_weight[RULE];

static void make_rule(void)
{
    for (int i = 0; i < RULE; i++) {
        long double x = cosl(PI * (i + 0.75L) / (RULE + 0.5L)), slope = 1;
        for (int turn = 0; turn < 50; turn++) {
            long double a = 1, b = x;
            for (int n = 2; n <= RULE; n++) {
                const long double c = ((2 * n - 1) * x * b - (n - 1) * a) / n;
                a = b;
                b = c;
            }
            slope = RULE * (x * b - a) / (x * x - 1);
            x -= b / slope;
        }
        node[i] = x;
        gauss_weight[i] = 2 / ((1 - x * x) * slope * slope);
    }
}

// U = integral of exp(z x) G(t - x) over x > 0, its derivative to z, and the integral of the absolute value
static void convolve(long double g, long double w, long double s, long double t, long double u[2], long double slope[2],
                     long double *size)
{
    const long double from = fmaxl(0, t - g * s * s - 13 * s), to = fmaxl(from, t - g * s * s) + 14 * s;
    const long double at = expl(-fmaxl(0, -t / s) * fmaxl(0, -t / s) / 2), panel = (to - from) / 112;
    u[0] = u[1] = slope[0] = slope[1] = *size = 0;
    for (int p = 0; p < 112; p++)
        for (int i = 0; i < RULE; i++) {
            const long double x = from + panel * (p + 0.5L + 0.5L * node[i]), q = (t - x) / s;
            const long double tail = t < 0 ? expl(-(q * q - t / s * (t / s)) / 2) * at : expl(-q * q / 2);
            const long double f = gauss_weight[i] * 0.5L * panel * expl(-g * x) * tail / (s * sqrtl(2 * PI));
            u[0] += f * cosl(w * x), u[1] += f * sinl(w * x);
            slope[0] += f * x * cosl(w * x), slope[1] += f * x * sinl(w * x);
            *size += f;
        }
}

typedef struct {
    double g, w, s, t;
} place;

static place somewhere(xn_rng *r, double gs, double ws)
{
    place p = {.s = exp(6 * xn_rng_uniform(r) - 4)};
    p.g = gs * xn_rng_uniform(r) / p.s;
    p.w = ws * xn_rng_uniform(r) / p.s;
    p.t = p.s * (24 * xn_rng_uniform(r) - 9);
    return p;
}

static double distance(const double a[2], const long double b[2]) { return (double)(hypotl(a[0] - b[0], a[1] - b[1])); }

START_TEST(test_double_equals_its_definition)
{
    // Within 5e-14 of what the integral adds up without its signs (and of U itself where nothing cancels: t < 0), in
    // all the band that the fit allows.
    xn_rng r;
    xn_rng_init(&r, 1, 1);
    double worst = 0, worst_before = 0, worst_slope = 0;
    for (int i = 0; i < 1500; i++) {
        const place p = somewhere(&r, 1, 3.72);
        double u[2], slope[2];
        long double a[2], b[2], size;
        xn_response(p.g, p.w, p.s, p.t, u, slope);
        convolve(p.g, p.w, p.s, p.t, a, b, &size);
        const double e = distance(u, a);
        worst = fmax(worst, e / (double)size);
        if (p.t < 0) worst_before = fmax(worst_before, e / (double)hypotl(a[0], a[1]));
        worst_slope = fmax(worst_slope, distance(slope, b) / ((double)size * fmax(p.s, p.t)));
    }
    ck_assert_msg(worst < 5e-14 && worst_before < 5e-14 && worst_slope < 5e-14,
                  "%.2g, before time zero %.2g, slope %.2g", worst, worst_before, worst_slope);
}
END_TEST

START_TEST(test_float_lanes)
{
    // V = U/E and its slope within 1e-6 of their largest value, E among them
    xn_rng r;
    xn_rng_init(&r, 2, 1);
    double worst = 0, worst_slope = 0;
    for (int i = 0; i < 20000; i++) {
        const place p = somewhere(&r, 1, 3.72);
        const float g = (float)p.g, w = (float)p.w, s = (float)p.s, tau = (float)(p.t / p.s), t = tau * s;
        double u[2], slope[2];
        xn_response(g, w, s, (double)tau * s, u, slope);
        const double grow = 0.5 * s * s * ((double)w * w - (double)g * g), turn = (double)g * w * s * s;
        const double e[2] = {exp(grow) * cos(turn), exp(grow) * sin(turn)};
        const double v[2] = {u[0] * e[0] - u[1] * e[1], u[0] * e[1] + u[1] * e[0]};
        const double z2[2] = {-(double)g * s * s, (double)w * s * s}; // slope of V: that of U less z s^2 U, times E
        const double d[2] = {slope[0] - z2[0] * u[0] + z2[1] * u[1], slope[1] - z2[0] * u[1] - z2[1] * u[0]};
        const double dv[2] = {d[0] * e[0] - d[1] * e[1], d[0] * e[1] + d[1] * e[0]};
        vc at, more;
        response_pole(g, w, response_factor(g, w, s), v_pole(g, w, t), s, tau, (float)(0.5 * exp(-0.5 * tau * tau)),
                      &at, &more);
        const double size = fmax(1, exp(grow));
        worst = fmax(worst, hypot(at.re - v[0], at.im - v[1]) / size);
        const double have[2] = {more.re + (double)t * at.re, more.im + (double)t * at.im};
        worst_slope = fmax(worst_slope, hypot(have[0] - dv[0], have[1] - dv[1]) / (size * fmax(s, p.t)));
    }
    ck_assert_msg(worst < 1e-6 && worst_slope < 1e-6, "%.2g, slope %.2g", worst, worst_slope);
}
END_TEST

START_TEST(test_nothing_overflows)
{
    // Any delay, decays within a sixth of the response, 30 rad within its rms: finite, and zero long before.
    xn_rng r;
    xn_rng_init(&r, 3, 1);
    for (int i = 0; i < 20000; i++) {
        const place p = somewhere(&r, 6, 30);
        double u[2], slope[2];
        const double t = p.t * exp(12 * xn_rng_uniform(&r) - 4);
        xn_response(p.g, p.w, p.s, t, u, slope);
        ck_assert(isfinite(u[0] + u[1] + slope[0] + slope[1]));
        ck_assert_double_le(hypot(u[0], u[1]), 1.0);
        if (t < -40 * p.s) ck_assert_double_eq(u[0], 0.0);
        vc at, more; // beyond what the fit allows E alone is beyond float: with e = 1
        response_pole((float)p.g, (float)p.w, (vc){1, 0}, (vc){0, 0}, (float)p.s, (float)(t / p.s), 0.1f, &at, &more);
        ck_assert(isfinite(at.re + at.im + more.re + more.im));
    }
}
END_TEST

START_TEST(test_slope_is_the_derivative)
{
    xn_rng r;
    xn_rng_init(&r, 4, 1);
    for (int i = 0; i < 3000; i++) {
        const place p = somewhere(&r, 1, 3.72);
        const double h = 1e-4 / p.s;
        double u[2], slope[2], up[2], down[2], none[2];
        xn_response(p.g, p.w, p.s, p.t, u, slope);
        xn_response(p.g, p.w + h, p.s, p.t, up, none);
        xn_response(p.g, p.w - h, p.s, p.t, down, none);
        // dU/dw = i dU/dz
        const double scale = fmax(p.s, fabs(p.t)), tol = 1e-8 * scale * (1 + p.t * p.t / (p.s * p.s));
        ck_assert_double_eq_tol((up[0] - down[0]) / (2 * h), -slope[1], tol);
        ck_assert_double_eq_tol((up[1] - down[1]) / (2 * h), slope[0], tol);
        xn_response(p.g + h, p.w, p.s, p.t, up, none);
        xn_response(p.g - h, p.w, p.s, p.t, down, none);
        ck_assert_double_eq_tol((down[0] - up[0]) / (2 * h), slope[0], tol); // g = -Re z
        ck_assert_double_eq_tol((down[1] - up[1]) / (2 * h), slope[1], tol);
    }
}
END_TEST

START_TEST(test_narrow_response)
{
    // As the rms goes to zero: exp(z t) after time zero, half of it at it, nothing before.
    double u[2], slope[2];
    const double g = 0.4, w = 11.0;
    for (double s = 1e-2; s > 1e-9; s *= 0.1) {
        const double most = w * w * s * s + 1e-15;
        for (double t = 0.15; t < 5; t += 0.17) {
            xn_response(g, w, s, t, u, slope);
            ck_assert_double_eq_tol(u[0], exp(-g * t) * cos(w * t), most);
            ck_assert_double_eq_tol(u[1], exp(-g * t) * sin(w * t), most);
            ck_assert_double_eq_tol(slope[0], t * exp(-g * t) * cos(w * t), 6 * most);
            xn_response(g, w, s, -t, u, slope);
            ck_assert_double_le(hypot(u[0], u[1]), 1e-40);
        }
        xn_response(g, w, s, 0, u, slope);
        ck_assert_double_eq_tol(u[0], 0.5, s);
    }
}
END_TEST

static void table_is(int n, double l, const double *a)
{
    const long double length = sqrtl(n / sqrtl(2));
    ck_assert_double_eq_tol(l, (double)length, 1e-15);
    for (int k = 1; k <= n; k++) {
        long double sum = 0;
        for (int j = 1 - 2 * n; j < 2 * n; j++) {
            const long double t = length * tanl(j * PI / (4 * n));
            sum += expl(-t * t) * (length * length + t * t) * cosl(k * j * PI / (2 * n));
        }
        ck_assert_double_eq_tol(a[n - k], (double)(sum / (4 * n)), 3e-18 + 2e-16 * fabs(a[n - k]));
    }
}

START_TEST(test_coefficients)
{
    static const double a20[] = {XN_FADDEEVA_A20}, a40[] = {XN_FADDEEVA_A40};
    table_is(20, XN_FADDEEVA_L20, a20);
    table_is(40, XN_FADDEEVA_L40, a40);
    // w(z) to 16 digits (computed with 40)
    static const double known[][4] = {
        {0.0, 0.0, 1.0, 0.0},
        {0.5, 0.0, 0.77880078307140487, 0.47892517290104347},
        {2.5, 0.0, 0.0019304541362277092, 0.25172302461185758},
        {0.0, 1.0, 0.427583576155807, 0.0},
        {1.0, 1.0, 0.30474420525691259, 0.20821893820283163},
        {0.25, 0.125, 0.82708035807567357, 0.21921955478202889},
        {2.625, 0.5, 0.051620298689565628, 0.22133413963355664},
        {1.5, 7.5, 0.071817660916539219, 0.0141273360747968},
        {3.0, 3.0, 0.096402505583044547, 0.091236326004218761},
        {0.0625, 2.0, 0.25523246729192891, 0.0066710060421994873},
        {2.625, 8.0, 0.063394325064476137, 0.020516271458742692},
        {1.25, 0.0009765625, 0.20987495018621538, 0.55896940552509366},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        double re, im;
        xn_faddeeva(known[i][0], known[i][1], &re, &im);
        const double size = hypot(known[i][2], known[i][3]);
        ck_assert_double_le(hypot(re - known[i][2], im - known[i][3]), 2e-15 * size);
        const vc f = c_faddeeva((vc){(float)known[i][0], (float)known[i][1]});
        ck_assert_double_le(hypot(f.re - known[i][2], f.im - known[i][3]), 4e-7 * size);
    }
}
END_TEST

static void add(TCase *c)
{
    tcase_set_timeout(c, 120);
    tcase_add_unchecked_fixture(c, make_rule, NULL);
    tcase_add_test(c, test_double_equals_its_definition);
    tcase_add_test(c, test_float_lanes);
    tcase_add_test(c, test_nothing_overflows);
    tcase_add_test(c, test_slope_is_the_derivative);
    tcase_add_test(c, test_narrow_response);
    tcase_add_test(c, test_coefficients);
}
XN_TEST_MAIN("response", add)
