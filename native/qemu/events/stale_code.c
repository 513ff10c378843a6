/*
 * Translations become stale when a hook comes to their page, or goes: only the blocks over its address are thrown away.
 *
 * They are invalidated in the physical pages that are mapped at the address. Which pages these are is different in each address
 * space and may change later; but a vCPU reaches a page only through its TLB. So the page is dropped from the TLBs, and when it
 * is entered again, at once or much later, in this process or in another, its stale blocks are invalidated, once for each
 * physical page.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/events/stale_code.h"
#include "rebox/events/code_watches.h"
#include "rebox/events/translation.h"
#include "exec/cputlb.h"
#include "exec/exec-all.h"
#include "exec/memory.h"
#include "exec/translation-block.h"
#include "qemu/rcu.h"

/* More pages than there are hooks, and so many, are not worth remembering. */
#define MAX_LEFT_PAGES 1024

/* The translations over this offset have to be of this generation. */
typedef struct change {
    uint16_t offset;
    uint64_t generation;
} change;

/* A virtual page with changes. */
typedef struct changed_page {
    uint64_t address;
    GArray *changes;   /* of change: one for each offset */
    GHashTable *clean; /* RAM address of a page seen here -> the generation that its translations have at least */
} changed_page;

static GHashTable *pages; /* changed_page -> itself, by address */
/* Counts them by the low bits of their page numbers: each fill of a TLB asks, and the table is slow. */
static uint32_t pages_alike[4096];
static uint64_t generation;       /* of the last change */
static uint64_t flush_generation; /* no translation is older */

static uint32_t *count_alike(uint64_t address)
{
    return &pages_alike[(address >> TARGET_PAGE_BITS) % ARRAY_SIZE(pages_alike)];
}

static void free_page(gpointer data)
{
    changed_page *page = data;

    --*count_alike(page->address);
    g_array_free(page->changes, true);
    g_hash_table_destroy(page->clean);
    g_free(page);
}

void rebox_stale_code_init(void)
{
    /* The address is the first member, so a page is its own key. */
    pages = g_hash_table_new_full(g_int64_hash, g_int64_equal, free_page, NULL);
}

void rebox_stale_code_flushed(void)
{
    flush_generation = generation;
    g_hash_table_remove_all(pages);
}

static changed_page *find_page(uint64_t address)
{
    uint64_t page_address = address & TARGET_PAGE_MASK;

    return *count_alike(address) ? g_hash_table_lookup(pages, &page_address) : NULL;
}

static changed_page *get_page(uint64_t address)
{
    changed_page *page = find_page(address);

    if (!page) {
        page = g_new0(changed_page, 1);
        page->address = address & TARGET_PAGE_MASK;
        page->changes = g_array_new(false, false, sizeof(change));
        page->clean = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
        g_hash_table_add(pages, page);
        ++*count_alike(address);
    }
    return page;
}

static change *find_change(const changed_page *page, uint16_t offset)
{
    for (guint i = 0; i < page->changes->len; i++) {
        change *known = &g_array_index(page->changes, change, i);

        if (known->offset == offset) {
            return known;
        }
    }
    return NULL;
}

uint64_t rebox_next_generation(void)
{
    return ++generation;
}

uint64_t rebox_translated_since(uint64_t address)
{
    const changed_page *page = find_page(address);
    const change *known = page ? find_change(page, address & ~TARGET_PAGE_MASK) : NULL;

    return known ? MAX(known->generation, flush_generation) : flush_generation;
}

static void note_change(changed_page *page, uint16_t offset)
{
    change added = { .offset = offset, .generation = rebox_next_generation() };
    change *known = find_change(page, offset);

    if (known) {
        *known = added;
    } else {
        g_array_append_val(page->changes, added);
    }
}

void rebox_retranslate_at(uint64_t address, unsigned int most_pages)
{
    CPUState *cpu;

    note_change(get_page(address), address & ~TARGET_PAGE_MASK);
    if (g_hash_table_size(pages) > most_pages + MAX_LEFT_PAGES) {
        rebox_retranslate_all();
        return;
    }
    CPU_FOREACH(cpu) {
        tlb_flush_page(cpu, address & TARGET_PAGE_MASK);
    }
}

