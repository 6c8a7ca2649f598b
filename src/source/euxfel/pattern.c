// SPDX-License-Identifier: BSD-3-Clause
// pattern.c -- the time server's bunch pattern table: which bunches of a train went to an undulator, which of its
// positions had a pump-laser pulse.
//
// A table entry is a 32-bit word (XFEL Timing System Specification 2.2; formats.md 1.4): bits 18-21 are where the bunch
// goes, 4: the dump behind SASE1 and SASE3, which bit 27 (soft kick) tells apart, 2: that behind SASE2.  Bits 8-16 are
// lasers; which of them pumps is a matter of the instrument.
//
// Pump-laser pulses stand in the table from position 0 on, wherever they meet the X-rays: only their number and
// distance are known.  They are shifted to a given position, or by an offset from the train's first FEL pulse, in
// positions or in distances of FEL pulses.  A train without FEL pulses (every 50th is one in some modes) takes those of
// the one before.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/euxfel/euxfel.h"

#define DESTINATION_SHIFT 18
#define DESTINATION_SA13 4u
#define DESTINATION_SA2 2u
#define SOFT_KICK (1u << 27)

// ---- what the configuration says

typedef struct {
    const char *name;
    uint32_t bit;
} laser_bit;

static const laser_bit lasers[] = {{"LP_SPB", 1u << 10}, {"LP_FXE", 1u << 11},  {"LP_SQS", 1u << 12},
                                   {"LP_SCS", 1u << 13}, {"LP_SASE2", 1u << 9}, {"LP_LAS1", 1u << 8},
                                   {"LP_LAS2", 1u << 15}};

typedef struct {
    const char *prefix, *laser;
    int sase;
} instrument;

static const instrument instruments[] = {{"SPB", "LP_SPB", 1},   {"FXE", "LP_FXE", 1}, {"MID", "LP_SASE2", 2},
                                         {"HED", "LP_SASE2", 2}, {"SCS", "LP_SCS", 3}, {"SQS", "LP_SQS", 3},
                                         {"SXP", "LP_SQS", 3}};

static const instrument *instrument_of(const char *detector)
{
    for (size_t i = 0; i < sizeof instruments / sizeof *instruments; i++)
        if (strncmp(detector, instruments[i].prefix, 3) == 0) return &instruments[i];
    return NULL;
}

typedef struct {
    int sase;
    uint32_t laser; // bits of the pump laser
    enum { BY_OFFSET, AT_POSITION, BY_PULSES } shift;
    double by;
} rule;

static xani_status laser_bits(xn_ctx *ctx, const xn_config *config, const instrument *known, uint32_t *bits)
{
    static const char key[] = "input.laser.bits";
    const char *text = xn_config_string(config, key);
    if (text == NULL && known == NULL)
        return xn_config_bad(ctx, config, key, "is missing: the detector's name tells no instrument");
    if (text == NULL) text = known->laser;
    for (size_t i = 0; i < sizeof lasers / sizeof *lasers; i++)
        if (strcmp(text, lasers[i].name) == 0) {
            *bits = lasers[i].bit;
            return XANI_OK;
        }
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 0);
    if (end == text || *end != '\0' || errno != 0 || value == 0 || value > UINT32_MAX)
        return xn_config_bad(ctx, config, key,
                             "%s is neither a number nor LP_SPB, LP_FXE, LP_SQS, LP_SCS, LP_SASE2, LP_LAS1, LP_LAS2",
                             text);
    *bits = (uint32_t)value;
    return XANI_OK;
}

static xani_status load_rule(xn_ctx *ctx, const xn_config *config, const char *detector, bool pump, rule *r)
{
    const instrument *known = instrument_of(detector);
    *r = (rule){.sase = known != NULL ? known->sase : 0};
    if (xn_config_has(config, "input.pulses.sase")) r->sase = (int)xn_config_int(config, "input.pulses.sase");
    if (r->sase == 0)
        return xn_config_bad(ctx, config, "input.pulses.sase", "is missing: the detector's name tells no instrument");
    if (pump) XN_TRY(laser_bits(ctx, config, known, &r->laser));
    static const char *const keys[] = {"input.laser.offset_positions", "input.laser.first_position",
                                       "input.laser.offset_pulses"};
    for (int i = 0; i < 3; i++) {
        if (!xn_config_has(config, keys[i])) continue;
        r->shift = i;
        r->by = xn_config_double(config, keys[i]);
    }
    return XANI_OK;
}

xani_status xn_xf_numbers_load(xn_ctx *ctx, const xn_config *config, bool cells, xn_xf_numbers *n)
{
    *n = (xn_xf_numbers){.by_fel = cells, .step = 1};
    if (config == NULL) return XANI_OK;
    const char *word = xn_config_string(config, "input.pulses.numbers");
    if (word != NULL) n->by_fel = strcmp(word, "fel") == 0;
    n->offset = xn_config_int(config, "input.pulses.offset");
    n->step = xn_config_int(config, "input.pulses.step");
    if (n->step == 0) return xn_config_bad(ctx, config, "input.pulses.step", "is 0");
    return XANI_OK;
}

