/*
 * The RAM of kept states. A page that did not change from one state to the next is kept once, and one without content not at all.
 *
 * The pages of a copy are those of QEMU's migratable blocks, one block after the other: memory of the machine, of graphics and of
 * firmware. Which pages changed is found by comparison, which is as fast as memory can be read; to have QEMU log the pages that the
 * guest writes would cost each first write of a page, and only where states are kept often.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/vcpu/vcpu.h"
#include "rebox/vcpu/states.h"
#include "exec/cpu-common.h"
#include "exec/ram_addr.h"
#include "exec/ramblock.h"
#include "qemu/cutils.h"
#include <sys/mman.h>

#define PAGE_BYTES 4096
/* The kept page whose content is zero. */
#define ZERO 0

static uint8_t *kept;
static uint32_t *uses; /* by kept page: in how many copies it is */
static uint32_t most, used, free_count;
static uint32_t *free_pages; /* those below `used` that are in no copy any more */

static uint8_t *kept_page(uint32_t number)
{
    return kept + (size_t)number * PAGE_BYTES;
}

bool rebox_limit_ram_copies(uint64_t limit)
{
    if (kept) {
        return true;
    }
    most = MIN(limit / PAGE_BYTES, UINT32_MAX - 1) + 1;
    kept = mmap(NULL, (size_t)most * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                -1, 0);
    if (kept == MAP_FAILED) {
        kept = NULL;
        return false;
    }
    /* Their content is the guest's: it is of no use in a core of this process. */
    madvise(kept, (size_t)most * PAGE_BYTES, MADV_DONTDUMP);
    uses = g_new0(uint32_t, most);
    free_pages = g_new(uint32_t, most);
    used = ZERO + 1;
    return true;
}

uint64_t rebox_ram_copies_size(void)
{
    return (uint64_t)(used - free_count) * PAGE_BYTES;
}

/* Returns ZERO where there is no place. */
static uint32_t keep_page(const uint8_t *content)
{
    uint32_t number;

    if (free_count) {
        number = free_pages[--free_count];
    } else if (used < most) {
        number = used++;
    } else {
        return ZERO;
    }
    memcpy(kept_page(number), content, PAGE_BYTES);
    return number;
}

static void let_go(uint32_t number)
{
    if (number != ZERO && --uses[number] == 0) {
        madvise(kept_page(number), PAGE_BYTES, MADV_DONTNEED);
        free_pages[free_count++] = number;
    }
}

typedef struct walk {
    const rebox_ram_copy *like;
    rebox_ram_copy *copy;
    size_t at;
    bool has_failed;
} walk;

static int count_pages(RAMBlock *block, void *opaque)
{
    size_t *count = opaque;

    if (qemu_ram_is_migratable(block)) {
        *count += DIV_ROUND_UP(qemu_ram_get_used_length(block), PAGE_BYTES);
    }
    return 0;
}

static size_t count_all_pages(void)
{
    size_t count = 0;

    qemu_ram_foreach_block(count_pages, &count);
    return count;
}

static int copy_block(RAMBlock *block, void *opaque)
{
    walk *walk = opaque;
    const uint8_t *host = qemu_ram_get_host_addr(block);
    size_t size = qemu_ram_get_used_length(block);

    if (!qemu_ram_is_migratable(block)) {
        return 0;
    }
    for (size_t offset = 0; offset < size; offset += PAGE_BYTES, walk->at++) {
        uint32_t number = walk->like ? walk->like->pages[walk->at] : ZERO;

        if (memcmp(host + offset, kept_page(number), PAGE_BYTES) != 0) {
            number = buffer_is_zero(host + offset, PAGE_BYTES) ? ZERO : keep_page(host + offset);
            if (number == ZERO && !buffer_is_zero(host + offset, PAGE_BYTES)) {
                walk->has_failed = true;
                return 1;
            }
        }
        uses[number]++;
        walk->copy->pages[walk->at] = number;
    }
    return 0;
}

bool rebox_copy_ram(rebox_ram_copy *copy, const rebox_ram_copy *like)
{
    walk walk = { .copy = copy };

    copy->count = count_all_pages();
    copy->pages = g_try_new0(uint32_t, copy->count);
    if (!copy->pages) {
        return false;
    }
    walk.like = like && like->count == copy->count ? like : NULL;
    qemu_ram_foreach_block(copy_block, &walk);
    if (walk.has_failed) {
        copy->count = walk.at;
        rebox_free_ram_copy(copy);
    }
    return !walk.has_failed;
}

static int write_back_block(RAMBlock *block, void *opaque)
{
    walk *walk = opaque;
    uint8_t *host = qemu_ram_get_host_addr(block);
    size_t size = qemu_ram_get_used_length(block);

    if (!qemu_ram_is_migratable(block)) {
        return 0;
    }
    for (size_t offset = 0; offset < size; offset += PAGE_BYTES, walk->at++) {
        const uint8_t *content = kept_page(walk->like->pages[walk->at]);

        if (memcmp(host + offset, content, PAGE_BYTES) != 0) {
            memcpy(host + offset, content, PAGE_BYTES);
            /* Code is translated anew in any case: loading the state of a vCPU sees to that. */
            cpu_physical_memory_set_dirty_flag(block->offset + offset, DIRTY_MEMORY_VGA);
        }
    }
    return 0;
}

bool rebox_write_back_ram(const rebox_ram_copy *copy)
{
    walk walk = { .like = copy };

    if (copy->count != count_all_pages()) {
        return false;
    }
    qemu_ram_foreach_block(write_back_block, &walk);
    return true;
}

void rebox_forget_ram_copies(void)
{
    if (kept) {
        munmap(kept, (size_t)most * PAGE_BYTES);
        g_free(uses);
        g_free(free_pages);
        kept = NULL;
    }
}

void rebox_free_ram_copy(rebox_ram_copy *copy)
{
    for (size_t i = 0; i < copy->count; i++) {
        let_go(copy->pages[i]);
    }
    g_free(copy->pages);
    copy->pages = NULL;
    copy->count = 0;
}
