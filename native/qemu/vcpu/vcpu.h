/*
 * The lowest floor: the engine's life, its vCPUs and their registers. Needs QEMU's headers.
 *
 * The floors above register what is to be done for them (rebox_floor); nothing here calls them by name.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_VCPU_H
#define REBOX_VCPU_H

#include "qemu/osdep.h"
#include "cpu.h"
#include "hw/core/cpu.h"
#include "rebox/hooks.h"
#include "rebox/qemu_glue.h"

/* More vCPUs than QEMU's pc machines take (255 with the default interrupt controller, 4096 at most). */
#define REBOX_MAX_CPUS 4096

/* engine.c: the part that a floor above takes in the engine's life. NULL: none. */
typedef struct rebox_floor {
    /* Once, on the vCPU thread: QEMU is initialised, and no guest instruction has run. */
    void (*start)(void);
    /* QEMU's main-loop thread: the machine was reset. */
    void (*reset)(void);
    /* QEMU's main-loop thread: QEMU is about to clean up. */
    void (*close)(void);
    /* A vCPU is about to execute generated code; its registers may be others than when it last did. */
    void (*enter)(CPUState *cpu);
    /* gdb stops a vCPU between two instructions. */
    void (*stop)(CPUState *cpu);
} rebox_floor;

/* Adds a floor to those that are called, in the order in which they were added. floor must stay where it is. */
void rebox_add_floor(const rebox_floor *floor);
/* Has a floor added when the library is loaded. */
#define REBOX_FLOOR(floor) \
    static void __attribute__((constructor)) add_##floor(void) \
    { \
        rebox_add_floor(&floor); \
    }

extern rebox_engine_events rebox_events;
bool rebox_engine_has_ended(void);
void rebox_enter_floors(CPUState *cpu);
void rebox_stop_floors(CPUState *cpu);

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
    REBOX_STATE_CHANGED, /* control state: the block must be looked up again */
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
 * Where in the generated code the vCPU is, while a callback runs within a block; 0 otherwise. Within a block the
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

#endif
