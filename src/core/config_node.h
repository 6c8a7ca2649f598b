// SPDX-License-Identifier: BSD-3-Clause
// config_node.h -- the parsed configuration as a tree, and the table it is checked against.
//
// Private to core/config*.c: config_yaml.c makes trees from YAML text and text from trees (yaml.h),
// config_table.c holds the table made from config.def, config_check.c checks trees against it,
// config.c opens and assigns, config_get.c answers questions.
#ifndef XN_CORE_CONFIG_NODE_H
#define XN_CORE_CONFIG_NODE_H

#include <locale.h>
#include <math.h>

#include "core/config.h"
#include "core/yaml.h"

#define XN_ANY INFINITY                   // no bound, at either end
#define XN_MANY 9007199254740992.0        // 2^53: whole numbers up to here are exact in a double
#define XN_CONFIG_DEPTH 32                // deeper nesting is refused (recursion stays bounded)
#define XN_CONFIG_BYTES ((size_t)4 << 20) // larger files are refused

struct xani_config {
    xn_node *root;    // a map, or NULL when nothing is set
    char *name, *dir; // owned; see xn_config_name, xn_config_dir
    char *text;       // as given, owned; NULL once something was assigned
    char **assigned;  // what was, in order
    int n_assigned;
    locale_t number_locale; // "C": numbers read the same in every locale of the calling program
};

// ---- config_get.c

// Splits the next part off *key: a word (copied to word) or an index (word empty). False: malformed.
bool xn_key_part(const char **key, char word[XN_KEY_LENGTH], int *index);

// ---- config_table.c

// The setting whose pattern ("runs[].name") is the first `length` characters of `pattern`; NULL if none.
const xn_setting *xn_setting_find(const char *pattern, size_t length);
// Strict number syntax, finite: false for "50 fs", "010", "nan", "1e400", "".
bool xn_parse_double(locale_t locale, const char *text, double *value);
bool xn_parse_int(const char *text, int64_t *value);
// The nearest known key to an unknown `word` in the map `parent` ("" at the top).
const char *xn_setting_nearest(const char *parent, const char *word);

// ---- config_check.c

// Checks c->root against the table, fills number and integer of its scalars, and gives words that stand
// for a map's first key their map.
xani_status xn_config_check(xn_ctx *ctx, xn_config *c);

#endif
