/*
 * The functions that triggers have beside rebox_*: the same machine, under the names that triggers have used before.
 *
 * A vCPU is known to a trigger by its CPUX86State, a block by its rebox_block.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/guest/guest.h"
#include "hw/boards.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "qobject/qobject.h"
#include "qemu/error-report.h"

/* clang-format off */
static const char *const names[RN_LAST] = {
    [RN_EAX] = "RAX", [RN_ECX] = "RCX", [RN_EDX] = "RDX", [RN_EBX] = "RBX",
    [RN_ESP] = "RSP", [RN_EBP] = "RBP", [RN_ESI] = "RSI", [RN_EDI] = "RDI",
    [RN_R8] = "R8", [RN_R9] = "R9", [RN_R10] = "R10", [RN_R11] = "R11",
    [RN_R12] = "R12", [RN_R13] = "R13", [RN_R14] = "R14", [RN_R15] = "R15",
    [RN_EIP] = "RIP", [RN_EFLAGS] = "RFLAGS",
    [RN_CR0] = "CR0", [RN_CR2] = "CR2", [RN_CR3] = "CR3", [RN_CR4] = "CR4", [RN_CR8] = "CR8", [RN_CPL] = "CPL",
    [RN_EFER] = "EFER", [RN_LSTAR] = "LSTAR", [RN_KERNEL_GS_BASE] = "KERNEL_GS_BASE",
    [RN_ES] = "ES", [RN_CS] = "CS", [RN_SS] = "SS", [RN_DS] = "DS", [RN_FS] = "FS", [RN_GS] = "GS",
    [RN_LDT] = "LDT", [RN_TR] = "TR", [RN_GDT] = "GDT_BASE", [RN_IDT] = "IDT_BASE",
    [RN_ES_BASE] = "ES_BASE", [RN_CS_BASE] = "CS_BASE", [RN_SS_BASE] = "SS_BASE", [RN_DS_BASE] = "DS_BASE",
    [RN_FS_BASE] = "FS_BASE", [RN_GS_BASE] = "GS_BASE",
};
const register_type_t register_type[RN_LAST] = {
    [RN_ES] = RT_SEGMENT, [RN_CS] = RT_SEGMENT, [RN_SS] = RT_SEGMENT, [RN_DS] = RT_SEGMENT, [RN_FS] = RT_SEGMENT,
    [RN_GS] = RT_SEGMENT, [RN_LDT] = RT_SEGMENT, [RN_TR] = RT_SEGMENT, [RN_GDT] = RT_SEGMENT, [RN_IDT] = RT_SEGMENT,
};
/* clang-format on */

const char *const target_platform = "x86_64-softmmu";

/* Returns an id that no register has when reg is out of range. */
static size_t find_register(register_num_t reg)
{
    static size_t ids[RN_LAST];
    static bool known;
    size_t count;
    const rebox_register *registers = rebox_registers(&count);

    if (!known) {
        for (int i = 0; i < RN_LAST; i++) {
            ids[i] = names[i] ? 0 : count;
            while (ids[i] < count && strcmp(registers[ids[i]].name, names[i]) != 0) {
                ids[i]++;
            }
        }
        known = true;
    }
    return (unsigned int)reg < RN_LAST ? ids[reg] : count;
}

static inline int cpu_index_of(qemu_cpu_opaque_t cpu)
{
    return cpu ? env_cpu((CPUX86State *)cpu)->cpu_index : -1;
}

int read_register_convert(qemu_cpu_opaque_t cpu, register_num_t reg, pyrebox_target_ulong *value)
{
    if (cpu && (reg == RN_CR1 || reg == RN_CPU_INDEX)) {
        *value = reg == RN_CR1 ? 0 : cpu_index_of(cpu);
        return 0;
    }
    return cpu && rebox_register_read(cpu_index_of(cpu), find_register(reg), value) ? 0 : -1;
}

int write_register_convert(qemu_cpu_opaque_t cpu, register_num_t reg, pyrebox_target_ulong value)
{
    return cpu && rebox_register_write(cpu_index_of(cpu), find_register(reg), value) ? 0 : -1;
}

