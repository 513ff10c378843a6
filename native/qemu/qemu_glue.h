/*
 * The C API of rebox's QEMU: what the addon and triggers may use. It names no QEMU type.
 *
 * Threads: "the vCPU thread" is the one that called rebox_engine_start(); Node's JavaScript thread. Unless a function
 * says "any thread", it must be called there. Addresses are guest addresses unless a name says host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_QEMU_GLUE_H
#define REBOX_QEMU_GLUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define REBOX_API __attribute__((visibility("default")))

/* Raised with every change that breaks a caller; compared by the addon before anything else is called. */
#define REBOX_GLUE_VERSION 9

REBOX_API int rebox_glue_version(void);

/* QEMU's own version, for example "10.0.13". */
REBOX_API const char *rebox_qemu_version(void);

/* ---- engine: start, execution, end (vcpu/) ---- */

typedef struct rebox_engine_events {
    void *opaque;
    /* Any thread. Says that the idle vCPUs have work again: call rebox_engine_slice(). Once for each idle period. */
    void (*wake)(void *opaque);
    /* QEMU's main-loop thread. Says that the machine entered a QEMU run state, such as "running" or "paused". */
    void (*run_state)(void *opaque, bool running, const char *state);
    /* QEMU's main-loop thread. Says that the machine was reset; firmware may do so once more by itself. */
    void (*reset)(void *opaque);
    /*
     * QEMU's main-loop thread, once, after which no function but the memory reads is useful. With crashed the end is
     * an engine fault, described by message, otherwise an orderly end, whose cause is a QEMU ShutdownCause.
     */
    void (*ended)(void *opaque, bool crashed, const char *cause, const char *message);
} rebox_engine_events;

typedef enum rebox_start_result {
    REBOX_START_OK,
    REBOX_START_EXITED, /* QEMU wanted to end its process: see exit_status and message */
    REBOX_START_TWICE,  /* one engine for each process */
} rebox_start_result;

/*
 * Builds the machine that argv describes (argv[0] is a program name). The calling thread becomes the vCPU thread; it
 * must be the one that loaded the library. No guest instruction runs yet. message receives what QEMU reported, with
 * a terminating zero.
 */
REBOX_API rebox_start_result rebox_engine_start(int argc, char **argv, const rebox_engine_events *events,
                                                int *exit_status, char *message, size_t message_size);

typedef enum rebox_slice_result {
    REBOX_SLICE_IDLE,        /* nothing to execute: wait for events->wake */
    REBOX_SLICE_INTERRUPTED, /* rebox_engine_interrupt() asked for the thread; there is more to execute */
    REBOX_SLICE_ENDED,       /* the engine has ended */
} rebox_slice_result;

/* Executes the guest until rebox_engine_interrupt() is called or all vCPUs are idle for idle_wait_ms. */
REBOX_API rebox_slice_result rebox_engine_slice(int idle_wait_ms);

/* Any thread, also a signal handler's. Ends the running slice soon, or the next one if none is running. */
REBOX_API void rebox_engine_interrupt(void);

/*
 * Holds all vCPUs until as many calls of rebox_release(). From a listener: the guest is paused at the event, behind the
 * instruction of an access, or, for other events within an instruction, at the next block. Everything except the vCPUs
 * continues.
 */
REBOX_API void rebox_hold(void);
REBOX_API void rebox_release(void);
/* Whether the vCPUs are held: they execute nothing once they have left the code they are in. */
REBOX_API bool rebox_is_held(void);

/* The vCPU of the event that a listener is called for now, or that holds the guest; -1 when there is none. */
REBOX_API int rebox_event_cpu(void);

/* Any thread. Whether somebody has stopped the machine before it was let go for the first time. */
REBOX_API bool rebox_engine_stays_stopped(void);

/* Any thread. Asks QEMU to shut the machine down for good; ended follows. */
REBOX_API void rebox_engine_quit(void);

