// SPDX-License-Identifier: BSD-3-Clause
// options.c -- command line and help, from the table commands.def.
//
// glibc's argp parses; its messages are replaced by one line of our own that names the option and the
// nearest one that exists.  A command accepts only the options its row lists.
#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/cli.h"

const cli_command cli_commands[] = {
#define CLI_COMMAND(...) {__VA_ARGS__},
#include "cli/commands.def"
#undef CLI_COMMAND
};
const int cli_n_commands = sizeof cli_commands / sizeof cli_commands[0];

enum { KEY_JSON = 256, KEY_DRY, KEY_SET, KEY_CONFIG, KEY_FORCE, KEY_TRUTH, KEY_REPEATS, KEY_DRAW };
enum { KEY_MODEL = 300, KEY_PARAM, KEY_DATA, KEY_X, KEY_SIGMA, KEY_AXIS, KEY_RANGE, KEY_RELATIVE, KEY_COVARIANCE };

typedef struct option_row {
    unsigned need; // O_* that allows it; O_NONE: every command
    struct argp_option option;
} option_row;

static const option_row option_rows[] = {
    {O_OUT, {"output", 'o', "PATH", 0, "Where to write", 0}},
    {O_CONFIG, {"config", KEY_CONFIG, "CONFIG", 0, "Configuration file", 0}},
    {O_SET, {"set", KEY_SET, "a.b=c", 0, "Set a configuration key, over the file (repeatable)", 0}},
    {O_DRY, {"dry-run", KEY_DRY, NULL, 0, "Check everything, print the plan, write nothing", 0}},
    {O_FORCE, {"force", KEY_FORCE, NULL, 0, "Overwrite what is there", 0}},
    {O_TRUTH, {"truth", KEY_TRUTH, "FILE", 0, "truth.h5 of a simulation, to overlay in the report", 0}},
    {O_DRAW,
     {"draw", KEY_DRAW, "FILE.png", 0,
      "Draw it: info the detector of a geometry file or configuration, plan its answer", 0}},
    {O_REPEATS, {"repeats", KEY_REPEATS, "N", 0, "Medians of N runs (at least and by default 5)", 0}},
    {O_MODEL,
     {"model", KEY_MODEL, "EXPRESSION", 0, "Fit this model instead, e.g. \"gaussian + constant\"; list: all functions",
      0}},
    {O_MODEL, {"param", KEY_PARAM, "NAME=…", 0, "Start, min=, max=, fix of a parameter, or a tie (repeatable)", 0}},
    {O_MODEL, {"data", KEY_DATA, "DATASET", 0, "Dataset to fit, of any HDF5 file", 0}},
    {O_MODEL, {"x", KEY_X, "DATASET", 0, "Values the traces run over", 0}},
    {O_MODEL, {"sigma", KEY_SIGMA, "DATASET", 0, "Standard errors of the data", 0}},
    {O_MODEL, {"axis", KEY_AXIS, "N", 0, "Axis of DATASET the traces run along (default 0)", 0}},
    {O_MODEL, {"range", KEY_RANGE, "LO,HI", 0, "Part of x to fit", 0}},
    {O_MODEL, {"relative-sigma", KEY_RELATIVE, NULL, 0, "Scale errors by the residuals although sigma is known", 0}},
    {O_MODEL, {"covariance", KEY_COVARIANCE, NULL, 0, "Write the covariance of the parameters too", 0}},
    {O_REPACK, {"filter", CLI_KEY_REPACK, "NAME", 0, "bslz4 (default), none, bszstd, gzip, zstd", 0}},
    {O_REPACK, {"level", CLI_KEY_REPACK + 1, "N", 0, "Of gzip and zstd", 0}},
    {O_REPACK, {"chunk", CLI_KEY_REPACK + 2, "N,N,…", 0, "Shape of a chunk, whole along axes left out", 0}},
    {O_REPACK, {"dataset", CLI_KEY_REPACK + 3, "PATH", 0, "Store this one anew, no other (repeatable)", 0}},
    {O_REPACK, {"frames", CLI_KEY_REPACK + 4, "FIRST:LAST", 0, "Frames FIRST to LAST - 1 only", 0}},
    {O_REPACK, {"virtual", CLI_KEY_REPACK + 5, NULL, 0, "Refer to the inputs instead of copying large datasets", 0}},
    {O_PHONONS,
     {"at", CLI_KEY_PHONONS, "A,B,C", 0, "Point in reciprocal vectors of the primitive cell (repeatable)", 0}},
    {O_PHONONS, {"q", CLI_KEY_PHONONS + 1, "X,Y,Z", 0, "Point in 1/Angstrom, Cartesian (repeatable)", 0}},
    {O_PHONONS, {"steps", CLI_KEY_PHONONS + 2, "N", 0, "Go from point to point in N steps", 0}},
    {O_PHONONS,
     {"format", CLI_KEY_PHONONS + 3, "NAME", 0, "xdscode, phonopy, qe, alamode, vasp; default: by the name", 0}},
    {O_PHONONS, {"born", CLI_KEY_PHONONS + 4, "FILE", 0, "Dielectric constant and Born charges", 0}},
    {O_PHONONS, {"mixed-space", CLI_KEY_PHONONS + 5, NULL, 0, "Polar crystals as Wang et al. (2010)", 0}},
    {O_PHONONS, {"sum-rule", CLI_KEY_PHONONS + 6, NULL, 0, "Impose the acoustic sum rule", 0}},
    {O_PHONONS, {"vectors", CLI_KEY_PHONONS + 7, NULL, 0, "Eigenvectors too, with --json", 0}},
    {O_NONE, {"json", KEY_JSON, NULL, 0, "Results and errors as JSON on stdout", 0}},
    {O_NONE, {"quiet", 'q', NULL, 0, "No progress and no information; warnings stay", 0}},
    {O_NONE, {"verbose", 'v', NULL, 0, "More information on stderr", 0}},
    {O_NONE, {"help", 'h', NULL, 0, "This help", 0}},
};
enum { N_ROWS = sizeof option_rows / sizeof option_rows[0] };

