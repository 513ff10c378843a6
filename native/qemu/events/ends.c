/*
 * The ends of blocks and instructions.
 *
 * An end is reported when the next one begins: only then is it known that the end was reached, and where it led. An
 * exception in between is noted: the instruction was not completed. A hardware interrupt does not belong to the code it
 * interrupts: the end is reported before it is delivered, with the registers of the interrupted program.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/events/events.h"
#include "qemu/main-loop.h"

typedef struct vcpu_progress {
    rebox_block *block;
    uint64_t insn_pc;
    uint64_t fault_pc;
    uint16_t opcode;
    uint8_t insn_size; /* of the opcode's instruction */
    bool insn, has_opcode;
    bool block_monitored, insn_monitored;
    bool faulted;
} vcpu_progress;

static vcpu_progress progress[REBOX_MAX_CPUS];

/* Whether anything of progress is pending: asked for every block and instruction. */
bool rebox_pending[REBOX_MAX_CPUS];

void rebox_begin_block(int cpu_index, rebox_block *block, bool monitored)
{
    rebox_pending[cpu_index] = true;
    progress[cpu_index].block = block;
    progress[cpu_index].block_monitored = monitored;
}

void rebox_begin_insn(int cpu_index, uint64_t pc, bool monitored)
{
    rebox_pending[cpu_index] = true;
    progress[cpu_index].insn = true;
    progress[cpu_index].insn_pc = pc;
    progress[cpu_index].insn_monitored = monitored;
}

void rebox_begin_opcode(uint16_t opcode, uint8_t insn_size, int cpu_index)
{
    rebox_pending[cpu_index] = true;
    progress[cpu_index].has_opcode = true;
    progress[cpu_index].opcode = opcode;
    progress[cpu_index].insn_size = insn_size;
}

/* OPCODE_RANGE_CB has no next address (docs/callbacks) for returns and for instructions that enter or leave the kernel. */
static bool has_next_pc(uint16_t opcode)
{
    switch (opcode) {
    /* clang-format off */
    case 0xc2: case 0xc3: case 0xca: case 0xcb: case 0xcf:     /* ret, retf, iret */
    case 0xcc: case 0xcd: case 0xce: case 0xf1:                /* int3, int, into, int1 */
    case 0x0f05: case 0x0f07: case 0x0f34: case 0x0f35:        /* syscall, sysret, sysenter, sysexit */
        /* clang-format on */
        return false;
    default:
        return true;
    }
}

void rebox_finish(int cpu_index, uint64_t next_pc, bool is_block)
{
    vcpu_progress *mine = &progress[cpu_index];
    vcpu_progress done = *mine;

    /* Cleared first: a listener may begin something new. */
    mine->insn = mine->has_opcode = mine->faulted = false;
    if (is_block) {
        mine->block = NULL;
    }
    rebox_pending[cpu_index] = mine->block != NULL;
    if (done.has_opcode && !done.faulted && rebox_wanted(REBOX_OPCODE_RANGE, done.insn_monitored)) {
        rebox_reported = (rebox_event_facts){ .monitored = done.insn_monitored, .insn_size = done.insn_size };
        rebox_listening->opcode(rebox_listening->opaque, cpu_index, done.opcode, done.insn_pc,
                                has_next_pc(done.opcode) ? next_pc : 0);
    }
    if (done.insn && !done.faulted && rebox_wanted(REBOX_INSN_END, done.insn_monitored)) {
        rebox_reported.monitored = done.insn_monitored;
        rebox_listening->insn_end(rebox_listening->opaque, cpu_index);
    }
    if (is_block && done.block && rebox_wanted(REBOX_BLOCK_END, done.block_monitored)) {
        rebox_reported.monitored = done.block_monitored;
        rebox_listening->block_end(rebox_listening->opaque, cpu_index, done.block,
                                   done.faulted ? done.fault_pc : done.block->pc + done.block->last, next_pc);
    }
}

void rebox_finish_at_cr3(CPUState *cpu)
{
    int cpu_index = cpu->cpu_index;
    vcpu_progress *mine = &progress[cpu_index];

    if (mine->block) {
        rebox_finish(cpu_index, mine->block->pc + mine->block->size, true);
    } else {
        /* MOV CR3 is three bytes: 0F 22 and its operand. */
        rebox_finish(cpu_index, mine->insn_pc + 3, false);
    }
}

void rebox_finish_at_stop(CPUState *cpu)
{
    if (rebox_any_pending(cpu->cpu_index)) {
        rebox_finish(cpu->cpu_index, rebox_linear_pc(cpu_env(cpu)), true);
        /* The vCPU has left generated code: anything a listener wrote is simply there. */
        rebox_take_disturbance();
    }
}

void rebox_hook_interrupt(CPUX86State *env, int is_int, int is_hw)
{
    int cpu_index = env_cpu(env)->cpu_index;
    vcpu_progress *mine = &progress[cpu_index];

    rebox_check_recording(env);
    if (!rebox_any_pending(cpu_index)) {
        return;
    }
    if (is_hw) {
        /* Delivered between blocks and with the lock, which listeners are called without. */
        bool locked = bql_locked();

        if (locked) {
            bql_unlock();
        }
        rebox_finish_at_stop(env_cpu(env));
        if (locked) {
            bql_lock();
        }
    } else if (!is_int && !mine->faulted) {
        mine->faulted = true;
        mine->fault_pc = rebox_linear_pc(env);
    }
}

void rebox_drop_progress(int cpu_index)
{
    memset(&progress[cpu_index], 0, sizeof(progress[cpu_index]));
    rebox_pending[cpu_index] = false;
}

void rebox_forget_progress(void)
{
    memset(progress, 0, sizeof(progress));
    memset(rebox_pending, 0, sizeof(rebox_pending));
}
