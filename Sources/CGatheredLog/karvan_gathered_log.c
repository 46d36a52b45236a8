#include "karvan_gathered_log.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of SQLite's "WAL-mode File Format". */
enum { LOG_HEADER = 32, FRAME_HEADER = 24, PAGE_SIZE_AT = 8, COMMIT_AT = 4 };
/* The lock of whoever writes, among those of the shared memory. */
enum { WRITER = 0 };
/* What is gathered at most. */
enum { CAPACITY = 1 << 17 };

typedef struct wrapped wrapped;

struct karvan_gathered_log {
    sqlite3_vfs vfs; /* first: SQLite hands this back */
    sqlite3_vfs *base;
    wrapped *files; /* that are open */
    int is_given_up;
    char name[48];
};

/* A database or its log. */
struct wrapped {
    sqlite3_file file; /* first: SQLite hands this back */
    sqlite3_file *real;
    karvan_gathered_log *log;
    wrapped *next;
    const char *database; /* the same pointer for a database and its log */
    int is_log;
    /* Of a database: of as many methods as the file below has. */
    sqlite3_io_methods methods;
    /* Of a log: */
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
static int flush(wrapped *self) {
    if (self->count == 0) return SQLITE_OK;
    int count = self->count;
    self->count = 0;
    int code = self->real->pMethods->xWrite(self->real, self->held, count, self->offset);
    int rolls_back = (code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_FULL;
    return code == SQLITE_OK || rolls_back ? code : SQLITE_IOERR_WRITE;
}

static void learn_page_size(wrapped *self, const unsigned char *header) {
    unsigned size = number(header + PAGE_SIZE_AT);
    int is_power = size >= 512 && size <= 65536 && (size & (size - 1)) == 0;
    self->page_size = is_power ? (int)size : 0;
}

/* From a log that was there before it was opened. */
static void find_page_size(wrapped *self) {
    unsigned char header[LOG_HEADER];
    if (self->real->pMethods->xRead(self->real, header, LOG_HEADER, 0) == SQLITE_OK)
        learn_page_size(self, header);
}

/* -- The log's methods -- */

static int log_read(sqlite3_file *file, void *bytes, int count, sqlite3_int64 offset) {
    wrapped *self = (wrapped *)file;
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
    wrapped *self = (wrapped *)file;
    int is_log_header = offset == 0 && count >= LOG_HEADER;
    if (is_log_header) learn_page_size(self, bytes);
    if (!self->page_size && count == FRAME_HEADER) find_page_size(self);
    int frame = self->page_size + FRAME_HEADER;
    int place = self->page_size && offset >= LOG_HEADER ? (int)((offset - LOG_HEADER) % frame) : -1;
    int is_page = place == FRAME_HEADER && count == self->page_size;
    int follows = self->count > 0 && offset == self->offset + self->count;
    int is_header = place == 0 && count == FRAME_HEADER && offset == self->end;
    int is_held = is_header || (is_page && follows);
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
    if (is_header) self->is_commit = number((const unsigned char *)bytes + COMMIT_AT) != 0;
    return is_page && self->is_commit ? flush(self) : SQLITE_OK;
}

static int log_truncate(sqlite3_file *file, sqlite3_int64 size) {
    wrapped *self = (wrapped *)file;
    int code = flush(self);
    return code == SQLITE_OK ? self->real->pMethods->xTruncate(self->real, size) : code;
}

static int log_sync(sqlite3_file *file, int flags) {
    wrapped *self = (wrapped *)file;
    int code = flush(self);
    return code == SQLITE_OK ? self->real->pMethods->xSync(self->real, flags) : code;
}

static int log_size(sqlite3_file *file, sqlite3_int64 *size) {
    wrapped *self = (wrapped *)file;
    int code = flush(self);
    return code == SQLITE_OK ? self->real->pMethods->xFileSize(self->real, size) : code;
}

/* -- What a database and its log have in common -- */

/* Connections that were closed with a statement under way live on, and their files with them. */
static void end_with_last_file(karvan_gathered_log *log) {
    if (!log->is_given_up || log->files) return;
    sqlite3_vfs_unregister(&log->vfs);
    free(log);
}

static int file_close(sqlite3_file *file) {
    wrapped *self = (wrapped *)file;
    karvan_gathered_log *log = self->log;
    /* What is held is of no transaction that has ended. */
    free(self->held);
    wrapped **place = &log->files;
    while (*place && *place != self) place = &(*place)->next;
    if (*place) *place = self->next;
    int code = self->real->pMethods->xClose(self->real);
    end_with_last_file(log);
    return code;
}

static int file_lock(sqlite3_file *file, int level) {
    sqlite3_file *real = ((wrapped *)file)->real;
    return real->pMethods->xLock(real, level);
}

static int file_unlock(sqlite3_file *file, int level) {
    sqlite3_file *real = ((wrapped *)file)->real;
    return real->pMethods->xUnlock(real, level);
}

static int file_check_lock(sqlite3_file *file, int *is_reserved) {
    sqlite3_file *real = ((wrapped *)file)->real;
    return real->pMethods->xCheckReservedLock(real, is_reserved);
}

static int file_control(sqlite3_file *file, int operation, void *argument) {
    sqlite3_file *real = ((wrapped *)file)->real;
    return real->pMethods->xFileControl(real, operation, argument);
}

static int file_sector_size(sqlite3_file *file) {
    sqlite3_file *real = ((wrapped *)file)->real;
    return real->pMethods->xSectorSize(real);
}

static int file_characteristics(sqlite3_file *file) {
    sqlite3_file *real = ((wrapped *)file)->real;
    return real->pMethods->xDeviceCharacteristics(real);
}

/* The log has no shared memory and is never mapped. */
static const sqlite3_io_methods log_methods = {
    .iVersion = 1,
    .xClose = file_close,
    .xRead = log_read,
    .xWrite = log_write,
    .xTruncate = log_truncate,
    .xSync = log_sync,
    .xFileSize = log_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
};

/* -- The database's methods -- */

static int database_read(sqlite3_file *file, void *bytes, int count, sqlite3_int64 offset) {
    sqlite3_file *real = ((wrapped *)file)->real;
    return real->pMethods->xRead(real, bytes, count, offset);
}

static int database_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset) {
    sqlite3_file *real = ((wrapped *)file)->real;
    return real->pMethods->xWrite(real, bytes, count, offset);
}

static int database_truncate(sqlite3_file *file, sqlite3_int64 size) {
    sqlite3_file *real = ((wrapped *)file)->real;
    return real->pMethods->xTruncate(real, size);
}

static int database_sync(sqlite3_file *file, int flags) {
    sqlite3_file *real = ((wrapped *)file)->real;
    return real->pMethods->xSync(real, flags);
}

static int database_size(sqlite3_file *file, sqlite3_int64 *size) {
    sqlite3_file *real = ((wrapped *)file)->real;
    return real->pMethods->xFileSize(real, size);
}

static int database_map_memory(
    sqlite3_file *file, int index, int size, int extends, void volatile **memory) {
    sqlite3_file *real = ((wrapped *)file)->real;
    return real->pMethods->xShmMap(real, index, size, extends, memory);
}

/* Whoever gives up the right to write has ended a transaction, however it ended. What its log still
 * holds belongs to none, and others may write there from now on. */
static int database_lock_memory(sqlite3_file *file, int offset, int count, int flags) {
    wrapped *self = (wrapped *)file;
    int ends = offset == WRITER && flags == (SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE);
    for (wrapped *log = ends ? self->log->files : NULL; log; log = log->next)
        if (log->is_log && log->database == self->database) log->count = 0;
    return self->real->pMethods->xShmLock(self->real, offset, count, flags);
}

static void database_memory_barrier(sqlite3_file *file) {
    sqlite3_file *real = ((wrapped *)file)->real;
    real->pMethods->xShmBarrier(real);
}

static int database_unmap_memory(sqlite3_file *file, int deletes) {
    sqlite3_file *real = ((wrapped *)file)->real;
    return real->pMethods->xShmUnmap(real, deletes);
}

static int database_fetch(sqlite3_file *file, sqlite3_int64 offset, int count, void **bytes) {
    sqlite3_file *real = ((wrapped *)file)->real;
    return real->pMethods->xFetch(real, offset, count, bytes);
}

static int database_unfetch(sqlite3_file *file, sqlite3_int64 offset, void *bytes) {
    sqlite3_file *real = ((wrapped *)file)->real;
    return real->pMethods->xUnfetch(real, offset, bytes);
}

static const sqlite3_io_methods database_methods = {
    .iVersion = 3,
    .xClose = file_close,
    .xRead = database_read,
    .xWrite = database_write,
    .xTruncate = database_truncate,
    .xSync = database_sync,
    .xFileSize = database_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = database_map_memory,
    .xShmLock = database_lock_memory,
    .xShmBarrier = database_memory_barrier,
    .xShmUnmap = database_unmap_memory,
    .xFetch = database_fetch,
    .xUnfetch = database_unfetch,
};

/* -- The file system -- */

static sqlite3_vfs *base_of(sqlite3_vfs *vfs) { return ((karvan_gathered_log *)vfs)->base; }

static int vfs_open(
    sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out) {
    sqlite3_vfs *base = base_of(vfs);
    int is_log = (flags & SQLITE_OPEN_WAL) != 0;
    if (!name || !(is_log || flags & SQLITE_OPEN_MAIN_DB))
        return base->xOpen(base, name, file, flags, out);
    wrapped *self = (wrapped *)file;
    memset(self, 0, sizeof *self);
    self->log = (karvan_gathered_log *)vfs;
    self->real = (sqlite3_file *)(self + 1);
    memset(self->real, 0, (size_t)base->szOsFile);
    int code = base->xOpen(base, name, self->real, flags, out);
    /* SQLite closes a file that has methods, even one that could not be opened. */
    if (!self->real->pMethods) return code;
    self->is_log = is_log;
    self->database = is_log ? sqlite3_filename_database(name) : name;
    self->methods = database_methods;
    if (self->real->pMethods->iVersion < database_methods.iVersion)
        self->methods.iVersion = self->real->pMethods->iVersion;
    self->file.pMethods = is_log ? &log_methods : &self->methods;
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
        .szOsFile = base->szOsFile + (int)sizeof(wrapped),
        .mxPathname = base->mxPathname,
        .zName = log->name,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_path,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_time,
        .xGetLastError = base->xGetLastError ? vfs_last_error : NULL,
        .xCurrentTimeInt64 =
            base->iVersion >= 2 && base->xCurrentTimeInt64 ? vfs_time_in_milliseconds : NULL,
    };
    if (sqlite3_vfs_register(&log->vfs, 0) == SQLITE_OK) return log;
    free(log);
    return NULL;
}

const char *karvan_gathered_log_name(const karvan_gathered_log *log) { return log->name; }

void karvan_gathered_log_free(karvan_gathered_log *log) {
    log->is_given_up = 1;
    end_with_last_file(log);
}
