// SPDX-License-Identifier: BSD-3-Clause
// cube_fields.c -- see cube_fields.h.
#include "result/cube_fields.h"

#define DIMS(...)                                                                                                      \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }
#define BINS 1, DIMS(BIN)
#define OFFS 1, DIMS(OFF)
#define PLANE 2, DIMS(Y, X)
#define TRACES 3, DIMS(BIN, Y, X)
#define SHOTS 1, DIMS(SHOT)

static const xn_field fields[] = {
    {"/entry/cube/signal", offsetof(xn_cube, signal), XN_F32, TRACES, false, "", "relative change R_on/R_off - 1"},
    {"/entry/cube/signal_errors", offsetof(xn_cube, errors), XN_F32, TRACES, true, "", "one standard deviation"},
    {"/entry/cube/delay", offsetof(xn_cube, delay_ps), XN_F64, BINS, false, "ps", "delay"},
    {"/entry/bins/edges", offsetof(xn_cube, edges_ps), XN_F64, 1, DIMS(EDGE), true, "ps", "edges of the delay bins"},
    {"/entry/bins/weight", offsetof(xn_cube, weight), XN_F64, BINS, true, "", "sum of I0 over its mean; 0: empty"},
    {"/entry/mask", offsetof(xn_cube, mask), XN_U32, PLANE, false, NULL, "NXmx pixel_mask bits; 0: good"},
    {"/entry/mean_frame/photons", offsetof(xn_cube, mean_frame), XN_F32, PLANE, true, "",
     "photons per shot, laser off"},
    {"/entry/module_rows", offsetof(xn_cube, module_rows), XN_I64, 1, DIMS(MODULE), true, "pixel",
     "rows of each module"},
    // sums, integers: units per photon etc. in attributes of the groups
    {"/entry/sums/on/shots", offsetof(xn_cube, on.shots), XN_I64, BINS, true, "", "shots"},
    {"/entry/sums/on/i0_sum", offsetof(xn_cube, on.i0_sum), XN_I64, BINS, true, NULL, "sum of I0"},
    {"/entry/sums/on/i0_sq_sum", offsetof(xn_cube, on.i0_sq_sum), XN_I64, BINS, true, NULL, "sum of I0^2"},
    {"/entry/sums/on/delay_sum", offsetof(xn_cube, on.delay_sum), XN_I64, BINS, true, NULL, "sum of delay"},
    {"/entry/sums/on/delay_sq_sum", offsetof(xn_cube, on.delay_sq_sum), XN_I64, BINS, true, NULL, "sum of delay^2"},
    {"/entry/sums/on/s1", offsetof(xn_cube, on.s1), XN_I64, TRACES, true, NULL, "sum of I"},
    {"/entry/sums/on/s2", offsetof(xn_cube, on.s2), XN_I64, TRACES, true, NULL, "sum of I^2"},
    {"/entry/sums/on/x", offsetof(xn_cube, on.x), XN_I64, TRACES, true, NULL, "sum of I I0"},
    {"/entry/sums/off/shots", offsetof(xn_cube, off.shots), XN_I64, OFFS, true, "", "shots"},
    {"/entry/sums/off/i0_sum", offsetof(xn_cube, off.i0_sum), XN_I64, OFFS, true, NULL, "sum of I0"},
    {"/entry/sums/off/i0_sq_sum", offsetof(xn_cube, off.i0_sq_sum), XN_I64, OFFS, true, NULL, "sum of I0^2"},
    {"/entry/sums/off/delay_sum", offsetof(xn_cube, off.delay_sum), XN_I64, OFFS, true, NULL, "sum of delay"},
    {"/entry/sums/off/delay_sq_sum", offsetof(xn_cube, off.delay_sq_sum), XN_I64, OFFS, true, NULL, "sum of delay^2"},
    {"/entry/sums/off/s1", offsetof(xn_cube, off.s1), XN_I64, 3, DIMS(OFF, Y, X), true, NULL, "sum of I"},
    {"/entry/sums/off/s2", offsetof(xn_cube, off.s2), XN_I64, 3, DIMS(OFF, Y, X), true, NULL, "sum of I^2"},
    {"/entry/sums/off/x", offsetof(xn_cube, off.x), XN_I64, 3, DIMS(OFF, Y, X), true, NULL, "sum of I I0"},
    // with an off reference per block of time: e, what the block's reference expects of each shot
    {"/entry/sums/on/expected_sum", offsetof(xn_cube, on.expect), XN_F64, TRACES, true, NULL, "sum of e"},
    {"/entry/sums/on/expected_sq_sum", offsetof(xn_cube, on.expect_sq), XN_F64, TRACES, true, NULL, "sum of e^2"},
    {"/entry/sums/on/expected_cross_sum", offsetof(xn_cube, on.cross), XN_F64, TRACES, true, NULL, "sum of I e"},
    {"/entry/sums/peak", offsetof(xn_cube, peak), XN_I64, PLANE, true, NULL, "largest |I| of a used shot"},
    {"/entry/pixels/mask", offsetof(xn_cube, pixel_mask), XN_U32, 2, DIMS(DET_Y, DET_X), true, NULL,
     "NXmx bits of the detector's pixels; those that are not 0 are in no sum"},
    // sums of binned input, as read
    {"/entry/sums/on/intensity", offsetof(xn_cube, on_float), XN_F64, TRACES, true, NULL, "sum of frames as read"},
    {"/entry/sums/off/intensity", offsetof(xn_cube, off_float), XN_F64, PLANE, true, NULL, "sum of frames as read"},
    {"/entry/sums/on/i0", offsetof(xn_cube, on_i0), XN_F64, BINS, true, NULL, "sum of I0 as read"},
    {"/entry/sums/on/count", offsetof(xn_cube, on_count), XN_F64, BINS, true, "", "shots as read"},
};

