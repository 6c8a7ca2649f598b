/* SPDX-License-Identifier: BSD-3-Clause */
/* fit_traces.c -- uses libxani from a C program: fits damped oscillations in traces held in memory.
 *
 * Three traces of 200 delays, each one oscillation of known frequency with Gaussian noise of known size,
 * are fitted; the program prints what was found beside what was put in.  It ends with 1 if a frequency is
 * off by more than five of its own standard errors.
 *
 *   cc fit_traces.c $(pkg-config --cflags --libs xani) -lm && ./a.out
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <xani/xani.h>

enum { N_DELAYS = 200, N_TRACES = 3 };

static double uniform(unsigned long long *state) /* a small generator: Knuth's MMIX constants */
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return ((double)(*state >> 11) + 0.5) / 9007199254740992.0;
}

static double gauss(unsigned long long *state)
{
    double u = uniform(state), v = uniform(state);
    return sqrt(-2.0 * log(u)) * cos(2.0 * acos(-1.0) * v);
}

int main(void)
{
    static const double frequency_thz[N_TRACES] = {1.3, 2.7, 4.1};
    static float traces[N_DELAYS * N_TRACES]; /* [delay][trace], the order of a cube */
    static double delay_ps[N_DELAYS];
    const float sigma[N_TRACES] = {0.002f, 0.002f, 0.002f};
    unsigned long long state = 1;
    for (int i = 0; i < N_DELAYS; i++) {
        delay_ps[i] = 0.04 * (i + 0.5);
        for (int j = 0; j < N_TRACES; j++) {
            double t = delay_ps[i], wave = cos(2.0 * acos(-1.0) * frequency_thz[j] * t);
            traces[i * N_TRACES + j] = (float)(0.02 * exp(-0.3 * t) * wave + sigma[j] * gauss(&state));
        }
    }

    xani_context *context = NULL;
    if (xani_create(&context) != XANI_OK) return 1;
    xani_fit_options options;
    xani_fit_options_init(&options);
    options.modes_max = 1;
    xani_fit_result results[N_TRACES];
    xani_status status = xani_fit_traces(context, &options, traces, delay_ps, N_DELAYS, N_TRACES, sigma, results);
    int wrong = status != XANI_OK;
    if (wrong) fprintf(stderr, "fit_traces: %s\n", xani_error_text(context));
    for (int j = 0; j < N_TRACES && status == XANI_OK; j++) {
        const xani_fit_result *r = &results[j];
        if (r->n_modes != 1) {
            printf("trace %d: no oscillation found\n", j);
            wrong = 1;
            continue;
        }
        printf("trace %d: %.4f +- %.4f THz (put in: %.4f), amplitude %.4f +- %.4f, significance %.0f\n", j,
               r->frequency_thz[0], r->frequency_error[0], frequency_thz[j], r->amplitude[0], r->amplitude_error[0],
               r->significance[0]);
        wrong |= !(fabs(r->frequency_thz[0] - frequency_thz[j]) < 5.0 * r->frequency_error[0]);
    }
    xani_destroy(&context);
    return wrong;
}
