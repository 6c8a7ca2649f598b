// SPDX-License-Identifier: BSD-3-Clause
// report.c -- `xani report`: one self-contained page, its figures as JSON, its pictures as files.
//
// Reads what is there (report_read.c), writes sections in the order in which a reader asks: what was found,
// the dispersion and how it compares with a known truth, then run by run what it came from, then what exactly was
// done.  Pictures are written first, report.json and report.html last, each whole or not at all.  With many
// runs the first RUNS_SHOWN have pictures and a table lists all.
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/report.h"

#define RUNS_SHOWN 3

// ---- what was found

static const char *any_file(const report *r)
{
    if (r->dispersion.path != NULL) return r->dispersion.path;
    for (int i = 0; i < r->n_runs; i++) {
        if (r->runs[i].modes != NULL) return r->runs[i].modes;
        if (r->runs[i].cube != NULL) return r->runs[i].cube;
    }
    return NULL;
}

static char *stored_text(report *r, const char *file, const char *dataset)
{
    int64_t n;
    char **list = report_strings(r, file, dataset, &n), *found = n > 0 && list[0][0] ? cli_format("%s", list[0]) : NULL;
    report_strings_free(list, n);
    return found;
}

// The experiment's title stands before the last ": " of a result's title.
static void find_title(report *r)
{
    char *title = stored_text(r, any_file(r), "/entry/title"), *cut = NULL;
    for (char *p = title; p != NULL && (p = strstr(p, ": ")) != NULL; p += 2) cut = p;
    if (cut != NULL) *cut = '\0';
    r->title = cut != NULL ? cli_format("%s", title) : cli_format("Pump-probe diffuse scattering");
    free(title);
}

// ---- the parts

static void header(report *r)
{
    const char *file = any_file(r);
    char *date = stored_text(r, file, "/entry/process/date"),
         *facility = stored_text(r, file, "/entry/instrument/name");
    double *energy = report_numbers(r, file, "/entry/instrument/beam/incident_energy", 0, NULL);
    bool complete = r->dispersion.path != NULL;
    text_add(&r->page, "<header><h1>");
    text_escape(&r->page, r->title);
    text_add(&r->page, "</h1>\n<p class=\"soft\">");
    if (facility != NULL) {
        text_escape(&r->page, facility);
        text_add(&r->page, " · ");
    }
    if (energy != NULL) text_add(&r->page, "%.5g keV · ", energy[0]);
    text_add(&r->page, "%d run%s · %s · xani %s · report of %s", r->n_runs > 0 ? r->n_runs : 1,
             r->n_runs > 1 ? "s" : "", complete ? "complete: fitted and mapped" : "incomplete: no dispersion yet",
             xani_version(), r->created);
    if (date != NULL) text_add(&r->page, ", results of %s", date);
    text_add(&r->page, "</p></header>\n<nav><a href=\"#dispersion\">Dispersion</a>");
    if (r->truth.path != NULL) text_add(&r->page, "<a href=\"#truth\">Truth</a>");
    text_add(&r->page, "<a href=\"#runs\">Runs</a><a href=\"#provenance\">Provenance</a></nav>\n");
    json_object_set_new(r->json, "title", json_string(r->title));
    json_object_set_new(r->json, "created", json_string(r->created));
    json_object_set_new(r->json, "program", json_pack("{s:s, s:s}", "name", "xani", "version", xani_version()));
    json_object_set_new(r->json, "state", json_string(complete ? "complete" : "incomplete"));
    if (energy != NULL) json_object_set_new(r->json, "energy_kev", number_json(energy[0]));
    free(energy);
    free(date);
    free(facility);
}

