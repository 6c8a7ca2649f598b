// SPDX-License-Identifier: BSD-3-Clause
// worker_serve.c -- the helper's side of worker.h: opens and describes an object in every way src/io does.
//
// Whether the library gives errors does not matter here: the caller will get the same ones.  What matters is that it
// comes back, and that it does not ask for memory beyond all reason; where an allocation failed under the
// helper's limit the object is refused, because without the limit it might succeed.  The file is opened anew each
// time, without a lock on it: what the library trips over depends on what it has read of the file before.
//
// Processor time is granted by what there is to do: a damaged index may make the library loop, a valid one of half a
// million chunks takes it some seconds.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "io/pipeline.h"
#include "io/worker/worker.h"

enum { SMALL = 1 << 20, MEMBERS_MAX = 100000, SECONDS = 2, GRANTED = 1000, GRANT_MOST = 300 };
enum { LISTED = 50000, READ = 2000 }; // chunks for each second: counted, and read or copied
enum { COPIED_MOST = 64 << 20, COPIED_STEP = 64 << 10 };

typedef struct {
    hid_t file;
    int socket;
    bool starved;
} state;

typedef struct {
    state *w;
    const char *member;
    int64_t n;
} member_of;

static herr_t on_error(unsigned n, const H5E_error2_t *entry, void *data)
{
    (void)n;
    if (entry->min_num == H5E_NOSPACE || entry->min_num == H5E_CANTALLOC) *(bool *)data = true;
    return 0;
}

// After a call that may have failed.
static bool good(state *w, int64_t result)
{
    if (result < 0) H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, on_error, &w->starved);
    return result >= 0;
}

// Time for `chunks` more, and word of it to who waits.
static void grant(state *w, int64_t chunks, int per_second)
{
    char word[32];
    int seconds = SECONDS + (int)xn_min64(chunks / per_second, GRANT_MOST);
    xn_worker_grant(seconds);
    if (seconds == SECONDS) return;
    int n = snprintf(word, sizeof word, "%c%d", XN_WORKER_BUSY, seconds);
    send(w->socket, word, (size_t)n, MSG_NOSIGNAL);
}

static bool open_file(state *w, const char *path)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_file_locking(access, false, true);
    w->file = H5Fopen(path, H5F_ACC_RDONLY, access);
    if (!good(w, w->file)) { // a live one, perhaps
        H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_LATEST);
        w->file = H5Fopen(path, H5F_ACC_RDONLY | H5F_ACC_SWMR_READ, access);
    }
    H5Pclose(access);
    return w->file >= 0;
}

// ---- values: read where they are few

static size_t bytes_of(hid_t space, hid_t type)
{
    hssize_t n = H5Sget_simple_extent_npoints(space);
    size_t size = H5Tget_size(type);
    return n < 0 || size == 0 || (uint64_t)n > SMALL / size ? SIZE_MAX : (size_t)n * size;
}

typedef herr_t (*value_reader)(hid_t id, hid_t memory, void *values);
static herr_t read_dataset(hid_t id, hid_t memory, void *v)
{
    return H5Dread(id, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, v);
}

static void read_values(state *w, hid_t id, hid_t type, hid_t space, value_reader reader)
{
    hid_t memory = H5Tget_native_type(type, H5T_DIR_DEFAULT);
    size_t bytes = good(w, memory) ? bytes_of(space, memory) : SIZE_MAX;
    void *values = bytes <= SMALL ? calloc(bytes + 1, 1) : NULL;
    bool pointers = H5Tdetect_class(memory, H5T_VLEN) > 0 || H5Tis_variable_str(memory) > 0;
    if (values && good(w, reader(id, memory, values)) && pointers) H5Dvlen_reclaim(memory, space, H5P_DEFAULT, values);
    free(values);
    if (memory >= 0) H5Tclose(memory);
}

static void describe_attribute(state *w, hid_t on, unsigned i)
{
    char name[256];
    hid_t id = H5Aopen_by_idx(on, ".", H5_INDEX_NAME, H5_ITER_NATIVE, i, H5P_DEFAULT, H5P_DEFAULT);
    if (!good(w, id)) return;
    H5Aget_name(id, sizeof name, name);
    hid_t type = H5Aget_type(id), space = H5Aget_space(id);
    if (good(w, type) && good(w, space)) read_values(w, id, type, space, H5Aread);
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    H5Aclose(id);
}

