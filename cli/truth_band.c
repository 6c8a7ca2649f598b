// SPDX-License-Identifier: BSD-3-Clause
// truth_band.c -- the true dispersion along the path, from the force constants a simulation stores.
//
// The report draws nu1 (after the change) beside the branches found, and nu0 (before) for comparison.
#include <stdlib.h>

#include "cli/report.h"

// nu (branch, sample) along hkl (n, 3) of the constants that `format` names; NULL where the file has none. Owned.
static double *band(report *r, const char *format, const double *hkl, int64_t n, int64_t *branches)
{
    xani_phonons_options o;
    xani_phonons *p = NULL;
    double b[9];
    xani_phonons_options_init(&o);
    o.format = format;
    if (xani_phonons_open(r->c->context, r->truth.path, &o, &p) != XANI_OK || !xani_phonons_conventional(p, b)) {
        xani_phonons_close(&p);
        return NULL;
    }
    int64_t most = 3 * (int64_t)xani_phonons_atoms(p);
    double *q = cli_alloc((size_t)(3 * n), sizeof *q), *rows = cli_alloc((size_t)(most * n), sizeof *rows);
    double *nu = cli_alloc((size_t)(most * n), sizeof *nu);
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < 3; k++)
            q[3 * i + k] = b[3 * k] * hkl[3 * i] + b[3 * k + 1] * hkl[3 * i + 1] + b[3 * k + 2] * hkl[3 * i + 2];
    bool good = xani_phonons_at(r->c->context, p, n, q, NULL, rows, NULL) == XANI_OK;
    for (int64_t i = 0; good && i < n; i++)
        for (int64_t k = 0; k < most; k++) nu[k * n + i] = rows[i * most + k] > 0 ? rows[i * most + k] : 0;
    free(q);
    free(rows);
    xani_phonons_close(&p);
    if (!good) {
        free(nu);
        return NULL;
    }
    *branches = most;
    return nu;
}

void truth_bands(report *r)
{
    const report_dispersion *d = &r->dispersion;
    if (r->truth.n_runs == 0 || d->branch_hkl == NULL) return;
    r->truth.band_n = d->branch_n;
    r->truth.band_before = band(r, "truth_before", d->branch_hkl, d->branch_n, &r->truth.band_branches);
    r->truth.band_after = band(r, "truth_after", d->branch_hkl, d->branch_n, &r->truth.band_branches);
}
