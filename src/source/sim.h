// SPDX-License-Identifier: BSD-3-Clause
// sim.h -- the simulated experiment: a source like any other, and writers of its raw files and truth.
#ifndef XN_SOURCE_SIM_H
#define XN_SOURCE_SIM_H

#include "data/source.h"

// Writes the layouts named in sim.layouts (swissfel, cube_noiseless) for every run, truth.h5, the geometry file and a
// configuration xani.yaml that `xani run` takes as it is, into dir (made if missing).
xani_status xn_sim_write(xn_ctx *ctx, const xn_config *config, const char *dir);
// The simulated shots as a source (no files), so that reduce can bin them directly: layout "cube" of xani sim.
extern const xn_source_ops xn_source_sim;

#endif
