/*
 * Hooks at addresses, added and removed without throwing away more than the blocks at that address.
 *
 * A translation knows the offsets in its physical page, not the address it will be executed at (see translation.c). So
 * translations carry a call at every offset that has a hook, and the call compares the address. When a hook comes or
 * goes, the blocks over its offset are invalidated in the physical pages that are mapped at its address. Which pages
 * these are is different in each address space and may change later; but a vCPU reaches a page only through its TLB.
 * So the page is dropped from the TLBs, and when it is entered again, at once or much later, in this process or in
 * another, its blocks are invalidated, once for each physical page.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/events/code_hooks.h"
#include "rebox/events/translation.h"
#include "exec/exec-all.h"
#include "exec/memory.h"
#include "exec/translation-block.h"
#include "qemu/rcu.h"

/* Pages without a hook whose translations still have calls for one; more than this are not worth remembering. */
#define MAX_LEFT_PAGES 1024

typedef struct code_hook {
    uint32_t id;
    bool is_block;
    uint64_t pgd;
    uint64_t subscription;
} code_hook;

/* A hook came to, or went from, this offset. */
typedef struct change {
    uint16_t offset;
    uint64_t generation;
} change;

/* A virtual page with hooks, or with translations of hooks that there were. */
typedef struct hooked_page {
    uint64_t address;
    unsigned int hooks;
    GArray *changes;   /* of change: one for each offset */
    GHashTable *clean; /* RAM address of a page seen here -> the generation that its translations have at least */
} hooked_page;

uint16_t rebox_hooks_at_offset[2][TARGET_PAGE_SIZE];
static GHashTable *hooks;     /* address -> GArray of code_hook, in the order they were added */
static GHashTable *addresses; /* id -> address */
static uint32_t last_hook_id;

static GHashTable *pages; /* hooked_page -> itself, by address */
/* Counts them by the low bits of their page numbers: each fill of a TLB asks, and the table is slow. */
static uint32_t pages_alike[4096];
static uint64_t generation;       /* of the last change */
static uint64_t flush_generation; /* no translation is older */

static uint32_t *count_pages_alike(uint64_t address)
{
    return &pages_alike[(address >> TARGET_PAGE_BITS) % ARRAY_SIZE(pages_alike)];
}

static void free_page(gpointer data)
{
    hooked_page *page = data;

    --*count_pages_alike(page->address);
    g_array_free(page->changes, true);
    g_hash_table_destroy(page->clean);
    g_free(page);
}

void rebox_code_hooks_init(void)
{
    hooks = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, (GDestroyNotify)g_array_unref);
    addresses = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    /* The address is the first member, so a page is its own key. */
    pages = g_hash_table_new_full(g_int64_hash, g_int64_equal, free_page, NULL);
}

bool rebox_any_code_hook(void)
{
    return g_hash_table_size(addresses) != 0;
}

/* The first hook at pc with an id above previous. */
static uint32_t find_hook(bool is_block, uint64_t pc, uint64_t pgd, uint32_t previous)
{
    GArray *here = g_hash_table_lookup(hooks, &pc);

    for (guint i = 0; here && i < here->len; i++) {
        const code_hook *hook = &g_array_index(here, code_hook, i);

        if (hook->id > previous && hook->is_block == is_block && hook->subscription > rebox_reported.subscribed_after &&
            rebox_is_pgd(hook->pgd, pgd)) {
            return hook->id;
        }
    }
    return 0;
}

void rebox_call_code_hooks(int cpu_index, rebox_block *block, uint64_t pc, uint64_t pgd)
{
    /* A listener may add and remove hooks: only those that were there count, and each is looked up anew. */
    uint32_t newest = last_hook_id;
    uint64_t subscribed_after = rebox_reported.subscribed_after;
    uint32_t id = 0;

    while ((id = find_hook(block != NULL, pc, pgd, id)) && id <= newest) {
        rebox_listening->hooked(rebox_listening->opaque, cpu_index, block, id);
        rebox_reported.subscribed_after = subscribed_after;
    }
}

/* Forgets what a flush made meaningless; true for a page that need not be remembered at all. */
static gboolean forget_translations(gpointer key, gpointer value, gpointer unused)
{
    hooked_page *page = value;

    g_hash_table_remove_all(page->clean);
    g_array_set_size(page->changes, 0);
    return page->hooks == 0;
}

void rebox_code_hooks_flushed(void)
{
    flush_generation = generation;
    g_hash_table_foreach_remove(pages, forget_translations, NULL);
}

static void note_change(hooked_page *page, uint16_t offset)
{
    change added = { .offset = offset, .generation = ++generation };

    for (guint i = 0; i < page->changes->len; i++) {
        change *known = &g_array_index(page->changes, change, i);

        if (known->offset == offset) {
            known->generation = added.generation;
            return;
        }
    }
    g_array_append_val(page->changes, added);
}

