// SPDX-License-Identifier: BSD-3-Clause
// test_device_sums.c -- the kernels that add shots on a device give the integers of calib.h and bin.h, added one by
// one.
//
// Compiled twice: for the emulated runtime, and with XN_REAL_DEVICE for the devices of the machine (`make gpu-test`).
#include "test.h"

#include "core/rng.h"
#include "emulation/emulation.h"
#include "kernel/bin.h"
#include "kernel/calib.h"

#ifdef XN_REAL_DEVICE
static const xn_device_io *io(void) { return xn_device_io_built(); }
static const xn_device_sums *sums(void) { return xn_device_sums_built(); }
// Whether this machine has no device; says so.
static bool absent(void)
{
    char why[256] = "this xani was built without CUDA";
    if (sums() != NULL && io()->count(why, sizeof why) > 0) return false;
    xn_skip(why);
    return true;
}
#else
static const xn_device_io *io(void) { return &xn_device_io_emulated; }
static const xn_device_sums *sums(void) { return &xn_device_sums_emulated; }
static bool absent(void) { return false; }
#endif

enum { SLOTS = 4, STAGES = 3, MOST_CELLS = 3 };

static char why[256];
static void set_up(void) { xn_emulation_reset(); }
static void tear_down(void) { ck_assert_int_eq(xn_emulated.alive, 0); }

// ---- a detector, its frames and shots

typedef struct {
    xn_sum_detector d; // pointers of the host
    int n_cells, n_frames, n_shots;
    int64_t rows[64], planes; // planes: numbers of a plane
    float *pedestal[STAGES], *factor[STAGES];
    uint8_t *frames;
    int64_t frame_step;
    xn_sum_shot *shot;
} scene;

typedef struct {
    int64_t *s1, *s2, *x, *peak, *photons;
    uint8_t *flags;
} answer;

static void make_planes(scene *s, xn_rng *r)
{
    static const double gain[3] = {40 * 11, -1.4 * 11, -0.1 * 11}, zero[3] = {3000, 14500, 14000};
    const bool counts = s->d.kind == XN_SUM_SCALE;
    for (int g = 0; g < STAGES; g++) {
        s->pedestal[g] = malloc((size_t)s->planes * sizeof(float));
        s->factor[g] = malloc((size_t)s->planes * sizeof(float));
        for (int64_t i = 0; i < s->planes; i++) {
            s->pedestal[g][i] =
                (float)((s->d.kind == XN_SUM_EPIX10KA && g == 1 ? 5000 : zero[g]) + 30 * xn_rng_normal(r));
            s->factor[g][i] = (float)(65536 / (counts ? 3.7 : gain[g]));
            if (i % 53 == 7) s->pedestal[g][i] = s->factor[g][i] = 0; // masked
            if (i % 31 == 11 && g > 0) s->pedestal[g][i] = -1, s->factor[g][i] = XN_CALIB_LIMIT;
        }
        s->d.pedestal[g] = counts ? NULL : s->pedestal[g];
        s->d.factor[g] = s->factor[g];
    }
}

// Words near the pedestal, in other stages, and now and then anything.
static void put_number(uint8_t *at, xn_type type, xn_rng *r)
{
    const double v = xn_rng_uniform(r) < 0.01 ? 1e12 : 3000 + 2000 * xn_rng_uniform(r);
    const uint32_t any = xn_rng_u32(r);
    const uint64_t wide = (uint64_t)any << 32 | xn_rng_u32(r);
    const bool odd = any % 100 < 3;
    uint16_t word = (uint16_t)(3000 + 300 * xn_rng_uniform(r));
    if (any % 10 == 3) word = (uint16_t)(1u << 14 | (14300 - any % 500));
    if (any % 40 == 9) word = (uint16_t)(3u << 14 | (13900 - any % 500));
    if (odd) word = (uint16_t)(any % 3 == 0 ? XN_JUNGFRAU_FULL : any % 3 == 1 ? XN_JUNGFRAU_FULL_G0 : any >> 8);
    const float f32 = any % 100 == 1 ? NAN : any % 100 == 2 ? INFINITY : (float)v;
    const double f64 = any % 100 == 1 ? (double)NAN : any % 100 == 2 ? -(double)INFINITY : v;
    switch (xn_type_size(type)) {
    case 1:
        *at = (uint8_t)any;
        break;
    case 2:
        memcpy(at, &word, sizeof word);
        break;
    case 4:
        memcpy(at, type == XN_F32 ? (const void *)&f32 : (const void *)&any, sizeof f32);
        break;
    default:
        memcpy(at, type == XN_F64 ? (const void *)&f64 : (const void *)&wide, sizeof f64);
        if (type != XN_F64 && !odd) memcpy(at, &(int64_t){(int64_t)v}, sizeof wide);
    }
}

