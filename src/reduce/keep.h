// SPDX-License-Identifier: BSD-3-Clause
// keep.h -- what is done with the sums while they grow: they are saved to go on from, and handed out as cubes.
#ifndef XN_REDUCE_KEEP_H
#define XN_REDUCE_KEEP_H

#include "reduce/accumulate.h"

struct xn_keep {
    xn_ctx *ctx;
    const xn_reduce_watch *watch;
    xn_groups *groups;
    xn_work *work;
    const xn_layout_plan *plan;
    xn_cube *cube;
    int64_t *photons; // (rows of the shot table)
    int threads;
    char *path;         // of the saved sums, NULL: they are not saved
    uint64_t work_hash; // of the list of shots
    uint64_t *finished; // (passes) hash of the bins of each pass that is done
    int32_t *added;     // (shots) room for saving
    double saved_at, cost_s;
    // Before sums are saved or handed out: those that lie elsewhere are brought here. NULL: none do.
    xani_status (*complete)(void *user, const xn_pass *pass);
    void *user;
};

char *xn_keep_path(const char *place, const char *what); // "dir/.cube.h5.<what>", owned
xani_status xn_keep_open(xn_keep *keep);                 // the first members are set
void xn_keep_close(xn_keep *keep);
// The pass that was under way when the sums were saved; 0: nothing fits.
int xn_keep_saved_pass(xn_keep *keep);
// Fills that pass's sums and marks the shots that are in them. False: they hold anything.
bool xn_keep_load(xn_keep *keep, const xn_pass *pass);
void xn_keep_finished(xn_keep *keep, const xn_pass *pass); // signal and errors are made

// snapshot.c: the cube of the shots that have been added.
xani_status xn_snapshot(const xn_keep *keep, const xn_pass *pass, xn_cube *snapshot);

#endif
