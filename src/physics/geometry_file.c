// SPDX-License-Identifier: BSD-3-Clause
// geometry_file.c -- the table of geometry files; each is known by what it holds, not by its name.
#include <stdio.h>
#include <string.h>

#include "io/h5.h"
#include "physics/panel.h"

typedef xani_status (*panels_fn)(xn_ctx *ctx, const char *path, const xn_geometry_options *o, xn_panels *panels);

typedef enum { IS_OTHER, IS_HDF5, IS_TEXT } shape;

// The beginning of a file: HDF5 (also behind a user block), or text; *text gets its lines.
static shape look(const char *path, char *text, size_t room)
{
    static const char signature[8] = {'\x89', 'H', 'D', 'F', '\r', '\n', '\x1a', '\n'};
    FILE *file = fopen(path, "rb");
    if (file == NULL) return IS_OTHER;
    size_t n = fread(text, 1, room - 1, file);
    text[n] = '\0';
    shape s = n > 0 && memchr(text, '\0', n) == NULL ? IS_TEXT : IS_OTHER;
    for (long at = 0; s == IS_OTHER && at <= 4096; at = at == 0 ? 512 : 2 * at) {
        char head[8];
        if (fseek(file, at, SEEK_SET) == 0 && fread(head, 1, 8, file) == 8 && memcmp(head, signature, 8) == 0)
            s = IS_HDF5;
    }
    fclose(file);
    return s;
}

static const char *kind_of_text(char *text)
{
    char parent[40], name[40];
    int index[2];
    double v[9];
    for (char *line = text, *next; line != NULL && *line; line = next) {
        next = strchr(line, '\n');
        if (next != NULL) *next++ = '\0';
        line += strspn(line, " \t");
        if (xn_psana_fields(line, parent, name, index, v)) return "psana";
        if (strchr(line, '=') != NULL && line[0] != ';' && line[0] != '#') {
            static const char *const keys[] = {"clen", "res",     "photon_energy", "wavelength",  "data",
                                               "dim",  "adu_per", "mask",          "rigid_group", "coffset"};
            if (strchr(line, '/') != NULL && strchr(line, '/') < strchr(line, '='))
                return "CrystFEL"; // panel/key = value
            for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
                if (strncmp(line, keys[i], strlen(keys[i])) == 0) return "CrystFEL";
        }
    }
    return NULL;
}

const char *xn_geometry_kind(xn_ctx *ctx, const char *path, const char *group)
{
    char text[65536];
    shape s = look(path, text, sizeof text);
    if (s == IS_TEXT) return kind_of_text(text);
    if (s == IS_OTHER) return NULL;
    xn_h5 *file = NULL;
    const char *kind = NULL;
    if (xn_h5_open(ctx, path, &file) == XANI_OK) {
        if (group != NULL && xn_geometry_has_map(ctx, file, group))
            kind = "pixel map";
        else if (xn_h5_exists(file, "Q1/M1/Position"))
            kind = "European XFEL";
        else if (group == NULL && xn_geometry_has_map(ctx, file, NULL))
            kind = "pixel map";
        else if (xn_nexus_has_detector(ctx, file))
            kind = "NXmx";
        else if (group != NULL) // says what the group lacks
            kind = "pixel map";
    }
    xn_h5_close(&file);
    xn_clear_error(ctx);
    return kind;
}

xani_status xn_geometry_file(xn_ctx *ctx, const char *path, const xn_geometry_options *o, xn_geometry *g)
{
    static const struct {
        const char *kind;
        panels_fn read;
    } readers[] = {{"CrystFEL", xn_panels_crystfel},
                   {"European XFEL", xn_panels_xfel},
                   {"psana", xn_panels_psana},
                   {"NXmx", xn_panels_nexus}};
    memset(g, 0, sizeof *g);
    const char *kind = xn_geometry_kind(ctx, path, o->group);
    if (kind == NULL) {
        FILE *file = fopen(path, "rb"); // the system's own words where it cannot be opened
        if (file == NULL) return xn_panels_crystfel(ctx, path, o, &(xn_panels){0});
        fclose(file);
        return xn_fail(
            ctx, XANI_ERR_INPUT,
            "geometry.file %s: is no geometry that is known: CrystFEL .geom, European XFEL .h5, psana .data, "
            "a pixel map (x, y, z) or NXmx",
            path);
    }
    xani_status st = XANI_OK;
    if (strcmp(kind, "pixel map") == 0) st = xn_geometry_map(ctx, path, o, g);
    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++) {
        if (strcmp(kind, readers[i].kind) != 0) continue;
        xn_panels panels;
        XN_TRY(readers[i].read(ctx, path, o, &panels));
        panels.frame_only = o->frame_only;
        st = xn_context(ctx, xn_geometry_from_panels(ctx, &panels, g), "geometry.file %s", path);
        xn_panels_free(&panels);
    }
    g->kind = kind;
    return st;
}
