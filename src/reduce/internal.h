// SPDX-License-Identifier: BSD-3-Clause
// internal.h -- what the files of reduce share: delay bins, pixel groups, the work plan, accumulators.
//
// In flow order: select.c (cuts; windows.c their statistics, cutflow.c in words), bins.c (delay bins), groups.c (pixels
// to groups, calibration planes), words.c (words to photons), correct.c (what needs whole frames), plan.c (memory,
// passes, batches), accumulate.c, solo.c, solo_strips.c, step.c and rows.c (frames to integer sums; device.h on
// devices), finish.c (sums to signal and errors), light.c (does every module see light?), sign.c, sign_tool.c (are its
// signs plausible?), zero.c (where is it 0?), curve.c (I0), drift.c (the laser-off reference), binned.c (cubes that
// come binned), reduce.c (the stage).
#ifndef XN_REDUCE_INTERNAL_H
#define XN_REDUCE_INTERNAL_H

#include "kernel/frame.h"
#include "kernel/reduce_kernels.h"
#include "reduce/reduce.h"

// ---- delay bins: half-open [edge, next edge)
typedef struct xn_bins {
    int n;
    double *edges_ps;         // (n + 1), owned
    double start_ps, step_ps; // uniform bins: floor((d - start) / step) decides; else step is 0 and the edges do
} xn_bins;

// delays: the candidates, needed for equal_count only. Key reduce.delay_bins_ps must be set.
xani_status xn_bins_make(xn_ctx *ctx, const xn_config *config, const double *delays_ps, int64_t n, xn_bins *bins);
int xn_bins_find(const xn_bins *bins, double delay_ps); // -1 outside
void xn_bins_free(xn_bins *bins);

// ---- corrections that need a whole frame (correct.c); none is made unless it is asked for
typedef enum { XN_DOUBLE_KEEP, XN_DOUBLE_MASK, XN_DOUBLE_INTERPOLATE } xn_double_pixels;
typedef enum { XN_PHOTONS_AS_THEY_ARE, XN_PHOTONS_ROUND, XN_PHOTONS_NEIGHBOUR, XN_PHOTONS_DROPLET } xn_photons_rule;

typedef struct xn_correct {
    bool by_frame; // some of it needs whole frames: they become photons as they are read
    bool common;
    xn_common_mode mode;
    xn_double_pixels double_pixels;
    int64_t chip_rows, chip_columns;
    xn_photons_rule photons;
    int32_t seed, total; // NEIGHBOUR
    xn_droplets droplets;
    uint32_t frame_mask;
} xn_correct;

// ---- pixel groups: k x k detector pixels, blocks within a module, incomplete ones dropped
typedef struct xn_groups {
    int k, of_detector;     // of_detector: of its pixels, where the source's are groups of them
    int64_t det_ny, det_nx; // detector
    int64_t ny, nx;         // groups
    int n_modules;
    int64_t *module_rows;     // (n_modules) group rows of each module
    int64_t *first_row;       // (ny) detector row where a group row begins
    int64_t *det_module_rows; // (n_modules) detector rows of each module
    xn_cal_kind kind;         // as the kernels take it (groups.c)
    xn_type type;             // of the frames as they are read
    double full;              // LINEAR
    uint32_t full_bit;        // NXmx bit of XN_FLAG_FULL: beyond the range where the words have no end of their own
    int fixed_stage;          // JUNGFRAU: 1 + the stage, 0: dynamic
    int n_stages, n_cells;
    const uint16_t *cell; // (frames) planes of each frame, NULL: the only ones; borrowed from the source
    const uint8_t *quiet; // borrowed too
    // (cell, y, x) per stage, ready for the kernels; masked pixels have factor 0. SCALE has no pedestal.
    float *pedestal[3], *factor[3];
    xn_correct correct;
    uint8_t *pixel_flags; // (detector) XN_FLAG_* seen in used shots; masked pixels are not flagged
    uint8_t *group_flags; // (groups) beyond the range of the sums
    uint32_t *mask;       // (detector) NXmx bits, those found unusable here included
    int32_t threshold;    // in fixed point
} xn_groups;

enum { XN_FLAG_INVALID = 1, XN_FLAG_FULL = 2 };

// NXmx bits set by reduce.
#define XN_MASK_DEAD 0x2u     // no photons in the laser-off class
#define XN_MASK_FULL 0x8u     // saturated in a used shot
#define XN_MASK_INVALID 0x20u // no valid reading in a used shot, or no calibration
#define XN_MASK_RANGE 0x200u  // more photons in a used shot than a pixel or the sums of a group take; free in NXmx
#define XN_PIXEL_PHOTONS 8192 // of a pixel in a shot (kernel/calib.h)

