/*
 * Reads an ext2, ext3 or ext4 file system with e2fsprogs' libext2fs, for rebox (src/disks/ext).
 *
 * It opens nothing itself. Whoever started it sends commands on standard input and reads answers on standard output; for each
 * piece of the disk it asks back, so the bytes may come from anywhere. What it parses is hostile, so before the first byte of it
 * is seen the process gives up all system calls but reading, writing, memory and its own end, and may not grow large.
 *
 * A message is its size (32 bits), one letter, and so many bytes less one. All numbers are little-endian.
 *
 *   O size(64)                  opens, anew too    -> R facts
 *   I inode(32)                                    -> R inode facts, then what a symbolic link says
 *   D inode(32) most(32)        lists a directory  -> E entries, several times; R whether there are more
 *   L inode(32) name            looks a name up    -> R inode(32)
 *   F inode(32) offset(64) size(32)                -> R bytes, fewer at the end of the file
 *
 * Each may be answered by X and a text instead, and by any number of B offset(64) size(32) before: the other side answers
 * A, a byte that is 0 when it could read, and the bytes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <ext2fs/ext2_err.h>
#include <ext2fs/ext2_fs.h>
#include <ext2fs/ext2fs.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    LARGEST_MESSAGE = 1 << 22,
    CHUNK = 1 << 16,
    CHUNKS = 128,
    BATCH = 1 << 15,
    FACTS = 52,
    LONGEST_LINK = 4095,
    MOST_MEMORY = 1 << 29,
};

static uint64_t volume_size;
static ext2_filsys file_system;
static unsigned char message[LARGEST_MESSAGE];
static unsigned char output[BATCH + 1024];
static size_t output_size;

static struct {
    uint64_t number;
    uint32_t size;
    unsigned char bytes[CHUNK];
} cache[CHUNKS];

static void read_all(void *to, size_t size)
{
    for (unsigned char *at = to; size > 0;) {
        ssize_t got = read(STDIN_FILENO, at, size);

        if (got <= 0) {
            _exit(0);
        }
        at += got;
        size -= (size_t)got;
    }
}

static void write_all(const void *from, size_t size)
{
    for (const unsigned char *at = from; size > 0;) {
        ssize_t put = write(STDOUT_FILENO, at, size);

        if (put <= 0) {
            _exit(0);
        }
        at += put;
        size -= (size_t)put;
    }
}

static void send_message(char kind, const void *bytes, size_t size)
{
    unsigned char header[5];
    uint32_t length = htole32((uint32_t)size + 1);

    memcpy(header, &length, 4);
    header[4] = (unsigned char)kind;
    write_all(header, sizeof(header));
    write_all(bytes, size);
}

/* Reads a message and returns its size without the letter. */
static size_t receive_message(char *kind)
{
    uint32_t length;
    unsigned char letter;

    read_all(&length, sizeof(length));
    length = le32toh(length);
    if (length < 1 || length > LARGEST_MESSAGE) {
        _exit(2);
    }
    read_all(&letter, 1);
    read_all(message, length - 1);
    *kind = (char)letter;
    return length - 1;
}

static void fail(const char *text)
{
    send_message('X', text, strlen(text));
}

static void fail_with(errcode_t error)
{
    fail(error_message(error));
}

static void put16(unsigned char *at, uint16_t value)
{
    value = htole16(value);
    memcpy(at, &value, sizeof(value));
}

static void put32(unsigned char *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof(value));
}

static void put64(unsigned char *at, uint64_t value)
{
    value = htole64(value);
    memcpy(at, &value, sizeof(value));
}

static uint32_t get32(const unsigned char *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return le32toh(value);
}

static uint64_t get64(const unsigned char *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return le64toh(value);
}

/* The disk, in pieces that are asked for once. */

static errcode_t fetch(uint64_t number)
{
    unsigned char request[12];
    uint64_t start = number * CHUNK;
    uint32_t size = volume_size - start < CHUNK ? (uint32_t)(volume_size - start) : CHUNK;
    size_t got;
    char kind;
    int slot = (int)(number % CHUNKS);

    put64(request, start);
    put32(request + 8, size);
    send_message('B', request, sizeof(request));
    got = receive_message(&kind);
    if (kind != 'A' || got < 1 || message[0] != 0 || got - 1 != size) {
        return EIO;
    }
    memcpy(cache[slot].bytes, message + 1, size);
    cache[slot].number = number;
    cache[slot].size = size;
    return 0;
}

