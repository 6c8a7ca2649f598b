// SPDX-License-Identifier: BSD-3-Clause
// linear_prediction.c -- the lines of a complex signal by linear prediction, through the public interface only.
//
// The signal is the example of EasySpin's lpsvd: 11 lines from -50 to 50 MHz that decay with 0.4 us, here with times in
// us and frequencies in MHz, which is the same to the library as ps and THz.
#include <math.h>
#include <stdio.h>
#include <xani/xani.h>

enum { SAMPLES = 1024, MOST = 16 };

int main(void)
{
    static double y[2 * SAMPLES], t[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) {
        t[i] = 0.004 * i;
        for (int line = 0; line < 11; line++) {
            const double a = (-1.1 + 0.2 * line) * exp(-t[i] / 0.4);
            const double angle = 2 * 3.14159265358979323846 * (10 * line - 50) * t[i];
            y[2 * i] += a * cos(angle);
            y[2 * i + 1] += a * sin(angle);
        }
    }
    xani_context *context;
    if (xani_create(&context) != XANI_OK) return 1;
    xani_lp_options options;
    xani_lp_options_init(&options);
    options.complex_traces = 1;
    options.columns = 200; // twice the decay time: more would add noise only
    options.amplitude_threshold = 0.2;
    xani_lp_component component[MOST];
    xani_lp_result result;
    const xani_status st = xani_linear_prediction(context, &options, y, t, SAMPLES, 1, MOST, component, &result);
    if (st != XANI_OK) fprintf(stderr, "%s\n", xani_error_text(context));
    for (int i = 0; st == XANI_OK && i < result.n_components; i++)
        printf("%7.2f MHz  amplitude %.3f  phase %6.3f  decay time %.3f us\n", component[i].frequency_thz,
               component[i].amplitude, component[i].phase, 1 / component[i].damping_per_ps);
    const int right = st == XANI_OK && result.rank == 11 && result.n_components == 9; // two lines are weaker than 0.22
    xani_destroy(&context);
    return right ? 0 : 1;
}
