#pragma once
#include <sqlite3.h>
#include <stddef.h>

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

/* What a function gives back; the caller promises that it outlives the statement's step. */
static inline void karvan_result_blob(sqlite3_context *context, const void *bytes, int length) {
    sqlite3_result_blob(context, bytes, length, SQLITE_STATIC);
}

/* The write-ahead log as a file of SQLite's; NULL when it isn't open. */
static inline sqlite3_file *karvan_log_file(sqlite3 *db) {
    sqlite3_file *file = NULL;
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file) != SQLITE_OK)
        return NULL;
    return file && file->pMethods ? file : NULL;
}

/* Whether another file lies where the database was opened, or none. */
static inline int karvan_has_moved(sqlite3 *db) {
    int moved = 0;
    return sqlite3_file_control(db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved;
}

/* Writes what the file holds once more, and syncs it. A code of SQLite's. */
static inline int karvan_rewrite(sqlite3_file *file) {
    char buffer[1 << 14];
    sqlite3_int64 size = 0, offset = 0;
    int code = file->pMethods->xFileSize(file, &size);
    while (code == SQLITE_OK && offset < size) {
        int count = size - offset < (int)sizeof buffer ? (int)(size - offset) : (int)sizeof buffer;
        code = file->pMethods->xRead(file, buffer, count, offset);
        if (code == SQLITE_OK) code = file->pMethods->xWrite(file, buffer, count, offset);
        offset += count;
    }
    return code == SQLITE_OK ? file->pMethods->xSync(file, SQLITE_SYNC_NORMAL) : code;
}
