// Physical pages, page tables and pool. Pool lies in the map of physical memory.
#include "nt.h"

u64 SystemTables;
static u64 next_page, memory_end, free_pages;
// By the logarithm of the size.
static void *free_pool[32];

// The compiler calls these for structs.
void *memcpy(void *to, const void *from, u64 size) {
  for (u64 at = 0; at < size; at++) ((volatile u8 *)to)[at] = ((const u8 *)from)[at];
  return to;
}

void *memset(void *to, int value, u64 size) {
  for (u64 at = 0; at < size; at++) ((volatile u8 *)to)[at] = (u8)value;
  return to;
}

void *phys(u64 physical) { return (void *)(PHYSICAL_MAP + physical); }

// As in Windows before KASLR of the page tables: they lie at 0xfffff68000000000.
static void map_itself(u64 tables) { ((u64 *)phys(tables))[0x1ed] = tables | 3; }

void MiInitialize(struct loader_block *loader) {
  next_page = loader->free_page;
  memory_end = loader->memory_end;
  SystemTables = loader->tables;
  // The programs' half, which held the loader.
  u64 *tables = phys(SystemTables);
  for (u32 at = 0; at < 256; at++) tables[at] = 0;
  map_itself(SystemTables);
  __asm__ volatile("mov %0, %%cr3" ::"r"(SystemTables) : "memory");
}

u64 MiTakePage(void) {
  u64 page = free_pages;
  if (page) free_pages = *(u64 *)phys(page);
  else {
    page = next_page;
    next_page += PAGE;
    if (next_page > memory_end) __asm__ volatile("ud2");
  }
  u64 *words = phys(page);
  for (u32 at = 0; at < 512; at++) words[at] = 0;
  return page;
}

static void give_page(u64 page) {
  *(u64 *)phys(page) = free_pages;
  free_pages = page;
}

static u64 *enter(u64 *table, u64 index, u64 bits) {
  if (!(table[index] & 1)) table[index] = MiTakePage() | 3 | bits;
  return phys(table[index] & 0xffffffffff000ull);
}

void MiMapPage(u64 tables, u64 address, u64 physical, u64 bits) {
  u64 *at = phys(tables);
  for (u32 shift = 39; shift > 12; shift -= 9) at = enter(at, (address >> shift) & 511, bits & 4);
  at[(address >> 12) & 511] = physical | bits | 1;
}

// Finds the memory of an address in an address space; the kernel reads and writes programs' memory by it.
u8 *user(u64 tables, u64 address) {
  u64 *at = phys(tables);
  for (u32 shift = 39;; shift -= 9) {
    u64 entry = at[(address >> shift) & 511];
    if (!(entry & 1)) return 0;
    if (shift == 12) return (u8 *)phys(entry & 0xffffffffff000ull) + (address & 0xfff);
    at = phys(entry & 0xffffffffff000ull);
  }
}

// The physical address of the entry of a page.
u64 *MiFindEntry(u64 tables, u64 address) {
  u64 *at = phys(tables);
  for (u32 shift = 39; shift > 12; shift -= 9) at = phys(at[(address >> shift) & 511] & 0xffffffffff000ull);
  return &at[(address >> 12) & 511];
}

EXPORT u32 KiImplementedPhysicalBits = 46;
enum { SWIZZLED = 1 << 4, PROTOTYPE = 1 << 10, TRANSITION = 1 << 11 };

// Windows sets the highest bit of physical addresses in entries that are not valid, and says so by not setting another.
static u64 swizzle(u64 entry) { return (entry & SWIZZLED) ? entry : entry | 1ull << (KiImplementedPhysicalBits - 1); }

// Takes a page from a process in one of the ways in which Windows does; the page itself stays, but for the last.
void MiTrimPage(u64 tables, u64 address, u32 way) {
  u64 *entry = MiFindEntry(tables, address), page = *entry & 0xffffffffff000ull;
  if (way == 0) *entry = swizzle(page | TRANSITION | 4 << 5);
  else if (way == 1) *entry = page | TRANSITION | SWIZZLED | 4 << 5;
  else if (way == 2 || way == 3) {
    // Prototypes lie in the kernel's pool, at an address whose lower 48 bits an entry has room for.
    u64 *prototype = ExAllocatePool(8);
    *prototype = way == 2 ? page | 3 : swizzle(page | TRANSITION);
    *entry = (u64)prototype << 16 | PROTOTYPE | SWIZZLED;
  } else *entry = swizzle(0x1234ull << 32 | 1 << 12 | 4 << 5);
  __asm__ volatile("invlpg (%0)" ::"r"(address) : "memory");
}

void MiUnmapPages(u64 tables, u64 address, u64 count) {
  for (; count; count--, address += PAGE) {
    u64 *at = phys(tables);
    for (u32 shift = 39; at && shift > 12; shift -= 9) {
      u64 entry = at[(address >> shift) & 511];
      at = entry & 1 ? phys(entry & 0xffffffffff000ull) : 0;
    }
    u64 *entry = at ? &at[(address >> 12) & 511] : 0;
    if (!entry || !(*entry & 1)) continue;
    give_page(*entry & 0xffffffffff000ull);
    *entry = 0;
    __asm__ volatile("invlpg (%0)" ::"r"(address) : "memory");
  }
}

u64 MiCreateTables(void) {
  u64 tables = MiTakePage();
  u64 *to = phys(tables), *from = phys(SystemTables);
  for (u32 at = 256; at < 512; at++) to[at] = from[at];
  map_itself(tables);
  return tables;
}

static void give_tables(u64 table, u32 level) {
  u64 *entries = phys(table);
  for (u32 at = 0; at < (level == 4 ? 256 : 512); at++) {
    if (!(entries[at] & 1)) continue;
    u64 below = entries[at] & 0xffffffffff000ull;
    if (level > 1) give_tables(below, level - 1);
    else give_page(below);
    entries[at] = 0;
  }
  if (level < 4) give_page(table);
}

void MiDeleteUserTables(u64 tables) {
  give_tables(tables, 4);
  give_page(tables);
}

static u32 size_class(u64 size) {
  u32 class = 5;
  while ((1ull << class) < size) class++;
  return class;
}

static u64 pool_at, pool_left;

NOINLINE void *ExAllocatePool(u64 size) {
  u32 class = size_class(size);
  u64 whole = 1ull << class;
  void *memory = free_pool[class];
  if (memory) free_pool[class] = *(void **)memory;
  else {
    if (pool_left < whole) {
      u64 bytes = whole > 0x40000 ? whole : 0x40000;
      pool_at = PHYSICAL_MAP + next_page;
      next_page += bytes;
      pool_left = bytes;
      if (next_page > memory_end) __asm__ volatile("ud2");
    }
    memory = (void *)pool_at;
    pool_at += whole;
    pool_left -= whole;
  }
  u64 *words = memory;
  for (u64 at = 0; at < whole / 8; at++) words[at] = 0;
  return memory;
}

void ExFreePool(void *memory, u64 size) {
  u32 class = size_class(size);
  *(void **)memory = free_pool[class];
  free_pool[class] = memory;
}
