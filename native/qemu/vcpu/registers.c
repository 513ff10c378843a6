/*
 * The vCPUs' registers: one table that names them for every layer above.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/vcpu/vcpu.h"
#include "exec/translation-block.h"
#include "exec/exec-all.h"
#include "qemu/main-loop.h"
#include "hw/i386/apic.h"
#include "target/i386/tcg/helper-tcg.h"
#include "tcg/insn-start-words.h"

/* Computed registers have no place in CPUX86State; this is where their number goes in the table's offset. */
enum { COMPUTED_RFLAGS, COMPUTED_CR8, COMPUTED_CPL };

/* clang-format off */
#define PLAIN(label, member, may_write) \
    { .name = label, .offset = offsetof(CPUX86State, member), .size = sizeof_field(CPUX86State, member), \
      .kind = REBOX_REGISTER_PLAIN, .writable = may_write }
#define COMPUTED(label, number, bytes, may_write) \
    { .name = label, .offset = number, .size = bytes, .kind = REBOX_REGISTER_COMPUTED, .writable = may_write }
#define SEGMENT(label, member) \
    PLAIN(label, member.selector, false), PLAIN(label "_BASE", member.base, false), \
    PLAIN(label "_LIMIT", member.limit, false), PLAIN(label "_FLAGS", member.flags, false)
#define XMM(number) \
    { .name = "XMM" #number, .offset = offsetof(CPUX86State, xmm_regs[number]), .size = 16, \
      .kind = REBOX_REGISTER_PLAIN, .writable = false }

static const rebox_register registers[] = {
    PLAIN("RAX", regs[R_EAX], true), PLAIN("RCX", regs[R_ECX], true), PLAIN("RDX", regs[R_EDX], true),
    PLAIN("RBX", regs[R_EBX], true), PLAIN("RSP", regs[R_ESP], true), PLAIN("RBP", regs[R_EBP], true),
    PLAIN("RSI", regs[R_ESI], true), PLAIN("RDI", regs[R_EDI], true), PLAIN("R8", regs[R_R8], true),
    PLAIN("R9", regs[R_R9], true), PLAIN("R10", regs[R_R10], true), PLAIN("R11", regs[R_R11], true),
    PLAIN("R12", regs[R_R12], true), PLAIN("R13", regs[R_R13], true), PLAIN("R14", regs[R_R14], true),
    PLAIN("R15", regs[R_R15], true), PLAIN("RIP", eip, true),
    COMPUTED("RFLAGS", COMPUTED_RFLAGS, 8, true),
    PLAIN("CR0", cr[0], true), PLAIN("CR2", cr[2], true), PLAIN("CR3", cr[3], true), PLAIN("CR4", cr[4], true),
    COMPUTED("CR8", COMPUTED_CR8, 8, false), COMPUTED("CPL", COMPUTED_CPL, 1, false),
    SEGMENT("ES", segs[R_ES]), SEGMENT("CS", segs[R_CS]), SEGMENT("SS", segs[R_SS]), SEGMENT("DS", segs[R_DS]),
    SEGMENT("FS", segs[R_FS]), SEGMENT("GS", segs[R_GS]), SEGMENT("LDT", ldt), SEGMENT("TR", tr),
    PLAIN("GDT_BASE", gdt.base, false), PLAIN("GDT_LIMIT", gdt.limit, false),
    PLAIN("IDT_BASE", idt.base, false), PLAIN("IDT_LIMIT", idt.limit, false),
    PLAIN("DR0", dr[0], false), PLAIN("DR1", dr[1], false), PLAIN("DR2", dr[2], false), PLAIN("DR3", dr[3], false),
    PLAIN("DR6", dr[6], false), PLAIN("DR7", dr[7], false),
    PLAIN("EFER", efer, false), PLAIN("STAR", star, true), PLAIN("LSTAR", lstar, true), PLAIN("CSTAR", cstar, true),
    PLAIN("FMASK", fmask, true), PLAIN("KERNEL_GS_BASE", kernelgsbase, true),
    PLAIN("SYSENTER_CS", sysenter_cs, true), PLAIN("SYSENTER_ESP", sysenter_esp, true),
    PLAIN("SYSENTER_EIP", sysenter_eip, true), PLAIN("TSC_AUX", tsc_aux, true), PLAIN("XCR0", xcr0, false),
    PLAIN("MXCSR", mxcsr, false),
    XMM(0), XMM(1), XMM(2), XMM(3), XMM(4), XMM(5), XMM(6), XMM(7),
    XMM(8), XMM(9), XMM(10), XMM(11), XMM(12), XMM(13), XMM(14), XMM(15),
};
/* clang-format on */

rebox_disturbance rebox_noted_disturbance;
bool rebox_has_settled;

void rebox_settle_flags(CPUState *cpu)
{
    uint64_t words[TARGET_INSN_START_WORDS];

    if (!rebox_code_pointer || rebox_has_settled || cpu != current_cpu) {
        return;
    }
    rebox_has_settled = true;
    /* Not cpu_restore_state(), which gives back the instructions of the rest of the block: it may go on. */
    if (cpu_unwind_state_data(cpu, rebox_code_pointer, words) && words[1] != CC_OP_DYNAMIC) {
        cpu_env(cpu)->cc_op = words[1];
    }
}

