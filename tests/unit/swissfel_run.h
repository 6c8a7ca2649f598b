// SPDX-License-Identifier: BSD-3-Clause
// swissfel_run.h -- a tiny SwissFEL run for tests: 24 shots of two modules of 4 x 6 pixels, every second pulse.
//
// Shot i has pulse id 1000 + 2 i and laser unless i % 4 == 3; its frame holds words 100 + i; the stage stands at
// 150 - 0.1 i, the edge at 400 + i, I0 is 1 + 0.1 i.  Channels come in reverse order.
#ifndef XN_TEST_SWISSFEL_RUN_H
#define XN_TEST_SWISSFEL_RUN_H

#include "h5write.h"

#define SF_DET "JF07T02V01"
#define SF_I0 "SAROP21-PBPS133:INTENSITY"
#define SF_STAGE "SLAAR21-LMOT-M523:MOTOR_1.VAL"
#define SF_EDGE "SAROP21-ATT01:edge_position"
#define SF_AMPLITUDE "SAROP21-ATT01:edge_amplitude"
#define SF_EVENTS "SAR-CVME-TIFALL5:EvtSet"
enum { SF_SHOTS = 24, SF_MODULES = 2, SF_NY = 8, SF_NX = 6, SF_PLANE = SF_NY * SF_NX };

static inline bool sf_laser(int shot) { return shot % 4 != 3; }
static inline uint64_t sf_pulse(int shot) { return 1000 + 2 * (uint64_t)shot; }

// Channel with n readings; ids and values as given.
static inline void sf_channel(const char *file, const char *name, int n, const uint64_t *id, const double *value)
{
    char path[300];
    snprintf(path, sizeof path, "data/%s/pulse_id", name);
    h5_put(file, path, H5T_NATIVE_UINT64, H5_SHAPE((hsize_t)n), id);
    snprintf(path, sizeof path, "data/%s/data", name);
    h5_put(file, path, H5T_NATIVE_DOUBLE, H5_SHAPE((hsize_t)n), value);
}

static inline double sf_value(const char *name, int shot)
{
    if (strcmp(name, SF_I0) == 0) return 1 + 0.1 * shot;
    if (strcmp(name, SF_STAGE) == 0) return 150 - 0.1 * shot;
    if (strcmp(name, SF_EDGE) == 0) return sf_laser(shot) ? 400 + shot : NAN;
    return sf_laser(shot) ? 1.0 : 0.0; // amplitude
}

// Shots [first, first + n) of the detector into a new file.
static inline void sf_detector(const char *file, int first, int n)
{
    static uint16_t words[SF_SHOTS * SF_PLANE];
    uint64_t id[SF_SHOTS], index[SF_SHOTS];
    uint32_t daq[SF_SHOTS * SF_MODULES];
    uint8_t good[SF_SHOTS];
    for (int i = 0; i < n; i++) {
        id[i] = sf_pulse(first + i);
        index[i] = (uint64_t)i;
        good[i] = 1;
        for (int m = 0; m < SF_MODULES; m++) daq[i * SF_MODULES + m] = (sf_laser(first + i) ? 1u << 16 : 0) | 1u << 18;
        for (int p = 0; p < SF_PLANE; p++) words[i * SF_PLANE + p] = (uint16_t)(100 + first + i);
    }
    hsize_t rows = (hsize_t)n;
    h5_make(file);
    h5_put(file, "general/detector_name", H5T_C_S1, 0, NULL, SF_DET);
    h5_put(file, "data/" SF_DET "/data", H5T_NATIVE_UINT16, H5_SHAPE(rows, SF_NY, SF_NX), words);
    h5_put(file, "data/" SF_DET "/pulse_id", H5T_NATIVE_UINT64, H5_SHAPE(rows, 1), id);
    h5_put(file, "data/" SF_DET "/frame_index", H5T_NATIVE_UINT64, H5_SHAPE(rows, 1), index);
    h5_put(file, "data/" SF_DET "/daq_rec", H5T_NATIVE_UINT32, H5_SHAPE(rows, SF_MODULES), daq);
    h5_put(file, "data/" SF_DET "/is_good_frame", H5T_NATIVE_UINT8, H5_SHAPE(rows, 1), good);
    h5_put(file, "data/" SF_DET "/module_map", H5T_NATIVE_INT64, H5_SHAPE(SF_MODULES), (int64_t[]){0, 1});
}

