// SPDX-License-Identifier: BSD-3-Clause
// progress.c -- progress and log lines on stderr.
//
// On a terminal one line is rewritten:  reduce 37 % · 12.3 k/33 k shots · 4.2 k/s · ETA 00:40
// Elsewhere (files, pipes, TERM=dumb) the same text as a plain line at most every 30 seconds, so that a
// batch log stays readable.  NO_COLOR takes the colour from the words "error" and "warning".
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

#define PLAIN_INTERVAL_S 30.0

void cli_progress_start(cli *c)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    bool smart = isatty(STDERR_FILENO) && term != NULL && strcmp(term, "dumb") != 0;
    c->progress.terminal = smart;
    c->progress.quiet = c->quiet;
    c->colour = smart && (no_color == NULL || no_color[0] == '\0');
}

void cli_progress_clear(cli *c)
{
    if (c->progress.shown) fprintf(stderr, "\r\033[K");
    c->progress.shown = false;
}

static void write_line(char *line, size_t size, const char *stage, int64_t done, int64_t total, const char *unit,
                       double seconds)
{
    char *d = cli_quantity((double)done, ""), *t = cli_quantity((double)total, "");
    double rate = seconds > 0 ? (double)done / seconds : 0;
    char *r = cli_quantity(rate, "");
    if (total > 0)
        snprintf(line, size, "%s %d %% · %s/%s %s · %s/s", stage, (int)(100.0 * (double)done / (double)total), d, t,
                 unit, r);
    else
        snprintf(line, size, "%s · %s %s · %s/s", stage, d, unit, r);
    if (total > done && rate > 0 && seconds > 0.5) {
        double left = (double)(total - done) / rate;
        size_t n = strlen(line);
        if (left < 3600 * 100)
            snprintf(line + n, size - n, left < 3600 ? " · ETA %02d:%02d" : " · ETA %02d:%02d h",
                     (int)(left / (left < 3600 ? 60 : 3600)), (int)fmod(left / (left < 3600 ? 1 : 60), 60));
    }
    free(d);
    free(t);
    free(r);
}

void cli_progress_show(void *user, const char *stage, int64_t done, int64_t total, const char *unit, double seconds)
{
    cli *c = user;
    cli_progress *p = &c->progress;
    if (p->quiet) return;
    char line[256];
    if (p->terminal) {
        write_line(line, sizeof line, stage, done, total, unit, seconds);
        fprintf(stderr, "\r\033[K%s", line);
        fflush(stderr);
        p->shown = true;
        if (total > 0 && done >= total) cli_progress_clear(c);
        return;
    }
    if (p->stage != stage) p->last = 0, p->stage = stage;
    if (seconds - p->last < PLAIN_INTERVAL_S) return;
    p->last = seconds;
    write_line(line, sizeof line, stage, done, total, unit, seconds);
    fprintf(stderr, "%s\n", line);
}

void cli_log(void *user, xani_log_level level, const char *text)
{
    cli *c = user;
    if (level == XANI_LOG_DEBUG && !c->verbose) return;
    if (level == XANI_LOG_INFO && c->quiet) return;
    if (level == XANI_LOG_WARNING && strcmp(text, c->warned) == 0) return; // said once is enough
    if (level == XANI_LOG_WARNING) snprintf(c->warned, sizeof c->warned, "%s", text);
    cli_progress_clear(c);
    const char *word = level == XANI_LOG_ERROR ? "error: " : level == XANI_LOG_WARNING ? "warning: " : "";
    const char *on = level <= XANI_LOG_WARNING && c->colour ? (level == XANI_LOG_ERROR ? "\033[31m" : "\033[33m") : "";
    fprintf(stderr, "xani: %s%s%s%s\n", on, word, on[0] ? "\033[0m" : "", text);
}
