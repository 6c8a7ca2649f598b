// SPDX-License-Identifier: BSD-3-Clause
// strd_models.h -- the model functions of NIST's nonlinear regression sets with their derivatives, one point at a time.
//
// Each returns the value at predictors x for parameters b and, unless d is NULL, puts the derivatives by b there.
// Formulas: the .dat files of the sets (strd_data.h).  For Nelson the response is log(y).
#ifndef XN_STRD_MODELS_H
#define XN_STRD_MODELS_H

#include <math.h>
#include <string.h>

typedef double (*strd_function)(const double *x, const double *b, double *d);

#define STRD_PI 3.141592653589793238462643383279

// Copies the derivatives of the argument list.
#define DERIVATIVES(...)                                                                                               \
    do {                                                                                                               \
        const double derivatives[] = {__VA_ARGS__};                                                                    \
        if (d != NULL) memcpy(d, derivatives, sizeof derivatives);                                                     \
    } while (0)

static double strd_f_bennett5(const double *x, const double *b, double *d)
{
    const double u = b[1] + x[0], p = pow(u, -1.0 / b[2]);
    DERIVATIVES(p, -b[0] / b[2] * p / u, b[0] * p * log(u) / (b[2] * b[2]));
    return b[0] * p;
}

static double strd_f_misra1a(const double *x, const double *b, double *d) // and BoxBOD
{
    const double e = exp(-b[1] * x[0]);
    DERIVATIVES(1.0 - e, b[0] * x[0] * e);
    return b[0] * (1.0 - e);
}

static double strd_f_chwirut(const double *x, const double *b, double *d)
{
    const double u = b[1] + b[2] * x[0], f = exp(-b[0] * x[0]) / u;
    DERIVATIVES(-x[0] * f, -f / u, -x[0] * f / u);
    return f;
}

static double strd_f_danwood(const double *x, const double *b, double *d)
{
    const double p = pow(x[0], b[1]);
    DERIVATIVES(p, b[0] * p * log(x[0]));
    return b[0] * p;
}

static double strd_f_enso(const double *x, const double *b, double *d)
{
    const double t = 2.0 * STRD_PI * x[0], u = t / 12.0, v = t / b[3], w = t / b[6];
    DERIVATIVES(1.0, cos(u), sin(u), v / b[3] * (b[4] * sin(v) - b[5] * cos(v)), cos(v), sin(v),
                w / b[6] * (b[7] * sin(w) - b[8] * cos(w)), cos(w), sin(w));
    return b[0] + b[1] * cos(u) + b[2] * sin(u) + b[4] * cos(v) + b[5] * sin(v) + b[7] * cos(w) + b[8] * sin(w);
}

static double strd_f_eckerle4(const double *x, const double *b, double *d)
{
    const double u = (x[0] - b[2]) / b[1], e = exp(-0.5 * u * u) / b[1], f = b[0] * e;
    DERIVATIVES(e, f * (u * u - 1.0) / b[1], f * u / b[1]);
    return f;
}

static double strd_f_gauss(const double *x, const double *b, double *d)
{
    const double e = exp(-b[1] * x[0]), u = (x[0] - b[3]) / b[4], v = (x[0] - b[6]) / b[7], g = exp(-u * u),
                 h = exp(-v * v);
    DERIVATIVES(e, -b[0] * x[0] * e, g, 2.0 * b[2] * g * u / b[4], 2.0 * b[2] * g * u * u / b[4], h,
                2.0 * b[5] * h * v / b[7], 2.0 * b[5] * h * v * v / b[7]);
    return b[0] * e + b[2] * g + b[5] * h;
}

static double strd_f_cubic(const double *x, const double *b, double *d) // Hahn1 and Thurber
{
    const double t = x[0], q = 1.0 + t * (b[4] + t * (b[5] + t * b[6])),
                 f = (b[0] + t * (b[1] + t * (b[2] + t * b[3]))) / q, g = -f / q;
    DERIVATIVES(1.0 / q, t / q, t * t / q, t * t * t / q, g * t, g * t * t, g * t * t * t);
    return f;
}

static double strd_f_kirby2(const double *x, const double *b, double *d)
{
    const double t = x[0], q = 1.0 + t * (b[3] + t * b[4]), f = (b[0] + t * (b[1] + t * b[2])) / q;
    DERIVATIVES(1.0 / q, t / q, t * t / q, -f * t / q, -f * t * t / q);
    return f;
}

