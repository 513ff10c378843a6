/*
 * The code that an event is wanted of, decided when the code is looked up and translated (selection.c).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_SELECTION_H
#define REBOX_SELECTION_H

#include "rebox/events/events.h"
#include "qemu/qemu-plugin.h"

/* The bits of CF_SELECTED are in the order of the events; see translation.h. */
static inline int rebox_selectable(rebox_event event)
{
    switch (event) {
    case REBOX_BLOCK_BEGIN:
        return 0;
    case REBOX_INSN_BEGIN:
        return 1;
    case REBOX_MEM_READ:
        return 2;
    case REBOX_MEM_WRITE:
        return 3;
    default:
        return -1;
    }
}

void rebox_selection_init(void);
/* Says anew whether look-ups ask for places, after what code_watches.c watches here has changed. */
void rebox_renew_selecting(void);
/* Whether event is wanted of code that is translated with these flags of its block. */
bool rebox_is_selected(rebox_event event, uint32_t cflags, uint32_t flags);
/* The counter that a translation increments for an event that is skipped. */
qemu_plugin_u64 rebox_skipped_counter(rebox_event event);

#endif
