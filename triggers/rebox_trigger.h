/*
 * What a trigger includes: a C or C++ shared object that decides, natively, whether a callback's function is called.
 * docs/reference/triggers.md explains it; triggers/trigger_template.c is one to begin with.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_TRIGGER_H
#define REBOX_TRIGGER_H

#include "qemu_glue.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Raised with every change after which a trigger must be compiled anew. */
#define REBOX_TRIGGER_API 1

/*
 * Once in every trigger, at file scope: REBOX_TRIGGER_API_VERSION;
 * It says which headers the trigger was compiled with; a trigger that does not fit is refused.
 */
#define REBOX_TRIGGER_API_VERSION \
    REBOX_API extern const uint32_t rebox_trigger_api_version; \
    const uint32_t rebox_trigger_api_version = (REBOX_TRIGGER_API << 16) | REBOX_GLUE_VERSION

/*
 * Once in a trigger whose variables have names that it makes at run time: a script may then set variables of any name.
 * Without it, a name that is nowhere in the compiled trigger is refused as misspelt.
 */
#define REBOX_TRIGGER_ANY_VARIABLE \
    REBOX_API extern const uint32_t rebox_trigger_any_variable; \
    const uint32_t rebox_trigger_any_variable = 1

/*
 * Once in a trigger that is asked only about events of monitored processes, as a callback without a trigger is: all others execute code
 * without the event.
 */
#define REBOX_TRIGGER_OF_MONITORED \
    REBOX_API extern const uint32_t rebox_trigger_of_monitored; \
    const uint32_t rebox_trigger_of_monitored = 1

/* The callbacks that a trigger may be attached to. */
typedef enum callback_type_t {
    OP_BLOCK_BEGIN_CB = 0, /* BLOCK_BEGIN_CB with an address */
    OP_INSN_BEGIN_CB = 1,  /* INSN_BEGIN_CB with an address */
    BLOCK_BEGIN_CB = 2,
    BLOCK_END_CB = 3,
    INSN_BEGIN_CB = 4,
    INSN_END_CB = 5,
    MEM_READ_CB = 6,
    MEM_WRITE_CB = 7,
    KEYSTROKE_CB = 8,
    NIC_REC_CB = 9,
    NIC_SEND_CB = 10,
    OPCODE_RANGE_CB = 11,
    TLB_EXEC_CB = 12,
    CREATEPROC_CB = 13,
    REMOVEPROC_CB = 14,
    CONTEXTCHANGE_CB = 15,
    LOADMODULE_CB = 16,
    REMOVEMODULE_CB = 17,
    EXEC_CB = 18,
    CPUID_CB = 19,
    LAST_CB = 20,
} callback_type_t;

typedef struct block_begin_params {
    int cpu_index;
    qemu_cpu_opaque_t cpu;
    qemu_tb_opaque_t tb;
} block_begin_params_t;

typedef struct block_end_params {
    int cpu_index;
    qemu_cpu_opaque_t cpu;
    qemu_tb_opaque_t tb;
    pyrebox_target_ulong cur_pc; /* of the block's last instruction */
    pyrebox_target_ulong next_pc;
} block_end_params_t;

typedef struct insn_begin_params {
    int cpu_index;
    qemu_cpu_opaque_t cpu;
} insn_begin_params_t;

typedef struct insn_end_params {
    int cpu_index;
    qemu_cpu_opaque_t cpu;
} insn_end_params_t;

/* haddr and paddr are the same: the guest-physical address. */
typedef struct mem_read_params {
    int cpu_index;
    pyrebox_target_ulong vaddr;
    union {
        pyrebox_target_ulong haddr;
        pyrebox_target_ulong paddr;
    };
    pyrebox_target_ulong size; /* in bytes, at most 16 */
    qemu_cpu_opaque_t cpu;
    pyrebox_target_ulong data; /* what was read: the low 8 bytes, cleared above size */
} mem_read_params_t;

typedef struct mem_write_params {
    int cpu_index;
    pyrebox_target_ulong vaddr;
    union {
        pyrebox_target_ulong haddr;
        pyrebox_target_ulong paddr;
    };
    pyrebox_target_ulong size; /* in bytes, at most 16 */
    qemu_cpu_opaque_t cpu;
    pyrebox_target_ulong data; /* what was written: the low 8 bytes, cleared above size */
} mem_write_params_t;

typedef struct keystroke_params {
    unsigned int keycode;
} keystroke_params_t;

typedef struct nic_rec_params {
    unsigned char *buf;
    uint64_t size;
    uint64_t cur_pos;
    uint64_t start;
    uint64_t stop;
} nic_rec_params_t;