// Modules of 10 and 12 rows; nx columns.
static void make(scene *s, xn_sum_kind kind, xn_type type, int k, int64_t nx, int n_cells, int n_shots, uint64_t seed)
{
    xn_rng r;
    xn_rng_init(&r, seed, 0);
    memset(s, 0, sizeof *s);
    s->d = (xn_sum_detector){.kind = kind, .type = type, .k = k, .det_ny = 22, .det_nx = nx, .full = (double)INFINITY};
    s->d.nx = nx / k;
    for (int m = 0, begin = 0; m < 2; begin += 10, m++)
        for (int i = 0; (i + 1) * k <= (m ? 12 : 10); i++) s->rows[s->d.ny++] = begin + i * k;
    s->d.first_row = s->rows;
    s->d.threshold = seed % 3 == 2 ? 30000 : 0;
    s->d.code = seed % 2 ? 1 : 3;
    if (kind == XN_SUM_LINEAR && seed % 2) s->d.full = 4700;
    s->n_cells = n_cells;
    s->planes = n_cells * 22 * nx;
    make_planes(s, &r);
    s->n_shots = n_shots;
    s->n_frames = n_shots + 2;
    const size_t size = xn_type_size(type);
    s->frame_step = 22 * nx * (int64_t)size;
    if (seed % 2) s->frame_step = (s->frame_step + 63) / 64 * 64;
    s->frames = calloc((size_t)s->n_frames, (size_t)s->frame_step);
    for (int f = 0; f < s->n_frames; f++)
        for (int64_t i = 0; i < 22 * nx; i++) put_number(s->frames + f * s->frame_step + (size_t)i * size, type, &r);
    s->shot = calloc((size_t)n_shots, sizeof *s->shot);
    for (int i = 0; i < n_shots; i++)
        s->shot[i] = (xn_sum_shot){.frame = (i * 7 + 1) % s->n_frames,
                                   .slot = seed % 5 == 4 ? (int)(xn_rng_u32(&r) % SLOTS) : i * SLOTS / n_shots,
                                   .i0q = (int32_t)(xn_rng_u32(&r) % (1 << 24)),
                                   .cell = (int32_t)(xn_rng_u32(&r) % (unsigned)n_cells)};
}

static void drop(scene *s)
{
    for (int g = 0; g < STAGES; g++) free(s->pedestal[g]), free(s->factor[g]);
    free(s->frames), free(s->shot);
}

static void make_answer(const scene *s, answer *a)
{
    const size_t groups = (size_t)(s->d.ny * s->d.nx);
    a->s1 = calloc(SLOTS * groups, 8), a->s2 = calloc(SLOTS * groups, 8), a->x = calloc(SLOTS * groups, 8);
    a->peak = calloc(groups, 8), a->photons = calloc((size_t)s->n_shots, 8);
    a->flags = calloc((size_t)(22 * s->d.det_nx + 3) / 4 * 4, 1);
    for (size_t i = 0; i < groups; i++) a->peak[i] = (int64_t)(i % 3) << 18; // what was there is kept
    for (size_t i = 0; i < SLOTS * groups; i++) a->s1[i] = INT64_MAX - (int64_t)i;
}

static void drop_answer(answer *a)
{
    free(a->s1), free(a->s2), free(a->x), free(a->peak), free(a->photons), free(a->flags);
}

