/*
 * Connects the events with the floors below, which call them by these tables only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/events/blocks.h"
#include "rebox/events/code_hooks.h"
#include "rebox/events/code_watches.h"
#include "rebox/events/known_blocks.h"
#include "rebox/events/selection.h"
#include "rebox/events/translation.h"

static void on_leave_space(CPUState *cpu)
{
    /* The next block may be one of a process that is not monitored, where nobody would report the end. */
    if (rebox_any_pending(cpu->cpu_index)) {
        rebox_finish_at_cr3(cpu);
    }
}

static void on_select(CPUState *cpu, bool monitored)
{
    rebox_select_translations(cpu, monitored);
    rebox_follow_known_blocks(cpu);
}

static void on_enter_space(CPUState *cpu, uint64_t old_pgd, uint64_t new_pgd)
{
    rebox_follow_code_watches(cpu);
    if (rebox_watched[REBOX_CONTEXT_CHANGE]) {
        rebox_listening->context_change(rebox_listening->opaque, cpu->cpu_index, old_pgd, new_pgd);
    }
}

static void on_enter(CPUState *cpu)
{
    rebox_sync_address_space(cpu);
    rebox_follow_code_watches(cpu);
    rebox_apply_deferred_pc(cpu);
}

static void start(void)
{
    rebox_blocks_init();
    rebox_accesses_init();
    rebox_code_hooks_init();
    rebox_code_watches_init();
    rebox_selection_init();
    rebox_translation_init();
}

static const rebox_floor events = {
    .start = start,
    .reset = rebox_forget_progress,
    .enter = on_enter,
    .stop = rebox_finish_at_stop,
};
REBOX_FLOOR(events)

static const rebox_space_follower follower = {
    .leave = on_leave_space,
    .select = on_select,
    .enter = on_enter_space,
};

static void __attribute__((constructor)) follow_spaces(void)
{
    rebox_follow_spaces(&follower);
}