static errcode_t read_bytes(uint64_t offset, size_t size, unsigned char *to)
{
    if (offset > volume_size || size > volume_size - offset) {
        return EXT2_ET_SHORT_READ;
    }
    while (size > 0) {
        uint64_t number = offset / CHUNK;
        size_t within = (size_t)(offset % CHUNK);
        size_t part = CHUNK - within < size ? CHUNK - within : size;
        int slot = (int)(number % CHUNKS);

        if (cache[slot].size == 0 || cache[slot].number != number) {
            errcode_t error;

            cache[slot].size = 0;
            error = fetch(number);
            if (error) {
                return error;
            }
        }
        memcpy(to, cache[slot].bytes + within, part);
        to += part;
        offset += part;
        size -= part;
    }
    return 0;
}

static errcode_t disk_close(io_channel channel)
{
    free(channel->name);
    free(channel);
    return 0;
}

static errcode_t disk_open(const char *name, int flags, io_channel *channel);

static errcode_t disk_set_blksize(io_channel channel, int size)
{
    channel->block_size = size;
    return 0;
}

static errcode_t disk_read64(io_channel channel, unsigned long long block, int count, void *to)
{
    /* A negative count is a number of bytes. */
    size_t size = count < 0 ? (size_t)(-(int64_t)count) : (size_t)count * (size_t)channel->block_size;

    if (channel->block_size <= 0 || block > UINT64_MAX / (unsigned)channel->block_size) {
        return EXT2_ET_SHORT_READ;
    }
    return read_bytes(block * (unsigned)channel->block_size, size, to);
}

static errcode_t disk_read(io_channel channel, unsigned long block, int count, void *to)
{
    return disk_read64(channel, block, count, to);
}

static errcode_t disk_write(io_channel channel, unsigned long block, int count, const void *from)
{
    (void)channel, (void)block, (void)count, (void)from;
    return EROFS;
}

static errcode_t disk_write64(io_channel channel, unsigned long long block, int count, const void *from)
{
    (void)channel, (void)block, (void)count, (void)from;
    return EROFS;
}

static errcode_t disk_flush(io_channel channel)
{
    (void)channel;
    return 0;
}

static struct struct_io_manager disk_manager = {
    .magic = EXT2_ET_MAGIC_IO_MANAGER,
    .name = "rebox",
    .open = disk_open,
    .close = disk_close,
    .set_blksize = disk_set_blksize,
    .read_blk = disk_read,
    .write_blk = disk_write,
    .flush = disk_flush,
    .read_blk64 = disk_read64,
    .write_blk64 = disk_write64,
};

static errcode_t disk_open(const char *name, int flags, io_channel *channel)
{
    io_channel opened = calloc(1, sizeof(*opened));

    (void)flags;
    if (opened == NULL) {
        return EXT2_ET_NO_MEMORY;
    }
    opened->magic = EXT2_ET_MAGIC_IO_CHANNEL;
    opened->manager = &disk_manager;
    opened->name = strdup(name);
    opened->block_size = 1024;
    opened->refcount = 1;
    *channel = opened;
    return 0;
}

/* Commands. */

static void open_volume(void)
{
    /* On a disk in use checksums may be behind what they cover, and a journal waits for the next mount. */
    int flags = EXT2_FLAG_64BITS | EXT2_FLAG_SOFTSUPP_FEATURES | EXT2_FLAG_IGNORE_CSUM_ERRORS | EXT2_FLAG_FORCE;
    unsigned char facts[4 + 8 + 4 + 4 + 4 + 4 + 16 + 16];
    struct ext2_super_block *super;
    errcode_t error;

    for (int slot = 0; slot < CHUNKS; slot++) {
        cache[slot].size = 0;
    }
    if (file_system != NULL) {
        ext2fs_free(file_system);
        file_system = NULL;
    }
    error = ext2fs_open("disk", flags, 0, 0, &disk_manager, &file_system);
    if (error) {
        file_system = NULL;
        fail_with(error);
        return;
    }
    super = file_system->super;
    put32(facts, file_system->blocksize);
    put64(facts + 4, ext2fs_blocks_count(super));
    put32(facts + 12, super->s_inodes_count);
    put32(facts + 16, super->s_feature_compat);
    put32(facts + 20, super->s_feature_incompat);
    put32(facts + 24, super->s_feature_ro_compat);
    memcpy(facts + 28, super->s_uuid, 16);
    memcpy(facts + 44, super->s_volume_name, 16);
    send_message('R', facts, sizeof(facts));
}

