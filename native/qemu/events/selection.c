/*
 * Filters by place and privilege level: the code that no listener wants runs translations without the event.
 *
 * A translation does not know its address (see translation.c), but the look-up does, and code is entered from
 * another page by a look-up only. So each selected event has a bit in the flags that translations are looked up with,
 * set for pages in which the event is wanted: inside and outside of the ranges the same code has translations of its
 * own. The privilege level is among the flags of every translation already. Skipped events are counted inline.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/events/selection.h"
#include "rebox/events/code_watches.h"
#include "rebox/events/translation.h"

#define SELECTABLE 4

/* Pages from first to last, both included, by their addresses. */
typedef struct page_range {
    uint64_t first, last;
} page_range;

typedef struct selection {
    GArray *ranges; /* of page_range, ascending and apart; NULL for everywhere */
    rebox_mode mode;
} selection;

bool rebox_selecting;
static bool selecting_by_place;
static selection selections[SELECTABLE];
static struct qemu_plugin_scoreboard *skipped;

typedef struct skipped_counts {
    uint64_t of[SELECTABLE];
} skipped_counts;

void rebox_selection_init(void)
{
    skipped = qemu_plugin_scoreboard_new(sizeof(skipped_counts));
}

qemu_plugin_u64 rebox_skipped_counter(rebox_event event)
{
    return (qemu_plugin_u64){ skipped, rebox_selectable(event) * sizeof(uint64_t) };
}

uint64_t rebox_skipped(rebox_event event)
{
    return rebox_selectable(event) < 0 ? 0 : qemu_plugin_u64_sum(rebox_skipped_counter(event));
}

static bool contains(const GArray *ranges, uint64_t address)
{
    guint low = 0, high = ranges->len;

    /* Nearly always: one range, which the code does not lie in. */
    if (likely(high == 1)) {
        const page_range *only = (const page_range *)ranges->data;

        return address >= only->first && address <= only->last;
    }
    while (low < high) {
        guint middle = (low + high) / 2;
        const page_range *range = &g_array_index(ranges, page_range, middle);

        if (address < range->first) {
            high = middle;
        } else if (address > range->last) {
            low = middle + 1;
        } else {
            return true;
        }
    }
    return false;
}

uint32_t rebox_find_selections(uint64_t pc)
{
    uint32_t bits = rebox_watches_code_here() ? rebox_find_watched_code(pc) : 0;

    for (int i = 0; i < SELECTABLE; i++) {
        if (selections[i].ranges && contains(selections[i].ranges, pc & TARGET_PAGE_MASK)) {
            bits |= CF_SELECTED_FIRST << i;
        }
    }
    return bits;
}

bool rebox_is_selected(rebox_event event, uint32_t cflags, uint32_t flags)
{
    const selection *of = &selections[rebox_selectable(event)];

    if (of->mode != REBOX_ANY_MODE && (of->mode == REBOX_KERNEL_MODE) != ((flags & HF_CPL_MASK) == 0)) {
        return false;
    }
    return !of->ranges || (cflags & (CF_SELECTED_FIRST << rebox_selectable(event)));
}

static gint compare_ranges(gconstpointer a, gconstpointer b)
{
    const page_range *x = a, *y = b;

    return x->first < y->first ? -1 : x->first > y->first;
}

/* Sorts the ranges and joins those that touch. */
static GArray *to_pages(const rebox_code_range *ranges, size_t count)
{
    GArray *sorted = g_array_new(false, false, sizeof(page_range));
    guint kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (ranges[i].from < ranges[i].to) {
            page_range range = {
                .first = ranges[i].from & TARGET_PAGE_MASK,
                .last = (ranges[i].to - 1) & TARGET_PAGE_MASK,
            };

            g_array_append_val(sorted, range);
        }
    }
    g_array_sort(sorted, compare_ranges);
    for (guint i = 1; i < sorted->len; i++) {
        page_range *last = &g_array_index(sorted, page_range, kept);
        page_range range = g_array_index(sorted, page_range, i);

        if (range.first <= last->last || range.first - last->last <= TARGET_PAGE_SIZE) {
            last->last = MAX(last->last, range.last);
        } else {
            g_array_index(sorted, page_range, ++kept) = range;
        }
    }
    g_array_set_size(sorted, MIN(sorted->len, kept + 1));
    return sorted;
}

static bool same_ranges(const GArray *a, const GArray *b)
{
    if (!a || !b) {
        return a == b;
    }
    return a->len == b->len && memcmp(a->data, b->data, a->len * sizeof(page_range)) == 0;
}

void rebox_renew_selecting(void)
{
    rebox_selecting = selecting_by_place || rebox_watches_code_here();
}

void rebox_select_code(rebox_event event, const rebox_code_range *ranges, size_t count, rebox_mode mode)
{
    selection *of;
    GArray *wanted;

    if (rebox_selectable(event) < 0) {
        return;
    }
    wanted = ranges ? to_pages(ranges, count) : NULL;
    of = &selections[rebox_selectable(event)];
    if (of->mode == mode && same_ranges(of->ranges, wanted)) {
        if (wanted) {
            g_array_unref(wanted);
        }
        return;
    }
    if (of->ranges) {
        g_array_unref(of->ranges);
    }
    of->ranges = wanted;
    of->mode = mode;
    selecting_by_place = false;
    for (int i = 0; i < SELECTABLE; i++) {
        selecting_by_place |= selections[i].ranges != NULL;
    }
    rebox_renew_selecting();
    if (rebox_watched[event]) {
        rebox_retranslate_all();
    }
}
