#include "karvan_gathered_log.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of SQLite's "WAL-mode File Format". */
enum { LOG_HEADER = 32, FRAME_HEADER = 24, PAGE_SIZE_AT = 8, COMMIT_AT = 4 };
/* What is gathered at most. */
enum { CAPACITY = 1 << 17 };

typedef struct log_file log_file;

struct karvan_gathered_log {
    sqlite3_vfs vfs; /* first: SQLite hands this back */
    sqlite3_vfs *base;
    log_file *files; /* that are open */
    char name[48];
};

struct log_file {
    sqlite3_file file; /* first: SQLite hands this back */
    sqlite3_file *real;
    karvan_gathered_log *log;
    log_file *next;
    unsigned char *held; /* CAPACITY bytes, or NULL */
    int count;
    sqlite3_int64 offset; /* of what is held */
    int page_size;        /* 0 when it is not known */
    int is_commit;        /* the frame under way carries the mark */
    /* Where the page that was written last ends. A frame that begins elsewhere is none that SQLite
     * appends: it writes headers of a transaction once more, after its last page, when a page of it
     * was replaced. */
    sqlite3_int64 end;
};

static unsigned number(const unsigned char *bytes) {
    return (unsigned)bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
}

/* -- What is held -- */

/* What can't be written is given up: SQLite takes a transaction back whole when one of its writes
 * fails, and what has failed must not come back with the next. */
static int flush(log_file *self) {
    if (self->count == 0) return SQLITE_OK;
    int count = self->count;
    self->count = 0;
    return self->real->pMethods->xWrite(self->real, self->held, count, self->offset);
}

static void learn_page_size(log_file *self, const unsigned char *header) {
    unsigned size = number(header + PAGE_SIZE_AT);
    int is_power = size >= 512 && size <= 65536 && (size & (size - 1)) == 0;
    self->page_size = is_power ? (int)size : 0;
}

/* From a log that was there before it was opened. */
static void find_page_size(log_file *self) {
    unsigned char header[LOG_HEADER];
    if (self->real->pMethods->xRead(self->real, header, LOG_HEADER, 0) == SQLITE_OK)
        learn_page_size(self, header);
}

/* -- The log's methods -- */

static int log_close(sqlite3_file *file) {
    log_file *self = (log_file *)file;
    /* What is held is of no transaction that has ended. */
    free(self->held);
    log_file **place = &self->log->files;
    while (*place && *place != self) place = &(*place)->next;
    if (*place) *place = self->next;
    return self->real->pMethods->xClose(self->real);
}

static int log_read(sqlite3_file *file, void *bytes, int count, sqlite3_int64 offset) {
    log_file *self = (log_file *)file;
    if (self->count > 0 && offset + count > self->offset) {
        sqlite3_int64 start = offset - self->offset;
        if (start >= 0 && start + count <= self->count) {
            memcpy(bytes, self->held + start, (size_t)count);
            return SQLITE_OK;
        }
        int code = flush(self);
        if (code != SQLITE_OK) return SQLITE_IOERR_READ; /* after which nothing is kept */
    }
    return self->real->pMethods->xRead(self->real, bytes, count, offset);
}

static int log_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset) {
    log_file *self = (log_file *)file;
    int is_log_header = offset == 0 && count >= LOG_HEADER;
    if (is_log_header) learn_page_size(self, bytes);
    if (!self->page_size && count == FRAME_HEADER) find_page_size(self);
    int frame = self->page_size + FRAME_HEADER;
    int place = self->page_size && offset >= LOG_HEADER ? (int)((offset - LOG_HEADER) % frame) : -1;
    int is_page = place == FRAME_HEADER && count == self->page_size;
    int follows = self->count > 0 && offset == self->offset + self->count;
    int is_held = (place == 0 && count == FRAME_HEADER && offset == self->end) || (is_page && follows);
    if (self->count > 0 && (!follows || !is_held || self->count + count > CAPACITY)) {
        int code = flush(self);
        if (code != SQLITE_OK) return code;
    }
    if (is_page) self->end = offset + count;
    if (is_log_header) self->end = LOG_HEADER;
    if (is_held && !self->held) self->held = malloc(CAPACITY);
    if (!is_held || !self->held)
        return self->real->pMethods->xWrite(self->real, bytes, count, offset);
    if (self->count == 0) self->offset = offset;
    memcpy(self->held + self->count, bytes, (size_t)count);
    self->count += count;
    if (place == 0) self->is_commit = number((const unsigned char *)bytes + COMMIT_AT) != 0;
    return is_page && self->is_commit ? flush(self) : SQLITE_OK;
}

static int log_truncate(sqlite3_file *file, sqlite3_int64 size) {
    log_file *self = (log_file *)file;
    int code = flush(self);
    return code == SQLITE_OK ? self->real->pMethods->xTruncate(self->real, size) : code;
}

static int log_sync(sqlite3_file *file, int flags) {
    log_file *self = (log_file *)file;
    int code = flush(self);
    return code == SQLITE_OK ? self->real->pMethods->xSync(self->real, flags) : code;
}

static int log_size(sqlite3_file *file, sqlite3_int64 *size) {
    log_file *self = (log_file *)file;
    int code = flush(self);
    return code == SQLITE_OK ? self->real->pMethods->xFileSize(self->real, size) : code;
}

static int log_lock(sqlite3_file *file, int level) {
    sqlite3_file *real = ((log_file *)file)->real;
    return real->pMethods->xLock(real, level);
}

