/*
 * The file of a recording's log.
 *
 * QEMU writes its log through stdio. A write that fails there leaves a hole, behind which the log goes on: a log of no use. So
 * its file is replaced by one with functions of this file: after the first failure nothing is written any more, and what is
 * there can be replayed up to its end. In a replay, a log that was cut off gets the end that it lacks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "rebox/vcpu/vcpu.h"
#include "rebox/vcpu/recording.h"
#include "qapi/qapi-types-ui.h"
#include "qemu/bswap.h"
#include "system/replay.h"
#include "system/runstate.h"
/* Last: it needs types of the others. */
#include "replay/replay-internal.h"

/* replay/replay.c: REPLAY_VERSION. QEMU writes it when a recording ends, and a killed one has no end. */
#define LOG_VERSION 0xe0200c
#define BUFFER_SIZE (1 << 20)

static int log_fd = -1;
static bool write_failed;
static char failure[256];

/* The end of a log that was cut off: a shut down, and that nothing follows. */
static const uint8_t missing_end[] = { EVENT_SHUTDOWN + SHUTDOWN_CAUSE_HOST_ERROR, EVENT_END };
static off64_t read_position, whole_size = -1;

const char *rebox_recording_failure(void)
{
    return failure;
}

bool rebox_log_has_failed(void)
{
    return qatomic_read(&write_failed);
}

void rebox_limit_log(int64_t size)
{
    whole_size = size;
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

void rebox_begin_log(void)
{
    if (replay_mode == REPLAY_MODE_RECORD) {
        uint32_t version = cpu_to_be32(LOG_VERSION);

        replace_log("wb");
        if (log_fd >= 0 && pwrite(log_fd, &version, sizeof(version), 0) < 0) {
            qatomic_set(&write_failed, true);
        }
    } else if (whole_size >= 0) {
        replace_log("rb");
    }
}