typedef struct nic_send_params {
    unsigned char *buf;
    uint64_t size;
    uint64_t address;
} nic_send_params_t;

typedef struct opcode_range_params {
    int cpu_index;
    qemu_cpu_opaque_t cpu;
    pyrebox_target_ulong cur_pc;
    pyrebox_target_ulong next_pc; /* 0 where the instruction does not say it */
    uint16_t opcode;              /* one byte, or 0x0fxx */
    uint8_t insn_size;            /* in bytes */
} opcode_range_params_t;

typedef struct tlb_exec_params {
    qemu_cpu_opaque_t cpu;
    pyrebox_target_ulong vaddr;
} tlb_exec_params_t;

/* A name ends with a zero byte and is valid during the call; the guest has chosen it. */
typedef struct vmi_create_proc_params {
    pyrebox_target_ulong pid;
    pyrebox_target_ulong pgd;
    char *name;
} vmi_create_proc_params_t;

typedef struct vmi_remove_proc_params {
    pyrebox_target_ulong pid;
    pyrebox_target_ulong pgd;
    char *name;
} vmi_remove_proc_params_t;

typedef struct vmi_context_change_params {
    pyrebox_target_ulong old_pgd;
    pyrebox_target_ulong new_pgd;
} vmi_context_change_params_t;

typedef struct vmi_load_module_params {
    pyrebox_target_ulong pid;
    pyrebox_target_ulong pgd; /* 0 for the kernel's modules */
    pyrebox_target_ulong base;
    pyrebox_target_ulong size; /* in bytes */
    char *name;
    char *fullname;
} vmi_load_module_params_t;

typedef struct vmi_remove_module_params {
    pyrebox_target_ulong pid;
    pyrebox_target_ulong pgd; /* 0 for the kernel's modules */
    pyrebox_target_ulong base;
    pyrebox_target_ulong size; /* in bytes */
    char *name;
    char *fullname;
} vmi_remove_module_params_t;

/* A program that a process begins. The words end with a null pointer; they and the path are valid during the call. */
typedef struct vmi_exec_params {
    pyrebox_target_ulong pid;
    pyrebox_target_ulong pgd;
    char *name;
    char *path;
    char **argv;
    char **envp;
} vmi_exec_params_t;

/* CPUID was executed: the answer is in the registers. */
typedef struct cpuid_params {
    int cpu_index;
    qemu_cpu_opaque_t cpu;
    pyrebox_target_ulong leaf;    /* what EAX held */
    pyrebox_target_ulong subleaf; /* what ECX held */
} cpuid_params_t;

/* Only the member of the trigger's own type is filled in. */
typedef struct callback_params {
    union {
        block_begin_params_t block_begin_params; /* also of OP_BLOCK_BEGIN_CB */
        block_end_params_t block_end_params;
        insn_begin_params_t insn_begin_params; /* also of OP_INSN_BEGIN_CB */
        insn_end_params_t insn_end_params;
        mem_read_params_t mem_read_params;
        mem_write_params_t mem_write_params;
        keystroke_params_t keystroke_params;
        nic_rec_params_t nic_rec_params;
        nic_send_params_t nic_send_params;
        opcode_range_params_t opcode_range_params;
        tlb_exec_params_t tlb_exec_params;
        vmi_create_proc_params_t vmi_create_proc_params;
        vmi_remove_proc_params_t vmi_remove_proc_params;
        vmi_context_change_params_t vmi_context_change_params;
        vmi_load_module_params_t vmi_load_module_params;
        vmi_remove_module_params_t vmi_remove_module_params;
        vmi_exec_params_t vmi_exec_params;
        cpuid_params_t cpuid_params;
    };
} callback_params_t;

/* Names the callback that a trigger is attached to, until clean() has returned. */
typedef uint64_t callback_handle_t;

/* ---- what a trigger defines; C++ needs no extern "C" of its own after this header ---- */

/* The one type of callback that the trigger may be attached to. Called once, first. */
REBOX_API callback_type_t get_type(void);

/*
 * Decides about one event: of any process, unless REBOX_TRIGGER_OF_MONITORED says otherwise. 1 calls the callback's function, 0 does
 * not.
 */
REBOX_API int trigger(callback_handle_t handle, callback_params_t params);

/* Releases what the trigger holds, its variables too: erase_trigger_vars(). Called once, last. */
REBOX_API void clean(callback_handle_t handle);

/* Optional. Called once, before the first event: the place for declare_function(). */
REBOX_API void trigger_init(callback_handle_t handle);

