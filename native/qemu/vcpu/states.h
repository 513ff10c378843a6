/*
 * States of a replay, to which it goes back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_STATES_H
#define REBOX_STATES_H

#include "rebox/vcpu/vcpu.h"
#include "qemu/timer.h"

/* qemu-patches/0014: the timer of a list that expires next, or NULL. */
QEMUTimer *rebox_first_timer(QEMUTimerList *list);

/* states.c */
/* At each turn of the vCPUs in a replay, with QEMU's lock and that of the log: keeps a state where one is due. */
void rebox_states_turn(void);
void rebox_forget_states(void);
/* QEMU's main loop, the machine being paused. Goes to the last kept state that is not behind count. */
bool rebox_restore_state(uint64_t count, uint64_t *reached, Error **errp);
/* QEMU's main loop. Ends what is under way on disks; false when the machine is not paused, or an operation does not end. */
bool rebox_end_operations(Error **errp);

/* Where the replay was before it went back; 0: it never has. */
uint64_t rebox_furthest_count(void);

/* reverse_debugging.c: QEMU's main loop, the machine being paused. There is no way back any more, and nothing that was wanted ahead. */
void rebox_end_going_back(void);

/* state_disks.c: what lies on disks that the guest can write. */
typedef struct rebox_disk_states {
    char name[32]; /* of the snapshots in their images; "" where there is no such disk */
} rebox_disk_states;

/* Whether an operation of a disk is under way. */
bool rebox_is_disk_busy(void);
bool rebox_keep_disks(rebox_disk_states *taken);
bool rebox_restore_disks(const rebox_disk_states *wanted, Error **errp);
void rebox_forget_disks(const rebox_disk_states *gone);

/* state_extras.c: what a migration does not carry. */
typedef struct rebox_extras {
    GArray *timers;
    GByteArray *fields;
    GArray *frames;
} rebox_extras;

void rebox_keep_extras(rebox_extras *extras);
void rebox_restore_extras(const rebox_extras *extras);
void rebox_free_extras(rebox_extras *extras);

/* state_frames.c: the frames that wait until the guest's cards take them, card by card. */
GArray *rebox_keep_frames(void);
void rebox_restore_frames(const GArray *frames);
void rebox_free_frames(GArray *frames);

/* state_pages.c: the RAM of states. Pages that are equal in several of them are kept once. */
typedef struct rebox_ram_copy {
    uint32_t *pages; /* by page of the machine's memory: which of the kept pages it equals */
    size_t count;
} rebox_ram_copy;

/* Sets how many bytes the pages of all copies may take, once. */
bool rebox_limit_ram_copies(uint64_t limit);
/*
 * Copies the machine's memory. like: a copy that is mostly equal, or NULL. Returns false, with nothing kept, where the limit is
 * reached.
 */
bool rebox_copy_ram(rebox_ram_copy *copy, const rebox_ram_copy *like);
/* Makes the machine's memory what it was; false when it has another size now. */
bool rebox_write_back_ram(const rebox_ram_copy *copy);
void rebox_free_ram_copy(rebox_ram_copy *copy);
/* Gives all memory of copies back at once: none of them may be used any more. */
void rebox_forget_ram_copies(void);
uint64_t rebox_ram_copies_size(void);

#endif
