/*
 * The blocks that translations name.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/events/blocks.h"

static GHashTable *blocks; /* rebox_block -> itself */

static guint hash_block(gconstpointer key)
{
    const rebox_block *block = key;
    uint64_t mixed = (block->pc ^ ((uint64_t)block->size << 48) ^ ((uint64_t)block->icount << 56)) *
                     0x9e3779b97f4a7c15ULL;

    return mixed >> 32;
}

static gboolean equal_blocks(gconstpointer a, gconstpointer b)
{
    const rebox_block *x = a, *y = b;

    return x->pc == y->pc && x->size == y->size && x->icount == y->icount && x->last == y->last && x->end == y->end;
}

static void forget_block(gpointer data)
{
    rebox_block *block = data;

    if (block->user && rebox_listening->forget) {
        rebox_listening->forget(rebox_listening->opaque, block);
    }
    g_free(block);
}

void rebox_blocks_init(void)
{
    blocks = g_hash_table_new_full(hash_block, equal_blocks, forget_block, NULL);
}

rebox_block *rebox_get_block(const rebox_block *wanted)
{
    rebox_block *block = g_hash_table_lookup(blocks, wanted);

    if (!block) {
        block = g_memdup2(wanted, sizeof(*wanted));
        block->user = NULL;
        block->known = REBOX_UNKNOWN_BLOCK;
        g_hash_table_add(blocks, block);
    }
    return block;
}

void rebox_forget_known_blocks(void)
{
    GHashTableIter entries;
    gpointer block;

    g_hash_table_iter_init(&entries, blocks);
    while (g_hash_table_iter_next(&entries, &block, NULL)) {
        ((rebox_block *)block)->known = REBOX_UNKNOWN_BLOCK;
    }
}

void rebox_forget_blocks(void)
{
    g_hash_table_remove_all(blocks);
}
