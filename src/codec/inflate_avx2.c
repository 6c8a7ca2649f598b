// SPDX-License-Identifier: BSD-3-Clause
// inflate_avx2.c -- see inflate.h; built with AVX2 and BMI2 by its name, called only where there are both.
//
// Deflate (RFC 1951) in zlib's wrapping (RFC 1950).  What costs time is to wait: for the table, where the next symbol
// stands only when this one is known, and for branches, since whether a literal or a match comes next is chance.  So
// the next ROOT bits are looked up in a table of steps: up to three literals and a match behind them, either of which
// may be missing, with all their bits.  A step is carried out in one way without a branch: four bytes stored, then
// sixteen bytes of a match (of length 0 if there is none).  Long matches and rare codes go through the plain tables of
// symbols.
//
// Bits are kept in a word of 64 that is filled without a branch (F. Giesen, "Reading bits in far too many ways",
// variant 4): `held` of them count, those above are what the next filling brings again.  The fast loop runs while the
// source has 16 bytes left and the destination room for the longest match and what is written beyond it; towards the
// ends another loop takes one symbol at a time and looks before each.
#include <libdeflate.h>
#include <string.h>

#include "codec/copy_match.h"
#include "codec/inflate.h"

enum {
    ROOT = 10,
    DISTANCE_ROOT = 8,
    SYMBOLS = 288,
    DISTANCES = 32,
    LONGEST = 15,       // code, bits
    SOURCE_MARGIN = 16, // bytes read by one turn of the fast loop
    ROOM_MARGIN = 352,  // bytes written by one turn: literals, a match of 258, 63 beyond it
    LITERAL = 1 << 6,
    END_OF_BLOCK = 1 << 12,
    LONGER = 1 << 13, // more bits are needed
    INVALID = 1 << 14
};

// Symbols. Bits 0-5: bits to take, extra bits included; 8-11: those of the code alone; 16-31: the literal, or the base
// of length or distance. LONGER: bits 8-11 how many more bits to look at, 16-31 where.
typedef uint32_t entry;

// Steps. Bits 0-5: bits to take; 6-7: not a step; 8-11: bits of the codes; 12-13: literals; 14-17: length; 18-33: base
// of the distance (1 without a match: something that can be read); 40-63: the literals.
typedef uint64_t step;
#define NO_STEP ((step)1 << 6)
#define STEP(bits, codes, literals, length, distance)                                                                  \
    ((step)(bits) | (step)(codes) << 8 | (step)(literals) << 12 | (step)(length) << 14 | (step)(distance) << 18)

typedef struct {
    step step[1 << ROOT];
    entry symbol[2048], distance[1024];
    uint8_t length[SYMBOLS + DISTANCES];
} tables;

typedef struct {
    const uint8_t *in, *in_end;
    uint64_t bits;
    unsigned held;
    uint8_t *out, *out_begin, *out_end;
} stream;

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}
static inline void store32(uint8_t *p, uint32_t v) { memcpy(p, &v, 4); }

static inline unsigned low(uint64_t bits, unsigned n) { return (unsigned)_bzhi_u64(bits, n); }

// ---- tables