/* Reads what an inode says; the time of the last change has 34 bits of seconds and 30 of nanoseconds (struct ext4_inode). */
static errcode_t put_facts(uint32_t number, unsigned char *to, struct ext2_inode_large *inode)
{
    errcode_t error;
    int64_t seconds;
    uint32_t nanoseconds = 0;
    size_t extra_end = offsetof(struct ext2_inode_large, i_mtime_extra) + 4;

    memset(inode, 0, sizeof(*inode));
    error = ext2fs_read_inode_full(file_system, number, EXT2_INODE(inode), sizeof(*inode));
    if (error) {
        return error;
    }
    seconds = (int32_t)inode->i_mtime;
    if (EXT2_INODE_SIZE(file_system->super) > EXT2_GOOD_OLD_INODE_SIZE &&
        EXT2_GOOD_OLD_INODE_SIZE + (size_t)inode->i_extra_isize >= extra_end) {
        seconds += (int64_t)(inode->i_mtime_extra & 3) << 32;
        nanoseconds = inode->i_mtime_extra >> 2;
    }
    put32(to, number);
    put16(to + 4, inode->i_mode);
    put16(to + 6, inode->i_links_count);
    put32(to + 8, inode_uid(*inode));
    put32(to + 12, inode_gid(*inode));
    put64(to + 16, EXT2_I_SIZE(inode));
    put64(to + 24, (uint64_t)seconds);
    put32(to + 32, nanoseconds);
    put32(to + 36, inode->i_flags);
    put32(to + 40, inode->i_generation);
    put64(to + 44, inode->i_blocks);
    return 0;
}

static errcode_t read_file(uint32_t number, uint64_t offset, uint32_t size, unsigned char *to, unsigned int *got)
{
    ext2_file_t file;
    errcode_t error = ext2fs_file_open(file_system, number, 0, &file);

    *got = 0;
    if (error) {
        return error;
    }
    error = ext2fs_file_llseek(file, offset, EXT2_SEEK_SET, NULL);
    if (!error) {
        error = ext2fs_file_read(file, to, size, got);
    }
    ext2fs_file_close(file);
    return error;
}

static void tell_inode(uint32_t number)
{
    static unsigned char answer[FACTS + LONGEST_LINK + 1];
    struct ext2_inode_large inode;
    unsigned int link_size = 0;
    errcode_t error = put_facts(number, answer, &inode);

    if (!error && LINUX_S_ISLNK(inode.i_mode)) {
        if (ext2fs_is_fast_symlink(EXT2_INODE(&inode))) {
            link_size = (unsigned int)strnlen((char *)inode.i_block, sizeof(inode.i_block));
            memcpy(answer + FACTS, inode.i_block, link_size);
        } else {
            error = read_file(number, 0, LONGEST_LINK, answer + FACTS, &link_size);
        }
    }
    if (error) {
        fail_with(error);
    } else {
        send_message('R', answer, FACTS + link_size);
    }
}

struct listing {
    uint32_t left;
    int is_cut;
};

static int add_entry(ext2_ino_t directory, int entry, struct ext2_dir_entry *found, int offset, int blocksize,
                     char *buffer, void *data)
{
    struct listing *listing = data;
    struct ext2_inode_large inode;
    unsigned int name_size = (unsigned int)ext2fs_dirent_name_len(found);
    unsigned char *at;

    (void)directory, (void)entry, (void)offset, (void)blocksize, (void)buffer;
    if ((name_size == 1 && found->name[0] == '.') || (name_size == 2 && memcmp(found->name, "..", 2) == 0)) {
        return 0;
    }
    if (listing->left == 0) {
        listing->is_cut = 1;
        return DIRENT_ABORT;
    }
    listing->left--;
    if (output_size + FACTS + 2 + name_size > BATCH) {
        send_message('E', output, output_size);
        output_size = 0;
    }
    at = output + output_size;
    /* An entry whose inode cannot be read is told with a mode of 0. */
    memset(at, 0, FACTS);
    if (put_facts(found->inode, at, &inode)) {
        memset(at, 0, FACTS);
        put32(at, found->inode);
    }
    put16(at + FACTS, (uint16_t)name_size);
    memcpy(at + FACTS + 2, found->name, name_size);
    output_size += FACTS + 2 + name_size;
    return 0;
}

