// SPDX-License-Identifier: BSD-3-Clause
// channels.c -- readings of European XFEL runs: slow ones taken once per train, and arrays with a number per pulse.
//
// Which entry of an array belongs to which pulse (formats.md 1.4):
//   order      the k-th entry to the k-th frame of the train; where it is known, k counts the train's FEL pulses
//              (an X-ray gas monitor).  Entries behind the last pulse are padding, 0 or 1: they are no readings
//   position   entry `step` times the bunch position (a bunch arrival monitor: 2)
//   train      one column is a reading of the whole train
// An array of one number per train, and a column or sum that is asked for, is of the whole train.  Rows that have a
// pulse id beside them (`pulseId`) are of that pulse.  How many pulses there are is counted in the fast data
// themselves: the slow counts disagree with them (formats.md 10.2, no. 6).
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "source/euxfel/euxfel.h"

typedef enum { OF_TRAIN, BY_ORDER, BY_POSITION, BY_PULSE_ID } entry_kind;

typedef struct {
    xn_ctx *ctx;
    const xn_xf_readings *r;
    xn_channel *channel;
    xn_xf_name name;
    entry_kind kind;
    int64_t step;        // BY_POSITION
    const uint64_t *ids; // of the detector, ascending
    int64_t n_ids;
} reader;

static xani_status add(const reader *d, uint64_t id, double value)
{
    return xn_channel_add(d->ctx, d->channel, 1, &id, &value, NULL);
}

// ---- frames of a train

