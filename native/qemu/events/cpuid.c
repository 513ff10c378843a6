/*
 * CPUID, when its answer is in the registers: a listener may write another one there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/events/events.h"

void rebox_hook_cpuid(CPUX86State *env, uint32_t leaf, uint32_t subleaf, uintptr_t code_pointer)
{
    CPUState *cpu = env_cpu(env);
    rebox_disturbance disturbance;

    if (likely(!rebox_watched[REBOX_CPUID]) || !rebox_on_vcpu_thread() || !rebox_in_guest_code()) {
        return;
    }
    rebox_begin_code_callback(code_pointer);
    rebox_listening->cpuid(rebox_listening->opaque, cpu->cpu_index, leaf, subleaf);
    disturbance = rebox_take_disturbance();
    if (unlikely(disturbance == REBOX_PC_CHANGED)) {
        rebox_leave_code(cpu);
    } else if (unlikely(disturbance != REBOX_UNDISTURBED)) {
        /* The instruction was executed: what else the listener changed holds from the next block. */
        cpu_exit(cpu);
    }
    rebox_end_code_callback();
}