// ---- one by one

static double number(const scene *s, const uint8_t *at)
{
    switch (s->d.type) {
    case XN_F32:
        return (double)*(const float *)(const void *)at;
    case XN_F64:
        return *(const double *)(const void *)at;
    case XN_I8:
        return (int8_t)*at;
    case XN_U8:
        return *at;
    case XN_I16:
        return *(const int16_t *)(const void *)at;
    case XN_U16:
        return *(const uint16_t *)(const void *)at;
    case XN_I32:
        return *(const int32_t *)(const void *)at;
    case XN_U32:
        return *(const uint32_t *)(const void *)at;
    case XN_I64:
        return (double)*(const int64_t *)(const void *)at;
    default:
        return (double)*(const uint64_t *)(const void *)at;
    }
}

static int32_t pixel(const scene *s, const xn_sum_shot *shot, int64_t i, uint8_t *flag)
{
    const xn_sum_detector *d = &s->d;
    const size_t size = xn_type_size((xn_type)d->type);
    const uint8_t *at = s->frames + shot->frame * s->frame_step + (size_t)i * size;
    const int64_t plane = shot->cell * 22 * d->det_nx + i;
    float p[STAGES], f[STAGES];
    for (int g = 0; g < STAGES; g++) p[g] = s->pedestal[g][plane], f[g] = s->factor[g][plane];
    const double v = number(s, at);
    const bool narrow = size <= 2 || d->type == XN_F32;
    uint16_t word = 0;
    int32_t q;
    bool none = isnan(v);
    if (size == 2) memcpy(&word, at, 2);
    switch (d->kind) {
    case XN_SUM_JUNGFRAU:
        q = xn_calib_jungfrau(word, p, f), none = word >> 14 == 2;
        break;
    case XN_SUM_FIXED_GAIN:
        q = xn_calib_fixed_gain(word, d->code, p[0], f[0]), none = (unsigned)(word >> 14) != d->code;
        break;
    case XN_SUM_EPIX10KA:
        q = xn_calib_epix10ka(word, p, f), none = false;
        break;
    case XN_SUM_LINEAR:
        q = narrow ? xn_calib_linear((float)v, p[0], f[0], (float)d->full)
                   : xn_calib_linear_f64(v, (double)p[0], (double)f[0], d->full);
        break;
    default:
        q = narrow ? xn_calib_scale((float)v, f[0]) : xn_calib_scale_f64(v, (double)f[0]);
    }
    if (q == XN_CALIB_BAD) *flag |= none ? XN_SUM_NONE : XN_SUM_FULL;
    return xn_calib_threshold(q, d->threshold);
}

static void one_by_one(const scene *s, answer *a)
{
    const xn_sum_detector *d = &s->d;
    for (int n = 0; n < s->n_shots; n++) {
        a->photons[n] = 0;
        for (int64_t g = 0; g < d->ny * d->nx; g++) {
            const int64_t corner = d->first_row[g / d->nx] * d->det_nx + g % d->nx * d->k;
            const int64_t at = s->shot[n].slot * d->ny * d->nx + g;
            int64_t v = 0;
            for (int64_t i = 0; i < (int64_t)d->k * d->k; i++) {
                const int64_t px = corner + i / d->k * d->det_nx + i % d->k;
                v += pixel(s, &s->shot[n], px, &a->flags[px]);
            }
            a->photons[n] += v;
            a->peak[g] = xn_bin_peak(v, a->peak[g]);
            xn_bin_add(v, s->shot[n].i0q, xn_bin_shift(d->k), &a->s1[at], &a->s2[at], &a->x[at]);
        }
    }
}

// ---- on the device

static xn_device_stream *stream;
static xn_device_mark *mark;
static void *taken[32];
static int n_taken;

