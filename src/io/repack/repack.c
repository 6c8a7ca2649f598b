// SPDX-License-Identifier: BSD-3-Clause
// repack.c -- HDF5 files of any kind rewritten for fast reading: large arrays in aligned chunks of about a frame,
// encoded on all cores (or a virtual dataset over the inputs), everything else as it is.
//
//   plan       what becomes of each dataset                     repack_plan.c
//   structure  groups, links, attributes, copied datasets       repack_copy.c
//              rows read, encoded, written                       repack_rows.c, repack_virtual.c
//   references values that point to objects                     repack_copy.c
//   publish    closed, read back, compared, synced, renamed     writer.c, repack_check.c
//
// The output is one of the writer's files: it takes its name when all is equal, or there is none.  Layout and reasons:
// NVIDIA's and the facilities' advice (direct I/O wants 4096-byte alignment; chunks of 1 to 16 MiB).
#include "io/repack/repack.h"

#include <string.h>
#include <sys/stat.h>

#include "codec/encode.h"
#include "core/text.h"
#include "io/repack/repack_parts.h"

#define KIND "repack" // in manifests

// ---- the answer

static const char *action(const xn_repack_item *it)
{
    static const char *const names[] = {"copy", "rechunk", "join", "virtual"};
    return it->how == XN_REPACK_ROWS && !it->along ? "fetch" : names[it->how];
}

static json_t *shape_json(int rank, const int64_t *dims)
{
    json_t *list = json_array();
    for (int k = 0; k < rank; k++) json_array_append_new(list, json_integer(dims[k]));
    return list;
}

static json_t *item_json(const xn_repack_job *job, const xn_repack_item *it)
{
    json_t *one =
        json_pack("{s:o, s:s, s:o, s:s}", "dataset", xn_json_text(it->node->path), "action", action(it), "shape",
                  it->axes ? shape_json(it->axes, it->extent) : shape_json(it->rank, it->out), "type",
                  it->type == XN_STR     ? "text"
                  : it->type == XN_OTHER ? "other"
                                         : xn_type_name(it->type));
    if (it->how == XN_REPACK_CHUNKS) {
        json_object_set_new(one, "chunk", shape_json(it->rank, it->chunk));
        json_object_set_new(one, "filter", json_string(job->options->filter));
        if (it->n_missing) json_object_set_new(one, "missing_chunks", json_integer(it->n_missing));
    }
    json_object_set_new(one, "bytes", json_integer(it->bytes));
    if (job->options->dry_run) json_object_set_new(one, "expected_bytes", json_integer(it->expected));
    return one;
}

static xani_status answer_of(const xn_repack_job *job, double seconds, json_t **answer)
{
    json_t *list = json_array();
    int64_t expected = 0, bytes = 0, inputs = 0;
    struct stat s;
    for (int64_t i = 0; i < job->n_items; i++) {
        json_array_append_new(list, item_json(job, &job->item[i]));
        expected += job->item[i].expected;
        bytes += job->item[i].bytes;
    }
    for (int i = 0; i < job->n_inputs; i++) inputs += stat(job->inputs[i], &s) == 0 ? (int64_t)s.st_size : 0;
    json_t *all =
        json_pack("{s:o, s:i, s:I, s:I}", job->options->dry_run ? "would_write" : "written", xn_json_text(job->output),
                  "inputs", job->n_inputs, "input_bytes", (json_int_t)inputs, "decoded_bytes", (json_int_t)bytes);
    if (job->options->dry_run) {
        json_object_set_new(all, "expected_bytes", json_integer(expected));
    } else if (stat(job->output, &s) == 0) {
        json_object_set_new(all, "output_bytes", json_integer(s.st_size));
        json_object_set_new(all, "seconds", json_real(seconds));
        if (seconds > 0) json_object_set_new(all, "gb_per_s", json_real(1e-9 * (double)job->total / seconds));
    }
    json_object_set_new(all, "datasets", list);
    *answer = all;
    return all ? XANI_OK : xn_fail_memory(job->ctx, "the answer", 4096);
}

// ---- the work

