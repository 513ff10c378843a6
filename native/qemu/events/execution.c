/*
 * The functions that instrumented blocks and instructions call.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/events/events.h"
#include "exec/exec-all.h"
#include "qemu/plugin.h"
#include "rebox/events/blocks.h"
#include "rebox/events/code_watches.h"
#include "rebox/events/known_blocks.h"
#include "rebox/events/translation.h"
#include "rebox/events/opcode.h"
#include "rebox/events/marks.h"

/* The block that begins right now was left in the callback of its first instruction, which comes next. */
static struct {
    bool active;
    uint64_t eip; /* where: not every instruction has a callback */
    uint64_t reported_to;
} resumed_insn;

/*
 * Leaves the generated code when a listener changed what it was generated for; does not return then. env->eip is the
 * next address to execute, and up to stage its events have been reported; those who have subscribed since then wait
 * for the next ones.
 */
static void leave(CPUState *cpu, rebox_disturbance disturbance, rebox_resumption stage)
{
    CPUX86State *env = cpu_env(cpu);
    uint64_t pc = rebox_linear_pc(env);
    bool monitored = rebox_is_monitored_now(cpu);

    /* Without events there nobody would take the mark. */
    if (disturbance == REBOX_PC_CHANGED || !(rebox_has_insn_events(pc, monitored) ||
                                             (stage == REBOX_RESUME_BLOCK && rebox_has_block_events(pc, monitored)))) {
        stage = REBOX_RESUME_NOTHING;
    }
    rebox_mark_resumption(env, stage, rebox_last_subscription);
    rebox_leave_code(cpu);
}

static inline void leave_if_disturbed(CPUState *cpu, rebox_resumption stage)
{
    rebox_disturbance disturbance = rebox_take_disturbance();

    if (unlikely(disturbance != REBOX_UNDISTURBED)) {
        leave(cpu, disturbance, stage);
    }
}

static inline void report_block(int cpu_index, rebox_block *block, bool monitored)
{
    CPUState *cpu = current_cpu;

    if (rebox_may_be_hooked(true, block->pc)) {
        rebox_call_code_hooks(cpu_index, block, block->pc, rebox_pgd_identity(cpu_env(cpu)));
    }
    if (rebox_wanted(REBOX_BLOCK_END, monitored)) {
        rebox_begin_block(cpu_index, block, monitored);
    }
    if (rebox_wanted(REBOX_BLOCK_BEGIN, monitored)) {
        rebox_reported.monitored = monitored;
        rebox_listening->block_begin(rebox_listening->opaque, cpu_index, block);
    }
    rebox_reported.subscribed_after = 0;
    leave_if_disturbed(cpu, REBOX_RESUME_BLOCK);
}

/* A block that the vCPU left at its start, and comes back to: it is reported only to those who have come since. */
static void resume_block(int cpu_index, rebox_block *block, bool monitored, rebox_resumption stage,
                         uint64_t reported_to)
{
    if (stage == REBOX_RESUME_INSN) {
        resumed_insn.active = true;
        resumed_insn.eip = cpu_env(current_cpu)->eip;
        resumed_insn.reported_to = reported_to;
    }
    if (reported_to != rebox_last_subscription) {
        rebox_reported.subscribed_after = reported_to;
        report_block(cpu_index, block, monitored);
    } else if (rebox_wanted(REBOX_BLOCK_END, monitored)) {
        rebox_begin_block(cpu_index, block, monitored);
    }
}

