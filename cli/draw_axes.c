// SPDX-License-Identifier: BSD-3-Clause
// draw_axes.c -- frames, ticks and numbers: where the data lie on the page.
//
// Ticks stand at 1, 2 or 5 times a power of ten so that about one fits each five text heights; a logarithmic
// axis has its decades, and numbers at 1, 2, 5 where it spans few of them.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/draw.h"

#define Y_ROOM 3.2 // text heights between numbers of a vertical axis
#define Y_LEAST 1.8
#define X_ROOM 4.5

static double place(double v, double v0, double v1, bool log, double p0, double p1)
{
    if (log) {
        if (!(v > 0)) return p0;
        v = log10(v), v0 = log10(v0), v1 = log10(v1);
    }
    double p = p0 + (v - v0) / (v1 - v0) * (p1 - p0);
    return p > 1e5 ? 1e5 : p < -1e5 ? -1e5 : p; // PLplot counts in short units
}

double draw_x(const draw_axes *a, double x) { return place(x, a->x0, a->x1, a->log_x, a->left, a->right); }
double draw_y(const draw_axes *a, double y) { return place(y, a->y0, a->y1, a->log_y, a->bottom, a->top); }

draw_axes draw_axes_page(int width, int height)
{
    draw_axes a = {.left = 4.4 * DRAW_EM,
                   .right = width - 0.9 * DRAW_EM,
                   .bottom = 3.3 * DRAW_EM,
                   .top = height - 0.8 * DRAW_EM,
                   .x1 = 1,
                   .y1 = 1};
    return a;
}

void draw_axes_equal(draw_axes *a)
{
    double sx = (a->right - a->left) / fabs(a->x1 - a->x0), sy = (a->top - a->bottom) / fabs(a->y1 - a->y0);
    double s = sx < sy ? sx : sy;
    double w = s * fabs(a->x1 - a->x0), h = s * fabs(a->y1 - a->y0);
    a->right = a->left + w;
    a->top = a->bottom + h;
}

bool draw_range(const double *v, int64_t n, bool log, double *lo, double *hi)
{
    *lo = INFINITY;
    *hi = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(v[i]) || (log && v[i] <= 0)) continue;
        if (v[i] < *lo) *lo = v[i];
        if (v[i] > *hi) *hi = v[i];
    }
    if (*lo > *hi) {
        *lo = log ? 0.1 : 0, *hi = 1;
        return false;
    }
    if (log) {
        double room = *hi > *lo ? pow(*hi / *lo, 0.05) : 2;
        *lo /= room, *hi *= room;
    } else {
        double room = *hi > *lo ? 0.05 * (*hi - *lo) : fabs(*hi) > 0 ? 0.1 * fabs(*hi) : 1;
        *lo -= room, *hi += room;
    }
    return true;
}

// ---- ticks

// One number each room_em, three or four at least where they have least_em each.
static double nice_step(double span, double pixels, double room_em, double least_em)
{
    double wanted = pixels / (room_em * DRAW_EM), most = pixels / (least_em * DRAW_EM);
    double raw = span / fmax(wanted, fmin(3.5, most)), p = pow(10, floor(log10(raw)));
    double m = raw / p;
    return (m < 1.4 ? 1 : m < 3.2 ? 2 : m < 7.1 ? 5 : 10) * p;
}

