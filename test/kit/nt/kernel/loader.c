// The loader of the test kernel: puts the PE image of the kernel to an address of the command line ("base=0xfffff801..."), applies
// its relocations, and makes the page tables with which it begins.
#include "loader-block.h"

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define PAGE 0x1000u

struct multiboot_module {
  u32 start, end, name, reserved;
};
struct multiboot {
  u32 flags, mem_lower, mem_upper, boot_device, command_line, module_count, modules;
};

static u32 next_page;
static struct loader_block block;

static void copy(void *to, const void *from, u32 size) {
  for (u32 at = 0; at < size; at++) ((u8 *)to)[at] = ((const u8 *)from)[at];
}

static u32 take_pages(u32 count) {
  u32 taken = next_page;
  next_page += count * PAGE;
  for (u32 at = 0; at < count * PAGE / 4; at++) ((u32 *)taken)[at] = 0;
  return taken;
}

static u64 *enter(u64 *table, u32 index) {
  if (!(table[index] & 1)) table[index] = take_pages(1) | 3;
  return (u64 *)(u32)(table[index] & 0xfffff000);
}

static void map(u64 address, u32 physical) {
  u64 *directories = enter((u64 *)(u32)block.tables, (address >> 39) & 511);
  u64 *tables = enter(enter(directories, (address >> 30) & 511), (address >> 21) & 511);
  tables[(address >> 12) & 511] = physical | 3;
}

// The first GiB, in pages of 2 MiB.
static void map_memory(u64 address) {
  u64 *directory = enter(enter((u64 *)(u32)block.tables, (address >> 39) & 511), (address >> 30) & 511);
  for (u32 at = 0; at < 512; at++) directory[at] = ((u64)at << 21) | 0x83;
}

static u64 read_base(const char *line) {
  for (; *line; line++) {
    const char *word = "base=0x";
    const char *at = line;
    while (*word && *at == *word) word++, at++;
    if (*word) continue;
    u64 value = 0;
    for (;; at++) {
      if (*at >= '0' && *at <= '9') value = (value << 4) + (u64)(*at - '0');
      else if (*at >= 'a' && *at <= 'f') value = (value << 4) + (u64)(*at - 'a' + 10);
      else return value;
    }
  }
  return 0;
}

static void load_kernel(const u8 *file, u64 base) {
  const u8 *header = file + *(const u32 *)(file + 60);
  u32 size = *(const u32 *)(header + 80);
  u8 *image = (u8 *)take_pages((size + PAGE - 1) / PAGE);
  copy(image, file, *(const u32 *)(header + 84));
  const u8 *section = header + 24 + *(const u16 *)(header + 20);
  for (u32 count = *(const u16 *)(header + 6); count > 0; count--, section += 40) {
    u32 in_memory = *(const u32 *)(section + 8), in_file = *(const u32 *)(section + 16);
    copy(image + *(const u32 *)(section + 12), file + *(const u32 *)(section + 20), in_file < in_memory ? in_file : in_memory);
  }
  u64 distance = base - *(const u64 *)(header + 48);
  const u8 *relocations = image + *(const u32 *)(header + 24 + 112 + 5 * 8);
  const u8 *end = relocations + *(const u32 *)(header + 24 + 112 + 5 * 8 + 4);
  while (relocations < end) {
    u32 page = *(const u32 *)relocations, bytes = *(const u32 *)(relocations + 4);
    for (u32 at = 8; at < bytes; at += 2) {
      u16 entry = *(const u16 *)(relocations + at);
      if (entry >> 12 == 10) *(u64 *)(image + page + (entry & 0xfff)) += distance;
    }
    relocations += bytes;
  }
  for (u32 at = 0; at < size; at += PAGE) map(base + at, (u32)image + at);
  block.base = base;
  block.image_size = size;
  block.entry = base + *(const u32 *)(header + 40);
}

struct loader_block *loader_main(const struct multiboot *boot) {
  const struct multiboot_module *modules = (const struct multiboot_module *)boot->modules;
  next_page = 0x400000;
  for (u32 at = 0; at < boot->module_count; at++) {
    u32 end = (modules[at].end + PAGE - 1) & ~(PAGE - 1);
    if (end > next_page) next_page = end;
  }
  block.tables = take_pages(1);
  map_memory(0);
  map_memory(PHYSICAL_MAP);
  u64 base = read_base((const char *)boot->command_line);
  for (u32 at = 0; at < boot->module_count && block.file_count < MOST_FILES; at++) {
    const char *path = (const char *)modules[at].name;
    const char *name = path;
    for (const char *c = path; *c && *c != ' '; c++)
      if (*c == '/') name = c + 1;
    struct loaded_file *file = &block.files[block.file_count++];
    for (u32 c = 0; c < sizeof file->name - 1 && name[c] && name[c] != ' '; c++) file->name[c] = name[c];
    file->start = modules[at].start;
    file->size = modules[at].end - modules[at].start;
    if (at == 0) load_kernel((const u8 *)modules[at].start, base ? base : 0xfffff80000200000ull);
  }
  block.stack = PHYSICAL_MAP + take_pages(8) + 8 * PAGE;
  block.memory_end = 0x100000ull + ((u64)boot->mem_upper << 10);
  block.free_page = next_page;
  return &block;
}
