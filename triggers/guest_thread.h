/*
 * Finds out which thread of a Linux guest a vCPU executes, in user mode too; what src/guest/hooking/thread-reader.ts says in JavaScript.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_GUEST_THREAD_H
#define REBOX_GUEST_THREAD_H

#include "guest_reader.h"

namespace {

class GuestThreads {
  public:
    /* The kernel's places; current is UINT64_MAX where the kernel does not say it. */
    struct Places {
        uint64_t bits = 64, current = UINT64_MAX, thread = 0, process = 0;
    } places;

    /* What identifies the thread while it lives: the kernel's record of it, else the storage that each thread has of its own. */
    uint64_t Identify(const GuestReader &memory, qemu_cpu_opaque_t cpu, uint64_t pgd) const
    {
        uint64_t base = 0, task = 0;

        if (places.current != UINT64_MAX && FindBase(memory, cpu, pgd, &base)) {
            uint64_t at = base + places.current;
            memory.Read(cpu, pgd, places.bits == 64 ? at : static_cast<uint32_t>(at), &task, places.bits / 8);
        }
        return task != 0 ? task : (places.bits == 64 ? fs_base_ : gs_base_).Read(cpu);
    }

    /* In the kernel, interrupts have stacks of their own while the thread stays the same. No thread has such a number. */
    uint64_t IdentifyStack(uint64_t stack_pointer) const
    {
        /* THREAD_SIZE (arch/x86/include/asm/page_types.h). */
        return UINT64_C(1) << 62 | stack_pointer >> (places.bits == 64 ? 14 : 13);
    }

    /* Reads the numbers of a thread and its process; 0 where the kernel does not say them. */
    void ReadNumbers(const GuestReader &memory, qemu_cpu_opaque_t cpu, uint64_t pgd, uint64_t key, uint32_t *thread,
                     uint32_t *process) const
    {
        *thread = *process = 0;
        if (places.current != UINT64_MAX) {
            memory.Read(cpu, pgd, key + places.thread, thread, sizeof(*thread));
            memory.Read(cpu, pgd, key + places.process, process, sizeof(*process));
        }
    }

  private:
    bool FindBase(const GuestReader &memory, qemu_cpu_opaque_t cpu, uint64_t pgd, uint64_t *base) const
    {
        uint64_t level = 0;

        read_register_convert(cpu, RN_CPL, &level);
        if (places.bits == 64) {
            *base = (level == 3 ? kernel_gs_base_ : gs_base_).Read(cpu);
            return true;
        }
        if (level != 3) {
            *base = fs_base_.Read(cpu);
            return true;
        }
        /* The program has its own there; the kernel loads its own from GDT_ENTRY_PERCPU (arch/x86/include/asm/segment.h). */
        uint8_t entry[8];
        if (!memory.Read(cpu, pgd, gdt_base_.Read(cpu) + 27 * sizeof(entry), entry, sizeof(entry))) {
            return false;
        }
        *base = entry[2] | entry[3] << 8 | entry[4] << 16 | static_cast<uint64_t>(entry[7]) << 24;
        return true;
    }

    Register fs_base_{ "FS_BASE" }, gs_base_{ "GS_BASE" }, kernel_gs_base_{ "KERNEL_GS_BASE" }, gdt_base_{ "GDT_BASE" };
};

}  // namespace

#endif