// Takes the source's planes for its own where cal.movable says so.
xani_status xn_groups_make(xn_ctx *ctx, const xn_config *config, xn_source *source, xn_groups *groups);
// Shape only: k, ny, nx, module_rows, first_row.
xani_status xn_groups_shape(xn_ctx *ctx, const xn_config *config, const xn_source *source, xn_groups *groups);
void xn_groups_free(xn_groups *groups);
// (y, x) of groups: 0 where a good pixel is left, else the bits of its pixels; flags are added.
xani_status xn_groups_mask(xn_ctx *ctx, const xn_groups *groups, uint32_t **mask);
// Where a group is one pixel, those flagged are masked pixels like those that were so from the start: which of the two
// they are depends on what is read first, and must not show.  mask: (detector) as groups->mask.
uint32_t xn_groups_flag_bits(const xn_groups *groups, uint8_t flags); // NXmx
void xn_groups_flagged(const xn_groups *groups, uint32_t *mask);
// Bytes of all that has the detector's size, the source's included; the shape is enough.
int64_t xn_groups_planes_bytes(const xn_source *source, const xn_groups *groups);
void xn_groups_mask_pixel(xn_groups *groups, int64_t pixel);

// ---- words.c: a row of one frame, or some pixels of it, to photons
typedef struct xn_word_row {
    const void *words;        // of groups->type
    const float *p[3], *f[3]; // planes at its first pixel
} xn_word_row;
// pixel: of the detector, that it begins with.
void xn_words_row(const xn_groups *groups, int64_t frame, int64_t pixel, const void *words, xn_word_row *r);
double xn_number_at(xn_type type, const void *values, int64_t i);
unsigned xn_words_code(const xn_groups *groups); // JUNGFRAU with fixed gain: the top two bits of its words
// Adds n pixels to col; true when one had no valid number.
bool xn_words_add(const xn_groups *groups, const xn_reduce_kernels *kernels, const xn_word_row *r, int64_t n,
                  int32_t threshold, int32_t *col);
// Rare: says which pixels of the row had no valid number, and why. Any thread.
void xn_words_flag(xn_groups *groups, int64_t pixel, const xn_word_row *r, int64_t n);
void xn_words_flag_pixel(xn_groups *groups, int64_t pixel, uint8_t flag);

// ---- correct.c
xani_status xn_correct_load(xn_ctx *ctx, const xn_config *config, const xn_source *source, xn_correct *correct);
void xn_correct_mark(xn_groups *groups);                 // pixels that a correction leaves out, into the mask
int64_t xn_correct_frame_bytes(const xn_groups *groups); // of a frame in a batch
int64_t xn_correct_room_bytes(const xn_groups *groups);  // of one thread
// The frame in `data`, as it was read, becomes photons in fixed point (int32) in the same place.
xani_status xn_correct_frame(xn_ctx *ctx, xn_source *source, xn_groups *groups, const xn_reduce_kernels *kernels,
                             int64_t frame, void *data, void *room, void *scratch);

// ---- fixed point (fixed_point.c)
typedef struct xn_fixed_point {
    double i0_scale;
    int64_t bound; // largest |v| that the sums can take
} xn_fixed_point;
// Of the used shots and groups of k x k pixels. XANI_ERR_INPUT where one I0 is so large that those of the usual shots
// would be rounded away.
xani_status xn_fixed_point_of(xn_ctx *ctx, const xn_shots *shots, int nbins, int k, xn_fixed_point *fixed);
double xn_i0_rounded(double i0);
int32_t xn_i0_fixed(double i0, double scale);

// ---- used shots in the order they are read
typedef struct xn_work_shot {
    int64_t frame;
    int64_t row; // of the shot table
    uint64_t pulse_id;
    int32_t block; // block of time for off.mode blocks and nearest, else 0
    int32_t bin;   // -1: laser off
    int32_t i0q;
    int32_t added; // number of the pass in which it was last added to the sums, from 1; 0: not yet
} xn_work_shot;

typedef struct xn_work {
    xn_work_shot *shots; // by block, then by frame
    int64_t n;
    int n_blocks;
    bool blockwise;
    xn_fixed_point fixed;
} xn_work;

xani_status xn_work_make(xn_ctx *ctx, const xn_config *config, const xn_shots *shots, int nbins, xn_work *work);
void xn_work_free(xn_work *work);
// Says how many blocks of time there are, and warns where laser-off shots are so uneven that one serves many others.
xani_status xn_work_say(xn_ctx *ctx, const xn_config *config, const xn_work *work);

// ---- plan
typedef struct xn_layout_plan {
    int64_t budget, fixed, per_bin; // bytes: given; without accumulators; accumulators of one bin
    int64_t batch_frames, frame_bytes;
    int bins_per_pass, passes, threads;
    bool batch_given;
    bool in_memory; // results and sums of all bins; else they lie in a file
} xn_layout_plan;

// batch_frames 0: chosen.
xani_status xn_plan_layout(xn_ctx *ctx, const xn_config *config, const xn_source *source, const xn_groups *groups,
                           const xn_work *work, int nbins, int64_t batch_frames, xn_layout_plan *plan);

