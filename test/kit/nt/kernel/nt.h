// The test kernel's own declarations; nt-types.h is made of the layout of a build of Windows.
#ifndef NT_H
#define NT_H

#include "loader-block.h"
#include "nt-types.h"

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define PAGE 0x1000ull
#define EXPORT __attribute__((dllexport))
#define NOINLINE __attribute__((noinline))
#define CONTAINER(address, type, member) ((struct type *)((u8 *)(address) - __builtin_offsetof(struct type, member)))

// memory.c
extern u64 SystemTables;
void MiInitialize(struct loader_block *loader);
void *phys(u64 physical);
u64 MiTakePage(void);
void *memcpy(void *to, const void *from, u64 size);
void MiMapPage(u64 tables, u64 address, u64 physical, u64 bits);
u64 MiCreateTables(void);
u64 PsCountSystemCall(u64 is_alertable, u64 interval);
void MiTrimPage(u64 tables, u64 address, u32 way);
void MiDeleteUserTables(u64 tables);
void MiUnmapPages(u64 tables, u64 address, u64 count);
u8 *user(u64 tables, u64 address);
void *ExAllocatePool(u64 size);
void ExFreePool(void *memory, u64 size);

// truth.c
void begin_truth(const char *event);
void tell_number(const char *key, u64 value);
void tell_text(const char *key, const char *text);
void end_truth(void);

// objects.c
enum { TYPE_PROCESS = 7, TYPE_THREAD = 8, TYPE_TOKEN = 5, TYPE_EVENT = 16, TYPE_FILE = 37, TYPE_DRIVER = 34 };
void ObInitialize(void);
void *ObCreateObject(u32 type, u64 size, const char *name);
void ObDelete(void *object, u64 size);
void make_string(struct _UNICODE_STRING *string, const char *text);
void free_string(struct _UNICODE_STRING *string);
struct _HANDLE_TABLE *ExCreateHandleTable(struct _EPROCESS *process);
u64 ExCreateHandle(struct _HANDLE_TABLE *table, void *object, u32 access);
void ExDestroyHandleTable(struct _HANDLE_TABLE *table);
// The entry of a number, of an object in place of its header.
void ExSetObject(struct _HANDLE_TABLE *table, u64 number, void *object);

// registry.c
void CmInitialize(void);

// callbacks.c
void CbRegister(u64 driver);
void CbFill(void);

// images.c
u64 MiMapViewOfImageSection(struct _EPROCESS *process, struct loaded_file *file, const char *path);
void MiUnmapViewOfSection(struct _EPROCESS *process, u64 address);
void MiInsertPrivateVad(struct _EPROCESS *process, u64 start, u64 size, u32 protection);
void MiDeleteVads(struct _EPROCESS *process);
void load_driver(struct loaded_file *file, const char *name);
void unload_driver(const char *name);
void ldr_insert(struct _EPROCESS *process, u64 base, const char *path);
void ldr_remove(struct _EPROCESS *process, u64 base);
u32 image_size(u64 header_of_image);
u64 image_base(u64 image);
void ldr_create32(struct _EPROCESS *process, u32 peb);
void ldr_insert32(struct _EPROCESS *process, u64 base, const char *path);
void list_kernel(struct loader_block *loader);
// Writes a text into the memory of a process, and returns the place behind it.
u64 user_string(u64 tables, u64 at, struct _UNICODE_STRING *string, const char *text);

// processes.c
extern struct _EPROCESS *PsInitialSystemProcess;
extern struct _LIST_ENTRY PsActiveProcessHead;
extern struct _HANDLE_TABLE *PspCidTable;
void PsInitialize(void);
// A process without a program.
struct _EPROCESS *PsCreateMinimalProcess(const char *name);
struct _EPROCESS *start_process(struct loader_block *loader, const char *name, struct _EPROCESS *parent);
// A process of 32 bits: its loader of 64 bits knows the program and its own library, that of 32 all of 32 bits.
struct _EPROCESS *start_process32(struct loader_block *loader, const char *name);
void start_thread(struct _EPROCESS *process, u64 start, u64 argument);
void end_process(struct _EPROCESS *process, int is_kept);
struct _EPROCESS *find_process(const char *name);
void run_process(struct _EPROCESS *process);
void run_all(void);

// list, text
static inline void list_init(struct _LIST_ENTRY *head) { head->Flink = head->Blink = head; }
static inline void list_append(struct _LIST_ENTRY *head, struct _LIST_ENTRY *entry) {
  entry->Flink = head;
  entry->Blink = head->Blink;
  head->Blink->Flink = entry;
  head->Blink = entry;
}
static inline void list_remove(struct _LIST_ENTRY *entry) {
  entry->Blink->Flink = entry->Flink;
  entry->Flink->Blink = entry->Blink;
}
static inline int is_same(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}
static inline const char *last_part(const char *path) {
  const char *name = path;
  for (; *path; path++)
    if (*path == '\\') name = path + 1;
  return name;
}
u64 now(void);
struct _ETHREAD *current_thread(void);
void set_current_thread(struct _ETHREAD *thread);

#endif