/* The start of a block: the end of what came before, hooks, then the general event where it is wanted. */
static inline void enter_block(int cpu_index, rebox_block *translated, bool monitored)
{
    CPUState *cpu = current_cpu;
    CPUX86State *env = cpu_env(cpu);
    uint64_t reported_to = 0;
    rebox_resumption stage = rebox_take_resumption(env, env->eip, &reported_to);

    resumed_insn.active = false;
    monitored = monitored && rebox_is_monitored_now(cpu);
    if (unlikely(stage != REBOX_RESUME_NOTHING)) {
        resume_block(cpu_index, rebox_block_at(rebox_linear_pc(env), translated), monitored, stage, reported_to);
        return;
    }
    if (rebox_any_pending(cpu_index)) {
        rebox_finish(cpu_index, rebox_linear_pc(env), true);
        leave_if_disturbed(cpu, REBOX_RESUME_NOTHING);
    }
    report_block(cpu_index, rebox_block_at(rebox_linear_pc(env), translated), monitored);
}

static inline void begin_block(int cpu_index, rebox_block *translated, bool monitored, uintptr_t code_pointer)
{
    rebox_begin_code_callback(code_pointer);
    enter_block(cpu_index, translated, monitored);
    rebox_end_code_callback();
}

void rebox_on_watched_code(unsigned int cpu_index, void *unused)
{
    CPUState *cpu = current_cpu;
    rebox_disturbance disturbance;

    rebox_begin_code_callback(GETPC());
    rebox_report_watched_code(cpu);
    disturbance = rebox_take_disturbance();
    if (unlikely(disturbance == REBOX_PC_CHANGED)) {
        leave(cpu, disturbance, REBOX_RESUME_NOTHING);
    } else if (unlikely(disturbance != REBOX_UNDISTURBED)) {
        /* A mark of where the block is to be resumed stays: it has not been looked at yet. */
        rebox_leave_code(cpu);
    }
    rebox_end_code_callback();
}

void rebox_on_monitored_block(unsigned int cpu_index, void *block)
{
    begin_block(cpu_index, block, true, GETPC());
}

void rebox_on_other_block(unsigned int cpu_index, void *block)
{
    begin_block(cpu_index, block, false, GETPC());
}

/*
 * The same for blocks translated when nothing but their beginnings was wanted: most of what begin_block() looks for
 * cannot be there.
 */
static inline void begin_plain_block(int cpu_index, rebox_block *block, bool monitored, uintptr_t code_pointer)
{
    CPUState *cpu = current_cpu;

    if (unlikely(rebox_resumptions || resumed_insn.active) || unlikely(rebox_any_pending(cpu_index)) ||
        unlikely(rebox_linear_pc(cpu_env(cpu)) != block->pc) || unlikely(monitored && !rebox_is_monitored_now(cpu)) ||
        unlikely(!rebox_watched[REBOX_BLOCK_BEGIN])) {
        begin_block(cpu_index, block, monitored, code_pointer);
        return;
    }
    rebox_begin_code_callback(code_pointer);
    rebox_reported.monitored = monitored;
    rebox_listening->block_begin(rebox_listening->opaque, cpu_index, block);
    leave_if_disturbed(cpu, REBOX_RESUME_BLOCK);
    rebox_end_code_callback();
}

void rebox_on_monitored_plain_block(unsigned int cpu_index, void *block)
{
    begin_plain_block(cpu_index, block, true, GETPC());
}

void rebox_on_other_plain_block(unsigned int cpu_index, void *block)
{
    begin_plain_block(cpu_index, block, false, GETPC());
}

/* Told, it may become known, unless its listener wants to hear of it again; one that was left in its listener is told once more. */
static inline void begin_unknown_block(int cpu_index, rebox_block *block, bool monitored, uintptr_t code_pointer)
{
    uint64_t here = rebox_known_here(cpu_env(current_cpu)), changes = rebox_known_changes;

    rebox_reported.is_known = false;
    begin_plain_block(cpu_index, block, monitored, code_pointer);
    if (rebox_reported.is_known && rebox_known_changes == changes) {
        block->known = here;
    }
}

void rebox_on_monitored_unknown_block(unsigned int cpu_index, void *block)
{
    begin_unknown_block(cpu_index, block, true, GETPC());
}

void rebox_on_other_unknown_block(unsigned int cpu_index, void *block)
{
    begin_unknown_block(cpu_index, block, false, GETPC());
}

