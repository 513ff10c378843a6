/*
 * gdb and QEMU's monitor at a machine that is recorded or replayed: they look, and change nothing.
 *
 * A register of a device may change by being read (the causes of an interrupt of e1000 do), by which a replay departs: only memory that is
 * RAM or ROM is read. Where a virtual address is mapped to a device, it reads as one that is not mapped.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/vcpu/vcpu.h"
#include "exec/address-spaces.h"
#include "exec/cpu-common.h"
#include "exec/memory.h"
#include "gdbstub/commands.h"
#include "gdbstub/internals.h"
#include "monitor/monitor.h"
#include "qapi/error.h"
#include "qobject/qdict.h"

/* The longest instruction, which a disassembler may read. */
#define LONGEST_INSTRUCTION 16
#define REASON "a machine that is recorded or replayed is read where it has RAM or ROM, not its devices"

/* Whether nothing of a range is of a device. */
static bool is_memory(AddressSpace *space, hwaddr address, hwaddr size, MemTxAttrs attrs)
{
    RCU_READ_LOCK_GUARD();
    while (size) {
        hwaddr offset, part = size;
        MemoryRegion *region = address_space_translate(space, address, &offset, &part, false, attrs);

        if (!(memory_region_is_ram(region) && !memory_region_is_ram_device(region)) && !memory_region_is_romd(region)) {
            return false;
        }
        address += part;
        size -= part;
    }
    return true;
}

/* Whether a physical range may be looked at. */
static bool may_look(hwaddr address, hwaddr size)
{
    return !rebox_is_recorded() || is_memory(&address_space_memory, address, size, MEMTXATTRS_UNSPECIFIED);
}

/* ---- virtual memory: gdb, the monitor's x, memsave ---- */

int __real_cpu_memory_rw_debug(CPUState *cpu, vaddr address, void *bytes, size_t size, bool is_write);
int __wrap_cpu_memory_rw_debug(CPUState *cpu, vaddr address, void *bytes, size_t size, bool is_write);
int __wrap_cpu_memory_rw_debug(CPUState *cpu, vaddr address, void *bytes, size_t size, bool is_write)
{
    vaddr at = address;
    size_t left = rebox_is_recorded() && !is_write ? size : 0;

    while (left) {
        MemTxAttrs attrs;
        vaddr page = at & TARGET_PAGE_MASK;
        hwaddr physical = cpu_get_phys_page_attrs_debug(cpu, page, &attrs);
        AddressSpace *space = cpu_get_address_space(cpu, cpu_asidx_from_attrs(cpu, attrs));
        size_t part = MIN(left, page + TARGET_PAGE_SIZE - at);

        if (physical == -1 || !is_memory(space, physical + (at - page), part, attrs)) {
            return -1;
        }
        at += part;
        left -= part;
    }
    return __real_cpu_memory_rw_debug(cpu, address, bytes, size, is_write);
}

/* ---- gdb ---- */

static bool is_physical; /* gdb speaks of physical addresses */

void __real_gdb_handle_set_qemu_phy_mem_mode(GArray *params, void *context);
void __wrap_gdb_handle_set_qemu_phy_mem_mode(GArray *params, void *context);
void __wrap_gdb_handle_set_qemu_phy_mem_mode(GArray *params, void *context)
{
    if (params->len) {
        is_physical = gdb_get_cmd_param(params, 0)->val_ul != 0;
    }
    __real_gdb_handle_set_qemu_phy_mem_mode(params, context);
}

int __real_gdb_target_memory_rw_debug(CPUState *cpu, hwaddr address, uint8_t *bytes, int size, bool is_write);
int __wrap_gdb_target_memory_rw_debug(CPUState *cpu, hwaddr address, uint8_t *bytes, int size, bool is_write);
int __wrap_gdb_target_memory_rw_debug(CPUState *cpu, hwaddr address, uint8_t *bytes, int size, bool is_write)
{
    if (rebox_is_recorded() && (is_write || (is_physical && !may_look(address, size)))) {
        return -1;
    }
    return __real_gdb_target_memory_rw_debug(cpu, address, bytes, size, is_write);
}

