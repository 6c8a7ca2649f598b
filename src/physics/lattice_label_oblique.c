// SPDX-License-Identifier: BSD-3-Clause
// lattice_label_oblique.c -- named points of monoclinic and triclinic zones, in conventional reciprocal units.
//
// Points and names of Setyawan and Curtarolo (2010): MCL, MCLC1 to 5, TRI.  Their monoclinic cell has the unique axis
// a, the angle alpha < 90 degrees between b and c, and the centred face across c; any given setting (unique axis, P A B
// C I, a sheared cell) is brought to it in the plane of b and c: the two shortest vectors that span it, with b in the
// centred face.  Their formulas hold where c reaches along b by no more than half of b.  The triclinic points are
// halves of reduced reciprocal vectors, turned so that their angles are all acute or all obtuse, that of the first two
// the nearest to a right one.
#include <math.h>
#include <string.h>

#include "physics/lattice_label.h"

// A vector of the plane across the unique axis, in the two axes of the given cell that span it.
typedef struct {
    double v, w;
} planar;

typedef struct {
    double vv, ww, vw; // products of the two axes
} metric;

static double product(const metric *m, planar p, planar q)
{
    return p.v * q.v * m->vv + p.w * q.w * m->ww + (p.v * q.w + p.w * q.v) * m->vw;
}

// Takes from c the multiple of b that brings it nearest to across b, and turns it so that the angle is acute.
static void shear(const metric *m, planar b, planar *c)
{
    double times = rint(product(m, b, *c) / product(m, b, b));
    c->v -= times * b.v;
    c->w -= times * b.w;
    if (product(m, b, *c) < 0.0) *c = (planar){-c->v, -c->w};
}

static void primitive(const metric *m, planar *b, planar *c)
{
    for (int i = 0; i < 100; i++) { // Gauss
        if (product(m, *b, *b) > product(m, *c, *c)) {
            planar swap = *b;
            *b = *c;
            *c = swap;
        }
        planar before = *c;
        shear(m, *b, c);
        if (product(m, *c, *c) >= product(m, before, before) * (1.0 - 1e-12)) return;
    }
}

// Of the two vectors that go with a centred face, b may take twice c, and c may take b: the shortest such pair.
static void centred_pair(const metric *m, planar *b, planar *c)
{
    for (int i = 0; i < 100; i++) {
        double times = 2 * rint(product(m, *b, *c) / (2 * product(m, *c, *c)));
        b->v -= times * c->v;
        b->w -= times * c->w;
        planar before = *c;
        shear(m, *b, c);
        if (times == 0.0 && product(m, *c, *c) >= product(m, before, before) * (1.0 - 1e-12)) return;
    }
}

// ---- points; a, b, c and the angle's cosine and sine as in the article

static void mcl(double b, double c, double cosine, double sine_sq, xn_label_set *s)
{
    double eta = (1 - b * cosine / c) / (2 * sine_sq), nu = .5 - eta * c * cosine / b;
    s->path = "G Y H C E M1 A X G Z";
    xn_label_put(s, "A", .5, .5, 0);
    xn_label_put(s, "C", 0, .5, .5);
    xn_label_put(s, "D", .5, 0, .5);
    xn_label_put(s, "D1", .5, 0, -.5);
    xn_label_put(s, "E", .5, .5, .5);
    xn_label_put(s, "H", 0, eta, 1 - nu);
    xn_label_put(s, "H1", 0, 1 - eta, nu);
    xn_label_put(s, "H2", 0, eta, -nu);
    xn_label_put(s, "M", .5, eta, 1 - nu);
    xn_label_put(s, "M1", .5, 1 - eta, nu);
    xn_label_put(s, "M2", .5, eta, -nu);
    xn_label_put(s, "X", 0, .5, 0);
    xn_label_put(s, "Y", 0, 0, .5);
    xn_label_put(s, "Y1", 0, 0, -.5);
    xn_label_put(s, "Z", .5, 0, 0);
}