static double strd_f_lanczos(const double *x, const double *b, double *d)
{
    const double t = x[0], e = exp(-b[1] * t), f = exp(-b[3] * t), g = exp(-b[5] * t);
    DERIVATIVES(e, -b[0] * t * e, f, -b[2] * t * f, g, -b[4] * t * g);
    return b[0] * e + b[2] * f + b[4] * g;
}

static double strd_f_mgh09(const double *x, const double *b, double *d)
{
    const double t = x[0], q = t * t + t * b[2] + b[3], u = t * t + t * b[1], f = b[0] * u / q;
    DERIVATIVES(u / q, b[0] * t / q, -f * t / q, -f / q);
    return f;
}

static double strd_f_mgh10(const double *x, const double *b, double *d)
{
    const double u = x[0] + b[2], e = exp(b[1] / u);
    DERIVATIVES(e, b[0] * e / u, -b[0] * e * b[1] / (u * u));
    return b[0] * e;
}

static double strd_f_mgh17(const double *x, const double *b, double *d)
{
    const double e = exp(-x[0] * b[3]), f = exp(-x[0] * b[4]);
    DERIVATIVES(1.0, e, f, -b[1] * x[0] * e, -b[2] * x[0] * f);
    return b[0] + b[1] * e + b[2] * f;
}

static double strd_f_misra1b(const double *x, const double *b, double *d)
{
    const double u = 1.0 + b[1] * x[0] / 2.0, p = 1.0 / (u * u);
    DERIVATIVES(1.0 - p, b[0] * x[0] * p / u);
    return b[0] * (1.0 - p);
}

static double strd_f_misra1c(const double *x, const double *b, double *d)
{
    const double u = 1.0 + 2.0 * b[1] * x[0], p = 1.0 / sqrt(u);
    DERIVATIVES(1.0 - p, b[0] * x[0] * p / u);
    return b[0] * (1.0 - p);
}

static double strd_f_misra1d(const double *x, const double *b, double *d)
{
    const double u = 1.0 + b[1] * x[0], p = x[0] / u;
    DERIVATIVES(b[1] * p, b[0] * p / u);
    return b[0] * b[1] * p;
}

static double strd_f_nelson(const double *x, const double *b, double *d)
{
    const double e = x[0] * exp(-b[2] * x[1]);
    DERIVATIVES(1.0, -e, b[1] * x[1] * e);
    return b[0] - b[1] * e;
}

static double strd_f_rat42(const double *x, const double *b, double *d)
{
    const double e = exp(b[1] - b[2] * x[0]), q = 1.0 + e, f = b[0] / q;
    DERIVATIVES(1.0 / q, -f * e / q, f * x[0] * e / q);
    return f;
}

static double strd_f_rat43(const double *x, const double *b, double *d)
{
    const double e = exp(b[1] - b[2] * x[0]), q = 1.0 + e, p = pow(q, -1.0 / b[3]), f = b[0] * p;
    DERIVATIVES(p, -f * e / (q * b[3]), f * x[0] * e / (q * b[3]), f * log(q) / (b[3] * b[3]));
    return f;
}

static double strd_f_roszman1(const double *x, const double *b, double *d)
{
    const double u = x[0] - b[3], v = b[2] / u, q = STRD_PI * (1.0 + v * v);
    DERIVATIVES(1.0, -x[0], -1.0 / (u * q), -v / (u * q));
    return b[0] - b[1] * x[0] - atan(v) / STRD_PI;
}

#undef DERIVATIVES

// In the order of strd_sets.
static const strd_function strd_functions[] = {
    strd_f_bennett5, strd_f_misra1a, strd_f_chwirut, strd_f_chwirut, strd_f_danwood,  strd_f_enso,    strd_f_eckerle4,
    strd_f_gauss,    strd_f_gauss,   strd_f_gauss,   strd_f_cubic,   strd_f_kirby2,   strd_f_lanczos, strd_f_lanczos,
    strd_f_lanczos,  strd_f_mgh09,   strd_f_mgh10,   strd_f_mgh17,   strd_f_misra1a,  strd_f_misra1b, strd_f_misra1c,
    strd_f_misra1d,  strd_f_nelson,  strd_f_rat42,   strd_f_rat43,   strd_f_roszman1, strd_f_cubic,
};

#endif
