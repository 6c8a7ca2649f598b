// SPDX-License-Identifier: BSD-3-Clause
// repack.c -- xani repack: its options, and the call of the library.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

// A whole number from 0 on; *text moves behind it. false: none there.
static bool read_number(const char **text, int64_t *value)
{
    char *end;
    errno = 0;
    long long n = strtoll(*text, &end, 10);
    if (end == *text || errno != 0 || n < 0 || **text < '0' || **text > '9') return false;
    *text = end;
    *value = n;
    return true;
}

// "FIRST:LAST", either may be left out.
static bool read_frames(const char *text, cli_repack *r)
{
    r->first = 0;
    r->last = -1;
    if (*text != ':' && !read_number(&text, &r->first)) return false;
    if (*text++ != ':') return false;
    return *text == '\0' || (read_number(&text, &r->last) && *text == '\0');
}

// "4,512,1024" or "4x512x1024"
static bool read_chunk(const char *text, cli_repack *r)
{
    for (r->chunk_rank = 0; r->chunk_rank < XANI_MAX_RANK;) {
        int64_t *size = &r->chunk[r->chunk_rank++];
        if (!read_number(&text, size) || *size < 1) return false;
        if (*text == '\0') return true;
        if (*text != ',' && *text != 'x') return false;
        text++;
    }
    return false;
}

bool cli_repack_option(cli *c, int key, const char *arg, xani_status *status)
{
    cli_repack *r = &c->repack;
    int64_t level = 0;
    switch (key - CLI_KEY_REPACK) {
    case 0:
        r->filter = arg;
        return true;
    case 1:
        if (read_number(&arg, &level) && *arg == '\0' && level >= 1 && level <= 19)
            r->level = (int)level;
        else
            *status = cli_fail(c, XANI_ERR_USAGE, "--level: a number from 1 (fast) to 9 (gzip) or 19 (zstd) is needed");
        return true;
    case 2:
        if (!read_chunk(arg, r))
            *status = cli_fail(c, XANI_ERR_USAGE, "--chunk %s: sizes along the axes are needed, as in 1,512,1024", arg);
        return true;
    case 3:
        if (r->n_dataset < CLI_MAX_SET)
            r->dataset[r->n_dataset++] = arg;
        else
            *status = cli_fail(c, XANI_ERR_USAGE, "more than %d --dataset options", CLI_MAX_SET);
        return true;
    case 4:
        if (!read_frames(arg, r))
            *status = cli_fail(c, XANI_ERR_USAGE, "--frames %s: FIRST:LAST is needed, either may be left out", arg);
        return true;
    case 5:
        r->virtual_dataset = true;
        return true;
    default:
        return false;
    }
}

xani_status cli_run_repack(cli *c)
{
    if (c->output == NULL)
        return cli_fail(c, XANI_ERR_USAGE, "-o is missing; usage: xani %s %s", c->command->name, c->command->arguments);
    const cli_repack *r = &c->repack;
    xani_repack_options o;
    xani_repack_options_init(&o);
    if (r->filter) o.filter = r->filter;
    o.level = r->level;
    o.datasets = r->dataset;
    o.n_datasets = (size_t)r->n_dataset;
    o.chunk = r->chunk_rank ? r->chunk : NULL;
    o.chunk_rank = r->chunk_rank;
    o.first = r->first;
    o.last = r->last;
    o.virtual_dataset = r->virtual_dataset;
    o.dry_run = c->dry_run;
    char *text = NULL;
    xani_status st = xani_repack(c->context, (const char *const *)c->args, (size_t)c->n_args, c->output, &o, &text);
    return st == XANI_OK ? cli_result_text(c, c->dry_run ? "xani.plan" : "xani.repack", text) : st;
}
