#define _GNU_SOURCE
#include "karvan_fault.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SECTOR = 512, PAGE = 4096 };

/* A write or a truncation that a power cut may take back. */
typedef struct change {
    struct change *older;
    enum { UNSYNCED, SYNCED, DOOMED } state;
    sqlite3_int64 offset;
    int length; /* 0 for a truncation */
    sqlite3_int64 size_before;
    int kept; /* bytes of the old content that were there */
    unsigned char *before;
    unsigned char *after;
} change;

/* A file by its path; it outlives its handles. */
typedef struct record {
    struct record *next;
    char *path;
    change *newest;
    int failures; /* of syncs */
} record;

struct karvan_disk {
    sqlite3_vfs vfs; /* first: SQLite hands this back */
    sqlite3_vfs *real;
    char *name;
    record *records;
    karvan_fault fault;
    int64_t point, points;
    uint64_t seed;
    int has_fired, is_dead, is_full, has_told_again;
};

typedef struct file {
    sqlite3_file base;
    karvan_disk *disk;
    record *record; /* NULL for what does not count */
    int told; /* of the record's failures */
    sqlite3_file *real;
} file;

static uint64_t next_random(karvan_disk *disk) {
    uint64_t mixed = disk->seed += 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
    return mixed ^ mixed >> 31;
}

/* -- What is not synced -- */

static void forget(record *record) {
    while (record->newest) {
        change *change = record->newest;
        record->newest = change->older;
        free(change->before);
        free(change->after);
        free(change);
    }
}

static int remember(file *file, sqlite3_int64 offset, int length, const void *bytes) {
    sqlite3_int64 size = 0;
    int code = file->real->pMethods->xFileSize(file->real, &size);
    if (code != SQLITE_OK) return code;
    change *change = calloc(1, sizeof *change);
    if (!change) return SQLITE_NOMEM;
    sqlite3_int64 end = length ? offset + length : size;
    change->offset = offset;
    change->length = length;
    change->size_before = size;
    change->kept = (int)(size > offset ? (size < end ? size : end) - offset : 0);
    change->before = malloc(change->kept ? (size_t)change->kept : 1);
    change->after = malloc(length ? (size_t)length : 1);
    if (!change->before || !change->after) code = SQLITE_NOMEM;
    if (code == SQLITE_OK && length) memcpy(change->after, bytes, (size_t)length);
    if (code == SQLITE_OK && change->kept)
        code = file->real->pMethods->xRead(file->real, change->before, change->kept, offset);
    if (code != SQLITE_OK) {
        free(change->before);
        free(change->after);
        free(change);
        return code;
    }
    change->older = file->record->newest;
    file->record->newest = change;
    return SQLITE_OK;
}

static int put(int descriptor, const unsigned char *bytes, int length, sqlite3_int64 offset) {
    while (length > 0) {
        ssize_t count = pwrite(descriptor, bytes, (size_t)length, offset);
        if (count <= 0) return -1;
        bytes += count;
        length -= (int)count;
        offset += count;
    }
    return 0;
}

static int has_doomed(const record *record) {
    for (const change *change = record->newest; change; change = change->older)
        if (change->state == DOOMED) return 1;
    return 0;
}

/* A sync keeps what was written since the last; behind what a failed one lost it has to be known,
   because taking that back takes it back as well. */
static void keep(record *record) {
    if (!has_doomed(record)) return forget(record);
    for (change *change = record->newest; change; change = change->older)
        if (change->state == UNSYNCED) change->state = SYNCED;
}

static void doom(record *record) {
    for (change *change = record->newest; change; change = change->older)
        if (change->state == UNSYNCED) change->state = DOOMED;
}