// ---- datasets and groups

static void describe_sources(hid_t created)
{
    size_t n = 0;
    char name[4096];
    if (H5Pget_virtual_count(created, &n) < 0) return;
    for (size_t i = 0; i < n && i < MEMBERS_MAX; i++) {
        H5Pget_virtual_filename(created, i, name, sizeof name);
        H5Pget_virtual_dsetname(created, i, name, sizeof name);
        hid_t to = H5Pget_virtual_vspace(created, i), from = H5Pget_virtual_srcspace(created, i);
        if (to >= 0) H5Sclose(to);
        if (from >= 0) H5Sclose(from);
    }
}

// As many as the file can have an index of.
static int64_t chunks_of(hid_t id, hid_t created, hid_t space)
{
    hsize_t bytes = 0;
    hid_t file = H5Iget_file_id(id);
    if (file < 0 || H5Fget_filesize(file, &bytes) < 0) bytes = 0;
    if (file >= 0) H5Fclose(file);
    return xn_min64(xn_hdf_chunks(created, space), (int64_t)(bytes / 8));
}

static void describe_layout(state *w, hid_t id, hid_t created, hid_t type, hid_t space)
{
    hsize_t n = 0, offset[H5S_MAX_RANK], bytes;
    unsigned mask;
    haddr_t address;
    char fill[4096];
    H5D_layout_t layout = H5Pget_layout(created);
    if (H5Tget_size(type) <= sizeof fill) good(w, H5Pget_fill_value(created, type, fill));
    H5Dget_storage_size(id);
    if (layout == H5D_VIRTUAL) describe_sources(created);
    if (layout == H5D_CHUNKED && good(w, H5Dget_num_chunks(id, space, &n)) && n > 0)
        good(w, H5Dget_chunk_info(id, space, 0, offset, &mask, &address, &bytes));
}

static void describe_dataset(state *w, hid_t id, bool values)
{
    hid_t type = H5Dget_type(id), space = H5Dget_space(id), created = H5Dget_create_plist(id);
    if (good(w, type) && good(w, space) && good(w, created)) {
        int64_t chunks = chunks_of(id, created, space);
        grant(w, chunks, LISTED);
        describe_layout(w, id, created, type, space);
        if (values && !xn_hdf_many_chunks(id)) {
            grant(w, chunks, READ);
            read_values(w, id, type, space, read_dataset);
        }
    }
    if (created >= 0) H5Pclose(created);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
}

static herr_t count_name(hid_t group, const char *name, const H5L_info_t *link, void *n)
{
    (void)group;
    (void)name;
    (void)link;
    return ++*(int64_t *)n >= MEMBERS_MAX;
}

static void describe_group(state *w, hid_t id)
{
    H5G_info_t info;
    int64_t n = 0;
    if (good(w, H5Gget_info(id, &info))) good(w, H5Literate(id, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, count_name, &n));
}

// The member of one group in a group, but not its values, which nobody reads through the library.
static herr_t describe_member(hid_t group, const char *name, const H5L_info_t *link, void *user)
{
    member_of *m = user;
    char path[1024];
    (void)link;
    if (m->n++ % GRANTED == 0) xn_worker_grant(SECONDS);
    if ((size_t)snprintf(path, sizeof path, "%s/%s", name, m->member) >= sizeof path) return 0;
    hid_t id = H5Dopen2(group, path, H5P_DEFAULT);
    if (!good(m->w, id)) return 0; // it need not be there
    describe_dataset(m->w, id, false);
    H5Dclose(id);
    return 0;
}

static void describe_members(state *w, const char *group, const char *member)
{
    hid_t id = H5Gopen2(w->file, group[0] ? group : "/", H5P_DEFAULT);
    member_of m = {w, member, 0};
    if (good(w, id)) good(w, H5Literate(id, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, describe_member, &m));
    if (id >= 0) H5Gclose(id);
}

