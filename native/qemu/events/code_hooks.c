/*
 * Hooks at addresses: who has set them, and their calls. hooked_pages.c sees to it that the code calls.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/events/code_hooks.h"

typedef struct code_hook {
    uint32_t id;
    bool is_block;
    uint64_t pgd;
    uint64_t subscription;
} code_hook;

static GHashTable *hooks;     /* address -> GArray of code_hook, in the order they were added */
static GHashTable *addresses; /* id -> address */
static uint32_t last_hook_id;

void rebox_code_hooks_init(void)
{
    hooks = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, (GDestroyNotify)g_array_unref);
    addresses = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    rebox_hooked_pages_init();
    rebox_stale_code_init();
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

uint32_t rebox_hook(bool is_block, uint64_t address, uint64_t pgd)
{
    code_hook hook = {
        .id = ++last_hook_id,
        .is_block = is_block,
        .pgd = pgd,
        .subscription = ++rebox_last_subscription,
    };
    GArray *here = g_hash_table_lookup(hooks, &address);

    if (!here) {
        here = g_array_new(false, false, sizeof(code_hook));
        g_hash_table_insert(hooks, g_memdup2(&address, sizeof(address)), here);
    }
    g_array_append_val(here, hook);
    g_hash_table_insert(addresses, GUINT_TO_POINTER(hook.id), g_memdup2(&address, sizeof(address)));
    rebox_hook_page(is_block, address, g_hash_table_size(addresses));
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
    bool is_block;

    if (!found) {
        return false;
    }
    address = *found;
    is_block = remove_hook(address, hook_id);
    g_hash_table_remove(addresses, GUINT_TO_POINTER(hook_id));
    rebox_unhook_page(is_block, address, g_hash_table_size(addresses));
    return true;
}