bool rebox_find_ram(CPUState *cpu, uint64_t pgd, uint64_t address, uint64_t *ram)
{
    uint64_t physical, page_size;
    hwaddr offset, size = 1;
    MemoryRegion *region;

    if (!rebox_translate(cpu->cpu_index, pgd, address, &physical, &page_size)) {
        return false;
    }
    RCU_READ_LOCK_GUARD();
    region = address_space_translate(cpu->as, physical, &offset, &size, false, MEMTXATTRS_UNSPECIFIED);
    if (!memory_region_is_ram(region) && !memory_region_is_romd(region)) {
        return false;
    }
    *ram = memory_region_get_ram_addr(region) + offset;
    return true;
}

/* A page whose code a vCPU has to invalidate before it executes another block. */
typedef struct stale_page {
    uint64_t address;
    uint64_t ram;
} stale_page;

static void invalidate(CPUState *cpu, run_on_cpu_data data)
{
    stale_page *stale = data.host_ptr;
    changed_page *page = find_page(stale->address);

    if (page) {
        uint64_t *known = g_hash_table_lookup(page->clean, &stale->ram);
        uint64_t have = MAX(flush_generation, known ? *known : 0);

        for (guint i = 0; i < page->changes->len; i++) {
            change *made = &g_array_index(page->changes, change, i);

            if (made->generation > have) {
                tb_invalidate_phys_range(stale->ram | made->offset, stale->ram | made->offset);
            }
        }
        rebox_keep_writes_reported(stale->ram);
        g_hash_table_replace(page->clean, g_memdup2(&stale->ram, sizeof(stale->ram)),
                             g_memdup2(&generation, sizeof(generation)));
    }
    g_free(stale);
}

bool rebox_find_filled_ram(CPUState *cpu, int mmu_idx, uint64_t address, uint64_t *ram)
{
    uint64_t page = address & TARGET_PAGE_MASK;
    uintptr_t index = (page >> TARGET_PAGE_BITS) & (cpu->neg.tlb.f[mmu_idx].mask >> CPU_TLB_ENTRY_BITS);
    const CPUTLBEntry *entry = &cpu->neg.tlb.f[mmu_idx].table[index];
    const CPUTLBEntryFull *full = &cpu->neg.tlb.d[mmu_idx].fulltlb[index];

    if (entry->addr_code == (uint64_t)-1) {
        return false;
    }
    /* What is no RAM has the number of a section in the low bits, which is not 0 for code: CPUTLBEntryFull.xlat_section. */
    if ((entry->addr_code & TLB_MMIO) || (full->xlat_section & ~TARGET_PAGE_MASK)) {
        return rebox_find_ram(cpu, cpu_env(cpu)->cr[3], page, ram);
    }
    *ram = full->xlat_section + page;
    return true;
}

void rebox_code_page_filled(CPUState *cpu, int mmu_idx, uint64_t address)
{
    changed_page *page = find_page(address);
    uint64_t ram, newest = 0;
    uint64_t *known;

    if (likely(!page) || !rebox_find_filled_ram(cpu, mmu_idx, page->address, &ram)) {
        return;
    }
    for (guint i = 0; i < page->changes->len; i++) {
        newest = MAX(newest, g_array_index(page->changes, change, i).generation);
    }
    known = g_hash_table_lookup(page->clean, &ram);
    if (newest > flush_generation && (!known || newest > *known)) {
        stale_page stale = { .address = page->address, .ram = ram };

        /*
         * Not here, where a block of the page may be under translation. The queue also keeps the vCPU from starting
         * another block: each begins with a look at the exit request.
         */
        async_run_on_cpu(cpu, invalidate, RUN_ON_CPU_HOST_PTR(g_memdup2(&stale, sizeof(stale))));
        cpu_exit(cpu);
    }
}
