// SPDX-License-Identifier: BSD-3-Clause
// cases.c -- see family.h: which groups there are, and what each of their datasets looks like.
//
// Both generations of the file format take each chain of filters, and each chain meets each type of element once; rank,
// extents, chunks, kind of index, gaps, masks and growth follow from the seed, cycled so that each kind occurs often.
// Then come layouts without chunks, datasets of very many chunks, and virtual ones.
#include "family.h"

enum { COMPACT, CONTIGUOUS, EXTERNAL, MANY, TINY, KINDS, VIRTUAL_GROUPS = 4 };

static const char *const kinds[KINDS] = {"compact", "contiguous", "external", "many chunks", "scalar and empty"};

uint64_t family_seed(void)
{
    const char *seed = getenv("XANI_FAMILY_SEED");
    return seed ? strtoull(seed, NULL, 10) : 1;
}

int family_groups(void) { return 2 * (family_chains() + KINDS + VIRTUAL_GROUPS); }

family_group family_group_at(int number)
{
    static const hsize_t blocks[] = {0, 512, 0, 1024, 0, 0, 4096};
    int half = family_groups() / 2, k = number % half;
    family_group g = {.number = number, .latest = number >= half, .user_block = blocks[number % 7]};
    const char *format = g.latest ? "1.10" : "classic", *what = "virtual";
    if (k < family_chains()) {
        g.chain = family_chain_at(k);
        what = g.chain->name;
        g.cases = family_types();
    } else if (k < family_chains() + KINDS) {
        what = kinds[k - family_chains()];
        g.cases = k - family_chains() == TINY ? 16 : 2 * family_types();
    }
    snprintf(g.name, sizeof g.name, "%s, %s%s", format, what, g.user_block ? ", user block" : "");
    return g;
}

hsize_t family_elements(const family_case *c, const hsize_t *dims)
{
    hsize_t n = 1;
    for (int k = 0; k < c->rank; k++) n *= dims[k];
    return n;
}

static hsize_t between(xn_rng *r, hsize_t lo, hsize_t hi) { return lo + xn_rng_u32(r) % (hi - lo + 1); }
static bool one_in(xn_rng *r, unsigned n) { return xn_rng_u32(r) % n == 0; }

// Up to `most` elements over all axes, small extents as likely as large ones.
static void extents(xn_rng *r, family_case *c, double most)
{
    double left = most;
    for (int k = 0; k < c->rank; k++) {
        double share = k == c->rank - 1 ? left : pow(left, 1.5 / (c->rank - k));
        c->dims[k] = between(r, 1, share < 1.5 ? 1 : (hsize_t)share);
        left /= (double)c->dims[k];
    }
    for (int k = c->rank - 1; k > 0; k--) { // which axis is long should not depend on its number
        int j = (int)between(r, 0, (hsize_t)k);
        hsize_t keep = c->dims[k];
        c->dims[k] = c->dims[j];
        c->dims[j] = keep;
    }
    memcpy(c->most, c->dims, sizeof c->most);
}

static hsize_t chunks(const family_case *c)
{
    hsize_t n = 1;
    for (int k = 0; k < c->rank; k++) n *= (c->dims[k] + c->chunk[k] - 1) / c->chunk[k];
    return n;
}

static void chunk_shape(xn_rng *r, family_case *c, hsize_t most_chunks)
{
    for (int k = 0; k < c->rank; k++) c->chunk[k] = between(r, 1, c->dims[k]);
    while (chunks(c) > most_chunks) { // the axis with most of them
        int axis = 0;
        for (int k = 1; k < c->rank; k++)
            if (c->dims[k] * c->chunk[axis] > c->dims[axis] * c->chunk[k]) axis = k;
        c->chunk[axis] = (c->chunk[axis] + 1) * 2 < c->dims[axis] ? (c->chunk[axis] + 1) * 2 : c->dims[axis];
    }
}

// How far it may grow decides the kind of index of the 1.10 format.
static void growth(xn_rng *r, family_case *c, int variant)
{
    int axis = (int)between(r, 0, (hsize_t)c->rank - 1);
    switch (variant) {
    case 1: // extensible array
        c->most[axis] = H5S_UNLIMITED;
        break;
    case 2: // version 2 B-tree
        for (int k = 0; k < c->rank; k++)
            if (k == axis || k == (axis + 1) % c->rank || one_in(r, 2)) c->most[k] = H5S_UNLIMITED;
        break;
    case 3: // single chunk
        memcpy(c->chunk, c->dims, sizeof c->chunk);
        break;
    case 4: // implicit, where there is no filter
        c->early = true;
        break;
    case 5: // fixed array larger than the extent
        for (int k = 0; k < c->rank; k++) c->most[k] += between(r, 0, 2 * c->chunk[k]);
        break;
    default: // fixed array
        break;
    }
}

