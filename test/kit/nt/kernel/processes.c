// Processes and threads. A process runs when the script or the scheduler says so, and gives the processor up by itself.
#include "nt.h"

EXPORT struct _EPROCESS *PsInitialSystemProcess;
EXPORT struct _LIST_ENTRY PsActiveProcessHead;
EXPORT struct _EPROCESS *PsIdleProcess;
EXPORT struct _HANDLE_TABLE *PspCidTable;

#define PEB_AT 0x7ff200000000ull
#define STACK_AT 0x7ff300000000ull
#define STACK_SIZE 0x4000ull
#define TEB_AT 0x7ff200010000ull
#define MOST_PROCESSES 512

// Beside the thread: where its program continues. KiEnterUser knows the order.
struct place {
  u64 address, stack, second_argument, first_argument;
  u64 saved[8];
};
struct thread_room {
  struct _ETHREAD thread;
  struct place place;
};
static u8 is_taken[MOST_PROCESSES * 4];
static struct loaded_file *ntdll;

void KiEnterUser(struct place *place);

static u64 take_id(void) {
  u32 at = 2;
  // The first entry of each page of a table of handles is none.
  while (is_taken[at] || at % 256 == 0) at++;
  is_taken[at] = 1;
  return at * 4;
}

static struct _TOKEN *create_token(u32 session) {
  // S-1-5-18 is the system, S-1-16-16384 its integrity; an ordinary user otherwise.
  static const u8 system_sid[12] = {1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0};
  static const u8 user_sid[28] = {1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 0, 9, 0, 0, 0, 0xe9, 3, 0, 0};
  static const u8 integrity[12] = {1, 1, 0, 0, 0, 0, 0, 16, 0, 64, 0, 0};
  struct _TOKEN *token = ObCreateObject(TYPE_TOKEN, sizeof(struct _TOKEN), 0);
  struct _SID_AND_ATTRIBUTES *sids = ExAllocatePool(2 * sizeof *sids);
  u8 *owner = ExAllocatePool(32), *level = ExAllocatePool(32);
  for (u32 at = 0; at < 28; at++) owner[at] = session ? user_sid[at] : at < 12 ? system_sid[at] : 0;
  for (u32 at = 0; at < 12; at++) level[at] = integrity[at];
  if (session) level[9] = 32;
  sids[0].Sid = owner;
  sids[0].Attributes = 0;
  sids[1].Sid = level;
  sids[1].Attributes = 0x60;
  token->UserAndGroups = sids;
  token->UserAndGroupCount = 2;
  token->IntegrityLevelIndex = 1;
  token->SessionId = session;
  token->TokenType = 1;
  token->AuthenticationId.LowPart = session ? 0x1234 : 0x3e7;
  // SeChangeNotifyPrivilege is 23, SeDebugPrivilege 20.
  token->Privileges.Present = session ? 1ull << 23 : 1ull << 23 | 1ull << 20;
  token->Privileges.Enabled = token->Privileges.EnabledByDefault = 1ull << 23;
  return token;
}

NOINLINE static void PspInsertThread(struct _ETHREAD *thread, struct _EPROCESS *process) {
  list_append((struct _LIST_ENTRY *)&process->ThreadListHead, &thread->ThreadListEntry);
  list_append(&process->Pcb.ThreadListHead, &thread->Tcb.ThreadListEntry);
  process->ActiveThreads++;
  ExSetObject(PspCidTable, (u64)thread->Cid.UniqueThread, thread);
}

