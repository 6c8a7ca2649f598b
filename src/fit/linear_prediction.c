// SPDX-License-Identifier: BSD-3-Clause
// linear_prediction.c -- see linear_prediction.h.  HSVD by the Gram matrix, then selection by energy.
//
// H_ij = y_(i+j), (n-L+1) x L.  Its right singular vectors V of the M largest singular values span the
// columns z_k^j, j = 0..L-1, of the M strongest poles, so V without its first row is V without its last
// row times a matrix Z whose eigenvalues are the z_k (shift invariance).  V is orthonormal, hence with u
// the last row of V:  Z = (I + u u^T / (1 - u^T u)) V_b^T V_t.  A decaying cosine has |z| < 1 here; in the
// mirrored conventions of the literature it would have |z| > 1.
//
// V are the eigenvectors of H^T H, which needs no H: each element follows from its upper left neighbour by
// one product in and one out.  This halves the digits, which a start can afford: signals down to 1e-7 of
// the strongest are still found.  M = 2 max_modes + 1 + spare: a real pole for a rest of background, and
// spare poles, which raise the success at low signal to noise.
// Of the poles those are returned that together explain most of the trace (orthogonal matching).
#include "fit/linear_prediction.h"

#include <complex.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

#define lapack_complex_float float _Complex
#define lapack_complex_double double _Complex
#include <lapacke.h>

#define SHORTEST 8
#define MOST_POLES (2 * XANI_MAX_MODES + 1 + XN_LP_MAX_SPARE)
#define PI 3.14159265358979323846
#define LOWEST (0.9 * 2 * PI) // times 1/n: one period in the trace, less what noise may shift it
#define HIGHEST (0.97 * PI)   // poles this near to Nyquist have no phase
#define GROWTH 4.0            // times 1/n: poles growing faster are not a mode with noise
#define SPENT 1e-20           // of the trace's energy: an atom that is this much left is a combination of others

struct xn_lp_work {
    int n, columns, poles, atoms; // largest: samples, L, M, atoms (pairs of columns below)
    double *gram;                 // L x L
    double *vectors;              // L x M
    double *values;               // L
    double *shift;                // M x M
    double *re, *im;              // M
    double *atom;                 // (2 atoms, n): cosine and sine of each, made orthogonal to those chosen
    double *rest;                 // n: the trace less what is explained
    double *scratch;
    lapack_int *index, *support;
    lapack_int scratch_size, index_size;
};

// ---- OpenBLAS threads

// In OpenBLAS only; another BLAS leaves them NULL.
extern void openblas_set_num_threads(int n) __attribute__((weak));
extern int openblas_get_num_threads(void) __attribute__((weak));

static pthread_mutex_t blas_lock = PTHREAD_MUTEX_INITIALIZER;
static int blas_users, blas_threads;

static void blas_enter(void)
{
    if (openblas_set_num_threads == NULL || openblas_get_num_threads == NULL) return;
    pthread_mutex_lock(&blas_lock);
    if (blas_users++ == 0 && (blas_threads = openblas_get_num_threads()) > 1) openblas_set_num_threads(1);
    pthread_mutex_unlock(&blas_lock);
}

static void blas_leave(void)
{
    if (openblas_set_num_threads == NULL || openblas_get_num_threads == NULL) return;
    pthread_mutex_lock(&blas_lock);
    if (--blas_users == 0 && blas_threads > 1) openblas_set_num_threads(blas_threads);
    pthread_mutex_unlock(&blas_lock);
}

// ---- memory

static int columns_of(int n) { return n / 2 < XN_LP_COLUMNS ? n / 2 : XN_LP_COLUMNS; }

static int poles_of(int n, int max_modes, int spare)
{
    int m = 2 * max_modes + 1 + spare, most = columns_of(n) - 1;
    if (most > MOST_POLES) most = MOST_POLES;
    return m < most ? m : most;
}

xani_status xn_lp_work_create(xn_ctx *ctx, int n, int max_modes, int spare, xn_lp_work **work)
{
    *work = NULL;
    xn_lp_work *k = xn_calloc(1, sizeof *k);
    if (k == NULL) return xn_fail_memory(ctx, "linear prediction", sizeof *k);
    blas_enter();
    k->n = n > SHORTEST ? n : SHORTEST;
    k->columns = columns_of(k->n);
    k->poles = poles_of(k->n, max_modes, spare);
    k->atoms = k->poles / 2;
    size_t samples = (size_t)k->n, l = (size_t)k->columns, m = (size_t)k->poles;
    k->scratch_size = (lapack_int)(33 * l + 8 * m); // dsyevr: at least 26 L, with blocks (32 + 1) L; dgeev: 3 M
    k->index_size = (lapack_int)(10 * l);
    k->gram = xn_alloc(l * l, sizeof(double));
    k->vectors = xn_alloc(l * m, sizeof(double));
    k->values = xn_alloc(l, sizeof(double));
    k->shift = xn_alloc(m * m, sizeof(double));
    k->re = xn_alloc(m, sizeof(double));
    k->im = xn_alloc(m, sizeof(double));
    k->atom = xn_alloc(2 * (size_t)k->atoms * samples, sizeof(double));
    k->rest = xn_alloc(samples, sizeof(double));
    k->scratch = xn_alloc((size_t)k->scratch_size, sizeof(double));
    k->index = xn_alloc((size_t)k->index_size, sizeof(lapack_int));
    k->support = xn_alloc(2 * m, sizeof(lapack_int));
    *work = k;
    if (k->gram && k->vectors && k->values && k->shift && k->re && k->im && k->atom && k->rest && k->scratch &&
        k->index && k->support)
        return XANI_OK;
    xn_lp_work_destroy(work);
    return xn_fail_memory(ctx, "linear prediction", (l * l + 2 * (size_t)m * samples) * sizeof(double));
}

