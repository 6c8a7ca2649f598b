// SPDX-License-Identifier: BSD-3-Clause
// demo.c -- `xani demo`: a small experiment with a known answer, from raw files to the report.
//
// Simulates data/sim/demo.yaml (with --set) into DIR/raw, runs the pipeline on the raw files as on any others
// into DIR/result, and says how the result compares with the truth.  DIR/demo.json marks the folder as a demo
// and holds its configuration: an interrupted demo is resumed by the same command, --force replaces a demo,
// and a folder without the mark that is not empty is never touched.
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

#define MARK "demo.json"
#define DEFAULT_DIR "xani-demo"

typedef struct demo {
    cli *c;
    const char *dir;
    char *raw, *result, *mark, *raw_config, *truth;
    double seconds;
} demo;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// ---- the folder

static bool is_empty(const char *dir)
{
    DIR *d = opendir(dir);
    bool empty = d != NULL;
    for (struct dirent *e; empty && (e = readdir(d)) != NULL;)
        empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
    if (d != NULL) closedir(d);
    return empty;
}

static int remove_one(const char *path, const struct stat *s, int kind, struct FTW *where)
{
    (void)s, (void)kind, (void)where;
    return remove(path);
}

static xani_status remove_tree(cli *c, const char *path)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT) return XANI_OK;
    return cli_fail(c, XANI_ERR_OUTPUT, "%s: cannot be removed: %s", path, strerror(errno));
}

static xani_status write_mark(demo *d, const char *yaml, bool finished)
{
    json_t *o = json_pack("{s:s, s:b, s:s}", "schema", "xani.demo.mark", "finished", finished, "configuration", yaml);
    char *s = o != NULL ? json_dumps(o, JSON_INDENT(1)) : NULL;
    json_decref(o);
    if (s == NULL) return cli_fail(d->c, XANI_ERR_INTERNAL, "%s: the configuration is not text", d->mark);
    xani_status st = cli_write_file(d->c, d->mark, s, strlen(s), true);
    free(s);
    return st;
}

// Makes DIR, or finds in it an unfinished demo with the same configuration, which is continued.
static xani_status take_folder(demo *d, const char *yaml)
{
    cli *c = d->c;
    struct stat s;
    if (mkdir(d->dir, 0777) == 0) return write_mark(d, yaml, false);
    if (errno != EEXIST) return cli_fail(c, XANI_ERR_OUTPUT, "%s: cannot be made: %s", d->dir, strerror(errno));
    if (stat(d->dir, &s) != 0 || !S_ISDIR(s.st_mode)) return cli_fail(c, XANI_ERR_USAGE, "%s: not a folder", d->dir);
    if (is_empty(d->dir)) return write_mark(d, yaml, false);
    json_t *mark = json_load_file(d->mark, 0, NULL);
    const char *schema = json_string_value(json_object_get(mark, "schema"));
    const char *before = json_string_value(json_object_get(mark, "configuration"));
    bool ours = schema != NULL && strcmp(schema, "xani.demo.mark") == 0;
    bool same = ours && before != NULL && strcmp(before, yaml) == 0 && json_is_false(json_object_get(mark, "finished"));
    json_decref(mark);
    if (!ours)
        return cli_fail(c, XANI_ERR_USAGE, "%s: is not empty and was not made by xani demo; name another folder",
                        d->dir);
    if (same && !c->force) {
        cli_note(c, "continuing the demo in %s", d->dir);
        return XANI_OK;
    }
    if (!c->force) return cli_fail(c, XANI_ERR_USAGE, "%s: holds an earlier demo; --force replaces it", d->dir);
    xani_status st = remove_tree(c, d->result);
    if (st == XANI_OK) st = remove_tree(c, d->raw);
    return st == XANI_OK ? write_mark(d, yaml, false) : st;
}

// ---- the experiment

static xani_status open_experiment(cli *c, xani_config **config)
{
    static const char *const folders[] = {XN_SOURCE_DATA_DIR, XN_DATA_DIR};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char *path = cli_format("%s/sim/demo.yaml", folders[i]);
        bool there = access(path, R_OK) == 0;
        xani_status st = there ? cli_open_config(c, path, config) : XANI_OK;
        free(path);
        if (there) return st;
    }
    return cli_fail(c, XANI_ERR_INPUT, "sim/demo.yaml is neither in %s nor in %s; is xani installed?", folders[0],
                    folders[1]);
}

// The configuration beside the raw files is written last: where it is, the simulation is complete.
static xani_status simulate(demo *d, const xani_config *config)
{
    if (access(d->raw_config, F_OK) == 0) return XANI_OK;
    cli_note(d->c, "simulating into %s", d->raw);
    return xani_sim(d->c->context, config, d->raw);
}