// ---- nearest names

// Letters put in, left out, changed, or swapped with the next.
static int edit_distance(const char *a, const char *b)
{
    enum { LONGEST = 32 };
    int rows[3][LONGEST + 1], *before = rows[0], *last = rows[1], *row = rows[2];
    const size_t na = strlen(a), nb = strlen(b);
    if (na > LONGEST || nb > LONGEST) return LONGEST;
    for (size_t j = 0; j <= nb; j++) before[j] = last[j] = (int)j;
    for (size_t i = 1; i <= na; i++) {
        row[0] = (int)i;
        for (size_t j = 1; j <= nb; j++) {
            int best = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < best) best = last[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && before[j - 2] + 1 < best) best = before[j - 2] + 1;
            row[j] = best;
        }
        int *free_row = before;
        before = last, last = row, row = free_row;
    }
    return last[nb];
}

// Takes the name if it is nearer than any before: one letter in four may be wrong, in short words one.
static void take_nearest(const char *word, const char *name, int *best, const char **found)
{
    const int d = edit_distance(word, name), most = ((int)strlen(word) + 1) / 4;
    if (d < *best && d <= (most > 1 ? most : 1)) *best = d, *found = name;
}

const cli_command *cli_find(const char *name)
{
    for (int i = 0; i < cli_n_commands; i++)
        if (strcmp(cli_commands[i].name, name) == 0) return &cli_commands[i];
    return NULL;
}

// Of those that this version has; of options, those that stand without a command.
const char *cli_nearest_command(const char *name)
{
    static const char *const alone[] = {"--help", "--version"};
    int best = 4;
    const char *found = NULL;
    for (int i = 0; name[0] == '-' && i < 2; i++) take_nearest(name, alone[i], &best, &found);
    for (int i = 0; name[0] != '-' && i < cli_n_commands; i++)
        if (cli_commands[i].run != NULL) take_nearest(name, cli_commands[i].name, &best, &found);
    return found;
}

static bool allowed(const cli_command *command, const option_row *row)
{
    return row->need == O_NONE || (row->need & command->options) != 0;
}

static const char *nearest_option(const cli_command *command, const char *name)
{
    int best = 4;
    const char *found = NULL;
    for (int i = 0; i < N_ROWS; i++) {
        if (!allowed(command, &option_rows[i])) continue;
        take_nearest(name, option_rows[i].option.name, &best, &found);
    }
    return found;
}

// ---- parsing

typedef struct parse_state {
    cli *c;
    bool help;
    xani_status status;
} parse_state;

// "LO,HI", either may be empty.
static bool read_range(const char *text, double range[2])
{
    char *end;
    range[0] = range[1] = NAN;
    if (*text != ',') {
        range[0] = strtod(text, &end);
        if (end == text || *end != ',') return false;
        text = end;
    }
    if (*++text == '\0') return true;
    range[1] = strtod(text, &end);
    return end != text && *end == '\0' && !(range[0] >= range[1]);
}

