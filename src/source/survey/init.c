// SPDX-License-Identifier: BSD-3-Clause
// init.c -- `xani init`: a commented configuration made from the files themselves.
//
// Everything the files tell is filled in, with where it comes from; what no file can know (sign and zero of the
// delay, orientation, crystal) stays empty and is marked "FILL IN", so that `xani check` asks for it by name.
#include "source/recognise.h"

#include <ctype.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "physics/panel.h"
#include "source/survey/init_parts.h"

#define GROUPS_MOST 65536 // pixel groups proposed at most: minutes of fitting

static void section(xn_text *t, const char *name) { xn_text_add(t, "\n%s:\n", name); }

void xn_init_delay_sign(xn_text *t)
{
    xn_text_add(t, "  delay:\n");
    xn_text_entry(t, 4, "sign", NULL, "1 or -1; a positive delay means X-rays after the laser");
    xn_text_entry(t, 4, "zero_ps", NULL, "delay called zero, subtracted at the end");
}

// ---- experiment

static void put_experiment(xn_init_writer *w)
{
    xn_text *t = &w->text;
    char value[64], comment[512];
    section(t, "experiment");
    xn_text_quoted(t, 2, "title", w->n_runs > 1 ? "several runs" : w->first->name, NULL);
    if (w->first->layout->facility != NULL) xn_text_entry(t, 2, "facility", w->first->layout->facility, NULL);
    const xn_channel_facts *c = !w->facts.binned && w->facts.energy >= 0 ? &w->facts.channel[w->facts.energy] : NULL;
    if (isfinite(w->finds.energy_kev)) {
        xn_text_entry(t, 2, "energy_kev", xn_text_number(value, w->finds.energy_kev), "of the geometry file");
    } else if (!w->facts.binned && isfinite(w->facts.place.energy_kev)) {
        xn_text_entry(t, 2, "energy_kev", xn_text_number(value, w->facts.place.energy_kev), "as the files tell");
    } else if (c != NULL) {
        double kev = c->median > 500 ? c->median / 1000 : c->median; // eV or keV
        snprintf(comment, sizeof comment, "median of %s; check", c->name);
        xn_text_entry(t, 2, "energy_kev", xn_text_number(value, kev), comment);
    } else {
        xn_text_entry(t, 2, "energy_kev", NULL, "photon energy in keV");
    }
}

// ---- input

static void put_cube_input(xn_init_writer *w)
{
    xn_text *t = &w->text;
    const xn_cube_facts *f = &w->facts.cube;
    char a[64], b[64], c[64];
    if (w->n_runs == 1) xn_text_files(t, 2, w->first);
    xn_init_delay_sign(t);
    xn_text_add(t, "    # %s: %lld bins from %s to %s, taken as ps", f->scan[0] != '\0' ? f->scan : "scan_var",
                (long long)f->bins, xn_text_about(a, f->first_ps), xn_text_about(b, f->last_ps));
    xn_text_add(t, isfinite(f->step_ps) ? " in steps of %s\n" : ", not uniform\n", xn_text_about(c, f->step_ps));
    if (w->first->layout->init_binned != NULL) w->first->layout->init_binned(w);
    if (w->finds.pixel_mask) {
        xn_text_add(t, "  mask:\n");
        xn_text_quoted(t, 4, "file", w->finds.pedestal, NULL);
        xn_text_entry(t, 4, "dataset", "pixel_mask", NULL);
        xn_text_entry(t, 4, "good", "zero", NULL);
    }
    xn_text_add(&w->text,
                "  # counts_per_photon: 1  # units of imgs per photon gives Poisson errors; without it errors "
                "come from the residual\n");
}

static void put_input(xn_init_writer *w)
{
    xn_text *t = &w->text;
    section(t, "input");
    xn_text_entry(t, 2, "layout", w->first->layout->ops->layout, NULL);
    if (w->facts.binned)
        put_cube_input(w);
    else
        xn_init_raw_input(w);
    xn_text_add(&w->text,
                "  # mask: {file: FILE, dataset: PATH, good: zero}  # further masks; good: zero or nonzero\n");
}

