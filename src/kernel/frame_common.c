// SPDX-License-Identifier: BSD-3-Clause
// frame_common.c -- common mode: what the pixels of a readout bank are all off by in one frame.
//
// The rule of psana (slac-lcls/lcls2, UtilsCommonMode): the median of the pixels that take part (unmasked, in the
// quietest gain), of each bank, then of each row of a bank, then of each column of the stripe of banks; subtracted from
// those pixels where it is less than max_correction and more than min_pixels of them there are.  It is found in the
// detector's own units, before the gain.  Medians by selection (Hoare 1961), in place.
#include "kernel/frame.h"

#define COLUMNS 16 // a cache line

static void swap(float *a, float *b)
{
    float t = *a;
    *a = *b;
    *b = t;
}

// v[k] as if v were sorted, everything before it not greater, everything behind it not less.
static float select_kth(float *v, int64_t n, int64_t k)
{
    int64_t lo = 0, hi = n - 1;
    while (lo < hi) {
        float pivot = v[lo + (hi - lo) / 2];
        int64_t i = lo, j = hi;
        while (i <= j) {
            while (v[i] < pivot) i++;
            while (v[j] > pivot) j--;
            if (i <= j) swap(&v[i++], &v[j--]);
        }
        if (k <= j)
            hi = j;
        else if (k >= i)
            lo = i;
        else
            break;
    }
    return v[k];
}

float xn_frame_median(float *v, int64_t n)
{
    float upper = select_kth(v, n, n / 2);
    if (n % 2 != 0) return upper;
    float lower = v[0]; // the greatest of the lower half
    for (int64_t i = 1; i < n / 2; i++) lower = v[i] > lower ? v[i] : lower;
    return (lower + upper) * 0.5f;
}

// Pixels [row, row + rows) x [column, column + columns).
static void correct(float *adu, int64_t nx, int64_t row, int64_t rows, int64_t column, int64_t columns,
                    const xn_common_mode *how, float *shift, float *room)
{
    int64_t n = 0;
    for (int64_t y = row; y < row + rows; y++)
        for (int64_t x = column; x < column + columns; x++)
            if (!isnan(adu[y * nx + x])) room[n++] = adu[y * nx + x];
    if (n <= how->min_pixels || n == 0) return;
    float median = xn_frame_median(room, n);
    if (!(fabsf(median) < how->max_correction)) return;
    for (int64_t y = row; y < row + rows; y++)
        for (int64_t x = column; x < column + columns; x++) {
            int64_t i = y * nx + x;
            if (isnan(adu[i])) continue;
            adu[i] -= median;
            shift[i] += median;
        }
}

// Columns [column, column + n) of the stripe, each by itself; side by side, because that is how they lie in memory.
static void correct_columns(float *adu, int64_t nx, int64_t column, int64_t n, const xn_common_mode *how, float *shift,
                            float *room)
{
    int64_t rows = how->bank_rows, have[COLUMNS] = {0};
    float median[COLUMNS];
    for (int64_t y = 0; y < rows; y++)
        for (int64_t x = 0; x < n; x++)
            if (!isnan(adu[y * nx + column + x])) room[x * rows + have[x]++] = adu[y * nx + column + x];
    for (int64_t x = 0; x < n; x++) {
        bool enough = have[x] > how->min_pixels && have[x] > 0;
        median[x] = enough ? xn_frame_median(room + x * rows, have[x]) : 0.0f;
        if (!(fabsf(median[x]) < how->max_correction)) median[x] = 0.0f;
    }
    for (int64_t y = 0; y < rows; y++)
        for (int64_t x = 0; x < n; x++) {
            int64_t i = y * nx + column + x;
            shift[i] += isnan(adu[i]) ? 0.0f : median[x];
            adu[i] -= median[x];
        }
}

void xn_frame_common_mode(float *adu, int64_t nx, const xn_common_mode *how, float *shift, float *room)
{
    int64_t rows = how->bank_rows, columns = how->bank_columns;
    for (int64_t i = 0; i < rows * nx; i++) shift[i] = 0.0f;
    for (int64_t x = 0; how->banks && x < nx; x += columns) correct(adu, nx, 0, rows, x, columns, how, shift, room);
    for (int64_t y = 0; how->rows && y < rows; y++)
        for (int64_t x = 0; x < nx; x += columns) correct(adu, nx, y, 1, x, columns, how, shift, room);
    int64_t together = columns < COLUMNS ? columns : COLUMNS; // what the room holds
    for (int64_t x = 0; how->columns && x < nx; x += together)
        correct_columns(adu, nx, x, x + together < nx ? together : nx - x, how, shift, room);
}