void rebox_disturb(CPUState *cpu, rebox_disturbance what)
{
    if (rebox_in_guest_code() && cpu == current_cpu) {
        rebox_noted_disturbance = MAX(rebox_noted_disturbance, what);
    }
}

int rebox_cpu_count(void)
{
    CPUState *cpu;
    int count = 0;

    CPU_FOREACH(cpu) {
        count++;
    }
    return count;
}

const rebox_register *rebox_registers(size_t *count)
{
    *count = ARRAY_SIZE(registers);
    return registers;
}

void *rebox_cpu_state(int cpu_index, size_t *size)
{
    CPUState *cpu = rebox_find_cpu(cpu_index);

    *size = sizeof(CPUX86State);
    return cpu ? cpu_env(cpu) : NULL;
}

bool rebox_is_kernel(int cpu_index)
{
    CPUState *cpu = rebox_find_cpu(cpu_index);

    return cpu && (cpu_env(cpu)->hflags & HF_CPL_MASK) == 0;
}

static uint64_t compute(CPUX86State *env, uint32_t number)
{
    switch (number) {
    case COMPUTED_RFLAGS:
        rebox_settle_flags(env_cpu(env));
        return cpu_compute_eflags(env);
    case COMPUTED_CR8:
        return env_archcpu(env)->apic_state ? cpu_get_apic_tpr(env_archcpu(env)->apic_state) : 0;
    default:
        return env->hflags & HF_CPL_MASK;
    }
}

bool rebox_register_read(int cpu_index, size_t id, uint64_t *value)
{
    CPUState *cpu = rebox_find_cpu(cpu_index);

    if (!cpu || id >= ARRAY_SIZE(registers)) {
        return false;
    }
    *value = 0;
    if (registers[id].kind == REBOX_REGISTER_COMPUTED) {
        *value = compute(cpu_env(cpu), registers[id].offset);
    } else {
        memcpy(value, (uint8_t *)cpu_env(cpu) + registers[id].offset, MIN(registers[id].size, sizeof(*value)));
    }
    return true;
}

bool rebox_register_write(int cpu_index, size_t id, uint64_t value)
{
    CPUState *cpu = rebox_find_cpu(cpu_index);
    const rebox_register *which = &registers[id];
    CPUX86State *env;

    if (!cpu || id >= ARRAY_SIZE(registers) || !which->writable || rebox_is_recorded()) {
        return false;
    }
    env = cpu_env(cpu);
    if (which->kind == REBOX_REGISTER_COMPUTED) {
        rebox_settle_flags(cpu);
        cpu_load_eflags(env, value, ~(CC_O | CC_S | CC_Z | CC_A | CC_P | CC_C | DF_MASK));
        rebox_disturb(cpu, REBOX_STATE_CHANGED);
    } else if (which->offset == offsetof(CPUX86State, eip)) {
        env->eip = value;
        rebox_disturb(cpu, REBOX_PC_CHANGED);
    } else if (which->offset == offsetof(CPUX86State, cr[0])) {
        cpu_x86_update_cr0(env, value);
        rebox_disturb(cpu, REBOX_STATE_CHANGED);
    } else if (which->offset == offsetof(CPUX86State, cr[3])) {
        cpu_x86_update_cr3(env, value);
        rebox_disturb(cpu, REBOX_STATE_CHANGED);
    } else if (which->offset == offsetof(CPUX86State, cr[4])) {
        cpu_x86_update_cr4(env, value);
        rebox_disturb(cpu, REBOX_STATE_CHANGED);
    } else {
        memcpy((uint8_t *)env + which->offset, &value, which->size);
    }
    return true;
}

bool rebox_segment_write(int cpu_index, rebox_segment segment, uint32_t selector, uint64_t base, uint32_t limit,
                         uint32_t flags)
{
    CPUState *cpu = rebox_find_cpu(cpu_index);
    CPUX86State *env;
    SegmentCache cache = { .selector = selector, .base = base, .limit = limit, .flags = flags };

    if (!cpu || rebox_is_recorded()) {
        return false;
    }
    env = cpu_env(cpu);
    switch (segment) {
    case REBOX_ES:
    case REBOX_CS:
    case REBOX_SS:
    case REBOX_DS:
    case REBOX_FS:
    case REBOX_GS:
        /* The enumeration has the order of R_ES ... R_GS. */
        cpu_x86_load_seg_cache(env, (X86Seg)segment, selector, base, limit, flags);
        break;
    case REBOX_LDT:
        env->ldt = cache;
        break;
    case REBOX_TR:
        env->tr = cache;
        break;
    case REBOX_GDT:
        env->gdt = cache;
        break;
    case REBOX_IDT:
        env->idt = cache;
        break;
    default:
        return false;
    }
    rebox_disturb(cpu, REBOX_STATE_CHANGED);
    return true;
}
