/* Settlement pages: an id path, a count path and a JSON document, a line feed between them. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "observe/listing_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_twice(const struct listing_paths *paths, struct str json)
{
    struct listing_rows a, b;
    struct err err = {0};
    char *token_a CLEANUP(free_p) = NULL, *token_b CLEANUP(free_p) = NULL;
    listing_rows_init(&a);
    listing_rows_init(&b);
    int r = listing_rows_read(&a, paths, json.p, json.n, &token_a, &err);
    assert(listing_rows_read(&b, paths, json.p, json.n, &token_b, &err) == r);
    listing_rows_sort(&a);
    listing_rows_sort(&b);
    assert(r < 0 || listing_rows_equal(&a, &b));
    for (size_t i = 0; i < a.n; i++)
        assert(a.v[i].count >= 0 && a.v[i].key);
    listing_rows_done(&a);
    listing_rows_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = {(const char *)data, size};
    struct str id = str_split(&rest, '\n'), count = str_split(&rest, '\n');
    char *id_text CLEANUP(free_p) = xstrndup(id.p, id.n);
    char *count_text CLEANUP(free_p) = xstrndup(count.p, count.n);
    struct listing_paths paths;
    struct err err = {0};
    if (listing_paths_init(&paths, id_text, *count_text ? count_text : NULL, &err) < 0)
        return 0;
    read_twice(&paths, rest);
    listing_paths_done(&paths);
    return 0;
}
