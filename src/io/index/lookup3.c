// SPDX-License-Identifier: BSD-3-Clause
// lookup3.c -- see lookup3.h.
//
// Twelve bytes at a time are added to a state of three words and mixed; the last one to twelve bytes, padded with
// zeros, are added and mixed in a way that makes every bit of the third word depend on all of them.  No bytes at all
// leave the start value.  Words are read byte by byte, which compilers turn into one load.
#include "io/index/lookup3.h"

typedef struct {
    uint32_t a, b, c;
} state;

static uint32_t rotate(uint32_t x, int k) { return x << k | x >> (32 - k); }

static uint32_t word(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void add(state *s, const uint8_t *p)
{
    s->a += word(p);
    s->b += word(p + 4);
    s->c += word(p + 8);
}

static void mix(state *s)
{
    uint32_t a = s->a, b = s->b, c = s->c;
    a = (a - c) ^ rotate(c, 4), c += b;
    b = (b - a) ^ rotate(a, 6), a += c;
    c = (c - b) ^ rotate(b, 8), b += a;
    a = (a - c) ^ rotate(c, 16), c += b;
    b = (b - a) ^ rotate(a, 19), a += c;
    c = (c - b) ^ rotate(b, 4), b += a;
    *s = (state){a, b, c};
}

static uint32_t finish(state s)
{
    uint32_t a = s.a, b = s.b, c = s.c;
    c = (c ^ b) - rotate(b, 14);
    a = (a ^ c) - rotate(c, 11);
    b = (b ^ a) - rotate(a, 25);
    c = (c ^ b) - rotate(b, 16);
    a = (a ^ c) - rotate(c, 4);
    b = (b ^ a) - rotate(a, 14);
    return (c ^ b) - rotate(b, 24);
}

uint32_t xn_lookup3(const uint8_t *bytes, size_t n)
{
    uint32_t start = 0xdeadbeef + (uint32_t)n;
    state s = {start, start, start};
    for (; n > 12; n -= 12, bytes += 12) {
        add(&s, bytes);
        mix(&s);
    }
    if (n == 0) return s.c;
    uint8_t tail[12] = {0};
    for (size_t i = 0; i < n; i++) tail[i] = bytes[i];
    add(&s, tail);
    return finish(s);
}

static bool believed;
void xn_lookup3_believe(bool all) { believed = all; }

bool xn_lookup3_holds(const uint8_t *bytes, size_t n)
{
    return n >= 4 && (believed || word(bytes + n - 4) == xn_lookup3(bytes, n - 4));
}
