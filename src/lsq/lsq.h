// SPDX-License-Identifier: BSD-3-Clause
// lsq.h -- least squares with any model: what the files of this folder share.
//
// A model is a sum of terms, each a product of parts; a part is a function (kinds.h, or the caller's own) with a run of
// the model's parameters.  Three kinds of numbers: parameters p (all, as named), variables z (the free ones), and tied
// parameters, linear in the others.  xn_scheme is a model's settings made ready for fitting; xn_fitter is one thread's
// memory and evaluates the weighted residuals of one data set as a function of z for lm.h.
#ifndef XN_LSQ_LSQ_H
#define XN_LSQ_LSQ_H

#include "core/core.h"
#include "lsq/kinds.h"
#include "lsq/lm.h"
#include "xani/model.h"

#define XN_FITTER_SCRATCH 12
#define XN_MODEL_PARTS 16
#define XN_MODEL_PARAMETERS 64

typedef enum { XN_VARY = 0, XN_FIXED, XN_TIED } xn_role;

typedef struct xn_parameter {
    char *name;
    xn_role role;
    double start; // NaN: guessed
    double low, high;
    bool linear, angle;
    double tie_constant;
    double tie[XN_MODEL_PARAMETERS]; // factors of the other parameters
} xn_parameter;

typedef struct xn_part {
    const xn_kind *kind; // NULL: the caller's
    xani_function own;
    int order, first, count; // parameters first .. first + count - 1
    int term;
} xn_part;

struct xani_model {
    char *expression;
    int n_parts, n_terms, n_parameters, x_columns;
    bool numeric;  // a part's derivatives are taken by differences
    bool products; // a term has more than one part
    xn_part part[XN_MODEL_PARTS];
    xn_parameter *parameter; // n_parameters
};

// expression.c: parts, and parameters with their default bounds. Errors name what is wrong in the text.
xani_status xn_model_parse(xn_ctx *ctx, const char *expression, const xani_function *functions, size_t n,
                           xani_model *model);
// A linear expression in the model's parameters, for the parameter `name`.
xani_status xn_tie_parse(xn_ctx *ctx, const xani_model *model, const char *name, const char *text, double *constant,
                         double *factors);
char *xn_tie_text(const xani_model *model, int parameter); // "b.sigma=2*a.sigma+1"; owned, NULL: no memory
// The next word of letters, digits, _ and . from *at on; its length, 0: none.
size_t xn_word(const char **at);
bool xn_number(const char **at, double *value); // reads one number, "inf" counts as one; false: there is none
bool xn_is_name(const char *word);              // begins with a letter or _
int xn_model_lookup(const xani_model *model, const char *name, size_t length); // index, -1: none
// The parameter whose name is nearest, for messages; NULL if none is near.
const char *xn_model_nearest(const xani_model *model, const char *name, size_t length);

typedef struct xn_scheme {
    const xani_model *model;
    int n_free, n_ties;
    int variable[XN_MODEL_PARAMETERS]; // parameter of each variable
    int tied[XN_MODEL_PARAMETERS];
    double constant[XN_MODEL_PARAMETERS];                     // of each tie, without ties to tied parameters
    double factor[XN_MODEL_PARAMETERS * XN_MODEL_PARAMETERS]; // [tie][parameter]
    double low[XN_MODEL_PARAMETERS], high[XN_MODEL_PARAMETERS];
    double tolerance;
    int64_t max_evaluations;
    bool absolute_sigma;
} xn_scheme;

// XANI_ERR_CONFIG names the parameter: a circle of ties, no start for a part without a guess.
xani_status xn_scheme_make(xn_ctx *ctx, const xani_model *model, const xani_model_options *options, bool has_starts,
                           xn_scheme *scheme);

// One data set as it is fitted: only samples with a weight.
typedef struct xn_fitter {
    const xn_scheme *scheme;
    void *memory;
    int64_t room;          // samples
    int64_t n;             // samples in use
    double *x, *y, *w;     // (n, columns), n, n
    double *value, *other; // values of the parts (parts * room), scratch (XN_FITTER_SCRATCH * room)
    double *column;        // derivatives (parameters * room)
    double *full;          // parameters
    double *size;          // of each parameter: the change that changes its function by its own size; 0: not known
    double *matrix;        // parameters * (2 parameters + 1)
    double *covariance;    // parameters * parameters
    int64_t *index;        // where a sample stood in the data set
    double data_norm;
    int64_t evaluations;
    xn_lm_work lm;
} xn_fitter;

xani_status xn_fitter_create(xn_ctx *ctx, const xn_scheme *scheme, int64_t n_points, xn_fitter *f);
void xn_fitter_free(xn_fitter *f);
// Takes set `set` of the data.
void xn_fitter_load(xn_fitter *f, const xani_model_data *data, int64_t set);
// Parameters from variables, ties resolved.
void xn_fitter_expand(const xn_scheme *s, const double *z, double *p);
void xn_fitter_tie(const xn_scheme *s, double *p);
// The model at the samples in use, and its derivatives d[parameter] unless NULL. false: the caller's function refuses.
bool xn_fitter_model(xn_fitter *f, const double *p, double *y, double *const *d, int accuracy);
xn_lm_problem xn_fitter_problem(xn_fitter *f);

// start.c: the start values p (all parameters) of the loaded set. given: (parameters) or NULL.
void xn_fitter_start(xn_fitter *f, const double *given, double *p);
// minimum.c: from p to the best p; more than one attempt if need be. XANI_MODEL_*.
xani_model_status xn_fitter_minimise(xn_fitter *f, double *p);
// Covariance (parameters x parameters) at the minimum, scaled as asked; NaN where not known.
void xn_fitter_covariance(xn_fitter *f, double *covariance);

// batch.c: what fits and intervals share.
typedef struct xn_batch {
    xn_ctx *ctx;
    const xn_scheme *scheme;
    const xani_model_data *data;
    int threads;
    xn_fitter *fitter;        // one per thread
    int64_t before, in_total; // sets done before these, and of all: for progress
} xn_batch;
xani_status xn_batch_create(xn_ctx *ctx, const xn_scheme *scheme, const xani_model_data *data, int threads,
                            xn_batch *b);
void xn_batch_free(xn_batch *b);
// Calls one(user, fitter, set) for every set on all threads, with progress; stops early when interrupted.
typedef void (*xn_batch_fn)(void *user, xn_fitter *f, int64_t set);
xani_status xn_batch_run(const xn_batch *b, const char *stage, xn_batch_fn one, void *user);
xani_status xn_data_check(xn_ctx *ctx, const xani_model *model, const xani_model_data *data);

// fit.c: xani_model_fit on a part of a larger task, of which `before` sets are done and `in_total` are all (0: these).
xani_status xn_model_fit_part(xn_ctx *ctx, const xani_model *model, const xani_model_data *data,
                              const xani_model_options *options, xani_model_results *results, int64_t before,
                              int64_t in_total);

// distribution.c: the rise of chi^2 over its minimum, relative to it (F test) or absolute (chi^2 test), for a level.
double xn_level_rise(double level, int64_t degrees, bool absolute);

#endif
