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
    int result = size, offset;

    if (likely(!rebox_furthest_count()) || rebox_instruction_count() > rebox_furthest_count()) {
        return __real_qemu_chr_write(chardev, bytes, size, write_all);
    }
    if (qemu_chr_replay(chardev)) {
        replay_char_write_event_load(&result, &offset);
    }
    return result;
}
