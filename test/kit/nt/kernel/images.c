// Images in address spaces, with their VADs and the loader's lists; drivers.
#include "nt.h"

EXPORT struct _LIST_ENTRY PsLoadedModuleList;

#define VAD_IMAGE 2
#define EXECUTE_WRITECOPY 7

u32 image_size(u64 image) { return *(u32 *)(image + *(u32 *)(image + 60) + 80); }
static u32 entry_point(u64 image) { return *(u32 *)(image + *(u32 *)(image + 60) + 40); }

// Where an image is linked for: of 32 and of 64 bits.
u64 image_base(u64 image) {
  u64 header = image + *(u32 *)(image + 60);
  return *(u16 *)(header + 24) == 0x10b ? *(u32 *)(header + 52) : *(u64 *)(header + 48);
}

// Copies the sections of a PE file to pages of their own.
static void copy_image(u64 tables, u64 base, const u8 *file, u64 bits) {
  const u8 *header = file + *(const u32 *)(file + 60);
  u32 size = *(const u32 *)(header + 80);
  for (u64 at = 0; at < size; at += PAGE) MiMapPage(tables, base + at, MiTakePage(), bits);
  for (u32 at = 0; at < *(const u32 *)(header + 84); at++) *user(tables, base + at) = file[at];
  const u8 *section = header + 24 + *(const u16 *)(header + 20);
  for (u32 count = *(const u16 *)(header + 6); count; count--, section += 40) {
    u32 in_memory = *(const u32 *)(section + 8), in_file = *(const u32 *)(section + 16);
    u32 rva = *(const u32 *)(section + 12), offset = *(const u32 *)(section + 20);
    for (u32 at = 0; at < in_memory && at < in_file; at++) *user(tables, base + rva + at) = file[offset + at];
  }
}

// Until 7 the root is a node itself, whose right child is the first; numbers of pages have one member.
#if NT_BUILD < 9200
typedef struct _MMVAD_SHORT node;
#define LEFT(node) (*(struct _MMVAD_SHORT **)&(node)->LeftChild)
#define RIGHT(node) (*(struct _MMVAD_SHORT **)&(node)->RightChild)
#define ROOT(process) (*(node **)&(process)->VadRoot.BalancedRoot.RightChild)
#define CORE(vad) ((struct _MMVAD_SHORT *)(vad))
#define FIRST_PAGE(vad) ((vad)->StartingVpn)
#define LAST_PAGE(vad) ((vad)->EndingVpn)
static void set_pages(struct _MMVAD_SHORT *vad, u64 first, u64 last) {
  vad->StartingVpn = first;
  vad->EndingVpn = last;
}
#else
typedef struct _RTL_BALANCED_NODE node;
#define LEFT(node) ((node)->Left)
#define RIGHT(node) ((node)->Right)
#define ROOT(process) (*(node **)&(process)->VadRoot.Root)
#define CORE(vad) (&(vad)->Core)
#define FIRST_PAGE(vad) (((u64)(vad)->StartingVpnHigh << 32) | (vad)->StartingVpn)
#define LAST_PAGE(vad) (((u64)(vad)->EndingVpnHigh << 32) | (vad)->EndingVpn)
static void set_pages(struct _MMVAD_SHORT *vad, u64 first, u64 last) {
  vad->StartingVpn = (u32)first;
  vad->StartingVpnHigh = (u8)(first >> 32);
  vad->EndingVpn = (u32)last;
  vad->EndingVpnHigh = (u8)(last >> 32);
}
#endif

// VADs are kept in a tree by their first page, which is not balanced.
static void insert_vad(struct _EPROCESS *process, struct _MMVAD_SHORT *vad) {
  node **place = &ROOT(process);
  node *parent = 0;
  while (*place) {
    parent = *place;
    struct _MMVAD_SHORT *there = (void *)parent;
    place = FIRST_PAGE(vad) < FIRST_PAGE(there) ? &LEFT(parent) : &RIGHT(parent);
  }
  *place = (node *)vad;
#if NT_BUILD >= 9200
  vad->VadNode.ParentValue = (u64)parent;
#endif
}

static void set_range(struct _MMVAD_SHORT *vad, u64 start, u64 size, u32 type, u32 protection) {
  set_pages(vad, start >> 12, (start + size - 1) >> 12);
  vad->u.VadFlags.VadType = type;
  vad->u.VadFlags.Protection = protection;
  vad->u.VadFlags.PrivateMemory = type == 0;
}

void MiInsertPrivateVad(struct _EPROCESS *process, u64 start, u64 size, u32 protection) {
  struct _MMVAD_SHORT *vad = ExAllocatePool(sizeof(struct _MMVAD));
  set_range(vad, start, size, 0, protection);
  insert_vad(process, vad);
}