static inline void sf_channels(const char *file)
{
    static const char *const names[] = {SF_I0, SF_STAGE, SF_EDGE, SF_AMPLITUDE};
    static uint8_t events[SF_SHOTS * 256];
    uint64_t id[SF_SHOTS];
    double value[SF_SHOTS];
    h5_make(file);
    for (int c = 0; c < 4; c++) {
        for (int i = 0; i < SF_SHOTS; i++) {
            id[i] = sf_pulse(SF_SHOTS - 1 - i);
            value[i] = sf_value(names[c], SF_SHOTS - 1 - i);
        }
        sf_channel(file, names[c], SF_SHOTS, id, value);
    }
    for (int i = 0; i < SF_SHOTS; i++) {
        id[i] = sf_pulse(i);
        events[i * 256 + 20] = sf_laser(i);
        events[i * 256 + 25] = !sf_laser(i);
        events[i * 256 + 30] = i == 5;
    }
    h5_put(file, "data/" SF_EVENTS "/data", H5T_NATIVE_UINT8, H5_SHAPE(SF_SHOTS, 256), events);
    h5_put(file, "data/" SF_EVENTS "/pulse_id", H5T_NATIVE_INT64, H5_SHAPE(SF_SHOTS), id);
    h5_put(file, "data/general/created", H5T_C_S1, 0, NULL, "stray");
}

static inline double sf_gain(int plane) { return (double[]){40, -1.4, -0.1, 50, -2, -0.2}[plane]; }
static inline double sf_pedestal(int plane) { return (double[]){100, 14000, 13000, 90}[plane]; }

// Gains of 4 planes, pedestals of 3; each plane constant.
static inline void sf_calibration(const char *gains, const char *pedestals)
{
    double g[4 * SF_PLANE], p[3 * SF_PLANE];
    for (int i = 0; i < 4 * SF_PLANE; i++) g[i] = sf_gain(i / SF_PLANE);
    for (int i = 0; i < 3 * SF_PLANE; i++) p[i] = sf_pedestal(i / SF_PLANE);
    h5_make(gains);
    h5_put(gains, "gains", H5T_NATIVE_DOUBLE, H5_SHAPE(4, SF_NY, SF_NX), g);
    h5_make(pedestals);
    h5_put(pedestals, "gains", H5T_NATIVE_DOUBLE, H5_SHAPE(3, SF_NY, SF_NX), p);
    h5_put(pedestals, "gainsRMS", H5T_NATIVE_DOUBLE, H5_SHAPE(3, SF_NY, SF_NX), p);
    h5_put(pedestals, "pixel_mask", H5T_NATIVE_INT64, H5_SHAPE(SF_NY, SF_NX), (int64_t[SF_PLANE]){[7] = 1, [9] = 6});
}

#define SF_YAML                                                                                                        \
    "experiment: {energy_kev: 10}\n"                                                                                   \
    "input:\n"                                                                                                         \
    "  layout: swissfel\n"                                                                                             \
    "  files: ['acq*.h5']\n"                                                                                           \
    "  frames: " SF_DET "\n"                                                                                           \
    "  i0: " SF_I0 "\n"                                                                                                \
    "  laser: daq_rec\n"                                                                                               \
    "  delay:\n"                                                                                                       \
    "    parts: [{source: '" SF_STAGE "', scale_ps: 6.67, origin: 150}]\n"                                             \
    "    sign: -1\n"                                                                                                   \
    "    zero_ps: 0.5\n"                                                                                               \
    "    time_tool: {source: '" SF_EDGE "', sign: -1, origin: 400, coefficients_ps: [0.01, 0.002, 0.0001]}\n"          \
    "  calibration: {pedestal: pedestal.h5, gain: gains.h5}\n"                                                         \
    "select:\n"                                                                                                        \
    "  time_tool: {source: '" SF_AMPLITUDE "', min: 0.5}\n"

#endif
