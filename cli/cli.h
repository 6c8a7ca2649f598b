// SPDX-License-Identifier: BSD-3-Clause
// cli.h -- what the files of the xani command share.
//
// main.c parses the command line by the one table commands.def and calls the command's function with a
// struct cli.  A command returns a status; its error text is cli_fail's, else the context's.  Results go
// to stdout, everything else to stderr.  Only the public interface of the library is used.
#ifndef XN_CLI_CLI_H
#define XN_CLI_CLI_H

#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <xani/xani.h>

#define CLI_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define CLI_ERROR_LENGTH 1024
#define CLI_MAX_SET 64
#define CLI_MAX_PARAM 64

// Options a command takes beside --json -q -v --help.
enum {
    O_NONE = 0,
    O_OUT = 1,
    O_CONFIG = 2,
    O_SET = 4,
    O_DRY = 8,
    O_FORCE = 16,
    O_TRUTH = 32,
    O_REPEATS = 64,
    O_MODEL = 128,
    O_REPACK = 256,
    O_PHONONS = 512,
    O_DRAW = 1024
};

struct cli;
typedef xani_status (*cli_fn)(struct cli *c);

typedef struct cli_command {
    const char *name;
    const char *group;     // heading in xani --help
    cli_fn run;            // NULL: planned
    const char *arguments; // "CONFIG -o DIR"
    int min, max;          // number of arguments; max -1: any
    unsigned options;      // O_*
    const char *out_help;  // what -o names, NULL
    const char *summary;   // one line
    const char *text;      // paragraph
    const char *examples;  // lines
} cli_command;

typedef struct cli_progress {
    bool terminal, quiet, shown;
    double last; // seconds of the last plain line
    const char *stage;
} cli_progress;

// xani fit --model and what belongs to it.
typedef struct cli_model {
    const char *expression, *data, *x, *sigma;
    const char *param[CLI_MAX_PARAM];
    int n_param, axis;
    double range[2];
    bool relative_sigma, covariance;
    const char *first; // option given of these beside --model, for the message when --model is missing
} cli_model;

// xani phonons; its options have the keys from CLI_KEY_PHONONS on, in this order.
enum { CLI_KEY_PHONONS = 450 };
typedef struct cli_phonons {
    double point[CLI_MAX_SET][3];
    bool fraction[CLI_MAX_SET]; // of the reciprocal vectors of the primitive cell, else 1/Angstrom
    int n, steps;
    const char *format, *born;
    bool mixed_space, sum_rule, vectors;
} cli_phonons;

// xani repack; its options have the keys from CLI_KEY_REPACK on, in this order.
enum { CLI_KEY_REPACK = 400 };
typedef struct cli_repack {
    const char *filter;
    int level;
    int64_t chunk[XANI_MAX_RANK];
    int chunk_rank;
    const char *dataset[CLI_MAX_SET];
    int n_dataset;
    int64_t first, last;
    bool virtual_dataset;
} cli_repack;

typedef struct cli {
    const cli_command *command;
    xani_context *context;
    char **args; // positional arguments, NULL-terminated
    int n_args;
    const char *output, *config, *truth, *draw;
    bool json, quiet, verbose, dry_run, force;
    int repeats;
    const char *set[CLI_MAX_SET];
    int n_set;
    cli_model model;
    cli_repack repack;
    cli_phonons phonons;
    cli_progress progress;
    bool colour;                   // stderr takes colour
    char warned[CLI_ERROR_LENGTH]; // the last warning
    xani_status outcome; // other than XANI_OK: the result is there and says so itself (too many pixels failed)
    char *error;         // cli_fail's, owned; NULL: none
} cli;

// options.c
extern const cli_command cli_commands[];
extern const int cli_n_commands;
const cli_command *cli_find(const char *name);
const char *cli_nearest_command(const char *name);
xani_status cli_parse(cli *c, int argc, char **argv, bool *help);
void cli_help(const cli_command *command);
void cli_help_all(void);

