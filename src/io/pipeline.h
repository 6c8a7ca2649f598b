// SPDX-License-Identifier: BSD-3-Clause
// pipeline.h -- a dataset's filters as the codecs see them, and our codecs lent to the library.
#ifndef XN_IO_PIPELINE_H
#define XN_IO_PIPELINE_H

#include "codec/filter.h"
#include "io/library.h"

void xn_pipeline_get(hid_t created, xn_pipeline *pipeline); // of a dataset's creation properties

// filter_library.c: lends our decoders to the library for those filters of a dataset it has no plugin for.
void xn_filters_make_available(hid_t dataset);
void xn_filter_make_available(int id);

#endif
