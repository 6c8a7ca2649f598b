/* SPDX-License-Identifier: BSD-3-Clause */
/* xani.h -- the public interface of libxani.
 *
 * xani takes raw frames of a pump-probe diffuse-scattering experiment to a phonon dispersion in five
 * stages: select -> reduce -> fit -> map -> result.  A program creates one context, opens one
 * configuration and calls xani_run(), or calls single stages.
 *
 * Conventions.  Every function that can fail returns a xani_status and leaves one line of text, which
 * names the file, dataset or key, in the context (xani_error_text).  Results come through the last
 * pointers.  Objects made by xani_*_create/open are destroyed by xani_*_destroy(&p), which sets p to
 * NULL.  Strings and arrays handed out as `char **` or xani_array are owned by the caller and given
 * back with xani_free / xani_array_free.  The library never prints, exits, or changes signals or locale.
 * One context may be used by one thread at a time; different contexts are independent.
 * Units: delays ps, frequencies THz, damping 1/ps, momentum transfer 1/Angstrom with 2 pi, energy keV.
 */
#ifndef XANI_H
#define XANI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define XANI_API __attribute__((visibility("default")))
#else
#define XANI_API
#endif

#define XANI_VERSION_MAJOR 0
#define XANI_VERSION_MINOR 1
#define XANI_VERSION_PATCH 0

/* Status of a call. xani_exit_code() gives the exit code a command should end with. */
typedef enum xani_status {
    XANI_OK = 0,
    XANI_ERR_MEMORY,    /* an allocation failed (exit 1) */
    XANI_ERR_INTERNAL,  /* a defect of xani itself (exit 1) */
    XANI_ERR_OUTPUT,    /* an output could not be written, verified or published (exit 1) */
    XANI_ERR_VERIFY,    /* a published result differs from its manifest (exit 1) */
    XANI_ERR_USAGE,     /* wrong arguments (exit 2) */
    XANI_ERR_CONFIG,    /* configuration missing, malformed or contradictory (exit 2) */
    XANI_ERR_INPUT,     /* input missing, damaged or unusable (exit 3) */
    XANI_FAILED_PIXELS, /* done, but more pixels failed than fit.max_failed allows (exit 4) */
    XANI_INTERRUPTED,   /* stopped on request; a second run resumes (exit 75) */
    XANI_STATUS_COUNT
} xani_status;

typedef struct xani_context xani_context;
typedef struct xani_config xani_config;

/* ---- library ------------------------------------------------------------------------------- */

XANI_API const char *xani_version(void);                   /* "0.1.0", static */
XANI_API const char *xani_status_name(xani_status status); /* "input", static; the cause word of --json */
XANI_API const char *xani_status_text(xani_status status); /* one line, static */
XANI_API int xani_exit_code(xani_status status);

/* ---- context ------------------------------------------------------------------------------- */

typedef enum xani_log_level {
    XANI_LOG_ERROR = 0, /* a task could not be completed */
    XANI_LOG_WARNING,   /* execution continues, the result may be degraded */
    XANI_LOG_INFO,      /* normal but significant */
    XANI_LOG_DEBUG      /* for developers */
} xani_log_level;

typedef void (*xani_log_fn)(void *user, xani_log_level level, const char *text);

/* Called from time to time by the calling thread while work of `total` units is under way.
   stage and unit are static strings ("reduce", "shots"); seconds is the time since the stage began. */
typedef void (*xani_progress_fn)(void *user, const char *stage, int64_t done, int64_t total, const char *unit,
                                 double seconds);

XANI_API xani_status xani_create(xani_context **context);
XANI_API void xani_destroy(xani_context **context);
XANI_API void xani_set_log(xani_context *context, xani_log_fn fn, void *user);
XANI_API void xani_set_progress(xani_context *context, xani_progress_fn fn, void *user);
/* Records the command line for the provenance of what is written (copied). */
XANI_API void xani_set_command(xani_context *context, const char *command_line);
/* Async-signal-safe: asks the running stage to stop at the next safe point with XANI_INTERRUPTED. */
XANI_API void xani_interrupt(xani_context *context);
/* Text of the last error, "" if none; borrowed until the next call on this context. */
XANI_API const char *xani_error_text(const xani_context *context);
XANI_API void xani_free(void *memory);