// Whether the input's root group keeps the order in which its links and attributes were made.
static xn_creation_order order_of_root(const xn_repack_job *job)
{
    xn_creation_order order = {0, 0};
    xn_hdf_guard guard = xn_hdf_enter();
    hid_t root = H5Gopen2(job->file->id, "/", H5P_DEFAULT), created = root < 0 ? root : H5Gget_create_plist(root);
    if (created >= 0) {
        H5Pget_link_creation_order(created, &order.links);
        H5Pget_attr_creation_order(created, &order.attributes);
        H5Pclose(created);
    }
    if (root >= 0) H5Gclose(root);
    xn_hdf_leave(guard);
    return order;
}

static xani_status write_all(xn_repack_job *job)
{
    const xn_creation_order order = order_of_root(job);
    XN_TRY(xn_writer_create_as(job->ctx, job->output, XN_LAYOUT_RESULT, &order, &job->writer));
    xn_writer_kind(job->writer, KIND);
    xn_progress(job->ctx, "repack", 0, job->total, "bytes");
    xn_hdf_guard guard = xn_hdf_enter();
    xani_status st = xn_repack_structure(job);
    if (st == XANI_OK) st = xn_repack_references(job);
    xn_hdf_leave(guard);
    xn_progress(job->ctx, "repack", job->total, job->total, "bytes");
    job->writer->check = xn_repack_check;
    job->writer->check_user = job;
    if (st == XANI_OK) st = xn_check_interrupt(job->ctx);
    if (st == XANI_OK) return xn_writer_publish(&job->writer);
    xn_writer_abort(&job->writer);
    return st;
}

// Neither the input nor a file that its virtual datasets or links read is written over.
static xani_status spare(xn_repack_job *job, const char *input)
{
    char **behind = NULL;
    struct stat s;
    bool same = xn_same_file(job->output, input);
    if (!same && stat(job->output, &s) == 0) XN_TRY(xn_h5_behind(job->ctx, input, true, &behind));
    for (int i = 0; behind != NULL && behind[i] != NULL; i++) same = same || xn_same_file(job->output, behind[i]);
    xn_h5_names_free(behind);
    if (!same) return XANI_OK;
    return xn_fail(job->ctx, XANI_ERR_USAGE, "%s: is an input too; the output needs another name", job->output);
}

static xani_status check_options(xn_repack_job *job)
{
    const xani_repack_options *o = job->options;
    xn_pipeline pipeline;
    if (!xn_pipeline_named(o->filter, o->level, 2, &pipeline))
        return xn_fail(job->ctx, XANI_ERR_USAGE, "--filter %s: one of %s is needed", o->filter, XN_PIPELINE_NAMES);
    int most = strcmp(o->filter, "gzip") == 0 ? 9 : 19;
    if (o->level < 0 || o->level > most)
        return xn_fail(job->ctx, XANI_ERR_USAGE, "--level %d: 1 to %d is needed for %s", o->level, most, o->filter);
    if (job->n_inputs < 1) return xn_fail(job->ctx, XANI_ERR_USAGE, "no input");
    for (int i = 0; i < job->n_inputs; i++) XN_TRY(spare(job, job->inputs[i]));
    return xn_publish_spare(job->ctx, job->output, KIND);
}

static xani_status run(xn_repack_job *job, json_t **answer)
{
    double start = xn_seconds();
    XN_TRY(check_options(job));
    XN_TRY(xn_h5_open(job->ctx, job->inputs[0], &job->file));
    xn_hdf_guard guard = xn_hdf_enter();
    xani_status st = xn_repack_plan(job);
    if (st == XANI_OK && job->options->dry_run) st = xn_repack_estimate(job);
    xn_hdf_leave(guard);
    if (st == XANI_OK && !job->options->dry_run) st = write_all(job);
    return st == XANI_OK ? answer_of(job, xn_seconds() - start, answer) : st;
}

xani_status xn_repack(xn_ctx *ctx, const char *const *inputs, size_t n_inputs, const char *output,
                      const xani_repack_options *options, json_t **answer)
{
    xn_repack_job job = {.ctx = ctx,
                         .inputs = inputs,
                         .n_inputs = (int)n_inputs,
                         .output = output,
                         .options = options,
                         .threads = xn_threads(options->threads)};
    *answer = NULL;
    xani_status st = run(&job, answer);
    if (st == XANI_INTERRUPTED) { // others go on where they were
        xn_clear_error(ctx);
        st = xn_fail(ctx, st, "interrupted; nothing is kept, run the same command again");
    }
    xn_repack_plan_free(&job);
    xn_h5_close(&job.file);
    return st;
}
