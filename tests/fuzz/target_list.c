// SPDX-License-Identifier: BSD-3-Clause
// target_list.c -- the stored list of a virtual dataset is refused, or gives as many entries as it says, all of them
// within it.
//
// Input: bytes of the file's lengths (1 byte: 0 to 2 for 2, 4, 8), then the list. Its checksum is not looked at.
#include "fuzz.h"
#include "io/index/virtual_list.h"

static void check_pick(const xn_pick *p)
{
    FUZZ_HOLDS(p->unlimited < 0 || (p->kind == XN_PICK_SLAB && p->unlimited < p->slab.rank));
    if (p->kind != XN_PICK_SLAB) return;
    FUZZ_HOLDS(p->slab.rank >= 1 && p->slab.rank <= XANI_MAX_RANK);
    for (int k = 0; k < p->slab.rank; k++) {
        bool unlimited = p->slab.count[k] == XN_UNLIMITED || p->slab.block[k] == XN_UNLIMITED;
        FUZZ_HOLDS(unlimited == (k == p->unlimited));
        FUZZ_HOLDS(p->slab.start[k] >= 0 && p->slab.stride[k] >= 0 && p->slab.count[k] != 0 && p->slab.block[k] != 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    fuzz_input in = {data, n};
    int length_bytes = 2 << fuzz_byte(&in) % 3;
    uint8_t *bytes = xn_alloc(in.n ? in.n : 1, 1);
    if (bytes == NULL) return 0;
    memcpy(bytes, in.p, in.n);
    xn_virtual_list list;
    if (!xn_virtual_list_parse(&list, bytes, in.n, length_bytes)) return 0;
    FUZZ_HOLDS(list.n < in.n);
    const char *end = (const char *)list.bytes + list.size;
    xn_entry e;
    for (size_t i = 0; i < list.n; i++) {
        FUZZ_HOLDS(xn_virtual_list_next(&list, &e));
        FUZZ_HOLDS(e.file + strlen(e.file) < e.dataset && e.dataset + strlen(e.dataset) < end);
        check_pick(&e.to);
        check_pick(&e.from);
    }
    FUZZ_HOLDS(!xn_virtual_list_next(&list, &e));
    xn_virtual_list_close(&list);
    return 0;
}
