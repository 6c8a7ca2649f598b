// SPDX-License-Identifier: BSD-3-Clause
// report_data.c -- single datasets and attributes for the report, as float64 or text.
//
// What is not there is NULL or NaN and no error; what is there and cannot be read, or has another shape than the
// rest of the file, is noted in words and left out.
#include <math.h>
#include <stdlib.h>

#include "cli/report.h"

void report_note(report *r, const char *fmt, ...)
{
    char *s = NULL;
    va_list args;
    va_start(args, fmt);
    int n = vasprintf(&s, fmt, args);
    va_end(args);
    if (n < 0) return;
    json_array_append_new(r->notes, json_string(s));
    free(s);
}

double *report_required(report *r, const char *file, const char *dataset, int rank, int64_t *shape)
{
    xani_array a;
    if (xani_array_read(r->c->context, file, dataset, &a) != XANI_OK) {
        report_note(r, "%s", xani_error_text(r->c->context));
        return NULL;
    }
    double *v = NULL;
    if (a.type == XANI_STRING || a.rank != rank) {
        report_note(r, "%s: %s: %s expected", file, dataset, a.type == XANI_STRING ? "numbers" : "another rank");
    } else {
        v = cli_alloc((size_t)a.size, sizeof *v);
        for (int64_t i = 0; i < a.size; i++) v[i] = a.type == XANI_FLOAT64 ? a.f64[i] : (double)a.i64[i];
        for (int k = 0; shape != NULL && k < rank; k++) shape[k] = a.shape[k];
    }
    xani_array_free(&a);
    return v;
}

double *report_numbers(report *r, const char *file, const char *dataset, int rank, int64_t *shape)
{
    if (file == NULL || !xani_array_exists(r->c->context, file, dataset)) return NULL;
    return report_required(r, file, dataset, rank, shape);
}

// A dataset that must have n elements.
double *report_exactly(report *r, const char *file, const char *dataset, int rank, int64_t n)
{
    int64_t shape[XANI_MAX_RANK], size = 1;
    double *v = report_numbers(r, file, dataset, rank, shape);
    for (int k = 0; v != NULL && k < rank; k++) size *= shape[k];
    if (v == NULL || size == n) return v;
    report_note(r, "%s: %s: %lld numbers, %lld expected", file, dataset, (long long)size, (long long)n);
    free(v);
    return NULL;
}

char **report_strings(report *r, const char *file, const char *dataset, int64_t *n)
{
    xani_array a;
    *n = 0;
    if (file == NULL || !xani_array_exists(r->c->context, file, dataset)) return NULL;
    if (xani_array_read(r->c->context, file, dataset, &a) != XANI_OK) {
        report_note(r, "%s", xani_error_text(r->c->context));
        return NULL;
    }
    char **list = NULL;
    if (a.type == XANI_STRING) {
        list = cli_alloc((size_t)a.size, sizeof *list);
        for (int64_t i = 0; i < a.size; i++) list[i] = cli_format("%s", a.strings[i] ? a.strings[i] : "");
        *n = a.size;
    }
    xani_array_free(&a);
    return list;
}

void report_notes(const report *r, text *t)
{
    size_t n = json_array_size(r->notes);
    for (size_t i = 0; i < n; i++) {
        text_add(t, "<p class=\"note\">");
        text_escape(t, json_string_value(json_array_get(r->notes, i)));
        text_add(t, "</p>\n");
    }
}

// What was warned of while a result was made, as notes: with its run where there are several.
void report_warnings(report *r, const char *file, const char *run)
{
    int64_t n;
    char **list = report_strings(r, file, "/entry/process/warnings", &n);
    for (int64_t i = 0; i < n; i++) report_note(r, "%s%s%s", run, run[0] ? ": " : "", list[i]);
    report_strings_free(list, n);
}

void report_strings_free(char **list, int64_t n)
{
    for (int64_t i = 0; list != NULL && i < n; i++) free(list[i]);
    free(list);
}

char *report_attribute(report *r, const char *file, const char *object, const char *name)
{
    char *value = NULL;
    if (file == NULL || xani_attribute_read(r->c->context, file, object, name, &value) != XANI_OK) return NULL;
    char *copy = value != NULL ? cli_format("%s", value) : NULL;
    xani_free(value);
    return copy;
}

double report_attribute_number(report *r, const char *file, const char *object, const char *name)
{
    char *value = report_attribute(r, file, object, name);
    double v = value != NULL ? strtod(value, NULL) : NAN;
    free(value);
    return v;
}

double report_scalar(report *r, const char *file, const char *dataset)
{
    double *v = report_numbers(r, file, dataset, 0, NULL), x = v != NULL ? v[0] : NAN;
    free(v);
    return x;
}
