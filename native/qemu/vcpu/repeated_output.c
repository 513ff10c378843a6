/*
 * What a guest says once more while a replay executes once more is not written a second time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/vcpu/vcpu.h"
#include "rebox/vcpu/states.h"
#include "chardev/char.h"
#include "system/replay.h"

int __real_qemu_chr_write(Chardev *chardev, const uint8_t *bytes, int size, bool write_all);
int __wrap_qemu_chr_write(Chardev *chardev, const uint8_t *bytes, int size, bool write_all);
int __wrap_qemu_chr_write(Chardev *chardev, const uint8_t *bytes, int size, bool write_all)
{
    int result, offset;

    /* Others than the guest's ports speak of now: gdb is answered. A guest that has left its recording has no log. */
    if (likely(!rebox_furthest_count()) || replay_mode != REPLAY_MODE_PLAY || !qemu_chr_replay(chardev) ||
        rebox_instruction_count() > rebox_furthest_count()) {
        return __real_qemu_chr_write(chardev, bytes, size, write_all);
    }
    replay_char_write_event_load(&result, &offset);
    return result;
}
