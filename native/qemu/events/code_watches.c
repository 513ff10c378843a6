/*
 * Watches on code: which pages of an address space are executed for the first time since they were written.
 *
 * Code is entered from another page by a look-up only, as selection.c has it. In a page that is news, the look-up asks for
 * translations with one bit more in their flags, which call out before they execute anything. The page is no news then, and is
 * looked up as any other. So a page costs one call, and code that is not watched a branch for each look-up.
 *
 * A page becomes news again when it is written. QEMU protects pages that have translations, so that it sees the first write
 * after each translation; pages that were settled are protected in the same way. With the write, the page of the code that wrote is
 * noted. A page of an address space that is another page of RAM by now (copied on write, mapped anew) is news, too.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/events/code_watches.h"
#include "rebox/events/selection.h"
#include "rebox/events/stale_code.h"
#include "rebox/events/translation.h"
#include "rebox/hooks.h"
#include "exec/exec-all.h"
#include "exec/ram_addr.h"

/* Pages of an address space that are known; one with more is not watched any more. */
#define MAX_KNOWN_PAGES (1 << 16)
#define MAX_SPACES 4096
/* Of an address space; they are looked through one by one. */
#define MAX_RANGES 256

/* Pages from first to last, both included, by their addresses. */
typedef struct page_range {
    uint64_t first, last;
} page_range;

typedef struct watched_space {
    uint64_t pgd;        /* as it was given */
    GArray *ranges;      /* of page_range, in the order they were given */
    GHashTable *known;   /* page -> its RAM page, of those that are no news */
    GHashTable *of_ram;  /* the other way */
    GHashTable *writers; /* page -> page of the code that wrote it last, of those that were known */
} watched_space;

bool rebox_watching_code;
static GPtrArray *spaces; /* of watched_space */
static watched_space *here;
static uint64_t quiet_page; /* the last page in `here` that was found to be no news; 1 for none */

/* Pages are keys and values; bit 0 tells page 0 from nothing. */
static inline gpointer to_key(uint64_t page)
{
    return (gpointer)(uintptr_t)(page | 1);
}

static inline uint64_t from_key(gconstpointer key)
{
    return (uintptr_t)key & TARGET_PAGE_MASK;
}

static void free_space(gpointer data)
{
    watched_space *space = data;

    g_array_free(space->ranges, true);
    g_hash_table_destroy(space->known);
    g_hash_table_destroy(space->of_ram);
    g_hash_table_destroy(space->writers);
    g_free(space);
}

void rebox_code_watches_init(void)
{
    spaces = g_ptr_array_new_with_free_func(free_space);
    quiet_page = 1;
}

bool rebox_any_code_watch(void)
{
    return rebox_watching_code;
}

bool rebox_watches_code_here(void)
{
    return here != NULL;
}

static watched_space *find_space(uint64_t identity)
{
    for (guint i = 0; i < spaces->len; i++) {
        watched_space *space = g_ptr_array_index(spaces, i);

        if (rebox_is_pgd(space->pgd, identity)) {
            return space;
        }
    }
    return NULL;
}

static void enter_space(watched_space *space)
{
    here = space;
    quiet_page = 1;
    rebox_renew_selecting();
}

/* After a change of the spaces that are watched, for the vCPU whose code has called; any other one comes through the floors. */
static void renew_here(void)
{
    rebox_watching_code = spaces->len != 0;
    rebox_follow_watched();
    enter_space(rebox_watching_code && current_cpu ? find_space(rebox_pgd_identity(cpu_env(current_cpu))) : NULL);
}

void rebox_follow_code_watches(CPUState *cpu)
{
    if (rebox_watching_code) {
        enter_space(find_space(rebox_pgd_identity(cpu_env(cpu))));
    }
}

static bool is_watched(const watched_space *space, uint64_t page)
{
    for (guint i = 0; i < space->ranges->len; i++) {
        const page_range *range = &g_array_index(space->ranges, page_range, i);

        if (page >= range->first && page <= range->last) {
            return true;
        }
    }
    return false;
}

static inline bool is_news(const watched_space *space, uint64_t page)
{
    return is_watched(space, page) && !g_hash_table_contains(space->known, to_key(page));
}

uint32_t rebox_find_watched_code(uint64_t pc)
{
    uint64_t page = pc & TARGET_PAGE_MASK;

    if (page == quiet_page) {
        return 0;
    }
    if (is_news(here, page)) {
        return CF_WATCHED_CODE;
    }
    quiet_page = page;
    return 0;
}

static void forget_page(watched_space *space, uint64_t page)
{
    gpointer ram = g_hash_table_lookup(space->known, to_key(page));

    if (ram) {
        g_hash_table_remove(space->known, to_key(page));
        g_hash_table_remove(space->of_ram, ram);
        quiet_page = 1;
    }
}

/* Returns false when there are too many: the space is left alone then. */
static bool know_page(watched_space *space, uint64_t page, uint64_t ram)
{
    if (g_hash_table_size(space->known) >= MAX_KNOWN_PAGES) {
        g_array_set_size(space->ranges, 0);
        return false;
    }
    forget_page(space, page);
    g_hash_table_insert(space->known, to_key(page), to_key(ram));
    g_hash_table_insert(space->of_ram, to_key(ram), to_key(page));
    return true;
}

