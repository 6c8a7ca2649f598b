// SPDX-License-Identifier: BSD-3-Clause
// plugin.h -- filters that only a plugin of the library decodes, called outside the library's lock.
//
// The library decodes chunk after chunk behind one lock, whatever the filter.  A plugin's function may be called past
// it only if two threads can be in it at once, for the library or another user of the plugin may be.  Safe therefore
// means: its source keeps nothing between calls and calls nothing of the library but its memory and error functions
// (such ids stand in a table in plugin.c); it is the very plugin the library has loaded; and the first stored chunk of
// the dataset comes out as H5Dread gives it.  Everything else stays with H5Dread.
#ifndef XN_IO_PLUGIN_H
#define XN_IO_PLUGIN_H

#include "codec/filter.h"
#include "io/library.h"

// The decoder for a filter (xn_filter.decode); NULL: there is none that is safe to call. Inside enter/leave.
xn_decoder xn_plugin_decoder(int id);
// Whether the first stored chunk of the dataset, decoded by the pipeline, is what H5Dread gives. True for pipelines
// without plugins, where nothing is stored yet, and where that chunk is damaged. Inside enter/leave.
bool xn_plugin_agrees(hid_t dataset, const xn_pipeline *pipeline);

#endif