/* ---- configuration (YAML; keys in xani(5)) -------------------------------------------------- */

XANI_API xani_status xani_config_open(xani_context *context, const char *path, xani_config **config);
/* An empty configuration: every key at its default. */
XANI_API xani_status xani_config_create(xani_context *context, xani_config **config);
/* assignment: "a.b=value", value in YAML flow syntax. Unknown keys and wrong types are errors. */
XANI_API xani_status xani_config_assign(xani_context *context, xani_config *config, const char *assignment);
/* The configuration as YAML text, as given plus assignments. */
XANI_API xani_status xani_config_text(xani_context *context, const xani_config *config, char **yaml);
XANI_API void xani_config_destroy(xani_config **config);

/* ---- the pipeline --------------------------------------------------------------------------- */

/* Writes a simulated raw experiment and truth.h5 into the folder `directory` (created if missing). */
XANI_API xani_status xani_sim(xani_context *context, const xani_config *config, const char *directory);
/* reduce -> fit -> map -> summary; resumes what is there. directory NULL: output.directory.
   summary: JSON text (may be NULL). */
XANI_API xani_status xani_run(xani_context *context, const xani_config *config, const char *directory, char **summary);
XANI_API xani_status xani_reduce(xani_context *context, const xani_config *config, const char *cube_path);
/* Fits a cube.h5 or run%04d_on.h5 (the _off file beside it is found). config may be NULL. */
XANI_API xani_status xani_fit(xani_context *context, const xani_config *config, const char *cube_path,
                              const char *modes_path);
/* Maps modes of one or more runs; config NULL: the one stored in the first file. */
XANI_API xani_status xani_map(xani_context *context, const xani_config *config, const char *const *modes_paths,
                              size_t n_paths, const char *dispersion_path);

/* ---- questions; answers are JSON (init: YAML) text ------------------------------------------ */

XANI_API xani_status xani_info(xani_context *context, const char *const *paths, size_t n_paths, char **json);
XANI_API xani_status xani_init(xani_context *context, const char *const *paths, size_t n_paths, char **yaml);
XANI_API xani_status xani_check(xani_context *context, const xani_config *config, char **json);
XANI_API xani_status xani_plan(xani_context *context, const xani_config *config, char **json);
/* Checks every result below the paths against its manifest; XANI_ERR_VERIFY if one differs. */
XANI_API xani_status xani_verify(xani_context *context, const char *const *paths, size_t n_paths, char **json);
/* What the built library and this machine offer (kernels, threads, CUDA and its devices) as JSON. */
XANI_API xani_status xani_machine(xani_context *context, char **json);

/* ---- reading arrays of HDF5 files ----------------------------------------------------------- */

#define XANI_MAX_RANK 8

typedef enum xani_type { XANI_FLOAT64 = 0, XANI_INT64, XANI_STRING } xani_type;

/* A whole dataset in memory, numbers widened to float64 or int64. Owned by the caller. */
typedef struct xani_array {
    xani_type type;
    int rank;
    int64_t shape[XANI_MAX_RANK];
    int64_t size;   /* number of elements */
    double *f64;    /* XANI_FLOAT64: size elements, C order, else NULL */
    int64_t *i64;   /* XANI_INT64 */
    char **strings; /* XANI_STRING */
} xani_array;

XANI_API xani_status xani_array_read(xani_context *context, const char *file, const char *dataset, xani_array *array);
XANI_API void xani_array_free(xani_array *array);
/* 1 if the object (group or dataset) exists, else 0 (also when the file cannot be opened). */
XANI_API int xani_array_exists(xani_context *context, const char *file, const char *object);
/* Text of an attribute (numbers are printed); object "/" for the root. */
XANI_API xani_status xani_attribute_read(xani_context *context, const char *file, const char *object, const char *name,
                                         char **text);