// Options of O_MODEL.
static error_t parse_model(int key, char *arg, parse_state *p)
{
    cli *c = p->c;
    cli_model *m = &c->model;
    char *end;
    if (m->first == NULL && key != KEY_MODEL)
        for (int i = 0; i < N_ROWS; i++)
            if (option_rows[i].option.key == key) m->first = option_rows[i].option.name;
    switch (key) {
    case KEY_MODEL:
        m->expression = arg;
        return 0;
    case KEY_DATA:
        m->data = arg;
        return 0;
    case KEY_X:
        m->x = arg;
        return 0;
    case KEY_SIGMA:
        m->sigma = arg;
        return 0;
    case KEY_RELATIVE:
        m->relative_sigma = true;
        return 0;
    case KEY_COVARIANCE:
        m->covariance = true;
        return 0;
    case KEY_PARAM:
        if (m->n_param < CLI_MAX_PARAM) {
            m->param[m->n_param++] = arg;
            return 0;
        }
        p->status = cli_fail(c, XANI_ERR_USAGE, "more than %d --param options", CLI_MAX_PARAM);
        return EINVAL;
    case KEY_AXIS: {
        errno = 0;
        const long n = strtol(arg, &end, 10);
        m->axis = (int)n;
        if (errno == 0 && end != arg && *end == '\0' && n >= -XANI_MAX_RANK && n < XANI_MAX_RANK) return 0;
        p->status =
            cli_fail(c, XANI_ERR_USAGE, "--axis %s: the number of an axis is needed, 0 the slowest, -1 the last", arg);
        return EINVAL;
    }
    case KEY_RANGE:
        if (read_range(arg, m->range)) return 0;
        p->status =
            cli_fail(c, XANI_ERR_USAGE, "--range %s: LO,HI is needed, LO below HI, either may be left out", arg);
        return EINVAL;
    default:
        if (!cli_repack_option(c, key, arg, &p->status) && !cli_phonons_option(c, key, arg, &p->status))
            return ARGP_ERR_UNKNOWN;
        return p->status == XANI_OK ? 0 : EINVAL;
    }
}

static bool is_png(const char *path)
{
    const size_t n = strlen(path);
    return n > 4 && strcasecmp(path + n - 4, ".png") == 0;
}

static error_t parse_one(int key, char *arg, struct argp_state *state)
{
    parse_state *p = state->input;
    cli *c = p->c;
    char *end;
    switch (key) {
    case 'o':
        c->output = arg;
        if (arg[0] != '\0') return 0;
        p->status = cli_fail(c, XANI_ERR_USAGE, "option -o: its value is empty");
        return EINVAL;
    case 'q':
        c->quiet = true;
        return 0;
    case 'v':
        c->verbose = true;
        return 0;
    case KEY_JSON:
        c->json = true;
        return 0;
    case KEY_DRY:
        c->dry_run = true;
        return 0;
    case KEY_FORCE:
        c->force = true;
        return 0;
    case KEY_CONFIG:
        c->config = arg;
        return 0;
    case KEY_DRAW:
        c->draw = arg;
        if (is_png(arg)) return 0;
        p->status = cli_fail(c, XANI_ERR_USAGE, "--draw %s: not a PNG, FILE.png", arg);
        return EINVAL;
    case KEY_TRUTH:
        c->truth = arg;
        return 0;
    case 'h':
        p->help = true;
        return 0;
    case KEY_SET:
        if (c->n_set < CLI_MAX_SET) {
            c->set[c->n_set++] = arg;
            return 0;
        }
        p->status = cli_fail(c, XANI_ERR_USAGE, "more than %d --set options", CLI_MAX_SET);
        return EINVAL;
    case KEY_REPEATS: {
        errno = 0;
        long n = strtol(arg, &end, 10);
        if (errno == 0 && *end == '\0' && end != arg && n >= 5 && n <= 1000) {
            c->repeats = (int)n;
            return 0;
        }
        p->status = cli_fail(c, XANI_ERR_USAGE, "--repeats %s: a number from 5 to 1000 is needed", arg);
        return EINVAL;
    }
    case ARGP_KEY_ARG:
        c->args[c->n_args++] = arg;
        return 0;
    default:
        return parse_model(key, arg, p);
    }
}

// The row of a short option, or of a long one given whole or by its first letters; NULL: none.
static const option_row *row_of(const cli_command *command, const char *argument)
{
    size_t n = strcspn(argument + 2, "=");
    for (int i = 0; i < N_ROWS; i++) {
        const struct argp_option *o = &option_rows[i].option;
        if (!allowed(command, &option_rows[i])) continue;
        if (argument[1] == '-' ? strncmp(o->name, argument + 2, n) == 0 : o->key == argument[1]) return &option_rows[i];
    }
    return NULL;
}