// First frame of the train or of a later one; trains mostly ascend.
static int64_t first_frame(reader *d, uint64_t train)
{
    int64_t low = 0, high = d->n_ids;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (xn_xf_train(d->ids[middle]) < train)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// The train's different pulses from frame i on; *next: behind them. At most XN_XF_PULSES.
static int64_t pulses_of(const reader *d, int64_t i, uint64_t train, uint16_t *pulse)
{
    int64_t n = 0;
    for (; i < d->n_ids && xn_xf_train(d->ids[i]) == train; i++)
        if (n == 0 || pulse[n - 1] != xn_xf_pulse(d->ids[i])) pulse[n++] = (uint16_t)xn_xf_pulse(d->ids[i]);
    return n;
}

// The pulses of a train, or, of one without frames, those of the train before: what it should have had.
static int64_t expected_pulses(reader *d, uint64_t train, uint16_t *pulse)
{
    int64_t at = first_frame(d, train), n = pulses_of(d, at, train, pulse);
    if (n > 0 || d->n_ids == 0) return n;
    uint64_t other = xn_xf_train(d->ids[at > 0 ? at - 1 : 0]);
    return pulses_of(d, first_frame(d, other), other, pulse);
}

// ---- arrays

// Numbers before the padding at the end: a run of the same 0 or 1.
static int64_t without_padding(const double *value, int64_t n, xn_type type)
{
    bool real = type == XN_F32 || type == XN_F64;
    if (!real || n == 0) return n;
    double last = value[n - 1];
    if (!isnan(last) && last != 0.0 && last != 1.0) return n;
    while (n > 0 && (value[n - 1] == last || (isnan(last) && isnan(value[n - 1])))) n--;
    return n;
}

// Entry of a pulse, the k-th of its train; XN_XF_NO_FEL, XN_XF_NO_TRAIN.
static int64_t entry_of(const reader *d, uint64_t id, int64_t k)
{
    const xn_xf_pattern *p = d->r->pattern;
    int64_t row = -1, position = p->n > 0 ? xn_xf_position(p, &d->r->numbers, id, &row) : XN_XF_NO_TRAIN;
    if (d->kind == BY_POSITION) {
        bool plain = p->n == 0 && !d->r->numbers.by_fel;
        if (plain) position = d->r->numbers.offset + d->r->numbers.step * xn_xf_pulse(id);
        return position >= 0 ? d->step * position : position;
    }
    if (p->n == 0) return k;
    return position >= 0 ? xn_xf_fel_number(p, row, position) : position;
}

static xani_status add_array(reader *d, uint64_t train, const double *value, int64_t n, xn_type type, uint16_t *pulse)
{
    if (d->kind == BY_ORDER && d->r->pattern->n == 0) n = without_padding(value, n, type);
    int64_t pulses = expected_pulses(d, train, pulse);
    for (int64_t k = 0; k < pulses; k++) {
        uint64_t id = xn_xf_id(train, pulse[k]);
        int64_t entry = entry_of(d, id, k);
        if (entry == XN_XF_NO_FEL) XN_TRY(add(d, id, NAN)); // known to have no pulse: no number, but not lost
        if (entry >= 0 && entry < n) XN_TRY(add(d, id, value[entry]));
    }
    return XANI_OK;
}

// Trains with several rows of one number: these are the array.
static xani_status add_rows(reader *d, xn_xf_rows *rows, uint64_t train, int64_t first, int64_t count, double *some,
                            uint16_t *pulse)
{
    int64_t n = xn_min64(count, XN_XF_PULSES);
    const double *value;
    for (int64_t i = 0; i < n; i++) {
        XN_TRY(xn_xf_rows_get(d->ctx, rows, first + i, &value));
        some[i] = value[0];
    }
    return add_array(d, train, some, n, rows->type, pulse);
}

// ---- one file

static double of_train(const reader *d, const double *value, int64_t columns)
{
    if (d->channel->column != XN_COLUMN_SUM) return value[d->channel->column];
    double sum = 0.0;
    for (int64_t i = 0; i < columns; i++) sum += value[i];
    return sum;
}

static xani_status read_pulse_ids(const reader *d, const xn_h5 *h5, int64_t rows, int64_t **pulse)
{
    char path[XN_KEY_LENGTH + 32];
    int64_t n = 0;
    *pulse = NULL;
    if (d->kind != BY_PULSE_ID) return XANI_OK;
    snprintf(path, sizeof path, "INSTRUMENT/%s/pulseId", d->name.index);
    XN_TRY(xn_xf_whole(d->ctx, h5, path, -1, true, pulse, &n));
    return n >= rows ? XANI_OK
                     : xn_fail(d->ctx, XANI_ERR_INPUT, "%s: %s has %lld numbers for %lld rows", xn_h5_path(h5), path,
                               (long long)n, (long long)rows);
}

// Room that reading a train needs.
typedef struct {
    double value[XN_XF_PULSES];
    uint16_t pulse[XN_XF_PULSES];
} train_room;

static xani_status read_train(reader *d, xn_xf_rows *rows, uint64_t train, int64_t first, int64_t count,
                              const int64_t *pulse, train_room *room)
{
    const double *value;
    bool array = d->kind == BY_ORDER || d->kind == BY_POSITION;
    if (array && rows->columns == 1) return add_rows(d, rows, train, first, count, room->value, room->pulse);
    for (int64_t i = 0; i < count; i++) {
        XN_TRY(xn_xf_rows_get(d->ctx, rows, first + i, &value));
        if (array) {
            XN_TRY(add_array(d, train, value, rows->columns, rows->type, room->pulse));
            continue;
        }
        bool known = pulse == NULL || (pulse[first + i] >= 0 && pulse[first + i] < XN_XF_PULSES);
        uint64_t id = pulse == NULL ? train : xn_xf_id(train, known ? (uint64_t)pulse[first + i] : 0);
        if (known) XN_TRY(add(d, id, of_train(d, value, rows->columns)));
    }
    return XANI_OK;
}

static xani_status check_columns(const reader *d, const xn_h5 *h5, const xn_xf_rows *rows)
{
    if (d->channel->column < rows->columns) return XANI_OK;
    return xn_fail(d->ctx, XANI_ERR_INPUT, "%s: %s has %lld columns; column %lld does not exist", xn_h5_path(h5),
                   d->name.dataset, (long long)rows->columns, (long long)d->channel->column);
}

static xani_status read_file(reader *d, const xn_xf_file *f, train_room *room)
{
    xn_h5 *h5 = NULL;
    xn_xf_rows rows = {0};
    int64_t *first = NULL, *count = NULL, *pulse = NULL;
    xani_status st;
    XN_GOTO(out, st, xn_h5_open(d->ctx, f->path, &h5));
    if (!xn_h5_exists(h5, d->name.dataset)) goto out;
    XN_GOTO(out, st, xn_xf_rows_open(d->ctx, h5, d->name.dataset, &rows));
    XN_GOTO(out, st, check_columns(d, h5, &rows));
    XN_GOTO(out, st, xn_channel_seen(d->ctx, d->channel, f->path));
    XN_GOTO(out, st, read_pulse_ids(d, h5, rows.rows, &pulse));
    if (d->name.index[0] != '\0')
        XN_GOTO(out, st, xn_xf_index(d->ctx, h5, f, d->name.index, rows.rows, &first, &count));
    for (int64_t t = 0; st == XANI_OK && t < f->n; t++) {
        bool there = f->train[t] != 0 && f->good[t] && rows.rows > 0 && (count == NULL || count[t] > 0);
        if (!there) continue;
        st = read_train(d, &rows, f->train[t], count ? first[t] : 0, count ? count[t] : 1, pulse, room);
    }
out:
    xn_free(pulse);
    xn_free(first);
    xn_xf_rows_close(&rows);
    xn_h5_close(&h5);
    return st;
}

// ---- what kind of reading it is

// Looks at the first file that holds it: numbers of a row, and whether pulse ids stand beside; at all: most rows.
static xani_status look_at(const reader *d, const xn_xf_file *f, int64_t *columns, int64_t *rows_of_train,
                           bool *pulse_ids)
{
    xn_h5 *h5 = NULL;
    xn_xf_rows rows = {0};
    int64_t *first = NULL, *count = NULL;
    char path[XN_KEY_LENGTH + 32];
    xani_status st;
    XN_GOTO(out, st, xn_h5_open(d->ctx, f->path, &h5));
    if (!xn_h5_exists(h5, d->name.dataset)) goto out;
    XN_GOTO(out, st, xn_xf_rows_open(d->ctx, h5, d->name.dataset, &rows));
    XN_GOTO(out, st, xn_xf_index(d->ctx, h5, f, d->name.index, rows.rows, &first, &count));
    *columns = xn_max64(*columns, rows.columns);
    for (int64_t t = 0; t < f->n; t++) *rows_of_train = xn_max64(*rows_of_train, count[t]);
    snprintf(path, sizeof path, "INSTRUMENT/%s/pulseId", d->name.index);
    *pulse_ids = *pulse_ids || xn_h5_exists(h5, path);
out:
    xn_free(first);
    xn_xf_rows_close(&rows);
    xn_h5_close(&h5);
    return st;
}

// input.pulses.arrays of this channel; false: nothing is said.
static bool configured(reader *d)
{
    char key[XN_KEY_LENGTH];
    const xn_config *config = d->r->config;
    int n = config != NULL ? xn_config_count(config, "input.pulses.arrays") : 0;
    for (int i = 0; i < n; i++) {
        const char *source = xn_config_string(config, xn_key(key, "input.pulses.arrays[%d].source", i));
        if (source == NULL || strcmp(source, d->channel->name) != 0) continue;
        const char *word = xn_config_string(config, xn_key(key, "input.pulses.arrays[%d].entry", i));
        d->kind = strcmp(word, "train") == 0 ? OF_TRAIN : strcmp(word, "position") == 0 ? BY_POSITION : BY_ORDER;
        d->step = xn_config_int(config, xn_key(key, "input.pulses.arrays[%d].step", i));
        return true;
    }
    return false;
}

static xani_status find_kind(reader *d)
{
    int64_t columns = 0, rows_of_train = 0;
    bool pulse_ids = false, told = configured(d);
    if (told || d->name.control || d->name.index[0] == '\0') return XANI_OK;
    for (int i = 0; i < d->r->run->n; i++)
        if (xn_xf_file_has(&d->r->run->file[i], d->name.source))
            XN_TRY(look_at(d, &d->r->run->file[i], &columns, &rows_of_train, &pulse_ids));
    if (pulse_ids)
        d->kind = BY_PULSE_ID;
    else if (d->channel->column == 0 && (columns > 1 || rows_of_train > 1))
        d->kind =
            strcasestr(d->channel->name, "/BAM/") || strcasestr(d->channel->name, "_BAM/") ? BY_POSITION : BY_ORDER;
    return XANI_OK;
}

xani_status xn_xf_read_channel(xn_ctx *ctx, void *readings, xn_channel *channel)
{
    const xn_xf_readings *r = readings;
    reader d = {.ctx = ctx, .r = r, .channel = channel, .step = 2};
    if (r->detector != NULL) {
        d.ids = r->detector->id;
        d.n_ids = r->detector->n;
    }
    train_room *room = xn_alloc(1, sizeof *room);
    if (room == NULL) return xn_fail_memory(ctx, channel->name, sizeof *room);
    xani_status st = xn_xf_name_find(ctx, r->run, channel->name, &d.name);
    if (st == XANI_OK) st = find_kind(&d);
    if (d.kind == OF_TRAIN) channel->shift = XN_XF_PULSE_BITS;
    for (int i = 0; st == XANI_OK && i < r->run->n; i++)
        if (xn_xf_file_has(&r->run->file[i], d.name.source)) st = read_file(&d, &r->run->file[i], room);
    xn_free(room);
    if (st == XANI_OK && channel->n_files == 0)
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: no file holds %s", channel->name, d.name.dataset);
    return st;
}

// ---- traces

// Ids of the rows of one file; of trains with one row for all their pulses those of the k-th pulse. True: there are
// trains with still more pulses than k + 1.
static bool trace_ids(reader *d, const xn_xf_file *f, const int64_t *first, const int64_t *count, const int64_t *pulse,
                      int64_t k, int64_t rows, uint64_t *id, train_room *room)
{
    bool more = false;
    memset(id, 0, (size_t)rows * sizeof *id);
    for (int64_t t = 0; t < f->n; t++) {
        const int64_t n = f->good[t] ? count[t] : 0;
        for (int64_t i = 0; d->kind == BY_PULSE_ID && i < n; i++) {
            const int64_t p = pulse[first[t] + i];
            if (p >= 0 && p < XN_XF_PULSES) id[first[t] + i] = xn_xf_id(f->train[t], (uint64_t)p);
        }
        if (d->kind == BY_PULSE_ID || n == 0) continue;
        const int64_t pulses = expected_pulses(d, f->train[t], room->pulse);
        for (int64_t i = n == 1 ? k : 0; i < (n == 1 ? xn_min64(k + 1, pulses) : pulses); i++) {
            const uint64_t one = xn_xf_id(f->train[t], room->pulse[i]);
            const int64_t entry = n == 1 ? 0 : entry_of(d, one, i);
            if (entry >= 0 && entry < n && (n == 1 || k == 0)) id[first[t] + entry] = one;
        }
        more = more || (n == 1 && pulses > k + 1);
    }
    return more;
}

static xani_status feed_file(reader *d, const xn_xf_file *f, xn_trace_sink *sink, train_room *room)
{
    xn_h5 *h5 = NULL;
    xn_h5_info info;
    int64_t *first = NULL, *count = NULL, *pulse = NULL;
    uint64_t *id = NULL;
    xani_status st;
    XN_GOTO(out, st, xn_h5_open(d->ctx, f->path, &h5));
    if (!xn_h5_exists(h5, d->name.dataset)) goto out;
    XN_GOTO(out, st, xn_h5_info_get(d->ctx, h5, d->name.dataset, &info));
    const int64_t rows = info.rank > 0 ? info.dims[0] : 0;
    XN_GOTO(out, st, xn_xf_index(d->ctx, h5, f, d->name.index, rows, &first, &count));
    XN_GOTO(out, st, read_pulse_ids(d, h5, rows, &pulse));
    id = xn_alloc((size_t)rows + 1, sizeof *id);
    if (id == NULL) {
        st = xn_fail_memory(d->ctx, d->name.dataset, (size_t)rows * sizeof *id);
        goto out;
    }
    bool more = true;
    for (int64_t k = 0; st == XANI_OK && more; k++) {
        more = trace_ids(d, f, first, count, pulse, k, rows, id, room);
        st = xn_trace_feed(d->ctx, h5, d->name.dataset, rows, id, NULL, sink);
    }
out:
    xn_free(id);
    xn_free(pulse);
    xn_free(first);
    xn_h5_close(&h5);
    return st;
}

xani_status xn_xf_read_traces(xn_ctx *ctx, void *readings, xn_trace_sink *sink)
{
    const xn_xf_readings *r = readings;
    reader d = {.ctx = ctx, .r = r, .kind = BY_ORDER};
    int64_t columns = 0, rows_of_train = 0;
    bool pulse_ids = false;
    if (r->detector != NULL) {
        d.ids = r->detector->id;
        d.n_ids = r->detector->n;
    }
    train_room *room = xn_alloc(1, sizeof *room);
    if (room == NULL) return xn_fail_memory(ctx, sink->name, sizeof *room);
    xani_status st = xn_xf_name_find(ctx, r->run, sink->name, &d.name);
    if (st == XANI_OK && d.name.index[0] == '\0')
        st = xn_fail(ctx, XANI_ERR_INPUT,
                     "%s is one value of the run; a row of numbers for each train or pulse is needed", d.name.dataset);
    for (int i = 0; st == XANI_OK && i < r->run->n; i++)
        if (xn_xf_file_has(&r->run->file[i], d.name.source))
            st = look_at(&d, &r->run->file[i], &columns, &rows_of_train, &pulse_ids);
    if (pulse_ids) d.kind = BY_PULSE_ID;
    for (int i = 0; st == XANI_OK && i < r->run->n; i++)
        if (xn_xf_file_has(&r->run->file[i], d.name.source)) st = feed_file(&d, &r->run->file[i], sink, room);
    xn_free(room);
    if (st == XANI_OK && sink->n_files == 0)
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: no file holds %s", sink->name, d.name.dataset);
    return st;
}
