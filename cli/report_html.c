// SPDX-License-Identifier: BSD-3-Clause
// report_html.c -- the page: growing text, escaping, pictures as data, style.
//
// One file that needs nothing else: no scripts, no links outside, pictures as base64.  The style follows the
// reader's light or dark setting (pictures keep their white paper), narrows to one column on a phone and
// prints without breaking figures.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/report.h"

#define USUAL 1000 // pixels across a picture
#define NARROW 700

static void room(text *t, size_t more)
{
    if (t->n + more + 1 <= t->capacity) return;
    size_t capacity = 2 * (t->n + more) + 4096;
    char *s = cli_alloc(capacity, 1);
    if (t->n > 0) memcpy(s, t->s, t->n);
    free(t->s);
    t->s = s;
    t->capacity = capacity;
}

static void add_bytes(text *t, const char *s, size_t n)
{
    room(t, n);
    memcpy(t->s + t->n, s, n);
    t->n += n;
    t->s[t->n] = '\0';
}

void text_add(text *t, const char *fmt, ...)
{
    char *s = NULL;
    va_list args;
    va_start(args, fmt);
    int n = vasprintf(&s, fmt, args);
    va_end(args);
    if (n > 0) add_bytes(t, s, (size_t)n);
    if (n >= 0) free(s);
}

void text_escape(text *t, const char *s)
{
    for (; *s != '\0'; s++) {
        const char *as = *s == '&' ? "&amp;" : *s == '<' ? "&lt;" : *s == '>' ? "&gt;" : *s == '"' ? "&quot;" : NULL;
        if (as == NULL && (unsigned char)*s < 0x20 && *s != '\n' && *s != '\t') as = " ";
        if (as != NULL)
            add_bytes(t, as, strlen(as));
        else
            add_bytes(t, s, 1);
    }
}

void text_base64(text *t, const unsigned char *bytes, size_t n)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    room(t, (n + 2) / 3 * 4);
    char *out = t->s + t->n;
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        unsigned word =
            (unsigned)bytes[i] << 16 | (left > 1 ? (unsigned)bytes[i + 1] << 8 : 0) | (left > 2 ? bytes[i + 2] : 0);
        *out++ = digit[word >> 18];
        *out++ = digit[word >> 12 & 63];
        *out++ = left > 1 ? digit[word >> 6 & 63] : '=';
        *out++ = left > 2 ? digit[word & 63] : '=';
    }
    *out = '\0';
    t->n = (size_t)(out - t->s);
}

void text_free(text *t)
{
    free(t->s);
    memset(t, 0, sizeof *t);
}

// Two digits of the error when its first is 1, else one: 3.512(8), 3.51(12), 7(2), 1230(50).
char *text_uncertain(double value, double error)
{
    if (!isfinite(value)) return cli_format("–");
    if (!isfinite(error) || error <= 0) return cli_format("%.4g", value);
    int power = (int)floor(log10(error));
    double first = error / pow(10, power);
    if (first >= 9.5) power++, first = 1;
    int decimals = -power + (first < 1.95 ? 1 : 0);
    if (decimals > 12) return cli_format("%.4g", value);
    const double unit = pow(10, -decimals);
    if (decimals < 0) return cli_format("%.0f(%.0f)", unit * round(value / unit), unit * round(error / unit));
    return cli_format("%.*f(%.0f)", decimals, value, error / unit);
}

// ---- the page

static const char style[] =
    ":root{color-scheme:light "
    "dark;--ink:#1d2126;--soft:#5b6570;--line:#d5dae0;--back:#fff;--panel:#f5f7f9;--warn:#8a4b00}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e4e7ea;--soft:#a3adb8;--line:#3a424b;--back:#16191d;--panel:#"
    "20252b;"
    "--warn:#f0b35c}}\n"
    "*{box-sizing:border-box}body{margin:0 auto;max-width:76rem;padding:1rem 1.2rem 4rem;background:var(--back);"
    "color:var(--ink);font:16px/1.5 system-ui,'DejaVu Sans',sans-serif}\n"
    "h1{font-size:1.7rem;line-height:1.2;margin:.6rem 0 .2rem}h2{font-size:1.25rem;margin:2.4rem 0 .6rem;"
    "border-bottom:1px solid var(--line);padding-bottom:.25rem}h3{font-size:1.05rem;margin:1.4rem 0 .4rem}\n"
    "p{max-width:52rem;margin:.5rem 0}.soft{color:var(--soft)}.note{border-left:3px solid var(--warn);padding:.2rem "
    ".8rem;"
    "background:var(--panel)}\n"
    "nav{margin:.8rem 0}nav a{margin-right:1rem;color:inherit;white-space:nowrap}\n"
    ".facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(10.5rem,1fr));gap:.7rem;margin:1rem "
    "0;padding:0}\n"
    ".facts div{background:var(--panel);border-radius:8px;padding:.6rem .8rem}.facts b{display:block;font-size:1.35rem;"
    "line-height:1.25;font-variant-numeric:tabular-nums}.facts span{color:var(--soft);font-size:.86rem}\n"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.92rem;font-variant-numeric:tabular-nums;margin:."
    "5rem 0}"
    "th,td{text-align:right;padding:.22rem .7rem;border-bottom:1px solid var(--line);white-space:nowrap}"
    "th{font-weight:600}th:first-child,td:first-child{text-align:left}caption{text-align:left;color:var(--soft)}\n"
    ".figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(26rem,100%),1fr));gap:1rem;margin:.8rem 0;"
    "align-items:start}.three{grid-template-columns:repeat(auto-fit,minmax(min(19rem,100%),1fr))}figure{margin:0}"
    "figure.wide{grid-column:1/-1}"
    "figure img{display:block;width:100%;height:auto;background:#fff;border:1px solid "
    "var(--line);border-radius:8px;padding:.5rem}"
    "figcaption{font-size:.88rem;color:var(--soft);margin:.35rem .2rem}\n"
    "details{margin:.6rem "
    "0}summary{cursor:pointer}pre{background:var(--panel);border-radius:8px;padding:.8rem;overflow-x:auto;"
    "font:13px/1.45 'DejaVu Sans Mono',ui-monospace,monospace}\n"
    "@media "
    "print{body{max-width:none;padding:0;font-size:10.5pt}figure,table,.facts{break-inside:avoid}h2,h3{break-after:"
    "avoid}"
    "nav{display:none}pre{white-space:pre-wrap}}\n";

