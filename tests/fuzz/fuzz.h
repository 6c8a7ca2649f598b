// SPDX-License-Identifier: BSD-3-Clause
// fuzz.h -- what the fuzzing targets share: one entry point, and how they take numbers from the input.
//
// A target is one file, target_NAME.c, with LLVMFuzzerTestOneInput: it hands the bytes to one parser of ours and checks
// what the parser promises (nothing beyond the room it was given, sizes that are true, an end).  `make fuzz` links it
// with libFuzzer and sanitizers; in every other build replay.c runs the stored inputs, and changed ones, through it.
#ifndef XN_TEST_FUZZ_H
#define XN_TEST_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

// A promise that does not hold ends the program, which is what both ways of running count.
#define FUZZ_HOLDS(condition)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) __builtin_trap();                                                                            \
    } while (0)

typedef struct fuzz_input {
    const uint8_t *p;
    size_t n;
} fuzz_input;

static inline uint8_t fuzz_byte(fuzz_input *in) // 0 at the end
{
    if (in->n == 0) return 0;
    in->n--;
    return *in->p++;
}

static inline uint32_t fuzz_number(fuzz_input *in, int bytes)
{
    uint32_t v = 0;
    for (int i = 0; i < bytes; i++) v = v << 8 | fuzz_byte(in);
    return v;
}

// The rest in memory of its own, so that reading past it is seen.
static inline uint8_t *fuzz_rest(const fuzz_input *in)
{
    uint8_t *copy = malloc(in->n ? in->n : 1);
    if (copy && in->n) memcpy(copy, in->p, in->n);
    return copy;
}

#endif
