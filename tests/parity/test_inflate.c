// SPDX-License-Identifier: BSD-3-Clause
// test_inflate.c -- our deflate decoder gives what libdeflate gives, and never leaves source, destination or work
// memory.
#include "test.h"

#include <libdeflate.h>

#include "codec/filter.h"
#include "codec/inflate.h"

static uint32_t state = 11;
static uint32_t next_random(void)
{
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

static bool can_run(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2")) return true;
#endif
    xn_skip("the deflate decoder needs AVX2 and BMI2");
    return false;
}

// Counts, noise, runs, long repetitions and mixtures of them: each makes blocks of another kind.
static void make_data(uint8_t *p, size_t n, int kind)
{
    for (size_t i = 0; i < n; i++) {
        int what = kind < 6 ? kind : (int)(i / 5000 % 6);
        uint32_t r = next_random();
        switch (what) {
        case 0:
            p[i] = i % 2 ? 0 : (uint8_t)(r % 5 + r % 7 * (r % 3));
            break;
        case 1:
            p[i] = (uint8_t)r;
            break;
        case 2:
            p[i] = (uint8_t)(i / 700);
            break;
        case 3:
            p[i] = i < 300 || r % 50 == 0 ? (uint8_t)r : p[i - 1 - r / 64 % 3 * 97];
            break;
        case 4:
            p[i] = r % 16 ? (uint8_t)(r % 4) : (uint8_t)(r % 256); // codes of very different lengths
            break;
        default:
            p[i] = i >= 31000 && r % 1000 ? p[i - 31000] : (uint8_t)(r % 11);
            break;
        }
    }
}

static size_t deflate(int level, const uint8_t *src, size_t n, uint8_t **stored)
{
    struct libdeflate_compressor *z = libdeflate_alloc_compressor(level);
    size_t room = libdeflate_zlib_compress_bound(z, n);
    *stored = malloc(room);
    size_t bytes = libdeflate_zlib_compress(z, src, n, *stored, room);
    libdeflate_free_compressor(z);
    ck_assert_uint_gt(bytes, 0);
    return bytes;
}

START_TEST(test_equal)
{
    // All levels, sizes and kinds of data come back, into exactly as much room as they need; not into less.
    if (!can_run()) return;
    static const size_t sizes[] = {0, 1, 2, 17, 258, 340, 400, 1000, 8192, 70000, 300000};
    void *work = malloc(xn_inflate_work());
    for (int kind = 0; kind < 7; kind++)
        for (int level = 0; level <= 12; level++)
            for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
                size_t n = sizes[k], written = 0;
                if (n > 8192 && level > 9) continue; // slow, and no other blocks than before
                uint8_t *src = malloc(n + 1), *stored, *back = malloc(n + 1);
                make_data(src, n, kind);
                size_t bytes = deflate(level, src, n, &stored);
                uint8_t *exact = malloc(bytes), *room = malloc(n ? n : 1);
                memcpy(exact, stored, bytes);
                bool good = xn_inflate_avx2(exact, bytes, room, n, &written, work);
                ck_assert_msg(good && written == n, "kind %d, level %d, %zu bytes", kind, level, n);
                ck_assert_mem_eq(room, src, n);
                if (n > 0) ck_assert(!xn_inflate_avx2(exact, bytes, room, n - 1, &written, work));
                ck_assert(xn_inflate_avx2(exact, bytes, back, n + 1, &written, work) && written == n);
                free(src), free(stored), free(back), free(exact), free(room);
            }
    free(work);
}
END_TEST

START_TEST(test_truncated)
{
    // No beginning of a stream is taken for the whole.
    if (!can_run()) return;
    void *work = malloc(xn_inflate_work());
    for (int kind = 0; kind < 7; kind++) {
        enum { N = 3000 };
        uint8_t src[N], back[N], *stored;
        size_t written;
        make_data(src, N, kind);
        size_t bytes = deflate(kind % 3 * 3, src, N, &stored);
        for (size_t n = 0; n < bytes; n++) {
            uint8_t *part = malloc(n ? n : 1);
            memcpy(part, stored, n);
            ck_assert(!xn_inflate_avx2(part, n, back, N, &written, work));
            free(part);
        }
        free(stored);
    }
    free(work);
}
END_TEST

START_TEST(test_damaged)
{
    // What is accepted of changed streams, libdeflate accepts, with the same bytes; the filter's answer is
    // libdeflate's.
    if (!can_run()) return;
    void *work = malloc(xn_inflate_work());
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    xn_codec *codec = xn_codec_open();
    const xn_filter filter = {.id = XN_FILTER_GZIP};
    int refused = 0, accepted = 0;
    for (int round = 0; round < 12000; round++) {
        size_t n = 1 + next_random() % (round % 8 ? 2500 : 20000), written = 0, theirs = 0, ours = 0;
        uint8_t *src = malloc(n), *stored, *got = malloc(n), *want = malloc(n), *filtered = malloc(n);
        make_data(src, n, round % 7);
        size_t bytes = deflate(round % 10, src, n, &stored);
        for (uint32_t hits = next_random() % 4; hits > 0; hits--)
            stored[next_random() % (next_random() % 2 ? bytes
                                    : bytes < 80      ? bytes
                                                      : 80)] ^= (uint8_t)(1u << next_random() % 8);
        uint8_t *exact = malloc(bytes);
        memcpy(exact, stored, bytes);
        bool good = xn_inflate_avx2(exact, bytes, got, n, &written, work);
        bool reference = libdeflate_zlib_decompress(d, exact, bytes, want, n, &theirs) == LIBDEFLATE_SUCCESS;
        const char *why = xn_decode_gzip(codec, &filter, exact, bytes, filtered, n, &ours);
        if (good) {
            ck_assert(reference && theirs == written);
            ck_assert_mem_eq(got, want, written);
        }
        ck_assert(reference == (why == NULL));
        if (reference) ck_assert(ours == theirs && memcmp(filtered, want, theirs) == 0);
        refused += !good;
        accepted += good;
        free(src), free(stored), free(got), free(want), free(filtered), free(exact);
    }
    ck_assert_int_gt(refused, 4000);
    ck_assert_int_gt(accepted, 2000);
    xn_codec_close(&codec);
    libdeflate_free_decompressor(d);
    free(work);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_test(t, test_equal);
    tcase_add_test(t, test_truncated);
    tcase_add_test(t, test_damaged);
}
XN_TEST_MAIN("inflate", add)