/* ---- fitting traces held in memory ---------------------------------------------------------- */
#define XANI_MAX_MODES 4
#define XANI_BACKGROUND_EXPONENTIAL 4 /* offset + c exp(-r t), with at most 3 modes */
typedef struct xani_fit_options {
    size_t size;             /* sizeof(xani_fit_options), set by xani_fit_options_init */
    int modes_max;           /* 0..4 */
    int background;          /* Legendre degree 0..3 beside the modes; -1: not even an offset; or exponential */
    double frequency_thz[2]; /* band; {0, 0}: what the delays allow */
    double significance;     /* accept a mode when delta chi^2 / s^2 exceeds it; 0: calibrated */
    int start;               /* 0 periodogram, 1 linear prediction, 2 both, 3 neighbours, 4 given: see below */
    const char *kernels;     /* "auto", "scalar", "avx2", "avx512" */
    int threads;             /* 0: all */
    double tolerance;        /* stop when the predicted decrease is below tolerance * s^2; 0: 1e-3 */
    int precision;           /* 0: float32, float64 where the signal to noise asks; 32; 64 */
    /* What follows is explained, with formulae, in docs/fit-options.md. Weights of the delays, shared by all traces; 0:
       left out; NULL: all alike; scaled to a mean of 1, sigma is the error of a sample of weight 1. Spread below 20 %:
       equal. */
    const double *weight;
    /* Weights of single samples, as the traces (n_delays, n_traces): variance sigma^2/weight; 0, NaN: left out. */
    const float *sample_weight;
    /* A second round with weights from the first. robust: 0 none, 1 Huber, 2 Tukey. counting: 1, variances go as (fit +
       counting_zero): 0 for traces in counts, 1 for relative changes. */
    int robust, counting;
    double counting_zero;
    /* start 4: start_modes planes of n_traces, or start_shared 1 and one value per mode; NaN: found by the periodogram.
     */
    int start_modes, start_shared;
    const float *start_frequency_thz, *start_damping_per_ps; /* the second may be NULL */
    /* NULL, or n_traces x (4 modes_max)^2 for covariances of (frequency, damping, amplitude, phase) of mode 0, 1, ...
     */
    double *covariance;
    const struct xani_lp_options *linear_prediction; /* method, rank, amplitude_threshold of starts 1, 2; NULL: HSVD */
    /* start 3: traces are pixels of an image, image_width to a row; pixels that alone show nothing are fitted with
       f and damping in common with neighbourhood (3, 5, 7; 0: 3) squared pixels: shared (n_traces or NULL) says where.
     */
    int64_t image_width;
    int neighbourhood;
    uint8_t *shared;
} xani_fit_options;

/* One trace's result; arrays of XANI_MAX_MODES, unused entries NaN. y = background + sum A exp(-g t)
   cos(2 pi f t + phase), t in ps as given. Errors are one standard deviation. */
typedef struct xani_fit_result {
    int n_modes;
    int status; /* fit_status of modes.h5: 0 modes, 1 none, 3 few delays, 4, 5 */
    double chi2_reduced;
    double frequency_thz[XANI_MAX_MODES], frequency_error[XANI_MAX_MODES];
    double amplitude[XANI_MAX_MODES], amplitude_error[XANI_MAX_MODES];
    double phase[XANI_MAX_MODES], phase_error[XANI_MAX_MODES];
    double damping_per_ps[XANI_MAX_MODES], damping_error[XANI_MAX_MODES];
    double significance[XANI_MAX_MODES];
    double background[4]; /* Legendre coefficients on the span of the delays used; exponential: offset, c, r in 1/ps */
} xani_fit_result;

/* Every option at its default. Options grow at the end only: those of an older header, told by `size`, are accepted. */
XANI_API void xani_fit_options_init(xani_fit_options *options);
/* What options.significance is for these delays (calibrated where 0) and the share of traces of pure noise that would
   be taken for a mode. false_alarm may be NULL. XANI_ERR_USAGE names the option or delay at fault. */
XANI_API xani_status xani_fit_threshold(xani_context *context, const xani_fit_options *options, const double *delay_ps,
                                        int64_t n_delays, double *significance, double *false_alarm);
/* traces: (n_delays, n_traces) float32, C order ([delay][trace], the order of a cube); delay_ps:
   n_delays; sigma: n_traces standard errors per sample, or NULL (errors from the residual);
   NaN samples have weight 0. results: n_traces, caller's. */
