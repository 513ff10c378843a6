#include "memory_backing.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>

MemoryBacking::MemoryBacking() {
  FILE* maps = fopen("/proc/self/maps", "re");
  if (!maps) return;
  char* line = nullptr;
  size_t capacity = 0;
  while (getline(&line, &capacity, maps) > 0) {
    uint64_t start = 0, end = 0, offset = 0, inode = 0;
    unsigned device_major = 0, device_minor = 0;
    char permissions[5] = "";
    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64, &start, &end, permissions, &offset,
               &device_major, &device_minor, &inode) == 7 &&
        permissions[3] == 's' && inode != 0) {
      mappings_.push_back({start, end, offset, makedev(device_major, device_minor), inode, -1});
    }
  }
  free(line);
  fclose(maps);
  FindFiles();
}

// A file that is mapped may have no name any more: only QEMU's own descriptor leads to it.
void MemoryBacking::FindFiles() {
  DIR* folder = mappings_.empty() ? nullptr : opendir("/proc/self/fd");
  if (!folder) return;
  while (const dirent* entry = readdir(folder)) {
    int fd = atoi(entry->d_name);
    struct stat facts;
    if (fd <= 2 || fd == dirfd(folder) || fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode)) continue;
    for (Mapping& mapping : mappings_) {
      if (mapping.device == facts.st_dev && mapping.inode == facts.st_ino) mapping.fd = fd;
    }
  }
  closedir(folder);
}

MemoryBacking::Stretch MemoryBacking::Look(const uint8_t* data, uint64_t size) const {
  uint64_t at = reinterpret_cast<uint64_t>(data);
  for (const Mapping& mapping : mappings_) {
    if (mapping.fd < 0 || at < mapping.start || at >= mapping.end) continue;
    uint64_t most = std::min(size, mapping.end - at);
    off_t offset = static_cast<off_t>(mapping.offset + (at - mapping.start));
    off_t next = lseek(mapping.fd, offset, SEEK_DATA);
    if (next < 0 && errno == ENXIO) return {most, true};
    if (next > offset) return {std::min(most, static_cast<uint64_t>(next - offset)), true};
    off_t hole = lseek(mapping.fd, offset, SEEK_HOLE);
    if (hole > offset) return {std::min(most, static_cast<uint64_t>(hole - offset)), false};
    return {most, false};
  }
  return {size, false};
}
