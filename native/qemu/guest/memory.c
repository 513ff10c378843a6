/*
 * Guest-physical and guest-virtual memory, and I/O ports.
 *
 * Reads and writes touch RAM and ROM only. A device's registers change when they are read, so an address that a device
 * answers is an error here, not a value.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/guest/guest.h"
#include "exec/address-spaces.h"
#include "exec/ioport.h"
#include "exec/memory.h"
#include "exec/ram_addr.h"
#include "qemu/main-loop.h"
#include "qemu/rcu.h"
#include "system/hostmem.h"

/* Copies within one memory region; size is cut to what lies in it. */
static rebox_memory_result copy_physical(uint64_t address, uint8_t *bytes, size_t *size, bool is_write)
{
    hwaddr offset, length = *size;
    MemoryRegion *region;

    RCU_READ_LOCK_GUARD();
    region = address_space_translate(&address_space_memory, address, &offset, &length, is_write,
                                     MEMTXATTRS_UNSPECIFIED);
    *size = length;
    if (!memory_region_is_ram(region) && !memory_region_is_romd(region)) {
        return REBOX_MEMORY_NOT_RAM;
    }
    if (!is_write) {
        memcpy(bytes, (uint8_t *)memory_region_get_ram_ptr(region) + offset, length);
        return REBOX_MEMORY_OK;
    }
    if (memory_region_is_rom(region) || memory_region_is_romd(region)) {
        return REBOX_MEMORY_READ_ONLY;
    }
    /* Through QEMU, which has to invalidate translated code and to mark the page dirty. */
    return address_space_write(&address_space_memory, address, MEMTXATTRS_UNSPECIFIED, bytes, length) == MEMTX_OK
               ? REBOX_MEMORY_OK
               : REBOX_MEMORY_NOT_RAM;
}

static rebox_memory_result access_physical(uint64_t address, uint8_t *bytes, size_t size, bool is_write,
                                           uint64_t *fault)
{
    while (size) {
        size_t part = size;
        rebox_memory_result result;

        if (address > UINT64_MAX - (part - 1)) {
            part = UINT64_MAX - address + 1;
        }
        result = copy_physical(address, bytes, &part, is_write);
        if (result != REBOX_MEMORY_OK || part == 0) {
            *fault = address;
            return result != REBOX_MEMORY_OK ? result : REBOX_MEMORY_NOT_RAM;
        }
        address += part;
        bytes += part;
        size -= part;
        if (address == 0 && size) {
            *fault = address;
            return REBOX_MEMORY_NOT_RAM;
        }
    }
    return REBOX_MEMORY_OK;
}

rebox_memory_result rebox_read_physical(uint64_t address, void *to, size_t size, uint64_t *fault)
{
    return access_physical(address, to, size, false, fault);
}

rebox_memory_result rebox_write_physical(uint64_t address, const void *from, size_t size, uint64_t *fault)
{
    if (rebox_is_recorded()) {
        *fault = address;
        return REBOX_MEMORY_RECORDED;
    }
    return access_physical(address, (uint8_t *)from, size, true, fault);
}

/*
 * Finds where the host has what the executing vCPU would read, by its TLBs: they have nearly all that the guest is using right
 * now, and a walk of the page tables takes thirty times as long. NULL where they do not have it, or it is no plain memory.
 */
static const uint8_t *find_in_tlbs(CPUState *cpu, uint64_t address)
{
    for (int mmu_idx = 0; mmu_idx < MMU_PHYS_IDX; mmu_idx++) {
        const CPUTLBDescFast *tlb = &cpu->neg.tlb.f[mmu_idx];
        uintptr_t index = (address >> TARGET_PAGE_BITS) & (tlb->mask >> CPU_TLB_ENTRY_BITS);
        const CPUTLBEntry *entry = &tlb->table[index];

        /* All that is special about a page is in the low bits, and makes them differ. */
        if (entry->addr_read == (address & TARGET_PAGE_MASK)) {
            return (const uint8_t *)(uintptr_t)(address + entry->addend);
        }
    }
    return NULL;
}

