// SPDX-License-Identifier: BSD-3-Clause
// replay.c -- runs a fuzzing target without a fuzzer: every stored input, and changed ones.
//
//   replay FOLDER [changes of each]   changed in 1 to 8 bytes, or cut; the same in every run
//
// A finding ends the program; so the line that is left in $XN_TAP_DIR is "not ok" until all inputs went through.
#include <dirent.h>
#include <stdio.h>

#include "core/rng.h"
#include "fuzz.h"

static uint8_t *read_file(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) return NULL;
    uint8_t *bytes = malloc(1 << 16);
    *n = bytes ? fread(bytes, 1, 1 << 16, f) : 0;
    fclose(f);
    return bytes;
}

static void changed(const uint8_t *bytes, size_t n, uint64_t number, xn_rng *r)
{
    xn_rng_init(r, number, n);
    uint8_t *copy = malloc(n + 1);
    memcpy(copy, bytes, n);
    size_t length = n > 0 && xn_rng_u32(r) % 8 == 0 ? xn_rng_u32(r) % n : n;
    for (unsigned k = xn_rng_u32(r) % 8 + 1; k > 0 && length > 0; k--) {
        size_t at = xn_rng_u32(r) % (xn_rng_u32(r) % 2 ? length : (length < 64 ? length : 64));
        copy[at] = xn_rng_u32(r) % 2 ? (uint8_t)xn_rng_u32(r) : copy[at] ^ (uint8_t)(1u << xn_rng_u32(r) % 8);
    }
    LLVMFuzzerTestOneInput(copy, length);
    free(copy);
}

static void say(const char *program, const char *line)
{
    const char *dir = getenv("XN_TAP_DIR"), *slash = strrchr(program, '/');
    char path[1024];
    if (strncmp(line, "ok", 2) == 0) printf("%s\n", line);
    if (dir == NULL) return;
    snprintf(path, sizeof path, "%s/%s.tap", dir, slash ? slash + 1 : program);
    FILE *f = fopen(path, "w");
    if (f == NULL) return;
    fprintf(f, "1..1\n%s\n", line);
    fclose(f);
}

int main(int argc, char **argv)
{
    int64_t changes = argc > 2 ? strtol(argv[2], NULL, 10) : 2000;
    DIR *d = argc > 1 ? opendir(argv[1]) : NULL;
    int64_t files = 0, runs = 0;
    char path[1024], line[256];
    if (d == NULL) return fprintf(stderr, "usage: %s FOLDER [CHANGES]\n", argv[0]), 2;
    say(argv[0], "not ok 1 - did not come to its end");
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        size_t n;
        xn_rng r;
        snprintf(path, sizeof path, "%s/%s", argv[1], e->d_name);
        uint8_t *bytes = e->d_name[0] == '.' ? NULL : read_file(path, &n);
        if (bytes == NULL) continue;
        files++;
        LLVMFuzzerTestOneInput(bytes, n);
        for (int64_t i = 0; i < changes; i++) changed(bytes, n, (uint64_t)i, &r);
        runs += 1 + changes;
        free(bytes);
    }
    closedir(d);
    snprintf(line, sizeof line, "%s 1 - %lld runs of %lld stored inputs", files > 0 ? "ok" : "not ok", (long long)runs,
             (long long)files);
    say(argv[0], line);
    return files > 0 ? 0 : 1;
}
