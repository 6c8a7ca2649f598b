// SPDX-License-Identifier: BSD-3-Clause
// json.c -- results on stdout: one JSON object with --json, else the same object as text for people.
//
// The library answers questions in JSON.  The text form follows from the object: keys lose their
// underscores, bytes and seconds get units, lists of objects become tables, nested objects are indented.
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

#define LIST_SHOWN 8
#define CELL_WIDTH 60

char *cli_quantity(double value, const char *unit)
{
    static const char *const prefix[] = {"", " k", " M", " G", " T"};
    int p = 0;
    double v = value;
    while (fabs(v) >= 1000 && p < 4) v /= 1000, p++;
    if (p == 0 && v == floor(v)) return cli_format("%.0f%s%s", v, unit[0] ? " " : "", unit);
    int decimals = fabs(v) >= 100 ? 0 : fabs(v) >= 10 ? 1 : 2;
    if (p > 0 && v == floor(v)) decimals = 0;
    return cli_format("%.*f%s%s%s", decimals, v, prefix[p], p == 0 && unit[0] ? " " : "", unit);
}

char *cli_bytes(double bytes)
{
    static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    int p = 0;
    while (fabs(bytes) >= 1024 && p < 5) bytes /= 1024, p++;
    return cli_format(p == 0 ? "%.0f %s" : "%.3g %s", bytes, unit[p]);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);
    return n >= k && strcmp(text + n - k, end) == 0;
}

static char *scalar_text(const char *key, const json_t *v)
{
    if (json_is_string(v)) return cli_format("%s", json_string_value(v));
    if (json_is_boolean(v)) return cli_format(json_is_true(v) ? "yes" : "no");
    if (json_is_null(v)) return cli_format("–");
    if (!json_is_number(v)) {
        char *dump = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
        char *text = cli_format("%s", dump ? dump : "");
        free(dump);
        return text;
    }
    double x = json_number_value(v);
    if (key != NULL && (strcmp(key, "bytes") == 0 || ends_with(key, "_bytes"))) return cli_bytes(x);
    if (json_is_integer(v)) return cli_format("%" JSON_INTEGER_FORMAT, json_integer_value(v));
    if (key != NULL && (strcmp(key, "seconds") == 0 || ends_with(key, "_seconds"))) return cli_format("%.3g s", x);
    return cli_format("%.6g", x);
}

static char *label_text(const char *key)
{
    char *label = cli_format("%s", key);
    for (char *p = label; *p; p++)
        if (*p == '_') *p = ' ';
    return label;
}