XANI_API xani_status xani_fit_traces(xani_context *context, const xani_fit_options *options, const float *traces,
                                     const double *delay_ps, int64_t n_delays, int64_t n_traces, const float *sigma,
                                     xani_fit_result *results);

/* ---- least squares with any model (docs/least-squares.md) ------------------------------------ */

/* A model: functions joined by + and *, with the settings of its parameters. "gaussian + polynomial1"; functions whose
   parameters would share names get prefixes: "a:gaussian + b:gaussian" has a.centre, b.centre, ... */
typedef struct xani_model xani_model;

/* One function of the table that xani_model_create knows; a name ending in # takes a number: exponentials2. */
typedef struct xani_model_info {
    const char *name, *parameters, *formula;
    int order_min, order_max;
} xani_model_info;

XANI_API const xani_model_info *xani_model_table(int index); /* static; NULL past the end */

/* A function of the caller's own, used in the expression by its name. parameters: names, with a star behind those in
   which the function is linear and default bounds in brackets: "amplitude* centre sigma[0,]".  x: n rows of x_columns
   numbers.  Each callback returns 0, or another number where the function has no value at p (the fit then takes a
   shorter step).  They are called by several threads at once, with the same `user`. */
typedef struct xani_function {
    size_t size; /* sizeof(xani_function) */
    const char *name, *parameters;
    int x_columns;                                                                    /* 0: 1 */
    int (*value)(void *user, const double *x, int64_t n, const double *p, double *y); /* y[i] = f(x[i]; p) */
    /* derivative[k][i] = df(x[i])/dp[k]; NULL: by differences */
    int (*jacobian)(void *user, const double *x, int64_t n, const double *p, double *const *derivative);
    int (*guess)(void *user, const double *x, const double *y, int64_t n, double *p); /* start values; may be NULL */
    void *user;
} xani_function;

/* functions: the caller's own, NULL if there are none; copied, what they point to must outlive the model. */
XANI_API xani_status xani_model_create(xani_context *context, const char *expression, const xani_function *functions,
                                       size_t n_functions, xani_model **model);
XANI_API void xani_model_destroy(xani_model **model);
XANI_API int xani_model_count(const xani_model *model);                        /* of parameters */
XANI_API const char *xani_model_parameter(const xani_model *model, int index); /* name; NULL past the end */
XANI_API int xani_model_find(const xani_model *model, const char *name);       /* index, -1 if there is none */

/* Settings of one parameter. Start values not given are guessed from each data set. Fixed at NaN: at the start value of
   each set. vary undoes fix and tie. Bounds -INFINITY, INFINITY: none. A tie is linear in other parameters,
   "0.5*a.sigma + 1", without bounds of its own. set: as text, "centre=1.0,min=0,max=2", "sigma=0.3,fix", "b.c=2*a.c".
 */
XANI_API xani_status xani_model_start(xani_context *context, xani_model *model, const char *name, double value);
XANI_API xani_status xani_model_fix(xani_context *context, xani_model *model, const char *name, double value);
XANI_API xani_status xani_model_vary(xani_context *context, xani_model *model, const char *name);
XANI_API xani_status xani_model_bound(xani_context *context, xani_model *model, const char *name, double low,
                                      double high);
XANI_API xani_status xani_model_tie(xani_context *context, xani_model *model, const char *name, const char *expression);
XANI_API xani_status xani_model_set(xani_context *context, xani_model *model, const char *text);
/* y (n) at x (n rows) for the parameters p; derivatives (parameters, n) unless NULL. Settings play no part. */
XANI_API xani_status xani_model_evaluate(xani_context *context, const xani_model *model, const double *p,
                                         const double *x, int64_t n, double *y, double *derivatives);

/* Data sets of n_points each. Samples that are NaN or infinite, or whose sigma is not positive and finite, have
   weight 0. Distances are in numbers, 0 means as in C order: sets behind each other. */