void xn_lp_work_destroy(xn_lp_work **work)
{
    if (work == NULL || *work == NULL) return;
    xn_lp_work *k = *work;
    void *all[] = {k->gram, k->vectors, k->values,  k->shift, k->re,      k->im,
                   k->atom, k->rest,    k->scratch, k->index, k->support, k};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
    *work = NULL;
    blas_leave();
}

// ---- poles

// G = H^T H, lower triangle by columns (LAPACK order).
static void gram(const double *y, int n, int l, double *g)
{
    int rows = n - l + 1;
    for (int j = 0; j < l; j++) {
        double s = 0;
        for (int i = 0; i < rows; i++) s += y[i] * y[i + j];
        g[j] = s;
    }
    for (int j = 1; j < l; j++)
        for (int i = j; i < l; i++)
            g[j * l + i] = g[(j - 1) * l + i - 1] - y[i - 1] * y[j - 1] + y[i - 1 + rows] * y[j - 1 + rows];
}

// Z from the eigenvectors v (l x m, column-major); false when the last row holds all of some direction.
static bool shift_matrix(const double *v, int l, int m, double *z)
{
    double u[MOST_POLES], norm = 0;
    for (int a = 0; a < m; a++) {
        u[a] = v[a * l + l - 1];
        norm += u[a] * u[a];
    }
    if (!(1 - norm > 1e-12)) return false;
    for (int b = 0; b < m; b++) {
        double along = 0;
        for (int a = 0; a < m; a++) {
            double s = 0;
            for (int i = 0; i + 1 < l; i++) s += v[a * l + i] * v[b * l + i + 1];
            z[b * m + a] = s;
            along += u[a] * s;
        }
        for (int a = 0; a < m; a++) z[b * m + a] += u[a] * along / (1 - norm);
    }
    return true;
}

// Poles into k->re, k->im; returns how many.
static int poles(const double *y, int n, int m, xn_lp_work *k)
{
    int l = columns_of(n);
    gram(y, n, l, k->gram);
    lapack_int found = 0;
    if (LAPACKE_dsyevr_work(LAPACK_COL_MAJOR, 'V', 'I', 'L', l, k->gram, l, 0, 0, l - m + 1, l, 0, &found, k->values,
                            k->vectors, l, k->support, k->scratch, k->scratch_size, k->index, k->index_size) != 0 ||
        found != m || !shift_matrix(k->vectors, l, m, k->shift))
        return 0;
    double none;
    if (LAPACKE_dgeev_work(LAPACK_COL_MAJOR, 'N', 'N', m, k->shift, m, k->re, k->im, &none, 1, &none, 1, k->scratch,
                           k->scratch_size) != 0)
        return 0;
    return m;
}

// ---- selection

typedef struct {
    double w, g;
    double along[2][2 * XANI_MAX_MODES]; // of cosine and sine: components along the orthonormal columns chosen so far
    bool used;
} candidate;

