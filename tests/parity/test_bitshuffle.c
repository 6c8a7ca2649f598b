// SPDX-License-Identifier: BSD-3-Clause
// test_bitshuffle.c -- every variant of the shuffles agrees, bit by bit, with the definition, and undoes itself.
#include "test.h"

#include "codec/bitshuffle.h"
#include "codec/filter.h"
#include "io/write/publish.h"

#include <lz4.h>
#include <lz4hc.h>

static uint32_t state = 7;
static uint8_t next_byte(void)
{
    state = state * 1664525u + 1013904223u;
    return (uint8_t)(state >> 24);
}

// Row 8 * byte + bit of the shuffled form holds that bit of all elements, element i in bit i % 8 of byte i / 8.
static void by_definition(const uint8_t *src, uint8_t *dst, size_t n, size_t elem)
{
    memset(dst, 0, n * elem);
    for (size_t i = 0; i < n; i++)
        for (size_t bit = 0; bit < 8 * elem; bit++)
            if (src[i * elem + bit / 8] >> (bit % 8) & 1) dst[bit * (n / 8) + i / 8] |= (uint8_t)(1 << (i % 8));
}

// Past the caches, to any address of a line: the same, and nothing beside it.
static void streamed(const uint8_t *src, const uint8_t *shuffled, uint8_t *work, size_t n, size_t elem)
{
    enum { ROOM = 64 };
    const size_t bytes = n * elem;
    uint8_t *room = aligned_alloc(64, (bytes + 3 * ROOM) / 64 * 64);
    for (size_t shift = 0; shift < ROOM; shift += shift == 0 ? 1 : shift < 16 ? 15 : 16) { // 0, 1, 16, 32, 48
        memset(room, 0x5a, bytes + 2 * ROOM);
        xn_bits_unshuffle(shuffled, room + shift, work, n, elem, true);
        xn_stream_end();
        ck_assert_mem_eq(room + shift, src, bytes);
        for (size_t i = 0; i < shift; i++) ck_assert_uint_eq(room[i], 0x5a);
        for (size_t i = shift + bytes; i < bytes + 2 * ROOM; i++) ck_assert_uint_eq(room[i], 0x5a);
    }
    free(room);
}

START_TEST(test_bits)
{
    // Shuffling is the definition, unshuffling its inverse, for all sizes around the widths of vectors.
    ck_assert_ptr_nonnull(xn_shuffle_variant(0));
    for (int variant = 0; xn_shuffle_variant(variant); variant++) {
        xn_shuffle_use(variant);
        for (size_t elem = 1; elem <= 17; elem++)
            for (size_t n = 0; n <= 1200; n += n < 400 ? 8 : 152) {
                size_t bytes = n * elem; // exact sizes: the sanitizer sees the first byte beyond
                uint8_t *src = malloc(bytes + 1), *want = malloc(bytes + 1), *got = malloc(bytes + 1),
                        *back = malloc(bytes + 1), *work = malloc(bytes + 1);
                for (size_t i = 0; i < bytes; i++) src[i] = next_byte();
                by_definition(src, want, n, elem);
                xn_bits_shuffle(src, got, work, n, elem);
                ck_assert_mem_eq(got, want, bytes);
                xn_bits_unshuffle(want, back, work, n, elem, false);
                ck_assert_mem_eq(back, src, bytes);
                streamed(src, want, work, n, elem);
                free(src), free(want), free(got), free(back), free(work);
            }
    }
    xn_shuffle_use(-1);
}
END_TEST

START_TEST(test_bytes)
{
    // Byte planes: plane b holds byte b of each element.
    for (int variant = 0; xn_shuffle_variant(variant); variant++) {
        xn_shuffle_use(variant);
        for (size_t elem = 1; elem <= 17; elem++)
            for (size_t n = 0; n <= 300; n += 7) {
                uint8_t src[300 * 17], got[300 * 17], back[300 * 17];
                for (size_t i = 0; i < n * elem; i++) src[i] = next_byte();
                xn_bytes_shuffle(src, got, n, elem);
                for (size_t i = 0; i < n; i++)
                    for (size_t b = 0; b < elem; b++) ck_assert_uint_eq(got[b * n + i], src[i * elem + b]);
                xn_bytes_unshuffle(got, back, n, elem);
                ck_assert_mem_eq(back, src, n * elem);
            }
    }
    xn_shuffle_use(-1);
}
END_TEST

START_TEST(test_encoding)
{
    // What is encoded decodes to itself and stays within the bound, for every variant, size and element; the variants
    // give the same bytes.
    xn_codec *codec = xn_codec_open();
    for (size_t elem = 1; elem <= 8; elem *= 2)
        for (size_t n = 1; n < 20000; n += n < 40 ? 1 : 1777) {
            uint8_t *src = malloc(n * elem), *back = malloc(n * elem), *stored = malloc(xn_encode_bslz4_bound(n, elem)),
                    *first = malloc(xn_encode_bslz4_bound(n, elem));
            for (size_t i = 0; i < n * elem; i++) src[i] = n % 2 ? next_byte() : (uint8_t)(next_byte() % 3);
            for (int variant = 0; xn_shuffle_variant(variant); variant++) {
                xn_shuffle_use(variant);
                size_t bytes = xn_encode_bslz4(src, n, elem, stored), written = 0;
                ck_assert(bytes > 0 && bytes <= xn_encode_bslz4_bound(n, elem));
                xn_filter f = {.id = 32008, .n_values = 5, .values = {0, 3, (unsigned)elem, 0, 2}};
                const char *why = xn_decode_bitshuffle(codec, &f, stored, bytes, back, n * elem, &written);
                ck_assert_msg(why == NULL && written == n * elem, "%s", why);
                ck_assert_mem_eq(back, src, n * elem);
                if (variant == 0) memcpy(first, stored, bytes);
                ck_assert_mem_eq(first, stored, bytes);
            }
            free(src), free(back), free(stored), free(first);
        }
    xn_shuffle_use(-1);
    xn_codec_close(&codec);
    ck_assert_uint_eq(xn_encode_bslz4("x", 1, 0, (char[64]){0}), 0);
}
END_TEST