static void resize(xn_rng *r, family_case *c)
{
    for (int k = 0; k < c->rank; k++) {
        if (c->most[k] == c->dims[k]) continue;
        hsize_t to = between(r, 0, 2 * c->dims[k] + 1);
        c->grown[k] = c->most[k] != H5S_UNLIMITED && to > c->most[k] ? c->most[k] : to;
    }
}

static void chunked(xn_rng *r, family_case *c, const family_group *g, int number)
{
    int variant = (number + g->number) % 6;
    c->layout = FAMILY_CHUNKED;
    c->chain = g->chain;
    extents(r, c, one_in(r, 8) ? 12000 : exp(9 * xn_rng_uniform(r)));
    chunk_shape(r, c, 60);
    growth(r, c, variant);
    c->missing = one_in(r, 4) ? 1 : one_in(r, 12) ? 2 : 0;
    c->fill = one_in(r, 2);
    c->masks =
        !c->early && c->chain->n > 0 && one_in(r, 4); // not over chunks allocated early: the library loses the mask
    c->bare_edges = g->latest && !c->masks && c->chain->n > 0 && one_in(r, 4);
    memcpy(c->grown, c->dims, sizeof c->grown);
    if (one_in(r, 4)) resize(r, c);
    if (c->chain->lossy) c->style = 0;
}

static void many_chunks(xn_rng *r, family_case *c, int number)
{
    static const char *const names[] = {"no filter", "gzip", "fletcher32"};
    c->layout = FAMILY_CHUNKED;
    for (int i = 0; i < family_chains(); i++)
        if (strcmp(family_chain_at(i)->name, names[number % 3]) == 0) c->chain = family_chain_at(i);
    extents(r, c, 6000);
    for (int k = 0; k < c->rank; k++) c->dims[k] += 2;
    memcpy(c->most, c->dims, sizeof c->most);
    chunk_shape(r, c, 2500);
    growth(r, c, number % 6 == 3 ? 0 : number % 6);
    c->missing = one_in(r, 3);
    c->fill = one_in(r, 2);
    memcpy(c->grown, c->dims, sizeof c->grown);
}

static void without_chunks(xn_rng *r, family_case *c, family_layout layout)
{
    c->layout = layout;
    extents(r, c, layout == FAMILY_COMPACT ? 3000 : exp(11 * xn_rng_uniform(r)));
    c->fill = one_in(r, 2);
    c->missing = layout != FAMILY_COMPACT && one_in(r, 6) ? 2 : 0;
    c->early = one_in(r, 4);
    memcpy(c->grown, c->dims, sizeof c->grown);
}

static void tiny(xn_rng *r, family_case *c, int number)
{
    static const family_layout layouts[] = {FAMILY_CONTIGUOUS, FAMILY_COMPACT, FAMILY_CHUNKED, FAMILY_CONTIGUOUS};
    c->layout = layouts[number % 4];
    c->rank = number < 8 && c->layout != FAMILY_CHUNKED ? 0 : 1 + number % 3;
    c->chain = family_chain_at(1);
    for (int k = 0; k < c->rank; k++) {
        c->dims[k] = c->most[k] = between(r, 0, 1) * between(r, 1, 9);
        c->chunk[k] = between(r, 1, 4);
        if (c->layout == FAMILY_CHUNKED) c->most[k] = H5S_UNLIMITED;
    }
    if (c->rank > 0) c->dims[number % c->rank] = 0;
    if (c->layout != FAMILY_CHUNKED) memcpy(c->most, c->dims, sizeof c->most);
    memcpy(c->grown, c->dims, sizeof c->grown);
}

void family_case_make(const family_group *g, int number, family_case *c)
{
    xn_rng r;
    memset(c, 0, sizeof *c);
    c->seed = family_seed() << 32 | (uint64_t)(g->number * 1000 + number);
    xn_rng_init(&r, c->seed, 1);
    snprintf(c->name, sizeof c->name, "d%03d", number);
    c->type = family_type_at(number % family_types());
    c->style = (int)between(&r, 0, 3);
    c->rank = 1 + (number + g->number / 2) % FAMILY_RANK;
    if (g->chain) {
        chunked(&r, c, g, number);
        return;
    }
    int kind = g->number % (family_groups() / 2) - family_chains();
    switch (kind) {
    case COMPACT:
        without_chunks(&r, c, FAMILY_COMPACT);
        break;
    case CONTIGUOUS:
        without_chunks(&r, c, FAMILY_CONTIGUOUS);
        break;
    case EXTERNAL:
        without_chunks(&r, c, FAMILY_EXTERNAL);
        break;
    case MANY:
        many_chunks(&r, c, number);
        break;
    default:
        tiny(&r, c, number);
        break;
    }
}
