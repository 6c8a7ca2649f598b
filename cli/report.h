// SPDX-License-Identifier: BSD-3-Clause
// report.h -- what the files of the report share: the results read, the page being written.
//
// report_read.c fills the structs from cube.h5, modes.h5 and dispersion.h5 through the public interface;
// what is not there stays NULL, and the section that needs it says so in words.  The sections add text and
// pictures to the page and figures to the JSON object.  Arrays are C order, owned by the structs.
#ifndef XN_CLI_REPORT_H
#define XN_CLI_REPORT_H

#include "cli/cli.h"
#include "cli/draw.h"

// ---- text that grows (report_html.c)
typedef struct text {
    char *s;
    size_t n, capacity;
} text;
void text_add(text *t, const char *fmt, ...) CLI_PRINTF(2, 3);
void text_escape(text *t, const char *s); // &, <, >, quotes
void text_base64(text *t, const unsigned char *bytes, size_t n);
void text_free(text *t);
// "3.512(8)": value and the error of its last digits; owned.
char *text_uncertain(double value, double error);

// ---- order statistics (report_numbers.c); NaN are left out
double numbers_quantile(const double *v, int64_t n, double q); // NaN when nothing is finite
double numbers_median(const double *v, int64_t n);
int64_t numbers_finite(const double *v, int64_t n);
void numbers_moments(const double *v, int64_t n, double *mean, double *width);
// Counts of values in n_bins bins between lo and hi; edges n_bins+1.
void numbers_histogram(const double *v, int64_t n, double lo, double hi, int n_bins, double *edges, double *counts);
json_t *numbers_json(const double *v, int64_t n); // list, NaN as null
json_t *number_json(double v);
json_t *count_json(double v); // an integer, NaN as null

// ---- results
typedef struct report_shots { // one row per shot; n == 0: binned input
    int64_t n;
    double *i0, *delay_ps, *verdict, *laser;
    double *photons, *i0_read; // of the whole detector; before select.i0_correction. NULL: not in the file
} report_shots;

typedef struct report_cuts {
    int64_t n;
    char **name;
    double *on, *off, *unknown; // shots left
} report_cuts;

typedef struct report_run {
    char *name;         // "" for a single run
    char *cube, *modes; // paths, NULL when not there
    int64_t nb, ny, nx; // delay bins, rows, columns; 0 when unknown
    int64_t spatial_bin;
    int64_t n_modules;
    double *module_rows;
    // cube
    double *delay_ps, *edges_ps, *shots_per_bin;
    double *mask, *mean_frame;
    double time_resolution_ps;
    double shots_on, shots_off; // in the sums, or as they came with them; NaN: not told
    report_shots shots;
    report_cuts cuts;
    // modes
    int64_t n_modes, n_background;
    bool exponential;                 // background: offset, c, r of offset + c exp(-r t)
    bool level_before;                // and, as its last coefficient, the level before time zero
    double response_ps, time_zero_ps; // rms; 0: none
    double *frequency, *frequency_errors, *amplitude, *amplitude_errors, *phase, *phase_errors, *damping,
        *damping_errors, *significance; // (mode, y, x)
    double *angles_deg;
    int64_t n_angles;
    double *count, *status, *chi2, *background;
    double *sigma, *weight; // (y, x) of a sample of weight 1; (nb) of the delays. NULL: not told
    double lo_ps, hi_ps, n_delays, threshold, false_alarm, band_thz[2];
    char *errors_from;
} report_run;

typedef struct report_points {
    int64_t n;
    double *hkl, *frequency, *frequency_errors, *amplitude, *amplitude_errors, *branch, *pixel;
    char **run, **kind;
    int64_t pairs, mirrored, unjudged; // may be mirrored at the Nyquist frequency; cannot be judged
} report_points;

typedef struct report_dispersion {
    char *path; // file, NULL when not there
    report_points points;
    int64_t n_combinations;
    double nyquist_thz; // NaN: unknown
    int64_t shape[3];   // of the coverage
    double zone_voxels; // of those that lie in the first zone; NaN: not told
    double *coverage, *axis[3];
    int64_t path_n, path_nf;
    double *path_distance, *path_frequency, *path_intensity;
    int n_labels;
    char **label;
    double *label_distance;
    int64_t n_branches, branch_n;
    double *branch_distance, *branch_frequency, *branch_errors, *branch_count, *branch_hkl;
    int64_t n_reference;
    double *reference, *refined; // (n_reference, path_n) of the force constants given, and refined
} report_dispersion;

