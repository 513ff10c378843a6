/*
 * What is typed into a port of a recorded guest.
 *
 * QEMU asks the port how many bytes it has room for, and reads as many. A recorder does not hand them over at once: the vCPUs take them out
 * of a list in their next turn, and until then the port's room is what it was. More would be read than it has room for, and lost.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/vcpu/vcpu.h"
#include "qapi/qapi-types-ui.h"
#include "chardev/char.h"
#include "qemu/main-loop.h"
#include "system/replay.h"
/* Last: it needs types of the others. */
#include "replay/replay-internal.h"

/* Pieces of input that were read and not handed over. */
static unsigned int waiting;

int __real_qemu_chr_be_can_write(Chardev *chardev);
int __wrap_qemu_chr_be_can_write(Chardev *chardev);
int __wrap_qemu_chr_be_can_write(Chardev *chardev)
{
    if (qatomic_read(&waiting) && qemu_chr_replay(chardev)) {
        return 0;
    }
    return __real_qemu_chr_be_can_write(chardev);
}

void __real_replay_chr_be_write(Chardev *chardev, const uint8_t *bytes, int size);
void __wrap_replay_chr_be_write(Chardev *chardev, const uint8_t *bytes, int size);
void __wrap_replay_chr_be_write(Chardev *chardev, const uint8_t *bytes, int size)
{
    if (replay_mode == REPLAY_MODE_RECORD) {
        qatomic_inc(&waiting);
    }
    __real_replay_chr_be_write(chardev, bytes, size);
}

void __real_replay_event_char_read_run(void *event);
void __wrap_replay_event_char_read_run(void *event);
void __wrap_replay_event_char_read_run(void *event)
{
    __real_replay_event_char_read_run(event);
    if (replay_mode == REPLAY_MODE_RECORD) {
        qatomic_dec(&waiting);
        /* There is room again. */
        qemu_notify_event();
    }
}
