/*
 * Recording an execution and replaying it, by QEMU's own recorder (replay/): the log, and checks that a replay still does what
 * was recorded.
 *
 * QEMU writes its log through stdio. A write that fails there leaves a hole, behind which the log goes on: a log of no use. So
 * its file is replaced by one with functions of this file: after the first failure nothing is written any more, and what is
 * there can be replayed up to its end. In a replay, a log that was cut off gets the end that it lacks.
 *
 * Every so many delivered interrupts and exceptions, the count of instructions and a sum over the registers go into a second
 * file. QEMU notices that a replay departs from its recording only where an event comes too early, or waits for ever.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "rebox/vcpu/vcpu.h"
#include "qemu/bswap.h"
#include "qemu/main-loop.h"
#include "rebox/vcpu/faults.h"
#include "qapi/qapi-types-ui.h"
#include "system/replay.h"
#include "system/runstate.h"
#include "system/runstate-action.h"
/* Last: it needs types of the others. */
#include "replay/replay-internal.h"

/* replay/replay.c: REPLAY_VERSION. QEMU writes it when a recording ends, and a killed one has no end. */
#define LOG_VERSION 0xe0200c
#define BUFFER_SIZE (1 << 20)
/* A check for so many interrupts and exceptions. */
#define CHECK_EVERY 64
#define CHECKS_NAME "checks"

static int log_fd = -1;
static bool write_failed, failure_told;
static char failure[256];

/* The end of a log that was cut off: a shut down, and that nothing follows. */
static const uint8_t missing_end[] = { EVENT_SHUTDOWN + SHUTDOWN_CAUSE_HOST_ERROR, EVENT_END };
static off64_t read_position, whole_size = -1;

typedef struct check {
    uint64_t count;
    uint64_t sum;
} check;

static FILE *checks;
static uint64_t deliveries, last_delivery, last_right_count;
static bool is_departed;

/* In a replay: the next check that the recording has. */
static check next_check;
static bool has_next;

bool rebox_is_recorded(void)
{
    return replay_mode != REPLAY_MODE_NONE;
}

rebox_recording_mode rebox_recording(void)
{
    switch (replay_mode) {
    case REPLAY_MODE_RECORD:
        return REBOX_RECORDING;
    case REPLAY_MODE_PLAY:
        return REBOX_REPLAYING;
    default:
        return REBOX_NOT_RECORDED;
    }
}

uint64_t rebox_recording_events(void)
{
    return qatomic_read(&replay_state.current_event);
}

const char *rebox_recording_failure(void)
{
    return failure;
}

uint64_t rebox_last_right_count(void)
{
    return last_right_count;
}

static ssize_t write_log(void *unused, const char *bytes, size_t size)
{
    size_t written = 0;

    while (!write_failed && written < size) {
        ssize_t now = write(log_fd, bytes + written, size - written);

        if (now < 0 && errno == EINTR) {
            continue;
        }
        if (now <= 0) {
            snprintf(failure, sizeof(failure), "%s", now < 0 ? strerror(errno) : "nothing could be written");
            qatomic_set(&write_failed, true);
            break;
        }
        written += now;
    }
    return written;
}

static ssize_t read_log(void *unused, char *bytes, size_t size)
{
    off64_t left = whole_size - read_position;
    ssize_t got;

    if (left <= 0) {
        size_t at = -left;

        got = MIN(size, sizeof(missing_end) - MIN(at, sizeof(missing_end)));
        memcpy(bytes, missing_end + at, got);
    } else {
        got = pread(log_fd, bytes, MIN((off64_t)size, left), read_position);
    }
    read_position += MAX(got, 0);
    return got;
}

static int seek_log(void *unused, off64_t *offset, int whence)
{
    /* What QEMU seeks: the header, and places that ftell() has told. */
    if (whence == SEEK_CUR && *offset == 0) {
        *offset = replay_mode == REPLAY_MODE_RECORD ? lseek64(log_fd, 0, SEEK_CUR) : read_position;
        return 0;
    }
    if (whence != SEEK_SET) {
        return -1;
    }
    read_position = *offset;
    return replay_mode == REPLAY_MODE_RECORD && lseek64(log_fd, *offset, SEEK_SET) < 0 ? -1 : 0;
}

static int close_log(void *unused)
{
    int fd = log_fd;

    log_fd = -1;
    return close(fd);
}