// ---- truth of a simulation (truth.c)
typedef struct truth_run {
    char *name;
    int64_t ny, nx;         // after grouping
    int64_t nb, nl;         // branches; lines: branches first, then sums and differences of them
    double *nu, *amplitude; // (y, x, line): half the frequency of the line; its amplitude in the group
    double *spread;         // rms of nu over the pixels of the group
} truth_run;

typedef struct truth {
    char *path; // NULL: not known
    int n_runs;
    truth_run *runs;
    int64_t band_n, band_branches;    // samples of the path; branches of the crystal
    double *band_before, *band_after; // (branch, sample) nu0 and nu1 along the path; NULL: not known
} truth;

// How the points compare with the truth; NaN where nothing can be said.
typedef struct truth_score {
    int64_t n;                    // points compared
    double median, p90;           // |nu - nu1| in THz
    int64_t n_pulls;              // points of isolated strong lines
    double pull_mean, pull_width; // of those within OUTLIER sigma
    double within3, outliers;     // fractions
    double *nu1, *difference;     // (n)
    double *pulls;                // (n_pulls)
    double branches;              // median |nu - nu1| of the branches from nu1 on the path
} truth_score;

typedef struct report {
    cli *c;
    const char *dir;
    char *title, *energy, *created;
    int n_runs;
    report_run *runs;
    report_dispersion dispersion;
    bool not_mapped; // a dispersion.h5 in the folder is of another run
    truth truth;
    truth_score score;
    text page;
    json_t *json, *notes, *pictures;
    xani_status status; // first error of writing
} report;

xani_status report_read(report *r, const char *truth_path);
void report_forget(report *r);
void report_note(report *r, const char *fmt, ...) CLI_PRINTF(2, 3); // something missing, in words
void report_notes(const report *r, text *t);                        // all of them, as HTML
void report_warnings(report *r, const char *file, const char *run); // said while the file was made
// Numbers of a dataset as float64, NULL when it is not there (owned); required: that is noted. shape may be NULL.
double *report_required(report *r, const char *file, const char *dataset, int rank, int64_t *shape);
double *report_numbers(report *r, const char *file, const char *dataset, int rank, int64_t *shape);
// The same where it has size elements in all; another size is noted.
double *report_exactly(report *r, const char *file, const char *dataset, int rank, int64_t size);
double report_scalar(report *r, const char *file, const char *dataset); // NaN: none
char **report_strings(report *r, const char *file, const char *dataset, int64_t *n);
void report_strings_free(char **list, int64_t n);
char *report_attribute(report *r, const char *file, const char *object, const char *name);         // NULL: none
double report_attribute_number(report *r, const char *file, const char *object, const char *name); // NaN: none

xani_status truth_find(report *r, const char *path);
void truth_compare(report *r, truth_score *score);
void truth_bands(report *r); // truth_band.c: nu0 and nu1 along the path of the result
void truth_free(truth *t);
void truth_score_free(truth_score *s);

// ---- sections
void report_figures_begin(report *r);
void report_figures_begin_three(report *r); // three in a row where the page is wide enough
void report_figures_end(report *r);
// Draws one picture into the page and DIR/report/NAME.png; wide: the whole width of the page.
void report_picture(report *r, const char *name, int width, int height, draw_fn fn, const void *data, bool wide,
                    const char *caption);
void report_page_begin(report *r);
void report_page_end(report *r);
void report_heading(report *r, const char *id, const char *title);
void report_paragraph(report *r, const char *fmt, ...) CLI_PRINTF(2, 3); // text, escaped

void report_section_shots(report *r, const report_run *run, json_t *json);
void report_i0_linearity(report *r, const report_run *run, json_t *json); // a figure of that section
void report_section_frames(report *r, const report_run *run, json_t *json);
void report_section_traces(report *r, const report_run *run, json_t *json);
void report_section_modes(report *r, const report_run *run, json_t *json);
void report_section_maps(report *r, const report_run *run); // pictures of report_section_modes
void report_section_dispersion(report *r);
void report_read_points(report *r, const char *file, report_points *p);
void report_forget_points(report_points *p);
void report_read_forces(report *r, report_dispersion *d);
void report_draw_forces(const draw_axes *a, const report_dispersion *d);
void report_section_forces(report *r, json_t *json); // of that section
void report_section_truth(report *r);
void report_section_provenance(report *r);
void report_summary(report *r);
void report_run_table(report *r);
// The run's picture name: "mean-frame", with several runs "r1-mean-frame"; owned.
char *report_picture_name(const report *r, const report_run *run, const char *name);

#endif
