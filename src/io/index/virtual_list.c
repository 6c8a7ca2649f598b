// SPDX-License-Identifier: BSD-3-Clause
// virtual_list.c -- see virtual_list.h: entries (through the library), names, and where files are looked for.
//
// Where the library looks for a source (HDF5 1.10, H5F_prefix_open_file): the name as it stands if it is absolute,
// and its last part from there on; each folder of HDF5_VDS_PREFIX, which may be several with colons between; the whole
// of HDF5_VDS_PREFIX with "${ORIGIN}" at its beginning replaced by the folder of the holder; that folder; the working
// folder; the folder in which the holder really lies, symbolic links followed.
#include "io/index/virtual_list.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LONG = 256 }; // from so many entries on the stored bytes are worth the while

// ---- entries

static char *text_of(hid_t created, size_t i, ssize_t (*get)(hid_t, size_t, char *, size_t))
{
    ssize_t length = get(created, i, NULL, 0);
    char *text = length < 0 ? NULL : xn_calloc((size_t)length + 1, 1);
    if (text) get(created, i, text, (size_t)length + 1);
    return text;
}

static int64_t number_of(hsize_t v) { return v == H5S_UNLIMITED || v > INT64_MAX ? XN_UNLIMITED : (int64_t)v; }

static void take_slab(hid_t space, xn_pick *pick)
{
    hsize_t start[H5S_MAX_RANK], stride[H5S_MAX_RANK], count[H5S_MAX_RANK], block[H5S_MAX_RANK];
    int rank = H5Sget_simple_extent_ndims(space);
    if (rank < 1 || rank > XANI_MAX_RANK || H5Sis_regular_hyperslab(space) <= 0 ||
        H5Sget_regular_hyperslab(space, start, stride, count, block) < 0)
        return;
    pick->kind = XN_PICK_SLAB;
    pick->slab.rank = rank;
    for (int k = 0; k < rank; k++) {
        pick->slab.start[k] = number_of(start[k]);
        pick->slab.stride[k] = number_of(stride[k]);
        pick->slab.count[k] = number_of(count[k]);
        pick->slab.block[k] = number_of(block[k]);
        if (pick->slab.count[k] < 0 || pick->slab.block[k] < 0) pick->unlimited = k;
    }
}

static void take_space(hid_t space, xn_pick *pick)
{
    *pick = (xn_pick){.kind = XN_PICK_OTHER, .unlimited = -1};
    if (space < 0) return;
    H5S_sel_type type = H5Sget_select_type(space);
    if (type == H5S_SEL_NONE) pick->kind = XN_PICK_NONE;
    if (type == H5S_SEL_ALL) pick->kind = XN_PICK_ALL;
    if (type == H5S_SEL_HYPERSLABS) take_slab(space, pick);
    H5Sclose(space);
}

bool xn_virtual_list_next(xn_virtual_list *list, xn_entry *entry)
{
    if (list->bytes) return xn_virtual_bytes_next(list, entry);
    size_t i = list->next++;
    xn_free(list->file);
    xn_free(list->dataset);
    list->file = text_of(list->created, i, H5Pget_virtual_filename);
    list->dataset = text_of(list->created, i, H5Pget_virtual_dsetname);
    if (list->file == NULL || list->dataset == NULL) {
        list->no_memory = H5Pget_virtual_filename(list->created, i, NULL, 0) >= 0;
        return false;
    }
    entry->file = list->file;
    entry->dataset = list->dataset;
    take_space(H5Pget_virtual_vspace(list->created, i), &entry->to);
    take_space(H5Pget_virtual_srcspace(list->created, i), &entry->from);
    return true;
}

void xn_virtual_list_close(xn_virtual_list *list)
{
    xn_free(list->file);
    xn_free(list->dataset);
    xn_free(list->bytes);
    *list = (xn_virtual_list){.created = H5I_INVALID_HID};
}

// ---- which list

void xn_slab_simplify(xn_slab *s)
{
    for (int k = 0; k < s->rank; k++) {
        if (s->count[k] == XN_UNLIMITED || s->block[k] == XN_UNLIMITED) continue;
        if (s->stride[k] == s->block[k]) s->block[k] *= s->count[k], s->count[k] = 1;
        if (s->count[k] == 1) s->stride[k] = s->block[k];
    }
}

static bool same_pick(const xn_pick *a, const xn_pick *b)
{
    if (a->kind != b->kind || a->unlimited != b->unlimited) return false;
    if (a->kind != XN_PICK_SLAB) return true;
    xn_slab x = a->slab, y = b->slab;
    xn_slab_simplify(&x);
    xn_slab_simplify(&y);
    bool same = x.rank == y.rank;
    for (int k = 0; same && k < x.rank; k++)
        same = x.start[k] == y.start[k] && x.stride[k] == y.stride[k] && x.count[k] == y.count[k] &&
               x.block[k] == y.block[k];
    return same;
}

static bool skip_to(xn_virtual_list *list, size_t i, xn_entry *entry)
{
    if (list->bytes == NULL) list->next = i; // the library's entries can be had in any order
    while (list->next < i)
        if (!xn_virtual_list_next(list, entry)) return false;
    return xn_virtual_list_next(list, entry);
}

