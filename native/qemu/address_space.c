/*
 * Which address space each vCPU runs in, and which of them are monitored.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/machine.h"
#include "exec/exec-all.h"

static uint64_t current_pgd[REBOX_MAX_CPUS];
static GHashTable *monitored;    /* pgd -> count */
static unsigned int monitor_all;

static bool is_monitored(uint64_t pgd)
{
    return monitor_all || (monitored && g_hash_table_contains(monitored, &pgd));
}

static void refresh_flags(void)
{
    CPUState *cpu;

    CPU_FOREACH(cpu) {
        rebox_select_translations(cpu, is_monitored(current_pgd[cpu->cpu_index]));
    }
}

uint64_t rebox_current_pgd(int cpu_index)
{
    CPUState *cpu = rebox_find_cpu(cpu_index);

    return cpu ? rebox_pgd_identity(cpu_env(cpu)) : 0;
}

const uint64_t *rebox_current_pgds(void)
{
    return current_pgd;
}

void rebox_monitor(uint64_t pgd)
{
    if (pgd == REBOX_ALL_PROCESSES) {
        monitor_all++;
    } else {
        gpointer count;

        if (!monitored) {
            monitored = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
        }
        count = g_hash_table_lookup(monitored, &pgd);
        g_hash_table_replace(monitored, g_memdup2(&pgd, sizeof(pgd)),
                             GUINT_TO_POINTER(GPOINTER_TO_UINT(count) + 1));
    }
    refresh_flags();
}

bool rebox_unmonitor(uint64_t pgd, bool force)
{
    if (pgd == REBOX_ALL_PROCESSES) {
        if (!monitor_all) {
            return false;
        }
        monitor_all = force ? 0 : monitor_all - 1;
    } else {
        unsigned int count = monitored ? GPOINTER_TO_UINT(g_hash_table_lookup(monitored, &pgd)) : 0;

        if (!count) {
            return false;
        }
        if (force || count == 1) {
            g_hash_table_remove(monitored, &pgd);
        } else {
            g_hash_table_replace(monitored, g_memdup2(&pgd, sizeof(pgd)), GUINT_TO_POINTER(count - 1));
        }
    }
    refresh_flags();
    return true;
}

bool rebox_is_monitored(uint64_t pgd)
{
    return pgd == REBOX_ALL_PROCESSES ? monitor_all != 0 : is_monitored(pgd);
}

static void enter_address_space(CPUState *cpu, CPUX86State *env)
{
    uint64_t old = current_pgd[cpu->cpu_index];
    uint64_t new = rebox_pgd_identity(env);

    if (old == new) {
        return;
    }
    if (!rebox_kpti() && (old ^ new) == 0x1000 && rebox_same_user_half(env, old, new)) {
        /* Two tables, one process: from now on they have one identity, which the change just seen does not alter. */
        rebox_set_kpti();
        new = rebox_pgd_identity(env);
        current_pgd[cpu->cpu_index] = new;
        rebox_select_translations(cpu, is_monitored(new));
        return;
    }
    current_pgd[cpu->cpu_index] = new;
    rebox_select_translations(cpu, is_monitored(new));
    if (rebox_watched[REBOX_CONTEXT_CHANGE]) {
        rebox_listening->context_change(rebox_listening->opaque, cpu->cpu_index, old, new);
    }
}

void rebox_hook_cr3(CPUX86State *env)
{
    CPUState *cpu = env_cpu(env);

    /* gdb's and the monitor's writes come from QEMU's main loop: they are noticed when the vCPU goes on. */
    if (!rebox_on_vcpu_thread() || !rebox_in_guest_code() || cpu != current_cpu) {
        return;
    }
    if (rebox_any_pending(cpu->cpu_index) && current_pgd[cpu->cpu_index] != rebox_pgd_identity(env)) {
        /* The next block may be one of a process that is not monitored, where nobody would report the end. */
        rebox_finish_at_cr3(cpu->cpu_index);
    }
    enter_address_space(cpu, env);
    if (rebox_take_disturbance() == REBOX_PC_CHANGED) {
        cpu_loop_exit_noexc(cpu);
    }
}

void rebox_sync_address_space(CPUState *cpu)
{
    enter_address_space(cpu, cpu_env(cpu));
    rebox_select_translations(cpu, is_monitored(current_pgd[cpu->cpu_index]));
    /* The vCPU has not entered generated code: whatever a listener wrote is simply there. */
    rebox_take_disturbance();
}