/*
 * Ends the engine now: asks it to quit, serves the vCPUs until QEMU has cleaned up, at most timeout_ms.
 * Returns whether it has ended. For the end of the process, when no event loop turns any more.
 */
REBOX_API bool rebox_engine_end_now(int timeout_ms);

/* Removes this file when the engine faults, because no orderly clean-up follows. path is copied; at most 8. */
REBOX_API void rebox_engine_remove_on_fault(const char *path);

/* ---- the count of instructions (vcpu/instructions.c) ---- */

/* Whether the machine counts the instructions that it executes: QEMU's -icount. */
REBOX_API bool rebox_counts_instructions(void);

/*
 * How many instructions all vCPUs have executed since the machine began. At an event of an instruction, that one is not among
 * them.
 */
REBOX_API uint64_t rebox_instruction_count(void);

/* ---- recording and replaying (vcpu/recording.c and its neighbours) ---- */

typedef enum rebox_recording_mode {
    REBOX_NOT_RECORDED,
    REBOX_RECORDING,
    REBOX_REPLAYING,
} rebox_recording_mode;

/* Any thread. Registers, memory and ports are written only where it is REBOX_NOT_RECORDED. */
REBOX_API rebox_recording_mode rebox_recording(void);

/* How many events of the log were replayed: with the count of instructions it tells whether a replay still goes on. */
REBOX_API uint64_t rebox_recording_events(void);

/* Why the log could not be written to its end, in the system's words; "" when it could. The machine ends then. */
REBOX_API const char *rebox_recording_failure(void);

/* The count of instructions at the last check of a replay, up to which it is as it was recorded. */
REBOX_API uint64_t rebox_last_right_count(void);

typedef struct rebox_recording_facts {
    uint64_t instructions; /* of the whole execution */
    uint64_t events;
    uint64_t whole_size; /* bytes of the log that can be replayed */
    bool has_ended;      /* false: it was cut off, by a kill or a full disk */
} rebox_recording_facts;

/*
 * Before rebox_engine_start(). Reads the log of a recording; a replay of it then ends in good order, also when the log was cut
 * off. Returns false, with errno, when it cannot be read.
 */
REBOX_API bool rebox_scan_recording(const char *path, rebox_recording_facts *facts);

/* How fast this host's processor counts its ticks, in thousands a second: measured, which takes some milliseconds. */
REBOX_API uint64_t rebox_host_ticks_khz(void);

/*
 * Before rebox_engine_start() of a machine that is recorded or replayed. It begins with the state of a processor and devices in the
 * file devices, a migration of QEMU without RAM, whose machine had this one's RAM in a file, and whose processor counted its ticks at
 * ticks_khz. Where it cannot be loaded, the machine is not built.
 */
REBOX_API void rebox_start_from(const char *devices, uint64_t ticks_khz);

/* ---- states of a replay (vcpu/states.c): QMP's restore-state goes back to one ---- */

/*
 * Before the machine runs. Keeps a state at once and each interval_ms of execution, in at most limit bytes of memory for pages of
 * RAM: beyond that, states in between are given up. Returns false where none can be kept.
 */
REBOX_API bool rebox_keep_states(uint64_t limit, int interval_ms);

/* Keeps one more at the first turn of the vCPUs at or behind count. The last call counts. */
REBOX_API void rebox_keep_state_at(uint64_t count);

/* Lists the counts of the kept states, in order. Returns how many there are; fills at most size. */
REBOX_API size_t rebox_list_states(uint64_t *counts, size_t size);

/*
 * Whether gdb has a replay go back, or over what it has gone back from: events there were told before. The flag says that the function
 * is worth a call.
 */
REBOX_API extern bool rebox_goes_back;
REBOX_API bool rebox_repeats(void);

/* Whether somebody else has the replay go to a place, and nobody is told of what is on the way. */
REBOX_API void rebox_set_silent(bool on);

/* What gdb has gone back over counts as new again. Nothing while a way of gdb's is under way. */
REBOX_API void rebox_end_repetition(void);

