/*
 * Reading the log of a recording before the machine is built: how many instructions it has, and how much of it can be replayed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rebox/vcpu/vcpu.h"
#include "rebox/vcpu/recording.h"
#include "qapi/qapi-types-ui.h"
#include "system/replay.h"
#include "system/runstate.h"
/* Last: it needs types of the others. */
#include "replay/replay-internal.h"

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
    rebox_limit_log(has_ended ? -1 : (int64_t)facts->whole_size);
    fclose(from.file);
    return true;
}
