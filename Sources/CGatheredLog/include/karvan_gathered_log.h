#pragma once

/* A file system for SQLite that gathers what a transaction appends to the write-ahead log.
 *
 * SQLite writes a header of 24 bytes and a page for each page that a transaction changed, in two
 * calls each. Here they lie in memory until the last of them, which carries the mark of a commit,
 * and go to the file in one call: whoever has committed has written, as before. What is held when a
 * transaction ends otherwise is dropped. All other files are the base's own. */
typedef struct karvan_gathered_log karvan_gathered_log;

/* Over SQLite's file system of that name; NULL for the default one. NULL when there is no such one,
 * or no memory. */
karvan_gathered_log *karvan_gathered_log_make(const char *base);

/* For sqlite3_open_v2. */
const char *karvan_gathered_log_name(const karvan_gathered_log *log);

/* When its name is not needed any more; files that are open go on, and it goes with the last. */
void karvan_gathered_log_free(karvan_gathered_log *log);
