/*
 * Page tables read from outside: translation for any address space, and the identity of one.
 *
 * Formats: Intel SDM volume 3, chapter 4 (32-bit, PAE, 4-level and 5-level paging). The tables are the guest's and may
 * be anything: every walk is bounded by the number of levels.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/guest/guest.h"

#define ENTRY_ADDRESS_MASK 0x000ffffffffff000ULL
#define USER_HALF_ENTRIES 256

/*
 * The bit of CR3 by which Linux distinguishes the two page tables of one process (PTI_USER_PGTABLE_BIT in
 * arch/x86/include/asm/pgtable.h). Other systems isolate page tables too, but not by a bit.
 */
#define LINUX_USER_TABLES_BIT 0x1000ULL

/* The bits of CR3, beside those that the processor ignores, that do not distinguish processes. */
static uint64_t isolation_bits;
static bool isolation_is_told;    /* by somebody who knows the guest */
static bool isolation_is_refuted; /* the guest does what Linux never does */

static bool is_pae(CPUX86State *env)
{
    return (env->cr[4] & CR4_PAE_MASK) != 0;
}

static bool is_long_mode(CPUX86State *env)
{
    return (env->hflags & HF_LMA_MASK) != 0;
}

static uint64_t identity_of(CPUX86State *env, uint64_t cr3)
{
    if (is_long_mode(env)) {
        /* Bits 0-11: PCID or cache control. Bits 52-63: LAM and the "no flush" bit. */
        return cr3 & ENTRY_ADDRESS_MASK & ~isolation_bits;
    }
    return cr3 & (is_pae(env) ? 0xffffffe0ULL : 0xfffff000ULL);
}

uint64_t rebox_pgd_identity(CPUX86State *env)
{
    return identity_of(env, env->cr[3]);
}

uint64_t rebox_normal_pgd(uint64_t pgd)
{
    CPUState *cpu = current_cpu ? current_cpu : first_cpu;

    return pgd == REBOX_ALL_PROCESSES || !cpu ? pgd : identity_of(cpu_env(cpu), pgd);
}

bool rebox_is_pgd(uint64_t given, uint64_t identity)
{
    return given == identity || given == REBOX_ALL_PROCESSES || rebox_normal_pgd(given) == identity;
}

static bool read_entry(uint64_t address, int size, uint64_t *entry)
{
    uint64_t fault;

    *entry = 0;
    return rebox_read_physical(address, entry, size, &fault) == REBOX_MEMORY_OK;
}

/* Finds the entry for address in the table at table, with 2^index_bits entries; false when it is not present. */
static bool step(uint64_t table, uint64_t address, int shift, int index_bits, int entry_size, uint64_t *entry)
{
    uint64_t index = (address >> shift) & ((1ULL << index_bits) - 1);

    return read_entry(table + index * entry_size, entry_size, entry) && (*entry & PG_PRESENT_MASK);
}

/* One page as the tables map it. */
typedef struct mapping {
    uint64_t entry;
    uint64_t frame; /* guest-physical */
    uint64_t size;  /* in bytes */
} mapping;

static bool finish(mapping *page, uint64_t entry, uint64_t frame, uint64_t size)
{
    *page = (mapping){ .entry = entry, .frame = frame & ~(size - 1), .size = size };
    return true;
}

static bool walk_long(CPUX86State *env, uint64_t pgd, uint64_t address, mapping *page)
{
    int levels = (env->cr[4] & CR4_LA57_MASK) ? 5 : 4;
    int canonical_bits = levels == 5 ? 57 : 48;
    uint64_t table = identity_of(env, pgd);
    int64_t extension = (int64_t)address >> (canonical_bits - 1);

    if (extension != 0 && extension != -1) {
        return false;
    }
    for (int level = levels; level >= 1; level--) {
        int shift = 12 + 9 * (level - 1);
        uint64_t entry;

        if (!step(table, address, shift, 9, 8, &entry)) {
            return false;
        }
        if (level == 1 || ((level == 2 || level == 3) && (entry & PG_PSE_MASK))) {
            return finish(page, entry, entry & ENTRY_ADDRESS_MASK, 1ULL << shift);
        }
        table = entry & ENTRY_ADDRESS_MASK;
    }
    return false;
}

static bool walk_pae(uint64_t pgd, uint64_t address, mapping *page)
{
    uint64_t entry;

    if (!step(pgd & 0xffffffe0ULL, address, 30, 2, 8, &entry) ||
        !step(entry & ENTRY_ADDRESS_MASK, address, 21, 9, 8, &entry)) {
        return false;
    }
    if (entry & PG_PSE_MASK) {
        return finish(page, entry, entry & ENTRY_ADDRESS_MASK, 1ULL << 21);
    }
    return step(entry & ENTRY_ADDRESS_MASK, address, 12, 9, 8, &entry) &&
           finish(page, entry, entry & ENTRY_ADDRESS_MASK, 1ULL << 12);
}

