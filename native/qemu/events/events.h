/*
 * What the files of events/ share with each other: the floor above guest/.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_EVENTS_H
#define REBOX_EVENTS_H

#include "rebox/guest/guest.h"

/* watching.c */
extern const rebox_listener *rebox_listening;
extern bool rebox_watched[REBOX_EVENT_COUNT];
extern bool rebox_watched_everywhere[REBOX_EVENT_COUNT];
extern uint64_t rebox_last_subscription;
/* Whether an event of executed code is wanted of a process that is, or is not, monitored. */
static inline bool rebox_wanted(rebox_event event, bool monitored)
{
    return rebox_watched[event] && (monitored || rebox_watched_everywhere[event]);
}
bool rebox_any_code_watched(void);
bool rebox_is_watched_opcode(uint16_t opcode);

/* ends.c: what a vCPU has begun and not ended. */
extern bool rebox_pending[REBOX_MAX_CPUS];
static inline bool rebox_any_pending(int cpu_index)
{
    return rebox_pending[cpu_index];
}
void rebox_begin_block(int cpu_index, rebox_block *block, bool monitored);
void rebox_begin_insn(int cpu_index, uint64_t pc, bool monitored);
void rebox_begin_opcode(uint16_t opcode, uint8_t insn_size, int cpu_index);
/* Reports the ends of what is pending: of the instruction, and with is_block of the block too. */
void rebox_finish(int cpu_index, uint64_t next_pc, bool is_block);
/* The same for the instruction that has just written CR3, which ends its block. */
void rebox_finish_at_cr3(CPUState *cpu);
/*
 * The same for a vCPU that gdb stops, between two instructions. The next one cannot report it: each stop ends in a flush
 * of the translations (gdb_vm_state_change() of 10.0), which forgets what is pending.
 */
void rebox_finish_at_stop(CPUState *cpu);
void rebox_forget_progress(void);
/* Forgets what this vCPU has begun, without a report of the ends: its process is not monitored any more. */
void rebox_drop_progress(int cpu_index);

/* accesses.c: gives a vCPU the program counter that a callback wrote in the middle of an instruction. */
void rebox_apply_deferred_pc(CPUState *cpu);

#endif
