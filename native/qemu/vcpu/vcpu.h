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
/* While it is set, a reset of the machine is the first step of loading a state of it, and not reported. */
void rebox_set_restoring(bool on);
void rebox_enter_floors(CPUState *cpu);
void rebox_stop_floors(CPUState *cpu);

/* vcpu.c */
bool rebox_on_vcpu_thread(void);
/* Whether the calling vCPU thread is inside generated code, so that registers were written under its feet. */
bool rebox_in_guest_code(void);
/* From generated code: executes nothing behind the present instruction until rebox_start_executing(). */
void rebox_stop_executing(void);
void rebox_start_executing(void);
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
/* Whether rebox_settle_flags() has made the flags whole in this callback; they may have been written since. */
extern bool rebox_has_settled;
/* Notes that the code the vCPU executes is not what is wanted any more; nothing when it executes none. */
void rebox_disturb(CPUState *cpu, rebox_disturbance what);
/*
 * Within a block the flags are kept in parts that only the generated code knows; this makes them whole. The block may go
 * on afterwards.
 */
void rebox_settle_flags(CPUState *cpu);

/* instructions.c */
/* Where in the generated code the vCPU is, while a callback of a block runs; 0 otherwise. */
extern uintptr_t rebox_code_pointer;
/* Says that a callback of a block begins, and where in the generated code; ended by rebox_end_code_callback(). */
static inline void rebox_begin_code_callback(uintptr_t code_pointer)
{
    rebox_code_pointer = code_pointer;
    rebox_has_settled = false;
}
static inline void rebox_end_code_callback(void)
{
    rebox_code_pointer = 0;
}
/* Leaves the block that a callback was called by, before the instruction that the callback is about. */
G_NORETURN void rebox_leave_code(CPUState *cpu);

/*
 * While it is open, devices may read the guest's clock in a callback, and see it as it is there: QEMU ends where the clock
 * is read within a block (icount_get_raw_locked()).
 */
typedef struct rebox_clock_access {
    CPUState *cpu;
    uint16_t rest;
    bool could_do_io;
} rebox_clock_access;
rebox_clock_access rebox_open_clock(void);
void rebox_close_clock(rebox_clock_access access);

/* recording.c, recording_checks.c */
/* Whether the machine is recorded or replayed: nothing but what the log has may change it. */
bool rebox_is_recorded(void);
/* Once, when the machine is built and QEMU's locks are held: takes over the log. */
void rebox_recording_begin(void);
/* At each turn of the vCPUs, with the lock of the log. */
void rebox_recording_turn(void);
/* When QEMU has cleaned up. */
void rebox_recording_end(void);
/* At each delivered interrupt or exception: notes, or compares, where the vCPU is. */
void rebox_check_recording(CPUX86State *env);

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