// ---- one train

static bool is_fel(uint32_t word, int sase)
{
    uint32_t destination = word >> DESTINATION_SHIFT & 0xf;
    if (sase == 2) return destination == DESTINATION_SA2;
    return destination == DESTINATION_SA13 && ((word & SOFT_KICK) != 0) == (sase == 3);
}

static xani_status make_room(xn_ctx *ctx, uint16_t **list, int64_t n, int64_t *room)
{
    if (n < *room) return XANI_OK;
    int64_t more = 2 * *room + 4096;
    uint16_t *p = xn_realloc(*list, (size_t)more, sizeof *p);
    if (p == NULL) return xn_fail_memory(ctx, "the bunch pattern", (size_t)more * sizeof *p);
    *list = p;
    *room = more;
    return XANI_OK;
}

static xani_status add_train(xn_ctx *ctx, const rule *r, uint64_t train, const double *word, int64_t n,
                             xn_xf_pattern *p)
{
    if (p->n + 1 >= p->room) {
        int64_t more = 2 * p->room + 1024;
        uint64_t *id = xn_realloc(p->train, (size_t)more, sizeof *id);
        if (id != NULL) p->train = id;
        int64_t *fel = xn_realloc(p->fel, (size_t)more, sizeof *fel);
        if (fel != NULL) p->fel = fel;
        int64_t *pump = xn_realloc(p->pump, (size_t)more, sizeof *pump);
        if (pump != NULL) p->pump = pump;
        if (!id || !fel || !pump) return xn_fail_memory(ctx, "the bunch pattern", (size_t)more * 24);
        p->room = more;
    }
    p->train[p->n] = train;
    p->fel[p->n] = p->n_fel;
    p->pump[p->n] = p->n_pump;
    for (int64_t i = 0; i < xn_min64(n, XN_XF_PULSES); i++) {
        uint32_t w = (uint32_t)word[i];
        XN_TRY(make_room(ctx, &p->fel_at, p->n_fel, &p->room_fel));
        XN_TRY(make_room(ctx, &p->pump_at, p->n_pump, &p->room_pump));
        if (is_fel(w, r->sase)) p->fel_at[p->n_fel++] = (uint16_t)i;
        if (w & r->laser) p->pump_at[p->n_pump++] = (uint16_t)i;
    }
    p->n++;
    p->fel[p->n] = p->n_fel;
    p->pump[p->n] = p->n_pump;
    return XANI_OK;
}

static xani_status read_file(xn_ctx *ctx, const xn_xf_file *f, const xn_xf_name *name, const rule *r, xn_xf_pattern *p)
{
    xn_h5 *h5 = NULL;
    xn_xf_rows rows = {0};
    int64_t *first = NULL, *count = NULL;
    xani_status st;
    XN_GOTO(out, st, xn_h5_open(ctx, f->path, &h5));
    if (!xn_h5_exists(h5, name->dataset)) goto out;
    XN_GOTO(out, st, xn_xf_rows_open(ctx, h5, name->dataset, &rows));
    XN_GOTO(out, st, xn_xf_index(ctx, h5, f, name->index, rows.rows, &first, &count));
    for (int64_t t = 0; st == XANI_OK && t < f->n; t++) {
        const double *word;
        if (count[t] == 0 || !f->good[t]) continue;
        st = xn_xf_rows_get(ctx, &rows, first[t], &word);
        if (st == XANI_OK) st = add_train(ctx, r, f->train[t], word, rows.columns, p);
    }
out:
    xn_xf_rows_close(&rows);
    xn_free(first);
    xn_h5_close(&h5);
    return st;
}

// ---- all trains

typedef struct {
    uint64_t train;
    int64_t row;
} ordered;

