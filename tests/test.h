// SPDX-License-Identifier: BSD-3-Clause
// test.h -- what every C test includes: Check, one main for one suite, a scratch folder, counted skips.
//
//   static void add(TCase *t) { tcase_add_test(t, something); }
//   XN_TEST_MAIN("source file", add)
//
// Results go to stdout and, as TAP, to $XN_TAP_DIR/<program>.tap, which the runner adds up.  A test that
// cannot run here calls xn_skip("why") and returns; skips are counted.
#ifndef XN_TEST_H
#define XN_TEST_H

#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/core.h"
#include "xani/xani.h"

// Seconds allowed for one test; sanitizers are slow.
#define XN_TEST_TIMEOUT 300

static inline void xn_skip(const char *why)
{
    const char *dir = getenv("XN_TAP_DIR");
    fprintf(stderr, "SKIP %s\n", why);
    if (dir == NULL) return;
    char path[1024];
    snprintf(path, sizeof path, "%s/skipped", dir);
    FILE *f = fopen(path, "a");
    if (f == NULL) return;
    fprintf(f, "%s\n", why);
    fclose(f);
}

// A fresh folder below the current one; contents of an earlier run may be in it.
static inline const char *xn_test_dir(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "scratch-%s", name);
    mkdir(path, 0777);
    return path;
}

static inline bool xn_test_exists(const char *path) { return access(path, R_OK) == 0; }

static inline int xn_test_run(const char *suite_name, const char *program, void (*add)(TCase *))
{
    Suite *suite = suite_create(suite_name);
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, XN_TEST_TIMEOUT);
    add(tcase);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    const char *dir = getenv("XN_TAP_DIR");
    char tap[1024];
    if (dir != NULL) {
        const char *base = strrchr(program, '/');
        snprintf(tap, sizeof tap, "%s/%s.tap", dir, base ? base + 1 : program);
        srunner_set_tap(runner, tap);
    }
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#define XN_TEST_MAIN(name, add)                                                                                        \
    int main(int argc, char **argv)                                                                                    \
    {                                                                                                                  \
        (void)argc;                                                                                                    \
        return xn_test_run((name), argv[0], (add));                                                                    \
    }

#endif
