// The handing-over from the loader to the kernel: physical addresses, but for `entry` and `stack`. boot.S knows the first four.
#ifndef LOADER_BLOCK_H
#define LOADER_BLOCK_H

#define PHYSICAL_MAP 0xffffa00000000000ull
#define MOST_FILES 16

struct loaded_file {
  char name[32];
  unsigned long long start;
  unsigned long long size;
};

struct loader_block {
  unsigned long long tables;
  unsigned long long reserved;
  unsigned long long entry;
  unsigned long long stack;
  unsigned long long base;
  unsigned long long image_size;
  // The first page that nobody uses, and the end of memory.
  unsigned long long free_page;
  unsigned long long memory_end;
  unsigned int file_count;
  unsigned int is_shadowed;
  struct loaded_file files[MOST_FILES];
};

#endif