int write_selector_register_convert(qemu_cpu_opaque_t cpu, register_num_t reg, uint32_t selector,
                                    pyrebox_target_ulong base, uint32_t limit, uint32_t flags)
{
    /* RN_ES ... RN_IDT have the order of rebox_segment. */
    if (!cpu || reg < RN_ES || reg > RN_IDT) {
        return -1;
    }
    return rebox_segment_write(cpu_index_of(cpu), (rebox_segment)(reg - RN_ES), selector, base, limit, flags) ? 0 : -1;
}

int qemu_physical_memory_rw(pyrebox_target_ulong address, uint8_t *buffer, size_t length, int is_write)
{
    uint64_t fault;
    rebox_memory_result result = is_write ? rebox_write_physical(address, buffer, length, &fault)
                                          : rebox_read_physical(address, buffer, length, &fault);

    return result == REBOX_MEMORY_OK ? 0 : -1;
}

static int access_virtual(int cpu_index, uint64_t pgd, uint64_t address, uint8_t *buffer, size_t length, int is_write)
{
    uint64_t fault;
    rebox_memory_result result = is_write ? rebox_write_virtual(cpu_index, pgd, address, buffer, length, &fault)
                                          : rebox_read_virtual(cpu_index, pgd, address, buffer, length, &fault);

    return result == REBOX_MEMORY_OK ? 0 : -1;
}

int qemu_virtual_memory_rw(qemu_cpu_opaque_t cpu, pyrebox_target_ulong address, uint8_t *buffer, size_t length,
                           int is_write)
{
    return cpu ? access_virtual(cpu_index_of(cpu), ((CPUX86State *)cpu)->cr[3], address, buffer, length, is_write) : -1;
}

/* The vCPU whose paging mode an address space is read with: the one that runs it, otherwise the one that executes. */
static int cpu_index_for(uint64_t pgd)
{
    int running = get_qemu_cpu_index_with_pgd(pgd);

    return running >= 0 ? running : current_cpu ? current_cpu->cpu_index : 0;
}

int qemu_virtual_memory_rw_with_pgd(pyrebox_target_ulong pgd, pyrebox_target_ulong address, uint8_t *buffer,
                                    size_t length, int is_write)
{
    return access_virtual(cpu_index_for(pgd), pgd, address, buffer, length, is_write);
}

uint64_t qemu_virtual_to_physical_with_pgd(pyrebox_target_ulong pgd, pyrebox_target_ulong address)
{
    uint64_t physical, page_size;

    return rebox_translate(cpu_index_for(pgd), pgd, address, &physical, &page_size) ? physical : UINT64_MAX;
}

uint64_t x86_get_pte(pyrebox_target_ulong pgd, pyrebox_target_ulong address)
{
    uint64_t entry;

    return rebox_page_entry(cpu_index_for(pgd), pgd, address, &entry) ? entry : 0;
}

int x86_is_pae(void)
{
    CPUState *cpu = rebox_find_cpu(0);

    return cpu && (cpu_env(cpu)->cr[4] & CR4_PAE_MASK);
}

uint64_t connection_read_memory(uint64_t address, char *buffer, size_t length)
{
    return qemu_physical_memory_rw(address, (uint8_t *)buffer, length, 0) == 0 ? length : 0;
}

uint64_t connection_write_memory(uint64_t address, const void *buffer, size_t length)
{
    return qemu_physical_memory_rw(address, (uint8_t *)buffer, length, 1) == 0 ? length : 0;
}

uint64_t get_memory_size(void)
{
    return current_machine ? current_machine->ram_size : 0;
}

static bool is_port_size(uint8_t size)
{
    return size == 1 || size == 2 || size == 4;
}

uint32_t qemu_ioport_read(uint16_t address, uint8_t size)
{
    return is_port_size(size) ? rebox_port_read(address, size) : 0;
}

void qemu_ioport_write(uint16_t address, uint8_t size, uint32_t value)
{
    if (is_port_size(size)) {
        rebox_port_write(address, size, value);
    }
}

int get_num_cpus(void)
{
    return rebox_cpu_count();
}

qemu_cpu_opaque_t get_qemu_cpu(int cpu_index)
{
    CPUState *cpu = rebox_find_cpu(cpu_index);

    return cpu ? cpu_env(cpu) : NULL;
}

