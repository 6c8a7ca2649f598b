// SPDX-License-Identifier: BSD-3-Clause
// lattice_label.c -- conventional names of points of the zone, per lattice, in conventional reciprocal units.
//
// Names as in Bradley and Cracknell, "The Mathematical Theory of Symmetry in Solids" (1972), in the form used
// by Setyawan and Curtarolo, Comput. Mater. Sci. 49, 299 (2010).  Lattices that are not listed have G only.
#include "physics/lattice.h"

#include <math.h>
#include <string.h>

typedef enum { CUBIC, TETRAGONAL, ORTHORHOMBIC, HEXAGONAL, OTHER } lattice_system;

typedef struct label_set {
    lattice_system system;
    char centring;
    const char *path;
    struct {
        const char *name;
        double hkl[3];
    } label[8];
} label_set;

static const label_set sets[] = {
    {CUBIC,
     'F',
     "G X K G L",
     {{"X", {1, 0, 0}}, {"L", {.5, .5, .5}}, {"K", {.75, .75, 0}}, {"U", {1, .25, .25}}, {"W", {1, .5, 0}}}},
    {CUBIC, 'I', "G H P G N", {{"H", {1, 0, 0}}, {"N", {.5, .5, 0}}, {"P", {.5, .5, .5}}}},
    {CUBIC, 'P', "G X M G R", {{"X", {.5, 0, 0}}, {"M", {.5, .5, 0}}, {"R", {.5, .5, .5}}}},
    {TETRAGONAL,
     'P',
     "G X M G Z",
     {{"X", {.5, 0, 0}}, {"M", {.5, .5, 0}}, {"Z", {0, 0, .5}}, {"R", {.5, 0, .5}}, {"A", {.5, .5, .5}}}},
    {ORTHORHOMBIC,
     'P',
     "G X S Y G Z",
     {{"X", {.5, 0, 0}},
      {"Y", {0, .5, 0}},
      {"Z", {0, 0, .5}},
      {"S", {.5, .5, 0}},
      {"U", {.5, 0, .5}},
      {"T", {0, .5, .5}},
      {"R", {.5, .5, .5}}}},
    {HEXAGONAL,
     'P',
     "G M K G A",
     {{"M", {.5, 0, 0}},
      {"K", {1. / 3, 1. / 3, 0}},
      {"A", {0, 0, .5}},
      {"L", {.5, 0, .5}},
      {"H", {1. / 3, 1. / 3, .5}}}},
    {HEXAGONAL, 'R', "L G Z", {{"L", {.5, 0, .5}}, {"F", {0, .5, 1}}, {"Z", {0, 0, 1.5}}, {"T", {0, 0, 1.5}}}},
};

static lattice_system system_of(const double c[6])
{
    bool ab = fabs(c[0] - c[1]) < 1e-3 * c[0], bc = fabs(c[1] - c[2]) < 1e-3 * c[1];
    bool right = fabs(c[3] - 90) < 0.05 && fabs(c[4] - 90) < 0.05;
    if (right && fabs(c[5] - 120) < 0.05 && ab) return HEXAGONAL;
    if (!right || fabs(c[5] - 90) >= 0.05) return OTHER;
    return ab && bc ? CUBIC : ab ? TETRAGONAL : ORTHORHOMBIC;
}

static const label_set *find_set(const xn_lattice *l)
{
    lattice_system system = system_of(l->cell);
    // alpha above 90 degrees: another form of the rhombohedral zone, with other names
    if (l->centring == 'R' && l->cell[2] < l->cell[0] * sqrt(1.5)) return NULL;
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
        if (sets[i].system == system && sets[i].centring == l->centring) return &sets[i];
    return NULL;
}

bool xn_lattice_label(const xn_lattice *l, const char *label, double hkl[3])
{
    if (strcmp(label, "G") == 0 || strcmp(label, "Gamma") == 0 || strcmp(label, "\xce\x93") == 0) {
        hkl[0] = hkl[1] = hkl[2] = 0.0;
        return true;
    }
    const label_set *set = find_set(l);
    for (int i = 0; set != NULL && i < 8 && set->label[i].name != NULL; i++)
        if (strcmp(set->label[i].name, label) == 0) {
            memcpy(hkl, set->label[i].hkl, sizeof set->label[i].hkl);
            return true;
        }
    return false;
}

const char *xn_lattice_default_path(const xn_lattice *l)
{
    const label_set *set = find_set(l);
    return set != NULL ? set->path : NULL;
}