static void put_reduce(xn_init_writer *w)
{
    xn_text *t = &w->text;
    char bin[16];
    int n = 1;
    while (w->ny / n * (w->nx / n) > GROUPS_MOST) n++;
    section(t, "reduce");
    if (!w->facts.binned) xn_init_raw_bins(w);
    snprintf(bin, sizeof bin, "%d", n);
    xn_text_entry(t, 2, "spatial_bin", bin, "n x n pixels make one; larger is faster and less noisy");
    if (w->facts.binned) return;
    xn_text_entry(t, 2, "threshold_photons", "0", "0.5 to 0.7 suppresses noise, but biases shared charge");
    xn_text_entry(t, 2, "off", "{mode: all}", "or {mode: blocks, block_shots: 1000} against drifts");
}

// ---- geometry, runs, the rest

// Modules of a detector whose layout is known by its name; false: of none.
static bool put_layout(xn_init_writer *w)
{
    int64_t rows, columns;
    int modules;
    if (w->detector == NULL || !xn_layout_rows(w->detector->name, &rows, &columns, &modules) || columns != w->nx ||
        w->ny > rows * modules || w->ny % rows != 0)
        return false;
    xn_text_quoted(&w->text, 4, "layout", w->detector->name, "where its modules are: data/detectors.txt");
    if (w->ny < rows * modules)
        xn_text_entry(&w->text, 4, "stored", NULL, "numbers of the modules that the frames have, from 0");
    return true;
}

// Pixels of detectors that the facilities name after their kind, in mm (formats.md 4).
static const struct {
    const char *word, *comment;
    double pixel_mm;
} known_pixels[] = {{"jungfrau", "of a JUNGFRAU", 0.075}, {"jngfr", "of a JUNGFRAU", 0.075},
                    {"eiger", "of an EIGER", 0.075},      {"epix10k", "of an ePix10ka", 0.1},
                    {"epix100", "of an ePix100", 0.05},   {"mpccd", "of an MPCCD", 0.05}};

// "JF" and a number, as in JF07T02V01 and FXE_XAD_JF1M.
static bool has_jf(const char *name)
{
    for (const char *p = strstr(name, "JF"); p != NULL; p = strstr(p + 2, "JF"))
        if (isdigit((unsigned char)p[2]) && (p == name || !isalpha((unsigned char)p[-1]))) return true;
    return false;
}

// The edge of a pixel as the files tell it, or as the detector's name does; else it is for the user to say: from a
// wrong one follows a wrong Q without a word.
static void put_pixel(xn_init_writer *w)
{
    char value[64];
    double mm = w->facts.binned ? NAN : w->facts.place.pixel_mm;
    const char *name = w->facts.binned || w->detector == NULL ? "" : w->detector->name, *comment = "as the files tell";
    for (size_t i = 0; !isfinite(mm) && i < sizeof known_pixels / sizeof known_pixels[0]; i++) {
        if (strcasestr(name, known_pixels[i].word) == NULL && (i > 0 || !has_jf(name))) continue;
        mm = known_pixels[i].pixel_mm;
        comment = known_pixels[i].comment;
    }
    xn_text_entry(&w->text, 4, "pixel_mm", isfinite(mm) ? xn_text_number(value, mm) : NULL,
                  isfinite(mm) ? comment : "edge of a pixel in mm");
}

static void put_simple_detector(xn_init_writer *w)
{
    xn_text *t = &w->text;
    const xn_place_facts *p = &w->facts.place;
    const bool told = !w->facts.binned;
    char shape[64], centre[64], distance[64];
    const bool has_centre = told && isfinite(p->centre_px[0]), has_distance = told && isfinite(p->distance_mm);
    snprintf(shape, sizeof shape, "[%lld, %lld]", (long long)w->ny, (long long)w->nx);
    snprintf(centre, sizeof centre, "[%.10g, %.10g]", p->centre_px[0], p->centre_px[1]);
    snprintf(distance, sizeof distance, "%.10g", p->distance_mm);
    xn_text_add(t,
                "  # file: detector.geom  # CrystFEL, European XFEL .h5 or psana .data instead of this\n  detector:\n");
    if (!put_layout(w)) {
        xn_text_entry(t, 4, "shape", w->ny > 0 && w->nx > 0 ? shape : NULL, "y, x");
        put_pixel(w);
    }
    xn_text_entry(t, 4, "centre_px", has_centre ? centre : NULL,
                  has_centre ? "as the files tell: where the beam hits, [x, y]; check"
                             : "where the beam hits, [x, y], pixel centres at +0.5");
    xn_text_entry(t, 2, "distance_mm", has_distance ? distance : NULL,
                  has_distance ? "as the files tell: sample to detector in mm" : "sample to detector in mm");
    if (told && p->turned[0] != '\0') xn_text_add(t, "  # %s\n", p->turned);
}

