/*
 * Memory accesses of instrumented instructions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/events/events.h"
#include "exec/exec-all.h"
#include "qemu/plugin.h"
#include "rebox/events/translation.h"

static bool physical_wanted;
/* For reads and for writes. */
static rebox_access_sieve sieves[2];

/* The program counters of vCPUs that could not go there in the middle of an instruction. */
static struct {
    bool pending;
    uint64_t pc;
} deferred_pcs[REBOX_MAX_CPUS];

struct qemu_plugin_scoreboard *rebox_held_accesses;

void rebox_accesses_init(void)
{
    rebox_held_accesses = qemu_plugin_scoreboard_new(sizeof(uint64_t));
}

static void note_disturbance(CPUState *cpu, rebox_disturbance disturbance)
{
    /* The instruction is half done: it is completed, and its block, before the vCPU goes elsewhere. */
    if (disturbance == REBOX_PC_CHANGED) {
        deferred_pcs[cpu->cpu_index].pending = true;
        deferred_pcs[cpu->cpu_index].pc = cpu_env(cpu)->eip;
    }
    if (rebox_is_held()) {
        qemu_plugin_u64_set(qemu_plugin_scoreboard_u64(rebox_held_accesses), cpu->cpu_index, 1);
    }
    cpu_exit(cpu);
}

static inline void read_value(CPUState *cpu, rebox_access *access)
{
    access->data[0] = cpu->neg.plugin_mem_value_low;
    if (access->size == 16) {
        access->data[1] = cpu->neg.plugin_mem_value_high;
    } else if (access->size < 8) {
        access->data[0] &= (1ULL << (access->size * 8)) - 1;
    }
}

static inline void report_access(int cpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *data, bool monitored,
                                 uintptr_t code_pointer)
{
    CPUState *cpu = current_cpu;
    CPUX86State *env = cpu_env(cpu);
    bool is_write = get_plugin_meminfo_rw(info) & QEMU_PLUGIN_MEM_W;
    rebox_access access = { .vaddr = vaddr, .size = 1u << (get_memop(info) & MO_SIZE) };
    rebox_disturbance disturbance;
    uint64_t generated_eip = env->eip;
    uint64_t code = (rebox_linear_pc(env) & TARGET_PAGE_MASK) | INSN_OFFSET(data);

    read_value(cpu, &access);
    if (sieves[is_write] && !sieves[is_write](code, vaddr, access.size, access.data[0], access.data[1])) {
        return;
    }
    if (!rebox_wanted(is_write ? REBOX_MEM_WRITE : REBOX_MEM_READ, monitored && rebox_is_monitored_now(cpu))) {
        return;
    }
    if (physical_wanted) {
        struct qemu_plugin_hwaddr *physical = qemu_plugin_get_hwaddr(info, vaddr);

        if (physical) {
            access.paddr = qemu_plugin_hwaddr_phys_addr(physical);
            access.is_mmio = qemu_plugin_hwaddr_is_io(physical);
        }
    }
    env->eip = code - rebox_code_base(env);
    rebox_begin_code_callback(code_pointer);
    rebox_reported.monitored = monitored;
    rebox_listening->access(rebox_listening->opaque, cpu_index, is_write, &access);
    disturbance = rebox_take_disturbance();
    if (unlikely(disturbance != REBOX_UNDISTURBED)) {
        note_disturbance(cpu, disturbance);
    }
    rebox_end_code_callback();
    env->eip = generated_eip;
}

void rebox_on_monitored_access(unsigned int cpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *data)
{
    report_access(cpu_index, info, vaddr, data, true, GETPC());
}

void rebox_on_other_access(unsigned int cpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *data)
{
    report_access(cpu_index, info, vaddr, data, false, GETPC());
}

void rebox_apply_deferred_pc(CPUState *cpu)
{
    if (unlikely(deferred_pcs[cpu->cpu_index].pending)) {
        deferred_pcs[cpu->cpu_index].pending = false;
        cpu_env(cpu)->eip = deferred_pcs[cpu->cpu_index].pc;
    }
}

void rebox_want_physical(bool on)
{
    physical_wanted = on;
}

void rebox_sieve_accesses(bool is_write, rebox_access_sieve sieve)
{
    sieves[is_write] = sieve;
}
