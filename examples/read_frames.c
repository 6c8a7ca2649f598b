/* SPDX-License-Identifier: BSD-3-Clause */
/* read_frames.c -- uses libxani from a C program: reads a stack of frames in batches and adds them up.
 *
 *   cc read_frames.c $(pkg-config --cflags --libs xani) -lm && ./a.out FILE DATASET
 *
 * Without arguments it first simulates a small experiment to have a file.  The next batch is read and decoded on all
 * cores while the program works on the one it has.  It ends with 1 if a batch differs from the same rows read at once.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xani/xani.h>

static int fail(xani_context *context)
{
    fprintf(stderr, "%s\n", xani_error_text(context));
    return 1;
}

static int add_up(xani_context *context, xani_dataset *dataset)
{
    xani_dataset_info info;
    xani_batch_options options;
    xani_batches *batches = NULL;
    xani_batch batch;
    int64_t pixels = 1, i;
    double sum = 0, again = 0;
    float *all;
    int k;
    xani_dataset_info_init(&info);
    if (xani_dataset_describe(context, dataset, &info) != XANI_OK) return fail(context);
    for (k = 1; k < info.rank; k++) pixels *= info.shape[k];
    printf("%" PRId64 " rows of %" PRId64 " %s, %s, filters: %s\n", info.shape[0], pixels, xani_type_name(info.type),
           info.layout, info.filters[0] ? info.filters : "none");

    xani_batch_options_init(&options);
    options.type = XANI_FLOAT32; /* converted while it is put in place */
    options.rows = 16;
    if (xani_batches_create(context, dataset, &options, &batches) != XANI_OK) return fail(context);
    while (xani_batches_next(context, batches, &batch) == XANI_OK && batch.rows > 0)
        for (i = 0; i < batch.rows * pixels; i++) sum += ((const float *)batch.data)[i];
    xani_batches_destroy(&batches);
    if (xani_error_text(context)[0]) return fail(context);

    all = malloc((size_t)(info.shape[0] * pixels) * sizeof *all);
    if (all == NULL || xani_dataset_read(context, dataset, NULL, NULL, XANI_FLOAT32, all) != XANI_OK) {
        free(all);
        return fail(context);
    }
    for (i = 0; i < info.shape[0] * pixels; i++) again += all[i];
    free(all);
    printf("sum of all elements: %.17g in batches, %.17g at once\n", sum, again);
    return sum != again;
}

/* A raw experiment of a few frames. Its files are named by its configuration. */
static int simulate(xani_context *context)
{
    static const char *const set[] = {
        "experiment.energy_kev=11",
        "sim.shots=60",
        "sim.delay={start: -0.4, stop: 3.8}",
        "sim.detector={name: JF07T01V01, modules: [1, 1], shape: [32, 48], centre_px: [100, -30]}",
        "geometry.distance_mm=60",
        "geometry.orientation=[[1, 0, 0], [0, 1, 0], [0, 0, 1]]",
        "map.crystal.cell=[3.61, 3.61, 3.61, 90, 90, 90]",
        "map.crystal.space_group=Fm-3m",
        "map.crystal.basis=[{element: Cu, position: [0, 0, 0]}]",
    };
    xani_config *config = NULL;
    xani_status st = xani_config_create(context, &config);
    size_t i;
    for (i = 0; i < sizeof set / sizeof set[0] && st == XANI_OK; i++) st = xani_config_assign(context, config, set[i]);
    if (st == XANI_OK) st = xani_sim(context, config, "read-frames");
    xani_config_destroy(&config);
    return st == XANI_OK ? 0 : fail(context);
}

int main(int argc, char **argv)
{
    const char *file = argc > 2 ? argv[1] : "read-frames/run0001.JF07T01V01.h5",
               *name = argc > 2 ? argv[2] : "data/JF07T01V01/data";
    xani_context *context = NULL;
    xani_dataset *dataset = NULL;
    int code = 1;
    if (xani_create(&context) != XANI_OK) return 1;
    if (argc > 2 || simulate(context) == 0) {
        if (xani_dataset_open(context, &file, 1, name, NULL, &dataset) == XANI_OK)
            code = add_up(context, dataset);
        else
            fail(context);
    }
    xani_dataset_destroy(&dataset);
    xani_destroy(&context);
    return code;
}