// Characters, not bytes, so that columns with · and Å line up.
static int width_of(const char *text)
{
    int n = 0;
    for (; *text; text++) n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void pad(FILE *f, int n)
{
    for (int i = 0; i < n; i++) fputc(' ', f);
}

static char *list_text(const char *key, const json_t *list)
{
    char *text = cli_format("%s", json_array_size(list) == 0 ? "none" : "");
    size_t n = json_array_size(list);
    for (size_t i = 0; i < n && i < LIST_SHOWN; i++) {
        char *one = scalar_text(key, json_array_get(list, i));
        char *longer = cli_format("%s%s%s", text, i ? ", " : "", one);
        free(one);
        free(text);
        text = longer;
    }
    if (n > LIST_SHOWN) {
        char *longer = cli_format("%s, … (%zu)", text, n);
        free(text);
        text = longer;
    }
    return text;
}

static bool is_table(const json_t *v)
{
    if (!json_is_array(v) || json_array_size(v) == 0) return false;
    for (size_t i = 0; i < json_array_size(v); i++)
        if (!json_is_object(json_array_get(v, i))) return false;
    return true;
}

static bool is_inline(const json_t *v) { return !json_is_object(v) && !is_table(v); }

static char *cell_text(const char *key, const json_t *v)
{
    if (v == NULL) return cli_format("%s", "");
    char *text = json_is_array(v) ? list_text(key, v) : scalar_text(key, v);
    if (strlen(text) <= CELL_WIDTH || key == NULL) return text;
    if (strcmp(key, "text") == 0 || strcmp(key, "file") == 0 || strcmp(key, "path") == 0) return text;
    size_t cut = CELL_WIDTH;
    while (cut > 0 && ((unsigned char)text[cut] & 0xc0) == 0x80) cut--;
    char *shorter = cli_format("%.*s…", (int)cut, text);
    free(text);
    return shorter;
}

static void print_table(FILE *f, const json_t *rows, int indent)
{
    json_t *columns = json_object(); // union of the keys, in order of appearance; value: width
    size_t n = json_array_size(rows);
    const char *key;
    json_t *v;
    for (size_t i = 0; i < n; i++) {
        json_object_foreach(json_array_get(rows, i), key, v)
        {
            char *text = cell_text(key, v);
            int w = width_of(text), head = width_of(key);
            free(text);
            json_int_t old = json_integer_value(json_object_get(columns, key));
            if (w < head) w = head;
            json_object_set_new(columns, key, json_integer(w > old ? w : old));
        }
    }
    pad(f, indent);
    json_object_foreach(columns, key, v)
    {
        char *label = label_text(key);
        fputs(label, f);
        pad(f, (int)json_integer_value(v) - width_of(label) + 2);
        free(label);
    }
    fputc('\n', f);
    for (size_t i = 0; i < n; i++) {
        pad(f, indent);
        json_object_foreach(columns, key, v)
        {
            json_t *cell = json_object_get(json_array_get(rows, i), key);
            char *text = cell_text(key, cell);
            int space = (int)json_integer_value(v) - width_of(text);
            bool right = json_is_number(cell) || json_is_null(cell);
            if (right) pad(f, space);
            fputs(text, f);
            pad(f, (right ? 0 : space) + 2);
            free(text);
        }
        fputc('\n', f);
    }
    json_decref(columns);
}

static void print_object(FILE *f, const json_t *object, int indent)
{
    const char *key;
    json_t *v;
    int width = 0;
    json_object_foreach((json_t *)object, key, v) if (is_inline(v) && width_of(key) > width) width = width_of(key);
    json_object_foreach((json_t *)object, key, v)
    {
        if (indent == 0 && (strcmp(key, "schema") == 0 || strcmp(key, "version") == 0)) continue;
        char *label = label_text(key);
        pad(f, indent);
        if (is_inline(v)) {
            char *text = json_is_array(v) ? list_text(key, v) : scalar_text(key, v);
            fprintf(f, "%s", label);
            pad(f, width - width_of(label) + 2);
            fprintf(f, "%s\n", text);
            free(text);
        } else {
            fprintf(f, "%s\n", label);
            if (json_is_object(v))
                print_object(f, v, indent + 2);
            else
                print_table(f, v, indent + 2);
        }
        free(label);
    }
}

json_t *cli_text(const char *text)
{
    char *valid = xani_utf8(text);
    json_t *string = valid != NULL ? json_string(valid) : NULL;
    xani_free(valid);
    return string;
}

xani_status cli_not_utf8(cli *c, const char *path)
{
    return cli_fail(c, XANI_ERR_USAGE, "%s: its name is not UTF-8, as configurations are; link to it by another", path);
}

xani_status cli_result(cli *c, const char *schema, json_t *object)
{
    if (object == NULL) return cli_fail(c, XANI_ERR_MEMORY, "%s", xani_status_text(XANI_ERR_MEMORY));
    if (!c->json) {
        print_object(stdout, object, 0);
        json_decref(object);
        return XANI_OK;
    }
    json_t *whole = json_object();
    json_object_set_new(whole, "schema", json_string(schema));
    json_object_set_new(whole, "version", json_integer(1));
    if (c->outcome != XANI_OK) {
        json_object_set_new(whole, "status", json_string(xani_status_name(c->outcome)));
        json_object_set_new(whole, "exit", json_integer(xani_exit_code(c->outcome)));
        json_object_set_new(whole, "error", cli_text(c->error));
    }
    json_object_update_missing(whole, object);
    char *text = json_dumps(whole, JSON_INDENT(2));
    json_decref(whole);
    json_decref(object);
    if (text == NULL) return cli_fail(c, XANI_ERR_MEMORY, "%s", xani_status_text(XANI_ERR_MEMORY));
    printf("%s\n", text);
    free(text);
    return XANI_OK;
}

xani_status cli_result_text(cli *c, const char *schema, char *text)
{
    if (text == NULL) return XANI_OK;
    json_error_t why;
    json_t *object = json_loads(text, 0, &why);
    xani_free(text);
    if (!json_is_object(object)) {
        json_decref(object);
        return cli_fail(c, XANI_ERR_INTERNAL, "%s: the library's answer is not a JSON object: %s", schema, why.text);
    }
    return cli_result(c, schema, object);
}
