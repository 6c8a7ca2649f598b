// SPDX-License-Identifier: BSD-3-Clause
// sim.h -- the simulated experiment: a source like any other, and writers of its raw files and truth.
//
// Layouts of cubes hold the same shots as the raw files, binned.  Binning is another stage's work, so that the pipeline
// lends it: xn_sim_write first, then xn_sim_write_binned with a function that reduces a source and writes run%04d_on.h5
// and run%04d_off.h5, of which other cubes are made.
#ifndef XN_SOURCE_SIM_H
#define XN_SOURCE_SIM_H

#include "data/source.h"

#define XN_SIM_KIND "sim" // of all that it writes, in manifests

// folder.c: where to write what is to take its names in dir, which is made if missing: a folder of its own, owned.
// XANI_ERR_USAGE where a file stands in the way that no simulation wrote.  What fails between begin and end, whose
// status `st` is, leaves all as it was.
xani_status xn_sim_begin(xn_ctx *ctx, const xn_config *config, const char *dir, char **place, bool *made);
xani_status xn_sim_end(xn_ctx *ctx, const xn_config *config, const char *dir, char **place, bool made, xani_status st);
// Whether there is something to simulate: settings, crystal, geometry. Writes nothing.
xani_status xn_sim_check(xn_ctx *ctx, const xn_config *config);
// Writes the layouts named in sim.layouts for every run, truth.h5, the geometry file and a
// configuration xani.yaml that `xani run` takes as it is, into dir (made if missing).
xani_status xn_sim_write(xn_ctx *ctx, const xn_config *config, const char *dir);
// The simulated shots as a source (no files), so that reduce can bin them directly: layout "cube" of xani sim.
extern const xn_source_ops xn_source_sim;

// Bins the shots of a source as the configuration says and writes PREFIX_on.h5 and PREFIX_off.h5.
typedef xani_status (*xn_sim_bin)(xn_ctx *ctx, const xn_config *config, xn_source *source, const char *prefix);
// Where sim.layouts names cubes: calls bin for every run with full resolution (reduce.spatial_bin 1) and writes the
// configuration that goes with the cubes.  Else nothing.
xani_status xn_sim_write_binned(xn_ctx *ctx, const xn_config *config, const char *dir, xn_sim_bin bin);

#endif