/* The furthest count of instructions from which gdb had the replay go back; 0: it has not. */
REBOX_API uint64_t rebox_went_back_from(void);

/* Has the replay paused at this count whenever a way of gdb's ends before it. The last call counts. */
REBOX_API void rebox_stop_gdb_at(uint64_t count);

/* The bytes that the pages of all states take. */
REBOX_API uint64_t rebox_states_size(void);

/* ---- QMP (vcpu/qmp.c) ---- */

/* QEMU's main-loop thread. response is QMP's JSON. */
typedef void (*rebox_qmp_done)(void *opaque, const char *response);

/* Any thread. Executes one QMP command, given as its JSON request, on QEMU's main loop. */
REBOX_API void rebox_qmp(const char *request, rebox_qmp_done done, void *opaque);

/* ---- the monitor's commands of rebox (monitor/requests.c) ---- */

typedef struct rebox_command_server {
    void *opaque;
    /*
     * QEMU's main-loop thread. A monitor, or a program by QMP, wants a command executed: command is its name in QMP and
     * arguments are its arguments as JSON. Answer it with rebox_command_answer(id), with text for a person or with what
     * the schema qapi/rebox.json returns as JSON.
     */
    void (*request)(void *opaque, uint64_t id, bool for_person, const char *command, const char *arguments);
} rebox_command_server;

/*
 * Any thread. Has the commands executed by server, which is copied; NULL: by nobody any more, and those that wait are
 * answered with an error. A command that is not answered within timeout_ms fails.
 */
REBOX_API void rebox_commands_serve(const rebox_command_server *server, int timeout_ms);

/* Any thread. text is the answer or, with failed, what went wrong. Nothing when it was answered before. */
REBOX_API void rebox_command_answer(uint64_t id, bool failed, const char *text);

/* Any thread. What a monitor completes arguments with: handles and names of scripts, and names of commands, a line each. */
REBOX_API void rebox_command_words(const char *modules, const char *names);

/* ---- vCPUs and registers (vcpu/registers.c) ---- */

REBOX_API int rebox_cpu_count(void);

typedef enum rebox_register_kind {
    REBOX_REGISTER_PLAIN,    /* lies at offset, may be read there; written by rebox_register_write() */
    REBOX_REGISTER_COMPUTED, /* QEMU keeps it in parts: rebox_register_read() only */
} rebox_register_kind;

typedef struct rebox_register {
    const char *name; /* the 64-bit name: "RAX", "RIP", "CR3", "FS_BASE" */
    uint32_t offset;  /* in the state of rebox_cpu_state() */
    uint8_t size;     /* in bytes: 1, 2, 4 or 8; XMM registers 16 */
    uint8_t kind;     /* rebox_register_kind */
    bool writable;
} rebox_register;

/* Lists every register; the index in this table is the register's id. */
REBOX_API const rebox_register *rebox_registers(size_t *count);

/* QEMU's own state of a vCPU, valid for the engine's life, or NULL when there is no such vCPU. */
REBOX_API void *rebox_cpu_state(int cpu_index, size_t *size);

/* Returns whether the vCPU executes at privilege level 0. */
REBOX_API bool rebox_is_kernel(int cpu_index);

REBOX_API bool rebox_register_read(int cpu_index, size_t id, uint64_t *value);
REBOX_API bool rebox_register_write(int cpu_index, size_t id, uint64_t value);

typedef enum rebox_segment {
    REBOX_ES,
    REBOX_CS,
    REBOX_SS,
    REBOX_DS,
    REBOX_FS,
    REBOX_GS,
    REBOX_LDT,
    REBOX_TR,
    REBOX_GDT,
    REBOX_IDT,
    REBOX_SEGMENT_COUNT
} rebox_segment;

REBOX_API bool rebox_segment_write(int cpu_index, rebox_segment segment, uint32_t selector, uint64_t base,
                                   uint32_t limit, uint32_t flags);