NOINLINE static struct _FILE_OBJECT *open_file(const char *path) {
  struct _FILE_OBJECT *file = ObCreateObject(TYPE_FILE, sizeof(struct _FILE_OBJECT), 0);
  file->Type = 5;
  file->Size = sizeof(struct _FILE_OBJECT);
  make_string(&file->FileName, path);
  return file;
}

// Maps an image; the VAD is in the tree, and the loader does not know of it yet.
NOINLINE u64 MiMapViewOfImageSection(struct _EPROCESS *process, struct loaded_file *file, const char *path) {
  const u8 *bytes = phys(file->start);
  const u8 *header = bytes + *(const u32 *)(bytes + 60);
  u64 base = image_base((u64)bytes);
  copy_image(process->Pcb.DirectoryTableBase, base, bytes, 7);
  struct _MMVAD *vad = ExAllocatePool(sizeof(struct _MMVAD));
  set_range(CORE(vad), base, *(const u32 *)(header + 80), VAD_IMAGE, EXECUTE_WRITECOPY);
  struct _CONTROL_AREA *area = ExAllocatePool(sizeof(struct _CONTROL_AREA));
  struct _SEGMENT *segment = ExAllocatePool(sizeof(struct _SEGMENT));
  struct _SUBSECTION *subsection = ExAllocatePool(sizeof(struct _SUBSECTION));
  area->Segment = segment;
  segment->ControlArea = area;
  subsection->ControlArea = area;
  // The lower bits count references that are taken in advance.
  area->FilePointer.Value = (u64)open_file(path) | 0xa;
  vad->Subsection = subsection;
  insert_vad(process, CORE(vad));
  return base;
}

static void free_vad(struct _MMVAD_SHORT *vad) {
  if (vad->u.VadFlags.VadType == VAD_IMAGE) {
    struct _SUBSECTION *subsection = ((struct _MMVAD *)vad)->Subsection;
    struct _CONTROL_AREA *area = subsection->ControlArea;
    struct _FILE_OBJECT *file = (void *)(area->FilePointer.Value & ~15ull);
    free_string(&file->FileName);
    ObDelete(file, sizeof(struct _FILE_OBJECT));
    ExFreePool(area->Segment, sizeof(struct _SEGMENT));
    ExFreePool(area, sizeof(struct _CONTROL_AREA));
    ExFreePool(subsection, sizeof(struct _SUBSECTION));
  }
  ExFreePool(vad, sizeof(struct _MMVAD));
}

static void reinsert(struct _EPROCESS *process, node *root) {
  if (!root) return;
  node *left = LEFT(root), *right = RIGHT(root);
  LEFT(root) = RIGHT(root) = 0;
  insert_vad(process, (void *)root);
  reinsert(process, left);
  reinsert(process, right);
}

static struct _MMVAD_SHORT *take_vad(struct _EPROCESS *process, u64 address) {
  node **place = &ROOT(process);
  while (*place) {
    struct _MMVAD_SHORT *vad = (void *)*place;
    u64 first = FIRST_PAGE(vad), last = LAST_PAGE(vad), page = address >> 12;
    if (page >= first && page <= last) {
      node *left = LEFT(*place), *right = RIGHT(*place);
      *place = 0;
      reinsert(process, left);
      reinsert(process, right);
      return vad;
    }
    place = page < first ? &LEFT(*place) : &RIGHT(*place);
  }
  return 0;
}

NOINLINE void MiUnmapViewOfSection(struct _EPROCESS *process, u64 address) {
  struct _MMVAD_SHORT *vad = take_vad(process, address);
  if (!vad) return;
  u64 first = FIRST_PAGE(vad), last = LAST_PAGE(vad);
  MiUnmapPages(process->Pcb.DirectoryTableBase, first << 12, last - first + 1);
  free_vad(vad);
}

static void delete_vads(node *root) {
  if (!root) return;
  delete_vads(LEFT(root));
  delete_vads(RIGHT(root));
  free_vad((void *)root);
}

void MiDeleteVads(struct _EPROCESS *process) {
  delete_vads(ROOT(process));
  ROOT(process) = 0;
}

// The loader's lists lie in the memory of the process, from here on.
#define LOADER_HEAP 0x7ff100000000ull
#define LOADER_HEAP_SIZE 0x10000ull

u64 user_string(u64 tables, u64 at, struct _UNICODE_STRING *string, const char *text) {
  u32 length = 0;
  for (; text[length]; length++) *(u16 *)user(tables, at + length * 2) = (u8)text[length];
  *(u16 *)user(tables, at + length * 2) = 0;
  string->Buffer = (void *)at;
  string->Length = (u16)(length * 2);
  string->MaximumLength = (u16)(length * 2 + 2);
  return at + ((length * 2 + 9) & ~7ull);
}

