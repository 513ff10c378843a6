/*
 * The part of a state that a migration does not carry, and that a replay needs to be exact.
 *
 * Devices set themselves up anew where a state is loaded: they arm timers, and forget when they last did something. A state is loaded in
 * the process that has kept it, so timers are put back as they were, by their addresses, and so are the fields that devices name
 * (rebox_hook_keep()) and the frames that wait for a card. A card that announces itself behind a migration has a timer for that: it goes
 * with the others that were not armed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/vcpu/vcpu.h"
#include "rebox/vcpu/states.h"
#include "qemu/timer.h"

typedef struct field {
    void *place;
    size_t size;
} field;

typedef struct armed {
    QEMUTimer *timer;
    int64_t expires_ns;
} armed;

static GArray *fields; /* of field */

/* The clocks that the log orders. A timer that is EXTERNAL does nothing of which the guest knows. */
static const QEMUClockType clocks[] = { QEMU_CLOCK_VIRTUAL, QEMU_CLOCK_HOST, QEMU_CLOCK_VIRTUAL_RT };

void rebox_hook_keep(void *place, size_t size)
{
    field named = { .place = place, .size = size };

    if (!fields) {
        fields = g_array_new(false, false, sizeof(field));
    }
    /* A queue of a card may be built anew, when the guest's driver asks for more of them. */
    for (int i = 0; i < fields->len; i++) {
        if (g_array_index(fields, field, i).place == place) {
            return;
        }
    }
    g_array_append_val(fields, named);
}

void rebox_keep_extras(rebox_extras *extras)
{
    extras->timers = g_array_new(false, false, sizeof(armed));
    extras->fields = g_byte_array_new();
    for (int i = 0; i < ARRAY_SIZE(clocks); i++) {
        for (QEMUTimer *timer = rebox_first_timer(main_loop_tlg.tl[clocks[i]]); timer; timer = timer->next) {
            armed one = { .timer = timer, .expires_ns = timer->expire_time };

            if (!(timer->attributes & QEMU_TIMER_ATTR_EXTERNAL)) {
                g_array_append_val(extras->timers, one);
            }
        }
    }
    for (int i = 0; fields && i < fields->len; i++) {
        const field *named = &g_array_index(fields, field, i);

        g_byte_array_append(extras->fields, named->place, named->size);
    }
    extras->frames = rebox_keep_frames();
}

static QEMUTimer *find_armed(QEMUClockType clock)
{
    QEMUTimer *timer = rebox_first_timer(main_loop_tlg.tl[clock]);

    while (timer && (timer->attributes & QEMU_TIMER_ATTR_EXTERNAL)) {
        timer = timer->next;
    }
    return timer;
}

void rebox_restore_extras(const rebox_extras *extras)
{
    const uint8_t *from = extras->fields->data;

    for (int i = 0; i < ARRAY_SIZE(clocks); i++) {
        QEMUTimer *timer;

        while ((timer = find_armed(clocks[i])) != NULL) {
            timer_del(timer);
        }
    }
    /* In their order: of two that expire at once, the one that was armed first comes first. */
    for (int i = 0; i < extras->timers->len; i++) {
        const armed *one = &g_array_index(extras->timers, armed, i);

        timer_mod_ns(one->timer, one->expires_ns);
    }
    /* Fields that were named since are not in it. */
    for (int i = 0; from < extras->fields->data + extras->fields->len; i++) {
        const field *named = &g_array_index(fields, field, i);

        memcpy(named->place, from, named->size);
        from += named->size;
    }
    rebox_restore_frames(extras->frames);
}

void rebox_free_extras(rebox_extras *extras)
{
    if (extras->timers) {
        g_array_free(extras->timers, true);
        g_byte_array_free(extras->fields, true);
        rebox_free_frames(extras->frames);
    }
}
