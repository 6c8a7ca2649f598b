// SPDX-License-Identifier: BSD-3-Clause
// keep.c -- saves the sums so far and the list of shots in them, so that a killed reduction goes on where it was.
//
// Shots are read in a fixed order (work.c) and the sums are integers, so all that is needed is which shots are in them:
// every shot carries the number of the pass that added it last, the ledger.  Saved between two batches, when no shot is
// half added: header, ledger, flags, peaks, sums of the laser-off class and of the pass under way; whole or not at all
// and with a hash (io/write/blob.h).  The header holds the cube's identity and a hash of the list of shots: whatever
// changes one of them begins anew.  Bins of finished passes lie in the mapped file already; their hashes are saved, and
// looked at before they are trusted.
// Saving takes time: never more than a twentieth of it, unless save_s is 0, after every batch.
#include "reduce/keep.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "io/write/blob.h"

#define COST_SHARE 20 // seconds of work for each second of saving

typedef struct header {
    char identity[64];
    uint64_t work, groups;
    int32_t pass, first, bins, bins_per_pass;
} header;

char *xn_keep_path(const char *place, const char *what)
{
    const char *slash = strrchr(place, '/'), *name = slash != NULL ? slash + 1 : place;
    return xn_format("%.*s.%s.%s", (int)(name - place), place, name, what);
}

void xn_reduce_forget(const char *place)
{
    static const char *const what[] = {"sums", "bins"};
    for (int i = 0; i < 2; i++) {
        char *path = xn_keep_path(place, what[i]);
        if (path != NULL) xn_blob_remove(path);
        xn_free(path);
    }
}

static uint64_t hash_work(const xn_work *work)
{
    uint64_t h = 0;
    for (int64_t i = 0; i < work->n; i++) {
        const xn_work_shot *s = &work->shots[i];
        const int64_t row[5] = {s->frame, (int64_t)s->pulse_id, s->block, s->bin, s->i0q};
        h = XXH3_64bits_withSeed(row, sizeof row, h);
    }
    return h;
}

xani_status xn_keep_open(xn_keep *k)
{
    if (k->watch->place == NULL || k->watch->identity == NULL) return XANI_OK;
    k->path = xn_keep_path(k->watch->place, "sums");
    k->finished = xn_calloc((size_t)k->plan->passes, sizeof *k->finished);
    k->added = xn_calloc((size_t)k->work->n, sizeof *k->added);
    if (k->path == NULL || k->finished == NULL || k->added == NULL) {
        xn_keep_close(k);
        return xn_fail_memory(k->ctx, "saving the sums", (size_t)k->work->n * sizeof *k->added);
    }
    k->work_hash = hash_work(k->work);
    k->saved_at = xn_seconds();
    return XANI_OK;
}

void xn_keep_close(xn_keep *k)
{
    xn_free(k->path);
    xn_free(k->finished);
    xn_free(k->added);
    k->path = NULL;
    k->finished = NULL;
    k->added = NULL;
}

// ---- what is saved

enum { PIECES = 24 };

static void fill_header(const xn_keep *k, const xn_pass *pass, header *h)
{
    memset(h, 0, sizeof *h);
    (void)snprintf(h->identity, sizeof h->identity, "%s", k->watch->identity);
    h->work = k->work_hash;
    h->groups = (uint64_t)(k->groups->ny * k->groups->nx);
    h->bins_per_pass = k->plan->bins_per_pass;
    if (pass == NULL) return;
    h->pass = pass->number;
    h->first = pass->first;
    h->bins = pass->n;
}

static int list_pieces(const xn_keep *k, const xn_pass *p, header *h, xn_piece pieces[PIECES])
{
    const xn_groups *g = k->groups;
    size_t plane = (size_t)(g->ny * g->nx) * 8, bins = plane * (size_t)p->n;
    const xn_piece all[PIECES] = {{h, sizeof *h},
                                  {k->added, (size_t)k->work->n * sizeof *k->added},
                                  {k->finished, (size_t)k->plan->passes * sizeof *k->finished},
                                  {g->pixel_flags, (size_t)(g->det_ny * g->det_nx)},
                                  {g->group_flags, plane / 8},
                                  {k->cube->peak, plane},
                                  {k->photons, (size_t)k->cube->shots.n * sizeof *k->photons},
                                  {p->off_s1, plane},
                                  {p->off_s2, plane},
                                  {p->off_x, plane},
                                  {p->s1, bins},
                                  {p->s2, bins},
                                  {p->x, bins},
                                  {p->block_off, plane},
                                  {p->block_off2, plane},
                                  {p->block_offx, plane},
                                  {p->block_x, bins},
                                  {p->expect, bins},
                                  {p->expect_sq, bins},
                                  {p->cross, bins}};
    int n = 0;
    for (int i = 0; i < PIECES; i++)
        if (all[i].data != NULL) pieces[n++] = all[i];
    return n;
}

