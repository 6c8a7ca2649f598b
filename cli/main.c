// SPDX-License-Identifier: BSD-3-Clause
// main.c -- the switchboard: signals, one context, one command, one exit code.
//
// SIGINT, SIGTERM, SIGHUP (the terminal is gone) and SIGUSR1 (what batch systems send before the time is up) ask the
// running stage to stop at the next safe point; the command then ends with 75 and a second run resumes.  A second
// SIGINT kills.  Whatever happens, at most one line "xani: ..." says why the command failed.
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

static xani_context *signal_context; // set before the handlers are installed
static volatile sig_atomic_t signalled;

bool cli_interrupted(void) { return signalled != 0; }

static void on_signal(int number)
{
    if (number == SIGINT && signalled) {
        signal(SIGINT, SIG_DFL);
        raise(SIGINT);
    }
    signalled = 1;
    xani_interrupt(signal_context);
}

static void install_signals(xani_context *context)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, before;
    sigemptyset(&action.sa_mask);
    signal_context = context;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    bool kept_alive = sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler == SIG_IGN; // nohup
    if (!kept_alive) sigaction(SIGHUP, &action, NULL);
}

// A missing standard stream must not become a data file: what is printed would go into it.  Who reads the first lines
// only (head) does not end the work; a file larger than allowed (ulimit -f) is an error like others.
static void keep_streams(void)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY) < 0) _exit(1);
}

// ---- shared by the commands

static void out_of_memory(void)
{
    fputs("xani: out of memory\n", stderr);
    exit(1);
}

xani_status cli_fail(cli *c, xani_status status, const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0) out_of_memory();
    va_end(args);
    for (char *p = text; *p != '\0'; p++)
        if (*p == '\n' || *p == '\r') *p = ' '; // of names: an error is one line
    free(c->error);
    c->error = text;
    return status;
}

bool cli_is_done(cli *c, xani_status status)
{
    if (status == XANI_FAILED_PIXELS) cli_fail(c, status, "%s", xani_error_text(c->context));
    if (status == XANI_FAILED_PIXELS) c->outcome = status;
    return status == XANI_OK || status == XANI_FAILED_PIXELS;
}

static void say(cli *c, xani_log_level level, const char *fmt, va_list args)
{
    char *text = NULL;
    if (vasprintf(&text, fmt, args) < 0) out_of_memory();
    cli_log(c, level, text);
    free(text);
}

void cli_note(cli *c, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say(c, XANI_LOG_INFO, fmt, args);
    va_end(args);
}

void cli_warn(cli *c, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say(c, XANI_LOG_WARNING, fmt, args);
    va_end(args);
}

char *cli_format(const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    int n = vasprintf(&text, fmt, args);
    va_end(args);
    if (n < 0) out_of_memory();
    return text;
}

void *cli_alloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    if (p == NULL) out_of_memory();
    return p;
}

static xani_status assign(cli *c, xani_status st, xani_config **config)
{
    for (int i = 0; st == XANI_OK && i < c->n_set; i++) st = xani_config_assign(c->context, *config, c->set[i]);
    if (st != XANI_OK) xani_config_destroy(config);
    return st;
}

xani_status cli_open_config(cli *c, const char *path, xani_config **config)
{
    return assign(c, xani_config_open(c->context, path, config), config);
}

xani_status cli_open_config_of(cli *c, const char *result, xani_config **config)
{
    if (c->config != NULL) return cli_open_config(c, c->config, config);
    if (c->n_set == 0) return XANI_OK; // the library takes the one stored in it
    return assign(c, xani_config_stored(c->context, result, config), config);
}

xani_status cli_write_file(cli *c, const char *path, const void *bytes, size_t n, bool overwrite)
{
    if (!overwrite && access(path, F_OK) == 0)
        return cli_fail(c, XANI_ERR_OUTPUT, "%s: exists already; --force overwrites it", path);
    xani_status st = xani_write_file(c->context, path, bytes, n);
    return st == XANI_OK ? st : cli_fail(c, st, "%s", xani_error_text(c->context)); // kept, whatever is asked next
}

// An input named by mistake is no picture.
static bool is_png_or_absent(const char *path)
{
    char head[8] = "";
    FILE *f = fopen(path, "rb");
    if (f == NULL) return access(path, F_OK) != 0;
    size_t n = fread(head, 1, sizeof head, f);
    fclose(f);
    return n == sizeof head && memcmp(head, "\x89PNG\r\n\x1a\n", sizeof head) == 0;
}

xani_status cli_write_picture(cli *c, const char *path, const void *bytes, size_t n)
{
    if (!is_png_or_absent(path))
        return cli_fail(c, XANI_ERR_USAGE, "%s: is there and is not a PNG picture; give another name to draw to", path);
    xani_status st = cli_write_file(c, path, bytes, n, c->force);
    if (st == XANI_OK) cli_note(c, "%s written", path);
    return st;
}

// ---- one command

