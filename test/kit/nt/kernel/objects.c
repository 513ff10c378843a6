// Objects with headers and types, strings, and handle tables of one or two levels.
#include "nt.h"

EXPORT struct _OBJECT_TYPE *ObTypeIndexTable[64];
#if NT_BUILD >= 10240
EXPORT u8 ObHeaderCookie = 0x5a;
#define HIDE(type, header) ((type) ^ (((u64)(header) >> 8) & 0xff) ^ ObHeaderCookie)
#else
#define HIDE(type, header) (type)
#endif
// By the InfoMask: how far the last optional header lies before the header.
EXPORT u8 ObpInfoMaskToOffset[256];

static const char *const names[64] = {
    [2] = "Type", [3] = "Directory", [TYPE_TOKEN] = "Token", [TYPE_PROCESS] = "Process", [TYPE_THREAD] = "Thread",
    [TYPE_EVENT] = "Event", [44] = "Key", [TYPE_DRIVER] = "Driver", [TYPE_FILE] = "File",
};
#define BODY __builtin_offsetof(struct _OBJECT_HEADER, Body)
#define INFO sizeof(struct _OBJECT_HEADER_NAME_INFO)

void make_string(struct _UNICODE_STRING *string, const char *text) {
  u32 length = 0;
  while (text[length]) length++;
  u16 *wide = ExAllocatePool(length * 2 + 2);
  for (u32 at = 0; at < length; at++) wide[at] = (u8)text[at];
  string->Buffer = wide;
  string->Length = (u16)(length * 2);
  string->MaximumLength = (u16)(length * 2 + 2);
}

void free_string(struct _UNICODE_STRING *string) {
  if (string->Buffer) ExFreePool(string->Buffer, string->MaximumLength);
}

void ObInitialize(void) {
  for (u32 mask = 0; mask < 256; mask++) ObpInfoMaskToOffset[mask] = mask & 2 ? INFO : 0;
  for (u32 type = 2; type < 64; type++) {
    struct _OBJECT_TYPE *made = ExAllocatePool(sizeof(struct _OBJECT_TYPE));
    make_string(&made->Name, names[type] ? names[type] : "Other");
    made->Index = (u8)type;
    list_init(&made->TypeList);
    ObTypeIndexTable[type] = made;
  }
}

void *ObCreateObject(u32 type, u64 size, const char *name) {
  u8 *memory = ExAllocatePool(INFO + BODY + size);
  struct _OBJECT_HEADER *header = (void *)(memory + INFO);
  header->PointerCount = header->HandleCount = 1;
  header->TypeIndex = (u8)HIDE(type, header);
  if (name) {
    header->InfoMask = 2;
    make_string(&((struct _OBJECT_HEADER_NAME_INFO *)memory)->Name, name);
  }
  ObTypeIndexTable[type]->TotalNumberOfObjects++;
  return (u8 *)header + BODY;
}

void ObDelete(void *object, u64 size) {
  struct _OBJECT_HEADER_NAME_INFO *info = (void *)((u8 *)object - BODY - INFO);
  free_string(&info->Name);
  ExFreePool(info, INFO + BODY + size);
}

struct _HANDLE_TABLE *ExCreateHandleTable(struct _EPROCESS *process) {
  struct _HANDLE_TABLE *table = ExAllocatePool(sizeof(struct _HANDLE_TABLE));
  table->TableCode = (u64)ExAllocatePool(PAGE);
  table->NextHandleNeedingPool = 0x400;
  table->QuotaProcess = process;
  return table;
}

#define PER_PAGE (PAGE / sizeof(union _HANDLE_TABLE_ENTRY))

// Until 7 an entry has an address whose lowest bits are flags, since 8 the upper bits of it.
#if NT_BUILD < 9200
#define IS_FREE(entry) (!(entry)->Object)
static void fill_entry(union _HANDLE_TABLE_ENTRY *entry, u64 address, u32 access) {
  entry->Object = (void *)(address ? address | 1 : 0);
  entry->GrantedAccess = access;
}
#else
#define IS_FREE(entry) (!(entry)->ObjectPointerBits)
static void fill_entry(union _HANDLE_TABLE_ENTRY *entry, u64 address, u32 access) {
  entry->ObjectPointerBits = address >> 4;
  entry->Unlocked = 1;
  entry->GrantedAccessBits = access;
}
#endif

static union _HANDLE_TABLE_ENTRY *find_entry(struct _HANDLE_TABLE *table, u64 index) {
  u64 code = table->TableCode;
  union _HANDLE_TABLE_ENTRY **pages = (void *)(code & ~7ull);
  if ((code & 7) == 0) return (union _HANDLE_TABLE_ENTRY *)pages + index;
  return pages[index / PER_PAGE] + index % PER_PAGE;
}

static void add_page(struct _HANDLE_TABLE *table) {
  u64 count = table->NextHandleNeedingPool / 4;
  if ((table->TableCode & 7) == 0) {
    void **pages = ExAllocatePool(PAGE);
    pages[0] = (void *)table->TableCode;
    table->TableCode = (u64)pages | 1;
  }
  ((void **)(table->TableCode & ~7ull))[count / PER_PAGE] = ExAllocatePool(PAGE);
  table->NextHandleNeedingPool += 0x400;
}

u64 ExCreateHandle(struct _HANDLE_TABLE *table, void *object, u32 access) {
  u64 count = table->NextHandleNeedingPool / 4;
  u64 index = 1;
  for (; index < count; index++)
    if (index % PER_PAGE && IS_FREE(find_entry(table, index))) break;
  if (index == count) {
    add_page(table);
    index++;
  }
  fill_entry(find_entry(table, index), (u64)object - BODY, access);
  return index * 4;
}

void ExSetObject(struct _HANDLE_TABLE *table, u64 number, void *object) {
  while (number >= table->NextHandleNeedingPool) add_page(table);
  fill_entry(find_entry(table, number / 4), (u64)object, 0);
}

void ExDestroyHandleTable(struct _HANDLE_TABLE *table) {
  void **pages = (void *)(table->TableCode & ~7ull);
  if (table->TableCode & 7)
    for (u32 at = 0; at < 512 && pages[at]; at++) ExFreePool(pages[at], PAGE);
  ExFreePool(pages, PAGE);
  ExFreePool(table, sizeof(struct _HANDLE_TABLE));
}