static void mclc1(double a, double b, double c, double cosine, double sine_sq, xn_label_set *s) // and MCLC2
{
    double zeta = (2 - b * cosine / c) / (4 * sine_sq), eta = .5 + 2 * zeta * c * cosine / b;
    double psi = .75 - a * a / (4 * b * b * sine_sq), phi = psi + (.75 - psi) * b * cosine / c;
    s->path = "N G Y F L I Z G M";
    xn_label_put(s, "F", 1 - zeta, 1 - zeta, 1 - eta);
    xn_label_put(s, "F1", zeta, zeta, eta);
    xn_label_put(s, "F2", -zeta, -zeta, 1 - eta);
    xn_label_put(s, "F3", 1 - zeta, -zeta, 1 - eta);
    xn_label_put(s, "I", phi, 1 - phi, .5);
    xn_label_put(s, "I1", 1 - phi, phi - 1, .5);
    xn_label_put(s, "L", .5, .5, .5);
    xn_label_put(s, "X", 1 - psi, psi - 1, 0);
    xn_label_put(s, "X1", psi, 1 - psi, 0);
    xn_label_put(s, "X2", psi - 1, -psi, 0);
    xn_label_put(s, "Y", .5, .5, 0);
    xn_label_put(s, "Y1", -.5, -.5, 0);
}

static void put_y(double mu, double delta, xn_label_set *s)
{
    xn_label_put(s, "X", .5, -.5, 0);
    xn_label_put(s, "Y", mu, mu, delta);
    xn_label_put(s, "Y1", 1 - mu, -mu, -delta);
    xn_label_put(s, "Y2", -mu, -mu, -delta);
    xn_label_put(s, "Y3", mu, mu - 1, delta);
}

static void put_h(double zeta, double eta, xn_label_set *s)
{
    xn_label_put(s, "H", zeta, zeta, eta);
    xn_label_put(s, "H1", 1 - zeta, -zeta, 1 - eta);
    xn_label_put(s, "H2", -zeta, -zeta, 1 - eta);
}

static void mclc3(double a, double b, double c, double cosine, double sine_sq, xn_label_set *s) // and MCLC4
{
    double mu = (1 + b * b / (a * a)) / 4, delta = b * c * cosine / (2 * a * a);
    double zeta = mu - .25 + (1 - b * cosine / c) / (4 * sine_sq), eta = .5 + 2 * zeta * c * cosine / b;
    double phi = 1 + zeta - 2 * mu, psi = eta - 2 * delta;
    s->path = "N G Y F H Z I X G M";
    xn_label_put(s, "F", 1 - phi, 1 - phi, 1 - psi);
    xn_label_put(s, "F1", phi, phi - 1, psi);
    xn_label_put(s, "F2", 1 - phi, -phi, 1 - psi);
    xn_label_put(s, "I", .5, -.5, .5);
    put_h(zeta, eta, s);
    put_y(mu, delta, s);
}

static void mclc5(double a, double b, double c, double cosine, double sine_sq, xn_label_set *s)
{
    double zeta = (b * b / (a * a) + (1 - b * cosine / c) / sine_sq) / 4, eta = .5 + 2 * zeta * c * cosine / b;
    double mu = eta / 2 + b * b / (4 * a * a) - b * c * cosine / (2 * a * a), nu = 2 * mu - zeta;
    double omega = (4 * nu - 1 - b * b * sine_sq / (a * a)) * c / (2 * b * cosine);
    double delta = zeta * c * cosine / b + omega / 2 - .25, rho = 1 - zeta * a * a / (b * b);
    s->path = "N G Y F L I Z G M";
    xn_label_put(s, "F", nu, nu, omega);
    xn_label_put(s, "F1", 1 - nu, 1 - nu, 1 - omega);
    xn_label_put(s, "F2", nu, nu - 1, omega);
    xn_label_put(s, "I", rho, 1 - rho, .5);
    xn_label_put(s, "I1", 1 - rho, rho - 1, .5);
    xn_label_put(s, "L", .5, .5, .5);
    put_h(zeta, eta, s);
    put_y(mu, delta, s);
}

static void centred(double a, double b, double c, double cosine, xn_label_set *s)
{
    double sine_sq = 1 - cosine * cosine, across = a * a - b * b * sine_sq; // has the sign of k_gamma's cosine
    if (across <= 0)
        mclc1(a, b, c, cosine, sine_sq, s);
    else if (b * cosine / c + b * b * sine_sq / (a * a) <= 1)
        mclc3(a, b, c, cosine, sine_sq, s);
    else
        mclc5(a, b, c, cosine, sine_sq, s);
    xn_label_put(s, "M", .5, 0, .5);
    xn_label_put(s, "N", .5, 0, 0);
    xn_label_put(s, "N1", 0, -.5, 0);
    xn_label_put(s, "Z", 0, 0, .5);
}

