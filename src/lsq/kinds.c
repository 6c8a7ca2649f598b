// SPDX-License-Identifier: BSD-3-Clause
// kinds.c -- the table of kinds.def, and the look-up of a function by the name it has in an expression.
#include "lsq/kinds.h"

#include <ctype.h>
#include <string.h>

#include "xani/xani.h"

const xn_kind xn_kinds[] = {
#define XN_KIND(name, function, guess, background, first, low, high, parameters, formula)                              \
    {name, parameters, formula, low, high, first, background, xn_kind_##function, xn_guess_##guess},
#include "lsq/kinds.def"
#undef XN_KIND
};
const int xn_n_kinds = sizeof xn_kinds / sizeof xn_kinds[0];

static const xani_model_info table[] = {
#define XN_KIND(name, function, guess, background, first, low, high, parameters, formula)                              \
    {name, parameters, formula, low, high},
#include "lsq/kinds.def"
#undef XN_KIND
};

const xani_model_info *xani_model_table(int index) { return index >= 0 && index < xn_n_kinds ? &table[index] : NULL; }

bool xn_kind_takes_x(const char *name, size_t length)
{
    int order;
    const xn_kind *kind = xn_kind_find(name, length, &order);
    return kind == NULL || kind->value != xn_kind_constant;
}

const xn_kind *xn_kind_find(const char *name, size_t length, int *order)
{
    for (int i = 0; i < xn_n_kinds; i++) {
        const xn_kind *k = &xn_kinds[i];
        const size_t own = strlen(k->name);
        *order = 0;
        if (k->name[own - 1] != '#') {
            if (own == length && memcmp(k->name, name, own) == 0) return k;
            continue;
        }
        // A family: its name and one digit.
        if (length != own || memcmp(k->name, name, own - 1) != 0 || !isdigit((unsigned char)name[own - 1])) continue;
        *order = name[own - 1] - '0';
        if (*order >= k->order_min && *order <= k->order_max) return k;
    }
    return NULL;
}