static struct _ETHREAD *create_thread(struct _EPROCESS *process, u64 start, u64 argument) {
  struct thread_room *room = ObCreateObject(TYPE_THREAD, sizeof(struct thread_room), 0);
  struct _ETHREAD *thread = &room->thread;
  u64 number = process->ActiveThreads;
  thread->Cid.UniqueProcess = process->UniqueProcessId;
  thread->Cid.UniqueThread = (void *)take_id();
  thread->StartAddress = thread->Win32StartAddress = (void *)start;
  thread->CreateTime.QuadPart = (long long)now();
  thread->Tcb.Process = thread->Tcb.ApcState.Process = &process->Pcb;
  thread->Tcb.State = 5;
  if (process->Peb) {
    u64 tables = process->Pcb.DirectoryTableBase;
    u64 teb = TEB_AT + number * 2 * PAGE, stack = STACK_AT + number * 0x10000;
    for (u64 at = 0; at < 2; at++) MiMapPage(tables, teb + at * PAGE, MiTakePage(), 7);
    for (u64 at = 0; at < STACK_SIZE; at += PAGE) MiMapPage(tables, stack + at, MiTakePage(), 7);
    MiInsertPrivateVad(process, teb, 2 * PAGE, 4);
    MiInsertPrivateVad(process, stack, STACK_SIZE, 4);
    struct _TEB *made = (void *)user(tables, teb);
    made->ClientId = thread->Cid;
    made->ProcessEnvironmentBlock = process->Peb;
    thread->Tcb.Teb = (void *)teb;
    thread->Tcb.PreviousMode = 1;
    room->place = (struct place){start, stack + STACK_SIZE - 0x48, argument, 0, {0}};
  }
  return thread;
}

static void tell_thread(struct _EPROCESS *process, struct _ETHREAD *thread) {
  begin_truth("thread");
  tell_number("pid", (u64)process->UniqueProcessId);
  tell_number("tid", (u64)thread->Cid.UniqueThread);
  tell_number("ethread", (u64)thread);
  tell_number("start", (u64)thread->Win32StartAddress);
  tell_number("teb", (u64)thread->Tcb.Teb);
  end_truth();
}

void start_thread(struct _EPROCESS *process, u64 start, u64 argument) {
  struct _ETHREAD *thread = create_thread(process, start, argument);
  PspInsertThread(thread, process);
  tell_thread(process, thread);
}

// Called with a process that is complete, and in no list yet.
NOINLINE static void PspInsertProcess(struct _EPROCESS *process, struct _EPROCESS *parent) {
  process->InheritedFromUniqueProcessId = parent ? parent->UniqueProcessId : 0;
  list_append(&PsActiveProcessHead, &process->ActiveProcessLinks);
  ExSetObject(PspCidTable, (u64)process->UniqueProcessId, process);
}

static struct _EPROCESS *create_process(const char *name, u64 tables) {
  struct _EPROCESS *process = ObCreateObject(TYPE_PROCESS, sizeof(struct _EPROCESS), 0);
  u32 at = 0;
  for (; name[at] && at < sizeof process->ImageFileName - 1; at++) process->ImageFileName[at] = (u8)name[at];
  process->Pcb.DirectoryTableBase = tables;
  // KVA shadow is off.
  process->Pcb.UserDirectoryTableBase = 1;
  process->CreateTime.QuadPart = (long long)now();
  list_init(&process->Pcb.ThreadListHead);
  list_init((struct _LIST_ENTRY *)&process->ThreadListHead);
  process->ObjectTable = ExCreateHandleTable(process);
  process->ExitStatus = 0x103;
  process->Token.Value = (u64)create_token(process == PsInitialSystemProcess ? 0 : 1) | 0xf;
  return process;
}

static char path_room[96];
static const char *join(const char *folder, const char *name) {
  u32 at = 0;
  for (; folder[at]; at++) path_room[at] = folder[at];
  for (u32 c = 0; name[c] && at < sizeof path_room - 1; c++) path_room[at++] = name[c];
  path_room[at] = 0;
  return path_room;
}

