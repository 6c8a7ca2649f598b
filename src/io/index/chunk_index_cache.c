// SPDX-License-Identifier: BSD-3-Clause
// chunk_index_cache.c -- see chunk_index_cache.h.
//
// A list in the order of use behind one lock, searched from the front: there are as many entries as datasets in use,
// and comparing keys is cheap beside opening a file.  A table has one owner for the list and one for each map.
#include "io/index/chunk_index_cache.h"

#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

struct xn_chunk_table {
    xn_chunk_key key;
    xn_chunk *list;
    int64_t bytes;
    bool walked;
    int owners;
    xn_chunk_table *next, *before;
};

enum { LIMIT_MIB = 64, ENTRIES_MAX = 4096, SETTLED_NS = 2000000000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static xn_chunk_table *first, *last;
static xn_chunk_cache_stats stats;
static int64_t limit_bytes = (int64_t)LIMIT_MIB << 20;

static int64_t ns_of(struct timespec t) { return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec; }

bool xn_chunk_key_of(const xn_chunk_file *f, const xn_chunk_map *map, uint64_t header, xn_chunk_key *key)
{
    struct stat s;
    struct timespec now;
    memset(key, 0, sizeof *key);
    if (f->memory || f->fd < 0 || fstat(f->fd, &s) != 0 || clock_gettime(CLOCK_REALTIME, &now) != 0) return false;
    *key = (xn_chunk_key){.device = (int64_t)s.st_dev,
                          .inode = (int64_t)s.st_ino,
                          .bytes = s.st_size,
                          .modified_ns = ns_of(s.st_mtim),
                          .changed_ns = ns_of(s.st_ctim),
                          .base = f->base,
                          .header = (int64_t)header,
                          .rank = map->rank};
    for (int i = 0; i < map->rank; i++) key->dims[i] = map->dims[i];
    int64_t latest = xn_max64(key->modified_ns, key->changed_ns);
    return latest < ns_of(now) - SETTLED_NS && s.st_size == f->bytes && !xn_chunk_file_live(f);
}

// ---- under the lock

static void unlink_table(xn_chunk_table *t)
{
    *(t->before ? &t->before->next : &first) = t->next;
    *(t->next ? &t->next->before : &last) = t->before;
    t->next = t->before = NULL;
}

static void push_front(xn_chunk_table *t)
{
    t->next = first;
    t->before = NULL;
    *(first ? &first->before : &last) = t;
    first = t;
}

static void drop(xn_chunk_table *t)
{
    if (--t->owners > 0) return;
    xn_free(t->list);
    xn_free(t);
}

static void shrink(void)
{
    while (last && (stats.bytes > limit_bytes || stats.entries > ENTRIES_MAX)) {
        xn_chunk_table *t = last;
        unlink_table(t);
        stats.bytes -= t->bytes;
        stats.entries--;
        drop(t);
    }
}

static xn_chunk_table *look_up(const xn_chunk_key *key)
{
    xn_chunk_table *t = first;
    while (t && memcmp(&t->key, key, sizeof *key) != 0) t = t->next;
    return t;
}

static void hand_out(xn_chunk_table *t, xn_chunk_map *map)
{
    t->owners++;
    map->table = t->list;
    map->shared = t;
    map->walked = t->walked;
}

// ---- from outside

bool xn_chunk_cache_find(const xn_chunk_key *key, xn_chunk_map *map)
{
    pthread_mutex_lock(&lock);
    xn_chunk_table *t = look_up(key);
    if (t) {
        unlink_table(t);
        push_front(t);
        hand_out(t, map);
    }
    stats.hits += t != NULL;
    stats.misses += t == NULL;
    pthread_mutex_unlock(&lock);
    return t != NULL;
}

void xn_chunk_cache_add(const xn_chunk_key *key, xn_chunk_map *map)
{
    xn_chunk_table *t = xn_calloc(1, sizeof *t);
    if (t == NULL) return;
    *t = (xn_chunk_table){.key = *key,
                          .list = map->table,
                          .bytes = (int64_t)sizeof *t + map->n * (int64_t)sizeof *map->table,
                          .walked = map->walked,
                          .owners = 1};
    pthread_mutex_lock(&lock);
    bool fits = t->bytes <= limit_bytes && look_up(key) == NULL; // else another thread was faster: keep our own
    if (fits) {
        push_front(t);
        stats.bytes += t->bytes;
        stats.entries++;
        hand_out(t, map);
        shrink();
    }
    pthread_mutex_unlock(&lock);
    if (!fits) xn_free(t);
}

void xn_chunk_table_release(xn_chunk_table *table)
{
    pthread_mutex_lock(&lock);
    drop(table);
    pthread_mutex_unlock(&lock);
}

xn_chunk_cache_stats xn_chunk_cache_get_stats(void)
{
    pthread_mutex_lock(&lock);
    xn_chunk_cache_stats s = stats;
    pthread_mutex_unlock(&lock);
    return s;
}

void xn_chunk_cache_set_limit(int64_t bytes)
{
    pthread_mutex_lock(&lock);
    limit_bytes = bytes < 0 ? (int64_t)LIMIT_MIB << 20 : bytes;
    shrink();
    pthread_mutex_unlock(&lock);
}