static int by_train(const void *a, const void *b)
{
    const ordered *x = a, *y = b;
    if (x->train != y->train) return x->train < y->train ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

// Trains ascending and once each; positions of pump pulses where they meet the X-rays.
static xani_status settle(xn_ctx *ctx, const rule *r, xn_xf_pattern *p)
{
    xn_xf_pattern q = {0};
    ordered *o = xn_alloc((size_t)p->n, sizeof *o);
    double *none = xn_calloc(XN_XF_PULSES, sizeof *none);
    xani_status st = o && none ? XANI_OK : xn_fail_memory(ctx, "the bunch pattern", (size_t)p->n * sizeof *o);
    for (int64_t i = 0; o != NULL && i < p->n; i++) o[i] = (ordered){p->train[i], i};
    if (o != NULL && p->n > 1) qsort(o, (size_t)p->n, sizeof *o, by_train);
    const uint16_t *fel = NULL; // of the last train that had any
    int64_t n_fel = 0;
    for (int64_t i = 0; st == XANI_OK && i < p->n; i++) {
        int64_t row = o[i].row, here = p->fel[row + 1] - p->fel[row];
        if (i > 0 && o[i].train == o[i - 1].train) continue;
        if (here >= (r->shift == BY_PULSES && r->by != 0.0 ? 2 : 1)) {
            fel = p->fel_at + p->fel[row];
            n_fel = here;
        }
        double shift = r->by;
        if (r->shift == BY_OFFSET) shift += n_fel > 0 ? fel[0] : 0;
        if (r->shift == BY_PULSES)
            shift = n_fel == 0 ? 0 : fel[0] + (n_fel > 1 ? (int64_t)(r->by * (fel[1] - fel[0])) : 0);
        st = add_train(ctx, r, o[i].train, none, 0, &q);
        for (int64_t k = p->fel[row]; st == XANI_OK && k < p->fel[row + 1]; k++) {
            st = make_room(ctx, &q.fel_at, q.n_fel, &q.room_fel);
            if (st == XANI_OK) q.fel_at[q.n_fel++] = p->fel_at[k];
        }
        for (int64_t k = p->pump[row]; st == XANI_OK && k < p->pump[row + 1]; k++) {
            double at = p->pump_at[k] + shift;
            st = make_room(ctx, &q.pump_at, q.n_pump, &q.room_pump);
            if (st == XANI_OK && at >= 0 && at < XN_XF_PULSES) q.pump_at[q.n_pump++] = (uint16_t)at;
        }
        if (st == XANI_OK) q.fel[q.n] = q.n_fel, q.pump[q.n] = q.n_pump;
    }
    xn_free(o);
    xn_free(none);
    if (st == XANI_OK) {
        xn_xf_pattern_free(p);
        *p = q;
    } else {
        xn_xf_pattern_free(&q);
    }
    return st;
}

// input.pulses.pattern, or the time server of the files. name->source "": there is none.
static xani_status find_table(xn_ctx *ctx, const xn_config *config, const xn_xf_run *run, xn_xf_name *name)
{
    static const char key[] = "bunchPatternTable";
    char text[XN_KEY_LENGTH];
    const char *given = config != NULL ? xn_config_string(config, "input.pulses.pattern") : NULL;
    memset(name, 0, sizeof *name);
    if (given != NULL && strcmp(given, "none") == 0) return XANI_OK;
    if (given != NULL) return xn_context(ctx, xn_xf_name_find(ctx, run, given, name), "input.pulses.pattern");
    for (int i = 0; i < run->n; i++)
        for (int k = 0; k < run->file[i].n_sources; k++) {
            const char *source = run->file[i].source[k];
            if (strcasestr(source, "TIMESERVER") == NULL) continue;
            snprintf(text, sizeof text, "%s/%s", source, key);
            if (xn_xf_name_find(ctx, run, text, name) == XANI_OK) return XANI_OK;
            xn_clear_error(ctx);
            memset(name, 0, sizeof *name);
        }
    return XANI_OK;
}

xani_status xn_xf_pattern_read(xn_ctx *ctx, const xn_config *config, const xn_xf_run *run, const char *detector,
                               xn_xf_pattern *p, bool *there)
{
    xn_xf_name name;
    rule r = {0};
    memset(p, 0, sizeof *p);
    *there = false;
    bool pump = config == NULL || xn_xf_laser_needs_pattern(config);
    bool told = instrument_of(detector) != NULL || (config != NULL && xn_config_has(config, "input.pulses.sase"));
    if (!told && !pump) return XANI_OK; // nobody can say which of the table's pulses were its own
    XN_TRY(find_table(ctx, config, run, &name));
    if (name.source[0] == '\0') return XANI_OK;
    if (config != NULL) XN_TRY(load_rule(ctx, config, detector, pump, &r));
    const instrument *known = instrument_of(detector);
    if (config == NULL && known == NULL) return XANI_OK;
    if (config == NULL) {
        r.sase = known->sase;
        for (size_t i = 0; i < sizeof lasers / sizeof *lasers; i++)
            if (strcmp(lasers[i].name, known->laser) == 0) r.laser = lasers[i].bit;
    }
    xani_status st = XANI_OK;
    for (int i = 0; st == XANI_OK && i < run->n; i++)
        if (xn_xf_file_has(&run->file[i], name.source)) st = read_file(ctx, &run->file[i], &name, &r, p);
    *there = p->n > 0;
    if (st == XANI_OK && *there) st = settle(ctx, &r, p);
    if (st != XANI_OK) xn_xf_pattern_free(p);
    return st;
}

void xn_xf_pattern_free(xn_xf_pattern *p)
{
    void *all[] = {p->train, p->fel, p->pump, p->fel_at, p->pump_at};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) xn_free(all[i]);
    memset(p, 0, sizeof *p);
}
