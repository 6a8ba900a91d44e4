/* Series, samples and logs. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "record/db.h"
#include "record/reader.h"
#include "record/scan.h"

static struct str copy_str(struct scan *d, int column, struct arena *a)
{
    struct str s = scan_str(d, column, READER_TEXT_BYTES);
    return (struct str){arena_strndup(a, s.p, s.n), s.n};
}

static int all_series(struct record *r, struct arena *a, struct reader_series *v, size_t *ret_n)
{
    size_t n = 0;
    struct scan d;
    scan_open(&d, r, "series", "SELECT series, key, name FROM series ORDER BY series", NULL, 0);
    while (scan_next(&d)) {
        if (n == SERIES_MAX) {
            scan_bad(&d, "too many series");
            break;
        }
        v[n].index = (int)scan_int(&d, 0, 0, INT32_MAX);
        v[n].series.key = scan_copy(&d, 1, a);
        v[n].series.name = scan_copy(&d, 2, a);
        n++;
    }
    *ret_n = n;
    return scan_close(&d);
}

/* Both tables come sorted by series, so one pass joins them. */
static int all_labels(struct record *r, struct arena *a, struct reader_series *v, size_t n)
{
    size_t at = 0;
    struct scan d;
    scan_open(&d, r, "series_labels",
              "SELECT series, name, value FROM series_labels ORDER BY series, name", NULL, 0);
    while (scan_next(&d)) {
        int64_t index = scan_int(&d, 0, 0, INT32_MAX);
        while (at < n && v[at].index < index)
            at++;
        if (at == n || v[at].index != index)
            continue;
        struct series *s = &v[at].series;
        if (s->labels_n == SERIES_LABELS) {
            scan_bad(&d, "too many labels");
            break;
        }
        if (!s->labels)
            s->labels = arena_array(a, SERIES_LABELS, sizeof *s->labels);
        s->labels[s->labels_n].name = copy_str(&d, 1, a);
        s->labels[s->labels_n++].value = copy_str(&d, 2, a);
    }
    return scan_close(&d);
}

int reader_series(struct record *r, struct arena *a, const struct series_selector *sel,
                  struct reader_series **ret, size_t *ret_n)
{
    size_t n, kept = 0;
    struct reader_series *v = arena_array(a, SERIES_MAX, sizeof *v);
    int rc = all_series(r, a, v, &n);
    if (rc == 0)
        rc = all_labels(r, a, v, n);
    for (size_t i = 0; rc == 0 && i < n; i++)
        if (!sel || series_selector_match(sel, &v[i].series))
            v[kept++] = v[i];
    *ret = v;
    *ret_n = kept;
    return rc;
}

static int by_index(const void *key, const void *at)
{
    int64_t a = *(const int64_t *)key, b = ((const struct reader_series *)at)->index;
    return a < b ? -1 : a > b;
}

int reader_samples(struct record *r, const struct reader_series *series, size_t series_n,
                   struct reader_window w, reader_sample_fn *fn, void *ctx)
{
    if (series_n == 0)
        return 0;
    int rc = 0;
    struct scan d;
    scan_open(&d, r, "samples",
              "SELECT series, t_ns, value FROM samples WHERE t_ns >= ? AND t_ns < ? "
              "ORDER BY rowid",
              (int64_t[]){w.from_ns, w.to_ns}, 2);
    while (rc == 0 && scan_next(&d)) {
        int64_t index = scan_int(&d, 0, 0, INT32_MAX);
        int64_t t_ns = scan_int(&d, 1, INT64_MIN, INT64_MAX);
        double value = scan_num(&d, 2);
        const struct reader_series *at =
            bsearch(&index, series, series_n, sizeof *series, by_index);
        if (at && !d.error)
            rc = fn(ctx, (size_t)(at - series), t_ns, value);
    }
    int error = scan_close(&d);
    return rc ? rc : error;
}

int reader_logs(struct record *r, const char *service, struct reader_window w, reader_log_fn *fn,
                void *ctx)
{
    int rc = 0;
    struct scan d;
    scan_open(&d, r, "logs",
              "SELECT t_ns, service, stream, line FROM logs WHERE t_ns >= ? AND t_ns < ? "
              "ORDER BY rowid",
              (int64_t[]){w.from_ns, w.to_ns}, 2);
    while (rc == 0 && scan_next(&d)) {
        struct reader_log log = {.t_ns = scan_int(&d, 0, INT64_MIN, INT64_MAX),
                                 .service = scan_text(&d, 1),
                                 .stream = (int)scan_int(&d, 2, 0, INT32_MAX),
                                 .line = scan_str(&d, 3, READER_TEXT_BYTES)};
        if (!d.error && (!service || strcmp(service, log.service) == 0))
            rc = fn(ctx, &log);
    }
    int error = scan_close(&d);
    return rc ? rc : error;
}
