// SPDX-License-Identifier: BSD-3-Clause
// pulses.c -- where a pulse of the detector stands in the bunch pattern: see pattern.c.
#include <stdlib.h>
#include <string.h>

#include "source/euxfel/euxfel.h"

static int64_t row_of(const xn_xf_pattern *p, uint64_t train)
{
    int64_t low = 0, high = p->n;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (p->train[middle] < train)
            low = middle + 1;
        else
            high = middle;
    }
    return low < p->n && p->train[low] == train ? low : XN_XF_NO_TRAIN;
}

int64_t xn_xf_position(const xn_xf_pattern *p, const xn_xf_numbers *numbers, uint64_t id, int64_t *row)
{
    *row = row_of(p, xn_xf_train(id));
    if (*row < 0) return XN_XF_NO_TRAIN;
    int64_t at = numbers->offset + numbers->step * xn_xf_pulse(id);
    if (!numbers->by_fel) return at >= 0 && at < XN_XF_PULSES ? at : XN_XF_NO_FEL;
    return at >= 0 && at < p->fel[*row + 1] - p->fel[*row] ? p->fel_at[p->fel[*row] + at] : XN_XF_NO_FEL;
}

// Where `position` is among list[0] ... list[n - 1], which ascend; -1: it is not.
static int64_t find(const uint16_t *list, int64_t n, int64_t position)
{
    int64_t low = 0, high = n;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (list[middle] < position)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && list[low] == position ? low : -1;
}

int64_t xn_xf_fel_number(const xn_xf_pattern *p, int64_t row, int64_t position)
{
    int64_t n = p->fel[row + 1] - p->fel[row], at = n > 0 ? find(p->fel_at + p->fel[row], n, position) : -1;
    return at < 0 ? XN_XF_NO_FEL : at;
}

bool xn_xf_is_pump(const xn_xf_pattern *p, int64_t row, int64_t position)
{
    int64_t n = p->pump[row + 1] - p->pump[row];
    return n > 0 && find(p->pump_at + p->pump[row], n, position) >= 0;
}
