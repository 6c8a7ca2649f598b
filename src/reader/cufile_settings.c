// SPDX-License-Identifier: BSD-3-Clause
// cufile_settings.c -- engine.cufile.* of a configuration as cufile.h wants it.
#include <string.h>

#include "reader/cufile.h"

// "on", "off", or anything else for: as the library has it.
static int flag(const xn_config *c, const char *key)
{
    const char *word = xn_config_string(c, key);
    return strcmp(word, "on") == 0 ? 1 : strcmp(word, "off") == 0 ? 0 : XN_CUFILE_UNSET;
}

xn_cufile_settings xn_cufile_settings_of(const xn_config *c)
{
    // Several of our threads read pieces of their own, so the library is not asked to split them further.
    xn_cufile_settings s = {
        .parallel_io = 0, .compat_allow = XN_CUFILE_UNSET, .compat_force = XN_CUFILE_UNSET, .p2p = XN_CUFILE_UNSET};
    if (c == NULL) return s;
    const char *compat = xn_config_string(c, "engine.cufile.compat");
    s.parallel_io = flag(c, "engine.cufile.parallel_io");
    s.p2p = flag(c, "engine.cufile.p2p");
    if (strcmp(compat, "auto") != 0) s.compat_allow = strcmp(compat, "never") != 0;
    if (strcmp(compat, "force") == 0) s.compat_force = 1;
    s.max_io_threads = xn_config_int(c, "engine.cufile.max_io_threads");
    s.max_request_parallelism = xn_config_int(c, "engine.cufile.max_request_parallelism");
    s.max_direct_io_kb = xn_config_int(c, "engine.cufile.max_direct_io_kb");
    s.buffer_kb = xn_config_int(c, "engine.cufile.buffer_kb");
    return s;
}