static void put_geometry(xn_init_writer *w)
{
    xn_text *t = &w->text;
    section(t, "geometry");
    if (w->finds.geometry != NULL) {
        xn_text_quoted(t, 2, "file", w->finds.geometry, NULL);
        if (!w->finds.distance) xn_text_entry(t, 2, "distance_mm", NULL, "sample to detector in mm");
        if (!w->finds.quadrants)
            xn_text_entry(t, 2, "quadrants_mm", NULL, "[[x, y], ...] of the corners of the 4 quadrants in mm");
    } else {
        put_simple_detector(w);
    }
    if (w->facts.region[0] != '\0')
        xn_text_add(t, "  # region: %s  # of the frames, where the geometry is that of the whole detector\n",
                    w->facts.region);
    xn_text_entry(t, 2, "orientation", NULL, "3 x 3 rotation U, UB = U B; or instead ub: 3 x 3");
    xn_text_entry(t, 2, "goniometer", NULL, "circles, the outermost first: [{axis: [0, 1, 0], sign: 1, angle_deg: 0}]");
    xn_text_entry(t, 2, "polarisation", "{direction: [1, 0, 0], fraction: 1}", NULL);
}

static void put_runs(xn_init_writer *w)
{
    xn_text *t = &w->text;
    section(t, "runs");
    if (w->n_runs < 2) {
        xn_text_add(t, "  # - {name: angle1, files: [FILE, ...], angle_deg: [10]}  # each of several runs (sample "
                       "angles); then without "
                       "input.files\n");
        return;
    }
    for (int i = 0; i < w->survey->n_runs; i++) {
        const xn_found_run *run = &w->survey->run[i];
        if (run->layout != w->first->layout) continue;
        xn_text_add(t, "  - ");
        xn_text_quoted(t, 0, "name", run->name, NULL);
        xn_text_files(t, 4, run);
        xn_text_entry(t, 4, "angle_deg", NULL, "one angle per circle of the goniometer");
    }
}

static void put_fit(xn_init_writer *w)
{
    xn_text *t = &w->text;
    section(t, "fit");
    xn_text_entry(t, 2, "modes_max", "3", NULL);
    xn_text_entry(t, 2, "background", "polynomial2", NULL);
}

static void put_map(xn_init_writer *w)
{
    xn_text *t = &w->text;
    section(t, "map");
    xn_text_add(t, "  crystal:\n");
    xn_text_entry(t, 4, "cell", NULL, "[a, b, c, alpha, beta, gamma], Angstrom and degrees, conventional");
    xn_text_entry(t, 4, "space_group", NULL, "name or number; or instead centring: P, A, B, C, I, F or R");
    xn_text_entry(t, 4, "basis", NULL, "[{element: Cu, position: [0, 0, 0]}]");
    xn_text_entry(t, 2, "grid", "{shape: [21, 21, 21]}", "or {step_inv_ang: 0.1}");
    xn_text_add(t, "  # path: [G, X, K, G, L]  # or {label: Z, hkl: [0, 0, 0.5]} each; default: the customary path\n");
    xn_text_entry(t, 2, "mode_kind", "auto", "pair: nu = f/2; coherent: nu = f");
}

static void put_output(xn_init_writer *w)
{
    section(&w->text, "output");
    xn_text_entry(&w->text, 2, "directory", "xani-results", "-o beats it");
}

static void put_engine(xn_init_writer *w)
{
    section(&w->text, "engine");
    xn_text_entry(&w->text, 2, "device", "auto", "cpu, cuda or auto: devices if there are any and work enough");
}

// ---- the whole

// Shots are preferred to cubes: they hold more.
static xani_status choose_layout(xn_init_writer *w)
{
    const xn_survey *s = w->survey;
    w->first = &s->run[0];
    for (int i = 1; i < s->n_runs; i++)
        if (w->first->layout->ops->read_cube != NULL && s->run[i].layout->ops->read_cube == NULL) w->first = &s->run[i];
    for (int i = 0; i < s->n_runs; i++) w->n_runs += s->run[i].layout == w->first->layout;
    if (w->n_runs < s->n_runs)
        xn_warn(w->ctx, "files of several layouts are there; the configuration is for %s; name the others alone",
                w->first->layout->files);
    return XANI_OK;
}

