// SPDX-License-Identifier: BSD-3-Clause
// geom_crystfel_values.c -- see geom_crystfel.h.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/h5.h"
#include "physics/geom_crystfel.h"

static const char *skip_space(const char *s) { return s + strspn(s, " \t"); }

bool xn_crystfel_number(const char *text, double *value)
{
    char *end;
    *value = strtod(text, &end);
    return end != text && *skip_space(end) == '\0' && isfinite(*value);
}

bool xn_crystfel_vector(const char *s, double v[3])
{
    v[0] = v[1] = v[2] = 0.0;
    bool any = false;
    for (s = skip_space(s); *s != '\0'; s = skip_space(s)) {
        double sign = *s == '-' ? -1.0 : 1.0, size = 1.0;
        if (*s == '+' || *s == '-') s++;
        s = skip_space(s);
        if (strchr("xyz", *s) == NULL) {
            char *end;
            size = strtod(s, &end);
            if (end == s) return false;
            s = end + strspn(end, " \t");
        }
        if (*s != 'x' && *s != 'y' && *s != 'z') return false;
        v[*s - 'x'] += sign * size;
        any = true;
        s++;
    }
    return any;
}

const char *xn_said_parse(const char *text, xn_quantity what, double literal, double elsewhere, xn_said *said)
{
    bool number = *text != '\0' && strchr("+-.0123456789", *text) != NULL;
    size_t n = strcspn(text, " \t");
    char *end = NULL;
    double value = number ? strtod(text, &end) : NAN;
    const char *unit = skip_space(number ? end : text + n);
    *said = (xn_said){.what = what, .value = NAN, .unit = number ? literal : elsewhere};
    if (n == 0 || n >= sizeof said->place || (number && (end == text || !isfinite(value))))
        return "is neither a number nor a place in the data";
    if (*unit != '\0' && !xn_unit_size(unit, what, &said->unit)) return "has a unit that is not known";
    if (isnan(said->unit)) return "needs its unit, m or A";
    if (number)
        said->value = value * said->unit;
    else
        snprintf(said->place, sizeof said->place, "%.*s", (int)n, text);
    return NULL;
}

double xn_said_value(xn_ctx *ctx, const xn_said *said, const char *data_file)
{
    if (said->place[0] == '\0' || data_file == NULL || strchr(said->place, '%') != NULL) return said->value;
    xn_h5 *file = NULL;
    double *values = NULL;
    int64_t count = 0;
    bool found = xn_h5_open(ctx, data_file, &file) == XANI_OK && xn_h5_exists(file, said->place) &&
                 xn_h5_read_f64(ctx, file, said->place, &values, &count) == XANI_OK && count > 0 && isfinite(values[0]);
    double value = found ? values[0] * said->unit : NAN;
    xn_free(values);
    xn_h5_close(&file);
    xn_clear_error(ctx);
    return value;
}