// The environment block, the parameters and the loader's data in one page each, behind the PEB.
static void create_peb(struct _EPROCESS *process, const char *name, u64 base) {
  u64 tables = process->Pcb.DirectoryTableBase;
  for (u64 at = 0; at < 4; at++) MiMapPage(tables, PEB_AT + at * PAGE, MiTakePage(), 7);
  MiInsertPrivateVad(process, PEB_AT, 4 * PAGE, 4);
  process->Peb = (void *)PEB_AT;
  struct _PEB *peb = (void *)user(tables, PEB_AT);
  peb->ImageBaseAddress = (void *)base;
  peb->Ldr = (void *)(PEB_AT + PAGE);
  peb->ProcessParameters = (void *)(PEB_AT + 2 * PAGE);
  peb->SessionId = 1;
  struct _PEB_LDR_DATA *ldr = (void *)user(tables, (u64)peb->Ldr);
  ldr->Length = sizeof *ldr;
  ldr->Initialized = 1;
  u64 at = (u64)peb->Ldr;
#define INIT(list)                                                                    \
  ldr->list.Flink = ldr->list.Blink = (void *)(at + __builtin_offsetof(struct _PEB_LDR_DATA, list))
  INIT(InLoadOrderModuleList);
  INIT(InMemoryOrderModuleList);
  INIT(InInitializationOrderModuleList);
  struct _RTL_USER_PROCESS_PARAMETERS *parameters = (void *)user(tables, (u64)peb->ProcessParameters);
  parameters->Length = sizeof *parameters;
  parameters->Flags = 1;
  u64 text = PEB_AT + 2 * PAGE + 0x800;
  text = user_string(tables, text, &parameters->ImagePathName, join("C:\\Windows\\System32\\", name));
  text = user_string(tables, text, &parameters->CommandLine, join("\"C:\\Windows\\System32\\", name));
  u32 length = parameters->CommandLine.Length;
  // An argument with a space, behind the program's own name in quotes.
  struct _UNICODE_STRING rest;
  text = user_string(tables, (u64)parameters->CommandLine.Buffer + length, &rest, "\" -x \"two words\"");
  parameters->CommandLine.Length += rest.Length;
  parameters->CommandLine.MaximumLength = parameters->CommandLine.Length + 2;
  text = user_string(tables, text, &parameters->CurrentDirectory.DosPath, "C:\\Windows\\");
  struct _UNICODE_STRING word;
  parameters->Environment = (void *)(PEB_AT + 3 * PAGE);
  user_string(tables, PEB_AT + 3 * PAGE, &word, "SystemRoot=C:\\Windows");
  u64 second = PEB_AT + 3 * PAGE + word.MaximumLength;
  user_string(tables, second, &word, join("NAME=", name));
  parameters->EnvironmentSize = second + word.MaximumLength + 2 - (PEB_AT + 3 * PAGE);
  struct _OBJECT_NAME_INFORMATION *file = ExAllocatePool(sizeof *file);
  make_string(&file->Name, join("\\Device\\HarddiskVolume1\\Windows\\System32\\", name));
  process->SeAuditProcessCreationInfo.ImageFileName = file;
}

static void tell_process(const char *event, struct _EPROCESS *process, const char *name) {
  begin_truth(event);
  tell_number("pid", (u64)process->UniqueProcessId);
  tell_number("ppid", (u64)process->InheritedFromUniqueProcessId);
  tell_text("name", name);
  tell_number("cr3", process->Pcb.DirectoryTableBase);
  tell_number("eprocess", (u64)process);
  tell_number("token", process->Token.Value & ~15ull);
  tell_text("sid", process->Peb ? "S-1-5-21-67305985-460293-9-1001" : "S-1-5-18");
  tell_text("integrity", process->Peb ? "S-1-16-8192" : "S-1-16-16384");
  end_truth();
}

static void tell_module(const char *event, struct _EPROCESS *process, u64 base, u32 size, const char *path) {
  begin_truth(event);
  tell_number("pid", (u64)process->UniqueProcessId);
  tell_number("base", base);
  tell_number("size", size);
  tell_text("path", path);
  end_truth();
}

void load_module(struct _EPROCESS *process, struct loaded_file *file, const char *name) {
  u64 base = MiMapViewOfImageSection(process, file, join("\\Windows\\System32\\", name));
  u32 size = image_size((u64)user(process->Pcb.DirectoryTableBase, base));
  if (process->Peb) ldr_insert(process, base, join("C:\\Windows\\System32\\", name));
  tell_module("module", process, base, size, join("C:\\Windows\\System32\\", name));
}