bool xn_init_is_loose(const xn_found_file *f) { return f->named && f->kind == XN_FOUND_OTHER && f->note == NULL; }

// What was named and is not in the configuration is told.
static void tell_unused(const xn_init_writer *w)
{
    for (int i = 0; i < w->survey->n; i++) {
        const xn_found_file *f = &w->survey->file[i];
        const bool unknown = f->kind == XN_FOUND_OTHER || f->kind == XN_FOUND_BROKEN || f->kind == XN_FOUND_RESULT;
        if (!f->named || !unknown || (xn_init_is_loose(f) && w->first->layout->has_readings)) continue;
        xn_warn(w->ctx, "%s: %s; it is not in the configuration", f->path,
                f->kind == XN_FOUND_RESULT ? "a result"
                : f->note != NULL          ? f->note
                                           : "not of a known layout");
    }
}

static xani_status read_facts(xn_init_writer *w)
{
    XN_TRY(choose_layout(w));
    XN_TRY(xn_run_facts_read(w->ctx, w->first, &w->facts));
    tell_unused(w);
    const xn_run_facts *f = &w->facts;
    w->detector = !f->binned && f->chosen >= 0 ? &f->detector[f->chosen] : NULL;
    w->ny = f->binned ? f->cube.ny : w->detector ? w->detector->ny : 0;
    w->nx = f->binned ? f->cube.nx : w->detector ? w->detector->nx : 0;
    return xn_init_find(w->ctx, w->survey, w->detector ? w->detector->name : NULL, w->ny, w->nx,
                        w->detector ? w->detector->rows_all : 0, &w->finds);
}

static void put_all(xn_init_writer *w)
{
    xn_text *t = &w->text;
    xn_text_add(t, "# Configuration for xani %s, made by `xani init` from %d file%s.\n", xani_version(), w->first->n,
                w->first->n == 1 ? "" : "s of the first run");
    xn_text_add(t, "# \"FILL IN\" marks what no file can know; `xani check` names what is still missing.\n");
    xn_text_add(t, "# Lines with a # show defaults and other keys; dotted names lie below the maps above them. man 5 "
                   "xani has all.\n");
    static const struct {
        void (*put)(xn_init_writer *w);
        const char *section;
        bool shots; // its other keys are about single shots
    } parts[] = {{put_experiment, "experiment", false},
                 {put_input, "input", true},
                 {xn_init_raw_select, "select", true},
                 {put_reduce, "reduce", true},
                 {put_geometry, "geometry", false},
                 {put_runs, NULL, false},
                 {put_fit, "fit", false},
                 {put_map, "map", false},
                 {put_engine, "engine", false},
                 {put_output, "output", false}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const size_t from = t->n;
        if (w->facts.binned && parts[i].put == xn_init_raw_select) continue;
        parts[i].put(w);
        if (parts[i].section != NULL && !(w->facts.binned && parts[i].shots))
            xn_init_other_keys(w, parts[i].section, from);
    }
}

xani_status xn_source_init(xn_ctx *ctx, const char *const *paths, size_t n, char **yaml)
{
    *yaml = NULL;
    xn_survey s;
    XN_TRY(xn_survey_make(ctx, paths, n, true, &s));
    xn_init_writer w = {.ctx = ctx, .survey = &s};
    xani_status st = read_facts(&w);
    // numbers with a decimal point whatever the program's language
    locale_t plain = st == XANI_OK ? newlocale(LC_ALL_MASK, "C", (locale_t)0) : (locale_t)0;
    if (st == XANI_OK && plain == (locale_t)0) st = xn_fail_memory(ctx, "the configuration", 1);
    if (st == XANI_OK) {
        locale_t before = uselocale(plain);
        put_all(&w);
        uselocale(before);
        freelocale(plain);
        if (w.text.foreign[0] != '\0')
            st = xn_fail(ctx, XANI_ERR_USAGE,
                         "%s: a name that is no UTF-8 cannot stand in a configuration; give the file or folder another",
                         w.text.foreign);
        if (w.text.short_of_memory) st = xn_fail_memory(ctx, "the configuration", w.text.room);
    }
    if (st == XANI_OK)
        *yaml = w.text.s;
    else
        xn_free(w.text.s);
    xn_facts_free(&w.facts);
    xn_survey_free(&s);
    return st;
}