int __real_x86_cpu_gdb_write_register(CPUState *cpu, uint8_t *bytes, int number);
int __wrap_x86_cpu_gdb_write_register(CPUState *cpu, uint8_t *bytes, int number);
int __wrap_x86_cpu_gdb_write_register(CPUState *cpu, uint8_t *bytes, int number)
{
    return rebox_is_recorded() ? 0 : __real_x86_cpu_gdb_write_register(cpu, bytes, number);
}

/* ---- gdb's command monitor ---- */

/* Those of the monitor's commands that only look. */
static const char *const looks[] = { "info", "x", "xp", "print", "p", "help", "?" };

/* Whether a command, in hexadecimal as gdb has sent it, only looks. */
static bool is_look(const char *hex)
{
    char word[8] = "";
    unsigned int letter;

    for (size_t i = 0; i + 1 < sizeof(word) && sscanf(hex + 2 * i, "%2x", &letter) == 1; i++) {
        if (g_ascii_isspace(letter) || letter == '/') {
            break;
        }
        word[i] = letter;
    }
    for (int i = 0; i < ARRAY_SIZE(looks); i++) {
        if (!strcmp(word, looks[i])) {
            return true;
        }
    }
    return false;
}

void __real_gdb_handle_query_rcmd(GArray *params, void *context);
void __wrap_gdb_handle_query_rcmd(GArray *params, void *context);
void __wrap_gdb_handle_query_rcmd(GArray *params, void *context)
{
    static const char refusal[] =
        "the machine is recorded or replayed: of the monitor's commands, info, x, xp, print and help can be given\n";
    g_autoptr(GString) told = g_string_new("O");

    if (!rebox_is_recorded() || !params->len || is_look(gdb_get_cmd_param(params, 0)->data)) {
        __real_gdb_handle_query_rcmd(params, context);
        return;
    }
    gdb_memtohex(told, (const uint8_t *)refusal, sizeof(refusal) - 1);
    gdb_put_packet(told->str);
    gdb_put_packet("OK");
}

/* ---- physical memory: the monitor's xp, sum and pmemsave ---- */

void __real_hmp_physical_memory_dump(Monitor *mon, const QDict *words);
void __wrap_hmp_physical_memory_dump(Monitor *mon, const QDict *words);
void __wrap_hmp_physical_memory_dump(Monitor *mon, const QDict *words)
{
    int64_t count = qdict_get_int(words, "count");
    int64_t size = qdict_get_int(words, "format") == 'i' ? LONGEST_INSTRUCTION : qdict_get_int(words, "size");

    if (count > 0 && size > 0 && !may_look(qdict_get_int(words, "addr"), count * size)) {
        monitor_printf(mon, "Error: " REASON "\n");
        return;
    }
    __real_hmp_physical_memory_dump(mon, words);
}

void __real_hmp_sum(Monitor *mon, const QDict *words);
void __wrap_hmp_sum(Monitor *mon, const QDict *words);
void __wrap_hmp_sum(Monitor *mon, const QDict *words)
{
    if (!may_look((uint32_t)qdict_get_int(words, "start"), (uint32_t)qdict_get_int(words, "size"))) {
        monitor_printf(mon, "Error: " REASON "\n");
        return;
    }
    __real_hmp_sum(mon, words);
}

void __real_qmp_pmemsave(uint64_t address, uint64_t size, const char *path, Error **errp);
void __wrap_qmp_pmemsave(uint64_t address, uint64_t size, const char *path, Error **errp);
void __wrap_qmp_pmemsave(uint64_t address, uint64_t size, const char *path, Error **errp)
{
    if (!may_look(address, size)) {
        error_setg(errp, REASON);
        return;
    }
    __real_qmp_pmemsave(address, size, path, errp);
}