static void link_user(u64 tables, u64 head, u64 entry) {
  struct _LIST_ENTRY *h = (void *)user(tables, head), *e = (void *)user(tables, entry);
  e->Flink = (void *)head;
  e->Blink = h->Blink;
  ((struct _LIST_ENTRY *)user(tables, (u64)h->Blink))->Flink = (void *)entry;
  h->Blink = (void *)entry;
}

static void unlink_user(u64 tables, u64 entry) {
  struct _LIST_ENTRY *e = (void *)user(tables, entry);
  ((struct _LIST_ENTRY *)user(tables, (u64)e->Blink))->Flink = e->Flink;
  ((struct _LIST_ENTRY *)user(tables, (u64)e->Flink))->Blink = e->Blink;
}

static const u32 links[3] = {__builtin_offsetof(struct _LDR_DATA_TABLE_ENTRY, InLoadOrderLinks),
                             __builtin_offsetof(struct _LDR_DATA_TABLE_ENTRY, InMemoryOrderLinks),
                             __builtin_offsetof(struct _LDR_DATA_TABLE_ENTRY, InInitializationOrderLinks)};
static const u32 heads[3] = {__builtin_offsetof(struct _PEB_LDR_DATA, InLoadOrderModuleList),
                             __builtin_offsetof(struct _PEB_LDR_DATA, InMemoryOrderModuleList),
                             __builtin_offsetof(struct _PEB_LDR_DATA, InInitializationOrderModuleList)};

static struct _PEB *peb_of(struct _EPROCESS *process) {
  return (void *)user(process->Pcb.DirectoryTableBase, (u64)process->Peb);
}

void ldr_insert(struct _EPROCESS *process, u64 base, const char *path) {
  u64 tables = process->Pcb.DirectoryTableBase;
  u64 at = LOADER_HEAP;
  // A slot is a page: the entry, and the texts behind it.
  while (!user(tables, at) || *(u64 *)user(tables, at + 48))
    if (!user(tables, at)) {
      MiMapPage(tables, at, MiTakePage(), 7);
      if (at == LOADER_HEAP) MiInsertPrivateVad(process, at, LOADER_HEAP_SIZE, 4);
    } else at += PAGE;
  struct _LDR_DATA_TABLE_ENTRY *entry = (void *)user(tables, at);
  entry->DllBase = (void *)base;
  u64 image = (u64)user(tables, base);
  entry->SizeOfImage = image_size(image);
  entry->EntryPoint = (void *)(base + entry_point(image));
  user_string(tables, at + 0x400, &entry->FullDllName, path);
  entry->BaseDllName = entry->FullDllName;
  u32 skipped = (u32)(last_part(path) - path) * 2;
  entry->BaseDllName.Buffer = (u8 *)entry->BaseDllName.Buffer + skipped;
  entry->BaseDllName.Length -= skipped;
  entry->BaseDllName.MaximumLength -= skipped;
  for (u32 list = 0; list < 3; list++) link_user(tables, (u64)peb_of(process)->Ldr + heads[list], at + links[list]);
}

// The loader's list of 32 bits: the structs are those of 64, with words of 4 bytes.
#define WOW64_HEAP 0x7efe0000u
#define WOW64_LIST 0xcu

static u32 narrow_text(u64 tables, u32 at, u32 string, const char *text) {
  u32 length = 0;
  for (; text[length]; length++) *(u16 *)user(tables, at + length * 2) = (u8)text[length];
  *(u16 *)user(tables, string) = (u16)(length * 2);
  *(u16 *)user(tables, string + 2) = (u16)(length * 2 + 2);
  *(u32 *)user(tables, string + 4) = at;
  return at + ((length * 2 + 9) & ~7u);
}

void ldr_create32(struct _EPROCESS *process, u32 peb) {
  u64 tables = process->Pcb.DirectoryTableBase;
  MiMapPage(tables, WOW64_HEAP, MiTakePage(), 7);
  MiInsertPrivateVad(process, WOW64_HEAP, PAGE, 4);
  for (u32 list = 0; list < 3; list++) {
    u32 head = WOW64_HEAP + WOW64_LIST + list * 8;
    *(u32 *)user(tables, head) = *(u32 *)user(tables, head + 4) = head;
  }
  *(u32 *)user(tables, peb + 12) = WOW64_HEAP;
}

void ldr_insert32(struct _EPROCESS *process, u64 base, const char *path) {
  u64 tables = process->Pcb.DirectoryTableBase;
  // A slot has 0x200 bytes: the entry, and the texts behind it.
  u32 at = WOW64_HEAP + 0x200;
  while (*(u32 *)user(tables, at + 0x18)) at += 0x200;
  u64 image = (u64)user(tables, base);
  *(u32 *)user(tables, at + 0x18) = (u32)base;
  *(u32 *)user(tables, at + 0x1c) = (u32)base + entry_point(image);
  *(u32 *)user(tables, at + 0x20) = image_size(image);
  narrow_text(tables, narrow_text(tables, at + 0x60, at + 0x24, path), at + 0x2c, last_part(path));
  for (u32 list = 0; list < 3; list++) {
    u32 head = WOW64_HEAP + WOW64_LIST + list * 8, links = at + list * 8, last = *(u32 *)user(tables, head + 4);
    *(u32 *)user(tables, links) = head;
    *(u32 *)user(tables, links + 4) = last;
    *(u32 *)user(tables, last) = links;
    *(u32 *)user(tables, head + 4) = links;
  }
}

