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