// The library's own loop, word by word.
static uint32_t fletcher_by_words(const uint8_t *p, size_t n)
{
    uint32_t a = 0, b = 0;
    for (size_t i = 0; i < n; i += 2) {
        a += (uint32_t)p[i] << 8 | (i + 1 < n ? p[i + 1] : 0);
        a = (a & 0xffff) + (a >> 16);
        b += a;
        b = (b & 0xffff) + (b >> 16);
    }
    return b << 16 | a;
}

START_TEST(test_checksum)
{
    // Every variant's checksum is that of the definition, for all lengths, zeros and the largest words included.
    for (int variant = 0; xn_shuffle_variant(variant); variant++) {
        xn_shuffle_use(variant);
        for (size_t n = 0; n < 2200; n += n < 600 ? 1 : 37)
            for (int kind = 0; kind < 4; kind++) {
                uint8_t *p = malloc(n + 1);
                for (size_t i = 0; i < n; i++) p[i] = kind == 0 ? 0 : kind == 1 ? 255 : kind == 2 ? i % 2 : next_byte();
                ck_assert_uint_eq(xn_fletcher32(p, n), fletcher_by_words(p, n));
                free(p);
            }
    }
    xn_shuffle_use(-1);
}
END_TEST

// Bytes with runs of many periods, repeated parts near and far, and noise between them.
static void make_compressible(uint8_t *p, size_t n, unsigned noise)
{
    for (size_t i = 0; i < n;) {
        size_t length = 1u + next_byte() % (next_byte() % 8 ? 24 : 255) * (next_byte() % 64 ? 1u : 20u),
               kind = next_byte() % 4;
        size_t distance = 1u + next_byte() % (next_byte() % 2 ? 20u : 255u) * (next_byte() % 16 ? 1u : 200u);
        for (size_t j = 0; j < length && i < n; j++, i++)
            p[i] = kind == 0 || distance > i ? (uint8_t)(next_byte() % noise) : p[i - distance];
    }
}

// A distance of 0 means nothing; LZ4 takes it for zeros or whatever stood there, we refuse it.
static bool has_no_distance(const uint8_t *s, size_t n)
{
    for (const uint8_t *end = s + n; s < end;) {
        size_t literals = *s >> 4, match = *s & 15, more = 255;
        s++;
        for (; literals >= 15 && more == 255 && s < end; literals += more) more = *s++;
        if (literals + 2 > (size_t)(end - s)) return false;
        s += literals + 2;
        if (s[-2] == 0 && s[-1] == 0) return true;
        for (more = 255; match >= 15 && more == 255 && s < end; match += more) more = *s++;
    }
    return false;
}

START_TEST(test_lz4)
{
    // Every variant decodes what LZ4 encodes, and of damaged blocks all that LZ4 itself accepts, to the same bytes; it
    // stays within source and room.
    int same = 0, refused = 0;
    for (int round = 0; round < 6000; round++) {
        size_t n = round % 3 == 0 ? 8192 : 1u + next_byte() * 40u % (1u + next_byte() * 40u);
        uint8_t *plain = malloc(n), *work = malloc((size_t)LZ4_compressBound((int)n)), *want = malloc(n);
        make_compressible(plain, n, round % 2 ? 255 : 3);
        int bound = LZ4_compressBound((int)n),
            bytes = round % 5 == 0 ? LZ4_compress_HC((const char *)plain, (char *)work, (int)n, bound, 9)
                                   : LZ4_compress_default((const char *)plain, (char *)work, (int)n, bound);
        ck_assert_int_gt(bytes, 0);
        for (int damage = 0; damage < 4; damage++) {
            size_t length = (size_t)bytes, asked = n;
            for (int k = 0; k < damage; k++) work[(size_t)(next_byte() << 8 | next_byte()) % length] = next_byte();
            if (damage == 3) length -= next_byte() % length;
            if (damage == 2) asked -= next_byte() % n;
            uint8_t *src = malloc(length + 1); // exact size but for the byte a block of none needs
            memcpy(src + 1, work, length);
            bool good = LZ4_decompress_safe((const char *)src + 1, (char *)want, (int)length, (int)asked) == (int)asked;
            ck_assert(good || damage > 0);
            for (int variant = 0; xn_shuffle_variant(variant); variant++) {
                xn_shuffle_use(variant);
                uint8_t *got = malloc(asked + XN_LZ4_SLACK);
                bool ours = xn_lz4_decode(src + 1, length, got, asked);
                if (good && !has_no_distance(src + 1, length))
                    ck_assert_msg(ours && memcmp(got, want, asked) == 0, "variant %d, round %d", variant, round);
                same += good && damage > 0;
                refused += !ours;
                free(got);
            }
            free(src);
        }
        free(plain), free(work), free(want);
    }
    xn_shuffle_use(-1);
    ck_assert_int_gt(same, 100);
    ck_assert_int_gt(refused, 1000);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_test(t, test_bits);
    tcase_add_test(t, test_bytes);
    tcase_add_test(t, test_encoding);
    tcase_add_test(t, test_lz4);
    tcase_add_test(t, test_checksum);
}
XN_TEST_MAIN("bitshuffle", add)