static void replace_log(const char *mode)
{
    static const cookie_io_functions_t functions = {
        .read = read_log, .write = write_log, .seek = seek_log, .close = close_log
    };
    FILE *old = replay_file;
    off64_t position;
    FILE *new;

    fflush(old);
    position = ftello64(old);
    log_fd = dup(fileno(old));
    new = log_fd < 0 ? NULL : fopencookie(NULL, mode, functions);
    if (!new) {
        return;
    }
    setvbuf(new, NULL, _IOFBF, BUFFER_SIZE);
    read_position = position;
    fseeko64(new, position, SEEK_SET);
    replay_file = new;
    fclose(old);
}

static void open_checks(const char *mode)
{
    g_autofree char *folder = g_path_get_dirname(replay_get_filename());
    g_autofree char *path = g_build_filename(folder, CHECKS_NAME, NULL);

    checks = fopen(path, mode);
}

void rebox_recording_begin(void)
{
    if (replay_mode == REPLAY_MODE_RECORD) {
        uint32_t version = cpu_to_be32(LOG_VERSION);

        open_checks("wb");
        replace_log("wb");
        if (log_fd >= 0 && pwrite(log_fd, &version, sizeof(version), 0) < 0) {
            qatomic_set(&write_failed, true);
        }
    } else if (replay_mode == REPLAY_MODE_PLAY) {
        open_checks("rb");
        has_next = checks && fread(&next_check, sizeof(next_check), 1, checks) == 1;
        if (whole_size >= 0) {
            replace_log("rb");
        }
    }
}

void rebox_recording_turn(void)
{
    static uint32_t turns;

    if (replay_mode != REPLAY_MODE_RECORD) {
        return;
    }
    /* A killed process leaves what was written: a recording of a second ago, not of the last full buffer. */
    if ((++turns & 0x3f) == 0) {
        fflush(replay_file);
        if (checks) {
            fflush(checks);
        }
    }
    if (unlikely(qatomic_read(&write_failed)) && !failure_told) {
        failure_told = true;
        shutdown_action = SHUTDOWN_ACTION_POWEROFF;
        qemu_system_shutdown_request(SHUTDOWN_CAUSE_HOST_ERROR);
    }
}

void rebox_recording_end(void)
{
    if (checks) {
        fclose(checks);
        checks = NULL;
    }
}

static uint64_t sum_registers(CPUX86State *env)
{
    uint64_t sum = env->eip;

    for (int i = 0; i < CPU_NB_REGS; i++) {
        sum = (sum ^ env->regs[i]) * UINT64_C(0x9e3779b97f4a7c15);
        sum ^= sum >> 29;
    }
    return (sum ^ env->cr[3]) * UINT64_C(0x9e3779b97f4a7c15);
}

/* Tells that the replay is not what was recorded any more; it is over. */
static void depart(uint64_t count)
{
    char text[256];

    is_departed = true;
    /* What QEMU has registered for the end of the process wants a lock that nobody has then. */
    replay_mode = REPLAY_MODE_NONE;
    snprintf(text, sizeof(text),
             "the replay departs from its recording: it was right up to instruction %" PRIu64
             ", and is not at instruction %" PRIu64,
             last_right_count, count);
    rebox_engine_fault(text);
}

/* Compares with the next check that the recording has, when its place is reached. */
static void compare(check here)
{
    while (has_next && here.count >= next_check.count) {
        if (here.count != next_check.count || here.sum != next_check.sum) {
            depart(here.count);
            return;
        }
        last_right_count = here.count;
        has_next = fread(&next_check, sizeof(next_check), 1, checks) == 1;
    }
}

void rebox_check_recording(CPUX86State *env)
{
    check here;

    if (likely(!checks) || is_departed) {
        return;
    }
    if (replay_mode == REPLAY_MODE_PLAY) {
        here = (check){ .count = rebox_instruction_count(), .sum = sum_registers(env) };
        compare(here);
    } else if (replay_mode == REPLAY_MODE_RECORD) {
        uint64_t count = rebox_instruction_count();

        /* Several may be delivered at one instruction: the check is of the first of them. */
        if (++deliveries >= CHECK_EVERY && count > last_delivery) {
            here = (check){ .count = count, .sum = sum_registers(env) };
            fwrite(&here, sizeof(here), 1, checks);
            deliveries = 0;
        }
        last_delivery = count;
    }
}

void __real_qemu_system_shutdown_request(ShutdownCause cause);
void __wrap_qemu_system_shutdown_request(ShutdownCause cause);
void __wrap_qemu_system_shutdown_request(ShutdownCause cause)
{
    /* QEMU writes the event in front of the instructions since the one before: a replay would end that much too early. */
    if (replay_mode == REPLAY_MODE_RECORD && replay_mutex_locked()) {
        replay_save_instructions();
    }
    __real_qemu_system_shutdown_request(cause);
    /*
     * QEMU's main loop stops the vCPUs some instructions later, at no certain one. Where the guest itself ends the machine,
     * recording and replay are to end at the same one.
     */
    if (rebox_is_recorded() && current_cpu && rebox_in_guest_code()) {
        rebox_stop_executing();
    }
}