static void run_sections(report *r, json_t *list)
{
    report_heading(r, "runs", r->n_runs > 1 ? "Runs" : "From shots to modes");
    if (r->n_runs == 0)
        report_paragraph(r, "Neither a cube nor modes are beside the dispersion: nothing to show of the runs.");
    if (r->n_runs > 1) report_run_table(r);
    if (r->n_runs > RUNS_SHOWN)
        report_paragraph(r, "Pictures are those of the first %d of %d runs.", RUNS_SHOWN, r->n_runs);
    for (int i = 0; i < r->n_runs; i++) {
        const report_run *run = &r->runs[i];
        json_t *json = json_pack("{s:o}", "name", cli_text(run->name));
        if (run->angles_deg != NULL)
            json_object_set_new(json, "angles_deg", numbers_json(run->angles_deg, run->n_angles));
        if (i < RUNS_SHOWN) {
            if (r->n_runs > 1) {
                text_add(&r->page, "<h2>Run ");
                text_escape(&r->page, run->name);
                text_add(&r->page, "</h2>\n");
            }
            text_add(&r->page, "<h3>Shots</h3>\n");
            report_section_shots(r, run, json);
            text_add(&r->page, "<h3>Detector</h3>\n");
            report_section_frames(r, run, json);
            text_add(&r->page, "<h3>Traces and fits</h3>\n");
            report_section_traces(r, run, json);
            text_add(&r->page, "<h3>Modes</h3>\n");
            report_section_modes(r, run, json);
        }
        json_array_append_new(list, json);
    }
}

// ---- provenance

void report_section_provenance(report *r)
{
    const char *file = any_file(r);
    char *yaml = stored_text(r, file, "/entry/process/configuration"),
         *line = stored_text(r, file, "/entry/process/command_line");
    report_heading(r, "provenance", "Provenance");
    if (line != NULL) {
        text_add(&r->page, "<p>Command: <code>");
        text_escape(&r->page, line);
        text_add(&r->page, "</code></p>\n");
    }
    text_add(&r->page, "<details><summary>Configuration as given</summary><pre>");
    text_escape(&r->page, yaml ? yaml : "not stored in the results");
    text_add(&r->page,
             "</pre></details>\n<details><summary>Inputs</summary><div class=\"scroll\"><table><tr><th>file</th>"
             "<th>size</th><th>modified</th></tr>\n");
    for (int i = 0; i <= r->n_runs; i++) {
        const char *result =
            i < r->n_runs ? (r->runs[i].cube ? r->runs[i].cube : r->runs[i].modes) : r->dispersion.path;
        int64_t n, m, shape[1] = {0};
        char **name = report_strings(r, result, "/entry/process/inputs/file", &n);
        char **date = report_strings(r, result, "/entry/process/inputs/modified", &m);
        double *bytes = report_numbers(r, result, "/entry/process/inputs/bytes", 1, shape);
        for (int64_t k = 0; k < n; k++) {
            char *size = bytes && k < shape[0] ? cli_bytes(bytes[k]) : cli_format("–");
            text_add(&r->page, "<tr><td>");
            text_escape(&r->page, name[k]);
            text_add(&r->page, "</td><td>%s</td><td>", size);
            text_escape(&r->page, k < m ? date[k] : "");
            text_add(&r->page, "</td></tr>\n");
            free(size);
        }
        report_strings_free(name, n);
        report_strings_free(date, m);
        free(bytes);
    }
    text_add(&r->page, "</table></div></details>\n");
    if (line != NULL) json_object_set_new(r->json, "command_line", json_string(line));
    if (yaml != NULL) json_object_set_new(r->json, "configuration", json_string(yaml));
    free(yaml);
    free(line);
}

// ---- writing

// Pictures of an earlier report that this one does not have.
static void remove_stale(const report *r)
{
    char *path = cli_format("%s/report.json", r->dir);
    json_t *old = json_load_file(path, 0, NULL), *entry, *list = json_object_get(old, "pictures");
    size_t i;
    free(path);
    json_array_foreach(list, i, entry)
    {
        const char *file = json_string_value(json_object_get(entry, "file"));
        bool kept = file == NULL || strncmp(file, "report/", 7) != 0 || strchr(file + 7, '/') != NULL;
        for (size_t k = 0; k < json_array_size(r->pictures) && !kept; k++)
            kept = strcmp(file, json_string_value(json_object_get(json_array_get(r->pictures, k), "file"))) == 0;
        if (kept) continue;
        path = cli_format("%s/%s", r->dir, file);
        unlink(path);
        free(path);
    }
    json_decref(old);
}