/* Takes all back, the newest first, and then lets sectors reach the disk, the oldest first. */
static int cut_power(karvan_disk *disk, record *record, int tears) {
    if (!record->newest) return 0;
    int descriptor = open(record->path, O_RDWR | O_CLOEXEC);
    if (descriptor < 0) return 0; /* deleted since */
    int status = 0;
    size_t count = 0, index;
    for (change *change = record->newest; change; change = change->older) {
        if (put(descriptor, change->before, change->kept, change->offset)) status = -1;
        if (ftruncate(descriptor, change->size_before)) status = -1;
        count++;
    }
    change **oldest = malloc(sizeof *oldest * count);
    if (!oldest) status = -1;
    index = count;
    for (change *change = record->newest; oldest && change; change = change->older)
        oldest[--index] = change;
    for (index = 0; oldest && index < count; index++) {
        change *change = oldest[index];
        uint64_t fate = change->state == SYNCED ? 1 : next_random(disk) % 4;
        if (change->state == DOOMED || (change->state == UNSYNCED && (!tears || fate == 0)))
            continue;
        if (change->length == 0) {
            if (ftruncate(descriptor, change->offset)) status = -1;
            continue;
        }
        for (int start = 0; start < change->length;) {
            /* Sectors lie where the disk has them, not where a write begins. */
            int room = SECTOR - (int)((change->offset + start) % SECTOR);
            int part = change->length - start < room ? change->length - start : room;
            if (fate == 1 || next_random(disk) % 2)
                if (put(descriptor, change->after + start, part, change->offset + start))
                    status = -1;
            start += part;
        }
    }
    free(oldest);
    close(descriptor);
    forget(record);
    return status;
}

/* -- Points -- */

/* Counts one; SQLITE_OK when it may happen. */
static int pass(karvan_disk *disk, int lengthens) {
    if (disk->is_dead) return SQLITE_IOERR;
    disk->points++;
    if (disk->is_full && lengthens) return SQLITE_FULL;
    if (disk->has_fired || disk->points < disk->point) return SQLITE_OK;
    switch (disk->fault) {
    case KARVAN_FAULT_NONE:
    case KARVAN_FAULT_SYNC:
        return SQLITE_OK;
    case KARVAN_FAULT_FULL:
        if (!lengthens) return SQLITE_OK;
        disk->has_fired = disk->is_full = 1;
        return SQLITE_FULL;
    case KARVAN_FAULT_KILL:
    case KARVAN_FAULT_LOSE:
    case KARVAN_FAULT_TEAR:
        disk->has_fired = disk->is_dead = 1;
        return SQLITE_IOERR;
    }
    return SQLITE_OK;
}

/* What a write that fails has written by then. The system goes by its own pages: whoever is killed,
 * or finds no more room, may leave some of them. When the power goes, sectors are drawn later. */
static int under_way(karvan_disk *disk, int is_struck, int length, sqlite3_int64 offset) {
    if (is_struck && disk->fault == KARVAN_FAULT_TEAR) return length;
    if (!disk->is_full && !(is_struck && disk->fault == KARVAN_FAULT_KILL)) return 0;
    int first = PAGE - (int)(offset % PAGE);
    if (first >= length) return 0;
    int pages = (length - first + PAGE - 1) / PAGE;
    int drawn = (int)(next_random(disk) % (uint64_t)(pages + 1));
    return drawn == 0 ? 0 : first + (drawn - 1) * PAGE;
}

/* -- Files -- */

static int file_close(sqlite3_file *base) {
    file *self = (file *)base;
    return self->real->pMethods ? self->real->pMethods->xClose(self->real) : SQLITE_OK;
}

static int file_read(sqlite3_file *base, void *bytes, int length, sqlite3_int64 offset) {
    file *self = (file *)base;
    if (self->disk->is_dead) return SQLITE_IOERR_READ;
    return self->real->pMethods->xRead(self->real, bytes, length, offset);
}

static int file_write(sqlite3_file *base, const void *bytes, int length, sqlite3_int64 offset) {
    file *self = (file *)base;
    if (self->record) {
        sqlite3_int64 size = 0;
        self->real->pMethods->xFileSize(self->real, &size);
        int was_dead = self->disk->is_dead;
        int code = pass(self->disk, offset + length > size);
        if (code != SQLITE_OK) {
            int is_struck = self->disk->is_dead && !was_dead;
            int part = under_way(self->disk, is_struck, length, offset);
            if (part > 0 && remember(self, offset, part, bytes) == SQLITE_OK)
                self->real->pMethods->xWrite(self->real, bytes, part, offset);
            return code;
        }
        code = remember(self, offset, length, bytes);
        if (code != SQLITE_OK) return code;
    } else if (self->disk->is_dead) {
        return SQLITE_IOERR_WRITE;
    }
    return self->real->pMethods->xWrite(self->real, bytes, length, offset);
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size) {
    file *self = (file *)base;
    if (self->record) {
        int code = pass(self->disk, 0);
        if (code == SQLITE_OK) code = remember(self, size, 0, NULL);
        if (code != SQLITE_OK) return code;
    } else if (self->disk->is_dead) {
        return SQLITE_IOERR_TRUNCATE;
    }
    return self->real->pMethods->xTruncate(self->real, size);
}