static void list_directory(uint32_t number, uint32_t most)
{
    struct listing listing = { .left = most, .is_cut = 0 };
    errcode_t error = ext2fs_check_directory(file_system, number);
    unsigned char answer[1];

    output_size = 0;
    if (!error) {
        error = ext2fs_dir_iterate2(file_system, number, 0, NULL, add_entry, &listing);
    }
    if (output_size > 0) {
        send_message('E', output, output_size);
    }
    if (error) {
        fail_with(error);
        return;
    }
    answer[0] = (unsigned char)listing.is_cut;
    send_message('R', answer, 1);
}

static void look_up(uint32_t number, const char *name, size_t size)
{
    unsigned char answer[4];
    ext2_ino_t found = 0;
    errcode_t error = ext2fs_check_directory(file_system, number);

    if (!error) {
        error = ext2fs_lookup(file_system, number, name, (int)size, NULL, &found);
    }
    if (error && error != EXT2_ET_FILE_NOT_FOUND) {
        fail_with(error);
        return;
    }
    put32(answer, error ? 0 : found);
    send_message('R', answer, sizeof(answer));
}

static void send_content(uint32_t number, uint64_t offset, uint32_t size)
{
    static unsigned char content[LARGEST_MESSAGE / 4];
    unsigned int got = 0;
    errcode_t error;

    error = read_file(number, offset, size < sizeof(content) ? size : sizeof(content), content, &got);
    if (error) {
        fail_with(error);
    } else {
        send_message('R', content, got);
    }
}

/* Gives up everything that parsing does not need. */
static void confine(void)
{
    static const int allowed[] = {
        SYS_read,    SYS_write,        SYS_exit_group,    SYS_exit,  SYS_brk,       SYS_munmap,          SYS_mremap,
        SYS_madvise, SYS_rt_sigreturn, SYS_clock_gettime, SYS_futex, SYS_getrandom, SYS_restart_syscall,
    };
    enum { COUNT = sizeof(allowed) / sizeof(allowed[0]) };
    struct sock_filter filter[4 + COUNT * 2 + 5];
    unsigned short at = 0;
    struct sock_fprog program = { .filter = filter };
    struct rlimit memory = { .rlim_cur = MOST_MEMORY, .rlim_max = MOST_MEMORY };
    struct rlimit none = { 0, 0 };

    filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int index = 0; index < COUNT; index++) {
        filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)allowed[index], 0, 1);
        filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    }
    /* Memory of its own, never a file. */
    filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 3);
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[4]));
    filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xffffffff, 0, 1);
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    program.len = at;
#ifndef __SANITIZE_ADDRESS__
    setrlimit(RLIMIT_AS, &memory);
#endif
    setrlimit(RLIMIT_CORE, &none);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        perror("ext4_reader: this kernel has no seccomp filters");
        exit(3);
    }
}

int main(void)
{
    prctl(PR_SET_PDEATHSIG, 9);
    initialize_ext2_error_table();
    confine();
    for (;;) {
        char kind;
        size_t size = receive_message(&kind);

        if (kind == 'O' && size == 8) {
            volume_size = get64(message);
            open_volume();
        } else if (file_system == NULL) {
            fail("no file system is open");
        } else if (kind == 'I' && size == 4) {
            tell_inode(get32(message));
        } else if (kind == 'D' && size == 8) {
            list_directory(get32(message), get32(message + 4));
        } else if (kind == 'L' && size >= 5 && size <= 4 + EXT2_NAME_LEN) {
            /* Reading the directory overwrites the message. */
            char name[EXT2_NAME_LEN];

            memcpy(name, message + 4, size - 4);
            look_up(get32(message), name, size - 4);
        } else if (kind == 'F' && size == 16) {
            send_content(get32(message), get64(message + 4), get32(message + 12));
        } else {
            fail("this is no command");
        }
    }
}