static entry symbol_entry(unsigned symbol, unsigned bits)
{
    static const uint16_t base[] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                    31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
    static const uint8_t extra[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                    2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
    if (symbol < 256) return symbol << 16 | bits << 8 | LITERAL | bits;
    if (symbol == 256) return END_OF_BLOCK | bits;
    if (symbol > 285) return INVALID;
    return (entry)base[symbol - 257] << 16 | bits << 8 | (bits + extra[symbol - 257]);
}

static entry distance_entry(unsigned symbol, unsigned bits)
{
    if (symbol > 29) return INVALID;
    unsigned extra = symbol < 4 ? 0 : symbol / 2 - 1, base = symbol < 4 ? symbol : (2 + symbol % 2) << extra;
    return (base + 1) << 16 | bits << 8 | (bits + extra);
}

static entry plain_entry(unsigned symbol, unsigned bits) { return symbol << 16 | bits; }

static unsigned reversed(unsigned code, unsigned bits)
{
    unsigned r = 0;
    for (; bits > 0; bits--, code >>= 1) r = r << 1 | (code & 1);
    return r;
}

// Bits that the codes longer than the root need behind this one's first `root`, of which `left` are not yet given out.
static unsigned sub_bits(const unsigned *count, unsigned bits, unsigned root)
{
    unsigned more = bits - root;
    for (unsigned left = 1u << more; root + more < LONGEST; more++, left <<= 1) {
        if (left <= count[root + more]) break;
        left -= count[root + more];
    }
    return more;
}

// A canonical code from the lengths of n symbols. False: too large, or not complete; a single distance of one bit is.
static bool build(const uint8_t *length, unsigned n, unsigned root, entry *table, size_t room,
                  entry (*make)(unsigned symbol, unsigned bits))
{
    unsigned count[LONGEST + 1] = {0}, next[LONGEST + 2], used = 0;
    uint16_t sorted[SYMBOLS];
    for (unsigned i = 0; i < n; i++) count[length[i]]++;
    count[0] = 0;
    int left = 1;
    next[0] = next[1] = 0;
    for (unsigned b = 1; b <= LONGEST; b++) {
        left = 2 * left - (int)count[b];
        if (left < 0) return false;
        next[b + 1] = next[b] + count[b];
        used += count[b];
    }
    if (left > 0 && (make != distance_entry || used > 1 || used != count[1])) return false;
    for (unsigned i = 0; i < n; i++)
        if (length[i]) sorted[next[length[i]]++] = (uint16_t)i;
    if (left > 0)
        for (unsigned i = 0; i < 1u << root; i++) table[i] = INVALID;
    size_t free = (size_t)1 << root, sub = 0;
    unsigned code = 0, more = 0, prefix = UINT32_MAX;
    for (unsigned i = 0, bits = 1; i < used; i++, code++) {
        while (bits < length[sorted[i]]) bits++, code <<= 1;
        unsigned r = reversed(code, bits);
        entry e = make(sorted[i], bits);
        if (bits <= root) {
            for (unsigned j = r; j < 1u << root; j += 1u << bits) table[j] = e;
            continue;
        }
        if ((r & ((1u << root) - 1)) != prefix) {
            prefix = r & ((1u << root) - 1);
            more = sub_bits(count, bits, root);
            sub = free;
            free += (size_t)1 << more;
            if (free > room) return false;
            table[prefix] = (entry)sub << 16 | LONGER | more << 8;
        }
        for (unsigned j = r >> root; j < 1u << more; j += 1u << (bits - root)) table[sub + j] = e;
        count[bits]--;
    }
    return true;
}

// The step that begins with these bits. A literal goes in front of the step behind it, which stands earlier in the
// table.
static step make_step(const tables *t, unsigned bits)
{
    entry e = t->symbol[bits];
    unsigned code = e >> 8 & 15, rest = bits >> code;
    if (e & LITERAL) {
        step byte = (step)(e >> 16) << 40, behind = t->step[rest];
        entry other = t->symbol[rest];
        unsigned codes = code + (behind >> 8 & 15), literals = behind >> 12 & 3, two = code + (other >> 8 & 15);
        if (!(behind & NO_STEP) && codes <= ROOT && literals < 3)
            return (behind >> 40 << 48 | byte) + (behind & 0xffffffffff) + STEP(code, code, 1, 0, 0);
        if (other & LITERAL && two <= ROOT) return (step)(other >> 16) << 48 | byte | STEP(two, two, 2, 0, 1);
        return byte | STEP(code, code, 1, 0, 1);
    }
    if (e & (END_OF_BLOCK | LONGER | INVALID) || (e & 63) != code) return NO_STEP; // or a length with extra bits
    entry d = t->distance[rest & ((1 << DISTANCE_ROOT) - 1)];
    unsigned codes = code + (d >> 8 & 15);
    if (d & (LONGER | INVALID) || codes > ROOT || e >> 16 > 15) return NO_STEP;
    return STEP(code + (d & 63), codes, 0, e >> 16, d >> 16);
}

// ---- bits, looked at one by one

static inline void fill(stream *s)
{
    for (; s->held <= 56 && s->in < s->in_end; s->held += 8) s->bits |= (uint64_t)*s->in++ << s->held;
}

static inline void drop(stream *s, unsigned n)
{
    s->bits >>= n;
    s->held -= n;
}

// n <= 16 bits; false: the source ends before.
static inline bool take(stream *s, unsigned n, unsigned *value)
{
    if (s->held < n) fill(s);
    if (s->held < n) return false;
    *value = low(s->bits, n);
    drop(s, n);
    return true;
}

static bool read_lengths(stream *s, tables *t, unsigned *n_symbols, unsigned *n_distances)
{
    static const uint8_t order[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    unsigned symbols, distances, codes, v;
    if (!take(s, 5, &symbols) || !take(s, 5, &distances) || !take(s, 4, &codes)) return false;
    symbols += 257, distances += 1, codes += 4;
    if (symbols > 286 || distances > 30) return false;
    uint8_t length[19] = {0};
    for (unsigned i = 0; i < codes; i++) {
        if (!take(s, 3, &v)) return false;
        length[order[i]] = (uint8_t)v;
    }
    entry code[1 << 7];
    if (!build(length, 19, 7, code, 1 << 7, plain_entry)) return false;
    for (unsigned i = 0, total = symbols + distances; i < total;) {
        fill(s);
        entry e = code[s->bits & 127];
        unsigned symbol = e >> 16, again = 1, value = symbol;
        if ((e & 63) > s->held) return false;
        drop(s, e & 63);
        if (symbol >= 16) {
            if (!take(s, symbol == 16 ? 2 : symbol == 17 ? 3 : 7, &again)) return false;
            again += symbol == 18 ? 11 : 3;
            if (symbol == 16 && i == 0) return false;
            value = symbol == 16 ? t->length[i - 1] : 0;
        }
        if (again > total - i) return false;
        memset(t->length + i, (int)value, again);
        i += again;
    }
    *n_symbols = symbols;
    *n_distances = distances;
    return true;
}

static bool read_tables(stream *s, tables *t, bool fixed)
{
    unsigned symbols = SYMBOLS, distances = DISTANCES;
    if (fixed) {
        for (unsigned i = 0; i < SYMBOLS; i++) t->length[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
        memset(t->length + SYMBOLS, 5, DISTANCES);
    } else if (!read_lengths(s, t, &symbols, &distances)) {
        return false;
    }
    if (!build(t->length, symbols, ROOT, t->symbol, sizeof t->symbol / sizeof(entry), symbol_entry) ||
        !build(t->length + symbols, distances, DISTANCE_ROOT, t->distance, sizeof t->distance / sizeof(entry),
               distance_entry))
        return false;
    t->step[0] = NO_STEP; // is behind itself
    for (unsigned i = 0; i < 1 << ROOT; i++) t->step[i] = make_step(t, i);
    return true;
}

// ---- blocks

typedef enum { GO_ON, DONE, WRONG } verdict;

// Until the end of the block or until one of the margins is reached.
static verdict fast_symbols(stream *restrict st, const tables *restrict t)
{
    stream s = *st;
    verdict v = GO_ON;
    const uint8_t *in_safe = s.in_end - SOURCE_MARGIN;
    uint8_t *out_safe = s.out_end - ROOM_MARGIN;
#define FILL() (s.bits |= load64(s.in) << s.held, s.in += (63 - s.held) >> 3, s.held |= 56)
#define DROP(n) (s.bits >>= (n), s.held -= (n))
#define LOOK(table, root) (table)[s.bits & ((1u << (root)) - 1)]
    while (s.in <= in_safe && s.out <= out_safe) {
        FILL();
        int steps = 0;
        for (; steps < 2; steps++) { // 24 bits each
            step e = LOOK(t->step, ROOT);
            if (e & NO_STEP) break;
            uint64_t saved = s.bits;
            DROP(e & 63);
            store32(s.out, (uint32_t)(e >> 40));
            s.out += e >> 12 & 3;
            size_t distance = (e >> 18 & 0xffff) + (low(saved, e & 63) >> (e >> 8 & 15));
            if (distance > (size_t)(s.out - s.out_begin)) return WRONG;
            (void)start_match(s.out, distance);
            s.out += e >> 14 & 15;
        }
        if (steps == 2) continue;
        FILL();
        entry e = LOOK(t->symbol, ROOT);
        if (e & LONGER) e = t->symbol[(e >> 16) + low(s.bits >> ROOT, e >> 8 & 15)];
        uint64_t saved = s.bits;
        DROP(e & 63);
        if (e & LITERAL) {
            *s.out++ = (uint8_t)(e >> 16);
            continue;
        }
        if (e & (END_OF_BLOCK | INVALID)) {
            v = e & INVALID ? WRONG : DONE;
            break;
        }
        size_t length = (e >> 16) + (low(saved, e & 63) >> (e >> 8 & 15));
        e = LOOK(t->distance, DISTANCE_ROOT); // 56 - 20 bits are left, 28 are needed
        if (e & LONGER) e = t->distance[(e >> 16) + low(s.bits >> DISTANCE_ROOT, e >> 8 & 15)];
        saved = s.bits;
        DROP(e & 63);
        size_t distance = (e >> 16) + (low(saved, e & 63) >> (e >> 8 & 15));
        if (e & INVALID || distance > (size_t)(s.out - s.out_begin)) {
            v = WRONG;
            break;
        }
        __m128i run = start_match(s.out, distance);
        if (length > 16) finish_match(s.out, distance, s.out + length, run);
        s.out += length;
    }
    *st = s;
    return v;
}

// One entry of a table, with what its code has beyond the root.
static bool look(const stream *s, const entry *table, unsigned root, entry *e)
{
    *e = table[low(s->bits, root)];
    if (*e & LONGER) *e = table[(*e >> 16) + low(s->bits >> root, *e >> 8 & 15)];
    return !(*e & INVALID);
}

static verdict one_symbol(stream *s, const tables *t)
{
    entry e;
    fill(s);
    if (!look(s, t->symbol, ROOT, &e)) return WRONG;
    if ((e & 63) > s->held) return WRONG;
    uint64_t saved = s->bits;
    drop(s, e & 63);
    if (e & LITERAL) {
        if (s->out == s->out_end) return WRONG;
        *s->out++ = (uint8_t)(e >> 16);
        return GO_ON;
    }
    if (e & END_OF_BLOCK) return DONE;
    size_t length = (e >> 16) + (low(saved, e & 63) >> (e >> 8 & 15));
    fill(s);
    if (!look(s, t->distance, DISTANCE_ROOT, &e) || (e & 63) > s->held) return WRONG;
    saved = s->bits;
    drop(s, e & 63);
    size_t distance = (e >> 16) + (low(saved, e & 63) >> (e >> 8 & 15));
    if (distance > (size_t)(s->out - s->out_begin) || length > (size_t)(s->out_end - s->out)) return WRONG;
    for (uint8_t *end = s->out + length; s->out < end; s->out++) *s->out = *(s->out - distance);
    return GO_ON;
}

static bool coded_block(stream *s, const tables *t)
{
    verdict v = GO_ON;
    while (v == GO_ON) {
        if (s->in_end - s->in >= SOURCE_MARGIN && s->out_end - s->out >= ROOM_MARGIN)
            v = fast_symbols(s, t);
        else
            v = one_symbol(s, t);
    }
    return v == DONE;
}

// Gives bytes back of which no bit was taken.
static void align(stream *s)
{
    s->in -= s->held >> 3;
    s->bits = 0;
    s->held = 0;
}

static bool stored_block(stream *s)
{
    align(s);
    if (s->in_end - s->in < 4) return false;
    size_t n = (size_t)s->in[0] | (size_t)s->in[1] << 8, not_n = (size_t)s->in[2] | (size_t)s->in[3] << 8;
    s->in += 4;
    if ((n ^ not_n) != 0xffff || (size_t)(s->in_end - s->in) < n || (size_t)(s->out_end - s->out) < n) return false;
    memcpy(s->out, s->in, n);
    s->in += n;
    s->out += n;
    return true;
}

size_t xn_inflate_work(void) { return sizeof(tables); }

bool xn_inflate_avx2(const uint8_t *src, size_t n, uint8_t *dst, size_t room, size_t *written, void *work)
{
    if (n < 6 || (src[0] & 15) != 8 || src[0] >> 4 > 7 || (src[0] << 8 | src[1]) % 31 || src[1] & 32) return false;
    stream s = {.in = src + 2, .in_end = src + n, .out = dst, .out_begin = dst, .out_end = dst + room};
    for (unsigned last = 0, kind; !last;) {
        if (!take(&s, 1, &last) || !take(&s, 2, &kind) || kind == 3) return false;
        if (kind == 0 ? !stored_block(&s) : !read_tables(&s, work, kind == 1) || !coded_block(&s, work)) return false;
    }
    align(&s);
    *written = (size_t)(s.out - dst);
    if (s.in_end - s.in < 4) return false;
    uint32_t sum = (uint32_t)s.in[0] << 24 | (uint32_t)s.in[1] << 16 | (uint32_t)s.in[2] << 8 | s.in[3];
    return libdeflate_adler32(1, dst, *written) == sum;
}