/* ---- memory (guest/memory.c, guest/paging.c) ---- */

typedef enum rebox_memory_result {
    REBOX_MEMORY_OK,
    REBOX_MEMORY_UNMAPPED,  /* the page tables map nothing at *fault */
    REBOX_MEMORY_NOT_RAM,   /* nothing, or a device, answers at the physical address *fault */
    REBOX_MEMORY_READ_ONLY, /* the physical address *fault is ROM */
    REBOX_MEMORY_RECORDED,  /* nothing may be written while the machine is recorded or replayed */
} rebox_memory_result;

/* All or nothing is not promised: on failure the bytes before *fault have been copied. */
REBOX_API rebox_memory_result rebox_read_physical(uint64_t address, void *to, size_t size, uint64_t *fault);
REBOX_API rebox_memory_result rebox_write_physical(uint64_t address, const void *from, size_t size, uint64_t *fault);

/* pgd is a value of CR3; the paging mode is that of vCPU cpu_index. */
REBOX_API rebox_memory_result rebox_read_virtual(int cpu_index, uint64_t pgd, uint64_t address, void *to, size_t size,
                                                 uint64_t *fault);
REBOX_API rebox_memory_result rebox_write_virtual(int cpu_index, uint64_t pgd, uint64_t address, const void *from,
                                                  size_t size, uint64_t *fault);

/* Walks the page tables without side effects; page_size receives the size of the page. Returns false if unmapped. */
REBOX_API bool rebox_translate(int cpu_index, uint64_t pgd, uint64_t address, uint64_t *physical, uint64_t *page_size);

typedef struct rebox_ram_region {
    uint64_t address; /* guest-physical */
    uint64_t size;    /* in bytes */
    void *host;
    bool read_only;
    bool is_main; /* the machine's own memory, not that of a device or of firmware */
} rebox_ram_region;

/* Lists the RAM and ROM that the CPU sees now, by address. Returns how many there are; fills at most max. */
REBOX_API size_t rebox_ram_regions(rebox_ram_region *regions, size_t max);

/* size is 1, 2 or 4 bytes. In a recorded machine nothing is done, and 0 is read. */
REBOX_API uint32_t rebox_port_read(uint16_t port, int size);
REBOX_API void rebox_port_write(uint16_t port, int size, uint32_t value);

/* ---- address spaces (guest/address_space.c) ---- */

#define REBOX_ALL_PROCESSES UINT64_MAX

/*
 * The identity of the address space that vCPU cpu_index runs in: CR3 without the bits that do not distinguish processes,
 * which are the PCID and, where the guest isolates page tables, the bit of the process' own tables.
 */
REBOX_API uint64_t rebox_current_pgd(int cpu_index);

/*
 * The identity that any value of CR3 stands for. Wherever a pgd is taken, such a value works too. Two may be found to be
 * the same later, so keep what was given and compare identities.
 */
REBOX_API uint64_t rebox_normal_pgd(uint64_t pgd);

/*
 * Says which bits of CR3 differ between the page tables of one process; 0: none. Told by somebody who knows the guest.
 * Until then, and with known false, rebox watches for the way in which Linux does it.
 */
REBOX_API void rebox_tell_isolation(bool known, uint64_t bits);

/* The same for every vCPU, by index, as it was when the vCPU last entered an address space; for the engine's life. */
REBOX_API const uint64_t *rebox_current_pgds(void);

/* Monitoring is counted for each pgd; force ends it at once. REBOX_ALL_PROCESSES stands for every address space. */
REBOX_API void rebox_monitor(uint64_t pgd);
REBOX_API bool rebox_unmonitor(uint64_t pgd, bool force);
REBOX_API bool rebox_is_monitored(uint64_t pgd);

/* ---- events (events/) ---- */