/* ---- reading a log before the machine is built ---- */

typedef struct log_reader {
    FILE *file;
    bool is_over;
} log_reader;

static uint8_t take_byte(log_reader *from)
{
    int byte = getc(from->file);

    from->is_over |= byte == EOF;
    return byte;
}

static uint32_t take_dword(log_reader *from)
{
    uint32_t value = 0;

    for (int i = 0; i < 4; i++) {
        value = value << 8 | take_byte(from);
    }
    return value;
}

static uint64_t take_qword(log_reader *from)
{
    uint64_t high = take_dword(from);

    return high << 32 | take_dword(from);
}

static void skip(log_reader *from, size_t size)
{
    while (size-- && !from->is_over) {
        take_byte(from);
    }
}

/* The input of a person: replay_save_input_event() of replay/replay-input.c. */
static bool skip_input(log_reader *from)
{
    switch (take_dword(from)) {
    case INPUT_EVENT_KIND_KEY:
        skip(from, take_dword(from) == KEY_VALUE_KIND_NUMBER ? 8 + 1 : 4 + 1);
        return true;
    case INPUT_EVENT_KIND_BTN:
        skip(from, 4 + 1);
        return true;
    case INPUT_EVENT_KIND_REL:
    case INPUT_EVENT_KIND_ABS:
        skip(from, 4 + 8);
        return true;
    case INPUT_EVENT_KIND_MTT:
        skip(from, 4 + 8 + 8 + 4 + 8);
        return true;
    default:
        return false;
    }
}

/* Skips what follows an event's number, as QEMU's functions that read it take it; false for an event that is none. */
static bool skip_event(log_reader *from, uint8_t kind, uint64_t *count)
{
    switch (kind) {
    case EVENT_INSTRUCTION:
        *count += take_dword(from);
        return true;
    case EVENT_INTERRUPT:
    case EVENT_EXCEPTION:
    case EVENT_ASYNC + REPLAY_ASYNC_EVENT_INPUT_SYNC:
    case EVENT_SHUTDOWN ... EVENT_SHUTDOWN_LAST:
    case EVENT_CHECKPOINT ... EVENT_CHECKPOINT_LAST:
        return true;
    case EVENT_ASYNC + REPLAY_ASYNC_EVENT_BH:
    case EVENT_ASYNC + REPLAY_ASYNC_EVENT_BH_ONESHOT:
    case EVENT_ASYNC + REPLAY_ASYNC_EVENT_BLOCK:
    case EVENT_CHAR_WRITE:
    case EVENT_AUDIO_OUT:
    case EVENT_CLOCK ... EVENT_CLOCK_LAST:
        skip(from, 8);
        return true;
    case EVENT_ASYNC + REPLAY_ASYNC_EVENT_INPUT:
        return skip_input(from);
    case EVENT_ASYNC + REPLAY_ASYNC_EVENT_CHAR_READ:
        skip(from, 1);
        skip(from, take_dword(from));
        return true;
    case EVENT_ASYNC + REPLAY_ASYNC_EVENT_NET:
        skip(from, 1 + 4);
        skip(from, take_dword(from));
        return true;
    case EVENT_CHAR_READ_ALL:
        skip(from, take_dword(from));
        return true;
    case EVENT_CHAR_READ_ALL_ERROR:
        skip(from, 4);
        return true;
    case EVENT_RANDOM:
        skip(from, 4);
        skip(from, take_dword(from));
        return true;
    case EVENT_AUDIO_IN: {
        uint64_t samples = take_qword(from);

        skip(from, 8 + samples * 2 * 8);
        return true;
    }
    default:
        return false;
    }
}

bool rebox_scan_recording(const char *path, rebox_recording_facts *facts)
{
    log_reader from = { .file = fopen(path, "rb") };
    bool has_ended = false;

    memset(facts, 0, sizeof(*facts));
    if (!from.file) {
        return false;
    }
    facts->whole_size = 12; /* the header */
    fseek(from.file, facts->whole_size, SEEK_SET);
    while (!has_ended) {
        uint64_t count = facts->instructions;
        uint8_t kind = take_byte(&from);

        has_ended = !from.is_over && kind == EVENT_END;
        if (!has_ended && (!skip_event(&from, kind, &count) || from.is_over)) {
            break;
        }
        facts->instructions = count;
        facts->whole_size = ftello64(from.file);
        facts->events++;
    }
    facts->has_ended = has_ended;
    whole_size = has_ended ? -1 : facts->whole_size;
    fclose(from.file);
    return true;
}