static void describe(state *w, const char *object)
{
    H5O_info_t info;
    hid_t id = H5Oopen(w->file, object[0] ? object : "/", H5P_DEFAULT);
    if (!good(w, id)) {
        good(w, H5Lexists(w->file, object, H5P_DEFAULT));
        return;
    }
    if (good(w, H5Oget_info2(id, &info, H5O_INFO_NUM_ATTRS)))
        for (hsize_t i = 0; i < info.num_attrs && i < MEMBERS_MAX; i++) describe_attribute(w, id, (unsigned)i);
    if (H5Iget_type(id) == H5I_DATASET) describe_dataset(w, id, true);
    if (H5Iget_type(id) == H5I_GROUP) describe_group(w, id);
    H5Oclose(id);
}

// ---- copies

// A file that is in memory only, in the format of what xani writes.
static hid_t file_in_memory(size_t bytes)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), file = H5I_INVALID_HID;
    if (access >= 0 && H5Pset_fapl_core(access, COPIED_STEP + bytes / 4, false) >= 0 &&
        H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110) >= 0)
        file = H5Fcreate("/dev/null/copy", H5F_ACC_TRUNC, H5P_DEFAULT, access); // never a file's name
    if (access >= 0) H5Pclose(access);
    return file;
}

static void copy(state *w, const char *object, size_t bytes)
{
    hid_t to = file_in_memory(bytes), how = H5Pcreate(H5P_OBJECT_COPY);
    if (good(w, to) && how >= 0) {
        H5Pset_copy_object(how, XN_HDF_COPY);
        good(w, H5Ocopy(w->file, object, to, "copy", how, H5P_DEFAULT));
    }
    if (how >= 0) H5Pclose(how);
    if (to >= 0) good(w, H5Fclose(to));
}

// Values beyond COPIED_MOST are too many to be had in memory.
static void try_copy(state *w, const char *object)
{
    hid_t id = H5Oopen(w->file, object, H5P_DEFAULT);
    if (!good(w, id)) return;
    hid_t created = H5Iget_type(id) == H5I_DATASET ? H5Dget_create_plist(id) : H5I_INVALID_HID;
    hid_t space = created < 0 ? created : H5Dget_space(id);
    hsize_t bytes = created < 0 ? 0 : H5Dget_storage_size(id);
    if (space >= 0) grant(w, chunks_of(id, created, space), READ);
    hsize_t whole = 0;
    bool claimed = H5Fget_filesize(w->file, &whole) >= 0 && bytes > whole; // more than there is: copying will end early
    if (bytes <= COPIED_MOST || claimed) copy(w, object, (size_t)(claimed ? COPIED_STEP : bytes));
    if (space >= 0) H5Sclose(space);
    if (created >= 0) H5Pclose(created);
    H5Oclose(id);
}

// ---- requests

static void answer(state *w, const char *message)
{
    const char *path = message + 1, *object = path + strlen(path) + 1, *member = object + strlen(object) + 1;
    if (!open_file(w, path)) return;
    if (message[0] == XN_WORKER_MEMBERS)
        describe_members(w, object, member);
    else if (message[0] == XN_WORKER_COPY)
        try_copy(w, object);
    else
        describe(w, object);
    good(w, H5Fclose(w->file));
}

int xn_worker_serve(int socket)
{
    static const char refused[] = "the HDF5 library asks for more memory over it than is reasonable";
    static char message[XN_WORKER_MESSAGE + 3];
    xn_hdf_enter();
    H5set_free_list_limits(0, 0, 0, 0, 0, 0); // what it frees is to be freed: see worker_memory.c
    for (;;) {
        ssize_t n = recv(socket, message, XN_WORKER_MESSAGE, 0);
        if (n <= 0) return 0;
        memset(message + n, 0, 3); // what is not there is empty
        state w = {H5I_INVALID_HID, socket, false};
        xn_worker_grant(SECONDS);
        answer(&w, message);
        message[0] = w.starved ? XN_WORKER_REFUSED : XN_WORKER_FINE;
        memcpy(message + 1, refused, sizeof refused);
        if (send(socket, message, w.starved ? sizeof refused : 1, MSG_NOSIGNAL) < 0) return 0;
    }
}