void report_page_begin(report *r)
{
    text_add(&r->page, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                       "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
    text_escape(&r->page, r->title);
    text_add(&r->page, "</title>\n<style>\n%s</style>\n</head>\n<body>\n", style);
}

void report_page_end(report *r) { text_add(&r->page, "</body>\n</html>\n"); }

void report_heading(report *r, const char *id, const char *title)
{
    text_add(&r->page, "<h2 id=\"%s\">", id);
    text_escape(&r->page, title);
    text_add(&r->page, "</h2>\n");
}

void report_paragraph(report *r, const char *fmt, ...)
{
    char *s = NULL;
    va_list args;
    va_start(args, fmt);
    int n = vasprintf(&s, fmt, args);
    va_end(args);
    if (n < 0) return;
    text_add(&r->page, "<p>");
    text_escape(&r->page, s);
    text_add(&r->page, "</p>\n");
    free(s);
}

void report_figures_begin(report *r) { text_add(&r->page, "<div class=\"figures\">\n"); }
void report_figures_begin_three(report *r) { text_add(&r->page, "<div class=\"figures three\">\n"); }
void report_figures_end(report *r) { text_add(&r->page, "</div>\n"); }

char *report_picture_name(const report *r, const report_run *run, const char *name)
{
    if (run == NULL || r->n_runs < 2) return cli_format("%s", name);
    char *plain = cli_format("%s", run->name);
    for (char *p = plain; *p != '\0'; p++)
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", *p) == NULL) *p = '_';
    bool same = strcmp(plain, run->name) == 0; // two names may become one: those that change get the run's number
    char *whole =
        same ? cli_format("%s-%s", plain, name) : cli_format("%s-%d-%s", plain, (int)(run - r->runs) + 1, name);
    free(plain);
    return whole;
}

void report_picture(report *r, const char *name, int width, int height, draw_fn fn, const void *data, bool wide,
                    const char *caption)
{
    draw_png png;
    if (r->status == XANI_OK && cli_interrupted())
        r->status = cli_fail(r->c, XANI_INTERRUPTED, "interrupted; run the same command again for the report");
    if (r->status != XANI_OK) return; // no page will be written
    if (!draw_picture(width, height, fn, data, &png)) {
        report_note(r, "the picture %s could not be drawn: %s", name, png.why);
        text_add(&r->page, "<p class=\"note\">This picture could not be drawn: ");
        text_escape(&r->page, png.why);
        text_add(&r->page, "</p>\n");
        return;
    }
    char *file = cli_format("%s/report/%s.png", r->dir, name);
    if (r->status == XANI_OK) r->status = cli_write_file(r->c, file, png.bytes, png.n, true);
    free(file);
    char *relative = cli_format("report/%s.png", name);
    json_array_append_new(r->pictures, json_pack("{s:s, s:i, s:i, s:s}", "file", relative, "width", width, "height",
                                                 height, "caption", caption));
    free(relative);
    text_add(&r->page, "<figure%s><img width=\"%d\" height=\"%d\"", wide ? " class=\"wide\"" : "", width / 2,
             height / 2);
    if (width < NARROW) // its letters as large as those of the others
        text_add(&r->page, " style=\"max-width:%d%%\"", width / (USUAL / 100));
    text_add(&r->page, " alt=\"");
    text_escape(&r->page, caption);
    text_add(&r->page, "\" src=\"data:image/png;base64,");
    text_base64(&r->page, png.bytes, png.n);
    text_add(&r->page, "\"><figcaption>");
    text_escape(&r->page, caption);
    text_add(&r->page, "</figcaption></figure>\n");
    free(png.bytes);
}
