/* SPDX-License-Identifier: BSD-3-Clause */
/* repack.h -- raw files rewritten for fast reading. Part of <xani/xani.h>, which is what programs include.
   What becomes of which dataset, and when to do it: docs/repack.md. */
#ifndef XANI_REPACK_H
#define XANI_REPACK_H

#include <xani/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct xani_repack_options {
    size_t size;                 /* sizeof(xani_repack_options), set by xani_repack_options_init */
    const char *filter;          /* "bslz4"; "none", "bszstd", "gzip", "zstd" */
    int level;                   /* of gzip and zstd; 0: the default one */
    const char *const *datasets; /* datasets to be stored anew; NULL: all large ones of numbers */
    size_t n_datasets;
    const int64_t
        *chunk; /* elements of a chunk along the first chunk_rank axes, whole along the others; NULL: chosen */
    int chunk_rank;
    int64_t first, last; /* rows first ... last - 1 of the slowest axis; last < 0: to the end */
    int virtual_dataset; /* not 0: refer to the inputs instead of copying large datasets */
    int dry_run;         /* not 0: say what would be done and how large the output would be */
    int threads;         /* 0: all */
} xani_repack_options;

XANI_API void xani_repack_options_init(xani_repack_options *options);
/* Writes `output` from HDF5 files whose frames follow one another. Everything is read back and compared before the
   output takes its name. summary: what was done as JSON text (may be NULL). */
XANI_API xani_status xani_repack(xani_context *context, const char *const *inputs, size_t n_inputs, const char *output,
                                 const xani_repack_options *options, char **summary);

#ifdef __cplusplus
}
#endif
#endif
