// SPDX-License-Identifier: BSD-3-Clause
// qr.c -- see qr.h.  Columns are contiguous, so that the inner loops over samples are plain dot products and updates
// that the compiler vectorises; eight partial sums let it do so without reordering what the source says.
#include "lsq/qr.h"

#include <float.h>
#include <math.h>
#include <string.h>

double xn_dot(const double *a, const double *b, int64_t n)
{
    double s[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++) s[k] += a[i + k] * b[i + k];
    for (int k = 0; i < n; i++, k++) s[k] += a[i] * b[i];
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

static void subtract(double *restrict a, const double *restrict b, double factor, int64_t n)
{
    for (int64_t i = 0; i < n; i++) a[i] -= factor * b[i];
}

double xn_norm(const double *x, int64_t n) { return sqrt(xn_dot(x, x, n)); }

static void swap_columns(double *a, int64_t m, int64_t ld, int j, int k)
{
    double *x = a + j * ld, *y = a + k * ld;
    for (int64_t i = 0; i < m; i++) {
        double t = x[i];
        x[i] = y[i];
        y[i] = t;
    }
}

void xn_qr_factor(double *a, int64_t m, int n, int64_t ld, double *b, int *pivot, double *norm)
{
    for (int j = 0; j < n; j++) pivot[j] = j;
    for (int k = 0; k < n; k++) {
        int largest = k;
        for (int j = k + 1; j < n; j++)
            if (norm[j] > norm[largest]) largest = j;
        if (largest != k) {
            swap_columns(a, m, ld, k, largest);
            int p = pivot[k];
            pivot[k] = pivot[largest];
            pivot[largest] = p;
            norm[largest] = norm[k];
        }
        double *v = a + k * ld + k;
        int64_t rows = m - k;
        double length = xn_norm(v, rows);
        if (length == 0.0) continue;
        double alpha = v[0] > 0.0 ? -length : length, head = v[0] - alpha; // reflect v to (alpha, 0, ...)
        double scale = -alpha * head;                                      // v^T v / 2 of the reflector
        v[0] = head;
        for (int j = k + 1; j < n; j++) {
            double *c = a + j * ld + k;
            subtract(c, v, xn_dot(v, c, rows) / scale, rows);
            // What is left of the norm, for the choice of the next pivot; anew when the difference has lost its digits.
            const double left = norm[j] - c[0] * c[0];
            norm[j] = left > 1e-6 * norm[j] ? left : xn_dot(c + 1, c + 1, rows - 1);
        }
        subtract(b + k, v, xn_dot(v, b + k, rows) / scale, rows);
        v[0] = alpha;
    }
}

int xn_qr_rank(const double *r, int n, int64_t ld, double tolerance)
{
    int k = 0;
    while (k < n && fabs(r[k * ld + k]) > tolerance * fabs(r[0])) k++;
    return k;
}

void xn_qr_solve(const double *r, int n, int64_t ld, int rank, const double *c, double *x)
{
    for (int k = n - 1; k >= 0; k--) x[k] = k < rank ? c[k] : 0.0;
    for (int k = rank - 1; k >= 0; k--) {
        x[k] /= r[k * ld + k];
        for (int i = 0; i < k; i++) x[i] -= r[k * ld + i] * x[k];
    }
}

void xn_qr_damped(const double *r, int n, int64_t ld, double lambda, const double *c, double *x, double *s,
                  double *scratch)
{
    // s holds the triangle by rows here, so that a rotation runs over contiguous memory.
    for (int i = 0; i < n; i++) {
        x[i] = -c[i];
        for (int j = i; j < n; j++) s[i * n + j] = r[j * ld + i];
    }
    double damp = sqrt(lambda);
    for (int j = 0; j < n && damp > 0.0; j++) { // rotate the row damp * e_j into the triangle
        memset(scratch + j, 0, (size_t)(n - j) * sizeof *scratch);
        scratch[j] = damp;
        double rest = 0.0;
        for (int k = j; k < n; k++) {
            if (scratch[k] == 0.0) continue;
            double h = hypot(s[k * n + k], scratch[k]), cosine = s[k * n + k] / h, sine = scratch[k] / h;
            for (int i = k; i < n; i++) {
                double up = s[k * n + i], low = scratch[i];
                s[k * n + i] = cosine * up + sine * low;
                scratch[i] = cosine * low - sine * up;
            }
            double up = x[k];
            x[k] = cosine * up + sine * rest;
            rest = cosine * rest - sine * up;
        }
    }
    for (int k = n - 1; k >= 0; k--) {
        for (int j = k + 1; j < n; j++) x[k] -= s[k * n + j] * x[j];
        x[k] = s[k * n + k] != 0.0 ? x[k] / s[k * n + k] : 0.0;
    }
}

// |S^-T q|^2 with the triangle S of xn_qr_damped and q = v/|v|: the slope of |v(lambda)|.
static double slope(const double *s, int n, const double *v, double length, double *w)
{
    double sum = 0.0;
    for (int k = 0; k < n; k++) {
        double t = v[k] / length;
        for (int j = 0; j < k; j++) t -= s[j * n + k] * w[j];
        w[k] = s[k * n + k] != 0.0 ? t / s[k * n + k] : 0.0;
        sum += w[k] * w[k];
    }
    return sum;
}

double xn_qr_trust(const double *r, int n, int64_t ld, const double *c, double radius, double lambda0, double *x,
                   double *work)
{
    double *s = work, *scratch = work + (size_t)n * n, *gradient = scratch + n;
    int rank = xn_qr_rank(r, n, ld, n * DBL_EPSILON);
    double low = 0.0;
    if (rank == n) {
        xn_qr_damped(r, n, ld, 0.0, c, x, s, scratch);
        double length = xn_norm(x, n);
        if (length <= 1.1 * radius) return 0.0;
        low = (length - radius) / (radius * slope(s, n, x, length, scratch));
        if (!(low > 0.0)) low = 0.0;
    }
    for (int k = 0; k < n; k++) { // R^T c
        gradient[k] = 0.0;
        for (int i = 0; i <= k; i++) gradient[k] += r[k * ld + i] * c[i];
    }
    double high = xn_norm(gradient, n) / radius;
    if (high == 0.0) { // nothing to gain along any column
        memset(x, 0, (size_t)n * sizeof *x);
        return 0.0;
    }
    double lambda = fmin(fmax(lambda0, low), high);
    if (lambda == 0.0) lambda = fmax(0.001 * high, sqrt(low * high));
    for (int pass = 0;; pass++) {
        if (lambda <= 0.0) lambda = fmax(DBL_MIN, 0.001 * high);
        xn_qr_damped(r, n, ld, lambda, c, x, s, scratch);
        double length = xn_norm(x, n), excess = length - radius;
        if (fabs(excess) <= 0.1 * radius || pass == 12 || length == 0.0) return lambda;
        double change = excess / radius / slope(s, n, x, length, scratch);
        if (excess > 0.0)
            low = fmax(low, lambda);
        else
            high = fmin(high, lambda);
        double next = lambda + change;
        lambda = next > low && next < high ? next : fmax(0.001 * high, sqrt(low * high));
    }
}

void xn_qr_covariance(const double *r, int n, int64_t ld, const int *pivot, double *inverse, double *work)
{
    for (int k = 0; k < n; k++) { // columns of R^-1
        double *column = work + (size_t)k * n;
        memset(column, 0, (size_t)n * sizeof *column);
        column[k] = 1.0;
        for (int i = k; i >= 0; i--) {
            column[i] /= r[i * ld + i];
            for (int j = 0; j < i; j++) column[j] -= r[i * ld + j] * column[i];
        }
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j <= i; j++) {
            double sum = 0.0;
            for (int k = i; k < n; k++) sum += work[(size_t)k * n + i] * work[(size_t)k * n + j];
            inverse[(size_t)pivot[i] * n + pivot[j]] = inverse[(size_t)pivot[j] * n + pivot[i]] = sum;
        }
}
