/*
 * QEMU's ways to end a process, turned into ends of the engine.
 *
 * The library is linked with --wrap for exit, abort, close and error_vprintf, so every call of QEMU's objects to them
 * arrives here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/vcpu/vcpu.h"
#include "qemu/main-loop.h"
#include "tcg/tcg.h"
#include "rebox/vcpu/faults.h"
#include <dlfcn.h>
#include <signal.h>
#include <ucontext.h>

#define FAULT_EXIT_STATUS 70 /* sysexits.h: EX_SOFTWARE */
#define MAX_REMOVED_FILES 8

G_NORETURN void __real_abort(void);
int __real_error_vprintf(const char *fmt, va_list ap);

static bool initialising;
static QemuThread init_thread;
static char *init_message;
static size_t init_message_size;
static __thread bool is_main_loop;

static char removed_files[MAX_REMOVED_FILES][256];
static int removed_file_count;

static const int fatal_signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };
static struct sigaction previous_actions[ARRAY_SIZE(fatal_signals)];

void rebox_engine_remove_on_fault(const char *path)
{
    if (removed_file_count < MAX_REMOVED_FILES && strlen(path) < sizeof(removed_files[0])) {
        strcpy(removed_files[removed_file_count++], path);
    }
}

/* Only what a signal handler may do. */
G_NORETURN static void end_process(const char *what, const char *where, uintptr_t offset)
{
    char line[512];
    int length;

    if (rebox_recording() == REBOX_REPLAYING) {
        /* QEMU's recorder ends so where an event of the log comes at a time when nothing asks for it. */
        length = snprintf(line, sizeof(line),
                          "rebox: the replay departs from its recording: it was right up to instruction %" PRIu64
                          "; the engine ended it: %s at %s+0x%" PRIxPTR "\n",
                          rebox_last_right_count(), what, where, offset);
    } else {
        length = snprintf(line, sizeof(line),
                          "rebox: engine fault: %s at %s+0x%" PRIxPTR "; the guest is lost, and with it this process\n",
                          what, where, offset);
    }

    if (write(STDERR_FILENO, line, MIN(length, (int)sizeof(line) - 1)) < 0) {
        /* Nobody is left to read it. */
    }
    for (int i = 0; i < removed_file_count; i++) {
        unlink(removed_files[i]);
    }
    _exit(FAULT_EXIT_STATUS);
}

void rebox_faults_begin_init(char *message, size_t message_size)
{
    init_message = message;
    init_message_size = message_size;
    init_message[0] = '\0';
    qemu_thread_get_self(&init_thread);
    initialising = true;
}

void rebox_faults_end_init(void)
{
    initialising = false;
    init_message = NULL;
}

void rebox_faults_enter_main_loop(void)
{
    is_main_loop = true;
}

int __wrap_error_vprintf(const char *fmt, va_list ap) G_GNUC_PRINTF(1, 0);
int __wrap_error_vprintf(const char *fmt, va_list ap)
{
    if (initialising && qemu_thread_is_self(&init_thread)) {
        size_t used = strlen(init_message);
        va_list copy;

        va_copy(copy, ap);
        vsnprintf(init_message + used, init_message_size - used, fmt, copy);
        va_end(copy);
    }
    return __real_error_vprintf(fmt, ap);
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
    /* A character device on stdio owns these in QEMU's own process. Here they are Node's, which continues to write. */
    return fd >= STDIN_FILENO && fd <= STDERR_FILENO ? 0 : __real_close(fd);
}

G_NORETURN void __wrap_exit(int status);
void __wrap_exit(int status)
{
    char message[96];

    fflush(stdout);
    fflush(stderr);
    if (initialising && qemu_thread_is_self(&init_thread)) {
        rebox_init_exit(status);
    }
    snprintf(message, sizeof(message), "QEMU called exit(%d) while the machine was running", status);
    if (is_main_loop) {
        /* Its caller must not continue, and Node's thread must live to tell: this thread stops here for good. */
        rebox_engine_fault(message);
        if (bql_locked()) {
            bql_unlock();
        }
        for (;;) {
            pause();
        }
    }
    end_process(message, "exit", 0);
}

G_NORETURN void __wrap_abort(void);
void __wrap_abort(void)
{
    Dl_info info = { 0 };
    uintptr_t caller = (uintptr_t)__builtin_return_address(0);

    dladdr((void *)caller, &info);
    end_process("QEMU called abort()", info.dli_fname ? info.dli_fname : "?", caller - (uintptr_t)info.dli_fbase);
}

static bool is_engine_code(uintptr_t pc, Dl_info *info)
{
    static char anchor;
    Dl_info own;

    if (tcg_ctx && tcg_ctx->code_gen_buffer &&
        pc - (uintptr_t)tcg_ctx->code_gen_buffer < tcg_ctx->code_gen_buffer_size) {
        info->dli_fname = "generated code";
        info->dli_fbase = tcg_ctx->code_gen_buffer;
        return true;
    }
    return dladdr((void *)pc, info) && dladdr(&anchor, &own) && info->dli_fbase == own.dli_fbase;
}

static void on_fatal_signal(int number, siginfo_t *details, void *context)
{
    uintptr_t pc = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    Dl_info info = { 0 };

    for (int i = 0; i < ARRAY_SIZE(fatal_signals); i++) {
        if (fatal_signals[i] != number) {
            continue;
        }
        /* glib's assertions abort from libc, whose caller is not known here; who aborts otherwise is Node. */
        if (is_engine_code(pc, &info) || (number == SIGABRT && (is_main_loop || rebox_in_guest_code()))) {
            end_process(strsignal(number), info.dli_fname ? info.dli_fname : "?", pc - (uintptr_t)info.dli_fbase);
        }
        /* Not the engine's: V8 has its own use for some of these. */
        if (previous_actions[i].sa_flags & SA_SIGINFO) {
            previous_actions[i].sa_sigaction(number, details, context);
        } else if (previous_actions[i].sa_handler != SIG_DFL && previous_actions[i].sa_handler != SIG_IGN) {
            previous_actions[i].sa_handler(number);
        } else {
            sigaction(number, &previous_actions[i], NULL);
            raise(number);
        }
    }
}

void rebox_faults_install_handlers(void)
{
    struct sigaction action = { .sa_sigaction = on_fatal_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };

#ifdef __SANITIZE_ADDRESS__
    /* The sanitizer's own report says more. */
    return;
#endif
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < ARRAY_SIZE(fatal_signals); i++) {
        sigaction(fatal_signals[i], &action, &previous_actions[i]);
    }
}