/* The order is that of EventKind in src/machine/engine/event-table.ts. */
typedef enum rebox_event {
    REBOX_BLOCK_BEGIN,
    REBOX_BLOCK_END,
    REBOX_INSN_BEGIN,
    REBOX_INSN_END,
    REBOX_MEM_READ,
    REBOX_MEM_WRITE,
    REBOX_OPCODE_RANGE,
    REBOX_TLB_EXEC,
    REBOX_CONTEXT_CHANGE,
    REBOX_KEYSTROKE,
    REBOX_NIC_REC,
    REBOX_NIC_SEND,
    REBOX_CPUID,
    REBOX_EVENT_COUNT
} rebox_event;

typedef enum rebox_block_end { REBOX_ENDS_OTHERWISE, REBOX_ENDS_WITH_CALL, REBOX_ENDS_WITH_RETURN } rebox_block_end;

/* One translated block, unique by its numbers; user belongs to the listener. */
typedef struct rebox_block {
    uint64_t pc;
    uint32_t size;   /* in bytes */
    uint16_t icount; /* instructions */
    uint16_t last;   /* where the last instruction begins, in bytes from pc */
    void *user;
    uint8_t end; /* rebox_block_end: its last instruction; calls and returns of the kernel and interrupts are others */
    uint64_t known; /* rebox's own: where it is not told again (events/known_blocks.c) */
} rebox_block;

/* One access to memory. */
typedef struct rebox_access {
    uint64_t vaddr;
    uint64_t paddr; /* guest-physical */
    uint32_t size;  /* in bytes */
    bool is_mmio;
    uint64_t data[2]; /* what was read or written, low half first, cleared above size */
} rebox_access;

/* One Ethernet frame. What a card's memory says is that of ne2k_pci, and 0 for every other card. */
typedef struct rebox_frame {
    const uint8_t *bytes;
    size_t size;
    uint64_t address; /* sent: where the frame lies in the card's memory */
    uint64_t current; /* received: where it will be written, and the ring it lies in */
    uint64_t start;
    uint64_t stop;
} rebox_frame;

/*
 * The receiver of all events. All functions except the last three are called on the vCPU thread, while the guest is
 * paused; those three are called on the thread of QEMU that handles the device, and their data is valid only during
 * the call.
 */
typedef struct rebox_listener {
    void *opaque;
    void (*block_begin)(void *opaque, int cpu_index, rebox_block *block);
    void (*block_end)(void *opaque, int cpu_index, rebox_block *block, uint64_t cur_pc, uint64_t next_pc);
    void (*insn_begin)(void *opaque, int cpu_index);
    void (*insn_end)(void *opaque, int cpu_index);
    void (*access)(void *opaque, int cpu_index, bool is_write, const rebox_access *access);
    void (*opcode)(void *opaque, int cpu_index, uint16_t opcode, uint64_t pc, uint64_t next_pc);
    /* A block, or with block NULL an instruction, at a hook's address and in its process. */
    void (*hooked)(void *opaque, int cpu_index, rebox_block *block, uint32_t hook_id);
    /* A page of watched code is about to be executed at pc; writer: the page of the code that wrote it last, 0 for unknown. */
    void (*watched_code)(void *opaque, int cpu_index, uint64_t pc, uint64_t writer);
    /* The translation of the block was thrown away: user must be released. */
    void (*forget)(void *opaque, rebox_block *block);
    void (*tlb_fill)(void *opaque, int cpu_index, uint64_t vaddr);
    void (*context_change)(void *opaque, int cpu_index, uint64_t old_pgd, uint64_t new_pgd);
    /* CPUID was executed: its answer is in the registers, and may be written. */
    void (*cpuid)(void *opaque, int cpu_index, uint32_t leaf, uint32_t subleaf);
    void (*keystroke)(void *opaque, uint32_t keycode);
    void (*frame_sent)(void *opaque, const rebox_frame *frame);
    void (*frame_received)(void *opaque, const rebox_frame *frame);
} rebox_listener;

/* listener must stay where it is. */
REBOX_API void rebox_listen(const rebox_listener *listener);