static xani_status write_all(report *r)
{
    if (r->status != XANI_OK) return r->status;
    remove_stale(r);
    json_object_set(r->json, "notes", r->notes);
    json_object_set(r->json, "pictures", r->pictures);
    char *json = json_dumps(r->json, JSON_INDENT(1) | JSON_REAL_PRECISION(8));
    if (json == NULL)
        return cli_fail(r->c, XANI_ERR_INTERNAL, "%s: the figures of the report cannot be written as JSON", r->dir);
    char *path = cli_format("%s/report.json", r->dir);
    xani_status st = cli_write_file(r->c, path, json, strlen(json), true);
    free(path);
    free(json);
    path = cli_format("%s/report.html", r->dir);
    if (st == XANI_OK) st = cli_write_file(r->c, path, r->page.s, r->page.n, true);
    free(path);
    return st;
}

static xani_status make_page(report *r)
{
    text body = {0};
    json_t *list = json_array();
    report_page_begin(r);
    header(r);
    truth_compare(r, &r->score);
    report_summary(r);
    body = r->page; // the notes go between: they are complete when all is drawn
    memset(&r->page, 0, sizeof r->page);
    report_section_dispersion(r);
    report_section_truth(r);
    run_sections(r, list);
    report_section_provenance(r);
    report_page_end(r);
    report_notes(r, &body);
    text_add(&body, "%s", r->page.s);
    text_free(&r->page);
    r->page = body;
    json_object_set_new(r->json, "runs", list);
    return write_all(r);
}

xani_status cli_report(cli *c, const char *dir, const char *truth_path)
{
    char now[32], *pictures = cli_format("%s/report", dir);
    time_t t = time(NULL);
    struct tm utc;
    struct stat s;
    strftime(now, sizeof now, "%Y-%m-%d %H:%M UTC", gmtime_r(&t, &utc));
    report r = {.c = c,
                .dir = dir,
                .created = cli_format("%s", now),
                .notes = json_array(),
                .pictures = json_array(),
                .json = json_pack("{s:s, s:i}", "schema", "xani.report", "version", 1)};
    xani_status st = XANI_OK;
    if (stat(dir, &s) != 0)
        st = cli_fail(c, XANI_ERR_INPUT, "%s: %s", dir, strerror(errno));
    else if (!S_ISDIR(s.st_mode))
        st = cli_fail(c, XANI_ERR_INPUT, "%s: not a folder; xani report takes the folder of the results", dir);
    if (st == XANI_OK) st = report_read(&r, truth_path);
    const bool wanted = st == XANI_OK && !c->dry_run;
    if (wanted && mkdir(pictures, 0777) != 0 && errno != EEXIST)
        st = cli_fail(c, XANI_ERR_OUTPUT, "%s: cannot be made: %s", pictures, strerror(errno));
    if (wanted && st == XANI_OK) {
        find_title(&r);
        st = make_page(&r);
    }
    free(pictures);
    report_forget(&r);
    return st;
}

xani_status cli_run_report(cli *c)
{
    xani_status st = cli_report(c, c->args[0], c->truth);
    if (st != XANI_OK) return st;
    char *path = cli_format("%s/report.html", c->args[0]), *figures = cli_format("%s/report.json", c->args[0]);
    if (c->dry_run)
        st = cli_result(c, "xani.plan", json_pack("{s:o}", "would_write", cli_text(path)));
    else if (c->json)
        st = cli_result(c, "xani.report.written",
                        json_pack("{s:o, s:o}", "html", cli_text(path), "json", cli_text(figures)));
    else
        printf("%s\n", path);
    free(path);
    free(figures);
    return st;
}
