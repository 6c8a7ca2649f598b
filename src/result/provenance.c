// SPDX-License-Identifier: BSD-3-Clause
// provenance.c -- what every result says about itself: /entry with its title and instrument, and
// /entry/process: program, version, date, command line, configuration as given (with the folder its
// relative paths refer to), input files with sizes and times, identity of what the stage depends on.
//
// `xani map` without --config runs on the configuration stored here; resuming compares the identity.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "result/nexus.h"

#define DATE_LENGTH 32

static const char *iso_date(time_t t, char text[DATE_LENGTH])
{
    struct tm utc;
    if (gmtime_r(&t, &utc) == NULL || strftime(text, DATE_LENGTH, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0) text[0] = '\0';
    return text;
}

// Sizes in bytes and times of change; a file that is gone has size -1 and no time.
static xani_status write_inputs(xn_ctx *ctx, xn_writer *w, const char *const *inputs)
{
    int64_t n = 0;
    while (inputs != NULL && inputs[n] != NULL) n++;
    int64_t *bytes = xn_alloc((size_t)n, sizeof *bytes);
    char *dates = xn_alloc((size_t)n, DATE_LENGTH);
    const char **date = xn_alloc((size_t)n, sizeof *date);
    xani_status st = XANI_OK;
    if (bytes == NULL || dates == NULL || date == NULL) {
        st = xn_fail_memory(ctx, "the list of inputs", (size_t)n * (DATE_LENGTH + 16));
        goto out;
    }
    for (int64_t i = 0; i < n; i++) {
        struct stat s;
        bool there = stat(inputs[i], &s) == 0;
        bytes[i] = there ? (int64_t)s.st_size : -1;
        dates[i * DATE_LENGTH] = '\0';
        date[i] = there ? iso_date(s.st_mtime, dates + i * DATE_LENGTH) : dates + i * DATE_LENGTH;
    }
    xn_writer_group(w, XN_PROCESS "/inputs", "NXcollection");
    xn_writer_texts(w, XN_PROCESS "/inputs/file", inputs, n);
    xn_writer_data(w, XN_PROCESS "/inputs/bytes", XN_I64, 1, &n, NULL, bytes);
    xn_writer_texts(w, XN_PROCESS "/inputs/modified", date, n);
out:
    xn_free(bytes);
    xn_free(dates);
    xn_free(date);
    return st;
}

xani_status xn_nexus_config(xn_ctx *ctx, xn_writer *w, const xn_config *config)
{
    char *yaml;
    XN_TRY(xn_config_text(ctx, config, &yaml));
    xn_writer_text(w, XN_PROCESS "/configuration", yaml);
    xn_writer_attr_text(w, XN_PROCESS "/configuration", "type", "text/yaml");
    xn_free(yaml);
    char *dir = realpath(xn_config_dir(config), NULL);
    xn_writer_text(w, XN_PROCESS "/base_dir", dir ? dir : xn_config_dir(config));
    free(dir);
    return XANI_OK;
}

xani_status xn_nexus_experiment(xn_ctx *ctx, xn_writer *w, const xn_config *config, const char *what)
{
    const char *experiment = config != NULL ? xn_config_string(config, "experiment.title") : NULL;
    const char *facility = config != NULL ? xn_config_string(config, "experiment.facility") : NULL;
    const char *notes = config != NULL ? xn_config_string(config, "experiment.notes") : NULL;
    char *title = xn_format("%s%s%s", experiment ? experiment : "", experiment ? ": " : "", what);
    if (title == NULL) return xn_fail_memory(ctx, "a title", 64);
    xn_writer_text(w, "/entry/title", title);
    xn_free(title);
    if (notes != NULL) xn_writer_text(w, "/entry/notes", notes);
    if (facility != NULL) xn_writer_group(w, "/entry/instrument", "NXinstrument");
    if (facility != NULL) xn_writer_text(w, "/entry/instrument/name", facility);
    return XANI_OK;
}

static void write_energy(xn_writer *w, const xn_config *config, double otherwise_kev)
{
    double energy = xn_config_double(config, "experiment.energy_kev");
    if (isnan(energy)) energy = otherwise_kev;
    if (!(energy > 0)) return;
    xn_writer_group(w, "/entry/instrument", "NXinstrument");
    xn_writer_group(w, "/entry/instrument/beam", "NXbeam");
    xn_writer_data(w, "/entry/instrument/beam/incident_energy", XN_F64, 0, NULL, NULL, &energy);
    xn_writer_attr_text(w, "/entry/instrument/beam/incident_energy", "units", "keV");
}

static xani_status write_process(xn_ctx *ctx, xn_writer *w, const xn_provenance *p)
{
    char date[DATE_LENGTH];
    xn_writer_group(w, XN_PROCESS, "NXprocess");
    xn_writer_text(w, XN_PROCESS "/program", "xani");
    xn_writer_text(w, XN_PROCESS "/version", xani_version());
    xn_writer_text(w, XN_PROCESS "/date", iso_date(time(NULL), date));
    xn_writer_text(w, XN_PROCESS "/command_line", ctx ? xn_command_line(ctx) : "");
    const char *const *warnings;
    int n = xn_warnings(ctx, &warnings);
    if (n > 0) xn_writer_texts(w, XN_PROCESS "/warnings", warnings, n);
    if (p == NULL || !p->partial) xn_warnings_forget(ctx);
    if (p == NULL) return write_inputs(ctx, w, NULL);
    if (p->identity != NULL) xn_writer_text(w, XN_PROCESS "/identity", p->identity);
    if (p->config != NULL) XN_TRY(xn_nexus_config(ctx, w, p->config));
    int64_t merged = 0;
    while (p->merged != NULL && p->merged[merged] != NULL) merged++;
    if (merged > 0) xn_writer_texts(w, XN_PROCESS "/merged", p->merged, merged);
    return write_inputs(ctx, w, p->inputs);
}

// @default of /entry is the group that a viewer draws, of a dispersion one of two.
static const char *kind_of(const char *group)
{
    return strcmp(group, "path") == 0 || strcmp(group, "volume") == 0 ? XN_RESULT_DISPERSION : group;
}

xani_status xn_nexus_create(xn_ctx *ctx, const char *path, const char *group, const char *what, const xn_provenance *p,
                            xn_writer **w)
{
    XN_TRY(xn_writer_create(ctx, path, XN_LAYOUT_RESULT, w));
    const xn_config *config = p != NULL ? p->config : NULL;
    xn_writer_kind(*w, kind_of(group));
    xn_writer_attr_text(*w, "/", "NX_class", "NXroot");
    xn_writer_attr_text(*w, "/", "default", "entry");
    xn_writer_attr_text(*w, "/", "creator", "xani");
    xn_writer_group(*w, "/entry", "NXentry");
    xn_writer_attr_text(*w, "/entry", "default", group);
    xani_status st = xn_nexus_experiment(ctx, *w, config, what);
    xn_writer_text(*w, "/entry/program_name", "xani");
    xn_writer_attr_text(*w, "/entry/program_name", "version", xani_version());
    if (config != NULL) write_energy(*w, config, p->energy_kev);
    if (st == XANI_OK) st = write_process(ctx, *w, p);
    if (st != XANI_OK) xn_writer_abort(w);
    return st;
}

// ---- reading

static xani_status read_text(xn_ctx *ctx, const xn_h5 *file, const char *dataset, char **text)
{
    *text = NULL;
    return xn_h5_exists(file, dataset) ? xn_h5_read_string(ctx, file, dataset, text) : XANI_OK;
}

xani_status xn_result_read_config(xn_ctx *ctx, const char *path, char **yaml, char **base_dir)
{
    *yaml = *base_dir = NULL;
    xn_h5 *file;
    XN_TRY(xn_h5_open(ctx, path, &file));
    xani_status st = read_text(ctx, file, XN_PROCESS "/configuration", yaml);
    if (st == XANI_OK) st = read_text(ctx, file, XN_PROCESS "/base_dir", base_dir);
    if (st != XANI_OK) {
        xn_free(*yaml);
        xn_free(*base_dir);
        *yaml = *base_dir = NULL;
    }
    xn_h5_close(&file);
    return st;
}

xani_status xn_result_stored(xn_ctx *ctx, const char *path, xn_config **config)
{
    char *yaml = NULL, *base = NULL;
    *config = NULL;
    xani_status st = xn_result_read_config(ctx, path, &yaml, &base);
    if (st == XANI_OK && yaml != NULL) st = xn_config_parse(ctx, yaml, path, base ? base : ".", config);
    xn_free(yaml);
    xn_free(base);
    return st;
}

xani_status xn_result_read_identity(xn_ctx *ctx, const char *path, char **identity)
{
    *identity = NULL;
    xn_h5 *file;
    XN_TRY(xn_h5_open(ctx, path, &file));
    xani_status st = read_text(ctx, file, XN_PROCESS "/identity", identity);
    xn_h5_close(&file);
    return st;
}

// The group of /entry that its creator xani, and no other program, names; owned, NULL: another file.
static char *default_of(xn_ctx *ctx, const xn_h5 *file)
{
    char *creator = NULL, *group = NULL;
    const bool both = xn_h5_has_attr(file, "/", "creator") && xn_h5_has_attr(file, "/entry", "default");
    if (both && xn_h5_read_attr(ctx, file, "/", "creator", &creator) == XANI_OK && strcmp(creator, "xani") == 0)
        (void)xn_h5_read_attr(ctx, file, "/entry", "default", &group);
    xn_free(creator);
    return group;
}

bool xn_result_is(xn_ctx *ctx, const char *path, const char *kind)
{
    xn_h5 *file = NULL;
    if (xn_h5_open(ctx, path, &file) != XANI_OK) return xn_clear_error(ctx), false;
    char *group = default_of(ctx, file);
    const bool is = group != NULL ? strcmp(kind_of(group), kind) == 0
                                  : strcmp(kind, XN_RESULT_FIELD) == 0 && xn_h5_has_attr(file, "/i0_ipm3", "note");
    xn_clear_error(ctx);
    xn_free(group);
    xn_h5_close(&file);
    return is;
}

xani_status xn_result_read_inputs(xn_ctx *ctx, const char *path, char ***inputs)
{
    *inputs = NULL;
    int64_t n;
    xn_h5 *file;
    XN_TRY(xn_h5_open(ctx, path, &file));
    const char *dataset = XN_PROCESS "/inputs/file";
    xani_status st = xn_h5_exists(file, dataset) ? xn_h5_read_strings(ctx, file, dataset, inputs, &n) : XANI_OK;
    xn_h5_close(&file);
    return st;
}
