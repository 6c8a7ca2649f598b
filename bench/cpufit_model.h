// SPDX-License-Identifier: BSD-3-Clause
// cpufit_model.h -- damped cosines for Cpufit, which has none: tools/build-cpufit puts them into a copy of its source.
//
// Two of Cpufit's model numbers are used for one and for two modes: parameters A, f, g, phase of each, then the offset;
// user_info holds the delay step.  Plain loops with sin, cos and exp in Cpufit's own precision, as its models are
// written; the derivatives share them with the values.  Units: ps, THz, 1/ps.
#ifndef XANI_CPUFIT_MODEL_H
#define XANI_CPUFIT_MODEL_H

#include <cmath>
#include <cstddef>

static bool damped_cosines(int model, std::size_t n, REAL const *p, char const *user_info, REAL *values,
                           REAL *derivatives)
{
    int const modes = model == BROWN_DENNIS ? 1 : model == SPLINE_5D ? 2 : 0;
    if (modes == 0) return false;
    REAL const step = *reinterpret_cast<REAL const *>(user_info), turn = REAL(6.283185307179586);
    for (std::size_t i = 0; i < n; i++) {
        REAL const t = REAL(i) * step;
        values[i] = p[4 * modes];
        derivatives[4 * modes * n + i] = 1;
        for (int k = 0; k < modes; k++) {
            REAL const *q = p + 4 * k;
            REAL const e = std::exp(-q[2] * t), angle = turn * q[1] * t + q[3];
            REAL const c = e * std::cos(angle), s = e * std::sin(angle);
            REAL *d = derivatives + 4 * k * n + i;
            values[i] += q[0] * c;
            d[0] = c;
            d[n] = -turn * t * q[0] * s;
            d[2 * n] = -t * q[0] * c;
            d[3 * n] = -q[0] * s;
        }
    }
    return true;
}

#endif