/*
 * Switches an event on and off. Holds from the next block on. Events of executed code are those of monitored
 * processes; the others are the machine's.
 */
REBOX_API void rebox_watch(rebox_event event, bool on);

/*
 * Reports an event of executed code that is watched of all processes, not only of monitored ones. The listener then
 * looks into rebox_reported.
 */
REBOX_API void rebox_watch_everywhere(rebox_event event, bool on);

/* About the event of executed code that is being reported, until its listener causes another one. */
typedef struct rebox_event_facts {
    bool monitored; /* it is one of a monitored process */
    /*
     * Of blocks and instructions that begin, unless 0: the event is reported only to those who have subscribed after
     * this number (rebox_subscription()). The others saw it before the code was left to be executed anew.
     */
    uint64_t subscribed_after;
    uint8_t insn_size; /* of listener->opcode: the size of the instruction, in bytes */
    /* Set by listener->block_begin: nobody needs to hear of this block again, in this address space; see rebox_tell_blocks(). */
    bool is_known;
} rebox_event_facts;
REBOX_API extern rebox_event_facts rebox_reported;

typedef enum rebox_telling {
    REBOX_TELL_ALWAYS,
    /* No more once rebox_reported.is_known was set: for each address space anew, and for the kernel in all of them together. */
    REBOX_TELL_ONCE,
    /* Likewise, and those of the kernel may be left out. */
    REBOX_TELL_PROGRAMS_ONCE,
} rebox_telling;

/*
 * Says how often REBOX_BLOCK_BEGIN is told of the same block. It may always be told more often than asked for: a block that several
 * processes share in turn, or while other events are watched.
 */
REBOX_API void rebox_tell_blocks(rebox_telling how);
/* Says that no block of pgd is known any more; REBOX_ALL_PROCESSES: of any process, and of the kernel. */
REBOX_API void rebox_tell_blocks_again(uint64_t pgd);

/* The number of the last rebox_watch(on), rebox_hook() or rebox_watch_opcodes(): they are counted from 1. */
REBOX_API uint64_t rebox_subscription(void);

/*
 * Calls listener->hooked at address, for a block or an instruction that begins there, in pgd or, with
 * REBOX_ALL_PROCESSES, in any process. Returns the hook's id.
 */
REBOX_API uint32_t rebox_hook(bool is_block, uint64_t address, uint64_t pgd);
REBOX_API bool rebox_unhook(uint32_t hook_id);

/*
 * Calls listener->watched_code once for each page of these addresses that pgd executes, before it does, and again when it has been
 * written since. Returns false when there are too many.
 */
REBOX_API bool rebox_watch_code(uint64_t pgd, uint64_t from, uint64_t to);
/* Says that the pages of these addresses that are in RAM now are known: they are reported when they have been written since. */
REBOX_API void rebox_settle_code(uint64_t pgd, uint64_t from, uint64_t to);
/* Ends the watches of pgd, or with REBOX_ALL_PROCESSES of all. */
REBOX_API void rebox_unwatch_code(uint64_t pgd);

/*
 * Calls listener->opcode for instructions whose opcode lies between first and last, both included. Opcodes are one
 * byte, or 0x0fxx for two; prefixes are not part of them. Ranges are counted: each call needs its rebox_ignore_opcodes.
 */
REBOX_API void rebox_watch_opcodes(uint16_t first, uint16_t last);
REBOX_API void rebox_ignore_opcodes(uint16_t first, uint16_t last);

typedef enum rebox_mode { REBOX_ANY_MODE, REBOX_USER_MODE, REBOX_KERNEL_MODE } rebox_mode;

/* Addresses from `from` up to, and without, `to`. */
typedef struct rebox_code_range {
    uint64_t from, to;
} rebox_code_range;

/*
 * Says that nobody wants an event of code outside these ranges (NULL: of none), or executed in another mode. Applies
 * to blocks and instructions that begin, and to memory accesses by the program counter; other events are not selected.
 * Of the rest, only a counter is in the generated code. In the pages of a range events may still come that
 * lie beside it.
 */
