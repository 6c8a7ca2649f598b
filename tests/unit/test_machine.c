// SPDX-License-Identifier: BSD-3-Clause
// test_machine.c -- what this machine and build offer: every kernel and way to read is listed, what does not work says
// why.
#include "test.h"

#include <jansson.h>

#include "reader/reader.h"

static int refuse(void *user, const char *call, const char *path, int64_t offset, size_t bytes)
{
    (void)user, (void)path, (void)offset, (void)bytes;
    return strcmp(call, "uring_setup") == 0 ? 1 : 0; // EPERM
}

static json_t *ask(xani_context *ctx)
{
    char *text = NULL;
    ck_assert_int_eq(xani_machine(ctx, &text), XANI_OK);
    json_t *machine = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(machine);
    xani_free(text);
    return machine;
}

static json_t *reader(json_t *machine, const char *name)
{
    size_t i;
    json_t *r;
    json_array_foreach(json_object_get(machine, "readers"), i,
                       r) if (strcmp(json_string_value(json_object_get(r, "name")), name) == 0) return r;
    return NULL;
}

START_TEST(test_machine)
{
    xani_context *ctx;
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    json_t *machine = ask(ctx);
    ck_assert_str_eq(json_string_value(json_object_get(machine, "xani")), xani_version());
    ck_assert_int_ge(json_integer_value(json_object_get(machine, "threads")), 1);
    ck_assert_uint_ge(json_array_size(json_object_get(machine, "fit_kernels")), 2);
    for (int i = 0; xn_reader_at(i) != NULL; i++) ck_assert_ptr_nonnull(reader(machine, xn_reader_at(i)->name));
    size_t i;
    json_t *r;
    json_array_foreach(json_object_get(machine, "readers"), i, r)
    {
        const char *why = json_string_value(json_object_get(r, "why"));
        bool works = json_is_true(json_object_get(r, "works"));
        ck_assert(works ? why == NULL : why != NULL && why[0] != '\0');
    }
    ck_assert_ptr_nonnull(json_object_get(machine, "cuda"));
    ck_assert(json_is_true(json_object_get(reader(machine, "pread"), "works")));
    json_decref(machine);

    xn_read_set_hook(refuse, NULL);
    machine = ask(ctx);
    xn_read_set_hook(NULL, NULL);
    ck_assert(json_is_false(json_object_get(reader(machine, "uring"), "works")));
    json_decref(machine);
    xani_destroy(&ctx);
}
END_TEST

static void add(TCase *t) { tcase_add_test(t, test_machine); }
XN_TEST_MAIN("machine", add)
