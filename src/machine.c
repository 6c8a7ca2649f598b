// SPDX-License-Identifier: BSD-3-Clause
// machine.c -- what the built library and this machine offer.
#include <stdlib.h>
#include <unistd.h>

#include "io/device/device.h"
#include "kernel/device.h"
#include "kernel/kernels.h"
#include "pipeline.h"

// Whether files can be read straight into devices. Asked only where there is one: without a driver some versions of
// the library never return from being opened.
static json_t *cufile_state(int devices)
{
    xn_device_target t;
    if (devices == 0 || xn_device_target_find(NULL, NULL, xn_device_io_built(), 0, "cufile", &t) != XANI_OK)
        return json_pack("{s:b, s:s}", "works", 0, "why", "no device");
    if (!t.cufile) return json_pack("{s:b, s:s}", "works", 0, "why", t.note);
    return json_pack("{s:b, s:i, s:s}", "works", 1, "version", xn_cufile_version(), "mode", xn_cufile_mode());
}

// Whether CUDA is built in, the devices there are, or why there are none.
static json_t *cuda_state(void)
{
    const xn_device_driver *driver = xn_device_driver_built();
    char why[256] = "this xani was built without CUDA";
    const int n = driver != NULL ? driver->count(why, sizeof why) : 0;
    json_t *devices = json_array();
    for (int i = 0; i < n; i++) {
        xn_device_info d;
        if (!driver->describe(i, &d, why, sizeof why)) continue;
        json_array_append_new(devices,
                              json_pack("{s:i, s:s, s:i, s:i, s:I, s:I, s:i, s:i}", "number", i, "name", d.name,
                                        "capability", d.capability, "multiprocessors", d.multiprocessors,
                                        "memory_bytes", (json_int_t)d.memory_bytes, "cache_bytes",
                                        (json_int_t)d.cache_bytes, "driver", d.driver, "runtime", d.runtime));
    }
    json_t *state = json_pack("{s:b, s:o}", "built", driver != NULL, "devices", devices);
    if (n == 0) json_object_set_new(state, "why", json_string(why));
    json_object_set_new(state, "cufile", cufile_state(n));
    return state;
}

// The ways to read into memory of the host, and why some do not work here. Those for devices are in cuda_state.
static json_t *reader_states(void)
{
    json_t *readers = json_array();
    for (int i = 0; xn_reader_at(i) != NULL; i++) {
        char why[160] = "";
        bool works = xn_reader_at(i)->works(why);
        json_t *reader = json_pack("{s:s, s:b}", "name", xn_reader_at(i)->name, "works", works);
        if (!works) json_object_set_new(reader, "why", json_string(why));
        json_array_append_new(readers, reader);
    }
    return readers;
}

xani_status xn_machine(xn_ctx *ctx, json_t **answer)
{
    json_t *kernels = json_array();
    const xn_fit_kernel *k;
    for (int i = 0; (k = xn_fit_kernel_list(i)) != NULL; i++)
        json_array_append_new(kernels,
                              json_pack("{s:s, s:i, s:i}", "name", k->name, "bits", k->bits, "lanes", k->width));
    double memory = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    *answer = json_pack("{s:s, s:s, s:i, s:I, s:o, s:o, s:o}", "xani", xani_version(), "compiler", __VERSION__,
                        "threads", xn_threads(0), "memory_bytes", (json_int_t)memory, "fit_kernels", kernels, "readers",
                        reader_states(), "cuda", cuda_state());
    return *answer ? XANI_OK : xn_fail_memory(ctx, "the answer", 4096);
}