REBOX_API void rebox_select_code(rebox_event event, const rebox_code_range *ranges, size_t count, rebox_mode mode);
/* Counts the events of monitored processes that were skipped because of rebox_select_code(), since the machine began. */
REBOX_API uint64_t rebox_skipped(rebox_event event);

/*
 * Asked by generated code before anything else is done about an access: returns 0 when nobody wants to hear of it. code is the address of
 * the instruction; low and high are the value, cleared above size.
 */
typedef int (*rebox_access_sieve)(uint64_t code, uint64_t address, uint32_t size, uint64_t low, uint64_t high);
/* Puts a sieve in front of reads or writes; NULL takes it away. */
REBOX_API void rebox_sieve_accesses(bool is_write, rebox_access_sieve sieve);

/* Whether accesses carry their physical address and is_mmio: a look-up in the TLB for each. Off at first. */
REBOX_API void rebox_want_physical(bool on);

/* Counts every executed block of the machine natively, without a call. */
REBOX_API void rebox_count_blocks(bool on);
REBOX_API uint64_t rebox_block_count(void);

/* ---- for triggers (trigger_api.c): the vCPU thread only, as everything above ---- */

/* A guest address or register, in every mode of the guest. */
typedef uint64_t pyrebox_target_ulong;
/* A vCPU, valid for the engine's life. */
typedef void *qemu_cpu_opaque_t;
/* A translated block, valid during the call that it was given to. */
typedef void *qemu_tb_opaque_t;

/* clang-format off */
typedef enum register_num_t {
    RN_EAX, RN_ECX, RN_EDX, RN_EBX, RN_ESP, RN_EBP, RN_ESI, RN_EDI,
    RN_R8, RN_R9, RN_R10, RN_R11, RN_R12, RN_R13, RN_R14, RN_R15,
    RN_EIP, RN_EFLAGS, RN_CR0, RN_CR2, RN_CR3, RN_CR4, RN_CR8, RN_CPL, RN_EFER, RN_LSTAR, RN_KERNEL_GS_BASE,
    /* Read as their selector, GDT and IDT as their base. Written by write_selector_register_convert(). */
    RN_ES, RN_CS, RN_SS, RN_DS, RN_FS, RN_GS, RN_LDT, RN_TR, RN_GDT, RN_IDT,
    RN_ES_BASE, RN_CS_BASE, RN_SS_BASE, RN_DS_BASE, RN_FS_BASE, RN_GS_BASE,
    /* Read only: 0, since there is no such register, and the number of the vCPU. */
    RN_CR1, RN_CPU_INDEX,
    RN_LAST,
    /* All of them have 64 bits. */
    RN_RAX = RN_EAX, RN_RCX = RN_ECX, RN_RDX = RN_EDX, RN_RBX = RN_EBX, RN_RSP = RN_ESP, RN_RBP = RN_EBP,
    RN_RSI = RN_ESI, RN_RDI = RN_EDI, RN_RIP = RN_EIP, RN_PC = RN_EIP, RN_RFLAGS = RN_EFLAGS,
} register_num_t;
/* clang-format on */

typedef enum register_type_t { RT_REGULAR, RT_SEGMENT } register_type_t;
/* Segments are written by write_selector_register_convert(), all others by write_register_convert(). */
REBOX_API extern const register_type_t register_type[RN_LAST];
/* "x86_64-softmmu" */
REBOX_API extern const char *const target_platform;

/* Functions that return int return 0, or -1 where there is no such vCPU, register, port size or memory. */
REBOX_API int read_register_convert(qemu_cpu_opaque_t cpu, register_num_t reg, pyrebox_target_ulong *value);
REBOX_API int write_register_convert(qemu_cpu_opaque_t cpu, register_num_t reg, pyrebox_target_ulong value);
REBOX_API int write_selector_register_convert(qemu_cpu_opaque_t cpu, register_num_t reg, uint32_t selector,
                                              pyrebox_target_ulong base, uint32_t limit, uint32_t flags);