static xani_status process(demo *d, json_t **summary)
{
    xani_config *config = NULL;
    xani_status st = xani_config_open(d->c->context, d->raw_config, &config);
    if (st != XANI_OK) return st;
    cli_note(d->c, "processing into %s", d->result);
    st = cli_run_pipeline(d->c, config, d->result, d->truth, summary);
    xani_config_destroy(&config);
    return st;
}

// ---- what is said at the end

static double number_at(const json_t *report, const char *group, const char *key)
{
    const json_t *v = json_object_get(json_object_get(report, group), key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static void print_text(const demo *d, const json_t *report, const char *html, double peak_bytes)
{
    double points = number_at(report, "summary", "points"),
           error = number_at(report, "summary", "median_frequency_error_thz");
    double off = number_at(report, "truth", "median_difference_thz"), pulls = number_at(report, "truth", "pulls");
    double branches = number_at(report, "summary", "branches");
    double on = number_at(report, "summary", "shots_used_on"),
           laser_off = number_at(report, "summary", "shots_used_off");
    char *peak = cli_bytes(peak_bytes);
    if (on > 0) printf("used       %.0f laser-on and %.0f laser-off shots\n", on, laser_off);
    if (points > 0) printf("recovered  %.0f points (q, ν), median error %.1f GHz\n", points, 1000 * error);
    if (isfinite(off)) printf("truth      median |ν − ν₁| %.1f GHz\n", 1000 * off);
    if (pulls > 1)
        printf("pulls      mean %.2f, width %.2f over %.0f isolated strong lines, %.1f %% within 3 σ\n",
               number_at(report, "truth", "pull_mean"), number_at(report, "truth", "pull_width"), pulls,
               100 * number_at(report, "truth", "within_3_sigma"));
    if (branches > 0) {
        double path = number_at(report, "truth", "branches_median_difference_thz");
        printf("branches   %.0f along the path", branches);
        if (isfinite(path)) printf(", median |ν − ν₁| %.0f GHz", 1000 * path);
        printf("\n");
    }
    printf("took       %.1f s, at most %s of memory\n", d->seconds, peak);
    if (html != NULL) printf("report     %s\n", html);
    free(peak);
}

static xani_status say(demo *d, json_t *summary)
{
    char *path = cli_format("%s/report.json", d->result), *html = cli_format("%s/report.html", d->result);
    json_t *report = json_load_file(path, 0, NULL);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double peak = 1024.0 * (double)usage.ru_maxrss;
    xani_status st = XANI_OK;
    if (d->c->json) {
        json_t *o = json_pack("{s:o, s:f, s:f}", "directory", cli_text(d->dir), "seconds", d->seconds,
                              "peak_memory_bytes", peak);
        json_t *found = json_object_get(report, "summary"), *truth = json_object_get(report, "truth");
        if (found != NULL) json_object_set(o, "recovered", found);
        if (truth != NULL) json_object_set(o, "truth", truth);
        if (report != NULL) json_object_set_new(o, "report", cli_text(html));
        json_object_set(o, "run", summary);
        st = cli_result(d->c, "xani.demo", o);
    } else {
        print_text(d, report, report != NULL ? html : NULL, peak);
    }
    json_decref(report);
    free(path);
    free(html);
    return st;
}

static xani_status run_demo(demo *d)
{
    xani_config *config = NULL;
    char *yaml = NULL;
    json_t *summary = NULL;
    double start = now();
    xani_status st = open_experiment(d->c, &config);
    if (st == XANI_OK) st = xani_config_text(d->c->context, config, &yaml);
    if (st == XANI_OK && d->c->dry_run) {
        st = cli_result(d->c, "xani.plan",
                        json_pack("{s:o, s:o}", "would_write", cli_text(d->dir), "configuration", cli_text(yaml)));
        xani_free(yaml);
        xani_config_destroy(&config);
        return st;
    }
    if (st == XANI_OK) st = take_folder(d, yaml);
    if (st == XANI_OK) st = simulate(d, config);
    if (st == XANI_OK) st = process(d, &summary);
    d->seconds = now() - start;
    if (st == XANI_OK) st = write_mark(d, yaml, true);
    if (st == XANI_OK) st = say(d, summary);
    json_decref(summary);
    xani_free(yaml);
    xani_config_destroy(&config);
    return st;
}

xani_status cli_run_demo(cli *c)
{
    demo d = {.c = c, .dir = c->n_args > 0 ? c->args[0] : DEFAULT_DIR};
    d.raw = cli_format("%s/raw", d.dir);
    d.result = cli_format("%s/result", d.dir);
    d.mark = cli_format("%s/" MARK, d.dir);
    d.raw_config = cli_format("%s/xani.yaml", d.raw);
    d.truth = cli_format("%s/truth.h5", d.raw);
    xani_status st = run_demo(&d);
    free(d.raw);
    free(d.result);
    free(d.mark);
    free(d.raw_config);
    free(d.truth);
    return st;
}