static int file_sync(sqlite3_file *base, int flags) {
    file *self = (file *)base;
    (void)flags;
    karvan_disk *disk = self->disk;
    if (!self->record) return disk->is_dead ? SQLITE_IOERR_FSYNC : SQLITE_OK;
    int code = pass(disk, 0);
    if (code != SQLITE_OK) return SQLITE_IOERR_FSYNC;
    if (disk->fault == KARVAN_FAULT_SYNC && !disk->has_fired && disk->points >= disk->point) {
        disk->has_fired = 1;
        /* The system calls the pages clean now: they never reach the disk. */
        doom(self->record);
        self->told = ++self->record->failures;
        return SQLITE_IOERR_FSYNC;
    }
    keep(self->record);
    if (self->told == self->record->failures) return SQLITE_OK;
    /* Linux tells each descriptor that was open then, once, at its own next sync. */
    self->told = self->record->failures;
    disk->has_told_again = 1;
    return SQLITE_IOERR_FSYNC;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *size) {
    file *self = (file *)base;
    if (self->disk->is_dead) return SQLITE_IOERR_FSTAT;
    return self->real->pMethods->xFileSize(self->real, size);
}

static int file_lock(sqlite3_file *base, int level) {
    file *self = (file *)base;
    if (self->disk->is_dead) return SQLITE_IOERR_LOCK;
    return self->real->pMethods->xLock(self->real, level);
}

static int file_unlock(sqlite3_file *base, int level) {
    file *self = (file *)base;
    return self->real->pMethods->xUnlock(self->real, level);
}

static int file_check_lock(sqlite3_file *base, int *result) {
    file *self = (file *)base;
    return self->real->pMethods->xCheckReservedLock(self->real, result);
}

static int file_control(sqlite3_file *base, int operation, void *argument) {
    file *self = (file *)base;
    return self->real->pMethods->xFileControl(self->real, operation, argument);
}

static int file_sector(sqlite3_file *base) {
    (void)base;
    return SECTOR;
}

static int file_traits(sqlite3_file *base) {
    file *self = (file *)base;
    return self->real->pMethods->xDeviceCharacteristics(self->real);
}

static int file_shm_map(sqlite3_file *base, int page, int size, int extend, void volatile **at) {
    file *self = (file *)base;
    if (self->disk->is_dead) return SQLITE_IOERR_SHMMAP;
    return self->real->pMethods->xShmMap(self->real, page, size, extend, at);
}

static int file_shm_lock(sqlite3_file *base, int offset, int count, int flags) {
    file *self = (file *)base;
    if (self->disk->is_dead && flags & SQLITE_SHM_LOCK) return SQLITE_IOERR_SHMLOCK;
    return self->real->pMethods->xShmLock(self->real, offset, count, flags);
}

static void file_shm_barrier(sqlite3_file *base) {
    file *self = (file *)base;
    self->real->pMethods->xShmBarrier(self->real);
}