static void *there(const void *data, size_t bytes)
{
    void *p = taken[n_taken++] = io()->take(bytes, why, sizeof why);
    uint8_t *pinned = io()->pin(bytes, why, sizeof why);
    ck_assert_msg(p != NULL && pinned != NULL, "%s", why);
    if (data != NULL) memcpy(pinned, data, bytes);
    ck_assert(data == NULL || io()->copy_in(stream, p, pinned, bytes, why, sizeof why));
    ck_assert(io()->mark(stream, mark, why, sizeof why) && io()->wait(mark, why, sizeof why));
    io()->unpin(pinned);
    return p;
}

static void back(void *to, const void *from, size_t bytes)
{
    uint8_t *pinned = io()->pin(bytes, why, sizeof why);
    ck_assert(io()->copy_out(stream, pinned, from, bytes, why, sizeof why));
    ck_assert_msg(io()->mark(stream, mark, why, sizeof why) && io()->wait(mark, why, sizeof why), "%s", why);
    memcpy(to, pinned, bytes);
    io()->unpin(pinned);
}

static void on_device(const scene *s, answer *a)
{
    const size_t groups = (size_t)(s->d.ny * s->d.nx), n = (size_t)s->n_shots;
    const size_t flags = (size_t)(22 * s->d.det_nx + 3) / 4 * 4;
    n_taken = 0;
    stream = io()->open(why, sizeof why);
    mark = io()->mark_create(why, sizeof why);
    ck_assert(stream != NULL && mark != NULL);
    xn_sum_job job = {.detector = s->d, .frame_step = s->frame_step, .n = (uint32_t)n};
    job.detector.first_row = there(s->rows, (size_t)s->d.ny * 8);
    for (int g = 0; g < STAGES; g++) {
        const size_t bytes = (size_t)s->planes * sizeof(float);
        job.detector.pedestal[g] = s->d.pedestal[g] != NULL ? there(s->d.pedestal[g], bytes) : NULL;
        job.detector.factor[g] = there(s->d.factor[g], bytes);
    }
    job.frames = there(s->frames, (size_t)(s->n_frames * s->frame_step));
    job.shot = there(s->shot, n * sizeof *s->shot);
    job.s1 = there(a->s1, SLOTS * groups * 8);
    job.s2 = there(a->s2, SLOTS * groups * 8);
    job.x = there(a->x, SLOTS * groups * 8);
    job.peak = there(a->peak, groups * 8);
    job.flags = there(a->flags, flags);
    job.parts = there(NULL, xn_sum_parts((int64_t)groups, n) * 8);
    job.photons = there(NULL, n * 8);
    ck_assert_msg(sums()->add(stream, &job, why, sizeof why), "%s", why);
    back(a->s1, job.s1, SLOTS * groups * 8);
    back(a->s2, job.s2, SLOTS * groups * 8);
    back(a->x, job.x, SLOTS * groups * 8);
    back(a->peak, job.peak, groups * 8);
    back(a->photons, job.photons, n * 8);
    back(a->flags, job.flags, flags);
    for (int i = 0; i < n_taken; i++) io()->give(taken[i]);
    io()->mark_destroy(mark);
    io()->close(stream);
}

static void compare(const scene *s, const char *what)
{
    answer a, b;
    const int64_t groups = s->d.ny * s->d.nx;
    int flagged = 0;
    make_answer(s, &a);
    make_answer(s, &b);
    one_by_one(s, &a);
    on_device(s, &b);
    for (int64_t i = 0; i < 22 * s->d.det_nx; i++) {
        ck_assert_msg(a.flags[i] == b.flags[i], "%s: flags of pixel %d: %d, %d", what, (int)i, a.flags[i], b.flags[i]);
        flagged += a.flags[i] != 0;
    }
    for (int64_t i = 0; i < SLOTS * groups; i++) {
        ck_assert_msg(a.s1[i] == b.s1[i], "%s: S1 %d: %lld, %lld", what, (int)i, (long long)a.s1[i],
                      (long long)b.s1[i]);
        ck_assert_msg(a.s2[i] == b.s2[i] && a.x[i] == b.x[i], "%s: S2 or X %d", what, (int)i);
    }
    for (int64_t i = 0; i < groups; i++) ck_assert_msg(a.peak[i] == b.peak[i], "%s: peak %d", what, (int)i);
    for (int i = 0; i < s->n_shots; i++)
        ck_assert_msg(a.photons[i] == b.photons[i], "%s: photons %d: %lld, %lld", what, i, (long long)a.photons[i],
                      (long long)b.photons[i]);
    const bool odd = s->d.kind < XN_SUM_LINEAR || s->d.type == XN_F32 || s->d.type == XN_F64;
    ck_assert_msg(flagged > 0 || !odd || s->n_shots < 5, "%s: nothing was flagged", what);
    drop_answer(&a);
    drop_answer(&b);
}