static xani_status no_option(cli *c, const char *argument)
{
    char name[64] = "";
    if (argument[1] == '-') snprintf(name, sizeof name, "%.*s", (int)strcspn(argument + 2, "="), argument + 2);
    const char *near = name[0] ? nearest_option(c->command, name) : NULL;
    const char *command = c->command->name;
    if (near != NULL)
        return cli_fail(c, XANI_ERR_USAGE, "xani %s has no option --%s; did you mean --%s?", command, name, near);
    return cli_fail(c, XANI_ERR_USAGE, "xani %s has no option %.64s; see xani %s --help", command, argument, command);
}

// argp stopped and does not say where: the first option that this command has not, or whose value is not as it must be.
static xani_status wrong_option(cli *c, int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *argument = argv[i];
        if (argument[0] != '-' || argument[1] == '\0') continue;
        bool is_long = argument[1] == '-';
        const option_row *row = row_of(c->command, argument);
        if (row == NULL) return no_option(c, argument);
        bool wants = row->option.arg != NULL, has = is_long ? strchr(argument, '=') != NULL : argument[2] != '\0';
        if (is_long && has && !wants)
            return cli_fail(c, XANI_ERR_USAGE, "option --%s takes no value; see xani %s --help", row->option.name,
                            c->command->name);
        if (wants && !has && ++i == argc)
            return cli_fail(c, XANI_ERR_USAGE, "option %s: its value is missing; see xani %s --help", argument,
                            c->command->name);
    }
    return cli_fail(c, XANI_ERR_USAGE, "wrong arguments; see xani %s --help", c->command->name);
}

static void fill_options(const cli_command *command, struct argp_option options[N_ROWS + 1])
{
    int n = 0;
    for (int i = 0; i < N_ROWS; i++) {
        if (!allowed(command, &option_rows[i])) continue;
        options[n] = option_rows[i].option;
        if (option_rows[i].need == O_OUT) options[n].doc = command->out_help;
        n++;
    }
    memset(&options[n], 0, sizeof options[n]);
}

// argv[0] is the command's name.
xani_status cli_parse(cli *c, int argc, char **argv, bool *help)
{
    struct argp_option options[N_ROWS + 1];
    fill_options(c->command, options);
    struct argp argp = {options, parse_one, NULL, NULL, NULL, NULL, NULL};
    parse_state state = {c, false, XANI_OK};
    error_t e = argp_parse(&argp, argc, argv, ARGP_NO_ERRS | ARGP_NO_EXIT | ARGP_NO_HELP, NULL, &state);
    *help = state.help;
    if (e != 0) return state.status != XANI_OK ? state.status : wrong_option(c, argc, argv);
    if (state.help) return XANI_OK;
    if (c->n_args < c->command->min || (c->command->max >= 0 && c->n_args > c->command->max))
        return cli_fail(c, XANI_ERR_USAGE, "usage: xani %s %s", c->command->name, c->command->arguments);
    return XANI_OK;
}

// ---- help

void cli_help(const cli_command *command)
{
    if (command->run == NULL) {
        printf("xani %s: %s\n(planned, not in this version)\n", command->name, command->summary);
        return;
    }
    struct argp_option options[N_ROWS + 1];
    fill_options(command, options);
    struct argp argp = {options, NULL, NULL, NULL, NULL, NULL, NULL};
    printf("Usage: xani %s %s [OPTION…]\n\n%s\n\nExamples:\n%s\nOptions:\n", command->name, command->arguments,
           command->text, command->examples);
    argp_help(&argp, stdout, ARGP_HELP_LONG, (char *)"xani");
    printf("\nExit codes: 0 done; 1 failed; 2 usage or configuration; 3 input unusable; 4 done, but too many pixels\n"
           "failed; 75 interrupted, to be run again.\n");
}

void cli_help_all(void)
{
    printf("xani %s: raw pump-probe X-ray frames to a phonon dispersion\n\n"
           "Examples:\n"
           "  xani demo                                simulate, run everything, compare with the truth\n"
           "  xani run experiment.yaml -o result       raw files to result/report.html\n\n"
           "Usage: xani COMMAND [ARGUMENTS] [OPTION…]\n",
           xani_version());
    const char *group = "";
    for (int i = 0; i < cli_n_commands; i++) {
        const cli_command *k = &cli_commands[i];
        if (strcmp(k->group, group) != 0)
            printf("\n-- %s%s\n", k->group, k->run == NULL ? " (not in this version)" : "");
        group = k->group;
        printf("  %-8s %s\n", k->name, k->summary);
    }
    printf("\nxani COMMAND --help says more; xani --version. Exit codes: 0 done, 1 failed, 2 usage or configuration,\n"
           "3 input unusable, 4 too many pixels failed, 75 interrupted.\n");
}
