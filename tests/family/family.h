// SPDX-License-Identifier: BSD-3-Clause
// family.h -- a generated family of datasets, every way of storing numbers that facilities use, and its referee.
//
// A group is one file of a few dozen datasets that share a chain of filters or a layout; a case is one dataset.  All of
// it follows from the number of the group and a seed, so that a failure can be made again alone.  What a dataset holds
// is known twice: by the values that were written and by H5Dread; a reader under test has to give the same bytes.
#ifndef XN_TEST_FAMILY_H
#define XN_TEST_FAMILY_H

#include <hdf5.h>

#include "core/rng.h"
#include "core/type.h"
#include "test.h"

enum { FAMILY_RANK = 5, FAMILY_FILTERS = 4, FAMILY_VALUES = 8 };

// ---- types (types.c)

typedef enum { FAMILY_INTEGER, FAMILY_FLOAT, FAMILY_ENUM, FAMILY_BITS, FAMILY_NARROW } family_class;

typedef struct family_type {
    const char *name;
    family_class kind;
    xn_type type; // of memory
    bool is_signed, big;
} family_type;

int family_types(void);
const family_type *family_type_at(int index);
hid_t family_type_file(const family_type *t);   // to be closed
hid_t family_type_memory(const family_type *t); // native, of the same class; to be closed
// n values that suit the type: counts, noise in all bits, constants, extremes (style 0 to 3).
void family_values(const family_type *t, xn_rng *r, int style, void *values, size_t n);

// ---- chains of filters (chains.c)

typedef struct family_chain {
    const char *name;
    int n;
    struct {
        int id, n;
        unsigned values[FAMILY_VALUES];
    } filter[FAMILY_FILTERS];
    bool numbers; // integers and floats only
    bool whole;   // integers only
    bool lossy;   // what was written does not come back
    bool own;     // the library gets its filter from this test
} family_chain;

int family_chains(void);
const family_chain *family_chain_at(int index);
bool family_chain_works(const family_chain *c); // its filters are installed; registers the test's own
// The filters of the chain but those of `skip`. false: they cannot be applied.
bool family_chain_set(const family_chain *c, unsigned skip, const family_type *t, hid_t created);

// ---- cases (cases.c)

typedef enum { FAMILY_COMPACT, FAMILY_CONTIGUOUS, FAMILY_EXTERNAL, FAMILY_CHUNKED, FAMILY_VIRTUAL } family_layout;

typedef struct family_case {
    char name[64];
    const family_type *type;
    const family_chain *chain; // chunked
    family_layout layout;
    int rank;
    hsize_t dims[FAMILY_RANK], most[FAMILY_RANK], chunk[FAMILY_RANK];
    hsize_t grown[FAMILY_RANK]; // extent after the values were written; equal to dims in most cases
    int style;
    int missing; // of the chunks: 0 none, 1 some, 2 all; other layouts: not written
    bool fill, early, masks, bare_edges;
    uint64_t seed;
} family_case;

typedef struct family_group {
    char name[64];
    int number;
    const family_chain *chain; // NULL: other layouts
    bool latest;
    hsize_t user_block;
    int cases;
} family_group;

uint64_t family_seed(void); // XANI_FAMILY_SEED: another family
int family_groups(void);
family_group family_group_at(int number);
void family_case_make(const family_group *g, int number, family_case *c);
hsize_t family_elements(const family_case *c, const hsize_t *dims);

// ---- writing (write.c, virtual.c)

// Writes the case; *truth: the values as they have to be read, native, or NULL where only the library can tell
// (malloc). false: the library refuses this combination.
bool family_write(hid_t file, const char *folder, const family_case *c, void **truth);
hid_t family_file(const char *path, bool latest, hsize_t user_block);
// Writes the virtual datasets of a group with their source files. Returns their number; names "v000", ...
int family_write_virtual(hid_t file, const char *folder, const family_group *g, uint64_t seed);

// ---- reading (compare.c)

typedef struct family_reading {
    const char *path, *name;
    const void *truth; // or NULL
    bool referee;      // H5Dread can read it
    bool may_refuse;   // or says that it is damaged: then a reader has to say so too
    bool gap;          // a source is missing: without fill values an error
    uint64_t seed;
} family_reading;

// Everything a reader can be asked of this dataset equals the referee's answer; false leaves why.
bool family_compare(xn_ctx *ctx, const family_reading *reading, char why[512]);

#endif