void unload_module(struct _EPROCESS *process, struct loaded_file *file, const char *name) {
  u64 base = image_base((u64)phys(file->start));
  ldr_remove(process, base);
  MiUnmapViewOfSection(process, base);
  tell_module("module gone", process, base, 0, join("C:\\Windows\\System32\\", name));
}

static struct loaded_file *find_file(struct loader_block *loader, const char *name) {
  for (u32 at = 0; at < loader->file_count; at++)
    if (is_same(loader->files[at].name, name)) return &loader->files[at];
  return 0;
}

// ntdll's first function, by its export table.
static u64 find_export(u64 tables, u64 base, const char *name) {
  const u8 *image = user(tables, base);
  u32 header = *(const u32 *)(image + 60);
  u64 table = base + *(const u32 *)(image + header + 24 + 112);
  const u32 *exports = (const u32 *)user(tables, table);
  for (u32 at = 0; at < exports[6]; at++) {
    u32 text = *(const u32 *)user(tables, base + exports[8] + at * 4);
    if (!is_same((const char *)user(tables, base + text), name)) continue;
    u16 index = *(const u16 *)user(tables, base + exports[9] + at * 2);
    return base + *(const u32 *)user(tables, base + exports[7] + index * 4);
  }
  return 0;
}

struct _EPROCESS *start_process(struct loader_block *loader, const char *name, struct _EPROCESS *parent) {
  struct loaded_file *program = find_file(loader, name);
  if (!program) program = find_file(loader, "program.exe");
  ntdll = find_file(loader, "ntdll.dll");
  struct _EPROCESS *process = create_process(name, MiCreateTables());
  u64 tables = process->Pcb.DirectoryTableBase;
  process->UniqueProcessId = (void *)take_id();
  // As in Windows, both images are mapped before the process is announced, and the loader's lists are written later.
  u64 base = MiMapViewOfImageSection(process, program, join("\\Windows\\System32\\", name));
  u64 library = MiMapViewOfImageSection(process, ntdll, "\\Windows\\System32\\ntdll.dll");
  process->SectionBaseAddress = (void *)base;
  create_peb(process, name, base);
  PspInsertProcess(process, parent);
  tell_process("process", process, name);
  ldr_insert(process, base, join("C:\\Windows\\System32\\", name));
  tell_module("module", process, base, image_size((u64)user(tables, base)), path_room);
  ldr_insert(process, library, "C:\\Windows\\System32\\ntdll.dll");
  tell_module("module", process, library, image_size((u64)user(tables, library)), "C:\\Windows\\System32\\ntdll.dll");
  const u8 *image = user(tables, base);
  u64 start = base + *(const u32 *)(image + *(const u32 *)(image + 60) + 40);
  start_thread(process, find_export(tables, library, "LdrInitializeThunk"), start);
  return process;
}

#define PEB32_AT 0x7efd0000u

struct _EPROCESS *start_process32(struct loader_block *loader, const char *name) {
  ntdll = find_file(loader, "ntdll.dll");
  struct _EPROCESS *process = create_process(name, MiCreateTables());
  u64 tables = process->Pcb.DirectoryTableBase;
  process->UniqueProcessId = (void *)take_id();
  u64 base = MiMapViewOfImageSection(process, find_file(loader, "program32.exe"), join("\\", name));
  u64 library = MiMapViewOfImageSection(process, ntdll, "\\Windows\\System32\\ntdll.dll");
  u64 layer = MiMapViewOfImageSection(process, find_file(loader, "wow64.dll"), "\\Windows\\System32\\wow64.dll");
  u64 narrow = MiMapViewOfImageSection(process, find_file(loader, "ntdll32.dll"), "\\Windows\\SysWOW64\\ntdll.dll");
  process->SectionBaseAddress = (void *)base;
  create_peb(process, name, base);
  MiMapPage(tables, PEB32_AT, MiTakePage(), 7);
  MiInsertPrivateVad(process, PEB32_AT, PAGE, 4);
  struct _PEB32 *peb = (void *)user(tables, PEB32_AT);
  peb->ImageBaseAddress = (u32)base;
  ldr_create32(process, PEB32_AT);
#if NT_BUILD >= 10586
  struct _EWOW64PROCESS *wow64 = ExAllocatePool(sizeof *wow64);
  wow64->Peb = (void *)(u64)PEB32_AT;
  process->WoW64Process = wow64;
#else
  process->Wow64Process = (void *)(u64)PEB32_AT;
#endif
  PspInsertProcess(process, PsInitialSystemProcess);
  tell_process("process", process, name);
  u64 bases[] = {base, library, layer, narrow};
  const char *paths[] = {0, "C:\\Windows\\System32\\ntdll.dll", "C:\\Windows\\System32\\wow64.dll",
                         "C:\\Windows\\SysWOW64\\ntdll.dll"};
  for (u32 at = 0; at < 4; at++) {
    const char *path = paths[at] ? paths[at] : join("C:\\", name);
    if (at < 3) ldr_insert(process, bases[at], path);
    if (at == 0 || at == 3) ldr_insert32(process, bases[at], path);
    tell_module("module", process, bases[at], image_size((u64)user(tables, bases[at])), path);
  }
  const u8 *image = user(tables, layer);
  u64 start = layer + *(const u32 *)(image + *(const u32 *)(image + 60) + 40);
  start_thread(process, find_export(tables, library, "LdrInitializeThunk"), start);
  return process;
}