typedef struct xani_model_data {
    size_t size; /* set by xani_model_data_init */
    int64_t n_sets, n_points;
    const double *x; /* (n_points, x_columns); NULL: 0, 1, 2, ... */
    int x_columns;
    int64_t x_set;                  /* distance between the x of sets, 0: one x for all */
    const double *y;                /* (n_sets, n_points) */
    int64_t y_set, y_point;         /* a cube (n_points, n_sets): y_set 1, y_point n_sets */
    const double *sigma;            /* standard errors of y; NULL: all 1 */
    int64_t sigma_set, sigma_point; /* distances between the sigma of sets, 0: one for all; of points, 0: 1 */
    const double *start;            /* (n_sets, parameters) or NULL; NaN: the model's, else guessed */
} xani_model_data;

/* Outcome of one data set; the numbers are those of fit_status in modes.h5 where they mean the same. */
typedef enum xani_model_status {
    XANI_MODEL_CONVERGED = 0,
    XANI_MODEL_MASKED = 2,        /* no usable point */
    XANI_MODEL_FEW_POINTS = 3,    /* fewer usable points than free parameters */
    XANI_MODEL_NOT_CONVERGED = 4, /* evaluations used up, or no way down although not at a minimum */
    XANI_MODEL_AT_BOUND = 5, /* converged with a parameter on a bound; errors hold for that parameter fixed there */
    XANI_MODEL_SINGULAR = 6, /* the data do not determine all parameters: no errors */
    XANI_MODEL_BAD_START = 7 /* no finite value at the start */
} xani_model_status;

typedef struct xani_model_options {
    size_t size;        /* set by xani_model_options_init */
    int absolute_sigma; /* 1: errors follow from sigma; 0: sigma is relative, errors scale with sqrt(chi2_reduced) */
    int threads;        /* 0: all */
    double tolerance;   /* stop when the remaining step is below it, in standard errors; 0: 1e-7 */
    int64_t max_evaluations; /* of the model per data set; 0: 2000 times the free parameters + 1 */
} xani_model_options;

/* What is asked for; the caller's arrays, NULL: not wanted. P parameters. Missing values are NaN. */
typedef struct xani_model_results {
    size_t size;                             /* set by xani_model_results_init */
    double *values, *errors;                 /* (n_sets, P); the error of a fixed parameter is 0 */
    double *covariance, *correlations;       /* (n_sets, P, P) */
    double *chi2, *chi2_reduced, *aic, *bic; /* (n_sets) */
    double *curves;                          /* (n_sets, n_points) the model at the solution */
    int64_t *evaluations, *points;           /* (n_sets) evaluations of the model; points used */
    uint8_t *status;                         /* (n_sets) xani_model_status */
} xani_model_results;

XANI_API void xani_model_data_init(xani_model_data *data);
XANI_API void xani_model_options_init(xani_model_options *options);
XANI_API void xani_model_results_init(xani_model_results *results);
/* Fits every data set. options may be NULL. A set that cannot be fitted is data, not an error: see its status. */
XANI_API xani_status xani_model_fit(xani_context *context, const xani_model *model, const xani_model_data *data,
                                    const xani_model_options *options, xani_model_results *results);
/* One file's traces to fit; set what is not the default. */
typedef struct xani_model_file {
    size_t size;       /* set by xani_model_file_init */
    const char *input; /* cube.h5, run%04d_on.h5, or any HDF5 file */
    const char
        *data;     /* dataset; NULL: the cube's signal over its delay, with its errors where they come from counting */
    const char *x; /* dataset of one value per sample; NULL: 0, 1, 2, ... */
    const char *sigma; /* standard errors: a dataset of the shape of data, or of one value per sample; NULL: none */
    int axis;          /* of data along which the traces run, 0 the slowest; negative: from the last */
    double range[2];   /* of x to use; NaN: all */
    int covariance;    /* 1: write it too */
} xani_model_file;

XANI_API void xani_model_file_init(xani_model_file *file);
/* Fits every trace and writes planes of values, errors, statistics and status to a NeXus file, whole or not at all.
   config may be NULL; options NULL: errors follow from sigma where it is known. summary: JSON text (may be NULL). */
XANI_API xani_status xani_model_fit_file(xani_context *context, const xani_config *config, const xani_model *model,
                                         const xani_model_options *options, const xani_model_file *file,
                                         const char *output, char **summary);
