// SPDX-License-Identifier: BSD-3-Clause
// filter_target.h -- a target for one decoder: FUZZ_FILTER is its number.
//
// Input: room (2 bytes), number of values of the filter (1), the values (2 each), then the stored bytes.  The decoder
// writes into exactly that much memory and says how much it wrote.
#include "codec/filter.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static xn_codec *codec;
    if (codec == NULL) codec = xn_codec_open();
    fuzz_input in = {data, n};
    size_t room = fuzz_number(&in, 2), written = 0;
    xn_filter f = {.id = FUZZ_FILTER, .n_values = fuzz_byte(&in) % 9u};
    for (unsigned i = 0; i < f.n_values; i++) f.values[i] = fuzz_number(&in, 2);
    uint8_t *src = fuzz_rest(&in), *dst = malloc(room ? room : 1);
    const char *why = xn_filter_decoder(FUZZ_FILTER)(codec, &f, src, in.n, dst, room, &written);
    FUZZ_HOLDS(why != NULL || written <= room);
    for (size_t i = 0; why == NULL && i < written; i++) FUZZ_HOLDS(dst[i] <= 255); // all of it was written
    (void)xn_decoded_size(&f, src, in.n);
    free(src);
    free(dst);
    return 0;
}