static const struct {
    xn_sum_kind kind;
    const char *name;
} words[] = {{XN_SUM_JUNGFRAU, "jungfrau"}, {XN_SUM_FIXED_GAIN, "fixed gain"}, {XN_SUM_EPIX10KA, "epix10ka"}};
static const int sizes[] = {1, 2, 3, 4, 5, 9};

static void check(xn_sum_kind kind, xn_type type, int k, int64_t nx, int cells, int shots, uint64_t seed)
{
    char what[128];
    scene s;
    snprintf(what, sizeof what, "kind %d of %s, groups of %d, %d columns, %d cells, %d shots", kind, xn_type_name(type),
             k, (int)nx, cells, shots);
    make(&s, kind, type, k, nx, cells, shots, seed);
    compare(&s, what);
    drop(&s);
}

START_TEST(test_words)
{
    // JUNGFRAU, dynamic and fixed, and ePix10ka: every gain stage, invalid codes, saturated and masked pixels, stages
    // without a calibration; groups of any size, rows that are aligned and not; one to many shots, in bins that follow
    // each other or not; memory cells; a threshold; one share of a batch or several.
    if (absent()) return;
    for (int k = 0; k < 6; k++)
        for (int i = 0; i < 6; i++) {
            static const int shots[] = {1, 3, 8, 33, 40, 70};
            const uint64_t seed = (uint64_t)(100 * _i + 10 * k + i);
            check(words[_i].kind, XN_U16, sizes[k], i % 2 ? 31 : 36, i == 4 ? MOST_CELLS : 1, shots[i], seed);
        }
}
END_TEST

START_TEST(test_numbers)
{
    // Numbers of every type, with pedestal and an end of the range or by a factor alone; NaN, infinity, what is too
    // large.
    if (absent()) return;
    for (int type = XN_F32; type <= XN_U64; type++)
        for (int k = 0; k < 4; k++) {
            const uint64_t seed = (uint64_t)(1000 + 10 * type + k);
            check(XN_SUM_LINEAR, (xn_type)type, sizes[k], k % 2 ? 30 : 32, 1, 20, seed);
            check(XN_SUM_LINEAR, (xn_type)type, sizes[k], 31, 2, 17, seed + 1);
            check(XN_SUM_SCALE, (xn_type)type, sizes[k], k % 2 ? 32 : 29, 1, 35, seed + 2);
        }
}
END_TEST

START_TEST(test_refused)
{
    // Frames that no kernel knows are refused in words; no shots are no work.
    if (absent()) return;
    xn_sum_job job = {.detector = {.kind = XN_SUM_JUNGFRAU, .type = XN_F32, .k = 2, .ny = 4, .nx = 4}, .n = 1};
    ck_assert(!sums()->add(NULL, &job, why, sizeof why) && strstr(why, "cannot") != NULL);
    job.detector.kind = XN_SUM_SCALE;
    job.detector.type = XN_STR;
    ck_assert(!sums()->add(NULL, &job, why, sizeof why));
    job.detector.type = XN_F32;
    job.detector.kind = XN_SUM_KINDS;
    ck_assert(!sums()->add(NULL, &job, why, sizeof why));
    job.detector.kind = XN_SUM_SCALE;
    job.n = 0;
    ck_assert(sums()->add(NULL, &job, why, sizeof why));
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, test_words, 0, 3);
    tcase_add_test(t, test_numbers);
    tcase_add_test(t, test_refused);
}
XN_TEST_MAIN("device sums", add)
