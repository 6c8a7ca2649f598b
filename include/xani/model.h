/* SPDX-License-Identifier: BSD-3-Clause */
/* model.h -- least squares with any model. Part of <xani/xani.h>, which is what programs include. See
 * docs/least-squares.md.
 */
#ifndef XANI_MODEL_H
#define XANI_MODEL_H

#include <xani/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A model: functions joined by + and *, with the settings of its parameters. "gaussian + polynomial1"; functions whose
   parameters would share names get prefixes: "a:gaussian + b:gaussian" has a.centre, b.centre, ...  Names begin with a
   letter or _. */
typedef struct xani_model xani_model;

/* One function of the table that xani_model_create knows; a name ending in # takes a number: exponentials2. */
typedef struct xani_model_info {
    const char *name, *parameters, *formula;
    int order_min, order_max;
} xani_model_info;

XANI_API const xani_model_info *xani_model_table(int index); /* static; NULL past the end */

/* A function of the caller's own, used in the expression by its name, before one of the table. parameters: names, with
   a star behind those in which the function is linear and default bounds in brackets: "amplitude* centre sigma[0,]". x:
   n rows of x_columns numbers.  Each callback returns 0, or another number where the function has no value at p (the
   fit then takes a shorter step).  They are called by several threads at once, with the same `user`. */
typedef struct xani_function {
    size_t size; /* sizeof(xani_function) */
    const char *name, *parameters;
    int x_columns; /* 0: 1; a model with more takes no others but constant, and its starts are not guessed */
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
    /* converged with a parameter on a bound: its error is NaN, the others are as if it were fixed there; it counts as
       free in chi2_reduced, and so in errors that scale with it */
    XANI_MODEL_AT_BOUND = 5,
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
   reached within the bounds, or as far as the model has a value and the data determine its other parameters; NaN where
   the fit or its profile failed or a better minimum appeared. */
XANI_API xani_status xani_model_interval(xani_context *context, const xani_model *model, const xani_model_data *data,
                                         const xani_model_options *options, const double *values, const char *parameter,
                                         const double *levels, int n_levels, double *intervals);

#ifdef __cplusplus
}
#endif
#endif
