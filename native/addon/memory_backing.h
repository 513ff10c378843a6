// The files behind memory of this process: reading a hole of a shared file would fill it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

// The mappings of shared files, as they were when it was made.
class MemoryBacking {
 public:
  MemoryBacking();

  struct Stretch {
    uint64_t size;
    // Nothing is there: it reads as zero, and should not be read.
    bool is_hole;
  };
  // Describes memory from data on, at most size bytes; the answer is for a part of it, at least one byte.
  Stretch Look(const uint8_t* data, uint64_t size) const;

 private:
  struct Mapping {
    uint64_t start;
    uint64_t end;
    // Of start in the file.
    uint64_t offset;
    dev_t device;
    ino_t inode;
    int fd;
  };
  void FindFiles();

  std::vector<Mapping> mappings_;
};
