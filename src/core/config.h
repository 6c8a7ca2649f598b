// SPDX-License-Identifier: BSD-3-Clause
// config.h -- the configuration: YAML text checked against one table of settings (config.def).
//
// config.def is the only list of keys: type, range, default, one-line help.  It drives parsing, the
// nearest-key hint, --set, the man page and `xani init`.  Keys are dotted paths; a list element is
// written [] in the table and [0], [1], ... when asked for: "runs[0].name", "geometry.goniometer[1].axis".
// Where one may be given for several ("select.time_tool: {...}", "files: a.h5"), [0] finds it too.
// A key whose value is empty or null counts as unset.  Numbers are strict: "50 fs" or 1.9 for an
// integer is an error that names file, line and key.  Asking for a key that is not in the table, or
// with the wrong type, is a defect (assert).
#ifndef XN_CORE_CONFIG_H
#define XN_CORE_CONFIG_H

#include "core/core.h"

typedef xani_config xn_config;

// One row of config.def. The man page and `xani init` are made from these.
typedef enum {
    XN_SET_MAP,  // holds further keys
    XN_SET_LIST, // list of maps; one map alone counts as a list of one; count 1: of named ones (XN_LIST_BY_NAME)
    XN_SET_TEXT,
    XN_SET_PATH,
    XN_SET_CHOICE,
    XN_SET_BOOL,
    XN_SET_NUMBER,
    XN_SET_INT,
    XN_SET_TEXTS,
    XN_SET_PATHS, // one or several
    XN_SET_NUMBERS,
    XN_SET_INTS // `count` of them (9 may be 3 rows of 3, 8 may be 4 of 2), any number when count is 0
} xn_setting_type;

typedef struct xn_setting {
    const char *key; // pattern, list elements as []: "runs[].name"
    xn_setting_type type;
    int count;
    double min, max;      // of each number, both included; XN_POSITIVE as min: above 0
    bool ascending;       // numbers must increase
    bool short_form;      // a map (or element) may also be given as one plain word: see config.def
    const char *choices;  // "a|b|c", else NULL
    const char *fallback; // text of the default, NULL if there is none
    const char *help;     // one line
} xn_setting;

#define XN_POSITIVE 4.9406564584124654e-324
#define XN_MOST_DEGREES 720 // two turns: beyond it is no angle of a circle

// Row `index` in the order of config.def; NULL past the end.
const xn_setting *xn_config_setting(int index);
// The index-th set of alternatives of a map, "min max|percentile|mad" for "select.i0"; NULL past the end.
const char *xn_config_forms(const char *key, int index);

// Text parsed as if read from a file called `name` in the folder `base_dir` (used by tests, the
// provenance of results and `xani map` without --config).
xani_status xn_config_parse(xn_ctx *ctx, const char *yaml, const char *name, const char *base_dir, xn_config **config);

// Fills buf (256 bytes) and returns it: xn_key(buf, "runs[%d].name", i).
#define XN_KEY_LENGTH 256
const char *xn_key(char buf[XN_KEY_LENGTH], const char *fmt, ...) XN_PRINTF(2, 3);

bool xn_config_has(const xn_config *c, const char *key);      // set and not null (any node kind)
double xn_config_double(const xn_config *c, const char *key); // value, else the table's default (NaN if none)
int64_t xn_config_int(const xn_config *c, const char *key);
double xn_config_memory(const xn_config *c); // engine.memory_gib in bytes, else half of what is free
bool xn_config_bool(const xn_config *c, const char *key);
const char *xn_config_string(const xn_config *c, const char *key); // borrowed; default or NULL
int xn_config_count(const xn_config *c, const char *key);          // elements of a list; a scalar counts 1; unset 0
// Numbers of a list, nested lists flattened row by row (3x3 -> 9); returns how many there are (may exceed max).
int xn_config_doubles(const xn_config *c, const char *key, double *out, int max);
// Keys of a map, e.g. of "select.i0" to see which of its forms is given. Borrowed; NULL past the end.
const char *xn_config_map_key(const xn_config *c, const char *key, int index);
// YAML text of the value at a key ("fit", "runs[0].files"), independent of how the file was formatted; "" when unset.
// Owned by the caller. Identities of results are made from it.
xani_status xn_config_part(xn_ctx *ctx, const xn_config *c, const char *key, char **yaml);
// Whether two configurations say the same there.
xani_status xn_config_same_part(xn_ctx *ctx, const xn_config *a, const xn_config *b, const char *key, bool *same);

// Where two configurations differ, and how.
typedef struct xn_config_difference {
    char key[XN_KEY_LENGTH], value[2][96]; // value: as given, the default, or "not set"
} xn_config_difference;
// The first key of `part` ("reduce", "experiment.energy_kev") whose values mean different things; a written default is
// no difference. skip: patterns of keys ("input.readings[].file") that are left out with all below them, NULL at the
// end.
bool xn_config_differ(const xn_config *a, const xn_config *b, const char *part, const char *const *skip,
                      xn_config_difference *found);
// As xani_config_text, but an error that is pending stays.
xani_status xn_config_text(xn_ctx *ctx, const xn_config *c, char **yaml);
// A copy to assign to, with the same name and folder.
xani_status xn_config_copy(xn_ctx *ctx, const xn_config *c, xn_config **copy);
// Assigns a whole part, as in part "input", "input={layout: cube}", and again what was assigned inside it before:
// what was read from a file is replaced, what was set over it stays.
xani_status xn_config_replace(xn_ctx *ctx, xn_config *c, const char *part, const char *assignment);
// 'word' in YAML's quotes, to be part of an assignment; owned by the caller, NULL without memory.
char *xn_config_quoted(const char *word);
// Path value made absolute against the configuration's folder; owned by the caller. NULL when unset.
char *xn_config_path(const xn_config *c, const char *key);
const char *xn_config_dir(const xn_config *c);  // folder of the file, "." when made from text
const char *xn_config_name(const xn_config *c); // file name for messages

// XANI_ERR_CONFIG unless the key is set: "exp.yaml: input.delay.sign is missing: <why>".
xani_status xn_config_require(xn_ctx *ctx, const xn_config *c, const char *key, const char *why);
// XANI_ERR_CONFIG with "file:line: key: text".
xani_status xn_config_bad(xn_ctx *ctx, const xn_config *c, const char *key, const char *fmt, ...) XN_PRINTF(4, 5);

#endif
