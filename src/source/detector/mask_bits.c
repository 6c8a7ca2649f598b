// SPDX-License-Identifier: BSD-3-Clause
// mask_bits.c -- the bits of the facilities' masks as those of NXmx, which all of xani uses (formats.md 5).
//
// NXmx: 0 gap, 1 dead, 2 under-responding, 3 over-responding, 4 noisy, 5 undefined, 6 in a cluster of problems, 8 user.
// A word that is not 0 never becomes 0: what has no counterpart is "undefined", a word of bits no one knows "dead".
#include "source/detector/detector.h"

#include <stdlib.h>
#include <string.h>

enum { UNDER = 1u << 2, OVER = 1u << 3, NOISY = 1u << 4, CLUSTER = 1u << 6 };

#define PSI_USER (1u << 0)
#define PSI_EMPTY (1u << 20)
#define PSI_EDGES (3u << 21)

// `take pedestal`: 0 user, 1 ... 12 found in the pedestal runs, 20 empty space, 21 double pixel, 22 module edge.
static uint32_t nxmx_of_psi(uint32_t bits)
{
    uint32_t out = 0;
    if (bits & PSI_USER) out |= XN_PIXEL_USER;
    if (bits & PSI_EMPTY) out |= XN_PIXEL_GAP;
    if (bits & PSI_EDGES) out |= XN_PIXEL_UNDEFINED;
    if (out == 0 || (bits & ~(PSI_USER | PSI_EMPTY | PSI_EDGES)) != 0) out |= XN_PIXEL_DEAD;
    return out;
}

static const struct {
    const char *name;
    int bit;
    uint32_t nxmx;
} euxfel[] = {
    {"OFFSET_OUT_OF_THRESHOLD", 0, XN_PIXEL_DEAD},
    {"NOISE_OUT_OF_THRESHOLD", 1, NOISY},
    {"OFFSET_NOISE_EVAL_ERROR", 2, XN_PIXEL_DEAD},
    {"NO_DARK_DATA", 3, XN_PIXEL_UNDEFINED},
    {"CI_GAIN_OF_OF_THRESHOLD", 4, XN_PIXEL_DEAD},
    {"CI_LINEAR_DEVIATION", 5, XN_PIXEL_UNDEFINED},
    {"CI_EVAL_ERROR", 6, XN_PIXEL_UNDEFINED},
    {"FF_GAIN_EVAL_ERROR", 7, XN_PIXEL_UNDEFINED},
    {"FF_GAIN_DEVIATION", 8, UNDER},
    {"FF_NO_ENTRIES", 9, XN_PIXEL_UNDEFINED},
    {"CI2_EVAL_ERROR", 10, XN_PIXEL_UNDEFINED},
    {"VALUE_IS_NAN", 11, XN_PIXEL_UNDEFINED},
    {"VALUE_OUT_OF_RANGE", 12, OVER},
    {"GAIN_THRESHOLDING_ERROR", 13, XN_PIXEL_UNDEFINED},
    {"DATA_STD_IS_ZERO", 14, XN_PIXEL_DEAD},
    {"ASIC_STD_BELOW_NOISE", 15, CLUSTER},
    {"INTERPOLATED", 16, XN_PIXEL_UNDEFINED},
    {"NOISY_ADC", 17, NOISY},
    {"OVERSCAN", 18, OVER},
    {"NON_SENSITIVE", 19, XN_PIXEL_GAP},
    {"NON_LIN_RESPONSE_REGION", 20, OVER},
    {"WRONG_GAIN_VALUE", 21, XN_PIXEL_UNDEFINED},
    {"NON_STANDARD_SIZE", 22, XN_PIXEL_UNDEFINED},
    {"EXPERT_CHOICE", 23, XN_PIXEL_USER},
    {"USER1", 30, XN_PIXEL_USER},
    {"USER2", 31, XN_PIXEL_USER},
};
#define N_EUXFEL (sizeof euxfel / sizeof euxfel[0])

static uint32_t nxmx_of_euxfel(uint32_t bits)
{
    uint32_t out = 0;
    if (bits == UINT32_MAX) return XN_PIXEL_GAP; // a virtual file's word for a module without data
    for (size_t i = 0; i < N_EUXFEL; i++)
        if (bits >> euxfel[i].bit & 1) out |= euxfel[i].nxmx;
    return out != 0 ? out : XN_PIXEL_DEAD;
}

int xn_mask_bit(xn_mask_table table, const char *text)
{
    char *end;
    long bit = strtol(text, &end, 10);
    for (size_t i = 0; table == XN_BITS_EUXFEL && i < N_EUXFEL; i++)
        if (strcmp(euxfel[i].name, text) == 0) return euxfel[i].bit;
    return end != text && *end == '\0' && bit >= 0 && bit < 32 ? (int)bit : -1;
}

uint32_t xn_mask_nxmx(xn_mask_table table, uint32_t bits)
{
    if (bits == 0) return 0;
    switch (table) {
    case XN_BITS_NXMX:
        return bits & 0xffffu; // the rest says nothing against a pixel
    case XN_BITS_PSI:
        return nxmx_of_psi(bits);
    case XN_BITS_EUXFEL:
        return nxmx_of_euxfel(bits);
    default:
        return XN_PIXEL_USER;
    }
}