NOINLINE static void MmCleanProcessAddressSpace(struct _EPROCESS *process) {
  MiDeleteVads(process);
}

NOINLINE static void PspProcessDelete(struct _EPROCESS *process) {
  list_remove(&process->ActiveProcessLinks);
  ExSetObject(PspCidTable, (u64)process->UniqueProcessId, 0);
  is_taken[(u64)process->UniqueProcessId / 4] = 0;
  MiDeleteUserTables(process->Pcb.DirectoryTableBase);
  ObDelete(process, sizeof(struct _EPROCESS));
}

NOINLINE static void PspExitThread(struct _ETHREAD *thread, struct _EPROCESS *process) {
  list_remove(&thread->ThreadListEntry);
  list_remove(&thread->Tcb.ThreadListEntry);
  process->ActiveThreads--;
  is_taken[(u64)thread->Cid.UniqueThread / 4] = 0;
  ExSetObject(PspCidTable, (u64)thread->Cid.UniqueThread, 0);
  ObDelete(thread, sizeof(struct thread_room));
}

NOINLINE static void PspExitProcess(u64 is_last_thread, struct _EPROCESS *process) {
  (void)is_last_thread;
  process->ExitTime.QuadPart = (long long)now();
  process->ExitStatus = 0;
}

static struct _ETHREAD *first_thread(struct _EPROCESS *process) {
  struct _LIST_ENTRY *head = (void *)&process->ThreadListHead;
  return head->Flink == head ? 0 : CONTAINER(head->Flink, _ETHREAD, ThreadListEntry);
}

// How often each process has called, and with which argument last.
static struct {
  u64 yields, delays, interval;
} calls[MOST_PROCESSES * 4];

// @returns 1 for a call that gives the processor up
u64 PsCountSystemCall(u64 is_alertable, u64 interval) {
  u64 at = (u64)current_thread()->Cid.UniqueProcess / 4;
  if (!is_alertable) {
    calls[at].yields++;
    return 1;
  }
  calls[at].delays++;
  calls[at].interval = interval;
  return 0;
}

static void tell_calls(struct _EPROCESS *process) {
  u64 at = (u64)process->UniqueProcessId / 4;
  begin_truth("system calls");
  tell_number("pid", at * 4);
  tell_number("yields", calls[at].yields);
  tell_number("delays", calls[at].delays);
  tell_number("interval", calls[at].interval);
  end_truth();
  calls[at].yields = calls[at].delays = calls[at].interval = 0;
}

// A process that is kept is one that others still have handles of.
void end_process(struct _EPROCESS *process, int is_kept) {
  char name[16] = {0};
  for (u32 at = 0; at < 15; at++) name[at] = (char)process->ImageFileName[at];
  tell_calls(process);
  for (struct _ETHREAD *thread; (thread = first_thread(process));) PspExitThread(thread, process);
  PspExitProcess(1, process);
  MmCleanProcessAddressSpace(process);
  ExDestroyHandleTable(process->ObjectTable);
  process->ObjectTable = 0;
  tell_process("process gone", process, name);
  if (!is_kept) PspProcessDelete(process);
}

