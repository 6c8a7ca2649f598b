// SPDX-License-Identifier: BSD-3-Clause
// team.c -- see team.h.  One lock, held only to look and to take; results wait in a ring of slots.
#include "io/team.h"

#include <pthread.h>

enum { AHEAD = 2 }; // slots beyond one per thread

typedef struct {
    xn_team *team;
    int number;
    pthread_t thread;
} worker;

struct xn_team {
    xn_team_make make;
    xn_team_give give;
    void *user;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int64_t pieces, taken, given;
    bool giving, quit;
    int threads, started, slots;
    bool *ready; // by slot
    worker *worker;
};

// Hands over what is next as long as it is there. With the lock.
static void give_all(xn_team *t)
{
    if (t->giving) return;
    t->giving = true;
    while (t->given < t->pieces && t->ready[t->given % t->slots]) {
        int slot = (int)(t->given % t->slots);
        pthread_mutex_unlock(&t->lock);
        t->give(t->user, slot, t->given);
        pthread_mutex_lock(&t->lock);
        t->ready[slot] = false;
        t->given++;
        pthread_cond_broadcast(&t->changed);
    }
    t->giving = false;
}

// One piece, or false: nothing to do now. With the lock.
static bool work(xn_team *t, int number)
{
    if (t->taken == t->pieces || t->taken - t->given >= t->slots) return false;
    int64_t piece = t->taken++;
    pthread_mutex_unlock(&t->lock);
    t->make(t->user, number, (int)(piece % t->slots), piece);
    pthread_mutex_lock(&t->lock);
    t->ready[piece % t->slots] = true;
    give_all(t);
    return true;
}

static void *run(void *user)
{
    worker *w = user;
    xn_team *t = w->team;
    pthread_mutex_lock(&t->lock);
    while (!t->quit)
        if (!work(t, w->number)) pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

xn_team *xn_team_open(int threads, xn_team_make make, xn_team_give give, void *user)
{
    xn_team *t = xn_calloc(1, sizeof *t);
    if (t == NULL) return NULL;
    *t = (xn_team){.make = make, .give = give, .user = user, .threads = threads, .slots = threads + AHEAD};
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    t->ready = xn_calloc((size_t)t->slots, sizeof *t->ready);
    t->worker = xn_calloc((size_t)threads, sizeof *t->worker);
    bool good = t->ready && t->worker;
    for (int i = 1; good && i < threads; i++) { // number 0 is the caller
        t->worker[i] = (worker){.team = t, .number = i};
        good = pthread_create(&t->worker[i].thread, NULL, run, &t->worker[i]) == 0;
        if (good) t->started = i;
    }
    if (!good) xn_team_close(&t);
    return t;
}

int xn_team_threads(const xn_team *team) { return team->threads; }
int xn_team_slots(const xn_team *team) { return team->slots; }

void xn_team_run(xn_team *t, int64_t pieces)
{
    pthread_mutex_lock(&t->lock);
    t->taken = t->given = 0;
    t->pieces = pieces;
    pthread_cond_broadcast(&t->changed);
    while (t->given < t->pieces)
        if (!work(t, 0)) pthread_cond_wait(&t->changed, &t->lock);
    t->taken = t->given = t->pieces = 0;
    pthread_mutex_unlock(&t->lock);
}

void xn_team_close(xn_team **team)
{
    xn_team *t = *team;
    if (t == NULL) return;
    pthread_mutex_lock(&t->lock);
    t->quit = true;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    for (int i = 1; i <= t->started; i++) pthread_join(t->worker[i].thread, NULL);
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->changed);
    xn_free(t->ready);
    xn_free(t->worker);
    xn_free(t);
    *team = NULL;
}