static hooked_page *get_page(uint64_t address)
{
    hooked_page *page = g_hash_table_lookup(pages, &address);

    if (!page) {
        page = g_new0(hooked_page, 1);
        page->address = address;
        page->changes = g_array_new(false, false, sizeof(change));
        page->clean = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
        g_hash_table_add(pages, page);
        ++*count_pages_alike(address);
    }
    return page;
}

/* Has the blocks over address translated anew, wherever and whenever a vCPU reaches them. */
static void retranslate_at(hooked_page *page, uint64_t address)
{
    CPUState *cpu;

    note_change(page, address & ~TARGET_PAGE_MASK);
    rebox_follow_watched();
    if (g_hash_table_size(pages) > g_hash_table_size(addresses) + MAX_LEFT_PAGES) {
        rebox_retranslate_all();
        return;
    }
    CPU_FOREACH(cpu) {
        tlb_flush_page(cpu, page->address);
    }
    if (current_cpu) {
        rebox_disturb(current_cpu, REBOX_STATE_CHANGED);
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
    hooked_page *page = g_hash_table_lookup(pages, &stale->address);

    if (page) {
        uint64_t *known = g_hash_table_lookup(page->clean, &stale->ram);
        uint64_t have = MAX(flush_generation, known ? *known : 0);

        for (guint i = 0; i < page->changes->len; i++) {
            change *made = &g_array_index(page->changes, change, i);

            if (made->generation > have) {
                tb_invalidate_phys_range(stale->ram | made->offset, stale->ram | made->offset);
            }
        }
        g_hash_table_replace(page->clean, g_memdup2(&stale->ram, sizeof(stale->ram)),
                             g_memdup2(&generation, sizeof(generation)));
    }
    g_free(stale);
}

void rebox_code_page_filled(CPUState *cpu, uint64_t address)
{
    uint64_t page_address = address & TARGET_PAGE_MASK;
    hooked_page *page = *count_pages_alike(address) ? g_hash_table_lookup(pages, &page_address) : NULL;
    uint64_t ram, newest = 0;
    uint64_t *known;

    if (likely(!page) || !rebox_find_ram(cpu, cpu_env(cpu)->cr[3], page_address, &ram)) {
        return;
    }
    for (guint i = 0; i < page->changes->len; i++) {
        newest = MAX(newest, g_array_index(page->changes, change, i).generation);
    }
    known = g_hash_table_lookup(page->clean, &ram);
    if (newest > flush_generation && (!known || newest > *known)) {
        stale_page stale = { .address = page_address, .ram = ram };

        /*
         * Not here, where a block of the page may be under translation. The queue also keeps the vCPU from starting
         * another block: each begins with a look at the exit request.
         */
        async_run_on_cpu(cpu, invalidate, RUN_ON_CPU_HOST_PTR(g_memdup2(&stale, sizeof(stale))));
        cpu_exit(cpu);
    }
}

uint32_t rebox_hook(bool is_block, uint64_t address, uint64_t pgd)
{
    code_hook hook = {
        .id = ++last_hook_id,
        .is_block = is_block,
        .pgd = pgd,
        .subscription = ++rebox_last_subscription,
    };
    GArray *here = g_hash_table_lookup(hooks, &address);
    hooked_page *page = get_page(address & TARGET_PAGE_MASK);

    if (!here) {
        here = g_array_new(false, false, sizeof(code_hook));
        g_hash_table_insert(hooks, g_memdup2(&address, sizeof(address)), here);
    }
    g_array_append_val(here, hook);
    g_hash_table_insert(addresses, GUINT_TO_POINTER(hook.id), g_memdup2(&address, sizeof(address)));
    rebox_hooks_at_offset[is_block][address & ~TARGET_PAGE_MASK]++;
    page->hooks++;
    retranslate_at(page, address);
    return hook.id;
}

static bool remove_hook(uint64_t address, uint32_t hook_id)
{
    GArray *here = g_hash_table_lookup(hooks, &address);
    bool is_block = false;

    for (guint i = 0; i < here->len; i++) {
        if (g_array_index(here, code_hook, i).id == hook_id) {
            is_block = g_array_index(here, code_hook, i).is_block;
            g_array_remove_index(here, i);
            break;
        }
    }
    if (!here->len) {
        g_hash_table_remove(hooks, &address);
    }
    return is_block;
}

bool rebox_unhook(uint32_t hook_id)
{
    uint64_t *found = g_hash_table_lookup(addresses, GUINT_TO_POINTER(hook_id));
    uint64_t address;
    hooked_page *page;
    bool is_block;

    if (!found) {
        return false;
    }
    address = *found;
    is_block = remove_hook(address, hook_id);
    g_hash_table_remove(addresses, GUINT_TO_POINTER(hook_id));
    page = get_page(address & TARGET_PAGE_MASK);
    page->hooks--;
    if (--rebox_hooks_at_offset[is_block][address & ~TARGET_PAGE_MASK] == 0) {
        retranslate_at(page, address);
    }
    return true;
}
