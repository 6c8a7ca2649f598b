// SPDX-License-Identifier: BSD-3-Clause
// load.c -- which program wrote the force constants: the table of formats.
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "physics/forces/forces.h"

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static bool is_xdscode(const char *path) { return ends_with(path, ".mat"); }

static bool is_phonopy(const char *path)
{
    const char *base = base_of(path);
    return strstr(base, "FORCE_CONSTANTS") != NULL || strstr(base, "FORCE_SETS") != NULL || ends_with(base, ".hdf5") ||
           ends_with(base, ".yaml");
}

// The name of a shipped table has neither a folder nor an ending; FORCE_CONSTANTS beside it has neither too.
static bool is_bvk(const char *path)
{
    return ends_with(path, ".txt") || (strpbrk(path, "/.") == NULL && !is_phonopy(path));
}
static bool is_qe(const char *path) { return ends_with(path, ".fc"); }
static bool is_nothing(const char *path) { return path == NULL; } // asked for by name only
static bool is_alamode(const char *path) { return ends_with(path, ".xml"); }
static bool is_vasp(const char *path) { return strncmp(base_of(path), "vaspout", 7) == 0 && ends_with(path, ".h5"); }

static const struct {
    const char *name;
    bool (*claims)(const char *path);
    xani_status (*load)(xn_ctx *ctx, const char *path, xn_forces *f);
} formats[] = {{"bvk", is_bvk, xn_forces_bvk},
               {"xdscode", is_xdscode, xn_forces_xdscode},
               {"phonopy", is_phonopy, xn_forces_phonopy},
               {"qe", is_qe, xn_forces_qe},
               {"truth_before", is_nothing, xn_forces_truth_before},
               {"truth_after", is_nothing, xn_forces_truth_after},
               {"alamode", is_alamode, xn_forces_alamode},
               {"vasp", is_vasp, xn_forces_vasp}};

bool xn_forces_known(const char *path)
{
    bool known = false; // of tables only crystal.h's own loader is asked
    for (size_t k = 1; k < sizeof formats / sizeof formats[0]; k++) known = known || formats[k].claims(path);
    return known;
}

// The file given, or phonopy's BORN beside the constants; *found: there is one.
static xani_status add_born(xn_ctx *ctx, const char *path, const char *born, xn_forces *f, bool *found)
{
    *found = true;
    if (born != NULL) return xn_forces_born(ctx, born, f);
    char *beside = xn_format("%.*sBORN", (int)(base_of(path) - path), path);
    if (beside == NULL) return xn_fail_memory(ctx, path, strlen(path));
    *found = access(beside, R_OK) == 0;
    xani_status st = *found ? xn_forces_born(ctx, beside, f) : XANI_OK;
    xn_free(beside);
    return st;
}

xani_status xn_forces_load(xn_ctx *ctx, const char *path, const char *format, const char *born, xn_polar_method method,
                           xn_forces *f)
{
    memset(f, 0, sizeof *f);
    XN_TRY(xn_algebra_room(ctx, 1)); // many threads: configured.c
    size_t n = sizeof formats / sizeof formats[0], k = 0;
    while (k < n && !(format != NULL ? strcmp(formats[k].name, format) == 0 : formats[k].claims(path))) k++;
    if (k == n && format != NULL)
        return xn_fail(ctx, XANI_ERR_CONFIG,
                       "'%s' is no format of force constants: bvk, xdscode, phonopy, qe, alamode, vasp", format);
    if (k == n && access(path, F_OK) != 0)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: cannot be opened: %s", path, strerror(errno));
    if (k == n)
        return xn_fail(
            ctx, XANI_ERR_INPUT,
            "%s: its name tells no format of force constants; give bvk, xdscode, phonopy, qe, alamode or vasp", path);
    const bool phonopy = formats[k].load == xn_forces_phonopy;
    xani_status st = formats[k].load(ctx, path, f);
    bool charges = phonopy && f->born != NULL; // of its YAML file, which goes before a BORN that is not named
    if (st == XANI_OK && (born != NULL || (phonopy && !charges))) st = add_born(ctx, path, born, f, &charges);
    if (st == XANI_OK && charges) st = xn_forces_polar_prepare(ctx, f, method);
    if (st != XANI_OK) xn_forces_free(f);
    return st;
}