static void superscript(char *out, size_t size, int power)
{
    static const char *const digit[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
    char plain[16];
    snprintf(plain, sizeof plain, "%d", power);
    size_t k = (size_t)snprintf(out, size, "10");
    for (const char *c = plain; *c != '\0' && k < size; c++)
        k += (size_t)snprintf(out + k, size - k, "%s", *c == '-' ? "⁻" : digit[*c - '0']);
}

static void number_text(char *out, size_t size, double v, double step, bool log)
{
    if (log) {
        int power = (int)floor(log10(v) + 1e-9);
        double mantissa = v / pow(10, power);
        if (power >= -2 && power <= 3)
            snprintf(out, size, "%.*f", power < 0 ? -power : 0, v);
        else if (mantissa < 1.5)
            superscript(out, size, power);
        else
            snprintf(out, size, "%.0fe%d", mantissa, power);
        return;
    }
    if (fabs(v) < 1e-9 * step) v = 0;
    double largest = fabs(v) > step ? fabs(v) : step;
    if (v != 0 && (largest >= 1e6 || largest < 1e-4)) {
        snprintf(out, size, "%.3g", v);
        return;
    }
    int decimals = (int)ceil(-log10(step) - 1e-9);
    snprintf(out, size, "%.*f", decimals > 0 ? decimals : 0, v);
    if (out[0] == '-') { // a true minus
        char digits[24];
        snprintf(digits, sizeof digits, "%.*s", (int)sizeof digits - 1, out + 1);
        snprintf(out, size, "−%s", digits);
    }
}

#define MAX_TICKS 256

typedef struct tick_list {
    int n;
    double at[MAX_TICKS];
    bool major[MAX_TICKS];
    double step;
} tick_list;

static void add(tick_list *t, double v, bool major)
{
    if (t->n < MAX_TICKS) t->at[t->n] = v, t->major[t->n++] = major;
}

static void log_ticks(tick_list *t, double lo, double hi, double pixels)
{
    double decades = log10(hi / lo), per = pixels / (2.2 * DRAW_EM) / decades;
    int skip = per >= 1 ? 1 : (int)ceil(1 / per);
    for (int p = (int)floor(log10(lo)); p <= (int)ceil(log10(hi)); p++) {
        for (int m = 1; m < 10; m++) {
            double v = m * pow(10, p);
            if (v < lo * (1 - 1e-9) || v > hi * (1 + 1e-9)) continue;
            bool major = m == 1 ? p % skip == 0 : decades < 1.7 && (m == 2 || m == 5);
            if (major || decades < 8) add(t, v, major);
        }
    }
}

double draw_step(double span, double pixels) { return nice_step(span, pixels, Y_ROOM, Y_LEAST); }

// What a number of a horizontal axis takes.
static double x_least(double lo, double hi)
{
    double largest = fmax(fabs(lo), fabs(hi)), digits = largest >= 10 ? floor(log10(largest)) + 1 : 1;
    return 0.9 + 0.6 * (digits + (hi - lo < 4 ? 2 : 0));
}

// fixed: step of the numbers, 0: chosen.
static void linear_ticks(tick_list *t, double lo, double hi, double pixels, double room_em, double fixed)
{
    const double least = room_em == X_ROOM ? x_least(lo, hi) : Y_LEAST;
    t->step = fixed > 0 ? fixed : nice_step(hi - lo, pixels, room_em, least);
    double mantissa = t->step / pow(10, floor(log10(t->step) + 1e-9));
    int parts = mantissa > 1.5 && mantissa < 2.5 ? 4 : 5;
    double minor = t->step / parts;
    if (minor / (hi - lo) * pixels < 0.2 * DRAW_EM) parts = 1, minor = t->step; // they would touch
    for (int64_t i = (int64_t)ceil(lo / minor - 1e-6); (double)i * minor <= hi + 1e-6 * minor; i++)
        add(t, (double)i * minor, i % parts == 0);
}

static void ticks(tick_list *t, double v0, double v1, bool log, double pixels, double room_em, double fixed)
{
    memset(t, 0, sizeof *t);
    double lo = v0 < v1 ? v0 : v1, hi = v0 < v1 ? v1 : v0;
    if (!(hi > lo)) return;
    if (log)
        log_ticks(t, lo, hi, pixels);
    else
        linear_ticks(t, lo, hi, pixels, room_em, fixed);
}

static int width_of(const char *text)
{
    int n = 0;
    for (; *text; text++) n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static int widest_number(const draw_axes *a, const tick_list *t)
{
    int widest = 1;
    for (int i = 0; i < t->n; i++) {
        if (!t->major[i]) continue;
        char text[32];
        number_text(text, sizeof text, t->at[i], t->step, a->log_y);
        if (width_of(text) > widest) widest = width_of(text);
    }
    return widest;
}

// From the frame to the middle of the label of the y axis.
static double label_distance(int widest) { return (1.5 + 0.6 * widest) * DRAW_EM; }

void draw_axes_fit(draw_axes *a)
{
    tick_list t;
    ticks(&t, a->y0, a->y1, a->log_y, a->top - a->bottom, Y_ROOM, a->y_step);
    a->left = label_distance(widest_number(a, &t)) + (a->y_label != NULL ? 0.9 : -0.4) * DRAW_EM;
}

double draw_bar_room(const draw_scale *s, double height)
{
    draw_axes bar = {.top = height, .y0 = s->lo, .y1 = s->hi, .log_y = s->log};
    tick_list t;
    ticks(&t, s->lo, s->hi, s->log, height, Y_ROOM, 0);
    return label_distance(widest_number(&bar, &t)) + (s->label != NULL ? 2.9 : 1.5) * DRAW_EM;
}

static void rectangle(const draw_axes *a)
{
    draw_stroke(a->left, a->bottom, a->right, a->bottom, 2.5);
    draw_stroke(a->left, a->top, a->right, a->top, 2.5);
    draw_stroke(a->left, a->bottom, a->left, a->top, 2.5);
    draw_stroke(a->right, a->bottom, a->right, a->top, 2.5);
}

static void x_axis(const draw_axes *a)
{
    tick_list t;
    ticks(&t, a->x0, a->x1, a->log_x, a->right - a->left, X_ROOM, 0);
    if (a->x_whole && t.step < 1) ticks(&t, a->x0, a->x1, false, a->right - a->left, X_ROOM, 1);
    for (int i = 0; i < t.n; i++) {
        if (a->x_whole && fabs(t.at[i] - round(t.at[i])) > 1e-9) continue;
        double x = draw_x(a, t.at[i]), length = (t.major[i] ? 0.4 : 0.2) * DRAW_EM;
        draw_stroke(x, a->bottom, x, a->bottom - length, 2);
        if (!t.major[i] || a->no_x_numbers) continue;
        char text[32];
        number_text(text, sizeof text, t.at[i], t.step, a->log_x);
        draw_text(x, a->bottom - 1.05 * DRAW_EM, 0.5, 0.9, DRAW_INK, text);
    }
    if (a->x_label != NULL)
        draw_text((a->left + a->right) / 2, a->bottom - 2.45 * DRAW_EM, 0.5, 1, DRAW_INK, a->x_label);
}

// right: numbers and label to the right of the frame, as a colour bar has them.
static void y_axis(const draw_axes *a, bool right)
{
    tick_list t;
    ticks(&t, a->y0, a->y1, a->log_y, a->top - a->bottom, Y_ROOM, a->y_step);
    double edge = right ? a->right : a->left, out = right ? 1 : -1;
    for (int i = 0; i < t.n; i++) {
        double y = draw_y(a, t.at[i]), length = (t.major[i] ? 0.4 : 0.2) * DRAW_EM;
        draw_stroke(edge, y, edge + out * length, y, 2);
        if (!t.major[i] || (a->y_step > 0 && !(t.at[i] < a->y1))) continue;
        char text[32];
        number_text(text, sizeof text, t.at[i], t.step, a->log_y);
        draw_text(edge + out * 0.65 * DRAW_EM, y, right ? 0 : 1, 0.9, DRAW_INK, text);
    }
    double beside = edge + out * label_distance(widest_number(a, &t));
    if (a->y_label != NULL) draw_text_vertical(beside, (a->bottom + a->top) / 2, 1, DRAW_INK, a->y_label);
}

void draw_axes_frame(const draw_axes *a)
{
    if (!a->no_x_ticks) x_axis(a);
    if (!a->no_y_ticks) y_axis(a, false);
    rectangle(a);
}

void draw_axes_bar(const draw_axes *a)
{
    y_axis(a, true);
    rectangle(a);
}
