/*
 * schema.h - the tables of a run file, as SQL text; docs/run-file.md tells what they mean.
 *
 * The text is the contract: a file is read only when its tables were made by exactly these
 * statements (SQLite keeps them in sqlite_schema), so that no view or odd type of a stranger's file
 * stands where a table is expected. A change here is a new SCHEMA_VERSION. Views are for people;
 * squall does not read them.
 */
#pragma once
#include <stddef.h>

#define SCHEMA_VERSION        1
#define SCHEMA_APPLICATION_ID 0x7371756c /* "squl", for file(1) */

struct schema_object {
    const char *name, *sql;
};
extern const struct schema_object schema_tables[];
extern const size_t schema_tables_n;
extern const struct schema_object schema_views[]; /* and indexes */
extern const size_t schema_views_n;
