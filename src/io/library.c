// SPDX-License-Identifier: BSD-3-Clause
// library.c -- see library.h.  The error stack of HDF5 is walked for its deepest entry; the text of a failed
// system call in it has the form "..., errno = 28, error message = 'No space left on device', ...".
#include "io/library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

xn_hdf_guard xn_hdf_enter(void)
{
    xn_hdf_guard guard = {NULL, NULL};
    H5open();
    H5Eget_auto2(H5E_DEFAULT, &guard.print, &guard.data);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    return guard;
}

void xn_hdf_leave(xn_hdf_guard guard) { H5Eset_auto2(H5E_DEFAULT, guard.print, guard.data); }

typedef struct {
    char *deepest;    // the deepest text
    int system_errno; // of any entry
} walk_state;

static herr_t on_entry(unsigned n, const H5E_error2_t *entry, void *data)
{
    walk_state *state = data;
    const char *text = entry->desc ? entry->desc : "";
    if (n == 0 && state->deepest) snprintf(state->deepest, XN_HDF_REASON, "%s", text);
    const char *number = strstr(text, "errno = ");
    if (number && state->system_errno == 0) state->system_errno = (int)strtol(number + 8, NULL, 10);
    return 0;
}

const char *xn_hdf_reason(char text[XN_HDF_REASON])
{
    text[0] = '\0';
    walk_state state = {text, 0};
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, on_entry, &state);
    if (state.system_errno != 0) {
        char room[XN_HDF_REASON];
        snprintf(text, XN_HDF_REASON, "%s", strerror_r(state.system_errno, room, sizeof room));
    }
    return text;
}

int xn_hdf_errno(void)
{
    walk_state state = {NULL, 0};
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, on_entry, &state);
    return state.system_errno;
}

static xn_type integer_of(size_t size, bool is_signed)
{
    switch (size) {
    case 1:
        return is_signed ? XN_I8 : XN_U8;
    case 2:
        return is_signed ? XN_I16 : XN_U16;
    case 4:
        return is_signed ? XN_I32 : XN_U32;
    case 8:
        return is_signed ? XN_I64 : XN_U64;
    default:
        return XN_OTHER;
    }
}

xn_type xn_hdf_type(hid_t type)
{
    size_t size = H5Tget_size(type);
    switch (H5Tget_class(type)) {
    case H5T_INTEGER:
        return integer_of(size, H5Tget_sign(type) == H5T_SGN_2);
    case H5T_BITFIELD:
        return integer_of(size, false);
    case H5T_FLOAT:
        return size <= 4 ? XN_F32 : size <= 8 ? XN_F64 : XN_OTHER; // smaller ones are widened by the library
    case H5T_STRING:
        return XN_STR;
    case H5T_ENUM: {
        hid_t base = H5Tget_super(type);
        xn_type t = base < 0 ? XN_OTHER : xn_hdf_type(base);
        if (base >= 0) H5Tclose(base);
        return t;
    }
    default:
        return XN_OTHER;
    }
}

bool xn_hdf_type_plain(hid_t type)
{
    H5T_class_t class = H5Tget_class(type);
    if (class == H5T_ENUM) {
        hid_t base = H5Tget_super(type);
        bool plain = base >= 0 && xn_hdf_type_plain(base);
        if (base >= 0) H5Tclose(base);
        return plain;
    }
    H5T_order_t order = H5Tget_order(type);
    if (order != H5T_ORDER_LE && order != H5T_ORDER_BE) return false;
    if (class == H5T_FLOAT)
        return H5Tequal(type, H5T_IEEE_F32LE) > 0 || H5Tequal(type, H5T_IEEE_F32BE) > 0 ||
               H5Tequal(type, H5T_IEEE_F64LE) > 0 || H5Tequal(type, H5T_IEEE_F64BE) > 0;
    if (class != H5T_INTEGER && class != H5T_BITFIELD) return false;
    return H5Tget_precision(type) == 8 * H5Tget_size(type) && H5Tget_offset(type) == 0;
}

hid_t xn_hdf_native(xn_type type)
{
    switch (type) {
    case XN_F32:
        return H5T_NATIVE_FLOAT;
    case XN_F64:
        return H5T_NATIVE_DOUBLE;
    case XN_I8:
        return H5T_NATIVE_INT8;
    case XN_U8:
        return H5T_NATIVE_UINT8;
    case XN_I16:
        return H5T_NATIVE_INT16;
    case XN_U16:
        return H5T_NATIVE_UINT16;
    case XN_I32:
        return H5T_NATIVE_INT32;
    case XN_U32:
        return H5T_NATIVE_UINT32;
    case XN_I64:
        return H5T_NATIVE_INT64;
    case XN_U64:
        return H5T_NATIVE_UINT64;
    default:
        return H5I_INVALID_HID;
    }
}

const char *xn_hdf_class_name(hid_t type)
{
    switch (H5Tget_class(type)) {
    case H5T_INTEGER:
        return "integers";
    case H5T_FLOAT:
        return "floating-point numbers";
    case H5T_STRING:
        return "strings";
    case H5T_BITFIELD:
        return "bit fields";
    case H5T_OPAQUE:
        return "opaque bytes";
    case H5T_COMPOUND:
        return "compound values";
    case H5T_REFERENCE:
        return "references";
    case H5T_ENUM:
        return "enumerated values";
    case H5T_VLEN:
        return "sequences of variable length";
    case H5T_ARRAY:
        return "arrays";
    default:
        return "values of an unknown type";
    }
}