static bool read_executing(int cpu_index, uint64_t pgd, uint64_t address, void *to, size_t size)
{
    CPUState *cpu = current_cpu;
    const uint8_t *host;

    if (!cpu || cpu->cpu_index != cpu_index || !rebox_in_guest_code() ||
        size > TARGET_PAGE_SIZE - (address & ~TARGET_PAGE_MASK) ||
        !rebox_is_pgd(pgd, rebox_pgd_identity(cpu_env(cpu)))) {
        return false;
    }
    host = find_in_tlbs(cpu, address);
    if (host) {
        memcpy(to, host, size);
    }
    return host != NULL;
}

static rebox_memory_result access_virtual(int cpu_index, uint64_t pgd, uint64_t address, uint8_t *bytes, size_t size,
                                          bool is_write, uint64_t *fault)
{
    while (size) {
        uint64_t physical, page_size;
        size_t part;
        rebox_memory_result result;

        if (!rebox_translate(cpu_index, pgd, address, &physical, &page_size)) {
            *fault = address;
            return REBOX_MEMORY_UNMAPPED;
        }
        part = MIN(size, page_size - (address & (page_size - 1)));
        result = access_physical(physical, bytes, part, is_write, fault);
        if (result != REBOX_MEMORY_OK) {
            return result;
        }
        address += part;
        bytes += part;
        size -= part;
    }
    return REBOX_MEMORY_OK;
}

rebox_memory_result rebox_read_virtual(int cpu_index, uint64_t pgd, uint64_t address, void *to, size_t size,
                                       uint64_t *fault)
{
    if (read_executing(cpu_index, pgd, address, to, size)) {
        return REBOX_MEMORY_OK;
    }
    return access_virtual(cpu_index, pgd, address, to, size, false, fault);
}

rebox_memory_result rebox_write_virtual(int cpu_index, uint64_t pgd, uint64_t address, const void *from, size_t size,
                                        uint64_t *fault)
{
    if (rebox_is_recorded()) {
        *fault = address;
        return REBOX_MEMORY_RECORDED;
    }
    return access_virtual(cpu_index, pgd, address, (uint8_t *)from, size, true, fault);
}

typedef struct region_list {
    rebox_ram_region *regions;
    size_t max, count;
} region_list;

static bool add_region(Int128 start, Int128 length, const MemoryRegion *const_region, hwaddr offset, void *opaque)
{
    MemoryRegion *region = (MemoryRegion *)const_region;
    region_list *list = opaque;

    if (!memory_region_is_ram(region) && !memory_region_is_romd(region)) {
        return false;
    }
    if (list->count < list->max) {
        list->regions[list->count] = (rebox_ram_region){
            .address = int128_get64(start),
            .size = int128_get64(length),
            .host = (uint8_t *)memory_region_get_ram_ptr(region) + offset,
            .read_only = memory_region_is_rom(region) || memory_region_is_romd(region),
            /* Every machine's memory is a backend's, also when no -object asks for one. */
            .is_main = object_dynamic_cast(memory_region_owner(region), TYPE_MEMORY_BACKEND) != NULL,
        };
    }
    list->count++;
    return false;
}

size_t rebox_ram_regions(rebox_ram_region *regions, size_t max)
{
    region_list list = { .regions = regions, .max = max };

    RCU_READ_LOCK_GUARD();
    flatview_for_each_range(address_space_to_flatview(&address_space_memory), add_region, &list);
    return list.count;
}

static uint32_t read_port(uint16_t port, int size)
{
    switch (size) {
    case 1:
        return cpu_inb(port);
    case 2:
        return cpu_inw(port);
    default:
        return cpu_inl(port);
    }
}

uint32_t rebox_port_read(uint16_t port, int size)
{
    rebox_clock_access clock;
    uint32_t value;

    if (rebox_is_recorded()) {
        return 0;
    }
    clock = rebox_open_clock();
    value = read_port(port, size);
    rebox_close_clock(clock);
    return value;
}

static void write_port(uint16_t port, int size, uint32_t value)
{
    switch (size) {
    case 1:
        cpu_outb(port, value);
        break;
    case 2:
        cpu_outw(port, value);
        break;
    default:
        cpu_outl(port, value);
    }
}

void rebox_port_write(uint16_t port, int size, uint32_t value)
{
    rebox_clock_access clock;

    if (rebox_is_recorded()) {
        return;
    }
    clock = rebox_open_clock();
    write_port(port, size, value);
    rebox_close_clock(clock);
    rebox_rouse_vcpus();
}