/*
 * An instruction within a block: the vCPU's eip is that of the block or of a place between, and the generated code
 * counts on it. A listener gets the exact one; afterwards the old one is put back, or the code is left.
 */
static inline void begin_insn(int cpu_index, void *data, bool monitored, uintptr_t code_pointer)
{
    CPUState *cpu = current_cpu;
    CPUX86State *env = cpu_env(cpu);
    uint64_t generated_eip = env->eip;
    uint64_t pc = (rebox_linear_pc(env) & TARGET_PAGE_MASK) | INSN_OFFSET(data);
    uint64_t eip = pc - rebox_code_base(env);
    uint16_t opcode = INSN_OPCODE(data);
    rebox_disturbance disturbance;
    uint64_t reported_to = 0;

    bool is_resumed = rebox_take_resumption(env, eip, &reported_to) != REBOX_RESUME_NOTHING;

    if (unlikely(resumed_insn.active)) {
        resumed_insn.active = false;
        if (resumed_insn.eip == eip) {
            reported_to = resumed_insn.reported_to;
            is_resumed = true;
        }
    }
    if (unlikely(is_resumed)) {
        if (reported_to == rebox_last_subscription) {
            return;
        }
        rebox_reported.subscribed_after = reported_to;
    }
    monitored = monitored && rebox_is_monitored_now(cpu);
    env->eip = eip;
    rebox_begin_code_callback(code_pointer);
    /* The pending part of a resumed instruction is its own. */
    if (rebox_any_pending(cpu_index) && !is_resumed) {
        rebox_finish(cpu_index, pc, false);
    }
    if (rebox_may_be_hooked(false, pc)) {
        rebox_call_code_hooks(cpu_index, NULL, pc, rebox_pgd_identity(env));
    }
    if (opcode || rebox_wanted(REBOX_INSN_END, monitored)) {
        rebox_begin_insn(cpu_index, pc, monitored);
    }
    if (opcode && !rebox_opcode_interrupts(opcode)) {
        rebox_begin_opcode(opcode, INSN_SIZE(data), cpu_index);
    } else if (opcode && rebox_wanted(REBOX_OPCODE_RANGE, monitored)) {
        rebox_reported.monitored = monitored;
        rebox_reported.insn_size = INSN_SIZE(data);
        rebox_listening->opcode(rebox_listening->opaque, cpu_index, opcode, pc, 0);
    }
    if (rebox_wanted(REBOX_INSN_BEGIN, monitored)) {
        rebox_reported.monitored = monitored;
        rebox_listening->insn_begin(rebox_listening->opaque, cpu_index);
    }
    rebox_reported.subscribed_after = 0;
    disturbance = rebox_take_disturbance();
    if (unlikely(disturbance != REBOX_UNDISTURBED)) {
        rebox_settle_flags(cpu);
        leave(cpu, disturbance, REBOX_RESUME_INSN);
    }
    rebox_end_code_callback();
    env->eip = generated_eip;
}

void rebox_on_held_insn(unsigned int cpu_index, void *data)
{
    CPUState *cpu = current_cpu;
    CPUX86State *env = cpu_env(cpu);

    qemu_plugin_u64_set(qemu_plugin_scoreboard_u64(rebox_held_accesses), cpu_index, 0);
    env->eip = ((rebox_linear_pc(env) & TARGET_PAGE_MASK) | INSN_OFFSET(data)) - rebox_code_base(env);
    rebox_begin_code_callback(GETPC());
    rebox_settle_flags(cpu);
    /* No block begins here: the rest of this one does. */
    leave(cpu, REBOX_STATE_CHANGED, REBOX_RESUME_BLOCK);
}

void rebox_on_monitored_insn(unsigned int cpu_index, void *data)
{
    begin_insn(cpu_index, data, true, GETPC());
}

void rebox_on_other_insn(unsigned int cpu_index, void *data)
{
    begin_insn(cpu_index, data, false, GETPC());
}