static double dot(const double *a, const double *b, int n)
{
    double s[4] = {0, 0, 0, 0};
    int i = 0;
    for (; i + 4 <= n; i += 4)
        for (int j = 0; j < 4; j++) s[j] += a[i + j] * b[i + j];
    for (; i < n; i++) s[0] += a[i] * b[i];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

static void subtract(double *a, double s, const double *b, int n)
{
    for (int i = 0; i < n; i++) a[i] -= s * b[i];
}

static void make_atom(double w, double g, int n, double *c, double *s)
{
    double complex z = cexp(-g + I * w), x = 1;
    for (int i = 0; i < n; i++) {
        c[i] = creal(x);
        s[i] = cimag(x);
        x *= z;
    }
}

// What of the rest's energy lies in the plane of c and s, that is |projection|^2.
static double gain(const double *rest, const double *c, const double *s, int n)
{
    double cc = dot(c, c, n), ss = dot(s, s, n), cs = dot(c, s, n), c1 = dot(c, rest, n), s1 = dot(s, rest, n);
    double det = cc * ss - cs * cs;
    if (!(det > SPENT * (cc + ss) * (cc + ss))) return 0;
    return (c1 * c1 * ss - 2 * c1 * s1 * cs + s1 * s1 * cc) / det;
}

// Makes the chosen atom's two columns orthonormal and takes them out of the rest and of all other atoms.
static void take(candidate *list, int n_list, int chosen, int rank, int n, xn_lp_work *k)
{
    candidate *best = &list[chosen];
    best->used = true;
    for (int h = 0; h < 2; h++) {
        double *q = k->atom + (size_t)(2 * chosen + h) * (size_t)n;
        double length = sqrt(dot(q, q, n));
        best->along[h][2 * rank + h] = length;
        for (int i = 0; i < n; i++) q[i] = length > 0 ? q[i] / length : 0;
        for (int c = 0; c < n_list; c++)
            for (int half = 0; half < 2; half++) {
                bool later = c == chosen ? half > h : !list[c].used;
                double *a = k->atom + (size_t)(2 * c + half) * (size_t)n;
                if (!later) continue;
                double s = list[c].along[half][2 * rank + h] = dot(a, q, n);
                subtract(a, s, q, n);
            }
    }
}

typedef struct {
    double w, g, amplitude, energy;
} mode;

// Coefficients of the chosen atoms: the triangular system left by the orthogonalisation.
static void amplitudes(const candidate *list, const int *chosen, const double *along_y, int count, int n, mode *out)
{
    double x[2 * XANI_MAX_MODES] = {0};
    for (int i = 2 * count - 1; i >= 0; i--) {
        double s = along_y[i];
        for (int j = i + 1; j < 2 * count; j++) s -= list[chosen[j / 2]].along[j % 2][i] * x[j];
        double d = list[chosen[i / 2]].along[i % 2][i];
        x[i] = d > 0 ? s / d : 0;
    }
    for (int c = 0; c < count; c++) {
        const candidate *p = &list[chosen[c]];
        double a = hypot(x[2 * c], x[2 * c + 1]), decay = 2 * p->g * n;
        double length = fabs(decay) < 1e-6 ? n : -expm1(-decay) / (2 * p->g); // sum of exp(-2 g i)
        out[c] = (mode){p->w, p->g, a, a * a * length};
    }
}

int xn_lp_hsvd(const double *y, int n, int max_modes, int spare, xn_lp_work *k, double *w_rad, double *g_per_sample,
               double *amplitude)
{
    if (n < SHORTEST || n > k->n || max_modes < 1 || max_modes > XANI_MAX_MODES) return 0;
    double energy = dot(y, y, n);
    if (!(energy > 0 && isfinite(energy))) return 0;
    int m = poles_of(n, max_modes, spare), count = 0;
    if (m > k->poles) m = k->poles;
    candidate list[MOST_POLES / 2];
    m = poles(y, n, m, k);
    for (int i = 0; i < m; i++) {
        double w = atan2(k->im[i], k->re[i]), g = -log(hypot(k->re[i], k->im[i]));
        if (!(w >= LOWEST / n && w <= HIGHEST && g > -GROWTH / n && g < 2))
            continue; // of each pair the one above the axis
        list[count] = (candidate){.w = w, .g = g};
        double *c = k->atom + 2 * (size_t)count * (size_t)n;
        make_atom(w, g, n, c, c + n);
        count++;
    }
    memcpy(k->rest, y, (size_t)n * sizeof *y);
    int chosen[XANI_MAX_MODES], found = 0;
    double along_y[2 * XANI_MAX_MODES];
    for (; found < max_modes; found++) {
        double most = 0;
        int best = -1;
        for (int c = 0; c < count; c++) {
            if (list[c].used) continue;
            const double *a = k->atom + 2 * (size_t)c * (size_t)n;
            double e = gain(k->rest, a, a + n, n);
            if (e > most) most = e, best = c;
        }
        if (best < 0 || !(most > SPENT * energy)) break;
        take(list, count, best, found, n, k);
        for (int h = 0; h < 2; h++) {
            const double *q = k->atom + (size_t)(2 * best + h) * (size_t)n;
            along_y[2 * found + h] = dot(q, k->rest, n);
            subtract(k->rest, along_y[2 * found + h], q, n);
        }
        chosen[found] = best;
    }
    mode modes[XANI_MAX_MODES];
    amplitudes(list, chosen, along_y, found, n, modes);
    for (int i = 0; i < found; i++) { // strongest first
        int best = i;
        for (int j = i + 1; j < found; j++)
            if (modes[j].energy > modes[best].energy) best = j;
        mode swap = modes[i];
        modes[i] = modes[best];
        modes[best] = swap;
        w_rad[i] = modes[i].w;
        g_per_sample[i] = modes[i].g;
        amplitude[i] = modes[i].amplitude;
    }
    return found;
}
