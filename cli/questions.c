// SPDX-License-Identifier: BSD-3-Clause
// questions.c -- the commands that only look: init, info, check, index, verify.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"

#define LARGEST_TEXT (4 << 20) // bytes of a configuration

// The first line that says anything begins a map, in a configuration; other texts may quote one.
static bool begins_map(const char *line)
{
    const size_t n = strspn(line, "abcdefghijklmnopqrstuvwxyz_");
    return n > 0 && line[n] == ':';
}

static bool is_text(const char *line, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)line[i] < ' ' && strchr("\t\n\r", line[i] ? line[i] : 'x') == NULL) return false;
    return true;
}

// Text that begins a map and names its input in a line of its own.
static bool is_configuration(FILE *f)
{
    char *line = NULL;
    size_t room = 0;
    bool fine = true, begun = false, input = false;
    for (ssize_t n; fine && (n = getline(&line, &room, f)) > 0;) {
        const char *start = strncmp(line, "\xef\xbb\xbf", 3) == 0 ? line + 3 : line;
        const bool says = strchr("#%-\r\n", start[0]) == NULL;
        fine = is_text(line, (size_t)n) && (begun || !says || begins_map(start));
        begun = begun || says;
        input = input || strncmp(start, "input:", 6) == 0;
    }
    free(line);
    return fine && input;
}

// --force with the name of a raw file, or of a result, which holds a configuration, is a slip.  An empty file is one
// that a program made to have its name.
static bool may_be_replaced(const char *path)
{
    struct stat s;
    if (stat(path, &s) != 0) return true;
    if (!S_ISREG(s.st_mode) || s.st_size > LARGEST_TEXT) return false;
    FILE *f = s.st_size > 0 ? fopen(path, "rb") : NULL;
    const bool found = f != NULL && is_configuration(f);
    if (f != NULL) fclose(f);
    return found || s.st_size == 0;
}

static xani_status write_configuration(cli *c, const char *yaml)
{
    if (c->force && !may_be_replaced(c->output))
        return cli_fail(c, XANI_ERR_USAGE, "%s: is there and is not a configuration; give another name to write to",
                        c->output);
    return cli_write_file(c, c->output, yaml, strlen(yaml), c->force);
}

xani_status cli_run_init(cli *c)
{
    char *yaml = NULL;
    xani_status st = xani_init(c->context, (const char *const *)c->args, (size_t)c->n_args, &yaml);
    if (st != XANI_OK) return st;
    if (c->dry_run) {
        st = cli_result(c, "xani.plan",
                        json_pack("{s:o, s:o}", "would_write",
                                  cli_text(c->output != NULL ? c->output : "standard output"), "configuration",
                                  cli_text(yaml)));
    } else if (c->output != NULL) {
        st = write_configuration(c, yaml);
        if (st == XANI_OK && c->json)
            st = cli_result(c, "xani.init", json_pack("{s:o}", "configuration", cli_text(c->output)));
        if (st == XANI_OK)
            cli_note(c, "%s written; fill in what it asks for, then: xani check %s", c->output, c->output);
    } else if (c->json) {
        st = cli_result(c, "xani.init", json_pack("{s:o}", "yaml", cli_text(yaml)));
    } else {
        fputs(yaml, stdout);
    }
    xani_free(yaml);
    return st;
}

// A configuration is looked at only to be drawn.
static bool all_configurations(const cli *c)
{
    for (int i = 0; i < c->n_args; i++) {
        const char *dot = strrchr(c->args[i], '.');
        if (dot == NULL || (strcmp(dot, ".yaml") != 0 && strcmp(dot, ".yml") != 0)) return false;
    }
    return c->n_args > 0;
}

xani_status cli_run_info(cli *c)
{
    char *text = NULL;
    bool files = c->n_args > 0;
    if (c->draw == NULL && c->n_set > 0)
        return cli_fail(c, XANI_ERR_USAGE, "info: --set says how a detector is drawn; give --draw FILE.png");
    if (c->draw != NULL && !files)
        return cli_fail(c, XANI_ERR_USAGE, "info: --draw needs a geometry file or a configuration");
    if (c->draw != NULL && all_configurations(c)) return cli_draw_detectors(c, NULL);
    xani_status st = files ? xani_info(c->context, (const char *const *)c->args, (size_t)c->n_args, &text)
                           : xani_machine(c->context, &text);
    if (st == XANI_OK && c->draw != NULL) st = cli_draw_detectors(c, text);
    if (st == XANI_OK) return cli_result_text(c, files ? "xani.info" : "xani.machine", text);
    xani_free(text);
    return st;
}

typedef xani_status (*question_fn)(xani_context *context, const xani_config *config, char **json);

static xani_status ask_config(cli *c, question_fn ask, const char *schema)
{
    xani_config *config = NULL;
    xani_status st = cli_open_config(c, c->args[0], &config);
    if (st != XANI_OK) return st;
    char *text = NULL;
    st = ask(c->context, config, &text);
    xani_config_destroy(&config);
    return st == XANI_OK ? cli_result_text(c, schema, text) : st;
}

xani_status cli_run_check(cli *c) { return ask_config(c, xani_check, "xani.check"); }
xani_status cli_run_index(cli *c) { return ask_config(c, xani_index, "xani.index"); }

// What differs is the result here: it is printed also when the answer is no.
xani_status cli_run_verify(cli *c)
{
    char *text = NULL;
    xani_status st = xani_verify(c->context, (const char *const *)c->args, (size_t)c->n_args, &text);
    if (text == NULL) return st;
    if (st == XANI_ERR_VERIFY)
        c->outcome = cli_fail(c, st, "%s", xani_error_text(c->context)); // the answer says so itself
    xani_status printed = cli_result_text(c, "xani.verify", text);
    return st != XANI_OK ? st : printed;
}