static void print_error(cli *c, xani_status status, const char *text)
{
    cli_progress_clear(c);
    fprintf(stderr, "xani: %s\n", text);
    if (!c->json || (c->outcome == status)) return;
    json_t *e = json_pack("{s:s, s:i, s:s, s:i, s:o}", "schema", "xani.error", "version", 1, "status",
                          xani_status_name(status), "exit", xani_exit_code(status), "error", cli_text(text));
    char *line = e ? json_dumps(e, 0) : NULL;
    if (line) printf("%s\n", line);
    free(line);
    json_decref(e);
}

static bool reader_is_gone(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

static int finish(cli *c, xani_status status)
{
    cli_progress_clear(c);
    if (status != XANI_OK) {
        const char *text = c->error != NULL ? c->error : c->context ? xani_error_text(c->context) : "";
        print_error(c, status, text[0] ? text : xani_status_text(status));
    }
    if ((fflush(stdout) != 0 || ferror(stdout)) && !reader_is_gone()) {
        fprintf(stderr, "xani: standard output cannot be written: %s\n", strerror(errno));
        if (status == XANI_OK) status = XANI_ERR_OUTPUT;
    }
    return xani_exit_code(status);
}

static char *join_arguments(int argc, char **argv)
{
    char *line = cli_format("xani");
    for (int i = 1; i < argc; i++) {
        bool plain = argv[i][0] != '\0' && strpbrk(argv[i], " \t\n\"'\\$*?[]{}();&|<>#!`") == NULL;
        char *longer = cli_format(plain ? "%s %s" : "%s '%s'", line, argv[i]);
        free(line);
        line = longer;
    }
    return line;
}

static xani_status dispatch(cli *c, int argc, char **argv, bool *help)
{
    bool planned = c->command->run == NULL;
    *help = planned && argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0);
    if (*help) return XANI_OK;
    if (planned) return cli_fail(c, XANI_ERR_USAGE, "%s: planned, not in this version", c->command->name);
    xani_status st = cli_parse(c, argc - 1, argv + 1, help);
    if (st != XANI_OK || *help) return st;
    st = xani_create(&c->context);
    if (st != XANI_OK) return cli_fail(c, st, "%s", xani_status_text(st));
    char *line = join_arguments(argc, argv);
    xani_set_command(c->context, line);
    free(line);
    cli_progress_start(c);
    xani_set_log(c->context, cli_log, c);
    xani_set_progress(c->context, cli_progress_show, c);
    install_signals(c->context);
    const char *isolation = getenv("XANI_ISOLATION");
    const bool on = isolation != NULL && strcmp(isolation, "on") == 0, off = isolation && strcmp(isolation, "off") == 0;
    if (isolation != NULL && isolation[0] != '\0' && !on && !off)
        return cli_fail(c, XANI_ERR_USAGE, "XANI_ISOLATION=%s: on or off is needed", isolation);
    // Without its helper the command still works; who asks for isolation wants to know.
    if (!off && (st = xani_set_isolation(c->context, 1)) != XANI_OK && on) return st;
    return c->command->run(c);
}

// Without what the HDF5 library does at the end of a program: all files are closed, and after a damaged one it may
// print pages about what it cannot close.  Sanitizers look for leaks there.
static void end(int code)
{
#ifndef XN_SANITIZED
    fflush(stderr);
    _exit(code); // standard output was flushed, and what became of that was said
#else
    (void)code;
#endif
}

static xani_status no_command(cli *c, const char *name)
{
    const char *near = cli_nearest_command(name);
    if (near != NULL)
        return cli_fail(c, XANI_ERR_USAGE, "unknown %s '%s'; did you mean '%s'?", name[0] == '-' ? "option" : "command",
                        name, near);
    if (name[0] == '-')
        return cli_fail(c, XANI_ERR_USAGE, "option %s stands before the command; xani COMMAND [OPTION…] is the order",
                        name);
    return cli_fail(c, XANI_ERR_USAGE, "unknown command '%s'; xani --help lists them", name);
}

int main(int argc, char **argv)
{
    keep_streams();
    cli c = {.repeats = 5, .model.range = {NAN, NAN}, .repack.last = -1};
    if (argc < 2) {
        fputs("xani: a command is needed; xani --help lists them, xani demo shows the whole\n", stderr);
        return xani_exit_code(XANI_ERR_USAGE);
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("xani %s\n", xani_version());
        return finish(&c, XANI_OK);
    }
    bool ask = strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0;
    if (ask && (argc < 3 || strcmp(argv[2], "help") == 0)) {
        cli_help_all();
        return finish(&c, XANI_OK);
    }
    for (int i = 1; i < argc; i++) c.json |= strcmp(argv[i], "--json") == 0; // also for errors found while parsing
    const char *name = ask ? argv[2] : argv[1];
    c.command = cli_find(name);
    if (c.command == NULL) return finish(&c, no_command(&c, name));
    bool help = ask;
    c.args = cli_alloc((size_t)argc + 1, sizeof *c.args);
    xani_status st = ask ? XANI_OK : dispatch(&c, argc, argv, &help);
    if (st == XANI_OK && help) cli_help(c.command);
    int code = finish(&c, st);
    if (c.context != NULL) {
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        signal(SIGHUP, SIG_IGN);
        signal(SIGUSR1, SIG_IGN);
        xani_destroy(&c.context);
    }
    free(c.args);
    free(c.error);
    end(code);
    return code;
}
