/*
 * journal.h - the undo journal: what was changed outside, written down before it was changed.
 *
 * A file of fixed slots in the state folder (folder 0700, file 0600), mapped by main, agent and
 * undertaker alike, so that it outlives each of them at any instruction. A slot goes
 *
 *     FREE -> INTENT (entry and checksum are complete) -> effect -> ACTIVE -> undo -> FREE
 *
 * and its state word is stored last, with release order. Whoever finds INTENT or ACTIVE undoes it:
 * undo is idempotent and starts from the recorded old value, so a change that was never made does
 * no harm. INTENT with a wrong checksum is torn: its effect cannot have begun, it is skipped.
 *
 * Writers: main writes slots below JOURNAL_MAIN_SLOTS, the agent those above, so no slot has two
 * writers; the undertaker frees slots only when their writer is gone. Roles are held by record
 * locks (fcntl(2)), which the kernel drops with the process: `journal_holder` tells who lives.
 * Never open or duplicate the journal's descriptor in a process that holds a role: closing any of
 * them drops the lock.
 *
 * Processes are named by pid, start time and the journal's boot id and PID namespace (procid.h).
 * Limits: JOURNAL_SLOTS entries, paths of JOURNAL_PATH_BYTES. Errors: -errno. No threads.
 */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "fault/procid.h"

#define JOURNAL_MAGIC      "squallJ"
#define JOURNAL_VERSION    1
#define JOURNAL_SLOTS      256
#define JOURNAL_MAIN_SLOTS 64
#define JOURNAL_PATH_BYTES 464
#define JOURNAL_FILE_BYTES (4096 + JOURNAL_SLOTS * 1024)

enum journal_state { JOURNAL_FREE, JOURNAL_INTENT, JOURNAL_ACTIVE };
enum journal_role { JOURNAL_MAIN, JOURNAL_AGENT, JOURNAL_UNDERTAKER, JOURNAL_ROLE_COUNT };

/* How the family stands; moves away from RUN once, by compare and swap. */
enum journal_phase {
    JOURNAL_RUN,
    JOURNAL_CLOSING, /* main ends it */
    JOURNAL_LOST     /* main is gone, or counts as gone */
};

/* One action and what its undo needs; see action.h for what each kind uses. */
struct journal_entry {
    uint32_t kind;     /* enum action_kind */
    int32_t fault;     /* main's number of the fault, -1 = noted by main itself */
    uint64_t sequence; /* order of making, undone backwards */
    int32_t pid;
    uint32_t pad;
    uint64_t start;
    int64_t value, value2;
    char path[JOURNAL_PATH_BYTES];
    char home[JOURNAL_PATH_BYTES];
};

struct journal_slot {
    _Atomic uint32_t state;
    uint32_t checksum;
    struct journal_entry entry;
    char pad[1024 - 8 - sizeof(struct journal_entry)];
};
_Static_assert(sizeof(struct journal_slot) == 1024, "slot size is part of the file format");

struct journal_owner {
    int32_t pid;
    uint32_t pad;
    uint64_t start;
};

struct journal_header {
    char magic[8];
    uint32_t version, file_bytes;
    char boot_id[BOOT_ID_BYTES];
    uint64_t namespace;
    struct journal_owner owner[JOURNAL_ROLE_COUNT];
    _Atomic int64_t beat_ns[JOURNAL_ROLE_COUNT]; /* CLOCK_MONOTONIC, each writes its own */
    _Atomic uint32_t phase;
    _Atomic uint32_t generation; /* counts agents; a command for an earlier one is void */
    _Atomic int32_t agent_ready; /* pid of the agent that has taken its generation */
    _Atomic uint32_t lab_serial; /* of commands to the lab, over all agents */
    _Atomic uint64_t sequence;
    char path[1024]; /* of this file */
};

struct journal {
    int fd;
    struct journal_header *header;
    struct journal_slot *slots;
    char path[1024];
    bool hidden; /* has no name yet: it ends with the descriptors that are open on it */
};

/* The state folder to use: `dir`, or the default when NULL (see guard.h). */
int journal_state_dir(const char *dir, char *ret, size_t cap);
/* Makes the folder and a new journal in it, and takes the role of main. The journal has no name yet
 * where the file system allows that (O_TMPFILE), so that a main killed before somebody watches over
 * it leaves no file; journal_publish gives it its name. */
int journal_make(struct journal *j, const char *dir, struct err *err);
int journal_publish(struct journal *j, struct err *err); /* idempotent */
/* Both in one. */
int journal_create(struct journal *j, const char *dir, struct err *err);
/* Maps a journal by its descriptor, which then belongs to j. -EBADMSG: not a journal of ours. */
int journal_attach(struct journal *j, int fd);
void journal_done(struct journal *j); /* unmaps and closes; the file stays */
/* Removes the file, if it is still the one that is mapped, and a default state folder that is empty
 * then. */
void journal_unlink(struct journal *j);

int journal_take_role(struct journal *j, enum journal_role role); /* -EAGAIN: another has it */
pid_t journal_holder(
    const struct journal *j,
    enum journal_role role); /* 0 = nobody, -1 = a process that has no pid in this PID namespace */
bool journal_move_phase(struct journal *j, enum journal_phase to); /* from RUN; false = too late */
enum journal_phase journal_phase(const struct journal *j);
void journal_beat(struct journal *j, enum journal_role role);

/* Writes the entry down as INTENT; sequence is filled in. Slot number, or -ENOSPC. */
int journal_intent(struct journal *j, enum journal_role writer, const struct journal_entry *entry);
void journal_active(struct journal *j, int slot);
void journal_free(struct journal *j, int slot);
/* State of the slot, and its entry unless FREE. With a checksum that does not fit: -EBADMSG for a
 * torn INTENT (its effect never began), -EUCLEAN for an ACTIVE slot (damage; a person must look).
 */
int journal_read(const struct journal *j, int slot, struct journal_entry *ret);
size_t journal_used(const struct journal *j); /* slots that are not FREE and not torn */