// ---- accumulators of one pass: bins [first, first + n)
typedef struct xn_pass {
    int number; // from 1
    int first, n;
    bool with_off;                    // the laser-off totals are made in this pass
    int64_t *s1, *s2, *x;             // (bin, group), of the cube
    int64_t *off_s1, *off_s2, *off_x; // (group) totals of the off class
    // blockwise only: reference of the block and sums against it (see finish.c)
    int64_t *block_off;                 // (group) S1 of the off class in this block
    int64_t *block_off2, *block_offx;   // (group) S2, X of the off class: a sink in passes that do not need them
    int64_t *block_x;                   // (bin, group) X of this block
    double *expect, *expect_sq, *cross; // (bin, group) sums of e, e^2 and I e with e = I0 R_off(block), of the cube
} xn_pass;

typedef struct xn_accumulator xn_accumulator; // accumulate.h
// Sums of one pass, of the shots that are not in them yet. done: shots so far, of total.
xani_status xn_accumulate(xn_accumulator *a, const xn_pass *pass, int64_t *done, int64_t total);
#define XN_PRESCAN 16 // shots
// Reads the first shots and masks pixels without a valid reading there (stuck ones); counts them.
xani_status xn_prescan(xn_accumulator *a, int64_t *masked);
int64_t xn_accumulate_frames(const xn_work *work, const xn_layout_plan *plan); // frames read in all

// ---- sums to results
// Per-bin numbers that need no frames: shots, I0 and delay sums of on and off, delays, weights.
xani_status xn_finish_shots(xn_ctx *ctx, double i0_scale, xn_cube *cube);
// Signal and errors of the bins of a pass. Off sums must be complete.
xani_status xn_finish_pass(xn_ctx *ctx, const xn_pass *pass, int threads, xn_cube *cube);
// Warns of modules, or many pixel groups, whose laser-off shots hold no more than noise (light.c).
void xn_light_check(xn_ctx *ctx, const xn_cube *cube);
// Masked groups become NaN, and 0 in the sums; so do groups that are too bright for the sums or see no photons.
xani_status xn_finish_mask(xn_ctx *ctx, int64_t bound, xn_cube *cube);
// Counts and tells groups that are not masked yet and too bright for the sums.
int64_t xn_finish_bright(xn_ctx *ctx, int64_t bound, const xn_cube *cube);
// Tells where no pixel is left; XANI_ERR_INPUT where some were beyond the range.
xani_status xn_finish_check(xn_ctx *ctx, bool beyond_range, const xn_cube *cube);
xani_status xn_finish_beyond(xn_ctx *ctx);                                           // that error
xani_status xn_sums_alloc_bins(xn_ctx *ctx, int nbins, int64_t npix, xn_sums *sums); // per-bin arrays only

xani_status xn_reduce_binned(xn_ctx *ctx, const xn_config *config, xn_source *source, xn_cube *cube);

// ---- I0 (curve.c)

// I0 of the used shots by select.i0_correction.coefficients, or by those given; a shot that is left without one above 0
// is refused. changed: something was.
xani_status xn_curve_apply(xn_ctx *ctx, const double *coefficients, int n, xn_cube *cube);
#define XN_CURVE_MOST 8
#define XN_CURVE_SAMPLE 4096 // laser-off shots that a curve is fitted to
// c_0 + c_1 I0 + c_2 I0^2 through photons against I0 of laser-off shots, scaled so that the mean I0 stays. photons: one
// per shot, NaN where not known.
xani_status xn_curve_fit(xn_ctx *ctx, const xn_shots *shots, const double *photons, double coefficients[3]);
// Says how the photons of laser-off shots go with I0, and warns where they do not go in proportion.
xani_status xn_curve_check(xn_ctx *ctx, const xn_cube *cube);

// Warns when the laser-off reference drifts with the delay and is one for the whole run (drift.c).
void xn_drift_check(xn_ctx *ctx, const xn_cube *cube);

// The cut-flow as a table in the log.
void xn_cutflow_say(xn_ctx *ctx, const xn_cutflow *flow, const xn_shots *shots);

// Warns when signal lies at negative delays and none at positive ones (science.md S4). Returns true if it warned.
bool xn_sign_check(xn_ctx *ctx, const xn_cube *cube);

// The same for the sign of the time tool's part, by whether it sharpens the signal in time (sign_tool.c).
typedef enum { XN_TOOL_UNKNOWN, XN_TOOL_SHARPENS, XN_TOOL_BLURS, XN_TOOL_REVERSED } xn_tool_verdict;
xn_tool_verdict xn_sign_check_tool(xn_ctx *ctx, const xn_cube *cube);

// Says where delay zero lies by the rise of the total intensity; NaN where it has none. Nothing is changed.
xani_status xn_zero_find(xn_ctx *ctx, const xn_config *config, const xn_cube *cube, double *zero_ps, double *error_ps);

// xn_reduce_watched with a given batch size (0: chosen), for tests and benchmarks.
xani_status xn_reduce_batched(xn_ctx *ctx, const xn_config *config, xn_source *source, const xn_reduce_watch *watch,
                              int64_t batch_frames, xn_cube *cube);
// The same with given devices (device.h) instead of those that this library was built with.
struct xn_sum_tables;
xani_status xn_reduce_on(xn_ctx *ctx, const xn_config *config, xn_source *source, const xn_reduce_watch *watch,
                         int64_t batch_frames, const struct xn_sum_tables *tables, xn_cube *cube);

#endif
