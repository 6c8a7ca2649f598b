// SPDX-License-Identifier: BSD-3-Clause
// test_blosc.c -- blosc buffers decoded here are what blosc makes of them, whatever their codec, splits and shuffles.
#include "test.h"

#include <blosc.h>

#include "codec/filter.h"

static const char *const codecs[] = {"blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd"};
enum { CODECS = sizeof codecs / sizeof codecs[0] };

static uint32_t state = 3;
static uint32_t next_random(void)
{
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

static void make_values(uint8_t *p, size_t n, size_t elem)
{
    uint32_t step = 1 + next_random() % 50;
    for (size_t i = 0; i < n; i++)
        p[i] = i % elem == 0 ? (uint8_t)(i / elem / step + next_random() % 4) : (uint8_t)(i / 9000);
}

static const char *decode(xn_codec *codec, const uint8_t *src, size_t n, uint8_t *dst, size_t room, size_t *written)
{
    const xn_filter filter = {.id = XN_FILTER_BLOSC};
    uint8_t *exact = malloc(n ? n : 1); // exact sizes: the sanitizer sees the first byte beyond
    memcpy(exact, src, n);
    const char *why = xn_decode_blosc(codec, &filter, exact, n, dst, room, written);
    free(exact);
    return why;
}

START_TEST(test_equal)
{
    // All codecs, shuffles, element sizes, block sizes, with and without splits, come back.
    xn_codec *codec = xn_codec_open();
    int done[CODECS] = {0};
    for (int round = 0; round < 3000; round++) {
        size_t elem = round % 7 == 0 ? 255 : 1 + next_random() % 18,
               n = 1 + next_random() % (round % 10 ? 9000 : 90000);
        if (round % 3) n = (n + 127) / 128 * 128;
        int k = round % CODECS, level = (int)(next_random() % 10), shuffle = (int)(next_random() % 3);
        size_t block = round % 4 ? 0 : 128 + next_random() % 5000, written = 0;
        blosc_set_splitmode(2 + (int)(next_random() % 3)); // not "always": blosc cannot read that for large elements
        uint8_t *src = malloc(n), *stored = malloc(n + BLOSC_MAX_OVERHEAD), *back = malloc(n);
        make_values(src, n, elem);
        int bytes =
            blosc_compress_ctx(level, shuffle, elem, n, src, stored, n + BLOSC_MAX_OVERHEAD, codecs[k], block, 1);
        if (bytes > 0) {
            const char *why = decode(codec, stored, (size_t)bytes, back, n, &written);
            ck_assert_msg(why == NULL && written == n, "%s level %d shuffle %d, %zu of %zu: %s", codecs[k], level,
                          shuffle, n, elem, why ? why : "wrong size");
            ck_assert_msg(memcmp(back, src, n) == 0, "%s level %d shuffle %d, %zu of %zu", codecs[k], level, shuffle, n,
                          elem);
            if (n > 1) ck_assert_ptr_nonnull(decode(codec, stored, (size_t)bytes, back, n - 1, &written));
            done[k]++;
        }
        free(src), free(stored), free(back);
    }
    for (int k = 0; k < CODECS; k++)
        if (done[k] == 0) xn_skip("blosc is built without one of its codecs");
    ck_assert_int_gt(done[1], 400);
    ck_assert_int_gt(done[4], 400);
    xn_codec_close(&codec);
}
END_TEST

START_TEST(test_damaged)
{
    // What blosc makes of damaged buffers, we make of them; nothing is read or written beyond.
    xn_codec *codec = xn_codec_open();
    int accepted = 0, refused = 0;
    for (int round = 0; round < 20000; round++) {
        size_t elem = 1 + next_random() % 9, n = 1 + next_random() % 6000, written = 0, total = 0;
        int k = round % CODECS;
        blosc_set_splitmode(2 + (int)(next_random() % 3));
        uint8_t *src = malloc(n), *stored = malloc(n + BLOSC_MAX_OVERHEAD), *ours = calloc(n, 1),
                *theirs = calloc(n, 1);
        make_values(src, n, elem);
        int bytes = blosc_compress_ctx(5, (int)(next_random() % 3), elem, n, src, stored, n + BLOSC_MAX_OVERHEAD,
                                       codecs[k], round % 2 ? 0 : 512, 1);
        for (uint32_t hits = 1 + next_random() % 3; bytes > 0 && hits > 0; hits--) {
            size_t at = next_random() % (next_random() % 2 || bytes < 60 ? (size_t)bytes : 60);
            stored[at] = (uint8_t)(next_random() % 4 ? stored[at] ^ 1u << next_random() % 8 : next_random());
        }
        if (bytes > 0) {
            const char *why = decode(codec, stored, (size_t)bytes, ours, n, &written);
            bool good = blosc_cbuffer_validate(stored, (size_t)bytes, &total) == 0 && total <= n &&
                        (total == 0 || blosc_decompress_ctx(stored, theirs, n, 1) == (int)total);
            if (good) ck_assert(why == NULL && written == total && memcmp(ours, theirs, total) == 0);
            if (why == NULL) ck_assert_uint_le(written, n);
            accepted += why == NULL;
            refused += why != NULL;
        }
        free(src), free(stored), free(ours), free(theirs);
    }
    ck_assert_int_gt(accepted, 500);
    ck_assert_int_gt(refused, 2000);
    xn_codec_close(&codec);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_test(t, test_equal);
    tcase_add_test(t, test_damaged);
}
XN_TEST_MAIN("blosc", add)
