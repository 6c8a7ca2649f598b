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

/* Its parts; programs include this file only. */
#include <xani/base.h>

#include <xani/arrays.h>
#include <xani/model.h>
#include <xani/phonons.h>
#include <xani/prediction.h>
#include <xani/repack.h>
#include <xani/traces.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the pipeline --------------------------------------------------------------------------- */

/* Writes a simulated raw experiment and truth.h5 into the folder `directory` (created if missing). NULL: configuration,
   crystal and detector are checked, nothing is written. */
XANI_API xani_status xani_sim(xani_context *context, const xani_config *config, const char *directory);
/* reduce -> fit -> map -> summary; resumes what is there. directory NULL: output.directory.
   summary: JSON text (may be NULL), to be freed whatever is returned: an interrupted run has one too. */
XANI_API xani_status xani_run(xani_context *context, const xani_config *config, const char *directory, char **summary);
XANI_API xani_status xani_reduce(xani_context *context, const xani_config *config, const char *cube_path);
/* Pedestals, noise and bad pixels of the dark runs of the configuration (dark.runs) into calibration.h5.
   calibration_path NULL: the runs are opened, nothing is written. */
XANI_API xani_status xani_dark(xani_context *context, const xani_config *config, const char *calibration_path);
/* Fits a cube.h5 or run%04d_on.h5 (the _off file beside it is found). config may be NULL. */
XANI_API xani_status xani_fit(xani_context *context, const xani_config *config, const char *cube_path,
                              const char *modes_path);
/* Maps modes of one or more runs; config NULL: the one stored in the first file. */
XANI_API xani_status xani_map(xani_context *context, const xani_config *config, const char *const *modes_paths,
                              size_t n_paths, const char *dispersion_path);
/* Everything that xani_map would refuse before it calculates, and as JSON what it would map: runs, path, volume. */
XANI_API xani_status xani_map_plan(xani_context *context, const xani_config *config, const char *const *modes_paths,
                                   size_t n_paths, const char *dispersion_path, char **json);

/* Adds the sums of cubes that were reduced apart (runs, shards, input.part) to the cube that one reduction of all their
   shots gives, bit by bit and whatever their order. XANI_ERR_INPUT says in what two of them differ. */
XANI_API xani_status xani_merge(xani_context *context, const char *const *cube_paths, size_t n_paths,
                                const char *output_path);

/* Writes n bytes to a file as results are written: under a temporary name, synced, renamed; what killed writers of the
   same name left behind is removed. A file that is there is replaced. */
XANI_API xani_status xani_write_file(xani_context *context, const char *path, const void *bytes, size_t n);

/* ---- questions; answers are JSON (init: YAML) text ------------------------------------------ */

XANI_API xani_status xani_info(xani_context *context, const char *const *paths, size_t n_paths, char **json);
XANI_API xani_status xani_init(xani_context *context, const char *const *paths, size_t n_paths, char **yaml);
/* What geometry.* of the configuration describes: modules, pixels, extent, and its panels as rectangles seen facing the
   beam; a distance that is missing is no error. */
XANI_API xani_status xani_detector(xani_context *context, const xani_config *config, char **json);
/* Where the pixels of geometry.* are: position (shape[0], shape[1], 3) in metres in the laboratory frame, NaN where
   nothing covers a pixel; q (the same shape, may be NULL) in 1/Angstrom with 2 pi; mask (shape) 0 = good. Each is
   released with xani_free. */
XANI_API xani_status xani_pixels(xani_context *context, const xani_config *config, int64_t shape[2], float **position,
                                 double **q, uint8_t **mask);
XANI_API xani_status xani_check(xani_context *context, const xani_config *config, char **json);
/* Refines the orientation against the diffuse scattering of the mean laser-off frames: by how much it is off, with
   errors, and the refined orientation and UB. */
XANI_API xani_status xani_index(xani_context *context, const xani_config *config, char **json);
XANI_API xani_status xani_plan(xani_context *context, const xani_config *config, char **json);
/* Checks every result below the paths against its manifest; XANI_ERR_VERIFY if one differs, and json says which. */
XANI_API xani_status xani_verify(xani_context *context, const char *const *paths, size_t n_paths, char **json);
/* What the built library and this machine offer (kernels, threads, ways to read, CUDA and its devices) as JSON. */
XANI_API xani_status xani_machine(xani_context *context, char **json);

#ifdef __cplusplus
}
#endif
#endif