/* Confidence intervals of one free parameter by profile: where the sum of squares, minimised over all others, rises by
   what the level (0.6827, ...) allows: by the F test, with absolute_sigma by the chi^2 test.  values (n_sets, P): of
   xani_model_fit.  intervals (n_sets, n_levels, 2): lower and upper end, -INFINITY and INFINITY where the level is not
   reached within the bounds, NaN where the fit or its profile failed or a better minimum appeared. */
XANI_API xani_status xani_model_interval(xani_context *context, const xani_model *model, const xani_model_data *data,
                                         const xani_model_options *options, const double *values, const char *parameter,
                                         const double *levels, int n_levels, double *intervals);

/* ---- linear prediction of traces held in memory --------------------------------------------- */

enum { XANI_LP_HSVD = 0, XANI_LP_HTLS, XANI_LP_LPSVD };
enum { XANI_LP_RANK_FIXED = 0, XANI_LP_RANK_MDL, XANI_LP_RANK_AIC, XANI_LP_RANK_THRESHOLD, XANI_LP_RANK_GAP };
enum { XANI_LP_FOUND = 0, XANI_LP_NOTHING, XANI_LP_NOT_FINITE };

/* Methods and rules with their sources: docs/linear-prediction.md. The rank is the number of poles: two per damped
   cosine of a real trace, one per line of a complex one, one for a constant or a decaying background. */
typedef struct xani_lp_options {
    size_t size;                /* sizeof(xani_lp_options), set by xani_lp_options_init */
    int method;                 /* XANI_LP_*; default HSVD */
    int rank_rule;              /* XANI_LP_RANK_*; default MDL (Wax and Kailath 1985), see docs */
    int rank;                   /* 1..64: the rank itself (FIXED), else its upper limit; 0: 32 */
    int columns;                /* HSVD, HTLS: of the Hankel matrix, 2..n/2; LPSVD: order, n/2..n-2; 0: n/2, 3n/4 */
    int direction;              /* 1 forward, -1 backward, 0: LPSVD backward, the others forward */
    int compensate;             /* LPSVD: 1 takes the mean dropped eigenvalue out of the others (bias of noise) */
    int complex_traces;         /* 1: real and imaginary parts in turn */
    double noise;               /* standard deviation of a sample, for XANI_LP_RANK_THRESHOLD; 0: from the trace */
    double amplitude_threshold; /* 0..1: components weaker than this fraction of the strongest are dropped */
    int refine;                 /* most Gauss-Newton steps on to the least-squares minimum; 0: none */
    int threads;                /* 0: all */
} xani_lp_options;

/* A exp(-damping t) cos(2 pi f t + phase), f >= 0; of a complex trace A exp(-damping t) exp(i (2 pi f t + phase)) with
   f of either sign. t in ps as given. A real trace's f = 0 is a background: A exp(-damping t), phase 0 or pi. */
typedef struct xani_lp_component {
    double frequency_thz, damping_per_ps, amplitude, phase;
} xani_lp_component;

typedef struct xani_lp_result {
    int status;       /* XANI_LP_* */
    int n_components; /* written, strongest (energy in the trace) first */
    int rank;         /* chosen */
    double residual;  /* root mean square of what all components leave */
} xani_lp_result;

XANI_API void xani_lp_options_init(xani_lp_options *options);
/* traces: (n_delays, n_traces), C order, or (n_delays, n_traces, 2) complex; delay_ps: n_delays in equal steps, else
   XANI_ERR_USAGE names the delay that is off. components: (n_traces, components_max), results: n_traces, both the
   caller's. Amplitudes come from one linear least-squares fit of all poles; poles that grow by more than e^4 over the
   trace are left out. A trace with NaN or Inf gets XANI_LP_NOT_FINITE and no component. */
XANI_API xani_status xani_linear_prediction(xani_context *context, const xani_lp_options *options, const double *traces,
                                            const double *delay_ps, int64_t n_delays, int64_t n_traces,
                                            int components_max, xani_lp_component *components, xani_lp_result *results);

#ifdef __cplusplus
}
#endif
#endif