void xn_label_monoclinic(const xn_lattice *l, int unique, xn_label_set *s)
{
    const double *cell = l->cell;
    int v = (unique + 1) % 3, w = (unique + 2) % 3;
    metric m = {cell[v] * cell[v], cell[w] * cell[w], cell[v] * cell[w] * cos(cell[3 + unique] * M_PI / 180)};
    planar b = {1, 0}, c = {0, 1};
    int face = l->centring - 'A'; // the axis that a centred face stands across
    bool is_centred = l->centring == 'I' || face == v || face == w;
    if (face == v) b = (planar){0, 1}, c = (planar){1, 0};
    if (l->centring == 'I') b = (planar){1, 1};
    if (face == unique) c = (planar){.5, .5}; // a smaller primitive cell
    if (l->centring == 'F') return;
    if (is_centred)
        centred_pair(&m, &b, &c);
    else
        primitive(&m, &b, &c);
    double lb = sqrt(product(&m, b, b)), lc = sqrt(product(&m, c, c)), cosine = product(&m, b, c) / (lb * lc);
    // rows: the article's primitive vectors in the given axes; hkl = their inverse times its coordinates
    double vectors[9] = {0}, *row[3] = {vectors, vectors + 3, vectors + 6};
    row[0][unique] = is_centred ? .5 : 1;
    row[1][unique] = is_centred ? -.5 : 0;
    row[0][v] = is_centred ? .5 * b.v : 0;
    row[0][w] = is_centred ? .5 * b.w : 0;
    row[1][v] = is_centred ? .5 * b.v : b.v;
    row[1][w] = is_centred ? .5 * b.w : b.w;
    row[2][v] = c.v;
    row[2][w] = c.w;
    if (!xn_mat3_inverse(vectors, s->to_conventional)) return;
    if (is_centred)
        centred(cell[unique], lb, lc, cosine, s);
    else
        mcl(lb, lc, cosine, 1 - cosine * cosine, s);
}

// ---- triclinic

void xn_label_triclinic(const xn_lattice *l, xn_label_set *s)
{
    double dot[3], angle[3]; // of the two vectors other than k
    int order[3] = {0, 1, 2}, sign[3] = {1, 1, 1}, last = 0;
    for (int k = 0; k < 3; k++) {
        const double *p = l->prim + 3 * ((k + 1) % 3), *q = l->prim + 3 * ((k + 2) % 3);
        dot[k] = p[0] * q[0] + p[1] * q[1] + p[2] * q[2];
        angle[k] =
            fabs(dot[k]) / sqrt((p[0] * p[0] + p[1] * p[1] + p[2] * p[2]) * (q[0] * q[0] + q[1] * q[1] + q[2] * q[2]));
        if (angle[k] < angle[last]) last = k;
    }
    bool acute = dot[0] * dot[1] * dot[2] > 0;
    for (int k = 0; k < 3; k++) // one turned over changes the signs of two products
        if ((dot[(k + 1) % 3] > 0) != acute && (dot[(k + 2) % 3] > 0) != acute) sign[k] = -1;
    order[0] = (last + 1) % 3;
    order[1] = (last + 2) % 3;
    order[2] = last;
    for (int k = 0; k < 3; k++)
        for (int c = 0; c < 3; c++) s->to_conventional[3 * c + k] = sign[order[k]] * l->prim_hkl[3 * order[k] + c];
    s->path = "X G Y L G Z N G M R G";
    if (acute) { // TRI1b, TRI2b
        xn_label_put(s, "L", .5, -.5, 0);
        xn_label_put(s, "M", 0, 0, .5);
        xn_label_put(s, "N", -.5, -.5, .5);
        xn_label_put(s, "R", 0, -.5, .5);
        xn_label_put(s, "X", 0, -.5, 0);
        xn_label_put(s, "Y", .5, 0, 0);
        xn_label_put(s, "Z", -.5, 0, .5);
        return;
    }
    xn_label_put(s, "L", .5, .5, 0);
    xn_label_put(s, "M", 0, .5, .5);
    xn_label_put(s, "N", .5, 0, .5);
    xn_label_put(s, "R", .5, .5, .5);
    xn_label_put(s, "X", .5, 0, 0);
    xn_label_put(s, "Y", 0, .5, 0);
    xn_label_put(s, "Z", 0, 0, .5);
}