static int log_unlock(sqlite3_file *file, int level) {
    sqlite3_file *real = ((log_file *)file)->real;
    return real->pMethods->xUnlock(real, level);
}

static int log_check_lock(sqlite3_file *file, int *is_reserved) {
    sqlite3_file *real = ((log_file *)file)->real;
    return real->pMethods->xCheckReservedLock(real, is_reserved);
}

static int log_control(sqlite3_file *file, int operation, void *argument) {
    sqlite3_file *real = ((log_file *)file)->real;
    return real->pMethods->xFileControl(real, operation, argument);
}

static int log_sector_size(sqlite3_file *file) {
    sqlite3_file *real = ((log_file *)file)->real;
    return real->pMethods->xSectorSize(real);
}

static int log_characteristics(sqlite3_file *file) {
    sqlite3_file *real = ((log_file *)file)->real;
    return real->pMethods->xDeviceCharacteristics(real);
}

/* The log has no shared memory and is never mapped. */
static const sqlite3_io_methods log_methods = {
    .iVersion = 1,
    .xClose = log_close,
    .xRead = log_read,
    .xWrite = log_write,
    .xTruncate = log_truncate,
    .xSync = log_sync,
    .xFileSize = log_size,
    .xLock = log_lock,
    .xUnlock = log_unlock,
    .xCheckReservedLock = log_check_lock,
    .xFileControl = log_control,
    .xSectorSize = log_sector_size,
    .xDeviceCharacteristics = log_characteristics,
};

/* -- The file system -- */

static sqlite3_vfs *base_of(sqlite3_vfs *vfs) { return ((karvan_gathered_log *)vfs)->base; }

static int vfs_open(
    sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out) {
    sqlite3_vfs *base = base_of(vfs);
    if (!(flags & SQLITE_OPEN_WAL)) return base->xOpen(base, name, file, flags, out);
    log_file *self = (log_file *)file;
    memset(self, 0, sizeof *self);
    self->log = (karvan_gathered_log *)vfs;
    self->real = (sqlite3_file *)(self + 1);
    memset(self->real, 0, (size_t)base->szOsFile);
    int code = base->xOpen(base, name, self->real, flags, out);
    /* SQLite closes a file that has methods, even one that could not be opened. */
    if (!self->real->pMethods) return code;
    self->file.pMethods = &log_methods;
    self->next = self->log->files;
    self->log->files = self;
    return code;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync) {
    return base_of(vfs)->xDelete(base_of(vfs), name, sync);
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *result) {
    return base_of(vfs)->xAccess(base_of(vfs), name, flags, result);
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *name, int count, char *path) {
    return base_of(vfs)->xFullPathname(base_of(vfs), name, count, path);
}

static void *vfs_load(sqlite3_vfs *vfs, const char *name) {
    return base_of(vfs)->xDlOpen(base_of(vfs), name);
}

static void vfs_load_error(sqlite3_vfs *vfs, int count, char *message) {
    base_of(vfs)->xDlError(base_of(vfs), count, message);
}

static void (*vfs_symbol(sqlite3_vfs *vfs, void *library, const char *name))(void) {
    return base_of(vfs)->xDlSym(base_of(vfs), library, name);
}

static void vfs_unload(sqlite3_vfs *vfs, void *library) {
    base_of(vfs)->xDlClose(base_of(vfs), library);
}

static int vfs_randomness(sqlite3_vfs *vfs, int count, char *bytes) {
    return base_of(vfs)->xRandomness(base_of(vfs), count, bytes);
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds) {
    return base_of(vfs)->xSleep(base_of(vfs), microseconds);
}

static int vfs_time(sqlite3_vfs *vfs, double *days) {
    return base_of(vfs)->xCurrentTime(base_of(vfs), days);
}

static int vfs_last_error(sqlite3_vfs *vfs, int count, char *message) {
    return base_of(vfs)->xGetLastError(base_of(vfs), count, message);
}

static int vfs_time_in_milliseconds(sqlite3_vfs *vfs, sqlite3_int64 *milliseconds) {
    return base_of(vfs)->xCurrentTimeInt64(base_of(vfs), milliseconds);
}

karvan_gathered_log *karvan_gathered_log_make(const char *base_name) {
    sqlite3_vfs *base = sqlite3_vfs_find(base_name);
    karvan_gathered_log *log = base ? calloc(1, sizeof *log) : NULL;
    if (!log) return NULL;
    log->base = base;
    snprintf(log->name, sizeof log->name, "karvan-log-%p", (void *)log);
    log->vfs = (sqlite3_vfs){
        .iVersion = base->iVersion < 2 ? base->iVersion : 2,
        .szOsFile = base->szOsFile + (int)sizeof(log_file),
        .mxPathname = base->mxPathname,
        .zName = log->name,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_path,
        .xDlOpen = vfs_load,
        .xDlError = vfs_load_error,
        .xDlSym = vfs_symbol,
        .xDlClose = vfs_unload,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_time,
        .xGetLastError = vfs_last_error,
        .xCurrentTimeInt64 = vfs_time_in_milliseconds,
    };
    if (sqlite3_vfs_register(&log->vfs, 0) == SQLITE_OK) return log;
    free(log);
    return NULL;
}

const char *karvan_gathered_log_name(const karvan_gathered_log *log) { return log->name; }

void karvan_gathered_log_drop(karvan_gathered_log *log) {
    for (log_file *file = log->files; file; file = file->next) file->count = 0;
}

void karvan_gathered_log_free(karvan_gathered_log *log) {
    sqlite3_vfs_unregister(&log->vfs);
    free(log);
}
