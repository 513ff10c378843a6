/*
 * The guest's memory and address spaces: the floor above vcpu/.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_GUEST_H
#define REBOX_GUEST_H

#include "rebox/vcpu/vcpu.h"

/* paging.c: the identity of an address space; see rebox_current_pgd(). */
uint64_t rebox_pgd_identity(CPUX86State *env);
/*
 * Learns whether the guest isolates page tables, from a vCPU's change of CR3, as long as nobody who knows the guest has
 * told it. Returns whether the identities of address spaces have changed by that.
 */
bool rebox_learn_isolation(CPUX86State *env, uint64_t old_cr3, uint64_t new_cr3);
/* What rebox_tell_isolation() says. */
void rebox_set_isolation(bool known, uint64_t bits);
/* Returns whether given, as a user has it, stands for the address space with this identity, or for all. */
bool rebox_is_pgd(uint64_t given, uint64_t identity);
/* The entry of the page tables that maps address: of its page, whatever its size. */
bool rebox_page_entry(int cpu_index, uint64_t pgd, uint64_t address, uint64_t *entry);

/* address_space.c: who follows the vCPUs through address spaces. */
typedef struct rebox_space_follower {
    /* A vCPU has written CR3 and enters another address space. Still counted as being in the old one. */
    void (*leave)(CPUState *cpu);
    /* Says whether the address space that a vCPU is in is monitored; also when that is no news. */
    void (*select)(CPUState *cpu, bool monitored);
    /* A vCPU has entered an address space. */
    void (*enter)(CPUState *cpu, uint64_t old_pgd, uint64_t new_pgd);
} rebox_space_follower;

/* There is one follower, for the engine's life. */
void rebox_follow_spaces(const rebox_space_follower *follower);
/* Called when a vCPU is about to execute, because CR3 also changes while it does not. */
void rebox_sync_address_space(CPUState *cpu);

#endif
