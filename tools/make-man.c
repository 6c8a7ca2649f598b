// SPDX-License-Identifier: BSD-3-Clause
// make-man.c -- fills the lists of a manual page: make-man docs/man/xani.5.scd > xani.5.scd
//
// Copies the page's text (scdoc's syntax) to stdout and puts, in place of a line "@keys@", every key of
// the configuration from core/config.def, and of "@commands@", "@planned@" the commands from
// cli/commands.def.  So the pages cannot fall behind the program.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/config.h"

static const struct {
    const char *name, *group, *arguments, *summary, *text, *examples;
} commands[] = {
#define CLI_COMMAND(name, group, function, arguments, min, max, options, out, summary, text, examples)                 \
    {name, group, arguments, summary, text, examples},
#include "cli/commands.def"
};
enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static void put(const char *text) // with the characters escaped that scdoc would take for itself
{
    for (; *text; text++) {
        if (strchr("\\_*#[]<>~`", *text)) putchar('\\');
        putchar(*text);
    }
}

static void put_type(const xn_setting *s)
{
    static const char *const names[] = {[XN_SET_MAP] = "keys",
                                        [XN_SET_LIST] = "list of keys",
                                        [XN_SET_TEXT] = "text",
                                        [XN_SET_PATH] = "path",
                                        [XN_SET_CHOICE] = "",
                                        [XN_SET_BOOL] = "true or false",
                                        [XN_SET_NUMBER] = "number",
                                        [XN_SET_INT] = "whole number",
                                        [XN_SET_TEXTS] = "one or several texts",
                                        [XN_SET_PATHS] = "one or several paths",
                                        [XN_SET_NUMBERS] = "numbers",
                                        [XN_SET_INTS] = "whole numbers"};
    if (s->count > 0 && s->type != XN_SET_LIST) printf("%d ", s->count);
    if (s->ascending) printf("increasing ");
    printf("%s", names[s->type]);
    if (s->choices != NULL) put(s->choices);
    if (s->short_form) printf(", or a word");
    if (s->count > 0 && s->type == XN_SET_LIST) printf(", each under its name");
    bool numeric = names[s->type][0] && strstr(names[s->type], "number") != NULL;
    if (numeric && s->min == XN_POSITIVE)
        printf(" above 0");
    else if (numeric && s->min > -INFINITY)
        printf(" from %g", s->min);
    if (numeric && s->max < 1e15) printf(" to %g", s->max);
    if (s->fallback != NULL) {
        printf("; default ");
        put(s->fallback);
    }
}

static void put_keys(void)
{
    const xn_setting *s;
    for (int i = 0; (s = xn_config_setting(i)) != NULL; i++) {
        if (strchr(s->key, '.') == NULL) {
            printf("## ");
            put(s->key);
            printf("\n\n");
            put(s->help);
            printf(".\n\n");
            continue;
        }
        printf("*");
        put(s->key);
        printf("* (");
        put_type(s);
        printf(")\n\t");
        put(s->help);
        printf(".\n");
        const char *forms;
        for (int k = 0; (forms = xn_config_forms(s->key, k)) != NULL; k++) {
            printf("\tAlternatives, separated by |: ");
            put(forms);
            printf(".\n");
        }
        printf("\n");
    }
}

static void put_commands(bool planned)
{
    const char *group = "";
    for (int i = 0; i < N_COMMANDS; i++) {
        if ((strcmp(commands[i].group, "Planned") == 0) != planned) continue;
        if (!planned && strcmp(group, commands[i].group) != 0) {
            printf("## ");
            put(commands[i].group);
            printf("\n\n");
            group = commands[i].group;
        }
        printf("*xani %s* ", commands[i].name);
        put(commands[i].arguments);
        printf("\n\t");
        put(commands[i].summary);
        printf(".\n");
        if (commands[i].text[0] != '\0') {
            printf("\n\t");
            for (const char *t = commands[i].text; *t; t++) {
                char one[2] = {*t == '\n' ? ' ' : *t, '\0'};
                put(one);
            }
            printf("\n");
        }
        printf("\n");
    }
}

int main(int argc, char **argv)
{
    char line[4096];
    FILE *f = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (f == NULL) {
        fprintf(stderr, "usage: make-man PAGE.scd > OUT.scd\n");
        return 2;
    }
    while (fgets(line, sizeof line, f) != NULL) {
        if (strcmp(line, "@keys@\n") == 0)
            put_keys();
        else if (strcmp(line, "@commands@\n") == 0)
            put_commands(false);
        else if (strcmp(line, "@planned@\n") == 0)
            put_commands(true);
        else
            fputs(line, stdout);
    }
    fclose(f);
    return fflush(stdout) == 0 ? 0 : 1;
}
