// SPDX-License-Identifier: BSD-3-Clause
// io_python.c -- the Python readers of the I/O benchmark (bench/io_peers.py) in a child process.
//
// The child imports what it needs once and then makes a pass for each line that it is sent; its CPU seconds are its
// own.
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/io_bench.h"

#define SCRIPT XN_SOURCE_DATA_DIR "/../bench/io_peers.py"

struct xn_io_python {
    pid_t pid;
    FILE *to, *from;
    char why[160];
};

static void child(int in, int out, const char *peer, const xn_io_case *c)
{
    char step[16];
    snprintf(step, sizeof step, "%d", XN_IO_RING);
    (void)dup2(in, STDIN_FILENO);
    (void)dup2(out, STDOUT_FILENO);
    (void)execlp("python3", "python3", SCRIPT, peer, c->path, c->dataset, step, (char *)NULL);
    _exit(127);
}

xn_io_python *xn_io_python_start(const char *peer, const xn_io_case *c)
{
    int in[2], out[2];
    xn_io_python *p = xn_calloc(1, sizeof *p);
    if (p == NULL) return NULL;
    if (access(SCRIPT, R_OK) != 0) snprintf(p->why, sizeof p->why, "bench/io_peers.py is not there");
    if (p->why[0] || pipe2(in, O_CLOEXEC) != 0) return p;
    if (pipe2(out, O_CLOEXEC) != 0) {
        close(in[0]);
        close(in[1]);
        return p;
    }
    (void)fflush(NULL);
    p->pid = fork();
    if (p->pid == 0) child(in[0], out[1], peer, c);
    close(in[0]);
    close(out[1]);
    p->to = fdopen(in[1], "w");
    p->from = fdopen(out[0], "r");
    return p;
}

xn_io_pass xn_io_python_pass(xn_io_python *p, const xn_io_case *c)
{
    char line[256] = "", *end = line;
    xn_io_pass none = {NAN, NAN};
    if (p == NULL || p->why[0]) return none;
    snprintf(p->why, sizeof p->why, "python3 is not installed or its script failed");
    if (p->to == NULL || p->from == NULL) return none;
    void (*before)(int) = signal(SIGPIPE, SIG_IGN); // a child that could not start
    bool asked = fprintf(p->to, "pass\n") > 0 && fflush(p->to) == 0;
    (void)signal(SIGPIPE, before);
    if (!asked || fgets(line, sizeof line, p->from) == NULL) return none;
    line[strcspn(line, "\n")] = '\0';
    double wall = strtod(line, &end), cpu = strtod(end, &end), first = strtod(end, &end);
    if (end == line || *end != '\0') { // words instead of numbers: why not
        snprintf(p->why, sizeof p->why, "%.150s", line);
        return none;
    }
    if (!isnan(c->first) && first != c->first) {
        snprintf(p->why, sizeof p->why, "it read other values");
        return none;
    }
    p->why[0] = '\0';
    return (xn_io_pass){wall, cpu};
}

const char *xn_io_python_why(const xn_io_python *p) { return p == NULL ? "out of memory" : p->why[0] ? p->why : NULL; }

void xn_io_python_stop(xn_io_python **python)
{
    xn_io_python *p = *python;
    *python = NULL;
    if (p == NULL) return;
    if (p->to) (void)fclose(p->to); // its standard input ends, and so does it
    if (p->pid > 0) (void)waitpid(p->pid, NULL, 0);
    if (p->from) (void)fclose(p->from);
    xn_free(p);
}
