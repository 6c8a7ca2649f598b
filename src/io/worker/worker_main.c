// SPDX-License-Identifier: BSD-3-Clause
// worker_main.c -- xani-worker, the helper program of worker.h: not for users, started by the library.
//
// Standard input is the socket to who started it.  It is no part of the library.
#include <sys/socket.h>
#include <sys/stat.h>

#include "io/worker/worker.h"

int main(void)
{
    struct stat s;
    if (fstat(0, &s) != 0 || !S_ISSOCK(s.st_mode)) return 2;
    xn_worker_confine();
    return xn_worker_serve(0);
}