qemu_cpu_opaque_t get_qemu_cpu_with_pgd(pyrebox_target_ulong pgd)
{
    return get_qemu_cpu(get_qemu_cpu_index_with_pgd(pgd));
}

int get_qemu_cpu_index_with_pgd(pyrebox_target_ulong pgd)
{
    CPUState *cpu;

    CPU_FOREACH(cpu) {
        if (rebox_is_pgd(pgd, rebox_pgd_identity(cpu_env(cpu)))) {
            return cpu->cpu_index;
        }
    }
    return -1;
}

pyrebox_target_ulong get_pgd(qemu_cpu_opaque_t cpu)
{
    return cpu ? rebox_pgd_identity(cpu) : 0;
}

pyrebox_target_ulong get_running_process(int cpu_index)
{
    return rebox_current_pgd(cpu_index);
}

pyrebox_target_ulong get_cpu_addr(qemu_cpu_opaque_t cpu)
{
    return cpu ? ((CPUX86State *)cpu)->eip : 0;
}

pyrebox_target_ulong get_stack_pointer(qemu_cpu_opaque_t cpu)
{
    return cpu ? ((CPUX86State *)cpu)->regs[R_ESP] : 0;
}

pyrebox_target_ulong get_fs_base(qemu_cpu_opaque_t cpu)
{
    return cpu ? ((CPUX86State *)cpu)->segs[R_FS].base : 0;
}

pyrebox_target_ulong get_gs_base(qemu_cpu_opaque_t cpu)
{
    return cpu ? ((CPUX86State *)cpu)->segs[R_GS].base : 0;
}

int get_qemu_cpu_protected_mode(qemu_cpu_opaque_t cpu)
{
    return cpu && (((CPUX86State *)cpu)->cr[0] & CR0_PE_MASK);
}

int qemu_is_kernel_running(int cpu_index)
{
    CPUState *cpu = rebox_find_cpu(cpu_index);

    return cpu && (cpu_env(cpu)->hflags & HF_CPL_MASK) == 0;
}

pyrebox_target_ulong get_tb_addr(qemu_tb_opaque_t tb)
{
    return tb ? ((rebox_block *)tb)->pc : 0;
}

pyrebox_target_ulong get_tb_size(qemu_tb_opaque_t tb)
{
    return tb ? ((rebox_block *)tb)->size : 0;
}

static void on_snapshot_done(void *opaque, const char *response)
{
    g_autofree char *command = opaque;
    QObject *answer = qobject_from_json(response, NULL);
    QDict *fields = answer ? qobject_to(QDict, answer) : NULL;
    const char *said = fields ? qdict_get_try_str(fields, "return") : NULL;

    if (!said || *said) {
        error_report("a trigger's %s failed: %s", command, said ? said : response);
    }
    qobject_unref(answer);
}

static int ask_for_snapshot(const char *command, const char *name)
{
    g_autoptr(GString) line = NULL;
    g_autoptr(GString) json = NULL;
    QDict *request, *arguments;

    if (!name || !*name || rebox_recording() != REBOX_NOT_RECORDED) {
        return -1;
    }
    /* The monitor's words end at white space and have quotes of their own. */
    line = g_string_new(command);
    g_string_append(line, " \"");
    for (const char *at = name; *at; at++) {
        if (*at == '"' || *at == '\\') {
            g_string_append_c(line, '\\');
        }
        g_string_append_c(line, *at);
    }
    g_string_append_c(line, '"');
    request = qdict_new();
    arguments = qdict_new();
    qdict_put_str(request, "execute", "human-monitor-command");
    qdict_put_str(arguments, "command-line", line->str);
    qdict_put(request, "arguments", arguments);
    json = qobject_to_json(QOBJECT(request));
    qobject_unref(request);
    rebox_qmp(json->str, on_snapshot_done, g_strdup(line->str));
    return 0;
}

int pyrebox_save_vm(const char *name)
{
    return ask_for_snapshot("savevm", name);
}

int pyrebox_load_vm(const char *name)
{
    return ask_for_snapshot("loadvm", name);
}
