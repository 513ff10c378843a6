/*
 * The count of executed instructions, which -icount makes the guest's clock of.
 *
 * Generated code charges all instructions of a block when the block begins. In the middle of one, or when it is left, those
 * that were not executed have to be taken off again: QEMU does so where it restores a vCPU's state for an exception
 * (cpu_restore_state_from_tb() of accel/tcg/translate-all.c), and this file where a listener looks or leaves.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/vcpu/vcpu.h"
#include "exec/exec-all.h"
#include "qemu/seqlock.h"
#include "system/cpu-timers.h"
#include "system/cpu-timers-internal.h"

uintptr_t rebox_code_pointer;

/* Takes off what the block has charged and not executed, and tells how much. The vCPU's registers stay as they are. */
static uint16_t take_off_rest(CPUState *cpu)
{
    CPUX86State *env = cpu_env(cpu);
    uint64_t eip = env->eip;
    uint32_t cc_op = env->cc_op;
    uint16_t before = cpu->neg.icount_decr.u16.low;

    if (!rebox_code_pointer || !icount_enabled()) {
        return 0;
    }
    cpu_restore_state(cpu, rebox_code_pointer);
    env->eip = eip;
    env->cc_op = cc_op;
    return cpu->neg.icount_decr.u16.low - before;
}

void rebox_leave_code(CPUState *cpu)
{
    take_off_rest(cpu);
    rebox_code_pointer = 0;
    cpu_loop_exit_noexc(cpu);
}

bool rebox_counts_instructions(void)
{
    return icount_enabled();
}

uint64_t rebox_instruction_count(void)
{
    CPUState *cpu = current_cpu;
    uint64_t count = qatomic_read_i64(&timers_state.qemu_icount);
    uint16_t rest;

    if (!cpu || !rebox_in_guest_code()) {
        return count;
    }
    rest = take_off_rest(cpu);
    count += cpu->icount_budget - (cpu->neg.icount_decr.u16.low + cpu->icount_extra);
    cpu->neg.icount_decr.u16.low -= rest;
    return count;
}

rebox_clock_access rebox_open_clock(void)
{
    CPUState *cpu = rebox_in_guest_code() ? current_cpu : NULL;
    rebox_clock_access access = { .cpu = cpu };

    if (cpu) {
        access.rest = take_off_rest(cpu);
        access.could_do_io = cpu->neg.can_do_io;
        cpu->neg.can_do_io = true;
    }
    return access;
}

void rebox_close_clock(rebox_clock_access access)
{
    if (access.cpu) {
        access.cpu->neg.can_do_io = access.could_do_io;
        access.cpu->neg.icount_decr.u16.low -= access.rest;
    }
}