void ldr_remove(struct _EPROCESS *process, u64 base) {
  u64 tables = process->Pcb.DirectoryTableBase;
  u64 head = (u64)peb_of(process)->Ldr + heads[0];
  for (u64 at = *(u64 *)user(tables, head); at != head; at = *(u64 *)user(tables, at)) {
    struct _LDR_DATA_TABLE_ENTRY *entry = (void *)user(tables, at);
    if ((u64)entry->DllBase != base) continue;
    for (u32 list = 0; list < 3; list++) unlink_user(tables, at + links[list]);
    entry->DllBase = 0;
    return;
  }
}

// Drivers come and go through this function in Windows too.
NOINLINE void MiProcessLoaderEntry(struct _KLDR_DATA_TABLE_ENTRY *entry, int is_loaded) {
  if (is_loaded) list_append(&PsLoadedModuleList, &entry->InLoadOrderLinks);
  else list_remove(&entry->InLoadOrderLinks);
}

static struct _KLDR_DATA_TABLE_ENTRY *describe(u64 base, u32 size, u32 entry_rva, const char *path) {
  struct _KLDR_DATA_TABLE_ENTRY *entry = ExAllocatePool(sizeof(struct _KLDR_DATA_TABLE_ENTRY));
  entry->DllBase = (void *)base;
  entry->SizeOfImage = size;
  entry->EntryPoint = (void *)(base + entry_rva);
  make_string(&entry->FullDllName, path);
  make_string(&entry->BaseDllName, last_part(path));
  return entry;
}

static void tell_driver(const char *event, struct _KLDR_DATA_TABLE_ENTRY *entry, const char *path) {
  begin_truth(event);
  tell_number("base", (u64)entry->DllBase);
  tell_number("size", entry->SizeOfImage);
  tell_text("path", path);
  end_truth();
}

void list_kernel(struct loader_block *loader) {
  list_init(&PsLoadedModuleList);
  const char *path = "\\SystemRoot\\system32\\ntoskrnl.exe";
  struct _KLDR_DATA_TABLE_ENTRY *entry = describe(loader->base, (u32)loader->image_size, entry_point(loader->base), path);
  MiProcessLoaderEntry(entry, 1);
  tell_driver("driver", entry, path);
}

static char driver_path[80];
static const char *path_of_driver(const char *name) {
  const char *folder = "\\SystemRoot\\System32\\drivers\\";
  u32 at = 0;
  for (; folder[at]; at++) driver_path[at] = folder[at];
  for (u32 c = 0; name[c] && at < sizeof driver_path - 1; c++) driver_path[at++] = name[c];
  driver_path[at] = 0;
  return driver_path;
}

void load_driver(struct loaded_file *file, const char *name) {
  const u8 *bytes = phys(file->start);
  u64 base = *(const u64 *)(bytes + *(const u32 *)(bytes + 60) + 48);
  copy_image(SystemTables, base, bytes, 3);
  struct _KLDR_DATA_TABLE_ENTRY *entry = describe(base, image_size(base), entry_point(base), path_of_driver(name));
  MiProcessLoaderEntry(entry, 1);
  tell_driver("driver", entry, driver_path);
}

void unload_driver(const char *name) {
  u32 length = 0;
  while (name[length]) length++;
  for (struct _LIST_ENTRY *at = PsLoadedModuleList.Flink; at != &PsLoadedModuleList; at = at->Flink) {
    struct _KLDR_DATA_TABLE_ENTRY *entry = CONTAINER(at, _KLDR_DATA_TABLE_ENTRY, InLoadOrderLinks);
    u16 *wide = entry->BaseDllName.Buffer;
    if (entry->BaseDllName.Length != length * 2) continue;
    u32 c = 0;
    while (c < length && wide[c] == (u8)name[c]) c++;
    if (c < length) continue;
    MiProcessLoaderEntry(entry, 0);
    tell_driver("driver gone", entry, path_of_driver(name));
    MiUnmapPages(SystemTables, (u64)entry->DllBase, entry->SizeOfImage / PAGE);
    free_string(&entry->FullDllName);
    free_string(&entry->BaseDllName);
    ExFreePool(entry, sizeof(struct _KLDR_DATA_TABLE_ENTRY));
    return;
  }
}