void rebox_report_watched_code(CPUState *cpu)
{
    CPUX86State *env = cpu_env(cpu);
    uint64_t pc = rebox_linear_pc(env), page = pc & TARGET_PAGE_MASK, ram;
    gpointer writer;

    if (!here || !is_news(here, page) || !rebox_find_ram(cpu, env->cr[3], page, &ram)) {
        return;
    }
    writer = g_hash_table_lookup(here->writers, to_key(page));
    if (know_page(here, page, ram & TARGET_PAGE_MASK)) {
        g_hash_table_remove(here->writers, to_key(page));
        rebox_listening->watched_code(rebox_listening->opaque, cpu->cpu_index, pc, from_key(writer));
    }
}

void rebox_watched_page_filled(CPUState *cpu, int mmu_idx, uint64_t address)
{
    uint64_t page = address & TARGET_PAGE_MASK, ram;
    gpointer known = here ? g_hash_table_lookup(here->known, to_key(page)) : NULL;

    if (known && rebox_find_filled_ram(cpu, mmu_idx, page, &ram) && (ram & TARGET_PAGE_MASK) != from_key(known)) {
        forget_page(here, page);
    }
}

void rebox_note_code_written(uint64_t ram)
{
    gpointer ram_page = to_key(ram & TARGET_PAGE_MASK);

    /* Devices that write come another way. */
    if (!current_cpu || !rebox_on_vcpu_thread()) {
        return;
    }
    for (guint i = 0; i < spaces->len; i++) {
        watched_space *space = g_ptr_array_index(spaces, i);
        gpointer page = g_hash_table_lookup(space->of_ram, ram_page);

        if (page) {
            /* Its page is exact within a block, which is all that is asked. */
            uint64_t writer = rebox_linear_pc(cpu_env(current_cpu)) & TARGET_PAGE_MASK;

            g_hash_table_insert(space->writers, page, to_key(writer));
            forget_page(space, from_key(page));
        }
    }
}

/* As tlb_protect_code() of accel/tcg/cputlb.c, which is not for others. */
static void report_writes(uint64_t ram)
{
    cpu_physical_memory_test_and_clear_dirty(ram & TARGET_PAGE_MASK, TARGET_PAGE_SIZE, DIRTY_MEMORY_CODE);
}

void rebox_keep_writes_reported(uint64_t ram)
{
    for (guint i = 0; i < spaces->len; i++) {
        watched_space *space = g_ptr_array_index(spaces, i);

        if (g_hash_table_contains(space->of_ram, to_key(ram & TARGET_PAGE_MASK))) {
            report_writes(ram);
            return;
        }
    }
}

static watched_space *get_space(uint64_t pgd)
{
    watched_space *space = find_space(rebox_normal_pgd(pgd));

    if (!space && spaces->len < MAX_SPACES) {
        space = g_new0(watched_space, 1);
        space->pgd = pgd;
        space->ranges = g_array_new(false, false, sizeof(page_range));
        space->known = g_hash_table_new(NULL, NULL);
        space->of_ram = g_hash_table_new(NULL, NULL);
        space->writers = g_hash_table_new(NULL, NULL);
        g_ptr_array_add(spaces, space);
    }
    return space;
}

/* Forgets pages of the range that are not what they were. */
static void compare_known(watched_space *space, page_range range)
{
    CPUState *cpu = current_cpu ? current_cpu : first_cpu;
    g_autoptr(GList) pages = g_hash_table_get_keys(space->known);

    for (GList *each = pages; each; each = each->next) {
        uint64_t page = from_key(each->data), ram;

        if (page >= range.first && page <= range.last &&
            (!rebox_find_ram(cpu, space->pgd, page, &ram) ||
             (ram & TARGET_PAGE_MASK) != from_key(g_hash_table_lookup(space->known, each->data)))) {
            forget_page(space, page);
        }
    }
}

bool rebox_watch_code(uint64_t pgd, uint64_t from, uint64_t to)
{
    watched_space *space = from < to ? get_space(pgd) : NULL;
    page_range added = { .first = from & TARGET_PAGE_MASK, .last = (to - 1) & TARGET_PAGE_MASK };
    bool is_joined = false;

    if (!space) {
        return false;
    }
    compare_known(space, added);
    for (guint i = 0; i < space->ranges->len; i++) {
        page_range *range = &g_array_index(space->ranges, page_range, i);

        if (added.first <= range->last + TARGET_PAGE_SIZE && range->first <= added.last + TARGET_PAGE_SIZE) {
            range->first = MIN(range->first, added.first);
            range->last = MAX(range->last, added.last);
            is_joined = true;
            break;
        }
    }
    if (!is_joined && space->ranges->len >= MAX_RANGES) {
        return false;
    }
    if (!is_joined) {
        g_array_append_val(space->ranges, added);
    }
    renew_here();
    return true;
}

void rebox_settle_code(uint64_t pgd, uint64_t from, uint64_t to)
{
    CPUState *cpu = current_cpu ? current_cpu : first_cpu;
    watched_space *space = find_space(rebox_normal_pgd(pgd));
    uint64_t page = from & TARGET_PAGE_MASK, ram;

    for (int count = 0; space && page < to && count < MAX_KNOWN_PAGES; count++, page += TARGET_PAGE_SIZE) {
        if (!rebox_find_ram(cpu, pgd, page, &ram)) {
            continue;
        }
        ram &= TARGET_PAGE_MASK;
        if (!know_page(space, page, ram)) {
            return;
        }
        g_hash_table_remove(space->writers, to_key(page));
        report_writes(ram);
    }
}

void rebox_unwatch_code(uint64_t pgd)
{
    if (pgd == REBOX_ALL_PROCESSES) {
        g_ptr_array_set_size(spaces, 0);
    } else {
        watched_space *space = find_space(rebox_normal_pgd(pgd));

        if (space) {
            g_ptr_array_remove(spaces, space);
        }
    }
    renew_here();
}