// Number, first and last entry are the same; both begin again afterwards.
static bool same_lists(xn_virtual_list *a, xn_virtual_list *b)
{
    bool same = a->n == b->n;
    for (int end = 0; same && a->n > 0 && end < 2; end++) {
        xn_entry x, y;
        size_t i = end ? a->n - 1 : 0;
        if (end && i == 0) break;
        same = skip_to(a, i, &x) && skip_to(b, i, &y) && strcmp(x.file, y.file) == 0 &&
               strcmp(x.dataset, y.dataset) == 0 && same_pick(&x.to, &y.to) && same_pick(&x.from, &y.from);
    }
    a->next = b->next = 0;
    return same;
}

// Where the file begins behind its user block.
static bool base_of(hid_t dataset, int64_t *base)
{
    hid_t file = H5Iget_file_id(dataset), made = file < 0 ? file : H5Fget_create_plist(file);
    hsize_t block = 0;
    bool good = made >= 0 && H5Pget_userblock(made, &block) >= 0 && block < INT64_MAX;
    if (made >= 0) H5Pclose(made);
    if (file >= 0) H5Fclose(file);
    *base = (int64_t)block;
    return good;
}

static bool read_bytes(xn_virtual_list *list, const char *holder, hid_t dataset)
{
    xn_hdf_object_info info;
    struct stat s;
    xn_chunk_file f = {.fd = open(holder, O_RDONLY | O_CLOEXEC)};
    bool good = f.fd >= 0 && fstat(f.fd, &s) == 0 && base_of(dataset, &f.base) &&
                H5Oget_info2(dataset, &info, H5O_INFO_BASIC) >= 0;
    if (good) f.bytes = s.st_size;
    good = good && xn_virtual_list_read(list, &f, info.addr);
    if (f.fd >= 0) close(f.fd);
    return good;
}

bool xn_virtual_list_open(xn_virtual_list *list, const char *holder, hid_t dataset, hid_t created)
{
    xn_virtual_list own;
    *list = (xn_virtual_list){.created = created};
    if (H5Pget_virtual_count(created, &list->n) < 0) return false;
    if (list->n < LONG || !read_bytes(&own, holder, dataset)) return true;
    bool same = same_lists(&own, list);
    xn_virtual_list_close(same ? list : &own);
    if (same) *list = own;
    return true;
}

// ---- names

bool xn_virtual_numbered(const char *stored)
{
    for (const char *p = strchr(stored, '%'); p && p[1]; p = strchr(p + 2, '%'))
        if (p[1] == 'b') return true;
    return false;
}

char *xn_virtual_name(const char *stored, int64_t block)
{
    char *number = xn_format("%lld", (long long)block);
    size_t n = 1, digits = number ? strlen(number) : 0;
    for (const char *p = stored; *p; p++, n++)
        if (*p == '%') n += digits;
    char *name = number ? xn_alloc(n, 1) : NULL, *q = name;
    for (const char *p = stored; name && *p; p++) {
        bool form = *p == '%' && (p[1] == '%' || p[1] == 'b'); // the library opens no dataset with other forms
        if (form && *++p == 'b')
            q = (char *)memcpy(q, number, digits) + digits;
        else
            *q++ = *p;
    }
    if (name) *q = '\0';
    xn_free(number);
    return name;
}

// ---- files

// folder/name if there is such a file. length: of the folder's name.
static char *there(const char *folder, size_t length, const char *name)
{
    bool slash = length > 0 && folder[length - 1] != '/';
    char *path = xn_format("%.*s%s%s", (int)length, folder, slash ? "/" : "", name);
    if (path && access(path, F_OK) == 0) return path;
    xn_free(path);
    return NULL;
}

static size_t folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
}

static char *below_prefix(const char *holder, const char *name)
{
    static const char origin[] = "${ORIGIN}";
    const char *prefix = getenv("HDF5_VDS_PREFIX");
    char *found = NULL;
    for (const char *p = prefix; p && *p && found == NULL;) {
        size_t length = strcspn(p, ":");
        if (length > 0) found = there(p, length, name);
        p += length + (p[length] == ':');
    }
    if (found || prefix == NULL || prefix[0] == '\0' || strcmp(prefix, ".") == 0) return found;
    if (strncmp(prefix, origin, sizeof origin - 1) != 0) return there(prefix, strlen(prefix), name);
    size_t length = folder_length(holder);
    char *whole = length ? xn_format("%.*s%s", (int)length, holder, prefix + sizeof origin - 1)
                         : xn_format(".%s", prefix + sizeof origin - 1);
    if (whole) found = there(whole, strlen(whole), name);
    xn_free(whole);
    return found;
}

char *xn_virtual_find(const char *holder, const char *name)
{
    if (strcmp(name, ".") == 0) return xn_strdup(holder);
    if (name[0] == '/') {
        if (access(name, F_OK) == 0) return xn_strdup(name);
        name = strrchr(name, '/') + 1;
    }
    char *found = below_prefix(holder, name);
    if (found == NULL) found = there(holder, folder_length(holder), name);
    if (found == NULL) found = there("", 0, name);
    char real[PATH_MAX];
    if (found == NULL && realpath(holder, real)) found = there(real, folder_length(real), name);
    return found;
}
