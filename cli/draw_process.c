// SPDX-License-Identifier: BSD-3-Clause
// draw_process.c -- the child process that draws one picture.
//
// PLplot calls exit() and setlocale(): neither may reach the command.  The child writes PNG into an anonymous
// file (memfd) shared with its parent, so that nothing is left behind whatever happens to it; what it prints goes
// to another one, read for the reason of a failure.  A child that hangs is ended by its alarm.
#include <errno.h>
#include <plplot/plplot.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/draw.h"

#define CHILD_SECONDS 120

static int leave(const char *message)
{
    fprintf(stderr, "%s\n", message);
    fflush(stderr);
    _exit(1);
}

static void child(int png, int errors, int width, int height, draw_fn fn, const void *data)
{
    signal(SIGINT, SIG_IGN); // the parent decides
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    alarm(CHILD_SECONDS);
    dup2(errors, STDERR_FILENO);
    dup2(errors, STDOUT_FILENO);
    setenv("PLPLOT_FREETYPE_SANS_FAMILY", "DejaVu Sans", 0);
    FILE *f = fdopen(png, "wb");
    if (f == NULL) _exit(1);
    plsexit(leave);
    plsfile(f);
    plsdev("pngcairo");
    draw_page_begin(width, height);
    fn(data);
    plend(); // writes and closes f
    _exit(0);
}

static bool read_png(int fd, draw_png *png)
{
    struct stat s;
    if (fstat(fd, &s) != 0 || s.st_size < 8) return false;
    png->n = (size_t)s.st_size;
    png->bytes = malloc(png->n);
    size_t got = 0;
    while (png->bytes != NULL && got < png->n) {
        ssize_t k = pread(fd, png->bytes + got, png->n - got, (off_t)got);
        if (k <= 0 && errno != EINTR) break;
        if (k > 0) got += (size_t)k;
    }
    if (png->bytes != NULL && got == png->n && memcmp(png->bytes, "\211PNG\r\n\032\n", 8) == 0) return true;
    free(png->bytes);
    png->bytes = NULL;
    return false;
}

// The last line the child printed, else what ended it.
static void failure_text(int errors, int state, char *why, size_t size)
{
    char text[512];
    ssize_t n = pread(errors, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' ')) text[--n] = '\0';
    const char *last = strrchr(text, '\n');
    last = last ? last + 1 : text;
    if (last[0] != '\0')
        snprintf(why, size, "%.*s", (int)size - 1, last);
    else if (WIFSIGNALED(state))
        snprintf(why, size, "the drawing process ended by signal %d", WTERMSIG(state));
    else
        snprintf(why, size, "the drawing process ended with %d", WEXITSTATUS(state));
}

bool draw_picture(int width, int height, draw_fn fn, const void *data, draw_png *png)
{
    memset(png, 0, sizeof *png);
    int picture = memfd_create("xani-picture", MFD_CLOEXEC), errors = memfd_create("xani-errors", MFD_CLOEXEC);
    fflush(NULL); // or the child would write the parent's buffers again
    pid_t pid = picture >= 0 && errors >= 0 ? fork() : -1;
    if (pid == 0) child(picture, errors, width, height, fn, data);
    int state = 0;
    if (pid < 0) {
        snprintf(png->why, sizeof png->why, "no drawing process: %s", strerror(errno));
    } else {
        while (waitpid(pid, &state, 0) < 0 && errno == EINTR) continue;
        if (!(WIFEXITED(state) && WEXITSTATUS(state) == 0 && read_png(picture, png)))
            failure_text(errors, state, png->why, sizeof png->why);
    }
    if (picture >= 0) close(picture);
    if (errors >= 0) close(errors);
    return png->bytes != NULL;
}
