/*
 * Frames that wait until a card of the guest takes them, in states of a replay and while a recorded machine is paused.
 *
 * A frame that came in waits where the guest's driver has no buffer for it yet. A migration does not carry it. QEMU hands such frames to the
 * card or drops them when a machine is paused, which is no event of the guest: a recorded machine keeps them until it goes on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/vcpu/vcpu.h"
#include "rebox/vcpu/net_queue.h"
#include "rebox/vcpu/states.h"
#include "net/net.h"
#include "system/replay.h"
#include "system/runstate.h"

typedef struct waiting {
    NetClientState *card;
    NetQueue *frames;
    bool is_disabled; /* until the driver has buffers again */
} waiting;

static void keep_card(NICState *nic, void *opaque)
{
    for (int i = 0; i < MAX(nic->conf->peers.queues, 1); i++) {
        NetClientState *card = qemu_get_subqueue(nic, i);
        waiting one = { .card = card, .is_disabled = card->receive_disabled };

        one.frames = rebox_copy_net_queue(card->incoming_queue);
        g_array_append_val((GArray *)opaque, one);
    }
}

GArray *rebox_keep_frames(void)
{
    GArray *frames = g_array_new(false, false, sizeof(waiting));

    qemu_foreach_nic(keep_card, frames);
    return frames;
}

void rebox_restore_frames(const GArray *frames)
{
    for (int i = 0; i < frames->len; i++) {
        const waiting *one = &g_array_index(frames, waiting, i);

        rebox_restore_net_queue(one->card->incoming_queue, one->frames);
        one->card->receive_disabled = one->is_disabled;
    }
}

void rebox_free_frames(GArray *frames)
{
    for (int i = 0; i < frames->len; i++) {
        qemu_del_net_queue(g_array_index(frames, waiting, i).frames);
    }
    g_array_free(frames, true);
}

bool __real_qemu_net_queue_flush(NetQueue *queue);
bool __wrap_qemu_net_queue_flush(NetQueue *queue);
bool __wrap_qemu_net_queue_flush(NetQueue *queue)
{
    /* True: nothing is left that the caller would drop. */
    return (rebox_is_recorded() && !runstate_is_running()) || __real_qemu_net_queue_flush(queue);
}
