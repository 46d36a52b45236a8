#pragma once
#include <stdint.h>

/*
 * A SQLite VFS over the system's that counts what reaches the disk and lets it fail: for tests and
 * the simulator only.
 *
 * A point is a write, a truncation, a sync or the deletion of a file; they count from 1. At the point
 * that was armed the fault happens, once. What was written since a file's last sync is remembered,
 * so that a power cut can take it back.
 *
 * One disk belongs to one thread at a time. Several may be there, each under a name of its own.
 */
typedef struct karvan_disk karvan_disk;

typedef enum {
    KARVAN_FAULT_NONE = 0,
    /* The process ends at the point; what was written stays, and pages of the write under way. */
    KARVAN_FAULT_KILL = 1,
    /* The power goes before the point; nothing that was not synced stays. */
    KARVAN_FAULT_LOSE = 2,
    /* The power goes at the point; of what was not synced any sectors of 512 bytes stay. */
    KARVAN_FAULT_TEAR = 3,
    /* From the point on nothing fits on the disk that makes a file longer, but pages of it. */
    KARVAN_FAULT_FULL = 4,
    /* The next sync from the point on fails; what it should have kept is in memory only, and no
       later sync writes it: the next power cut takes it. Other handles that had the file open are
       told at their next sync, which keeps what they wrote since. */
    KARVAN_FAULT_SYNC = 5,
} karvan_fault;

/* Makes a disk and registers it as a VFS of that name; NULL when that fails. */
karvan_disk *karvan_disk_make(const char *name);

/* Ends it; no file of it may be open. */
void karvan_disk_free(karvan_disk *disk);

/* Starts to count anew, with one fault ahead. */
void karvan_disk_arm(karvan_disk *disk, karvan_fault fault, int64_t point, uint64_t seed);

/* The points so far. */
int64_t karvan_disk_points(const karvan_disk *disk);

/* Whether the fault has happened. */
int karvan_disk_has_fired(const karvan_disk *disk);

/* Whether another handle was told of a failed sync since this was asked last. */
int karvan_disk_takes_echo(karvan_disk *disk);

/* Whether the process that used the disk is taken for ended: every call fails since. */
int karvan_disk_is_dead(const karvan_disk *disk);

/* After KARVAN_FAULT_FULL: things fit again. */
void karvan_disk_make_room(karvan_disk *disk);

/* After all files were closed: does to them what the fault did (a failed sync's power cut comes
   now), and lets the disk be used again. Gives 0, or -1 when a file could not be changed. */
int karvan_disk_settle(karvan_disk *disk);