/* is_write 0 copies from the guest to buffer, 1 from buffer to the guest. Devices are never touched. */
REBOX_API int qemu_physical_memory_rw(pyrebox_target_ulong address, uint8_t *buffer, size_t length, int is_write);
REBOX_API int qemu_virtual_memory_rw(qemu_cpu_opaque_t cpu, pyrebox_target_ulong address, uint8_t *buffer,
                                     size_t length, int is_write);
REBOX_API int qemu_virtual_memory_rw_with_pgd(pyrebox_target_ulong pgd, pyrebox_target_ulong address, uint8_t *buffer,
                                              size_t length, int is_write);
/* Returns UINT64_MAX where nothing is mapped. */
REBOX_API uint64_t qemu_virtual_to_physical_with_pgd(pyrebox_target_ulong pgd, pyrebox_target_ulong address);
/* Returns the page-table entry that maps address, 0 where none does. */
REBOX_API uint64_t x86_get_pte(pyrebox_target_ulong pgd, pyrebox_target_ulong address);
/* Whether the first vCPU has CR4.PAE set. */
REBOX_API int x86_is_pae(void);
/* Returns length, or 0 where the guest's physical memory ends before that. */
REBOX_API uint64_t connection_read_memory(uint64_t address, char *buffer, size_t length);
REBOX_API uint64_t connection_write_memory(uint64_t address, const void *buffer, size_t length);
/* The RAM that the machine was given, in bytes. */
REBOX_API uint64_t get_memory_size(void);

/* size is 1, 2 or 4 bytes; any other reads 0 and writes nothing. */
REBOX_API uint32_t qemu_ioport_read(uint16_t address, uint8_t size);
REBOX_API void qemu_ioport_write(uint16_t address, uint8_t size, uint32_t value);

REBOX_API int get_num_cpus(void);
/* NULL where there is no such vCPU, or none that runs this process. */
REBOX_API qemu_cpu_opaque_t get_qemu_cpu(int cpu_index);
REBOX_API qemu_cpu_opaque_t get_qemu_cpu_with_pgd(pyrebox_target_ulong pgd);
REBOX_API int get_qemu_cpu_index_with_pgd(pyrebox_target_ulong pgd);

/* The process that a vCPU runs, as rebox_current_pgd() identifies it. */
REBOX_API pyrebox_target_ulong get_pgd(qemu_cpu_opaque_t cpu);
REBOX_API pyrebox_target_ulong get_running_process(int cpu_index);
/* The vCPU's program counter. */
REBOX_API pyrebox_target_ulong get_cpu_addr(qemu_cpu_opaque_t cpu);
REBOX_API pyrebox_target_ulong get_stack_pointer(qemu_cpu_opaque_t cpu);
REBOX_API pyrebox_target_ulong get_fs_base(qemu_cpu_opaque_t cpu);
REBOX_API pyrebox_target_ulong get_gs_base(qemu_cpu_opaque_t cpu);
REBOX_API int get_qemu_cpu_protected_mode(qemu_cpu_opaque_t cpu);
/* Whether a vCPU executes at privilege level 0. */
REBOX_API int qemu_is_kernel_running(int cpu_index);

REBOX_API pyrebox_target_ulong get_tb_addr(qemu_tb_opaque_t tb);
/* In bytes. */
REBOX_API pyrebox_target_ulong get_tb_size(qemu_tb_opaque_t tb);

/*
 * Ask for a snapshot to be saved or loaded: it is done after the callback, by QEMU's main loop, which reports an error
 * on its standard error. Return -1 for a name without a character.
 */
REBOX_API int pyrebox_save_vm(const char *name);
REBOX_API int pyrebox_load_vm(const char *name);

#ifdef __cplusplus
}
#endif

#endif
