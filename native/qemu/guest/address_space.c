/*
 * The address space that each vCPU runs in, and which address spaces are monitored.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/guest/guest.h"
#include "exec/exec-all.h"

static uint64_t current_pgd[REBOX_MAX_CPUS];
static uint64_t last_cr3[REBOX_MAX_CPUS];
static GHashTable *monitored; /* pgd as it was given -> count */
static unsigned int monitor_all;
static const rebox_space_follower *follower;

void rebox_follow_spaces(const rebox_space_follower *given)
{
    follower = given;
}

/*
 * Finds the entry of an address space, whichever of the values of CR3 that stand for it was given. What is the same address
 * space may be learnt later, so the values are compared each time; few are ever monitored.
 */
static const uint64_t *find_monitored(uint64_t pgd)
{
    uint64_t identity = rebox_normal_pgd(pgd);
    GHashTableIter entries;
    gpointer given;

    if (!monitored) {
        return NULL;
    }
    g_hash_table_iter_init(&entries, monitored);
    while (g_hash_table_iter_next(&entries, &given, NULL)) {
        if (rebox_is_pgd(*(uint64_t *)given, identity)) {
            return given;
        }
    }
    return NULL;
}

static bool is_monitored(uint64_t pgd)
{
    return monitor_all || (monitored && g_hash_table_contains(monitored, &pgd)) || find_monitored(pgd);
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
        const uint64_t *known = find_monitored(pgd);
        gpointer count;

        if (!monitored) {
            monitored = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
        }
        pgd = known ? *known : pgd;
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
        const uint64_t *known = find_monitored(pgd);
        unsigned int count;

        if (!known) {
            return false;
        }
        pgd = *known;
        count = GPOINTER_TO_UINT(g_hash_table_lookup(monitored, &pgd));
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

/* Says anew in which address spaces the vCPUs are, after what distinguishes these has changed. */
static void renew_identities(void)
{
    CPUState *cpu;

    CPU_FOREACH(cpu) {
        current_pgd[cpu->cpu_index] = rebox_normal_pgd(last_cr3[cpu->cpu_index]);
    }
    refresh_all();
}

void rebox_tell_isolation(bool known, uint64_t bits)
{
    rebox_set_isolation(known, bits);
    renew_identities();
}

static void enter_address_space(CPUState *cpu, CPUX86State *env)
{
    uint64_t old, new;

    /* Two tables of one process have one identity from now on, so the change that shows them is none. */
    if (rebox_learn_isolation(env, last_cr3[cpu->cpu_index], env->cr[3])) {
        renew_identities();
    }
    old = current_pgd[cpu->cpu_index];
    new = rebox_pgd_identity(env);
    last_cr3[cpu->cpu_index] = env->cr[3];
    if (old == new) {
        return;
    }
    current_pgd[cpu->cpu_index] = new;
    select_translations(cpu);
    follower->enter(cpu, old, new);
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
        /* What writes CR3 ends its block, so all that the block has counted was executed: nothing is to be given back. */
        cpu_loop_exit_noexc(cpu);
    }
}

void rebox_sync_address_space(CPUState *cpu)
{
    /* A debugger or a snapshot has written CR3: nothing can be learnt from that. */
    last_cr3[cpu->cpu_index] = cpu_env(cpu)->cr[3];
    enter_address_space(cpu, cpu_env(cpu));
    select_translations(cpu);
    /* The vCPU has not entered generated code: anything a listener wrote is simply there. */
    rebox_take_disturbance();
}
