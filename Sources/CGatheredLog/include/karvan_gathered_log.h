#pragma once

/* A file system for SQLite that gathers what a transaction appends to the write-ahead log.
 *
 * SQLite writes a header of 24 bytes and a page for each page that a transaction changed, in two
 * calls each. Here they lie in memory until the last of them, which carries the mark of a commit,
 * and go to the file in one call: whoever has committed has written, as before, and a process that
 * is killed leaves a transaction whole or not at all. All other files are the base's own. */
typedef struct karvan_gathered_log karvan_gathered_log;

/* Over SQLite's file system of that name; NULL for the default one. NULL when there is no such one,
 * or no memory. */
karvan_gathered_log *karvan_gathered_log_make(const char *base);

/* For sqlite3_open_v2. */
const char *karvan_gathered_log_name(const karvan_gathered_log *log);

/* After each rollback, before the next write: what is held is of no transaction any more, and others
 * may write where it belonged. */
void karvan_gathered_log_drop(karvan_gathered_log *log);

/* When every connection that was opened with it is closed. */
void karvan_gathered_log_free(karvan_gathered_log *log);