static const xn_field shot_fields[] = {
    {"/entry/shots/pulse_id", offsetof(xn_cube, shots.pulse_id), XN_U64, SHOTS, false, NULL, "pulse id"},
    {"/entry/shots/frame", offsetof(xn_cube, shots.frame), XN_I64, SHOTS, false, NULL, "detector frame"},
    {"/entry/shots/laser", offsetof(xn_cube, shots.laser), XN_U8, SHOTS, false, NULL, "0 off, 1 on, 2 unknown"},
    {"/entry/shots/i0", offsetof(xn_cube, shots.i0), XN_F64, SHOTS, false, NULL, "incoming intensity"},
    {"/entry/shots/delay", offsetof(xn_cube, shots.delay_ps), XN_F64, SHOTS, false, "ps", "corrected delay"},
    {"/entry/shots/bin", offsetof(xn_cube, shots.bin), XN_I32, SHOTS, false, NULL, "delay bin; -1: not binned"},
    {"/entry/shots/verdict", offsetof(xn_cube, shots.verdict), XN_U8, SHOTS, false, NULL,
     "0 used, else the cut that refused it"},
};

static const xn_scalar scalars[] = {
    {"/entry/spatial_bin", offsetof(xn_cube, spatial_bin), XN_I32, false, "pixel"},
    {"/entry/time_resolution", offsetof(xn_cube, time_resolution_ps), XN_F64, true, "ps"},
    {"/entry/sums/i0_scale", offsetof(xn_cube, i0_scale), XN_F64, true, NULL},
    {"/entry/shots/missing", offsetof(xn_cube, shots.missing), XN_I64, true, NULL},
    {"/entry/shots/duplicate", offsetof(xn_cube, shots.duplicate), XN_I64, true, NULL},
    {"/entry/shots/unmatched", offsetof(xn_cube, shots.unmatched), XN_I64, true, NULL},
    {"/entry/shots/time_resolution", offsetof(xn_cube, shots.time_resolution_ps), XN_F64, true, "ps"},
    {"/entry/shots/frames", offsetof(xn_cube, shots.frames), XN_I64, true, NULL},
};

static const xn_scalar off_scalars[] = {
    {"/entry/sums/off/i0", offsetof(xn_cube, off_i0), XN_F64, false, NULL},
    {"/entry/sums/off/count", offsetof(xn_cube, off_count), XN_F64, false, NULL},
};

const xn_cube_table xn_cube_datasets = {.fields = fields,
                                        .shots = shot_fields,
                                        .scalars = scalars,
                                        .off = off_scalars,
                                        .n_fields = XN_COUNT(fields),
                                        .n_shots = XN_COUNT(shot_fields),
                                        .n_scalars = XN_COUNT(scalars),
                                        .n_off = XN_COUNT(off_scalars)};