struct _EPROCESS *find_process(const char *name) {
  for (struct _LIST_ENTRY *at = PsActiveProcessHead.Blink; at != &PsActiveProcessHead; at = at->Blink) {
    struct _EPROCESS *process = CONTAINER(at, _EPROCESS, ActiveProcessLinks);
    if (is_same((const char *)process->ImageFileName, name) && process->ActiveThreads) return process;
  }
  return 0;
}

static void write_register(u32 number, u64 value) {
  __asm__ volatile("wrmsr" ::"c"(number), "a"((u32)value), "d"((u32)(value >> 32)));
}

// Runs the first thread of a process in its own address space, until it gives the processor up.
void run_process(struct _EPROCESS *process) {
  struct _ETHREAD *thread = first_thread(process);
  if (!thread || !process->Peb || process->Pcb.ThreadListHead.Flink == &process->Pcb.ThreadListHead) return;
  struct _ETHREAD *before = current_thread();
  set_current_thread(thread);
  write_register(0xc0000102, (u64)thread->Tcb.Teb);
  __asm__ volatile("mov %0, %%cr3" ::"r"(process->Pcb.DirectoryTableBase) : "memory");
  KiEnterUser(&((struct thread_room *)thread)->place);
  __asm__ volatile("mov %0, %%cr3" ::"r"(SystemTables) : "memory");
  set_current_thread(before);
}

void run_all(void) {
  for (struct _LIST_ENTRY *at = PsActiveProcessHead.Flink; at != &PsActiveProcessHead; at = at->Flink)
    run_process(CONTAINER(at, _EPROCESS, ActiveProcessLinks));
}

struct _EPROCESS *PsCreateMinimalProcess(const char *name) {
  struct _EPROCESS *process = create_process(name, MiCreateTables());
  process->UniqueProcessId = (void *)take_id();
  process->Token.Value = (u64)create_token(0) | 0xf;
  PspInsertProcess(process, PsInitialSystemProcess);
  tell_process("process", process, name);
  return process;
}

// Takes pages from a process, which does not run from then on: its PEB, what that leads to, and a stack, each in another way.
void trim_process(struct _EPROCESS *process) {
  u64 tables = process->Pcb.DirectoryTableBase;
  process->Pcb.ThreadListHead.Flink = process->Pcb.ThreadListHead.Blink = &process->Pcb.ThreadListHead;
  const u64 pages[] = {PEB_AT, PEB_AT + PAGE, PEB_AT + 2 * PAGE, PEB_AT + 3 * PAGE, STACK_AT};
  for (u32 way = 0; way < 5; way++) {
    begin_truth("trimmed");
    tell_number("pid", (u64)process->UniqueProcessId);
    tell_number("address", pages[way]);
    tell_number("way", way);
    end_truth();
    MiTrimPage(tables, pages[way], way);
  }
}

// As a rootkit does: the process goes on, and is in the list no longer.
void hide_process(struct _EPROCESS *process) {
  list_remove(&process->ActiveProcessLinks);
  begin_truth("hidden");
  tell_number("pid", (u64)process->UniqueProcessId);
  tell_number("eprocess", (u64)process);
  end_truth();
}

void PsInitialize(void) {
  list_init(&PsActiveProcessHead);
  PspCidTable = ExCreateHandleTable(0);
  struct _EPROCESS *idle = create_process("Idle", SystemTables);
  PsIdleProcess = idle;
  struct _EPROCESS *process = create_process("System", SystemTables);
  process->UniqueProcessId = (void *)4;
  PsInitialSystemProcess = process;
  process->Token.Value = (u64)create_token(0) | 0xf;
  PspInsertProcess(process, 0);
  tell_process("process", process, "System");
  start_thread(process, 0, 0);
  set_current_thread(first_thread(process));
}
