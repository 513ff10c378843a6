/*
 * The address space that each vCPU runs in, and which address spaces are monitored.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/guest/guest.h"
#include "exec/exec-all.h"

static uint64_t current_pgd[REBOX_MAX_CPUS];
static GHashTable *monitored; /* pgd -> count */
static unsigned int monitor_all;
static const rebox_space_follower *follower;

void rebox_follow_spaces(const rebox_space_follower *given)
{
    follower = given;
}

static bool is_monitored(uint64_t pgd)
{
    return monitor_all || (monitored && g_hash_table_contains(monitored, &pgd));
}

/* Has a vCPU execute with the events of monitored processes, or without. */
static void select_translations(CPUState *cpu)
{
    follower->select(cpu, is_monitored(current_pgd[cpu->cpu_index]));
}

static void refresh_all(void)
{
    CPUState *cpu;

    CPU_FOREACH(cpu) {
        select_translations(cpu);
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
        g_hash_table_replace(monitored, g_memdup2(&pgd, sizeof(pgd)), GUINT_TO_POINTER(GPOINTER_TO_UINT(count) + 1));
    }
    refresh_all();
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
    refresh_all();
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
    bool same_process;

    if (old == new) {
        return;
    }
    same_process = !rebox_kpti() && (old ^ new) == REBOX_CR3_KPTI_USER_BIT && rebox_same_user_half(env, old, new);
    if (same_process) {
        /* Two tables, one process: from now on they have one identity, which the change just seen does not alter. */
        rebox_set_kpti();
        new = rebox_pgd_identity(env);
    }
    current_pgd[cpu->cpu_index] = new;
    select_translations(cpu);
    if (!same_process) {
        follower->enter(cpu, old, new);
    }
}

void rebox_hook_cr3(CPUX86State *env)
{
    CPUState *cpu = env_cpu(env);

    /* gdb's and the monitor's writes come from QEMU's main loop: they are noticed when the vCPU continues. */
    if (!rebox_on_vcpu_thread() || !rebox_in_guest_code() || cpu != current_cpu) {
        return;
    }
    if (current_pgd[cpu->cpu_index] != rebox_pgd_identity(env)) {
        follower->leave(cpu);
    }
    enter_address_space(cpu, env);
    if (rebox_take_disturbance() == REBOX_PC_CHANGED) {
        cpu_loop_exit_noexc(cpu);
    }
}

void rebox_sync_address_space(CPUState *cpu)
{
    enter_address_space(cpu, cpu_env(cpu));
    select_translations(cpu);
    /* The vCPU has not entered generated code: anything a listener wrote is simply there. */
    rebox_take_disturbance();
}