/*
 * Optional, of MEM_READ_CB and MEM_WRITE_CB. Asked before trigger(), in a fraction of its time, while the callback has no filter and is the
 * only one on its type; otherwise trigger() is asked at once. 0 rejects the access. Generated code calls it: it may only look at its
 * arguments and its own variables, and throws nothing.
 *
 * code is the address of the instruction; size is in bytes, at most 16; low and high are what was read or written, the first 8 bytes and
 * the rest, cleared above size.
 */
REBOX_API int sieve(uint64_t code, uint64_t address, uint32_t size, uint64_t low, uint64_t high);

/* ---- variables, shared with the script ---- */

/*
 * The value of a variable, NULL when there is none. A script's numbers and bigints are a uint64_t, its strings end
 * with a zero byte. The pointer is valid until the variable is set again; what it points to may be changed.
 */
REBOX_API void *get_var(callback_handle_t handle, const char *key_str);

/*
 * Sets a variable to memory from malloc(), which is freed with free() when the variable is set again or erased. The
 * script sees the pointer's number and nothing else: it cannot know what lies there. The functions below say it.
 */
REBOX_API void set_var(callback_handle_t handle, const char *key_str, void *val);

/* Set a variable to a copy, which the script reads as bigint, string and Uint8Array. */
REBOX_API void set_var_uint64(callback_handle_t handle, const char *key_str, uint64_t value);
REBOX_API void set_var_string(callback_handle_t handle, const char *key_str, const char *text);
REBOX_API void set_var_bytes(callback_handle_t handle, const char *key_str, const void *bytes, size_t size);

/* The size of a variable's value in bytes, a string's without its zero; 0 for a pointer of set_var(). */
REBOX_API size_t get_var_size(callback_handle_t handle, const char *key_str);

/* Read a variable of this kind; 0 and NULL when there is none, or one of another kind. */
REBOX_API int get_var_uint64(callback_handle_t handle, const char *key_str, uint64_t *value);
REBOX_API const char *get_var_string(callback_handle_t handle, const char *key_str);

/* Forgets a variable; with bool_free its value is freed. */
REBOX_API void delete_var(callback_handle_t handle, const char *key_str, int bool_free);

/* Forgets and frees all variables. What clean() leaves is freed after it. */
REBOX_API void erase_trigger_vars(callback_handle_t handle);

/* ---- further addresses, for triggers of OP_BLOCK_BEGIN_CB and OP_INSN_BEGIN_CB ---- */

/*
 * Has the trigger asked at another address too, in the process pgd or, with REBOX_ALL_PROCESSES, in any. Returns the hook's
 * number; 0 for a trigger of another type, and in trigger_init() and clean(). All of them go with the trigger.
 */
REBOX_API uint32_t rebox_trigger_hook(callback_handle_t handle, pyrebox_target_ulong address, pyrebox_target_ulong pgd);
/* Nothing happens when there is no such hook. */
REBOX_API void rebox_trigger_unhook(callback_handle_t handle, uint32_t hook);

/* ---- how often a trigger of BLOCK_BEGIN_CB is asked ---- */

/*
 * With REBOX_TELL_ONCE, a block that trigger() has rejected is not asked about again in the same address space, and one of the kernel
 * not in any; with REBOX_TELL_PROGRAMS_ONCE, the kernel's may not be asked about at all. Known blocks are passed over by generated code,
 * in a fraction of the time. It may always be asked more often: about code that processes share in turn, while the callback has a filter
 * or is not the only one on its type, and while other events of code are listened to.
 */
REBOX_API void rebox_trigger_ask(callback_handle_t handle, rebox_telling how);
/*
 * Has the trigger asked again about all blocks of the process pgd, or with REBOX_ALL_PROCESSES about all of any process and the kernel:
 * after what it rejects has changed, and when a process has ended, since another one may get its address space.
 */
REBOX_API void rebox_trigger_ask_again(callback_handle_t handle, pyrebox_target_ulong pgd);

/* ---- time ---- */

/* A clock of the host in nanoseconds that stands still while the machine is paused, as the guest's own clocks do. */
REBOX_API uint64_t rebox_trigger_clock_ns(void);

/* ---- output ---- */

typedef enum rebox_print_kind {
    REBOX_PRINT_TEXT,
    REBOX_PRINT_DEBUG,
    REBOX_PRINT_WARNING,
    REBOX_PRINT_ERROR,
} rebox_print_kind;

/* Prints a message as scripts do. Slow: it is for people. */
REBOX_API void rebox_trigger_print(rebox_print_kind kind, const char *text);

/* ---- functions that the script may call ---- */

typedef void (*function_t)(callback_handle_t handle);

REBOX_API void declare_function(callback_handle_t handle, const char *function_name, function_t function);

/* Nothing happens when no such function was declared. */
REBOX_API void call_function(callback_handle_t handle, const char *function_name);

#ifdef __cplusplus
}
#endif

#endif