static bool walk_32bit(CPUX86State *env, uint64_t pgd, uint64_t address, mapping *page)
{
    uint64_t entry;

    if (!step(pgd & 0xfffff000ULL, address, 22, 10, 4, &entry)) {
        return false;
    }
    if ((entry & PG_PSE_MASK) && (env->cr[4] & CR4_PSE_MASK)) {
        /* PSE-36: bits 13-20 of the entry are bits 32-39 of the frame. */
        return finish(page, entry, (entry & 0xffc00000ULL) | ((entry & 0x1fe000ULL) << 19), 1ULL << 22);
    }
    return step(entry & 0xfffff000ULL, address, 12, 10, 4, &entry) &&
           finish(page, entry, entry & 0xfffff000ULL, 1ULL << 12);
}

static bool walk(int cpu_index, uint64_t pgd, uint64_t address, mapping *page)
{
    CPUState *cpu = rebox_find_cpu(cpu_index);
    CPUX86State *env;

    if (!cpu) {
        return false;
    }
    env = cpu_env(cpu);
    if (is_long_mode(env)) {
        return walk_long(env, pgd, address, page);
    }
    if (address >> 32) {
        return false;
    }
    if (!(env->cr[0] & CR0_PG_MASK)) {
        return finish(page, 0, address, TARGET_PAGE_SIZE);
    }
    return is_pae(env) ? walk_pae(pgd, address, page) : walk_32bit(env, pgd, address, page);
}

bool rebox_translate(int cpu_index, uint64_t pgd, uint64_t address, uint64_t *physical, uint64_t *page_size)
{
    mapping page;

    if (!walk(cpu_index, pgd, address, &page)) {
        return false;
    }
    *page_size = page.size;
    *physical = page.frame | (address & (page.size - 1));
    return true;
}

bool rebox_page_entry(int cpu_index, uint64_t pgd, uint64_t address, uint64_t *entry)
{
    mapping page;

    if (!walk(cpu_index, pgd, address, &page)) {
        return false;
    }
    *entry = page.entry;
    return true;
}

/*
 * Returns whether two page tables map the same below the kernel's half, as the two of one process do, and two processes
 * whose tables happen to lie side by side do not. Linux's kernel copy has the user half of the user copy with NX added to
 * each entry (arch/x86/mm/pti.c, __pti_set_user_pgtbl).
 */
static bool have_same_user_half(uint64_t pgd_a, uint64_t pgd_b)
{
    const uint64_t ignored = PG_NX_MASK | PG_ACCESSED_MASK | PG_DIRTY_MASK;
    uint64_t a[USER_HALF_ENTRIES], b[USER_HALF_ENTRIES], fault;
    bool any = false;

    if (rebox_read_physical(pgd_a, a, sizeof(a), &fault) != REBOX_MEMORY_OK ||
        rebox_read_physical(pgd_b, b, sizeof(b), &fault) != REBOX_MEMORY_OK) {
        return false;
    }
    for (int i = 0; i < USER_HALF_ENTRIES; i++) {
        if ((a[i] ^ b[i]) & ~ignored) {
            return false;
        }
        any |= a[i] != 0;
    }
    return any;
}

bool rebox_learn_isolation(CPUX86State *env, uint64_t old_cr3, uint64_t new_cr3)
{
    uint64_t old = old_cr3 & ENTRY_ADDRESS_MASK;
    uint64_t new = new_cr3 &ENTRY_ADDRESS_MASK;

    if (isolation_is_told || isolation_is_refuted || old == new || !is_long_mode(env)) {
        return false;
    }
    if (isolation_bits) {
        /* Linux switches processes in the kernel alone: from user tables it always gets to the kernel's. */
        isolation_is_refuted = old & new &LINUX_USER_TABLES_BIT;
        isolation_bits = isolation_is_refuted ? 0 : isolation_bits;
        return isolation_is_refuted;
    }
    if ((old ^ new) == LINUX_USER_TABLES_BIT && have_same_user_half(old, new)) {
        isolation_bits = LINUX_USER_TABLES_BIT;
    }
    return isolation_bits != 0;
}

void rebox_set_isolation(bool known, uint64_t bits)
{
    isolation_is_told = known;
    isolation_is_refuted = false;
    isolation_bits = known ? bits & ENTRY_ADDRESS_MASK : 0;
}