// main.c
xani_status cli_fail(cli *c, xani_status status, const char *fmt, ...) CLI_PRINTF(3, 4);
void cli_note(cli *c, const char *fmt, ...) CLI_PRINTF(2, 3); // stderr unless -q
void cli_warn(cli *c, const char *fmt, ...) CLI_PRINTF(2, 3);
bool cli_interrupted(void);                              // a signal came
bool cli_is_done(cli *c, xani_status status);            // the result is there, also when too many of its pixels failed
char *cli_format(const char *fmt, ...) CLI_PRINTF(1, 2); // owned, free(); exits when memory is short
void *cli_alloc(size_t n, size_t size);                  // zeroed, free(); exits when memory is short
xani_status cli_open_config(cli *c, const char *path, xani_config **config); // with --set applied
// That of --config, else, where --set changes it, the one stored in the result that a stage goes on from; else NULL.
xani_status cli_open_config_of(cli *c, const char *result, xani_config **config);
xani_status cli_write_file(cli *c, const char *path, const void *bytes, size_t n, bool overwrite);
xani_status cli_write_picture(cli *c, const char *path, const void *bytes, size_t n); // --draw: over pictures only

// progress.c
void cli_progress_start(cli *c);
void cli_progress_show(void *user, const char *stage, int64_t done, int64_t total, const char *unit, double seconds);
void cli_progress_clear(cli *c); // before other text on stderr
void cli_log(void *user, xani_log_level level, const char *text);

// json.c
json_t *cli_text(const char *text);                                 // of any bytes (xani_utf8)
xani_status cli_not_utf8(cli *c, const char *path);                 // of a name that is to be the value of a key
xani_status cli_result(cli *c, const char *schema, json_t *object); // prints (table or --json); steals object
// What `xani reduce --json` tells of a cube (reduced.c); owned.
json_t *cli_reduced(cli *c, const char *cube);
json_t *cli_fitted(cli *c, const char *modes);
json_t *cli_mapped(cli *c, const char *dispersion);
xani_status cli_result_text(cli *c, const char *schema, char *text); // library's JSON text; frees it
char *cli_quantity(double value, const char *unit);                  // "12.3 k"; owned
char *cli_bytes(double bytes);                                       // "1.2 GiB"; owned

// commands
xani_status cli_run_demo(cli *c);
xani_status cli_run_init(cli *c);
xani_status cli_run_sim(cli *c);
xani_status cli_run_info(cli *c);
xani_status cli_draw_detectors(cli *c, const char *info); // draw_detector.c: of --draw; info: the answer of xani_info
xani_status cli_draw_plan(cli *c, const char *plan);      // draw_plan.c: of --draw; plan: the answer of xani_plan
xani_status cli_run_check(cli *c);
xani_status cli_run_run(cli *c);
xani_status cli_run_reduce(cli *c);
xani_status cli_run_merge(cli *c);
xani_status cli_run_dark(cli *c);
xani_status cli_run_fit(cli *c);
xani_status cli_fit_model(cli *c); // fit_model.c: with --model
xani_status cli_run_map(cli *c);
xani_status cli_run_repack(cli *c);
xani_status cli_run_phonons(cli *c);
bool cli_repack_option(cli *c, int key, const char *arg, xani_status *status);
bool cli_phonons_option(struct cli *c, int key, const char *arg,
                        xani_status *status); // the same for xani phonons // false: not one of its options
xani_status cli_run_report(cli *c);
xani_status cli_run_index(cli *c);
xani_status cli_run_plan(cli *c);
xani_status cli_run_verify(cli *c);
xani_status cli_run_bench(cli *c);

// report.c: DIR/report.html, DIR/report.json, DIR/report/*.png. truth: path or NULL (looked for).
xani_status cli_report(cli *c, const char *dir, const char *truth);
// run.c: xani_run and the report behind it, shared with the demo. *dir_out is owned, may be NULL.
xani_status cli_run_pipeline(cli *c, const xani_config *config, const char *dir, const char *truth, json_t **summary);

#endif