static int file_shm_unmap(sqlite3_file *base, int deletes) {
    file *self = (file *)base;
    return self->real->pMethods->xShmUnmap(self->real, deletes);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_traits,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

/* -- The disk -- */

static record *find(karvan_disk *disk, const char *path) {
    for (record *found = disk->records; found; found = found->next)
        if (strcmp(found->path, path) == 0) return found;
    record *made = calloc(1, sizeof *made);
    if (!made) return NULL;
    made->path = strdup(path);
    made->next = disk->records;
    disk->records = made;
    return made;
}

static int disk_open(
    sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *base, int flags, int *out) {
    karvan_disk *disk = (karvan_disk *)vfs;
    file *self = (file *)base;
    self->base.pMethods = NULL;
    if (disk->is_dead) return SQLITE_CANTOPEN;
    self->disk = disk;
    self->real = (sqlite3_file *)(self + 1);
    memset(self->real, 0, (size_t)disk->real->szOsFile);
    int counts = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL;
    self->record = name && flags & counts ? find(disk, name) : NULL;
    int code = disk->real->xOpen(disk->real, name, self->real, flags, out);
    if (code == SQLITE_OK) self->base.pMethods = &methods;
    self->told = self->record ? self->record->failures : 0;
    return code;
}

static int disk_delete(sqlite3_vfs *vfs, const char *path, int syncs) {
    karvan_disk *disk = (karvan_disk *)vfs;
    int code = pass(disk, 0);
    if (code != SQLITE_OK) return SQLITE_IOERR_DELETE;
    forget(find(disk, path));
    return disk->real->xDelete(disk->real, path, syncs);
}

static int disk_access(sqlite3_vfs *vfs, const char *path, int flags, int *result) {
    karvan_disk *disk = (karvan_disk *)vfs;
    return disk->real->xAccess(disk->real, path, flags, result);
}

static int disk_path(sqlite3_vfs *vfs, const char *path, int size, char *out) {
    karvan_disk *disk = (karvan_disk *)vfs;
    return disk->real->xFullPathname(disk->real, path, size, out);
}

static int disk_random(sqlite3_vfs *vfs, int size, char *out) {
    karvan_disk *disk = (karvan_disk *)vfs;
    return disk->real->xRandomness(disk->real, size, out);
}

static int disk_sleep(sqlite3_vfs *vfs, int microseconds) {
    karvan_disk *disk = (karvan_disk *)vfs;
    return disk->real->xSleep(disk->real, microseconds);
}

static int disk_time(sqlite3_vfs *vfs, double *out) {
    karvan_disk *disk = (karvan_disk *)vfs;
    return disk->real->xCurrentTime(disk->real, out);
}

static int disk_error(sqlite3_vfs *vfs, int size, char *out) {
    karvan_disk *disk = (karvan_disk *)vfs;
    return disk->real->xGetLastError(disk->real, size, out);
}

karvan_disk *karvan_disk_make(const char *name) {
    sqlite3_vfs *real = sqlite3_vfs_find(NULL);
    karvan_disk *disk = calloc(1, sizeof *disk);
    if (!real || !disk) return NULL;
    disk->real = real;
    disk->name = strdup(name);
    disk->vfs = (sqlite3_vfs){
        .iVersion = 1,
        .szOsFile = (int)sizeof(file) + real->szOsFile,
        .mxPathname = real->mxPathname,
        .zName = disk->name,
        .xOpen = disk_open,
        .xDelete = disk_delete,
        .xAccess = disk_access,
        .xFullPathname = disk_path,
        .xRandomness = disk_random,
        .xSleep = disk_sleep,
        .xCurrentTime = disk_time,
        .xGetLastError = disk_error,
    };
    if (sqlite3_vfs_register(&disk->vfs, 0) != SQLITE_OK) {
        free(disk->name);
        free(disk);
        return NULL;
    }
    return disk;
}

static void forget_all(karvan_disk *disk) {
    while (disk->records) {
        record *record = disk->records;
        disk->records = record->next;
        forget(record);
        free(record->path);
        free(record);
    }
}

void karvan_disk_free(karvan_disk *disk) {
    sqlite3_vfs_unregister(&disk->vfs);
    forget_all(disk);
    free(disk->name);
    free(disk);
}

void karvan_disk_arm(karvan_disk *disk, karvan_fault fault, int64_t point, uint64_t seed) {
    disk->fault = fault;
    disk->point = point;
    disk->points = 0;
    disk->seed = seed;
    disk->has_fired = disk->is_dead = disk->is_full = 0;
}

int64_t karvan_disk_points(const karvan_disk *disk) { return disk->points; }
int karvan_disk_has_fired(const karvan_disk *disk) { return disk->has_fired; }
int karvan_disk_takes_echo(karvan_disk *disk) {
    int told = disk->has_told_again;
    disk->has_told_again = 0;
    return told;
}

int karvan_disk_is_dead(const karvan_disk *disk) { return disk->is_dead; }
void karvan_disk_make_room(karvan_disk *disk) { disk->is_full = 0; }

int karvan_disk_settle(karvan_disk *disk) {
    int status = 0;
    int takes = disk->fault == KARVAN_FAULT_LOSE || disk->fault == KARVAN_FAULT_TEAR ||
                disk->fault == KARVAN_FAULT_SYNC;
    if (disk->has_fired && takes)
        for (record *record = disk->records; record; record = record->next)
            if (cut_power(disk, record, disk->fault == KARVAN_FAULT_TEAR)) status = -1;
    forget_all(disk);
    disk->is_dead = disk->is_full = 0;
    disk->fault = KARVAN_FAULT_NONE;
    return status;
}
