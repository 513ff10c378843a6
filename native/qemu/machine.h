/*
 * What the files of native/qemu share with each other. Needs QEMU's headers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_MACHINE_H
#define REBOX_MACHINE_H

#include "qemu/osdep.h"
#include "cpu.h"
#include "hw/core/cpu.h"
#include "rebox/hooks.h"
#include "rebox/qemu_glue.h"

/* More vCPUs than QEMU's pc machines take (255 with the default interrupt controller, 4096 at most). */
#define REBOX_MAX_CPUS 4096

/* engine.c */
extern rebox_engine_events rebox_events;
bool rebox_engine_has_ended(void);

/* vcpu.c */
bool rebox_on_vcpu_thread(void);
/* Whether the calling vCPU thread is inside generated code, so that registers were written under its feet. */
bool rebox_in_guest_code(void);
/* Whether a callback holds the vCPUs: they execute nothing once they have left the code they are in. */
bool rebox_is_held(void);
/* Makes an idle machine look for work that the vCPU thread itself created outside a slice. */
void rebox_rouse_vcpus(void);
/* Finds a vCPU by its index. */
CPUState *rebox_find_cpu(int cpu_index);

/* registers.c: what a callback did to the vCPU, so that the code being executed must be left. */
typedef enum rebox_disturbance {
    REBOX_UNDISTURBED,
    REBOX_STATE_CHANGED,   /* control state: the block must be looked up again */
    REBOX_PC_CHANGED,
} rebox_disturbance;
extern rebox_disturbance rebox_noted_disturbance;
static inline rebox_disturbance rebox_take_disturbance(void)
{
    rebox_disturbance taken = rebox_noted_disturbance;

    rebox_noted_disturbance = REBOX_UNDISTURBED;
    return taken;
}
/* Notes that the code the vCPU executes is not what is wanted any more; nothing when it executes none. */
void rebox_disturb(CPUState *cpu, rebox_disturbance what);
/*
 * Where in the generated code the vCPU stands, while a callback runs within a block; 0 otherwise. Within a block the
 * flags are kept in parts that only the generated code knows; rebox_settle_flags() makes them whole.
 */
extern uintptr_t rebox_code_pointer;
void rebox_settle_flags(CPUState *cpu);

/*
 * Where CS:eip is: the address that translation and hooks go by. The base counts outside 64-bit mode only, as in
 * cpu_get_tb_cpu_state().
 */
static inline uint64_t rebox_code_base(CPUX86State *env)
{
    return env->hflags & HF_CS64_MASK ? 0 : env->segs[R_CS].base;
}

static inline uint64_t rebox_linear_pc(CPUX86State *env)
{
    return env->hflags & HF_CS64_MASK ? env->eip : (uint32_t)(env->segs[R_CS].base + env->eip);
}

/* paging.c: the identity of an address space; see rebox_current_pgd(). */
uint64_t rebox_pgd_identity(CPUX86State *env);
/* Says that the guest isolates page tables, so that bit 12 of CR3 does not tell processes apart. */
void rebox_set_kpti(void);
bool rebox_kpti(void);
/* The entry of the page tables that maps address: of its page, whatever its size. */
bool rebox_page_entry(int cpu_index, uint64_t pgd, uint64_t address, uint64_t *entry);
bool rebox_same_user_half(CPUX86State *env, uint64_t pgd_a, uint64_t pgd_b);

/* address_space.c: called when a vCPU starts to execute, because CR3 also changes while it does not. */
void rebox_sync_address_space(CPUState *cpu);

/* instrument.c */
extern const rebox_listener *rebox_listening;
extern bool rebox_watched[REBOX_EVENT_COUNT];
extern bool rebox_watched_everywhere[REBOX_EVENT_COUNT];
extern uint64_t rebox_last_subscription;
/* Whether an event of executed code is wanted of a process that is, or is not, monitored. */
static inline bool rebox_wanted(rebox_event event, bool monitored)
{
    return rebox_watched[event] && (monitored || rebox_watched_everywhere[event]);
}
void rebox_instrument_init(void);
/* Chooses between the translations with and without the events of monitored processes. */
void rebox_select_translations(CPUState *cpu, bool monitored);
/* The program counter at which this vCPU must go on, because a callback could not be obeyed at once. */
void rebox_apply_deferred_pc(CPUState *cpu);

/* progress.c: what a vCPU has begun and not ended. */
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
void rebox_finish_at_cr3(int cpu_index);
/*
 * The same for a vCPU that gdb stops, between two instructions. The next one cannot report it: each stop ends in a flush
 * of the translations (gdb_vm_state_change() of 10.0), which forgets what is pending.
 */
void rebox_finish_at_stop(CPUState *cpu);
void rebox_forget_progress(void);
/* Nobody is told of the ends of what this vCPU has begun: its process is not monitored any more. */
void rebox_drop_progress(int cpu_index);

#endif
