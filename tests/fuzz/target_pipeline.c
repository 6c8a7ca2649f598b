// SPDX-License-Identifier: BSD-3-Clause
// target_pipeline.c -- any chain of filters, with any mask, gives the whole chunk or says why not.
//
// Input: bytes of the chunk (2), mask (1), number of filters (1), for each its number in the list below (1) and three
// values (1 each, the element size among them), then the stored bytes.  Also the way back of bitshuffle+LZ4: what was
// encoded decodes to itself.
#include "codec/filter.h"
#include "fuzz.h"

static void there_and_back(xn_codec *codec, const uint8_t *values, size_t n, size_t elem)
{
    size_t count = n / elem, written = 0;
    xn_filter f = {.id = XN_FILTER_BITSHUFFLE, .n_values = 5, .values = {0, 3, (unsigned)elem, 0, 2}};
    uint8_t *packed = malloc(xn_encode_bslz4_bound(count, elem)), *back = malloc(count * elem + 1);
    size_t bytes = xn_encode_bslz4(values, count, elem, packed);
    FUZZ_HOLDS(bytes > 0 && bytes <= xn_encode_bslz4_bound(count, elem));
    FUZZ_HOLDS(xn_decode_bitshuffle(codec, &f, packed, bytes, back, count * elem, &written) == NULL);
    FUZZ_HOLDS(written == count * elem && memcmp(back, values, written) == 0);
    free(packed);
    free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const int ids[] = {XN_FILTER_GZIP, XN_FILTER_SHUFFLE,    XN_FILTER_FLETCHER32, XN_FILTER_LZF,
                              XN_FILTER_LZ4,  XN_FILTER_BITSHUFFLE, XN_FILTER_ZSTD,       XN_FILTER_BLOSC};
    static xn_codec *codec;
    if (codec == NULL) codec = xn_codec_open();
    fuzz_input in = {data, n};
    size_t chunk = fuzz_number(&in, 2);
    uint32_t mask = fuzz_byte(&in);
    xn_pipeline p = {.n = fuzz_byte(&in) % 5, .known = true};
    for (int i = 0; i < p.n; i++) {
        xn_filter *f = &p.filter[i];
        f->id = ids[fuzz_byte(&in) % 8];
        bool shuffle = f->id == XN_FILTER_SHUFFLE;
        f->n_values = shuffle ? 1 : 5;
        f->values[shuffle ? 0 : 2] = fuzz_byte(&in);
        f->values[3] = fuzz_byte(&in);
        f->values[4] = fuzz_byte(&in) % 4u;
    }
    uint8_t *src = fuzz_rest(&in), *dst = malloc(chunk ? chunk : 1);
    const char *why = xn_pipeline_decode(codec, &p, mask, src, in.n, dst, chunk);
    if (why == NULL && p.n == 0) FUZZ_HOLDS(in.n == chunk && memcmp(src, dst, chunk) == 0);
    if (in.n > 0) there_and_back(codec, src, in.n, 1 + mask % 9);
    free(src);
    free(dst);
    return 0;
}