static xani_status save(xn_keep *k, xn_ctx *ctx, const xn_pass *pass)
{
    header h;
    xn_piece pieces[PIECES];
    double begin = xn_seconds();
    if (k->complete != NULL) XN_TRY(k->complete(k->user, pass));
    fill_header(k, pass, &h);
    for (int64_t i = 0; i < k->work->n; i++) k->added[i] = k->work->shots[i].added;
    xani_status st = xn_blob_write(ctx, k->path, pieces, list_pieces(k, pass, &h, pieces));
    k->saved_at = xn_seconds();
    k->cost_s = k->saved_at - begin;
    return st;
}

// ---- going on

static uint64_t hash_bins(const xn_cube *c, int first, int n)
{
    size_t npix = (size_t)(c->ny * c->nx);
    const void *arrays[] = {c->signal, c->errors,    c->on.s1,        c->on.s2,
                            c->on.x,   c->on.expect, c->on.expect_sq, c->on.cross};
    uint64_t h = 0;
    for (int a = 0; a < 8; a++) {
        size_t bytes = npix * (a < 2 ? 4 : 8);
        for (int b = first; arrays[a] != NULL && b < first + n; b++) {
            const char *bin = (const char *)arrays[a] + (size_t)b * bytes;
            h = XXH3_64bits_withSeed(bin, bytes, h);
            xn_cube_let_go(c, bin, bytes);
        }
    }
    return h;
}

void xn_keep_finished(xn_keep *k, const xn_pass *pass)
{
    if (k->path != NULL) k->finished[pass->number - 1] = hash_bins(k->cube, pass->first, pass->n);
}

int xn_keep_saved_pass(xn_keep *k)
{
    header saved, own;
    if (k->path == NULL || !xn_blob_peek(k->path, &saved, sizeof saved)) return 0;
    fill_header(k, NULL, &own);
    bool same = memcmp(saved.identity, own.identity, sizeof own.identity) == 0 && saved.work == own.work &&
                saved.groups == own.groups && saved.bins_per_pass == own.bins_per_pass;
    return same && saved.pass >= 1 && saved.pass <= k->plan->passes ? saved.pass : 0;
}

bool xn_keep_load(xn_keep *k, const xn_pass *pass)
{
    header h = {0};
    xn_piece pieces[PIECES];
    if (!xn_blob_read(k->path, pieces, list_pieces(k, pass, &h, pieces))) return false;
    for (int p = 1; p < pass->number; p++) {
        int first = (p - 1) * k->plan->bins_per_pass;
        if (hash_bins(k->cube, first, k->plan->bins_per_pass) != k->finished[p - 1]) return false;
    }
    int64_t n = 0;
    for (int64_t i = 0; i < k->work->n; i++) n += (k->work->shots[i].added = k->added[i]) > 0;
    xn_note(k->ctx, "going on where a former run was: %lld of %lld shots are in the sums", (long long)n,
            (long long)k->work->n);
    return true;
}

// ---- between two batches

static xani_status hand_out(const xn_keep *k, const xn_pass *pass)
{
    xn_cube snapshot;
    if (k->watch->take == NULL || (k->watch->wanted != NULL && !k->watch->wanted(k->watch->user))) return XANI_OK;
    if (k->complete != NULL) XN_TRY(k->complete(k->user, pass));
    XN_TRY(xn_snapshot(k, pass, &snapshot));
    return k->watch->take(k->ctx, k->watch->user, &snapshot);
}

xani_status xn_keep_between(xn_keep *k, const xn_pass *pass, bool block_open)
{
    double since = xn_seconds() - k->saved_at;
    if (k->path != NULL && since >= k->watch->save_s && (k->watch->save_s == 0 || since >= COST_SHARE * k->cost_s))
        XN_TRY(save(k, k->ctx, pass));
    return block_open ? XANI_OK : hand_out(k, pass);
}

// The reduction ends with the interruption; a disk that is full now is not what it ended by.
void xn_keep_interrupted(xn_keep *k, const xn_pass *pass)
{
    if (k->path != NULL) (void)save(k, NULL, pass);
}
