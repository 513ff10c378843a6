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
rebox_disturbance rebox_take_disturbance(void);

/* paging.c: the identity of an address space; see rebox_current_pgd(). */
uint64_t rebox_pgd_identity(CPUX86State *env);
/* Says that the guest isolates page tables, so that bit 12 of CR3 does not tell processes apart. */
void rebox_set_kpti(void);
bool rebox_kpti(void);
bool rebox_same_user_half(CPUX86State *env, uint64_t pgd_a, uint64_t pgd_b);

/* address_space.c: called when a vCPU starts to execute, because CR3 also changes while it does not. */
void rebox_sync_address_space(CPUState *cpu);
bool rebox_any_monitored(void);
/* blocks.c: the inline flag that generated code tests. */
void rebox_set_monitored_flag(int cpu_index, bool monitored);
void rebox_blocks_init(void);

#endif
