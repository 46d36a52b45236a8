#pragma once
#include <sqlite3.h>

/* sqlite3_db_config is variadic, which Swift doesn't import: one wrapper per argument type. */
static inline int karvan_db_config_flag(sqlite3 *db, int option, int value, int *now) {
    return sqlite3_db_config(db, option, value, now);
}

/* The transient destructor is a cast of -1, which Swift doesn't import either. */
static inline int karvan_bind_text(sqlite3_stmt *s, int i, const char *bytes, int length) {
    return sqlite3_bind_text(s, i, bytes, length, SQLITE_TRANSIENT);
}

static inline int karvan_bind_blob(sqlite3_stmt *s, int i, const void *bytes, int length) {
    return sqlite3_bind_blob(s, i, bytes, length, SQLITE_TRANSIENT);
}

/* For bytes that outlive the step: the caller promises it, and nothing is copied. */
static inline int karvan_bind_text_static(sqlite3_stmt *s, int i, const char *bytes, int length) {
    return sqlite3_bind_text(s, i, bytes, length, SQLITE_STATIC);
}

static inline int karvan_bind_blob_static(sqlite3_stmt *s, int i, const void *bytes, int length) {
    return sqlite3_bind_blob(s, i, bytes, length, SQLITE_STATIC);
}
